//! Live capture says what reading the same packets from a file says: the pipeline, driven by rings
//! that carry a capture's own stamps.

use std::path::Path;
use std::sync::Arc;

use shadowscope::capture::ring::{Ending, Polled, Ring};
use shadowscope::capture::{Block, Filter, Plan};
use shadowscope::catalogue::Catalogue;
use shadowscope::identity::Identities;
use shadowscope::packet::LinkType;
use shadowscope::pipeline::live::{self, LiveDone};
use shadowscope::pipeline::merge::{Keep, Merge, MergeSettings};
use shadowscope::report::{ReportRange, write_reports};
use shadowscope::store::{RunKind, RunStart, Store};
use shadowscope::time::Timestamp;
use shadowscope::worker::part::RingSums;
use shadowscope::{pipeline, signatures, worker};

use crate::generator::office::Office;
use crate::support;

/// A frame as a ring gives it.
#[derive(Clone)]
struct Frame {
    time: Timestamp,
    link: LinkType,
    wire_length: u32,
    bytes: Vec<u8>,
}

/// A ring that carries its share of a capture, so many frames at once.
struct FakeRing {
    frames: std::vec::IntoIter<Frame>,
    at_once: usize,
    /// Stamps of the frames of all rings, at which this one is asked although it has none.
    idle: std::vec::IntoIter<Timestamp>,
}

impl Ring for FakeRing {
    fn poll(&mut self, block: &mut Block) -> Polled {
        block.clear();
        let next = self.frames.as_slice().first().map(|frame| frame.time);
        if let Some(&idle) = self.idle.as_slice().first()
            && next.is_none_or(|next| idle < next)
        {
            self.idle.next();
            return Polled::Idle(idle);
        }
        for frame in self.frames.by_ref().take(self.at_once) {
            block.push(frame.time, frame.link, frame.wire_length, &frame.bytes);
        }
        // Whoever has seen a frame has no idle moment before it.
        let seen = block.records.last().map(|record| record.time);
        while self.idle.as_slice().first().is_some_and(|&idle| Some(idle) <= seen) {
            self.idle.next();
        }
        if block.records.is_empty() { Polled::Ended(Ending::Asked) } else { Polled::Frames }
    }

    fn statistics(&mut self) -> RingSums {
        RingSums::default()
    }

    fn loses(&self) -> bool {
        false
    }
}

fn frames(capture: &Path) -> Vec<Frame> {
    let mut run = Plan::survey(&[capture.into()]).unwrap().open(Filter::default()).unwrap();
    let mut block = Block::default();
    let mut frames = Vec::new();
    while run.next_block(&mut block) {
        frames.extend(block.frames().map(|(record, bytes)| Frame {
            time: record.time,
            link: record.link,
            wire_length: record.wire_length,
            bytes: bytes.to_vec(),
        }));
    }
    frames
}

/// The ring of a frame, by the unordered pair of the addresses in its first IP header behind
/// Ethernet and tags; what has none is the first ring's.
fn ring_of(frame: &[u8], rings: usize) -> usize {
    let mut at = 12;
    let kind = |at: usize| Some(u16::from_be_bytes(frame.get(at..at + 2)?.try_into().ok()?));
    while matches!(kind(at), Some(0x8100 | 0x88a8)) {
        at += 4;
    }
    let (first, length) = match kind(at) {
        Some(0x0800) => (at + 2 + 12, 4),
        Some(0x86dd) => (at + 2 + 8, 16),
        _ => return 0,
    };
    let Some(addresses) = frame.get(first..first + 2 * length) else { return 0 };
    let (source, destination) = addresses.split_at(length);
    let sum: u32 = source.iter().zip(destination).map(|(&a, &b)| u32::from(a ^ b) * 251).sum();
    (sum >> 3) as usize % rings
}

/// Rings at different speeds; with `empty`, one more that no packet comes to.
fn rings(frames: &[Frame], count: usize, empty: bool) -> Vec<FakeRing> {
    let idle: Vec<Timestamp> = frames.iter().step_by(500).map(|frame| frame.time).collect();
    // The end comes for all at once.
    let end: Vec<Timestamp> = frames.last().map(|frame| frame.time).into_iter().collect();
    let idle = [idle, end.clone()].concat();
    let ring = |number: usize| {
        let mine = |frame: &&Frame| ring_of(&frame.bytes, count) == number;
        let mine: Vec<Frame> = frames.iter().filter(mine).cloned().collect();
        let idle = if number % 2 == 1 { idle.clone() } else { end.clone() };
        FakeRing {
            frames: mine.into_iter(),
            at_once: [3, 700, 31, 4000, 1][number % 5],
            idle: idle.into_iter(),
        }
    };
    (0..count + usize::from(empty))
        .map(|number| FakeRing {
            idle: if number == count { idle.clone().into_iter() } else { ring(number).idle },
            ..ring(number)
        })
        .collect()
}

/// Merge into a store in memory, and how the run in it began.
fn merge(kind: RunKind) -> Merge {
    let mut store = Store::in_memory("UTC").unwrap();
    let start = RunStart {
        kind,
        captures: Vec::new(),
        again: false,
        program: "test".into(),
        config_sha256: String::new(),
        pseudonym_key: String::new(),
    };
    let run = store.begin_run(&start).unwrap().run;
    let files = signatures::read_folder(&support::signatures()).unwrap();
    let settings = MergeSettings {
        autonomous_systems: None,
        live: kind == RunKind::Live,
        unmatched: false,
        catalogue: Arc::new(Catalogue::from_sources(&files, &[]).unwrap()),
        identities: Identities::default(),
        observations: true,
        flows: true,
    };
    Merge::new(settings, Some(Keep { store, run }))
}

fn settings() -> worker::Settings {
    worker::Settings { observations: true, flows: true, ..worker::Settings::default() }
}

/// All that merge has to tell: the reports, names and flows, by file.
fn told(merge: Merge) -> std::collections::BTreeMap<String, Vec<u8>> {
    let (_, mut records, keep) = merge.finish();
    let Keep { mut store, run } = keep.unwrap();
    store.finish_run(run, &[]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    write_reports(&store, folder.path(), ReportRange::default()).unwrap();
    let mut told = support::contents(folder.path());
    let (mut observations, mut flows) = (Vec::new(), Vec::new());
    records.write_observations(&mut observations).unwrap();
    records.write_flows(&mut flows).unwrap();
    told.insert("observations".into(), observations);
    told.insert("flows".into(), flows);
    told
}

#[track_caller]
fn assert_says_the_same(capture: &Path) {
    let mut from_file = merge(RunKind::Capture);
    let run = Plan::survey(&[capture.into()]).unwrap().open(Filter::default()).unwrap();
    pipeline::read(run, settings(), None, 1, &mut from_file).unwrap();
    let expected = told(from_file);
    assert_eq!(expected.len(), 7);

    let frames = frames(capture);
    for (count, empty) in [(1, false), (2, false), (4, false), (1, true), (3, true)] {
        let mut live = merge(RunKind::Live);
        let done: LiveDone = live::run(rings(&frames, count, empty), settings(), &mut live, &[], |_| ()).unwrap();
        assert_eq!(done.ending, Ending::Asked);
        let told = told(live);
        for (name, bytes) in &expected {
            assert!(
                told[name] == *bytes,
                "{name} of {count} rings (empty one: {empty}) on {}: {}",
                capture.display(),
                support::first_difference(bytes, &told[name]),
            );
        }
        assert_eq!(done.packets_by_worker.len(), count + usize::from(empty));
        if empty {
            assert_eq!(done.packets_by_worker.last(), Some(&0));
        }
    }
}

#[test]
fn rings_say_what_the_file_says() {
    let traffic = Office { visits: 4000, seconds: 1200, seed: 6, ..Office::default() }.traffic();
    let folder = tempfile::tempdir().unwrap();
    let capture = folder.path().join("office.pcap");
    traffic.write(&capture).unwrap();
    let share: Vec<usize> = {
        let mut share = vec![0; 4];
        frames(&capture).iter().for_each(|frame| share[ring_of(&frame.bytes, 4)] += 1);
        share
    };
    assert!(share.iter().all(|&packets| packets > 1000), "{share:?}");
    assert_says_the_same(&capture);
}
