//! What the tests of this folder write messages with.

use crate::dissect::Progress;

use super::{Message, message};

/// Bytes from their hexadecimal digits.
pub(in crate::dissect) fn hex(digits: &str) -> Vec<u8> {
    let value = |digit: u8| (digit as char).to_digit(16).expect("a hexadecimal digit") as u8;
    digits.as_bytes().chunks(2).map(|pair| value(pair[0]) << 4 | value(pair[1])).collect()
}

/// The labels of `name` with the root's behind them.
pub(in crate::dissect) fn wire(name: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        octets.push(label.len() as u8);
        octets.extend_from_slice(label.as_bytes());
    }
    octets.push(0);
    octets
}

/// A response under construction.
pub(in crate::dissect) struct Response {
    bytes: Vec<u8>,
}

impl Response {
    /// A response to one question of class IN.
    pub(in crate::dissect) fn to(name: &str, kind: u16) -> Response {
        let mut bytes = hex("123481800001000000000000");
        bytes.extend(wire(name));
        bytes.extend(kind.to_be_bytes());
        bytes.extend([0, 1]);
        Response { bytes }
    }

    /// Adds one question more.
    pub(in crate::dissect) fn question(mut self, name: &str, kind: u16) -> Response {
        self.bytes.extend(wire(name));
        self.bytes.extend(kind.to_be_bytes());
        self.bytes.extend([0, 1]);
        self.bytes[5] += 1;
        self
    }

    /// Adds an answer of class IN.
    pub(in crate::dissect) fn answer(
        mut self,
        owner: &str,
        kind: u16,
        ttl: u32,
        data: &[u8],
    ) -> Response {
        self.record(owner, kind, ttl, data);
        self.bytes[7] += 1;
        self
    }

    /// Adds a record of class IN to the authority section.
    pub(in crate::dissect) fn authority(mut self, owner: &str, kind: u16, data: &[u8]) -> Response {
        self.record(owner, kind, 60, data);
        self.bytes[9] += 1;
        self
    }

    /// Adds a record of class IN to the additional section.
    pub(in crate::dissect) fn additional(
        mut self,
        owner: &str,
        kind: u16,
        ttl: u32,
        data: &[u8],
    ) -> Response {
        self.record(owner, kind, ttl, data);
        self.bytes[11] += 1;
        self
    }

    pub(in crate::dissect) fn bytes(self) -> Vec<u8> {
        self.bytes
    }

    fn record(&mut self, owner: &str, kind: u16, ttl: u32, data: &[u8]) {
        self.bytes.extend(wire(owner));
        self.bytes.extend(kind.to_be_bytes());
        self.bytes.extend([0, 1]);
        self.bytes.extend(ttl.to_be_bytes());
        self.bytes.extend((data.len() as u16).to_be_bytes());
        self.bytes.extend(data);
    }
}

/// The message, which must be accepted.
pub(in crate::dissect) fn accepted(bytes: &[u8]) -> Message<'_> {
    match message(bytes) {
        Progress::Complete(message) => message,
        other => panic!("not accepted: {other:?}"),
    }
}
