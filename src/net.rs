//! Addresses, endpoints and networks as plain values.
//!
//! IPv4 addresses are kept in their IPv4-mapped form (RFC 4291, 2.5.5.2), so that one 16-byte key
//! serves both families. A real IPv6 packet between mapped addresses would fold into IPv4; such
//! packets are not sent on a network (RFC 4038, 4.2).

use std::cmp::Ordering;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::IpNet;

const MAPPED_PREFIX: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

/// An IP address, 16 bytes in network order, IPv4 in its mapped form.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(transparent)]
pub struct Address(pub [u8; 16]);

impl Ord for Address {
    /// As their bytes; but two numbers are compared faster than two pieces of memory.
    #[inline]
    fn cmp(&self, other: &Address) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl PartialOrd for Address {
    #[inline]
    fn partial_cmp(&self, other: &Address) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Address {
    /// From the four bytes of an IPv4 address.
    #[inline]
    pub const fn v4(bytes: [u8; 4]) -> Address {
        // As one number: put together of bytes in memory, it could not be read again at once.
        let low = (u32::from_le_bytes(bytes) as u64) << 32 | 0xffff << 16;
        Address(((low as u128) << 64).to_le_bytes())
    }

    /// From the sixteen bytes of an IPv6 address.
    #[inline]
    pub const fn v6(bytes: [u8; 16]) -> Address {
        Address(bytes)
    }

    /// As one number, for comparisons: its order is not that of addresses.
    #[inline]
    pub const fn bits(self) -> u128 {
        u128::from_ne_bytes(self.0)
    }

    /// Its place among all addresses.
    #[inline]
    const fn rank(self) -> u128 {
        u128::from_be_bytes(self.0)
    }

    /// The standard library's form of this address.
    pub fn to_ip(self) -> IpAddr {
        match self.0 {
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d] => {
                IpAddr::V4(Ipv4Addr::new(a, b, c, d))
            }
            bytes => IpAddr::V6(Ipv6Addr::from(bytes)),
        }
    }

    /// Whether this is an IPv4 address.
    pub fn is_v4(self) -> bool {
        self.0.starts_with(&MAPPED_PREFIX)
    }

    /// Whether packets to this address have many receivers: multicast (RFC 5771, RFC 4291) or
    /// the limited broadcast.
    pub fn is_multicast(self) -> bool {
        match self.to_ip() {
            IpAddr::V4(v4) => v4.is_multicast() || v4.is_broadcast(),
            IpAddr::V6(v6) => v6.is_multicast(),
        }
    }
}

impl From<IpAddr> for Address {
    fn from(ip: IpAddr) -> Address {
        match ip {
            IpAddr::V4(v4) => Address::v4(v4.octets()),
            IpAddr::V6(v6) => Address::v6(v6.octets()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_ip().fmt(f)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An address and a port: one side of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Endpoint {
    /// The IP address.
    pub address: Address,
    /// The TCP or UDP port; 0 where the protocol has none.
    pub port: u16,
}

/// A link-layer (MAC) address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Mac(pub [u8; 6]);

/// IP protocol numbers (IANA "Assigned Internet Protocol Numbers") that the sensor tells apart.
pub mod protocol {
    /// IPv6 hop-by-hop options (RFC 8200, 4.3).
    pub const HOP_BY_HOP: u8 = 0;
    /// Internet Control Message Protocol (RFC 792).
    pub const ICMP: u8 = 1;
    /// Internet Group Management Protocol (RFC 3376).
    pub const IGMP: u8 = 2;
    /// IPv4 in IP (RFC 2003).
    pub const IPIP: u8 = 4;
    /// Transmission Control Protocol (RFC 9293).
    pub const TCP: u8 = 6;
    /// User Datagram Protocol (RFC 768).
    pub const UDP: u8 = 17;
    /// IPv6 in IP (RFC 4213).
    pub const IPV6: u8 = 41;
    /// Generic Routing Encapsulation (RFC 2784).
    pub const GRE: u8 = 47;
    /// Encapsulating Security Payload (RFC 4303).
    pub const ESP: u8 = 50;
    /// Authentication Header (RFC 4302).
    pub const AH: u8 = 51;
    /// ICMP for IPv6 (RFC 4443).
    pub const ICMPV6: u8 = 58;
    /// IP Payload Compression (RFC 3173).
    pub const IPCOMP: u8 = 108;
    /// Layer Two Tunneling Protocol version 3 (RFC 3931, 4.1.1).
    pub const L2TP: u8 = 115;
    /// Stream Control Transmission Protocol (RFC 9260).
    pub const SCTP: u8 = 132;
    /// MPLS in IP (RFC 4023).
    pub const MPLS: u8 = 137;
}

/// A set of networks, for instance the home networks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkSet {
    /// (first address, last address) of what the networks cover, both included, as numbers in
    /// network order; sorted, and none overlaps another.
    ranges: Vec<(u128, u128)>,
}

impl NetworkSet {
    /// The networks in which users are looked for unless the operator says otherwise: RFC 1918,
    /// RFC 4193 and link-local addresses of both families.
    pub fn default_home() -> NetworkSet {
        let text = [
            "10.0.0.0/8",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "169.254.0.0/16",
            "fc00::/7",
            "fe80::/10",
        ];
        NetworkSet::new(text.iter().filter_map(|net| IpNet::from_str(net).ok()))
    }

    /// From networks in prefix notation.
    pub fn new(networks: impl IntoIterator<Item = IpNet>) -> NetworkSet {
        let mut ranges: Vec<_> = networks
            .into_iter()
            .map(|net| (Address::from(net.network()).rank(), Address::from(net.broadcast()).rank()))
            .collect();
        ranges.sort_unstable();
        ranges.dedup_by(|next, before| {
            let overlaps = next.0 <= before.1;
            if overlaps {
                before.1 = before.1.max(next.1);
            }
            overlaps
        });
        NetworkSet { ranges }
    }

    /// Whether `address` lies in one of the networks.
    pub fn contains(&self, address: Address) -> bool {
        let address = address.rank();
        let behind = self.ranges.partition_point(|&(first, _)| first <= address);
        behind > 0 && address <= self.ranges[behind - 1].1
    }

    /// Whether the set holds no network.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::from(text.parse::<IpAddr>().unwrap())
    }

    #[test]
    fn both_families_print_as_usual() {
        assert_eq!(address("192.0.2.7").to_string(), "192.0.2.7");
        assert_eq!(address("2001:db8::1").to_string(), "2001:db8::1");
    }

    #[test]
    fn home_networks_end_where_they_end() {
        let home = NetworkSet::default_home();
        for inside in ["10.0.0.0", "10.255.255.255", "172.31.255.255", "fd10::1", "fe80::1"] {
            assert!(home.contains(address(inside)), "{inside}");
        }
        for outside in ["11.0.0.0", "172.32.0.0", "192.169.0.1", "2001:db8::1", "::1"] {
            assert!(!home.contains(address(outside)), "{outside}");
        }
    }

    #[test]
    fn networks_may_lie_in_one_another() {
        let nets = ["10.0.0.0/8", "10.1.0.0/16", "10.200.0.0/16", "192.0.2.0/24", "10.0.0.0/8"];
        let nested = NetworkSet::new(nets.iter().map(|net| net.parse().unwrap()));
        for inside in ["10.0.0.0", "10.1.255.255", "10.2.0.0", "10.255.255.255", "192.0.2.255"] {
            assert!(nested.contains(address(inside)), "{inside}");
        }
        for outside in ["9.255.255.255", "11.0.0.0", "192.0.1.255", "192.0.3.0", "::"] {
            assert!(!nested.contains(address(outside)), "{outside}");
        }
        assert!(!NetworkSet::default().contains(address("10.0.0.1")));
    }

    #[test]
    fn a_wide_ipv6_network_does_not_swallow_ipv4() {
        let all_v6 = NetworkSet::new(["2000::/3".parse().unwrap()]);
        assert!(!all_v6.contains(address("10.0.0.1")));
    }
}
