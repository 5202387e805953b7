//! TLS over a stream: the ClientHello of one side, the certificate of the other.
//!
//! A handshake message may be spread over several records, and several may share one (RFC 8446,
//! 5.1): records are taken apart first and their contents joined. The reader of records is
//! tls-parser's; the ClientHello has its own walk (`tls_hello`), which answers although a
//! neighbour is malformed. Nothing is decrypted, and encrypted records end the search.
//!
//! Assumes in-order bytes that begin at a record. Does not read hellos in SSL 2 form (RFC 5246,
//! E.2): they carry no name.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing))]

use std::borrow::Cow;

use tls_parser::{
    TlsExtension, TlsHandshakeType, TlsRecordType, TlsServerHelloContents, TlsVersion,
    parse_tls_handshake_server_hello, parse_tls_record_header, parse_tls_server_hello_extension,
};

use super::Progress;
use super::certificate;
use super::reader::Reader;
use crate::observation::{CertificateNames, ClientHello};
use crate::stats::Counter;

pub use super::ja4::Transport;
pub use super::tls_hello::{client_hello, client_hello_prefix};

/// The length of a record's header.
const RECORD_HEADER_LENGTH: usize = 5;
/// The longest record (RFC 8446, 5.2: 2^14 + 256; RFC 5246, 6.2.3 allowed 2^14 + 2048).
const RECORD_LENGTH_MAX: u16 = (1 << 14) + 2048;

/// Whether bytes can be the beginning of records with a ClientHello or a ServerHello in them.
/// Fewer than six bytes are never enough.
#[inline]
pub fn may_be_hello(bytes: &[u8]) -> bool {
    // Record type handshake, version 3.x, length, ClientHello or ServerHello. Record versions
    // above 3.4 do not exist, but RFC 8446, 5.1 asks receivers to ignore that field.
    matches!(*bytes, [22, 3, _, length, _, 1 | 2, ..] if length <= 0x48)
}

/// The ClientHello in the records at the beginning of a stream.
///
/// `Incomplete` until its last byte is there; `Reject` as [`client_hello`] does, and if other
/// records end the handshake before the hello ends.
pub fn client_hello_in_records(bytes: &[u8], fingerprint: bool) -> Progress<ClientHello> {
    let records = join(bytes, After::ChangeCipherSpecGoOn);
    match client_hello(&records.handshake, fingerprint.then_some(Transport::Tcp)) {
        Progress::Incomplete if records.ended => match client_hello_prefix(&records.handshake) {
            Some(hello) => Progress::Complete(hello),
            None => Progress::Reject(Some(Counter::TlsMalformed)),
        },
        progress => progress,
    }
}

/// What can be read of the ClientHello in records whose end never comes; as
/// [`client_hello_prefix`].
pub fn client_hello_prefix_in_records(bytes: &[u8]) -> Option<ClientHello> {
    client_hello_prefix(&join(bytes, After::ChangeCipherSpecGoOn).handshake)
}

/// The names in the first certificate of a server that begins with a ServerHello of TLS 1.2 or
/// below.
///
/// `Reject(None)` if no certificate will follow in the clear: TLS 1.3, a resumed session, another
/// protocol; also if the certificate has no name.
pub fn certificate_in_records(bytes: &[u8]) -> Progress<CertificateNames> {
    let records = join(bytes, After::ChangeCipherSpecStop);
    match server_flight(&records.handshake) {
        Progress::Incomplete if records.ended => Progress::Reject(None),
        progress => progress,
    }
}

/// Messages of a server up to its certificate, which comes second (RFC 5246, 7.3).
fn server_flight(handshake: &[u8]) -> Progress<CertificateNames> {
    let mut reader = Reader::new(handshake);
    loop {
        let Some(kind) = reader.u8() else { return Progress::Incomplete };
        let Some(length) = reader.u24() else { return Progress::Incomplete };
        match TlsHandshakeType(kind) {
            TlsHandshakeType::ServerHello => {
                let Some(body) = reader.take(length) else { return Progress::Incomplete };
                if !certificate_follows(body) {
                    return Progress::Reject(None);
                }
            }
            TlsHandshakeType::Certificate => return leaf_names(&mut reader),
            _ => return Progress::Reject(None),
        }
    }
}

/// Whether a ServerHello is of a version whose certificates are not encrypted.
fn certificate_follows(body: &[u8]) -> bool {
    let Ok((_, hello)) = parse_tls_handshake_server_hello(body) else { return false };
    let TlsServerHelloContents { ext, .. } = hello;
    let mut extensions = ext.unwrap_or_default();
    while let Ok((rest, extension)) = parse_tls_server_hello_extension(extensions) {
        if let TlsExtension::SupportedVersions(versions) = extension {
            return versions.iter().all(|version| version.0 <= TlsVersion::Tls12.0);
        }
        extensions = rest;
    }
    true
}

/// The names of the first certificate of a list (RFC 5246, 7.4.2): the server's own.
fn leaf_names(reader: &mut Reader<'_>) -> Progress<CertificateNames> {
    let Some(_length_of_list) = reader.u24() else { return Progress::Incomplete };
    let Some(length) = reader.u24() else { return Progress::Incomplete };
    let Some(der) = reader.take(length) else { return Progress::Incomplete };
    let names = certificate::names(der);
    if names.is_empty() { Progress::Reject(None) } else { Progress::Complete(names) }
}

/// What a ChangeCipherSpec record means for what follows it.
#[derive(Clone, Copy, PartialEq)]
enum After {
    /// Nothing: before a hello it is noise (RFC 8446, 5 lets it come at any time).
    ChangeCipherSpecGoOn,
    /// All that follows is encrypted (RFC 5246, 7.1).
    ChangeCipherSpecStop,
}

/// The contents of handshake records, joined.
struct Records<'a> {
    handshake: Cow<'a, [u8]>,
    /// Whether no more of the handshake can follow.
    ended: bool,
}

/// Joins the contents of the handshake records at the beginning of `bytes`, the last one as far
/// as it is there. Copies nothing where one record holds everything.
fn join(bytes: &[u8], after: After) -> Records<'_> {
    let mut handshake = Cow::Borrowed(&[][..]);
    let mut rest = bytes;
    while rest.len() >= RECORD_HEADER_LENGTH {
        let Ok((content, header)) = parse_tls_record_header(rest) else { break };
        let stop = match header.record_type {
            TlsRecordType::Handshake | TlsRecordType::Alert => false,
            TlsRecordType::ChangeCipherSpec => after == After::ChangeCipherSpecStop,
            _ => true,
        };
        if stop || header.version.0 >> 8 != 3 || header.len > RECORD_LENGTH_MAX {
            return Records { handshake, ended: true };
        }
        let available = usize::from(header.len).min(content.len());
        let Some((content, following)) = content.split_at_checked(available) else { break };
        rest = following;
        if header.record_type != TlsRecordType::Handshake {
            continue;
        }
        if handshake.is_empty() {
            handshake = Cow::Borrowed(content);
        } else {
            handshake.to_mut().extend_from_slice(content);
        }
    }
    Records { handshake, ended: false }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        [&[kind, 0][..], &(body.len() as u16).to_be_bytes(), body].concat()
    }

    fn record(kind: u8, content: &[u8]) -> Vec<u8> {
        [&[kind, 3, 3][..], &(content.len() as u16).to_be_bytes(), content].concat()
    }

    fn server_hello(extensions: &[u8]) -> Vec<u8> {
        let length = (extensions.len() as u16).to_be_bytes();
        let body = [&[3, 3][..], &[7; 32], &[0], &[0xc0, 0x2f], &[0], &length, extensions].concat();
        message(2, &body)
    }

    fn certificate_message() -> Vec<u8> {
        // A certificate cut down to what its names need: subject CN=www.example.com.
        let subject = b"\x30\x1a\x31\x18\x30\x16\x06\x03\x55\x04\x03\x0c\x0fwww.example.com";
        let fields = [&b"\x02\x01\x01\x30\0\x30\0\x30\0"[..], subject].concat();
        let certificate =
            [&[0x30, fields.len() as u8 + 2, 0x30, fields.len() as u8][..], &fields].concat();
        let length = certificate.len() as u8;
        message(11, &[&[0, 0, length + 3, 0, 0, length][..], &certificate].concat())
    }

    /// A server's first records, in TLS 1.2 for www.example.com.
    pub(in crate::dissect) fn server_records() -> Vec<u8> {
        [record(22, &server_hello(&[])), record(22, &certificate_message())].concat()
    }

    fn first_name(bytes: &[u8]) -> Progress<String> {
        match certificate_in_records(bytes) {
            Progress::Complete(names) => Progress::Complete(names[0].hostname.to_string()),
            Progress::Incomplete => Progress::Incomplete,
            Progress::Reject(counter) => Progress::Reject(counter),
        }
    }

    #[test]
    fn a_certificate_is_found_however_the_records_are_cut() {
        let handshake = [server_hello(&[]), certificate_message()].concat();
        let expected = Progress::Complete("www.example.com".to_owned());
        for length in 1..handshake.len() {
            let records: Vec<u8> =
                handshake.chunks(length).flat_map(|part| record(22, part)).collect();
            assert_eq!(first_name(&records), expected, "{length}");
            let cut = &records[..records.len() - 1];
            assert_eq!(first_name(cut), Progress::Incomplete, "{length}");
        }
    }

    #[test]
    fn no_certificate_follows_in_tls_1_3_or_after_resumption() {
        let version_1_3 = server_hello(b"\0\x2b\0\x02\x03\x04");
        assert_eq!(first_name(&record(22, &version_1_3)), Progress::Reject(None));
        let version_1_2 = server_hello(b"\0\x2b\0\x02\x03\x03");
        assert_eq!(first_name(&record(22, &version_1_2)), Progress::Incomplete);
        let resumed = [record(22, &server_hello(&[])), record(20, &[1])].concat();
        assert_eq!(first_name(&resumed), Progress::Reject(None));
        let key_exchange = [server_hello(&[]), message(12, &[0; 4])].concat();
        assert_eq!(first_name(&record(22, &key_exchange)), Progress::Reject(None));
    }

    #[test]
    fn flipped_bytes_never_panic() {
        let bytes = server_records();
        for at in 0..bytes.len() {
            for value in [0, 1, 2, 0x7f, 0x80, 0xff] {
                let mut flipped = bytes.clone();
                flipped[at] = value;
                certificate_in_records(&flipped);
                client_hello_in_records(&flipped, true);
                client_hello_prefix_in_records(&flipped[..at]);
            }
        }
    }
}
