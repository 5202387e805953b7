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
pub(super) mod reader;
mod recognise;
pub(super) mod record;
mod service;

use arrayvec::ArrayVec;

pub use self::answers::{ANSWERS_MAX, Answer, Answers, CHAIN_LENGTH_MAX, SERVICES_MAX};
pub use self::recognise::looks_like_query;
pub use self::service::{ECH_CONFIGS_MAX, EchConfig, SERVICE_ALPN_MAX, Service};

use self::name::Fault;
use self::reader::Reader;
use self::record::{HEADER_LENGTH, Header, QUESTION_FIXED_LENGTH};
use super::Progress;
use crate::hostname::{Hostname, NotAHostname};
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
        if !self.response || self.opcode != OPCODE_QUERY {
            return Ok(Answers::default());
        }
        match self.records_offset {
            Some(offset) => answers::answers(self, offset).map_err(|_| Counter::DnsMalformed),
            None => Ok(Answers { cut: true, ..Answers::default() }),
        }
    }

    /// Reads the questions and says where they end.
    fn read_questions(&mut self, count: u16) -> Result<usize, Fault> {
        let mut at = HEADER_LENGTH;
        for _ in 0..count {
            let fixed = name::walk(self.bytes, at, |_| ())?.end;
            let mut reader = Reader::new(self.bytes.get(fixed..).unwrap_or_default());
            let kind = reader.u16().ok_or(Fault::Cut)?;
            let class = reader.u16().ok_or(Fault::Cut)?;
            // The message has at most 65,535 bytes, and there are no more questions than fit.
            let question = Question { kind, class, name_offset: at as u16, message: self.bytes };
            self.questions.try_push(question).map_err(|_| Fault::Malformed)?;
            at = fixed + QUESTION_FIXED_LENGTH;
        }
        Ok(at)
    }
}

impl Question<'_> {
    /// The name asked for.
    ///
    /// # Errors
    /// Why it is no hostname: [`NotAHostname::Empty`] is the root, which is asked for rightly;
    /// the others count as [`Counter::DnsBadName`].
    pub fn name(&self) -> Result<Hostname, NotAHostname> {
        // The name was walked when the message was read, so that there is no fault.
        name::hostname(self.message, self.name_offset.into())
            .unwrap_or(Err(NotAHostname::Character))
    }
}
