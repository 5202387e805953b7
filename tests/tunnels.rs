//! Tunnels are known as what they are, and nothing else is taken for one.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::generator::talk::{Side, Talk};
use crate::generator::tls::{self, Hello};
use crate::generator::{Random, SECOND, START_SECONDS, Traffic, dns};
use crate::support::{self, Made};

/// Flows of each tunnel in a capture, as `read --flows` tells them.
fn tunnels(capture: &Path) -> BTreeMap<String, u64> {
    told(capture, "tunnel")
}

/// Flows of a capture by what stands under `key` in `read --flows`.
fn told(capture: &Path, key: &str) -> BTreeMap<String, u64> {
    let folder = tempfile::tempdir().unwrap();
    let flows = folder.path().join("flows.jsonl");
    support::read([capture.as_os_str(), "--flows".as_ref(), flows.as_os_str()]);
    let mut found = BTreeMap::new();
    if flows.exists() {
        for flow in support::json_lines(&flows) {
            if let Some(tunnel) = flow[key].as_str() {
                *found.entry(tunnel.to_owned()).or_default() += 1;
            }
        }
    }
    found
}

fn table(rows: &[(&str, u64)]) -> BTreeMap<String, u64> {
    rows.iter().map(|&(tunnel, flows)| (tunnel.to_owned(), flows)).collect()
}

#[test]
fn made_tunnels_are_told_by_their_protocols() {
    let found = tunnels(&support::fixtures().join("vpn/input.pcap"));
    let expected = [
        ("anyconnect", 1),
        ("ipsec", 2),
        ("l2tp", 2),
        ("openvpn", 5),
        ("pptp", 1),
        ("socks", 2),
        ("ssh", 1),
        ("tailscale", 2),
        ("tor", 1),
        ("wireguard", 2),
        ("zerotier", 1),
    ];
    assert_eq!(found, table(&expected));
}

#[test]
fn computers_controlled_from_afar_are_told_and_are_no_tunnels() {
    let capture = support::fixtures().join("remote-access/input.pcap");
    let expected = [("anydesk", 1), ("rdp", 1), ("teamviewer", 1), ("vnc", 1)];
    assert_eq!(told(&capture, "remote_access"), table(&expected));
    assert_eq!(tunnels(&capture), table(&[]));
}

/// (what, known_by, flows, devices) of a capture's `detours.csv`.
fn detours(capture: &Path) -> Vec<(String, String, u64, u64)> {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path();
    support::read([capture.as_os_str(), "--report".as_ref(), report.as_os_str()]).expect(0);
    let rows = support::csv_rows(&report.join("detours.csv")).into_iter();
    let in_rows: u64 = rows.clone().map(|row| support::number(&row["bytes"])).sum();
    let buckets = support::buckets(report);
    let in_books = ["tunnel", "encrypted_dns"].iter().filter_map(|bucket| buckets.get(*bucket));
    // Remote access is in no bucket of its own.
    assert!(in_rows >= in_books.sum(), "{rows:?}");
    let row = |row: BTreeMap<String, String>| {
        let number = |column: &str| support::number(&row[column]);
        (row["what"].clone(), row["known_by"].clone(), number("flows"), number("devices"))
    };
    rows.map(row).collect()
}

#[test]
fn ways_around_are_told_with_what_they_were_known_by_and_by_how_many() {
    let told = |folder: &str| {
        let found = detours(&support::fixtures().join(folder).join("input.pcap"));
        let line =
            |(what, known_by, flows, devices)| format!("{what} {known_by} {flows} {devices}");
        found.into_iter().map(line).collect::<Vec<_>>()
    };
    assert_eq!(
        told("vpn"),
        [
            "wireguard protocol 2 1",
            "openvpn protocol 5 1",
            "ipsec protocol 2 1",
            "l2tp protocol 2 1",
            "pptp protocol 1 1",
            "ssh protocol 1 1",
            "tor protocol 1 1",
            "tailscale protocol 2 1",
            "zerotier protocol 1 1",
            "anyconnect protocol 1 1",
            "socks protocol 2 1",
        ]
    );
    assert_eq!(
        told("remote-access"),
        ["rdp protocol 1 1", "vnc protocol 1 1", "teamviewer protocol 1 1", "anydesk protocol 1 1",]
    );
    let dns = ["dot protocol 2 1", "doq protocol 2 1", "doh resolver_list 1 1"];
    assert_eq!(told("encrypted-dns"), dns);
}

/// A capture with tunnels.
struct Known {
    /// Its file.
    name: &'static str,
    /// Flows of each tunnel that says what it is.
    flows: &'static [(&'static str, u64)],
    /// Bytes of flows that the catalogue knows as a tunnel's, by name.
    by_name: u64,
    /// Bytes in the bucket `tunnel`, and in all, as IP headers state them.
    bytes: (u64, u64),
}

const fn known(
    name: &'static str,
    flows: &'static [(&'static str, u64)],
    by_name: u64,
    bytes: (u64, u64),
) -> Known {
    Known { name, flows, by_name, bytes }
}

/// Captures with tunnels (see the README of the captures); all others have none. Flows were counted
/// with tshark 4.0 by its dissectors `wg`, `openvpn`, `isakmp`, `esp`, `ah`, `gre`, `l2tp`, `ssh`,
/// `socks` and `dtls`, and with ndpiReader 4.2, where they have one; the bytes of these flows are those
/// that tshark sums (`ip.len` by five-tuple). What they tell besides is none: OpenVPN in gnutella.pcap
/// is Gnutella on port 1194, WireGuard in zoom2.pcap is Zoom, SSH and SOCKS of emix.pcap that nDPI knows
/// by port alone have said nothing.
const CAPTURES: [Known; 17] = [
    known("anyconnect-vpn.pcap", &[("anyconnect", 1)], 0, (5_703, 122_533)),
    known(
        "arkime_synthetic.pcap",
        &[("gre", 1), ("ipsec", 3), ("socks", 2), ("ssh", 5)],
        0,
        (4_069, 74_791),
    ),
    known("cloudflare-warp.pcap", &[("wireguard", 1)], 7_454, (9_982, 13_635)),
    known("custom_categories.pcapng", &[("ipsec", 1), ("ssh", 2)], 0, (13_328, 13_328)),
    known(
        "emix.pcap",
        &[("ipsec", 1), ("openvpn", 1), ("socks", 4), ("ssh", 1), ("wireguard", 1)],
        0,
        (74_979, 1_149_354),
    ),
    known("esp.pcapng", &[("ipsec", 2)], 0, (1_772, 1_772)),
    // A fuzzer made a protocol number 115 of it.
    known("fuzz-2006-09-29-28586.pcap", &[("l2tp", 1)], 0, (527, 31_437)),
    known("ikev1.pcap", &[("ipsec", 2)], 0, (4_908, 4_908)),
    known("openvpn_obfuscated.pcapng", &[("openvpn", 3)], 0, (50_811, 50_811)),
    known("openvpn_tcp_nontlsauth.pcap", &[("openvpn", 1)], 0, (24_851, 24_851)),
    known("openvpn_udp_hmac_256.pcap", &[("openvpn", 1)], 0, (18_351, 18_351)),
    known("protonvpn.pcap", &[("wireguard", 1)], 7_667, (9_531, 9_591)),
    known("tailscale.pcap", &[("tailscale", 1)], 0, (15_018, 15_018)),
    // Before the proxy at home; what it sends on looks like nothing, or like the web.
    known("tls_heur__shadowsocks-tcp.pcapng", &[("socks", 1)], 0, (20_850, 79_573)),
    known("tls_heur__vmess-tcp-tls.pcapng", &[("socks", 1)], 0, (9_598, 45_595)),
    known("tor_bl.pcap", &[("tor", 2)], 0, (1_010_968, 1_010_968)),
    known("tunnelbear.pcap", &[("wireguard", 1)], 79_600, (82_048, 111_781)),
];

/// What the catalogue that the program comes with makes of a capture: flows, bytes by bucket, and
/// (what, known_by, bytes) of ways around.
type Shipped = (Vec<serde_json::Value>, BTreeMap<String, u64>, Vec<(String, String, u64)>);

fn with_shipped_catalogue(capture: &Path) -> Shipped {
    let folder = tempfile::tempdir().unwrap();
    let (flows, report) = (folder.path().join("flows.jsonl"), folder.path().join("report"));
    let mut command = support::program();
    command.args(["read", "--quiet", "--signatures"]);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("signatures"));
    command.arg("--flows").arg(&flows).arg("--report").arg(&report).arg(capture);
    command.output().expect("the program can be run");
    if !flows.exists() || !report.exists() {
        return Shipped::default(); // What cannot be read at all.
    }
    let rows = support::csv_rows(&report.join("detours.csv")).into_iter();
    let row = |row: BTreeMap<String, String>| {
        (row["what"].clone(), row["known_by"].clone(), support::number(&row["bytes"]))
    };
    (support::json_lines(&flows), support::buckets(&report), rows.map(row).collect())
}

/// Flows of each tunnel in a capture; bytes of ways around that the catalogue knows and that are in the
/// bucket `tunnel`; bytes there, and in all.
fn all_of(capture: &Path) -> (BTreeMap<String, u64>, u64, (u64, u64)) {
    let (flows, buckets, rows) = with_shipped_catalogue(capture);
    let mut found = BTreeMap::new();
    for tunnel in flows.iter().filter_map(|flow| flow["tunnel"].as_str()) {
        *found.entry(tunnel.to_owned()).or_default() += 1;
    }
    let by_name =
        rows.iter().filter(|(what, ..)| matches!(&**what, "vpn-anonymizer" | "tunnelling"));
    let by_name = by_name.map(|(.., bytes)| bytes).sum();
    let tunnel = buckets.get("tunnel").copied().unwrap_or_default();
    (found, by_name, (tunnel, buckets.values().sum()))
}

#[test]
fn the_tunnels_of_captures_are_those_of_the_table() {
    let Some(folder) = std::env::var_os("SHADOWSCOPE_CAPTURES").map(PathBuf::from) else {
        println!("skipped: needs SHADOWSCOPE_CAPTURES");
        return;
    };
    let mut expected: BTreeMap<_, _> = CAPTURES.iter().map(|known| (known.name, known)).collect();
    let mut complaints = String::new();
    for capture in crate::conformance::captures_below(&folder) {
        let name = capture.file_name().unwrap().to_string_lossy().into_owned();
        let (flows, by_name, bytes) = all_of(&capture);
        let is_right = match expected.remove(&*name) {
            Some(known) => {
                (&flows, by_name, bytes) == (&table(known.flows), known.by_name, known.bytes)
            }
            None => flows.is_empty() && by_name == 0 && bytes.0 == 0,
        };
        if !is_right {
            complaints += &format!("{name}: {flows:?}, by name {by_name}, bytes {bytes:?}\n");
        }
    }
    assert!(complaints.is_empty(), "\n{complaints}");
    assert!(expected.is_empty(), "{folder:?} lacks {:?}", expected.keys());
}

/// A connection over TLS to this name and server, and before it what its client asked DNS.
fn hello_after_questions(questions: &[(&str, &str)], name: &str) -> Made {
    let mut traffic = Traffic::default();
    let end = |text: &str| text.parse::<SocketAddr>().unwrap();
    let start = START_SECONDS * SECOND;
    for (at, (asked, address)) in (0..).zip(questions) {
        let from = end(&format!("10.1.0.7:{}", 4000 + at));
        let mut talk = Talk::udp(&mut traffic, from, end("10.0.0.53:53"), start + at);
        talk.send(Side::Up, &dns::query(7, asked, dns::A));
        talk.send(Side::Down, &dns::response(7, asked, &[address.parse().unwrap()], 300));
    }
    let mut random = Random::new(9);
    let hello = Hello { server_name: Some(name), ..Hello::default() };
    let mut talk =
        Talk::tcp(&mut traffic, end("10.1.0.7:5000"), end("198.51.100.9:443"), start + SECOND);
    talk.open();
    talk.send(Side::Up, &tls::records(&tls::client_hello(&hello, &mut random), 16_384));
    talk.send(Side::Down, &tls::server_hello(&mut random));
    talk.send(Side::Down, &tls::application_data(3_000, &mut random));
    talk.close();
    Made::read(&traffic, &[])
}

#[test]
fn a_made_up_name_is_tors_where_nobody_asked_for_it() {
    const MADE_UP: &str = "www.bfu4xhj2k5qzt.com";
    const GIVEN: &str = "www.mp3to4u2.com";
    const LETTERS: &str = "www.xjqwvtabehklmnr.com";
    let told = |questions: &[(&str, &str)], name: &str| {
        let made = hello_after_questions(questions, name);
        let (buckets, rows) = (support::buckets(&made.report()), made.rows("detours.csv"));
        let is_tor = made.flow_to(443)["tunnel"] == "tor";
        assert_eq!(is_tor, buckets.get("tunnel").is_some_and(|bytes| *bytes > 0));
        assert_eq!(is_tor, rows.iter().any(|row| row["what"] == "tor"), "{rows:?}");
        assert_eq!(made.flow_to(443)["name"], name);
        is_tor
    };
    // Its questions are not seen at all: one that nobody would give is enough, another not.
    assert!(told(&[], MADE_UP));
    assert!(!told(&[], GIVEN));
    assert!(!told(&[], "www.mp3juice4u.com"));
    assert!(!told(&[], LETTERS));
    assert!(!told(&[("elsewhere.example", "198.51.100.1")], LETTERS));
    // They are, and the name is not among them.
    let other = ("elsewhere.example", "198.51.100.1");
    assert!(told(&[other], MADE_UP));
    assert!(told(&[other], GIVEN));
    assert!(!told(&[other], "www.mp3juice4u.com"));
    assert!(!told(&[], "www.mp3juice4u2.com"));
    // Who looks a name up was given it.
    assert!(!told(&[other, (MADE_UP, "198.51.100.9")], MADE_UP));
    assert!(!told(&[other, (GIVEN, "198.51.100.9")], GIVEN));
}

/// A client of Tor connects to several relays, each under a name of its own.
#[test]
fn several_names_that_nobody_can_say_are_tors() {
    let told = |names: &[&str], asked: Option<&str>| {
        let mut traffic = Traffic::default();
        let end = |text: &str| text.parse::<SocketAddr>().unwrap();
        let mut random = Random::new(9);
        for (at, name) in (1..).zip(names) {
            let start = (START_SECONDS + i64::from(at) * 60) * SECOND;
            let server = end(&format!("198.51.100.{at}:443"));
            if asked == Some(name) {
                let from = end("10.1.0.7:4000");
                let mut talk = Talk::udp(&mut traffic, from, end("10.0.0.53:53"), start - SECOND);
                talk.send(Side::Up, &dns::query(7, name, dns::A));
                talk.send(Side::Down, &dns::response(7, name, &[server.ip()], 300));
            }
            let hello = Hello { server_name: Some(name), ..Hello::default() };
            let from = end(&format!("10.1.0.7:{}", 5000 + at));
            let mut talk = Talk::tcp(&mut traffic, from, server, start);
            talk.open();
            talk.send(Side::Up, &tls::records(&tls::client_hello(&hello, &mut random), 16_384));
            talk.send(Side::Down, &tls::server_hello(&mut random));
            talk.close();
        }
        let made = Made::read(&traffic, &[]);
        made.flows().into_iter().filter(|flow| flow["tunnel"] == "tor").count()
    };
    let odd = ["www.xjqwvtabehklmnr.com", "www.bcdfgoqrstvwie.com", "www.zzkktraoplmnbvc.com"];
    assert_eq!(told(&odd, None), 1, "from the third on");
    assert_eq!(told(&["www.mp3to4u2.com", odd[0]], None), 1, "a digit counts twice");
    assert_eq!(told(&["www.mp3juice4u.com", odd[0]], None), 0, "a word among digits was given");
    assert_eq!(told(&odd[..2], None), 0);
    assert_eq!(told(&odd, Some(odd[0])), 0, "who asks was given a name");
    let given = ["www.facebook.com", "www.wikipedia.com", "www.schwarzkopf.com", "www.nytimes.com"];
    assert_eq!(told(&given, None), 0);
}

#[test]
fn remote_access_known_by_name_is_a_way_around_and_stays_an_app() {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report");
    let capture = support::fixtures().join("remote-access/input.pcap");
    let extra = folder.path().join("extra");
    std::fs::create_dir(&extra).unwrap();
    let signature = "schema = 1\nid = \"afar\"\nname = \"Afar\"\nvendor = \"local\"\nkind = \"app\"\n\
        category = \"remote-access\"\nstatus = \"active\"\nmaturity = \"candidate\"\n\
        homepage = \"https://mp3to4u2.com/\"\nverified = 2026-11-22\nsources = [\"https://mp3to4u2.com/\"]\n\
        [[match]]\nrole = \"use\"\ndomains = [\"mp3to4u2.com\"]\n\
        [[test]]\nhost = \"eu.mp3to4u2.com\"\nrole = \"use\"\n";
    std::fs::write(extra.join("afar.toml"), signature).unwrap();
    let vendors = "schema = 1\n[vendors.local]\nname = \"Local\"\n";
    std::fs::write(extra.join("vendors.toml"), vendors).unwrap();
    let made = hello_after_questions(&[], "eu.mp3to4u2.com");
    let rows = |arguments: &[&std::ffi::OsStr]| {
        support::read(arguments).expect(0);
        let rows = support::csv_rows(&report.join("detours.csv"));
        rows.into_iter().filter(|row| row["what"] == "remote-access").collect::<Vec<_>>()
    };
    let options = ["--report".as_ref(), report.as_os_str(), "--signatures-extra".as_ref()];
    let by_name = rows(&[&options[..], &[extra.as_os_str(), made.capture().as_os_str()]].concat());
    assert_eq!((&*by_name[0]["known_by"], &*by_name[0]["flows"]), ("catalogue", "1"));
    assert!(support::buckets(&report)["app"] > 0);
    assert_eq!(rows(&[options[0], options[1], capture.as_os_str()]), []);
}

/// A conversation of a client at home with a server outside.
fn conversation(said: &[(Side, &[u8])]) -> Made {
    let mut traffic = Traffic::default();
    let end = |text: &str| text.parse::<SocketAddr>().unwrap();
    let (client, server) = (end("10.1.0.7:5000"), end("198.51.100.9:8080"));
    let mut talk = Talk::tcp(&mut traffic, client, server, START_SECONDS * SECOND);
    talk.open();
    for (side, message) in said {
        talk.send(*side, message);
    }
    talk.close();
    Made::read(&traffic, &[])
}

#[test]
fn requests_that_begin_a_tunnel_are_known_whatever_their_path() {
    const ACCEPTED: &str = "HTTP/1.1 101 Switching Protocols\r\n\r\n";
    let answered = |request: &str, answer: &str| {
        let page = "GET /page HTTP/1.1\r\nHost: x.example\r\n\r\n";
        let said: [(Side, &[u8]); 6] = [
            (Side::Up, page.as_bytes()),
            (Side::Down, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
            (Side::Up, request.as_bytes()),
            (Side::Down, answer.as_bytes()),
            (Side::Up, &[0x5a; 900]),
            (Side::Down, &[0xa5; 9_000]),
        ];
        // Also behind a page on the same connection.
        let [behind, made] = [conversation(&said), conversation(&said[2..])];
        assert_eq!(behind.rows("detours.csv").len(), made.rows("detours.csv").len(), "{request}");
        let rows = made.rows("detours.csv");
        assert_eq!(rows.is_empty(), made.flow_to(8080)["tunnel"].is_null(), "{request}");
        rows.first().map(|row| row["what"].clone())
    };
    let told = |request: &str| answered(request, ACCEPTED);
    let upgrade = |path: &str, to: &str| {
        format!(
            "GET {path} HTTP/1.1\r\nHost: x.example\r\nConnection: Upgrade\r\nUpgrade: {to}\r\n\r\n"
        )
    };
    assert_eq!(told(&upgrade("/proxy/192.0.2.6/443/", "connect-udp")).as_deref(), Some("masque"));
    assert_eq!(told(&upgrade("/vpn?t=*", "Connect-IP")).as_deref(), Some("masque"));
    assert_eq!(told(&upgrade("/t/192.0.2.6/25", "connect-tcp")).as_deref(), Some("masque"));
    assert_eq!(told(&upgrade("/chat", "websocket")), None);
    let refused = "HTTP/1.1 404 Not Found\r\nContent-Length: 9000\r\n\r\n";
    assert_eq!(answered(&upgrade("/proxy/192.0.2.6/443/", "connect-udp"), refused), None);
    let page = "GET /.well-known/masque/udp/192.0.2.6/443/ HTTP/1.1\r\nHost: x.example\r\n\r\n";
    assert_eq!(answered(page, refused), None);
    let sstp = "SSTP_DUPLEX_POST /sra_{BA195980-CD49-458b-9E23-C84EE0ADCD75}/ HTTP/1.1\r\n\
        Host: vpn.x.example\r\nContent-Length: 18446744073709551615\r\n\r\n";
    assert_eq!(told(sstp).as_deref(), Some("sstp"));
}

/// HTTP/2 without TLS: by extended CONNECT (RFC 8441, 4), which names the protocol in a field.
#[test]
fn masque_over_http_2_is_known_by_its_protocol() {
    // Literal fields without indexing (RFC 7541, 6.2.2), in a HEADERS frame that ends the headers.
    let frame = |kind: u8, flags: u8, stream: u8, payload: &[u8]| {
        let [.., high, middle, low] = (payload.len() as u32).to_be_bytes();
        [&[high, middle, low, kind, flags, 0, 0, 0, stream][..], payload].concat()
    };
    let told = |fields: &[(&str, &str)]| {
        let text = |text: &str| [&[text.len() as u8], text.as_bytes()].concat();
        let block: Vec<u8> = fields
            .iter()
            .flat_map(|(name, value)| [&[0][..], &text(name), &text(value)].concat())
            .collect();
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        let request = [&preface[..], &frame(4, 0, 0, &[]), &frame(1, 4, 1, &block)].concat();
        let answer = [frame(4, 0, 0, &[0, 8, 0, 0, 0, 1]), frame(1, 4, 1, &[0x88])].concat();
        let capsules = frame(0, 0, 1, &[0x5a; 900]);
        let made = conversation(&[
            (Side::Up, &request),
            (Side::Down, &answer),
            (Side::Up, &capsules),
            (Side::Down, &capsules),
        ]);
        let tunnel = support::buckets(&made.report()).get("tunnel").copied().unwrap_or_default();
        let rows = made.rows("detours.csv");
        assert_eq!(rows.is_empty(), tunnel == 0);
        rows.first().map(|row| row["what"].clone())
    };
    let connect = |protocol: &'static str| {
        [
            (":method", "CONNECT"),
            (":protocol", protocol),
            (":scheme", "http"),
            (":path", "/proxy/192.0.2.6/443/"),
            (":authority", "relay.example"),
            ("capsule-protocol", "?1"),
        ]
    };
    for protocol in ["connect-udp", "connect-ip", "connect-tcp"] {
        assert_eq!(told(&connect(protocol)).as_deref(), Some("masque"), "{protocol}");
    }
    assert_eq!(told(&connect("websocket")), None);
    assert_eq!(told(&[(":method", "GET"), (":path", "/"), (":authority", "relay.example")]), None);
}

/// A tunnel of the organisation itself, or from outside: nobody can see what is in it.
#[test]
fn a_tunnel_is_one_wherever_its_ends_are() {
    let told = |ends: [&str; 2]| {
        let mut traffic = Traffic::default();
        let [client, server] = ends.map(|text| text.parse::<SocketAddr>().unwrap());
        let mut talk = Talk::tcp(&mut traffic, client, server, START_SECONDS * SECOND);
        talk.open();
        talk.send(Side::Down, b"SSH-2.0-OpenSSH_9.6\r\n");
        talk.send(Side::Up, b"SSH-2.0-OpenSSH_9.7\r\n");
        talk.close();
        let made = Made::read(&traffic, &[]);
        let mut buckets = support::buckets(&made.report());
        buckets.retain(|_, bytes| *bytes > 0);
        assert_eq!(buckets.into_keys().collect::<Vec<_>>(), ["tunnel"], "{ends:?}");
        let rows = made.rows("detours.csv");
        let row = rows.first().expect("a row");
        (rows.len(), format!("{} {}", row["what"], row["devices"]))
    };
    // The device is the one at home; of two that are not there, none.
    for (ends, devices) in [
        (["10.1.0.7:5000", "198.51.100.9:22"], 1),
        (["10.1.0.7:5000", "10.9.0.1:22"], 1),
        (["198.51.100.9:5000", "10.9.0.1:2222"], 1),
        (["198.51.100.9:5000", "203.0.113.5:22"], 0),
    ] {
        assert_eq!(told(ends), (1, format!("ssh {devices}")), "{ends:?}");
    }
}

/// Remote access is no tunnel: at home it is in `private`, as any other work with one's own computers.
#[test]
fn remote_access_at_home_is_private() {
    let mut traffic = Traffic::default();
    let [client, server] =
        ["10.1.0.7:5000", "10.9.0.1:5901"].map(|text| text.parse::<SocketAddr>().unwrap());
    let mut talk = Talk::tcp(&mut traffic, client, server, START_SECONDS * SECOND);
    talk.open();
    talk.send(Side::Down, b"RFB 003.008\n");
    talk.send(Side::Up, b"RFB 003.008\n");
    talk.close();
    let made = Made::read(&traffic, &[]);
    let mut buckets = support::buckets(&made.report());
    buckets.retain(|_, bytes| *bytes > 0);
    assert_eq!(buckets.into_keys().collect::<Vec<_>>(), ["private"]);
    assert_eq!(made.rows("detours.csv"), []);
}

/// What a client at home and a server outside say over UDP or TCP (each with whether the client says
/// it), as which it is told, and in which bucket its bytes are.
#[test]
fn what_is_said_tells_which_tunnel_it_is() {
    let told = |is_udp: bool, said: &[(Side, Vec<u8>)]| {
        let mut traffic = Traffic::default();
        let end = |text: &str| text.parse::<SocketAddr>().unwrap();
        let (client, server) = (end("10.1.0.7:41000"), end("198.51.100.9:41001"));
        let start = START_SECONDS * SECOND;
        let mut talk = match is_udp {
            true => Talk::udp(&mut traffic, client, server, start),
            false => Talk::tcp(&mut traffic, client, server, start),
        };
        if !is_udp {
            talk.open();
        }
        for (side, message) in said {
            talk.send(*side, message);
        }
        if !is_udp {
            talk.close();
        }
        let capture = tempfile::NamedTempFile::with_suffix(".pcap").unwrap();
        traffic.write(capture.path()).unwrap();
        let (flows, buckets, rows) = with_shipped_catalogue(capture.path());
        let buckets: Vec<_> = buckets.into_keys().collect();
        let rows: Vec<_> = rows.iter().map(|(what, by, _)| format!("{what} {by}")).collect();
        let [flow] = &flows[..] else { panic!("one flow, not {}", flows.len()) };
        (buckets.join(" "), rows.join(", "), flow["app"].clone(), flow["name_source"].clone())
    };
    let padded = |head: &[u8], length: usize| {
        let mut bytes = head.to_vec();
        bytes.resize(length, 0x6b);
        bytes
    };
    let tunnel = |what: &str| {
        let row = format!("{what} protocol");
        ("tunnel".to_owned(), row, serde_json::Value::Null, serde_json::Value::Null)
    };
    let nebula = |number: u8, index: u8| {
        padded(&[0x10, 0, 0, 0, 0, 0, 0, index, 0, 0, 0, 0, 0, 0, 0, number], 180)
    };
    assert_eq!(
        told(true, &[(Side::Up, nebula(1, 0)), (Side::Down, nebula(2, 7))]),
        tunnel("nebula")
    );
    let lightway = b"He\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\x16\xfe\xfd\0\0\0\0\0\0\0\0\0\x40\x01";
    assert_eq!(told(true, &[(Side::Up, padded(lightway, 93))]), tunnel("lightway"));
    let tinc = [(Side::Up, b"0 office 17.7\n".to_vec()), (Side::Down, b"0 home 17.7\n".to_vec())];
    assert_eq!(told(false, &tinc), tunnel("tinc"));
    let ike = [b"IKETCP\0\x80\0\0\0\0".to_vec(), padded(&[], 122)].concat();
    assert_eq!(told(false, &[(Side::Up, ike)]), tunnel("ipsec"));

    let remote = |what: &str| {
        let (app, source) = (serde_json::json!(what), serde_json::json!("protocol"));
        ("app".to_owned(), format!("{what} protocol"), app, source)
    };
    let registration = b"\x32\x0b\x0a\x09123456789".to_vec();
    let answer = b"\x3a\0".to_vec();
    let rustdesk = [(Side::Up, registration), (Side::Down, answer)];
    assert_eq!(told(true, &rustdesk), remote("rustdesk"));
    let relay = b"\xac\x92\x01\x28\x12\x240b9a1c2d-3e4f-4a5b-8c6d-7e8f90a1b2c3\x28\x01".to_vec();
    assert_eq!(told(false, &[(Side::Up, relay)]), remote("rustdesk"));
    let command = b"\0\x01\0\0\0\0\0\0\0\0\0\x17\x24\x10\x04\0\x88\x13\x80\0".to_vec();
    let teamviewer = [Side::Up, Side::Down, Side::Up].map(|side| (side, command.clone()));
    assert_eq!(told(true, &teamviewer), remote("teamviewer"));
    let ping = b"\x17\x24\x10\x04\0\x88\x13\x80\0".repeat(2);
    assert_eq!(told(false, &[(Side::Up, ping)]), remote("teamviewer"));
}

/// A tunnel between two gateways at home.
#[test]
fn a_tunnel_between_two_addresses_at_home_is_told() {
    let told = |gateway: &str, messages: [&[u8]; 2]| {
        let mut traffic = Traffic::default();
        let end = |text: &str| text.parse::<SocketAddr>().unwrap();
        let (client, server) = (end("10.1.0.7:41000"), end(gateway));
        let mut talk = Talk::udp(&mut traffic, client, server, START_SECONDS * SECOND);
        talk.send(Side::Up, messages[0]);
        talk.send(Side::Down, messages[1]);
        let made = Made::read(&traffic, &[]);
        let mut buckets = support::buckets(&made.report());
        buckets.retain(|_, bytes| *bytes > 0);
        let rows = made.rows("detours.csv").into_iter();
        let rows = rows.map(|row| format!("{} {} {}", row["what"], row["known_by"], row["bytes"]));
        (buckets.into_keys().collect::<Vec<_>>(), rows.collect::<Vec<_>>())
    };
    let mut initiation = [0x5a; 148];
    initiation[..4].copy_from_slice(&[1, 0, 0, 0]);
    initiation[132..].fill(0);
    let mut answer = [0xa5; 92];
    answer[..4].copy_from_slice(&[2, 0, 0, 0]);
    answer[76..].fill(0);
    let messages = [&initiation[..], &answer[..]];
    // 28 bytes of headers each.
    let row = ["wireguard protocol 296".to_owned()];
    for gateway in ["10.9.0.1:51820", "198.51.100.1:51820"] {
        assert_eq!(told(gateway, messages), (vec!["tunnel".to_owned()], row.to_vec()), "{gateway}");
    }
}
