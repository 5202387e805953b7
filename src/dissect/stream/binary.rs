//! Beginnings of streams that are neither text nor TLS: OpenVPN and PPTP, STUN and TURN over TCP,
//! TeamViewer.

use super::{Emit, SideStream, State, Step};
use crate::dissect::tunnel::{self, TunnelProtocol, openvpn};
use crate::dissect::{Finding, media};

/// Packets of OpenVPN that are looked at: enough for its handshake.
const OPENVPN_PACKETS_MAX: u8 = 12;

impl SideStream {
    /// A message of one of them, or the next packet of OpenVPN.
    pub(super) fn binary(&mut self, bytes: &[u8], emit: &mut Emit<'_>) -> Step {
        let left = match self.state {
            State::OpenVpn(left) => left,
            _ if tunnel::may_be_pptp_start(bytes) => {
                if bytes.len() < tunnel::PPTP_START_LENGTH {
                    return Step::Wait(tunnel::PPTP_START_LENGTH);
                }
                emit(Finding::Tunnel { protocol: TunnelProtocol::Pptp, by_client: false });
                return Step::Done;
            }
            _ => match media::begins_stream(bytes) {
                None => return Step::Wait(media::STREAM_PREFIX_LENGTH),
                Some(true) => {
                    emit(Finding::Media(media::MediaKind::Stun));
                    return Step::Done;
                }
                Some(false) if openvpn::may_be_stream(bytes) => OPENVPN_PACKETS_MAX,
                Some(false) => return teamviewer(bytes, emit),
            },
        };
        match (openvpn::record(bytes), left.checked_sub(1)) {
            (openvpn::Record::Incomplete(wanted), _) => Step::Wait(wanted),
            (openvpn::Record::Packet(packet, length), Some(left))
                if left + 1 < OPENVPN_PACKETS_MAX || openvpn::may_begin_stream(&packet) =>
            {
                emit(Finding::OpenVpn(packet));
                self.state = State::OpenVpn(left);
                Step::Consumed(length)
            }
            _ => Step::Done,
        }
    }
}

fn teamviewer(bytes: &[u8], emit: &mut Emit<'_>) -> Step {
    match tunnel::teamviewer_command(bytes) {
        Ok(true) => {
            emit(Finding::Tunnel { protocol: TunnelProtocol::TeamViewer, by_client: false });
            Step::Done
        }
        Ok(false) => Step::Done,
        Err(wanted) => Step::Wait(wanted),
    }
}
