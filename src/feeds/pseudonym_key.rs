//! The key that pseudonyms are made with: 32 random bytes in a file of its own, outside the
//! database, that nobody else may read.
//!
//! Looked for where the operator says, else among the service's credentials (systemd.exec(5),
//! `LoadCredential=`), else at [`DEFAULT_PATH`]. Where there is none, one is made. Whoever loses it
//! cannot tell old pseudonyms from new ones; whoever deletes it, nobody can.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use ring::rand::{SecureRandom, SystemRandom};
use thiserror::Error;

use crate::identity::Pseudonyms;

/// Where the key is, if nothing else is said.
pub const DEFAULT_PATH: &str = "/etc/shadowscope/pseudonym.key";
/// Its name among a service's credentials.
const CREDENTIAL: &str = "pseudonym.key";
/// Bytes of a key.
const KEY_BYTES: usize = 32;
/// Rights of others, which a key's file must not have.
const OTHERS: u32 = 0o077;

/// Why there is no key.
#[derive(Debug, Error)]
pub enum KeyError {
    /// The file cannot be read or made.
    #[error(
        "the key of pseudonyms {path}: {source}; name a file that this program may read, or may \
         make, with --pseudonym-key", path = .path.display()
    )]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// It holds something else.
    #[error(
        "the key of pseudonyms {path} has {bytes} bytes, not {KEY_BYTES}; take it from a backup, or \
         move it away to have a new one made, with which people and devices have new pseudonyms",
        path = .path.display()
    )]
    NotAKey {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: usize,
    },
    /// Others may read it.
    #[error(
        "the key of pseudonyms {path} may be read by others (mode {mode:o}); `chmod 600` it, and \
         have a new one made if somebody did", path = .path.display()
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// Its rights.
        mode: u32,
    },
}

/// The key at `path`, or where it is looked for without one; made, where there is none.
///
/// # Errors
/// It cannot be read or made, is no key, or may be read by others.
pub fn load(path: Option<&Path>) -> Result<Pseudonyms, KeyError> {
    let credential = || {
        let folder = std::env::var_os("CREDENTIALS_DIRECTORY")?;
        Some(PathBuf::from(folder).join(CREDENTIAL)).filter(|path| path.exists())
    };
    let path = path.map(Path::to_path_buf).or_else(credential);
    let path = path.unwrap_or_else(|| DEFAULT_PATH.into());
    let failed = |source| KeyError::File { path: path.clone(), source };
    match File::open(&path) {
        Ok(file) => read(file, &path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(&path).map_err(failed),
        Err(error) => Err(failed(error)),
    }
}

fn read(file: File, path: &Path) -> Result<Pseudonyms, KeyError> {
    let failed = |source| KeyError::File { path: path.to_path_buf(), source };
    let mode = file.metadata().map_err(failed)?.mode() & 0o777;
    if mode & OTHERS != 0 {
        return Err(KeyError::Open { path: path.to_path_buf(), mode });
    }
    let mut bytes = Vec::new();
    file.take(KEY_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    let not_a_key = |bytes: Vec<u8>| KeyError::NotAKey { path: path.into(), bytes: bytes.len() };
    Ok(Pseudonyms::new(bytes.try_into().map_err(not_a_key)?))
}

fn make(path: &Path) -> io::Result<Pseudonyms> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut key = [0; KEY_BYTES];
    SystemRandom::new()
        .fill(&mut key)
        .map_err(|_| io::Error::other("the machine gives no random numbers"))?;
    // Whole or not at all, also when the power goes: a key cut short would be no key.
    let begun = path.with_extension("key.new");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&begun)?;
    file.write_all(&key)?;
    file.sync_all()?;
    std::fs::rename(&begun, path)?;
    Ok(Pseudonyms::new(key))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_only_for_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys/pseudonym.key");
        let made = load(Some(&path)).unwrap();
        assert_eq!(made.key_id(), load(Some(&path)).unwrap().key_id());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read(&path).unwrap().len(), KEY_BYTES);
        let other = load(Some(&folder.path().join("other.key"))).unwrap();
        assert_ne!(made.key_id(), other.key_id());

        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = load(Some(&path)).unwrap_err();
        assert!(error.to_string().contains("chmod 600"), "{error}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "short").unwrap();
        let error = load(Some(&path)).unwrap_err();
        assert!(error.to_string().contains("has 5 bytes"), "{error}");
    }
}
