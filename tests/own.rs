//! What the operator says of the own network: own domains and servers are nobody's shadow IT, and
//! what a sinkhole answers is no answer.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::generator::talk::{Side, Talk};
use crate::generator::tls::{self, Hello};
use crate::generator::{Random, SECOND, START_SECONDS, Traffic};
use crate::support::{self, Made};

const START: i64 = START_SECONDS * SECOND;
const BYTES_DOWN: usize = 60_000;

/// Visits of one client, each to a name at an address.
fn visits(names: &[(Option<&str>, &str)]) -> Traffic {
    let (mut traffic, mut random) = (Traffic::default(), Random::new(9));
    for (number, (name, server)) in names.iter().enumerate() {
        let client: SocketAddr = format!("10.6.0.1:{}", 41_000 + number).parse().unwrap();
        let server: SocketAddr = format!("{server}:443").parse().unwrap();
        let start = START + number as i64 * 20 * SECOND;
        let mut talk = Talk::tcp(&mut traffic, client, server, start);
        talk.open();
        let hello = Hello { server_name: *name, ..Hello::default() };
        talk.send(Side::Up, &tls::records(&tls::client_hello(&hello, &mut random), 16_384));
        talk.send(Side::Down, &tls::server_hello(&mut random));
        talk.send(Side::Up, &tls::application_data(30_000, &mut random));
        talk.send(Side::Down, &tls::application_data(BYTES_DOWN, &mut random));
        talk.close();
    }
    traffic
}

/// Bytes of the flows with these numbers.
fn bytes_of(traffic: &Traffic, flows: &[usize]) -> u64 {
    flows.iter().map(|&flow| traffic.flows[flow].bytes_up + traffic.flows[flow].bytes_down).sum()
}

fn buckets(made: &Made) -> BTreeMap<String, u64> {
    let mut buckets = support::buckets(&made.report());
    buckets.retain(|_, bytes| *bytes > 0);
    buckets
}

fn unmatched(made: &Made) -> Vec<String> {
    made.rows("unmatched.csv").into_iter().map(|row| row["registered_domain"].clone()).collect()
}

#[test]
fn an_own_domain_is_private_with_all_below_it_and_nothing_beside_it() {
    let traffic = visits(&[
        (Some("acme.example"), "198.18.5.1"),
        (Some("wiki.intern.acme.example"), "198.18.5.2"),
        (Some("notacme.example"), "198.18.5.3"),
        (Some("files.slack.com"), "198.18.5.4"),
    ]);
    let before = Made::read(&traffic, &[]);
    assert_eq!(unmatched(&before), ["acme.example", "notacme.example"]);
    assert!(!buckets(&before).contains_key("private"));

    let after = Made::read(&traffic, &["--own-domain", "ACME.example."]);
    assert_eq!(unmatched(&after), ["notacme.example"]);
    let found = buckets(&after);
    assert_eq!(found["private"], bytes_of(&traffic, &[0, 1]));
    assert_eq!(found["unmatched"], bytes_of(&traffic, &[2]));
    assert_eq!(found["app"], bytes_of(&traffic, &[3]));
}

#[test]
fn an_own_server_is_private_with_and_without_a_name() {
    let traffic = visits(&[
        (None, "198.18.6.1"),
        (Some("portal.partner.example"), "198.18.6.2"),
        (None, "198.18.7.1"),
        (Some("portal.partner.example"), "198.18.7.2"),
    ]);
    let before = buckets(&Made::read(&traffic, &[]));
    assert_eq!(before["no_name"], bytes_of(&traffic, &[0, 2]));
    assert_eq!(before["unmatched"], bytes_of(&traffic, &[1, 3]));

    let made = Made::read(&traffic, &["--own-server", "198.18.6.0/24"]);
    let after = buckets(&made);
    assert_eq!(after["private"], bytes_of(&traffic, &[0, 1]));
    assert_eq!(after["no_name"], bytes_of(&traffic, &[2]));
    assert_eq!(after["unmatched"], bytes_of(&traffic, &[3]));
}

#[test]
fn what_a_sinkhole_answers_is_a_failed_attempt_and_no_use() {
    let traffic = visits(&[
        (Some("files.slack.com"), "198.18.8.1"),
        (Some("files.slack.com"), "198.18.8.1"),
        (Some("chatgpt.com"), "198.18.8.2"),
    ]);
    let row = |made: &Made, app: &str| {
        let rows = made.rows("usage.csv");
        rows.into_iter()
            .find(|row| row["app_id"] == app)
            .unwrap_or_else(|| panic!("no row of {app}"))
    };
    let before = Made::read(&traffic, &[]);
    assert_eq!(row(&before, "slack")["attempts_failed"], "0");
    assert_eq!(row(&before, "slack")["evidence"], "interactive");

    let after = Made::read(&traffic, &["--sinkhole", "198.18.8.1"]);
    let blocked = row(&after, "slack");
    assert_eq!(blocked["attempts_failed"], "2");
    assert_eq!(blocked["evidence"], "address_only");
    assert_eq!(row(&after, "chatgpt")["evidence"], "interactive");
    let apps = after.rows("apps.csv");
    let used: Vec<&str> = apps
        .iter()
        .filter(|row| row["evidence_best"] == "interactive")
        .map(|row| row["app_id"].as_str())
        .collect();
    assert_eq!(used, ["chatgpt"]);
}

#[test]
fn what_cannot_be_an_own_network_is_refused_with_its_place() {
    for (option, value) in [
        ("--own-domain", "acme..example"),
        ("--own-domain", "-"),
        ("--own-server", "198.18.6.0/33"),
        ("--sinkhole", "x"),
    ] {
        let ended = support::read(["none.pcap", option, value]);
        let ended = ended.expect(2);
        assert!(ended.stderr.contains(value), "{option}: {}", ended.stderr);
    }
}
