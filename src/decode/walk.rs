//! The walk from header to header: what it carries along, and how it reads bytes.
//!
//! Each header's function (in `link`, `wifi`, `layers`, `ip` and `tunnel`) takes a [`Span`], reads
//! its header off the front and calls the next one's. They end with `Ok` (a packet is found),
//! [`Stop::NotIp`] or [`Stop::Undecodable`]. Recursion is bounded by [`LINK_HEADERS_MAX`] and
//! [`ENCAPSULATION_LAYERS_MAX`].

use super::{Outcome, Undecodable};
use crate::packet::{Fragment, LinkType, Packet};

/// Most IP headers in front of the innermost one.
pub const ENCAPSULATION_LAYERS_MAX: u8 = 4;
/// Most link headers, tags, labels and tunnel headers of one frame.
pub const LINK_HEADERS_MAX: u8 = 48;

/// Why a walk ended without a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// What follows is no IP packet.
    NotIp,
    /// What follows should be readable and is not.
    Undecodable(Undecodable),
}

impl Stop {
    pub(super) const TRUNCATED: Stop = Stop::Undecodable(Undecodable::Truncated);
    pub(super) const MALFORMED: Stop = Stop::Undecodable(Undecodable::Malformed);
    pub(super) const TOO_DEEP: Stop = Stop::Undecodable(Undecodable::TooDeep);
    pub(super) const ENCRYPTED: Stop = Stop::Undecodable(Undecodable::Encrypted);
}

/// What each header's function answers.
pub(super) type Step = Result<(), Stop>;

/// A stretch of a frame as it was on the wire, of which the capture may lack the end.
#[derive(Clone, Copy)]
pub(super) struct Span<'a> {
    frame: &'a [u8],
    start: usize,
    /// Where it ends on the wire; never before `start`.
    end: usize,
}

impl<'a> Span<'a> {
    /// All of a frame.
    pub(super) fn new(frame: &'a [u8], wire_length: usize) -> Span<'a> {
        Span { frame, start: 0, end: wire_length.max(frame.len()) }
    }

    /// Bytes on the wire.
    pub(super) fn wire_length(self) -> usize {
        self.end - self.start
    }

    /// Where it begins, in bytes from the frame's beginning, but not behind the frame's end.
    pub(super) fn offset(self) -> usize {
        self.start.min(self.frame.len())
    }

    /// The bytes that the capture holds.
    pub(super) fn captured(self) -> &'a [u8] {
        self.frame.get(self.start..self.end.min(self.frame.len())).unwrap_or_default()
    }

    /// Whether the capture lacks its end.
    pub(super) fn is_cut(self) -> bool {
        self.end > self.frame.len()
    }

    /// The next `N` bytes, which stay.
    pub(super) fn peek<const N: usize>(self) -> Result<&'a [u8; N], Stop> {
        self.captured().first_chunk().ok_or(Stop::TRUNCATED)
    }

    /// The next `N` bytes, which are read off.
    pub(super) fn take<const N: usize>(&mut self) -> Result<&'a [u8; N], Stop> {
        let bytes = self.peek()?;
        self.start += N;
        Ok(bytes)
    }

    /// The next two bytes as a number in network order.
    pub(super) fn take_u16(&mut self) -> Result<u16, Stop> {
        self.take().map(|&bytes| u16::from_be_bytes(bytes))
    }

    /// Leaves out `count` bytes, which need not be captured.
    pub(super) fn skip(&mut self, count: usize) -> Step {
        if count > self.wire_length() {
            return Err(Stop::TRUNCATED);
        }
        self.start += count;
        Ok(())
    }

    /// Ends it `length` bytes behind its beginning, where it is longer.
    pub(super) fn limit(&mut self, length: usize) {
        self.end = self.end.min(self.start.saturating_add(length));
    }
}

/// One frame's walk.
pub(super) struct Walk {
    /// What was found so far.
    pub(super) found: Found,
    /// Link headers, tags, labels and tunnel headers so far.
    headers: u8,
    /// Whether what is being read was inflated.
    is_inflated: bool,
}

/// What a walk found so far; kept aside where a tunnel is only tried.
#[derive(Clone, Copy)]
pub(super) struct Found {
    /// The innermost packet.
    pub(super) packet: Packet,
    /// What the outermost IP header states, in bytes.
    outermost: Option<usize>,
    /// IP headers around the innermost one.
    layers: u8,
    /// Where the link headers in front of the outermost IP header end.
    link_end: usize,
}

impl Walk {
    fn new(packet: Packet, outermost: Option<usize>) -> Walk {
        Walk {
            found: Found { packet, outermost, layers: 0, link_end: 0 },
            headers: 0,
            is_inflated: false,
        }
    }

    /// Counts one more link or tunnel header, of which `behind` is what it carries.
    pub(super) fn passed_header(&mut self, behind: Span<'_>) -> Step {
        if self.headers == LINK_HEADERS_MAX {
            return Err(Stop::TOO_DEEP);
        }
        self.headers += 1;
        if self.found.outermost.is_none() {
            self.found.link_end = behind.start;
        }
        Ok(())
    }

    /// Notes that inflated bytes follow. False if they are in such bytes already.
    pub(super) fn enter_inflated(&mut self) -> bool {
        !std::mem::replace(&mut self.is_inflated, true)
    }

    /// Takes `packet`, fresh from an IP header, as the innermost one so far.
    pub(super) fn enter_packet(&mut self, packet: Packet) -> Step {
        let is_ethernet = match self.found.outermost {
            None => {
                self.found.outermost = Some(packet.bytes as usize);
                self.found.packet.ethernet
            }
            Some(_) if self.found.layers == ENCAPSULATION_LAYERS_MAX => {
                return Err(Stop::TOO_DEEP);
            }
            Some(_) => {
                self.found.layers += 1;
                false
            }
        };
        self.found.packet = Packet { ethernet: is_ethernet, ..packet };
        Ok(())
    }

    /// Notes that what follows does not stand in the frame's own Ethernet header.
    pub(super) fn leave_ethernet(&mut self) {
        self.found.packet.ethernet = false;
    }

    /// The outcome of a walk over `wire_length` bytes that ended with `step`.
    fn finish(self, step: Step, wire_length: usize, packet: &mut Packet) -> Outcome {
        let found = self.found;
        // Lengths come from 16-bit fields or the u32 wire length: they fit.
        let bytes = found.outermost.unwrap_or(wire_length.saturating_sub(found.link_end)) as u32;
        match step {
            Ok(()) => {
                let outer_bytes = bytes.saturating_sub(found.packet.bytes);
                *packet = Packet { outer_bytes, ..found.packet };
                Outcome::Packet
            }
            Err(Stop::NotIp) => Outcome::NonIp { bytes },
            Err(Stop::Undecodable(reason)) => Outcome::Undecodable { reason, bytes },
        }
    }
}

/// Decodes any frame, however uncommon.
#[cold]
pub(super) fn decode(
    link: LinkType,
    frame: &[u8],
    wire_length: u32,
    packet: &mut Packet,
) -> Outcome {
    let span = Span::new(frame, wire_length as usize);
    let ethernet = link == LinkType::ETHERNET;
    let mut walk = Walk::new(Packet { ethernet, ..Packet::default() }, None);
    let step = walk.link(link, span);
    walk.finish(step, span.wire_length(), packet)
}

/// Decodes the data of a datagram that was put together.
#[cold]
pub(super) fn decode_reassembled(
    payload: &[u8],
    datagram: &Packet,
    packet: &mut Packet,
) -> Outcome {
    let whole = Packet {
        source: datagram.source,
        destination: datagram.destination,
        time_to_live: datagram.time_to_live,
        identification: datagram.identification,
        bytes: datagram.bytes,
        ethernet: datagram.ethernet,
        fragment: Fragment::Whole,
        ..Packet::default()
    };
    let outermost = datagram.bytes.saturating_add(datagram.outer_bytes) as usize;
    let mut walk = Walk::new(whole, Some(outermost));
    let step = walk.ip_payload(datagram.protocol, Span::new(payload, payload.len()));
    walk.finish(step, outermost, packet)
}
