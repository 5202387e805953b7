//! What can go wrong with the database, each with the path named and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;
use rusqlite::ffi;
use thiserror::Error;

/// Why the database could not be opened, read or written. Nothing of a failed call is kept.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The file cannot be opened or made.
    #[error("cannot open the database {path}: {source}; does its folder exist, and may you write there?", path = .path.display())]
    Open {
        /// The database.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// There is nothing to read.
    #[error(
        "there is no database {path}; `shadowscope read --db {path} CAPTURE` makes one",
        path = .path.display()
    )]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// The file is there, but it is something else.
    #[error("{path} is no database of shadowscope ({what}); name another file with --db", path = .path.display())]
    NotOurs {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        what: &'static str,
    },
    /// A newer program has written it.
    #[error(
        "the database {path} has schema version {found}, this program knows versions up to {known}; \
         use the newer program, or another file with --db", path = .path.display()
    )]
    NewerSchema {
        /// The database.
        path: PathBuf,
        /// The version it has.
        found: i64,
        /// The newest this program knows.
        known: i64,
    },
    /// An older program has written it, and it was opened for reading only.
    #[error(
        "the database {path} has schema version {found}, reports need version {known}; \
         `shadowscope read --db` with any capture brings it up to date", path = .path.display()
    )]
    OlderSchema {
        /// The database.
        path: PathBuf,
        /// The version it has.
        found: i64,
        /// The version needed.
        known: i64,
    },
    /// Its hours are those of another time zone.
    #[error(
        "the database {path} keeps hours of the time zone {stored}, not of {given}; \
         set the zone to {stored}, or name another file with --db", path = .path.display()
    )]
    ZoneDiffers {
        /// The database.
        path: PathBuf,
        /// The zone it was made with.
        stored: String,
        /// The zone now configured.
        given: String,
    },
    /// Another process is writing.
    #[error(
        "another shadowscope is writing to the database {path}; wait until it ends, or name \
         another file with --db", path = .path.display()
    )]
    InUse {
        /// The database.
        path: PathBuf,
    },
    /// Another program holds SQLite's own lock.
    #[error(
        "the database {path} is locked by another program, and was for {seconds} s; close it there \
         and try again", path = .path.display()
    )]
    Locked {
        /// The database.
        path: PathBuf,
        /// How long was waited.
        seconds: u64,
    },
    /// It may only be read.
    #[error(
        "the database {path} may only be read; it and its folder must be writable", path = .path.display()
    )]
    ReadOnly {
        /// The database.
        path: PathBuf,
    },
    /// It may only be read, and cannot be without writing.
    #[error(
        "the database {path} may only be read, but its last changes are still in {path}-wal; read \
         it where its folder is writable, or let whoever writes to it end first", path = .path.display()
    )]
    NotClosed {
        /// The database.
        path: PathBuf,
    },
    /// It was moved or deleted while open.
    #[error(
        "the database {path} was moved, replaced or deleted while it was open, and nothing was \
         added since; put it back, or leave it and begin another one there: start again", path = .path.display()
    )]
    Moved {
        /// Where it was.
        path: PathBuf,
    },
    /// No space is left.
    #[error("no space is left for the database {path}", path = .path.display())]
    Full {
        /// The database.
        path: PathBuf,
    },
    /// Its content is damaged.
    #[error(
        "the database {path} is damaged ({what}); take it from a backup, or start a new one with --db",
        path = .path.display()
    )]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What SQLite or a check found.
        what: String,
    },
    /// This commit is in the database already.
    #[error(
        "commit {sequence} of run {run} is in the database {path} already; nothing was added",
        path = .path.display()
    )]
    Repeated {
        /// The database.
        path: PathBuf,
        /// The run's number.
        run: i64,
        /// The commit's number.
        sequence: u64,
    },
    /// A capture has been counted by an earlier run.
    #[error(
        "{name} is in the database {path} already, as {earlier}; --again replaces what was \
         counted", path = .path.display()
    )]
    AlreadyDone {
        /// The database.
        path: PathBuf,
        /// The capture as given now.
        name: String,
        /// The capture as given then.
        earlier: String,
    },
    /// The same capture was given twice for one run.
    #[error("{first} and {second} are the same capture; give it once")]
    GivenTwice {
        /// One name of it.
        first: String,
        /// The other one.
        second: String,
    },
    /// An earlier run has read a capture in part and is to be replaced, but not all its captures
    /// were given.
    #[error(
        "{given} was read in part only before, together with {}; flows may run across them, so give \
         all of them again, or leave {given} out", .missing.join(", ")
    )]
    InPartNeedsAll {
        /// A capture as given now.
        given: String,
        /// Those that are missing, as given then.
        missing: Vec<String>,
    },
    /// An earlier run is to be replaced, but not all its captures were given.
    #[error(
        "--again: {given} was read together with {}; flows may run across them, so give all of \
         them again, or none", .missing.join(", ")
    )]
    AgainNeedsAll {
        /// A capture that was given.
        given: String,
        /// The other captures of its run, which were not.
        missing: Vec<String>,
    },
    /// Anything else that SQLite says.
    #[error("the database {path} failed: {source}", path = .path.display())]
    Sqlite {
        /// The database.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
}

impl StoreError {
    /// Whether other arguments are what helps (exit code 2), rather than another machine (1).
    pub fn is_operators(&self) -> bool {
        matches!(
            self,
            StoreError::Open { .. }
                | StoreError::Missing { .. }
                | StoreError::InUse { .. }
                | StoreError::Locked { .. }
                | StoreError::ReadOnly { .. }
                | StoreError::NotOurs { .. }
                | StoreError::NewerSchema { .. }
                | StoreError::OlderSchema { .. }
                | StoreError::ZoneDiffers { .. }
                | StoreError::AlreadyDone { .. }
                | StoreError::GivenTwice { .. }
                | StoreError::AgainNeedsAll { .. }
                | StoreError::InPartNeedsAll { .. }
                | StoreError::NotClosed { .. }
                | StoreError::Moved { .. }
        )
    }

    /// Whether the same call may succeed later: the disk may have space again, the lock be free.
    pub fn is_passing(&self) -> bool {
        matches!(self, StoreError::Locked { .. } | StoreError::Full { .. })
    }
}

/// What an error of SQLite means for the database at `path`.
pub(super) fn explain(path: &Path, error: rusqlite::Error) -> StoreError {
    let path = path.to_path_buf();
    let rusqlite::Error::SqliteFailure(failure, ref message) = error else {
        return StoreError::Sqlite { path, source: error };
    };
    if failure.extended_code == ffi::SQLITE_READONLY_DBMOVED {
        return StoreError::Moved { path };
    }
    let what = message.clone().unwrap_or_else(|| failure.to_string());
    match failure.code {
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied => StoreError::ReadOnly { path },
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
            StoreError::Locked { path, seconds: super::BUSY_SECONDS }
        }
        ErrorCode::DiskFull => StoreError::Full { path },
        ErrorCode::DatabaseCorrupt => StoreError::Damaged { path, what },
        ErrorCode::NotADatabase => StoreError::NotOurs { path, what: "no SQLite database" },
        ErrorCode::CannotOpen => StoreError::Open { path, source: io::Error::other(what) },
        _ => StoreError::Sqlite { path, source: error },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(code: i32) -> StoreError {
        let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
        explain(Path::new("usage.db"), error)
    }

    #[test]
    fn every_message_names_the_database() {
        for code in [
            ffi::SQLITE_READONLY_DBMOVED,
            ffi::SQLITE_READONLY,
            ffi::SQLITE_BUSY,
            ffi::SQLITE_FULL,
            ffi::SQLITE_CORRUPT,
            ffi::SQLITE_NOTADB,
            ffi::SQLITE_CANTOPEN,
            ffi::SQLITE_IOERR,
        ] {
            assert!(failure(code).to_string().contains("usage.db"), "{code}");
        }
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        assert!(failure(ffi::SQLITE_BUSY).is_passing());
        assert!(failure(ffi::SQLITE_FULL).is_passing());
        assert!(!failure(ffi::SQLITE_CORRUPT).is_passing());
        assert!(failure(ffi::SQLITE_NOTADB).is_operators());
        assert!(matches!(failure(ffi::SQLITE_READONLY_DBMOVED), StoreError::Moved { .. }));
    }
}
