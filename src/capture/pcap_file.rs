//! The pcap file format: a 24-byte file header, then records of a 16-byte header and a frame
//! (draft-ietf-opsawg-pcap).
//!
//! Reads microseconds and nanoseconds, both byte orders, and the "modified" variant of
//! A. Kuznetzov, whose record headers have 8 bytes more. Does not read versions before 2.3, whose
//! two lengths stand the other way round.

use super::format::{Damage, Detected, Format, HEADER_BYTES, NotACapture, Walked};
use super::scout::Gait;
use super::{FRAME_BYTES_MAX, Record};
use crate::packet::LinkType;
use crate::time::{NANOS_PER_SECOND, Timestamp};

/// Stamps in microseconds.
const MAGIC_MICROS: u32 = 0xa1b2_c3d4;
/// Stamps in nanoseconds.
const MAGIC_NANOS: u32 = 0xa1b2_3c4d;
/// Kuznetzov's variant: interface, protocol and packet type behind the two lengths.
const MAGIC_MODIFIED: u32 = 0xa1b2_cd34;

/// What a pcap file's header tells about its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PcapFormat {
    big_endian: bool,
    /// Nanoseconds in a unit of the stamps' second field.
    unit_nanos: i64,
    record_header_bytes: usize,
    link: LinkType,
}

impl PcapFormat {
    /// `None` when the file does not begin as pcap does.
    pub(super) fn detect(bytes: &[u8]) -> Option<Detected> {
        let magic = *bytes.first_chunk::<4>()?;
        let (big_endian, unit_nanos, record_header_bytes) =
            match (u32::from_le_bytes(magic), u32::from_be_bytes(magic)) {
                (MAGIC_MICROS, _) => (false, 1_000, 16),
                (_, MAGIC_MICROS) => (true, 1_000, 16),
                (MAGIC_NANOS, _) => (false, 1, 16),
                (_, MAGIC_NANOS) => (true, 1, 16),
                (MAGIC_MODIFIED, _) => (false, 1_000, 24),
                (_, MAGIC_MODIFIED) => (true, 1_000, 24),
                _ => return None,
            };
        let Some(header) = bytes.first_chunk::<HEADER_BYTES>() else {
            return Some(Detected::Cut);
        };
        let [_, _, _, _, a, b, c, d, .., w, x, y, z] = *header;
        let (major, minor, link) = if big_endian {
            // The upper 16 bits tell the length of a frame check sequence (draft, 4).
            (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]), u16::from_be_bytes([y, z]))
        } else {
            (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]), u16::from_le_bytes([w, x]))
        };
        if major != 2 || minor < 3 {
            return Some(Detected::NotACapture(NotACapture::Version("pcap", major, minor)));
        }
        let link = LinkType(link);
        let format = PcapFormat { big_endian, unit_nanos, record_header_bytes, link };
        Some(Detected::Capture(Format::Pcap(format), HEADER_BYTES))
    }

    /// Adds the whole records in `bytes` from `start` on.
    pub(super) fn walk(&self, bytes: &[u8], start: usize, records: &mut Vec<Record>) -> Walked {
        // The byte order and the header's length are constants of the loop: this is the straight
        // path of every packet that comes from a file.
        match (self.big_endian, self.record_header_bytes) {
            (false, 16) => self.walk_as::<false, 16>(bytes, start, records),
            (true, 16) => self.walk_as::<true, 16>(bytes, start, records),
            (false, _) => self.walk_as::<false, 24>(bytes, start, records),
            (true, _) => self.walk_as::<true, 24>(bytes, start, records),
        }
    }

    #[inline]
    fn walk_as<const BIG_ENDIAN: bool, const HEADER: usize>(
        &self,
        bytes: &[u8],
        start: usize,
        records: &mut Vec<Record>,
    ) -> Walked {
        let mut rest = bytes.get(start..).unwrap_or_default();
        let damage = loop {
            let Some((header, behind)) = rest.split_first_chunk::<HEADER>() else { break None };
            let Some(header) = header.first_chunk() else { break None };
            let (seconds, units, captured, wire_length) = header_fields::<BIG_ENDIAN>(header);
            if captured > FRAME_BYTES_MAX {
                break Some(Damage::FrameTooLong(captured));
            }
            let Some(next) = behind.get(captured as usize..) else { break None };
            // Neither product can overflow: both fields are 32 bits.
            let time = i64::from(seconds) * NANOS_PER_SECOND + i64::from(units) * self.unit_nanos;
            records.push(Record {
                time: Timestamp(time),
                offset: (bytes.len() - behind.len()) as u32,
                captured,
                wire_length: wire_length.max(captured),
                buffer: 0,
                link: self.link,
            });
            rest = next;
        };
        Walked { consumed: bytes.len() - rest.len(), damage }
    }
}

impl Gait for PcapFormat {
    #[inline]
    fn length(&self, bytes: &[u8], at: usize) -> Option<usize> {
        let header = bytes.get(at..)?.first_chunk()?;
        let (_, _, captured, wire_length) = match self.big_endian {
            true => header_fields::<true>(header),
            false => header_fields::<false>(header),
        };
        // Nobody captures more than there was; and zeros, of which there are many, are no record.
        let is_one = (1..=FRAME_BYTES_MAX.min(wire_length)).contains(&captured);
        is_one.then_some(self.record_header_bytes + captured as usize)
    }

    /// The upper bytes of the seconds, which stay the same for some minutes.
    fn mark<'a>(&self, bytes: &'a [u8], at: usize) -> Option<(&'a [u8], usize)> {
        let offset = usize::from(!self.big_endian);
        Some((bytes.get(at + offset..at + offset + 3)?, offset))
    }
}

/// Seconds, fraction of the second, captured length, wire length.
#[inline]
fn header_fields<const BIG_ENDIAN: bool>(header: &[u8; 16]) -> (u32, u32, u32, u32) {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = *header;
    let field = if BIG_ENDIAN { u32::from_be_bytes } else { u32::from_le_bytes };
    (field([a, b, c, d]), field([e, f, g, h]), field([i, j, k, l]), field([m, n, o, p]))
}
