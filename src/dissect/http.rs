//! HTTP/1 requests (RFC 9112): the host that was asked for, and where the next request begins.
//!
//! Assumes bytes in order that begin at a request line. `httparse` reads the head; where it
//! refuses a head as a whole (one bad header, more than 64 of them), a scan line by line still
//! finds what concerns names. It reads no responses and no bodies.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing))]

use std::net::IpAddr;

use memchr::{memchr, memchr_iter};

use super::Progress;
use super::tunnel::{self, TunnelProtocol};
use crate::hostname::{Hostname, NotAHostname};
use crate::net::Address;
use crate::observation::Request;
use crate::stats::Counter;

/// Headers that `httparse` reads in one go.
const HEADERS_MAX: usize = 64;

/// The longest method that is taken for one; registered ones have up to 17 characters (IANA "HTTP
/// Method Registry").
const METHOD_LENGTH_MAX: usize = 24;

/// How a server agrees to another protocol; HTTP/1.0 has no such answer.
pub(crate) const UPGRADED: &[u8] = b"HTTP/1.1 101";

/// The longest name of a header behind a sloppy request line.
const HEADER_NAME_LENGTH_MAX: usize = 64;

/// What follows the head of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// This many bytes (RFC 9112, 6.2), then the next request.
    Length(u64),
    /// Chunks (RFC 9112, 7.1), then the next request.
    Chunked,
    /// After CONNECT: a tunnel, in which everything begins anew (RFC 9110, 9.3.6).
    Tunnel,
    /// This many bytes if the server agrees, else none (`Expect`, RFC 9110, 10.1.1); then the next
    /// request.
    Expected(u64),
    /// What cannot be foretold: a length that is none.
    Unknown,
}

/// The head of a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// What it asks for.
    pub request: Request,
    /// The length of the head in bytes, with the empty line at its end.
    pub length: usize,
    /// What follows.
    pub body: Body,
    /// A host in it that is no hostname.
    pub bad_name: bool,
    /// The tunnel that it begins, if any.
    pub tunnel: Option<TunnelProtocol>,
    /// The tunnel that it asks for, and that begins where the server agrees (RFC 9110, 7.8).
    pub upgrade: Option<TunnelProtocol>,
}

/// None of [`METHODS`] is longer, in bytes.
pub(crate) const KNOWN_METHOD_LENGTH_MAX: usize = 16;

/// The methods by which a request is known among bytes of which nothing is known: HTTP (RFC 9110,
/// 9; RFC 5789), WebDAV (RFC 4918 and its kin), UPnP, and those of Microsoft's RPC over HTTP,
/// BITS and Configuration Manager.
const METHODS: [&[u8]; 30] = [
    b"GET",
    b"POST",
    b"CONNECT",
    b"HEAD",
    b"PUT",
    b"OPTIONS",
    b"DELETE",
    b"PATCH",
    b"TRACE",
    b"PROPFIND",
    b"PROPPATCH",
    b"REPORT",
    b"MKCOL",
    b"MKCALENDAR",
    b"MKACTIVITY",
    b"COPY",
    b"MOVE",
    b"LOCK",
    b"UNLOCK",
    b"SEARCH",
    b"MERGE",
    b"CHECKOUT",
    b"SUBSCRIBE",
    b"UNSUBSCRIBE",
    b"NOTIFY",
    b"BITS_POST",
    b"CCM_POST",
    b"RPC_IN_DATA",
    b"RPC_OUT_DATA",
    b"QUERY",
];

/// Whether a segment begins with a well-known method that ends there. Cheap, for bytes of which
/// nothing is known: three bytes decide for nearly all that is none.
#[inline]
pub fn begins_with_method(bytes: &[u8]) -> bool {
    let Some(first) = bytes.first_chunk() else { return false };
    #[rustfmt::skip]
    let known = matches!(
        first,
        b"GET" | b"POS" | b"CON" | b"HEA" | b"PUT" | b"OPT" | b"DEL" | b"PAT" | b"TRA" | b"PRO"
            | b"REP" | b"MKC" | b"MKA" | b"COP" | b"MOV" | b"LOC" | b"UNL" | b"SEA" | b"MER"
            | b"CHE" | b"SUB" | b"UNS" | b"NOT" | b"BIT" | b"CCM" | b"RPC" | b"QUE"
    );
    known && begins_with_one_of(&METHODS, bytes)
}

/// Whether the bytes begin with one of the words and an end of it.
#[cold]
fn begins_with_one_of(words: &[&[u8]], bytes: &[u8]) -> bool {
    let ends = |rest: &[u8]| matches!(rest, [b' ' | b'\r' | b'\n', ..]);
    words.iter().any(|word| bytes.strip_prefix(*word).is_some_and(ends))
}

/// Whether a request begins here, whose first line ends at the line feed at `line_end`.
///
/// That is a request line; or, because servers are lenient and clients sloppy, a line that begins
/// with a well-known method, and behind it a header. `None` if that second line is not yet there.
pub(crate) fn begins_request(bytes: &[u8], line_end: usize) -> Option<bool> {
    let (line, behind) = bytes.split_at_checked(line_end)?;
    if is_request_line(without_return(line)) {
        return Some(true);
    }
    if !begins_with_method(bytes) || names_other_protocol(without_return(line)) {
        return Some(false);
    }
    let behind = behind.get(1..)?;
    // The bound holds for what came at once, too: the answer must not depend on that.
    let name = behind.get(..=HEADER_NAME_LENGTH_MAX).unwrap_or(behind);
    match name.iter().position(|&byte| !is_token(byte)) {
        Some(end) => Some(end > 0 && name.get(end) == Some(&b':')),
        None if name.len() > HEADER_NAME_LENGTH_MAX => Some(false),
        None => None,
    }
}

/// Whether a line, without its end, is a request line: method, target, `HTTP/1.` and a digit
/// (RFC 9112, 3).
pub(crate) fn is_request_line(line: &[u8]) -> bool {
    if !ends_request_line(line) {
        return false;
    }
    let method = memchr(b' ', line).unwrap_or(0);
    (1..=METHOD_LENGTH_MAX).contains(&method)
        && line.iter().take(method).all(|&byte| is_token(byte))
}

/// Whether a line, without its end, ends as a request line does.
fn ends_request_line(line: &[u8]) -> bool {
    matches!(line, [.., b' ', b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'0'..=b'9'])
}

/// Whether a line ends in the version of a protocol that shares methods with HTTP, such as `RTSP/1.0`
/// (RFC 7826, 2.1), `ICAP/1.0` (RFC 3507, 4.3.2) or `SIP/2.0` (RFC 3261, 7.1).
fn names_other_protocol(line: &[u8]) -> bool {
    let Some((rest, [major, b'.', minor])) = line.split_last_chunk::<3>() else { return false };
    let Some((b'/', rest)) = rest.split_last() else { return false };
    let word = rest.rsplit(|&byte| byte == b' ').next().unwrap_or_default();
    major.is_ascii_digit()
        && minor.is_ascii_digit()
        && word != b"HTTP"
        && !word.is_empty()
        && word.iter().all(u8::is_ascii_uppercase)
}

/// Whether a line, without its end, says that a server agrees to another protocol (RFC 9110, 15.2.2).
pub(crate) fn is_upgraded(line: &[u8]) -> bool {
    line.starts_with(UPGRADED) && matches!(line.get(UPGRADED.len()), None | Some(b' '))
}

/// Where the head of a request ends: the length up to and with its empty line.
///
/// `scanned` says how many bytes of the beginning are known to hold no end; the line that they
/// end in is looked at again.
pub(crate) fn head_length(bytes: &[u8], scanned: usize) -> Option<usize> {
    let start = scanned.saturating_sub(2);
    for newline in memchr_iter(b'\n', bytes.get(start..)?).map(|offset| start + offset) {
        match *bytes.get(newline + 1..).unwrap_or_default() {
            [b'\n', ..] => return Some(newline + 2),
            [b'\r', b'\n', ..] => return Some(newline + 3),
            _ => {}
        }
    }
    None
}

/// Reads the head of a request that begins at the first byte.
///
/// `Incomplete` until its empty line is there; `Reject` if the first line is no request line.
pub fn request_head(bytes: &[u8]) -> Progress<Head> {
    let refused = Progress::Reject(Some(Counter::HttpMalformed));
    let Some(line_end) = memchr(b'\n', bytes) else { return Progress::Incomplete };
    match begins_request(bytes, line_end) {
        Some(true) => {}
        Some(false) => return refused,
        None => return Progress::Incomplete,
    }
    let Some(length) = head_length(bytes, 0) else { return Progress::Incomplete };
    bytes.get(..length).and_then(head_of).map_or(refused, Progress::Complete)
}

/// What the whole lines at the beginning say, for a head whose end never comes. `None` if not even
/// the request line is whole or if no host was named.
pub fn request_prefix(bytes: &[u8]) -> Option<Head> {
    let end = memchr::memrchr(b'\n', bytes)?;
    let head = head_of(bytes.get(..=end)?)?;
    (head.request.host.is_some() || head.request.authority.is_some()).then_some(head)
}

/// Reads whole lines that begin with a request line; the empty line at their end may be missing.
pub(crate) fn head_of(head: &[u8]) -> Option<Head> {
    let mut fields = Fields::default();
    let mut slots = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut slots);
    let complete = matches!(parsed.parse(head), Ok(httparse::Status::Complete(_)));
    if let (true, Some(method), Some(target)) = (complete, parsed.method, parsed.path) {
        fields.request_line(method.as_bytes(), target.as_bytes());
        for header in parsed.headers.iter() {
            fields.header(header.name.as_bytes(), header.value);
        }
    } else {
        fields.lines(head)?;
    }
    Some(fields.finish(head.len()))
}

/// What is picked from the lines of a head.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    request: Request,
    bad_name: bool,
    tunnel: Option<TunnelProtocol>,
    upgrade: Option<TunnelProtocol>,
    host_seen: bool,
    content_length: Option<Option<u64>>,
    chunked: bool,
    expects: bool,
    /// Whether the request line is none, so that nothing is sure about the body.
    unframed: bool,
}

impl Fields {
    /// Reads the lines one by one, leaving out those that are no headers.
    fn lines(&mut self, head: &[u8]) -> Option<()> {
        let mut lines = head.split(|&byte| byte == b'\n').map(without_return);
        let line = lines.next()?;
        if !is_request_line(line) && !begins_with_method(head) {
            return None;
        }
        self.first_line(line);
        lines.for_each(|line| self.line(line));
        Some(())
    }

    /// Takes a request line, or what stands in its place behind a well-known method.
    pub(crate) fn first_line(&mut self, line: &[u8]) {
        let (method, rest) = split_at_byte(line, b' ').unwrap_or((line, b""));
        self.unframed = !is_request_line(line);
        let version_length = if self.unframed { 0 } else { b"HTTP/1.1".len() };
        let target = rest.get(..rest.len().saturating_sub(version_length)).unwrap_or_default();
        self.request_line(method, target.trim_ascii());
    }

    /// Takes the last bytes of a first line that begins with a well-known method and of which
    /// [`Fields::first_line`] saw only the beginning.
    pub(crate) fn long_first_line_ends(&mut self, line_end: &[u8]) {
        self.unframed = !ends_request_line(line_end);
    }

    /// Takes a header, if the line is one.
    pub(crate) fn line(&mut self, line: &[u8]) {
        if let Some((name, value)) = split_at_byte(line, b':') {
            self.header(name.trim_ascii(), value);
        }
    }

    /// The target's forms: RFC 9112, 3.2.
    fn request_line(&mut self, method: &[u8], target: &[u8]) {
        self.tunnel = tunnel::of_request(method, target);
        self.request.connect = method == b"CONNECT";
        let authority =
            if self.request.connect { Some(target) } else { absolute_form_authority(target) };
        if let Some(authority) = authority {
            self.request.authority = self.host_of(authority);
        }
    }

    /// Takes what a header tells.
    pub(crate) fn header(&mut self, name: &[u8], value: &[u8]) {
        let value = value.trim_ascii();
        // The length decides first: most headers are none of these.
        match name.len() {
            4 if !self.host_seen && name.eq_ignore_ascii_case(b"host") => {
                self.host_seen = true;
                self.request.host = self.host_of(value);
            }
            6 if name.eq_ignore_ascii_case(b"expect") => self.expects = true,
            7 if name.eq_ignore_ascii_case(b"upgrade") => {
                self.upgrade = self.upgrade.or_else(|| tunnel::of_upgrade(value));
            }
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                // A list of the same value is that value (RFC 9112, 6.3).
                let mut values =
                    value.split(|&byte| byte == b',').map(|one| decimal(one.trim_ascii()));
                let first = values.next().flatten();
                self.content_length = Some(first.filter(|_| values.all(|next| next == first)));
            }
            15 if name.eq_ignore_ascii_case(b"x-forwarded-for") => {
                self.request.forwarded_for =
                    self.request.forwarded_for.or_else(|| forwarded_address(value));
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                // The last coding is the one on the wire (RFC 9112, 6.1).
                let last = value.rsplit(|&byte| byte == b',').next().unwrap_or_default();
                self.chunked = last.trim_ascii().eq_ignore_ascii_case(b"chunked");
            }
            22 if name.eq_ignore_ascii_case(b"sec-websocket-protocol") => {
                self.upgrade = self.upgrade.or_else(|| tunnel::of_subprotocol(value));
            }
            _ => {}
        }
    }

    /// Takes the protocol of an extended CONNECT (RFC 8441, 4): a server has said before that it knows
    /// such requests (3).
    pub(crate) fn extended_connect(&mut self, protocol: &[u8]) {
        self.tunnel = tunnel::of_upgrade(protocol);
    }

    /// The host of an authority; what is no hostname is remembered.
    pub(crate) fn host_of(&mut self, authority: &[u8]) -> Option<Hostname> {
        match host_of(authority) {
            Ok(host) => Some(host),
            // An address or nothing is allowed (RFC 9110, 7.2) and only no name.
            Err(NotAHostname::Address | NotAHostname::Empty) => None,
            Err(_) => {
                self.bad_name = true;
                None
            }
        }
    }

    /// The head of this length, all headers taken.
    pub(crate) fn finish(self, length: usize) -> Head {
        // Precedence: RFC 9112, 6.3.
        let body = if self.request.connect {
            Body::Tunnel
        } else if self.unframed {
            Body::Unknown
        } else if self.chunked {
            Body::Chunked
        } else {
            match self.content_length {
                None | Some(Some(0)) => Body::Length(0),
                Some(Some(length)) if self.expects => Body::Expected(length),
                Some(Some(length)) => Body::Length(length),
                Some(None) => Body::Unknown,
            }
        };
        let Fields { request, bad_name, tunnel, upgrade, .. } = self;
        Head { request, length, body, bad_name, tunnel, upgrade }
    }
}

/// The host of an authority: without user, port and brackets (RFC 3986, 3.2).
///
/// # Errors
/// What keeps the rest from being a hostname; an address is one of these.
pub(crate) fn host_of(authority: &[u8]) -> Result<Hostname, NotAHostname> {
    let host = match memchr::memrchr(b'@', authority).and_then(|at| authority.get(at + 1..)) {
        Some(behind_user) => behind_user,
        None => authority,
    };
    if host.first() == Some(&b'[') {
        return Err(NotAHostname::Address);
    }
    let mut colons = memchr_iter(b':', host);
    match (colons.next(), colons.next()) {
        (Some(port), None) => Hostname::from_wire(host.get(..port).unwrap_or_default()),
        _ => Hostname::from_wire(host),
    }
}

/// The authority of `scheme://authority/path` (RFC 9112, 3.2.2), for http, https, ws, ftp and the
/// like.
fn absolute_form_authority(target: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = split_at_byte(target, b':')?;
    if scheme.is_empty() || !scheme.iter().all(u8::is_ascii_alphanumeric) {
        return None;
    }
    let rest = rest.strip_prefix(b"//")?;
    rest.split(|byte| matches!(byte, b'/' | b'?' | b'#')).next()
}

/// The first address of an `X-Forwarded-For`, with or without brackets, quotes and port.
fn forwarded_address(value: &[u8]) -> Option<Address> {
    let first = value.split(|&byte| byte == b',').next()?.trim_ascii();
    let text = std::str::from_utf8(first).ok()?.trim_matches('"');
    let text = match text.strip_prefix('[') {
        Some(bracketed) => bracketed.split(']').next()?,
        None if text.bytes().filter(|&byte| byte == b':').count() == 1 => text.split(':').next()?,
        None => text,
    };
    text.parse::<IpAddr>().ok().map(Address::from)
}

/// A decimal number without sign; `None` if it is none or does not fit.
fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |number, &byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// The size line of a chunk (RFC 9112, 7.1), without its end: bytes of the chunk.
pub(crate) fn chunk_size(line: &[u8]) -> Option<u64> {
    let size = line.split(|&byte| byte == b';').next()?.trim_ascii();
    if size.is_empty() || size.len() > 16 {
        return None;
    }
    size.iter().try_fold(0u64, |number, &byte| {
        let digit = char::from(byte).to_digit(16)?;
        Some(number << 4 | u64::from(digit))
    })
}

/// The line without the carriage return at its end.
pub(crate) fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// What is before and behind the first `byte`.
fn split_at_byte(bytes: &[u8], byte: u8) -> Option<(&[u8], &[u8])> {
    let (before, rest) = bytes.split_at_checked(memchr(byte, bytes)?)?;
    Some((before, rest.get(1..)?))
}

/// Whether a byte may stand in a token (RFC 9110, 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete(text: &str) -> Head {
        match request_head(text.as_bytes()) {
            Progress::Complete(head) => head,
            other => panic!("{other:?}"),
        }
    }

    fn name(text: &str) -> Option<Hostname> {
        Some(Hostname::from_wire(text.as_bytes()).unwrap())
    }

    #[test]
    fn the_host_is_lowered_and_loses_its_port() {
        let head =
            complete("GET / HTTP/1.1\r\nAccept: */*\r\nHOST:  WWW.Example.com.:8080 \r\n\r\n");
        assert_eq!(head.request.host, name("www.example.com"));
        assert_eq!(head.request.authority, None);
        assert_eq!((head.body, head.bad_name), (Body::Length(0), false));
    }

    #[test]
    fn absolute_form_and_connect_name_an_authority() {
        let head = complete("GET http://user@a.example:80/x?y HTTP/1.1\r\nHost: b.example\r\n\r\n");
        assert_eq!(head.request.authority, name("a.example"));
        assert_eq!(head.request.host, name("b.example"));
        let head = complete("CONNECT c.example:443 HTTP/1.0\nX-Forwarded-For: 192.0.2.9, x\n\n");
        assert!(head.request.connect);
        assert_eq!(head.request.authority, name("c.example"));
        assert_eq!(head.request.forwarded_for, Some(Address::v4([192, 0, 2, 9])));
        assert_eq!(head.body, Body::Tunnel);
    }

    #[test]
    fn addresses_are_no_names_and_no_fault() {
        for host in ["192.0.2.1", "192.0.2.1:80", "[2001:db8::1]:80", "2001:db8::1", ""] {
            let head = complete(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
            assert_eq!((head.request.host, head.bad_name), (None, false), "{host}");
        }
        assert!(complete("GET / HTTP/1.1\r\nHost: a b\r\n\r\n").bad_name);
    }

    #[test]
    fn one_bad_header_or_too_many_do_not_cost_the_host() {
        let head = complete("GET / HTTP/1.1\r\nbad header\x01: x\r\nHost: a.example\r\n\r\n");
        assert_eq!(head.request.host, name("a.example"));
        let many = "x: y\r\n".repeat(100);
        let head = complete(&format!("GET / HTTP/1.1\r\n{many}Host: a.example\r\n\r\n"));
        assert_eq!(head.request.host, name("a.example"));
    }

    #[test]
    fn bodies_are_framed_as_rfc_9112_says() {
        for (headers, body) in [
            ("Content-Length: 17", Body::Length(17)),
            ("Content-Length: -1", Body::Unknown),
            ("Content-Length: 99999999999999999999", Body::Unknown),
            ("Transfer-Encoding: gzip, Chunked\r\nContent-Length: 3", Body::Chunked),
            ("Content-Length: 17\r\nExpect: 100-continue", Body::Expected(17)),
            ("Content-Length: 5, 5", Body::Length(5)),
            ("Content-Length: 5, 6", Body::Unknown),
        ] {
            let head = complete(&format!("POST / HTTP/1.1\r\n{headers}\r\n\r\n"));
            assert_eq!(head.body, body, "{headers}");
        }
        assert_eq!(chunk_size(b"1aF ;name=value"), Some(0x1af));
        assert_eq!(chunk_size(b"11112222333344445"), None);
        assert_eq!(chunk_size(b""), None);
    }

    #[test]
    fn a_head_is_incomplete_until_its_empty_line() {
        let text = "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
        for end in 0..text.len() {
            assert_eq!(request_head(&text.as_bytes()[..end]), Progress::Incomplete, "{end}");
            for scanned in 0..=end {
                assert_eq!(head_length(text.as_bytes(), scanned), Some(text.len()));
            }
        }
        assert_eq!(request_prefix(b"GET / HTTP/1.1\r\nHost: a.exam"), None);
        let cut = request_prefix(b"GET / HTTP/1.1\r\nHost: a.example\r\nX: y").unwrap();
        assert_eq!(cut.request.host, name("a.example"));
    }

    #[test]
    fn what_is_no_request_line_is_refused() {
        let refused = Progress::Reject(Some(Counter::HttpMalformed));
        assert_eq!(request_head(b"GET /\r\n\r\n"), refused);
        assert_eq!(request_head(b"SET a b\r\nHost: a.example\r\n\r\n"), refused);
        assert_eq!(request_head(b"FOO sip:a SIP/2.0\r\n\r\n"), refused);
        for line in ["OPTIONS rtsp://a.example/ RTSP/1.0", "NOTIFY sip:a@b.example SIP/2.0"] {
            let head = format!("{line}\r\nHost: a.example\r\n\r\n");
            assert_eq!(request_head(head.as_bytes()), refused, "{line}");
        }
        assert!(is_request_line(b"FROBNICATE / HTTP/1.1"));
        assert!(!is_request_line(b"a b c HTTP/1."));
        let without_target = complete("OPTIONS HTTP/1.1\nHost: a.example\n\n");
        assert_eq!(without_target.request.host, name("a.example"));
    }

    #[test]
    fn each_method_is_known_by_its_first_bytes() {
        for method in METHODS {
            assert!(method.len() <= KNOWN_METHOD_LENGTH_MAX);
            assert!(begins_with_method(&[method, b" /"].concat()), "{}", method.escape_ascii());
            assert!(!begins_with_method(&[method, b"X /"].concat()));
        }
    }

    #[test]
    fn a_sloppy_request_line_is_one_if_a_header_follows() {
        for line in ["OPTIONS", "GET / HTTP/1.", "GET /HTTP/1.1", "CCM_POST / HTTP/2.0"] {
            let head = complete(&format!("{line}\nHost: a.example\nContent-Length: 7\n\n"));
            assert_eq!(
                (head.request.host, head.body),
                (name("a.example"), Body::Unknown),
                "{line}"
            );
        }
        assert_eq!(request_head(b"GET /\r\nHos"), Progress::Incomplete);
        // However the bytes are cut: a name of 64 characters is one, a longer one is none.
        let named = |length| format!("GET /\n{}: x\n", "x".repeat(length));
        for (text, expected) in [(named(64), Some(true)), (named(65), Some(false))] {
            for end in 6..text.len() {
                let answer = begins_request(&text.as_bytes()[..end], 5);
                assert!(answer.is_none() || answer == expected, "{end}");
            }
            assert_eq!(begins_request(text.as_bytes(), 5), expected);
        }
    }
}
