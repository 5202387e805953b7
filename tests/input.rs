//! What `read` takes, what it leaves out, and what it says about what it cannot read.

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::generator::office::Office;
use crate::generator::{Record, SECOND, START_SECONDS, Traffic};
use crate::support::{self, Ended, Made};

fn office(visits: usize) -> Traffic {
    Office { visits, seconds: 120, seed: 11, ..Office::default() }.traffic()
}

/// The flows that reading these paths gives, and how the program ended.
fn flows_of<P: Into<OsString>>(paths: impl IntoIterator<Item = P>) -> (String, Ended) {
    let folder = tempfile::tempdir().unwrap();
    let flows = folder.path().join("flows.jsonl");
    let mut arguments: Vec<OsString> = vec!["--flows".into(), flows.clone().into()];
    arguments.extend(paths.into_iter().map(Into::into));
    let ended = support::read(arguments);
    (fs::read_to_string(flows).unwrap_or_default(), ended)
}

fn write(folder: &Path, name: &str, traffic: &Traffic) -> PathBuf {
    let path = folder.join(name);
    traffic.write(&path).unwrap();
    path
}

#[test]
fn compressed_files_and_standard_input_say_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let plain = write(folder.path(), "plain.pcap", &office(200));
    let bytes = fs::read(&plain).unwrap();
    let (expected, ended) = flows_of([&plain]);
    ended.expect(0);
    assert!(expected.lines().count() > 200);

    let gz = folder.path().join("other.pcap.gz");
    let mut encoder = GzEncoder::new(fs::File::create(&gz).unwrap(), Compression::fast());
    encoder.write_all(&bytes).unwrap();
    encoder.finish().unwrap();
    let zst = folder.path().join("other.pcap.zst");
    let level = ruzstd::encoding::CompressionLevel::Fastest;
    fs::write(&zst, ruzstd::encoding::compress_to_vec(&bytes[..], level)).unwrap();
    for compressed in [gz, zst] {
        let (flows, ended) = flows_of([&compressed]);
        ended.expect(0);
        assert!(flows == expected, "{compressed:?} says something else");
    }

    let flows = folder.path().join("flows.jsonl");
    let mut child = support::program()
        .args(["read", "--quiet", "--signatures"])
        .arg(support::signatures())
        .arg("--flows")
        .arg(&flows)
        .arg("-")
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&bytes).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(fs::read_to_string(&flows).unwrap() == expected, "standard input says something else");
}

#[test]
fn the_halves_of_a_tap_become_whole_flows() {
    let folder = tempfile::tempdir().unwrap();
    let traffic = office(300);
    let whole = write(folder.path(), "whole.pcap", &traffic);
    // Clients have link addresses that begin with 02 00 01; byte 6 begins the sender's.
    let is_up = |record: &&Record| record.frame[6..9] == [0x02, 0, 1];
    let half = |up: bool| Traffic {
        records: traffic.records.iter().filter(|record| is_up(record) == up).cloned().collect(),
        ..Traffic::default()
    };
    let halves = [("a.pcap", half(true)), ("b.pcap", half(false))]
        .map(|(name, half)| write(folder.path(), name, &half));
    let (expected, ended) = flows_of([whole]);
    ended.expect(0);
    let (flows, ended) = flows_of(halves);
    ended.expect(0);
    assert!(flows == expected);
}

#[test]
fn flows_run_on_across_the_files_of_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let traffic = office(300);
    let (expected, _) = flows_of([write(folder.path(), "whole.pcap", &traffic)]);
    let rotated = tempfile::tempdir().unwrap();
    let length = traffic.records.len().div_ceil(5);
    for (number, piece) in traffic.records.chunks(length).enumerate() {
        let piece = Traffic { records: piece.to_vec(), ..Traffic::default() };
        // Names in the wrong order: stamps decide.
        write(rotated.path(), &format!("part-{}.pcap", 9 - number), &piece);
    }
    let (flows, ended) = flows_of([rotated.path()]);
    ended.expect(0);
    assert!(flows == expected);
    let (flows, ended) = flows_of([rotated.path().join("part-*.pcap")]);
    ended.expect(0);
    assert!(flows == expected);
}

#[test]
fn a_damaged_file_is_told_with_its_offset_and_kept_up_to_there() {
    let folder = tempfile::tempdir().unwrap();
    let traffic = office(100);
    let path = write(folder.path(), "cut.pcap", &traffic);
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 7]).unwrap();
    let last = traffic.records.last().unwrap();
    let offset = bytes.len() - 16 - last.frame.len();

    let (flows, ended) = flows_of([&path]);
    let ended = ended.expect(1);
    assert!(ended.stderr.contains("cut.pcap"), "{}", ended.stderr);
    assert!(ended.stderr.contains(&format!("damaged at byte {offset}")), "{}", ended.stderr);
    let before = Traffic {
        records: traffic.records[..traffic.records.len() - 1].to_vec(),
        ..Traffic::default()
    };
    let (expected, _) = flows_of([write(folder.path(), "before.pcap", &before)]);
    assert!(flows == expected);
}

#[test]
fn what_is_no_capture_is_refused_by_name_and_passed_over_in_folders() {
    let folder = tempfile::tempdir().unwrap();
    let capture = write(folder.path(), "a.pcap", &office(50));
    let text = folder.path().join("notes.txt");
    fs::write(&text, "These are notes, and no packets at all.\n").unwrap();
    let (expected, _) = flows_of([&capture]);

    let (flows, ended) = flows_of([&capture, &text]);
    let ended = ended.expect(2);
    assert!(ended.stderr.contains("notes.txt") && ended.stderr.contains("not a capture"));
    assert!(flows == expected, "what could be read is kept");

    let (flows, ended) = flows_of([folder.path()]);
    assert_eq!(ended.expect(0).stderr, "");
    assert!(flows == expected);
    let summary = support::run([OsString::from("read"), folder.path().into()]).expect(0).stdout;
    assert!(summary.contains("1 more that are no captures"), "{summary}");

    let (_, ended) = flows_of([folder.path().join("missing.pcap")]);
    assert!(ended.expect(2).stderr.contains("missing.pcap"));
}

#[test]
fn a_link_type_that_is_not_read_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "usb.pcap", &office(1));
    let mut bytes = fs::read(&path).unwrap();
    // LINKTYPE_USB_LINUX.
    bytes[20..24].copy_from_slice(&189_u32.to_le_bytes());
    fs::write(&path, bytes).unwrap();
    let (_, ended) = flows_of([path]);
    let stderr = ended.expect(2).stderr;
    assert!(stderr.contains("usb.pcap") && stderr.contains("189"), "{stderr}");
}

#[test]
fn from_and_to_bound_the_packets() {
    let traffic = office(200);
    let moment =
        |seconds: i64| jiff::Timestamp::from_second(START_SECONDS + seconds).unwrap().to_string();
    let (from, to) = (moment(30), moment(60));
    let made = Made::read(&traffic, &["--from", &from, "--to", &to]);
    let within = |record: &&Record| {
        (30 * SECOND..60 * SECOND).contains(&(record.time_nanos - START_SECONDS * SECOND))
    };
    let expected = traffic.records.iter().filter(within).count() as u64;
    assert!(expected > 100);
    assert_eq!(support::manifest(&made.report())["packets"].as_u64(), Some(expected));
}

#[test]
fn filters_and_clients_leave_out_the_rest() {
    let traffic = office(400);
    let all = Made::read(&traffic, &[]).flows();
    let key = |flow: &serde_json::Value| {
        let mut flow = flow.clone();
        // Without DNS and the other clients, fewer names are known.
        for field in ["name", "name_source", "app", "role", "end", "candidates"] {
            flow.as_object_mut().unwrap().remove(field);
        }
        flow.to_string()
    };
    let these = |keep: fn(&serde_json::Value) -> bool| -> Vec<String> {
        all.iter().filter(|flow| keep(flow)).map(key).collect()
    };
    let read = |options: &[&str]| -> Vec<String> {
        Made::read(&traffic, options).flows().iter().map(key).collect()
    };
    let tls = these(|flow| flow["proto"] == "tcp" && flow["server_port"] == 443);
    let found = read(&["--filter", "(tcp port 443) or (vlan and tcp port 443)"]);
    assert!(tls.len() > 100);
    assert_eq!(found, tls);

    let one = these(|flow| support::text(&flow["client_ip"]).starts_with("10.1.0.7"));
    assert!(one.len() > 5, "{one:?}");
    let mut options = vec!["--client", "10.1.0.7"];
    let more: Vec<String> = (70..80).map(|number| format!("10.1.0.{number}")).collect();
    options.extend(more.iter().flat_map(|client| ["--client", client]));
    assert_eq!(read(&options), one);
}

#[test]
fn what_was_typed_wrong_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "a.pcap", &office(1));
    for (option, value) in [
        ("--from", "yesterday"),
        ("--client", "10.0.0.0/99"),
        ("--home", "nowhere"),
        ("--zone", "Mars/Olympus"),
        ("--filter", "tcp prot 80"),
        ("--identities", "no-such-file.csv"),
        ("--site", "Lower\tHall"),
    ] {
        let arguments = [option.as_ref(), value.as_ref(), path.as_os_str()];
        let ended = support::read(arguments);
        assert_eq!(ended.code, 2, "{option} {value}: {}", ended.stderr);
        let shown = value.escape_debug().to_string();
        assert!(ended.stderr.contains(&shown), "{option} {value}: {}", ended.stderr);
    }
}

#[test]
fn whoever_reads_no_more_is_no_fault() {
    let folder = tempfile::tempdir().unwrap();
    let capture = write(folder.path(), "a.pcap", &office(20));
    let db = folder.path().join("a.db");
    let database = ["--db".into(), db.into_os_string()];
    let and_out = ["--out".into(), folder.path().join("report").into_os_string()];
    let read: Vec<OsString> = vec!["read".into(), capture.into_os_string()];
    for arguments in [
        [&read[..], &database].concat(),
        [&["why".into(), "--app".into(), "slack".into()], &database[..]].concat(),
        [&["report".into()], &database[..], &and_out].concat(),
        [&["reclassify".into()], &database[..]].concat(),
        [&["db".into(), "check".into()], &database[..]].concat(),
        vec!["config".into()],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ended = support::program().args(&arguments).stdout(writer).output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(0), "{arguments:?}: {said}");
    }
}
