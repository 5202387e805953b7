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

#[cfg(test)]
mod tests {
    use super::super::testing::hex;
    use super::*;

    /// A for enabled.tls13.com, without EDNS.
    const QUERY: &str = "ac660100000100000000000007656e61626c656405746c73313303636f6d0000010001";

    #[test]
    fn queries_of_browsers_and_resolvers_are_recognised() {
        let plain = hex(QUERY);
        assert!(looks_like_query(&plain));

        let mut https = plain.clone();
        https[32] = kind::HTTPS as u8;
        assert!(looks_like_query(&https));

        // With EDNS: 1232 bytes, a cookie.
        let mut edns =
            [&plain[..], &hex("00002904d000000000000c000a00084142434445464748")].concat();
        edns[11] = 1;
        assert!(looks_like_query(&edns));
        edns.push(0);
        assert!(!looks_like_query(&edns));
    }

    #[test]
    fn whatever_is_not_quite_a_query_is_refused() {
        let plain = hex(QUERY);
        for length in 0..plain.len() {
            assert!(!looks_like_query(&plain[..length]), "{length}");
        }
        for (at, value, what) in [
            (2, 0x81, "a response"),
            (2, 0x29, "an update"),
            (2, 0x03, "cut by its sender"),
            (3, 0x03, "a result"),
            (3, 0x40, "the reserved bit"),
            (5, 2, "two questions"),
            (7, 1, "an answer"),
            (9, 1, "authority"),
            (11, 1, "a record that is not there"),
            (13, b' ', "a space in the name"),
            (13, b'.', "a dot in a label"),
            (12, 0, "the root"),
            (12, 0xc0, "a pointer"),
            (32, 0, "no type"),
            (32, 200, "an unknown type"),
            (34, 2, "another class"),
        ] {
            let mut bytes = plain.clone();
            bytes[at] = value;
            assert!(!looks_like_query(&bytes), "{what}");
        }
        // One label.
        assert!(!looks_like_query(&hex("000101000001000000000000096c6f63616c686f73740000010001")));
    }
}
