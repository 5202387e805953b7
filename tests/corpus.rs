//! What counts as use, measured on a day of real clients whose truth is known (`fixtures/corpus`).
//!
//! The recording and its truth are made by `fixtures/record/corpus`. Precision and recall are those of "this client used this app in this hour"; inflation is
//! apps reported as used by apps used.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use shadowscope::evidence::day::DayFacts;
use shadowscope::evidence::source::{Reason, Trait};
use shadowscope::evidence::{Evidence, Settings};
use shadowscope::store::{SourceFact, Store, StoreError, UsageFact, Window};

use crate::support;

/// Client, hour of the day (UTC), app.
type Used = BTreeSet<(String, u32, String)>;

const DAY: &str = "2026-06-30";
const HOURS: std::ops::Range<u32> = 8..17;

/// A recording in a database, and what is true of it.
struct Corpus {
    folder: tempfile::TempDir,
    truth: Vec<(String, u32, String, String)>,
}

/// How well a report agrees with the truth.
struct Measured {
    precision: f64,
    recall: f64,
    inflation: f64,
    wrong: Vec<String>,
}

/// The catalogue with which the plan was made: what is true of a name does not change with it.
fn signatures() -> PathBuf {
    support::fixtures().join("corpus/signatures")
}

/// Reads a recording into a database, with these settings.
fn read(db: &Path, recording: &str, settings: &str) {
    let file = db.with_extension("toml");
    fs::write(&file, settings).unwrap();
    let mut command = support::program();
    command.args(["read", "--quiet", "--db"]).arg(db).arg("--signatures").arg(signatures());
    command.arg("--evidence").arg(&file);
    command.arg(support::fixtures().join("corpus").join(recording));
    support::Ended::from(command.output().unwrap()).expect(0);
}

impl Corpus {
    fn read() -> Corpus {
        let folder = tempfile::tempdir().unwrap();
        read(&folder.path().join("usage.db"), "office.pcap.zst", "");
        let truth = support::fixtures().join("corpus/truth.tsv");
        let text = fs::read_to_string(truth).unwrap();
        let row = |line: &str| {
            let [client, hour, app, what] = line.split('\t').collect::<Vec<_>>()[..] else {
                panic!("{line}")
            };
            (client.to_owned(), hour.parse().unwrap(), app.to_owned(), what.to_owned())
        };
        Corpus { folder, truth: text.lines().skip(1).map(row).collect() }
    }

    fn true_use(&self) -> Used {
        let used = self.truth.iter().filter(|(.., what)| what == "used");
        used.map(|(client, hour, app, _)| (client.clone(), *hour, app.clone())).collect()
    }

    /// What the reports of the hours call use, with these settings.
    fn reported(&self, settings: &str) -> Used {
        let file = self.folder.path().join("evidence.toml");
        fs::write(&file, settings).unwrap();
        let mut used = Used::new();
        for hour in HOURS {
            let (from, to) = (format!("{DAY}T{hour:02}:00Z"), format!("{DAY}T{:02}:00Z", hour + 1));
            for row in support::csv_rows(&self.report(&file, &from, &to).join("usage.csv")) {
                if row["evidence"] == "interactive" && row["incidental"] == "false" {
                    used.insert((row["device"].clone(), hour, row["app_id"].clone()));
                }
            }
        }
        used
    }

    fn report(&self, settings: &Path, from: &str, to: &str) -> PathBuf {
        let out = self.folder.path().join("report");
        let mut command = support::program();
        command.args(["report", "--from", from, "--to", to, "--db"]);
        command.arg(self.folder.path().join("usage.db")).arg("--evidence").arg(settings);
        command.arg("--out").arg(&out);
        support::Ended::from(command.output().unwrap()).expect(0);
        out
    }

    fn measure(&self, settings: &str) -> Measured {
        let (used, reported) = (self.true_use(), self.reported(settings));
        let both = used.intersection(&reported).count() as f64;
        let apps = |used: &Used| used.iter().map(|(.., app)| app.clone()).collect::<BTreeSet<_>>();
        let what = |wrong: &(String, u32, String)| {
            let (client, hour, app) = wrong;
            let known =
                self.truth.iter().filter(|row| (&row.0, &row.1, &row.2) == (client, hour, app));
            let what: Vec<&str> = known.map(|row| row.3.as_str()).collect();
            let sign = if used.contains(wrong) { "missed" } else { "wrongly used" };
            format!("{sign}: {client} {hour} {app}, truly {what:?}")
        };
        Measured {
            precision: both / reported.len().max(1) as f64,
            recall: both / used.len() as f64,
            inflation: apps(&reported).len() as f64 / apps(&used).len() as f64,
            wrong: used.symmetric_difference(&reported).map(what).collect(),
        }
    }
}

#[test]
fn what_is_called_use_is_use() {
    let corpus = Corpus::read();
    let count = |kind: &str| corpus.truth.iter().filter(|(.., what)| what == kind).count();
    assert!(count("used") >= 75 && count("embedded") >= 250 && count("sync") >= 35);
    let measured = corpus.measure("");
    let Measured { precision, recall, inflation, wrong } = measured;
    println!("precision {precision:.3} recall {recall:.3} inflation {inflation:.3}");
    assert!(
        precision >= 0.95 && recall >= 0.90 && inflation <= 1.2,
        "precision {precision:.3}, recall {recall:.3}, inflation {inflation:.3}:\n{}",
        wrong.join("\n")
    );
}

/// Each threshold with values over which it is measured, the others as they are.
const CURVES: [(&str, &[u64]); 24] = [
    ("payload_bytes_up", &[300, 700, 1_500]),
    ("payload_bytes", &[3_000, 7_000, 15_000]),
    ("interactive_bytes", &[5_000, 10_000, 20_000, 40_000, 80_000]),
    ("interactive_bytes_up", &[1_500, 2_500, 4_000, 8_000, 16_000]),
    ("interactive_quarters", &[1, 2, 3, 4]),
    ("quarter_bytes_up", &[350, 700, 1_400, 3_750]),
    ("shadow_seconds", &[1, 2, 5]),
    ("shadow_load_seconds", &[5, 15, 30, 60]),
    ("shadow_page_bytes", &[5_000, 10_000, 20_000, 50_000]),
    ("shadow_bytes", &[0, 50_000, 100_000, 200_000, 400_000]),
    ("shadow_bytes_up", &[1_500, 2_500, 4_000, 8_000]),
    ("shadow_beside_bytes_up", &[350, 700, 1_400]),
    ("sync_hours", &[2, 4, 6, 8, 10]),
    ("sync_edge_hours", &[1, 2, 4]),
    ("sync_minutes", &[2, 5, 10, 20, 40]),
    ("sync_pauses", &[3, 7, 14, 28, 56]),
    ("sync_regular_percent", &[40, 60, 80, 90, 100]),
    ("sync_covered_percent", &[20, 40, 60, 80, 100]),
    ("sync_slack_percent", &[1, 10, 20, 30, 50]),
    ("sync_excess_bytes", &[2, 3, 5, 10]),
    ("sync_excess_minutes", &[1, 2, 3, 5, 10]),
    ("sync_even_hours", &[4, 6, 8, 12]),
    ("sync_even_percent", &[1, 5, 10, 20, 40]),
    ("sync_even_bytes", &[1_000, 10_000, 100_000, 1_000_000]),
];
/// Likewise for addresses that are no person.
const SOURCE_CURVES: [(&str, &[u64]); 18] = [
    ("resolver_clients", &[1, 2, 5, 10]),
    ("proxy_clients", &[1, 2, 3]),
    ("proxy_forwarded_for", &[1, 2, 4, 8]),
    ("mail_clients", &[1, 2, 5]),
    ("nat_times_to_live", &[1, 2, 3, 4]),
    ("nat_hello_shapes", &[2, 3, 10, 30]),
    ("nat_mixed_times_to_live", &[1, 2, 3]),
    ("nat_mixed_hello_shapes", &[1, 3, 10, 20]),
    ("nat_option_orders", &[1, 2, 4]),
    ("nat_clocks", &[1, 4, 8, 16]),
    ("nat_push_channels", &[1, 8, 16, 32]),
    ("nat_port_runs", &[4, 8, 16, 32]),
    ("nat_passed_on_connections", &[1, 16, 32, 64]),
    ("nat_passed_on_times", &[1, 4, 16, 64]),
    ("nat_passed_on_percent", &[0, 50, 75, 100]),
    ("server_clients", &[2, 4, 8, 16]),
    ("server_hello_shapes", &[1, 2, 5, 10]),
    ("server_sessions", &[1, 4, 8]),
];
/// The part of `src/evidence/README.md` that holds the curves.
const CURVES_BEGIN: &str =
    "<!-- The curves of fixtures/corpus/curves.tsv; UPDATE_EXPECT=1 writes them. -->\n";
const CURVES_END: &str = "<!-- End of the curves. -->\n";

/// What the store's facts call use with these settings, hour by hour: what reports say, sooner.
fn graded(db: &Path, settings: &Settings) -> Used {
    let store = Store::open_read_only(db).unwrap();
    let mut days: BTreeMap<(String, String), DayFacts> = BTreeMap::new();
    let snapshot = store.snapshot().unwrap();
    let add = |fact: &UsageFact<'_>| {
        let key = (fact.device.to_owned(), fact.app_id.to_owned());
        fact.add_to(days.entry(key).or_default());
        Ok::<(), StoreError>(())
    };
    snapshot.usage(Window::ALL, add).unwrap();
    let mut used = Used::new();
    for ((device, app), day) in &days {
        for ((hour, _), _, grade) in day.grades(&settings.evidence) {
            if grade.evidence == Evidence::Interactive {
                let hour = hour.rem_euclid(86_400) / 3600;
                used.insert((device.clone(), hour as u32, app.clone()));
            }
        }
    }
    used
}

/// The recording of addresses that are no person, in which all machines behind the gateway begin with
/// the same time to live.
fn with_one_time_to_live(folder: &Path) -> PathBuf {
    const GATEWAY: [u8; 4] = [10, 30, 0, 4];
    const FILE_HEADER: usize = 24;
    const RECORD_HEADER: usize = 16;
    let recording = fs::read(support::fixtures().join("corpus/sources.pcap.zst")).unwrap();
    let mut bytes = Vec::new();
    ruzstd::decoding::StreamingDecoder::new(&recording[..])
        .unwrap()
        .read_to_end(&mut bytes)
        .unwrap();
    let mut at = FILE_HEADER;
    while at < bytes.len() {
        let captured: [u8; 4] = bytes[at + 8..at + 12].try_into().unwrap();
        let frame = at + RECORD_HEADER;
        at = frame + u32::from_le_bytes(captured) as usize;
        let frame = &mut bytes[frame..at];
        if frame.get(12..14) == Some(&[8, 0]) && frame.get(26..30) == Some(&GATEWAY) {
            frame[22] = 63;
        }
    }
    let path = folder.join("one-time-to-live.pcap");
    fs::write(&path, bytes).unwrap();
    path
}

/// Thirty machines of one kind behind a gateway are found by their number alone.
#[test]
fn a_gateway_is_found_where_all_behind_it_are_alike() {
    let folder = tempfile::tempdir().unwrap();
    let db = folder.path().join("usage.db");
    let recording = with_one_time_to_live(folder.path());
    read(&db, recording.to_str().unwrap(), "");
    let found = judged(&db, &Settings::default());
    let reasons: Vec<_> = found.iter().map(|(device, reason)| (&**device, *reason)).collect();
    let expected = [
        ("10.30.0.2", Reason::Resolver),
        ("10.30.0.3", Reason::ForwardProxy),
        ("10.30.0.4", Reason::NatGateway),
        ("10.30.0.5", Reason::Server),
    ];
    assert_eq!(reasons, expected);
    // By what it passes on and by ports; either with the other's help.
    let store = Store::open_read_only(&db).unwrap();
    let sources = store.snapshot().unwrap().sources(Window::ALL).unwrap();
    let facts = &sources["10.30.0.4"].facts;
    assert_eq!((facts.of(Trait::TimeToLive), facts.of(Trait::OptionOrder)), (1, 1));
    assert_eq!((facts.of(Trait::PassesOn), facts.of(Trait::OpensItself)), (6, 0));
    assert!(facts.of(Trait::PortRun) >= 16, "{facts:?}");
    for text in ["nat_port_runs = 40", "nat_passed_on_percent = 0"] {
        let settings = Settings::parse(&format!("[shared_sources]\n{text}\n")).unwrap();
        assert_eq!(judged(&db, &settings).len(), 4, "{text}");
    }
    let neither = "[shared_sources]\nnat_port_runs = 40\nnat_passed_on_percent = 0\n";
    assert_eq!(judged(&db, &Settings::parse(neither).unwrap()).len(), 3);
}

/// The addresses that are no person, and why.
fn judged(db: &Path, settings: &Settings) -> BTreeSet<(String, Reason)> {
    let store = Store::open_read_only(db).unwrap();
    let sources = store.snapshot().unwrap().sources(Window::ALL).unwrap();
    let judge = |(device, source): (String, SourceFact)| {
        let reason = settings.shared_sources.reason(&device, &source.facts)?;
        Some((device, reason))
    };
    sources.into_iter().filter_map(judge).collect()
}

/// Precision, recall and inflation, of what is found by what is true.
fn agreement<T: Ord>(found: &BTreeSet<T>, truth: &BTreeSet<T>) -> (f64, f64) {
    let both = found.intersection(truth).count() as f64;
    (both / found.len().max(1) as f64, both / truth.len() as f64)
}

/// A number with its thousands apart.
fn spaced(number: u64) -> String {
    match number {
        0..1000 => number.to_string(),
        _ => format!("{},{:03}", number / 1000, number % 1000),
    }
}

/// The table of `src/evidence/README.md`: every threshold over its values, the others as they are.
#[test]
fn the_curves_are_those_in_the_documentation() {
    let corpus = Corpus::read();
    let db = corpus.folder.path().join("usage.db");
    let sources = corpus.folder.path().join("sources.db");
    read(&sources, "sources.pcap.zst", "");
    let truth = corpus.true_use();
    // What the curves are measured with says what reports say.
    assert_eq!(graded(&db, &Settings::default()), corpus.reported(""));
    let no_person: BTreeSet<(String, Reason)> =
        judged(&sources, &Settings::default()).into_iter().collect();
    assert_eq!(no_person.len(), 4);

    let defaults = toml::Table::try_from(Settings::default()).unwrap();
    let mut lines = String::from("threshold\tvalue\tprecision\trecall\tinflation\n");
    let mut table = String::new();
    let mut row = |threshold: &str, default: &toml::Value, cells: &[(u64, [f64; 3])]| {
        let mut shown = Vec::new();
        for &(value, [precision, recall, inflation]) in cells {
            writeln!(lines, "{threshold}\t{value}\t{precision:.3}\t{recall:.3}\t{inflation:.3}")
                .unwrap();
            let mark = if default.as_integer() == Some(value as i64) { "**" } else { "" };
            let value = spaced(value);
            shown.push(format!("{mark}{value}{mark}: {precision:.2} {recall:.2} {inflation:.2}"));
        }
        writeln!(table, "| `{threshold}` | {} |", shown.join("; ")).unwrap();
    };
    let apps = |used: &Used| used.iter().map(|(.., app)| app.clone()).collect::<BTreeSet<_>>();
    let mut measured = BTreeSet::new();
    for (threshold, values) in CURVES {
        let of = |value: &u64| {
            let text = format!("[evidence]\n{threshold} = {value}\n");
            let settings = Settings::parse(&text).unwrap();
            let found = graded(&db, &settings);
            let (precision, recall) = agreement(&found, &truth);
            let inflation = apps(&found).len() as f64 / apps(&truth).len() as f64;
            (*value, [precision, recall, inflation])
        };
        row(
            threshold,
            &defaults["evidence"][threshold],
            &values.iter().map(of).collect::<Vec<_>>(),
        );
        measured.insert(threshold);
    }
    for (threshold, values) in SOURCE_CURVES {
        let of = |value: &u64| {
            let text = format!("[shared_sources]\n{threshold} = {value}\n");
            let found = judged(&sources, &Settings::parse(&text).unwrap());
            let (precision, recall) = agreement(&found, &no_person);
            (*value, [precision, recall, found.len() as f64 / no_person.len() as f64])
        };
        let default = &defaults["shared_sources"][threshold];
        row(threshold, default, &values.iter().map(of).collect::<Vec<_>>());
        measured.insert(threshold);
    }
    for settings in ["evidence", "shared_sources"] {
        for name in defaults[settings].as_table().unwrap().keys().filter(|name| *name != "known") {
            assert!(measured.contains(name.as_str()), "{name} has no curve");
        }
    }

    let golden = support::fixtures().join("corpus/curves.tsv");
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/evidence/README.md");
    let text = fs::read_to_string(&readme).unwrap();
    let (before, rest) = text.split_once(CURVES_BEGIN).unwrap();
    let (shown, after) = rest.split_once(CURVES_END).unwrap();
    let table =
        format!("\n| threshold | value: precision, recall, inflation |\n| --- | --- |\n{table}\n");
    if std::env::var_os("UPDATE_EXPECT").is_some_and(|value| value == "1") {
        fs::write(&golden, &lines).unwrap();
        fs::write(&readme, format!("{before}{CURVES_BEGIN}{table}{CURVES_END}{after}")).unwrap();
        return;
    }
    assert_eq!(fs::read_to_string(&golden).unwrap_or_default(), lines);
    assert_eq!(shown, table, "the table in {}", readme.display());
}

/// A resolver, a forward proxy, a NAT gateway with thirty machines behind it, and a busy server.
#[test]
fn addresses_that_are_no_person_use_nothing() {
    const PEOPLE: std::ops::RangeInclusive<u32> = 11..=16;
    let capture = support::fixtures().join("corpus/sources.pcap.zst");
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report");
    let mut command = support::program();
    command.args(["read", "--db"]).arg(folder.path().join("usage.db"));
    command.arg("--signatures").arg(signatures());
    let ended = command.arg("--report").arg(&report).arg(&capture).output().unwrap();
    let summary = support::Ended::from(ended).expect(0).stdout;
    let shared: Vec<(String, String)> = support::csv_rows(&report.join("shared_sources.csv"))
        .into_iter()
        .map(|row| (row["device"].clone(), row["reason"].clone()))
        .collect();
    let expected = [
        ("10.30.0.2", "resolver"),
        ("10.30.0.3", "forward_proxy"),
        ("10.30.0.4", "nat_gateway"),
        ("10.30.0.5", "server"),
    ];
    let expected: Vec<_> =
        expected.map(|(device, reason)| (device.to_owned(), reason.to_owned())).into();
    assert_eq!(shared, expected);
    for (device, reason) in &expected {
        let line = summary.lines().find(|line| line.trim_start().starts_with(device.as_str()));
        assert!(line.is_some_and(|line| line.ends_with(reason)), "{summary}");
    }

    let usage = support::csv_rows(&report.join("usage.csv"));
    for row in &usage {
        let is_shared = row["device"].starts_with("shared_source ");
        let person = PEOPLE.clone().any(|number| row["device"] == format!("10.30.0.{number}"));
        assert!(is_shared || person, "{row:?}");
        assert!(!is_shared || row["user"].is_empty());
    }
    // Each of the people worked with two apps.
    for number in PEOPLE {
        let device = format!("10.30.0.{number}");
        let used = usage
            .iter()
            .filter(|row| row["device"] == device && row["evidence"] == "interactive")
            .count();
        assert_eq!(used, 2, "{device}");
    }
    // What people do behind the gateway is in the totals, and nobody's.
    let apps = support::csv_rows(&report.join("apps.csv"));
    let notion = apps.iter().find(|row| row["app_id"] == "notion").unwrap();
    assert_eq!((&*notion["devices"], &*notion["evidence_best"]), ("0", "interactive"));

    // Each row that is nobody's can be asked about, and so can the address behind it.
    let db = folder.path().join("usage.db");
    for row in usage.iter().filter(|row| row["device"].starts_with("shared_source ")) {
        let text = why(&db, &["--app", &row["app_id"], "--user", &row["device"]]);
        assert!(text.contains("Credited to nobody: 10.30.0."), "{text}");
        assert!(text.contains(&row["evidence"]), "{text}");
    }
    let text = why(&db, &["--app", "notion", "--user", "10.30.0.4"]);
    assert!(
        text.contains("Credited to nobody: a nat_gateway, ")
            && text.contains("nat_times_to_live = 3")
    );

    // The operator knows better.
    let settings = folder.path().join("evidence.toml");
    let known = "[shared_sources]\nknown = [{ network = '10.30.0.5', is = 'person' }]\n";
    fs::write(&settings, known).unwrap();
    let mut command = support::program();
    command.args(["report", "--db"]).arg(folder.path().join("usage.db"));
    command.arg("--evidence").arg(&settings).arg("--out").arg(&report);
    support::Ended::from(command.output().unwrap()).expect(0);
    let rows = support::csv_rows(&report.join("usage.csv"));
    assert!(rows.iter().any(|row| row["device"] == "10.30.0.5" && row["app_id"] == "slack"));
}

/// What `why` says, after it was seen that it fits a screen.
fn why(db: &Path, arguments: &[&str]) -> String {
    let text = why_ended(db, arguments).expect(0).stdout;
    assert!(text.lines().count() <= 30, "{} lines:\n{text}", text.lines().count());
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    text
}

fn why_ended(db: &Path, arguments: &[&str]) -> support::Ended {
    let mut command = support::program();
    command.args(["why", "--db"]).arg(db).arg("--signatures").arg(signatures()).args(arguments);
    support::Ended::from(command.output().unwrap())
}

/// In a screenful: class, reason, facts, names, rules and settings, or why there is no row.
#[test]
fn why_fits_a_screen() {
    let corpus = Corpus::read();
    let db = corpus.folder.path().join("usage.db");
    for (client, _, app, what) in corpus.truth.iter().step_by(23) {
        let text = why(&db, &["--app", app, "--user", client, "--day", DAY]);
        if what == "used" {
            assert!(text.contains("\nUSED: interactive"), "{client} {app}:\n{text}");
            assert!(text.contains("yes bytes") && text.contains("interactive_bytes = 20000"));
        }
        if what == "sync" {
            assert!(text.contains("NOT USED") && text.contains("pattern sync"), "{text}");
            assert!(text.contains("sync_regular_percent = 80"), "{text}");
        }
        for part in ["because ", "Its names matched these rules of ", "\n  rule "] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }
    // Rows of several days or people, the strongest in full.
    let several = why(&db, &["--app", &corpus.truth[0].2]);
    assert!(several.contains("here is the first with the strongest evidence"), "{several}");

    let of_slack = |wanted: &str| {
        corpus.truth.iter().any(|(client, _, app, _)| client == wanted && app == "slack")
    };
    let idle = &corpus.truth.iter().find(|(client, ..)| !of_slack(client)).unwrap().0;
    let absent = why(&db, &["--app", "slack", "--user", idle]);
    assert!(absent.contains("No row") && absent.contains("other devices"), "{absent}");
    assert!(absent.contains("Names that would have been taken for it"), "{absent}");
    assert!(absent.contains("\n  use       "), "{absent}");
    let empty = why(&db, &["--app", "slack", "--day", "2026-01-01"]);
    assert!(empty.contains("no traffic of that time"), "{empty}");
    for (wrong, right) in [("salck", Some("slack")), ("Slack", Some("slack")), ("zzqqyyxx", None)] {
        let said = why_ended(&db, &["--app", wrong]).expect(2).stderr;
        assert_eq!(said.contains("did you mean"), right.is_some(), "{said}");
        assert!(said.contains(wrong) && said.contains(right.unwrap_or(wrong)), "{said}");
    }
}
