//! Live capture on a cable: two network namespaces with a veth pair between them, tcpreplay at one
//! end and `shadowscope run` at the other.
//!
//! Needs root, `ip` and tcpreplay; says so and does nothing where one of them is missing.
#![allow(clippy::disallowed_methods, reason = "what is on a cable takes time")]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::generator::office::Office;
use crate::generator::{Record, Traffic};
use crate::support;

/// How long a sensor or the kernel may take for anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// Two namespaces, the sender's with the interface `va`, the sensor's with `vb`.
pub(crate) struct Cable {
    sender: String,
    pub(crate) sensor: String,
    folder: tempfile::TempDir,
}

impl Cable {
    /// `None`, having said why, where there can be none.
    pub(crate) fn new() -> Option<Cable> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = |end: &str| format!("scope-{}-{number}{end}", std::process::id());
        if !tool("tcpreplay", &["--version"]) {
            println!("skipped: needs tcpreplay");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let cable = Cable { sender: name("a"), sensor: name("b"), folder };
        let made =
            [&cable.sender, &cable.sensor].iter().all(|name| tool("ip", &["netns", "add", name]));
        if !made {
            println!("skipped: needs `ip` and the right to make network namespaces");
            return None;
        }
        // Only what is replayed shall be on it.
        for name in [&cable.sender, &cable.sensor] {
            for of in ["all", "default"] {
                let setting = format!("net.ipv6.conf.{of}.disable_ipv6=1");
                tool("ip", &["netns", "exec", name, "sysctl", "-qw", &setting]);
            }
        }
        cable.plug();
        Some(cable)
    }

    /// Puts the pair in, and waits until it carries.
    fn plug(&self) {
        let (sender, sensor) = (&*self.sender, &*self.sensor);
        let pair = ["-n", sender, "link", "add", "va", "type", "veth", "peer", "name", "vb"];
        assert!(tool("ip", &[&pair[..], &["netns", sensor]].concat()));
        assert!(tool("ip", &["-n", sender, "link", "set", "va", "up"]));
        self.set("up");
    }

    /// Sets the sensor's interface up or down.
    fn set(&self, state: &str) {
        assert!(tool("ip", &["-n", &self.sensor, "link", "set", "vb", state]));
        let wanted = format!("state {}", state.to_uppercase());
        wait_for(&format!("vb to be {state}"), || {
            let shown = output("ip", &["-n", &self.sensor, "-o", "link", "show", "vb"]);
            shown.contains(&wanted)
        });
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts the sensor, and waits until it captures.
    pub(crate) fn run(&self, options: &[&str]) -> Sensor {
        self.run_with(options, &[])
    }

    /// The same, with these variables in its environment.
    pub(crate) fn run_with(&self, options: &[&str], environment: &[(&str, &str)]) -> Sensor {
        let signatures = support::signatures();
        let signatures = ["--signatures".as_ref(), signatures.as_os_str()];
        let mut child = Command::new("ip")
            .envs(environment.iter().copied())
            .args(["netns", "exec", &self.sensor, env!("CARGO_BIN_EXE_shadowscope"), "run"])
            .args(["--interface", "vb"])
            .args((!options.contains(&"--user")).then_some("--allow-root"))
            .arg("--db")
            .arg(self.path("db"))
            .args(signatures.into_iter().filter(|_| !options.contains(&"--signatures")))
            .args(options)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        assert!(line.contains("capturing on vb"), "{line}");
        Sensor { child, said }
    }

    /// Sends a capture. The number of packets that were sent.
    pub(crate) fn replay(&self, capture: &Path, options: &[&str]) -> u64 {
        let output = Command::new("ip")
            .args(["netns", "exec", &self.sender, "tcpreplay", "-q", "-i", "va"])
            .args(options)
            .arg(capture)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        let line = said.lines().find(|line| line.contains("Successful packets:")).unwrap();
        support::number(line.split_whitespace().last().unwrap())
    }

    /// Sends a capture again and again until it is killed.
    pub(crate) fn load(&self, capture: &Path) -> Child {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.sender, "tcpreplay", "-q", "-i", "va"]);
        command.args(["--pps", "20000", "--preload-pcap", "--loop", "1000000"]).arg(capture);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// The report of the database.
    pub(crate) fn report(&self) -> PathBuf {
        let out = self.path("report");
        let arguments: [OsString; 5] = [
            "report".into(),
            "--db".into(),
            self.path("db").into(),
            "--out".into(),
            out.clone().into(),
        ];
        support::run(arguments).expect(0);
        out
    }

    pub(crate) fn ask(&self, sql: &str) -> i64 {
        Connection::open(self.path("db")).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        for name in [&self.sender, &self.sensor] {
            tool("ip", &["netns", "del", name]);
        }
    }
}

/// A running sensor. `ip netns exec` becomes the program, so that signals reach it.
pub(crate) struct Sensor {
    pub(crate) child: Child,
    pub(crate) said: BufReader<ChildStderr>,
}

impl Sensor {
    /// Asks for its end: the exit code, and how long it took.
    pub(crate) fn end(self) -> (i32, Duration) {
        let asked = Instant::now();
        self.signal("-TERM");
        let (code, _) = self.wait();
        (code, asked.elapsed())
    }

    pub(crate) fn signal(&self, signal: &str) {
        assert!(tool("kill", &[signal, &self.child.id().to_string()]));
    }

    /// Waits for its end: the exit code, and what it had said.
    pub(crate) fn wait(mut self) -> (i32, String) {
        let mut ended = None;
        wait_for("the sensor to end", || {
            ended = self.child.try_wait().unwrap();
            ended.is_some()
        });
        let said: Vec<String> = self.said.lines().map(Result::unwrap).collect();
        (ended.and_then(|status| status.code()).unwrap_or(-1), said.join("\n"))
    }
}

pub(crate) fn tool(name: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(name);
    command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

pub(crate) fn output(name: &str, arguments: &[&str]) -> String {
    let output = Command::new(name).args(arguments).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[track_caller]
pub(crate) fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The traffic of an office in a few seconds.
pub(crate) fn office(seed: u64, visits: usize) -> Traffic {
    let mut traffic = Office { visits, seconds: 300, seed, ..Office::default() }.traffic();
    let begin = traffic.records[0].time_nanos;
    for record in &mut traffic.records {
        record.time_nanos = begin + (record.time_nanos - begin) / 60;
    }
    traffic
}

/// All of a report that is no time: rows by file, with what is counted in them added up.
fn timeless(report: &Path) -> BTreeMap<String, Vec<BTreeMap<String, String>>> {
    let file = |name: &str| {
        let mut rows = support::csv_rows(&report.join(name));
        for row in &mut rows {
            // What is incidental is told by how soon one flow follows another, so it is a time too.
            for time in [
                "date",
                "date_from",
                "date_to",
                "first_seen",
                "last_seen",
                "active_minutes",
                "incidental",
                "incidental_share",
            ] {
                row.remove(time);
            }
        }
        rows.retain(|row| row.get("bytes").is_none_or(|bytes| bytes != "0"));
        rows.sort();
        (name.to_owned(), rows)
    };
    ["apps.csv", "usage.csv", "unmatched.csv", "visibility.csv"].map(file).into_iter().collect()
}

#[test]
fn a_replayed_capture_says_what_the_file_says() {
    let Some(cable) = Cable::new() else { return };
    let capture = cable.path("office.pcap");
    let traffic = office(1, 400);
    traffic.write(&capture).unwrap();
    let sensor = cable.run(&["--clear", "--workers", "2"]);
    let sent = cable.replay(&capture, &[]);
    let (code, took) = sensor.end();
    assert_eq!(code, 0);
    assert!(took < Duration::from_secs(5), "the end took {took:?}");
    assert_eq!(sent, traffic.records.len() as u64);
    assert_eq!(cable.ask("SELECT sum(packets) FROM totals"), sent as i64);
    assert_eq!(cable.ask("SELECT sum(received) FROM rings"), sent as i64);
    assert_eq!(cable.ask("SELECT sum(dropped) FROM rings"), 0);
    assert_eq!(cable.ask("SELECT count(*) FROM rings WHERE received > 100"), 2);

    let read = cable.path("read");
    support::read(["--report".into(), read.clone().into_os_string(), capture.into()]).expect(0);
    let (expected, found) = (timeless(&read), timeless(&cable.report()));
    assert!(expected.values().map(Vec::len).sum::<usize>() > 100);
    for (file, rows) in &expected {
        for (expected, found) in rows.iter().zip(&found[file]) {
            assert_eq!(found, expected, "{file}");
        }
        assert_eq!(found[file].len(), rows.len(), "{file}");
    }
}

#[test]
fn the_account_of_what_was_sent_is_exact() {
    let Some(cable) = Cable::new() else { return };
    let capture = cable.path("office.pcap");
    office(2, 600).write(&capture).unwrap();
    // The smallest rings there are, a sensor that stands still meanwhile, and more than goes in.
    let sensor = cable.run(&["--ring", "1", "--workers", "2", "--clear"]);
    sensor.signal("-STOP");
    let mut sent = cable.replay(&capture, &["--topspeed", "--preload-pcap", "--loop", "10"]);
    sensor.signal("-CONT");
    sent += cable.replay(&capture, &["--topspeed"]);
    assert_eq!(sensor.end().0, 0);
    let seen = cable.ask("SELECT sum(packets) FROM totals");
    let dropped = cable.ask("SELECT sum(dropped) FROM rings");
    assert!(seen > 1000 && dropped > 1000, "{sent} sent, {seen} seen, {dropped} dropped");
    assert_eq!(sent as i64, seen + dropped);
    assert_eq!(cable.ask("SELECT sum(received) FROM rings"), sent as i64);
    let manifest = support::manifest(&cable.report());
    assert_eq!(manifest["rings"]["dropped"].as_i64(), Some(dropped));
    assert_eq!(manifest["subjects"], "clear");
}

#[test]
fn an_interface_that_goes_down_is_waited_for() {
    let Some(cable) = Cable::new() else { return };
    let capture = cable.path("office.pcap");
    office(3, 40).write(&capture).unwrap();
    let sensor = cable.run(&["--workers", "2", "--clear"]);
    let first = cable.replay(&capture, &["--topspeed"]);
    cable.set("down");
    // This is how long it is down; nothing waits for it.
    std::thread::sleep(Duration::from_secs(2));
    cable.set("up");
    let second = cable.replay(&capture, &["--topspeed"]);
    assert_eq!(sensor.end().0, 0);
    assert_eq!(cable.ask("SELECT sum(packets) FROM totals"), (first + second) as i64);
    let down = cable.ask("SELECT sum(down_nanos) FROM rings");
    assert!((1_000_000_000..10_000_000_000).contains(&down), "{down} ns");
}

#[test]
fn an_interface_that_came_back_as_another_ends_the_run() {
    let Some(cable) = Cable::new() else { return };
    let capture = cable.path("office.pcap");
    office(4, 40).write(&capture).unwrap();
    let sensor = cable.run(&["--workers", "1", "--clear", "--site", "Lab"]);
    let sent = cable.replay(&capture, &["--topspeed"]);
    assert!(tool("ip", &["-n", &cable.sender, "link", "del", "va"]));
    cable.plug();
    let (code, said) = sensor.wait();
    assert_eq!(code, 75, "{said}");
    assert!(said.contains("vb went away and came back"), "{said}");
    // What was open was kept, and the run has ended.
    assert_eq!(cable.ask("SELECT sum(packets) FROM totals"), sent as i64);
    let of_site = "SELECT count(*) FROM runs WHERE state = 'done' AND site = 'Lab'";
    assert_eq!(cable.ask(of_site), 1);
}

#[test]
fn what_is_excluded_is_not_seen() {
    let Some(cable) = Cable::new() else { return };
    let capture = cable.path("office.pcap");
    let traffic = office(5, 200);
    traffic.write(&capture).unwrap();
    let tag = |frame: &[u8]| {
        let tagged = frame[12..14] == [0x81, 0x00];
        tagged.then(|| u16::from_be_bytes([frame[14], frame[15]]) & 0xfff)
    };
    let vlan = traffic.records.iter().find_map(|record| tag(&record.frame)).unwrap();
    // IPv4 clients of 10.1.0.0/17, with a tag and without.
    let network = |frame: &[u8]| {
        let at = if tag(frame).is_some() { 18 } else { 14 };
        let inside = |at: usize| frame[at..at + 2] == [10, 1] && frame[at + 2] < 128;
        frame[at - 2..at] == [8, 0] && (inside(at + 12) || inside(at + 16))
    };
    let count = |left_out: &dyn Fn(&[u8]) -> bool| {
        traffic.records.iter().filter(|record| !left_out(&record.frame)).count() as i64
    };
    let without_vlan = count(&|frame| tag(frame) == Some(vlan));
    let without_network = count(&|frame| network(frame));
    let all = traffic.records.len() as i64;
    assert!(0 < without_vlan && without_vlan < all && 0 < without_network && without_network < all);
    let mut before = 0;
    for (option, value, expected) in [
        ("--exclude-vlan", vlan.to_string(), without_vlan),
        ("--exclude-network", "10.1.0.0/17".into(), without_network),
    ] {
        let sensor = cable.run(&["--clear", option, &value]);
        cable.replay(&capture, &["--pps", "5000"]);
        assert_eq!(sensor.end().0, 0);
        let packets = cable.ask("SELECT sum(packets) FROM totals");
        assert_eq!(packets - before, expected, "{option} {value}");
        before = packets;
    }
}

#[test]
fn a_filter_and_a_snap_length_hold() {
    let Some(cable) = Cable::new() else { return };
    let capture = cable.path("office.pcap");
    let traffic = office(10, 200);
    traffic.write(&capture).unwrap();
    let is_dns = |frame: &[u8]| {
        let at = if frame[12..14] == [0x81, 0x00] { 18 } else { 14 };
        let (protocol, header) = match frame[at - 2..at] {
            [8, 0] => (frame[at + 9], 4 * usize::from(frame[at] & 15)),
            _ => (frame[at + 6], 40),
        };
        let ports = &frame[at + header..];
        protocol == 17 && [&ports[..2], &ports[2..4]].contains(&[0, 53].as_slice())
    };
    let dns = traffic.records.iter().filter(|record| is_dns(&record.frame)).count();
    let filter = "udp port 53 or (vlan and udp port 53)";
    let cut = traffic.records.iter().filter(|record| record.frame.len() > 256).count();
    assert!(dns > 100 && cut > 100 && cut + dns < traffic.records.len(), "{dns} {cut}");
    for (run, options, packets, cut) in [
        (1, ["--filter", filter], dns, 0),
        (2, ["--snap", "256"], traffic.records.len(), cut),
        (3, ["--snap", "65535"], traffic.records.len(), 0),
    ] {
        let sensor = cable.run(&[&options[..], &["--clear", "--workers", "2"]].concat());
        cable.replay(&capture, &["--pps", "5000"]);
        assert_eq!(sensor.end().0, 0);
        let sum =
            |what: &str| cable.ask(&format!("SELECT sum({what}) FROM totals WHERE run = {run}"));
        assert_eq!(sum("packets"), packets as i64, "{options:?}");
        // Bytes are those of the wire, however few were captured.
        if run > 1 {
            assert_eq!(sum("total_bytes"), traffic.total_bytes() as i64, "{options:?}");
        }
        let told = format!(
            "SELECT ifnull(sum(value), 0) FROM counters WHERE run = {run} AND name = 'snap_cut'"
        );
        assert_eq!(cable.ask(&told), cut as i64, "{options:?}");
    }
}

#[test]
fn an_idle_port_has_an_end() {
    let Some(cable) = Cable::new() else { return };
    for workers in ["1", "2"] {
        let (code, took) = cable.run(&["--clear", "--workers", workers]).end();
        assert_eq!(code, 0);
        assert!(took < Duration::from_secs(1), "the end took {took:?}");
    }
    assert_eq!(cable.ask("SELECT count(*) FROM runs WHERE state = 'done'"), 2);
}

#[test]
fn two_halves_of_a_tap_are_put_together() {
    let Some(cable) = Cable::new() else { return };
    let pair = ["-n", &*cable.sender, "link", "add", "va2", "type", "veth", "peer", "name", "vb2"];
    assert!(tool("ip", &[&pair[..], &["netns", &cable.sensor]].concat()));
    assert!(tool("ip", &["-n", &cable.sender, "link", "set", "va2", "up"]));
    assert!(tool("ip", &["-n", &cable.sensor, "link", "set", "vb2", "up"]));
    wait_for("vb2", || {
        output("ip", &["-n", &cable.sensor, "-o", "link", "show", "vb2"]).contains("state UP")
    });
    // What clients send on the one, what servers send on the other.
    let traffic = office(8, 150);
    let all = traffic.records.len() as i64;
    let sent_by_router = |frame: &[u8]| frame[6..12] == [2, 0, 0, 0, 0, 1];
    let (down, up) = traffic.records.into_iter().partition(|one| sent_by_router(&one.frame));
    let [up_at, down_at] = [("up.pcap", up), ("down.pcap", down)].map(|(name, records)| {
        let half: Vec<Record> = records;
        assert!(half.len() > 500);
        let path = cable.path(name);
        Traffic { records: half, ..Traffic::default() }.write(&path).unwrap();
        path
    });
    let sensor = cable.run(&["--interface", "vb2", "--clear", "--workers", "2"]);
    let mut second = Command::new("ip")
        .args(["netns", "exec", &cable.sender, "tcpreplay", "-q", "-i", "va2"])
        .arg(&down_at)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    cable.replay(&up_at, &[]);
    assert!(second.wait().unwrap().success());
    assert_eq!(sensor.end().0, 0);
    assert_eq!(cable.ask("SELECT sum(packets) FROM totals"), all);
    // Both directions of a connection met in one worker.
    let one_way = cable.ask("SELECT sum(tcp_flows - tcp_two_way) * 10 FROM health");
    let flows = cable.ask("SELECT sum(tcp_flows) FROM health");
    assert!(one_way < flows && flows > 100, "{one_way} / 10 of {flows}");
}

#[test]
fn what_was_killed_is_seen_and_goes_on_as_another_run() {
    let Some(cable) = Cable::new() else { return };
    let capture = cable.path("office.pcap");
    office(6, 100).write(&capture).unwrap();
    let mut sensor = cable.run(&["--clear", "--workers", "2"]);
    cable.replay(&capture, &["--topspeed"]);
    sensor.child.kill().unwrap();
    sensor.child.wait().unwrap();
    let sensor = cable.run(&["--clear", "--workers", "2"]);
    let sent = cable.replay(&capture, &["--topspeed"]);
    assert_eq!(sensor.end().0, 0);
    let states = "SELECT group_concat(state) FROM runs";
    let states: String = Connection::open(cable.path("db"))
        .and_then(|db| db.query_row(states, [], |row| row.get(0)))
        .unwrap();
    assert_eq!(states, "interrupted,done");
    assert_eq!(cable.ask("SELECT sum(packets) FROM totals WHERE run = 2"), sent as i64);
    // No commit is missing between those of a run.
    let gaps = "SELECT count(*) FROM (SELECT max(sequence) + 1 <> count(*) AS gap FROM commits
        GROUP BY run) WHERE gap";
    assert_eq!(cable.ask(gaps), 0);
    assert_eq!(
        cable.ask("SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"),
        0
    );
}

#[test]
fn it_gives_up_what_it_may_do() {
    let Some(cable) = Cable::new() else { return };
    let capture = cable.path("office.pcap");
    office(7, 40).write(&capture).unwrap();
    assert!(tool("chown", &["-R", "nobody", &cable.folder.path().to_string_lossy()]));
    let key = cable.path("keys/pseudonym.key");
    let key = key.to_string_lossy();
    let sensor = cable.run(&["--user", "nobody", "--pseudonym-key", &key, "--workers", "2"]);
    let process = PathBuf::from(format!("/proc/{}/task", sensor.child.id()));
    // Merge, two workers, and the one that reloads.
    wait_for("threads", || fs::read_dir(&process).unwrap().count() == 4);
    for thread in fs::read_dir(&process).unwrap() {
        let status = fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        assert!(field("Uid:").iter().all(|user| user != "0"), "{status}");
        for set in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
            assert_eq!(field(set), ["0000000000000000"], "{status}");
        }
        assert_eq!(field("NoNewPrivs:"), ["1"]);
        assert_eq!(field("Seccomp:"), ["2"]);
    }
    let sent = cable.replay(&capture, &["--topspeed"]);
    assert_eq!(sensor.end().0, 0);
    assert_eq!(cable.ask("SELECT sum(packets) FROM totals"), sent as i64);
    let manifest = support::manifest(&cable.report());
    assert_eq!(manifest["subjects"], "pseudonyms");
    assert_eq!(manifest["pseudonym_keys"].as_array().map(Vec::len), Some(1));
}

#[test]
fn without_privileges_it_says_what_it_needs() {
    let folder = tempfile::tempdir().unwrap();
    let db = folder.path().join("db");
    let run = |more: &[&str]| {
        let mut arguments: Vec<OsString> =
            ["run", "--clear", "--interface", "no-such-if", "--db"].map(OsString::from).to_vec();
        arguments.extend([db.clone().into(), "--signatures".into(), support::signatures().into()]);
        arguments.extend(more.iter().map(OsString::from));
        support::run(arguments).expect(2).stderr
    };
    let is_root = fs::metadata("/proc/self")
        .is_ok_and(|facts| std::os::unix::fs::MetadataExt::uid(&facts) == 0);
    if is_root {
        let said = run(&[]);
        assert!(said.contains("--user NAME") && said.contains("--allow-root"), "{said}");
        let said = run(&["--allow-root"]);
        assert!(said.contains("no-such-if") && said.contains("CAP_NET_RAW"), "{said}");
    } else {
        let said = run(&[]);
        assert!(said.contains("no-such-if") && said.contains("CAP_NET_RAW"), "{said}");
        assert!(run(&["--user", "nobody"]).contains("only root"));
    }
    assert!(!db.exists());
}
