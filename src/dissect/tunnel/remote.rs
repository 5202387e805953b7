//! Control of a computer from afar: Remote Desktop ([MS-RDPBCGR]), VNC (RFC 6143), TeamViewer and
//! AnyDesk where they speak their own protocols. Other products are known by name.

use memchr::memmem;

use super::{Datagram, Recognised, TunnelProtocol};
use crate::dissect::Progress;

/// TPKT and the fixed part of X.224's connection request or confirm ([MS-RDPBCGR] 2.2.1.1).
const X224_LENGTH: usize = 11;
const CONNECTION_REQUEST: u8 = 0xe0;
/// Where TeamViewer's commands begin, and the bytes before a command's content.
const COMMAND_MAGIC: [u8; 2] = [0x17, 0x24];
const COMMAND_HEADER_LENGTH: usize = 5;
/// The longest first command that is waited for.
const COMMAND_LENGTH_MAX: usize = 1024;
/// Where a command begins in a datagram of TeamViewer, behind a number and what keeps order.
const COMMAND_OFFSET: usize = 11;
/// Datagrams of a flow with the magic there. Their first byte is zero, too.
const COMMANDS_MIN: u8 = 3;
/// Common names (RFC 5280, 4.1.2.4: attribute type, UTF8String, length) of AnyDesk's own authority and
/// of its clients.
const ANYDESK_COMMON_NAMES: [&[u8]; 2] =
    [b"\x06\x03\x55\x04\x03\x0c\x0eAnyNet Root CA", b"\x06\x03\x55\x04\x03\x0c\x0eAnyDesk Client"];
/// The type of TLS records that hold handshake messages (RFC 8446, 5.1).
const HANDSHAKE: u8 = 22;
/// How AnyDesk's ALPN begins; behind it are version and system.
const ANYDESK: &str = "anydesk/";

/// Whether a connection request or confirm of X.224, with its TPKT, negotiates Remote Desktop: other
/// protocols have the same envelope.
pub(crate) fn is_remote_desktop(packet: &[u8]) -> bool {
    let is_request = packet.get(5) == Some(&CONNECTION_REQUEST);
    let Some(content) = packet.get(X224_LENGTH..) else { return false };
    if is_request && content.starts_with(b"Cookie: msts") {
        return true; // "mstshash=" and a name, or "msts=" and a number.
    }
    // RDP_NEG_REQ; RDP_NEG_RSP and RDP_NEG_FAILURE: kind, flags, a length of eight.
    match *content {
        [1, _, 8, 0, ..] => is_request,
        [2 | 3, _, 8, 0, ..] => !is_request,
        _ => false,
    }
}

/// Whether a line, without its end, is VNC's greeting (RFC 6143, 7.1.1).
pub(super) fn is_vnc_banner(line: &[u8]) -> bool {
    let Some(version) = line.strip_prefix(b"RFB ") else { return false };
    let is_digit = |at: usize| version.get(at).is_some_and(u8::is_ascii_digit);
    version.len() == 7
        && version.get(3) == Some(&b'.')
        && [0, 1, 2, 4, 5, 6].into_iter().all(is_digit)
}

/// Whether a stream begins with a command of TeamViewer and another behind it: its magic, kind, a
/// length with the low byte first. As an error, how many bytes would tell.
pub(crate) fn teamviewer_command(bytes: &[u8]) -> Result<bool, usize> {
    let begins = |bytes: &[u8]| bytes.iter().zip(&COMMAND_MAGIC).all(|(byte, known)| byte == known);
    if !begins(bytes) {
        return Ok(false);
    }
    let &[_, _, kind, low, high, ..] = bytes else { return Err(COMMAND_HEADER_LENGTH) };
    let length = COMMAND_HEADER_LENGTH + usize::from(u16::from_le_bytes([low, high]));
    if !(1..0x80).contains(&kind) || length > COMMAND_LENGTH_MAX {
        return Ok(false);
    }
    let end = length + COMMAND_MAGIC.len();
    bytes.get(length..end).map(begins).ok_or(end)
}

/// Whether all that a stream had is one command of TeamViewer.
pub(crate) fn is_teamviewer_command(bytes: &[u8]) -> bool {
    bytes.len() >= COMMAND_HEADER_LENGTH
        && teamviewer_command(bytes) == Err(bytes.len() + COMMAND_MAGIC.len())
}

/// Whether a datagram has a command of TeamViewer where it would be.
pub(super) fn may_be_command(datagram: &Datagram<'_>) -> bool {
    datagram.bytes.first() == Some(&0) && datagram.array(COMMAND_OFFSET) == Some(COMMAND_MAGIC)
}

/// Datagrams of a flow that had one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Commands(u8);

impl Commands {
    /// Takes a datagram of either side.
    pub(super) fn datagram(&mut self, datagram: &Datagram<'_>) -> Progress<Recognised> {
        if !may_be_command(datagram) {
            return Progress::Reject(None);
        }
        self.0 += 1;
        if self.0 < COMMANDS_MIN {
            return Progress::Incomplete;
        }
        Progress::Complete(Recognised { protocol: TunnelProtocol::TeamViewer, client: None })
    }
}

/// Whether an application protocol that a hello offers is AnyDesk's.
pub(crate) fn is_anydesk(protocol: &str) -> bool {
    protocol.starts_with(ANYDESK)
}

/// Whether a server's first messages have a certificate of AnyDesk: a relay's, or that of a computer
/// which is reached without one.
pub(crate) fn is_anydesk_server(bytes: &[u8]) -> bool {
    shows_more_than_hello(bytes) && has_anydesk_certificate(bytes)
}

fn has_anydesk_certificate(bytes: &[u8]) -> bool {
    ANYDESK_COMMON_NAMES.iter().any(|name| memmem::find(bytes, name).is_some())
}

/// Whether a ServerHello in a record of its own is followed by another handshake message that can be
/// read: from TLS 1.3 on none is (RFC 8446, 2).
fn shows_more_than_hello(bytes: &[u8]) -> bool {
    let &[HANDSHAKE, _, _, high, low, _, first, second, third, ..] = bytes else { return false };
    let record_end = 5 + usize::from(u16::from_be_bytes([high, low]));
    let message_end = 9 + u32::from_be_bytes([0, first, second, third]) as usize;
    message_end < record_end || bytes.get(record_end) == Some(&HANDSHAKE)
}

#[cfg(test)]
mod tests {
    use super::super::testing::bytes_of;
    use super::*;

    #[test]
    fn remote_desktop_negotiates() {
        let cookie = [&bytes_of("03000025 20 e0 0000 0000 00")[..], b"Cookie: mstshash=anna\r\n"];
        assert!(is_remote_desktop(&cookie.concat()));
        let request = bytes_of("03000013 0e e0 0000 0000 00 01 00 0800 03000000");
        let confirm = bytes_of("03000013 0e d0 0000 1234 00 02 1f 0800 02000000");
        assert!(is_remote_desktop(&request));
        assert!(is_remote_desktop(&confirm));
        // S7 in the same envelope: sizes and selectors.
        assert!(!is_remote_desktop(&bytes_of(
            "03000016 11 e0 0000 0014 00 c1020600 c2020600 c0010a"
        )));
        assert!(!is_remote_desktop(&request[..11]));
    }

    #[test]
    fn a_greeting_of_vnc_has_two_numbers() {
        assert!(is_vnc_banner(b"RFB 003.008"));
        assert!(is_vnc_banner(b"RFB 004.001"));
        for other in
            [&b"RFB 3.8"[..], b"RFB 003.00a", b"RFB 003 008", b"RFB 003.0081", b"RFC 003.008"]
        {
            assert!(!is_vnc_banner(other));
        }
    }

    #[test]
    fn commands_of_teamviewer_follow_each_other() {
        let ping = bytes_of("1724 10 0400 88138000");
        assert!(is_teamviewer_command(&ping));
        assert!(!is_teamviewer_command(&[&ping[..], b"\x17"].concat()));
        assert!((0..ping.len()).all(|end| !is_teamviewer_command(&ping[..end])));
        assert_eq!(teamviewer_command(&[&ping[..], &ping].concat()), Ok(true));
        assert_eq!(teamviewer_command(&[&ping[..], b"\x17\x03\x03"].concat()), Ok(false));
        for end in 1..ping.len() {
            assert_eq!(
                teamviewer_command(&ping[..end]),
                Err(if end < 5 { 5 } else { 11 }),
                "{end}"
            );
        }
        assert_eq!(teamviewer_command(b"\x17\x03\x03\0\x20"), Ok(false));
        assert_eq!(teamviewer_command(b"\x17\x24\x10\xff\xff"), Ok(false));
    }

    #[test]
    fn datagrams_of_teamviewer_have_the_magic_in_one_place() {
        use super::super::testing::{run, whole};
        let one = bytes_of("00 01 0000 00000000 000000 1724 10 0400 88138000");
        let found = Some((TunnelProtocol::TeamViewer, None, 2));
        assert_eq!(run(&[(0, whole(&one)), (1, whole(&one)), (0, whole(&one))]), found);
        assert_eq!(run(&[(0, whole(&one)), (1, whole(&one))]), None);
        for at in [0, 11, 12] {
            let mut other = one.clone();
            other[at] ^= 1;
            let shown = [&one, &other, &one, &one].map(|bytes| (0, whole(bytes)));
            assert_eq!(run(&shown), None, "{at}");
        }
        assert!((0..13).all(|end| !may_be_command(&whole(&one[..end]))));
    }

    #[test]
    fn anydesk_says_its_name() {
        assert!(is_anydesk("anydesk/6.2.0/li"));
        assert!(!is_anydesk("h2"));
    }

    #[test]
    fn certificates_of_anydesk_have_their_issuer_or_their_owner() {
        let attribute = |kind: u8, name: &str| {
            [&[6, 3, 0x55, 4, kind, 12, name.len() as u8][..], name.as_bytes()].concat()
        };
        for name in ["AnyNet Root CA", "AnyDesk Client"] {
            assert!(has_anydesk_certificate(&[b"x", &attribute(3, name)[..], b"y"].concat()));
            assert!(!has_anydesk_certificate(name.as_bytes()));
            assert!(!has_anydesk_certificate(&attribute(10, name)), "an organisation");
            assert!(!has_anydesk_certificate(&attribute(3, &name.to_lowercase())));
        }
    }
}
