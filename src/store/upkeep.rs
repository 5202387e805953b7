//! Care of a database while somebody writes to it: a check of all of it, and a copy.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::error::{StoreError, explain};
use super::{Store, beside};

/// Findings listed at most.
const FINDINGS_MAX: usize = 20;

/// Bytes that are free for others than root on the disk of `path`; `None` where that is not told.
pub fn free_bytes(path: &Path) -> Option<u64> {
    let facts = rustix::fs::statvfs(path).ok()?;
    facts.f_bavail.checked_mul(facts.f_frsize)
}

impl Store {
    /// What is wrong with the database: its pages, its references, its books. Nothing is well.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn findings(&self) -> Result<Vec<String>, StoreError> {
        findings(&self.connection).map_err(|error| explain(&self.path, error))
    }

    /// Copies the database as it is at one moment to `path`, where no file may be yet; the copy is
    /// for its owner alone, and there whole or not at all.
    ///
    /// # Errors
    /// The database cannot be read, or the copy not be written.
    pub fn backup(&self, path: &Path) -> Result<(), StoreError> {
        let failed = |source| StoreError::Open { path: path.to_path_buf(), source };
        if path.exists() {
            return Err(failed(io::ErrorKind::AlreadyExists.into()));
        }
        let partial = beside(path, ".partial");
        let copied = self.copy(&partial).and_then(|()| {
            let synced = File::open(&partial).and_then(|file| file.sync_all());
            synced.and_then(|()| fs::rename(&partial, path)).map_err(failed)
        });
        if copied.is_err() {
            // It may never have been made.
            let _gone = fs::remove_file(&partial);
        }
        copied
    }

    fn copy(&self, partial: &Path) -> Result<(), StoreError> {
        let failed = |source| StoreError::Open { path: partial.to_path_buf(), source };
        let mut options = OpenOptions::new();
        // SQLite takes an empty file that is there, with its rights.
        options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(partial)
            .map_err(failed)?;
        let name = partial.to_str().ok_or_else(|| failed(io::ErrorKind::InvalidFilename.into()))?;
        let copied = self.connection.execute("VACUUM INTO ?", [name]);
        copied.map(|_| ()).map_err(|error| explain(partial, error))
    }
}

fn findings(connection: &rusqlite::Connection) -> rusqlite::Result<Vec<String>> {
    let mut findings = Vec::new();
    let mut pages = connection.prepare(&format!("PRAGMA integrity_check({FINDINGS_MAX})"))?;
    let mut rows = pages.query([])?;
    while let Some(row) = rows.next()? {
        let text: String = row.get(0)?;
        if text != "ok" {
            findings.push(text);
        }
    }
    let mut references = connection.prepare("PRAGMA foreign_key_check")?;
    let mut rows = references.query([])?;
    while let Some(row) = rows.next()?
        && findings.len() < FINDINGS_MAX
    {
        let (table, parent): (String, String) = (row.get(0)?, row.get(2)?);
        findings.push(format!("a row of {table} refers to one of {parent} that is not there"));
    }
    // Of runs that are done: as long as a flow is open, its bytes may be in no bucket yet.
    let sql = "SELECT t.run, t.hour, t.total_bytes, ifnull(sum(v.bytes), 0)
        FROM totals AS t JOIN runs AS r ON r.id = t.run AND r.state = 'done'
        LEFT JOIN visibility AS v ON v.run = t.run AND v.hour = t.hour
        GROUP BY t.run, t.hour HAVING t.total_bytes <> ifnull(sum(v.bytes), 0) LIMIT ?";
    let mut books = connection.prepare(sql)?;
    let mut rows = books.query([FINDINGS_MAX as i64])?;
    while let Some(row) = rows.next()? {
        let (run, hour, total, sum): (i64, i64, i64, i64) =
            (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        findings.push(format!(
            "the books of run {run} do not balance in the hour {hour}: {sum} of {total} bytes"
        ));
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::testing::{connections, read};
    use super::*;

    #[test]
    fn a_copy_made_while_somebody_writes_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let [path, copy] = ["usage.db", "copy.db"].map(|name| folder.path().join(name));
        let mut writer = Store::open(&path, "UTC").unwrap();
        read(&mut writer, &[], false, 5);
        let reader = Store::open_read_only(&path).unwrap();
        reader.backup(&copy).unwrap();
        read(&mut writer, &[], true, 7);
        assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
        let copied = Store::open_read_only(&copy).unwrap();
        assert_eq!((connections(&copied), copied.findings().unwrap()), (5, Vec::new()));
        // Another one does not take its place.
        assert!(reader.backup(&copy).unwrap_err().to_string().contains("copy.db"));
        let nowhere = reader.backup(&folder.path().join("no/copy.db")).unwrap_err();
        assert!(nowhere.to_string().contains("copy.db"), "{nowhere}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 6 - 1);
    }

    #[test]
    fn what_is_wrong_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("usage.db");
        let mut store = Store::open(&path, "UTC").unwrap();
        read(&mut store, &[], false, 5);
        assert_eq!(store.findings().unwrap(), Vec::<String>::new());
        store
            .connection
            .execute_batch(
                "DELETE FROM subjects; INSERT OR REPLACE INTO totals
                 SELECT 3600, id, 1, 99, 99, 0, 0 FROM runs",
            )
            .unwrap();
        let findings = store.findings().unwrap().join("\n");
        assert!(findings.contains("usage refers to one of subjects"), "{findings}");
        assert!(findings.contains("0 of 99 bytes"), "{findings}");
    }

    #[test]
    fn a_disk_has_room() {
        assert!(free_bytes(Path::new("/")).is_some());
        assert_eq!(free_bytes(Path::new("/no/such/folder")), None);
    }
}
