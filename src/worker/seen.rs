//! What a worker sees of addresses at home that tells whether they are people.

use crate::evidence::source::Trait;
use crate::net::{Address, Endpoint, Mac};
use crate::time::{Hour, Timestamp};

/// One value of a trait of an address at home.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraitSeen {
    /// Whose.
    pub address: Address,
    /// When.
    pub hour: Hour,
    /// Which trait.
    pub what: Trait,
    /// Which value.
    pub value: u64,
}

/// A TCP connection that an address at home opens, as its SYN shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Opening {
    /// When.
    pub time: Timestamp,
    /// The hour of that.
    pub hour: Hour,
    /// By whom.
    pub client: Endpoint,
    /// To whom: clocks and ports are comparable only towards one server.
    pub server: Endpoint,
    /// The order of its options, see [`crate::dissect::syn`]; 0 where they cannot be read.
    pub order: u16,
    /// What its timestamp clock showed (RFC 7323).
    pub ticks: Option<u32>,
    /// Where its frame is from, and by how much its time to live is less than what senders begin
    /// with. None in a tunnel, where no frame is from its sender, or where nobody begins so.
    pub link: Option<(Mac, u8)>,
}

/// What an address at home accepted and answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Served {
    /// When.
    pub hour: Hour,
    /// Who did, and at which port.
    pub server: Endpoint,
    /// From whom.
    pub client: Address,
}
