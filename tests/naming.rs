//! How flows get their names: from themselves, and from what DNS told their clients.

use std::net::{IpAddr, SocketAddr};

use serde_json::json;

use crate::generator::frame::flag;
use crate::generator::talk::{Side, Talk};
use crate::generator::tls::{self, Hello};
use crate::generator::{MILLISECOND, Random, SECOND, START_SECONDS, Traffic, dns};
use crate::support::{Made, buckets, number, text};

const START: i64 = START_SECONDS * SECOND;
const SERVER: &str = "198.18.0.1:7000";

fn at(text: &str) -> SocketAddr {
    text.parse().expect("address and port")
}

fn server() -> IpAddr {
    at(SERVER).ip()
}

/// A question of `client`, answered by `resolver` at once.
fn answer(traffic: &mut Traffic, client: &str, resolver: &str, name: &str, time: i64, ttl: u32) {
    let mut talk = Talk::udp(traffic, at(client), at(resolver), time);
    talk.send(Side::Up, &dns::query(7, name, dns::A));
    talk.time_nanos = time;
    talk.send(Side::Down, &dns::response(7, name, &[server()], ttl));
}

/// A flow without a name of its own.
fn silent(traffic: &mut Traffic, client: &str, time: i64) {
    let mut talk = Talk::udp(traffic, at(client), at(SERVER), time);
    talk.send(Side::Up, &[0x21; 40]);
    talk.send(Side::Down, &[0x21; 40]);
}

/// The name of the silent flow, and where it came from.
fn name(mut traffic: Traffic) -> (String, String) {
    traffic.sort();
    let flow = Made::read(&traffic, &[]).flow_to(7000);
    (text(&flow["name"]).to_owned(), text(&flow["name_source"]).to_owned())
}

fn nobody_knows() -> (String, String) {
    (String::new(), String::new())
}

fn dns_says(name: &str) -> (String, String) {
    (name.to_owned(), "dns".to_owned())
}

const RESOLVER: &str = "10.0.0.53:53";

#[test]
fn the_clients_own_question_names_its_flow() {
    let mut traffic = Traffic::default();
    answer(&mut traffic, "10.1.0.1:2000", RESOLVER, "files.slack.com", START, 60);
    answer(&mut traffic, "10.1.0.2:2000", RESOLVER, "other.example", START, 60);
    silent(&mut traffic, "10.1.0.1:4000", START + SECOND);
    assert_eq!(name(traffic), dns_says("files.slack.com"));
}

#[test]
fn a_strangers_question_names_nothing() {
    let mut traffic = Traffic::default();
    answer(&mut traffic, "10.1.0.2:2000", RESOLVER, "other.example", START, 60);
    silent(&mut traffic, "10.1.0.1:4000", START + SECOND);
    assert_eq!(name(traffic), nobody_knows());
}

#[test]
fn the_same_machines_other_address_may_have_asked() {
    let mut traffic = Traffic::default();
    // The generator gives both addresses the same link address.
    let other = "[fd00::1:1]:2000";
    answer(&mut traffic, other, "[fd00::ff:53]:53", "files.slack.com", START, 60);
    silent(&mut traffic, "10.1.0.1:4000", START + SECOND);
    assert_eq!(name(traffic), dns_says("files.slack.com"));
}

#[test]
fn who_asks_for_others_is_asked_last() {
    let mut traffic = Traffic::default();
    // The client is seen to ask the resolver, and the resolver to ask the world.
    let mut first = Talk::udp(&mut traffic, at("10.1.0.1:2000"), at(RESOLVER), START);
    first.send(Side::Up, &dns::query(1, "elsewhere.example", dns::A));
    let elsewhere = at("198.18.9.9:1").ip();
    first.send(Side::Down, &dns::response(1, "elsewhere.example", &[elsewhere], 60));
    answer(&mut traffic, "10.0.0.53:2000", "198.18.8.8:53", "files.slack.com", START, 60);
    silent(&mut traffic, "10.1.0.3:4000", START + SECOND);
    assert_eq!(name(traffic), dns_says("files.slack.com"));
}

#[test]
fn an_answer_holds_five_minutes_or_its_ttl() {
    for (ttl, seconds, holds) in
        [(60, 299, true), (60, 301, false), (600, 599, true), (600, 601, false)]
    {
        let mut traffic = Traffic::default();
        answer(&mut traffic, "10.1.0.1:2000", RESOLVER, "files.slack.com", START, ttl);
        silent(&mut traffic, "10.1.0.1:4000", START + seconds * SECOND);
        let expected = if holds { dns_says("files.slack.com") } else { nobody_knows() };
        assert_eq!(name(traffic), expected, "TTL {ttl}, after {seconds} s");
    }
}

#[test]
fn an_answer_may_be_stamped_a_little_late() {
    for (millis, holds) in [(99, true), (101, false)] {
        let mut traffic = Traffic::default();
        silent(&mut traffic, "10.1.0.1:4000", START);
        let late = START + millis * MILLISECOND;
        answer(&mut traffic, "10.1.0.1:2000", RESOLVER, "files.slack.com", late, 60);
        let expected = if holds { dns_says("files.slack.com") } else { nobody_knows() };
        assert_eq!(name(traffic), expected, "{millis} ms late");
    }
}

#[test]
fn an_alias_is_no_name() {
    let mut traffic = Traffic::default();
    let mut talk = Talk::udp(&mut traffic, at("10.1.0.1:2000"), at(RESOLVER), START);
    talk.send(Side::Up, &dns::query(1, "files.slack.com", dns::A));
    let long = dns::long_response(1, "files.slack.com", "edge.cdn.example.net", server(), 10);
    talk.send(Side::Down, &long);
    silent(&mut traffic, "10.1.0.1:4000", START + SECOND);
    assert_eq!(name(traffic), dns_says("files.slack.com"));
}

/// What becomes of a flow for whose address both names were asked.
fn of_two(one: &str, other: &str) -> (serde_json::Value, Vec<String>) {
    let mut traffic = Traffic::default();
    answer(&mut traffic, "10.1.0.1:2000", RESOLVER, one, START, 60);
    answer(&mut traffic, "10.1.0.1:2001", RESOLVER, other, START + SECOND, 60);
    silent(&mut traffic, "10.1.0.1:4000", START + 2 * SECOND);
    let made = Made::read(&traffic, &[]);
    let buckets = buckets(&made.report());
    let named = buckets.into_keys().filter(|bucket| bucket != "network_service").collect();
    (made.flow_to(7000), named)
}

#[test]
fn two_names_of_one_app_are_that_app() {
    let (flow, buckets) = of_two("files.slack.com", "x.slack-files.com");
    assert_eq!((&flow["app"], &buckets[..]), (&json!("slack"), &["app".to_owned()][..]));
}

#[test]
fn two_names_of_one_domain_are_that_domain() {
    let (flow, buckets) = of_two("one.shop.example", "two.shop.example");
    assert_eq!(flow["name_source"], json!("dns"));
    assert_eq!((&flow["app"], &buckets[..]), (&json!(null), &["unmatched".to_owned()][..]));
}

#[test]
fn two_names_of_different_apps_are_never_guessed() {
    let (flow, buckets) = of_two("files.slack.com", "www.dropbox.com");
    assert_eq!(flow["candidates"], json!(["files.slack.com", "www.dropbox.com"]));
    assert_eq!((&flow["app"], &flow["name"]), (&json!(null), &json!(null)));
    assert_eq!(buckets, ["ambiguous"]);
}

#[test]
fn a_flows_own_name_wins() {
    let mut traffic = Traffic::default();
    answer(&mut traffic, "10.1.0.1:2000", RESOLVER, "files.slack.com", START, 60);
    let mut talk = Talk::tcp(&mut traffic, at("10.1.0.1:4000"), at(SERVER), START + SECOND);
    talk.open();
    let hello = Hello { server_name: Some("www.dropbox.com"), ..Hello::default() };
    let message = tls::client_hello(&hello, &mut Random::new(1));
    talk.send(Side::Up, &tls::records(&message, 16_384));
    assert_eq!(name(traffic), ("www.dropbox.com".to_owned(), "sni".to_owned()));
}

#[test]
fn bytes_belong_to_the_name_in_force() {
    let mut traffic = Traffic::default();
    let mut talk = Talk::tcp(&mut traffic, at("10.1.0.1:4000"), at("198.18.0.1:80"), START);
    let mut shares = Vec::new();
    talk.open();
    for host in ["www.shop.example", "www.shop.example", "news.other.example", "www.shop.example"] {
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let response = format!("HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{}", ".".repeat(900));
        talk.send(Side::Up, request.as_bytes());
        talk.send(Side::Down, response.as_bytes());
        shares.push(talk.bytes());
    }
    talk.close();
    let all = talk.bytes();
    let other = (shares[2].0 - shares[1].0, shares[2].1 - shares[1].1);

    let rows = Made::read(&traffic, &[]).rows("unmatched.csv");
    let bytes = |domain: &str| {
        let row = rows.iter().find(|row| row["registered_domain"] == domain).expect("a row");
        (number(&row["bytes_up"]), number(&row["bytes_down"]))
    };
    assert_eq!(bytes("other.example"), other);
    assert_eq!(bytes("shop.example"), (all.0 - other.0, all.1 - other.1));
}

#[test]
fn a_proxy_is_no_evidence_of_what_it_leads_to() {
    let mut traffic = Traffic::default();
    // The proxy's own address was asked for by name; what it is asked for counts nevertheless.
    answer(&mut traffic, "10.1.0.1:2000", RESOLVER, "proxy.example", START, 60);
    let mut talk = Talk::tcp(&mut traffic, at("10.1.0.1:4000"), at(SERVER), START + SECOND);
    talk.open();
    talk.send(Side::Up, b"CONNECT files.slack.com:443 HTTP/1.1\r\nHost: files.slack.com\r\n\r\n");
    talk.send(Side::Down, b"HTTP/1.1 200 OK\r\n\r\n");
    talk.send(Side::Up, &[0x21; 50]);
    talk.segment(Side::Up, flag::FIN | flag::ACK, &[]);
    let flow = Made::read(&traffic, &[]).flow_to(7000);
    assert_eq!((&flow["name"], &flow["app"]), (&json!("files.slack.com"), &json!("slack")));
}

#[test]
fn look_alikes_are_no_app() {
    for host in ["notslack.com", "slack.com.evil.example", "myslack.community", "slack.co"] {
        let mut traffic = Traffic::default();
        let mut talk = Talk::tcp(&mut traffic, at("10.1.0.1:4000"), at("198.18.0.1:80"), START);
        talk.open();
        talk.send(Side::Up, format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes());
        let made = Made::read(&traffic, &[]);
        assert_eq!(made.flow_to(80)["app"], json!(null), "{host}");
        assert_eq!(made.observations()[0]["host"], json!(host));
        assert!(made.rows("apps.csv").is_empty());
    }
}

/// The flow of a hello that is sent so many seconds after what comes before it in the stream.
fn flow_of(hello: &Hello<'_>, before: Option<&[u8]>, seconds: i64) -> serde_json::Value {
    let mut traffic = Traffic::default();
    answer(&mut traffic, "10.1.0.1:2000", RESOLVER, "files.slack.com", START, 60);
    let mut talk = Talk::tcp(&mut traffic, at("10.1.0.1:4000"), at(SERVER), START + SECOND);
    talk.open();
    if let Some(said) = before {
        talk.send(Side::Up, said);
        talk.wait(seconds * SECOND);
    }
    talk.send(Side::Up, &tls::records(&tls::client_hello(hello, &mut Random::new(1)), 16_384));
    talk.send(Side::Down, &tls::server_hello(&mut Random::new(2)));
    talk.close();
    Made::read(&traffic, &[]).flow_to(7000)
}

#[test]
fn encrypted_client_hello_is_none_only_without_its_extension() {
    // Whole, of the inner form, empty, and too short for a config id.
    for content in [&[0, 0, 1, 0, 1, 7, 0, 0][..], &[1], &[], &[0, 0, 1]] {
        for (name, state) in [
            (Some("www.dropbox.com"), "grease_or_unknown"),
            (Some("cloudflare-ech.com"), "likely"),
            (None, "grease_or_unknown"),
        ] {
            let extension = Some((0xfe0d, content));
            let flow =
                flow_of(&Hello { server_name: name, extension, ..Hello::default() }, None, 0);
            assert_eq!(flow["ech"], json!(state), "{name:?} {content:?}");
            // Without a name, it is named by what its client asked for. Whoever hides one was not seen
            // to be offered that, so that other questions were not seen either.
            let known = match name {
                Some(_) if state == "likely" => json!([null, null]),
                Some(name) => json!([name, "sni"]),
                None => json!(["files.slack.com", "dns"]),
            };
            assert_eq!(json!([flow["name"], flow["name_source"]]), known, "{name:?} {content:?}");
        }
    }
    let plain = Hello { server_name: Some("www.dropbox.com"), ..Hello::default() };
    assert_eq!(flow_of(&plain, None, 0)["ech"], json!(null));
}

#[test]
fn encrypted_client_hello_is_told_however_late_it_comes() {
    let hello =
        Hello { server_name: Some("www.dropbox.com"), ech_config_id: Some(7), ..Hello::default() };
    for seconds in [1, 9, 11, 60] {
        // The flow has had no name for so long that it was given one by what its client asked.
        let flow = flow_of(&hello, Some(b"EHLO x.example\r\n"), seconds);
        let told = json!([flow["name"], flow["name_source"], flow["ech"]]);
        assert_eq!(told, json!(["www.dropbox.com", "sni", "grease_or_unknown"]), "{seconds} s");
    }
}
