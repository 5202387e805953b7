//! What the catalogue learns later names the past: as if the captures were read again.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::generator::office::Office;
use crate::generator::talk::{Side, Talk};
use crate::generator::{START_SECONDS, Traffic, dns};
use crate::support::{self, Ended, text};

/// An app whose names are all below one registrable domain that the fixtures' catalogue lacks.
const SIGNATURE: &str = r#"schema = 1
id = "wetransfer"
name = "WeTransfer"
vendor = "local"
kind = "app"
category = "file-sharing"
status = "active"
maturity = "candidate"
homepage = "https://wetransfer.com/"
verified = 2026-11-22
sources = ["https://wetransfer.com/"]

[[match]]
role = "visit"
domains = ["wetransfer.com"]

[[test]]
host = "TESTED"
app = "wetransfer"
role = "visit"
"#;

pub(crate) const VENDORS: &str = "schema = 1\n[vendors.local]\nname = \"Local\"\n";

struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    fn new() -> Desk {
        let desk = Desk { folder: tempfile::tempdir().unwrap() };
        let office = Office { visits: 400, seconds: 7_000, seed: 8, ..Office::default() };
        office.traffic().write(&desk.path("made.pcap")).unwrap();
        fs::create_dir(desk.path("extra")).unwrap();
        let signature = SIGNATURE.replace("TESTED", "wetransfer.com");
        fs::write(desk.path("extra/wetransfer.toml"), signature).unwrap();
        fs::write(desk.path("extra/vendors.toml"), VENDORS).unwrap();
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Reads the capture into a database.
    fn read(&self, db: &str, extra: bool) {
        let mut arguments: Vec<OsString> = vec!["--db".into(), self.path(db).into()];
        if extra {
            arguments.extend(["--signatures-extra".into(), self.path("extra").into()]);
        }
        arguments.push(self.path("made.pcap").into());
        support::read(arguments).expect(0);
    }

    fn reclassify(&self, db: &str) -> Ended {
        let mut command = support::program();
        command.arg("reclassify").arg("--db").arg(self.path(db));
        command.arg("--signatures").arg(support::signatures());
        command.arg("--signatures-extra").arg(self.path("extra"));
        Ended::from(command.output().unwrap()).expect(0)
    }

    /// The report without what tells which catalogue was used when.
    fn report(&self, db: &str) -> BTreeMap<String, String> {
        let out = self.path(&format!("{db}-report"));
        let mut command = support::program();
        command.arg("report").arg("--db").arg(self.path(db)).arg("--out").arg(&out);
        Ended::from(command.output().unwrap()).expect(0);
        let mut files: BTreeMap<String, String> = support::contents(&out)
            .into_iter()
            .map(|(name, bytes)| (name, String::from_utf8(bytes).unwrap()))
            .collect();
        files.remove("manifest.json");
        if let Some(apps) = files.get_mut("apps.csv") {
            *apps = apps
                .lines()
                .filter_map(|line| Some(line.rsplit_once(',')?.0.to_owned() + "\n"))
                .collect();
        }
        files
    }

    /// Makes a capture in which a client asks for two names, gets the same address for both, and
    /// has one connection there that says no name; answers the bytes of that.
    fn make_ambiguous(&self, names: [&str; 2]) -> u64 {
        let mut traffic = Traffic::default();
        let end = |text: &str| text.parse::<SocketAddr>().unwrap();
        let (start, server) = (START_SECONDS * 1_000_000_000, end("198.51.100.77:443"));
        for (name, at) in names.into_iter().zip([0, 1_000]) {
            let mut talk =
                Talk::udp(&mut traffic, end("10.1.0.7:4000"), end("10.0.0.53:53"), start + at);
            talk.send(Side::Up, &dns::query(7, name, dns::A));
            talk.send(Side::Down, &dns::response(7, name, &[server.ip()], 300));
        }
        let mut talk = Talk::tcp(&mut traffic, end("10.1.0.7:4001"), server, start + 1_000_000_000);
        talk.open();
        talk.send(Side::Up, &[0x5a; 900]);
        talk.send(Side::Down, &[0xa5; 4_000]);
        talk.close();
        let (up, down) = talk.bytes();
        traffic.write(&self.path("made.pcap")).unwrap();
        up + down
    }
}

#[test]
fn naming_the_past_gives_what_reading_again_gives() {
    let desk = Desk::new();
    desk.read("before.db", false);
    desk.read("again.db", true);
    let before = desk.report("before.db");
    assert!(before["unmatched.csv"].contains("wetransfer.com"));
    assert!(!before["apps.csv"].contains("wetransfer"));
    let told = desk.reclassify("before.db").stdout;
    assert!(told.contains("wetransfer (wetransfer.com): first seen "), "{told}");
    assert!(told.contains("days before it had a name\n"), "{told}");
    assert!(told.contains("\n1 domains named with catalogue "), "{told}");
    let (after, again) = (desk.report("before.db"), desk.report("again.db"));
    assert!(after["apps.csv"].contains("wetransfer"));
    let new = &after["new_apps.csv"];
    assert!(new.contains(",wetransfer,WeTransfer,") && new.contains(" days before it had a name"));
    for (name, text) in again.iter().filter(|(name, _)| *name != "new_apps.csv") {
        assert_eq!(&after[name], text, "{name}");
    }
    // A second time there is nothing to name.
    let told = desk.reclassify("before.db").stdout;
    assert!(told.starts_with("0 domains named"), "{told}");
    assert_eq!(desk.report("before.db"), after);
}

/// An app below `extra/` for the domains.
pub(crate) fn app(id: &str, category: &str, role: &str, domains: &[&String]) -> String {
    let quoted: Vec<String> = domains.iter().map(|domain| format!("\"{domain}\"")).collect();
    SIGNATURE
        .replace("wetransfer\"", &format!("{id}\""))
        .replace("file-sharing", category)
        .replace("\"visit\"", &format!("\"{role}\""))
        .replace("domains = [\"wetransfer.com\"]", &format!("domains = [{}]", quoted.join(", ")))
        .replace("TESTED", domains[0])
}

/// Every domain of captures gets a name, as apps of all roles and three sorts, and the past is as if
/// they were read again: what followed pages of others, ways around, the books.
fn assert_names_like_reading_again(
    signatures: &Path,
    captures: &[PathBuf],
) -> BTreeMap<String, String> {
    let desk = Desk { folder: tempfile::tempdir().unwrap() };
    fs::create_dir(desk.path("extra")).unwrap();
    fs::write(desk.path("extra/vendors.toml"), VENDORS).unwrap();
    let read = |db: &str, extra: bool| {
        let mut command = support::program();
        command.args(["read", "--quiet", "--db"]).arg(desk.path(db)).arg("--signatures");
        command.arg(signatures).arg("--flows").arg(desk.path("flows.jsonl"));
        if extra {
            command.arg("--signatures-extra").arg(desk.path("extra"));
        }
        Ended::from(command.args(captures).output().unwrap())
    };
    let code = read("before.db", false).code;
    // Of what is at home there are no rows.
    let flows = support::json_lines(&desk.path("flows.jsonl"));
    let is_home = |flow: &&Value| match text(&flow["server_ip"]).parse().unwrap() {
        IpAddr::V4(address) => address.is_private() || address.is_link_local(),
        IpAddr::V6(address) => address.is_unique_local() || address.is_unicast_link_local(),
    };
    let at_home = flows.iter().filter(is_home).filter_map(|flow| flow["name"].as_str());
    let left_out: BTreeSet<&str> = at_home.collect();
    let before = desk.report("before.db");
    let domains: Vec<String> = before["unmatched.csv"]
        .lines()
        .skip(1)
        .map(|line| line.split(',').nth(2).unwrap().to_owned())
        .filter(|domain| domain.contains('.') && domain.parse::<IpAddr>().is_err())
        .filter(|domain| !left_out.iter().any(|name| name.ends_with(domain.as_str())))
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    let roles = ["use", "login", "visit", "embed", "telemetry", "site", "infra"];
    let categories = ["file-sharing", "vpn-anonymizer", "remote-access"];
    for (number, role) in roles.iter().enumerate() {
        let mine: Vec<_> = domains.iter().skip(number).step_by(roles.len()).collect();
        for (sort, category) in categories.iter().enumerate() {
            let mine: Vec<_> = mine.iter().copied().skip(sort).step_by(categories.len()).collect();
            if !mine.is_empty() {
                let id = format!("app-{role}-{sort}");
                let path = desk.path(&format!("extra/{id}.toml"));
                fs::write(path, app(&id, category, role, &mine)).unwrap();
            }
        }
    }
    assert_eq!(read("again.db", true).code, code);
    let mut command = support::program();
    command.arg("reclassify").arg("--db").arg(desk.path("before.db"));
    command.arg("--signatures").arg(signatures);
    command.arg("--signatures-extra").arg(desk.path("extra"));
    Ended::from(command.output().unwrap()).expect(0);
    let (after, again) = (desk.report("before.db"), desk.report("again.db"));
    for (name, text) in again.iter().filter(|(name, _)| *name != "new_apps.csv") {
        let first = support::first_difference(after[name].as_bytes(), text.as_bytes());
        assert!(after[name] == *text, "{name}: {first}");
    }
    assert!(before["unmatched.csv"].lines().count() > 20 + again["unmatched.csv"].lines().count());
    again
}

#[test]
fn all_domains_of_the_corpus_named_at_once_are_as_if_read_again() {
    let corpus = support::fixtures().join("corpus");
    let captures = ["office.pcap.zst", "sources.pcap.zst"].map(|name| corpus.join(name));
    assert_names_like_reading_again(&corpus.join("signatures"), &captures);
}

#[test]
fn all_domains_of_the_fixtures_named_at_once_are_as_if_read_again() {
    let captures: Vec<PathBuf> =
        support::captures().into_iter().map(|(_, capture)| capture).collect();
    let again = assert_names_like_reading_again(&support::signatures(), &captures);
    let detours = &again["detours.csv"];
    assert!(detours.contains(",vpn-anonymizer,catalogue,"), "{detours}");
    assert!(detours.contains(",remote-access,catalogue,"), "{detours}");
}

#[test]
fn what_may_not_be_told_anew_gets_a_bound() {
    let desk = Desk::new();
    let bytes = desk.make_ambiguous(["files.wetransfer.com", "www.elsewhere.example"]);
    desk.read("before.db", false);
    let told = desk.reclassify("before.db").stdout;
    assert!(told.contains("as they were read stay: "), "{told}");
    let apps = desk.report("before.db");
    let line = apps["apps.csv"].lines().find(|line| line.contains(",wetransfer,")).unwrap();
    assert!(line.contains(&format!(",0,0,{bytes},")), "{line}");
}

#[test]
fn two_names_of_one_app_are_certain() {
    let desk = Desk::new();
    let bytes = desk.make_ambiguous(["files.wetransfer.com", "www.we.example"]);
    let domains = [&"wetransfer.com".to_owned(), &"we.example".to_owned()];
    let signature = app("wetransfer", "file-sharing", "use", &domains);
    fs::write(desk.path("extra/wetransfer.toml"), signature).unwrap();
    desk.read("before.db", false);
    let told = desk.reclassify("before.db").stdout;
    for domain in domains {
        assert!(told.contains(&format!("wetransfer ({domain}): first seen ")), "{told}");
    }
    desk.read("again.db", true);
    let (apps, again) = (desk.report("before.db"), desk.report("again.db"));
    assert_eq!(apps["apps.csv"], again["apps.csv"]);
    let line = apps["apps.csv"].lines().find(|line| line.contains(",wetransfer,")).unwrap();
    // All of it is certain, whichever of the two it was, and nothing is only possible.
    let none_certain = format!(",0,0,{bytes},");
    assert!(line.contains(&format!(",{bytes},")) && !line.contains(&none_certain), "{line}");
}

#[test]
fn what_the_catalogue_said_of_names_below_a_domain_of_ones_own_is_told_to_stay() {
    let desk = Desk::new();
    let signature = app("wetransfer", "file-sharing", "use", &[&"dropboxapi.com".to_owned()]);
    fs::write(desk.path("extra/wetransfer.toml"), signature).unwrap();
    desk.read("before.db", false);
    let before = desk.report("before.db");
    let line =
        "dropboxapi.com: what the catalogue says of notify.dropboxapi.com stays as it was read";
    let told = desk.reclassify("before.db").stdout;
    assert!(told.contains(line) && !told.contains("for names below it"), "{told}");
    assert_eq!(desk.report("before.db"), before);
    // Once.
    let told = desk.reclassify("before.db").stdout;
    assert!(!told.contains("dropboxapi.com"), "{told}");
}

#[test]
fn single_names_below_a_domain_apply_from_now_on_only() {
    let desk = Desk::new();
    let path: &Path = &desk.path("extra/wetransfer.toml");
    let single = SIGNATURE
        .replace(r#"domains = ["wetransfer.com"]"#, r#"hosts = ["files.wetransfer.com"]"#)
        .replace("TESTED", "files.wetransfer.com");
    fs::write(path, single).unwrap();
    desk.read("before.db", false);
    let before = desk.report("before.db");
    let told = desk.reclassify("before.db").stdout;
    assert!(
        told.contains("wetransfer.com: not named as a whole; a rule for names below it"),
        "{told}"
    );
    assert_eq!(desk.report("before.db"), before);
}
