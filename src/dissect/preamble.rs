//! What may come before TLS or HTTP on a connection: proxy requests and requests for encryption.
//!
//! SOCKS 4, 4a and 5, the PROXY protocol 1 and 2, RDP's X.224 connection request, and the requests
//! to start TLS of LDAP, PostgreSQL, MySQL and SQL Server. Line-wise protocols (SMTP, IMAP, POP3, FTP, XMPP)
//! need no reader of their own: `stream` follows their lines.
//!
//! Assumes the first bytes that one side sent. It does not check that the other side agreed: what
//! follows shows it.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing))]

use std::net::IpAddr;

use memchr::memchr;

use super::reader::Reader;
use super::tunnel;
use crate::net::Address;

/// What the bytes are.
#[derive(Debug, PartialEq)]
pub(crate) enum Preamble<'a> {
    /// None of those that are known.
    No,
    /// Perhaps one: more bytes will tell.
    Incomplete,
    /// One that ends after `length` bytes; behind it everything begins anew.
    Complete {
        /// Its length in bytes, at least 1.
        length: usize,
        /// What it tells.
        told: Told<'a>,
    },
    /// A greeting of SOCKS 5 of this length; [`socks5_request`] reads what follows.
    Socks5Greeting {
        /// Its length in bytes.
        length: usize,
    },
}

/// What a preamble tells.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Told<'a> {
    /// Nothing.
    Nothing,
    /// The name to which a SOCKS client wants to be connected, as it was sent.
    Target(&'a [u8]),
    /// A SOCKS client wants to be connected to an address.
    SocksTarget,
    /// A SOCKS 4 client wants to be connected to an address: so short that only the answer proves it.
    Socks4Request,
    /// What a SOCKS 4 server would answer.
    Socks4Reply,
    /// Remote Desktop is negotiated.
    RemoteDesktop {
        /// Whether the sender asks for it.
        by_client: bool,
    },
    /// The source of the connection behind a proxy.
    ForwardedFor(Address),
}

/// The signature of the PROXY protocol 2 (HAProxy, "The PROXY protocol", 2.2).
const PROXY_2_SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// The longest line of the PROXY protocol 1, with its end (2.1).
const PROXY_1_LENGTH_MAX: usize = 107;
/// The length of an answer of SOCKS 4.
const SOCKS_4_REPLY_LENGTH: usize = 8;
/// The longest text in a SOCKS 4 request that is waited for.
const SOCKS_4_TEXT_LENGTH_MAX: usize = 255;
/// The longest LDAP message before TLS that is waited for.
const LDAP_LENGTH_MAX: usize = 4096;
/// The longest TPKT of a connection request; its cookie is one line.
const TPKT_LENGTH_MAX: usize = 512;
/// SSLRequest and GSSENCRequest (PostgreSQL manual, "Message Formats"), with their length.
const POSTGRESQL: [[u8; 8]; 2] =
    [[0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f], [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x30]];
/// The length of MySQL's SSLRequest with its header ("Protocol::SSLRequest").
const MYSQL_LENGTH: usize = 36;
/// CLIENT_SSL (0x800) in the second byte of the capabilities.
const MYSQL_CLIENT_SSL: u8 = 0x08;

/// The header of a packet of SQL Server ([MS-TDS] 2.2.3.1), and the longest packet: what the two
/// sides agree on before they agree on another length (2.2.6.4).
const TDS_HEADER_LENGTH: usize = 8;
const TDS_LENGTH_MAX: usize = 4096;

/// Looks at the first bytes of a side.
pub(crate) fn preamble(bytes: &[u8]) -> Preamble<'_> {
    let recognise = match bytes.first() {
        Some(0x00) if matches!(bytes.get(1), Some(0x5a..=0x5d)) => socks4_reply,
        Some(0x00) => postgresql,
        Some(0x03) => tpkt,
        Some(0x04) => socks4,
        Some(0x05) => socks5_greeting,
        Some(0x12) => tds,
        Some(b'\r') => proxy_2,
        Some(0x20) => mysql,
        Some(0x30) => ldap,
        Some(b'P') => proxy_1,
        _ => return Preamble::No,
    };
    recognise(bytes)
}

/// Whether bytes begin, or might go on to begin, with `pattern`.
fn begins(bytes: &[u8], pattern: &[u8]) -> bool {
    bytes.iter().zip(pattern).all(|(byte, expected)| byte == expected)
}

/// After a greeting of SOCKS 5: the sub-negotiation of user and password (RFC 1929) or the request
/// (RFC 1928, 4). The flag says whether it was the request.
pub(crate) fn socks5_request(bytes: &[u8]) -> (Preamble<'_>, bool) {
    match bytes.first() {
        Some(0x01) => (complete(user_and_password(bytes), Told::Nothing), false),
        Some(0x05) => {
            if !matches!(bytes, [_] | [_, 1..=3] | [_, 1..=3, 0, ..]) {
                return (Preamble::No, false);
            }
            let mut reader = Reader::new(bytes);
            match socks5_target(&mut reader) {
                Some(Some(told)) => (complete(length_of(bytes, reader), told), true),
                Some(None) => (Preamble::No, false),
                None => (Preamble::Incomplete, false),
            }
        }
        Some(_) => (Preamble::No, false),
        None => (Preamble::Incomplete, false),
    }
}

fn user_and_password(bytes: &[u8]) -> Option<usize> {
    let mut reader = Reader::new(bytes);
    reader.u8()?;
    reader.vector8()?;
    reader.vector8()?;
    length_of(bytes, reader)
}

/// `None`: incomplete; `Some(None)`: no address of a known kind.
#[allow(clippy::option_option, reason = "incomplete and refused are two things")]
fn socks5_target<'a>(reader: &mut Reader<'a>) -> Option<Option<Told<'a>>> {
    reader.take(3)?;
    let told = match reader.u8()? {
        1 => reader.take(4).map(|_| Told::SocksTarget)?,
        3 => Told::Target(reader.vector8()?),
        4 => reader.take(16).map(|_| Told::SocksTarget)?,
        _ => return Some(None),
    };
    reader.u16()?;
    Some(Some(told))
}

fn length_of(bytes: &[u8], rest: Reader<'_>) -> Option<usize> {
    bytes.len().checked_sub(rest.rest().len())
}

/// Complete if there is a length; else more bytes are needed.
fn complete(length: Option<usize>, told: Told<'_>) -> Preamble<'_> {
    match length {
        Some(length) => Preamble::Complete { length, told },
        None => Preamble::Incomplete,
    }
}

fn socks5_greeting(bytes: &[u8]) -> Preamble<'_> {
    // Version, number of methods, methods: 0 to 9 are assigned (IANA), from 0x80 on private.
    let Some(&count) = bytes.get(1) else { return Preamble::Incomplete };
    let count = usize::from(count);
    let mut methods = bytes.iter().skip(2).take(count);
    if !(1..=16).contains(&count) || methods.any(|&method| (10..0x80).contains(&method)) {
        return Preamble::No;
    }
    if bytes.len() < 2 + count {
        return Preamble::Incomplete;
    }
    Preamble::Socks5Greeting { length: 2 + count }
}

/// SOCKS 4 (Lee, "SOCKS: A protocol for TCP proxy across firewalls") and 4a.
fn socks4(bytes: &[u8]) -> Preamble<'_> {
    if !matches!(bytes, [_] | [_, 1 | 2, ..]) {
        return Preamble::No;
    }
    // Version, command, port, address; user id; with address 0.0.0.x a name.
    let Some((header, rest)) = bytes.split_at_checked(8) else { return Preamble::Incomplete };
    let (user, rest) = match text_to_zero(rest) {
        Ok(found) => found,
        Err(preamble) => return preamble,
    };
    let without_name = 8 + user.len() + 1;
    if !matches!(header, [.., 0, 0, 0, last] if *last != 0) {
        return Preamble::Complete { length: without_name, told: Told::Socks4Request };
    }
    match text_to_zero(rest) {
        Ok((name, _)) => {
            Preamble::Complete { length: without_name + name.len() + 1, told: Told::Target(name) }
        }
        Err(preamble) => preamble,
    }
}

/// A zero, granted or one of three refusals, and six bytes that mean nothing to most.
fn socks4_reply(bytes: &[u8]) -> Preamble<'_> {
    complete(
        (bytes.len() >= SOCKS_4_REPLY_LENGTH).then_some(SOCKS_4_REPLY_LENGTH),
        Told::Socks4Reply,
    )
}

/// Splits at the zero byte that ends a text.
fn text_to_zero(bytes: &[u8]) -> Result<(&[u8], &[u8]), Preamble<'_>> {
    let end = memchr(0, bytes);
    let text = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
    if text.len() > SOCKS_4_TEXT_LENGTH_MAX || text.iter().any(|&byte| byte < 0x20) {
        return Err(Preamble::No);
    }
    match end.and_then(|end| bytes.get(end + 1..)) {
        Some(rest) => Ok((text, rest)),
        None => Err(Preamble::Incomplete),
    }
}

/// `PROXY TCP4 192.0.2.1 198.51.100.1 56324 443` (2.1).
fn proxy_1(bytes: &[u8]) -> Preamble<'_> {
    if !begins(bytes, b"PROXY ") {
        return Preamble::No;
    }
    let line = bytes.get(..PROXY_1_LENGTH_MAX).unwrap_or(bytes);
    let Some(end) = memchr(b'\n', line) else {
        let waiting = line.len() < PROXY_1_LENGTH_MAX;
        return if waiting { Preamble::Incomplete } else { Preamble::No };
    };
    let mut words = bytes.get(..end).unwrap_or_default().split(|&byte| byte == b' ').skip(1);
    let family = words.next();
    let address = words
        .next()
        .filter(|_| matches!(family, Some(b"TCP4" | b"TCP6")))
        .and_then(|word| std::str::from_utf8(word).ok()?.parse::<IpAddr>().ok());
    Preamble::Complete {
        length: end + 1,
        told: address.map_or(Told::Nothing, |ip| Told::ForwardedFor(Address::from(ip))),
    }
}

/// Signature, version and command, family, length, addresses, further fields (2.2).
fn proxy_2(bytes: &[u8]) -> Preamble<'_> {
    if !begins(bytes, PROXY_2_SIGNATURE) {
        return Preamble::No;
    }
    let mut reader = Reader::new(bytes);
    reader.take(PROXY_2_SIGNATURE.len());
    let (Some(version_and_command), Some(family), Some(fields)) =
        (reader.u8(), reader.u8(), reader.vector16())
    else {
        return Preamble::Incomplete;
    };
    let address = match (version_and_command, family) {
        (0x21, 0x11) => fields.first_chunk().map(|&bytes| Address::v4(bytes)),
        (0x21, 0x21) => fields.first_chunk().map(|&bytes| Address::v6(bytes)),
        _ => None,
    };
    complete(length_of(bytes, reader), address.map_or(Told::Nothing, Told::ForwardedFor))
}

/// RDP: a TPKT (RFC 1006, 6) with an X.224 connection request or confirm ([MS-RDPBCGR] 2.2.1.1);
/// TLS follows if that was negotiated.
fn tpkt(bytes: &[u8]) -> Preamble<'_> {
    const CONNECTION_REQUEST: u8 = 0xe0;
    const CONNECTION_CONFIRM: u8 = 0xd0;
    match *bytes {
        [_] | [_, 0] | [_, 0, _] | [_, 0, _, _] | [_, 0, _, _, _] => Preamble::Incomplete,
        [_, 0, high, low, _, CONNECTION_REQUEST | CONNECTION_CONFIRM, ..] => {
            let length = usize::from(u16::from_be_bytes([high, low]));
            if !(11..=TPKT_LENGTH_MAX).contains(&length) {
                return Preamble::No;
            }
            let Some(packet) = bytes.get(..length) else { return Preamble::Incomplete };
            let by_client = packet.get(5) == Some(&CONNECTION_REQUEST);
            let is_remote_desktop = tunnel::is_remote_desktop(packet);
            let told =
                if is_remote_desktop { Told::RemoteDesktop { by_client } } else { Told::Nothing };
            Preamble::Complete { length, told }
        }
        _ => Preamble::No,
    }
}

fn postgresql(bytes: &[u8]) -> Preamble<'_> {
    if !POSTGRESQL.iter().any(|request| begins(bytes, request)) {
        return Preamble::No;
    }
    complete((bytes.len() >= 8).then_some(8), Told::Nothing)
}

/// Length 32, sequence number 1, capabilities with CLIENT_SSL.
fn mysql(bytes: &[u8]) -> Preamble<'_> {
    if !begins(bytes, &[MYSQL_LENGTH as u8 - 4, 0, 0, 1])
        || bytes.get(5).is_some_and(|capabilities| capabilities & MYSQL_CLIENT_SSL == 0)
    {
        return Preamble::No;
    }
    complete((bytes.len() >= MYSQL_LENGTH).then_some(MYSQL_LENGTH), Told::Nothing)
}

/// SQL Server: a packet of type PRELOGIN ([MS-TDS] 2.2.3.1) holds options, of which VERSION is the
/// first, or a flight of TLS records (3.2.5.1); of that one only the header is stepped over.
fn tds(bytes: &[u8]) -> Preamble<'_> {
    const OPTION_VERSION: u8 = 0;
    const TLS_HANDSHAKE: u8 = 22;
    if !matches!(bytes, [_] | [_, 0 | 1, ..]) {
        return Preamble::No;
    }
    let Some((header, content)) = bytes.split_at_checked(TDS_HEADER_LENGTH) else {
        return Preamble::Incomplete;
    };
    let length = match *header {
        [_, _, high, low, ..] => usize::from(u16::from_be_bytes([high, low])),
        _ => 0,
    };
    match content {
        _ if !(TDS_HEADER_LENGTH + 1..=TDS_LENGTH_MAX).contains(&length) => Preamble::No,
        [] => Preamble::Incomplete,
        [TLS_HANDSHAKE, ..] => {
            Preamble::Complete { length: TDS_HEADER_LENGTH, told: Told::Nothing }
        }
        [OPTION_VERSION, ..] => complete((length <= bytes.len()).then_some(length), Told::Nothing),
        _ => Preamble::No,
    }
}

/// An LDAPMessage (RFC 4511, 4.1.1): SEQUENCE, message id, operation. Bind, search and the like
/// may come before StartTLS (4.14), so each of them counts as one.
fn ldap(bytes: &[u8]) -> Preamble<'_> {
    let mut reader = Reader::new(bytes);
    reader.u8();
    let length = match reader.u8() {
        Some(short @ 0..=0x7f) => Some(usize::from(short)),
        Some(0x81) => reader.u8().map(usize::from),
        Some(0x82) => reader.u16().map(usize::from),
        Some(0x84) => reader
            .u16()
            .zip(reader.u16())
            .map(|(high, low)| usize::from(high) << 16 | usize::from(low)),
        Some(_) => return Preamble::No,
        None => None,
    };
    let Some(length) = length else { return Preamble::Incomplete };
    let header = bytes.len() - reader.rest().len();
    // The third byte decides early: text that begins with "0" goes another way.
    if reader.rest().first().is_some_and(|&kind| kind != 0x02)
        || !(5..=LDAP_LENGTH_MAX).contains(&length)
    {
        return Preamble::No;
    }
    let message = reader.rest().get(..length);
    let mut content = Reader::new(message.unwrap_or(reader.rest()));
    content.u8();
    // An id too long is refused before its end is there.
    if content.rest().first().is_some_and(|id_length| !(1..=4).contains(id_length)) {
        return Preamble::No;
    }
    // Operations are of class APPLICATION (0x40 to 0x7f).
    let operation = content.vector8().and_then(|_| content.u8());
    match (operation, message) {
        (Some(operation), _) if operation & 0xc0 != 0x40 => Preamble::No,
        (None, Some(_)) => Preamble::No,
        _ => complete(message.map(|_| header + length), Told::Nothing),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn complete_of(length: usize, told: Told<'_>) -> Preamble<'_> {
        Preamble::Complete { length, told }
    }

    /// The bytes are one preamble; each shorter prefix waits for more.
    fn check(bytes: &[u8], told: Told<'_>) {
        assert_eq!(preamble(bytes), complete_of(bytes.len(), told.clone()), "{bytes:x?}");
        for end in 1..bytes.len() {
            assert_eq!(preamble(&bytes[..end]), Preamble::Incomplete, "{end} of {bytes:x?}");
        }
        let longer = [bytes, b"\x16\x03\x01"].concat();
        assert_eq!(preamble(&longer), complete_of(bytes.len(), told));
    }

    #[test]
    fn socks_4_names_its_target_only_in_form_4a() {
        check(b"\x04\x01\x01\xbb\xc0\x00\x02\x01user\0", Told::Socks4Request);
        check(b"\0\x5a\0\0\0\0\0\0", Told::Socks4Reply);
        check(b"\x04\x01\x01\xbb\0\0\0\x01\0www.example.com\0", Told::Target(b"www.example.com"));
        assert_eq!(preamble(b"\x04\x09\x01\xbb"), Preamble::No);
    }

    #[test]
    fn socks_5_goes_greeting_password_request() {
        assert_eq!(preamble(b"\x05\x02\0\x02\x01"), Preamble::Socks5Greeting { length: 4 });
        assert_eq!(preamble(b"\x05\x02\0"), Preamble::Incomplete);
        assert_eq!(preamble(b"\x05\x01\x40"), Preamble::No);
        assert_eq!(socks5_request(b"\x01\x01u\x02pw\x05"), (complete_of(6, Told::Nothing), false));
        let request = b"\x05\x01\0\x03\x0bexample.com\x01\xbb";
        let expected = complete_of(request.len(), Told::Target(b"example.com"));
        assert_eq!(socks5_request(request), (expected, true));
        for end in 1..request.len() {
            assert_eq!(socks5_request(&request[..end]), (Preamble::Incomplete, false));
        }
        let by_address = b"\x05\x01\0\x01\xc0\0\x02\x01\x01\xbb";
        assert_eq!(socks5_request(by_address), (complete_of(10, Told::SocksTarget), true));
        assert_eq!(socks5_request(b"\x05\x01\0\x02"), (Preamble::No, false));
    }

    #[test]
    fn the_proxy_protocol_tells_the_source() {
        let source = Told::ForwardedFor(Address::v4([192, 0, 2, 1]));
        check(b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n", source.clone());
        check(b"PROXY UNKNOWN\r\n", Told::Nothing);
        let header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c";
        let addresses = [192, 0, 2, 1, 198, 51, 100, 1, 0xdc, 4, 1, 0xbb];
        check(&[&header[..], &addresses].concat(), source);
        check(b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", Told::Nothing);
    }

    #[test]
    fn requests_for_encryption_are_stepped_over() {
        check(&POSTGRESQL[0], Told::Nothing);
        check(&POSTGRESQL[1], Told::Nothing);
        let mut mysql = [0; MYSQL_LENGTH];
        mysql[..8].copy_from_slice(&[32, 0, 0, 1, 0x85, 0xae, 0xff, 0]);
        check(&mysql, Told::Nothing);
        // [MS-RDPBCGR] 4.1.1: connection request with a cookie and a request for TLS.
        check(
            b"\x03\0\0\x2c\x27\xe0\0\0\0\0\0Cookie: mstshash=eltons\r\n\x01\0\x08\0\0\0\0\0",
            Told::RemoteDesktop { by_client: true },
        );
        check(b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037", Told::Nothing);
        check(
            b"\x30\x84\0\0\0\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037",
            Told::Nothing,
        );
        // SQL Server: options, then a header in front of each flight of TLS.
        check(b"\x12\x01\0\x0f\0\0\x01\0\0\0\x06\0\x01\0\xff", Told::Nothing);
        let flight = b"\x12\x01\0\x4c\0\0\0\0\x16\x03\x01\0\x3f";
        assert_eq!(preamble(flight), complete_of(8, Told::Nothing));
        assert_eq!(preamble(&flight[..8]), Preamble::Incomplete);
        assert_eq!(preamble(b"\x12\x01\0\x4c\0\0\0\0\x17"), Preamble::No);
        assert_eq!(preamble(b"\x12\x01\x20\0\0\0\0\0"), Preamble::No);
        assert_eq!(preamble(b"0 OK"), Preamble::No);
        assert_eq!(preamble(b"\0\0\0\x09"), Preamble::No);
    }

    #[test]
    fn what_the_beginning_rules_out_the_whole_does_not_allow() {
        // The id of this message ends behind the message; a look at what follows is no excuse.
        let ldap =
            b"0\r\x02Trailer: x\r\n\r\n and so on until there are 84 bytes behind the length \
            and a few more of them";
        assert_eq!(preamble(&ldap[..3]), Preamble::Incomplete);
        assert_eq!(preamble(&ldap[..16]), Preamble::No);
        assert_eq!(preamble(ldap), Preamble::No);
        let mut line = b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443".to_vec();
        line.resize(PROXY_1_LENGTH_MAX, b' ');
        assert_eq!(preamble(&line), Preamble::No);
        assert_eq!(preamble(&[&line[..], b"\n"].concat()), Preamble::No);
        line[PROXY_1_LENGTH_MAX - 1] = b'\n';
        assert!(matches!(preamble(&line), Preamble::Complete { length: PROXY_1_LENGTH_MAX, .. }));
    }

    proptest! {
        #[test]
        fn an_answer_to_the_beginning_is_that_to_the_whole(
            which in 0..10usize,
            changes in proptest::collection::vec((0..40usize, any::<u8>()), 0..3),
            tail in proptest::collection::vec(any::<u8>(), 0..150),
        ) {
            let known: [&[u8]; 10] = [
                b"\x04\x01\x01\xbb\0\0\0\x01\0www.example.com\0",
                b"\x05\x02\0\x02",
                b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n",
                b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x01\xdc\x04\x01\xbb",
                b"\x03\0\0\x13\x0e\xd0\0\0\x12\x34\0\x02\0\x08\0\x01\0\0\0",
                b"\x20\0\0\x01\x85\xae\xff\0",
                b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\0\x04\0\x04\0",
                b"\x30\x84\0\0\0\x1d\x02\x01\x01\x77\x18\x80\x16",
                b"\x12\x01\0\x0f\0\0\x01\0\0\0\x06\0\x01\0\xff",
                &POSTGRESQL[0],
            ];
            let mut bytes = [known[which], &tail].concat();
            for (at, value) in changes {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = value;
                }
            }
            let whole = preamble(&bytes);
            for end in 1..bytes.len() {
                let beginning = preamble(&bytes[..end]);
                prop_assert!(beginning == Preamble::Incomplete || beginning == whole, "{end}");
            }
        }
    }
}
