//! Media of calls have no name: they are their client's, of the app that it used just before, and of
//! no app where that is not certain.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::generator::frame::{self, Way};
use crate::generator::talk::{Side, Talk};
use crate::generator::tls::{self, Hello};
use crate::generator::{Random, Record, SECOND, START_SECONDS, Traffic, dns};
use crate::support::{self, Made, number, text};

const START: i64 = START_SECONDS * SECOND;
const MINUTE: i64 = 60 * SECOND;
const TEAMS: &str = "emea.ng.msg.teams.microsoft.com";
const SLACK: &str = "wss-primary.slack.com";
/// The port to which media go, and nothing else does.
const MEDIA_PORT: u16 = 3479;
const MEDIA_SERVER: &str = "198.18.77.1:3479";

fn at(text: &str) -> SocketAddr {
    text.parse().expect("address and port")
}

/// A connection of 10.7.0.`client` that says this name and then speaks at each of `times`.
fn named(traffic: &mut Traffic, client: u8, name: &str, times: &[i64]) {
    let mut random = Random::new(client.into());
    let port = 20_000 + traffic.records.len();
    let mut talk =
        Talk::tcp(traffic, at(&format!("10.7.0.{client}:{port}")), at("198.18.70.1:443"), times[0]);
    talk.open();
    let hello = Hello { server_name: Some(name), alpn: &["h2"], ..Hello::default() };
    talk.send(Side::Up, &tls::records(&tls::client_hello(&hello, &mut random), 16_384));
    talk.send(Side::Down, &tls::server_hello(&mut random));
    for &time in times {
        talk.time_nanos = talk.time_nanos.max(time);
        talk.send(Side::Up, &tls::application_data(500, &mut random));
        talk.send(Side::Down, &tls::application_data(900, &mut random));
    }
}

fn stun(kind: u8) -> Vec<u8> {
    let mut bytes = vec![kind, 1, 0, 8, 0x21, 0x12, 0xa4, 0x42];
    bytes.extend(b"abcdefghijkl\x80\x22\0\x04call");
    bytes
}

fn rtp(number: u8) -> Vec<u8> {
    let mut bytes = vec![0x80, 111, 0, number, 0, 0, 3, number, 9, 8, 7, 6];
    bytes.resize(172, 0x6d);
    bytes
}

/// A hello of DTLS with keys for media (RFC 5764), or for anything else.
fn dtls(has_keys: bool) -> Vec<u8> {
    let mut body = [&[0xfe, 0xfd][..], &[7; 32], &[0, 0, 0, 2, 0xc0, 0x2b, 1, 0]].concat();
    let keys: &[u8] = if has_keys { &[0, 14, 0, 5, 0, 2, 0, 1, 0] } else { &[0, 23, 0, 0] };
    body.extend((keys.len() as u16).to_be_bytes());
    body.extend(keys);
    let length = body.len() as u8;
    let record = [22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, length + 12];
    let message = [1, 0, 0, length, 0, 0, 0, 0, 0, 0, 0, length];
    [&record[..], &message, &body].concat()
}

/// What 10.7.0.`client` exchanges with a server that it has only the address of.
pub(crate) fn media(
    traffic: &mut Traffic,
    client: u8,
    server: &str,
    time: i64,
    what: &[(Side, Vec<u8>)],
) {
    let mut talk = Talk::udp(traffic, at(&format!("10.7.0.{client}:50007")), at(server), time);
    for (side, bytes) in what {
        talk.send(*side, bytes);
    }
}

pub(crate) fn call() -> [(Side, Vec<u8>); 4] {
    [(Side::Up, stun(0)), (Side::Down, stun(1)), (Side::Up, rtp(1)), (Side::Down, rtp(7))]
}

/// What the fixture `media` holds.
pub(crate) fn scene() -> Traffic {
    let mut traffic = Traffic::default();
    let rtp_only = [1, 2, 3].map(|count| (Side::Down, rtp(count)));
    named(&mut traffic, 1, TEAMS, &[START]);
    media(&mut traffic, 1, MEDIA_SERVER, START + 5 * SECOND, &call());
    media(&mut traffic, 1, "198.18.77.2:8801", START + 6 * SECOND, &rtp_only);
    media(&mut traffic, 1, "198.18.77.3:5004", START + 7 * SECOND, &[(Side::Up, dtls(true))]);
    media(&mut traffic, 1, "198.18.77.4:443", START + 8 * SECOND, &[(Side::Up, dtls(false))]);
    let (client, server) = (at("10.7.0.1:50008"), at("198.18.77.5:443"));
    let mut talk = Talk::tcp(&mut traffic, client, server, START + 9 * SECOND);
    talk.open();
    talk.send(Side::Up, &stun(0));
    talk.close();
    named(&mut traffic, 2, TEAMS, &[START]);
    named(&mut traffic, 2, SLACK, &[START + SECOND]);
    media(&mut traffic, 2, MEDIA_SERVER, START + 5 * SECOND, &call());
    media(&mut traffic, 3, MEDIA_SERVER, START + 5 * SECOND, &call());
    media(&mut traffic, 3, "52.112.0.7:3480", START + 6 * SECOND, &call());
    traffic.sort();
    traffic
}

/// Reads it, and answers the flow of media with it.
fn read(mut traffic: Traffic) -> (Made, Value) {
    traffic.sort();
    let made = Made::read(&traffic, &[]);
    let flow = made.flow_to(MEDIA_PORT);
    (made, flow)
}

/// Name, its source and the app of the flow of media.
fn told(traffic: Traffic) -> (Value, Value, Value) {
    let (_, flow) = read(traffic);
    (flow["name"].clone(), flow["name_source"].clone(), flow["app"].clone())
}

fn teams() -> (Value, Value, Value) {
    (json!(TEAMS), json!("media"), json!("microsoft-teams"))
}

fn nobody() -> (Value, Value, Value) {
    (Value::Null, Value::Null, Value::Null)
}

#[test]
fn media_are_of_the_app_that_their_client_used_before() {
    for what in [
        call().to_vec(),
        vec![(Side::Up, dtls(true)), (Side::Down, rtp(1))],
        vec![(Side::Down, rtp(1)), (Side::Down, rtp(2)), (Side::Down, rtp(4))],
    ] {
        let mut traffic = Traffic::default();
        named(&mut traffic, 1, TEAMS, &[START]);
        media(&mut traffic, 1, MEDIA_SERVER, START + 20 * SECOND, &what);
        let (made, flow) = read(traffic);
        assert_eq!((&flow["name"], &flow["app"]), (&json!(TEAMS), &json!("microsoft-teams")));
        assert_eq!(flow["name_source"], "media");
        assert!(flow["media"].is_string(), "{flow}");
        let buckets = support::buckets(&made.report());
        assert_eq!(buckets.values().sum::<u64>(), buckets["app"], "{buckets:?}");
    }
}

#[test]
fn of_several_apps_none_is_guessed() {
    let mut traffic = Traffic::default();
    named(&mut traffic, 1, TEAMS, &[START]);
    named(&mut traffic, 1, SLACK, &[START + 5 * MINUTE]);
    media(&mut traffic, 1, MEDIA_SERVER, START + 6 * MINUTE, &call());
    let (made, flow) = read(traffic);
    assert_eq!((&flow["name"], &flow["app"]), (&Value::Null, &Value::Null));
    assert_eq!(flow["candidates"], json!([TEAMS, SLACK]));
    let bytes = flow["bytes_up"].as_u64().unwrap() + flow["bytes_down"].as_u64().unwrap();
    assert_eq!(support::buckets(&made.report())["ambiguous"], bytes);
    for row in made.rows("apps.csv") {
        let certain = number(&row["bytes_up"]) + number(&row["bytes_down"]);
        assert_eq!(number(&row["bytes_upper_bound"]), certain + bytes, "{row:?}");
    }
}

#[test]
fn nobody_knows_whose_media_without_an_app_before() {
    let media_alone = |traffic: &mut Traffic| {
        media(traffic, 1, MEDIA_SERVER, START + 30 * MINUTE, &call());
    };
    let cases: [&dyn Fn(&mut Traffic); 5] = [
        &|_| {},
        &|traffic| named(traffic, 2, TEAMS, &[START + 29 * MINUTE]),
        &|traffic| named(traffic, 1, TEAMS, &[START + 18 * MINUTE]),
        &|traffic| named(traffic, 1, TEAMS, &[START + 30 * MINUTE + SECOND]),
        &|traffic| named(traffic, 1, "dl.dropboxusercontent.com", &[START + 29 * MINUTE]),
    ];
    for (number, before) in cases.into_iter().enumerate() {
        let mut traffic = Traffic::default();
        before(&mut traffic);
        media_alone(&mut traffic);
        assert_eq!(told(traffic), nobody(), "case {number}");
    }
}

#[test]
fn a_long_connection_counts_as_long_as_it_speaks() {
    let mut traffic = Traffic::default();
    let times: Vec<i64> = (0..10).map(|step| START + step * 3 * MINUTE).collect();
    named(&mut traffic, 1, TEAMS, &times);
    media(&mut traffic, 1, MEDIA_SERVER, START + 35 * MINUTE, &call());
    assert_eq!(told(traffic), teams());
}

#[test]
fn names_and_address_ranges_come_first() {
    let mut traffic = Traffic::default();
    named(&mut traffic, 1, SLACK, &[START]);
    media(&mut traffic, 1, "52.112.0.7:3479", START + MINUTE, &call());
    let (_, flow) = read(traffic);
    assert_eq!((text(&flow["name_source"]), text(&flow["app"])), ("net", "microsoft-teams"));

    let mut traffic = Traffic::default();
    named(&mut traffic, 1, SLACK, &[START]);
    let server = at(MEDIA_SERVER).ip();
    let mut talk = Talk::udp(&mut traffic, at("10.7.0.1:3000"), at("10.0.0.53:53"), START + SECOND);
    talk.send(Side::Up, &dns::query(7, "turn.example.com", dns::A));
    talk.send(Side::Down, &dns::response(7, "turn.example.com", &[server], 60));
    media(&mut traffic, 1, MEDIA_SERVER, START + MINUTE, &call());
    assert_eq!(told(traffic), (json!("turn.example.com"), json!("dns"), Value::Null));
}

#[test]
fn what_is_like_media_is_nobodys() {
    let noise: Vec<(Side, Vec<u8>)> =
        (0..6).map(|n| (Side::Up, vec![0x80 | n, n, n, 9, n])).collect();
    let vpn = vec![(Side::Up, dtls(false)), (Side::Down, vec![23, 0xfe, 0xfd, 0, 1, 0, 0])];
    for what in [noise, vpn] {
        let mut traffic = Traffic::default();
        named(&mut traffic, 1, TEAMS, &[START]);
        media(&mut traffic, 1, MEDIA_SERVER, START + MINUTE, &what);
        assert_eq!(told(traffic), nobody());
    }
}

/// Calls of many clients, over hours, some of which use two apps, while media go on.
fn busy() -> Traffic {
    let (mut traffic, mut random) = (Traffic::default(), Random::new(77));
    for step in 0..400 {
        let client = 1 + random.below(40) as u8;
        let time = START + step * 17 * SECOND + random.below(9) as i64 * SECOND;
        let name = if random.below(3) == 0 { SLACK } else { TEAMS };
        let spoken: Vec<i64> =
            (0..=random.below(6) as i64).map(|more| time + more * 2 * MINUTE).collect();
        named(&mut traffic, client, name, &spoken);
        let server = format!("198.18.77.{}:{MEDIA_PORT}", 1 + random.below(200));
        let later = time + random.below(900) as i64 * SECOND;
        let what = vec![call(); 1 + random.below(3) as usize].concat();
        media(&mut traffic, client, &server, later, &what);
        media(&mut traffic, client, &server, later + 40 * SECOND, &what);
        media(&mut traffic, client, &server, later + 90 * SECOND, &what);
    }
    traffic.sort();
    traffic
}

#[test]
fn any_number_of_workers_ties_media_to_the_same_apps() {
    let traffic = busy();
    let mut first = None;
    for workers in ["1", "2", "5"] {
        let made = Made::read(&traffic, &["--workers", workers]);
        let flows = made.flows();
        let tied = flows.iter().filter(|flow| flow["name_source"] == "media").count();
        let open = flows.iter().filter(|flow| flow["candidates"].is_array()).count();
        let unknown =
            flows.iter().filter(|flow| flow["media"].is_string() && flow["app"].is_null());
        assert!(tied > 100 && open > 20 && unknown.count() > open, "{tied} {open}");
        let said = (flows, support::contents(&made.report()));
        assert!(*first.get_or_insert_with(|| said.clone()) == said, "{workers} workers");
    }
}

#[test]
fn devices_that_only_show_themselves_are_a_number() {
    let mut traffic = Traffic::default();
    named(&mut traffic, 1, TEAMS, &[START]);
    for client in [1, 2, 3, 3] {
        let mut frame = vec![0xff; 6];
        frame
            .extend([2, 0, 10, 7, 0, client, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 10, 7, 0, client]);
        frame.extend([10, 7, 0, client, 0, 0, 0, 0, 0, 0, 10, 7, 0, 254]);
        traffic.records.push(Record { time_nanos: START + SECOND, frame });
    }
    let mut offer = vec![0; 240];
    (offer[0], offer[1]) = (2, 1);
    offer[16..20].copy_from_slice(&[10, 7, 0, 4]);
    offer[236..].copy_from_slice(&[0x63, 0x82, 0x53, 0x63]);
    let way = Way { source: at("10.7.0.254:67"), destination: at("10.7.0.4:68"), vlan: None };
    let datagram = frame::udp(way, &offer);
    let frame = frame::whole(way, frame::UDP, 1, &datagram);
    traffic.records.push(Record { time_nanos: START + SECOND, frame });
    traffic.sort();
    let made = Made::read(&traffic, &[]);
    // 10.7.0.2, .3 and .4; .1 used something.
    assert_eq!(support::manifest(&made.report())["losses"]["device_silent"], 3);
}
