//! Which names DNS gave for an address, to whom and when: the memory that names flows without a
//! name of their own.
//!
//! Bounded: a ring of answers, of which the oldest is dropped for a new one. Now and then it is
//! tidied ([`NameCache::tidy`]), so that it holds what is asked in some minutes and not what was asked
//! since the beginning. Keeps question names only, never the targets of aliases, since those say who
//! hosts and not what is used.

mod anybody;
mod links;

use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use anybody::Anybody;
use links::Links;

use crate::footprint;
use crate::net::{Address, Mac};
use crate::time::{NANOS_PER_SECOND, Timestamp};
use crate::usage::{NameId, NameTable};

/// Answers remembered.
pub const ANSWERS_MAX: usize = 1 << 20;
/// How much later than a flow's first packet its answer may be stamped.
pub const LATE_NANOS: i64 = NANOS_PER_SECOND / 10;
/// An answer holds at least this long, whatever its TTL: browsers keep addresses.
const HOLDS_SECONDS_MIN: u32 = 5 * 60;
/// An answer holds at most this long.
const HOLDS_SECONDS_MAX: u32 = 24 * 3600;
/// Answers older than this that say the same are made one: by then, the flows of that time are named.
const EXACT_NANOS: i64 = 3 * 60 * NANOS_PER_SECOND;
/// An answer is forgotten so long after it has ceased to hold: flows are told of late, but no later.
const FORGOTTEN_NANOS: i64 = 3600 * NANOS_PER_SECOND;
/// Answers that are not worth tidying: 4 MiB.
const UNTIDY_MAX: usize = 1 << 16;
/// Candidates for one flow.
pub const CANDIDATES_MAX: usize = 16;
/// Answers looked through for one client and address.
const CHAIN_MAX: usize = 256;
/// Memory of all names, and of those of addresses that anybody was told: some 500,000 as names are.
const NAMES_BYTES_MAX: usize = 48 << 20;
const SHARED_NAMES_BYTES_MAX: usize = NAMES_BYTES_MAX / 4 * 3;
/// Addresses of which it is remembered what anybody was told.
const SHARED_MAX: usize = 7 << 15;
/// Addresses that ask, and those that answer: what a table of 2^18 places takes of each.
const ASKERS_MAX: usize = 7 << 15;
/// Addresses that ask DNS for others, looked through for one flow.
const FORWARDERS_MAX: usize = 16;

const NONE: u32 = u32::MAX;
/// Memory that a cache takes at most.
pub const BYTES_MAX: usize = ANSWERS_MAX * size_of::<Remembered>()
    + footprint::map(ANSWERS_MAX, size_of::<u32>())
    + NAMES_BYTES_MAX
    + links::BYTES_MAX
    + footprint::map(ASKERS_MAX, size_of::<Address>())
    + footprint::map(ASKERS_MAX, size_of::<(Address, Timestamp)>())
    + anybody::BYTES_MAX;
/// In the place of an older answer: a later one says all that this one does.
const ABSORBED: u32 = u32::MAX - 1;

/// An address that DNS gave for a question, once or, where `since` is earlier than `time`, again and
/// again while it held.
#[derive(Clone, Copy, Debug)]
struct Remembered {
    client: Address,
    address: Address,
    since: Timestamp,
    time: Timestamp,
    /// Behind `time`.
    ttl_seconds: u32,
    name: NameId,
    /// The answer before this one for the same client and address; its place may have been taken
    /// by a newer one since.
    older: u32,
    /// The number of this answer among all.
    serial: u32,
}

const _: () = assert!(size_of::<Remembered>() <= 64);

impl Remembered {
    fn is_same_as(&self, other: &Remembered) -> bool {
        (self.client, self.address, self.name) == (other.client, other.address, other.name)
    }

    /// When it ceases to hold.
    fn until(&self) -> Timestamp {
        let holds = self.ttl_seconds.clamp(HOLDS_SECONDS_MIN, HOLDS_SECONDS_MAX);
        self.time.offset(i64::from(holds) * NANOS_PER_SECOND)
    }

    /// Takes in an earlier one that says the same.
    fn absorb(&mut self, earlier: &Remembered) {
        let until = self.until().max(earlier.until());
        self.since = self.since.min(earlier.since);
        let seconds = until.nanos_since(self.time).unsigned_abs().div_ceil(NANOS_PER_SECOND as u64);
        self.ttl_seconds = u32::try_from(seconds).unwrap_or(HOLDS_SECONDS_MAX);
    }
}

/// A name that a flow may have had in mind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The question's name.
    pub name: Box<str>,
    /// When it was answered last before the flow.
    pub time: Timestamp,
}

/// Which step found the candidates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Answers to the flow's client address.
    Client,
    /// Answers to another address of the same client.
    Link,
    /// Answers to an address that asks for others.
    Forwarder,
}

/// See the module.
pub struct NameCache {
    ring: Vec<Remembered>,
    next: usize,
    index: HashTable<u32>,
    names: NameTable,
    hasher: RandomState,
    links: Links,
    resolvers: HashSet<Address, RandomState>,
    /// When each address was answered first.
    askers: HashMap<Address, Timestamp, RandomState>,
    anybody: Anybody,
    forwarders: Vec<Address>,
    last_pair: (Address, Address),
    limit: usize,
    serial: u32,
    evicted: u64,
    dropped: u64,
    /// The latest answers that are not in the index.
    unindexed: usize,
    /// Answers that held later than this are all remembered.
    complete_since: Timestamp,
    /// The latest answers that nobody's memory of [`Anybody`] has.
    untold: usize,
    /// Answers that came since all were tidied, and how many may come before they are again.
    untidy: usize,
    untidy_max: usize,
}

impl Default for NameCache {
    fn default() -> NameCache {
        NameCache::new(ANSWERS_MAX)
    }
}

impl NameCache {
    /// Remembers at most `limit` answers.
    pub fn new(limit: usize) -> NameCache {
        NameCache {
            // Memory that is not touched costs nothing, and that which grows is copied.
            ring: Vec::with_capacity(limit.clamp(1, 4 * UNTIDY_MAX)),
            next: 0,
            index: HashTable::new(),
            names: NameTable::default(),
            hasher: RandomState::default(),
            links: Links::default(),
            resolvers: HashSet::default(),
            askers: HashMap::default(),
            anybody: Anybody::default(),
            forwarders: Vec::new(),
            last_pair: Default::default(),
            limit: limit.clamp(1, ANSWERS_MAX),
            serial: 0,
            evicted: 0,
            dropped: 0,
            unindexed: 0,
            complete_since: Timestamp::default(),
            untold: 0,
            untidy: 0,
            untidy_max: UNTIDY_MAX,
        }
    }

    /// Holds a name for [`NameCache::answer`], until [`NameCache::release`].
    pub fn hold(&mut self, name: &str) -> NameId {
        self.names.hold(name)
    }

    /// The caller is done with a name.
    pub fn release(&mut self, name: NameId) {
        self.names.release(name);
    }

    /// Remembers that `resolver` answered `client`'s question for `name` with `address`.
    pub fn answer(
        &mut self,
        client: Address,
        resolver: Address,
        address: Address,
        name: NameId,
        time: Timestamp,
        ttl_seconds: u32,
    ) {
        self.note_forwarder(client, resolver, time);
        // The same answer again, in the other message of a pair.
        let last = self.ring.len().checked_sub(1).map(|end| match self.next {
            0 => end,
            next => next - 1,
        });
        if let Some(last) = last.and_then(|last| self.ring.get_mut(last))
            && (last.client, last.address, last.name, last.time) == (client, address, name, time)
        {
            last.ttl_seconds = last.ttl_seconds.max(ttl_seconds);
            return;
        }
        let name = self.names.hold_again(name);
        let serial = self.serial;
        self.serial = self.serial.wrapping_add(1);
        let fresh = Remembered {
            client,
            address,
            since: time,
            time,
            ttl_seconds,
            name,
            older: NONE,
            serial,
        };
        if self.ring.len() < self.limit {
            self.ring.push(fresh);
        } else {
            self.forget(self.next);
            self.ring[self.next] = fresh;
            self.next = (self.next + 1) % self.limit;
        }
        self.unindexed = (self.unindexed + 1).min(self.limit);
        self.untold += 1;
        if self.untold >= self.limit {
            self.tell_anybody();
        }
        self.untidy += 1;
    }

    /// Where as many answers have come as there were, makes those one that say the same, and forgets
    /// those that have ceased to hold long before `now`.
    ///
    /// Which names a flow may have had in mind that began at most three minutes before `now`, and which
    /// was answered last before it, is not changed by that.
    pub fn tidy(&mut self, now: Timestamp) {
        let is_full = self.names.bytes() > NAMES_BYTES_MAX;
        if self.untidy < self.untidy_max && !is_full {
            return;
        }
        self.tell_anybody();
        // The oldest first; what is told late is so rare that there is nearly nothing to do.
        self.ring.sort_by_key(|known| known.time);
        self.absorb(now.offset(-EXACT_NANOS));
        let forgotten = now.offset(-FORGOTTEN_NANOS);
        // Whatever is in the ring is there, too: a name counts longer than any answer holds.
        self.anybody.forget_old(forgotten, &mut self.names);
        self.complete_since = self.complete_since.max(forgotten);
        let (ring, names) = (&mut self.ring, &mut self.names);
        ring.retain(|known| {
            let is_kept = known.older != ABSORBED && known.until() >= forgotten;
            if !is_kept {
                names.release(known.name);
            }
            is_kept
        });
        // What is told of addresses leaves room for some.
        while names.bytes() > NAMES_BYTES_MAX && !ring.is_empty() {
            for known in ring.drain(..ring.len().div_ceil(2)) {
                names.release(known.name);
                self.evicted += 1;
                self.complete_since = self.complete_since.max(known.until());
            }
        }
        for (serial, known) in ring.iter_mut().enumerate() {
            (known.serial, known.older) = (serial as u32, NONE);
        }
        self.serial = ring.len() as u32;
        self.unindexed = ring.len();
        self.untidy_max = ring.len().max(UNTIDY_MAX);
        (self.next, self.untidy) = (0, 0);
        self.index.clear();
    }

    /// Lets answers until `exact` take in those before them that say the same, which are marked.
    /// The ring is in order of time.
    fn absorb(&mut self, exact: Timestamp) {
        let end = self.ring.partition_point(|known| known.time <= exact);
        let (ring, hasher) = (&mut self.ring[..end], &self.hasher);
        let hash_of =
            |known: &Remembered| hasher.hash_one((known.client, known.address, known.name));
        // All are entered into the index anew later.
        let mut latest = std::mem::take(&mut self.index);
        latest.clear();
        for at in 0..end {
            let mut answer = ring[at];
            let hash = hash_of(&answer);
            let Some(known) = latest.find_mut(hash, |&at| ring[at as usize].is_same_as(&answer))
            else {
                latest.insert_unique(hash, at as u32, |&at| hash_of(&ring[at as usize]));
                continue;
            };
            let before = &mut ring[std::mem::replace(known, at as u32) as usize];
            if answer.since.offset(-LATE_NANOS) <= before.until() {
                answer.absorb(before);
                before.older = ABSORBED;
                ring[at] = answer;
            }
        }
    }

    /// Enters the answers that came since the last time into the index. They are entered only
    /// when somebody asks, since many a network has few flows without a name of their own.
    fn catch_up(&mut self) {
        self.tell_anybody();
        let end = self.ring.len() + self.next;
        for at in end - self.unindexed..end {
            let at = at % self.ring.len();
            let (client, address) = (self.ring[at].client, self.ring[at].address);
            let hash = self.hasher.hash_one((client, address));
            let ring = &self.ring;
            let same = |&known: &u32| {
                let known = &ring[known as usize];
                known.client == client && known.address == address
            };
            if let Some(newest) = self.index.find_mut(hash, same) {
                let older = std::mem::replace(newest, at as u32);
                self.ring[at].older = older;
            } else {
                let (ring, hasher) = (&self.ring, &self.hasher);
                self.index.insert_unique(hash, at as u32, |&at| {
                    let known = &ring[at as usize];
                    hasher.hash_one((known.client, known.address))
                });
            }
        }
        self.unindexed = 0;
    }

    /// Notes the names of addresses, of the answers that came since the last time.
    fn tell_anybody(&mut self) {
        let end = self.ring.len() + self.next;
        for at in end - self.untold..end {
            let Remembered { address, name, time, .. } = self.ring[at % self.ring.len()];
            let limit = SHARED_MAX.min(self.limit);
            if !self.anybody.answer(address, name, time, limit, &mut self.names) {
                self.dropped += 1;
            }
        }
        self.untold = 0;
    }

    /// Notes a client's link address. As long as there are not too many, their order makes no difference.
    pub fn link(&mut self, address: Address, mac: Mac) {
        self.dropped += u64::from(!self.links.note(address, mac, self.limit));
    }

    /// The names that a flow from `client` to `server` with this first packet may have had in
    /// mind, by name, and how they were found. Empty: nobody knows.
    pub fn candidates(
        &mut self,
        client: Address,
        server: Address,
        first: Timestamp,
    ) -> (Vec<Candidate>, Step) {
        self.tell_anybody();
        let mut found = Vec::new();
        // So it is with most servers that a flow without a name goes to.
        if self.anybody.is_nobodys(server) {
            return (found, Step::Forwarder);
        }
        self.catch_up();
        self.collect(client, server, first, &mut found);
        if !found.is_empty() {
            return (self.cut(found), Step::Client);
        }
        for address in self.links.others(client) {
            self.collect(address, server, first, &mut found);
        }
        if !found.is_empty() {
            return (self.cut(found), Step::Link);
        }
        for forwarder in self.forwarders.clone() {
            self.collect(forwarder, server, first, &mut found);
        }
        (self.cut(found), Step::Forwarder)
    }

    /// Whether a client was told any name for `server` that holds at this first packet, at whichever
    /// of its addresses.
    pub fn is_told(&mut self, client: Address, server: Address, first: Timestamp) -> bool {
        let (found, step) = self.candidates(client, server, first);
        !found.is_empty() && step != Step::Forwarder
    }

    /// Whether anybody was told any name for `server` within a day before this first packet.
    pub fn is_anybodys(&mut self, server: Address, first: Timestamp) -> bool {
        self.tell_anybody();
        self.anybody.names(server, first).next().is_some()
    }

    /// Of flows that began before, it may have been forgotten what their clients were told.
    pub fn complete_since(&self) -> Timestamp {
        self.complete_since
    }

    /// The names that anybody was given for `server` within a day before this first packet, by name:
    /// what it may serve.
    pub fn of_anybody(&mut self, server: Address, first: Timestamp) -> Vec<Box<str>> {
        self.tell_anybody();
        let names = self.anybody.names(server, first).map(|name| self.names.text(name).into());
        let mut names: Vec<Box<str>> = names.collect();
        names.sort_unstable();
        names
    }

    /// The names that anybody was given for `server` between `from` and `to`, by name: see
    /// `names::anybody`.
    pub fn of_anybody_around(
        &mut self,
        server: Address,
        from: Timestamp,
        to: Timestamp,
    ) -> Vec<Box<str>> {
        self.tell_anybody();
        let names = self.anybody.names_between(server, from, to);
        let mut names: Vec<Box<str>> = names.map(|name| self.names.text(name).into()).collect();
        names.sort_unstable();
        names
    }

    /// Whether a client's questions are seen at all: it had an answer by then.
    pub fn is_answered(&self, client: Address, by: Timestamp) -> bool {
        self.askers.get(&client).is_some_and(|first| *first <= by.offset(LATE_NANOS))
    }

    /// Answers dropped since the last time this was asked.
    pub fn take_evicted(&mut self) -> u64 {
        std::mem::take(&mut self.evicted)
    }

    /// An address that both asks and answers asks for others.
    fn note_forwarder(&mut self, client: Address, resolver: Address, time: Timestamp) {
        if self.last_pair == (client, resolver) {
            return;
        }
        self.last_pair = (client, resolver);
        let mut is_news = false;
        let limit = self.limit.min(ASKERS_MAX);
        if self.resolvers.len() < limit {
            is_news |= self.resolvers.insert(resolver);
        }
        if self.askers.len() < limit {
            let askers = self.askers.len();
            let first = self.askers.entry(client).or_insert(time);
            *first = time.min(*first);
            is_news |= self.askers.len() > askers;
        }
        // Those that do both are known by then, unless there was no room for one.
        if !is_news && self.forwarders.len() < FORWARDERS_MAX {
            return;
        }
        for address in [client, resolver] {
            let forwards = self.resolvers.contains(&address) && self.askers.contains_key(&address);
            if !forwards || self.forwarders.contains(&address) {
                continue;
            }
            if self.forwarders.len() < FORWARDERS_MAX {
                self.forwarders.push(address);
                self.forwarders.sort_unstable();
            } else {
                self.dropped += 1;
            }
        }
    }

    fn collect(
        &mut self,
        client: Address,
        server: Address,
        first: Timestamp,
        found: &mut Vec<Candidate>,
    ) {
        let hash = self.hasher.hash_one((client, server));
        let ring = &self.ring;
        let same =
            |&at: &u32| ring[at as usize].client == client && ring[at as usize].address == server;
        let mut at = self.index.find(hash, same).copied().unwrap_or(NONE);
        let mut newer = self.serial;
        for step in 0..=CHAIN_MAX {
            let Some(known) = self.ring.get(at as usize) else { break };
            let is_older = newer.wrapping_sub(known.serial).wrapping_sub(1) < self.limit as u32;
            if !is_older || known.client != client || known.address != server {
                break;
            }
            if step == CHAIN_MAX {
                self.dropped += 1;
                break;
            }
            newer = known.serial;
            let latest = first.offset(LATE_NANOS);
            if known.since <= latest && first <= known.until() {
                let name = self.names.text(known.name);
                let time = known.time.min(latest);
                let there = found.iter_mut().find(|candidate| &*candidate.name == name);
                if let Some(candidate) = there {
                    candidate.time = candidate.time.max(time);
                } else {
                    found.push(Candidate { name: name.into(), time });
                }
            }
            at = known.older;
        }
    }

    /// Candidates by name, no more than may be.
    fn cut(&mut self, mut candidates: Vec<Candidate>) -> Vec<Candidate> {
        candidates.sort_by(|one, other| one.name.cmp(&other.name));
        let beyond = candidates.len().saturating_sub(CANDIDATES_MAX);
        self.dropped += beyond as u64;
        candidates.truncate(CANDIDATES_MAX);
        candidates
    }

    /// Candidates and forwarders left out since the last time this was asked.
    pub fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    /// Forgets the answer in a place of the ring: the oldest of all.
    fn forget(&mut self, at: usize) {
        let old = self.ring[at];
        self.evicted += 1;
        self.complete_since = self.complete_since.max(old.until());
        self.names.release(old.name);
        let hash = self.hasher.hash_one((old.client, old.address));
        // Where it was the newest of its chain, the chain is gone: all others in it are older and
        // were dropped before. Otherwise the chain ends where a link leads to something newer.
        if let Ok(entry) = self.index.find_entry(hash, |&known| known as usize == at) {
            entry.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn address(n: u8) -> Address {
        Address::v4([10, 0, 0, n])
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp(1_000_000_000_000 + millis * 1_000_000)
    }

    fn answer(
        cache: &mut NameCache,
        client: Address,
        resolver: Address,
        address: Address,
        name: &str,
        time: Timestamp,
        ttl_seconds: u32,
    ) {
        let name = cache.hold(name);
        cache.answer(client, resolver, address, name, time, ttl_seconds);
        cache.release(name);
    }

    const RESOLVER: u8 = 53;
    const SERVER: u8 = 200;

    fn names(cache: &mut NameCache, client: u8, millis: i64) -> Vec<String> {
        let (found, _) = cache.candidates(address(client), address(SERVER), at(millis));
        found.into_iter().map(|candidate| candidate.name.into()).collect()
    }

    #[test]
    fn an_answer_holds_from_a_little_before_to_its_ttl() {
        let mut cache = NameCache::default();
        answer(&mut cache, address(1), address(RESOLVER), address(SERVER), "a.example", at(0), 600);
        assert_eq!(names(&mut cache, 1, -100), ["a.example"]);
        assert!(names(&mut cache, 1, -101).is_empty());
        assert_eq!(names(&mut cache, 1, 600_000), ["a.example"]);
        assert!(names(&mut cache, 1, 600_001).is_empty());
        assert!(names(&mut cache, 2, 0).is_empty());
    }

    #[test]
    fn a_short_ttl_holds_five_minutes_and_a_long_one_a_day() {
        let mut cache = NameCache::default();
        answer(
            &mut cache,
            address(1),
            address(RESOLVER),
            address(SERVER),
            "short.example",
            at(0),
            1,
        );
        assert_eq!(names(&mut cache, 1, 300_000), ["short.example"]);
        assert!(names(&mut cache, 1, 300_001).is_empty());
        answer(
            &mut cache,
            address(2),
            address(RESOLVER),
            address(SERVER),
            "long.example",
            at(0),
            1 << 30,
        );
        assert_eq!(names(&mut cache, 2, 86_400_000), ["long.example"]);
        assert!(names(&mut cache, 2, 86_400_001).is_empty());
    }

    #[test]
    fn several_names_are_all_candidates() {
        let mut cache = NameCache::default();
        for name in ["b.example", "a.example", "b.example"] {
            answer(&mut cache, address(1), address(RESOLVER), address(SERVER), name, at(0), 60);
        }
        assert_eq!(names(&mut cache, 1, 5), ["a.example", "b.example"]);
    }

    #[test]
    fn the_other_family_of_the_same_machine_helps_but_a_router_does_not() {
        let mut cache = NameCache::default();
        answer(&mut cache, address(1), address(RESOLVER), address(SERVER), "a.example", at(0), 60);
        cache.link(address(1), Mac([1; 6]));
        cache.link(address(2), Mac([1; 6]));
        let (found, step) = cache.candidates(address(2), address(SERVER), at(1));
        assert_eq!((found.len(), step), (1, Step::Link));
        for n in 3..12 {
            cache.link(address(n), Mac([1; 6]));
        }
        assert!(names(&mut cache, 2, 1).is_empty());
    }

    #[test]
    fn a_forwarder_is_the_last_resort() {
        let mut cache = NameCache::default();
        answer(&mut cache, address(1), address(RESOLVER), address(201), "x.example", at(0), 60);
        answer(&mut cache, address(RESOLVER), address(99), address(SERVER), "a.example", at(0), 60);
        let (found, step) = cache.candidates(address(7), address(SERVER), at(1));
        assert_eq!((&*found[0].name, step), ("a.example", Step::Forwarder));
    }

    #[test]
    fn the_oldest_goes_first_and_chains_stay_whole() {
        let mut cache = NameCache::new(4);
        let mut tell = |client: u8, name: &str, millis: i64| {
            answer(
                &mut cache,
                address(client),
                address(RESOLVER),
                address(SERVER),
                name,
                at(millis),
                60,
            );
        };
        tell(1, "a.example", 0);
        tell(1, "b.example", 1);
        tell(2, "c.example", 2);
        tell(1, "d.example", 3);
        tell(2, "e.example", 4);
        tell(2, "f.example", 5);
        assert_eq!(names(&mut cache, 1, 10), ["d.example"]);
        assert_eq!(names(&mut cache, 2, 10), ["c.example", "e.example", "f.example"]);
        assert_eq!(cache.take_evicted(), 2);
    }

    #[test]
    fn what_is_asked_again_and_again_takes_no_more_room() {
        let mut cache = NameCache::default();
        // Six hours.
        for n in 0..200_000 {
            let (name, millis) = (["a.example", "b.example"][n as usize % 2], n * 108);
            answer(
                &mut cache,
                address((n % 20) as u8),
                address(RESOLVER),
                address(SERVER),
                name,
                at(millis),
                60,
            );
            cache.tidy(at(millis));
        }
        assert!(cache.ring.len() <= 2 * UNTIDY_MAX, "{}", cache.ring.len());
        assert_eq!(cache.names.len(), 2);
        assert_eq!(cache.take_evicted(), 0);
        let last = 6 * 3600 * 1000;
        assert_eq!(names(&mut cache, 0, last), ["a.example"]);
        assert_eq!(names(&mut cache, 0, last - 1800 * 1000), ["a.example"], "told of late");
        cache.untidy = cache.untidy_max;
        cache.tidy(at(last + 7200 * 1000));
        assert!(cache.ring.is_empty());
        assert_eq!(cache.of_anybody(address(SERVER), at(last)).len(), 2, "for a day");
        cache.untidy = cache.untidy_max;
        cache.tidy(at(last + 26 * 3600 * 1000));
        assert!(cache.names.is_empty());
        assert!(names(&mut cache, 0, last).is_empty());
    }

    proptest! {
        #[test]
        fn tidying_changes_no_name_of_a_flow_that_began_lately(
            steps in vec((0..2_u8, 0..2_u8, 0..3_u8, 0..200_000_i64, any::<bool>()), 1..60),
        ) {
            let (mut tidied, mut plain) = (NameCache::default(), NameCache::default());
            let mut now = 0;
            for (client, server, name, millis, tidies) in steps {
                now += millis;
                let (name, ttl_seconds) =
                    [("a.example", 1), ("b.example", 400), ("c.example", 2000)][usize::from(name)];
                for cache in [&mut tidied, &mut plain] {
                    let (client, server) = (address(client), address(SERVER + server));
                    answer(cache, client, address(RESOLVER), server, name, at(now), ttl_seconds);
                }
                if tidies {
                    tidied.untidy = tidied.untidy_max;
                    tidied.tidy(at(now));
                }
                for (client, server, ago) in [(0, 0, 0), (1, 1, 0), (0, 1, 90_000), (1, 0, 180_000)] {
                    let first = at(now - ago);
                    let (client, server) = (address(client), address(SERVER + server));
                    let expected = plain.candidates(client, server, first);
                    prop_assert_eq!(tidied.candidates(client, server, first), expected);
                }
            }
        }
    }
}
