//! TCP options of a SYN, as far as they tell what sent it: the order of the options that all stacks
//! send, and the sender's timestamp clock (RFC 7323, 3).

/// End of options, and no operation: one byte each (RFC 9293, 3.2).
const END: u8 = 0;
const NO_OPERATION: u8 = 1;
/// Timestamps: kind and length (RFC 7323, 3.2).
const TIMESTAMPS: (u8, u8) = (8, 10);
/// Maximum segment size, window scale, SACK permitted and timestamps: every stack sends them in an
/// order of its own. Others come and go with what a program asks for (Fast Open, Multipath TCP).
const ORDERED: [u8; 4] = [2, 3, 4, TIMESTAMPS.0];

/// What the options of a SYN tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SynOptions {
    /// The kinds of maximum segment size, window scale, SACK permitted and timestamps in the order in
    /// which they stand, four bits each, the first in the highest that are used. 0 without any.
    pub order: u16,
    /// The sender's clock.
    pub clock: Option<u32>,
}

/// Reads options up to their end, or up to what is none.
pub fn options(mut bytes: &[u8]) -> SynOptions {
    let mut found = SynOptions::default();
    while let [kind, rest @ ..] = bytes {
        match (*kind, rest) {
            (END, _) => break,
            (NO_OPERATION, _) => bytes = rest,
            (kind, [length, ..]) => {
                let Some((option, behind)) = bytes.split_at_checked(usize::from(*length)) else {
                    break;
                };
                // Kind and length are part of the length.
                if option.len() < 2 {
                    break;
                }
                if ORDERED.contains(&kind) && found.order >> 12 == 0 {
                    found.order = found.order << 4 | u16::from(kind);
                }
                if let [8, 10, one, two, three, four, ..] = option {
                    found.clock = Some(u32::from_be_bytes([*one, *two, *three, *four]));
                }
                bytes = behind;
            }
            _ => break,
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn stacks_have_their_order() {
        let linux = [2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 1, 2, 0, 0, 0, 0, 1, 3, 3, 7];
        assert_eq!(options(&linux), SynOptions { order: 0x2483, clock: Some(258) });
        let windows = [2, 4, 5, 0xb4, 1, 3, 3, 8, 1, 1, 4, 2];
        assert_eq!(options(&windows), SynOptions { order: 0x234, clock: None });
        let apple = [2, 4, 5, 0xb4, 1, 3, 3, 6, 1, 1, 8, 10, 9, 9, 9, 9, 0, 0, 0, 0, 4, 2, 0, 0];
        assert_eq!(options(&apple).order, 0x2384);
        // Fast Open (RFC 7413) in between changes nothing.
        let with_more = [2, 4, 5, 0xb4, 34, 2, 1, 3, 3, 8, 1, 1, 4, 2];
        assert_eq!(options(&with_more).order, 0x234);
        assert_eq!(options(&[]), SynOptions::default());
        assert_eq!(options(&[8, 10, 0, 0]), SynOptions::default());
        assert_eq!(options(&[2, 0, 2, 0]), SynOptions::default());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..41)) {
            let found = options(&bytes);
            prop_assert!(found.clock.is_none() || bytes.len() >= usize::from(TIMESTAMPS.1));
        }
    }
}
