//! What days come to, for totals that outlive their rows: judged as a report of that day judges.

use jiff::tz::TimeZone;

use super::{days, shared, usage};
use crate::evidence::Settings;
use crate::store::{DayOf, DayTotal, Judge, Snapshot, StoreError, Window};

/// Seconds of an hour that no calendar has: it is a day of its own.
const HOUR_SECONDS: i64 = 3600;

/// The hours of a zone's day that holds the beginning of `hour`; the hour alone, where no calendar
/// has it.
pub fn day_of(zone: &TimeZone, hour: i64) -> Window {
    days::day_of(zone, hour)
        .map_or(Window { from: hour, to: hour + HOUR_SECONDS }, |(_, window)| window)
}

/// Tells days by a zone, and use by settings.
#[derive(Clone, Debug)]
pub struct Keeper {
    /// Whose days.
    pub zone: TimeZone,
    /// What counts as use, and which addresses are no person.
    pub settings: Settings,
}

impl Judge for Keeper {
    fn day_of(&self, hour: i64) -> Window {
        day_of(&self.zone, hour)
    }

    fn totals(&self, snapshot: &Snapshot<'_>, day: Window) -> Result<Vec<DayTotal>, StoreError> {
        let Settings { evidence, shared_sources } = &self.settings;
        let sources = shared::of_day(snapshot, day, shared_sources)?;
        let judged = |domains| usage::totals_of(snapshot, day, &sources, evidence, domains);
        let (mut apps, mut domains) = (judged(false)?, judged(true)?);
        let mut totals = Vec::new();
        snapshot.apps::<StoreError>(day, |fact| {
            let day = apps.remove(fact.app_id).unwrap_or_default();
            let of = DayOf::App(fact.app_id.to_owned());
            totals.push(total(of, (fact.users, fact.devices), &day));
            Ok(())
        })?;
        snapshot.unmatched::<StoreError>(day, |fact| {
            let day = domains.remove(fact.domain).unwrap_or_default();
            let of = DayOf::Domain(fact.domain.to_owned());
            totals.push(total(of, (fact.users, fact.devices), &day));
            Ok(())
        })?;
        Ok(totals)
    }
}

fn total(of: DayOf, (users_seen, devices_seen): (u64, u64), day: &usage::AppDay) -> DayTotal {
    DayTotal {
        of,
        users_seen,
        devices_seen,
        users: day.users(),
        devices: day.devices(),
        active_minutes: day.active_minutes,
        incidental_bytes: day.incidental_bytes,
        evidence: day.evidence,
        pattern: day.pattern(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use proptest::prelude::*;

    use super::super::{ReportRange, write_reports};
    use super::*;
    use crate::evidence::source::Trait;
    use crate::ledger::Bucket;
    use crate::observation::NameSource;
    use crate::store::testing::{app, capture, empty_commit, stamp, start, subject};
    use crate::store::{
        CatalogueFacts, Commit, Keeping, NewName, Store, Sums, Target, TraitRow, UsageRow,
        VisibilityRow,
    };
    use crate::time::{Hour, Timestamp};
    use crate::usage::{RULES, levels, quarter_bits, unfollowed_bits};

    const DAY_SECONDS: i64 = 86_400;

    fn keeper() -> Keeper {
        Keeper { zone: TimeZone::UTC, settings: Settings::default() }
    }

    fn report(store: &Store) -> BTreeMap<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let paths =
            write_reports(store, folder.path(), ReportRange::default(), &Settings::default());
        let named = |path: std::path::PathBuf| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(path).unwrap())
        };
        paths.unwrap().into_iter().map(named).collect()
    }

    /// The cells of a file, with every time cut to its day.
    fn by_day_of(text: &str) -> Vec<Vec<String>> {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
        let cut = |cell: &str| match cell.get(10..11) == Some("T") && cell.len() == 32 {
            true => cell[..10].to_owned(),
            false => cell.to_owned(),
        };
        reader.records().map(|row| row.unwrap().iter().map(cut).collect()).collect()
    }

    fn prune(store: &mut Store, hours_from: Option<i64>, days_from: Option<i64>) {
        let keeper = keeper();
        let keeping =
            Keeping { hours_from, days_from, totals_from: None, bytes_max: None, judge: &keeper };
        while store.prune(&keeping).unwrap().is_more {}
    }

    /// (who, what, hour, source, connections, bytes of the largest flow, minutes, followed)
    type Draw = (usize, usize, i32, usize, u64, u64, [u64; 2], bool);

    fn drawn(store: &mut Store, commit: &mut Commit, draws: &[Draw]) {
        for &(who, what, hour, source, connections, bytes, [up, down], is_followed) in draws {
            let who = [("ada", "10.0.0.1"), ("bob", "10.0.0.2"), ("", "10.0.0.3")][who];
            let what = match what {
                6 => Target::Domain("unknown.example".into()),
                n @ (7 | 8) => in_tenant(app("slack", ["use", "embed"][n - 7]), "acme"),
                9 => in_tenant(app("slack", "use"), "globex"),
                n => {
                    let (id, role) = [
                        ("slack", "use"),
                        ("slack", "login"),
                        ("slack", "embed"),
                        ("zoom", "use"),
                        ("zoom", "visit"),
                        ("box", "telemetry"),
                    ][n];
                    app(id, role)
                }
            };
            let start = stamp(60 * hour, 0);
            let asked = u64::from(connections == 0);
            let sums = Sums {
                connections,
                handshakes: connections.min(bytes),
                dns_queries: asked,
                bytes_up: (connections * 500).max(bytes / 4),
                bytes_down: bytes,
                minutes_up: (up | 1) >> 4,
                minutes_down: (down | 1) >> 4,
                minutes_begun: connections.min(1) << (bytes % 60),
                followed: match (is_followed, connections) {
                    (true, 1..) => (1 << RULES) - 1,
                    (false, 2..) => 0b100,
                    _ => 0,
                },
                unfollowed: match is_followed {
                    true => 0,
                    false => {
                        unfollowed_bits(levels(bytes / 5, bytes), u64::from(connections > 1) << 2)
                    }
                },
                flow_up_max: bytes / 5 * connections.min(1),
                flow_bytes_max: bytes * connections.min(1),
                quarters: quarter_bits((up & down | 1) >> 4, bytes / 5, bytes) * connections.min(1),
                first_seen: start,
                last_seen: Timestamp(start.0 + 1_000_000_000),
                ..Sums::default()
            };
            let sums = if connections == 0 {
                let (first_seen, last_seen) = (sums.first_seen, sums.last_seen);
                Sums { dns_queries: 1, first_seen, last_seen, ..Sums::default() }
            } else {
                sums
            };
            let name_source = [NameSource::Sni, NameSource::Quic, NameSource::Dns][source];
            let row = UsageRow {
                hour: Hour(60 * hour),
                subject: store.subject_id(&subject(who.0, who.1)).unwrap(),
                target: store.target_id(&what).unwrap(),
                name_source,
                sums,
            };
            if who.1 == "10.0.0.3" {
                let ttl = Trait::TimeToLive;
                for value in 0..9 {
                    commit.traits.push(TraitRow {
                        hour: row.hour,
                        subject: row.subject,
                        what: ttl,
                        value,
                    });
                }
            }
            let is_known = matches!(what, Target::App { .. });
            commit.visibility.push(VisibilityRow {
                hour: row.hour,
                bucket: if is_known { Bucket::App } else { Bucket::Unmatched },
                flows: sums.connections,
                bytes: sums.bytes(),
            });
            commit.usage.push(row);
        }
    }

    fn in_tenant(target: Target, name: &str) -> Target {
        let Target::App { app, role, edition, .. } = target else { return target };
        Target::App { app, role, tenant: name.into(), edition }
    }

    fn filled(draws: &[Draw]) -> Store {
        let mut store = Store::in_memory("UTC").unwrap();
        let run = store.begin_run(&start(&[capture(1)], false)).unwrap().run;
        let mut commit = empty_commit(&mut store, 1);
        drawn(&mut store, &mut commit, draws);
        store.commit(run, &commit).unwrap();
        store.finish_run(run, &[]).unwrap();
        store
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// Reports of a day say the same but for times, whatever is kept of it.
        #[test]
        fn reports_say_the_same_of_days_whose_hours_are_not_kept(
            draws in prop::collection::vec(
                (0..3usize, 0..10usize, 0..48i32, 0..3usize, 0..3u64, 0..60_000u64,
                 any::<[u64; 2]>(), any::<bool>()), 1..60),
        ) {
            let mut store = filled(&draws);
            let before = report(&store);
            prune(&mut store, Some(2 * DAY_SECONDS), None);
            let kept = report(&store);
            let mut judged = vec!["unmatched.csv", "visibility.csv", "shared_sources.csv"];
            // Shared sources are many: minutes of one are not known from those of another.
            if !draws.iter().any(|draw| draw.0 == 2) {
                judged.extend(["usage.csv", "apps.csv"]);
            }
            for name in judged {
                prop_assert_eq!(by_day_of(&before[name]), by_day_of(&kept[name]), "{}", name);
            }
            prop_assert!(!kept["usage.csv"].contains("T0"), "{}", &kept["usage.csv"]);
            let apps = by_day_of(&kept["apps.csv"]);
            prune(&mut store, Some(2 * DAY_SECONDS), Some(2 * DAY_SECONDS));
            let totals = report(&store);
            prop_assert_eq!(apps, by_day_of(&totals["apps.csv"]));
            prop_assert_eq!(&before["visibility.csv"], &totals["visibility.csv"]);
            prop_assert_eq!(totals["usage.csv"].lines().count(), 1);
        }
    }

    /// What a report says of an app that got its name later does not hang on what is kept of it.
    #[test]
    fn a_past_that_is_kept_by_day_gets_its_name_too() {
        let draw = |who, hour, bytes| (who, 6, hour, 0, 1, bytes, [1 << 9; 2], false);
        let draws = [draw(0, 1, 40_000), draw(0, 3, 900), draw(1, 5, 50_000), draw(1, 30, 70_000)];
        for role in ["use", "visit", "embed"] {
            let reports =
                [(None, None), (Some(2), None), (Some(2), Some(2))].map(|(hours, days)| {
                    let mut store = filled(&draws);
                    prune(
                        &mut store,
                        hours.map(|n| n * DAY_SECONDS),
                        days.map(|n| n * DAY_SECONDS),
                    );
                    let facts = CatalogueFacts { version: "2026.12".into(), hash: "cb".into() };
                    let domain = "unknown.example".to_owned();
                    let new = NewName {
                        domain,
                        label: String::new(),
                        target: Some(app("known", role)),
                        pattern: "unknown.example".into(),
                        bucket: Bucket::App,
                        detour: None,
                    };
                    let renamed =
                        store.rename(&facts, &[new], &[], 3 * DAY_SECONDS + 80_000).unwrap();
                    assert_eq!(renamed.len(), 1);
                    report(&store)
                });
            let [by_hour, by_day, totals] = &reports;
            for name in ["apps.csv", "new_apps.csv", "unmatched.csv"] {
                assert_eq!(by_day_of(&by_hour[name]), by_day_of(&by_day[name]), "{role} {name}");
            }
            assert_eq!(by_day_of(&by_hour["usage.csv"]), by_day_of(&by_day["usage.csv"]), "{role}");
            assert_eq!(by_day_of(&by_hour["apps.csv"]), by_day_of(&totals["apps.csv"]), "{role}");
            assert_eq!(by_hour["visibility.csv"], by_day["visibility.csv"]);
            assert_eq!(by_hour["visibility.csv"], totals["visibility.csv"]);
        }
    }

    #[test]
    fn the_manifest_tells_what_the_report_rests_on() {
        let draw = |hour| (0, 0, hour, 0, 1, 40_000, [1 << 9; 2], false);
        let mut store = filled(&[draw(1), draw(2), draw(30), draw(31), draw(50)]);
        prune(&mut store, Some(2 * DAY_SECONDS), Some(DAY_SECONDS));
        let files = report(&store);
        let manifest: serde_json::Value = serde_json::from_str(&files["manifest.json"]).unwrap();
        let rests_on = serde_json::json!({ "by_hour": 1, "by_day": 1, "totals": 1 });
        assert_eq!(manifest["rests_on_days"], rests_on);
        let deleted = serde_json::json!({ "by_hour": 4, "by_day": 1, "totals": 0 });
        assert_eq!(manifest["rows_deleted"], deleted);
        let usage = by_day_of(&files["usage.csv"]);
        assert_eq!(usage.len(), 3, "{usage:?}");
        assert_eq!((usage[1][0].as_str(), usage[1][15].as_str()), ("1970-01-02", "1970-01-02"));
        assert!(files["usage.csv"].contains("1970-01-03T02:00:00.000000+00:00"));
        let days: Vec<_> =
            by_day_of(&files["apps.csv"]).into_iter().map(|row| row[0].clone()).collect();
        assert_eq!(days, ["date", "1970-01-01", "1970-01-02", "1970-01-03"]);
    }
}
