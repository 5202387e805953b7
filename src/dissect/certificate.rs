//! The names in an X.509 certificate (RFC 5280): dNSNames of subjectAltName, else the last common
//! name of the subject.
//!
//! Assumes the DER bytes of one certificate. It checks no signature, no date and no chain: a name
//! found here is what the server claims, no more.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing))]

use super::reader::Reader;
use crate::hostname::Hostname;
use crate::observation::{CertificateName, CertificateNames};

/// Tags of X.690 and of RFC 5280, Appendix A that are told apart.
mod tag {
    pub(super) const SEQUENCE: u8 = 0x30;
    pub(super) const SET: u8 = 0x31;
    pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
    pub(super) const OCTET_STRING: u8 = 0x04;
    /// `[0]` in TBSCertificate.
    pub(super) const VERSION: u8 = 0xa0;
    /// `[3]` in TBSCertificate.
    pub(super) const EXTENSIONS: u8 = 0xa3;
    /// `[2]` in GeneralName.
    pub(super) const DNS_NAME: u8 = 0x82;
    /// UTF8String, PrintableString, TeletexString, IA5String: text as it stands if it is ASCII.
    pub(super) const TEXTS: [u8; 4] = [0x0c, 0x13, 0x14, 0x16];
}

/// id-ce-subjectAltName, 2.5.29.17.
const SUBJECT_ALTERNATIVE_NAME: &[u8] = &[0x55, 0x1d, 0x11];
/// id-at-commonName, 2.5.4.3.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
/// Fields of TBSCertificate between version and subject: serialNumber, signature, issuer, validity.
const FIELDS_BEFORE_SUBJECT: usize = 4;

/// The first valid names of a certificate; none if the bytes are no certificate.
pub(crate) fn names(certificate: &[u8]) -> CertificateNames {
    let mut names = CertificateNames::new();
    let subject = walk(certificate, &mut names);
    if names.is_empty()
        && let Some(name) = subject.and_then(common_name).and_then(certificate_name)
    {
        names.push(name);
    }
    names
}

/// Adds the alternative names and returns the subject.
fn walk<'a>(certificate: &'a [u8], names: &mut CertificateNames) -> Option<&'a [u8]> {
    let mut outer = Reader::new(expect(&mut Reader::new(certificate), tag::SEQUENCE)?);
    let mut fields = Reader::new(expect(&mut outer, tag::SEQUENCE)?);
    let version = fields.rest().first() == Some(&tag::VERSION);
    for _ in 0..FIELDS_BEFORE_SUBJECT + usize::from(version) {
        element(&mut fields)?;
    }
    let subject = expect(&mut fields, tag::SEQUENCE)?;
    while let Some((kind, content)) = element(&mut fields) {
        if kind == tag::EXTENSIONS {
            alternative_names(content, names);
        }
    }
    Some(subject)
}

fn alternative_names(extensions: &[u8], names: &mut CertificateNames) -> Option<()> {
    let mut list = Reader::new(expect(&mut Reader::new(extensions), tag::SEQUENCE)?);
    while let Some((_, extension)) = element(&mut list) {
        let mut fields = Reader::new(extension);
        if expect(&mut fields, tag::OBJECT_IDENTIFIER)? != SUBJECT_ALTERNATIVE_NAME {
            continue;
        }
        while let Some((kind, value)) = element(&mut fields) {
            if kind != tag::OCTET_STRING {
                continue; // critical
            }
            let mut general_names = Reader::new(expect(&mut Reader::new(value), tag::SEQUENCE)?);
            while let Some((kind, text)) = element(&mut general_names) {
                if kind == tag::DNS_NAME
                    && let Some(name) = certificate_name(text)
                {
                    names.try_push(name).ok()?;
                }
            }
        }
    }
    Some(())
}

/// The last common name: the most specific one (RFC 9525, Appendix A).
fn common_name(subject: &[u8]) -> Option<&[u8]> {
    let mut found = None;
    let mut relative_names = Reader::new(subject);
    while let Some(set) = expect(&mut relative_names, tag::SET) {
        let mut attributes = Reader::new(set);
        while let Some(attribute) = expect(&mut attributes, tag::SEQUENCE) {
            let mut fields = Reader::new(attribute);
            if expect(&mut fields, tag::OBJECT_IDENTIFIER) == Some(COMMON_NAME)
                && let Some((kind, text)) = element(&mut fields)
                && tag::TEXTS.contains(&kind)
            {
                found = Some(text);
            }
        }
    }
    found
}

/// A name, its wildcard label taken off. A common name may be any text, so only what can be a
/// name in public DNS counts: letters, digits, hyphens, underscores, and a dot.
fn certificate_name(text: &[u8]) -> Option<CertificateName> {
    let (text, wildcard) = match text.strip_prefix(b"*.") {
        Some(text) => (text, true),
        None => (text, false),
    };
    let is_usual = |&byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if !text.contains(&b'.') || !text.iter().all(is_usual) {
        return None;
    }
    Some(CertificateName { hostname: Hostname::from_wire(text).ok()?, wildcard })
}

/// The content of the next element if it has this tag; else `None`.
fn expect<'a>(reader: &mut Reader<'a>, expected: u8) -> Option<&'a [u8]> {
    let (kind, content) = element(reader)?;
    (kind == expected).then_some(content)
}

/// Tag and content of the next element (X.690, 8.1): one-byte tags, definite lengths up to
/// 16,777,215.
fn element<'a>(reader: &mut Reader<'a>) -> Option<(u8, &'a [u8])> {
    let kind = reader.u8()?;
    let length = match reader.u8()? {
        short @ 0..=0x7f => usize::from(short),
        0x81 => usize::from(reader.u8()?),
        0x82 => usize::from(reader.u16()?),
        0x83 => reader.u24()?,
        _ => return None,
    };
    Some((kind, reader.take(length)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One element of DER.
    fn der(kind: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        [&[kind, 0x82][..], &length, content].concat()
    }

    fn certificate(common_names: &[&str], alternative: &[&str]) -> Vec<u8> {
        let attribute = |name: &&str| {
            let fields = [der(0x06, COMMON_NAME), der(0x0c, name.as_bytes())].concat();
            der(tag::SET, &der(tag::SEQUENCE, &fields))
        };
        let subject: Vec<u8> = common_names.iter().flat_map(attribute).collect();
        let names: Vec<u8> =
            alternative.iter().flat_map(|name| der(tag::DNS_NAME, name.as_bytes())).collect();
        let extension = [
            der(0x06, SUBJECT_ALTERNATIVE_NAME),
            der(0x01, &[0xff]),
            der(tag::OCTET_STRING, &der(tag::SEQUENCE, &names)),
        ]
        .concat();
        let other =
            [der(0x06, &[0x55, 0x1d, 0x0f]), der(tag::OCTET_STRING, &[3, 2, 5, 0])].concat();
        let extensions = [der(tag::SEQUENCE, &other), der(tag::SEQUENCE, &extension)].concat();
        let fields = [
            der(tag::VERSION, &der(2, &[2])),
            der(2, &[1]),
            der(tag::SEQUENCE, &[]),
            der(tag::SEQUENCE, &[]),
            der(tag::SEQUENCE, &[]),
            der(tag::SEQUENCE, &subject),
            der(tag::SEQUENCE, &[]),
            der(tag::EXTENSIONS, &der(tag::SEQUENCE, &extensions)),
        ]
        .concat();
        der(tag::SEQUENCE, &der(tag::SEQUENCE, &fields))
    }

    fn read(certificate: &[u8]) -> Vec<String> {
        let show = |name: CertificateName| {
            format!("{}{}", if name.wildcard { "*." } else { "" }, name.hostname)
        };
        names(certificate).into_iter().map(show).collect()
    }

    #[test]
    fn alternative_names_come_before_the_common_name() {
        let bytes = certificate(&["cn.example"], &["WWW.example.com", "*.example.net", "f*.a.b"]);
        assert_eq!(read(&bytes), ["www.example.com", "*.example.net"]);
    }

    #[test]
    fn the_last_common_name_counts_if_there_is_no_other() {
        assert_eq!(
            read(&certificate(&["Some Company", "old.example.com"], &[])),
            ["old.example.com"]
        );
        for no_name in ["Some Company", "gtk-gnutella/1.2", "localhost", "192.0.2.1"] {
            assert!(read(&certificate(&[no_name], &[])).is_empty(), "{no_name}");
        }
    }

    #[test]
    fn at_most_eight_names_are_kept() {
        let many = ["a.example"; 20];
        assert_eq!(read(&certificate(&[], &many)).len(), 8);
    }

    #[test]
    fn cut_and_flipped_certificates_never_panic() {
        let bytes = certificate(&["cn.example"], &["www.example.com", "*.example.net"]);
        for end in 0..bytes.len() {
            names(&bytes[..end]);
            let mut flipped = bytes.clone();
            for bit in 0..8 {
                flipped[end] ^= 1 << bit;
                names(&flipped);
            }
        }
    }
}
