//! The fast path, the walk and `etherparse` agree.

use etherparse::{LaxSlicedPacket, TransportSlice};
use proptest::prelude::*;

use super::super::{fast, walk};
use super::*;

/// A frame of the kind that the fast path reads.
fn common_frame() -> impl Strategy<Value = Vec<u8>> {
    frame_with_options(0..1)
}

/// A frame of that kind but for so many words of IPv4 options.
fn frame_with_options(words: std::ops::Range<usize>) -> impl Strategy<Value = Vec<u8>> {
    let payload = prop::collection::vec(any::<u8>(), 0..80);
    let ports = (any::<u16>(), any::<u16>());
    (payload, ports, any::<bool>(), any::<bool>(), 0usize..3, words, 0usize..12).prop_map(
        |(payload, ports, is_tcp, is_v4, tags, option_words, padding)| {
            let (number, transport) = if is_tcp {
                (protocol::TCP, tcp(ports, &payload))
            } else {
                (protocol::UDP, udp(ports, &payload))
            };
            let options = vec![1; option_words * 4];
            let (kind, packet) = if is_v4 {
                let packet = ipv4_fragment((CLIENT, SERVER), number, 0x4000, &options, &transport);
                (0x0800, packet)
            } else {
                (0x86dd, ipv6(number, &transport))
            };
            let mut frame = concat(&[&packet, &vec![0; padding]]);
            let mut kind: u16 = kind;
            for tag in 0..tags {
                frame = concat(&[&[0, 7], &kind.to_be_bytes(), &frame]);
                kind = [0x8100, 0x88a8][tag];
            }
            ethernet(kind, &frame)
        },
    )
}

/// Asserts that the walk says what the fast path and a look at the addresses say, where those say
/// anything.
fn assert_agreement(frame: &[u8], wire_length: u32) -> bool {
    let mut by_walk = Packet::default();
    let outcome = walk::decode(LinkType::ETHERNET, frame, wire_length, &mut by_walk);
    let looked = fast::addresses(frame);
    if outcome == Outcome::Packet {
        assert!(looked.is_none_or(|ends| ends == (by_walk.source, by_walk.destination)));
    }
    let mut by_fast = Packet::default();
    if fast::ethernet(frame, wire_length, &mut by_fast).is_none() {
        return false;
    }
    // Of UDP, what might be Teredo takes more than a look.
    assert!(looked.is_some() || by_fast.protocol == protocol::UDP);
    assert_eq!(outcome, Outcome::Packet);
    assert_eq!(by_fast, by_walk);
    true
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn fast_path_and_walk_agree(frame in common_frame()) {
        let is_fast = assert_agreement(&frame, frame.len() as u32);
        let packet = packet_of(LinkType::ETHERNET, &frame);
        let is_tunnel_port = super::super::tunnel::may_be_udp_tunnel(
            packet.source_port,
            packet.destination_port,
        );
        prop_assert!(is_fast || is_tunnel_port);
    }

    #[test]
    fn fast_path_and_walk_agree_on_damaged_frames(
        mut frame in frame_with_options(0..4),
        damage in prop::collection::vec((0usize..70, any::<u8>()), 1..4),
        length in any::<prop::sample::Index>(),
        is_cut in any::<bool>(),
        lost in 0u32..2000,
    ) {
        for (position, value) in damage {
            if let Some(byte) = frame.get_mut(position) {
                *byte = value;
            }
        }
        if is_cut {
            frame.truncate(length.index(frame.len() + 1));
        }
        assert_agreement(&frame, frame.len() as u32);
        assert_agreement(&frame, frame.len() as u32 + lost);
    }

    #[test]
    fn etherparse_agrees(frame in frame_with_options(0..4)) {
        let packet = packet_of(LinkType::ETHERNET, &frame);
        let theirs = LaxSlicedPacket::from_ethernet(&frame).unwrap();
        let (ports, payload) = match theirs.transport.unwrap() {
            TransportSlice::Tcp(tcp) => {
                prop_assert_eq!(packet.sequence, tcp.sequence_number());
                prop_assert_eq!(packet.checksum, tcp.checksum());
                ((tcp.source_port(), tcp.destination_port()), tcp.payload())
            }
            TransportSlice::Udp(udp) => {
                ((udp.source_port(), udp.destination_port()), udp.payload())
            }
            _ => unreachable!("neither TCP nor UDP"),
        };
        prop_assert_eq!((packet.source_port, packet.destination_port), ports);
        prop_assert_eq!(payload_of(&frame, &packet), payload);
    }
}

#[test]
fn every_byte_of_a_header_may_change_and_the_two_still_agree() {
    for frame in [
        ethernet(0x0800, &inner()),
        ethernet(0x86dd, &inner_6()),
        ethernet(0x8100, &concat(&[&[0, 5, 0x86, 0xdd], &inner_6()])),
    ] {
        assert!(assert_agreement(&frame, frame.len() as u32));
        let mut damaged = frame.clone();
        for position in 0..frame.len() {
            for value in 0..=255 {
                damaged[position] = value;
                assert_agreement(&damaged, frame.len() as u32);
                assert_agreement(&damaged, frame.len() as u32 + 100);
            }
            damaged[position] = frame[position];
        }
    }
}
