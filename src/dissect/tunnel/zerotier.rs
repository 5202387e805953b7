//! ZeroTier's HELLO (ZeroTier's protocol, VL1, "Packet" and "HELLO"): the one packet whose content
//! is not encrypted, with which nodes greet each other and the roots.
//!
//! The sender's address stands twice in it: in the header and in its identity.
//!
//! Behind that nothing but the header is clear: eight bytes of number, the receiver's address, the
//! sender's. In the midst of a tunnel both sides' packets tell, since each side's sender is the
//! other side's receiver, ten bytes in all.

use super::{Datagram, Recognised, Side, TunnelProtocol};
use crate::dissect::Progress;

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

/// Number, addresses, flags, authentication, and the verb.
const PACKET_LENGTH_MIN: usize = 28;
/// Packets of each side that have to name the same two nodes, each under a number of its own.
const PACKETS_MIN: u8 = 2;
/// Addresses do not begin with this byte (VL1, "Addressing").
const RESERVED: u8 = 0xff;

/// An address.
type Node = [u8; 5];

/// Whether a datagram may be a packet between two nodes.
pub(super) fn may_be_packet(datagram: &Datagram<'_>) -> bool {
    datagram.length >= PACKET_LENGTH_MIN && nodes_of(datagram).is_some()
}

/// Receiver and sender of a packet.
fn nodes_of(datagram: &Datagram<'_>) -> Option<(Node, Node)> {
    let (to, from): (Node, Node) = (datagram.array(8)?, datagram.array(13)?);
    let is_node = |[first, rest @ ..]: Node| {
        first != RESERVED
            && (first != 0 || rest != [0; 4])
            && rest.iter().any(|&byte| byte != first)
    };
    (to != from && is_node(to) && is_node(from)).then_some((to, from))
}

/// What the packets of a side named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Named {
    /// Receiver and sender.
    nodes: (Node, Node),
    /// The last packet's.
    number: [u8; 8],
    packets: u8,
}

/// What the packets of each side named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Nodes([Option<Named>; 2]);

impl Nodes {
    /// Takes a datagram of a side. Fragments behind a packet's first one name no sender; what is not
    /// understood before both sides agree ends the search.
    pub(super) fn datagram(&mut self, side: Side, datagram: &Datagram<'_>) -> Progress<Recognised> {
        let (Some(nodes), Some(number)) = (nodes_of(datagram), datagram.array::<8>(0)) else {
            return Progress::Reject(None);
        };
        let Some(slot) = self.0.get_mut(side) else { return Progress::Reject(None) };
        let packets = match *slot {
            Some(known) if known.nodes != nodes => return Progress::Reject(None),
            Some(known) if known.number == number => known.packets,
            Some(known) => known.packets.saturating_add(1),
            None => 1,
        };
        *slot = Some(Named { nodes, number, packets });
        let [Some(one), Some(other)] = self.0 else { return Progress::Incomplete };
        if one.nodes != (other.nodes.1, other.nodes.0) {
            return Progress::Reject(None);
        }
        if one.packets.min(other.packets) < PACKETS_MIN {
            return Progress::Incomplete;
        }
        Progress::Complete(Recognised { protocol: TunnelProtocol::ZeroTier, client: None })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Datagram;
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

    #[test]
    fn in_the_midst_two_nodes_name_each_other() {
        let packet = |number: u8, to: &str, from: &str| {
            let mut packet = vec![number; 8];
            packet.extend(bytes_of(to));
            packet.extend(bytes_of(from));
            packet.resize(90, 0x5a);
            packet
        };
        const ONE: &str = "62f865ae71";
        const TWO: &str = "8056c2e21c";
        let (up, down) = (|n| packet(n, ONE, TWO), |n| packet(n, TWO, ONE));
        fn on_port(bytes: &[u8]) -> Datagram<'_> {
            Datagram { is_zerotier: true, ..whole(bytes) }
        }
        let run_all = |shown: &[(usize, Vec<u8>)]| {
            let shown: Vec<_> = shown.iter().map(|(side, bytes)| (*side, on_port(bytes))).collect();
            run(&shown)
        };
        let found = Some((TunnelProtocol::ZeroTier, None, 3));
        assert_eq!(run_all(&[(0, up(1)), (1, down(2)), (0, up(3)), (1, down(4))]), found);
        // The same again and again, or sides that name others.
        assert_eq!(run_all(&[(0, up(1)), (1, down(2)), (0, up(1)), (1, down(2))]), None);
        assert_eq!(run_all(&[(0, up(1)), (1, up(2)), (0, up(3)), (1, up(4))]), None);
        let third = |n| packet(n, TWO, "0102030405");
        assert_eq!(run_all(&[(0, up(1)), (1, third(2)), (0, up(3)), (1, third(4))]), None);
        assert_eq!(run_all(&[(0, up(1)), (0, up(2)), (0, up(3)), (0, up(4))]), None);
    }
}
