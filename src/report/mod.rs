//! Reports: what the store holds, as CSV files and a manifest in a folder.
//!
//! The same database and range give the same bytes, whenever and wherever they are asked for:
//! every file has a total order, every number an exact form. All files come from one state of the
//! database, also while somebody writes to it, and each is put in place as a whole.
//!
//! Days are those of the zone whose hours the database keeps. What the columns mean is told in the
//! module that writes the file.

mod apps;
mod days;
mod detours;
mod keeper;
mod manifest;
mod new_apps;
mod output;
mod shared;
mod table;
mod unmatched;
mod usage;
mod visibility;

use std::io;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use thiserror::Error;

use crate::evidence::Settings;
use crate::store::{Snapshot, Stages, Store, StoreError, Window};
use crate::time::{NANOS_PER_SECOND, Timestamp};
use days::Days;
use output::Output;

pub use keeper::{Keeper, day_of};
pub use output::hex;
pub use shared::SHARED_SOURCE;
pub use table::neutral;

/// Which part of the store is told: hours that lie in `from ..= to`, at least in part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportRange {
    /// The first moment; open when `None`.
    pub from: Option<Timestamp>,
    /// The first moment after it; open when `None`.
    pub to: Option<Timestamp>,
}

/// Why no report was written. Files that were in the folder before are as they were, or already
/// replaced as a whole.
#[derive(Debug, Error)]
pub enum ReportError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file or the folder.
    #[error("cannot write {path}: {source}", path = .path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The machine does not know the database's time zone.
    #[error(
        "the database {path} keeps hours of the time zone {zone}, which this machine does not \
         know; install its time zone data (Debian: tzdata)", path = .path.display()
    )]
    Zone {
        /// The database.
        path: PathBuf,
        /// The zone's name.
        zone: String,
    },
    /// A stamp that no calendar has.
    #[error("the database {path} holds a time out of range: {source}", path = .path.display())]
    Time {
        /// The database.
        path: PathBuf,
        /// What the calendar says.
        source: jiff::Error,
    },
}

/// Writes `apps.csv`, `usage.csv`, `shared_sources.csv`, `detours.csv`, `new_apps.csv`, `unmatched.csv`, `visibility.csv` and
/// `manifest.json` into `folder`, which is made if need be, and answers their paths. `settings` say
/// what counts as use.
///
/// # Errors
/// The database cannot be read, or a file not be written.
pub fn write_reports(
    store: &Store,
    folder: &Path,
    range: ReportRange,
    settings: &Settings,
) -> Result<Vec<PathBuf>, ReportError> {
    let zone_name = store.zone()?;
    let Ok(zone) = TimeZone::get(&zone_name) else {
        return Err(ReportError::Zone { path: store.path().to_path_buf(), zone: zone_name });
    };
    std::fs::create_dir_all(folder)
        .map_err(|source| ReportError::Write { path: folder.to_path_buf(), source })?;
    let snapshot = store.snapshot()?;
    let window = window(&snapshot, range)?;
    let days = Days::new(&snapshot, &zone, store.path(), window);

    let mut apps = apps::Apps::begin(Output::create(folder, "apps.csv")?)?;
    let mut usage = usage::Usage::begin(Output::create(folder, "usage.csv")?)?;
    let mut visibility = visibility::Visibility::begin(Output::create(folder, "visibility.csv")?)?;
    let mut detours = detours::Detours::begin(Output::create(folder, "detours.csv")?)?;
    let mut shared = shared::Shared::begin(Output::create(folder, "shared_sources.csv")?)?;
    let mut rests_on = Stages::<u64>::default();
    days.each(|day| {
        let sources = shared.add_day(&snapshot, day, &settings.shared_sources)?;
        let mut by_app = usage.add_day(&snapshot, &days, day, &sources, &settings.evidence)?;
        for (app, total) in snapshot.totals_of_apps(day.window)? {
            by_app.entry(app).or_default().add_total(total);
        }
        let Stages { hours, days: whole, totals } = snapshot.stages(day.window)?;
        rests_on.hours += u64::from(hours);
        rests_on.days += u64::from(whole);
        rests_on.totals += u64::from(totals);
        apps.add_day(&snapshot, &days, day, &by_app)?;
        detours.add_day(&snapshot, day)?;
        visibility.add_day(&snapshot, &days, day)
    })?;
    let new_apps = Output::create(folder, "new_apps.csv")?;
    let unmatched = Output::create(folder, "unmatched.csv")?;
    let files = [
        apps.finish()?,
        usage.finish()?,
        shared.finish()?,
        detours.finish()?,
        new_apps::write(new_apps, &snapshot, &days)?,
        unmatched::write(unmatched, &snapshot, &days)?,
        visibility.finish()?,
    ];
    let mut paths: Vec<PathBuf> = files.iter().map(|file| file.path.clone()).collect();
    let manifest = Output::create(folder, "manifest.json")?;
    let made_with = manifest::MadeWith { zone: &zone_name, settings, rests_on };
    paths.push(manifest::write(manifest, &snapshot, &days, &made_with, &files)?.path);
    Ok(paths)
}

/// Whole hours: the one that holds `from` up to the one that holds `to`.
fn window(snapshot: &Snapshot<'_>, range: ReportRange) -> Result<Window, StoreError> {
    let mut window = Window::ALL;
    if let Some(from) = range.from {
        // Hours begin at full, half or quarter ones of UTC: the last that begins by then, if it
        // still holds `from`.
        let before = Window { from: from.seconds() - 3599, to: from.seconds() + 1 };
        window.from = snapshot.last_hour(before)?.unwrap_or(from.seconds());
    }
    if let Some(to) = range.to {
        // Whole hours: those that begin before it.
        window.to = to.offset(NANOS_PER_SECOND - 1).seconds();
    }
    Ok(window)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;
    use crate::evidence::source::Trait;
    use crate::ledger::Bucket;
    use crate::observation::NameSource;
    use crate::stats::Counter;
    use crate::store::testing::{app, capture, empty_commit, stamp, start, subject};
    use crate::store::{
        Commit, HealthRow, RingRow, RunStart, Sums, Target, TotalsRow, TraitRow, UsageRow,
        VisibilityRow,
    };
    use crate::time::{Hour, HourGrid};
    use crate::worker::part::{Health, RingSums};

    /// Begins and finishes a run whose only commit `fill` has filled.
    fn run_of(store: &mut Store, number: u8, fill: impl FnOnce(&mut Store, &mut Commit)) {
        run_begun(store, &start(&[capture(number)], false), fill);
    }

    /// The same of a run that begins so.
    fn run_begun(store: &mut Store, start: &RunStart, fill: impl FnOnce(&mut Store, &mut Commit)) {
        let run = store.begin_run(start).unwrap().run;
        let mut commit = empty_commit(store, 1);
        fill(store, &mut commit);
        store.commit(run, &commit).unwrap();
        store.finish_run(run, &[]).unwrap();
    }

    /// A row of `user` at `device` in the hour of `first`, which is in minutes since 1970.
    fn row(
        store: &mut Store,
        who: (&str, &str),
        what: &Target,
        first: i32,
        sums: Sums,
    ) -> UsageRow {
        UsageRow {
            hour: HourGrid::utc().hour(stamp(first, 0).minute()),
            subject: store.subject_id(&subject(who.0, who.1)).unwrap(),
            target: store.target_id(what).unwrap(),
            name_source: NameSource::Sni,
            sums: Sums { first_seen: stamp(first, 0), last_seen: stamp(first, 30), ..sums },
        }
    }

    fn traffic(connections: u64, minutes: u64) -> Sums {
        Sums {
            connections,
            bytes_up: 10 * connections,
            bytes_down: 100 * connections,
            minutes_up: minutes,
            minutes_down: minutes,
            minutes_begun: 1,
            handshakes: connections,
            // As somebody at work leaves it.
            flow_up_max: 5000,
            flow_bytes_max: 90_000,
            ..Sums::default()
        }
    }

    /// The report of everything, by file name.
    fn report(store: &Store, range: ReportRange) -> std::collections::BTreeMap<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("new/folder");
        let paths = write_reports(store, &folder, range, &Settings::default()).unwrap();
        assert_eq!(fs::read_dir(paths[0].parent().unwrap()).unwrap().count(), 8);
        let named = |path: &PathBuf| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(path).unwrap())
        };
        paths.iter().map(named).collect()
    }

    /// The lines of a file without its header.
    fn lines(text: &str) -> Vec<&str> {
        text.lines().skip(1).collect()
    }

    const NOON: i32 = 12 * 60;

    #[test]
    fn minutes_are_counted_once_a_row_and_summed_over_rows() {
        let mut store = Store::in_memory("UTC").unwrap();
        run_of(&mut store, 1, |store, commit| {
            let (slack, login) = (app("slack", "use"), app("slack", "login"));
            let (ada, bob) = (("ada", "10.0.0.1"), ("bob", "10.0.0.1"));
            commit.usage = vec![
                row(store, ada, &slack, NOON, traffic(1, 0b0011)),
                // The same minute under another name, and payload of the two directions in
                // different rows.
                row(store, ada, &login, NOON, traffic(1, 0b0110)),
                row(store, ada, &login, NOON, Sums { minutes_up: 0b1000, ..traffic(1, 0) }),
                UsageRow {
                    name_source: NameSource::Dns,
                    ..row(store, ada, &slack, NOON, Sums { minutes_down: 0b1000, ..traffic(1, 0) })
                },
                // The same bits of another hour are other minutes.
                row(store, ada, &slack, NOON + 60, traffic(1, 0b0001)),
                row(store, bob, &slack, NOON, traffic(1, 0b0001)),
            ];
        });
        let files = report(&store, ReportRange::default());
        assert_eq!(
            lines(&files["usage.csv"]),
            [
                "1970-01-01,Lab,ada,10.0.0.1,slack,SLACK,,,collaboration,5,0,5,50,500,0,\
                 1970-01-01T12:00:00.000000+00:00,1970-01-01T13:00:30.000000+00:00,interactive,false,,sni",
                "1970-01-01,Lab,bob,10.0.0.1,slack,SLACK,,,collaboration,1,0,1,10,100,0,\
                 1970-01-01T12:00:00.000000+00:00,1970-01-01T12:00:30.000000+00:00,interactive,false,,sni",
            ]
        );
        assert_eq!(
            lines(&files["apps.csv"]),
            ["1970-01-01,slack,SLACK,Vendor,,collaboration,2,1,6,0,6,60,600,660,\
              1970-01-01T12:00:00.000000+00:00,1970-01-01T13:00:30.000000+00:00,\
              interactive,0.0000,,2026.11"]
        );
    }

    #[test]
    fn only_use_is_use() {
        let mut store = Store::in_memory("UTC").unwrap();
        run_of(&mut store, 1, |store, commit| {
            let ada = ("ada", "10.0.0.1");
            for role in ["visit", "embed", "telemetry", "site", "infra"] {
                commit.usage.push(row(store, ada, &app("slack", role), NOON, traffic(1, 1)));
            }
            let question = Sums { dns_queries: 2, ..Sums::default() };
            commit.usage.push(UsageRow {
                name_source: NameSource::Dns,
                ..row(store, ("", "10.0.0.2"), &app("zoom", "use"), NOON, question)
            });
            let failed = Sums { attempts_failed: 1, ..Sums::default() };
            commit.usage.push(row(store, ("", "10.0.0.3"), &app("mega", "use"), NOON, failed));
            commit.usage.push(row(
                store,
                ada,
                &Target::Domain("asked.example".into()),
                NOON,
                question,
            ));
        });
        let files = report(&store, ReportRange::default());
        let ids = |file: &str, column: usize| -> Vec<String> {
            let cell = |line: &str| line.split(',').nth(column).unwrap().to_owned();
            lines(&files[file]).into_iter().map(cell).collect()
        };
        // A question makes a row of usage, but no app; a failed attempt makes both.
        assert_eq!(ids("usage.csv", 4), ["zoom", "mega", "slack"]);
        assert_eq!(ids("usage.csv", 17), ["dns_only", "address_only", "two_way_payload"]);
        assert_eq!(ids("usage.csv", 18), ["false", "false", "false"], "slack was visited");
        assert_eq!(ids("apps.csv", 1), ["mega", "slack"]);
        assert_eq!(ids("apps.csv", 6), ["0", "0"], "nobody used anything");
        assert_eq!(ids("apps.csv", 16), ["address_only", "two_way_payload"]);
        assert_eq!(ids("apps.csv", 17), ["0.0000", "0.8000"]);
        assert_eq!(ids("unmatched.csv", 2), [""; 0]);
    }

    #[test]
    fn who_is_no_person_is_nobodys_device() {
        let mut store = Store::in_memory("UTC").unwrap();
        run_of(&mut store, 1, |store, commit| {
            let hour = HourGrid::utc().hour(stamp(NOON, 0).minute());
            for (user, device) in [("ada", "10.0.0.1"), ("bob", "10.0.0.2"), ("eve", "10.0.0.3")] {
                let used = row(store, (user, device), &app("slack", "use"), NOON, traffic(2, 1));
                commit.usage.push(used);
                for value in 0..u64::from(user != "ada") * 5 {
                    let what = Trait::TimeToLive;
                    commit.traits.push(TraitRow { hour, subject: used.subject, what, value });
                }
            }
        });
        let files = report(&store, ReportRange::default());
        let usage = lines(&files["usage.csv"]);
        assert!(usage[0].starts_with("1970-01-01,Lab,ada,10.0.0.1,slack,SLACK,,,collaboration,2,"));
        let nobody = "1970-01-01,,,shared_source nat_gateway,slack,SLACK,,,collaboration,4,";
        assert!(usage[1].starts_with(nobody) && usage.len() == 2, "{usage:?}");
        assert!(lines(&files["apps.csv"])[0].contains(",collaboration,1,1,6,0,2,"));
        let shared = lines(&files["shared_sources.csv"]);
        assert_eq!(
            shared,
            [
                "1970-01-01,10.0.0.2,nat_gateway,2,0,20,200,5 initial times to live within an hour",
                "1970-01-01,10.0.0.3,nat_gateway,2,0,20,200,5 initial times to live within an hour",
            ]
        );
    }

    #[test]
    fn the_books_agree_with_the_manifest() {
        let mut store = Store::in_memory("UTC").unwrap();
        run_of(&mut store, 1, |_, commit| {
            for (hour, app, no_name) in [(0, 100, 23), (23 * 60, 1, 2), (24 * 60, 3, 4)] {
                let hour = Hour(hour);
                for (bucket, bytes) in [(Bucket::App, app), (Bucket::NoName, no_name)] {
                    commit.visibility.push(VisibilityRow { hour, bucket, flows: 1, bytes });
                }
                commit.totals.push(TotalsRow {
                    hour,
                    packets: 2,
                    total_bytes: app + no_name,
                    ip_bytes: app,
                    first_seen: stamp(hour.0, 1),
                    last_seen: stamp(hour.0, 2),
                });
            }
            commit.counters.add(Counter::Packets, 6);
            commit.counters.add(Counter::SnapCut, 5);
            commit.counters.add(Counter::FlowEvicted, 7);
        });
        let files = report(&store, ReportRange::default());
        let visibility = lines(&files["visibility.csv"]);
        assert_eq!(visibility.len(), 2 * Bucket::ALL.len());
        assert_eq!(visibility[0], "1970-01-01,,undecodable,0,0,0.0000,0,0.0000,0.0000,false");
        assert_eq!(visibility[10], "1970-01-01,,app,2,101,80.1587,0,0.0000,0.0000,false");
        let next_day = "1970-01-02,,app,1,3,42.8571,0,0.0000,0.0000,false";
        assert_eq!(visibility[10 + Bucket::ALL.len()], next_day);
        let bytes: u64 =
            visibility.iter().map(|l| l.split(',').nth(4).unwrap().parse::<u64>().unwrap()).sum();
        let manifest: serde_json::Value = serde_json::from_str(&files["manifest.json"]).unwrap();
        assert_eq!(manifest["total_bytes"], bytes);
        assert_eq!(manifest["packets"], 6);
        assert_eq!(manifest["ip_bytes"], 104);
        assert_eq!(manifest["losses"], serde_json::json!({"flow_evicted": 7, "snap_cut": 5}));
        let bounded = serde_json::json!([{"bound": "flow_evicted", "times": 7}]);
        assert_eq!(manifest["bounded"], bounded);
        assert_eq!(manifest["first_seen"], "1970-01-01T00:00:01.000000+00:00");
        for (name, sha256) in manifest["files_sha256"].as_object().unwrap() {
            let digest = ring::digest::digest(&ring::digest::SHA256, files[name].as_bytes());
            assert_eq!(sha256.as_str().unwrap(), output::hex(digest.as_ref()));
        }

        // A part of it: the second day alone.
        let range = ReportRange { from: Some(stamp(24 * 60, 59)), to: None };
        let files = report(&store, range);
        let visibility = lines(&files["visibility.csv"]);
        assert_eq!(visibility.len(), Bucket::ALL.len());
        assert_eq!(visibility[10], next_day, "days before the report count");
        let manifest: serde_json::Value = serde_json::from_str(&files["manifest.json"]).unwrap();
        assert_eq!(manifest["total_bytes"], 7);
        assert_eq!(manifest["date_from"], "1970-01-02");
        for to in [stamp(24 * 60 - 1, 59), stamp(24 * 60, 0)] {
            let files = report(&store, ReportRange { from: None, to: Some(to) });
            let manifest: serde_json::Value =
                serde_json::from_str(&files["manifest.json"]).unwrap();
            assert_eq!(manifest["total_bytes"], 126);
        }
    }

    /// Days of one site on which the other has none are no days of that one, and its losses, users
    /// and breaks are its own.
    #[test]
    fn a_site_has_the_rows_that_it_has_alone() {
        let fill = |site: &'static str| {
            move |store: &mut Store, commit: &mut Commit| {
                let is_harbour = site == "Harbour";
                // What was an app's on the days before is nobody's on the last.
                let days: &[i32] = if is_harbour { &[0, 1, 4] } else { &[1, 2, 3, 4] };
                for &day in days {
                    let hour = Hour(day * 24 * 60);
                    let (app_bytes, no_name) = match (is_harbour, day) {
                        (true, 4) => (10, 90),
                        (true, _) => (90, 10),
                        (false, _) => (500, 500),
                    };
                    for (bucket, bytes) in [(Bucket::App, app_bytes), (Bucket::NoName, no_name)] {
                        commit.visibility.push(VisibilityRow { hour, bucket, flows: 1, bytes });
                    }
                    let user = if is_harbour { "ada" } else { "" };
                    let what = app("slack", "use");
                    let used = row(store, (user, site), &what, hour.0, traffic(1, 1));
                    commit.usage.push(used);
                    let gap_bytes = if is_harbour { 25 } else { 0 };
                    let health = Health { sequence_bytes: 75, gap_bytes, ..Health::default() };
                    commit.health.push(HealthRow { hour, health });
                    if !is_harbour {
                        let sums = RingSums { dropped: 7, ..RingSums::default() };
                        commit.rings.push(RingRow { hour, ring: 0, sums });
                    }
                }
            }
        };
        let ledger = |sites: &[&'static str]| -> Vec<String> {
            let mut store = Store::in_memory("UTC").unwrap();
            for (number, site) in (1..).zip(sites) {
                let named = RunStart { site: (*site).into(), ..start(&[capture(number)], false) };
                run_begun(&mut store, &named, fill(site));
            }
            let files = report(&store, ReportRange::default());
            lines(&files["visibility.csv"]).into_iter().map(str::to_owned).collect()
        };
        let (office, harbour) = (ledger(&["=Office"]), ledger(&["Harbour"]));
        assert_eq!(office.len(), 4 * Bucket::ALL.len());
        assert_eq!(harbour.len(), 3 * Bucket::ALL.len());
        for said in [
            "1970-01-02,'=Office,app,1,500,50.0000,7,0.0000,0.0000,false",
            "1970-01-05,'=Office,app,1,500,50.0000,7,0.0000,0.0000,false",
        ] {
            assert!(office.iter().any(|line| line == said), "{office:#?}");
        }
        for said in [
            "1970-01-02,Harbour,app,1,90,90.0000,0,25.0000,100.0000,false",
            "1970-01-05,Harbour,app,1,10,10.0000,0,25.0000,100.0000,true",
            "1970-01-05,Harbour,unmatched,0,0,0.0000,0,25.0000,100.0000,false",
        ] {
            assert!(harbour.iter().any(|line| line == said), "{harbour:#?}");
        }
        // By date, then by site, whoever came first.
        let mut apart = [office, harbour].concat();
        apart.sort_by_key(|line| (line[..10].to_owned(), !line.contains("=Office")));
        assert_eq!(ledger(&["Harbour", "=Office"]), apart);
        assert_eq!(ledger(&["=Office", "Harbour"]), apart);
    }

    #[test]
    fn reports_are_the_same_whatever_came_first() {
        let fill = |number: u8| {
            move |store: &mut Store, commit: &mut Commit| {
                let who = [("ada", "10.0.0.1"), ("bob", "10.0.0.2"), ("", "10.0.0.3")];
                for (i, who) in who.into_iter().cycle().take(12).enumerate() {
                    let target = match i % 4 {
                        3 => Target::Domain(format!("{}.example", i + usize::from(number))),
                        n => app(["slack", "zoom", "box"][n], "use"),
                    };
                    let minute = NOON + 60 * i as i32 + i32::from(number);
                    commit.usage.push(row(store, who, &target, minute, traffic(i as u64 + 1, 7)));
                }
            }
        };
        let mut forth = Store::in_memory("Europe/Berlin").unwrap();
        let mut back = Store::in_memory("Europe/Berlin").unwrap();
        for number in [1, 2, 3] {
            run_of(&mut forth, number, fill(number));
            run_of(&mut back, 4 - number, |store, commit| {
                fill(4 - number)(store, commit);
                commit.usage.reverse();
            });
        }
        let files = report(&forth, ReportRange::default());
        assert_eq!(files, report(&forth, ReportRange::default()));
        assert_eq!(files, report(&back, ReportRange::default()));
        assert_eq!(lines(&files["usage.csv"]).len(), 9);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// When merge commits must not show: any rows, cut into commits anywhere and in any order.
        #[test]
        fn how_rows_are_cut_into_commits_changes_nothing(
            rows in prop::collection::vec(
                (0..3usize, 0..3usize, 0..4000i32, 0..4u64, any::<[u64; 2]>()), 1..40),
            cuts in prop::collection::vec(0..40usize, 0..4),
        ) {
            let filled = |cuts: &[usize], reversed: bool| {
                let mut store = Store::in_memory("UTC").unwrap();
                let run = store.begin_run(&start(&[capture(1)], false)).unwrap().run;
                let mut commits = vec![empty_commit(&mut store, 0)];
                let mut rows: Vec<_> = rows.iter().copied().enumerate().collect();
                if reversed {
                    rows.reverse();
                }
                for (index, (who, what, minute, number, [up, down])) in rows {
                    if cuts.contains(&index) {
                        let next = empty_commit(&mut store, commits.len() as u64);
                        commits.push(next);
                    }
                    let who = [("ada", "10.0.0.1"), ("bob", "10.0.0.1"), ("", "10.0.0.2")][who];
                    let what = match what {
                        0 => app("slack", "use"),
                        1 => app("slack", "login"),
                        _ => Target::Domain("a.example".into()),
                    };
                    let (minutes_up, minutes_down) = (up >> 4, down >> 4);
                    let sums = Sums { minutes_up, minutes_down, ..traffic(number, 0) };
                    let row = row(&mut store, who, &what, minute, sums);
                    commits.last_mut().unwrap().usage.push(row);
                }
                for commit in &commits {
                    store.commit(run, commit).unwrap();
                }
                store.finish_run(run, &[]).unwrap();
                report(&store, ReportRange::default())
            };
            prop_assert_eq!(filled(&[], false), filled(&cuts, true));
        }
    }

    #[test]
    fn days_and_times_are_those_of_the_zone() {
        let mut store = Store::in_memory("Asia/Kathmandu").unwrap();
        run_of(&mut store, 1, |store, commit| {
            // 20 July 2026, 18:14 and 18:15 UTC: midnight in Kathmandu is between them.
            let midnight = 29_742_855;
            for minute in [midnight - 1, midnight] {
                let grid = HourGrid::from_offsets([(stamp(0, 0).minute(), 345)]);
                let seen = row(store, ("ada", "d"), &app("slack", "use"), minute, traffic(1, 1));
                commit.usage.push(UsageRow { hour: grid.hour(stamp(minute, 0).minute()), ..seen });
            }
        });
        let files = report(&store, ReportRange::default());
        let starts: Vec<&str> = lines(&files["apps.csv"])
            .into_iter()
            .flat_map(|line| [line.split(',').next().unwrap(), line.split(',').nth(14).unwrap()])
            .collect();
        assert_eq!(
            starts,
            [
                "2026-07-20",
                "2026-07-20T23:59:00.000000+05:45",
                "2026-07-21",
                "2026-07-21T00:00:00.000000+05:45"
            ]
        );
    }

    #[test]
    fn an_empty_database_gives_empty_files() {
        let files = report(&Store::in_memory("UTC").unwrap(), ReportRange::default());
        assert!(files["apps.csv"].starts_with("date,app_id,app_name,app_vendor,app_suite,"));
        for name in ["apps.csv", "usage.csv", "unmatched.csv", "visibility.csv"] {
            assert_eq!(files[name].lines().count(), 1, "{name}");
        }
        let manifest: serde_json::Value = serde_json::from_str(&files["manifest.json"]).unwrap();
        assert_eq!(manifest["bounded"], serde_json::json!([]));
        assert_eq!(manifest["date_from"], serde_json::Value::Null);
    }

    #[test]
    fn formulas_from_the_wire_stay_text() {
        let mut store = Store::in_memory("UTC").unwrap();
        run_of(&mut store, 1, |store, commit| {
            let who = ("=cmd|' /C calc'!A0", "@SUM(1,1)");
            commit.usage = vec![
                row(store, who, &app("slack", "use"), NOON, traffic(1, 1)),
                row(store, who, &Target::Domain("-evil.example".into()), NOON, traffic(1, 1)),
            ];
        });
        let files = report(&store, ReportRange::default());
        assert!(files["usage.csv"].contains(",Lab,'=cmd|' /C calc'!A0,\"'@SUM(1,1)\",slack,"));
        assert!(files["unmatched.csv"].contains(",'-evil.example,1,1,1,"));
    }

    #[test]
    fn a_zone_that_the_machine_does_not_know_is_named() {
        let store = Store::in_memory("Mars/Olympus_Mons").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let error =
            write_reports(&store, folder.path(), ReportRange::default(), &Settings::default())
                .unwrap_err();
        assert!(error.to_string().contains("Mars/Olympus_Mons"), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
