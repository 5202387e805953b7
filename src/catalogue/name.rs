//! Hostnames brought into the form in which rules are written: lower case, A-labels, no last dot.
//!
//! Assumes nothing about the text. Does not allocate for ASCII names, which is what the wire has.

use arrayvec::ArrayString;

use crate::hostname::HOSTNAME_LENGTH_MAX;

pub(crate) use super::pattern::LABEL_LENGTH_MAX;

/// Room for a name that had to be rewritten.
pub(crate) type NameBuffer = ArrayString<HOSTNAME_LENGTH_MAX>;

/// The form of `host` that rules are compared with, or `None` where no rule can apply: IP
/// addresses, single labels, empty or over-long labels, characters no hostname has, and reverse
/// zones.
///
/// `buffer` is used only if the name is not in that form already.
pub(crate) fn normalise<'a>(host: &'a str, buffer: &'a mut NameBuffer) -> Option<&'a str> {
    let host = host.strip_suffix('.').unwrap_or(host);
    match survey(host.as_bytes())? {
        Form::Normal => Some(host),
        Form::Upper => {
            buffer.try_push_str(host).ok()?;
            buffer.make_ascii_lowercase();
            Some(buffer)
        }
        Form::Unicode => {
            let ascii = idna::domain_to_ascii(host).ok()?;
            buffer.try_push_str(&ascii).ok()?;
            (survey(buffer.as_bytes())? == Form::Normal).then_some(&**buffer)
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Normal,
    Upper,
    Unicode,
}

/// What a byte can be in a name.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Class {
    Never,
    Lower,
    Upper,
    Underscore,
    Dot,
    Unicode,
}

/// The class of every byte: letters, digits, hyphen and, for what is seen on the wire, underscore
/// inside labels. At the beginning it makes a label of a service (RFC 8552), which is no host.
const CLASSES: [Class; 256] = {
    let mut classes = [Class::Never; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b'a'..=b'z' | b'0'..=b'9' | b'-' => Class::Lower,
            b'_' => Class::Underscore,
            b'A'..=b'Z' => Class::Upper,
            b'.' => Class::Dot,
            0x80..=0xff => Class::Unicode,
            _ => Class::Never,
        };
        byte += 1;
    }
    classes
};

fn survey(name: &[u8]) -> Option<Form> {
    if name.is_empty() || name.len() > HOSTNAME_LENGTH_MAX {
        return None;
    }
    let mut form = Form::Normal;
    let mut label_start = 0;
    let mut dots = 0;
    for (position, &byte) in name.iter().enumerate() {
        match CLASSES[usize::from(byte)] {
            Class::Lower => {}
            Class::Upper if form == Form::Normal => form = Form::Upper,
            Class::Upper => {}
            Class::Unicode => form = Form::Unicode,
            Class::Underscore if position == label_start => return None,
            Class::Underscore => {}
            Class::Dot => {
                if position == label_start || position - label_start > LABEL_LENGTH_MAX {
                    return None;
                }
                label_start = position + 1;
                dots += 1;
            }
            Class::Never => return None,
        }
    }
    let last = &name[label_start..];
    let last_fits = !last.is_empty() && last.len() <= LABEL_LENGTH_MAX;
    // A numeric last label is an IPv4 address or nonsense; `arpa` holds the reverse zones.
    let last_is_a_name = last.iter().any(|byte| !byte.is_ascii_digit());
    let usable = last_fits && last_is_a_name && !last.eq_ignore_ascii_case(b"arpa");
    // A full stop of another script may hide the dots of a Unicode name.
    (usable && (dots > 0 || form == Form::Unicode)).then_some(form)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(host: &str) -> Option<String> {
        normalise(host, &mut NameBuffer::new()).map(str::to_owned)
    }

    #[test]
    fn names_take_the_form_of_rules() {
        assert_eq!(normal("app.slack.com").as_deref(), Some("app.slack.com"));
        assert_eq!(normal("App.SLACK.com.").as_deref(), Some("app.slack.com"));
        assert_eq!(normal("bücher.example").as_deref(), Some("xn--bcher-kva.example"));
        assert_eq!(normal("a_b.slack.com").as_deref(), Some("a_b.slack.com"));
    }

    #[test]
    fn what_no_rule_can_match_is_refused() {
        let long_label = format!("{}.com", "a".repeat(64));
        let long_name = format!("{}com", "abc.".repeat(64));
        for host in [
            "",
            ".",
            "slack",
            "slack.com..",
            ".slack.com",
            "a..slack.com",
            "192.0.2.1",
            "[2001:db8::1]",
            "2001:db8::1",
            "1.2.0.192.in-addr.arpa",
            "a b.slack.com",
            "*.slack.com",
            "_dmarc.slack.com",
            "_sip._tls.slack.com",
            "user@slack.com",
            "slack.com/path",
            "slack.com:443",
            &long_label,
            &long_name,
        ] {
            assert_eq!(normal(host), None, "{host:?}");
        }
    }
}
