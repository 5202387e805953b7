//! A worker's flows: an index of 8-byte entries over slots that never move.
//!
//! The index is open addressing with linear probing; an entry is 32 bits of the flow's hash and
//! the number of its slot, so that growing needs no key and a probe touches one line as a rule.
//! Slots lie in memory reserved once and touched as needed: nothing is copied when flows come.
//! Assumes hashes are seeded (see `hash`). Knows nothing of what the flows carry.

use super::memory::{in_large_pages, prefetch, prefetch_at};
use super::slot::{Cold, Hot, NONE, Side};
use super::wheel::Wheel;
use crate::packet::Packet;

/// Flows a worker holds at most.
pub const FLOWS_MAX: usize = 1 << 20;
/// Entries of the index of as many: a quarter of them is filled.
const INDEX_LENGTH_MAX: usize = (4 * FLOWS_MAX).next_power_of_two();
/// Memory of as many, with their lives and the list of those that are free.
pub const BYTES_MAX: usize = FLOWS_MAX
    * (size_of::<Hot>() + size_of::<Cold>() + size_of::<u32>() + size_of::<FlowId>())
    + INDEX_LENGTH_MAX * size_of::<u64>();
/// Entries of a new index.
const INDEX_LENGTH_MIN: usize = 1 << 10;

/// The number of a slot.
pub type FlowId = u32;

/// The flows of one worker.
pub struct FlowTable {
    index: Vec<u64>,
    /// `index.len()` is 1 << (32 - shift): the upper bits of the 32-bit tag are the home position.
    shift: u32,
    hot: Vec<Hot>,
    cold: Vec<Cold>,
    lives: Vec<u32>,
    free: Vec<FlowId>,
    live: usize,
    limit: usize,
    /// When each flow is to be looked at again.
    pub wheel: Wheel,
}

const VACANT: u64 = 0;

#[inline]
fn entry(tag: u32, flow: FlowId) -> u64 {
    // Slot numbers are below 2^20, so that the added one never overflows and 0 stays vacant.
    u64::from(tag) << 32 | u64::from(flow + 1)
}

#[inline]
fn tag_of(entry: u64) -> u32 {
    (entry >> 32) as u32
}

#[inline]
fn flow_of(entry: u64) -> FlowId {
    (entry as u32).wrapping_sub(1)
}

impl FlowTable {
    /// An empty table that holds at most `limit` flows (no more than [`FLOWS_MAX`]).
    pub fn new(limit: usize) -> FlowTable {
        let limit = limit.clamp(1, FLOWS_MAX);
        let (hot, cold) = (Vec::with_capacity(limit), Vec::with_capacity(limit));
        in_large_pages(&hot);
        in_large_pages(&cold);
        FlowTable {
            index: vec![VACANT; INDEX_LENGTH_MIN],
            shift: 32 - INDEX_LENGTH_MIN.trailing_zeros(),
            hot,
            cold,
            lives: Vec::with_capacity(limit),
            free: Vec::new(),
            live: 0,
            limit,
            wheel: Wheel::default(),
        }
    }

    /// Flows held now.
    pub fn len(&self) -> usize {
        self.live
    }

    /// Whether no flow is held.
    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// Whether another flow needs one to be evicted first.
    pub fn is_full(&self) -> bool {
        self.live >= self.limit
    }

    /// Asks for the index line of a flow with this hash.
    #[inline]
    pub fn prefetch_index(&self, hash: u64) {
        let home = ((hash >> 32) as u32 >> self.shift) as usize;
        prefetch_at(self.index.as_ptr().wrapping_add(home).cast());
    }

    /// A slot that probably holds the flow with this hash, already asked for; [`NONE`] if none.
    #[inline]
    pub fn candidate(&self, hash: u64) -> FlowId {
        let tag = (hash >> 32) as u32;
        let mask = self.index.len() - 1;
        let mut at = (tag >> self.shift) as usize;
        loop {
            let found = self.index[at & mask];
            if found == VACANT {
                return NONE;
            }
            if tag_of(found) == tag {
                let flow = flow_of(found);
                prefetch(&self.hot[flow as usize]);
                return flow;
            }
            at += 1;
        }
    }

    /// Slot `flow`, where it holds the flow of `packet`, and from which side the packet comes.
    #[inline]
    pub fn side_in(&self, flow: FlowId, packet: &Packet) -> Option<(&Hot, Side)> {
        let hot = self.hot.get(flow as usize)?;
        hot.side_of(packet).map(|side| (hot, side))
    }

    /// The flow of `packet`, by a full search.
    pub fn find(&self, hash: u64, packet: &Packet) -> Option<(FlowId, Side)> {
        let tag = (hash >> 32) as u32;
        let mask = self.index.len() - 1;
        let mut at = (tag >> self.shift) as usize;
        loop {
            let found = self.index[at & mask];
            if found == VACANT {
                return None;
            }
            if tag_of(found) == tag {
                let flow = flow_of(found);
                if let Some((_, side)) = self.side_in(flow, packet) {
                    return Some((flow, side));
                }
            }
            at += 1;
        }
    }

    /// Takes in a new flow. The caller has made room (see [`FlowTable::is_full`]).
    pub fn insert(&mut self, hash: u64, hot: Hot, cold: Cold) -> FlowId {
        // At most a quarter full: nearly all searches end where they begin, which branch prediction
        // likes. ([`FLOWS_MAX`] flows need 2^22 entries.)
        if (self.live + 1) * 4 > self.index.len() {
            self.grow();
        }
        let flow = match self.free.pop() {
            Some(flow) => {
                self.hot[flow as usize] = hot;
                self.cold[flow as usize] = cold;
                self.lives[flow as usize] = self.lives[flow as usize].wrapping_add(1);
                flow
            }
            None => {
                self.hot.push(hot);
                self.cold.push(cold);
                self.lives.push(0);
                (self.hot.len() - 1) as FlowId
            }
        };
        self.live += 1;
        place(&mut self.index, self.shift, entry((hash >> 32) as u32, flow));
        flow
    }

    /// Puts another flow with the same endpoints in the place of one that ended. The slot stays where it is
    /// in index and wheel.
    pub fn renew(&mut self, flow: FlowId, hot: Hot, cold: Cold) {
        let slot = flow as usize;
        let next_in_wheel = self.cold[slot].next_in_wheel;
        self.hot[slot] = hot;
        self.cold[slot] = Cold { next_in_wheel, ..cold };
        self.lives[slot] = self.lives[slot].wrapping_add(1);
    }

    /// Which of the flows in its slot this is, one after the other: with the slot it tells a flow from all
    /// others, whatever their stamps are.
    pub fn life(&self, flow: FlowId) -> u32 {
        self.lives[flow as usize]
    }

    /// Forgets a flow. `hash` must be the one it was inserted with.
    pub fn remove(&mut self, hash: u64, flow: FlowId) {
        let wanted = entry((hash >> 32) as u32, flow);
        let mask = self.index.len() - 1;
        let mut at = (tag_of(wanted) >> self.shift) as usize;
        while self.index[at & mask] != wanted {
            assert!(self.index[at & mask] != VACANT, "a flow's index entry is lost");
            at += 1;
        }
        self.close_gap(at & mask);
        self.hot[flow as usize] = Hot::EMPTY;
        self.free.push(flow);
        self.live -= 1;
    }

    /// The part of a flow that every packet touches.
    #[inline]
    pub fn hot(&mut self, flow: FlowId) -> &mut Hot {
        &mut self.hot[flow as usize]
    }

    /// The rest of a flow.
    #[inline]
    pub fn cold(&mut self, flow: FlowId) -> &mut Cold {
        &mut self.cold[flow as usize]
    }

    /// Both parts of a flow.
    #[inline]
    pub fn both(&mut self, flow: FlowId) -> (&mut Hot, &mut Cold) {
        (&mut self.hot[flow as usize], &mut self.cold[flow as usize])
    }

    /// Puts a flow into the wheel, to be looked at in second `due`.
    pub fn schedule(&mut self, flow: FlowId, due_seconds: i64) {
        self.cold[flow as usize].next_in_wheel = self.wheel.push(flow, due_seconds);
    }

    /// The next flow whose time to be looked at has come by second `now`.
    pub fn next_due(&mut self, now_seconds: i64) -> Option<FlowId> {
        let (hot, cold) = (&self.hot, &self.cold);
        self.wheel.pop(now_seconds, |flow| follower(hot, cold, flow))
    }

    /// The flow that would be looked at first, whatever the time: the one to evict.
    pub fn first_due(&mut self) -> Option<FlowId> {
        let (hot, cold) = (&self.hot, &self.cold);
        self.wheel.pop_first(|flow| follower(hot, cold, flow))
    }

    fn grow(&mut self) {
        let mut index = vec![VACANT; self.index.len() * 2];
        in_large_pages(&index);
        self.shift -= 1;
        for &entry in self.index.iter().filter(|&&entry| entry != VACANT) {
            place(&mut index, self.shift, entry);
        }
        self.index = index;
    }

    /// Vacates `gap` and moves later entries of its run back, so that no search stops early.
    fn close_gap(&mut self, mut gap: usize) {
        let mask = self.index.len() - 1;
        let mut at = gap;
        loop {
            at = (at + 1) & mask;
            let found = self.index[at];
            if found == VACANT {
                break;
            }
            let home = (tag_of(found) >> self.shift) as usize;
            // The entry may move when its home is not strictly between the gap and itself.
            if (at.wrapping_sub(home) & mask) >= (at.wrapping_sub(gap) & mask) {
                self.index[gap] = found;
                gap = at;
            }
        }
        self.index[gap] = VACANT;
    }
}

/// The flow behind `flow` in the wheel. Flows that fall due together lie far apart: its memory is
/// asked for while `flow` is looked at.
#[inline]
fn follower(hot: &[Hot], cold: &[Cold], flow: FlowId) -> FlowId {
    let next = cold[flow as usize].next_in_wheel;
    if let (Some(hot), Some(cold)) = (hot.get(next as usize), cold.get(next as usize)) {
        prefetch(hot);
        prefetch(cold);
    }
    next
}

fn place(index: &mut [u64], shift: u32, entry: u64) {
    let mask = index.len() - 1;
    let mut at = (tag_of(entry) >> shift) as usize;
    while index[at & mask] != VACANT {
        at += 1;
    }
    index[at & mask] = entry;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::slot::Patience;
    use crate::net::Address;
    use crate::time::Timestamp;

    fn packet(n: u32) -> Packet {
        Packet {
            source: Address::v4(n.to_be_bytes()),
            destination: Address::v4([198, 18, 0, 1]),
            source_port: 1,
            destination_port: 2,
            protocol: 17,
            ..Packet::default()
        }
    }

    fn slot(p: &Packet) -> (Hot, Cold) {
        let hot = Hot {
            addresses: [p.source, p.destination],
            ports: [p.source_port, p.destination_port],
            protocol: p.protocol,
            patience: Patience::Udp,
            ..Hot::EMPTY
        };
        let cold = Cold::new(Timestamp(0));
        (hot, cold)
    }

    /// Hashes of a few values, so that runs are long and wrap around.
    fn hash(n: u32) -> u64 {
        [0xffff_ffffu64, 0xffff_fff0, 0x0000_0001, 0x8000_0000][n as usize % 4] << 32
    }

    proptest::proptest! {
        #[test]
        fn agrees_with_a_map(steps in proptest::collection::vec((0u32..64, proptest::bool::ANY), 1..600)) {
            let mut table = FlowTable::new(1000);
            let mut model = std::collections::BTreeMap::new();
            let mut known = std::collections::BTreeSet::new();
            for (n, insert) in steps {
                let p = packet(n);
                let found = table.find(hash(n), &p).map(|(flow, _)| flow);
                proptest::prop_assert_eq!(found, model.get(&n).copied());
                match (insert, found) {
                    (true, None) => {
                        let (hot, cold) = slot(&p);
                        let flow = table.insert(hash(n), hot, cold);
                        proptest::prop_assert!(known.insert((flow, table.life(flow))));
                        model.insert(n, flow);
                    }
                    (true, Some(flow)) => {
                        table.cold(flow).next_in_wheel = n;
                        let (hot, cold) = slot(&p);
                        table.renew(flow, hot, cold);
                        proptest::prop_assert!(known.insert((flow, table.life(flow))));
                        proptest::prop_assert_eq!(table.cold(flow).next_in_wheel, n);
                    }
                    (false, Some(flow)) => {
                        table.remove(hash(n), flow);
                        model.remove(&n);
                    }
                    _ => {}
                }
                proptest::prop_assert_eq!(table.len(), model.len());
            }
        }
    }

    #[test]
    fn grows_without_losing_flows() {
        let mut table = FlowTable::new(100_000);
        let spread = |n: u32| u64::from(n.wrapping_mul(0x9e37_79b9)) << 32;
        for n in 0..50_000 {
            let (hot, cold) = slot(&packet(n));
            table.insert(spread(n), hot, cold);
        }
        for n in 0..50_000 {
            assert!(table.find(spread(n), &packet(n)).is_some());
        }
    }
}
