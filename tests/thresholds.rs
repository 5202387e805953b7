//! Every threshold of evidence is applied when a report is made: a database that was filled under
//! other settings tells what one that is filled again tells.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use shadowscope::evidence::Settings;
use shadowscope::report::{ReportRange, write_reports};
use shadowscope::store::Store;

use crate::generator::talk::{Side, Talk};
use crate::generator::tls::{self, Hello};
use crate::generator::{MILLISECOND, Random, SECOND, START_SECONDS, Traffic};
use crate::support;

/// Midnight.
const DAY: i64 = (START_SECONDS / 86_400 + 1) * 86_400 * SECOND;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const SITE: (&str, u8) = ("www.news-site.example", 1);
const OTHER_SITE: (&str, u8) = ("www.other-site.example", 3);
const APP: (&str, u8) = ("app.slack.com", 2);

/// Values that are tried of every setting, as far as it takes them.
const VALUES: [u64; 24] = [
    1, 2, 4, 5, 7, 9, 12, 15, 20, 22, 30, 50, 60, 100, 350, 700, 1_400, 3_750, 5_000, 10_000,
    20_000, 50_000, 100_000, 10_000_000,
];

/// Of these, so many are read again for.
const READ_AGAIN: usize = 2;

#[derive(Default)]
struct Office {
    traffic: Traffic,
    connections: u16,
}

impl Office {
    /// A connection of a client that begins so long after midnight, asks so much at a time, after so
    /// long a silence each, and is closed.
    fn connect(
        &mut self,
        who: u8,
        at: i64,
        (name, server): (&str, u8),
        asks: &[(i64, usize, usize)],
    ) {
        self.connections += 1;
        let client: SocketAddr =
            format!("10.6.0.{who}:{}", 1024 + self.connections).parse().unwrap();
        let server: SocketAddr = format!("198.18.5.{server}:443").parse().unwrap();
        let mut random = Random::new(self.connections.into());
        let mut talk = Talk::tcp(&mut self.traffic, client, server, DAY + at);
        talk.gap_nanos = 2 * MILLISECOND;
        talk.open();
        let hello = Hello { server_name: Some(name), ..Hello::default() };
        let hello = tls::client_hello(&hello, &mut random);
        talk.send(Side::Up, &tls::records(&hello, 16_384));
        talk.send(Side::Down, &tls::server_hello(&mut random));
        talk.send(Side::Down, &tls::application_data(2000, &mut random));
        talk.send(Side::Up, &tls::application_data(60, &mut random));
        for &(silence, up, down) in asks {
            talk.wait(silence);
            talk.send(Side::Up, &tls::application_data(up, &mut random));
            talk.send(Side::Down, &tls::application_data(down, &mut random));
        }
        talk.close();
    }

    /// People and programs, of whom each threshold decides on somebody.
    fn made() -> Office {
        let mut office = Office::default();
        let mut who = 1;
        let mut next = || {
            who += 1;
            who
        };
        // Work of all sizes in one connection; the same again in other quarter-hours.
        for (up, down) in [
            (100, 3_000),
            (100, 9_000),
            (400, 1_000),
            (900, 1_000),
            (1_500, 20_000),
            (2_000, 60_000),
            (3_600, 2_000),
            (5_000, 2_000),
            (20_000, 300_000),
        ] {
            for times in 1..=4 {
                let who = next();
                (0..times).for_each(|n| {
                    office.connect(who, 9 * HOUR + (5 + 15 * n) * MINUTE, APP, &[(0, up, down)]);
                });
            }
        }
        // Embeds of all sizes, after all silences, in long loads, and beside something else.
        for (up, down, beside) in [
            (800, 30_000, 0),
            (3_000, 30_000, 0),
            (800, 150_000, 0),
            (800, 30_000, 500),
            (800, 30_000, 1_000),
        ] {
            let who = next();
            office.connect(who, 10 * HOUR, SITE, &[(0, 900, 40_000)]);
            office.connect(who, 10 * HOUR + 800 * MILLISECOND, APP, &[(0, up, down)]);
            if beside > 0 {
                office.connect(who, 10 * HOUR + 10 * MINUTE, APP, &[(0, beside, 1_000)]);
            }
        }
        for silence in [1_500, 4_000] {
            let who = next();
            office.connect(who, 10 * HOUR, SITE, &[(0, 900, 40_000)]);
            office.connect(who, 10 * HOUR + silence * MILLISECOND, APP, &[(0, 900, 30_000)]);
        }
        for seconds in [4, 12, 25, 50] {
            let who = next();
            office.connect(who, 10 * HOUR, SITE, &[(0, 900, 40_000)]);
            (1..seconds).for_each(|n| {
                office.connect(
                    who,
                    10 * HOUR + n * SECOND,
                    ("a.slack-edge.com", 4),
                    &[(0, 200, 500)],
                );
            });
            office.connect(who, 10 * HOUR + seconds * SECOND, APP, &[(0, 900, 30_000)]);
        }
        for answer in [3_000, 7_000, 15_000, 30_000, 70_000] {
            let who = next();
            office.connect(who, 10 * HOUR, OTHER_SITE, &[(0, 900, 40_000), (MINUTE, 600, answer)]);
            office.connect(who, 10 * HOUR + MINUTE + 700 * MILLISECOND, APP, &[(0, 900, 30_000)]);
        }
        // Programs: by hours, pauses, lateness, size, and with work beside it.
        for (first, last, pause, late, down) in [
            (8 * 60, 11 * 60, 10, 0, 1_000),
            (8 * 60, 14 * 60, 5, 0, 1_000),
            (8 * 60, 20 * 60, 20, 3, 1_000),
            (8 * 60, 18 * 60, 20, 8, 1_000),
            (22 * 60, 24 * 60, 6, 0, 1_000),
            (8 * 60, 14 * 60, 1, 0, 1_000),
            (8 * 60, 14 * 60, 2, 0, 25_000),
            (8 * 60, 14 * 60, 60, 0, 30_000),
            (8 * 60, 17 * 60, 2, 1, 200_000),
        ] {
            let who = next();
            for (n, minute) in (first..last).step_by(pause).enumerate() {
                let late = (n * n % 3) as i64 * late * MINUTE / 2;
                let size = 4_200 + 100 * (n * n % 11);
                office.connect(who, minute * MINUTE + late, APP, &[(0, size, down + n % 7 * 100)]);
            }
        }
        // Hours that are not quite alike.
        let who = next();
        (8 * 60..16 * 60).step_by(2).for_each(|minute| {
            let down = if minute / 60 % 2 == 0 { 1_000 } else { 5_000 };
            office.connect(who, minute * MINUTE, APP, &[(0, 4_200, down)]);
        });
        for (times, more) in [(2, 2), (4, 3), (7, 6), (30, 20)] {
            let who = next();
            (8 * 60..16 * 60).step_by(10).for_each(|minute| {
                office.connect(who, minute * MINUTE, APP, &[(0, 4_200, 1_000)]);
            });
            // An hour of work: so many times the bytes in so many minutes more.
            let bytes = 6 * 9_000 * times / more;
            for n in 0..more as i64 {
                let minute = 12 * 60 + 2 * n + n / 4 + 1;
                office.connect(who, minute * MINUTE, APP, &[(0, 4_200, bytes)]);
            }
        }
        office.traffic.sort();
        office
    }
}

/// Reads the capture under these settings, into a new database.
fn read(folder: &Path, capture: &Path, settings: &str) -> PathBuf {
    let (db, file) = (folder.join("usage.db"), folder.join("evidence.toml"));
    fs::write(&file, settings).unwrap();
    let mut command = support::program();
    command
        .args(["read", "--quiet", "--workers", "3", "--db"])
        .arg(&db)
        .arg("--evidence")
        .arg(&file)
        .arg(capture);
    support::Ended::from(command.output().unwrap()).expect(0);
    db
}

/// `usage.csv` and `apps.csv` of a database under these settings.
fn reported(db: &Path, settings: &Settings) -> (String, String) {
    let out = tempfile::tempdir().unwrap();
    let store = Store::open_read_only(db).unwrap();
    write_reports(&store, out.path(), ReportRange::default(), settings).unwrap();
    let text = |name: &str| fs::read_to_string(out.path().join(name)).unwrap();
    (text("usage.csv"), text("apps.csv"))
}

#[test]
fn a_changed_threshold_needs_nothing_to_be_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let capture = folder.path().join("made.pcap");
    Office::made().traffic.write(&capture).unwrap();
    let stored = read(folder.path(), &capture, "");
    let usual = reported(&stored, &Settings::default());
    let defaults = toml::Table::try_from(Settings::default()).unwrap();
    let mut unmoved = BTreeSet::new();
    for name in defaults["evidence"].as_table().unwrap().keys() {
        let text = |value: u64| format!("[evidence]\n{name} = {value}\n");
        let usable = |value: &u64| Some((*value, Settings::parse(&text(*value)).ok()?));
        let values: Vec<(u64, Settings)> = VALUES.iter().filter_map(usable).collect();
        assert!(values.len() > 1, "{name} takes too few of the values that are tried");
        let reports: Vec<_> =
            values.iter().map(|(value, settings)| (*value, reported(&stored, settings))).collect();
        if reports.iter().all(|(_, report)| *report == usual) {
            unmoved.insert(name.clone());
        }
        let step = reports.len().div_ceil(READ_AGAIN);
        let chosen = reports.iter().step_by(step).chain(reports.last());
        for (value, report) in chosen {
            let again = tempfile::tempdir().unwrap();
            let db = read(again.path(), &capture, &text(*value));
            let settings = Settings::parse(&text(*value)).unwrap();
            let told = reported(&db, &settings);
            let lines = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
            let (known, found) = (lines(&report.0), lines(&told.0));
            let differs: Vec<_> = known.symmetric_difference(&found).collect();
            assert!(told == *report, "{name} = {value}: {differs:#?}");
        }
    }
    assert_eq!(unmoved, BTreeSet::new(), "nothing depends on these");
}
