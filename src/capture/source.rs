//! Where a capture's bytes come from: a file, a pipe or standard input, compressed or not.
//!
//! Compression is told by the first bytes, never by the name. Decompression is streamed: a file
//! that unpacks to a hundred times its size costs time, not memory.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::STANDARD_INPUT;

/// A capture's bytes, unpacked.
pub(super) type Stream = Box<dyn Read + Send>;

/// RFC 1952, 2.3.1: ID1, ID2.
const MAGIC_GZIP: [u8; 2] = [0x1f, 0x8b];
/// RFC 8878, 3.1.1.
const MAGIC_ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// RFC 8878, 3.1.2: the upper 28 bits, in little-endian order; a file may begin with such a frame.
const MAGIC_ZSTD_SKIPPABLE: u32 = 0x184d_2a50;
/// How many bytes of compressed data are read at once.
const COMPRESSED_BYTES: usize = 128 * 1024;
/// The largest zstd window that is unpacked, in bytes; the memory that one such file costs.
/// `zstd --long` goes to 128 MiB without further switches on both ends.
const ZSTD_WINDOW_BYTES_MAX: u64 = 128 * 1024 * 1024;

/// How far a run has come. Shared: whoever shows it reads it while the run goes on.
#[derive(Debug, Default)]
pub struct Progress {
    bytes_read: AtomicU64,
    packets: AtomicU64,
    bytes_total: AtomicU64,
}

impl Progress {
    /// Bytes read so far, as they lie in the files (compressed ones compressed).
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }

    /// Packets handed out or left out by the filter so far.
    pub fn packets(&self) -> u64 {
        self.packets.load(Ordering::Relaxed)
    }

    /// Bytes of all files of the run; `None` where the size of one is unknown, as of a pipe's.
    pub fn bytes_total(&self) -> Option<u64> {
        Some(self.bytes_total.load(Ordering::Relaxed)).filter(|&total| total != u64::MAX)
    }

    pub(super) fn add_bytes(&self, bytes: u64) {
        self.bytes_read.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn add_packets(&self, packets: u64) {
        self.packets.fetch_add(packets, Ordering::Relaxed);
    }

    pub(super) fn set_total(&self, bytes: Option<u64>) {
        self.bytes_total.store(bytes.unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// Opens a file, or standard input for `-`.
pub(super) fn open(path: &Path) -> io::Result<File> {
    if path == Path::new(STANDARD_INPUT) {
        // The descriptor itself: reads of a block's size, without std's own buffer between.
        return Ok(File::from(io::stdin().as_fd().try_clone_to_owned()?));
    }
    File::open(path)
}

/// The unpacked bytes of `input`, counting what is read of it in `progress`.
pub(super) fn unpack(
    input: impl Read + Send + 'static,
    progress: Arc<Progress>,
) -> io::Result<Stream> {
    let mut input = Counting { input, progress };
    let mut first = [0; 4];
    let count = read_full(&mut input, &mut first)?;
    let head = first.get(..count).unwrap_or_default().to_vec();
    let packing = Packing::of(&head);
    let whole = io::Cursor::new(head).chain(input);
    let buffered = |whole| BufReader::with_capacity(COMPRESSED_BYTES, whole);
    Ok(match packing {
        Some(Packing::Gzip) => Box::new(MultiGzDecoder::new(buffered(whole))),
        Some(Packing::Zstd) => Box::new(ZstdReader::new(buffered(whole))),
        None => Box::new(whole),
    })
}

/// Whether an open regular file is compressed; leaves its position alone.
pub(super) fn is_packed(file: &File) -> io::Result<bool> {
    let mut first = [0; 4];
    let count = file.read_at(&mut first, 0)?;
    Ok(Packing::of(first.get(..count).unwrap_or_default()).is_some())
}

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    Gzip,
    Zstd,
}

impl Packing {
    /// Told by the first four bytes, or all there are; `None` for what is not compressed.
    fn of(head: &[u8]) -> Option<Packing> {
        if head.starts_with(&MAGIC_GZIP) {
            return Some(Packing::Gzip);
        }
        let first = *head.first_chunk()?;
        let zstd = first == MAGIC_ZSTD || u32::from_le_bytes(first) & !0xf == MAGIC_ZSTD_SKIPPABLE;
        zstd.then_some(Packing::Zstd)
    }
}

/// Reads until `buffer` is full or the input ends: the number of bytes read. What was read before
/// an error is lost to the caller; [`Read::read`] gives it the error again.
pub(super) fn read_full(input: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match input.read(rest) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Adds what is read to the run's progress.
struct Counting<R> {
    input: R,
    progress: Arc<Progress>,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.progress.add_bytes(count as u64);
        Ok(count)
    }
}

/// All zstd frames of an input, one after the other, skippable ones skipped (RFC 8878, 3).
struct ZstdReader<R> {
    input: R,
    decoder: FrameDecoder,
    in_frame: bool,
}

impl<R: BufRead> ZstdReader<R> {
    fn new(input: R) -> ZstdReader<R> {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(ZSTD_WINDOW_BYTES_MAX);
        ZstdReader { input, decoder, in_frame: false }
    }

    /// Begins the next frame that holds data; whether there is one.
    fn next_frame(&mut self) -> io::Result<bool> {
        while !self.input.fill_buf()?.is_empty() {
            match self.decoder.reset(&mut self.input) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    let mut skipped = (&mut self.input).take(u64::from(length));
                    if io::copy(&mut skipped, &mut io::sink())? < u64::from(length) {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(error) => return Err(invalid(error)),
            }
        }
        Ok(false)
    }

    /// RFC 8878, 3.1.1: the optional checksum behind a frame.
    fn check_frame(&self) -> io::Result<()> {
        match (self.decoder.get_checksum_from_data(), self.decoder.get_calculated_checksum()) {
            (Some(stated), Some(found)) if stated != found => Err(invalid("checksum differs")),
            _ => Ok(()),
        }
    }
}

impl<R: BufRead> Read for ZstdReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if !self.in_frame {
                self.in_frame = self.next_frame()?;
                if !self.in_frame {
                    return Ok(0);
                }
            }
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                self.decoder
                    .decode_blocks(&mut self.input, BlockDecodingStrategy::UptoBlocks(1))
                    .map_err(invalid)?;
            }
            let count = self.decoder.read(buffer)?;
            if count > 0 {
                return Ok(count);
            }
            self.check_frame()?;
            self.in_frame = false;
        }
    }
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
