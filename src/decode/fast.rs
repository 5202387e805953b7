//! The common case in straight code: Ethernet, at most two VLAN tags, IPv4 with or without options
//! or IPv6 without extension headers, whole TCP segments and UDP datagrams outside tunnels.
//!
//! Says `None` to everything else, including all that is cut or contradicts itself: `walk` reads
//! that. Must answer exactly as `walk` does where it answers (property test in `tests`).

use super::layers::ether_type;
use super::tunnel;
use crate::net::{Address, protocol};
use crate::packet::{Fragment, Packet, TcpFlags};

/// Bytes of an Ethernet header (IEEE 802.3, 3.1.1).
const ETHERNET_HEADER: usize = 14;
/// Bytes of an IPv6 header (RFC 8200, 3).
const IPV6_HEADER: usize = 40;
/// Bytes of a UDP header (RFC 768).
const UDP_HEADER: usize = 8;
/// The fields "more fragments" and "fragment offset" of IPv4 (RFC 791, 3.1).
const IPV4_FRAGMENT_MASK: u16 = 0x3fff;

/// What the IP header told, for the transport header's turn.
struct Network<'a> {
    source: Address,
    destination: Address,
    time_to_live: u8,
    identification: u32,
    /// Stated length of the packet, in bytes, after correction.
    stated: usize,
    /// Captured bytes behind the IP header, padding left off.
    body: &'a [u8],
    /// Bytes behind the IP header on the wire.
    body_length: usize,
    /// Where the body begins in the frame.
    body_offset: usize,
}

/// Fills in `packet`, or leaves the frame to `walk`.
#[inline]
pub(super) fn ethernet(frame: &[u8], wire_length: u32, packet: &mut Packet) -> Option<()> {
    let (header, mut rest) = frame.split_first_chunk::<ETHERNET_HEADER>()?;
    let mut kind = u16::from_be_bytes([header[12], header[13]]);
    for _ in 0..2 {
        if kind == ether_type::IPV4 || !ether_type::is_vlan(kind) {
            break;
        }
        let (&[_, _, high, low], behind) = rest.split_first_chunk::<4>()?;
        kind = u16::from_be_bytes([high, low]);
        rest = behind;
    }
    let offset = frame.len() - rest.len();
    let wire = (wire_length as usize).max(frame.len()) - offset;
    match kind {
        ether_type::IPV4 => ipv4(rest, offset, wire, packet),
        ether_type::IPV6 => ipv6(rest, offset, wire, packet),
        _ => None,
    }
}

/// The stated length, or the wire's where that is 0 or more than there is.
#[inline]
fn corrected(stated: usize, is_unset: bool, wire: usize) -> usize {
    if is_unset || stated > wire { wire } else { stated }
}

#[inline]
fn ipv4(bytes: &[u8], offset: usize, wire: usize, packet: &mut Packet) -> Option<()> {
    let header = bytes.first_chunk::<20>()?;
    let header_length = usize::from(header[0] & 0x0f) * 4;
    let fragment = u16::from_be_bytes([header[6], header[7]]) & IPV4_FRAGMENT_MASK;
    if header[0] >> 4 != 4 || header_length < 20 || fragment != 0 {
        return None;
    }
    let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let stated = corrected(total, total == 0, wire);
    let network = Network {
        source: Address::v4([header[12], header[13], header[14], header[15]]),
        destination: Address::v4([header[16], header[17], header[18], header[19]]),
        time_to_live: header[8],
        identification: u32::from(u16::from_be_bytes([header[4], header[5]])),
        stated,
        body: bytes.get(header_length..stated.min(bytes.len()))?,
        body_length: stated.checked_sub(header_length)?,
        body_offset: offset + header_length,
    };
    transport(header[9], &network, packet)
}

#[inline]
fn ipv6(bytes: &[u8], offset: usize, wire: usize, packet: &mut Packet) -> Option<()> {
    let header = bytes.first_chunk::<IPV6_HEADER>()?;
    if header[0] >> 4 != 6 {
        return None;
    }
    let (_, addresses) = header.split_first_chunk::<8>()?;
    let (source, destination) = addresses.split_first_chunk::<16>()?;
    let payload = usize::from(u16::from_be_bytes([header[4], header[5]]));
    let stated = corrected(IPV6_HEADER + payload, payload == 0, wire);
    let network = Network {
        source: Address::v6(*source),
        destination: Address::v6(*destination.first_chunk::<16>()?),
        time_to_live: header[7],
        identification: 0,
        stated,
        body: bytes.get(IPV6_HEADER..stated.min(bytes.len()))?,
        body_length: stated.checked_sub(IPV6_HEADER)?,
        body_offset: offset + IPV6_HEADER,
    };
    transport(header[6], &network, packet)
}

#[inline]
fn transport(protocol: u8, network: &Network<'_>, packet: &mut Packet) -> Option<()> {
    match protocol {
        protocol::TCP => tcp(network, packet),
        protocol::UDP => udp(network, packet),
        _ => None,
    }
}

#[inline]
fn tcp(network: &Network<'_>, packet: &mut Packet) -> Option<()> {
    let header = network.body.first_chunk::<20>()?;
    let header_length = usize::from(header[12] >> 4) * 4;
    if header_length < 20 || header_length > network.body.len() {
        return None;
    }
    *packet = Packet {
        source: network.source,
        destination: network.destination,
        source_port: u16::from_be_bytes([header[0], header[1]]),
        destination_port: u16::from_be_bytes([header[2], header[3]]),
        protocol: protocol::TCP,
        flags: TcpFlags(header[13]),
        fragment: Fragment::Whole,
        time_to_live: network.time_to_live,
        sequence: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
        acknowledgement: u32::from_be_bytes([header[8], header[9], header[10], header[11]]),
        bytes: network.stated as u32,
        outer_bytes: 0,
        payload_offset: (network.body_offset + header_length) as u32,
        payload_captured: (network.body.len() - header_length) as u32,
        payload_length: (network.body_length - header_length) as u32,
        identification: network.identification,
        fragment_offset: 0,
        transport_header: header_length as u8,
        more_fragments: false,
        checksum: u16::from_be_bytes([header[16], header[17]]),
        ethernet: true,
    };
    Some(())
}

#[inline]
fn udp(network: &Network<'_>, packet: &mut Packet) -> Option<()> {
    let (header, behind) = network.body.split_first_chunk::<UDP_HEADER>()?;
    let source_port = u16::from_be_bytes([header[0], header[1]]);
    let destination_port = u16::from_be_bytes([header[2], header[3]]);
    let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
    if tunnel::may_be_udp_tunnel(source_port, destination_port) || tunnel::looks_like_teredo(behind)
    {
        return None;
    }
    let payload_length = corrected(length, length == 0, network.body_length).checked_sub(8)?;
    *packet = Packet {
        source: network.source,
        destination: network.destination,
        source_port,
        destination_port,
        protocol: protocol::UDP,
        flags: TcpFlags(0),
        fragment: Fragment::Whole,
        time_to_live: network.time_to_live,
        sequence: 0,
        acknowledgement: 0,
        bytes: network.stated as u32,
        outer_bytes: 0,
        payload_offset: (network.body_offset + UDP_HEADER) as u32,
        payload_captured: behind.len().min(payload_length) as u32,
        payload_length: payload_length as u32,
        identification: network.identification,
        fragment_offset: 0,
        transport_header: UDP_HEADER as u8,
        more_fragments: false,
        checksum: u16::from_be_bytes([header[6], header[7]]),
        ethernet: true,
    };
    Some(())
}
