//! What is deleted, and what stays of it: hours become days, days become totals, and totals go.
//!
//! Rows of usage by hour tell who used what and when, rows by day who used what, totals how many
//! did; each has its age. The ledger, what came in and health tell of nobody, are small, and stay.
//! What is deleted is gone: freed pages are overwritten (`secure_delete`, see
//! [`super::set_up`]), the file is cut, and the write-ahead log emptied, so that nothing is left to
//! be found in the files' bytes. Subjects and targets without a row go with the last of theirs.
//!
//! It does not know when a day begins, nor what counts as use: [`Judge`] does.

use rusqlite::{Connection, TransactionBehavior, params};

use super::commit::number;
use super::error::{StoreError, explain};
use super::query::{Snapshot, Window};
use super::{Store, fold};
use crate::evidence::Evidence;
use crate::evidence::pattern::Pattern;

/// Rows folded in one transaction, so that nobody waits for long.
const ROWS_AT_ONCE: u64 = 20_000;

/// What is kept. Beginnings of days, in seconds since 1970; all where none is given.
#[derive(Clone, Copy)]
pub struct Keeping<'a> {
    /// Rows by hour, of days from then on.
    pub hours_from: Option<i64>,
    /// Rows by day, of days from then on; not later than `hours_from`.
    pub days_from: Option<i64>,
    /// Totals of days from then on; not later than `days_from`.
    pub totals_from: Option<i64>,
    /// As many rows as fit into a database of this size, in bytes. The oldest by hour go first, then
    /// the oldest by day, then the oldest totals.
    pub bytes_max: Option<u64>,
    /// What is asked about days.
    pub judge: &'a dyn Judge,
}

/// What the store does not decide.
pub trait Judge {
    /// The day that holds the beginning of an hour.
    fn day_of(&self, hour: i64) -> Window;

    /// What a day comes to, app by app and domain by domain, by what counts as use.
    ///
    /// # Errors
    /// The database cannot be read.
    fn totals(&self, snapshot: &Snapshot<'_>, day: Window) -> Result<Vec<DayTotal>, StoreError>;
}

/// Of what a [`DayTotal`] is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DayOf {
    /// An app, by the catalogue's id.
    App(String),
    /// A registrable domain that no signature knows.
    Domain(String),
}

/// What a day of an app comes to, beside sums.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DayTotal {
    /// Of what.
    pub of: DayOf,
    /// Different users with traffic.
    pub users_seen: u64,
    /// Different devices with traffic.
    pub devices_seen: u64,
    /// Different users who used it. A domain is judged as if it were an app in use.
    pub users: u64,
    /// Different devices likewise.
    pub devices: u64,
    /// Person-minutes.
    pub active_minutes: u64,
    /// Bytes that are incidental.
    pub incidental_bytes: u64,
    /// The best evidence.
    pub evidence: Evidence,
    /// The pattern, where all rows have it.
    pub pattern: Pattern,
}

/// What became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Rows that were deleted, of either sort.
    pub rows: u64,
    /// Whether there is more to be deleted: call again.
    pub is_more: bool,
}

impl Pruned {
    /// Whether numbers of subjects and targets have to be asked for anew.
    pub fn has_deleted(&self) -> bool {
        self.rows > 0
    }
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The hours of the first window become rows of the day that is the second.
    Fold(Window, Window),
    /// Likewise, and the day is over.
    FoldDay(Window),
    /// Rows of a day become totals.
    Total(Window),
    /// Totals of days before one go.
    Delete(i64),
}

/// Where `deleted` counts rows.
#[derive(Clone, Copy)]
enum Stage {
    Hours = 0,
    Days = 1,
    Totals = 2,
}

impl Store {
    /// Deletes what is not to be kept, a piece at a time.
    ///
    /// # Errors
    /// The database cannot be written; what was deleted before is.
    pub fn prune(&mut self, keeping: &Keeping<'_>) -> Result<Pruned, StoreError> {
        self.check_in_place()?;
        let next = |store: &Store| {
            next(&store.connection, keeping).map_err(|error| explain(&store.path, error))
        };
        let Some(step) = next(self)? else { return Ok(Pruned::default()) };
        let totals = match step {
            Step::Total(day) => keeping.judge.totals(&self.snapshot()?, day)?,
            _ => Vec::new(),
        };
        let done = take(&mut self.connection, step, &totals);
        self.interned.forget();
        let rows = done.map_err(|error| explain(&self.path, error))?;
        let is_more = next(self)?.is_some();
        let vanished = if is_more { Ok(()) } else { forget(&self.connection) }
            .and_then(|()| vanish(&self.connection));
        vanished.map_err(|error| explain(&self.path, error))?;
        Ok(Pruned { rows, is_more })
    }
}

fn next(connection: &Connection, keeping: &Keeping<'_>) -> rusqlite::Result<Option<Step>> {
    let first = |table: &str, column: &str| -> rusqlite::Result<Option<i64>> {
        let sql = format!("SELECT min({column}) FROM {table}");
        connection.query_row(&sql, [], |row| row.get(0))
    };
    let before = |first: Option<i64>, from: Option<i64>| first.filter(|&first| Some(first) < from);
    let of_day = |day: i64| Window { from: day, ..keeping.judge.day_of(day) };
    for table in ["usage", "traits", "accepted"] {
        if let Some(hour) = before(first(table, "hour")?, keeping.hours_from) {
            return Ok(Some(Step::FoldDay(keeping.judge.day_of(hour))));
        }
    }
    let taken: Option<i64> =
        connection
            .query_row("SELECT min(hour) FROM detours WHERE subject > 0", [], |row| row.get(0))?;
    if let Some(hour) = before(taken, keeping.hours_from) {
        return Ok(Some(Step::FoldDay(keeping.judge.day_of(hour))));
    }
    let first_day = first("usage_daily", "day")?;
    if let Some(day) = before(first_day, keeping.days_from) {
        return Ok(Some(Step::Total(of_day(day))));
    }
    let first_total = first("targets_daily", "day")?;
    let first_possible = first("possible", "hour")?;
    if let Some(from) = keeping.totals_from
        && [first_total, first_possible].into_iter().flatten().any(|first| first < from)
    {
        return Ok(Some(Step::Delete(from)));
    }
    let used = used_bytes(connection)?;
    if keeping.bytes_max.is_none_or(|max| used <= max) {
        return Ok(None);
    }
    // Never those of the newest hour, which are still added to.
    let newest: Option<i64> =
        connection.query_row("SELECT max(hour) FROM usage", [], |row| row.get(0))?;
    if let Some((hour, newest)) = first("usage", "hour")?.zip(newest)
        && hour < newest
    {
        let day = keeping.judge.day_of(hour);
        return Ok(Some(match day.to <= newest {
            true => Step::FoldDay(day),
            false => Step::Fold(Window { to: newest, ..day }, day),
        }));
    }
    let today = newest.map(|hour| keeping.judge.day_of(hour).from);
    let is_over = |day: &i64| today.is_none_or(|today| *day < today);
    if let Some(day) = first_day.filter(is_over) {
        return Ok(Some(Step::Total(of_day(day))));
    }
    Ok(first_total.filter(is_over).map(|day| Step::Delete(keeping.judge.day_of(day).to)))
}

/// Takes a step, in one transaction. Answers how many rows were deleted.
fn take(connection: &mut Connection, step: Step, totals: &[DayTotal]) -> rusqlite::Result<u64> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let rows = match step {
        Step::Fold(window, day) => {
            let rows = fold::fold(&transaction, window, day, ROWS_AT_ONCE)?;
            count_deleted(&transaction, Stage::Hours, day.from, rows)?;
            rows
        }
        Step::FoldDay(day) => {
            let rows = fold::fold(&transaction, day, day, ROWS_AT_ONCE)?;
            count_deleted(&transaction, Stage::Hours, day.from, rows)?;
            if rows < ROWS_AT_ONCE {
                fold::fold_sources(&transaction, day)?;
            }
            rows
        }
        Step::Total(day) => total(&transaction, day, totals)?,
        Step::Delete(before) => delete_totals(&transaction, before)?,
    };
    transaction.commit()?;
    Ok(rows)
}

/// Rows of a day become totals.
fn total(connection: &Connection, day: Window, totals: &[DayTotal]) -> rusqlite::Result<u64> {
    connection.execute(
        "INSERT INTO targets_daily
         SELECT d.day, d.run, d.target, d.catalogue, sum(d.connections), sum(d.attempts_failed),
             sum(d.dns_queries), sum(d.bytes_up), sum(d.bytes_down),
             sum(iif(s.user = '', 0, d.bytes_up + d.bytes_down)),
             sum(d.elsewhere_flows), sum(d.elsewhere_bytes), 0, 0, 0, 0, 0, 0, 0, 0
         FROM usage_daily AS d JOIN subjects AS s ON s.id = d.subject
         WHERE d.day = ?
         GROUP BY d.day, d.run, d.target, d.catalogue
         ON CONFLICT DO UPDATE SET
             connections = connections + excluded.connections,
             attempts_failed = attempts_failed + excluded.attempts_failed,
             dns_queries = dns_queries + excluded.dns_queries,
             bytes_up = bytes_up + excluded.bytes_up,
             bytes_down = bytes_down + excluded.bytes_down,
             attributed_bytes = attributed_bytes + excluded.attributed_bytes,
             elsewhere_flows = elsewhere_flows + excluded.elsewhere_flows,
             elsewhere_bytes = elsewhere_bytes + excluded.elsewhere_bytes",
        [day.from],
    )?;
    let mut add = connection.prepare_cached(
        "UPDATE targets_daily SET users_seen = users_seen + ?4,
             devices_seen = devices_seen + ?5, users = users + ?6, devices = devices + ?7,
             active_minutes = active_minutes + ?8, incidental_bytes = incidental_bytes + ?9,
             evidence = max(evidence, ?10), pattern = max(pattern, ?11)
         WHERE (day, run, target, catalogue) = (
             SELECT d.day, d.run, d.target, d.catalogue FROM targets_daily AS d
             JOIN targets AS t ON t.id = d.target
             LEFT JOIN apps AS a ON a.id = t.app
             WHERE d.day = ?1 AND (a.app = ?2 OR (t.app IS NULL AND t.role = '' AND t.domain = ?3))
             ORDER BY d.run, d.target, d.catalogue LIMIT 1)",
    )?;
    for total in totals {
        let (app, domain) = match &total.of {
            DayOf::App(app) => (Some(app), None),
            DayOf::Domain(domain) => (None, Some(domain)),
        };
        add.execute(params![
            day.from,
            app,
            domain,
            number(total.users_seen),
            number(total.devices_seen),
            number(total.users),
            number(total.devices),
            number(total.active_minutes),
            number(total.incidental_bytes),
            total.evidence as u8,
            total.pattern as u8,
        ])?;
    }
    let rows = connection.execute("DELETE FROM usage_daily WHERE day = ?", [day.from])? as u64;
    for table in ["sources_daily", "matched"] {
        connection.execute(&format!("DELETE FROM {table} WHERE day = ?"), [day.from])?;
    }
    count_deleted(connection, Stage::Days, day.from, rows)?;
    Ok(rows)
}

fn delete_totals(connection: &Connection, before: i64) -> rusqlite::Result<u64> {
    connection.execute(
        "INSERT INTO deleted SELECT day, ?2, count(*) FROM targets_daily WHERE day < ?1 GROUP BY day
         ON CONFLICT DO UPDATE SET rows = rows + excluded.rows",
        params![before, Stage::Totals as u8],
    )?;
    connection.execute("DELETE FROM possible WHERE hour < ?", [before])?;
    connection.execute("DELETE FROM detours WHERE hour < ?", [before])?;
    Ok(connection.execute("DELETE FROM targets_daily WHERE day < ?", [before])? as u64)
}

fn count_deleted(
    connection: &Connection,
    stage: Stage,
    day: i64,
    rows: u64,
) -> rusqlite::Result<()> {
    if rows > 0 {
        connection.execute(
            "INSERT INTO deleted VALUES (?, ?, ?)
             ON CONFLICT DO UPDATE SET rows = rows + excluded.rows",
            params![day, stage as u8, number(rows)],
        )?;
    }
    Ok(())
}

/// Deletes who and what no row is of any more.
pub(super) fn forget_unused(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "DELETE FROM subjects WHERE id NOT IN (
             SELECT subject FROM usage UNION SELECT subject FROM usage_daily
             UNION SELECT subject FROM traits UNION SELECT subject FROM accepted
             UNION SELECT subject FROM sources_daily UNION SELECT subject FROM detours);
         DELETE FROM patterns WHERE id NOT IN (SELECT pattern FROM matched);
         DELETE FROM candidates WHERE id NOT IN (SELECT candidates FROM possible);
         DELETE FROM candidate_sets WHERE id NOT IN (SELECT candidates FROM possible);
         DELETE FROM targets WHERE id NOT IN (
             SELECT target FROM usage UNION SELECT target FROM usage_daily
             UNION SELECT target FROM targets_daily UNION SELECT target FROM candidates
             UNION SELECT j.value FROM followed AS f, json_each(f.leaders) AS j
             UNION SELECT held FROM possible
             -- Two steps: a tenant's target is held by others, and holds its domain.
             UNION SELECT abs(j.value) FROM targets AS t, json_each(t.grounds) AS j
                 WHERE t.grounds <> '');",
    )
}

fn forget(connection: &Connection) -> rusqlite::Result<()> {
    let begin = connection.unchecked_transaction()?;
    forget_unused(&begin)?;
    begin.commit()
}

/// Cuts the file, and empties the log. Where somebody reads an older state, the log is emptied the
/// next time.
fn vanish(connection: &Connection) -> rusqlite::Result<()> {
    let mut cut = connection.prepare("PRAGMA incremental_vacuum")?;
    let mut rows = cut.query([])?;
    while rows.next()?.is_some() {}
    drop(rows);
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

/// What the database holds, without pages that are free.
fn used_bytes(connection: &Connection) -> rusqlite::Result<u64> {
    let sql = "SELECT (page_count - freelist_count) * page_size
        FROM pragma_page_count, pragma_freelist_count, pragma_page_size";
    connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map(|bytes| bytes.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::testing::{commit_of, connections, stamp, start, subject};
    use super::*;
    use crate::dissect::tunnel::TunnelProtocol;
    use crate::evidence::source::{Trait, Verdict};
    use crate::store::{
        DetourFact, DetourRow, MatchedRow, RunId, RunKind, RunStart, Target, TraitRow, UsageRow,
    };
    use crate::time::Hour;
    use crate::worker::detours::Detour;

    const DAY_SECONDS: i64 = 86_400;

    /// Days of UTC; whoever has a row has used it.
    struct Plain;

    impl Judge for Plain {
        fn day_of(&self, hour: i64) -> Window {
            let from = hour.div_euclid(DAY_SECONDS) * DAY_SECONDS;
            Window { from, to: from + DAY_SECONDS }
        }

        fn totals(
            &self,
            snapshot: &Snapshot<'_>,
            day: Window,
        ) -> Result<Vec<DayTotal>, StoreError> {
            let mut devices = std::collections::BTreeSet::new();
            snapshot.usage(day, |fact| {
                devices.insert((fact.app_id.to_owned(), fact.device.to_owned()));
                Ok::<(), StoreError>(())
            })?;
            let total = |app: &str| DayTotal {
                of: DayOf::App(app.to_owned()),
                users_seen: 0,
                devices_seen: 0,
                users: 0,
                devices: devices.iter().filter(|(of, _)| of == app).count() as u64,
                active_minutes: 1,
                incidental_bytes: 2,
                evidence: Evidence::Interactive,
                pattern: Pattern::None,
            };
            Ok(devices.first().map(|(app, _)| total(app)).into_iter().collect())
        }
    }

    const ALL: Keeping<'static> = Keeping {
        hours_from: None,
        days_from: None,
        totals_from: None,
        bytes_max: None,
        judge: &Plain,
    };

    /// A row for each of `people` in the hour `hours` after the first.
    fn fill(store: &mut Store, run: RunId, sequence: u64, hours: i32, people: &[String]) {
        let mut commit = commit_of(store, sequence, 1);
        let row = commit.usage[0];
        commit.usage.clear();
        for person in people {
            let subject = store.subject_id(&subject(person, person)).unwrap();
            let hour = Hour(row.hour.0 + 60 * hours);
            commit.usage.push(UsageRow { subject, hour, ..row });
        }
        store.commit(run, &commit).unwrap();
    }

    /// Whether the bytes are in the database's file or in one beside it.
    fn is_in_files(folder: &Path, text: &[u8]) -> bool {
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let mut contents = files.map(|path| std::fs::read(path).unwrap());
        contents.any(|bytes| memchr::memmem::find(&bytes, text).is_some())
    }

    fn people(prefix: &str, count: u32) -> Vec<String> {
        (0..count).map(|number| format!("{prefix}-{number:05}")).collect()
    }

    fn number(store: &Store, sql: &str) -> i64 {
        store.connection.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    fn rows(store: &Store) -> [i64; 3] {
        ["usage", "usage_daily", "targets_daily"]
            .map(|table| number(store, &format!("SELECT count(*) FROM {table}")))
    }

    fn prune(store: &mut Store, keeping: &Keeping<'_>) -> u64 {
        let mut rows = 0;
        for _ in 0..1000 {
            let pruned = store.prune(keeping).unwrap();
            rows += pruned.rows;
            if !pruned.is_more {
                return rows;
            }
        }
        panic!("no end");
    }

    #[test]
    fn of_ways_around_only_a_number_of_devices_is_kept() {
        let mut store = Store::in_memory("UTC").unwrap();
        let run = store.begin_run(&start(&[], false)).unwrap().run;
        for (sequence, person, hour) in [(1, "ada", 0), (2, "bob", 60), (3, "ada", 120)] {
            let mut commit = commit_of(&mut store, sequence, 1);
            let subject = store.subject_id(&subject(person, person)).unwrap();
            let detour = Detour::Protocol(TunnelProtocol::WireGuard);
            let row = DetourRow {
                hour: Hour(hour),
                detour,
                subject: Some(subject),
                flows: 1,
                bytes: 100,
            };
            commit.detours = vec![row, DetourRow { detour: Detour::Vpn, flows: 0, ..row }, row];
            store.commit(run, &commit).unwrap();
        }
        store.finish_run(run, &[]).unwrap();
        let told = |store: &Store, from, to| {
            let facts = store.snapshot().unwrap().detours(Window { from, to }).unwrap();
            let fact =
                |fact: &DetourFact| (fact.detour.as_str(), fact.flows, fact.bytes, fact.devices);
            facts.iter().map(fact).collect::<Vec<_>>()
        };
        let all = [("wireguard", 6, 600, 2), ("vpn-anonymizer", 0, 300, 2)];
        assert_eq!(told(&store, 0, DAY_SECONDS), all);
        let one = [("wireguard", 2, 200, 1), ("vpn-anonymizer", 0, 100, 1)];
        assert_eq!(told(&store, 0, 3600), one);

        let hours = Keeping { hours_from: Some(DAY_SECONDS), ..ALL };
        prune(&mut store, &hours);
        assert_eq!(told(&store, 0, DAY_SECONDS), all);
        assert_eq!(number(&store, "SELECT count(*) FROM detours WHERE subject > 0"), 0);
        assert_eq!(store.prune(&hours).unwrap(), Pruned::default());
        prune(&mut store, &Keeping { days_from: Some(DAY_SECONDS), ..hours });
        prune(&mut store, &Keeping { totals_from: Some(DAY_SECONDS), ..hours });
        assert_eq!(told(&store, 0, DAY_SECONDS), []);
    }

    #[test]
    fn what_is_deleted_is_in_no_byte_of_the_files() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(&folder.path().join("usage.db"), "UTC").unwrap();
        let run = store.begin_run(&start(&[], false)).unwrap().run;
        fill(&mut store, run, 1, 5, &people("aurelia", 3000));
        fill(&mut store, run, 2, 48, &people("berengar", 50));
        let mut commit = commit_of(&mut store, 3, 7);
        let domain = store.target_id(&Target::Domain("clotilde.example".into())).unwrap();
        // A time of day is kept as an integer, by SQLite in six bytes where they are enough.
        let moment = stamp(5 * 60, 17);
        commit.usage[0] = UsageRow {
            target: domain,
            hour: Hour(5 * 60),
            sums: crate::store::Sums { first_seen: moment, ..commit.usage[0].sums },
            ..commit.usage[0]
        };
        store.commit(run, &commit).unwrap();
        store.finish_run(run, &[]).unwrap();
        let is_kept = |texts: [&[u8]; 4]| texts.map(|text| is_in_files(folder.path(), text));
        let traces: [&[u8]; 4] =
            [&moment.0.to_be_bytes()[2..], b"aurelia-02999", b"clotilde", b"berengar-00049"];
        assert_eq!(is_kept(traces), [true; 4]);
        store.connection.query_row("PRAGMA wal_checkpoint", [], |_| Ok(())).unwrap();
        let size = |folder: &Path| folder.join("usage.db").metadata().unwrap().len();
        let before = size(folder.path());

        // Nothing is too old.
        let none = Keeping { hours_from: Some(0), days_from: Some(0), totals_from: Some(0), ..ALL };
        assert_eq!(store.prune(&none).unwrap(), Pruned::default());
        // Hours become days: who and what stays, when goes.
        let hours = Keeping { hours_from: Some(2 * DAY_SECONDS), ..none };
        assert_eq!(store.prune(&hours).unwrap(), Pruned { rows: 3001, is_more: false });
        assert_eq!((rows(&store), connections(&store)), ([50, 3001, 0], 3050));
        assert_eq!(is_kept(traces), [false, true, true, true]);
        // Days become totals: what stays, who goes.
        let days = Keeping { days_from: Some(DAY_SECONDS), ..hours };
        assert_eq!(store.prune(&days).unwrap(), Pruned { rows: 3001, is_more: false });
        assert_eq!(rows(&store), [50, 0, 2]);
        assert_eq!(is_kept(traces), [false, false, true, true]);
        assert_eq!(number(&store, "SELECT sum(connections) FROM targets_daily"), 3007);
        assert_eq!(number(&store, "SELECT sum(devices) FROM targets_daily"), 3000);
        // Totals go, and nothing is left of that day but that there were rows.
        let totals = Keeping { totals_from: Some(DAY_SECONDS), ..days };
        assert_eq!(store.prune(&totals).unwrap(), Pruned { rows: 2, is_more: false });
        assert_eq!((rows(&store), connections(&store)), ([50, 0, 0], 50));
        assert_eq!(is_kept(traces), [false, false, false, true]);
        assert!(size(folder.path()) < before / 2, "{} of {before}", size(folder.path()));
        let deleted = store.snapshot().unwrap().deleted(Window::ALL).unwrap();
        assert_eq!((deleted.hours, deleted.days, deleted.totals), (3001, 3001, 2));
        assert_eq!(store.prune(&totals).unwrap(), Pruned::default());
        assert_eq!(store.findings().unwrap(), [""; 0]);
        // Numbers go on.
        let run = store.begin_run(&start(&[], true)).unwrap().run;
        fill(&mut store, run, 1, 49, &people("aurelia", 5));
        store.finish_run(run, &[]).unwrap();
        assert_eq!(connections(&store), 55);
    }

    #[test]
    fn hours_that_are_alike_are_one_row_and_what_comes_late_is_added() {
        let mut store = Store::in_memory("UTC").unwrap();
        let live = RunStart { kind: RunKind::Live, ..start(&[], false) };
        let run = store.begin_run(&live).unwrap().run;
        for hour in 0..5 {
            fill(&mut store, run, 1 + hour as u64, hour, &people("in", 2));
        }
        let keeping = Keeping { hours_from: Some(DAY_SECONDS), ..ALL };
        assert_eq!(prune(&mut store, &keeping), 10);
        assert_eq!((rows(&store), connections(&store)), ([0, 2, 0], 10));
        fill(&mut store, run, 6, 7, &people("in", 3));
        assert_eq!(prune(&mut store, &keeping), 3);
        assert_eq!((rows(&store), connections(&store)), ([0, 3, 0], 13));
        assert_eq!(store.snapshot().unwrap().deleted(Window::ALL).unwrap().hours, 13);
        store.finish_run(run, &[]).unwrap();
    }

    #[test]
    fn what_tells_people_from_machines_stays_as_long_as_they_do() {
        let mut store = Store::in_memory("UTC").unwrap();
        let run = store.begin_run(&start(&[], false)).unwrap().run;
        let mut commit = commit_of(&mut store, 1, 1);
        let UsageRow { hour, subject, .. } = commit.usage[0];
        for (hour, value) in [(hour, 64), (hour, 128), (Hour(60), 64), (Hour(60), u64::MAX)] {
            commit.traits.push(TraitRow { hour, subject, what: Trait::TimeToLive, value });
        }
        for (hour, verdict) in [(hour, Verdict::Server), (Hour(60), Verdict::Person)] {
            let value = verdict.number();
            commit.traits.push(TraitRow { hour, subject, what: Trait::Told, value });
        }
        commit.accepted = vec![(hour, subject, 3), (Hour(60), subject, 4)];
        store.commit(run, &commit).unwrap();
        store.finish_run(run, &[]).unwrap();
        let sources = |store: &Store| store.snapshot().unwrap().sources(Window::ALL).unwrap();
        let before = sources(&store);
        // Of both hours there are three, and never at the same time.
        assert_eq!(before["10.0.0.1"].facts.of(Trait::TimeToLive), 2);
        assert_eq!(before["10.0.0.1"].facts.told, Some(Verdict::Person));
        assert_eq!(before["10.0.0.1"].facts.accepted, 7);
        let mut keeping = Keeping { hours_from: Some(DAY_SECONDS), ..ALL };
        prune(&mut store, &keeping);
        assert_eq!(number(&store, "SELECT count(*) FROM traits"), 0);
        assert_eq!(sources(&store), before);
        keeping.days_from = Some(DAY_SECONDS);
        prune(&mut store, &keeping);
        assert!(sources(&store).is_empty());
        assert_eq!(number(&store, "SELECT count(*) FROM subjects"), 0);
    }

    #[test]
    fn the_oldest_rows_go_until_it_fits_and_the_newest_hour_stays() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(&folder.path().join("usage.db"), "UTC").unwrap();
        let run = store.begin_run(&start(&[], false)).unwrap().run;
        for hour in 0..12 {
            // Three of them on each of four days.
            let hours = hour / 3 * 24 + hour % 3;
            fill(&mut store, run, 1 + hour as u64, hours, &people("in", 8000));
        }
        store.finish_run(run, &[]).unwrap();
        let used: u64 = used_bytes(&store.connection).unwrap();
        let mut keeping = Keeping { bytes_max: Some(used * 2 / 3), ..ALL };
        prune(&mut store, &keeping);
        assert!(used_bytes(&store.connection).unwrap() <= used * 2 / 3);
        assert_eq!(connections(&store), 96_000, "whose hours are gone");
        assert!(number(&store, "SELECT count(*) FROM usage") >= 8000 * 3);
        assert!(number(&store, "SELECT min(hour) FROM usage") >= DAY_SECONDS);
        keeping.bytes_max = Some(used / 3);
        prune(&mut store, &keeping);
        assert!(used_bytes(&store.connection).unwrap() <= used / 3);
        assert!(rows(&store)[2] >= 1 && rows(&store)[0] == 8000);
        keeping.bytes_max = Some(1);
        prune(&mut store, &keeping);
        // The newest hour, and the others of its day.
        assert_eq!((rows(&store), connections(&store)), ([8000, 8000, 0], 24_000));
        assert_eq!(number(&store, "SELECT min(hour) FROM usage"), 3 * DAY_SECONDS + 2 * 3600);
    }

    #[test]
    fn rows_go_a_piece_at_a_time() {
        let mut store = Store::in_memory("UTC").unwrap();
        let run = store.begin_run(&start(&[], false)).unwrap().run;
        fill(&mut store, run, 1, 0, &people("in", ROWS_AT_ONCE as u32 + 7));
        store.finish_run(run, &[]).unwrap();
        let keeping = Keeping { hours_from: Some(DAY_SECONDS), ..ALL };
        let first = store.prune(&keeping).unwrap();
        assert_eq!(first, Pruned { rows: ROWS_AT_ONCE, is_more: true });
        assert_eq!(store.prune(&keeping).unwrap(), Pruned { rows: 7, is_more: false });
    }

    /// The rules in the database, and the rows that have one.
    fn matched(store: &Store) -> (i64, i64) {
        let sql = "SELECT (SELECT count(*) FROM patterns), (SELECT count(*) FROM matched)";
        store.connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
    }

    #[test]
    fn rules_that_matched_go_with_who_it_was() {
        let mut store = Store::in_memory("UTC").unwrap();
        for (number, again) in [(1, false), (1, true)] {
            let capture = [super::super::testing::capture(number)];
            let run = store.begin_run(&start(&capture, again)).unwrap().run;
            for day in 0..2 {
                let mut commit = commit_of(&mut store, day as u64, 1);
                commit.usage[0].hour = Hour(day * 24 * 60);
                commit.matched.push(MatchedRow {
                    day: i64::from(day) * DAY_SECONDS,
                    subject: commit.usage[0].subject,
                    target: commit.usage[0].target,
                    name_source: commit.usage[0].name_source,
                    pattern: store.pattern_id(&format!("{day}.slack.com")).unwrap(),
                    connections: 1,
                    dns_queries: 0,
                });
                store.commit(run, &commit).unwrap();
            }
            store.finish_run(run, &[]).unwrap();
            assert_eq!(matched(&store), (2, 2), "a run that is read again has replaced the other");
        }
        let hours = Keeping { hours_from: Some(2 * DAY_SECONDS), ..ALL };
        prune(&mut store, &hours);
        assert_eq!((rows(&store), matched(&store)), ([0, 2, 0], (2, 2)));
        prune(&mut store, &Keeping { days_from: Some(DAY_SECONDS), ..hours });
        assert_eq!((rows(&store), matched(&store)), ([0, 1, 1], (1, 1)));
        prune(&mut store, &Keeping { days_from: Some(2 * DAY_SECONDS), ..hours });
        assert_eq!((rows(&store), matched(&store)), ([0, 0, 2], (0, 0)));
    }

    #[test]
    fn a_run_that_is_replaced_takes_its_days_with_it() {
        let mut store = Store::in_memory("UTC").unwrap();
        let capture = [super::super::testing::capture(1)];
        let run = store.begin_run(&start(&capture, false)).unwrap().run;
        fill(&mut store, run, 1, 0, &people("in", 3));
        store.finish_run(run, &[]).unwrap();
        prune(&mut store, &Keeping { hours_from: Some(DAY_SECONDS), ..ALL });
        assert_eq!(rows(&store), [0, 3, 0]);
        let run = store.begin_run(&start(&capture, true)).unwrap().run;
        fill(&mut store, run, 1, 24, &people("in", 2));
        store.finish_run(run, &[]).unwrap();
        assert_eq!(rows(&store), [2, 0, 0]);
    }
}
