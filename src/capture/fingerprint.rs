//! A capture's fingerprint: what tells that a file was read before, whatever it is called now.
//!
//! Taken before the first packet is counted, in a few milliseconds whatever the file's size: the
//! size, the first MiB and 64 samples of 4 KiB spread evenly over the file. Two files that differ
//! only between samples have the same fingerprint; captures of the same size that begin with the
//! same MiB do not differ like that.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::write_hex;

/// So much of the beginning is taken whole, in bytes.
const BEGINNING_BYTES: u64 = 1024 * 1024;
/// How many samples are taken.
const SAMPLES: u64 = 64;
/// The length of a sample, in bytes.
const SAMPLE_BYTES: u64 = 4096;
/// Names the method: another one must not give equal fingerprints by chance.
const METHOD: &[u8] = b"shadowscope capture fingerprint 1";

/// A capture's fingerprint. Displays as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(formatter, &self.0)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// The fingerprint of the file at `path`.
///
/// # Errors
///
/// When it cannot be opened or read.
pub fn fingerprint(path: &Path) -> io::Result<Fingerprint> {
    of_file(&File::open(path)?)
}

/// The fingerprint of an open regular file; leaves its position alone.
pub(super) fn of_file(file: &File) -> io::Result<Fingerprint> {
    let size = file.metadata()?.len();
    let mut hasher = blake3::Hasher::new();
    hasher.update(METHOD);
    hasher.update(&size.to_le_bytes());
    let mut bytes = vec![0; BEGINNING_BYTES.min(size) as usize];
    add(&mut hasher, file, &mut bytes, 0)?;
    if let Some(span) = size.checked_sub(SAMPLE_BYTES).filter(|_| size > BEGINNING_BYTES) {
        bytes.truncate(SAMPLE_BYTES as usize);
        for sample in 0..SAMPLES {
            let offset = u128::from(span) * u128::from(sample) / u128::from(SAMPLES - 1);
            add(&mut hasher, file, &mut bytes, offset as u64)?;
        }
    }
    Ok(Fingerprint(*hasher.finalize().as_bytes()))
}

fn add(hasher: &mut blake3::Hasher, file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + filled as u64) {
            // The file was cut meanwhile; it has another fingerprint now in any case.
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    hasher.update(bytes.get(..filled).unwrap_or_default());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> Fingerprint {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, bytes).unwrap();
        fingerprint(&path).unwrap()
    }

    #[test]
    fn size_beginning_and_samples_all_count() {
        let whole: Vec<u8> = (0..3_000_000_u32).map(|number| (number / 7) as u8).collect();
        let first = of(&whole);
        assert_eq!(first, of(&whole));
        assert_ne!(first, of(&whole[..whole.len() - 1]));
        // The last place is where the 33rd sample begins.
        for place in [0, 1_000_000, whole.len() - 1, (whole.len() - 4_096) * 32 / 63] {
            let mut changed = whole.clone();
            changed[place] ^= 1;
            assert_ne!(first, of(&changed), "{place}");
        }
        assert_eq!(first.to_string().len(), 64);
        assert_ne!(of(b""), of(b"\0"));
    }
}
