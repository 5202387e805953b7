//! The generator's captures as another tool reads them: its lists of what is true are right.
//!
//! Needs tshark; says so and passes where there is none.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::generator::office::{self, Office};
use crate::generator::{Traffic, TrueFlow, load};

/// What is asked of tshark about each frame, with all values of a field.
const FIELDS: [&str; 15] = [
    "ip.src",
    "ip.dst",
    "ipv6.src",
    "ipv6.dst",
    "ip.len",
    "ipv6.plen",
    "tcp.srcport",
    "tcp.dstport",
    "udp.srcport",
    "udp.dstport",
    "tls.handshake.extensions_server_name",
    "http.host",
    "http.request.method",
    "dns.qry.name",
    "dns.flags.response",
];

type Ends = (IpAddr, u16, IpAddr, u16);

/// What tshark says of a capture.
#[derive(Default)]
struct Told {
    /// Bytes by IP lengths, for each ordered pair of addresses.
    bytes: BTreeMap<(IpAddr, IpAddr), u64>,
    /// Names in hellos and requests, by the sender's and receiver's ends.
    names: BTreeSet<(Ends, String)>,
    /// Names that were asked for.
    questions: BTreeSet<String>,
}

fn ask(capture: &Path) -> Told {
    let mut command = Command::new("tshark");
    command.args(["-n", "-o", "tcp.reassemble_out_of_order:TRUE", "-T", "fields", "-r"]);
    command.arg(capture);
    for field in FIELDS {
        command.args(["-e", field]);
    }
    let output = command.stderr(Stdio::null()).output().expect("tshark can be run");
    let mut told = Told::default();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let either = |a: usize, b: usize| if fields[a].is_empty() { fields[b] } else { fields[a] };
        let (source, destination) = (either(0, 2), either(1, 3));
        let (Ok(source), Ok(destination)) = (source.parse(), destination.parse()) else { continue };
        let length = match (fields[4].parse::<u64>(), fields[5].parse::<u64>()) {
            (Ok(length), _) => length,
            (_, Ok(length)) => 40 + length,
            _ => continue,
        };
        *told.bytes.entry((source, destination)).or_default() += length;
        if !fields[13].is_empty() {
            told.questions.insert(fields[13].to_owned());
        }
        let (Ok(from), Ok(to)) = (either(6, 8).parse(), either(7, 9).parse()) else { continue };
        let ends = (source, from, destination, to);
        let hosts = if fields[12].is_empty() { "" } else { fields[11] };
        for name in fields[10].split(',').chain(hosts.split(',')).filter(|name| !name.is_empty()) {
            told.names.insert((ends, name.split(':').next().unwrap_or_default().to_owned()));
        }
    }
    told
}

fn assert_agrees(what: &str, traffic: &Traffic) {
    let folder = tempfile::tempdir().unwrap();
    let capture = folder.path().join("made.pcap");
    traffic.write(&capture).unwrap();
    let told = ask(&capture);

    let mut bytes: BTreeMap<(IpAddr, IpAddr), u64> = BTreeMap::new();
    for flow in &traffic.flows {
        let (client, server) = (flow.client.ip(), flow.server.ip());
        *bytes.entry((client, server)).or_default() += flow.bytes_up;
        *bytes.entry((server, client)).or_default() += flow.bytes_down;
    }
    bytes.retain(|_, bytes| *bytes > 0);
    // Fragments whose first never came are nobody's, but tshark sees them.
    let mut orphaned = 0;
    for (pair, &seen) in &told.bytes {
        let known = bytes.remove(pair).unwrap_or_default();
        assert!(seen >= known, "{what}: {pair:?}: {known}, tshark sees {seen}");
        orphaned += seen - known;
    }
    assert!(bytes.is_empty(), "{what}: tshark does not see {bytes:?}");
    assert_eq!(orphaned, traffic.orphaned_bytes, "{what}");

    let ends = |flow: &TrueFlow| {
        (flow.client.ip(), flow.client.port(), flow.server.ip(), flow.server.port())
    };
    let (mut own, mut by_dns) = (0, 0);
    for flow in &traffic.flows {
        let Some(name) = &flow.name else { continue };
        if told.names.contains(&(ends(flow), name.clone())) {
            own += 1;
        } else {
            assert!(told.questions.contains(name), "{what}: tshark does not see {flow:?}");
            by_dns += 1;
        }
    }
    let named: BTreeMap<Ends, &TrueFlow> =
        traffic.flows.iter().map(|flow| (ends(flow), flow)).collect();
    for (ends, name) in &told.names {
        let flow = named.get(ends);
        assert!(flow.is_some_and(|flow| flow.name.is_some()), "{what}: {ends:?} {name}");
    }
    println!(
        "{what}: {} flows, {own} with a name of their own, {by_dns} named by DNS, {} names seen",
        traffic.flows.len(),
        told.names.len()
    );
    assert!(own > 0);
}

#[test]
fn tshark_agrees_with_the_generator() {
    let is_there = Command::new("tshark").arg("--version").stdout(Stdio::null()).status();
    if !is_there.is_ok_and(|status| status.success()) {
        println!("skipped: needs tshark");
        return;
    }
    let mut office = Office { visits: 1500, seconds: 300, seed: 31, ..Office::default() }.traffic();
    office::let_some_be_late(&mut office, 4, 6);
    assert!(office.orphaned_bytes > 0);
    assert_agrees("office", &office);
    assert_agrees("handshakes", &load::handshakes(300, 1));
    assert_agrees("QUIC", &load::quic_connections(300, 2, 1));
}
