//! Frames: Ethernet with or without VLAN tag, IPv4 or IPv6, TCP or UDP, whole or in fragments.

use std::net::{IpAddr, SocketAddr};

/// TCP flags (RFC 9293, 3.1).
pub mod flag {
    /// No more data.
    pub const FIN: u8 = 0x01;
    /// Synchronise sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Reset.
    pub const RST: u8 = 0x04;
    /// Push.
    pub const PSH: u8 = 0x08;
    /// The acknowledgment number counts.
    pub const ACK: u8 = 0x10;
}

/// IP protocol number of TCP.
pub const TCP: u8 = 6;
/// IP protocol number of UDP.
pub const UDP: u8 = 17;
/// IPv6 next header: fragment (RFC 8200, 4.5).
const FRAGMENT: u8 = 44;

/// What is the same for all packets of a direction.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    /// The sender.
    pub source: SocketAddr,
    /// The receiver.
    pub destination: SocketAddr,
    /// The VLAN's number, where there is a tag (IEEE 802.1Q).
    pub vlan: Option<u16>,
}

/// A TCP segment with its header.
pub fn tcp(way: Way, flags: u8, sequence: u32, acknowledgment: u32, payload: &[u8]) -> Vec<u8> {
    let mut segment = Vec::with_capacity(20 + payload.len());
    segment.extend(way.source.port().to_be_bytes());
    segment.extend(way.destination.port().to_be_bytes());
    segment.extend(sequence.to_be_bytes());
    segment.extend(acknowledgment.to_be_bytes());
    segment.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    segment.extend_from_slice(payload);
    let checksum = transport_checksum(way, TCP, &segment);
    segment[16..18].copy_from_slice(&checksum.to_be_bytes());
    segment
}

/// A UDP datagram with its header.
pub fn udp(way: Way, payload: &[u8]) -> Vec<u8> {
    let mut datagram = Vec::with_capacity(8 + payload.len());
    datagram.extend(way.source.port().to_be_bytes());
    datagram.extend(way.destination.port().to_be_bytes());
    datagram.extend((8 + payload.len() as u16).to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend_from_slice(payload);
    let checksum = match transport_checksum(way, UDP, &datagram) {
        0 => 0xffff,
        checksum => checksum,
    };
    datagram[6..8].copy_from_slice(&checksum.to_be_bytes());
    datagram
}

/// A frame with one whole IP packet.
pub fn whole(way: Way, protocol: u8, identification: u16, transport: &[u8]) -> Vec<u8> {
    let mut frame = link(way);
    match (way.source.ip(), way.destination.ip()) {
        (IpAddr::V4(_), _) => ipv4(&mut frame, way, protocol, identification, 0, transport),
        (IpAddr::V6(_), _) => ipv6(&mut frame, way, protocol, transport),
    }
    frame
}

/// Frames with the fragments of one IP packet, each of at most `size` bytes of data (rounded down
/// to a multiple of eight).
pub fn fragments(
    way: Way,
    protocol: u8,
    identification: u16,
    transport: &[u8],
    size: usize,
) -> Vec<Vec<u8>> {
    let size = size / 8 * 8;
    let mut frames = Vec::new();
    for (index, piece) in transport.chunks(size).enumerate() {
        let is_last = (index + 1) * size >= transport.len();
        let place = (index * size / 8) as u16;
        let mut frame = link(way);
        if way.source.is_ipv4() {
            let field = place | if is_last { 0 } else { 0x2000 };
            ipv4(&mut frame, way, protocol, identification, field, piece);
        } else {
            let mut payload = vec![protocol, 0];
            payload.extend(((place << 3) | u16::from(!is_last)).to_be_bytes());
            payload.extend(u32::from(identification).to_be_bytes());
            payload.extend_from_slice(piece);
            ipv6(&mut frame, way, FRAGMENT, &payload);
        }
        frames.push(frame);
    }
    frames
}

/// The length of what follows the Ethernet header and its VLAN tags.
pub fn network_length(frame: &[u8]) -> u64 {
    let tagged = frame[12..14] == [0x81, 0x00];
    (frame.len() - if tagged { 18 } else { 14 }) as u64
}

fn link(way: Way) -> Vec<u8> {
    let mut frame = Vec::with_capacity(1514);
    frame.extend(link_address(way.destination.ip()));
    frame.extend(link_address(way.source.ip()));
    if let Some(vlan) = way.vlan {
        frame.extend([0x81, 0x00]);
        frame.extend(vlan.to_be_bytes());
    }
    frame.extend(if way.source.is_ipv4() { [0x08, 0x00] } else { [0x86, 0xdd] });
    frame
}

/// Machines at home have a link address each, the same for both families (the last three bytes of
/// both addresses being the same); all others are behind one router.
fn link_address(address: IpAddr) -> [u8; 6] {
    const ROUTER: [u8; 6] = [0x02, 0, 0, 0, 0, 1];
    match address {
        IpAddr::V4(address) => match address.octets() {
            [10, one, two, three] => [0x02, 0, 1, one, two, three],
            _ => ROUTER,
        },
        IpAddr::V6(address) => match address.octets() {
            [0xfd, .., one, two, three] => [0x02, 0, 1, one, two, three],
            _ => ROUTER,
        },
    }
}

fn ipv4(
    frame: &mut Vec<u8>,
    way: Way,
    protocol: u8,
    identification: u16,
    fragment_field: u16,
    payload: &[u8],
) {
    let start = frame.len();
    frame.extend([0x45, 0]);
    frame.extend((20 + payload.len() as u16).to_be_bytes());
    frame.extend(identification.to_be_bytes());
    frame.extend(fragment_field.to_be_bytes());
    frame.extend([64, protocol, 0, 0]);
    for address in [way.source.ip(), way.destination.ip()] {
        if let IpAddr::V4(address) = address {
            frame.extend(address.octets());
        }
    }
    let checksum = fold(sum(&frame[start..]));
    frame[start + 10..start + 12].copy_from_slice(&checksum.to_be_bytes());
    frame.extend_from_slice(payload);
}

fn ipv6(frame: &mut Vec<u8>, way: Way, next_header: u8, payload: &[u8]) {
    frame.extend([0x60, 0, 0, 0]);
    frame.extend((payload.len() as u16).to_be_bytes());
    frame.extend([next_header, 64]);
    frame.extend(octets(way.source.ip()));
    frame.extend(octets(way.destination.ip()));
    frame.extend_from_slice(payload);
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

fn transport_checksum(way: Way, protocol: u8, transport: &[u8]) -> u16 {
    let pseudo = sum(&octets(way.source.ip()))
        + sum(&octets(way.destination.ip()))
        + u64::from(protocol)
        + transport.len() as u64;
    fold(pseudo + sum(transport))
}

/// The sum of 16-bit words (RFC 1071).
fn sum(bytes: &[u8]) -> u64 {
    let word = |pair: &[u8]| u64::from(pair[0]) << 8 | u64::from(*pair.get(1).unwrap_or(&0));
    bytes.chunks(2).map(word).sum()
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
