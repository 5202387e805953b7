//! IKE, the negotiation of IPsec: version 1 (RFC 2408, 3.1) and 2 (RFC 7296, 3.1).
//!
//! One message is enough: the header's version, exchange, flags, first payload and length must
//! belong together. Behind NAT it follows four zero bytes (RFC 3948, 2.2).

use super::{Datagram, Side};

const HEADER_LENGTH: usize = 28;
/// With what a stream of IKE and ESP over TCP begins (RFC 9329, 3).
pub(crate) const STREAM_PREFIX: &[u8] = b"IKETCP";
/// What tells IKE from ESP behind NAT.
const NON_ESP_MARKER: [u8; 4] = [0; 4];
/// RFC 7296, 3.1: the sender began the security association, and this answers a request.
const INITIATOR: u8 = 0x08;
const RESPONSE: u8 = 0x20;
/// A higher version could be spoken.
const VERSION: u8 = 0x10;

/// Whether a datagram is a message of IKE; the side that began, where that shows.
#[allow(clippy::option_option, reason = "whether it is one, and who began, are two things")]
pub(super) fn initiator(side: Side, datagram: &Datagram<'_>) -> Option<Option<Side>> {
    let (bytes, length) = match datagram.bytes.strip_prefix(&NON_ESP_MARKER) {
        Some(rest) => (rest, datagram.length.checked_sub(NON_ESP_MARKER.len())?),
        None => (datagram.bytes, datagram.length),
    };
    let header: &[u8; HEADER_LENGTH] = bytes.first_chunk()?;
    let [spi @ .., _, _, _, _, _, _, _, _, next, version, exchange, flags, _, _, _, _, a, b, c, d] =
        header;
    if u32::from_be_bytes([*a, *b, *c, *d]) as usize != length || *spi == [0; 8] {
        return None;
    }
    let responder = header.get(8..16)?;
    let is_first = responder.iter().all(|&byte| byte == 0);
    match (version, exchange) {
        // Main, aggressive, informational, transaction, quick and new group mode.
        (0x10, 2 | 4 | 5 | 6 | 32 | 33) if *flags <= 7 && is_payload_1(*next) => {
            Some(is_first.then_some(side))
        }
        (0x20, 34..=44) if flags & !(INITIATOR | RESPONSE | VERSION) == 0 => {
            let is_payload = *next == 0 || (33..=55).contains(next);
            let began = if flags & INITIATOR != 0 { side } else { 1 - side.min(1) };
            is_payload.then_some(Some(began))
        }
        _ => None,
    }
}

/// Payloads of version 1: RFC 2408, 3.1, the two of RFC 3947, and those of its drafts.
fn is_payload_1(next: u8) -> bool {
    matches!(next, 1..=21 | 128..=135)
}

#[cfg(test)]
mod tests {
    use super::super::TunnelProtocol;
    use super::super::testing::{bytes_of, nat_traversal, run, whole};
    use super::*;

    /// Header of a first message with a payload of twelve bytes.
    fn message(version: u8, next: u8, exchange: u8, flags: u8) -> Vec<u8> {
        let mut bytes = bytes_of("864330ac30e6564d 0000000000000000");
        bytes.extend([next, version, exchange, flags, 0, 0, 0, 0, 0, 0, 0, 40]);
        bytes.resize(40, 0);
        bytes
    }

    fn found(bytes: &[u8]) -> Option<(TunnelProtocol, Option<Side>, usize)> {
        run(&[(0, whole(bytes))])
    }

    #[test]
    fn a_header_that_agrees_with_itself_is_enough() {
        let ipsec = |client| Some((TunnelProtocol::Ipsec, client, 0));
        assert_eq!(found(&message(0x10, 1, 2, 0)), ipsec(Some(0)));
        assert_eq!(found(&message(0x20, 33, 34, INITIATOR)), ipsec(Some(0)));
        assert_eq!(found(&message(0x20, 33, 34, RESPONSE)), ipsec(Some(1)));
        let marked = [&[0; 4][..], &message(0x20, 46, 35, INITIATOR)].concat();
        assert_eq!(run(&[(0, nat_traversal(&marked))]), ipsec(Some(0)));
    }

    #[test]
    fn what_contradicts_itself_is_something_else() {
        assert_eq!(found(&message(0x30, 1, 2, 0)), None);
        assert_eq!(found(&message(0x10, 1, 34, 0)), None);
        assert_eq!(found(&message(0x20, 1, 34, INITIATOR)), None);
        assert_eq!(found(&message(0x20, 33, 34, 0xff)), None);
        let mut longer = message(0x20, 33, 34, INITIATOR);
        longer.push(0);
        assert_eq!(found(&longer), None);
        let mut without_spi = message(0x20, 33, 34, INITIATOR);
        without_spi[..8].fill(0);
        assert_eq!(found(&without_spi), None);
        for end in 0..HEADER_LENGTH {
            assert_eq!(found(&message(0x20, 33, 34, INITIATOR)[..end]), None);
        }
    }
}
