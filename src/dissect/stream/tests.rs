//! What a side's bytes tell: conversations as they are on the wire, cut in any way.

use proptest::prelude::*;

use super::requests::CHUNK_LINE_LENGTH_MAX;
use super::*;
use crate::dissect::tls::tests::server_records;
use crate::hostname::Hostname;
use crate::observation::Request;

/// ClientHello of a mail client, TLS 1.2 (nDPI's capture imaps.pcap).
const HELLO: &str = "16030100de010000da03035ed29010a14c5d6ea344987a80093628132ed16c2dae\
    342e296e764f9263e4332024501c6e28d8a5e5b52182bea81e87e3edef4cb72b8857ea2b44a9e37c8ed1e7004200ff\
    c02cc02bc024c023c00ac009c008c030c02fc028c027c014c013c012009f009e006b0067003900330016009d009c00\
    3d003c0035002f000ac007c011000500040100004f00000012001000000d6d61696c2e6e746f702e6f7267000a0008\
    0006001700180019000b00020100000d00120010040102010501060104030203050306030005000501000000000012\
    000000170000";

fn bytes_of(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn hello_bytes() -> Vec<u8> {
    bytes_of(HELLO)
}

/// Shows a side's bytes in the given segments, as a caller does: what was not consumed again with
/// more behind it, what was consumed in advance not at all.
fn run_on(stream: &mut SideStream, segments: &[&[u8]]) -> Vec<String> {
    let mut findings = Vec::new();
    let mut kept: Vec<u8> = Vec::new();
    let mut skip = 0u64;
    for segment in segments {
        let skipped = skip.min(segment.len() as u64);
        skip -= skipped;
        kept.extend_from_slice(&segment[skipped as usize..]);
        let result = stream.advance(&kept, &mut |finding| findings.push(show(&finding)));
        if !result.wants_more {
            break;
        }
        let within = result.consumed.min(kept.len() as u64);
        kept.drain(..within as usize);
        skip += result.consumed - within;
        assert!(kept.len() < SHOWN_BYTES_MAX);
    }
    findings
}

fn run(segments: &[&[u8]]) -> Vec<String> {
    run_on(&mut SideStream::new(50_000, 443), segments)
}

/// A finding on one line.
fn show(finding: &Finding<'_>) -> String {
    let text = |name: Option<Hostname>| name.map_or("-".to_owned(), |name| name.to_string());
    match finding {
        Finding::Hello(hello) => format!("hello {} {}", text(hello.server_name), hello.ja4),
        Finding::Request(Request { host, authority, connect: false, .. }) => {
            format!("request {} {}", text(*host), text(*authority))
        }
        Finding::Request(Request { authority, .. }) => format!("connect {}", text(*authority)),
        Finding::Certificate(names) => format!("certificate {}", names[0].hostname),
        Finding::ProxyTarget(name) => format!("target {name}"),
        Finding::ForwardedFor(address) => format!("forwarded {address}"),
        Finding::DnsMessage(message) => format!("dns {message:x?}"),
        Finding::Tunnel { protocol, .. } => format!("tunnel {}", protocol.as_str()),
        Finding::Socks4 { is_reply } => {
            format!("socks4 {}", if *is_reply { "reply" } else { "request" })
        }
        Finding::Media(kind) => format!("media {}", kind.as_str()),
        Finding::OpenVpn(packet) => format!("openvpn {packet:?}"),
        Finding::NotDns => "no dns".to_owned(),
        Finding::UpgradeAsked(protocol) => format!("asks for {}", protocol.as_str()),
        Finding::Upgraded => "agreed".to_owned(),
        Finding::Refused(counter) => format!("refused {}", counter.name()),
    }
}

const HELLO_FOUND: &str = "hello mail.ntop.org t12d330700_81acdcf97981_3304d8368043";

const CERTIFICATE_FOUND: &str = "certificate www.example.com";

/// Conversations of one side and what they tell.
fn conversations() -> Vec<(Vec<u8>, Vec<&'static str>)> {
    let before_tls = |before: &[u8]| [before, &hello_bytes()].concat();
    let server = |before: &[u8]| [before, &server_records()].concat();
    vec![
        (server(b""), vec![CERTIFICATE_FOUND]),
        (server(b"S"), vec![CERTIFICATE_FOUND]),
        (server(b"220 mail.example\r\n250-x\r\n250 STARTTLS\r\n220 go\r\n"), vec![
            CERTIFICATE_FOUND,
        ]),
        (server(b"<stream:stream><proceed xmlns='x'/>"), vec![CERTIFICATE_FOUND]),
        (server(b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\0\x04\0\x04\0"), vec![CERTIFICATE_FOUND]),
        (server(b"\x03\0\0\x13\x0e\xd0\0\0\x12\x34\0\x02\0\x08\0\x01\0\0\0"), vec![
            "tunnel rdp",
            CERTIFICATE_FOUND,
        ]),
        (server(b"\0\x5a\0\0\0\0\0\0"), vec!["socks4 reply", CERTIFICATE_FOUND]),
        (hello_bytes(), vec![HELLO_FOUND]),
        (before_tls(b"EHLO me\r\nSTARTTLS\r\n"), vec![HELLO_FOUND]),
        (before_tls(b"a1 CAPABILITY\r\na2 STARTTLS\r\n"), vec![HELLO_FOUND]),
        (before_tls(b"AUTH TLS\r\n"), vec![HELLO_FOUND]),
        (
            before_tls(
                b"<?xml version='1.0'?><stream:stream to='x'>\
                  <starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
            ),
            vec![HELLO_FOUND],
        ),
        (
            before_tls(
                b" \n<?xml version='1.0'?>\n<stream:stream to='x'>\n\
                  \t <starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'></starttls> \r\n",
            ),
            vec![HELLO_FOUND],
        ),
        (
            before_tls(b"\xff\xfb\x06\xff\xf4\xff\xf2ABOR\r\n\xff\xf1AUTH TLS\r\n"),
            vec![HELLO_FOUND],
        ),
        (before_tls(b"\x16\x03\x01\0\0\x16\x03\x03\0\0"), vec![HELLO_FOUND]),
        (before_tls(b"AUTH TLS\r\n\x16\x03\x01\0\0"), vec![HELLO_FOUND]),
        (before_tls(&[0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]), vec![HELLO_FOUND]),
        (
            before_tls(b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037"),
            vec![HELLO_FOUND],
        ),
        (before_tls(b"\x15\x03\x01\0\x02\x01\0"), vec![HELLO_FOUND]),
        (
            before_tls(b"\x12\x01\0\x0f\0\0\x01\0\0\0\x06\0\x01\0\xff\x12\x01\x01\0\0\0\0\0"),
            vec![HELLO_FOUND],
        ),
        (
            before_tls(b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n"),
            vec!["connect a.example", HELLO_FOUND],
        ),
        (
            before_tls(b"\x05\x02\0\x02\x01\x01u\x01p\x05\x01\0\x03\x09b.example\x01\xbb"),
            vec!["tunnel socks", "target b.example", HELLO_FOUND],
        ),
        (
            before_tls(
                b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n\x04\x01\x01\xbb\0\0\0\x01\0c.example\0",
            ),
            vec!["forwarded 192.0.2.1", "tunnel socks", "target c.example", HELLO_FOUND],
        ),
        (
            b"POST /a HTTP/1.1\r\nHost: a.example\r\nContent-Length: 20\r\n\r\n\
              GET / HTTP/1.1\r\nHost\
              POST /b HTTP/1.1\r\nHost: b.example:80\r\nTransfer-Encoding: chunked\r\n\r\n\
              5;x=y\r\nGET /\r\n10\r\nGET / HTTP/1.1\r\n\r\n0\r\nTrailer: x\r\n\r\n\
              \r\nGET http://C.example/ HTTP/1.1\r\nHost: c.example\r\n\r\n\
              \x81\x85websocket"
                .to_vec(),
            vec!["request a.example -", "request b.example -", "request c.example c.example"],
        ),
        (
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\
              \0\0\x11\x01\x04\0\0\0\x01\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff\
              \0\0\x02\0\x01\0\0\0\x01GE\0\0\x01\x01\x05\0\0\0\x03\xbe\
              \0\0\x02\x01\x05\0\0\0\x03\x82\xbe"
                .to_vec(),
            vec!["request www.example.com -", "request www.example.com -"],
        ),
        (b"SSH-2.0-OpenSSH_9.6p1\r\n\0\0\x05\xdc".to_vec(), vec!["tunnel ssh"]),
        (b"RFB 003.008\n\x01\x02".to_vec(), vec!["tunnel vnc"]),
        (b"\x17\x24\x10\x04\0\x88\x13\x80\0\x17\x24".to_vec(), vec!["tunnel teamviewer"]),
        (b"\0\x03\0\0\x21\x12\xa4\x42abcdefghijkl".to_vec(), vec!["media stun"]),
        (b"\0\x14\0\x01\0\0\x21\x12\xa4\x42abcdefghijkl".to_vec(), vec!["media stun"]),
        (b"\x01\x14\0\x01\0\0\x21\x12\xa4\x43abcdefghijkl".to_vec(), vec![]),
        (
            before_tls(b"\x04\x01\x01\xbb\xc6\x33\x64\x01me\0"),
            vec!["socks4 request", HELLO_FOUND],
        ),
        (b"hello\r\nSSH-1.99-Cisco-1.25\n".to_vec(), vec!["tunnel ssh"]),
        (b"\0\x9c\0\x01\x1a\x2b\x3c\x4d\0\x01\0\0\x01\0".to_vec(), vec!["tunnel pptp"]),
        (
            b"GET /tor/server/authority HTTP/1.0\r\nHost: a.example\r\n\r\n".to_vec(),
            vec!["request a.example -", "tunnel tor"],
        ),
        (
            b"GET /t HTTP/1.1\r\nHost: a.example\r\nUpgrade: connect-udp\r\n\r\n".to_vec(),
            vec!["request a.example -", "asks for masque"],
        ),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n".to_vec(), vec!["agreed"]),
        (b"HTTP/1.1 101\r\n\r\n".to_vec(), vec!["agreed"]),
        (b"HTTP/1.1 1010 Other\r\n\r\n".to_vec(), vec![]),
        (b"HTTP/1.1 404 Not Found\r\n\r\n".to_vec(), vec![]),
        (b"# a log\r\nGET / HTTP/1.1\r\nHost: a.example\r\n\r\n".to_vec(), vec![]),
        (b"\r\n\r\nGET / HTTP/1.1\r\nHost: a.example\r\n\r\n".to_vec(), vec![
            "request a.example -",
        ]),
        (
            b"GET / HTTP/1.1\r\nHost: a b\r\n\r\nGET /\r\n\r\n".to_vec(),
            vec!["refused http_bad_name", "request - -", "refused http_malformed"],
        ),
    ]
}

#[test]
fn conversations_tell_what_is_in_them() {
    for (bytes, expected) in conversations() {
        assert_eq!(run(&[&bytes]), expected, "{}", bytes.escape_ascii());
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(run(&single), expected, "one by one: {}", bytes.escape_ascii());
    }
}

/// The same bytes of the handshake in records of `length` bytes each.
fn in_records(hello: &[u8], length: usize) -> Vec<u8> {
    let record = |part: &[u8]| [&[22, 3, 1][..], &(part.len() as u16).to_be_bytes(), part].concat();
    hello[5..].chunks(length).flat_map(record).collect()
}

#[test]
fn a_hello_may_be_spread_over_records() {
    for length in [1, 2, 3, 4, 50, 200] {
        let records = in_records(&hello_bytes(), length);
        assert_eq!(run(&[&records]), [HELLO_FOUND], "{length}");
        let single: Vec<&[u8]> = records.chunks(1).collect();
        assert_eq!(run(&single), [HELLO_FOUND], "{length}");
    }
    let mut interrupted = in_records(&hello_bytes(), 100);
    interrupted.splice(105..105, *b"\x14\x03\x03\0\x01\x01");
    assert_eq!(run(&[&interrupted]), [HELLO_FOUND]);
    let mut ended = in_records(&hello_bytes(), 50);
    ended.splice(55..55, *b"\x17\x03\x03\0\x01\x01");
    assert_eq!(run(&[&ended]), ["refused tls_malformed"]);
}

#[test]
fn a_hello_ends_where_it_says_not_where_its_record_does() {
    let mut bytes = hello_bytes();
    bytes[3] = 0x40; // The record's length: 16 KiB more than there are.
    assert_eq!(run(&[&bytes]), [HELLO_FOUND]);
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(run(&single), [HELLO_FOUND]);
}

#[test]
fn a_hello_without_its_end_still_names() {
    let hello = hello_bytes();
    let mut stream = SideStream::new(50_000, 443);
    let mut findings = Vec::new();
    let cut = &hello[..hello.len() - 1];
    assert!(stream.advance(cut, &mut |_| panic!("not whole")).wants_more);
    stream.finish(cut, &mut |finding| findings.push(show(&finding)));
    assert_eq!(findings, ["hello mail.ntop.org "]);

    let mut stream = SideStream::new(50_000, 80);
    let cut = b"GET / HTTP/1.1\r\nHost: a.example\r\nCookie: ";
    let mut findings = Vec::new();
    stream.finish(cut, &mut |finding| findings.push(show(&finding)));
    assert_eq!(findings, ["request a.example -"]);
}

/// Shows bytes in segments of these sizes; all must tell the same.
fn run_in(sizes: &[usize], bytes: &[u8], expected: &[&str]) {
    for &size in sizes {
        let segments: Vec<&[u8]> = bytes.chunks(size).collect();
        assert_eq!(run(&segments), expected, "{size} bytes at a time");
    }
}

#[test]
fn a_head_of_any_length_tells_its_host_and_the_next_request_is_found() {
    let next = b"GET / HTTP/1.1\r\nHost: b.example\r\n\r\n";
    let both = ["request a.example -", "request b.example -"];
    let cookie =
        |length: usize| [b"Cookie: ".to_vec(), vec![b'x'; length], b"\r\n".to_vec()].concat();
    let host = b"Host: a.example\r\n";
    let short = b"GET / HTTP/1.1\r\n".to_vec();
    let many = b"X-Some-Header: some value\r\n".repeat(4000);
    let target =
        |length: usize| [b"GET /".to_vec(), vec![b'y'; length], b" HTTP/1.1\r\n".to_vec()].concat();
    let sizes = [1, 7, 1400, 8191, 8192, 8193, 200_000];
    for parts in [
        [&short[..], &cookie(20_000), host],
        [&short, host, &cookie(20_000)],
        [&short, &many, host],
        [&target(8000), host, &cookie(100)],
        // On either side of each bound.
        [&short, host, &cookie(8130)],
        [&short, host, &cookie(8131)],
        [&short, host, &cookie(8132)],
        [&short, &cookie(8182), host],
        [&short, &cookie(8183), host],
        [&short, &cookie(8184), host],
    ] {
        run_in(&sizes, &[&parts.concat()[..], b"\r\n", next].concat(), &both);
    }
    // A body behind it is stepped over.
    let with_body = [&short[..], &cookie(9000), host, b"Content-Length: 3\r\n\r\nGET", next];
    run_in(&sizes, &with_body.concat(), &both);
    // Of a target that is too long, only the beginning and the end are looked at.
    for length in (8178..8194).chain([20_000]) {
        let long = [&target(length)[..], host, b"Content-Length: 3\r\n\r\nGET", next].concat();
        run_in(&sizes, &long, &both);
        // One byte of the line's end after the other in a segment of its own.
        for cut in length..length + 20 {
            assert_eq!(run(&[&long[..cut], &long[cut..]]), both, "{length} cut at {cut}");
        }
    }
    // A line that ends otherwise leaves open what follows, also with a version in its midst.
    let mut sloppy = [&target(8179)[..], host, b"\r\n", next].concat();
    sloppy.splice(8179 + 5 + 9..8179 + 5 + 9, *b" and more");
    run_in(&sizes, &sloppy, &both[..1]);
    let absolute = [b"GET http://c.example/".to_vec(), target(9000), b"\r\n".to_vec()];
    run_in(&sizes, &absolute.concat(), &["request - c.example"]);
    // Its end never comes.
    let cut = [&short[..], host, &cookie(9000)].concat();
    let (mut stream, mut findings) = (SideStream::new(50_000, 80), Vec::new());
    stream.advance(&cut, &mut |_| panic!("not whole"));
    stream.finish(b"", &mut |finding| findings.push(show(&finding)));
    assert_eq!(findings, both[..1]);
}

#[test]
fn a_head_of_endless_lines_takes_no_memory() {
    let line = b"x: y\r\n".repeat(1000);
    let mut stream = SideStream::new(50_000, 80);
    stream.advance(b"GET / HTTP/1.1\r\n", &mut |_| {});
    let (mut kept, mut most) = (Vec::new(), 0);
    for _ in 0..1000 {
        kept.extend_from_slice(&line);
        let advance = stream.advance(&kept, &mut |_| panic!("no finding"));
        kept.drain(..advance.consumed as usize);
        most = most.max(kept.len());
    }
    assert!(most <= HEAD_LENGTH_MAX, "{most}");
}

#[test]
fn too_long_a_hello_tells_its_host_and_is_counted() {
    let mut hello = hello_bytes();
    // Three times as long as it was, twice in its lengths, and the most that fits.
    hello[3..5].copy_from_slice(&[0x47, 0xff]);
    hello[6..9].copy_from_slice(&[0, 0x47, 0xfb]);
    let extensions = hello.len() - 81;
    hello[extensions..extensions + 2].copy_from_slice(&[0x47, 0x00]);
    hello.resize(20_000, 0);
    let segments: Vec<&[u8]> = hello.chunks(1400).collect();
    assert_eq!(run(&segments), ["hello mail.ntop.org ", "refused inspection_overflow"]);
}

#[test]
fn what_is_of_no_interest_is_left_at_once() {
    for bytes in [
        &b"\x13BitTorrent protocol"[..],
        b"SSH is what comes next\r\n\0\0\x05\xdc",
        b"\0\0\0\x85\xffSMB",
        b"\x01\x02\x03",
        b"HTTP/1.1 200 OK\r\n",
        b"\x17\x03\x03\x01\0abc",
        b"\x80\x2e\x01\0\x02\0\x15",
        b"\x16\x03\x03\0\x46\x10\0\0\x42",
        b"GET\0/",
        b"\xff\xff\xff\xff",
    ] {
        let mut stream = SideStream::new(443, 50_000);
        let result = stream.advance(bytes, &mut |finding| panic!("{finding:?}"));
        assert!(!result.wants_more, "{}", bytes.escape_ascii());
        assert!(!stream.advance(&hello_bytes(), &mut |_| panic!("done")).wants_more);
    }
    let chat = b"PRIVMSG #a :hello\r\n".repeat(40);
    assert!(!SideStream::new(1, 2).advance(&chat, &mut |_| panic!("no finding")).wants_more);
}

#[test]
fn a_body_is_skipped_unseen() {
    let mut stream = SideStream::new(50_000, 80);
    let head = b"PUT / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 1000000000000\r\n\r\n";
    let result = stream.advance(head, &mut |_| {});
    assert_eq!(result.consumed, head.len() as u64 + 1_000_000_000_000);
    assert!(result.wants_more);
}

#[test]
fn after_a_gap_a_method_or_a_hello_begins_again() {
    let mut stream = SideStream::new(50_000, 80);
    assert!(!stream.advance(b"\x01\x02\x03", &mut |_| panic!("no finding")).wants_more);
    let request = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
    assert!(SideStream::may_begin(request));
    stream.gap();
    assert_eq!(run_on(&mut stream, &[request]), ["request a.example -"]);
    stream.gap();
    assert_eq!(run_on(&mut stream, &[b"in the midst of text\r\n", request]), Vec::<String>::new());
    stream.gap();
    assert_eq!(run_on(&mut stream, &[&hello_bytes()]), [HELLO_FOUND]);
    for segment in [&b""[..], b"G", b"GETTING ", b"\x17\x03\x03\0\x10\x01", b"hello", b"\r\n"] {
        assert!(!SideStream::may_begin(segment), "{segment:?}");
    }
}

#[test]
fn dns_messages_are_framed_by_their_length() {
    let message = [b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0".as_slice(), b"\x01a\0\0\x01\0\x01"].concat();
    let framed = [&[0, message.len() as u8][..], &message].concat();
    let two = framed.repeat(2);
    let expected = format!("dns {message:x?}");
    for ports in [(53, 50_000), (50_000, 53)] {
        for size in 1..two.len() {
            let mut stream = SideStream::new(ports.0, ports.1);
            let segments: Vec<&[u8]> = two.chunks(size).collect();
            assert_eq!(run_on(&mut stream, &segments), [expected.clone(), expected.clone()]);
        }
    }
    let mut stream = SideStream::new(50_000, 53);
    assert_eq!(run_on(&mut stream, &[&hello_bytes()]), [HELLO_FOUND], "TLS on port 53");
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    for size in 1..preface.len() {
        let mut stream = SideStream::new(50_000, 53);
        let segments: Vec<&[u8]> = preface.chunks(size).collect();
        assert!(run_on(&mut stream, &segments).is_empty(), "HTTP/2 on port 53, {size} at a time");
    }
    // What is no message of DNS is looked at as on any port.
    let openvpn = b"\0\x0e\x38\x81\x42\x13\x24\x95\x86\x17\x28\0\0\0\0\0";
    for (said, expected) in [
        (&b"SSH-2.0-OpenSSH_9.6\r\n"[..], vec!["no dns", "tunnel ssh"]),
        (
            b"\x05\x01\0\x05\x01\0\x03\x04a.eu\x01\xbb",
            vec!["no dns", "tunnel socks", "target a.eu"],
        ),
        (b"220 mail.example ESMTP ready\r\n", vec!["no dns"]),
        (&openvpn[..], vec!["no dns", "openvpn"]),
    ] {
        for size in 1..said.len() {
            let mut stream = SideStream::new(53, 50_000);
            let found = run_on(&mut stream, &said.chunks(size).collect::<Vec<_>>());
            let told = found.iter().zip(&expected).all(|(found, word)| found.starts_with(word));
            assert!(found.len() == expected.len() && told, "{found:?}, not {expected:?}");
        }
    }
    // In the midst anything may be a length.
    let mut stream = SideStream::new(50_000, 53);
    stream.gap();
    assert_eq!(run_on(&mut stream, &[&openvpn[..]]), ["refused dns_malformed"]);
    // What is too short to be a message is stepped over, but not for ever.
    let short = [&[0, 0, 0, 3, 1, 2, 3][..], &framed].concat();
    for size in 1..short.len() {
        let mut stream = SideStream::new(50_000, 53);
        let segments: Vec<&[u8]> = short.chunks(size).collect();
        let refused = "refused dns_malformed".to_owned();
        assert_eq!(run_on(&mut stream, &segments), [refused.clone(), refused, expected.clone()]);
    }
    let mut stream = SideStream::new(50_000, 53);
    assert_eq!(run_on(&mut stream, &[&[0; 60]]), ["refused dns_malformed"; 8]);
    let mut stream = SideStream::new(53, 50_000);
    let long = [&[0xff, 0xff][..], &message, &[0; 1000]].concat();
    let result = stream.advance(&long, &mut |_| {});
    assert_eq!((result.consumed, result.wants_more), (2 + 0xffff, true));
}

#[test]
fn the_state_of_a_side_is_small() {
    assert!(size_of::<SideStream>() <= 64, "{}", size_of::<SideStream>());
}

#[test]
fn flipped_bytes_never_panic() {
    for (bytes, _) in conversations() {
        for at in 0..bytes.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff, b'\n', b' ', bytes[at] ^ 1] {
                let mut flipped = bytes.clone();
                flipped[at] = value;
                let (head, tail) = flipped.split_at(at);
                run(&[head, tail]);
                SideStream::new(1, 53).advance(&flipped, &mut |_| {});
                SideStream::new(1, 2).finish(&flipped[..=at], &mut |_| {});
            }
        }
    }
}

#[test]
fn segments_of_any_one_size_tell_the_same() {
    for (index, (bytes, expected)) in conversations().into_iter().enumerate() {
        for size in 1..40 {
            let segments: Vec<&[u8]> = bytes.chunks(size).collect();
            assert_eq!(run(&segments), expected, "conversation {index} in pieces of {size}");
        }
    }
}

/// Conversations that are longer than what is read in one go.
fn long_conversations() -> Vec<(Vec<u8>, Vec<&'static str>)> {
    let next = b"GET / HTTP/1.1\r\nHost: b.example\r\n\r\n";
    let both = vec!["request a.example -", "request b.example -"];
    let long_target = |headers: &[u8]| {
        [b"POST /", &[b'x'; 9000][..], b" HTTP/1.1\r\nHost: a.example\r\n", headers, next].concat()
    };
    let cookies = [b"Cookie: ", &[b'y'; 5000][..], b"\r\n"].concat().repeat(2);
    vec![
        (long_target(b"\r\n"), both.clone()),
        (long_target(b"Content-Length: 5\r\n\r\nGET /"), both.clone()),
        (long_target(b"Transfer-Encoding: chunked\r\n\r\n5\r\nGET /\r\n0\r\n\r\n"), both.clone()),
        ([b"GET / HTTP/1.1\r\nHost: a.example\r\n", &cookies[..], b"\r\n", next].concat(), both),
    ]
}

proptest! {
    #[test]
    fn any_segmentation_tells_the_same(
        index in 0..conversations().len() + long_conversations().len(),
        sizes in prop::collection::vec(prop_oneof![1..40usize, 40..6000usize], 1..200),
    ) {
        let (bytes, expected) =
            conversations().into_iter().chain(long_conversations()).nth(index).unwrap();
        let mut segments = Vec::new();
        let mut rest = &bytes[..];
        for size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (segment, behind) = rest.split_at((*size).min(rest.len()));
            segments.push(segment);
            rest = behind;
        }
        prop_assert_eq!(run(&segments), expected);
    }

    #[test]
    fn any_bytes_are_survived(
        first in prop::sample::select(vec![0u8, 3, 4, 5, 13, 20, 21, 22, 32, 48, 60, 71, 80]),
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        port in prop::sample::select(vec![53u16, 443]),
    ) {
        let bytes = [&[first][..], &bytes].concat();
        let mut stream = SideStream::new(1, port);
        stream.advance(&bytes, &mut |_| {});
        stream.gap();
        stream.advance(&bytes, &mut |_| {});
        stream.finish(&bytes, &mut |_| {});
    }
}

/// What the first segment alone rules out, the whole must not allow.
#[test]
fn a_line_is_one_or_none_however_it_is_cut() {
    let long_name = "x".repeat(LINE_LENGTH_MAX);
    let long_value = "x".repeat(CHUNK_LINE_LENGTH_MAX);
    let chunked = "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n";
    let next = "GET / HTTP/1.1\r\nHost: b.example\r\n\r\n";
    let (first, second) = ("request a.example -", "request b.example -");
    for (text, expected) in [
        // A control character, with a method that is known and one that is not.
        ("GET /\x01 HTTP/1.1\r\nHost: b.example\r\n\r\n".to_owned(), vec![second]),
        ("FROBNICATE /\x01 HTTP/1.1\r\nHost: b.example\r\n\r\n".to_owned(), vec![]),
        // Too long a line, and one just short enough.
        (format!("FROBNICATE /{long_name} HTTP/1.1\r\nHost: b.example\r\n\r\n"), vec![]),
        (format!("{}\r\n\x16\x03", &long_name[1..]), vec![]),
        (format!("{chunked}0;{long_value}\r\n\r\n{next}"), vec![first]),
        (format!("{chunked}0;{}\r\n\r\n{next}", &long_value[3..]), vec![first, second]),
    ] {
        let bytes = text.as_bytes();
        assert_eq!(run(&[bytes]), expected, "{text}");
        for length in [1, 7, 1000] {
            let segments: Vec<&[u8]> = bytes.chunks(length).collect();
            assert_eq!(run(&segments), expected, "{length} at a time: {text}");
        }
    }
}

/// RFC 9110, 10.1.1: whether the body is sent is for the server to say, on the other side.
#[test]
fn requests_go_on_behind_a_body_that_was_announced_whether_it_comes_or_not() {
    let asked = b"PUT /a HTTP/1.1\r\nHost: a.example\r\nContent-Length: 20\r\n\
        Expect: 100-continue\r\n\r\n";
    let next = b"GET /b HTTP/1.1\r\nHost: b.example\r\n\r\n";
    let expected = ["request a.example -", "request b.example -"];
    for body in [&b""[..], &[0xff; 20], b"GET me out of here! "] {
        let all = [asked, body, next].concat();
        assert_eq!(run(&[&all]), expected, "{body:?}");
        for cut in 1..all.len() {
            assert_eq!(run(&[&all[..cut], &all[cut..]]), expected, "{body:?} cut at {cut}");
        }
        let bytes: Vec<&[u8]> = all.chunks(1).collect();
        assert_eq!(run(&bytes), expected, "{body:?}");
    }
}
