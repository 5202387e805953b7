//! The server name of a ClientHello (RFC 8446, 4.1.2).

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use crate::dissect::Progress;
use crate::hostname::Hostname;
use crate::observation::ClientHello;
use crate::stats::Counter;

/// What carries the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TLS over TCP.
    Tcp,
    /// CRYPTO frames of QUIC (RFC 9001).
    Quic,
}

/// Reads a ClientHello: type, three bytes of length, body.
pub fn client_hello(handshake: &[u8], _transport: Transport) -> Progress<ClientHello> {
    let Some((&[kind, high, middle, low], body)) = handshake.split_first_chunk() else {
        return Progress::Incomplete;
    };
    if kind != 1 {
        return Progress::Reject(None);
    }
    let length = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
    let Some(body) = body.get(..length) else { return Progress::Incomplete };
    let mut hello = ClientHello::default();
    match walk(body, &mut hello) {
        None if hello.server_name.is_none() => Progress::Reject(Some(Counter::TlsMalformed)),
        _ => Progress::Complete(hello),
    }
}

/// What can be read of a ClientHello whose end never comes: `None` unless its server name is
/// whole.
pub fn client_hello_prefix(handshake: &[u8]) -> Option<ClientHello> {
    if handshake.first() != Some(&1) {
        return None;
    }
    let mut hello = ClientHello::default();
    walk(handshake.get(4..)?, &mut hello);
    hello.server_name.is_some().then_some(hello)
}

fn walk(body: &[u8], hello: &mut ClientHello) -> Option<()> {
    let rest = body.get(34..)?;
    let rest = rest.get(1 + usize::from(*rest.first()?)..)?;
    let rest = rest.get(2 + u16(rest)?..)?;
    let rest = rest.get(1 + usize::from(*rest.first()?)..)?;
    let mut rest = rest.get(2..)?;
    while !rest.is_empty() {
        let length = u16(rest.get(2..)?)?;
        let content = rest.get(4..4 + length)?;
        if u16(rest)? == 0 {
            hello.server_name = Hostname::from_wire(content.get(5..)?).ok();
        }
        rest = rest.get(4 + length..)?;
    }
    Some(())
}

fn u16(bytes: &[u8]) -> Option<usize> {
    bytes.first_chunk().map(|&bytes| usize::from(u16::from_be_bytes(bytes)))
}
