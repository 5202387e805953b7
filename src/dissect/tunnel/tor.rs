//! Tor: the ClientHello with which one relay or client connects to a relay, and questions to a
//! directory.
//!
//! The hello names a made-up host: `www.`, 8 to 20 random characters of base 32, `.com` (Tor's
//! `tortls`, `crypto_random_hostname`), and offers no application protocol. Names that people give
//! hardly ever change so often between letters and digits, so that about two of three such
//! names are told from them by themselves; the others are on the port that most relays use, and
//! stay plain TLS on any other. That is all there is to see: relays' certificates are
//! encrypted (TLS 1.3). Bridges with a transport of their own (obfs4, Snowflake, WebTunnel) are
//! made not to be known, and are not.

use crate::observation::ClientHello;

/// The port on which most relays are reached (`ORPort` in Tor's manual): a sign among others.
const RELAY_PORT: u16 = 9001;
/// The length of the made-up label.
const LABEL_LENGTHS: std::ops::RangeInclusive<usize> = 8..=20;
/// Changes between letters and digits, or runs without a vowel, that no given name has.
const ODDNESS_MIN: usize = 4;
/// Letters in a row without a vowel that are hard to say.
const RUN_LENGTH: usize = 5;
/// What clients and relays ask directories for (Tor directory protocol, version 3, 4).
const TARGETS: [&[u8]; 6] = [
    b"/tor/status-vote/",
    b"/tor/server/",
    b"/tor/micro/",
    b"/tor/keys/",
    b"/tor/extra/",
    b"/tor/rendezvous",
];

/// Whether a request's target is a directory's.
pub(crate) fn is_target(target: &[u8]) -> bool {
    TARGETS.iter().any(|known| target.starts_with(known))
}

/// Whether a ClientHello to this port is one to a relay.
pub fn is_hello(hello: &ClientHello, port: u16) -> bool {
    let Some(name) = &hello.server_name else { return false };
    let label = name.strip_prefix("www.").and_then(|rest| rest.strip_suffix(".com"));
    let says_no_more = hello.alpn.is_empty() && hello.ech.is_none();
    says_no_more
        && label.is_some_and(|label| {
            may_be_made_up(label) && (port == RELAY_PORT || is_made_up(label.as_bytes()))
        })
}

fn may_be_made_up(label: &str) -> bool {
    let of_base_32 = |byte: u8| matches!(byte, b'a'..=b'z' | b'2'..=b'7');
    LABEL_LENGTHS.contains(&label.len()) && label.bytes().all(of_base_32)
}

fn is_made_up(bytes: &[u8]) -> bool {
    let changes = bytes
        .iter()
        .zip(bytes.iter().skip(1))
        .filter(|(one, next)| one.is_ascii_digit() != next.is_ascii_digit())
        .count();
    let breaks_run =
        |byte: &u8| matches!(byte, b'a' | b'e' | b'i' | b'o' | b'u' | b'y' | b'2'..=b'7');
    let runs = bytes.split(breaks_run).filter(|run| run.len() >= RUN_LENGTH).count();
    // A digit at all is worth looking at; without one it might be another language's word.
    changes > 0 && changes + 2 * runs >= ODDNESS_MIN
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
            assert!(is_hello(&hello(name, &[]), 443), "{name}");
            assert!(!is_hello(&hello(name, &["h2"]), RELAY_PORT), "{name}");
        }
    }

    #[test]
    fn what_might_be_a_word_needs_the_port_too() {
        let doubtful = hello("www.axmoturbi.com", &[]);
        assert!(!is_hello(&doubtful, 443));
        assert!(is_hello(&doubtful, RELAY_PORT));
        for other in ["www.short.com", "www.axmoturbi.net", "www.axmo-turbi.com", "axmoturbi.com"] {
            assert!(!is_hello(&hello(other, &[]), RELAY_PORT), "{other}");
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
            assert!(!is_hello(&hello(name, &[]), 443), "{name}");
        }
    }
}
