//! One flow, packet by packet. It keeps its own books in the traffic's list of what is true.

use std::net::SocketAddr;

use super::frame::{self, Way, flag};
use super::{MILLISECOND, Record, Traffic};

/// Bytes of a segment.
const SEGMENT_LENGTH_MAX: usize = 1400;

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The client.
    Up = 0,
    /// The server.
    Down = 1,
}

/// Which pieces of something that was cut come, and in which order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// First to last.
    Straight,
    /// Last to first.
    Reversed,
    /// First to last, but the first of all never comes.
    WithoutFirst,
    /// First to last, but the last of all never comes.
    WithoutLast,
}

/// See the module.
pub struct Talk<'a> {
    traffic: &'a mut Traffic,
    flow: usize,
    ends: [SocketAddr; 2],
    protocol: u8,
    vlan: Option<u16>,
    /// The next packet's stamp.
    pub time_nanos: i64,
    /// From one packet to the next.
    pub gap_nanos: i64,
    /// The next sequence number of each side.
    pub sequence: [u32; 2],
    any: bool,
}

impl<'a> Talk<'a> {
    /// A TCP connection whose first packet, yet to be sent, has this stamp.
    pub fn tcp(
        traffic: &'a mut Traffic,
        client: SocketAddr,
        server: SocketAddr,
        time_nanos: i64,
    ) -> Talk<'a> {
        Talk::new(traffic, client, server, frame::TCP, time_nanos)
    }

    /// A flow over UDP.
    pub fn udp(
        traffic: &'a mut Traffic,
        client: SocketAddr,
        server: SocketAddr,
        time_nanos: i64,
    ) -> Talk<'a> {
        Talk::new(traffic, client, server, frame::UDP, time_nanos)
    }

    fn new(
        traffic: &'a mut Traffic,
        client: SocketAddr,
        server: SocketAddr,
        protocol: u8,
        time_nanos: i64,
    ) -> Talk<'a> {
        traffic.flows.push(super::TrueFlow {
            time_nanos,
            client,
            server,
            protocol,
            name: None,
            bytes_up: 0,
            bytes_down: 0,
        });
        let flow = traffic.flows.len() - 1;
        let sequence = [0x1000_0000 ^ time_nanos as u32, 0x7000_0000 ^ (time_nanos >> 7) as u32];
        Talk {
            traffic,
            flow,
            ends: [client, server],
            protocol,
            vlan: None,
            time_nanos,
            gap_nanos: MILLISECOND,
            sequence,
            any: false,
        }
    }

    /// With this VLAN tag.
    pub fn vlan(mut self, vlan: Option<u16>) -> Self {
        self.vlan = vlan;
        self
    }

    /// What the flow's name turns out to be.
    pub fn named(&mut self, name: &str) {
        self.traffic.flows[self.flow].name = Some(name.into());
    }

    /// Bytes so far: up and down.
    pub fn bytes(&self) -> (u64, u64) {
        let flow = &self.traffic.flows[self.flow];
        (flow.bytes_up, flow.bytes_down)
    }

    /// Lets time pass before the next packet.
    pub fn wait(&mut self, nanos: i64) {
        self.time_nanos += nanos;
    }

    /// The handshake (RFC 9293, 3.5).
    pub fn open(&mut self) {
        self.segment(Side::Up, flag::SYN, &[]);
        self.segment(Side::Down, flag::SYN | flag::ACK, &[]);
        self.segment(Side::Up, flag::ACK, &[]);
    }

    /// Both sides have said all.
    pub fn close(&mut self) {
        self.segment(Side::Up, flag::FIN | flag::ACK, &[]);
        self.segment(Side::Down, flag::FIN | flag::ACK, &[]);
        self.segment(Side::Up, flag::ACK, &[]);
    }

    /// Sends bytes: over TCP in segments of usual length, over UDP in one datagram.
    pub fn send(&mut self, side: Side, payload: &[u8]) {
        self.send_cut(side, payload, SEGMENT_LENGTH_MAX, Order::Straight);
    }

    /// Sends bytes in segments of at most `size` bytes; over UDP in one datagram.
    pub fn send_cut(&mut self, side: Side, payload: &[u8], size: usize, order: Order) {
        if self.protocol == frame::UDP {
            let datagram = frame::udp(self.way(side), payload);
            self.whole(side, &datagram);
            return;
        }
        let start = self.sequence[side as usize];
        let mut pieces: Vec<_> = payload.chunks(size).enumerate().collect();
        match order {
            Order::Straight => {}
            Order::Reversed => pieces.reverse(),
            Order::WithoutFirst => drop(pieces.remove(0)),
            Order::WithoutLast => drop(pieces.pop()),
        }
        for (index, piece) in pieces {
            let sequence = start.wrapping_add((index * size) as u32);
            self.segment_at(side, flag::ACK | flag::PSH, sequence, piece);
        }
        self.sequence[side as usize] = start.wrapping_add(payload.len() as u32);
    }

    /// Sends one segment; SYN and FIN take a sequence number, as payload does.
    pub fn segment(&mut self, side: Side, flags: u8, payload: &[u8]) {
        let sequence = self.sequence[side as usize];
        let taken = u32::from(flags & flag::SYN != 0) + u32::from(flags & flag::FIN != 0);
        self.sequence[side as usize] = sequence.wrapping_add(taken + payload.len() as u32);
        self.segment_at(side, flags, sequence, payload);
    }

    /// Sends one segment with this sequence number.
    pub fn segment_at(&mut self, side: Side, flags: u8, sequence: u32, payload: &[u8]) {
        let acknowledgment =
            if flags & flag::ACK != 0 { self.sequence[1 - side as usize] } else { 0 };
        let segment = frame::tcp(self.way(side), flags, sequence, acknowledgment, payload);
        self.whole(side, &segment);
    }

    /// Sends a datagram in fragments of at most `size` bytes.
    pub fn fragments(&mut self, side: Side, payload: &[u8], size: usize, order: Order) {
        let way = self.way(side);
        let datagram = frame::udp(way, payload);
        let identification = self.identification();
        let mut frames = frame::fragments(way, self.protocol, identification, &datagram, size);
        match order {
            Order::Straight => {}
            Order::Reversed => frames.reverse(),
            Order::WithoutFirst => drop(frames.remove(0)),
            Order::WithoutLast => drop(frames.pop()),
        }
        for frame in frames {
            let bytes = frame::network_length(&frame);
            if order == Order::WithoutFirst {
                self.traffic.orphaned_bytes += bytes;
            } else {
                self.book(side, bytes);
            }
            self.record(frame);
        }
    }

    fn way(&self, side: Side) -> Way {
        Way {
            source: self.ends[side as usize],
            destination: self.ends[1 - side as usize],
            vlan: self.vlan,
        }
    }

    fn whole(&mut self, side: Side, transport: &[u8]) {
        let identification = self.identification();
        let frame = frame::whole(self.way(side), self.protocol, identification, transport);
        self.book(side, frame::network_length(&frame));
        self.record(frame);
    }

    fn book(&mut self, side: Side, bytes: u64) {
        let flow = &mut self.traffic.flows[self.flow];
        if !self.any {
            flow.time_nanos = self.time_nanos;
            self.any = true;
        }
        match side {
            Side::Up => flow.bytes_up += bytes,
            Side::Down => flow.bytes_down += bytes,
        }
    }

    fn record(&mut self, frame: Vec<u8>) {
        self.traffic.records.push(Record { time_nanos: self.time_nanos, frame });
        self.time_nanos += self.gap_nanos;
    }

    fn identification(&mut self) -> u16 {
        self.traffic.identification = self.traffic.identification.wrapping_add(1);
        self.traffic.identification
    }
}
