//! One direction of a TCP connection: which protocol it speaks, and what that tells.
//!
//! Protocols are known by their first bytes, on any port: TLS, HTTP/1, HTTP/2 with prior
//! knowledge; tunnels ([`super::tunnel`]); and what may come before them (SOCKS, CONNECT, the PROXY protocol, requests for
//! encryption), behind which the search begins anew. Only DNS needs its port. Each side is looked
//! at for itself, so that either may turn out to be the client.
//!
//! Assumes in-order bytes, each shown once or, as long as they are not consumed, again with more
//! behind them. Keeps none of them: the caller does, at most [`SHOWN_BYTES_MAX`]. Does not read
//! responses, bodies or encrypted records, and says early that it wants no more of them.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing))]

use memchr::{memchr, memchr2};

use super::dns::QUESTIONS_MAX;
use super::http;
use super::http_long::{HEAD_LENGTH_MAX, LongHead};
use super::http2::{self, Connection, Frame};
use super::preamble::{self, Preamble, Told};
use super::tunnel::{self, TunnelProtocol};
use super::{Advance, Finding, Progress, tls};
use crate::hostname::Hostname;
use crate::stats::Counter;

mod binary;
mod requests;

use requests::emit_head;

/// Unconsumed bytes after which a stream is given up: the most that a caller has to keep.
pub const SHOWN_BYTES_MAX: usize = 16 * 1024;

/// Preambles of one stream, for instance a CONNECT inside SOCKS inside the PROXY protocol, or LDAP
/// messages before TLS.
const PREAMBLES_MAX: u8 = 16;
/// Lines of one stream, for instance of SMTP, before TLS begins.
const LINES_MAX: u8 = 32;
/// The longest such line; RFC 5321, 4.5.3.1.5 allows 512 bytes, an XMPP element may be longer.
const LINE_LENGTH_MAX: usize = 2048;
/// The port of DNS (RFC 7766).
const DNS_PORT: u16 = 53;
/// The header of a DNS message (RFC 1035, 4.1.1).
const DNS_HEADER_LENGTH: usize = 12;
/// Length field and header of a DNS message over TCP.
const DNS_PREFIX_LENGTH: usize = 2 + DNS_HEADER_LENGTH;
/// Messages too short to be one, of a stream that is DNS all the same.
const TOO_SHORT_MAX: u8 = 8;

/// What is said about the bytes that one side of a connection sent.
#[derive(Debug)]
pub struct SideStream {
    state: State,
    /// Bytes at the beginning of the unconsumed ones in which no end of a line or head is.
    scanned: u32,
    /// Fewer unconsumed bytes than this are not worth a look.
    wanted: u32,
    preambles_left: u8,
    lines_left: u8,
    /// Whether the ports say DNS.
    dns: bool,
    /// Whether the lines are XML elements.
    xml: bool,
    /// Whether bytes came before the first: a line may be of anything.
    in_midst: bool,
    /// Whether hellos are to be fingerprinted.
    fingerprint: bool,
}

/// What the next byte is the first of.
#[derive(Debug)]
enum State {
    /// Anything.
    Anew,
    /// A segment after lost bytes: only what is unmistakable.
    Resync,
    /// A line of text, or TLS after the last of them.
    Lines,
    /// A request of HTTP/1, or what it was upgraded to.
    NextRequest,
    /// A line of a request's head that is too long to be kept.
    LongHead(Box<LongHead>),
    /// A body of this length, or the next request where the server did not want it.
    Expected(u64),
    /// The line with a chunk's size.
    ChunkSize,
    /// A line behind the last chunk (RFC 9112, 7.1.2).
    Trailer,
    /// The request of SOCKS 5 or the password before it.
    Socks5,
    /// The length before a DNS message; how many were too short to be one.
    Dns(u8),
    /// A frame of HTTP/2.
    Http2(Box<Connection>),
    /// The length before a packet of OpenVPN; how many more are looked at.
    OpenVpn(u8),
    /// Nothing that is wanted.
    Done,
}

/// What a look at the bytes came to.
enum Step {
    /// This many bytes are done with; at least one, perhaps more than there are.
    Consumed(u64),
    /// Nothing, before there are this many bytes.
    Wait(usize),
    /// No more is wanted.
    Done,
}

type Emit<'e> = dyn FnMut(Finding<'_>) + 'e;

impl SideStream {
    /// A side that has sent nothing yet. The ports are those of its segments.
    pub fn new(source_port: u16, destination_port: u16) -> SideStream {
        SideStream {
            state: State::Anew,
            scanned: 0,
            wanted: 0,
            preambles_left: PREAMBLES_MAX,
            lines_left: LINES_MAX,
            dns: source_port == DNS_PORT || destination_port == DNS_PORT,
            xml: false,
            in_midst: false,
            fingerprint: true,
        }
    }

    /// As it is, but hellos get no JA4, which costs more than all else about them.
    pub fn without_fingerprint(self) -> SideStream {
        SideStream { fingerprint: false, ..self }
    }

    /// As it is, but nobody knows what came before: a line of text is no beginning of lines, behind
    /// which no request would be one.
    pub fn in_midst(self) -> SideStream {
        SideStream { in_midst: true, ..self }
    }

    /// Looks at the bytes that were not consumed so far and all that follows them without a hole.
    /// `emit` is called for each finding, in the order of the bytes.
    ///
    /// At [`SHOWN_BYTES_MAX`] unconsumed bytes it gives up: it tells what the beginning shows and
    /// emits [`Counter::InspectionOverflow`].
    pub fn advance(&mut self, bytes: &[u8], emit: &mut Emit<'_>) -> Advance {
        let mut consumed = 0;
        loop {
            let rest = match usize::try_from(consumed).ok().and_then(|start| bytes.get(start..)) {
                Some(rest) if !rest.is_empty() => rest,
                _ => return Advance { consumed, wants_more: !matches!(self.state, State::Done) },
            };
            let wanted = self.wanted as usize;
            let step = if rest.len() < wanted { Step::Wait(wanted) } else { self.step(rest, emit) };
            match step {
                Step::Consumed(count) => {
                    consumed = consumed.saturating_add(count);
                    (self.scanned, self.wanted) = (0, 0);
                }
                Step::Wait(wanted) if rest.len() < SHOWN_BYTES_MAX => {
                    self.wanted = wanted.min(SHOWN_BYTES_MAX) as u32;
                    return Advance { consumed, wants_more: true };
                }
                Step::Wait(_) => {
                    self.finish(rest, emit);
                    emit(Finding::Refused(Counter::InspectionOverflow));
                    return self.done(bytes);
                }
                Step::Done => return self.done(bytes),
            }
        }
    }

    /// Memory behind this, in bytes.
    pub fn memory_bytes(&self) -> usize {
        match &self.state {
            State::LongHead(head) => size_of_val(&**head),
            State::Http2(connection) => connection.memory_bytes(),
            _ => 0,
        }
    }

    /// Bytes were lost or skipped; what follows begins at a segment's start. What was shown and
    /// not consumed is forgotten; to have it looked at, call [`SideStream::finish`] before.
    pub fn gap(&mut self) {
        self.state = if self.dns { State::Anew } else { State::Resync };
        self.in_midst |= self.dns;
        (self.scanned, self.wanted) = (0, 0);
    }

    /// Nothing will follow the unconsumed bytes (end of the connection, a hole that stays, a bound):
    /// tells what can be told from a hello or a request without its end.
    pub fn finish(&mut self, bytes: &[u8], emit: &mut Emit<'_>) {
        self.finish_long_head(emit);
        if !matches!(self.state, State::Anew | State::Resync | State::NextRequest | State::Lines) {
            return;
        }
        if tls::may_be_hello(bytes) {
            if let Some(hello) = tls::client_hello_prefix_in_records(bytes) {
                emit(Finding::Hello(hello));
            }
        } else if !matches!(self.state, State::Lines)
            && let Some(head) = http::request_prefix(bytes)
        {
            emit_head(head, emit);
        } else if matches!(self.state, State::Anew) && tunnel::is_teamviewer_command(bytes) {
            emit(Finding::Tunnel { protocol: TunnelProtocol::TeamViewer, by_client: false });
        }
        self.state = State::Done;
    }

    /// Whether a segment of a stream that was given up might begin a request, a hello or a
    /// preamble that is worth [`SideStream::gap`] and a new look. A few compares.
    #[inline]
    pub fn may_begin(segment: &[u8]) -> bool {
        match segment.first() {
            Some(22) => tls::may_be_hello(segment),
            Some(b'A'..=b'Z') => {
                http::begins_with_method(segment)
                    || segment.starts_with(http::UPGRADED)
                    || segment.starts_with(b"PROXY ")
                    || segment.starts_with(http2::PREFACE)
            }
            Some(b'\r') => segment.starts_with(b"\r\n\r\n\0\r\nQUIT\n"),
            _ => false,
        }
    }

    /// Whether a segment of this stream would be looked at if what stands in front of it were lost.
    pub fn may_resume(&self, segment: &[u8]) -> bool {
        self.dns || Self::may_begin(segment)
    }

    fn done(&mut self, bytes: &[u8]) -> Advance {
        self.state = State::Done;
        Advance { consumed: bytes.len() as u64, wants_more: false }
    }

    fn step(&mut self, bytes: &[u8], emit: &mut Emit<'_>) -> Step {
        match &mut self.state {
            State::Anew if self.dns => {
                if bytes.len() < DNS_PREFIX_LENGTH {
                    return Step::Wait(DNS_PREFIX_LENGTH);
                }
                // A tunnel may use the port, too; of what one begins with, only this is longer.
                if bytes.len() < http2::PREFACE.len() && http2::PREFACE.starts_with(bytes) {
                    return Step::Wait(bytes.len() + 1);
                }
                // In the midst of a stream a length may stand anywhere.
                let may_be = self.in_midst || may_be_dns(bytes);
                let begins = Self::may_begin(bytes);
                if !may_be && !begins {
                    emit(Finding::NotDns);
                }
                self.dns = may_be && !begins;
                self.state = if self.dns { State::Dns(0) } else { State::Anew };
                self.step(bytes, emit)
            }
            State::Anew => match preamble::preamble(bytes) {
                Preamble::No => self.plain(bytes, emit),
                known => self.preamble(known, State::Anew, bytes.len(), emit),
            },
            State::Lines | State::NextRequest => self.plain(bytes, emit),
            State::Resync => {
                if !Self::may_begin(bytes) {
                    return Step::Done;
                }
                self.state = State::Anew;
                self.step(bytes, emit)
            }
            State::Socks5 => {
                let (known, is_request) = preamble::socks5_request(bytes);
                let next = if is_request { State::Anew } else { State::Socks5 };
                self.preamble(known, next, bytes.len(), emit)
            }
            State::Expected(length) => {
                let length = *length;
                self.expected(length, bytes, emit)
            }
            State::LongHead(_) => self.long_head_line(bytes, emit),
            State::ChunkSize => self.chunk_size(bytes),
            State::Trailer => self.trailer(bytes),
            State::Dns(too_short) => dns(bytes, too_short, emit),
            State::OpenVpn(_) => self.binary(bytes, emit),
            State::Http2(connection) => match connection.frame(bytes) {
                Frame::Incomplete(length) => Step::Wait(length),
                Frame::Complete(length, head) => {
                    if let Some(head) = head {
                        emit_head(*head, emit);
                    }
                    Step::Consumed(length)
                }
                Frame::Reject(head) => {
                    if let Some(head) = head {
                        emit_head(*head, emit);
                    }
                    emit(Finding::Refused(Counter::HttpMalformed));
                    Step::Done
                }
            },
            State::Done => Step::Done,
        }
    }

    /// Steps over a preamble, or waits for its end.
    fn preamble(
        &mut self,
        preamble: Preamble<'_>,
        next: State,
        available: usize,
        emit: &mut Emit<'_>,
    ) -> Step {
        let (length, next) = match preamble {
            Preamble::No => return Step::Done,
            Preamble::Incomplete => return Step::Wait(available + 1),
            Preamble::Socks5Greeting { length } => (length, State::Socks5),
            Preamble::Complete { length, told } => {
                match told {
                    Told::Nothing => {}
                    Told::ForwardedFor(address) => emit(Finding::ForwardedFor(address)),
                    Told::Target(text) => {
                        emit(Finding::Tunnel { protocol: TunnelProtocol::Socks, by_client: true });
                        if let Ok(name) = Hostname::from_wire(text) {
                            emit(Finding::ProxyTarget(name));
                        }
                    }
                    Told::SocksTarget => {
                        emit(Finding::Tunnel { protocol: TunnelProtocol::Socks, by_client: true });
                    }
                    Told::Socks4Request => emit(Finding::Socks4 { is_reply: false }),
                    Told::Socks4Reply => emit(Finding::Socks4 { is_reply: true }),
                    Told::RemoteDesktop { by_client } => {
                        emit(Finding::Tunnel {
                            protocol: TunnelProtocol::RemoteDesktop,
                            by_client,
                        });
                    }
                }
                (length, next)
            }
        };
        self.begin_anew(next, length)
    }

    /// What follows `length` bytes is looked at with fresh eyes, up to a bound.
    fn begin_anew(&mut self, next: State, length: usize) -> Step {
        let Some(left) = self.preambles_left.checked_sub(1) else { return Step::Done };
        self.preambles_left = left;
        self.lines_left = LINES_MAX;
        self.state = next;
        Step::Consumed(length as u64)
    }

    /// TLS, a request, or a line of text.
    fn plain(&mut self, bytes: &[u8], emit: &mut Emit<'_>) -> Step {
        match *bytes {
            // An empty record in front of the hello's, against RFC 8446, 5.1.
            [22, 3, _, 0, 0, ..] => self.begin_anew(State::Anew, 5),
            [22, ..] => hello(bytes, self.fingerprint, emit),
            // ChangeCipherSpec or an alert in the clear before the hello.
            [20 | 21, 3, _, 0, length @ 1..=2, ..] => {
                self.begin_anew(State::Anew, 5 + usize::from(length))
            }
            [20 | 21] | [20 | 21, 3] | [20 | 21, 3, _] | [20 | 21, 3, _, 0] => Step::Wait(5),
            // White space between XML elements (RFC 6120, 4.6.1).
            [b' ' | b'\t' | b'\r' | b'\n', ..] if self.xml => Step::Consumed(1),
            // The same in front of the first.
            [b' ' | b'\t', ..] if self.may_begin_line() && matches!(self.state, State::Anew) => {
                self.line_consumed(1)
            }
            // Empty lines before a request (RFC 9112, 2.2) or between lines.
            [b'\r' | b'\n', ..] => self.line_consumed(1),
            // PostgreSQL's consent to TLS, one byte before the ServerHello, perhaps behind its no to
            // GSSAPI.
            [b'S', 22, 3, ..] => self.begin_anew(State::Anew, 1),
            [b'S', 22] => Step::Wait(3),
            [b'N', b'S', 22, 3, ..] => self.begin_anew(State::Anew, 2),
            [b'N', b'S', 22] | [b'N', b'S'] => Step::Wait(4),
            [b'P', ..] if bytes.starts_with(http2::PREFACE) => {
                self.state = State::Http2(Box::new(Connection::new()));
                Step::Consumed(http2::PREFACE.len() as u64)
            }
            [b'P', ..] if http2::PREFACE.starts_with(bytes) => Step::Wait(http2::PREFACE.len()),
            // Commands of Telnet (RFC 854; FTP's clients send some, RFC 959, 3.1), those with an option
            // last.
            [255, 241..=249, ..] if self.may_begin_line() => self.line_consumed(2),
            [255, 251..=254, _, ..] if self.may_begin_line() => self.line_consumed(3),
            [255] | [255, 251..=254] if self.may_begin_line() => Step::Wait(bytes.len() + 1),
            _ if matches!(self.state, State::Anew) && tunnel::is_rustdesk_relay_request(bytes) => {
                emit(Finding::Tunnel { protocol: TunnelProtocol::RustDesk, by_client: true });
                Step::Done
            }
            [b'I', ..] if bytes.starts_with(tunnel::IKE_OVER_TCP) => {
                emit(Finding::Tunnel { protocol: TunnelProtocol::Ipsec, by_client: true });
                Step::Done
            }
            [b' '..=b'~', ..] => self.text(bytes, emit),
            _ if matches!(self.state, State::Anew) => self.binary(bytes, emit),
            _ => Step::Done,
        }
    }

    /// Whether a line may begin here.
    fn may_begin_line(&self) -> bool {
        !self.in_midst && matches!(self.state, State::Anew | State::Lines)
    }

    /// A request of HTTP, or a line of another protocol, which may lead to TLS.
    fn text(&mut self, bytes: &[u8], emit: &mut Emit<'_>) -> Step {
        if matches!(self.state, State::Anew) {
            self.xml = bytes.first() == Some(&b'<');
        }
        let begins_with_method = http::begins_with_method(bytes);
        let end = if self.xml { memchr2(b'\n', b'>', bytes) } else { memchr(b'\n', bytes) };
        // A request whose target is too long to be kept.
        let is_long = end.unwrap_or(bytes.len()) > HEAD_LENGTH_MAX;
        if is_long && begins_with_method && !matches!(self.state, State::Lines) {
            return self.long_head(bytes, emit);
        }
        let Some(end) = end else {
            let fresh = bytes.get(self.scanned as usize..).unwrap_or_default();
            let may_go_on = begins_with_method || !self.in_midst && is_line(fresh, bytes.len());
            self.scanned = bytes.len() as u32;
            return if may_go_on { Step::Wait(bytes.len() + 1) } else { Step::Done };
        };
        let line = http::without_return(bytes.get(..end).unwrap_or_default());
        // What is given up before its end is here must be given up with it, too.
        let is_line = is_line(line, end);
        if !begins_with_method && !is_line {
            return Step::Done;
        }
        if let Some(protocol) = tunnel::of_line(line) {
            emit(Finding::Tunnel { protocol, by_client: false });
            return Step::Done;
        }
        // Behind lines of another protocol a request line is text like any other.
        if !matches!(self.state, State::Lines) {
            match http::begins_request(bytes, end) {
                Some(true) => return self.request(bytes, emit),
                Some(false) => {}
                None => return Step::Wait(bytes.len() + 1),
            }
        }
        if matches!(self.state, State::NextRequest) {
            if begins_with_method {
                emit(Finding::Refused(Counter::HttpMalformed));
            }
            return Step::Done;
        }
        if http::is_upgraded(line) {
            emit(Finding::Upgraded);
        }
        // What follows a response is no hello; a server behind a proxy begins a new segment.
        if line.starts_with(b"HTTP/") || !is_line || self.in_midst {
            return Step::Done;
        }
        self.state = State::Lines;
        self.line_consumed(end + 1)
    }

    fn line_consumed(&mut self, length: usize) -> Step {
        let Some(left) = self.lines_left.checked_sub(1) else { return Step::Done };
        self.lines_left = left;
        Step::Consumed(length as u64)
    }
}

/// A ClientHello, or the certificate behind a ServerHello: the end of the search either way.
fn hello(bytes: &[u8], fingerprint: bool, emit: &mut Emit<'_>) -> Step {
    /// Record header and the type of the first message.
    const PREFIX_LENGTH: usize = 6;
    const CLIENT_HELLO: u8 = 1;
    if bytes.len() < PREFIX_LENGTH {
        return Step::Wait(PREFIX_LENGTH);
    }
    if !tls::may_be_hello(bytes) {
        return Step::Done;
    }
    let refused = if bytes.get(PREFIX_LENGTH - 1) == Some(&CLIENT_HELLO) {
        match tls::client_hello_in_records(bytes, fingerprint) {
            Progress::Complete(hello) => {
                if hello.bad_name.is_some() {
                    emit(Finding::Refused(Counter::TlsBadName));
                }
                emit(Finding::Hello(hello));
                None
            }
            Progress::Incomplete => return Step::Wait(hello_end(bytes)),
            Progress::Reject(counter) => counter,
        }
    } else {
        match tls::certificate_in_records(bytes) {
            Progress::Complete(names) => {
                emit(Finding::Certificate(&names));
                None
            }
            Progress::Incomplete => return Step::Wait(bytes.len() + 1),
            Progress::Reject(counter) => {
                if tunnel::is_anydesk_server(bytes) {
                    let protocol = TunnelProtocol::AnyDesk;
                    emit(Finding::Tunnel { protocol, by_client: false });
                }
                counter
            }
        }
    };
    if let Some(counter) = refused {
        emit(Finding::Refused(counter));
    }
    Step::Done
}

/// The bytes that a hello needs at least: to the end of the message or of the first record,
/// whichever comes first; one more, if that is there.
fn hello_end(bytes: &[u8]) -> usize {
    /// Record header, message type and message length.
    const HEADERS_LENGTH: usize = 9;
    let record_end = match *bytes {
        [_, _, _, high, low, ..] => 5 + usize::from(u16::from_be_bytes([high, low])),
        _ => 0,
    };
    let message_end = match bytes.get(6..HEADERS_LENGTH) {
        // A record may claim more than its message has.
        Some(&[high, middle, low]) => {
            HEADERS_LENGTH + u32::from_be_bytes([0, high, middle, low]) as usize
        }
        _ => HEADERS_LENGTH,
    };
    record_end.min(message_end).max(bytes.len() + 1)
}

/// Whether the first message of a stream may be one of DNS: what too short a message is stepped over,
/// and behind the length stands a header (RFC 1035, 4.1.1) with an opcode that is assigned, the
/// reserved bit zero (RFC 4035, 3.2), and few questions. Of random bytes one in 20,000 may.
fn may_be_dns(bytes: &[u8]) -> bool {
    const OPCODE_MAX: u8 = 6;
    const RESERVED: u8 = 0x40;
    let Some(&[high, low, _, _, flags, more_flags, many, questions]) = bytes.first_chunk() else {
        return true;
    };
    let is_header = flags >> 3 & 15 <= OPCODE_MAX
        && more_flags & RESERVED == 0
        && many == 0
        && usize::from(questions) <= QUESTIONS_MAX;
    usize::from(u16::from_be_bytes([high, low])) < DNS_HEADER_LENGTH || is_header
}

/// A message behind its length (RFC 7766, 8).
fn dns(bytes: &[u8], too_short: &mut u8, emit: &mut Emit<'_>) -> Step {
    if bytes.len() < DNS_PREFIX_LENGTH {
        return Step::Wait(DNS_PREFIX_LENGTH);
    }
    let (Some(&length), Some(behind)) = (bytes.first_chunk(), bytes.get(2..)) else {
        return Step::Wait(DNS_PREFIX_LENGTH);
    };
    let length = usize::from(u16::from_be_bytes(length));
    if length < DNS_HEADER_LENGTH {
        emit(Finding::Refused(Counter::DnsMalformed));
        *too_short += 1;
        return match *too_short < TOO_SHORT_MAX {
            true => Step::Consumed(2 + length as u64),
            false => Step::Done,
        };
    }
    // After lost bytes the length may be anything: questions of a message are at most one in
    // practice (RFC 9619), its high byte is zero in any case.
    if behind.get(4) != Some(&0) {
        emit(Finding::Refused(Counter::DnsMalformed));
        return Step::Done;
    }
    match behind.get(..length) {
        Some(message) => emit(Finding::DnsMessage(message)),
        None if 2 + length <= SHOWN_BYTES_MAX => return Step::Wait(2 + length),
        None => emit(Finding::Refused(Counter::DnsMalformed)),
    }
    Step::Consumed(2 + length as u64)
}

/// Whether the `fresh` bytes of a line with `length` bytes so far leave it a line of text.
fn is_line(fresh: &[u8], length: usize) -> bool {
    let is_control = |byte: u8| byte < 0x20 && !matches!(byte, b'\t' | b'\r' | b'\n');
    length <= LINE_LENGTH_MAX && !fresh.iter().any(|&byte| is_control(byte))
}

#[cfg(test)]
mod tests;
