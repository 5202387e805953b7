//! Live capture says what reading the same packets from a file says: the pipeline, driven by rings
//! that carry a capture's own stamps.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use shadowscope::capture::ring::{Ending, Polled, Ring};
use shadowscope::capture::{Block, Filter, Plan};
use shadowscope::catalogue::Catalogue;
use shadowscope::evidence::source::{Known, Verdict};
use shadowscope::identity::{Identities, Pseudonyms};
use shadowscope::packet::{LinkType, Packet};
use shadowscope::pipeline::live::{self, LiveDone};
use shadowscope::pipeline::merge::{Keep, Merge, MergeSettings};
use shadowscope::report::{ReportRange, write_reports};
use shadowscope::store::{RunKind, RunStart, Store, StoreError};
use shadowscope::time::Timestamp;
use shadowscope::worker::clock::STEP_AHEAD_NANOS;
use shadowscope::worker::part::RingSums;
use shadowscope::{decode, pipeline, signatures, worker};

use crate::generator::office::Office;
use crate::generator::talk::{Side, Talk};
use crate::generator::{SECOND, START_SECONDS, Traffic, dns};
use crate::support;

/// A frame as a ring gives it.
#[derive(Clone)]
pub(crate) struct Frame {
    pub(crate) time: Timestamp,
    pub(crate) link: LinkType,
    pub(crate) wire_length: u32,
    pub(crate) bytes: Vec<u8>,
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

pub(crate) fn frames(capture: &Path) -> Vec<Frame> {
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
pub(crate) fn ring_of(frame: &[u8], rings: usize) -> usize {
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

/// Whether all packets between two innermost addresses come to one ring, as they do but where the
/// two directions of a tunnel have other ends, or what is in front of addresses is not known here.
fn keeps_pairs_together(frames: &[Frame], rings: usize) -> bool {
    let mut ring_of_pair = BTreeMap::new();
    frames.iter().all(|frame| {
        let mut packet = Packet::default();
        let decoded = decode::decode(frame.link, &frame.bytes, frame.wire_length, &mut packet);
        let mut pair = [packet.source, packet.destination];
        pair.sort();
        let ring = ring_of(&frame.bytes, rings);
        decoded != decode::Outcome::Packet || *ring_of_pair.entry(pair).or_insert(ring) == ring
    })
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

/// Merge into a store in memory.
fn merge(kind: RunKind) -> Merge {
    merge_into(Store::in_memory("UTC").unwrap(), kind, Identities::default())
}

pub(crate) fn merge_into(mut store: Store, kind: RunKind, identities: Identities) -> Merge {
    let start = RunStart {
        kind,
        captures: Vec::new(),
        again: false,
        program: "test".into(),
        config_sha256: String::new(),
        pseudonym_key: String::new(),
        site: String::new(),
    };
    let run = store.begin_run(&start).unwrap().run;
    let files = signatures::read_folder(&support::signatures()).unwrap();
    let settings = MergeSettings {
        own_domains: Vec::new(),
        autonomous_systems: None,
        live: kind == RunKind::Live,
        unmatched: false,
        catalogue: Arc::new(Catalogue::from_sources(&files, &[]).unwrap()),
        identities,
        observations: true,
        flows: true,
    };
    Merge::new(settings, Some(Keep { store, run, zone: jiff::tz::TimeZone::UTC }))
}

fn settings() -> worker::Settings {
    worker::Settings { observations: true, flows: true, ..worker::Settings::default() }
}

/// All that merge has to tell: the reports, names and flows, by file.
fn told(merge: Merge) -> BTreeMap<String, Vec<u8>> {
    let (_, mut records, keep) = merge.finish();
    let Keep { mut store, run, .. } = keep.unwrap();
    store.finish_run(run, &[]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    write_reports(&store, folder.path(), ReportRange::default(), &Default::default()).unwrap();
    let mut told = support::contents(folder.path());
    let (mut observations, mut flows) = (Vec::new(), Vec::new());
    records.write_observations(&mut observations).unwrap();
    records.write_flows(&mut flows).unwrap();
    told.insert("observations".into(), observations);
    told.insert("flows".into(), flows);
    told
}

/// In how many ways that was compared.
#[track_caller]
fn assert_says_the_same(capture: &Path) -> u32 {
    let mut compared = 0;
    let mut from_file = merge(RunKind::Capture);
    let run = Plan::survey(&[capture.into()]).unwrap().open(Filter::default()).unwrap();
    pipeline::read(run, settings(), None, 1, &mut from_file).unwrap();
    let expected = told(from_file);
    assert_eq!(expected.len(), 10);

    let frames = frames(capture);
    for (count, empty) in [(1, false), (2, false), (4, false), (1, true), (3, true)] {
        if !keeps_pairs_together(&frames, count) {
            continue;
        }
        compared += 1;
        let mut live = merge(RunKind::Live);
        let done: LiveDone =
            live::run(rings(&frames, count, empty), settings(), &mut live, &[], |_| ()).unwrap();
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
    compared
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
    assert_eq!(assert_says_the_same(&capture), 5);
}

#[test]
fn rings_say_what_the_file_says_whatever_is_in_it() {
    let mut compared = 0;
    for (_, capture) in support::captures() {
        let frames = frames(&capture);
        // A kernel stamps in order, and each ring counts for itself when its clock was set.
        let goes_on = |pair: &[Frame]| {
            (0..=STEP_AHEAD_NANOS).contains(&pair[1].time.nanos_since(pair[0].time))
        };
        if frames.windows(2).all(goes_on) {
            compared += assert_says_the_same(&capture);
        }
    }
    assert!(compared >= 100, "{compared}");
}

#[test]
fn a_clock_that_is_set_stops_nothing() {
    let mut traffic = Office { visits: 1500, seconds: 600, seed: 9, ..Office::default() }.traffic();
    let packets = traffic.records.len();
    traffic.shift_from(packets / 4, -300 * SECOND);
    traffic.shift_from(packets / 2, 2 * 3600 * SECOND);
    let folder = tempfile::tempdir().unwrap();
    let capture = folder.path().join("office.pcap");
    traffic.write(&capture).unwrap();
    let frames = frames(&capture);
    // One ring has the file's order, and so says what the file says; of several, each sees the
    // steps for itself.
    for count in [1, 3] {
        let mut live = merge(RunKind::Live);
        let done =
            live::run(rings(&frames, count, false), settings(), &mut live, &[], |_| ()).unwrap();
        assert_eq!(done.packets_by_worker.iter().sum::<u64>(), packets as u64);
        let told = told(live);
        let manifest: serde_json::Value = serde_json::from_slice(&told["manifest.json"]).unwrap();
        assert_eq!(manifest["packets"], packets);
        let steps = manifest["losses"]["time_step"].as_u64().unwrap();
        assert!((2..=2 * count as u64).contains(&steps), "{steps} steps of {count} rings");
    }
}

/// What must not be found in the clear: addresses in text and as they are kept in memory, link
/// addresses, users, and what devices call themselves.
fn secrets(traffic: &Traffic) -> Vec<(String, Vec<u8>)> {
    let mut secrets = Vec::new();
    let mut add = |what: String, bytes: &[u8]| secrets.push((what, bytes.to_vec()));
    for word in ["annas-macbook", "kims-telefon", "anna.schmidt"] {
        add(word.into(), word.as_bytes());
    }
    let mut clients: Vec<std::net::IpAddr> =
        traffic.flows.iter().map(|flow| flow.client.ip()).collect();
    clients.sort();
    clients.dedup();
    assert!(clients.len() > 50, "{}", clients.len());
    for client in clients {
        let mapped = match client {
            std::net::IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            std::net::IpAddr::V6(v6) => v6,
        };
        add(client.to_string(), client.to_string().as_bytes());
        add(format!("{client} in memory"), &mapped.octets());
    }
    let mut links: Vec<[u8; 6]> =
        traffic.records.iter().map(|record| record.frame[6..12].try_into().unwrap()).collect();
    links.sort_unstable();
    links.dedup();
    for link in links {
        let hex: Vec<String> = link.iter().map(|byte| format!("{byte:02x}")).collect();
        for separator in [":", "-"] {
            let text = hex.join(separator);
            add(text.clone(), text.as_bytes());
        }
    }
    secrets
}

#[test]
fn nobody_is_written_in_the_clear() {
    let mut traffic = Office { visits: 400, seconds: 300, seed: 3, ..Office::default() }.traffic();
    let time = (START_SECONDS + 100) * SECOND;
    let end = |text: &str| text.parse().unwrap();
    // DHCP (RFC 2131, 2) with the option "host name" (RFC 2132, 3.14).
    let mut request = vec![1, 1, 6, 0, 9, 9, 9, 9];
    request.resize(236, 0);
    request.extend([99, 130, 83, 99, 53, 1, 3, 12, 12]);
    request.extend(b"kims-telefon");
    request.push(255);
    Talk::udp(&mut traffic, end("10.1.0.9:68"), end("10.1.0.1:67"), time).send(Side::Up, &request);
    let answer = dns::response(0, "annas-macbook.local", &["10.1.0.7".parse().unwrap()], 120);
    Talk::udp(&mut traffic, end("10.1.0.7:5353"), end("224.0.0.251:5353"), time)
        .send(Side::Up, &answer);
    traffic.sort();
    let folder = tempfile::tempdir().unwrap();
    let [capture, people, db] =
        ["office.pcap", "people.csv", "usage.db"].map(|name| folder.path().join(name));
    traffic.write(&capture).unwrap();
    std::fs::write(&people, "address_or_network,user,department\n10.1.0.0/17,anna.schmidt,Sales\n")
        .unwrap();
    let people = shadowscope::feeds::identities::read(&people).unwrap();
    let secrets = secrets(&traffic);
    let mut found = Vec::new();
    for pseudonyms in [true, false] {
        let out = folder.path().join(format!("{pseudonyms}"));
        std::fs::create_dir(&out).unwrap();
        let db = out.join(db.file_name().unwrap());
        let identities = match pseudonyms {
            true => people.clone().with_pseudonyms(Pseudonyms::new([7; 32])),
            false => people.clone(),
        };
        let store = Store::open(&db, "UTC").unwrap();
        let mut live = merge_into(store, RunKind::Live, identities);
        let rings = rings(&frames(&capture), 2, false);
        live::run(rings, worker::Settings::default(), &mut live, &[], |_| ()).unwrap();
        let (_, _, keep) = live.finish();
        let Keep { mut store, run, .. } = keep.unwrap();
        store.finish_run(run, &[]).unwrap();
        write_reports(&store, &out, ReportRange::default(), &Default::default()).unwrap();
        // While the store is open, its log holds what the database does not.
        let written = support::contents(&out);
        assert!(written.contains_key("usage.db-wal") && written.contains_key("usage.csv"));
        let is_in = |secret: &[u8]| {
            let has = |bytes: &Vec<u8>| memchr::memmem::find(bytes, secret).is_some();
            written.values().any(has)
        };
        let told = secrets.iter().filter(|(_, secret)| is_in(secret));
        found.push(told.map(|(what, _)| what.clone()).collect::<Vec<_>>());
        let users = String::from_utf8_lossy(&written["usage.csv"]).matches(",u-").count();
        assert_eq!(users > 0, pseudonyms);
    }
    assert!(found[0].is_empty(), "{:?}", found[0]);
    // The search finds what is there.
    assert!(found[1].len() > 50 && found[1].contains(&"anna.schmidt".to_owned()), "{:?}", found[1]);
}

#[test]
fn what_the_operator_says_of_an_address_counts_under_its_pseudonym() {
    let traffic = Office { visits: 60, ..Office::default() }.traffic();
    let folder = tempfile::tempdir().unwrap();
    let capture = folder.path().join("office.pcap");
    traffic.write(&capture).unwrap();
    let known = |network: &str, verdict| Known { network: network.parse().unwrap(), verdict };
    let servers = vec![known("10.1.0.0/16", Verdict::Server), known("fc00::/7", Verdict::Server)];
    let but_some = [servers.clone(), vec![known("10.1.0.0/29", Verdict::Person)]].concat();
    let report = |identities: Identities| {
        let store = Store::in_memory("UTC").unwrap();
        let mut live = merge_into(store, RunKind::Live, identities);
        let rings = rings(&frames(&capture), 2, false);
        live::run(rings, worker::Settings::default(), &mut live, &[], |_| ()).unwrap();
        let Keep { mut store, run, .. } = live.finish().2.unwrap();
        store.finish_run(run, &[]).unwrap();
        let out = tempfile::tempdir().unwrap();
        write_reports(&store, out.path(), ReportRange::default(), &Default::default()).unwrap();
        let of = |file: &str| -> BTreeSet<String> {
            let rows = support::csv_rows(&out.path().join(file));
            rows.iter().map(|row| row["device"].clone()).collect()
        };
        (of("usage.csv"), of("shared_sources.csv"))
    };
    let pseudonyms = || Identities::default().with_pseudonyms(Pseudonyms::new([7; 32]));
    let (people, shared) = report(pseudonyms());
    assert!(people.len() > 8 && people.is_disjoint(&shared), "{people:?} {shared:?}");
    let (usage, told) = report(pseudonyms().with_known(servers));
    assert_eq!(usage, BTreeSet::from(["shared_source server".to_owned()]));
    assert!(people.is_subset(&told) && shared.is_subset(&told), "{told:?}");
    let (usage, told) = report(pseudonyms().with_known(but_some));
    let persons: BTreeSet<_> = usage.intersection(&people).collect();
    assert!((1..8).contains(&persons.len()), "{persons:?}");
    assert!(persons.into_iter().all(|person| !told.contains(person)));
}

/// A small file system that can be full.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn mount(at: &Path) -> Option<SmallDisk> {
        std::fs::create_dir_all(at).unwrap();
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=8M", "tmpfs"]).arg(at);
        let is_mounted = mount.output().is_ok_and(|output| output.status.success());
        if !is_mounted {
            println!("skipped: needs the right to mount a tmpfs");
        }
        is_mounted.then(|| SmallDisk(at.to_path_buf()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_costs_nothing_once_there_is_space_again() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(&folder.path().join("disk")) else { return };
    let capture = folder.path().join("office.pcap");
    let traffic = Office { visits: 3000, seconds: 1200, seed: 12, ..Office::default() }.traffic();
    traffic.write(&capture).unwrap();
    let mut from_file = merge(RunKind::Capture);
    let run = Plan::survey(&[capture.clone().into()]).unwrap().open(Filter::default()).unwrap();
    pipeline::read(run, settings(), None, 1, &mut from_file).unwrap();
    let expected = told(from_file);

    let store = Store::open(&disk.0.join("usage.db"), "UTC").unwrap();
    let mut live = merge_into(store, RunKind::Live, Identities::default());
    // All there is goes to something else, until some ticks were refused.
    let ballast = disk.0.join("ballast");
    let fill = std::fs::write(&ballast, vec![1; 16 << 20]);
    assert!(fill.is_err(), "the disk is not full");
    let mut refused = 0;
    let done = live::run(rings(&frames(&capture), 2, false), settings(), &mut live, &[], |merge| {
        if merge.uncommitted().is_some() {
            refused += 1;
            if refused == 3 {
                std::fs::remove_file(&ballast).unwrap();
            }
        }
    });
    done.unwrap();
    assert!(refused >= 3, "{refused}");
    assert_eq!(live.uncommitted(), None);
    let told = told(live);
    for name in ["apps.csv", "usage.csv", "unmatched.csv", "visibility.csv"] {
        let (expected, told) = (&expected[name], &told[name]);
        assert!(told == expected, "{name}: {}", support::first_difference(expected, told));
    }
    let manifest: serde_json::Value = serde_json::from_slice(&told["manifest.json"]).unwrap();
    assert!(manifest["losses"]["commit_refused"].as_u64() >= Some(1), "{manifest}");
    assert_eq!(manifest["bounded"], serde_json::json!([]));
}

#[test]
fn a_database_that_somebody_locks_costs_nothing_once_it_is_free() {
    let folder = tempfile::tempdir().unwrap();
    let [capture, db] = ["office.pcap", "usage.db"].map(|name| folder.path().join(name));
    let office = Office { visits: 300, seconds: 600, seed: 22, ..Office::default() };
    office.traffic().write(&capture).unwrap();
    let mut from_file = merge(RunKind::Capture);
    let run = Plan::survey(&[capture.clone().into()]).unwrap().open(Filter::default()).unwrap();
    pipeline::read(run, settings(), None, 1, &mut from_file).unwrap();
    let expected = told(from_file);

    let store = Store::open(&db, "UTC").unwrap();
    let mut live = merge_into(store, RunKind::Live, Identities::default());
    let other = rusqlite::Connection::open(&db).unwrap();
    let (mut is_locked, mut said) = (false, String::new());
    let done = live::run(rings(&frames(&capture), 2, false), settings(), &mut live, &[], |merge| {
        if let Some(lost) = merge.uncommitted().filter(|_| said.is_empty()) {
            said = lost;
            other.execute_batch("ROLLBACK").unwrap();
        } else if !is_locked {
            is_locked = true;
            other.execute_batch("BEGIN IMMEDIATE").unwrap();
        }
    });
    done.unwrap();
    assert!(said.contains("usage.db is locked by another program"), "{said}");
    assert_eq!(live.uncommitted(), None);
    let told = told(live);
    for name in ["apps.csv", "usage.csv", "unmatched.csv", "visibility.csv"] {
        let (expected, told) = (&expected[name], &told[name]);
        assert!(told == expected, "{name}: {}", support::first_difference(expected, told));
    }
}

#[test]
fn a_database_that_is_moved_ends_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let capture = folder.path().join("office.pcap");
    Office { visits: 500, seconds: 600, seed: 2, ..Office::default() }
        .traffic()
        .write(&capture)
        .unwrap();
    let [here, there] = ["usage.db", "elsewhere.db"].map(|name| folder.path().join(name));
    let store = Store::open(&here, "UTC").unwrap();
    let mut live = merge_into(store, RunKind::Live, Identities::default());
    let rings = rings(&frames(&capture), 2, true);
    let mut is_moved = false;
    let done = live::run(rings, settings(), &mut live, &[], |_| {
        if !std::mem::replace(&mut is_moved, true) {
            std::fs::rename(&here, &there).unwrap();
        }
    });
    let error = done.unwrap_err();
    assert!(matches!(error, StoreError::Moved { .. }), "{error}");
    assert!(error.to_string().contains("usage.db"), "{error}");
    // What that costs is told.
    let lost = live.uncommitted().unwrap();
    assert!(lost.contains(" packets could not be kept") && !lost.contains(" of 0 "), "{lost}");
}
