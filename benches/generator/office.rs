//! An office: people's machines that ask DNS and then talk to services, each in its own way.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::frame::flag;
use super::quic::{self, Version};
use super::talk::{Order, Side, Talk};
use super::tls::{self, Hello};
use super::{MILLISECOND, Random, SECOND, START_SECONDS, Traffic, dns};

/// Names that services have in front of their domain.
const HOSTS: [&str; 6] = ["www", "api", "cdn", "files", "login", "static"];
/// Domains, the most visited first.
const DOMAINS: [&str; 16] = [
    "slack.com",
    "dropbox.com",
    "chatgpt.com",
    "github.com",
    "wetransfer.com",
    "trello.com",
    "news.example",
    "shop.example",
    "weather.example",
    "bank.example",
    "forum.example",
    "video.example",
    "travel.example",
    "recipes.example.co.uk",
    "intranet-tool.example.net",
    "very-long-name-of-a-department-of-some-company.example.org",
];
/// The resolver that everybody asks; its pairs with clients are other ones than those of services.
const RESOLVER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 53));
/// The same over IPv6.
const RESOLVER_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0x00ff, 0x0053));
const CLIENTS: u64 = 240;

/// How a service is talked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// TLS with server_name.
    Tls,
    /// HTTP/1.1, several requests over one connection.
    Http,
    /// HTTP/3.
    Quic,
    /// A protocol without names, over TCP or UDP: only DNS tells.
    Silent,
    /// TLS through an HTTP proxy.
    Connect,
    /// TLS through a SOCKS proxy.
    Socks,
    /// A TCP connection that nobody answers, or that is refused.
    Failed,
}

/// What may be asked of an office.
#[derive(Clone, Copy, Debug)]
pub struct Office {
    /// Visits; each is one to three flows.
    pub visits: usize,
    /// Over how many seconds the visits begin.
    pub seconds: i64,
    /// The stamp of the first.
    pub start_seconds: i64,
    /// The seed.
    pub seed: u64,
    /// Which third of the ports of each client is used (0 to 2): offices with different numbers
    /// have no five-tuple in common.
    pub chapter: u16,
}

impl Default for Office {
    fn default() -> Office {
        Office { visits: 1000, seconds: 300, start_seconds: START_SECONDS, seed: 1, chapter: 0 }
    }
}

impl Office {
    /// The traffic, in the order of its stamps.
    pub fn traffic(self) -> Traffic {
        let mut maker = Maker {
            traffic: Traffic::default(),
            random: Random::new(self.seed),
            ports: vec![0; CLIENTS as usize],
            chapter: self.chapter,
        };
        for _ in 0..self.visits {
            let offset = maker.random.below((self.seconds * 1_000_000) as u64) as i64 * 1000;
            maker.visit(self.start_seconds * SECOND + offset);
        }
        maker.traffic.sort();
        maker.traffic
    }
}

/// Lets some packets be stamped up to so many seconds before those in front of them, never a flow's
/// first few, as capture cards with several queues do.
pub fn let_some_be_late(traffic: &mut Traffic, seconds: u64, seed: u64) {
    let mut random = Random::new(seed);
    let mut seen = std::collections::HashMap::new();
    for record in &mut traffic.records {
        // Addresses and ports of TCP over IPv4 without VLAN tag are at the same place.
        let is_plain_tcp = record.frame[12..14] == [0x08, 0x00] && record.frame[23] == 6;
        if !is_plain_tcp {
            continue;
        }
        let mut key: Vec<[u8; 6]> = [(26, 34), (30, 36)]
            .map(|(address, port)| {
                let mut end = [0; 6];
                end[..4].copy_from_slice(&record.frame[address..address + 4]);
                end[4..].copy_from_slice(&record.frame[port..port + 2]);
                end
            })
            .to_vec();
        key.sort_unstable();
        let before = seen.entry(key).or_insert(0_u32);
        *before += 1;
        if *before > 4 && random.one_in(50) {
            record.time_nanos -= random.below(seconds * 1_000_000) as i64 * 1000;
        }
    }
}

struct Maker {
    traffic: Traffic,
    random: Random,
    /// Ports used so far, by client.
    ports: Vec<u16>,
    chapter: u16,
}

/// A machine.
#[derive(Clone, Copy)]
struct Client {
    number: u64,
    vlan: Option<u16>,
}

impl Client {
    fn address(self, v6: bool) -> IpAddr {
        let [high, low] = (self.number as u16 + 1).to_be_bytes();
        if v6 {
            // The same last three bytes, and so the same link address.
            let tail = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, high, low];
            IpAddr::V6(Ipv6Addr::from(tail))
        } else {
            IpAddr::V4(Ipv4Addr::new(10, 1, high, low))
        }
    }
}

/// A service.
struct Service {
    name: String,
    alias: String,
    number: u16,
}

impl Service {
    fn address(&self, v6: bool) -> IpAddr {
        let [high, low] = self.number.to_be_bytes();
        if v6 {
            IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, self.number))
        } else {
            IpAddr::V4(Ipv4Addr::new(198, 18, high, low))
        }
    }
}

impl Maker {
    fn visit(&mut self, time: i64) {
        let number = self.random.below(CLIENTS);
        let client = Client { number, vlan: number.is_multiple_of(3).then_some(20) };
        let service = self.service();
        let v6 = self.random.one_in(4);
        let kind = *self.random.pick(&[
            Kind::Tls,
            Kind::Tls,
            Kind::Tls,
            Kind::Tls,
            Kind::Tls,
            Kind::Quic,
            Kind::Quic,
            Kind::Http,
            Kind::Http,
            Kind::Silent,
            Kind::Silent,
            Kind::Connect,
            Kind::Socks,
            Kind::Failed,
        ]);
        let answered = self.look_up(client, &service, v6, time);
        match kind {
            Kind::Tls => self.tls(client, &service, v6, answered),
            Kind::Quic => self.quic(client, &service, v6, answered),
            Kind::Http => self.http(client, &service, v6, answered),
            Kind::Silent => self.silent(client, &service, v6, answered),
            Kind::Connect | Kind::Socks => self.proxied(client, &service, kind, answered),
            Kind::Failed => self.failed(client, &service, v6, answered),
        }
    }

    fn service(&mut self) -> Service {
        // The smaller of two draws: some are visited more than others.
        let count = DOMAINS.len() as u64;
        let domain = self.random.below(count).min(self.random.below(count)) as usize;
        let host = self.random.below(HOSTS.len() as u64) as usize;
        Service {
            name: format!("{}.{}", HOSTS[host], DOMAINS[domain]),
            alias: format!("edge{host}.cdn-{domain}.example.net"),
            number: (domain * HOSTS.len() + host) as u16 + 1,
        }
    }

    /// The next port of a client: no five-tuple comes twice.
    fn end(&mut self, client: Client, v6: bool) -> SocketAddr {
        let used = &mut self.ports[client.number as usize];
        *used += 1;
        assert!(*used < 18_000, "too many visits for so few clients");
        SocketAddr::new(client.address(v6), 10_000 + self.chapter * 18_000 + *used)
    }

    /// Asks DNS. Returns when the answer is there.
    fn look_up(&mut self, client: Client, service: &Service, v6: bool, time: i64) -> i64 {
        let over_v6 = self.random.one_in(6);
        let resolver = if over_v6 { RESOLVER_V6 } else { RESOLVER };
        let end = self.end(client, over_v6);
        let answer = service.address(v6);
        let question_type = if v6 { dns::AAAA } else { dns::A };
        let id = self.random.next() as u16;
        let how = self.random.below(16);
        let mut talk = Talk::udp(&mut self.traffic, end, SocketAddr::new(resolver, 53), time)
            .vlan(client.vlan);
        talk.gap_nanos = 3 * MILLISECOND;
        talk.named(&service.name);
        talk.send(Side::Up, &dns::query(id, &service.name, question_type));
        let long = dns::long_response(id, &service.name, &service.alias, answer, 2000);
        match how {
            0 => talk.fragments(Side::Down, &long, 800, Order::Straight),
            1 => talk.fragments(Side::Down, &long, 800, Order::Reversed),
            2 => {
                // Half of the answer is lost; it is asked again.
                let lost = if v6 { Order::WithoutLast } else { Order::WithoutFirst };
                talk.fragments(Side::Down, &long, 800, lost);
                talk.send(Side::Up, &dns::query(id, &service.name, question_type));
                talk.send(Side::Down, &dns::response(id, &service.name, &[answer], 300));
            }
            _ => talk.send(Side::Down, &dns::response(id, &service.name, &[answer], 300)),
        }
        talk.time_nanos
    }

    fn tls(&mut self, client: Client, service: &Service, v6: bool, time: i64) {
        let end = self.end(client, v6);
        let server = SocketAddr::new(service.address(v6), 443);
        let hello = self.hello(&service.name);
        let cut = *self.random.pick(&[1400, 1400, 1400, 700, 100]);
        let order = if self.random.one_in(5) { Order::Reversed } else { Order::Straight };
        let answer = tls::server_hello(&mut self.random);
        let exchanges = self.random.below(4);
        let quiet = self.random.below(90) as i64 * SECOND;
        let bodies: Vec<_> = (0..exchanges)
            .map(|_| {
                let length = self.random.below(3000) as usize + 1;
                (
                    tls::application_data(200, &mut self.random),
                    tls::application_data(length, &mut self.random),
                )
            })
            .collect();
        let ending = self.random.below(4);
        let mut talk = Talk::tcp(&mut self.traffic, end, server, time).vlan(client.vlan);
        talk.named(&service.name);
        talk.open();
        talk.send_cut(Side::Up, &hello, cut, order);
        talk.send(Side::Down, &answer);
        for (request, response) in &bodies {
            talk.send(Side::Up, request);
            talk.send(Side::Down, response);
            talk.wait(quiet);
        }
        match ending {
            0 => {}
            1 => talk.segment(Side::Down, flag::RST, &[]),
            2 => {
                // Data that was on its way when both sides had finished still belongs to the flow.
                talk.close();
                talk.wait(2 * SECOND);
                let late = talk.sequence[Side::Down as usize].wrapping_sub(101);
                talk.segment_at(Side::Down, flag::ACK, late, &[7; 100]);
            }
            _ => talk.close(),
        }
    }

    /// A ClientHello in its records.
    fn hello(&mut self, name: &str) -> Vec<u8> {
        let post_quantum = self.random.one_in(2);
        let hello = Hello {
            server_name: Some(name),
            alpn: &["h2", "http/1.1"],
            post_quantum,
            ..Hello::default()
        };
        let message = tls::client_hello(&hello, &mut self.random);
        let record = if self.random.one_in(8) { 120 } else { 16_384 };
        tls::records(&message, record)
    }

    fn quic(&mut self, client: Client, service: &Service, v6: bool, time: i64) {
        let end = self.end(client, v6);
        let server = SocketAddr::new(service.address(v6), 443);
        let version = if self.random.one_in(4) { Version::V2 } else { Version::V1 };
        let hello = Hello {
            server_name: Some(&service.name),
            alpn: &["h3"],
            post_quantum: self.random.one_in(2),
            quic: true,
            ..Hello::default()
        };
        let message = tls::client_hello(&hello, &mut self.random);
        let connection_id = self.random.bytes(8);
        let mut initials = quic::initials(version, &connection_id, &message);
        if self.random.one_in(4) {
            initials.reverse();
        }
        let bodies: Vec<_> = (0..self.random.below(5)).map(|_| self.random.bytes(900)).collect();
        let mut talk = Talk::udp(&mut self.traffic, end, server, time).vlan(client.vlan);
        talk.named(&service.name);
        for initial in &initials {
            talk.send(Side::Up, initial);
        }
        for body in &bodies {
            talk.send(Side::Down, &quic::short(&connection_id, body));
            talk.send(Side::Up, &quic::short(&connection_id, &body[..40]));
            talk.wait(5 * SECOND);
        }
    }

    fn http(&mut self, client: Client, service: &Service, v6: bool, time: i64) {
        let end = self.end(client, v6);
        let server = SocketAddr::new(service.address(v6), 80);
        let requests = self.random.below(4) + 1;
        let other = self.service();
        let length = self.random.below(2500) as usize;
        let mut talk = Talk::tcp(&mut self.traffic, end, server, time).vlan(client.vlan);
        talk.open();
        for number in 0..requests {
            // Behind one address are several hosts; the connection is used for all of them.
            let host = if number == 2 { &other.name } else { &service.name };
            talk.named(host);
            let request =
                format!("GET /{number} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: office\r\n\r\n");
            let cut = if number == 1 { 20 } else { 1400 };
            talk.send_cut(Side::Up, request.as_bytes(), cut, Order::Straight);
            let response = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
            talk.send(Side::Down, response.as_bytes());
            talk.send(Side::Down, &vec![b'.'; length]);
        }
        talk.close();
    }

    /// A protocol that nobody knows.
    fn silent(&mut self, client: Client, service: &Service, v6: bool, time: i64) {
        let end = self.end(client, v6);
        let server = SocketAddr::new(service.address(v6), 5228);
        let message = [&[0x21, 0xf1][..], &self.random.bytes(60)].concat();
        let is_tcp = self.random.one_in(2);
        let mut talk = if is_tcp {
            Talk::tcp(&mut self.traffic, end, server, time)
        } else {
            Talk::udp(&mut self.traffic, end, server, time)
        }
        .vlan(client.vlan);
        talk.named(&service.name);
        if is_tcp {
            talk.open();
        }
        for _ in 0..3 {
            talk.send(Side::Up, &message);
            talk.send(Side::Down, &message);
            talk.wait(20 * SECOND);
        }
    }

    /// TLS through a proxy outside: its address is no evidence of anything.
    fn proxied(&mut self, client: Client, service: &Service, kind: Kind, time: i64) {
        let end = self.end(client, false);
        let port = if kind == Kind::Socks { 1080 } else { 3128 };
        let proxy = SocketAddr::new(Ipv4Addr::new(198, 19, 0, 1).into(), port);
        let hello = self.hello(&service.name);
        let answer = tls::server_hello(&mut self.random);
        let mut talk = Talk::tcp(&mut self.traffic, end, proxy, time).vlan(client.vlan);
        talk.named(&service.name);
        talk.open();
        if kind == Kind::Socks {
            // RFC 1928, 3 to 6: no authentication, then CONNECT by name.
            talk.send(Side::Up, &[5, 1, 0]);
            talk.send(Side::Down, &[5, 0]);
            let mut request = vec![5, 1, 0, 3, service.name.len() as u8];
            request.extend(service.name.bytes());
            request.extend(443_u16.to_be_bytes());
            talk.send(Side::Up, &request);
            talk.send(Side::Down, &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        } else {
            let name = &service.name;
            let request = format!("CONNECT {name}:443 HTTP/1.1\r\nHost: {name}:443\r\n\r\n");
            talk.send(Side::Up, request.as_bytes());
            talk.send(Side::Down, b"HTTP/1.1 200 Connection established\r\n\r\n");
        }
        talk.send(Side::Up, &hello);
        talk.send(Side::Down, &answer);
        talk.close();
    }

    fn failed(&mut self, client: Client, service: &Service, v6: bool, time: i64) {
        let end = self.end(client, v6);
        let server = SocketAddr::new(service.address(v6), 443);
        let is_refused = self.random.one_in(2);
        let mut talk = Talk::tcp(&mut self.traffic, end, server, time).vlan(client.vlan);
        talk.named(&service.name);
        let first = talk.sequence[0];
        talk.segment(Side::Up, flag::SYN, &[]);
        if is_refused {
            talk.segment(Side::Down, flag::RST | flag::ACK, &[]);
        } else {
            talk.wait(SECOND);
            talk.segment_at(Side::Up, flag::SYN, first, &[]);
        }
    }
}
