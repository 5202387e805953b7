//! Media of calls and meetings: STUN and TURN, DTLS that negotiates keys for media, RTP and RTCP.
//!
//! Such flows have no name of their own. That one carries media is known by what it says and never
//! by its port: a STUN message, a hello that offers keys for SRTP, packets of one source whose
//! numbers go on. Whose media it is, merge finds out.
//!
//! Assumes the payloads of one flow, told apart by side, as [`super::tunnel`] does; what may share a
//! flow is told apart by the first byte (RFC 7983). Does not read what is said or shown, and keeps
//! no more of a flow than a few numbers. Zoom's own framing around RTP is not looked into.

use super::tunnel::{Datagram, Side};
use crate::observation::ClientHello;

mod dtls;
mod rtp;
mod stun;

pub(crate) use stun::{STREAM_PREFIX_LENGTH, begins_stream};

/// What showed that a flow carries media.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum MediaKind {
    /// STUN (RFC 8489, also RFC 3489), or TURN (RFC 8656) with its channels.
    Stun = 1,
    /// DTLS (RFC 9147) with keys for SRTP (RFC 5764).
    Dtls = 2,
    /// RTP or RTCP (RFC 3550).
    Rtp = 3,
}

impl MediaKind {
    /// Every kind.
    pub const ALL: [MediaKind; 3] = [MediaKind::Stun, MediaKind::Dtls, MediaKind::Rtp];

    /// The word used in every output.
    pub fn as_str(self) -> &'static str {
        match self {
            MediaKind::Stun => "stun",
            MediaKind::Dtls => "dtls",
            MediaKind::Rtp => "rtp",
        }
    }

    /// The kind with this number; 0 stands for none.
    pub fn from_number(number: u8) -> Option<MediaKind> {
        MediaKind::ALL.get(usize::from(number).checked_sub(1)?).copied()
    }
}

/// What a datagram of a flow tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// The flow carries media.
    Media(MediaKind),
    /// The ClientHello of DTLS, which may have a name: the sender is the client.
    Hello(Box<ClientHello>),
}

/// What was seen of a flow that may carry media.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    exchange: stun::Exchange,
    streams: rtp::Streams,
}

/// Whether a datagram is worth a look, by its first byte (RFC 7983, 7).
pub fn may_be(datagram: &Datagram<'_>) -> bool {
    matches!(datagram.bytes.first(), Some(0..=3 | 20..=25 | 64..=79 | 128..=191))
}

impl Seen {
    /// Takes the next datagram; none where it tells nothing, or not yet.
    pub fn datagram(&mut self, side: Side, datagram: &Datagram<'_>) -> Option<Told> {
        let media = |is: bool, kind| is.then_some(Told::Media(kind));
        match *datagram.bytes.first()? {
            0..=3 => media(self.exchange.message(side, datagram), MediaKind::Stun),
            20..=25 => dtls::told(datagram),
            64..=79 => media(self.exchange.channel_data(datagram), MediaKind::Stun),
            128..=191 => media(self.streams.packet(side, datagram), MediaKind::Rtp),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tunnel::testing::whole;
    use super::*;

    #[test]
    fn numbers_and_words_are_unique() {
        for kind in MediaKind::ALL {
            assert_eq!(MediaKind::from_number(kind as u8), Some(kind));
        }
        assert_eq!((MediaKind::from_number(0), MediaKind::from_number(4)), (None, None));
        assert_ne!(MediaKind::Stun.as_str(), MediaKind::Rtp.as_str());
    }

    proptest! {
        /// Random datagrams carry no media, whatever their first byte.
        #[test]
        fn noise_is_no_media(
            datagrams in proptest::collection::vec(
                (0..2usize, proptest::collection::vec(any::<u8>(), 0..200)), 0..8),
        ) {
            let mut seen = Seen::default();
            for (side, bytes) in &datagrams {
                prop_assert_eq!(seen.datagram(*side, &whole(bytes)), None);
            }
        }
    }
}
