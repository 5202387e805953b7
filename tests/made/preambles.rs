//! What stands before TLS and HTTP on a connection.

use crate::generator::talk::{Order, Side, Talk};
use crate::generator::tls::{self, Hello};
use crate::generator::{MILLISECOND, Random, Traffic};

use super::Scene;
use super::capture::{at, pcap, second};
use super::names::{finish_tls, hello, request};

pub(super) fn scenes() -> Vec<Scene> {
    vec![
        Scene {
            folder: "socks",
            words: "TLS behind SOCKS 4, 4a, 5, and 5 with user and password, and HTTP behind SOCKS 5; what the\n\
                    client asks of the proxy comes in segments of its own or together with the hello.",
            input: pcap(socks()),
        },
        Scene {
            folder: "proxy-protocol",
            words: "TLS and HTTP behind the PROXY protocol: version 1 for IPv4 and IPv6 and for an unknown family, version\n\
                    2 with and without further fields, in one segment with what follows and alone.",
            input: pcap(proxy_protocol()),
        },
        Scene {
            folder: "rdp",
            words: "TLS behind the connection request of RDP (X.224 in TPKT), with a routing cookie and without.",
            input: pcap(rdp()),
        },
        Scene {
            folder: "sql-server",
            words: "TLS inside the first packets of SQL Server's protocol (TDS), on its port and on another.",
            input: pcap(sql_server()),
        },
        Scene {
            folder: "starttls-slow",
            words: "SMTP, IMAP, POP3, FTP, XMPP, LDAP, PostgreSQL and MySQL on ports that are not their own, the\n\
                    client's bytes in segments of seven bytes, and the hello with a post-quantum key share.",
            input: pcap(starttls_slow()),
        },
    ]
}

fn socks() -> Traffic {
    let mut traffic = Traffic::default();
    let proxy = "198.18.1.1:1080";
    hello_behind(
        &mut traffic,
        "10.20.0.11:40001",
        proxy,
        0,
        &[(b"\x04\x01\x01\xbb\xc6\x12\x05\x05me\0", b"\0\x5a\0\0\0\0\0\0")],
        "socks4.example.com",
    );
    hello_behind(
        &mut traffic,
        "10.20.0.11:40002",
        proxy,
        1,
        &[(b"\x04\x01\x01\xbb\0\0\0\x01\0socks4a.example.com\0", b"\0\x5a\0\0\0\0\0\0")],
        "socks4a.example.com",
    );
    hello_behind(
        &mut traffic,
        "10.20.0.11:40003",
        proxy,
        2,
        &[
            (b"\x05\x02\0\x01", b"\x05\0"),
            (
                b"\x05\x01\0\x03\x12socks5.example.com\x01\xbb",
                b"\x05\0\0\x01\xc6\x12\x01\x01\x04\x38",
            ),
        ],
        "socks5.example.com",
    );
    hello_behind(
        &mut traffic,
        "10.20.0.11:40004",
        proxy,
        3,
        &[
            (b"\x05\x01\x02", b"\x05\x02"),
            (b"\x01\x04user\x06secret", b"\x01\0"),
            (b"\x05\x01\0\x01\xc6\x12\x05\x05\x01\xbb", b"\x05\0\0\x01\xc6\x12\x01\x01\x04\x38"),
        ],
        "socks5-password.example.com",
    );
    hello_behind(
        &mut traffic,
        "[fd20::11]:40005",
        "[2001:db8::1080]:9050",
        4,
        &[
            (b"\x05\x01\0", b"\x05\0"),
            (
                b"\x05\x01\0\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x05\x01\xbb",
                b"\x05\0\0\x01\0\0\0\0\0\0",
            ),
        ],
        "socks5-ipv6.example.com",
    );
    // What is said to the proxy and through it, at once.
    let mut random = Random::new(6);
    let mut talk = Talk::tcp(&mut traffic, at("10.20.0.11:40006"), at(proxy), second(5));
    talk.open();
    let before = b"\x04\x01\x01\xbb\xc6\x12\x05\x05\0";
    talk.send(Side::Up, &[&before[..], &hello("at-once.example.com", &mut random)].concat());
    talk.send(Side::Down, b"\0\x5a\0\0\0\0\0\0");
    finish_tls(&mut talk, &mut random);
    let mut talk = Talk::tcp(&mut traffic, at("10.20.0.11:40007"), at(proxy), second(6));
    talk.open();
    talk.send(Side::Up, b"\x05\x01\0");
    talk.send(Side::Down, b"\x05\0");
    talk.send(Side::Up, b"\x05\x01\0\x03\x10http.example.com\0\x50");
    talk.send(Side::Down, b"\x05\0\0\x01\0\0\0\0\0\0");
    talk.send(Side::Up, b"GET / HTTP/1.1\r\nHost: http.example.com\r\n\r\n");
    talk.send(Side::Down, b"HTTP/1.1 204 No Content\r\n\r\n");
    talk.close();
    traffic
}

fn proxy_protocol() -> Traffic {
    const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
    let v2 = |command: u8, family: u8, fields: &[u8]| {
        let length = (fields.len() as u16).to_be_bytes();
        [SIGNATURE, &[command, family], &length, fields].concat()
    };
    let v4_fields = [192, 0, 2, 7, 198, 18, 5, 5, 0xdc, 0x04, 0x01, 0xbb];
    let v6_fields = [
        &[0x20, 1, 0xd, 0xb8][..],
        &[0; 11],
        &[7],
        &[0x20, 1, 0xd, 0xb8],
        &[0; 11],
        &[5],
        &[0xdc, 4, 1, 0xbb],
    ]
    .concat();
    let with_more =
        [&v4_fields[..], &[0x03, 0, 4, 1, 2, 3, 4], &[0x02, 0, 3, b'a', b'.', b'b']].concat();
    let server = "198.18.2.1:443";
    let mut traffic = Traffic::default();
    let before: [(&str, Vec<u8>, &str); 6] = [
        (
            "10.20.0.12:41001",
            b"PROXY TCP4 192.0.2.7 198.18.5.5 56324 443\r\n".to_vec(),
            "v1.example.com",
        ),
        (
            "10.20.0.12:41002",
            b"PROXY TCP6 2001:db8::7 2001:db8::5 56324 443\r\n".to_vec(),
            "v1-ipv6.example.com",
        ),
        ("10.20.0.12:41003", b"PROXY UNKNOWN\r\n".to_vec(), "v1-unknown.example.com"),
        ("10.20.0.12:41004", v2(0x21, 0x11, &v4_fields), "v2.example.com"),
        ("10.20.0.12:41005", v2(0x21, 0x21, &v6_fields), "v2-ipv6.example.com"),
        ("10.20.0.12:41006", v2(0x21, 0x11, &with_more), "v2-more.example.com"),
    ];
    for (number, (client, before, host)) in before.iter().enumerate() {
        let mut random = Random::new(number as u64);
        let mut talk = Talk::tcp(&mut traffic, at(client), at(server), second(number as i64));
        talk.open();
        let hello = hello(host, &mut random);
        if number % 2 == 0 {
            talk.send(Side::Up, before);
            talk.send(Side::Up, &hello);
        } else {
            talk.send(Side::Up, &[&before[..], &hello].concat());
        }
        finish_tls(&mut talk, &mut random);
    }
    let local = v2(0x20, 0, &[]);
    request(
        &mut traffic,
        "10.20.0.12:41007",
        "198.18.2.1:80",
        7,
        &[&[&local[..], b"GET /health HTTP/1.1\r\nHost: v2-local.example.com\r\n\r\n"].concat()],
    );
    request(
        &mut traffic,
        "10.20.0.12:41008",
        "198.18.2.1:80",
        8,
        &[
            b"PROXY TCP4 192.0.2.7 198.18.5.5 56324 80\r\n",
            b"GET / HTTP/1.1\r\nHost: v1-http.example.com\r\n\r\n",
        ],
    );
    traffic
}

fn rdp() -> Traffic {
    let confirm = b"\x03\0\0\x13\x0e\xd0\0\0\x12\x34\0\x02\x1f\x08\0\x02\0\0\0";
    let cookie = b"Cookie: mstshash=someone\r\n";
    let asks = b"\x01\0\x08\0\x0b\0\0\0";
    let with_cookie =
        [
            &[
                3,
                0,
                0,
                (11 + cookie.len() + asks.len()) as u8,
                (6 + cookie.len() + asks.len()) as u8,
            ][..],
            &[0xe0, 0, 0, 0, 0, 0],
            cookie,
            asks,
        ]
        .concat();
    let without = [&[3, 0, 0, 19, 14, 0xe0, 0, 0, 0, 0, 0][..], asks].concat();
    let mut traffic = Traffic::default();
    let server = "198.18.3.1:3389";
    hello_behind(
        &mut traffic,
        "10.20.0.13:42001",
        server,
        0,
        &[(&with_cookie, confirm)],
        "rdp.example.com",
    );
    hello_behind(
        &mut traffic,
        "10.20.0.13:42002",
        server,
        1,
        &[(&without, confirm)],
        "rdp-bare.example.com",
    );
    let other = "198.18.3.1:13389";
    hello_behind(
        &mut traffic,
        "10.20.0.13:42003",
        other,
        2,
        &[(&without, confirm)],
        "rdp-port.example.com",
    );
    traffic
}

fn sql_server() -> Traffic {
    let packet = |kind: u8, content: &[u8]| {
        let length = (content.len() as u16 + 8).to_be_bytes();
        [&[kind, 1][..], &length, &[0, 0, 1, 0], content].concat()
    };
    // Options VERSION and ENCRYPTION (on), their ends, and their values.
    let options = [0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 0xff, 16, 0, 0, 0, 0, 0, 1];
    let mut traffic = Traffic::default();
    for (number, (server, host)) in
        [("198.18.13.1:1433", "tds.example.com"), ("198.18.13.1:21433", "tds-port.example.com")]
            .into_iter()
            .enumerate()
    {
        let mut random = Random::new(number as u64);
        let client = at(&format!("10.20.0.34:{}", 55_000 + number));
        let mut talk = Talk::tcp(&mut traffic, client, at(server), second(number as i64));
        talk.open();
        talk.send(Side::Up, &packet(0x12, &options));
        talk.send(Side::Down, &packet(0x04, &options));
        talk.send(Side::Up, &packet(0x12, &hello(host, &mut random)));
        talk.send(Side::Down, &packet(0x12, &tls::server_hello(&mut random)));
        talk.close();
    }
    traffic
}

fn starttls_slow() -> Traffic {
    let mysql = [&[32, 0, 0, 1, 0x85, 0xae, 0xff, 0x19, 0, 0, 0, 1, 0xff][..], &[0; 23]].concat();
    let greeting = [&[21, 0, 0, 0, 10][..], b"8.0.40\0", &[0; 13]].concat();
    type Lines<'a> = &'a [(&'a [u8], &'a [u8])];
    let talks: [(u16, &[u8], Lines<'_>, &str); 8] = [
        (2025, b"220 mail ESMTP\r\n", &[
            (b"EHLO me.example\r\n", b"250-mail\r\n250 STARTTLS\r\n"),
            (b"STARTTLS\r\n", b"220 go ahead\r\n"),
        ], "smtp.example.com"),
        (2143, b"* OK ready\r\n", &[
            (b"a1 CAPABILITY\r\n", b"* CAPABILITY IMAP4rev1 STARTTLS\r\na1 OK\r\n"),
            (b"a2 STARTTLS\r\n", b"a2 OK begin\r\n"),
        ], "imap.example.com"),
        (2110, b"+OK ready\r\n", &[(b"CAPA\r\n", b"+OK\r\nSTLS\r\n.\r\n"), (b"STLS\r\n", b"+OK\r\n")],
            "pop3.example.com"),
        (2021, b"220 ftp\r\n", &[(b"AUTH TLS\r\n", b"234 AUTH TLS OK\r\n")], "ftp.example.com"),
        (2222, b"", &[
            (
                b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' to='xmpp.example.com' \
                  xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>",
                b"<?xml version='1.0'?><stream:stream from='xmpp.example.com' id='1' version='1.0'>\
                  <stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>",
            ),
            (
                b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
                b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
            ),
        ], "xmpp.example.com"),
        (2389, b"", &[(
            b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037",
            b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\0\x04\0\x04\0",
        )], "ldap.example.com"),
        (2432, b"", &[(b"\0\0\0\x08\x04\xd2\x16\x2f", b"S")], "postgres.example.com"),
        (2306, &greeting, &[(&mysql, b"")], "mysql.example.com"),
    ];
    let mut traffic = Traffic::default();
    for (number, (port, greeting, lines, host)) in talks.iter().enumerate() {
        let mut random = Random::new(number as u64);
        let client = at(&format!("10.20.0.14:{}", 43_000 + number));
        let server = at(&format!("198.18.4.1:{port}"));
        let mut talk = Talk::tcp(&mut traffic, client, server, second(number as i64));
        talk.gap_nanos = MILLISECOND / 10;
        talk.open();
        talk.send(Side::Down, greeting);
        for (said, answer) in *lines {
            talk.send_cut(Side::Up, said, 7, Order::Straight);
            talk.send(Side::Down, answer);
        }
        let hello = Hello { server_name: Some(host), post_quantum: true, ..Hello::default() };
        let records = tls::records(&tls::client_hello(&hello, &mut random), 16_384);
        talk.send(Side::Up, &records);
        finish_tls(&mut talk, &mut random);
    }
    traffic
}

/// A connection on which the client says `first`, each piece answered, then a hello for `host`.
fn hello_behind(
    traffic: &mut Traffic,
    client: &str,
    server: &str,
    number: i64,
    exchange: &[(&[u8], &[u8])],
    host: &str,
) {
    let mut random = Random::new(number as u64);
    let mut talk = Talk::tcp(traffic, at(client), at(server), second(number));
    talk.open();
    for (said, answer) in exchange {
        talk.send(Side::Up, said);
        talk.send(Side::Down, answer);
    }
    talk.send(Side::Up, &hello(host, &mut random));
    finish_tls(&mut talk, &mut random);
}
