//! What tells of an address that it is no person: see [`crate::evidence::source`].
//!
//! Looked at when a flow begins, when a hello or a request is read, and when a flow is first handed
//! on: never for a packet. What was told before is not told again as long as a small memory lasts;
//! merge keeps distinct values, so that telling it again changes nothing.

use super::part::{HINTS_MAX, TraitSeen};
use super::{Item, Worker};
use crate::evidence::source::{Trait, initial_time_to_live, value_of};
use crate::flow::table::FlowId;
use crate::net::{Address, Endpoint, protocol};
use crate::stats::Counter;
use crate::time::{Hour, Timestamp};

/// Ports on which mail is taken: between servers, and from clients (RFC 5321, RFC 6409, RFC 8314).
const MAIL_PORTS: [u16; 3] = [25, 465, 587];
/// The port of mail between servers.
const MAIL_RELAY_PORT: u16 = 25;

/// What was told last.
pub(super) struct Told(Box<[TraitSeen; Told::PLACES]>);

impl Told {
    const PLACES: usize = 1024;

    pub(super) fn new() -> Told {
        let nothing = TraitSeen {
            address: Address::default(),
            hour: Hour(i32::MIN),
            what: Trait::AnswersDns,
            value: 0,
        };
        Told(Box::new([nothing; Told::PLACES]))
    }

    /// Whether this was not among it; then it is from now on.
    fn is_news(&mut self, seen: TraitSeen) -> bool {
        // A clash costs nothing but telling it again, so that a quick mix will do.
        let address = u128::from_ne_bytes(seen.address.0);
        let mixed = (address >> 64) as u64 ^ (address as u64).rotate_left(32) ^ seen.value;
        let mixed = mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let place = &mut self.0[(mixed >> 32) as usize % Told::PLACES];
        let is_news = *place != seen;
        *place = seen;
        is_news
    }
}

impl Worker {
    /// Notes something about an address at home.
    pub(super) fn note_trait(&mut self, address: Address, hour: Hour, what: Trait, value: u64) {
        let seen = TraitSeen { address, hour, what, value };
        if !self.settings.home.contains(address) || !self.told.is_news(seen) {
            return;
        }
        if self.part.traits.len() < HINTS_MAX {
            self.part.traits.push(seen);
        } else {
            self.count_event(Counter::HintDropped);
        }
    }

    /// Notes with which initial time to live a machine opens a connection.
    pub(super) fn note_time_to_live(&mut self, item: &Item) {
        let packet = &item.packet;
        if packet.flags.is_opening() && packet.protocol == protocol::TCP {
            let hour = self.hour(item.minute);
            if let Some(initial) = initial_time_to_live(packet.time_to_live) {
                self.note_trait(packet.source, hour, Trait::TimeToLive, initial.into());
            }
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
        *self.part.accepted.entry((server.address, hour)).or_default() += 1;
        self.note_trait(server.address, hour, Trait::Serves, value_of(client));
        if MAIL_PORTS.contains(&server.port) {
            self.note_trait(server.address, hour, Trait::TakesMail, value_of(client));
        }
    }
}
