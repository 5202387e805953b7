//! STUN (RFC 8489), its form before the magic cookie (RFC 3489), and TURN's channels (RFC 8656).
//!
//! A message with the cookie, whose length is the datagram's, is STUN. Without the cookie its
//! attributes have to fill it, or the other side has to answer under the same transaction id. Data
//! in a channel has nothing but number and length: three in a row under one number tell.

use super::super::tunnel::{Datagram, Side};
use crate::dissect::reader::Reader;

/// RFC 8489, 5.
const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const HEADER_LENGTH: usize = 20;
/// What follows [`HEADER_LENGTH`] minus this in the header: type and length.
const TRANSACTION_OFFSET: usize = 4;
/// Channel number and length.
const CHANNEL_HEADER_LENGTH: usize = 4;
/// Datagrams of one channel that prove it.
const CHANNEL_MIN: u8 = 3;
/// The length before a message in a stream (RFC 4571, 2), type, length, cookie.
pub(crate) const STREAM_PREFIX_LENGTH: usize = 2 + 4 + MAGIC_COOKIE.len();

/// Messages with which a stream begins: binding, allocate, connection bind (RFC 6062, 6.2).
const OPENING: [u8; 3] = [0x01, 0x03, 0x0b];
/// What an error adds to the type of a response.
const ERROR: u8 = 0x10;

/// What was seen of a flow that may be STUN's or TURN's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Exchange {
    /// Who asked, and under which id.
    asked: Option<(Side, [u8; 16])>,
    /// The channel of the last datagrams, and how many there were.
    channel: (u16, u8),
}

impl Exchange {
    /// Takes a datagram that begins like a message, and says whether it is one.
    pub(super) fn message(&mut self, side: Side, datagram: &Datagram<'_>) -> bool {
        let mut reader = Reader::new(datagram.bytes);
        let (Some(kind), Some(length)) = (reader.u16(), reader.u16()) else { return false };
        let Some(&id) = reader.rest().first_chunk::<16>() else { return false };
        if usize::from(length) + HEADER_LENGTH != datagram.length {
            return false;
        }
        if id.starts_with(&MAGIC_COOKIE) {
            return true;
        }
        let is_request = match kind {
            // Binding and shared secret (RFC 3489, 11.1); allocate, of TURN before it had a number.
            0x0001..=0x0003 => true,
            0x0101..=0x0103 | 0x0111..=0x0113 => false,
            _ => return false,
        };
        let attributes = datagram.bytes.get(HEADER_LENGTH..).unwrap_or_default();
        if length > 0 {
            return attributes.len() == usize::from(length) && are_attributes(attributes);
        }
        match self.asked {
            _ if is_request => {
                self.asked = Some((side, id));
                false
            }
            asked => asked == Some((1 - side.min(1), id)),
        }
    }

    /// Takes a datagram that begins like data of a channel, and says whether it is.
    pub(super) fn channel_data(&mut self, datagram: &Datagram<'_>) -> bool {
        let mut reader = Reader::new(datagram.bytes);
        let (Some(channel), Some(length)) = (reader.u16(), reader.u16()) else { return false };
        let length = CHANNEL_HEADER_LENGTH + usize::from(length);
        // It may be padded to four bytes (RFC 8656, 12.5).
        let fits = length == datagram.length || length.next_multiple_of(4) == datagram.length;
        let (known, count) = self.channel;
        self.channel = match () {
            () if !fits => (0, 0),
            () if known == channel => (channel, count.saturating_add(1)),
            () => (channel, 1),
        };
        self.channel.1 >= CHANNEL_MIN
    }
}

/// Whether bytes are attributes to their end, of types that are in use (Zoom has its own) or free to
/// be ignored: type, length, value.
fn are_attributes(bytes: &[u8]) -> bool {
    let mut reader = Reader::new(bytes);
    while !reader.rest().is_empty() {
        let (Some(kind), Some(value)) = (reader.u16(), reader.vector16()) else { return false };
        if !matches!(kind, 0x0001..=0x01ff | 0x8000..=0x80ff) || !value.len().is_multiple_of(4) {
            return false;
        }
    }
    true
}

/// Whether a stream begins with a message that has the cookie, as it is (RFC 8489, 6.2.2) or behind
/// a length (RFC 4571, as RFC 6544 uses it); none where more bytes would tell.
pub(crate) fn begins_stream(bytes: &[u8]) -> Option<bool> {
    let message = |bytes: &[u8]| {
        let is_type = match *bytes {
            [0, low, ..] => OPENING.contains(&low),
            // The server's, where only its side is seen; errors have one bit more.
            [1, low, ..] => OPENING.contains(&(low & !ERROR)),
            [] | [0 | 1] => true,
            _ => false,
        };
        let cookie = bytes.get(TRANSACTION_OFFSET..).unwrap_or_default();
        match (is_type, cookie.first_chunk::<4>()) {
            (false, _) => Some(false),
            (true, Some(found)) => Some(*found == MAGIC_COOKIE),
            (true, None) => (!MAGIC_COOKIE.starts_with(cookie)).then_some(false),
        }
    };
    // Messages behind a length are short.
    let framed = match bytes {
        [8..=255, ..] => Some(false),
        [_, _, rest @ ..] => message(rest),
        _ => None,
    };
    match (message(bytes), framed) {
        (Some(true), _) | (_, Some(true)) => Some(true),
        (Some(false), Some(false)) => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::tunnel::testing::{bytes_of, whole};
    use super::*;

    /// A binding request, and its answer (nDPI's capture stun_signal.pcapng).
    fn exchange() -> [Vec<u8>; 2] {
        [
            bytes_of("00010000 2112a442 6263683131376e5941793631"),
            bytes_of("0101000c 2112a442 6263683131376e5941793631 0020 0008 00010f637c3d4551"),
        ]
    }

    fn is_message(bytes: &[u8]) -> bool {
        Exchange::default().message(0, &whole(bytes))
    }

    #[test]
    fn the_cookie_and_the_length_tell() {
        for message in exchange() {
            assert!(is_message(&message));
            assert!(!is_message(&[&message[..], &[0; 4]].concat()), "longer than it says");
            for end in 0..message.len() {
                assert!(!is_message(&message[..end]), "{end}");
            }
        }
        let [mut other, _] = exchange();
        other[5] ^= 1;
        assert!(!is_message(&other));
        // WhatsApp's lengths are no multiples of four.
        let odd = bytes_of("00030002 2112a442 00007510f843431fd05e2379 4000");
        assert!(is_message(&odd));
    }

    #[test]
    fn a_message_cut_short_counts_by_its_length_on_the_wire() {
        let [_, answer] = exchange();
        let cut = Datagram {
            bytes: &answer[..24],
            length: 32,
            is_nat_traversal: false,
            is_zerotier: false,
        };
        assert!(Exchange::default().message(1, &cut));
    }

    #[test]
    fn without_the_cookie_attributes_or_an_answer_tell() {
        let id = "0102030405060708090a0b0c0d0e0f10";
        let request = bytes_of(&format!("00010000{id}"));
        let answer = bytes_of(&format!("01010000{id}"));
        let other = bytes_of(&format!("01010000{}", id.replace("01", "11")));
        let mut exchange = Exchange::default();
        assert!(!exchange.message(0, &whole(&request)));
        assert!(!exchange.message(1, &whole(&other)));
        assert!(!exchange.message(0, &whole(&answer)), "nobody answers himself");
        assert!(exchange.message(1, &whole(&answer)));

        let mapped = bytes_of(&format!("0101000c{id} 0001 0008 00010f637c3d4551"));
        assert!(is_message(&mapped));
        for (at, value) in [(0, 2), (1, 4), (3, 8), (20, 7), (23, 4), (23, 6)] {
            let mut other = mapped.clone();
            other[at] = value;
            assert!(!is_message(&other), "{at}");
        }
    }

    #[test]
    fn three_datagrams_of_a_channel_tell() {
        let data = |channel: u16, length: u16, padding: usize| {
            let header = [channel.to_be_bytes(), length.to_be_bytes()].concat();
            [header, vec![0x5a; usize::from(length) + padding]].concat()
        };
        let count = |datagrams: &[Vec<u8>]| {
            let mut exchange = Exchange::default();
            datagrams.iter().filter(|bytes| exchange.channel_data(&whole(bytes))).count()
        };
        let same = [data(0x4000, 100, 0), data(0x4000, 33, 3), data(0x4000, 80, 0)];
        assert_eq!(count(&same), 1);
        assert_eq!(count(&same[..2]), 0);
        assert_eq!(count(&[data(0x4000, 9, 0), data(0x4001, 9, 0), data(0x4000, 9, 0)]), 0);
        assert_eq!(count(&[data(0x4000, 9, 0), data(0x4000, 9, 1), data(0x4000, 9, 0)]), 0);
    }

    #[test]
    fn streams_begin_with_a_message_or_with_its_length() {
        let [request, _] = exchange();
        let framed = [&[0, 20][..], &request].concat();
        for stream in [&request, &framed] {
            assert_eq!(begins_stream(stream), Some(true));
            for end in 0..stream.len() {
                assert_ne!(begins_stream(&stream[..end]), Some(false), "{end}");
            }
            assert_eq!(begins_stream(&stream[..STREAM_PREFIX_LENGTH]), Some(true));
        }
        assert_eq!(begins_stream(b"\x05\x01\0\x21\x12\xa4\x42"), Some(false));
        assert_eq!(begins_stream(&[0; STREAM_PREFIX_LENGTH]), Some(false));
    }
}
