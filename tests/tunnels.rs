//! Tunnels are known as what they are, and nothing else is taken for one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::support;

/// Flows of each tunnel in a capture, as `read --flows` tells them.
fn tunnels(capture: &Path) -> BTreeMap<String, u64> {
    told(capture, "tunnel")
}

/// Flows of a capture by what stands under `key` in `read --flows`.
fn told(capture: &Path, key: &str) -> BTreeMap<String, u64> {
    let folder = tempfile::tempdir().unwrap();
    let flows = folder.path().join("flows.jsonl");
    support::read([capture.as_os_str(), "--flows".as_ref(), flows.as_os_str()]);
    let mut found = BTreeMap::new();
    if flows.exists() {
        for flow in support::json_lines(&flows) {
            if let Some(tunnel) = flow[key].as_str() {
                *found.entry(tunnel.to_owned()).or_default() += 1;
            }
        }
    }
    found
}

fn table(rows: &[(&str, u64)]) -> BTreeMap<String, u64> {
    rows.iter().map(|&(tunnel, flows)| (tunnel.to_owned(), flows)).collect()
}

#[test]
fn made_tunnels_are_told_by_their_protocols() {
    let found = tunnels(&support::fixtures().join("vpn/input.pcap"));
    let expected = [
        ("anyconnect", 1),
        ("ipsec", 2),
        ("l2tp", 2),
        ("openvpn", 5),
        ("pptp", 1),
        ("socks", 2),
        ("ssh", 1),
        ("tailscale", 2),
        ("tor", 1),
        ("wireguard", 2),
        ("zerotier", 1),
    ];
    assert_eq!(found, table(&expected));
}

#[test]
fn computers_controlled_from_afar_are_told_and_are_no_tunnels() {
    let capture = support::fixtures().join("remote-access/input.pcap");
    let expected = [("anydesk", 1), ("rdp", 1), ("teamviewer", 1), ("vnc", 1)];
    assert_eq!(told(&capture, "remote_access"), table(&expected));
    assert_eq!(tunnels(&capture), table(&[]));
}

/// (what, known_by, flows, devices) of a capture's `detours.csv`.
fn detours(capture: &Path) -> Vec<(String, String, u64, u64)> {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path();
    support::read([capture.as_os_str(), "--report".as_ref(), report.as_os_str()]).expect(0);
    let rows = support::csv_rows(&report.join("detours.csv")).into_iter();
    let in_rows: u64 = rows.clone().map(|row| support::number(&row["bytes"])).sum();
    let buckets = support::buckets(report);
    let in_books = ["tunnel", "encrypted_dns"].iter().filter_map(|bucket| buckets.get(*bucket));
    // Remote access is in no bucket of its own.
    assert!(in_rows >= in_books.sum(), "{rows:?}");
    let row = |row: BTreeMap<String, String>| {
        let number = |column: &str| support::number(&row[column]);
        (row["what"].clone(), row["known_by"].clone(), number("flows"), number("devices"))
    };
    rows.map(row).collect()
}

#[test]
fn ways_around_are_told_with_what_they_were_known_by_and_by_how_many() {
    let told = |folder: &str| {
        let found = detours(&support::fixtures().join(folder).join("input.pcap"));
        let line =
            |(what, known_by, flows, devices)| format!("{what} {known_by} {flows} {devices}");
        found.into_iter().map(line).collect::<Vec<_>>()
    };
    assert_eq!(
        told("vpn"),
        [
            "wireguard protocol 2 1",
            "openvpn protocol 5 1",
            "ipsec protocol 2 1",
            "l2tp protocol 2 1",
            "pptp protocol 1 1",
            "ssh protocol 1 1",
            "tor protocol 1 1",
            "tailscale protocol 2 1",
            "zerotier protocol 1 1",
            "anyconnect protocol 1 1",
            "socks protocol 2 1",
        ]
    );
    assert_eq!(
        told("remote-access"),
        ["rdp protocol 1 1", "vnc protocol 1 1", "teamviewer protocol 1 1", "anydesk protocol 1 1",]
    );
    let dns = ["dot protocol 2 1", "doq protocol 2 1", "doh resolver_list 1 1"];
    assert_eq!(told("encrypted-dns"), dns);
}

/// Captures with tunnels (see the README of the captures) and the flows in them; all others have
/// none. Counted with tshark by its dissectors `wg`, `openvpn`, `isakmp`, `esp`, `ssh` and `socks`,
/// where it has one.
const CAPTURES: [(&str, &[(&str, u64)]); 15] = [
    ("anyconnect-vpn.pcap", &[("anyconnect", 1)]),
    ("arkime_synthetic.pcap", &[("gre", 1), ("ipsec", 3), ("socks", 2), ("ssh", 5)]),
    ("custom_categories.pcapng", &[("ipsec", 1), ("ssh", 2)]),
    ("emix.pcap", &[("ipsec", 1), ("openvpn", 1), ("socks", 4), ("ssh", 1), ("wireguard", 1)]),
    ("esp.pcapng", &[("ipsec", 2)]),
    // A fuzzer made a protocol number 115 of it.
    ("fuzz-2006-09-29-28586.pcap", &[("l2tp", 1)]),
    ("ikev1.pcap", &[("ipsec", 2)]),
    ("openvpn_obfuscated.pcapng", &[("openvpn", 3)]),
    ("openvpn_tcp_nontlsauth.pcap", &[("openvpn", 1)]),
    ("openvpn_udp_hmac_256.pcap", &[("openvpn", 1)]),
    ("protonvpn.pcap", &[("wireguard", 1)]),
    ("tailscale.pcap", &[("tailscale", 1)]),
    ("tls_heur__shadowsocks-tcp.pcapng", &[("socks", 1)]),
    ("tls_heur__vmess-tcp-tls.pcapng", &[("socks", 1)]),
    ("tor_bl.pcap", &[("tor", 2)]),
];
/// As above, for one whose other tunnels are known by the catalogue.
const TUNNELBEAR: (&str, &[(&str, u64)]) = ("tunnelbear.pcap", &[("wireguard", 1)]);

#[test]
fn the_tunnels_of_captures_are_those_of_the_table() {
    let Some(folder) = std::env::var_os("SHADOWSCOPE_CAPTURES").map(PathBuf::from) else {
        println!("skipped: needs SHADOWSCOPE_CAPTURES");
        return;
    };
    let mut expected: BTreeMap<_, _> =
        CAPTURES.iter().chain([&TUNNELBEAR]).map(|&(name, rows)| (name, table(rows))).collect();
    let mut complaints = String::new();
    for capture in crate::conformance::captures_below(&folder) {
        let name = capture.file_name().unwrap().to_string_lossy().into_owned();
        let (found, right) = (tunnels(&capture), expected.remove(&*name).unwrap_or_default());
        if found != right {
            complaints += &format!("{name}: {found:?}, not {right:?}\n");
        }
    }
    assert!(complaints.is_empty(), "\n{complaints}");
    assert!(expected.is_empty(), "{folder:?} lacks {:?}", expected.keys());
}
