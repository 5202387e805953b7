//! Dissectors: bytes of one flow in, names out. Pure functions and small state machines; no clock,
//! no I/O, no allocation in proportion to a length that has not arrived.
//!
//! Every dissector answers *complete*, *incomplete* (more bytes, please) or *reject*. None of them
//! panics, whatever the bytes.

pub mod device_name;
pub mod dns;

use crate::observation::{ClientHello, Request};
use crate::stats::Counter;

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
pub enum Finding {
    /// The sender's TLS ClientHello: the sender is the client.
    Hello(ClientHello),
    /// The sender's HTTP request: the sender is the client.
    Request(Request),
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
