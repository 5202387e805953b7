//! What a run found, as far as a reader is told at its end.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

use foldhash::fast::RandomState;

use super::gathered::{RowKey, SubjectNumber};
use super::sources::Sources;
use super::verdicts::{TargetNumber, Verdicts};
use crate::evidence::day::DayFacts;
use crate::evidence::source::{Reason, SourceSettings};
use crate::evidence::{Side, Thresholds};
use crate::flow::memory::prefetch;
use crate::footprint;
use crate::identity::Subject;
use crate::net::Address;
use crate::stats::{Counter, Counters};
use crate::store::Target;
use crate::time::{Hour, Timestamp};
use crate::usage::{AHEAD, Sums};
use crate::worker::detours::Detour;
use crate::worker::part::{Books, Health, IntakeSums, QUIC_VERSIONS_MAX};

/// Devices that said what they are called, of which one is known from another.
const DEVICES_MAX: usize = 1 << 20;

/// Unmatched names kept one by one, and bytes of them.
const UNMATCHED_NAMES_MAX: usize = 65_536;
const UNMATCHED_NAMES_BYTES_MAX: usize = 5 << 20;
/// Memory of what is kept of a run that has no end in sight.
pub(super) const BYTES_MAX: usize =
    UNMATCHED_NAMES_BYTES_MAX + footprint::tree(UNMATCHED_NAMES_MAX, size_of::<(Box<str>, Sums)>());

/// What is told of an app.
#[derive(Clone, Debug, Default)]
pub struct AppSummary {
    /// Its name.
    pub name: String,
    /// The category's slug.
    pub category: String,
    /// What is graded, as rows of `usage.csv` are; in total order.
    facts: Vec<Fact>,
    /// The numbers of tenants and editions in them.
    parts: HashMap<Box<str>, u32, RandomState>,
}

/// Traffic of a client with a part of an app in an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Fact {
    client: SubjectNumber,
    hour: Hour,
    /// Of a tenant and edition, see [`AppSummary::parts`].
    part: u32,
    side: Side,
    /// Where its sums are, in [`Summary::rows`].
    row: u32,
}

/// What an app amounts to.
#[derive(Clone, Debug, Default)]
pub struct AppGrade {
    /// Clients that used it, by number; addresses that are no person are not among them.
    pub clients: HashSet<u32, RandomState>,
    /// Traffic of those who used it.
    pub used: Sums,
    /// Person-minutes with payload both ways of those who used it.
    pub active_minutes: u64,
    /// Whether anybody used it.
    pub is_used: bool,
    /// Whether there was any traffic.
    pub is_touched: bool,
}

impl AppGrade {
    /// Adds a part of a client's day.
    fn add(
        &mut self,
        client: SubjectNumber,
        is_shared: bool,
        whole: &DayFacts,
        part: &DayFacts,
        thresholds: &Thresholds,
    ) {
        let grade = whole.grade_part(part, i64::MIN..i64::MAX, thresholds);
        self.is_touched |= part.has_traffic();
        if !grade.is_used() {
            return;
        }
        self.is_used = true;
        self.used.add(&part.all());
        self.active_minutes += grade.active_minutes;
        if !is_shared {
            self.clients.insert(client);
        }
    }
}

impl AppSummary {
    /// The number of a tenant and edition.
    fn part(&mut self, tenant: &str, edition: &str) -> u32 {
        let text: Box<str> = match (tenant, edition) {
            ("", "") => Box::default(),
            (tenant, edition) => format!("{tenant} {edition}").into(),
        };
        let next = self.parts.len() as u32;
        *self.parts.entry(text).or_insert(next)
    }
}

/// What is told of a client.
#[derive(Clone, Debug, Default)]
pub struct ClientSummary {
    /// Who.
    pub subject: Subject,
    /// Named traffic.
    pub traffic: ClientTraffic,
}

/// A client's named traffic; small, since an attack may show a million clients.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClientTraffic {
    /// Flows that began.
    pub connections: u64,
    /// Bytes from client to server.
    pub bytes_up: u64,
    /// Bytes from server to client.
    pub bytes_down: u64,
}

impl ClientTraffic {
    pub(super) fn of(sums: &Sums) -> ClientTraffic {
        let &Sums { connections, bytes_up, bytes_down, .. } = sums;
        ClientTraffic { connections, bytes_up, bytes_down }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes_up + self.bytes_down
    }

    pub(super) fn add(&mut self, other: ClientTraffic) {
        self.connections += other.connections;
        self.bytes_up += other.bytes_up;
        self.bytes_down += other.bytes_down;
    }
}

/// See the module.
#[derive(Default)]
pub struct Summary {
    /// By the app's id.
    pub apps: BTreeMap<String, AppSummary>,
    /// By the subject's number.
    pub clients: BTreeMap<u32, ClientSummary>,
    /// Unmatched registrable domains, and their traffic.
    pub unmatched: BTreeMap<String, Sums>,
    /// The names that no signature knows, one by one, where they are wanted.
    pub unmatched_names: BTreeMap<Box<str>, Sums>,
    wants_unmatched_names: bool,
    unmatched_bytes: usize,
    /// Whether the run has no end in sight, so that nothing is told at its end.
    is_live: bool,
    /// What addresses at home did that no person's device does.
    pub sources: Sources,
    /// Where every byte ended up.
    pub books: Books,
    /// How good the capture is.
    pub health: Health,
    /// What was lost, refused or bounded.
    pub counters: Counters,
    /// What came in; none without packets.
    pub intake: Option<IntakeSums>,
    /// Versions of QUIC Initials that no known key opens, and in how many flows.
    pub unopened_quic: BTreeMap<u32, u64>,
    /// Ways around: flows, bytes, and by which subjects.
    detours: BTreeMap<Detour, (u64, u64, HashSet<u32, RandomState>)>,
    /// Devices that said what they are called.
    devices: HashSet<Address, RandomState>,
    /// The sums of the apps' facts.
    rows: Vec<(RowKey, Sums)>,
    bounds: Counters,
}

impl Summary {
    /// Of nothing. `unmatched_names`: whether names that no signature knows are wanted. `live`: whether
    /// the run has no end in sight.
    pub(super) fn new(unmatched_names: bool, live: bool) -> Summary {
        Summary {
            wants_unmatched_names: unmatched_names,
            is_live: live,
            sources: if live { Sources::live() } else { Sources::default() },
            ..Summary::default()
        }
    }

    /// Of nothing again, with the same wishes.
    pub(super) fn anew(&self) -> Summary {
        Summary::new(self.wants_unmatched_names, self.is_live)
    }

    pub(super) fn detour(&mut self, detour: Detour, subject: Option<u32>, flows: u64, bytes: u64) {
        if self.is_live {
            return;
        }
        let (all_flows, all_bytes, subjects) = self.detours.entry(detour).or_default();
        *all_flows += flows;
        *all_bytes += bytes;
        subjects.extend(subject);
    }

    /// Ways around that were taken, each with flows, bytes and by how many devices.
    pub fn detours(&self) -> impl ExactSizeIterator<Item = (Detour, u64, u64, usize)> + '_ {
        let row = |(&detour, (flows, bytes, subjects)): (&Detour, &(u64, u64, HashSet<_, _>))| {
            (detour, *flows, *bytes, subjects.len())
        };
        self.detours.iter().map(row)
    }

    pub(super) fn unmatched_name(&mut self, name: &str, sums: &Sums) {
        if !self.wants_unmatched_names {
            return;
        }
        if let Some(known) = self.unmatched_names.get_mut(name) {
            known.add(sums);
        } else if self.unmatched_names.len() < UNMATCHED_NAMES_MAX
            && self.unmatched_bytes < UNMATCHED_NAMES_BYTES_MAX
        {
            self.unmatched_bytes += footprint::heap(name.len());
            self.unmatched_names.insert(name.into(), *sums);
        } else {
            self.bounds.count(Counter::UnmatchedFolded);
        }
    }

    /// Why a client is no person, where it is none.
    pub fn shared_source(&self, client: u32, settings: &SourceSettings) -> Option<Reason> {
        let known = self.clients.get(&client)?;
        let facts = self.sources.facts(client, known.traffic.connections);
        settings.reason(&known.subject.device, &facts)
    }

    /// All bytes that came in.
    pub fn total_bytes(&self) -> u64 {
        self.intake.map_or(0, |intake| intake.total_bytes)
    }

    /// The first and the last stamp.
    pub fn time_range(&self) -> Option<(Timestamp, Timestamp)> {
        self.intake.map(|intake| (intake.first_seen, intake.last_seen))
    }

    /// How many devices said what they are called: a number, since names are often people's.
    pub fn named_devices(&self) -> usize {
        self.devices.len()
    }

    pub(super) fn device_name(&mut self, address: Address) {
        if !self.is_live && self.devices.len() < DEVICES_MAX {
            self.devices.insert(address);
        }
    }

    pub(super) fn unopened_quic(&mut self, version: u32, flows: u64) {
        let room = self.unopened_quic.len() < QUIC_VERSIONS_MAX;
        let version = if room || self.unopened_quic.contains_key(&version) { version } else { 0 };
        *self.unopened_quic.entry(version).or_default() += flows;
    }

    pub(super) fn intake(&mut self, sums: &IntakeSums) {
        match &mut self.intake {
            Some(known) => known.merge(sums),
            None => self.intake = Some(*sums),
        }
    }

    /// Takes what all clients did, at the end.
    pub(super) fn take_totals(&mut self, totals: Vec<(RowKey, Sums)>, verdicts: &Verdicts) {
        let mut apps: Vec<AppSummary> = Vec::new();
        let mut numbers: HashMap<&str, usize, RandomState> = HashMap::default();
        // Many rows have the same target: what it is, is looked up once.
        let mut known: HashMap<TargetNumber, (usize, u32, Side), RandomState> = HashMap::default();
        for (at, (key, sums)) in totals.iter().enumerate() {
            let RowKey { hour, subject: client, target, .. } = *key;
            if let Some(&(app, part, side)) = known.get(&target) {
                apps[app].facts.push(Fact { client, hour, part, side, row: at as u32 });
                continue;
            }
            let (app, role, tenant, edition) = match verdicts.target(target) {
                Target::App { app, role, tenant, edition } => (app, role, tenant, edition),
                Target::Undecided { .. } => continue,
                Target::Domain(domain) | Target::Labelled { domain, .. } => {
                    self.unmatched.entry(domain.clone()).or_default().add(sums);
                    continue;
                }
            };
            let slot = *numbers.entry(&app.id).or_insert(apps.len());
            if slot == apps.len() {
                let (name, category) = (app.name.clone(), app.category.clone());
                apps.push(AppSummary { name, category, ..AppSummary::default() });
            }
            let part = apps[slot].part(tenant, edition);
            let side = Side::of_role(role);
            known.insert(target, (slot, part, side));
            apps[slot].facts.push(Fact { client, hour, part, side, row: at as u32 });
        }
        for (id, slot) in numbers {
            let mut app = std::mem::take(&mut apps[slot]);
            app.facts.sort_unstable();
            self.apps.insert(id.to_owned(), app);
        }
        self.rows = totals;
    }

    /// Grades the days of each client of an app. `day_of` tells the day of an hour, from its
    /// beginning to that of the next in seconds, `is_shared` whether a client is an address that is
    /// no person.
    pub fn grade(
        &self,
        app: &AppSummary,
        thresholds: &Thresholds,
        day_of: impl Fn(i64) -> Range<i64>,
        is_shared: impl Fn(u32) -> bool,
    ) -> AppGrade {
        let mut grade = AppGrade::default();
        let mut rest = &app.facts[..];
        let mut day = 0..0;
        // Filled again and again.
        let (mut whole, mut of_part) = (DayFacts::default(), DayFacts::default());
        while let Some(first) = rest.first() {
            let hour = first.hour.start_seconds();
            if !day.contains(&hour) {
                day = day_of(hour);
            }
            let is_same = |fact: &Fact| {
                fact.client == first.client && day.contains(&fact.hour.start_seconds())
            };
            let end = rest.iter().position(|fact| !is_same(fact)).unwrap_or(rest.len());
            let (facts, behind) = rest.split_at(end);
            rest = behind;
            // Their sums are all over the memory.
            for ahead in rest.iter().skip(AHEAD).take(facts.len()) {
                prefetch(&self.rows[ahead.row as usize].1);
            }
            let shared = is_shared(first.client);
            let mut add = |whole: &DayFacts, part: &DayFacts| {
                grade.add(first.client, shared, whole, part, thresholds);
            };
            self.fill(&mut whole, facts);
            whole.set_day(day.clone());
            // Most clients know one part of an app.
            if facts.iter().all(|fact| fact.part == first.part) {
                add(&whole, &whole);
                continue;
            }
            let mut facts = facts.to_vec();
            facts.sort_unstable_by_key(|fact| (fact.part, *fact));
            for part in facts.chunk_by(|one, next| one.part == next.part) {
                self.fill(&mut of_part, part);
                add(&whole, &of_part);
            }
        }
        grade
    }

    /// Makes `day` that of these facts, whatever it was.
    fn fill(&self, day: &mut DayFacts, facts: &[Fact]) {
        day.clear();
        for fact in facts {
            day.add(fact.hour.start_seconds(), fact.side, &self.rows[fact.row as usize].1);
        }
    }

    /// Counts a bound of merge's own that was reached.
    pub(super) fn bound(&mut self, counter: Counter, number: u64) {
        self.bounds.add(counter, number);
    }

    /// The bounds reached since the last time this was asked.
    pub(super) fn take_bounds(&mut self) -> Counters {
        std::mem::take(&mut self.bounds)
    }
}
