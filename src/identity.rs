//! Who a client is: for now its address, joined with what the operator says of addresses.
//!
//! The only place where a [`Subject`] is made, so that pseudonyms can be put here. Unattributed
//! stays unattributed: no binding, no user.

use ipnet::IpNet;

use crate::net::Address;

/// Who: the only form in which users, devices and addresses leave merge.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject {
    /// Empty when nobody is attributed.
    pub user: String,
    /// Empty when unknown.
    pub department: String,
    /// The client's address until devices are known.
    pub device: String,
}

impl Subject {
    /// Clients for whom there is no room any more.
    pub fn other() -> Subject {
        Subject { device: "other".into(), ..Subject::default() }
    }
}

/// What the operator says of one address or network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The address, or all addresses of a network.
    pub network: IpNet,
    /// Empty for a network whose users are not known one by one.
    pub user: String,
    /// May be empty.
    pub department: String,
}

/// Bindings of addresses to people; the narrowest network wins.
#[derive(Clone, Debug, Default)]
pub struct Identities {
    /// Narrowest first.
    bindings: Vec<Binding>,
}

impl Identities {
    /// From bindings in any order; of two for the same network, the first holds.
    pub fn new(mut bindings: Vec<Binding>) -> Identities {
        bindings.sort_by_key(|binding| std::cmp::Reverse(binding.network.prefix_len()));
        Identities { bindings }
    }

    /// The subject that a client's address stands for.
    pub fn subject(&self, client: Address) -> Subject {
        let ip = client.to_ip();
        let binding = self.bindings.iter().find(|binding| binding.network.contains(&ip));
        Subject {
            user: binding.map(|binding| binding.user.clone()).unwrap_or_default(),
            department: binding.map(|binding| binding.department.clone()).unwrap_or_default(),
            device: client.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binding(network: &str, user: &str, department: &str) -> Binding {
        Binding {
            network: network.parse().unwrap(),
            user: user.into(),
            department: department.into(),
        }
    }

    #[test]
    fn the_narrowest_network_wins_and_nobody_is_guessed() {
        let identities = Identities::new(vec![
            binding("10.0.0.0/8", "", "everybody"),
            binding("10.0.0.7/32", "anna", "sales"),
            binding("fd00::/8", "", "lab"),
        ]);
        let subject = |text: &str| {
            let ip: std::net::IpAddr = text.parse().unwrap();
            identities.subject(Address::from(ip))
        };
        assert_eq!(
            (subject("10.0.0.7").user.as_str(), subject("10.0.0.7").department.as_str()),
            ("anna", "sales")
        );
        assert_eq!(
            (subject("10.0.0.8").user.as_str(), subject("10.0.0.8").department.as_str()),
            ("", "everybody")
        );
        assert_eq!(subject("fd00::1").department, "lab");
        assert_eq!(
            subject("192.0.2.1"),
            Subject { device: "192.0.2.1".into(), ..Subject::default() }
        );
    }
}
