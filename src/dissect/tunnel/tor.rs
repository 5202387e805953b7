//! Tor: the ClientHello with which one relay or client connects to a relay, and questions to a
//! directory.
//!
//! The hello names a made-up host: `www.`, 8 to 20 random characters of base 32, `.com` (Tor's
//! `tortls`, `crypto_random_hostname`), and offers no application protocol. Names that people give
//! may look like that (`www.mp3to4u2.com`), so that it takes another sign: the cipher suites that Tor
//! offers, or the port that most relays use. Where neither is there, a name that changes often
//! between letters and digits, or that nobody can say, is doubtful ([`Sign::Doubtful`], [`Oddness`]):
//! nobody asks DNS for a made-up name, and a client has several.
//! Relays' certificates are encrypted (TLS 1.3). Bridges with a transport of their own (obfs4,
//! Snowflake, WebTunnel) are made not to be known, and are not.

use crate::observation::ClientHello;

/// The port on which most relays are reached (`ORPort` in Tor's manual): a sign among others.
const RELAY_PORT: u16 = 9001;
/// The length of the made-up label.
const LABEL_LENGTHS: std::ops::RangeInclusive<usize> = 8..=20;
/// Changes between letters and digits, or runs without a vowel, that no given name has.
const ODDNESS_MIN: usize = 4;
/// Letters in a row without a vowel that are hard to say.
const RUN_LENGTH: usize = 5;
/// The cipher suites that Tor offers, as the second part of a JA4: those of `ciphers.inc` in its
/// sources (`src/lib/tls`) and the signalling value 0x00ff, with TLS 1.3 and without, each with
/// 3DES, which OpenSSL left out later, and without.
const CIPHERS: [&str; 4] = ["6c2ba73853a4", "1b047f859069", "5663918e6614", "5b2cd879839c"];
/// What clients and relays ask directories for, in full (Tor directory protocol, version 3, 4, and
/// B), and up to a fingerprint or a digest.
const DOCUMENTS: [&[u8]; 10] = [
    b"/tor/status-vote/current/",
    b"/tor/status-vote/next/",
    b"/tor/server/all",
    b"/tor/server/authority",
    b"/tor/keys/all",
    b"/tor/keys/authority",
    b"/tor/extra/all",
    b"/tor/extra/authority",
    b"/tor/micro/d/",
    b"/tor/hs/3/",
];
const OF_FINGERPRINTS: [&[u8]; 8] = [
    b"/tor/server/fp/",
    b"/tor/server/d/",
    b"/tor/keys/fp/",
    b"/tor/keys/sk/",
    b"/tor/keys/fp-sk/",
    b"/tor/extra/fp/",
    b"/tor/extra/d/",
    b"/tor/rendezvous2/",
];
/// Digits in base 16 (or characters in base 32, of the last) at the beginning of a fingerprint.
const FINGERPRINT_DIGITS: usize = 16;

/// What a ClientHello says of Tor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// It is one to a relay.
    Relay,
    /// Its name may be made up, and nothing else tells.
    Doubtful,
}

/// Whether a request's target is a directory's.
pub(crate) fn is_target(target: &[u8]) -> bool {
    let is_of_fingerprint = |known: &&[u8]| {
        let rest = target.strip_prefix(*known).and_then(|rest| rest.get(..FINGERPRINT_DIGITS));
        rest.is_some_and(|digits| digits.iter().all(u8::is_ascii_alphanumeric))
    };
    DOCUMENTS.iter().any(|known| target.starts_with(known))
        || OF_FINGERPRINTS.iter().any(is_of_fingerprint)
}

/// What a ClientHello to this port says of Tor, if anything.
pub fn of_hello(hello: &ClientHello, port: u16) -> Option<Sign> {
    let name = hello.server_name.as_ref()?;
    let label = name.strip_prefix("www.").and_then(|rest| rest.strip_suffix(".com"))?;
    if !hello.alpn.is_empty() || hello.ech.is_some() || !may_be_made_up(label) {
        return None;
    }
    let ciphers = hello.ja4.split('_').nth(1);
    if port == RELAY_PORT || ciphers.is_some_and(|ciphers| CIPHERS.contains(&ciphers)) {
        return Some(Sign::Relay);
    }
    oddness(name).map(|_| Sign::Doubtful)
}

/// How odd a doubtful name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Oddness {
    /// Another language may have it: of the catalogue's names below `com`, one in fifty.
    Faint,
    /// People give such names, though seldom.
    Doubtful,
    /// Long, and letters and digits change places all the time: half of those that are made up, and
    /// none of the catalogue's.
    Extreme,
}

/// How odd a doubtful name is; none of a name that is not doubtful.
pub fn oddness(name: &str) -> Option<Oddness> {
    const LENGTH_MIN: usize = 11;
    const EXTREME_MIN: usize = 5;
    let label = name.strip_prefix("www.")?.strip_suffix(".com")?;
    if !may_be_made_up(label) || has_word(label.as_bytes()) {
        return None;
    }
    let (changes, runs) = oddities(label.as_bytes());
    match changes + 2 * runs {
        // Without a digit it might be another language's word.
        _ if changes == 0 => (runs > 0).then_some(Oddness::Faint),
        odd if odd >= EXTREME_MIN && label.len() >= LENGTH_MIN => Some(Oddness::Extreme),
        odd if odd >= ODDNESS_MIN => Some(Oddness::Doubtful),
        _ => None,
    }
}

fn may_be_made_up(label: &str) -> bool {
    let of_base_32 = |byte: u8| matches!(byte, b'a'..=b'z' | b'2'..=b'7');
    LABEL_LENGTHS.contains(&label.len()) && label.bytes().all(of_base_32)
}

/// Whether a digit stands beside letters that are a word, or could be one: `juice` in `mp3juice4u`.
/// Of made-up labels with as many changes one in seven has such letters by chance.
fn has_word(label: &[u8]) -> bool {
    /// Letters of the shortest word that is believed.
    const WORD_LENGTH: usize = 5;
    /// Consonants, or vowels, one after the other, that words have.
    const ALIKE_MAX: usize = 2;
    let is_vowel = |byte: &u8| matches!(byte, b'a' | b'e' | b'i' | b'o' | b'u' | b'y');
    let is_word = |run: &[u8]| {
        run.len() >= WORD_LENGTH
            && run
                .chunk_by(|one, next| is_vowel(one) == is_vowel(next))
                .all(|alike| alike.len() <= ALIKE_MAX)
    };
    let has_digit = label.iter().any(u8::is_ascii_digit);
    has_digit && label.split(u8::is_ascii_digit).any(is_word)
}

/// Changes between letters and digits, and runs without a vowel.
fn oddities(bytes: &[u8]) -> (usize, usize) {
    let changes = bytes
        .iter()
        .zip(bytes.iter().skip(1))
        .filter(|(one, next)| one.is_ascii_digit() != next.is_ascii_digit())
        .count();
    let breaks_run =
        |byte: &u8| matches!(byte, b'a' | b'e' | b'i' | b'o' | b'u' | b'y' | b'2'..=b'7');
    let runs = bytes.split(breaks_run).filter(|run| run.len() >= RUN_LENGTH).count();
    (changes, runs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hostname::Hostname;

    fn hello(name: &str, alpn: &[&str]) -> ClientHello {
        let mut hello = ClientHello {
            server_name: Hostname::from_wire(name.as_bytes()).ok(),
            ..ClientHello::default()
        };
        for protocol in alpn {
            hello.alpn.push(arrayvec::ArrayString::from(protocol).unwrap());
        }
        hello
    }

    #[test]
    fn made_up_hosts_without_application_protocol() {
        // Suricata's capture of Tor, tor_bl.pcap.
        for name in ["www.4gk67zpn3brh7qxg.com", "www.e4od3hnssyu6g.com"] {
            let mut hello = hello(name, &[]);
            assert_eq!(of_hello(&hello, RELAY_PORT), Some(Sign::Relay), "{name}");
            assert_eq!(of_hello(&hello, 443), Some(Sign::Doubtful), "{name}");
            hello.ja4.push_str("t13d181100_6c2ba73853a4_24695f2957a7");
            assert_eq!(of_hello(&hello, 443), Some(Sign::Relay), "{name}");
            hello.alpn.push(arrayvec::ArrayString::from("h2").unwrap());
            assert_eq!(of_hello(&hello, RELAY_PORT), None, "{name}");
        }
    }

    #[test]
    fn what_might_be_a_word_needs_the_port_too() {
        let mut doubtful = hello("www.axmoturbi.com", &[]);
        assert_eq!(of_hello(&doubtful, 443), None);
        assert_eq!(of_hello(&doubtful, RELAY_PORT), Some(Sign::Relay));
        doubtful.ja4.push_str("t12d150600_5663918e6614_24695f2957a7");
        assert_eq!(of_hello(&doubtful, 443), Some(Sign::Relay));
        for other in ["www.short.com", "www.axmoturbi.net", "www.axmo-turbi.com", "axmoturbi.com"] {
            assert_eq!(of_hello(&hello(other, &[]), RELAY_PORT), None, "{other}");
        }
    }

    #[test]
    fn given_names_are_not_made_up() {
        let given = [
            "www.facebook.com",
            "www.w3schools.com",
            "www.4shared.com",
            "www.box24casino.com",
            "www.schwarzkopf.com",
            "www.2020census.com",
            "www.nextdirect365.com",
            "www.office365.com",
            "www.24sevenoffice.com",
            "4gk67zpn3brh7qxg.com",
            "www.4gk67zpn3brh7qxg.net",
            "www.4gk67zpn3brh7qxg.example.com",
        ];
        for name in given {
            assert_eq!(of_hello(&hello(name, &[]), 443), None, "{name}");
        }
        let given = hello("www.mp3to4u2.com", &[]);
        assert_eq!(of_hello(&given, 443), Some(Sign::Doubtful));
        for (name, expected) in [
            ("www.mp3to4u2.com", Some(Oddness::Doubtful)),
            ("www.mp3juice4u.com", None),
            ("www.mp3juice4u2.com", None),
            ("www.bfu4xhj2k5qzt.com", Some(Oddness::Extreme)),
            ("www.xjqwvtabehklmnr.com", Some(Oddness::Faint)),
            ("www.schwarzkopf.com", None),
        ] {
            assert_eq!(oddness(name), expected, "{name}");
        }
    }

    #[test]
    fn directories_are_known_by_whole_paths() {
        let fingerprint = "A0".repeat(20);
        for target in [
            "/tor/status-vote/current/consensus-microdesc.z",
            "/tor/micro/d/kkWkv7a7zj4BWq8eJBXS9JZXuRqN0TJ9rq3uVPAwBsg.z",
            "/tor/server/authority.z",
            &format!("/tor/server/fp/{fingerprint}.z"),
            &format!("/tor/keys/fp-sk/{fingerprint}-{fingerprint}.z"),
        ] {
            assert!(is_target(target.as_bytes()), "{target}");
        }
        for target in
            ["/tor/", "/tor/keys/", "/tor/server/fp/x", "/tor/server/list", "/tor/rendezvous"]
        {
            assert!(!is_target(target.as_bytes()), "{target}");
        }
    }
}
