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
use crate::hostname::Hostname;

/// What a client sends first (RFC 9113, 3.4).
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The header of a frame (RFC 9113, 4.1).
const FRAME_HEADER_LENGTH: usize = 9;
/// The longest field of a header block that is put together, with what stands in front of it.
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
    block: Option<Box<Block>>,
    /// The frame with a part of a block that is being read.
    open: Option<OpenFrame>,
}

/// A header block of which the beginning has come.
#[derive(Debug, Default)]
struct Block {
    /// What of it has not been decoded: nothing is before its end is there or there is too much.
    bytes: Vec<u8>,
    fields: Fields,
    authority: Option<Hostname>,
    is_request: bool,
    is_connect: bool,
}

/// A HEADERS or CONTINUATION frame behind its header.
#[derive(Debug)]
struct OpenFrame {
    /// Bytes of the block that are to come.
    left: usize,
    /// Bytes behind them (RFC 9113, 6.1).
    padding: usize,
    ends_block: bool,
}

/// What a look at a frame came to.
#[derive(Debug)]
pub(crate) enum Frame {
    /// So many bytes are needed.
    Incomplete(usize),
    /// It, or a part of it, is done with: the length in bytes and the request that ends there.
    Complete(u64, Option<Box<Head>>),
    /// It is wrong or over a bound; with what the request told until then.
    Reject(Option<Box<Head>>),
}

impl Connection {
    /// A connection whose preface was seen.
    pub(crate) fn new() -> Connection {
        Connection { decoder: Decoder::new(), block: None, open: None }
    }

    /// Memory of this, in bytes.
    pub(crate) fn memory_bytes(&self) -> usize {
        let block =
            self.block.as_ref().map_or(0, |block| size_of_val(&**block) + block.bytes.capacity());
        size_of::<Connection>() + block + self.decoder.memory_bytes()
    }

    /// Reads the frame at the beginning of `bytes`, of those with a header block as much as is there.
    pub(crate) fn frame(&mut self, bytes: &[u8]) -> Frame {
        match self.open.take() {
            Some(open) => self.fragment(open, bytes),
            None => self.header(bytes),
        }
    }

    /// Reads a frame's header, and in HEADERS what stands in front of the block (RFC 9113, 6.2).
    fn header(&mut self, bytes: &[u8]) -> Frame {
        let mut reader = Reader::new(bytes);
        let (Some(length), Some(kind), Some(flags), Some(_stream)) =
            (reader.u24(), reader.u8(), reader.u8(), reader.take(4))
        else {
            return Frame::Incomplete(FRAME_HEADER_LENGTH);
        };
        let continues = kind == frame::CONTINUATION;
        // CONTINUATION goes on with a block, and nothing else may come inside one (6.10).
        if continues != self.block.is_some() {
            return self.reject();
        }
        if !continues && kind != frame::HEADERS {
            return Frame::Complete((FRAME_HEADER_LENGTH + length) as u64, None);
        }
        let flags = if continues { flags & frame::END_HEADERS } else { flags };
        let is_padded = flags & frame::PADDED != 0;
        let priority_length = if flags & frame::PRIORITY != 0 { 5 } else { 0 };
        let prefix_length = usize::from(is_padded) + priority_length;
        let Some(prefix) = reader.take(prefix_length) else {
            return Frame::Incomplete(FRAME_HEADER_LENGTH + prefix_length);
        };
        let padding = prefix.first().filter(|_| is_padded).copied().map_or(0, usize::from);
        let Some(left) = length.checked_sub(prefix_length + padding) else {
            return self.reject();
        };
        self.block.get_or_insert_default();
        let open = OpenFrame { left, padding, ends_block: flags & frame::END_HEADERS != 0 };
        self.passed((FRAME_HEADER_LENGTH + prefix_length) as u64, open)
    }

    /// Takes what is there of a part of a header block.
    fn fragment(&mut self, open: OpenFrame, bytes: &[u8]) -> Frame {
        let mut fragment = bytes.get(..open.left).unwrap_or(bytes);
        let length = fragment.len();
        while !fragment.is_empty() {
            let Some(block) = &mut self.block else { return self.reject() };
            let room = BLOCK_LENGTH_MAX - block.bytes.len();
            let (now, later) = fragment.split_at(room.min(fragment.len()));
            block.bytes.extend_from_slice(now);
            fragment = later;
            // However its parts are cut, it is decoded at the same places.
            if block.bytes.len() == BLOCK_LENGTH_MAX && block.decode(&mut self.decoder) == 0 {
                return self.reject();
            }
        }
        self.passed(length as u64, OpenFrame { left: open.left - length, ..open })
    }

    /// So many bytes of a frame are done with.
    fn passed(&mut self, length: u64, open: OpenFrame) -> Frame {
        if open.left > 0 {
            self.open = Some(open);
            return Frame::Complete(length, None);
        }
        let length = length + open.padding as u64;
        if !open.ends_block {
            return Frame::Complete(length, None);
        }
        let Some(mut block) = self.block.take() else { return self.reject() };
        block.decode(&mut self.decoder);
        let is_whole = block.bytes.is_empty();
        let head = block.head();
        if is_whole { Frame::Complete(length, head) } else { Frame::Reject(head) }
    }

    /// No more can be read, since what is indexed is not known.
    fn reject(&mut self) -> Frame {
        let block = self.block.take().map(|mut block| {
            block.decode(&mut self.decoder);
            block
        });
        Frame::Reject(block.and_then(|block| block.head()))
    }
}

impl Block {
    /// Decodes the fields that are whole; answers how many bytes they are.
    fn decode(&mut self, decoder: &mut Decoder) -> usize {
        let Block { bytes, fields, authority, is_request, is_connect } = self;
        let length = decoder.fields(bytes, &mut |name, value| match name {
            Name::Method => {
                *is_request = true;
                *is_connect = value == b"CONNECT";
            }
            Name::Authority => *authority = fields.host_of(value),
            Name::Host => fields.header(b"host", value),
            Name::Protocol => fields.extended_connect(value),
            Name::ForwardedFor => fields.header(b"x-forwarded-for", value),
            Name::Other => {}
        });
        bytes.drain(..length);
        length
    }

    /// The request; trailers (without `:method`) are none.
    fn head(self) -> Option<Box<Head>> {
        let mut head = self.fields.finish(0);
        head.request.connect = self.is_connect;
        if self.is_connect {
            head.request.authority = self.authority;
        } else {
            head.request.host = self.authority.or(head.request.host);
        }
        self.is_request.then(|| Box::new(head))
    }
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
                Frame::Reject(_) => return None,
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
    }

    /// A literal without indexing, with a name of one byte and a value of so many.
    fn field_of(length: usize) -> Vec<u8> {
        let mut bytes = vec![0, 1, b'x', 0x7f];
        let mut rest = length - 0x7f;
        while rest >= 0x80 {
            bytes.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        bytes.push(rest as u8);
        bytes.resize(bytes.len() + length, b'v');
        bytes
    }

    /// What frames tell that are shown in steps of so many bytes, and whether one was rejected.
    fn hosts_by(bytes: &[u8], step: usize) -> (Vec<String>, bool) {
        let (mut connection, mut found) = (Connection::new(), Vec::new());
        let (mut start, mut end) = (0, 0);
        while end < bytes.len() {
            end = bytes.len().min(end + step);
            while start < end {
                let (length, head, is_rejected) = match connection.frame(&bytes[start..end]) {
                    Frame::Incomplete(_) => break,
                    Frame::Complete(length, head) => (length as usize, head, false),
                    Frame::Reject(head) => (0, head, true),
                };
                found.extend(head.and_then(|head| head.request.host).map(|host| host.to_string()));
                if is_rejected {
                    return (found, true);
                }
                start += length;
            }
        }
        (found, false)
    }

    #[test]
    fn requests_are_found_in_long_header_blocks() {
        let name = "www.example.com";
        let fields = |lengths: &[usize]| {
            lengths.iter().flat_map(|&length| field_of(length)).collect::<Vec<u8>>()
        };
        for (before, behind, is_rejected) in [
            (&[1000; 12][..], &[][..], false),
            (&[], &[1000; 40], false),
            (&[1000; 30], &[1000; 30], false),
            (&[15_000, 16_000], &[16_000], false),
            // One that alone is too long ends it, but not what came in front.
            (&[], &[17_000], true),
        ] {
            let block = [&BLOCK[..3], &fields(before), &BLOCK[3..], &fields(behind)].concat();
            for length in [10, 5_000, 16_384, 100_000] {
                let last = block.chunks(length).len() - 1;
                let frames = block.chunks(length).enumerate().flat_map(|(number, chunk)| {
                    let kind = if number == 0 { frame::HEADERS } else { frame::CONTINUATION };
                    let flags = if number == last { frame::END_HEADERS } else { 0 };
                    let mut frame = frame_of(kind, flags, chunk);
                    frame[..3].copy_from_slice(&(chunk.len() as u32).to_be_bytes()[1..]);
                    frame
                });
                let bytes: Vec<u8> =
                    frames.chain(frame_of(frame::HEADERS, frame::END_HEADERS, BLOCK)).collect();
                for step in [1, 9, 1448, bytes.len()] {
                    let expected = if is_rejected { vec![name] } else { vec![name, name] };
                    let found = hosts_by(&bytes, step);
                    assert_eq!(
                        found,
                        (expected.iter().map(|&n| n.to_owned()).collect(), is_rejected),
                        "{before:?} {behind:?} {length} {step}"
                    );
                }
            }
        }
    }
}
