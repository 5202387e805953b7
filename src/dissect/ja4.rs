//! JA4, the fingerprint of a TLS client (FoxIO, "JA4: TLS Client Fingerprinting", BSD 3-Clause).
//!
//! Form: `t13d1516h2_8daaf6152771_e5627efa2ab1`. Only the client fingerprint of that family is
//! here; the others are under another licence. GREASE values (RFC 8701) are left out everywhere.
//!
//! Assumes a whole ClientHello. Lists beyond [`LIST_LENGTH_MAX`] get no fingerprint: no client
//! sends them, and a fingerprint of a part would look like one of the whole.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing))]

use std::num::NonZeroU32;

use arrayvec::{ArrayString, ArrayVec};
use ring::digest;

/// What carries the handshake: the first letter of the fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TLS over TCP, letter `t`.
    Tcp,
    /// CRYPTO frames of QUIC (RFC 9001), letter `q`.
    Quic,
}

/// The longest list of cipher suites, extensions or signature algorithms that is fingerprinted.
pub(crate) const LIST_LENGTH_MAX: usize = 256;

const SERVER_NAME: u16 = 0x0000;
const ALPN: u16 = 0x0010;

/// Characters of a hash that are kept.
const HASH_LENGTH: usize = 12;

/// The parts of a ClientHello that the fingerprint is made of, in the order of the message.
#[derive(Default)]
pub(crate) struct Parts<'a> {
    /// The highest of supported_versions without GREASE, else the legacy version.
    pub(crate) version: u16,
    /// The list of cipher suites, two bytes each.
    pub(crate) cipher_suites: &'a [u8],
    /// The types of the extensions.
    pub(crate) extensions: ArrayVec<u16, LIST_LENGTH_MAX>,
    /// The list of signature algorithms, two bytes each.
    pub(crate) signature_algorithms: &'a [u8],
    /// The first protocol of ALPN.
    pub(crate) first_protocol: Option<&'a [u8]>,
}

/// Whether a 16-bit value is GREASE (RFC 8701, 2): `0x?A?A` with equal bytes.
#[inline]
pub(crate) fn is_grease(value: u16) -> bool {
    value & 0x0f0f == 0x0a0a && value >> 8 == value & 0xff
}

/// The fingerprint; empty if a list is longer than [`LIST_LENGTH_MAX`].
pub(crate) fn fingerprint(transport: Transport, parts: &Parts<'_>) -> ArrayString<36> {
    let mut text = ArrayString::new();
    let (Some(mut ciphers), Some(signatures)) =
        (values(parts.cipher_suites), values(parts.signature_algorithms))
    else {
        return text;
    };
    ciphers.sort_unstable();
    let mut extensions = ArrayVec::<u16, LIST_LENGTH_MAX>::new();
    let plain = parts.extensions.iter().copied().filter(|&value| !is_grease(value));
    extensions.extend(plain.clone().filter(|value| !matches!(*value, SERVER_NAME | ALPN)));
    extensions.sort_unstable();

    text.push(match transport {
        Transport::Tcp => 't',
        Transport::Quic => 'q',
    });
    text.push_str(version(parts.version));
    text.push(if parts.extensions.contains(&SERVER_NAME) { 'd' } else { 'i' });
    push_count(&mut text, ciphers.len());
    push_count(&mut text, plain.count());
    push_protocol(&mut text, parts.first_protocol.unwrap_or_default());
    text.push('_');
    push_hash(&mut text, &ciphers, &[]);
    text.push('_');
    push_hash(&mut text, &extensions, &signatures);
    text
}

/// Whether one program sends an extension in some hellos only: server name, padding, cookie,
/// session ticket, early data, pre-shared key and its modes, ALPN, Encrypted ClientHello.
fn is_changing(extension: u16) -> bool {
    const BITS: u64 =
        1 << SERVER_NAME | 1 << ALPN | 1 << 21 | 1 << 35 | 1 << 41 | 1 << 42 | 1 << 44 | 1 << 45;
    (extension < 64) & (BITS >> (extension & 63) & 1 == 1) | (extension == 0xfe0d)
}

/// A hash of what a client's program decides: the cipher suites in their order, and the set of
/// extensions, since some programs shuffle them. Cheaper than JA4, and steadier: a resumed
/// connection has the same.
pub(crate) fn shape(parts: &Parts<'_>) -> NonZeroU32 {
    const PRIME: u64 = 0x100_0000_01b3;
    // Values are chosen between, not skipped: where GREASE stands no processor can guess.
    let pairs = parts.cipher_suites.as_chunks().0.iter().map(|&pair| u16::from_be_bytes(pair));
    let order = pairs.take(LIST_LENGTH_MAX).fold(0xcbf2_9ce4_8422_2325, |hash: u64, value| {
        let next = (hash ^ u64::from(value)).wrapping_mul(PRIME);
        std::hint::select_unpredictable(is_grease(value), hash, next)
    });
    let set = parts.extensions.iter().fold(0, |sum: u64, &value| {
        let mixed = (u64::from(value) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let next = sum.wrapping_add(mixed ^ mixed >> 29);
        std::hint::select_unpredictable(is_grease(value) | is_changing(value), sum, next)
    });
    let mixed = (order ^ set).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    NonZeroU32::new((mixed >> 32) as u32).unwrap_or(NonZeroU32::MIN)
}

/// The values of a list of two-byte values without GREASE; `None` if there are too many.
fn values(list: &[u8]) -> Option<ArrayVec<u16, LIST_LENGTH_MAX>> {
    if list.len() > 2 * LIST_LENGTH_MAX {
        return None;
    }
    let pairs = list.as_chunks().0;
    let all = pairs.iter().map(|&pair| u16::from_be_bytes(pair));
    Some(all.filter(|&value| !is_grease(value)).collect())
}

fn version(version: u16) -> &'static str {
    match version {
        0x0304 => "13",
        0x0303 => "12",
        0x0302 => "11",
        0x0301 => "10",
        0x0300 => "s3",
        0x0002 => "s2",
        _ => "00",
    }
}

fn push_count(text: &mut ArrayString<36>, count: usize) {
    let count = count.min(99) as u8;
    text.push(char::from(b'0' + count / 10));
    text.push(char::from(b'0' + count % 10));
}

/// First and last character of the protocol, or of its hexadecimal form where one of the two is
/// neither a letter nor a digit.
fn push_protocol(text: &mut ArrayString<36>, protocol: &[u8]) {
    let (Some(&first), Some(&last)) = (protocol.first(), protocol.last()) else {
        text.push_str("00");
        return;
    };
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        text.push(first.into());
        text.push(last.into());
    } else {
        text.push(hex_digit(first >> 4));
        text.push(hex_digit(last & 0x0f));
    }
}

/// The hash over `0a1b,2c3d` (and `_4e5f,6071` where there is a second list), cut; zeros where the
/// first list is empty.
fn push_hash(text: &mut ArrayString<36>, first: &[u16], second: &[u16]) {
    if first.is_empty() {
        text.push_str("000000000000");
        return;
    }
    let mut context = digest::Context::new(&digest::SHA256);
    update(&mut context, first);
    if !second.is_empty() {
        context.update(b"_");
        update(&mut context, second);
    }
    for &byte in context.finish().as_ref().iter().take(HASH_LENGTH / 2) {
        text.push(hex_digit(byte >> 4));
        text.push(hex_digit(byte & 0x0f));
    }
}

/// Feeds the values as four hexadecimal digits each, with commas between.
fn update(context: &mut digest::Context, values: &[u16]) {
    let mut buffer = ArrayVec::<u8, 320>::new();
    for (index, value) in values.iter().enumerate() {
        if buffer.remaining_capacity() < 5 {
            context.update(&buffer);
            buffer.clear();
        }
        if index > 0 {
            buffer.push(b',');
        }
        for shift in [12, 8, 4, 0] {
            buffer.push(hex_digit((value >> shift & 0x0f) as u8) as u8);
        }
    }
    context.update(&buffer);
}

/// The lower-case digit of a value below 16.
fn hex_digit(value: u8) -> char {
    char::from(if value < 10 { b'0' + value } else { b'a' - 10 + value })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Vec<u8> {
        let value = |hex: &str| u16::from_str_radix(hex, 16).unwrap().to_be_bytes();
        text.split(',').flat_map(value).collect()
    }

    fn types(text: &str) -> ArrayVec<u16, LIST_LENGTH_MAX> {
        list(text).as_chunks().0.iter().map(|&pair| u16::from_be_bytes(pair)).collect()
    }

    /// The worked example of the specification, with GREASE put in.
    #[test]
    fn the_example_of_the_specification() {
        let cipher_suites =
            list("4a4a,1301,1302,1303,c02b,c02f,c02c,c030,cca9,cca8,c013,c014,009c,009d,002f,0035");
        let signature_algorithms = list("0403,0804,0401,0503,0805,0501,0806,0601");
        let mut parts = Parts {
            version: 0x0304,
            cipher_suites: &cipher_suites,
            extensions: types(
                "dada,001b,0000,0033,0010,4469,0017,002d,000d,0005,0023,0012,002b,ff01,000b,000a,\
                 0015",
            ),
            signature_algorithms: &signature_algorithms,
            first_protocol: Some(b"h2"),
        };
        assert_eq!(
            fingerprint(Transport::Tcp, &parts).as_str(),
            "t13d1516h2_8daaf6152771_e5627efa2ab1"
        );
        parts.signature_algorithms = &[];
        assert_eq!(
            fingerprint(Transport::Quic, &parts).as_str(),
            "q13d1516h2_8daaf6152771_6d807ffa2a79"
        );
    }

    #[test]
    fn empty_lists_are_zeros() {
        let text = fingerprint(Transport::Tcp, &Parts::default());
        assert_eq!(text.as_str(), "t00i000000_000000000000_000000000000");
    }

    /// The table of the specification's section "ALPN Extension Value".
    #[test]
    fn protocols_that_are_not_text_show_their_digits() {
        for (protocol, expected) in [
            (&b"http/1.1"[..], "h1"),
            (b"h", "hh"),
            (b"\xab", "ab"),
            (b"\xab\xcd", "ad"),
            (b"\x30\xab", "3b"),
            (b"\x30\x31\xab\xcd", "3d"),
        ] {
            let mut text = ArrayString::new();
            push_protocol(&mut text, protocol);
            assert_eq!(text.as_str(), expected, "{protocol:x?}");
        }
    }

    #[test]
    fn lists_over_the_bound_have_no_fingerprint() {
        let cipher_suites = [0x13; 2 * LIST_LENGTH_MAX + 2];
        let parts = Parts { cipher_suites: &cipher_suites, ..Parts::default() };
        assert_eq!(fingerprint(Transport::Tcp, &parts).as_str(), "");
    }

    #[test]
    fn grease_is_the_sixteen_values_of_rfc_8701() {
        assert_eq!((0..=u16::MAX).filter(|&value| is_grease(value)).count(), 16);
        assert!(is_grease(0x0a0a) && is_grease(0xfafa) && !is_grease(0x0a1a));
    }
}
