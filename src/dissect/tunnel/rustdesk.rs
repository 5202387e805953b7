//! RustDesk, by what it says to its rendezvous server and to its relay (`rendezvous.proto` in the sources
//! of its `hbb_common`), also where these are somebody's own. A client tells the rendezvous server
//! every few seconds that it is there, over UDP, with its id; both ends of a session name the same UUID
//! to the relay, over TCP. What follows there is encrypted.

use super::Datagram;

/// Field numbers in the union of messages, with the wire type of what has a length.
const REGISTER_PEER: u8 = 6 << 3 | 2;
const REQUEST_RELAY: [u8; 2] = [18 << 3 & 0x7f | 2 | 0x80, 1];
/// The first and the second field of a message, likewise; the second one as a number.
const FIELD_1: u8 = 1 << 3 | 2;
const FIELD_2: u8 = 2 << 3 | 2;
const FIELD_2_NUMBER: u8 = 2 << 3;
/// An id: digits, or a name that somebody chose.
const ID_LENGTHS: std::ops::RangeInclusive<usize> = 6..=16;
/// A number of at most 32 bits, as it is packed.
const NUMBER_LENGTH_MAX: usize = 5;
const UUID_LENGTH: usize = 36;
const UUID_DASHES: [usize; 4] = [8, 13, 18, 23];

/// Whether a datagram registers a client.
pub(super) fn is_registration(datagram: &Datagram<'_>) -> bool {
    let [REGISTER_PEER, length, rest @ ..] = datagram.bytes else { return false };
    if usize::from(*length) != rest.len() || !datagram.is_whole() {
        return false;
    }
    let Some((id, rest)) = field(FIELD_1, rest) else { return false };
    is_id(id) && is_number(rest)
}

/// Whether a stream begins with a request for a relay, in its frame: a length of one or of two bytes,
/// the number of further bytes of it in the lowest two bits.
pub(crate) fn is_relay_request(bytes: &[u8]) -> bool {
    let (length, message) = match *bytes {
        [first, ref rest @ ..] if first & 3 == 0 => (usize::from(first >> 2), rest),
        [first, second, ref rest @ ..] if first & 3 == 1 => {
            (usize::from(u16::from_le_bytes([first, second]) >> 2), rest)
        }
        _ => return false,
    };
    let Some(message) = message.strip_prefix(&REQUEST_RELAY) else { return false };
    // One byte says how long it is: the request is shorter than 128 bytes with a usual key, else two.
    let message = match *message {
        [short @ 0..0x80, ref rest @ ..] if usize::from(short) + 3 == length => rest,
        [low @ 0x80..=0xff, high, ref rest @ ..]
            if (usize::from(high) << 7 | usize::from(low & 0x7f)) + 4 == length =>
        {
            rest
        }
        _ => return false,
    };
    let behind_id = field(FIELD_1, message).map_or(message, |(_, rest)| rest);
    field(FIELD_2, behind_id).is_some_and(|(uuid, _)| is_uuid(uuid))
}

/// A field with a length, and what follows it.
fn field(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    match bytes {
        [first, length, rest @ ..] if *first == tag => rest.split_at_checked(usize::from(*length)),
        _ => None,
    }
}

fn is_id(id: &[u8]) -> bool {
    ID_LENGTHS.contains(&id.len())
        && id.iter().all(|&byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// Whether nothing follows, or a number as the second field.
fn is_number(rest: &[u8]) -> bool {
    match rest {
        [] => true,
        [FIELD_2_NUMBER, number @ ..] => (1..=NUMBER_LENGTH_MAX).contains(&number.len()),
        _ => false,
    }
}

fn is_uuid(text: &[u8]) -> bool {
    text.len() == UUID_LENGTH
        && text.iter().enumerate().all(|(at, byte)| match UUID_DASHES.contains(&at) {
            true => *byte == b'-',
            false => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::super::TunnelProtocol;
    use super::super::testing::{run, whole};
    use super::*;

    #[test]
    fn a_client_registers() {
        let found = Some((TunnelProtocol::RustDesk, None, 0));
        let plain = b"\x32\x0b\x0a\x09123456789";
        assert_eq!(run(&[(0, whole(plain))]), found);
        let with_serial = b"\x32\x0e\x0a\x09123456789\x10\x96\x01";
        assert_eq!(run(&[(0, whole(with_serial))]), found);
        for (at, value) in [(0, 0x3a), (1, 12), (2, 0x12), (3, 8), (5, 0), (9, b' ')] {
            let mut other = plain.to_vec();
            other[at] = value;
            assert_eq!(run(&[(0, whole(&other))]), None, "{at}");
        }
        assert!((0..plain.len()).all(|end| run(&[(0, whole(&plain[..end]))]).is_none()));
        assert_eq!(run(&[(0, whole(b"\x32\x07\x0a\x0512345"))]), None);
    }

    #[test]
    fn a_relay_is_asked_for_by_a_uuid() {
        let uuid = b"0b9a1c2d-3e4f-4a5b-8c6d-7e8f90a1b2c3";
        let request = |id: &[u8], key: usize| {
            let mut fields = Vec::new();
            for (tag, text) in [(FIELD_1, id), (FIELD_2, uuid), (6 << 3 | 2, &vec![b'k'; key])] {
                if !text.is_empty() {
                    fields.extend([tag, text.len() as u8]);
                    fields.extend(text);
                }
            }
            let mut message = REQUEST_RELAY.to_vec();
            match fields.len() {
                short @ 0..0x80 => message.push(short as u8),
                long => message.extend([0x80 | long as u8 & 0x7f, (long >> 7) as u8]),
            }
            message.extend(fields);
            let mut frame = match message.len() {
                short @ 0..0x40 => vec![(short << 2) as u8],
                long => ((long << 2 | 1) as u16).to_le_bytes().to_vec(),
            };
            frame.extend(message);
            frame
        };
        for (id, key) in [(&b"123456789"[..], 44), (b"", 0), (b"123456789", 100)] {
            let frame = request(id, key);
            assert!(is_relay_request(&frame), "{frame:x?}");
            let mut other = frame.clone();
            other[0] ^= 4;
            assert!(!is_relay_request(&other));
            let at = frame.iter().position(|&byte| byte == b'-').unwrap();
            other.clone_from(&frame);
            other[at] = b'a';
            assert!(!is_relay_request(&other));
            assert!((0..at).all(|end| !is_relay_request(&frame[..end])));
        }
    }
}
