//! QUIC: the ClientHello in the client's Initial packets, which anyone can open who sees them
//! (RFC 9001, 5.2).
//!
//! Reads version 1 (RFC 9000), version 2 (RFC 9369), drafts 22 to 34, Facebook's mvfst, and the
//! clear-text hello of Google QUIC. Any other version is tried with the keys of version 1 and of
//! draft 29: the AEAD tag says whether one of them is right. The hello may be cut over CRYPTO
//! frames, packets and datagrams in any order; packets may share datagrams.
//!
//! Assumes that it sees whole UDP payloads of one sender. Does not open a server's packets, and
//! follows no connection behind its hello. A client may begin several connections at once on the
//! same port: up to [`CONNECTIONS_MAX`] hellos are put together side by side, within the memory of one. Packet numbers are
//! taken as they stand, which is right for a client that has sent fewer than 128 Initials since the
//! last acknowledgement.
//!
//! Deriving keys is what costs, so keys are kept while a hello spans several Initials, and a flow
//! gets [`INITIALS_TRIED_MAX`] tries. An Initial that opens has proved itself: of those that bring
//! nothing new [`INITIALS_REPEATED_MAX`] may come.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")
)]

mod frames;
mod google;
mod header;
mod hkdf;
mod keys;
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
pub use header::{ConnectionIds, connection_ids, may_be_any_long};
use header::{Initial, Packet};
use keys::{InitialKeys, RingKeys};
use scheme::Scheme;
use stream::CryptoStream;

/// Initials of a flow that may be tried without opening before the flow is left alone.
pub const INITIALS_TRIED_MAX: u8 = 8;

/// Initials of a flow that may open and hold no new part of a hello, as those do that are sent
/// again, before the flow is left alone. Those that bring hello bytes are bounded by its length.
pub const INITIALS_REPEATED_MAX: u8 = 64;

/// Connections of one sender whose hellos are put together at the same time.
pub const CONNECTIONS_MAX: usize = 4;

/// Type of a ClientHello among handshake messages (RFC 8446, 4).
const CLIENT_HELLO: u8 = 1;
/// Bits of a long header's first byte that are 0 below the protection (RFC 9000, 17.2).
const RESERVED_BITS: u8 = 0x0c;

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

/// Whether a UDP payload may hold a client's Initial of a version that is known or greased: for
/// datagrams of a flow that said nothing for long, where an unknown version is mere chance.
pub fn may_be_known_initial(payload: &[u8]) -> bool {
    may_be_initial(payload) && header::is_known_or_greased(payload)
}

/// Memory that [`Initials::datagram`] works in. Holds nothing between calls; a worker has one.
#[derive(Default)]
pub struct Scratch {
    packet: Vec<u8>,
    /// Whether hellos get no JA4, which costs more than all else about them.
    pub without_fingerprint: bool,
}

/// What is known of the Initials of one sender in one flow while a ClientHello is incomplete.
///
/// Which side is the client is not known from a packet: both sides send Initials. Each side gets
/// its own `Initials`. A server's do not open, so [`Initials::fault`] of one side means something
/// only if the other side had no hello either.
#[derive(Default)]
pub struct Initials {
    /// Connections whose hello is incomplete, the one that was last heard of last.
    open: Vec<Connection>,
    /// Whether a datagram has come that may have been QUIC.
    began: bool,
    /// Version of the first Initial.
    version: Option<u32>,
    unopened: u8,
    repeated: u8,
    opened: bool,
    malformed: bool,
    gave_up: bool,
}

/// A connection of which an Initial was opened.
struct Connection {
    scheme: Scheme,
    /// What the keys were made from: the client's first destination id, or that of a Retry.
    connection_id: ConnectionId,
    /// The client's own id, the same in all its Initials (RFC 9000, 7.3).
    source: ConnectionId,
    keys: RingKeys,
    stream: CryptoStream,
}

type ConnectionId = ArrayVec<u8, { header::CONNECTION_ID_LENGTH_MAX }>;

impl Initials {
    /// A flow of which nothing is known.
    pub fn new() -> Initials {
        Initials::default()
    }

    /// A flow in which so many Initials were tried and did not open.
    pub fn after_tries(unopened: u8) -> Initials {
        Initials { unopened, ..Initials::default() }
    }

    /// Looks at the sender's next datagram.
    ///
    /// `Complete` may come several times: as long as [`Initials::is_open`], another connection's
    /// hello is incomplete. `Incomplete` asks for more of this sender's datagrams, of whatever
    /// kind; `Reject` means that this sender is to be left alone, for the counter's reason or,
    /// without one, because this is not QUIC.
    pub fn datagram(&mut self, payload: &[u8], scratch: &mut Scratch) -> Progress<ClientHello> {
        if !self.began && !may_be_initial(payload) {
            return Progress::Reject(None);
        }
        self.began = true;
        if self.version.is_none() && google::may_be_clear(payload) {
            return match google::clear_hello(payload) {
                Some(hello) => Progress::Complete(hello),
                None => self.did_not_open(),
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

    /// Whether a connection's Initial was opened whose hello is incomplete.
    pub fn is_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// Whether one of these connections is the client's with this source connection id.
    pub fn is_open_from(&self, source: &[u8]) -> bool {
        self.open.iter().any(|connection| *connection.source == *source)
    }

    /// Initials that were tried and did not open.
    pub fn unopened(&self) -> u8 {
        self.unopened
    }

    /// Whether a connection's hello was given up, since this was last asked, because there were
    /// more than [`CONNECTIONS_MAX`] or their hellos were longer than what is kept.
    pub fn take_given_up(&mut self) -> bool {
        std::mem::take(&mut self.gave_up)
    }

    /// What can be told for a flow that ends or is given up before its hellos were complete: a
    /// hello for each of which all of the server name has come, with everything in front of it.
    pub fn best_effort(&self) -> impl Iterator<Item = ClientHello> {
        let prefixes = self.open.iter().map(|connection| connection.stream.prefix());
        prefixes.filter_map(tls::client_hello_prefix)
    }

    /// The version of the first Initial, if no Initial of this sender could be opened.
    pub fn unopened_version(&self) -> Option<u32> {
        self.version.filter(|_| !self.opened)
    }

    /// Memory that this holds, in bytes; it grows with what has come.
    pub fn memory_bytes(&self) -> usize {
        let keys = self.open.capacity() * size_of::<Connection>();
        size_of::<Initials>() + keys + self.stream_bytes()
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
        let Some((mut connection, range)) = self.open(initial, &mut scratch.packet) else {
            return self.did_not_open();
        };
        self.opened = true;
        let payload = scratch.packet.get(range).unwrap_or_default();
        let fingerprint = !scratch.without_fingerprint;
        let before = connection.stream.len();
        match connection.frames(payload, fingerprint, &mut self.malformed) {
            Progress::Incomplete => {}
            done => return done,
        }
        let is_repeated = connection.stream.len() == before;
        self.make_room(connection.stream.memory_bytes());
        // There is one as a rule, and each holds keys.
        self.open.reserve_exact(1);
        self.open.push(*connection);
        self.repeated = self.repeated.saturating_add(u8::from(is_repeated));
        if self.repeated < INITIALS_REPEATED_MAX {
            return Progress::Incomplete;
        }
        Progress::Reject(Some(self.fault().unwrap_or(Counter::QuicOverflow)))
    }

    /// Opens a packet with the keys at hand, or else with keys made from it. Takes its connection
    /// out of those that are open, and answers where in `buffer` the frames are.
    fn open(
        &mut self,
        initial: &Initial<'_>,
        buffer: &mut Vec<u8>,
    ) -> Option<(Box<Connection>, Range<usize>)> {
        let schemes = scheme::schemes(initial.version);
        let mut tried = None;
        let mut opened = None;
        for (at, known) in self.open.iter_mut().enumerate().rev() {
            // Every packet up to the end of the handshake is protected with keys of the client's
            // first id, also when it is addressed to the id that the server chose (RFC 9001, 5.2).
            if schemes.contains(&known.scheme) {
                if let Some(range) = unprotect(&known.keys, initial, buffer) {
                    opened = Some((at, range));
                    break;
                }
                if *known.connection_id == *initial.destination {
                    tried = Some(known.scheme);
                }
            } else if *known.source == *initial.source
                && *known.connection_id != *initial.destination
                && let Some(range) = known.open_in_another_version(schemes, initial, buffer)
            {
                opened = Some((at, range));
                break;
            }
        }
        if let Some((at, range)) = opened {
            return Some((Box::new(self.open.remove(at)), range));
        }
        if !initial.may_carry_its_key() {
            return None;
        }
        for &scheme in schemes.iter().filter(|&&scheme| Some(scheme) != tried) {
            let keys = RingKeys::derive(scheme, initial.destination)?;
            if let Some(range) = unprotect(&keys, initial, buffer) {
                // Another first id of the same client's connection: after a Retry, which makes the
                // client say everything again (RFC 9000, 17.2.5.2), or after version negotiation.
                self.open.retain(|known| *known.source != *initial.source);
                // Its keys are long, and most connections are done with at once.
                return Some((Box::new(Connection::new(scheme, initial, keys)), range));
            }
        }
        None
    }

    /// Gives up connections, the one that was heard of longest ago first, until another one is
    /// within the bounds.
    fn make_room(&mut self, memory_bytes: usize) {
        while !self.open.is_empty()
            && (self.open.len() >= CONNECTIONS_MAX
                || self.stream_bytes() + memory_bytes > stream::MEMORY_BYTES_MAX)
        {
            self.open.remove(0);
            self.gave_up = true;
        }
    }

    fn stream_bytes(&self) -> usize {
        self.open.iter().map(|connection| connection.stream.memory_bytes()).sum()
    }

    /// Counts an Initial that was tried for nothing.
    fn did_not_open(&mut self) -> Progress<ClientHello> {
        self.unopened = self.unopened.saturating_add(1);
        if self.unopened < INITIALS_TRIED_MAX {
            return Progress::Incomplete;
        }
        Progress::Reject(Some(self.fault().unwrap_or(Counter::QuicOverflow)))
    }
}

impl Connection {
    /// Of the first Initial that was opened.
    fn new(scheme: Scheme, initial: &Initial<'_>, keys: RingKeys) -> Connection {
        Connection {
            scheme,
            connection_id: initial.destination.iter().copied().collect(),
            source: initial.source.iter().copied().collect(),
            keys,
            stream: CryptoStream::default(),
        }
    }

    /// Compatible version negotiation (RFC 9368, 2.3): the other version's keys of the same first
    /// id, and the same hello.
    fn open_in_another_version(
        &mut self,
        schemes: &[Scheme],
        initial: &Initial<'_>,
        buffer: &mut Vec<u8>,
    ) -> Option<Range<usize>> {
        for &scheme in schemes {
            let keys = RingKeys::derive(scheme, &self.connection_id)?;
            if let Some(range) = unprotect(&keys, initial, buffer) {
                (self.scheme, self.keys) = (scheme, keys);
                return Some(range);
            }
        }
        None
    }

    /// Takes the frames of an Initial.
    fn frames(
        &mut self,
        payload: &[u8],
        fingerprint: bool,
        malformed: &mut bool,
    ) -> Progress<ClientHello> {
        let before = self.stream.len();
        for frame in CryptoFrames::new(payload, self.scheme.is_google()) {
            let Ok(crypto) = frame else {
                *malformed = true;
                break;
            };
            // The usual case first: all of the hello in one frame needs no memory.
            if crypto.offset == 0
                && self.stream.len() == 0
                && let Some(header) = crypto.data.first_chunk()
                && let Some(message) = crypto.data.get(..stream::message_length(*header))
                && message.first() == Some(&CLIENT_HELLO)
            {
                return complete(message, fingerprint);
            }
            if self.stream.insert(crypto.offset, crypto.data).is_err() {
                return Progress::Reject(Some(Counter::QuicOverflow));
            }
        }
        if self.stream.len() == before {
            return Progress::Incomplete;
        }
        if self.scheme == Scheme::GoogleQ050 {
            // Google's message states no length of its own.
            let hello = google::hello(self.stream.prefix());
            return hello.map_or(Progress::Incomplete, Progress::Complete);
        }
        match self.stream.first_message() {
            Ok(None) => Progress::Incomplete,
            Ok(Some(message)) => complete(message, fingerprint),
            Err(stream::Overflow) => Progress::Reject(Some(Counter::QuicOverflow)),
        }
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
/// the frames are; `None` if the tag does not fit, or a bit is set that has to be 0.
fn unprotect<K: InitialKeys>(
    keys: &K,
    initial: &Initial<'_>,
    buffer: &mut Vec<u8>,
) -> Option<Range<usize>> {
    let mask = keys.header_mask(initial.sample()?)?;
    let first_byte = initial.bytes.first()? ^ mask[0] & 0x0f;
    // No peer takes a packet with these bits set (RFC 9000, 17.2): so three of four that only look
    // like an Initial are known before the tag.
    if first_byte & RESERVED_BITS != 0 {
        return None;
    }
    buffer.clear();
    buffer.extend_from_slice(initial.bytes);
    *buffer.first_mut()? = first_byte;
    let number_length = usize::from(first_byte & 0x03) + 1;
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
