//! Every encapsulation gives its innermost packet, and none can be made to panic.

use proptest::prelude::*;

use super::*;

/// A frame for each encapsulation: its name, link type and bytes, and the outermost IP header's
/// stated length in bytes.
struct Sample {
    name: &'static str,
    link: LinkType,
    frame: Vec<u8>,
    outermost: usize,
}

fn on_ethernet(name: &'static str, kind: u16, payload: &[u8]) -> Sample {
    let outermost = inner().len();
    Sample { name, link: LinkType::ETHERNET, frame: ethernet(kind, payload), outermost }
}

fn in_ip(name: &'static str, number: u8, payload: &[u8]) -> Sample {
    let outer = outer_ipv4(number, payload);
    let frame = ethernet(0x0800, &outer);
    Sample { name, link: LinkType::ETHERNET, frame, outermost: outer.len() }
}

fn in_gre(name: &'static str, header: &[u8], payload: &[u8]) -> Sample {
    in_ip(name, protocol::GRE, &concat(&[header, payload]))
}

fn in_udp(name: &'static str, ports: (u16, u16), parts: &[&[u8]]) -> Sample {
    in_ip(name, protocol::UDP, &udp(ports, &concat(parts)))
}

fn snap(kind: u16, payload: &[u8]) -> Vec<u8> {
    concat(&[&[0xaa, 0xaa, 3, 0, 0, 0], &kind.to_be_bytes(), payload])
}

fn wifi(control: [u8; 2], middle: usize, payload: &[u8]) -> Vec<u8> {
    let mut header = vec![0; 22 + middle];
    header[20] = 0x10;
    concat(&[&control, &header, &snap(0x0800, payload)])
}

fn tags_and_labels() -> Vec<Sample> {
    let inner = inner();
    let frame = ethernet(0x0800, &inner);
    let snap_frame = snap(0x0800, &inner);
    vec![
        on_ethernet("plain", 0x0800, &inner),
        on_ethernet("VLAN", 0x8100, &concat(&[&[0, 5, 8, 0], &inner])),
        on_ethernet("QinQ", 0x88a8, &concat(&[&[0, 5, 0x81, 0, 0, 6, 8, 0], &inner])),
        on_ethernet(
            "four tags",
            0x9100,
            &concat(&[&[0, 5, 0x92, 0, 0, 6, 0x88, 0xa8, 0, 7, 0x81, 0, 0, 8, 8, 0], &inner]),
        ),
        on_ethernet("VN-tag", 0x8926, &concat(&[&[0, 0, 0, 1, 8, 0], &inner])),
        on_ethernet("E-tag", 0x893f, &concat(&[&[0, 0, 0, 1, 0, 0, 8, 0], &inner])),
        on_ethernet("Cisco metadata", 0x8909, &concat(&[&[1, 1, 0, 1, 0, 9, 8, 0], &inner])),
        on_ethernet("MAC-in-MAC", 0x88e7, &concat(&[&[0, 0, 0, 1], &frame])),
        on_ethernet("FabricPath", 0x8903, &concat(&[&[0x40, 0x20], &frame])),
        on_ethernet("service header", 0x894f, &concat(&[&[0x0f, 0xc6, 1, 1], &[0; 20], &inner])),
        on_ethernet("MACsec", 0x88e5, &{
            concat(&[&[0, 0, 0, 0, 0, 1, 8, 0], &inner, &[0x1c; 16]])
        }),
        on_ethernet("MACsec with channel and VLAN", 0x88e5, &{
            let tag = [0x20, 0, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 0, 1, 0x81, 0, 0, 5, 8, 0];
            concat(&[&tag, &inner, &[0x1c; 16]])
        }),
        on_ethernet("LLC and SNAP", be_u16(snap_frame.len()), &snap_frame),
        on_ethernet("MPLS", 0x8847, &concat(&[&[0, 1, 0, 64, 0, 2, 1, 64], &inner])),
        on_ethernet("pseudo-wire", 0x8847, &concat(&[&[0, 1, 1, 64, 0, 0, 0, 0], &frame])),
        on_ethernet("pseudo-wire without control word", 0x8848, &{
            concat(&[&[0, 1, 1, 64], &frame])
        }),
        on_ethernet("PPPoE", 0x8864, &{
            concat(&[&[0x11, 0, 0, 1], &be(inner.len() + 2), &[0, 0x21], &inner])
        }),
    ]
}

fn tunnels_by_protocol() -> Vec<Sample> {
    let inner = inner();
    let frame = ethernet(0x0800, &inner);
    let authentication = [4, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9];
    vec![
        in_ip("IP in IP", protocol::IPIP, &inner),
        in_ip("6in4", protocol::IPV6, &inner_6()),
        in_ip("AH", protocol::AH, &concat(&[&authentication, &inner])),
        in_ip("MPLS in IP", protocol::MPLS, &concat(&[&[0, 1, 1, 64], &inner])),
        in_ip("EtherIP", 97, &concat(&[&[0x30, 0], &frame])),
        in_gre("GRE", &[0, 0, 8, 0], &inner),
        in_gre("GRE with IPv6", &[0, 0, 0x86, 0xdd], &inner_6()),
        in_gre("GRE, all fields", &[&[0xb0, 0, 8, 0], &[0; 12][..]].concat(), &inner),
        in_gre(
            "GRE, routing",
            &{ [&[0x40, 0, 8, 0, 0, 0, 0, 0], &[0, 2, 0, 4, 1, 2, 3, 4, 0, 0, 0, 0][..]].concat() },
            &inner,
        ),
        in_gre("NVGRE", &[0x20, 0, 0x65, 0x58, 0, 0, 1, 0], &frame),
        in_gre("PPTP", &[0x30, 0x81, 0x88, 0x0b, 0, 9, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0], &{
            concat(&[&[0xff, 3, 0, 0x21], &inner])
        }),
        in_gre("ERSPAN I", &[0, 0, 0x88, 0xbe], &frame),
        in_gre("ERSPAN II", &[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1], &concat(&[&[0x10; 8], &frame])),
        in_gre("ERSPAN III", &[0x10, 0, 0x22, 0xeb, 0, 0, 0, 1], &{
            concat(&[&[0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &frame])
        }),
        in_gre("ERSPAN III, platform, IP", &[0x10, 0, 0x22, 0xeb, 0, 0, 0, 1], &{
            concat(&[&[0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x08, 0x01], &[0; 8], &inner])
        }),
        in_gre("WCCP", &[0, 0, 0x88, 0x3e], &concat(&[&[0, 0, 0, 0], &inner])),
    ]
}

fn tunnels_by_port() -> Vec<Sample> {
    let inner = inner();
    let inner_6 = inner_6();
    let frame = ethernet(0x0800, &inner);
    let teredo_6 = inner_6.clone();
    vec![
        in_udp("MPLS in UDP", (50000, 6635), &[&[0, 1, 1, 64], &inner]),
        in_udp("VXLAN", (50000, 4789), &[&[0x88, 1, 0, 0, 0, 0, 1, 0], &frame]),
        in_udp("VXLAN, Linux", (50000, 8472), &[&[0x08, 0, 0, 0, 0, 0, 1, 0], &frame]),
        in_udp("VXLAN-GPE", (50000, 4790), &[&[0x0c, 0, 0, 1, 0, 0, 1, 0], &inner]),
        in_udp("VXLAN-GPE, Ethernet", (50000, 4790), &[&[0x0c, 0, 0, 3, 0, 0, 1, 0], &frame]),
        in_udp(
            "GENEVE",
            (50000, 6081),
            &[&[0x02, 0, 0x65, 0x58, 0, 0, 1, 0, 1, 2, 0x80, 1, 0, 0, 0, 7], &frame],
        ),
        in_udp("GTP-U", (2152, 2152), &[&[0x30, 255], &be(inner.len()), &[0, 0, 0, 1], &inner]),
        in_udp(
            "GTP-U, extension",
            (50000, 2152),
            &[
                &[0x34, 255],
                &be(inner.len() + 8),
                &[0, 0, 0, 1, 0, 0, 0, 0x85, 1, 0x10, 0x09, 0],
                &inner,
            ],
        ),
        in_udp(
            "AYIYA",
            (50000, 5072),
            &[&[0x44, 0x52, 0x11, 41, 0, 0, 0, 1], &[9; 16], &[8; 20], &inner_6],
        ),
        in_udp("TZSP", (50000, 37008), &[&[1, 0, 0, 1, 0, 0x0a, 1, 200, 1], &frame]),
        in_udp(
            "TZSP, 802.11",
            (50000, 37008),
            &[&[1, 0, 0, 18, 1], &wifi([0x08, 0x01], 0, &inner)],
        ),
        in_udp("Teredo", (50000, 3544), &[&[0, 1, 0, 0], &[0; 9], &[0, 0], &[7; 6], &inner_6]),
        in_udp("Teredo, trailer", (3544, 50000), &[&inner_6, &[1, 2, 0, 0]]),
        in_udp(
            "Teredo, any port",
            (50000, 50001),
            &[&{
                let mut packet = teredo_6;
                packet[8..12].copy_from_slice(&[0x20, 1, 0, 0]);
                packet
            }],
        ),
        in_udp(
            "CAPWAP",
            (50000, 5247),
            &[&[0, 0x10, 0x03, 0x00, 0, 0, 0, 0], &wifi([0x08, 0x01], 0, &inner)],
        ),
        in_udp(
            "CAPWAP, swapped",
            (5247, 50000),
            &[&[0, 0x10, 0x03, 0x00, 0, 0, 0, 0], &wifi([0x02, 0x88], 2, &inner)],
        ),
        in_udp("CAPWAP, 802.3", (5247, 50000), &[&[0, 0x10, 0x02, 0x00, 0, 0, 0, 0], &frame]),
        in_udp(
            "L2TP",
            (1701, 1701),
            &[
                &[0x4a, 0x02],
                &be(inner.len() + 20),
                &[0, 1, 0, 2, 0, 0, 0, 0, 0, 2, 9, 9, 0xff, 3, 0, 0x21],
                &inner,
            ],
        ),
    ]
}

fn be_u16(value: usize) -> u16 {
    u16::try_from(value).unwrap()
}

fn links() -> Vec<Sample> {
    let inner = inner();
    let outermost = inner.len();
    let sample =
        |name, link, parts: &[&[u8]]| Sample { name, link, frame: concat(parts), outermost };
    let cooked_2 = [8, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0];
    vec![
        sample("raw", LinkType::RAW, &[&inner]),
        sample("SLL", LinkType::LINUX_SLL, &[&[0, 0, 0, 1], &[0; 10], &[8, 0], &inner]),
        sample("SLL2", LinkType::LINUX_SLL2, &[&cooked_2, &inner]),
        sample("802.11", LinkType::IEEE802_11, &[&wifi([0x08, 0x01], 0, &inner)]),
        sample("802.11, 4 addresses, QoS", LinkType::IEEE802_11, &[&wifi([0x88, 3], 8, &inner)]),
        sample("802.11, control", LinkType::IEEE802_11, &[&wifi([0x88, 0x81], 6, &inner)]),
        sample("PPP", LinkType::PPP, &[&[0xff, 3, 0x21], &inner]),
        sample(
            "NFLOG",
            LinkType::NFLOG,
            &[
                &[2, 0, 0, 0, 8, 0, 1, 0, 8, 0, 0, 0, 5, 0, 10, 0, 7, 0, 0, 0],
                &(inner.len() as u16 + 4).to_le_bytes(),
                &[9, 0],
                &inner,
            ],
        ),
    ]
}

fn samples() -> Vec<Sample> {
    [tags_and_labels(), tunnels_by_protocol(), tunnels_by_port(), links()]
        .into_iter()
        .flatten()
        .collect()
}

#[test]
fn every_encapsulation_gives_its_innermost_packet() {
    for sample in samples() {
        println!("{}", sample.name);
        let packet = if sample.name == "Teredo, any port" {
            packet_of(sample.link, &sample.frame)
        } else {
            assert_inner(sample.link, &sample.frame)
        };
        assert_eq!(payload_of(&sample.frame, &packet), PAYLOAD);
        assert_eq!((packet.bytes + packet.outer_bytes) as usize, sample.outermost);
        let has_own_ethernet_header = sample.outermost == packet.bytes as usize
            && matches!(
                sample.name,
                "plain"
                    | "VLAN"
                    | "QinQ"
                    | "four tags"
                    | "VN-tag"
                    | "E-tag"
                    | "Cisco metadata"
                    | "MACsec"
                    | "MACsec with channel and VLAN"
                    | "LLC and SNAP"
            );
        assert_eq!(packet.ethernet, has_own_ethernet_header);
    }
}

#[test]
fn what_follows_the_packet_is_no_payload() {
    for sample in samples().iter().filter(|sample| sample.link == LinkType::ETHERNET) {
        println!("{}", sample.name);
        let padded = concat(&[&sample.frame, &[0x55; 40]]);
        let packet = packet_of(sample.link, &padded);
        assert_eq!(payload_of(&padded, &packet), PAYLOAD);
        assert_eq!(packet.payload_length as usize, PAYLOAD.len());
        assert_eq!((packet.bytes + packet.outer_bytes) as usize, sample.outermost);
    }
}

/// What must hold of any answer about any frame.
fn assert_bounds(link: LinkType, frame: &[u8], wire_length: u32) {
    let mut packet = Packet::default();
    match decode(link, frame, wire_length, &mut packet) {
        Outcome::Packet => {
            let start = packet.payload_offset as usize;
            assert!(start + packet.payload_captured as usize <= frame.len());
            assert!(usize::from(packet.transport_header) <= start);
            assert!(packet.payload_captured <= packet.payload_length);
            assert!(packet.payload_length <= packet.bytes);
            assert!(packet.bytes + packet.outer_bytes <= wire_length);
            let looked = crate::decode::addresses(link, frame);
            assert!(looked.is_none_or(|ends| ends == (packet.source, packet.destination)));
        }
        Outcome::NonIp { bytes } | Outcome::Undecodable { bytes, .. } => {
            assert!(bytes <= wire_length);
        }
    }
}

#[test]
fn every_prefix_holds_the_bounds() {
    for sample in samples() {
        for length in 0..=sample.frame.len() {
            let prefix = &sample.frame[..length];
            assert_bounds(sample.link, prefix, sample.frame.len() as u32);
            assert_bounds(sample.link, prefix, length as u32);
        }
    }
}

#[test]
fn every_flipped_byte_holds_the_bounds() {
    for sample in samples() {
        let mut frame = sample.frame.clone();
        for position in 0..frame.len() {
            let value = frame[position];
            for other in 0..=255 {
                frame[position] = other;
                assert_bounds(sample.link, &frame, frame.len() as u32);
            }
            frame[position] = value;
        }
    }
}

proptest! {
    #[test]
    fn damaged_samples_hold_the_bounds(
        which in any::<prop::sample::Index>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        length in any::<prop::sample::Index>(),
        lost in 0u32..100,
    ) {
        let mut samples = samples();
        let Sample { link, mut frame, .. } = samples.swap_remove(which.index(samples.len()));
        for (position, value) in damage {
            let position = position.index(frame.len());
            frame[position] = value;
        }
        frame.truncate(length.index(frame.len() + 1));
        assert_bounds(link, &frame, frame.len() as u32 + lost);
    }

    #[test]
    fn any_bytes_under_any_link_type_hold_the_bounds(
        link in 0u16..300,
        frame in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        assert_bounds(LinkType(link), &frame, frame.len() as u32);
    }
}
