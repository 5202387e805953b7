//! The store: usage, the books and what is known of runs and captures, in SQLite.
//!
//! One [`Store`] writes to a database at a time; readers take a [`Snapshot`] and may do so while
//! it writes. A run ([`Store::begin_run`], [`Store::commit`], [`Store::finish_run`]) is visible as
//! a whole or, as long as its captures are being read, not at all. `schema.sql` tells the tables
//! column by column.
//!
//! It does not decide what a row says: names, apps, users and bounds are merge's. It knows no
//! clock and no time zone but the name of the one whose hours it keeps.

mod bounds;
mod commit;
mod error;
mod fold;
mod intern;
mod keep;
mod kept;
mod lead;
mod lock;
mod matched;
mod named_later;
mod query;
mod rename;
mod rows;
mod run;
mod schema;
mod sources;
#[cfg(test)]
pub(crate) mod testing;
mod upkeep;
mod usage;

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, FileControl, OpenFlags};

pub use bounds::PossibleFact;
pub use error::StoreError;
pub use intern::{NEW_SUBJECT_BYTES, NEW_TARGET_BYTES};
pub use keep::{DayOf, DayTotal, Judge, Keeping, Pruned};
pub use kept::{Stages, TotalFact};
pub use matched::MatchedFact;
pub use named_later::NamedLater;
pub use query::{
    AppFact, CaptureFact, DetourFact, HealthFacts, RunFacts, Snapshot, TotalsFact, UnmatchedFact,
    VisibilityFact, Window,
};
pub use rename::{NewName, NewTarget, Renamed, StoredTarget};
pub use rows::{
    AppFacts, CandidatesId, CaptureEnd, CaptureFacts, CatalogueFacts, CatalogueId, Commit,
    DetourRow, FollowedRow, Grounds, HealthRow, MatchedRow, NO_HOST, PatternId, Plan, PossibleRow,
    PossibleSums, RingRow, Rule, RunId, RunKind, RunStart, Skip, Subject, SubjectId, Sums, Target,
    TargetId, TotalsRow, TraitRow, UsageRow, VisibilityRow,
};
pub use run::Begun;
pub use schema::SCHEMA_VERSION;
pub use sources::SourceFact;
pub use upkeep::free_bytes;
pub use usage::UsageFact;

use error::explain;
use intern::Interned;
use lock::WriterLock;

/// How long a call waits for another program that has the database locked, in seconds.
const BUSY_SECONDS: u64 = 10;

/// What the write-ahead log is cut back to once its content is in the database, in bytes.
const JOURNAL_BYTES_MAX: i64 = 64 << 20;

/// Memory for pages of the database, in KiB.
const CACHE_KIB: i64 = 16 << 10;

/// Memory of a store at most, but for what a commit brings: pages, numbers, statements, and what is
/// left of the rest.
pub const BYTES_MAX: usize = ((CACHE_KIB as usize) << 10) + intern::BYTES_MAX + (8 << 20);

/// Different statements kept compiled; there are fewer.
const STATEMENTS_MAX: usize = 64;

/// A database, open for writing or for reading only.
pub struct Store {
    path: PathBuf,
    connection: Connection,
    interned: Interned,
    /// For a file that is open for writing.
    lock: Option<WriterLock>,
}

impl Store {
    /// Opens the database at `path` for writing, and makes it if there is none. Its hours are the
    /// full hours of `zone`, the name of an IANA time zone, for as long as it exists.
    ///
    /// # Errors
    /// Somebody else is writing; the file cannot be written, is another program's or a newer one's;
    /// or it keeps the hours of another zone.
    pub fn open(path: &Path, zone: &str) -> Result<Store, StoreError> {
        let lock = WriterLock::take(path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let failed = |error| explain(path, error);
        make_private(path)?;
        let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
        if connection.is_readonly(rusqlite::MAIN_DB).map_err(failed)? {
            return Err(StoreError::ReadOnly { path: path.to_path_buf() });
        }
        Store::prepare(path, connection, zone, Some(lock))
    }

    /// A database that ends with this value.
    ///
    /// # Errors
    /// There is no memory for it.
    pub fn in_memory(zone: &str) -> Result<Store, StoreError> {
        let path = Path::new(":memory:");
        let connection = Connection::open_in_memory().map_err(|error| explain(path, error))?;
        Store::prepare(path, connection, zone, None)
    }

    /// Opens an existing database for reading; somebody else may be writing to it.
    ///
    /// # Errors
    /// The file is not there, is another program's, or of another schema version.
    pub fn open_read_only(path: &Path) -> Result<Store, StoreError> {
        match path.metadata() {
            Ok(facts) if facts.is_dir() => {
                let source = io::ErrorKind::IsADirectory.into();
                return Err(StoreError::Open { path: path.to_path_buf(), source });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(StoreError::Missing { path: path.to_path_buf() });
            }
            _ => {}
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let normal = Connection::open_with_flags(path, flags)
            .map_err(|error| explain(path, error))
            .and_then(|connection| Store::to_read(path, connection));
        match normal {
            // SQLite wants to make files beside one with a write-ahead log, even to read it.
            Err(StoreError::ReadOnly { .. } | StoreError::Open { .. })
                if std::fs::File::open(path).is_ok() =>
            {
                Store::open_unchanging(path)
            }
            other => other,
        }
    }

    /// Opens a database that nobody changes meanwhile: one without a write-ahead log, in a folder
    /// where none can be made.
    fn open_unchanging(path: &Path) -> Result<Store, StoreError> {
        // Links are followed, as SQLite does.
        let real = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        let log = beside(&real, "-wal");
        if log.metadata().is_ok_and(|facts| facts.len() > 0) {
            return Err(StoreError::NotClosed { path: path.to_path_buf() });
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_URI;
        let connection = Connection::open_with_flags(immutable_uri(&real), flags)
            .map_err(|error| explain(path, error))?;
        Store::to_read(path, connection)
    }

    fn to_read(path: &Path, connection: Connection) -> Result<Store, StoreError> {
        let failed = |error| explain(path, error);
        connection.busy_timeout(Duration::from_secs(BUSY_SECONDS)).map_err(failed)?;
        schema::check(&connection, path)?;
        let interned = Interned::default();
        Ok(Store { path: path.to_path_buf(), connection, interned, lock: None })
    }

    /// Where the database is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The name of the time zone whose full hours begin the buckets.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn zone(&self) -> Result<String, StoreError> {
        schema::zone(&self.connection).map_err(|error| explain(&self.path, error))
    }

    /// The number of `subject`, for rows of usage of the run that has begun. It is written with the
    /// next commit.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn subject_id(&mut self, subject: &Subject) -> Result<SubjectId, StoreError> {
        let id = self.interned.subject(&self.connection, subject);
        id.map(SubjectId).map_err(|error| explain(&self.path, error))
    }

    /// The number of `target`, for rows of usage of the run that has begun. It is written with the
    /// next commit; what is said of its app holds for earlier rows too.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn target_id(&mut self, target: &Target) -> Result<TargetId, StoreError> {
        let id = self.interned.target(&self.connection, target, None);
        id.map(TargetId).map_err(|error| explain(&self.path, error))
    }

    /// Likewise the number of a target that hangs on others.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn held_id(
        &mut self,
        target: &Target,
        grounds: &Grounds<TargetId>,
    ) -> Result<TargetId, StoreError> {
        let id = self.interned.target(&self.connection, target, Some(grounds));
        id.map(TargetId).map_err(|error| explain(&self.path, error))
    }

    /// The number of a rule's text. It is written with the next commit.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn pattern_id(&mut self, text: &str) -> Result<PatternId, StoreError> {
        let id = self.interned.pattern(&self.connection, text);
        id.map(PatternId).map_err(|error| explain(&self.path, error))
    }

    /// The number of a set of targets that flows may have been of, each with its weight, in any
    /// order. It is written with the next commit. The empty one says that nobody knows.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn candidates_id(
        &mut self,
        candidates: &[(TargetId, u32)],
    ) -> Result<CandidatesId, StoreError> {
        let id = self.interned.candidates(&self.connection, candidates);
        id.map(CandidatesId).map_err(|error| explain(&self.path, error))
    }

    /// The number of a catalogue, for commits. It is written with the next commit.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn catalogue_id(&mut self, facts: &CatalogueFacts) -> Result<CatalogueId, StoreError> {
        let id = self.interned.catalogue(&self.connection, facts);
        id.map(CatalogueId).map_err(|error| explain(&self.path, error))
    }

    /// Checks that the file is still where it was opened: with a write-ahead log, SQLite itself
    /// would go on writing to a file that nobody finds any more.
    fn check_in_place(&self) -> Result<(), StoreError> {
        if self.lock.is_none() {
            return Ok(());
        }
        let mut moved = 0;
        let name = Some(rusqlite::MAIN_DB);
        let asked = self.connection.file_control(name, FileControl::HasMoved(&mut moved));
        match asked {
            Ok(()) if moved == 0 => Ok(()),
            Ok(()) => Err(StoreError::Moved { path: self.path.clone() }),
            Err(error) => Err(explain(&self.path, error)),
        }
    }

    fn prepare(
        path: &Path,
        mut connection: Connection,
        zone: &str,
        lock: Option<WriterLock>,
    ) -> Result<Store, StoreError> {
        set_up(&connection).map_err(|error| explain(path, error))?;
        schema::prepare(&mut connection, path, zone)?;
        let interned = Interned::continuing(&connection).map_err(|error| explain(path, error))?;
        Ok(Store { path: path.to_path_buf(), connection, interned, lock })
    }
}

/// The path with `ending` behind it, as SQLite names the files beside a database.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    PathBuf::from(name)
}

/// The path as SQLite's URI for a file that does not change (<https://www.sqlite.org/uri.html>).
fn immutable_uri(path: &Path) -> String {
    let mut uri = String::from("file:");
    for &byte in path.as_os_str().as_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'~' => uri.push(byte.into()),
            _ if byte.is_ascii_alphanumeric() => uri.push(byte.into()),
            _ => uri.push_str(&format!("%{byte:02x}")),
        }
    }
    uri.push_str("?immutable=1");
    uri
}

/// Settings that belong to a connection rather than to the file.
fn set_up(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_secs(BUSY_SECONDS))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    // What is deleted is overwritten.
    connection.pragma_update_and_check(None, "secure_delete", true, |_| Ok(()))?;
    // Of a new file, so that it can be cut; of an older one, free pages are used again.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    // The answer is the mode in force: "memory" for a database in memory.
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    // In WAL mode a loss of power can cost the last commits, but never the database.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update_and_check(
        None,
        "journal_size_limit",
        JOURNAL_BYTES_MAX,
        |_| Ok(()),
    )?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    // All numbers are made in `intern`; looking each up again would double a row's cost.
    connection.pragma_update(None, "foreign_keys", false)
}

/// Makes a new database's file for its owner alone, whatever the process's mask: it tells who did
/// what. SQLite takes an empty file that is there, and gives those beside it the same rights. A file
/// that is there keeps its own.
fn make_private(path: &Path) -> Result<(), StoreError> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match made {
        Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
            Err(StoreError::Open { path: path.to_path_buf(), source })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{connections, read, start};
    use super::*;

    #[test]
    fn a_new_database_is_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("usage.db");
        let mut store = Store::open(&path, "UTC").unwrap();
        super::testing::read(&mut store, &[], false, 1);
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{:?}", entry.file_name());
        }
        drop(store);
        // Whoever gave it to others meant it.
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        drop(Store::open(&path, "UTC").unwrap());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    }

    #[test]
    fn what_was_finished_is_there_when_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("usage.db");
        let mut store = Store::open(&path, "Europe/Berlin").unwrap();
        read(&mut store, &[], false, 5);
        drop(store);
        let store = Store::open_read_only(&path).unwrap();
        assert_eq!(connections(&store), 5);
        assert_eq!(store.zone().unwrap(), "Europe/Berlin");
    }

    #[test]
    fn one_process_writes_while_others_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("usage.db");
        let mut writer = Store::open(&path, "UTC").unwrap();
        assert!(matches!(Store::open(&path, "UTC"), Err(StoreError::InUse { .. })));
        let reader = Store::open_read_only(&path).unwrap();
        let before = reader.snapshot().unwrap();
        assert_eq!(before.first_hour(Window::ALL).unwrap(), None);
        read(&mut writer, &[], false, 5);
        assert_eq!(before.first_hour(Window::ALL).unwrap(), None);
        drop(before);
        assert_eq!(connections(&reader), 5);
    }

    #[test]
    fn what_is_no_database_of_ours_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.txt");
        std::fs::write(&path, "x".repeat(4096)).unwrap();
        for result in [Store::open(&path, "UTC"), Store::open_read_only(&path)] {
            let error = result.err().unwrap();
            assert!(matches!(error, StoreError::NotOurs { .. }), "{error}");
            assert!(error.to_string().contains("notes.txt"));
        }
        let missing = folder.path().join("missing.db");
        let error = Store::open_read_only(&missing).err().unwrap();
        assert!(matches!(error, StoreError::Missing { .. }), "{error}");
        assert!(!missing.exists());
    }

    #[test]
    fn a_database_in_a_folder_that_may_not_be_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("usage? 100%#1.db");
        let mut store = Store::open(&path, "UTC").unwrap();
        read(&mut store, &[], false, 5);
        // As long as somebody writes, the log holds what the file does not.
        let error = Store::open_unchanging(&path).err().unwrap();
        assert!(matches!(error, StoreError::NotClosed { .. }), "{error}");
        drop(store);
        let store = Store::open_unchanging(&path).unwrap();
        assert_eq!(connections(&store), 5);
        let error = Store::open_read_only(folder.path()).err().unwrap();
        assert!(error.is_operators(), "{error}");
    }

    #[test]
    fn a_database_that_was_moved_is_missed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("usage.db");
        let mut store = Store::open(&path, "UTC").unwrap();
        read(&mut store, &[], false, 5);
        std::fs::rename(&path, folder.path().join("elsewhere.db")).unwrap();
        let error = store.begin_run(&start(&[], false)).unwrap_err();
        assert!(matches!(error, StoreError::Moved { .. }), "{error}");
    }

    #[test]
    fn a_full_disk_may_pass() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("usage.db");
        let mut store = Store::open(&path, "UTC").unwrap();
        let run = store.begin_run(&start(&[], false)).unwrap().run;
        let pages: i64 =
            store.connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
        let limit = |store: &Store, pages: i64| {
            let pragma = format!("PRAGMA max_page_count = {pages}");
            store.connection.query_row(&pragma, [], |row| row.get::<_, i64>(0)).unwrap();
        };
        limit(&store, pages);
        let mut commit = testing::empty_commit(&mut store, 1);
        for number in 0..1000 {
            let subject = testing::subject("ada", &number.to_string());
            let row = testing::commit_of(&mut store, 1, 1).usage[0];
            commit.usage.push(UsageRow { subject: store.subject_id(&subject).unwrap(), ..row });
        }
        let error = store.commit(run, &commit).unwrap_err();
        assert!(error.is_passing(), "{error}");
        limit(&store, 1_000_000);
        store.commit(run, &commit).unwrap();
        store.finish_run(run, &[]).unwrap();
        assert_eq!(connections(&store), 1000);
    }
}
