//! The program that spreads frames over the rings of an interface: by the unordered pair of the
//! addresses in the first IP header, so that both directions of a connection, all fragments of a
//! datagram and all that goes through a tunnel come to one ring.
//!
//! Classic BPF, run by the kernel once a frame. Looks behind VLAN tags: the kernel takes the first
//! away, up to two more are skipped. What is not IP is the first ring's. The seed keeps others from
//! choosing addresses that all come to one ring.

use super::filter::Instruction;

/// Where the program finds what it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the kernel, which knows the network header and has taken away the first tag.
    Kernel,
    /// In a frame that begins with Ethernet: for tests, with the same instructions otherwise.
    #[cfg(test)]
    Frame,
}

// Classic BPF (S. McCanne, V. Jacobson, "The BSD Packet Filter", 1993; linux/bpf_common.h).
const LOAD_WORD: u16 = 0x20;
const LOAD_HALF: u16 = 0x28;
const LOAD_WORD_INDEXED: u16 = 0x40;
const LOAD_MEMORY: u16 = 0x60;
const LOAD_INDEX: u16 = 0x01;
const LOAD_INDEX_MEMORY: u16 = 0x61;
const STORE: u16 = 0x02;
const STORE_INDEX: u16 = 0x03;
const XOR: u16 = 0xa4;
const XOR_INDEX: u16 = 0xac;
const MULTIPLY: u16 = 0x24;
const MULTIPLY_INDEX: u16 = 0x2c;
const SHIFT_RIGHT: u16 = 0x74;
const JUMP: u16 = 0x05;
const JUMP_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;
const RETURN_ACCUMULATOR: u16 = 0x16;

/// `SKF_AD_OFF + SKF_AD_PROTOCOL` (linux/filter.h): the EtherType behind the tag taken away.
const KERNEL_PROTOCOL: u32 = -0x1000_i32 as u32;
/// `SKF_NET_OFF`: offsets from here are from the network header.
const KERNEL_NETWORK: u32 = -0x10_0000_i32 as u32;

const IPV4: u32 = 0x0800;
const IPV6: u32 = 0x86dd;
/// IEEE 802.1Q, 802.1ad, and the number used before that.
const TAGS: [u32; 3] = [0x8100, 0x88a8, 0x9100];
/// Bytes of a tag (IEEE 802.1Q, 9.3).
const TAG_BYTES: u32 = 4;
/// Tags that are skipped.
const TAGS_MAX: u32 = 2;

/// Where addresses begin in the header, and how many words each has (RFC 791, 3.1; RFC 8200, 3).
const IPV4_ADDRESSES: (u32, u32) = (12, 1);
const IPV6_ADDRESSES: (u32, u32) = (8, 4);

/// Memory: the two addresses folded to a word each, and where the IP header begins.
const SOURCE: u32 = 0;
const DESTINATION: u32 = 1;
const HEADER: u32 = 2;

/// Odd and without pattern (the golden ratio's fraction).
const MULTIPLIER: u32 = 0x9e37_79b1;

/// The program, for a seed.
pub(super) fn program(seed: u32, place: Place) -> Vec<Instruction> {
    let (protocol, network) = match place {
        Place::Kernel => (op(LOAD_WORD, KERNEL_PROTOCOL), KERNEL_NETWORK),
        #[cfg(test)]
        Place::Frame => (op(LOAD_HALF, 12), 14),
    };
    let finish = finish();
    let mut v6 = addresses(network, IPV6_ADDRESSES, seed);
    v6.extend(&finish);
    let mut v4 = addresses(network, IPV4_ADDRESSES, seed);
    v4.extend(&finish);
    // From the innermost tag outwards: each step knows how far it is to what follows it.
    let mut steps = vec![op(RETURN, 0)];
    for tags in (0..=TAGS_MAX).rev() {
        // What stands behind this step: the next tag's steps, then IPv4, then IPv6.
        let next = steps.len() as u8;
        let mut step = match tags {
            0 => vec![protocol],
            _ => vec![op(LOAD_HALF, network.wrapping_add(TAG_BYTES * tags - 2))],
        };
        step.push(op(LOAD_INDEX, TAG_BYTES * tags));
        step.push(op(STORE_INDEX, HEADER));
        // Comparisons that lead to a jump each, since those of a comparison reach 255 only.
        step.push(jump_unless_equal(IPV4, 1));
        let to_v4 = step.len();
        step.push(op(JUMP, 0));
        step.push(jump_unless_equal(IPV6, 1));
        let to_v6 = step.len();
        step.push(op(JUMP, 0));
        if tags < TAGS_MAX {
            let last = TAGS.len() - 1;
            for (number, tag) in TAGS.into_iter().enumerate() {
                // Over the other comparisons and the return, to the next step.
                let over = (last - number + 1) as u8;
                step.push(Instruction { jump_true: over, ..op(JUMP_EQUAL, tag) });
            }
            step.push(op(RETURN, 0));
        }
        let length = step.len();
        let behind = |at: usize| (length - at - 1) as u32 + u32::from(next);
        step[to_v4].k = behind(to_v4);
        step[to_v6].k = behind(to_v6) + v4.len() as u32;
        step.extend(steps);
        steps = step;
    }
    steps.extend(v4);
    steps.extend(v6);
    steps
}

fn op(code: u16, k: u32) -> Instruction {
    Instruction { code, jump_true: 0, jump_false: 0, k }
}

/// Skips `skip` instructions unless the accumulator is `k`.
fn jump_unless_equal(k: u32, skip: u8) -> Instruction {
    Instruction { jump_false: skip, ..op(JUMP_EQUAL, k) }
}

/// Folds both addresses of a header to a word each.
fn addresses(network: u32, (first, words): (u32, u32), seed: u32) -> Vec<Instruction> {
    let mut steps = Vec::new();
    for side in [SOURCE, DESTINATION] {
        for word in 0..words {
            let at = network.wrapping_add(first + 4 * (side * words + word));
            steps.extend([op(LOAD_INDEX_MEMORY, HEADER), op(LOAD_WORD_INDEXED, at)]);
            if word == 0 {
                steps.push(op(XOR, seed));
            } else {
                steps.extend([op(LOAD_INDEX_MEMORY, side), op(XOR_INDEX, 0)]);
            }
            if words > 1 {
                steps.push(op(MULTIPLY, MULTIPLIER));
            }
            steps.push(op(STORE, side));
        }
    }
    steps
}

/// The product of the two words, which does not depend on their order, mixed.
fn finish() -> Vec<Instruction> {
    vec![
        op(LOAD_MEMORY, SOURCE),
        op(LOAD_INDEX_MEMORY, DESTINATION),
        op(MULTIPLY_INDEX, 0),
        op(STORE, SOURCE),
        op(SHIFT_RIGHT, 15),
        op(LOAD_INDEX_MEMORY, SOURCE),
        op(XOR_INDEX, 0),
        op(MULTIPLY, MULTIPLIER),
        op(SHIFT_RIGHT, 8),
        op(RETURN_ACCUMULATOR, 0),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::filter::Program;
    use super::*;

    fn frame(tags: &[u16], kind: u16, body: &[u8]) -> Vec<u8> {
        let mut frame = vec![2; 12];
        for tag in tags {
            frame.extend(tag.to_be_bytes());
            frame.extend([0, 7]);
        }
        frame.extend(kind.to_be_bytes());
        frame.extend(body);
        frame
    }

    fn v4(source: [u8; 4], destination: [u8; 4], identification: u8) -> Vec<u8> {
        let mut body = vec![0x45, 0, 0, 40, 0, identification, 0x20, 7, 64, 6, 1, identification];
        body.extend(source);
        body.extend(destination);
        body
    }

    fn v6(source: u8, destination: u8) -> Vec<u8> {
        let mut body = vec![0x60, 0, 0, 0, 0, 0, 17, 64];
        for last in [source, destination] {
            body.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
        }
        body
    }

    fn ring(seed: u32, frame: &[u8]) -> u32 {
        Program(program(seed, Place::Frame)).run(frame, frame.len() as u32).unwrap_or(0)
    }

    #[test]
    fn both_directions_fragments_and_tags_make_no_difference() {
        for seed in [0, 1, 0xdead_beef] {
            let (a, b) = ([10, 0, 0, 7], [198, 51, 100, 9]);
            let expected = ring(seed, &frame(&[], 0x0800, &v4(a, b, 1)));
            assert_ne!(expected, 0);
            for tags in [&[][..], &[0x8100], &[0x88a8, 0x8100], &[0x9100, 0x8100]] {
                for body in [v4(a, b, 2), v4(b, a, 3)] {
                    assert_eq!(ring(seed, &frame(tags, 0x0800, &body)), expected, "{tags:?}");
                }
            }
            let expected = ring(seed, &frame(&[], 0x86dd, &v6(1, 2)));
            assert_ne!(expected, 0);
            assert_eq!(ring(seed, &frame(&[0x8100], 0x86dd, &v6(2, 1))), expected);
            assert_ne!(ring(seed, &frame(&[], 0x86dd, &v6(1, 3))), expected);
        }
    }

    #[test]
    fn what_is_not_ip_or_cut_is_the_first_rings() {
        assert_eq!(ring(5, &frame(&[], 0x0806, &[0; 28])), 0);
        assert_eq!(ring(5, &frame(&[0x8100, 0x8100, 0x8100], 0x0800, &v4([1; 4], [2; 4], 0))), 0);
        assert_eq!(ring(5, &frame(&[], 0x0800, &[0x45, 0, 0])), 0);
    }

    #[test]
    fn addresses_of_a_network_are_spread_evenly() {
        for rings in [2_u32, 3, 8] {
            let mut share = vec![0_u32; rings as usize];
            for host in 0..=255_u8 {
                for server in 0..20_u8 {
                    let body = v4([10, 1, 3, host], [198, 51, 100, server], 0);
                    share[(ring(0x1234_5678, &frame(&[], 0x0800, &body)) % rings) as usize] += 1;
                }
            }
            let even = 256 * 20 / rings;
            assert!(share.iter().all(|&n| n > even * 3 / 4 && n < even * 5 / 4), "{share:?}");
        }
    }
}
