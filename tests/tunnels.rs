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
