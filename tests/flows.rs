//! When flows begin and end, who the client is, and which attempts failed.

use std::net::SocketAddr;

use crate::generator::frame::flag;
use crate::generator::talk::{Order, Side, Talk};
use crate::generator::{MILLISECOND, SECOND, START_SECONDS, Traffic, dns};
use crate::support::{Made, number, text};

const START: i64 = START_SECONDS * SECOND;

fn at(text: &str) -> SocketAddr {
    text.parse().expect("address and port")
}

fn client() -> SocketAddr {
    at("10.1.0.1:40000")
}

fn server() -> SocketAddr {
    at("198.18.0.1:7000")
}

/// How many flows there are when packets come at these seconds. A talk of others goes on
/// meanwhile, so that time passes for the sensor.
fn flows_of(make: impl Fn(&mut Talk<'_>), is_tcp: bool, server: SocketAddr) -> usize {
    let mut traffic = Traffic::default();
    let mut talk = if is_tcp {
        Talk::tcp(&mut traffic, client(), server, START)
    } else {
        Talk::udp(&mut traffic, client(), server, START)
    };
    make(&mut talk);
    let end = talk.time_nanos;
    let mut clock = Talk::udp(&mut traffic, at("10.1.0.2:5000"), at("198.18.0.2:5001"), START);
    while clock.time_nanos < end {
        clock.send(Side::Up, b"tick");
        clock.wait(SECOND);
    }
    traffic.sort();
    let flows = Made::read(&traffic, &[]).flows();
    flows.iter().filter(|flow| flow["client_port"] == 40_000).count()
}

/// Two packets with a pause between them.
fn pause(seconds: i64) -> impl Fn(&mut Talk<'_>) {
    move |talk| {
        talk.send(Side::Up, &[0x21; 30]);
        talk.wait(seconds * SECOND);
        talk.send(Side::Up, &[0x21; 30]);
    }
}

#[test]
fn udp_is_over_after_a_minute() {
    assert_eq!(flows_of(pause(59), false, server()), 1);
    assert_eq!(flows_of(pause(61), false, server()), 2);
}

#[test]
fn dns_is_over_after_ten_seconds() {
    assert_eq!(flows_of(pause(9), false, at("198.18.0.1:53")), 1);
    assert_eq!(flows_of(pause(11), false, at("198.18.0.1:53")), 2);
}

#[test]
fn an_unanswered_syn_is_over_after_half_a_minute() {
    let attempts = |seconds: i64| {
        move |talk: &mut Talk<'_>| {
            let first = talk.sequence[0];
            talk.segment(Side::Up, flag::SYN, &[]);
            talk.wait(seconds * SECOND);
            talk.segment_at(Side::Up, flag::SYN, first, &[]);
        }
    };
    assert_eq!(flows_of(attempts(29), true, server()), 1);
    assert_eq!(flows_of(attempts(31), true, server()), 2);
}

#[test]
fn a_connection_is_over_after_fifteen_minutes() {
    let silence = |seconds: i64| {
        move |talk: &mut Talk<'_>| {
            talk.open();
            pause(seconds)(talk);
        }
    };
    assert_eq!(flows_of(silence(899), true, server()), 1);
    assert_eq!(flows_of(silence(901), true, server()), 2);
}

#[test]
fn late_segments_belong_to_the_connection_they_are_of() {
    let late = |seconds: i64, reset: bool| {
        move |talk: &mut Talk<'_>| {
            talk.open();
            talk.send(Side::Up, &[0x21; 30]);
            if reset {
                talk.segment(Side::Down, flag::RST, &[]);
            } else {
                talk.close();
            }
            talk.wait(seconds * SECOND);
            talk.segment_at(Side::Down, flag::ACK, talk.sequence[1].wrapping_sub(30), &[0x21; 29]);
        }
    };
    for reset in [false, true] {
        assert_eq!(flows_of(late(4, reset), true, server()), 1);
        assert_eq!(flows_of(late(6, reset), true, server()), 2);
    }
}

#[test]
fn another_syn_is_another_connection() {
    let again = |step: u32| {
        move |talk: &mut Talk<'_>| {
            let first = talk.sequence[0];
            talk.open();
            talk.send(Side::Up, &[0x21; 30]);
            talk.segment_at(Side::Up, flag::SYN, first.wrapping_add(step), &[]);
        }
    };
    assert_eq!(flows_of(again(0), true, server()), 1);
    assert_eq!(flows_of(again(100_000), true, server()), 2);
}

#[test]
fn a_connection_that_was_reused_keeps_its_bytes_apart() {
    let mut traffic = Traffic::default();
    let sent = [30, 500];
    for (index, length) in sent.into_iter().enumerate() {
        let begin = START + index as i64 * SECOND;
        let mut talk = Talk::tcp(&mut traffic, client(), server(), begin);
        talk.open();
        talk.send(Side::Up, &vec![0x21; length]);
    }
    let flows = Made::read(&traffic, &[]).flows();
    let bytes: Vec<_> = flows.iter().map(|flow| flow["bytes_up"].as_u64().unwrap()).collect();
    assert_eq!(bytes, sent.map(|length| 40 * 3 + length as u64));
}

/// Which address is the client in a capture that begins in the middle of a connection.
fn client_of(sender: &str, receiver: &str, then: impl Fn(&mut Talk<'_>)) -> String {
    let mut traffic = Traffic::default();
    let mut talk = Talk::tcp(&mut traffic, at(sender), at(receiver), START);
    talk.send(Side::Up, &[0x21; 30]);
    then(&mut talk);
    let flows = Made::read(&traffic, &[]).flows();
    assert_eq!(flows.len(), 1);
    text(&flows[0]["client_ip"]).to_owned()
}

#[test]
fn without_a_syn_the_client_is_at_home() {
    let (home, outside) = ("10.1.0.1:40000", "198.18.0.1:7000");
    assert_eq!(client_of(home, outside, |_| ()), "10.1.0.1");
    assert_eq!(client_of(outside, home, |_| ()), "10.1.0.1");
    // Neither is: the one that is seen first.
    assert_eq!(client_of(outside, "198.18.0.9:9000", |_| ()), "198.18.0.1");
}

#[test]
fn who_asks_is_the_client_whatever_was_assumed() {
    let ask = |talk: &mut Talk<'_>| {
        talk.send(Side::Down, b"GET / HTTP/1.1\r\nHost: intranet.example\r\n\r\n");
    };
    assert_eq!(client_of("10.1.0.1:8080", "198.18.0.1:40000", ask), "198.18.0.1");
    assert_eq!(client_of("198.18.0.1:8080", "10.1.0.1:40000", ask), "10.1.0.1");
}

#[test]
fn who_connects_to_home_is_inbound() {
    let mut traffic = Traffic::default();
    let mut talk = Talk::tcp(&mut traffic, at("198.18.0.1:40000"), at("10.1.0.1:80"), START);
    talk.open();
    talk.send(Side::Up, b"GET / HTTP/1.1\r\nHost: www.slack.com\r\n\r\n");
    let made = Made::read(&traffic, &[]);
    assert!(made.rows("usage.csv").is_empty());
    assert!(made.rows("unmatched.csv").is_empty());
    let buckets = crate::support::buckets(&made.report());
    assert_eq!(
        buckets.into_iter().collect::<Vec<_>>(),
        [("inbound".into(), traffic.total_bytes())]
    );
}

/// The failed attempts in the report, after the client was told where files.slack.com is.
fn attempts_failed(asks_at: &str, attempt: impl Fn(&mut Talk<'_>)) -> u64 {
    let mut traffic = Traffic::default();
    let address = server().ip();
    let resolver = if asks_at.starts_with('[') { "[fd00::ff:53]:53" } else { "10.0.0.53:53" };
    let mut question = Talk::udp(&mut traffic, at(asks_at), at(resolver), START);
    question.send(Side::Up, &dns::query(1, "files.slack.com", dns::A));
    question.send(Side::Down, &dns::response(1, "files.slack.com", &[address], 300));
    let mut talk = Talk::tcp(&mut traffic, client(), server(), START + SECOND);
    attempt(&mut talk);
    let rows = Made::read(&traffic, &[]).rows("usage.csv");
    assert!(rows.iter().any(|row| row["app_id"] == "slack"), "{rows:?}");
    rows.iter().map(|row| number(&row["attempts_failed"])).sum()
}

const SAME: &str = "10.1.0.1:30000";
/// The same machine by its other address, so that the first is never seen to be answered.
const OTHER_FAMILY: &str = "[fd00::1:1]:30000";

#[test]
fn an_attempt_without_an_answer_has_failed() {
    let syn = |talk: &mut Talk<'_>| talk.segment(Side::Up, flag::SYN, &[]);
    assert_eq!(attempts_failed(SAME, syn), 1);
    assert_eq!(attempts_failed(SAME, |talk| talk.open()), 0);
}

#[test]
fn an_attempt_that_was_refused_has_failed() {
    let refused = |talk: &mut Talk<'_>| {
        talk.segment(Side::Up, flag::SYN, &[]);
        talk.segment(Side::Down, flag::RST | flag::ACK, &[]);
    };
    assert_eq!(attempts_failed(SAME, refused), 1);
    let reset_before_payload = |talk: &mut Talk<'_>| {
        talk.open();
        talk.send(Side::Up, &[0x21; 30]);
        talk.segment(Side::Down, flag::RST, &[]);
    };
    assert_eq!(attempts_failed(SAME, reset_before_payload), 1);
    let reset_after_payload = |talk: &mut Talk<'_>| {
        talk.open();
        talk.send(Side::Up, &[0x21; 30]);
        talk.send(Side::Down, &[0x21; 30]);
        talk.segment(Side::Down, flag::RST, &[]);
    };
    assert_eq!(attempts_failed(SAME, reset_after_payload), 0);
}

#[test]
fn what_cannot_be_seen_to_be_answered_has_not_failed() {
    let went_on = |talk: &mut Talk<'_>| {
        talk.segment(Side::Up, flag::SYN, &[]);
        talk.segment(Side::Up, flag::ACK, &[]);
    };
    assert_eq!(attempts_failed(SAME, went_on), 0);
    let syn = |talk: &mut Talk<'_>| talk.segment(Side::Up, flag::SYN, &[]);
    assert_eq!(attempts_failed(OTHER_FAMILY, syn), 0);
}

#[test]
fn fragments_that_never_become_whole_are_told() {
    let mut traffic = Traffic::default();
    let mut talk = Talk::udp(&mut traffic, client(), server(), START);
    talk.fragments(Side::Up, &[0x21; 3000], 1000, Order::WithoutFirst);
    talk.wait(20 * SECOND);
    talk.fragments(Side::Up, &[0x21; 3000], 1000, Order::WithoutLast);
    talk.wait(10 * MILLISECOND);
    talk.fragments(Side::Up, &[0x21; 3000], 1000, Order::Reversed);
    let made = Made::read(&traffic, &[]);
    let buckets = crate::support::buckets(&made.report());
    assert_eq!(buckets["undecodable"], traffic.orphaned_bytes);
    assert_eq!(buckets["no_name"], traffic.flows[0].bytes_up);
    assert_eq!(made.flow_to(7000)["bytes_up"].as_u64(), Some(traffic.flows[0].bytes_up));
}
