//! Everything that reads DNS from the network, shown the same bytes.

use shadowscope::dissect::Progress;
use shadowscope::dissect::device_name::{NameProtocol, device_names};
use shadowscope::dissect::dns;

use super::dns_message;
use super::dns_reference::{Reference, accepted};

/// The longest message shown to the other reader, in bytes.
const REFERENCE_LENGTH_MAX: usize = 600;

/// The first byte says whether the others are a message or decide on one.
pub(crate) fn run(data: &[u8]) {
    match data.split_first() {
        None => {}
        Some((mode, bytes)) if mode % 2 == 0 => read(bytes),
        Some((_, choices)) => read(&dns_message::generate(choices)),
    }
}

fn read(bytes: &[u8]) {
    read_message(bytes);
    if let Some(framed) = dns::framed(bytes) {
        assert!(framed.message.len() <= framed.length - 2);
        read_message(framed.message);
    }
    for protocol in [NameProtocol::Mdns, NameProtocol::Llmnr, NameProtocol::Nbns] {
        for name in device_names(protocol, bytes).unwrap_or_default() {
            assert!(!name.name.is_empty() && !name.name.chars().any(char::is_control));
        }
    }
}

fn read_message(bytes: &[u8]) {
    if dns::looks_like_query(bytes) {
        let (message, _) = accepted(bytes).expect("what looks like a query is one");
        assert!(message.is_standard_query() && message.questions.len() == 1);
        assert!(
            message.questions[0].name(&mut Default::default()).is_ok_and(|name| name.contains('.'))
        );
    }
    if let Progress::Complete(message) = dns::message(bytes) {
        for question in &message.questions {
            let _ = question.name(&mut Default::default());
        }
    }
    let Some((message, answers)) = accepted(bytes) else { return };
    for answer in &answers.addresses {
        assert!(usize::from(answer.question) < message.questions.len());
        assert!(answer.ttl_seconds <= i32::MAX as u32);
    }
    for service in &answers.services {
        assert!(usize::from(service.question) < message.questions.len() && service.priority > 0);
        service.alpn();
        service.ech();
    }
    // The other reader prints labels with dots as if they were several.
    if bytes.len() <= REFERENCE_LENGTH_MAX
        && !bytes.contains(&b'.')
        && let Some(reference) = Reference::from_dns_parser(bytes)
    {
        reference.agrees(&message, &answers);
    }
}
