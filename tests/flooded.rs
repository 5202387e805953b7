//! A flood on the cable: what a sensor takes, and what it still says.
//!
//! Needs what `wire` needs.
#![allow(clippy::disallowed_methods, reason = "what is on a cable takes time")]

use std::fs;

use crate::generator::load::{Flood, open_flows};
use crate::generator::{Record, write_pcap};
use crate::support;
use crate::wire::{Cable, wait_for};
use shadowscope::capture::live::RING_BYTES;
use shadowscope::pipeline::footprint::bound_mib;

/// SYNs of random five-tuples, as quickly as they can be sent.
const SYNS: u64 = 300_000;
/// Connections that say their name meanwhile.
const CONNECTIONS: u32 = 50;

#[test]
fn a_flood_of_syns_hides_no_connection_and_takes_no_more_than_is_told() {
    let Some(cable) = Cable::new() else { return };
    let capture = cable.path("flood.pcap");
    let mut named = open_flows(CONNECTIONS, 0, 3);
    let between = SYNS / u64::from(3 * CONNECTIONS + 1);
    let syns = Flood::Syn.packets(SYNS, 9);
    let records = (1..).zip(syns).flat_map(|(number, syn): (u64, Record)| {
        let next = if number % between == 0 { named.next() } else { None };
        [Some(syn), next].into_iter().flatten()
    });
    write_pcap(&capture, records).unwrap();

    let mut sensor = cable.run(&["--workers", "1"]);
    let sent = cable.replay(&capture, &["--topspeed", "--preload-pcap"]) as i64;
    assert_eq!(sent, SYNS as i64 + i64::from(3 * CONNECTIONS));
    sensor.signal("-TERM");
    let mut most = 0;
    wait_for("the sensor to end", || {
        let status = fs::read_to_string(format!("/proc/{}/status", sensor.child.id()));
        // One that has ended has none.
        let status = status.unwrap_or_default();
        if let Some(line) = status.lines().find_map(|line| line.strip_prefix("VmHWM:")) {
            most = most.max(support::number(line.trim().trim_end_matches(" kB")) >> 10);
        }
        sensor.child.try_wait().unwrap().is_some()
    });
    assert_eq!(sensor.wait().0, 0);

    let seen = cable.ask("SELECT sum(packets) FROM totals");
    let dropped = cable.ask("SELECT sum(dropped) FROM rings");
    println!("{sent} sent, {seen} seen, {dropped} dropped; {most} MiB at most");
    assert_eq!(sent, seen + dropped);
    let bytes = cable.ask("SELECT sum(total_bytes) FROM totals");
    assert_eq!(cable.ask("SELECT sum(bytes) FROM visibility"), bytes);
    let manifest = support::manifest(&cable.report());
    let bounded = manifest["bounded"].to_string();
    assert!(bounded.contains("anonymous_overflow"), "{bounded}");
    // Those that the ring had no room for nobody can name.
    let names = cable.ask("SELECT count(DISTINCT domain) FROM targets WHERE domain LIKE 'site%'");
    let all = i64::from(CONNECTIONS);
    assert!(names == all || dropped > 0 && names > all / 10, "{names} of {all} have their name");
    let bound = bound_mib(1) + (RING_BYTES >> 20) as usize;
    assert!((1..bound).contains(&(most as usize)), "{most} of {bound} MiB");
}
