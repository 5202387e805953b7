//! The ledger of visibility: what was hidden is told, as much as it was, and nothing else is.

use crate::generator::talk::{Side, Talk};
use crate::generator::tls::{self, Hello};
use crate::generator::{Random, SECOND, START_SECONDS, Traffic};
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

#[test]
fn grease_hides_nothing() {
    let (mut traffic, mut random) = (Traffic::default(), Random::new(8));
    for number in 0..50 {
        connection(&mut traffic, number, "files.slack.com", true, &mut random);
    }
    assert!(hidden(&traffic) == 0.0);
}
