//! Naming the past, told against reading again: captures made at random, and what catalogues may learn.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use rusqlite::Connection;

use crate::calls;
use crate::generator::talk::{Side, Talk};
use crate::generator::tls::{self, Hello};
use crate::generator::{Random, SECOND, START_SECONDS, Traffic, dns};
use crate::reclassify::{VENDORS, app};
use crate::support::{self, Ended};

const START: i64 = START_SECONDS * SECOND;
/// Apps of the catalogue of the fixtures, one with which one can call among them.
const KNOWN: [&str; 3] = ["files.slack.com", "chatgpt.com", "emea.ng.msg.teams.microsoft.com"];
/// What no signature knows at first.
const UNKNOWN: [&str; 6] = [
    "www.north-desk.com",
    "api.south-desk.com",
    "cdn.south-desk.com",
    "eu.west-meet.com",
    "www.east-board.com",
    "app.far-board.co.uk",
];
/// Tenants below a public suffix, which is an app's.
const TENANTS: [&str; 2] = ["docs.first-tenant.github.io", "second-tenant.github.io"];
/// What no host is called: DNS is asked for it, and it is nobody's but its domain's.
const SERVICES: [&str; 2] = ["lb._dns-sd._udp.north-desk.com", "_xmpp._tcp.west-meet.com"];
const FRONT: &str = "cloudflare-ech.com";
const CLIENTS: u64 = 5;
const ADDRESSES: u64 = 3;

fn end(text: String) -> SocketAddr {
    text.parse().expect("an address and a port")
}

/// Clients that ask for names, use them, hide them, and call; names share addresses.
fn traffic(random: &mut Random) -> Traffic {
    let names = || KNOWN.iter().chain(&UNKNOWN).chain(&TENANTS).chain(&SERVICES);
    let count = names().count() as u64;
    let mut traffic = Traffic::default();
    let (mut time, mut client) = (START, 1);
    for number in 0..160 {
        // What follows another one at once may be part of its page.
        if number % 40 == 0 || random.below(3) == 0 {
            time += (2 + random.below(90)) as i64 * SECOND;
            client = 1 + random.below(CLIENTS) as u8;
        } else {
            time += random.below(1_500) as i64 * SECOND / 1_000;
        }
        let at = random.below(count);
        let name = names().nth(at as usize).expect("there are so many");
        let server = end(format!("198.18.7.{}:443", 1 + (at + random.below(2)) % ADDRESSES));
        let from = |port: u32| end(format!("10.7.0.{client}:{port}"));
        if random.below(3) > 0 {
            let resolver = end("10.0.0.53:53".to_owned());
            let mut talk = Talk::udp(&mut traffic, from(2_000 + number), resolver, time);
            talk.send(Side::Up, &dns::query(7, name, dns::A));
            talk.send(Side::Down, &dns::response(7, name, &[server.ip()], 300));
        }
        let kind = random.below(6);
        if kind == 0 || SERVICES.contains(name) && kind != 2 {
            continue;
        }
        if kind == 1 {
            let media = format!("198.18.77.{}:3479", 1 + random.below(4));
            calls::media(&mut traffic, client, &media, time + SECOND, &calls::call());
            continue;
        }
        let mut talk = Talk::tcp(&mut traffic, from(20_000 + number), server, time + SECOND);
        talk.open();
        if kind == 2 {
            talk.send(Side::Up, &[0xfe; 900]);
        } else {
            let is_hidden = kind == 3;
            let hello = Hello {
                server_name: Some(if is_hidden { FRONT } else { name }),
                ech_config_id: is_hidden.then_some(7),
                ..Hello::default()
            };
            talk.send(Side::Up, &tls::records(&tls::client_hello(&hello, random), 16_384));
            talk.send(Side::Down, &tls::server_hello(random));
        }
        talk.send(Side::Up, &tls::application_data(100 + random.below(4_000) as usize, random));
        talk.send(
            Side::Down,
            &tls::application_data(1_000 + random.below(30_000) as usize, random),
        );
        talk.close();
    }
    traffic.sort();
    traffic
}

/// What a catalogue learns: apps with their category, role and domains.
type Learnt = &'static [(&'static str, &'static str, &'static str, &'static [&'static str])];

const CHANGES: [(&str, Learnt); 10] = [
    ("one app of one domain", &[("north", "file-sharing", "use", &["north-desk.com"])]),
    ("one app of two", &[("desk", "file-sharing", "use", &["north-desk.com", "south-desk.com"])]),
    (
        "an app each",
        &[
            ("north", "file-sharing", "use", &["north-desk.com"]),
            ("south", "file-sharing", "use", &["south-desk.com"]),
            ("board", "file-sharing", "use", &["east-board.com", "far-board.co.uk"]),
        ],
    ),
    ("meetings", &[("meet", "online-meetings", "use", &["west-meet.com"])]),
    (
        "two for meetings",
        &[
            ("meet", "online-meetings", "use", &["west-meet.com", "east-board.com"]),
            ("far", "personal-messaging", "use", &["far-board.co.uk"]),
        ],
    ),
    (
        "ways around and what is shared",
        &[
            ("vpn", "vpn-anonymizer", "use", &["north-desk.com"]),
            ("shared", "file-sharing", "infra", &["south-desk.com"]),
            ("remote", "remote-access", "use", &["east-board.com"]),
        ],
    ),
    (
        "pages for everybody",
        &[
            ("north", "file-sharing", "visit", &["north-desk.com"]),
            ("board", "file-sharing", "site", &["east-board.com", "far-board.co.uk"]),
            ("tenant", "file-sharing", "visit", &["first-tenant.github.io"]),
        ],
    ),
    (
        "parts of pages",
        &[
            ("desk", "file-sharing", "embed", &["north-desk.com", "south-desk.com"]),
            ("board", "file-sharing", "telemetry", &["east-board.com"]),
            ("far", "online-meetings", "use", &["far-board.co.uk", "west-meet.com"]),
        ],
    ),
    ("a tenant", &[("tenant", "file-sharing", "use", &["first-tenant.github.io"])]),
    (
        "all of them",
        &[
            ("desk", "file-sharing", "use", &["north-desk.com", "south-desk.com"]),
            ("meet", "online-meetings", "use", &["west-meet.com"]),
            ("board", "file-sharing", "login", &["east-board.com", "far-board.co.uk"]),
            ("tenant", "file-sharing", "use", &["second-tenant.github.io"]),
        ],
    ),
];

struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The catalogue of the fixtures with these apps, and one that has all that is below a suffix.
    fn learn(&self, folder: &str, learnt: Learnt) {
        let pages = ("pages", "file-sharing", "use", &["github.io"] as &[&str]);
        fs::create_dir_all(self.path(folder)).unwrap();
        fs::write(self.path(folder).join("vendors.toml"), VENDORS).unwrap();
        for (id, category, role, domains) in learnt.iter().chain([&pages]) {
            let domains: Vec<String> = domains.iter().map(|domain| (*domain).to_owned()).collect();
            let text = app(id, category, role, &domains.iter().collect::<Vec<_>>());
            fs::write(self.path(folder).join(format!("{id}.toml")), text).unwrap();
        }
    }

    fn run(&self, command: &str, extra: &str, db: &str) -> Ended {
        let mut arguments: Vec<OsString> =
            vec![command.into(), "--db".into(), self.path(db).into()];
        arguments.extend(["--signatures".into(), support::signatures().into()]);
        arguments.extend(["--signatures-extra".into(), self.path(extra).into()]);
        if command == "read" {
            arguments.extend(["--quiet".into(), self.path("made.pcap").into()]);
        }
        support::run(arguments).expect(0)
    }

    /// All tables of the report, without what tells which catalogue was used when.
    fn report(&self, db: &str) -> BTreeMap<String, String> {
        let out = self.path(&format!("{db}-report"));
        let arguments: [OsString; 5] =
            ["report".into(), "--db".into(), self.path(db).into(), "--out".into(), (&out).into()];
        support::run(arguments).expect(0);
        let mut files: BTreeMap<String, String> = support::contents(&out)
            .into_iter()
            .filter(|(name, _)| name.ends_with(".csv") && name != "new_apps.csv")
            .map(|(name, bytes)| (name, String::from_utf8(bytes).unwrap()))
            .collect();
        let apps = files.get_mut("apps.csv").expect("it is there");
        *apps =
            apps.lines().map(|line| line.rsplit_once(',').unwrap().0.to_owned() + "\n").collect();
        files
    }
}

/// By which rules names are whose app's, a line each: as they were matched, or as a domain got its app.
fn matched(db: &std::path::Path) -> Vec<String> {
    let sql = "SELECT s.device || ' ' || a.app || ' ' || t.role || ' ' || t.tenant || ' ' || x.pattern
            || ' ' || x.name_source || ' ' || sum(x.connections) || ' ' || sum(x.dns_queries)
        FROM (SELECT m.subject, m.target, p.pattern, m.name_source, m.connections, m.dns_queries
                FROM matched AS m JOIN patterns AS p ON p.id = m.pattern
            UNION ALL SELECT u.subject, u.target, t.pattern, u.name_source, u.connections, u.dns_queries
                FROM usage AS u JOIN targets AS t ON t.id = u.target WHERE t.pattern <> '') AS x
        JOIN subjects AS s ON s.id = x.subject
        JOIN targets AS t ON t.id = x.target
        JOIN apps AS a ON a.id = t.app
        GROUP BY s.device, a.app, t.role, t.tenant, x.pattern, x.name_source
        ORDER BY 1";
    let connection = Connection::open(db).unwrap();
    let mut statement = connection.prepare(sql).unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[test]
fn whatever_catalogues_learn_the_past_is_as_if_read_again() {
    let mut wrong = Vec::new();
    for seed in 0..3 {
        let desk = Desk { folder: tempfile::tempdir().unwrap() };
        traffic(&mut Random::new(900 + seed)).write(&desk.path("made.pcap")).unwrap();
        desk.learn("before", &[]);
        for (what, learnt) in CHANGES {
            let folder = what.replace(' ', "-");
            desk.learn(&folder, learnt);
            let (past, again) = (format!("{folder}-past.db"), format!("{folder}-again.db"));
            desk.run("read", "before", &past);
            desk.run("reclassify", &folder, &past);
            desk.run("read", &folder, &again);
            let rules = [&past, &again].map(|db| matched(&desk.path(db)));
            assert!(rules[1].len() > 20, "{what}: {:?}", rules[1]);
            for line in rules[0].iter().filter(|line| !rules[1].contains(line)) {
                wrong.push(format!("seed {seed}, {what}: rule only named later: {line}"));
            }
            for line in rules[1].iter().filter(|line| !rules[0].contains(line)) {
                wrong.push(format!("seed {seed}, {what}: rule only read again: {line}"));
            }
            let (past, again) = (desk.report(&past), desk.report(&again));
            assert!(again["apps.csv"].contains(learnt[0].0) || learnt[0].2 == "infra", "{what}");
            for (name, text) in &again {
                let (mine, theirs): (Vec<_>, Vec<_>) =
                    (past[name].lines().collect(), text.lines().collect());
                for line in mine.iter().filter(|line| !theirs.contains(line)) {
                    wrong.push(format!("seed {seed}, {what}: {name}: only named later: {line}"));
                }
                for line in theirs.iter().filter(|line| !mine.contains(line)) {
                    wrong.push(format!("seed {seed}, {what}: {name}: only read again: {line}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} lines differ:\n{}", wrong.len(), wrong.join("\n"));
}
