//! tinc, by the line with which either side of its meta connection begins (tinc manual, "The
//! meta-protocol": `ID`): request 0, the sender's name, the version of the protocol. Its data, over UDP,
//! is encrypted from the first byte on.

/// The only major version, since tinc 1.0.
const VERSION: &[u8] = b"17";
/// The longest name that is believed.
const NAME_LENGTH_MAX: usize = 255;

/// Whether a line, without its end, is tinc's `ID`.
pub(super) fn is_id(line: &[u8]) -> bool {
    let mut words = line.split(|&byte| byte == b' ');
    let (Some(b"0"), Some(name), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return false;
    };
    // An invitation is asked for by a key in a name's place.
    let name = name.strip_prefix(b"?").unwrap_or(name);
    let is_name_byte = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let minor = version.strip_prefix(VERSION).map(|rest| rest.strip_prefix(b".").unwrap_or(rest));
    let is_version = version == VERSION
        || version.get(VERSION.len()) == Some(&b'.')
            && minor.is_some_and(|minor| {
                (1..=2).contains(&minor.len()) && minor.iter().all(u8::is_ascii_digit)
            });
    (1..=NAME_LENGTH_MAX).contains(&name.len()) && name.iter().all(is_name_byte) && is_version
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_names_a_node_and_the_version() {
        for line in ["0 office 17", "0 node_2 17.7", "0 ?aGVsbG8 17.3", "0 a 17.0"] {
            assert!(is_id(line.as_bytes()), "{line}");
        }
        for line in [
            "0 office 18",
            "1 office 17",
            "0  17",
            "0 off.ice 17",
            "0 a 17 b",
            "0 a 177",
            "0 a 17.",
            "0",
        ] {
            assert!(!is_id(line.as_bytes()), "{line}");
        }
    }
}
