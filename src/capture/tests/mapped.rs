//! Large files, which are mapped: what is read of them is what `read` would give.

use std::fs::File;

use super::write::{Kind, Sample, write};
use crate::capture::buffer::Buffer;
use crate::capture::{Block, Damage, Filter, Outcome, Plan, Run};
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

/// Whether the block's packets are the next ones of `samples`, which goes on behind them.
fn check<'a>(block: &Block, samples: &mut impl Iterator<Item = &'a Sample>) {
    for (record, frame) in block.frames() {
        let sample = samples.next().expect("no more packets than there are");
        let wire_length = sample.wire_length.max(frame.len() as u32);
        assert_eq!((record.time, record.wire_length), (sample.time, wire_length));
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
    for (kind, big_endian) in
        [(Kind::PcapMicros, false), (Kind::PcapNanos, true), (Kind::PcapModified, false)]
    {
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
fn a_file_that_becomes_shorter_ends_there_and_one_that_grows_is_read_on() {
    let samples = packets(1_700_000_000, 24 * MEBIBYTE, 1_000);
    let written = write(Kind::PcapNanos, false, &samples);
    for begin_anew in [true, false] {
        let (file, mut run) = open(&written.bytes);
        let (mut block, mut expected) = (Block::default(), samples.iter());
        for _ in 0..6 {
            assert!(run.next_block(&mut block));
            check(&block, &mut expected);
        }
        assert!(is_mapped(&block));
        let seen = samples.len() - expected.len();
        let length = if begin_anew { 0 } else { written.ends[seen + 50] as u64 + 3 };
        File::options().write(true).open(&file).unwrap().set_len(length).unwrap();
        let mut packets = seen;
        while run.next_block(&mut block) {
            packets += block.records.len();
            // Nothing is made up: no packets of zeros.
            assert!(block.records.iter().all(|record| record.time > Timestamp(0)));
        }
        let outcome = &run.files()[0].outcome;
        let is_damaged = matches!(outcome, Outcome::Damaged { .. } | Outcome::Whole);
        assert!(is_damaged && packets < samples.len(), "{outcome:?} after {packets}");
    }
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
