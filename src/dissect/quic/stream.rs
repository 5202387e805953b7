//! The handshake bytes that CRYPTO frames carry, put together again.
//!
//! Pieces are kept in the order of arrival with a sorted list of where each belongs, so that
//! memory grows with the bytes that have come, whatever offsets they claim. The first copy of a
//! byte wins.

/// The most handshake bytes kept for a flow.
pub(super) const BYTES_MAX: usize = 16 * 1024;

/// The most pieces. Chromium cuts a hello into some dozens; a piece takes six bytes
/// of memory beside its content.
pub(super) const PIECES_MAX: usize = 256;

/// Bytes of a handshake message's type and length (RFC 8446, 4).
const MESSAGE_HEADER: usize = 4;

/// A CRYPTO frame that goes beyond what is kept for a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Overflow;

/// The beginning of a stream of handshake bytes, with holes.
#[derive(Default)]
pub(super) struct CryptoStream {
    bytes: Vec<u8>,
    /// Sorted by offset; no two overlap.
    pieces: Vec<Piece>,
}

/// `length` bytes of the stream at `offset` are at `at` in `bytes`.
#[derive(Clone, Copy)]
struct Piece {
    offset: u16,
    at: u16,
    length: u16,
}

impl Piece {
    fn end(self) -> usize {
        usize::from(self.offset) + usize::from(self.length)
    }
}

impl CryptoStream {
    /// Bytes kept.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Memory behind this, in bytes.
    pub(super) fn memory_bytes(&self) -> usize {
        self.bytes.capacity() + self.pieces.capacity() * size_of::<Piece>()
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.pieces.clear();
    }

    /// Keeps what of `data` has not come before.
    ///
    /// # Errors
    /// More bytes or pieces than are kept. What fitted has been kept.
    pub(super) fn insert(&mut self, offset: u64, data: &[u8]) -> Result<(), Overflow> {
        let mut at = usize::try_from(offset).map_err(|_| Overflow)?;
        let end = at.checked_add(data.len()).filter(|&end| end <= BYTES_MAX).ok_or(Overflow)?;
        let mut data = data;
        let mut next = self.pieces.partition_point(|piece| piece.end() <= at);
        while at < end {
            let until = match self.pieces.get(next) {
                Some(piece) if usize::from(piece.offset) <= at => {
                    let known = piece.end().min(end);
                    data = data.get(known - at..).unwrap_or_default();
                    at = known;
                    next += 1;
                    continue;
                }
                Some(piece) => usize::from(piece.offset).min(end),
                None => end,
            };
            let (new, rest) = data.split_at_checked(until - at).unwrap_or((data, &[]));
            next = self.keep(next, at, new)?;
            data = rest;
            at = until;
        }
        Ok(())
    }

    /// The first message of the stream with its header, put together in `out`; `None` while any
    /// of it is missing.
    ///
    /// # Errors
    /// The message is longer than what is kept.
    pub(super) fn first_message<'a>(
        &self,
        out: &'a mut Vec<u8>,
    ) -> Result<Option<&'a [u8]>, Overflow> {
        let contiguous = self.contiguous();
        if contiguous < MESSAGE_HEADER {
            return Ok(None);
        }
        let mut header = [0; MESSAGE_HEADER];
        for (byte, of_stream) in header.iter_mut().zip(self.in_order()) {
            *byte = *of_stream;
        }
        let length = message_length(header);
        if length > BYTES_MAX {
            return Err(Overflow);
        }
        if contiguous < length {
            return Ok(None);
        }
        Ok(self.prefix(out).get(..length))
    }

    /// The bytes from the beginning up to the first hole, put together in `out`.
    pub(super) fn prefix<'a>(&self, out: &'a mut Vec<u8>) -> &'a [u8] {
        out.clear();
        let mut end = 0;
        for piece in self.pieces.iter().take_while(|piece| follows(piece, &mut end)) {
            out.extend_from_slice(self.data(piece));
        }
        out
    }

    /// Keeps bytes that are all new; answers which piece comes behind them.
    fn keep(&mut self, next: usize, offset: usize, new: &[u8]) -> Result<usize, Overflow> {
        let at = self.bytes.len();
        let as_u16 = |number: usize| u16::try_from(number).map_err(|_| Overflow);
        let length = as_u16(new.len())?;
        let previous = next.checked_sub(1).and_then(|index| self.pieces.get_mut(index));
        if let Some(previous) = previous
            && previous.end() == offset
            && usize::from(previous.at) + usize::from(previous.length) == at
        {
            previous.length += length;
            self.bytes.extend_from_slice(new);
            return Ok(next);
        }
        if self.pieces.len() >= PIECES_MAX {
            return Err(Overflow);
        }
        self.pieces.insert(next, Piece { offset: as_u16(offset)?, at: as_u16(at)?, length });
        self.bytes.extend_from_slice(new);
        Ok(next + 1)
    }

    fn contiguous(&self) -> usize {
        let mut end = 0;
        for _ in self.pieces.iter().take_while(|piece| follows(piece, &mut end)) {}
        end
    }

    fn in_order(&self) -> impl Iterator<Item = &u8> {
        let mut end = 0;
        self.pieces
            .iter()
            .take_while(move |piece| follows(piece, &mut end))
            .flat_map(|piece| self.data(piece))
    }

    fn data(&self, piece: &Piece) -> &[u8] {
        let at = usize::from(piece.at);
        self.bytes.get(at..at + usize::from(piece.length)).unwrap_or_default()
    }
}

/// Whether a piece begins where the one before it ended; moves `end` on if so.
fn follows(piece: &Piece, end: &mut usize) -> bool {
    let follows = usize::from(piece.offset) == *end;
    if follows {
        *end = piece.end();
    }
    follows
}

/// The length that a handshake message's header states, with the header.
pub(super) fn message_length([_, high, middle, low]: [u8; MESSAGE_HEADER]) -> usize {
    MESSAGE_HEADER + (usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(length: usize) -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(any::<u8>(), 0..length)
    }

    proptest! {
        /// Against the plain model: an array of bytes, each written once.
        #[test]
        fn any_pieces_in_any_order_give_what_an_array_gives(
            pieces in prop::collection::vec((0_usize..600, bytes(80)), 0..60)
        ) {
            let mut stream = CryptoStream::default();
            let mut model = vec![None; 700];
            for (offset, data) in &pieces {
                stream.insert(*offset as u64, data).unwrap();
                for (place, &byte) in model[*offset..].iter_mut().zip(data) {
                    place.get_or_insert(byte);
                }
            }
            let prefix: Vec<u8> = model.iter().map_while(|&byte| byte).collect();
            let mut out = Vec::new();
            prop_assert_eq!(stream.prefix(&mut out), &prefix[..]);
            prop_assert_eq!(stream.contiguous(), prefix.len());
            prop_assert_eq!(stream.len(), model.iter().flatten().count());
        }
    }

    #[test]
    fn a_message_is_there_when_its_last_byte_is() {
        let mut stream = CryptoStream::default();
        let mut out = Vec::new();
        for (offset, byte) in [(4, 0xaa), (2, 0), (3, 2), (0, 1), (1, 0)] {
            stream.insert(offset, &[byte]).unwrap();
            assert_eq!(stream.first_message(&mut out), Ok(None));
        }
        stream.insert(4, &[0xbb, 0xcc, 0xdd]).unwrap();
        assert_eq!(stream.first_message(&mut out), Ok(Some(&[1, 0, 0, 2, 0xaa, 0xcc][..])));
    }

    #[test]
    fn both_bounds_hold() {
        let mut stream = CryptoStream::default();
        assert_eq!(stream.insert(u64::MAX, &[1]), Err(Overflow));
        assert_eq!(stream.insert(BYTES_MAX as u64, &[1]), Err(Overflow));
        assert_eq!(stream.insert(BYTES_MAX as u64 - 1, &[1]), Ok(()));
        assert_eq!(stream.len(), 1);
        for piece in 1..PIECES_MAX as u64 {
            assert_eq!(stream.insert(piece * 2, &[1]), Ok(()));
        }
        assert_eq!(stream.insert(1, &[1]), Err(Overflow));
        assert_eq!(stream.pieces.len(), PIECES_MAX);

        let mut long = CryptoStream::default();
        long.insert(0, &[1, 0xff, 0, 0]).unwrap();
        assert_eq!(long.first_message(&mut Vec::new()), Err(Overflow));
    }
}
