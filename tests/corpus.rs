//! What counts as use, measured on a day of real clients whose truth is known (`fixtures/corpus`).
//!
//! The recording and its truth are made by `fixtures/record/corpus`. Precision and recall are those of "this client used this app in this hour"; inflation is
//! apps reported as used by apps used.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

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

impl Corpus {
    fn read() -> Corpus {
        let fixtures = support::fixtures().join("corpus");
        let folder = tempfile::tempdir().unwrap();
        let mut command = support::program();
        command.args(["read", "--quiet", "--db"]).arg(folder.path().join("usage.db"));
        command.arg("--signatures").arg(signatures());
        command.arg(fixtures.join("office.pcap.zst"));
        support::Ended::from(command.output().unwrap()).expect(0);
        let text = fs::read_to_string(fixtures.join("truth.tsv")).unwrap();
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

/// The table of `src/evidence/README.md`: each threshold over its values, the others as they are.
#[test]
fn the_curves_are_those_in_the_documentation() {
    const CURVES: [(&str, &[u64]); 6] = [
        ("interactive_bytes", &[5_000, 10_000, 20_000, 40_000, 80_000]),
        ("interactive_bytes_up", &[1_500, 2_500, 4_000, 8_000, 16_000]),
        ("payload_bytes_up", &[300, 700, 1_500]),
        ("shadow_seconds", &[1, 2, 5]),
        ("shadow_bytes", &[0, 50_000, 100_000, 200_000, 400_000]),
        ("shadow_bytes_up", &[1_500, 2_500, 4_000, 8_000]),
    ];
    let corpus = Corpus::read();
    let mut table = String::from("threshold\tvalue\tprecision\trecall\tinflation\n");
    for (threshold, values) in CURVES {
        for value in values {
            let found = corpus.measure(&format!("[evidence]\n{threshold} = {value}\n"));
            let Measured { precision, recall, inflation, .. } = found;
            writeln!(table, "{threshold}\t{value}\t{precision:.3}\t{recall:.3}\t{inflation:.3}")
                .unwrap();
        }
    }
    let golden = support::fixtures().join("corpus/curves.tsv");
    if std::env::var_os("UPDATE_EXPECT").is_some_and(|value| value == "1") {
        fs::write(&golden, &table).unwrap();
    }
    assert_eq!(fs::read_to_string(&golden).unwrap_or_default(), table);
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

/// In a screenful: class, reason, facts, names, rules and thresholds, or why there is no row.
#[test]
fn why_fits_a_screen() {
    let corpus = Corpus::read();
    let why = |arguments: &[&str]| {
        let mut command = support::program();
        command.args(["why", "--db"]).arg(corpus.folder.path().join("usage.db"));
        command.arg("--signatures").arg(signatures()).args(arguments);
        let text = support::Ended::from(command.output().unwrap()).expect(0).stdout;
        assert!(text.lines().count() <= 44, "{} lines:\n{text}", text.lines().count());
        assert!(text.lines().all(|line| line.chars().count() <= 120), "{text}");
        text
    };
    for (client, _, app, what) in corpus.truth.iter().step_by(41) {
        let text = why(&["--app", app, "--user", client, "--day", DAY]);
        if what == "used" {
            assert!(text.contains("used: interactive"), "{client} {app}:\n{text}");
        }
        for part in ["because", "names: from", "rules in", "interactive: on hosts of role use"] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }
    let absent = why(&["--app", "slack", "--user", "10.99.99.99"]);
    assert!(absent.contains("No row") && absent.contains("other devices"), "{absent}");
    assert!(why(&["--app", "slack", "--day", "2026-01-01"]).contains("no traffic of that time"));
    assert!(why(&["--app", "no-such-app"]).contains("no app of this id"));
}
