//! What `why` tells beside the facts: rules, what may have been, and mistakes in the question.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::generator::talk::{Side, Talk};
use crate::generator::tls::{self, Hello};
use crate::generator::{Random, SECOND, START_SECONDS, Traffic, dns};
use crate::reclassify;
use crate::support::{self, Ended};

/// A database of visits to these names, in a folder.
fn database(folder: &Path, names: &[&str]) -> PathBuf {
    let (mut traffic, mut random) = (Traffic::default(), Random::new(3));
    for (number, name) in names.iter().enumerate() {
        let client: SocketAddr = format!("10.6.0.1:{}", 41_000 + number).parse().unwrap();
        let server: SocketAddr = "198.18.5.1:443".parse().unwrap();
        let at = (START_SECONDS + 20 * number as i64) * SECOND;
        let mut talk = Talk::tcp(&mut traffic, client, server, at);
        talk.open();
        let hello = Hello { server_name: Some(name), ..Hello::default() };
        talk.send(Side::Up, &tls::records(&tls::client_hello(&hello, &mut random), 16_384));
        talk.send(Side::Down, &tls::application_data(30_000, &mut random));
        talk.close();
    }
    let capture = folder.join("made.pcap");
    traffic.write(&capture).unwrap();
    read(folder, &capture)
}

fn read(folder: &Path, capture: &Path) -> PathBuf {
    let db = folder.join("usage.db");
    support::read(["--db".as_ref(), db.as_os_str(), capture.as_os_str()]).expect(0);
    db
}

fn why(db: &Path, arguments: &[&str]) -> Ended {
    let mut command = support::program();
    command.args(["why", "--app", "slack", "--db"]).arg(db).args(arguments);
    if !arguments.contains(&"--signatures") {
        command.arg("--signatures").arg(support::signatures());
    }
    command.output().unwrap().into()
}

/// The lines of the rules that names matched, each as its words.
fn rules(text: &str) -> Vec<Vec<&str>> {
    let lines = text.lines().skip_while(|line| !line.starts_with("  rule ")).skip(1);
    lines
        .take_while(|line| line.starts_with("  "))
        .map(|line| line.split_whitespace().collect())
        .collect()
}

#[test]
fn rules_are_those_that_names_matched() {
    let folder = tempfile::tempdir().unwrap();
    let names = ["acme.slack.com", "files.slack.com", "acme.slack.com", "a.slack-edge.com"];
    let db = database(folder.path(), &names);
    let text = why(&db, &[]).expect(0).stdout;
    let expected: &[&[&str]] = &[
        &["{tenant}.slack.com", "use", "sni", "2", "0", "acme"],
        &["files.slack.com", "use", "sni", "1", "0"],
        &["slack-edge.com", "embed", "sni", "1", "0"],
    ];
    assert_eq!(rules(&text), expected, "{text}");
    assert!(text.contains("Its names matched these rules of s/slack.toml ("), "{text}");
    assert!(!text.contains("slack-gov.com"), "nobody was there: {text}");
}

#[test]
fn of_many_rules_those_that_count_most_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    let names = [
        "slackb.com",
        "app.slack.com",
        "files.slack.com",
        "x.slack-edge.com",
        "slack.com",
        "files.slack.com",
        "y.slack-edge.com",
        "z.slack-edge.com",
    ];
    let text = why(&database(folder.path(), &names), &["--user", "10.6.0.1"]).expect(0).stdout;
    let expected: &[&[&str]] = &[
        &["files.slack.com", "use", "sni", "2", "0"],
        &["app.slack.com", "use", "sni", "1", "0"],
        &["slack-edge.com", "embed", "sni", "3", "0"],
        &["and", "2", "more", "rules,", "2", "connections,", "0", "look-ups"],
    ];
    assert_eq!(rules(&text), expected, "{text}");
    assert!(text.lines().count() <= 30, "{text}");
}

#[test]
fn what_got_its_name_later_has_the_rule_that_gave_it() {
    let folder = tempfile::tempdir().unwrap();
    let extra = folder.path().join("extra");
    fs::create_dir(&extra).unwrap();
    let learnt = reclassify::app("north", "file-sharing", "use", &[&"north-desk.com".to_owned()]);
    fs::write(extra.join("vendors.toml"), reclassify::VENDORS).unwrap();
    fs::write(extra.join("north.toml"), learnt).unwrap();
    let db = database(folder.path(), &["www.north-desk.com", "api.north-desk.com"]);
    let with_extra = |arguments: &[&str]| -> Ended {
        let mut command = support::program();
        command.args(arguments).arg("--db").arg(&db).arg("--signatures");
        command.arg(support::signatures()).arg("--signatures-extra").arg(&extra);
        command.output().unwrap().into()
    };
    with_extra(&["reclassify"]).expect(0);
    let text = with_extra(&["why", "--app", "north"]).expect(0).stdout;
    assert_eq!(rules(&text), [["north-desk.com", "use", "sni", "2", "0"]], "{text}");
}

#[test]
fn names_that_were_only_asked_for_have_their_rule_too() {
    let folder = tempfile::tempdir().unwrap();
    let (mut traffic, names) = (Traffic::default(), ["acme.slack.com", "globex.slack.com"]);
    for (number, name) in (0..).zip(names) {
        let client: SocketAddr = format!("10.6.0.1:{}", 5_000 + number).parse().unwrap();
        let at = (START_SECONDS + i64::from(number)) * SECOND;
        let mut talk = Talk::udp(&mut traffic, client, "10.0.0.53:53".parse().unwrap(), at);
        talk.send(Side::Up, &dns::query(7, name, dns::A));
        talk.send(Side::Down, &dns::response(7, name, &["198.18.5.1".parse().unwrap()], 300));
    }
    let capture = folder.path().join("made.pcap");
    traffic.write(&capture).unwrap();
    let text = why(&read(folder.path(), &capture), &[]).expect(0).stdout;
    let expected = [["{tenant}.slack.com", "use", "dns", "0", "2", "acme,", "globex"]];
    assert_eq!(rules(&text), expected, "{text}");
}

#[test]
fn of_rows_older_than_what_is_kept_of_rules_those_that_can_have_matched_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let can_have_matched = |names: &[&str]| {
        let db = database(folder.path(), names);
        // As a database is that was brought up from an older version.
        let older = rusqlite::Connection::open(&db).unwrap();
        older.execute_batch("DELETE FROM matched; DELETE FROM patterns").unwrap();
        drop(older);
        let text = why(&db, &[]).expect(0).stdout;
        fs::remove_file(db).unwrap();
        let told =
            "Names came from sni; which rules they matched was not kept when the row was made.";
        assert!(text.contains(told), "{text}");
        let line = text.lines().find(|line| line.starts_with("  use "));
        line.unwrap_or_else(|| panic!("{text}")).to_owned()
    };
    let with_tenant = can_have_matched(&["acme.slack.com"]);
    assert!(with_tenant.contains("{tenant}.slack.com"), "{with_tenant}");
    assert!(with_tenant.contains("(tenant acme)"), "{with_tenant}");
    assert!(!with_tenant.contains("files.slack.com"), "{with_tenant}");
    let without = can_have_matched(&["files.slack.com"]);
    assert!(without.contains("files.slack.com") && !without.contains("{tenant}"), "{without}");
    let both = can_have_matched(&["files.slack.com", "acme.slack.com"]);
    assert!(both.contains("files.slack.com") && both.contains("(tenant acme)"), "{both}");
}

#[test]
fn connections_of_which_no_rule_is_kept_are_told_beside_those_of_which_one_is() {
    let folder = tempfile::tempdir().unwrap();
    let db = database(folder.path(), &["acme.slack.com", "files.slack.com"]);
    let part = rusqlite::Connection::open(&db).unwrap();
    let sql = "DELETE FROM matched WHERE pattern =
        (SELECT id FROM patterns WHERE pattern = 'files.slack.com')";
    assert_eq!(part.execute(sql, []).unwrap(), 1);
    drop(part);
    let text = why(&db, &[]).expect(0).stdout;
    assert!(text.contains("Of 1 other connections it is not kept which rule"), "{text}");
}

#[test]
fn rows_of_another_catalogue_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let db = database(folder.path(), &["files.slack.com"]);
    assert!(!why(&db, &[]).expect(0).stdout.contains("were matched with catalogue"));
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("signatures");
    let text = why(&db, &["--signatures", all.to_str().unwrap()]).expect(0).stdout;
    assert!(text.contains("They were matched with catalogue "), "{text}");
}

#[test]
fn what_may_have_been_the_app_is_told_beside_a_row() {
    let folder = tempfile::tempdir().unwrap();
    let db = read(folder.path(), &support::fixtures().join("dns-candidates/input.pcap"));
    let text = why(&db, &[]).expect(0).stdout;
    let told = "Besides, of that day, 2 connections with a hidden or ambiguous name may have been it, at \
                most 1.1 kB\n";
    assert!(text.contains(told), "{text}");
    assert!(text.lines().count() <= 30 && text.lines().all(|line| line.chars().count() <= 100));
}

#[test]
fn whoever_there_is_not_is_a_mistake() {
    let folder = tempfile::tempdir().unwrap();
    let db = database(folder.path(), &["files.slack.com"]);
    let wrong = |user: &str| why(&db, &["--user", user]).expect(2).stderr;
    let told = wrong("10.6.0.2");
    assert!(told.contains("--user 10.6.0.2: the database has no user and no device"), "{told}");
    assert!(!told.contains("did you mean"), "every address is near others: {told}");
    assert!(!wrong("nobody").contains("did you mean"));
    let told = wrong("shared_source nat_gatway");
    assert!(told.contains("did you mean shared_source nat_gateway?"), "{told}");
    // A kind that there is, and no row of it.
    why(&db, &["--user", "shared_source resolver"]).expect(0);
    why(&db, &["--user", "10.6.0.1"]).expect(0);
}

#[test]
fn settings_that_cannot_be_are_refused_with_their_line() {
    let folder = tempfile::tempdir().unwrap();
    let db = database(folder.path(), &["files.slack.com"]);
    let settings = folder.path().join("evidence.toml");
    fs::write(&settings, "[evidence]\n# none\ninteractive_bytes = 0\n").unwrap();
    let told = why(&db, &["--evidence", settings.to_str().unwrap()]).expect(2).stderr;
    assert!(told.contains("evidence.toml: line 3: [evidence] interactive_bytes = 0"), "{told}");
    assert!(told.contains("give 1 to "), "{told}");
}
