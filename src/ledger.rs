//! The books' headings: the closed list of buckets, of which every byte on the wire is in exactly
//! one.
//!
//! Says what the buckets are called and in which order they are asked; which bucket a byte goes to
//! is decided where a packet or flow ends up. None of them is ever computed as a difference.

use serde::{Deserialize, Serialize};

/// Where bytes end up. The first that fits, in this order, takes them; only a tunnel that said what it
/// is comes before [`Bucket::Private`] and [`Bucket::Inbound`]: the books say where the sensor is blind,
/// and inside a tunnel it is, wherever its ends are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Bucket {
    /// Frames that cannot be decoded, and fragments whose first never came.
    Undecodable = 0,
    /// Frames that carry something else than IP.
    NonIp = 1,
    /// What outer headers of tunnels add to the packets inside them.
    Encapsulation = 2,
    /// Copies that the SPAN port made of packets it had already shown.
    Duplicate = 3,
    /// DNS in the clear, DHCP, NTP, ICMP, mDNS, multicast.
    NetworkService = 4,
    /// Both ends in home networks.
    Private = 5,
    /// The client is outside the home networks.
    Inbound = 6,
    /// VPN, relay, Tor or SSH tunnel: by protocol, wherever its ends are, or by catalogue.
    Tunnel = 7,
    /// DNS over TLS, HTTPS or QUIC.
    EncryptedDns = 8,
    /// The name is hidden by Encrypted Client Hello (RFC 9849).
    EchHidden = 9,
    /// An app of the catalogue.
    App = 10,
    /// Shared infrastructure that the catalogue knows.
    Infrastructure = 11,
    /// DNS offers several names, of different apps.
    Ambiguous = 12,
    /// A name that the catalogue does not know.
    Unmatched = 13,
    /// TCP or UDP without any name.
    NoName = 14,
    /// IP that is neither TCP nor UDP.
    OtherIp = 15,
}

impl Bucket {
    /// Every bucket, in the order of reports.
    pub const ALL: [Bucket; 16] = [
        Bucket::Undecodable,
        Bucket::NonIp,
        Bucket::Encapsulation,
        Bucket::Duplicate,
        Bucket::NetworkService,
        Bucket::Private,
        Bucket::Inbound,
        Bucket::Tunnel,
        Bucket::EncryptedDns,
        Bucket::EchHidden,
        Bucket::App,
        Bucket::Infrastructure,
        Bucket::Ambiguous,
        Bucket::Unmatched,
        Bucket::NoName,
        Bucket::OtherIp,
    ];

    /// The word used in every output.
    pub fn name(self) -> &'static str {
        match self {
            Bucket::Undecodable => "undecodable",
            Bucket::NonIp => "non_ip",
            Bucket::Encapsulation => "encapsulation",
            Bucket::Duplicate => "duplicate",
            Bucket::NetworkService => "network_service",
            Bucket::Private => "private",
            Bucket::Inbound => "inbound",
            Bucket::Tunnel => "tunnel",
            Bucket::EncryptedDns => "encrypted_dns",
            Bucket::EchHidden => "ech_hidden",
            Bucket::App => "app",
            Bucket::Infrastructure => "infrastructure",
            Bucket::Ambiguous => "ambiguous",
            Bucket::Unmatched => "unmatched",
            Bucket::NoName => "no_name",
            Bucket::OtherIp => "other_ip",
        }
    }

    /// The bucket with this number, as stored in the database.
    pub fn from_number(number: u8) -> Option<Bucket> {
        Bucket::ALL.get(usize::from(number)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_order_are_the_same_thing() {
        for (index, bucket) in Bucket::ALL.into_iter().enumerate() {
            assert_eq!(bucket as usize, index);
            assert_eq!(Bucket::from_number(index as u8), Some(bucket));
        }
        assert_eq!(Bucket::from_number(16), None);
    }

    #[test]
    fn no_two_buckets_share_a_name() {
        let names: std::collections::BTreeSet<_> = Bucket::ALL.iter().map(|b| b.name()).collect();
        assert_eq!(names.len(), Bucket::ALL.len());
    }
}
