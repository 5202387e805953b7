//! The TLS ClientHello (RFC 8446, 4.1.2): one pass over the message, no allocation.
//!
//! Assumes handshake bytes joined over records or CRYPTO frames. A neighbour that contradicts
//! itself does not cost the server name: the walk keeps what it read before, and what it can read
//! behind. It does not look at keys, tickets or any other extension than those named here.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing))]

use arrayvec::ArrayString;
use tls_parser::{TlsExtensionType, TlsHandshakeType};

use super::Progress;
use super::ja4::{self, Transport};
use super::reader::Reader;
use crate::hostname::Hostname;
use crate::observation::{ALPN_LENGTH_MAX, ClientHello};
use crate::stats::Counter;

/// Encrypted ClientHello (RFC 9849, 5).
const ENCRYPTED_CLIENT_HELLO: u16 = 0xfe0d;
/// The draft before it (draft-ietf-tls-esni-02 and later, until ECH).
const ENCRYPTED_SERVER_NAME: u16 = 0xffce;
/// ECHClientHelloType `outer`.
const ECH_OUTER: u8 = 0;
/// NameType `host_name` (RFC 6066, 3).
const HOST_NAME: u8 = 0;
/// Handshake type and length of the message.
const HEADER_LENGTH: usize = 4;
/// Legacy version and random.
const VERSION_AND_RANDOM_LENGTH: usize = 34;
/// A longer message is no ClientHello of this world: extensions end at 65,535 bytes, cipher suites
/// too.
const BODY_LENGTH_MAX: usize = 0x2_0200;

/// Reads a ClientHello: type, three bytes of length, body.
///
/// `Reject` for another handshake type (without a counter) and for a message that contradicts
/// itself before a server name was found ([`Counter::TlsMalformed`]).
pub fn client_hello(handshake: &[u8], transport: Transport) -> Progress<ClientHello> {
    let mut reader = Reader(handshake);
    let Some(message_type) = reader.u8() else { return Progress::Incomplete };
    if message_type != u8::from(TlsHandshakeType::ClientHello) {
        return Progress::Reject(None);
    }
    let Some(length) = reader.u24() else { return Progress::Incomplete };
    if length > BODY_LENGTH_MAX {
        return Progress::Reject(Some(Counter::TlsMalformed));
    }
    let Some(body) = reader.take(length) else { return Progress::Incomplete };
    let (mut walk, whole) = Walk::over(body);
    if whole.is_some() {
        walk.hello.ja4 = ja4::fingerprint(transport, &walk.parts);
    } else if walk.hello.server_name.is_none() {
        return Progress::Reject(Some(Counter::TlsMalformed));
    }
    Progress::Complete(walk.hello)
}

/// What can be read of a ClientHello whose end never comes (a cut or lost segment, a bound):
/// `None` unless its server name is whole. Without fingerprint.
pub fn client_hello_prefix(handshake: &[u8]) -> Option<ClientHello> {
    let body = handshake.get(HEADER_LENGTH..)?;
    if handshake.first() != Some(&u8::from(TlsHandshakeType::ClientHello)) {
        return None;
    }
    let (walk, _) = Walk::over(body);
    walk.hello.server_name.is_some().then_some(walk.hello)
}

/// What has been read so far.
#[derive(Default)]
struct Walk<'a> {
    hello: ClientHello,
    parts: ja4::Parts<'a>,
    /// Whether supported_versions was there, so that the legacy version no longer counts.
    version_known: bool,
}

impl<'a> Walk<'a> {
    /// Walks a body; with it `None` if the body contradicts itself or ends early.
    fn over(body: &'a [u8]) -> (Walk<'a>, Option<()>) {
        let mut walk = Walk::default();
        let whole = walk.body(body);
        (walk, whole)
    }

    fn body(&mut self, body: &'a [u8]) -> Option<()> {
        let mut reader = Reader(body);
        self.parts.version = Reader(reader.take(VERSION_AND_RANDOM_LENGTH)?).u16()?;
        reader.vector8()?; // legacy_session_id
        self.parts.cipher_suites = reader.vector16()?;
        reader.vector8()?; // legacy_compression_methods
        if reader.0.is_empty() {
            return Some(()); // SSL 3 and TLS 1.0 allow a hello without extensions.
        }
        let length = usize::from(reader.u16()?);
        let whole = length <= reader.0.len();
        let mut extensions = Reader(reader.take(length.min(reader.0.len()))?);
        while !extensions.0.is_empty() {
            let kind = extensions.u16()?;
            let content = extensions.vector16()?;
            self.parts.extensions.try_push(kind).ok()?;
            self.extension(kind, content);
        }
        whole.then_some(())
    }

    /// Takes what one extension tells. What it cannot read it leaves: the next one may be right.
    fn extension(&mut self, kind: u16, content: &'a [u8]) {
        match TlsExtensionType(kind) {
            TlsExtensionType::ServerName => self.server_name(content),
            TlsExtensionType::ApplicationLayerProtocolNegotiation => self.protocols(content),
            TlsExtensionType::SupportedVersions => self.versions(content),
            TlsExtensionType::SignatureAlgorithms => {
                self.parts.signature_algorithms =
                    Reader(content).vector16_or_rest().unwrap_or_default();
            }
            TlsExtensionType(ENCRYPTED_CLIENT_HELLO) => {
                // type, HpkeSymmetricCipherSuite (two bytes each of KDF and AEAD), config_id
                if let [ECH_OUTER, _, _, _, _, config_id, ..] = *content {
                    self.hello.ech_config_id = Some(config_id);
                }
            }
            TlsExtensionType(ENCRYPTED_SERVER_NAME) => self.hello.esni = true,
            _ => {}
        }
    }

    /// ServerNameList (RFC 6066, 3); the first host_name counts.
    fn server_name(&mut self, content: &[u8]) {
        if self.hello.server_name.is_some() {
            return;
        }
        let mut names = Reader(Reader(content).vector16_or_rest().unwrap_or_default());
        while let (Some(kind), Some(name)) = (names.u8(), names.vector16()) {
            if kind == HOST_NAME {
                match Hostname::from_wire(name) {
                    Ok(name) => self.hello.server_name = Some(name),
                    Err(why) => self.hello.bad_name = Some(why),
                }
                return;
            }
        }
    }

    /// ProtocolNameList (RFC 7301, 3.1). Names that are not visible ASCII (GREASE) are left out.
    fn protocols(&mut self, content: &'a [u8]) {
        let mut names = Reader(Reader(content).vector16_or_rest().unwrap_or_default());
        while let Some(name) = names.vector8() {
            self.parts.first_protocol.get_or_insert(name);
            if self.hello.alpn.is_full() {
                return;
            }
            if !name.is_empty() && name.iter().all(u8::is_ascii_graphic) {
                let kept = name.iter().take(ALPN_LENGTH_MAX).map(|&byte| char::from(byte));
                let mut text = ArrayString::new();
                kept.for_each(|character| text.push(character));
                self.hello.alpn.push(text);
            }
        }
    }

    /// SupportedVersions (RFC 8446, 4.2.1): the highest that is not GREASE.
    fn versions(&mut self, content: &[u8]) {
        let mut list = Reader(Reader(content).vector8().unwrap_or_default());
        while let Some(version) = list.u16() {
            if !ja4::is_grease(version) && (!self.version_known || version > self.parts.version) {
                self.parts.version = version;
                self.version_known = true;
            }
        }
    }
}
