//! Devices that show themselves on the link: ARP (RFC 826) and DHCP (RFC 2131).
//!
//! Says which address a message proves to be in use. Whoever shows itself so and in no other way
//! is a device of whose traffic nothing is seen. Reads no names and no options.

use super::reader::Reader;
use crate::net::{Address, Mac};

/// The ports of servers and clients (RFC 2131, 4.1).
pub const DHCP_PORTS: [u16; 2] = [67, 68];

/// Both addresses of Ethernet.
const LINK_ADDRESSES_LENGTH: usize = 12;
const TYPE_ARP: u16 = 0x0806;
/// IEEE 802.1Q and 802.1ad.
const TYPE_TAGS: [u16; 2] = [0x8100, 0x88a8];
/// Ethernet, IPv4, lengths of their addresses.
const ARP_KINDS: [u8; 6] = [0, 1, 8, 0, 6, 4];

/// The sender's address in a frame of Ethernet with ARP in it, and the link address that it says it
/// has; none of who only asks whether an address is free (RFC 5227, 2.1.1).
pub fn arp_sender(frame: &[u8]) -> Option<(Address, Mac)> {
    let mut reader = Reader::new(frame);
    reader.take(LINK_ADDRESSES_LENGTH)?;
    let mut kind = reader.u16()?;
    while TYPE_TAGS.contains(&kind) {
        reader.take(2)?;
        kind = reader.u16()?;
    }
    if kind != TYPE_ARP || reader.take(ARP_KINDS.len())? != ARP_KINDS {
        return None;
    }
    let operation = reader.u16()?;
    let link: [u8; 6] = reader.take(6)?.try_into().ok()?;
    let sender: [u8; 4] = reader.take(4)?.try_into().ok()?;
    let is_sender = matches!(operation, 1 | 2) && sender != [0; 4];
    is_sender.then(|| (Address::v4(sender), Mac(link)))
}

/// The address that a DHCP message says a client has, or is given.
pub fn dhcp_client(message: &[u8]) -> Option<Address> {
    const COOKIE: [u8; 4] = [0x63, 0x82, 0x53, 0x63];
    const COOKIE_OFFSET: usize = 236;
    let mut reader = Reader::new(message);
    let operation = reader.u8()?;
    reader.take(11)?; // To the end of the flags.
    let own: [u8; 4] = reader.take(4)?.try_into().ok()?;
    let given: [u8; 4] = reader.take(4)?.try_into().ok()?;
    if !message.get(COOKIE_OFFSET..)?.starts_with(&COOKIE) {
        return None;
    }
    let address = match operation {
        1 => own,
        2 if given != [0; 4] => given,
        2 => own,
        _ => return None,
    };
    (address != [0; 4]).then(|| Address::v4(address))
}

#[cfg(test)]
mod tests {
    use super::super::tunnel::testing::bytes_of;
    use super::*;

    #[test]
    fn arp_tells_its_sender() {
        let request = bytes_of(
            "ffffffffffff 02000a000001 0806 0001 0800 06 04 0001 02000a000001 0a000001 000000000000 0a0000fe",
        );
        let sender = Some((Address::v4([10, 0, 0, 1]), Mac([2, 0, 10, 0, 0, 1])));
        assert_eq!(arp_sender(&request), sender);
        let tagged = [&request[..12], &[0x81, 0, 0, 7], &request[12..]].concat();
        assert_eq!(arp_sender(&tagged), sender);
        for end in 0..32 {
            assert_eq!(arp_sender(&request[..end]), None, "{end}");
        }
        let mut probe = request.clone();
        probe[28..32].fill(0);
        assert_eq!(arp_sender(&probe), None);
        for at in [13, 15, 17, 18, 19, 20] {
            let mut other = request.clone();
            other[at] ^= 0x40;
            assert_eq!(arp_sender(&other), None, "{at}");
        }
    }

    #[test]
    fn dhcp_tells_who_has_or_gets_an_address() {
        let message = |operation: u8, own: [u8; 4], given: [u8; 4]| {
            let mut bytes = vec![0; 240];
            bytes[0] = operation;
            bytes[12..16].copy_from_slice(&own);
            bytes[16..20].copy_from_slice(&given);
            bytes[236..].copy_from_slice(&[0x63, 0x82, 0x53, 0x63]);
            bytes
        };
        let (one, two) = ([10, 0, 0, 1], [10, 0, 0, 2]);
        assert_eq!(dhcp_client(&message(1, one, [0; 4])), Some(Address::v4(one)));
        assert_eq!(dhcp_client(&message(1, [0; 4], two)), None);
        assert_eq!(dhcp_client(&message(2, [0; 4], two)), Some(Address::v4(two)));
        assert_eq!(dhcp_client(&message(2, one, [0; 4])), Some(Address::v4(one)));
        assert_eq!(dhcp_client(&message(3, one, two)), None);
        assert_eq!(dhcp_client(&message(1, one, two)[..239]), None);
    }
}
