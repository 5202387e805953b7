//! The bucket of a flow, where it is known whatever its name.

use super::Settings;
use crate::flow::slot::Hot;
use crate::ledger::Bucket;
use crate::net::protocol;

/// [`Hot::bucket`] of flows whose name decides.
pub(super) const BY_NAME: u8 = u8::MAX;

/// Ports of network services whose traffic is nobody's use of anything: DNS, DHCP, NTP, NetBIOS
/// name service and datagrams, DHCPv6, SSDP, WS-Discovery, mDNS, LLMNR (IANA service names).
const SERVICE_PORTS_UDP: [u16; 12] = [53, 67, 68, 123, 137, 138, 546, 547, 1900, 3702, 5353, 5355];

/// The bucket of a flow, where it is known whatever its name.
pub(super) fn fixed_bucket(hot: &Hot, settings: &Settings) -> u8 {
    let is_service = match hot.protocol {
        protocol::TCP => hot.ports.contains(&53),
        protocol::UDP => hot.ports.iter().any(|port| SERVICE_PORTS_UDP.contains(port)),
        _ => false,
    };
    if is_service { Bucket::NetworkService as u8 } else { bucket_beside_ports(hot, settings) }
}

/// The same for a flow that says what it is, so that its ports say nothing.
pub(super) fn bucket_beside_ports(hot: &Hot, settings: &Settings) -> u8 {
    let home = &settings.home;
    let (client, server) = (hot.addresses[hot.client()], hot.addresses[1 - hot.client()]);
    let is_service = matches!(hot.protocol, protocol::ICMP | protocol::ICMPV6 | protocol::IGMP);
    let bucket = if is_service || server.is_multicast() || client.is_multicast() {
        Bucket::NetworkService
    } else if !home.contains(client) {
        Bucket::Inbound
    } else if home.contains(server) || settings.own_servers.contains(server) {
        Bucket::Private
    } else {
        match hot.protocol {
            // GRE and L2TP here are such whose content cannot be read.
            protocol::ESP | protocol::AH | protocol::GRE | protocol::L2TP => Bucket::Tunnel,
            protocol::TCP | protocol::UDP => return BY_NAME,
            _ => Bucket::OtherIp,
        }
    };
    bucket as u8
}
