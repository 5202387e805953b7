//! One writer at a time: a lock file beside the database, held as long as it is open for writing.
//!
//! The database itself must not be locked here: closing a second handle of a file drops the locks
//! that SQLite holds on it (POSIX `fcntl` locks belong to the process). The kernel frees the lock
//! when the process ends, however it ends, so a lock file that lies about locks nobody out.

use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::error::StoreError;

/// The right to write, until it is dropped.
#[derive(Debug)]
pub(super) struct WriterLock {
    _file: File,
}

impl WriterLock {
    /// Takes the right to write to the database at `path`.
    ///
    /// # Errors
    /// Another process has it, or the lock file cannot be made.
    pub(super) fn take(path: &Path) -> Result<WriterLock, StoreError> {
        let open = |source| StoreError::Open { path: path.to_path_buf(), source };
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(lock_path(path))
            .map_err(open)?;
        match file.try_lock() {
            Ok(()) => Ok(WriterLock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(StoreError::InUse { path: path.to_path_buf() }),
            Err(TryLockError::Error(source)) => Err(open(source)),
        }
    }
}

/// The database's path with `-lock` behind it, as SQLite has `-wal` and `-shm`; links are followed,
/// so that two names of one database have one lock.
fn lock_path(path: &Path) -> PathBuf {
    let mut name = OsString::from(path.canonicalize().unwrap_or_else(|_| path.to_path_buf()));
    name.push("-lock");
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_writer_is_refused_until_the_first_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("usage.db");
        let first = WriterLock::take(&path).unwrap();
        assert!(matches!(WriterLock::take(&path), Err(StoreError::InUse { .. })));
        drop(first);
        WriterLock::take(&path).unwrap();
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let error = WriterLock::take(Path::new("no-such-folder/usage.db")).unwrap_err();
        assert!(error.to_string().contains("no-such-folder/usage.db"));
    }
}
