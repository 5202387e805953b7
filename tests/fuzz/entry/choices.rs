//! The bytes of a fuzzer as decisions.
//!
//! Similar strings give similar decisions, and the end of the string gives the plainest ones:
//! what a fuzzer and a shrinking property test want.
#![allow(dead_code, reason = "each target makes decisions of its own kind")]

/// The bytes that decide, from the front; zeros behind their end.
pub(crate) struct Choices<'a>(pub(crate) &'a [u8]);

impl<'a> Choices<'a> {
    pub(crate) fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    pub(crate) fn number(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end
    }

    pub(crate) fn one_of<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())]
    }

    /// Once in 32 times.
    pub(crate) fn rarely(&mut self) -> bool {
        self.byte() % 32 == 31
    }

    /// At most `length` bytes as they stand.
    pub(crate) fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        taken
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Overwrites some bytes, and now and then cuts the end off.
    pub(crate) fn damage(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..self.below(4) {
            let (at, value) = (usize::from(self.number()), self.byte());
            let length = bytes.len().max(1);
            if let Some(byte) = bytes.get_mut(at % length) {
                *byte = value;
            }
        }
        if self.rarely() {
            bytes.truncate(usize::from(self.number()) % (bytes.len() + 1));
        }
    }
}
