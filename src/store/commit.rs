//! One numbered commit: all its rows in one transaction, or none.

use rusqlite::{Connection, TransactionBehavior, params};

use super::error::{StoreError, explain};
use super::rows::{
    CatalogueId, Commit, DetourRow, FollowedRow, HealthRow, PossibleRow, RingRow, RunId, SubjectId,
    TotalsRow, TraitRow, UsageRow, VisibilityRow, list,
};
use super::{Store, intern::Interned, matched};
use crate::stats::{Counter, Counters};
use crate::time::Hour;

impl Store {
    /// Adds what a commit holds to its run, in one transaction. After an error that
    /// [is passing](StoreError::is_passing) the same commit may be tried again. Answers how many rows
    /// of [`Commit::matched`] were left out, which its counters then tell, too.
    ///
    /// # Errors
    /// The commit's number has been taken before, the run is not open, or the database cannot be
    /// written; nothing of the commit is kept then.
    pub fn commit(&mut self, run: RunId, commit: &Commit) -> Result<u64, StoreError> {
        self.check_in_place()?;
        let path = || self.path.clone();
        match write(&mut self.connection, &self.interned, run, commit) {
            Ok(Outcome::Written { left_out }) => {
                self.interned.written();
                Ok(left_out)
            }
            Ok(Outcome::Repeated) => {
                let sequence = commit.sequence;
                Err(StoreError::Repeated { path: path(), run: run.0, sequence })
            }
            Ok(Outcome::NotOpen) => {
                let what = format!("run {} is not open any more", run.0);
                Err(StoreError::Damaged { path: path(), what })
            }
            Err(error) => Err(explain(&self.path, error)),
        }
    }
}

/// What became of a commit; unless it was written, the transaction is rolled back.
enum Outcome {
    Written { left_out: u64 },
    Repeated,
    NotOpen,
}

fn write(
    connection: &mut Connection,
    interned: &Interned,
    run: RunId,
    commit: &Commit,
) -> rusqlite::Result<Outcome> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if !widen(&transaction, run, commit)? {
        return Ok(Outcome::NotOpen);
    }
    let numbered = transaction
        .prepare_cached(
            "INSERT OR IGNORE INTO commits (run, sequence, catalogue) VALUES (?, ?, ?)",
        )?
        .execute(params![run.0, number(commit.sequence), commit.catalogue.0])?;
    if numbered == 0 {
        return Ok(Outcome::Repeated);
    }
    interned.write(&transaction)?;
    add_reconfigured(&transaction, run, &commit.reconfigured)?;
    add_usage(&transaction, run, commit.catalogue, &commit.usage)?;
    add_followed(&transaction, run, commit.catalogue, &commit.followed)?;
    let left_out = matched::add(&transaction, run, &commit.matched)?;
    add_possible(&transaction, run, &commit.possible)?;
    add_visibility(&transaction, run, &commit.visibility)?;
    add_totals(&transaction, run, &commit.totals)?;
    add_health(&transaction, run, &commit.health)?;
    add_rings(&transaction, run, &commit.rings)?;
    add_traits(&transaction, run, &commit.traits)?;
    add_accepted(&transaction, run, &commit.accepted)?;
    add_detours(&transaction, run, &commit.detours)?;
    let mut counters = commit.counters.clone();
    counters.add(Counter::PatternDropped, left_out);
    add_counters(&transaction, run, &counters)?;
    transaction.commit()?;
    Ok(Outcome::Written { left_out })
}

/// Widens the run's range of hours to those of the commit. Answers whether the run is open.
fn widen(connection: &Connection, run: RunId, commit: &Commit) -> rusqlite::Result<bool> {
    let hours = || {
        let usage = commit.usage.iter().map(|row| row.hour);
        let possible = commit.possible.iter().map(|row| row.hour);
        let visibility = commit.visibility.iter().map(|row| row.hour);
        let totals = commit.totals.iter().map(|row| row.hour);
        let health = commit.health.iter().map(|row| row.hour);
        let rings = commit.rings.iter().map(|row| row.hour);
        let traits = commit.traits.iter().map(|row| row.hour);
        let accepted = commit.accepted.iter().map(|(hour, ..)| *hour);
        let detours = commit.detours.iter().map(|row| row.hour);
        let sources = traits.chain(accepted).chain(detours);
        usage
            .chain(possible)
            .chain(visibility)
            .chain(totals)
            .chain(health)
            .chain(rings)
            .chain(sources)
    };
    let first = hours().min().map(|hour| hour.start_seconds());
    let last = hours().max().map(|hour| hour.start_seconds());
    let changed = connection
        .prepare_cached(
            "UPDATE runs SET
                 first_hour = coalesce(min(first_hour, ?2), first_hour, ?2),
                 last_hour = coalesce(max(last_hour, ?3), last_hour, ?3)
             WHERE id = ?1 AND state = 'open'",
        )?
        .execute(params![run.0, first, last])?;
    Ok(changed == 1)
}

fn add_reconfigured(
    connection: &Connection,
    run: RunId,
    configurations: &[String],
) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT OR IGNORE INTO reconfigured (run, config_sha256)
         SELECT id, ?2 FROM runs WHERE id = ?1 AND config_sha256 <> ?2",
    )?;
    for configuration in configurations {
        insert.execute(params![run.0, configuration])?;
    }
    Ok(())
}

fn add_usage(
    connection: &Connection,
    run: RunId,
    catalogue: CatalogueId,
    rows: &[UsageRow],
) -> rusqlite::Result<()> {
    let mut upsert = connection.prepare_cached(
        "INSERT INTO usage (
             hour, run, subject, target, name_source, catalogue,
             connections, attempts_failed, handshakes, dns_queries, bytes_up, bytes_down,
             minutes_up, minutes_down, minutes_begun, first_seen, last_seen,
             followed, flow_up_max, flow_bytes_max,
             elsewhere_flows, elsewhere_bytes, quarters, unfollowed
         ) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET
             connections = connections + excluded.connections,
             attempts_failed = attempts_failed + excluded.attempts_failed,
             handshakes = handshakes + excluded.handshakes,
             dns_queries = dns_queries + excluded.dns_queries,
             bytes_up = bytes_up + excluded.bytes_up,
             bytes_down = bytes_down + excluded.bytes_down,
             minutes_up = minutes_up | excluded.minutes_up,
             minutes_down = minutes_down | excluded.minutes_down,
             minutes_begun = minutes_begun | excluded.minutes_begun,
             first_seen = min(first_seen, excluded.first_seen),
             last_seen = max(last_seen, excluded.last_seen),
             followed = followed | excluded.followed,
             flow_up_max = max(flow_up_max, excluded.flow_up_max),
             flow_bytes_max = max(flow_bytes_max, excluded.flow_bytes_max),
             elsewhere_flows = elsewhere_flows + excluded.elsewhere_flows,
             elsewhere_bytes = elsewhere_bytes + excluded.elsewhere_bytes,
             quarters = quarters | excluded.quarters,
             unfollowed = unfollowed | excluded.unfollowed",
    )?;
    for row in in_key_order(rows) {
        let sums = &row.sums;
        upsert.execute(params![
            row.hour.start_seconds(),
            run.0,
            row.subject.0,
            row.target.0,
            row.name_source as u8,
            catalogue.0,
            number(sums.connections),
            number(sums.attempts_failed),
            number(sums.handshakes),
            number(sums.dns_queries),
            number(sums.bytes_up),
            number(sums.bytes_down),
            number(sums.minutes_up),
            number(sums.minutes_down),
            number(sums.minutes_begun),
            sums.first_seen.0,
            sums.last_seen.0,
            number(sums.followed),
            number(sums.flow_up_max),
            number(sums.flow_bytes_max),
            number(sums.elsewhere_flows),
            number(sums.elsewhere_bytes),
            number(sums.quarters),
            number(sums.unfollowed),
        ])?;
    }
    Ok(())
}

/// The rows in the order of the table's key: neighbours share pages, which halves the time.
fn in_key_order(rows: &[UsageRow]) -> Vec<&UsageRow> {
    let mut sorted: Vec<&UsageRow> = rows.iter().collect();
    sorted.sort_unstable_by_key(|row| (row.hour, row.subject, row.target, row.name_source));
    sorted
}

fn add_followed(
    connection: &Connection,
    run: RunId,
    catalogue: CatalogueId,
    rows: &[FollowedRow],
) -> rusqlite::Result<()> {
    let mut upsert = connection.prepare_cached(
        "INSERT INTO followed (
             hour, run, subject, target, name_source, catalogue, leaders, flows, levels
         ) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET
             flows = flows | excluded.flows,
             levels = levels | excluded.levels",
    )?;
    let leaders = |row: &FollowedRow| list(row.leaders.iter().map(|leader| leader.0));
    let mut rows: Vec<(String, &FollowedRow)> =
        rows.iter().map(|row| (leaders(row), row)).collect();
    rows.sort_unstable_by(|(one, row), (other, next)| {
        let key = |row: &FollowedRow| (row.hour, row.subject, row.target, row.name_source);
        key(row).cmp(&key(next)).then_with(|| one.cmp(other))
    });
    for (leaders, row) in rows {
        upsert.execute(params![
            row.hour.start_seconds(),
            run.0,
            row.subject.0,
            row.target.0,
            row.name_source as u8,
            catalogue.0,
            leaders,
            number(row.flows),
            number(row.levels),
        ])?;
    }
    Ok(())
}

fn add_possible(connection: &Connection, run: RunId, rows: &[PossibleRow]) -> rusqlite::Result<()> {
    let mut upsert = connection.prepare_cached(
        "INSERT INTO possible (
             hour, run, candidates, flows, bytes, first_seen, last_seen, held
         ) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET
             flows = flows + excluded.flows,
             bytes = bytes + excluded.bytes,
             first_seen = min(first_seen, excluded.first_seen),
             last_seen = max(last_seen, excluded.last_seen)",
    )?;
    for PossibleRow { hour, candidates, held, sums } in rows {
        upsert.execute(params![
            hour.start_seconds(),
            run.0,
            candidates.0,
            sums.flows,
            sums.bytes,
            sums.first_seen.0,
            sums.last_seen.0,
            held.map_or(0, |held| held.0),
        ])?;
    }
    Ok(())
}

fn add_visibility(
    connection: &Connection,
    run: RunId,
    rows: &[VisibilityRow],
) -> rusqlite::Result<()> {
    let mut upsert = connection.prepare_cached(
        "INSERT INTO visibility (hour, run, bucket, flows, bytes) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET
             flows = flows + excluded.flows,
             bytes = bytes + excluded.bytes",
    )?;
    for row in rows {
        let hour = row.hour.start_seconds();
        let (flows, bytes) = (number(row.flows), number(row.bytes));
        upsert.execute(params![hour, run.0, row.bucket as u8, flows, bytes])?;
    }
    Ok(())
}

fn add_totals(connection: &Connection, run: RunId, rows: &[TotalsRow]) -> rusqlite::Result<()> {
    let mut upsert = connection.prepare_cached(
        "INSERT INTO totals (hour, run, packets, total_bytes, ip_bytes, first_seen, last_seen)
         VALUES (?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET
             packets = packets + excluded.packets,
             total_bytes = total_bytes + excluded.total_bytes,
             ip_bytes = ip_bytes + excluded.ip_bytes,
             first_seen = min(first_seen, excluded.first_seen),
             last_seen = max(last_seen, excluded.last_seen)",
    )?;
    for row in rows {
        upsert.execute(params![
            row.hour.start_seconds(),
            run.0,
            number(row.packets),
            number(row.total_bytes),
            number(row.ip_bytes),
            row.first_seen.0,
            row.last_seen.0,
        ])?;
    }
    Ok(())
}

fn add_health(connection: &Connection, run: RunId, rows: &[HealthRow]) -> rusqlite::Result<()> {
    let mut upsert = connection.prepare_cached(
        "INSERT INTO health (hour, run, tcp_flows, tcp_two_way, tcp_begun_before,
             sequence_bytes, gap_bytes, dns_questions, dns_answers)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET
             tcp_flows = tcp_flows + excluded.tcp_flows,
             tcp_two_way = tcp_two_way + excluded.tcp_two_way,
             tcp_begun_before = tcp_begun_before + excluded.tcp_begun_before,
             sequence_bytes = sequence_bytes + excluded.sequence_bytes,
             gap_bytes = gap_bytes + excluded.gap_bytes,
             dns_questions = dns_questions + excluded.dns_questions,
             dns_answers = dns_answers + excluded.dns_answers",
    )?;
    for HealthRow { hour, health } in rows {
        upsert.execute(params![
            hour.start_seconds(),
            run.0,
            number(health.tcp_flows),
            number(health.tcp_two_way),
            number(health.tcp_begun_before),
            number(health.sequence_bytes),
            number(health.gap_bytes),
            number(health.dns_questions),
            number(health.dns_answers),
        ])?;
    }
    Ok(())
}

fn add_rings(connection: &Connection, run: RunId, rows: &[RingRow]) -> rusqlite::Result<()> {
    let mut upsert = connection.prepare_cached(
        "INSERT INTO rings (hour, run, ring, received, dropped, interface_dropped, down_nanos)
         VALUES (?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET
             received = received + excluded.received,
             dropped = dropped + excluded.dropped,
             interface_dropped = interface_dropped + excluded.interface_dropped,
             down_nanos = down_nanos + excluded.down_nanos",
    )?;
    for RingRow { hour, ring, sums } in rows {
        upsert.execute(params![
            hour.start_seconds(),
            run.0,
            ring,
            number(sums.received),
            number(sums.dropped),
            number(sums.interface_dropped),
            number(sums.down_nanos),
        ])?;
    }
    Ok(())
}

fn add_traits(connection: &Connection, run: RunId, rows: &[TraitRow]) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT OR IGNORE INTO traits (hour, run, subject, trait, value) VALUES (?, ?, ?, ?, ?)",
    )?;
    for row in rows {
        // A value is a hash or small: its bits are kept as they are.
        let value = row.value.cast_signed();
        insert.execute(params![
            row.hour.start_seconds(),
            run.0,
            row.subject.0,
            row.what as u8,
            value
        ])?;
    }
    Ok(())
}

fn add_accepted(
    connection: &Connection,
    run: RunId,
    rows: &[(Hour, SubjectId, u64)],
) -> rusqlite::Result<()> {
    let mut upsert = connection.prepare_cached(
        "INSERT INTO accepted (hour, run, subject, connections) VALUES (?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET connections = connections + excluded.connections",
    )?;
    for (hour, subject, connections) in rows {
        let hour = hour.start_seconds();
        upsert.execute(params![hour, run.0, subject.0, number(*connections)])?;
    }
    Ok(())
}

fn add_detours(connection: &Connection, run: RunId, rows: &[DetourRow]) -> rusqlite::Result<()> {
    let mut upsert = connection.prepare_cached(
        "INSERT INTO detours (hour, run, kind, subject, flows, bytes, devices)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?4 > 0)
         ON CONFLICT DO UPDATE SET
             flows = flows + excluded.flows, bytes = bytes + excluded.bytes",
    )?;
    for row in rows {
        upsert.execute(params![
            row.hour.start_seconds(),
            run.0,
            row.detour.number(),
            row.subject.map_or(0, |subject| subject.0),
            number(row.flows),
            number(row.bytes),
        ])?;
    }
    Ok(())
}

fn add_counters(connection: &Connection, run: RunId, counters: &Counters) -> rusqlite::Result<()> {
    let mut upsert = connection.prepare_cached(
        "INSERT INTO counters (run, name, value) VALUES (?, ?, ?)
         ON CONFLICT DO UPDATE SET value = value + excluded.value",
    )?;
    for (counter, value) in counters.iter().filter(|&(_, value)| value > 0) {
        upsert.execute(params![run.0, counter.name(), number(value)])?;
    }
    Ok(())
}

/// SQLite's integers have a sign; what does not fit (9 exabytes) is cut off there.
pub(super) fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        app, commit_of, connections, empty_commit, read, stamp, start, subject,
    };
    use super::super::{Target, UsageFact, Window};
    use super::*;
    use crate::ledger::Bucket;
    use crate::stats::Counter;
    use crate::store::Sums;
    use crate::time::Hour;

    fn one_row(store: &Store) -> Sums {
        let mut found = Vec::new();
        let keep = |fact: &UsageFact<'_>| {
            found.push(fact.sums);
            Ok::<(), StoreError>(())
        };
        store.snapshot().unwrap().usage(Window::ALL, keep).unwrap();
        assert_eq!(found.len(), 1);
        found[0]
    }

    #[test]
    fn a_repeated_commit_is_refused_and_adds_nothing() {
        let mut store = Store::in_memory("UTC").unwrap();
        let run = store.begin_run(&start(&[], false)).unwrap().run;
        let first = commit_of(&mut store, 1, 5);
        store.commit(run, &first).unwrap();
        let error = store.commit(run, &first).unwrap_err();
        assert!(matches!(error, StoreError::Repeated { sequence: 1, .. }), "{error}");
        let second = commit_of(&mut store, 2, 5);
        store.commit(run, &second).unwrap();
        store.finish_run(run, &[]).unwrap();
        assert_eq!(connections(&store), 10);
    }

    #[test]
    fn rows_of_one_key_are_added_up_within_and_across_commits() {
        let mut store = Store::in_memory("UTC").unwrap();
        let run = store.begin_run(&start(&[], false)).unwrap().run;
        let mut expected = Sums::default();
        for sequence in 1..=3 {
            let mut commit = commit_of(&mut store, sequence, 0);
            let sums = Sums {
                connections: sequence,
                attempts_failed: 1,
                handshakes: 2,
                dns_queries: 3,
                bytes_up: 4,
                bytes_down: 5,
                minutes_up: 1 << sequence,
                minutes_down: 1 << 59,
                minutes_begun: 1 << (2 * sequence),
                first_seen: stamp(sequence as i32, 0),
                last_seen: stamp(10 - sequence as i32, 0),
                followed: 1 << sequence,
                flow_up_max: 100 - sequence,
                flow_bytes_max: 200 + sequence,
                quarters: 1 << sequence,
                ..Sums::default()
            };
            commit.usage[0].sums = sums;
            commit.usage.push(commit.usage[0]);
            expected.add(&sums);
            expected.add(&sums);
            store.commit(run, &commit).unwrap();
        }
        store.finish_run(run, &[]).unwrap();
        assert_eq!(one_row(&store), expected);
    }

    #[test]
    fn the_books_and_counters_are_added_up() {
        let mut store = Store::in_memory("UTC").unwrap();
        let run = store.begin_run(&start(&[], false)).unwrap().run;
        for sequence in 1..=2 {
            let mut commit = empty_commit(&mut store, sequence);
            let row = VisibilityRow { hour: Hour(0), bucket: Bucket::App, flows: 1, bytes: 10 };
            commit.visibility = vec![row, row, VisibilityRow { bucket: Bucket::NonIp, ..row }];
            commit.totals = vec![TotalsRow {
                hour: Hour(60),
                packets: 3,
                total_bytes: 30,
                ip_bytes: 20,
                first_seen: stamp(60, sequence as i64),
                last_seen: stamp(61, sequence as i64),
            }];
            commit.counters.add(Counter::SnapCut, 4);
            store.commit(run, &commit).unwrap();
        }
        store.finish_run(run, &[]).unwrap();
        let snapshot = store.snapshot().unwrap();
        let books = snapshot.visibility(Window::ALL, "").unwrap();
        let nonzero: Vec<_> =
            books.iter().filter(|f| f.bytes > 0).map(|f| (f.bucket, f.flows, f.bytes)).collect();
        assert_eq!(nonzero, [(Bucket::NonIp, 2, 20), (Bucket::App, 4, 40)]);
        let totals = snapshot.totals(Window::ALL).unwrap();
        assert_eq!((totals.packets, totals.total_bytes, totals.ip_bytes), (6, 60, 40));
        assert_eq!(totals.seen, Some((stamp(60, 1), stamp(61, 2))));
        assert_eq!(snapshot.runs(Window::ALL).unwrap().counters, [("snap_cut".to_owned(), 8)]);
        assert_eq!(snapshot.first_hour(Window::ALL).unwrap(), Some(0));
        assert_eq!(snapshot.last_hour(Window::ALL).unwrap(), Some(3600));
        assert_eq!(snapshot.first_hour(Window { from: 1, to: 3600 }).unwrap(), None);
    }

    #[test]
    fn numbers_mean_the_same_after_opening_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("usage.db");
        for user in ["ada", "bob", "ada"] {
            let mut store = Store::open(&path, "UTC").unwrap();
            let run = store.begin_run(&start(&[], false)).unwrap().run;
            let mut commit = commit_of(&mut store, 1, 1);
            commit.usage[0].subject = store.subject_id(&subject(user, "10.0.0.9")).unwrap();
            store.commit(run, &commit).unwrap();
            store.finish_run(run, &[]).unwrap();
        }
        let store = Store::open_read_only(&path).unwrap();
        let mut users = Vec::new();
        let keep = |fact: &UsageFact<'_>| {
            users.push(fact.user.to_owned());
            Ok::<(), StoreError>(())
        };
        store.snapshot().unwrap().usage(Window::ALL, keep).unwrap();
        assert_eq!(users, ["ada", "ada", "bob"]);
    }

    #[test]
    fn an_app_that_is_described_anew_keeps_its_rows() {
        let mut store = Store::in_memory("UTC").unwrap();
        read(&mut store, &[], false, 1);
        let mut renamed = app("slack", "use");
        if let Target::App { app, .. } = &mut renamed {
            app.name = "Slack by Salesforce".into();
        }
        let before = store.target_id(&app("slack", "use")).unwrap();
        assert_eq!(store.target_id(&renamed).unwrap(), before);
        let run = store.begin_run(&start(&[], false)).unwrap().run;
        let commit = empty_commit(&mut store, 1);
        store.commit(run, &commit).unwrap();
        store.finish_run(run, &[]).unwrap();
        let mut names = Vec::new();
        let keep = |fact: &UsageFact<'_>| {
            names.push(fact.app_name.to_owned());
            Ok::<(), StoreError>(())
        };
        store.snapshot().unwrap().usage(Window::ALL, keep).unwrap();
        assert_eq!(names, ["Slack by Salesforce"]);
    }

    #[test]
    fn what_does_not_fit_is_cut_off_rather_than_negative() {
        assert_eq!(number(u64::MAX), i64::MAX);
        assert_eq!(number(7), 7);
    }

    #[test]
    fn references_hold_and_views_tell_what_reports_tell() {
        let mut store = Store::in_memory("UTC").unwrap();
        let run = store.begin_run(&start(&[], false)).unwrap().run;
        let mut commit = commit_of(&mut store, 1, 3);
        commit.usage[0].sums.minutes_up = (1 << 60) - 1;
        commit.usage[0].sums.minutes_down = 0b1011 | 1 << 59;
        let domain = store.target_id(&Target::Domain("example.org".into())).unwrap();
        commit.usage.push(UsageRow { target: domain, ..commit.usage[0] });
        store.commit(run, &commit).unwrap();
        store.finish_run(run, &[]).unwrap();
        let broken: i64 = store
            .connection
            .query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0))
            .unwrap();
        assert_eq!(broken, 0);
        let sql = "SELECT hour_utc, app_id, unmatched_domain, name_source, active_minutes
            FROM usage_readable ORDER BY app_id NULLS LAST";
        let mut statement = store.connection.prepare(sql).unwrap();
        type Readable = (String, Option<String>, String, String, i64);
        let rows: Vec<Readable> = statement
            .query_map([], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
            })
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let hour = || "1970-01-01T00:00:00Z".to_owned();
        let (none, sni) = (String::new, || "sni".to_owned());
        assert_eq!(
            rows,
            [
                (hour(), Some("slack".into()), none(), sni(), 4),
                (hour(), None, "example.org".into(), sni(), 4)
            ]
        );
        let daily: (String, i64, i64) = store
            .connection
            .query_row("SELECT app_id, users, connections FROM apps_daily", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .unwrap();
        assert_eq!(daily, ("slack".into(), 1, 3));
    }
}
