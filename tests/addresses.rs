//! Flows without any name are named by their server's address, by the network or the autonomous
//! system that a rule of the catalogue has.

use std::fs;
use std::path::Path;

use crate::generator::talk::{Side, Talk};
use crate::generator::{SECOND, START_SECONDS, Traffic, dns};
use crate::support::mmdb::{self, Value};
use crate::support::{Made, read, text};

const SERVERS: [&str; 5] = [
    "198.18.60.7:7001",      // AS64500, the usual form
    "198.18.61.7:7002",      // AS64500, IPinfo's form
    "198.18.62.7:7003",      // another AS
    "[2001:db8:60::7]:7004", // AS64500
    "198.18.63.7:7005",      // the file does not say
];

/// A signature with a rule for an autonomous system, in a folder of one's own.
const SIGNATURE: &str = r#"schema = 1
id = "relay"
name = "Relay"
vendor = "relay"
kind = "app"
category = "collaboration"
status = "active"
maturity = "candidate"
homepage = "https://relay.example"
verified = 2026-11-22
sources = ["https://relay.example"]

[[match]]
role = "use"
domains = ["relay.example"]

[[net]]
asns = [64500]
role = "use"
source = "https://relay.example/networks"
date = 2026-11-22

[[test]]
host = "relay.example"
[[test]]
host = "notrelay.example"
app = ""
"#;

fn database() -> Vec<u8> {
    let usual = |number| {
        Value::Map(vec![
            ("autonomous_system_number", Value::Number(number)),
            ("organization", Value::Text("Relay")),
        ])
    };
    let other_form = Value::Map(vec![("asn", Value::Text("AS64500")), ("name", Value::Text("x"))]);
    mmdb::file(&[
        ("198.18.60.0", 24, usual(64_500)),
        ("198.18.61.0", 24, other_form),
        ("198.18.62.0", 24, usual(64_501)),
        ("2001:db8:60::", 48, usual(64_500)),
    ])
}

fn extra(folder: &Path) -> std::path::PathBuf {
    let extra = folder.join("extra");
    fs::create_dir_all(extra.join("r")).unwrap();
    fs::write(extra.join("r/relay.toml"), SIGNATURE).unwrap();
    fs::write(extra.join("vendors.toml"), "schema = 1\n[vendors.relay]\nname = \"Relay\"\n")
        .unwrap();
    extra
}

#[test]
fn autonomous_systems_name_what_nothing_else_does() {
    let folder = tempfile::tempdir().unwrap();
    let (extra, systems) = (extra(folder.path()), folder.path().join("asn.mmdb"));
    fs::write(&systems, database()).unwrap();

    let mut traffic = Traffic::default();
    let start = START_SECONDS * SECOND;
    // A name that DNS gave is better than an address.
    let named: std::net::SocketAddr = "198.18.60.8:7006".parse().unwrap();
    let client = "10.1.0.1:2000".parse().unwrap();
    let mut talk = Talk::udp(&mut traffic, client, "10.0.0.53:53".parse().unwrap(), start);
    talk.send(Side::Up, &dns::query(1, "files.slack.com", dns::A));
    talk.send(Side::Down, &dns::response(1, "files.slack.com", &[named.ip()], 300));
    for server in SERVERS.iter().map(|server| server.parse().unwrap()).chain([named]) {
        let is_v6 = server.is_ipv6();
        let client = if is_v6 { "[fd00::1:1]:4000" } else { "10.1.0.1:4000" }.parse().unwrap();
        let mut talk = Talk::udp(&mut traffic, client, server, start + SECOND);
        talk.send(Side::Up, &[0x21; 40]);
        talk.send(Side::Down, &[0x21; 40]);
    }
    traffic.sort();

    let (extra, systems) = (extra.to_str().unwrap(), systems.to_str().unwrap());
    let told = |options: &[&str], port: u16| {
        let flow = Made::read(&traffic, options).flow_to(port);
        (text(&flow["app"]).to_owned(), text(&flow["name_source"]).to_owned())
    };
    let relay = ("relay".to_owned(), "net".to_owned());
    let nobody = (String::new(), String::new());
    let with = ["--signatures-extra", extra, "--asn-db", systems];
    assert_eq!(told(&with, 7001), relay);
    assert_eq!(told(&with, 7002), relay);
    assert_eq!(told(&with, 7003), nobody);
    assert_eq!(told(&with, 7004), relay);
    assert_eq!(told(&with, 7005), nobody);
    assert_eq!(told(&with, 7006), ("slack".to_owned(), "dns".to_owned()));
    // Without the file, rules for autonomous systems never match.
    assert_eq!(told(&with[..2], 7001), nobody);
}

#[test]
fn a_file_that_is_none_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let capture = folder.path().join("made.pcap");
    Traffic::default().write(&capture).unwrap();
    let mut cut = database();
    cut.truncate(cut.len() - 40);
    for (name, bytes) in [
        ("text.mmdb", Some(&b"not a database"[..])),
        ("cut.mmdb", Some(&cut)),
        ("absent.mmdb", None),
    ] {
        let path = folder.path().join(name);
        if let Some(bytes) = bytes {
            fs::write(&path, bytes).unwrap();
        }
        let ended = read([capture.as_os_str(), "--asn-db".as_ref(), path.as_os_str()]).expect(2);
        assert!(ended.stderr.contains(name), "{}", ended.stderr);
        assert!(ended.stderr.contains("give an MMDB file"), "{}", ended.stderr);
    }
}

/// Whatever is damaged in the file, nothing panics: an entry that cannot be read is no answer.
#[test]
fn a_damaged_file_names_nothing_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let capture = folder.path().join("made.pcap");
    let mut traffic = Traffic::default();
    let server = SERVERS[0].parse().unwrap();
    let mut talk =
        Talk::udp(&mut traffic, "10.1.0.1:4000".parse().unwrap(), server, START_SECONDS * SECOND);
    talk.send(Side::Up, &[0x21; 40]);
    traffic.write(&capture).unwrap();
    let whole = database();
    // Some in the tree, some in the data, some in the metadata.
    for at in (0..whole.len()).step_by(whole.len() / 40) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0xff;
        let path = folder.path().join("damaged.mmdb");
        fs::write(&path, damaged).unwrap();
        let ended = read([capture.as_os_str(), "--asn-db".as_ref(), path.as_os_str()]);
        assert!([0, 2].contains(&ended.code), "byte {at}: {} {}", ended.code, ended.stderr);
        assert!(!ended.stderr.contains("panicked"), "byte {at}: {}", ended.stderr);
    }
}
