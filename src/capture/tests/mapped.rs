//! Large files, which are mapped: what is read of them is what `read` would give.

use std::fs::File;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::write::{KINDS, Kind, Sample, Writer, read, write};
use crate::capture::buffer::Buffer;
use crate::capture::format::{Detected, detect};
use crate::capture::scout::Scouts;
use crate::capture::{Block, DENSE_BYTES_ALONE, Damage, Filter, Outcome, Plan, Record, Run};
use crate::packet::LinkType;
use crate::time::Timestamp;

const MEBIBYTE: usize = 1 << 20;

/// Packets of about `bytes` bytes in all, of `length` bytes each on average.
fn packets(seconds: i64, bytes: usize, length: usize) -> Vec<Sample> {
    let packet = |number: usize| {
        // Frames that look like records do not lead anybody astray.
        let text = (seconds as u32).to_le_bytes().repeat(1 + number * 7919 % (length / 2));
        let mut sample = Sample::new(seconds + number as i64 / 9, &text);
        sample.wire_length += number as u32 % 3;
        // There are headers that contradict themselves, and packets of which nothing was captured.
        match number % 1_000 {
            77 => sample.wire_length /= 2,
            78 => sample.frame.clear(),
            _ => {}
        }
        sample
    };
    (0..bytes / length).map(packet).collect()
}

fn open(bytes: &[u8]) -> (tempfile::NamedTempFile, Run) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, bytes).unwrap();
    let run = Plan::survey(&[file.path().into()]).unwrap().open(Filter::default()).unwrap();
    (file, run)
}

fn is_mapped(block: &Block) -> bool {
    block.buffers.iter().any(|buffer| matches!(**buffer, Buffer::Mapped(_)))
}

/// As [`Run::next_block`], of packets that need not be listed too: they are listed here.
fn next(run: &mut Run, block: &mut Block) -> bool {
    if !run.next_stretch(block, DENSE_BYTES_ALONE) {
        return run.next_block(block);
    }
    assert!(block.records.is_empty());
    let mut way = block.steps().unwrap();
    let records: Vec<Record> = way.by_ref().map(|(record, _)| record).collect();
    let passed = way.passed();
    for record in &records {
        assert_eq!(block.record(record.offset).as_ref(), Some(record));
        assert_eq!(block.offset(record.offset), Some(record.offset as usize));
    }
    run.pass(passed);
    assert_eq!(passed.packets, records.len());
    block.records = records;
    true
}

/// Whether the block's packets are the next ones of `samples`, which goes on behind them.
fn check<'a>(block: &Block, samples: &mut impl Iterator<Item = &'a Sample>) {
    for (record, frame) in block.frames() {
        let sample = samples.next().expect("no more packets than there are");
        let wire_length = sample.wire_length.max(frame.len() as u32);
        assert_eq!((record.time, record.link), (sample.time, sample.link));
        assert_eq!(record.wire_length, wire_length);
        assert!(frame == sample.frame);
    }
}

#[test]
fn packets_of_all_lengths_are_seen_where_they_are_mapped() {
    let lengths = [1_200, 90, 800, 60, 1_400];
    let parts = lengths.iter().zip(0..).map(|(&length, number)| {
        let seconds = 1_700_000_000 + number * 100_000;
        packets(seconds, 5 * MEBIBYTE, length)
    });
    let samples: Vec<Sample> = parts.flatten().collect();
    for (kind, big_endian) in [
        (Kind::PcapMicros, false),
        (Kind::PcapNanos, true),
        (Kind::PcapModified, false),
        (Kind::PcapngEnhanced, false),
        (Kind::PcapngEnhanced, true),
        (Kind::PcapngObsolete, false),
    ] {
        let written = write(kind, big_endian, &samples);
        let (_file, mut run) = open(&written.bytes);
        let (mut block, mut expected) = (Block::default(), samples.iter());
        let mut changes = Vec::new();
        while run.next_block(&mut block) {
            check(&block, &mut expected);
            changes.push(is_mapped(&block));
        }
        assert_eq!(expected.next(), None);
        changes.dedup();
        // The head of a file, which says what it is, and its tail are read.
        assert_eq!(changes, [false, true, false], "{kind:?}");
        let [read] = run.files() else { panic!() };
        assert_eq!(read.outcome, Outcome::Whole);
        assert_eq!(run.progress().bytes_read(), written.bytes.len() as u64);
    }
}

#[test]
fn packets_that_stand_close_are_seen_without_a_list() {
    let lengths = [90, 800, 60, 70];
    let parts = lengths.iter().zip(0..).map(|(&length, number)| {
        let seconds = 1_700_000_000 + number * 100_000;
        let mut samples = packets(seconds, 9 * MEBIBYTE, length);
        // Where there are odd ones among them, lists are made again and again.
        samples.retain(|sample| {
            let is_odd =
                sample.frame.is_empty() || sample.frame.len() > sample.wire_length as usize;
            number < 2 || !is_odd
        });
        samples
    });
    let samples: Vec<Sample> = parts.flatten().collect();
    for (kind, big_endian, has_stretches) in [
        (Kind::PcapMicros, false, true),
        (Kind::PcapNanos, false, true),
        (Kind::PcapNanos, true, false),
        (Kind::PcapModified, false, false),
        (Kind::PcapngEnhanced, false, false),
    ] {
        let written = write(kind, big_endian, &samples);
        let (_file, mut run) = open(&written.bytes);
        let (mut block, mut expected) = (Block::default(), samples.iter());
        let (mut unlisted, mut number) = (0, 0);
        while next(&mut run, &mut block) {
            check(&block, &mut expected);
            assert_eq!(std::mem::replace(&mut number, block.number + 1), block.number);
            unlisted += block.stretch.as_ref().map_or(0, |_| block.records.len());
        }
        assert_eq!(expected.next(), None);
        assert_eq!(unlisted > samples.len() / 3, has_stretches, "{kind:?}: {unlisted}");
        let [read] = run.files() else { panic!() };
        assert_eq!((&read.outcome, read.packets), (&Outcome::Whole, samples.len() as u64));
        assert_eq!(run.progress().bytes_read(), written.bytes.len() as u64);
        assert_eq!(run.progress().packets(), samples.len() as u64);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn damaged_packets_that_stand_close_end_a_file_as_listed_ones_do(
        length in 20_usize..200,
        damage in vec((any::<Index>(), any::<u8>()), 0..9),
    ) {
        let mut written =
            write(Kind::PcapMicros, false, &packets(1_700_000_000, 6 * MEBIBYTE, length));
        for (place, value) in damage {
            let place = 24 + place.index(written.bytes.len() - 24);
            written.bytes[place] = value;
        }
        let read = |next: fn(&mut Run, &mut Block) -> bool| {
            let (_file, mut run) = open(&written.bytes);
            let (mut block, mut found) = (Block::default(), Vec::new());
            while next(&mut run, &mut block) {
                let frames = block.frames();
                found.extend(frames.map(|(record, frame)| (record.time, frame.to_vec())));
            }
            let file = &run.files()[0];
            (found, file.outcome.clone(), file.packets)
        };
        let (unlisted, listed) = (read(next), read(Run::next_block));
        prop_assert_eq!(unlisted.0.len(), listed.0.len());
        prop_assert!(unlisted.0 == listed.0);
        prop_assert_eq!((unlisted.1, unlisted.2), (listed.1, listed.2));
    }
}

#[test]
fn what_changes_how_packets_are_read_changes_those_behind_it() {
    let mut writer = Writer::new(false);
    for (number, sample) in packets(1_700_000_000, 24 * MEBIBYTE, 300).iter().enumerate() {
        if number % 30_000 == 0 {
            // Other units from here on, or the other byte order.
            writer.big_endian ^= number % 60_000 == 0;
            let resolution = if number % 60_000 == 0 { 6 } else { 9 };
            writer.section().interface(LinkType::ETHERNET, 0, Some(resolution));
        } else if number % 10_000 == 0 {
            writer.interface(LinkType::RAW, 0, Some(9));
        } else if number % 1_000 == 0 {
            let wire_length = writer.body(|body| _ = body.u32(4).raw(b"none"));
            writer.block(3, &wire_length);
        } else if number % 777 == 0 {
            writer.block(5, b"statistics!!");
        }
        let is_second = number % 30_000 > 10_000;
        writer.enhanced(is_second.into(), sample.time.0 as u64 / 1_000, sample);
    }
    let (expected, outcome) = read(writer.bytes.clone(), 64 * 1024);
    assert_eq!(outcome, Outcome::Whole);
    let (_file, mut run) = open(&writer.bytes);
    let (mut block, mut expected) = (Block::default(), expected.iter());
    let mut mapped = 0;
    while run.next_block(&mut block) {
        check(&block, &mut expected);
        mapped += u64::from(is_mapped(&block));
    }
    assert_eq!(expected.next(), None);
    assert!(mapped > 30, "{mapped}");
}

#[test]
fn what_describes_packets_is_taken_in_once_wherever_windows_end() {
    let mut writer = Writer::new(false);
    writer.section();
    // Each packet is of the interface that was described last.
    let mut interfaces = 0;
    let mut describe = |writer: &mut Writer| {
        let link = if interfaces % 2 == 0 { LinkType::ETHERNET } else { LinkType::RAW };
        writer.interface(link, 0, Some(if interfaces % 3 == 0 { 6 } else { 9 }));
        interfaces += 1;
        interfaces - 1
    };
    for (number, sample) in packets(1_700_000_000, 18 * MEBIBYTE, 500).iter().enumerate() {
        if number % 15_000 == 14_999 {
            // More than a window in which no packet is.
            for other in 0..6_000 {
                writer.block(5, &[7; 1_000]);
                if other % 500 == 0 {
                    describe(&mut writer);
                }
            }
        }
        let last = describe(&mut writer);
        writer.enhanced(last, sample.time.0 as u64 / 1_000, sample);
    }
    let (expected, outcome) = read(writer.bytes.clone(), 64 * 1024);
    assert_eq!(outcome, Outcome::Whole);
    let (_file, mut run) = open(&writer.bytes);
    let (mut block, mut expected) = (Block::default(), expected.iter());
    while run.next_block(&mut block) {
        check(&block, &mut expected);
    }
    assert_eq!(expected.next(), None);
    assert_eq!(run.files()[0].outcome, Outcome::Whole);
    assert_eq!(run.progress().bytes_read(), writer.bytes.len() as u64);
}

proptest! {
    #[test]
    fn scouts_and_a_walk_agree_on_damaged_files(
        kind in select(&KINDS[..]),
        big_endian in any::<bool>(),
        length in 2_usize..2_000,
        damage in vec((any::<Index>(), any::<u8>()), 0..9),
    ) {
        let mut written = write(kind, big_endian, &packets(1_700_000_000, 200_000, length));
        for (place, value) in damage {
            let place = place.index(written.bytes.len());
            written.bytes[place] = value;
        }
        let formats = || match detect(&written.bytes) {
            Detected::Capture(format, start) => Some((format, start)),
            _ => None,
        };
        let (Some((mut one, start)), Some((mut other, _))) = (formats(), formats()) else {
            return Ok(());
        };
        let (mut listed, mut walked) = (Vec::new(), Vec::new());
        let range = start..written.bytes.len();
        let by_scouts = one.scout(&mut Scouts::default(), &written.bytes, range, &mut listed);
        prop_assert_eq!(by_scouts, other.walk(&written.bytes, start, &mut walked));
        prop_assert_eq!(listed, walked);
        prop_assert_eq!(format!("{one:?}"), format!("{other:?}"));
    }
}

#[test]
fn damage_in_a_mapped_part_is_told_with_its_place() {
    let samples = packets(1_700_000_000, 20 * MEBIBYTE, 1_000);
    let mut written = write(Kind::PcapNanos, false, &samples);
    let kept = samples.len() / 2;
    let offset = written.ends[kept - 1];
    written.bytes[offset + 8..offset + 12].copy_from_slice(&[0xff; 4]);
    let (_file, mut run) = open(&written.bytes);
    let (mut block, mut expected) = (Block::default(), samples.iter());
    while run.next_block(&mut block) {
        check(&block, &mut expected);
    }
    assert_eq!(expected.len(), samples.len() - kept);
    let why = Damage::FrameTooLong(u32::MAX);
    let outcome = Outcome::Damaged { offset: offset as u64, why };
    assert_eq!(run.files()[0].outcome, outcome);
}

#[test]
fn a_block_that_waits_holds_no_window() {
    let written = write(Kind::PcapNanos, false, &packets(1_700_000_000, 6 * MEBIBYTE, 1_000));
    let (_file, mut run) = open(&written.bytes);
    let mut block = Block::default();
    let mut holds = Vec::new();
    while run.next_block(&mut block) {
        let held = is_mapped(&block);
        block.let_go();
        assert!(block.records.is_empty() && !is_mapped(&block));
        // What is copied to is filled again.
        holds.push((held, block.buffers.len()));
    }
    holds.dedup();
    assert_eq!(holds, [(false, 1), (true, 0), (false, 1)]);
}

#[test]
fn a_file_that_becomes_shorter_ends_there_and_one_that_grows_is_read_on() {
    for (length, begin_anew) in [(1_000, true), (1_000, false), (90, true), (90, false)] {
        let samples = packets(1_700_000_000, 24 * MEBIBYTE, length);
        let written = write(Kind::PcapNanos, false, &samples);
        let (file, mut run) = open(&written.bytes);
        let (mut block, mut expected) = (Block::default(), samples.iter());
        for _ in 0..6 {
            assert!(next(&mut run, &mut block));
            check(&block, &mut expected);
        }
        assert!(is_mapped(&block));
        let seen = samples.len() - expected.len();
        let length = if begin_anew { 0 } else { written.ends[seen + 50] as u64 + 3 };
        File::options().write(true).open(&file).unwrap().set_len(length).unwrap();
        let mut packets = seen;
        while next(&mut run, &mut block) {
            packets += block.records.len();
            // Nothing is made up: no packets of zeros.
            assert!(block.records.iter().all(|record| record.time > Timestamp(0)));
        }
        let outcome = &run.files()[0].outcome;
        let is_damaged = matches!(outcome, Outcome::Damaged { .. } | Outcome::Whole);
        assert!(is_damaged && packets < samples.len(), "{outcome:?} after {packets}");
    }
    let samples = packets(1_700_000_000, 24 * MEBIBYTE, 1_000);
    let written = write(Kind::PcapNanos, false, &samples);
    let (half, rest) = written.bytes.split_at(written.ends[samples.len() / 2]);
    let (file, mut run) = open(half);
    let (mut block, mut expected) = (Block::default(), samples.iter());
    assert!(run.next_block(&mut block));
    check(&block, &mut expected);
    std::io::Write::write_all(&mut File::options().append(true).open(&file).unwrap(), rest)
        .unwrap();
    while run.next_block(&mut block) {
        check(&block, &mut expected);
    }
    assert_eq!(expected.next(), None);
}
