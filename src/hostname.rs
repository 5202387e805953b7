//! Hostnames as they come from the wire: bounded, lower case, without trailing dot.
//!
//! Assumes hostile bytes. Does not resolve, and does not know registrable domains (see `names`).

use std::fmt;
use std::ops::Deref;

use arrayvec::{ArrayString, ArrayVec};

/// The longest hostname in characters (RFC 1035, 2.3.4: 255 octets on the wire).
pub const HOSTNAME_LENGTH_MAX: usize = 253;

/// A hostname: 1 to 253 visible ASCII characters, lower case, no trailing dot, no empty label,
/// and no IP address.
///
/// Letters, digits, `-`, `_` and `.` are usual; other visible ASCII characters are kept, so that
/// what was on the wire can be reported, and match no signature.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hostname(ArrayString<HOSTNAME_LENGTH_MAX>);

/// Why bytes are no hostname.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAHostname {
    /// Nothing, or nothing but a dot.
    Empty,
    /// More than 253 characters.
    TooLong,
    /// Two dots in a row, or one at the beginning.
    EmptyLabel,
    /// A space, a control character or a byte outside ASCII.
    Character,
    /// An IP address (RFC 6066, 3 forbids them as server names; HTTP allows them).
    Address,
}

impl Hostname {
    /// Reads a hostname from text on the wire: ASCII upper case is lowered, one trailing dot
    /// dropped.
    ///
    /// # Errors
    /// What keeps the bytes from being a hostname.
    pub fn from_wire(bytes: &[u8]) -> Result<Hostname, NotAHostname> {
        let mut text = ArrayVec::<u8, { HOSTNAME_LENGTH_MAX + 1 }>::new();
        text.try_extend_from_slice(bytes).map_err(|_| NotAHostname::TooLong)?;
        let name = normalise(&mut text)?;
        ArrayString::from(name).map(Hostname).map_err(|_| NotAHostname::TooLong)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Makes text on the wire a hostname, as [`Hostname::from_wire`] does, where it stands: for the
/// packet path, which would copy a [`Hostname`]'s 256 bytes several times.
///
/// # Errors
/// What keeps the bytes from being a hostname.
pub fn normalise(bytes: &mut [u8]) -> Result<&str, NotAHostname> {
    let length = bytes.len() - usize::from(bytes.ends_with(b"."));
    let (bytes, _) = bytes.split_at_mut(length);
    if bytes.is_empty() {
        return Err(NotAHostname::Empty);
    }
    if bytes.len() > HOSTNAME_LENGTH_MAX {
        return Err(NotAHostname::TooLong);
    }
    let seen = lower(bytes);
    if seen.bad {
        return Err(NotAHostname::Character);
    }
    if seen.empty_label || bytes.ends_with(b".") {
        return Err(NotAHostname::EmptyLabel);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| NotAHostname::Character)?;
    let is_address = is_ipv4(text) || seen.colon && is_ipv6(text);
    if is_address { Err(NotAHostname::Address) } else { Ok(text) }
}

/// What there is in the bytes of a name.
struct Contents {
    /// A byte that no hostname has.
    bad: bool,
    /// A colon, which IPv6 addresses have.
    colon: bool,
    /// Two dots in a row, or one at the beginning.
    empty_label: bool,
}

/// Lowers the upper case of a name, and tells what is in it: eight bytes at a time.
fn lower(bytes: &mut [u8]) -> Contents {
    // The highest bit of a byte tells of it; nothing is carried from one to the next.
    const HIGHEST: u64 = all(0x80);
    let (mut bad, mut colon, mut empty_label) = (0, 0, 0);
    // A name begins as if behind a dot.
    let mut dot_before = 0x80;
    let mut look = |word: u64| {
        let low = word & !HIGHEST;
        let at_least = |byte: u8| low + all(0x80 - byte);
        let is = |byte: u8| !((low ^ all(byte)) + all(0x7f));
        bad |= word | !at_least(b'!') | at_least(0x7f);
        colon |= is(b':');
        let dots = is(b'.') & HIGHEST;
        empty_label |= dots & (dots << 8 | dot_before);
        dot_before = dots >> 56;
        let upper = at_least(b'A') & !at_least(b'Z' + 1) & !word & HIGHEST;
        word | upper >> 2
    };
    let (words, rest) = bytes.as_chunks_mut::<8>();
    for word in words {
        *word = look(u64::from_le_bytes(*word)).to_le_bytes();
    }
    if !rest.is_empty() {
        let mut word = [b'a'; 8];
        word[..rest.len()].copy_from_slice(rest);
        word = look(u64::from_le_bytes(word)).to_le_bytes();
        rest.copy_from_slice(&word[..rest.len()]);
    }
    Contents { bad: bad & HIGHEST != 0, colon: colon & HIGHEST != 0, empty_label: empty_label != 0 }
}

/// Eight times the same byte.
const fn all(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// The registrable domain of a hostname by the Public Suffix List: the public suffix and one label
/// more. None for a public suffix itself.
pub fn registrable_domain(host: &str) -> Option<&str> {
    psl::domain_str(host)
}

/// Whether a name is below a public suffix that is no registry's but a company's, below which others
/// have domains of their own (the private domains of the Public Suffix List).
pub fn is_private_suffix_below(host: &str) -> bool {
    psl::suffix(host.as_bytes()).is_some_and(|suffix| suffix.typ() == Some(psl::Type::Private))
}

/// Whether a name is on the Public Suffix List itself: others register names below it.
pub fn is_public_suffix(host: &str) -> bool {
    psl::suffix(host.as_bytes())
        .is_some_and(|suffix| suffix.is_known() && suffix == host.as_bytes())
}

fn is_ipv4(text: &str) -> bool {
    let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_digit());
    begins && text.parse::<std::net::Ipv4Addr>().is_ok()
}

/// With or without brackets.
fn is_ipv6(text: &str) -> bool {
    text.trim_matches(['[', ']']).parse::<std::net::Ipv6Addr>().is_ok()
}

impl Deref for Hostname {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lowered_and_lose_one_trailing_dot() {
        assert_eq!(Hostname::from_wire(b"WWW.Slack.COM.").unwrap().as_str(), "www.slack.com");
        assert_eq!(Hostname::from_wire(b"_dmarc.a_b").unwrap().as_str(), "_dmarc.a_b");
    }

    #[test]
    fn what_is_no_name_says_why() {
        for (bytes, why) in [
            (&b""[..], NotAHostname::Empty),
            (b".", NotAHostname::Empty),
            (b"a..b", NotAHostname::EmptyLabel),
            (b".a", NotAHostname::EmptyLabel),
            (b"a b", NotAHostname::Character),
            (b"a\xffb", NotAHostname::Character),
            (b"192.0.2.1", NotAHostname::Address),
            (b"[2001:db8::1]", NotAHostname::Address),
        ] {
            assert_eq!(Hostname::from_wire(bytes), Err(why), "{bytes:?}");
        }
        assert_eq!(Hostname::from_wire(&[b'a'; 254]), Err(NotAHostname::TooLong));
        assert_eq!(Hostname::from_wire(&[b'a'; 300]), Err(NotAHostname::TooLong));
    }
    #[test]
    fn each_byte_means_the_same_wherever_it_stands() {
        for byte in 0..=255_u8 {
            for length in 1..=18 {
                for place in 0..length {
                    let mut name = vec![b'x'; length];
                    name[place] = byte;
                    let is_dot = byte == b'.';
                    let expected = match byte {
                        b'.' if length == 1 => Err(NotAHostname::Empty),
                        b'.' if place == 0 => Err(NotAHostname::EmptyLabel),
                        b'!'..=b'~' => Ok(name.to_ascii_lowercase()),
                        _ => Err(NotAHostname::Character),
                    };
                    let expected = expected.map(|mut name| {
                        name.truncate(length - usize::from(is_dot && place + 1 == length));
                        name
                    });
                    let found = normalise(&mut name).map(|name| name.as_bytes().to_vec());
                    assert_eq!(found, expected, "{byte} at {place} of {length}");
                }
            }
        }
        // Wherever two dots stand in a row.
        for place in 1..17 {
            let mut name = [b'x'; 20];
            (name[place], name[place + 1]) = (b'.', b'.');
            assert_eq!(normalise(&mut name), Err(NotAHostname::EmptyLabel), "{place}");
            (name[place], name[place + 1], name[place + 2]) = (b'.', b'x', b'.');
            assert!(normalise(&mut name).is_ok(), "{place}");
        }
        for address in ["2001:db8::1", "::1", "10.20.30.40", "[2001:db8:1:2:3:4:5:6]"] {
            let mut name = address.as_bytes().to_vec();
            assert_eq!(normalise(&mut name), Err(NotAHostname::Address), "{address}");
        }
    }
}
