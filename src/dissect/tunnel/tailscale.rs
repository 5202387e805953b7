//! Tailscale's disco messages, by which its nodes find ways to each other (its documentation of
//! package `disco`): six bytes of magic, the sender's public key, a nonce, a sealed box.
//!
//! To learn its own address a node asks the relays by STUN, and says in it who asks (its package
//! `stun`).
//!
//! What goes over such a way is WireGuard. Its relays (DERP) are known by name.

use super::Datagram;

/// "TS" and a speech balloon.
const MAGIC: &[u8] = "TS💬".as_bytes();
/// Magic, key, nonce, the box's tag, kind and version.
const LENGTH_MIN: usize = 6 + 32 + 24 + 16 + 2;

/// Whether a datagram is a disco message.
pub(super) fn is_disco(datagram: &Datagram<'_>) -> bool {
    datagram.length >= LENGTH_MIN && datagram.bytes.starts_with(MAGIC)
}

/// A binding request with the magic cookie (RFC 8489, 5), behind its length.
const BINDING: [u8; 2] = [0, 1];
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
/// SOFTWARE (RFC 8489, 14.14), eight bytes long: the first attribute.
const SOFTWARE: &[u8] = b"\x80\x22\0\x08tailnode";
const SOFTWARE_OFFSET: usize = 20;

/// Whether a datagram is a node's question for its own address.
pub(super) fn is_question(datagram: &Datagram<'_>) -> bool {
    datagram.array(0) == Some(BINDING)
        && datagram.array(4) == Some(COOKIE)
        && datagram.bytes.get(SOFTWARE_OFFSET..).is_some_and(|rest| rest.starts_with(SOFTWARE))
}

#[cfg(test)]
mod tests {
    use super::super::TunnelProtocol;
    use super::super::testing::{run, whole};
    use super::*;

    #[test]
    fn the_magic_tells() {
        let mut message = MAGIC.to_vec();
        message.resize(92, 0xb6);
        assert_eq!(run(&[(1, whole(&message))]), Some((TunnelProtocol::Tailscale, None, 0)));
        assert_eq!(run(&[(1, whole(&message[..60]))]), None);
        message[5] = 0;
        assert_eq!(run(&[(1, whole(&message))]), None);
    }

    #[test]
    fn a_node_that_asks_for_its_address_says_who_it_is() {
        let mut question = b"\0\x01\0\x14\x21\x12\xa4\x42abcdefghijkl".to_vec();
        question.extend(SOFTWARE);
        question.extend(b"\x80\x28\0\x04\x12\x34\x56\x78");
        assert_eq!(run(&[(0, whole(&question))]), Some((TunnelProtocol::Tailscale, None, 0)));
        for at in [0, 4, 21, 24, 31] {
            let mut other = question.clone();
            other[at] ^= 1;
            assert_eq!(run(&[(0, whole(&other))]), None, "{at}");
        }
    }
}
