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
    scene.connect(5 * MINUTE, acme, &[Ask(3600, 1500), Close]);
    scene.connect(25 * MINUTE, globex, &[Ask(3600, 1500), Close]);
    // A third one is only touched, and each alone in the next hour.
    scene.connect(26 * MINUTE, ("other.slack.com", 5), &[Close]);
    scene.connect(65 * MINUTE, acme, &[Ask(3600, 1500), Close]);
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

/// The site's page, and how long after its beginning the app's connection begins.
fn embedded(scene: &mut Scene, page: i64, embed: i64, then: &[Then]) {
    scene.connect(page, SITE, &[Ask(1500, 64_000), Close]);
    scene.connect(page + embed, APP, then);
}

const INCIDENTAL: (&str, &str, bool) = ("", "two_way_payload", true);

#[test]
fn an_embed_over_a_full_hour_is_an_embed_in_both() {
    // Most of its bytes in the second hour.
    let mut scene = Scene::default();
    embedded(
        &mut scene,
        HOUR - SECOND,
        800 * MILLISECOND,
        &[Wait(300 * MILLISECOND), Ask(1000, 64_000), Close],
    );
    assert_eq!(scene.told(&[(1, 2), (0, 12)]).classes(), [INCIDENTAL; 2]);
    // Its closing; and a player that asks again and again for hours.
    let mut scene = Scene::default();
    embedded(
        &mut scene,
        HOUR - 10 * SECOND,
        SECOND,
        &[Ask(1000, 32_000), Wait(40 * SECOND), Close],
    );
    assert_eq!(scene.told(&[(0, 1), (0, 12)]).classes(), [INCIDENTAL; 2]);
    let mut scene = Scene::default();
    let asks: Vec<Then> = (0..16).flat_map(|_| [Ask(300, 1500), Wait(10 * MINUTE)]).collect();
    embedded(&mut scene, HOUR - 10 * MINUTE, SECOND, &asks);
    let told = scene.told(&[(0, 1), (1, 2), (2, 3), (0, 12)]);
    assert_eq!(told.classes()[0], ("", "handshake", true));
    assert_eq!(told.classes()[1..], [INCIDENTAL; 3]);
    // Until it grows to what is somebody's work.
    let mut scene = Scene::default();
    let then = [Ask(1000, 32_000), Wait(10 * MINUTE), Ask(5000, 30_000), Close];
    embedded(&mut scene, HOUR - 5 * MINUTE, SECOND, &then);
    let told = scene.told(&[(0, 1), (1, 2)]);
    assert_eq!(told.classes(), [INCIDENTAL, ("", "interactive", false)]);
}

#[test]
fn a_connection_that_says_nothing_changes_no_embed() {
    for after in [SECOND, 3 * SECOND, 5 * MINUTE] {
        let mut scene = Scene::default();
        embedded(&mut scene, 0, 500 * MILLISECOND, &[Ask(1000, 32_000), Close]);
        scene.connect(after, APP, &[Close]);
        assert_eq!(scene.told(&[(0, 12)]).classes(), [INCIDENTAL], "{after}");
    }
    // Alone in the shadow, it is incidental too; and without one it is not.
    let mut scene = Scene::default();
    embedded(&mut scene, 0, 500 * MILLISECOND, &[Close]);
    assert_eq!(scene.told(&[(0, 12)]).classes(), [("", "handshake", true)]);
    let mut scene = Scene::default();
    scene.connect(0, APP, &[Close]);
    assert_eq!(scene.told(&[(0, 12)]).classes(), [("", "handshake", false)]);
    // Who has something to say is no embed, however little is embedded beside.
    let mut scene = Scene::default();
    embedded(&mut scene, 0, 500 * MILLISECOND, &[Close]);
    scene.connect(MINUTE, APP, &[Ask(1500, 30_000), Close]);
    assert_eq!(scene.told(&[(0, 12)]).classes(), [("", "interactive", false)]);
}

#[test]
fn a_page_on_a_kept_connection_leads_its_embeds() {
    // The second page, 20 or 70 seconds after the first one.
    let page = |silence: i64, answer: usize| {
        let mut scene = Scene::default();
        let then = [Ask(1500, 64_000), Wait(silence), Ask(400, answer), Wait(MINUTE), Close];
        scene.connect(MINUTE, SITE, &then);
        scene.connect(MINUTE + silence + 600 * MILLISECOND, APP, &[Ask(1000, 32_000), Close]);
        scene.told(&[(0, 12)]).classes()[0].1 == "two_way_payload"
    };
    assert!(page(20 * SECOND, 64_000) && page(70 * SECOND, 64_000));
    // What asks now and then whether there is something new is no page, and hides nothing.
    assert!(!page(20 * SECOND, 1500) && !page(70 * SECOND, 1500));
    // Neither is a connection of the app itself that is kept.
    let mut scene = Scene::default();
    scene.connect(
        0,
        ("app.zoom.us", 7),
        &[Ask(1500, 64_000), Wait(MINUTE), Ask(400, 64_000), Close],
    );
    scene.connect(MINUTE + 600 * MILLISECOND, APP, &[Ask(1000, 32_000), Close]);
    let told = scene.told(&[(0, 12)]);
    let slack = told.rows[0].iter().find(|row| row["app_id"] == "slack").unwrap();
    assert_eq!(slack["evidence"], "interactive");
}

/// Asks every five minutes whether there is something new.
fn sync(scene: &mut Scene, hours: std::ops::Range<i64>) {
    for n in hours.start * 12..hours.end * 12 {
        scene.connect(n * 5 * MINUTE, APP, &[Ask(4200, 1500), Close]);
    }
}

#[test]
fn synchronisation_over_midnight_is_synchronisation_on_both_days() {
    let pattern = |told: &Told| -> Vec<(String, String)> {
        let rows = told.rows.iter().flatten();
        rows.map(|row| (row["evidence"].clone(), row["pattern"].clone())).collect()
    };
    let is_sync = ("two_way_payload".to_owned(), "sync".to_owned());
    // From nine to three, and from four to one: midnight is after sixteen hours.
    for hours in [13..19, 8..17] {
        let mut scene = Scene::default();
        sync(&mut scene, hours);
        let told = scene.told(&[(0, 16), (16, 40)]);
        assert_eq!(pattern(&told), [is_sync.clone(), is_sync.clone()]);
    }
    // As much before midnight, which it does not reach.
    let mut scene = Scene::default();
    sync(&mut scene, 11..14);
    assert_eq!(pattern(&scene.told(&[(0, 16)])), [("interactive".to_owned(), String::new())]);
}

#[test]
fn more_hours_of_work_than_others_do_not_hide_synchronisation() {
    let mut scene = Scene::default();
    sync(&mut scene, 0..10);
    for minute in (0..6 * 60).filter(|minute| minute % 60 < 50 && minute * minute % 7 < 3) {
        scene.connect(minute * MINUTE + 13 * SECOND, APP, &[Ask(9000, 90_000), Close]);
    }
    let hours: Vec<_> = (0..10).map(|hour| (hour, hour + 1)).collect();
    let told = scene.told(&hours);
    let classes = told.classes();
    assert!(classes[..6].iter().all(|class| class.1 == "interactive"), "{classes:?}");
    assert!(classes[6..].iter().all(|class| class.1 == "two_way_payload"), "{classes:?}");
}
