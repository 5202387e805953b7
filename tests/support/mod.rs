//! What several tests need: the program as its users run it, and what it writes.
#![allow(unreachable_pub, reason = "a module of the tests alone")]

pub mod mmdb;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::generator::Traffic;

/// What a run of the program ended with.
#[derive(Debug)]
pub struct Ended {
    /// The exit code.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Ended {
    /// Fails, with what was said, unless the exit code is this one.
    #[track_caller]
    pub fn expect(self, code: i32) -> Ended {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Ended {
        Ended {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// How often what is killed is killed; more is for whoever changes how things are kept.
pub fn kills() -> u32 {
    const KILLS_DEFAULT: u32 = 20;
    std::env::var("SHADOWSCOPE_KILLS").ok().map_or(KILLS_DEFAULT, |text| number(&text) as u32)
}

/// The program, to be run with the small catalogue of the fixtures where one is needed.
pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shadowscope"));
    command.stdin(Stdio::null());
    command
}

/// Runs the program.
pub fn run<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Ended {
    program().args(arguments).output().expect("the program can be run").into()
}

/// `read --quiet` with the small catalogue, and these arguments.
pub fn read<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Ended {
    let mut command = program();
    command.args(["read", "--quiet", "--signatures"]).arg(signatures()).args(arguments);
    command.output().expect("the program can be run").into()
}

/// Made traffic that was read: its flows, names and report.
pub struct Made {
    folder: tempfile::TempDir,
}

impl Made {
    /// Reads the traffic with these options.
    pub fn read(traffic: &Traffic, options: &[&str]) -> Made {
        let folder = tempfile::tempdir().expect("a folder");
        let capture = folder.path().join("made.pcap");
        traffic.write(&capture).expect("a capture");
        let made = Made { folder };
        let [report, flows, observations] = ["report", "flows.jsonl", "observations.jsonl"]
            .map(|name| made.folder.path().join(name).into_os_string());
        let mut arguments: Vec<OsString> = options.iter().map(OsString::from).collect();
        arguments.extend(["--report".into(), report, "--flows".into(), flows]);
        arguments.extend(["--observations".into(), observations, capture.into()]);
        read(arguments).expect(0);
        made
    }

    /// The flows, by first stamp.
    pub fn flows(&self) -> Vec<Value> {
        json_lines(&self.folder.path().join("flows.jsonl"))
    }

    /// The names that were seen.
    pub fn observations(&self) -> Vec<Value> {
        json_lines(&self.folder.path().join("observations.jsonl"))
    }

    /// Rows of a file of the report.
    pub fn rows(&self, file: &str) -> Vec<BTreeMap<String, String>> {
        csv_rows(&self.report().join(file))
    }

    /// The capture.
    pub fn capture(&self) -> PathBuf {
        self.folder.path().join("made.pcap")
    }

    /// The folder of the report.
    pub fn report(&self) -> PathBuf {
        self.folder.path().join("report")
    }

    /// The flow of these servers' port, which there must be once.
    #[track_caller]
    pub fn flow_to(&self, port: u16) -> Value {
        let to = |flow: &Value| flow["server_port"].as_u64() == Some(port.into());
        let mut found = self.flows().into_iter().filter(to);
        let flow = found.next().expect("a flow to this port");
        assert!(found.next().is_none(), "several flows to port {port}");
        flow
    }
}

/// The small catalogue that does not change when apps are added.
pub fn signatures() -> PathBuf {
    fixtures().join("signatures")
}

/// The folder of fixtures.
pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// What a fixture's capture may be called.
pub const INPUTS: [&str; 4] = ["input.pcap", "input.pcapng", "input.pcap.gz", "input.pcap.zst"];

/// The fixtures that have a capture: folder and capture file, by name.
pub fn captures() -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(fixtures()).expect("fixtures/ can be read") {
        let folder = entry.expect("fixtures/ can be read").path();
        let name = folder.file_name().expect("it has one").to_string_lossy().into_owned();
        let inputs = INPUTS.map(|input| folder.join(input));
        found.extend(inputs.into_iter().find(|input| input.exists()).map(|input| (name, input)));
    }
    found.sort();
    found
}

/// The lines of a file of JSON lines.
pub fn json_lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

/// The rows of a CSV file, each by column.
pub fn csv_rows(path: &Path) -> Vec<BTreeMap<String, String>> {
    let mut reader =
        csv::Reader::from_path(path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    reader.deserialize().map(|row| row.expect("a row of CSV")).collect()
}

/// Bytes by bucket of a report's visibility.csv.
pub fn buckets(report: &Path) -> BTreeMap<String, u64> {
    let mut bytes = BTreeMap::new();
    for row in csv_rows(&report.join("visibility.csv")) {
        *bytes.entry(row["bucket"].clone()).or_default() += number(&row["bytes"]);
    }
    bytes.retain(|_, bytes| *bytes > 0);
    bytes
}

/// The manifest of a report.
pub fn manifest(report: &Path) -> Value {
    let text = fs::read_to_string(report.join("manifest.json")).expect("a manifest");
    serde_json::from_str(&text).expect("a manifest in JSON")
}

/// A number in decimal.
#[track_caller]
pub fn number(text: &str) -> u64 {
    text.parse().unwrap_or_else(|_| panic!("{text:?} is no number"))
}

/// The text of a JSON value; empty for null.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Every file of a folder with what is in it.
pub fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let file = |path: PathBuf| {
        let name = path.file_name().expect("it has one").to_string_lossy().into_owned();
        (name, fs::read(&path).expect("it can be read"))
    };
    entries.map(|entry| file(entry.expect("it can be listed").path())).collect()
}

/// The first line that is not the same in both.
pub fn first_difference(one: &[u8], other: &[u8]) -> String {
    let lines = |bytes: &[u8]| -> Vec<String> {
        String::from_utf8_lossy(bytes).lines().map(str::to_owned).collect()
    };
    let (one, other) = (lines(one), lines(other));
    match one.iter().zip(&other).find(|(one, other)| one != other) {
        Some((one, other)) => format!("\n- {one}\n+ {other}"),
        None => format!("{} lines and {}", one.len(), other.len()),
    }
}
