//! The head of a request that is too long to be kept whole: read line by line, each forgotten once
//! it has been read.
//!
//! For heads of more than [`HEAD_LENGTH_MAX`] bytes, as large cookies make them. Assumes bytes in
//! order that begin at the request line. A line of more than that is stepped over: no host is as
//! long. There is no bound on the number of lines, since they take no memory.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing))]

use arrayvec::ArrayVec;
use memchr::memchr;

use super::http::{Fields, Head, without_return};

/// The longest head that is read in one go, and the longest line of a longer one, in bytes.
pub(crate) const HEAD_LENGTH_MAX: usize = 8192;

/// What a request line ends with, in bytes: ` HTTP/1.1` and a carriage return.
const LINE_END_LENGTH: usize = 10;

/// A head of which the beginning has been read.
#[derive(Debug, Default)]
pub(crate) struct LongHead {
    fields: Fields,
    /// Bytes that have been read.
    length: usize,
    /// Whether the rest of a line that is too long is being stepped over.
    in_line: bool,
    /// Whether that line is the first.
    in_first_line: bool,
    /// The last bytes of a first line that is too long: they say whether it is a request line.
    line_end: ArrayVec<u8, LINE_END_LENGTH>,
}

/// What the next bytes of a head came to.
#[derive(Debug)]
pub(crate) enum Line {
    /// This many bytes are done with.
    Consumed(usize),
    /// Its end is not there.
    Incomplete,
    /// The empty line, behind which the body begins, ends after this many bytes.
    End(usize),
}

impl LongHead {
    /// Reads the next line. `scanned` bytes of it are known to hold no end.
    pub(crate) fn line(&mut self, bytes: &[u8], scanned: usize) -> Line {
        let scanned = scanned.min(bytes.len());
        let (scan, fresh) = bytes.split_at_checked(scanned).unwrap_or((bytes, &[]));
        let end = memchr(b'\n', fresh).map(|end| scan.len() + end);
        if end.is_none() && bytes.len() <= HEAD_LENGTH_MAX && !self.in_line {
            return Line::Incomplete;
        }
        let is_whole = !std::mem::replace(&mut self.in_line, end.is_none());
        // However much of it came at once.
        let fits = end.is_some_and(|end| end <= HEAD_LENGTH_MAX);
        let piece = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
        let line = without_return(piece);
        let consumed = end.map_or(bytes.len(), |end| end + 1);
        let is_first = self.length == 0;
        self.length = self.length.saturating_add(consumed);
        if is_first {
            // Of a target that is too long, the beginning has the host.
            self.fields.first_line(line.get(..HEAD_LENGTH_MAX).unwrap_or(line));
            self.in_first_line = end.is_none() || line.len() > HEAD_LENGTH_MAX;
        } else if is_whole && line.is_empty() {
            return Line::End(consumed);
        } else if is_whole && fits {
            self.fields.line(line);
        }
        if self.in_first_line {
            self.first_line_goes_on(piece, end.is_some());
        }
        Line::Consumed(consumed)
    }

    /// Takes a piece of a first line that is too long. What follows the head is sure only if the
    /// line ends as it should.
    fn first_line_goes_on(&mut self, piece: &[u8], ends: bool) {
        for &byte in piece.get(piece.len().saturating_sub(LINE_END_LENGTH)..).unwrap_or(piece) {
            if self.line_end.is_full() {
                self.line_end.remove(0);
            }
            self.line_end.push(byte);
        }
        if ends {
            self.fields.long_first_line_ends(without_return(&self.line_end));
            self.in_first_line = false;
        }
    }

    /// What the lines have told.
    pub(crate) fn finish(&mut self) -> Head {
        std::mem::take(&mut self.fields).finish(self.length)
    }
}
