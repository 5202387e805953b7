//! Runs: how they begin, end, are taken out and replaced, and which captures are known.
//!
//! The rules. A capture is known by its fingerprint, or, however it is packed, by its content; what
//! was read of a pipe or unpacked is known so only at its end. Captures that were read together are one run,
//! since flows run on across them; so a run comes, goes and is replaced as a whole. A run of
//! captures that never came to its end is worth nothing: nobody sees it, and it is taken out, in
//! one transaction, when the next run begins. A replaced run stays until the one that replaces it
//! is finished, so that a crash in between loses nothing. What could be read of a capture whose
//! reading stopped is seen, but it is not done: reading it again replaces that run.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::error::{StoreError, explain};
use super::rows::{CaptureEnd, CaptureFacts, Plan, RunId, RunKind, RunStart, Skip};
use super::{Store, keep};

/// A run that has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begun {
    /// Names it in commits.
    pub run: RunId,
    /// Names of captures of this run that an interrupted run had begun to read; what it had
    /// counted was taken out.
    pub interrupted: Vec<String>,
}

impl Store {
    /// Which of `captures` are to be read. With `again`, those that were read before are too.
    ///
    /// # Errors
    /// A run would be replaced in part ([`Store::check`]); or the database cannot be read.
    pub fn plan(&self, captures: &[CaptureFacts], again: bool) -> Result<Plan, StoreError> {
        let mut plan = Plan::default();
        for (index, capture) in captures.iter().enumerate() {
            let same = |other: &CaptureFacts| other.is_same_as(capture);
            if let Some(first) = captures.iter().take(index).position(same) {
                plan.skip.push((index, Skip::SameAs(first)));
                continue;
            }
            match self.earlier(capture, Earlier::Done)? {
                Some(earlier) if !again => {
                    plan.skip.push((index, Skip::AlreadyDone(earlier.name)));
                }
                _ => plan.read.push(index),
            }
        }
        self.check_replaced_whole(captures, again)?;
        Ok(plan)
    }

    /// Whether a capture that was read begins like this; see [`CaptureFacts::beginning`].
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn knows_beginning(&self, beginning: &[u8; 32]) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM captures WHERE beginning = ?";
        let found =
            self.connection.prepare_cached(sql).and_then(|mut known| known.exists([beginning]));
        found.map_err(|error| explain(&self.path, error))
    }

    /// Checks that these captures may be counted together: what [`Store::begin_run`] checks of
    /// those it is given, and what is to be checked again of what was read from a pipe or
    /// unpacked, before its run is finished.
    ///
    /// # Errors
    /// A capture is given twice, or was read before and not `again`; a run would be replaced in
    /// part; or the database cannot be read.
    pub fn check(&self, captures: &[CaptureFacts], again: bool) -> Result<(), StoreError> {
        for (index, capture) in captures.iter().enumerate() {
            let same = |other: &&CaptureFacts| other.is_same_as(capture);
            if let Some(first) = captures.iter().take(index).find(same) {
                let (first, second) = (first.name.clone(), capture.name.clone());
                return Err(StoreError::GivenTwice { first, second });
            }
            if again {
                continue;
            }
            if let Some(earlier) = self.earlier(capture, Earlier::Done)? {
                return Err(StoreError::AlreadyDone {
                    path: self.path.clone(),
                    name: capture.name.clone(),
                    earlier: earlier.name,
                });
            }
        }
        self.check_replaced_whole(captures, again)
    }

    /// Begins a run. Runs that were interrupted are taken out or closed.
    ///
    /// # Errors
    /// As [`Store::check`]; or the database cannot be written.
    pub fn begin_run(&mut self, start: &RunStart) -> Result<Begun, StoreError> {
        self.check(&start.captures, start.again)?;
        self.check_in_place()?;
        let begun = begin(&mut self.connection, start);
        self.interned.forget();
        begun.map_err(|error| explain(&self.path, error))
    }

    /// Ends a run: its rows become visible, and earlier runs of its captures are taken out, in one
    /// transaction. `ends` tells what became of captures, and of those that came from pipes; of
    /// others, all was read. A run that has read one in part is replaced when that is read again.
    ///
    /// # Errors
    /// The database cannot be written; the run is open then, and invisible if it is of captures.
    pub fn finish_run(&mut self, run: RunId, ends: &[CaptureEnd]) -> Result<(), StoreError> {
        self.check_in_place()?;
        let finished = finish(&mut self.connection, run, ends);
        self.interned.forget();
        finished.map_err(|error| explain(&self.path, error))
    }

    /// Takes out a run that is not finished, as if it had never begun.
    ///
    /// # Errors
    /// The database cannot be written; the run is open then, and invisible if it is of captures.
    pub fn discard_run(&mut self, run: RunId) -> Result<(), StoreError> {
        self.check_in_place()?;
        let discarded = discard(&mut self.connection, run);
        self.interned.forget();
        discarded.map_err(|error| explain(&self.path, error))
    }

    /// The finished run that holds `capture`, and the name it had there.
    fn earlier(
        &self,
        capture: &CaptureFacts,
        which: Earlier,
    ) -> Result<Option<EarlierCapture>, StoreError> {
        let condition = match which {
            Earlier::Done => "done = 1",
            Earlier::InPart => "done = 0 AND run IN (SELECT id FROM runs WHERE state = 'done')",
        };
        let sql = format!(
            "SELECT run, name FROM captures
             WHERE (fingerprint = ?1 OR content = ?2) AND {condition} ORDER BY run"
        );
        let found = self.connection.prepare_cached(&sql).and_then(|mut statement| {
            statement
                .query_row(params![capture.fingerprint, capture.content], |row| {
                    Ok(EarlierCapture { run: row.get(0)?, name: row.get(1)? })
                })
                .optional()
        });
        found.map_err(|error| explain(&self.path, error))
    }

    /// Checks that each finished run that will be replaced has no captures but these.
    fn check_replaced_whole(
        &self,
        captures: &[CaptureFacts],
        again: bool,
    ) -> Result<(), StoreError> {
        for capture in captures {
            for which in [Earlier::Done, Earlier::InPart] {
                if which == Earlier::Done && !again {
                    continue;
                }
                let Some(earlier) = self.earlier(capture, which)? else { continue };
                let missing = others(&self.connection, earlier.run, captures)
                    .map_err(|error| explain(&self.path, error))?;
                if missing.is_empty() {
                    continue;
                }
                let given = capture.name.clone();
                return Err(match which {
                    Earlier::Done => StoreError::AgainNeedsAll { given, missing },
                    Earlier::InPart => StoreError::InPartNeedsAll { given, missing },
                });
            }
        }
        Ok(())
    }
}

/// Captures of finished runs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Earlier {
    /// All of the run's captures were read.
    Done,
    /// One of the run's was read in part only.
    InPart,
}

struct EarlierCapture {
    run: i64,
    name: String,
}

/// Names of the captures of `run` that are not among `captures`.
fn others(
    connection: &Connection,
    run: i64,
    captures: &[CaptureFacts],
) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT name, size_bytes, fingerprint, content FROM captures
        WHERE run = ? ORDER BY name";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([run])?;
    let mut missing = Vec::new();
    while let Some(row) = rows.next()? {
        let earlier = CaptureFacts {
            name: row.get(0)?,
            size_bytes: row.get::<_, i64>(1)?.unsigned_abs(),
            fingerprint: row.get(2)?,
            content: row.get(3)?,
            beginning: None,
        };
        if !captures.iter().any(|capture| capture.is_same_as(&earlier)) {
            missing.push(earlier.name);
        }
    }
    Ok(missing)
}

fn begin(connection: &mut Connection, start: &RunStart) -> rusqlite::Result<Begun> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut interrupted = Vec::new();
    for capture in &start.captures {
        let sql = "SELECT 1 FROM captures WHERE fingerprint = ?
            AND run IN (SELECT id FROM runs WHERE state = 'open')";
        if transaction.prepare_cached(sql)?.exists([&capture.fingerprint])? {
            interrupted.push(capture.name.clone());
        }
    }
    // Only one process writes, so a run that is open here is nobody's.
    let open = {
        let sql = "SELECT id FROM runs WHERE kind = 'capture' AND state = 'open'";
        let mut statement = transaction.prepare_cached(sql)?;
        statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?
    };
    remove(&transaction, &open)?;
    transaction.execute("UPDATE runs SET state = 'interrupted' WHERE state = 'open'", [])?;
    let kind = match start.kind {
        RunKind::Capture => "capture",
        RunKind::Live => "live",
    };
    transaction.execute(
        "INSERT INTO runs (kind, state, program, config_sha256, pseudonym_key, site)
         VALUES (?, 'open', ?, ?, ?, ?)",
        params![kind, start.program, start.config_sha256, start.pseudonym_key, start.site],
    )?;
    let run = transaction.last_insert_rowid();
    for capture in &start.captures {
        insert(&transaction, run, capture)?;
    }
    transaction.commit()?;
    Ok(Begun { run: RunId(run), interrupted })
}

/// Lists a capture of a run, or what is known of it now.
fn insert(connection: &Connection, run: i64, capture: &CaptureFacts) -> rusqlite::Result<()> {
    let sql = "INSERT INTO captures (run, fingerprint, content, beginning, size_bytes, name)
        VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (run, fingerprint)
        DO UPDATE SET content = excluded.content, beginning = excluded.beginning";
    let size_bytes = i64::try_from(capture.size_bytes).unwrap_or(i64::MAX);
    let CaptureFacts { name, fingerprint, content, beginning, .. } = capture;
    connection.execute(sql, params![run, fingerprint, content, beginning, size_bytes, name])?;
    Ok(())
}

fn finish(connection: &mut Connection, run: RunId, ends: &[CaptureEnd]) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for end in ends {
        insert(&transaction, run.0, &end.capture)?;
        let offset = end.damaged_at.map(|offset| i64::try_from(offset).unwrap_or(i64::MAX));
        transaction.execute(
            "UPDATE captures SET damaged_at = ?, in_part = ? WHERE run = ? AND fingerprint = ?",
            params![offset, end.in_part, run.0, end.capture.fingerprint],
        )?;
    }
    let replaced = {
        let mut statement = transaction.prepare_cached(
            "SELECT DISTINCT earlier.run FROM captures AS earlier
             JOIN runs ON runs.id = earlier.run AND runs.state = 'done'
             JOIN captures AS mine ON mine.run = ?1 AND (mine.fingerprint = earlier.fingerprint
                OR mine.content = earlier.content)
             WHERE earlier.run <> ?1",
        )?;
        statement.query_map([run.0], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?
    };
    remove(&transaction, &replaced)?;
    // Flows run on across the captures of a run: what was read in part is replaced with all else
    // that was read with it.
    let is_done = !ends.iter().any(|end| end.in_part);
    transaction.execute("UPDATE captures SET done = ? WHERE run = ?", params![is_done, run.0])?;
    transaction.execute("UPDATE runs SET state = 'done' WHERE id = ?", [run.0])?;
    transaction.commit()
}

fn discard(connection: &mut Connection, run: RunId) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    remove(&transaction, &[run.0])?;
    transaction.commit()
}

/// Takes runs out, with the subjects and targets that no other run has: whoever replaces a run
/// that knew users by name does not expect to find the names still there.
fn remove(connection: &Connection, runs: &[i64]) -> rusqlite::Result<()> {
    if runs.is_empty() {
        return Ok(());
    }
    for run in runs {
        // A run's hours are known, so that the tables, which begin with the hour, need not be
        // walked as a whole.
        for table in [
            "usage",
            "visibility",
            "totals",
            "health",
            "rings",
            "traits",
            "accepted",
            "followed",
            "possible",
            "detours",
        ] {
            let sql = format!(
                "DELETE FROM {table} WHERE run = ?1
                     AND hour >= (SELECT first_hour FROM runs WHERE id = ?1)
                     AND hour <= (SELECT last_hour FROM runs WHERE id = ?1)"
            );
            connection.execute(&sql, [run])?;
        }
        for table in [
            "usage_daily",
            "sources_daily",
            "matched",
            "targets_daily",
            "counters",
            "commits",
            "captures",
            "reconfigured",
        ] {
            connection.execute(&format!("DELETE FROM {table} WHERE run = ?"), [run])?;
        }
        connection.execute("DELETE FROM runs WHERE id = ?", [run])?;
    }
    keep::forget_unused(connection)
}

#[cfg(test)]
mod tests {
    use super::super::Commit;
    use super::super::testing::{capture, commit_of, connections, read, start, subject};
    use super::*;

    fn store() -> Store {
        Store::in_memory("UTC").unwrap()
    }

    fn count(store: &Store, table: &str) -> i64 {
        let sql = format!("SELECT count(*) FROM {table}");
        store.connection.query_row(&sql, [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn a_capture_that_was_read_is_skipped_whatever_its_name() {
        let mut store = store();
        read(&mut store, &[capture(1)], false, 5);
        let renamed = CaptureFacts { name: "copy.pcap".into(), ..capture(1) };
        let plan = store.plan(&[capture(2), renamed.clone(), capture(2)], false).unwrap();
        assert_eq!(plan.read, [0]);
        let earlier = Skip::AlreadyDone("1.pcap".into());
        assert_eq!(plan.skip, [(1, earlier), (2, Skip::SameAs(0))]);

        let error = store.begin_run(&start(&[renamed], false)).unwrap_err();
        assert!(matches!(&error, StoreError::AlreadyDone { earlier, .. } if earlier == "1.pcap"));
        let error = store.begin_run(&start(&[capture(3), capture(3)], false)).unwrap_err();
        assert!(matches!(error, StoreError::GivenTwice { .. }));
        assert_eq!(count(&store, "runs"), 1);
    }

    #[test]
    fn a_capture_is_known_by_its_content_too() {
        let mut store = store();
        read(&mut store, &[capture(1)], false, 5);
        let packed = CaptureFacts { name: "1.gz".into(), fingerprint: [9; 32], ..capture(1) };
        let plan = store.plan(std::slice::from_ref(&packed), false).unwrap();
        assert_eq!(plan.skip, [(0, Skip::AlreadyDone("1.pcap".into()))]);
        assert!(store.knows_beginning(&packed.beginning.unwrap()).unwrap());
        assert!(!store.knows_beginning(&[0; 32]).unwrap());

        // A pipe's content is known at its end.
        let run = store.begin_run(&start(&[], false)).unwrap().run;
        let error = store.check(std::slice::from_ref(&packed), false).unwrap_err();
        assert!(matches!(error, StoreError::AlreadyDone { .. }), "{error}");
        store.discard_run(run).unwrap();
        assert_eq!((count(&store, "runs"), connections(&store)), (1, 5));
        let run = store.begin_run(&start(&[], true)).unwrap().run;
        store.check(std::slice::from_ref(&packed), true).unwrap();
        let commit = commit_of(&mut store, 1, 7);
        store.commit(run, &commit).unwrap();
        let end = CaptureEnd { capture: packed, damaged_at: Some(3), in_part: false };
        store.finish_run(run, &[end]).unwrap();
        assert_eq!((count(&store, "runs"), count(&store, "captures")), (1, 1));
        assert_eq!(connections(&store), 7);
    }

    #[test]
    fn what_was_read_in_part_is_seen_and_replaced_with_all_that_was_read_with_it() {
        let mut store = store();
        let run = store.begin_run(&start(&[capture(1), capture(2)], false)).unwrap().run;
        let commit = commit_of(&mut store, 1, 5);
        store.commit(run, &commit).unwrap();
        let end = CaptureEnd { capture: capture(2), damaged_at: None, in_part: true };
        store.finish_run(run, &[end]).unwrap();
        assert_eq!(connections(&store), 5);

        let error = store.plan(&[capture(2)], false).unwrap_err();
        assert!(error.is_operators() && error.to_string().contains("1.pcap"), "{error}");
        let both = [capture(1), capture(2)];
        assert_eq!(store.plan(&both, false).unwrap().read, [0, 1]);
        let begun = store.begin_run(&start(&both, false)).unwrap();
        assert!(begun.interrupted.is_empty());
        let commit = commit_of(&mut store, 1, 9);
        store.commit(begun.run, &commit).unwrap();
        assert_eq!(connections(&store), 5);
        store.finish_run(begun.run, &[]).unwrap();
        assert_eq!((connections(&store), count(&store, "captures")), (9, 2));
        assert!(store.plan(&both, false).unwrap().read.is_empty());
    }

    #[test]
    fn an_interrupted_run_is_never_seen_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("usage.db");
        let mut store = Store::open(&path, "UTC").unwrap();
        read(&mut store, &[capture(1)], false, 5);
        let run = store.begin_run(&start(&[capture(2), capture(3)], false)).unwrap().run;
        let commit = commit_of(&mut store, 1, 100);
        store.commit(run, &commit).unwrap();
        // As after a kill: nothing is told to the database any more.
        drop(store);

        let mut store = Store::open(&path, "UTC").unwrap();
        assert_eq!(connections(&store), 5);
        assert_eq!(store.plan(&[capture(2)], false).unwrap().read, [0]);
        let begun = store.begin_run(&start(&[capture(2)], false)).unwrap();
        assert_eq!(begun.interrupted, ["2.pcap"]);
        assert_eq!((count(&store, "usage"), count(&store, "commits")), (1, 1));
        assert_eq!((count(&store, "runs"), count(&store, "captures")), (2, 2));
        let commit = commit_of(&mut store, 1, 10);
        store.commit(begun.run, &commit).unwrap();
        store.finish_run(begun.run, &[]).unwrap();
        assert_eq!(connections(&store), 15);
    }

    #[test]
    fn again_replaces_when_it_is_finished_and_not_before() {
        let mut store = store();
        read(&mut store, &[capture(1)], false, 5);
        read(&mut store, &[capture(2)], false, 1);
        assert_eq!(store.plan(&[capture(1)], true).unwrap().read, [0]);

        let run = store.begin_run(&start(&[capture(1)], true)).unwrap().run;
        let commit = commit_of(&mut store, 1, 70);
        store.commit(run, &commit).unwrap();
        assert_eq!(connections(&store), 6);
        store.finish_run(run, &[]).unwrap();
        assert_eq!(connections(&store), 71);
        assert_eq!((count(&store, "usage"), count(&store, "captures")), (2, 2));
    }

    #[test]
    fn a_run_is_replaced_as_a_whole_or_not_at_all() {
        let mut store = store();
        read(&mut store, &[capture(1), capture(2)], false, 5);
        let part = [capture(1), capture(3)];
        for error in [
            store.plan(&part, true).unwrap_err(),
            store.begin_run(&start(&part, true)).unwrap_err(),
        ] {
            assert!(error.is_operators());
            assert!(error.to_string().contains("1.pcap was read together with 2.pcap"), "{error}");
        }
        read(&mut store, &[capture(1), capture(2), capture(3)], true, 7);
        assert_eq!(connections(&store), 7);
        // Two runs may be replaced by one.
        read(&mut store, &[capture(4)], false, 1);
        let all: Vec<_> = (1..=4).map(capture).collect();
        read(&mut store, &all, true, 2);
        assert_eq!(connections(&store), 2);
        assert_eq!((count(&store, "usage"), count(&store, "captures")), (1, 4));
    }

    #[test]
    fn who_was_only_in_a_replaced_run_is_forgotten() {
        let mut store = store();
        read(&mut store, &[capture(1)], false, 5);
        let run = store.begin_run(&start(&[capture(1)], true)).unwrap().run;
        let mut commit = commit_of(&mut store, 1, 5);
        let pseudonym = subject("u-7f3a", "d-01c2");
        commit.usage[0].subject = store.subject_id(&pseudonym).unwrap();
        store.commit(run, &commit).unwrap();
        store.finish_run(run, &[]).unwrap();
        let users: String = store
            .connection
            .query_row("SELECT group_concat(user) FROM subjects", [], |row| row.get(0))
            .unwrap();
        assert_eq!(users, "u-7f3a");
        // The numbers that were remembered for the others are not used again.
        read(&mut store, &[capture(2)], false, 1);
        assert_eq!(connections(&store), 6);
    }

    #[test]
    fn no_capture_is_done_twice_even_behind_our_back() {
        let mut store = store();
        read(&mut store, &[capture(1)], false, 5);
        let error = store.connection.execute_batch(
            "INSERT INTO captures SELECT 99, fingerprint, NULL, NULL, 1, 'x', NULL, 0, 1 FROM captures",
        );
        assert!(error.unwrap_err().to_string().contains("UNIQUE"));
    }

    #[test]
    fn configurations_of_a_run_are_those_of_its_rows() {
        let mut store = store();
        let live = RunStart { kind: RunKind::Live, ..start(&[], false) };
        let run = store.begin_run(&live).unwrap().run;
        let told = |store: &Store| {
            store.snapshot().unwrap().runs(super::super::Window::ALL).unwrap().config_sha256
        };
        let commit = |store: &mut Store, sequence, taken: &[&str]| {
            let reconfigured = taken.iter().map(|&hash| hash.to_owned()).collect();
            let commit = Commit { reconfigured, ..commit_of(store, sequence, 1) };
            store.commit(run, &commit).unwrap();
            told(store)
        };
        assert_eq!(commit(&mut store, 1, &[]), ["c0"]);
        assert_eq!(commit(&mut store, 2, &["c2", "c1"]), ["c0", "c1", "c2"]);
        // Whoever goes back to what was, is told of once.
        assert_eq!(commit(&mut store, 3, &["c0", "c1"]), ["c0", "c1", "c2"]);
        store.discard_run(run).unwrap();
        assert_eq!(told(&store), Vec::<String>::new());
        assert_eq!(count(&store, "reconfigured"), 0);
    }

    #[test]
    fn a_live_run_is_seen_as_it_goes_and_after_it_was_cut_off() {
        let mut store = store();
        let live = RunStart { kind: RunKind::Live, ..start(&[], false) };
        let first = store.begin_run(&live).unwrap().run;
        let commit = commit_of(&mut store, 1, 5);
        store.commit(first, &commit).unwrap();
        assert_eq!(connections(&store), 5);
        let second = store.begin_run(&live).unwrap().run;
        assert_eq!(connections(&store), 5);
        store.commit(second, &commit).unwrap();
        assert_eq!(connections(&store), 10);
        // Nobody writes to a run that was closed.
        let late = commit_of(&mut store, 2, 5);
        assert!(store.commit(first, &late).is_err());
        assert_eq!(connections(&store), 10);
    }
}
