//! Much of one thing: small packets of many flows, handshakes, and floods.

use std::net::{Ipv4Addr, SocketAddr};

use super::frame::{self, Way, flag};
use super::quic::{self, Version};
use super::talk::{Side, Talk};
use super::tls::{self, Hello};
use super::{MILLISECOND, Random, Record, SECOND, START_SECONDS, Traffic, dns};

/// `packets` packets of 40 to 60 bytes each over `flows` TCP connections that stay open, in turn.
pub fn small_packets(flows: u32, packets: usize) -> Traffic {
    let mut traffic = Traffic::default();
    let mut time = START_SECONDS * SECOND;
    // What each side sends next.
    let mut sequences = vec![[1_u32; 2]; flows as usize];
    for packet in 0..packets {
        let number = packet as u32 % flows;
        let turn = packet as u32 / flows;
        let ends = [client(number), server(number)];
        let side = turn as usize % 2;
        let way = Way { source: ends[side], destination: ends[1 - side], vlan: None };
        // Nothing that a protocol with names begins with.
        let payload = &[0xfe; 20][..(turn as usize + 1) % 21];
        let sent = &mut sequences[number as usize];
        let segment = frame::tcp(way, flag::ACK, sent[side], sent[1 - side], payload);
        sent[side] = sent[side].wrapping_add(payload.len() as u32);
        let frame = frame::whole(way, frame::TCP, turn as u16 + 1, &segment);
        traffic.records.push(Record { time_nanos: time, frame });
        time += SECOND / 1_000_000;
    }
    traffic
}

/// The same packets, all with the first one's stamp: they can be fed again and again without time
/// going back.
pub fn at_one_moment(mut traffic: Traffic) -> Traffic {
    for record in &mut traffic.records {
        record.time_nanos = START_SECONDS * SECOND;
    }
    traffic
}

/// `flows` TLS connections of which nothing but the handshake is seen, all at once open.
pub fn handshakes(flows: u32, seed: u64) -> Traffic {
    let mut traffic = Traffic::default();
    let mut random = Random::new(seed);
    for number in 0..flows {
        let name = format!("host{}.site{}.example", number % 7, number % 5000);
        let hello = Hello {
            server_name: Some(&name),
            alpn: &["h2"],
            post_quantum: number % 2 == 0,
            ..Hello::default()
        };
        let records = tls::records(&tls::client_hello(&hello, &mut random), 16_384);
        let answer = tls::server_hello(&mut random);
        let time = START_SECONDS * SECOND + i64::from(number) * MILLISECOND / 10;
        let mut talk = Talk::tcp(&mut traffic, client(number), server(number), time);
        talk.named(&name);
        talk.open();
        talk.send(Side::Up, &records);
        talk.send(Side::Down, &answer);
    }
    traffic.sort();
    traffic
}

/// `flows` QUIC connections with `datagrams` of data each.
pub fn quic_connections(flows: u32, datagrams: usize, seed: u64) -> Traffic {
    let mut traffic = Traffic::default();
    let mut random = Random::new(seed);
    for number in 0..flows {
        let name = format!("host{}.site{}.example", number % 7, number % 5000);
        let hello = Hello {
            server_name: Some(&name),
            alpn: &["h3"],
            post_quantum: number % 2 == 0,
            quic: true,
            ..Hello::default()
        };
        let message = tls::client_hello(&hello, &mut random);
        let id = random.bytes(8);
        let time = START_SECONDS * SECOND + i64::from(number) * MILLISECOND / 10;
        let mut talk = Talk::udp(&mut traffic, client(number), server(number), time);
        talk.named(&name);
        for initial in quic::initials(Version::V1, &id, &message) {
            talk.send(Side::Up, &initial);
        }
        for _ in 0..datagrams {
            talk.send(Side::Down, &quic::short(&id, &[0x5a; 1200]));
        }
    }
    traffic.sort();
    traffic
}

/// `flows` TLS connections that are opened and stay open, and then `packets` small packets of theirs,
/// each of any of them: nobody can foresee which memory the next one needs.
pub fn open_flows(flows: u32, packets: u64, seed: u64) -> impl Iterator<Item = Record> {
    let mut random = Random::new(seed);
    let mut time = START_SECONDS * SECOND;
    // What the two sides send next.
    let mut sequences = vec![[1_u32; 2]; flows.max(1) as usize];
    let openings = (0..flows).flat_map(move |number| {
        let name = format!("host{}.site{}.example", number % 7, number % 5000);
        let hello = Hello { server_name: Some(&name), alpn: &["h2"], ..Hello::default() };
        let records =
            tls::records(&tls::client_hello(&hello, &mut Random::new(number.into())), 16_384);
        let ends = [client(number), server(number)];
        [
            (0, flag::SYN, Vec::new()),
            (1, flag::SYN | flag::ACK, Vec::new()),
            (0, flag::ACK, records),
        ]
        .map(|(side, flags, payload)| (ends, number, side, flags, payload))
    });
    let data = (0..packets).map(move |_| {
        let number = random.below(flows.max(1).into()) as u32;
        let side = random.below(2) as usize;
        ([client(number), server(number)], number, side, flag::ACK, vec![0xfe; 20])
    });
    openings.chain(data).map(move |(ends, number, side, flags, payload)| {
        let way = Way { source: ends[side], destination: ends[1 - side], vlan: None };
        let sent = &mut sequences[number as usize];
        let segment = frame::tcp(way, flags, sent[side], sent[1 - side], &payload);
        let taken = u32::from(flags & flag::SYN != 0) + payload.len() as u32;
        sent[side] = sent[side].wrapping_add(taken);
        time += SECOND / 1_000_000;
        Record { time_nanos: time, frame: frame::whole(way, frame::TCP, number as u16, &segment) }
    })
}

/// What somebody may flood a sensor with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flood {
    /// SYNs from ever new ports and addresses.
    Syn,
    /// UDP datagrams with random five-tuples.
    FiveTuples,
    /// Connections that send half a ClientHello.
    HalfHellos,
    /// Questions for random names.
    Questions,
    /// QUIC Initials with random connection ids, of which none can be opened.
    Initials,
}

impl Flood {
    /// Every kind.
    pub const ALL: [Flood; 5] =
        [Flood::Syn, Flood::FiveTuples, Flood::HalfHellos, Flood::Questions, Flood::Initials];

    /// The packets, one at a time, so that any number of them fits the memory.
    pub fn packets(self, count: u64, seed: u64) -> impl Iterator<Item = Record> {
        let mut random = Random::new(seed);
        let message = tls::client_hello(
            &Hello { server_name: Some("never-whole.example"), ..Hello::default() },
            &mut random,
        );
        let half = tls::records(&message, 16_384)[..100].to_vec();
        (0..count).map(move |number| Record {
            time_nanos: START_SECONDS * SECOND + number as i64 * SECOND / 1_000_000,
            frame: self.frame(&half, &mut random),
        })
    }

    fn frame(self, half_hello: &[u8], random: &mut Random) -> Vec<u8> {
        let destination_port = match self {
            Flood::Questions => 53,
            Flood::FiveTuples => 1024 + random.below(60_000) as u16,
            _ => 443,
        };
        let way = Way {
            source: SocketAddr::new(
                Ipv4Addr::from(0x0a00_0000 | random.below(1 << 24) as u32).into(),
                1024 + random.below(60_000) as u16,
            ),
            destination: SocketAddr::new(
                Ipv4Addr::from(0xc612_0000 | random.below(1 << 16) as u32).into(),
                destination_port,
            ),
            vlan: None,
        };
        let sequence = random.next() as u32;
        let (protocol, transport) = match self {
            Flood::Syn => (frame::TCP, frame::tcp(way, flag::SYN, sequence, 0, &[])),
            Flood::HalfHellos => {
                (frame::TCP, frame::tcp(way, flag::ACK | flag::PSH, sequence, 1, half_hello))
            }
            Flood::FiveTuples => (frame::UDP, frame::udp(way, &random.bytes(18))),
            Flood::Questions => {
                let name = format!("{:016x}.flood.example", random.next());
                (frame::UDP, frame::udp(way, &dns::query(sequence as u16, &name, dns::A)))
            }
            Flood::Initials => {
                let mut datagram = vec![0xc3, 0, 0, 0, 1, 8];
                datagram.extend(random.bytes(8));
                datagram.extend([0, 0, 0x44, 0x9e]);
                let rest = quic::DATAGRAM_LENGTH - datagram.len();
                datagram.extend(random.bytes(rest));
                (frame::UDP, frame::udp(way, &datagram))
            }
        };
        frame::whole(way, protocol, sequence as u16, &transport)
    }
}

fn client(number: u32) -> SocketAddr {
    let address = Ipv4Addr::from(0x0a02_0000 + number % 2000);
    SocketAddr::new(address.into(), 1024 + (number / 2000 % 60_000) as u16)
}

fn server(number: u32) -> SocketAddr {
    SocketAddr::new(Ipv4Addr::from(0xc612_0000 + number % 997).into(), 443)
}
