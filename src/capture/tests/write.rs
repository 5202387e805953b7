//! Writes captures the plain way, so that reading can be held against it.

use std::io::Cursor;

use proptest::prelude::*;

use crate::capture::reader::Reader;
use crate::capture::{Outcome, Record};
use crate::packet::LinkType;
use crate::time::{NANOS_PER_SECOND, Timestamp};

/// A packet as a test has it and as it must come back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    pub(super) time: Timestamp,
    pub(super) link: LinkType,
    pub(super) wire_length: u32,
    pub(super) frame: Vec<u8>,
}

impl Sample {
    pub(super) fn new(seconds: i64, frame: &[u8]) -> Sample {
        let time = Timestamp::from_parts(seconds, 0);
        let wire_length = frame.len() as u32;
        Sample { time, link: LinkType::ETHERNET, wire_length, frame: frame.to_vec() }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    PcapMicros,
    PcapNanos,
    PcapModified,
    PcapngEnhanced,
    PcapngObsolete,
}

pub(super) const KINDS: [Kind; 5] = [
    Kind::PcapMicros,
    Kind::PcapNanos,
    Kind::PcapModified,
    Kind::PcapngEnhanced,
    Kind::PcapngObsolete,
];

/// A capture and where each of its packets ends in it, in bytes.
#[derive(Clone, Debug)]
pub(super) struct Written {
    pub(super) bytes: Vec<u8>,
    pub(super) header_bytes: usize,
    pub(super) ends: Vec<usize>,
}

/// Bytes in one byte order.
pub(super) struct Writer {
    pub(super) bytes: Vec<u8>,
    pub(super) big_endian: bool,
}

impl Writer {
    pub(super) fn new(big_endian: bool) -> Writer {
        Writer { bytes: Vec::new(), big_endian }
    }

    pub(super) fn u16(&mut self, value: u16) -> &mut Writer {
        let swapped = if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
        self.raw(&swapped)
    }

    pub(super) fn u32(&mut self, value: u32) -> &mut Writer {
        let swapped = if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
        self.raw(&swapped)
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) -> &mut Writer {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// A pcapng block, padded.
    pub(super) fn block(&mut self, kind: u32, body: &[u8]) -> &mut Writer {
        let padded = body.len().next_multiple_of(4);
        let total = padded as u32 + 12;
        self.u32(kind).u32(total).raw(body).raw(&[0; 3][..padded - body.len()]).u32(total)
    }

    /// The body of a block.
    pub(super) fn body(&self, fill: impl FnOnce(&mut Writer)) -> Vec<u8> {
        let mut body = Writer::new(self.big_endian);
        fill(&mut body);
        body.bytes
    }

    pub(super) fn section(&mut self) -> &mut Writer {
        let body = self.body(|body| {
            body.u32(0x1a2b_3c4d).u16(1).u16(0).raw(&[0xff; 8]);
        });
        self.block(0x0a0d_0d0a, &body)
    }

    pub(super) fn interface(
        &mut self,
        link: LinkType,
        snap_length: u32,
        resolution: Option<u8>,
    ) -> &mut Writer {
        let body = self.body(|body| {
            body.u16(link.0).u16(0).u32(snap_length);
            if let Some(code) = resolution {
                // if_name in front, so that options are walked.
                body.u16(2).u16(3).raw(b"tap\0").u16(9).u16(1).raw(&[code, 0, 0, 0]).u32(0);
            }
        });
        self.block(1, &body)
    }

    /// An enhanced packet; `units` as its interface counts them.
    pub(super) fn enhanced(&mut self, interface: u32, units: u64, sample: &Sample) -> &mut Writer {
        let body = self.body(|body| {
            body.u32(interface).u32((units >> 32) as u32).u32(units as u32);
            body.u32(sample.frame.len() as u32).u32(sample.wire_length).raw(&sample.frame);
        });
        self.block(6, &body)
    }
}

pub(super) fn write(kind: Kind, big_endian: bool, samples: &[Sample]) -> Written {
    let mut writer = Writer::new(big_endian);
    match kind {
        Kind::PcapngEnhanced => {
            writer.section().interface(LinkType::ETHERNET, 0, Some(9));
        }
        Kind::PcapngObsolete => {
            writer.section().interface(LinkType::ETHERNET, 0, None);
        }
        Kind::PcapMicros => pcap_header(&mut writer, 0xa1b2_c3d4),
        Kind::PcapNanos => pcap_header(&mut writer, 0xa1b2_3c4d),
        Kind::PcapModified => pcap_header(&mut writer, 0xa1b2_cd34),
    }
    let header_bytes = writer.bytes.len();
    let mut ends = Vec::new();
    for sample in samples {
        let nanos = sample.time.0;
        let captured = sample.frame.len() as u32;
        match kind {
            Kind::PcapngEnhanced => {
                writer.enhanced(0, nanos as u64, sample);
            }
            Kind::PcapngObsolete => {
                let units = nanos as u64 / 1_000;
                let body = writer.body(|body| {
                    body.u16(0).u16(7).u32((units >> 32) as u32).u32(units as u32);
                    body.u32(captured).u32(sample.wire_length).raw(&sample.frame);
                });
                writer.block(2, &body);
            }
            _ => {
                let unit = if kind == Kind::PcapNanos { 1 } else { 1_000 };
                let within = nanos.rem_euclid(NANOS_PER_SECOND) / unit;
                writer.u32(sample.time.seconds() as u32).u32(within as u32);
                writer.u32(captured).u32(sample.wire_length);
                if kind == Kind::PcapModified {
                    writer.raw(&[0; 8]);
                }
                writer.raw(&sample.frame);
            }
        }
        ends.push(writer.bytes.len());
    }
    Written { bytes: writer.bytes, header_bytes, ends }
}

fn pcap_header(writer: &mut Writer, magic: u32) {
    // The upper bits of the link type say how long the frame check sequence is.
    writer.u32(magic).u16(2).u16(4).raw(&[0; 8]).u32(65_535).u32(0x4400_0001);
}

/// Reads a whole capture, with buffers of `size` bytes.
pub(super) fn read(bytes: Vec<u8>, size: usize) -> (Vec<Sample>, Outcome) {
    let mut reader = Reader::new(Box::new(Cursor::new(bytes)), None);
    let (mut free, mut records) = (Vec::new(), Vec::new());
    let mut samples = Vec::new();
    loop {
        let buffer = reader.fill(&mut free, size, &mut records);
        if records.is_empty() {
            return (samples, reader.take_ending().expect("no packets mean the end"));
        }
        samples.extend(records.iter().map(|record| sample(record, &buffer)));
    }
}

fn sample(record: &Record, buffer: &[u8]) -> Sample {
    let &Record { time, link, wire_length, offset, captured, buffer: _ } = record;
    let frame = buffer[offset as usize..][..captured as usize].to_vec();
    Sample { time, link, wire_length, frame }
}

pub(in crate::capture) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, bytes).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

/// Packets with stamps in whole microseconds, which every format can hold.
pub(super) fn samples(count: usize) -> impl Strategy<Value = Vec<Sample>> {
    let frame = proptest::collection::vec(any::<u8>(), 0..200);
    let sample =
        (0..4_000_000_000_000_000_i64, frame, 0..2_000_u32).prop_map(|(micros, frame, missing)| {
            Sample {
                time: Timestamp(micros * 1_000),
                link: LinkType::ETHERNET,
                wire_length: frame.len() as u32 + missing,
                frame,
            }
        });
    proptest::collection::vec(sample, 0..count)
}
