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
use crate::observation::{ALPN_LENGTH_MAX, ClientHello, Ech};
use crate::stats::Counter;

/// Encrypted ClientHello (RFC 9849, 5).
const ENCRYPTED_CLIENT_HELLO: u16 = 0xfe0d;
/// The draft before it (draft-ietf-tls-esni-02 and later, until ECH).
const ENCRYPTED_SERVER_NAME: u16 = 0xffce;
/// Keys for media (RFC 5764, 4.1.1).
const USE_SRTP: u16 = 14;
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
///
/// Without a `fingerprint` to be made, JA4 stays empty: its two hashes cost more than the rest.
pub fn client_hello(handshake: &[u8], fingerprint: Option<Transport>) -> Progress<ClientHello> {
    let mut reader = Reader::new(handshake);
    let Some(message_type) = reader.u8() else { return Progress::Incomplete };
    if message_type != u8::from(TlsHandshakeType::ClientHello) {
        return Progress::Reject(None);
    }
    let Some(length) = reader.u24() else { return Progress::Incomplete };
    if length > BODY_LENGTH_MAX {
        return Progress::Reject(Some(Counter::TlsMalformed));
    }
    let Some(body) = reader.take(length) else { return Progress::Incomplete };
    let mut walk = Walk::default();
    let whole = walk.body(body);
    if whole.is_some() {
        walk.hello.shape = Some(ja4::shape(&walk.parts));
        if let Some(transport) = fingerprint {
            walk.hello.ja4 = ja4::fingerprint(transport, &walk.parts);
        }
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
    let mut walk = Walk::default();
    let _whole = walk.body(body);
    walk.hello.server_name.is_some().then_some(walk.hello)
}

/// What can be read of the body of a ClientHello of DTLS (RFC 9147, 5.3), which may be cut. Without
/// fingerprint.
pub(crate) fn datagram_client_hello(body: &[u8]) -> ClientHello {
    let mut walk = Walk { is_datagram: true, ..Walk::default() };
    let _whole = walk.body(body);
    walk.hello
}

/// Whether the body of a ServerHello of DTLS 1.2 or below (RFC 5246, 7.4.1.3) takes up keys for
/// media.
pub(crate) fn datagram_server_hello_has_media(body: &[u8]) -> bool {
    let extensions = || {
        let mut reader = Reader::new(body);
        reader.take(VERSION_AND_RANDOM_LENGTH)?;
        reader.vector8()?; // session_id
        reader.take(3)?; // cipher_suite and compression_method
        reader.vector16_or_rest()
    };
    let mut rest = Reader::new(extensions().unwrap_or_default());
    while let (Some(kind), Some(_)) = (rest.u16(), rest.vector16()) {
        if kind == USE_SRTP {
            return true;
        }
    }
    false
}

/// What has been read so far.
#[derive(Default)]
struct Walk<'a> {
    hello: ClientHello,
    parts: ja4::Parts<'a>,
    /// Whether supported_versions was there, so that the legacy version no longer counts.
    version_known: bool,
    /// Whether it is DTLS, whose hello has a cookie besides.
    is_datagram: bool,
}

impl<'a> Walk<'a> {
    /// Walks a body; `None` if it contradicts itself or ends early.
    fn body(&mut self, body: &'a [u8]) -> Option<()> {
        let mut reader = Reader::new(body);
        let mut start = Reader::new(reader.take(VERSION_AND_RANDOM_LENGTH)?);
        self.parts.version = start.u16()?;
        self.hello.random = *start.rest().first_chunk()?;
        reader.vector8()?; // legacy_session_id
        if self.is_datagram {
            reader.vector8()?; // legacy_cookie
        }
        self.parts.cipher_suites = reader.vector16()?;
        reader.vector8()?; // legacy_compression_methods
        if reader.rest().is_empty() {
            return Some(()); // SSL 3 and TLS 1.0 allow a hello without extensions.
        }
        let length = usize::from(reader.u16()?);
        let whole = length <= reader.rest().len();
        let mut extensions = Reader::new(reader.take(length.min(reader.rest().len()))?);
        while !extensions.rest().is_empty() {
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
                    Reader::new(content).vector16_or_rest().unwrap_or_default();
            }
            TlsExtensionType(ENCRYPTED_CLIENT_HELLO) => {
                // type, HpkeSymmetricCipherSuite (two bytes each of KDF and AEAD), config_id
                let config_id = match *content {
                    [ECH_OUTER, _, _, _, _, config_id, ..] => Some(config_id),
                    _ => None,
                };
                self.hello.ech = Some(Ech { config_id });
            }
            TlsExtensionType(ENCRYPTED_SERVER_NAME) => self.hello.esni = true,
            TlsExtensionType(USE_SRTP) => self.hello.offers_media = true,
            _ => {}
        }
    }

    /// ServerNameList (RFC 6066, 3); the first host_name counts.
    fn server_name(&mut self, content: &[u8]) {
        if self.hello.server_name.is_some() {
            return;
        }
        let mut names = Reader::new(Reader::new(content).vector16_or_rest().unwrap_or_default());
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
        let mut names = Reader::new(Reader::new(content).vector16_or_rest().unwrap_or_default());
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
        let mut list = Reader::new(Reader::new(content).vector8().unwrap_or_default());
        while let Some(version) = list.u16() {
            if !ja4::is_grease(version) && (!self.version_known || version > self.parts.version) {
                self.parts.version = version;
                self.version_known = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tls_parser::{
        TlsExtension, parse_tls_client_hello_extension, parse_tls_handshake_client_hello,
    };

    use super::*;

    fn bytes_of(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        let byte =
            |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        digits.chunks(2).map(byte).collect()
    }

    /// TLS 1.2 (nDPI's capture discord.pcap).
    const DISCORD: &str = "010000a70303f1f318c3e72492ca306f3789eaff28710f00dcc8987c96a6ad43679b79\
        151b0a000018c02bc02ccca9c02fc030cca8c013c014009c009d002f003501000066ff0100010000000010000e\
        00000b646973636f72642e636f6d0017000000230000000d001400120403080404010503080505010806060102\
        010005000501000000000010000e000c02683208687474702f312e31000b00020100000a00080006001d00170018";

    /// TLS 1.3 with GREASE, a mail client (nDPI's capture imaps.pcap); padding follows.
    const GREASED: &str = "010001fc0303c924d39803414f2f5f7f8a919063441abd44e82206d474ecadd823de6ec\
        7b55120b621899492ea03df960b18092b47d9445e9a9616984c831f94191f10ab2872d900368a8a130113021303\
        c02cc02bcca9c030c02fcca8c024c023c00ac009c028c027c014c013009d009c003d003c0035002fc008c012000\
        a0100017d5a5a00000000001f001d00001a696d61702e617369612e7365637572657365727665722e6e65740017\
        0000ff01000100000a000c000a5a5a001d001700180019000b00020100000500050100000000000d00180016040\
        30804040105030203080508050501080606010201001200000033002b00295a5a000100001d002096ca556f2fc7\
        59a1d54ae8b4964e5ca7bf1207d92eedb1eab5a3a905fa3bf30c002d00020101002b000b0adada0304030303020\
        3014a4a000100001500c1";

    /// With encrypted SNI and without a plain one (nDPI's capture encrypted_sni.pcap); its content
    /// and two more extensions follow.
    const ENCRYPTED: &str = "010002c3030393c0cf3a4c4759698671efb42229e2da394c88e853d2f89dcbfb44b73\
        00df53820edad7cb60249a20b9102f1a5c7f0d2ace531b9a1f4c6be5b2621651c4c594e860024130113031302c0\
        2bc02fcca9cca8c02cc030c00ac009c013c01400330039002f0035000a0100025600170000ff01000100000a000\
        e000c001d00170018001901000101000b00020100002300000010000e000c02683208687474702f312e31000500\
        0501000000000033006b0069001d0020f42f955cb5f4a5401872fc113259b605f8cc14bf80d876beb5e1de626f1\
        7b3300017004104a84ffb98ff888a8a50bb1512fd7190b760228c7073307911529f4eaff468b6883aaa94c76e79\
        1a81882b368719d61e5af806d854ec727b729ce8cc2a21fed713002b0009080304030303020301000d001800160\
        4030503060308040805080604010501060102030201002d00020101ffce016e";

    fn greased() -> Vec<u8> {
        let mut bytes = bytes_of(GREASED);
        bytes.resize(4 + 0x1fc, 0);
        bytes
    }

    fn complete(handshake: &[u8], transport: Option<Transport>) -> ClientHello {
        match client_hello(handshake, transport) {
            Progress::Complete(hello) => hello,
            other => panic!("{other:?}"),
        }
    }

    fn name(text: &str) -> Option<Hostname> {
        Some(Hostname::from_wire(text.as_bytes()).unwrap())
    }

    /// One extension.
    fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
        [&kind.to_be_bytes()[..], &(content.len() as u16).to_be_bytes(), content].concat()
    }

    fn server_name(text: &str) -> Vec<u8> {
        let length = text.len() as u16;
        let list = [&(length + 3).to_be_bytes()[..], &[0], &length.to_be_bytes(), text.as_bytes()];
        extension(0, &list.concat())
    }

    /// A hello with these extensions.
    fn hello(extensions: &[Vec<u8>]) -> Vec<u8> {
        let extensions = extensions.concat();
        let body = [
            &[3, 3][..],
            &[7; 32],
            &[0],
            &[0, 4, 0x13, 0x01, 0x13, 0x02],
            &[1, 0],
            &(extensions.len() as u16).to_be_bytes(),
            &extensions,
        ]
        .concat();
        [&[1, 0][..], &(body.len() as u16).to_be_bytes(), &body].concat()
    }

    /// Fingerprints as nDPI's published results for these captures give them.
    #[test]
    fn hellos_of_real_clients() {
        let discord = complete(&bytes_of(DISCORD), Some(Transport::Tcp));
        assert_eq!(discord.server_name, name("discord.com"));
        assert_eq!(discord.ja4.as_str(), "t12d1209h2_d34a8e72043a_b39be8c56a14");
        assert_eq!(
            discord.alpn.iter().map(|text| text.as_str()).collect::<Vec<_>>(),
            ["h2", "http/1.1"]
        );

        let greased = complete(&greased(), Some(Transport::Tcp));
        assert_eq!(greased.server_name, name("imap.asia.secureserver.net"));
        assert_eq!(greased.ja4.as_str(), "t13d261200_2802a3db6c62_845d286b0d67");

        let mut encrypted = bytes_of(ENCRYPTED);
        encrypted.resize(encrypted.len() + 0x16e, 0);
        encrypted.extend(extension(0x001c, &[0x40, 1]));
        let encrypted = complete(&encrypted, Some(Transport::Tcp));
        assert!(encrypted.esni && encrypted.server_name.is_none());
        assert_eq!(encrypted.ja4.as_str(), "t13i1813h2_29a2cd9e9f10_0d6ff543c596");
    }

    #[test]
    fn encrypted_client_hello_tells_its_config() {
        let outer: &[u8] = &[0, 0, 1, 0, 1, 209, 0, 0, 0, 0];
        let shown = |ech| {
            let hello = hello(&[server_name("cloudflare-ech.com"), ech]);
            complete(&hello, Some(Transport::Tcp)).ech
        };
        let of_config = |config_id| Some(Ech { config_id });
        assert_eq!(shown(extension(0xfe0d, outer)), of_config(Some(209)));
        // The inner form, a form that nobody knows, and what is too short for a config id.
        for content in [&[1][..], &[2, 0, 1, 0, 1, 209], &[], &outer[..5]] {
            assert_eq!(shown(extension(0xfe0d, content)), of_config(None), "{content:?}");
        }
        assert_eq!(shown(extension(0xfe0c, outer)), None);
    }

    #[test]
    fn a_malformed_neighbour_does_not_cost_the_name() {
        let protocols = extension(16, &[0, 255, 2, b'h', b'2']);
        let with_name_last = hello(&[protocols, server_name("a.example")]);
        assert_eq!(complete(&with_name_last, Some(Transport::Tcp)).server_name, name("a.example"));

        // The last extension claims more than there is.
        let mut overlong = hello(&[server_name("a.example"), extension(21, &[0; 4])]);
        let claimed = overlong.len() - 5;
        overlong[claimed] = 200;
        let found = complete(&overlong, Some(Transport::Tcp));
        assert_eq!((found.server_name, found.ja4.as_str()), (name("a.example"), ""));

        let mut nameless = hello(&[extension(21, &[0; 4])]);
        let claimed = nameless.len() - 5;
        nameless[claimed] = 200;
        let refused = Progress::Reject(Some(Counter::TlsMalformed));
        assert_eq!(client_hello(&nameless, Some(Transport::Tcp)), refused);
    }

    #[test]
    fn a_bad_name_is_told_apart_from_none() {
        let bad = complete(&hello(&[server_name("a b")]), Some(Transport::Quic));
        assert_eq!(bad.bad_name, Some(crate::hostname::NotAHostname::Character));
        assert!(bad.ja4.starts_with("q12d"));
        let none = complete(&hello(&[extension(0, &[])]), Some(Transport::Quic));
        assert_eq!((none.bad_name, none.server_name), (None, None));
    }

    #[test]
    fn every_prefix_is_incomplete_and_names_once_the_name_is_there() {
        let bytes = greased();
        let name_end = bytes.windows(4).position(|window| window == b".net").unwrap() + 4;
        for end in 0..bytes.len() {
            let prefix = &bytes[..end];
            assert_eq!(client_hello(prefix, Some(Transport::Tcp)), Progress::Incomplete, "{end}");
            assert_eq!(client_hello_prefix(prefix).is_some(), end >= name_end, "{end}");
        }
        assert_eq!(client_hello(&[2, 0, 0, 1, 0], Some(Transport::Tcp)), Progress::Reject(None));
    }

    /// The server name as tls-parser reads it; `None` unless it reads the whole hello.
    fn by_tls_parser(handshake: &[u8]) -> Option<Option<Hostname>> {
        let length = usize::from(u16::from_be_bytes([handshake[2], handshake[3]]));
        let body = handshake.get(4..4 + length)?;
        let (rest, contents) = parse_tls_handshake_client_hello(body).ok()?;
        if !rest.is_empty() {
            return None;
        }
        let mut extensions = contents.ext.unwrap_or_default();
        let mut name = None;
        while !extensions.is_empty() {
            let (rest, extension) = parse_tls_client_hello_extension(extensions).ok()?;
            if let TlsExtension::SNI(names) = extension {
                let first = names.iter().find(|(kind, _)| kind.0 == HOST_NAME);
                name = name.or(first.and_then(|(_, text)| Hostname::from_wire(text).ok()));
            }
            extensions = rest;
        }
        Some(name)
    }

    proptest! {
        #[test]
        fn tls_parser_agrees_where_both_accept(
            which in 0..3usize,
            flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        ) {
            let mut bytes = match which {
                0 => bytes_of(DISCORD),
                1 => greased(),
                _ => hello(&[extension(16, b"\0\x03\x02h2"), server_name("b.example")]),
            };
            for (index, value) in flips {
                let at = index.index(bytes.len() - 4) + 4;
                bytes[at] = value;
            }
            let ours = client_hello(&bytes, Some(Transport::Tcp));
            if let (Progress::Complete(ours), Some(theirs)) = (ours, by_tls_parser(&bytes)) {
                prop_assert_eq!(ours.server_name, theirs);
            }
        }

        #[test]
        fn any_extensions_are_survived(
            kinds in prop::collection::vec(
                (prop::sample::select(vec![0u16, 10, 13, 16, 43, 0xfe0d, 0xffce, 0x0a0a]),
                 prop::collection::vec(any::<u8>(), 0..40)),
                0..300,
            ),
        ) {
            let extensions: Vec<_> =
                kinds.iter().map(|(kind, content)| extension(*kind, content)).collect();
            let bytes = hello(&extensions);
            prop_assert!(client_hello(&bytes, Some(Transport::Quic)) != Progress::Incomplete);
            client_hello_prefix(&bytes);
        }
    }
}
