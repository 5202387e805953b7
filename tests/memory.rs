//! What hostile traffic may cost in memory stays under the bounds that `src/lib.rs` lists.
//!
//! Measured from outside: the program reads from a pipe, and what it took at most is asked of the
//! kernel until it ends.

use std::fs;
use std::io::{BufWriter, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Stdio;

use crate::generator::frame::{self, flag};
use crate::generator::load::Flood;
use crate::generator::tls::{self, Hello};
use crate::generator::{Random, Record, SECOND, START_SECONDS, dns, pcap_header, pcap_record};
use crate::support;
use shadowscope::worker::INSPECTED_BYTES_MAX;

const MIB: u64 = 1 << 20;
/// What floods may make of a process that reads with this many workers, in MiB: the sum of all its
/// tables, as the README says.
fn bound_mib(workers: u64) -> u64 {
    shadowscope::pipeline::footprint::bound_mib(workers as usize) as u64
}

/// How the program is run.
#[derive(Clone, Copy)]
struct Way {
    workers: u64,
    is_stored: bool,
}

const ONE: Way = Way { workers: 1, is_stored: false };

/// The most bytes of memory that reading these packets took, and the names of counters that the
/// manifest lists as bounds that were reached.
fn peak(way: Way, records: impl Iterator<Item = Record>) -> Option<(u64, String)> {
    if fs::read_to_string("/proc/self/status").is_ok_and(|status| status.contains("VmHWM")) {
        let folder = tempfile::tempdir().unwrap();
        let mut command = support::program();
        command.args(["read", "--quiet", "-", "--signatures"]).arg(support::signatures());
        command.args(["--workers", &way.workers.to_string()]);
        command.arg("--report").arg(folder.path().join("report"));
        if way.is_stored {
            command.arg("--db").arg(folder.path().join("read.db"));
        }
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        let mut pipe = BufWriter::with_capacity(1 << 20, child.stdin.take().unwrap());
        pipe.write_all(&pcap_header()).unwrap();
        for record in records {
            pipe.write_all(&pcap_record(&record)).unwrap();
        }
        pipe.flush().unwrap();
        drop(pipe);
        // What it took at most is asked until it ends: the last parts are merged after the last packet.
        let mut most = 0;
        while child.try_wait().unwrap().is_none() {
            let status = fs::read_to_string(format!("/proc/{}/status", child.id()));
            let status = status.unwrap_or_default();
            // One that has ended has none.
            if let Some(line) = status.lines().find_map(|line| line.strip_prefix("VmHWM:")) {
                most = most.max(support::number(line.trim().trim_end_matches(" kB")));
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        assert!(child.wait().unwrap().success());
        assert!(most > 0, "nobody could ask it");
        let manifest = support::manifest(&folder.path().join("report"));
        return Some((most * 1024, manifest["bounded"].to_string()));
    }
    println!("skipped: needs VmHWM in /proc");
    None
}

/// Reads floods of every kind, of so many packets in as much time, and holds each to the bound.
#[track_caller]
fn floods_stay_under(way: Way, seconds: i64, bound_of: impl Fn(Flood) -> Option<&'static str>) {
    for flood in Flood::ALL {
        // Initials are long, and each is opened.
        let packets = if flood == Flood::Initials { PACKETS / 10 } else { PACKETS };
        // Ends after midnight where it lasts hours: floods begin at 9:00 UTC as they are made.
        let begin = START_SECONDS * SECOND;
        let step = seconds * SECOND / packets as i64;
        let late = if seconds > 3600 { 14 * 3600 * SECOND + 1800 * SECOND } else { 0 };
        let records = flood.packets(packets, 7).enumerate().map(|(number, record)| Record {
            time_nanos: begin + late + number as i64 * step,
            ..record
        });
        let Some((peak, reached)) = peak(way, records) else { return };
        let most = bound_mib(way.workers) * MIB;
        println!(
            "{flood:?}, {} workers: {} of {} MiB, {reached}",
            way.workers,
            peak / MIB,
            most / MIB
        );
        assert!(peak < most, "{flood:?}: {} MiB, of at most {} MiB", peak / MIB, most / MIB);
        if let Some(bound) = bound_of(flood) {
            assert!(reached.contains(bound), "{flood:?}: {bound} is not in {reached}");
        }
    }
}

/// Packets of each flood: enough for the bounds of a tick.
const PACKETS: u64 = 300_000;

/// What a flood within one tick reaches.
fn reached_at_once(flood: Flood) -> Option<&'static str> {
    match flood {
        Flood::Syn | Flood::FiveTuples => Some("anonymous_overflow"),
        Flood::HalfHellos => Some("inspection_evicted"),
        Flood::Questions => Some("question_dropped"),
        // There are too few of them here.
        Flood::Initials => None,
    }
}

#[test]
fn floods_within_a_second() {
    floods_stay_under(ONE, 1, reached_at_once);
}

#[test]
fn floods_within_a_second_with_two_workers_and_a_database() {
    floods_stay_under(Way { workers: 2, is_stored: true }, 1, reached_at_once);
}

/// Over many ticks, an hour and midnight: what merge and the store keep grows as well, and nothing
/// that is full is looked through for each packet.
#[test]
fn floods_that_go_on_over_midnight() {
    let reached = |flood| (flood != Flood::Initials).then_some("candidate_dropped");
    floods_stay_under(Way { workers: 1, is_stored: true }, 2 * 3600, reached);
}

/// Holds a flood over some minutes to the bound, with a database. It has to reach these bounds, which are
/// merge's own.
#[track_caller]
fn fills_merge(what: &str, records: impl Iterator<Item = Record>, bounds: &[&str]) -> Option<u64> {
    let (peak, reached) = peak(Way { workers: 1, is_stored: true }, records)?;
    println!("{what}: {} of {} MiB, {reached}", peak / MIB, bound_mib(1));
    assert!(peak < bound_mib(1) * MIB, "{what}: {} MiB", peak / MIB);
    for bound in bounds {
        assert!(reached.contains(bound), "{what}: {bound} is not in {reached}");
    }
    Some(peak)
}

/// Answers of DNS to ever new clients for ever new and long names, with as many addresses as there may
/// be: more than all that merge remembers of answers, of names and of whose addresses are.
#[test]
fn answers_for_more_names_and_addresses_than_are_remembered() {
    const MESSAGES: u32 = 40_000;
    const ADDRESSES: u32 = 64;
    let record = |number: u32| {
        let name = format!("{}.{number:08x}.flood.example", "long".repeat(15));
        // Some are told again, with other names.
        let address = |at: u32| {
            let place = (number / 2 * ADDRESSES + at).wrapping_mul(0x9e37_79b1);
            IpAddr::from(Ipv4Addr::from(0x2000_0000 | place >> 3))
        };
        let addresses: Vec<_> = (0..ADDRESSES).map(address).collect();
        let way = frame::Way {
            source: SocketAddr::from(([10, 255, 0, 53], 53)),
            destination: SocketAddr::new(Ipv4Addr::from(0x0a00_0000 | number).into(), 4000),
            vlan: None,
        };
        let message = dns::response(number as u16, &name, &addresses, 3600);
        Record {
            // A worker's tick has room for some 10,000 of them.
            time_nanos: START_SECONDS * SECOND + i64::from(number) * 8_000_000,
            frame: frame::whole(way, frame::UDP, number as u16, &frame::udp(way, &message)),
        }
    };
    let reached = ["answer_evicted", "candidate_dropped"];
    if let Some(peak) = fills_merge("answers", (0..MESSAGES).map(record), &reached) {
        // The ring of answers alone takes as much.
        assert!(peak > 128 * MIB, "{} MiB", peak / MIB);
    }
}

/// Connections of ever new clients to ever new servers, each with another domain in its hello: more
/// domains, clients with pages, servers, and uses than merge remembers.
#[test]
fn hellos_for_more_domains_clients_and_servers_than_are_remembered() {
    const HELLOS: u32 = 260_000;
    const PLACE: &str = "placeplaceplaceplaceplaceplaceplace";
    let name = format!("{PLACE}.example");
    let hello = Hello { server_name: Some(&name), alpn: &["h2"], ..Hello::default() };
    let message = tls::records(&tls::client_hello(&hello, &mut Random::new(1)), 16_384);
    let at = message.windows(PLACE.len()).position(|bytes| bytes == PLACE.as_bytes()).unwrap();
    let record = |number: u32| {
        let mut message = message.clone();
        let length = PLACE.len();
        message[at..at + length].copy_from_slice(format!("{number:0>length$}").as_bytes());
        let way = frame::Way {
            source: SocketAddr::new(Ipv4Addr::from(0x0a00_0000 + number).into(), 50_000),
            destination: SocketAddr::new(Ipv4Addr::from(0x2000_0000 + number).into(), 443),
            vlan: None,
        };
        let segment = frame::tcp(way, flag::ACK | flag::PSH, 1000, 1, &message);
        Record {
            time_nanos: START_SECONDS * SECOND + i64::from(number) * 1_200_000,
            frame: frame::whole(way, frame::TCP, number as u16, &segment),
        }
    };
    let reached = ["unmatched_folded", "call_dropped", "candidate_dropped"];
    fills_merge("hellos", (0..HELLOS).map(record), &reached);
}

const GIVEN_BACK: &str = "SHADOWSCOPE_TEST_GIVEN_BACK";

#[test]
#[ignore = "a process of its own, which `large_buffers_of_a_sensor_are_given_back` starts"]
fn large_buffers_come_and_go() {
    let resident = || -> u64 {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
        support::number(line.trim().trim_end_matches(" kB")) * 1024
    };
    if std::env::var_os(GIVEN_BACK).is_some() {
        shadowscope::service::memory::give_back_large_buffers();
    }
    let before = resident();
    for _ in 0..4 {
        std::hint::black_box(vec![1_u8; 4 << 20]);
    }
    println!("kept: {}", resident().saturating_sub(before));
}

#[test]
fn large_buffers_of_a_sensor_are_given_back() {
    if !cfg!(target_env = "gnu") {
        println!("skipped: glibc alone keeps them");
        return;
    }
    let kept = |is_given_back: bool| {
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command.args(["--ignored", "--exact", "memory::large_buffers_come_and_go", "--nocapture"]);
        command.envs(is_given_back.then_some((GIVEN_BACK, "1")));
        let said = String::from_utf8(command.output().unwrap().stdout).unwrap();
        let line = said.lines().find_map(|line| line.split("kept: ").nth(1)).unwrap();
        support::number(line)
    };
    assert!(kept(true) < MIB, "{}", kept(true));
    // Else there would be no need for it.
    assert!(kept(false) > 3 * MIB, "{}", kept(false));
}

#[test]
fn a_million_half_open_hellos() {
    let Some((peak, bounds)) = peak(ONE, Flood::HalfHellos.packets(1_000_000, 5)) else { return };
    println!("{} MiB for a million half hellos", peak / MIB);
    assert!(bounds.contains("inspection_evicted"), "{bounds}");
    let bound = bound_mib(1) * MIB;
    assert!(peak < bound, "{} MiB, of at most {} MiB", peak / MIB, bound / MIB);
}

/// Hellos of nearly 16 KiB that lack their last byte: the worst that can be kept of a flow.
#[test]
fn long_hellos_that_never_end() {
    const FLOWS: u32 = 30_000;
    const SEGMENT: usize = 1400;
    const SEGMENTS: u32 = 11;
    let record = |number: u32| {
        let (flow, place) = (number / SEGMENTS, number % SEGMENTS);
        let mut payload = vec![0x5a; SEGMENT];
        if place == 0 {
            // A record and a message of 15,900 bytes, of which 15,400 come.
            payload[..11].copy_from_slice(&[22, 3, 1, 0x3e, 0x1c, 1, 0, 0x3e, 0x18, 3, 3]);
        }
        let client = Ipv4Addr::from(0x0a05_0000 + flow / 60_000);
        let way = frame::Way {
            source: SocketAddr::new(client.into(), (1024 + flow % 60_000) as u16),
            destination: SocketAddr::from(([198, 18, 70, 1], 443)),
            vlan: None,
        };
        let sequence = 1000 + place * SEGMENT as u32;
        let segment = frame::tcp(way, flag::ACK, sequence, 1, &payload);
        Record {
            time_nanos: START_SECONDS * SECOND + i64::from(number) * 10_000,
            frame: frame::whole(way, frame::TCP, number as u16, &segment),
        }
    };
    let Some((peak, bounds)) = peak(ONE, (0..FLOWS * SEGMENTS).map(record)) else { return };
    println!("{} MiB for {FLOWS} hellos of 15 KiB", peak / MIB);
    assert!(bounds.contains("inspection_evicted"), "{bounds}");
    // Far fewer flows than there may be: a program of 64 MiB, and what inspections hold.
    let bound = 64 * MIB + u64::from(FLOWS) * 256 + INSPECTED_BYTES_MAX as u64;
    assert!(peak < bound, "{} MiB, of at most {} MiB", peak / MIB, bound / MIB);
    // It is the bound that holds it, not a lack of bytes.
    assert!(u64::from(FLOWS * SEGMENTS) * SEGMENT as u64 > bound);
}
