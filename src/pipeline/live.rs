//! Live: one ring a worker, and no packet is handed over.
//!
//! The kernel spreads packets over rings by their pair of addresses, so that a worker runs from its
//! ring to its sums alone. A tick is each full minute of the stamps: a worker that has met a stamp
//! of a later minute, or whose ring was empty at a later time, sends what it has. It never waits
//! for merge as long as it can keep adding to what it has, since packets would be lost meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crossbeam_channel::bounded;

use super::feed::{Batches, decode_block};
use super::merge::Merge;
use super::{
    EndsTheProgram, MergeGone, Outbox, PARTS_WAITING_MAX, ROOMS_WAITING_MAX, TickEnd, WORKERS_MAX,
    gather,
};
use crate::capture::ring::{Ending, Polled, Ring};
use crate::capture::{Block, Record};
use crate::store::StoreError;
use crate::time::Timestamp;
use crate::worker::clock::{STEP_AHEAD_NANOS, SensorClock};
use crate::worker::intake::Intake;
use crate::worker::{Networks, Settings, Worker};

/// The tick that stands for the end of the input.
pub(super) const LAST_TICK: u64 = u64::MAX;

/// How many time steps a live tick comes after.
pub(super) fn era(tick: u64) -> u64 {
    tick >> 32
}

/// What there is to tell of a live run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveDone {
    /// Why it ended: of several reasons, the one that is no wish.
    pub ending: Ending,
    /// How many packets each worker took.
    pub packets_by_worker: Vec<u64>,
}

/// What a worker is doing, for whoever watches it: written once a poll, read whenever.
#[derive(Debug, Default)]
pub struct Pulse {
    /// How often it asked its ring. As long as this grows, it is alive.
    pub polls: AtomicU64,
    /// Packets with an owner that it took.
    pub packets: AtomicU64,
    /// Flows that it holds.
    pub flows: AtomicU64,
    /// Other networks that it is to take from now on.
    networks: Slot,
}

impl Pulse {
    /// Tells the worker other networks, which hold for flows from then on.
    pub fn exchange_networks(&self, networks: Networks) {
        self.networks.put(networks);
    }
}

/// A place where merge leaves something for a worker; asking whether there is anything takes no
/// lock.
#[derive(Debug, Default)]
struct Slot {
    is_filled: AtomicBool,
    #[allow(clippy::disallowed_types, reason = "locked once a reload, and never a packet")]
    value: std::sync::Mutex<Option<Networks>>,
}

impl Slot {
    fn put(&self, value: Networks) {
        *self.value.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(value);
        self.is_filled.store(true, Ordering::Release);
    }

    fn take(&self) -> Option<Networks> {
        if !self.is_filled.load(Ordering::Relaxed) || !self.is_filled.swap(false, Ordering::Acquire)
        {
            return None;
        }
        self.value.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take()
    }
}

/// Runs until all rings have ended, with one worker for each, and a pulse for each where they are
/// wanted. `between` is called between two ticks and at least once a second: the place to exchange
/// the catalogue, and to tell that merge is alive.
///
/// # Errors
/// The store cannot be written, and trying again would not help. Nothing of the tick that failed
/// is in it.
///
/// # Panics
/// Without rings, or with more than [`WORKERS_MAX`].
pub fn run<R: Ring>(
    rings: Vec<R>,
    settings: Settings,
    merge: &mut Merge,
    pulses: &[Arc<Pulse>],
    between: impl FnMut(&mut Merge),
) -> Result<LiveDone, StoreError> {
    let workers = rings.len();
    assert!((1..=WORKERS_MAX).contains(&workers), "{workers} rings");
    let settings = Arc::new(settings);
    let (sender, receiver) = bounded(PARTS_WAITING_MAX * workers);
    let (emptied, rooms) = bounded(ROOMS_WAITING_MAX * workers);
    let merge_is_gone = Arc::new(AtomicBool::new(false));
    std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for (worker, ring) in rings.into_iter().enumerate() {
            let outbox = Outbox { worker, sender: sender.clone(), rooms: rooms.clone() };
            let settings = Arc::clone(&settings);
            let pulse = pulses.get(worker).cloned().unwrap_or_default();
            let merge_is_gone = Arc::clone(&merge_is_gone);
            threads.push(scope.spawn(move || {
                let _guard = EndsTheProgram;
                Driven::new(ring, settings, outbox, pulse).drive(&merge_is_gone)
            }));
        }
        drop(sender);
        let merged = gather(&receiver, &emptied, workers, merge, between);
        // Workers whose merge has failed stop, at the latest when they have something to send.
        merge_is_gone.store(true, Ordering::Relaxed);
        drop(receiver);
        let mut done = LiveDone { ending: Ending::Asked, packets_by_worker: Vec::new() };
        for thread in threads {
            let (ending, packets) =
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            done.packets_by_worker.push(packets);
            if done.ending == Ending::Asked {
                done.ending = ending;
            }
        }
        merged.map(|()| done)
    })
}

/// A worker with its ring.
struct Driven<R> {
    ring: R,
    worker: Worker,
    intake: Intake,
    clock: SensorClock,
    settings: Arc<Settings>,
    outbox: Outbox,
    pulse: Arc<Pulse>,
    /// The tick that is being gathered; none before the first packet.
    tick: Option<u64>,
}

impl<R: Ring> Driven<R> {
    fn new(ring: R, settings: Arc<Settings>, outbox: Outbox, pulse: Arc<Pulse>) -> Driven<R> {
        Driven {
            ring,
            worker: Worker::new(Arc::clone(&settings)),
            intake: Intake::new(Arc::clone(&settings), None),
            clock: SensorClock::default(),
            settings,
            outbox,
            pulse,
            tick: None,
        }
    }

    /// Until the ring has ended or merge is gone: why, and how many packets there were.
    fn drive(mut self, merge_is_gone: &AtomicBool) -> (Ending, u64) {
        let mut block = Block::default();
        let ending = loop {
            let sent = match self.ring.poll(&mut block) {
                Polled::Frames => self.take(&block),
                Polled::Idle(now) => self.idle(now),
                Polled::Ended(ending) => break ending,
            };
            self.pulse.polls.fetch_add(1, Ordering::Relaxed);
            if let Some(networks) = self.pulse.networks.take() {
                self.worker.exchange_networks(networks);
            }
            self.pulse.packets.store(self.worker.packets(), Ordering::Relaxed);
            self.pulse.flows.store(self.worker.flows() as u64, Ordering::Relaxed);
            if sent.is_err() || merge_is_gone.load(Ordering::Relaxed) {
                return (Ending::Asked, self.worker.packets());
            }
        };
        self.worker.finish(self.clock.now());
        // Where merge is gone, nobody wants the last part either.
        let _gone = self.send(LAST_TICK);
        (ending, self.worker.packets())
    }

    /// Takes a block, minute by minute: a tick stands exactly between two of its packets.
    fn take(&mut self, block: &Block) -> Result<(), MergeGone> {
        let mut from = 0;
        while let Some(record) = block.records.get(from) {
            self.send_due(record.time)?;
            let minute = self.clock.now().map_or(record.time, |now| now.max(record.time)).minute();
            let is_later = |record: &Record| record.time.minute() > minute;
            let until = match block.records.last() {
                Some(last) if is_later(last) => {
                    let rest = block.records.iter().skip(from + 1);
                    from + 1 + rest.take_while(|record| !is_later(record)).count()
                }
                _ => block.records.len(),
            };
            let mut batches = Batches::new(&mut self.worker);
            let intake = &mut self.intake;
            decode_block(block, from..until, &mut self.clock, intake, &mut batches);
            batches.flush();
            from = until;
        }
        if self.worker.is_part_full() && self.may_send() {
            let part = self.worker.take_early_part(self.outbox.room());
            self.outbox.early(self.tick.unwrap_or(0), part)?;
        }
        Ok(())
    }

    fn idle(&mut self, now: Timestamp) -> Result<(), MergeGone> {
        if let Some(step) = self.clock.observe(now) {
            self.intake.time_step();
            self.worker.time_step(step);
        }
        if let Some(now) = self.clock.now() {
            self.worker.advance(now);
            self.send_due(now)?;
        }
        Ok(())
    }

    /// Sends what there is where the next packet's stamp is of a later minute.
    fn send_due(&mut self, next: Timestamp) -> Result<(), MergeGone> {
        let tick = |time: Timestamp| {
            // The minute's number without its sign, so that the order is that of time.
            let minute = time.minute().0 as u32 ^ (1 << 31);
            u64::from(self.clock.steps()) << 32 | u64::from(minute)
        };
        // What is a time step is known once the clock has met it.
        let now = match self.clock.now() {
            Some(now) if next > now && next.nanos_since(now) <= STEP_AHEAD_NANOS => next,
            Some(now) => now,
            None => next,
        };
        let tick = tick(now);
        if tick <= *self.tick.get_or_insert(tick) || !self.may_send() {
            return Ok(());
        }
        self.send(tick - 1)?;
        self.tick = Some(tick);
        Ok(())
    }

    fn may_send(&self) -> bool {
        !self.ring.loses() || self.outbox.has_room()
    }

    /// Sends all there is, as the end of a tick.
    fn send(&mut self, through: u64) -> Result<(), MergeGone> {
        let now = self.clock.now();
        if let Some(now) = now.filter(|_| through != LAST_TICK) {
            self.worker.advance(now);
        }
        let mut part = self.intake.take_part();
        let sums = self.ring.statistics();
        if let (Some(now), false) = (now, sums.is_empty()) {
            part.rings.insert(self.settings.grid.hour(now.minute()), sums);
        }
        let tick = self.tick.unwrap_or(0);
        self.outbox.early(tick, part)?;
        let horizon = if through == LAST_TICK { None } else { now };
        let part = self.worker.take_part(self.outbox.room());
        self.outbox.send(tick, part, Some(TickEnd { through, horizon }))
    }
}
