//! Every capture in `fixtures/` gives what is checked in beside it.
//!
//! `UPDATE_EXPECT=1` rewrites `expect/` instead; the difference in git is the review.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::support;

/// What is kept of the output. The manifest is not: it holds versions.
const FILES: [&str; 6] = [
    "observations.jsonl",
    "flows.jsonl",
    "apps.csv",
    "usage.csv",
    "unmatched.csv",
    "visibility.csv",
];

/// Reads a capture and returns its golden files. `out` receives the whole report.
fn output(capture: &Path, out: &Path) -> BTreeMap<&'static str, String> {
    let arguments = [
        capture.to_path_buf(),
        "--report".into(),
        out.to_path_buf(),
        "--observations".into(),
        out.join("observations.jsonl"),
        "--flows".into(),
        out.join("flows.jsonl"),
    ];
    support::read(arguments).expect(0);
    let file = |name| (name, fs::read_to_string(out.join(name)).unwrap());
    let mut files: BTreeMap<_, _> = FILES.into_iter().map(file).collect();
    if let Some(visibility) = files.get_mut("visibility.csv") {
        *visibility = without_empty_rows(visibility);
    }
    if let Some(apps) = files.get_mut("apps.csv") {
        *apps = without_last_column(apps);
    }
    files
}

/// The catalogue's version changes with how it is packed, and with nothing that is shown here.
fn without_last_column(apps: &str) -> String {
    let first = |line: &str| line.rsplit_once(',').map(|(rest, _)| format!("{rest}\n"));
    apps.lines().filter_map(first).collect()
}

/// Sixteen rows a day, of which most are zero, tell less than those that are not.
fn without_empty_rows(visibility: &str) -> String {
    let full = |line: &&str| !line.contains(",0,0,");
    visibility.lines().filter(full).map(|line| format!("{line}\n")).collect()
}

#[test]
fn every_fixture_says_what_is_checked_in() {
    let update = std::env::var_os("UPDATE_EXPECT").is_some_and(|value| value == "1");
    let captures = support::captures();
    assert!(captures.len() >= 30, "{} fixtures", captures.len());
    let mut complaints = String::new();
    for (name, capture) in captures {
        let folder = tempfile::tempdir().unwrap();
        let expect = capture.with_file_name("expect");
        for (file, found) in output(&capture, folder.path()) {
            let path = expect.join(file);
            if update {
                fs::create_dir_all(&expect).unwrap();
                fs::write(&path, found).unwrap();
                continue;
            }
            let expected = fs::read_to_string(&path).unwrap_or_default();
            if found != expected {
                let difference = difference(&expected, &found);
                writeln!(complaints, "{name}/expect/{file}:\n{difference}").unwrap();
            }
        }
    }
    assert!(complaints.is_empty(), "\n{complaints}\nUPDATE_EXPECT=1 rewrites them");
}

/// The lines that only one of both has.
fn difference(expected: &str, found: &str) -> String {
    let only = |sign: char, these: &str, those: &str| {
        let those: Vec<&str> = those.lines().collect();
        let lines = these.lines().filter(|line| !those.contains(line)).take(8);
        lines.map(|line| format!("{sign} {line}\n")).collect::<String>()
    };
    only('-', expected, found) + &only('+', found, expected)
}

#[test]
fn every_fixture_says_where_it_comes_from() {
    let mut bytes = 0;
    for (name, capture) in support::captures() {
        let readme = fs::read_to_string(capture.with_file_name("README.md"))
            .unwrap_or_else(|error| panic!("{name}/README.md: {error}"));
        let is_licensed = readme.contains("CC0-1.0")
            || readme.split("`../licences/").nth(1).is_some_and(|rest| {
                let file = rest.split('`').next().unwrap_or_default();
                support::fixtures().join("licences").join(file).is_file()
            });
        assert!(is_licensed, "{name}/README.md names no licence that is there");
        let size = fs::metadata(&capture).unwrap().len();
        assert!(size <= 200_000, "{name}: {size} bytes");
        bytes += size;
    }
    assert!(bytes <= 3_000_000, "{bytes} bytes together");
}

/// The README's tables of what is decoded name a fixture in each line, and no fixture is left out.
#[test]
fn what_we_decode_has_fixtures() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let text = fs::read_to_string(readme).unwrap();
    let section = text.split("\n## What we decode\n").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let captures: Vec<String> = support::captures().into_iter().map(|(name, _)| name).collect();
    let mut named = Vec::new();
    for line in section.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [subject, .., fixtures] = cells[..] else { panic!("a line of a table: {line}") };
        if fixtures == "Fixtures" || subject.starts_with("---") {
            continue;
        }
        assert!(fixtures.starts_with('`'), "{subject:?} names no fixture");
        for fixture in fixtures.split(", ").map(|fixture| fixture.trim_matches('`').to_owned()) {
            assert!(captures.contains(&fixture), "{subject:?}: fixtures/{fixture} has no capture");
            named.push(fixture);
        }
    }
    assert!(named.len() > captures.len() / 2);
    let unnamed: Vec<&String> = captures.iter().filter(|name| !named.contains(name)).collect();
    assert!(unnamed.is_empty(), "the README does not name {unnamed:?}");
}

/// Every byte is in exactly one bucket, and another tool counts as many.
#[test]
fn the_books_balance_and_agree_with_another_tool() {
    for (name, capture) in support::captures() {
        let folder = tempfile::tempdir().unwrap();
        let report = folder.path();
        support::read([capture.as_os_str(), "--report".as_ref(), report.as_os_str()]).expect(0);
        let manifest = support::manifest(report);
        let buckets = support::buckets(report);
        assert_eq!(Some(buckets.values().sum()), manifest["total_bytes"].as_u64(), "{name}");

        let figures = fs::read_to_string(capture.with_file_name("tshark.tsv")).unwrap();
        let mut figures = figures.lines().nth(1).unwrap().split('\t').map(support::number);
        assert_eq!(figures.next(), manifest["packets"].as_u64(), "{name}: frames");
        assert_eq!(figures.next(), manifest["ip_bytes"].as_u64(), "{name}: bytes of IP");
    }
}
