//! What the package brings: units that systemd takes and finds tight, and a configuration that
//! says what holds.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use shadowscope::config::SETTINGS;

use crate::support;

/// The exposure that systemd may find at most, in tenths.
const EXPOSURE_TENTHS_MAX: &str = "15";
const UNITS: [&str; 3] =
    ["shadowscope.service", "shadowscope-report.service", "shadowscope-report.timer"];

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd").join(name)
}

/// `systemd-analyze` with these arguments: whether it was content, and what it said.
fn analyze(arguments: &[&str]) -> Option<(bool, String)> {
    let output = Command::new("systemd-analyze").args(arguments).output();
    let Ok(output) = output else {
        println!("skipped: needs systemd-analyze");
        return None;
    };
    let said = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
}

#[test]
fn units_are_tight() {
    let threshold = format!("--threshold={EXPOSURE_TENTHS_MAX}");
    for unit in UNITS.into_iter().filter(|unit| unit.ends_with(".service")) {
        let unit = file(unit).into_os_string().into_string().unwrap();
        let arguments = ["security", "--offline=true", &threshold, &unit];
        let Some((is_well, said)) = analyze(&arguments) else { return };
        assert!(is_well, "{said}");
    }
}

/// What the program calls to give up its rights is not in the groups that the unit allows.
#[test]
fn the_unit_lets_the_sensor_give_up_its_rights() {
    let text = fs::read_to_string(file("shadowscope.service")).unwrap();
    let mut filters = text.lines().filter_map(|line| line.strip_prefix("SystemCallFilter="));
    // Of several lines, the later one wins.
    let last = filters.next_back().unwrap();
    for call in [
        "capset",
        "landlock_create_ruleset",
        "landlock_add_rule",
        "landlock_restrict_self",
        "seccomp",
    ] {
        assert!(last.split(' ').any(|allowed| allowed == call), "{call}");
    }
}

/// What the README says for metrics is taken, opens loopback, and leaves the unit tight.
#[test]
fn metrics_need_an_override_of_two_lines() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(readme).unwrap();
    let told: Vec<&str> = readme
        .split('`')
        .filter(|code| {
            code.starts_with("RestrictAddressFamilies=") || code.starts_with("IPAddressAllow=")
        })
        .collect();
    assert_eq!(told.len(), 2, "{told:?}");
    // A drop-in is read behind the unit.
    let unit = fs::read_to_string(file("shadowscope.service")).unwrap();
    let drop_in = format!("\n[Service]\n{}\n", told.join("\n"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shadowscope.service");
    let text = (unit + &drop_in).replace("/usr/bin/shadowscope", env!("CARGO_BIN_EXE_shadowscope"));
    fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap();
    let Some((is_well, said)) = analyze(&["verify", "--man=no", path]) else { return };
    assert!(is_well && said.is_empty(), "{said}");
    // Sockets of the internet cost three tenths.
    let Some((is_well, said)) = analyze(&["security", "--offline=true", "--threshold=16", path])
    else {
        return;
    };
    assert!(is_well, "{said}");
}

#[test]
fn units_say_nothing_that_systemd_does_not_know() {
    let folder = tempfile::tempdir().unwrap();
    for unit in UNITS {
        // The program is not where the package will put it.
        let text = fs::read_to_string(file(unit)).unwrap();
        let text = text.replace("/usr/bin/shadowscope", env!("CARGO_BIN_EXE_shadowscope"));
        fs::write(folder.path().join(unit), text).unwrap();
    }
    for unit in UNITS {
        let path = folder.path().join(unit).into_os_string().into_string().unwrap();
        let Some((is_well, said)) = analyze(&["verify", "--man=no", &path]) else { return };
        // It ends with 0 where it does not know a key.
        assert!(is_well && said.is_empty(), "{unit}: {said}");
    }
}

#[test]
fn the_default_configuration_says_what_holds() {
    let text = fs::read_to_string(file("shadowscope.toml")).unwrap();
    let run = |path: &Path| {
        let arguments = ["config".as_ref(), "--config".as_ref(), path.as_os_str()];
        support::run(arguments).expect(0).stdout
    };
    let as_it_is = run(&file("shadowscope.toml"));
    let socket = as_it_is.lines().find(|line| line.starts_with("socket = ")).unwrap();
    assert!(socket.contains("/run/shadowscope/shadowscope.sock"), "{socket}");

    // Every setting is told, and what is told of it can be written.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all.toml");
    let uncommented = text.lines().map(|line| {
        let is_setting = line.starts_with('#') && line.contains(" = ") && !line.starts_with("# ");
        if is_setting { &line[1..] } else { line }
    });
    fs::write(&path, uncommented.collect::<Vec<_>>().join("\n")).unwrap();
    let shown = run(&path);
    for setting in SETTINGS {
        let (section, key) = setting.key.split_once('.').unwrap();
        let in_section = text.split(&format!("[{section}]")).nth(1).unwrap();
        let in_section = in_section.split("\n[").next().unwrap();
        let told = in_section
            .lines()
            .find(|line| line.trim_start_matches('#').starts_with(&format!("{key} = ")));
        let told = told.unwrap_or_else(|| panic!("{} is not told", setting.key));
        // Where there is a default, it is the one that is told.
        let told = told.split_once(" = ").unwrap().1;
        if !setting.default.is_empty() {
            assert_eq!(told.trim_matches('"'), setting.default, "{}", setting.key);
        }
        assert!(shown.contains(&format!("{key} = ")), "{}", setting.key);
    }
}
