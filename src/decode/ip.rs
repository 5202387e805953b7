//! IPv4, IPv6 with its extension headers, AH, TCP and UDP, read by `etherparse`.
//!
//! `etherparse` is asked for one header at a time: its packet types look for extension headers and
//! ports in the data of later fragments, and do not know a wire length behind the capture's end.

use etherparse::err::{ip_auth, ipv4, ipv6, tcp};
use etherparse::{
    IpAuthHeaderSlice, Ipv4HeaderSlice, Ipv6FragmentHeaderSlice, Ipv6HeaderSlice,
    Ipv6RawExtHeaderSlice, TcpHeaderSlice, UdpHeaderSlice,
};

use super::tunnel;
use super::walk::{Span, Step, Stop, Walk};
use crate::net::{Address, protocol};
use crate::packet::{Fragment, Packet, TcpFlags};

/// IPv6 extension header numbers (IANA "IPv6 Extension Header Types") besides those in
/// [`crate::net::protocol`].
mod extension {
    /// Routing header (RFC 8200, 4.4).
    pub(super) const ROUTING: u8 = 43;
    /// Fragment header (RFC 8200, 4.5).
    pub(super) const FRAGMENT: u8 = 44;
    /// Destination options (RFC 8200, 4.6).
    pub(super) const DESTINATION_OPTIONS: u8 = 60;
    /// Mobility header (RFC 6275, 6.1).
    pub(super) const MOBILITY: u8 = 135;
    /// Host Identity Protocol (RFC 7401, 5.1).
    pub(super) const HIP: u8 = 139;
    /// Shim6 (RFC 5533, 5.1).
    pub(super) const SHIM6: u8 = 140;
}

/// Whether `number` is that of an extension header that [`Walk::ip_payload`] reads.
pub(super) fn is_extension_header(number: u8) -> bool {
    use extension::*;
    matches!(
        number,
        protocol::HOP_BY_HOP
            | protocol::AH
            | ROUTING
            | FRAGMENT
            | DESTINATION_OPTIONS
            | MOBILITY
            | HIP
            | SHIM6
    )
}

/// Whether `span` begins with an IP header that is sound and states a length that fits: enough to
/// tell an IP packet from something else.
pub(super) fn is_plausible_ip(span: Span<'_>) -> bool {
    let stated = match *span.captured() {
        [first, _, high, low, ..] if first >> 4 == 4 && first & 0x0f >= 5 => {
            let total = usize::from(u16::from_be_bytes([high, low]));
            Some(total).filter(|&total| total >= usize::from(first & 0x0f) * 4)
        }
        [first, _, _, _, high, low, ..] if first >> 4 == 6 => {
            Some(40 + usize::from(u16::from_be_bytes([high, low])))
        }
        _ => None,
    };
    stated.is_some_and(|stated| stated <= span.wire_length())
}

impl Walk {
    /// An IP packet of the family that its first four bits tell.
    pub(super) fn ip(&mut self, span: Span<'_>) -> Step {
        let &[first] = span.peek()?;
        match first >> 4 {
            4 => self.ipv4(span),
            6 => self.ipv6(span),
            _ => Err(Stop::MALFORMED),
        }
    }

    /// An IPv4 packet (RFC 791, 3.1).
    pub(super) fn ipv4(&mut self, mut span: Span<'_>) -> Step {
        let header = Ipv4HeaderSlice::from_slice(span.captured()).map_err(|error| match error {
            ipv4::HeaderSliceError::Len(_) => Stop::TRUNCATED,
            ipv4::HeaderSliceError::Content(_) => Stop::MALFORMED,
        })?;
        let total = usize::from(header.total_len());
        let header_length = header.slice().len();
        if (1..header_length).contains(&total) {
            return Err(Stop::MALFORMED);
        }
        if total != 0 {
            span.limit(total);
        }
        let offset = header.fragments_offset().value();
        let more_fragments = header.more_fragments();
        self.enter_packet(Packet {
            source: Address::v4(header.source()),
            destination: Address::v4(header.destination()),
            fragment: fragment_of(offset, more_fragments),
            fragment_offset: offset.saturating_mul(8),
            more_fragments,
            time_to_live: header.ttl(),
            bytes: span.wire_length() as u32,
            identification: u32::from(header.identification()),
            ..Packet::default()
        })?;
        span.skip(header_length)?;
        self.ip_payload(header.protocol().0, span)
    }

    /// An IPv6 packet (RFC 8200, 3). Jumbograms (RFC 2675) take the wire's length.
    pub(super) fn ipv6(&mut self, mut span: Span<'_>) -> Step {
        let header = Ipv6HeaderSlice::from_slice(span.captured()).map_err(|error| match error {
            ipv6::HeaderSliceError::Len(_) => Stop::TRUNCATED,
            ipv6::HeaderSliceError::Content(_) => Stop::MALFORMED,
        })?;
        let header_length = header.slice().len();
        match usize::from(header.payload_length()) {
            0 => {}
            length => span.limit(header_length + length),
        }
        self.enter_packet(Packet {
            source: Address::v6(header.source()),
            destination: Address::v6(header.destination()),
            time_to_live: header.hop_limit(),
            bytes: span.wire_length() as u32,
            ..Packet::default()
        })?;
        span.skip(header_length)?;
        self.ip_payload(header.next_header().0, span)
    }

    /// What an IP header carries: extension headers, then a transport header, a tunnel or
    /// something else.
    pub(super) fn ip_payload(&mut self, mut number: u8, mut span: Span<'_>) -> Step {
        // What a fragment holds is not read here but when its datagram is whole.
        while self.found.packet.fragment == Fragment::Whole && is_extension_header(number) {
            number = self.extension_header(number, &mut span)?;
        }
        self.found.packet.protocol = number;
        match (number, self.found.packet.fragment) {
            (_, Fragment::Later) => self.payload(span, span),
            (protocol::TCP, _) => self.tcp(span)?,
            (protocol::UDP, _) => return self.udp(span),
            (_, Fragment::Whole) if tunnel::is_ip_tunnel(number) => {
                self.payload(span, span);
                return self.ip_tunnel(number, span);
            }
            (protocol::IPCOMP, Fragment::Whole) => return self.compressed(span),
            _ => self.payload(span, span),
        }
        Ok(())
    }

    /// Reads one extension header off `span` and says which header follows.
    fn extension_header(&mut self, number: u8, span: &mut Span<'_>) -> Result<u8, Stop> {
        let bytes = span.captured();
        let (next, length) = match number {
            protocol::AH => {
                let header = IpAuthHeaderSlice::from_slice(bytes).map_err(|error| match error {
                    ip_auth::HeaderSliceError::Len(_) => Stop::TRUNCATED,
                    ip_auth::HeaderSliceError::Content(_) => Stop::MALFORMED,
                })?;
                (header.next_header(), header.slice().len())
            }
            extension::FRAGMENT => {
                let header =
                    Ipv6FragmentHeaderSlice::from_slice(bytes).map_err(|_| Stop::TRUNCATED)?;
                let offset = header.fragment_offset().value();
                let packet = &mut self.found.packet;
                packet.more_fragments = header.more_fragments();
                packet.fragment = fragment_of(offset, packet.more_fragments);
                packet.fragment_offset = offset.saturating_mul(8);
                packet.identification = header.identification();
                (header.next_header(), header.slice().len())
            }
            _ => {
                let header =
                    Ipv6RawExtHeaderSlice::from_slice(bytes).map_err(|_| Stop::TRUNCATED)?;
                (header.next_header(), header.slice().len())
            }
        };
        span.skip(length)?;
        Ok(next.0)
    }

    /// A TCP segment (RFC 9293, 3.1).
    fn tcp(&mut self, body: Span<'_>) -> Step {
        let packet = &mut self.found.packet;
        let mut behind = body;
        match TcpHeaderSlice::from_slice(body.captured()) {
            Ok(header) => {
                packet.source_port = header.source_port();
                packet.destination_port = header.destination_port();
                packet.sequence = header.sequence_number();
                packet.acknowledgement = header.acknowledgment_number();
                packet.checksum = header.checksum();
                packet.flags = TcpFlags(header.slice().get(13).copied().unwrap_or_default());
                behind.skip(header.slice().len())?;
            }
            Err(tcp::HeaderSliceError::Content(_)) => return Err(Stop::MALFORMED),
            Err(tcp::HeaderSliceError::Len(_)) if packet.fragment == Fragment::First => {
                self.ports(body)?;
            }
            Err(tcp::HeaderSliceError::Len(_)) if !body.is_cut() => {
                // Either there is no whole header, or its length points behind the packet's end.
                body.peek::<20>()?;
                return Err(Stop::MALFORMED);
            }
            Err(tcp::HeaderSliceError::Len(_)) => {
                let bytes: &[u8; 14] = body.peek()?;
                let header_length = usize::from(bytes[12] >> 4) * 4;
                if header_length < 20 {
                    return Err(Stop::MALFORMED);
                }
                packet.sequence = u32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
                packet.acknowledgement =
                    u32::from_be_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]);
                packet.flags = TcpFlags(bytes[13]);
                if let Ok(&[.., high, low]) = body.peek::<18>() {
                    packet.checksum = u16::from_be_bytes([high, low]);
                }
                behind.skip(header_length)?;
                self.ports(body)?;
            }
        }
        self.payload(body, behind);
        Ok(())
    }

    /// A UDP datagram (RFC 768), which may be a tunnel's packet.
    fn udp(&mut self, body: Span<'_>) -> Step {
        let packet = &mut self.found.packet;
        let is_first = packet.fragment == Fragment::First;
        let mut behind = body;
        match UdpHeaderSlice::from_slice(body.captured()) {
            Ok(header) => {
                packet.source_port = header.source_port();
                packet.destination_port = header.destination_port();
                packet.checksum = header.checksum();
                match usize::from(header.length()) {
                    // Left to the network card, or that of the whole datagram.
                    0 => {}
                    _ if is_first => {}
                    1..8 => return Err(Stop::MALFORMED),
                    length => behind.limit(length),
                }
                behind.skip(header.slice().len())?;
            }
            Err(_) if is_first => self.ports(body)?,
            Err(_) if body.is_cut() => {
                behind.skip(8)?;
                self.ports(body)?;
            }
            Err(_) => return Err(Stop::TRUNCATED),
        }
        self.payload(body, behind);
        if is_first { Ok(()) } else { self.udp_tunnel(behind) }
    }

    /// The two ports, with which TCP and UDP headers begin.
    fn ports(&mut self, body: Span<'_>) -> Step {
        let &[source_high, source_low, destination_high, destination_low] = body.peek()?;
        self.found.packet.source_port = u16::from_be_bytes([source_high, source_low]);
        self.found.packet.destination_port =
            u16::from_be_bytes([destination_high, destination_low]);
        Ok(())
    }

    /// Notes that the IP payload `body` holds the payload `behind` its transport header.
    pub(super) fn payload(&mut self, body: Span<'_>, behind: Span<'_>) {
        let packet = &mut self.found.packet;
        packet.payload_offset = behind.offset() as u32;
        packet.payload_captured = behind.captured().len() as u32;
        packet.payload_length = behind.wire_length() as u32;
        // A TCP header has at most 60 bytes.
        packet.transport_header = (behind.offset() - body.offset()) as u8;
    }
}

fn fragment_of(offset: u16, more_fragments: bool) -> Fragment {
    match (offset, more_fragments) {
        (0, false) => Fragment::Whole,
        (0, true) => Fragment::First,
        _ => Fragment::Later,
    }
}
