//! Runs: how they begin, end, are taken out and replaced, and which captures are known.
//!
//! The rules. A capture is known by its fingerprint. Captures that were read together are one run,
//! since flows run on across them; so a run comes, goes and is replaced as a whole. A run of
//! captures that never came to its end is worth nothing: nobody sees it, and it is taken out, in
//! one transaction, when the next run begins. A replaced run stays until the one that replaces it
//! is finished, so that a crash in between loses nothing.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::Store;
use super::error::{StoreError, explain};
use super::rows::{CaptureFacts, Plan, RunId, RunKind, RunStart, Skip};

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
    /// `again`, but an earlier run had captures that are not among these; or the database cannot
    /// be read.
    pub fn plan(&self, captures: &[CaptureFacts], again: bool) -> Result<Plan, StoreError> {
        let mut plan = Plan::default();
        for (index, capture) in captures.iter().enumerate() {
            let same = |other: &CaptureFacts| other.fingerprint == capture.fingerprint;
            if let Some(first) = captures.iter().take(index).position(same) {
                plan.skip.push((index, Skip::SameAs(first)));
                continue;
            }
            match self.done(capture)? {
                Some(earlier) if !again => {
                    plan.skip.push((index, Skip::AlreadyDone(earlier.name)));
                }
                _ => plan.read.push(index),
            }
        }
        if again {
            self.check_replaced_whole(captures)?;
        }
        Ok(plan)
    }

    /// Begins a run. Runs that were interrupted are taken out or closed.
    ///
    /// # Errors
    /// A capture is given twice, or was read before and not `again`; a run would be replaced in
    /// part; or the database cannot be written.
    pub fn begin_run(&mut self, start: &RunStart) -> Result<Begun, StoreError> {
        for (index, capture) in start.captures.iter().enumerate() {
            let same = |other: &&CaptureFacts| other.fingerprint == capture.fingerprint;
            if let Some(first) = start.captures.iter().take(index).find(same) {
                let (first, second) = (first.name.clone(), capture.name.clone());
                return Err(StoreError::GivenTwice { first, second });
            }
            if start.again {
                continue;
            }
            if let Some(earlier) = self.done(capture)? {
                return Err(StoreError::AlreadyDone {
                    path: self.path.clone(),
                    name: capture.name.clone(),
                    earlier: earlier.name,
                });
            }
        }
        if start.again {
            self.check_replaced_whole(&start.captures)?;
        }
        self.check_in_place()?;
        let begun = begin(&mut self.connection, start);
        self.interned.forget();
        begun.map_err(|error| explain(&self.path, error))
    }

    /// Ends a run: its rows become visible, and earlier runs of its captures are taken out, in one
    /// transaction. `damaged` names captures by fingerprint that could be read only up to an
    /// offset in bytes.
    ///
    /// # Errors
    /// The database cannot be written; the run is open then, and invisible if it is of captures.
    pub fn finish_run(
        &mut self,
        run: RunId,
        damaged: &[([u8; 32], u64)],
    ) -> Result<(), StoreError> {
        self.check_in_place()?;
        let finished = finish(&mut self.connection, run, damaged);
        self.interned.forget();
        finished.map_err(|error| explain(&self.path, error))
    }

    /// The finished run that holds `capture`, and the name it had there.
    fn done(&self, capture: &CaptureFacts) -> Result<Option<DoneCapture>, StoreError> {
        let sql = "SELECT run, name FROM captures WHERE fingerprint = ? AND done = 1";
        let found = self.connection.prepare_cached(sql).and_then(|mut statement| {
            statement
                .query_row([&capture.fingerprint], |row| {
                    Ok(DoneCapture { run: row.get(0)?, name: row.get(1)? })
                })
                .optional()
        });
        found.map_err(|error| explain(&self.path, error))
    }

    /// Checks that each finished run that has one of `captures` has no others.
    fn check_replaced_whole(&self, captures: &[CaptureFacts]) -> Result<(), StoreError> {
        for capture in captures {
            let Some(earlier) = self.done(capture)? else { continue };
            let missing = others(&self.connection, earlier.run, captures)
                .map_err(|error| explain(&self.path, error))?;
            if !missing.is_empty() {
                return Err(StoreError::AgainNeedsAll { given: capture.name.clone(), missing });
            }
        }
        Ok(())
    }
}

struct DoneCapture {
    run: i64,
    name: String,
}

/// Names of the captures of `run` that are not among `captures`.
fn others(
    connection: &Connection,
    run: i64,
    captures: &[CaptureFacts],
) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT fingerprint, name FROM captures WHERE run = ? ORDER BY name";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([run])?;
    let mut missing = Vec::new();
    while let Some(row) = rows.next()? {
        let fingerprint: [u8; 32] = row.get(0)?;
        if !captures.iter().any(|capture| capture.fingerprint == fingerprint) {
            missing.push(row.get(1)?);
        }
    }
    Ok(missing)
}

fn begin(connection: &mut Connection, start: &RunStart) -> rusqlite::Result<Begun> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut interrupted = Vec::new();
    for capture in &start.captures {
        let begun_before = transaction
            .prepare_cached("SELECT 1 FROM captures WHERE fingerprint = ? AND done = 0")?
            .exists([&capture.fingerprint])?;
        if begun_before {
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
        "INSERT INTO runs (kind, state, program, config_sha256) VALUES (?, 'open', ?, ?)",
        params![kind, start.program, start.config_sha256],
    )?;
    let run = transaction.last_insert_rowid();
    for capture in &start.captures {
        let size_bytes = i64::try_from(capture.size_bytes).unwrap_or(i64::MAX);
        transaction.execute(
            "INSERT INTO captures (run, fingerprint, size_bytes, name) VALUES (?, ?, ?, ?)",
            params![run, capture.fingerprint, size_bytes, capture.name],
        )?;
    }
    transaction.commit()?;
    Ok(Begun { run: RunId(run), interrupted })
}

fn finish(
    connection: &mut Connection,
    run: RunId,
    damaged: &[([u8; 32], u64)],
) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let replaced = {
        let mut statement = transaction.prepare_cached(
            "SELECT DISTINCT earlier.run FROM captures AS earlier
             JOIN captures AS mine USING (fingerprint)
             WHERE mine.run = ?1 AND earlier.run <> ?1 AND earlier.done = 1",
        )?;
        statement.query_map([run.0], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?
    };
    remove(&transaction, &replaced)?;
    for (fingerprint, offset) in damaged {
        transaction.execute(
            "UPDATE captures SET damaged_at = ? WHERE run = ? AND fingerprint = ?",
            params![i64::try_from(*offset).unwrap_or(i64::MAX), run.0, fingerprint],
        )?;
    }
    transaction.execute("UPDATE captures SET done = 1 WHERE run = ?", [run.0])?;
    transaction.execute("UPDATE runs SET state = 'done' WHERE id = ?", [run.0])?;
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
        for table in ["usage", "visibility", "totals"] {
            let sql = format!(
                "DELETE FROM {table} WHERE run = ?1
                     AND hour >= (SELECT first_hour FROM runs WHERE id = ?1)
                     AND hour <= (SELECT last_hour FROM runs WHERE id = ?1)"
            );
            connection.execute(&sql, [run])?;
        }
        for table in ["counters", "commits", "captures"] {
            connection.execute(&format!("DELETE FROM {table} WHERE run = ?"), [run])?;
        }
        connection.execute("DELETE FROM runs WHERE id = ?", [run])?;
    }
    connection.execute_batch(
        "DELETE FROM subjects WHERE id NOT IN (SELECT subject FROM usage);
         DELETE FROM targets WHERE id NOT IN (SELECT target FROM usage);",
    )
}

#[cfg(test)]
mod tests {
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
            "INSERT INTO captures SELECT 99, fingerprint, 1, 'x', NULL, 1 FROM captures",
        );
        assert!(error.unwrap_err().to_string().contains("UNIQUE"));
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
