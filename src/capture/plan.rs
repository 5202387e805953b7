//! What a run will read, in which order, and what became of it.
//!
//! Every file is opened once beforehand: for its fingerprint, for its first stamp, which decides
//! the order, and to see whether it is a capture at all. A pipe stays open, since it cannot be
//! opened again.

use std::cmp::Ordering;
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::buffer::Buffer;
use super::discover::{Found, discover};
use super::filter::{Filter, FilterError};
use super::fingerprint::{self, Content, Fingerprint, of_file};
use super::format::{Damage, NotACapture};
use super::merge::Run;
use super::plain::Plain;
use super::reader::Reader;
use super::source::{self, Progress};
use super::{Record, STANDARD_INPUT};
use crate::packet::LinkType;
use crate::time::Timestamp;

/// How much of a file is read to see its first stamp, in bytes; more when that is further behind.
const PEEK_BYTES: usize = 16 * 1024;

/// A file of a run.
#[derive(Debug)]
pub struct CaptureFile {
    /// As found; `-` is standard input.
    pub path: PathBuf,
    /// Whether it was named by itself rather than met in a folder or by a glob.
    pub named: bool,
    /// As it lies on the disk; `None` for a pipe.
    pub size_bytes: Option<u64>,
    /// `None` for a pipe.
    pub fingerprint: Option<Fingerprint>,
    /// What it holds. Of a plain file it is known beforehand, of a compressed one if it is small or
    /// [`Plan::identify`] asked for it, and of any once it was read to its end.
    pub content: Option<Content>,
    /// Of a compressed file, the hash of its first MiB; see [`Content::beginning`].
    pub(super) beginning: Option<[u8; 32]>,
    /// The first packet's stamp, before any filter; `None` without packets.
    pub first_time: Option<Timestamp>,
    /// The first packet's link type.
    pub first_link: Option<LinkType>,
    /// The link type of all packets, where the format has but one for a file.
    pub only_link: Option<LinkType>,
    /// Packets handed out by link type, where the format has one for each interface.
    pub packets_by_link: Vec<(LinkType, u64)>,
    /// Packets handed out.
    pub packets: u64,
    /// Packets left out by the filter.
    pub packets_filtered: u64,
    /// How its reading ended.
    pub outcome: Outcome,
    /// A pipe that has been opened, and what was read of it.
    pub(super) held: Option<Box<Held>>,
}

/// How the reading of a file ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It has not, so far.
    Pending,
    /// All of it was read.
    Whole,
    /// All before the damage was read.
    Damaged {
        /// Where the damaged record begins, in bytes of the unpacked file.
        offset: u64,
        /// What is wrong with it.
        why: Damage,
    },
    /// It is no capture. Named by itself that is a mistake, in a folder it is none.
    NotACapture(NotACapture),
    /// There is no such file, and no file that fits the pattern.
    Missing,
    /// It could not be opened or read: the system's message.
    Failed(String),
    /// The filter cannot be applied to one of its link types; all before was read.
    Filter(FilterError),
    /// The run was asked to leave it out.
    LeftOut,
}

/// There is nothing to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// No arguments, or folders without files.
    #[error("there are no files in the folders named; name captures, or folders that hold some")]
    NoFiles,
    /// Folders and patterns with files, none of which is a capture.
    #[error(
        "none of the files in the folders and patterns named ({0}) is a capture: pcap and pcapng \
         are read"
    )]
    NoCaptures(usize),
}

/// Files in the order in which they will be read.
#[derive(Debug)]
pub struct Plan {
    files: Vec<CaptureFile>,
    repeated: u64,
    progress: Arc<Progress>,
}

/// An opened file and its first packets.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) reader: Reader,
    pub(super) buffer: Arc<Buffer>,
    pub(super) records: Vec<Record>,
}

impl Plan {
    /// Finds the files that `arguments` mean and looks at the beginning of each.
    ///
    /// What is wrong with single files is told by their [`Outcome`].
    ///
    /// # Errors
    ///
    /// When there is no file at all, or none of those found in folders and by patterns is a
    /// capture. A file named by itself that cannot be read is an [`Outcome`], not an error here.
    pub fn survey(arguments: &[OsString]) -> Result<Plan, PlanError> {
        let discovery = discover(arguments);
        let progress = Arc::new(Progress::default());
        let mut files = Vec::with_capacity(discovery.files.len() + discovery.failures.len());
        for found in discovery.files {
            files.push(CaptureFile::look_at(found, &progress));
        }
        for (found, error) in discovery.failures {
            let outcome = failure(&error);
            files.push(CaptureFile { outcome, ..CaptureFile::new(found) });
        }
        if files.is_empty() {
            return Err(PlanError::NoFiles);
        }
        if files.iter().all(CaptureFile::is_passed_over) {
            return Err(PlanError::NoCaptures(files.len()));
        }
        files.sort_by(CaptureFile::reading_order);
        Ok(Plan { files, repeated: discovery.repeated, progress })
    }

    /// The files, in reading order; those that will not be read stand last.
    pub fn files(&self) -> &[CaptureFile] {
        &self.files
    }

    /// How often a file was met again under another name; each is read once.
    pub fn repeated(&self) -> u64 {
        self.repeated
    }

    /// Makes sure that the content of those compressed files is known that may be the same as
    /// another of the run, or as one of which `is_known` knows the beginning: these are unpacked
    /// once more, since a capture must not be counted twice. All others begin in their own way.
    pub fn identify(&mut self, mut is_known: impl FnMut(&[u8; 32]) -> bool) {
        let beginnings: Vec<_> = self.files.iter().map(CaptureFile::pending_beginning).collect();
        for (index, file) in self.files.iter_mut().enumerate() {
            let Some(beginning) = file.pending_beginning().filter(|_| file.content.is_none())
            else {
                continue;
            };
            let others = beginnings.iter().enumerate().filter(|&(other, _)| other != index);
            let mut others = others.filter_map(|(_, other)| other.as_ref());
            if others.any(|other| *other == beginning) || is_known(&beginning) {
                // What cannot be unpacked is told when it is read.
                file.content = fingerprint::content_of_packed(&file.path).ok();
            }
        }
    }

    /// Leaves out those files that `leave_out` holds for, as those read by an earlier run.
    pub fn leave_out(&mut self, mut leave_out: impl FnMut(&CaptureFile) -> bool) {
        for file in &mut self.files {
            if file.outcome == Outcome::Pending && leave_out(file) {
                file.outcome = Outcome::LeftOut;
                file.held = None;
            }
        }
    }

    /// Begins to read.
    ///
    /// # Errors
    ///
    /// When the filter cannot be applied to the link type a file begins with. Nothing has been
    /// counted then.
    pub fn open(self, mut filter: Filter) -> Result<Run, FilterError> {
        let pending = |file: &&CaptureFile| file.outcome == Outcome::Pending;
        for file in self.files.iter().filter(pending) {
            file.first_link.map_or(Ok(()), |link| filter.prepare(link))?;
        }
        let sizes = self.files.iter().filter(pending).map(|file| file.size_bytes);
        self.progress.set_total(sizes.sum());
        Ok(Run::new(self.files, self.repeated, filter, self.progress))
    }
}

impl CaptureFile {
    fn new(found: Found) -> CaptureFile {
        CaptureFile {
            path: found.path,
            named: found.named,
            size_bytes: None,
            fingerprint: None,
            content: None,
            beginning: None,
            first_time: None,
            first_link: None,
            only_link: None,
            packets_by_link: Vec::new(),
            packets: 0,
            packets_filtered: 0,
            outcome: Outcome::Pending,
            held: None,
        }
    }

    fn look_at(found: Found, progress: &Arc<Progress>) -> CaptureFile {
        let mut file = CaptureFile::new(found);
        if let Err(error) = file.peek(progress) {
            file.outcome = failure(&error);
        }
        file
    }

    fn peek(&mut self, progress: &Arc<Progress>) -> io::Result<()> {
        let input = source::open(&self.path)?;
        let regular = self.path != Path::new(STANDARD_INPUT) && input.metadata()?.is_file();
        if regular {
            self.size_bytes = Some(input.metadata()?.len());
        }
        // What is read of a regular file now will be read again, and is progress only then.
        let progress = if regular { &Arc::default() } else { progress };
        let mut held = Held::open(input.try_clone()?, Arc::clone(progress))?;
        if let Some(first) = held.records.first() {
            self.first_time = Some(first.time);
            self.first_link = Some(first.link);
            self.only_link = held.reader.has_one_link_type().then_some(first.link);
            if regular {
                self.fingerprint = Some(of_file(&input)?);
                self.look_inside(&input)?;
            } else {
                self.held = Some(Box::new(held));
            }
        } else if let Some(ending) = held.reader.take_ending() {
            self.outcome = ending;
        }
        Ok(())
    }

    /// As much of what tells contents apart as is cheap.
    fn look_inside(&mut self, input: &File) -> io::Result<()> {
        if !source::is_packed(input)? {
            self.content = Some(fingerprint::content_of_plain(input)?);
        } else if let Ok((beginning, content)) = fingerprint::beginning_of_packed(&self.path) {
            // Where unpacking fails, reading will, and tell.
            (self.beginning, self.content) = (Some(beginning), content);
        }
        Ok(())
    }

    /// The hash of the first MiB, of a file that is to be read.
    fn pending_beginning(&self) -> Option<[u8; 32]> {
        self.beginning().filter(|_| self.outcome == Outcome::Pending)
    }

    /// The hash of the first unpacked MiB, where it is known; see [`Content::beginning`].
    pub fn beginning(&self) -> Option<[u8; 32]> {
        self.content.map(|content| content.beginning).or(self.beginning)
    }

    /// Whether both are known to be the same capture, however each is named and packed.
    pub fn is_same_as(&self, other: &CaptureFile) -> bool {
        let same = |one: Option<[u8; 32]>, other| one.is_some() && one == other;
        let fingerprint = |file: &CaptureFile| file.fingerprint.map(|fingerprint| fingerprint.0);
        let content = |file: &CaptureFile| file.content.map(|content| content.hash);
        same(fingerprint(self), fingerprint(other)) || same(content(self), content(other))
    }

    /// Whether it was begun, but neither read to its end nor to where it is damaged: reading it
    /// again may give more.
    pub fn is_read_in_part(&self) -> bool {
        let stopped = match self.outcome {
            Outcome::Pending | Outcome::Missing | Outcome::Failed(_) | Outcome::Filter(_) => true,
            Outcome::Whole
            | Outcome::Damaged { .. }
            | Outcome::NotACapture(_)
            | Outcome::LeftOut => false,
        };
        stopped && self.first_time.is_some()
    }

    /// Opens it for reading, or goes on where looking at it stopped.
    pub(super) fn open(&mut self, progress: &Arc<Progress>) -> io::Result<Held> {
        if let Some(held) = self.held.take() {
            return Ok(*held);
        }
        let input = source::open(&self.path)?;
        let is_plain = self.size_bytes.is_some() && !source::is_packed(&input)?;
        let plain = is_plain.then(|| Plain::new(&input, Arc::clone(progress))).transpose()?;
        let stream = source::unpack(input, Arc::clone(progress))?;
        let reader = Reader::new(stream, plain);
        Ok(Held { reader, buffer: Arc::default(), records: Vec::new() })
    }

    /// Whether it was met in a folder or by a pattern and is no capture.
    pub fn is_passed_over(&self) -> bool {
        !self.named && matches!(self.outcome, Outcome::NotACapture(_))
    }

    /// The exit code that this file asks for: 0, 1 (damaged or unreadable; all before was kept) or
    /// 2 (the user's mistake). That of a run is the highest of its files'.
    pub fn exit_code(&self) -> u8 {
        match &self.outcome {
            Outcome::Pending | Outcome::Whole | Outcome::LeftOut => 0,
            Outcome::Damaged { .. } | Outcome::Failed(_) => 1,
            Outcome::NotACapture(_) => 2 * u8::from(self.named),
            Outcome::Missing | Outcome::Filter(_) => 2,
        }
    }

    /// By first stamp, ties by path; what has no packets last.
    fn reading_order(&self, other: &CaptureFile) -> Ordering {
        let key = |file: &CaptureFile| (file.first_time.is_none(), file.first_time);
        key(self).cmp(&key(other)).then_with(|| self.path.cmp(&other.path))
    }
}

impl Held {
    fn open(input: File, progress: Arc<Progress>) -> io::Result<Held> {
        let mut reader = Reader::new(source::unpack(input, progress)?, None);
        let mut records = Vec::new();
        let buffer = reader.fill(&mut Vec::new(), PEEK_BYTES, &mut records);
        Ok(Held { reader, buffer, records })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Pending => formatter.write_str("not read to its end"),
            Outcome::Whole => formatter.write_str("read"),
            Outcome::Damaged { offset, why } => {
                write!(formatter, "damaged at byte {offset}: {why}; all before is kept")
            }
            Outcome::NotACapture(why) => why.fmt(formatter),
            Outcome::Missing => {
                formatter.write_str("no such file, and no file whose name fits it as a pattern")
            }
            Outcome::Failed(message) => write!(formatter, "cannot be read: {message}"),
            Outcome::Filter(error) => error.fmt(formatter),
            Outcome::LeftOut => formatter.write_str("left out"),
        }
    }
}

pub(super) fn failure(error: &io::Error) -> Outcome {
    match error.kind() {
        io::ErrorKind::NotFound => Outcome::Missing,
        _ => Outcome::Failed(error.to_string()),
    }
}
