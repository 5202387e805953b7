//! What a frame says once it is decoded: plain values, no bytes.
//!
//! A [`Packet`] is what the packet path hands around: it points into its frame by offsets, so that
//! it can be kept in lists and handed to another worker while the block that holds the frame lives.

use crate::net::Address;

/// What the bytes of a frame begin with (LINKTYPE_ values, www.tcpdump.org/linktypes.html).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkType(pub u16);

impl LinkType {
    /// BSD loopback: the address family in the capturing machine's byte order.
    pub const NULL: LinkType = LinkType(0);
    /// Ethernet (IEEE 802.3).
    pub const ETHERNET: LinkType = LinkType(1);
    /// ARCNET with BSD header.
    pub const ARCNET_BSD: LinkType = LinkType(7);
    /// PPP, with or without HDLC-like framing (RFC 1662).
    pub const PPP: LinkType = LinkType(9);
    /// PPP in HDLC-like framing, or Cisco PPP (RFC 1547, 4.3.1).
    pub const PPP_HDLC: LinkType = LinkType(50);
    /// PPPoE session packets (RFC 2516).
    pub const PPP_ETHER: LinkType = LinkType(51);
    /// Raw IP as libpcap's own number DLT_RAW is written by some systems.
    pub const RAW_DLT: LinkType = LinkType(12);
    /// Raw IP as OpenBSD numbers it.
    pub const RAW_OPENBSD: LinkType = LinkType(14);
    /// Raw IP: the version nibble tells the family.
    pub const RAW: LinkType = LinkType(101);
    /// Cisco HDLC.
    pub const C_HDLC: LinkType = LinkType(104);
    /// IEEE 802.11.
    pub const IEEE802_11: LinkType = LinkType(105);
    /// OpenBSD loopback: the address family in network byte order.
    pub const LOOP: LinkType = LinkType(108);
    /// Linux "cooked" capture, version 1.
    pub const LINUX_SLL: LinkType = LinkType(113);
    /// IEEE 802.11 behind a Prism header, or AVS's under the same number.
    pub const PRISM: LinkType = LinkType(119);
    /// IEEE 802.11 behind a radiotap header.
    pub const IEEE802_11_RADIOTAP: LinkType = LinkType(127);
    /// ARCNET as Linux captures it.
    pub const ARCNET_LINUX: LinkType = LinkType(129);
    /// IEEE 802.11 behind an AVS header.
    pub const AVS: LinkType = LinkType(163);
    /// PPP as pppd writes it: a direction byte in front, or in place of the address.
    pub const PPP_PPPD: LinkType = LinkType(166);
    /// Per-packet information, which names the link type of what follows.
    pub const PPI: LinkType = LinkType(192);
    /// PPP with a direction byte in front.
    pub const PPP_WITH_DIR: LinkType = LinkType(204);
    /// Raw IPv4.
    pub const IPV4: LinkType = LinkType(228);
    /// Raw IPv6.
    pub const IPV6: LinkType = LinkType(229);
    /// Linux netfilter log.
    pub const NFLOG: LinkType = LinkType(239);
    /// Apple's packet tap.
    pub const PKTAP: LinkType = LinkType(258);
    /// Linux "cooked" capture, version 2.
    pub const LINUX_SLL2: LinkType = LinkType(276);
}

/// TCP header flags (RFC 9293, 3.1), as on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Synchronise sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Reset the connection.
    pub const RST: u8 = 0x04;
    /// Push.
    pub const PSH: u8 = 0x08;
    /// The acknowledgement field is significant.
    pub const ACK: u8 = 0x10;

    /// Whether all of `flags` are set.
    #[inline]
    pub fn has(self, flags: u8) -> bool {
        self.0 & flags == flags
    }

    /// Whether this opens a connection: SYN without ACK.
    #[inline]
    pub fn is_opening(self) -> bool {
        self.0 & (TcpFlags::SYN | TcpFlags::ACK) == TcpFlags::SYN
    }
}

/// Which part of an IP datagram a packet is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Fragment {
    /// All of it.
    #[default]
    Whole,
    /// The first of several: it has the transport header.
    First,
    /// A later one: no ports, no transport header.
    Later,
}

/// A decoded packet: the innermost IP header and the transport header behind it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Packet {
    /// Sender's address.
    pub source: Address,
    /// Receiver's address.
    pub destination: Address,
    /// Sender's port; 0 without TCP or UDP, and in later fragments.
    pub source_port: u16,
    /// Receiver's port; 0 without TCP or UDP, and in later fragments.
    pub destination_port: u16,
    /// IP protocol number behind all extension headers (`net::protocol`).
    pub protocol: u8,
    /// TCP flags; empty for other protocols.
    pub flags: TcpFlags,
    /// Which part of its datagram this is.
    pub fragment: Fragment,
    /// IPv4 time to live or IPv6 hop limit.
    pub time_to_live: u8,
    /// TCP sequence number of the first payload byte (of the SYN, where that is set).
    pub sequence: u32,
    /// TCP acknowledgement number.
    pub acknowledgement: u32,
    /// Bytes of this packet as section 4 of the design counts them: the length that the innermost
    /// IP header states.
    pub bytes: u32,
    /// What outer IP packets add to that, in bytes: the bucket `encapsulation`.
    pub outer_bytes: u32,
    /// Where the payload begins, in bytes from the frame's beginning. In a later fragment: the
    /// fragment's data. Of what was compressed: see `decode::is_inflated`.
    pub payload_offset: u32,
    /// Payload bytes that the capture holds.
    pub payload_captured: u32,
    /// Payload bytes that the headers state.
    pub payload_length: u32,
    /// IPv4 identification, or that of the IPv6 fragment header; 0 in an unfragmented IPv6 packet.
    pub identification: u32,
    /// Where a fragment's data stands in its datagram, in bytes; for `First` always 0. Of a packet
    /// that was compressed: where its compressed data stands in the frame.
    pub fragment_offset: u16,
    /// Bytes of the transport header in front of the payload; 0 in a later fragment.
    pub transport_header: u8,
    /// Whether more fragments follow this one.
    pub more_fragments: bool,
    /// TCP or UDP checksum as on the wire.
    pub checksum: u16,
    /// Whether the frame begins with an Ethernet header, so that bytes 0..6 are the receiver's
    /// and 6..12 the sender's MAC address, and no tunnel stands between it and the packet.
    pub ethernet: bool,
}
