//! WireGuard (Donenfeld, "WireGuard: Next Generation Kernel Network Tunnel", 5.4).
//!
//! A message begins with its type, 1 to 4, and three reserved bytes (zero; some providers put a
//! client's number there). Handshake messages have one length each and, unless the receiver is
//! under load, end with sixteen zero bytes (mac2); a reply names the sender's index. Data carries
//! an index and a counter that goes up, which other protocols' may do as well: so a side's data tell
//! by several of one index and rising counters, and by what the other side sends.

use super::{Datagram, Recognised, Side, TunnelProtocol};
use crate::dissect::Progress;

const INITIATION: u8 = 1;
const RESPONSE: u8 = 2;
const COOKIE_REPLY: u8 = 3;
const DATA: u8 = 4;
/// The same as Cloudflare's WARP sends them: with the two bits that QUIC's long headers begin with, its
/// handshake lengthened, its data not padded (seen in nDPI's capture `cloudflare-warp.pcap`).
const INITIATION_OF_WARP: u8 = 0xc0 | INITIATION;
const RESPONSE_OF_WARP: u8 = 0xc0 | RESPONSE;
const DATA_OF_WARP: u8 = 0xc0 | DATA;
/// A client's first datagram of QUIC is not shorter (RFC 9000, 14.1).
const QUIC_INITIAL_LENGTH_MIN: usize = 1200;
/// The last version of QUIC in whose place an initiation's zeros and a byte of its index might stand.
const QUIC_VERSION_1: u8 = 1;

const INITIATION_LENGTH: usize = 148;
const RESPONSE_LENGTH: usize = 92;
const COOKIE_REPLY_LENGTH: usize = 64;
/// Header and authentication tag of an empty packet.
const DATA_LENGTH_MIN: usize = 32;
/// Packets are padded to this many bytes.
const DATA_PADDING: usize = 16;
/// The sixteen bytes at the end of initiation and response.
const MAC_2_LENGTH: usize = 16;
/// How far the counters of two datagrams one after the other may be apart.
const COUNTER_STEP_MAX: u64 = 1 << 16;
/// Data of a side, one after the other, with one index and rising counters, where the reserved bytes
/// are zero or the other side's data have the form, too; and where neither is so.
const DATA_TELL: u8 = 3;
const DATA_TELL_ALONE: u8 = 8;
/// A counter that a tunnel does not reach before it is keyed anew, after two minutes.
const COUNTER_MAX: u64 = 1 << 40;

/// What was seen of the handshake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Handshake {
    /// The index that a side gave in its initiation.
    sender: [Option<[u8; 4]>; 2],
    /// Type, reserved bytes and receiver's index of a side's last data, and its counter.
    data: [Option<([u8; 8], u64)>; 2],
    /// How many of a side's data, up to the last, have one index and rising counters.
    rising: [u8; 2],
    /// The client's number in a response of WARP, which its data have, too.
    number: Option<[u8; 3]>,
}

/// Whether a datagram's type and length are those of a message.
pub(super) fn may_begin(datagram: &Datagram<'_>) -> bool {
    let length = datagram.length;
    match datagram.bytes.first() {
        Some(&INITIATION) => length == INITIATION_LENGTH,
        Some(&RESPONSE) => length == RESPONSE_LENGTH,
        Some(&COOKIE_REPLY) => length == COOKIE_REPLY_LENGTH,
        Some(&DATA) => length >= DATA_LENGTH_MIN && length.is_multiple_of(DATA_PADDING),
        Some(&DATA_OF_WARP) => length >= DATA_LENGTH_MIN,
        Some(&(INITIATION_OF_WARP | RESPONSE_OF_WARP)) => is_warp_handshake(datagram),
        _ => false,
    }
}

/// Whether a payload begins with one of WARP's types, which are also first bytes of QUIC.
pub(crate) fn is_dressed_as_quic(payload: &[u8]) -> bool {
    matches!(payload.first(), Some(&(INITIATION_OF_WARP | RESPONSE_OF_WARP | DATA_OF_WARP)))
}

/// Whether a datagram may be of WARP's handshake, of which only the beginning is understood, and is none
/// of QUIC.
fn is_warp_handshake(datagram: &Datagram<'_>) -> bool {
    let is_short = (INITIATION_LENGTH..QUIC_INITIAL_LENGTH_MIN).contains(&datagram.length);
    match datagram.array(0) {
        Some([INITIATION_OF_WARP, 0, 0, 0, index]) => is_short && index > QUIC_VERSION_1,
        Some([RESPONSE_OF_WARP, number @ .., _]) => is_short && number != [0; 3],
        _ => false,
    }
}

impl Handshake {
    /// Takes a datagram of a side.
    pub(super) fn datagram(&mut self, side: Side, datagram: &Datagram<'_>) -> Progress<Recognised> {
        if !may_begin(datagram) {
            return Progress::Reject(None);
        }
        let is = |client| {
            let protocol = TunnelProtocol::WireGuard;
            Progress::Complete(Recognised { protocol, client })
        };
        let (Some([kind, ..]), Some(index)) = (datagram.array::<4>(0), datagram.array::<4>(4))
        else {
            return Progress::Reject(None);
        };
        let (Some(own), Some(others)) = (self.sender.get(side), self.sender.get(1 - side.min(1)))
        else {
            return Progress::Reject(None);
        };
        match kind {
            INITIATION_OF_WARP => Progress::Incomplete,
            RESPONSE_OF_WARP => {
                self.number = datagram.array(1);
                Progress::Incomplete
            }
            INITIATION if ends_with_zeros(datagram) => is(Some(side)),
            INITIATION => {
                // A second one is a retry, with an index of its own.
                let _ = own;
                if let Some(sender) = self.sender.get_mut(side) {
                    *sender = Some(index);
                }
                Progress::Incomplete
            }
            RESPONSE => {
                let is_reply = others.is_some() && datagram.array(8) == *others;
                if is_reply || ends_with_zeros(datagram) {
                    is(Some(1 - side.min(1)))
                } else {
                    Progress::Incomplete
                }
            }
            COOKIE_REPLY => match others {
                Some(sender) if *sender == index => is(Some(1 - side.min(1))),
                _ => Progress::Incomplete,
            },
            _ => self.data(side, datagram),
        }
    }

    fn data(&mut self, side: Side, datagram: &Datagram<'_>) -> Progress<Recognised> {
        let (Some(header), Some(counter)) = (datagram.array::<8>(0), datagram.array::<8>(8)) else {
            return Progress::Reject(None);
        };
        let counter = u64::from_le_bytes(counter);
        let Some(last) = self.data.get_mut(side).filter(|_| counter < COUNTER_MAX) else {
            return Progress::Reject(None);
        };
        let goes_on = last.replace((header, counter)).is_some_and(|(known, before)| {
            known == header && counter > before && counter - before <= COUNTER_STEP_MAX
        });
        if let Some(rising) = self.rising.get_mut(side) {
            *rising = if goes_on { rising.saturating_add(1) } else { 1 };
        }
        // An index is each receiver's own.
        let both = match self.data {
            [Some((one, _)), Some((other, _))] => one != other,
            _ => false,
        };
        let is_plain = header.starts_with(&[DATA, 0, 0, 0])
            || matches!(header, [DATA_OF_WARP, a, b, c, ..] if self.number == Some([a, b, c]));
        let most = self.rising.iter().copied().max().unwrap_or_default();
        if most >= if both || is_plain { DATA_TELL } else { DATA_TELL_ALONE } {
            let protocol = TunnelProtocol::WireGuard;
            return Progress::Complete(Recognised { protocol, client: None });
        }
        Progress::Incomplete
    }
}

/// Whether the message ends with a mac2 of zeros: no cookie was asked for.
fn ends_with_zeros(datagram: &Datagram<'_>) -> bool {
    datagram.is_whole() && datagram.bytes.ends_with(&[0; MAC_2_LENGTH])
}

#[cfg(test)]
mod tests {
    use super::super::testing::{run, whole};
    use super::*;

    /// A message of this type and length with these indices behind the header.
    fn message(kind: u8, length: usize, indices: &[u32], mac_2: u8) -> Vec<u8> {
        let mut bytes = vec![kind, 0, 0, 0];
        bytes.extend(indices.iter().flat_map(|index| index.to_le_bytes()));
        bytes.resize(length - MAC_2_LENGTH, 0x5a);
        bytes.resize(length, mac_2);
        bytes
    }

    fn data(index: u32, counter: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![4, 0, 0, 0];
        bytes.extend(index.to_le_bytes());
        bytes.extend(counter.to_le_bytes());
        bytes.resize(length, 0xa5);
        bytes
    }

    #[test]
    fn an_initiation_without_cookie_is_enough() {
        let initiation = message(INITIATION, INITIATION_LENGTH, &[7], 0);
        let found = Some((TunnelProtocol::WireGuard, Some(1), 0));
        assert_eq!(run(&[(1, whole(&initiation))]), found);
        let response = message(RESPONSE, RESPONSE_LENGTH, &[9, 7], 0);
        assert_eq!(run(&[(1, whole(&response))]), Some((TunnelProtocol::WireGuard, Some(0), 0)));
    }

    #[test]
    fn with_cookies_the_reply_must_name_the_sender() {
        let initiation = message(INITIATION, INITIATION_LENGTH, &[7], 1);
        let right = message(RESPONSE, RESPONSE_LENGTH, &[9, 7], 1);
        let wrong = message(RESPONSE, RESPONSE_LENGTH, &[9, 8], 1);
        let cookie = message(COOKIE_REPLY, COOKIE_REPLY_LENGTH, &[7], 1);
        let flow = |reply| run(&[(0, whole(&initiation)), (1, whole(reply))]);
        assert_eq!(flow(&right), Some((TunnelProtocol::WireGuard, Some(0), 1)));
        assert_eq!(flow(&cookie), Some((TunnelProtocol::WireGuard, Some(0), 1)));
        assert_eq!(flow(&wrong), None);
        assert_eq!(run(&[(0, whole(&right)), (0, whole(&right))]), None);
    }

    #[test]
    fn in_the_middle_of_a_tunnel_the_counters_tell() {
        // (side, index, counter)
        let flow = |shown: &[(usize, u32, u64)]| {
            let bytes: Vec<_> =
                shown.iter().map(|&(_, index, counter)| data(index, counter, 128)).collect();
            let sides = shown.iter().map(|(side, ..)| *side);
            let shown: Vec<_> =
                sides.zip(&bytes).map(|(side, bytes)| (side, whole(bytes))).collect();
            run(&shown)
        };
        let is = |at| Some((TunnelProtocol::WireGuard, None, at));
        assert_eq!(flow(&[(0, 3, 5), (1, 9, 70), (0, 3, 7), (0, 3, 8)]), is(3));
        assert_eq!(flow(&[(0, 3, 5), (0, 3, 6), (0, 3, 7)]), is(2));
        // With a provider's number in the reserved bytes it takes more, or the other side.
        let marked = |count: u64| -> Vec<Vec<u8>> {
            (0..count)
                .map(|n| data(3, n, 64))
                .map(|mut bytes| {
                    bytes[1] = 7;
                    bytes
                })
                .collect()
        };
        let (eight, other) = (marked(8), marked(1));
        let shown: Vec<_> = eight.iter().map(|bytes| (0, whole(bytes))).collect();
        assert_eq!((run(&shown), run(&shown[..7])), (is(7), None));
        let mut other = other[0].clone();
        other[4] = 9;
        let both: Vec<_> = shown[..3].iter().copied().chain([(1, whole(&other))]).collect();
        assert_eq!(run(&both), is(3));
        // Two, the same, falling, of other indices, too far, too high; and an index of both.
        for [two, three, other] in [
            [(0, 3, 7), (1, 9, 1), (1, 9, 1)],
            [(0, 3, 5), (0, 3, 6), (1, 9, 1)],
            [(0, 3, 4), (0, 3, 3), (1, 9, 1)],
            [(0, 4, 6), (0, 3, 7), (1, 9, 1)],
            [(0, 3, 7), (0, 3, 1 << 17), (1, 9, 1)],
            [(0, 3, 1 << 50), (0, 3, (1 << 50) + 1), (1, 9, 1)],
        ] {
            assert_eq!(flow(&[(0, 3, 5), two, three, other]), None, "{two:?} {three:?} {other:?}");
        }
    }

    #[test]
    fn warp_marks_its_data_and_does_not_pad() {
        // The beginnings of nDPI's capture cloudflare-warp.pcap, behind its handshake.
        let data = |index: u32, counter: u64, length| {
            let mut bytes = data(index, counter, length);
            bytes[..4].copy_from_slice(&[0xc4, 0x02, 0x78, 0]);
            bytes
        };
        let (client, server) = (0x00ee_8468, 0x0183_9068);
        let handshake = |head: [u8; 5], length| {
            let mut bytes = head.to_vec();
            bytes.resize(length, 0x5a);
            bytes
        };
        let shown = [
            (0, handshake([0xc1, 0, 0, 0, 0x90], 194)),
            (1, handshake([0xc2, 0x02, 0x78, 0, 0x68], 778)),
            (0, data(client, 1, 84)),
            (0, data(client, 2, 92)),
            (0, data(client, 3, 104)),
            (1, data(server, 0, 84)),
        ];
        let flow = |shown: &[(Side, Vec<u8>)]| {
            let shown: Vec<_> = shown.iter().map(|(side, bytes)| (*side, whole(bytes))).collect();
            run(&shown)
        };
        assert_eq!(flow(&shown), Some((TunnelProtocol::WireGuard, None, 4)));
        assert_eq!(flow(&shown[..4]), None);
        assert_eq!(flow(&shown[2..]), Some((TunnelProtocol::WireGuard, None, 3)));
        // Long headers of QUIC have no number that goes up there.
        let long =
            |fill: u8| [&[0xc4, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8][..], &[fill; 80]].concat();
        assert_eq!(flow(&[(0, long(1)), (0, long(2)), (0, long(3)), (1, long(4))]), None);
    }

    #[test]
    fn other_lengths_are_other_protocols() {
        let initiation = message(INITIATION, 123, &[7], 0);
        assert_eq!(run(&[(0, whole(&initiation))]), None);
        let odd = [data(3, 5, 129), data(3, 6, 129)];
        assert_eq!(run(&[(0, whole(&odd[0])), (0, whole(&odd[1]))]), None);
    }

    #[test]
    fn a_cut_initiation_needs_its_response() {
        let initiation = message(INITIATION, INITIATION_LENGTH, &[7], 0);
        let response = message(RESPONSE, RESPONSE_LENGTH, &[9, 7], 0);
        let cut = |bytes: &'static [u8], length| super::super::Datagram {
            bytes,
            length,
            is_nat_traversal: false,
            is_zerotier: false,
        };
        let (one, two): (&'static [u8], &'static [u8]) =
            (initiation.leak().split_at(60).0, response.leak().split_at(60).0);
        let flow = [(0, cut(one, INITIATION_LENGTH)), (1, cut(two, RESPONSE_LENGTH))];
        assert_eq!(run(&flow[..1]), None);
        assert_eq!(run(&flow), Some((TunnelProtocol::WireGuard, Some(0), 1)));
    }
}
