//! HTTP/2 in the clear with prior knowledge (RFC 9113, 3.3): the client's header blocks.
//!
//! Assumes the client's bytes from the connection preface on, without a hole. Reads HEADERS and
//! CONTINUATION; other frames are stepped over, bodies without being seen. It does not follow what
//! a CONNECT stream carries.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing))]

use super::hpack::{Decoder, Name};
use super::http::{Fields, Head};
use super::reader::Reader;

/// What a client sends first (RFC 9113, 3.4).
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The header of a frame (RFC 9113, 4.1).
const FRAME_HEADER_LENGTH: usize = 9;
/// The longest header block that is put together.
const BLOCK_LENGTH_MAX: usize = 16 * 1024;

/// Frame types and flags (RFC 9113, 6.2 and 6.10).
mod frame {
    pub(super) const HEADERS: u8 = 0x1;
    pub(super) const CONTINUATION: u8 = 0x9;
    pub(super) const END_HEADERS: u8 = 0x4;
    pub(super) const PADDED: u8 = 0x8;
    pub(super) const PRIORITY: u8 = 0x20;
}

/// The client's side of a connection, behind the preface.
#[derive(Debug)]
pub(crate) struct Connection {
    decoder: Decoder,
    /// The header block whose end has not come yet.
    block: Option<Vec<u8>>,
}

/// What a look at a frame came to.
#[derive(Debug)]
pub(crate) enum Frame {
    /// So many bytes are needed.
    Incomplete(usize),
    /// It is done with: its length in bytes and the request in it.
    Complete(u64, Option<Box<Head>>),
    /// It is wrong or over a bound.
    Reject,
}

impl Connection {
    /// A connection whose preface was seen.
    pub(crate) fn new() -> Connection {
        Connection { decoder: Decoder::new(), block: None }
    }

    /// Reads the frame at the beginning of `bytes`.
    pub(crate) fn frame(&mut self, bytes: &[u8]) -> Frame {
        let mut reader = Reader(bytes);
        let (Some(length), Some(kind), Some(flags), Some(_stream)) =
            (reader.u24(), reader.u8(), reader.u8(), reader.take(4))
        else {
            return Frame::Incomplete(FRAME_HEADER_LENGTH);
        };
        let total = FRAME_HEADER_LENGTH + length;
        let continues = kind == frame::CONTINUATION;
        // CONTINUATION goes on with a block, and nothing else may come inside one (6.10).
        if continues != self.block.is_some() {
            return Frame::Reject;
        }
        if !continues && kind != frame::HEADERS {
            return Frame::Complete(total as u64, None);
        }
        let Some(payload) = reader.take(length) else { return Frame::Incomplete(total) };
        let fragment = if continues { Some(payload) } else { fragment_of(payload, flags) };
        match fragment.and_then(|fragment| self.fragment(fragment, flags)) {
            Some(head) => Frame::Complete(total as u64, head.map(Box::new)),
            None => Frame::Reject,
        }
    }

    /// Adds to the header block and reads it at its end. `None` if it is wrong or too long.
    #[allow(clippy::option_option, reason = "refused and without a request are two things")]
    fn fragment(&mut self, fragment: &[u8], flags: u8) -> Option<Option<Head>> {
        let ends = flags & frame::END_HEADERS != 0;
        if ends && self.block.is_none() {
            return self.request(fragment);
        }
        let mut block = self.block.take().unwrap_or_default();
        if block.len() + fragment.len() > BLOCK_LENGTH_MAX {
            return None;
        }
        block.extend_from_slice(fragment);
        if ends {
            return self.request(&block);
        }
        self.block = Some(block);
        Some(None)
    }

    /// Reads a whole block; trailers (without `:method`) are no request.
    #[allow(clippy::option_option, reason = "refused and without a request are two things")]
    fn request(&mut self, block: &[u8]) -> Option<Option<Head>> {
        let mut fields = Fields::default();
        let (mut authority, mut is_request, mut connect) = (None, false, false);
        self.decoder.block(block, &mut |name, value| match name {
            Name::Method => {
                is_request = true;
                connect = value == b"CONNECT";
            }
            Name::Authority => authority = fields.host_of(value),
            Name::Host => fields.header(b"host", value),
            Name::ForwardedFor => fields.header(b"x-forwarded-for", value),
            Name::Other => {}
        })?;
        let mut head = fields.finish(0);
        head.request.connect = connect;
        if connect {
            head.request.authority = authority;
        } else {
            head.request.host = authority.or(head.request.host);
        }
        Some(is_request.then_some(head))
    }
}

/// The part of a HEADERS frame that belongs to the block (RFC 9113, 6.2).
fn fragment_of(payload: &[u8], flags: u8) -> Option<&[u8]> {
    let mut reader = Reader(payload);
    let padding = if flags & frame::PADDED != 0 { usize::from(reader.u8()?) } else { 0 };
    if flags & frame::PRIORITY != 0 {
        reader.take(5)?;
    }
    reader.take(reader.0.len().checked_sub(padding)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::Request;

    fn frame_of(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = (payload.len() as u16).to_be_bytes();
        [&[0, length[0], length[1], kind, flags, 0, 0, 0, 1][..], payload].concat()
    }

    /// Hosts of the requests in the frames.
    fn hosts(bytes: &[u8]) -> Option<Vec<String>> {
        let mut connection = Connection::new();
        let (mut rest, mut found) = (bytes, Vec::new());
        while !rest.is_empty() {
            match connection.frame(rest) {
                Frame::Complete(length, head) => {
                    rest = rest.get(length as usize..).unwrap_or_default();
                    found.extend(head.map(|head| {
                        let Request { host, authority, connect, .. } = head.request;
                        let name = if connect { authority } else { host };
                        format!("{connect} {}", name.map_or(String::new(), |name| name.to_string()))
                    }));
                }
                Frame::Incomplete(needed) => {
                    assert!(needed > rest.len());
                    return None;
                }
                Frame::Reject => return None,
            }
        }
        Some(found)
    }

    const BLOCK: &[u8] = b"\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff";

    #[test]
    fn requests_are_found_among_other_frames() {
        let padded = [&[2, 0, 0, 0, 0, 7][..], BLOCK, &[0, 0]].concat();
        let bytes = [
            frame_of(4, 0, &[0; 12]),
            frame_of(frame::HEADERS, frame::END_HEADERS, BLOCK),
            frame_of(0, 0, b"body"),
            frame_of(frame::HEADERS, 0x2c, &padded),
            frame_of(frame::HEADERS, 0, &BLOCK[..7]),
            frame_of(frame::CONTINUATION, 0, &BLOCK[7..9]),
            frame_of(frame::CONTINUATION, frame::END_HEADERS, &BLOCK[9..]),
            frame_of(frame::HEADERS, frame::END_HEADERS, b"\x02\x07CONNECT\xbe"),
        ]
        .concat();
        let get = "false www.example.com".to_owned();
        let connect = "true www.example.com".to_owned();
        assert_eq!(hosts(&bytes), Some(vec![get.clone(), get.clone(), get, connect]));
        for end in 0..bytes.len() {
            hosts(&bytes[..end]);
            for value in [0, 1, 9, 0x7f, 0xff] {
                let mut flipped = bytes.clone();
                flipped[end] = value;
                hosts(&flipped);
            }
        }
    }

    #[test]
    fn blocks_are_not_interrupted_and_not_endless() {
        let begun = frame_of(frame::HEADERS, 0, BLOCK);
        let interrupted = [begun.clone(), frame_of(4, 0, &[])].concat();
        assert_eq!(hosts(&interrupted), None);
        assert_eq!(hosts(&frame_of(frame::CONTINUATION, 4, BLOCK)), None);
        let mut connection = Connection::new();
        connection.frame(&begun);
        let more = frame_of(frame::CONTINUATION, 0, &[0; 4000]);
        let rejected = (0..5).any(|_| matches!(connection.frame(&more), Frame::Reject));
        assert!(rejected);
    }
}
