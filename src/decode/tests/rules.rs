//! Lengths, cuts, fragments and the books.

use super::super::{ENCAPSULATION_LAYERS_MAX, decode_reassembled, needs_whole_datagram};
use super::*;
use crate::packet::{Fragment, TcpFlags};

const ETHERNET: LinkType = LinkType::ETHERNET;

/// As [`decoded`], of a frame whose capture lacks the end.
fn decoded_cut(frame: &[u8], length: usize) -> (Outcome, Packet) {
    let mut packet = Packet::default();
    let outcome = decode(ETHERNET, &frame[..length], frame.len() as u32, &mut packet);
    (outcome, packet)
}

#[test]
fn all_fields_of_a_tcp_segment() {
    let frame = ethernet(0x0800, &inner());
    let expected = Packet {
        source: Address::v4(CLIENT),
        destination: Address::v4(SERVER),
        source_port: 40000,
        destination_port: 443,
        protocol: protocol::TCP,
        flags: TcpFlags(TcpFlags::PSH | TcpFlags::ACK),
        fragment: Fragment::Whole,
        time_to_live: 63,
        sequence: 0x1112_1314,
        acknowledgement: 0x2122_2324,
        bytes: 20 + 24 + 17,
        outer_bytes: 0,
        payload_offset: 14 + 20 + 24,
        payload_captured: 17,
        payload_length: 17,
        identification: 0x1234,
        fragment_offset: 0,
        transport_header: 24,
        more_fragments: false,
        checksum: 0xabcd,
        ethernet: true,
    };
    assert_eq!(packet_of(ETHERNET, &frame), expected);
}

#[test]
fn an_unset_or_too_large_ip_length_takes_the_wires() {
    for stated in [[0, 0], [0xff, 0xff]] {
        let mut frame = ethernet(0x0800, &inner());
        frame[16..18].copy_from_slice(&stated);
        let packet = assert_inner(ETHERNET, &frame);
        assert_eq!(packet.bytes as usize, frame.len() - 14);
        let (_, packet) = decoded_cut(&frame, frame.len() - 10);
        assert_eq!(packet.bytes as usize, frame.len() - 14);
        assert_eq!(packet.payload_length, 17);
        assert_eq!(packet.payload_captured, 7);
    }
    for stated in [[0, 0], [0xff, 0xff]] {
        let mut frame = ethernet(0x86dd, &inner_6());
        frame[18..20].copy_from_slice(&stated);
        assert_inner(ETHERNET, &frame);
    }
}

#[test]
fn a_udp_length_of_zero_takes_all() {
    let mut frame = ethernet(0x86dd, &inner_6());
    frame[14 + 40 + 4..14 + 40 + 6].fill(0);
    assert_inner(ETHERNET, &frame);
    frame[14 + 40 + 5] = 7;
    assert_undecodable(ETHERNET, &frame, Undecodable::Malformed, inner_6().len());
}

#[test]
fn what_udp_leaves_over_is_no_payload() {
    let datagram = concat(&[&udp(PORTS, PAYLOAD), b"surplus"]);
    let frame = ethernet(0x86dd, &ipv6(protocol::UDP, &datagram));
    let packet = packet_of(ETHERNET, &frame);
    assert_eq!(payload_of(&frame, &packet), PAYLOAD);
    assert_eq!(packet.bytes as usize, 40 + datagram.len());
}

#[test]
fn a_cut_tcp_header_is_enough_down_to_its_flags() {
    let frame = ethernet(0x0800, &inner());
    for length in 34 + 14..34 + 24 {
        let (outcome, packet) = decoded_cut(&frame, length);
        assert_eq!(outcome, Outcome::Packet);
        assert_eq!((packet.source_port, packet.destination_port), PORTS);
        assert_eq!(packet.flags, TcpFlags(TcpFlags::PSH | TcpFlags::ACK));
        assert_eq!(packet.sequence, 0x1112_1314);
        assert_eq!(packet.checksum, if length < 34 + 18 { 0 } else { 0xabcd });
        assert_eq!((packet.payload_length, packet.payload_captured), (17, 0));
        assert_eq!(packet.payload_offset as usize, length);
    }
    for length in 34..34 + 14 {
        let bytes = inner().len() as u32;
        let reason = Undecodable::Truncated;
        assert_eq!(decoded_cut(&frame, length).0, Outcome::Undecodable { reason, bytes });
    }
}

#[test]
fn a_cut_udp_header_is_enough_down_to_its_ports() {
    let frame = ethernet(0x86dd, &inner_6());
    for length in 54 + 4..54 + 8 {
        let (outcome, packet) = decoded_cut(&frame, length);
        assert_eq!(outcome, Outcome::Packet);
        assert_eq!((packet.source_port, packet.destination_port), PORTS);
        assert_eq!((packet.payload_length, packet.payload_captured), (17, 0));
    }
    let reason = Undecodable::Truncated;
    let bytes = inner_6().len() as u32;
    assert_eq!(decoded_cut(&frame, 54 + 3).0, Outcome::Undecodable { reason, bytes });
}

#[test]
fn headers_that_contradict_themselves_are_malformed() {
    let good = ethernet(0x0800, &inner());
    let all = good.len() - 14;
    // IP header length under 20, IP version 5, IP length under the header's, TCP header length
    // under 20, TCP header behind the packet's end.
    for (position, value, bytes) in
        [(14, 0x44, all), (14, 0x55, all), (17, 19, all), (46, 0x40, all), (46, 0xf0, all)]
    {
        let mut frame = good.clone();
        frame[position] = value;
        assert_undecodable(ETHERNET, &frame, Undecodable::Malformed, bytes);
    }
}

#[test]
fn bytes_of_what_is_not_ip_stand_behind_the_link_header() {
    assert_non_ip(ETHERNET, &ethernet(0x0806, &[0; 46]), 46);
    assert_non_ip(ETHERNET, &ethernet(0x8100, &concat(&[&[0, 5, 8, 6], &[0; 28]])), 28);
    let spanning_tree = ethernet(38, &concat(&[&[0x42, 0x42, 3], &[0; 43]]));
    assert_non_ip(ETHERNET, &spanning_tree, 46);
    assert_undecodable(ETHERNET, &[0; 13], Undecodable::Truncated, 13);
    let (outcome, _) = decoded_cut(&ethernet(0x0800, &inner()), 20);
    let bytes = inner().len() as u32;
    assert_eq!(outcome, Outcome::Undecodable { reason: Undecodable::Truncated, bytes });
}

#[test]
fn other_protocols_have_no_ports() {
    let frame = ethernet(0x0800, &ipv4(protocol::ICMP, &[8, 0, 1, 2, 3, 4, 5, 6]));
    let packet = packet_of(ETHERNET, &frame);
    assert_eq!((packet.source_port, packet.destination_port, packet.protocol), (0, 0, 1));
    assert_eq!(payload_of(&frame, &packet), [8, 0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(packet.transport_header, 0);
}

#[test]
fn extension_headers_of_any_number_are_passed() {
    let options = [60, 0, 1, 4, 0, 0, 0, 0];
    let last = [protocol::UDP, 0, 1, 4, 0, 0, 0, 0];
    let chain = concat(&[&options.repeat(30), &last, &udp(PORTS, PAYLOAD)]);
    let frame = ethernet(0x86dd, &ipv6(protocol::HOP_BY_HOP, &chain));
    let packet = packet_of(ETHERNET, &frame);
    assert_eq!(packet.protocol, protocol::UDP);
    assert_eq!(payload_of(&frame, &packet), PAYLOAD);
    // A fragment header of a datagram that is whole (RFC 6946).
    let atomic = concat(&[&[protocol::UDP, 0, 0, 0, 0, 0, 0, 9], &udp(PORTS, PAYLOAD)]);
    let packet = packet_of(ETHERNET, &ethernet(0x86dd, &ipv6(44, &atomic)));
    assert_eq!((packet.fragment, packet.identification), (Fragment::Whole, 9));
    assert_eq!((packet.source_port, packet.destination_port), PORTS);
}

#[test]
fn an_inner_packet_that_cannot_be_read_costs_the_whole_frame() {
    let mut inner = inner();
    inner[0] = 0x42;
    let outer = outer_ipv4(protocol::IPIP, &inner);
    assert_undecodable(ETHERNET, &ethernet(0x0800, &outer), Undecodable::Malformed, outer.len());
}

#[test]
fn what_is_not_ip_leaves_the_tunnels_own_packet() {
    let arp = concat(&[&[0, 0, 0x65, 0x58], &ethernet(0x0806, &[0; 28])]);
    let outer = outer_ipv4(protocol::GRE, &arp);
    let packet = packet_of(ETHERNET, &ethernet(0x0800, &outer));
    assert_eq!((packet.protocol, packet.bytes as usize), (protocol::GRE, outer.len()));
    assert_eq!((packet.outer_bytes, packet.payload_length as usize), (0, arp.len()));
    assert!(packet.ethernet);
}

#[test]
fn a_tunnels_port_alone_makes_no_tunnel() {
    for port in [1701, 2152, 3544, 4789, 4790, 5247, 6081, 8472] {
        for payload in [&b""[..], b"no tunnel, but long enough to hold one's headers, all of them"]
        {
            let frame = ethernet(0x0800, &ipv4(protocol::UDP, &udp((50000, port), payload)));
            let packet = packet_of(ETHERNET, &frame);
            assert_eq!((packet.source_port, packet.destination_port), (50000, port));
            assert_eq!(payload_of(&frame, &packet), payload);
            assert_eq!(packet.outer_bytes, 0);
        }
    }
}

#[test]
fn four_layers_are_read_and_five_are_too_deep() {
    let mut packet = inner();
    for layer in 0..=ENCAPSULATION_LAYERS_MAX {
        let frame = ethernet(0x0800, &packet);
        let decoded = assert_inner(ETHERNET, &frame);
        assert_eq!(decoded.outer_bytes, u32::from(layer) * 20);
        packet = outer_ipv4(protocol::IPIP, &packet);
    }
    let frame = ethernet(0x0800, &packet);
    assert_undecodable(ETHERNET, &frame, Undecodable::TooDeep, packet.len());
    let tags = [0, 5, 0x81, 0].repeat(1000);
    let frame = ethernet(0x8100, &tags);
    let (outcome, _) = decoded(ETHERNET, &frame);
    assert!(matches!(outcome, Outcome::Undecodable { reason: Undecodable::TooDeep, .. }));
}

#[test]
fn fragments_of_ipv4() {
    let datagram = udp(PORTS, PAYLOAD);
    let ends = (CLIENT, SERVER);
    let first = ethernet(0x0800, &ipv4_fragment(ends, protocol::UDP, 0x2000, &[], &datagram[..16]));
    let packet = packet_of(ETHERNET, &first);
    assert_eq!((packet.fragment, packet.more_fragments), (Fragment::First, true));
    assert_eq!((packet.source_port, packet.destination_port), PORTS);
    assert_eq!(payload_of(&first, &packet), &PAYLOAD[..8]);
    assert_eq!((packet.bytes, packet.payload_length, packet.transport_header), (36, 8, 8));
    assert!(!needs_whole_datagram(&packet));

    let later = ethernet(0x0800, &ipv4_fragment(ends, protocol::UDP, 2, &[], &datagram[16..]));
    let packet = packet_of(ETHERNET, &later);
    assert_eq!((packet.fragment, packet.more_fragments), (Fragment::Later, false));
    assert_eq!((packet.fragment_offset, packet.identification), (16, 0x1234));
    assert_eq!((packet.source_port, packet.destination_port, packet.protocol), (0, 0, 17));
    assert_eq!(payload_of(&later, &packet), &PAYLOAD[8..]);
    assert_eq!(packet.transport_header, 0);
}

#[test]
fn fragments_of_ipv6() {
    let datagram = udp(PORTS, PAYLOAD);
    let first = concat(&[&[17, 0, 0, 1, 0, 0, 0, 7], &datagram[..16]]);
    let frame = ethernet(0x86dd, &ipv6(44, &first));
    let packet = packet_of(ETHERNET, &frame);
    assert_eq!((packet.fragment, packet.identification), (Fragment::First, 7));
    assert_eq!(payload_of(&frame, &packet), &PAYLOAD[..8]);
    // Data that looks like another extension header is data.
    let later = concat(&[&[60, 0, 0, 16, 0, 0, 0, 7], &[17, 0, 0, 0, 0, 0, 0, 0]]);
    let frame = ethernet(0x86dd, &ipv6(44, &later));
    let packet = packet_of(ETHERNET, &frame);
    assert_eq!((packet.fragment, packet.fragment_offset), (Fragment::Later, 16));
    assert_eq!((packet.protocol, packet.payload_length), (60, 8));
}

#[test]
fn a_tiny_first_fragment_gives_ports_and_all_its_data() {
    let segment = tcp(PORTS, PAYLOAD);
    let first = ipv4_fragment((CLIENT, SERVER), protocol::TCP, 0x2000, &[], &segment[..8]);
    let frame = ethernet(0x0800, &first);
    let packet = packet_of(ETHERNET, &frame);
    assert_eq!((packet.source_port, packet.destination_port), PORTS);
    assert_eq!((packet.flags, packet.transport_header), (TcpFlags(0), 0));
    assert_eq!(payload_of(&frame, &packet), &segment[..8]);
    assert!(needs_whole_datagram(&packet));
}

#[test]
fn a_reassembled_datagram_gives_what_it_carries() {
    // A VXLAN packet in two fragments.
    let inside = concat(&[&[8, 0, 0, 0, 0, 0, 1, 0], &ethernet(0x0800, &inner())]);
    let datagram = udp((50000, 4789), &inside);
    let ends = ([10, 0, 0, 1], [10, 0, 0, 2]);
    let first = ethernet(0x0800, &ipv4_fragment(ends, protocol::UDP, 0x2000, &[], &datagram[..48]));
    let later = ethernet(0x0800, &ipv4_fragment(ends, protocol::UDP, 6, &[], &datagram[48..]));
    let (first, later) = (packet_of(ETHERNET, &first), packet_of(ETHERNET, &later));
    assert!(needs_whole_datagram(&first));

    let sum = Packet { bytes: first.bytes + later.bytes, ..first };
    let mut packet = Packet::default();
    assert_eq!(decode_reassembled(&datagram, &sum, &mut packet), Outcome::Packet);
    assert_eq!(packet.source, Address::v4(CLIENT));
    assert_eq!((packet.source_port, packet.destination_port), PORTS);
    assert_eq!(payload_of(&datagram, &packet), PAYLOAD);
    assert_eq!(packet.fragment, Fragment::Whole);
    assert_eq!(packet.bytes as usize, inner().len());
    assert_eq!(packet.bytes + packet.outer_bytes, first.bytes + later.bytes);
    assert!(!packet.ethernet);
}

#[test]
fn a_reassembled_datagram_without_tunnel_keeps_its_bytes() {
    let segment = tcp(PORTS, PAYLOAD);
    let datagram = Packet {
        source: Address::v6(CLIENT_6),
        destination: Address::v6(SERVER_6),
        protocol: protocol::TCP,
        bytes: 200,
        outer_bytes: 30,
        ethernet: true,
        ..Packet::default()
    };
    let mut packet = Packet::default();
    assert_eq!(decode_reassembled(&segment, &datagram, &mut packet), Outcome::Packet);
    assert_eq!((packet.bytes, packet.outer_bytes), (200, 30));
    assert_eq!(payload_of(&segment, &packet), PAYLOAD);
    assert_eq!(packet.flags, TcpFlags(TcpFlags::PSH | TcpFlags::ACK));
    let reason = Undecodable::Truncated;
    let bytes = 230;
    assert_eq!(
        decode_reassembled(&segment[..12], &datagram, &mut packet),
        Outcome::Undecodable { reason, bytes }
    );
}
