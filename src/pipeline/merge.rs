//! Merge: one thread that owns what is global.
//!
//! It waits for all workers' parts of a tick, names the flows that have no name of their own,
//! matches names, asks who held each address, and commits the tick in one transaction. What it
//! says does not depend on how many workers there were: parts are added up, and every bound that
//! shapes rows is applied here, over sorted input. How that is kept, and forgotten, is in
//! `keeping`.

mod anonymous;
mod detours;
pub(super) mod keeping;
pub(super) mod open;
mod renew;
mod rows;
mod sources;
mod steps;
pub(super) mod subjects;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use foldhash::fast::RandomState;
use jiff::tz::TimeZone;
use open::Open;

use super::calls::{Calls, OpenFlow};
use super::clocks::Clocks;
use super::gathered::{Gathered, RowKey, SubjectNumber};
use super::loads::{Loads, Step};
use super::lookups::Lookups;
use super::naming::{Named, Offers, Suspects};
use super::openings::Openings;
use super::possible::Opaque;
use super::presence::{Presence, Sign};
use super::progress::Progress;
use super::records::{FlowLine, ObservationLine, Records};
use super::services::Services;
use super::sources::Sources;
use super::summary::{ClientTraffic, Summary};
use super::verdicts::{TargetNumber, Verdicts};
use crate::catalogue::Catalogue;
use crate::evidence::source;
use crate::feeds::autonomous_systems::AutonomousSystems;
use crate::footprint;
use crate::hostname::HOSTNAME_LENGTH_MAX;
use crate::identity::Identities;
use crate::ledger::Bucket;
use crate::names::NameCache;
use crate::net::Address;
use crate::observation::NameSource;
use crate::stats::Counter;
use crate::store::{PatternId, RunId, Store, StoreError, SubjectId, TargetId};
use crate::time::{Hour, Timestamp};
use crate::usage::{AHEAD, NameId, Sums, SumsTable, UsageKey};
use crate::worker::detours::Detour;
use crate::worker::part::{AnonymousSums, Answer, FlowRecord, FlowStep, Part};

/// Anonymous flows whose answer is waited for; the others do without.
const DEFERRED_MAX: usize = 32_768;
/// Failed attempts that wait for a packet to their client.
const HELD_FAILURES_MAX: usize = 7 << 13;
/// Memory of these, of unmatched domains, and of flows that ended, but for those of a worker's tick.
pub(super) const BYTES_MAX: usize = DEFERRED_MAX
    * (size_of::<(usize, AnonymousSums, Option<Box<str>>)>()
        + footprint::heap(HOSTNAME_LENGTH_MAX))
    + 2 * footprint::tree(HELD_FAILURES_MAX, size_of::<(RowKey, u64)>())
    + footprint::map(keeping::UNMATCHED_MAX, size_of::<TargetNumber>());

/// Sums for the summary that there is room for from the beginning: a table that grows is copied.
const TOTALS_ROOM: usize = 65_536;

/// Where commits go.
pub struct Keep {
    /// The database.
    pub store: Store,
    /// The run in it.
    pub run: RunId,
    /// Whose days are the database's.
    pub zone: TimeZone,
}

/// What merge is told once.
pub struct MergeSettings {
    /// The catalogue.
    pub catalogue: Arc<Catalogue>,
    /// Who has which address.
    pub identities: Identities,
    /// Whose network an address is in, where the operator has a file that tells.
    pub autonomous_systems: Option<AutonomousSystems>,
    /// The organisation's own domains: traffic below them is `private`.
    pub own_domains: Vec<String>,
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
    suspects: Suspects,
    lookups: Lookups,
    /// What flows without a certain name may have been.
    opaque: Opaque,
    /// The verdict on all anonymous flows of which nothing is known.
    unknown: Arc<Named>,
    /// Verdicts on anonymous flows that are open.
    open: Open,
    ended: Vec<OpenFlow>,
    /// Anonymous flows whose answer from DNS may be in the next tick.
    deferred: Vec<(usize, AnonymousSums, Option<Box<str>>)>,
    /// Flows that ended, and wait for the verdict on one of those.
    deferred_flows: Vec<(OpenFlow, FlowRecord)>,
    /// Media of calls that wait for their app.
    calls: Calls,
    /// Timestamp clocks of machines that share an address.
    clocks: Clocks,
    /// What else the connections tell that an address opened.
    openings: Openings,
    /// Who served whom.
    services: Services,
    /// Devices that showed themselves.
    presence: Presence,
    /// Whose address each is; none is that of all for whom there was no room. What they are called
    /// is made when it is told, since most of many have nothing to be told.
    subjects: Vec<Option<Address>>,
    /// How many of them stand for somebody.
    known_subjects: usize,
    /// What the operator says of each of them, where that is to be kept.
    told: Vec<Option<source::Verdict>>,
    subject_numbers: HashMap<Address, SubjectNumber, RandomState>,
    /// The subject of clients for whom there was no room.
    other: Option<SubjectNumber>,
    unmatched: HashSet<TargetNumber, RandomState>,
    /// Domains that are not among those, and their bytes in this tick.
    fresh_domains: HashMap<TargetNumber, u64, RandomState>,
    gathered: Gathered,
    /// What was gathered in all ticks, for the summary.
    totals: SumsTable<RowKey>,
    /// By subject; those without are not known to have any, or come later.
    client_totals: Vec<Option<ClientTraffic>>,
    /// Bytes in the books and bytes that came in, of the whole run.
    balance: (u64, u64),
    /// Of each subject, whether packets to it were seen; none yet for those at the end.
    two_way: Vec<bool>,
    /// Failed attempts of clients that no packet was seen to so far.
    held_failures: BTreeMap<RowKey, u64>,
    /// Flows that began, until it is known what they followed.
    loads: Loads<Option<RowKey>>,
    /// Numbers of subjects, targets and rules' texts in the store.
    stored_subjects: Vec<Option<SubjectId>>,
    stored_targets: Vec<Option<TargetId>>,
    stored_patterns: Vec<Option<PatternId>>,
    sequence: u64,
    /// Configurations that were taken and no commit tells yet.
    reconfigured: Vec<String>,
    keep: Option<Keep>,
    live: bool,
    /// Whether the input has ended.
    is_end: bool,
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

/// How a flow's bytes stand to its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// The name says which bucket they are in.
    ByName,
    /// They are in another one.
    Elsewhere,
    /// Likewise, and both ends are at home.
    AtHome,
}

impl Standing {
    fn of(bucket: Option<Bucket>, at_home: bool) -> Standing {
        match bucket {
            None => Standing::ByName,
            Some(_) if at_home => Standing::AtHome,
            Some(_) => Standing::Elsewhere,
        }
    }
}

impl Merge {
    /// Without `keep`, nothing is kept but what the summary needs.
    pub fn new(settings: MergeSettings, keep: Option<Keep>) -> Merge {
        let mut verdicts =
            Verdicts::new(settings.catalogue, settings.autonomous_systems, settings.own_domains)
                .bounded(settings.live);
        if keep.is_some() {
            verdicts = verdicts.hold();
        }
        let mut summary = Summary::new(settings.unmatched, settings.live);
        if keep.is_none() && !settings.live {
            summary.sources = Sources::taken_once();
        }
        Merge {
            verdicts,
            identities: settings.identities,
            names: NameCache::default(),
            offers: Offers::default(),
            suspects: Suspects::default(),
            lookups: Lookups::default(),
            opaque: Opaque::default(),
            unknown: Arc::new(Named::nobody_knows()),
            open: Open::default(),
            ended: Vec::new(),
            deferred: Vec::new(),
            deferred_flows: Vec::new(),
            calls: Calls::default(),
            clocks: Clocks::default(),
            openings: Openings::default(),
            services: Services::default(),
            presence: Presence::default(),
            subjects: Vec::new(),
            known_subjects: 0,
            told: Vec::new(),
            subject_numbers: HashMap::default(),
            other: None,
            unmatched: HashSet::default(),
            fresh_domains: HashMap::default(),
            gathered: Gathered::default(),
            totals: SumsTable::with_room(Vec::with_capacity(match settings.live {
                true => 0,
                false => TOTALS_ROOM,
            })),
            client_totals: Vec::new(),
            balance: (0, 0),
            two_way: Vec::new(),
            held_failures: BTreeMap::new(),
            loads: Loads::new(keep.is_some()),
            stored_subjects: Vec::new(),
            stored_targets: Vec::new(),
            stored_patterns: Vec::new(),
            sequence: 0,
            reconfigured: Vec::new(),
            keep,
            live: settings.live,
            is_end: false,
            day: None,
            refused: None,
            progress: Progress::default(),
            summary,
            records: Records::new(settings.observations, settings.flows),
        }
    }

    /// Takes what is in one tick's parts, each with its worker's number. `horizon` is sensor time at the
    /// tick; none at the end of the input.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn tick(
        &mut self,
        parts: &mut [(usize, Part)],
        horizon: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let mut counters = crate::stats::Counters::default();
        // What DNS said anywhere is known before any flow is named.
        for (_, part) in parts.iter() {
            counters.merge(&part.counters);
        }
        self.learn(parts);
        self.suspect(parts);
        // One tick later, all that can have been said about them was said. (Sensor time may have
        // gone back since, so that it tells nothing.)
        for (worker, flow, outer) in std::mem::take(&mut self.deferred) {
            self.anonymous(worker, &flow, outer.as_deref(), None);
        }
        self.tell_deferred_flows(true);
        self.take_traits(parts);
        for (worker, part) in parts {
            self.take(*worker, part, horizon);
        }
        if let Some(horizon) = horizon {
            self.names.tidy(horizon);
            self.opaque.tidy(horizon);
        }
        counters.add(Counter::AnswerEvicted, self.names.take_evicted());
        counters.add(Counter::CandidateDropped, self.names.take_dropped());
        counters.add(Counter::CandidateDropped, self.opaque.take_dropped());
        counters.add(Counter::CandidateDropped, self.lookups.take_dropped());
        counters.add(Counter::CandidateDropped, self.verdicts.take_dropped());
        counters.add(Counter::OfferEvicted, self.offers.take_evicted());
        self.settle_calls(horizon);
        counters.add(Counter::CallDropped, self.calls.take_dropped());
        counters.add(Counter::DeviceSilent, self.presence.take_silent(horizon));
        counters.add(Counter::HintDropped, self.presence.take_dropped());
        self.settle_sources(horizon);
        counters.add(Counter::HintDropped, self.openings.take_dropped());
        counters.add(Counter::HintDropped, self.services.take_dropped());
        while !self.settle_loads(horizon) {
            self.close_tick()?;
        }
        counters.add(Counter::BeginningDropped, self.loads.take_dropped());
        counters.add(Counter::CandidateDropped, self.gathered.possible.take_dropped());
        counters.add(Counter::UnmatchedFolded, self.verdicts.take_folded());
        counters.merge(&self.summary.take_bounds());
        self.summary.counters.merge(&counters);
        self.gathered.counters.merge(&counters);
        self.release_failures();
        self.is_end = horizon.is_none();
        self.close_tick()?;
        if let Some(horizon) = horizon.filter(|_| self.live) {
            self.turn_day(horizon)?;
            self.make_room()?;
        }
        Ok(())
    }

    /// What to tell of rows that the disk refused to the end; none where all were committed.
    pub fn uncommitted(&self) -> Option<String> {
        let message = self.refused.as_ref()?;
        let rows = self.gathered.rows.len();
        let packets: u64 = self.gathered.intake.values().map(|sums| sums.packets).sum();
        Some(format!("{rows} rows of {packets} packets could not be kept: {message}"))
    }

    /// The input has ended. Gives back the store, where there was one.
    pub fn finish(mut self) -> (Summary, Records, Option<Keep>) {
        self.tell_summary();
        let (books, total) = self.balance;
        assert!(books == total, "the books do not balance: {books} of {total} bytes");
        (self.summary, self.records, self.keep)
    }

    /// Notes what helps to name flows, in an order that does not depend on who saw it.
    fn learn(&mut self, parts: &[(usize, Part)]) {
        // Those for which there is no room are the same ones, whoever saw which.
        let mut links: Vec<_> = parts.iter().flat_map(|(_, part)| part.links.iter()).collect();
        links.sort_unstable();
        links.dedup();
        for &(address, mac) in links {
            self.names.link(address, mac);
        }
        let mut offers = Vec::new();
        let mut all_held = Vec::with_capacity(parts.len());
        // Answers by time, and where they are: they themselves are too large to be moved about.
        let mut order: Vec<(Timestamp, u32, u32)> =
            Vec::with_capacity(parts.iter().map(|(_, part)| part.answers.len()).sum());
        for (number, (_, part)) in parts.iter().enumerate() {
            let mut held: Vec<Option<NameId>> = vec![None; part.names.len()];
            for (at, answer) in part.answers.iter().enumerate() {
                let name = &mut held[answer.name as usize];
                name.get_or_insert_with(|| self.names.hold(part.names.get(answer.name)));
                order.push((answer.time, number as u32, at as u32));
            }
            all_held.push(held);
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
        order.sort();
        let lists: Vec<_> =
            parts.iter().map(|(_, part)| (&part.answers[..], &part.names)).collect();
        let answer = |number: u32, at: u32| &lists[number as usize].0[at as usize];
        for same in order.chunk_by_mut(|(one, ..), (next, ..)| one == next) {
            if same.len() == 1 {
                continue;
            }
            same.sort_by(|&(_, one_part, one), &(_, other_part, other)| {
                let (one, other) = (answer(one_part, one), answer(other_part, other));
                let text = |number: u32, name| lists[number as usize].1.get(name);
                (one.client.cmp(&other.client))
                    .then_with(|| one.resolver.cmp(&other.resolver))
                    .then_with(|| one.address.cmp(&other.address))
                    .then_with(|| one.ttl_seconds.cmp(&other.ttl_seconds))
                    .then_with(|| text(one_part, one.name).cmp(text(other_part, other.name)))
            });
        }
        for (_, number, at) in order {
            let &Answer { client, resolver, address, time, ttl_seconds, name } = answer(number, at);
            let text = lists[number as usize].1.get(name);
            let Some(name) = all_held[number as usize][name as usize] else { continue };
            self.names.answer(client, resolver, address, name, time, ttl_seconds);
            let possible = &mut self.gathered.possible;
            self.opaque.told(possible, (address, text, time), &mut self.verdicts);
        }
        for name in all_held.into_iter().flatten().flatten() {
            self.names.release(name);
        }
        offers.sort_by_key(|offer| (offer.time, offer.client, offer.config_id, offer.ttl_seconds));
        for offer in offers {
            self.offers.add(offer);
        }
    }

    fn take(&mut self, worker: usize, part: &mut Part, horizon: Option<Timestamp>) {
        let Part {
            names,
            usage,
            questions,
            anonymous,
            books,
            two_way,
            steps,
            present,
            detours,
            observations,
            flows,
            intake,
            health,
            rings,
            ..
        } = part;
        self.gathered.books.merge(books);
        self.balance.0 += books.bytes();
        for (hour, health) in health.iter() {
            self.gathered.health.entry(*hour).or_default().merge(health);
            self.summary.health.merge(health);
        }
        for (hour, sums) in rings.iter() {
            self.gathered.rings.entry((*hour, worker)).or_default().merge(sums);
        }
        for sums in intake.values() {
            self.balance.1 += sums.total_bytes;
            let known = self.gathered.intake.entry(sums.hour);
            known.and_modify(|known| known.merge(sums)).or_insert(*sums);
        }
        for client in two_way.drain(..) {
            let subject = self.subject(client);
            self.note_two_way(subject);
        }
        let verdicts: Vec<_> = names.iter().map(|name| self.verdicts.name(name)).collect();
        for (at, (key, sums)) in usage.iter().enumerate() {
            if let Some((ahead, _)) = usage.get(at + AHEAD) {
                let target = verdicts[ahead.name as usize].target;
                self.expect_row(ahead.client, target, ahead.hour, ahead.source);
            }
            let verdict = verdicts[key.name as usize];
            let bucket = Bucket::from_number(key.bucket);
            self.book(key.hour, bucket.unwrap_or(verdict.bucket), sums);
            if bucket.is_none() {
                self.detour_by_name(key.client, key.hour, verdict, Detour::DnsOverHttps, sums);
            }
            if bucket.is_none() && verdict.bucket == Bucket::Unmatched {
                self.summary.unmatched_name(names.get(key.name), sums);
            }
            if bucket.is_none()
                && let Some(name) = self.calling(verdict, names.get(key.name))
            {
                let minutes = sums.minutes_up | sums.minutes_down;
                let used = (&*name, None);
                self.calls.went_on(key.client, used, key.hour, minutes, verdict.calls);
            }
            let standing = Standing::of(bucket, key.at_home);
            self.row(key.client, verdict.row(), standing, key.hour, key.source, sums);
        }
        // They have no bytes of their own: their flow is in the books as it is.
        for (at, (key, asked)) in questions.iter().enumerate() {
            if let Some((ahead, _)) = questions.get(at + AHEAD) {
                let target = verdicts[ahead.name as usize].target;
                self.expect_row(ahead.client, target, ahead.hour, NameSource::Dns);
            }
            if let Some(of) = verdicts[key.name as usize].row() {
                self.asked(key, of, asked);
            }
        }
        for &FlowStep { key, server, time, step } in steps.iter() {
            let UsageKey { client, name, hour, source, bucket, at_home } = key;
            let verdict = verdicts[name as usize];
            let began = matches!(step, Step::Began(_));
            if began
                && Bucket::from_number(bucket).is_none()
                && let Some(name) = self.calling(verdict, names.get(name))
            {
                self.calls.began(client, (&name, None), time, verdict.calls);
            }
            if began && verdict.target.is_some() && !at_home {
                self.serves(server, names.get(name), time);
            }
            self.step(client, verdict, at_home, (hour, source), time, step);
        }
        for ((device, hour, detour), (flows, bytes)) in detours.drain() {
            self.detour(device, hour, detour, flows, bytes);
        }
        for (device, hour) in present.drain() {
            self.presence.note(device, hour, Sign::Shown);
        }
        for flow in anonymous.iter() {
            let outer = flow.outer.and_then(|outer| outer.name);
            let outer = outer.map(|(name, _)| names.get(name));
            self.anonymous(worker, flow, outer, horizon);
        }
        for observation in observations.drain(..) {
            let found = self.verdicts.catalogue().match_host(&observation.host);
            let app = found.as_ref().and_then(|found| found.app_id().map(Box::from));
            let role = found.map(|found| found.role);
            self.records.observation(ObservationLine { observation, app, role });
        }
        for flow in flows.drain(..) {
            let name = flow.name.map(|(name, source)| (names.get(name).into(), source));
            match flow.anonymous.map(|(id, life)| (worker, id, life)) {
                Some(key) if !self.open.contains(&key) => self.deferred_flows.push((key, flow)),
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

    fn book(&mut self, hour: Hour, bucket: Bucket, sums: &Sums) {
        self.gathered.books.add(hour, bucket, sums.connections, sums.bytes());
        self.balance.0 += sums.bytes();
    }

    fn remember(&mut self, key: OpenFlow, named: Named) -> Arc<Named> {
        let named = match named == *self.unknown {
            true => Arc::clone(&self.unknown),
            false => Arc::new(named),
        };
        if !self.open.remember(key, &named, &self.unknown) {
            self.summary.bound(Counter::AnonymousOverflow, 1);
        }
        named
    }
}
