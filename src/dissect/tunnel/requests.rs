//! Requests of HTTP that begin a tunnel, where they can be read: in clear text, or where a proxy
//! takes TLS off in front of the sensor.
//!
//! MASQUE is known by what it asks to be upgraded to (RFC 9298, 3.2; RFC 9484, 4.2; the drafts
//! draft-ietf-httpbis-connect-tcp and draft-ietf-masque-connect-ethernet), whatever its target is;
//! VPNs over HTTPS by a method or a path of their own; Chisel by its subprotocol of WebSocket.

use super::{TunnelProtocol, tor};

/// What is to be upgraded to.
const MASQUE_PROTOCOLS: [&[u8]; 4] =
    [b"connect-udp", b"connect-ip", b"connect-tcp", b"connect-ethernet"];

/// Methods and beginnings of targets that one product asks for.
const REQUESTS: [(&[u8], &[u8], TunnelProtocol); 6] = [
    // [MS-SSTP] 3.2.4.1.
    (b"SSTP_DUPLEX_POST", b"/sra_{", TunnelProtocol::Sstp),
    // `Cedar/Protocol.h` of SoftEther VPN.
    (b"POST", b"/vpnsvc/connect.cgi", TunnelProtocol::SoftEther),
    (b"POST", b"/vpnsvc/vpn.cgi", TunnelProtocol::SoftEther),
    // As OpenConnect asks them (`cstp.c`, `fortinet.c`, `gpst.c`).
    (b"CONNECT", b"/CSCOSSLC/tunnel", TunnelProtocol::AnyConnect),
    (b"GET", b"/remote/sslvpn-tunnel", TunnelProtocol::Fortinet),
    (b"GET", b"/ssl-tunnel-connect.sslvpn", TunnelProtocol::GlobalProtect),
];

/// Which tunnel a request begins, by its method and target; a question to a directory of Tor is one.
pub(crate) fn of_request(method: &[u8], target: &[u8]) -> Option<TunnelProtocol> {
    let known =
        REQUESTS.iter().find(|(known, path, _)| *known == method && target.starts_with(path));
    if let Some((.., protocol)) = known {
        return Some(*protocol);
    }
    match method {
        b"GET" | b"POST" if tor::is_target(target) => Some(TunnelProtocol::Tor),
        _ => None,
    }
}

/// Which tunnel a connection is to become where the server agrees, by the protocols of `Upgrade` (RFC 9110, 7.8) or by
/// `:protocol` (RFC 8441, 4).
pub(crate) fn of_upgrade(value: &[u8]) -> Option<TunnelProtocol> {
    value.split(|&byte| byte == b',').find_map(|protocol| {
        let protocol = protocol.trim_ascii();
        if MASQUE_PROTOCOLS.iter().any(|known| protocol.eq_ignore_ascii_case(known)) {
            Some(TunnelProtocol::Masque)
        } else if protocol.starts_with(b"IF-T/TLS") {
            Some(TunnelProtocol::Pulse)
        } else {
            None
        }
    })
}

/// Whether an application protocol that a hello offers is Hysteria's, of its first version; its second
/// one says that it is HTTP/3.
pub(crate) fn is_hysteria(protocol: &str) -> bool {
    protocol == "hysteria"
}

/// Which tunnel a WebSocket carries, by its subprotocols (RFC 6455, 11.3.4).
pub(crate) fn of_subprotocol(value: &[u8]) -> Option<TunnelProtocol> {
    let is_chisel = value.split(|&byte| byte == b',').any(|one| {
        one.trim_ascii()
            .strip_prefix(b"chisel-v")
            .is_some_and(|version| !version.is_empty() && version.iter().all(u8::is_ascii_digit))
    });
    is_chisel.then_some(TunnelProtocol::Chisel)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_known_by_method_and_target() {
        let of = |line: &str| {
            let (method, target) = line.split_once(' ').unwrap();
            of_request(method.as_bytes(), target.as_bytes()).map(TunnelProtocol::as_str)
        };
        assert_eq!(of("GET /tor/status-vote/current/consensus.z"), Some("tor"));
        let sstp = "/sra_{BA195980-CD49-458b-9E23-C84EE0ADCD75}/";
        assert_eq!(of(&format!("SSTP_DUPLEX_POST {sstp}")), Some("sstp"));
        assert_eq!(of("POST /vpnsvc/connect.cgi"), Some("softether"));
        assert_eq!(of("CONNECT /CSCOSSLC/tunnel"), Some("anyconnect"));
        assert_eq!(of("GET /remote/sslvpn-tunnel"), Some("fortinet"));
        assert_eq!(of("GET /ssl-tunnel-connect.sslvpn?user=x"), Some("globalprotect"));
        for other in [
            "GET /tor/",
            "GET /torrents/",
            "GET /.well-known/masque/udp/192.0.2.6/443/",
            &format!("POST {sstp}"),
            "GET /vpnsvc/connect.cgi",
            "CONNECT tunnel.example:443",
            "GET /remote/login",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn upgrades_and_subprotocols_are_known_among_others() {
        let masque = ["connect-udp", "Connect-UDP", "websocket, connect-ip", "connect-tcp"];
        for value in masque.into_iter().chain(["connect-ethernet"]) {
            assert_eq!(of_upgrade(value.as_bytes()), Some(TunnelProtocol::Masque), "{value}");
        }
        assert_eq!(of_upgrade(b"IF-T/TLS 1.0"), Some(TunnelProtocol::Pulse));
        for value in ["websocket", "connect-udp2", "h2c", ""] {
            assert_eq!(of_upgrade(value.as_bytes()), None, "{value}");
        }
        assert_eq!(of_subprotocol(b"chat, chisel-v3"), Some(TunnelProtocol::Chisel));
        for value in ["chat", "chisel-v", "chisel-vx", "my-chisel-v3"] {
            assert_eq!(of_subprotocol(value.as_bytes()), None, "{value}");
        }
    }
}
