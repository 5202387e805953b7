//! The bucket of a flow, where it is known whatever its name.
//!
//! A tunnel that is known by what it says or by its IP protocol is in [`Bucket::Tunnel`] wherever its
//! ends are: what a site's gateway, a server that somebody reaches from outside, or a hop at home
//! carries on may be anything, and nobody can see it. It comes before what only addresses and ports
//! tell; multicast alone stays a network service.

use super::Settings;
use crate::dissect::tunnel::TunnelProtocol;
use crate::flow::slot::{Cold, Hot};
use crate::ledger::Bucket;
use crate::net::protocol;

/// [`Hot::bucket`] of flows whose name decides.
pub(super) const BY_NAME: u8 = u8::MAX;

/// Whether a port is that of a network service whose traffic is nobody's use of anything: DNS, DHCP,
/// NTP, NetBIOS name service and datagrams, DHCPv6, SSDP, WS-Discovery, mDNS, LLMNR (IANA service
/// names).
fn is_service_port_of_udp(port: u16) -> bool {
    matches!(port, 53 | 67 | 68 | 123 | 137 | 138 | 546 | 547 | 1900 | 3702 | 5353 | 5355)
}

/// The bucket of a flow, where it is known whatever its name.
pub(super) fn fixed_bucket(hot: &Hot, settings: &Settings) -> u8 {
    let is_service = match hot.protocol {
        protocol::TCP => hot.ports.contains(&53),
        protocol::UDP => hot.ports.into_iter().any(is_service_port_of_udp),
        _ => false,
    };
    if is_service { Bucket::NetworkService as u8 } else { bucket_beside_ports(hot, settings) }
}

/// The same for a flow that says what it is, so that its ports say nothing.
pub(super) fn bucket_beside_ports(hot: &Hot, settings: &Settings) -> u8 {
    let is_service = matches!(hot.protocol, protocol::ICMP | protocol::ICMPV6 | protocol::IGMP);
    let bucket = if is_service || hot.addresses.iter().any(|address| address.is_multicast()) {
        Bucket::NetworkService
    } else if is_tunnel_by_number(hot.protocol) {
        Bucket::Tunnel
    } else if !settings.home.contains(hot.addresses[hot.client()]) {
        Bucket::Inbound
    } else if is_at_home(hot, settings) {
        Bucket::Private
    } else {
        match hot.protocol {
            protocol::TCP | protocol::UDP => return BY_NAME,
            _ => Bucket::OtherIp,
        }
    };
    bucket as u8
}

/// Puts a tunnel's bytes where they belong, whatever ports and addresses said. Remote access stays
/// where it is: it carries a screen and no other traffic, so that at home it is what the company does
/// with its own computers.
pub(super) fn apply_tunnel(hot: &mut Hot, cold: &Cold) {
    let protocol = TunnelProtocol::from_number(cold.tunnel);
    let carries_traffic = protocol.is_some_and(|protocol| !protocol.is_remote_access());
    if carries_traffic && !hot.addresses.iter().any(|address| address.is_multicast()) {
        hot.bucket = Bucket::Tunnel as u8;
    }
}

/// Whether both ends of a flow are at home.
pub(super) fn is_at_home(hot: &Hot, settings: &Settings) -> bool {
    let (client, server) = (hot.addresses[hot.client()], hot.addresses[1 - hot.client()]);
    settings.home.contains(client)
        && (settings.home.contains(server) || settings.own_servers.contains(server))
}

/// ESP and AH; GRE and L2TP are such whose content cannot be read, or it would have been.
fn is_tunnel_by_number(protocol: u8) -> bool {
    matches!(protocol, protocol::ESP | protocol::AH | protocol::GRE | protocol::L2TP)
}
