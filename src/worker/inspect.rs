//! What dissectors are shown of a flow. What follows from what they find is in `findings`.
//!
//! Both sides are looked at, each for itself. An inspection exists only while a dissector wants
//! more of the flow. A dissector that panics costs its flow the name, and is counted.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};

use arrayvec::ArrayVec;
use foldhash::fast::RandomState;

use super::datagrams::OLDER_MARKS_MAX;
use super::findings::Found;
use super::part::Doubt;
use super::questions::name_protocol;
use super::{Item, Worker};
use crate::decode;
use crate::dissect::Advance;
use crate::dissect::dns;
use crate::dissect::media;
use crate::dissect::presence;
use crate::dissect::quic::{self, Initials};
use crate::dissect::stream::SideStream;
use crate::dissect::tunnel::{Datagrams, TunnelProtocol};
use crate::flow::reassembly::{Consumer, HELD_BYTES_MAX, Outcome, Reassembler};
use crate::flow::slot::{NONE, Side, mark};
use crate::flow::table::{FLOWS_MAX, FlowId};
use crate::footprint;
use crate::net::protocol;
use crate::packet::Packet;
use crate::stats::Counter;
use crate::time::{NANOS_PER_SECOND, Timestamp};

/// Payload packets of a flow that are looked at without any result before it is left alone, but for
/// what a TCP client may say later.
pub(super) const LOOKED_MAX: u8 = 16;
/// As many for a TCP client, of whose segments behind `LOOKED_MAX` only those count that begin
/// like a hello or a request, and one each 64 KiB.
pub const LOOKED_LATER_MAX: u8 = 64;
/// A shorter segment of such a client begins nothing that is looked for: as long as the shortest
/// request line with a version.
const BEGINNING_LENGTH_MIN: u32 = 16;
/// Segments kept of the first of a stream whose SYN was not seen: those of a long hello.
const EARLY_SEGMENTS_MAX: usize = 8;
/// How long a flow stays undecided after its first payload.
const UNDECIDED_NANOS: i64 = 10 * NANOS_PER_SECOND;
/// Inspections open at a time.
pub(super) const INSPECTIONS_MAX: usize = 16_384;
/// Bytes that they hold together: of all, 4 KiB each, and of one at most some 16 KiB of either side and
/// as much behind holes.
pub const INSPECTED_BYTES_MAX: usize = 64 << 20;
/// Memory of inspections, with what one may hold before the oldest ends, of why names are not what
/// they seem, and of what is known of flows that may be tunnels or media.
pub(super) const BYTES_MAX: usize = {
    let by_flow = size_of::<(FlowId, ArrayVec<u16, OLDER_MARKS_MAX>)>()
        + size_of::<(FlowId, Datagrams)>()
        + size_of::<(FlowId, media::Seen)>()
        + size_of::<(FlowId, TunnelProtocol)>();
    INSPECTED_BYTES_MAX
        + 8 * HELD_BYTES_MAX
        + INSPECTIONS_MAX * (size_of::<Inspection>() + size_of::<u32>())
        + 2 * 4 * INSPECTIONS_MAX * size_of::<(FlowId, u32, u64)>()
        + footprint::map(INSPECTIONS_MAX, by_flow)
        + footprint::map(FLOWS_MAX, size_of::<(FlowId, Doubt)>())
};

/// The inspections of a worker.
#[derive(Default)]
pub(super) struct Inspector {
    pub(super) open: Vec<Inspection>,
    free: Vec<u32>,
    /// Bytes that they hold.
    held_bytes: usize,
    /// Flow, number and serial number of inspections in the order in which they began. Some may be
    /// over.
    order: VecDeque<(FlowId, u32, u64)>,
    begun: u64,
    /// Flows whose hello's name may not be what it seems.
    pub(super) outer: HashMap<FlowId, Doubt, RandomState>,
    /// What was seen of flows that may be tunnels.
    pub(super) tunnels: HashMap<FlowId, Datagrams, RandomState>,
    /// What connections of HTTP are asked to be upgraded to.
    pub(super) upgrades: HashMap<FlowId, TunnelProtocol, RandomState>,
    /// What was seen of flows that may carry media of calls.
    pub(super) media: HashMap<FlowId, media::Seen, RandomState>,
    /// Marks of QUIC that flows with several connections have besides their latest.
    pub(super) older_marks: HashMap<FlowId, ArrayVec<u16, OLDER_MARKS_MAX>, RandomState>,
    pub(super) scratch: quic::Scratch,
    pub(super) found: Vec<Found>,
}

impl Inspector {
    /// Why the name of a flow's hello may not be what it seems.
    pub(super) fn outer(&self, flow: FlowId) -> Option<Doubt> {
        if self.outer.is_empty() { None } else { self.outer.get(&flow).copied() }
    }

    pub(super) fn forget_outer(&mut self, flow: FlowId) {
        if !self.outer.is_empty() {
            self.outer.remove(&flow);
        }
    }
}

/// What is kept while a dissector wants more of a flow.
#[derive(Default)]
pub(super) struct Inspection {
    /// Which of all inspections this is; 0 when it is over.
    serial: u64,
    /// Sensor time of the first payload.
    began: Timestamp,
    /// Bytes that it held when it was weighed last.
    weight: usize,
    pub(super) sides: [Option<LookedAt>; 2],
}

/// One side of a flow.
pub(super) enum LookedAt {
    Stream {
        stream: SideStream,
        order: Reassembler,
    },
    /// Of a stream whose SYN was not seen and that said nothing so far.
    Early(Early),
    Quic(Box<Initials>),
}

impl Inspection {
    fn memory_bytes(&self) -> usize {
        self.sides.iter().flatten().map(LookedAt::memory_bytes).sum()
    }
}

impl LookedAt {
    fn memory_bytes(&self) -> usize {
        match self {
            LookedAt::Stream { stream, order } => stream.memory_bytes() + order.memory_bytes(),
            LookedAt::Early(Early(segments)) => {
                let bytes = segments.iter().map(|(_, bytes)| footprint::heap(bytes.len()));
                footprint::heap(segments.capacity() * size_of::<(u32, Box<[u8]>)>())
                    + bytes.sum::<usize>()
            }
            LookedAt::Quic(initials) => initials.memory_bytes(),
        }
    }

    /// Whether nothing of a side is waited for any more.
    fn is_idle(side: &Option<LookedAt>) -> bool {
        side.as_ref().is_none_or(|looked_at| matches!(looked_at, LookedAt::Early(_)))
    }
}

/// The first segments of a stream whose SYN was not seen, in the order in which they came: what
/// belongs in front of them may come next.
#[derive(Default)]
pub(super) struct Early(Vec<(u32, Box<[u8]>)>);

impl Early {
    /// Adds a segment. False if there is no room for it, or a part of it is missing.
    fn keep(&mut self, packet: &Packet, payload: &[u8]) -> bool {
        let kept: usize = self.0.iter().map(|(_, bytes)| bytes.len()).sum();
        let fits = payload.len() == packet.payload_length as usize
            && self.0.len() < EARLY_SEGMENTS_MAX
            && kept + payload.len() <= HELD_BYTES_MAX;
        if fits {
            self.0.push((sequence(packet), payload.into()));
        }
        fits
    }

    /// Shows those that belong behind `start`, which are all that may be of use.
    fn show(&self, start: u32, order: &mut Reassembler, feed: &mut Feed<'_>) {
        for (sequence, bytes) in &self.0 {
            if is_before(start, *sequence) {
                order.segment(*sequence, bytes, bytes.len() as u32, feed);
            }
        }
    }
}

/// Whether `one` is earlier than `other` in sequence space (RFC 9293, 3.4).
fn is_before(one: u32, other: u32) -> bool {
    (one.wrapping_sub(other) as i32) < 0
}

/// Feeds a stream dissector and keeps what it finds.
struct Feed<'a> {
    stream: &'a mut SideStream,
    found: &'a mut Vec<Found>,
}

impl Consumer for Feed<'_> {
    fn bytes(&mut self, bytes: &[u8]) -> Advance {
        self.stream.advance(bytes, &mut |finding| self.found.extend(Found::of(finding)))
    }

    fn lost(&mut self, unconsumed: &[u8]) {
        if !unconsumed.is_empty() {
            self.stream.finish(unconsumed, &mut |finding| self.found.extend(Found::of(finding)));
        }
        self.stream.gap();
    }

    fn begins(&self, segment: &[u8]) -> bool {
        // One hello is all that is looked for; what follows it is no beginning.
        let is_over = |found: &Found| matches!(found, Found::Hello(_) | Found::Certificate(_));
        !self.found.iter().any(is_over) && self.stream.may_resume(segment)
    }
}

impl Worker {
    /// Shows a packet's payload to the dissector of its side.
    #[cold]
    pub(super) fn inspect(&mut self, flow: FlowId, side: Side, item: &Item<'_>, payload: &[u8]) {
        self.catch_up(flow, item.sensor);
        let guarded = catch_unwind(AssertUnwindSafe(|| self.look(flow, side, item, payload)));
        if guarded.is_err() {
            self.count_event(Counter::DissectorPanic);
            self.inspector.found.clear();
            self.leave_alone(flow);
        }
        self.weigh_inspection(flow);
    }

    /// Notes what the inspection of a flow holds by now. While all hold more than may be, the oldest
    /// ends.
    fn weigh_inspection(&mut self, flow: FlowId) {
        let id = self.table.cold(flow).inspection;
        let Inspector { open, held_bytes, .. } = &mut self.inspector;
        let Some(inspection) = open.get_mut(id as usize) else { return };
        let weight = inspection.memory_bytes();
        *held_bytes = *held_bytes + weight - std::mem::replace(&mut inspection.weight, weight);
        while self.inspector.held_bytes > INSPECTED_BYTES_MAX {
            self.evict_inspection();
        }
    }

    /// Shows a payload that was compressed.
    #[cold]
    pub(super) fn inspect_inflated(&mut self, flow: FlowId, side: Side, item: &Item<'_>) {
        let mut buffer = [0; decode::INFLATED_BYTES_MAX];
        let payload = decode::inflated_payload(&item.packet, item.frame, &mut buffer);
        if !payload.is_empty() {
            self.inspect(flow, side, item, payload);
        }
    }

    fn look(&mut self, flow: FlowId, side: Side, item: &Item<'_>, payload: &[u8]) {
        #[cfg(test)]
        tests::panic_if_asked(payload);
        let packet = &item.packet;
        if packet.protocol == protocol::TCP {
            self.look_at_stream(flow, side, item, payload);
        } else if self.table.hot(flow).marks & mark::LONG_ONLY != 0 {
            self.look_at_long_header(flow, side, item, payload);
        } else if quic::may_be_initial(payload) {
            // On the ports of DNS, too: a DNS message that begins like this asks 256 questions.
            self.look_at_datagram(flow, side, item, payload);
        } else if packet.source_port == dns::PORT || packet.destination_port == dns::PORT {
            // Some tunnels hide on this port.
            if self.dns(flow, side, item.time, payload) {
                self.decide(flow);
            } else {
                self.look_at_datagram(flow, side, item, payload);
            }
        } else if presence::DHCP_PORTS.contains(&packet.destination_port) {
            self.note_client(item, payload);
        } else if let Some(protocol) = name_protocol(packet) {
            self.device_names(protocol, packet.source, payload);
        } else {
            self.look_at_datagram(flow, side, item, payload);
        }
    }

    fn look_at_stream(&mut self, flow: FlowId, side: Side, item: &Item<'_>, payload: &[u8]) {
        let packet = &item.packet;
        if self.is_passed_over(flow, side, packet, payload) {
            return;
        }
        let id = self.inspection(flow, item.sensor);
        let start = &mut self.table.cold(flow).initial_sequence[side];
        let known_start = *start;
        if known_start == 0 {
            // So that a SYN that comes late is known as this connection's.
            *start = sequence(packet);
        }
        let fingerprint = self.settings.observations;
        let Inspector { open, found, .. } = &mut self.inspector;
        let slot = &mut open[id as usize].sides[side];
        let early = slot.take_if(|looked_at| matches!(looked_at, LookedAt::Early(_)));
        let mut early = match early {
            Some(LookedAt::Early(early)) => Some(early),
            _ => (known_start == 0).then(Early::default),
        };
        // Where its beginning is found at last, what came before that is shown behind it.
        let is_beginning = known_start != 0 && early.is_some() && SideStream::may_begin(payload);
        let is_in_order = known_start == 0 || sequence(packet) == known_start;
        if !is_in_order
            && !is_beginning
            && let Some(early) = &mut early
            && early.keep(packet, payload)
        {
            *slot = Some(LookedAt::Early(std::mem::take(early)));
            return;
        }
        let start = if known_start == 0 || is_beginning { sequence(packet) } else { known_start };
        let fresh = || LookedAt::Stream {
            stream: new_stream(packet, fingerprint, early.is_some() && !is_beginning),
            order: Reassembler::new(start),
        };
        let LookedAt::Stream { stream, order } = slot.get_or_insert_with(fresh) else { return };
        let mut feed = Feed { stream, found };
        if is_beginning && let Some(early) = early.take() {
            early.show(start, order, &mut feed);
        }
        let done = match order.segment(sequence(packet), payload, packet.payload_length, &mut feed)
        {
            Outcome::Wanted => false,
            Outcome::Gap => {
                found.push(Found::Refused(Counter::StreamGap));
                false
            }
            Outcome::Done => true,
            Outcome::Overflow => {
                found.push(Found::Refused(Counter::InspectionOverflow));
                true
            }
        };
        if done {
            *slot = None;
        }
        let fruitful = self.take_findings(flow, side, item.time, Some(packet.bytes));
        if done {
            let may_be_early = !fruitful && self.table.cold(flow).looked < LOOKED_MAX;
            if let Some(mut early) = early.filter(|_| may_be_early)
                && early.keep(packet, payload)
            {
                self.inspector.open[id as usize].sides[side] = Some(LookedAt::Early(early));
            }
            self.give_up_for_now(flow, side, packet, payload, fruitful);
        }
        self.settle(flow);
    }

    /// A stream that says nothing may say something later: at a segment that begins like a hello
    /// or a request it is looked at anew, a few times after it said nothing.
    fn give_up_for_now(
        &mut self,
        flow: FlowId,
        side: Side,
        packet: &Packet,
        payload: &[u8],
        fruitful: bool,
    ) {
        let cold = self.table.cold(flow);
        cold.looked = cold.looked.saturating_add(u8::from(!fruitful));
        // What comes next begins at a segment's start.
        cold.initial_sequence[side] = sequence(packet).wrapping_add(payload.len() as u32);
        if cold.looked < LOOKED_MAX {
            return;
        }
        // Requests may come behind a body of any length whose head was lost. Servers' responses
        // are none of that.
        if self.leaves_side(flow, side) {
            return;
        }
        let id = self.table.cold(flow).inspection;
        if let Some(inspection) = self.inspector.open.get(id as usize)
            && inspection.sides.iter().all(LookedAt::is_idle)
        {
            // Nothing is kept for a client that may never say anything, and nothing waits for it.
            self.drop_inspection(flow);
            self.decide(flow);
        }
    }

    /// Whether no more is looked at of a side of a flow that said nothing many times: its client is
    /// looked at for longer.
    fn leaves_side(&mut self, flow: FlowId, side: Side) -> bool {
        let (hot, cold) = self.table.both(flow);
        let is_over = cold.looked >= LOOKED_LATER_MAX;
        let leaves = is_over || side != hot.client();
        if leaves {
            hot.marks &= !(mark::WANTED_0 << side);
        }
        if is_over {
            self.count_event(Counter::StreamLeft);
        }
        leaves
    }

    /// Whether a segment is one of many of a client that has said nothing so far, and says nothing
    /// either. A few compares; [`Worker::is_passed_over`] decides where it is not clear.
    #[inline]
    pub(super) fn says_nothing(&mut self, flow: FlowId, packet: &Packet, frame: &[u8]) -> bool {
        let (hot, cold) = self.table.both(flow);
        let end = packet.sequence.wrapping_add(packet.payload_length);
        hot.marks & mark::DECIDED != 0
            && cold.looked >= LOOKED_MAX
            && cold.inspection == NONE
            && (packet.sequence ^ end) >> 16 == 0
            && (packet.payload_captured < BEGINNING_LENGTH_MIN
                || super::payload(packet, frame).is_some_and(|bytes| !SideStream::may_begin(bytes)))
    }

    /// Whether a segment behind many that said nothing is not worth more than a look at its first
    /// bytes.
    fn is_passed_over(
        &mut self,
        flow: FlowId,
        side: Side,
        packet: &Packet,
        payload: &[u8],
    ) -> bool {
        let cold = self.table.cold(flow);
        if cold.looked < LOOKED_MAX || cold.inspection != NONE {
            return false;
        }
        let start = sequence(packet);
        if SideStream::may_begin(payload) {
            // Nobody knows what came before: what begins with a method may be text.
            cold.initial_sequence[side] = 0;
            return false;
        }
        let end = start.wrapping_add(packet.payload_length);
        // There is no room for a count of segments; of sequence numbers the high half tells.
        cold.looked = cold.looked.saturating_add(u8::from(start >> 16 != end >> 16));
        if self.leaves_side(flow, side) {
            self.settle(flow);
        }
        true
    }

    /// The flow's inspection, a new one where there is none.
    pub(super) fn inspection(&mut self, flow: FlowId, sensor: Timestamp) -> u32 {
        let known = self.table.cold(flow).inspection;
        if known != NONE {
            return known;
        }
        if self.inspector.open.len() - self.inspector.free.len() >= INSPECTIONS_MAX {
            self.evict_inspection();
        }
        let inspector = &mut self.inspector;
        inspector.begun += 1;
        let serial = inspector.begun;
        let fresh = Inspection { serial, began: sensor, weight: 0, sides: [None, None] };
        let id = match inspector.free.pop() {
            Some(id) => {
                inspector.open[id as usize] = fresh;
                id
            }
            None => {
                inspector.open.push(fresh);
                (inspector.open.len() - 1) as u32
            }
        };
        inspector.order.push_back((flow, id, inspector.begun));
        if inspector.order.len() > 4 * INSPECTIONS_MAX {
            let open = &inspector.open;
            inspector.order.retain(|&(_, id, serial)| open[id as usize].serial == serial);
        }
        self.table.cold(flow).inspection = id;
        id
    }

    /// Ends the inspection that has been open for longest.
    #[cold]
    fn evict_inspection(&mut self) {
        while let Some((flow, id, serial)) = self.inspector.order.pop_front() {
            if self.inspector.open[id as usize].serial == serial {
                self.count_event(Counter::InspectionEvicted);
                // The caller is in the middle of findings of its own flow.
                let found = std::mem::take(&mut self.inspector.found);
                self.finish_inspection(flow);
                self.leave_alone(flow);
                self.inspector.found = found;
                return;
            }
        }
    }

    /// Whether a flow has been looked at for too long without being decided.
    pub(super) fn has_waited(&mut self, flow: FlowId, now: Timestamp) -> bool {
        let (hot, cold) = self.table.both(flow);
        if hot.marks & mark::DECIDED != 0 || cold.inspection == NONE {
            return false;
        }
        let inspection = &self.inspector.open[cold.inspection as usize];
        now.nanos_since(inspection.began) > UNDECIDED_NANOS
    }

    /// Where no dissector wants anything of the flow any more, it is decided.
    pub(super) fn settle(&mut self, flow: FlowId) {
        let hot = self.table.hot(flow);
        if hot.marks & (mark::WANTED_0 | mark::WANTED_0 << 1) == 0 {
            self.forget_tunnel(flow);
            self.drop_inspection(flow);
            self.decide(flow);
        }
    }

    /// No dissector is to be shown anything of this flow any more.
    pub(super) fn leave_alone(&mut self, flow: FlowId) {
        self.table.hot(flow).marks &= !(mark::WANTED_0 | mark::WANTED_0 << 1);
        self.settle(flow);
    }

    pub(super) fn drop_inspection(&mut self, flow: FlowId) {
        let cold = self.table.cold(flow);
        let id = std::mem::replace(&mut cold.inspection, NONE);
        if id != NONE {
            let old = std::mem::take(&mut self.inspector.open[id as usize]);
            self.inspector.held_bytes -= old.weight;
            self.inspector.free.push(id);
        }
    }

    /// The flow ends: what stands behind holes or was never completed is looked at as it is.
    pub(super) fn finish_inspection(&mut self, flow: FlowId) {
        let id = self.table.cold(flow).inspection;
        if id == NONE {
            return;
        }
        let guarded = catch_unwind(AssertUnwindSafe(|| self.finish_sides(flow, id)));
        if guarded.is_err() {
            self.count_event(Counter::DissectorPanic);
            self.inspector.found.clear();
        }
        self.drop_inspection(flow);
    }

    fn finish_sides(&mut self, flow: FlowId, id: u32) {
        for side in [0, 1] {
            let Inspector { open, found, .. } = &mut self.inspector;
            match open[id as usize].sides[side].take() {
                Some(LookedAt::Stream { mut stream, mut order }) => {
                    order.finish(&mut Feed { stream: &mut stream, found });
                }
                Some(LookedAt::Quic(initials)) => self.finish_initials(flow, &initials),
                Some(LookedAt::Early(_)) | None => {}
            }
            let time = self.table.hot(flow).last_seen;
            self.take_findings(flow, side, time, None);
        }
    }
}

fn new_stream(packet: &Packet, fingerprint: bool, is_in_midst: bool) -> SideStream {
    let stream = SideStream::new(packet.source_port, packet.destination_port);
    let stream = if fingerprint { stream } else { stream.without_fingerprint() };
    if is_in_midst { stream.in_midst() } else { stream }
}

/// Sequence number of the first payload byte.
fn sequence(packet: &Packet) -> u32 {
    let syn = packet.flags.has(crate::packet::TcpFlags::SYN);
    packet.sequence.wrapping_add(u32::from(syn))
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::net::Address;
    use crate::packet::{Packet, TcpFlags};
    use crate::stats::Counter;
    use crate::time::Timestamp;
    use crate::worker::Settings;
    use crate::worker::part::Part;

    /// Payload at which a dissector of these tests panics. No dissector that we know of does.
    const PANIC: &[u8] = b"a dissector shall panic at this";

    pub(super) fn panic_if_asked(payload: &[u8]) {
        assert!(payload != PANIC, "a dissector panicked, as the test asked");
    }

    #[test]
    fn a_panic_costs_one_flow_its_name_and_no_byte() {
        let mut worker = Worker::new(Arc::new(Settings::default()));
        let payloads: [&[u8]; 3] = [PANIC, b"something", PANIC];
        let items: Vec<Item<'_>> = (0..3_u8)
            .map(|number| {
                let packet = Packet {
                    source: Address::v4([10, 0, 0, 1 + number % 2]),
                    destination: Address::v4([198, 51, 100, 1]),
                    source_port: 5000,
                    destination_port: 4000,
                    protocol: protocol::UDP,
                    bytes: 100,
                    payload_captured: payloads[usize::from(number)].len() as u32,
                    payload_length: payloads[usize::from(number)].len() as u32,
                    ..Packet::default()
                };
                let time = Timestamp(1_000_000 * i64::from(number));
                let hash = worker.settings.seed.flow(&packet);
                let frame = payloads[usize::from(number)];
                Item { packet, time, sensor: time, hash, frame, ..Item::default() }
            })
            .collect();
        worker.process(&items);
        worker.finish(Some(Timestamp(10_000_000)));
        let part = worker.take_part(Part::default());
        // The flow is left alone from then on, and counted like any other without a name.
        assert_eq!(part.counters.value(Counter::DissectorPanic), 1);
        let mut bytes: Vec<u64> = part.anonymous.iter().map(|flow| flow.sums.bytes()).collect();
        bytes.sort_unstable();
        assert_eq!(bytes, [100, 200]);
    }

    /// What a worker says of packets like one: side, sequence number, payload.
    pub(in crate::worker) fn read(packet: Packet, packets: &[(Side, u32, &[u8])]) -> Part {
        let packets: Vec<_> = packets
            .iter()
            .map(|&(side, sequence, payload)| (packet, side, sequence, payload))
            .collect();
        read_all(&packets)
    }

    /// What a worker says of packets, one a millisecond.
    fn read_all(packets: &[(Packet, Side, u32, &[u8])]) -> Part {
        let settings = Settings { observations: true, ..Settings::default() };
        let mut worker = Worker::new(Arc::new(settings));
        let items: Vec<Item<'_>> = (0_i64..)
            .zip(packets)
            .map(|(number, &(packet, side, sequence, payload))| {
                let mut packet = Packet {
                    sequence,
                    payload_captured: payload.len() as u32,
                    payload_length: payload.len() as u32,
                    bytes: 40 + payload.len() as u32,
                    ..packet
                };
                if side == 1 {
                    std::mem::swap(&mut packet.source, &mut packet.destination);
                    std::mem::swap(&mut packet.source_port, &mut packet.destination_port);
                }
                let time = Timestamp(1_000_000 * number);
                let hash = worker.settings.seed.flow(&packet);
                Item { packet, time, sensor: time, hash, frame: payload, ..Item::default() }
            })
            .collect();
        worker.process(&items);
        worker.finish(Some(Timestamp(1_000_000_000)));
        worker.take_part(Part::default())
    }

    pub(in crate::worker) fn names(part: &Part) -> Vec<&str> {
        part.observations.iter().map(|observation| &*observation.host).collect()
    }

    pub(in crate::worker) fn to_port(protocol: u8, port: u16) -> Packet {
        Packet {
            source: Address::v4([10, 0, 0, 1]),
            destination: Address::v4([198, 51, 100, 1]),
            source_port: 50_000,
            destination_port: port,
            protocol,
            ..Packet::default()
        }
    }

    #[test]
    fn the_first_segment_seen_may_belong_behind_the_next() {
        let request = b"GET / HTTP/1.1\r\nHost: a.example\r\nX: \xfe\xfd\xfc\r\n\r\n";
        let packet = to_port(protocol::TCP, 80);
        // What begins with 0xfe says nothing by itself.
        let cut = 36;
        let (front, back) = request.split_at(cut);
        let behind = 7 + cut as u32;
        let swapped = [(0, behind, back), (0, 7, front)];
        assert_eq!(names(&read(packet, &swapped)), ["a.example"]);
        let with_answer = [(0, behind, back), (1, 70, &b"\x01"[..]), (0, 7, front)];
        assert_eq!(names(&read(packet, &with_answer)), ["a.example"]);
        // Also where there is a hole between them.
        let apart = [(0, behind + 1, back), (0, 7, front)];
        assert_eq!(names(&read(packet, &apart)), ["a.example"]);
        // What stands in front begins nothing.
        let no_beginning = [(0, 6 + front.len() as u32, back), (0, 7, &front[1..])];
        assert_eq!(names(&read(packet, &no_beginning)), [""; 0]);
    }

    #[test]
    fn requests_are_found_behind_text_that_began_before_the_capture() {
        let packet = to_port(protocol::TCP, 80);
        let request = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
        for before in [&b"X: y\r\n\r\n"[..], b"X: y", b"0\r\n\r\n", b"{\"a\": 1}"] {
            let said = [(0, 7, before), (0, 7 + before.len() as u32, &request[..])];
            assert_eq!(names(&read(packet, &said)), ["a.example"], "{}", before.escape_ascii());
        }
    }

    #[test]
    fn a_syn_that_comes_late_is_of_the_same_connection() {
        let request = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
        let (front, back) = request.split_at(20);
        let syn = Packet { flags: TcpFlags(TcpFlags::SYN), ..to_port(protocol::TCP, 80) };
        for (syn_sequence, expected) in [(6, &["a.example"][..]), (600, &[])] {
            let part = read_all(&[
                (to_port(protocol::TCP, 80), 0, 7, front),
                (syn, 0, syn_sequence, b""),
                (to_port(protocol::TCP, 80), 0, 27, back),
            ]);
            assert_eq!(names(&part), expected);
        }
    }

    #[test]
    fn a_syn_of_any_number_that_comes_again_is_of_the_same_connection() {
        let request = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
        let (front, back) = request.split_at(20);
        let packet = to_port(protocol::TCP, 80);
        let syn = Packet { flags: TcpFlags(TcpFlags::SYN), ..packet };
        for start in [7_u32, 0, 1] {
            let opening = (syn, 0, start.wrapping_sub(1), &b""[..]);
            let said = [(packet, 0, start, front), (packet, 0, start + 20, back)];
            let part = read_all(&[opening, said[0], opening, said[1]]);
            assert_eq!(names(&part), ["a.example"], "{start}");
        }
    }

    #[test]
    fn quic_is_known_on_the_ports_of_dns_too() {
        let datagram = quic::tests::initial_of_rfc_9001();
        for port in [53, 137, 5353, 5355, 853, 443] {
            let part = read(to_port(protocol::UDP, port), &[(0, 0, &datagram)]);
            assert_eq!(names(&part), ["example.com"], "{port}");
            assert_eq!(part.counters.value(Counter::DnsMalformed), 0);
        }
        let question = b"\xc0\x01\x01\0\0\x01\0\0\0\0\0\0\x01a\x07example\0\0\x01\0\x01";
        let part = read(to_port(protocol::UDP, 53), &[(0, 0, question)]);
        assert_eq!(names(&part), ["a.example"]);
    }

    #[test]
    fn requests_are_found_behind_a_body_whose_head_was_lost() {
        let packet = to_port(protocol::TCP, 80);
        let request = &b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"[..];
        let answer = &b"HTTP/1.1 204 No Content\r\n\r\n"[..];
        let body = [0xfe; 1000];
        let after = |bodies: u32, said: &[&[u8]], is_early: bool| {
            let mut packets: Vec<(Side, u32, &[u8])> = Vec::new();
            let mut next = 7;
            for number in 0..bodies {
                packets.push((0, next, &body));
                next += 1000;
                if is_early && number < 40 {
                    packets.push((1, 70 + number * answer.len() as u32, answer));
                }
            }
            for said in said {
                packets.push((0, next, said));
                next += said.len() as u32;
            }
            let part = read(packet, &packets);
            let names = names(&part).iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
            (names, part.counters.value(Counter::StreamLeft))
        };
        for bodies in [1, 14, 15, 16, 17, 18, 40, 2000] {
            for is_early in [false, true] {
                let (names, left) = after(bodies, &[request, request], is_early);
                assert_eq!(names, ["a.example", "a.example"], "{bodies} {is_early}");
                assert_eq!(left, 0);
            }
        }
        // Not for ever.
        assert_eq!(after(4000, &[request], false), (vec![], 1));
        // Text that only begins like a request does not hide one.
        let text = &b"GET is a word\n"[..];
        let few = vec![text; 40];
        assert_eq!(after(16, &[&few[..], &[request]].concat(), false).0, ["a.example"]);
    }

    /// All orders of so many things.
    fn orders(count: usize) -> Vec<Vec<usize>> {
        let Some(last) = count.checked_sub(1) else { return vec![vec![]] };
        let longer = |order: &Vec<usize>, at: usize| {
            let mut order = order.clone();
            order.insert(at, last);
            order
        };
        orders(last).iter().flat_map(|order| (0..count).map(|at| longer(order, at))).collect()
    }

    #[test]
    fn the_first_segments_seen_may_come_in_any_order() {
        let request = b"GET / HTTP/1.1\r\nHost: a.example\r\nX: \xfe\xfd\xfc\r\n\r\n";
        let cuts = [0, 20, 30, 37, request.len()];
        // Also where the number behind the SYN is 0.
        for start in [7, 0_u32.wrapping_sub(20), 0] {
            for order in orders(4) {
                let said: Vec<(Side, u32, &[u8])> = order
                    .iter()
                    .map(|&at| {
                        (0, start.wrapping_add(cuts[at] as u32), &request[cuts[at]..cuts[at + 1]])
                    })
                    .collect();
                let packet = to_port(protocol::TCP, 80);
                assert_eq!(names(&read(packet, &said)), ["a.example"], "{start} {order:?}");
                let mut with_answers = Vec::new();
                for segment in &said {
                    with_answers.extend([*segment, (1, 70, &b"\x01\x02"[..])]);
                }
                assert_eq!(names(&read(packet, &with_answers)), ["a.example"], "{start} {order:?}");
                // What was kept of the first is the first copy.
                let again = said.iter().map(|&(side, sequence, bytes)| {
                    (side, sequence, &b"XXXXXXXXXXXXXX"[..bytes.len().min(14)])
                });
                let doubled: Vec<_> = said.iter().copied().chain(again).collect();
                assert_eq!(names(&read(packet, &doubled)), ["a.example"], "{start} {order:?}");
                // With the SYN in front.
                let syn = Packet { flags: TcpFlags(TcpFlags::SYN), ..packet };
                let opening = (syn, 0, start.wrapping_sub(1), &b""[..]);
                let behind =
                    said.iter().map(|&(side, sequence, bytes)| (packet, side, sequence, bytes));
                let opened: Vec<_> = [opening].into_iter().chain(behind).collect();
                assert_eq!(names(&read_all(&opened)), ["a.example"], "{start} {order:?}");
            }
        }
    }

    #[test]
    fn a_head_that_is_sent_again_much_later_is_joined_with_its_body() {
        let packet = to_port(protocol::TCP, 80);
        let next = &b"GET / HTTP/1.1\r\nHost: b.example\r\n\r\n"[..];
        let body = [0xfe; 1448];
        let syn = Packet { flags: TcpFlags(TcpFlags::SYN), ..packet };
        for behind in [1, 5, 11, 12, 13, 20, 100] {
            let length = 120 * body.len();
            let head =
                format!("POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: {length}\r\n\r\n");
            let mut packets: Vec<(Packet, Side, u32, &[u8])> = vec![(syn, 0, 6, b"")];
            let at = |number: usize| 7 + (head.len() + number * body.len()) as u32;
            let bodies = |numbers: std::ops::Range<usize>| {
                numbers.map(|number| (packet, 0, at(number), &body[..])).collect::<Vec<_>>()
            };
            packets.extend(bodies(0..behind));
            packets.push((packet, 0, 7, head.as_bytes()));
            packets.extend(bodies(behind..120));
            packets.push((packet, 0, at(120), next));
            let part = read_all(&packets);
            assert_eq!(names(&part), ["a.example", "b.example"], "{behind}");
            assert_eq!(part.counters.value(Counter::StreamGap), 0);
        }
    }

    #[test]
    fn requests_are_found_behind_a_short_body_whose_head_was_lost() {
        let packet = to_port(protocol::TCP, 80);
        let request = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
        let body = [0xfe; 1000];
        for bodies in [0, 1, 5, 15, 16, 17, 40] {
            // A request, one whose head is missing, and two more.
            let mut packets: Vec<(Side, u32, &[u8])> = vec![(0, 7, request)];
            let mut next = 7 + 2 * request.len() as u32;
            for said in vec![&body[..]; bodies].into_iter().chain([&request[..], request]) {
                packets.push((0, next, said));
                next += said.len() as u32;
            }
            assert_eq!(names(&read(packet, &packets)), ["a.example"; 3], "{bodies}");
        }
    }
}
