//! Merge: one thread that owns what is global.
//!
//! It waits for all workers' parts of a tick, names the flows that have no name of their own,
//! matches names, asks who held each address, and commits the tick in one transaction. What it
//! says does not depend on how many workers there were: parts are added up, and every bound that
//! shapes rows is applied here, over sorted input.

mod renew;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::gathered::{Gathered, HELD_BYTES_MAX, RowKey, SubjectNumber};
use super::naming::{Named, Offers, name_flow};
use super::progress::Progress;
use super::records::{FlowLine, ObservationLine, Records};
use super::summary::Summary;
use super::verdicts::{TargetNumber, Verdicts};
use crate::catalogue::Catalogue;
use crate::feeds::autonomous_systems::AutonomousSystems;
use crate::flow::table::FlowId;
use crate::identity::{Identities, Subject};
use crate::ledger::Bucket;
use crate::names::{LATE_NANOS, NameCache};
use crate::net::Address;
use crate::observation::NameSource;
use crate::stats::Counter;
use crate::store::{
    CatalogueFacts, Commit, RunId, Store, StoreError, SubjectId, Target, TargetId, UsageRow,
};
use crate::time::{Hour, Timestamp};
use crate::usage::{NameId, Sums};
use crate::worker::part::{AnonymousSums, Answer, FlowRecord, Part};

/// Clients with rows; those beyond are one client "other".
const CLIENTS_MAX: usize = 1 << 20;
/// Distinct unmatched domains of a run; those beyond are one domain "other".
const UNMATCHED_MAX: usize = 65_536;
/// Verdicts on anonymous flows remembered, for each worker.
const VERDICTS_MAX: usize = 262_144;

/// An anonymous flow: its worker, its number there, and its first packet's stamp.
type OpenFlow = (usize, FlowId, Timestamp);

/// Where commits go.
pub struct Keep {
    /// The database.
    pub store: Store,
    /// The run in it.
    pub run: RunId,
}

/// What merge is told once.
pub struct MergeSettings {
    /// The catalogue.
    pub catalogue: Arc<Catalogue>,
    /// Who has which address.
    pub identities: Identities,
    /// Whose network an address is in, where the operator has a file that tells.
    pub autonomous_systems: Option<AutonomousSystems>,
    /// Whether the names that no signature knows are wanted one by one.
    pub unmatched: bool,
    /// Whether names are wanted as records, and flows.
    pub observations: bool,
    /// Whether flows are wanted as records.
    pub flows: bool,
    /// Whether the run has no end in sight: then there is no summary, what is remembered is
    /// forgotten day by day, and a disk that refuses is waited for.
    pub live: bool,
}

/// See the module.
pub struct Merge {
    verdicts: Verdicts,
    identities: Identities,
    names: NameCache,
    offers: Offers,
    /// Verdicts on anonymous flows that are open, by worker and flow.
    open: HashMap<OpenFlow, Arc<Named>, RandomState>,
    ended: Vec<OpenFlow>,
    /// Anonymous flows whose answer from DNS may be in the next tick.
    deferred: Vec<(usize, AnonymousSums, Option<Box<str>>)>,
    /// Flows that ended, and wait for the verdict on one of those.
    deferred_flows: Vec<(OpenFlow, FlowRecord)>,
    subjects: Vec<Subject>,
    subject_numbers: HashMap<Address, SubjectNumber, RandomState>,
    unmatched: HashSet<TargetNumber, RandomState>,
    gathered: Gathered,
    /// Bytes in the books and bytes that came in, of the whole run.
    balance: (u64, u64),
    /// Clients that packets were seen to.
    two_way: HashSet<SubjectNumber, RandomState>,
    /// Failed attempts of clients that no packet was seen to so far.
    held_failures: BTreeMap<RowKey, u64>,
    /// Numbers of subjects and targets in the store.
    stored_subjects: Vec<Option<SubjectId>>,
    stored_targets: Vec<Option<TargetId>>,
    sequence: u64,
    keep: Option<Keep>,
    live: bool,
    /// The day, in days since 1970, of what is remembered; none before the first tick.
    day: Option<i64>,
    /// Why the last commit was refused, where it was.
    refused: Option<String>,
    /// How far it is, for whoever watches a live run.
    pub progress: Progress,
    /// What the reader is told at the end.
    pub summary: Summary,
    /// Names and flows, where they are wanted.
    pub records: Records,
}

impl Merge {
    /// Without `keep`, nothing is kept but what the summary needs.
    pub fn new(settings: MergeSettings, keep: Option<Keep>) -> Merge {
        Merge {
            verdicts: Verdicts::new(settings.catalogue, settings.autonomous_systems),
            identities: settings.identities,
            names: NameCache::default(),
            offers: Offers::default(),
            open: HashMap::default(),
            ended: Vec::new(),
            deferred: Vec::new(),
            deferred_flows: Vec::new(),
            subjects: Vec::new(),
            subject_numbers: HashMap::default(),
            unmatched: HashSet::default(),
            gathered: Gathered::default(),
            balance: (0, 0),
            two_way: HashSet::default(),
            held_failures: BTreeMap::new(),
            stored_subjects: Vec::new(),
            stored_targets: Vec::new(),
            sequence: 0,
            keep,
            live: settings.live,
            day: None,
            refused: None,
            progress: Progress::default(),
            summary: Summary::new(settings.unmatched),
            records: Records::new(settings.observations, settings.flows),
        }
    }

    /// Takes one tick's parts, each with its worker's number. `horizon` is sensor time at the
    /// tick; none at the end of the input.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn tick(
        &mut self,
        parts: Vec<(usize, Part)>,
        horizon: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let mut counters = crate::stats::Counters::default();
        // What DNS said anywhere is known before any flow is named.
        for (_, part) in &parts {
            counters.merge(&part.counters);
        }
        self.learn(&parts);
        // One tick later, all that can have been said about them was said. (Sensor time may have
        // gone back since, so that it tells nothing.)
        for (worker, flow, outer) in std::mem::take(&mut self.deferred) {
            self.anonymous(worker, &flow, outer.as_deref(), None);
        }
        for (key, flow) in std::mem::take(&mut self.deferred_flows) {
            self.flow_line(&flow, None, Some(key));
        }
        for (worker, part) in parts {
            self.take(worker, part, horizon);
        }
        counters.add(Counter::AnswerEvicted, self.names.take_evicted());
        counters.add(Counter::CandidateDropped, self.names.take_dropped());
        counters.add(Counter::OfferEvicted, self.offers.take_evicted());
        counters.merge(&self.summary.take_bounds());
        self.summary.counters.merge(&counters);
        self.gathered.counters.merge(&counters);
        self.release_failures();
        self.close_tick()?;
        if let Some(horizon) = horizon.filter(|_| self.live) {
            self.turn_day(horizon);
        }
        Ok(())
    }

    /// What to tell of rows that the disk refused to the end; none where all were committed.
    pub fn uncommitted(&self) -> Option<String> {
        let message = self.refused.as_ref()?;
        let rows = self.gathered.rows.len();
        Some(format!("{rows} rows could not be kept: {message}"))
    }

    /// The input has ended. Gives back the store, where there was one.
    pub fn finish(self) -> (Summary, Records, Option<Keep>) {
        let (books, total) = self.balance;
        assert!(books == total, "the books do not balance: {books} of {total} bytes");
        (self.summary, self.records, self.keep)
    }

    /// Notes what helps to name flows, in an order that does not depend on who saw it.
    fn learn(&mut self, parts: &[(usize, Part)]) {
        let mut answers = Vec::new();
        let mut offers = Vec::new();
        let mut all_held = Vec::new();
        for (_, part) in parts {
            for &(address, mac) in &part.links {
                self.names.link(address, mac);
            }
            let mut held: Vec<Option<NameId>> = vec![None; part.names.len()];
            for answer in &part.answers {
                let at = answer.name as usize;
                let name = *held[at].get_or_insert_with(|| self.names.hold(&part.names[at]));
                answers.push((answer, name, &part.names[at]));
            }
            all_held.extend(held.into_iter().flatten());
            offers.extend(&part.ech_offers);
            for (address, _) in &part.device_names {
                self.summary.device_name(*address);
            }
            for &(version, flows) in &part.unopened_quic {
                self.summary.unopened_quic(version, flows);
            }
        }
        // Nearly in order of time already; what came at the same time are mostly the addresses of
        // one message.
        answers.sort_by_key(|(answer, ..)| answer.time);
        for same in answers.chunk_by_mut(|(one, ..), (next, ..)| one.time == next.time) {
            same.sort_by(|(one, _, one_name), (other, _, other_name)| {
                let key = |answer: &Answer| {
                    (answer.client, answer.resolver, answer.address, answer.ttl_seconds)
                };
                key(one).cmp(&key(other)).then_with(|| one_name.cmp(other_name))
            });
        }
        for (answer, name, _) in answers {
            let &Answer { client, resolver, address, time, ttl_seconds, .. } = answer;
            self.names.answer(client, resolver, address, name, time, ttl_seconds);
        }
        for name in all_held {
            self.names.release(name);
        }
        offers.sort_by_key(|offer| (offer.time, offer.client, offer.config_id, offer.ttl_seconds));
        for offer in offers {
            self.offers.add(offer);
        }
    }

    fn take(&mut self, worker: usize, part: Part, horizon: Option<Timestamp>) {
        let Part {
            names,
            usage,
            anonymous,
            books,
            two_way,
            observations,
            flows,
            intake,
            health,
            rings,
            ..
        } = part;
        self.gathered.books.merge(&books);
        self.balance.0 += books.bytes();
        for (hour, health) in health {
            self.gathered.health.entry(hour).or_default().merge(&health);
            self.summary.health.merge(&health);
        }
        for (hour, sums) in rings {
            self.gathered.rings.entry((hour, worker)).or_default().merge(&sums);
        }
        for sums in intake.into_values() {
            self.balance.1 += sums.total_bytes;
            let known = self.gathered.intake.entry(sums.hour);
            known.and_modify(|known| known.merge(&sums)).or_insert(sums);
        }
        for client in two_way {
            let subject = self.subject(client);
            self.two_way.insert(subject);
        }
        let verdicts: Vec<_> = names.iter().map(|name| self.verdicts.name(name)).collect();
        for (key, sums) in usage {
            let verdict = verdicts[key.name as usize];
            let bucket = Bucket::from_number(key.bucket);
            // Questions have no bytes of their own: their flow is in the books as it is.
            if bucket != Some(Bucket::NetworkService) {
                let bucket = bucket.unwrap_or(verdict.bucket);
                self.book(key.hour, bucket, &sums);
            }
            if bucket.is_none() && verdict.bucket == Bucket::Unmatched {
                self.summary.unmatched_name(&names[key.name as usize], &sums);
            }
            self.row(key.client, verdict.target, bucket, key.hour, key.source, &sums);
        }
        for flow in anonymous {
            let outer = flow.outer.map(|outer| &*names[outer.name as usize]);
            self.anonymous(worker, &flow, outer, horizon);
        }
        for observation in observations {
            let found = self.verdicts.catalogue().match_host(&observation.host);
            let app = found.as_ref().and_then(|found| found.app_id().map(Box::from));
            let role = found.map(|found| found.role);
            self.records.observation(ObservationLine { observation, app, role });
        }
        for flow in flows {
            let name = flow.name.map(|(name, source)| (names[name as usize].clone(), source));
            match flow.anonymous.map(|id| (worker, id, flow.first_seen)) {
                Some(key) if !self.open.contains_key(&key) => self.deferred_flows.push((key, flow)),
                Some(key) => self.flow_line(&flow, name, Some(key)),
                None => self.flow_line(&flow, name, None),
            }
        }
    }

    fn flow_line(
        &mut self,
        flow: &FlowRecord,
        name: Option<(Box<str>, NameSource)>,
        key: Option<OpenFlow>,
    ) {
        let named = key.and_then(|key| self.open.get(&key).cloned());
        self.records.flow(FlowLine::new(flow, name, named.as_deref(), &mut self.verdicts));
    }

    /// Takes an anonymous flow's sums; `outer` is the outer name of its hello.
    fn anonymous(
        &mut self,
        worker: usize,
        flow: &AnonymousSums,
        outer: Option<&str>,
        horizon: Option<Timestamp>,
    ) {
        let key = (worker, flow.flow, flow.first_seen);
        let named = match self.open.get(&key) {
            Some(known) => Arc::clone(known),
            // Its answer may be on the way.
            None if horizon.is_some_and(|horizon| flow.first_seen.offset(LATE_NANOS) > horizon) => {
                self.deferred.push((worker, *flow, outer.map(Box::from)));
                return;
            }
            None => {
                let named =
                    name_flow(flow, outer, &mut self.names, &self.offers, &mut self.verdicts);
                self.remember(key, named)
            }
        };
        if flow.ended {
            self.ended.push(key);
        }
        let bucket = flow.bucket.unwrap_or(named.bucket);
        self.book(flow.hour, bucket, &flow.sums);
        let target = named.verdict.and_then(|verdict| verdict.target);
        let client = flow.client.address;
        self.row(client, target, flow.bucket, flow.hour, named.source, &flow.sums);
    }

    fn book(&mut self, hour: Hour, bucket: Bucket, sums: &Sums) {
        self.gathered.books.add(hour, bucket, sums.connections, sums.bytes());
        self.balance.0 += sums.bytes();
    }

    fn remember(&mut self, key: OpenFlow, named: Named) -> Arc<Named> {
        let named = Arc::new(named);
        if self.open.len() < VERDICTS_MAX * (key.0 + 1) {
            self.open.insert(key, Arc::clone(&named));
        } else {
            self.summary.bound(Counter::AnonymousOverflow, 1);
        }
        named
    }

    /// Adds to a row of usage, where there is something to be told of it.
    fn row(
        &mut self,
        client: Address,
        target: Option<TargetNumber>,
        bucket: Option<Bucket>,
        hour: Hour,
        source: NameSource,
        sums: &Sums,
    ) {
        // Whoever is answered by anybody is seen both ways.
        if sums.bytes_down > 0 {
            let subject = self.subject(client);
            self.two_way.insert(subject);
        }
        let Some(target) = target else { return };
        let is_domain = matches!(self.verdicts.target(target), Target::Domain(_));
        // What is at home is no blind spot of the catalogue, and a question alone no use.
        if is_domain && matches!(bucket, Some(Bucket::Private | Bucket::NetworkService)) {
            return;
        }
        let subject = self.subject(client);
        let key = RowKey { hour, subject, target, source };
        let mut sums = *sums;
        if sums.attempts_failed > 0 && !self.two_way.contains(&subject) {
            *self.held_failures.entry(key).or_default() += sums.attempts_failed;
            sums.attempts_failed = 0;
        }
        self.gathered.rows.entry(key).or_default().add(&sums);
    }

    /// Failed attempts count once the client is known to be seen both ways: where only half of
    /// the traffic is captured, nothing is ever answered.
    fn release_failures(&mut self) {
        let (released, held) = std::mem::take(&mut self.held_failures)
            .into_iter()
            .partition(|(key, _)| self.two_way.contains(&key.subject));
        self.held_failures = held;
        let released: BTreeMap<RowKey, u64> = released;
        for (key, attempts_failed) in released {
            let sums = Sums { attempts_failed, ..Sums::default() };
            self.gathered.rows.entry(key).or_default().add(&sums);
        }
    }

    fn subject(&mut self, client: Address) -> SubjectNumber {
        if let Some(&known) = self.subject_numbers.get(&client) {
            return known;
        }
        let subject = if self.subjects.len() < CLIENTS_MAX {
            self.identities.subject(client)
        } else {
            self.summary.bound(Counter::ClientFolded, 1);
            if self.subjects.last() == Some(&Subject::other()) {
                return (self.subjects.len() - 1) as SubjectNumber;
            }
            Subject::other()
        };
        let number = self.subjects.len() as SubjectNumber;
        self.subjects.push(subject);
        if self.subject_numbers.len() < CLIENTS_MAX {
            self.subject_numbers.insert(client, number);
        }
        number
    }

    /// Folds unmatched domains for which there is no room: those with the most bytes stay, ties
    /// by name.
    fn fold_unmatched(&mut self) {
        let mut fresh: HashMap<TargetNumber, u64, RandomState> = HashMap::default();
        for (key, sums) in &self.gathered.rows {
            let is_domain = matches!(self.verdicts.target(key.target), Target::Domain(_));
            if is_domain && !self.unmatched.contains(&key.target) {
                *fresh.entry(key.target).or_default() += sums.bytes();
            }
        }
        let mut fresh: Vec<_> = fresh.into_iter().collect();
        let room = UNMATCHED_MAX - self.unmatched.len();
        if fresh.len() > room {
            fresh.sort_by(|&(one, one_bytes), &(other, other_bytes)| {
                let targets = (self.verdicts.target(one), self.verdicts.target(other));
                other_bytes.cmp(&one_bytes).then_with(|| targets.0.cmp(targets.1))
            });
            let folded: HashSet<_, RandomState> =
                fresh.drain(room..).map(|(target, _)| target).collect();
            self.summary.bound(Counter::UnmatchedFolded, folded.len() as u64);
            let other = self.verdicts.other_domain();
            let moved: Vec<_> =
                self.gathered.rows.extract_if(|key, _| folded.contains(&key.target)).collect();
            for (key, sums) in moved {
                self.gathered.rows.entry(RowKey { target: other, ..key }).or_default().add(&sums);
            }
        }
        self.unmatched.extend(fresh.into_iter().map(|(target, _)| target));
    }

    /// Commits what was gathered, and adds it to the summary.
    fn close_tick(&mut self) -> Result<(), StoreError> {
        for key in self.ended.drain(..) {
            self.open.remove(&key);
        }
        self.fold_unmatched();
        if !self.live {
            self.summarise();
        } else if self.gathered.is_empty() {
            return Ok(());
        }
        match self.commit() {
            Ok(()) => {
                if self.refused.take().is_some() {
                    eprintln!("shadowscope: the database takes commits again");
                }
                self.gathered = Gathered::default();
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
            Err(error) => Err(error),
        }
    }

    fn summarise(&mut self) {
        for (key, sums) in self.gathered.sorted_rows() {
            let subject = &self.subjects[key.subject as usize];
            let target = self.verdicts.target(key.target);
            self.summary.usage((key.subject, key.hour), subject, target, &sums);
        }
        self.summary.books.merge(&self.gathered.books);
        for sums in self.gathered.intake.values() {
            self.summary.intake(sums);
        }
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        let Some(Keep { store, run }) = &mut self.keep else { return Ok(()) };
        let catalogue = self.verdicts.catalogue();
        let catalogue = store.catalogue_id(&CatalogueFacts {
            version: catalogue.version(),
            hash: hex(&catalogue.hash()),
        })?;
        self.stored_subjects.resize(self.subjects.len(), None);
        let rows = self.gathered.sorted_rows();
        let mut usage = Vec::with_capacity(rows.len());
        for (key, sums) in rows {
            let subject = match &mut self.stored_subjects[key.subject as usize] {
                Some(id) => *id,
                empty => *empty.insert(store.subject_id(&self.subjects[key.subject as usize])?),
            };
            if self.stored_targets.len() <= key.target as usize {
                self.stored_targets.resize(key.target as usize + 1, None);
            }
            let target = match &mut self.stored_targets[key.target as usize] {
                Some(id) => *id,
                empty => *empty.insert(store.target_id(self.verdicts.target(key.target))?),
            };
            usage.push(UsageRow { hour: key.hour, subject, target, name_source: key.source, sums });
        }
        let commit = Commit {
            sequence: self.sequence,
            catalogue,
            usage,
            visibility: self.gathered.visibility(),
            totals: self.gathered.totals(),
            health: self.gathered.health(),
            rings: self.gathered.rings(),
            counters: self.gathered.counters.clone(),
        };
        store.commit(*run, &commit)?;
        self.progress.committed(&commit, &self.subjects);
        self.sequence += 1;
        Ok(())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
