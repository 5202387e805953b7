//! Capture files of any link type, and packets inside packets.

use std::io::Write;
use std::net::SocketAddr;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::generator::frame::{self, Way};
use crate::generator::{self, Record, SECOND, Traffic};

/// Ethernet's link type.
pub(super) const ETHERNET: u16 = 1;
/// Bytes of an Ethernet header.
const ETHERNET_LENGTH: usize = 14;

/// A pcap file.
pub(super) fn pcap(traffic: Traffic) -> (&'static str, Vec<u8>) {
    let mut bytes = generator::pcap_header();
    bytes.extend(traffic.records.iter().flat_map(generator::pcap_record));
    ("input.pcap", bytes)
}

/// A pcap file in network order, with stamps in microseconds.
pub(super) fn pcap_big_endian(traffic: Traffic) -> (&'static str, Vec<u8>) {
    let words =
        |words: &[u32]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<_>>();
    let mut bytes = words(&[0xa1b2_c3d4, 0x0002_0004, 0, 0, 262_144, ETHERNET.into()]);
    for record in traffic.records {
        let length = record.frame.len() as u32;
        let (seconds, nanos) = (record.time_nanos / SECOND, record.time_nanos % SECOND);
        bytes.extend(words(&[seconds as u32, nanos as u32 / 1000, length, length]));
        bytes.extend(record.frame);
    }
    ("input.pcap", bytes)
}

/// A pcap file whose records say interface, protocol and direction, too.
pub(super) fn pcap_kuznetzov(traffic: Traffic) -> (&'static str, Vec<u8>) {
    let words =
        |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>();
    let mut bytes = words(&[0xa1b2_cd34, 0x0004_0002, 0, 0, 262_144, ETHERNET.into()]);
    for record in traffic.records {
        let length = record.frame.len() as u32;
        let (seconds, nanos) = (record.time_nanos / SECOND, record.time_nanos % SECOND);
        // Interface 2; protocol in network order, packet type 0, a byte of padding.
        bytes.extend(words(&[seconds as u32, nanos as u32 / 1000, length, length, 2, 0x0000_0008]));
        bytes.extend(record.frame);
    }
    ("input.pcap", bytes)
}

/// A pcap file in two members of gzip (RFC 1952), stored as it is.
pub(super) fn pcap_gzip(traffic: Traffic) -> (&'static str, Vec<u8>) {
    let (_, bytes) = pcap(traffic);
    let mut packed = Vec::new();
    for half in bytes.chunks(bytes.len().div_ceil(2)) {
        let mut encoder = GzEncoder::new(&mut packed, Compression::none());
        encoder.write_all(half).expect("memory");
        encoder.finish().expect("memory");
    }
    ("input.pcap.gz", packed)
}

/// A pcap file in two frames of Zstandard (RFC 8878, 3.1) with one raw block each.
pub(super) fn pcap_zstd(traffic: Traffic) -> (&'static str, Vec<u8>) {
    let (_, bytes) = pcap(traffic);
    let frame = |content: &[u8]| {
        // One segment whose size stands in four bytes; the last block, raw.
        let size = content.len() as u32;
        let block = (size << 3 | 1).to_le_bytes();
        let head = [&0xfd2f_b528_u32.to_le_bytes()[..], &[0xa0], &size.to_le_bytes()].concat();
        [&head[..], &block[..3], content].concat()
    };
    let (first, second) = bytes.split_at(bytes.len() / 2);
    let skippable = [&0x184d_2a50_u32.to_le_bytes()[..], &[4, 0, 0, 0], b"skip"].concat();
    ("input.pcap.zst", [frame(first), skippable, frame(second)].concat())
}

/// A pcapng file (draft-ietf-opsawg-pcapng) in which each packet has the link type beside it.
pub(super) fn pcapng(records: &[(u16, Record)]) -> (&'static str, Vec<u8>) {
    let mut links: Vec<u16> = Vec::new();
    let mut packets = Vec::new();
    for (link, record) in records {
        let interface = links.iter().position(|known| known == link).unwrap_or_else(|| {
            links.push(*link);
            links.len() - 1
        });
        let nanos = record.time_nanos as u64;
        let length = (record.frame.len() as u32).to_le_bytes();
        let head = [interface as u32, (nanos >> 32) as u32, nanos as u32].map(u32::to_le_bytes);
        let head = head.concat();
        packets.extend(block(6, &[&head[..], &length, &length, &record.frame]));
    }
    let section = [&0x1a2b_3c4d_u32.to_le_bytes()[..], &[1, 0, 0, 0], &[0xff; 8]];
    let mut bytes = block(0x0a0d_0d0a, &section);
    for link in links {
        // if_tsresol: nanoseconds.
        let options = [9, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0];
        bytes.extend(block(1, &[&link.to_le_bytes(), &[0; 6], &options]));
    }
    bytes.extend(packets);
    ("input.pcapng", bytes)
}

fn block(kind: u32, parts: &[&[u8]]) -> Vec<u8> {
    let mut body = parts.concat();
    body.resize(body.len().next_multiple_of(4), 0);
    let length = (body.len() as u32 + 12).to_le_bytes();
    [&kind.to_le_bytes(), &length[..], &body, &length].concat()
}

/// The IP packet of a frame that the generator made.
pub(super) fn ip_packet(record: &Record) -> &[u8] {
    &record.frame[ETHERNET_LENGTH..]
}

/// Every packet inside another between `ends`: what `wrap` makes of it is carried by that IP
/// protocol. Packets of the clients (the lower address) go from the first end to the second.
pub(super) fn in_ip(
    traffic: Traffic,
    ends: (&str, &str),
    protocol: u8,
    wrap: impl Fn(Way, &[u8]) -> Vec<u8>,
) -> Traffic {
    let (near, far) = (at(ends.0), at(ends.1));
    let records = traffic.records.iter().enumerate().map(|(number, record)| {
        let (source, destination) = if is_upward(record) { (near, far) } else { (far, near) };
        let way = Way { source, destination, vlan: None };
        let payload = wrap(way, ip_packet(record));
        Record {
            time_nanos: record.time_nanos,
            frame: frame::whole(way, protocol, number as u16 + 1, &payload),
        }
    });
    Traffic { records: records.collect(), ..Traffic::default() }
}

/// Every packet in a datagram of UDP between `ends`.
pub(super) fn in_udp(
    traffic: Traffic,
    ends: (&str, &str),
    wrap: impl Fn(&[u8]) -> Vec<u8>,
) -> Traffic {
    in_ip(traffic, ends, frame::UDP, |way, packet| frame::udp(way, &wrap(packet)))
}

/// An Ethernet frame round an IP packet.
pub(super) fn ethernet(packet: &[u8]) -> Vec<u8> {
    let kind: [u8; 2] = if packet[0] >> 4 == 4 { [0x08, 0x00] } else { [0x86, 0xdd] };
    [&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1][..], &kind, packet].concat()
}

/// The number of the packet's Ethernet type.
pub(super) fn ether_type(packet: &[u8]) -> [u8; 2] {
    if packet[0] >> 4 == 4 { [0x08, 0x00] } else { [0x86, 0xdd] }
}

/// Whether a client of these captures sent it: they are in 10/8 and fd00::/8.
fn is_upward(record: &Record) -> bool {
    let packet = ip_packet(record);
    match packet[0] >> 4 {
        4 => packet[12] == 10,
        _ => packet[8] == 0xfd,
    }
}

/// Address and port.
pub(super) fn at(text: &str) -> SocketAddr {
    text.parse().expect("address and port")
}

/// The stamp so many seconds after the beginning of all made captures.
pub(super) fn second(number: i64) -> i64 {
    (generator::START_SECONDS + number) * SECOND
}
