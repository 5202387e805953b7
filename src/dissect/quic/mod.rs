//! QUIC: the ClientHello in the client's Initial packets, which anyone can open who sees them
//! (RFC 9001, 5.2).
//!
//! Reads version 1 (RFC 9000), version 2 (RFC 9369), drafts 22 to 34, Facebook's mvfst, and the
//! clear-text hello of Google QUIC. Any other version is tried with the keys of version 1 and of
//! draft 29: the AEAD tag says whether one of them is right. The hello may be cut over CRYPTO
//! frames, packets and datagrams in any order; packets may share datagrams.
//!
//! Assumes that it sees whole UDP payloads of one sender. Does not open a server's packets, and
//! follows no connection behind its hello. Packet numbers are taken as they stand, which is right
//! for a client that has sent fewer than 128 Initials since the last acknowledgement.
//!
//! Deriving keys is what costs, so keys are kept while a hello spans several Initials, and a flow
//! gets [`INITIALS_TRIED_MAX`] tries.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")
)]

mod frames;
mod google;
mod header;
mod keys;
mod reader;
mod scheme;
#[cfg(test)]
mod sealing;
mod stream;
#[cfg(test)]
pub(crate) mod tests;
#[cfg(test)]
mod vectors;

use std::ops::Range;

use arrayvec::ArrayVec;

use crate::dissect::Progress;
use crate::dissect::tls::{self, Transport};
use crate::observation::ClientHello;
use crate::stats::Counter;

use frames::CryptoFrames;
use header::{Initial, Packet};
use keys::{InitialKeys, RingKeys};
use scheme::Scheme;
use stream::CryptoStream;

/// Initials of a flow that may bring nothing, because they do not open or hold no new part of the
/// hello, before the flow is left alone. Those that bring hello bytes are bounded by its length.
pub const INITIALS_TRIED_MAX: u8 = 8;

/// Type of a ClientHello among handshake messages (RFC 8446, 4).
const CLIENT_HELLO: u8 = 1;

/// Whether a UDP payload may hold a client's Initial: a few compares on its first bytes, for
/// every datagram of a flow that is not understood yet.
#[inline]
pub fn may_be_initial(payload: &[u8]) -> bool {
    match payload.first() {
        Some(first) if first & 0x80 != 0 => {
            header::may_be_long(payload) || google::may_be_clear(payload)
        }
        Some(_) => google::may_be_clear(payload),
        None => false,
    }
}

/// Memory that [`Initials::datagram`] works in. Holds nothing between calls; a worker has one.
#[derive(Default)]
pub struct Scratch {
    packet: Vec<u8>,
    /// Whether hellos get no JA4, which costs more than all else about them.
    pub without_fingerprint: bool,
}

/// What is known of the Initials of one sender in one flow while its ClientHello is incomplete.
///
/// Which side is the client is not known from a packet: both sides send Initials. Each side gets
/// its own `Initials`. A server's do not open, so [`Initials::fault`] of one side means something
/// only if the other side had no hello either.
#[derive(Default)]
pub struct Initials {
    keys: Option<Keys>,
    stream: CryptoStream,
    /// Whether a datagram has come that may have been QUIC.
    began: bool,
    /// Version of the first Initial.
    version: Option<u32>,
    fruitless: u8,
    opened: bool,
    malformed: bool,
}

/// Keys that opened a packet of this flow, and what they were made from.
struct Keys {
    scheme: Scheme,
    connection_id: ArrayVec<u8, { header::CONNECTION_ID_LENGTH_MAX }>,
    keys: RingKeys,
}

impl Initials {
    /// A flow of which nothing is known.
    pub fn new() -> Initials {
        Initials::default()
    }

    /// Looks at the sender's next datagram.
    ///
    /// `Incomplete` asks for more of this sender's datagrams, of whatever kind; `Reject` means
    /// that this sender is to be left alone, for the counter's reason or, without one, because
    /// this is not QUIC.
    pub fn datagram(&mut self, payload: &[u8], scratch: &mut Scratch) -> Progress<ClientHello> {
        if !self.began && !may_be_initial(payload) {
            return Progress::Reject(None);
        }
        self.began = true;
        if self.version.is_none() && google::may_be_clear(payload) {
            return match google::clear_hello(payload) {
                Some(hello) => Progress::Complete(hello),
                None => self.fruitless(),
            };
        }
        let mut rest = payload;
        while let Some((packet, after)) = header::split(rest) {
            rest = after;
            let Packet::Initial(initial) = packet else { continue };
            match self.initial(&initial, scratch) {
                Progress::Incomplete => {}
                done => return done,
            }
        }
        Progress::Incomplete
    }

    /// What can be told for a flow that ends or is given up before its hello was complete: `None`
    /// unless all of the server name has come, with everything in front of it.
    pub fn best_effort(&self) -> Option<ClientHello> {
        tls::client_hello_prefix(self.stream.prefix())
    }

    /// The version of the first Initial, if no Initial of this sender could be opened.
    pub fn unopened_version(&self) -> Option<u32> {
        self.version.filter(|_| !self.opened)
    }

    /// Memory that this holds, in bytes; it grows with what has come.
    pub fn memory_bytes(&self) -> usize {
        size_of::<Initials>() + self.stream.memory_bytes()
    }

    /// Why there is no hello, for a flow that ends or is given up without one; `None` if all that
    /// came was in order.
    pub fn fault(&self) -> Option<Counter> {
        if self.unopened_version().is_some() {
            Some(Counter::QuicUnopened)
        } else if self.malformed {
            Some(Counter::QuicMalformed)
        } else {
            None
        }
    }

    fn initial(&mut self, initial: &Initial<'_>, scratch: &mut Scratch) -> Progress<ClientHello> {
        self.version.get_or_insert(initial.version);
        let Some((range, scheme)) = self.open(initial, &mut scratch.packet) else {
            return self.fruitless();
        };
        self.opened = true;
        let payload = scratch.packet.get(range).unwrap_or_default();
        let before = self.stream.len();
        for frame in CryptoFrames::new(payload, scheme.is_google()) {
            let Ok(crypto) = frame else {
                self.malformed = true;
                break;
            };
            // The usual case first: all of the hello in one frame needs no memory.
            if crypto.offset == 0
                && self.stream.len() == 0
                && let Some(header) = crypto.data.first_chunk()
                && let Some(message) = crypto.data.get(..stream::message_length(*header))
                && message.first() == Some(&CLIENT_HELLO)
            {
                return complete(message, !scratch.without_fingerprint);
            }
            if self.stream.insert(crypto.offset, crypto.data).is_err() {
                return Progress::Reject(Some(Counter::QuicOverflow));
            }
        }
        if self.stream.len() == before {
            return self.fruitless();
        }
        if scheme == Scheme::GoogleQ050 {
            // Google's message states no length of its own.
            let hello = google::hello(self.stream.prefix());
            return hello.map_or(Progress::Incomplete, Progress::Complete);
        }
        let fingerprint = !scratch.without_fingerprint;
        match self.stream.first_message() {
            Ok(None) => Progress::Incomplete,
            Ok(Some(message)) => complete(message, fingerprint),
            Err(stream::Overflow) => Progress::Reject(Some(Counter::QuicOverflow)),
        }
    }

    /// Opens a packet with the keys at hand, or else with keys made from it. Answers where in
    /// `buffer` the frames are.
    fn open(
        &mut self,
        initial: &Initial<'_>,
        buffer: &mut Vec<u8>,
    ) -> Option<(Range<usize>, Scheme)> {
        let schemes = scheme::schemes(initial.version);
        let mut tried = None;
        if let Some(known) = &self.keys {
            // Every packet up to the end of the handshake is protected with keys of the client's
            // first id, also when it is addressed to the id that the server chose (RFC 9001, 5.2).
            if schemes.contains(&known.scheme) {
                if let Some(range) = unprotect(&known.keys, initial, buffer) {
                    return Some((range, known.scheme));
                }
                if known.connection_id == *initial.destination {
                    tried = Some(known.scheme);
                }
            } else if known.connection_id != *initial.destination {
                // Compatible version negotiation (RFC 9368, 2.3): the other version's keys of the
                // same first id, and the same hello.
                for &scheme in schemes {
                    let keys = RingKeys::derive(scheme, &known.connection_id)?;
                    if let Some(range) = unprotect(&keys, initial, buffer) {
                        let connection_id = known.connection_id.clone();
                        self.keys = Some(Keys { scheme, connection_id, keys });
                        return Some((range, scheme));
                    }
                }
            }
        }
        if !initial.may_carry_its_key() {
            return None;
        }
        for &scheme in schemes.iter().filter(|&&scheme| Some(scheme) != tried) {
            let keys = RingKeys::derive(scheme, initial.destination)?;
            if let Some(range) = unprotect(&keys, initial, buffer) {
                // Another first id: after a Retry, which makes the client say everything again
                // (RFC 9000, 17.2.5.2), or another connection. Never mix two hellos.
                self.stream.clear();
                let connection_id = initial.destination.iter().copied().collect();
                self.keys = Some(Keys { scheme, connection_id, keys });
                return Some((range, scheme));
            }
        }
        None
    }

    /// Counts an Initial that brought nothing.
    fn fruitless(&mut self) -> Progress<ClientHello> {
        self.fruitless = self.fruitless.saturating_add(1);
        if self.fruitless < INITIALS_TRIED_MAX {
            return Progress::Incomplete;
        }
        Progress::Reject(Some(self.fault().unwrap_or(Counter::QuicOverflow)))
    }
}

/// What a whole handshake message tells.
fn complete(message: &[u8], fingerprint: bool) -> Progress<ClientHello> {
    if message.first() != Some(&CLIENT_HELLO) {
        return Progress::Reject(Some(Counter::QuicMalformed));
    }
    match tls::client_hello(message, fingerprint.then_some(Transport::Quic)) {
        Progress::Incomplete => Progress::Reject(Some(Counter::TlsMalformed)),
        done => done,
    }
}

/// Removes a packet's protection (RFC 9001, 5.4.1 and 5.3) in a copy. Answers where in `buffer`
/// the frames are; `None` if the tag does not fit.
fn unprotect<K: InitialKeys>(
    keys: &K,
    initial: &Initial<'_>,
    buffer: &mut Vec<u8>,
) -> Option<Range<usize>> {
    let mask = keys.header_mask(initial.sample()?)?;
    buffer.clear();
    buffer.extend_from_slice(initial.bytes);
    let first = buffer.first_mut()?;
    *first ^= mask[0] & 0x0f;
    let number_length = usize::from(*first & 0x03) + 1;
    let header_length = initial.number_offset + number_length;
    let mut number = 0;
    for (byte, mask) in
        buffer.get_mut(initial.number_offset..header_length)?.iter_mut().zip(mask.iter().skip(1))
    {
        *byte ^= mask;
        number = number << 8 | u64::from(*byte);
    }
    let (header, payload) = buffer.split_at_mut_checked(header_length)?;
    let clear = keys.open(number, header, payload)?.len();
    Some(header_length..header_length + clear)
}
