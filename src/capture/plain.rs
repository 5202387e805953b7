//! A regular file that is not compressed, and the stretch of it that is mapped.
//!
//! Packets that are long on average are not copied: nearly all of their bytes are looked at by
//! nobody. Of short ones nearly all are, and `read` is faster than a map then.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::sync::Arc;

use super::buffer::Buffer;
use super::map::Window;
use super::pcap_file::PcapFormat;
use super::source::Progress;
use super::{Damage, Record, scout};

/// How much is mapped at once, in bytes: so much that the calls for it do not matter.
const WINDOW_BYTES: usize = 4 * 1024 * 1024;
/// How much is listed at once, in bytes: what is looked at of so much fits the level-2 cache.
const PIECE_BYTES: usize = 1024 * 1024;
/// Records this long on average are worth a map, in bytes.
const LONG_RECORD_BYTES: usize = 256;
/// Records this short on average are better read. What lies between stays as it is, since a change
/// leaves a window half used.
const SHORT_RECORD_BYTES: usize = 128;

/// See the module.
#[derive(Debug)]
pub(super) struct Plain {
    /// Shares its position with the file that is read.
    file: File,
    progress: Arc<Progress>,
    /// When it was opened, in bytes. What is added later is read, not mapped.
    size: u64,
    has_long_records: bool,
    /// Where what is mapped begins in the file, in bytes.
    begin: u64,
    window: Option<Arc<Buffer>>,
}

/// What was listed of a window.
pub(super) struct Listed {
    pub(super) buffer: Arc<Buffer>,
    /// Where the first record that is not listed begins in the file, in bytes.
    pub(super) offset: u64,
    /// What is wrong with that record.
    pub(super) damage: Option<Damage>,
}

impl Plain {
    /// `file` is the one that is read by others, from its beginning on.
    pub(super) fn new(file: &File, progress: Arc<Progress>) -> io::Result<Plain> {
        let size = file.metadata()?.len();
        let file = file.try_clone()?;
        Ok(Plain { file, progress, size, has_long_records: false, begin: 0, window: None })
    }

    /// Notes how long records are: `count` of them took `bytes` bytes.
    pub(super) fn note_length(&mut self, bytes: usize, count: usize) {
        let limit = if self.has_long_records { SHORT_RECORD_BYTES } else { LONG_RECORD_BYTES };
        self.has_long_records = bytes >= count.saturating_mul(limit);
    }

    /// Lists the records behind `offset`, where one begins, without copying them. `None` where they
    /// are better read, or cannot be mapped.
    pub(super) fn list(
        &mut self,
        format: &PcapFormat,
        offset: u64,
        records: &mut Vec<Record>,
    ) -> Option<Listed> {
        if !self.has_long_records {
            return None;
        }
        if let Some(listed) = self.list_in_window(format, offset, records) {
            return Some(listed);
        }
        // What is left of the window holds no whole record, or there is none yet.
        self.window = None;
        if self.size.checked_sub(offset)? < WINDOW_BYTES as u64 {
            return None;
        }
        let window = Window::new(&self.file, offset, WINDOW_BYTES).ok()?;
        (self.begin, self.window) = (offset, Some(Arc::new(Buffer::Mapped(window))));
        self.list_in_window(format, offset, records)
    }

    fn list_in_window(
        &mut self,
        format: &PcapFormat,
        offset: u64,
        records: &mut Vec<Record>,
    ) -> Option<Listed> {
        let buffer = self.window.clone()?;
        let start = usize::try_from(offset.checked_sub(self.begin)?).ok()?;
        let end = buffer.len().min(start + PIECE_BYTES);
        scout::bring_near(&buffer, start, end, format);
        let walked = format.walk(buffer.get(..end)?, start, records);
        let damage = match &*buffer {
            Buffer::Mapped(window) if window.is_cut() => {
                records.clear();
                Some(Damage::BecameShorter)
            }
            _ => walked.damage,
        };
        if records.is_empty() && damage.is_none() {
            return None;
        }
        let bytes = walked.consumed - start;
        self.note_length(bytes, records.len());
        Some(Listed { buffer, offset: offset + bytes as u64, damage })
    }

    /// Counts bytes that were looked at instead of read.
    pub(super) fn add_progress(&self, bytes: u64) {
        self.progress.add_bytes(bytes);
    }

    /// Lets whoever reads the file go on at `offset`.
    pub(super) fn read_from(&mut self, offset: u64) -> io::Result<()> {
        self.window = None;
        self.file.seek(SeekFrom::Start(offset)).map(|_| ())
    }
}
