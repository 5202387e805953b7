//! A cursor over bytes of the network that cannot run past their end.

/// What is left of a slice. Every method answers `None`, and leaves the cursor where it was, when
/// there is too little.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader(bytes)
    }

    /// What has not been read.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.0
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(byte)
    }

    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// As many bytes as a length that was on the wire says.
    pub(super) fn take_wire(&mut self, length: u64) -> Option<&'a [u8]> {
        self.take(usize::try_from(length).ok()?)
    }

    pub(super) fn array<const LENGTH: usize>(&mut self) -> Option<[u8; LENGTH]> {
        let (taken, rest) = self.0.split_first_chunk::<LENGTH>()?;
        self.0 = rest;
        Some(*taken)
    }

    /// A variable-length integer (RFC 9000, 16): the two high bits of the first byte say whether
    /// it has 1, 2, 4 or 8 bytes.
    pub(super) fn varint(&mut self) -> Option<u64> {
        let first = *self.0.first()?;
        let bytes = self.take(1 << (first >> 6))?;
        let high = u64::from(first & 0x3f);
        Some(bytes.iter().skip(1).fold(high, |value, &byte| value << 8 | u64::from(byte)))
    }

    /// Skips zero bytes: PADDING frames, of which a client's Initial is full.
    pub(super) fn skip_zeros(&mut self) {
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
