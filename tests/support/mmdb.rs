//! Small MMDB files (MaxMind DB file format 2.0), written for tests.
//!
//! A binary search tree over the bits of addresses (IPv4 in the first 96 zero bits of IPv6),
//! records of 24 bits, a data section, and metadata behind a marker.

use std::net::{IpAddr, Ipv6Addr};

/// A value of the data section.
#[derive(Clone, Debug)]
pub enum Value {
    /// UTF-8 text.
    Text(&'static str),
    /// An unsigned number of at most 32 bits.
    Number(u32),
    /// Keys with values.
    Map(Vec<(&'static str, Value)>),
}

/// Bytes between tree and data.
const SEPARATOR: usize = 16;
const MARKER: &[u8] = b"\xab\xcd\xefMaxMind.com";

/// What a node's record leads to.
#[derive(Clone, Copy)]
enum Record {
    Nothing,
    Node(usize),
    /// An offset in the data section.
    Data(usize),
}

/// The file that says `value` of each network (address, prefix length).
pub fn file(networks: &[(&str, u8, Value)]) -> Vec<u8> {
    let mut nodes = vec![[Record::Nothing; 2]];
    let mut data = Vec::new();
    for (address, prefix, value) in networks {
        let address: IpAddr = address.parse().expect("an address");
        let (bits, length) = match address {
            IpAddr::V4(address) => (u128::from(u32::from(address)), 96 + usize::from(*prefix)),
            IpAddr::V6(address) => (u128::from(Ipv6Addr::from(address.octets())), (*prefix).into()),
        };
        let mut node = 0;
        for depth in 0..length {
            let bit = (bits >> (127 - depth) & 1) as usize;
            if depth + 1 == length {
                nodes[node][bit] = Record::Data(data.len());
                break;
            }
            node = match nodes[node][bit] {
                Record::Node(next) => next,
                _ => {
                    nodes.push([Record::Nothing; 2]);
                    let next = nodes.len() - 1;
                    nodes[node][bit] = Record::Node(next);
                    next
                }
            };
        }
        put(&mut data, value);
    }
    let count = nodes.len();
    let mut bytes = Vec::new();
    for record in nodes.iter().flatten() {
        let number = match record {
            Record::Nothing => count,
            Record::Node(node) => *node,
            Record::Data(offset) => count + SEPARATOR + offset,
        };
        bytes.extend(&(number as u32).to_be_bytes()[1..]);
    }
    bytes.extend([0; SEPARATOR]);
    bytes.extend(data);
    bytes.extend(MARKER);
    bytes.extend(metadata(count as u32));
    bytes
}

fn metadata(nodes: u32) -> Vec<u8> {
    let mut bytes = vec![0xe0 | 9];
    let mut entry = |key: &'static str, value: &[u8]| {
        put(&mut bytes, &Value::Text(key));
        bytes.extend_from_slice(value);
    };
    // Types: 16-bit number 5, 32-bit number 6, map 7; 64-bit number 9 and array 11 in a byte more.
    let short = |number: u8| [0xa1, number];
    entry("node_count", &[&[0xc4][..], &nodes.to_be_bytes()].concat());
    entry("record_size", &short(24));
    entry("ip_version", &short(6));
    entry("database_type", b"\x44Test");
    entry("languages", &[0x00, 0x04]);
    entry("binary_format_major_version", &short(2));
    entry("binary_format_minor_version", &[0xa0]);
    entry("build_epoch", &[0x01, 0x02, 1]);
    entry("description", &[0xe0]);
    bytes
}

fn put(bytes: &mut Vec<u8>, value: &Value) {
    const LENGTH_MAX: usize = 28;
    match value {
        Value::Text(text) => {
            assert!(text.len() <= LENGTH_MAX, "{text} is too long for one control byte");
            bytes.push(0x40 | text.len() as u8);
            bytes.extend(text.bytes());
        }
        Value::Number(number) => {
            bytes.push(0xc4);
            bytes.extend(number.to_be_bytes());
        }
        Value::Map(entries) => {
            bytes.push(0xe0 | entries.len() as u8);
            for (key, value) in entries {
                put(bytes, &Value::Text(key));
                put(bytes, value);
            }
        }
    }
}
