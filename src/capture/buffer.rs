//! Where the bytes of blocks are.

use std::ops::Deref;

use super::map::Window;

/// Bytes of a capture: copied by `read`, or a stretch of the file itself.
#[derive(Debug)]
pub(super) enum Buffer {
    Copied(Vec<u8>),
    Mapped(Window),
}

impl Default for Buffer {
    fn default() -> Buffer {
        Buffer::Copied(Vec::new())
    }
}

impl Deref for Buffer {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Buffer::Copied(bytes) => bytes,
            Buffer::Mapped(window) => window,
        }
    }
}

impl Buffer {
    /// The memory into which bytes can be copied, if it is such a buffer.
    pub(super) fn room(&mut self) -> Option<&mut Vec<u8>> {
        match self {
            Buffer::Copied(bytes) => Some(bytes),
            Buffer::Mapped(_) => None,
        }
    }
}
