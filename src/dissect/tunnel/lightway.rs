//! Lightway over UDP (`he_wire_hdr_t` in the sources of Lightway Core): sixteen bytes in the clear
//! before each record of DTLS. Over TCP it is TLS, and is known by name.

use super::Datagram;

const MAGIC: [u8; 2] = *b"He";
const MAJOR_VERSION: u8 = 1;
/// Minor versions that have been spoken, with room for some to come.
const MINOR_VERSION_MAX: u8 = 7;
const HEADER_LENGTH: usize = 16;
/// Kinds of records in the clear, change cipher spec to application data; and the bits with which the
/// short header of an encrypted one begins (RFC 9147, 4).
const RECORDS: std::ops::RangeInclusive<u8> = 20..=26;
const UNIFIED_MASK: u8 = 0xe0;
const UNIFIED: u8 = 0x20;

/// Whether a datagram is one of Lightway.
pub(super) fn is_packet(datagram: &Datagram<'_>) -> bool {
    let Some([a, b, major, minor, aggressive, 0, 0, 0]) = datagram.array(0) else { return false };
    let Some([kind, version_major, version_minor]) = datagram.array(HEADER_LENGTH) else {
        return false;
    };
    // DTLS 1.0 and 1.2 (1.3 says 1.2).
    let is_record = RECORDS.contains(&kind) && version_major == 0xfe && version_minor >= 0xfd
        || kind & UNIFIED_MASK == UNIFIED;
    [a, b] == MAGIC
        && major == MAJOR_VERSION
        && minor <= MINOR_VERSION_MAX
        && aggressive <= 1
        && is_record
}

#[cfg(test)]
mod tests {
    use super::super::TunnelProtocol;
    use super::super::testing::{bytes_of, run, whole};

    #[test]
    fn the_header_before_a_record_tells() {
        let hello =
            bytes_of("4865 01 00 00 000000 0000000000000000 16fefd 0000 000000000000 0040 01");
        let found = Some((TunnelProtocol::Lightway, None, 0));
        assert_eq!(run(&[(0, whole(&hello))]), found);
        let data = bytes_of("4865 01 01 01 000000 5a01c3d4e5f60718 2f 0102 0040 8899aabb");
        assert_eq!(run(&[(1, whole(&data))]), found);
        for (at, value) in [(0, 0x49), (1, 0), (2, 2), (3, 8), (4, 2), (5, 1), (7, 9), (16, 27)] {
            let mut other = hello.clone();
            other[at] = value;
            assert_eq!(run(&[(0, whole(&other))]), None, "{at}");
        }
        for end in 0..19 {
            assert_eq!(run(&[(0, whole(&hello[..end]))]), None, "{end}");
        }
    }
}
