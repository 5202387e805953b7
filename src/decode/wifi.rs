//! 802.11 data frames in the clear, with or without a radiotap header.
//!
//! Does not decrypt and does not put the fragments of 802.11 together. Of an aggregate of several
//! frames (A-MSDU) the first is read.

use super::layers::LLC_SNAP;
use super::walk::{Span, Step, Stop, Walk};

/// Frame control, first byte (IEEE 802.11, 9.2.4.1).
mod control {
    pub(super) const TYPE: u8 = 0x0c;
    pub(super) const TYPE_DATA: u8 = 0x08;
    pub(super) const VERSION: u8 = 0x03;
    /// Subtype: no data.
    pub(super) const NULL: u8 = 0x40;
    /// Subtype: with a quality-of-service field.
    pub(super) const QOS: u8 = 0x80;
}

/// Frame control, second byte.
mod flag {
    /// To and from the distribution system: a fourth address.
    pub(super) const BOTH_DISTRIBUTION: u8 = 0x03;
    pub(super) const PROTECTED: u8 = 0x40;
    /// With a high-throughput control field, in quality-of-service frames.
    pub(super) const ORDER: u8 = 0x80;
}

/// QoS control: the body is an A-MSDU (IEEE 802.11, 9.2.4.5.9).
const QOS_AGGREGATE: u8 = 0x80;
/// Sequence control: the fragment's number (IEEE 802.11, 9.2.4.4.3).
const FRAGMENT_NUMBER: u8 = 0x0f;

/// Radiotap fields (www.radiotap.org/fields).
mod radiotap {
    /// Bit of the 8-byte time stamp, the only field in front of the flags.
    pub(super) const TIME: u32 = 1;
    pub(super) const FLAGS: u32 = 1 << 1;
    /// Another word of bits follows.
    pub(super) const MORE: u32 = 1 << 31;
    /// Flag: the frame ends with its check sequence.
    pub(super) const FLAG_CHECK_SEQUENCE: u8 = 0x10;
    /// Flag: the header is padded to four bytes.
    pub(super) const FLAG_PADDED: u8 = 0x20;
}

impl Walk {
    /// An 802.11 frame behind a radiotap header, whose numbers are little-endian.
    pub(super) fn radiotap(&mut self, mut span: Span<'_>) -> Step {
        let &[version, _, low, high] = span.peek()?;
        let length = usize::from(u16::from_le_bytes([low, high]));
        if version != 0 || length < 8 {
            return Err(Stop::MALFORMED);
        }
        let mut header = span;
        header.limit(length);
        let flags = radiotap_flags(header)?;
        span.skip(length)?;
        if flags & radiotap::FLAG_CHECK_SEQUENCE != 0 {
            let frame_length = span.wire_length().checked_sub(4).ok_or(Stop::TRUNCATED)?;
            span.limit(frame_length);
        }
        self.wifi(span, flags & radiotap::FLAG_PADDED != 0)
    }

    /// An 802.11 frame in CAPWAP. Some access points send the two bytes of frame control swapped.
    pub(super) fn wifi_in_capwap(&mut self, span: Span<'_>) -> Step {
        let &[first, second] = span.peek()?;
        let is_data = |byte: u8| byte & (control::TYPE | control::VERSION) == control::TYPE_DATA;
        if !is_data(first) && is_data(second) {
            return self.wifi_frame(span, [second, first], false);
        }
        self.wifi(span, false)
    }

    /// An 802.11 frame. `is_padded`: the header is padded to four bytes.
    pub(super) fn wifi(&mut self, span: Span<'_>, is_padded: bool) -> Step {
        let &control = span.peek()?;
        self.wifi_frame(span, control, is_padded)
    }

    /// An 802.11 frame (IEEE 802.11, 9.3.2.1) whose frame control is `[control, flags]`.
    /// `is_padded`: the header is padded to four bytes.
    fn wifi_frame(
        &mut self,
        mut span: Span<'_>,
        [control, flags]: [u8; 2],
        is_padded: bool,
    ) -> Step {
        self.passed_header(span)?;
        if control & (control::TYPE | control::VERSION) != control::TYPE_DATA
            || control & control::NULL != 0
        {
            return Err(Stop::NotIp);
        }
        if flags & flag::PROTECTED != 0 {
            return Err(Stop::ENCRYPTED);
        }
        let mut header_length = 24;
        let header: &[u8; 24] = span.take()?;
        if flags & flag::BOTH_DISTRIBUTION == flag::BOTH_DISTRIBUTION {
            span.take::<6>()?;
            header_length += 6;
        }
        let mut is_aggregate = false;
        if control & control::QOS != 0 {
            let &[quality, _] = span.take()?;
            is_aggregate = quality & QOS_AGGREGATE != 0;
            header_length += 2;
            if flags & flag::ORDER != 0 {
                span.take::<4>()?;
                header_length += 4;
            }
        }
        if is_padded {
            span.skip(usize::next_multiple_of(header_length, 4) - header_length)?;
        }
        self.passed_header(span)?;
        let begins_with_snap = matches!(span.peek(), Ok(&LLC_SNAP));
        if header[22] & FRAGMENT_NUMBER != 0 && !begins_with_snap {
            // A later fragment of an 802.11 frame: it has no header that could be read.
            return Err(Stop::MALFORMED);
        }
        if is_aggregate {
            let subframe: &[u8; 14] = span.take()?;
            span.limit(usize::from(u16::from_be_bytes([subframe[12], subframe[13]])));
        }
        self.llc(span)
    }
}

/// The flags field of a radiotap header, 0 where it has none.
fn radiotap_flags(mut header: Span<'_>) -> Result<u8, Stop> {
    header.take::<4>()?;
    let mut position = 4;
    let mut take_word = || -> Result<u32, Stop> {
        position += 4;
        header.take().map(|&bytes| u32::from_le_bytes(bytes))
    };
    let present = take_word()?;
    let mut word = present;
    while word & radiotap::MORE != 0 {
        word = take_word()?;
    }
    if present & radiotap::FLAGS == 0 {
        return Ok(0);
    }
    if present & radiotap::TIME != 0 {
        header.skip(usize::next_multiple_of(position, 8) - position + 8)?;
    }
    let &[flags] = header.take()?;
    Ok(flags)
}
