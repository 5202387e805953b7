//! Several workers that read one input.
//!
//! They take turns at reading blocks. Whoever has read one looks at the addresses of its packets and
//! lists whose each is: all packets between two addresses have one owner, whatever their ports are.
//! Every worker then takes its own of all blocks, in their order.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::feed::{
    Batches, BlockFrames, FRAMES_AHEAD, Place, Take, Walk, frame, send_end, send_tick,
};
use super::{MergeGone, Outbox};
use crate::capture::{self, Block, DENSE_BYTES, Record};
use crate::decode::{self, Outcome};
use crate::net::{Address, NetworkSet};
use crate::packet::{LinkType, Packet};
use crate::time::Timestamp;
use crate::worker::clock::{SensorClock, TimeStep};
use crate::worker::intake::Intake;
use crate::worker::{Settings, Worker};

/// Blocks on their way, for each worker: few, so that they stay in the level-2 caches.
const BLOCKS_PER_WORKER: usize = 5;
/// A worker reads on where fewer blocks than this wait for it.
const BLOCKS_AHEAD: usize = 5;
/// How long a worker waits for the others before it looks whether there is something to read.
const PATIENCE: Duration = Duration::from_millis(100);
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
        Cursor(Mutex::new(State { walk: Walk::new(run, held, DENSE_BYTES), next: 0, ended: false }))
    }

    pub(super) fn into_run(self) -> capture::Run {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner).walk.run
    }

    /// Fills `lists` with the next block, its place and whose its packets are. At the end of the input,
    /// `lists` is that. False where another worker is reading, who will hand out what it reads.
    fn take(&self, lists: &mut BlockLists, settings: &Settings) -> bool {
        let mut state = match self.0.try_lock() {
            Ok(state) => state,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return false,
        };
        let State { walk, next, ended } = &mut *state;
        lists.number = *next;
        lists.clear();
        let place = if *ended { None } else { walk.next(&mut lists.block) };
        lists.is_end = place.is_none();
        *ended |= lists.is_end;
        lists.end_tick = walk.tick;
        lists.end = walk.clock.now();
        if let Some(place) = place {
            *next += 1;
            lists.place = place;
            lists.share_out(walk, settings);
        }
        true
    }
}

/// A block and its packets by owner.
#[derive(Default)]
pub(super) struct BlockLists {
    number: u64,
    block: Block,
    place: Place,
    /// For each worker the packets that it owns. They are not decoded yet: whoever does that has them
    /// at hand when he counts them.
    owners: Vec<Vec<Share>>,
    /// Time steps, each with how many packets of each worker stand before it.
    steps: Vec<(TimeStep, Vec<usize>)>,
    /// Sensor time at packets whose stamps are far behind it.
    far_behind: Vec<(u32, Timestamp)>,
    is_end: bool,
    end_tick: u64,
    /// Sensor time before the block, and at the end.
    end: Option<Timestamp>,
}

/// A packet: as little as there is to say, since another processor writes it than reads it.
#[derive(Clone, Copy)]
struct Share {
    /// See [`Block::record`].
    record: u32,
    /// How far its stamp is behind sensor time, in nanoseconds.
    behind: u32,
}

/// In the place of what is behind too far: see `BlockLists::far_behind`.
const FAR_BEHIND: u32 = u32::MAX;

impl BlockLists {
    /// Forgets whose packets were whose.
    fn clear(&mut self) {
        self.owners.iter_mut().for_each(Vec::clear);
        self.steps.clear();
        self.far_behind.clear();
    }

    /// Finds out who owns each packet of the block. Sensor time goes on behind the block before any of
    /// them is decoded.
    fn share_out(&mut self, walk: &mut Walk, settings: &Settings) {
        let BlockLists { block, owners, steps, far_behind, .. } = self;
        let frames = BlockFrames::new(block);
        let mut shares = Shares { owners, steps, far_behind, settings };
        if let Some(mut way) = block.steps() {
            for (record, frame) in way.by_ref() {
                shares.give(&mut walk.clock, record.offset, &record, frame);
            }
            walk.pass(way.passed());
        } else {
            for (number, record) in (0..).zip(&block.records) {
                frames.ask_for(block.records.get(number as usize + FRAMES_AHEAD));
                shares.give(&mut walk.clock, number, record, frames.bytes(record));
            }
        }
    }

    /// In the place of a packet that was there when it was listed: its file became shorter. It is
    /// counted, though nothing else is known of it any more.
    #[cold]
    fn gone(&self) -> Record {
        let time = self.end.unwrap_or_default();
        let link = LinkType::ETHERNET;
        Record { time, offset: 0, captured: 0, wire_length: 0, buffer: 0, link }
    }

    /// Sensor time when a packet with this stamp came.
    #[inline]
    fn sensor(&self, share: &Share, time: Timestamp) -> Timestamp {
        match share.behind {
            FAR_BEHIND => self.far_behind(share.record).unwrap_or(time),
            behind => time.offset(behind.into()),
        }
    }

    #[cold]
    fn far_behind(&self, record: u32) -> Option<Timestamp> {
        let place = self.far_behind.binary_search_by_key(&record, |&(record, _)| record).ok()?;
        self.far_behind.get(place).map(|&(_, sensor)| sensor)
    }
}

/// Where the packets of a block go.
struct Shares<'a> {
    owners: &'a mut [Vec<Share>],
    steps: &'a mut Vec<(TimeStep, Vec<usize>)>,
    far_behind: &'a mut Vec<(u32, Timestamp)>,
    settings: &'a Settings,
}

impl Shares<'_> {
    #[inline(always)]
    fn give(&mut self, clock: &mut SensorClock, number: u32, record: &Record, frame: &[u8]) {
        if let Some(step) = clock.observe(record.time) {
            self.steps.push((step, self.owners.iter().map(Vec::len).collect()));
        }
        let sensor = clock.at_packet();
        let behind = u32::try_from(sensor.nanos_since(record.time)).unwrap_or(FAR_BEHIND);
        if behind == FAR_BEHIND {
            self.far_behind.push((number, sensor));
        }
        let workers = self.owners.len();
        let owner = owner(record, frame, workers, self.settings);
        if let Some(list) = self.owners.get_mut(owner) {
            list.push(Share { record: number, behind });
        }
    }
}

/// Blocks on their way between workers.
pub(super) struct Lists {
    to: Vec<Sender<Arc<BlockLists>>>,
    from: Vec<Receiver<Arc<BlockLists>>>,
    /// Blocks that nobody uses.
    idle: (Sender<Box<BlockLists>>, Receiver<Box<BlockLists>>),
    /// A worker has left before the end, with the blocks that were in his hands.
    is_left: AtomicBool,
}

/// Tells the others where a worker leaves before the end: they would wait for his blocks.
struct Leave<'a>(Option<&'a Lists>);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        if let Some(lists) = self.0 {
            lists.is_left.store(true, Ordering::Relaxed);
        }
    }
}

impl Lists {
    pub(super) fn new(workers: usize) -> Lists {
        let count = BLOCKS_PER_WORKER * workers;
        // Every block on its way fits every inbox, and the end once from each worker.
        let (to, from) = (0..workers).map(|_| bounded(count + workers)).unzip();
        let idle = bounded(count);
        for _ in 0..count {
            let owners = (0..workers).map(|_| Vec::new()).collect();
            let _full = idle.0.try_send(Box::new(BlockLists { owners, ..BlockLists::default() }));
        }
        Lists { to, from, idle, is_left: AtomicBool::new(false) }
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

    /// Whoever is the last to use a block puts it back, without the window that it lay in: there are
    /// many blocks, and most of them wait.
    fn give_back(&self, lists: Arc<BlockLists>) {
        if let Some(mut lists) = Arc::into_inner(lists) {
            lists.block.let_go();
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
    let mut leave = Leave(Some(lists));
    while !lists.is_left.load(Ordering::Relaxed) {
        for received in inbox.try_iter() {
            keep(&mut waiting, received, lists);
        }
        // Who reads ahead lets nobody wait for what comes next.
        if reads
            && waiting.len() < BLOCKS_AHEAD
            && let Ok(mut taken) = lists.idle.1.try_recv()
        {
            if cursor.take(&mut taken, &settings) {
                reads = !taken.is_end;
                taken.steps.iter().for_each(|_| intake.time_step());
                lists.hand_out(*taken);
                continue;
            }
            let _full = lists.idle.0.try_send(taken);
        }
        if let Some(mine) = waiting.remove(&next) {
            if mine.is_end {
                leave.0 = None;
                send_end(worker, &mut intake, outbox, mine.end_tick, mine.end);
                return;
            }
            if take_lists(&mine, worker, &mut intake, outbox).is_err() {
                return;
            }
            lists.give_back(mine);
            next += 1;
            continue;
        }
        // Whoever reads now, or holds what is to be read into, hands something out before long.
        if let Ok(received) = inbox.recv_timeout(PATIENCE) {
            keep(&mut waiting, received, lists);
        }
    }
}

/// Keeps lists for their turn. The end comes from each worker that meets it; once is enough.
fn keep(waiting: &mut BTreeMap<u64, Arc<BlockLists>>, received: Arc<BlockLists>, lists: &Lists) {
    match waiting.entry(received.number) {
        Entry::Vacant(place) => _ = place.insert(received),
        Entry::Occupied(_) => lists.give_back(received),
    }
}

/// Who owns a packet.
#[inline(always)]
fn owner(record: &Record, frame: &[u8], workers: usize, settings: &Settings) -> usize {
    let looked = decode::addresses(record.link, frame);
    // What is no packet has to be counted by somebody.
    looked.or_else(|| decoded_addresses(record, frame)).map_or(0, |(source, destination)| {
        let hash = settings.seed.pair(source, destination);
        ((u128::from(hash) * workers as u128) >> 64) as usize
    })
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
    let mut before = 0;
    for (step, packets) in &lists.steps {
        let until = packets.get(outbox.worker).copied().unwrap_or(before);
        let (now, behind) = mine.split_at_checked(until - before).unwrap_or((mine, &[]));
        decode_listed(lists, now, intake, &mut batches);
        batches.step(*step);
        (mine, before) = (behind, until);
    }
    decode_listed(lists, mine, intake, &mut batches);
    batches.flush();
    if worker.is_part_full() {
        outbox.early(lists.place.of_tick, worker.take_early_part(outbox.room()))?;
    }
    Ok(())
}

/// Decodes packets of a block.
fn decode_listed<'a>(
    lists: &'a BlockLists,
    packets: &[Share],
    intake: &mut Intake,
    batches: &mut Batches<'a, '_>,
) {
    let frames = BlockFrames::new(&lists.block);
    for (at, share) in packets.iter().enumerate() {
        let later = packets.get(at + LISTED_AHEAD);
        frames.ask_for_headers(later.and_then(|later| lists.block.offset(later.record)));
        let record = lists.block.record(share.record).unwrap_or_else(|| lists.gone());
        let sensor = lists.sensor(share, record.time);
        if intake.take(frame(&record, frames.bytes(&record)), sensor, batches.place()) {
            batches.item();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::thread;

    use tempfile::NamedTempFile;

    use super::*;
    use crate::capture::{Filter, Plan};
    use crate::stats::Counter;
    use crate::worker::part::Part;

    /// A capture of so many frames of `length` bytes, which are no packets, over three minutes.
    fn capture(packets: u32, length: u32) -> (NamedTempFile, capture::Run) {
        let mut bytes =
            b"\xd4\xc3\xb2\xa1\x02\0\x04\0\0\0\0\0\0\0\0\0\xff\xff\0\0\x01\0\0\0".to_vec();
        for number in 0..packets {
            for field in [1_700_000_000 + number / (packets / 180), 0, length, length] {
                bytes.extend(field.to_le_bytes());
            }
            bytes.resize(bytes.len() + length as usize, number as u8);
        }
        let file = NamedTempFile::new().unwrap();
        std::fs::write(&file, &bytes).unwrap();
        let run = Plan::survey(&[file.path().into()]).unwrap().open(Filter::default()).unwrap();
        (file, run)
    }

    #[test]
    fn nobody_waits_for_a_worker_that_has_left() {
        // Behind the first tick there is more than all blocks hold.
        let (_file, run) = capture(36_000, 1_000);
        let settings = Arc::new(Settings::default());
        let shared = Arc::new((Cursor::new(run, VecDeque::new()), Lists::new(2)));
        let (rooms, ended) = (bounded(0).1, bounded(2));
        let merges: Vec<_> = (0..2).map(|_| crossbeam_channel::unbounded()).collect();
        for (number, inbox) in shared.1.inboxes().into_iter().enumerate() {
            let sender = merges[number].0.clone();
            let outbox = Outbox { worker: number, sender, rooms: rooms.clone() };
            let (shared, settings) = (Arc::clone(&shared), Arc::clone(&settings));
            let ended = ended.0.clone();
            thread::spawn(move || {
                let (cursor, lists) = &*shared;
                let mut worker = Worker::new(Arc::clone(&settings));
                super::run(cursor, lists, &inbox, &mut worker, settings, None, &outbox);
                ended.send(number).unwrap();
            });
        }
        // Nobody takes what the first one sends.
        let mut merges = merges.into_iter();
        drop(merges.next());
        let waits = Duration::from_secs(120);
        let mut left = [ended.1.recv_timeout(waits), ended.1.recv_timeout(waits)];
        left.sort_unstable_by_key(|left| left.ok());
        assert_eq!(left, [Ok(0), Ok(1)]);
    }

    #[test]
    fn packets_whose_file_becomes_shorter_once_they_are_listed_are_counted() {
        let (file, run) = capture(120_000, 60);
        let mut walk = Walk::new(run, VecDeque::new(), DENSE_BYTES);
        let owners = vec![Vec::new(), Vec::new()];
        let mut lists = BlockLists { owners, ..BlockLists::default() };
        let settings = Arc::new(Settings::default());
        let (mut packets, mut unlisted) = (0, 0);
        let mut worker = Worker::new(Arc::clone(&settings));
        let mut intake = Intake::new(Arc::clone(&settings), None);
        loop {
            lists.end = walk.clock.now();
            if walk.next(&mut lists.block).is_none() {
                break;
            }
            lists.clear();
            lists.share_out(&mut walk, &settings);
            let listed: usize = lists.owners.iter().map(Vec::len).sum();
            packets += listed;
            if lists.block.steps().is_some() {
                unlisted += listed;
                File::options().write(true).open(&file).unwrap().set_len(24).unwrap();
            }
            let mut batches = Batches::new(&mut worker);
            for mine in &lists.owners {
                decode_listed(&lists, mine, &mut intake, &mut batches);
            }
            batches.flush();
        }
        assert!(unlisted > 1_000 && packets < 120_000, "{unlisted} of {packets}");
        let part: Part = intake.take_part();
        assert_eq!(part.counters.value(Counter::Packets), packets as u64);
    }
}
