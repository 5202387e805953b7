//! A flood does not take the names of others away, and its bytes are in the books.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::generator::Traffic;
use crate::generator::load::Flood;
use crate::generator::office::Office;
use crate::support::{self, Made, text};

/// Packets of a flood; small, since the measurements that need millions are benches.
const PACKETS: u64 = 40_000;

/// Server, client and name of each flow of the office's clients.
type Fact = (String, u64, String, u64, u64);

/// More than there is room for in a tick, of what nobody answers.
const PACKETS_BEYOND_BOUNDS: u64 = 150_000;

#[test]
fn flows_beside_a_flood_keep_their_names() {
    for flood in Flood::ALL {
        flooded(flood, PACKETS, 0);
    }
}

#[test]
fn at_a_bound_flows_keep_their_names_and_what_was_left_out_is_counted() {
    for (flood, counter) in
        [(Flood::Syn, "anonymous_overflow"), (Flood::Questions, "question_dropped")]
    {
        // Questions, and attempts that nobody answers at once, share their room with the flood's.
        let bounded = flooded(flood, PACKETS_BEYOND_BOUNDS, 500);
        assert!(bounded.contains(counter), "{flood:?}: {bounded}");
    }
}

/// An office beside a flood: all its flows with so many bytes both ways are told, and the books have
/// every byte. Answers which bounds the manifest lists as reached.
fn flooded(flood: Flood, packets: u64, bytes_min: u64) -> String {
    let mut office = Office { visits: 200, seconds: 20, seed: 21, ..Office::default() }.traffic();
    office.sort();
    let expected: BTreeSet<Fact> = office
        .flows
        .iter()
        .filter(|flow| flow.bytes_up.min(flow.bytes_down) >= bytes_min)
        .map(|flow| {
            let name = flow.name.clone().unwrap_or_default();
            (
                flow.client.ip().to_string(),
                flow.client.port().into(),
                name,
                flow.bytes_up,
                flow.bytes_down,
            )
        })
        .collect();
    let mut traffic = Traffic { records: office.records.clone(), ..Traffic::default() };
    // The flood's clients are anywhere in 10/8, but hardly ever the office's own.
    traffic.records.extend(flood.packets(packets, 1));
    traffic.sort();
    let made = Made::read(&traffic, &[]);
    let manifest = support::manifest(&made.report());
    assert_eq!(manifest["packets"].as_u64(), Some(traffic.records.len() as u64));
    let books: u64 = support::buckets(&made.report()).into_values().sum();
    assert_eq!(books, traffic.total_bytes(), "{flood:?}");

    let told: BTreeSet<Fact> = made.flows().iter().map(fact).collect();
    let lost: Vec<&Fact> = expected.difference(&told).collect();
    assert!(lost.is_empty(), "{flood:?}: {} flows are not told: {:?}", lost.len(), lost.first());
    manifest["bounded"].to_string()
}

fn fact(flow: &Value) -> Fact {
    let number = |key: &str| flow[key].as_u64().unwrap();
    (
        text(&flow["client_ip"]).to_owned(),
        number("client_port"),
        text(&flow["name"]).to_owned(),
        number("bytes_up"),
        number("bytes_down"),
    )
}

#[test]
fn initials_that_cannot_be_opened_are_counted() {
    let records = Flood::Initials.packets(2000, 3).collect();
    let made = Made::read(&Traffic { records, ..Traffic::default() }, &[]);
    let manifest = support::manifest(&made.report()).to_string();
    assert!(manifest.contains("\"quic_unopened\":2000"), "{manifest}");
    assert!(made.observations().is_empty());
}
