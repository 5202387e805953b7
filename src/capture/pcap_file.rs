//! The pcap file format: a 24-byte file header, then records of a 16-byte header and a frame
//! (draft-ietf-opsawg-pcap).
//!
//! Reads microseconds and nanoseconds, both byte orders, and the "modified" variant of
//! A. Kuznetzov, whose record headers have 8 bytes more. Does not read versions before 2.3, whose
//! two lengths stand the other way round.

use std::ops::Range;

use super::format::{Damage, Detected, Format, HEADER_BYTES, NotACapture, Walked};
use super::scout::{Gait, Scouts};
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
            (false, 16) => self.walk_as::<false, 16>(bytes, start..bytes.len(), records),
            (true, 16) => self.walk_as::<true, 16>(bytes, start..bytes.len(), records),
            (false, _) => self.walk_as::<false, 24>(bytes, start..bytes.len(), records),
            (true, _) => self.walk_as::<true, 24>(bytes, start..bytes.len(), records),
        }
    }

    /// As [`PcapFormat::walk`], of records that begin in `range`, by scouts.
    pub(super) fn scout(
        &self,
        scouts: &mut Scouts,
        bytes: &[u8],
        range: Range<usize>,
        records: &mut Vec<Record>,
    ) -> Walked {
        match (self.big_endian, self.record_header_bytes) {
            (false, 16) => scouts.list(bytes, range, &mut Steps::<false, 16>(self), records),
            (true, 16) => scouts.list(bytes, range, &mut Steps::<true, 16>(self), records),
            (false, _) => scouts.list(bytes, range, &mut Steps::<false, 24>(self), records),
            (true, _) => scouts.list(bytes, range, &mut Steps::<true, 24>(self), records),
        }
    }

    /// Adds the whole records in `bytes` that begin in `range`, at whose start one does.
    #[inline]
    fn walk_as<const BIG_ENDIAN: bool, const HEADER: usize>(
        &self,
        bytes: &[u8],
        range: Range<usize>,
        records: &mut Vec<Record>,
    ) -> Walked {
        let mut rest = bytes.get(range.start..).unwrap_or_default();
        let rest_at_end = bytes.len().saturating_sub(range.end);
        let damage = loop {
            if rest.len() <= rest_at_end {
                break None;
            }
            let Some((header, behind)) = rest.split_first_chunk::<HEADER>() else { break None };
            let Some(header) = header.first_chunk() else { break None };
            let fields = header_fields::<BIG_ENDIAN>(header);
            let captured = fields.2;
            if captured > FRAME_BYTES_MAX {
                break Some(Damage::FrameTooLong(captured));
            }
            let Some(next) = behind.get(captured as usize..) else { break None };
            let fields = (fields.0, fields.1, captured, fields.3.max(captured));
            records.push(self.record(fields, bytes.len() - behind.len()));
            rest = next;
        };
        Walked { consumed: bytes.len() - rest.len(), damage }
    }

    /// What a record's header says of the frame at `offset`; its wire length is no less than what was
    /// captured.
    #[inline(always)]
    fn record(
        &self,
        (seconds, units, captured, wire_length): (u32, u32, u32, u32),
        offset: usize,
    ) -> Record {
        // Neither product can overflow: both fields are 32 bits.
        let time = i64::from(seconds) * NANOS_PER_SECOND + i64::from(units) * self.unit_nanos;
        Record {
            time: Timestamp(time),
            offset: offset as u32,
            captured,
            wire_length,
            buffer: 0,
            link: self.link,
        }
    }
}

/// A pcap file as nearly all are: little-endian, with record headers of 16 bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct PlainPcap(PcapFormat);

impl PlainPcap {
    /// Bytes of a record's header.
    pub(super) const HEADER_BYTES: usize = 16;

    /// `format`, if it is such a file's.
    pub(super) fn of(format: PcapFormat) -> Option<PlainPcap> {
        (!format.big_endian && format.record_header_bytes == Self::HEADER_BYTES)
            .then_some(PlainPcap(format))
    }

    /// The record at `at` and its frame; none where it is not whole, or may be none.
    #[inline(always)]
    pub(super) fn step<'a>(&self, bytes: &'a [u8], at: usize) -> Option<(Record, &'a [u8])> {
        Steps::<false, { PlainPcap::HEADER_BYTES }>(&self.0).plain(bytes, at)
    }
}

/// From record to record, as scouts go.
struct Steps<'a, const BIG_ENDIAN: bool, const HEADER: usize>(&'a PcapFormat);

impl<const BIG_ENDIAN: bool, const HEADER: usize> Steps<'_, BIG_ENDIAN, HEADER> {
    /// The record at `at` and its frame, as [`Gait::step`] wants one.
    #[inline(always)]
    fn plain<'a>(&self, bytes: &'a [u8], at: usize) -> Option<(Record, &'a [u8])> {
        let (header, behind) = bytes.get(at..)?.split_first_chunk::<HEADER>()?;
        let fields = header_fields::<BIG_ENDIAN>(header.first_chunk()?);
        let (_, _, captured, wire_length) = fields;
        // Nobody captures more than there was; and zeros, of which there are many, are no record.
        if captured.wrapping_sub(1) >= FRAME_BYTES_MAX.min(wire_length) {
            return None;
        }
        let frame = behind.get(..captured as usize)?;
        Some((self.0.record(fields, at + HEADER), frame))
    }
}

impl<const BIG_ENDIAN: bool, const HEADER: usize> Gait for Steps<'_, BIG_ENDIAN, HEADER> {
    #[inline(always)]
    fn step(&self, bytes: &[u8], at: usize) -> Option<(Record, usize)> {
        let (record, frame) = self.plain(bytes, at)?;
        Some((record, at + HEADER + frame.len()))
    }

    /// The upper bytes of the seconds, which stay the same for some minutes.
    fn mark<'a>(&self, bytes: &'a [u8], at: usize) -> Option<(&'a [u8], usize)> {
        let offset = usize::from(!BIG_ENDIAN);
        Some((bytes.get(at + offset..at + offset + 3)?, offset))
    }

    fn walk(&mut self, bytes: &[u8], range: Range<usize>, records: &mut Vec<Record>) -> Walked {
        self.0.walk_as::<BIG_ENDIAN, HEADER>(bytes, range, records)
    }
}

/// Seconds, fraction of the second, captured length, wire length.
#[inline]
fn header_fields<const BIG_ENDIAN: bool>(header: &[u8; 16]) -> (u32, u32, u32, u32) {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = *header;
    let field = if BIG_ENDIAN { u32::from_be_bytes } else { u32::from_le_bytes };
    (field([a, b, c, d]), field([e, f, g, h]), field([i, j, k, l]), field([m, n, o, p]))
}
