//! Tunnels: what carries IP inside IP, by protocol number (IP in IP, GRE, EtherIP, MPLS) and by UDP
//! port (VXLAN, GENEVE, GTP-U, Teredo, CAPWAP, L2TP, AYIYA, MPLS, TZSP).
//!
//! A protocol number is a claim: what it announces must be readable. A UDP port is a hint: unless
//! everything down to an inner IP header reads as the tunnel's, the packet is plain UDP.

use super::ip::is_plausible_ip;
use super::layers::ether_type;
use super::walk::{Span, Step, Stop, Walk};
use crate::net::protocol;

/// Ethernet in IP (RFC 3378).
const ETHERIP: u8 = 97;

/// UDP ports of tunnels.
mod port {
    /// L2TP (RFC 2661, 8.1).
    pub(super) const L2TP: u16 = 1701;
    /// GTP-U (3GPP TS 29.281, 4.4.2).
    pub(super) const GTP_U: u16 = 2152;
    /// Teredo (RFC 4380, 2.7).
    pub(super) const TEREDO: u16 = 3544;
    /// VXLAN (RFC 7348, 5).
    pub(super) const VXLAN: u16 = 4789;
    /// VXLAN-GPE (draft-ietf-nvo3-vxlan-gpe, 3).
    pub(super) const VXLAN_GPE: u16 = 4790;
    /// AYIYA (draft-massar-v6ops-ayiya-02, 4).
    pub(super) const AYIYA: u16 = 5072;
    /// CAPWAP data (RFC 5415, 3.1).
    pub(super) const CAPWAP_DATA: u16 = 5247;
    /// GENEVE (RFC 8926, 3.3).
    pub(super) const GENEVE: u16 = 6081;
    /// MPLS in UDP (RFC 7510, 3).
    pub(super) const MPLS: u16 = 6635;
    /// VXLAN as Linux spoke it before the port was assigned.
    pub(super) const VXLAN_LINUX: u16 = 8472;

    /// TZSP, TaZmen Sniffer Protocol: how some routers and access points send what they hear.
    pub(super) const TZSP: u16 = 37_008;

    /// All of them; the last is repeated, so that they fill whole vectors.
    const ALL: [u16; 16] = [
        L2TP,
        GTP_U,
        TEREDO,
        VXLAN,
        VXLAN_GPE,
        AYIYA,
        CAPWAP_DATA,
        GENEVE,
        MPLS,
        VXLAN_LINUX,
        TZSP,
        TZSP,
        TZSP,
        TZSP,
        TZSP,
        TZSP,
    ];

    /// Whether one of two ports is one of these. All are compared: which way a branch on a client's
    /// port goes, nobody can guess.
    #[inline]
    pub(super) fn are_tunnel(one: u16, other: u16) -> bool {
        ALL.iter().fold(false, |found, &port| found | (port == one) | (port == other))
    }
}

/// GRE (RFC 2784, 2; RFC 2890, 2; RFC 2637, 4.1).
mod gre {
    pub(super) const CHECKSUM: u16 = 0x8000;
    pub(super) const ROUTING: u16 = 0x4000;
    pub(super) const KEY: u16 = 0x2000;
    pub(super) const SEQUENCE: u16 = 0x1000;
    /// Version 1 only.
    pub(super) const ACKNOWLEDGEMENT: u16 = 0x0080;
    pub(super) const VERSION: u16 = 0x0007;
    /// ERSPAN, types I and II (draft-foschiano-erspan).
    pub(super) const ERSPAN: u16 = 0x88be;
    /// ERSPAN, type III.
    pub(super) const ERSPAN_III: u16 = 0x22eb;
    /// 802.11 frames from Aruba's access points, which number their queues.
    pub(super) const ARUBA_MIN: u16 = 0x8200;
    pub(super) const ARUBA_MAX: u16 = 0x837f;
    /// Redirected by WCCP (draft-wilson-wrec-wccp-v2, 4.12).
    pub(super) const WCCP: u16 = 0x883e;
}

/// Whether IP protocol `number` is that of a tunnel that is read.
pub(super) fn is_ip_tunnel(number: u8) -> bool {
    matches!(number, protocol::IPIP | protocol::IPV6 | protocol::GRE | protocol::MPLS | ETHERIP)
}

/// Whether the ports of a UDP datagram are a tunnel's.
#[inline]
pub(super) fn may_be_udp_tunnel(source: u16, destination: u16) -> bool {
    port::are_tunnel(source, destination)
}

/// Whether a UDP payload is an IPv6 packet from or to a Teredo address (RFC 4380, 2.6) and nothing
/// else. Teredo's clients and relays take any port.
#[inline]
pub(super) fn looks_like_teredo(payload: &[u8]) -> bool {
    const PREFIX: [u8; 4] = [0x20, 0x01, 0x00, 0x00];
    let Some(header) = payload.first_chunk::<40>() else { return false };
    header[0] >> 4 == 6
        && 40 + usize::from(u16::from_be_bytes([header[4], header[5]])) == payload.len()
        && ([header[8], header[9], header[10], header[11]] == PREFIX
            || [header[24], header[25], header[26], header[27]] == PREFIX)
}

impl Walk {
    /// What an IP packet carries under a tunnel's protocol number.
    pub(super) fn ip_tunnel(&mut self, number: u8, mut span: Span<'_>) -> Step {
        let outer = self.found;
        let step = match number {
            protocol::IPIP => self.ipv4(span),
            protocol::IPV6 => self.ipv6(span),
            protocol::GRE => self.gre(span),
            protocol::MPLS => self.mpls(span),
            // EtherIP: four bits of version, 3, and twelve reserved.
            ETHERIP => match span.take::<2>()? {
                [0x30, 0x00] => self.ethernet(span),
                _ => Err(Stop::NotIp),
            },
            _ => Err(Stop::NotIp),
        };
        if step == Err(Stop::NotIp) {
            self.found = outer;
            return Ok(());
        }
        step
    }

    /// What a UDP datagram carries, if it is a tunnel's.
    pub(super) fn udp_tunnel(&mut self, payload: Span<'_>) -> Step {
        let outer = self.found;
        let tunnel_port = [outer.packet.destination_port, outer.packet.source_port]
            .into_iter()
            .find(|&port| port::are_tunnel(port, port));
        let step = match tunnel_port {
            Some(port::VXLAN | port::VXLAN_LINUX) => self.vxlan(payload),
            Some(port::VXLAN_GPE) => self.vxlan_gpe(payload),
            Some(port::GENEVE) => self.geneve(payload),
            Some(port::GTP_U) => self.gtp_u(payload),
            Some(port::TEREDO) => self.teredo(payload),
            Some(port::CAPWAP_DATA) => self.capwap(payload),
            Some(port::L2TP) => self.l2tp(payload),
            Some(port::AYIYA) => self.ayiya(payload),
            Some(port::TZSP) => self.tzsp(payload),
            Some(port::MPLS) => self.mpls(payload),
            _ if !payload.is_cut() && looks_like_teredo(payload.captured()) => self.ipv6(payload),
            _ => return Ok(()),
        };
        match step {
            Ok(()) => Ok(()),
            Err(Stop::TOO_DEEP) => Err(Stop::TOO_DEEP),
            Err(_) => {
                self.found = outer;
                Ok(())
            }
        }
    }

    fn gre(&mut self, mut span: Span<'_>) -> Step {
        let flags = span.take_u16()?;
        let kind = span.take_u16()?;
        let version = flags & gre::VERSION;
        if version > 1 {
            return Err(Stop::NotIp);
        }
        if flags & (gre::CHECKSUM | gre::ROUTING) != 0 {
            span.take::<4>()?;
        }
        if flags & gre::KEY != 0 {
            span.take::<4>()?;
        }
        if flags & gre::SEQUENCE != 0 {
            span.take::<4>()?;
        }
        if version == 1 && flags & gre::ACKNOWLEDGEMENT != 0 {
            span.take::<4>()?;
        }
        if version == 0 && flags & gre::ROUTING != 0 {
            // Source route entries (RFC 1701): family, offset, length; one of length 0 ends them.
            loop {
                let &[_, _, _, length] = span.take()?;
                span.skip(usize::from(length))?;
                if length == 0 {
                    break;
                }
            }
        }
        if span.wire_length() == 0 {
            // A keepalive, or an acknowledgement of PPTP.
            return Err(Stop::NotIp);
        }
        self.passed_header(span)?;
        match kind {
            gre::ERSPAN => {
                if flags & gre::SEQUENCE != 0 {
                    // Type II has a header and always a sequence number; type I has neither.
                    span.take::<8>()?;
                }
                self.ethernet(span)
            }
            gre::ERSPAN_III => self.erspan_iii(span),
            gre::WCCP => {
                if matches!(span.peek(), Ok(&[first]) if first >> 4 != 4) {
                    span.take::<4>()?;
                }
                self.ipv4(span)
            }
            gre::ARUBA_MIN..=gre::ARUBA_MAX => self.wifi(span, false),
            0..=ether_type::LENGTH_MAX => Err(Stop::NotIp),
            kind => self.ether_type(kind, span),
        }
    }

    /// ERSPAN type III (draft-foschiano-erspan, 4.3): frame type and whether eight more bytes
    /// follow stand in the last two of its twelve bytes.
    fn erspan_iii(&mut self, mut span: Span<'_>) -> Step {
        const FRAME_IS_IP: u16 = 2;
        let header: &[u8; 12] = span.take()?;
        let last = u16::from_be_bytes([header[10], header[11]]);
        if last & 1 != 0 {
            span.take::<8>()?;
        }
        match last >> 10 & 0x1f {
            0 => self.ethernet(span),
            FRAME_IS_IP => self.ip(span),
            _ => Err(Stop::NotIp),
        }
    }

    /// VXLAN (RFC 7348, 5): the "I" flag, and an Ethernet frame behind eight bytes. Reserved bits
    /// are to be ignored, and are used by extensions.
    fn vxlan(&mut self, mut span: Span<'_>) -> Step {
        let &[flags, ..] = span.take::<8>()?;
        if flags & 0x08 == 0 {
            return Err(Stop::NotIp);
        }
        self.passed_header(span)?;
        self.ethernet(span)
    }

    /// VXLAN-GPE: as VXLAN, with a next protocol. Its "P" flag must be set where there is one, but
    /// not all senders know.
    fn vxlan_gpe(&mut self, mut span: Span<'_>) -> Step {
        let &[flags, _, _, next, ..] = span.take::<8>()?;
        if flags & 0x08 == 0 {
            return Err(Stop::NotIp);
        }
        match (flags & 0x04, next) {
            (0, 0) => {
                self.passed_header(span)?;
                self.ethernet(span)
            }
            (_, next) => self.next_protocol(next, span),
        }
    }

    /// GENEVE (RFC 8926, 3.4): version 0, options in words of four bytes, an Ethernet type.
    fn geneve(&mut self, mut span: Span<'_>) -> Step {
        let &[version_options, _, high, low, ..] = span.take::<8>()?;
        if version_options >> 6 != 0 {
            return Err(Stop::NotIp);
        }
        span.skip(usize::from(version_options & 0x3f) * 4)?;
        self.passed_header(span)?;
        match u16::from_be_bytes([high, low]) {
            0..=ether_type::LENGTH_MAX => Err(Stop::NotIp),
            kind => self.ether_type(kind, span),
        }
    }

    /// GTP-U (3GPP TS 29.281, 5.1): version 1, a T-PDU whose length fits, extension headers.
    fn gtp_u(&mut self, mut span: Span<'_>) -> Step {
        const T_PDU: u8 = 255;
        const EXTENSION: u8 = 0x04;
        const ANY_OPTION: u8 = 0x07;
        let &[flags, kind, high, low, ..] = span.take::<8>()?;
        let length = usize::from(u16::from_be_bytes([high, low]));
        if flags >> 4 != 3 || kind != T_PDU || length > span.wire_length() {
            return Err(Stop::NotIp);
        }
        span.limit(length);
        if flags & ANY_OPTION != 0 {
            let &[_, _, _, mut next] = span.take()?;
            while flags & EXTENSION != 0 && next != 0 {
                // Length in words of four bytes, this byte and the next type included.
                let &[words] = span.take()?;
                let content = (usize::from(words) * 4).checked_sub(2).ok_or(Stop::MALFORMED)?;
                span.skip(content)?;
                [next] = *span.take()?;
            }
        }
        self.plausible_ip(span)
    }

    /// Teredo (RFC 4380, 5.1.1): indications of authentication and origin, an IPv6 packet, and
    /// trailers (RFC 6081, 4), which fill the datagram exactly.
    fn teredo(&mut self, mut span: Span<'_>) -> Step {
        if let Ok(&[0x00, 0x01, identifier, authentication]) = span.peek() {
            // Behind the two strings: a nonce of eight bytes and a confirmation byte.
            span.skip(4 + usize::from(identifier) + usize::from(authentication) + 9)?;
        }
        if let Ok(&[0x00, 0x00]) = span.peek() {
            span.skip(8)?;
        }
        let &[first, _, _, _, high, low] = span.peek()?;
        let stated = 40 + usize::from(u16::from_be_bytes([high, low]));
        let mut trailers = span;
        trailers.skip(stated)?;
        if first >> 4 != 6 {
            return Err(Stop::NotIp);
        }
        while trailers.wire_length() > 0 {
            let &[_, length] = trailers.take()?;
            trailers.skip(usize::from(length))?;
        }
        // An empty packet is one (a "bubble"), not one that left its length to the network card.
        span.limit(stated);
        self.passed_header(span)?;
        self.ipv6(span)
    }

    /// CAPWAP data in the clear (RFC 5415, 4.3): an 802.3 or 802.11 frame, whole.
    fn capwap(&mut self, mut span: Span<'_>) -> Step {
        const BINDING_802_11: u8 = 1;
        let &[preamble, length_radio, radio_binding, flags, ..] = span.peek::<8>()?;
        // Preamble 1 is DTLS; "K" is a keepalive; "F" a fragment.
        if preamble != 0 || flags & 0x88 != 0 {
            return Err(Stop::NotIp);
        }
        let is_native = radio_binding & 1 != 0;
        let binding = radio_binding >> 1 & 0x1f;
        span.skip(usize::from(length_radio >> 3) * 4)?;
        self.passed_header(span)?;
        if !is_native {
            return self.ethernet(span);
        }
        if binding != BINDING_802_11 {
            return Err(Stop::NotIp);
        }
        self.wifi_in_capwap(span)
    }

    /// An L2TP version 2 data message (RFC 2661, 3.1) with PPP in it.
    fn l2tp(&mut self, mut span: Span<'_>) -> Step {
        const CONTROL: u16 = 0x8000;
        const LENGTH: u16 = 0x4000;
        const SEQUENCE: u16 = 0x0800;
        const OFFSET: u16 = 0x0200;
        const VERSION: u16 = 0x000f;
        let whole = span;
        let flags = span.take_u16()?;
        if flags & CONTROL != 0 || flags & VERSION != 2 {
            return Err(Stop::NotIp);
        }
        if flags & LENGTH != 0 {
            let length = usize::from(span.take_u16()?);
            // Counts from the message's first byte; this field ended at the fourth.
            let rest = length.checked_sub(4).ok_or(Stop::MALFORMED)?;
            if length > whole.wire_length() {
                return Err(Stop::MALFORMED);
            }
            span.limit(rest);
        }
        span.take::<4>()?;
        if flags & SEQUENCE != 0 {
            span.take::<4>()?;
        }
        if flags & OFFSET != 0 {
            let padding = span.take_u16()?;
            span.skip(usize::from(padding))?;
        }
        self.ppp(span)
    }

    /// AYIYA, Anything in Anything (draft-massar-v6ops-ayiya-02, 4): lengths of identity and
    /// signature, operation, next header, time; what is forwarded is an IP packet.
    fn ayiya(&mut self, mut span: Span<'_>) -> Step {
        const FORWARD: u8 = 1;
        let &[identity, signature, operation, next, _, _, _, _] = span.take()?;
        if operation & 0x0f != FORWARD || !matches!(next, protocol::IPIP | protocol::IPV6) {
            return Err(Stop::NotIp);
        }
        // Two to the power of the first, words of four bytes of the second.
        span.skip((1 << (identity >> 4)) + usize::from(signature >> 4) * 4)?;
        self.plausible_ip(span)
    }

    /// TZSP (version 1): what it carries, tagged fields up to an end tag, a frame.
    fn tzsp(&mut self, mut span: Span<'_>) -> Step {
        const PADDING: u8 = 0;
        const END: u8 = 1;
        const RECEIVED: u8 = 0;
        let &[version, kind, carried_high, carried] = span.take()?;
        if (version, kind, carried_high) != (1, RECEIVED, 0) {
            return Err(Stop::NotIp);
        }
        loop {
            match span.take()? {
                [PADDING] => {}
                [END] => break,
                _ => {
                    let &[length] = span.take()?;
                    span.skip(usize::from(length))?;
                }
            }
        }
        self.passed_header(span)?;
        match carried {
            1 => self.ethernet(span),
            18 => self.wifi(span, false),
            _ => Err(Stop::NotIp),
        }
    }

    /// An IP packet that must look like one.
    fn plausible_ip(&mut self, span: Span<'_>) -> Step {
        if !is_plausible_ip(span) {
            return Err(Stop::NotIp);
        }
        self.passed_header(span)?;
        self.ip(span)
    }
}
