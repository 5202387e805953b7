//! What DNS told anybody of an address: whether it serves several names.
//!
//! An address that served another name for one client may serve it for another, too, whose question
//! was not seen. So a name that a client's own answers give is certain only where nobody was given
//! another app's name for the same address, within [`SHARED_NANOS`] before.
//!
//! Bounded: names of an address by [`NAMES_MAX`], addresses by a limit; what is too old goes first.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::{LATE_NANOS, SHARED_MAX, SHARED_NAMES_BYTES_MAX};
use crate::footprint;
use crate::net::Address;
use crate::time::{NANOS_PER_SECOND, Timestamp};
use crate::usage::{NameId, NameTable};

/// How long an address counts as that of a name that was answered with it.
pub(super) const SHARED_NANOS: i64 = 24 * 3600 * NANOS_PER_SECOND;
/// How long it is not looked again for what has ceased to hold, where there is no room.
const PAUSE_NANOS: i64 = 60 * NANOS_PER_SECOND;
/// Names remembered of an address; one that has more is shared, whatever they are.
const NAMES_MAX: usize = 16;
/// Names remembered of all addresses.
const TOLD_MAX: usize = 1 << 19;
/// Memory of as many, without their text.
pub(super) const BYTES_MAX: usize = footprint::map(SHARED_MAX, size_of::<(Address, Vec<Told>)>())
    + footprint::map(SHARED_MAX, size_of::<(Address, Timestamp)>())
    + TOLD_MAX * size_of::<Told>()
    + SHARED_MAX * footprint::heap(1);

/// A name of an address.
struct Told {
    name: NameId,
    /// From when to when it holds, of late and before that.
    spans: [(Timestamp, Timestamp); 2],
}

/// See the module.
#[derive(Default)]
pub(super) struct Anybody {
    addresses: HashMap<Address, Vec<Told>, RandomState>,
    /// Names of all of them.
    told: usize,
    /// Addresses that had another name for which there was no room, and until when that holds.
    crowded: HashMap<Address, Timestamp, RandomState>,
    /// Whether there was no room for an address.
    was_full: bool,
    /// The latest answer.
    latest: Timestamp,
    /// Until then, there is no room to be had: nothing ceases to hold, or it was looked for shortly
    /// before. To look takes long.
    full_until: Timestamp,
}

impl Anybody {
    /// Notes that anybody's question for `name`, which is held in `names`, was answered with
    /// `address`. Says whether there was room.
    pub(super) fn answer(
        &mut self,
        address: Address,
        name: NameId,
        time: Timestamp,
        limit: usize,
        names: &mut NameTable,
    ) -> bool {
        self.latest = self.latest.max(time);
        if self.addresses.len() >= limit && !self.addresses.contains_key(&address) {
            self.was_full = true;
            if self.full_until < self.latest {
                self.forget_old(self.latest, names);
            }
            if self.addresses.len() >= limit {
                return false;
            }
        }
        let until = time.offset(SHARED_NANOS);
        let has_room = self.told < TOLD_MAX && names.bytes() <= SHARED_NAMES_BYTES_MAX;
        if !has_room && !self.addresses.contains_key(&address) {
            self.was_full = true;
            return false;
        }
        let told = self.addresses.entry(address).or_default();
        if let Some(known) = told.iter_mut().find(|known| known.name == name) {
            let [last, before] = &mut known.spans;
            if time > last.1 {
                (*before, *last) = (*last, (time, until));
            } else if until >= last.0 {
                *last = (time.min(last.0), until.max(last.1));
            } else {
                *before = (time, until);
            }
            return true;
        }
        if told.len() >= NAMES_MAX || !has_room {
            if self.crowded.len() < limit || self.crowded.contains_key(&address) {
                let known = self.crowded.entry(address).or_insert(until);
                *known = until.max(*known);
            } else {
                self.was_full = true;
            }
            return false;
        }
        self.told += 1;
        told.reserve_exact(1);
        told.push(Told { name: names.hold_again(name), spans: [(time, until); 2] });
        true
    }

    /// Whether nobody was given an address for any name, as far as was not
    /// [forgotten](Anybody::forget_old).
    pub(super) fn is_nobodys(&self, address: Address) -> bool {
        !self.was_full
            && !self.addresses.contains_key(&address)
            && !self.crowded.contains_key(&address)
    }

    /// The names that anybody was given for an address before a flow's first packet.
    pub(super) fn names(&self, address: Address, first: Timestamp) -> impl Iterator<Item = NameId> {
        let told = self.addresses.get(&address).map(Vec::as_slice).unwrap_or_default();
        let latest = first.offset(LATE_NANOS);
        told.iter()
            .filter(move |told| {
                told.spans.iter().any(|&(from, until)| from <= latest && first <= until)
            })
            .map(|told| told.name)
    }

    /// The names that anybody was given for an address from `from` to `to`; of more than two spells
    /// of them, those between are one.
    pub(super) fn names_between(
        &self,
        address: Address,
        from: Timestamp,
        to: Timestamp,
    ) -> impl Iterator<Item = NameId> {
        let told = self.addresses.get(&address).map(Vec::as_slice).unwrap_or_default();
        told.iter()
            .filter(move |told| {
                told.spans
                    .iter()
                    .any(|&(first, until)| first <= to && until.offset(-SHARED_NANOS) >= from)
            })
            .map(|told| told.name)
    }

    /// Forgets names that no flow may have that begins after `now`.
    pub(super) fn forget_old(&mut self, now: Timestamp, names: &mut NameTable) {
        self.crowded.retain(|_, until| *until >= now);
        let (mut earliest, count) = (Timestamp::MAX, &mut self.told);
        self.addresses.retain(|_, told| {
            told.retain(|told| {
                let holds = told.spans[0].1 >= now;
                if !holds {
                    names.release(told.name);
                    *count -= 1;
                }
                holds
            });
            // All of them, so that there is room for another address.
            let until = told.iter().map(|told| told.spans[0].1).max();
            earliest = earliest.min(until.unwrap_or(earliest));
            until.is_some()
        });
        self.full_until = earliest.max(self.latest.offset(PAUSE_NANOS));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: i64) -> Timestamp {
        Timestamp(1_000_000_000_000_000_000 + hours * 3600 * NANOS_PER_SECOND)
    }

    fn address(n: u8) -> Address {
        Address::v4([198, 51, 100, n])
    }

    #[test]
    fn names_hold_a_day_and_those_of_long_ago_go_first() {
        let (mut anybody, mut names) = (Anybody::default(), NameTable::default());
        let name = names.hold("a.example");
        let mut tell = |anybody: &mut Anybody, n, hours| {
            anybody.answer(address(n), name, at(hours), 2, &mut names)
        };
        assert!(tell(&mut anybody, 1, 0));
        let known = |anybody: &Anybody, n, hours| anybody.names(address(n), at(hours)).count();
        assert_eq!([0, 24, 25].map(|hours| known(&anybody, 1, hours)), [1, 1, 0]);
        assert_eq!(anybody.names(address(1), at(0).offset(-LATE_NANOS - 1)).count(), 0);
        // A later answer does not undo the one before.
        assert!(tell(&mut anybody, 1, 40));
        assert_eq!([10, 30, 50].map(|hours| known(&anybody, 1, hours)), [1, 0, 1]);
        assert!(tell(&mut anybody, 2, 70) && tell(&mut anybody, 3, 71));
        assert_eq!((known(&anybody, 1, 50), known(&anybody, 2, 71)), (0, 1));
        assert!(!tell(&mut anybody, 4, 72));
    }

    #[test]
    fn an_address_that_was_told_is_nobodys_once_all_its_names_are_too_old() {
        let (mut anybody, mut names) = (Anybody::default(), NameTable::default());
        let mut tell = |anybody: &mut Anybody, n, name: usize, hours| {
            let name = names.hold(&format!("{name}.example"));
            anybody.answer(address(n), name, at(hours), 8, &mut names)
        };
        assert!(anybody.is_nobodys(address(1)));
        for name in 0..NAMES_MAX {
            assert!(tell(&mut anybody, 1, name, 0));
        }
        // There is no room for this one, but somebody was told it.
        assert!(!tell(&mut anybody, 1, NAMES_MAX, 10));
        assert!(tell(&mut anybody, 2, 0, 0));
        let nobodys = |anybody: &Anybody| [1, 2, 3].map(|n| anybody.is_nobodys(address(n)));
        assert_eq!(nobodys(&anybody), [false, false, true]);
        anybody.forget_old(at(25), &mut names);
        assert_eq!(nobodys(&anybody), [false, true, true]);
        anybody.forget_old(at(35), &mut names);
        assert_eq!(nobodys(&anybody), [true; 3]);
        // Where there was no room for addresses, nothing can be said of any.
        for n in 0..9 {
            let name = names.hold("a.example");
            assert_eq!(anybody.answer(address(n), name, at(40), 8, &mut names), n < 8);
        }
        assert!(!anybody.is_nobodys(address(200)));
    }
}
