//! What is missing between TCP segments: packets that were lost before they were captured.
//!
//! Follows the sequence numbers of one flow in sixteen, chosen by its ports, so that the choice is
//! the same in every run and costs the others nothing. What is missing of these is to what was seen
//! of them as all that was lost is to all that was seen: an estimate, and never a bucket.
//!
//! A gap that a later segment fills was none. Only the last gap of a direction is remembered;
//! jumps of half the sequence space or more are another connection, and not counted.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::flow::slot::Side;
use crate::flow::table::FlowId;
use crate::footprint;
use crate::net::protocol;
use crate::packet::{Packet, TcpFlags};

/// Which of the ports' bits are 0, in both together, where a flow is followed.
const SAMPLE_MASK: u16 = 0xf;
/// A gap longer than this, in bytes, is none: the largest window there is (RFC 7323, 2.3).
const GAP_BYTES_MAX: u32 = 1 << 30;

/// Flows that are followed at a time: as many as there are as a rule among all that a worker holds.
const FOLLOWED_MAX: usize = 7 << 13;
/// Memory of as many.
pub(super) const BYTES_MAX: usize =
    footprint::map(FOLLOWED_MAX, size_of::<(FlowId, [Direction; 2])>());

/// The flows of a worker that are followed. An entry goes with its flow.
#[derive(Default)]
pub(super) struct Gaps {
    flows: HashMap<FlowId, [Direction; 2], RandomState>,
}

/// One direction of a flow.
#[derive(Clone, Copy, Debug, Default)]
struct Direction {
    /// Whether a segment was seen.
    is_known: bool,
    /// The sequence number behind all that was seen.
    next: u32,
    /// The last gap: where it begins, and how long it still is.
    gap: (u32, u32),
    payload_bytes: u64,
    gap_bytes: u64,
}

impl Gaps {
    /// Whether the flow of this packet is followed.
    #[inline]
    pub(super) fn follows(packet: &Packet) -> bool {
        Gaps::follows_ports(packet.source_port, packet.destination_port)
            && packet.protocol == protocol::TCP
    }

    /// Whether TCP flows between these ports are followed.
    #[inline]
    pub(super) fn follows_ports(one: u16, other: u16) -> bool {
        (one ^ other) & SAMPLE_MASK == 0
    }

    /// A segment of a flow that is followed. Says whether there was room for it.
    #[cold]
    pub(super) fn segment(&mut self, flow: FlowId, side: Side, packet: &Packet) -> bool {
        if self.flows.len() >= FOLLOWED_MAX && !self.flows.contains_key(&flow) {
            return false;
        }
        let directions = self.flows.entry(flow).or_default();
        // A reset's sequence number need not fit anything (RFC 9293, 3.10.7.1).
        if packet.flags.has(TcpFlags::RST) {
            return true;
        }
        if let Some(direction) = directions.get_mut(side) {
            direction.segment(packet);
        }
        true
    }

    /// The flow has ended: how much payload was seen of it, and how much was missing, in bytes.
    pub(super) fn end(&mut self, flow: FlowId) -> (u64, u64) {
        let directions = self.flows.remove(&flow).unwrap_or_default();
        let sum = |of: fn(&Direction) -> u64| directions.iter().map(of).sum();
        (sum(|direction| direction.payload_bytes), sum(|direction| direction.gap_bytes))
    }
}

impl Direction {
    fn segment(&mut self, packet: &Packet) {
        let flags = packet.flags;
        // SYN and FIN count one each (RFC 9293, 3.4).
        let phantom = u32::from(flags.has(TcpFlags::SYN)) + u32::from(flags.has(TcpFlags::FIN));
        let end = packet.sequence.wrapping_add(packet.payload_length).wrapping_add(phantom);
        self.payload_bytes += u64::from(packet.payload_length);
        let ahead = packet.sequence.wrapping_sub(self.next);
        if !self.is_known || (GAP_BYTES_MAX..=GAP_BYTES_MAX.wrapping_neg()).contains(&ahead) {
            self.is_known = true;
            self.next = end;
            self.gap = (end, 0);
            return;
        }
        if ahead == 0 {
            self.next = end;
        } else if ahead < GAP_BYTES_MAX {
            self.gap = (self.next, ahead);
            self.gap_bytes += u64::from(ahead);
            self.next = end;
        } else {
            self.fill(packet.sequence, packet.payload_length);
        }
    }

    /// A segment from before what was seen last: it was late, or is sent again.
    fn fill(&mut self, sequence: u32, length: u32) {
        let (begin, left) = self.gap;
        if left > 0 && sequence.wrapping_sub(begin) < GAP_BYTES_MAX {
            let filled = length.min(left);
            self.gap.1 -= filled;
            self.gap_bytes -= u64::from(filled);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(sequence: u32, length: u32) -> Packet {
        Packet {
            protocol: protocol::TCP,
            source_port: 1024,
            destination_port: 1024,
            sequence,
            payload_length: length,
            ..Packet::default()
        }
    }

    fn gaps(segments: &[(u32, u32)]) -> (u64, u64) {
        let mut gaps = Gaps::default();
        for &(sequence, length) in segments {
            let packet = segment(sequence, length);
            assert!(Gaps::follows(&packet));
            gaps.segment(1, 0, &packet);
        }
        let found = gaps.end(1);
        assert_eq!(gaps.end(1), (0, 0));
        found
    }

    #[test]
    fn what_is_missing_is_counted_also_over_the_end_of_the_numbers() {
        assert_eq!(gaps(&[(100, 50), (150, 50)]), (100, 0));
        assert_eq!(gaps(&[(100, 50), (250, 50)]), (100, 100));
        assert_eq!(gaps(&[(u32::MAX - 9, 10), (5, 5)]), (15, 5));
    }

    #[test]
    fn what_comes_late_or_again_is_not_missing() {
        assert_eq!(gaps(&[(0, 100), (200, 100), (100, 100), (300, 1)]), (301, 0));
        assert_eq!(gaps(&[(0, 100), (100, 100), (0, 100), (200, 100)]), (400, 0));
        // A keep-alive (RFC 9293, 3.8.4) repeats the last byte.
        assert_eq!(gaps(&[(0, 100), (99, 1), (100, 100)]), (201, 0));
    }

    #[test]
    fn another_connection_is_no_gap() {
        assert_eq!(gaps(&[(0, 100), (2_000_000_000, 100), (2_000_000_100, 1)]), (201, 0));
    }

    #[test]
    fn one_flow_in_sixteen_is_followed() {
        let ports = 1024..1024 + 1600_u16;
        let followed =
            ports.filter(|&port| Gaps::follows(&Packet { source_port: port, ..segment(0, 0) }));
        assert_eq!(followed.count(), 100);
        assert!(!Gaps::follows(&Packet { protocol: protocol::UDP, ..segment(0, 0) }));
    }
}
