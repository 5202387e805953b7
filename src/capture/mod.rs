//! Captures as blocks: files, folders, globs and standard input become one run of packets.
//!
//! [`Plan::survey`] finds the files, takes their fingerprints and first stamps and puts them in
//! order; [`Plan::open`] makes a [`Run`] of them, whose [`Run::next_block`] fills one [`Block`]
//! after the other. A block is one or more large buffers, filled by `read` or stretches of the file
//! itself, and a list of [`Record`]s that say where in them each frame lies, or the way from one to the
//! next: no packet is copied on its own, and once warm nothing is allocated for one.
//!
//! Assumes nothing about the bytes: a hostile file costs bounded memory and is named with the
//! offset at which it stops making sense; what stood before is kept.
//!
//! Does not look into frames (that is `decode`), does not refuse link types (it only passes them
//! on) and does not know which captures were read before (the store does, by fingerprint).

use std::fmt;
use std::sync::Arc;

use crate::packet::LinkType;
use crate::time::Timestamp;

mod buffer;
mod discover;
mod filter;
mod fingerprint;
mod format;
pub mod interface;
pub mod live;
mod map;
mod merge;
mod pcap_file;
mod pcapng_file;
mod plain;
mod plan;
mod reader;
pub mod ring;
mod scout;
mod socket;
mod source;
mod spread;
mod stretch;
mod watch;

use buffer::Buffer;
pub use filter::{Filter, FilterError};
pub use fingerprint::{Content, Fingerprint, fingerprint};
pub use format::{Damage, NotACapture};
pub use merge::{OPEN_FILES_MAX, Run};
pub(crate) use plain::{DENSE_BYTES, DENSE_BYTES_ALONE, LISTED_BYTES};
pub use plan::{CaptureFile, Outcome, Plan, PlanError};
pub use source::Progress;
use stretch::Stretch;
pub(crate) use stretch::{Passed, Steps};

/// How many bytes a block is read in. As large as stays in the level-2 cache together with what
/// the packet path needs: the walk over the records then finds what `read` has just copied. With
/// 1 MiB of that cache, packets of 87 bytes cost 12 ns each at this size (9 of them `read`'s own),
/// 12.5 at half of it, 13 at twice and 14 at four times as much.
pub const BLOCK_BYTES: usize = 256 * 1024;

/// The longest frame that is believed, in bytes: libpcap's MAXIMUM_SNAPLEN. A record that claims
/// more is damage.
pub const FRAME_BYTES_MAX: u32 = 262_144;

/// The longest record or pcapng block that is believed, in bytes. What is longer is damage.
pub const RECORD_BYTES_MAX: usize = 16 * 1024 * 1024;

/// One packet of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// When it was captured.
    pub time: Timestamp,
    /// Where the frame begins, in bytes from the beginning of its buffer.
    pub offset: u32,
    /// How many bytes of the frame the capture holds.
    pub captured: u32,
    /// How many bytes it had on the wire; never less than `captured`.
    pub wire_length: u32,
    /// Which of the block's buffers holds it.
    pub buffer: u16,
    /// What the frame begins with.
    pub link: LinkType,
}

/// Packets in input order, and the memory that holds them. [`Run::next_block`] fills it again and
/// reuses that memory.
#[derive(Debug, Default)]
pub struct Block {
    /// Shared with the run while a merged file's buffer reaches into the next block.
    buffers: Vec<Arc<Buffer>>,
    /// The packets, in input order; none where they are not listed.
    pub records: Vec<Record>,
    /// Where packets are that are not listed.
    stretch: Option<Stretch>,
    /// The block's place in the run, from 0.
    pub number: u64,
}

impl Block {
    /// Takes out all packets; their memory is kept.
    pub fn clear(&mut self) {
        self.records.clear();
        self.stretch = None;
        match self.room() {
            Some(buffer) => buffer.clear(),
            // Somebody still reads the old one.
            None => {
                self.buffers = vec![Arc::new(Buffer::Copied(Vec::with_capacity(BLOCK_BYTES)))];
            }
        }
        self.buffers.truncate(1);
    }

    /// Lets go of what is mapped; memory that packets are copied to is kept. Nothing is looked at any
    /// more before the block is filled again.
    pub(crate) fn let_go(&mut self) {
        self.records.clear();
        self.stretch = None;
        self.buffers.retain(|buffer| matches!(**buffer, Buffer::Copied(_)));
    }

    /// Adds a frame that came from a ring, by copying it: a ring's memory is the kernel's again
    /// before the packets behind it have been seen. Only after [`Block::clear`].
    #[inline]
    pub fn push(&mut self, time: Timestamp, link: LinkType, wire_length: u32, frame: &[u8]) {
        let Some(buffer) = self.room() else { return };
        let offset = buffer.len() as u32;
        buffer.extend_from_slice(frame);
        let captured = frame.len() as u32;
        let wire_length = wire_length.max(captured);
        self.records.push(Record { time, offset, captured, wire_length, buffer: 0, link });
    }

    /// Where frames are copied to.
    #[inline]
    fn room(&mut self) -> Option<&mut Vec<u8>> {
        self.buffers.first_mut().and_then(Arc::get_mut).and_then(Buffer::room)
    }

    /// Bytes that [`Block::push`] has copied since the block was cleared.
    pub fn bytes(&self) -> usize {
        self.buffers.first().map_or(0, |buffer| buffer.len())
    }

    /// The captured bytes of a packet of this block.
    ///
    /// # Panics
    ///
    /// When `record` is another block's.
    #[inline]
    pub fn frame(&self, record: &Record) -> &[u8] {
        let start = record.offset as usize;
        &self.buffers[usize::from(record.buffer)][start..start + record.captured as usize]
    }

    /// Memory that its packets take, in bytes: at least so much.
    pub(crate) fn room_bytes(&self) -> usize {
        let captured: usize = self.records.iter().map(|record| record.captured as usize).sum();
        captured.max(BLOCK_BYTES)
    }

    /// The buffer that holds all of its frames, where that is one: as a rule.
    #[inline]
    pub(crate) fn only_buffer(&self) -> Option<&[u8]> {
        match self.buffers.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    /// The way through packets that are not listed.
    pub(crate) fn steps(&self) -> Option<Steps<'_>> {
        Some(self.stretch.as_ref()?.steps(self.only_buffer()?))
    }

    /// A packet by its number; where packets are not listed, by where its frame begins.
    #[inline]
    pub(crate) fn record(&self, packet: u32) -> Option<Record> {
        match &self.stretch {
            None => self.records.get(packet as usize).copied(),
            Some(stretch) => stretch.record(self.only_buffer()?, packet),
        }
    }

    /// Where the frame begins of a packet with such a number, in bytes from its buffer's beginning.
    #[inline]
    pub(crate) fn offset(&self, packet: u32) -> Option<usize> {
        let offset = match self.stretch {
            None => self.records.get(packet as usize)?.offset,
            Some(_) => packet,
        };
        Some(offset as usize)
    }

    /// All packets with their captured bytes, in input order.
    pub fn frames(&self) -> impl Iterator<Item = (&Record, &[u8])> {
        self.records.iter().map(|record| (record, self.frame(record)))
    }
}

/// The path that stands for standard input.
pub const STANDARD_INPUT: &str = "-";

/// Writes bytes in lower-case hexadecimal.
fn write_hex(formatter: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
}

#[cfg(test)]
mod tests;
