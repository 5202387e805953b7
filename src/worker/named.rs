//! What follows from findings that tell a flow's name: hellos, requests, certificates.

use arrayvec::ArrayString;

use super::Worker;
use super::bucket::BY_NAME;
use super::part::ObservationRecord;
use crate::dissect::tunnel::{self, TunnelProtocol};
use crate::evidence::source::Trait;
use crate::flow::slot::{NONE, Side, mark};
use crate::flow::table::FlowId;
use crate::hostname::Hostname;
use crate::ledger::Bucket;
use crate::net::{Address, protocol};
use crate::observation::{ALPN_LENGTH_MAX, ClientHello, NameSource, Request, Seen};
use crate::stats::Counter;
use crate::time::Timestamp;

/// DNS over TLS (RFC 7858) and over QUIC (RFC 9250): a sign, and never the only one.
const ENCRYPTED_DNS_PORT: u16 = 853;

/// What is known besides a name.
#[derive(Clone, Copy, Default)]
pub(super) struct Hints<'a> {
    pub(super) ja4: &'a str,
    pub(super) forwarded_for: Option<Address>,
}

impl Worker {
    /// Takes a hello of TLS, or of DTLS.
    pub(super) fn hello(
        &mut self,
        flow: FlowId,
        side: Side,
        time: Timestamp,
        hello: &ClientHello,
        is_dtls: bool,
    ) {
        self.set_client(flow, side);
        if let Some(shape) = hello.shape {
            let (client, _) = self.endpoints(flow);
            let hour = self.hour(time.minute());
            self.note_trait(client.address, hour, Trait::HelloShape, shape.get().into());
        }
        let is_udp = self.table.hot(flow).protocol == protocol::UDP;
        let (source, seen) = match is_udp && !is_dtls {
            true => (NameSource::Quic, Seen::Quic),
            false => (NameSource::Sni, Seen::Tls),
        };
        let hot = self.table.hot(flow);
        if hot.bucket == BY_NAME && is_of_dns(hello, hot.ports) {
            hot.bucket = Bucket::EncryptedDns as u8;
        }
        let server_port = hot.ports[1 - hot.client()];
        if !is_udp && tunnel::is_tor_hello(hello, server_port) {
            self.mark_tunnel(flow, TunnelProtocol::Tor);
        }
        if hello.alpn.iter().any(|protocol| tunnel::is_anydesk(protocol)) {
            self.mark_tunnel(flow, TunnelProtocol::AnyDesk);
        }
        let hot = self.table.hot(flow);
        if hello.esni {
            self.part.counters.count(Counter::TlsEsni);
        }
        let wanted = &mut hot.marks;
        *wanted &= !(mark::WANTED_0 << side);
        let Some(name) = &hello.server_name else { return };
        *wanted &= !(mark::WANTED_0 | mark::WANTED_0 << 1);
        // Observations are those that are compared with other tools': of TCP and QUIC.
        if !is_dtls {
            self.observe(flow, time, seen, name, Hints { ja4: &hello.ja4, forwarded_for: None });
        }
        if let Some(config_id) = hello.ech_config_id {
            self.inspector.outer_ids.insert(flow, config_id);
        }
        self.set_name(flow, name, source);
    }

    pub(super) fn request(&mut self, flow: FlowId, side: Side, time: Timestamp, request: &Request) {
        self.set_client(flow, side);
        let hints = Hints { ja4: "", forwarded_for: request.forwarded_for };
        if let Some(authority) = &request.authority {
            self.observe(flow, time, Seen::Http, authority, hints);
        }
        if let Some(host) =
            request.host.as_ref().filter(|host| request.authority.as_ref() != Some(host))
        {
            self.observe(flow, time, Seen::Http, host, hints);
        }
        if let Some(name) = request.authority.or(request.host) {
            self.set_name(flow, &name, NameSource::Host);
        }
        // Only a proxy is asked for an absolute target (RFC 9112, 3.2.2).
        if request.authority.is_some() {
            self.note_proxy(flow, time);
        }
        if let Some(address) = request.forwarded_for {
            self.note_asks_for(flow, time, address);
        }
    }

    pub(super) fn certificate(&mut self, flow: FlowId, side: Side, name: &Hostname) {
        self.set_client(flow, 1 - side);
        self.table.hot(flow).marks &= !(mark::WANTED_0 << side);
        if self.table.cold(flow).name == NONE {
            self.set_name(flow, name, NameSource::Cert);
        }
    }

    pub(super) fn observe(
        &mut self,
        flow: FlowId,
        time: Timestamp,
        seen: Seen,
        host: &str,
        hints: Hints<'_>,
    ) {
        if !self.settings.observations {
            return;
        }
        let (client, server) = self.endpoints(flow);
        self.part.observations.push(ObservationRecord {
            time,
            seen,
            client,
            server,
            host: host.into(),
            ja4: hints.ja4.into(),
            forwarded_for: hints.forwarded_for,
        });
    }
}

/// Whether a hello begins DNS over TLS or over QUIC: it says so (RFC 9250, 4.1.1; "dot" in IANA's
/// list), or it says nothing of what it wants on their port, as most clients of RFC 7858 do.
fn is_of_dns(hello: &ClientHello, ports: [u16; 2]) -> bool {
    let is_dns = |protocol: &ArrayString<ALPN_LENGTH_MAX>| {
        matches!(protocol.as_str(), "dot" | "doq") || protocol.starts_with("doq-i")
    };
    hello.alpn.iter().any(is_dns) || hello.alpn.is_empty() && ports.contains(&ENCRYPTED_DNS_PORT)
}
