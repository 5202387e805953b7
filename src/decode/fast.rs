//! The common case in straight code: Ethernet, at most two VLAN tags, IPv4 without options or IPv6
//! without extension headers, whole TCP segments and UDP datagrams outside tunnels.
//!
//! One piece of code without calls, inlined into the loop over a block's records.
//!
//! Says `None` to everything else, including all that is cut or contradicts itself: `walk` reads
//! that. Must answer exactly as `walk` does where it answers (property test in `tests`).

use super::layers::ether_type;
use super::tunnel;
use crate::net::{Address, protocol};
use crate::packet::{Fragment, Packet, TcpFlags};

/// Bytes of an Ethernet header (IEEE 802.3, 3.1.1).
const ETHERNET_HEADER: usize = 14;
/// Bytes of an IPv4 header without options (RFC 791, 3.1).
const IPV4_HEADER: usize = 20;
/// The first byte of such a header: the version, and the header's length in words.
const IPV4_WITHOUT_OPTIONS: u8 = 0x45;
/// Bytes of an IPv6 header (RFC 8200, 3).
const IPV6_HEADER: usize = 40;
/// Bytes of a UDP header (RFC 768).
const UDP_HEADER: usize = 8;
/// The fields "more fragments" and "fragment offset" of IPv4 (RFC 791, 3.1).
const IPV4_FRAGMENT_MASK: u16 = 0x3fff;

/// What stands behind the IP header.
struct Body<'a> {
    /// Captured bytes, padding left off.
    bytes: &'a [u8],
    /// Bytes on the wire.
    length: usize,
    /// Where it begins in the frame.
    offset: usize,
}

/// Fills in `packet`, or leaves the frame to `walk`.
#[inline(always)]
pub(super) fn ethernet(frame: &[u8], wire_length: u32, packet: &mut Packet) -> Option<()> {
    let header = frame.first_chunk::<ETHERNET_HEADER>()?;
    let (kind, offset) = match u16::from_be_bytes([header[12], header[13]]) {
        kind @ (ether_type::IPV4 | ether_type::IPV6) => (kind, ETHERNET_HEADER),
        kind => behind_tags(kind, frame)?,
    };
    let rest = frame.get(offset..)?;
    let wire = (wire_length as usize).max(frame.len()) - offset;
    match kind {
        ether_type::IPV4 => ipv4(rest, offset, wire, packet),
        ether_type::IPV6 => ipv6(rest, offset, wire, packet),
        _ => None,
    }
}

/// The addresses of the packet in a frame, if there is one, and nothing that may be a tunnel stands
/// around it.
#[inline(always)]
pub(super) fn addresses(frame: &[u8]) -> Option<(Address, Address)> {
    let header = frame.first_chunk::<ETHERNET_HEADER>()?;
    let (kind, offset) = match u16::from_be_bytes([header[12], header[13]]) {
        kind @ (ether_type::IPV4 | ether_type::IPV6) => (kind, ETHERNET_HEADER),
        kind => behind_tags(kind, frame)?,
    };
    let rest = frame.get(offset..)?;
    if kind == ether_type::IPV4 {
        let (header, behind) = rest.split_first_chunk::<IPV4_HEADER>()?;
        let fragment = u16::from_be_bytes([header[6], header[7]]) & IPV4_FRAGMENT_MASK;
        if header[0] != IPV4_WITHOUT_OPTIONS || fragment != 0 || !is_innermost(header[9], behind) {
            return None;
        }
        let source = Address::v4([header[12], header[13], header[14], header[15]]);
        Some((source, Address::v4([header[16], header[17], header[18], header[19]])))
    } else {
        let (header, behind) = rest.split_first_chunk::<IPV6_HEADER>()?;
        let is_ipv6 = kind == ether_type::IPV6 && header[0] >> 4 == 6;
        if !is_ipv6 || !is_innermost(header[6], behind) {
            return None;
        }
        let (_, addresses) = header.split_first_chunk::<8>()?;
        let (source, destination) = addresses.split_first_chunk::<16>()?;
        Some((Address::v6(*source), Address::v6(*destination.first_chunk::<16>()?)))
    }
}

/// Whether what stands behind an IP header is certainly no tunnel.
#[inline(always)]
fn is_innermost(protocol: u8, behind: &[u8]) -> bool {
    if protocol == protocol::TCP {
        return true;
    }
    let Some((header, payload)) = behind.split_first_chunk::<UDP_HEADER>() else { return false };
    let source_port = u16::from_be_bytes([header[0], header[1]]);
    let destination_port = u16::from_be_bytes([header[2], header[3]]);
    // Teredo may have any port; what it carries is IPv6.
    protocol == protocol::UDP
        && payload.first().is_none_or(|first| first >> 4 != 6)
        && !tunnel::may_be_udp_tunnel(source_port, destination_port)
}

/// What stands behind one or two VLAN tags, and where.
#[inline(never)]
fn behind_tags(mut kind: u16, frame: &[u8]) -> Option<(u16, usize)> {
    let mut offset = ETHERNET_HEADER;
    for _ in 0..2 {
        if !ether_type::is_vlan(kind) {
            break;
        }
        let &[_, _, high, low] = frame.get(offset..)?.first_chunk::<4>()?;
        kind = u16::from_be_bytes([high, low]);
        offset += 4;
    }
    Some((kind, offset))
}

#[inline(always)]
fn ipv4(bytes: &[u8], offset: usize, wire: usize, packet: &mut Packet) -> Option<()> {
    let header = bytes.first_chunk::<IPV4_HEADER>()?;
    let fragment = u16::from_be_bytes([header[6], header[7]]) & IPV4_FRAGMENT_MASK;
    let stated = usize::from(u16::from_be_bytes([header[2], header[3]]));
    // A length that is unset (0) or contradicts the wire is for `walk` to correct.
    if header[0] != IPV4_WITHOUT_OPTIONS || fragment != 0 || stated > wire {
        return None;
    }
    let body = Body {
        bytes: bytes.get(IPV4_HEADER..stated.min(bytes.len()))?,
        length: stated - IPV4_HEADER,
        offset: offset + IPV4_HEADER,
    };
    // Each field is written once, where it stays: a packet put together elsewhere and copied would
    // cost as much as reading it.
    packet.source = Address::v4([header[12], header[13], header[14], header[15]]);
    packet.destination = Address::v4([header[16], header[17], header[18], header[19]]);
    packet.time_to_live = header[8];
    packet.identification = u32::from(u16::from_be_bytes([header[4], header[5]]));
    packet.bytes = stated as u32;
    transport(header[9], &body, packet)
}

#[inline(always)]
fn ipv6(bytes: &[u8], offset: usize, wire: usize, packet: &mut Packet) -> Option<()> {
    let header = bytes.first_chunk::<IPV6_HEADER>()?;
    if header[0] >> 4 != 6 {
        return None;
    }
    let (_, addresses) = header.split_first_chunk::<8>()?;
    let (source, destination) = addresses.split_first_chunk::<16>()?;
    let payload = usize::from(u16::from_be_bytes([header[4], header[5]]));
    let stated = IPV6_HEADER + payload;
    if payload == 0 || stated > wire {
        return None;
    }
    let body = Body {
        bytes: bytes.get(IPV6_HEADER..stated.min(bytes.len()))?,
        length: payload,
        offset: offset + IPV6_HEADER,
    };
    packet.source = Address::v6(*source);
    packet.destination = Address::v6(*destination.first_chunk::<16>()?);
    packet.time_to_live = header[7];
    packet.identification = 0;
    packet.bytes = stated as u32;
    transport(header[6], &body, packet)
}

#[inline(always)]
fn transport(protocol: u8, body: &Body<'_>, packet: &mut Packet) -> Option<()> {
    match protocol {
        protocol::TCP => tcp(body, packet)?,
        protocol::UDP => udp(body, packet)?,
        _ => return None,
    }
    packet.protocol = protocol;
    packet.fragment = Fragment::Whole;
    packet.fragment_offset = 0;
    packet.more_fragments = false;
    packet.outer_bytes = 0;
    packet.ethernet = true;
    Some(())
}

#[inline(always)]
fn tcp(body: &Body<'_>, packet: &mut Packet) -> Option<()> {
    let header = body.bytes.first_chunk::<20>()?;
    let header_length = usize::from(header[12] >> 4) * 4;
    if header_length < 20 || header_length > body.bytes.len() {
        return None;
    }
    packet.source_port = u16::from_be_bytes([header[0], header[1]]);
    packet.destination_port = u16::from_be_bytes([header[2], header[3]]);
    packet.sequence = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
    packet.acknowledgement = u32::from_be_bytes([header[8], header[9], header[10], header[11]]);
    packet.flags = TcpFlags(header[13]);
    packet.checksum = u16::from_be_bytes([header[16], header[17]]);
    packet.transport_header = header_length as u8;
    packet.payload_offset = (body.offset + header_length) as u32;
    packet.payload_captured = (body.bytes.len() - header_length) as u32;
    packet.payload_length = (body.length - header_length) as u32;
    Some(())
}

#[inline(always)]
fn udp(body: &Body<'_>, packet: &mut Packet) -> Option<()> {
    let (header, behind) = body.bytes.split_first_chunk::<UDP_HEADER>()?;
    let source_port = u16::from_be_bytes([header[0], header[1]]);
    let destination_port = u16::from_be_bytes([header[2], header[3]]);
    let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
    if tunnel::may_be_udp_tunnel(source_port, destination_port) || tunnel::looks_like_teredo(behind)
    {
        return None;
    }
    if length > body.length {
        return None;
    }
    let payload_length = length.checked_sub(UDP_HEADER)?;
    packet.source_port = source_port;
    packet.destination_port = destination_port;
    packet.sequence = 0;
    packet.acknowledgement = 0;
    packet.flags = TcpFlags(0);
    packet.checksum = u16::from_be_bytes([header[6], header[7]]);
    packet.transport_header = UDP_HEADER as u8;
    packet.payload_offset = (body.offset + UDP_HEADER) as u32;
    packet.payload_captured = behind.len().min(payload_length) as u32;
    packet.payload_length = payload_length as u32;
    Some(())
}
