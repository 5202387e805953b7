//! SSH (RFC 4253, 4.2): the line with which either side begins, on any port.
//!
//! What a connection is used for (a shell, files, other connections) is encrypted.

/// Whether a line, without its end, is the identification of an SSH implementation.
pub(crate) fn is_banner(line: &[u8]) -> bool {
    let Some(version) = line.strip_prefix(b"SSH-") else { return false };
    // "1.99" is version 2 that also speaks version 1 (RFC 4253, 5.1).
    let Some(software) = version
        .strip_prefix(b"2.0-")
        .or_else(|| version.strip_prefix(b"1.99-"))
        .or_else(|| version.strip_prefix(b"1.5-"))
        .or_else(|| version.strip_prefix(b"1.3-"))
    else {
        return false;
    };
    software.iter().all(|&byte| byte >= b' ' && byte != 0x7f)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn banners_of_versions_1_and_2() {
        assert!(is_banner(b"SSH-2.0-OpenSSH_9.6p1 Ubuntu-3ubuntu13.5"));
        assert!(is_banner(b"SSH-1.99-Cisco-1.25"));
        assert!(is_banner(b"SSH-2.0-"));
        assert!(!is_banner(b"SSH-3.0-x"));
        assert!(!is_banner(b"SSH- what is it?"));
        assert!(!is_banner(b"GET /SSH-2.0-x HTTP/1.1"));
        assert!(!is_banner(b"SSH-2.0-a\x01b"));
    }
}
