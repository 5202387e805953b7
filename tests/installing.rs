//! `signatures install`: a newer catalogue is put in place as a whole, or not at all.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{self, Ended};

/// A folder with the small catalogue in its packed form.
struct Case {
    folder: tempfile::TempDir,
}

impl Case {
    fn new() -> Case {
        let case = Case { folder: tempfile::tempdir().expect("a folder") };
        case.pack(&support::signatures(), "packed");
        case
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn pack(&self, signatures: &Path, name: &str) {
        let out = self.path(name);
        let arguments = ["signatures", "pack", "--dir"].map(OsStr::new);
        let arguments = arguments.into_iter().chain([signatures.as_os_str(), out.as_os_str()]);
        support::run(arguments).expect(0);
    }

    fn install(&self, file: &str, to: &Path) -> Ended {
        let file = self.path(file);
        let arguments = ["signatures".as_ref(), "install".as_ref(), file.as_os_str()];
        support::run(arguments.into_iter().chain(["--to".as_ref(), to.as_os_str()]))
    }

    /// The small catalogue as it will be in another release.
    fn release(&self, version: &str, name: &str) {
        let folder = self.path(&format!("{name}-files"));
        copy(&support::signatures(), &folder);
        let file = folder.join("catalogue.toml");
        let text = fs::read_to_string(&file).expect("a release file");
        assert!(text.contains("2026.11.1"));
        fs::write(&file, text.replace("2026.11.1", version)).expect("it can be written");
        self.pack(&folder, name);
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("it can be read") {
        let path = entry.expect("it can be read").path();
        let target = to.join(path.file_name().expect("it has one"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).expect("it can be copied");
        }
    }
}

#[test]
fn a_good_file_is_put_in_place_and_used() {
    let case = Case::new();
    let place = case.path("new/folder/catalogue");
    let ended = case.install("packed", &place).expect(0);
    assert!(ended.stdout.contains("catalogue 2026.11.1"), "{}", ended.stdout);
    assert!(!ended.stdout.contains("before"), "{}", ended.stdout);
    assert_eq!(fs::read(&place).unwrap(), fs::read(case.path("packed")).unwrap());
    let arguments =
        ["match".as_ref(), "--signatures".as_ref(), place.as_os_str(), "acme.slack.com".as_ref()];
    assert!(support::run(arguments).expect(0).stdout.contains("slack"));
    assert_eq!(fs::read_dir(place.parent().unwrap()).unwrap().count(), 1, "nothing else is left");
}

#[test]
fn what_was_there_before_is_named() {
    let case = Case::new();
    case.release("2026.12.1", "newer");
    let place = case.path("catalogue");
    case.install("newer", &place).expect(0);
    // Going back is allowed: it is how one undoes an update. It is said.
    let ended = case.install("packed", &place).expect(0);
    assert!(ended.stdout.contains("catalogue 2026.11.1"), "{}", ended.stdout);
    assert!(ended.stdout.contains("before it was 2026.12.1"), "{}", ended.stdout);
    // What was there and is none is replaced.
    fs::write(&place, "damaged").unwrap();
    let ended = case.install("newer", &place).expect(0);
    assert!(ended.stdout.contains("before it was none that can be read"), "{}", ended.stdout);
}

#[test]
fn a_damaged_file_changes_nothing() {
    let case = Case::new();
    let place = case.path("catalogue");
    case.install("packed", &place).expect(0);
    let good = fs::read(&place).unwrap();
    let middle = good.len() / 2;
    let mut broken = good.clone();
    broken[middle..middle + 4].copy_from_slice(b"\"]}{");
    for (name, bytes) in
        [("cut", &good[..middle]), ("broken", &broken), ("text", b"hello"), ("empty", b"")]
    {
        fs::write(case.path(name), bytes).unwrap();
        let ended = case.install(name, &place).expect(2);
        assert!(!ended.stderr.is_empty() && !ended.stderr.contains("panicked"), "{}", ended.stderr);
        assert_eq!(fs::read(&place).unwrap(), good, "{name}");
    }
    let ended = case.install("absent", &place);
    assert_ne!(ended.code, 0);
    assert!(ended.stderr.contains("absent"), "{}", ended.stderr);
}

/// A catalogue that was packed by hand, or by a version with other rules.
#[test]
fn what_lint_refuses_is_not_installed() {
    let case = Case::new();
    let place = case.path("catalogue");
    case.install("packed", &place).expect(0);
    let good = fs::read(&place).unwrap();
    let mut files = shadowscope::signatures::read_folder(&support::signatures()).unwrap();
    let slack = files.iter_mut().find(|file| file.path == "s/slack.toml").unwrap();
    slack.text = slack.text.replacen("domains = [", "domains = [\"co.uk\", ", 1);
    let wide = shadowscope::catalogue::Catalogue::pack(&files).unwrap();
    fs::write(case.path("wide"), wide).unwrap();
    let ended = case.install("wide", &place).expect(2);
    assert!(ended.stdout.contains("S006") && ended.stdout.contains("co.uk"), "{}", ended.stdout);
    assert!(ended.stdout.contains("not installed"), "{}", ended.stdout);
    assert_eq!(fs::read(&place).unwrap(), good);
}

#[test]
fn a_place_that_is_none_is_named_and_left_as_it_was() {
    let case = Case::new();
    let folder = case.path("a-folder");
    fs::create_dir_all(folder.join("inside")).unwrap();
    let ended = case.install("packed", &folder).expect(1);
    assert!(ended.stderr.contains("a-folder"), "{}", ended.stderr);
    assert!(folder.join("inside").is_dir());
    assert!(!case.path("a-folder.new").exists(), "nothing is left beside it");
    // Below a file there is no place.
    fs::write(case.path("a-file"), "").unwrap();
    let ended = case.install("packed", &case.path("a-file/catalogue")).expect(1);
    assert!(ended.stderr.contains("a-file"), "{}", ended.stderr);
}
