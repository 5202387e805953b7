//! How a worker gets its packets from blocks.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use super::{MergeGone, Outbox};
use crate::capture::{self, Block, DENSE_BYTES, DENSE_BYTES_ALONE, LISTED_BYTES, Passed, Record};
use crate::flow::memory::{LINE_BYTES, prefetch, prefetch_at};
use crate::net::NetworkSet;
use crate::time::{NANOS_PER_MINUTE, Timestamp};
use crate::worker::clock::{SensorClock, TimeStep};
use crate::worker::duplicates::{self, Sample, Windows};
use crate::worker::intake::{Frame, Intake};
use crate::worker::part::Part;
use crate::worker::{BATCH, Item, Settings, Worker};

/// Packets after which there is a tick, whatever the stamps: it bounds what is gathered between two.
const PACKETS_PER_TICK: usize = 1 << 19;
/// Bytes that are held to see whether there are copies among their packets.
const SAMPLE_BYTES_MAX: usize = 64 << 20;
/// How many frames ahead of the one that is decoded memory is asked for.
pub(super) const FRAMES_AHEAD: usize = 4;

/// A block's place in the run.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    /// The number of the tick that stands before it, and sensor time there.
    pub(super) tick: Option<(u64, Timestamp)>,
    /// The tick it belongs to.
    pub(super) of_tick: u64,
}

/// Walks the input and says where ticks are.
pub(super) struct Walk {
    pub(super) run: capture::Run,
    pub(super) clock: SensorClock,
    /// The number of the tick that is to come next.
    pub(super) tick: u64,
    ticked_at: Option<Timestamp>,
    /// Packets since the last tick.
    packets: usize,
    /// Blocks that were read already, to see what they are like.
    held: VecDeque<Block>,
    /// How many bytes a packet may take in its file to be gone through instead of being listed.
    dense_bytes: usize,
}

impl Walk {
    pub(super) fn new(run: capture::Run, held: VecDeque<Block>, dense_bytes: usize) -> Walk {
        let clock = SensorClock::default();
        Walk { run, clock, tick: 0, ticked_at: None, packets: 0, held, dense_bytes }
    }

    fn next_block(&mut self, block: &mut Block) -> bool {
        match self.held.pop_front() {
            Some(held) => {
                *block = held;
                true
            }
            None => self.run.next_block(block),
        }
    }

    /// Fills `block` with the next packets, or with the way through them; none at the end of the input.
    /// Of a way it is to be told by [`Walk::pass`] how far it was gone.
    pub(super) fn next(&mut self, block: &mut Block) -> Option<Place> {
        let tick = self.clock.now().and_then(|now| {
            let since = *self.ticked_at.get_or_insert(now);
            let due = now.nanos_since(since).unsigned_abs() >= NANOS_PER_MINUTE as u64
                || self.packets >= PACKETS_PER_TICK;
            due.then(|| {
                self.tick += 1;
                self.ticked_at = Some(now);
                self.packets = 0;
                (self.tick - 1, now)
            })
        });
        if self.held.is_empty() && self.run.next_stretch(block, self.dense_bytes) {
            return Some(Place { tick, of_tick: self.tick });
        }
        if !self.next_block(block) {
            // The tick, where there is one, is that of the end.
            self.tick -= u64::from(tick.is_some());
            return None;
        }
        self.packets += block.records.len();
        Some(Place { tick, of_tick: self.tick })
    }

    /// The last block's way was gone.
    pub(super) fn pass(&mut self, passed: Passed) {
        self.packets += passed.packets;
        self.run.pass(passed);
    }

    /// Decodes a block's packets and hands them on in order.
    #[inline]
    fn decode<'a>(&mut self, block: &'a Block, intake: &mut Intake, take: &mut impl Take<'a>) {
        let Some(mut steps) = block.steps() else {
            return decode_block(block, 0..block.records.len(), &mut self.clock, intake, take);
        };
        for (record, bytes) in &mut steps {
            decode_record(&record, bytes, &mut self.clock, intake, take);
        }
        self.pass(steps.passed());
    }
}

/// Reads the beginning of a run until `sample` is full, and answers the blocks that were read. They
/// are bounded, and so is what is held of them.
pub(super) fn sample(
    run: &mut capture::Run,
    settings: &Arc<Settings>,
    sample: &Sample,
) -> VecDeque<Block> {
    struct Sampler<'a, 's>(Item<'a>, &'s mut Windows, &'s Sample);
    impl<'a> Take<'a> for Sampler<'a, '_> {
        fn step(&mut self, _step: TimeStep) {}
        fn place(&mut self) -> &mut Item<'a> {
            &mut self.0
        }
        fn item(&mut self) {
            duplicates::sample(self.1, self.2, &self.0);
        }
    }

    let mut held = VecDeque::new();
    let mut windows = Windows::default();
    let mut clock = SensorClock::default();
    // What it counts is counted again when the blocks are taken.
    let mut intake = Intake::new(Arc::clone(settings), None);
    let mut bytes = 0;
    while bytes < SAMPLE_BYTES_MAX && sample.verdict().is_none() {
        let mut block = Block::default();
        if !run.next_block(&mut block) {
            break;
        }
        let mut sampler = Sampler(Item::default(), &mut windows, sample);
        decode_block(&block, 0..block.records.len(), &mut clock, &mut intake, &mut sampler);
        bytes += block.room_bytes();
        held.push_back(block);
    }
    held
}

/// What happens to the packets of a block.
pub(super) trait Take<'a> {
    /// A time step stands before the next packet.
    fn step(&mut self, step: TimeStep);
    /// Where the next packet is to be decoded to.
    fn place(&mut self) -> &mut Item<'a>;
    /// The packet at that place is complete.
    fn item(&mut self);
}

/// The frames of a block, which lie in one buffer as a rule.
pub(super) struct BlockFrames<'a> {
    block: &'a Block,
    only: Option<&'a [u8]>,
}

impl<'a> BlockFrames<'a> {
    pub(super) fn new(block: &'a Block) -> BlockFrames<'a> {
        BlockFrames { block, only: block.only_buffer() }
    }

    #[inline(always)]
    pub(super) fn bytes(&self, record: &Record) -> &'a [u8] {
        match self.only {
            Some(bytes) => &bytes[record.offset as usize..][..record.captured as usize],
            None => self.block.frame(record),
        }
    }

    /// Asks for the beginning of a frame.
    #[inline(always)]
    pub(super) fn ask_for(&self, record: Option<&Record>) {
        self.ask_from(record, 0);
    }

    /// Whether records stand so close that what will be listed next can be asked for line by line.
    fn are_dense(&self, records: &[Record]) -> bool {
        let ends = self.only.and_then(|_| Some((records.first()?, records.last()?)));
        ends.is_some_and(|(first, last)| {
            let between = last.offset.saturating_sub(first.offset) as usize;
            between <= records.len() * DENSE_BYTES
        })
    }

    /// Asks for the lines that stand as far behind a frame as what is listed at once of a map: they
    /// are on their way while this block is decoded.
    #[inline(always)]
    fn ask_far_ahead(&self, record: &Record) {
        self.ask_from(Some(record), LISTED_BYTES);
        self.ask_from(Some(record), LISTED_BYTES + LINE_BYTES);
    }

    /// Asks for what is decoded of a frame.
    #[inline(always)]
    pub(super) fn ask_for_headers(&self, offset: Option<usize>) {
        if let (Some(offset), Some(bytes)) = (offset, self.only) {
            let frame = bytes.as_ptr().wrapping_add(offset);
            prefetch_at(frame);
            prefetch_at(frame.wrapping_add(LINE_BYTES));
        }
    }

    #[inline(always)]
    fn ask_from(&self, record: Option<&Record>, behind: usize) {
        if let Some(record) = record
            && let Some(byte) = self.only.and_then(|all| all.get(record.offset as usize + behind))
        {
            prefetch(byte);
        }
    }
}

/// Decodes those packets of a block whose numbers are in `range`, and hands them on in order.
#[inline]
pub(super) fn decode_block<'a>(
    block: &'a Block,
    range: Range<usize>,
    clock: &mut SensorClock,
    intake: &mut Intake,
    take: &mut impl Take<'a>,
) {
    let records = block.records.get(range).unwrap_or_default();
    let frames = BlockFrames::new(block);
    let are_dense = frames.are_dense(records);
    for (at, record) in records.iter().enumerate() {
        if are_dense {
            frames.ask_far_ahead(record);
        } else {
            frames.ask_for(records.get(at + FRAMES_AHEAD));
        }
        decode_record(record, frames.bytes(record), clock, intake, take);
    }
}

/// A frame as it is decoded, of which these are the bytes.
#[inline(always)]
pub(super) fn frame<'a>(record: &Record, bytes: &'a [u8]) -> Frame<'a> {
    let &Record { time, link, wire_length, .. } = record;
    Frame { time, link, wire_length, bytes }
}

#[inline(always)]
fn decode_record<'a>(
    record: &Record,
    bytes: &'a [u8],
    clock: &mut SensorClock,
    intake: &mut Intake,
    take: &mut impl Take<'a>,
) {
    if let Some(step) = clock.observe(record.time) {
        intake.time_step();
        take.step(step);
    }
    if intake.take(frame(record, bytes), clock.at_packet(), take.place()) {
        take.item();
    }
}

/// Packets on their way to a worker that decodes them itself, in batches.
pub(super) struct Batches<'a, 'w> {
    worker: &'w mut Worker,
    items: [Item<'a>; BATCH],
    filled: usize,
}

impl<'a, 'w> Batches<'a, 'w> {
    pub(super) fn new(worker: &'w mut Worker) -> Batches<'a, 'w> {
        Batches { worker, items: [Item::default(); BATCH], filled: 0 }
    }

    #[inline]
    pub(super) fn flush(&mut self) {
        self.worker.process(self.items.get(..self.filled).unwrap_or_default());
        self.filled = 0;
    }
}

impl<'a> Take<'a> for Batches<'a, '_> {
    #[cold]
    fn step(&mut self, step: TimeStep) {
        self.flush();
        self.worker.time_step(step);
    }

    #[inline]
    fn place(&mut self) -> &mut Item<'a> {
        &mut self.items[self.filled % BATCH]
    }

    #[inline]
    fn item(&mut self) {
        self.worker.expect(self.items[self.filled % BATCH].hash);
        self.filled += 1;
        if self.filled == BATCH {
            self.flush();
        }
    }
}

/// One worker that reads by itself: packets go from the decoder to their flows in batches.
pub(super) fn alone(
    run: capture::Run,
    held: VecDeque<Block>,
    worker: &mut Worker,
    settings: Arc<Settings>,
    only: Option<NetworkSet>,
    outbox: &Outbox,
) -> capture::Run {
    let mut intake = Intake::new(settings, only);
    let mut walk = Walk::new(run, held, DENSE_BYTES_ALONE);
    let mut block = Block::default();
    while let Some(place) = walk.next(&mut block) {
        if let Some((tick, horizon)) = place.tick
            && send_tick(worker, &mut intake, outbox, tick, horizon).is_err()
        {
            return walk.run;
        }
        let mut batches = Batches::new(worker);
        walk.decode(&block, &mut intake, &mut batches);
        batches.flush();
        if worker.is_part_full()
            && outbox.early(place.of_tick, worker.take_early_part(outbox.room())).is_err()
        {
            return walk.run;
        }
    }
    send_end(worker, &mut intake, outbox, walk.tick, walk.clock.now());
    walk.run
}

pub(super) fn send_tick(
    worker: &mut Worker,
    intake: &mut Intake,
    outbox: &Outbox,
    tick: u64,
    horizon: Timestamp,
) -> Result<(), MergeGone> {
    worker.advance(horizon);
    outbox.early(tick, intake.take_part())?;
    outbox.tick(tick, worker.take_part(outbox.room()), Some(horizon))
}

pub(super) fn send_end(
    worker: &mut Worker,
    intake: &mut Intake,
    outbox: &Outbox,
    tick: u64,
    now: Option<Timestamp>,
) {
    worker.finish(now);
    // Where merge is gone, nobody wants the last part either.
    if outbox.early(tick, intake.take_part()).is_ok() {
        let _gone = outbox.tick(tick, worker.take_part(Part::default()), None);
    }
}
