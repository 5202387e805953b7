//! ESP in UDP (RFC 3948, 2.1): behind NAT, on the port of IKE there.
//!
//! ESP has nothing to be known by but its index and its number (RFC 4303, 2), so the port is one
//! sign, and two packets of one side with one index and numbers that go up are the others.

use super::{Datagram, Recognised, Side, TunnelProtocol};
use crate::dissect::Progress;

/// Indices below are reserved (RFC 4303, 2.1).
const INDEX_MIN: u32 = 256;
/// Header, an initialisation vector or a block, and the shortest check value.
const LENGTH_MIN: usize = 24;
/// How far the numbers of two packets one after the other may be apart.
const STEP_MAX: u32 = 1024;
/// A byte that keeps the NAT's entry (RFC 3948, 2.3).
const KEEPALIVE: [u8; 1] = [0xff];

/// Index and number of each side's last packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters([Option<(u32, u32)>; 2]);

impl Counters {
    /// Takes a datagram of a side.
    pub(super) fn datagram(&mut self, side: Side, datagram: &Datagram<'_>) -> Progress<Recognised> {
        if datagram.bytes == KEEPALIVE {
            return Progress::Incomplete;
        }
        let (Some(index), Some(number)) = (datagram.array(0), datagram.array(4)) else {
            return Progress::Reject(None);
        };
        let (index, number) = (u32::from_be_bytes(index), u32::from_be_bytes(number));
        if index < INDEX_MIN || number == 0 || datagram.length < LENGTH_MIN {
            return Progress::Reject(None);
        }
        let Some(last) = self.0.get_mut(side) else { return Progress::Reject(None) };
        match last.replace((index, number)) {
            Some((known, before))
                if known == index && number > before && number - before <= STEP_MAX =>
            {
                let protocol = TunnelProtocol::Ipsec;
                Progress::Complete(Recognised { protocol, client: None })
            }
            _ => Progress::Incomplete,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{nat_traversal, run, whole};
    use super::*;

    fn packet(index: u32, number: u32) -> Vec<u8> {
        let mut bytes = [index.to_be_bytes(), number.to_be_bytes()].concat();
        bytes.resize(100, 0x6c);
        bytes
    }

    #[test]
    fn two_packets_of_one_association_on_its_port() {
        let flow =
            |one: &[u8], two: &[u8]| run(&[(0, nat_traversal(one)), (0, nat_traversal(two))]);
        let found = Some((TunnelProtocol::Ipsec, None, 1));
        assert_eq!(flow(&packet(0xc0ff_ee00, 1), &packet(0xc0ff_ee00, 2)), found);
        assert_eq!(flow(&packet(0xc0ff_ee00, 2), &packet(0xc0ff_ee00, 1)), None);
        assert_eq!(flow(&packet(0xc0ff_ee00, 1), &packet(0xc0ff_ee01, 2)), None);
        assert_eq!(flow(&packet(0xc0ff_ee00, 1), &packet(0xc0ff_ee00, 5000)), None);
        assert_eq!(flow(&packet(255, 1), &packet(255, 2)), None);
        let (one, two) = (packet(0xc0ff_ee00, 1), packet(0xc0ff_ee00, 2));
        assert_eq!(run(&[(0, whole(&one)), (0, whole(&two))]), None, "the port is a sign");
        let kept =
            [(0, nat_traversal(&[0xff])), (0, nat_traversal(&one)), (0, nat_traversal(&two))];
        assert_eq!(run(&kept), Some((TunnelProtocol::Ipsec, None, 2)));
    }
}
