//! Who served whom, and whether that was as a server or among peers.
//!
//! Programs that share a folder, updates or a game with whoever is near connect to each other at one
//! and the same port, each of them both ways: whoever takes such connections serves nobody. What is
//! told is told of an hour that is over, since who connects first is chance.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::RandomState;

use crate::footprint;
use crate::net::{Address, Endpoint};
use crate::time::{Hour, Timestamp};
use crate::worker::seen::Served;

/// Ports at which programs take connections of their like, and nobody of clients: Delivery
/// Optimization of Windows, BitTorrent, Dropbox, Syncthing, Steam. Those who were asked and did not
/// ask themselves cannot be told from servers otherwise.
const PEER_PORTS: [std::ops::RangeInclusive<u16>; 5] =
    [7680..=7680, 6881..=6889, 17500..=17500, 22000..=22000, 27036..=27036];
/// Clients kept of a port of a server in an hour.
const CLIENTS_MAX: usize = 64;
/// Clients kept in all.
const KEPT_MAX: usize = 7 << 14;
/// Memory of as many, each of another server, and of what is told of them.
pub(super) const BYTES_MAX: usize =
    footprint::map(KEPT_MAX, size_of::<((Hour, Endpoint), Service)>())
        + footprint::tree(KEPT_MAX, size_of::<((Hour, Address), ToldService)>())
        + 2 * KEPT_MAX * footprint::heap(size_of::<Address>());
/// How long after its end an hour is told of.
const WAIT_SECONDS: i64 = 60;

/// What is served, of hours that are not over yet.
#[derive(Default)]
pub struct Services {
    services: HashMap<(Hour, Endpoint), Service, RandomState>,
    kept: usize,
    dropped: u64,
}

#[derive(Default)]
struct Service {
    /// In order.
    clients: Vec<Address>,
    flows: u64,
}

/// What an address served in an hour.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ToldService {
    /// Who did.
    pub server: Address,
    /// When.
    pub hour: Hour,
    /// To whom, in order; no more than enough.
    pub clients: Vec<Address>,
    /// In how many flows.
    pub flows: u64,
}

impl Services {
    /// Takes flows that a server accepted.
    pub fn see(&mut self, served: &Served, flows: u64) {
        let key = (served.hour, served.server);
        let is_full = self.kept >= KEPT_MAX;
        if is_full && !self.services.contains_key(&key) {
            self.dropped += 1;
            return;
        }
        let service = self.services.entry(key).or_default();
        service.flows += flows;
        if service.clients.len() >= CLIENTS_MAX {
            return;
        }
        let Err(at) = service.clients.binary_search(&served.client) else { return };
        if is_full {
            self.dropped += 1;
        } else {
            service.clients.reserve_exact(1);
            service.clients.insert(at, served.client);
            self.kept += 1;
        }
    }

    /// What was served in hours that are over at `horizon`, or in all without one; without what was
    /// among peers.
    pub fn settle(&mut self, horizon: Option<Timestamp>) -> Vec<ToldService> {
        let is_over = |hour: Hour| {
            let end = hour.start_seconds() + 3600 + WAIT_SECONDS;
            horizon.is_none_or(|horizon| horizon.seconds() >= end)
        };
        let mut told: BTreeMap<(Hour, Address), ToldService> = BTreeMap::new();
        for (&(hour, server), service) in &self.services {
            if is_over(hour) && !self.is_among_peers(hour, server.port, service) {
                let told = told.entry((hour, server.address)).or_default();
                (told.server, told.hour) = (server.address, hour);
                told.clients.extend(&service.clients);
                told.flows += service.flows;
            }
        }
        self.services.retain(|(hour, _), _| !is_over(*hour));
        self.kept = self.services.values().map(|service| service.clients.len()).sum();
        let mut told: Vec<_> = told.into_values().collect();
        for ToldService { clients, .. } in &mut told {
            clients.sort_unstable();
            clients.dedup();
        }
        told
    }

    /// Whether most of the clients take such connections themselves. (Of servers that are each other's
    /// clients, as those of a domain, the others are few among the clients.)
    fn is_among_peers(&self, hour: Hour, port: u16, service: &Service) -> bool {
        let takes_too =
            |&&address: &&Address| self.services.contains_key(&(hour, Endpoint { address, port }));
        PEER_PORTS.iter().any(|ports| ports.contains(&port))
            || 2 * service.clients.iter().filter(takes_too).count() > service.clients.len()
    }

    /// Clients for whom there was no room since the last time this was asked.
    pub fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Hour = Hour(500_040);

    fn address(number: u8) -> Address {
        Address::v4([10, 0, 0, number])
    }

    /// Who is told of as a server, and how many clients it had, of (client, server, port).
    fn told(flows: &[(u8, u8, u16)]) -> Vec<(Address, usize, u64)> {
        let mut services = Services::default();
        for &(client, server, port) in flows {
            let (client, server) = (address(client), Endpoint { address: address(server), port });
            services.see(&Served { hour: HOUR, server, client }, 2);
        }
        let told = services.settle(None);
        assert!(services.services.is_empty() && services.kept == 0);
        told.into_iter().map(|told| (told.server, told.clients.len(), told.flows)).collect()
    }

    #[test]
    fn whoever_is_asked_serves() {
        let flows: Vec<_> = (1..=9).map(|client| (client, 200, 445)).collect();
        assert_eq!(told(&flows), [(address(200), 9, 18)]);
        // Three servers that are each other's clients, too.
        let mut flows = Vec::new();
        for server in 200..203 {
            flows.extend((1..=9).map(|client| (client, server, 389)));
            let others = (200..203).filter(|other| *other != server);
            flows.extend(others.map(|other| (other, server, 389)));
        }
        assert!(told(&flows).iter().all(|(_, clients, _)| *clients == 11));
        assert_eq!(told(&flows).len(), 3);
    }

    #[test]
    fn peers_serve_nobody() {
        let mut flows = Vec::new();
        for one in 1..=9 {
            flows.extend((1..=9).filter(|other| *other != one).map(|other| (one, other, 5900)));
        }
        assert_eq!(told(&flows), []);
        // Also those that are only asked, at a port at which nobody else is.
        let flows: Vec<_> = (1..=9).map(|client| (client, 200, 17_500)).collect();
        assert_eq!(told(&flows), []);
        // What else they serve counts.
        let flows: Vec<_> = flows.into_iter().chain([(1, 200, 8000)]).collect();
        assert_eq!(told(&flows), [(address(200), 1, 2)]);
    }

    #[test]
    fn an_hour_is_told_once_it_is_over_and_bounds_hold() {
        let mut services = Services::default();
        let server = Endpoint { address: address(200), port: 443 };
        for number in 0..2000_u32 {
            let client = Address::v4(number.to_be_bytes());
            services.see(&Served { hour: HOUR, server, client }, 1);
        }
        let end = HOUR.start_seconds() + 3600;
        assert_eq!(services.settle(Some(Timestamp::from_parts(end + 59, 0))), []);
        let told = services.settle(Some(Timestamp::from_parts(end + 60, 0)));
        assert_eq!((told[0].clients.len(), told[0].flows), (CLIENTS_MAX, 2000));
        services.kept = KEPT_MAX;
        services.see(&Served { hour: HOUR, server, client: address(1) }, 1);
        assert_eq!((services.take_dropped(), services.take_dropped()), (1, 0));
    }
}
