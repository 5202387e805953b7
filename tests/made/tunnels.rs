//! What names are inside of: link types, tags, tunnels, compression, fragments.

use std::io::Write;
use std::net::SocketAddr;

use flate2::Compression;
use flate2::write::DeflateEncoder;

use crate::generator::frame::{self, Way};
use crate::generator::talk::{Side, Talk};
use crate::generator::tls::{self, Hello};
use crate::generator::{Random, Record, Traffic, dns};

use super::Scene;
use super::capture::{
    ETHERNET, at, ether_type, ethernet, in_ip, in_udp, ip_packet, pcap, pcapng, second,
};

/// IP protocol numbers.
mod number {
    pub(super) const IPIP: u8 = 4;
    pub(super) const IPV6: u8 = 41;
    pub(super) const GRE: u8 = 47;
    pub(super) const AH: u8 = 51;
    pub(super) const ETHERIP: u8 = 97;
    pub(super) const IPCOMP: u8 = 108;
    pub(super) const MPLS: u8 = 137;
}

const V4: (&str, &str) = ("10.9.0.1:0", "198.18.99.1:0");
const V6: (&str, &str) = ("[fd09::1]:0", "[2001:db8:99::1]:0");

pub(super) fn scenes() -> Vec<Scene> {
    vec![
        Scene {
            folder: "link-types",
            words: "The same three things (a question, a request, a hello) in frames of link types without a capture of\n\
                    their own: BSD loopback in both byte orders, OpenBSD loopback, raw IP under its five numbers, PPPoE\n\
                    without Ethernet, PPP in HDLC framing and with a direction in front, and 802.11 bare,\n\
                    behind Prism's and AVS's headers and in PPI.",
            input: link_types(),
        },
        Scene {
            folder: "ip-in-ip",
            words: "IPv4 in IPv4, IPv4 in IPv6, IPv6 in IPv6, and IPv4 in IPv4 in IPv4.",
            input: pcap(ip_in_ip()),
        },
        Scene { folder: "6in4", words: "IPv6 in IPv4 (RFC 4213).", input: pcap(six_in_four()) },
        Scene {
            folder: "erspan",
            words: "ERSPAN of type I (without a sequence number), II, and III with and without its sub-header, in GRE.",
            input: pcap(erspan()),
        },
        Scene {
            folder: "gtp-u-names",
            words: "GTP-U: without options, with a sequence number, and with an extension header for a 5G session; IPv4\n\
                    and IPv6 inside.",
            input: pcap(gtp_u()),
        },
        Scene {
            folder: "ah",
            words: "An Authentication Header in transport mode over IPv4 and IPv6, and in tunnel mode.",
            input: pcap(authentication_header()),
        },
        Scene {
            folder: "ipcomp",
            words: "IP Payload Compression with DEFLATE (RFC 3173, RFC 2394), in transport and in tunnel mode; packets that\n\
                    would not become shorter go as they are, as RFC 3173, 2.2 wants it, so one connection has both.\n\
                    What uses another algorithm (LZS) stays closed.",
            input: pcap(ipcomp()),
        },
        Scene {
            folder: "other-tunnels",
            words: "EtherIP, MPLS in IP and in UDP, GRE with IPv6 and with Ethernet inside, PPTP's GRE, 802.11 in GRE, VXLAN-GPE, CAPWAP,\n\
                    L2TP, Teredo, AYIYA and TZSP.",
            input: pcap(other_tunnels()),
        },
        Scene {
            folder: "tags",
            words: "Tags in front of IP: VN-tag, 802.1BR, MAC in MAC (802.1ah), FabricPath, a Network Service\n\
                    Header, and MACsec that does not encrypt.",
            input: pcap(tags()),
        },
        Scene {
            folder: "fragments",
            words: "A post-quantum ClientHello in one TCP segment that IPv6 and IPv4 cut into fragments, last one first;\n\
                    and a GRE tunnel whose packets come in fragments.",
            input: pcap(fragments()),
        },
        Scene {
            folder: "fragments-nested",
            words: "Fragments of a ClientHello, each in GRE, whose packets come in fragments again; and a second one in\n\
                    two such tunnels, one inside the other.",
            input: pcap(fragments_nested()),
        },
    ]
}

/// A question, a request and a hello of one client: names begin with `label`.
fn three_things(label: &str, is_v6: bool, number: i64) -> Traffic {
    let mut traffic = Traffic::default();
    let [client, server, resolver] = if is_v6 {
        ["[fd20::41]", "[2001:db8::41]", "[fd20::53]"]
    } else {
        ["10.20.0.41", "198.18.41.1", "10.20.0.53"]
    };
    let port = 54_000 + number as u16 * 10;
    let end = |address: &str, port: u16| at(&format!("{address}:{port}"));
    let name = |what: &str| format!("{label}-{what}.example.com");
    let start = second(number);

    let mut talk = Talk::udp(&mut traffic, end(client, port), end(resolver, 53), start);
    let host = name("dns");
    talk.send(Side::Up, &dns::query(port, &host, dns::A));
    talk.send(Side::Down, &dns::response(port, &host, &[at("198.18.41.9:1").ip()], 300));
    let start = talk.time_nanos;

    let mut talk = Talk::tcp(&mut traffic, end(client, port + 1), end(server, 80), start);
    talk.open();
    let host = name("http");
    talk.send(
        Side::Up,
        format!("GET /{} HTTP/1.1\r\nHost: {host}\r\n\r\n", "a".repeat(80)).as_bytes(),
    );
    talk.send(Side::Down, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    talk.close();
    let start = talk.time_nanos;

    let mut random = Random::new(number as u64);
    let host = name("tls");
    let hello = Hello { server_name: Some(&host), alpn: &["h2"], ..Hello::default() };
    let records = tls::records(&tls::client_hello(&hello, &mut random), 16_384);
    let mut talk = Talk::tcp(&mut traffic, end(client, port + 2), end(server, 443), start);
    talk.open();
    talk.send(Side::Up, &records);
    talk.send(Side::Down, &tls::server_hello(&mut random));
    talk.close();
    traffic
}

/// Several captures, one after the other.
fn all(parts: impl IntoIterator<Item = Traffic>) -> Traffic {
    let mut whole = Traffic::default();
    for part in parts {
        whole.append(part);
    }
    whole
}

fn link_types() -> (&'static str, Vec<u8>) {
    let family = |packet: &[u8], v6: u32| if packet[0] >> 4 == 4 { 2 } else { v6 };
    let ppp = |packet: &[u8]| if packet[0] >> 4 == 4 { [0x00, 0x21] } else { [0x00, 0x57] };
    let mut records = Vec::new();
    let mut add = |label: &str, link: u16, is_v6: bool, wrap: &dyn Fn(&[u8]) -> Vec<u8>| {
        let number = records.len() as i64 / 16;
        for record in three_things(label, is_v6, number).records {
            let frame = wrap(ip_packet(&record));
            records.push((link, Record { frame, ..record }));
        }
    };
    add("null-little", 0, false, &|packet| {
        [&u32::to_le_bytes(family(packet, 30))[..], packet].concat()
    });
    add("null-big", 0, true, &|packet| {
        [&u32::to_be_bytes(family(packet, 24))[..], packet].concat()
    });
    add("loop", 108, true, &|packet| [&u32::to_be_bytes(family(packet, 24))[..], packet].concat());
    add("raw", 101, false, &<[u8]>::to_vec);
    add("raw-v6", 101, true, &<[u8]>::to_vec);
    add("raw-12", 12, false, &<[u8]>::to_vec);
    add("raw-14", 14, true, &<[u8]>::to_vec);
    add("raw-228", 228, false, &<[u8]>::to_vec);
    add("raw-229", 229, true, &<[u8]>::to_vec);
    add("pppoe", 51, false, &|packet| {
        let length = (packet.len() as u16 + 2).to_be_bytes();
        [&[0x11, 0, 0, 1][..], &length, &ppp(packet), packet].concat()
    });
    add("ppp-hdlc", 50, true, &|packet| [&[0xff, 3][..], &ppp(packet), packet].concat());
    add("ppp-direction", 204, false, &|packet| [&[1, 0xff, 3][..], &ppp(packet), packet].concat());
    let in_wifi = |packet: &[u8]| {
        // To the access point; sequence number 1.
        let header = [&[0x08, 0x01, 0, 0][..], &[2; 18], &[0x10, 0]].concat();
        [&header[..], &[0xaa, 0xaa, 3, 0, 0, 0], &ether_type(packet), packet].concat()
    };
    add("prism", 119, false, &|packet| {
        [&[0x44, 0, 0, 0, 144, 0, 0, 0][..], &[0; 136], &in_wifi(packet)].concat()
    });
    add("avs", 163, true, &|packet| {
        [&[0x80, 0x21, 0x10, 0x01, 0, 0, 0, 64][..], &[0; 56], &in_wifi(packet)].concat()
    });
    add("ppi", 192, false, &|packet| [&[0, 0, 8, 0, 105, 0, 0, 0][..], &in_wifi(packet)].concat());
    add("wifi", 105, false, &|packet| {
        // To the access point; sequence number 1.
        let header = [
            &[0x08, 0x01, 0, 0][..],
            &[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 3],
            &[0x10, 0],
        ]
        .concat();
        [&header[..], &[0xaa, 0xaa, 3, 0, 0, 0], &ether_type(packet), packet].concat()
    });
    pcapng(&records)
}

fn ip_in_ip() -> Traffic {
    let as_is = |_: Way, packet: &[u8]| packet.to_vec();
    let twice = in_ip(three_things("4in4in4", false, 3), V4, number::IPIP, as_is);
    all([
        in_ip(three_things("4in4", false, 0), V4, number::IPIP, as_is),
        in_ip(three_things("4in6", false, 1), V6, number::IPIP, as_is),
        in_ip(three_things("6in6", true, 2), V6, number::IPV6, as_is),
        in_ip(twice, ("10.8.0.1:0", "198.18.98.1:0"), number::IPIP, as_is),
    ])
}

fn six_in_four() -> Traffic {
    in_ip(three_things("6in4", true, 0), V4, number::IPV6, |_, packet| packet.to_vec())
}

fn gre(flags: u16, kind: u16, rest: &[u8], payload: &[u8]) -> Vec<u8> {
    [&flags.to_be_bytes()[..], &kind.to_be_bytes(), rest, payload].concat()
}

fn erspan() -> Traffic {
    const SEQUENCE: u16 = 0x1000;
    let session = 7u8;
    all([
        in_ip(three_things("erspan-1", false, 0), V4, number::GRE, |_, packet| {
            gre(0, 0x88be, &[], &ethernet(packet))
        }),
        in_ip(three_things("erspan-2", false, 1), V4, number::GRE, |_, packet| {
            // Version 1, VLAN 1; session; index.
            let header = [&[0, 0, 0, 1][..], &[0x10, 1, 0x18, session, 0, 0, 0, 1]].concat();
            gre(SEQUENCE, 0x88be, &header, &ethernet(packet))
        }),
        in_ip(three_things("erspan-3", true, 2), V4, number::GRE, |_, packet| {
            // Version 2, VLAN 1; session; time; group tag; Ethernet, no sub-header.
            let header =
                [&[0, 0, 0, 1][..], &[0x20, 1, 0, session, 0, 0, 0, 9, 0, 0, 0, 0]].concat();
            gre(SEQUENCE, 0x22eb, &header, &ethernet(packet))
        }),
        in_ip(three_things("erspan-3-long", false, 3), V4, number::GRE, |_, packet| {
            let header =
                [&[0, 0, 0, 1][..], &[0x20, 1, 0, session, 0, 0, 0, 9, 0, 0, 0, 1], &[0x0c; 8]];
            gre(SEQUENCE, 0x22eb, &header.concat(), &ethernet(packet))
        }),
    ])
}

fn gtp_u() -> Traffic {
    let ends = ("10.9.0.1:2152", "198.18.99.1:2152");
    let gtp = |flags: u8, options: &[u8], packet: &[u8]| {
        let length = ((options.len() + packet.len()) as u16).to_be_bytes();
        [&[flags, 0xff][..], &length, &[0, 0, 0x12, 0x34], options, packet].concat()
    };
    all([
        in_udp(three_things("gtp", false, 0), ends, |packet| gtp(0x30, &[], packet)),
        in_udp(three_things("gtp-sequence", true, 1), ends, |packet| {
            gtp(0x32, &[0, 9, 0, 0], packet)
        }),
        in_udp(three_things("gtp-5g", false, 2), ends, |packet| {
            // A PDU session container (3GPP TS 38.415): one word, downlink, flow 9.
            gtp(0x34, &[0, 0, 0, 0x85, 1, 0x00, 0x09, 0], packet)
        }),
    ])
}

/// An Authentication Header with twelve bytes of check value (RFC 4302, 2).
fn authentication(next: u8) -> Vec<u8> {
    [&[next, 4, 0, 0, 0, 0, 0, 7, 0, 0, 0, 1][..], &[0xa5; 12]].concat()
}

/// What an IP packet without options or extension headers carries: protocol and bytes.
fn carried(packet: &[u8]) -> (u8, &[u8]) {
    if packet[0] >> 4 == 4 { (packet[9], &packet[20..]) } else { (packet[6], &packet[40..]) }
}

/// The same packets with their payload made anew, behind a header of `protocol`.
fn in_transport_mode(
    traffic: Traffic,
    protocol: u8,
    wrap: impl Fn(u8, &[u8]) -> Option<Vec<u8>>,
) -> Traffic {
    let records = traffic.records.iter().enumerate().map(|(number, record)| {
        let packet = ip_packet(record);
        let (next, payload) = carried(packet);
        let (protocol, payload) = match wrap(next, payload) {
            Some(wrapped) => (protocol, wrapped),
            None => (next, payload.to_vec()),
        };
        let frame = frame::whole(way_of(packet), protocol, number as u16 + 1, &payload);
        Record { time_nanos: record.time_nanos, frame }
    });
    Traffic { records: records.collect(), ..Traffic::default() }
}

/// The addresses of an IP packet, with port 0.
fn way_of(packet: &[u8]) -> Way {
    let ends: [SocketAddr; 2] = if packet[0] >> 4 == 4 {
        [12, 16].map(|at| SocketAddr::from((<[u8; 4]>::try_from(&packet[at..at + 4]).unwrap(), 0)))
    } else {
        [8, 24].map(|at| SocketAddr::from((<[u8; 16]>::try_from(&packet[at..at + 16]).unwrap(), 0)))
    };
    Way { source: ends[0], destination: ends[1], vlan: None }
}

fn authentication_header() -> Traffic {
    let wrap = |next: u8, payload: &[u8]| Some([&authentication(next)[..], payload].concat());
    all([
        in_transport_mode(three_things("ah", false, 0), number::AH, wrap),
        in_transport_mode(three_things("ah-v6", true, 1), number::AH, wrap),
        in_ip(three_things("ah-tunnel", false, 2), V4, number::AH, |_, packet| {
            [&authentication(number::IPIP)[..], packet].concat()
        }),
    ])
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Next header, flags, index; nothing where it would not be shorter.
fn compressed(next: u8, index: u16, bytes: &[u8]) -> Option<Vec<u8>> {
    let packed = [&[next, 0][..], &index.to_be_bytes(), &deflated(bytes)].concat();
    (packed.len() < bytes.len()).then_some(packed)
}

fn ipcomp() -> Traffic {
    // Hellos are mostly random: a long name makes them worth the trouble.
    let label = |what: &str| format!("{}{what}", "inside.".repeat(12));
    const DEFLATE: u16 = 2;
    const LZS: u16 = 3;
    const NEGOTIATED: u16 = 0x1234;
    let transport = |index: u16| move |next: u8, payload: &[u8]| compressed(next, index, payload);
    let tunnel = three_things(&label("ipcomp-tunnel"), false, 2).records.into_iter().enumerate();
    let tunnel = tunnel.map(|(count, record)| {
        let packet = ip_packet(&record);
        let (near, far) = (at(V4.0), at(V4.1));
        let (source, destination) = if packet[12] == 10 { (near, far) } else { (far, near) };
        let way = Way { source, destination, vlan: None };
        let (protocol, payload) = match compressed(number::IPIP, NEGOTIATED, packet) {
            Some(packed) => (number::IPCOMP, packed),
            None => (number::IPIP, packet.to_vec()),
        };
        let frame = frame::whole(way, protocol, count as u16 + 1, &payload);
        Record { time_nanos: record.time_nanos, frame }
    });
    let tunnel = Traffic { records: tunnel.collect(), ..Traffic::default() };
    all([
        in_transport_mode(
            three_things(&label("ipcomp"), false, 0),
            number::IPCOMP,
            transport(DEFLATE),
        ),
        in_transport_mode(
            three_things(&label("ipcomp-v6"), true, 1),
            number::IPCOMP,
            transport(NEGOTIATED),
        ),
        tunnel,
        in_transport_mode(
            three_things(&label("lzs"), false, 3),
            number::IPCOMP,
            |next, payload| {
                // What it would be with LZS does not matter: nobody here can read it.
                let closed = compressed(next, LZS, payload)?;
                Some(
                    closed
                        .iter()
                        .enumerate()
                        .map(|(at, byte)| if at < 4 { *byte } else { byte ^ 0x5a })
                        .collect(),
                )
            },
        ),
    ])
}

fn other_tunnels() -> Traffic {
    let udp = |ends| {
        move |label, is_v6, number, wrap: &dyn Fn(&[u8]) -> Vec<u8>| {
            in_udp(three_things(label, is_v6, number), ends, wrap)
        }
    };
    all([
        in_ip(three_things("etherip", false, 0), V4, number::ETHERIP, |_, packet| {
            [&[0x30, 0][..], &ethernet(packet)].concat()
        }),
        in_ip(three_things("mpls-in-ip", false, 1), V4, number::MPLS, |_, packet| {
            [&[0, 1, 0x11, 64][..], packet].concat()
        }),
        in_ip(three_things("gre-v6", true, 2), V4, number::GRE, |_, packet| {
            gre(0x2000, 0x86dd, &[0, 0, 0, 5], packet)
        }),
        in_ip(three_things("gre-ethernet", false, 3), V6, number::GRE, |_, packet| {
            gre(0, 0x6558, &[], &ethernet(packet))
        }),
        in_ip(three_things("pptp", false, 4), V4, number::GRE, |_, packet| {
            let ppp = [&[0xff, 3, 0, 0x21][..], packet].concat();
            let length = (ppp.len() as u16).to_be_bytes();
            gre(0x3001, 0x880b, &[length[0], length[1], 0, 5, 0, 0, 0, 1], &ppp)
        }),
        udp(("10.9.0.1:50000", "198.18.99.1:4790"))("vxlan-gpe", true, 5, &|packet| {
            [&[0x0c, 0, 0, 2, 0, 0, 9, 0][..], packet].concat()
        }),
        udp(("10.9.0.1:50001", "198.18.99.1:5247"))("capwap", false, 6, &|packet| {
            // Two words of header, binding 802.11, an Ethernet frame inside.
            [&[0, 0x10, 0x02, 0, 0, 0, 0, 0][..], &ethernet(packet)].concat()
        }),
        udp(("10.9.0.1:1701", "198.18.99.1:1701"))("l2tp", false, 7, &|packet| {
            let length = (12 + packet.len() as u16).to_be_bytes();
            [&[0x40, 2][..], &length, &[0, 1, 0, 2, 0xff, 3, 0, 0x21], packet].concat()
        }),
        udp(("10.9.0.1:50002", "198.18.99.1:5072"))("ayiya", true, 9, &|packet| {
            // Identity of 16 bytes, signature of five words (SHA-1), forwarded.
            [&[0x41, 0x52, 0x11, 41, 0, 0, 0, 1][..], &[9; 16], &[8; 20], packet].concat()
        }),
        udp(("10.9.0.1:50004", "198.18.99.1:6635"))("mpls-in-udp", true, 12, &|packet| {
            [&[0, 1, 0x10, 64, 0, 2, 0x11, 64][..], packet].concat()
        }),
        udp(("10.9.0.1:50003", "198.18.99.1:37008"))("tzsp", false, 10, &|packet| {
            [&[1, 0, 0, 1, 1][..], &ethernet(packet)].concat()
        }),
        in_ip(three_things("aruba", false, 11), V4, number::GRE, |_, packet| {
            let header = [&[0x08, 0x01, 0, 0][..], &[2; 18], &[0x10, 0], &[0xaa, 0xaa, 3, 0, 0, 0]];
            gre(0, 0x8200, &[], &[&header.concat()[..], &ether_type(packet), packet].concat())
        }),
        udp(("10.9.0.1:3545", "198.18.99.1:3544"))("teredo", true, 8, &|packet| packet.to_vec()),
    ])
}

fn tags() -> Traffic {
    let tagged = |traffic: Traffic, kind: u16, tag: &[u8], inner: &dyn Fn(&[u8]) -> Vec<u8>| {
        let records = traffic.records.iter().map(|record| {
            let addresses = &record.frame[..12];
            let rest = inner(ip_packet(record));
            let frame = [addresses, &kind.to_be_bytes(), tag, &rest].concat();
            Record { time_nanos: record.time_nanos, frame }
        });
        Traffic { records: records.collect(), ..Traffic::default() }
    };
    let typed = |packet: &[u8]| [&ether_type(packet)[..], packet].concat();
    all([
        tagged(three_things("vn-tag", false, 0), 0x8926, &[0, 0, 0, 1], &typed),
        tagged(three_things("e-tag", true, 1), 0x893f, &[0, 0, 0, 1, 0, 0], &typed),
        tagged(three_things("mac-in-mac", false, 2), 0x88e7, &[0, 0, 0, 1], &|packet| {
            ethernet(packet)
        }),
        tagged(three_things("fabric-path", false, 3), 0x8903, &[0, 0x20], &|packet| {
            // With the checksum that a fabric leaves at the end of the frame inside.
            [&ethernet(packet)[..], &[0xfc; 4]].concat()
        }),
        // Without encryption: a check value is behind what it protects.
        tagged(three_things("macsec", true, 5), 0x88e5, &[0, 0, 0, 0, 0, 1], &|packet| {
            [&typed(packet)[..], &[0x1c; 16]].concat()
        }),
        tagged(
            three_things("nsh", false, 4),
            0x894f,
            &[0x0f, 0xc6, 1, 1, 0, 0, 1, 0xff],
            &|packet| [&[0; 16][..], packet].concat(),
        ),
    ])
}

fn fragments() -> Traffic {
    let hello = |traffic: &mut Traffic, client: &str, server: &str, number: i64, host: &str| {
        let mut random = Random::new(number as u64);
        let hello = Hello { server_name: Some(host), post_quantum: true, ..Hello::default() };
        let records = tls::records(&tls::client_hello(&hello, &mut random), 16_384);
        let mut talk = Talk::tcp(traffic, at(client), at(server), second(number));
        talk.open();
        talk.send_cut(Side::Up, &records, 16_384, crate::generator::talk::Order::Straight);
        talk.send(Side::Down, &tls::server_hello(&mut random));
        talk.close();
    };
    let mut plain = Traffic::default();
    hello(&mut plain, "[fd20::42]:56001", "[2001:db8::42]:443", 0, "fragments-v6.example.com");
    hello(&mut plain, "10.20.0.42:56002", "198.18.42.1:443", 1, "fragments-v4.example.com");
    let mut inner = Traffic::default();
    hello(&mut inner, "10.20.0.42:56003", "198.18.42.1:443", 2, "fragments-gre.example.com");
    let tunnel = in_ip(inner, V4, number::GRE, |_, packet| gre(0, 0x0800, &[], packet));
    let whole = all([plain, tunnel]);
    let mut cut = Traffic::default();
    for (count, record) in whole.records.into_iter().enumerate() {
        let packet = ip_packet(&record);
        let (protocol, payload) = carried(packet);
        if payload.len() < 1000 {
            cut.records.push(record);
            continue;
        }
        let identification = 100 + count as u16;
        let pieces = frame::fragments(way_of(packet), protocol, identification, payload, 500);
        let pieces = pieces.into_iter().rev();
        cut.records.extend(pieces.map(|frame| Record { time_nanos: record.time_nanos, frame }));
    }
    cut
}

/// Every packet in fragments of up to `size` bytes, the packets numbered from `first` on.
fn in_fragments(traffic: Traffic, first: u16, size: usize) -> Traffic {
    let mut cut = Traffic::default();
    for (number, record) in (first..).zip(traffic.records) {
        let packet = ip_packet(&record);
        let (protocol, payload) = carried(packet);
        let pieces = frame::fragments(way_of(packet), protocol, number, payload, size);
        let time_nanos = record.time_nanos;
        cut.records.extend(pieces.into_iter().map(|frame| Record { time_nanos, frame }));
    }
    cut
}

fn fragments_nested() -> Traffic {
    let in_gre =
        |traffic: Traffic| in_ip(traffic, V4, number::GRE, |_, packet| gre(0, 0x0800, &[], packet));
    let hello = |number: i64, client: &str, host: &str| {
        let mut traffic = Traffic::default();
        let mut random = Random::new(number as u64);
        let mut talk = Talk::tcp(&mut traffic, at(client), at("198.18.43.1:443"), second(number));
        talk.open();
        let hello = Hello { server_name: Some(host), ..Hello::default() };
        let records = tls::records(&tls::client_hello(&hello, &mut random), 16_384);
        talk.send(Side::Up, &records);
        traffic
    };
    // Pieces so small that even a packet without payload does not fit into one.
    let once = in_fragments(hello(0, "10.20.0.43:56011", "nested-once.example.com"), 1000, 64);
    let twice = in_fragments(hello(1, "10.20.0.43:56012", "nested-twice.example.com"), 2000, 64);
    let twice = in_fragments(in_gre(twice), 3000, 16);
    all([in_fragments(in_gre(once), 4000, 16), in_fragments(in_gre(twice), 5000, 16)])
}

#[test]
fn compression_pays_for_some_packets_and_not_for_others() {
    let traffic = ipcomp();
    let is_compressed = |record: &&Record| carried(ip_packet(record)).0 == number::IPCOMP;
    let compressed = traffic.records.iter().filter(is_compressed).count();
    assert!(compressed >= 12 && compressed < traffic.records.len() / 2);
    assert_eq!(ETHERNET, 1);
}
