//! Flows whose name is hidden, ambiguous or not there at all: which apps they may have been, and with
//! what weight.
//!
//! The candidates of a flow are the names that DNS told its client for the server, which weigh one
//! each, and beside them, without weight, what anybody was told for it and what anybody's connections
//! with a name used there, within a day ([`AROUND_SECONDS`]) before or after the hour: the client may
//! have looked elsewhere, or before the capture began. Each app or domain among them may have had all
//! of the flow. Nobody is told that it was one of them. A domain without signature may turn out to be
//! an app's one day, so that it counts, too. A flow without any candidate is in nobody's bounds, and
//! how much of that there is is told.
//!
//! What is learnt of a server later makes the candidates more: pieces of flows are remembered for a
//! while ([`Opaque`]), and move from the candidates that they had to those that they have. So nothing
//! depends on when what was said.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::loads::Site;
use super::verdicts::{TargetNumber, Verdicts};
use crate::footprint;
use crate::names::NameCache;
use crate::net::Address;
use crate::store::{PossibleRow, PossibleSums, Target};
use crate::time::{Hour, NANOS_PER_SECOND, Timestamp};
use crate::usage::Sums;

/// How far from an hour it may have been said what a server serves.
const AROUND_SECONDS: i64 = 24 * 3600;
const HOUR_SECONDS: i64 = 3600;
/// Pieces of flows remembered, and those of one server; what has no room learns nothing later.
const HELD_MAX: usize = 7 << 13;
/// Bytes of these.
const HELD_BYTES_MAX: usize = 20 << 20;
const HELD_OF_SERVER_MAX: usize = 512;
/// Servers of which it is remembered whose connections they took, and apps and domains of one.
const SERVERS_MAX: usize = 7 << 15;
/// Bytes of these.
const SERVED_BYTES_MAX: usize = 32 << 20;
const SERVED_MAX: usize = 64;
/// Candidates of a flow.
const CANDIDATES_MAX: usize = 96;

/// One target of each app or domain that flows may have been of, with its weight, by number.
pub(super) type Candidates = Arc<[(TargetNumber, u32)]>;

/// What may have been, by hour and candidates. Sums are what came and went since the last commit.
/// Keyed by the target whose grounds decide whether they count, too, where there is one.
#[derive(Default)]
pub(super) struct Possible {
    rows: HashMap<PossibleKey, PossibleSums, RandomState>,
    bytes: usize,
    dropped: u64,
}

type PossibleKey = (Hour, Candidates, Option<TargetNumber>);

impl Possible {
    /// Memory of what is gathered of it between two commits.
    pub(super) const BYTES_MAX: usize = 24 << 20;

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn rows(&self) -> impl ExactSizeIterator<Item = (&PossibleKey, &PossibleSums)> {
        self.rows.iter()
    }

    /// Sums and exchanges for which there was no room since the last time this was asked.
    pub(super) fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    fn add(
        &mut self,
        (hour, target): (Hour, Option<TargetNumber>),
        candidates: &Candidates,
        sums: &PossibleSums,
    ) {
        match self.rows.entry((hour, Arc::clone(candidates), target)) {
            Entry::Occupied(mut known) => known.get_mut().add(sums),
            Entry::Vacant(_) if self.bytes + memory_of(candidates) > Possible::BYTES_MAX => {
                self.dropped += 1;
            }
            Entry::Vacant(place) => {
                self.bytes += memory_of(candidates);
                place.insert(*sums);
            }
        }
    }

    /// Moves sums from candidates to others. Says whether there was room for both.
    fn exchange(
        &mut self,
        of: (Hour, Option<TargetNumber>),
        (old, new): (&Candidates, &Candidates),
        sums: &PossibleSums,
    ) -> bool {
        if self.bytes + memory_of(old) + memory_of(new) > Possible::BYTES_MAX {
            self.dropped += 1;
            return false;
        }
        self.add(of, old, &sums.negative());
        self.add(of, new, sums);
        true
    }
}

/// Memory of a row of these candidates, and of what is made of it to be committed.
fn memory_of(candidates: &Candidates) -> usize {
    2 * (size_of::<(PossibleKey, PossibleSums)>() + 1)
        + size_of::<PossibleRow>()
        + memory_of_list(candidates)
}

fn memory_of_list(candidates: &Candidates) -> usize {
    footprint::heap(2 * size_of::<usize>() + size_of_val(&**candidates))
}

/// Sums of flows to one server in one hour, with the same candidates of their clients' own.
struct Held {
    hour: Hour,
    own: Candidates,
    /// With those that anybody knows.
    all: Candidates,
    /// The target whose grounds decide whether they count.
    target: Option<TargetNumber>,
    sums: PossibleSums,
}

impl Held {
    fn bytes(&self) -> usize {
        2 * (size_of::<Held>() + size_of::<(Address, Vec<Held>)>() + 1)
            + memory_of_list(&self.own)
            + memory_of_list(&self.all)
    }
}

/// An app or domain whose connections a server took, under what name the first one was, and from when
/// to when they were.
struct Served {
    /// As it is numbered in this generation.
    target: TargetNumber,
    generation: u32,
    name: Box<str>,
    from: Timestamp,
    to: Timestamp,
}

/// What is remembered of servers; see the module.
#[derive(Default)]
pub(super) struct Opaque {
    held: HashMap<Address, Vec<Held>, RandomState>,
    held_count: usize,
    held_bytes: usize,
    served: HashMap<Address, Vec<Served>, RandomState>,
    served_bytes: usize,
    /// How often targets were numbered anew.
    generation: u32,
    /// The latest hour of any piece, and the oldest one of those that came while something could still
    /// be learnt of them, where there are any.
    latest: i64,
    oldest: Option<i64>,
    dropped: u64,
}

impl Served {
    fn bytes(&self) -> usize {
        footprint::heap(size_of::<Served>()) + footprint::heap(self.name.len())
    }
}

impl Opaque {
    /// Memory that it takes at most.
    pub(super) const BYTES_MAX: usize = HELD_BYTES_MAX
        + SERVED_BYTES_MAX
        + footprint::map(SERVERS_MAX, size_of::<(Address, Vec<Served>)>());

    fn is_full(&self) -> bool {
        self.held_count >= HELD_MAX || self.held_bytes >= HELD_BYTES_MAX
    }

    /// Takes a piece of a flow to `server`, which its client may have had in mind as one of `own`, in
    /// ascending order.
    pub(super) fn take(
        &mut self,
        rows: &mut Possible,
        (server, hour, sums, target): (Address, Hour, &Sums, Option<TargetNumber>),
        own: Candidates,
        names: &mut NameCache,
        verdicts: &mut Verdicts,
    ) {
        let sums = PossibleSums::of(sums);
        self.latest = self.latest.max(hour.start_seconds());
        let pieces = self.held.get_mut(&server).map(Vec::as_mut_slice).unwrap_or_default();
        if let Some(known) = pieces
            .iter_mut()
            .find(|held| held.hour == hour && held.target == target && held.own == own)
        {
            known.sums.add(&sums);
            rows.add((hour, target), &known.all, &sums);
            return;
        }
        let all = self.with_anybodys(&own, server, hour, names, verdicts);
        rows.add((hour, target), &all, &sums);
        // To look for what can be forgotten takes long: only where there is something.
        let forgotten = self.latest - 2 * AROUND_SECONDS;
        if self.is_full() && self.oldest.is_some_and(|oldest| oldest < forgotten) {
            self.forget_before(forgotten);
        }
        let of_server = self.held.get(&server).map_or(0, Vec::len);
        if self.is_full() || of_server >= HELD_OF_SERVER_MAX {
            self.dropped += 1;
            return;
        }
        let held = Held { hour, own, all, target, sums };
        self.held_bytes += held.bytes();
        self.held_count += 1;
        self.held.entry(server).or_default().push(held);
        let start = hour.start_seconds();
        if start >= forgotten {
            self.oldest = Some(self.oldest.map_or(start, |oldest| oldest.min(start)));
        }
    }

    /// Takes what anybody was told of a server: it may serve this name.
    pub(super) fn told(
        &mut self,
        rows: &mut Possible,
        (server, name, time): (Address, &str, Timestamp),
        verdicts: &mut Verdicts,
    ) {
        let Some(pieces) = self.held.get_mut(&server) else { return };
        for held in pieces.iter_mut().filter(|held| is_around(held.hour, time, time)) {
            let Some(more) = including(&held.all, name, verdicts, &mut self.dropped) else {
                continue;
            };
            if rows.exchange((held.hour, held.target), (&held.all, &more), &held.sums) {
                self.held_bytes -= held.bytes();
                held.all = more;
                self.held_bytes += held.bytes();
            }
        }
    }

    /// Takes a connection with a name of its own: its server serves that.
    pub(super) fn serves(
        &mut self,
        rows: &mut Possible,
        (server, name, time): (Address, &str, Timestamp),
        verdicts: &mut Verdicts,
    ) {
        let Some(target) = verdicts.name(name).target else { return };
        let is_full = self.served_bytes >= SERVED_BYTES_MAX;
        if (self.served.len() >= SERVERS_MAX || is_full) && !self.served.contains_key(&server) {
            self.dropped += 1;
            return;
        }
        let generation = self.generation;
        let served = self.served.entry(server).or_default();
        let is_known = |known: &&mut Served| {
            (known.generation, known.target) == (generation, target) || *known.name == *name
        };
        if let Some(known) = served.iter_mut().find(is_known) {
            (known.generation, known.target) = (generation, target);
            known.from = known.from.min(time);
            known.to = known.to.max(time);
        } else if is_full {
            self.dropped += 1;
        } else if served.len() < SERVED_MAX {
            let fresh = Served { target, generation, name: name.into(), from: time, to: time };
            self.served_bytes += fresh.bytes();
            served.reserve_exact(1);
            served.push(fresh);
        }
        self.told(rows, (server, name, time), verdicts);
    }

    /// Forgets pieces and servers of which nothing can be learnt any more at `now`.
    pub(super) fn tidy(&mut self, now: Timestamp) {
        if self.served.len() >= SERVERS_MAX / 2 || self.served_bytes >= SERVED_BYTES_MAX / 2 {
            self.served_bytes = 0;
            let bytes = &mut self.served_bytes;
            let oldest = now.offset(-2 * AROUND_SECONDS * NANOS_PER_SECOND);
            self.served.retain(|_, known| {
                known.retain(|served| served.to >= oldest);
                known.shrink_to_fit();
                *bytes += known.iter().map(Served::bytes).sum::<usize>();
                !known.is_empty()
            });
        }
    }

    /// Targets are numbered anew.
    pub(super) fn forget_numbers(&mut self) {
        self.held.clear();
        (self.held_count, self.held_bytes, self.oldest) = (0, 0, None);
        self.generation = self.generation.wrapping_add(1);
    }

    /// Pieces, candidates and servers for which there was no room since the last time this was asked.
    pub(super) fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    fn forget_before(&mut self, oldest: i64) {
        let mut kept = None;
        self.held.retain(|_, pieces| {
            pieces.retain(|held| held.hour.start_seconds() >= oldest);
            let starts = pieces.iter().map(|held| held.hour.start_seconds());
            kept = starts.chain(kept).min();
            !pieces.is_empty()
        });
        self.oldest = kept;
        self.held_count = self.held.values().map(Vec::len).sum();
        self.held_bytes = self.held.values().flatten().map(Held::bytes).sum();
    }

    fn with_anybodys(
        &mut self,
        own: &Candidates,
        server: Address,
        hour: Hour,
        names: &mut NameCache,
        verdicts: &mut Verdicts,
    ) -> Candidates {
        let (from, to) = around(hour);
        let mut all = Arc::clone(own);
        let mut include = |name: &str| {
            if let Some(more) = including(&all, name, verdicts, &mut self.dropped) {
                all = more;
            }
        };
        for name in names.of_anybody_around(server, from, to) {
            include(&name);
        }
        let served = self.served.get(&server).map(Vec::as_slice).unwrap_or_default();
        // Whatever else it serves is left out.
        let is_full = served.len() >= SERVED_MAX;
        for served in served.iter().filter(|served| is_around(hour, served.from, served.to)) {
            include(&served.name);
        }
        self.dropped += u64::from(is_full);
        all
    }
}

/// From when to when it may be said what is used in an hour.
fn around(hour: Hour) -> (Timestamp, Timestamp) {
    let start = hour.start_seconds();
    let at = |seconds: i64| Timestamp(seconds.saturating_mul(NANOS_PER_SECOND));
    (at(start - AROUND_SECONDS), at(start + HOUR_SECONDS + AROUND_SECONDS))
}

fn is_around(hour: Hour, from: Timestamp, to: Timestamp) -> bool {
    let (earliest, latest) = around(hour);
    to >= earliest && from <= latest
}

/// Of each app and domain among the names, its first target, and how many of the names are its.
pub(super) fn own_candidates(names: &[Box<str>], verdicts: &mut Verdicts) -> Candidates {
    let mut found: BTreeMap<(Site, Option<TargetNumber>), (TargetNumber, u32)> = BTreeMap::new();
    for name in names {
        let verdict = verdicts.name(name);
        let Some(target) = verdict.target else { continue };
        let site = verdicts.site(target, verdict.app);
        // What may turn out to be of several apps stays apart.
        let apart = verdicts.may_be_named(target).then_some(target);
        let (known, count) = found.entry((site, apart)).or_insert((target, 0));
        *count += 1;
        if verdicts.target(target) < verdicts.target(*known) {
            *known = target;
        }
    }
    let mut found: Vec<_> = found.into_values().collect();
    found.sort_unstable();
    found.into()
}

/// The candidates and one without weight; none where it is there already, or nobody's.
fn including(
    candidates: &Candidates,
    name: &str,
    verdicts: &mut Verdicts,
    dropped: &mut u64,
) -> Option<Candidates> {
    let target = verdicts.name(name).target?;
    let is_there = candidates.iter().any(|&(known, _)| {
        let may_part = verdicts.may_be_named(known) || verdicts.may_be_named(target);
        known == target || !may_part && is_same_app(verdicts.target(known), verdicts.target(target))
    });
    if is_there {
        return None;
    }
    if candidates.len() >= CANDIDATES_MAX {
        *dropped += 1;
        return None;
    }
    let mut more = candidates.to_vec();
    more.push((target, 0));
    more.sort_unstable();
    Some(more.into())
}

/// Whether two targets are of one app.
fn is_same_app(one: &Target, other: &Target) -> bool {
    match (one, other) {
        (Target::App { app: one, .. }, Target::App { app: other, .. }) => one.id == other.id,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Catalogue;

    #[test]
    fn what_is_full_takes_new_pieces_once_old_ones_teach_nothing_any_more() {
        let (mut opaque, mut rows) = (Opaque::default(), Possible::default());
        let mut names = NameCache::default();
        let mut verdicts = Verdicts::new(Arc::new(Catalogue::default()), None, Vec::new());
        let mut take = |opaque: &mut Opaque, number: usize, day: i32| {
            let server = Address::v4((number as u32).to_be_bytes());
            let piece = (server, Hour(day * 24 * 60), &Sums::default(), None);
            opaque.take(&mut rows, piece, Candidates::from([]), &mut names, &mut verdicts);
        };
        (0..HELD_MAX).for_each(|number| take(&mut opaque, number, number as i32 % 2));
        // Were all that is held looked through for each of these, it would take a quarter of an hour.
        (HELD_MAX..4 * HELD_MAX).for_each(|number| take(&mut opaque, number, 1));
        assert_eq!((opaque.held_count, opaque.take_dropped()), (HELD_MAX, 3 * HELD_MAX as u64));
        // A piece of long ago is forgotten with others, and not looked for.
        take(&mut opaque, 4 * HELD_MAX, 3);
        assert_eq!((opaque.held_count, opaque.oldest), (HELD_MAX / 2 + 1, Some(24 * 3600)));
        take(&mut opaque, 4 * HELD_MAX + 1, -9);
        assert_eq!((opaque.held_count, opaque.oldest), (HELD_MAX / 2 + 2, Some(24 * 3600)));
    }
}
