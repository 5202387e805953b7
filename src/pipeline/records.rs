//! Names and flows as JSON lines, in total order, whatever number of workers found them.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use super::naming::{EchState, Named};
use super::verdicts::Verdicts;
use crate::catalogue::Role;
use crate::dissect::media::MediaKind;
use crate::dissect::tunnel::TunnelProtocol;
use crate::net::{Endpoint, protocol};
use crate::observation::NameSource;
use crate::store::Target;
use crate::time::{NANOS_PER_SECOND, Timestamp};
use crate::worker::part::{End, FlowRecord, ObservationRecord};

/// A name that was seen, and what it stands for.
#[derive(Clone, Debug)]
pub struct ObservationLine {
    /// The name, when and where.
    pub observation: ObservationRecord,
    /// The app's id.
    pub app: Option<Box<str>>,
    /// The role of the rule that matched.
    pub role: Option<Role>,
}

/// A flow that ended, and what it turned out to be.
#[derive(Clone, Debug)]
pub struct FlowLine {
    first_seen: Timestamp,
    last_seen: Timestamp,
    client: Endpoint,
    server: Endpoint,
    protocol: u8,
    name: Option<Box<str>>,
    name_source: Option<NameSource>,
    candidates: Box<[Box<str>]>,
    /// The share that each app has in them.
    candidate_apps: BTreeMap<Box<str>, f64>,
    ech: Option<EchState>,
    app: Option<Box<str>>,
    role: Option<Role>,
    packets: u64,
    bytes_up: u64,
    bytes_down: u64,
    end: End,
    tunnel: Option<TunnelProtocol>,
    media: Option<MediaKind>,
}

impl FlowLine {
    /// `name`: the flow's own; `named`: what merge made of it.
    pub fn new(
        flow: &FlowRecord,
        name: Option<(Box<str>, NameSource)>,
        named: Option<&Named>,
        verdicts: &mut Verdicts,
    ) -> FlowLine {
        let verdict = match (named, &name) {
            (Some(named), _) => named.verdict,
            (None, Some((name, _))) => Some(verdicts.name(name)),
            (None, None) => None,
        };
        let app = verdict.and_then(|verdict| verdict.target).and_then(|target| {
            match verdicts.target(target) {
                Target::App { app, .. } => Some(app.id.as_str().into()),
                Target::Domain(_) | Target::Labelled { .. } | Target::Undecided { .. } => None,
            }
        });
        let (name, name_source) = match named {
            Some(named) => {
                let known = named.verdict.is_some();
                (named.name.clone(), known.then_some(named.source))
            }
            None => name.map_or((None, None), |(name, source)| (Some(name), Some(source))),
        };
        FlowLine {
            first_seen: flow.first_seen,
            last_seen: flow.last_seen,
            client: flow.client,
            server: flow.server,
            protocol: flow.protocol,
            name,
            name_source,
            candidate_apps: named
                .map(|named| shares(&named.candidates, verdicts))
                .unwrap_or_default(),
            candidates: named.map(|named| named.candidates.clone()).unwrap_or_default(),
            ech: named.and_then(|named| named.ech),
            role: app.as_ref().and(verdict).and_then(|verdict| verdict.role),
            app,
            packets: flow.packets,
            bytes_up: flow.bytes_up,
            bytes_down: flow.bytes_down,
            end: flow.end,
            tunnel: match named {
                Some(named) if named.is_tor => flow.tunnel.or(Some(TunnelProtocol::Tor)),
                _ => flow.tunnel,
            },
            media: flow.media,
        }
    }
}

/// The share that each app has in names that a flow may have had in mind.
fn shares(candidates: &[Box<str>], verdicts: &mut Verdicts) -> BTreeMap<Box<str>, f64> {
    let mut names: BTreeMap<Box<str>, f64> = BTreeMap::new();
    for name in candidates {
        let target = verdicts.name(name).target;
        if let Some(Target::App { app, .. }) = target.map(|target| verdicts.target(target)) {
            *names.entry(app.id.as_str().into()).or_default() += 1.0;
        }
    }
    names.into_iter().map(|(app, count)| (app, count / candidates.len() as f64)).collect()
}

/// The lines of a run. They are kept in memory until its end, when their order is known.
#[derive(Debug, Default)]
pub struct Records {
    wants_observations: bool,
    wants_flows: bool,
    observations: Vec<ObservationLine>,
    flows: Vec<FlowLine>,
}

/// An observation as it is written; `source` to `host` are the keys other tools read.
#[derive(Serialize)]
struct ObservationJson<'a> {
    source: &'a str,
    client_ip: String,
    client_port: u16,
    server_ip: String,
    server_port: u16,
    host: &'a str,
    time: String,
    app: Option<&'a str>,
    role: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    ja4: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    forwarded_for: Option<String>,
}

/// A flow as it is written. Times are seconds since the epoch.
#[derive(Serialize)]
struct FlowJson<'a> {
    ts: serde_json::Number,
    ts_end: serde_json::Number,
    client_ip: String,
    client_port: u16,
    server_ip: String,
    server_port: u16,
    proto: String,
    name: Option<&'a str>,
    name_source: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    candidates: &'a [Box<str>],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    candidate_apps: &'a BTreeMap<Box<str>, f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ech: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tunnel: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remote_access: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    media: Option<&'a str>,
    app: Option<&'a str>,
    role: Option<&'a str>,
    packets: u64,
    bytes_up: u64,
    bytes_down: u64,
    end: &'a str,
}

impl Records {
    pub(super) fn new(observations: bool, flows: bool) -> Records {
        Records { wants_observations: observations, wants_flows: flows, ..Records::default() }
    }

    /// Whether flows are wanted.
    pub(super) fn wants_flows(&self) -> bool {
        self.wants_flows
    }

    pub(super) fn observation(&mut self, line: ObservationLine) {
        if self.wants_observations {
            self.observations.push(line);
        }
    }

    pub(super) fn flow(&mut self, line: FlowLine) {
        if self.wants_flows {
            self.flows.push(line);
        }
    }

    /// Writes all observations: by time, then protocol, client, server and name.
    ///
    /// # Errors
    /// `out` fails.
    pub fn write_observations(&mut self, mut out: impl Write) -> io::Result<()> {
        self.observations.sort_by(|one, other| {
            fn key(line: &ObservationLine) -> impl Ord + '_ {
                let seen = &line.observation;
                (seen.time, seen.seen, seen.client, seen.server, &seen.host, &seen.ja4)
            }
            key(one).cmp(&key(other))
        });
        for line in &self.observations {
            let seen = &line.observation;
            let json = ObservationJson {
                source: seen.seen.as_str(),
                client_ip: seen.client.address.to_string(),
                client_port: seen.client.port,
                server_ip: seen.server.address.to_string(),
                server_port: seen.server.port,
                host: &seen.host,
                time: rfc3339(seen.time),
                app: line.app.as_deref(),
                role: line.role.map(|role| role.as_str()),
                ja4: &seen.ja4,
                forwarded_for: seen.forwarded_for.map(|address| address.to_string()),
            };
            write_line(&mut out, &json)?;
        }
        out.flush()
    }

    /// Writes all flows: by first stamp, then client, server, protocol and last stamp.
    ///
    /// # Errors
    /// `out` fails.
    pub fn write_flows(&mut self, mut out: impl Write) -> io::Result<()> {
        self.flows.sort_by(|one, other| {
            let key = |line: &FlowLine| {
                (
                    (line.first_seen, line.client, line.server, line.protocol, line.last_seen),
                    (line.packets, line.bytes_up, line.bytes_down, line.end),
                )
            };
            key(one).cmp(&key(other))
        });
        for line in &self.flows {
            let is_remote = |tunnel: &TunnelProtocol| tunnel.is_remote_access();
            let remote_access = line.tunnel.filter(is_remote);
            let tunnel = line.tunnel.filter(|tunnel| !is_remote(tunnel));
            let json = FlowJson {
                ts: seconds(line.first_seen),
                ts_end: seconds(line.last_seen),
                client_ip: line.client.address.to_string(),
                client_port: line.client.port,
                server_ip: line.server.address.to_string(),
                server_port: line.server.port,
                proto: protocol_name(line.protocol),
                name: line.name.as_deref(),
                name_source: line.name_source.map(NameSource::as_str),
                candidates: &line.candidates,
                candidate_apps: &line.candidate_apps,
                ech: line.ech.map(EchState::as_str),
                tunnel: tunnel.map(TunnelProtocol::as_str),
                remote_access: remote_access.map(TunnelProtocol::as_str),
                media: line.media.map(MediaKind::as_str),
                app: line.app.as_deref(),
                role: line.role.map(|role| role.as_str()),
                packets: line.packets,
                bytes_up: line.bytes_up,
                bytes_down: line.bytes_down,
                end: line.end.as_str(),
            };
            write_line(&mut out, &json)?;
        }
        out.flush()
    }
}

fn write_line(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}

/// The usual name of an IP protocol, or its number.
fn protocol_name(number: u8) -> String {
    match number {
        protocol::TCP => "tcp".into(),
        protocol::UDP => "udp".into(),
        protocol::ICMP => "icmp".into(),
        protocol::ICMPV6 => "icmpv6".into(),
        protocol::ESP => "esp".into(),
        protocol::AH => "ah".into(),
        protocol::GRE => "gre".into(),
        protocol::SCTP => "sctp".into(),
        other => other.to_string(),
    }
}

/// Seconds since the epoch with all digits that the stamp has, six at least.
fn seconds(time: Timestamp) -> serde_json::Number {
    let nanos = time.0.rem_euclid(NANOS_PER_SECOND);
    let sign = if time.0 < 0 { "-" } else { "" };
    // The magnitude, so that times before the epoch read as the numbers they are.
    let magnitude = time.0.unsigned_abs();
    let (whole, part) = (magnitude / 1_000_000_000, magnitude % 1_000_000_000);
    let text = if nanos % 1000 == 0 {
        format!("{sign}{whole}.{:06}", part / 1000)
    } else {
        format!("{sign}{whole}.{part:09}")
    };
    text.parse().unwrap_or_else(|_| serde_json::Number::from(time.seconds()))
}

fn rfc3339(time: Timestamp) -> String {
    match jiff::Timestamp::from_nanosecond(i128::from(time.0)) {
        Ok(stamp) => stamp.to_string(),
        Err(_) => time.seconds().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_keep_their_digits() {
        assert_eq!(seconds(Timestamp(1_760_000_000_000_200_000)).to_string(), "1760000000.000200");
        assert_eq!(
            seconds(Timestamp(1_760_000_000_000_200_001)).to_string(),
            "1760000000.000200001"
        );
        assert_eq!(seconds(Timestamp(-1_500_000_000)).to_string(), "-1.500000");
    }
}
