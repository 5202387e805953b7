//! Sums of traffic: what a worker gathers between two ticks.
//!
//! A sum is keyed by (client, name, hour of the packets' own stamps), so that the moment at which
//! it is handed on changes nothing in the result. Hostnames are interned once a worker: a flow and
//! a sum hold small numbers, and a name goes when nobody holds it any more.

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use std::hash::{BuildHasher, Hash};

use crate::flow::memory::prefetch;
use crate::net::Address;
use crate::observation::NameSource;
use crate::time::{Hour, Timestamp};

/// How many sums ahead [`SumsTable::expect`] is told of those to come.
pub const AHEAD: usize = 12;
/// Sums (client, name, hour) a worker gathers before it sends an early part.
pub const SUMS_MAX: usize = 262_144;
/// Hostnames a worker holds between two ticks before it folds new ones.
pub const NAMES_MAX: usize = 65_536;
/// Bytes of their text, at which new ones are folded, too: names have 25 as a rule.
pub const NAMES_BYTES_MAX: usize = 6 << 20;
/// Sums for which there is always room.
const ROOM_MIN: usize = 1024;

/// What is taken for the load of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadRule {
    /// A silence of so many seconds between two beginnings ends it.
    pub silence_seconds: u8,
    /// After so many seconds it is over, also where something always begins.
    pub load_seconds: u8,
    /// From so many bytes on an answer on a connection that was silent is a page.
    pub page_bytes: u32,
}

/// The rules that [`Sums::followed`] is kept for, of which a report takes one: the usual one, and
/// those that differ from it in one value. All of them are applied while traffic is read, since the
/// moments of beginnings, of which they are made, are not kept.
pub const LOAD_RULES: [LoadRule; 9] = {
    const fn rule(silence_seconds: u8, load_seconds: u8, page_bytes: u32) -> LoadRule {
        LoadRule { silence_seconds, load_seconds, page_bytes }
    }
    [
        rule(1, 15, 10_000),
        rule(2, 15, 10_000),
        rule(5, 15, 10_000),
        rule(2, 5, 10_000),
        rule(2, 30, 10_000),
        rule(2, 60, 10_000),
        rule(2, 15, 5_000),
        rule(2, 15, 20_000),
        rule(2, 15, 50_000),
    ]
};
/// The least answer that is a page by any of them.
pub const PAGE_BYTES_MIN: u32 = {
    let (mut least, mut at) = (u32::MAX, 0);
    while at < LOAD_RULES.len() {
        if LOAD_RULES[at].page_bytes < least {
            least = LOAD_RULES[at].page_bytes;
        }
        at += 1;
    }
    least
};
/// [`LOAD_RULES`].
pub const RULES: u32 = LOAD_RULES.len() as u32;
/// Where in [`Sums::followed`] the bits of flows begin that followed whatever the catalogue learns.
pub const FOLLOWED_ANYHOW: u32 = 16;
/// Bytes from the client behind its hello that [`Sums::quarters`] is kept for; or ten times as many
/// both ways. A report takes one of them.
pub const QUARTER_BYTES_UP: [u16; 4] = [350, 700, 1400, 3750];
/// Where in [`Sums::unfollowed`] the bits of flows begin that followed nobody whatever the catalogue
/// learns.
pub const ANYHOW: u32 = BESIDE * RULES;
/// Of [`QUARTER_BYTES_UP`], those that [`Sums::unfollowed`] is kept for: the first.
pub const BESIDE: u32 = 3;
const _: () = assert!(RULES <= FOLLOWED_ANYHOW && 2 * ANYHOW < 64);
/// Values of [`QUARTER_BYTES_UP`].
pub const LEVELS: u32 = QUARTER_BYTES_UP.len() as u32;
/// Quarter-hours in an hour.
pub const QUARTERS: u32 = 4;

/// A sum of traffic within one hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sums {
    /// Flows that began in the hour.
    pub connections: u64,
    /// Flows without an answer, or reset before one.
    pub attempts_failed: u64,
    /// Flows in which both sides spoke.
    pub handshakes: u64,
    /// DNS questions for the target.
    pub dns_queries: u64,
    /// Bytes from client to server.
    pub bytes_up: u64,
    /// Bytes from server to client.
    pub bytes_down: u64,
    /// Bit i: payload from the client in minute i of the hour, see [`Hour::bit`].
    pub minutes_up: u64,
    /// Bit i: payload from the server in that minute.
    pub minutes_down: u64,
    /// Bit i: a flow began in that minute.
    pub minutes_begun: u64,
    /// Bit i: a flow began while a page of another site was loading, by [`LOAD_RULES`]`[i]`; or had
    /// begun so in an earlier hour, and went on in this. From [`FOLLOWED_ANYHOW`] on the same of flows
    /// of which no name that is learned later can say otherwise.
    pub followed: u64,
    /// Bit `3 * i + l`: an answered flow that had not begun so, by [`LOAD_RULES`]`[i]`, had
    /// [`QUARTER_BYTES_UP`]`[l]` bytes from the client behind its hello in the hour, or ten times as
    /// many both ways. From [`ANYHOW`] on the same of flows of which no name that is learned later
    /// can say otherwise.
    pub unfollowed: u64,
    /// The most bytes that a client sent behind its hello in one answered flow of the hour.
    pub flow_up_max: u64,
    /// The most bytes both ways behind the hello in one answered flow of the hour.
    pub flow_bytes_max: u64,
    /// Bit `4 * i + q`: in quarter-hour q an answered flow had payload both ways within a minute,
    /// and since the hour or its hello [`QUARTER_BYTES_UP`]`[i]` bytes from the client, or ten times
    /// as many both ways. Handshakes alone set no bit.
    pub quarters: u64,
    /// Of the flows, those whose bytes belong to another bucket than their name's.
    pub elsewhere_flows: u64,
    /// Of the bytes, those of such flows.
    pub elsewhere_bytes: u64,
    /// Stamp of the first packet.
    pub first_seen: Timestamp,
    /// Stamp of the last packet.
    pub last_seen: Timestamp,
}

impl Default for Sums {
    /// Nothing, which changes no sum that it is added to.
    fn default() -> Sums {
        Sums {
            connections: 0,
            attempts_failed: 0,
            handshakes: 0,
            dns_queries: 0,
            bytes_up: 0,
            bytes_down: 0,
            minutes_up: 0,
            minutes_down: 0,
            minutes_begun: 0,
            followed: 0,
            unfollowed: 0,
            flow_up_max: 0,
            flow_bytes_max: 0,
            quarters: 0,
            elsewhere_flows: 0,
            elsewhere_bytes: 0,
            first_seen: Timestamp::MAX,
            last_seen: Timestamp::MIN,
        }
    }
}

impl Sums {
    /// Adds what another sum of the same hour holds.
    pub fn add(&mut self, other: &Sums) {
        self.connections += other.connections;
        self.attempts_failed += other.attempts_failed;
        self.handshakes += other.handshakes;
        self.dns_queries += other.dns_queries;
        self.bytes_up += other.bytes_up;
        self.bytes_down += other.bytes_down;
        self.minutes_up |= other.minutes_up;
        self.minutes_down |= other.minutes_down;
        self.minutes_begun |= other.minutes_begun;
        self.followed |= other.followed;
        self.unfollowed |= other.unfollowed;
        self.flow_up_max = self.flow_up_max.max(other.flow_up_max);
        self.flow_bytes_max = self.flow_bytes_max.max(other.flow_bytes_max);
        self.quarters |= other.quarters;
        self.elsewhere_flows += other.elsewhere_flows;
        self.elsewhere_bytes += other.elsewhere_bytes;
        self.first_seen = self.first_seen.min(other.first_seen);
        self.last_seen = self.last_seen.max(other.last_seen);
    }

    /// Whether there is more than a question for the name.
    pub fn has_traffic(&self) -> bool {
        self.connections > 0 || self.attempts_failed > 0 || self.bytes() > 0
    }

    /// Minutes with payload both ways.
    pub fn active_minutes(&self) -> u64 {
        u64::from((self.minutes_up & self.minutes_down).count_ones())
    }

    /// Bytes both ways.
    pub fn bytes(&self) -> u64 {
        self.bytes_up + self.bytes_down
    }
}

/// The bits of [`Sums::quarters`] for a minute with payload both ways, by its bit in the hour, of a
/// flow that had so many bytes behind its hello.
pub fn quarter_bits(minute_bit: u64, bytes_up: u64, bytes_both: u64) -> u64 {
    if minute_bit == 0 {
        return 0;
    }
    let quarter = minute_bit.trailing_zeros() / (60 / QUARTERS);
    let levels = levels(bytes_up, bytes_both).into();
    (0..levels).fold(0, |bits, level| bits | 1 << (QUARTERS * level + quarter))
}

/// How many of [`QUARTER_BYTES_UP`] a flow reaches that had so many bytes behind its hello.
pub fn levels(bytes_up: u64, bytes_both: u64) -> u8 {
    let reached = |least: &u64| bytes_up >= *least || bytes_both >= 10 * *least;
    QUARTER_BYTES_UP.into_iter().map(u64::from).take_while(reached).count() as u8
}

/// The bits of [`Sums::unfollowed`] of a flow that reached so many levels, for the rules by which it
/// did not follow; `followed` has a bit for each by which it did.
pub fn unfollowed_bits(levels: u8, followed: u64) -> u64 {
    let bits = (1 << levels.min(BESIDE as u8)) - 1;
    let not = (0..RULES).filter(|rule| followed >> rule & 1 == 0);
    not.fold(0, |all, rule| all | bits << (BESIDE * rule))
}

/// The number of a name in a [`NameTable`].
pub type NameId = u32;

/// Hostnames, each kept once and counted by its holders.
pub struct NameTable {
    index: HashTable<NameId>,
    names: Vec<(Box<str>, u32)>,
    free: Vec<NameId>,
    text_bytes: usize,
    hasher: RandomState,
}

impl Default for NameTable {
    fn default() -> NameTable {
        NameTable {
            index: HashTable::new(),
            names: Vec::new(),
            free: Vec::new(),
            text_bytes: 0,
            hasher: RandomState::default(),
        }
    }
}

impl NameTable {
    /// What a name takes of memory beside its text: its place in the list, in the index, and in the
    /// list of those that are free, and what the allocator adds.
    pub const ENTRY_BYTES: usize = size_of::<(Box<str>, u32)>() + 3 * size_of::<NameId>() + 24;

    /// Memory of all names, but for places of those that are gone.
    pub fn bytes(&self) -> usize {
        self.text_bytes + self.len() * NameTable::ENTRY_BYTES
    }

    /// Bytes of the text of all names.
    pub fn text_bytes(&self) -> usize {
        self.text_bytes
    }

    /// Names held now.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether no name is held.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// All numbers are below this.
    pub fn numbers(&self) -> usize {
        self.names.len()
    }

    /// The number of `name`, which the caller holds from now on.
    pub fn hold(&mut self, name: &str) -> NameId {
        let hash = self.hasher.hash_one(name);
        let names = &self.names;
        let known = self.index.find(hash, |&id| &*names[id as usize].0 == name).copied();
        if let Some(id) = known {
            self.names[id as usize].1 += 1;
            return id;
        }
        self.text_bytes += name.len();
        let id = match self.free.pop() {
            Some(id) => {
                self.names[id as usize] = (name.into(), 1);
                id
            }
            None => {
                self.names.push((name.into(), 1));
                (self.names.len() - 1) as NameId
            }
        };
        let (names, hasher) = (&self.names, &self.hasher);
        self.index.insert_unique(hash, id, |&id| hasher.hash_one(&*names[id as usize].0));
        id
    }

    /// The number of `name`, where anybody holds it.
    pub fn find(&self, name: &str) -> Option<NameId> {
        let is_it = |&id: &NameId| &*self.names[id as usize].0 == name;
        self.index.find(self.hasher.hash_one(name), is_it).copied()
    }

    /// The text of a name that somebody holds.
    pub fn text(&self, id: NameId) -> &str {
        &self.names[id as usize].0
    }

    /// One more holder of a name that is held.
    pub fn hold_again(&mut self, id: NameId) -> NameId {
        self.names[id as usize].1 += 1;
        id
    }

    /// One holder less; the last one takes the name along.
    pub fn release(&mut self, id: NameId) {
        let (name, holders) = &mut self.names[id as usize];
        *holders -= 1;
        if *holders > 0 {
            return;
        }
        let hash = self.hasher.hash_one(&**name);
        self.text_bytes -= name.len();
        *name = Box::default();
        if let Ok(entry) = self.index.find_entry(hash, |&other| other == id) {
            entry.remove();
        }
        self.free.push(id);
    }
}

/// What a sum is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UsageKey {
    /// The client's address.
    pub client: Address,
    /// The name, in the worker's table.
    pub name: NameId,
    /// The hour.
    pub hour: Hour,
    /// Where the name came from.
    pub source: NameSource,
    /// Which bucket the bytes belong to if it is not the name that decides, as a number; see
    /// `worker::account`.
    pub bucket: u8,
    /// Whether both ends are at home, where it is not the name that decides.
    pub at_home: bool,
}

/// What questions are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct QuestionKey {
    /// The client's address.
    pub client: Address,
    /// The name, in the worker's table.
    pub name: NameId,
    /// The hour.
    pub hour: Hour,
}

/// Questions for a name: of [`Sums`] what they have. There are as many sums of them as of flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Questions {
    /// How many.
    pub count: u64,
    /// Stamp of the first.
    pub first_seen: Timestamp,
    /// Stamp of the last.
    pub last_seen: Timestamp,
}

impl Default for Questions {
    /// None, which changes no sum that it is added to.
    fn default() -> Questions {
        Questions { count: 0, first_seen: Timestamp::MAX, last_seen: Timestamp::MIN }
    }
}

impl Questions {
    /// Adds a question.
    pub fn add(&mut self, time: Timestamp) {
        self.count += 1;
        self.first_seen = self.first_seen.min(time);
        self.last_seen = self.last_seen.max(time);
    }

    /// Adds them to a sum of traffic, of which they have none.
    pub fn add_to(&self, sums: &mut Sums) {
        sums.dns_queries += self.count;
        sums.first_seen = self.first_seen.min(sums.first_seen);
        sums.last_seen = self.last_seen.max(sums.last_seen);
    }
}

/// Sums by key, in the order in which their keys came. The table of places is apart from the rows,
/// so that it stays small, and no row moves when it grows.
pub struct SumsTable<K, S = Sums> {
    index: HashTable<u32>,
    rows: Vec<(K, S)>,
    hasher: RandomState,
}

impl<K, S> Default for SumsTable<K, S> {
    fn default() -> SumsTable<K, S> {
        SumsTable { index: HashTable::new(), rows: Vec::new(), hasher: RandomState::default() }
    }
}

impl<K: Copy + Eq + Hash, S: Default> SumsTable<K, S> {
    /// A table without sums. Those to come are kept in `room`, which is empty.
    pub fn with_room(room: Vec<(K, S)>) -> SumsTable<K, S> {
        debug_assert!(room.is_empty());
        SumsTable { rows: room, ..SumsTable::default() }
    }

    /// The sum of `key`, and whether it is new.
    pub fn entry(&mut self, key: K) -> (&mut S, bool) {
        let Some((at, is_new)) = self.place(key, || true) else {
            unreachable!("a sum that may be new is there")
        };
        (&mut self.rows[at as usize].1, is_new)
    }

    /// As [`SumsTable::entry`], with a new sum only if `may_be_new` says so when it is asked.
    pub fn entry_if(
        &mut self,
        key: K,
        may_be_new: impl FnOnce() -> bool,
    ) -> Option<(&mut S, bool)> {
        let (at, is_new) = self.place(key, may_be_new)?;
        Some((&mut self.rows[at as usize].1, is_new))
    }

    /// Which row is `key`'s, and whether it is new.
    #[inline]
    fn place(&mut self, key: K, may_be_new: impl FnOnce() -> bool) -> Option<(u32, bool)> {
        let hash = self.hasher.hash_one(key);
        let (rows, hasher) = (&self.rows, &self.hasher);
        let is_it = |&at: &u32| rows[at as usize].0 == key;
        let hash_of = |&at: &u32| hasher.hash_one(rows[at as usize].0);
        match self.index.entry(hash, is_it, hash_of) {
            Entry::Occupied(known) => Some((*known.get(), false)),
            Entry::Vacant(place) => {
                if !may_be_new() {
                    return None;
                }
                let at = self.rows.len() as u32;
                place.insert(at);
                self.rows.push((key, S::default()));
                Some((at, true))
            }
        }
    }

    /// Asks for the memory of `key`'s sum, which is wanted soon: with as many sums as there are, most
    /// are far away, and several are fetched in the time of one.
    pub fn expect(&self, key: &K) {
        // Whose the first place is hardly matters: it is nearly always the right one.
        let fetch = |&at: &u32| {
            let (key, sums) = &self.rows[at as usize];
            prefetch(key);
            prefetch(sums);
            true
        };
        self.index.find(self.hasher.hash_one(key), fetch);
    }

    /// The sum of `key`, where there is one.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut S> {
        let rows = &self.rows;
        let is_it = |&at: &u32| rows[at as usize].0 == *key;
        let at = *self.index.find(self.hasher.hash_one(key), is_it)?;
        Some(&mut self.rows[at as usize].1)
    }

    /// All sums.
    pub fn rows(&self) -> &[(K, S)] {
        &self.rows
    }

    /// Sums held.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no sum.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Takes all sums out. Those to come are kept in `room`, which is empty.
    pub fn take(&mut self, room: Vec<(K, S)>) -> Vec<(K, S)> {
        debug_assert!(room.is_empty());
        self.index.clear();
        std::mem::replace(&mut self.rows, room)
    }

    /// Forgets all sums, and keeps the room for about as many.
    pub fn clear(&mut self) {
        if self.rows.capacity() > 4 * self.rows.len().max(ROOM_MIN) {
            *self = SumsTable::default();
        } else {
            self.index.clear();
            self.rows.clear();
        }
    }

    /// Takes out those whose key `wanted` takes.
    pub fn take_if(&mut self, mut wanted: impl FnMut(&K) -> bool) -> Vec<(K, S)> {
        let taken = self.rows.extract_if(.., |(key, _)| wanted(key)).collect();
        let (rows, hasher) = (&self.rows, &self.hasher);
        let hash_of = |&at: &u32| hasher.hash_one(rows[at as usize].0);
        self.index.clear();
        for at in 0..rows.len() as u32 {
            self.index.insert_unique(hash_of(&at), at, hash_of);
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_lives_as_long_as_its_holders() {
        let mut names = NameTable::default();
        let slack = names.hold("slack.com");
        assert_eq!(names.hold("slack.com"), slack);
        let box_ = names.hold("box.com");
        names.release(slack);
        assert_eq!(names.text(slack), "slack.com");
        names.release(slack);
        assert_eq!((names.len(), names.text(box_)), (1, "box.com"));
        // Its number may serve another name now.
        let other = names.hold("zoom.us");
        assert_eq!((names.text(other), names.len()), ("zoom.us", 2));
    }

    #[test]
    fn sums_are_kept_by_key() {
        let mut table = SumsTable::<UsageKey>::default();
        let key = |name| UsageKey {
            client: Address::v4([10, 0, 0, 1]),
            name,
            hour: Hour(0),
            source: NameSource::Sni,
            bucket: 0,
            at_home: false,
        };
        table.entry(key(1)).0.bytes_up += 5;
        table.entry(key(2)).0.bytes_up += 7;
        let (sums, is_new) = table.entry(key(1));
        sums.bytes_up += 5;
        assert!(!is_new);
        let rows = table.take(Vec::new());
        assert_eq!(rows.iter().map(|(_, sums)| sums.bytes_up).collect::<Vec<_>>(), [10, 7]);
        assert!(table.is_empty());
    }

    #[test]
    fn what_is_left_is_found_again() {
        let mut table = SumsTable::<u32>::default();
        for key in 0..1000 {
            table.entry(key).0.bytes_up = key.into();
        }
        let odd = table.take_if(|key| key % 2 == 1);
        assert!(odd.iter().all(|(key, sums)| key % 2 == 1 && sums.bytes_up == u64::from(*key)));
        assert_eq!((odd.len(), table.len()), (500, 500));
        for key in (0..1000).step_by(2) {
            let (sums, is_new) = table.entry(key);
            assert_eq!((sums.bytes_up, is_new), (key.into(), false));
        }
        assert!(table.entry(1).1);
        table.clear();
        assert!(table.is_empty() && table.entry(0).1);
    }

    #[test]
    fn a_quarter_hour_counts_with_payload_beyond_a_handshake() {
        assert_eq!(quarter_bits(1, 340, 3400), 0);
        assert_eq!(quarter_bits(1, 350, 350), 0b1);
        assert_eq!(quarter_bits(1 << 15, 0, 7000), 0b10_0010);
        assert_eq!(quarter_bits(1 << 59, 5000, 5000), 0b1000_1000_1000_1000);
        assert_eq!(quarter_bits(0, 5000, 5000), 0);
    }

    #[test]
    fn a_minute_counts_once() {
        let mut sums = Sums::default();
        let one = Sums { minutes_up: 0b0111, minutes_down: 0b1010, ..Sums::default() };
        sums.add(&one);
        sums.add(&one);
        assert_eq!(sums.active_minutes(), 1);
        // Payload one way and payload the other way may come from different flows.
        sums.add(&Sums { minutes_down: 0b0001, ..Sums::default() });
        assert_eq!(sums.active_minutes(), 2);
    }
}
