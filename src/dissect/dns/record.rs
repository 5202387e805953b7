//! Header and resource records of a DNS message as they stand (RFC 1035, 4.1).
//!
//! The same layout serves mDNS (RFC 6762, 18), LLMNR (RFC 4795, 2.1) and the NetBIOS name service
//! (RFC 1002, 4.2.1), whose meanings differ.

use std::ops::Range;

use super::name::{self, Fault};
use crate::dissect::reader::Reader;

/// Octets of the header; no name begins before its end.
pub(in crate::dissect) const HEADER_LENGTH: usize = 12;

/// The class Internet (RFC 1035, 3.2.4).
pub(in crate::dissect) const CLASS_IN: u16 = 1;

/// Octets behind a record's owner and in front of its data: type, class, TTL, RDLENGTH.
const FIXED_LENGTH: usize = 10;

/// Octets behind a question's name: type and class.
pub(in crate::dissect) const QUESTION_FIXED_LENGTH: usize = 4;

/// The header.
#[derive(Clone, Copy, Debug)]
pub(in crate::dissect) struct Header {
    pub(in crate::dissect) id: u16,
    flags: u16,
    /// Records in each section, as the header states them.
    pub(in crate::dissect) questions: u16,
    pub(in crate::dissect) answers: u16,
    pub(in crate::dissect) authority: u16,
    pub(in crate::dissect) additional: u16,
}

impl Header {
    /// Reads the header; none when the bytes end inside.
    #[inline]
    pub(in crate::dissect) fn read(message: &[u8]) -> Option<Header> {
        let &[i, d, f, g, q, r, a, n, u, t, x, y] = message.first_chunk()?;
        let number = |high, low| u16::from_be_bytes([high, low]);
        Some(Header {
            id: number(i, d),
            flags: number(f, g),
            questions: number(q, r),
            answers: number(a, n),
            authority: number(u, t),
            additional: number(x, y),
        })
    }

    /// QR: whether this answers something.
    pub(in crate::dissect) fn response(self) -> bool {
        self.flags & 0x8000 != 0
    }

    /// OPCODE.
    pub(in crate::dissect) fn opcode(self) -> u8 {
        (self.flags >> 11 & 0xf) as u8
    }

    /// TC.
    pub(in crate::dissect) fn truncated(self) -> bool {
        self.flags & 0x0200 != 0
    }

    /// RCODE, without the upper bits that EDNS adds.
    pub(in crate::dissect) fn rcode(self) -> u8 {
        (self.flags & 0xf) as u8
    }
}

/// One resource record.
#[derive(Clone, Debug)]
pub(in crate::dissect) struct Record {
    /// Offset of its owner's name.
    pub(in crate::dissect) owner: usize,
    pub(in crate::dissect) kind: u16,
    pub(in crate::dissect) class: u16,
    pub(in crate::dissect) ttl_seconds: u32,
    /// Where its data lies in the message, all of it.
    pub(in crate::dissect) data: Range<usize>,
}

/// Reads the record at `at`; the next one begins at the end of its data.
///
/// # Errors
/// [`Fault::Cut`] when the message ends before the record does, [`Fault::Malformed`] when its
/// owner is no name.
#[inline]
pub(in crate::dissect) fn read(message: &[u8], at: usize) -> Result<Record, Fault> {
    let fixed = name::skip(message, at)?;
    let mut reader = Reader::new(message.get(fixed..).unwrap_or_default());
    let (kind, class) = (reader.u16().ok_or(Fault::Cut)?, reader.u16().ok_or(Fault::Cut)?);
    let ttl_seconds = reader.u32().ok_or(Fault::Cut)?;
    let length = reader.u16().ok_or(Fault::Cut)?;
    reader.take(length.into()).ok_or(Fault::Cut)?;
    let data = fixed + FIXED_LENGTH;
    let data = data..data + usize::from(length);
    // A TTL with the upper bit set counts as 0 (RFC 2181, 8).
    let ttl_seconds = if ttl_seconds >> 31 == 0 { ttl_seconds } else { 0 };
    Ok(Record { owner: at, kind, class, ttl_seconds, data })
}

/// Offset behind `count` questions that begin at `at`.
///
/// # Errors
/// As [`read`].
pub(in crate::dissect) fn skip_questions(
    message: &[u8],
    mut at: usize,
    count: u16,
) -> Result<usize, Fault> {
    for _ in 0..count {
        at = name::skip(message, at)? + QUESTION_FIXED_LENGTH;
    }
    Ok(at)
}

/// Offset behind `count` records that begin at `at`.
///
/// # Errors
/// As [`read`].
pub(in crate::dissect) fn skip_records(
    message: &[u8],
    mut at: usize,
    count: u16,
) -> Result<usize, Fault> {
    for _ in 0..count {
        at = read(message, at)?.data.end;
    }
    Ok(at)
}
