//! Datagrams of a flow that may be a tunnel's or carry media: as they come, or begun like one of
//! those that are known.

use shadowscope::dissect::Progress;
use shadowscope::dissect::media::{self, Seen};
use shadowscope::dissect::tunnel::{Datagram, Datagrams, Recognised, Side};

use super::choices::Choices;

/// Beginnings that are worth going on with.
const BEGINNINGS: [&[u8]; 23] = [
    b"",
    b"\x01\0\0\0\x07\0\0\0",
    b"\x04\0\0\0\x07\0\0\0\x01\0\0\0\0\0\0\0",
    b"\x38\xa5\xf6\x34\x99\x6d\x29\x5c\x25",
    b"\x40\x7e\xde\xe5\xb2\xe2\xc1\x28\x7e\x01\0\0\0\0\xa5\xf6\x34\x99\x6d\x29\x5c\x25",
    b"\xc0\xff\xee\0\0\0\0\x01",
    b"\xc8\x02\0\x1c\0\0\0\0\0\0\0\0\x80\x08\0\0\0\0\0\x01",
    b"TS\xf0\x9f\x92\xac",
    b"\x16\x01\0\0\0\0\0\0\0\0\0\0\x56\x01",
    b"\x48\0\0\x01\0\0\0\x05",
    b"\0\x01\0\x14\x21\x12\xa4\x42abcdefghijkl\x80\x22\0\x08tailnode",
    b"\x01\x01\0\x0c0123456789abcdef\0\x01\0\x08\0\x01\x0f\x63\x7c\x3d\x45\x51",
    b"\x40\0\0\x10",
    b"\x80\x6f\0\x07\0\0\x03\xc0\xde\xad\xbe\xef",
    b"\x81\xc9\0\x07\xde\xad\xbe\xef",
    b"\x16\xfe\xff\0\0\0\0\0\0\0\0\0\x50\x01\0\0\x44\0\0\0\0\0\0\0\x44\xfe\xfd",
    b"\xc4\x02\x78\0\x68\x84\xee\0\x01\0\0\0\0\0\0\0",
    b"\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01",
    b"\x10\0\0\0\x5a\x01\x02\xff\0\0\0\0\0\0\0\x02",
    b"\x11\0\0\0\x5a\x01\x02\xff\0\0\0\0\0\0\0\x07",
    b"He\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\x16\xfe\xfd",
    b"\x32\x0b\x0a\x09123456789",
    b"\0\x01\0\0\0\0\0\0\0\0\0\x17\x24\x10\x04\0\x88\x13\x80\0",
];
/// Datagrams of a flow.
const DATAGRAMS_MAX: usize = 16;

/// The bytes decide on datagrams until they end.
pub(crate) fn run(data: &[u8]) {
    let mut choices = Choices(data);
    let is_nat_traversal = choices.byte() % 2 == 1;
    let mut known: Option<Datagrams> = None;
    let mut seen = Seen::default();
    for _ in 0..DATAGRAMS_MAX {
        if choices.is_empty() {
            return;
        }
        let side: Side = choices.below(2);
        let mut bytes = choices.one_of(&BEGINNINGS).to_vec();
        let length = usize::from(choices.number() % 1500);
        let rest = choices.take(length.saturating_sub(bytes.len()));
        bytes.extend_from_slice(rest);
        bytes.resize(length, 0);
        choices.damage(&mut bytes);
        let kept = if choices.rarely() { bytes.len() / 2 } else { bytes.len() };
        let datagram = Datagram {
            bytes: &bytes[..kept],
            length: bytes.len(),
            is_nat_traversal,
            is_zerotier: is_nat_traversal,
        };
        let told = seen.datagram(side, &datagram);
        assert!(told.is_none() || media::may_be(&datagram));
        let found = match &mut known {
            Some(state) => state.next(side, &datagram),
            None => match Datagrams::begin(side, &datagram) {
                Ok(found) => Progress::Complete(found),
                Err(state) => {
                    known = state;
                    Progress::Incomplete
                }
            },
        };
        match found {
            Progress::Complete(Recognised { client, .. }) => {
                assert!(client.is_none_or(|side| side < 2));
                return;
            }
            Progress::Incomplete => {}
            Progress::Reject(_) => known = None,
        }
    }
}
