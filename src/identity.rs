//! Who a client is: for now its address, joined with what the operator says of addresses.
//!
//! The only place where a [`Subject`] is made. With [`Pseudonyms`], nobody's name and no address
//! gets past it: what is in the store, and so in every report, is made from what this answers.
//! Unattributed stays unattributed: no binding, no user. Departments are told as they are.

use ipnet::IpNet;

use crate::evidence::source::{Known, Verdict, verdict_on};
use crate::net::Address;

/// Hexadecimal digits of a pseudonym: 80 bits, so that a million of them hardly ever have two that
/// are the same.
const PSEUDONYM_DIGITS: usize = 20;
/// Hexadecimal digits by which a key is known.
const KEY_ID_DIGITS: usize = 8;

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

/// Makes pseudonyms of what tells of people: the same for the same value and key, and without the
/// key neither to be reversed nor to be guessed by trying values.
#[derive(Clone)]
pub struct Pseudonyms {
    key: [u8; 32],
}

impl Pseudonyms {
    /// With a secret key.
    pub fn new(key: [u8; 32]) -> Pseudonyms {
        Pseudonyms { key }
    }

    /// Tells keys from one another without telling them.
    pub fn key_id(&self) -> String {
        self.keyed("key", b"", KEY_ID_DIGITS)
    }

    /// The pseudonym of somebody's name; nobody stays nobody.
    fn user(&self, name: &str) -> String {
        if name.is_empty() {
            return String::new();
        }
        format!("u-{}", self.keyed("user", name.as_bytes(), PSEUDONYM_DIGITS))
    }

    /// The pseudonym of the device that has an address.
    fn device(&self, address: Address) -> String {
        format!("d-{}", self.keyed("device", &address.0, PSEUDONYM_DIGITS))
    }

    /// The pseudonym of a value that may stand for an address.
    fn value(&self, value: u64) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = *self.hash("value", &value.to_le_bytes()).as_bytes();
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }

    /// Digits of the keyed hash of a value.
    fn keyed(&self, kind: &str, value: &[u8], digits: usize) -> String {
        let mut hex = self.hash(kind, value).to_hex().to_string();
        hex.truncate(digits);
        hex
    }

    /// The keyed hash of a value; values of different kinds never meet.
    fn hash(&self, kind: &str, value: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(kind.as_bytes()).update(&[0]).update(value);
        hasher.finalize()
    }
}

/// Not the key.
impl std::fmt::Debug for Pseudonyms {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Pseudonyms({})", self.key_id())
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
    /// Where people and devices are told by pseudonyms.
    pseudonyms: Option<Pseudonyms>,
    /// Addresses of which the operator says what they are.
    known: Vec<Known>,
}

impl Identities {
    /// From bindings in any order; of two for the same network, the first holds.
    pub fn new(mut bindings: Vec<Binding>) -> Identities {
        bindings.sort_by_key(|binding| std::cmp::Reverse(binding.network.prefix_len()));
        Identities { bindings, pseudonyms: None, known: Vec::new() }
    }

    /// The same, telling users and devices by pseudonyms from now on.
    pub fn with_pseudonyms(self, pseudonyms: Pseudonyms) -> Identities {
        Identities { pseudonyms: Some(pseudonyms), ..self }
    }

    /// The same, with addresses of which the operator says what they are.
    pub fn with_known(self, known: Vec<Known>) -> Identities {
        Identities { known, ..self }
    }

    /// What the operator says a client's address is, where that has to be kept with what it does:
    /// nobody can look up the address behind a pseudonym when a report is made.
    pub fn told(&self, client: Address) -> Option<Verdict> {
        self.pseudonyms.as_ref().and_then(|_| verdict_on(client.to_ip(), &self.known))
    }

    /// What is kept of a value of a trait, which may stand for an address: equal for equal ones.
    pub fn trait_value(&self, value: u64) -> u64 {
        self.pseudonyms.as_ref().map_or(value, |pseudonyms| pseudonyms.value(value))
    }

    /// Whether a client's address stands for somebody.
    pub fn is_known(&self, client: Address) -> bool {
        self.binding(client).is_some_and(|binding| !binding.user.is_empty())
    }

    fn binding(&self, client: Address) -> Option<&Binding> {
        let ip = client.to_ip();
        self.bindings.iter().find(|binding| binding.network.contains(&ip))
    }

    /// The subject that a client's address stands for.
    pub fn subject(&self, client: Address) -> Subject {
        let binding = self.binding(client);
        let user = binding.map(|binding| binding.user.as_str()).unwrap_or_default();
        let department = binding.map(|binding| binding.department.clone()).unwrap_or_default();
        match &self.pseudonyms {
            Some(pseudonyms) => Subject {
                user: pseudonyms.user(user),
                department,
                device: pseudonyms.device(client),
            },
            None => Subject { user: user.into(), department, device: client.to_string() },
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
    fn values_that_stand_for_addresses_are_keyed_like_them() {
        let keyed = |key, value| {
            let identities = Identities::default().with_pseudonyms(Pseudonyms::new([key; 32]));
            identities.trait_value(value)
        };
        assert_eq!(keyed(1, 64), keyed(1, 64));
        assert_ne!(keyed(1, 64), keyed(1, 128));
        assert_ne!(keyed(1, 64), keyed(2, 64));
        assert_ne!(keyed(1, 64), 64);
        assert_eq!(Identities::default().trait_value(64), 64);
    }

    #[test]
    fn pseudonyms_tell_nothing_and_stay_the_same() {
        let identities = |key| {
            Identities::new(vec![binding("10.0.0.7/32", "anna", "sales")])
                .with_pseudonyms(Pseudonyms::new([key; 32]))
        };
        let address = |text: &str| Address::from(text.parse::<std::net::IpAddr>().unwrap());
        let one = identities(1).subject(address("10.0.0.7"));
        assert_eq!(one, identities(1).subject(address("10.0.0.7")));
        assert!(one.user.starts_with("u-") && one.user.len() == 22, "{one:?}");
        assert!(one.device.starts_with("d-") && one.device.len() == 22, "{one:?}");
        assert_eq!(one.department, "sales");
        assert!(!format!("{one:?}").contains("anna") && !one.device.contains("10.0"));
        assert_ne!(one.device, identities(2).subject(address("10.0.0.7")).device);
        assert_ne!(one.device, identities(1).subject(address("10.0.0.8")).device);
        assert_eq!(identities(1).subject(address("10.0.0.8")).user, "");
        assert_ne!(Pseudonyms::new([1; 32]).key_id(), Pseudonyms::new([2; 32]).key_id());
        assert!(!format!("{:?}", Pseudonyms::new([1; 32])).contains("1, 1"));
    }

    #[test]
    fn what_an_address_is_goes_along_with_its_pseudonym() {
        let known = Known { network: "10.0.0.0/30".parse().unwrap(), verdict: Verdict::Resolver };
        let identities = Identities::default().with_known(vec![known]);
        let address = |text: &str| Address::from(text.parse::<std::net::IpAddr>().unwrap());
        assert_eq!(identities.told(address("10.0.0.1")), None, "reports look it up");
        let identities = identities.with_pseudonyms(Pseudonyms::new([1; 32]));
        assert_eq!(identities.told(address("10.0.0.1")), Some(Verdict::Resolver));
        assert_eq!(identities.told(address("10.0.0.4")), None);
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
