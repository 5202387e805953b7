//! What is told of a flow once it has ended: a record of it, where that is wanted, and what it
//! says about the health of the capture.

use super::Worker;
use super::part::{End, FlowRecord};
use crate::flow::slot::{NONE, mark, told};
use crate::flow::table::FlowId;
use crate::net::{Endpoint, protocol};
use crate::observation::NameSource;

/// Packets and bytes (side 0, side 1) over the whole life of flows; kept only where every flow is
/// wanted as a record.
pub(super) struct Totals {
    wanted: bool,
    by_flow: Vec<(u64, [u64; 2])>,
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
            self.by_flow.resize(flow as usize + 1, (0, [0; 2]));
        }
        let (all_packets, all_bytes) = &mut self.by_flow[flow as usize];
        *all_packets += u64::from(packets);
        all_bytes[0] += u64::from(bytes[0]);
        all_bytes[1] += u64::from(bytes[1]);
    }

    fn take(&mut self, flow: FlowId) -> (u64, [u64; 2]) {
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
        let both = mark::SENT_0 | mark::SENT_0 << 1;
        let health = &mut self.part.health;
        health.tcp_flows += 1;
        health.tcp_two_way += u64::from(hot.marks & both == both);
        health.tcp_begun_before += u64::from(hot.marks & mark::BEGAN == 0);
    }

    /// Tells of a flow that ended, where every flow is wanted as a record.
    pub(super) fn record_flow(&mut self, flow: FlowId, end: End) {
        if !self.settings.flows {
            return;
        }
        let (packets, bytes) = self.totals.take(flow);
        let (hot, cold) = self.table.both(flow);
        let both_fins = mark::FIN_0 | mark::FIN_0 << 1;
        // A flow that ran out of time before the end is told so, whenever it was looked at.
        let was_idle = self.sensor.nanos_since(hot.last_seen) > hot.patience.nanos();
        let end = match end {
            _ if hot.marks & mark::RESET != 0 => End::Rst,
            _ if hot.marks & both_fins == both_fins => End::Fin,
            End::Eof if was_idle => End::Idle,
            other => other,
        };
        let name = (cold.name != NONE).then(|| {
            let source = NameSource::from_number(cold.name_source).unwrap_or(NameSource::Dns);
            (self.names.hold_again(cold.name), source)
        });
        let (client, server) = (hot.client(), 1 - hot.client());
        self.part.flows.push(FlowRecord {
            first_seen: cold.first_seen,
            last_seen: hot.last_seen,
            client: Endpoint { address: hot.addresses[client], port: hot.ports[client] },
            server: Endpoint { address: hot.addresses[server], port: hot.ports[server] },
            protocol: hot.protocol,
            name,
            anonymous: (cold.told & told::ANONYMOUS != 0).then_some(flow),
            packets,
            bytes_up: bytes[client],
            bytes_down: bytes[server],
            end,
        });
    }
}
