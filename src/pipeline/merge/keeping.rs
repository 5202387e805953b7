//! How merge keeps what it has gathered: commits, and what happens while the disk refuses them.

use std::collections::{BTreeMap, HashSet};

use foldhash::fast::RandomState;

use super::super::gathered::{
    self, HELD_BYTES_MAX, MATCHED_MAX, MatchedSums, RowKey, SubjectNumber,
};
use super::super::sources::Fresh;
use super::super::summary::ClientSummary;
use super::super::verdicts::{TargetNumber, Verdicts};
use super::{Keep, Merge};
use crate::observation::NameSource;
use crate::report::day_of;
use crate::stats::Counter;
use crate::store::{
    self, CatalogueFacts, Commit, DetourRow, FollowedRow, Grounds, MatchedRow, PossibleRow, Store,
    StoreError, TargetId, UsageRow, Window,
};
use crate::time::Hour;
use crate::usage::{AHEAD, Sums};

/// Distinct unmatched domains of a run; those beyond are one domain "other".
pub(super) const UNMATCHED_MAX: usize = 65_536;

/// Memory of what one commit is made of, with domains that are new to the store on which rows only hang,
/// but for the rows of usage: these are bounded by what workers gather in a tick.
pub(in crate::pipeline) const COMMIT_BYTES_MAX: usize =
    UNMATCHED_MAX * store::NEW_TARGET_BYTES + gathered::COMMIT_BYTES_MAX;
/// Memory of each of these rows, with what in it is new to the store.
pub(in crate::pipeline) const ROW_BYTES: usize =
    size_of::<UsageRow>() + size_of::<u32>() + store::NEW_SUBJECT_BYTES + store::NEW_TARGET_BYTES;

impl Merge {
    /// Folds unmatched domains for which there is no room: those with the most bytes stay, ties
    /// by name.
    pub(super) fn fold_unmatched(&mut self) {
        let mut fresh: Vec<_> = self.fresh_domains.drain().collect();
        let room = UNMATCHED_MAX.saturating_sub(self.unmatched.len());
        if fresh.len() > room {
            fresh.sort_by(|&(one, one_bytes), &(other, other_bytes)| {
                let targets = (self.verdicts.target(one), self.verdicts.target(other));
                other_bytes.cmp(&one_bytes).then_with(|| targets.0.cmp(targets.1))
            });
            let folded: HashSet<_, RandomState> =
                fresh.drain(room..).map(|(target, _)| target).collect();
            self.summary.bound(Counter::UnmatchedFolded, folded.len() as u64);
            let other = self.verdicts.other_domain();
            let rows = match self.is_summary_only() {
                true => &mut self.totals,
                false => &mut self.gathered.rows,
            };
            for (key, sums) in rows.take_if(|key| folded.contains(&key.target)) {
                rows.entry(RowKey { target: other, ..key }).0.add(&sums);
            }
        }
        // What was only asked for takes no room from what is used.
        let used = fresh.into_iter().filter(|&(_, bytes)| bytes > 0);
        self.unmatched.extend(used.map(|(target, _)| target));
    }

    /// Commits what was gathered, and adds it to the summary.
    pub(super) fn close_tick(&mut self) -> Result<(), StoreError> {
        for key in self.ended.drain(..) {
            self.open.forget(&key, &self.unknown);
        }
        self.fold_unmatched();
        if !self.live {
            self.summarise();
        } else if self.is_settled() {
            return Ok(());
        }
        match self.commit() {
            Ok(()) => {
                if self.refused.take().is_some() {
                    eprintln!("shadowscope: the database takes commits again");
                }
                self.gathered.clear();
                if self.is_matched_due() {
                    self.gathered.matched.clear();
                }
                self.summary.sources.forget_fresh();
                Ok(())
            }
            Err(error) if self.live && error.is_passing() => {
                self.gathered.counters.count(Counter::CommitRefused);
                self.gathered.shrink(HELD_BYTES_MAX);
                let message = error.to_string();
                if self.refused.as_ref() != Some(&message) {
                    eprintln!("shadowscope: {message}; measuring goes on, and it is tried again");
                    self.refused = Some(message);
                }
                Ok(())
            }
            Err(error) => {
                self.refused = Some(error.to_string());
                Err(error)
            }
        }
    }

    /// The sums of a row. What is kept in no database is summed up at once.
    pub(super) fn sums_of(&mut self, key: RowKey) -> &mut Sums {
        match self.is_summary_only() {
            true => self.totals.entry(summed(&self.verdicts, key)).0,
            false => self.gathered.rows.entry(key).0,
        }
    }

    /// [`crate::usage::SumsTable::expect`], of what [`Merge::sums_of`] gives.
    pub(super) fn expect(&self, key: RowKey) {
        match self.is_summary_only() {
            true => self.totals.expect(&summed(&self.verdicts, key)),
            false => self.gathered.rows.expect(&key),
        }
    }

    /// Whether the summary is all that is made of rows.
    pub(super) fn is_summary_only(&self) -> bool {
        self.keep.is_none() && !self.live
    }

    /// Adds what was gathered to what the summary will be made of. One look-up a row: names are
    /// compared once for all ticks, in [`Merge::tell_summary`].
    fn summarise(&mut self) {
        let rows = self.gathered.rows.rows();
        for (at, (key, sums)) in rows.iter().enumerate() {
            if let Some((ahead, _)) = rows.get(at + AHEAD) {
                self.totals.expect(&summed(&self.verdicts, *ahead));
            }
            self.totals.entry(summed(&self.verdicts, *key)).0.add(sums);
        }
        self.summary.books.merge(&self.gathered.books);
        for sums in self.gathered.intake.values() {
            self.summary.intake(sums);
        }
    }

    /// Tells the summary all rows, at the end.
    pub(super) fn tell_summary(&mut self) {
        self.summary.take_totals(self.totals.take(Vec::new()), &self.verdicts);
        let clients = std::mem::take(&mut self.client_totals).into_iter();
        for (number, traffic) in (0..).zip(clients) {
            if let Some(traffic) = traffic {
                let subject = Merge::named_subject(&self.identities, &self.subjects, number);
                self.summary.clients.insert(number, ClientSummary { subject, traffic });
            }
        }
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        let usage = self.usage_rows()?;
        let followed = self.followed_rows()?;
        let matched = if self.is_matched_due() { self.matched_rows()? } else { Vec::new() };
        let Some(Keep { store, run, .. }) = &mut self.keep else { return Ok(()) };
        let catalogue = self.verdicts.catalogue();
        let catalogue = store.catalogue_id(&CatalogueFacts::of(catalogue))?;
        let (identities, subjects) = (&self.identities, &self.subjects);
        let stored_subjects = &mut self.stored_subjects;
        let mut subject_id = |store: &mut Store, number: SubjectNumber| {
            stored(stored_subjects, number, || {
                store.subject_id(&Merge::named_subject(identities, subjects, number))
            })
        };
        let mut possible = Vec::with_capacity(self.gathered.possible.rows().len());
        for ((hour, members, held), &sums) in self.gathered.possible.rows() {
            let mut targets = Vec::with_capacity(members.len());
            for &(target, weight) in &**members {
                targets.push((target_id(store, &self.verdicts, target)?, weight));
            }
            let candidates = store.candidates_id(&targets)?;
            let held = held.map(|held| target_id(store, &self.verdicts, held)).transpose()?;
            possible.push(PossibleRow { hour: *hour, candidates, held, sums });
        }
        let Fresh { traits, accepted } =
            self.summary.sources.fresh(|number| subject_id(store, number))?;
        let mut detours = Vec::with_capacity(self.gathered.detours.len());
        for (&(hour, subject, detour), &(flows, bytes)) in &self.gathered.detours {
            let subject = subject.map(|number| subject_id(store, number)).transpose()?;
            detours.push(DetourRow { hour, detour, subject, flows, bytes });
        }
        let commit = Commit {
            sequence: self.sequence,
            catalogue,
            reconfigured: self.reconfigured.clone(),
            usage,
            followed,
            matched,
            possible,
            visibility: self.gathered.visibility(),
            totals: self.gathered.totals(),
            health: self.gathered.health(),
            rings: self.gathered.rings(),
            traits,
            accepted,
            detours,
            counters: self.gathered.counters.clone(),
        };
        let left_out = store.commit(*run, &commit)?;
        self.summary.counters.add(Counter::PatternDropped, left_out);
        self.reconfigured.clear();
        self.progress.committed(&commit, self.subjects.len(), self.known_subjects);
        self.sequence += 1;
        Ok(())
    }

    /// The rows of usage in total order.
    fn usage_rows(&mut self) -> Result<Vec<UsageRow>, StoreError> {
        let Some(Keep { store, .. }) = &mut self.keep else { return Ok(Vec::new()) };
        let (identities, subjects) = (&self.identities, &self.subjects);
        let order = self.gathered.sorted();
        let mut usage = Vec::with_capacity(order.len());
        for at in order {
            let (key, sums) = self.gathered.rows.rows()[at as usize];
            let subject = stored(&mut self.stored_subjects, key.subject, || {
                store.subject_id(&Merge::named_subject(identities, subjects, key.subject))
            })?;
            let target = stored(&mut self.stored_targets, key.target, || {
                target_id(store, &self.verdicts, key.target)
            })?;
            usage.push(UsageRow { hour: key.hour, subject, target, name_source: key.source, sums });
        }
        Ok(usage)
    }

    /// Who may have led flows of rows. Domains that were folded are no leaders that get a name.
    fn followed_rows(&mut self) -> Result<Vec<FollowedRow>, StoreError> {
        let Some(Keep { store, .. }) = &mut self.keep else { return Ok(Vec::new()) };
        let other = self.verdicts.other_domain();
        let (verdicts, unmatched) = (&self.verdicts, &self.unmatched);
        let kept = |target: TargetNumber| {
            let is_domain = verdicts.is_domain(target) && verdicts.grounds(target).is_none();
            if is_domain && !unmatched.contains(&target) { other } else { target }
        };
        let mut rows = Vec::with_capacity(self.gathered.leaders.len());
        for (&(key, leaders), &(flows, levels)) in &self.gathered.leaders {
            let subject = stored(&mut self.stored_subjects, key.subject, || {
                store.subject_id(&Merge::named_subject(
                    &self.identities,
                    &self.subjects,
                    key.subject,
                ))
            })?;
            let mut ids = Vec::with_capacity(leaders.len());
            for leader in leaders.into_iter().flatten() {
                ids.push(target_id(store, verdicts, kept(leader.target()))?);
            }
            rows.push(FollowedRow {
                hour: key.hour,
                subject,
                target: target_id(store, verdicts, kept(key.target))?,
                name_source: key.source,
                leaders: ids,
                flows,
                levels,
            });
        }
        Ok(rows)
    }

    /// Whether the next commit tells which rules matched. They are told by day, so that it costs least
    /// to tell them once; a run of captures is seen as a whole, or not at all.
    fn is_matched_due(&self) -> bool {
        self.live || self.is_end || self.gathered.matched.len() >= MATCHED_MAX
    }

    /// By which rules names are those of rows, day by day.
    fn matched_rows(&mut self) -> Result<Vec<MatchedRow>, StoreError> {
        let Some(Keep { store, zone, .. }) = &mut self.keep else { return Ok(Vec::new()) };
        let mut day = Window { from: 0, to: 0 };
        let mut rows: BTreeMap<_, MatchedSums> = BTreeMap::new();
        for &((key, pattern), sums) in self.gathered.matched.rows() {
            let hour = key.hour.start_seconds();
            if !(day.from..day.to).contains(&hour) {
                day = day_of(zone, hour);
            }
            let of = (day.from, key.subject, key.target, key.source, pattern);
            let row = rows.entry(of).or_default();
            row.connections += sums.connections;
            row.dns_queries += sums.dns_queries;
        }
        let mut found = Vec::with_capacity(rows.len());
        for ((day, subject, target, name_source, pattern), sums) in rows {
            found.push(MatchedRow {
                day,
                subject: stored(&mut self.stored_subjects, subject, || {
                    let (identities, subjects) = (&self.identities, &self.subjects);
                    store.subject_id(&Merge::named_subject(identities, subjects, subject))
                })?,
                target: stored(&mut self.stored_targets, target, || {
                    target_id(store, &self.verdicts, target)
                })?,
                name_source,
                pattern: stored(&mut self.stored_patterns, pattern, || {
                    store.pattern_id(self.verdicts.pattern_text(pattern))
                })?,
                connections: sums.connections,
                dns_queries: sums.dns_queries,
            });
        }
        Ok(found)
    }

    /// Commits what waits for other flows, too: it is keyed by numbers that are about to end.
    /// Answers whether all of it could be.
    pub(super) fn settle(&mut self) -> Result<bool, StoreError> {
        while !self.settle_loads(None) {
            self.close_tick()?;
        }
        self.close_tick()?;
        Ok(self.is_settled())
    }

    /// Failed attempts count once the client is known to be seen both ways: where only half of
    /// the traffic is captured, nothing is ever answered.
    pub(super) fn release_failures(&mut self) {
        let held = std::mem::take(&mut self.held_failures);
        let (seen, held): (BTreeMap<_, _>, BTreeMap<_, _>) =
            held.into_iter().partition(|(key, _)| self.is_two_way(key.subject));
        self.held_failures = held;
        for (key, failed) in seen {
            self.sums_of(key).attempts_failed += failed;
        }
    }

    /// Whether there is nothing to commit.
    fn is_settled(&self) -> bool {
        self.gathered.is_empty() && self.summary.sources.has_nothing_fresh()
    }
}

/// What the summary's sums of a row are of: it does not tell where a name is from, and of a domain
/// without signature nothing by client and hour.
pub(super) fn summed(verdicts: &Verdicts, key: RowKey) -> RowKey {
    let source = NameSource::Dns;
    match verdicts.is_domain(key.target) {
        true => RowKey { subject: 0, hour: Hour(0), source, ..key },
        false => RowKey { source, ..key },
    }
}

/// The id of a target, with those on which it hangs.
fn target_id(
    store: &mut Store,
    verdicts: &Verdicts,
    number: TargetNumber,
) -> Result<TargetId, StoreError> {
    let Some(grounds) = verdicts.grounds(number) else {
        return store.target_id(verdicts.target(number));
    };
    let mut all = |numbers: &[TargetNumber]| -> Result<Box<[TargetId]>, StoreError> {
        numbers.iter().map(|&number| target_id(store, verdicts, number)).collect()
    };
    let (own, others) = (all(&grounds.own)?, all(&grounds.others)?);
    store.held_id(verdicts.target(number), &Grounds { rule: grounds.rule, own, others })
}

/// The id that the store gave to a number; it is asked for once.
fn stored<Id: Copy>(
    known: &mut Vec<Option<Id>>,
    number: u32,
    ask: impl FnOnce() -> Result<Id, StoreError>,
) -> Result<Id, StoreError> {
    let number = number as usize;
    if known.len() <= number {
        known.resize(number + 1, None);
    }
    match &mut known[number] {
        Some(id) => Ok(*id),
        empty => Ok(*empty.insert(ask()?)),
    }
}
