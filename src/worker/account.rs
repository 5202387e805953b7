//! Where sums go, and when a flow begins, gets its name and ends.
//!
//! A slot holds the sums of one minute. They are *handed on* when the minute turns, when the flow
//! gets another name, when it has been silent for a while, and when it ends: to the usage of the
//! name in force, to the anonymous flows of the part, or straight to the books where no name can
//! change the bucket. Until a flow is decided, its sums are pending.

use super::bucket::{BY_NAME, apply_tunnel, fixed_bucket, is_at_home};
use super::ended::own_name;
use super::part::{ANONYMOUS_MAX, AnonymousSums, End, FlowStep, HINTS_MAX, Outer, Step};
use super::steps::ANSWER_BYTES_MIN;
use super::{BATCH, Item, Worker, detours, tunnels};
use crate::dissect::tunnel::TunnelProtocol;
use crate::flow::slot::{Cold, Hot, NONE, Patience, Side, first_patience, mark, told};
use crate::flow::table::FlowId;
use crate::ledger::Bucket;
use crate::net::{Address, Endpoint, protocol};
use crate::observation::NameSource;
use crate::packet::{Packet, TcpFlags};
use crate::stats::Counter;
use crate::time::{Hour, Timestamp};
use crate::usage::{Sums, UsageKey, levels, quarter_bits};

/// A flow whose sums have not been handed on is looked at again after this many seconds.
const HAND_ON_SECONDS: i64 = 60;
/// What a QUIC client sends behind its hello without payload: every datagram with an Initial in it
/// is padded to 1,200 bytes (RFC 9000, 14.1), and there are two more to acknowledge and, where
/// something is slow, to probe.
const QUIC_PADDING_BYTES: u32 = 2 * 1280;
impl Worker {
    /// Takes in a new flow, of which `item` is the first packet from side 0.
    pub(super) fn open(&mut self, item: &Item<'_>) -> FlowId {
        if self.table.is_full() {
            self.make_room();
        }
        let (hot, cold) = self.new_flow(item);
        let due = item.sensor.seconds() + hot.patience.seconds().min(HAND_ON_SECONDS) + 1;
        let flow = self.table.insert(item.hash, hot, cold);
        self.table.schedule(flow, due);
        self.note_beginning(flow, item);
        flow
    }

    /// Notes what the first packet of a flow tells, whether the flow got a slot or another's.
    fn note_beginning(&mut self, flow: FlowId, item: &Item<'_>) {
        self.note_link(flow, &item.packet, item.frame);
        self.note_opening(item);
        self.note_neighbour(item);
        if item.packet.protocol == protocol::IPCOMP {
            self.count_event(Counter::IpcompOpaque);
        }
    }

    /// Ends the flows nearest their time-out: several, whose memory is asked for together.
    #[cold]
    fn make_room(&mut self) {
        let together = (self.table.len() / BATCH).clamp(1, BATCH);
        let mut oldest = [(0, NONE); BATCH];
        let mut found = 0;
        for place in oldest.iter_mut().take(together) {
            let Some(flow) = self.table.first_due() else { break };
            *place = (self.hash_of(flow), flow);
            self.expect(place.0);
            found += 1;
        }
        for &(hash, flow) in oldest.iter().take(found) {
            self.count_event(Counter::FlowEvicted);
            self.close(flow, End::Evicted);
            self.table.remove(hash, flow);
        }
    }

    /// The hash with which a flow is in the table, which it leaves.
    fn hash_of(&mut self, flow: FlowId) -> u64 {
        let tunnelled = match self.tunnelled.is_empty() {
            true => None,
            false => self.tunnelled.remove(&flow),
        };
        tunnelled.unwrap_or_else(|| self.settings.seed.flow_of(self.table.hot(flow)))
    }

    /// Whether the flow ended before this packet: by its time-out, or because a new one begins.
    #[inline]
    pub(super) fn is_over(&mut self, flow: FlowId, side: Side, item: &Item<'_>) -> bool {
        if self.table.hot(flow).is_over(item.sensor) {
            return true;
        }
        item.packet.flags.is_opening() && self.begins_anew(flow, side, &item.packet)
    }

    /// A SYN with another sequence number opens a new connection (RFC 9293, 3.6.1).
    #[cold]
    fn begins_anew(&mut self, flow: FlowId, side: Side, packet: &Packet) -> bool {
        let (hot, cold) = self.table.both(flow);
        if packet.protocol != protocol::TCP {
            return false;
        }
        match cold.initial_sequence[side] {
            // Either the other side opened it at the same time, or we came in the middle; or 0 is what
            // is behind the SYN.
            0 if packet.sequence == u32::MAX && hot.marks & mark::BEGAN != 0 => false,
            0 => hot.marks & mark::BEGAN == 0 || hot.marks & mark::SPOKE_0 << side != 0,
            known => known != packet.sequence.wrapping_add(1),
        }
    }

    /// Ends a flow and begins another with the same endpoints in its slot. Returns the side from
    /// which the packet comes.
    #[cold]
    pub(super) fn reopen(&mut self, flow: FlowId, item: &Item<'_>) -> Side {
        self.sensor = item.sensor;
        self.close(flow, End::Idle);
        let (hot, cold) = self.new_flow(item);
        self.table.renew(flow, hot, cold);
        self.note_beginning(flow, item);
        0
    }

    fn new_flow(&self, item: &Item<'_>) -> (Hot, Cold) {
        let packet = &item.packet;
        let is_tcp = packet.protocol == protocol::TCP;
        let home = &self.settings.home;
        let client = match () {
            () if is_tcp && packet.flags.is_opening() => 0,
            () if is_tcp && packet.flags.has(TcpFlags::SYN | TcpFlags::ACK) => 1,
            () if home.contains(packet.source) => 0,
            () if home.contains(packet.destination) => 1,
            () => 0,
        };
        let mut marks = 0;
        if is_tcp || packet.protocol == protocol::UDP {
            marks |= mark::WANTED_0 | mark::WANTED_0 << 1;
        } else {
            marks |= mark::DECIDED;
        }
        if !is_tcp || packet.flags.has(TcpFlags::SYN) {
            marks |= mark::BEGAN;
        }
        let mut hot = Hot {
            addresses: [packet.source, packet.destination],
            last_seen: item.time,
            bytes: [0; 2],
            minute: item.minute,
            ports: [packet.source_port, packet.destination_port],
            packets: 0,
            marks,
            protocol: packet.protocol,
            patience: first_patience(packet),
            late: 0,
            bucket: BY_NAME,
        };
        hot.set_client(client);
        hot.bucket = fixed_bucket(&hot, &self.settings);
        let mut cold = Cold::new(item.time);
        if self.settings.sinkholes.contains(hot.addresses[1 - client]) {
            cold.told |= told::SINKHOLED;
        }
        (hot, cold)
    }

    /// The other side of a flow shows itself.
    #[cold]
    pub(super) fn side_appeared(&mut self, flow: FlowId, side: Side, item: &Item<'_>) {
        let hot = self.table.hot(flow);
        if side == 1 && hot.patience == Patience::HalfOpen {
            hot.patience = Patience::Established;
        }
        if side == 1 {
            self.note_link(flow, &item.packet, item.frame);
        }
    }

    /// SYN, FIN or RST.
    #[cold]
    pub(super) fn tcp_event(&mut self, flow: FlowId, side: Side, item: &Item<'_>) {
        let packet = &item.packet;
        let (hot, cold) = self.table.both(flow);
        let mut client = None;
        if packet.flags.has(TcpFlags::SYN) {
            cold.initial_sequence[side] = packet.sequence.wrapping_add(1);
            let opening = packet.flags.is_opening();
            client = Some(if opening { side } else { 1 - side });
            hot.marks |= mark::BEGAN;
        }
        if packet.flags.has(TcpFlags::FIN) {
            hot.marks |= mark::FIN_0 << side;
            if hot.marks & mark::FIN_0 != 0 && hot.marks & (mark::FIN_0 << 1) != 0 {
                hot.patience = Patience::Closed;
            }
        }
        if packet.flags.has(TcpFlags::RST) {
            let server = 1 - hot.client();
            if hot.marks & mark::RESET == 0 && !hot.is_marked(mark::SPOKE_0, server) {
                hot.marks |= mark::REFUSED;
            }
            hot.marks |= mark::RESET;
            hot.patience = Patience::Closed;
        }
        if let Some(client) = client {
            self.catch_up(flow, item.sensor);
            self.set_client(flow, client);
        }
    }

    /// Corrects who the client is. What has been handed on stays as it was.
    pub(super) fn set_client(&mut self, flow: FlowId, side: Side) {
        let hot = self.table.hot(flow);
        if hot.client() == side {
            return;
        }
        hot.set_client(side);
        hot.bucket = fixed_bucket(hot, &self.settings);
        let (hot, cold) = self.table.both(flow);
        apply_tunnel(hot, cold);
        for (_, sums) in self.pending.get_mut(flow) {
            std::mem::swap(&mut sums.bytes_up, &mut sums.bytes_down);
            std::mem::swap(&mut sums.minutes_up, &mut sums.minutes_down);
            // They are of one flow.
            sums.flow_up_max = sums.flow_bytes_max - sums.flow_up_max;
        }
    }

    /// Hands on what the slot holds.
    pub(super) fn hand_on(&mut self, flow: FlowId) {
        self.hand_on_with(flow, 0);
    }

    fn hand_on_with(&mut self, flow: FlowId, attempts_failed: u64) {
        let minute = self.table.hot(flow).minute;
        let hour = self.hour(minute);
        let (hot, cold) = self.table.both(flow);
        if hot.packets == 0 && attempts_failed == 0 {
            return;
        }
        let client = hot.client();
        let is_sinkholed = cold.told & told::SINKHOLED != 0;
        let minute_bit = |side: Side| {
            let counts = hot.is_marked(mark::PAYLOAD_0, side) && !is_sinkholed;
            if counts { hour.bit(minute) } else { 0 }
        };
        let mut sums = Sums {
            attempts_failed,
            bytes_up: u64::from(hot.bytes[client]),
            bytes_down: u64::from(hot.bytes[1 - client]),
            minutes_up: minute_bit(client),
            minutes_down: minute_bit(1 - client),
            first_seen: cold.fresh_since,
            last_seen: hot.last_seen,
            ..Sums::default()
        };
        if cold.told & told::BEGINNING == 0 {
            cold.told |= told::BEGINNING;
            sums.connections = 1;
            sums.minutes_begun = hour.bit(cold.first_seen.minute());
            sums.attempts_failed += u64::from(is_sinkholed);
        }
        let both_spoke = hot.marks & mark::SPOKE_0 != 0 && hot.marks & (mark::SPOKE_0 << 1) != 0;
        let levels_of = |behind: [i32; 2]| {
            let behind = behind.map(|bytes| u64::from(bytes.max(0).unsigned_abs()));
            levels(behind[client], behind[0] + behind[1])
        };
        let levels_before = match cold.told & told::HANDSHAKE {
            0 => 0,
            _ => levels_of(cold.behind_hello),
        };
        let mut levels = 0;
        for (behind, bytes) in cold.behind_hello.iter_mut().zip(hot.bytes) {
            *behind = behind.saturating_add_unsigned(bytes);
        }
        if both_spoke && !is_sinkholed {
            if cold.told & told::HANDSHAKE == 0 {
                cold.told |= told::HANDSHAKE;
                sums.handshakes = 1;
            }
            let behind = |side: Side| u64::from(cold.behind_hello[side].max(0).unsigned_abs());
            sums.flow_up_max = behind(client);
            sums.flow_bytes_max = behind(client) + behind(1 - client);
            levels = levels_of(cold.behind_hello);
            let both = sums.minutes_up & sums.minutes_down;
            sums.quarters = quarter_bits(both, sums.flow_up_max, sums.flow_bytes_max);
        }
        let (packets, bytes) = (hot.packets, hot.bytes);
        let answer = if cold.exchange_resumed(false) { hot.bytes[1 - client] } else { 0 };
        hot.bytes = [0; 2];
        hot.packets = 0;
        hot.marks &= !(mark::PAYLOAD_0 | mark::PAYLOAD_0 << 1);
        self.totals.add(flow, packets, bytes);
        if self.table.hot(flow).marks & mark::DECIDED == 0 && self.pending.is_full() {
            self.count_event(Counter::InspectionEvicted);
            self.decide(flow);
        }
        if self.table.hot(flow).marks & mark::DECIDED == 0 {
            self.pending.add(flow, hour, &sums);
        } else {
            let news = if levels > levels_before { levels } else { 0 };
            self.deliver(flow, hour, &sums, Step::of(sums.connections > 0, false, news));
            if answer >= ANSWER_BYTES_MIN {
                self.tell_resumed(flow, hour, sums.first_seen, answer);
            }
        }
    }

    /// The flow has its name, or is known to have none of its own: what was pending is delivered.
    pub(super) fn decide(&mut self, flow: FlowId) {
        let hot = self.table.hot(flow);
        if hot.marks & mark::DECIDED != 0 {
            return;
        }
        hot.marks |= mark::DECIDED;
        let pending = self.pending.take(flow);
        if pending.is_empty() {
            return;
        }
        let first_seen = self.table.cold(flow).first_seen.minute();
        let first_hour = self.hour(first_seen);
        for (hour, sums) in pending {
            let levels = levels(sums.flow_up_max, sums.flow_bytes_max);
            let step = Step::of(sums.connections > 0, hour != first_hour, levels);
            self.deliver(flow, hour, &sums, step);
        }
    }

    /// Gives a flow its name. What came before under another name stays with that.
    pub(super) fn set_name(&mut self, flow: FlowId, name: &str, source: NameSource) {
        let cold = self.table.cold(flow);
        let old = cold.name;
        if old != NONE && self.names.text(old) == name {
            if source as u8 <= cold.name_source() {
                cold.set_name_source(source as u8);
            }
            return;
        }
        if self.table.hot(flow).marks & mark::DECIDED != 0 {
            self.hand_on(flow);
            self.end_anonymous(flow);
            self.table.cold(flow).behind_hello = [0; 2];
        }
        let name = match source {
            NameSource::Dns => self.intern_question(name),
            _ => self.intern(name),
        };
        let cold = self.table.cold(flow);
        cold.name = name;
        cold.set_name_source(source as u8);
        if old != NONE {
            self.names.release(old);
        }
        self.decide(flow);
    }

    /// The hello of a flow ends with this packet, which is not counted yet: from here on bytes are
    /// behind it.
    pub(super) fn hello_ends(&mut self, flow: FlowId, side: Side, packet_bytes: u32) {
        let (hot, cold) = self.table.both(flow);
        let mut before = hot.bytes;
        let padding = if hot.protocol == protocol::UDP { QUIC_PADDING_BYTES } else { 0 };
        before[side] = before[side].saturating_add(packet_bytes).saturating_add(padding);
        cold.behind_hello = before.map(|bytes| 0i32.saturating_sub_unsigned(bytes));
    }

    /// Adds sums where they belong, and tells of the step that they are.
    pub(super) fn deliver(&mut self, flow: FlowId, hour: Hour, sums: &Sums, step: Option<Step>) {
        self.note_channel(flow, hour);
        let hot = self.table.hot(flow);
        let bucket = Bucket::from_number(hot.bucket);
        let client =
            Endpoint { address: hot.addresses[hot.client()], port: hot.ports[hot.client()] };
        let server_side = 1 - hot.client();
        let server = Endpoint { address: hot.addresses[server_side], port: hot.ports[server_side] };
        if sums.handshakes > 0 && bucket != Some(Bucket::NetworkService) {
            self.note_service(client.address, server, hour);
        }
        let life = self.table.life(flow);
        let (hot, cold) = self.table.both(flow);
        let client_at_home = !matches!(bucket, Some(Bucket::Inbound))
            && (bucket.is_none() || self.settings.home.contains(client.address));
        if let Some(detour) = detours::of_flow(hot, cold) {
            // Of who comes from outside, the device is the one at home that answers, if there is one.
            let ends = [client.address, server.address];
            let device = ends.into_iter().find(|&end| self.settings.home.contains(end));
            let allowance = &mut self.allowance;
            let sums = (sums.connections, sums.bytes());
            self.part.note_detour(device, hour, detour, sums, allowance);
        }
        let nameless = match bucket {
            Some(Bucket::NetworkService | Bucket::Inbound | Bucket::OtherIp) => bucket,
            _ if !client_at_home => bucket,
            _ => None,
        };
        if let Some(bucket) = nameless {
            if client_at_home && sums.bytes_down > 0 {
                self.note_two_way(client.address);
            }
            self.part.books.add(hour, bucket, sums.connections, sums.bytes());
            return;
        }
        let both_at_home = bucket.is_some() && is_at_home(hot, &self.settings);
        let outer = self.inspector.outer(flow);
        let own_name = own_name(cold);
        if let (Some((name, source)), None) = (own_name, outer) {
            let client = client.address;
            let bucket = hot.bucket;
            let key = UsageKey { client, name, hour, source, bucket, at_home: both_at_home };
            let Some((known, is_new)) = self.usage.entry_if(key, || self.allowance.row()) else {
                self.part.counters.count(Counter::UsageOverflow);
                return self.book_as_it_is(flow, hour, sums);
            };
            known.add(sums);
            if is_new {
                self.names.hold_again(key.name);
            }
            let Some(step) = step else { return };
            if self.allowance.step() {
                let (server, time) = (server.address, cold.first_seen);
                self.part.steps.push(FlowStep { key, server, time, step });
            } else {
                self.part.counters.count(Counter::BeginningDropped);
            }
            return;
        }
        let both_spoke = mark::SPOKE_0 | mark::SPOKE_0 << 1;
        let is_answered = cold.told & told::HANDSHAKE != 0 || hot.marks & both_spoke == both_spoke;
        if self.part.anonymous.len() >= ANONYMOUS_MAX || !self.allowance.anonymous(is_answered) {
            self.part.counters.count(Counter::AnonymousOverflow);
            return self.book_as_it_is(flow, hour, sums);
        }
        let begins = cold.told & told::ANONYMOUS == 0;
        cold.told |= told::ANONYMOUS;
        let outer = outer.map(|doubt| {
            let name = own_name.map(|(name, source)| (self.names.hold_again(name), source));
            Outer { name, doubt }
        });
        self.part.anonymous.push(AnonymousSums {
            flow,
            life,
            client,
            server,
            protocol: hot.protocol,
            first_seen: cold.first_seen,
            hour,
            sums: *sums,
            bucket,
            at_home: both_at_home,
            spoken: TunnelProtocol::from_number(cold.tunnel),
            is_media: tunnels::media_of(cold).is_some(),
            step,
            outer,
            begins,
            ended: false,
        });
    }

    /// Adds sums to the books without a name, since there is no room for them elsewhere.
    fn book_as_it_is(&mut self, flow: FlowId, hour: Hour, sums: &Sums) {
        let bucket = Bucket::from_number(self.table.hot(flow).bucket).unwrap_or(Bucket::NoName);
        self.part.books.add(hour, bucket, sums.connections, sums.bytes());
    }

    /// Tells merge that it need not remember the verdict on this flow any longer.
    pub(super) fn end_anonymous(&mut self, flow: FlowId) {
        let life = self.table.life(flow);
        let (hot, cold) = self.table.both(flow);
        if cold.told & told::ANONYMOUS == 0 {
            return;
        }
        cold.told &= !told::ANONYMOUS;
        match self.part.anonymous.last_mut() {
            Some(last) if last.flow == flow => last.ended = true,
            _ => {
                self.allowance.ended();
                let (client, server) = (hot.client(), 1 - hot.client());
                self.part.anonymous.push(AnonymousSums {
                    flow,
                    life,
                    client: Endpoint { address: hot.addresses[client], port: hot.ports[client] },
                    server: Endpoint { address: hot.addresses[server], port: hot.ports[server] },
                    protocol: hot.protocol,
                    first_seen: cold.first_seen,
                    hour: Hour(hot.minute.0),
                    sums: Sums::default(),
                    bucket: Bucket::from_number(hot.bucket),
                    at_home: is_at_home(hot, &self.settings),
                    spoken: TunnelProtocol::from_number(cold.tunnel),
                    is_media: tunnels::media_of(cold).is_some(),
                    step: None,
                    outer: None,
                    begins: false,
                    ended: true,
                });
            }
        }
    }

    /// Ends a flow: everything of it is handed on. Its slot stays.
    pub(super) fn close(&mut self, flow: FlowId, end: End) {
        // What counts is when its time had passed, not when somebody looked.
        let hot = self.table.hot(flow);
        let silent_until = hot.last_seen.offset(hot.patience.nanos());
        let ended = self.sensor.min(silent_until);
        self.catch_up(flow, ended);
        self.finish_inspection(flow);
        self.decide(flow);
        let cold_told = self.table.cold(flow).told;
        let hot = self.table.hot(flow);
        let server = 1 - hot.client();
        let is_sinkholed = cold_told & told::SINKHOLED != 0;
        let unanswered = hot.protocol == protocol::TCP
            && hot.marks & mark::BEGAN != 0
            && hot.marks & mark::WENT_ON == 0
            && !hot.is_marked(mark::SENT_0, server);
        // A sinkhole's flow has been counted as an attempt when it began.
        let failed = (unanswered || hot.marks & mark::REFUSED != 0) && !is_sinkholed;
        self.hand_on_with(flow, u64::from(failed));
        self.record_health(flow);
        self.record_flow(flow, end);
        self.end_anonymous(flow);
        self.inspector.forget_outer(flow);
        self.forget_marks(flow);
        self.forget_tunnel(flow);
        let cold = self.table.cold(flow);
        let name = std::mem::replace(&mut cold.name, NONE);
        if name != NONE {
            self.names.release(name);
        }
    }

    /// Ends a flow that is out of the wheel already, and takes it out of the table.
    fn end(&mut self, flow: FlowId, end: End) {
        let hash = self.hash_of(flow);
        // At hand by the time the flow is closed.
        self.expect(hash);
        self.close(flow, end);
        self.table.remove(hash, flow);
    }

    pub(super) fn close_all(&mut self, end: End) {
        while let Some(flow) = self.table.first_due() {
            self.end(flow, end);
        }
    }

    /// Looks at flows whose time has come, at most `budget` of them.
    pub(super) fn expire(&mut self, now: Timestamp, budget: usize) {
        self.sensor = now;
        for _ in 0..budget {
            let Some(flow) = self.table.next_due(now.seconds()) else { break };
            self.look_again(flow, now);
        }
        self.hand_on_resumed(now);
        self.expire_fragments(now);
    }

    fn note_two_way(&mut self, client: Address) {
        if self.part.two_way.last() == Some(&client) {
            return;
        }
        if self.part.two_way.len() < HINTS_MAX && self.allowance.hint(size_of::<Address>()) {
            self.part.two_way.push(client);
        } else {
            self.count_event(Counter::HintDropped);
        }
    }

    /// Does what is due by `now`. Whatever changes what a flow is has to ask for this first: what was
    /// due stays as it was, and the wheel comes by at some time after.
    pub(super) fn catch_up(&mut self, flow: FlowId, now: Timestamp) {
        if self.table.hot(flow).minute < now.minute() {
            self.hand_on(flow);
        }
        if self.has_waited(flow, now) {
            self.decide(flow);
        }
    }

    fn look_again(&mut self, flow: FlowId, now: Timestamp) {
        let hot = self.table.hot(flow);
        if hot.is_over(now) {
            self.end(flow, End::Idle);
            return;
        }
        self.catch_up(flow, now);
        let hot = self.table.hot(flow);
        let over = hot.last_seen.seconds().saturating_add(hot.patience.seconds() + 1);
        let soon = now.seconds().saturating_add(HAND_ON_SECONDS);
        let due = if hot.packets > 0 { over.min(soon) } else { over };
        self.table.schedule(flow, due.max(now.seconds().saturating_add(1)));
    }
}
