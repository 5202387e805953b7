//! Link headers other than Ethernet's and 802.11's, by the capture's link type.
//!
//! Sources: www.tcpdump.org/linktypes.html and the pages it names.

use super::Undecodable;
use super::layers::ether_type;
use super::walk::{Span, Step, Stop, Walk};
use crate::packet::LinkType;

/// Whether frames of this link type are decoded.
pub fn is_supported(link: LinkType) -> bool {
    matches!(
        link,
        LinkType::NULL
            | LinkType::ETHERNET
            | LinkType::ARCNET_BSD
            | LinkType::PPP
            | LinkType::RAW_DLT
            | LinkType::RAW_OPENBSD
            | LinkType::PPP_HDLC
            | LinkType::PPP_ETHER
            | LinkType::RAW
            | LinkType::C_HDLC
            | LinkType::IEEE802_11
            | LinkType::LOOP
            | LinkType::LINUX_SLL
            | LinkType::PRISM
            | LinkType::IEEE802_11_RADIOTAP
            | LinkType::ARCNET_LINUX
            | LinkType::AVS
            | LinkType::PPP_PPPD
            | LinkType::PPI
            | LinkType::PPP_WITH_DIR
            | LinkType::IPV4
            | LinkType::IPV6
            | LinkType::NFLOG
            | LinkType::PKTAP
            | LinkType::LINUX_SLL2
    )
}

/// The name of a link type for messages, with which one may look it up.
pub fn link_name(link: LinkType) -> &'static str {
    match link.0 {
        0 => "BSD loopback",
        1 => "Ethernet",
        3 => "AX.25",
        6 => "token ring",
        7 => "ARCNET, BSD",
        8 => "SLIP",
        9 => "PPP",
        10 => "FDDI",
        12 | 14 | 101 => "raw IP",
        50 => "PPP in HDLC framing",
        51 => "PPPoE",
        99 => "Symantec firewall",
        100 => "ATM, RFC 1483",
        104 => "Cisco HDLC",
        105 => "802.11",
        107 => "frame relay",
        108 => "OpenBSD loopback",
        113 => "Linux cooked, version 1",
        117 => "OpenBSD pflog",
        119 => "802.11 with Prism header",
        122 => "IP over Fibre Channel",
        123 => "SunATM",
        127 => "802.11 with radiotap header",
        129 => "ARCNET, Linux",
        138 => "IP over FireWire",
        139 | 140 => "SS7 MTP2",
        141 => "SS7 MTP3",
        142 => "SS7 SCCP",
        143 => "DOCSIS",
        144 => "IrDA",
        147..=162 => "private use",
        163 => "802.11 with AVS header",
        165 => "BACnet MS/TP",
        166 | 204 => "PPP with direction",
        169 => "GPRS LLC",
        177 => "LAPD",
        182 => "multi-link frame relay",
        187 | 201 => "Bluetooth HCI",
        189 | 220 => "Linux USB",
        192 => "per-packet information",
        195 | 215 | 230 | 283 => "802.15.4",
        224 => "Fibre Channel",
        226 => "Solaris IPNET",
        227 => "CAN bus",
        228 => "raw IPv4",
        229 => "raw IPv6",
        239 => "Linux netfilter log",
        240 => "Hilscher netANALYZER",
        247 => "InfiniBand",
        248 => "SCTP",
        249 => "USBPcap",
        251 | 256 => "Bluetooth low energy",
        252 => "Wireshark upper protocol data",
        253 => "Linux netlink",
        254 => "Linux Bluetooth monitor",
        258 => "Apple packet tap",
        259 => "Ethernet passive optical network",
        271 => "Linux vsock",
        273 => "DOCSIS 3.1",
        274 => "Ethernet mPacket",
        276 => "Linux cooked, version 2",
        _ => "unknown",
    }
}

/// Address family of IPv4, the same on all systems.
const FAMILY_IPV4: u32 = 2;
/// Address families of IPv6 on Linux, NetBSD and OpenBSD, FreeBSD, macOS.
const FAMILIES_IPV6: [u32; 4] = [10, 24, 28, 30];

/// Linux cooked captures: the "protocol" of 802.2 frames (LINKTYPE_LINUX_SLL).
const COOKED_LLC: u16 = 0x0004;
/// Linux cooked captures: device types (ARPHRD_) whose "protocol" is something else.
mod device {
    pub(super) const IEEE802_11: u16 = 801;
    pub(super) const IEEE802_11_RADIOTAP: u16 = 803;
    pub(super) const NETLINK: u16 = 824;
}

/// ARCNET system codes (RFC 1201, 4; RFC 1051 for the old one).
mod arcnet {
    pub(super) const IPV4_OLD: u8 = 240;
    pub(super) const IPV4: u8 = 212;
    pub(super) const IPV6: u8 = 196;
    /// A split flag that says that this is an exception packet, with a second header behind.
    pub(super) const EXCEPTION: u8 = 0xff;
}

/// NFLOG: the attribute that holds the packet (NFULA_PAYLOAD).
const NFLOG_PAYLOAD: u16 = 9;

/// PKTAP: least length of its header, and the record type of packets.
const PKTAP_HEADER_MIN: u32 = 108;
const PKTAP_PACKET: u32 = 1;

impl Walk {
    /// A frame of link type `link`.
    pub(super) fn link(&mut self, link: LinkType, span: Span<'_>) -> Step {
        match link {
            LinkType::ETHERNET => self.ethernet(span),
            LinkType::RAW | LinkType::RAW_DLT | LinkType::RAW_OPENBSD => self.ip(span),
            LinkType::IPV4 => self.ipv4(span),
            LinkType::IPV6 => self.ipv6(span),
            LinkType::NULL | LinkType::LOOP => self.loopback(span),
            LinkType::LINUX_SLL => self.cooked(span),
            LinkType::LINUX_SLL2 => self.cooked_2(span),
            LinkType::IEEE802_11 => self.wifi(span, false),
            LinkType::IEEE802_11_RADIOTAP => self.radiotap(span),
            LinkType::PPP | LinkType::PPP_HDLC => self.ppp_or_cisco(span),
            LinkType::PPP_PPPD | LinkType::PPP_WITH_DIR => self.ppp_with_direction(span),
            LinkType::PPP_ETHER => self.pppoe(span),
            LinkType::C_HDLC => self.cisco_hdlc(span),
            LinkType::NFLOG => self.nflog(span),
            LinkType::ARCNET_BSD => self.arcnet(span, 0),
            LinkType::ARCNET_LINUX => self.arcnet(span, 2),
            LinkType::PKTAP => self.packet_tap(span),
            LinkType::PRISM | LinkType::AVS => self.prism(span),
            LinkType::PPI => self.per_packet_information(span),
            _ => Err(Stop::Undecodable(Undecodable::LinkType)),
        }
    }

    /// BSD loopback: the address family in the byte order of the machine, or in network order.
    fn loopback(&mut self, mut span: Span<'_>) -> Step {
        let bytes = *span.take::<4>()?;
        self.passed_header(span)?;
        let is =
            |family| u32::from_le_bytes(bytes) == family || u32::from_be_bytes(bytes) == family;
        if is(FAMILY_IPV4) {
            self.ipv4(span)
        } else if FAMILIES_IPV6.into_iter().any(is) {
            self.ipv6(span)
        } else {
            Err(Stop::NotIp)
        }
    }

    /// Linux cooked capture, version 1.
    fn cooked(&mut self, mut span: Span<'_>) -> Step {
        let header: &[u8; 16] = span.take()?;
        let device = u16::from_be_bytes([header[2], header[3]]);
        self.cooked_payload(device, u16::from_be_bytes([header[14], header[15]]), span)
    }

    /// Linux cooked capture, version 2.
    fn cooked_2(&mut self, mut span: Span<'_>) -> Step {
        let header: &[u8; 20] = span.take()?;
        let device = u16::from_be_bytes([header[8], header[9]]);
        self.cooked_payload(device, u16::from_be_bytes([header[0], header[1]]), span)
    }

    fn cooked_payload(&mut self, device: u16, protocol: u16, span: Span<'_>) -> Step {
        self.passed_header(span)?;
        match (device, protocol) {
            (device::NETLINK, _) => Err(Stop::NotIp),
            (device::IEEE802_11, _) => self.wifi(span, false),
            (device::IEEE802_11_RADIOTAP, _) => self.radiotap(span),
            (_, COOKED_LLC) => self.llc(span),
            (_, 0..=ether_type::LENGTH_MAX) => Err(Stop::NotIp),
            (_, kind) => self.ether_type(kind, span),
        }
    }

    /// PPP; some systems write Cisco HDLC frames under the same link types.
    fn ppp_or_cisco(&mut self, span: Span<'_>) -> Step {
        match span.peek()? {
            [0x0f | 0x8f, 0x00] => self.cisco_hdlc(span),
            _ => self.ppp(span),
        }
    }

    /// PPP behind a direction byte. Where that has taken the place of the address (LINKTYPE_PPP_PPPD),
    /// the control byte is next.
    fn ppp_with_direction(&mut self, mut span: Span<'_>) -> Step {
        span.take::<1>()?;
        if matches!(span.peek(), Ok(&[0x03])) {
            span.skip(1)?;
        }
        self.ppp(span)
    }

    /// Cisco HDLC (RFC 1547, 4.3.1): address, control, Ethernet type.
    fn cisco_hdlc(&mut self, mut span: Span<'_>) -> Step {
        let &[_, _, high, low] = span.take()?;
        match u16::from_be_bytes([high, low]) {
            // Not Ethernet's lengths: OSI and keepalives of old.
            0..=ether_type::LENGTH_MAX => {
                self.passed_header(span)?;
                Err(Stop::NotIp)
            }
            kind => self.ether_type(kind, span),
        }
    }

    /// Linux netfilter log: a list of attributes, one of which is the packet. Their numbers are in
    /// the byte order of the machine; attribute types are small, which tells that order.
    fn nflog(&mut self, mut span: Span<'_>) -> Step {
        let &[family, _, _, _] = span.take()?;
        while span.wire_length() > 0 {
            let &[a, b, c, d] = span.take()?;
            let (length, kind) = if d == 0 {
                (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]))
            } else {
                (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))
            };
            let length = usize::from(length).checked_sub(4).ok_or(Stop::MALFORMED)?;
            if kind == NFLOG_PAYLOAD {
                span.limit(length);
                self.passed_header(span)?;
                return match u32::from(family) {
                    FAMILY_IPV4 => self.ipv4(span),
                    family if FAMILIES_IPV6.contains(&family) => self.ipv6(span),
                    _ => Err(Stop::NotIp),
                };
            }
            span.skip(length.next_multiple_of(4))?;
        }
        Err(Stop::NotIp)
    }

    /// ARCNET: addresses, `offset_bytes` of Linux's own, system code, and the split flag and
    /// sequence number of RFC 1201, 3. Only the first piece of a split packet has an IP header.
    fn arcnet(&mut self, mut span: Span<'_>, offset_bytes: usize) -> Step {
        span.take::<2>()?;
        span.skip(offset_bytes)?;
        let &[mut system] = span.take()?;
        if system != arcnet::IPV4_OLD {
            let &[mut split, _, _] = span.take()?;
            if split == arcnet::EXCEPTION {
                let &[second_system, second_split, _, _] = span.take()?;
                (system, split) = (second_system, second_split);
            }
            if split != 0 && split & 1 == 0 {
                return Err(Stop::MALFORMED);
            }
        }
        self.passed_header(span)?;
        match system {
            arcnet::IPV4 | arcnet::IPV4_OLD => self.ipv4(span),
            arcnet::IPV6 => self.ipv6(span),
            _ => Err(Stop::NotIp),
        }
    }

    /// Prism's header, whose length is in the byte order of the machine, or AVS's, in network order,
    /// with a version that nothing else begins with. An 802.11 frame follows.
    fn prism(&mut self, mut span: Span<'_>) -> Step {
        const AVS: [u8; 3] = [0x80, 0x21, 0x10];
        let &[a, b, c, _, w, x, y, z] = span.peek()?;
        let (big, little) = (u32::from_be_bytes([w, x, y, z]), u32::from_le_bytes([w, x, y, z]));
        let length = if [a, b, c] == AVS { big } else { big.min(little) };
        if length < 8 {
            return Err(Stop::MALFORMED);
        }
        span.skip(length as usize)?;
        self.passed_header(span)?;
        self.wifi(span, false)
    }

    /// PPI (CACE, "PPI Packet Header Format", 3.1): version 0, flags, length and link type, little
    /// endian.
    fn per_packet_information(&mut self, mut span: Span<'_>) -> Step {
        let &[version, _, low, high, a, b, c, d] = span.peek()?;
        let length = usize::from(u16::from_le_bytes([low, high]));
        if version != 0 || length < 8 {
            return Err(Stop::MALFORMED);
        }
        span.skip(length)?;
        self.passed_header(span)?;
        match u16::try_from(u32::from_le_bytes([a, b, c, d])).map(LinkType) {
            Ok(link) if link != LinkType::PPI && link != LinkType::PKTAP => self.link(link, span),
            _ => Err(Stop::MALFORMED),
        }
    }

    /// Apple's packet tap: a header in the byte order of the machine that names the link type of
    /// what follows.
    fn packet_tap(&mut self, mut span: Span<'_>) -> Step {
        let header: &[u8; 12] = span.peek()?;
        let (head, rest) = header.split_at(4);
        let (record, link) = rest.split_at(4);
        let number = |bytes: &[u8]| {
            let bytes = bytes.first_chunk().copied().unwrap_or_default();
            let little = u32::from_le_bytes(bytes);
            // All three are small, so that the upper half of the wrong order is not 0.
            if little > u32::from(u16::MAX) { u32::from_be_bytes(bytes) } else { little }
        };
        let length = number(head);
        if length < PKTAP_HEADER_MIN {
            return Err(Stop::MALFORMED);
        }
        span.skip(length as usize)?;
        self.passed_header(span)?;
        if number(record) != PKTAP_PACKET {
            return Err(Stop::NotIp);
        }
        match u16::try_from(number(link)).map(LinkType) {
            Ok(link) if link != LinkType::PPI && link != LinkType::PKTAP => self.link(link, span),
            _ => Err(Stop::MALFORMED),
        }
    }
}
