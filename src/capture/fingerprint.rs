//! A capture's fingerprint: what tells that a file was read before, whatever it is called now.
//!
//! Taken before the first packet is counted, in a few milliseconds whatever the file's size: the
//! size, the first MiB and 64 samples of 4 KiB spread evenly over the file. Two files that differ
//! only between samples have the same fingerprint; captures of the same size that begin with the
//! same MiB do not differ like that.
//!
//! The same capture may also come compressed, or through a pipe. So there is a second one, over
//! the [`Content`] that is unpacked: its first MiB, its length and its end. Of a plain file it is
//! known as fast as the fingerprint; of what is unpacked or comes through a pipe once all of it
//! was read. Nothing but the first MiB and the end is hashed, so that reading stays as fast.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::source::{self, Progress};
use super::{STANDARD_INPUT, write_hex};

/// So much of the beginning is taken whole, in bytes.
const BEGINNING_BYTES: u64 = 1024 * 1024;
/// How many samples are taken.
const SAMPLES: u64 = 64;
/// The length of a sample, in bytes.
const SAMPLE_BYTES: u64 = 4096;
/// Names the method: another one must not give equal fingerprints by chance.
const METHOD: &[u8] = b"shadowscope capture fingerprint 1";

/// So much is read at once, in bytes: little enough to stay near.
const PIECE_BYTES: usize = 16 * 1024;

/// The length of the end that is part of what tells contents apart, in bytes.
const END_BYTES: usize = 4096;
/// Name the methods for contents.
const METHOD_BEGINNING: &[u8] = b"shadowscope capture beginning 1";
const METHOD_CONTENT: &[u8] = b"shadowscope capture content 1";

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

/// What a capture holds, however it is packed: equal for a file, the same file compressed and the
/// same bytes through a pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content {
    /// BLAKE3 over beginning, length and end.
    pub hash: [u8; 32],
    /// BLAKE3 over the first MiB alone: where this differs, contents do.
    pub beginning: [u8; 32],
    /// The unpacked length.
    pub size_bytes: u64,
}

/// A [`Content`] in the making: takes unpacked bytes as they come.
#[derive(Clone, Debug)]
pub(super) struct Sketch {
    beginning: blake3::Hasher,
    size_bytes: u64,
    end: Vec<u8>,
}

impl Sketch {
    pub(super) fn new() -> Sketch {
        let mut beginning = blake3::Hasher::new();
        beginning.update(METHOD_BEGINNING);
        Sketch { beginning, size_bytes: 0, end: Vec::with_capacity(2 * END_BYTES) }
    }

    /// Adds the next bytes.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        let missing = BEGINNING_BYTES.saturating_sub(self.size_bytes);
        let count = bytes.len().min(missing as usize);
        self.beginning.update(bytes.get(..count).unwrap_or_default());
        self.size_bytes += bytes.len() as u64;
        let new = bytes.len().saturating_sub(END_BYTES);
        self.end.extend_from_slice(bytes.get(new..).unwrap_or_default());
        self.end.drain(..self.end.len().saturating_sub(END_BYTES));
    }

    /// What all bytes added so far are.
    pub(super) fn content(&self) -> Content {
        let beginning = *self.beginning.finalize().as_bytes();
        let mut hasher = blake3::Hasher::new();
        hasher.update(METHOD_CONTENT);
        hasher.update(&beginning);
        hasher.update(&self.size_bytes.to_le_bytes());
        hasher.update(&self.end);
        let hash = *hasher.finalize().as_bytes();
        Content { hash, beginning, size_bytes: self.size_bytes }
    }
}

/// The content of an open, plain regular file; leaves its position alone.
pub(super) fn content_of_plain(file: &File) -> io::Result<Content> {
    let size = file.metadata()?.len();
    let mut sketch = Sketch::new();
    each_piece(file, 0..BEGINNING_BYTES.min(size), |bytes| sketch.add(bytes))?;
    // What lies between is not looked at, but counts.
    let end = size.saturating_sub(END_BYTES as u64).max(sketch.size_bytes);
    sketch.size_bytes = end;
    each_piece(file, end..size, |bytes| sketch.add(bytes))?;
    Ok(sketch.content())
}

/// The hash of the first unpacked MiB of a compressed file, and its content if that is all of it.
pub(super) fn beginning_of_packed(path: &Path) -> io::Result<([u8; 32], Option<Content>)> {
    let (content, is_all) = sketch_packed(path, BEGINNING_BYTES)?;
    Ok((content.beginning, is_all.then_some(content)))
}

/// The content of a compressed file; all of it is unpacked for that.
pub(super) fn content_of_packed(path: &Path) -> io::Result<Content> {
    Ok(sketch_packed(path, u64::MAX)?.0)
}

/// The content of the first `bytes_max` unpacked bytes, and whether they are all.
fn sketch_packed(path: &Path, bytes_max: u64) -> io::Result<(Content, bool)> {
    debug_assert!(path != Path::new(STANDARD_INPUT), "a pipe cannot be read twice");
    let stream = source::unpack(source::open(path)?, Progress::default().into())?;
    let mut stream = stream.take(bytes_max);
    let mut sketch = Sketch::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = source::read_full(&mut stream, &mut buffer)?;
        if count == 0 {
            break;
        }
        sketch.add(buffer.get(..count).unwrap_or_default());
    }
    let is_all = sketch.size_bytes < bytes_max;
    Ok((sketch.content(), is_all))
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
    let mut add = |bytes: &[u8]| _ = hasher.update(bytes);
    each_piece(file, 0..BEGINNING_BYTES.min(size), &mut add)?;
    if let Some(span) = size.checked_sub(SAMPLE_BYTES).filter(|_| size > BEGINNING_BYTES) {
        for sample in 0..SAMPLES {
            let offset = u128::from(span) * u128::from(sample) / u128::from(SAMPLES - 1);
            each_piece(file, offset as u64..offset as u64 + SAMPLE_BYTES, &mut add)?;
        }
    }
    Ok(Fingerprint(*hasher.finalize().as_bytes()))
}

/// Reads a stretch of a file piece by piece, as far as the file goes.
fn each_piece(file: &File, stretch: Range<u64>, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let mut bytes = [0; PIECE_BYTES];
    let Range { start: mut at, end } = stretch;
    while at < end {
        let wanted = bytes.len().min((end - at) as usize);
        let piece = bytes.get_mut(..wanted).unwrap_or_default();
        let filled = read_at(file, piece, at)?;
        take(piece.get(..filled).unwrap_or_default());
        if filled < wanted {
            break;
        }
        at += filled as u64;
    }
    Ok(())
}

/// Fills `bytes` from `offset` on, as far as the file goes.
fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
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
    Ok(filled)
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

    #[test]
    fn content_is_the_same_packed_plain_and_piped_in_any_pieces() {
        let folder = tempfile::tempdir().unwrap();
        let (plain, packed) = (folder.path().join("plain"), folder.path().join("packed"));
        for size in [0, 1, 4_095, 5_000, 1 << 20, (1 << 20) + 7, 3_000_000] {
            let bytes: Vec<u8> = (0..size as u32).map(|number| (number / 7) as u8).collect();
            let piped = |piece: usize| {
                let mut sketch = Sketch::new();
                bytes.chunks(piece).for_each(|piece| sketch.add(piece));
                sketch.content()
            };
            let content = piped(100_000);
            assert_eq!(content.size_bytes, size as u64);
            assert_eq!(content, piped(333), "{size}");
            std::fs::write(&plain, &bytes).unwrap();
            assert_eq!(content, content_of_plain(&File::open(&plain).unwrap()).unwrap(), "{size}");
            std::fs::write(&packed, crate::capture::tests::gzip(&bytes)).unwrap();
            assert_eq!(content, content_of_packed(&packed).unwrap(), "{size}");
            let (beginning, all) = beginning_of_packed(&packed).unwrap();
            assert_eq!(beginning, content.beginning);
            assert_eq!(all, (size < 1 << 20).then_some(content));
        }
        let mut one = Sketch::new();
        let mut other = Sketch::new();
        one.add(&[0; 5_000]);
        other.add(&[0; 5_001]);
        assert_ne!(one.content(), other.content());
    }
}
