//! Nebula (its package `header`): sixteen bytes in the clear before everything: version and kind,
//! what kind of that, two reserved bytes, the receiver's index, a number that goes up.
//!
//! A handshake begins with the index 0 and the number 1; the answer names an index, with the number 2.
//! In the midst of a tunnel the number tells: it goes up under one index, and the other side has one of
//! its own.

use super::{Datagram, Recognised, Side, TunnelProtocol};
use crate::dissect::Progress;

const VERSION: u8 = 1;
const HANDSHAKE: u8 = 0;
/// The last of the kinds: message, receive error, lighthouse, test, close.
const KIND_MAX: u8 = 5;
/// The last of the kinds below a kind: an answer to a test, a message over a relay.
const SUBKIND_MAX: u8 = 1;
const HEADER_LENGTH: usize = 16;
/// A handshake's first message has a key at least.
const HANDSHAKE_LENGTH_MIN: usize = HEADER_LENGTH + 32;
/// How far the numbers of two packets one after the other may be apart.
const STEP_MAX: u64 = 1 << 12;
/// Packets of a side, one after the other, with one index and rising numbers: where the other side's
/// have the form, too, and where that is not seen.
const RISING_TELL: u8 = 3;
const RISING_TELL_ALONE: u8 = 8;

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    kind: u8,
    index: u32,
    number: u64,
}

/// What each side's packets said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Packets {
    last: [Option<Header>; 2],
    rising: [u8; 2],
    /// Which side began a handshake.
    began: Option<Side>,
}

/// Whether a flow may begin with this datagram.
pub(super) fn may_begin(datagram: &Datagram<'_>) -> bool {
    header(datagram).is_some()
}

fn header(datagram: &Datagram<'_>) -> Option<Header> {
    let [first, subkind, 0, 0, a, b, c, d] = datagram.array(0)? else { return None };
    let (kind, index) = (first & 0x0f, u32::from_be_bytes([a, b, c, d]));
    let number = u64::from_be_bytes(datagram.array(8)?);
    let is_first = kind == HANDSHAKE && index == 0 && number == 1;
    let is_known = first >> 4 == VERSION && kind <= KIND_MAX && subkind <= SUBKIND_MAX;
    let is_long = kind != HANDSHAKE || datagram.length >= HANDSHAKE_LENGTH_MIN;
    // The high bytes of a number are never needed.
    (is_known && is_long && (is_first || index != 0 && number < 1 << 40)).then_some(Header {
        kind,
        index,
        number,
    })
}

impl Packets {
    /// Takes a datagram of a side. One byte, which keeps a NAT's entry, says nothing.
    pub(super) fn datagram(&mut self, side: Side, datagram: &Datagram<'_>) -> Progress<Recognised> {
        if datagram.length == 1 {
            return Progress::Incomplete;
        }
        let Some(header) = header(datagram) else { return Progress::Reject(None) };
        let is =
            |client| Progress::Complete(Recognised { protocol: TunnelProtocol::Nebula, client });
        if header.kind == HANDSHAKE {
            if header.index == 0 {
                self.began = Some(side);
                return Progress::Incomplete;
            }
            return match self.began {
                Some(client) if client != side && header.number == 2 => is(Some(client)),
                _ => Progress::Incomplete,
            };
        }
        let (Some(last), Some(rising)) = (self.last.get_mut(side), self.rising.get_mut(side))
        else {
            return Progress::Reject(None);
        };
        let goes_on = last.replace(header).is_some_and(|before| {
            before.index == header.index
                && header.number > before.number
                && header.number - before.number <= STEP_MAX
        });
        *rising = if goes_on { rising.saturating_add(1) } else { 1 };
        let rising = *rising;
        let both = match self.last {
            [Some(one), Some(other)] => one.index != other.index,
            _ => false,
        };
        if rising >= if both { RISING_TELL } else { RISING_TELL_ALONE } {
            return is(None);
        }
        Progress::Incomplete
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{run, whole};
    use super::*;

    fn packet(first: u8, index: u32, number: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![first, 0, 0, 0];
        bytes.extend(index.to_be_bytes());
        bytes.extend(number.to_be_bytes());
        bytes.resize(length, 0x6b);
        bytes
    }

    #[test]
    fn a_handshake_and_its_answer() {
        let first = packet(0x10, 0, 1, 200);
        let answer = packet(0x10, 0x5a01_02ff, 2, 220);
        let flow = |one: &[u8], two: &[u8]| run(&[(1, whole(one)), (0, whole(two))]);
        assert_eq!(flow(&first, &answer), Some((TunnelProtocol::Nebula, Some(1), 1)));
        assert_eq!(flow(&first, &first), None);
        assert_eq!(flow(&first, &packet(0x10, 7, 3, 220)), None);
        assert_eq!(flow(&first, &packet(0x20, 7, 2, 220)), None);
        assert_eq!(flow(&packet(0x10, 0, 2, 200), &answer), None);
        assert_eq!(flow(&packet(0x10, 0, 1, 30), &answer), None);
        assert_eq!(run(&[(1, whole(&first)), (1, whole(&answer))]), None);
        for end in 0..HEADER_LENGTH {
            assert_eq!(flow(&first[..end], &answer), None);
        }
    }

    #[test]
    fn in_the_midst_the_numbers_tell() {
        let data = |index, number| packet(0x11, index, number, 90);
        let flow = |shown: &[(Side, Vec<u8>)]| {
            let shown: Vec<_> = shown.iter().map(|(side, bytes)| (*side, whole(bytes))).collect();
            run(&shown)
        };
        let both = [(0, data(7, 50)), (1, data(9, 3)), (0, data(7, 51)), (0, data(7, 53))];
        assert_eq!(flow(&both), Some((TunnelProtocol::Nebula, None, 3)));
        let falling = [(0, data(7, 50)), (1, data(9, 3)), (0, data(7, 49)), (0, data(7, 53))];
        assert_eq!(flow(&falling), None);
        let same = [(0, data(7, 50)), (1, data(7, 3)), (0, data(7, 51)), (0, data(7, 53))];
        assert_eq!(flow(&same), None, "an index is the receiver's own");
        let alone: Vec<_> = (0..8).map(|number| (0, data(7, 50 + number))).collect();
        assert_eq!(flow(&alone), Some((TunnelProtocol::Nebula, None, 7)));
        assert_eq!(flow(&alone[..7]), None);
        let kept = [(0, vec![1]), (0, data(7, 50)), (1, data(9, 3)), (0, vec![1])];
        let kept = [&kept[..], &[(0, data(7, 51)), (0, data(7, 52))]].concat();
        assert_eq!(flow(&kept), Some((TunnelProtocol::Nebula, None, 5)));
    }
}
