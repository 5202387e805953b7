//! From a frame to a [`Packet`]: link header, tags, tunnels, IP with its extension headers, TCP
//! and UDP.
//!
//! Assumes that a frame is untrusted bytes, cut anywhere. Whatever they say, nothing here panics
//! and every offset in a [`Packet`] lies inside its frame, or is one in inflated bytes
//! ([`is_inflated`]). A frame gives one packet, the innermost
//! one; nothing is kept from one frame to the next, so fragments are not put together here: the
//! worker does that and asks [`decode_reassembled`] what the whole says. Checksums are not checked
//! (a capturing machine's own packets have none yet).
//!
//! # Two ways to the same answer
//!
//! Nearly all frames are Ethernet with at most two VLAN tags, IPv4 or IPv6 without extension
//! headers, unfragmented TCP or UDP: `fast` reads these in straight code. All others go to the
//! `walk`, which takes one header after the other, with `etherparse` for those of IP, TCP and UDP.
//! The walk reads what `fast` reads, too; a property test holds the two together.
//!
//! # The books
//!
//! Every frame's bytes are counted once. An [`Outcome::Packet`] counts the length that its
//! innermost decoded IP header states as [`Packet::bytes`] and what outer IP packets add as
//! [`Packet::outer_bytes`]; together these are what the outermost IP header states. A stated length
//! of 0 (left to the network card) or beyond the frame's end is replaced by the wire length behind
//! the headers in front of it.
//!
//! - What a tunnel carries that isn't IP (ARP in VXLAN, a compressed PPP frame) leaves the tunnel's
//!   own packet: GRE without ports, or UDP with the tunnel's.
//! - What claims to be an IP packet inside IP or GRE and can't be read makes the whole frame
//!   [`Outcome::Undecodable`]: the outermost stated length.
//! - A UDP port is a hint, not a claim: what doesn't read as the port's tunnel is plain UDP.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing))]

mod compressed;
mod fast;
mod ip;
mod layers;
mod link;
mod tunnel;
mod walk;
mod wifi;

pub use compressed::{INFLATED_BYTES_MAX, inflated_payload, is_inflated};
pub use link::{is_supported, link_name};
pub use walk::{ENCAPSULATION_LAYERS_MAX, LINK_HEADERS_MAX};

use crate::net::{Address, protocol};
use crate::packet::{Fragment, LinkType, Packet};
use crate::stats::Counter;

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// An IP packet: the [`Packet`] is filled in.
    Packet,
    /// Not IP (ARP, spanning tree, 802.11 beacons).
    NonIp {
        /// Wire length behind the link header, in bytes.
        bytes: u32,
    },
    /// Something that we should be able to read, and can't.
    Undecodable {
        /// Why.
        reason: Undecodable,
        /// The outermost IP header's stated length, or else the wire length behind the link
        /// header, in bytes.
        bytes: u32,
    },
}

/// Why a frame could not be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undecodable {
    /// It ends inside a header.
    Truncated,
    /// A header contradicts itself or what stands around it.
    Malformed,
    /// More than [`ENCAPSULATION_LAYERS_MAX`] layers of encapsulation, or more than
    /// [`LINK_HEADERS_MAX`] tags, labels and link headers.
    TooDeep,
    /// The link type is not one that we read.
    LinkType,
    /// An encrypted 802.11 frame.
    Encrypted,
}

impl Undecodable {
    /// The counter that tells of it.
    pub fn counter(self) -> Counter {
        match self {
            Undecodable::Truncated => Counter::DecodeTruncated,
            Undecodable::Malformed => Counter::DecodeMalformed,
            Undecodable::TooDeep => Counter::DecodeTooDeep,
            Undecodable::LinkType => Counter::DecodeLinkType,
            Undecodable::Encrypted => Counter::DecodeEncrypted,
        }
    }
}

/// Decodes `frame`, which was `wire_length` bytes long before the capture cut it.
///
/// `packet` is overwritten where the answer is [`Outcome::Packet`] and undefined (but safe to
/// read) otherwise. IP protocols other than TCP and UDP give a packet without ports. A fragment's
/// payload:
///
/// - [`Fragment::First`]: behind the transport header, where that is complete. Where it is not (a
///   tiny first fragment), or where an extension header follows the fragment header,
///   `transport_header` is 0 and the payload is all of the fragment's data.
/// - [`Fragment::Later`]: the fragment's data.
///
/// So a fragment's data always begins at `payload_offset - transport_header`.
///
/// A TCP header that the capture cut behind its flags (14 bytes), or a UDP header cut behind its
/// ports (4 bytes), still gives a packet, with fields that are not there at 0.
#[inline(always)]
pub fn decode(link: LinkType, frame: &[u8], wire_length: u32, packet: &mut Packet) -> Outcome {
    if common(link, frame, wire_length, packet) {
        return Outcome::Packet;
    }
    uncommon(link, frame, wire_length, packet)
}

/// Decodes a frame of any kind, as [`decode`] does where the frame is not [`common`].
pub fn uncommon(link: LinkType, frame: &[u8], wire_length: u32, packet: &mut Packet) -> Outcome {
    walk::decode(link, frame, wire_length, packet)
}

/// Decodes what most frames are, outside tunnels, as [`decode`] does, and says whether it was that.
#[inline(always)]
pub fn common(link: LinkType, frame: &[u8], wire_length: u32, packet: &mut Packet) -> bool {
    link == LinkType::ETHERNET && fast::ethernet(frame, wire_length, packet).is_some()
}

/// The addresses of the packet that [`decode`] makes of a frame, if it makes one. None where that
/// takes more than a look: whoever wants them then decodes it.
#[inline(always)]
pub fn addresses(link: LinkType, frame: &[u8]) -> Option<(Address, Address)> {
    if link == LinkType::ETHERNET { fast::addresses(frame) } else { None }
}

/// Decodes a datagram that was put together from fragments.
///
/// `payload` is the data of all fragments in order. `datagram` describes it: addresses, protocol,
/// identification and time to live of its fragments, and in `bytes` and `outer_bytes` the sums over
/// all of them. The offsets of the answer count from the beginning of `payload`. Its bytes keep the
/// books: `bytes + outer_bytes` is the sum over the fragments, of which a tunnel's inner packet
/// takes what it states.
pub fn decode_reassembled(payload: &[u8], datagram: &Packet, packet: &mut Packet) -> Outcome {
    walk::decode_reassembled(payload, datagram, packet)
}

/// Whether the datagram of this fragment must be put together before one knows which flow it
/// belongs to: it carries (or, by its port, may carry) a tunnel, extension headers stand in its
/// fragmented part, or the transport header itself is cut in pieces. Of UDP and TCP only the first
/// fragment tells; of a later one the answer is no.
pub fn needs_whole_datagram(packet: &Packet) -> bool {
    match packet.protocol {
        protocol::UDP => {
            packet.fragment == Fragment::First
                && (packet.transport_header == 0
                    || tunnel::may_be_udp_tunnel(packet.source_port, packet.destination_port))
        }
        protocol::TCP => packet.fragment == Fragment::First && packet.transport_header == 0,
        other => {
            other == protocol::IPCOMP
                || ip::is_extension_header(other)
                || tunnel::is_ip_tunnel(other)
        }
    }
}

#[cfg(test)]
mod tests;
