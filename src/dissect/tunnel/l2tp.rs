//! L2TP's control messages: version 2 (RFC 2661, 3.1) and 3 (RFC 3931, 4.1.2.1, over UDP).
//!
//! Data is read by the decoder, as far as it is not encrypted.

use super::Datagram;

/// Control, with length and sequence; then the version.
const FLAGS: u8 = 0xc8;
const HEADER_LENGTH: usize = 12;
/// The first attribute: mandatory or not, eight bytes long, of the IETF, "Message Type".
const MESSAGE_TYPE: [u8; 6] = [0, 8, 0, 0, 0, 0];
const MANDATORY: u8 = 0x80;
/// The last of the message types that are assigned (IANA).
const MESSAGE_TYPE_MAX: u16 = 40;

/// Whether a datagram is a control message with its type.
pub(super) fn is_control(datagram: &Datagram<'_>) -> bool {
    let Some([FLAGS, 2 | 3, high, low]) = datagram.array(0) else { return false };
    if usize::from(u16::from_be_bytes([high, low])) != datagram.length {
        return false;
    }
    let Some([first, rest @ .., kind_high, kind_low]) = datagram.array::<8>(HEADER_LENGTH) else {
        return false;
    };
    let [length_high, expected @ ..] = MESSAGE_TYPE;
    first & !MANDATORY == length_high
        && rest == expected
        && (1..=MESSAGE_TYPE_MAX).contains(&u16::from_be_bytes([kind_high, kind_low]))
}

#[cfg(test)]
mod tests {
    use super::super::TunnelProtocol;
    use super::super::testing::{bytes_of, run, whole};

    #[test]
    fn a_start_of_a_tunnel() {
        // SCCRQ: message type, protocol version.
        let request = bytes_of("c802001c 0000 0000 0000 0000 8008000000000001 8008000000020100");
        let found = Some((TunnelProtocol::L2tp, None, 0));
        assert_eq!(run(&[(0, whole(&request))]), found);
        for end in 0..request.len() {
            assert_eq!(run(&[(0, whole(&request[..end]))]), None);
        }
        for (at, value) in [(0, 0x48), (1, 4), (3, 0x1d), (12, 0x81), (13, 9), (19, 0)] {
            let mut other = request.clone();
            other[at] = value;
            assert_eq!(run(&[(0, whole(&other))]), None, "{at}");
        }
    }
}
