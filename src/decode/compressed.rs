//! IP Payload Compression (RFC 3173) with DEFLATE (RFC 2394): what is inside is inflated and
//! walked on.
//!
//! Inflated bytes are not kept: a [`Packet`] says where its compressed data stands in the frame,
//! and [`inflated_payload`] inflates it again for the few packets of whose payload something is
//! wanted. Nothing else of the decoder knows of it; packets that are not compressed pay nothing.
//!
//! Data of another algorithm, damaged or cut data, and what inflates to more than
//! [`INFLATED_BYTES_MAX`] stays a packet of protocol 108 ([`Counter::IpcompOpaque`]).
//!
//! [`Counter::IpcompOpaque`]: crate::stats::Counter::IpcompOpaque

use std::cell::RefCell;

use flate2::{Decompress, FlushDecompress, Status};

use super::walk::{Span, Step, Stop, Walk};
use crate::packet::{Fragment, Packet};

/// The most that one packet may inflate to: more than any MTU in use, and little work for one that
/// was made to be much.
pub const INFLATED_BYTES_MAX: usize = 16 * 1024;

/// Next header, flags, index (RFC 3173, 3.3).
const HEADER_LENGTH: usize = 4;
/// For [`Decompress`]: there is no header of zlib.
const RAW: bool = false;
/// In [`Packet::payload_offset`]: the offset counts in inflated bytes.
const INFLATED: u32 = 1 << 31;

/// Whether the payload of this packet must be inflated before one can look at it.
#[inline]
pub fn is_inflated(packet: &Packet) -> bool {
    packet.payload_offset & INFLATED != 0
}

/// The payload of a packet of which [`is_inflated`] is true, out of the `frame` that it was decoded
/// from. Empty for other packets and other frames.
#[cold]
pub fn inflated_payload<'b>(
    packet: &Packet,
    frame: &[u8],
    buffer: &'b mut [u8; INFLATED_BYTES_MAX],
) -> &'b [u8] {
    if !is_inflated(packet) {
        return &[];
    }
    let data = frame.get(usize::from(packet.fragment_offset)..).unwrap_or_default();
    let inflated = inflate(data, buffer).unwrap_or_default();
    let start = (packet.payload_offset & !INFLATED) as usize;
    inflated.get(start..start + packet.payload_captured as usize).unwrap_or_default()
}

impl Walk {
    /// What an IP packet carries under protocol number 108: the packet that is inside, or, where
    /// that cannot be read, this one without ports.
    ///
    /// The books know the bytes on the wire: a packet inside counts for no more of them than the
    /// one that carries it.
    #[cold]
    pub(super) fn compressed(&mut self, span: Span<'_>) -> Step {
        self.payload(span, span);
        let outer = self.found;
        let step = match self.inflate_and_walk(span) {
            Some(Err(Stop::TOO_DEEP)) => return Err(Stop::TOO_DEEP),
            Some(step) => step,
            None => return Ok(()),
        };
        let data_offset = u16::try_from(span.offset() + HEADER_LENGTH);
        let packet = &mut self.found.packet;
        match (step, data_offset) {
            (Ok(()), Ok(data_offset)) if packet.fragment == Fragment::Whole => {
                packet.bytes = packet.bytes.min(outer.packet.bytes);
                packet.payload_offset |= INFLATED;
                packet.fragment_offset = data_offset;
            }
            _ => self.found = outer,
        }
        Ok(())
    }

    /// `None` where there is nothing that can be inflated.
    #[inline(never)]
    fn inflate_and_walk(&mut self, span: Span<'_>) -> Option<Step> {
        let &[next, _flags, high, low] = span.peek().ok()?;
        // Compressed once more inside: nobody does.
        if !is_deflate(u16::from_be_bytes([high, low])) || !self.enter_inflated() {
            return None;
        }
        let mut buffer = [0; INFLATED_BYTES_MAX];
        let data = inflate(span.captured().get(HEADER_LENGTH..)?, &mut buffer)?;
        Some(self.ip_payload(next, Span::new(data, data.len())))
    }
}

/// Whether an index may stand for DEFLATE: it does itself, and the two sides may have agreed on
/// any that is not assigned (IANA "IPCOMP Transform Identifiers").
fn is_deflate(index: u16) -> bool {
    const DEFLATE: u16 = 2;
    const ASSIGNED_MAX: u16 = 63;
    index == DEFLATE || index > ASSIGNED_MAX
}

/// Inflates a whole stream of DEFLATE; what stands behind its end is left.
fn inflate<'b>(data: &[u8], buffer: &'b mut [u8; INFLATED_BYTES_MAX]) -> Option<&'b [u8]> {
    thread_local! {
        /// Its 40 kB are too many to be asked for again for each packet.
        static STREAM: RefCell<Decompress> = RefCell::new(Decompress::new(RAW));
    }
    let length = STREAM.with_borrow_mut(|stream| {
        stream.reset(RAW);
        match stream.decompress(data, buffer, FlushDecompress::Finish) {
            Ok(Status::StreamEnd) => usize::try_from(stream.total_out()).ok(),
            _ => None,
        }
    })?;
    buffer.get(..length)
}
