//! Tunnels: protocols that carry other traffic where nobody can see it; and protocols by which a
//! computer is controlled from afar, which are told, too, but are nobody's tunnel.
//!
//! Each is known by what it says and never by its port alone; a port is at most one of several
//! signs. One file a protocol. What a single datagram cannot prove is held against what follows
//! ([`Datagrams`]): a reply that names the question, a counter that goes on.
//!
//! Assumes the payloads of one flow, told apart by side, each with its length on the wire; bytes
//! cut off by a snap length cost certainty and nothing else. Does not look inside, and does not
//! know products: that is the catalogue's, by name.

use crate::dissect::Progress;
/// Side 0 or side 1 of a flow: whoever sent its first packet is 0.
pub type Side = usize;

mod anyconnect;
mod esp_in_udp;
mod ike;
mod l2tp;
mod lightway;
mod nebula;
pub mod openvpn;
mod pptp;
mod remote;
mod requests;
mod rustdesk;
mod ssh;
mod tailscale;
mod tinc;
mod tor;
mod wireguard;
mod zerotier;

pub(crate) use ike::STREAM_PREFIX as IKE_OVER_TCP;
pub(crate) use pptp::{START_LENGTH as PPTP_START_LENGTH, may_be_start as may_be_pptp_start};
pub(crate) use remote::{
    is_anydesk, is_anydesk_server, is_remote_desktop, is_teamviewer_command, teamviewer_command,
};
pub(crate) use requests::{is_hysteria, of_request, of_subprotocol, of_upgrade};
pub(crate) use rustdesk::is_relay_request as is_rustdesk_relay_request;
pub use tor::{Oddness, Sign as TorSign, oddness as tor_oddness, of_hello as tor_hello};
pub(crate) use wireguard::is_dressed_as_quic;

/// A protocol by which a flow is known as a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum TunnelProtocol {
    /// WireGuard (Donenfeld, "WireGuard", 5.4).
    WireGuard = 1,
    /// OpenVPN over UDP or TCP, also scrambled.
    OpenVpn = 2,
    /// IKE (RFC 2408, RFC 7296), ESP (RFC 4303), ESP in UDP (RFC 3948), AH (RFC 4302).
    Ipsec = 3,
    /// L2TP (RFC 2661, RFC 3931).
    L2tp = 4,
    /// PPTP (RFC 2637), by its control connection.
    Pptp = 5,
    /// SSH (RFC 4253).
    Ssh = 6,
    /// Tor: a connection to a relay, or a question to a directory.
    Tor = 7,
    /// Tailscale: its disco messages.
    Tailscale = 8,
    /// ZeroTier: its HELLO, or two nodes that name each other in every packet.
    ZeroTier = 9,
    /// Cisco AnyConnect and what is compatible with it, by its dialect of DTLS.
    AnyConnect = 10,
    /// SOCKS 4a and 5 (RFC 1928).
    Socks = 11,
    /// MASQUE's requests in clear text (RFC 9298, RFC 9484).
    Masque = 12,
    /// GRE (RFC 2784) whose content cannot be read.
    Gre = 13,
    /// Remote Desktop ([MS-RDPBCGR]).
    RemoteDesktop = 14,
    /// VNC (RFC 6143).
    Vnc = 15,
    /// TeamViewer, by the commands of its own protocol.
    TeamViewer = 16,
    /// AnyDesk, by what its hello offers to speak.
    AnyDesk = 17,
    /// SSTP ([MS-SSTP]), where its request can be read.
    Sstp = 18,
    /// SoftEther VPN, likewise.
    SoftEther = 19,
    /// FortiGate's VPN over HTTPS, likewise.
    Fortinet = 20,
    /// Palo Alto's GlobalProtect, likewise.
    GlobalProtect = 21,
    /// Pulse, now Ivanti, Connect Secure (IF-T), likewise.
    Pulse = 22,
    /// Chisel, by its subprotocol of WebSocket.
    Chisel = 23,
    /// Hysteria, by what its hello offers to speak.
    Hysteria = 24,
    /// RustDesk, by what it says to its servers.
    RustDesk = 25,
    /// tinc, by its meta connection.
    Tinc = 26,
    /// Nebula.
    Nebula = 27,
    /// ExpressVPN's Lightway over UDP.
    Lightway = 28,
}

impl TunnelProtocol {
    /// Every protocol.
    pub const ALL: [TunnelProtocol; 28] = [
        TunnelProtocol::WireGuard,
        TunnelProtocol::OpenVpn,
        TunnelProtocol::Ipsec,
        TunnelProtocol::L2tp,
        TunnelProtocol::Pptp,
        TunnelProtocol::Ssh,
        TunnelProtocol::Tor,
        TunnelProtocol::Tailscale,
        TunnelProtocol::ZeroTier,
        TunnelProtocol::AnyConnect,
        TunnelProtocol::Socks,
        TunnelProtocol::Masque,
        TunnelProtocol::Gre,
        TunnelProtocol::RemoteDesktop,
        TunnelProtocol::Vnc,
        TunnelProtocol::TeamViewer,
        TunnelProtocol::AnyDesk,
        TunnelProtocol::Sstp,
        TunnelProtocol::SoftEther,
        TunnelProtocol::Fortinet,
        TunnelProtocol::GlobalProtect,
        TunnelProtocol::Pulse,
        TunnelProtocol::Chisel,
        TunnelProtocol::Hysteria,
        TunnelProtocol::RustDesk,
        TunnelProtocol::Tinc,
        TunnelProtocol::Nebula,
        TunnelProtocol::Lightway,
    ];

    /// The word used in every output.
    pub fn as_str(self) -> &'static str {
        match self {
            TunnelProtocol::WireGuard => "wireguard",
            TunnelProtocol::OpenVpn => "openvpn",
            TunnelProtocol::Ipsec => "ipsec",
            TunnelProtocol::L2tp => "l2tp",
            TunnelProtocol::Pptp => "pptp",
            TunnelProtocol::Ssh => "ssh",
            TunnelProtocol::Tor => "tor",
            TunnelProtocol::Tailscale => "tailscale",
            TunnelProtocol::ZeroTier => "zerotier",
            TunnelProtocol::AnyConnect => "anyconnect",
            TunnelProtocol::Socks => "socks",
            TunnelProtocol::Masque => "masque",
            TunnelProtocol::Gre => "gre",
            TunnelProtocol::RemoteDesktop => "rdp",
            TunnelProtocol::Vnc => "vnc",
            TunnelProtocol::TeamViewer => "teamviewer",
            TunnelProtocol::AnyDesk => "anydesk",
            TunnelProtocol::Sstp => "sstp",
            TunnelProtocol::SoftEther => "softether",
            TunnelProtocol::Fortinet => "fortinet",
            TunnelProtocol::GlobalProtect => "globalprotect",
            TunnelProtocol::Pulse => "pulse",
            TunnelProtocol::Chisel => "chisel",
            TunnelProtocol::Hysteria => "hysteria",
            TunnelProtocol::RustDesk => "rustdesk",
            TunnelProtocol::Tinc => "tinc",
            TunnelProtocol::Nebula => "nebula",
            TunnelProtocol::Lightway => "lightway",
        }
    }

    /// Whether a computer is controlled by it, rather than traffic carried: then the bytes stay
    /// where the flow's name puts them.
    pub fn is_remote_access(self) -> bool {
        use TunnelProtocol::{AnyDesk, RemoteDesktop, RustDesk, TeamViewer, Vnc};
        matches!(self, RemoteDesktop | Vnc | TeamViewer | AnyDesk | RustDesk)
    }

    /// A host of the product that alone speaks this protocol: what the catalogue says of it holds for
    /// flows that have no name, or one that the catalogue does not know.
    pub fn host(self) -> Option<&'static str> {
        match self {
            TunnelProtocol::Tailscale => Some("controlplane.tailscale.com"),
            TunnelProtocol::ZeroTier => Some("my.zerotier.com"),
            TunnelProtocol::TeamViewer => Some("router.teamviewer.com"),
            TunnelProtocol::AnyDesk => Some("relay.net.anydesk.com"),
            TunnelProtocol::RustDesk => Some("api.rustdesk.com"),
            _ => None,
        }
    }

    /// The protocol with this number; 0 stands for none.
    pub fn from_number(number: u8) -> Option<TunnelProtocol> {
        TunnelProtocol::ALL.get(usize::from(number).checked_sub(1)?).copied()
    }
}

/// A flow that is a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recognised {
    /// Which one.
    pub protocol: TunnelProtocol,
    /// Which side is the client, where that shows.
    pub client: Option<Side>,
}

/// A datagram of a flow.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// What was captured of its payload.
    pub bytes: &'a [u8],
    /// The length of its payload on the wire, in bytes.
    pub length: usize,
    /// Whether one of its ports is that of IKE behind NAT (RFC 3947), 4500, or GlobalProtect's, 4501.
    pub is_nat_traversal: bool,
    /// Whether one of its ports is ZeroTier's usual one, 9993.
    pub is_zerotier: bool,
}

impl<'a> Datagram<'a> {
    /// `count` bytes at `at`, where they were captured.
    fn array<const COUNT: usize>(&self, at: usize) -> Option<[u8; COUNT]> {
        self.bytes.get(at..)?.first_chunk().copied()
    }

    /// Whether all of it was captured.
    fn is_whole(&self) -> bool {
        self.bytes.len() == self.length
    }
}

/// What is known of a flow of datagrams that may be a tunnel's. Begins with its first datagram that
/// looks like it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Datagrams {
    /// WireGuard.
    WireGuard(wireguard::Handshake),
    /// OpenVPN.
    OpenVpn(openvpn::Handshake),
    /// OpenVPN's data.
    OpenVpnData(openvpn::Counters),
    /// ESP in UDP, or WireGuard on its port, as long as the datagrams have the form.
    NatTraversal(esp_in_udp::Counters, Option<wireguard::Handshake>),
    /// ZeroTier.
    ZeroTier(zerotier::Nodes),
    /// Nebula.
    Nebula(nebula::Packets),
    /// TeamViewer.
    TeamViewer(remote::Commands),
}

impl Datagrams {
    /// Takes the first datagram of a flow of which nothing is known: a tunnel by that alone, perhaps
    /// one (then what to hold the next against), or none.
    pub fn begin(side: Side, datagram: &Datagram<'_>) -> Result<Recognised, Option<Datagrams>> {
        let alone = |protocol| Ok(Recognised { protocol, client: None });
        if let Some(client) = ike::initiator(side, datagram) {
            return Ok(Recognised { protocol: TunnelProtocol::Ipsec, client });
        }
        if tailscale::is_disco(datagram) || tailscale::is_question(datagram) {
            return alone(TunnelProtocol::Tailscale);
        }
        if anyconnect::is_record(datagram) {
            return alone(TunnelProtocol::AnyConnect);
        }
        if l2tp::is_control(datagram) {
            return alone(TunnelProtocol::L2tp);
        }
        if zerotier::is_hello(datagram) {
            return alone(TunnelProtocol::ZeroTier);
        }
        if lightway::is_packet(datagram) {
            return alone(TunnelProtocol::Lightway);
        }
        if rustdesk::is_registration(datagram) {
            return alone(TunnelProtocol::RustDesk);
        }
        let mut known = if datagram.is_nat_traversal {
            let wireguard = wireguard::may_begin(datagram).then(wireguard::Handshake::default);
            Datagrams::NatTraversal(esp_in_udp::Counters::default(), wireguard)
        } else if nebula::may_begin(datagram) {
            Datagrams::Nebula(nebula::Packets::default())
        } else if remote::may_be_command(datagram) {
            Datagrams::TeamViewer(remote::Commands::default())
        } else if wireguard::may_begin(datagram) {
            Datagrams::WireGuard(wireguard::Handshake::default())
        } else if openvpn::may_begin(datagram) {
            Datagrams::OpenVpn(openvpn::Handshake::default())
        } else if openvpn::may_be_data(datagram) {
            Datagrams::OpenVpnData(openvpn::Counters::default())
        } else if datagram.is_zerotier && zerotier::may_be_packet(datagram) {
            Datagrams::ZeroTier(zerotier::Nodes::default())
        } else {
            return Err(None);
        };
        match known.next(side, datagram) {
            Progress::Complete(recognised) => Ok(recognised),
            Progress::Incomplete => Err(Some(known)),
            Progress::Reject(_) => Err(None),
        }
    }

    /// Takes the next datagram.
    pub fn next(&mut self, side: Side, datagram: &Datagram<'_>) -> Progress<Recognised> {
        match self {
            Datagrams::WireGuard(handshake) => handshake.datagram(side, datagram),
            Datagrams::OpenVpn(handshake) => {
                let Some(packet) = openvpn::Packet::of(datagram) else {
                    return Progress::Reject(None);
                };
                handshake.packet(side, packet, datagram.bytes)
            }
            Datagrams::OpenVpnData(counters) => counters.datagram(side, datagram),
            Datagrams::ZeroTier(nodes) => nodes.datagram(side, datagram),
            Datagrams::Nebula(packets) => packets.datagram(side, datagram),
            Datagrams::TeamViewer(commands) => commands.datagram(datagram),
            Datagrams::NatTraversal(counters, wireguard) => {
                // The negotiation may come late.
                if let Some(client) = ike::initiator(side, datagram) {
                    let protocol = TunnelProtocol::Ipsec;
                    return Progress::Complete(Recognised { protocol, client });
                }
                // The type of a message is an index of ESP, the index of data a number that stays.
                match wireguard.as_mut().map(|handshake| handshake.datagram(side, datagram)) {
                    Some(Progress::Complete(recognised)) => return Progress::Complete(recognised),
                    Some(Progress::Reject(_)) => *wireguard = None,
                    _ => {}
                }
                match counters.datagram(side, datagram) {
                    Progress::Reject(_) if wireguard.is_some() => Progress::Incomplete,
                    told => told,
                }
            }
        }
    }
}

/// Which protocol a line, without its end, is the greeting of.
pub(crate) fn of_line(line: &[u8]) -> Option<TunnelProtocol> {
    match line {
        [b'S', ..] => ssh::is_banner(line).then_some(TunnelProtocol::Ssh),
        [b'0', ..] => tinc::is_id(line).then_some(TunnelProtocol::Tinc),
        [b'R', ..] => remote::is_vnc_banner(line).then_some(TunnelProtocol::Vnc),
        _ => None,
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    pub(crate) fn bytes_of(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        let byte =
            |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        digits.chunks(2).map(byte).collect()
    }

    pub(crate) fn whole(bytes: &[u8]) -> Datagram<'_> {
        Datagram { bytes, length: bytes.len(), is_nat_traversal: false, is_zerotier: false }
    }

    pub(crate) fn nat_traversal(bytes: &[u8]) -> Datagram<'_> {
        Datagram { is_nat_traversal: true, ..whole(bytes) }
    }

    /// What a flow of datagrams comes to, and with which of them (from 0).
    pub(crate) fn run(
        datagrams: &[(Side, Datagram<'_>)],
    ) -> Option<(TunnelProtocol, Option<Side>, usize)> {
        let mut known: Option<Datagrams> = None;
        for (index, (side, datagram)) in datagrams.iter().enumerate() {
            let found = match &mut known {
                Some(state) => match state.next(*side, datagram) {
                    Progress::Complete(found) => Some(found),
                    Progress::Incomplete => None,
                    Progress::Reject(_) => {
                        known = None;
                        None
                    }
                },
                None => match Datagrams::begin(*side, datagram) {
                    Ok(found) => Some(found),
                    Err(state) => {
                        known = state;
                        None
                    }
                },
            };
            if let Some(found) = found {
                return Some((found.protocol, found.client, index));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::testing::{run, whole};
    use super::*;

    #[test]
    fn numbers_and_words_are_unique() {
        for protocol in TunnelProtocol::ALL {
            assert_eq!(TunnelProtocol::from_number(protocol as u8), Some(protocol));
        }
        assert_eq!(TunnelProtocol::from_number(0), None);
        assert_eq!(TunnelProtocol::from_number(29), None);
        let words: std::collections::BTreeSet<_> =
            TunnelProtocol::ALL.iter().map(|protocol| protocol.as_str()).collect();
        assert_eq!(words.len(), TunnelProtocol::ALL.len());
    }

    #[test]
    fn wireguard_on_the_port_of_esp_is_told_from_it() {
        let data = |index: u8, counter: u8| {
            let mut bytes = vec![0x5a; 96];
            bytes[..16]
                .copy_from_slice(&[4, 0, 0, 0, index, 2, 3, 4, counter, 0, 0, 0, 0, 0, 0, 0]);
            bytes
        };
        let shown = [(0, data(1, 1)), (1, data(2, 1)), (0, data(1, 2)), (0, data(1, 3))];
        let on_port: Vec<_> =
            shown.iter().map(|(side, bytes)| (*side, testing::nat_traversal(bytes))).collect();
        assert_eq!(run(&on_port), Some((TunnelProtocol::WireGuard, None, 3)));
        let mut initiation = vec![0x5a; 148];
        initiation[..4].copy_from_slice(&[1, 0, 0, 0]);
        initiation[132..].fill(0);
        let found = run(&[(0, testing::nat_traversal(&initiation))]);
        assert_eq!(found, Some((TunnelProtocol::WireGuard, Some(0), 0)));
    }

    proptest! {
        /// Random datagrams are no tunnel, whatever their length and however many there are.
        #[test]
        fn noise_is_no_tunnel(
            datagrams in proptest::collection::vec(
                (0..2usize, proptest::collection::vec(any::<u8>(), 0..200), any::<bool>()), 0..8),
        ) {
            let shown: Vec<_> = datagrams
                .iter()
                .map(|(side, bytes, nat)| (*side, Datagram { is_nat_traversal: *nat, is_zerotier: *nat, ..whole(bytes) }))
                .collect();
            prop_assert_eq!(run(&shown), None);
        }
    }
}
