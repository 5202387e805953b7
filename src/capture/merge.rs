//! The run itself: files one after the other, or packet by packet where they overlap in time.
//!
//! While files are read, the next one joins them as soon as they reach its first stamp. So the two
//! halves of a tap become whole flows, and a folder of consecutive files is read straight through.
//! Joined files are merged by the stamps of their next packets, ties in reading order; within one
//! file packets keep their order, even where stamps go back.
//!
//! A merged block has a buffer of each file. A file's buffer that reaches into the next block is
//! shared by both: frames stay where `read` put them.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::path::Path;
use std::sync::Arc;

use super::buffer::Buffer;
use super::filter::Filter;
use super::plan::{CaptureFile, Held, Outcome, failure};
use super::reader::Reader;
use super::source::Progress;
use super::stretch::Passed;
use super::{BLOCK_BYTES, Block, Record};
use crate::packet::LinkType;
use crate::time::Timestamp;

/// How many files are open at once. Where more overlap in time, a file waits until another has
/// ended; see [`Run::files_delayed`].
pub const OPEN_FILES_MAX: usize = 256;

/// The smallest buffer of a merged file, in bytes. Together they take the room of one block, down
/// to this.
const MERGE_BYTES_MIN: usize = 32 * 1024;

/// How many buffers a block has at most.
const BUFFERS_MAX: usize = 1024;

/// How many link types of a file are told apart; there are a few in honest ones.
const LINK_TYPES_MAX: usize = 64;

/// How many free buffers are kept for later blocks.
const FREE_BUFFERS_MAX: usize = 64;

/// Files being read. Not a thread's own: whoever wants the next block takes it.
#[derive(Debug)]
pub struct Run {
    files: Vec<CaptureFile>,
    repeated: u64,
    filter: Filter,
    progress: Arc<Progress>,
    /// Files not yet opened, by index, in reading order.
    waiting: VecDeque<usize>,
    open: Vec<Open>,
    /// The next packets' turns, with their files' places in `open`; kept for its memory only.
    turns: BinaryHeap<Reverse<(Turn, usize)>>,
    free: Vec<Arc<Buffer>>,
    blocks: u64,
    /// How far the run had come when a file could not join for lack of room.
    full_until: Option<Timestamp>,
    delayed: u64,
    reading: Option<usize>,
}

/// An open file and the packets of it that are not in a block yet.
#[derive(Debug)]
struct Open {
    file: usize,
    reader: Reader,
    buffer: Option<Arc<Buffer>>,
    records: Vec<Record>,
    /// The first record that is not in a block yet.
    next: usize,
    /// The place of `buffer` in the block being filled, once it has one.
    place: Option<u16>,
    /// Set when the file is not read on, though it goes on.
    ending: Option<Outcome>,
}

/// Decides between packets of different files: stamp, then reading order.
type Turn = (Timestamp, usize);

impl Run {
    pub(super) fn new(
        files: Vec<CaptureFile>,
        repeated: u64,
        filter: Filter,
        progress: Arc<Progress>,
    ) -> Run {
        let pending = |(index, file): (usize, &CaptureFile)| {
            (file.outcome == Outcome::Pending).then_some(index)
        };
        let waiting = files.iter().enumerate().filter_map(pending).collect();
        Run {
            files,
            repeated,
            filter,
            progress,
            waiting,
            open: Vec::new(),
            turns: BinaryHeap::new(),
            free: Vec::new(),
            blocks: 0,
            full_until: None,
            delayed: 0,
            reading: None,
        }
    }

    /// Fills `block` with the next packets; false, and no packets, at the end of the run. What was
    /// in it is gone, its memory is used again.
    pub fn next_block(&mut self, block: &mut Block) -> bool {
        self.clear(block);
        self.open.iter_mut().for_each(|open| open.place = None);
        let mut room = BLOCK_BYTES;
        while room > 0 && block.buffers.len() < BUFFERS_MAX {
            self.refill();
            if self.open.is_empty() {
                if !self.join() {
                    break;
                }
            } else if self.has_one_to_itself() {
                if block.records.is_empty() {
                    self.hand_over(block);
                }
                break;
            } else {
                self.merge(block, &mut room);
            }
        }
        block.number = self.blocks;
        self.blocks += u64::from(!block.records.is_empty());
        self.progress.add_packets(block.records.len() as u64);
        !block.records.is_empty()
    }

    /// As [`Run::next_block`], where packets need not be listed as they take no more than `dense_bytes`
    /// each in their file: one goes through them with [`Block::steps`], and tells the run by
    /// [`Run::pass`] how far that went. False where they are to be listed, or at the end.
    pub(crate) fn next_stretch(&mut self, block: &mut Block, dense_bytes: usize) -> bool {
        let [open] = self.open.as_slice() else { return false };
        let is_at_hand = open.next < open.records.len() || open.ending.is_some();
        if is_at_hand || !self.waiting.is_empty() || !self.filter.is_empty() {
            return false;
        }
        self.clear(block);
        let stretch = self.open.first_mut().and_then(|open| open.reader.stretch(dense_bytes));
        let Some((buffer, stretch)) = stretch else { return false };
        block.buffers.push(buffer);
        block.stretch = Some(stretch);
        block.number = self.blocks;
        self.blocks += 1;
        true
    }

    /// The last stretch was gone through.
    pub(crate) fn pass(&mut self, passed: Passed) {
        let [open] = self.open.as_mut_slice() else { return };
        open.reader.pass(passed);
        let packets = passed.packets as u64;
        self.files[open.file].packets += packets;
        self.progress.add_packets(packets);
    }

    /// All files, in reading order, with what has become of them so far.
    pub fn files(&self) -> &[CaptureFile] {
        &self.files
    }

    /// The file that is being read; with several, the one that joined last.
    pub fn reading(&self) -> Option<&Path> {
        self.reading.and_then(|file| self.files.get(file)).map(|file| file.path.as_path())
    }

    /// How often a file was met again under another name; each is read once.
    pub fn repeated(&self) -> u64 {
        self.repeated
    }

    /// How many files were opened later than their first stamp asked for, because
    /// [`OPEN_FILES_MAX`] others were open.
    pub fn files_delayed(&self) -> u64 {
        self.delayed
    }

    /// How far the run has come; stays valid while another thread reads on.
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// The exit code that the files ask for: the highest of theirs.
    pub fn exit_code(&self) -> u8 {
        self.files.iter().map(CaptureFile::exit_code).max().unwrap_or(0)
    }

    /// Takes out all packets; memory is kept, windows are given back.
    fn clear(&mut self, block: &mut Block) {
        block.records.clear();
        block.stretch = None;
        for buffer in block.buffers.drain(..) {
            recycle(&mut self.free, buffer);
        }
    }

    /// Sees to it that every open file has a packet at hand, and closes those that have ended.
    fn refill(&mut self) {
        let size = (BLOCK_BYTES / self.open.len().max(1)).max(MERGE_BYTES_MIN);
        let mut index = 0;
        while let Some(open) = self.open.get_mut(index) {
            while open.next >= open.records.len() && open.ending.is_none() {
                open.place = None;
                if let Some(buffer) = open.buffer.take() {
                    recycle(&mut self.free, buffer);
                }
                open.buffer = Some(open.reader.fill(&mut self.free, size, &mut open.records));
                open.next = 0;
                if open.records.is_empty() {
                    open.ending = open.reader.take_ending();
                } else {
                    let file = &mut self.files[open.file];
                    sift(&mut self.filter, open, file, &self.progress);
                }
            }
            if open.next < open.records.len() {
                index += 1;
                continue;
            }
            let mut closed = self.open.swap_remove(index);
            let file = &mut self.files[closed.file];
            file.outcome = closed.ending.take().unwrap_or(Outcome::Whole);
            file.content = file.content.or_else(|| closed.reader.content());
            if let Some(buffer) = closed.buffer {
                recycle(&mut self.free, buffer);
            }
        }
    }

    /// Opens the next file; false when there is none.
    fn join(&mut self) -> bool {
        let Some(index) = self.waiting.pop_front() else {
            return false;
        };
        let file = &mut self.files[index];
        self.delayed += u64::from(file.first_time < self.full_until);
        match file.open(&self.progress) {
            Ok(Held { reader, buffer, records }) => {
                let buffer = Some(buffer);
                let mut open = Open {
                    file: index,
                    reader,
                    buffer,
                    records,
                    next: 0,
                    place: None,
                    ending: None,
                };
                sift(&mut self.filter, &mut open, file, &self.progress);
                self.open.push(open);
                self.reading = Some(index);
            }
            Err(error) => file.outcome = failure(&error),
        }
        true
    }

    /// When the next file joins: as soon as the turn of a packet comes after this.
    fn next_joins_at(&self) -> Option<Turn> {
        let &file = self.waiting.front()?;
        Some((self.files[file].first_time?, file))
    }

    /// Whether a single file is open and no other joins before the end of what is read of it.
    fn has_one_to_itself(&self) -> bool {
        let [open] = self.open.as_slice() else {
            return false;
        };
        self.next_joins_at().is_none_or(|joins| {
            open.records[open.next..].iter().all(|record| (record.time, open.file) < joins)
        })
    }

    /// The straight path: all packets read of the only open file are the block.
    fn hand_over(&mut self, block: &mut Block) {
        let [open] = self.open.as_mut_slice() else {
            return;
        };
        if open.next == 0 {
            std::mem::swap(&mut block.records, &mut open.records);
        } else {
            block.records.extend_from_slice(&open.records[open.next..]);
        }
        open.records.clear();
        open.next = 0;
        block.buffers.extend(open.buffer.take());
        self.files[open.file].packets += block.records.len() as u64;
    }

    /// Adds packets of all open files by their turns, until the block is full, a file has none at
    /// hand or another one joins.
    fn merge(&mut self, block: &mut Block, room: &mut usize) {
        self.turns.clear();
        for (index, open) in self.open.iter().enumerate() {
            self.turns.extend(open.turn().map(|turn| Reverse((turn, index))));
        }
        while let Some(Reverse((first, index))) = self.turns.pop() {
            let mut until = self.turns.peek().map(|&Reverse((turn, _))| turn);
            match self.next_joins_at() {
                Some(joins) if joins > first => {
                    until = Some(until.map_or(joins, |turn| turn.min(joins)));
                }
                Some(_) if self.open.len() < OPEN_FILES_MAX => {
                    self.join();
                    return;
                }
                Some(_) => self.full_until = self.full_until.max(Some(first.0)),
                None => {}
            }
            let open = &mut self.open[index];
            let packets_before = block.records.len();
            let place = open.place(block);
            for record in &open.records[open.next..] {
                if *room == 0 || until.is_some_and(|until| (record.time, open.file) > until) {
                    break;
                }
                block.records.push(Record { buffer: place, ..*record });
                *room = room.saturating_sub(record.captured as usize + size_of::<Record>());
            }
            let added = block.records.len() - packets_before;
            open.next += added;
            self.files[open.file].packets += added as u64;
            match open.turn() {
                Some(turn) => self.turns.push(Reverse((turn, index))),
                None => return,
            }
            if *room == 0 || block.buffers.len() >= BUFFERS_MAX {
                return;
            }
        }
    }
}

impl Open {
    /// The turn of its next packet; `None` when none is at hand.
    fn turn(&self) -> Option<Turn> {
        Some((self.records.get(self.next)?.time, self.file))
    }

    /// The place of the file's buffer in `block`, which shares it from then on.
    fn place(&mut self, block: &mut Block) -> u16 {
        *self.place.get_or_insert_with(|| {
            block.buffers.extend(self.buffer.clone());
            // At most BUFFERS_MAX.
            (block.buffers.len() - 1) as u16
        })
    }
}

/// Takes out of a file's packets those that the filter leaves out.
fn sift(filter: &mut Filter, open: &mut Open, file: &mut CaptureFile, progress: &Progress) {
    let before = open.records.len();
    let bytes = open.buffer.as_deref().map_or(&[][..], |buffer| buffer);
    if let Err(error) = filter.retain(bytes, &mut open.records) {
        open.ending = Some(Outcome::Filter(error));
    }
    let left_out = (before - open.records.len()) as u64;
    file.packets_filtered += left_out;
    progress.add_packets(left_out);
    if !open.reader.has_one_link_type() {
        count_links(&open.records, &mut file.packets_by_link);
    }
}

/// Adds packets to the counts of their link types, of which a file has few and few changes.
fn count_links(records: &[Record], counts: &mut Vec<(LinkType, u64)>) {
    for same in records.chunk_by(|one, next| one.link == next.link) {
        let Some(link) = same.first().map(|record| record.link) else { continue };
        let packets = same.len() as u64;
        match counts.iter().position(|(of, _)| *of == link) {
            Some(index) => counts[index].1 += packets,
            None if counts.len() < LINK_TYPES_MAX => counts.push((link, packets)),
            None => {}
        }
    }
}

/// Keeps memory for later, unless a block or a file still has it too: then whichever of the two is
/// done last brings it back.
fn recycle(free: &mut Vec<Arc<Buffer>>, mut buffer: Arc<Buffer>) {
    if free.len() < FREE_BUFFERS_MAX
        && Arc::get_mut(&mut buffer).is_some_and(|buffer| buffer.room().is_some())
    {
        free.push(buffer);
    }
}
