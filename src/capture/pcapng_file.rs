//! The pcapng file format: sections of blocks, each with its type and, twice, its length
//! (draft-ietf-opsawg-pcapng).
//!
//! Reads section headers (both byte orders, changing from section to section), interface
//! descriptions (link type, snap length, `if_tsresol`, `if_tsoffset`), enhanced, simple and
//! obsolete packet blocks. Skips all others, also the options of packets.

use std::ops::Range;

use super::format::{Damage, Detected, Format, NotACapture, Walked};
use super::scout::{Gait, Scouts};
use super::{FRAME_BYTES_MAX, RECORD_BYTES_MAX, Record};
use crate::packet::LinkType;
use crate::time::{NANOS_PER_SECOND, Timestamp};

/// How many interfaces of a section are kept. Files merged from many have some hundreds.
const INTERFACES_MAX: usize = 65_536;

/// Reads the same in both byte orders (draft, 4.1).
const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
const INTERFACE_DESCRIPTION: u32 = 1;
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

/// Type and length in front of a block's body, and the length behind it.
const BLOCK_HEAD_BYTES: usize = 8;
const BLOCK_TAIL_BYTES: usize = 4;
const BLOCK_BYTES_MIN: usize = BLOCK_HEAD_BYTES + BLOCK_TAIL_BYTES;
/// Interface, stamp and lengths in front of a packet's frame.
const PACKET_HEADER_BYTES: usize = 20;
const STAMPED_PACKET_BYTES_MIN: usize = BLOCK_BYTES_MIN + PACKET_HEADER_BYTES;

/// Option codes of an interface description (draft, 4.2).
const OPTION_END: u16 = 0;
const OPTION_TIMESTAMP_RESOLUTION: u16 = 9;
const OPTION_TIMESTAMP_OFFSET: u16 = 14;

/// The current section: its byte order and the interfaces it has described so far.
#[derive(Debug, Default)]
pub(super) struct Sections {
    big_endian: bool,
    interfaces: Vec<Interface>,
    /// What a simple packet, which has no stamp, is given.
    last_time: Timestamp,
    /// How often the byte order or the interfaces have changed.
    changes: usize,
}

/// An interface description.
#[derive(Clone, Copy, Debug)]
struct Interface {
    link: LinkType,
    /// Bytes of a frame that are captured at most; 0 means all.
    snap_length: u32,
    resolution: Resolution,
    offset_seconds: i64,
}

/// What a unit of a stamp is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Resolution {
    /// So many nanoseconds: 10^-9 s and coarser.
    Nanos(u64),
    /// So many to a nanosecond: finer decimal fractions of a second.
    PerNano(u128),
    /// 2^-n of a second.
    Binary(u8),
}

impl Sections {
    /// `None` when the file does not begin as pcapng does.
    pub(super) fn detect(bytes: &[u8]) -> Option<Detected> {
        let [a, b, c, d] = *bytes.first_chunk::<4>()?;
        if u32::from_le_bytes([a, b, c, d]) != SECTION_HEADER {
            return None;
        }
        let Some(head) = bytes.first_chunk::<16>() else {
            return Some(Detected::Cut);
        };
        let body = head.get(BLOCK_HEAD_BYTES..).unwrap_or_default();
        Some(match Sections::default().begin_section(body) {
            Ok(()) => Detected::Capture(Format::Pcapng(Sections::default()), 0),
            Err(Damage::Version(major, minor)) => {
                Detected::NotACapture(NotACapture::Version("pcapng", major, minor))
            }
            Err(_) => Detected::NotACapture(NotACapture::Known(
                "something that begins like pcapng but has no byte-order magic",
            )),
        })
    }

    /// Adds the whole records in `bytes` that begin in `range`, at whose start one does.
    pub(super) fn walk(
        &mut self,
        bytes: &[u8],
        range: Range<usize>,
        records: &mut Vec<Record>,
    ) -> Walked {
        let mut at = range.start;
        while at < range.end {
            match self.block(bytes, at, records) {
                Ok(Some(length)) => at += length,
                Ok(None) => break,
                Err(damage) => return Walked { consumed: at, damage: Some(damage) },
            }
        }
        Walked { consumed: at, damage: None }
    }

    /// As [`Sections::walk`], by scouts.
    pub(super) fn scout(
        &mut self,
        scouts: &mut Scouts,
        bytes: &[u8],
        range: Range<usize>,
        records: &mut Vec<Record>,
    ) -> Walked {
        // What changes the byte order ends what scouts have listed, so that it is a constant here.
        if self.big_endian {
            scouts.list(bytes, range, &mut Steps::<true>(self), records)
        } else {
            scouts.list(bytes, range, &mut Steps::<false>(self), records)
        }
    }

    /// Takes the block at `at`: its length, or `None` when it is not all there.
    #[inline]
    fn block(
        &mut self,
        bytes: &[u8],
        at: usize,
        records: &mut Vec<Record>,
    ) -> Result<Option<usize>, Damage> {
        let rest = bytes.get(at..).unwrap_or_default();
        let (Some(kind), Some(magic)) = (self.u32(rest, 0), self.u32(rest, BLOCK_HEAD_BYTES))
        else {
            return Ok(None);
        };
        if kind == SECTION_HEADER {
            // The length in front is in the order that the magic behind it tells.
            self.big_endian = self.order(magic)?;
            self.changes += 1;
        }
        let order = self.big_endian;
        let Some((total, body)) = whole_block(rest, order)? else { return Ok(None) };
        let offset = at + BLOCK_HEAD_BYTES;
        let short = Damage::BlockLength(total as u32);
        match kind {
            ENHANCED_PACKET => {
                let interface = self.u32(body, 0).ok_or(short)?;
                let record = self.stamped_packet(body, offset, interface, short, order)?;
                self.last_time = record.time;
                records.push(record);
            }
            OBSOLETE_PACKET => {
                let interface = self.u16(body, 0).ok_or(short)?;
                let record = self.stamped_packet(body, offset, interface.into(), short, order)?;
                self.last_time = record.time;
                records.push(record);
            }
            SIMPLE_PACKET => records.push(self.simple_packet(body, offset, short)?),
            INTERFACE_DESCRIPTION => {
                if self.interfaces.len() >= INTERFACES_MAX {
                    return Err(Damage::TooManyInterfaces(INTERFACES_MAX));
                }
                self.interfaces.push(self.interface(body, short)?);
                self.changes += 1;
            }
            SECTION_HEADER => self.begin_section(body)?,
            _ => {}
        }
        Ok(Some(total))
    }

    /// A new section: what was known of the one before is void. Its options say who wrote it and
    /// are not looked at; nor is its length, since it is walked through in any case.
    fn begin_section(&mut self, body: &[u8]) -> Result<(), Damage> {
        let magic = self.u32(body, 0).ok_or(Damage::CutHeader)?;
        self.big_endian = self.order(magic)?;
        let (Some(major), Some(minor)) = (self.u16(body, 4), self.u16(body, 6)) else {
            return Err(Damage::CutHeader);
        };
        // Some writers put 1.2 where 1.0 is meant (draft, 4.1).
        if major != 1 || !matches!(minor, 0 | 2) {
            return Err(Damage::Version(major, minor));
        }
        self.interfaces.clear();
        Ok(())
    }

    /// Whether the section whose magic reads as `magic` in the present order is big-endian.
    fn order(&self, magic: u32) -> Result<bool, Damage> {
        if magic == BYTE_ORDER_MAGIC {
            Ok(self.big_endian)
        } else if magic.swap_bytes() == BYTE_ORDER_MAGIC {
            Ok(!self.big_endian)
        } else {
            Err(Damage::ByteOrder(magic))
        }
    }

    /// Link type, reserved field, snap length, options (draft, 4.2).
    fn interface(&self, body: &[u8], short: Damage) -> Result<Interface, Damage> {
        let mut interface = Interface {
            link: LinkType(self.u16(body, 0).ok_or(short)?),
            snap_length: self.u32(body, 4).ok_or(short)?,
            resolution: Resolution::Nanos(1_000),
            offset_seconds: 0,
        };
        let mut options = body.get(8..).unwrap_or_default();
        while let (Some(code), Some(length)) = (self.u16(options, 0), self.u16(options, 2)) {
            if code == OPTION_END {
                break;
            }
            let wrong = Damage::OptionLength(code);
            let value = options.get(4..4 + usize::from(length)).ok_or(wrong)?;
            match code {
                OPTION_TIMESTAMP_RESOLUTION => {
                    let [code] = *value.first_chunk().ok_or(wrong)?;
                    interface.resolution = Resolution::from_option(code);
                }
                OPTION_TIMESTAMP_OFFSET => {
                    let value = *value.first_chunk().ok_or(wrong)?;
                    interface.offset_seconds = match self.big_endian {
                        true => i64::from_be_bytes(value),
                        false => i64::from_le_bytes(value),
                    };
                }
                _ => {}
            }
            // A last option without its padding is met in practice; there is nothing behind it.
            let next = 4 + usize::from(length).next_multiple_of(4);
            options = options.get(next..).unwrap_or_default();
        }
        Ok(interface)
    }

    /// The enhanced packet block and the obsolete one, which differ in how they name their
    /// interface: stamp at 4 and 8, captured length at 12, wire length at 16, frame at 20.
    #[inline(always)]
    fn stamped_packet(
        &self,
        body: &[u8],
        offset: usize,
        interface_id: u32,
        short: Damage,
        big_endian: bool,
    ) -> Result<Record, Damage> {
        let Some((fields, frame)) = body.split_first_chunk::<PACKET_HEADER_BYTES>() else {
            return Err(short);
        };
        let field = |at| u32_at(fields, at, big_endian).unwrap_or_default();
        let (high, low, captured, wire_length) = (field(4), field(8), field(12), field(16));
        let interface = self
            .interfaces
            .get(interface_id as usize)
            .ok_or(Damage::UnknownInterface(interface_id))?;
        if captured > FRAME_BYTES_MAX {
            return Err(Damage::FrameTooLong(captured));
        }
        if captured as usize > frame.len() {
            return Err(Damage::FrameBeyondBlock(captured));
        }
        Ok(Record {
            time: interface.time((u64::from(high) << 32) | u64::from(low)),
            offset: (offset + PACKET_HEADER_BYTES) as u32,
            captured,
            wire_length: wire_length.max(captured),
            buffer: 0,
            link: interface.link,
        })
    }

    /// The simple packet block: the wire length, then as much of the frame as interface 0 captures.
    fn simple_packet(&self, body: &[u8], offset: usize, short: Damage) -> Result<Record, Damage> {
        const FRAME: usize = 4;
        let wire_length = self.u32(body, 0).ok_or(short)?;
        let interface = self.interfaces.first().ok_or(Damage::UnknownInterface(0))?;
        let captured = match interface.snap_length {
            0 => wire_length,
            snap_length => wire_length.min(snap_length),
        };
        if captured > FRAME_BYTES_MAX {
            return Err(Damage::FrameTooLong(captured));
        }
        if captured as usize > body.len() - FRAME {
            return Err(Damage::FrameBeyondBlock(captured));
        }
        Ok(Record {
            time: self.last_time,
            offset: (offset + FRAME) as u32,
            captured,
            wire_length,
            buffer: 0,
            link: interface.link,
        })
    }

    #[inline]
    fn u32(&self, bytes: &[u8], at: usize) -> Option<u32> {
        u32_at(bytes, at, self.big_endian)
    }

    #[inline]
    fn u16(&self, bytes: &[u8], at: usize) -> Option<u16> {
        let field = *bytes.get(at..)?.first_chunk()?;
        Some(if self.big_endian { u16::from_be_bytes(field) } else { u16::from_le_bytes(field) })
    }
}

/// From enhanced packet to enhanced packet, as scouts go: nearly all blocks are that.
struct Steps<'a, const BIG_ENDIAN: bool>(&'a mut Sections);

impl<const BIG_ENDIAN: bool> Gait for Steps<'_, BIG_ENDIAN> {
    #[inline(always)]
    fn step(&self, bytes: &[u8], at: usize) -> Option<(Record, usize)> {
        let rest = bytes.get(at..).filter(|rest| rest.len() >= STAMPED_PACKET_BYTES_MIN)?;
        if u32_at(rest, 0, BIG_ENDIAN)? != ENHANCED_PACKET {
            return None;
        }
        let (total, body) = whole_block(rest, BIG_ENDIAN).ok()??;
        let interface = u32_at(body, 0, BIG_ENDIAN)?;
        let (offset, short) = (at + BLOCK_HEAD_BYTES, Damage::CutRecord);
        let record = self.0.stamped_packet(body, offset, interface, short, BIG_ENDIAN).ok()?;
        Some((record, at + total))
    }

    fn mark<'a>(&self, bytes: &'a [u8], at: usize) -> Option<(&'a [u8], usize)> {
        let kind = bytes.get(at..at + 4)?;
        (u32_at(kind, 0, BIG_ENDIAN)? == ENHANCED_PACKET).then_some((kind, 0))
    }

    /// The second length of the block at `next`, which is looked at together with its header, and the
    /// header of the block behind it.
    #[inline(always)]
    fn far(&self, bytes: &[u8], next: usize) -> Range<usize> {
        let length = bytes.get(next..).and_then(|rest| u32_at(rest, 4, BIG_ENDIAN));
        let behind = next + length.unwrap_or_default() as usize;
        behind.saturating_sub(BLOCK_TAIL_BYTES)..behind + BLOCK_HEAD_BYTES + PACKET_HEADER_BYTES
    }

    fn walk(&mut self, bytes: &[u8], range: Range<usize>, records: &mut Vec<Record>) -> Walked {
        self.0.walk(bytes, range, records)
    }

    fn changes(&self) -> usize {
        self.0.changes
    }

    fn pass(&mut self, last: &Record) {
        self.0.last_time = last.time;
    }
}

/// The length of the block with which `rest` begins, and its body; none where it is not all there.
#[inline(always)]
fn whole_block(rest: &[u8], big_endian: bool) -> Result<Option<(usize, &[u8])>, Damage> {
    let length = u32_at(rest, 4, big_endian).unwrap_or_default();
    let total = length as usize;
    if !(BLOCK_BYTES_MIN..=RECORD_BYTES_MAX).contains(&total) || !total.is_multiple_of(4) {
        return Err(Damage::BlockLength(length));
    }
    let Some(block) = rest.get(..total) else { return Ok(None) };
    let again = u32_at(block, total - BLOCK_TAIL_BYTES, big_endian).unwrap_or_default();
    if again != length {
        return Err(Damage::BlockLengthsDiffer(length, again));
    }
    let body = block.get(BLOCK_HEAD_BYTES..total - BLOCK_TAIL_BYTES).unwrap_or_default();
    Ok(Some((total, body)))
}

#[inline(always)]
fn u32_at(bytes: &[u8], at: usize, big_endian: bool) -> Option<u32> {
    let field = *bytes.get(at..)?.first_chunk()?;
    Some(if big_endian { u32::from_be_bytes(field) } else { u32::from_le_bytes(field) })
}

impl Interface {
    /// A stamp of this interface; saturates at the ends of the range.
    #[inline]
    fn time(&self, units: u64) -> Timestamp {
        let nanos = match self.resolution {
            Resolution::Nanos(nanos) => {
                units.checked_mul(nanos).and_then(|nanos| i64::try_from(nanos).ok())
            }
            Resolution::PerNano(units_per_nano) => {
                i64::try_from(u128::from(units) / units_per_nano).ok()
            }
            Resolution::Binary(power) => {
                i64::try_from((u128::from(units) * NANOS_PER_SECOND as u128) >> power).ok()
            }
        };
        let offset = self.offset_seconds.saturating_mul(NANOS_PER_SECOND);
        Timestamp(nanos.unwrap_or(i64::MAX)).offset(offset)
    }
}

impl Resolution {
    /// `if_tsresol`: the exponent, of 2 with the highest bit set, else of 10 (draft, 4.2).
    fn from_option(code: u8) -> Resolution {
        let power = code & 0x7f;
        if code & 0x80 != 0 {
            Resolution::Binary(power)
        } else if power <= 9 {
            Resolution::Nanos(10_u64.pow(9 - u32::from(power)))
        } else {
            // Finer than 10^-38 s, nothing that 64 bits hold lasts a nanosecond.
            let units = 10_u128.checked_pow(u32::from(power) - 9);
            Resolution::PerNano(units.unwrap_or(u128::MAX))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(option: u8, offset_seconds: i64, units: u64) -> i64 {
        let resolution = Resolution::from_option(option);
        let link = LinkType::ETHERNET;
        Interface { link, snap_length: 0, resolution, offset_seconds }.time(units).0
    }

    #[test]
    fn stamps_of_every_resolution() {
        assert_eq!(time(0, 0, 3), 3_000_000_000);
        assert_eq!(time(6, 0, 1_500_000), 1_500_000_000);
        assert_eq!(time(9, 2, 7), 2_000_000_007);
        assert_eq!(time(12, 0, 7_999), 7);
        assert_eq!(time(127, 0, u64::MAX), 0);
        assert_eq!(time(0x80 | 10, -1, 1_536), 500_000_000);
        assert_eq!(time(0xff, 0, u64::MAX), 0);
        assert_eq!(time(0, i64::MAX, u64::MAX), i64::MAX);
    }
}
