//! Dissectors: bytes of one flow in, names out. Pure functions and small state machines; no clock,
//! no I/O, no allocation in proportion to a length that has not arrived.
//!
//! Every dissector answers *complete*, *incomplete* (more bytes, please) or *reject*. None of them
//! panics, whatever the bytes.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing))]

use crate::hostname::Hostname;
use crate::net::Address;
use crate::observation::{CertificateNames, ClientHello, Request};
use crate::stats::Counter;
use tunnel::TunnelProtocol;

mod certificate;
pub mod device_name;
pub mod dns;
mod hpack;
pub mod http;
mod http2;
mod http_long;
mod huffman;
mod ja4;
pub mod media;
mod preamble;
pub mod presence;
pub mod quic;
mod reader;
pub mod stream;
pub mod syn;
pub mod tls;
mod tls_hello;
pub mod tunnel;

/// How far a dissector got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress<T> {
    /// All that was looked for is there.
    Complete(T),
    /// Right so far, but the bytes end too early.
    Incomplete,
    /// Not this protocol, or not a valid message of it; the counter says which.
    Reject(Option<Counter>),
}

/// What a dissector found in a flow.
#[derive(Clone, Debug, PartialEq)]
pub enum Finding<'a> {
    /// The sender's TLS ClientHello: the sender is the client.
    Hello(ClientHello),
    /// The sender's HTTP request: the sender is the client.
    Request(Request),
    /// The names of the sender's certificate: the sender is the server. TLS 1.2 and below; later
    /// versions encrypt it. Never empty.
    Certificate(&'a CertificateNames),
    /// The host to which a SOCKS client wants to be connected: the sender is the client. What
    /// follows in the flow is looked at anew.
    ProxyTarget(Hostname),
    /// The client behind the sender, as the PROXY protocol says: a hint, anyone may send it.
    ForwardedFor(Address),
    /// A DNS message out of a TCP stream (RFC 7766, 8), without its length; to be given to the
    /// DNS dissector.
    DnsMessage(&'a [u8]),
    /// The flow is a tunnel; the sender is the client, where that shows. What follows in it is looked
    /// at anew where it can be read.
    Tunnel {
        /// Which one.
        protocol: TunnelProtocol,
        /// Whether the sender is its client.
        by_client: bool,
    },
    /// A request or an answer of SOCKS 4: a tunnel, where both were seen.
    Socks4 {
        /// Whether it is the answer: the sender is the server.
        is_reply: bool,
    },
    /// The sender asks for a tunnel by an upgrade of HTTP: one, where the other side agrees.
    UpgradeAsked(TunnelProtocol),
    /// The sender agrees to an upgrade of HTTP.
    Upgraded,
    /// The flow carries media of a call.
    Media(media::MediaKind),
    /// A packet that may be OpenVPN's: to be held against those of the other side.
    OpenVpn(tunnel::openvpn::Packet),
    /// What the ports promise is not there: the first message is none of DNS.
    NotDns,
    /// Something that was refused and is to be counted.
    Refused(Counter),
}

/// What a stream dissector did with the bytes it was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advance {
    /// Bytes it is done with, from the beginning of what it was shown. More than were shown means
    /// that the following bytes of the stream need not be shown.
    pub consumed: u64,
    /// Whether it wants to see more of the stream.
    pub wants_more: bool,
}
