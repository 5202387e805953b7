//! Runs over several files: order, merging, filters, outcomes, memory.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::Path;

use proptest::prelude::*;

use super::write::{Kind, Sample, gzip, samples, write, zstd};
use crate::capture::{
    Block, CaptureFile, Damage, Filter, OPEN_FILES_MAX, Outcome, Plan, PlanError, Run,
};
use crate::packet::LinkType;
use crate::time::Timestamp;

fn file(folder: &Path, name: &str, samples: &[Sample]) {
    std::fs::write(folder.join(name), write(Kind::PcapNanos, false, samples).bytes).unwrap();
}

fn plan(folder: &Path, names: &[&str]) -> Plan {
    let arguments: Vec<OsString> = names.iter().map(|name| folder.join(name).into()).collect();
    Plan::survey(&arguments).unwrap()
}

fn all(run: &mut Run) -> Vec<Sample> {
    let mut block = Block::default();
    let mut samples = Vec::new();
    let mut number = 0;
    while run.next_block(&mut block) {
        assert_eq!(block.number, number);
        number += 1;
        samples.extend(block.frames().map(|(record, frame)| Sample {
            time: record.time,
            link: record.link,
            wire_length: record.wire_length,
            frame: frame.to_vec(),
        }));
    }
    assert!(block.records.is_empty());
    assert!(!run.next_block(&mut block));
    let filtered: u64 = run.files().iter().map(|file| file.packets_filtered).sum();
    assert_eq!(run.progress().packets(), samples.len() as u64 + filtered);
    samples
}

fn read(folder: &Path, names: &[&str]) -> Vec<Sample> {
    all(&mut plan(folder, names).open(Filter::default()).unwrap())
}

fn frames(samples: &[Sample]) -> Vec<&str> {
    samples.iter().map(|sample| std::str::from_utf8(&sample.frame).unwrap()).collect()
}

#[test]
fn halves_of_a_tap_are_merged_and_consecutive_files_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    file(root, "z-up", &[Sample::new(1, b"a"), Sample::new(3, b"c"), Sample::new(5, b"e")]);
    file(root, "a-down", &[Sample::new(2, b"b"), Sample::new(3, b"d"), Sample::new(9, b"i")]);
    // Joins while the others are read, has a packet out of order.
    file(root, "late", &[Sample::new(6, b"f"), Sample::new(8, b"g"), Sample::new(7, b"h")]);
    file(root, "after", &[Sample::new(10, b"j"), Sample::new(4, b"k")]);
    file(root, "none", &[]);
    assert_eq!(frames(&read(root, &["."])).concat(), "abcdefghijk");
}

#[test]
fn ties_go_to_the_file_that_was_first() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    file(root, "b", &[Sample::new(1, b"b1"), Sample::new(2, b"b2"), Sample::new(3, b"b3")]);
    file(root, "a", &[Sample::new(1, b"a1"), Sample::new(2, b"a2"), Sample::new(3, b"a3")]);
    assert_eq!(frames(&read(root, &["b", "a"])), ["a1", "b1", "a2", "b2", "a3", "b3"]);
}

#[test]
fn more_files_at_once_than_are_opened_are_all_read_and_the_delay_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let number = OPEN_FILES_MAX + 10;
    for index in 0..number {
        let begin = index as i64;
        let samples = [Sample::new(begin, b"a"), Sample::new(begin + 1_000, b"b")];
        file(folder.path(), &format!("{index:04}"), &samples);
    }
    let mut run = plan(folder.path(), &["."]).open(Filter::default()).unwrap();
    assert_eq!(all(&mut run).len(), 2 * number);
    assert_eq!(run.files_delayed(), 10);
}

/// The rule, the plain way: of the next packets of all files that have been reached, the earliest.
fn model(mut files: Vec<Vec<Sample>>) -> Vec<Sample> {
    files.retain(|samples| !samples.is_empty());
    files.sort_by_key(|samples| samples[0].time);
    let mut next = vec![0; files.len()];
    let mut merged = Vec::new();
    loop {
        // A file that was not reached is not opened, but its first packet is known: so it takes
        // part as all others do.
        let turn = |&index: &usize| (files[index][next[index]].time, index);
        let left = (0..files.len()).filter(|&index| next[index] < files[index].len());
        let Some(first) = left.min_by_key(turn) else {
            return merged;
        };
        merged.push(files[first][next[first]].clone());
        next[first] += 1;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn merging_follows_the_rule(
        seeds in proptest::collection::vec((samples(40), 0..3_i64, 1..60_i64), 1..7),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut files = Vec::new();
        for (index, (mut samples, begin, step)) in seeds.into_iter().enumerate() {
            // Mostly ascending stamps that meet and tie with other files'; some go back.
            for (place, sample) in samples.iter_mut().enumerate() {
                let back = sample.time.0 % 7 / 6 * 50;
                sample.time = Timestamp(begin * 1_000 + place as i64 * step - back);
                sample.time.0 = sample.time.0.max(0);
            }
            file(folder.path(), &index.to_string(), &samples);
            files.push(samples);
        }
        prop_assert_eq!(read(folder.path(), &["."]), model(files));
    }
}

#[test]
fn large_merged_files_keep_their_bytes_and_reuse_their_buffers() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let half = |odd: i64| -> Vec<Sample> {
        let sample = |number: i64| {
            let length = 40 + (number * 7919 % 1400) as usize;
            let mut sample = Sample::new(0, &number.to_le_bytes().repeat(length / 8));
            sample.time = Timestamp(number);
            sample
        };
        (0..6_000).map(|number| sample(number * 2 + odd)).collect()
    };
    let (even, odd) = (half(0), half(1));
    file(root, "even", &even);
    file(root, "odd", &odd);
    let mut expected: Vec<_> = even.into_iter().chain(odd).collect();
    expected.sort_by_key(|sample| sample.time);

    let mut run = plan(root, &["even", "odd"]).open(Filter::default()).unwrap();
    let mut block = Block::default();
    let (mut at, mut blocks) = (0, 0);
    let mut buffers = HashSet::new();
    while run.next_block(&mut block) {
        blocks += 1;
        buffers.extend(block.buffers.iter().map(|buffer| buffer.as_ptr()));
        for (record, frame) in block.frames() {
            assert_eq!((record.time, frame), (expected[at].time, &expected[at].frame[..]));
            at += 1;
        }
    }
    assert_eq!(at, expected.len());
    assert!(blocks > 20, "{blocks}");
    // Each file's current buffer, and what a block had of the one before.
    assert!(buffers.len() <= 6, "{}", buffers.len());
}

#[test]
fn outcomes_decide_the_exit_code_and_what_can_be_read_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    file(root, "good", &[Sample::new(1, b"good")]);
    let mut cut = write(Kind::PcapNanos, false, &[Sample::new(2, b"cut"), Sample::new(3, b"x")]);
    cut.bytes.pop();
    std::fs::write(root.join("cut"), cut.bytes).unwrap();
    std::fs::write(root.join("notes"), "hello").unwrap();

    let outcome = |names: &[&str]| {
        let mut run = plan(root, names).open(Filter::default()).unwrap();
        let text = frames(&all(&mut run)).concat();
        let last = |file: &CaptureFile| file.path.ends_with(names[names.len() - 1]);
        let outcome = run.files().iter().find(|file| last(file)).map(|file| file.outcome.clone());
        (run.exit_code(), text, outcome.map(|outcome| outcome.to_string()))
    };
    let damaged = Outcome::Damaged { offset: 43, why: Damage::CutRecord }.to_string();
    assert_eq!(outcome(&["good"]), (0, "good".into(), Some("read".into())));
    assert_eq!(outcome(&["good", "cut"]), (1, "goodcut".into(), Some(damaged)));
    let refused = "not a capture: its first bytes are 68656c6c".to_owned();
    assert_eq!(outcome(&["cut", "notes"]), (2, "cut".into(), Some(refused)));
    // In a folder, what is no capture is passed over.
    assert_eq!(outcome(&["."]).0, 1);
    let missing = Outcome::Missing.to_string();
    assert_eq!(outcome(&["good", "nowhere"]), (2, "good".into(), Some(missing)));
    let other = tempfile::tempdir().unwrap();
    let refusal = |arguments: &[OsString]| Plan::survey(arguments).unwrap_err();
    assert_eq!(refusal(&[]), PlanError::NoFiles);
    assert_eq!(refusal(&[other.path().into()]), PlanError::NoFiles);
    std::fs::write(other.path().join("notes"), "hello").unwrap();
    assert_eq!(refusal(&[other.path().into()]), PlanError::NoCaptures(1));
}

#[test]
fn files_can_be_left_out_by_fingerprint() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    file(root, "a", &[Sample::new(1, b"a")]);
    file(root, "b", &[Sample::new(2, b"b")]);
    let mut plan = plan(root, &["a", "b"]);
    let known = crate::capture::fingerprint(&root.join("a")).unwrap();
    plan.leave_out(|file| file.fingerprint == Some(known));
    let mut run = plan.open(Filter::default()).unwrap();
    assert_eq!(run.progress().bytes_total(), Some(41));
    assert_eq!(frames(&all(&mut run)), ["b"]);
    assert_eq!(run.progress().bytes_read(), 41);
    assert_eq!(run.exit_code(), 0);
}

#[test]
fn filters_leave_packets_out_and_count_them() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let mut arp = vec![0; 60];
    arp[12..14].copy_from_slice(&[8, 6]);
    file(root, "a", &[Sample::new(1, b"1"), Sample::new(2, &arp), Sample::new(3, b"3")]);
    file(root, "b", &[Sample::new(2, &arp), Sample::new(3, &arp), Sample::new(4, &arp)]);
    let second = |seconds| Some(Timestamp::from_parts(seconds, 0));
    let filter = Filter::new(second(2), second(4), Some("arp")).unwrap();
    let mut run = plan(root, &["a", "b"]).open(filter).unwrap();
    let times: Vec<_> = all(&mut run).iter().map(|sample| sample.time.seconds()).collect();
    assert_eq!(times, [2, 2, 3]);
    let counts: Vec<_> =
        run.files().iter().map(|file| (file.packets, file.packets_filtered)).collect();
    assert_eq!(counts, [(1, 2), (2, 1)]);
    assert_eq!(run.progress().packets(), 6);
}

#[test]
fn a_filter_that_does_not_fit_is_refused_before_anything_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = write(Kind::PcapMicros, false, &[Sample::new(1, b"E")]).bytes;
    bytes[20..24].copy_from_slice(&u32::from(LinkType::RAW.0).to_le_bytes());
    std::fs::write(folder.path().join("raw"), bytes).unwrap();
    let filter = Filter::new(None, None, Some("ether host 0:1:2:3:4:5")).unwrap();
    assert!(plan(folder.path(), &["raw"]).open(filter).is_err());
}

#[test]
fn pipes_are_read_where_they_stand_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    file(root, "file", &[Sample::new(1, b"a"), Sample::new(5, b"c")]);
    let piped = write(Kind::PcapMicros, true, &[Sample::new(3, b"b"), Sample::new(9, b"d")]);
    let (reader, mut writer) = std::io::pipe().unwrap();
    std::io::Write::write_all(&mut writer, &piped.bytes).unwrap();
    drop(writer);
    let path = format!("/dev/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&reader));
    let plan = Plan::survey(&[root.into(), path.into()]).unwrap();
    let fingerprints: Vec<_> = plan.files().iter().map(|file| file.fingerprint.is_some()).collect();
    assert_eq!(fingerprints, [true, false]);
    let mut run = plan.open(Filter::default()).unwrap();
    assert_eq!(run.progress().bytes_total(), None);
    assert_eq!(frames(&all(&mut run)).concat(), "abcd");
}

#[test]
fn compression_is_told_by_the_bytes_and_counted_as_it_lies_on_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let packed = |time, text: &str, pack: fn(&[u8]) -> Vec<u8>| {
        pack(&write(Kind::PcapngEnhanced, false, &[Sample::new(time, text.as_bytes())]).bytes)
    };
    let files = [packed(1, "gzip", gzip), packed(2, "zstd", zstd), packed(3, "cut", gzip)];
    let cut = &files[2][..files[2].len() - 8];
    for (name, bytes) in [("a.pcap", &files[0][..]), ("b.gz", &files[1]), ("c", cut)] {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    let mut run = plan(folder.path(), &["*"]).open(Filter::default()).unwrap();
    assert_eq!(frames(&all(&mut run)), ["gzip", "zstd", "cut"]);
    let progress = run.progress();
    assert_eq!(Some(progress.bytes_read()), progress.bytes_total());
    let outcomes: Vec<_> = run.files().iter().map(|file| &file.outcome).collect();
    let unpacked = write(Kind::PcapngEnhanced, false, &[Sample::new(3, b"cut")]).bytes.len();
    let damaged = Outcome::Damaged { offset: unpacked as u64, why: Damage::Compression };
    assert_eq!(outcomes, [&Outcome::Whole, &Outcome::Whole, &damaged]);
}

#[test]
fn runs_and_blocks_may_go_from_thread_to_thread() {
    fn sent<T: Send>() {}
    fn shared<T: Sync>() {}
    sent::<Run>();
    sent::<Block>();
    shared::<Block>();
    assert_eq!(size_of::<crate::capture::Record>(), 24);
}
