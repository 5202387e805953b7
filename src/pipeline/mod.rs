//! Threads: from blocks of packets to merge.
//!
//! A cursor, held by one worker at a time, takes the next block of the input. The worker that took
//! it decodes and hashes its packets and leaves one list for each owner; each owner takes its
//! lists in the order of the blocks. So no packet is decoded twice, none is handed over singly,
//! and order is kept. One worker alone needs no lists.
//!
//! Ticks are places in the input on which all workers agree: the first block after a minute of
//! sensor time, or after a number of blocks. There, each worker sends what it has gathered, and
//! merge commits it once all have.
#![allow(
    clippy::disallowed_types,
    reason = "the cursor is handed from worker to worker once a block, and merge waits for parts"
)]

mod feed;
pub mod loads;
pub mod merge;
pub mod naming;
pub mod records;
pub mod sources;
pub mod summary;
pub mod verdicts;

use std::collections::BTreeMap;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::capture;
use crate::net::NetworkSet;
use crate::store::StoreError;
use crate::time::Timestamp;
use crate::worker::part::Part;
use crate::worker::{Settings, Worker};
use feed::{Cursor, Lists};
use merge::Merge;

/// Parts waiting for merge, for each worker; a worker waits when there are more.
const PARTS_WAITING_MAX: usize = 8;
/// Workers at most; more than any machine of this kind has use for.
pub const WORKERS_MAX: usize = 64;

/// A part on its way to merge.
struct Sent {
    worker: usize,
    /// The tick it belongs to.
    tick: u64,
    part: Part,
    /// Whether it is the worker's last one of this tick; sensor time then, none at the end of the
    /// input.
    end_of_tick: Option<Option<Timestamp>>,
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
    run: capture::Run,
    settings: Settings,
    only: Option<NetworkSet>,
    workers: usize,
    merge: &mut Merge,
) -> Result<Done, StoreError> {
    let workers = workers.clamp(1, WORKERS_MAX);
    let settings = Arc::new(settings);
    let (sender, receiver) = bounded(PARTS_WAITING_MAX * workers);
    if workers == 1 {
        return std::thread::scope(|scope| {
            let alone = scope.spawn(move || {
                let mut worker = Worker::new(Arc::clone(&settings));
                let outbox = Outbox { worker: 0, sender };
                let run = feed::alone(run, &mut worker, settings, only, &outbox);
                Done { run, packets_by_worker: vec![worker.packets()] }
            });
            let merged = gather(&receiver, 1, merge);
            // A worker whose merge has failed stops at its next part.
            drop(receiver);
            let done = alone.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            merged.map(|()| done)
        });
    }
    let cursor = Cursor::new(run);
    let lists = Lists::new(workers);
    let packets_by_worker = std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for (worker, inbox) in lists.inboxes().into_iter().enumerate() {
            let outbox = Outbox { worker, sender: sender.clone() };
            let (cursor, lists) = (&cursor, &lists);
            let (settings, only) = (Arc::clone(&settings), only.clone());
            threads.push(scope.spawn(move || {
                let _guard = EndsTheProgram;
                let mut worker = Worker::new(Arc::clone(&settings));
                feed::together(cursor, lists, &inbox, &mut worker, settings, only, &outbox);
                worker.packets()
            }));
        }
        drop(sender);
        let merged = gather(&receiver, workers, merge);
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
}

/// Merge is gone.
struct MergeGone;

impl Outbox {
    /// Sends a part before its tick, because it is full.
    fn early(&self, tick: u64, part: Part) -> Result<(), MergeGone> {
        let sent = Sent { worker: self.worker, tick, part, end_of_tick: None };
        self.sender.send(sent).map_err(|_| MergeGone)
    }

    /// Sends a worker's last part of a tick.
    fn tick(&self, tick: u64, part: Part, horizon: Option<Timestamp>) -> Result<(), MergeGone> {
        let sent = Sent { worker: self.worker, tick, part, end_of_tick: Some(horizon) };
        self.sender.send(sent).map_err(|_| MergeGone)
    }
}

/// Gives merge each tick once all workers have sent their parts of it.
fn gather(receiver: &Receiver<Sent>, workers: usize, merge: &mut Merge) -> Result<(), StoreError> {
    let mut waiting: BTreeMap<u64, (usize, Vec<(usize, Part)>)> = BTreeMap::new();
    for sent in receiver {
        let (done, parts) = waiting.entry(sent.tick).or_default();
        parts.push((sent.worker, sent.part));
        let Some(horizon) = sent.end_of_tick else { continue };
        *done += 1;
        if *done < workers {
            continue;
        }
        // A worker sends its ticks in order, so that the earliest is complete first.
        if let Some((_, mut parts)) = waiting.remove(&sent.tick) {
            parts.sort_by_key(|(worker, _)| *worker);
            merge.tick(parts, horizon)?;
        }
    }
    Ok(())
}
