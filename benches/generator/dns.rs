//! DNS questions and answers (RFC 1035).

use std::net::IpAddr;

/// Question and record type A.
pub const A: u16 = 1;
/// Alias.
pub const CNAME: u16 = 5;
/// Free text; long enough to need fragments.
pub const TXT: u16 = 16;
/// IPv6 address (RFC 3596).
pub const AAAA: u16 = 28;

/// A query with one question.
pub fn query(identification: u16, name: &str, question_type: u16) -> Vec<u8> {
    let mut message = header(identification, 0x0100, 0);
    message.extend(question(name, question_type));
    message
}

/// The response with these addresses, each of them a record of its own.
pub fn response(identification: u16, name: &str, addresses: &[IpAddr], ttl: u32) -> Vec<u8> {
    let question_type = if addresses.iter().any(IpAddr::is_ipv6) { AAAA } else { A };
    let mut message = header(identification, 0x8180, addresses.len() as u16);
    message.extend(question(name, question_type));
    for address in addresses {
        address_record(&mut message, address, ttl);
    }
    message
}

/// A response by way of an alias, with so many bytes of text in front of the address.
pub fn long_response(
    identification: u16,
    name: &str,
    alias: &str,
    address: IpAddr,
    text_bytes: usize,
) -> Vec<u8> {
    let texts = text_bytes.div_ceil(200);
    let mut message = header(identification, 0x8180, texts as u16 + 2);
    message.extend(question(name, if address.is_ipv6() { AAAA } else { A }));
    let alias = labels(alias);
    record_head(&mut message, CNAME, 300, alias.len());
    message.extend(&alias);
    for _ in 0..texts {
        record_head(&mut message, TXT, 300, 200);
        message.push(199);
        message.extend([b'x'; 199]);
    }
    let at = message.len();
    address_record(&mut message, &address, 300);
    // The address is the alias's: point at its name behind the question.
    let alias_at = 12 + question(name, A).len() + 12;
    message[at..at + 2].copy_from_slice(&(0xc000 | alias_at as u16).to_be_bytes());
    message
}

/// A name in labels.
pub fn labels(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        bytes.push(label.len() as u8);
        bytes.extend(label.bytes());
    }
    bytes.push(0);
    bytes
}

fn header(identification: u16, flags: u16, answers: u16) -> Vec<u8> {
    [identification, flags, 1, answers, 0, 0].iter().flat_map(|word| word.to_be_bytes()).collect()
}

fn question(name: &str, question_type: u16) -> Vec<u8> {
    let mut bytes = labels(name);
    bytes.extend(question_type.to_be_bytes());
    bytes.extend([0, 1]);
    bytes
}

fn address_record(message: &mut Vec<u8>, address: &IpAddr, ttl: u32) {
    match address {
        IpAddr::V4(address) => {
            record_head(message, A, ttl, 4);
            message.extend(address.octets());
        }
        IpAddr::V6(address) => {
            record_head(message, AAAA, ttl, 16);
            message.extend(address.octets());
        }
    }
}

/// A record of the question's name, which it points to.
fn record_head(message: &mut Vec<u8>, record_type: u16, ttl: u32, length: usize) {
    message.extend([0xc0, 12]);
    message.extend(record_type.to_be_bytes());
    message.extend([0, 1]);
    message.extend(ttl.to_be_bytes());
    message.extend((length as u16).to_be_bytes());
}
