//! Cisco AnyConnect over DTLS, and OpenConnect, which is compatible with it.
//!
//! Its older dialect has a version of its own in every record, 1.0 as major and minor (OpenSSL's
//! `DTLS1_BAD_VER`), which nothing else speaks. The newer one is plain DTLS 1.2 and is not told
//! from other DTLS; its TLS connection is known by name.

use super::Datagram;

const CHANGE_CIPHER_SPEC: u8 = 20;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
/// Keys of one connection, one after the other.
const EPOCH_MAX: u8 = 15;
const VERSION: [u8; 2] = [1, 0];
/// Record header, and the kind of the first message.
const HEADER_LENGTH: usize = 13;
/// ClientHello, ServerHello, HelloVerifyRequest.
const HELLOS: std::ops::RangeInclusive<u8> = 1..=3;

/// Whether a datagram begins with a record of that dialect: with a hello, or, once it is encrypted,
/// one that is as long as the datagram.
pub(super) fn is_record(datagram: &Datagram<'_>) -> bool {
    let Some(header) = datagram.array::<14>(0) else { return false };
    let [kind, major, minor, epoch @ .., high, low, message] = header;
    let [epoch_high, epoch_low, ..] = epoch;
    let length = usize::from(u16::from_be_bytes([high, low]));
    let room = datagram.length.saturating_sub(HEADER_LENGTH);
    if [major, minor] != VERSION || epoch_high != 0 {
        return false;
    }
    match (kind, epoch_low) {
        (HANDSHAKE, 0) => HELLOS.contains(&message) && (1..=room).contains(&length),
        (CHANGE_CIPHER_SPEC..=APPLICATION_DATA, 1..=EPOCH_MAX) => length == room,
        _ => false,
    }
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
        for (at, value) in [(0, 23), (1, 0xfe), (2, 0xff), (3, 1), (11, 1), (13, 4)] {
            let mut other = hello.clone();
            other[at] = value;
            assert_eq!(run(&[(1, whole(&other))]), None, "{at}");
        }
        assert_eq!(run(&[(1, whole(&hello[..13]))]), None);

        let mut data = bytes_of("17 0100 0001 000000000005 0040");
        data.resize(13 + 64, 0x5c);
        assert_eq!(run(&[(1, whole(&data))]), found);
        for (at, value) in [(0, 24), (1, 0xfe), (4, 0), (4, 16), (12, 0x41)] {
            let mut other = data.clone();
            other[at] = value;
            assert_eq!(run(&[(1, whole(&other))]), None, "{at}");
        }
    }
}
