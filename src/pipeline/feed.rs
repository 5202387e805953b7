//! How workers get their packets from blocks.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use crossbeam_channel::{Receiver, Sender, bounded, select};

use super::{MergeGone, Outbox};
use crate::capture::{self, Block, Record};
use crate::flow::memory::prefetch;
use crate::net::NetworkSet;
use crate::time::{NANOS_PER_MINUTE, Timestamp};
use crate::worker::clock::{SensorClock, TimeStep};
use crate::worker::duplicates::{self, Sample, Windows};
use crate::worker::intake::{Frame, Intake};
use crate::worker::part::Part;
use crate::worker::{BATCH, Frames, Item, Settings, Worker};

/// Packets after which there is a tick, whatever the stamps: it bounds what is gathered between two.
const PACKETS_PER_TICK: usize = 1 << 19;
/// Bytes that are held to see whether there are copies among their packets.
const SAMPLE_BYTES_MAX: usize = 64 << 20;
/// How many frames ahead of the one that is decoded memory is asked for.
const FRAMES_AHEAD: usize = 4;
/// Blocks on their way, for each worker: few, so that they stay in the level-2 caches.
const BLOCKS_PER_WORKER: usize = 3;

impl Frames for Block {
    #[inline]
    fn frame(&self, record: u32) -> &[u8] {
        Block::frame(self, &self.records[record as usize])
    }
}

/// A block's place in the run.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    /// The number of the tick that stands before it, and sensor time there.
    tick: Option<(u64, Timestamp)>,
    /// The tick it belongs to.
    of_tick: u64,
}

/// Walks the input and says where ticks are.
struct Walk {
    run: capture::Run,
    clock: SensorClock,
    tick: u64,
    ticked_at: Option<Timestamp>,
    /// Packets since the last tick.
    packets: usize,
    /// Blocks that were read already, to see what they are like.
    held: VecDeque<Block>,
}

impl Walk {
    fn new(run: capture::Run, held: VecDeque<Block>) -> Walk {
        Walk { run, clock: SensorClock::default(), tick: 0, ticked_at: None, packets: 0, held }
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

    /// Fills `block` with the next packets; none at the end of the input.
    fn next(&mut self, block: &mut Block) -> Option<Place> {
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
        if !self.next_block(block) {
            // The tick, where there is one, is that of the end.
            self.tick -= u64::from(tick.is_some());
            return None;
        }
        self.packets += block.records.len();
        Some(Place { tick, of_tick: self.tick })
    }
}

/// Reads the beginning of a run until `sample` is full, and answers the blocks that were read. They
/// are bounded, and so is what is held of them.
pub(super) fn sample(
    run: &mut capture::Run,
    settings: &Arc<Settings>,
    sample: &Sample,
) -> VecDeque<Block> {
    struct Sampler<'a>(Item, Windows, &'a Sample);
    impl Take for Sampler<'_> {
        fn step(&mut self, _step: TimeStep) {}
        fn place(&mut self) -> &mut Item {
            &mut self.0
        }
        fn item(&mut self) {
            duplicates::sample(&mut self.1, self.2, &self.0);
        }
    }

    let mut held = VecDeque::new();
    let mut sampler = Sampler(Item::default(), Windows::default(), sample);
    let mut clock = SensorClock::default();
    // What it counts is counted again when the blocks are taken.
    let mut intake = Intake::new(Arc::clone(settings), None);
    let mut bytes = 0;
    while bytes < SAMPLE_BYTES_MAX && sample.verdict().is_none() {
        let mut block = Block::default();
        if !run.next_block(&mut block) {
            break;
        }
        decode_block(&block, 0..block.records.len(), &mut clock, &mut intake, &mut sampler);
        bytes += block.room_bytes();
        held.push_back(block);
    }
    held
}

/// What happens to the packets of a block.
pub(super) trait Take {
    /// A time step stands before the next packet.
    fn step(&mut self, step: TimeStep);
    /// Where the next packet is to be decoded to.
    fn place(&mut self) -> &mut Item;
    /// The packet at that place is complete.
    fn item(&mut self);
}

/// Decodes those packets of a block whose numbers are in `range`, and hands them on in order.
#[inline]
pub(super) fn decode_block(
    block: &Block,
    range: Range<usize>,
    clock: &mut SensorClock,
    intake: &mut Intake,
    take: &mut impl Take,
) {
    let records = block.records.get(range.clone()).unwrap_or_default();
    let only = block.only_buffer();
    let frame = |record: &Record| match only {
        Some(bytes) => &bytes[record.offset as usize..][..record.captured as usize],
        None => block.frame(record),
    };
    for (number, (at, record)) in range.zip(records.iter().enumerate()) {
        if let Some(later) = records.get(at + FRAMES_AHEAD)
            && let Some(first) = only.and_then(|bytes| bytes.get(later.offset as usize))
        {
            prefetch(first);
        }
        let bytes = frame(record);
        if let Some(step) = clock.observe(record.time) {
            intake.time_step();
            take.step(step);
        }
        let sensor = clock.at_packet();
        let frame =
            Frame { time: record.time, link: record.link, wire_length: record.wire_length, bytes };
        if intake.take(frame, sensor, number as u32, take.place()) {
            take.item();
        }
    }
}

/// Packets on their way to a worker that decodes them itself, in batches.
pub(super) struct Batches<'a> {
    worker: &'a mut Worker,
    block: &'a Block,
    items: &'a mut [Item; BATCH],
    filled: usize,
}

impl<'a> Batches<'a> {
    pub(super) fn new(
        worker: &'a mut Worker,
        block: &'a Block,
        items: &'a mut [Item; BATCH],
    ) -> Batches<'a> {
        Batches { worker, block, items, filled: 0 }
    }

    #[inline]
    pub(super) fn flush(&mut self) {
        self.worker.process(self.items.get(..self.filled).unwrap_or_default(), self.block);
        self.filled = 0;
    }
}

impl Take for Batches<'_> {
    #[cold]
    fn step(&mut self, step: TimeStep) {
        self.flush();
        self.worker.time_step(step);
    }

    #[inline]
    fn place(&mut self) -> &mut Item {
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
    let mut walk = Walk::new(run, held);
    let mut block = Block::default();
    let mut items = [Item::default(); BATCH];
    while let Some(place) = walk.next(&mut block) {
        if let Some((tick, horizon)) = place.tick
            && send_tick(worker, &mut intake, outbox, tick, horizon).is_err()
        {
            return walk.run;
        }
        let mut batches = Batches::new(worker, &block, &mut items);
        decode_block(&block, 0..block.records.len(), &mut walk.clock, &mut intake, &mut batches);
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

fn send_tick(
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

fn send_end(
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

/// The input, held by one worker at a time.
pub(super) struct Cursor(Mutex<State>);

struct State {
    walk: Walk,
    /// The number of the next block.
    next: u64,
    ended: bool,
}

impl Cursor {
    pub(super) fn new(run: capture::Run, held: VecDeque<Block>) -> Cursor {
        Cursor(Mutex::new(State { walk: Walk::new(run, held), next: 0, ended: false }))
    }

    pub(super) fn into_run(self) -> capture::Run {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner).walk.run
    }

    /// Fills `lists` with the next block and its place. At the end of the input, `lists` is that.
    fn take(&self, lists: &mut BlockLists) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lists.number = state.next;
        let place = if state.ended { None } else { state.walk.next(&mut lists.block) };
        lists.is_end = place.is_none();
        state.ended |= lists.is_end;
        lists.end_tick = state.walk.tick;
        lists.clock = state.walk.clock.clone();
        let Some(place) = place else { return };
        state.next += 1;
        lists.place = place;
        // Sensor time goes on behind this block before its packets are decoded.
        for record in &lists.block.records {
            state.walk.clock.observe(record.time);
        }
    }
}

/// A block and its packets by owner.
#[derive(Default)]
pub(super) struct BlockLists {
    number: u64,
    block: Block,
    place: Place,
    clock: SensorClock,
    is_end: bool,
    end_tick: u64,
    owners: Vec<List>,
}

/// The packets of a block that one worker owns.
#[derive(Default)]
struct List {
    items: Vec<Item>,
    /// Time steps, each with the number of items before it.
    steps: Vec<(usize, TimeStep)>,
}

/// Blocks on their way between workers.
pub(super) struct Lists {
    workers: usize,
    to: Vec<Sender<Arc<BlockLists>>>,
    from: Vec<Receiver<Arc<BlockLists>>>,
    /// Blocks that nobody uses.
    idle: (Sender<Box<BlockLists>>, Receiver<Box<BlockLists>>),
}

impl Lists {
    pub(super) fn new(workers: usize) -> Lists {
        let count = BLOCKS_PER_WORKER * workers;
        // Every block on its way fits every inbox, and the end once from each worker.
        let (to, from) = (0..workers).map(|_| bounded(count + workers)).unzip();
        let idle = bounded(count);
        for _ in 0..count {
            let _full = idle.0.try_send(Box::default());
        }
        Lists { workers, to, from, idle }
    }

    pub(super) fn inboxes(&self) -> Vec<Receiver<Arc<BlockLists>>> {
        self.from.clone()
    }

    /// Gives all owners their lists.
    fn hand_out(&self, lists: BlockLists) {
        let lists = Arc::new(lists);
        for to in &self.to {
            // A worker that has gone needs no lists.
            let _gone = to.send(Arc::clone(&lists));
        }
    }

    /// Whoever is the last to use a block puts it back.
    fn give_back(&self, lists: Arc<BlockLists>) {
        if let Some(lists) = Arc::into_inner(lists) {
            let _full = self.idle.0.try_send(Box::new(lists));
        }
    }
}

/// Lists by owner, as the decoder fills them.
struct Sorter<'a> {
    next: Item,
    owners: &'a mut [List],
    settings: &'a Settings,
}

impl Take for Sorter<'_> {
    #[cold]
    fn step(&mut self, step: TimeStep) {
        for list in self.owners.iter_mut() {
            list.steps.push((list.items.len(), step));
        }
    }
    #[inline]
    fn place(&mut self) -> &mut Item {
        &mut self.next
    }
    #[inline]
    fn item(&mut self) {
        let hash = self.settings.seed.pair(&self.next.packet);
        let owner = (u128::from(hash) * self.owners.len() as u128) >> 64;
        if let Some(list) = self.owners.get_mut(owner as usize) {
            list.items.push(self.next);
        }
    }
}

/// One of several workers.
pub(super) fn together(
    cursor: &Cursor,
    lists: &Lists,
    inbox: &Receiver<Arc<BlockLists>>,
    worker: &mut Worker,
    settings: Arc<Settings>,
    only: Option<NetworkSet>,
    outbox: &Outbox,
) {
    let mut intake = Intake::new(Arc::clone(&settings), only);
    // Lists that came before their turn.
    let mut waiting: BTreeMap<u64, Arc<BlockLists>> = BTreeMap::new();
    let mut next = 0;
    let mut reads = true;
    loop {
        while let Some(mine) = waiting.remove(&next) {
            if mine.is_end {
                send_end(worker, &mut intake, outbox, mine.end_tick, mine.clock.now());
                return;
            }
            if take_lists(&mine, worker, &mut intake, outbox).is_err() {
                return;
            }
            lists.give_back(mine);
            next += 1;
        }
        // Nobody is to sleep, and be woken, who has something to do.
        if let Ok(received) = inbox.try_recv() {
            keep(&mut waiting, received, lists);
            continue;
        }
        let idle = if reads { &lists.idle.1 } else { &crossbeam_channel::never() };
        let mut taken = match idle.try_recv() {
            Ok(taken) => taken,
            Err(_) => select! {
                recv(inbox) -> received => {
                    let Ok(received) = received else { return };
                    keep(&mut waiting, received, lists);
                    continue;
                }
                recv(idle) -> taken => {
                    let Ok(taken) = taken else { return };
                    taken
                }
            },
        };
        cursor.take(&mut taken);
        reads = !taken.is_end;
        if reads {
            sort(&mut taken, lists.workers, &mut intake, &settings);
        }
        lists.hand_out(*taken);
    }
}

/// Keeps lists for their turn. The end comes from each worker that meets it; once is enough.
fn keep(waiting: &mut BTreeMap<u64, Arc<BlockLists>>, received: Arc<BlockLists>, lists: &Lists) {
    match waiting.entry(received.number) {
        Entry::Vacant(place) => _ = place.insert(received),
        Entry::Occupied(_) => lists.give_back(received),
    }
}

fn sort(taken: &mut BlockLists, workers: usize, intake: &mut Intake, settings: &Settings) {
    taken.owners.resize_with(workers, List::default);
    for list in &mut taken.owners {
        list.items.clear();
        list.steps.clear();
    }
    let mut sorter = Sorter { next: Item::default(), owners: &mut taken.owners, settings };
    decode_block(&taken.block, 0..taken.block.records.len(), &mut taken.clock, intake, &mut sorter);
}

fn take_lists(
    lists: &BlockLists,
    worker: &mut Worker,
    intake: &mut Intake,
    outbox: &Outbox,
) -> Result<(), MergeGone> {
    if let Some((tick, horizon)) = lists.place.tick {
        send_tick(worker, intake, outbox, tick, horizon)?;
    }
    let Some(mine) = lists.owners.get(outbox.worker) else { return Ok(()) };
    let mut done = 0;
    for &(until, step) in &mine.steps {
        worker.process(mine.items.get(done..until).unwrap_or_default(), &lists.block);
        worker.time_step(step);
        done = until;
    }
    worker.process(mine.items.get(done..).unwrap_or_default(), &lists.block);
    if worker.is_part_full() {
        outbox.early(lists.place.of_tick, worker.take_early_part(outbox.room()))?;
    }
    Ok(())
}
