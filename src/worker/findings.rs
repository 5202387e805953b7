//! What follows from the findings of dissectors: names, observations, and traits of addresses.
//!
//! Whoever sent the hello, the request or the question is the client, whatever was assumed before.

use arrayvec::ArrayString;

use super::Worker;
use super::bucket::{BY_NAME, bucket_beside_ports};
use super::part::{Doubt, ObservationRecord};
use crate::dissect::Finding;
use crate::dissect::media::MediaKind;
use crate::dissect::tunnel::{self, TorSign, TunnelProtocol, openvpn};
use crate::evidence::source::Trait;
use crate::flow::slot::{NONE, Side, mark};
use crate::flow::table::FlowId;
use crate::hostname::Hostname;
use crate::ledger::Bucket;
use crate::net::{Address, Endpoint, protocol};
use crate::observation::{ALPN_LENGTH_MAX, ClientHello, NameSource, Request, Seen};
use crate::stats::Counter;
use crate::time::Timestamp;

/// DNS over TLS (RFC 7858) and over QUIC (RFC 9250): a sign, and never the only one.
const ENCRYPTED_DNS_PORT: u16 = 853;

/// A finding that outlives the bytes it was found in.
pub(super) enum Found {
    Hello(Box<ClientHello>),
    Request(Box<Request>),
    Certificate(Hostname),
    ProxyTarget(Hostname),
    ForwardedFor(Address),
    Dns(Vec<u8>),
    Tunnel { protocol: TunnelProtocol, by_client: bool },
    Socks4 { is_reply: bool },
    UpgradeAsked(TunnelProtocol),
    Upgraded,
    Media(MediaKind),
    OpenVpn(openvpn::Packet),
    NotDns,
    Refused(Counter),
}

/// What is known besides a name.
#[derive(Clone, Copy, Default)]
pub(super) struct Hints<'a> {
    ja4: &'a str,
    forwarded_for: Option<Address>,
}

impl Found {
    /// A finding without its borrow; none where there is nothing in it.
    pub(super) fn of(finding: Finding<'_>) -> Option<Found> {
        Some(match finding {
            Finding::Hello(hello) => Found::Hello(Box::new(hello)),
            Finding::Request(request) => Found::Request(Box::new(request)),
            Finding::Certificate(names) => Found::Certificate(names.first()?.hostname),
            Finding::ProxyTarget(host) => Found::ProxyTarget(host),
            Finding::DnsMessage(message) => Found::Dns(message.to_vec()),
            Finding::Tunnel { protocol, by_client } => Found::Tunnel { protocol, by_client },
            Finding::Socks4 { is_reply } => Found::Socks4 { is_reply },
            Finding::UpgradeAsked(protocol) => Found::UpgradeAsked(protocol),
            Finding::Upgraded => Found::Upgraded,
            Finding::Media(kind) => Found::Media(kind),
            Finding::OpenVpn(packet) => Found::OpenVpn(packet),
            Finding::NotDns => Found::NotDns,
            Finding::Refused(counter) => Found::Refused(counter),
            Finding::ForwardedFor(address) => Found::ForwardedFor(address),
        })
    }
}

impl Worker {
    /// Draws the conclusions from what was found in a packet of so many bytes, which is not counted
    /// yet; without bytes, at the end of the flow. Says whether there was anything.
    pub(super) fn take_findings(
        &mut self,
        flow: FlowId,
        side: Side,
        time: Timestamp,
        packet_bytes: Option<u32>,
    ) -> bool {
        let mut found = std::mem::take(&mut self.inspector.found);
        let mut fruitful = false;
        for finding in found.drain(..) {
            fruitful |= !matches!(finding, Found::Refused(_) | Found::OpenVpn(_) | Found::NotDns);
            match finding {
                Found::Hello(hello) => {
                    self.hello(flow, side, time, &hello, false);
                    if let Some(bytes) = packet_bytes {
                        self.hello_ends(flow, side, bytes);
                    }
                }
                Found::Request(request) => self.request(flow, side, time, &request),
                Found::Certificate(name) => self.certificate(flow, side, &name),
                Found::ProxyTarget(host) => {
                    self.set_client(flow, side);
                    self.set_name(flow, &host, NameSource::Host);
                    self.note_proxy(flow, time);
                }
                Found::ForwardedFor(address) => self.note_asks_for(flow, time, address),
                Found::Dns(message) => _ = self.dns(flow, side, time, &message),
                Found::Tunnel { protocol, by_client } => {
                    self.tunnel_in_stream(flow, side, protocol, by_client);
                }
                Found::Socks4 { is_reply } => self.socks4(flow, side, is_reply),
                Found::UpgradeAsked(protocol) => self.upgrade_asked(flow, protocol),
                Found::Upgraded => self.upgraded(flow, side),
                Found::Media(kind) => self.mark_media(flow, kind),
                Found::OpenVpn(packet) => self.openvpn_packet(flow, side, packet),
                Found::NotDns => self.leave_service(flow),
                Found::Refused(counter) => self.count_event(counter),
            }
        }
        self.inspector.found = found;
        fruitful
    }

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
        self.leave_service(flow);
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
        let tor = if is_udp { None } else { tunnel::tor_hello(hello, server_port) };
        if tor == Some(TorSign::Relay) {
            self.mark_tunnel(flow, TunnelProtocol::Tor);
        }
        if hello.alpn.iter().any(|protocol| tunnel::is_anydesk(protocol)) {
            self.mark_tunnel(flow, TunnelProtocol::AnyDesk);
        }
        if hello.alpn.iter().any(|protocol| tunnel::is_hysteria(protocol)) {
            self.mark_tunnel(flow, TunnelProtocol::Hysteria);
        }
        let hot = self.table.hot(flow);
        if hello.esni {
            self.part.counters.count(Counter::TlsEsni);
        }
        hot.marks &= !(mark::WANTED_0 << side);
        let is_doubtful = tor == Some(TorSign::Doubtful) && hot.bucket == BY_NAME;
        let made_up = is_doubtful.then_some(Doubt::MadeUp);
        self.note_doubt(flow, hello.ech.map(Doubt::Ech).or(made_up));
        let Some(name) = &hello.server_name else { return };
        self.table.hot(flow).marks &= !(mark::WANTED_0 | mark::WANTED_0 << 1);
        // Observations are those that are compared with other tools': of TCP and QUIC.
        if !is_dtls {
            self.observe(flow, time, seen, name, Hints { ja4: &hello.ja4, forwarded_for: None });
        }
        self.set_name(flow, name, source);
    }

    /// Keeps why the name of a flow's latest hello may not be what it seems.
    fn note_doubt(&mut self, flow: FlowId, doubt: Option<Doubt>) {
        if self.inspector.outer(flow) == doubt {
            return;
        }
        // What came before the hello is no part of what it may hide.
        if self.table.hot(flow).marks & mark::DECIDED != 0 {
            self.hand_on(flow);
            self.end_anonymous(flow);
        }
        match doubt {
            Some(doubt) => _ = self.inspector.outer.insert(flow, doubt),
            None => self.inspector.forget_outer(flow),
        }
    }

    fn request(&mut self, flow: FlowId, side: Side, time: Timestamp, request: &Request) {
        self.set_client(flow, side);
        self.leave_service(flow);
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

    fn certificate(&mut self, flow: FlowId, side: Side, name: &Hostname) {
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

    /// A flow on the port of a network service turned out to be something else.
    pub(super) fn leave_service(&mut self, flow: FlowId) {
        let hot = self.table.hot(flow);
        if hot.bucket == Bucket::NetworkService as u8 {
            hot.bucket = bucket_beside_ports(hot, &self.settings);
        }
    }

    /// Client and server of a flow.
    pub(super) fn endpoints(&mut self, flow: FlowId) -> (Endpoint, Endpoint) {
        let hot = self.table.hot(flow);
        let endpoint =
            |side: Side| Endpoint { address: hot.addresses[side], port: hot.ports[side] };
        (endpoint(hot.client()), endpoint(1 - hot.client()))
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
