//! What the connections that an address opens tell of how many machines are behind it: whether it
//! passes on what others send, and how many at once choose source ports.
//!
//! **Passing on.** A packet leaves its sender with a round time to live, and each router takes one
//! away. So whoever is at home on the link that is captured, and has less, has not sent it but passed
//! it on, with its own address in place of the sender's. An address is at home on the link where ARP
//! (RFC 826) or Neighbor Discovery (RFC 4861) shows it with the link address that its packets come
//! from. A link address that ARP shows several addresses of is a proxy's (RFC 1027), who writes no
//! address on anything. Where ARP shows neither the address nor its link address, it is at home if
//! nothing else comes from there, and addresses of the same network come from their own. Where most of
//! a network seems to pass on, it is the way to the capture that takes away.
//!
//! **Ports.** Linux gives each connection to a server the next free even port above the one before,
//! with some random step of at most 16, from where a hash of both addresses and a secret begins; the
//! secret changes every ten seconds (RFC 6056, 3.3.4; `net/ipv4/inet_hashtables.c` and
//! `net/core/secure_seq.c`). Older kernels go on from the port of the last connection to anybody. So
//! what a machine opens to one server within ten seconds is a run of ports, or two where the secret
//! changes between. Several machines behind an address are several runs, where their gateway leaves
//! ports as they are, as most do where they can: of so many runs, half as many machines at least.
//! Gateways that draw ports draw odd ones, too: then there are no runs.
//! What is told is told of an hour that is over.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::RandomState;

use crate::evidence::source::Trait;
use crate::footprint;
use crate::net::{Address, Mac};
use crate::time::{Hour, Timestamp};
use crate::worker::seen::Opening;

/// The order of the options of Linux' SYNs, see [`crate::dissect::syn`].
const LINUX_ORDER: u16 = 0x2483;
/// How long the secret lasts that ports begin with.
const RUN_NANOS: i64 = 10_000_000_000;
/// How far the next port of a run is at most: room for some hundred connections of an older kernel to
/// others in between.
const RUN_STEP_MAX: u16 = 1024;
/// Ports below are no program's that connects as usual.
const PORT_MIN: u16 = 1024;
/// Of so many ports one may be odd: those that a gateway had to change, since two machines had chosen
/// the same.
const EVEN_FOR_ODD: u32 = 8;
/// Runs within ten seconds that one machine may have: they are not told.
const RUNS_OF_ONE: u32 = 2;
/// Addresses that seem to pass on, of one network, from which on it may be the way that takes away.
const WAY_MIN: usize = 3;
/// Addresses and hours with connections, those with an owner, and servers with runs: kept of each.
/// What a table of 2^17 places takes.
const KEPT_MAX: usize = 7 << 14;
/// Runs of all.
const RUNS_MAX: usize = 7 << 15;
/// Memory of as many, and of what is made of them once an hour is over.
pub(super) const BYTES_MAX: usize =
    footprint::map(KEPT_MAX, size_of::<((Hour, Address), Client)>())
        + footprint::map(KEPT_MAX, size_of::<((Hour, Address), Link)>())
        + footprint::map(KEPT_MAX, size_of::<((Address, Address, u16), Vec<Run>)>())
        + RUNS_MAX * footprint::heap(size_of::<Run>())
        + footprint::tree(KEPT_MAX, size_of::<(Address, Client)>())
        + footprint::tree(KEPT_MAX, size_of::<(Address, Link)>())
        + footprint::tree(KEPT_MAX, size_of::<(Mac, Station)>())
        + 3 * KEPT_MAX * size_of::<ToldOpenings>();
/// How long after its end an hour is told of.
const WAIT_SECONDS: i64 = 60;

/// Openings of hours that are not over yet.
#[derive(Default)]
pub struct Openings {
    clients: HashMap<(Hour, Address), Client, RandomState>,
    /// By client, server and its port.
    runs: HashMap<(Address, Address, u16), Vec<Run>, RandomState>,
    owners: HashMap<(Hour, Address), Link, RandomState>,
    /// Runs in `runs`.
    runs_kept: usize,
    dropped: u64,
}

/// What an address opened in an hour.
#[derive(Default)]
struct Client {
    link: Link,
    /// Connections with a round time to live.
    own: u32,
    /// Connections with less.
    passed_on: u32,
    even: u32,
    odd: u32,
    /// The most runs towards one server within ten seconds.
    runs: u32,
}

/// Which link addresses belong to an address.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Link {
    #[default]
    None,
    One(Mac),
    /// The first two of several.
    Several(Mac, Mac),
}

impl Link {
    fn add(&mut self, link: Mac) {
        *self = match *self {
            Link::None => Link::One(link),
            Link::One(one) if one != link => Link::Several(one, link),
            known => known,
        };
    }

    fn of(self) -> impl Iterator<Item = Mac> {
        let (one, other) = match self {
            Link::None => (None, None),
            Link::One(one) => (Some(one), None),
            Link::Several(one, other) => (Some(one), Some(other)),
        };
        one.into_iter().chain(other)
    }
}

/// Ports of a machine towards a server.
struct Run {
    latest: Timestamp,
    port: u16,
}

/// What the openings of an address in an hour tell: values of a trait, from 1 to a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToldOpenings {
    /// Whose.
    pub address: Address,
    /// When.
    pub hour: Hour,
    /// Which trait.
    pub what: Trait,
    /// How many values.
    pub number: u64,
}

impl Openings {
    /// Takes a connection that a client opens; those of a client in the order of time.
    pub fn see(&mut self, opening: &Opening) {
        let key = (opening.hour, opening.client.address);
        if self.clients.len() >= KEPT_MAX && !self.clients.contains_key(&key) {
            self.dropped += 1;
            return;
        }
        let client = self.clients.entry(key).or_default();
        if let Some((link, hops)) = opening.link {
            client.link.add(link);
            match hops {
                0 => client.own += 1,
                _ => client.passed_on += 1,
            }
        }
        if opening.order != LINUX_ORDER || opening.client.port < PORT_MIN {
            return;
        }
        match opening.client.port % 2 {
            0 => client.even += 1,
            _ => client.odd += 1,
        }
        let key = (opening.client.address, opening.server.address, opening.server.port);
        if self.runs.len() >= KEPT_MAX && !self.runs.contains_key(&key) {
            self.dropped += 1;
            return;
        }
        let runs = self.runs.entry(key).or_default();
        let (time, port) = (opening.time, opening.client.port);
        let before = runs.len();
        runs.retain(|run| run.latest > time.offset(-RUN_NANOS));
        let goes_on =
            |run: &&mut Run| (run.port..=run.port.saturating_add(RUN_STEP_MAX)).contains(&port);
        if let Some(run) = runs.iter_mut().filter(goes_on).max_by_key(|run| run.port) {
            *run = Run { latest: time, port };
        } else if self.runs_kept - before + runs.len() >= RUNS_MAX {
            self.dropped += 1;
        } else if runs.len() < Trait::VALUES_MAX {
            runs.reserve_exact(1);
            runs.push(Run { latest: time, port });
        }
        self.runs_kept = self.runs_kept - before + runs.len();
        client.runs = client.runs.max(runs.len() as u32);
    }

    /// Takes what ARP or Neighbor Discovery shows: an address, and the link address that has it.
    pub fn owns(&mut self, address: Address, link: Mac, hour: Hour) {
        let key = (hour, address);
        if self.owners.len() >= KEPT_MAX && !self.owners.contains_key(&key) {
            self.dropped += 1;
            return;
        }
        self.owners.entry(key).or_default().add(link);
    }

    /// What is told of hours that are over at `horizon`, or of all without one.
    pub fn settle(&mut self, horizon: Option<Timestamp>) -> Vec<ToldOpenings> {
        let is_over = |hour: Hour| {
            let end = hour.start_seconds() + 3600 + WAIT_SECONDS;
            horizon.is_none_or(|horizon| horizon.seconds() >= end)
        };
        let mut hours: BTreeMap<Hour, OverHour> = BTreeMap::new();
        for ((hour, address), client) in self.clients.extract_if(|(hour, _), _| is_over(*hour)) {
            hours.entry(hour).or_default().clients.insert(address, client);
        }
        for ((hour, address), link) in self.owners.extract_if(|(hour, _), _| is_over(*hour)) {
            if let Some(hour) = hours.get_mut(&hour) {
                hour.owners.insert(address, link);
            }
        }
        let since =
            horizon.map(|horizon| horizon.offset(-(RUN_NANOS + WAIT_SECONDS * 1_000_000_000)));
        self.runs.retain(|_, runs| {
            since.is_some_and(|since| runs.iter().any(|run| run.latest >= since))
        });
        self.runs_kept = self.runs.values().map(Vec::len).sum();
        hours.into_iter().flat_map(|(hour, over)| over.told(hour)).collect()
    }

    /// What there was no room for since the last time this was asked.
    pub fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }
}

/// An hour that is over.
#[derive(Default)]
struct OverHour {
    clients: BTreeMap<Address, Client>,
    owners: BTreeMap<Address, Link>,
}

/// What is seen of a link address.
#[derive(Default)]
struct Station {
    /// IPv4 addresses whose packets come from it.
    senders: usize,
    /// IPv4 addresses that ARP shows with it.
    owned: usize,
}

impl Station {
    const NOTHING: Station = Station { senders: 0, owned: 0 };
}

/// What is seen of a network: 24 bits of an IPv4 address, 64 of an IPv6 address.
#[derive(Default)]
struct Network {
    /// Addresses at home there that pass on.
    pass_on: usize,
    /// Those that send themselves.
    send: usize,
}

impl OverHour {
    fn told(self, hour: Hour) -> Vec<ToldOpenings> {
        let stations = self.stations();
        let mut networks: BTreeMap<[u8; 15], Network> = BTreeMap::new();
        for (&address, client) in &self.clients {
            let network = networks.entry(network(address)).or_default();
            match self.home(address, client, &stations) {
                Home::None => {}
                _ if client.passed_on > client.own => network.pass_on += 1,
                _ => network.send += 1,
            }
        }
        let mut told = Vec::new();
        for (&address, client) in &self.clients {
            let mut tell = |what, number: u32| {
                if number > 0 {
                    told.push(ToldOpenings { address, hour, what, number: number.into() });
                }
            };
            let passes_on = client.passed_on > 0
                && networks.get(&network(address)).is_some_and(|network| {
                    let is_way = network.pass_on >= WAY_MIN && network.pass_on > network.send;
                    match self.home(address, client, &stations) {
                        Home::Shown => !is_way,
                        Home::Alone => !is_way && network.send > 0,
                        Home::None => false,
                    }
                });
            if passes_on {
                tell(Trait::PassesOn, doublings(client.passed_on));
                tell(Trait::OpensItself, doublings(client.own));
            }
            if client.odd <= client.even / EVEN_FOR_ODD && client.runs > RUNS_OF_ONE {
                tell(Trait::PortRun, client.runs);
            }
        }
        told
    }

    fn stations(&self) -> BTreeMap<Mac, Station> {
        let mut stations: BTreeMap<Mac, Station> = BTreeMap::new();
        for (_, client) in self.clients.iter().filter(|(address, _)| address.is_v4()) {
            for link in client.link.of() {
                stations.entry(link).or_default().senders += 1;
            }
        }
        for (_, link) in self.owners.iter().filter(|(address, _)| address.is_v4()) {
            for link in link.of() {
                stations.entry(link).or_default().owned += 1;
            }
        }
        stations
    }

    /// How it is known that an address is at home on the link.
    fn home(&self, address: Address, client: &Client, stations: &BTreeMap<Mac, Station>) -> Home {
        let Link::One(link) = client.link else { return Home::None };
        let &Station { senders, owned } = stations.get(&link).unwrap_or(&Station::NOTHING);
        match self.owners.get(&address) {
            Some(Link::One(owner)) if *owner == link && owned <= 1 => Home::Shown,
            Some(_) => Home::None,
            // A machine has several IPv6 addresses, so that one alone says nothing.
            None if address.is_v4() && owned == 0 && senders == 1 => Home::Alone,
            None => Home::None,
        }
    }
}

/// How it is known that an address is at home on the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Home {
    /// It is not.
    None,
    /// ARP or Neighbor Discovery shows it.
    Shown,
    /// Nothing else comes from its link address.
    Alone,
}

fn network(address: Address) -> [u8; 15] {
    let mut network = [0; 15];
    let known = if address.is_v4() { 15 } else { 8 };
    network[..known].copy_from_slice(&address.0[..known]);
    network
}

/// How often 1 has to be doubled for a number, and once more; 0 for 0.
fn doublings(number: u32) -> u32 {
    u32::BITS - number.leading_zeros()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Endpoint;

    const HOUR: Hour = Hour(500_040);
    const SERVER: Endpoint = Endpoint { address: Address::v4([198, 18, 0, 1]), port: 443 };

    fn address(number: u8) -> Address {
        Address::v4([10, 0, 0, number])
    }

    fn link(number: u8) -> Mac {
        Mac([2, 0, 0, 0, 0, number])
    }

    /// A connection at a millisecond of the hour.
    fn opening(client: u8, at: i64, port: u16) -> Opening {
        let time = Timestamp::from_parts(HOUR.start_seconds(), 0).offset(at * 1_000_000);
        let client = Endpoint { address: address(client), port };
        let (server, order) = (SERVER, LINUX_ORDER);
        Opening { time, hour: HOUR, client, server, order, ticks: None, link: None }
    }

    /// Runs that are told of ports, one every so many milliseconds.
    fn runs(ports: &[u16], apart: i64) -> Option<u64> {
        let mut openings = Openings::default();
        for (&port, at) in ports.iter().zip(0..) {
            openings.see(&opening(1, at * apart, port));
        }
        let told = openings.settle(None);
        assert!(openings.clients.is_empty() && openings.runs.is_empty());
        told.first().map(|told| told.number)
    }

    #[test]
    fn a_machine_has_one_run_or_two() {
        // Of 6.18, one after the other; the secret changes in between.
        let ports = [55_308, 55_318, 55_332, 55_496, 53_508, 53_514, 53_524, 55_000, 55_010];
        assert_eq!(runs(&ports[..6], 20), None);
        assert_eq!(runs(&ports, 20), Some(3));
        assert_eq!(runs(&ports, 5000), None, "no three within ten seconds");
        // Of an old kernel, which goes on from its last connection to anybody.
        let ports: Vec<u16> = (0..200).map(|n| 33_000 + 120 * n).collect();
        assert_eq!(runs(&ports, 3000), None);
    }

    #[test]
    fn each_machine_has_a_run_and_drawn_ports_are_none() {
        let machines: Vec<u16> = (0..10).map(|n| 60_000 - 2400 * n).collect();
        assert_eq!(runs(&machines, 300), Some(10));
        let twice: Vec<u16> = machines.iter().flat_map(|port| [*port, port + 14]).collect();
        assert_eq!(runs(&twice, 300), Some(10));
        let drawn: Vec<u16> = machines.iter().zip(0..).map(|(port, n)| port + n % 2).collect();
        assert_eq!(runs(&drawn, 300), None);
        // One in nine had to be changed.
        let changed: Vec<u16> = machines.iter().zip(0..).map(|(port, n)| port + n / 9).collect();
        assert_eq!(runs(&changed, 300), Some(10));
        // Other systems' say nothing.
        let mut openings = Openings::default();
        for (&port, at) in machines.iter().zip(0..) {
            openings.see(&Opening { order: 0x2384, ..opening(1, at, port) });
        }
        assert_eq!(openings.settle(None), []);
    }

    /// Machines that open a connection each, or two, within ten seconds: of a thousand drawn networks,
    /// how many have at least as many runs.
    #[test]
    fn of_thirty_machines_most_runs_are_seen() {
        let mut state = 9_u64;
        let mut drawn = |end: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % end
        };
        let mut with_at_least = |machines: usize, connections: u64, least: u64| {
            let network = |_: &u32| {
                let starts: Vec<u64> = (0..machines).map(|_| 32_768 + 2 * drawn(14_000)).collect();
                let ports: Vec<u16> = (0..connections)
                    .flat_map(|round| starts.iter().map(move |start| start + 10 * round))
                    .map(|port| port as u16)
                    .collect();
                runs(&ports, 100) >= Some(least)
            };
            (0..1000).filter(network).count()
        };
        let found = [(30, 1, 16), (30, 2, 16), (20, 2, 16), (15, 1, 7), (10, 1, 7), (8, 2, 7)];
        let found =
            found.map(|(machines, connections, least)| with_at_least(machines, connections, least));
        assert_eq!(found, [998, 1000, 986, 1000, 973, 997]);
    }

    /// What is told of addresses with the link address that their frames are from, how many
    /// connections they open with a round time to live, and with less; and of what ARP shows.
    fn told(clients: &[(u8, u8, u32, u32)], owners: &[(u8, u8)]) -> Vec<(u8, Trait, u64)> {
        let mut openings = Openings::default();
        for &(client, mac, own, passed_on) in clients {
            for (hops, count) in [(0, own), (1, passed_on)] {
                for _ in 0..count {
                    let link = Some((link(mac), hops));
                    openings.see(&Opening { link, order: 0, ..opening(client, 0, 40_000) });
                }
            }
        }
        for &(client, mac) in owners {
            openings.owns(address(client), link(mac), HOUR);
        }
        let told = openings.settle(None).into_iter();
        told.map(|told| (told.address.0[15], told.what, told.number)).collect()
    }

    #[test]
    fn whoever_is_shown_on_the_link_and_has_less_passes_on() {
        let (passes_on, own) = (Trait::PassesOn, Trait::OpensItself);
        assert_eq!(told(&[(1, 1, 0, 9)], &[(1, 1)]), [(1, passes_on, 4)]);
        assert_eq!(told(&[(1, 1, 1, 8)], &[(1, 1)]), [(1, passes_on, 4), (1, own, 1)]);
        // Nothing is known; another has it; a proxy shows others, too; two link addresses.
        assert_eq!(told(&[(1, 1, 0, 9)], &[]), []);
        assert_eq!(told(&[(1, 1, 0, 9)], &[(1, 2)]), []);
        assert_eq!(told(&[(1, 1, 0, 9)], &[(1, 1), (2, 1)]), []);
        assert_eq!(told(&[(1, 1, 0, 9)], &[(1, 1), (1, 2)]), []);
        assert_eq!(told(&[(1, 1, 0, 9), (1, 2, 0, 9)], &[(1, 1)]), []);
        // It routes for another as well.
        assert_eq!(told(&[(1, 1, 0, 9), (2, 1, 0, 9)], &[(1, 1)]), [(1, passes_on, 4)]);
    }

    #[test]
    fn without_arp_whoever_is_alone_at_its_link_address_beside_others_passes_on() {
        let passes_on = Trait::PassesOn;
        assert_eq!(told(&[(1, 1, 0, 9), (2, 2, 9, 0)], &[]), [(1, passes_on, 4)]);
        // Behind a router: several, or one whose router ARP shows, or nobody beside it.
        assert_eq!(told(&[(1, 1, 0, 9), (3, 1, 0, 9), (2, 2, 9, 0)], &[]), []);
        assert_eq!(told(&[(1, 1, 0, 9), (2, 2, 9, 0)], &[(254, 1)]), []);
        assert_eq!(told(&[(1, 1, 0, 9)], &[]), []);
        // The way takes away.
        let all: Vec<_> = (1..6).map(|n| (n, n, 0, 9)).collect();
        let shown: Vec<_> = (1..6).map(|n| (n, n)).collect();
        assert_eq!(told(&all, &shown), []);
    }

    #[test]
    fn an_ipv6_address_is_at_home_where_it_is_shown() {
        let client = Endpoint { address: Address::v6([0xfd; 16]), port: 40_000 };
        let mut openings = Openings::default();
        let link = link(1);
        let opening = Opening { client, link: Some((link, 1)), ..opening(1, 0, 0) };
        openings.see(&opening);
        assert_eq!(openings.settle(None), []);
        openings.see(&opening);
        openings.owns(client.address, link, HOUR);
        assert_eq!(openings.settle(None)[0].what, Trait::PassesOn);
    }

    #[test]
    fn an_hour_is_told_once_it_is_over() {
        let mut openings = Openings::default();
        openings.see(&Opening { link: Some((link(1), 1)), ..opening(1, 0, 40_000) });
        openings.owns(address(1), link(1), HOUR);
        let end = HOUR.start_seconds() + 3600;
        assert_eq!(openings.settle(Some(Timestamp::from_parts(end + 59, 0))), []);
        assert!(openings.runs.is_empty());
        assert_eq!(openings.settle(Some(Timestamp::from_parts(end + 60, 0))).len(), 1);
        assert!(openings.clients.is_empty() && openings.owners.is_empty());
    }
}
