//! Scouts go ahead of the walk over the records of a mapped file.
//!
//! Each record's header says where the next one is, and in a file that is mapped none of them is in
//! the processor's caches: a walk over long packets waits for memory at each. So several scouts
//! first go over as many stretches of the same bytes at once, and ask for what will be looked at of
//! each record: their waits overlap. In the middle of the bytes they guess where a record begins.
//! Nothing depends on what they find but time: 4 GB of packets of 800 bytes on average are walked
//! in 205 ms with them, in 720 without, and in 460 where `read` copies everything.

use memchr::memmem;

use crate::flow::memory::prefetch;

/// Scouts at a time: about as many waits as a processor core has room for.
const SCOUTS: usize = 16;
/// What is looked at of a record is in its first bytes: headers of record, link, IP and transport.
const LINE_BYTES: usize = 64;
/// Records this short are brought near whole.
const SHORT_BYTES: usize = 4 * LINE_BYTES;
/// A record that does not begin within so many bytes is not looked for.
const SEARCHED_BYTES_MAX: usize = 16 * 1024;

/// What scouts know of a format.
pub(super) trait Gait {
    /// The length of the record at `at`, its header included; none where there is none.
    fn length(&self, bytes: &[u8], at: usize) -> Option<usize>;

    /// Bytes that most records have in common with the one at `at`, and how far from a record's
    /// beginning they stand.
    fn mark<'a>(&self, bytes: &'a [u8], at: usize) -> Option<(&'a [u8], usize)>;
}

/// Asks for the headers of the records of `bytes` between `start`, where one begins, and `end`.
pub(super) fn bring_near(bytes: &[u8], start: usize, end: usize, gait: &impl Gait) {
    let Some((mark, offset)) = gait.mark(bytes, start) else { return };
    let mark = memmem::Finder::new(mark);
    let stretch = end.saturating_sub(start) / SCOUTS;
    let mut scouts = [(start, start + stretch); SCOUTS];
    for (number, (at, until)) in scouts.iter_mut().enumerate().skip(1) {
        let from = start + number * stretch;
        *until = from + stretch;
        *at = find(bytes, from, &mark, offset, gait).unwrap_or(*until);
    }
    let mut some_go_on = true;
    while some_go_on {
        some_go_on = false;
        for (at, until) in &mut scouts {
            if *at >= *until {
                continue;
            }
            let here = *at;
            ask_for(bytes, here + LINE_BYTES);
            let length = gait.length(bytes, here);
            *at = length.map_or(*until, |length| here + length);
            ask_for(bytes, *at);
            // Of what is neither empty nor full, somebody may want the contents: questions, answers.
            if length.is_some_and(|length| length <= SHORT_BYTES) {
                ask_for(bytes, here + 2 * LINE_BYTES);
                ask_for(bytes, here + 3 * LINE_BYTES);
            }
            some_go_on = true;
        }
    }
}

/// Where a record probably begins, not far behind `from`.
fn find(
    bytes: &[u8],
    from: usize,
    mark: &memmem::Finder<'_>,
    offset: usize,
    gait: &impl Gait,
) -> Option<usize> {
    let until = bytes.len().min(from + SEARCHED_BYTES_MAX);
    let looks_like_one = |&at: &usize| {
        let Some(next) = gait.length(bytes, at).map(|length| at + length) else { return false };
        let there = next + offset..next + offset + mark.needle().len();
        bytes.get(there).is_none_or(|there| there == mark.needle())
    };
    let marks = mark.find_iter(bytes.get(from + offset..until)?);
    marks.map(|place| from + place).find(looks_like_one)
}

#[inline]
fn ask_for(bytes: &[u8], at: usize) {
    if let Some(byte) = bytes.get(at) {
        prefetch(byte);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use proptest::prelude::*;

    use super::*;

    /// Records of one byte for their length, marked by 7 behind it.
    struct Toy {
        steps: Cell<usize>,
    }

    impl Gait for Toy {
        fn length(&self, bytes: &[u8], at: usize) -> Option<usize> {
            self.steps.set(self.steps.get() + 1);
            bytes.get(at).map(|&length| usize::from(length).max(2))
        }

        fn mark<'a>(&self, bytes: &'a [u8], at: usize) -> Option<(&'a [u8], usize)> {
            Some((bytes.get(at + 1..at + 2)?, 1))
        }
    }

    proptest! {
        #[test]
        fn whatever_the_bytes_scouts_come_to_an_end(
            bytes in proptest::collection::vec(0..9_u8, 0..3_000),
            start in 0..3_500_usize,
            end in 0..3_500_usize,
        ) {
            let toy = Toy { steps: Cell::new(0) };
            bring_near(&bytes, start, end, &toy);
            // Each goes over its stretch once, and looks for its beginning among marks.
            prop_assert!(toy.steps.get() <= 2 * SCOUTS * (bytes.len() + 2));
        }
    }

    #[test]
    fn a_scout_finds_where_a_record_begins_and_not_what_only_looks_like_a_mark() {
        // Records of 6 bytes, with a 7 in each that is no mark.
        let bytes = [6, 7, 0, 0, 7, 0].repeat(100);
        let toy = Toy { steps: Cell::new(0) };
        let mark = memmem::Finder::new(&[7_u8]);
        for from in [0, 1, 4, 5, 6, 301] {
            let found = find(&bytes, from, &mark, 1, &toy).unwrap();
            assert_eq!(found, from.next_multiple_of(6), "{from}");
        }
    }
}
