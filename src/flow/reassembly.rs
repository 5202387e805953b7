//! TCP bytes of one direction put in order (RFC 9293, 3.10.7.4), within bounds.
//!
//! Where copies of a byte differ, the first one seen wins. What arrives in order and is consumed
//! at once is never copied. Bytes that a dissector does not want are skipped without being kept.
//!
//! Behind a hole the earliest bytes are kept: what is missing may be the beginning of a request or
//! a hello, which is sent again when much more is on its way, and of that no more is needed. What
//! comes behind them is forgotten. Does not wait for ever: what is missing is declared lost as soon
//! as what is forgotten would be something of its own, or is much.

use crate::dissect::Advance;
use crate::footprint;

/// Bytes kept while a dissector wants more, or while earlier ones are missing.
pub const HELD_BYTES_MAX: usize = 16 * 1024;
/// Runs of bytes kept behind holes in one direction: more than a hello in a few packets that come
/// in any order needs, since a run costs no more than its bytes.
pub const HOLES_MAX: usize = 64;
/// Bytes from a hole to the latest segment at which the hole is given up: as many as are often on
/// their way when a segment is sent again.
pub const HOLE_BYTES_MAX: u32 = 256 * 1024;

/// What takes the bytes once they are in order.
pub trait Consumer {
    /// Takes contiguous bytes that it has not consumed yet.
    fn bytes(&mut self, bytes: &[u8]) -> Advance;
    /// Bytes were lost, and nothing will follow the `unconsumed` ones in front of them; what comes
    /// next begins at a segment's start.
    fn lost(&mut self, unconsumed: &[u8]);
    /// Whether a segment that begins like this would be something of its own if what stands in
    /// front of it were lost.
    fn begins(&self, segment: &[u8]) -> bool;
}

/// What became of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The consumer wants more of the stream.
    Wanted,
    /// A bound was reached: what is missing in front of what is kept is given up. More is wanted,
    /// also where the consumer was done with what was kept.
    Gap,
    /// The consumer is done with the stream.
    Done,
    /// A dissector wanted more than may be kept.
    Overflow,
}

/// A run of bytes behind a hole.
#[derive(Debug)]
struct Island {
    sequence: u32,
    bytes: Vec<u8>,
    /// Where in it segments begin that would be something of their own; rising.
    starts: Vec<u32>,
}

impl Island {
    fn new(sequence: u32, bytes: &[u8], begins: bool) -> Island {
        let starts = if begins { vec![0] } else { Vec::new() };
        Island { sequence, bytes: bytes.to_vec(), starts }
    }

    fn end(&self) -> u32 {
        self.sequence.wrapping_add(self.bytes.len() as u32)
    }

    /// Bytes of memory.
    fn size(&self) -> usize {
        self.bytes.len() + size_of_val(&*self.starts)
    }

    /// What stands from `at` on, where that would be something of its own.
    fn begins_at(&self, at: u32, consumer: &impl Consumer) -> bool {
        self.bytes.get(at as usize..).is_some_and(|bytes| consumer.begins(bytes))
    }

    /// Leaves out all but the first `length` bytes.
    fn truncate(&mut self, length: usize) {
        self.bytes.truncate(length);
        self.starts.retain(|&start| (start as usize) < length);
    }
}

/// One direction of a TCP connection.
#[derive(Debug)]
pub struct Reassembler {
    /// Sequence number of the next byte that is neither held nor consumed.
    next: u32,
    /// Contiguous bytes before `next` that the consumer has seen and not consumed.
    held: Vec<u8>,
    /// Bytes from `next` on that the consumer does not want.
    skip: u64,
    /// Runs behind holes, in order, not touching each other.
    islands: Vec<Island>,
    /// Where the first bytes stand that were seen behind a hole and not kept.
    forgotten: Option<u32>,
}

/// `one - other` in sequence space, negative when `one` is earlier.
fn distance(one: u32, other: u32) -> i32 {
    one.wrapping_sub(other) as i32
}

impl Reassembler {
    /// A stream whose next byte has sequence number `next`.
    pub fn new(next: u32) -> Reassembler {
        Reassembler { next, held: Vec::new(), skip: 0, islands: Vec::new(), forgotten: None }
    }

    /// Takes a segment. `stated` is its payload length on the wire, which a snap length may have
    /// cut down to `payload`.
    pub fn segment(
        &mut self,
        sequence: u32,
        payload: &[u8],
        stated: u32,
        consumer: &mut impl Consumer,
    ) -> Outcome {
        let mut is_given_up = false;
        while !self.is_reached(sequence) {
            if self.wait_with(sequence, payload, consumer) {
                return if is_given_up { Outcome::Gap } else { Outcome::Wanted };
            }
            is_given_up = true;
            if self.give_up_hole(sequence, consumer) == Outcome::Overflow {
                // A bound, too, and told as one.
                return Outcome::Overflow;
            }
        }
        match self.at_reach(sequence, payload, stated, consumer) {
            Outcome::Wanted if is_given_up => Outcome::Gap,
            // To say that it is done would hide the loss: it is asked again with the next segment.
            Outcome::Done if is_given_up => {
                let end = self.islands.last().map_or(self.next, Island::end);
                self.begin_behind(end, consumer);
                Outcome::Gap
            }
            other => other,
        }
    }

    /// The stream has ended: what stands behind holes is shown as it is.
    pub fn finish(&mut self, consumer: &mut impl Consumer) -> Outcome {
        while let Some(first) = self.islands.first() {
            let start = first.sequence;
            self.lose_until(start, consumer);
            match self.join_islands(consumer) {
                Outcome::Wanted => {}
                other => return other,
            }
        }
        if !self.held.is_empty() {
            consumer.lost(&self.held);
            self.held.clear();
        }
        Outcome::Wanted
    }

    /// Bytes kept now.
    pub fn held_bytes(&self) -> usize {
        self.held.len() + self.islands.iter().map(Island::size).sum::<usize>()
    }

    /// Memory behind this, in bytes.
    pub fn memory_bytes(&self) -> usize {
        let run = |island: &Island| {
            footprint::heap(island.bytes.capacity())
                + footprint::heap(island.starts.capacity() * size_of::<u32>())
        };
        footprint::heap(self.held.capacity())
            + footprint::heap(self.islands.capacity() * size_of::<Island>())
            + self.islands.iter().map(run).sum::<usize>()
    }

    /// Whether no byte that is wanted is missing in front of this one.
    fn is_reached(&self, sequence: u32) -> bool {
        u64::try_from(distance(sequence, self.next)).map_or(true, |ahead| ahead <= self.skip)
    }

    /// Takes a segment in front of which nothing is missing.
    fn at_reach(
        &mut self,
        sequence: u32,
        payload: &[u8],
        stated: u32,
        consumer: &mut impl Consumer,
    ) -> Outcome {
        let ahead = distance(sequence, self.next);
        let old = usize::try_from(-ahead).unwrap_or(0);
        if ahead > 0 {
            self.pass_over(ahead as u32);
        }
        // What came before stays as it is, also what stands behind a hole that this fills.
        let outcome = match payload.get(old..).filter(|fresh| !fresh.is_empty()) {
            None => Outcome::Wanted,
            Some(fresh) if self.islands.is_empty() => self.in_order(fresh, consumer),
            Some(fresh) => {
                self.insert(self.next, fresh, false);
                self.join_islands(consumer)
            }
        };
        let end = sequence.wrapping_add(stated);
        if outcome == Outcome::Wanted
            && distance(end, self.next) > 0
            && payload.len() < stated as usize
        {
            self.lose_until(end, consumer);
        }
        let outcome = match outcome {
            Outcome::Wanted => self.join_islands(consumer),
            other => other,
        };
        self.forget_latest();
        outcome
    }

    fn in_order(&mut self, bytes: &[u8], consumer: &mut impl Consumer) -> Outcome {
        self.next = self.next.wrapping_add(bytes.len() as u32);
        let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
        self.skip -= skipped as u64;
        let bytes = bytes.get(skipped..).unwrap_or_default();
        if bytes.is_empty() {
            return Outcome::Wanted;
        }
        let advance = if self.held.is_empty() {
            let advance = consumer.bytes(bytes);
            let rest = usize::try_from(advance.consumed).ok().and_then(|used| bytes.get(used..));
            if advance.wants_more {
                self.hold(rest.unwrap_or_default());
                self.skip = advance.consumed.saturating_sub(bytes.len() as u64);
            }
            advance
        } else {
            self.hold(bytes);
            let advance = consumer.bytes(&self.held);
            self.skip = advance.consumed.saturating_sub(self.held.len() as u64);
            let used = usize::try_from(advance.consumed).unwrap_or(usize::MAX);
            self.held.drain(..used.min(self.held.len()));
            advance
        };
        if !advance.wants_more {
            Outcome::Done
        } else if self.held.len() > HELD_BYTES_MAX {
            Outcome::Overflow
        } else {
            Outcome::Wanted
        }
    }

    /// Keeps bytes. The memory for them grows to the bound at most, not to twice of it.
    fn hold(&mut self, bytes: &[u8]) {
        let needed = self.held.len() + bytes.len();
        if needed > self.held.capacity() {
            let roomy = (2 * self.held.capacity()).min(HELD_BYTES_MAX).max(needed);
            self.held.reserve_exact(roomy - self.held.len());
        }
        self.held.extend_from_slice(bytes);
    }

    /// Moves over bytes that were to be skipped anyway.
    fn pass_over(&mut self, bytes: u32) {
        self.next = self.next.wrapping_add(bytes);
        self.skip = self.skip.saturating_sub(u64::from(bytes));
    }

    /// Gives up on everything before `sequence`.
    fn lose_until(&mut self, sequence: u32, consumer: &mut impl Consumer) {
        let missing = distance(sequence, self.next);
        if missing <= 0 {
            return;
        }
        if i64::from(missing) <= self.skip as i64 {
            self.pass_over(missing as u32);
            return;
        }
        self.next = sequence;
        self.skip = 0;
        consumer.lost(&self.held);
        self.held.clear();
    }

    /// Keeps a segment that lies behind a hole, or what there is room for, and forgets the rest.
    /// False if instead the hole is to be given up.
    fn wait_with(&mut self, sequence: u32, payload: &[u8], consumer: &impl Consumer) -> bool {
        self.forgotten = self.forgotten.filter(|&from| distance(from, self.next) >= 0);
        let end = self.islands.last().map(Island::end);
        let is_amid = end.is_some_and(|end| distance(sequence, end) < 0);
        // What was forgotten does not come again.
        if !is_amid && self.forgotten.is_some_and(|from| self.is_reached(from)) {
            return false;
        }
        let has_run = self.islands.len() < HOLES_MAX || end == Some(sequence);
        let room = HELD_BYTES_MAX.saturating_sub(self.held_bytes());
        let room = if has_run { room } else { 0 };
        let begins = consumer.begins(payload);
        if is_amid || payload.len() + size_of::<u32>() <= room {
            self.insert(sequence, payload, begins);
            self.forget_latest();
            return true;
        }
        if begins || distance(sequence, self.next) > HOLE_BYTES_MAX as i32 {
            return false;
        }
        let kept = payload.get(..room).unwrap_or(payload);
        self.insert(sequence, kept, false);
        self.forget_from(sequence.wrapping_add(kept.len() as u32));
        true
    }

    /// Forgets the latest bytes behind holes, as far as more is kept than may be.
    fn forget_latest(&mut self) {
        loop {
            let excess = self.held_bytes().saturating_sub(HELD_BYTES_MAX);
            let has_too_many = self.islands.len() > HOLES_MAX;
            if excess == 0 && !has_too_many {
                return;
            }
            let Some(last) = self.islands.last_mut() else { return };
            let kept = if has_too_many { 0 } else { last.bytes.len().saturating_sub(excess) };
            last.truncate(kept);
            let from = last.end();
            self.islands.pop_if(|last| last.bytes.is_empty());
            self.forget_from(from);
        }
    }

    fn forget_from(&mut self, sequence: u32) {
        let is_first = self.forgotten.is_none_or(|known| distance(sequence, known) < 0);
        self.forgotten = if is_first { Some(sequence) } else { self.forgotten };
    }

    /// Declares lost what is missing in front of what is kept, or else of the segment at `sequence`.
    /// Where nothing that is kept is wanted, mostly since it begins nothing, that segment is next.
    fn give_up_hole(&mut self, sequence: u32, consumer: &mut impl Consumer) -> Outcome {
        let start = self.islands.first().map_or(sequence, |first| first.sequence);
        self.lose_until(start, consumer);
        let outcome = self.join_islands(consumer);
        if outcome == Outcome::Done {
            self.begin_behind(sequence, consumer);
        }
        outcome
    }

    /// Keeps nothing, and goes on at `sequence`.
    fn begin_behind(&mut self, sequence: u32, consumer: &mut impl Consumer) {
        self.islands.clear();
        self.begin_at(sequence, consumer);
    }

    /// Adds bytes to the islands; those that are there already stay as they are. `begins`: they
    /// would be something of their own.
    fn insert(&mut self, mut sequence: u32, mut payload: &[u8], mut begins: bool) {
        let mut at = 0;
        while !payload.is_empty() {
            let Some(island) = self.islands.get(at) else {
                self.islands.push(Island::new(sequence, payload, begins));
                break;
            };
            let before = distance(island.sequence, sequence);
            if before > 0 {
                // A part in front of this island, perhaps all of it.
                let length = payload.len().min(before as usize);
                let (front, rest) = payload.split_at(length);
                self.islands.insert(at, Island::new(sequence, front, begins));
                sequence = sequence.wrapping_add(length as u32);
                payload = rest;
                begins = false;
            } else {
                // Drop what this island has; the rest comes behind it.
                let known = distance(island.end(), sequence).max(0) as usize;
                let known = known.min(payload.len());
                payload = payload.get(known..).unwrap_or_default();
                sequence = sequence.wrapping_add(known as u32);
                begins &= known == 0;
            }
            at += 1;
        }
        self.merge_neighbours();
    }

    fn merge_neighbours(&mut self) {
        let mut merged: Vec<Island> = Vec::with_capacity(self.islands.len());
        for island in self.islands.drain(..) {
            match merged.last_mut() {
                Some(last) if last.end() == island.sequence => {
                    let length = last.bytes.len() as u32;
                    last.starts.extend(island.starts.iter().map(|start| length + start));
                    last.bytes.extend_from_slice(&island.bytes);
                }
                _ => merged.push(island),
            }
        }
        self.islands = merged;
    }

    /// Feeds the islands that the stream has reached. Where the consumer is done with one, it is
    /// asked again at the next segment of them all that would be something of its own.
    fn join_islands(&mut self, consumer: &mut impl Consumer) -> Outcome {
        while let Some(first) = self.islands.first() {
            if !self.is_reached(first.sequence) {
                break;
            }
            let ahead = distance(first.sequence, self.next);
            if ahead > 0 {
                self.pass_over(ahead as u32);
            }
            let island = self.islands.remove(0);
            match self.feed(&island, consumer) {
                Outcome::Wanted => {}
                Outcome::Done => {
                    let begins = |island: &Island| {
                        let starts = &island.starts;
                        island.begins_at(0, consumer)
                            || starts.iter().any(|&start| island.begins_at(start, consumer))
                    };
                    let Some(at) = self.islands.iter().position(begins) else {
                        return Outcome::Done;
                    };
                    self.islands.drain(..at);
                    let start = self.islands.first().map_or(self.next, |first| first.sequence);
                    self.begin_at(start, consumer);
                }
                other => return other,
            }
        }
        Outcome::Wanted
    }

    /// Feeds what is fresh of an island.
    fn feed(&mut self, island: &Island, consumer: &mut impl Consumer) -> Outcome {
        let mut at = distance(self.next, island.sequence).max(0) as u32;
        let mut starts = island.starts.iter();
        loop {
            let fresh = island.bytes.get(at as usize..).unwrap_or_default();
            if fresh.is_empty() {
                return Outcome::Wanted;
            }
            let outcome = self.in_order(fresh, consumer);
            if outcome != Outcome::Done {
                return outcome;
            }
            let next = starts.find(|&&start| start > at && island.begins_at(start, consumer));
            let Some(&start) = next else { return Outcome::Done };
            at = start;
            self.begin_at(island.sequence.wrapping_add(start), consumer);
        }
    }

    /// What stands from `sequence` on is looked at as if all in front of it were lost.
    fn begin_at(&mut self, sequence: u32, consumer: &mut impl Consumer) {
        self.next = sequence;
        self.skip = 0;
        self.held.clear();
        consumer.lost(&[]);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Consumes records of a length byte and that many bytes; remembers what it saw.
    #[derive(Default)]
    struct Records {
        seen: Vec<u8>,
        gaps: usize,
    }

    impl Consumer for Records {
        fn bytes(&mut self, bytes: &[u8]) -> Advance {
            let mut used = 0;
            while let Some(&length) = bytes.get(used) {
                let Some(record) = bytes.get(used..=used + usize::from(length)) else { break };
                self.seen.extend_from_slice(record);
                used += record.len();
            }
            Advance { consumed: used as u64, wants_more: true }
        }

        fn lost(&mut self, _: &[u8]) {
            self.gaps += 1;
        }

        fn begins(&self, _: &[u8]) -> bool {
            false
        }
    }

    fn stream() -> Vec<u8> {
        (0..40u8).flat_map(|n| std::iter::once(n).chain((0..n).map(move |m| n ^ m))).collect()
    }

    proptest! {
        #[test]
        fn any_segmentation_order_and_overlap_gives_the_same_bytes(
            start in any::<u32>(),
            cuts in proptest::collection::vec((0usize..820, 1usize..300), 0..20),
            swaps in proptest::collection::vec((0usize..30, 0usize..3), 0..10),
        ) {
            let bytes = stream();
            // Whole coverage in order, then extra overlapping copies and small swaps.
            let mut segments: Vec<(usize, usize)> =
                (0..bytes.len()).step_by(97).map(|at| (at, 97)).collect();
            for (at, (from, length)) in cuts.into_iter().enumerate() {
                segments.insert((at * 2).min(segments.len()), (from, length));
            }
            for (at, by) in swaps {
                if at + by < segments.len() { segments.swap(at, at + by); }
            }
            let mut reassembler = Reassembler::new(start);
            let mut records = Records::default();
            for (from, length) in segments {
                let from = from.min(bytes.len());
                let part = &bytes[from..(from + length).min(bytes.len())];
                let sequence = start.wrapping_add(from as u32);
                reassembler.segment(sequence, part, part.len() as u32, &mut records);
            }
            prop_assert_eq!(records.gaps, 0);
            prop_assert_eq!(records.seen, bytes);
        }

        #[test]
        fn the_first_copy_of_each_byte_wins_in_any_order(
            segments in proptest::collection::vec((0usize..200, 1usize..60, any::<u8>()), 0..40),
        ) {
            #[derive(Default)]
            struct All(Vec<u8>);
            impl Consumer for All {
                fn bytes(&mut self, bytes: &[u8]) -> Advance {
                    self.0.extend_from_slice(bytes);
                    Advance { consumed: bytes.len() as u64, wants_more: true }
                }
                fn lost(&mut self, _: &[u8]) {
                    panic!("nothing is lost");
                }
                fn begins(&self, _: &[u8]) -> bool {
                    false
                }
            }
            let mut reassembler = Reassembler::new(7);
            let (mut all, mut first) = (All::default(), [None; 260]);
            // The last one fills what is missing.
            for (from, length, byte) in segments.into_iter().chain([(0, 260, 0)]) {
                let payload = vec![byte; length];
                let sequence = 7 + from as u32;
                reassembler.segment(sequence, &payload, length as u32, &mut all);
                for known in &mut first[from..from + length] {
                    known.get_or_insert(byte);
                }
            }
            let first: Vec<u8> = first.into_iter().flatten().collect();
            prop_assert_eq!(all.0, first);
        }

        #[test]
        fn memory_stays_bounded(
            segments in proptest::collection::vec((any::<u16>(), 1usize..3000), 1..200),
        ) {
            let bytes = vec![255u8; 3000];
            let mut reassembler = Reassembler::new(0);
            let mut records = Records::default();
            for (sequence, length) in segments {
                reassembler.segment(u32::from(sequence), &bytes[..length], length as u32, &mut records);
                prop_assert!(reassembler.held_bytes() <= HELD_BYTES_MAX + 3000);
            }
        }
    }

    #[test]
    fn the_first_copy_of_a_byte_wins() {
        let mut reassembler = Reassembler::new(0);
        let mut records = Records::default();
        reassembler.segment(2, b"bc", 2, &mut records);
        reassembler.segment(1, b"XXXX", 4, &mut records);
        reassembler.segment(0, b"\x04", 1, &mut records);
        assert_eq!(records.seen, b"\x04XbcX");
    }

    #[test]
    fn a_lost_segment_is_given_up_and_the_rest_seen() {
        let mut reassembler = Reassembler::new(0);
        let mut records = Records::default();
        reassembler.segment(0, b"\x01a\x05b", 4, &mut records);
        reassembler.segment(100, b"\x01z", 2, &mut records);
        assert_eq!(records.seen, b"\x01a");
        reassembler.finish(&mut records);
        assert_eq!((records.seen.as_slice(), records.gaps), (&b"\x01a\x01z"[..], 1));
    }

    /// Is done with whatever is behind a hole; remembers where that began. What begins with "GET"
    /// would be something of its own.
    #[derive(Default)]
    struct DoneBehindHoles {
        is_behind: bool,
        begun: Vec<Vec<u8>>,
    }

    impl Consumer for DoneBehindHoles {
        fn bytes(&mut self, bytes: &[u8]) -> Advance {
            self.begun.push(bytes[..4].to_vec());
            Advance { consumed: bytes.len() as u64, wants_more: !self.is_behind }
        }

        fn lost(&mut self, _: &[u8]) {
            self.is_behind = true;
        }

        fn begins(&self, segment: &[u8]) -> bool {
            segment.starts_with(b"GET")
        }
    }

    const LENGTH: u32 = 1448;

    /// Shows segments of `LENGTH` bytes by their numbers.
    fn show(
        reassembler: &mut Reassembler,
        numbers: impl IntoIterator<Item = u32>,
        consumer: &mut impl Consumer,
    ) -> Vec<Outcome> {
        let mut show = |number: u32| {
            let payload = vec![number as u8; LENGTH as usize];
            reassembler.segment(number * LENGTH, &payload, LENGTH, consumer)
        };
        numbers.into_iter().map(&mut show).collect()
    }

    #[test]
    fn a_hole_that_is_given_up_is_told_also_where_nothing_behind_it_is_wanted() {
        let mut reassembler = Reassembler::new(0);
        let mut consumer = DoneBehindHoles::default();
        // The second is missing, and waited for as long as it might come.
        let gap = 2 + HOLE_BYTES_MAX / LENGTH;
        let outcomes =
            show(&mut reassembler, (0..=gap).filter(|&number| number != 1), &mut consumer);
        let (last, before) = outcomes.split_last().unwrap();
        assert!(before.iter().all(|&outcome| outcome == Outcome::Wanted));
        assert_eq!((*last, reassembler.held_bytes()), (Outcome::Gap, 0));
        let next = show(&mut reassembler, [gap + 1], &mut consumer);
        assert_eq!(next, [Outcome::Done]);
        let numbers = [0, 2, gap, gap + 1];
        assert_eq!(consumer.begun, numbers.map(|number| vec![number as u8; 4]));
    }

    #[test]
    fn what_was_missing_is_joined_with_the_first_of_much_that_came_behind_it() {
        for behind in [1, 5, 11, 12, 20, 100] {
            for wanted in [100, LENGTH, 10 * LENGTH] {
                // Wants that much from the beginning, and of the rest nothing.
                struct Head(u32, Vec<usize>);
                impl Consumer for Head {
                    fn bytes(&mut self, bytes: &[u8]) -> Advance {
                        self.1.push(bytes.len());
                        let is_whole = bytes.len() >= self.0 as usize;
                        let consumed = if is_whole { 1000 * u64::from(LENGTH) } else { 0 };
                        Advance { consumed, wants_more: true }
                    }
                    fn lost(&mut self, _: &[u8]) {
                        panic!("nothing wanted was lost");
                    }
                    fn begins(&self, _: &[u8]) -> bool {
                        false
                    }
                }
                let mut head = Head(wanted, Vec::new());
                let mut reassembler = Reassembler::new(0);
                let order = (1..=behind).chain([0]).chain(behind + 1..1000);
                let outcomes = show(&mut reassembler, order, &mut head);
                assert!(outcomes.iter().all(|&outcome| outcome == Outcome::Wanted));
                assert!(head.1.pop().unwrap() >= wanted as usize, "{behind} {wanted}");
                assert_eq!(reassembler.held_bytes(), 0);
                // Then what follows is seen.
                show(&mut reassembler, [1000], &mut head);
                assert_eq!(head.1.pop(), Some(LENGTH as usize));
            }
        }
    }

    #[test]
    fn what_was_forgotten_is_not_waited_for() {
        let mut reassembler = Reassembler::new(0);
        let mut consumer = DoneBehindHoles::default();
        let outcomes = show(&mut reassembler, (1..20).chain([0]), &mut consumer);
        assert!(outcomes.iter().all(|&outcome| outcome == Outcome::Wanted));
        assert_eq!(show(&mut reassembler, [20, 21], &mut consumer), [Outcome::Gap, Outcome::Done]);
        assert_eq!(consumer.begun, [0, 20, 21].map(|number| vec![number; 4]));
    }

    #[test]
    fn a_segment_behind_a_hole_that_begins_something_is_found() {
        // Behind so many others, of which more than twelve are more than is kept.
        for others in [1, 5, 10, 11, 12, 13, 40] {
            for is_finished in [false, true] {
                let mut reassembler = Reassembler::new(0);
                let mut consumer = DoneBehindHoles::default();
                show(&mut reassembler, 1..=others, &mut consumer);
                let next = (others + 1) * LENGTH;
                let outcome = reassembler.segment(next, b"GET 1", 5, &mut consumer);
                let is_over_bound = (others * LENGTH) as usize + 9 > HELD_BYTES_MAX;
                let expected = if is_over_bound { Outcome::Gap } else { Outcome::Wanted };
                assert_eq!(outcome, expected, "{others}");
                reassembler.segment(next + 5, b"GET 2", 5, &mut consumer);
                if is_finished {
                    reassembler.finish(&mut consumer);
                } else {
                    show(&mut reassembler, others + 3..200, &mut consumer);
                }
                let found: Vec<_> =
                    consumer.begun.iter().filter(|begun| **begun == b"GET ").collect();
                assert_eq!(found.len(), 2, "{others} {is_finished}");
            }
        }
    }

    #[test]
    fn each_of_many_holes_is_told_and_nothing_is_kept_behind_the_last() {
        let mut reassembler = Reassembler::new(0);
        let mut consumer = DoneBehindHoles::default();
        let outcomes: Vec<Outcome> = (1..=HOLES_MAX as u32 + 1)
            .map(|number| reassembler.segment(number * 8, b"abcd", 4, &mut consumer))
            .collect();
        assert!(outcomes.iter().all(|&outcome| outcome == Outcome::Wanted));
        assert_eq!(reassembler.held_bytes(), 4 * HOLES_MAX);
        let far = HOLE_BYTES_MAX + 8;
        assert_eq!(reassembler.segment(far, b"far ", 4, &mut consumer), Outcome::Gap);
        // What fills one of them comes too late; what goes on behind them is looked at.
        assert_eq!(reassembler.segment(4, b"late", 4, &mut consumer), Outcome::Wanted);
        assert_eq!(reassembler.segment(far + 4, b"next", 4, &mut consumer), Outcome::Done);
        assert_eq!(consumer.begun.first().unwrap(), b"abcd");
        assert_eq!(consumer.begun[consumer.begun.len() - 2..], [b"far ", b"next"]);
    }

    #[test]
    fn skipped_bytes_may_be_missing() {
        struct Skip(Vec<u8>);
        impl Consumer for Skip {
            fn bytes(&mut self, bytes: &[u8]) -> Advance {
                self.0.extend_from_slice(bytes);
                Advance { consumed: 1000, wants_more: true }
            }
            fn lost(&mut self, _: &[u8]) {
                panic!("nothing wanted was lost");
            }
            fn begins(&self, _: &[u8]) -> bool {
                false
            }
        }
        let mut reassembler = Reassembler::new(5);
        let mut skip = Skip(Vec::new());
        reassembler.segment(5, b"head", 4, &mut skip);
        reassembler.segment(505, b"body", 4, &mut skip);
        reassembler.segment(1005, b"next", 4, &mut skip);
        assert_eq!(skip.0, b"headnext");
    }

    #[test]
    fn a_snap_cut_is_a_gap() {
        let mut reassembler = Reassembler::new(0);
        let mut records = Records::default();
        reassembler.segment(0, b"\x05ab", 6, &mut records);
        reassembler.segment(6, b"\x01z", 2, &mut records);
        assert_eq!((records.seen.as_slice(), records.gaps), (&b"\x01z"[..], 1));
    }
}
