//! Which capture format a file is in, and what can be wrong with it.
//!
//! The first bytes decide, never the name. Other well-known formats are refused by name, so that
//! whoever passed one knows what to convert.

use std::fmt;
use std::ops::Range;

use super::pcap_file::PcapFormat;
use super::pcapng_file::Sections;
use super::scout::Scouts;
use super::{FRAME_BYTES_MAX, RECORD_BYTES_MAX, Record, write_hex};

/// How many bytes are enough to tell a format: the file header of pcap.
pub(super) const HEADER_BYTES: usize = 24;

/// A capture's format and all that its headers have told so far.
#[derive(Debug)]
pub(super) enum Format {
    Pcap(PcapFormat),
    Pcapng(Sections),
}

/// How far a walk over records came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Walked {
    /// Where the first record that was not taken begins, in bytes from the buffer's beginning.
    pub(super) consumed: usize,
    /// What is wrong with that record; nothing when it merely goes on behind the buffer's end.
    pub(super) damage: Option<Damage>,
}

/// Why a file's first bytes made it no capture we read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotACapture {
    /// No bytes at all.
    Empty,
    /// Another format, known by its first bytes.
    Known(&'static str),
    /// pcap or pcapng of a version we do not read.
    Version(&'static str, u16, u16),
    /// Unknown first bytes, and how many of them there are.
    Unknown([u8; 4], usize),
}

/// What makes the rest of a capture unreadable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The file ends inside its header.
    #[error("the file ends inside its header")]
    CutHeader,
    /// The file ends inside a record.
    #[error("the file ends inside a record")]
    CutRecord,
    /// The file became shorter while a record was looked at.
    #[error("the file became shorter while it was read")]
    BecameShorter,
    /// The compressed data ends early or contradicts itself.
    #[error("the compressed data is damaged or ends early")]
    Compression,
    /// A record claims more bytes than any frame has.
    #[error("a packet claims {0} captured bytes, more than {FRAME_BYTES_MAX}")]
    FrameTooLong(u32),
    /// A pcapng block's length is no multiple of four, too short for its type, or beyond belief.
    #[error("a block claims {0} bytes (at most {RECORD_BYTES_MAX}, a multiple of 4)")]
    BlockLength(u32),
    /// The two lengths round a pcapng block differ.
    #[error("a block's two lengths differ: {0} and {1}")]
    BlockLengthsDiffer(u32, u32),
    /// A packet is longer than the pcapng block that holds it.
    #[error("a packet claims {0} captured bytes, more than its block holds")]
    FrameBeyondBlock(u32),
    /// A packet names an interface that its section has not described.
    #[error("a packet names interface {0}, which is not described before it")]
    UnknownInterface(u32),
    /// More interfaces than are kept.
    #[error("a section describes more than {0} interfaces")]
    TooManyInterfaces(usize),
    /// An option reaches beyond its pcapng block, or has a length that its code does not allow.
    #[error("an interface's option {0} has a wrong length")]
    OptionLength(u16),
    /// The byte-order magic of a later section is none.
    #[error("a section's byte-order magic is {0:#010x}")]
    ByteOrder(u32),
    /// A later section has a version we do not read.
    #[error("a section has version {0}.{1}, which is not read")]
    Version(u16, u16),
}

/// What the first bytes of a file say.
#[derive(Debug)]
pub(super) enum Detected {
    /// A capture, and where its records begin.
    Capture(Format, usize),
    NotACapture(NotACapture),
    /// A capture, but its header is cut.
    Cut,
}

/// Tells a file's format. `bytes` are its first ones: [`HEADER_BYTES`], or all it has.
pub(super) fn detect(bytes: &[u8]) -> Detected {
    if let Some(detected) = PcapFormat::detect(bytes) {
        return detected;
    }
    if let Some(detected) = Sections::detect(bytes) {
        return detected;
    }
    Detected::NotACapture(stranger(bytes))
}

impl Format {
    /// Adds the whole records in `bytes` from `start` on.
    #[inline]
    pub(super) fn walk(&mut self, bytes: &[u8], start: usize, records: &mut Vec<Record>) -> Walked {
        match self {
            Format::Pcap(format) => format.walk(bytes, start, records),
            Format::Pcapng(sections) => sections.walk(bytes, start..bytes.len(), records),
        }
    }

    /// Adds the whole records in `bytes` that begin in `range`, at whose start one does, by scouts.
    pub(super) fn scout(
        &mut self,
        scouts: &mut Scouts,
        bytes: &[u8],
        range: Range<usize>,
        records: &mut Vec<Record>,
    ) -> Walked {
        match self {
            Format::Pcap(format) => format.scout(scouts, bytes, range, records),
            Format::Pcapng(sections) => sections.scout(scouts, bytes, range, records),
        }
    }
}

impl fmt::Display for NotACapture {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotACapture::Empty => formatter.write_str("not a capture: it is empty"),
            NotACapture::Known(name) => {
                write!(formatter, "not a capture that is read (pcap, pcapng) but {name}")
            }
            NotACapture::Version(format, major, minor) => {
                write!(formatter, "{format} of version {major}.{minor}, which is not read")
            }
            NotACapture::Unknown(bytes, count) => {
                formatter.write_str("not a capture: its first bytes are ")?;
                write_hex(formatter, bytes.get(..*count).unwrap_or(bytes))
            }
        }
    }
}

/// First bytes of formats that people hand to a reader of captures by mistake.
const STRANGERS: &[(&[u8], &str)] = &[
    (b"snoop\0\0\0", "a snoop file"),
    (b"btsnoop\0", "a Bluetooth snoop file"),
    (b"TRSNIFF data    \x1a", "a Sniffer file"),
    (b"XCP\0", "a NetXRay file"),
    (b"RTSS", "a Microsoft Network Monitor file"),
    (b"GMBU", "a Microsoft Network Monitor file"),
    (b"\x7fver", "an OmniPeek file"),
    (b"iptrace ", "an iptrace file"),
    (b"\x1c\x00\x01\xac", "an IXIA hardware capture"),
    (b"\xac\x01\x00\x1c", "an IXIA hardware capture"),
    (b"\x1c\x00\x01\xab", "an IXIA software capture"),
    (b"\xab\x01\x00\x1c", "an IXIA software capture"),
    (b"\x37\x7a\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"BZh", "compressed with bzip2"),
    (b"\xfd7zXZ\0", "compressed with xz"),
    (b"\x04\x22\x4d\x18", "compressed with lz4"),
    (b"\x1f\x9d", "compressed with compress"),
    (b"\x1f\x8b", "compressed with gzip twice"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd twice"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"%PDF", "a PDF document"),
    (b"\x7fELF", "a program"),
    (b"#!", "a script"),
    (b"<!DOCTYPE", "an HTML page"),
    (b"<html", "an HTML page"),
    (b"<?xml", "an XML document"),
];

fn stranger(bytes: &[u8]) -> NotACapture {
    if bytes.is_empty() {
        return NotACapture::Empty;
    }
    if let Some((_, name)) = STRANGERS.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return NotACapture::Known(name);
    }
    let mut first = [0; 4];
    let count = bytes.len().min(first.len());
    first.iter_mut().zip(bytes).for_each(|(to, &from)| *to = from);
    NotACapture::Unknown(first, count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(bytes: &[u8]) -> String {
        match detect(bytes) {
            Detected::NotACapture(why) => why.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn other_formats_are_refused_by_name() {
        assert!(refusal(b"snoop\0\0\0\0\0\0\x02").contains("a snoop file"));
        assert!(refusal(b"BZh91AY").contains("bzip2"));
        assert_eq!(refusal(b""), "not a capture: it is empty");
        assert_eq!(refusal(b"Hi"), "not a capture: its first bytes are 4869");
        assert_eq!(refusal(b"Hello"), "not a capture: its first bytes are 48656c6c");
    }
}
