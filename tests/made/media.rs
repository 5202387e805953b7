//! Media of calls, which have no name.

use super::Scene;
use super::capture::pcap;
use crate::calls;

pub(super) fn scenes() -> Vec<Scene> {
    vec![Scene {
        folder: "media",
        words: "Clients that use one app or two with which one can call, and then exchange media with servers of which\n\
                they only have the address: STUN, RTP, DTLS with and without keys for media, STUN over TCP, and RTP\n\
                to an address range of the catalogue.",
        input: pcap(calls::scene()),
    }]
}
