//! The handshake bytes that CRYPTO frames carry, put together again.
//!
//! Bytes stand where they belong, with a bit for each that has come, so that the work is the same
//! in however many pieces they come: a frame may carry one byte. Memory grows with the furthest
//! byte that has come, to [`BYTES_MAX`] and an eighth of it. The first copy of a byte wins.

/// The most handshake bytes kept for a flow.
pub(super) const BYTES_MAX: usize = 16 * 1024;

/// The most memory behind a stream, in bytes.
pub(super) const MEMORY_BYTES_MAX: usize = BYTES_MAX + BYTES_MAX / 8;

/// Bytes of a handshake message's type and length (RFC 8446, 4).
const MESSAGE_HEADER: usize = 4;

/// Bits of a word of [`CryptoStream::come`].
const WORD_BITS: usize = u64::BITS as usize;

/// A CRYPTO frame that goes beyond what is kept for a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Overflow;

/// The beginning of a stream of handshake bytes, with holes.
#[derive(Default)]
pub(super) struct CryptoStream {
    /// From the beginning to the furthest byte that has come; what has not is zero.
    bytes: Vec<u8>,
    /// A bit for each byte of `bytes`, the lowest of a word first.
    come: Vec<u64>,
    /// Bytes that have come.
    length: usize,
    /// Up to here there is no hole.
    contiguous: usize,
}

impl CryptoStream {
    /// Bytes kept.
    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// Memory behind this, in bytes.
    pub(super) fn memory_bytes(&self) -> usize {
        self.bytes.capacity() + self.come.capacity() * size_of::<u64>()
    }

    /// Keeps what of `data` has not come before.
    ///
    /// # Errors
    /// It goes beyond [`BYTES_MAX`]; nothing of it has been kept.
    pub(super) fn insert(&mut self, offset: u64, data: &[u8]) -> Result<(), Overflow> {
        let start = usize::try_from(offset).map_err(|_| Overflow)?;
        let end = start.checked_add(data.len()).filter(|&end| end <= BYTES_MAX).ok_or(Overflow)?;
        if self.bytes.len() < end {
            grow(&mut self.bytes, end, BYTES_MAX);
            grow(&mut self.come, end.div_ceil(WORD_BITS), BYTES_MAX / WORD_BITS);
        }
        let (mut at, mut rest) = (start, data);
        while let Some((piece, behind)) =
            rest.split_at_checked(rest.len().min(WORD_BITS - at % WORD_BITS))
            && !piece.is_empty()
        {
            self.insert_in_word(at, piece);
            at += piece.len();
            rest = behind;
        }
        self.move_on();
        Ok(())
    }

    /// Keeps what has not come of bytes whose bits stand in one word.
    fn insert_in_word(&mut self, start: usize, piece: &[u8]) {
        let Some(word) = self.come.get_mut(start / WORD_BITS) else { return };
        let Some(kept) = self.bytes.get_mut(start..start + piece.len()) else { return };
        let first = start % WORD_BITS;
        let wanted = u64::MAX >> (WORD_BITS - piece.len()) << first;
        let fresh = wanted & !*word;
        if fresh == wanted {
            kept.copy_from_slice(piece);
        } else {
            for (bit, (kept, &new)) in (first..).zip(kept.iter_mut().zip(piece)) {
                if fresh >> bit & 1 == 1 {
                    *kept = new;
                }
            }
        }
        *word |= wanted;
        self.length += fresh.count_ones() as usize;
    }

    /// The first message of the stream with its header; `None` while any of it is missing.
    ///
    /// # Errors
    /// The message is longer than what is kept.
    pub(super) fn first_message(&self) -> Result<Option<&[u8]>, Overflow> {
        let prefix = self.prefix();
        let Some(&header) = prefix.first_chunk() else { return Ok(None) };
        let length = message_length(header);
        if length > BYTES_MAX { Err(Overflow) } else { Ok(prefix.get(..length)) }
    }

    /// The bytes from the beginning up to the first hole.
    pub(super) fn prefix(&self) -> &[u8] {
        self.bytes.get(..self.contiguous).unwrap_or_default()
    }

    /// Looks for the first hole, from where it was last.
    fn move_on(&mut self) {
        while let Some(word) = self.come.get(self.contiguous / WORD_BITS) {
            let from = self.contiguous % WORD_BITS;
            let run = (word >> from).trailing_ones() as usize;
            self.contiguous += run;
            if from + run < WORD_BITS {
                break;
            }
        }
    }
}

/// Makes `list` this long. Its memory doubles as it grows, but not beyond the most it may need.
fn grow<T: Clone + Default>(list: &mut Vec<T>, length: usize, most: usize) {
    if length > list.capacity() {
        let roomy = (2 * list.capacity()).min(most).max(length);
        list.reserve_exact(roomy - list.len());
    }
    list.resize(length, T::default());
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
            prop_assert_eq!(stream.prefix(), &prefix[..]);
            prop_assert_eq!(stream.len(), model.iter().flatten().count());
        }
    }

    #[test]
    fn a_message_is_there_when_its_last_byte_is() {
        let mut stream = CryptoStream::default();
        for (offset, byte) in [(4, 0xaa), (2, 0), (3, 2), (0, 1), (1, 0)] {
            stream.insert(offset, &[byte]).unwrap();
            assert_eq!(stream.first_message(), Ok(None));
        }
        stream.insert(4, &[0xbb, 0xcc, 0xdd]).unwrap();
        assert_eq!(stream.first_message(), Ok(Some(&[1, 0, 0, 2, 0xaa, 0xcc][..])));
    }

    #[test]
    fn the_bound_holds_and_every_piece_may_be_one_byte() {
        let mut stream = CryptoStream::default();
        assert_eq!(stream.insert(u64::MAX, &[1]), Err(Overflow));
        assert_eq!(stream.insert(BYTES_MAX as u64, &[1]), Err(Overflow));
        let mut message = vec![1, 0, 0x3f, 0xfc];
        message.extend((MESSAGE_HEADER..BYTES_MAX).map(|at| (at % 251) as u8));
        // Every second byte, then those between, the last of them first.
        for at in (0..BYTES_MAX).step_by(2).chain((0..BYTES_MAX).skip(1).step_by(2).rev()) {
            assert_eq!(stream.first_message(), Ok(None));
            stream.insert(at as u64, &message[at..=at]).unwrap();
            stream.insert(at as u64, &[0xee]).unwrap();
        }
        assert_eq!(stream.first_message(), Ok(Some(&message[..])));
        assert_eq!(stream.len(), BYTES_MAX);
        assert!(stream.memory_bytes() <= MEMORY_BYTES_MAX);

        let mut long = CryptoStream::default();
        long.insert(0, &[1, 0xff, 0, 0]).unwrap();
        assert_eq!(long.first_message(), Err(Overflow));
    }
}
