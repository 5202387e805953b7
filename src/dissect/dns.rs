//! DNS messages (RFC 1035), over UDP and TCP.
//!
//! Learns from a query which names were asked for, and from a response which addresses (and
//! service bindings) were given for them. Names of questions are what users asked for; names that
//! aliases lead to are not reported.
//!
//! Assumes hostile bytes: questions, answers, labels and pointers are bounded, nothing is
//! allocated, and the cost of a message is bounded by its length and these bounds. Keeps what
//! stands before the end of a message that was cut, by its sender (TC) or by the capture. Does not
//! match responses to queries, judge answers or verify DNSSEC.
//!
//! The reader is our own rather than the `dns-parser` crate's, which refuses a message for one
//! record type it does not know (HTTPS among them), follows pointers in quadratic time, and prints
//! names by recursion without a bound. The crate's strictness is what recognition wants:
//! [`looks_like_query`] uses it behind the bounds kept here.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing))]

mod answers;
pub(super) mod name;
mod recognise;
pub(super) mod record;
mod service;
#[cfg(test)]
pub(super) mod testing;

use arrayvec::ArrayVec;

pub use self::answers::{ANSWERS_MAX, Answer, Answers, CHAIN_LENGTH_MAX, SERVICES_MAX};
pub use self::name::NameText;
pub use self::recognise::looks_like_query;
pub use self::service::{ECH_CONFIGS_MAX, EchConfig, SERVICE_ALPN_MAX, Service};

use self::name::{Fault, Walked};
use self::record::{HEADER_LENGTH, Header, QUESTION_FIXED_LENGTH};
use super::Progress;
use super::reader::Reader;
use crate::hostname::NotAHostname;
use crate::stats::Counter;

/// The port of DNS in the clear, UDP and TCP (RFC 1035, 4.2).
pub const PORT: u16 = 53;

/// The most questions of a message. More than one is legal and nearly unheard of (RFC 9619).
pub const QUESTIONS_MAX: usize = 4;

/// The longest message in bytes: TCP states its length in two bytes.
const MESSAGE_LENGTH_MAX: usize = 65_535;

/// OPCODE of a standard query (RFC 1035, 4.1.1).
pub const OPCODE_QUERY: u8 = 0;

/// Record types (IANA "Domain Name System Parameters") that the sensor tells apart.
pub mod kind {
    /// An IPv4 address (RFC 1035, 3.4.1).
    pub const A: u16 = 1;
    /// An alias (RFC 1035, 3.3.1).
    pub const CNAME: u16 = 5;
    /// An IPv6 address (RFC 3596, 2.1).
    pub const AAAA: u16 = 28;
    /// EDNS (RFC 6891, 6.1).
    pub const OPT: u16 = 41;
    /// A service binding (RFC 9460).
    pub const SVCB: u16 = 64;
    /// A service binding of HTTP (RFC 9460, 9).
    pub const HTTPS: u16 = 65;
}

/// A message, read in place: header and questions; answers are read on demand.
#[derive(Clone, Debug)]
pub struct Message<'a> {
    /// Chosen by the client, repeated in the response.
    pub id: u16,
    /// Whether this is a response (QR).
    pub response: bool,
    /// What is asked for; [`OPCODE_QUERY`] is the usual one.
    pub opcode: u8,
    /// Result, without the upper bits that EDNS adds; 0 is success, 3 "no such name".
    pub rcode: u8,
    /// Whether the sender left something out for lack of room (TC).
    pub truncated: bool,
    /// The questions; whole ones only, where the message was cut among them.
    pub questions: ArrayVec<Question<'a>, QUESTIONS_MAX>,
    bytes: &'a [u8],
    /// Offset behind the questions; none where the message ends before.
    records_offset: Option<usize>,
    answer_count: u16,
    authority_count: u16,
    additional_count: u16,
}

/// A question of a message.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The record type asked for; see [`kind`].
    pub kind: u16,
    /// The class asked in; 1 is the Internet.
    pub class: u16,
    name_offset: u16,
    /// Its octets without compression.
    name_octets: u8,
    message: &'a [u8],
}

/// The first message of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Framed<'a> {
    /// The message, as far as it has arrived.
    pub message: &'a [u8],
    /// Whether all of it has arrived.
    pub whole: bool,
    /// Bytes of the stream that it takes, the two of its length included, arrived or not.
    pub length: usize,
}

/// Reads header and questions of a message. The rest of a query is not looked at.
///
/// *Incomplete* means that the bytes end before the first whole question: in a datagram that the
/// capture holds entirely, that is damage.
///
/// *Reject* comes with [`Counter::DnsMalformed`]: a question's name is damaged, or there are more
/// than [`QUESTIONS_MAX`] questions or, in a response, [`ANSWERS_MAX`] answers.
pub fn message(bytes: &[u8]) -> Progress<Message<'_>> {
    let bytes = bytes.get(..MESSAGE_LENGTH_MAX).unwrap_or(bytes);
    let Some(header) = Header::read(bytes) else { return Progress::Incomplete };
    let response = header.response();
    if usize::from(header.questions) > QUESTIONS_MAX
        || response && usize::from(header.answers) > ANSWERS_MAX
    {
        return Progress::Reject(Some(Counter::DnsMalformed));
    }
    let mut message = Message {
        id: header.id,
        response,
        opcode: header.opcode(),
        rcode: header.rcode(),
        truncated: header.truncated(),
        questions: ArrayVec::new(),
        bytes,
        records_offset: None,
        answer_count: header.answers,
        authority_count: header.authority,
        additional_count: header.additional,
    };
    match message.read_questions(header.questions) {
        Ok(end) => message.records_offset = Some(end),
        Err(Fault::Cut) if message.questions.is_empty() => return Progress::Incomplete,
        Err(Fault::Cut) => {}
        Err(Fault::Malformed) => return Progress::Reject(Some(Counter::DnsMalformed)),
    }
    Progress::Complete(message)
}

/// The first message in a stream of DNS over TCP, where each has its length in front (RFC 1035,
/// 4.2.2). None while that length has not arrived.
pub fn framed(stream: &[u8]) -> Option<Framed<'_>> {
    let mut reader = Reader::new(stream);
    let length = usize::from(reader.u16()?);
    let rest = reader.rest();
    let message = rest.get(..length).unwrap_or(rest);
    Some(Framed { message, whole: message.len() == length, length: 2 + length })
}

impl<'a> Message<'a> {
    /// Whether this asks for names: a query with the usual opcode. Its questions are what is
    /// observed; others (updates, notifications) are the business of name servers.
    pub fn is_standard_query(&self) -> bool {
        !self.response && self.opcode == OPCODE_QUERY
    }

    /// What a response answers; nothing in a query, or where the opcode is not the usual one.
    ///
    /// # Errors
    /// [`Counter::DnsMalformed`] when an answer is damaged or a bound is exceeded; a message that
    /// ends early is no error, see [`Answers::cut`].
    pub fn answers(&self) -> Result<Answers<'a>, Counter> {
        let mut answers = Answers::default();
        self.read_answers(&mut answers)?;
        Ok(answers)
    }

    /// As [`Message::answers`], into `answers`, whose 2 kB the packet path would not have moved
    /// about. What it held is gone; after an error it is of no use.
    ///
    /// # Errors
    /// As [`Message::answers`].
    pub fn read_answers(&self, answers: &mut Answers<'a>) -> Result<(), Counter> {
        answers.addresses.clear();
        answers.services.clear();
        answers.cut = false;
        if !self.response || self.opcode != OPCODE_QUERY {
            return Ok(());
        }
        match self.records_offset {
            Some(offset) => answers::read(self, offset, answers).map_err(|_| Counter::DnsMalformed),
            None => {
                answers.cut = true;
                Ok(())
            }
        }
    }

    /// Reads the questions and says where they end.
    fn read_questions(&mut self, count: u16) -> Result<usize, Fault> {
        let mut at = HEADER_LENGTH;
        for _ in 0..count {
            let Walked { end: fixed, octets: name_octets, .. } =
                name::walk(self.bytes, at, |_| ())?;
            let mut reader = Reader::new(self.bytes.get(fixed..).unwrap_or_default());
            let kind = reader.u16().ok_or(Fault::Cut)?;
            let class = reader.u16().ok_or(Fault::Cut)?;
            // The message has at most 65,535 bytes, and there are no more questions than fit.
            let name_offset = at as u16;
            let question = Question { kind, class, name_offset, name_octets, message: self.bytes };
            self.questions.try_push(question).map_err(|_| Fault::Malformed)?;
            at = fixed + QUESTION_FIXED_LENGTH;
        }
        Ok(at)
    }
}

impl Question<'_> {
    /// The name asked for, in `text`.
    ///
    /// # Errors
    /// Why it is no hostname: [`NotAHostname::Empty`] is the root, which is asked for rightly;
    /// the others count as [`Counter::DnsBadName`].
    pub fn name<'t>(&self, text: &'t mut NameText) -> Result<&'t str, NotAHostname> {
        // The name was walked when the message was read, so that there is no fault.
        name::hostname(self.message, self.name_offset.into(), text)
            .unwrap_or(Err(NotAHostname::Character))
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{Response, accepted, hex, wire};
    use super::*;

    #[test]
    fn a_query_tells_its_question() {
        let bytes = hex("ac660100000100000000000007656e61626c656405746c73313303636f6d0000010001");
        let query = accepted(&bytes);
        assert!(query.is_standard_query() && !query.truncated);
        assert_eq!((query.id, query.rcode, query.questions.len()), (0xac66, 0, 1));
        let question = &query.questions[0];
        assert_eq!(question.name(&mut NameText::new()).unwrap(), "enabled.tls13.com");
        assert_eq!((question.kind, question.class), (kind::A, 1));
        assert_eq!(query.answers(), Ok(Answers::default()));
    }

    #[test]
    fn what_stands_behind_the_questions_of_a_query_does_not_matter() {
        let mut bytes = hex("000101000001ffffffffffff");
        bytes.extend(wire("Example.COM"));
        bytes.extend([0, 65, 0, 1, 0xff, 0xff, 0xff]);
        assert_eq!(
            accepted(&bytes).questions[0].name(&mut NameText::new()).unwrap(),
            "example.com"
        );
    }

    #[test]
    fn only_whole_questions_count() {
        let bytes = Response::to("a.example", kind::A).question("b.example", kind::AAAA).bytes();
        let first_end = HEADER_LENGTH + wire("a.example").len() + QUESTION_FIXED_LENGTH;
        for length in 0..bytes.len() {
            let questions = match message(&bytes[..length]) {
                Progress::Complete(message) => message.questions.len(),
                other => {
                    assert!(matches!(other, Progress::Incomplete), "{length}: {other:?}");
                    0
                }
            };
            assert_eq!(questions, usize::from(length >= first_end), "{length}");
        }
        assert_eq!(accepted(&bytes).questions.len(), 2);
    }

    #[test]
    fn the_root_is_asked_for_rightly_and_is_no_hostname() {
        let bytes = hex("0001010000010000000000000000020001");
        let query = accepted(&bytes);
        assert_eq!(query.questions[0].name(&mut NameText::new()), Err(NotAHostname::Empty));
    }

    #[test]
    fn other_opcodes_ask_for_no_names() {
        let update = hex("0001280000010000000000000765786d61706c6503636f6d0000060001");
        assert!(!accepted(&update).is_standard_query());
        assert_eq!(accepted(&update).opcode, 5);
    }

    #[test]
    fn more_questions_or_answers_than_the_bounds_are_refused() {
        let rejected =
            |bytes: &[u8]| matches!(message(bytes), Progress::Reject(Some(Counter::DnsMalformed)));
        let mut bytes = Response::to("a.example", kind::A);
        for _ in 1..QUESTIONS_MAX {
            bytes = bytes.question("a.example", kind::A);
        }
        let mut bytes = bytes.bytes();
        assert_eq!(accepted(&bytes).questions.len(), QUESTIONS_MAX);
        bytes[5] += 1;
        assert!(rejected(&bytes));

        let mut bytes = Response::to("a.example", kind::A).bytes();
        bytes[7] = ANSWERS_MAX as u8;
        assert!(accepted(&bytes).answers().unwrap().cut);
        bytes[7] += 1;
        assert!(rejected(&bytes));
    }

    #[test]
    fn streams_have_a_length_before_each_message() {
        assert_eq!(framed(&[]), None);
        assert_eq!(framed(&[0]), None);
        let whole = framed(&[0, 2, 7, 8, 9]).unwrap();
        assert_eq!((whole.message, whole.whole, whole.length), (&[7, 8][..], true, 4));
        let half = framed(&[0, 3, 7]).unwrap();
        assert_eq!((half.message, half.whole, half.length), (&[7][..], false, 5));
    }

    #[test]
    fn no_flipped_bit_and_no_cut_makes_it_panic_or_pass_a_bound() {
        for bytes in [YOUTUBE, TEAMS].map(hex) {
            for length in 0..=bytes.len() {
                read_all(&bytes[..length]);
            }
            for position in 0..bytes.len() {
                for flip in 1..=255 {
                    let mut damaged = bytes.clone();
                    damaged[position] ^= flip;
                    read_all(&damaged);
                }
            }
        }
    }

    /// Reads everything there is to read.
    fn read_all(bytes: &[u8]) {
        looks_like_query(bytes);
        let Progress::Complete(message) = message(bytes) else { return };
        for question in &message.questions {
            let _ = question.name(&mut NameText::new());
        }
        let Ok(answers) = message.answers() else { return };
        for answer in &answers.addresses {
            assert!(usize::from(answer.question) < message.questions.len());
        }
        for service in &answers.services {
            service.alpn();
            service.ech();
        }
    }

    /// A response of a public resolver: one alias and eight addresses; beside
    /// them four IPv6 addresses and EDNS.
    pub(super) const YOUTUBE: &str = "2c27818000010009000000050377777707796f757475626503636f6d00\
        00010001c00c000500010000012000160a796f75747562652d7569016c06676f6f676c65c018c02d0001000100\
        0000570004d83acc8ec02d000100010000005700048efbd10ec02d00010001000000570004d83acceec02d0001\
        00010000005700048efab4aec02d00010001000000570004d83ad12ec02d000100010000005700048efab48ec0\
        2d000100010000005700048efbd12ec02d00010001000000570004d83acd2ec02d001c00010000012000102a00\
        145040020402000000000000200ec02d001c00010000012000102a00145040020415000000000000200ec02d00\
        1c00010000012000102a00145040020403000000000000200ec02d001c00010000012000102a00145040020416\
        000000000000200e000029ffd6000000000000";

    /// Three aliases in a row, then an address.
    pub(super) const TEAMS: &str = "dbbb8180000100040000000103617069057465616d7305736b79706503\
        636f6d0000010001c00c0005000100000c93001e097465616d732d6166640e747261666669636d616e61676572\
        036e657400c03100050001000000ec002f1c7465616d732d6166642d747261666669636d616e616765722d6e65\
        7406732d3030303408732d6d7365646765c04ac05b000500010000008d0002c078c078000100010000008d0004\
        3471c2830000290200000000000000";
}
