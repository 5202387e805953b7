//! FNV-1a, 64 bits (draft-eastlake-fnv): a sum of a few bytes that needs nothing set up and is the
//! same in every version of this program. Whoever wants to can make two texts that have one sum.
//!
//! The build script uses this very file, so it depends on nothing else of the crate.

/// A sum of bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fnv(u64);

impl Fnv {
    /// That of no bytes.
    pub(crate) const EMPTY: Fnv = Fnv(0xcbf2_9ce4_8422_2325);

    /// That of `bytes`.
    pub(crate) fn of(bytes: &[u8]) -> u64 {
        bytes.iter().fold(Fnv::EMPTY, |sum, &byte| sum.and(byte)).value()
    }

    /// With another byte behind.
    #[inline]
    pub(crate) fn and(self, byte: u8) -> Fnv {
        Fnv((self.0 ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
    }

    #[inline]
    pub(crate) fn value(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_the_draft() {
        assert_eq!(Fnv::of(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(Fnv::of(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(Fnv::of(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
