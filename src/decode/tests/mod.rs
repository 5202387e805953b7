//! Tests of the decoder, with frames that are built here header by header.

mod agreement;
mod compressed;
mod encapsulations;
mod links;
mod rules;

use crate::net::{Address, protocol};
use crate::packet::{LinkType, Packet};

use super::{Outcome, Undecodable, decode};

/// The payload that every sample carries innermost.
const PAYLOAD: &[u8] = b"innermost payload";
const CLIENT: [u8; 4] = [192, 0, 2, 1];
const SERVER: [u8; 4] = [198, 51, 100, 2];
const CLIENT_6: [u8; 16] = [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const SERVER_6: [u8; 16] = [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
const PORTS: (u16, u16) = (40000, 443);

fn concat(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

fn be(value: usize) -> [u8; 2] {
    u16::try_from(value).unwrap().to_be_bytes()
}

/// A TCP segment with the flags PSH and ACK and four bytes of options.
fn tcp((source, destination): (u16, u16), payload: &[u8]) -> Vec<u8> {
    concat(&[
        &source.to_be_bytes(),
        &destination.to_be_bytes(),
        &[0x11, 0x12, 0x13, 0x14],
        &[0x21, 0x22, 0x23, 0x24],
        &[0x60, 0x18, 0x20, 0x00, 0xab, 0xcd, 0, 0],
        &[1, 1, 1, 0],
        payload,
    ])
}

fn udp((source, destination): (u16, u16), payload: &[u8]) -> Vec<u8> {
    concat(&[
        &source.to_be_bytes(),
        &destination.to_be_bytes(),
        &be(8 + payload.len()),
        &[0xab, 0xcd],
        payload,
    ])
}

/// An IPv4 packet; `fragment` is the field of flags and fragment offset.
fn ipv4_fragment(
    (source, destination): ([u8; 4], [u8; 4]),
    number: u8,
    fragment: u16,
    options: &[u8],
    payload: &[u8],
) -> Vec<u8> {
    let header_length = 20 + options.len();
    concat(&[
        &[0x40 | (header_length / 4) as u8, 0],
        &be(header_length + payload.len()),
        &[0x12, 0x34],
        &fragment.to_be_bytes(),
        &[63, number, 0, 0],
        &source,
        &destination,
        options,
        payload,
    ])
}

fn ipv4(number: u8, payload: &[u8]) -> Vec<u8> {
    ipv4_fragment((CLIENT, SERVER), number, 0x4000, &[], payload)
}

/// An IPv4 packet between a tunnel's ends.
fn outer_ipv4(number: u8, payload: &[u8]) -> Vec<u8> {
    ipv4_fragment(([10, 0, 0, 1], [10, 0, 0, 2]), number, 0, &[], payload)
}

fn ipv6(number: u8, payload: &[u8]) -> Vec<u8> {
    concat(&[&[0x60, 0, 0, 0], &be(payload.len()), &[number, 63], &CLIENT_6, &SERVER_6, payload])
}

fn ethernet(kind: u16, payload: &[u8]) -> Vec<u8> {
    concat(&[&[2, 0, 0, 0, 0, 2], &[2, 0, 0, 0, 0, 1], &kind.to_be_bytes(), payload])
}

/// The IPv4 packet that samples carry.
fn inner() -> Vec<u8> {
    ipv4(protocol::TCP, &tcp(PORTS, PAYLOAD))
}

/// The IPv6 packet that samples carry where the tunnel wants one.
fn inner_6() -> Vec<u8> {
    ipv6(protocol::UDP, &udp(PORTS, PAYLOAD))
}

fn decoded(link: LinkType, frame: &[u8]) -> (Outcome, Packet) {
    let mut packet = Packet::default();
    let outcome = decode(link, frame, frame.len() as u32, &mut packet);
    (outcome, packet)
}

/// Decodes a frame that must give a packet.
fn packet_of(link: LinkType, frame: &[u8]) -> Packet {
    let (outcome, packet) = decoded(link, frame);
    assert_eq!(outcome, Outcome::Packet);
    packet
}

fn payload_of<'a>(frame: &'a [u8], packet: &Packet) -> &'a [u8] {
    let start = packet.payload_offset as usize;
    &frame[start..start + packet.payload_captured as usize]
}

/// Checks that `frame` gives the packet of [`inner`] or [`inner_6`].
#[track_caller]
fn assert_inner(link: LinkType, frame: &[u8]) -> Packet {
    let packet = packet_of(link, frame);
    if packet.source.is_v4() {
        assert_eq!(packet.source, Address::v4(CLIENT));
        assert_eq!(packet.destination, Address::v4(SERVER));
        assert_eq!(packet.bytes as usize, inner().len());
    } else {
        assert_eq!(packet.source, Address::v6(CLIENT_6));
        assert_eq!(packet.destination, Address::v6(SERVER_6));
        assert_eq!(packet.bytes as usize, inner_6().len());
    }
    assert_eq!((packet.source_port, packet.destination_port), PORTS);
    assert_eq!(payload_of(frame, &packet), PAYLOAD);
    assert_eq!(packet.payload_length as usize, PAYLOAD.len());
    assert_eq!(packet.time_to_live, 63);
    packet
}

#[track_caller]
fn assert_undecodable(link: LinkType, frame: &[u8], reason: Undecodable, bytes: usize) {
    let bytes = bytes as u32;
    assert_eq!(decoded(link, frame).0, Outcome::Undecodable { reason, bytes });
}

#[track_caller]
fn assert_non_ip(link: LinkType, frame: &[u8], bytes: usize) {
    assert_eq!(decoded(link, frame).0, Outcome::NonIp { bytes: bytes as u32 });
}
