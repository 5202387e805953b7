//! Single files: what was written is read, whatever the format and the buffer's size, and what is
//! damaged is named.

use std::io::Read;
use std::sync::Arc;

use proptest::prelude::*;

use super::write::{KINDS, Kind, Sample, Writer, gzip, read, samples, write, zstd};
use crate::capture::source::{Progress, unpack};
use crate::capture::{Damage, NotACapture, Outcome};
use crate::packet::LinkType;
use crate::time::Timestamp;

proptest! {
    #[test]
    fn what_is_written_is_read(
        samples in samples(30),
        kind in proptest::sample::select(&KINDS[..]),
        big_endian: bool,
        size in 1..2_000_usize,
    ) {
        let written = write(kind, big_endian, &samples);
        prop_assert_eq!(read(written.bytes, size), (samples, Outcome::Whole));
    }

    #[test]
    fn a_cut_keeps_all_before_it_and_is_named(
        samples in samples(12),
        kind in proptest::sample::select(&KINDS[..]),
        big_endian: bool,
        size in 1..500_usize,
        cut in any::<prop::sample::Index>(),
    ) {
        let written = write(kind, big_endian, &samples);
        let cut = cut.index(written.bytes.len() + 1).max(16);
        let (kept, outcome) = read(written.bytes[..cut].to_vec(), size);
        let whole = written.ends.iter().filter(|&&end| end <= cut).count();
        prop_assert_eq!(&kept[..], &samples[..whole]);
        // Where the last whole thing ends: a packet, or the headers in front of all.
        let before = written.ends[..whole].last().copied().unwrap_or(written.header_bytes);
        if cut >= written.header_bytes {
            let clean = cut == before;
            let offset = before as u64;
            let damaged = Outcome::Damaged { offset, why: Damage::CutRecord };
            prop_assert_eq!(outcome, if clean { Outcome::Whole } else { damaged });
        } else if matches!(kind, Kind::PcapngEnhanced | Kind::PcapngObsolete) {
            // Between the headers of pcapng there are ends, too.
            let plausible = matches!(
                outcome,
                Outcome::Whole | Outcome::Damaged { why: Damage::CutRecord, .. }
            );
            prop_assert!(plausible, "{:?}", outcome);
        } else {
            prop_assert_eq!(outcome, Outcome::Damaged { offset: 0, why: Damage::CutHeader });
        }
    }

    #[test]
    fn no_bytes_make_it_panic_or_read_beyond_them(
        samples in samples(8),
        kind in proptest::sample::select(&KINDS[..]),
        big_endian: bool,
        size in 1..500_usize,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
    ) {
        let mut bytes = write(kind, big_endian, &samples).bytes;
        for (place, value) in changes {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        let length = bytes.len();
        let (kept, outcome) = read(bytes, size);
        prop_assert!(kept.iter().all(|sample| sample.frame.len() < length));
        prop_assert!(kept.iter().all(|sample| sample.wire_length as usize >= sample.frame.len()));
        if let Outcome::Damaged { offset, .. } = outcome {
            prop_assert!(offset <= length as u64);
        }
    }
}

proptest! {
    #[test]
    fn no_compressed_bytes_make_it_panic(
        samples in samples(20),
        pack in proptest::sample::select(&[gzip as fn(&[u8]) -> Vec<u8>, zstd][..]),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let bytes = write(Kind::PcapMicros, false, &samples).bytes;
        let mut packed = pack(&bytes);
        for &(place, value) in &changes {
            let place = place.index(packed.len());
            packed[place] = value;
        }
        // Most changes are noticed; those of names and times in the headers need not be.
        if let Ok(unpacked) = unpacked(packed) && changes.is_empty() {
            prop_assert_eq!(unpacked, bytes);
        }
    }
}

#[test]
fn a_frame_longer_than_the_buffer_makes_it_grow() {
    let samples = [Sample::new(1, &[7; 200_000]), Sample::new(2, &[8; 10])];
    for kind in KINDS {
        let written = write(kind, false, &samples);
        assert_eq!(read(written.bytes, 4_096), (samples.to_vec(), Outcome::Whole), "{kind:?}");
    }
}

#[test]
fn lengths_beyond_belief_are_damage() {
    let mut file = write(Kind::PcapMicros, false, &[Sample::new(1, b"kept")]);
    let offset = file.bytes.len() as u64;
    file.bytes.extend([0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 4, 0, 1, 0, 4, 0]);
    let (kept, outcome) = read(file.bytes, 100);
    assert_eq!(kept.len(), 1);
    assert_eq!(outcome, Outcome::Damaged { offset, why: Damage::FrameTooLong(262_145) });

    let mut writer = Writer::new(true);
    writer.section();
    let offset = writer.bytes.len() as u64;
    writer.u32(77).u32(0x7fff_fffc).u32(0);
    let (_, outcome) = read(writer.bytes, 100);
    assert_eq!(outcome, Outcome::Damaged { offset, why: Damage::BlockLength(0x7fff_fffc) });
}

#[test]
fn sections_may_change_byte_order_and_interfaces_their_link_types_and_clocks() {
    let sample = |seconds, nanos, link, frame: &[u8]| Sample {
        time: Timestamp::from_parts(seconds, nanos),
        link,
        wire_length: 90,
        frame: frame.to_vec(),
    };
    let expected = [
        sample(5, 250_000_000, LinkType::ETHERNET, b"milliseconds"),
        sample(6, 500_000_000, LinkType::RAW, b"halves"),
        // A simple packet: interface 0, its snap length, the stamp before.
        sample(6, 500_000_000, LinkType::ETHERNET, b"0123456789abcdef"),
        sample(7, 1_000, LinkType::LINUX_SLL, b"microseconds"),
    ];
    let mut first = Writer::new(false);
    first.section().interface(LinkType::ETHERNET, 16, Some(3));
    first.interface(LinkType::RAW, 0, Some(0x81));
    // Name resolution: skipped.
    first.block(4, &[0; 40]);
    first.enhanced(0, 5_250, &expected[0]).enhanced(1, 13, &expected[1]);
    let body = first.body(|body| {
        body.u32(90).raw(&expected[2].frame);
    });
    first.block(3, &body);
    let mut second = Writer::new(true);
    second.section().interface(LinkType::LINUX_SLL, 0, None);
    second.enhanced(0, 7_000_001, &expected[3]);
    let second_begins = first.bytes.len() as u64;
    first.raw(&second.bytes);
    let good = first.bytes.len() as u64;
    assert_eq!(read(first.bytes.clone(), 50), (expected.to_vec(), Outcome::Whole));

    // The second section has one interface only.
    first.big_endian = true;
    first.enhanced(1, 0, &expected[0]);
    let why = Damage::UnknownInterface(1);
    let (kept, outcome) = read(first.bytes.clone(), 50);
    assert_eq!((kept, outcome), (expected.to_vec(), Outcome::Damaged { offset: good, why }));

    // Version 3 in the second section.
    first.bytes[second_begins as usize + 13] = 3;
    let why = Damage::Version(3, 0);
    let (kept, outcome) = read(first.bytes, 50);
    let damaged = Outcome::Damaged { offset: second_begins, why };
    assert_eq!((kept, outcome), (expected[..3].to_vec(), damaged));
}

#[test]
fn blocks_that_contradict_themselves_are_damage() {
    let sample = Sample::new(1, b"frame");
    let good = |writer: &mut Writer| {
        writer.section().interface(LinkType::ETHERNET, 0, None);
        writer.enhanced(0, 1_000_000, &sample);
        writer.bytes.len() as u64
    };
    let check = |add: &dyn Fn(&mut Writer), why: Damage| {
        for big_endian in [false, true] {
            let mut writer = Writer::new(big_endian);
            let offset = good(&mut writer);
            add(&mut writer);
            let (kept, outcome) = read(writer.bytes, 64);
            assert_eq!(kept, std::slice::from_ref(&sample));
            assert_eq!(outcome, Outcome::Damaged { offset, why });
        }
    };
    check(&|writer| _ = writer.u32(6).u32(13).raw(&[0; 9]), Damage::BlockLength(13));
    check(&|writer| _ = writer.u32(9).u32(12).u32(16), Damage::BlockLengthsDiffer(12, 16));
    check(&|writer| _ = writer.block(6, &[0; 12]), Damage::BlockLength(24));
    check(
        &|writer| {
            let body = writer.body(|body| {
                body.u32(0).u32(0).u32(0).u32(50).u32(50).raw(&[0; 20]);
            });
            writer.block(6, &body);
        },
        Damage::FrameBeyondBlock(50),
    );
    check(
        &|writer| {
            let body = writer.body(|body| {
                body.u16(1).u16(0).u32(0).u16(9).u16(40).raw(&[6, 0, 0, 0]);
            });
            writer.block(1, &body);
        },
        Damage::OptionLength(9),
    );
}

#[test]
fn versions_that_are_not_read_are_refused() {
    let mut bytes = write(Kind::PcapMicros, false, &[]).bytes;
    bytes[6] = 2;
    let refused = Outcome::NotACapture(NotACapture::Version("pcap", 2, 2));
    assert_eq!(read(bytes, 100).1, refused);
    let mut bytes = write(Kind::PcapngEnhanced, true, &[]).bytes;
    bytes[13] = 9;
    let refused = Outcome::NotACapture(NotACapture::Version("pcapng", 9, 0));
    assert_eq!(read(bytes, 100).1, refused);
}

fn unpacked(bytes: Vec<u8>) -> std::io::Result<Vec<u8>> {
    let mut stream = unpack(std::io::Cursor::new(bytes), Arc::<Progress>::default())?;
    let mut all = Vec::new();
    stream.read_to_end(&mut all).map(|_| all)
}

#[test]
fn compressed_files_of_several_parts_are_unpacked_whole() {
    let bytes: Vec<u8> = (0..700_000_u32).flat_map(|number| (number / 5).to_le_bytes()).collect();
    let (front, back) = bytes.split_at(1_000_001);
    assert_eq!(unpacked([gzip(front), gzip(back)].concat()).unwrap(), bytes);
    let skippable = [&[0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3][..]].concat();
    let parts = [skippable.clone(), zstd(front), skippable, zstd(back)].concat();
    assert_eq!(unpacked(parts.clone()).unwrap(), bytes);
    assert!(unpacked(parts[..parts.len() - 9].to_vec()).is_err());
    assert_eq!(unpacked(b"\x1f".to_vec()).unwrap(), b"\x1f");
}

#[test]
fn cut_compressed_files_keep_what_could_be_unpacked() {
    let samples: Vec<_> =
        (0..2_000).map(|number| Sample::new(number, &number.to_le_bytes().repeat(9))).collect();
    let written = write(Kind::PcapMicros, false, &samples);
    for packed in [gzip(&written.bytes), zstd(&written.bytes)] {
        let half = packed[..packed.len() / 2].to_vec();
        let stream = unpack(std::io::Cursor::new(half), Arc::default()).unwrap();
        let mut reader = crate::capture::reader::Reader::new(stream, None);
        let (mut free, mut records, mut count) = (Vec::new(), Vec::new(), 0);
        let ending = loop {
            reader.fill(&mut free, 5_000, &mut records);
            count += records.len();
            if let Some(ending) = reader.take_ending() {
                break ending;
            }
        };
        assert!(
            matches!(ending, Outcome::Damaged { why: Damage::Compression, .. }),
            "{ending:?} after {count}"
        );
        assert!(count < samples.len());
    }
}
