//! OpenVPN's control channel ("OpenVPN Wire Protocol", draft-openvpn-wire-protocol, 4), over UDP
//! and, behind a length, over TCP.
//!
//! A packet begins with its kind (five bits) and a key's number (three), then the sender's session
//! id. The client begins with a hard reset, the server answers with its own; after that both send
//! control packets and acknowledgements under the same ids. In the middle of a tunnel, data shows
//! the peer's number and its own (draft, 5.3): a number that goes up under one peer tells.
//!
//! A patch in wide use scrambles packets with a secret whose first byte always meets the first
//! byte. Lengths stay as they are, so that the handshake shows all the same: two resets of lengths
//! that belong together, whose first bytes differ as the resets' do, and behind them first bytes
//! that are all those of control packets under one key. Other scrambling stays unseen.

use super::{Datagram, Recognised, Side, TunnelProtocol};
use crate::dissect::Progress;

/// Kinds of packets, where they stand in the first byte, with the key number 0.
mod kind {
    pub(super) const RESET_CLIENT_V1: u8 = 1 << 3;
    pub(super) const RESET_SERVER_V1: u8 = 2 << 3;
    pub(super) const CONTROL_V1: u8 = 4 << 3;
    pub(super) const ACKNOWLEDGEMENT_V1: u8 = 5 << 3;
    pub(super) const RESET_CLIENT_V2: u8 = 7 << 3;
    pub(super) const RESET_SERVER_V2: u8 = 8 << 3;
    pub(super) const RESET_CLIENT_V3: u8 = 10 << 3;
    /// Control packet with the client's key of tls-crypt-v2.
    pub(super) const CONTROL_WRAPPED: u8 = 11 << 3;
}

/// A client's hard reset without authentication: kind, session id, no acknowledgement, number.
const RESET_LENGTH: usize = 14;
/// A client's hard reset with an HMAC of 16 to 64 bytes and a packet number with time; that of
/// tls-crypt is as long as that of SHA-256.
const RESET_LENGTHS: [usize; 7] = [RESET_LENGTH, 38, 42, 50, 54, 70, 86];
/// A server's acknowledges one packet, by number and session id.
const ACKNOWLEDGED_LENGTH: usize = 12;
/// The longest packet of the control channel that is waited for.
const LENGTH_MAX: usize = 2048;
/// The length before a packet in TCP, kind and session id.
const RECORD_PREFIX_LENGTH: usize = 2 + 9;
/// Scrambled packets behind the resets that have to be of the control channel.
const SCRAMBLED_MIN: u8 = 3;

/// The beginning of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    first: u8,
    session: [u8; 8],
    length: usize,
}

impl Packet {
    /// What a datagram begins with.
    pub(super) fn of(datagram: &Datagram<'_>) -> Option<Packet> {
        let (first, session) = (*datagram.bytes.first()?, datagram.array(1)?);
        let length = datagram.length;
        (length >= RESET_LENGTH).then_some(Packet { first, session, length })
    }

    fn client_reset(&self) -> bool {
        use kind::{RESET_CLIENT_V1, RESET_CLIENT_V2, RESET_CLIENT_V3};
        matches!(self.first, RESET_CLIENT_V1 | RESET_CLIENT_V2 | RESET_CLIENT_V3)
    }

    fn server_reset(&self) -> bool {
        matches!(self.first, kind::RESET_SERVER_V1 | kind::RESET_SERVER_V2)
    }

    fn is_reset(&self) -> bool {
        self.client_reset() || self.server_reset()
    }

    /// Whether it may follow a reset; the key's number is 0 as long as one negotiates.
    fn follows_reset(&self) -> bool {
        use kind::{ACKNOWLEDGEMENT_V1, CONTROL_V1, CONTROL_WRAPPED};
        matches!(self.first, CONTROL_V1 | ACKNOWLEDGEMENT_V1 | CONTROL_WRAPPED)
    }

    fn has_session(&self) -> bool {
        self.session != [0; 8] && self.session != [0xff; 8]
    }

    /// Whether it has the length of a reset, the client's or the server's.
    fn has_reset_length(&self) -> bool {
        let is_known = |length| RESET_LENGTHS.contains(&length);
        is_known(self.length) || self.length.checked_sub(ACKNOWLEDGED_LENGTH).is_some_and(is_known)
    }
}

/// A packet in a TCP stream and the bytes of it with its length.
pub(crate) enum Record {
    /// None.
    No,
    /// More bytes are needed, this many.
    Incomplete(usize),
    /// One.
    Packet(Packet, u64),
}

/// The packet with which `bytes` begin.
pub(crate) fn record(bytes: &[u8]) -> Record {
    let Some(&[high, low]) = bytes.first_chunk() else {
        return Record::Incomplete(RECORD_PREFIX_LENGTH);
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if !(RESET_LENGTH..=LENGTH_MAX).contains(&length) {
        return Record::No;
    }
    match bytes.get(2..RECORD_PREFIX_LENGTH).and_then(|packet| packet.split_first()) {
        Some((&first, session)) => match session.try_into() {
            Ok(session) => Record::Packet(Packet { first, session, length }, 2 + length as u64),
            Err(_) => Record::No,
        },
        None => Record::Incomplete(RECORD_PREFIX_LENGTH),
    }
}

/// Whether a stream may begin like this; any longer beginning answers at most as often with yes.
pub(crate) fn may_be_stream(bytes: &[u8]) -> bool {
    let may_be_length = |high, low| {
        (RESET_LENGTH..=LENGTH_MAX).contains(&usize::from(u16::from_be_bytes([high, low])))
    };
    let (high, low, first) = match *bytes {
        [] => return true,
        [high] => return may_be_length(high, 0) || may_be_length(high, u8::MAX),
        [high, low] => return may_be_length(high, low),
        [high, low, first, ..] => (high, low, first),
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    let packet = Packet { first, session: [0; 8], length };
    // Only the reset that brings a key along is longer than 255 bytes.
    let may_be_first = match high {
        0 => packet.is_reset() || packet.has_reset_length(),
        _ => first == kind::RESET_CLIENT_V3,
    };
    may_be_length(high, low) && may_be_first
}

/// Whether a stream may begin with this packet.
pub(crate) fn may_begin_stream(packet: &Packet) -> bool {
    packet.has_session() && (packet.is_reset() || packet.has_reset_length())
}

/// Whether a flow may begin with this datagram.
pub(super) fn may_begin(datagram: &Datagram<'_>) -> bool {
    Packet::of(datagram).is_some_and(|packet| may_begin_stream(&packet))
}

/// What was seen of the handshake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Handshake {
    /// The first packet of each side.
    first: [Option<Packet>; 2],
    /// Scrambled packets that fit, and the kinds among them: 1 control, 2 acknowledgement.
    scrambled: u8,
    kinds: u8,
    /// Whether something came that no scrambled control packet is.
    is_ruled_out: bool,
}

impl Handshake {
    /// Takes a packet of a side; `body` is what there is of it, if that is at hand.
    pub fn packet(&mut self, side: Side, packet: Packet, body: &[u8]) -> Progress<Recognised> {
        let other = self.first.get(1 - side.min(1)).copied().flatten();
        let Some(slot) = self.first.get_mut(side) else { return Progress::Reject(None) };
        let Some(first) = *slot else {
            if !may_begin_stream(&packet) {
                return Progress::Reject(None);
            }
            *slot = Some(packet);
            let answers = other.is_some_and(|other| {
                other.client_reset() && packet.server_reset() && names(body, other.session)
            });
            return if answers { is(1 - side.min(1)) } else { Progress::Incomplete };
        };
        if packet.first == first.first {
            return Progress::Incomplete; // Sent again.
        }
        if first.is_reset() && packet.session == first.session && packet.follows_reset() {
            return is(if first.client_reset() { side } else { 1 - side.min(1) });
        }
        let [Some(one), Some(two)] = self.first else { return Progress::Incomplete };
        let Some((client, key)) = scrambled_client(&one, &two).filter(|_| !self.is_ruled_out)
        else {
            self.is_ruled_out = true;
            return Progress::Reject(None);
        };
        self.kinds |= match packet.first ^ key {
            kind::CONTROL_V1 => 1,
            kind::ACKNOWLEDGEMENT_V1 => 2,
            _ => {
                self.is_ruled_out = true;
                return Progress::Reject(None);
            }
        };
        self.scrambled += 1;
        let is_sure = self.scrambled >= SCRAMBLED_MIN && self.kinds == 3;
        if is_sure { is(client) } else { Progress::Incomplete }
    }
}

/// Data of the second form: kind and key, peer, number, and at least a tag.
const DATA_V2: u8 = 9 << 3;
const KEY_MASK: u8 = 7;
const DATA_LENGTH_MIN: usize = 24;
/// How far the numbers of two packets one after the other may be apart.
const STEP_MAX: u32 = 64;
/// Packets of a side whose numbers have to go on.
const DATA_MIN: u8 = 3;

/// Whether a datagram may be data.
pub(super) fn may_be_data(datagram: &Datagram<'_>) -> bool {
    let kind = datagram.bytes.first().map(|first| first & !KEY_MASK);
    kind == Some(DATA_V2) && datagram.length >= DATA_LENGTH_MIN
}

/// Kind, key and peer of each side's last data, its number, and how many went on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters([Option<([u8; 4], u32, u8)>; 2]);

impl Counters {
    /// Takes a datagram of a side.
    pub(super) fn datagram(&mut self, side: Side, datagram: &Datagram<'_>) -> Progress<Recognised> {
        let (Some(peer), Some(number)) = (datagram.array::<4>(0), datagram.array::<4>(4)) else {
            return Progress::Reject(None);
        };
        let number = u32::from_be_bytes(number);
        let Some(last) = self.0.get_mut(side).filter(|_| may_be_data(datagram)) else {
            return Progress::Reject(None);
        };
        let count = match *last {
            Some((known, before, count)) if known == peer && number > before => {
                if number - before > STEP_MAX {
                    return Progress::Reject(None);
                }
                count + 1
            }
            // Overtaken by another, or the other key.
            Some((.., count)) => count.min(1),
            None => 1,
        };
        *last = Some((peer, number, count));
        if count < DATA_MIN {
            return Progress::Incomplete;
        }
        Progress::Complete(Recognised { protocol: TunnelProtocol::OpenVpn, client: None })
    }
}

fn is(client: Side) -> Progress<Recognised> {
    let protocol = TunnelProtocol::OpenVpn;
    Progress::Complete(Recognised { protocol, client: Some(client) })
}

/// Whether a packet names this session id behind its own.
fn names(body: &[u8], session: [u8; 8]) -> bool {
    body.get(9..).is_some_and(|rest| rest.windows(8).any(|window| window == session))
}

/// The client's side and the byte that scrambles first bytes, where two packets are resets that
/// belong together.
fn scrambled_client(one: &Packet, two: &Packet) -> Option<(Side, u8)> {
    let pair = |client: &Packet, server: &Packet| {
        let key = client.first ^ kind::RESET_CLIENT_V2;
        let fits = RESET_LENGTHS.contains(&client.length)
            && server.length == client.length + ACKNOWLEDGED_LENGTH
            && server.first ^ key == kind::RESET_SERVER_V2;
        fits.then_some(key)
    };
    pair(one, two).map(|key| (0, key)).or_else(|| pair(two, one).map(|key| (1, key)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{bytes_of, run, whole};
    use super::*;

    #[test]
    fn in_the_middle_of_a_tunnel_numbers_tell() {
        let data = |peer: u8, number: u32| {
            let mut bytes = vec![0x48, 0, 0, peer];
            bytes.extend(number.to_be_bytes());
            bytes.resize(120, 0x9c);
            bytes
        };
        let flow = |numbers: [(u8, u32); 3]| {
            let packets = numbers.map(|(peer, number)| data(peer, number));
            run(&packets.each_ref().map(|bytes| (1, whole(bytes))))
        };
        let found = Some((TunnelProtocol::OpenVpn, None, 2));
        assert_eq!(flow([(0, 500), (0, 501), (0, 502)]), found);
        assert_eq!(flow([(0, 500), (0, 502), (0, 501)]), None);
        assert_eq!(flow([(0, 500), (1, 501), (0, 502)]), None);
        assert_eq!(flow([(0, 500), (0, 600), (0, 601)]), None);
        assert_eq!(flow([(0, 500), (0, 500), (0, 500)]), None);
    }

    /// tls-auth with SHA-256 (Corelight's capture openvpn_udp_hmac_256.pcap), its first packets.
    fn resets() -> [Vec<u8>; 3] {
        let mut client = bytes_of("38a5f634996d295c25");
        client.resize(54, 0xba);
        let mut server = bytes_of("407edee5b2e2c1287e");
        server.resize(50, 0x5a);
        server.extend(bytes_of("0100000000a5f634996d295c2500000000"));
        server.truncate(66);
        let mut control = bytes_of("20a5f634996d295c25");
        control.resize(343, 0x1a);
        [client, server, control]
    }

    const FOUND: Option<(TunnelProtocol, Option<Side>, usize)> =
        Some((TunnelProtocol::OpenVpn, Some(0), 1));

    #[test]
    fn a_reset_and_what_answers_it() {
        let [client, server, control] = resets();
        assert_eq!(run(&[(0, whole(&client)), (1, whole(&server))]), FOUND);
        // The direction back is not seen.
        assert_eq!(run(&[(0, whole(&client)), (0, whole(&control))]), FOUND);
        assert_eq!(run(&[(0, whole(&client)), (0, whole(&client)), (0, whole(&client))]), None);
        // Another id is another session.
        let mut other = control;
        other[4] ^= 1;
        assert_eq!(run(&[(0, whole(&client)), (0, whole(&other))]), None);
    }

    #[test]
    fn tls_crypt_hides_the_answer_but_not_the_ids() {
        let [client, mut server, control] = resets();
        server[9..].fill(0x33);
        let flow = [(0, whole(&client)), (1, whole(&server)), (0, whole(&control))];
        assert_eq!(run(&flow[..2]), None);
        assert_eq!(run(&flow), Some((TunnelProtocol::OpenVpn, Some(0), 2)));
        let back = [(1, whole(&client)), (0, whole(&server)), (1, whole(&control))];
        assert_eq!(run(&back), Some((TunnelProtocol::OpenVpn, Some(1), 2)));
    }

    /// Packets of a scrambled handshake: kinds and lengths as on the wire (nDPI's capture
    /// openvpn_obfuscated.pcapng), everything else noise.
    fn scrambled(key: u8, kinds: &[(Side, u8, usize)]) -> Vec<(Side, Vec<u8>)> {
        let mut noise = 1u8;
        let mut fill = || {
            noise = noise.wrapping_mul(57).wrapping_add(13);
            noise
        };
        kinds
            .iter()
            .map(|&(side, kind, length)| {
                let mut bytes: Vec<u8> = (0..length).map(|_| fill()).collect();
                bytes[0] = kind ^ key;
                (side, bytes)
            })
            .collect()
    }

    #[test]
    fn a_scrambled_handshake_shows_by_its_first_bytes() {
        use kind::{ACKNOWLEDGEMENT_V1, CONTROL_V1, RESET_CLIENT_V2, RESET_SERVER_V2};
        let kinds = [
            (0, RESET_CLIENT_V2, 86),
            (1, RESET_SERVER_V2, 98),
            (0, CONTROL_V1, 375),
            (1, ACKNOWLEDGEMENT_V1, 94),
            (1, CONTROL_V1, 1112),
        ];
        let of = |kinds: &[(Side, u8, usize)]| {
            let packets = scrambled(0x74, kinds);
            let shown: Vec<_> = packets.iter().map(|(side, b)| (*side, whole(b))).collect();
            run(&shown)
        };
        assert_eq!(of(&kinds), Some((TunnelProtocol::OpenVpn, Some(0), 4)));
        assert_eq!(of(&kinds[..4]), None);
        let mut other_length = kinds;
        other_length[1].2 = 97;
        assert_eq!(of(&other_length), None);
        let mut other_kind = kinds;
        other_kind[3].1 = 9 << 3;
        assert_eq!(of(&other_kind), None);
    }

    #[test]
    fn a_record_waits_for_its_ids() {
        let record_of = |bytes: &[u8]| match record(bytes) {
            Record::No => "no".to_owned(),
            Record::Incomplete(wanted) => format!("wants {wanted}"),
            Record::Packet(packet, length) => format!("{:#x} {length}", packet.first),
        };
        let bytes = bytes_of("000e38507a28a78275788d0000000000");
        assert_eq!(record_of(&bytes), "0x38 16");
        for end in 2..RECORD_PREFIX_LENGTH {
            assert_eq!(record_of(&bytes[..end]), "wants 11");
        }
        assert_eq!(record_of(&bytes_of("000d38507a28a78275788d")), "no");
        assert_eq!(record_of(&bytes_of("ffff38507a28a78275788d")), "no");
    }

    proptest! {
        #[test]
        fn nothing_panics_and_noise_is_no_handshake(
            packets in proptest::collection::vec((0..2usize, any::<u8>(), any::<[u8; 8]>(), 0..200usize), 0..12),
        ) {
            let mut handshake = Handshake::default();
            for (side, first, session, length) in packets {
                let found = handshake.packet(side, Packet { first, session, length }, &[]);
                prop_assert!(!matches!(found, Progress::Complete(_)));
            }
        }
    }
}
