//! Cisco AnyConnect over DTLS, and OpenConnect, which is compatible with it.
//!
//! Its older dialect has a version of its own in every record, 1.0 as major and minor (OpenSSL's
//! `DTLS1_BAD_VER`), which nothing else speaks. The newer one is plain DTLS 1.2 and is not told
//! from other DTLS; its TLS connection is known by name.

use super::Datagram;

const HANDSHAKE: u8 = 22;
const VERSION: [u8; 2] = [1, 0];
/// Record header, and the kind of the first message.
const HEADER_LENGTH: usize = 13;
/// ClientHello, ServerHello, HelloVerifyRequest.
const HELLOS: std::ops::RangeInclusive<u8> = 1..=3;

/// Whether a datagram is a record with a hello of that dialect.
pub(super) fn is_handshake(datagram: &Datagram<'_>) -> bool {
    let Some(header) = datagram.array::<14>(0) else { return false };
    let [kind, major, minor, epoch @ .., high, low, message] = header;
    let [epoch_high, epoch_low, ..] = epoch;
    let length = usize::from(u16::from_be_bytes([high, low]));
    kind == HANDSHAKE
        && [major, minor] == VERSION
        && [epoch_high, epoch_low] == [0, 0]
        && HELLOS.contains(&message)
        && (1..=datagram.length.saturating_sub(HEADER_LENGTH)).contains(&length)
}

#[cfg(test)]
mod tests {
    use super::super::TunnelProtocol;
    use super::super::testing::{bytes_of, run, whole};

    #[test]
    fn the_version_tells() {
        // A HelloVerifyRequest of nDPI's capture anyconnect-vpn.pcap.
        let hello = bytes_of(
            "16 0100 0000 000000000000 0023 03 000017 0000 000000 000017 0100 14 \
             6291bcf11a76eec56236218cac4cd4c37c12411d",
        );
        let found = Some((TunnelProtocol::AnyConnect, None, 0));
        assert_eq!(run(&[(1, whole(&hello))]), found);
        for (at, value) in [(0, 23), (1, 0xfe), (2, 0xff), (4, 1), (11, 1), (13, 4)] {
            let mut other = hello.clone();
            other[at] = value;
            assert_eq!(run(&[(1, whole(&other))]), None, "{at}");
        }
        assert_eq!(run(&[(1, whole(&hello[..13]))]), None);
    }
}
