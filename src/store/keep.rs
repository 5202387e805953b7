//! What is deleted: rows of usage that are too old, and the oldest where there are too many.
//!
//! Rows of usage tell who used what. The ledger, totals and health tell of nobody, are small, and
//! stay. What is deleted is gone: freed pages are overwritten (`secure_delete`, see
//! [`super::set_up`]), the file is cut, and the write-ahead log emptied, so that nothing is left to
//! be found in the files' bytes. Subjects and targets without a row go with the last of theirs.

use rusqlite::{Connection, TransactionBehavior, params};

use super::Store;
use super::error::{StoreError, explain};

/// Rows deleted in one transaction, so that nobody waits for long.
const ROWS_AT_ONCE: i64 = 20_000;

/// What is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keeping {
    /// Rows of usage of hours that begin from then on, in seconds since 1970; all where none is
    /// given.
    pub usage_from: Option<i64>,
    /// As many of them as fit into a database of this size, in bytes.
    pub bytes_max: Option<u64>,
}

/// What became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Rows of usage that were deleted.
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

impl Store {
    /// Deletes what is not to be kept, a piece at a time.
    ///
    /// # Errors
    /// The database cannot be written; what was deleted before is.
    pub fn prune(&mut self, keeping: &Keeping) -> Result<Pruned, StoreError> {
        self.check_in_place()?;
        let pruned = prune(&mut self.connection, keeping);
        self.interned.forget();
        pruned.map_err(|error| explain(&self.path, error))
    }
}

fn prune(connection: &mut Connection, keeping: &Keeping) -> rusqlite::Result<Pruned> {
    let mut rows = 0;
    let mut is_more = false;
    if let Some(from) = keeping.usage_from {
        rows = delete(connection, from)?;
        is_more = rows == ROWS_AT_ONCE as u64;
    }
    let is_too_big = |connection: &Connection| -> rusqlite::Result<bool> {
        let bytes = used_bytes(connection)?;
        Ok(keeping.bytes_max.is_some_and(|max| bytes > max))
    };
    let was_too_big = !is_more && is_too_big(connection)?;
    if was_too_big {
        // Never those of the newest hour, which are still added to.
        let newest: Option<i64> =
            connection.query_row("SELECT max(hour) FROM usage", [], |row| row.get(0))?;
        let deleted = delete(connection, newest.unwrap_or(i64::MIN))?;
        rows += deleted;
        is_more = deleted > 0 && is_too_big(connection)?;
    }
    let is_done = !is_more && (rows > 0 || was_too_big);
    if is_done {
        forget(connection)?;
    }
    if is_done || rows > 0 {
        vanish(connection)?;
    }
    Ok(Pruned { rows, is_more })
}

/// Deletes rows of usage of hours before one, the oldest first.
fn delete(connection: &mut Connection, before: i64) -> rusqlite::Result<u64> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let rows = transaction.execute(
        "DELETE FROM usage WHERE (hour, run, subject, target, name_source, catalogue) IN (
             SELECT hour, run, subject, target, name_source, catalogue FROM usage
             WHERE hour < ?1 ORDER BY hour, run, subject, target, name_source, catalogue LIMIT ?2)",
        params![before, ROWS_AT_ONCE],
    )?;
    // What else tells of whom goes with the hours of which nothing is left.
    let oldest: Option<i64> =
        transaction.query_row("SELECT min(hour) FROM usage", [], |row| row.get(0))?;
    let gone_before = oldest.unwrap_or(before).min(before);
    for table in ["traits", "accepted", "possible"] {
        transaction
            .execute(&format!("DELETE FROM {table} WHERE hour < ?1"), params![gone_before])?;
    }
    transaction.commit()?;
    Ok(rows as u64)
}

/// Deletes who and what no row of usage is of any more.
fn forget(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "BEGIN IMMEDIATE;
         DELETE FROM subjects WHERE id NOT IN (
             SELECT subject FROM usage UNION SELECT subject FROM traits
             UNION SELECT subject FROM accepted);
         DELETE FROM targets WHERE id NOT IN (
             SELECT target FROM usage UNION SELECT target FROM possible);
         COMMIT;",
    )
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

    use super::super::testing::{commit_of, connections, start, subject};
    use super::*;
    use crate::store::{RunId, UsageRow};
    use crate::time::Hour;

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

    fn is_in_files(folder: &Path, text: &str) -> bool {
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let mut contents = files.map(|path| std::fs::read(path).unwrap());
        contents.any(|bytes| memchr::memmem::find(&bytes, text.as_bytes()).is_some())
    }

    fn people(prefix: &str, count: u32) -> Vec<String> {
        (0..count).map(|number| format!("{prefix}-{number:05}")).collect()
    }

    fn hours(store: &Store) -> (i64, i64) {
        let sql = "SELECT min(hour), max(hour) FROM usage";
        store.connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
    }

    #[test]
    fn what_is_deleted_is_in_no_byte_of_the_files() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(&folder.path().join("usage.db"), "UTC").unwrap();
        let run = store.begin_run(&start(&[], false)).unwrap().run;
        fill(&mut store, run, 1, 0, &people("aurelia", 3000));
        fill(&mut store, run, 2, 48, &people("berengar", 50));
        store.finish_run(run, &[]).unwrap();
        assert!(is_in_files(folder.path(), "aurelia-02999"));
        let (first, last) = hours(&store);
        let size = |folder: &Path| folder.join("usage.db").metadata().unwrap().len();
        store.connection.query_row("PRAGMA wal_checkpoint", [], |_| Ok(())).unwrap();
        let before = size(folder.path());

        let keeping = Keeping { usage_from: Some(first), bytes_max: None };
        assert_eq!(store.prune(&keeping).unwrap(), Pruned::default());
        let keeping = Keeping { usage_from: Some(last), bytes_max: None };
        let pruned = store.prune(&keeping).unwrap();
        assert_eq!(pruned, Pruned { rows: 3000, is_more: false });
        assert!(!is_in_files(folder.path(), "aurelia"));
        assert!(is_in_files(folder.path(), "berengar-00049"));
        assert_eq!(connections(&store), 50);
        assert!(size(folder.path()) < before / 2, "{} of {before}", size(folder.path()));
        assert_eq!(store.prune(&keeping).unwrap(), Pruned::default());
        // Numbers go on.
        let run = store.begin_run(&start(&[], true)).unwrap().run;
        fill(&mut store, run, 1, 49, &people("aurelia", 5));
        store.finish_run(run, &[]).unwrap();
        assert_eq!(connections(&store), 55);
    }

    #[test]
    fn the_oldest_rows_go_until_it_fits_and_the_newest_hour_stays() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(&folder.path().join("usage.db"), "UTC").unwrap();
        let run = store.begin_run(&start(&[], false)).unwrap().run;
        for hour in 0..12 {
            fill(&mut store, run, 1 + hour as u64, hour, &people("in", 8000));
        }
        store.finish_run(run, &[]).unwrap();
        let used: u64 = used_bytes(&store.connection).unwrap();
        let (_, last) = hours(&store);
        let mut calls = 0;
        let mut keeping = Keeping { usage_from: None, bytes_max: Some(used * 2 / 3) };
        while store.prune(&keeping).unwrap().is_more {
            calls += 1;
            assert!(calls < 100);
        }
        assert!(used_bytes(&store.connection).unwrap() <= used * 2 / 3);
        assert!(connections(&store) > 8000);
        keeping.bytes_max = Some(1);
        while store.prune(&keeping).unwrap().is_more {}
        assert_eq!((connections(&store), hours(&store)), (8000, (last, last)));
    }

    #[test]
    fn rows_go_a_piece_at_a_time() {
        let mut store = Store::in_memory("UTC").unwrap();
        let run = store.begin_run(&start(&[], false)).unwrap().run;
        fill(&mut store, run, 1, 0, &people("in", ROWS_AT_ONCE as u32 + 7));
        store.finish_run(run, &[]).unwrap();
        let keeping = Keeping { usage_from: Some(i64::MAX), bytes_max: None };
        let first = store.prune(&keeping).unwrap();
        assert_eq!(first, Pruned { rows: ROWS_AT_ONCE as u64, is_more: true });
        assert_eq!(store.prune(&keeping).unwrap(), Pruned { rows: 7, is_more: false });
    }
}
