//! IP Payload Compression: what is inside is found, what cannot be inflated stays as it is.

use std::io::Write;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use proptest::prelude::*;

use super::*;
use crate::decode::{INFLATED_BYTES_MAX, inflated_payload, is_inflated};
use crate::packet::Fragment;

const DEFLATE: u16 = 2;

fn deflated(data: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

/// A packet with protocol 108, in Ethernet, with padding behind it.
fn compressed(next: u8, index: u16, data: &[u8]) -> Vec<u8> {
    let payload = concat(&[&[next, 0], &index.to_be_bytes(), data]);
    concat(&[&ethernet(0x0800, &outer_ipv4(protocol::IPCOMP, &payload)), &[0xee; 6]])
}

fn payload_in(frame: &[u8], packet: &Packet) -> Vec<u8> {
    let mut buffer = [0; INFLATED_BYTES_MAX];
    inflated_payload(packet, frame, &mut buffer).to_vec()
}

#[track_caller]
fn assert_opaque(frame: &[u8]) {
    let packet = packet_of(LinkType::ETHERNET, frame);
    assert_eq!(packet.protocol, protocol::IPCOMP);
    assert!(!is_inflated(&packet));
    assert_eq!((packet.bytes as usize, packet.outer_bytes), (frame.len() - 14 - 6, 0));
    assert_eq!(packet.source, Address::v4([10, 0, 0, 1]));
}

#[test]
fn a_packet_inside_is_found() {
    for index in [DEFLATE, 64, 0xffff] {
        let long = ipv4(protocol::TCP, &tcp(PORTS, &[b'x'; 1000]));
        let frame = compressed(protocol::IPIP, index, &deflated(&long));
        let packet = packet_of(LinkType::ETHERNET, &frame);
        assert_eq!((packet.source, packet.destination), (Address::v4(CLIENT), Address::v4(SERVER)));
        assert_eq!((packet.source_port, packet.destination_port), PORTS);
        assert_eq!((packet.payload_length, packet.payload_captured), (1000, 1000));
        assert_eq!(packet.fragment, Fragment::Whole);
        assert_eq!(payload_in(&frame, &packet), [b'x'; 1000]);
        // The bytes are those on the wire, not what they inflate to.
        assert_eq!(packet.bytes as usize, frame.len() - 14 - 6);
        assert_eq!(packet.outer_bytes, 0);
    }
}

#[test]
fn a_segment_inside_is_found() {
    let frame = compressed(protocol::TCP, DEFLATE, &deflated(&tcp(PORTS, PAYLOAD)));
    let packet = packet_of(LinkType::ETHERNET, &frame);
    assert_eq!(packet.protocol, protocol::TCP);
    assert_eq!(packet.source, Address::v4([10, 0, 0, 1]));
    assert_eq!((packet.sequence, packet.transport_header), (0x1112_1314, 24));
    assert_eq!(payload_in(&frame, &packet), PAYLOAD);
}

#[test]
fn a_tunnel_inside_is_found() {
    let inner = ipv6(protocol::UDP, &udp(PORTS, PAYLOAD));
    let gre = concat(&[&[0, 0, 0x86, 0xdd], &inner]);
    let frame = compressed(protocol::GRE, DEFLATE, &deflated(&gre));
    let packet = packet_of(LinkType::ETHERNET, &frame);
    assert_eq!(packet.source, Address::v6(CLIENT_6));
    assert_eq!(payload_in(&frame, &packet), PAYLOAD);
}

#[test]
fn what_cannot_be_inflated_stays() {
    let segment = tcp(PORTS, PAYLOAD);
    let data = deflated(&segment);
    assert_opaque(&compressed(protocol::TCP, 3, &data)); // LZS
    assert_opaque(&compressed(protocol::TCP, DEFLATE, &data[..data.len() - 1]));
    assert_opaque(&compressed(protocol::TCP, DEFLATE, &[7; 40]));
    assert_opaque(&compressed(protocol::TCP, DEFLATE, &[]));
    // A bomb; and a stream that is one byte too long.
    assert_opaque(&compressed(protocol::UDP, DEFLATE, &deflated(&vec![0; 1 << 20])));
    let most = udp(PORTS, &[0; INFLATED_BYTES_MAX - 8]);
    let frame = compressed(protocol::UDP, DEFLATE, &deflated(&most));
    assert!(is_inflated(&packet_of(LinkType::ETHERNET, &frame)));
    assert_opaque(&compressed(protocol::UDP, DEFLATE, &deflated(&[&most[..], &[0]].concat())));
    // Compressed twice, a fragment inside, a header that is none.
    let twice = concat(&[&[protocol::TCP, 0, 0, 2], &data]);
    let frame = compressed(protocol::IPCOMP, DEFLATE, &deflated(&twice));
    let packet = packet_of(LinkType::ETHERNET, &frame);
    assert_eq!(packet.protocol, protocol::IPCOMP);
    let fragment = ipv4_fragment((CLIENT, SERVER), protocol::UDP, 0x2000, &[], &segment);
    assert_opaque(&compressed(protocol::IPIP, DEFLATE, &deflated(&fragment)));
    assert_opaque(&compressed(protocol::IPIP, DEFLATE, &deflated(&[0x99; 40])));
}

#[test]
fn too_many_layers_are_too_many() {
    let mut packet = inner();
    for _ in 0..5 {
        packet = outer_ipv4(protocol::IPIP, &packet);
    }
    let frame = compressed(protocol::IPIP, DEFLATE, &deflated(&packet));
    assert_undecodable(LinkType::ETHERNET, &frame, Undecodable::TooDeep, frame.len() - 14 - 6);
}

#[test]
fn other_packets_have_no_inflated_payload() {
    let frame = ethernet(0x0800, &inner());
    let packet = packet_of(LinkType::ETHERNET, &frame);
    assert!(!is_inflated(&packet));
    assert_eq!(payload_in(&frame, &packet), b"");
}

proptest! {
    #[test]
    fn cut_and_flipped_it_never_panics(at in 0..400usize, value in any::<u8>()) {
        let long = ipv4(protocol::TCP, &tcp(PORTS, &(0..=255).collect::<Vec<u8>>()));
        let mut frame = compressed(protocol::IPIP, DEFLATE, &deflated(&long));
        let cut = &frame[..at.min(frame.len())];
        let mut packet = Packet::default();
        decode(LinkType::ETHERNET, cut, frame.len() as u32, &mut packet);
        payload_in(cut, &packet);
        if let Some(byte) = frame.get_mut(at) {
            *byte = value;
            decode(LinkType::ETHERNET, &frame, frame.len() as u32, &mut packet);
            payload_in(&frame, &packet);
        }
    }
}
