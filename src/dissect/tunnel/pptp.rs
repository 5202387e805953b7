//! PPTP's control connection (RFC 2637, 2.1 and 2.2): a start request or its reply.

/// Start-Control-Connection-Request and -Reply are equally long.
const LENGTH: u16 = 156;
const MAGIC_COOKIE: [u8; 4] = [0x1a, 0x2b, 0x3c, 0x4d];

/// Length, message type, cookie, control message type: 1 is the request, 2 the reply.
pub(crate) const START_LENGTH: usize = 10;

/// Whether a stream begins with a start request or reply, or may go on to.
pub(crate) fn may_be_start(bytes: &[u8]) -> bool {
    let [high, low] = LENGTH.to_be_bytes();
    let [a, b, c, d] = MAGIC_COOKIE;
    let expected = [high, low, 0, 1, a, b, c, d, 0];
    bytes.iter().zip(&expected).all(|(byte, expected)| byte == expected)
        && matches!(bytes.get(expected.len()), None | Some(1 | 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_tells() {
        let request = [0, 156, 0, 1, 0x1a, 0x2b, 0x3c, 0x4d, 0, 1];
        assert!(may_be_start(&request));
        assert_eq!(request.len(), START_LENGTH);
        for at in 0..request.len() {
            let mut other = request;
            other[at] ^= 0x40;
            assert!(!may_be_start(&other), "{at}");
            assert!(may_be_start(&request[..at]));
        }
    }
}
