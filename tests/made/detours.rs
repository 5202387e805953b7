//! Tunnels that nobody can look into: what they say before they are sealed.

use crate::generator::frame::{self, Way};
use crate::generator::talk::{Side, Talk};
use crate::generator::tls::{self, Hello};
use crate::generator::{Random, Record, Traffic};

use super::Scene;
use super::capture::{at, pcap, second};

pub(super) fn scenes() -> Vec<Scene> {
    vec![
        Scene {
            folder: "remote-access",
            words: "Computers controlled from afar, each on a port that is not its own: Remote Desktop, VNC, TeamViewer's own\n\
                    protocol, AnyDesk. Last S7, in the same envelope as Remote Desktop, and a record of TLS.",
            input: pcap(remote_access()),
        },
        Scene {
            folder: "vpn",
            words: "Each on a port that is not its own: WireGuard, with its handshake and in the middle of a tunnel; OpenVPN over\n\
                UDP, over TCP and scrambled; IKE, behind NAT with ESP; L2TP's and PPTP's control connections; SSH; Tailscale's\n\
                disco; ZeroTier's HELLO; AnyConnect's DTLS; a question to a directory of Tor; SOCKS 4 with an address,\n\
                SOCKS 5 with a user; OpenVPN in the middle of a tunnel; a node of Tailscale that asks for its address; L2TP in\n\
                IP. With them what is like them and is none: DTLS of version 1.2; WireGuard's length and type without its order;\n\
                a request of SOCKS 4 that nobody answers; TLS for HTTP on the port of DNS over TLS.",
            input: pcap(vpn()),
        },
    ]
}

const CLIENT: &str = "10.20.0.81";
/// L2TP version 3 straight in IP (RFC 3931, 4.1.1).
const L2TP_IN_IP: u8 = 115;
const SERVER: &str = "198.18.81.1";

/// Says `what`, each from its side, over UDP to `port`.
fn datagrams(traffic: &mut Traffic, number: i64, port: u16, what: &[(Side, Vec<u8>)]) {
    let client = at(&format!("{CLIENT}:{}", 40_000 + number));
    let server = at(&format!("{SERVER}:{port}"));
    let mut talk = Talk::udp(traffic, client, server, second(number));
    for (side, bytes) in what {
        talk.send(*side, bytes);
    }
}

/// Says `what` over TCP to `port`.
fn stream(traffic: &mut Traffic, number: i64, port: u16, what: &[(Side, Vec<u8>)]) {
    let client = at(&format!("{CLIENT}:{}", 40_000 + number));
    let server = at(&format!("{SERVER}:{port}"));
    let mut talk = Talk::tcp(traffic, client, server, second(number));
    talk.open();
    for (side, bytes) in what {
        talk.send(*side, bytes);
    }
    talk.close();
}

/// `start`, and noise behind it up to `length`.
fn filled(start: &[u8], length: usize) -> Vec<u8> {
    let mut bytes = start.to_vec();
    let mut noise = 0x9eu8;
    while bytes.len() < length {
        noise = noise.wrapping_mul(109).wrapping_add(89);
        bytes.push(noise | 1);
    }
    bytes
}

fn wireguard_data(index: u32, counter: u64, length: usize) -> Vec<u8> {
    let header = [&[4, 0, 0, 0][..], &index.to_le_bytes(), &counter.to_le_bytes()].concat();
    filled(&header, length)
}

/// A length, and behind it a packet.
fn in_tcp(packet: &[u8]) -> Vec<u8> {
    [&(packet.len() as u16).to_be_bytes()[..], packet].concat()
}

fn vpn() -> Traffic {
    let mut traffic = Traffic::default();
    let (up, down) = (Side::Up, Side::Down);

    let mut initiation = filled(&[1, 0, 0, 0, 7, 0, 0, 0], 132);
    initiation.resize(148, 0);
    let mut response = filled(&[2, 0, 0, 0, 9, 0, 0, 0, 7, 0, 0, 0], 76);
    response.resize(92, 0);
    let said = [
        (up, initiation),
        (down, response),
        (up, wireguard_data(9, 0, 32)),
        (down, wireguard_data(7, 0, 1232)),
    ];
    datagrams(&mut traffic, 0, 443, &said);
    let said = [5, 6, 7].map(|counter| (down, wireguard_data(0xaabb, counter, 1232)));
    datagrams(&mut traffic, 1, 3478, &said);

    let (client_id, server_id) =
        (*b"\xa5\xf6\x34\x99\x6d\x29\x5c\x25", *b"\x7e\xde\xe5\xb2\xe2\xc1\x28\x7e");
    let reset = filled(&[&[0x38][..], &client_id].concat(), 54);
    let mut answer = filled(&[&[0x40][..], &server_id].concat(), 49);
    answer.extend([&[1, 0, 0, 0, 0][..], &client_id, &[0; 4]].concat());
    let control = filled(&[&[0x20][..], &client_id].concat(), 343);
    let said = [(up, reset.clone()), (down, answer.clone()), (up, control.clone())];
    datagrams(&mut traffic, 2, 443, &said);
    let said = said.map(|(side, packet)| (side, in_tcp(&packet)));
    stream(&mut traffic, 3, 443, &said);
    let scrambled = |kind: u8, length: usize| filled(&[kind ^ 0x74], length);
    let said = [
        (up, scrambled(0x38, 86)),
        (down, scrambled(0x40, 98)),
        (up, scrambled(0x20, 375)),
        (down, scrambled(0x28, 94)),
        (down, scrambled(0x20, 1112)),
        (up, scrambled(0x28, 98)),
    ];
    datagrams(&mut traffic, 4, 53_000, &said);
    stream(&mut traffic, 5, 465, &said.map(|(side, packet)| (side, in_tcp(&packet))));

    let ike = |flags: u8, responder: u8| {
        let mut bytes = filled(&[], 8);
        bytes.extend([responder; 8]);
        bytes.extend([33, 0x20, 34, flags, 0, 0, 0, 0, 0, 0, 0, 200]);
        filled(&bytes, 200)
    };
    datagrams(&mut traffic, 6, 5000, &[(up, ike(0x08, 0)), (down, ike(0x20, 0x44))]);
    let esp = |number: u8| filled(&[0xc0, 0xff, 0xee, 0, 0, 0, 0, number], 120);
    datagrams(&mut traffic, 7, 4500, &[(up, esp(1)), (up, esp(2)), (down, esp(1))]);

    let l2tp = b"\xc8\x02\0\x1c\0\0\0\0\0\0\0\0\x80\x08\0\0\0\0\0\x01\x80\x08\0\0\0\x02\x01\0";
    datagrams(&mut traffic, 8, 17_010, &[(up, l2tp.to_vec())]);
    let mut pptp = b"\0\x9c\0\x01\x1a\x2b\x3c\x4d\0\x01\0\0\x01\0".to_vec();
    pptp.resize(156, 0);
    stream(&mut traffic, 9, 17_230, &[(up, pptp)]);
    let said =
        [(down, b"SSH-2.0-OpenSSH_9.6\r\n".to_vec()), (up, b"SSH-2.0-PuTTY_0.81\r\n".to_vec())];
    stream(&mut traffic, 10, 443, &said);

    let disco = filled("TS💬".as_bytes(), 92);
    datagrams(&mut traffic, 11, 41_641, &[(up, disco.clone()), (down, disco)]);
    let hello = b"\x1a\x1b\x2c\x3d\x4e\x5f\x60\x71\x62\xf8\x65\xae\x71\x80\x56\xc2\xe2\x1c\0\
        \xa1\xa2\xa3\xa4\xa5\xa6\xa7\xa8\x01\x0c\x01\x0a\0\x06\0\0\x01\x8b\xcf\xe5\x68\0\
        \x80\x56\xc2\xe2\x1c\0";
    datagrams(&mut traffic, 12, 9993, &[(up, filled(hello, 137))]);
    let dtls = |version: [u8; 2]| {
        let header = [&[22][..], &version, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 86, 1, 0, 0, 74]].concat();
        filled(&[&header[..], &[0, 0, 0, 0, 0, 0, 0, 74], &version].concat(), 99)
    };
    datagrams(&mut traffic, 13, 443, &[(up, dtls([1, 0]))]);
    let request = b"GET /tor/status-vote/current/consensus HTTP/1.0\r\nHost: 198.18.81.1\r\n\r\n";
    stream(&mut traffic, 14, 9030, &[(up, request.to_vec())]);

    datagrams(&mut traffic, 15, 4433, &[(up, dtls([0xfe, 0xfd]))]);
    let said = [(up, filled(&[1, 0, 0, 0], 148)), (down, filled(&[2, 0, 0, 0], 92))];
    datagrams(&mut traffic, 16, 27_015, &said);

    let request = b"\x04\x01\x01\xbb\xc6\x12\x51\x02me\0".to_vec();
    let granted = b"\0\x5a\0\0\0\0\0\0".to_vec();
    let hello = |name, alpn| {
        let hello = Hello { server_name: Some(name), alpn, ..Hello::default() };
        tls::records(&tls::client_hello(&hello, &mut Random::new(18)), 16_384)
    };
    let inside = hello("inside.example.com", &["h2"]);
    stream(&mut traffic, 17, 443, &[(up, request.clone()), (down, granted), (up, inside.clone())]);
    let said = [
        (up, b"\x05\x02\0\x02".to_vec()),
        (down, b"\x05\x02".to_vec()),
        (up, b"\x01\x02me\x02pw".to_vec()),
        (down, b"\x01\0".to_vec()),
        (up, b"\x05\x01\0\x01\xc6\x12\x51\x02\x01\xbb".to_vec()),
        (down, b"\x05\0\0\x01\0\0\0\0\0\0".to_vec()),
        (up, inside),
    ];
    stream(&mut traffic, 18, 8443, &said);
    let data = |number: u8| filled(&[0x48, 0, 0, 3, 0, 0, 7, number], 140);
    datagrams(&mut traffic, 19, 443, &[(down, data(1)), (down, data(2)), (down, data(3))]);
    let mut question = filled(b"\0\x01\0\x14\x21\x12\xa4\x42", 20);
    question.extend(b"\x80\x22\0\x08tailnode\x80\x28\0\x04\x12\x34\x56\x78");
    datagrams(&mut traffic, 20, 3478, &[(up, question)]);
    let (source, destination) = (at(&format!("{CLIENT}:0")), at(&format!("{SERVER}:0")));
    let way = Way { source, destination, vlan: None };
    let frame = frame::whole(way, L2TP_IN_IP, 1, &filled(&[0, 0, 0, 9], 80));
    traffic.records.push(Record { time_nanos: second(21), frame });

    stream(&mut traffic, 22, 5555, &[(up, request)]);
    stream(&mut traffic, 23, 853, &[(up, hello("web.example.com", &["h2", "http/1.1"]))]);
    traffic
}

fn remote_access() -> Traffic {
    let mut traffic = Traffic::default();
    let (up, down) = (Side::Up, Side::Down);
    let request = b"\x03\0\0\x13\x0e\xe0\0\0\0\0\0\x01\0\x08\0\x03\0\0\0".to_vec();
    let confirm = b"\x03\0\0\x13\x0e\xd0\0\0\x12\x34\0\x02\x1f\x08\0\x02\0\0\0".to_vec();
    stream(&mut traffic, 0, 443, &[(up, request), (down, confirm)]);
    let banner = b"RFB 003.008\n".to_vec();
    stream(&mut traffic, 1, 443, &[(down, banner.clone()), (up, banner)]);
    let ping = b"\x17\x24\x10\x04\0\x88\x13\x80\0".to_vec();
    let pong = b"\x17\x24\x11\x04\0\x88\x13\x80\0".to_vec();
    stream(&mut traffic, 2, 443, &[(up, ping), (down, pong)]);
    let hello = Hello { alpn: &["anydesk/6.2.0/linux"], ..Hello::default() };
    let hello = tls::records(&tls::client_hello(&hello, &mut Random::new(3)), 16_384);
    stream(&mut traffic, 3, 443, &[(up, hello)]);

    let request = b"\x03\0\0\x16\x11\xe0\0\0\0\x14\0\xc1\x02\x06\0\xc2\x02\x06\0\xc0\x01\x0a";
    stream(&mut traffic, 4, 3389, &[(up, request.to_vec())]);
    stream(&mut traffic, 5, 5938, &[(up, b"\x17\x03\x03\0\x04abcd".to_vec())]);
    traffic
}
