//! What hides a name, brings it in pieces, or stands in its place.

use crate::generator::talk::{Order, Side, Talk};
use crate::generator::tls::{self, Hello};
use crate::generator::{Random, Traffic, dns, quic};

use super::Scene;
use super::capture::{at, pcap, pcap_big_endian, pcap_gzip, pcap_kuznetzov, pcap_zstd, second};

pub(super) fn scenes() -> Vec<Scene> {
    vec![
        Scene {
            folder: "tls-segments",
            words: "ClientHellos as networks deliver them: last segment first, segments twice, segments that overlap\n\
                    (where copies of a byte differ, the first one seen counts), and with the last one lost.",
            input: pcap(tls_segments()),
        },
        Scene {
            folder: "esni",
            words: "A ClientHello whose name is encrypted by the draft before ECH (ESNI, extension 0xffce): DNS names\n\
                    the one, nothing names the other.",
            input: pcap(esni()),
        },
        Scene {
            folder: "h2c",
            words: "HTTP/2 with prior knowledge: two requests on one connection, the second by reference to the\n\
                    compression table.",
            input: pcap(h2c()),
        },
        Scene {
            folder: "forwarded-for",
            words: "HTTP requests through a proxy that says for whom it asks (`X-Forwarded-For`): a hint, not the client.",
            input: pcap(forwarded_for()),
        },
        Scene {
            folder: "device-names",
            words: "Names that devices give themselves: mDNS, LLMNR and NetBIOS. They are no use of an app.",
            input: pcap(device_names()),
        },
        Scene {
            folder: "encrypted-dns",
            words: "DNS over TLS by its port and by its ALPN, DNS over QUIC, and DNS over HTTPS by the resolver's name.",
            input: pcap(encrypted_dns()),
        },
        Scene {
            folder: "address-ranges",
            words: "Datagrams to an address of Microsoft Teams' media servers, without any name: the catalogue's ranges\n\
                    name the one to a port of the rule, and not the others.",
            input: pcap(address_ranges()),
        },
        Scene {
            folder: "dns-candidates",
            words: "Connections without a name of their own: the client's own question names one, the question of the\n\
                    same machine's other address another, two questions for one address make a third ambiguous, and a\n\
                    stranger's question names nothing.",
            input: pcap(dns_candidates()),
        },
        Scene {
            folder: "pcap-big-endian",
            words: "A capture file whose numbers are in network order, stamps in microseconds.",
            input: pcap_big_endian(one_request("big-endian.example.com")),
        },
        Scene {
            folder: "pcap-kuznetzov",
            words: "A capture file as Alexey Kuznetzov's patched libpcap wrote it, with 24 bytes before each packet.",
            input: pcap_kuznetzov(one_request("kuznetzov.example.com")),
        },
        Scene {
            folder: "pcap-gzip",
            words: "A capture file as gzip, in two members one behind the other.",
            input: pcap_gzip(one_request("gzip.example.com")),
        },
        Scene {
            folder: "pcap-zstd",
            words: "A capture file as Zstandard, in two frames with a skippable one between.",
            input: pcap_zstd(one_request("zstd.example.com")),
        },
        Scene {
            folder: "quic-versions",
            words: "QUIC Initials of version 1, 2, draft 29, of a version nobody knows with version 1's keys, and Google\n\
                    QUIC's hello in clear text.",
            input: pcap(quic_versions()),
        },
        Scene {
            folder: "quic-connections",
            words: "Connections of QUIC on the same addresses and ports: one behind the other, and two whose hellos come\n\
                    in pieces by turns, the first piece of one sent ten times.",
            input: pcap(quic_connections()),
        },
        Scene {
            folder: "long-head-and-port-53",
            words: "A request with 20 KB of cookies before its host, and the next one on the same connection; QUIC to UDP\n\
                    port 53.",
            input: pcap(long_heads_and_dns_ports()),
        },
    ]
}

pub(super) fn hello(host: &str, random: &mut Random) -> Vec<u8> {
    let hello = Hello { server_name: Some(host), alpn: &["h2", "http/1.1"], ..Hello::default() };
    tls::records(&tls::client_hello(&hello, random), 16_384)
}

pub(super) fn finish_tls(talk: &mut Talk<'_>, random: &mut Random) {
    talk.send(Side::Down, &tls::server_hello(random));
    talk.send(Side::Up, &tls::application_data(200, random));
    talk.send(Side::Down, &tls::application_data(700, random));
    talk.close();
}

pub(super) fn request(
    traffic: &mut Traffic,
    client: &str,
    server: &str,
    number: i64,
    said: &[&[u8]],
) {
    let mut talk = Talk::tcp(traffic, at(client), at(server), second(number));
    talk.open();
    for said in said {
        talk.send(Side::Up, said);
    }
    talk.send(Side::Down, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    talk.close();
}

fn one_request(host: &str) -> Traffic {
    let mut traffic = Traffic::default();
    let said = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
    request(&mut traffic, "10.20.0.33:54001", "198.18.12.1:80", 0, &[said.as_bytes()]);
    traffic
}

fn tls_segments() -> Traffic {
    use crate::generator::frame::flag::{ACK, PSH};
    let mut traffic = Traffic::default();
    let server = at("198.18.5.1:443");
    let post_quantum = |host: &'static str, number: u64| {
        let hello = Hello { server_name: Some(host), post_quantum: true, ..Hello::default() };
        tls::client_hello(&hello, &mut Random::new(number))
    };
    let orders = [
        ("reversed.example.com", 400, Order::Reversed),
        ("small.example.com", 30, Order::Straight),
    ];
    for (number, (host, size, order)) in orders.into_iter().enumerate() {
        let mut random = Random::new(number as u64);
        let client = at(&format!("10.20.0.15:{}", 44_000 + number));
        let mut talk = Talk::tcp(&mut traffic, client, server, second(number as i64));
        talk.open();
        let hello = tls::records(&post_quantum(host, number as u64), 100 + number * 16_000);
        talk.send_cut(Side::Up, &hello, size, order);
        finish_tls(&mut talk, &mut random);
    }
    // Every segment twice, each copy half over the one before.
    let mut random = Random::new(9);
    let mut talk = Talk::tcp(&mut traffic, at("10.20.0.15:44009"), server, second(3));
    talk.open();
    let hello = tls::records(&post_quantum("overlapping.example.com", 9), 16_384);
    let start = talk.sequence[Side::Up as usize];
    for at in (0..hello.len()).step_by(100) {
        let piece = &hello[at..hello.len().min(at + 150)];
        for _ in 0..2 {
            talk.segment_at(Side::Up, ACK | PSH, start + at as u32, piece);
        }
    }
    talk.sequence[Side::Up as usize] = start + hello.len() as u32;
    finish_tls(&mut talk, &mut random);
    // A copy with another name comes too late.
    let mut talk = Talk::tcp(&mut traffic, at("10.20.0.15:44010"), server, second(4));
    talk.open();
    let [first, second_copy] = ["first-copy.example.com", "later-copy.example.com"]
        .map(|host| tls::records(&post_quantum(host, 10), 16_384));
    let start = talk.sequence[Side::Up as usize];
    talk.segment_at(Side::Up, ACK | PSH, start, &first[..700]);
    talk.segment_at(Side::Up, ACK | PSH, start, &second_copy[..1200]);
    talk.segment_at(Side::Up, ACK | PSH, start + 1200, &first[1200..]);
    talk.sequence[Side::Up as usize] = start + first.len() as u32;
    finish_tls(&mut talk, &mut random);
    // The last segment never comes: the name was in the first.
    let mut talk = Talk::tcp(&mut traffic, at("10.20.0.15:44011"), server, second(5));
    talk.open();
    let hello = tls::records(&post_quantum("cut.example.com", 11), 16_384);
    talk.send_cut(Side::Up, &hello, 1200, Order::WithoutLast);
    talk.close();
    traffic
}

fn esni() -> Traffic {
    let mut traffic = Traffic::default();
    let mut random = Random::new(1);
    let server = at("198.18.6.1:443");
    let mut talk = Talk::udp(&mut traffic, at("10.20.0.16:45000"), at("10.20.0.1:53"), second(0));
    talk.send(Side::Up, &dns::query(1, "encrypted.example.com", dns::A));
    talk.send(Side::Down, &dns::response(1, "encrypted.example.com", &[server.ip()], 300));
    for (client, number) in [("10.20.0.16:45001", 1), ("10.20.0.17:45002", 2)] {
        let mut talk = Talk::tcp(&mut traffic, at(client), server, second(number));
        talk.open();
        let hello = tls::client_hello(&Hello { esni: true, ..Hello::default() }, &mut random);
        talk.send(Side::Up, &tls::records(&hello, 16_384));
        finish_tls(&mut talk, &mut random);
    }
    traffic
}

fn h2c() -> Traffic {
    let mut traffic = Traffic::default();
    let mut talk =
        Talk::tcp(&mut traffic, at("10.20.0.18:46001"), at("198.18.7.1:8080"), second(0));
    talk.open();
    talk.send(Side::Up, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
    talk.send(Side::Down, b"\0\0\0\x04\0\0\0\0\0\0\0\0\x04\x01\0\0\0\0");
    talk.send(Side::Up, b"\0\0\0\x04\x01\0\0\0\0");
    // :method GET, :scheme http, :path /, :authority www.example.com (RFC 7541, C.4.1).
    talk.send(Side::Up, b"\0\0\x11\x01\x05\0\0\0\x01\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff");
    talk.send(Side::Down, b"\0\0\x01\x01\x05\0\0\0\x01\x89");
    talk.send(Side::Up, b"\0\0\x04\x01\x05\0\0\0\x03\x82\x86\x84\xbe");
    talk.send(Side::Down, b"\0\0\x01\x01\x05\0\0\0\x03\x89");
    talk.close();
    traffic
}

fn forwarded_for() -> Traffic {
    let mut traffic = Traffic::default();
    request(
        &mut traffic,
        "10.20.0.19:47001",
        "198.18.8.1:80",
        0,
        &[b"GET / HTTP/1.1\r\nHost: one.example.com\r\nX-Forwarded-For: 192.0.2.31\r\n\r\n"],
    );
    request(&mut traffic, "10.20.0.19:47002", "198.18.8.1:80", 1, &[
        b"GET / HTTP/1.1\r\nx-forwarded-for: 2001:db8::31, 10.20.0.1\r\nhost: two.example.com\r\n\r\n",
    ]);
    request(
        &mut traffic,
        "10.20.0.19:47003",
        "198.18.8.1:80",
        2,
        &[b"GET / HTTP/1.1\r\nHost: three.example.com\r\nX-Forwarded-For: unknown\r\n\r\n"],
    );
    traffic
}

fn device_names() -> Traffic {
    let mut traffic = Traffic::default();
    // An announcement has no question and one answer, of class IN with the cache-flush bit.
    let announcement = |name: &str, address: [u8; 4]| {
        let mut message = vec![0, 0, 0x84, 0, 0, 0, 0, 1, 0, 0, 0, 0];
        message.extend(dns::labels(name));
        message.extend([0, 1, 0x80, 1, 0, 0, 0, 120, 0, 4]);
        message.extend(address);
        message
    };
    let mut talk =
        Talk::udp(&mut traffic, at("10.20.0.21:5353"), at("224.0.0.251:5353"), second(0));
    talk.send(Side::Up, &announcement("annas-laptop.local", [10, 20, 0, 21]));
    let mut talk = Talk::udp(&mut traffic, at("[fd20::22]:5353"), at("[ff02::fb]:5353"), second(1));
    talk.send(Side::Up, &dns::query(0, "_ipp._tcp.local", 12));
    let mut talk =
        Talk::udp(&mut traffic, at("10.20.0.23:49001"), at("224.0.0.252:5355"), second(2));
    talk.send(Side::Up, &dns::query(7, "printer-3", dns::A));
    // NetBIOS (RFC 1002, 4.2.2): a registration of the name DESKTOP-7.
    let mut message = vec![0x80, 1, 0x29, 0x10, 0, 1, 0, 0, 0, 0, 0, 1, 32];
    for byte in b"DESKTOP-7       ".iter().take(15).chain(&[0]) {
        message.extend([b'A' + (byte >> 4), b'A' + (byte & 15)]);
    }
    message.extend([
        0, 0, 0x20, 0, 1, 0xc0, 12, 0, 0x20, 0, 1, 0, 4, 0x93, 0xe0, 0, 6, 0, 0, 10, 20, 0, 24,
    ]);
    let mut talk = Talk::udp(&mut traffic, at("10.20.0.24:137"), at("10.20.0.255:137"), second(3));
    talk.send(Side::Up, &message);
    traffic
}

fn encrypted_dns() -> Traffic {
    let mut traffic = Traffic::default();
    let over_tls =
        |traffic: &mut Traffic, client: &str, server: &str, number, name, alpn: &[&str]| {
            let mut random = Random::new(number as u64);
            let mut talk = Talk::tcp(traffic, at(client), at(server), second(number));
            talk.open();
            let hello = Hello { server_name: name, alpn, ..Hello::default() };
            talk.send(Side::Up, &tls::records(&tls::client_hello(&hello, &mut random), 16_384));
            finish_tls(&mut talk, &mut random);
        };
    over_tls(&mut traffic, "10.20.0.25:50001", "198.18.9.1:853", 0, None, &[]);
    over_tls(
        &mut traffic,
        "10.20.0.25:50002",
        "198.18.9.1:8853",
        1,
        Some("dot.example.com"),
        &["dot"],
    );
    over_tls(&mut traffic, "10.20.0.25:50003", "198.18.9.1:443", 2, Some("dns.google"), &["h2"]);
    for (number, (server, name)) in
        [("198.18.9.1:853", "doq.example.com"), ("198.18.9.1:8853", "doq-port.example.com")]
            .into_iter()
            .enumerate()
    {
        let mut random = Random::new(number as u64);
        let client = at(&format!("10.20.0.25:{}", 50_010 + number));
        let mut talk = Talk::udp(&mut traffic, client, at(server), second(4 + number as i64));
        let hello =
            Hello { server_name: Some(name), alpn: &["doq"], quic: true, ..Hello::default() };
        let message = tls::client_hello(&hello, &mut random);
        let id = random.bytes(8);
        for initial in quic::initials(quic::Version::V1, &id, &message) {
            talk.send(Side::Up, &initial);
        }
        talk.send(Side::Down, &quic::short(&id, &[0x5a; 300]));
    }
    traffic
}

fn address_ranges() -> Traffic {
    let mut traffic = Traffic::default();
    let talks = [
        ("10.20.0.26:51001", "52.112.7.7:3479"),
        ("10.20.0.26:51002", "52.112.7.7:4479"),
        ("10.20.0.26:51003", "52.120.7.7:3479"),
    ];
    for (number, (client, server)) in talks.into_iter().enumerate() {
        let mut talk = Talk::udp(&mut traffic, at(client), at(server), second(number as i64));
        // Media of no known form.
        talk.send(Side::Up, &[0x21; 200]);
        talk.send(Side::Down, &[0x21; 300]);
    }
    traffic
}

fn dns_candidates() -> Traffic {
    let mut traffic = Traffic::default();
    let asks = |traffic: &mut Traffic, client: &str, number: i64, name: &str, server: &str| {
        let resolver = if client.starts_with('[') { "[fd20::53]:53" } else { "10.20.0.53:53" };
        let mut talk = Talk::udp(traffic, at(client), at(resolver), second(number));
        let kind = if at(server).is_ipv6() { dns::AAAA } else { dns::A };
        talk.send(Side::Up, &dns::query(number as u16, name, kind));
        talk.send(Side::Down, &dns::response(number as u16, name, &[at(server).ip()], 300));
    };
    let silent = |traffic: &mut Traffic, client: &str, number: i64, server: &str| {
        let mut talk = Talk::udp(traffic, at(client), at(server), second(number));
        talk.send(Side::Up, &[0x21; 100]);
        talk.send(Side::Down, &[0x21; 400]);
    };
    asks(&mut traffic, "10.20.0.27:52001", 0, "files.slack.com", "198.18.10.1:7000");
    silent(&mut traffic, "10.20.0.27:52002", 1, "198.18.10.1:7000");
    // The generator gives both addresses of a machine the same link address.
    asks(&mut traffic, "10.0.0.28:52003", 2, "chatgpt.com", "[2001:db8::7]:7000");
    silent(&mut traffic, "[fd00::28]:52004", 3, "[2001:db8::7]:7000");
    asks(&mut traffic, "10.20.0.29:52005", 4, "files.slack.com", "198.18.10.2:7000");
    asks(&mut traffic, "10.20.0.29:52006", 5, "www.dropbox.com", "198.18.10.2:7000");
    silent(&mut traffic, "10.20.0.29:52007", 6, "198.18.10.2:7000");
    asks(&mut traffic, "10.20.0.30:52008", 7, "files.slack.com", "198.18.10.3:7000");
    silent(&mut traffic, "10.20.0.31:52009", 8, "198.18.10.3:7000");
    traffic
}

fn quic_connections() -> Traffic {
    let mut traffic = Traffic::default();
    let hello = |host: &'static str, random: &mut Random| {
        let alpn = &["h3"];
        let post_quantum = true;
        let server_name = Some(host);
        let hello = Hello { server_name, alpn, post_quantum, quic: true, ..Hello::default() };
        tls::client_hello(&hello, random)
    };
    let mut random = Random::new(40);
    let server = at("198.18.11.2:443");
    let mut talk = Talk::udp(&mut traffic, at("10.20.0.40:53100"), server, second(0));
    for host in ["first.example.com", "second.example.com", "third.example.com"] {
        let message = hello(host, &mut random);
        let id = random.bytes(8);
        for initial in quic::initials(quic::Version::V1, &id, &message) {
            talk.send(Side::Up, &initial);
        }
        for _ in 0..10 {
            talk.send(Side::Down, &quic::short(&[], &random.bytes(300)));
            talk.send(Side::Up, &quic::short(&id, &random.bytes(50)));
        }
    }
    // Both have an id of their own, by which they know whom an answer is for.
    let mut talk = Talk::udp(&mut traffic, at("10.20.0.40:53101"), server, second(5));
    let [one, other] = ["one.example.com", "other.example.com"].map(|host| {
        let (source, id) = (random.bytes(4), random.bytes(8));
        let message = hello(host, &mut random);
        let pieces = message.chunks(700).enumerate().map(|(number, piece)| {
            let frame = quic::crypto_frame((number * 700) as u64, piece);
            quic::initial_from(&source, quic::Version::V1, &id, number as u32, &frame)
        });
        pieces.collect::<Vec<_>>()
    });
    for _ in 0..10 {
        talk.send(Side::Up, &one[0]);
    }
    for (one, other) in one.iter().skip(1).zip(&other) {
        talk.send(Side::Up, other);
        talk.send(Side::Up, one);
    }
    for other in &other[one.len() - 1..] {
        talk.send(Side::Up, other);
    }
    talk.send(Side::Down, &quic::short(&[], &random.bytes(300)));
    traffic
}

fn quic_versions() -> Traffic {
    let mut traffic = Traffic::default();
    let versions = [
        (quic::Version::V1, "v1.example.com"),
        (quic::Version::V2, "v2.example.com"),
        (quic::Version::Draft29, "draft-29.example.com"),
        (quic::Version::Greased, "greased.example.com"),
    ];
    for (number, (version, host)) in versions.into_iter().enumerate() {
        let mut random = Random::new(number as u64);
        let client = at(&format!("10.20.0.32:{}", 53_000 + number));
        let mut talk =
            Talk::udp(&mut traffic, client, at("198.18.11.1:443"), second(number as i64));
        let hello = Hello {
            server_name: Some(host),
            alpn: &["h3"],
            quic: true,
            post_quantum: true,
            ..Hello::default()
        };
        let message = tls::client_hello(&hello, &mut random);
        let id = random.bytes(8);
        for initial in quic::initials(version, &id, &message) {
            talk.send(Side::Up, &initial);
        }
        talk.send(Side::Down, &quic::short(&id, &[0x5a; 300]));
    }
    let mut talk =
        Talk::udp(&mut traffic, at("10.20.0.32:53010"), at("198.18.11.1:443"), second(9));
    talk.send(Side::Up, &google_hello("google.example.com"));
    traffic
}

fn long_heads_and_dns_ports() -> Traffic {
    let mut traffic = Traffic::default();
    let cookies = "Cookie: ".to_owned() + &"0123456789".repeat(2000);
    let long = format!("GET / HTTP/1.1\r\n{cookies}\r\nHost: long-head.example.com\r\n\r\n");
    let next = b"GET / HTTP/1.1\r\nHost: behind-it.example.com\r\n\r\n";
    request(&mut traffic, "10.20.0.34:54101", "198.18.13.1:80", 0, &[long.as_bytes(), next]);

    let mut random = Random::new(34);
    let hello = Hello {
        server_name: Some("quic-to-53.example.com"),
        post_quantum: true,
        quic: true,
        ..Hello::default()
    };
    let (client, resolver) = (at("10.20.0.34:54102"), at("198.18.13.2:53"));
    let mut talk = Talk::udp(&mut traffic, client, resolver, second(2));
    let message = tls::client_hello(&hello, &mut random);
    let id = random.bytes(8);
    for initial in quic::initials(quic::Version::V1, &id, &message) {
        talk.send(Side::Up, &initial);
    }
    traffic
}

/// A client hello of Google QUIC Q043: tags with the offsets at which their values end.
fn google_hello(host: &str) -> Vec<u8> {
    let values: [(&[u8; 4], &[u8]); 2] = [(b"SNI\0", host.as_bytes()), (b"VER\0", b"Q043")];
    let mut message = b"CHLO".to_vec();
    message.extend([values.len() as u8, 0, 0, 0]);
    let mut end = 0u32;
    for (tag, value) in values {
        message.extend(tag);
        end += value.len() as u32;
        message.extend(end.to_le_bytes());
    }
    message.extend(values.iter().flat_map(|(_, value)| *value));
    // Flags, connection id, version, packet number; a hash; a STREAM frame of stream 1 with length.
    let mut packet = vec![0x09];
    packet.extend([0x11; 8]);
    packet.extend(b"Q043\x01");
    packet.extend([0x22; 12]);
    packet.extend([0xa0, 0x01]);
    packet.extend((message.len() as u16).to_be_bytes());
    packet.extend(&message);
    packet.resize(1200, 0);
    packet
}
