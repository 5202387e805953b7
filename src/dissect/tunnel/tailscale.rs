//! Tailscale's disco messages, by which its nodes find ways to each other (its documentation of
//! package `disco`): six bytes of magic, the sender's public key, a nonce, a sealed box.
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
}
