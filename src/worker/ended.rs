//! What is told of a flow once it has ended: a record of it, where that is wanted, and what it
//! says about the health of the capture.

use super::gaps::Gaps;
use super::part::{End, FlowRecord, Health};
use super::{Worker, tunnels};
use crate::flow::slot::{Cold, NONE, mark, told};
use crate::flow::table::FlowId;
use crate::net::{Endpoint, protocol};
use crate::observation::NameSource;
use crate::time::{Minute, Timestamp};

/// Packets and bytes (side 0, side 1) over the whole life of flows; kept only where every flow is
/// wanted as a record.
pub(super) struct Totals {
    wanted: bool,
    by_flow: Vec<Total>,
}

/// What is kept of one flow.
#[derive(Clone, Copy)]
struct Total {
    packets: u64,
    bytes: [u64; 2],
    last_seen: Timestamp,
}

impl Default for Total {
    fn default() -> Total {
        Total { packets: 0, bytes: [0; 2], last_seen: Timestamp::MIN }
    }
}

impl Totals {
    pub(super) fn new(wanted: bool) -> Totals {
        Totals { wanted, by_flow: Vec::new() }
    }

    pub(super) fn add(&mut self, flow: FlowId, packets: u16, bytes: [u32; 2]) {
        if !self.wanted {
            return;
        }
        if self.by_flow.len() <= flow as usize {
            self.by_flow.resize(flow as usize + 1, Total::default());
        }
        let total = &mut self.by_flow[flow as usize];
        total.packets += u64::from(packets);
        total.bytes[0] += u64::from(bytes[0]);
        total.bytes[1] += u64::from(bytes[1]);
    }

    /// Notes the last stamp of a minute that is over; its packets were added before.
    pub(super) fn note_last(&mut self, flow: FlowId, last_seen: Timestamp) {
        if let Some(total) = self.by_flow.get_mut(flow as usize) {
            total.last_seen = total.last_seen.max(last_seen);
        }
    }

    fn take(&mut self, flow: FlowId) -> Total {
        self.by_flow.get_mut(flow as usize).map(std::mem::take).unwrap_or_default()
    }
}

impl Worker {
    /// Adds a flow that ended to the health of the capture.
    pub(super) fn record_health(&mut self, flow: FlowId) {
        let hot = self.table.hot(flow);
        if hot.protocol != protocol::TCP {
            return;
        }
        let (marks, minute, [one, other]) = (hot.marks, hot.minute, hot.ports);
        let both = mark::SENT_0 | mark::SENT_0 << 1;
        let is_followed = Gaps::follows_ports(one, other);
        let (sequence_bytes, gap_bytes) = if is_followed { self.gaps.end(flow) } else { (0, 0) };
        let health = self.health(minute);
        health.tcp_flows += 1;
        health.tcp_two_way += u64::from(marks & both == both);
        health.tcp_begun_before += u64::from(marks & mark::BEGAN == 0);
        health.sequence_bytes += sequence_bytes;
        health.gap_bytes += gap_bytes;
    }

    /// The health of the hour that holds `minute`.
    pub(super) fn health(&mut self, minute: Minute) -> &mut Health {
        let hour = self.hour(minute);
        let known = &mut self.part.health;
        // There are hardly ever two hours in a part.
        let at = known.iter().rposition(|&(of, _)| of == hour).unwrap_or_else(|| {
            known.push((hour, Health::default()));
            known.len() - 1
        });
        &mut known[at].1
    }

    /// Tells of a flow that ended, where every flow is wanted as a record.
    pub(super) fn record_flow(&mut self, flow: FlowId, end: End) {
        if !self.settings.flows {
            return;
        }
        let Total { packets, bytes, last_seen } = self.totals.take(flow);
        let life = self.table.life(flow);
        let (hot, cold) = self.table.both(flow);
        let both_fins = mark::FIN_0 | mark::FIN_0 << 1;
        // A flow that ran out of time before the end is told so, whenever it was looked at.
        let was_idle = hot.is_over(self.sensor);
        let end = match end {
            _ if hot.marks & mark::RESET != 0 => End::Rst,
            _ if hot.marks & both_fins == both_fins => End::Fin,
            End::Eof if was_idle => End::Idle,
            other => other,
        };
        let name = own_name(cold).map(|(name, source)| (self.names.hold_again(name), source));
        let (client, server) = (hot.client(), 1 - hot.client());
        self.part.flows.push(FlowRecord {
            first_seen: cold.first_seen,
            last_seen: last_seen.max(hot.last_seen),
            client: Endpoint { address: hot.addresses[client], port: hot.ports[client] },
            server: Endpoint { address: hot.addresses[server], port: hot.ports[server] },
            protocol: hot.protocol,
            name,
            anonymous: (cold.told & told::ANONYMOUS != 0).then_some((flow, life)),
            packets,
            bytes_up: bytes[client],
            bytes_down: bytes[server],
            end,
            tunnel: tunnels::protocol_of(hot, cold),
            media: tunnels::media_of(cold),
        });
    }
}

/// The name that a flow has of its own, in the worker's name table, and where it is from.
pub(super) fn own_name(cold: &Cold) -> Option<(u32, NameSource)> {
    let source = || NameSource::from_number(cold.name_source()).unwrap_or(NameSource::Dns);
    (cold.name != NONE).then(|| (cold.name, source()))
}
