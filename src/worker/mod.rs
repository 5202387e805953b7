//! A worker: everything that happens to packets whose address pair it owns.
//!
//! Takes decoded packets in input order, keeps its flows, has their bytes looked at until they
//! have a name, and gathers sums into a [`Part`]. A pure function of what it is given: no clock,
//! no I/O, no thread. What it says does not depend on when it is asked for a part, nor on how many
//! other workers there are.
//!
//! - `intake`: from frame to item, before a packet has an owner
//! - `mod`: the packet path
//! - `allowance`: how much a tick may bring
//! - `account`: where sums go, and when a flow begins, is named and ends
//! - `pending`: sums of flows that are not decided
//! - `bucket`: buckets that no name changes
//! - `detours`: ways around, and what each was known by
//! - `ended`: what is told of a flow once it has ended
//! - `questions`: what DNS tells
//! - `sources`: what tells that an address is no person
//! - `interned`: names that are held
//! - `links`: link addresses that were told
//! - `steps`: what is handed on before its time, and which step of the flow that is
//! - `inspect`: what dissectors are shown, and what follows from their findings
//! - `datagrams`: what is shown of UDP, and what comes behind a hello of QUIC
//! - `named`: what follows from findings that tell a name
//! - `tunnels`: flows that turn out to be tunnels
//! - `fragments`: datagrams in pieces
//! - `duplicates`: packets that a SPAN port shows twice
//! - `gaps`: what is missing between TCP segments
//! - `footprint`: what all of it takes of memory at most

mod account;
pub mod allowance;
mod bucket;
pub mod clock;
mod datagrams;
pub mod detours;
pub mod duplicates;
mod ended;
mod findings;
pub mod footprint;
mod fragments;
mod gaps;
mod inspect;
pub mod intake;
mod interned;
mod links;
pub mod part;
mod part_names;
mod pending;
mod questions;
pub mod seen;
mod sources;
mod steps;
mod tunnels;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::dissect::quic;
use crate::flow::hash::Seed;
use crate::flow::slot::NONE;
use crate::flow::slot::{Side, mark};
use crate::flow::table::{FLOWS_MAX, FlowId, FlowTable};
use crate::net::{NetworkSet, protocol};
use crate::packet::{Fragment, Packet, TcpFlags};
use crate::stats::Counter;
use crate::time::{Hour, HourGrid, Minute, Timestamp};
use crate::usage::{NameTable, QuestionKey, Questions, SUMS_MAX, SumsTable, UsageKey};
use allowance::Allowance;
use clock::TimeStep;
use duplicates::{Copies, Windows};
use ended::Totals;
use fragments::Fragments;
use gaps::Gaps;
use inspect::Inspector;
pub use inspect::{INSPECTED_BYTES_MAX, LOOKED_LATER_MAX};
use links::Links;
use part::Part;
use pending::Pending;
use steps::is_silent;

/// Packets whose memory is asked for together.
pub const BATCH: usize = 32;
/// Flows looked at for expiry after each batch.
const EXPIRY_PER_BATCH: usize = 64;

/// Whose addresses are whose: what a running worker can be told anew.
#[derive(Clone, Debug)]
pub struct Networks {
    /// See [`Settings::home`].
    pub home: NetworkSet,
    /// See [`Settings::own_servers`].
    pub own_servers: NetworkSet,
    /// See [`Settings::sinkholes`].
    pub sinkholes: NetworkSet,
}

/// What a worker is told once.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where users are looked for.
    pub home: NetworkSet,
    /// Addresses that take the place of servers that nobody is to reach: what goes there is a
    /// failed attempt.
    pub sinkholes: NetworkSet,
    /// The organisation's own servers outside the home networks: their bytes are `private`.
    pub own_servers: NetworkSet,
    /// Where full hours begin.
    pub grid: HourGrid,
    /// Whether every name seen is wanted as a record of its own.
    pub observations: bool,
    /// Whether every flow is wanted as a record of its own.
    pub flows: bool,
    /// What is done about copies of packets.
    pub copies: Copies,
    /// Flows held at most.
    pub flows_max: usize,
    /// The seed of the run's hashes.
    pub seed: Seed,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            home: NetworkSet::default_home(),
            sinkholes: NetworkSet::default(),
            own_servers: NetworkSet::default(),
            grid: HourGrid::utc(),
            observations: false,
            flows: false,
            copies: Copies::default(),
            flows_max: FLOWS_MAX,
            seed: Seed::random(),
        }
    }
}

/// A decoded packet on its way to its worker.
#[derive(Clone, Copy, Debug, Default)]
pub struct Item<'a> {
    /// The packet; its offsets are relative to the frame.
    pub packet: Packet,
    /// Its stamp.
    pub time: Timestamp,
    /// Sensor time when it came.
    pub sensor: Timestamp,
    /// The minute of its stamp.
    pub minute: Minute,
    /// [`Seed::flow`] of it.
    pub hash: u64,
    /// The captured bytes of its frame.
    pub frame: &'a [u8],
}

impl Item<'_> {
    /// The item without its frame, to be kept when that is gone.
    pub(crate) fn without_frame(&self) -> Item<'static> {
        let &Item { packet, time, sensor, minute, hash, frame: _ } = self;
        Item { packet, time, sensor, minute, hash, frame: &[] }
    }
}

/// See the module.
pub struct Worker {
    settings: Arc<Settings>,
    table: FlowTable,
    names: NameTable,
    usage: SumsTable<UsageKey>,
    questions: SumsTable<QuestionKey, Questions>,
    pending: Pending,
    totals: Totals,
    links: Links,
    told: sources::Told,
    inspector: Inspector,
    fragments: Fragments,
    gaps: Gaps,
    /// Flows that resumed, and in which second their answers are told of.
    resumed: VecDeque<(i64, FlowId)>,
    /// Where copies of packets are looked for.
    windows: Option<Box<Windows>>,
    /// Hashes of flows inside tunnels that came in fragments: see `fragments`.
    tunnelled: HashMap<FlowId, u64, RandomState>,
    part: Part,
    allowance: Allowance,
    sensor: Timestamp,
    hour_of_minute: (Minute, Hour),
    packets: u64,
}

impl Worker {
    /// A worker without flows.
    pub fn new(settings: Arc<Settings>) -> Worker {
        let hour = settings.grid.hour(Minute(0));
        let mut part = Part::default().with_room();
        Worker {
            table: FlowTable::new(settings.flows_max),
            names: NameTable::default(),
            usage: SumsTable::with_room(std::mem::take(&mut part.usage)),
            questions: SumsTable::with_room(std::mem::take(&mut part.questions)),
            pending: Pending::default(),
            totals: Totals::new(settings.flows),
            links: Links::new(),
            told: sources::Told::new(),
            inspector: Inspector::default(),
            fragments: Fragments::default(),
            gaps: Gaps::default(),
            resumed: VecDeque::new(),
            windows: match settings.copies {
                Copies::Kept => None,
                Copies::LeftOut | Copies::Sampled(_) => Some(Box::default()),
            },
            tunnelled: HashMap::default(),
            part,
            allowance: Allowance::default(),
            sensor: Timestamp::MIN,
            hour_of_minute: (Minute(0), hour),
            packets: 0,
            settings,
        }
    }

    /// Asks for the memory that says where the flow of a packet with this hash is kept. Told some
    /// time before the packet comes, it is at hand by then.
    #[inline]
    pub fn expect(&self, hash: u64) {
        self.table.prefetch_index(hash);
    }

    /// Takes packets in input order.
    pub fn process(&mut self, items: &[Item<'_>]) {
        self.packets += items.len() as u64;
        if self.windows.is_some() {
            self.process_originals(items);
        } else {
            self.process_all(items);
        }
    }

    #[inline]
    fn process_all(&mut self, items: &[Item<'_>]) {
        let mut behind = items;
        while let Some((batch, rest)) = behind.split_at_checked(BATCH.min(behind.len()))
            && !batch.is_empty()
        {
            behind = rest;
            for item in rest.iter().take(BATCH) {
                self.expect(item.hash);
            }
            // Memory latency overlaps: all slots are asked for, then used.
            let mut candidates = [NONE; BATCH];
            for (item, candidate) in batch.iter().zip(&mut candidates) {
                *candidate = self.table.candidate(item.hash);
            }
            for (item, candidate) in batch.iter().zip(candidates) {
                self.packet(item, candidate);
            }
            if let Some(last) = batch.last() {
                self.expire(last.sensor, EXPIRY_PER_BATCH);
            }
        }
    }

    /// Follows a jump of the stamps: what time did to flows before it is done now.
    pub fn time_step(&mut self, step: TimeStep) {
        self.expire(step.before, usize::MAX);
        if step.after > step.before {
            self.expire(step.after, usize::MAX);
        } else {
            // Nothing that is open can be told from what comes with stamps of the past.
            self.finish_fragments();
            self.close_all(part::End::Idle);
            self.table.wheel.restart();
            self.resumed.clear();
            self.sensor = step.after;
        }
    }

    /// Lets sensor time be `now`: what is due by then is done.
    pub fn advance(&mut self, now: Timestamp) {
        self.expire(now, usize::MAX);
    }

    /// Takes other networks: for flows that begin from now on, and for sums of all.
    pub fn exchange_networks(&mut self, networks: Networks) {
        let settings = Arc::make_mut(&mut self.settings);
        let Networks { home, own_servers, sinkholes } = networks;
        (settings.home, settings.own_servers, settings.sinkholes) = (home, own_servers, sinkholes);
    }

    /// Whether an early part should be sent, to keep memory bounded.
    pub fn is_part_full(&self) -> bool {
        self.usage.len() + self.questions.len() >= SUMS_MAX
            || self.part.anonymous.len() >= part::ANONYMOUS_MAX / 2
            || self.part.answers.len() >= part::ANSWERS_MAX / 2
            || self.part.books.hours() >= part::HOURS_MAX
            || self.part.steps.len() >= part::STEPS_MAX
    }

    /// What was gathered since the last part, the last one of a tick. What comes is gathered in
    /// `room`, an empty part.
    pub fn take_part(&mut self, room: Part) -> Part {
        self.allowance = Allowance::default();
        self.take_early_part(room)
    }

    /// What was gathered since the last part; there will be more of the tick.
    pub fn take_early_part(&mut self, room: Part) -> Part {
        let mut part = std::mem::replace(&mut self.part, room.with_room());
        part.usage = self.usage.take(std::mem::take(&mut self.part.usage));
        part.questions = self.questions.take(std::mem::take(&mut self.part.questions));
        self.number_names(&mut part);
        part
    }

    /// Ends all flows: the capture has ended at sensor time `now`; none where it had no packet.
    pub fn finish(&mut self, now: Option<Timestamp>) {
        if let Some(now) = now {
            self.expire(now, usize::MAX);
        }
        self.finish_fragments();
        self.close_all(part::End::Eof);
    }

    /// Packets taken so far.
    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// Flows held now.
    pub fn flows(&self) -> usize {
        self.table.len()
    }

    #[inline]
    fn packet(&mut self, item: &Item<'_>, candidate: FlowId) {
        if item.packet.fragment != Fragment::Whole {
            self.fragment(item);
            return;
        }
        match self.table.side_in(candidate, &item.packet) {
            Some((hot, side)) if !hot.is_over(item.sensor) && !item.packet.flags.is_opening() => {
                self.count(candidate, side, item);
            }
            // It opens a flow, or a packet of the same batch has opened it.
            _ => {
                self.packet_of(item);
            }
        }
    }

    /// Finds the flow of a packet, or opens one, and counts the packet.
    #[cold]
    fn packet_of(&mut self, item: &Item<'_>) -> FlowId {
        let (flow, side) = match self.table.find(item.hash, &item.packet) {
            Some((flow, side)) if !self.is_over(flow, side, item) => (flow, side),
            Some((flow, _)) => (flow, self.reopen(flow, item)),
            None => (self.open(item), 0),
        };
        self.count(flow, side, item);
        flow
    }

    /// Adds a packet to its flow.
    #[inline(always)]
    fn count(&mut self, flow: FlowId, side: Side, item: &Item<'_>) {
        let packet = &item.packet;
        let mut hot = self.table.hot(flow);
        // What few packets do is asked for together: one branch, which is seldom taken.
        let is_event = (hot.minute != item.minute)
            | is_silent(hot, item)
            | (packet.flags.0 & (TcpFlags::SYN | TcpFlags::FIN | TcpFlags::RST) != 0)
            | Gaps::follows(packet)
            | ((packet.payload_captured > 0) & hot.is_marked(mark::WANTED_0, side));
        if is_event {
            self.heed(flow, side, item);
            hot = self.table.hot(flow);
        }
        let mut marks = mark::SENT_0 << side;
        if packet.payload_length > 0 {
            marks |= (mark::PAYLOAD_0 | mark::SPOKE_0) << side;
        }
        if !packet.flags.is_opening() {
            marks |= mark::WENT_ON;
        }
        let first_of_side = hot.marks & (mark::SENT_0 << side) == 0;
        hot.marks |= marks;
        let (is_fresh, is_late) = (hot.packets == 0, item.time < hot.last_seen);
        hot.touch(item.time, item.sensor);
        match hot.bytes[side].checked_add(packet.bytes) {
            Some(bytes) if hot.packets < u16::MAX => {
                hot.bytes[side] = bytes;
                hot.packets += 1;
            }
            _ => self.overflow(flow, side, packet.bytes),
        }
        if first_of_side | is_fresh | is_late {
            self.note_rare(flow, side, item, first_of_side, is_fresh);
        }
    }

    /// What comes before a packet is added, where something may have happened: see `count`.
    #[inline(never)]
    fn heed(&mut self, flow: FlowId, side: Side, item: &Item<'_>) {
        let packet = &item.packet;
        let hot = self.table.hot(flow);
        if (hot.minute != item.minute) | is_silent(hot, item) {
            self.turn(flow, side, item);
        }
        if packet.flags.0 & (TcpFlags::SYN | TcpFlags::FIN | TcpFlags::RST) != 0 {
            self.tcp_event(flow, side, item);
        }
        if Gaps::follows(packet) && !self.gaps.segment(flow, side, packet) {
            self.count_event(Counter::HintDropped);
        }
        if packet.payload_captured > 0
            && self.table.hot(flow).is_marked(mark::WANTED_0, side)
            && !self.says_nothing(flow, packet, item.frame)
        {
            match payload(packet, item.frame) {
                Some(payload) if self.is_beside_hello(flow, payload) => {}
                Some(payload) => self.inspect(flow, side, item, payload),
                None => self.inspect_inflated(flow, side, item),
            }
        }
    }

    /// Whether only long headers of QUIC are wanted, and this is none.
    #[inline]
    fn is_beside_hello(&mut self, flow: FlowId, payload: &[u8]) -> bool {
        let hot = self.table.hot(flow);
        hot.marks & mark::LONG_ONLY != 0
            && hot.protocol == protocol::UDP
            && !quic::may_be_any_long(payload)
    }

    /// What most packets of a flow do not do: come first from their side, first since the last
    /// hand-over, or late.
    #[cold]
    fn note_rare(
        &mut self,
        flow: FlowId,
        side: Side,
        item: &Item<'_>,
        first_of_side: bool,
        is_fresh: bool,
    ) {
        let cold = self.table.cold(flow);
        cold.fresh_since = if is_fresh { item.time } else { cold.fresh_since.min(item.time) };
        if first_of_side {
            self.side_appeared(flow, side, item);
        }
    }

    /// A counter of the slot is full: what it holds is handed on, then the packet is added.
    #[cold]
    fn overflow(&mut self, flow: FlowId, side: Side, bytes: u32) {
        self.hand_on(flow);
        let hot = self.table.hot(flow);
        hot.bytes[side] = bytes;
        hot.packets = 1;
    }

    /// The hour that holds `minute`.
    #[inline]
    fn hour(&mut self, minute: Minute) -> Hour {
        if self.hour_of_minute.0 != minute {
            self.hour_of_minute = (minute, self.settings.grid.hour(minute));
        }
        self.hour_of_minute.1
    }

    fn count_event(&mut self, counter: Counter) {
        self.part.counters.count(counter);
    }
}

/// The payload of a packet; `None` where it is not in the frame as it is.
fn payload<'a>(packet: &Packet, frame: &'a [u8]) -> Option<&'a [u8]> {
    let start = packet.payload_offset as usize;
    frame.get(start..start + packet.payload_captured as usize)
}
