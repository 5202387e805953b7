//! Google QUIC before TLS: versions Q024 to Q046 carry the server's name in clear text.
//!
//! The first datagram of a client holds a CHLO message (a table of tags, little endian) in a
//! STREAM frame behind a short clear header. Header and frame changed from version to version;
//! the message did not. So it is searched for in the first bytes and then has to be right in
//! itself. Only the first packet of a message is read: SNI stands among its first values.

use crate::hostname::Hostname;
use crate::observation::ClientHello;

use crate::dissect::reader::Reader;

/// Public flags with a version and a connection id of eight bytes, as every client's first packet
/// has them up to Q043.
const FLAGS_MASK: u8 = 0x89;
const FLAGS: u8 = 0x09;

/// Where the version stands in such a packet: behind flags and connection id.
const VERSION_AT: usize = 9;

/// CHLO begins at most this far into a packet: flags 1, id 8, version 4, number 6, hash 12,
/// private flags 1, frame header 16.
const MESSAGE_AT_MAX: usize = 48;

/// The most tags of a message; Chromium sent about 30.
const TAGS_MAX: u16 = 128;

/// Whether a datagram begins like a client's packet with a clear CHLO.
pub(super) fn may_be_clear(payload: &[u8]) -> bool {
    let Some(&first) = payload.first() else { return false };
    let version_at = match first {
        // Q046 has a long header: first byte, version.
        0xc0..=0xff => 1,
        _ if first & FLAGS_MASK == FLAGS => VERSION_AT,
        _ => return false,
    };
    let version = payload.get(version_at..).and_then(|rest| rest.first_chunk());
    match version {
        Some(&[b'Q', b'0', tens, ones]) => match (tens, ones) {
            (b'4', b'6') => version_at == 1,
            (b'2'..=b'4', b'0'..=b'9') => version_at == VERSION_AT,
            _ => false,
        },
        _ => false,
    }
}

/// What a datagram with a clear CHLO tells.
pub(super) fn clear_hello(payload: &[u8]) -> Option<ClientHello> {
    let window = payload.get(..payload.len().min(MESSAGE_AT_MAX + 4))?;
    let at = window.windows(4).position(|four| four == b"CHLO")?;
    hello(payload.get(at..)?)
}

/// What a CHLO message tells, as far as it has come: `None` without a server name.
pub(super) fn hello(message: &[u8]) -> Option<ClientHello> {
    let mut reader = Reader::new(message);
    if &reader.array()? != b"CHLO" {
        return None;
    }
    let tags = u16::from_le_bytes(reader.array()?);
    reader.take(2)?; // padding
    if tags == 0 || tags > TAGS_MAX {
        return None;
    }
    let values = reader.rest().get(usize::from(tags) * 8..)?;
    let mut begin = 0;
    for _ in 0..tags {
        let tag: [u8; 4] = reader.array()?;
        let end = usize::try_from(u32::from_le_bytes(reader.array()?)).ok()?;
        if &tag == b"SNI\0" {
            let server_name = Hostname::from_wire(values.get(begin..end)?).ok()?;
            return Some(ClientHello { server_name: Some(server_name), ..ClientHello::default() });
        }
        if end < begin {
            return None;
        }
        begin = end;
    }
    None
}
