//! What a DNS response says, worked out slowly and plainly from another reader's view of it.

use std::collections::HashMap;
use std::net::IpAddr;

use shadowscope::dissect::Progress;
use shadowscope::dissect::dns::{self, Answers, Message};

/// A name as its labels, in lower case.
pub(crate) type Name = Vec<Vec<u8>>;

/// A message as another reader sees it.
#[derive(Debug, Default)]
pub(crate) struct Reference {
    /// Whether it is a response to a standard query.
    pub(crate) standard_response: bool,
    pub(crate) questions: Vec<Name>,
    pub(crate) answers: Vec<Record>,
    pub(crate) additional: Vec<Record>,
}

/// A record of class IN.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) owner: Name,
    pub(crate) ttl_seconds: u32,
    pub(crate) data: Data,
}

#[derive(Clone, Debug)]
pub(crate) enum Data {
    Address(IpAddr),
    Alias(Name),
    /// A service binding; a target of no labels is the owner.
    #[allow(dead_code, reason = "not every reader knows them")]
    Service {
        priority: u16,
        target: Name,
        hints: Vec<IpAddr>,
    },
    Other,
}

impl Reference {
    /// Through the `dns-parser` crate; none if it refuses the message. Only for short messages:
    /// its cost is quadratic, and it prints names by recursion.
    pub(crate) fn from_dns_parser(bytes: &[u8]) -> Option<Reference> {
        use dns_parser::{Class, Opcode, Packet, RData, ResourceRecord};
        let packet = Packet::parse(bytes).ok()?;
        let name = |name: dns_parser::Name<'_>| -> Name {
            let text = name.to_string().to_ascii_lowercase();
            text.split('.').filter(|label| !label.is_empty()).map(|label| label.into()).collect()
        };
        let records = |records: &[ResourceRecord<'_>]| {
            let in_class_in =
                records.iter().filter(|record| record.cls == Class::IN && !record.multicast_unique);
            let record = |record: &ResourceRecord<'_>| Record {
                owner: name(record.name),
                ttl_seconds: record.ttl,
                data: match &record.data {
                    RData::A(address) => Data::Address(address.0.into()),
                    RData::AAAA(address) => Data::Address(address.0.into()),
                    RData::CNAME(target) => Data::Alias(name(target.0)),
                    _ => Data::Other,
                },
            };
            in_class_in.map(record).collect()
        };
        Some(Reference {
            standard_response: !packet.header.query
                && packet.header.opcode == Opcode::StandardQuery,
            questions: packet.questions.iter().map(|question| name(question.qname)).collect(),
            answers: records(&packet.answers),
            additional: records(&packet.additional),
        })
    }

    /// The addresses given, with question and TTL.
    pub(crate) fn addresses(&self) -> Vec<(u8, IpAddr, u32)> {
        if !self.standard_response {
            return Vec::new();
        }
        let mut reached: HashMap<&Name, (u8, u32)> = HashMap::new();
        for (number, question) in self.questions.iter().enumerate() {
            reached.entry(question).or_insert((number as u8, u32::MAX));
        }
        let has_service = self.answers.iter().any(|record| match &record.data {
            Data::Service { priority, target, .. } => *priority != 0 || !target.is_empty(),
            _ => false,
        });
        let additional = if has_service { &self.additional[..] } else { &[] };
        let records = || self.answers.iter().chain(additional);
        for _ in 0..dns::CHAIN_LENGTH_MAX {
            for record in records() {
                let target = match &record.data {
                    Data::Alias(target) => target,
                    Data::Service { target, .. } if !target.is_empty() => target,
                    _ => continue,
                };
                if let Some(&(question, ttl)) = reached.get(&record.owner) {
                    reached.entry(target).or_insert((question, ttl.min(record.ttl_seconds)));
                }
            }
        }
        let mut addresses = Vec::new();
        for record in records() {
            let Some(&(question, ttl)) = reached.get(&record.owner) else { continue };
            let ttl = ttl.min(record.ttl_seconds);
            match &record.data {
                Data::Address(address) => addresses.push((question, *address, ttl)),
                Data::Service { priority: 1.., hints, .. } => {
                    addresses.extend(hints.iter().map(|hint| (question, *hint, ttl)));
                }
                _ => {}
            }
        }
        addresses
    }

    /// Panics unless our reader sees the same questions and answers.
    pub(crate) fn agrees(&self, message: &Message<'_>, answers: &Answers<'_>) {
        assert_eq!(message.questions.len(), self.questions.len());
        for (ours, theirs) in message.questions.iter().zip(&self.questions) {
            let usual = theirs
                .iter()
                .flatten()
                .all(|byte| matches!(byte, b'-' | b'_') || byte.is_ascii_alphanumeric());
            if usual && theirs.iter().any(|label| !label.iter().all(u8::is_ascii_digit)) {
                let text = String::from_utf8(theirs.join(&b'.')).expect("ASCII");
                assert_eq!(ours.name(&mut Default::default()).expect("a hostname"), text);
            }
        }
        let ours: Vec<_> = answers
            .addresses
            .iter()
            .map(|answer| (answer.question, answer.address.to_ip(), answer.ttl_seconds))
            .collect();
        let theirs: Vec<_> = self
            .addresses()
            .into_iter()
            .map(|(question, address, ttl)| (question, address.to_canonical(), ttl))
            .collect();
        assert_eq!(ours, theirs, "{self:?}");
    }
}

/// The message and its answers, if our reader accepts both.
pub(crate) fn accepted(bytes: &[u8]) -> Option<(Message<'_>, Answers<'_>)> {
    let Progress::Complete(message) = dns::message(bytes) else { return None };
    let answers = message.answers().ok()?;
    Some((message, answers))
}
