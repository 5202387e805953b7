//! Several workers that read one input.
//!
//! They take turns at reading blocks. Whoever has read one looks at the addresses of its packets and
//! lists whose each is: all packets between two addresses have one owner, whatever their ports are.
//! Every worker then takes its own of all blocks, in their order.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use crossbeam_channel::{Receiver, Sender, bounded, select};

use super::feed::{Batches, BlockFrames, FRAMES_AHEAD, Place, Take, Walk, send_end, send_tick};
use super::{MergeGone, Outbox};
use crate::capture::{self, Block, Record};
use crate::decode::{self, Outcome};
use crate::net::{Address, NetworkSet};
use crate::packet::Packet;
use crate::time::Timestamp;
use crate::worker::clock::TimeStep;
use crate::worker::intake::Intake;
use crate::worker::{Settings, Worker};

/// Blocks on their way, for each worker: few, so that they stay in the level-2 caches.
const BLOCKS_PER_WORKER: usize = 3;
/// How many frames ahead of the one that is decoded memory is asked for: many, since half of them and
/// more were brought near for another worker.
const LISTED_AHEAD: usize = 16;

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
        lists.end = state.walk.clock.now();
        lists.sensor.clear();
        lists.steps.clear();
        let Some(place) = place else { return };
        state.next += 1;
        lists.place = place;
        // Sensor time goes on behind this block before its packets are decoded.
        lists.sensor.reserve(lists.block.records.len());
        for (number, record) in lists.block.records.iter().enumerate() {
            if let Some(step) = state.walk.clock.observe(record.time) {
                lists.steps.push((number as u32, step));
            }
            lists.sensor.push(state.walk.clock.at_packet());
        }
    }
}

/// A block and its packets by owner.
#[derive(Default)]
pub(super) struct BlockLists {
    number: u64,
    block: Block,
    place: Place,
    /// Sensor time when each of its packets came.
    sensor: Vec<Timestamp>,
    /// Time steps, each with the number of the packet behind it.
    steps: Vec<(u32, TimeStep)>,
    /// For each worker the numbers of the packets that it owns. They are not decoded yet: whoever does
    /// that has them at hand when he counts them.
    owners: Vec<Vec<u32>>,
    is_end: bool,
    end_tick: u64,
    /// Sensor time at the end.
    end: Option<Timestamp>,
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

/// One of several workers.
pub(super) fn run(
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
                send_end(worker, &mut intake, outbox, mine.end_tick, mine.end);
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
            taken.steps.iter().for_each(|_| intake.time_step());
            share_out(&mut taken, lists.workers, &settings);
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

/// Finds out who owns each packet of a block.
fn share_out(taken: &mut BlockLists, workers: usize, settings: &Settings) {
    let BlockLists { block, owners, .. } = taken;
    owners.resize_with(workers, Vec::new);
    owners.iter_mut().for_each(Vec::clear);
    let frames = BlockFrames::new(block);
    for (number, record) in block.records.iter().enumerate() {
        frames.ask_for(block.records.get(number + FRAMES_AHEAD));
        let looked = decode::addresses(record.link, frames.bytes(record));
        let ends = looked.or_else(|| decoded_addresses(record, frames.bytes(record)));
        // What is no packet has to be counted by somebody.
        let owner = ends.map_or(0, |(source, destination)| {
            let hash = settings.seed.pair(source, destination);
            ((u128::from(hash) * workers as u128) >> 64) as usize
        });
        if let Some(list) = owners.get_mut(owner) {
            list.push(number as u32);
        }
    }
}

/// The addresses of a packet that a look did not tell: of what is in a tunnel, in fragments or on
/// another link than Ethernet. Such a frame is decoded twice.
#[cold]
fn decoded_addresses(record: &Record, frame: &[u8]) -> Option<(Address, Address)> {
    let mut packet = Packet::default();
    let outcome = decode::decode(record.link, frame, record.wire_length, &mut packet);
    (outcome == Outcome::Packet).then_some((packet.source, packet.destination))
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
    let Some(mut mine) = lists.owners.get(outbox.worker).map(Vec::as_slice) else { return Ok(()) };
    let mut batches = Batches::new(worker);
    for &(record, step) in &lists.steps {
        let (before, behind) = mine.split_at(mine.partition_point(|&number| number < record));
        decode_listed(lists, before, intake, &mut batches);
        batches.step(step);
        mine = behind;
    }
    decode_listed(lists, mine, intake, &mut batches);
    batches.flush();
    if worker.is_part_full() {
        outbox.early(lists.place.of_tick, worker.take_early_part(outbox.room()))?;
    }
    Ok(())
}

/// Decodes the packets of a block that have these numbers.
fn decode_listed<'a>(
    lists: &'a BlockLists,
    numbers: &[u32],
    intake: &mut Intake,
    batches: &mut Batches<'a, '_>,
) {
    let records = &lists.block.records;
    let frames = BlockFrames::new(&lists.block);
    for (at, &number) in numbers.iter().enumerate() {
        let later = numbers.get(at + LISTED_AHEAD);
        frames.ask_for_headers(later.and_then(|&later| records.get(later as usize)));
        if let Some(record) = records.get(number as usize)
            && let Some(&sensor) = lists.sensor.get(number as usize)
            && intake.take(frames.frame(record), sensor, batches.place())
        {
            batches.item();
        }
    }
}
