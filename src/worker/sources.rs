//! What tells of an address that it is no person: see [`crate::evidence::source`].
//!
//! Looked at when a flow begins, when a hello or a request is read, and when a flow is first handed
//! on: never for a packet. What was told before is not told again as long as a small memory lasts;
//! merge keeps distinct values, so that telling it again changes nothing.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;

use super::ended::own_name;
use super::links::source_link;
use super::part::HINTS_MAX;
use super::seen::{Opening, Served, TraitSeen};
use super::{Item, Worker};
use crate::decode::is_inflated;
use crate::dissect::syn::{self, SynOptions};
use crate::evidence::source::{Trait, initial_time_to_live, value_of};
use crate::flow::memory::LINE_BYTES;
use crate::flow::table::FlowId;
use crate::net::{Address, Endpoint, protocol};
use crate::stats::Counter;
use crate::time::{Hour, Timestamp};

/// Ports on which mail is taken: between servers, and from clients (RFC 5321, RFC 6409, RFC 8314).
const MAIL_PORTS: [u16; 3] = [25, 465, 587];
/// The port of mail between servers.
const MAIL_RELAY_PORT: u16 = 25;

/// Ports of sessions on a machine from afar, with a desktop of its own each: RDP (MS-RDPBCGR), ICA
/// with and without session reliability (Citrix), PCoIP.
const SESSION_PORTS: [u16; 4] = [3389, 1494, 2598, 4172];
/// Bytes of a TCP header without options (RFC 9293, 3.1).
const TCP_HEADER: usize = 20;
/// The hop limit of a message of Neighbor Discovery, which a router would have made less (RFC 4861,
/// 7.1), and the types of solicitations and advertisements (4.3, 4.4).
const NEIGHBOUR_HOPS: u8 = 255;
const NEIGHBOUR_TYPES: [u8; 2] = [135, 136];
/// Domains to which a machine keeps a connection all the time, so that it can be told of news: the
/// push services of Apple, Google, Microsoft and Mozilla. A machine has one for itself, and a browser
/// one for each profile.
const PUSH_SERVICES: [&str; 4] =
    ["push.apple.com", "mtalk.google.com", "wns.windows.com", "push.services.mozilla.com"];
/// What a connection to one has lasted before it counts, in seconds. Of those that come one after
/// the other, six fit into an hour.
const CHANNEL_SECONDS: i64 = 600;

/// Whether a name is a push service's, or below it. Google numbers its other names in front
/// (`alt3-mtalk.google.com`).
fn is_push_service(name: &str) -> bool {
    PUSH_SERVICES.iter().any(|service| {
        let rest = name.strip_suffix(service);
        rest.is_some_and(|rest| rest.is_empty() || rest.ends_with(['.', '-']))
    })
}

/// What was told last: the hash of each, by its place. What an address tells in an hour has its places
/// in one line of the processor's caches, since several things are told one after the other.
pub(super) struct Told {
    lines: Box<[Line; Told::LINES]>,
    /// Of its own for each run, so that nobody can tell whose hashes are the same.
    hasher: RandomState,
}

#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line([u64; LINE_BYTES / size_of::<u64>()]);

impl Told {
    /// Enough for what some thousands of machines tell of themselves in an hour: 128 KiB.
    const LINES: usize = 2_048;

    pub(super) fn new() -> Told {
        let lines = Box::new([Line([0; LINE_BYTES / size_of::<u64>()]); Told::LINES]);
        Told { lines, hasher: RandomState::default() }
    }

    /// Whether this was not among it; then it is from now on.
    fn is_news(&mut self, seen: TraitSeen) -> bool {
        let of_line = self.hasher.hash_one((seen.address, seen.hour));
        // None is 0, which stands for nothing. A clash of places costs nothing but telling it again.
        let hash = self.hasher.hash_one(seen) | 1;
        let Line(places) = &mut self.lines[(of_line >> 32) as usize % Told::LINES];
        let place = &mut places[(hash >> 32) as usize % places.len()];
        std::mem::replace(place, hash) != hash
    }
}

impl Worker {
    /// Notes something about an address at home.
    pub(super) fn note_trait(&mut self, address: Address, hour: Hour, what: Trait, value: u64) {
        let seen = TraitSeen { address, hour, what, value };
        if !self.settings.home.contains(address) || !self.told.is_news(seen) {
            return;
        }
        if self.part.traits.len() < HINTS_MAX && self.allowance.hint(size_of::<TraitSeen>()) {
            self.part.traits.push(seen);
        } else {
            self.count_event(Counter::HintDropped);
        }
    }

    /// Notes what a SYN tells of the machine that opens a connection: its initial time to
    /// live, the order of its TCP options, its timestamp clock.
    pub(super) fn note_opening(&mut self, item: &Item<'_>) {
        let packet = &item.packet;
        if !packet.flags.is_opening()
            || packet.protocol != protocol::TCP
            || !self.settings.home.contains(packet.source)
        {
            return;
        }
        let hour = self.hour(item.minute);
        let initial = initial_time_to_live(packet.time_to_live);
        if let Some(initial) = initial {
            self.note_trait(packet.source, hour, Trait::TimeToLive, initial.into());
        }
        let header = usize::from(packet.transport_header);
        let payload = packet.payload_offset as usize;
        let options =
            payload.checked_sub(header).and_then(|at| item.frame.get(at + TCP_HEADER..payload));
        let options = options.filter(|_| !is_inflated(packet)).unwrap_or_default();
        let SynOptions { order, clock: ticks } = syn::options(options);
        if order != 0 {
            self.note_trait(packet.source, hour, Trait::OptionOrder, order.into());
        }
        if !self.allowance.opening() {
            self.count_event(Counter::HintDropped);
            return;
        }
        let link = source_link(item.frame).filter(|_| packet.ethernet);
        self.part.openings.push(Opening {
            time: item.time,
            hour,
            client: Endpoint { address: packet.source, port: packet.source_port },
            server: Endpoint { address: packet.destination, port: packet.destination_port },
            order,
            ticks,
            link: link.zip(initial.map(|initial| initial - packet.time_to_live)),
        });
    }

    /// Notes whose an IPv6 address at home is on the link, where the first packet of a flow is a
    /// solicitation or an advertisement of a neighbour (RFC 4861, 7.1): no router has forwarded it.
    pub(super) fn note_neighbour(&mut self, item: &Item<'_>) {
        let packet = &item.packet;
        if packet.protocol != protocol::ICMPV6 || packet.time_to_live != NEIGHBOUR_HOPS {
            return;
        }
        let header = usize::from(packet.transport_header);
        let kind =
            (packet.payload_offset as usize).checked_sub(header).and_then(|at| item.frame.get(at));
        let is_neighbour = kind.is_some_and(|kind| NEIGHBOUR_TYPES.contains(kind));
        if !is_neighbour || !packet.ethernet || !self.settings.home.contains(packet.source) {
            return;
        }
        if let Some(link) = source_link(item.frame) {
            let hour = self.hour(item.minute);
            self.part.note_owner(packet.source, link, hour);
        }
    }

    /// Notes that a flow goes on whose name is a push service's, where it has lasted long enough to be
    /// more than a try.
    pub(super) fn note_channel(&mut self, flow: FlowId, hour: Hour) {
        let (hot, cold) = self.table.both(flow);
        if hot.last_seen.seconds() - cold.first_seen.seconds() < CHANNEL_SECONDS {
            return;
        }
        let Some((name, _)) = own_name(cold) else { return };
        if is_push_service(self.names.text(name)) {
            let (client, server) = self.endpoints(flow);
            let value = value_of(server.address) ^ u64::from(client.port);
            self.note_trait(client.address, hour, Trait::PushChannel, value);
        }
    }

    /// Notes that the server of a flow was asked as a proxy.
    pub(super) fn note_proxy(&mut self, flow: FlowId, time: Timestamp) {
        let (client, server) = self.endpoints(flow);
        let hour = self.hour(time.minute());
        self.note_trait(server.address, hour, Trait::Proxies, value_of(client.address));
    }

    /// Notes that the client of a flow says it asks for another.
    pub(super) fn note_asks_for(&mut self, flow: FlowId, time: Timestamp, other: Address) {
        let (client, _) = self.endpoints(flow);
        // A proxy asks for people at home; what a program says of itself, or makes up, is none.
        if other == client.address || !self.settings.home.contains(other) {
            return;
        }
        let hour = self.hour(time.minute());
        self.note_trait(client.address, hour, Trait::AsksFor, value_of(other));
    }

    /// Notes who served whom, on the first flow-hour in which both spoke.
    pub(super) fn note_service(&mut self, client: Address, server: Endpoint, hour: Hour) {
        if server.port == MAIL_RELAY_PORT {
            self.note_trait(client, hour, Trait::SendsMail, value_of(server.address));
        }
        if !self.settings.home.contains(server.address) {
            return;
        }
        self.part.note_served(Served { hour, server, client }, &mut self.allowance);
        if SESSION_PORTS.contains(&server.port) {
            self.note_trait(server.address, hour, Trait::HostsSessions, value_of(client));
        }
        if MAIL_PORTS.contains(&server.port) {
            self.note_trait(server.address, hour, Trait::TakesMail, value_of(client));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn push_services_have_their_names_and_no_others() {
        let is = [
            "mtalk.google.com",
            "alt3-mtalk.google.com",
            "7-courier.push.apple.com",
            "client.wns.windows.com",
        ];
        assert!(is.into_iter().all(is_push_service));
        let not = ["google.com", "xmtalk.google.com", "push.apple.com.example", "windows.com"];
        assert!(!not.into_iter().any(is_push_service));
    }

    #[test]
    fn what_was_told_in_the_hour_is_no_news() {
        let mut told = Told::new();
        let seen = |client: u8, hour, value| TraitSeen {
            address: Address::v4([10, 0, 0, client]),
            hour: Hour(hour),
            what: Trait::TimeToLive,
            value,
        };
        let all = || (0..200).flat_map(|client| [64, 128].map(|value| (client, value)));
        assert!(all().all(|(client, value)| told.is_news(seen(client, 0, value))));
        // Two in one place take it from one another, which one in eight do, and few of two addresses.
        let again = all().filter(|&(client, value)| told.is_news(seen(client, 0, value)));
        assert!(again.count() < 150);
        assert!(told.is_news(seen(0, 60, 64)));
        assert!(!told.is_news(seen(0, 60, 64)));
    }
}
