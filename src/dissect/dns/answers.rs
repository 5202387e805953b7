//! Which addresses a response gives for which question: through aliases, and with the least TTL
//! on the way.
//!
//! Answers are believed only where a chain of aliases leads from a question to their owner, in
//! whatever order the records stand. Addresses in the additional section are not, because stub
//! resolvers don't look there, unless a service binding sent them (RFC 9460, 4.1).
//!
//! Two passes: the first notes the records of interest and gives each distinct name a number, the
//! second follows the aliases by number. The cost is bounded by [`ANSWERS_MAX`] records and the
//! bounds on names, whatever the bytes.

use arrayvec::ArrayVec;

use super::name::{self, Fault, Walked};
use super::record::{self, CLASS_IN, Record};
use super::service::{self, Binding, Service};
use super::{Message, QUESTIONS_MAX, kind};
use crate::net::Address;

/// The most answers of a message, and the most records of interest in its answer and additional
/// sections together.
pub const ANSWERS_MAX: usize = 64;

/// The most aliases in a row that are followed, as many as resolvers do at most.
pub const CHAIN_LENGTH_MAX: usize = 16;

/// The most service bindings kept of a message.
pub const SERVICES_MAX: usize = 8;

/// Each question and each record of interest has an owner, and the latter may have a target.
const NAMES_MAX: usize = QUESTIONS_MAX + 2 * ANSWERS_MAX;
const _: () = assert!(NAMES_MAX <= u8::MAX as usize, "names are numbered with a u8");

/// An address given for a question, by an A or AAAA record or as a hint of an HTTPS or SVCB
/// record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Which of the message's questions it was given for.
    pub question: u8,
    /// Seconds it may be used for: the least of its own and of the aliases that lead to it.
    pub ttl_seconds: u32,
    /// The address.
    pub address: Address,
}

/// What a response answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers<'a> {
    /// Addresses in the order of the message. One may be there twice, as record and as hint.
    pub addresses: ArrayVec<Answer, ANSWERS_MAX>,
    /// HTTPS and SVCB records.
    pub services: ArrayVec<Service<'a>, SERVICES_MAX>,
    /// Whether the message ended before all of its answers: what stood before is there.
    pub cut: bool,
}

/// Where a name is reached from, if it is.
#[derive(Clone, Copy, Debug)]
struct Origin {
    question: u8,
    ttl_seconds: u32,
}

/// A distinct name of the message.
#[derive(Debug)]
struct Name {
    /// Offset of its first label, or of its only pointer's target.
    start: usize,
    /// Its octets: names of other lengths are others.
    octets: u8,
    /// Of its labels; made when it is first compared with another name of its length.
    sum: Option<u64>,
    origin: Option<Origin>,
}

/// A record of interest.
#[derive(Debug)]
struct Noted<'a> {
    owner: u8,
    ttl_seconds: u32,
    data: Data<'a>,
}

#[derive(Debug)]
enum Data<'a> {
    Address(Address),
    Alias { target: u8 },
    Service { binding: Binding<'a>, target: Option<u8> },
}

/// What the first pass gathers.
#[derive(Default)]
struct Notes<'a> {
    names: ArrayVec<Name, NAMES_MAX>,
    records: ArrayVec<Noted<'a>, ANSWERS_MAX>,
    aliases: bool,
    services: bool,
}

/// Reads the answers of a response whose records begin at `at` into `answers`, which is empty.
///
/// # Errors
/// [`Fault::Malformed`]; a message that ends early gives what stood before.
pub(super) fn read<'a>(
    message: &Message<'a>,
    at: usize,
    answers: &mut Answers<'a>,
) -> Result<(), Fault> {
    let mut notes = Notes::default();
    for (question, asked) in message.questions.iter().enumerate() {
        let start = asked.name_offset.into();
        let number = notes.number_at(message.bytes, start, asked.name_octets)?;
        let origin = Origin { question: question as u8, ttl_seconds: u32::MAX };
        notes.reach(number, origin);
    }
    answers.cut = match notes.note_sections(message, at) {
        Ok(()) => false,
        Err(Fault::Cut) => true,
        Err(Fault::Malformed) => return Err(Fault::Malformed),
    };
    if notes.aliases {
        notes.follow_aliases();
    }
    notes.answer(answers)
}

impl<'a> Notes<'a> {
    /// Notes the answers; and, where a service binding may have a target, what the additional
    /// section says about that (RFC 9460, 4.1).
    fn note_sections(&mut self, message: &Message<'a>, mut at: usize) -> Result<(), Fault> {
        let bytes = message.bytes;
        at = self.note_section(bytes, at, message.answer_count)?;
        if self.services {
            at = record::skip_records(bytes, at, message.authority_count)?;
            self.note_section(bytes, at, message.additional_count)?;
        }
        Ok(())
    }

    /// Notes the records of one section that begins at `at`, and says where it ends.
    fn note_section(
        &mut self,
        message: &'a [u8],
        mut at: usize,
        count: u16,
    ) -> Result<usize, Fault> {
        for _ in 0..count {
            let record = record::read(message, at)?;
            at = record.data.end;
            if record.class == CLASS_IN {
                self.note(message, &record)?;
            }
        }
        Ok(at)
    }

    /// Notes one record if it is of interest.
    #[inline]
    fn note(&mut self, message: &'a [u8], record: &Record) -> Result<(), Fault> {
        let bytes = message.get(record.data.clone()).unwrap_or_default();
        let data = match record.kind {
            kind::A => Data::Address(Address::v4(exactly(bytes)?)),
            kind::AAAA => Data::Address(Address::v6(exactly(bytes)?)),
            kind::CNAME => {
                let (target, end) = self.number(message, record.data.start)?;
                if end != record.data.end {
                    return Err(Fault::Malformed);
                }
                self.aliases = true;
                Data::Alias { target }
            }
            kind::HTTPS | kind::SVCB => {
                let Some(binding) = service::binding(message, record.data.clone()) else {
                    return Ok(());
                };
                let target = match binding.target {
                    Some(target) => Some(self.number(message, target)?.0),
                    None => None,
                };
                let data = match target {
                    // An alias to the root: there is no such service (RFC 9460, 2.5.1).
                    None if binding.priority == 0 => return Ok(()),
                    Some(target) if binding.priority == 0 => Data::Alias { target },
                    target => Data::Service { binding, target },
                };
                self.services = true;
                self.aliases |= target.is_some();
                data
            }
            _ => return Ok(()),
        };
        let (owner, _) = self.number(message, record.owner)?;
        let noted = Noted { owner, ttl_seconds: record.ttl_seconds, data };
        self.records.try_push(noted).map_err(|_| Fault::Malformed)
    }

    /// The number of the name at `at`, and the offset behind it where it stands. Where the message
    /// ends inside the name, it is cut: a name may reach beyond the record that refers to it.
    #[inline]
    fn number(&mut self, message: &[u8], at: usize) -> Result<(u8, usize), Fault> {
        // Nearly every owner is a pointer to a name that has been read before.
        let pointer = name::pointer_target(message, at).filter(|&target| target < at);
        if let Some(start) = pointer
            && let Some(known) = self.names.iter().position(|name| name.start == start)
        {
            return Ok((known as u8, at + 2));
        }
        let Walked { end, octets, .. } = name::walk(message, at, |_| ())?;
        Ok((self.number_at(message, pointer.unwrap_or(at), octets)?, end))
    }

    /// The number of the name of so many octets whose first label, or only pointer's target, stands
    /// at `start`.
    fn number_at(&mut self, message: &[u8], start: usize, octets: u8) -> Result<u8, Fault> {
        let mut sum = None;
        for (known, name) in self.names.iter_mut().enumerate() {
            if name.octets != octets {
                continue;
            }
            if name.sum.is_none() {
                name.sum = Some(name::sum(message, name.start)?);
            }
            if sum.is_none() {
                sum = Some(name::sum(message, start)?);
            }
            if name.sum != sum {
                continue;
            }
            // Different names with equal sums are not met by chance. Refusing them keeps the
            // comparison to one a name.
            let same = name::same(message, name.start, start);
            return if same { Ok(known as u8) } else { Err(Fault::Malformed) };
        }
        let number = self.names.len() as u8;
        let name = Name { start, octets, sum, origin: None };
        self.names.try_push(name).map_err(|_| Fault::Malformed)?;
        Ok(number)
    }

    /// Marks a name as reached, if it was not; says whether that is news.
    fn reach(&mut self, number: u8, origin: Origin) -> bool {
        match self.names.get_mut(usize::from(number)) {
            Some(name) if name.origin.is_none() => {
                name.origin = Some(origin);
                true
            }
            _ => false,
        }
    }

    /// Where the owner of a record is reached from, with the record's TTL counted in.
    fn origin(&self, record: &Noted<'_>) -> Option<Origin> {
        let Origin { question, ttl_seconds } = self.names.get(usize::from(record.owner))?.origin?;
        Some(Origin { question, ttl_seconds: ttl_seconds.min(record.ttl_seconds) })
    }

    /// Follows aliases from the questions. Once over the records is enough when they stand in
    /// order, as they mostly do.
    fn follow_aliases(&mut self) {
        for _ in 0..CHAIN_LENGTH_MAX {
            let mut news = false;
            for index in 0..self.records.len() {
                let Some(record) = self.records.get(index) else { break };
                let (Data::Alias { target } | Data::Service { target: Some(target), .. }) =
                    record.data
                else {
                    continue;
                };
                if let Some(origin) = self.origin(record) {
                    news |= self.reach(target, origin);
                }
            }
            if !news {
                break;
            }
        }
    }

    /// Adds what is answered, now that all aliases are followed.
    fn answer(&self, answers: &mut Answers<'a>) -> Result<(), Fault> {
        for record in &self.records {
            let Some(Origin { question, ttl_seconds }) = self.origin(record) else { continue };
            let mut push = |address| {
                let answer = Answer { question, ttl_seconds, address };
                answers.addresses.try_push(answer).map_err(|_| Fault::Malformed)
            };
            match &record.data {
                Data::Address(address) => push(*address)?,
                Data::Alias { .. } => {}
                Data::Service { binding, .. } => {
                    binding.parameters.hints().try_for_each(push)?;
                    let service = Service::new(question, ttl_seconds, *binding);
                    answers.services.try_push(service).map_err(|_| Fault::Malformed)?;
                }
            }
        }
        Ok(())
    }
}

/// The data of a record whose type fixes its length.
fn exactly<const N: usize>(data: &[u8]) -> Result<[u8; N], Fault> {
    data.try_into().map_err(|_| Fault::Malformed)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Response, accepted, hex, wire};
    use super::super::tests::{TEAMS, YOUTUBE};
    use super::*;

    /// Addresses with question and TTL, as text.
    fn addresses(bytes: &[u8]) -> Vec<String> {
        let answers = accepted(bytes).answers().unwrap();
        let text = |answer: &Answer| {
            format!("{} {} {}", answer.question, answer.address, answer.ttl_seconds)
        };
        answers.addresses.iter().map(text).collect()
    }

    #[test]
    fn addresses_are_given_for_the_question_with_the_least_ttl_of_the_chain() {
        let youtube = addresses(&hex(YOUTUBE));
        assert_eq!(youtube.len(), 8);
        assert_eq!(youtube[0], "0 216.58.204.142 87");
        assert_eq!(youtube[7], "0 216.58.205.46 87");
        assert_eq!(addresses(&hex(TEAMS)), ["0 52.113.194.131 141"]);
    }

    #[test]
    fn the_order_of_records_and_the_case_of_names_do_not_matter() {
        let bytes = Response::to("www.example.com", kind::A)
            .answer("c.example.net", kind::A, 50, &[192, 0, 2, 1])
            .answer("B.example.net", kind::CNAME, 40, &wire("C.example.net"))
            .answer("WWW.Example.COM", kind::CNAME, 60, &wire("b.EXAMPLE.net"))
            .bytes();
        assert_eq!(addresses(&bytes), ["0 192.0.2.1 40"]);
    }

    #[test]
    fn addresses_of_other_names_are_not_believed() {
        let bytes = Response::to("www.example.com", kind::A)
            .answer("other.example.com", kind::A, 60, &[192, 0, 2, 66])
            .answer("www.example.com", kind::A, 60, &[192, 0, 2, 1])
            .authority("www.example.com", kind::A, &[192, 0, 2, 67])
            .additional("www.example.com", kind::A, 60, &[192, 0, 2, 68])
            .bytes();
        assert_eq!(addresses(&bytes), ["0 192.0.2.1 60"]);
    }

    #[test]
    fn each_address_says_for_which_question_it_was_given() {
        let bytes = Response::to("a.example", kind::A)
            .question("b.example", kind::AAAA)
            .answer("b.example", kind::AAAA, 60, &[0x20; 16])
            .answer("a.example", kind::A, 60, &[192, 0, 2, 1])
            .bytes();
        let expected = ["1 2020:2020:2020:2020:2020:2020:2020:2020 60", "0 192.0.2.1 60"];
        assert_eq!(addresses(&bytes), expected);
    }

    #[test]
    fn aliases_that_go_round_end() {
        let bytes = Response::to("a.example", kind::A)
            .answer("a.example", kind::CNAME, 60, &wire("b.example"))
            .answer("b.example", kind::CNAME, 60, &wire("a.example"))
            .answer("b.example", kind::A, 60, &[192, 0, 2, 1])
            .bytes();
        assert_eq!(addresses(&bytes), ["0 192.0.2.1 60"]);
    }

    #[test]
    fn chains_are_followed_up_to_their_bound_whatever_their_order() {
        // Backwards, so that each pass gets one alias further.
        let chain = |length: usize| {
            let mut response = Response::to("n0.example", kind::A);
            for link in (0..length).rev() {
                let (owner, target) =
                    (format!("n{link}.example"), format!("n{}.example", link + 1));
                response = response.answer(&owner, kind::CNAME, 60, &wire(&target));
            }
            let last = format!("n{length}.example");
            addresses(&response.answer(&last, kind::A, 60, &[192, 0, 2, 1]).bytes()).len()
        };
        assert_eq!(chain(CHAIN_LENGTH_MAX), 1);
        assert_eq!(chain(CHAIN_LENGTH_MAX + 1), 0);
    }

    #[test]
    fn records_of_other_types_and_classes_are_passed_over() {
        let mut chaos = Response::to("a.example", kind::A)
            .answer("a.example", kind::A, 60, &[192, 0, 2, 66])
            .bytes();
        let class_at = chaos.len() - 11;
        chaos[class_at] = 3;
        assert_eq!(addresses(&chaos), [""; 0]);

        const RRSIG: u16 = 46;
        let bytes = Response::to("a.example", kind::A)
            .answer("a.example", RRSIG, 60, &[0xff; 40])
            .answer("a.example", 65_280, 60, &[])
            .answer("a.example", kind::A, 60, &[192, 0, 2, 1])
            .bytes();
        assert_eq!(addresses(&bytes), ["0 192.0.2.1 60"]);
    }

    #[test]
    fn a_ttl_with_the_upper_bit_set_is_zero() {
        let bytes = Response::to("a.example", kind::A)
            .answer("a.example", kind::A, 0x8000_0001, &[192, 0, 2, 1])
            .bytes();
        assert_eq!(addresses(&bytes), ["0 192.0.2.1 0"]);
    }

    #[test]
    fn what_stands_before_a_cut_is_kept() {
        let bytes = hex(YOUTUBE);
        let mut counts = Vec::new();
        for length in 33..=bytes.len() {
            let answers = accepted(&bytes[..length]).answers().unwrap();
            // Four IPv6 addresses and EDNS stand behind the answers.
            assert_eq!(answers.cut, length < bytes.len() - 4 * 28 - 11, "{length}");
            counts.push(answers.addresses.len());
        }
        assert!(counts.is_sorted());
        counts.dedup();
        assert_eq!(counts, (0..=8).collect::<Vec<_>>());
    }

    #[test]
    fn a_record_whose_length_belies_its_type_is_refused() {
        for (kind, data) in [
            (kind::A, &[192, 0, 2][..]),
            (kind::AAAA, &[0; 17]),
            (kind::CNAME, b"\x01a\0\0"),
            (kind::CNAME, b"\x01a"),
            (kind::CNAME, b""),
        ] {
            let bytes = Response::to("a.example", kind::A)
                .answer("a.example", kind, 60, data)
                .answer("a.example", kind::A, 60, &[192, 0, 2, 1])
                .bytes();
            let counter = accepted(&bytes).answers().unwrap_err();
            assert_eq!(counter.name(), "dns_malformed", "{kind} {data:?}");
        }
    }

    #[test]
    fn a_service_binding_gives_hints_and_leads_to_its_target() {
        // Priority 1, target svc.example.net, ipv4hint 192.0.2.2.
        let mut binding = vec![0, 1];
        binding.extend(wire("svc.example.net"));
        binding.extend([0, 4, 0, 4, 192, 0, 2, 2]);
        let response = || {
            Response::to("www.example.com", kind::HTTPS)
                .answer("www.example.com", kind::HTTPS, 60, &binding)
                .authority("example.com", 2, &wire("ns.example.com"))
                .additional("svc.example.net", kind::A, 30, &[192, 0, 2, 1])
        };
        let bytes = response().bytes();
        assert_eq!(addresses(&bytes), ["0 192.0.2.2 60", "0 192.0.2.1 30"]);
        let answers = accepted(&bytes).answers().unwrap();
        let service = answers.services[0];
        assert_eq!((service.question, service.ttl_seconds, service.priority), (0, 60, 1));

        let unasked = response().additional("ns.example.com", kind::A, 30, &[192, 0, 2, 3]);
        assert_eq!(addresses(&unasked.bytes()).len(), 2);
    }

    #[test]
    fn an_alias_of_a_service_binding_is_followed() {
        let mut alias = vec![0, 0];
        alias.extend(wire("pool.example.net"));
        let bytes = Response::to("example.com", kind::HTTPS)
            .answer("example.com", kind::HTTPS, 60, &alias)
            .additional("pool.example.net", kind::AAAA, 30, &[0x20; 16])
            .bytes();
        assert_eq!(addresses(&bytes), ["0 2020:2020:2020:2020:2020:2020:2020:2020 30"]);
        assert!(accepted(&bytes).answers().unwrap().services.is_empty());
    }

    #[test]
    fn more_hints_than_answers_may_be_are_refused() {
        let mut binding = vec![0, 1, 0, 0, 4];
        binding.extend((4 * (ANSWERS_MAX as u16 + 1)).to_be_bytes());
        binding.extend([10; 4 * (ANSWERS_MAX + 1)]);
        let bytes = Response::to("a.example", kind::HTTPS)
            .answer("a.example", kind::HTTPS, 60, &binding)
            .bytes();
        assert!(accepted(&bytes).answers().is_err());
    }
}
