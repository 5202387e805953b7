//! What stands between a link header and IP: Ethernet and its tags, LLC/SNAP, MPLS, PPPoE and PPP.
//!
//! Tags are read for what follows, not for what they say: a VLAN is not part of a flow here.

use super::ip::is_plausible_ip;
use super::walk::{Span, Step, Stop, Walk};

/// Ethernet types (IANA "IEEE 802 Numbers") that the decoder tells apart.
pub(super) mod ether_type {
    /// The largest value that is an IEEE 802.3 length (IEEE 802.3, 3.2.6).
    pub(crate) const LENGTH_MAX: u16 = 1500;
    /// IPv4 (RFC 894).
    pub(crate) const IPV4: u16 = 0x0800;
    /// IPv6 (RFC 2464, 3).
    pub(crate) const IPV6: u16 = 0x86dd;
    /// Customer VLAN tag (IEEE 802.1Q, 9.4).
    pub(crate) const VLAN: u16 = 0x8100;
    /// Service VLAN tag (IEEE 802.1Q, 9.4).
    pub(crate) const VLAN_SERVICE: u16 = 0x88a8;
    /// Outer VLAN tags from before IEEE 802.1ad.
    pub(crate) const VLAN_OLD: [u16; 2] = [0x9100, 0x9200];
    /// VN-tag of virtual network cards.
    pub(crate) const VN_TAG: u16 = 0x8926;
    /// Bridge port extension tag (IEEE 802.1BR, 7.5).
    pub(crate) const E_TAG: u16 = 0x893f;
    /// Backbone service instance tag, MAC-in-MAC (IEEE 802.1Q, 9.7).
    pub(crate) const I_TAG: u16 = 0x88e7;
    /// Cisco metadata, which carries a security group tag.
    pub(crate) const CISCO_METADATA: u16 = 0x8909;
    /// Cisco FabricPath.
    pub(crate) const FABRIC_PATH: u16 = 0x8903;
    /// Network service header (RFC 8300, 2.2).
    pub(crate) const SERVICE_HEADER: u16 = 0x894f;
    /// MACsec (IEEE 802.1AE, 9.8).
    pub(crate) const MACSEC: u16 = 0x88e5;
    /// MPLS (RFC 3032, 5).
    pub(crate) const MPLS: u16 = 0x8847;
    /// MPLS with an upstream-assigned label (RFC 5332).
    pub(crate) const MPLS_UPSTREAM: u16 = 0x8848;
    /// PPPoE session stage (RFC 2516, 4).
    pub(crate) const PPPOE_SESSION: u16 = 0x8864;
    /// PPP in GRE (RFC 2637, 4.1).
    pub(crate) const PPP: u16 = 0x880b;
    /// Ethernet in GRE and GENEVE (RFC 7637, 3.2).
    pub(crate) const BRIDGED_ETHERNET: u16 = 0x6558;

    /// Whether `kind` is that of a four-byte VLAN tag.
    #[inline]
    pub(crate) fn is_vlan(kind: u16) -> bool {
        kind == VLAN || kind == VLAN_SERVICE || VLAN_OLD.contains(&kind)
    }
}

/// Protocol numbers of PPP (IANA "PPP DLL Protocol Numbers").
mod ppp_protocol {
    pub(super) const IPV4: u16 = 0x0021;
    pub(super) const IPV6: u16 = 0x0057;
    pub(super) const MPLS: u16 = 0x0281;
    pub(super) const MPLS_MULTICAST: u16 = 0x0283;
}

/// LLC for SNAP: both service access points 0xaa, unnumbered information (IEEE 802, 9.4).
pub(super) const LLC_SNAP: [u8; 3] = [0xaa, 0xaa, 0x03];
/// LLC for IP without SNAP (RFC 948).
const LLC_IP: [u8; 3] = [0x06, 0x06, 0x03];
/// Organisations whose SNAP protocol numbers are Ethernet types: RFC 1042 and IEEE 802.1H.
const SNAP_ETHERNET: [[u8; 3]; 2] = [[0, 0, 0], [0, 0, 0xf8]];

impl Walk {
    /// An Ethernet frame (IEEE 802.3, 3.1.1).
    pub(super) fn ethernet(&mut self, mut span: Span<'_>) -> Step {
        let header: &[u8; 14] = span.take()?;
        self.ether_type(u16::from_be_bytes([header[12], header[13]]), span)
    }

    /// What stands behind an Ethernet type, or a length where that is one.
    pub(super) fn ether_type(&mut self, mut kind: u16, mut span: Span<'_>) -> Step {
        loop {
            self.passed_header(span)?;
            match kind {
                0..=ether_type::LENGTH_MAX => {
                    // Some captures of bridges hold frames whose length field is 0.
                    if kind != 0 {
                        span.limit(usize::from(kind));
                    }
                    return self.llc(span);
                }
                ether_type::IPV4 => return self.ipv4(span),
                ether_type::IPV6 => return self.ipv6(span),
                ether_type::VN_TAG => {
                    let &[_, _, _, _, high, low] = span.take()?;
                    kind = u16::from_be_bytes([high, low]);
                }
                ether_type::E_TAG | ether_type::CISCO_METADATA => {
                    let &[_, _, _, _, _, _, high, low] = span.take()?;
                    kind = u16::from_be_bytes([high, low]);
                }
                ether_type::I_TAG => {
                    self.leave_ethernet();
                    span.take::<4>()?;
                    return self.ethernet(span);
                }
                ether_type::FABRIC_PATH => {
                    self.leave_ethernet();
                    span.take::<2>()?;
                    return self.ethernet(span);
                }
                ether_type::SERVICE_HEADER => return self.service_header(span),
                ether_type::MACSEC => kind = security_tag(&mut span)?,
                ether_type::MPLS | ether_type::MPLS_UPSTREAM => return self.mpls(span),
                ether_type::PPPOE_SESSION => return self.pppoe(span),
                ether_type::PPP => return self.ppp(span),
                ether_type::BRIDGED_ETHERNET => {
                    self.leave_ethernet();
                    return self.ethernet(span);
                }
                _ if ether_type::is_vlan(kind) => {
                    let &[_, _, high, low] = span.take()?;
                    kind = u16::from_be_bytes([high, low]);
                }
                _ => return Err(Stop::NotIp),
            }
        }
    }

    /// Logical link control (IEEE 802.2), where that carries IP.
    pub(super) fn llc(&mut self, mut span: Span<'_>) -> Step {
        if span.wire_length() < 3 {
            return Err(Stop::NotIp);
        }
        match *span.take::<3>()? {
            LLC_SNAP => {
                let &[a, b, c, high, low] = span.take()?;
                let kind = u16::from_be_bytes([high, low]);
                if SNAP_ETHERNET.contains(&[a, b, c]) && kind > ether_type::LENGTH_MAX {
                    self.ether_type(kind, span)
                } else {
                    Err(Stop::NotIp)
                }
            }
            LLC_IP => self.ipv4(span),
            _ => Err(Stop::NotIp),
        }
    }

    /// A stack of MPLS labels (RFC 3032, 2.1) and what it carries, which no field tells: IP, or
    /// Ethernet with or without a control word (RFC 4448, 4).
    pub(super) fn mpls(&mut self, mut span: Span<'_>) -> Step {
        self.leave_ethernet();
        loop {
            let &[_, _, bottom, _] = span.take()?;
            self.passed_header(span)?;
            if bottom & 1 != 0 {
                break;
            }
        }
        if is_plausible_ip(span) {
            return self.ip(span);
        }
        let mut behind_control_word = span;
        let has_control_word = matches!(span.peek(), Ok(&[first]) if first >> 4 == 0);
        if has_control_word
            && behind_control_word.take::<4>().is_ok()
            && is_plausible_ethernet(behind_control_word)
        {
            return self.ethernet(behind_control_word);
        }
        if is_plausible_ethernet(span) {
            return self.ethernet(span);
        }
        match span.peek()? {
            [first] if matches!(first >> 4, 4 | 6) => self.ip(span),
            _ => Err(Stop::NotIp),
        }
    }

    /// A network service header (RFC 8300, 2.2): its length in words of four bytes and the next
    /// protocol.
    pub(super) fn service_header(&mut self, mut span: Span<'_>) -> Step {
        self.leave_ethernet();
        let &[_, length, _, next] = span.peek()?;
        let length = usize::from(length & 0x3f) * 4;
        if length < 8 {
            return Err(Stop::MALFORMED);
        }
        span.skip(length)?;
        self.next_protocol(next, span)
    }

    /// What stands behind a "next protocol" of the network service header (RFC 8300, 2.2) or
    /// VXLAN-GPE.
    pub(super) fn next_protocol(&mut self, next: u8, span: Span<'_>) -> Step {
        self.passed_header(span)?;
        match next {
            1 => self.ipv4(span),
            2 => self.ipv6(span),
            3 => self.ethernet(span),
            4 => self.service_header(span),
            5 => self.mpls(span),
            _ => Err(Stop::NotIp),
        }
    }

    /// A PPPoE session packet (RFC 2516, 4).
    pub(super) fn pppoe(&mut self, mut span: Span<'_>) -> Step {
        self.leave_ethernet();
        let &[version_type, code, _, _, high, low] = span.take()?;
        if version_type != 0x11 {
            return Err(Stop::MALFORMED);
        }
        if code != 0 {
            return Err(Stop::NotIp);
        }
        span.limit(usize::from(u16::from_be_bytes([high, low])));
        self.ppp(span)
    }

    /// A PPP frame (RFC 1661, 2), with or without address and control (RFC 1662, 3.1), its
    /// protocol number in two bytes or compressed to one (RFC 1661, 6.5).
    pub(super) fn ppp(&mut self, mut span: Span<'_>) -> Step {
        if matches!(span.peek(), Ok(&[0xff, 0x03])) {
            span.skip(2)?;
        }
        let &[first] = span.peek()?;
        let protocol = if first & 1 == 1 {
            span.skip(1)?;
            u16::from(first)
        } else {
            span.take_u16()?
        };
        self.passed_header(span)?;
        match protocol {
            ppp_protocol::IPV4 => self.ipv4(span),
            ppp_protocol::IPV6 => self.ipv6(span),
            ppp_protocol::MPLS | ppp_protocol::MPLS_MULTICAST => self.mpls(span),
            _ => Err(Stop::NotIp),
        }
    }
}

/// Reads a MACsec frame's security tag off (IEEE 802.1AE, 9.3) and leaves out its check value;
/// answers the Ethernet type of what it protects, which must not be encrypted.
fn security_tag(span: &mut Span<'_>) -> Result<u16, Stop> {
    const VERSION: u8 = 0x80;
    /// The channel's identifier follows.
    const CHANNEL: u8 = 0x20;
    /// Encrypted; changed.
    const NOT_CLEAR: u8 = 0x0c;
    /// The check value of the default cipher suite (14.5).
    const CHECK_VALUE_LENGTH: usize = 16;
    let &[control, short_length, _, _, _, _] = span.take()?;
    if control & (VERSION | NOT_CLEAR) != 0 {
        return Err(Stop::NotIp);
    }
    if control & CHANNEL != 0 {
        span.take::<8>()?;
    }
    let length = span.wire_length().checked_sub(CHECK_VALUE_LENGTH).ok_or(Stop::TRUNCATED)?;
    // So short that the frame was padded behind the check value (9.7).
    let stated = usize::from(short_length & 0x3f);
    span.limit(if stated == 0 { length } else { length.min(stated) });
    span.take_u16()
}

/// Whether `span` begins like an Ethernet frame with IP in it, or with a tag.
fn is_plausible_ethernet(mut span: Span<'_>) -> bool {
    let Ok(header) = span.take::<14>() else { return false };
    match u16::from_be_bytes([header[12], header[13]]) {
        ether_type::IPV4 | ether_type::IPV6 => is_plausible_ip(span),
        ether_type::MPLS | ether_type::PPPOE_SESSION => true,
        kind => ether_type::is_vlan(kind),
    }
}
