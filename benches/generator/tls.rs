//! TLS ClientHellos as browsers send them (RFC 8446, 4.1.2), and the records around them.

use super::Random;

/// What a hello has.
#[derive(Clone, Debug, Default)]
pub struct Hello<'a> {
    /// server_name (RFC 6066, 3).
    pub server_name: Option<&'a str>,
    /// Application protocols offered (RFC 7301).
    pub alpn: &'a [&'a str],
    /// With a key share of X25519MLKEM768: too long for one segment.
    pub post_quantum: bool,
    /// With an outer Encrypted ClientHello of this config id (RFC 9849).
    pub ech_config_id: Option<u8>,
    /// With an encrypted name as drafts had it before ECH (draft-ietf-tls-esni-02, 4.1).
    pub esni: bool,
    /// With QUIC's transport parameters (RFC 9001, 8.2).
    pub quic: bool,
    /// With one more extension: its number and its content.
    pub extension: Option<(u16, &'a [u8])>,
}

/// The handshake message.
pub fn client_hello(hello: &Hello<'_>, random: &mut Random) -> Vec<u8> {
    let mut body = vec![0x03, 0x03];
    body.extend(random.bytes(32));
    body.extend(prefixed_1(&if hello.quic { Vec::new() } else { random.bytes(32) }));
    body.extend(prefixed_2(&[0x13, 0x01, 0x13, 0x02, 0x13, 0x03, 0xc0, 0x2b, 0xc0, 0x2f]));
    body.extend([1, 0]);
    body.extend(prefixed_2(&extensions(hello, random)));
    let mut message = vec![1];
    message.extend(&(body.len() as u32).to_be_bytes()[1..]);
    message.extend(body);
    message
}

/// Handshake bytes in records of at most `size` bytes each (RFC 8446, 5.1).
pub fn records(handshake: &[u8], size: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for piece in handshake.chunks(size) {
        bytes.extend([0x16, 0x03, 0x01]);
        bytes.extend(prefixed_2(piece));
    }
    bytes
}

/// A record of application data, as far as anybody without the key can tell.
pub fn application_data(length: usize, random: &mut Random) -> Vec<u8> {
    let mut bytes = vec![0x17, 0x03, 0x03];
    bytes.extend(prefixed_2(&random.bytes(length)));
    bytes
}

/// A ServerHello that chooses TLS 1.3, in its record.
pub fn server_hello(random: &mut Random) -> Vec<u8> {
    let mut body = vec![0x03, 0x03];
    body.extend(random.bytes(32));
    body.extend(prefixed_1(&random.bytes(32)));
    body.extend([0x13, 0x01, 0]);
    let mut inner = extension(0x002b, &[0x03, 0x04]);
    let mut share = vec![0x00, 0x1d];
    share.extend(prefixed_2(&random.bytes(32)));
    inner.extend(extension(0x0033, &share));
    body.extend(prefixed_2(&inner));
    let mut message = vec![2];
    message.extend(&(body.len() as u32).to_be_bytes()[1..]);
    message.extend(body);
    records(&message, 16_384)
}

fn extensions(hello: &Hello<'_>, random: &mut Random) -> Vec<u8> {
    let mut all = Vec::new();
    if let Some(name) = hello.server_name {
        let mut entry = vec![0];
        entry.extend(prefixed_2(name.as_bytes()));
        all.extend(extension(0x0000, &prefixed_2(&entry)));
    }
    all.extend(extension(0x000a, &prefixed_2(&[0x11, 0xec, 0x00, 0x1d, 0x00, 0x17])));
    all.extend(extension(0x000d, &prefixed_2(&[0x04, 0x03, 0x08, 0x04, 0x04, 0x01])));
    if !hello.alpn.is_empty() {
        let names: Vec<u8> =
            hello.alpn.iter().flat_map(|name| prefixed_1(name.as_bytes())).collect();
        all.extend(extension(0x0010, &prefixed_2(&names)));
    }
    all.extend(extension(0x002b, &prefixed_1(&[0x03, 0x04, 0x03, 0x03])));
    all.extend(extension(0x002d, &prefixed_1(&[1])));
    let mut shares = Vec::new();
    if hello.post_quantum {
        shares.extend([0x11, 0xec]);
        shares.extend(prefixed_2(&random.bytes(1216)));
    }
    shares.extend([0x00, 0x1d]);
    shares.extend(prefixed_2(&random.bytes(32)));
    all.extend(extension(0x0033, &prefixed_2(&shares)));
    if let Some(config_id) = hello.ech_config_id {
        let mut outer = vec![0, 0x00, 0x01, 0x00, 0x01, config_id];
        outer.extend(prefixed_2(&random.bytes(32)));
        outer.extend(prefixed_2(&random.bytes(176)));
        all.extend(extension(0xfe0d, &outer));
    }
    if hello.esni {
        // Cipher suite, key share, digest of the record, encrypted name.
        let mut encrypted = vec![0x13, 0x01, 0x00, 0x1d];
        for length in [32, 32, 292] {
            encrypted.extend(prefixed_2(&random.bytes(length)));
        }
        all.extend(extension(0xffce, &encrypted));
    }
    if hello.quic {
        all.extend(extension(0x0039, &[0x01, 0x02, 0x40, 0x64, 0x03, 0x02, 0x45, 0xc0]));
    }
    if let Some((number, content)) = hello.extension {
        all.extend(extension(number, content));
    }
    all
}

fn extension(number: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = number.to_be_bytes().to_vec();
    bytes.extend(prefixed_2(body));
    bytes
}

fn prefixed_1(body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![body.len() as u8];
    bytes.extend_from_slice(body);
    bytes
}

fn prefixed_2(body: &[u8]) -> Vec<u8> {
    let mut bytes = (body.len() as u16).to_be_bytes().to_vec();
    bytes.extend_from_slice(body);
    bytes
}
