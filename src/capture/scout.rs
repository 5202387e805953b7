//! Scouts list the records of a mapped file, several stretches of it at once.
//!
//! Each record's header says where the next one is, and in a file that is mapped none of them is in
//! the processor's caches: a walk from one to the next waits for memory at each. So several scouts
//! go over as many stretches of the same bytes at once, list what they find and ask for what will
//! be looked at of each record: their waits overlap. In the middle of the bytes they guess where a
//! record begins. What a scout has listed counts only where the one before it comes to the place at
//! which it began; else the stretch is walked from there, record by record.

use std::ops::Range;

use memchr::memmem;

use super::Record;
use super::format::Walked;
use crate::flow::memory::{LINE_BYTES, prefetch};

/// Scouts at a time: about as many waits as a processor core has room for.
const SCOUTS: usize = 16;
/// A record's header, and what is looked at of the link's.
const HEADERS_BYTES: usize = 32;
/// Records this short are brought near whole.
const SHORT_BYTES: usize = 4 * LINE_BYTES;
/// A record that does not begin within so many bytes is not looked for.
const SEARCHED_BYTES_MAX: usize = 16 * 1024;

/// What scouts know of a format, and how it is walked through where they are not believed.
pub(super) trait Gait {
    /// The record at `at` and where the next one begins; none where it is not whole, or such that it
    /// may be none at all, or that it says something of those behind it.
    fn step(&self, bytes: &[u8], at: usize) -> Option<(Record, usize)>;

    /// Bytes that most records have in common with the one at `at`, and how far from a record's
    /// beginning they stand.
    fn mark<'a>(&self, bytes: &'a [u8], at: usize) -> Option<(&'a [u8], usize)>;

    /// What [`Gait::step`] will look at when the record at `next`, whose header has been asked for, is
    /// behind.
    fn far(&self, bytes: &[u8], next: usize) -> Range<usize> {
        let _ = bytes;
        next..next + HEADERS_BYTES
    }

    /// Adds the whole records that begin in `range`, at whose start one does.
    fn walk(&mut self, bytes: &[u8], range: Range<usize>, records: &mut Vec<Record>) -> Walked;

    /// How often a walk has come upon something that changes what [`Gait::step`] says.
    fn changes(&self) -> usize {
        0
    }

    /// Records were taken from a scout, `last` the last of them.
    fn pass(&mut self, last: &Record) {
        let _ = last;
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Scouts([Scout; SCOUTS]);

#[derive(Debug, Default)]
struct Scout {
    /// Where it began, and where it is.
    first: usize,
    at: usize,
    /// It goes no further than to the first record that begins here or behind.
    until: usize,
    found: Vec<Record>,
}

impl Scouts {
    /// Adds the whole records of `bytes` that begin in `range`, at whose start one does.
    pub(super) fn list(
        &mut self,
        bytes: &[u8],
        range: Range<usize>,
        gait: &mut impl Gait,
        records: &mut Vec<Record>,
    ) -> Walked {
        self.go(bytes, &range, gait);
        let changes = gait.changes();
        let mut at = range.start;
        for (number, scout) in self.0.iter().enumerate() {
            if scout.first == at && gait.changes() == changes {
                records.extend_from_slice(&scout.found);
                if let Some(last) = scout.found.last() {
                    gait.pass(last);
                }
                at = scout.at;
            }
            let until = stretch(number, &range).end;
            if at < until {
                let walked = gait.walk(bytes, at..until, records);
                if walked.damage.is_some() || walked.consumed < until {
                    return walked;
                }
                at = walked.consumed;
            }
        }
        Walked { consumed: at, damage: None }
    }

    /// Sends scouts to the records of `bytes` in `range`.
    fn go(&mut self, bytes: &[u8], range: &Range<usize>, gait: &impl Gait) {
        for (number, scout) in self.0.iter_mut().enumerate() {
            scout.found.clear();
            Range { start: scout.first, end: scout.until } = stretch(number, range);
            ask_for(bytes, scout.first);
        }
        if let Some((mark, offset)) = gait.mark(bytes, range.start) {
            let mark = memmem::Finder::new(mark);
            for scout in self.0.iter_mut().skip(1) {
                let found = find(bytes, scout.first, &mark, offset, gait);
                // Where it found none it does not go, and the one before it does not come.
                (scout.first, scout.until) =
                    found.map_or((usize::MAX, 0), |first| (first, scout.until));
            }
        }
        for scout in &mut self.0 {
            scout.at = scout.first;
        }
        let mut some_go_on = true;
        while some_go_on {
            some_go_on = false;
            for scout in &mut self.0 {
                some_go_on |= scout.step(bytes, gait);
            }
        }
    }
}

/// What a scout goes over.
fn stretch(number: usize, range: &Range<usize>) -> Range<usize> {
    let bytes = range.len() / SCOUTS;
    let from = range.start + number * bytes;
    from..if number + 1 == SCOUTS { range.end } else { from + bytes }
}

impl Scout {
    /// Lists one record. False where it has come to its end.
    #[inline(always)]
    fn step(&mut self, bytes: &[u8], gait: &impl Gait) -> bool {
        if self.at >= self.until {
            return false;
        }
        let here = self.at;
        let Some((record, next)) = gait.step(bytes, here) else {
            self.until = here;
            return false;
        };
        // It may begin in one line and end in the next.
        let Range { start, end } = gait.far(bytes, next);
        ask_for(bytes, start);
        ask_for(bytes, end);
        // What is looked at of most records is in two lines: headers of record, link, IP and transport.
        ask_for(bytes, here + LINE_BYTES);
        // Of what is neither empty nor full, somebody may want the contents: questions, answers.
        if (2 * LINE_BYTES..=SHORT_BYTES).contains(&(next - here)) {
            ask_for(bytes, here + 2 * LINE_BYTES);
            ask_for(bytes, here + 3 * LINE_BYTES);
        }
        self.found.push(record);
        self.at = next;
        true
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
        let Some((_, next)) = gait.step(bytes, at) else { return false };
        let there = next + offset..next + offset + mark.needle().len();
        bytes.get(there).is_none_or(|there| there == mark.needle())
    };
    let marks = mark.find_iter(bytes.get(from + offset..until)?);
    marks.map(|place| from + place).find(looks_like_one)
}

#[inline(always)]
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
    use crate::packet::LinkType;
    use crate::time::Timestamp;

    /// Records of one byte for their length, marked by 7 behind it. After each of 8 bytes all are
    /// longer by one.
    #[derive(Default)]
    struct Toy {
        steps: Cell<usize>,
        walks: usize,
        length: usize,
    }

    impl Toy {
        fn record(&self, bytes: &[u8], at: usize) -> Option<(Record, usize)> {
            let next = at + usize::from(*bytes.get(at)?).max(2) + self.length;
            let record = Record {
                time: Timestamp(0),
                offset: at as u32,
                captured: u32::from(bytes[at]),
                wire_length: 0,
                buffer: 0,
                link: LinkType::ETHERNET,
            };
            (next <= bytes.len()).then_some((record, next))
        }
    }

    impl Gait for Toy {
        fn step(&self, bytes: &[u8], at: usize) -> Option<(Record, usize)> {
            self.steps.set(self.steps.get() + 1);
            self.record(bytes, at).filter(|(record, _)| record.captured != 8)
        }

        fn mark<'a>(&self, bytes: &'a [u8], at: usize) -> Option<(&'a [u8], usize)> {
            Some((bytes.get(at + 1..at + 2)?, 1))
        }

        fn walk(&mut self, bytes: &[u8], range: Range<usize>, records: &mut Vec<Record>) -> Walked {
            self.walks += 1;
            let mut at = range.start;
            while at < range.end
                && let Some((record, next)) = self.record(bytes, at)
            {
                self.length += usize::from(record.captured == 8);
                records.push(record);
                at = next;
            }
            Walked { consumed: at, damage: None }
        }

        fn changes(&self) -> usize {
            self.length
        }
    }

    proptest! {
        #[test]
        fn whatever_the_bytes_scouts_find_what_a_walk_does(
            bytes in proptest::collection::vec(0..9_u8, 0..3_000),
            start in 0..3_500_usize,
            end in 0..3_500_usize,
        ) {
            let (start, end) = (start.min(bytes.len()), end.min(bytes.len()));
            let mut scouts = Scouts::default();
            for _again in 0..2 {
                let (mut toy, mut walker) = (Toy::default(), Toy::default());
                let (mut found, mut expected) = (Vec::new(), Vec::new());
                let walked = scouts.list(&bytes, start..end, &mut toy, &mut found);
                prop_assert_eq!(walked, walker.walk(&bytes, start..end, &mut expected));
                prop_assert_eq!(&found, &expected);
                // Each goes over its stretch once, and looks for its beginning among marks.
                prop_assert!(toy.steps.get() <= 2 * SCOUTS * (bytes.len() + 2));
            }
        }
    }

    #[test]
    fn of_plain_records_nothing_is_left_to_the_walk() {
        let bytes = [6, 7, 0, 0, 1, 0].repeat(2_000);
        let (mut toy, mut found) = (Toy::default(), Vec::new());
        let walked = Scouts::default().list(&bytes, 0..bytes.len(), &mut toy, &mut found);
        assert_eq!((walked.consumed, found.len(), toy.walks), (bytes.len(), 2_000, 0));
    }

    #[test]
    fn a_scout_finds_where_a_record_begins_and_not_what_only_looks_like_a_mark() {
        // Records of 6 bytes, with a 7 in each that is no mark.
        let bytes = [6, 7, 0, 0, 7, 0].repeat(100);
        let mark = memmem::Finder::new(&[7_u8]);
        for from in [0, 1, 4, 5, 6, 301] {
            let found = find(&bytes, from, &mark, 1, &Toy::default()).unwrap();
            assert_eq!(found, from.next_multiple_of(6), "{from}");
        }
    }
}
