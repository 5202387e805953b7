//! The frames of an opened Initial (RFC 9000, 12.4 and 19): CRYPTO is handed on, what else is
//! allowed there is skipped.

use crate::dissect::reader::Reader;

const PADDING: u8 = 0x00;
const PING: u8 = 0x01;
const ACK: u8 = 0x02;
const ACK_ECN: u8 = 0x03;
const CRYPTO: u8 = 0x06;
/// CRYPTO in Google QUIC 50 and 51, which kept their own frame types.
const CRYPTO_GOOGLE: u8 = 0x08;
const CONNECTION_CLOSE: u8 = 0x1c;

/// A frame that is cut off, or is not allowed in an Initial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// A CRYPTO frame: a piece of the handshake and where in it the piece belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Crypto<'a> {
    pub(super) offset: u64,
    pub(super) data: &'a [u8],
}

/// Goes through the CRYPTO frames of a payload. After a malformed frame it ends: where the next
/// one begins is then unknown.
pub(super) struct CryptoFrames<'a> {
    reader: Reader<'a>,
    google: bool,
}

impl<'a> CryptoFrames<'a> {
    /// `google` takes the frame types of Google QUIC 50 and 51.
    pub(super) fn new(payload: &'a [u8], google: bool) -> CryptoFrames<'a> {
        CryptoFrames { reader: Reader::new(payload), google }
    }

    /// Up to the next CRYPTO frame; `None` at the end.
    fn advance(&mut self) -> Result<Option<Crypto<'a>>, Malformed> {
        let reader = &mut self.reader;
        while let Some(kind) = reader.u8() {
            match kind {
                PADDING => reader.skip_zeros(),
                PING => {}
                CRYPTO => return crypto(reader).map(Some).ok_or(Malformed),
                CRYPTO_GOOGLE if self.google => {
                    return crypto(reader).map(Some).ok_or(Malformed);
                }
                ACK | ACK_ECN => skip_ack(reader, kind == ACK_ECN).ok_or(Malformed)?,
                CONNECTION_CLOSE => skip_close(reader).ok_or(Malformed)?,
                _ => return Err(Malformed),
            }
        }
        Ok(None)
    }
}

impl<'a> Iterator for CryptoFrames<'a> {
    type Item = Result<Crypto<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let frame = self.advance();
        if frame.is_err() {
            self.reader = Reader::new(&[]);
        }
        frame.transpose()
    }
}

fn crypto<'a>(reader: &mut Reader<'a>) -> Option<Crypto<'a>> {
    let offset = reader.varint()?;
    Some(Crypto { offset, data: reader.vector_varint()? })
}

fn skip_ack(reader: &mut Reader<'_>, ecn: bool) -> Option<()> {
    reader.varint()?; // largest acknowledged
    reader.varint()?; // delay
    let ranges = reader.varint()?;
    reader.varint()?; // first range
    // The bytes end this loop, whatever the count says.
    for _ in 0..ranges {
        reader.varint()?; // gap
        reader.varint()?; // length
    }
    for _ in 0..if ecn { 3 } else { 0 } {
        reader.varint()?;
    }
    Some(())
}

fn skip_close(reader: &mut Reader<'_>) -> Option<()> {
    reader.varint()?; // error code
    reader.varint()?; // type of the frame at fault
    reader.vector_varint()?; // reason phrase
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(payload: &[u8]) -> Vec<Result<Crypto<'_>, Malformed>> {
        CryptoFrames::new(payload, false).collect()
    }

    #[test]
    fn what_an_initial_may_hold_is_skipped() {
        let mut payload = vec![PADDING, PING, ACK, 9, 8, 1, 0, 0, 0, PING];
        payload.extend([ACK_ECN, 9, 8, 0, 3, 1, 2, 3]);
        payload.extend([CRYPTO, 0x40, 0x10, 2, 0xaa, 0xbb, PADDING, PADDING]);
        payload.extend([CONNECTION_CLOSE, 0x41, 0x28, 6, 2, b'h', b'i']);
        payload.extend([CRYPTO, 0, 0, PING]);
        assert_eq!(
            all(&payload),
            [Ok(Crypto { offset: 16, data: &[0xaa, 0xbb] }), Ok(Crypto { offset: 0, data: &[] })]
        );
    }

    #[test]
    fn what_stands_before_a_malformed_frame_is_kept() {
        for bad in [&[0x08, 0][..], &[CRYPTO, 0, 5, 1], &[ACK, 1, 1, 0xff], &[CONNECTION_CLOSE, 0]]
        {
            let mut payload = vec![CRYPTO, 0, 1, 7];
            payload.extend(bad);
            assert_eq!(all(&payload), [Ok(Crypto { offset: 0, data: &[7] }), Err(Malformed)]);
        }
    }
}
