//! One capture, read buffer by buffer, or mapped window by window where it can be.
//!
//! What of the last record does not fit a buffer is carried to the front of the next one; nothing
//! else is ever copied. A record longer than a buffer makes that buffer grow as its bytes arrive,
//! never by what a length field claims.

use std::fmt;
use std::io;
use std::sync::Arc;

use super::buffer::Buffer;
use super::fingerprint::{Content, Sketch};
use super::format::{Damage, Detected, Format, HEADER_BYTES, detect};
use super::plain::{Listed, Plain};
use super::source::Stream;
use super::stretch::{Passed, Stretch};
use super::{BLOCK_BYTES, Outcome, RECORD_BYTES_MAX, Record};

/// A capture that is being read.
pub(super) struct Reader {
    stream: Stream,
    /// The file that the stream reads, where it can be mapped instead.
    plain: Option<Plain>,
    /// Whether the last records came from a map: the stream is behind.
    is_mapped: bool,
    /// Unknown until the first bytes are read.
    format: Option<Format>,
    /// The beginning of a record whose end the last buffer did not hold.
    carry: Vec<u8>,
    /// Where `carry` begins, in unpacked bytes from the file's beginning.
    offset: u64,
    /// How the file ended, once it has.
    ending: Option<Outcome>,
    sketch: Sketch,
    /// Whether `sketch` has seen all bytes so far.
    is_sketched: bool,
    /// Whether all unpacked bytes were read.
    at_end: bool,
}

impl Reader {
    pub(super) fn new(stream: Stream, plain: Option<Plain>) -> Reader {
        Reader {
            stream,
            plain,
            is_mapped: false,
            format: None,
            carry: Vec::new(),
            offset: 0,
            ending: None,
            sketch: Sketch::new(),
            is_sketched: true,
            at_end: false,
        }
    }

    /// The next packets, and the buffer that holds them: of `size` bytes unless one record needs more,
    /// out of `free` if there is one. No packets mean that the file has ended.
    pub(super) fn fill(
        &mut self,
        free: &mut Vec<Arc<Buffer>>,
        size: usize,
        records: &mut Vec<Record>,
    ) -> Arc<Buffer> {
        records.clear();
        if self.ending.is_some() {
            return Arc::default();
        }
        // With less room, there are other files beside this one: each window would show little of it.
        if size >= BLOCK_BYTES
            && let Some(window) = self.list_mapped(records)
        {
            return window;
        }
        if std::mem::take(&mut self.is_mapped)
            && let Some(Err(error)) = self.plain.as_mut().map(|plain| plain.read_from(self.offset))
        {
            self.ending = Some(Outcome::Failed(error.to_string()));
            return Arc::default();
        }
        let mut buffer = free.pop().unwrap_or_default();
        // Never shared, or it would not have been free.
        if let Some(bytes) = Arc::get_mut(&mut buffer).and_then(Buffer::room) {
            self.fill_copied(bytes, size, records);
        }
        buffer
    }

    /// The next packets of a file that is mapped.
    fn list_mapped(&mut self, records: &mut Vec<Record>) -> Option<Arc<Buffer>> {
        let (Some(plain), Some(format)) = (&mut self.plain, &mut self.format) else {
            return None;
        };
        let Listed { buffer, offset, damage } = plain.list(format, self.offset, records)?;
        self.go_on_mapped(offset);
        self.ending = damage.map(|damage| self.damaged(damage));
        (!records.is_empty() || self.ending.is_some()).then_some(buffer)
    }

    /// The next packets of a file that is mapped, where they need not be listed as they take no more than
    /// `dense_bytes` each. How far they were taken is to be told to [`Reader::pass`].
    pub(super) fn stretch(&mut self, dense_bytes: usize) -> Option<(Arc<Buffer>, Stretch)> {
        if self.ending.is_some() {
            return None;
        }
        self.plain.as_mut()?.stretch(self.format.as_ref()?, self.offset, dense_bytes)
    }

    /// The last stretch was gone through.
    pub(super) fn pass(&mut self, passed: Passed) {
        if let Some(plain) = &mut self.plain {
            let offset = plain.pass(self.offset, passed);
            self.go_on_mapped(offset);
        }
    }

    /// What stands before `offset` was taken out of the map.
    fn go_on_mapped(&mut self, offset: u64) {
        // What was carried of the next record was read, and is mapped, too.
        let bytes = (offset - self.offset).saturating_sub(self.carry.len() as u64);
        self.plain.iter().for_each(|plain| plain.add_progress(bytes));
        self.carry.clear();
        (self.offset, self.is_mapped, self.is_sketched) = (offset, true, false);
    }

    fn fill_copied(&mut self, buffer: &mut Vec<u8>, size: usize, records: &mut Vec<Record>) {
        resize(buffer, size.max(HEADER_BYTES).max(self.carry.len()));
        let mut filled = self.carry.len();
        buffer[..filled].copy_from_slice(&self.carry);
        self.carry.clear();
        loop {
            let ending = self.read(buffer, &mut filled);
            let at = self.walk(&buffer[..filled], records, ending);
            if self.ending.is_some() {
                return;
            }
            if !records.is_empty() {
                self.carry.extend_from_slice(&buffer[at..filled]);
                return;
            }
            // Nothing but headers, or the beginning of one long record.
            buffer.copy_within(at..filled, 0);
            filled -= at;
            if filled == buffer.len() {
                // Bounded: the walk calls a record that claims more than RECORD_BYTES_MAX damage.
                buffer.resize(filled * 2, 0);
            }
        }
    }

    /// Whether the format has one link type for all packets of a file; pcapng has one for each
    /// interface.
    pub(super) fn has_one_link_type(&self) -> bool {
        matches!(self.format, Some(Format::Pcap(_)))
    }

    /// What the file holds; `None` while there may be more, and where it was not read to its end.
    pub(super) fn content(&self) -> Option<Content> {
        (self.at_end && self.is_sketched).then(|| self.sketch.content())
    }

    /// How the file ended; `None` while there may be more. Not to be filled again afterwards.
    pub(super) fn take_ending(&mut self) -> Option<Outcome> {
        self.ending.take()
    }

    /// Reads until `buffer` is full; how the stream ended if it did before.
    fn read(&mut self, buffer: &mut [u8], filled: &mut usize) -> Option<StreamEnd> {
        while *filled < buffer.len() {
            match self.stream.read(&mut buffer[*filled..]) {
                Ok(0) => {
                    self.at_end = true;
                    return Some(StreamEnd::Whole);
                }
                Ok(count) => {
                    self.sketch.add(&buffer[*filled..*filled + count]);
                    *filled += count;
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    // What the decompressors say of damaged data; the system never does.
                    io::ErrorKind::InvalidData
                    | io::ErrorKind::InvalidInput
                    | io::ErrorKind::UnexpectedEof => return Some(StreamEnd::Damaged),
                    _ => return Some(StreamEnd::Failed(error.to_string())),
                },
            }
        }
        None
    }

    /// Lists the packets of `bytes`, which begin at the file's `offset`, and moves that on: where
    /// the first record that is not whole begins.
    fn walk(&mut self, bytes: &[u8], records: &mut Vec<Record>, end: Option<StreamEnd>) -> usize {
        let mut start = 0;
        if self.format.is_none() {
            match detect(bytes) {
                Detected::Capture(format, records_begin) => {
                    self.format = Some(format);
                    start = records_begin;
                }
                Detected::Cut => {
                    self.end(self.damaged(Damage::CutHeader), end, bytes.len());
                    return 0;
                }
                Detected::NotACapture(why) => {
                    self.end(Outcome::NotACapture(why), end, bytes.len());
                    return 0;
                }
            }
        }
        let Some(format) = &mut self.format else {
            return start;
        };
        let walked = format.walk(bytes, start, records);
        self.offset += walked.consumed as u64;
        if let Some(damage) = walked.damage {
            self.ending = Some(self.damaged(damage));
        } else if end.is_some() {
            let rest = bytes.len() - walked.consumed;
            let here = if rest == 0 { Outcome::Whole } else { self.damaged(Damage::CutRecord) };
            self.end(here, end, rest);
        }
        walked.consumed
    }

    /// Ends the file with `here`, unless the stream itself failed; `rest` bytes behind the offset
    /// were read before it did.
    fn end(&mut self, here: Outcome, stream: Option<StreamEnd>, rest: usize) {
        self.ending = Some(match stream {
            None | Some(StreamEnd::Whole) => here,
            Some(StreamEnd::Damaged) => {
                let offset = self.offset + rest as u64;
                Outcome::Damaged { offset, why: Damage::Compression }
            }
            Some(StreamEnd::Failed(error)) => Outcome::Failed(error),
        });
    }

    fn damaged(&self, why: Damage) -> Outcome {
        Outcome::Damaged { offset: self.offset, why }
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Reader")
            .field("format", &self.format)
            .field("offset", &self.offset)
            .field("ending", &self.ending)
            .finish_non_exhaustive()
    }
}

/// How a stream ended.
enum StreamEnd {
    Whole,
    Damaged,
    Failed(String),
}

/// Brings a recycled buffer to `size`, and gives back what one long record had made it grow to.
fn resize(buffer: &mut Vec<u8>, size: usize) {
    buffer.resize(size, 0);
    if buffer.capacity() > size.saturating_mul(4).min(RECORD_BYTES_MAX) {
        buffer.shrink_to(size);
    }
}
