//! Threads: from blocks of packets to merge.
//!
//! A cursor, held by one worker at a time, takes the next block of the input. The worker that took
//! it looks at the addresses of its packets and leaves one list for each owner; each owner decodes
//! what is on its lists, in the order of the blocks. So no packet is handed over singly, and order
//! is kept. One worker alone needs no lists.
//!
//! Live, each worker has a [ring](crate::capture::ring) of its own, decodes what comes from it, and
//! hands nothing to anybody; see [`live`].
//!
//! Ticks are places in the input on which all workers agree: the first block after a minute of
//! sensor time, or after a number of blocks. There, each worker sends what it has gathered, and
//! merge commits it once all have.
#![allow(
    clippy::disallowed_types,
    reason = "the cursor is handed from worker to worker once a block, and merge waits for parts"
)]

pub mod anew;
pub mod board;
pub mod calls;
pub mod clocks;
mod feed;
pub mod footprint;
mod gathered;
pub mod live;
pub mod loads;
mod lookups;
pub mod merge;
pub mod naming;
pub mod openings;
mod possible;
pub mod presence;
pub mod progress;
pub mod records;
pub mod services;
pub mod sources;
pub mod summary;
mod targets;
mod together;
pub mod verdicts;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::capture;
use crate::net::NetworkSet;
use crate::store::StoreError;
use crate::time::Timestamp;
use crate::worker::duplicates::Copies;
use crate::worker::part::Part;
use crate::worker::{Settings, Worker};
use merge::Merge;
use together::{Cursor, Lists};

/// Parts waiting for merge, for each worker; a worker waits when there are more.
const PARTS_WAITING_MAX: usize = 2;
/// Emptied parts waiting for each worker: it fills one while merge is at another.
const ROOMS_WAITING_MAX: usize = 1;
/// Ticks of which a worker's parts are somewhere: one that is filled, one that waits, and one that is
/// merged.
const PARTS_AT_ONCE: usize = 3;
/// How long merge waits for parts before it looks after other things.
const BETWEEN_AT_LEAST: Duration = Duration::from_secs(1);
/// Workers at most; more than any machine of this kind has use for.
pub const WORKERS_MAX: usize = 64;

/// A part on its way to merge.
struct Sent {
    worker: usize,
    /// The tick it belongs to.
    tick: u64,
    part: Part,
    /// Where it is the worker's last one of a tick.
    end: Option<TickEnd>,
}

/// A worker has sent all it has of a tick, and of those before it.
struct TickEnd {
    /// The tick; the one its part belongs to, or a later one where some were passed over.
    through: u64,
    /// Sensor time then; none at the end of the input.
    horizon: Option<Timestamp>,
}

/// What there is to tell of a run that was read.
pub struct Done {
    /// The run, for what became of its files.
    pub run: capture::Run,
    /// How many packets each worker took.
    pub packets_by_worker: Vec<u64>,
}

/// Reads a whole run of capture files into `merge`, with `workers` workers. Packets of clients
/// outside `only` are left out, where it is given.
///
/// # Errors
/// The store cannot be written. Nothing of the tick that failed is in it.
pub fn read(
    mut run: capture::Run,
    mut settings: Settings,
    only: Option<NetworkSet>,
    workers: usize,
    merge: &mut Merge,
) -> Result<Done, StoreError> {
    let workers = workers.clamp(1, WORKERS_MAX);
    let mut held = VecDeque::new();
    if let Copies::Sampled(sample) = settings.copies.clone() {
        held = feed::sample(&mut run, &Arc::new(settings.clone()), &sample);
        settings.copies = if sample.verdict_now() { Copies::LeftOut } else { Copies::Kept };
    }
    let settings = Arc::new(settings);
    let (sender, receiver) = bounded(PARTS_WAITING_MAX * workers);
    let (emptied, rooms) = bounded(ROOMS_WAITING_MAX * workers);
    if workers == 1 {
        return std::thread::scope(|scope| {
            let alone = scope.spawn(move || {
                let mut worker = Worker::new(Arc::clone(&settings));
                let outbox = Outbox { worker: 0, sender, rooms };
                let run = feed::alone(run, held, &mut worker, settings, only, &outbox);
                Done { run, packets_by_worker: vec![worker.packets()] }
            });
            let merged = gather(&receiver, &emptied, 1, merge, |_| ());
            // A worker whose merge has failed stops at its next part.
            drop(receiver);
            let done = alone.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            merged.map(|()| done)
        });
    }
    let cursor = Cursor::new(run, held);
    let lists = Lists::new(workers);
    let packets_by_worker = std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for (worker, inbox) in lists.inboxes().into_iter().enumerate() {
            let outbox = Outbox { worker, sender: sender.clone(), rooms: rooms.clone() };
            let (cursor, lists) = (&cursor, &lists);
            let (settings, only) = (Arc::clone(&settings), only.clone());
            threads.push(scope.spawn(move || {
                let _guard = EndsTheProgram;
                let mut worker = Worker::new(Arc::clone(&settings));
                together::run(cursor, lists, &inbox, &mut worker, settings, only, &outbox);
                worker.packets()
            }));
        }
        drop(sender);
        let merged = gather(&receiver, &emptied, workers, merge, |_| ());
        drop(receiver);
        let join = |thread: std::thread::ScopedJoinHandle<'_, u64>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        let packets: Vec<u64> = threads.into_iter().map(join).collect();
        merged.map(|()| packets)
    })?;
    Ok(Done { run: cursor.into_run(), packets_by_worker })
}

/// Ends the program when a worker panics: the others would wait for it for ever. What is wrong has
/// been told by then, and nothing uncommitted counts.
struct EndsTheProgram;

impl Drop for EndsTheProgram {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::abort();
        }
    }
}

/// Where a worker's parts go.
struct Outbox {
    worker: usize,
    sender: Sender<Sent>,
    /// Parts that merge has emptied.
    rooms: Receiver<Part>,
}

/// Merge is gone.
struct MergeGone;

impl Outbox {
    /// Sends a part before its tick, because it is full.
    fn early(&self, tick: u64, part: Part) -> Result<(), MergeGone> {
        self.send(tick, part, None)
    }

    /// Sends a worker's last part of a tick.
    fn tick(&self, tick: u64, part: Part, horizon: Option<Timestamp>) -> Result<(), MergeGone> {
        self.send(tick, part, Some(TickEnd { through: tick, horizon }))
    }

    fn send(&self, tick: u64, part: Part, end: Option<TickEnd>) -> Result<(), MergeGone> {
        let sent = Sent { worker: self.worker, tick, part, end };
        self.sender.send(sent).map_err(|_| MergeGone)
    }

    /// An empty part, with the room of one that merge is done with, where there is one.
    fn room(&self) -> Part {
        self.rooms.try_recv().unwrap_or_default()
    }

    /// Whether two parts can be sent without waiting.
    fn has_room(&self) -> bool {
        self.sender.capacity().is_none_or(|capacity| self.sender.len() + 2 <= capacity)
    }
}

/// Gives merge each tick once all workers have sent their parts of it.
/// `between` is called between two of them, and now and then while there is none.
fn gather(
    receiver: &Receiver<Sent>,
    rooms: &Sender<Part>,
    workers: usize,
    merge: &mut Merge,
    mut between: impl FnMut(&mut Merge),
) -> Result<(), StoreError> {
    let mut gathering = Gathering::new(workers);
    loop {
        match receiver.recv_timeout(BETWEEN_AT_LEAST) {
            Ok(sent) => gathering.take(sent),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
        while let Some((mut parts, horizon)) = gathering.next() {
            merge.tick(&mut parts, horizon)?;
            for (_, part) in parts {
                give_back(rooms, part);
            }
            merge.progress.horizon = horizon.or(merge.progress.horizon);
        }
        merge.progress.parts_waiting = receiver.len();
        between(merge);
    }
}

/// Lets a worker have the room of a part. What was only counted at the decoder has none.
fn give_back(rooms: &Sender<Part>, part: Part) {
    if part.usage.capacity() > 0 || part.anonymous.capacity() > 0 {
        // Enough of them are waiting otherwise.
        let _full = rooms.try_send(part.emptied());
    }
}

/// Parts, each with the number of its worker.
type Parts = Vec<(usize, Part)>;

/// Parts that wait for those of other workers.
struct Gathering {
    waiting: BTreeMap<u64, Parts>,
    /// The last tick that each worker has sent all of.
    through: Vec<Option<u64>>,
    /// Ticks that some worker has sent all of, each with the least sensor time at its end.
    ends: BTreeMap<u64, Option<Timestamp>>,
}

impl Gathering {
    fn new(workers: usize) -> Gathering {
        Gathering { waiting: BTreeMap::new(), through: vec![None; workers], ends: BTreeMap::new() }
    }

    fn take(&mut self, sent: Sent) {
        self.waiting.entry(sent.tick).or_default().push((sent.worker, sent.part));
        let Some(TickEnd { through, horizon }) = sent.end else { return };
        self.through[sent.worker] = Some(through);
        let known = self.ends.entry(through).or_insert(horizon);
        *known = (*known).zip(horizon).map(|(one, other)| one.min(other));
    }

    /// The parts of the earliest tick that is complete, in the order of their workers.
    fn next(&mut self) -> Option<(Parts, Option<Timestamp>)> {
        let complete = self.complete()?;
        let end = self.ends.first_entry().filter(|end| *end.key() <= complete)?;
        let (tick, horizon) = end.remove_entry();
        let later = match tick.checked_add(1) {
            Some(next) => self.waiting.split_off(&next),
            None => BTreeMap::new(),
        };
        let parts = std::mem::replace(&mut self.waiting, later);
        let mut parts: Vec<_> = parts.into_values().flatten().collect();
        parts.sort_by_key(|(worker, _)| *worker);
        Some((parts, horizon))
    }

    /// The last tick that all workers have sent all of. A worker that has not met a step of the
    /// clock, because the clock was set to and fro while nothing came, is not waited for for ever.
    fn complete(&self) -> Option<u64> {
        let newest = self.ends.keys().rev().find(|&&tick| tick != live::LAST_TICK);
        let newest_era = newest.map_or(0, |&tick| live::era(tick));
        let in_era = self.ends.keys().filter(|&&tick| live::era(tick) == newest_era).count();
        let is_behind = |through: u64| live::era(through) < newest_era && in_era > 2;
        let waited_for =
            self.through.iter().filter(|through| through.is_none_or(|through| !is_behind(through)));
        waited_for.copied().min().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send(gathering: &mut Gathering, worker: usize, tick: u64, through: u64, seconds: i64) {
        let horizon = (through != live::LAST_TICK).then(|| Timestamp::from_parts(seconds, 0));
        let end = Some(TickEnd { through, horizon });
        gathering.take(Sent { worker, tick, part: Part::default(), end });
    }

    /// The workers whose parts the next tick has, and its horizon in seconds.
    fn next(gathering: &mut Gathering) -> Option<(Vec<usize>, Option<i64>)> {
        let (parts, horizon) = gathering.next()?;
        let workers = parts.into_iter().map(|(worker, _)| worker).collect();
        Some((workers, horizon.map(Timestamp::seconds)))
    }

    #[test]
    fn a_tick_waits_for_the_slowest_worker() {
        let mut gathering = Gathering::new(2);
        send(&mut gathering, 1, 10, 10, 660);
        send(&mut gathering, 1, 11, 11, 720);
        assert_eq!(next(&mut gathering), None);
        // This one had nothing to send for a minute, and its part is of both.
        send(&mut gathering, 0, 10, 11, 700);
        assert_eq!(next(&mut gathering), Some((vec![0, 1], Some(660))));
        assert_eq!(next(&mut gathering), Some((vec![1], Some(700))));
        assert_eq!(next(&mut gathering), None);
        send(&mut gathering, 0, 12, live::LAST_TICK, 0);
        assert_eq!(next(&mut gathering), None);
        send(&mut gathering, 1, 12, live::LAST_TICK, 0);
        assert_eq!(next(&mut gathering), Some((vec![0, 1], None)));
    }

    #[test]
    fn a_worker_that_missed_a_step_of_the_clock_is_not_waited_for_for_ever() {
        let mut gathering = Gathering::new(2);
        let later = |minute: u64| 1 << 32 | minute;
        send(&mut gathering, 0, 5, 5, 360);
        send(&mut gathering, 1, 5, 5, 360);
        assert_eq!(next(&mut gathering), Some((vec![0, 1], Some(360))));
        for minute in 2..4 {
            send(&mut gathering, 0, later(minute), later(minute), 60 * minute as i64);
            assert_eq!(next(&mut gathering), None);
        }
        send(&mut gathering, 1, 6, 6, 420);
        assert_eq!(next(&mut gathering), Some((vec![1], Some(420))));
        send(&mut gathering, 0, later(4), later(4), 240);
        assert_eq!(next(&mut gathering), Some((vec![0], Some(120))));
    }
}
