//! What DNS and its relatives on the link tell: questions, addresses, offers, names of devices.
//!
//! Questions are counted for the client; answers go to merge, which names flows by them. Names
//! that devices give themselves are kept apart: they are never use of an app.

use super::findings::Hints;
use super::part::{ANSWERS_MAX, Answer, EchOffer, HINTS_MAX};
use super::{Item, Worker};
use crate::dissect::Progress;
use crate::dissect::device_name::{self, NameProtocol, NameUse};
use crate::dissect::dns;
use crate::dissect::presence;
use crate::evidence::source::{Trait, value_of};
use crate::flow::slot::Side;
use crate::flow::table::FlowId;
use crate::hostname::NotAHostname;
use crate::net::Address;
use crate::observation::{NameSource, Seen};
use crate::packet::Packet;
use crate::stats::Counter;
use crate::time::{Hour, Timestamp};
use crate::usage::QuestionKey;

impl Worker {
    /// Takes a DNS message that `side` sent; says whether it was one.
    pub(super) fn dns(&mut self, flow: FlowId, side: Side, time: Timestamp, bytes: &[u8]) -> bool {
        // Looked at where it is: moving it costs a tenth of reading it.
        let read = dns::message(bytes);
        let message = match &read {
            Progress::Complete(message) => message,
            Progress::Incomplete => {
                self.count_event(Counter::DnsMalformed);
                return false;
            }
            Progress::Reject(counter) => {
                if let Some(counter) = counter {
                    self.count_event(*counter);
                }
                return false;
            }
        };
        if message.response {
            self.set_client(flow, 1 - side);
            self.dns_response(flow, time, message);
        } else if message.is_standard_query() {
            self.set_client(flow, side);
            self.dns_query(flow, time, message);
        }
        true
    }

    fn dns_query(&mut self, flow: FlowId, time: Timestamp, query: &dns::Message<'_>) {
        let (client, server) = self.endpoints(flow);
        let mut text = dns::NameText::new();
        for question in &query.questions {
            let name = match question.name(&mut text) {
                Ok(name) => name,
                Err(NotAHostname::Empty) => continue,
                Err(_) => {
                    self.count_event(Counter::DnsBadName);
                    continue;
                }
            };
            self.health(time.minute()).dns_questions += 1;
            if server.port == dns::PORT {
                self.observe(flow, time, Seen::Dns, name, Hints::default());
            }
            if self.settings.home.contains(client.address) {
                let hour = self.hour(time.minute());
                self.count_question(client.address, name, hour, time);
            }
            if self.settings.flows {
                self.set_name(flow, name, NameSource::Dns);
            }
        }
    }

    fn count_question(&mut self, client: Address, name: &str, hour: Hour, time: Timestamp) {
        // Names that nobody has need not be taken in where there is no room for their sums.
        if !self.allowance.may_question() {
            let key = |name| QuestionKey { client, name, hour };
            let known = self.names.find(name).and_then(|name| self.questions.get_mut(&key(name)));
            return match known {
                Some(questions) => questions.add(time),
                None => self.count_event(Counter::QuestionDropped),
            };
        }
        let key = QuestionKey { client, name: self.intern_question(name), hour };
        let sums = self.questions.entry_if(key, || self.allowance.question());
        let is_new = sums.map(|(questions, is_new)| {
            questions.add(time);
            is_new
        });
        if is_new.is_none() {
            self.count_event(Counter::QuestionDropped);
        }
        // The sums hold a name once.
        if is_new != Some(true) {
            self.names.release(key.name);
        }
    }

    fn dns_response(&mut self, flow: FlowId, time: Timestamp, response: &dns::Message<'_>) {
        let (client, resolver) = self.endpoints(flow);
        let mut answers = dns::Answers::default();
        if let Err(counter) = response.read_answers(&mut answers) {
            return self.count_event(counter);
        }
        self.health(time.minute()).dns_answers += 1;
        let hour = self.hour(time.minute());
        let asker = value_of(client.address);
        self.note_trait(resolver.address, hour, Trait::AnswersDns, asker);
        let mut text = dns::NameText::new();
        let mut last: Option<(u8, u32)> = None;
        for answer in &answers.addresses {
            if self.part.answers.len() >= ANSWERS_MAX || !self.allowance.answer() {
                self.count_event(Counter::AnswerDropped);
                break;
            }
            // Answers to one question stand together: its name is read and looked up once.
            let name = match last {
                Some((question, name)) if question == answer.question => {
                    self.names.hold_again(name)
                }
                _ => {
                    let Some(question) = response.questions.get(usize::from(answer.question))
                    else {
                        continue;
                    };
                    let Ok(name) = question.name(&mut text) else { continue };
                    let name = self.intern(name);
                    last = Some((answer.question, name));
                    name
                }
            };
            self.part.answers.push(Answer {
                client: client.address,
                resolver: resolver.address,
                name,
                address: answer.address,
                time,
                ttl_seconds: answer.ttl_seconds,
            });
        }
        for service in &answers.services {
            for config in service.ech() {
                if self.part.ech_offers.len() < ANSWERS_MAX
                    && self.allowance.hint(size_of::<EchOffer>())
                {
                    self.part.ech_offers.push(EchOffer {
                        client: client.address,
                        time,
                        ttl_seconds: service.ttl_seconds,
                        config_id: config.config_id,
                        public_name: config.public_name,
                    });
                }
            }
        }
    }

    /// Notes the client of a DHCP message.
    pub(super) fn note_client(&mut self, item: &Item<'_>, payload: &[u8]) {
        let client = presence::dhcp_client(payload);
        if let Some(client) = client.filter(|&client| self.settings.home.contains(client)) {
            let hour = self.hour(item.minute);
            self.part.note_present(client, hour);
        }
    }

    /// Keeps what devices call themselves on the link.
    pub(super) fn device_names(&mut self, protocol: NameProtocol, sender: Address, payload: &[u8]) {
        match device_name::device_names(protocol, payload) {
            Ok(names) => {
                for name in names.into_iter().filter(|name| name.name_use == NameUse::Claim) {
                    let named = (name.address.unwrap_or(sender), name);
                    if self.part.device_names.len() < HINTS_MAX
                        && self.allowance.hint(size_of_val(&named))
                    {
                        self.part.device_names.push(named);
                    }
                }
            }
            Err(counter) => self.count_event(counter),
        }
    }
}

/// The protocol in which devices name themselves, where the packet's ports say so.
pub(super) fn name_protocol(packet: &Packet) -> Option<NameProtocol> {
    let of_port = NameProtocol::of_port(packet.destination_port);
    of_port.or_else(|| NameProtocol::of_port(packet.source_port))
}
