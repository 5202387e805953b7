//! What the catalogue learns later names the past: as if the captures were read again.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::generator::office::Office;
use crate::support::{self, Ended};

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

const VENDORS: &str = "schema = 1\n[vendors.local]\nname = \"Local\"\n";

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
