//! A regular file that is not compressed, and the stretch of it that is mapped.
//!
//! What is mapped is not copied. Of long packets most bytes are looked at by nobody, and scouts find
//! out which are; of short ones nearly all are, and nobody has to list them.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::sync::Arc;

use super::buffer::Buffer;
use super::format::Format;
use super::map::Window;
use super::pcap_file::PlainPcap;
use super::scout::Scouts;
use super::source::Progress;
use super::stretch::{Passed, Stretch};
use super::{Damage, FRAME_BYTES_MAX, Record};
use crate::flow::memory::LINE_BYTES;

/// How much is mapped at once, in bytes: so much that the calls for it do not matter.
const WINDOW_BYTES: usize = 4 * 1024 * 1024;
/// How much is listed at once, in bytes: what is looked at of so much stays in the level-2 cache, and
/// there is so much for each scout that the search for its beginning does not matter.
pub(crate) const LISTED_BYTES: usize = 512 * 1024;

/// Where a record takes no more bytes than this on average, its header included, nearly every line of
/// its file is looked at.
pub(crate) const DENSE_BYTES: usize = 5 * LINE_BYTES / 2;
/// Where it takes no more than this, all lines of the file still come sooner than scouts find those
/// that are looked at, if it is one core that looks at them: measured, by 5 % of a run's time at 280
/// bytes and by 2 at 440, while at 820 scouts spare 13.
pub(crate) const DENSE_BYTES_ALONE: usize = 8 * LINE_BYTES;

/// See the module.
#[derive(Debug)]
pub(super) struct Plain {
    /// Shares its position with the file that is read.
    file: File,
    progress: Arc<Progress>,
    /// When it was opened, in bytes. What is added later is read, not mapped.
    size: u64,
    /// Where what is mapped begins in the file, in bytes.
    begin: u64,
    window: Option<Arc<Buffer>>,
    scouts: Scouts,
    /// How many bytes a record of the last took, if there was one.
    record_bytes: Option<usize>,
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
        let scouts = Scouts::default();
        Ok(Plain { file, progress, size, begin: 0, window: None, scouts, record_bytes: None })
    }

    /// Lists the records behind `offset`, where one begins, without copying them. `None` where the
    /// file ends soon, or cannot be mapped. Without records, and undamaged, it is to be read from what
    /// is listed on: what stands before has been taken in.
    pub(super) fn list(
        &mut self,
        format: &mut Format,
        mut offset: u64,
        records: &mut Vec<Record>,
    ) -> Option<Listed> {
        let mut listed = None;
        let mut is_fresh = false;
        loop {
            if let Some(more) = self.list_in_window(format, offset, records) {
                if !records.is_empty() || more.damage.is_some() {
                    return Some(more);
                }
                // Nothing but what describes packets.
                offset = more.offset;
                listed = Some(more);
                is_fresh = false;
            } else if is_fresh || !self.map(offset) {
                // A record that is longer than a window, or the file's tail.
                self.window = None;
                return listed;
            } else {
                is_fresh = true;
            }
        }
    }

    /// Maps the stretch that begins at `offset`, if there is so much.
    fn map(&mut self, offset: u64) -> bool {
        self.window = None;
        if self.size.saturating_sub(offset) >= WINDOW_BYTES as u64
            && let Ok(window) = Window::new(&self.file, offset, WINDOW_BYTES)
        {
            (self.begin, self.window) = (offset, Some(Arc::new(Buffer::Mapped(window))));
        }
        self.window.is_some()
    }

    /// Lists the records of the next piece; `None` where there is no whole one.
    fn list_in_window(
        &mut self,
        format: &mut Format,
        offset: u64,
        records: &mut Vec<Record>,
    ) -> Option<Listed> {
        let buffer = self.window.clone()?;
        let start = usize::try_from(offset.checked_sub(self.begin)?).ok()?;
        let end = buffer.len().min(start + LISTED_BYTES);
        let walked = format.scout(&mut self.scouts, &buffer, start..end, records);
        let damage = match &*buffer {
            Buffer::Mapped(window) if window.is_cut() => {
                records.clear();
                Some(Damage::BecameShorter)
            }
            _ => walked.damage,
        };
        let bytes = walked.consumed - start;
        if bytes == 0 && damage.is_none() {
            return None;
        }
        self.record_bytes = bytes.checked_div(records.len());
        Some(Listed { buffer, offset: offset + bytes as u64, damage })
    }

    /// The records of the next piece behind `offset`, where one begins, if they need not be listed as
    /// the last took no more than `dense_bytes` each.
    pub(super) fn stretch(
        &mut self,
        format: &Format,
        offset: u64,
        dense_bytes: usize,
    ) -> Option<(Arc<Buffer>, Stretch)> {
        let Format::Pcap(format) = format else { return None };
        self.record_bytes.filter(|bytes| *bytes <= dense_bytes)?;
        let format = PlainPcap::of(*format)?;
        let behind = self.begin + self.window.as_ref().map_or(0, |window| window.len() as u64);
        // The frame of a record that the window cuts is no longer than this. What is odd elsewhere does not
        // have the rest of a window mapped anew each time.
        let may_be_cut = behind.saturating_sub(offset) < u64::from(FRAME_BYTES_MAX);
        let found = self.stretch_in_window(format, offset);
        if found.is_some() || !may_be_cut || !self.map(offset) {
            return found;
        }
        self.stretch_in_window(format, offset)
    }

    fn stretch_in_window(&self, format: PlainPcap, offset: u64) -> Option<(Arc<Buffer>, Stretch)> {
        let buffer = self.window.clone()?;
        let start = usize::try_from(offset.checked_sub(self.begin)?).ok()?;
        let end = buffer.len().min(start + LISTED_BYTES);
        // What is no plain record is listed, or is where the file ends.
        format.step(&buffer, start)?;
        Some((buffer, Stretch { format, range: start..end }))
    }

    /// The last stretch, behind `offset`, was gone through. Answers where the record behind it begins.
    pub(super) fn pass(&mut self, offset: u64, passed: Passed) -> u64 {
        let next = self.begin + passed.end as u64;
        self.record_bytes = ((next - offset) as usize).checked_div(passed.packets);
        next
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
