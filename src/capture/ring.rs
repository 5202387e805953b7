//! Rings: sources of frames that do not wait.
//!
//! A capture file is read when there is time for it; a ring holds what came since it was asked
//! last, and what finds no room in it is lost. Each worker has a ring of its own, and the packets
//! between two addresses always come from the same one. `live` has those of network interfaces.

use super::Block;
use crate::time::Timestamp;
use crate::worker::part::RingSums;

/// What a ring gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Polled {
    /// The block holds frames.
    Frames,
    /// There was none. All frames with earlier stamps than this have been given: it counts as the
    /// time of a packet without bytes.
    Idle(Timestamp),
    /// There will be no more.
    Ended(Ending),
}

/// Why a ring ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Somebody asked for it, or there is no more to come.
    Asked,
    /// The interface of this name went away and came back as another one, which only a new socket
    /// sees.
    Replaced(String),
    /// The capture on the interface of this name failed: what libpcap says.
    Failed(String, String),
}

/// A source of frames that does not wait.
pub trait Ring: Send {
    /// Puts what has come into `block`, which is cleared first, or waits a little while for it.
    fn poll(&mut self, block: &mut Block) -> Polled;

    /// What the kernel says of the frames since the last time this was asked.
    fn statistics(&mut self) -> RingSums;

    /// Whether frames get lost while nobody asks for them.
    fn loses(&self) -> bool {
        true
    }
}
