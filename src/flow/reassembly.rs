//! TCP bytes of one direction put in order (RFC 9293, 3.10.7.4), within bounds.
//!
//! Where copies of a byte differ, the first one seen wins. What arrives in order and is consumed
//! at once is never copied. Bytes that a dissector does not want are skipped without being kept.
//! Does not wait for ever: what is missing when a bound is reached is declared lost.

use crate::dissect::Advance;

/// Bytes kept while a dissector wants more, or while earlier ones are missing.
pub const HELD_BYTES_MAX: usize = 16 * 1024;
/// Runs of bytes kept behind holes in one direction: more than a hello in a few packets that come
/// in any order needs, since a run costs no more than its bytes.
pub const HOLES_MAX: usize = 64;

/// What takes the bytes once they are in order.
pub trait Consumer {
    /// Takes contiguous bytes that it has not consumed yet.
    fn bytes(&mut self, bytes: &[u8]) -> Advance;
    /// Bytes were lost, and nothing will follow the `unconsumed` ones in front of them; what comes
    /// next begins at a segment's start.
    fn lost(&mut self, unconsumed: &[u8]);
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
}

impl Island {
    fn end(&self) -> u32 {
        self.sequence.wrapping_add(self.bytes.len() as u32)
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
}

/// `one - other` in sequence space, negative when `one` is earlier.
fn distance(one: u32, other: u32) -> i32 {
    one.wrapping_sub(other) as i32
}

impl Reassembler {
    /// A stream whose next byte has sequence number `next`.
    pub fn new(next: u32) -> Reassembler {
        Reassembler { next, held: Vec::new(), skip: 0, islands: Vec::new() }
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
        let ahead = distance(sequence, self.next);
        if ahead > 0 && i64::from(ahead) > self.skip as i64 {
            return self.keep(sequence, payload, consumer);
        }
        let old = usize::try_from(-ahead).unwrap_or(0);
        if ahead > 0 {
            self.pass_over(ahead as u32);
        }
        // What came before stays as it is, also what stands behind a hole that this fills.
        let outcome = match payload.get(old..).filter(|fresh| !fresh.is_empty()) {
            None => Outcome::Wanted,
            Some(fresh) if self.islands.is_empty() => self.in_order(fresh, consumer),
            Some(fresh) => {
                self.insert(self.next, fresh);
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
        match outcome {
            Outcome::Wanted => match self.join_islands(consumer) {
                Outcome::Wanted => self.give_up_holes(consumer),
                other => other,
            },
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
        self.held.len() + self.islands.iter().map(|island| island.bytes.len()).sum::<usize>()
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

    /// Keeps a segment that lies behind a hole.
    fn keep(&mut self, sequence: u32, payload: &[u8], consumer: &mut impl Consumer) -> Outcome {
        self.insert(sequence, payload);
        self.give_up_holes(consumer)
    }

    /// As long as more is kept than may be, what is missing in front of it is declared lost.
    fn give_up_holes(&mut self, consumer: &mut impl Consumer) -> Outcome {
        let mut outcome = Outcome::Wanted;
        while self.islands.len() > HOLES_MAX || self.held_bytes() > HELD_BYTES_MAX {
            let Some(first) = self.islands.first() else { break };
            let start = first.sequence;
            self.lose_until(start, consumer);
            outcome = Outcome::Gap;
            match self.join_islands(consumer) {
                Outcome::Wanted | Outcome::Gap => {}
                Outcome::Done => self.begin_behind(consumer),
                // A bound, too, and told as one.
                Outcome::Overflow => return Outcome::Overflow,
            }
        }
        outcome
    }

    /// The consumer is done with what stands behind a hole that was given up, mostly since it
    /// begins nothing. To say so would hide the loss: it is asked again with the next segment.
    fn begin_behind(&mut self, consumer: &mut impl Consumer) {
        self.next = self.islands.last().map_or(self.next, Island::end);
        self.skip = 0;
        self.islands.clear();
        self.held.clear();
        consumer.lost(&[]);
    }

    /// Adds bytes to the islands; those that are there already stay as they are.
    fn insert(&mut self, mut sequence: u32, mut payload: &[u8]) {
        let mut at = 0;
        while !payload.is_empty() {
            let Some(island) = self.islands.get(at) else {
                self.islands.push(Island { sequence, bytes: payload.to_vec() });
                break;
            };
            let before = distance(island.sequence, sequence);
            if before > 0 {
                // A part in front of this island, perhaps all of it.
                let length = payload.len().min(before as usize);
                let (front, rest) = payload.split_at(length);
                self.islands.insert(at, Island { sequence, bytes: front.to_vec() });
                sequence = sequence.wrapping_add(length as u32);
                payload = rest;
            } else {
                // Drop what this island has; the rest comes behind it.
                let known = distance(island.end(), sequence).max(0) as usize;
                let known = known.min(payload.len());
                payload = payload.get(known..).unwrap_or_default();
                sequence = sequence.wrapping_add(known as u32);
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
                    last.bytes.extend_from_slice(&island.bytes);
                }
                _ => merged.push(island),
            }
        }
        self.islands = merged;
    }

    /// Feeds the islands that the stream has reached.
    fn join_islands(&mut self, consumer: &mut impl Consumer) -> Outcome {
        while let Some(first) = self.islands.first() {
            let ahead = distance(first.sequence, self.next);
            if ahead > 0 {
                if i64::from(ahead) > self.skip as i64 {
                    break;
                }
                self.pass_over(ahead as u32);
            }
            let island = self.islands.remove(0);
            let old = distance(self.next, island.sequence).max(0) as usize;
            if let Some(fresh) = island.bytes.get(old..).filter(|fresh| !fresh.is_empty()) {
                match self.in_order(fresh, consumer) {
                    Outcome::Wanted => {}
                    other => return other,
                }
            }
        }
        Outcome::Wanted
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

    /// Is done with whatever is behind a hole; remembers where that began.
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
    }

    #[test]
    fn a_hole_that_is_given_up_is_told_also_where_nothing_behind_it_is_wanted() {
        const LENGTH: u32 = 1448;
        let mut reassembler = Reassembler::new(0);
        let mut consumer = DoneBehindHoles::default();
        let mut outcomes = Vec::new();
        // The second is missing.
        for number in (0..16).filter(|&number| number != 1) {
            let payload = vec![number as u8; LENGTH as usize];
            let outcome = reassembler.segment(number * LENGTH, &payload, LENGTH, &mut consumer);
            outcomes.push(outcome);
        }
        // As soon as more than the bound is behind the hole; then the next segment ends it.
        let gap = 1 + HELD_BYTES_MAX / LENGTH as usize;
        assert!(outcomes[..gap].iter().all(|&outcome| outcome == Outcome::Wanted));
        assert_eq!(outcomes[gap..gap + 2], [Outcome::Gap, Outcome::Done]);
        let next = gap as u8 + 2;
        assert_eq!(consumer.begun[..3], [vec![0; 4], vec![2; 4], vec![next; 4]]);
    }

    #[test]
    fn each_of_many_holes_is_told_and_nothing_is_kept_behind_the_last() {
        let mut reassembler = Reassembler::new(0);
        let mut consumer = DoneBehindHoles::default();
        let outcomes: Vec<Outcome> = (1..=HOLES_MAX as u32 + 1)
            .map(|number| reassembler.segment(number * 8, b"abcd", 4, &mut consumer))
            .collect();
        let (last, before) = outcomes.split_last().unwrap();
        assert!(before.iter().all(|&outcome| outcome == Outcome::Wanted));
        assert_eq!((*last, reassembler.held_bytes()), (Outcome::Gap, 0));
        // What fills one of them comes too late; what goes on behind them is looked at.
        assert_eq!(reassembler.segment(4, b"late", 4, &mut consumer), Outcome::Wanted);
        let next = (HOLES_MAX as u32 + 1) * 8 + 4;
        assert_eq!(reassembler.segment(next, b"next", 4, &mut consumer), Outcome::Done);
        assert_eq!(consumer.begun, [b"abcd", b"next"]);
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
