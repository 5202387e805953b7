//! Ways around: traffic into which nobody can look, and DNS that nobody can read, each with what it
//! was known by. How much, and by how many devices, is told of each; never by whom.

use std::fmt;

use super::tunnels;
use crate::dissect::tunnel::TunnelProtocol;
use crate::flow::slot::{Cold, Hot};
use crate::ledger::Bucket;
use crate::net::protocol;

/// A way around.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Detour {
    /// A tunnel or remote access that said what it is.
    Protocol(TunnelProtocol),
    /// DNS over TLS (RFC 7858).
    DnsOverTls(DnsSign),
    /// DNS over QUIC (RFC 9250).
    DnsOverQuic(DnsSign),
    /// DNS over HTTPS (RFC 8484) with a resolver of the list.
    DnsOverHttps,
    /// A VPN or relay that the catalogue knows by name or address.
    Vpn,
    /// A service of tunnels that the catalogue knows likewise.
    Tunnelling,
    /// Remote access that the catalogue knows likewise: its bytes stay an app's.
    RemoteAccess,
}

/// What encrypted DNS was known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DnsSign {
    /// What the hello offers.
    Hello,
    /// A resolver of the catalogue's dated list, by its address.
    List,
}

/// Where the numbers of those begin that no tunnel's protocol has.
const BEYOND_PROTOCOLS: u8 = 64;

impl Detour {
    /// Every one.
    pub fn all() -> impl Iterator<Item = Detour> {
        TunnelProtocol::ALL.into_iter().map(Detour::Protocol).chain([
            Detour::DnsOverTls(DnsSign::Hello),
            Detour::DnsOverTls(DnsSign::List),
            Detour::DnsOverQuic(DnsSign::Hello),
            Detour::DnsOverQuic(DnsSign::List),
            Detour::DnsOverHttps,
            Detour::Vpn,
            Detour::Tunnelling,
            Detour::RemoteAccess,
        ])
    }

    /// Its number in the database.
    pub fn number(self) -> u8 {
        match self {
            Detour::Protocol(protocol) => protocol as u8,
            Detour::DnsOverTls(DnsSign::Hello) => BEYOND_PROTOCOLS,
            Detour::DnsOverTls(DnsSign::List) => BEYOND_PROTOCOLS + 1,
            Detour::DnsOverQuic(DnsSign::Hello) => BEYOND_PROTOCOLS + 2,
            Detour::DnsOverQuic(DnsSign::List) => BEYOND_PROTOCOLS + 3,
            Detour::DnsOverHttps => BEYOND_PROTOCOLS + 4,
            Detour::Vpn => BEYOND_PROTOCOLS + 5,
            Detour::Tunnelling => BEYOND_PROTOCOLS + 6,
            Detour::RemoteAccess => BEYOND_PROTOCOLS + 7,
        }
    }

    /// The one with this number.
    pub fn from_number(number: u8) -> Option<Detour> {
        Detour::all().find(|detour| detour.number() == number)
    }

    /// What it is, in every output; categories are the catalogue's.
    pub fn as_str(self) -> &'static str {
        match self {
            Detour::Protocol(protocol) => protocol.as_str(),
            Detour::DnsOverTls(_) => "dot",
            Detour::DnsOverQuic(_) => "doq",
            Detour::DnsOverHttps => "doh",
            Detour::Vpn => "vpn-anonymizer",
            Detour::Tunnelling => "tunnelling",
            Detour::RemoteAccess => "remote-access",
        }
    }

    /// What it was known by, in every output.
    pub fn known_by(self) -> &'static str {
        match self {
            Detour::Protocol(_)
            | Detour::DnsOverTls(DnsSign::Hello)
            | Detour::DnsOverQuic(DnsSign::Hello) => "protocol",
            Detour::DnsOverTls(DnsSign::List)
            | Detour::DnsOverQuic(DnsSign::List)
            | Detour::DnsOverHttps => "resolver_list",
            Detour::Vpn | Detour::Tunnelling | Detour::RemoteAccess => "catalogue",
        }
    }

    /// Encrypted DNS with a resolver of the list, by port and IP protocol.
    pub fn of_resolver(port: u16, ip_protocol: u8) -> Detour {
        const ENCRYPTED_DNS_PORT: u16 = 853;
        match (port, ip_protocol) {
            (ENCRYPTED_DNS_PORT, protocol::UDP) => Detour::DnsOverQuic(DnsSign::List),
            (ENCRYPTED_DNS_PORT, _) => Detour::DnsOverTls(DnsSign::List),
            _ => Detour::DnsOverHttps,
        }
    }
}

impl fmt::Display for Detour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The way around that a flow is, whatever its name.
pub(super) fn of_flow(hot: &Hot, cold: &Cold) -> Option<Detour> {
    match Bucket::from_number(hot.bucket) {
        // Who is controlled from afar at home goes no way around.
        Some(Bucket::NetworkService | Bucket::Inbound | Bucket::Private) => None,
        Some(Bucket::EncryptedDns) if hot.protocol == protocol::UDP => {
            Some(Detour::DnsOverQuic(DnsSign::Hello))
        }
        Some(Bucket::EncryptedDns) => Some(Detour::DnsOverTls(DnsSign::Hello)),
        _ => tunnels::protocol_of(hot, cold).map(Detour::Protocol),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn numbers_and_words_tell_them_apart() {
        let all: Vec<_> = Detour::all().collect();
        assert!(all.iter().all(|&detour| Detour::from_number(detour.number()) == Some(detour)));
        let words: BTreeSet<_> =
            all.iter().map(|detour| (detour.as_str(), detour.known_by())).collect();
        assert_eq!(words.len(), all.len());
        assert_eq!((Detour::from_number(0), Detour::from_number(63)), (None, None));
    }

    #[test]
    fn a_resolvers_port_tells_how_dns_is_carried() {
        let of = Detour::of_resolver;
        assert_eq!(of(853, protocol::TCP), Detour::DnsOverTls(DnsSign::List));
        assert_eq!(of(853, protocol::UDP), Detour::DnsOverQuic(DnsSign::List));
        assert_eq!((of(443, protocol::TCP), of(443, protocol::UDP)), {
            (Detour::DnsOverHttps, Detour::DnsOverHttps)
        });
    }
}
