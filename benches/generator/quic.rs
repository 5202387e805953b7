//! QUIC Initials of a client, encrypted as RFC 9001, 5.2, RFC 9369, 3.3 and draft-ietf-quic-tls-29,
//! 5.2 have it.

use ring::aead::quic::{AES_128 as MASK_AES_128, HeaderProtectionKey};
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};

/// A version of QUIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// RFC 9000.
    V1,
    /// RFC 9369.
    V2,
    /// The draft that browsers spoke longest.
    Draft29,
    /// A version reserved for exercise (RFC 9000, 15), with the keys of version 1.
    Greased,
}

impl Version {
    fn number(self) -> u32 {
        match self {
            Version::V1 => 0x0000_0001,
            Version::V2 => 0x6b33_43cf,
            Version::Draft29 => 0xff00_001d,
            Version::Greased => 0x1a2a_3a4a,
        }
    }

    /// The first byte of an Initial with a packet number of four bytes, unprotected.
    fn first_byte(self) -> u8 {
        match self {
            Version::V1 | Version::Draft29 | Version::Greased => 0xc3,
            Version::V2 => 0xd3,
        }
    }

    fn salt(self) -> [u8; 20] {
        match self {
            Version::V1 | Version::Greased => [
                0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8,
                0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a,
            ],
            Version::Draft29 => [
                0xaf, 0xbf, 0xec, 0x28, 0x99, 0x93, 0xd2, 0x4c, 0x9e, 0x97, 0x86, 0xf1, 0x9c, 0x61,
                0x11, 0xe0, 0x43, 0x90, 0xa8, 0x99,
            ],
            Version::V2 => [
                0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26,
                0x9d, 0xcb, 0xf9, 0xbd, 0x2e, 0xd9,
            ],
        }
    }

    fn label(self, what: &str) -> String {
        match self {
            Version::V1 | Version::Draft29 | Version::Greased => format!("quic {what}"),
            Version::V2 => format!("quicv2 {what}"),
        }
    }
}

/// The length of a datagram with an Initial (RFC 9000, 14.1).
pub const DATAGRAM_LENGTH: usize = 1200;
/// Bytes of the hello that fit one Initial beside the headers.
const CRYPTO_LENGTH_MAX: usize = 1100;
const TAG_LENGTH: usize = 16;

/// A client's Initials that carry `hello`: as many datagrams as it takes.
pub fn initials(version: Version, connection_id: &[u8], hello: &[u8]) -> Vec<Vec<u8>> {
    let pieces = hello.chunks(CRYPTO_LENGTH_MAX).enumerate();
    pieces
        .map(|(number, piece)| {
            let offset = (number * CRYPTO_LENGTH_MAX) as u64;
            initial(version, connection_id, number as u32, &crypto_frame(offset, piece))
        })
        .collect()
}

/// A CRYPTO frame (RFC 9000, 19.6).
pub fn crypto_frame(offset: u64, piece: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x06];
    frame.extend((0x8000_0000 | offset as u32).to_be_bytes());
    frame.extend((0x4000 | piece.len() as u16).to_be_bytes());
    frame.extend_from_slice(piece);
    frame
}

/// A datagram of full length with one Initial that holds `frames` and padding, of a client that has
/// no connection id of its own.
pub fn initial(version: Version, connection_id: &[u8], number: u32, frames: &[u8]) -> Vec<u8> {
    initial_from(&[], version, connection_id, number, frames)
}

/// Such a datagram, of a client that wants to be addressed by the id `source`.
pub fn initial_from(
    source: &[u8],
    version: Version,
    connection_id: &[u8],
    number: u32,
    frames: &[u8],
) -> Vec<u8> {
    let keys = Keys::new(version, connection_id);
    let mut header = vec![version.first_byte()];
    header.extend(version.number().to_be_bytes());
    header.push(connection_id.len() as u8);
    header.extend_from_slice(connection_id);
    header.push(source.len() as u8);
    header.extend_from_slice(source);
    // No token.
    header.push(0);
    let length = DATAGRAM_LENGTH - header.len() - 2;
    header.extend((0x4000 | length as u16).to_be_bytes());
    let number_at = header.len();
    header.extend(number.to_be_bytes());
    let mut sealed = frames.to_vec();
    sealed.resize(DATAGRAM_LENGTH - header.len() - TAG_LENGTH, 0);
    keys.seal(number, &header, &mut sealed);
    let mut packet = header;
    packet.extend(sealed);
    keys.protect_header(&mut packet, number_at);
    packet
}

/// A datagram of a connection that is open: a short header, and what nobody can read.
pub fn short(connection_id: &[u8], body: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x41];
    packet.extend_from_slice(connection_id);
    packet.extend_from_slice(body);
    packet
}

/// A client's keys for Initials.
struct Keys {
    seal: LessSafeKey,
    nonce: [u8; 12],
    mask: HeaderProtectionKey,
}

impl Keys {
    fn new(version: Version, connection_id: &[u8]) -> Keys {
        let initial = Salt::new(HKDF_SHA256, &version.salt()).extract(connection_id);
        let secret: [u8; 32] = expand(&initial, "client in");
        let secret = Prk::new_less_safe(HKDF_SHA256, &secret);
        let key: [u8; 16] = expand(&secret, &version.label("key"));
        let mask: [u8; 16] = expand(&secret, &version.label("hp"));
        Keys {
            seal: LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).expect("16 bytes")),
            nonce: expand(&secret, &version.label("iv")),
            mask: HeaderProtectionKey::new(&MASK_AES_128, &mask).expect("16 bytes"),
        }
    }

    fn seal(&self, number: u32, header: &[u8], plain: &mut Vec<u8>) {
        let mut nonce = self.nonce;
        for (byte, number) in nonce[8..].iter_mut().zip(number.to_be_bytes()) {
            *byte ^= number;
        }
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.seal
            .seal_in_place_append_tag(nonce, Aad::from(header), plain)
            .expect("short enough to seal");
    }

    /// RFC 9001, 5.4.1, for a packet number of four bytes.
    fn protect_header(&self, packet: &mut [u8], number_at: usize) {
        let sample = &packet[number_at + 4..number_at + 20];
        let mask = self.mask.new_mask(sample).expect("16 bytes");
        packet[0] ^= mask[0] & 0x0f;
        for (byte, mask) in packet[number_at..number_at + 4].iter_mut().zip(&mask[1..]) {
            *byte ^= mask;
        }
    }
}

/// HKDF-Expand-Label without context (RFC 8446, 7.1).
fn expand<const N: usize>(secret: &Prk, label: &str) -> [u8; N] {
    struct Length(usize);
    impl KeyType for Length {
        fn len(&self) -> usize {
            self.0
        }
    }
    let label = format!("tls13 {label}");
    let info = [&(N as u16).to_be_bytes()[..], &[label.len() as u8], label.as_bytes(), &[0]];
    let mut out = [0; N];
    let expanded = secret.expand(&info, Length(N)).expect("a short output");
    expanded.fill(&mut out).expect("as long as asked for");
    out
}
