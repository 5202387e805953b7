//! Names against those that an independent decoder finds.
//!
//! Over the fixtures always; over a whole folder of captures when `SHADOWSCOPE_CAPTURES` names one
//! (`expected/NAME.jsonl` for each capture NAME in its subfolders). Scored are source, ends and
//! host; lines with the key `extra` are right but optional. Hosts that are addresses, and names
//! with characters beyond letters, digits, `.`, `-` and `_`, are left out on both sides: tools
//! differ in how they print them.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt::Write;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{self, text};

/// Names that are right although the other decoder does not have them: capture, source and host,
/// client port, and why.
const KNOWN: [(&str, &str, &str, u64, &str); 3] = [
    (
        "quic_v2.pcap",
        "quic",
        "localhost",
        47_776,
        "frame 11: an Initial of version 0x00000002, which tshark 4.0 does not decrypt",
    ),
    (
        "quic_v2.pcap",
        "quic",
        "localhost",
        49_027,
        "frame 7: an Initial of version 0x00000002, which tshark 4.0 does not decrypt",
    ),
    (
        "Teredo.pcap",
        "http",
        "ipv6.google.com",
        1286,
        "frames 37 and 44: Teredo straight to a peer's port 32900, which tshark takes for Teredo \
         only when told (-d udp.port==32900,teredo)",
    ),
];

/// Captures whose file format or link type may be refused: exit code 2, and nothing found.
const REFUSABLE: i32 = 2;

/// Source, client, client's port, server, server's port, host.
type Key = (String, IpAddr, u64, IpAddr, u64, String);

fn key(line: &Value) -> Option<Key> {
    let host = text(&line["host"]);
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
    if host.is_empty() || !host.chars().all(is_plain) || host.parse::<IpAddr>().is_ok() {
        return None;
    }
    let address = |name: &str| text(&line[name]).parse().expect("an address");
    let port = |name: &str| line[name].as_u64().expect("a port");
    Some((
        text(&line["source"]).to_owned(),
        address("client_ip"),
        port("client_port"),
        address("server_ip"),
        port("server_port"),
        host.to_owned(),
    ))
}

/// What another decoder sees: names that must be found, and names that may.
#[derive(Default)]
struct Expected {
    must: BTreeSet<Key>,
    may: BTreeSet<Key>,
}

/// Names are optional for a reason; those of other versions of QUIC must be found nevertheless.
fn expected(path: &Path) -> Expected {
    let mut expected = Expected::default();
    for line in support::json_lines(path) {
        let Some(key) = key(&line) else { continue };
        match text(&line["extra"]) {
            "" | "quic-version" => expected.must.insert(key),
            _ => expected.may.insert(key),
        };
    }
    expected
}

/// Found and expected names by source.
#[derive(Default)]
struct Score {
    both: u64,
    missing: u64,
    unexpected: u64,
}

/// Compares one capture; `complaints` gets a line for each difference that is not known.
fn compare(
    capture: &Path,
    name: &str,
    expected: &Expected,
    scores: &mut BTreeMap<String, Score>,
    complaints: &mut String,
) {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("observations.jsonl");
    let arguments: [OsString; 3] = [capture.into(), "--observations".into(), out.clone().into()];
    let ended = support::read(arguments);
    assert!((0..=REFUSABLE).contains(&ended.code), "{name}: {} {}", ended.code, ended.stderr);
    let lines = if out.exists() { support::json_lines(&out) } else { Vec::new() };
    let found: BTreeSet<Key> = lines.iter().filter_map(key).collect();
    for key in expected.must.union(&found) {
        let score = scores.entry(key.0.clone()).or_default();
        match (expected.must.contains(key), found.contains(key)) {
            (true, true) => score.both += 1,
            (true, false) => {
                score.missing += 1;
                writeln!(complaints, "- {name}: {key:?}").unwrap();
            }
            (false, _) if expected.may.contains(key) => {}
            (false, _) if is_known(name, key) => score.both += 1,
            (false, _) => {
                score.unexpected += 1;
                writeln!(complaints, "+ {name}: {key:?}").unwrap();
            }
        }
    }
}

fn is_known(name: &str, key: &Key) -> bool {
    KNOWN.iter().any(|&(capture, source, host, port, _)| {
        (capture, source, host, port) == (name, &*key.0, &*key.5, key.2)
    })
}

fn show(scores: &BTreeMap<String, Score>) {
    for (source, score) in scores {
        let Score { both, missing, unexpected } = score;
        println!("{source:5} {both} as expected, {missing} missing, {unexpected} unexpected");
    }
}

#[test]
fn fixtures_say_what_another_decoder_says() {
    let (mut scores, mut complaints) = (BTreeMap::new(), String::new());
    for (name, capture) in support::captures() {
        let expected = expected(&capture.with_file_name("tshark.jsonl"));
        // The list of known differences has the captures' own names.
        let readme = fs::read_to_string(capture.with_file_name("README.md")).unwrap_or_default();
        let known =
            KNOWN.iter().map(|known| known.0).find(|own| readme.contains(&format!("/{own}`")));
        compare(&capture, known.unwrap_or(&name), &expected, &mut scores, &mut complaints);
    }
    show(&scores);
    assert!(complaints.is_empty(), "\n{complaints}");
    for source in ["dns", "tls", "quic", "http"] {
        assert!(scores[source].both >= 10, "too few names of {source} to tell anything");
    }
}

#[test]
fn captures_say_what_another_decoder_says() {
    let Some(folder) = std::env::var_os("SHADOWSCOPE_CAPTURES").map(PathBuf::from) else {
        println!("skipped: needs SHADOWSCOPE_CAPTURES");
        return;
    };
    let (mut scores, mut complaints, mut compared) = (BTreeMap::new(), String::new(), 0);
    for capture in captures_below(&folder) {
        let name = capture.file_name().unwrap().to_string_lossy().into_owned();
        let expected_at = folder.join("expected").join(format!("{name}.jsonl"));
        if expected_at.exists() {
            compare(&capture, &name, &expected(&expected_at), &mut scores, &mut complaints);
            compared += 1;
        }
    }
    println!("{compared} captures");
    show(&scores);
    assert!(complaints.is_empty(), "\n{complaints}");
    assert!(compared > 0, "{folder:?} has no captures");
}

/// On every capture that can be read, each byte is in exactly one bucket.
#[test]
fn the_books_of_captures_balance() {
    let Some(folder) = std::env::var_os("SHADOWSCOPE_CAPTURES").map(PathBuf::from) else {
        println!("skipped: needs SHADOWSCOPE_CAPTURES");
        return;
    };
    for capture in captures_below(&folder) {
        let out = tempfile::tempdir().unwrap();
        let report = out.path().join("report");
        support::read([capture.as_os_str(), "--report".as_ref(), report.as_os_str()]);
        if !report.exists() {
            continue;
        }
        let total = support::manifest(&report)["total_bytes"].as_u64();
        assert_eq!(Some(support::buckets(&report).values().sum()), total, "{capture:?}");
    }
}

/// The files of the subfolders, but for what is expected of them.
pub(crate) fn captures_below(folder: &Path) -> Vec<PathBuf> {
    let list = |folder: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
        entries.map(|entry| entry.unwrap().path()).collect()
    };
    let mut found: Vec<PathBuf> = list(folder)
        .into_iter()
        .filter(|path| path.is_dir() && !path.ends_with("expected"))
        .flat_map(|path| list(&path))
        .filter(|path| path.is_file())
        .collect();
    found.sort();
    found
}
