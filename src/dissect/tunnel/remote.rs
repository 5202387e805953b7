//! Control of a computer from afar: Remote Desktop ([MS-RDPBCGR]), VNC (RFC 6143), TeamViewer and
//! AnyDesk where they speak their own protocols. Other products are known by name.

/// TPKT and the fixed part of X.224's connection request or confirm ([MS-RDPBCGR] 2.2.1.1).
const X224_LENGTH: usize = 11;
const CONNECTION_REQUEST: u8 = 0xe0;
/// Where TeamViewer's commands begin, and the bytes before a command's content.
const COMMAND_MAGIC: [u8; 2] = [0x17, 0x24];
const COMMAND_HEADER_LENGTH: usize = 5;
/// The longest first command that is waited for.
const COMMAND_LENGTH_MAX: usize = 1024;
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

/// Whether an application protocol that a hello offers is AnyDesk's.
pub(crate) fn is_anydesk(protocol: &str) -> bool {
    protocol.starts_with(ANYDESK)
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
    fn anydesk_says_its_name() {
        assert!(is_anydesk("anydesk/6.2.0/li"));
        assert!(!is_anydesk("h2"));
    }
}
