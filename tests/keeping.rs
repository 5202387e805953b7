//! What is kept in a database: nothing twice, nothing of what was interrupted, hours of the zone.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::generator::office::Office;
use crate::generator::talk::{Side, Talk};
use crate::generator::{Random, SECOND, START_SECONDS, Traffic};
use crate::support::{self, Ended, Made, number};

/// A folder with a capture and a place for a database.
struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    fn new() -> Desk {
        Desk { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn capture(&self, name: &str, seed: u64) -> PathBuf {
        let office = Office { visits: 300, seconds: 400, seed, ..Office::default() };
        let path = self.path(name);
        office.traffic().write(&path).unwrap();
        path
    }

    fn read(&self, capture: &Path, more: &[&str]) -> Ended {
        let mut arguments: Vec<OsString> = more.iter().map(OsString::from).collect();
        arguments.extend(["--db".into(), self.path("db").into(), capture.into()]);
        support::read(arguments)
    }

    /// The report of what is in the database, without the manifest.
    fn report(&self) -> BTreeMap<String, Vec<u8>> {
        let out = tempfile::tempdir().unwrap();
        let arguments: [OsString; 5] = [
            "report".into(),
            "--db".into(),
            self.path("db").into(),
            "--out".into(),
            out.path().into(),
        ];
        support::run(arguments).expect(0);
        let mut files = support::contents(out.path());
        files.remove("manifest.json");
        assert_eq!(files.len(), 7, "{:?}", files.keys());
        files
    }
}

/// The reports of a database into which these captures were read once each.
fn fresh(captures: &[(&str, u64)]) -> BTreeMap<String, Vec<u8>> {
    let desk = Desk::new();
    for &(name, seed) in captures {
        let capture = desk.capture(name, seed);
        desk.read(&capture, &[]).expect(0);
    }
    desk.report()
}

#[test]
fn a_capture_is_never_added_twice() {
    let desk = Desk::new();
    let capture = desk.capture("monday.pcap", 1);
    desk.read(&capture, &[]).expect(0);
    let once = desk.report();
    assert_eq!(once, fresh(&[("monday.pcap", 1)]));

    let ended = desk.read(&capture, &[]).expect(0);
    assert!(ended.stderr.contains("monday.pcap") && ended.stderr.contains("--again"));
    // Under another name it is the same capture.
    let copy = desk.path("copy.pcap");
    fs::copy(&capture, &copy).unwrap();
    assert!(desk.read(&copy, &[]).expect(0).stderr.contains("monday.pcap"));
    assert_eq!(desk.report(), once);

    desk.read(&capture, &["--again"]).expect(0);
    assert_eq!(desk.report(), once);

    desk.read(&desk.capture("tuesday.pcap", 2), &[]).expect(0);
    assert_eq!(desk.report(), fresh(&[("monday.pcap", 1), ("tuesday.pcap", 2)]));
}

#[test]
fn again_replaces_what_the_earlier_run_said() {
    let desk = Desk::new();
    let capture = desk.capture("monday.pcap", 1);
    // With another home nobody is a user.
    desk.read(&capture, &["--home", "192.0.2.0/24"]).expect(0);
    assert_ne!(desk.report(), fresh(&[("monday.pcap", 1)]));
    desk.read(&capture, &["--again"]).expect(0);
    assert_eq!(desk.report(), fresh(&[("monday.pcap", 1)]));
}

/// Ends a program that this test started, whatever becomes of the test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

#[test]
fn what_was_interrupted_is_taken_out_and_read_anew() {
    let desk = Desk::new();
    let capture = desk.capture("monday.pcap", 1);
    // After the capture the run reads standard input, which brings some blocks of packets, and
    // then nothing for as long as the program lives.
    let mut later = Traffic::default();
    let ends = ["10.1.0.1:5000", "198.18.0.1:5000"].map(|end| end.parse().unwrap());
    let time = (START_SECONDS + 3000) * SECOND;
    let mut talk = Talk::udp(&mut later, ends[0], ends[1], time);
    for _ in 0..2000 {
        talk.send(Side::Up, &[b'.'; 1200]);
    }
    let later_at = desk.path("later");
    later.write(&later_at).unwrap();

    let mut run = Killed(
        support::program()
            .args(["read", "--quiet", "--workers", "2", "--signatures"])
            .arg(support::signatures())
            .arg("--db")
            .arg(desk.path("db"))
            .arg(&capture)
            .arg("-")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let mut input = run.0.stdin.take().unwrap();
    input.write_all(&fs::read(&later_at).unwrap()).unwrap();
    input.flush().unwrap();
    let committed = || -> rusqlite::Result<i64> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let database = Connection::open_with_flags(desk.path("db"), flags)?;
        database.query_row("SELECT count(*) FROM usage", [], |row| row.get(0))
    };
    let is_half_done = (0..400).any(|_| {
        std::thread::sleep(Duration::from_millis(25));
        committed().is_ok_and(|rows| rows > 0)
    });
    assert!(is_half_done, "nothing was committed before the end of the input");
    drop(run);
    drop(input);

    let ended = desk.read(&capture, &[]).expect(0);
    assert!(ended.stderr.contains("interrupted"), "{}", ended.stderr);
    assert_eq!(desk.report(), fresh(&[("monday.pcap", 1)]));
}

/// One packet a minute for an hour and a half, to a name.
fn minutes() -> Traffic {
    let mut traffic = Traffic::default();
    let ends = ["10.1.0.1:4000", "198.18.0.1:80"].map(|end| end.parse().unwrap());
    let start = (START_SECONDS + 10 * 60) * SECOND;
    let mut talk = Talk::tcp(&mut traffic, ends[0], ends[1], start);
    talk.open();
    talk.send(Side::Up, b"GET / HTTP/1.1\r\nHost: files.slack.com\r\n\r\n");
    for _ in 0..90 {
        talk.send(Side::Down, &[b'.'; 50]);
        talk.wait(60 * SECOND);
    }
    traffic
}

#[test]
fn hours_are_those_of_the_zone() {
    for (zone, begins_at) in [("UTC", 0), ("Asia/Kolkata", 1800), ("Asia/Kathmandu", 900)] {
        let desk = Desk::new();
        let capture = desk.path("minutes.pcap");
        let traffic = minutes();
        traffic.write(&capture).unwrap();
        desk.read(&capture, &["--zone", zone]).expect(0);
        let database = Connection::open(desk.path("db")).unwrap();
        let mut query =
            database.prepare("SELECT hour, bytes_down FROM usage ORDER BY hour").unwrap();
        let rows: Vec<(i64, i64)> = query
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert!(rows.len() >= 2, "{zone}: {rows:?}");
        let mut expected: BTreeMap<i64, i64> = BTreeMap::new();
        for record in &traffic.records {
            let seconds = record.time_nanos / SECOND;
            let hour = (seconds - begins_at).div_euclid(3600) * 3600 + begins_at;
            let is_down = record.frame[6..9] != [0x02, 0, 1];
            let bytes = if is_down { record.frame.len() as i64 - 14 } else { 0 };
            *expected.entry(hour).or_default() += bytes;
        }
        assert_eq!(rows, expected.into_iter().collect::<Vec<_>>(), "{zone}");
    }
}

#[test]
fn days_are_those_of_the_zone() {
    let mut traffic = Traffic::default();
    // 20:00 UTC: the next day in Kolkata.
    let start = (START_SECONDS + 11 * 3600) * SECOND;
    let ends = ["10.1.0.1:4000", "198.18.0.1:80"].map(|end| end.parse().unwrap());
    let mut talk = Talk::tcp(&mut traffic, ends[0], ends[1], start);
    talk.open();
    talk.send(Side::Up, b"GET / HTTP/1.1\r\nHost: files.slack.com\r\n\r\n");
    talk.send(Side::Down, b"HTTP/1.1 204 No Content\r\n\r\n");
    for (zone, date) in [("UTC", "2026-03-02"), ("Asia/Kolkata", "2026-03-03")] {
        let rows = Made::read(&traffic, &["--zone", zone]).rows("apps.csv");
        assert_eq!((rows.len(), &*rows[0]["date"]), (1, date), "{zone}");
    }
}

#[test]
fn nothing_that_spreadsheets_run_gets_into_a_report() {
    let desk = Desk::new();
    let identities = desk.path("identities.csv");
    fs::write(&identities, "address_or_network,user,department\n10.1.0.1,=1+1,@SUM(A1:A9)\n")
        .unwrap();
    let made = Made::read(&minutes(), &["--identities", identities.to_str().unwrap()]);
    let rows = made.rows("usage.csv");
    assert_eq!((&*rows[0]["user"], &*rows[0]["department"]), ("'=1+1", "'@SUM(A1:A9)"));
    for (name, bytes) in support::contents(&made.report()) {
        let text = String::from_utf8(bytes).unwrap();
        let mut fields = text.lines().flat_map(|line| line.split(','));
        if name.ends_with(".csv") {
            assert!(!fields.any(|field| field.starts_with(['=', '@', '+'])), "{name}:\n{text}");
        }
    }
}

#[test]
fn totals_of_apps_are_the_sums_of_usage() {
    let traffic = Office { visits: 1500, seed: 5, ..Office::default() }.traffic();
    let made = Made::read(&traffic, &[]);
    let sum = |file: &str, column: &str| -> BTreeMap<String, u64> {
        let mut sums = BTreeMap::new();
        for row in made.rows(file) {
            *sums.entry(row["app_id"].clone()).or_default() += number(&row[column]);
        }
        sums.retain(|_, sum| *sum > 0);
        sums
    };
    for column in ["connections", "attempts_failed", "active_minutes", "bytes_up", "bytes_down"] {
        let (apps, usage) = (sum("apps.csv", column), sum("usage.csv", column));
        assert!(apps.len() >= 2, "{column}: {apps:?}");
        assert_eq!(apps, usage, "{column}");
    }
}

#[test]
#[allow(clippy::disallowed_methods, reason = "moments of a run are chosen by how long one takes")]
fn whenever_it_is_killed_the_next_run_says_all() {
    let kills = support::kills();
    let desk = Desk::new();
    let capture = desk.path("office.pcap");
    let office = Office { visits: 4000, seconds: 4000, seed: 5, ..Office::default() };
    office.traffic().write(&capture).unwrap();
    let begun = std::time::Instant::now();
    desk.read(&capture, &[]).expect(0);
    let took = begun.elapsed();
    let expected = desk.report();
    let mut random = Random::new(u64::from(std::process::id()));
    let mut interrupted = 0;
    for kill in 0..kills {
        for name in ["db", "db-wal", "db-shm", "db-lock"] {
            let _missing = fs::remove_file(desk.path(name));
        }
        let mut command = support::program();
        command.args(["read", "--quiet", "--workers", "2", "--signatures"]);
        command.arg(support::signatures()).arg("--db").arg(desk.path("db")).arg(&capture);
        let mut run = Killed(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        // Any moment of the run is as good as another.
        std::thread::sleep(took.mul_f64(random.below(1000) as f64 / 1000.0));
        interrupted += u32::from(run.0.try_wait().unwrap().is_none());
        drop(run);
        desk.read(&capture, &[]).expect(0);
        assert!(desk.report() == expected, "kill {kill} of {kills}");
    }
    assert!(interrupted > kills / 3, "{interrupted} of {kills} runs were killed");
}
