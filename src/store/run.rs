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
        begin(&mut self.connection, start).map_err(|error| explain(&self.path, error))
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
        finish(&mut self.connection, run, damaged).map_err(|error| explain(&self.path, error))
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
    for run in ids(&transaction, "SELECT id FROM runs WHERE kind = 'capture' AND state = 'open'")? {
        remove(&transaction, run)?;
    }
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
    for earlier in replaced {
        remove(&transaction, earlier)?;
    }
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

/// Takes a run out. Its hours are known, so that the tables, which begin with the hour, need not
/// be walked as a whole. Subjects, targets and apps stay: other runs may have them too.
fn remove(connection: &Connection, run: i64) -> rusqlite::Result<()> {
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
    Ok(())
}

fn ids(connection: &Connection, sql: &str) -> rusqlite::Result<Vec<i64>> {
    connection.prepare_cached(sql)?.query_map([], |row| row.get(0))?.collect()
}
