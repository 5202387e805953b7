//! From packets to what counts as use, where the recorded corpus has no example: handshakes in two
//! quarter-hours, synchronisation for half a day with and without somebody who works, and machines
//! that look like several.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::generator::talk::{Side, Talk};
use crate::generator::tls::{self, Hello};
use crate::generator::{Random, SECOND, START_SECONDS, Traffic};
use crate::support;

/// Eight o'clock of a day.
const EIGHT: i64 = ((START_SECONDS / 86_400 + 1) * 86_400 + 8 * 3600) * SECOND;
const MINUTE: i64 = 60 * SECOND;
/// Where Ethernet frames of IPv4 have the time to live (RFC 791, 3.1).
const TIME_TO_LIVE: usize = 14 + 8;
/// Where a ClientHello with a session id has its first cipher suite (RFC 8446, 4.1.2).
const FIRST_SUITE: usize = 4 + 2 + 32 + 33 + 2;

/// Traffic of one client with files.slack.com.
struct Day {
    traffic: Traffic,
    random: Random,
    port: u16,
}

impl Day {
    fn new() -> Day {
        Day { traffic: Traffic::default(), random: Random::new(11), port: 20_000 }
    }

    /// A connection after so many nanoseconds, with so many bytes of application data; without any
    /// its handshake only.
    fn connect(&mut self, after: i64, bytes: Option<(usize, usize)>) {
        self.connect_as(after, bytes, 0, 64);
    }

    /// Likewise by a program with its own shape of hellos, behind a machine of this time to live.
    fn connect_as(&mut self, after: i64, bytes: Option<(usize, usize)>, program: u8, life: u8) {
        self.port += 1;
        let client: SocketAddr = format!("10.6.0.1:{}", self.port).parse().unwrap();
        let server: SocketAddr = "198.18.5.1:443".parse().unwrap();
        let (random, first) = (&mut self.random, self.traffic.records.len());
        let mut talk = Talk::tcp(&mut self.traffic, client, server, EIGHT + after);
        talk.open();
        let hello = Hello { server_name: Some("files.slack.com"), ..Hello::default() };
        let mut hello = tls::client_hello(&hello, random);
        if program > 0 {
            hello[FIRST_SUITE..FIRST_SUITE + 2].copy_from_slice(&[0xc0, program]);
        }
        talk.send(Side::Up, &tls::records(&hello, 16_384));
        talk.send(Side::Down, &tls::server_hello(random));
        talk.send(Side::Down, &tls::application_data(2000, random));
        talk.send(Side::Up, &tls::application_data(60, random));
        if let Some((up, down)) = bytes {
            talk.send(Side::Up, &tls::application_data(up, random));
            talk.send(Side::Down, &tls::application_data(down, random));
        }
        talk.close();
        for record in &mut self.traffic.records[first..] {
            record.frame[TIME_TO_LIVE] = life;
        }
    }

    /// Asks every five minutes whether there is something new.
    fn sync(&mut self, hours: i64) {
        (0..12 * hours).for_each(|n| self.connect(n * 5 * MINUTE, Some((4200, 1500))));
    }

    /// Rows of `usage.csv` and `shared_sources.csv` of the day, and evidence by hour.
    fn told(self) -> Told {
        self.told_under("")
    }

    /// The same under these settings of evidence.
    fn told_under(mut self, settings: &str) -> Told {
        self.traffic.sort();
        let folder = tempfile::tempdir().unwrap();
        let (capture, db) = (folder.path().join("made.pcap"), folder.path().join("usage.db"));
        self.traffic.write(&capture).unwrap();
        let file = folder.path().join("evidence.toml");
        fs::write(&file, settings).unwrap();
        let mut command = support::program();
        command.args(["read", "--quiet", "--db"]).arg(&db).arg(&capture);
        support::Ended::from(command.output().unwrap()).expect(0);
        let report = |from: i64, to: i64| -> PathBuf {
            let moment = |hour: i64| jiff::Timestamp::from_second(EIGHT / SECOND + hour * 3600);
            let out = folder.path().join(format!("report-{from}-{to}"));
            let mut command = support::program();
            command.args(["report", "--db"]).arg(&db).arg("--out").arg(&out);
            command.arg("--evidence").arg(&file);
            command.args(["--from", &moment(from).unwrap().to_string()]);
            command.args(["--to", &moment(to).unwrap().to_string()]);
            support::Ended::from(command.output().unwrap()).expect(0);
            out
        };
        let day = report(0, 12);
        let [row] = &support::csv_rows(&day.join("usage.csv"))[..] else { panic!("one row") };
        let by_hour = (0..12).filter_map(|hour| {
            let rows = support::csv_rows(&report(hour, hour + 1).join("usage.csv"));
            rows.first().map(|row| (hour, row["evidence"].clone()))
        });
        Told {
            row: row.clone(),
            shared: support::csv_rows(&day.join("shared_sources.csv")),
            by_hour: by_hour.collect(),
        }
    }
}

/// What reports say.
struct Told {
    row: BTreeMap<String, String>,
    shared: Vec<BTreeMap<String, String>>,
    by_hour: BTreeMap<i64, String>,
}

impl Told {
    fn class(&self) -> (&str, &str) {
        (&self.row["evidence"], &self.row["pattern"])
    }

    fn interactive_hours(&self) -> Vec<i64> {
        let is_it = |(_, evidence): &(&i64, &String)| *evidence == "interactive";
        self.by_hour.iter().filter(is_it).map(|(hour, _)| *hour).collect()
    }
}

#[test]
fn two_quarter_hours_need_payload_in_both() {
    let class = |second| {
        let mut day = Day::new();
        day.connect(5 * MINUTE, Some((900, 1500)));
        day.connect(25 * MINUTE, second);
        day.told().row["evidence"].clone()
    };
    assert_eq!(class(None), "two_way_payload");
    assert_eq!(class(Some((60, 60))), "two_way_payload");
    assert_eq!(class(Some((900, 1500))), "interactive");
}

#[test]
fn a_sign_in_that_fails_again_need_be_no_use() {
    let stricter = "[evidence]\nquarter_bytes_up = 3750\n";
    for (up, down) in [(1200, 6000), (2600, 12_000)] {
        for times in 2..=4 {
            let mut day = Day::new();
            (0..times).for_each(|n| day.connect((5 + 15 * n) * MINUTE, Some((up, down))));
            let class = day.told_under(stricter);
            assert_eq!(class.class(), ("two_way_payload", ""), "{up} {down} {times} times");
        }
    }
}

#[test]
fn what_a_program_asks_every_minute_or_hour_is_synchronisation() {
    for (minutes, hours, down) in [(1, 8, 1500), (2, 8, 1500), (60, 6, 30_000), (5, 10, 24_000)] {
        let mut day = Day::new();
        for at in (0..60 * hours).step_by(minutes as usize) {
            day.connect(at * MINUTE, Some((4200, down)));
        }
        assert_eq!(day.told().class(), ("two_way_payload", "sync"), "every {minutes} minutes");
    }
}

#[test]
fn somebody_who_has_a_chat_open_all_day_uses_it() {
    let mut day = Day::new();
    // It says every minute that it is there, and saves what is written.
    for minute in 0..8 * 60 {
        day.connect(minute * MINUTE, Some((300, 300)));
        if minute * minute % 61 < 9 + 4 * (minute / 60 % 3) {
            day.connect(minute * MINUTE + 20 * SECOND, Some((4200, 2000)));
        }
    }
    assert_eq!(day.told().class(), ("interactive", ""));
}

#[test]
fn half_a_day_of_synchronisation_is_no_use() {
    let mut day = Day::new();
    day.sync(5);
    let told = day.told();
    assert_eq!(told.class(), ("two_way_payload", "sync"));
    assert_eq!(told.by_hour.len(), 5);
    // Alone, each of these hours would be: it is the day that explains them.
    let mut day = Day::new();
    day.sync(1);
    assert_eq!(day.told().class(), ("interactive", ""));
}

#[test]
fn work_beside_synchronisation_is_use_in_its_hours_only() {
    let mut day = Day::new();
    day.sync(9);
    (0..5).for_each(|n| day.connect(4 * 60 * MINUTE + n * 71 * SECOND, Some((9000, 190_000))));
    let told = day.told();
    assert_eq!(told.class(), ("interactive", "sync"));
    assert_eq!(told.interactive_hours(), [4]);
}

#[test]
fn half_a_day_of_work_does_not_hide_synchronisation() {
    let mut day = Day::new();
    day.sync(9);
    for minute in (5 * 60..9 * 60).filter(|minute| minute * minute % 7 < 3) {
        day.connect(minute * MINUTE + 20 * SECOND, Some((3000, 60_000)));
    }
    let told = day.told();
    assert_eq!(told.class(), ("interactive", "sync"));
    assert_eq!(told.interactive_hours(), [5, 6, 7, 8]);
}

#[test]
fn a_file_that_is_synchronised_is_no_work() {
    let mut day = Day::new();
    day.sync(6);
    day.connect(3 * 60 * MINUTE + 10 * SECOND, Some((9000, 3_000_000)));
    assert_eq!(day.told().class(), ("two_way_payload", "sync"));
}

#[test]
fn a_laptop_with_machines_and_programs_in_it_is_a_person() {
    let mut day = Day::new();
    for program in 0..14 {
        day.connect_as(i64::from(program) * MINUTE, Some((900, 30_000)), 2 * program, 128);
        day.connect_as(i64::from(program) * MINUTE, None, 2 * (program % 3), 63);
    }
    // It traces a route over TCP.
    (1..=30).for_each(|life| day.connect_as(20 * MINUTE, None, 0, life));
    let told = day.told();
    assert!(told.shared.is_empty(), "{:?}", told.shared);
    assert_eq!(told.class(), ("interactive", ""));
}

#[test]
fn many_machines_of_two_kinds_behind_an_address_are_no_person() {
    let mut day = Day::new();
    for program in 0..24 {
        let life = if program % 3 == 0 { 127 } else { 63 };
        day.connect_as(i64::from(program) * MINUTE, Some((900, 30_000)), 2 * program, life);
    }
    let told = day.told();
    assert_eq!(told.shared[0]["reason"], "nat_gateway");
    assert_eq!(told.row["device"], "shared_source nat_gateway");
}
