//! Long headers (RFC 8999, 5.1; RFC 9000, 17.2), and the packets that share a datagram.
//!
//! Everything here is clear text and unproven: only a packet that opens proves anything.

use super::keys::SAMPLE_LENGTH;
use super::scheme::{self, PacketType};
use crate::dissect::reader::Reader;

/// The longest connection id of the versions that are read (RFC 9000, 17.2).
pub(super) const CONNECTION_ID_LENGTH_MAX: usize = 20;

/// The shortest destination connection id that a client may choose (RFC 9000, 7.2).
const CHOSEN_ID_LENGTH_MIN: usize = 8;

/// The smallest datagram in which a client may send an Initial (RFC 9000, 14.1).
const DATAGRAM_LENGTH_MIN: usize = 1200;

/// High bit of the first byte: a long header.
const LONG: u8 = 0x80;
/// The fixed bit, which is one unless both ends agreed to grease it (RFC 9287).
const FIXED: u8 = 0x40;

/// A packet number has up to this many bytes; the sample begins as many behind its first one
/// (RFC 9001, 5.4.2).
const NUMBER_LENGTH_MAX: usize = 4;

/// An Initial whose lengths fit its datagram, still protected.
pub(super) struct Initial<'a> {
    pub(super) version: u32,
    pub(super) destination: &'a [u8],
    pub(super) source: &'a [u8],
    /// Whether a token came with it: after a Retry, or from an earlier connection. Servers never
    /// send one.
    pub(super) has_token: bool,
    /// The packet from its first byte to the end of its tag.
    pub(super) bytes: &'a [u8],
    /// Where in `bytes` the packet number begins.
    pub(super) number_offset: usize,
}

/// One packet of a datagram.
pub(super) enum Packet<'a> {
    /// An Initial.
    Initial(Initial<'a>),
    /// A packet with a long header and a length that is none.
    Other,
}

impl Initial<'_> {
    /// Whether keys of this packet's own destination id can be the right ones: the client chose
    /// the id, or a Retry gave it. A server's Initial, whose keys are others, often fails this.
    pub(super) fn may_carry_its_key(&self) -> bool {
        self.destination.len() >= CHOSEN_ID_LENGTH_MIN || self.has_token
    }

    /// The bytes from which the header protection mask is made.
    pub(super) fn sample(&self) -> Option<&[u8; SAMPLE_LENGTH]> {
        self.bytes.get(self.number_offset + NUMBER_LENGTH_MAX..)?.first_chunk()
    }
}

/// What the first long header of a datagram tells of its connection.
pub struct ConnectionIds<'a> {
    /// To whom it is addressed.
    pub destination: &'a [u8],
    /// By which id its sender wants to be addressed.
    pub source: &'a [u8],
    /// Whether it is a Retry, after which the client begins anew with `source` as its destination.
    pub is_retry: bool,
}

/// The connection ids of a long header (RFC 8999, 5.1); `None` for any other datagram, and for
/// Version Negotiation, which tells of none.
pub fn connection_ids(datagram: &[u8]) -> Option<ConnectionIds<'_>> {
    let mut reader = Reader::new(datagram);
    let first = reader.u8().filter(|first| first & LONG != 0)?;
    let version = reader.u32()?;
    let destination = connection_id(&mut reader)?;
    let source = connection_id(&mut reader)?;
    let is_retry = scheme::packet_type(version, first) == PacketType::Retry;
    (version != 0).then_some(ConnectionIds { destination, source, is_retry })
}

/// Whether a datagram looks like a long header by first byte and length of the id, which one in
/// 25 random ones does.
#[inline]
pub fn may_be_any_long(datagram: &[u8]) -> bool {
    match datagram {
        [first, _, _, _, _, length, ..] => {
            first & LONG != 0 && usize::from(*length) <= CONNECTION_ID_LENGTH_MAX
        }
        _ => false,
    }
}

/// Whether the version of a long header is in the table, or one of those that are reserved to be
/// greased with (RFC 9000, 15).
pub(super) fn is_known_or_greased(datagram: &[u8]) -> bool {
    let Some(&[_, a, b, c, d]) = datagram.first_chunk() else { return false };
    scheme::known(u32::from_be_bytes([a, b, c, d])).is_some()
        || [a, b, c, d].iter().all(|byte| byte & 0x0f == 0x0a)
}

/// Whether a datagram may begin with a long header whose version we try; a few compares.
pub(super) fn may_be_long(payload: &[u8]) -> bool {
    let Some(&[first, a, b, c, d, length]) = payload.first_chunk() else { return false };
    if first & LONG == 0 || usize::from(length) > CONNECTION_ID_LENGTH_MAX {
        return false;
    }
    let version = u32::from_be_bytes([a, b, c, d]);
    if scheme::known(version).is_some() {
        return scheme::packet_type(version, first) != PacketType::Retry;
    }
    // Half of all random datagrams have the high bit, and RTP always has: an unknown version must
    // look right in every other way, because trying its keys is what costs.
    version != 0
        && first & FIXED != 0
        && scheme::packet_type(version, first) == PacketType::Initial
        && usize::from(length) >= CHOSEN_ID_LENGTH_MIN
        && payload.len() >= DATAGRAM_LENGTH_MIN
}

/// The packet at the beginning of `datagram`, and what is behind it (RFC 9000, 12.2). `None` when
/// there is no packet with a long header and a length: a short header, padding, Retry, Version
/// Negotiation, or a packet that is cut off.
pub(super) fn split(datagram: &[u8]) -> Option<(Packet<'_>, &[u8])> {
    let mut reader = Reader::new(datagram);
    let first = reader.u8()?;
    if first & LONG == 0 {
        return None;
    }
    let version = reader.u32()?;
    let kind = scheme::packet_type(version, first);
    if version == 0 || kind == PacketType::Retry {
        return None;
    }
    let destination = connection_id(&mut reader)?;
    let source = connection_id(&mut reader)?;
    let has_token = kind == PacketType::Initial && !reader.vector_varint()?.is_empty();
    let protected = reader.vector_varint()?;
    let after = reader.rest();
    let number_offset = datagram.len() - after.len() - protected.len();
    if kind != PacketType::Initial || protected.len() < NUMBER_LENGTH_MAX + SAMPLE_LENGTH {
        return Some((Packet::Other, after));
    }
    let bytes = datagram.get(..number_offset + protected.len())?;
    Some((
        Packet::Initial(Initial { version, destination, source, has_token, bytes, number_offset }),
        after,
    ))
}

fn connection_id<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    let length = usize::from(reader.u8()?);
    if length > CONNECTION_ID_LENGTH_MAX {
        return None;
    }
    reader.take(length)
}
