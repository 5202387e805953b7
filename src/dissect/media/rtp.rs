//! RTP and RTCP (RFC 3550), in the clear or as SRTP (RFC 3711): headers are the same.
//!
//! No packet can be known for RTP by itself. Three of one side are, with one source (SSRC) and
//! numbers that go up by little; so are three reports of one source whose length is right. Several
//! sources may take turns in a flow.

use arrayvec::ArrayVec;

use super::super::tunnel::{Datagram, Side};
use crate::dissect::reader::Reader;

const HEADER_LENGTH: usize = 12;
/// Padding, extension, and a count of four bytes each.
const EXTENSION: u8 = 0x10;
const SOURCES_MASK: u8 = 0x0f;
/// Payload types that would be mistaken for RTCP (RFC 5761, 4).
const RESERVED_TYPES: std::ops::RangeInclusive<u8> = 64..=95;
/// Sender report to extended report (RFC 3550, 12.1; RFC 4585; RFC 3611).
const REPORT_TYPES: std::ops::RangeInclusive<u8> = 200..=207;
/// How far the numbers of two packets one after the other may be apart.
const STEP_MAX: u16 = 32;
/// Packets of a source that prove it.
const PACKETS_MIN: u8 = 3;
/// Sources that are followed at a time.
const SOURCES_MAX: usize = 4;

/// The last packets of each source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Streams(ArrayVec<Stream, SOURCES_MAX>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stream {
    side: Side,
    source: u32,
    /// The last number; none of reports.
    number: Option<u16>,
    packets: u8,
}

impl Streams {
    /// Takes a datagram of version 2, and says whether it proves that the flow is RTP's.
    pub(super) fn packet(&mut self, side: Side, datagram: &Datagram<'_>) -> bool {
        let Some((source, number)) = header(datagram) else { return false };
        let is_same = |known: &&mut Stream| {
            (known.side, known.source, known.number.is_some()) == (side, source, number.is_some())
        };
        let Some(known) = self.0.iter_mut().find(is_same) else {
            if self.0.is_full() {
                self.0.remove(0);
            }
            self.0.push(Stream { side, source, number, packets: 1 });
            return false;
        };
        let step = match (known.number, number) {
            (Some(before), Some(number)) => number.wrapping_sub(before),
            _ => 1,
        };
        known.number = number;
        known.packets = match step {
            0 => known.packets, // Sent again, or copied.
            1..=STEP_MAX => known.packets.saturating_add(1),
            _ => 1,
        };
        known.packets >= PACKETS_MIN
    }
}

/// Source and number of a packet; a report has no number.
fn header(datagram: &Datagram<'_>) -> Option<(u32, Option<u16>)> {
    let mut reader = Reader::new(datagram.bytes);
    let (first, kind) = (reader.u8()?, reader.u8()?);
    let number = reader.u16()?;
    let word = |reader: &mut Reader<'_>| {
        let (high, low) = (reader.u16()?, reader.u16()?);
        Some(u32::from(high) << 16 | u32::from(low))
    };
    if REPORT_TYPES.contains(&kind) {
        // The length in words, without the first; more reports or SRTCP's index and tag may follow.
        let length = 4 * (usize::from(number) + 1);
        let fits = length >= 8 && length <= datagram.length;
        return fits.then_some((word(&mut reader)?, None));
    }
    let _time = word(&mut reader)?;
    let source = word(&mut reader)?;
    let extension = if first & EXTENSION != 0 { 4 } else { 0 };
    let length = HEADER_LENGTH + 4 * usize::from(first & SOURCES_MASK) + extension;
    let is_type = !RESERVED_TYPES.contains(&(kind & 0x7f));
    (is_type && length < datagram.length && source != 0).then_some((source, Some(number)))
}

#[cfg(test)]
mod tests {
    use super::super::super::tunnel::testing::whole;
    use super::*;

    fn packet(kind: u8, number: u16, source: u32) -> Vec<u8> {
        let mut bytes = vec![0x80, kind];
        bytes.extend(number.to_be_bytes());
        bytes.extend((960 * u32::from(number)).to_be_bytes());
        bytes.extend(source.to_be_bytes());
        bytes.resize(92, 0x6d);
        bytes
    }

    fn report(source: u32) -> Vec<u8> {
        let mut bytes = vec![0x81, 201, 0, 7];
        bytes.extend(source.to_be_bytes());
        bytes.resize(46, 0x6d); // With an index and a tag of ten bytes.
        bytes
    }

    /// With which packet the flow is known.
    fn known_at(packets: &[(Side, Vec<u8>)]) -> Option<usize> {
        let mut streams = Streams::default();
        packets.iter().position(|(side, bytes)| streams.packet(*side, &whole(bytes)))
    }

    #[test]
    fn three_numbers_of_one_source_tell() {
        let flow = |numbers: [u16; 3]| {
            known_at(&numbers.map(|number| (0, packet(111, number, 0xdead_beef))))
        };
        assert_eq!(flow([7, 8, 9]), Some(2));
        assert_eq!(flow([65_534, 65_535, 2]), Some(2), "numbers begin again");
        assert_eq!(flow([7, 7, 8]), None);
        assert_eq!(flow([9, 8, 7]), None);
        assert_eq!(flow([7, 8, 100]), None);
    }

    #[test]
    fn sources_may_take_turns_but_not_sides() {
        let (one, two) = (0x1111_1111, 0x2222_2222);
        let turns = [(0, one), (0, two), (0, one), (0, two), (0, one)];
        let mut number = 0;
        let flow = turns.map(|(side, source)| {
            number += 1;
            (side, packet(96, number, source))
        });
        assert_eq!(known_at(&flow), Some(4));
        let flow = [(0, packet(96, 1, one)), (1, packet(96, 2, one)), (0, packet(96, 3, one))];
        assert_eq!(known_at(&flow), None);
        let flow = [1, 2, 3].map(|source| (0, packet(96, source as u16, source)));
        assert_eq!(known_at(&flow), None);
    }

    #[test]
    fn reports_of_one_source_tell() {
        assert_eq!(known_at(&[1, 1, 1].map(|side| (side, report(5)))), Some(2));
        assert_eq!(known_at(&[(1, report(5)), (1, report(6)), (1, report(5))]), None);
        let mut long = report(5);
        long[3] = 60;
        assert_eq!(known_at(&[(1, long.clone()), (1, long.clone()), (1, long)]), None);
    }

    #[test]
    fn other_versions_types_and_lengths_are_no_packets() {
        let right = packet(0, 1, 5);
        assert!(header(&whole(&right)).is_some());
        assert_eq!(header(&whole(&right[..12])), None, "nothing to hear");
        for (at, value) in [(0, 0x9f), (1, 72), (1, 0x80 | 64)] {
            let mut other = right.clone();
            other[at] = value;
            other.truncate(70);
            assert_eq!(header(&whole(&other)), None, "{at}");
        }
        assert_eq!(header(&whole(&packet(0, 1, 0))), None);
    }
}
