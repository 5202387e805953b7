//! Domain names inside a DNS message (RFC 1035, 3.1 and 4.1.4): the one place that follows
//! compression pointers.
//!
//! Assumes hostile bytes: a walk ends after at most [`NAME_OCTETS_MAX`] octets of labels and
//! [`POINTERS_MAX`] pointers, each of which must point before the labels it was found behind, so
//! that a walk can't go round. Does not allocate. Does not judge whether a name is a hostname
//! before [`hostname`] is asked.

use arrayvec::ArrayVec;

use super::record::HEADER_LENGTH;
use crate::fnv::Fnv;
use crate::hostname::{NotAHostname, normalise};

/// The longest name on the wire in octets, length octets and the root's included (RFC 1035,
/// 2.3.4). It bounds the labels, too: at most 127 besides the root.
pub(in crate::dissect) const NAME_OCTETS_MAX: usize = 255;

/// The most labels of a name, the root not counted: 127 of one character fill 255 octets.
#[cfg(test)]
pub(in crate::dissect) const LABELS_MAX: usize = (NAME_OCTETS_MAX - 1) / 2;

/// The most compression pointers followed for one name. Writers of messages use one or two; each
/// needs a place before the last, so that a long chain is made on purpose.
pub(in crate::dissect) const POINTERS_MAX: usize = 16;

/// Room for the text of a name.
pub type NameText = ArrayVec<u8, NAME_OCTETS_MAX>;

/// Why a name, or a message, could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dissect) enum Fault {
    /// The bytes end too early: more may have been sent than was captured.
    Cut,
    /// The bytes contradict the format, or are over a bound.
    Malformed,
}

/// A walk over one name that reached its root label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dissect) struct Walked {
    /// Offset of the first byte behind the name where it stands (behind its first pointer).
    pub(in crate::dissect) end: usize,
    /// Octets of the name without compression, length octets and the root's included.
    pub(in crate::dissect) octets: u8,
    /// Labels visited, the root not counted.
    pub(in crate::dissect) labels: usize,
    /// Pointers followed.
    pub(in crate::dissect) pointers: usize,
}

/// Visits the labels of the name at `start`, leftmost first, without the root.
///
/// # Errors
/// [`Fault::Cut`] when the message ends inside the name; [`Fault::Malformed`] when a label has a
/// reserved type, a pointer does not point backwards behind the header, or a bound is exceeded.
#[inline]
pub(in crate::dissect) fn walk<'a>(
    message: &'a [u8],
    start: usize,
    mut visit: impl FnMut(&'a [u8]),
) -> Result<Walked, Fault> {
    let mut at = start;
    // Where the labels since the last pointer began: the next one must point before it.
    let mut run = start;
    let mut end = None;
    let mut octets = 1;
    let mut labels = 0;
    let mut pointers = 0;
    loop {
        let length = usize::from(*message.get(at).ok_or(Fault::Cut)?);
        match length {
            0 => {
                // They fit: there are no more than `NAME_OCTETS_MAX`.
                let octets = octets as u8;
                return Ok(Walked { end: end.unwrap_or(at + 1), octets, labels, pointers });
            }
            1..=63 => {
                octets += length + 1;
                if octets > NAME_OCTETS_MAX {
                    return Err(Fault::Malformed);
                }
                visit(message.get(at + 1..at + 1 + length).ok_or(Fault::Cut)?);
                labels += 1;
                at += 1 + length;
            }
            0xc0..=0xff => {
                let target = pointer_target(message, at).ok_or(Fault::Cut)?;
                pointers += 1;
                if target >= run || target < HEADER_LENGTH || pointers > POINTERS_MAX {
                    return Err(Fault::Malformed);
                }
                end.get_or_insert(at + 2);
                at = target;
                run = target;
            }
            // Label types 01 and 10 (RFC 6891, 5: reserved or given up).
            _ => return Err(Fault::Malformed),
        }
    }
}

/// Offset of the first byte behind the name at `start`, without following its pointer.
///
/// # Errors
/// As [`walk`], for the part of the name that stands at `start`.
#[inline]
pub(in crate::dissect) fn skip(message: &[u8], start: usize) -> Result<usize, Fault> {
    let mut at = start;
    loop {
        match *message.get(at).ok_or(Fault::Cut)? {
            0 => return Ok(at + 1),
            length @ 1..=63 => at += 1 + usize::from(length),
            0xc0..=0xff if message.len() >= at + 2 => return Ok(at + 2),
            0xc0..=0xff => return Err(Fault::Cut),
            _ => return Err(Fault::Malformed),
        }
        if at - start >= NAME_OCTETS_MAX {
            return Err(Fault::Malformed);
        }
    }
}

/// Where the pointer at `at` points to; none when `at` holds no whole pointer.
#[inline]
pub(in crate::dissect) fn pointer_target(message: &[u8], at: usize) -> Option<usize> {
    match *message.get(at..)?.first_chunk()? {
        [high @ 0xc0..=0xff, low] => Some(usize::from(u16::from_be_bytes([high & 0x3f, low]))),
        _ => None,
    }
}

/// The name at `start` as a hostname, in `text`, whatever that held.
///
/// # Errors
/// The outer one as [`walk`]. The inner one says why a well-formed name is no hostname: it is
/// the root, or a label holds a dot (which would make it read as another name), a space, a
/// control character or a byte outside ASCII.
pub(in crate::dissect) fn hostname<'t>(
    message: &[u8],
    start: usize,
    text: &'t mut NameText,
) -> Result<Result<&'t str, NotAHostname>, Fault> {
    text.clear();
    if plain(message, start, text).is_some() {
        return Ok(normalise(text));
    }
    text.clear();
    let mut dotted = false;
    walk(message, start, |label| {
        dotted |= label.iter().fold(false, |any, &byte| any | (byte == b'.'));
        // Labels and dots are one octet shorter than labels and their lengths, which `walk` keeps
        // within the capacity.
        let _ = text.try_extend_from_slice(label);
        let _ = text.try_push(b'.');
    })?;
    Ok(if dotted { Err(NotAHostname::Character) } else { normalise(text) })
}

/// Adds the name at `start` to `text`, which is empty, in one piece: possible where it is neither
/// compressed nor damaged, and no octet of it may be taken for a dot. That is most names; of others
/// there may be something in `text`.
fn plain(message: &[u8], start: usize, text: &mut NameText) -> Option<()> {
    let mut at = start;
    loop {
        match *message.get(at)? {
            0 => break,
            length @ 1..=63 => at += 1 + usize::from(length),
            _ => return None,
        }
        if at - start >= NAME_OCTETS_MAX {
            return None;
        }
    }
    let [first, labels @ ..] = message.get(start..at)? else { return Some(()) };
    if labels.iter().fold(false, |any, &byte| any | (byte == b'.')) {
        return None;
    }
    text.try_extend_from_slice(labels).ok()?;
    // Behind each label but the last one the length of the next stands in the place of the dot.
    let mut at = usize::from(*first);
    while let Some(octet) = text.get_mut(at) {
        at += 1 + usize::from(std::mem::replace(octet, b'.'));
    }
    Some(())
}

/// A walk that also sums up the name: equal names (RFC 1035, 2.3.3: case does not matter) have
/// equal sums. Different names may be made to have equal sums, too; see [`same`].
///
/// # Errors
/// As [`walk`].
#[inline]
pub(in crate::dissect) fn sum(message: &[u8], start: usize) -> Result<u64, Fault> {
    let mut sum = Fnv::EMPTY;
    walk(message, start, |label| {
        sum = sum.and(label.len() as u8);
        for byte in label {
            sum = sum.and(byte.to_ascii_lowercase());
        }
    })?;
    Ok(sum.value())
}

/// Whether the names at two offsets are the same, regardless of case.
pub(in crate::dissect) fn same(message: &[u8], left: usize, right: usize) -> bool {
    match (flat(message, left), flat(message, right)) {
        (Ok(left), Ok(right)) => left == right,
        _ => false,
    }
}

/// The name without compression, in lower case.
fn flat(message: &[u8], start: usize) -> Result<ArrayVec<u8, NAME_OCTETS_MAX>, Fault> {
    let mut octets = ArrayVec::new();
    walk(message, start, |label| {
        // Both fit: `walk` bounds the octets.
        let _ = octets.try_push(label.len() as u8);
        let _ = octets.try_extend_from_slice(label);
    })?;
    octets.make_ascii_lowercase();
    Ok(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message whose header is zeros, with `body` behind it.
    fn message(body: &[u8]) -> Vec<u8> {
        [&[0; HEADER_LENGTH][..], body].concat()
    }

    fn text(message: &[u8], start: usize) -> String {
        hostname(message, start, &mut NameText::new()).unwrap().unwrap().to_owned()
    }

    #[test]
    fn names_are_read_through_pointers_and_end_where_they_stand() {
        let message = message(b"\x03WwW\x07example\x03com\0\x04mail\xc0\x10\xc0\x1d");
        assert_eq!(text(&message, 12), "www.example.com");
        assert_eq!(text(&message, 29), "mail.example.com");
        assert_eq!(text(&message, 36), "mail.example.com");
        let ends = [12, 29, 36].map(|start| walk(&message, start, |_| ()).unwrap().end);
        assert_eq!(ends, [29, 36, 38]);
        assert_eq!([12, 29, 36].map(|start| skip(&message, start).unwrap()), ends);
        assert_eq!(walk(&message, 36, |_| ()).unwrap().pointers, 2);
    }

    #[test]
    fn a_label_as_long_as_a_dot_is_a_number_is_read_as_others() {
        for length in 1..=63_u8 {
            let label = "x".repeat(length.into());
            let mut body = vec![1, b'a', length];
            body.extend(label.bytes());
            body.extend(b"\x03com\0\x03www\xc0\x0c");
            let message = message(&body);
            let name = format!("a.{label}.com");
            assert_eq!(text(&message, 12), name);
            assert_eq!(text(&message, message.len() - 6), format!("www.{name}"));
        }
    }

    #[test]
    fn case_does_not_matter_and_label_borders_do() {
        let message = message(b"\x03wWw\x02ab\0\x03WWW\x02AB\0\x05www\x02a\x01b\0");
        let sums = [12, 20, 28].map(|start| sum(&message, start).unwrap());
        assert_eq!(sums[0], sums[1]);
        assert_ne!(sums[0], sums[2]);
        assert!(same(&message, 12, 20));
        assert!(!same(&message, 12, 28));
    }

    #[test]
    fn what_is_no_hostname_says_why() {
        for (body, why) in [
            (&b"\0"[..], NotAHostname::Empty),
            (b"\x03a.b\x07example\0", NotAHostname::Character),
            (b"\x03a b\0", NotAHostname::Character),
            (b"\x03a\0b\0", NotAHostname::Character),
            (b"\x02\xc3\xbc\0", NotAHostname::Character),
            (b"\x03192\x010\x012\x011\0", NotAHostname::Address),
        ] {
            assert_eq!(
                hostname(&message(body), 12, &mut NameText::new()),
                Ok(Err(why)),
                "{body:?}"
            );
        }
    }

    #[test]
    fn damaged_names_are_refused() {
        for (body, fault) in [
            (&b""[..], Fault::Cut),
            (b"\x03ww", Fault::Cut),
            (b"\x03www", Fault::Cut),
            (b"\x01a\xc0", Fault::Cut),
            // To itself, forwards, into the labels it stands behind, into the header.
            (b"\xc0\x0c", Fault::Malformed),
            (b"\xc0\x0e\x01a\0", Fault::Malformed),
            (b"\x01a\xc0\x0c", Fault::Malformed),
            (b"\x01a\xc0\x0b", Fault::Malformed),
            (b"\x40\0", Fault::Malformed),
            (b"\x80\0", Fault::Malformed),
        ] {
            assert_eq!(walk(&message(body), 12, |_| ()), Err(fault), "{body:?}");
        }
    }

    #[test]
    fn a_name_may_have_255_octets_and_no_more() {
        let mut body = Vec::new();
        for _ in 0..LABELS_MAX {
            body.extend_from_slice(b"\x01a");
        }
        body.push(0);
        let longest = message(&body);
        let walked = walk(&longest, 12, |_| ()).unwrap();
        assert_eq!((walked.labels, walked.end), (LABELS_MAX, 12 + NAME_OCTETS_MAX));
        assert_eq!(text(&longest, 12).len(), 253);
        assert_eq!(skip(&longest, 12), Ok(12 + NAME_OCTETS_MAX));

        body.splice(0..0, *b"\x01b");
        assert_eq!(walk(&message(&body), 12, |_| ()), Err(Fault::Malformed));
        assert_eq!(skip(&message(&body), 12), Err(Fault::Malformed));
    }

    #[test]
    fn a_chain_of_pointers_costs_a_bounded_number_of_steps() {
        // The densest attack: each pointer to the one before it, 8,180 of them, and each name
        // along the way would be read again and again by a reader without a bound.
        let mut chain = message(b"\0");
        chain.push(0xc0);
        chain.push(12);
        while chain.len() < 0x3fff {
            let previous = chain.len() - 2;
            chain.extend_from_slice(&(0xc000 | previous as u16).to_be_bytes());
        }
        for (start, accepted) in [(13, true), (13 + 2 * 15, true), (13 + 2 * 16, false)] {
            match walk(&chain, start, |_| ()) {
                Ok(walked) => {
                    assert!(accepted && walked.pointers <= POINTERS_MAX && walked.labels == 0);
                }
                Err(fault) => assert!(!accepted && fault == Fault::Malformed),
            }
        }
        // Steps are visits and pointers: count those of a name that uses both to the full.
        let mut steps = 0;
        let mut spiral = message(b"\x01a\0");
        while spiral.len() < 0x3f00 {
            let previous = if spiral.len() == 15 { 12 } else { spiral.len() - 4 };
            spiral.extend_from_slice(b"\x01a");
            spiral.extend_from_slice(&(0xc000 | previous as u16).to_be_bytes());
        }
        let last = spiral.len() - 4;
        assert_eq!(walk(&spiral, last, |_| steps += 1), Err(Fault::Malformed));
        assert!(steps <= POINTERS_MAX + 1, "{steps} labels visited");
    }
}
