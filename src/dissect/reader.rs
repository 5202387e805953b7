//! A cursor over bytes from the network: every read is checked, none panics.

/// What is left of a message. Every method answers `None`, and takes nothing, where there is too
/// little. Numbers are in network order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    #[inline]
    pub(crate) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader(bytes)
    }

    /// What has not been taken.
    #[inline]
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// The next `count` bytes.
    #[inline]
    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// The next bytes, as many as the result holds.
    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (&bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(bytes)
    }

    /// The next byte.
    #[inline]
    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    /// The next two bytes.
    #[inline]
    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// The next three bytes: a length as a rule.
    #[inline]
    pub(crate) fn u24(&mut self) -> Option<usize> {
        let [a, b, c] = self.array()?;
        Some(usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c))
    }

    /// The next four bytes.
    #[inline]
    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// A vector behind a length of one byte (RFC 8446, 3.4).
    #[inline]
    pub(crate) fn vector8(&mut self) -> Option<&'a [u8]> {
        let mut ahead = *self;
        let length = ahead.u8()?;
        let vector = ahead.take(length.into())?;
        *self = ahead;
        Some(vector)
    }

    /// A vector behind a length of two bytes (RFC 8446, 3.4).
    #[inline]
    pub(crate) fn vector16(&mut self) -> Option<&'a [u8]> {
        let mut ahead = *self;
        let length = ahead.u16()?;
        let vector = ahead.take(length.into())?;
        *self = ahead;
        Some(vector)
    }

    /// As [`Reader::vector16`]; if fewer bytes are left than its length says, those.
    #[inline]
    pub(crate) fn vector16_or_rest(&mut self) -> Option<&'a [u8]> {
        let length = usize::from(self.u16()?).min(self.0.len());
        self.take(length)
    }

    /// A variable-length integer (RFC 9000, 16): the two high bits of the first byte say whether
    /// it has 1, 2, 4 or 8 bytes.
    pub(crate) fn varint(&mut self) -> Option<u64> {
        let first = *self.0.first()?;
        let bytes = self.take(1 << (first >> 6))?;
        let high = u64::from(first & 0x3f);
        Some(bytes.iter().skip(1).fold(high, |value, &byte| value << 8 | u64::from(byte)))
    }

    /// Bytes behind a variable-length integer that says how many they are.
    pub(crate) fn vector_varint(&mut self) -> Option<&'a [u8]> {
        let mut ahead = *self;
        let length = ahead.varint()?;
        let vector = ahead.take(usize::try_from(length).ok()?)?;
        *self = ahead;
        Some(vector)
    }

    /// Skips zero bytes: PADDING frames, of which a client's Initial is full (RFC 9000, 19.1).
    pub(crate) fn skip_zeros(&mut self) {
        // Whole words first: the compiler makes one wide compare of each.
        while let Some((chunk, rest)) = self.0.split_first_chunk::<32>()
            && chunk == &[0; 32]
        {
            self.0 = rest;
        }
        while let Some((0, rest)) = self.0.split_first() {
            self.0 = rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_are_those_of_rfc_9000_a_1() {
        for (bytes, value) in [
            (&[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c][..], 151_288_809_941_952_652),
            (&[0x9d, 0x7f, 0x3e, 0x7d], 494_878_333),
            (&[0x7b, 0xbd], 15_293),
            (&[0x25], 37),
            (&[0x40, 0x25], 37),
        ] {
            let mut reader = Reader::new(bytes);
            assert_eq!(reader.varint(), Some(value));
            assert!(reader.rest().is_empty());
            let mut cut = Reader::new(&bytes[..bytes.len() - 1]);
            assert_eq!(cut.varint(), None);
            assert_eq!(cut.rest().len(), bytes.len() - 1);
        }
    }

    #[test]
    fn zeros_are_skipped_up_to_the_first_other_byte() {
        for zeros in [0, 1, 31, 32, 33, 100] {
            let mut bytes = vec![0; zeros];
            bytes.extend([7, 0]);
            let mut reader = Reader::new(&bytes);
            reader.skip_zeros();
            assert_eq!(reader.rest(), [7, 0]);
        }
        let mut reader = Reader::new(&[0; 70]);
        reader.skip_zeros();
        assert!(reader.rest().is_empty());
    }
}
