//! Whether a client's look-ups are seen: those of its flows whose names are known tell.
//!
//! A flow that shows its name shows, too, whether its client was seen to be told its server's address
//! before. Where some of the latest were not, the client asks elsewhere (over HTTPS, past the sensor),
//! and what it was told for an address need not be all that it was told.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::footprint;
use crate::names::NameCache;
use crate::net::Address;
use crate::time::{NANOS_PER_SECOND, Timestamp};

/// Flows remembered of a client: the latest.
const FLOWS_MAX: usize = 8;
/// Clients whose flows are remembered.
const CLIENTS_MAX: usize = 7 << 13;
/// Memory of as many.
pub(super) const BYTES_MAX: usize =
    footprint::map(CLIENTS_MAX, size_of::<(Address, Vec<(Timestamp, Address)>)>())
        + CLIENTS_MAX * footprint::heap(FLOWS_MAX * size_of::<(Timestamp, Address)>());
/// How long before another flow one counts.
const LATELY_NANOS: i64 = 24 * 3600 * NANOS_PER_SECOND;
/// So many of a client's flows, and at least one in so many, are without a look-up where look-ups are
/// missing: programs keep addresses for longer than they were given them, and are given some.
const MISSES_MIN: usize = 3;
const MISSES_SHARE: usize = 2;

/// Servers of clients' latest flows with a name of their own.
#[derive(Default)]
pub struct Lookups {
    known: HashMap<Address, Vec<(Timestamp, Address)>, RandomState>,
    dropped: u64,
}

impl Lookups {
    /// Notes a flow with a name of its own: of all flows of a tick before any is named, so that it
    /// makes no difference who saw them.
    pub fn note(&mut self, client: Address, server: Address, first: Timestamp) {
        if self.known.len() >= CLIENTS_MAX && !self.known.contains_key(&client) {
            self.dropped += self.known.len() as u64;
            self.known.clear();
        }
        let flows = self.known.entry(client).or_default();
        let fresh = (first, server);
        if flows.len() >= FLOWS_MAX && flows.first().is_some_and(|oldest| fresh <= *oldest) {
            return;
        }
        if let Err(at) = flows.binary_search(&fresh) {
            // The oldest goes, which is not among those behind.
            let at = match flows.len() >= FLOWS_MAX {
                true => {
                    flows.remove(0);
                    at - 1
                }
                false => at,
            };
            flows.insert(at, fresh);
        }
    }

    /// Whether look-ups of a client are evidently missing at the time of a flow's first packet.
    pub fn are_missing(&self, client: Address, first: Timestamp, names: &mut NameCache) -> bool {
        let flows = self.known.get(&client).map(Vec::as_slice).unwrap_or_default();
        let earliest = first.offset(-LATELY_NANOS).max(names.complete_since());
        let (mut judged, mut misses) = (0, 0);
        for &(time, server) in flows.iter().filter(|(time, _)| *time >= earliest) {
            // Addresses that nobody was told are those of proxies, and the like.
            if names.is_anybodys(server, time) {
                judged += 1;
                misses += usize::from(!names.is_told(client, server, time));
            }
        }
        misses >= MISSES_MIN && misses * MISSES_SHARE >= judged
    }

    /// Clients forgotten since the last time this was asked.
    pub fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp(1_000_000_000_000_000_000 + seconds * NANOS_PER_SECOND)
    }

    fn address(n: u8) -> Address {
        Address::v4([10, 0, 0, n])
    }

    fn told(names: &mut NameCache, client: u8, server: u8, seconds: i64) {
        let name = names.hold("a.example");
        names.answer(address(client), address(53), address(server), name, at(seconds), 60);
        names.release(name);
    }

    #[test]
    fn look_ups_are_missing_where_half_of_a_clients_latest_flows_had_none() {
        let (mut lookups, mut names) = (Lookups::default(), NameCache::default());
        let missing = |lookups: &Lookups, names: &mut NameCache| {
            lookups.are_missing(address(1), at(100), names)
        };
        assert!(!missing(&lookups, &mut names));
        told(&mut names, 1, 100, 0);
        told(&mut names, 2, 101, 0);
        for second in 10..=15 {
            lookups.note(address(1), address(102), at(second));
        }
        assert!(!missing(&lookups, &mut names), "a proxy");
        let mut lookups = Lookups::default();
        for second in 1..=3 {
            lookups.note(address(1), address(100), at(second));
        }
        for second in 5..=6 {
            lookups.note(address(1), address(101), at(second));
        }
        assert!(!missing(&lookups, &mut names), "two of five");
        lookups.note(address(1), address(101), at(7));
        assert!(missing(&lookups, &mut names));
        assert!(!lookups.are_missing(address(2), at(100), &mut names));
        assert!(!lookups.are_missing(address(1), at(100_000), &mut names), "long ago");
        // What is seen again tells that all is.
        for second in 9..=16 {
            lookups.note(address(1), address(100), at(second));
        }
        assert!(!missing(&lookups, &mut names));
    }

    #[test]
    fn which_flow_is_noted_first_makes_no_difference() {
        let (mut one, mut other) = (Lookups::default(), Lookups::default());
        for second in 0..20 {
            one.note(address(1), address(100), at(second));
            other.note(address(1), address(100), at(19 - second));
        }
        assert_eq!(one.known, other.known);
        assert_eq!(one.known[&address(1)].len(), FLOWS_MAX);
    }
}
