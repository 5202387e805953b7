//! Addresses that are no person, and those that only look like one: what the recorded network has no
//! example of. Packets are made, with the signs that real systems put on the wire.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::generator::talk::{Side, Talk};
use crate::generator::tls::{self, Hello};
use crate::generator::{Random, SECOND, START_SECONDS, Traffic};
use crate::support::{self, Made};

/// Nine o'clock of a day.
pub(crate) const NINE: i64 = ((START_SECONDS / 86_400 + 1) * 86_400 + 9 * 3600) * SECOND;
pub(crate) const MINUTE: i64 = 60 * SECOND;
/// Where Ethernet frames of IPv4 have their parts (RFC 791, 3.1; RFC 9293, 3.1).
const IP: usize = 14;
const TCP: usize = IP + 20;
/// Where a ClientHello with a session id has its first cipher suite (RFC 8446, 4.1.2).
const FIRST_SUITE: usize = 4 + 2 + 32 + 33 + 2;

/// What systems send.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum System {
    /// No timestamps.
    Windows,
    /// A clock for each pair of addresses.
    Linux,
    /// A clock for each connection, and source ports as they are given today.
    NewLinux,
    /// A clock for each connection.
    Apple,
}

/// A machine, as it is seen behind whatever stands in front of it.
#[derive(Clone, Copy)]
pub(crate) struct Machine {
    pub(crate) system: System,
    /// Which of several: no two have the same clock.
    pub(crate) number: u32,
    /// Routers on the way here.
    pub(crate) hops: u8,
}

impl Machine {
    fn time_to_live(self) -> u8 {
        let initial = if self.system == System::Windows { 128 } else { 64 };
        initial - self.hops
    }

    /// The options of its SYN.
    fn options(self, server: &SocketAddr, port: u16, nanos: i64) -> Vec<u8> {
        let (one, two) = match self.system {
            System::Windows => return vec![2, 4, 5, 0xb4, 1, 3, 3, 8, 1, 1, 4, 2],
            System::Linux => (self.number, u32::from(server.port()) ^ address_bits(server)),
            System::Apple | System::NewLinux => (self.number, u32::from(port) << 8),
        };
        let start = one.wrapping_mul(0x9e37_79b9) ^ two.wrapping_mul(0x85eb_ca6b);
        let ticks = ((nanos / 1_000_000) as u32).wrapping_add(start).to_be_bytes();
        let stamps = [&[8, 10][..], &ticks, &[0; 4]].concat();
        match self.system {
            System::Apple => {
                [&[2, 4, 5, 0xb4, 1, 3, 3, 6, 1, 1][..], &stamps, &[4, 2, 0, 0]].concat()
            }
            _ => [&[2, 4, 5, 0xb4, 4, 2][..], &stamps, &[1, 3, 3, 7]].concat(),
        }
    }
}

impl Machine {
    /// The source port of its next connection to a server, where it has had some: an even one not far
    /// above the last, from where begins anew every ten seconds.
    fn source_port(self, server: &SocketAddr, nanos: i64, earlier: u16) -> u16 {
        let epoch = (nanos / (10 * SECOND)) as u32;
        let mixed = self.number.wrapping_mul(0x9e37_79b9)
            ^ address_bits(server).wrapping_mul(0x85eb_ca6b)
            ^ epoch.wrapping_mul(0xc2b2_ae35);
        let mixed = (mixed ^ mixed >> 15).wrapping_mul(0x2c1b_3c6d);
        32_768 + (mixed >> 18) as u16 / 2 * 2 + 8 * earlier
    }
}

fn address_bits(server: &SocketAddr) -> u32 {
    match server {
        SocketAddr::V4(server) => u32::from(*server.ip()),
        SocketAddr::V6(_) => 0,
    }
}

/// The address that all of it is about.
pub(crate) const HERE: &str = "10.6.0.1";

/// An hour of traffic.
pub(crate) struct Scene {
    pub(crate) traffic: Traffic,
    random: Random,
    port: u16,
    /// Whose address it is now, and the link address of its frames, where that is not its own.
    pub(crate) here: String,
    pub(crate) link: Option<[u8; 6]>,
}

impl Scene {
    pub(crate) fn new() -> Scene {
        let (traffic, random, here) = (Traffic::default(), Random::new(5), HERE.to_owned());
        Scene { traffic, random, port: 20_000, here, link: None }
    }

    /// A connection of one program (its shape of hellos) to a name, which lasts so long.
    pub(crate) fn visit(
        &mut self,
        machine: Machine,
        after: i64,
        name: &str,
        program: u8,
        lasts: i64,
    ) {
        self.port += 1;
        let server = 1 + name.bytes().map(u32::from).sum::<u32>() % 250;
        let server: SocketAddr = format!("198.18.7.{server}:443").parse().unwrap();
        let port = match machine.system {
            System::NewLinux => machine.source_port(&server, NINE + after, self.port % 9),
            _ => self.port,
        };
        let client: SocketAddr = format!("{}:{port}", self.here).parse().unwrap();
        let (random, first) = (&mut self.random, self.traffic.records.len());
        let mut talk = Talk::tcp(&mut self.traffic, client, server, NINE + after);
        talk.open();
        let hello = Hello { server_name: Some(name), ..Hello::default() };
        let mut hello = tls::client_hello(&hello, random);
        hello[FIRST_SUITE..FIRST_SUITE + 2].copy_from_slice(&[0xc0, 2 * program]);
        talk.send(Side::Up, &tls::records(&hello, 16_384));
        talk.send(Side::Down, &tls::server_hello(random));
        talk.send(Side::Up, &tls::application_data(1500, random));
        talk.send(Side::Down, &tls::application_data(30_000, random));
        let pause = 4 * MINUTE;
        for _ in 0..lasts / pause {
            talk.wait(pause);
            talk.send(Side::Up, &tls::application_data(40, random));
            talk.send(Side::Down, &tls::application_data(40, random));
        }
        talk.close();
        for record in &mut self.traffic.records[first..] {
            let frame = &mut record.frame;
            let is_up = frame[TCP..TCP + 2] == client.port().to_be_bytes();
            if let Some(link) = self.link.filter(|_| is_up) {
                frame[6..12].copy_from_slice(&link);
            }
            frame[IP + 8] = machine.time_to_live();
            // A SYN, and no answer to one.
            if frame[TCP + 13] & 0x12 == 2 {
                let options = machine.options(&server, client.port(), record.time_nanos);
                frame[TCP + 12] += (options.len() as u8 / 4) << 4;
                let length = u16::from_be_bytes([frame[IP + 2], frame[IP + 3]]);
                let length = length + options.len() as u16;
                frame[IP + 2..IP + 4].copy_from_slice(&length.to_be_bytes());
                frame.splice(TCP + 20..TCP + 20, options);
            }
        }
    }

    /// Somebody at a machine: visits to five names by some programs, each twice.
    pub(crate) fn work(&mut self, machine: Machine, programs: std::ops::Range<u8>) {
        let names = ["files.slack.com", "www.notion.so", "app.asana.com", "a.example", "b.example"];
        let count = i64::from(programs.end - programs.start);
        for round in 0..2 * count.max(5) {
            let program = programs.start + (round % count) as u8;
            let after = (1 + round) * MINUTE + i64::from(machine.number) * SECOND / 3;
            self.visit(machine, after, names[(round % 5) as usize], program, 0);
        }
    }

    /// A machine is told of news over a connection that lasts.
    fn listen(&mut self, machine: Machine, name: &str) {
        self.visit(machine, i64::from(machine.number) * SECOND, name, 0, 40 * MINUTE);
    }

    /// Others connect to it.
    pub(crate) fn serve(&mut self, port: u16, clients: u8, connections: u8) {
        for number in 0..connections {
            self.port += 1;
            let client = format!("10.6.1.{}:{}", 1 + number % clients, self.port);
            let server: SocketAddr = format!("{}:{port}", self.here).parse().unwrap();
            let at = NINE + i64::from(number) * 20 * SECOND;
            let mut talk = Talk::tcp(&mut self.traffic, client.parse().unwrap(), server, at);
            talk.open();
            talk.send(Side::Up, &[3; 200]);
            talk.send(Side::Down, &[3; 900]);
            talk.close();
        }
    }

    /// A request in clear text.
    fn request(&mut self, client: &str, server: &str, head: &str) {
        self.port += 1;
        let client: SocketAddr = format!("{client}:{}", self.port).parse().unwrap();
        let at = NINE + i64::from(self.port % 1000) * 3 * SECOND;
        let mut talk = Talk::tcp(&mut self.traffic, client, server.parse().unwrap(), at);
        talk.open();
        talk.send(Side::Up, head.as_bytes());
        talk.send(Side::Down, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        talk.close();
    }

    /// Why addresses are no person, by address, and what they did.
    pub(crate) fn shared(mut self) -> BTreeMap<String, (String, String)> {
        self.traffic.sort();
        let rows = Made::read(&self.traffic, &[]).rows("shared_sources.csv");
        let of = |row: BTreeMap<String, String>| {
            (row["device"].clone(), (row["reason"].clone(), row["facts"].clone()))
        };
        rows.into_iter().map(of).collect()
    }

    /// Why the address that it is about is no person.
    pub(crate) fn reason(self) -> Option<String> {
        self.shared().remove(HERE).map(|(reason, _)| reason)
    }
}

pub(crate) fn machine(system: System, number: u32, hops: u8) -> Machine {
    Machine { system, number, hops }
}

#[test]
fn thirty_machines_of_one_kind_are_told_by_their_clocks() {
    let mut scene = Scene::new();
    (0..30).for_each(|number| scene.work(machine(System::Linux, number, 1), 0..2));
    let (reason, facts) = scene.shared().remove(HERE).unwrap();
    assert_eq!(reason, "nat_gateway");
    assert!(facts.contains("30 TCP clocks towards one server"), "{facts}");
    assert!(facts.contains("1 initial times to live") && facts.contains("2 shapes"), "{facts}");
}

#[test]
fn thirty_machines_without_clocks_are_told_by_what_each_has_one_of() {
    let mut scene = Scene::new();
    for number in 0..30 {
        let one = machine(System::Windows, number, 1);
        scene.work(one, 0..3);
        scene.listen(one, "client.wns.windows.com");
    }
    assert_eq!(scene.reason().as_deref(), Some("nat_gateway"));
    let mut scene = Scene::new();
    for number in 0..30 {
        let one = machine(System::Apple, number, 1);
        scene.work(one, 0..3);
        scene.listen(one, &format!("{number}-courier.push.apple.com"));
    }
    assert_eq!(scene.reason().as_deref(), Some("nat_gateway"));
}

#[test]
fn thirty_machines_of_two_kinds_are_no_person() {
    let mut scene = Scene::new();
    for number in 0..30 {
        let system = if number % 2 == 0 { System::Windows } else { System::Linux };
        scene.work(machine(system, number, 1), 0..3);
    }
    assert_eq!(scene.reason().as_deref(), Some("nat_gateway"));
}

#[test]
fn a_developer_with_machines_in_the_machine_is_a_person() {
    let mut scene = Scene::new();
    let laptop = machine(System::Windows, 0, 0);
    scene.work(laptop, 0..12);
    // Three browsers, one of them with two profiles; the network goes away once.
    for name in ["client.wns.windows.com", "mtalk.google.com", "push.services.mozilla.com"] {
        scene.listen(laptop, name);
        scene.visit(laptop, 45 * MINUTE, name, 0, 12 * MINUTE);
    }
    scene.listen(machine(System::Windows, 9, 0), "mtalk.google.com");
    // A virtual machine, and four containers in it, which ask the same servers.
    for number in 1..6 {
        scene.work(machine(System::Linux, number, 1), 12..16);
    }
    let shared = scene.shared();
    assert!(shared.is_empty(), "{shared:?}");
}

#[test]
fn a_phone_or_a_desktop_with_a_clock_for_each_connection_is_a_person() {
    let mut scene = Scene::new();
    (0..4).for_each(|_| scene.work(machine(System::Apple, 1, 0), 0..9));
    scene.listen(machine(System::Apple, 1, 0), "7-courier.push.apple.com");
    assert_eq!(scene.reason(), None);
}

#[test]
fn three_machines_at_home_behind_a_tunnel_stay_one() {
    let mut scene = Scene::new();
    for (number, system) in [System::Windows, System::Apple, System::Linux].into_iter().enumerate()
    {
        let number = number as u32;
        scene.work(machine(system, number, 2), 3 * number as u8..3 * number as u8 + 4);
    }
    assert_eq!(scene.reason(), None);
}

#[test]
fn a_terminal_server_is_many_people_whatever_it_opens() {
    let mut scene = Scene::new();
    (0..10).for_each(|_| scene.work(machine(System::Windows, 0, 0), 0..9));
    scene.serve(3389, 5, 5);
    assert_eq!(scene.reason().as_deref(), Some("server"));
}

#[test]
fn a_workstation_that_others_connect_to_is_a_person() {
    let mut scene = Scene::new();
    scene.work(machine(System::Windows, 0, 0), 0..6);
    // A colleague helps; a share, a server of its own under test, and a program that peers.
    scene.serve(3389, 1, 2);
    scene.serve(445, 9, 9);
    scene.serve(8000, 3, 20);
    scene.serve(6881, 40, 60);
    assert_eq!(scene.reason(), None);
    // Without anybody at work it is a server.
    let mut scene = Scene::new();
    scene.work(machine(System::Linux, 0, 0), 0..2);
    scene.serve(445, 9, 60);
    assert_eq!(scene.reason().as_deref(), Some("server"));
}

#[test]
fn who_asks_a_proxy_or_names_others_is_none_itself() {
    let mut scene = Scene::new();
    let proxied = "GET http://slack.com/a HTTP/1.1\r\nHost: slack.com\r\n\r\n";
    for client in [HERE, "10.6.0.2"] {
        scene.request(client, "10.6.9.9:3128", proxied);
        scene.request(client, "10.6.9.9:3128", "CONNECT slack.com:443 HTTP/1.1\r\n\r\n");
    }
    // Itself, what it made up, and containers that a server under test on it has before it.
    for other in [HERE, "203.0.113.9", "198.51.100.7", "192.0.2.1", "192.0.2.2", "172.17.0.2"] {
        let head = format!("GET / HTTP/1.1\r\nHost: slack.com\r\nX-Forwarded-For: {other}\r\n\r\n");
        scene.request(HERE, "198.18.5.1:80", &head);
    }
    let shared = scene.shared();
    let reasons: Vec<_> =
        shared.iter().map(|(device, (reason, _))| (&**device, &**reason)).collect();
    assert_eq!(reasons, [("10.6.9.9", "forward_proxy")]);
    // Whoever asks for many at home is one, also where nobody is seen to ask it.
    let mut scene = Scene::new();
    for other in 1..6 {
        let head =
            format!("GET / HTTP/1.1\r\nHost: slack.com\r\nX-Forwarded-For: 10.6.3.{other}\r\n\r\n");
        scene.request(HERE, "198.18.5.1:80", &head);
    }
    assert_eq!(scene.reason().as_deref(), Some("forward_proxy"));
}

/// What `why` says of machines behind one address, with these settings.
fn why_of(machines: usize, settings: &str, arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let (capture, db) = (folder.path().join("made.pcap"), folder.path().join("usage.db"));
    let mut scene = Scene::new();
    (0..machines).for_each(|number| scene.work(machine(System::Linux, number as _, 1), 0..2));
    scene.traffic.sort();
    scene.traffic.write(&capture).unwrap();
    support::read(["--db".as_ref(), db.as_os_str(), capture.as_os_str()]).expect(0);
    let file = folder.path().join("evidence.toml");
    std::fs::write(&file, settings).unwrap();
    let mut command = support::program();
    command.args(["why", "--app", "slack", "--db"]).arg(&db).args(arguments);
    command.arg("--signatures").arg(support::signatures()).arg("--evidence").arg(file);
    support::Ended::from(command.output().unwrap()).expect(0).stdout
}

#[test]
fn what_an_address_lacks_of_a_crowd_can_be_asked_for() {
    let text = why_of(4, "", &["--user", HERE]);
    assert!(
        text.contains("A person by [shared_sources]; what it has of signs of others"),
        "{text}"
    );
    let clocks = "4 TCP clocks towards one server within an hour (nat_clocks = 8)";
    assert!(text.contains(clocks), "{text}");
    assert!(text.contains("together 42 of 100 per cent of a crowd (nat_clocks)"), "{text}");
    assert!(!text.contains("Credited to nobody"), "{text}");
    // Nobody asked about the address.
    assert!(!why_of(4, "", &[]).contains("A person by"), "{text}");
    let known =
        format!("[shared_sources]\nknown = [{{ network = \"{HERE}\", is = \"person\" }}]\n");
    let text = why_of(9, &known, &["--user", HERE]);
    assert!(text.contains("known says that it is a person"), "{text}");
}

#[test]
fn whom_the_operator_calls_a_server_need_not_have_done_anything_for_it() {
    let known =
        format!("[shared_sources]\nknown = [{{ network = \"{HERE}\", is = \"server\" }}]\n");
    let text = why_of(1, &known, &["--user", HERE]);
    assert!(text.contains("Credited to nobody: a server, "), "{text}");
    assert!(text.contains("  [shared_sources]: known says so\n"), "{text}");
}

#[test]
fn what_a_crowd_is_told_by_can_be_asked_for() {
    let text = why_of(9, "", &[]);
    assert!(text.contains("9 TCP clocks towards one server within an hour"), "{text}");
    assert!(text.contains("[shared_sources]: nat_clocks = 8\n"), "{text}");
}
