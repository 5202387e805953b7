//! From packets to what counts as use, where what somebody did is split: over tenants, over hours,
//! over connections that say nothing, and over connections that a browser keeps.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::generator::talk::{Side, Talk};
use crate::generator::tls::{self, Hello};
use crate::generator::{MILLISECOND, Random, SECOND, START_SECONDS, Traffic};
use crate::support;

/// Eight o'clock of a day.
const EIGHT: i64 = ((START_SECONDS / 86_400 + 1) * 86_400 + 8 * 3600) * SECOND;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
/// A site without signature, and an app's hosts of role `use`.
const SITE: (&str, u8) = ("www.news-site.example", 1);
const APP: (&str, u8) = ("app.slack.com", 2);

/// What a connection does after its handshake.
enum Then {
    /// Nothing for so long.
    Wait(i64),
    /// Bytes of application data up, and those that answer.
    Ask(usize, usize),
    /// An encrypted alert and FIN.
    Close,
}
use Then::{Ask, Close, Wait};

/// Traffic of one client.
#[derive(Default)]
struct Scene {
    traffic: Traffic,
    connections: u16,
}

impl Scene {
    /// A connection over TLS that begins so long after eight o'clock.
    fn connect(&mut self, after: i64, (name, server): (&str, u8), then: &[Then]) -> &mut Scene {
        self.connections += 1;
        let client: SocketAddr = format!("10.6.0.1:{}", 20_000 + self.connections).parse().unwrap();
        let server: SocketAddr = format!("198.18.5.{server}:443").parse().unwrap();
        let mut random = Random::new(self.connections.into());
        let mut talk = Talk::tcp(&mut self.traffic, client, server, EIGHT + after);
        talk.gap_nanos = 2 * MILLISECOND;
        talk.open();
        let hello = Hello { server_name: Some(name), ..Hello::default() };
        let hello = tls::client_hello(&hello, &mut random);
        talk.send(Side::Up, &tls::records(&hello, 16_384));
        talk.send(Side::Down, &tls::server_hello(&mut random));
        talk.send(Side::Down, &tls::application_data(2000, &mut random));
        talk.send(Side::Up, &tls::application_data(60, &mut random));
        for step in then {
            match *step {
                Wait(nanos) => talk.wait(nanos),
                Ask(up, down) => {
                    talk.send(Side::Up, &tls::application_data(up, &mut random));
                    talk.send(Side::Down, &tls::application_data(down, &mut random));
                }
                Close => {
                    talk.send(Side::Up, &tls::application_data(24, &mut random));
                    talk.close();
                }
            }
        }
        self
    }

    /// Rows of `usage.csv` of the app, by hours from eight o'clock on, and what `why` and `read` say.
    fn told(&mut self, hours: &[(i64, i64)]) -> Told {
        self.traffic.sort();
        let folder = tempfile::tempdir().unwrap();
        let (capture, db) = (folder.path().join("made.pcap"), folder.path().join("usage.db"));
        self.traffic.write(&capture).unwrap();
        let run = |arguments: &[&str]| {
            let mut command = support::program();
            command.args(arguments).arg("--db").arg(&db);
            command
        };
        let ended = run(&["read"]).arg(&capture).output().unwrap();
        let summary = support::Ended::from(ended).expect(0).stdout;
        let report = |&(from, to): &(i64, i64)| {
            let moment = |hour: i64| {
                jiff::Timestamp::from_second(EIGHT / SECOND + hour * 3600).unwrap().to_string()
            };
            let out = folder.path().join(format!("report{from}to{to}"));
            let mut command = run(&["report", "--from", &moment(from), "--to", &moment(to)]);
            support::Ended::from(command.arg("--out").arg(&out).output().unwrap()).expect(0);
            support::csv_rows(&out.join("usage.csv"))
        };
        let rows = hours.iter().map(report).collect();
        let ended = run(&["why", "--app", "slack"]).output().unwrap();
        Told { rows, summary, why: support::Ended::from(ended).expect(0).stdout }
    }
}

struct Told {
    rows: Vec<Vec<BTreeMap<String, String>>>,
    summary: String,
    why: String,
}

impl Told {
    /// Tenant, evidence and whether that is incidental, row by row.
    fn classes(&self) -> Vec<(&str, &str, bool)> {
        let rows = self.rows.iter().flatten();
        rows.map(|row| (&*row["app_tenant"], &*row["evidence"], row["incidental"] == "true"))
            .collect()
    }
}

#[test]
fn somebody_at_work_in_two_tenants_is_at_work_in_both() {
    let (acme, globex) = (("acme.slack.com", 3), ("globex.slack.com", 4));
    let mut scene = Scene::default();
    scene.connect(5 * MINUTE, acme, &[Ask(900, 1500), Close]);
    scene.connect(25 * MINUTE, globex, &[Ask(900, 1500), Close]);
    // A third one is only touched, and each alone in the next hour.
    scene.connect(26 * MINUTE, ("other.slack.com", 5), &[Close]);
    scene.connect(65 * MINUTE, acme, &[Ask(900, 1500), Close]);
    let told = scene.told(&[(0, 1), (1, 2), (0, 12)]);
    let expected = [
        ("acme", "interactive", false),
        ("globex", "interactive", false),
        ("other", "handshake", false),
        ("acme", "two_way_payload", false),
        ("acme", "interactive", false),
        ("globex", "interactive", false),
        ("other", "handshake", false),
    ];
    assert_eq!(told.classes(), expected);
    assert!(told.why.contains("USED: interactive"), "{}", told.why);
    assert!(told.summary.contains("Slack"), "{}", told.summary);
}
