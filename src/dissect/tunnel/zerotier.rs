//! ZeroTier's HELLO (ZeroTier's protocol, VL1, "Packet" and "HELLO"): the one packet whose content
//! is not encrypted, with which nodes greet each other and the roots.
//!
//! The sender's address stands twice in it: in the header and in its identity.

use super::Datagram;

/// Cipher suite in the byte behind the addresses: authenticated, not encrypted.
const CIPHER_MASK: u8 = 0x38;
/// The first two bits are flags, the last three count hops.
const VERB_MASK: u8 = 0x1f;
const VERB_HELLO: u8 = 1;
/// Versions of the protocol that have been spoken, with room for some to come.
const VERSIONS: std::ops::RangeInclusive<u8> = 4..=31;
/// To the end of address and kind of the identity.
const LENGTH_MIN: usize = 47;

/// Whether a datagram is a HELLO.
pub(super) fn is_hello(datagram: &Datagram<'_>) -> bool {
    let Some(header) = datagram.array::<LENGTH_MIN>(0) else { return false };
    let [_, _, _, _, _, _, _, _, rest @ ..] = header;
    let [_, _, _, _, _, from @ .., cipher] = rest.first_chunk::<11>().copied().unwrap_or_default();
    let [verb, version, major] = datagram.array::<3>(27).unwrap_or_default();
    // The kind of identity: Curve25519, or with NIST P-384 besides.
    let [identity @ .., kind] = datagram.array::<6>(41).unwrap_or_default();
    cipher & CIPHER_MASK == 0
        && verb & VERB_MASK == VERB_HELLO
        && VERSIONS.contains(&version)
        && major <= 2
        && from == identity
        && from != [0; 5]
        && kind <= 1
}

#[cfg(test)]
mod tests {
    use super::super::TunnelProtocol;
    use super::super::testing::{bytes_of, run, whole};

    #[test]
    fn the_senders_address_stands_twice() {
        // Number, to, from, flags, authentication; HELLO, version 12 of 1.10.6; time; identity.
        let mut hello = bytes_of(
            "9a1b2c3d4e5f6071 62f865ae71 8056c2e21c 00 a1a2a3a4a5a6a7a8 01 0c 01 0a 0006 \
             0000018bcfe56800 8056c2e21c 00",
        );
        hello.resize(160, 0x77);
        let found = Some((TunnelProtocol::ZeroTier, None, 0));
        assert_eq!(run(&[(0, whole(&hello))]), found);
        for at in [13, 17, 18, 27, 29, 41, 45, 46] {
            let mut other = hello.clone();
            other[at] ^= 0x18;
            assert_eq!(run(&[(0, whole(&other))]), None, "{at}");
        }
        assert_eq!(run(&[(0, whole(&hello[..46]))]), None);
    }
}
