//! DTLS 1.0 to 1.3 (RFC 9147, 4 and 5): the hellos, which are in the clear.
//!
//! A hello that offers keys for SRTP (RFC 5764, 4.1) is that of a call; one with a server name has
//! its name. Any other may be a VPN's or a sensor's, and tells nothing. A hello in several datagrams
//! is read as far as the first of them goes.

use super::super::tunnel::Datagram;
use super::{MediaKind, Told};
use crate::dissect::reader::Reader;
use crate::dissect::tls_hello;

const HANDSHAKE: u8 = 22;
/// DTLS 1.0 and 1.2, which 1.3 claims to be, too: 1.x as its complement.
const VERSIONS: [[u8; 2]; 2] = [[0xfe, 0xff], [0xfe, 0xfd]];
/// Epoch and sequence number.
const NUMBERS_LENGTH: usize = 8;
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;

/// What the hello at the beginning of a datagram tells.
pub(super) fn told(datagram: &Datagram<'_>) -> Option<Told> {
    let (kind, body) = hello(datagram)?;
    if kind == SERVER_HELLO {
        let is_media = tls_hello::datagram_server_hello_has_media(body);
        return is_media.then_some(Told::Media(MediaKind::Dtls));
    }
    let hello = tls_hello::datagram_client_hello(body);
    if hello.server_name.is_some() {
        return Some(Told::Hello(Box::new(hello)));
    }
    hello.offers_media.then_some(Told::Media(MediaKind::Dtls))
}

/// Kind and body of the hello at the beginning of a datagram, as far as they are there.
fn hello<'a>(datagram: &Datagram<'a>) -> Option<(u8, &'a [u8])> {
    let mut reader = Reader::new(datagram.bytes);
    let kind = reader.u8()?;
    let version = reader.take(2)?;
    let numbers = reader.take(NUMBERS_LENGTH)?;
    let length = usize::from(reader.u16()?);
    // What is not encrypted has epoch 0.
    let is_record = kind == HANDSHAKE
        && VERSIONS.iter().any(|known| known == version)
        && numbers.starts_with(&[0, 0])
        && datagram.length >= 13 + length;
    if !is_record {
        return None;
    }
    let mut message = Reader::new(reader.rest().get(..length).unwrap_or(reader.rest()));
    let kind = message.u8()?;
    let whole = message.u24()?;
    let (_number, offset, fragment) = (message.u16()?, message.u24()?, message.u24()?);
    let is_first = matches!(kind, CLIENT_HELLO | SERVER_HELLO) && offset == 0 && fragment <= whole;
    is_first.then(|| (kind, message.rest().get(..fragment).unwrap_or(message.rest())))
}

#[cfg(test)]
mod tests {
    use super::super::super::tunnel::testing::whole;
    use super::*;

    /// A record with a hello of this kind, whose body ends with these extensions.
    fn record(kind: u8, extensions: &[u8]) -> Vec<u8> {
        let mut body = vec![0xfe, 0xfd];
        body.extend([7; 32]);
        body.push(0); // Session id.
        if kind == CLIENT_HELLO {
            body.extend([2, 9, 9]); // Cookie.
            body.extend([0, 2, 0xc0, 0x2b, 1, 0]);
        } else {
            body.extend([0xc0, 0x2b, 0]);
        }
        body.extend((extensions.len() as u16).to_be_bytes());
        body.extend(extensions);
        let length = body.len() as u16;
        let mut bytes = vec![HANDSHAKE, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 1];
        bytes.extend((length + 12).to_be_bytes());
        bytes.extend([kind, 0]);
        bytes.extend(length.to_be_bytes());
        bytes.extend([0, 0, 0, 0, 0, 0]);
        bytes.extend(length.to_be_bytes());
        bytes.extend(body);
        bytes
    }

    const USE_SRTP: &[u8] = &[0, 14, 0, 5, 0, 2, 0, 1, 0];
    const GROUPS: &[u8] = &[0, 10, 0, 4, 0, 2, 0, 29];
    const NAME: &[u8] = b"\0\0\0\x13\0\x11\0\0\x0ecall.a.example";

    #[test]
    fn keys_for_media_tell() {
        let media = Some(Told::Media(MediaKind::Dtls));
        for kind in [CLIENT_HELLO, SERVER_HELLO] {
            let hello = record(kind, &[GROUPS, USE_SRTP].concat());
            assert_eq!(told(&whole(&hello)), media);
            assert_eq!(told(&whole(&record(kind, GROUPS))), None);
            for end in 0..hello.len() {
                assert_eq!(told(&whole(&hello[..end])), None, "{end}");
            }
            for (at, value) in [(0, 23), (1, 3), (2, 0), (4, 1), (13, 3), (21, 1)] {
                let mut other = hello.clone();
                other[at] = value;
                assert_eq!(told(&whole(&other)), None, "{at}");
            }
        }
    }

    #[test]
    fn a_name_is_read() {
        let hello = record(CLIENT_HELLO, &[NAME, USE_SRTP].concat());
        let Some(Told::Hello(read)) = told(&whole(&hello)) else { panic!("no hello") };
        assert_eq!(read.server_name.as_deref(), Some("call.a.example"));
        assert!(read.offers_media);
    }

    #[test]
    fn of_a_hello_in_pieces_the_first_is_read() {
        let mut hello = record(CLIENT_HELLO, &[NAME, USE_SRTP].concat());
        hello[15] = 4; // The message is longer than its fragment.
        assert!(matches!(told(&whole(&hello)), Some(Told::Hello(_))));
    }
}
