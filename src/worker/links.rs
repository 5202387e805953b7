//! Link addresses of home clients, and which were told to merge already.

use super::Worker;
use super::part::HINTS_MAX;
use crate::flow::table::FlowId;
use crate::ledger::Bucket;
use crate::net::{Address, Mac};
use crate::packet::Packet;
use crate::stats::Counter;

/// The link addresses that were handed on last: most of those that come again are among them.
pub(super) struct Links(Box<[(Address, Mac); Links::PLACES]>);

impl Links {
    const PLACES: usize = 1024;

    pub(super) fn new() -> Links {
        Links(Box::new([(Address::default(), Mac::default()); Links::PLACES]))
    }

    /// Whether this pair is not among them; then it is from now on.
    pub(super) fn is_news(&mut self, address: Address, mac: Mac) -> bool {
        // Neighbours differ in their last bytes; a clash costs nothing but telling it again.
        let [.., a, b] = address.0;
        let place = &mut self.0[usize::from(u16::from_be_bytes([a, b])) % Links::PLACES];
        let is_news = *place != (address, mac);
        *place = (address, mac);
        is_news
    }
}

impl Worker {
    /// Remembers the link address of a home client that sends.
    pub(super) fn note_link(&mut self, flow: FlowId, packet: &Packet, frame: &[u8]) {
        if !packet.ethernet {
            return;
        }
        let Some(mac) = source_link(frame) else { return };
        let source = packet.source;
        let is_inbound = self.table.hot(flow).bucket == Bucket::Inbound as u8;
        // What is not told must not be remembered as told: another flow of the address may tell it.
        if is_inbound || !self.settings.home.contains(source) || !self.links.is_news(source, mac) {
            return;
        }
        let bytes = size_of::<(Address, Mac)>();
        if self.part.links.len() < HINTS_MAX && self.allowance.hint(bytes) {
            self.part.links.push((source, mac));
        } else {
            self.count_event(Counter::HintDropped);
        }
    }
}

/// The sender's address in an Ethernet header (IEEE 802.3, 3.2.3).
pub(super) fn source_link(frame: &[u8]) -> Option<Mac> {
    frame.get(6..12)?.try_into().ok().map(Mac)
}
