//! Records that nobody lists: whoever takes them goes from one to the next.
//!
//! Where records stand close, most lines of their file are looked at, and memory can be asked for line
//! by line: no scouts have to find out which of it is wanted. The way from record to record is so
//! short that the processor goes it while it decodes what it has found, and there is no list to write
//! and to read again.

use std::ops::Range;

use super::Record;
use super::pcap_file::PlainPcap;
use crate::flow::memory::{LINE_BYTES, prefetch_at};

/// How far ahead of a record memory is asked for, in bytes: the way to there takes longer than memory
/// does, and it is where the processor by itself would not go, behind the end of the page.
const AHEAD_BYTES: usize = 4 * 1024;

/// Records of a pcap file that begin in a range of a buffer, at whose start one does.
#[derive(Clone, Debug)]
pub(crate) struct Stretch {
    pub(super) format: PlainPcap,
    pub(super) range: Range<usize>,
}

/// How far a stretch was gone through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Passed {
    /// Where the first record that was not taken begins, in bytes from the buffer's beginning.
    pub(super) end: usize,
    /// How many were taken.
    pub(crate) packets: usize,
}

/// The way through a stretch. It ends early at what may be no record, or is not whole.
#[derive(Debug)]
pub(crate) struct Steps<'a> {
    format: PlainPcap,
    bytes: &'a [u8],
    range: Range<usize>,
    packets: usize,
}

impl Stretch {
    /// Through its records, which lie in `bytes`.
    pub(super) fn steps<'a>(&self, bytes: &'a [u8]) -> Steps<'a> {
        Steps { format: self.format, bytes, range: self.range.clone(), packets: 0 }
    }

    /// The record whose frame begins at `offset`.
    #[inline(always)]
    pub(super) fn record(&self, bytes: &[u8], offset: u32) -> Option<Record> {
        let at = (offset as usize).checked_sub(PlainPcap::HEADER_BYTES)?;
        self.format.step(bytes, at).map(|(record, _)| record)
    }
}

impl Steps<'_> {
    /// How far it went.
    pub(crate) fn passed(&self) -> Passed {
        Passed { end: self.range.start, packets: self.packets }
    }
}

impl<'a> Iterator for Steps<'a> {
    type Item = (Record, &'a [u8]);

    #[inline(always)]
    fn next(&mut self) -> Option<(Record, &'a [u8])> {
        if self.range.is_empty() {
            return None;
        }
        let here = self.bytes.as_ptr().wrapping_add(self.range.start);
        let (record, frame) = self.format.step(self.bytes, self.range.start)?;
        let length = PlainPcap::HEADER_BYTES + frame.len();
        for line in (0..length).step_by(LINE_BYTES) {
            prefetch_at(here.wrapping_add(AHEAD_BYTES + line));
        }
        self.range.start += length;
        self.packets += 1;
        Some((record, frame))
    }
}
