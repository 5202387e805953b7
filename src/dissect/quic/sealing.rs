//! Builds a client's datagrams: for tests, benches and fuzz targets only.
//!
//! Shares nothing with the code that opens them. HKDF and the label structure are written out
//! here once more, so that a mistake would have to be made twice.

use ring::{aead, hmac};

pub(crate) const V1: u32 = 0x0000_0001;
pub(crate) const V2: u32 = 0x6b33_43cf;
pub(crate) const DRAFT_29: u32 = 0xff00_001d;
pub(crate) const GOOGLE_Q050: u32 = 0x5130_3530;

/// The protection of one version's Initials.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Version {
    /// As it stands in the header.
    pub(crate) number: u32,
    /// Where the salt and the labels are those of another version.
    pub(crate) inside: u32,
}

impl Version {
    pub(crate) fn plain(number: u32) -> Version {
        Version { number, inside: number }
    }

    fn salt(self) -> [u8; 20] {
        let text = match self.inside {
            V1 => "38762cf7f55934b34d179ae6a4c80cadccbb7f0a",
            V2 => "0dede3def700a6db819381be6e269dcbf9bd2ed9",
            DRAFT_29 => "afbfec289993d24c9e9786f19c6111e04390a899",
            GOOGLE_Q050 => "504574efd066fe2f9d945cfcdbd3a7f0d3b56b45",
            other => panic!("no salt for version {other:#x}"),
        };
        unhex(text).try_into().unwrap()
    }

    fn initial_type(self) -> u8 {
        if self.inside == V2 { 0x10 } else { 0 }
    }

    fn label(self, name: &str) -> String {
        if self.inside == V2 { format!("quicv2 {name}") } else { format!("quic {name}") }
    }
}

/// One Initial before its protection.
#[derive(Clone, Debug)]
pub(crate) struct Plain<'a> {
    pub(crate) version: Version,
    /// The id from which the keys are made: the client's first one, or that of a Retry.
    pub(crate) key_id: &'a [u8],
    pub(crate) destination: &'a [u8],
    pub(crate) source: &'a [u8],
    pub(crate) token: &'a [u8],
    pub(crate) number: u32,
    /// Bytes of the packet number, 1 to 4.
    pub(crate) number_length: usize,
    pub(crate) frames: Vec<u8>,
    /// `client in`, or `server in` for a server's Initial.
    pub(crate) side: &'static str,
    /// The second bit of the first byte, which clients may grease (RFC 9287).
    pub(crate) fixed_bit: bool,
}

impl<'a> Plain<'a> {
    /// A client's Initial of version 1, number 0, with these frames.
    pub(crate) fn new(id: &'a [u8], frames: Vec<u8>) -> Plain<'a> {
        Plain {
            version: Version::plain(V1),
            key_id: id,
            destination: id,
            source: b"src",
            token: b"",
            number: 0,
            number_length: 1,
            frames,
            side: "client in",
            fixed_bit: true,
        }
    }

    /// The packet, its frames padded so that it has at least `length` bytes.
    pub(crate) fn seal(&self, length: usize) -> Vec<u8> {
        let form = if self.fixed_bit { 0xc0 } else { 0x80 };
        let mut packet = vec![form | self.version.initial_type() | (self.number_length - 1) as u8];
        packet.extend(self.version.number.to_be_bytes());
        for id in [self.destination, self.source] {
            packet.push(id.len() as u8);
            packet.extend(id);
        }
        packet.extend(varint(self.token.len() as u64));
        packet.extend(self.token);
        let mut payload = self.frames.clone();
        let around = packet.len() + 2 + self.number_length + aead::AES_128_GCM.tag_len();
        payload.resize(payload.len().max(length.saturating_sub(around)).max(4), 0);
        let rest = self.number_length + payload.len() + aead::AES_128_GCM.tag_len();
        packet.extend((0x4000 | rest as u16).to_be_bytes());
        let number_at = packet.len();
        packet.extend(&self.number.to_be_bytes()[4 - self.number_length..]);

        let secret = extract(&self.version.salt(), self.key_id);
        let client = expand_label(&secret, self.side, 32);
        let key = expand_label(&client, &self.version.label("key"), 16);
        let mut nonce: [u8; 12] =
            expand_label(&client, &self.version.label("iv"), 12).try_into().unwrap();
        for (byte, number) in nonce[8..].iter_mut().zip(self.number.to_be_bytes()) {
            *byte ^= number;
        }
        let key = aead::UnboundKey::new(&aead::AES_128_GCM, &key).unwrap();
        aead::LessSafeKey::new(key)
            .seal_in_place_append_tag(
                aead::Nonce::assume_unique_for_key(nonce),
                aead::Aad::from(&packet),
                &mut payload,
            )
            .unwrap();
        packet.extend(payload);

        let header_key = expand_label(&client, &self.version.label("hp"), 16);
        let header_key =
            aead::quic::HeaderProtectionKey::new(&aead::quic::AES_128, &header_key).unwrap();
        let mask = header_key.new_mask(&packet[number_at + 4..number_at + 20]).unwrap();
        packet[0] ^= mask[0] & 0x0f;
        for (byte, mask) in packet[number_at..][..self.number_length].iter_mut().zip(&mask[1..]) {
            *byte ^= mask;
        }
        packet
    }
}

/// A CRYPTO frame with these bytes of the handshake.
pub(crate) fn crypto_frame(offset: usize, data: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x06];
    frame.extend(varint(offset as u64));
    frame.extend(varint(data.len() as u64));
    frame.extend(data);
    frame
}

/// A ClientHello for a server name, made longer by an extension of `filling` bytes in front of
/// the name, as a post-quantum key share does.
pub(crate) fn client_hello(server_name: &str, filling: usize) -> Vec<u8> {
    let mut extensions = Vec::new();
    if filling > 0 {
        extensions.extend(51_u16.to_be_bytes());
        extensions.extend((filling as u16).to_be_bytes());
        extensions.extend((0..filling).map(|index| index as u8));
    }
    let name = server_name.as_bytes();
    extensions.extend(0_u16.to_be_bytes());
    extensions.extend((name.len() as u16 + 5).to_be_bytes());
    extensions.extend((name.len() as u16 + 3).to_be_bytes());
    extensions.push(0);
    extensions.extend((name.len() as u16).to_be_bytes());
    extensions.extend(name);

    let mut body = vec![3, 3];
    body.extend([7; 32]); // random
    body.push(0); // no session id
    body.extend([0, 2, 0x13, 0x01]); // one cipher suite
    body.extend([1, 0]); // no compression
    body.extend((extensions.len() as u16).to_be_bytes());
    body.extend(extensions);

    let mut message = vec![1];
    message.extend(&(body.len() as u32).to_be_bytes()[1..]);
    message.extend(body);
    message
}

/// A CHLO message of Google QUIC with a server name and one value in front of it.
pub(crate) fn google_hello(server_name: &str) -> Vec<u8> {
    let mut message = b"CHLO\x03\0\0\0".to_vec();
    let mut end = 0_u32;
    let values: [(&[u8], &[u8]); 3] =
        [(b"PAD\0", &[b'-'; 50]), (b"SNI\0", server_name.as_bytes()), (b"VER\0", b"Q043")];
    for (tag, value) in values {
        end += value.len() as u32;
        message.extend(tag);
        message.extend(end.to_le_bytes());
    }
    for (_, value) in values {
        message.extend(value);
    }
    message
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        text.chars().filter_map(|digit| digit.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn varint(value: u64) -> Vec<u8> {
    match value {
        0..0x40 => vec![value as u8],
        0x40..0x4000 => (0x4000 | value as u16).to_be_bytes().to_vec(),
        0x4000..0x4000_0000 => (0x8000_0000 | value as u32).to_be_bytes().to_vec(),
        _ => (0xc000_0000_0000_0000 | value).to_be_bytes().to_vec(),
    }
}

/// HKDF-Extract (RFC 5869, 2.2).
fn extract(salt: &[u8], input: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, salt), input).as_ref().to_vec()
}

/// HKDF-Expand-Label (RFC 8446, 7.1) for at most one hash of output.
fn expand_label(secret: &[u8], label: &str, length: usize) -> Vec<u8> {
    let mut info = (length as u16).to_be_bytes().to_vec();
    info.push(6 + label.len() as u8);
    info.extend(b"tls13 ");
    info.extend(label.as_bytes());
    info.extend([0, 1]); // no context; the first block of output
    let block = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), &info);
    block.as_ref()[..length].to_vec()
}
