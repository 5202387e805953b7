//! What goes wrong at three in the morning: a sensor that is killed, a database that somebody else
//! has, that may not be written, or that a newer program wrote; and starts without root.
#![allow(clippy::disallowed_methods, reason = "faults come at any time")]

use std::fs::{self, File};
use std::io::BufRead;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use shadowscope::capture::Block;
use shadowscope::capture::ring::{Ending, Polled, Ring};
use shadowscope::identity::Identities;
use shadowscope::pipeline::live;
use shadowscope::pipeline::merge::Keep;
use shadowscope::store::{RunKind, Store};
use shadowscope::time::{Minute, Timestamp};
use shadowscope::worker;
use shadowscope::worker::part::RingSums;

use crate::generator::Random;
use crate::generator::office::Office;
use crate::live::{Frame, frames, merge_into, ring_of};
use crate::support::{self, number};
use crate::wire::{Cable, office, output, tool, wait_for};

const RINGS: usize = 2;
/// Minutes of which packets may be lost.
const MINUTES_LOST_MAX: i32 = 2;
/// Frames that a ring gives at once.
const AT_ONCE: usize = 40;

/// What a sensor that is to be killed is told.
const VARIABLES: [&str; 4] = ["CAPTURE", "FIRST", "DB", "GIVEN"];

fn variable(name: &str) -> String {
    std::env::var(format!("SHADOWSCOPE_TEST_{name}")).expect("another test starts this one")
}

/// A ring of the wire: each packet is there at the time of its stamp. Time goes as fast as merge
/// commits a minute of it within the next one, as it has to live.
struct WireRing {
    frames: std::vec::IntoIter<Frame>,
    /// The first minute whose packets are not on the wire yet.
    later: Arc<AtomicI32>,
    number: u64,
    taken: u64,
    /// Where it is told how many were taken, for whoever comes after the kill.
    given: File,
}

impl Ring for WireRing {
    fn poll(&mut self, block: &mut Block) -> Polled {
        block.clear();
        let later = self.later.load(Ordering::Acquire);
        let is_there = |frame: &&Frame| frame.time.minute().0 < later;
        let count = self.frames.as_slice().iter().take(AT_ONCE).take_while(is_there).count();
        for frame in self.frames.by_ref().take(count) {
            block.push(frame.time, frame.link, frame.wire_length, &frame.bytes);
        }
        if count > 0 {
            self.taken += count as u64;
            self.given.write_all_at(&self.taken.to_le_bytes(), 8 * self.number).unwrap();
            return Polled::Frames;
        }
        if self.frames.len() == 0 {
            return Polled::Ended(Ending::Asked);
        }
        std::thread::sleep(Duration::from_micros(200));
        Polled::Idle(Timestamp(Minute(later).start().0 - 1))
    }

    fn statistics(&mut self) -> RingSums {
        RingSums::default()
    }

    fn loses(&self) -> bool {
        false
    }
}

#[test]
#[ignore = "a process of its own, which `a_sensor_killed_at_any_time_has_lost_two_minutes_at_most` starts"]
fn a_sensor_to_be_killed() {
    let frames = frames(Path::new(&variable("CAPTURE")));
    let frames = &frames[number(&variable("FIRST")) as usize..];
    let first = frames.first().expect("there is something to capture").time.minute().0;
    let later = Arc::new(AtomicI32::new(first + MINUTES_LOST_MAX));
    let given = File::options().write(true).open(variable("GIVEN")).unwrap();
    let ring = |ring: usize| WireRing {
        frames: share(frames, ring).into_iter(),
        later: Arc::clone(&later),
        number: ring as u64,
        taken: 0,
        given: given.try_clone().unwrap(),
    };
    let store = Store::open(Path::new(&variable("DB")), "UTC").unwrap();
    let mut merge = merge_into(store, RunKind::Live, Identities::default());
    let rings = (0..RINGS).map(ring).collect();
    let done = live::run(rings, worker::Settings::default(), &mut merge, &[], |merge| {
        if let Some(horizon) = merge.progress.horizon {
            later.store(horizon.minute().0 + 1 + MINUTES_LOST_MAX, Ordering::Release);
        }
    });
    assert_eq!(done.unwrap().ending, Ending::Asked);
    let Keep { mut store, run, .. } = merge.finish().2.unwrap();
    store.finish_run(run, &[]).unwrap();
}

fn share(frames: &[Frame], ring: usize) -> Vec<Frame> {
    frames.iter().filter(|frame| ring_of(&frame.bytes, RINGS) == ring).cloned().collect()
}

/// Ends a program that this test started, whatever becomes of the test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// One life of a sensor on the wire.
struct Life<'a> {
    frames: &'a [Frame],
    /// The first packet since it began.
    first: usize,
    /// How many packets each ring had given when it ended.
    given: [usize; RINGS],
    /// How many were committed.
    committed: usize,
}

impl Life<'_> {
    /// The packet after the last one that was taken.
    fn past(&self) -> usize {
        let last = (0..RINGS).filter_map(|ring| {
            let taken = self.given[ring].checked_sub(1)?;
            share(&self.frames[self.first..], ring).get(taken).map(|frame| frame.time)
        });
        last.max()
            .map_or(self.first, |last| self.frames.partition_point(|frame| frame.time <= last))
    }

    /// Checks the account of this life up to the packet with which the next begins, and answers how
    /// many packets were lost that had been taken, and how many came when nobody listened.
    fn check(&self, next: usize) -> (usize, usize) {
        let sent = &self.frames[self.first..next];
        let committed = &sent[..self.committed];
        // A commit ends with a minute, for all rings.
        let minute = sent.get(self.committed).map_or(i32::MAX, |frame| frame.time.minute().0);
        assert!(
            committed.last().is_none_or(|last| last.time.minute().0 < minute),
            "what was committed ends within a minute"
        );
        let mut open = 0;
        for ring in 0..RINGS {
            let share = share(sent, ring);
            let kept = share.iter().take_while(|frame| frame.time.minute().0 < minute).count();
            assert!(kept <= self.given[ring], "{kept} of {}", self.given[ring]);
            open += self.given[ring] - kept;
            let last = self.given[ring].checked_sub(1).map(|last| share[last].time.minute().0);
            let lost = last.map_or(0, |last| last.saturating_sub(minute).saturating_add(1));
            assert!(lost <= MINUTES_LOST_MAX, "{lost} minutes are lost");
        }
        let gap = sent.len() - self.given.iter().sum::<usize>();
        // Committed, of the open ticks, and of the time when nobody listened.
        assert_eq!(committed.len() + open + gap, sent.len());
        (open, gap)
    }
}

fn ask(db: &Path, sql: &str) -> i64 {
    Connection::open(db).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
}

/// That nothing is missing, doubled or damaged in a database that a sensor was killed over.
#[track_caller]
fn assert_whole(db: &Path) {
    let store = Store::open(db, "UTC").unwrap();
    assert_eq!(store.findings().unwrap(), Vec::<String>::new());
    drop(store);
    let gaps = "SELECT count(*) FROM (SELECT max(sequence) + 1 - min(sequence) <> count(*) AS gap
        FROM commits GROUP BY run) WHERE gap";
    assert_eq!(ask(db, gaps), 0, "a commit is missing");
    let late = "SELECT count(*) FROM (SELECT min(sequence) AS first FROM commits GROUP BY run)
        WHERE first > (SELECT min(sequence) FROM commits)";
    assert_eq!(ask(db, late), 0, "the first commit of a run is missing");
}

#[test]
fn a_sensor_killed_at_any_time_has_lost_two_minutes_at_most() {
    let folder = tempfile::tempdir().unwrap();
    let [capture, db, given] = ["office.pcap", "db", "given"].map(|name| folder.path().join(name));
    let office = Office { visits: 2500, seconds: 7200, seed: 21, ..Office::default() };
    office.traffic().write(&capture).unwrap();
    let all = frames(&capture);
    assert!(all.is_sorted_by_key(|frame| frame.time));
    let mut random = Random::new(u64::from(std::process::id()));
    let (mut first, mut killed, mut open_at_all, mut committed_at_all) = (0, 0, 0, 0);
    let mut took = Duration::from_millis(1500);
    while killed < support::kills() {
        fs::write(&given, [0; 8 * RINGS]).unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--ignored", "--exact", "faults::a_sensor_to_be_killed"]);
        let from = first.to_string();
        let values = [capture.as_os_str(), from.as_ref(), db.as_os_str(), given.as_os_str()];
        for (name, value) in VARIABLES.iter().zip(values) {
            command.env(format!("SHADOWSCOPE_TEST_{name}"), value);
        }
        let mut sensor = Killed(command.stdout(Stdio::null()).spawn().unwrap());
        wait_for("the sensor to capture, or to end", || {
            let taken = fs::read(&given).unwrap().iter().any(|&byte| byte != 0);
            taken || sensor.0.try_wait().unwrap().is_some()
        });
        // Any moment of its life is as good as another.
        let begun = Instant::now();
        let moment = took.mul_f64(random.below(1000) as f64 / 1000.0);
        while begun.elapsed() < moment && sensor.0.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        let ended = sensor.0.try_wait().unwrap();
        drop(sensor);

        assert_whole(&db);
        let packets = "SELECT ifnull(sum(packets), 0) FROM totals
            WHERE run = (SELECT max(id) FROM runs)";
        let committed = ask(&db, packets) as usize;
        let told = fs::read(&given).unwrap();
        let given =
            [0, 8].map(|at| u64::from_le_bytes(told[at..at + 8].try_into().unwrap()) as usize);
        let life = Life { frames: &all, first, given, committed };
        if let Some(status) = ended {
            // It came to the end of the wire: all of it is kept.
            assert!(status.success());
            assert_eq!((committed, life.check(all.len())), (all.len() - first, (0, 0)));
            took = took.min(begun.elapsed());
            fs::remove_file(&db).unwrap();
            first = 0;
            continue;
        }
        killed += 1;
        // Nobody listens for a while.
        let next = (life.past() + random.below(500) as usize).min(all.len());
        open_at_all += life.check(next).0;
        committed_at_all += committed;
        first = next;
        if all.len() - first < 1000 {
            fs::remove_file(&db).unwrap();
            first = 0;
        }
    }
    assert!(committed_at_all > 0 && open_at_all > 0, "{committed_at_all} {open_at_all}");
}

#[test]
fn a_sensor_killed_on_the_cable_leaves_a_whole_database() {
    let Some(cable) = Cable::new() else { return };
    let capture = cable.path("office.pcap");
    office(31, 400).write(&capture).unwrap();
    let mut random = Random::new(u64::from(std::process::id()));
    // Each start reads a catalogue, which is most of the time that this takes.
    for _ in 0..support::kills() / 4 {
        let mut sensor = cable.run(&["--clear", "--workers", "2"]);
        let load = Killed(cable.load(&capture));
        std::thread::sleep(Duration::from_millis(random.below(1500)));
        sensor.child.kill().unwrap();
        sensor.child.wait().unwrap();
        drop(load);
        assert_whole(&cable.path("db"));
    }
    let sensor = cable.run(&["--clear", "--workers", "2"]);
    let sent = cable.replay(&capture, &["--topspeed"]);
    assert_eq!(sensor.end().0, 0);
    let run = cable.ask("SELECT max(id) FROM runs");
    let packets = format!("SELECT sum(packets) FROM totals WHERE run = {run}");
    assert_eq!(cable.ask(&packets), sent as i64);
    assert_eq!(cable.ask("SELECT count(*) FROM runs WHERE state = 'interrupted'"), run - 1);
    assert_whole(&cable.path("db"));
}

/// `read --db` of a small capture.
fn read_into(db: &Path) -> support::Ended {
    let input = support::fixtures().join("first-look/input.pcap");
    support::read(["--db".as_ref(), db.as_os_str(), input.as_os_str()])
}

#[test]
fn a_database_that_cannot_be_had_is_told_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let db = folder.path().join("usage.db");
    read_into(&db).expect(0);
    let refused = |ended: support::Ended, words: &[&str]| {
        let said = ended.expect(2).stderr;
        for words in ["usage.db"].iter().chain(words) {
            assert!(said.contains(words), "{words}: {said}");
        }
        assert_eq!(said.lines().count(), 1, "{said}");
    };

    // Another of us writes.
    let writer = Store::open(&db, "UTC").unwrap();
    refused(read_into(&db), &["another shadowscope is writing", "wait until it ends"]);
    drop(writer);

    // Another program has it locked.
    let other = Connection::open(&db).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    refused(read_into(&db), &["is locked by another program", "close it there"]);
    other.execute_batch("ROLLBACK").unwrap();

    // A newer program wrote it.
    let version: i64 = other.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    other.pragma_update(None, "user_version", version + 1).unwrap();
    refused(read_into(&db), &["schema version", "use the newer program"]);
    other.pragma_update(None, "user_version", version).unwrap();
    drop(other);

    // It may only be read.
    let (program, packed) = for_everybody(folder.path());
    let input = folder.path().join("input.pcap");
    fs::copy(support::fixtures().join("first-look/input.pcap"), &input).unwrap();
    fs::set_permissions(&db, fs::Permissions::from_mode(0o444)).unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o555)).unwrap();
    let mut command = as_nobody(&program);
    command.args(["read", "--quiet", "--signatures"]).arg(&packed);
    command.arg("--db").arg(&db).arg(&input).stdin(Stdio::null());
    let ended = command.output().map(support::Ended::from);
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    match ended {
        Ok(ended) if !ended.stderr.contains("setpriv: ") => refused(ended, &[]),
        _ => println!("skipped: needs setpriv"),
    }
}

#[test]
fn a_database_that_is_moved_is_told_and_another_start_helps() {
    let Some(cable) = Cable::new() else { return };
    let capture = cable.path("office.pcap");
    office(35, 60).write(&capture).unwrap();
    let [db, elsewhere] = ["db", "elsewhere"].map(|name| cable.path(name));
    let sensor = cable.run(&["--clear", "--workers", "2"]);
    fs::rename(&db, &elsewhere).unwrap();
    let sent = cable.replay(&capture, &["--topspeed"]);
    sensor.signal("-TERM");
    let (code, said) = sensor.wait();
    assert_eq!(code, 75, "{said}");
    assert!(said.contains("was moved, replaced or deleted"), "{said}");
    let lost =
        said.split_once(" rows of ").and_then(|(_, rest)| rest.split_once(" packets could not"));
    let lost: u64 = lost.expect(&said).0.parse().unwrap();
    // All of them, unless a minute ended on the way: it is then that nothing can be kept.
    assert!((1..=sent).contains(&lost), "{lost} of {sent}: {said}");
    assert!(!db.exists(), "nothing was written where it was");

    let sensor = cable.run(&["--clear", "--workers", "2"]);
    let sent = cable.replay(&capture, &["--topspeed"]);
    assert_eq!(sensor.end().0, 0);
    assert_eq!(cable.ask("SELECT sum(packets) FROM totals"), sent as i64);
    assert_whole(&db);
}

/// The program, as somebody who is not root.
fn as_nobody(program: &Path) -> Command {
    if !fs::metadata("/proc/self").is_ok_and(|facts| facts.uid() == 0) {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"]).arg(program);
    command
}

/// The program and its small catalogue in a folder that everybody may read: a checkout may be for
/// its owner alone.
fn for_everybody(folder: &Path) -> (PathBuf, PathBuf) {
    let [program, packed] = ["shadowscope", "catalogue"].map(|name| folder.join(name));
    fs::copy(env!("CARGO_BIN_EXE_shadowscope"), &program).unwrap();
    let signatures = support::signatures();
    let pack = ["signatures".as_ref(), "pack".as_ref(), packed.as_os_str(), "--dir".as_ref()];
    support::run(pack.into_iter().chain([signatures.as_os_str()])).expect(0);
    for path in [folder, &program] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    (program, packed)
}

/// As a service manager starts it: somebody else than root, with one capability, and no way to more.
#[test]
fn one_capability_is_enough_and_none_is_not() {
    let Some(cable) = Cable::new() else { return };
    if !tool("setpriv", &["--version"]) {
        println!("skipped: needs setpriv");
        return;
    }
    let capture = cable.path("office.pcap");
    office(33, 40).write(&capture).unwrap();
    let (program, packed) = for_everybody(&cable.path("."));
    let home = cable.path("home");
    fs::create_dir(&home).unwrap();
    assert!(tool("chown", &["nobody", &home.to_string_lossy()]));
    let start = |capabilities: &str| {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &cable.sensor, "setpriv"]);
        command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups", "--no-new-privs"]);
        for set in ["inh-caps", "ambient-caps", "bounding-set"] {
            command.arg(format!("--{set}=-all{capabilities}"));
        }
        command.arg(&program).args(["run", "--interface", "vb", "--workers", "1", "--clear"]);
        command.arg("--signatures").arg(&packed).arg("--db").arg(home.join("db"));
        command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let refused = start("").wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("CAP_NET_RAW"), "{said}");

    let mut sensor = Killed(start(",+net_raw"));
    let id = sensor.0.id().to_string();
    let mut said = std::io::BufReader::new(sensor.0.stderr.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    assert!(line.contains("capturing on vb"), "{line}");
    let status = output("cat", &[&format!("/proc/{id}/status")]);
    for sets in ["CapEff:\t0000000000000000", "CapAmb:\t0000000000000000", "NoNewPrivs:\t1"] {
        assert!(status.contains(sets), "{sets}\n{status}");
    }
    let sent = cable.replay(&capture, &["--topspeed"]);
    assert!(tool("kill", &["-TERM", &id]));
    wait_for("the sensor to end", || sensor.0.try_wait().unwrap().is_some());
    assert!(sensor.0.wait().unwrap().success());
    assert_eq!(ask(&home.join("db"), "SELECT sum(packets) FROM totals"), sent as i64);
}
