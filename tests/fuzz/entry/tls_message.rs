//! Builds handshake messages of TLS as a string of bytes decides, and puts them into records.
//! Lengths are right unless they are damaged on purpose.

use super::choices::Choices;

/// Names with and without a fault.
const NAMES: [&[u8]; 8] = [
    b"www.example.com",
    b"a.example",
    b"*.example.net",
    b"WWW.Example.ORG.",
    b"192.0.2.1",
    b"a b",
    b"",
    b"xn--mnchen-3ya.example",
];

fn vector8(content: &[u8]) -> Vec<u8> {
    [&[content.len() as u8][..], content].concat()
}

fn vector16(content: &[u8]) -> Vec<u8> {
    [&(content.len() as u16).to_be_bytes()[..], content].concat()
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind], &(body.len() as u32).to_be_bytes()[1..], body].concat()
}

fn name<'a>(choices: &mut Choices<'a>) -> &'a [u8] {
    if choices.rarely() {
        let length = choices.below(256);
        return choices.take(length);
    }
    choices.one_of(&NAMES)
}

/// A ClientHello (RFC 8446, 4.1.2).
pub(crate) fn client_hello(choices: &mut Choices<'_>) -> Vec<u8> {
    let mut body = vec![3, choices.one_of(&[3, 1, 0, 4])];
    body.extend([7; 32]);
    body.extend(vector8(&vec![9; choices.one_of(&[0, 32, 33])]));
    let suites: Vec<u8> = (0..choices.below(20))
        .flat_map(|_| choices.one_of(&[0x1301_u16, 0xc02f, 0x0a0a, 0x00ff]).to_be_bytes())
        .collect();
    body.extend(vector16(&suites));
    body.extend([1, 0]);
    let mut extensions = Vec::new();
    for _ in 0..choices.below(24) {
        extensions.extend(extension(choices));
    }
    if !choices.rarely() {
        body.extend(vector16(&extensions));
    }
    let mut message = message(1, &body);
    choices.damage(&mut message);
    message
}

fn extension(choices: &mut Choices<'_>) -> Vec<u8> {
    let (kind, content): (u16, Vec<u8>) = match choices.below(8) {
        0 => {
            let kind = choices.one_of(&[0, 0, 0, 1]);
            (0, vector16(&[&[kind][..], &vector16(name(choices))].concat()))
        }
        1 => {
            let protocols: Vec<u8> = (0..choices.below(7))
                .flat_map(|_| {
                    vector8(choices.one_of(&[
                        &b"h2"[..],
                        b"http/1.1",
                        b"\x0a\x0a",
                        b"",
                        &[b'x'; 40],
                    ]))
                })
                .collect();
            (16, vector16(&protocols))
        }
        2 => {
            let versions = [[3, 4], [3, 3], [0x1a, 0x1a], [0x7f, 0x1c]];
            let count = choices.below(5);
            (43, vector8(&versions[..count.min(4)].concat()))
        }
        3 => (13, vector16(&[4, 3, 8, 4, 2, 1][..2 * choices.below(4)])),
        4 => (0xfe0d, vec![choices.one_of(&[0, 1]), 0, 1, 0, 1, choices.byte(), 0, 0]),
        5 => (0xffce, vec![0; choices.below(40)]),
        6 => (51, vec![4; usize::from(choices.number() % 1500)]),
        _ => {
            let kind = choices.number();
            let length = choices.below(40);
            (kind, choices.take(length).to_vec())
        }
    };
    [&kind.to_be_bytes()[..], &vector16(&content)].concat()
}

/// ServerHello and Certificate (RFC 5246, 7.4).
pub(crate) fn server_flight(choices: &mut Choices<'_>) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend([0, 0xc0, 0x2f, 0]);
    match choices.below(4) {
        0 => {}
        1 => body.extend(vector16(&[])),
        2 => body.extend(vector16(&[0, 43, 0, 2, 3, choices.one_of(&[3, 4])])),
        _ => body.extend(vector16(&[0xff, 1, 0, 1, 0, 0, 43, 0, 2, 3, 3])),
    }
    let mut certificate = certificate(choices);
    choices.damage(&mut certificate);
    let entry = message(0, &certificate)[1..].to_vec();
    let list = message(0, &entry)[1..].to_vec();
    let mut flight = [message(2, &body), message(11, &list)].concat();
    choices.damage(&mut flight);
    flight
}

/// An element of DER (X.690), its length as short as possible or not.
fn element(choices: &mut Choices<'_>, tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len() as u16;
    let [high, low] = length.to_be_bytes();
    let long = choices.rarely();
    match length {
        0..128 if !long => [&[tag, low][..], content].concat(),
        0..256 if !long => [&[tag, 0x81, low][..], content].concat(),
        _ => [&[tag, 0x82, high, low][..], content].concat(),
    }
}

/// A certificate cut down to what its names need (RFC 5280, 4.1).
fn certificate(choices: &mut Choices<'_>) -> Vec<u8> {
    let mut subject = Vec::new();
    for _ in 0..choices.below(3) {
        let text = name(choices);
        let kind = choices.one_of(&[0x0c, 0x13, 0x1e]);
        let value = element(choices, kind, text);
        let attribute = element(choices, 0x30, &[b"\x06\x03\x55\x04\x03", &value[..]].concat());
        subject.extend(element(choices, 0x31, &attribute));
    }
    let mut fields = if choices.byte() & 1 == 0 { vec![0xa0, 3, 2, 1, 2] } else { Vec::new() };
    fields.extend(b"\x02\x01\x01\x30\0\x30\0\x30\0");
    fields.extend(element(choices, 0x30, &subject));
    fields.extend(b"\x30\0");
    if choices.byte() & 1 == 0 {
        let mut names = Vec::new();
        for _ in 0..choices.below(12) {
            let text = name(choices);
            let kind = choices.one_of(&[0x82, 0x82, 0x82, 0x87, 0x81]);
            names.extend(element(choices, kind, text));
        }
        let names = element(choices, 0x30, &names);
        let mut extension = b"\x06\x03\x55\x1d\x11".to_vec();
        if choices.byte() & 1 == 1 {
            extension.extend([1, 1, 0xff]);
        }
        extension.extend(element(choices, 0x04, &names));
        let extension = element(choices, 0x30, &extension);
        let list =
            element(choices, 0x30, &[b"\x30\x05\x06\x03\x55\x1d\x0f", &extension[..]].concat());
        fields.extend(element(choices, 0xa3, &list));
    }
    let inner = element(choices, 0x30, &fields);
    element(choices, 0x30, &inner)
}

/// The same bytes in records of `length` bytes, as far as a record may be that long.
pub(crate) fn records(handshake: &[u8], length: usize) -> Vec<u8> {
    handshake.chunks(length.clamp(1, 1 << 14)).flat_map(|part| record(22, part)).collect()
}

fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    [&[kind, 3, 1], &vector16(content)[..]].concat()
}

/// The same bytes in records of any lengths, now and then with others between them.
pub(crate) fn uneven_records(choices: &mut Choices<'_>, handshake: &[u8]) -> Vec<u8> {
    let (mut rest, mut bytes) = (handshake, Vec::new());
    while !rest.is_empty() {
        let length = match choices.byte() {
            0 => rest.len(),
            length => usize::from(length),
        };
        let (part, behind) = rest.split_at(length.min(rest.len()).min(1 << 14));
        bytes.extend(record(22, part));
        rest = behind;
        if choices.rarely() {
            let kind = choices.one_of(&[20, 21, 23, 24]);
            bytes.extend(record(kind, &[1; 2][..choices.below(3)]));
        }
    }
    choices.damage(&mut bytes);
    bytes
}
