//! `[[net]]` rules: from a server's address to an app, for flows that have no name.
//!
//! The longest prefix wins; of rules for the same network, one that names the port beats one that
//! does not. Asked only after names gave nothing.

use std::str::FromStr;

use ipnet::IpNet;

use super::index::RuleNumber;
use crate::net::{Address, NetworkSet, protocol};

/// Transport protocol and ports, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PortRange {
    protocol: u8,
    first: u16,
    last: u16,
}

impl PortRange {
    /// Reads `tcp/443` or `udp/3478-3481`.
    pub(crate) fn parse(text: &str) -> Option<PortRange> {
        let (transport, ports) = text.split_once('/')?;
        let protocol = match transport {
            "tcp" => protocol::TCP,
            "udp" => protocol::UDP,
            _ => return None,
        };
        let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
        let (first, last) = (first.parse().ok()?, last.parse().ok()?);
        (first <= last).then_some(PortRange { protocol, first, last })
    }

    fn holds(self, port: u16, protocol: u8) -> bool {
        self.protocol == protocol && self.first <= port && port <= self.last
    }
}

/// The address rules of a catalogue.
#[derive(Debug, Default)]
pub(crate) struct AddressIndex {
    /// By length of the prefix (in bits of the mapped form), longest first.
    prefixes: Vec<(u8, Vec<AddressRule>)>,
    /// By number of the autonomous system, sorted.
    systems: Vec<(u32, Box<[PortRange]>, RuleNumber)>,
    /// Rules for servers on the local network.
    local: Vec<(Box<[PortRange]>, RuleNumber)>,
    /// What is a local network; empty without such rules.
    local_networks: NetworkSet,
    /// Where there may be networks at all: most servers are in none.
    blocks: Blocks,
}

/// A bit for each beginning of 16 bits, of IPv4 addresses and behind those of IPv6 addresses, below
/// which there is a network with a rule; empty without networks.
#[derive(Debug, Default)]
struct Blocks(Vec<u64>);

impl Blocks {
    const COUNT: usize = 1 << 16;

    fn place(address: Address) -> usize {
        match (address.is_v4(), address.0) {
            (true, [.., a, b, _, _]) => usize::from(u16::from_be_bytes([a, b])),
            (false, [a, b, ..]) => Blocks::COUNT + usize::from(u16::from_be_bytes([a, b])),
        }
    }

    /// Adds a network by its prefix length and first address in the mapped form.
    fn add(&mut self, bits: u8, network: Address) {
        self.0.resize(2 * Blocks::COUNT / 64, 0);
        let hosts = u128::MAX.checked_shr(u32::from(bits)).unwrap_or(0);
        let last = Address((u128::from_be_bytes(network.0) | hosts).to_be_bytes());
        for place in Blocks::place(network)..=Blocks::place(last) {
            self.0[place / 64] |= 1 << (place % 64);
        }
        // A network of IPv6 so wide that IPv4 in its mapped form is in it.
        if !network.is_v4() && masked(Address::v4([0; 4]), bits) == network {
            self.0[..Blocks::COUNT / 64].fill(u64::MAX);
        }
    }

    fn may_hold(&self, address: Address) -> bool {
        let place = Blocks::place(address);
        self.0.get(place / 64).is_some_and(|word| word >> (place % 64) & 1 == 1)
    }
}

#[derive(Debug)]
struct AddressRule {
    network: Address,
    ports: Box<[PortRange]>,
    rule: RuleNumber,
}

impl AddressIndex {
    pub(crate) fn add_network(
        &mut self,
        network: IpNet,
        ports: Box<[PortRange]>,
        rule: RuleNumber,
    ) {
        let (bits, network) = prefix_of(network);
        self.blocks.add(bits, network);
        let rules = match self.prefixes.binary_search_by(|(other, _)| bits.cmp(other)) {
            Ok(found) => &mut self.prefixes[found].1,
            Err(place) => {
                self.prefixes.insert(place, (bits, Vec::new()));
                &mut self.prefixes[place].1
            }
        };
        // Within a network: rules with ports first, then in the order in which they came.
        let key = |rule: &AddressRule| (rule.network, rule.ports.is_empty());
        let new = AddressRule { network, ports, rule };
        let place = rules.partition_point(|old| key(old) <= key(&new));
        rules.insert(place, new);
    }

    pub(crate) fn add_system(&mut self, number: u32, ports: Box<[PortRange]>, rule: RuleNumber) {
        let key = (number, ports.is_empty());
        let place = self.systems.partition_point(|(n, p, _)| (*n, p.is_empty()) <= key);
        self.systems.insert(place, (number, ports, rule));
    }

    pub(crate) fn add_local(&mut self, ports: Box<[PortRange]>, rule: RuleNumber) {
        self.local.push((ports, rule));
        self.local_networks = NetworkSet::default_home();
    }

    /// The rule that wins for a server's address.
    pub(crate) fn find(&self, address: Address, port: u16, protocol: u8) -> Option<RuleNumber> {
        let prefixes = if self.blocks.may_hold(address) { &self.prefixes[..] } else { &[] };
        for (bits, rules) in prefixes {
            let network = masked(address, *bits);
            let first = rules.partition_point(|rule| rule.network < network);
            let same = rules[first..].iter().take_while(|rule| rule.network == network);
            if let Some(found) = same.into_iter().find(|rule| fits(&rule.ports, port, protocol)) {
                return Some(found.rule);
            }
        }
        let is_local = address.is_multicast() || self.local_networks.contains(address);
        if !is_local {
            return None;
        }
        self.local.iter().find(|(ports, _)| fits(ports, port, protocol)).map(|(_, rule)| *rule)
    }

    /// The rule that wins for a server in an autonomous system.
    pub(crate) fn find_system(&self, number: u32, port: u16, protocol: u8) -> Option<RuleNumber> {
        let first = self.systems.partition_point(|(other, ..)| *other < number);
        let same = self.systems[first..].iter().take_while(|(other, ..)| *other == number);
        same.into_iter().find(|(_, ports, _)| fits(ports, port, protocol)).map(|(.., rule)| *rule)
    }
}

fn fits(ports: &[PortRange], port: u16, protocol: u8) -> bool {
    ports.is_empty() || ports.iter().any(|range| range.holds(port, protocol))
}

/// Prefix length and first address in the mapped form.
fn prefix_of(network: IpNet) -> (u8, Address) {
    let bits = match network {
        IpNet::V4(v4) => 96 + v4.prefix_len(),
        IpNet::V6(v6) => v6.prefix_len(),
    };
    (bits, masked(Address::from(network.network()), bits))
}

fn masked(address: Address, bits: u8) -> Address {
    let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
    Address((u128::from_be_bytes(address.0) & mask).to_be_bytes())
}

/// Reads a network; an address alone is one of full length.
pub(crate) fn parse_network(text: &str) -> Option<IpNet> {
    IpNet::from_str(text)
        .ok()
        .or_else(|| text.parse().ok().map(|address: std::net::IpAddr| address.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::from(text.parse::<std::net::IpAddr>().unwrap())
    }

    fn ports(text: &[&str]) -> Box<[PortRange]> {
        text.iter().map(|text| PortRange::parse(text).unwrap()).collect()
    }

    #[test]
    fn the_longest_prefix_then_the_port_wins() {
        let mut index = AddressIndex::default();
        index.add_network("203.0.113.0/24".parse().unwrap(), ports(&[]), 1);
        index.add_network("203.0.113.0/24".parse().unwrap(), ports(&["udp/3478-3481"]), 2);
        index.add_network("203.0.113.128/25".parse().unwrap(), ports(&["tcp/443"]), 3);
        index.add_network("2001:db8::/32".parse().unwrap(), ports(&[]), 4);
        let find = |text, port, protocol| index.find(address(text), port, protocol);
        assert_eq!(find("203.0.113.1", 443, protocol::TCP), Some(1));
        assert_eq!(find("203.0.113.1", 3480, protocol::UDP), Some(2));
        assert_eq!(find("203.0.113.1", 3480, protocol::TCP), Some(1));
        assert_eq!(find("203.0.113.200", 443, protocol::TCP), Some(3));
        assert_eq!(find("203.0.113.200", 80, protocol::TCP), Some(1));
        assert_eq!(find("2001:db8:1::1", 1, protocol::UDP), Some(4));
        assert_eq!(find("198.51.100.1", 443, protocol::TCP), None);
    }

    #[test]
    fn networks_of_any_width_hold_what_is_in_them() {
        let addresses = ["10.1.2.3", "10.255.0.1", "203.0.113.9", "2001:db8::1", "fe80::1", "::1"];
        for network in [
            "0.0.0.0/0",
            "8.0.0.0/5",
            "10.0.0.0/8",
            "10.1.0.0/16",
            "10.1.2.3/32",
            "203.0.113.0/24",
            "::/0",
            "::/64",
            "2000::/3",
            "2001:db8::/32",
            "fe80::/10",
            "::1/128",
        ] {
            let network: IpNet = network.parse().unwrap();
            let mut index = AddressIndex::default();
            index.add_network(network, ports(&[]), 7);
            let (bits, first) = prefix_of(network);
            for text in addresses {
                let expected = (masked(address(text), bits) == first).then_some(7);
                assert_eq!(
                    index.find(address(text), 1, protocol::TCP),
                    expected,
                    "{network} {text}"
                );
            }
        }
    }

    #[test]
    fn local_rules_hold_on_the_local_network_only() {
        let mut index = AddressIndex::default();
        index.add_local(ports(&["udp/17500"]), 1);
        assert_eq!(index.find(address("255.255.255.255"), 17500, protocol::UDP), Some(1));
        assert_eq!(index.find(address("192.168.1.255"), 17500, protocol::UDP), Some(1));
        assert_eq!(index.find(address("203.0.113.1"), 17500, protocol::UDP), None);
    }

    #[test]
    fn autonomous_systems_are_exact() {
        let mut index = AddressIndex::default();
        index.add_system(64500, ports(&[]), 1);
        index.add_system(64500, ports(&["tcp/443"]), 2);
        assert_eq!(index.find_system(64500, 443, protocol::TCP), Some(2));
        assert_eq!(index.find_system(64500, 80, protocol::TCP), Some(1));
        assert_eq!(index.find_system(64501, 443, protocol::TCP), None);
    }

    #[test]
    fn ports_read_as_written() {
        assert_eq!(PortRange::parse("udp/3478-3481").map(|range| range.last), Some(3481));
        for text in ["443", "sctp/1", "udp/9-1", "tcp/", "tcp/70000", "udp/1-2-3"] {
            assert_eq!(PortRange::parse(text), None, "{text}");
        }
    }
}
