//! Recognises DNS queries on ports that are not DNS's own, for instance to resolvers on port 5300
//! or 1053.
//!
//! Where the port does not vouch for the protocol, the bytes must: what is let through here is
//! taken for a user's question. So everything is asked that real queries fulfil and chance does
//! not; a query refused here is a name less, a false one would be a false accusation.

use dns_parser::{Error, Packet};

use super::name;
use super::record::{self, CLASS_IN, HEADER_LENGTH, Header, QUESTION_FIXED_LENGTH};
use super::{OPCODE_QUERY, kind};

/// Whether `payload`, all of a datagram, is beyond reasonable doubt a standard DNS query: one
/// question of a known type in class IN for a name of at least two labels of letters, digits, `-`
/// and `_`, no records but EDNS, and not a byte more.
pub fn looks_like_query(payload: &[u8]) -> bool {
    let Some(header) = Header::read(payload) else { return false };
    let plain = !header.response()
        && header.opcode() == OPCODE_QUERY
        && !header.truncated()
        && header.rcode() == 0
        && header.questions == 1
        && header.answers == 0
        && header.authority == 0
        && header.additional <= 1;
    plain && question_and_edns_fill(payload, header.additional) && crate_agrees(payload)
}

/// Whether question and EDNS record have the form they must have and end with the payload.
fn question_and_edns_fill(payload: &[u8], edns: u16) -> bool {
    let mut usual = true;
    let walked = name::walk(payload, HEADER_LENGTH, |label| {
        usual &=
            label.iter().all(|byte| matches!(byte, b'-' | b'_') || byte.is_ascii_alphanumeric());
    });
    let Ok(walked) = walked else { return false };
    let question_end = walked.end + QUESTION_FIXED_LENGTH;
    let class = payload.get(question_end - 2..question_end);
    if !usual || walked.labels < 2 || walked.pointers > 0 || class != Some(&CLASS_IN.to_be_bytes())
    {
        return false;
    }
    if edns == 0 {
        return payload.len() == question_end;
    }
    record::read(payload, question_end).is_ok_and(|record| {
        // The owner of an OPT record is the root (RFC 6891, 6.1.2), one zero byte.
        payload.get(record.owner) == Some(&0)
            && record.kind == kind::OPT
            && record.data.end == payload.len()
    })
}

/// The `dns-parser` crate's verdict, which adds its lists of types and classes and the reserved
/// bits. It is only shown messages whose one name has no pointers. Of the types it does not know,
/// service bindings are asked for by every browser.
fn crate_agrees(payload: &[u8]) -> bool {
    match Packet::parse(payload) {
        Ok(_) => true,
        Err(Error::InvalidQueryType(unknown)) => matches!(unknown, kind::SVCB | kind::HTTPS),
        Err(_) => false,
    }
}
