//! Copies that SPAN ports make: left out where that is asked for or where there are many, and
//! counted.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use crate::generator::office::Office;
use crate::generator::{MILLISECOND, Record, Traffic};
use crate::support;

/// TCP's number in an IP header.
const TCP: u8 = 6;

/// The packet as it looks behind a router: one hop further.
fn routed(record: &Record) -> Record {
    let mut copy = record.clone();
    copy.time_nanos += 3 * MILLISECOND;
    let tagged = copy.frame[12..14] == [0x81, 0x00];
    let at = if tagged { 18 } else { 14 };
    let is_v4 = copy.frame[at - 2..at] == [8, 0];
    copy.frame[at + if is_v4 { 8 } else { 7 }] -= 1;
    copy.frame[0..12].fill(2);
    if tagged {
        copy.frame[15] ^= 1;
    }
    copy
}

fn report(capture: &Path, options: &[&str]) -> BTreeMap<String, Vec<u8>> {
    let out = tempfile::tempdir().unwrap();
    let mut arguments: Vec<OsString> = options.iter().map(OsString::from).collect();
    arguments.extend(["--report".into(), out.path().into(), capture.into()]);
    support::read(arguments).expect(0);
    support::contents(out.path())
}

/// The report without the books.
fn rows(mut report: BTreeMap<String, Vec<u8>>) -> BTreeMap<String, Vec<u8>> {
    report.retain(|name, _| name.ends_with(".csv") && name != "visibility.csv");
    assert_eq!(report.len(), 6);
    report
}

#[test]
fn copies_are_left_out_and_counted() {
    let once = Office { visits: 1500, seconds: 600, seed: 4, ..Office::default() }.traffic();
    let mut twice = Traffic { records: once.records.clone(), ..Traffic::default() };
    twice.records.extend(once.records.iter().map(routed));
    twice.sort();
    let folder = tempfile::tempdir().unwrap();
    let [once_at, twice_at] = ["once.pcap", "twice.pcap"].map(|name| folder.path().join(name));
    once.write(&once_at).unwrap();
    twice.write(&twice_at).unwrap();
    let expected = rows(report(&once_at, &[]));
    for options in [
        ["--dedup", "on", "--workers", "1"],
        ["--dedup", "on", "--workers", "2"],
        ["--dedup", "on", "--workers", "4"],
        ["--dedup", "auto", "--workers", "1"],
        ["--dedup", "auto", "--workers", "3"],
    ] {
        let found = report(&twice_at, &options);
        let manifest: serde_json::Value = serde_json::from_slice(&found["manifest.json"]).unwrap();
        assert_eq!(manifest["losses"]["duplicate"], once.records.len(), "{options:?}");
        let books = String::from_utf8(found["visibility.csv"].clone()).unwrap();
        let duplicate = books.lines().find(|line| line.contains(",duplicate,")).unwrap();
        let bytes = support::number(duplicate.split(',').nth(4).unwrap());
        assert_eq!(bytes, once.total_bytes(), "{duplicate}");
        for (name, found) in rows(found) {
            let expected = &expected[&name];
            assert!(
                found == *expected,
                "{name} {options:?}: {}",
                support::first_difference(expected, &found)
            );
        }
    }
    // Hosts that do not number their packets may send one twice: without another TTL it is no copy.
    let unnumbered = |hops: u8| -> Vec<Record> {
        let of_record = |record: &Record| {
            let mut record = record.clone();
            let at = if record.frame[12..14] == [0x81, 0x00] { 18 } else { 14 };
            let is_v4 = record.frame[at - 2..at] == [8, 0];
            let (protocol, time_to_live) = if is_v4 { (at + 9, at + 8) } else { (at + 6, at + 7) };
            if is_v4 {
                record.frame[at + 4..at + 6].fill(0);
            }
            record.frame[time_to_live] -= hops;
            // What is in fragments or tunnels has another number.
            (record.frame[protocol] == TCP).then_some(record)
        };
        once.records.iter().filter_map(of_record).collect()
    };
    let zero_at = folder.path().join("zero.pcap");
    let packets = unnumbered(0).len();
    assert!(packets > once.records.len() / 2);
    for (hops, copies) in [(0, 0), (1, packets)] {
        let records = [unnumbered(0), unnumbered(hops)].concat();
        let mut zero = Traffic { records, ..Traffic::default() };
        zero.sort();
        zero.write(&zero_at).unwrap();
        for workers in ["1", "4"] {
            let found = report(&zero_at, &["--dedup", "on", "--workers", workers]);
            let manifest: serde_json::Value =
                serde_json::from_slice(&found["manifest.json"]).unwrap();
            let left_out = manifest["losses"]["duplicate"].as_u64().unwrap_or(0);
            assert_eq!(left_out, copies as u64, "{hops} hops, {workers} workers");
        }
    }
    // Where there are none, nothing is left out; where nobody asks, nothing either.
    for (capture, options) in [(&once_at, ["--dedup", "auto"]), (&once_at, ["--dedup", "on"])] {
        assert!(rows(report(capture, &options)) == expected, "{options:?}");
    }
    assert!(rows(report(&twice_at, &[])) != expected);
}
