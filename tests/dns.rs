//! DNS against two other readers, on generated messages and on those of captures.

use std::path::{Path, PathBuf};

use crate::fuzz_corpus::{dns_message, dns_reference};
use dns_reference::{Data, Name, Record, Reference, accepted};
use etherparse::{SlicedPacket, TransportSlice};
use hickory_proto::op::{Message, MessageType, OpCode};
use hickory_proto::rr::rdata::svcb::SvcParamValue;
use hickory_proto::rr::{self, DNSClass, RData};
use pcap_parser::{PcapBlockOwned, create_reader};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use shadowscope::dissect::{Progress, dns};

/// Through the `hickory-proto` crate; none if it refuses the message.
fn from_hickory(bytes: &[u8]) -> Option<Reference> {
    let message = Message::from_vec(bytes).ok()?;
    let records = |records: &[rr::Record]| {
        records.iter().filter(|record| record.dns_class == DNSClass::IN).map(from_record).collect()
    };
    Some(Reference {
        standard_response: message.metadata.message_type == MessageType::Response
            && message.metadata.op_code == OpCode::Query,
        questions: message.queries.iter().map(|query| labels(&query.name)).collect(),
        answers: records(&message.answers),
        additional: records(&message.additionals),
    })
}

fn from_record(record: &rr::Record) -> Record {
    let data = match &record.data {
        RData::A(address) => Data::Address(address.0.into()),
        RData::AAAA(address) => Data::Address(address.0.into()),
        RData::CNAME(target) => Data::Alias(labels(&target.0)),
        RData::HTTPS(rr::rdata::HTTPS(binding)) | RData::SVCB(binding) => {
            let mut hints = Vec::new();
            for (_, value) in &binding.svc_params {
                match value {
                    SvcParamValue::Ipv4Hint(list) => {
                        hints
                            .extend(list.0.iter().map(|address| std::net::IpAddr::from(address.0)));
                    }
                    SvcParamValue::Ipv6Hint(list) => {
                        hints
                            .extend(list.0.iter().map(|address| std::net::IpAddr::from(address.0)));
                    }
                    _ => {}
                }
            }
            let target = labels(&binding.target_name);
            Data::Service { priority: binding.svc_priority, target, hints }
        }
        _ => Data::Other,
    };
    // A TTL with the upper bit set counts as 0 (RFC 2181, 8).
    let ttl_seconds = if record.ttl >> 31 == 0 { record.ttl } else { 0 };
    Record { owner: labels(&record.name), ttl_seconds, data }
}

fn labels(name: &rr::Name) -> Name {
    name.iter().map(|label| label.to_ascii_lowercase()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    /// Whatever two readers accept, they understand alike.
    #[test]
    fn we_agree_with_other_readers(choices in prop::collection::vec(any::<u8>(), 0..300)) {
        let bytes = dns_message::generate(&choices);
        if let Some((message, answers)) = accepted(&bytes) {
            if let Some(reference) = from_hickory(&bytes) {
                reference.agrees(&message, &answers);
            }
            if !bytes.contains(&b'.') && let Some(reference) = Reference::from_dns_parser(&bytes) {
                reference.agrees(&message, &answers);
            }
        }
    }

    /// A message that is cut gives what its beginning gave: never another answer, never more.
    #[test]
    fn a_cut_message_gives_a_part_of_the_whole(
        choices in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let bytes = dns_message::generate(&choices);
        let Some((whole, _)) = accepted(&bytes) else { return Ok(()) };
        for length in 0..bytes.len() {
            match dns::message(&bytes[..length]) {
                Progress::Complete(part) => {
                    prop_assert!(part.questions.len() <= whole.questions.len());
                    for (mine, all) in part.questions.iter().zip(&whole.questions) {
                        let (mut one, mut other) = Default::default();
                        prop_assert_eq!(mine.name(&mut one), all.name(&mut other));
                    }
                    prop_assert!(part.answers().is_ok());
                }
                Progress::Incomplete => {}
                Progress::Reject(counter) => prop_assert!(false, "{counter:?} at {length}"),
            }
        }
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Some((message, answers)) = accepted(&bytes) {
            for question in &message.questions {
                let _ = question.name(&mut Default::default());
            }
            for service in &answers.services {
                service.alpn();
                service.ech();
            }
        }
        dns::looks_like_query(&bytes);
    }
}

/// The generator must reach what the comparison is about, or agreement says nothing.
#[test]
fn generated_messages_are_worth_comparing() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let choices = prop::collection::vec(any::<u8>(), 0..300);
    let (mut compared, mut aliased, mut with_hints) = (0, 0, 0);
    for _ in 0..16_384 {
        let choices = choices.new_tree(&mut runner).expect("a tree").current();
        let bytes = dns_message::generate(&choices);
        let Some((_, answers)) = accepted(&bytes) else { continue };
        let Some(reference) = from_hickory(&bytes) else { continue };
        compared += 1;
        with_hints +=
            usize::from(answers.services.iter().any(|service| !service.alpn().is_empty()));
        let owners: Vec<_> = reference.questions.iter().collect();
        aliased += usize::from(reference.answers.iter().any(|record| {
            matches!(record.data, Data::Address(_))
                && !owners.contains(&&record.owner)
                && !answers.addresses.is_empty()
        }));
    }
    assert!(
        compared > 2000 && aliased > 50 && with_hints > 15,
        "{compared} {aliased} {with_hints}"
    );
}

/// All messages to or from port 53 in the captures of a folder, where one is named.
#[test]
fn captured_messages_are_understood_as_others_do() {
    let Some(folder) = std::env::var_os("SHADOWSCOPE_CAPTURES") else { return };
    let (mut messages, mut questions, mut compared) = (0, 0, 0);
    for file in files(Path::new(&folder)) {
        for_each_dns_payload(&file, |bytes| {
            messages += 1;
            let Some((message, answers)) = accepted(bytes) else { return };
            questions += usize::from(!message.questions.is_empty());
            if let Some(reference) = from_hickory(bytes) {
                compared += 1;
                reference.agrees(&message, &answers);
            }
        });
    }
    println!("{messages} messages, {questions} with a question, {compared} compared");
    assert!(messages == 0 || questions * 100 >= messages * 95, "{questions} of {messages}");
}

/// The files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder of captures").flatten() {
        match entry.path() {
            path if path.is_dir() => found.extend(files(&path)),
            path => found.push(path),
        }
    }
    found.sort();
    found
}

/// Shows `visit` the messages from and to port 53 in Ethernet and raw IP frames; over TCP those
/// that lie in one segment.
fn for_each_dns_payload(file: &Path, mut visit: impl FnMut(&[u8])) {
    let bytes = std::fs::read(file).expect("a readable file");
    // The reader holds all of the file, so that it never asks for more.
    let Ok(mut reader) = create_reader(bytes.len().max(64), &bytes[..]) else { return };
    while let Ok((offset, block)) = reader.next() {
        match frame(&block).and_then(transport) {
            Some(TransportSlice::Udp(udp))
                if [udp.source_port(), udp.destination_port()].contains(&dns::PORT) =>
            {
                visit(udp.payload());
            }
            Some(TransportSlice::Tcp(tcp))
                if [tcp.source_port(), tcp.destination_port()].contains(&dns::PORT) =>
            {
                let mut stream = tcp.payload();
                while let Some(framed) = dns::framed(stream).filter(|framed| framed.whole) {
                    visit(framed.message);
                    stream = &stream[framed.length..];
                }
            }
            _ => {}
        }
        reader.consume(offset);
    }
}

fn frame<'a>(block: &'a PcapBlockOwned<'a>) -> Option<&'a [u8]> {
    match block {
        PcapBlockOwned::Legacy(packet) => Some(packet.data),
        PcapBlockOwned::NG(pcap_parser::Block::EnhancedPacket(packet)) => Some(packet.data),
        _ => None,
    }
}

fn transport(frame: &[u8]) -> Option<TransportSlice<'_>> {
    let sliced = SlicedPacket::from_ethernet(frame).or_else(|_| SlicedPacket::from_ip(frame));
    sliced.ok()?.transport
}
