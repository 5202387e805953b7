//! A cursor over bytes whose every step may find too few.

/// Reads integers and slices from the front of a slice.
#[derive(Clone, Copy, Debug)]
pub(in crate::dissect) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    #[inline]
    pub(in crate::dissect) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader(bytes)
    }

    /// The next bytes, as many as the result holds; if there are fewer, nothing is taken.
    #[inline]
    pub(in crate::dissect) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*bytes)
    }

    /// The next byte.
    #[inline]
    pub(in crate::dissect) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    /// The next two bytes, in network order.
    #[inline]
    pub(in crate::dissect) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// The next four bytes, in network order.
    #[inline]
    pub(in crate::dissect) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// The next `length` bytes; if there are fewer, nothing is taken.
    #[inline]
    pub(in crate::dissect) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// What has not been taken.
    #[inline]
    pub(in crate::dissect) fn rest(&self) -> &'a [u8] {
        self.0
    }
}
