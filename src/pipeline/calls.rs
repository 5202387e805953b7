//! Media of calls: whose it is, by the app that the same client used just before.
//!
//! Flows of media have no name, and their servers are often asked for by address. A call is set up
//! over connections that have names. Candidates for a flow of media are names of apps with which one
//! can call ([`super::verdicts::Verdict::calls`]), in role `use`, of flows of the same client that
//! began at most [`PRECEDES_NANOS`] before it, or had payload in a minute that ended within that
//! time. If they are all one app, the media are its; else nobody knows which of them it was. Where what
//! a flow was hangs on others, so does what its media are: it is remembered by its target, also as
//! long as it is undecided.
//!
//! Such flows are heard of late, so media wait for [`WAIT_NANOS`] before they are
//! told of. Stamps are those of packets and whole minutes of them, so that what is said depends
//! neither on ticks nor on workers.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::verdicts::TargetNumber;
use crate::flow::table::FlowId;
use crate::footprint;
use crate::names::Candidate;
use crate::net::Address;
use crate::time::{Hour, Minute, NANOS_PER_MINUTE, Timestamp};
use crate::worker::part::AnonymousSums;

/// How long before a flow of media its app was in use.
pub const PRECEDES_NANOS: i64 = 10 * NANOS_PER_MINUTE;
/// How long a flow of media waits, by sensor time, for those that preceded it to be heard of: what a
/// quiet connection did in its last minutes may be told late.
pub const WAIT_NANOS: i64 = 8 * NANOS_PER_MINUTE;
/// Bytes of what is remembered of use: some 150,000 apps and domains that clients used.
pub const USES_BYTES_MAX: usize = 32 << 20;
/// Flows of media that wait, and pieces of them.
pub const WAITING_MAX: usize = 7 << 12;
const PIECES_MAX: usize = 2 * WAITING_MAX;
/// Memory of all of it.
pub(super) const BYTES_MAX: usize = USES_BYTES_MAX
    + footprint::map(WAITING_MAX, size_of::<(OpenFlow, Vec<AnonymousSums>)>())
    + PIECES_MAX * size_of::<AnonymousSums>()
    + WAITING_MAX * footprint::heap(1);
/// Candidates for one flow.
const CANDIDATES_MAX: usize = 16;

/// An anonymous flow: its worker, its number there, and which of the flows with that number it is.
pub(super) type OpenFlow = (usize, FlowId, u32);

/// When something was used: the first and the last stamp of each minute that has any. That a use
/// lies within [`PRECEDES_NANOS`], which is many minutes, can be told from these as from all.
/// In order.
type Uses = Vec<(Timestamp, Timestamp)>;

/// Notes a use. Answers the bytes that this took.
fn note_use(uses: &mut Uses, time: Timestamp) -> usize {
    let minute = time.minute();
    match uses.binary_search_by_key(&minute, |(first, _)| first.minute()) {
        Ok(known) => {
            let (first, last) = &mut uses[known];
            (*first, *last) = ((*first).min(time), (*last).max(time));
            0
        }
        Err(at) => {
            let before = memory_of(uses);
            // Most have one.
            uses.reserve_exact(usize::from(uses.is_empty()));
            uses.insert(at, (time, time));
            memory_of(uses) - before
        }
    }
}

fn memory_of(uses: &Uses) -> usize {
    footprint::heap(uses.capacity() * size_of::<(Timestamp, Timestamp)>())
}

/// When a client used what.
#[derive(Default)]
struct Used {
    names: BTreeMap<Arc<str>, Uses>,
    /// By the target that hangs on others, with the name that it has now, or an empty one.
    held: BTreeMap<TargetNumber, (Arc<str>, Uses)>,
}

/// Something that a client used before its media.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Preceding {
    /// By what name, and when last; empty where nobody knows.
    pub(super) candidate: Candidate,
    /// The target that hangs on others, if it does.
    pub(super) held: Option<TargetNumber>,
}

/// See the module.
#[derive(Default)]
pub(super) struct Calls {
    uses: HashMap<Address, Used, RandomState>,
    /// Memory of `uses`.
    bytes: usize,
    waiting: HashMap<OpenFlow, Vec<AnonymousSums>, RandomState>,
    pieces: usize,
    dropped: u64,
}

impl Calls {
    /// Notes that a flow began by whose name one can call; `held` is its target where that hangs on
    /// others.
    /// What may turn out to be such a name (not `calls`) takes half of the room at most.
    pub(super) fn began(
        &mut self,
        client: Address,
        (name, held): (&str, Option<TargetNumber>),
        time: Timestamp,
        calls: bool,
    ) {
        if self.bytes >= if calls { USES_BYTES_MAX } else { USES_BYTES_MAX / 2 } {
            self.dropped += 1;
            return;
        }
        let bytes = &mut self.bytes;
        let Used { names, held: by_target } = self.uses.entry(client).or_insert_with(|| {
            *bytes += Used::BYTES;
            Used::default()
        });
        let uses = match (held, names.get_mut(name)) {
            (Some(target), _) => {
                let (known, uses) = by_target.entry(target).or_insert_with(|| {
                    *bytes += name_bytes(name);
                    (name.into(), Uses::new())
                });
                // Of several the first, whichever was heard of first.
                if *name < **known {
                    *bytes = *bytes + name_bytes(name) - name_bytes(known);
                    *known = name.into();
                }
                uses
            }
            (None, Some(uses)) => uses,
            (None, None) => {
                *bytes += name_bytes(name);
                names.entry(name.into()).or_default()
            }
        };
        *bytes += note_use(uses, time);
    }

    /// Notes the minutes of an hour in which such a flow had payload: each from its end on.
    pub(super) fn went_on(
        &mut self,
        client: Address,
        used: (&str, Option<TargetNumber>),
        hour: Hour,
        minutes: u64,
        calls: bool,
    ) {
        let ends = (0..60).filter(|&bit| minutes & 1 << bit != 0);
        for end in ends.map(|bit| Minute(hour.0 + bit + 1)) {
            self.began(client, used, Timestamp(i64::from(end.0) * NANOS_PER_MINUTE), calls);
        }
    }

    /// What the client used before `first`.
    pub(super) fn candidates(&mut self, client: Address, first: Timestamp) -> Vec<Preceding> {
        let Some(used) = self.uses.get(&client) else { return Vec::new() };
        let earliest = first.offset(-PRECEDES_NANOS);
        let latest = |uses: &Uses| {
            let mut stamps = uses.iter().rev().flat_map(|&(first, last)| [last, first]);
            stamps.find(|stamp| (earliest..=first).contains(stamp))
        };
        let names = used.names.iter().map(|(name, uses)| (name, uses, None));
        let held = used.held.iter().map(|(&target, (name, uses))| (name, uses, Some(target)));
        let mut found: Vec<Preceding> = names
            .chain(held)
            .filter_map(|(name, uses, held)| {
                let candidate = Candidate { name: (**name).into(), time: latest(uses)? };
                Some(Preceding { candidate, held })
            })
            .collect();
        self.dropped += found.len().saturating_sub(CANDIDATES_MAX) as u64;
        found.truncate(CANDIDATES_MAX);
        found
    }

    /// Targets have other numbers from now on.
    pub(super) fn renumber(&mut self, mut number: impl FnMut(TargetNumber) -> TargetNumber) {
        for used in self.uses.values_mut() {
            let held = std::mem::take(&mut used.held);
            used.held = held.into_iter().map(|(target, uses)| (number(target), uses)).collect();
        }
        self.bytes = self.uses.values().map(Used::bytes).sum();
    }

    /// Whether a flow waits.
    pub(super) fn is_waiting(&self, flow: &OpenFlow) -> bool {
        self.waiting.contains_key(flow)
    }

    /// Lets a piece of a flow wait. Says whether there was room.
    pub(super) fn wait(&mut self, flow: OpenFlow, piece: &AnonymousSums) -> bool {
        let may_be_new = self.waiting.len() < WAITING_MAX;
        if self.pieces >= PIECES_MAX || !may_be_new && !self.is_waiting(&flow) {
            self.dropped += 1;
            return false;
        }
        let pieces = self.waiting.entry(flow).or_default();
        pieces.reserve_exact(1);
        pieces.push(*piece);
        self.pieces += 1;
        true
    }

    /// The flows that have waited long enough at `horizon`, or all without one.
    pub(super) fn due(
        &mut self,
        horizon: Option<Timestamp>,
    ) -> Vec<(OpenFlow, Vec<AnonymousSums>)> {
        let until = horizon.map(|horizon| horizon.offset(-WAIT_NANOS));
        let is_due = |pieces: &[AnonymousSums]| match (until, pieces.first()) {
            (Some(until), Some(piece)) => piece.first_seen < until,
            _ => true,
        };
        let mut due: Vec<_> = self.waiting.extract_if(|_, pieces| is_due(pieces)).collect();
        due.sort_unstable_by_key(|(flow, _)| *flow);
        self.pieces -= due.iter().map(|(_, pieces)| pieces.len()).sum::<usize>();
        due
    }

    /// Forgets what is too long ago to precede anything that is still to come, or waits.
    pub(super) fn forget(&mut self, horizon: Timestamp) {
        let until = horizon.offset(-(PRECEDES_NANOS + 2 * WAIT_NANOS)).minute();
        let mut bytes = 0;
        self.uses.retain(|_, used| {
            let is_left = |uses: &mut Uses| {
                uses.retain(|(first, _)| first.minute() >= until);
                !uses.is_empty()
            };
            used.names.retain(|_, uses| is_left(uses));
            used.held.retain(|_, (_, uses)| is_left(uses));
            let is_any = !(used.names.is_empty() && used.held.is_empty());
            bytes += if is_any { used.bytes() } else { 0 };
            is_any
        });
        self.bytes = bytes;
    }

    /// Uses, candidates and flows left out since the last time this was asked.
    pub(super) fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }
}

impl Used {
    /// Memory of one without names.
    const BYTES: usize = 2 * (size_of::<(Address, Used)>() + 1);

    fn bytes(&self) -> usize {
        let held = self.held.values().map(|(name, uses)| name_bytes(name) + memory_of(uses));
        let names = self.names.iter().map(|(name, uses)| name_bytes(name) + memory_of(uses));
        Used::BYTES + names.chain(held).sum::<usize>()
    }
}

/// Memory of a name of a client, without when it was used.
fn name_bytes(name: &str) -> usize {
    footprint::tree(1, size_of::<(TargetNumber, (Arc<str>, Uses))>())
        + footprint::heap(2 * size_of::<usize>() + name.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{Endpoint, protocol};
    use crate::time::NANOS_PER_SECOND;
    use crate::usage::Sums;

    const CLIENT: Address = Address::v4([10, 0, 0, 1]);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_parts(1_000_000_000 + seconds, 0)
    }

    fn names(calls: &mut Calls, seconds: i64) -> Vec<(String, Timestamp)> {
        let found = calls.candidates(CLIENT, at(seconds));
        found
            .into_iter()
            .map(|Preceding { candidate, .. }| (candidate.name.into(), candidate.time))
            .collect()
    }

    fn piece(first: i64) -> AnonymousSums {
        let end = |address, port| Endpoint { address, port };
        AnonymousSums {
            life: 0,
            flow: 3,
            client: end(CLIENT, 5000),
            server: end(Address::v4([198, 18, 0, 1]), 3478),
            protocol: protocol::UDP,
            first_seen: at(first),
            hour: Hour(0),
            sums: Sums::default(),
            bucket: None,
            at_home: false,
            spoken: None,
            is_media: true,
            step: None,
            outer: None,
            begins: true,
            ended: false,
        }
    }

    #[test]
    fn what_began_up_to_ten_minutes_before_is_a_candidate() {
        let mut calls = Calls::default();
        calls.began(CLIENT, ("a.example", None), at(0), true);
        calls.began(CLIENT, ("b.example", None), at(100), true);
        calls.began(Address::v4([10, 0, 0, 2]), ("c.example", None), at(0), true);
        assert!(names(&mut calls, -1).is_empty());
        assert_eq!(names(&mut calls, 0), [("a.example".to_owned(), at(0))]);
        assert_eq!(names(&mut calls, 100).len(), 2);
        assert_eq!(names(&mut calls, 600).len(), 2);
        assert_eq!(names(&mut calls, 601), [("b.example".to_owned(), at(100))]);
        assert!(names(&mut calls, 701).is_empty());
    }

    #[test]
    fn minutes_count_from_their_end() {
        // 1,000,000,000 s is 40 s into its minute.
        let minute = at(0).minute();
        let hour = Hour(minute.0 - 5);
        let mut calls = Calls::default();
        calls.went_on(CLIENT, ("a.example", None), hour, 1 << 5, true);
        assert!(names(&mut calls, 19).is_empty());
        assert_eq!(names(&mut calls, 20).len(), 1);
        assert_eq!(names(&mut calls, 620).len(), 1);
        assert!(names(&mut calls, 621).is_empty());
    }

    #[test]
    fn what_hangs_on_others_is_remembered_by_its_target() {
        let mut calls = Calls::default();
        calls.began(CLIENT, ("b.example", Some(7)), at(0), true);
        calls.began(CLIENT, ("a.example", Some(7)), at(60), true);
        calls.began(CLIENT, ("", Some(9)), at(30), false);
        calls.began(CLIENT, ("a.example", None), at(20), true);
        let told = |calls: &mut Calls| {
            let found = calls.candidates(CLIENT, at(90)).into_iter();
            found.map(|found| (found.candidate.name, found.held)).collect::<Vec<_>>()
        };
        let expected = |other: u32, undecided: u32| {
            let name: Box<str> = "a.example".into();
            [(name.clone(), None), (name, Some(other)), ("".into(), Some(undecided))]
        };
        assert_eq!(told(&mut calls), expected(7, 9));
        calls.renumber(|target| target - 5);
        assert_eq!(told(&mut calls), expected(2, 4));
        assert_eq!(calls.bytes, calls.uses.values().map(Used::bytes).sum::<usize>());
        calls.forget(at(5000));
        assert!(calls.uses.is_empty() && calls.bytes == 0);
    }

    #[test]
    fn media_wait_and_their_pieces_stay_together() {
        let mut calls = Calls::default();
        // Slots are used again, also for flows with the same stamps.
        let key = |life| (0, 3, life);
        assert!(calls.wait(key(0), &piece(0)));
        assert!(calls.wait(key(60), &piece(60)));
        assert!(calls.wait(key(0), &piece(0)));
        let waited = at(0).offset(WAIT_NANOS);
        assert!(calls.due(Some(waited)).is_empty());
        let due = calls.due(Some(waited.offset(1)));
        assert_eq!(
            due.iter().map(|(flow, pieces)| (*flow, pieces.len())).collect::<Vec<_>>(),
            [(key(0), 2)]
        );
        assert!(calls.is_waiting(&key(60)) && !calls.is_waiting(&key(0)));
        assert_eq!(calls.due(None).len(), 1);
        assert_eq!(calls.pieces, 0);
    }

    #[test]
    fn what_is_long_ago_is_forgotten() {
        let mut calls = Calls::default();
        calls.began(CLIENT, ("a.example", None), at(0), true);
        calls.began(CLIENT, ("a.example", None), at(900), true);
        // 1,000,000,000 s is 40 s into its minute.
        let kept = at(0).offset(PRECEDES_NANOS + 2 * WAIT_NANOS);
        calls.forget(kept.offset(19 * NANOS_PER_SECOND));
        assert_eq!(calls.uses[&CLIENT].names["a.example"].len(), 2);
        calls.forget(kept.offset(20 * NANOS_PER_SECOND));
        assert_eq!(calls.uses[&CLIENT].names["a.example"].len(), 1);
        calls.forget(at(5000));
        assert!(calls.uses.is_empty());
    }
}
