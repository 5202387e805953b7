//! `manifest.json`: what the report was made from, so that it can be checked and made again.
//!
//! Nothing in it depends on when, where or with how many workers it was made. Lists are sorted and
//! keys stand in a fixed order. `bounded` is empty unless a run reached one of its bounds: then its
//! figures may depend on how the input was cut up, and the list says which bound and how often.

use std::collections::BTreeMap;
use std::io::Write;

use serde::Serialize;

use super::ReportError;
use super::days::Days;
use super::output::{Finished, Output, hex};
use crate::evidence::Settings;
use crate::stats::Counter;
use crate::store::{HealthFacts, RunFacts, SCHEMA_VERSION, Snapshot, Stages};
use crate::time::NANOS_PER_SECOND;

#[derive(Serialize)]
struct Manifest<'a> {
    /// Version of the program that wrote the report.
    program: &'a str,
    /// Versions of the programs that read the packets.
    run_programs: Vec<String>,
    db_schema: i64,
    config_sha256: Vec<String>,
    catalogues: Vec<Catalogue>,
    /// What counted as use, and which addresses were no person.
    settings: &'a Settings,
    zone: &'a str,
    date_from: Option<String>,
    date_to: Option<String>,
    /// Stamps of the first and the last packet.
    first_seen: Option<String>,
    last_seen: Option<String>,
    packets: u64,
    total_bytes: u64,
    ip_bytes: u64,
    /// On how many days usage rests on rows by hour, on rows by day, and on totals of days.
    rests_on_days: StagesOf,
    /// How many of these rows of these days were deleted because of their age or for want of room:
    /// those by hour after they had become rows by day, and so on.
    rows_deleted: StagesOf,
    /// Whether users and devices are told by pseudonyms.
    subjects: Subjects,
    /// Which keys made them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pseudonym_keys: Vec<String>,
    /// The places whose traffic runs show, as they were named.
    sites: Vec<String>,
    /// Flows without a name to servers of which nothing is known: in no app's upper bound.
    unbounded: Unbounded,
    health: HealthOf,
    /// What the kernel says of live captures.
    #[serde(skip_serializing_if = "Option::is_none")]
    rings: Option<RingsOf>,
    /// Whatever was counted and is not zero, by name.
    losses: BTreeMap<String, u64>,
    bounded: Vec<Bounded>,
    captures: Vec<Capture>,
    /// SHA-256 of the report's other files, by name.
    files_sha256: BTreeMap<&'a str, &'a str>,
}

#[derive(Serialize)]
struct StagesOf {
    by_hour: u64,
    by_day: u64,
    totals: u64,
}

impl From<Stages<u64>> for StagesOf {
    fn from(Stages { hours, days, totals }: Stages<u64>) -> StagesOf {
        StagesOf { by_hour: hours, by_day: days, totals }
    }
}

/// What a report is made with, beside the database's rows.
pub(super) struct MadeWith<'a> {
    /// The name of the zone.
    pub(super) zone: &'a str,
    /// What counted as use.
    pub(super) settings: &'a Settings,
    /// On how many days usage was kept in which way.
    pub(super) rests_on: Stages<u64>,
}

/// How users and devices are told.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Subjects {
    Clear,
    Pseudonyms,
    /// Some runs in the one way, some in the other.
    Mixed,
}

impl Subjects {
    /// By the runs' keys, of which an empty one stands for none.
    fn of(keys: &[String]) -> Subjects {
        match keys.iter().any(String::is_empty) {
            true if keys.len() == 1 => Subjects::Clear,
            true => Subjects::Mixed,
            false if keys.is_empty() => Subjects::Clear,
            false => Subjects::Pseudonyms,
        }
    }
}

/// How good the captures are: estimates of what was lost, of which nothing is in the books.
#[derive(Serialize)]
struct HealthOf {
    tcp_flows: u64,
    tcp_one_way: u64,
    tcp_begun_before: u64,
    /// Payload of the TCP flows whose sequence numbers are followed, a sample, in bytes.
    sequence_bytes: u64,
    /// What was missing between it, in bytes: lost before it was captured.
    gap_bytes: u64,
    dns_questions: u64,
    dns_answers: u64,
}

#[derive(Serialize)]
struct Unbounded {
    flows: u64,
    bytes: u64,
}

#[derive(Serialize)]
struct RingsOf {
    received: u64,
    dropped: u64,
    interface_dropped: u64,
    interface_down_seconds: u64,
}

#[derive(Serialize)]
struct Catalogue {
    version: String,
    hash: String,
}

#[derive(Serialize)]
struct Bounded {
    bound: String,
    times: u64,
}

#[derive(Serialize)]
struct Capture {
    fingerprint: String,
    size_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    damaged_at: Option<u64>,
    /// Its reading stopped though there is more of it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    in_part: bool,
}

pub(super) fn write(
    mut output: Output,
    snapshot: &Snapshot<'_>,
    days: &Days<'_>,
    made_with: &MadeWith<'_>,
    files: &[Finished],
) -> Result<Finished, ReportError> {
    let MadeWith { zone, settings, rests_on } = made_with;
    let totals = snapshot.totals(days.window)?;
    let (flows, bytes) = snapshot.unbounded(days.window)?;
    let sites = snapshot.sites(days.window)?.into_iter().filter(|site| !site.is_empty()).collect();
    let HealthFacts { health, rings } = snapshot.health(days.window, None)?;
    let RunFacts { programs, config_sha256, catalogues, pseudonym_keys, captures, counters } =
        snapshot.runs(days.window)?;
    let (date_from, date_to) = days.ends()?.unzip();
    let (first_seen, last_seen) = totals.seen.unzip();
    let bounded = counters
        .iter()
        .filter(|(name, _)| is_bound(name))
        .map(|(name, times)| Bounded { bound: name.clone(), times: *times })
        .collect();
    let manifest = Manifest {
        program: env!("CARGO_PKG_VERSION"),
        run_programs: programs,
        db_schema: SCHEMA_VERSION,
        config_sha256,
        catalogues: catalogues
            .into_iter()
            .map(|(version, hash)| Catalogue { version, hash })
            .collect(),
        settings,
        zone,
        date_from,
        date_to,
        first_seen: first_seen.map(|stamp| days.time(stamp)).transpose()?,
        last_seen: last_seen.map(|stamp| days.time(stamp)).transpose()?,
        packets: totals.packets,
        total_bytes: totals.total_bytes,
        ip_bytes: totals.ip_bytes,
        rests_on_days: (*rests_on).into(),
        rows_deleted: snapshot.deleted(days.window)?.into(),
        subjects: Subjects::of(&pseudonym_keys),
        pseudonym_keys: pseudonym_keys.into_iter().filter(|key| !key.is_empty()).collect(),
        sites,
        unbounded: Unbounded { flows, bytes },
        health: HealthOf {
            tcp_flows: health.tcp_flows,
            tcp_one_way: health.tcp_flows.saturating_sub(health.tcp_two_way),
            tcp_begun_before: health.tcp_begun_before,
            sequence_bytes: health.sequence_bytes,
            gap_bytes: health.gap_bytes,
            dns_questions: health.dns_questions,
            dns_answers: health.dns_answers,
        },
        rings: rings.map(|sums| RingsOf {
            received: sums.received,
            dropped: sums.dropped,
            interface_dropped: sums.interface_dropped,
            interface_down_seconds: sums.down_nanos / NANOS_PER_SECOND as u64,
        }),
        losses: counters.into_iter().filter(|(name, _)| name != Counter::Packets.name()).collect(),
        bounded,
        captures: captures
            .into_iter()
            .map(|capture| Capture {
                fingerprint: hex(&capture.fingerprint),
                size_bytes: capture.size_bytes,
                damaged_at: capture.damaged_at,
                in_part: capture.in_part,
            })
            .collect(),
        files_sha256: files.iter().map(|file| (file.name, file.sha256.as_str())).collect(),
    };
    let text = serde_json::to_string_pretty(&manifest)
        .map_err(|error| output.failed(std::io::Error::other(error)))?;
    let written = writeln!(output, "{text}");
    written.map_err(|error| output.failed(error))?;
    output.finish()
}

/// Whether the counter of this name counts what a bound cost.
fn is_bound(name: &str) -> bool {
    Counter::ALL.iter().any(|counter| counter.name() == name && counter.is_bound())
}
