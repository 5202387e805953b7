//! QUIC versions and what each changes in the protection of Initials: salt, labels, type bits.
//!
//! Versions before draft 22 had another long header and are not read. A version that is not in
//! the table is tried with the keys of version 1 and of draft 29: greased and vendors' versions
//! are one of these inside, and the AEAD tag proves which.

/// One way to protect Initials. Versions that share salt, labels and type bits share a scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    /// Version 1 and drafts 33 and 34 (RFC 9001, 5.2).
    V1,
    /// Version 2 (RFC 9369, 3.3).
    V2,
    /// Version 2 as it was numbered in draft-ietf-quic-v2-01 to -04.
    V2Draft,
    /// Drafts 29 to 32 (draft-ietf-quic-tls-29, 5.2).
    Draft29,
    /// Drafts 23 to 28 (draft-ietf-quic-tls-23, 5.2), and Facebook's mvfst built on them.
    Draft23,
    /// Draft 22 (draft-ietf-quic-tls-22, 5.2), and the first mvfst.
    Draft22,
    /// Google QUIC 50: Initials as in the drafts, with Google's own handshake inside.
    GoogleQ050,
    /// Google QUIC with TLS, 50.
    GoogleT050,
    /// Google QUIC with TLS, 51.
    GoogleT051,
}

/// What a long header is, by the type bits of its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PacketType {
    Initial,
    ZeroRtt,
    Handshake,
    Retry,
}

/// The HkdfLabel structures (RFC 8446, 7.1) from which a client's secret becomes keys: two bytes
/// of output length, the label behind its length, an empty context.
pub(super) struct Labels {
    /// The packet protection key, 16 bytes.
    pub(super) key: &'static [u8],
    /// The packet protection IV, 12 bytes.
    pub(super) iv: &'static [u8],
    /// The header protection key, 16 bytes.
    pub(super) header: &'static [u8],
}

/// HkdfLabel of the client's Initial secret, 32 bytes; the same in every version.
pub(super) const CLIENT_LABEL: &[u8] = b"\x00\x20\x0ftls13 client in\x00";

const LABELS_V1: Labels = Labels {
    key: b"\x00\x10\x0etls13 quic key\x00",
    iv: b"\x00\x0c\x0dtls13 quic iv\x00",
    header: b"\x00\x10\x0dtls13 quic hp\x00",
};

const LABELS_V2: Labels = Labels {
    key: b"\x00\x10\x10tls13 quicv2 key\x00",
    iv: b"\x00\x0c\x0ftls13 quicv2 iv\x00",
    header: b"\x00\x10\x0ftls13 quicv2 hp\x00",
};

/// The schemes to try for a version, the likeliest first; never empty.
pub(super) fn schemes(version: u32) -> &'static [Scheme] {
    match known(version) {
        Some(Scheme::V1) => &[Scheme::V1],
        Some(Scheme::V2) => &[Scheme::V2],
        Some(Scheme::V2Draft) => &[Scheme::V2Draft],
        Some(Scheme::Draft29) => &[Scheme::Draft29],
        Some(Scheme::Draft23) => &[Scheme::Draft23],
        Some(Scheme::Draft22) => &[Scheme::Draft22],
        Some(Scheme::GoogleQ050) => &[Scheme::GoogleQ050],
        Some(Scheme::GoogleT050) => &[Scheme::GoogleT050],
        Some(Scheme::GoogleT051) => &[Scheme::GoogleT051],
        None => &[Scheme::V1, Scheme::Draft29],
    }
}

/// The scheme of a version that is known by its number.
pub(super) fn known(version: u32) -> Option<Scheme> {
    Some(match version {
        0x0000_0001 | 0xff00_0021..=0xff00_0022 => Scheme::V1,
        0x6b33_43cf => Scheme::V2,
        0x709a_50c4 => Scheme::V2Draft,
        0xff00_001d..=0xff00_0020 => Scheme::Draft29,
        0xff00_0017..=0xff00_001c | 0xface_b002 | 0xface_b00e => Scheme::Draft23,
        0xff00_0016 | 0xface_b001 => Scheme::Draft22,
        0x5130_3530 => Scheme::GoogleQ050,
        0x5430_3530 => Scheme::GoogleT050,
        0x5430_3531 => Scheme::GoogleT051,
        _ => return None,
    })
}

/// The type of a long header with this version and first byte (RFC 9000, 17.2; RFC 9369, 3.2).
pub(super) fn packet_type(version: u32, first: u8) -> PacketType {
    let version_2 = matches!(known(version), Some(Scheme::V2 | Scheme::V2Draft));
    // Version 2 counts the same four types one further.
    match (first >> 4 & 3).wrapping_sub(u8::from(version_2)) & 3 {
        0 => PacketType::Initial,
        1 => PacketType::ZeroRtt,
        2 => PacketType::Handshake,
        _ => PacketType::Retry,
    }
}

impl Scheme {
    /// The salt from which a connection id becomes the Initial secret.
    pub(super) fn salt(self) -> &'static [u8; 20] {
        match self {
            Scheme::V1 => &[
                0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8,
                0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a,
            ],
            Scheme::V2 => &[
                0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26,
                0x9d, 0xcb, 0xf9, 0xbd, 0x2e, 0xd9,
            ],
            Scheme::V2Draft => &[
                0xa7, 0x07, 0xc2, 0x03, 0xa5, 0x9b, 0x47, 0x18, 0x4a, 0x1d, 0x62, 0xca, 0x57, 0x04,
                0x06, 0xea, 0x7a, 0xe3, 0xe5, 0xd3,
            ],
            Scheme::Draft29 => &[
                0xaf, 0xbf, 0xec, 0x28, 0x99, 0x93, 0xd2, 0x4c, 0x9e, 0x97, 0x86, 0xf1, 0x9c, 0x61,
                0x11, 0xe0, 0x43, 0x90, 0xa8, 0x99,
            ],
            Scheme::Draft23 => &[
                0xc3, 0xee, 0xf7, 0x12, 0xc7, 0x2e, 0xbb, 0x5a, 0x11, 0xa7, 0xd2, 0x43, 0x2b, 0xb4,
                0x63, 0x65, 0xbe, 0xf9, 0xf5, 0x02,
            ],
            Scheme::Draft22 => &[
                0x7f, 0xbc, 0xdb, 0x0e, 0x7c, 0x66, 0xbb, 0xe9, 0x19, 0x3a, 0x96, 0xcd, 0x21, 0x51,
                0x9e, 0xbd, 0x7a, 0x02, 0x64, 0x4a,
            ],
            Scheme::GoogleQ050 => &[
                0x50, 0x45, 0x74, 0xef, 0xd0, 0x66, 0xfe, 0x2f, 0x9d, 0x94, 0x5c, 0xfc, 0xdb, 0xd3,
                0xa7, 0xf0, 0xd3, 0xb5, 0x6b, 0x45,
            ],
            Scheme::GoogleT050 => &[
                0x7f, 0xf5, 0x79, 0xe5, 0xac, 0xd0, 0x72, 0x91, 0x55, 0x80, 0x30, 0x4c, 0x43, 0xa2,
                0x36, 0x7c, 0x60, 0x48, 0x83, 0x10,
            ],
            Scheme::GoogleT051 => &[
                0x7a, 0x4e, 0xde, 0xf4, 0xe7, 0xcc, 0xee, 0x5f, 0xa4, 0x50, 0x6c, 0x19, 0x12, 0x4f,
                0xc8, 0xcc, 0xda, 0x6e, 0x03, 0x3d,
            ],
        }
    }

    /// Whether frames have the types of Google QUIC 50 and 51.
    pub(super) fn is_google(self) -> bool {
        matches!(self, Scheme::GoogleQ050 | Scheme::GoogleT050 | Scheme::GoogleT051)
    }

    /// The labels by which the client's secret becomes keys.
    pub(super) fn labels(self) -> &'static Labels {
        match self {
            Scheme::V2 | Scheme::V2Draft => &LABELS_V2,
            _ => &LABELS_V1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_types_of_version_2_are_one_further() {
        for (first, one, two) in [
            (0xc0, PacketType::Initial, PacketType::Retry),
            (0xd0, PacketType::ZeroRtt, PacketType::Initial),
            (0xe0, PacketType::Handshake, PacketType::ZeroRtt),
            (0xf0, PacketType::Retry, PacketType::Handshake),
        ] {
            assert_eq!(packet_type(1, first), one);
            assert_eq!(packet_type(0x6b33_43cf, first), two);
        }
    }

    #[test]
    fn labels_state_their_own_lengths() {
        for label in [
            (CLIENT_LABEL, 32),
            (LABELS_V1.key, 16),
            (LABELS_V1.iv, 12),
            (LABELS_V1.header, 16),
            (LABELS_V2.key, 16),
            (LABELS_V2.iv, 12),
            (LABELS_V2.header, 16),
        ] {
            let (bytes, output) = label;
            assert_eq!(bytes[..2], [0, output]);
            assert_eq!(bytes[2] as usize, bytes.len() - 4);
            assert_eq!(bytes.last(), Some(&0));
        }
    }

    #[test]
    fn an_unknown_version_is_tried_as_version_1_and_draft_29() {
        assert_eq!(schemes(0x1a2a_3a4a), [Scheme::V1, Scheme::Draft29]);
        assert_eq!(schemes(0xff00_001d), [Scheme::Draft29]);
        assert_eq!(schemes(0xff00_001b), [Scheme::Draft23]);
    }
}
