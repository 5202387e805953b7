//! Flows that turn out to be tunnels or media of calls: what their first packets are held against,
//! and what follows.
//!
//! Only flows that nobody has a name for are looked at, and each as long as other dissectors look
//! at it. A tunnel keeps its name, if DNS gave it one; its bytes are in the bucket `tunnel`. Whose
//! media it is, merge finds out.

use super::bucket::apply_tunnel;
use super::inspect::INSPECTIONS_MAX;
use super::{Item, Worker};
use crate::dissect::Progress;
use crate::dissect::media::{self, MediaKind, Seen, Told};
use crate::dissect::tunnel::openvpn::Packet as OpenVpnPacket;
use crate::dissect::tunnel::{Datagram, Datagrams, Recognised, TunnelProtocol};
use crate::flow::slot::{Cold, Hot, Side, mark, told};
use crate::flow::table::FlowId;
use crate::net::protocol;
use crate::stats::Counter;

/// The port of IKE and ESP behind NAT (RFC 3947, 4), and that of GlobalProtect's ESP.
const NAT_TRAVERSAL_PORTS: [u16; 2] = [4500, 4501];
/// The port that a node of ZeroTier takes unless it is told otherwise.
const ZEROTIER_PORT: u16 = 9993;

impl Worker {
    /// Holds a datagram against tunnels. Says whether the flow is one.
    pub(super) fn is_tunnel_datagram(
        &mut self,
        flow: FlowId,
        side: Side,
        item: &Item<'_>,
        payload: &[u8],
    ) -> bool {
        let datagram = datagram(item, payload);
        let known = &mut self.inspector.tunnels;
        let recognised = match known.get_mut(&flow) {
            Some(state) => match state.next(side, &datagram) {
                Progress::Complete(recognised) => recognised,
                Progress::Incomplete => return false,
                Progress::Reject(_) => {
                    known.remove(&flow);
                    return false;
                }
            },
            None => match Datagrams::begin(side, &datagram) {
                Ok(recognised) => recognised,
                Err(state) => {
                    if let Some(state) = state {
                        self.follow(flow, state);
                    }
                    return false;
                }
            },
        };
        self.tunnel(flow, recognised);
        true
    }

    /// Holds a datagram against media of calls. Says whether it brought the flow a name.
    pub(super) fn is_named_media(
        &mut self,
        flow: FlowId,
        side: Side,
        item: &Item<'_>,
        payload: &[u8],
    ) -> bool {
        let datagram = datagram(item, payload);
        if !media::may_be(&datagram) {
            return false;
        }
        let known = &mut self.inspector.media;
        let told = match known.get_mut(&flow) {
            Some(seen) => seen.datagram(side, &datagram),
            None => {
                let mut seen = Seen::default();
                let told = seen.datagram(side, &datagram);
                if seen != Seen::default() {
                    if known.len() < INSPECTIONS_MAX {
                        known.insert(flow, seen);
                    } else {
                        self.count_event(Counter::TunnelOverflow);
                    }
                }
                told
            }
        };
        match told {
            Some(Told::Media(kind)) => self.mark_media(flow, kind),
            Some(Told::Hello(hello)) => {
                if hello.offers_media {
                    self.mark_media(flow, MediaKind::Dtls);
                }
                self.hello(flow, side, item.time, &hello, true);
                self.hello_ends(flow, side, item.packet.bytes);
                self.settle(flow);
                return true;
            }
            None => {}
        }
        false
    }

    /// The flow carries media; the first thing that told so is kept.
    pub(super) fn mark_media(&mut self, flow: FlowId, kind: MediaKind) {
        let cold = self.table.cold(flow);
        if cold.told & told::MEDIA == 0 {
            cold.told |= (kind as u8) << told::MEDIA_SHIFT;
        }
    }

    /// Holds a request or an answer of SOCKS 4 against what the other side said.
    pub(super) fn socks4(&mut self, flow: FlowId, side: Side, is_reply: bool) {
        let cold = self.table.cold(flow);
        if !is_reply {
            cold.told |= told::SOCKS_0 << side;
        } else if cold.told & (told::SOCKS_0 << (1 - side)) != 0 {
            self.tunnel_in_stream(flow, 1 - side, TunnelProtocol::Socks, true);
        }
    }

    /// Remembers what HTTP is asked to be upgraded to.
    pub(super) fn upgrade_asked(&mut self, flow: FlowId, protocol: TunnelProtocol) {
        if self.inspector.upgrades.len() < INSPECTIONS_MAX {
            self.inspector.upgrades.insert(flow, protocol);
        } else {
            self.count_event(Counter::TunnelOverflow);
        }
    }

    /// Takes an agreement to an upgrade, by the server.
    pub(super) fn upgraded(&mut self, flow: FlowId, side: Side) {
        if let Some(protocol) = self.inspector.upgrades.remove(&flow) {
            self.tunnel_in_stream(flow, 1 - side, protocol, true);
        }
    }

    /// Holds a packet that may be OpenVPN's against those of the flow's other side.
    pub(super) fn openvpn_packet(&mut self, flow: FlowId, side: Side, packet: OpenVpnPacket) {
        let fresh = || Datagrams::OpenVpn(Default::default());
        let is_new = !self.inspector.tunnels.contains_key(&flow);
        if is_new && !self.follow(flow, fresh()) {
            return;
        }
        let Some(Datagrams::OpenVpn(handshake)) = self.inspector.tunnels.get_mut(&flow) else {
            return;
        };
        if let Progress::Complete(recognised) = handshake.packet(side, packet, &[]) {
            self.tunnel(flow, recognised);
        }
    }

    /// Takes what a stream said of itself.
    pub(super) fn tunnel_in_stream(
        &mut self,
        flow: FlowId,
        side: Side,
        protocol: TunnelProtocol,
        by_client: bool,
    ) {
        if by_client {
            self.set_client(flow, side);
        }
        self.mark_tunnel(flow, protocol);
        use TunnelProtocol::{Ipsec, Pptp, RustDesk, Ssh, TeamViewer, Tinc, Vnc};
        if matches!(protocol, Ssh | Pptp | TeamViewer | Vnc | RustDesk | Tinc | Ipsec) {
            self.leave_alone(flow);
        }
    }

    /// The flow is a tunnel into which nobody can look.
    pub(super) fn tunnel(&mut self, flow: FlowId, recognised: Recognised) {
        if let Some(client) = recognised.client {
            self.set_client(flow, client);
        }
        self.mark_tunnel(flow, recognised.protocol);
        self.leave_alone(flow);
    }

    /// The flow is a tunnel; what is inside may have a name.
    pub(super) fn mark_tunnel(&mut self, flow: FlowId, protocol: TunnelProtocol) {
        if self.table.hot(flow).marks & mark::DECIDED != 0 {
            self.hand_on(flow);
        }
        self.leave_service(flow);
        let (hot, cold) = self.table.both(flow);
        if cold.tunnel == 0 {
            cold.tunnel = protocol as u8;
        }
        apply_tunnel(hot, cold);
    }

    pub(super) fn forget_tunnel(&mut self, flow: FlowId) {
        if !self.inspector.tunnels.is_empty() {
            self.inspector.tunnels.remove(&flow);
        }
        if !self.inspector.media.is_empty() {
            self.inspector.media.remove(&flow);
        }
        if !self.inspector.upgrades.is_empty() {
            self.inspector.upgrades.remove(&flow);
        }
    }

    /// Keeps what is known of a flow for its next packet, if there is room.
    fn follow(&mut self, flow: FlowId, state: Datagrams) -> bool {
        if self.inspector.tunnels.len() >= INSPECTIONS_MAX {
            self.count_event(Counter::TunnelOverflow);
            return false;
        }
        self.inspector.tunnels.insert(flow, state);
        true
    }
}

fn datagram<'a>(item: &Item<'_>, payload: &'a [u8]) -> Datagram<'a> {
    let packet = &item.packet;
    let has_port = |port| packet.source_port == port || packet.destination_port == port;
    Datagram {
        bytes: payload,
        length: packet.payload_length as usize,
        is_nat_traversal: NAT_TRAVERSAL_PORTS.into_iter().any(has_port),
        is_zerotier: has_port(ZEROTIER_PORT),
    }
}

/// What showed that a flow carries media.
pub(super) fn media_of(cold: &Cold) -> Option<MediaKind> {
    MediaKind::from_number((cold.told & told::MEDIA) >> told::MEDIA_SHIFT)
}

/// What a flow is known as, by what was seen of it or by its protocol number.
pub(super) fn protocol_of(hot: &Hot, cold: &Cold) -> Option<TunnelProtocol> {
    match hot.protocol {
        protocol::ESP | protocol::AH => Some(TunnelProtocol::Ipsec),
        protocol::GRE => Some(TunnelProtocol::Gre),
        protocol::L2TP => Some(TunnelProtocol::L2tp),
        _ => TunnelProtocol::from_number(cold.tunnel),
    }
}
