//! Names and bytes of every flow are what the generator knows them to be.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::Value;

use crate::generator::office::{self, Office};
use crate::generator::{START_SECONDS, Traffic, TrueFlow, load};
use crate::support::{self, text};

/// First stamp in microseconds, ends and protocol.
type Key = (i64, SocketAddr, SocketAddr, String);

/// Name and bytes.
type Fact = (String, u64, u64);

fn truth(flow: &TrueFlow) -> (Key, Fact) {
    let protocol = if flow.protocol == 6 { "tcp" } else { "udp" };
    let key = (flow.time_nanos / 1000, flow.client, flow.server, protocol.to_owned());
    (key, (flow.name.clone().unwrap_or_default(), flow.bytes_up, flow.bytes_down))
}

fn told(flow: &Value) -> (Key, Fact) {
    let end = |side: &str| {
        let address = text(&flow[format!("{side}_ip")]).parse().unwrap();
        SocketAddr::new(address, flow[format!("{side}_port")].as_u64().unwrap() as u16)
    };
    // Seconds with six places.
    let micros: i64 = flow["ts"].to_string().replace('.', "").parse().unwrap();
    let key = (micros, end("client"), end("server"), text(&flow["proto"]).to_owned());
    let bytes = |key: &str| flow[key].as_u64().unwrap();
    (key, (text(&flow["name"]).to_owned(), bytes("bytes_up"), bytes("bytes_down")))
}

/// Reads the traffic, and fails where a flow is not told as it was.
fn assert_told_truly(traffic: &Traffic) {
    let folder = tempfile::tempdir().unwrap();
    let (capture, flows) = (folder.path().join("made.pcap"), folder.path().join("flows.jsonl"));
    let report = folder.path().join("report");
    traffic.write(&capture).unwrap();
    let arguments = [
        capture.as_os_str(),
        "--flows".as_ref(),
        flows.as_os_str(),
        "--report".as_ref(),
        report.as_os_str(),
    ];
    support::read(arguments).expect(0);

    let expected: BTreeMap<Key, Fact> = traffic.flows.iter().map(truth).collect();
    assert_eq!(expected.len(), traffic.flows.len(), "the generator made a flow twice");
    let found: Vec<(Key, Fact)> = support::json_lines(&flows).iter().map(told).collect();
    let mut wrong: Vec<String> = Vec::new();
    for (key, fact) in &found {
        if expected.get(key) != Some(fact) {
            wrong.push(format!("{key:?}: told {fact:?}, true {:?}", expected.get(key)));
        }
    }
    let told: BTreeMap<&Key, &Fact> = found.iter().map(|(key, fact)| (key, fact)).collect();
    wrong.extend(
        expected
            .keys()
            .filter(|key| !told.contains_key(key))
            .map(|key| format!("{key:?}: missing")),
    );
    assert!(
        wrong.is_empty(),
        "{} wrong, the first: {:#?}",
        wrong.len(),
        &wrong[..wrong.len().min(8)]
    );
    assert_eq!(found.len(), expected.len());

    let buckets = support::buckets(&report);
    assert_eq!(buckets.values().sum::<u64>(), traffic.total_bytes());
    assert_eq!(buckets.get("undecodable").copied().unwrap_or_default(), traffic.orphaned_bytes);
    assert_eq!(support::manifest(&report)["bounded"], serde_json::json!([]));
}

#[test]
fn an_office() {
    let office = Office { visits: 4000, seconds: 600, seed: 3, ..Office::default() };
    let mut traffic = office.traffic();
    let later = Office {
        visits: 500,
        start_seconds: START_SECONDS + 4 * 3600,
        seed: 4,
        chapter: 1,
        ..office
    };
    traffic.append(later.traffic());
    let earlier = Office {
        visits: 500,
        start_seconds: START_SECONDS - 400 * 86_400,
        seed: 5,
        chapter: 2,
        ..office
    };
    traffic.append(earlier.traffic());
    // Not so late that a flow seems to be over.
    office::let_some_be_late(&mut traffic, 4, 6);
    assert!(traffic.orphaned_bytes > 0);
    assert_told_truly(&traffic);
}

#[test]
fn handshakes_only() {
    assert_told_truly(&load::handshakes(3000, 1));
}

#[test]
fn quic_connections() {
    assert_told_truly(&load::quic_connections(1500, 4, 1));
}
