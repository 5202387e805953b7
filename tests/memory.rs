//! What hostile traffic may cost in memory stays under the bounds that `src/lib.rs` lists.
//!
//! Measured from outside: the program reads from a pipe, and what it took at most is asked of the
//! kernel when it has read nearly everything and waits for the rest.

use std::fs;
use std::io::{BufWriter, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;

use crate::generator::frame::{self, Way, flag};
use crate::generator::load::Flood;
use crate::generator::{Record, SECOND, START_SECONDS, pcap_header, pcap_record};
use crate::support;

const MIB: u64 = 1 << 20;
/// The program with a small catalogue, its buffers, and what allocators keep.
const BASE: u64 = 64 * MIB;
/// Flows of a worker, with their index: 1,048,576 of 128 bytes each on average.
const FLOWS: u64 = 1_048_576 * 128;
/// Inspections of a worker that are open at a time.
const INSPECTIONS: u64 = 16_384;

/// The most bytes of memory that reading these packets took, and the names of counters that the
/// manifest lists as bounds that were reached.
fn peak(records: impl Iterator<Item = Record>) -> Option<(u64, String)> {
    if fs::read_to_string("/proc/self/status").is_ok_and(|status| status.contains("VmHWM")) {
        let report = tempfile::tempdir().unwrap();
        let mut command = support::program();
        command.args(["read", "--quiet", "--workers", "1", "-", "--signatures"]);
        command.arg(support::signatures()).arg("--report").arg(report.path().join("report"));
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        let mut pipe = BufWriter::with_capacity(1 << 20, child.stdin.take().unwrap());
        pipe.write_all(&pcap_header()).unwrap();
        for record in records {
            pipe.write_all(&pcap_record(&record)).unwrap();
        }
        pipe.flush().unwrap();
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        drop(pipe);
        assert!(child.wait().unwrap().success());
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let kibibytes = support::number(line.trim().trim_end_matches(" kB"));
        let manifest = support::manifest(&report.path().join("report"));
        return Some((kibibytes * 1024, manifest["bounded"].to_string()));
    }
    println!("skipped: needs VmHWM in /proc");
    None
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
    let Some((peak, bounds)) = peak(Flood::HalfHellos.packets(1_000_000, 5)) else { return };
    println!("{} MiB for a million half hellos", peak / MIB);
    assert!(bounds.contains("inspection_evicted"), "{bounds}");
    // Each holds 100 bytes and what is around them.
    let bound = BASE + FLOWS + INSPECTIONS * 1024;
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
        let way = Way {
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
    let Some((peak, bounds)) = peak((0..FLOWS * SEGMENTS).map(record)) else { return };
    println!("{} MiB for {FLOWS} hellos of 15 KiB", peak / MIB);
    assert!(bounds.contains("inspection_evicted"), "{bounds}");
    let bound = BASE + u64::from(FLOWS) * 256 + INSPECTIONS * 16 * 1024;
    assert!(peak < bound, "{} MiB, of at most {} MiB", peak / MIB, bound / MIB);
    // It is the bound that holds it, not a lack of bytes.
    assert!(u64::from(FLOWS * SEGMENTS) * SEGMENT as u64 > bound);
}
