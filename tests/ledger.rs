//! The ledger of visibility: what was hidden is told, as much as it was, and nothing else is.

use std::ffi::OsString;
use std::path::Path;

use crate::generator::talk::{Side, Talk};
use crate::generator::tls::{self, Hello};
use crate::generator::{Random, SECOND, START_SECONDS, Traffic, dns};
use crate::support::{self, Made};

const START: i64 = START_SECONDS * SECOND;
/// An outer name that the catalogue of the fixtures lists as a front for others.
const FRONT: &str = "cloudflare-ech.com";

/// A connection whose hello has this name, and the extension of Encrypted ClientHello if asked for.
fn connection(traffic: &mut Traffic, number: i64, name: &str, ech: bool, random: &mut Random) {
    let client = format!("10.3.0.{}:{}", 1 + number % 200, 40_000 + number);
    let server = "198.18.3.1:443".parse().expect("address and port");
    let client = client.parse().expect("address and port");
    let mut talk = Talk::tcp(traffic, client, server, START + number * SECOND / 10);
    talk.open();
    let ech_config_id = ech.then_some(0x2a);
    let hello = Hello { server_name: Some(name), alpn: &["h2"], ech_config_id, ..Hello::default() };
    talk.send(Side::Up, &tls::records(&tls::client_hello(&hello, random), 16_384));
    talk.send(Side::Down, &tls::server_hello(random));
    // As long as to make up for the extension: shares are of bytes.
    let rest = if ech { 1_000 } else { 1_217 };
    talk.send(Side::Up, &tls::application_data(rest, random));
    talk.send(Side::Down, &tls::application_data(40_000, random));
    talk.close();
}

/// Per cent of the bytes that the report has in `ech_hidden`; the sum over all buckets is that of
/// the capture.
fn hidden(traffic: &Traffic) -> f64 {
    let made = Made::read(traffic, &[]);
    let buckets = support::buckets(&made.report());
    let total: u64 = buckets.values().sum();
    assert_eq!(support::manifest(&made.report())["total_bytes"].as_u64(), Some(total));
    assert_eq!(total, traffic.total_bytes());
    100.0 * buckets.get("ech_hidden").copied().unwrap_or_default() as f64 / total as f64
}

#[test]
fn as_much_is_hidden_as_uses_encrypted_client_hello() {
    for percent in [10, 25, 50] {
        let (mut traffic, mut random) = (Traffic::default(), Random::new(percent));
        for number in 0..200 {
            let is_hidden = number as u64 * percent % 100 < percent;
            let name = if is_hidden { FRONT } else { "files.slack.com" };
            connection(&mut traffic, number, name, is_hidden, &mut random);
        }
        let found = hidden(&traffic);
        assert!((found - percent as f64).abs() <= 1.0, "{found} % instead of {percent} %");
    }
}

/// The ledger's rows, each as its site and its other cells.
fn books(report: &Path) -> Vec<(String, Vec<String>)> {
    let mut reader = csv::Reader::from_path(report.join("visibility.csv")).expect("a ledger");
    let mut rows = Vec::new();
    for row in reader.records() {
        let mut cells: Vec<String> = row.expect("a row").iter().map(str::to_owned).collect();
        rows.push((cells.remove(1), cells));
    }
    rows
}

/// Two offices in one database: each has the books that it has alone, and all is in them.
#[test]
fn each_site_has_its_own_books() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let mut random = Random::new(8);
    for (site, percent, talks) in [("Berlin", 50, 40), ("Oslo", 10, 20)] {
        let mut traffic = Traffic::default();
        for number in 0..talks {
            let is_hidden = number as u64 * percent % 100 < percent;
            let name = if is_hidden { FRONT } else { "files.slack.com" };
            connection(&mut traffic, number, name, is_hidden, &mut random);
        }
        traffic.write(&path(site)).expect("a capture");
    }
    let read = |capture: &str, site: Option<&str>, db: &str| -> Vec<(String, Vec<String>)> {
        let report = path("report");
        let mut arguments = vec![path(capture).into_os_string()];
        arguments.extend(["--db".into(), path(db).into(), "--report".into()]);
        arguments.push(report.clone().into());
        arguments.extend(site.iter().flat_map(|site| ["--site".into(), OsString::from(site)]));
        support::read(arguments).expect(0);
        books(&report)
    };
    let unnamed = read("Berlin", None, "unnamed.db");
    assert!(unnamed.iter().all(|(site, _)| site.is_empty()));
    let config = |report: &Path| support::manifest(report)["config_sha256"].clone();
    let unnamed_config = config(&path("report"));
    let berlin = read("Berlin", Some("Berlin"), "both.db");
    assert_ne!(config(&path("report")), unnamed_config);
    let oslo = read("Oslo", Some("Oslo"), "oslo.db");
    let both = read("Oslo", Some("Oslo"), "both.db");

    let cells = |rows: &[(String, Vec<String>)]| -> Vec<Vec<String>> {
        rows.iter().map(|(_, cells)| cells.clone()).collect()
    };
    assert_eq!(cells(&berlin), cells(&unnamed), "a name changes no number");
    assert!(berlin.iter().all(|(site, _)| site == "Berlin"));
    assert!(oslo.iter().all(|(site, _)| site == "Oslo"));
    assert_ne!(cells(&oslo), cells(&berlin));
    assert_eq!(both, [berlin, oslo].concat());
    let bytes: u64 = both.iter().map(|(_, cells)| support::number(&cells[3])).sum();
    assert_eq!(support::manifest(&path("report"))["total_bytes"].as_u64(), Some(bytes));
}

#[test]
fn grease_hides_nothing() {
    let (mut traffic, mut random) = (Traffic::default(), Random::new(8));
    for number in 0..50 {
        connection(&mut traffic, number, "files.slack.com", true, &mut random);
    }
    assert!(hidden(&traffic) == 0.0);
}

/// WireGuard's handshake ("WireGuard: Next Generation Kernel Network Tunnel", 5.4): initiation and
/// answer, each with its type, three zeros and the sender's number, the answer with the receiver's.
fn wireguard_handshake(random: &mut Random) -> [Vec<u8>; 2] {
    let mut initiation = vec![1, 0, 0, 0, 7, 1, 2, 3];
    initiation.extend(std::iter::repeat_with(|| random.below(256) as u8).take(124));
    initiation.resize(148, 0);
    let mut answer = vec![2, 0, 0, 0, 9, 8, 7, 6, 7, 1, 2, 3];
    answer.extend(std::iter::repeat_with(|| random.below(256) as u8).take(64));
    answer.resize(92, 0);
    [initiation, answer]
}

#[test]
fn a_port_of_a_service_hides_nothing_else() {
    let (mut traffic, mut random) = (Traffic::default(), Random::new(53));
    let ends = |port: u16, to: u16| {
        let client: std::net::SocketAddr = format!("10.3.1.1:{port}").parse().expect("an end");
        let server: std::net::SocketAddr = format!("198.18.3.53:{to}").parse().expect("an end");
        (client, server)
    };
    for (at, port) in [53, 123, 1900].into_iter().enumerate() {
        let (client, server) = ends(50_000 + port, port);
        let mut talk = Talk::udp(&mut traffic, client, server, START + at as i64 * SECOND);
        let [initiation, answer] = wireguard_handshake(&mut random);
        talk.send(Side::Up, &initiation);
        talk.send(Side::Down, &answer);
    }
    let (client, server) = ends(51_000, 53);
    let mut talk = Talk::tcp(&mut traffic, client, server, START + 5 * SECOND);
    talk.open();
    let hello = Hello { server_name: Some("files.slack.com"), ..Hello::default() };
    talk.send(Side::Up, &tls::records(&tls::client_hello(&hello, &mut random), 16_384));
    talk.send(Side::Down, &tls::server_hello(&mut random));
    talk.close();
    let (client, server) = ends(52_000, 53);
    let mut talk = Talk::udp(&mut traffic, client, server, START + 9 * SECOND);
    talk.send(Side::Up, &dns::query(7, "chatgpt.com", dns::A));

    // SSH, with OpenVPN's resets behind a length, and what nobody knows: none of it is DNS.
    let resets: [&[u8]; 2] = [
        b"\0\x0e\x38\x81\x42\x13\x24\x95\x86\x17\x28\0\0\0\0\0",
        b"\0\x1a\x40\x71\x22\x33\x44\x55\x66\x77\x88\x01\0\0\0\0\x81\x42\x13\x24\x95\x86\x17\x28\0\0\0\0",
    ];
    let control = [&resets[0][..2], b"\x20", &resets[0][3..]].concat();
    let said: [&[&[u8]]; 3] = [
        &[b"SSH-2.0-OpenSSH_9.2\r\n", b"SSH-2.0-OpenSSH_9.6\r\n"],
        &[resets[0], resets[1], &control],
        &[&[0x5a; 300], &[0xa5; 900]],
    ];
    for (at, messages) in said.into_iter().enumerate() {
        let (client, server) = ends(53_000 + at as u16, 53);
        let start = START + (20 + at as i64) * SECOND;
        let mut talk = Talk::tcp(&mut traffic, client, server, start);
        talk.open();
        for (message, side) in messages.iter().zip([Side::Up, Side::Down, Side::Up]) {
            talk.send(side, message);
        }
        talk.close();
    }

    let bytes = |flows: std::ops::Range<usize>| -> u64 {
        traffic.flows[flows].iter().map(|flow| flow.bytes_up + flow.bytes_down).sum()
    };
    let mut buckets = support::buckets(&Made::read(&traffic, &[]).report());
    buckets.retain(|_, bytes| *bytes > 0);
    let expected = [
        ("app", bytes(3..4)),
        ("network_service", bytes(4..5)),
        ("no_name", bytes(7..8)),
        ("tunnel", bytes(0..3) + bytes(5..7)),
    ];
    assert_eq!(buckets, expected.map(|(bucket, bytes)| (bucket.to_owned(), bytes)).into());
}

#[test]
fn a_share_that_moves_by_more_than_five_points_in_a_week_is_a_break() {
    let mut traffic = Traffic::default();
    // Days, and how many in a hundred bytes stay at home; on those between nothing was captured.
    let days = [(0, 50), (1, 60), (2, 50), (3, 50), (6, 61), (7, 56), (15, 20), (16, 20), (17, 20)];
    for (day, at_home) in days {
        let start = START + day * 86_400 * SECOND;
        for (server, percent) in [("10.3.0.9:7000", at_home), ("198.18.9.9:7000", 100 - at_home)] {
            let client: std::net::SocketAddr = "10.3.1.1:40000".parse().expect("an end");
            let server = server.parse().expect("an end");
            let mut talk = Talk::tcp(&mut traffic, client, server, start);
            talk.open();
            talk.send(Side::Down, &vec![0xfe; 1_000 * percent as usize]);
            talk.close();
        }
    }
    traffic.sort();
    let rows = Made::read(&traffic, &[]).rows("visibility.csv");
    for bucket in ["private", "no_name"] {
        let breaks: Vec<_> = rows
            .iter()
            .filter(|row| row["bucket"] == bucket)
            .map(|row| row["visibility_break"] == "true")
            .collect();
        // One day before is no mean, nor are days of more than a week ago; then the mean of 50, 60, 50
        // and 50 is left by 8.5 points, and that with 61 by 2.
        let expected = [false, false, false, false, true, false, false, false, false];
        assert_eq!(breaks, expected, "{bucket}");
    }
    let untouched = rows.iter().filter(|row| row["bucket"] == "tunnel");
    assert!(untouched.into_iter().all(|row| row["visibility_break"] == "false"));
}
