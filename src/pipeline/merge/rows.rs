//! Rows of usage: what is added to them, and whose they are.

use super::super::gathered::{MATCHED_ROOM, MatchedSums, RowKey, SubjectNumber};
use super::super::presence::Sign;
use super::super::summary::ClientTraffic;
use super::super::verdicts::{PatternNumber, RowOf, TargetNumber};
use super::{HELD_FAILURES_MAX, Merge, Standing};
use crate::net::Address;
use crate::observation::NameSource;
use crate::stats::Counter;
use crate::time::Hour;
use crate::usage::{QuestionKey, Questions, Sums};

impl Merge {
    /// Adds to a row of usage, where there is something to be told of it.
    pub(super) fn row(
        &mut self,
        client: Address,
        of: Option<RowOf>,
        standing: Standing,
        hour: Hour,
        source: NameSource,
        sums: &Sums,
    ) {
        // What is at home is no blind spot of the catalogue. Questions are kept: the domain may turn
        // out to be an app one day.
        let is_told =
            |(target, _): &RowOf| standing != Standing::AtHome || !self.verdicts.is_domain(*target);
        let of = of.filter(is_told);
        if of.is_none() && sums.bytes_down == 0 {
            return;
        }
        let subject = self.subject(client);
        // Whoever is answered by anybody is seen both ways.
        if sums.bytes_down > 0 {
            self.note_two_way(subject);
        }
        let Some((target, pattern)) = of else { return };
        self.tell(subject, hour);
        if sums.has_traffic() && !self.verdicts.is_domain(target) {
            self.presence.note(client, hour, Sign::Active);
        }
        let key = RowKey { hour, subject, target, source };
        let is_held = sums.attempts_failed > 0 && !self.is_two_way(subject);
        if is_held {
            self.hold_failures(key, sums.attempts_failed);
        }
        self.note_target(subject, target, ClientTraffic::of(sums));
        self.note_pattern(key, pattern, (sums.connections, sums.dns_queries));
        let row = self.sums_of(key);
        row.add(sums);
        if standing != Standing::ByName {
            row.elsewhere_flows += sums.connections;
            row.elsewhere_bytes += sums.bytes();
        }
        if is_held {
            row.attempts_failed -= sums.attempts_failed;
        }
    }

    /// Lets failed attempts wait until it is known whether their client is seen both ways.
    fn hold_failures(&mut self, key: RowKey, attempts_failed: u64) {
        let has_room = self.held_failures.len() < HELD_FAILURES_MAX;
        if has_room || self.held_failures.contains_key(&key) {
            *self.held_failures.entry(key).or_default() += attempts_failed;
        } else {
            self.summary.bound(Counter::HintDropped, attempts_failed);
        }
    }

    /// Adds DNS questions to a row of usage.
    pub(super) fn asked(
        &mut self,
        key: &QuestionKey,
        (target, pattern): RowOf,
        questions: &Questions,
    ) {
        let subject = self.asking_subject(key.client);
        self.tell(subject, key.hour);
        self.note_target(subject, target, ClientTraffic::default());
        let key = RowKey { hour: key.hour, subject, target, source: NameSource::Dns };
        self.note_pattern(key, pattern, (0, questions.count));
        questions.add_to(self.sums_of(key));
    }

    /// Notes, where that is kept, by which rule connections and questions are a row's.
    fn note_pattern(
        &mut self,
        key: RowKey,
        pattern: Option<PatternNumber>,
        (connections, dns_queries): (u64, u64),
    ) {
        let Some(pattern) = pattern.filter(|_| self.keep.is_some()) else { return };
        let matched = &mut self.gathered.matched;
        let has_room = matched.len() < MATCHED_ROOM;
        let sums: Option<(&mut MatchedSums, bool)> = matched.entry_if((key, pattern), || has_room);
        match sums {
            Some((sums, _)) => {
                sums.connections += connections;
                sums.dns_queries += dns_queries;
            }
            None => self.summary.bound(Counter::PatternDropped, 1),
        }
    }

    /// Asks for the memory of a row that is wanted soon, where there is one.
    pub(super) fn expect_row(
        &self,
        client: Address,
        target: Option<TargetNumber>,
        hour: Hour,
        source: NameSource,
    ) {
        if let (Some(&subject), Some(target)) = (self.subject_numbers.get(&client), target) {
            self.expect(RowKey { hour, subject, target, source });
        }
    }

    /// Notes traffic, or questions, with what has a row: which domains there are, and for the summary
    /// what a client did.
    fn note_target(
        &mut self,
        subject: SubjectNumber,
        target: TargetNumber,
        traffic: ClientTraffic,
    ) {
        let is_domain = self.verdicts.is_domain(target);
        let is_held = is_domain && self.verdicts.grounds(target).is_some();
        if is_domain && !is_held && !self.unmatched.contains(&target) {
            *self.fresh_domains.entry(target).or_default() += traffic.bytes();
        }
        let is_told = !is_held || !self.verdicts.is_undecided(target);
        if is_told && !self.live {
            let place = subject as usize;
            if self.client_totals.len() <= place {
                self.client_totals.resize(self.subjects.len(), None);
            }
            self.client_totals[place].get_or_insert_default().add(traffic);
        }
    }

    /// Keeps with a subject's hour what the operator says of its address.
    pub(super) fn tell(&mut self, subject: SubjectNumber, hour: Hour) {
        if let Some(Some(verdict)) = self.told.get(subject as usize) {
            self.summary.sources.tell(subject, hour, *verdict);
        }
    }

    pub(super) fn is_two_way(&self, subject: SubjectNumber) -> bool {
        self.two_way.get(subject as usize) == Some(&true)
    }

    pub(super) fn note_two_way(&mut self, subject: SubjectNumber) {
        let place = subject as usize;
        if self.two_way.len() <= place {
            self.two_way.resize(place + 1, false);
        }
        self.two_way[place] = true;
    }
}
