//! Builds what one side of a connection says as a string of bytes decides: what may come before
//! TLS, TLS, HTTP and bytes that are none of these, one behind the other.

use super::choices::Choices;
use super::tls_message;

/// Pieces of protocols; some are whole, some are beginnings of others.
const SNIPPETS: [&[u8]; 44] = [
    b"\x05\x02\0\x02",
    b"\x01\x01u\x02pw",
    b"\x05\x01\0\x03\x0bexample.com\x01\xbb",
    b"\x05\x01\0\x01\xc0\0\x02\x01\x01\xbb",
    b"\x04\x01\x01\xbb\0\0\0\x01\0www.example.com\0",
    b"\x04\x01\x01\xbb\xc0\0\x02\x01user\0",
    b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n",
    b"PROXY UNKNOWN\r\n",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x01\xdc\x04\x01\xbb",
    b"\x03\0\0\x2c\x27\xe0\0\0\0\0\0Cookie: mstshash=eltons\r\n\x01\0\x08\0\0\0\0\0",
    b"\0\0\0\x08\x04\xd2\x16\x2f",
    b"\x20\0\0\x01\x85\xae\xff\0\0\0\0\x01\x21\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
    b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037",
    b"EHLO client.example\r\nSTARTTLS\r\n",
    b"220 mail.example ESMTP\r\n250-x\r\n250 STARTTLS\r\n220 go\r\n",
    b"a1 CAPABILITY\r\na2 STARTTLS\r\n",
    b"AUTH TLS\r\n",
    b"<?xml version='1.0'?><stream:stream to='x'>",
    b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
    b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n",
    b"POST /a HTTP/1.1\r\nHost: b.example:80\r\nContent-Length: 5\r\n\r\n",
    b"POST /b HTTP/1.1\r\nHost: c.example\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"POST /c HTTP/1.1\r\nContent-Length: 20000\r\nExpect: 100-continue\r\n\r\n",
    b"5;name=value\r\nGET /\r\n",
    b"0\r\nTrailer: x\r\n\r\n",
    b"GET http://d.example/ HTTP/1.1\nHost: e.example\nX-Forwarded-For: 192.0.2.9, x\n\n",
    b"OPTIONS\nHost: f.example\n\n",
    b"GET / HTTP/1.1\r\n",
    b"Host: g.example\r\n",
    b"FOO sip:a SIP/2.0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\0\0\x11\x01\x04\0\0\0\x01\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff",
    b"\0\0\x02\0\x01\0\0\0\x01GE",
    b"\0\0\x01\x01\x01\0\0\0\x03\x82",
    b"\0\0\x01\x09\x04\0\0\0\x03\xbe",
    b"\0\0\x0f\x01\x05\0\0\0\x05\x02\x07CONNECT\x01\x03a.b",
    b"\x14\x03\x03\0\x01\x01",
    b"\x15\x03\x01\0\x02\x01\0",
    b"S",
    b"\r\n",
    b"\0\x1d\0\x07\x01\0\0\x01\0\0\0\0\0\0\x03www\x07example\0\0\x01\0\x01",
    b"\x16\x03\x01\0\x05\x01",
];
/// More of them, which came later: the corpus goes on meaning what it meant.
const LATER_SNIPPETS: [&[u8]; 3] = [
    b"OPTIONS rtsp://h.example/ RTSP/1.0\r\nCSeq: 1\r\n\r\n",
    b"Content-Length: 3\r\n\r\nGET",
    b"Cookie: ",
];
/// Beginnings that are no text, which came later still.
const LATEST_SNIPPETS: [&[u8]; 2] =
    [b"\x17\x24\x10\x04\0\x88\x13\x80\0\x17\x24", b"\0\x03\0\0\x21\x12\xa4\x42abcdefghijkl"];

/// What the side says: at most `length_max` bytes.
pub(crate) fn generate(choices: &mut Choices<'_>, length_max: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..=choices.below(12) {
        let pick = usize::from(choices.byte());
        match pick {
            0..=196 => bytes.extend(SNIPPETS[pick % SNIPPETS.len()]),
            197..=199 => bytes.extend(LATER_SNIPPETS[pick - 197]),
            200..=219 => {
                let hello = tls_message::client_hello(choices);
                bytes.extend(tls_message::uneven_records(choices, &hello));
            }
            220..=229 => {
                let flight = tls_message::server_flight(choices);
                bytes.extend(tls_message::uneven_records(choices, &flight));
            }
            230..=239 => {
                let (length, byte) = (usize::from(choices.number() % 12_000), choices.byte());
                bytes.resize(bytes.len() + length, byte);
            }
            253..=254 => bytes.extend(LATEST_SNIPPETS[pick - 253]),
            255 => {
                bytes.extend(b"POST /");
                bytes.resize(bytes.len() + usize::from(choices.number() % 12_000), b'x');
                bytes.extend(b" HTTP/1.1\r\nHost: i.example\r\nContent-Length: 3\r\n\r\nGET");
            }
            _ => {
                let length = choices.below(64);
                bytes.extend(choices.take(length));
            }
        }
    }
    choices.damage(&mut bytes);
    bytes.truncate(length_max);
    bytes
}
