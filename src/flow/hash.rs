//! Seeded hashes of address pairs and flows, the same for both directions.
//!
//! Addresses and ports are the attacker's to choose, so the seed is drawn per process and the
//! mixing is a folded 64×64→128-bit multiplication, as in foldhash. The result never depends on
//! the seed: it decides where a flow is kept, not what is said of it.

use std::hash::{BuildHasher, Hasher};

use super::slot::Hot;
use crate::net::Address;
use crate::packet::Packet;

/// Keys for [`Seed::pair`] and [`Seed::flow`].
#[derive(Clone, Copy, Debug)]
pub struct Seed([u64; 4]);

impl Seed {
    /// A seed nobody outside the process knows.
    pub fn random() -> Seed {
        let state = foldhash::quality::RandomState::default();
        let word = |n: u64| {
            let mut hasher = state.build_hasher();
            hasher.write_u64(n);
            hasher.finish() | 1
        };
        Seed([word(1), word(2), word(3), word(4)])
    }

    /// A seed that everybody knows: for measurements that must give the same figures again.
    pub fn fixed() -> Seed {
        // Digits of pi (Blowfish's first sub-keys).
        Seed([
            0x243f_6a88_85a3_08d3,
            0x1319_8a2e_0370_7345,
            0xa409_3822_299f_31d1,
            0x082e_fa98_ec4e_6c89,
        ])
    }

    /// A hash of the unordered pair of addresses: who owns the packet.
    #[inline]
    pub fn pair(&self, source: Address, destination: Address) -> u64 {
        let (one, other) = (self.address(source), self.address(destination));
        folded(one.wrapping_add(other) ^ self.0[2], (one ^ other) | 1)
    }

    /// A hash of the unordered pair of endpoints and the protocol: where the flow is kept.
    #[inline]
    pub fn flow(&self, packet: &Packet) -> u64 {
        let one = self.endpoint(packet.source, packet.source_port);
        let other = self.endpoint(packet.destination, packet.destination_port);
        self.both(one, other, packet.protocol)
    }

    /// The hash with which the flow in this slot was inserted.
    pub fn flow_of(&self, hot: &Hot) -> u64 {
        let one = self.endpoint(hot.addresses[0], hot.ports[0]);
        let other = self.endpoint(hot.addresses[1], hot.ports[1]);
        self.both(one, other, hot.protocol)
    }

    #[inline]
    fn both(&self, one: u64, other: u64, protocol: u8) -> u64 {
        let protocol = u64::from(protocol) << 32;
        folded(one.wrapping_add(other) ^ self.0[2], (one ^ other) ^ self.0[3] ^ protocol)
    }

    #[inline]
    fn address(&self, address: Address) -> u64 {
        let (high, low) = halves(address);
        folded(low ^ self.0[0], high ^ self.0[1])
    }

    #[inline]
    fn endpoint(&self, address: Address, port: u16) -> u64 {
        let (high, low) = halves(address);
        folded(low ^ self.0[1], high ^ self.0[0] ^ (u64::from(port) << 17))
    }
}

/// The two 64-bit halves of an address.
#[inline]
fn halves(address: Address) -> (u64, u64) {
    let value = address.bits();
    ((value >> 64) as u64, value as u64)
}

/// The two halves of the 128-bit product, folded together.
#[inline]
fn folded(one: u64, other: u64) -> u64 {
    let product = u128::from(one) * u128::from(other);
    (product >> 64) as u64 ^ product as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(source: u8, source_port: u16, destination: u8, destination_port: u16) -> Packet {
        Packet {
            source: Address::v4([10, 0, 0, source]),
            destination: Address::v4([198, 18, 0, destination]),
            source_port,
            destination_port,
            protocol: 6,
            ..Packet::default()
        }
    }

    fn reversed(p: &Packet) -> Packet {
        Packet {
            source: p.destination,
            destination: p.source,
            source_port: p.destination_port,
            destination_port: p.source_port,
            ..*p
        }
    }

    #[test]
    fn both_directions_hash_alike() {
        let seed = Seed::random();
        let pair = |packet: &Packet| seed.pair(packet.source, packet.destination);
        let there = packet(1, 4000, 2, 443);
        assert_eq!(seed.flow(&there), seed.flow(&reversed(&there)));
        assert_eq!(pair(&there), pair(&reversed(&there)));
    }

    #[test]
    fn ports_that_swap_bits_do_not_collide() {
        // Equal sum and equal exclusive-or of the ports: a plain symmetric mix would collide.
        let seed = Seed::random();
        assert_ne!(seed.flow(&packet(1, 0x0100, 2, 0x0001)), seed.flow(&packet(1, 0x0101, 2, 0)));
        assert_ne!(seed.flow(&packet(1, 1, 2, 256)), seed.flow(&packet(1, 256, 2, 1)));
    }

    #[test]
    fn pairs_spread_evenly() {
        let seed = Seed::random();
        let mut workers = [0u32; 8];
        for client in 0..100 {
            for server in 0..100 {
                let packet = packet(client, 1, server, 2);
                let hash = seed.pair(packet.source, packet.destination);
                workers[(hash >> 61) as usize] += 1;
            }
        }
        assert!(workers.iter().all(|&n| (1000..1500).contains(&n)), "{workers:?}");
    }
}
