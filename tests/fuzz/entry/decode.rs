//! Frames of every link type, raw or built, and datagrams that were put together.

use shadowscope::decode::{self, Outcome, Undecodable};
use shadowscope::packet::{LinkType, Packet};

use super::choices::Choices;
use super::frame;

/// Apple's packet tap: a header that names the link type of what follows.
const PACKET_TAP_LENGTH: usize = 108;

/// Two bytes say of what kind the frame is, two how much of it the capture cut off.
pub(crate) fn run(data: &[u8]) {
    let mut choices = Choices(data);
    let (mode, link) = (choices.byte(), choices.byte());
    let missing = u32::from(choices.number());
    let missing = if missing & 0x8000 == 0 { 0 } else { missing & 0x7fff };
    if mode % 2 == 0 {
        // Two link types that are decoded have numbers beyond a byte.
        let link = match link {
            254 => LinkType::PKTAP,
            255 => LinkType::LINUX_SLL2,
            number => LinkType(u16::from(number)),
        };
        check(link, choices.0, missing);
    } else {
        let (link, bytes) = frame::generate(&mut choices);
        check(link, &bytes, missing);
    }
}

fn check(link: LinkType, frame: &[u8], missing: u32) {
    let wire_length = frame.len() as u32 + missing;
    let mut packet = Packet::default();
    let outcome = decode::decode(link, frame, wire_length, &mut packet);
    match outcome {
        Outcome::Packet => check_packet(frame, wire_length, &packet),
        Outcome::NonIp { bytes } | Outcome::Undecodable { bytes, .. } => {
            assert!(bytes <= wire_length);
        }
    }
    if link == LinkType::ETHERNET {
        straight_code_and_walk_agree(frame, wire_length, outcome, &packet);
    }
}

fn check_packet(frame: &[u8], wire_length: u32, packet: &Packet) {
    if decode::is_inflated(packet) {
        let mut buffer = [0; decode::INFLATED_BYTES_MAX];
        let payload = decode::inflated_payload(packet, frame, &mut buffer);
        assert_eq!(payload.len(), packet.payload_captured as usize);
        assert!(u64::from(packet.bytes) + u64::from(packet.outer_bytes) <= u64::from(wire_length));
        return;
    }
    let start = packet.payload_offset as usize;
    let end = start + packet.payload_captured as usize;
    assert!(end <= frame.len());
    assert!(packet.payload_captured <= packet.payload_length);
    assert!(packet.payload_length <= packet.bytes);
    assert!(u64::from(packet.bytes) + u64::from(packet.outer_bytes) <= u64::from(wire_length));
    let data = start.checked_sub(usize::from(packet.transport_header)).expect("a header in front");
    decode::needs_whole_datagram(packet);

    // Whatever it is, taken as the data of a datagram that came in pieces.
    let data = &frame[data..end];
    let bytes = data.len() as u32 + 20;
    let datagram = Packet { bytes, outer_bytes: 20, ..*packet };
    let mut whole = Packet::default();
    match decode::decode_reassembled(data, &datagram, &mut whole) {
        Outcome::Packet => {
            assert_eq!(whole.bytes + whole.outer_bytes, bytes + 20);
            if decode::is_inflated(&whole) {
                return;
            }
            assert!(whole.payload_offset as usize + whole.payload_captured as usize <= data.len());
            assert!(whole.transport_header as u32 <= whole.payload_offset);
        }
        Outcome::NonIp { bytes: counted } | Outcome::Undecodable { bytes: counted, .. } => {
            assert_eq!(counted, bytes + 20);
        }
    }
}

/// What is in a packet tap is always walked, header by header.
fn straight_code_and_walk_agree(frame: &[u8], wire_length: u32, outcome: Outcome, packet: &Packet) {
    let mut tapped = vec![0; PACKET_TAP_LENGTH];
    tapped[0] = PACKET_TAP_LENGTH as u8;
    tapped[4] = 1; // a packet follows
    tapped[8] = 1; // Ethernet
    tapped.extend(frame);
    let mut walked = Packet::default();
    let wire_length = wire_length + PACKET_TAP_LENGTH as u32;
    let walked_outcome = decode::decode(LinkType::PKTAP, &tapped, wire_length, &mut walked);
    if matches!(walked_outcome, Outcome::Undecodable { reason: Undecodable::TooDeep, .. }) {
        return; // The tap is one header more.
    }
    assert_eq!(walked_outcome, outcome);
    if outcome == Outcome::Packet {
        match decode::is_inflated(&walked) {
            true => walked.fragment_offset -= PACKET_TAP_LENGTH as u16,
            false => walked.payload_offset -= PACKET_TAP_LENGTH as u32,
        }
        walked.ethernet = packet.ethernet;
        assert_eq!(walked, *packet);
    }
}
