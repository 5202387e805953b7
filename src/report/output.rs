//! A report file in the making: written beside its place, hashed on the way, put in place whole.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use ring::digest::{Context, SHA256};

use super::ReportError;

/// A file that is in place.
#[derive(Clone, Debug)]
pub(super) struct Finished {
    pub(super) name: &'static str,
    pub(super) path: PathBuf,
    /// SHA-256 of its content, in hex.
    pub(super) sha256: String,
}

/// A file in the making. Dropped unfinished, it leaves nothing behind.
pub(super) struct Output {
    name: &'static str,
    path: PathBuf,
    partial: PathBuf,
    writer: BufWriter<File>,
    digest: Context,
    finished: bool,
}

impl Output {
    /// Begins the file `name` in `folder`.
    pub(super) fn create(folder: &Path, name: &'static str) -> Result<Output, ReportError> {
        let path = folder.join(name);
        let partial = folder.join(format!(".{name}.partial"));
        let file = File::create(&partial)
            .map_err(|source| ReportError::Write { path: partial.clone(), source })?;
        let writer = BufWriter::with_capacity(1 << 18, file);
        Ok(Output { name, path, partial, writer, digest: Context::new(&SHA256), finished: false })
    }

    /// Puts the file in place.
    pub(super) fn finish(mut self) -> Result<Finished, ReportError> {
        let placed = self
            .writer
            .flush()
            .and_then(|()| self.writer.get_ref().sync_all())
            .and_then(|()| fs::rename(&self.partial, &self.path));
        placed.map_err(|source| self.failed(source))?;
        self.finished = true;
        let sha256 = hex(self.digest.clone().finish().as_ref());
        Ok(Finished { name: self.name, path: self.path.clone(), sha256 })
    }

    /// Where it will be.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The error that says this file could not be written.
    pub(super) fn failed(&self, source: io::Error) -> ReportError {
        ReportError::Write { path: self.path.clone(), source }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.writer.write(bytes)?;
        self.digest.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if !self.finished {
            // Nobody can be told here; the error that led here is on its way.
            let _ = fs::remove_file(&self.partial);
        }
    }
}

/// Bytes in lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finished_file_is_there_with_its_hash() {
        let folder = tempfile::tempdir().unwrap();
        let mut output = Output::create(folder.path(), "a.csv").unwrap();
        output.write_all(b"abc").unwrap();
        let finished = output.finish().unwrap();
        // SHA-256 of "abc" as FIPS 180-4's examples have it.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(finished.sha256, expected);
        assert_eq!(fs::read(&finished.path).unwrap(), b"abc");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn an_unfinished_file_leaves_the_old_one_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.csv"), "old").unwrap();
        let mut output = Output::create(folder.path(), "a.csv").unwrap();
        output.write_all(b"new").unwrap();
        drop(output);
        assert_eq!(fs::read(folder.path().join("a.csv")).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
