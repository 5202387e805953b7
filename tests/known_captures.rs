//! Captures that were read before are known again, however they come; what could be read only in
//! part is read anew.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::support::{self, Ended};

/// A folder with a capture, and a database.
struct Case {
    folder: tempfile::TempDir,
}

impl Case {
    /// With `a.pcap` and the same packed, `a.pcap.gz`.
    fn new() -> Case {
        let case = Case { folder: tempfile::tempdir().expect("a folder") };
        let bytes = fs::read(support::fixtures().join("first-look/input.pcap")).expect("a fixture");
        case.write("a.pcap", &bytes);
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(&bytes).expect("memory");
        case.write("a.pcap.gz", &packed.finish().expect("memory"));
        case
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).expect("the folder can be written");
    }

    /// `read --db` with these options and captures, a report too.
    fn read(&self, arguments: &[&str]) -> Ended {
        self.read_from(Stdio::null(), arguments)
    }

    fn read_from(&self, input: Stdio, arguments: &[&str]) -> Ended {
        let mut command = support::program();
        command.current_dir(self.folder.path()).stdin(input);
        command.args(["read", "--quiet", "--db", "usage.db", "--report", "report"]);
        command.arg("--signatures").arg(support::signatures()).args(arguments);
        command.output().expect("the program can be run").into()
    }

    fn read_piped(&self, name: &str, arguments: &[&str]) -> Ended {
        let file = File::open(self.path(name)).expect("it was written");
        self.read_from(file.into(), arguments)
    }

    fn manifest(&self) -> serde_json::Value {
        support::manifest(&self.path("report"))
    }

    fn packets(&self) -> u64 {
        self.manifest()["packets"].as_u64().expect("a number")
    }
}

/// A pcapng file: for each packet its link type, which has an interface of its own.
fn pcapng(links: &[u16], packets: &[usize], frame: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut block = |kind: u32, body: &[u8]| {
        let length = (body.len() as u32 + 12).to_le_bytes();
        for part in [&kind.to_le_bytes()[..], &length, body, &length] {
            bytes.extend_from_slice(part);
        }
    };
    let section = [&0x1a2b_3c4d_u32.to_le_bytes()[..], &[1, 0, 0, 0], &[0xff; 8]].concat();
    block(0x0a0d_0d0a, &section);
    for link in links {
        block(1, &[&link.to_le_bytes()[..], &[0; 6]].concat());
    }
    for (number, &interface) in packets.iter().enumerate() {
        let fields = [interface as u32, 0x0005_0000, number as u32, 60, 60];
        let mut body: Vec<u8> = fields.iter().flat_map(|field| field.to_le_bytes()).collect();
        body.extend(frame.iter().chain(&[0; 60]).take(60));
        block(6, &body);
    }
    bytes
}

const ETHERNET: u16 = 1;
const USER_0: u16 = 147;

#[test]
fn a_capture_is_added_once_plain_packed_and_piped() {
    let forms = ["a.pcap", "a.pcap.gz", "-"];
    for first in forms {
        let case = Case::new();
        let read = |form: &str| match form {
            "-" => case.read_piped("a.pcap", &["-"]),
            name => case.read(&[name]),
        };
        assert_eq!(read(first).expect(0).stderr, "");
        let once = support::contents(&case.path("report"));
        for form in forms.into_iter().chain(forms) {
            let ended = read(form).expect(0);
            let said = format!("{form}: was read before (as {first})");
            assert!(ended.stderr.contains(&said), "{first}, {form}: {}", ended.stderr);
            assert!(once == support::contents(&case.path("report")), "{first}, {form}");
        }
        // It is replaced by any form of it, too.
        for form in forms {
            match form {
                "-" => case.read_piped("a.pcap.gz", &["--again", "-"]),
                name => case.read(&["--again", name]),
            }
            .expect(0);
            let manifest = case.manifest();
            assert_eq!(manifest["captures"].as_array().map(Vec::len), Some(1), "{manifest}");
        }
    }
}

#[test]
fn a_capture_given_twice_is_read_once_without_a_database_too() {
    let case = Case::new();
    fs::copy(case.path("a.pcap"), case.path("copy.pcap")).expect("a copy");
    let read = |names: &[&str]| -> Ended {
        let mut command = support::program();
        command.current_dir(case.folder.path()).args(["read", "--signatures"]);
        command.arg(support::signatures()).args(names);
        command.output().expect("the program can be run").into()
    };
    let once = read(&["a.pcap"]).expect(0);
    let thrice = read(&["a.pcap", "copy.pcap", "a.pcap.gz"]).expect(0);
    assert_eq!(once.stdout, thrice.stdout);
    assert_eq!(thrice.stderr.matches("is the same capture as a.pcap").count(), 2);
}

#[test]
fn a_file_and_the_same_by_pipe_are_a_mistake() {
    let case = Case::new();
    let ended = case.read_piped("a.pcap", &["a.pcap.gz", "-"]).expect(2);
    assert!(ended.stderr.contains("are the same capture"), "{}", ended.stderr);
    case.read(&["a.pcap"]).expect(0);
    let one = case.packets();
    let other = pcapng(&[ETHERNET], &[0, 0], &[]);
    case.write("other.pcapng", &other);
    case.read_piped("a.pcap", &["other.pcapng", "-"]).expect(2);
    case.read(&["other.pcapng"]).expect(0);
    assert_eq!(case.packets(), one + 2);
}

#[test]
fn what_was_read_in_part_is_read_anew() {
    let case = Case::new();
    let mut packets = [0; 2001];
    packets[1000] = 1;
    // A filter that fits Ethernet, but not raw IP.
    case.write("mixed.pcapng", &pcapng(&[ETHERNET, 101], &packets, &[]));
    let filter = ["--filter", "not ether host 0:1:2:3:4:5", "mixed.pcapng"];
    case.read(&filter).expect(2);
    assert_eq!(case.packets(), 1000);
    assert_eq!(case.manifest()["captures"][0]["in_part"], true);
    case.read(&["mixed.pcapng"]).expect(0);
    assert_eq!(case.packets(), 2001);
    assert!(case.manifest()["captures"][0].get("in_part").is_none());
    assert!(case.read(&["mixed.pcapng"]).expect(0).stderr.contains("was read before"));
}

#[test]
fn a_read_of_nothing_new_leaves_no_trace() {
    let case = Case::new();
    case.read(&["a.pcap"]).expect(0);
    let once = support::contents(&case.path("report"));
    let ended = case.read(&["--home", "10.0.0.0/8", "a.pcap"]).expect(0);
    assert!(ended.stderr.contains("was read before"), "{}", ended.stderr);
    assert!(once == support::contents(&case.path("report")));
}

#[test]
fn link_types_that_are_not_read_are_named_in_pcapng_too() {
    let case = Case::new();
    case.write("user.pcapng", &pcapng(&[USER_0], &[0, 0], &[]));
    let said = support::read([case.path("user.pcapng")]).expect(2).stderr;
    assert!(said.contains("user.pcapng: link type 147"), "{said}");
    // In a folder, they are none of the user's mistakes.
    support::read([case.folder.path()]).expect(0);
    case.write("mixed.pcapng", &pcapng(&[USER_0, ETHERNET], &[0, 0, 1], &[]));
    let said = support::read([case.path("mixed.pcapng")]).expect(0).stderr;
    assert!(said.contains("mixed.pcapng: 2 packets are of link type 147"), "{said}");
}

#[test]
fn what_is_no_capture_is_told_once() {
    let case = Case::new();
    case.write("notes", b"hello");
    let path = case.path("notes");
    let said = support::read([&path]).expect(2).stderr;
    assert_eq!(said.matches("not a capture").count(), 1, "{said}");
    assert!(said.starts_with(&path.display().to_string()), "{said}");
}

#[test]
fn a_report_needs_no_more_than_to_read_the_database() {
    let case = Case::new();
    case.read(&["a.pcap"]).expect(0);
    let report = |db: &Path, out: &str| {
        let (db, out) = (db.as_os_str(), case.path(out).into_os_string());
        support::run(["report".as_ref(), "--db".as_ref(), db, "--out".as_ref(), out.as_ref()])
    };
    // Where nothing can be made beside the database; an administrator may still write there.
    let locked = case.path("locked");
    fs::create_dir(&locked).expect("a folder");
    fs::rename(case.path("usage.db"), locked.join("usage.db")).expect("moved");
    let allow = |writable: bool| {
        use std::os::unix::fs::PermissionsExt;
        let mode = if writable { 0o755 } else { 0o555 };
        fs::set_permissions(&locked, fs::Permissions::from_mode(mode)).expect("it is ours");
    };
    allow(false);
    let ended = report(&locked.join("usage.db"), "again");
    allow(true);
    ended.expect(0);
    let (first, again) = (case.path("report"), case.path("again"));
    assert!(support::contents(&first) == support::contents(&again));

    let said = report(&case.path("missing.db"), "none").expect(2).stderr;
    assert!(said.contains("missing.db"), "{said}");
    report(&locked, "none").expect(2);
}
