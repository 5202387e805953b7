//! The state of a running sensor as JSON (for `shadowscope status`) and as metrics of Prometheus.
//!
//! Merge writes what it knows; the workers' own figures are put beside it when somebody asks. No
//! figure tells of anybody.

use std::fmt::Write;
use std::sync::atomic::Ordering;

use serde_json::json;

use crate::flow::table::FLOWS_MAX;
use crate::pipeline::board::{Board, Page};
use crate::pipeline::progress::Progress;
use crate::time::NANOS_PER_SECOND;

/// What merge's thread knows besides its progress.
#[derive(Clone, Debug, Default)]
pub struct Circumstances {
    /// When the program began, in seconds since 1970.
    pub began_seconds: i64,
    /// When this was written.
    pub now_seconds: i64,
    /// When the last commit was, if there was one.
    pub committed_seconds: Option<i64>,
    /// The catalogue's version.
    pub catalogue: String,
    /// Catalogues that were taken while it ran, and that were refused.
    pub reloads: (u64, u64),
    /// What to tell of rows that the disk refuses.
    pub uncommitted: Option<String>,
    /// The interfaces' names.
    pub interfaces: Vec<String>,
    /// The database.
    pub db: String,
}

impl Circumstances {
    /// How far merge is behind the clock, in seconds; none before the first tick.
    fn lag_seconds(&self, progress: &Progress) -> Option<i64> {
        Some((self.now_seconds - progress.horizon?.seconds()).max(0))
    }
}

/// Merge's part of the state.
pub fn status(progress: &Progress, about: &Circumstances) -> String {
    let rings = progress.all_rings();
    let health = progress.health;
    let bounded: serde_json::Map<_, _> = progress
        .counters
        .iter()
        .filter(|(counter, value)| *value > 0 && counter.name() != "packets")
        .map(|(counter, value)| (counter.name().to_owned(), value.into()))
        .collect();
    let names: serde_json::Map<_, _> = progress
        .names
        .iter()
        .map(|(source, n)| (source.as_str().to_owned(), (*n).into()))
        .collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "interfaces": about.interfaces,
        "db": about.db,
        "began_seconds": about.began_seconds,
        "seen_seconds": about.now_seconds,
        "commits": progress.commits,
        "committed_seconds": about.committed_seconds,
        "uncommitted": about.uncommitted,
        "lag_seconds": about.lag_seconds(progress),
        "parts_waiting": progress.parts_waiting,
        "catalogue": about.catalogue,
        "reloads": about.reloads.0,
        "reloads_refused": about.reloads.1,
        "packets": progress.packets,
        "bytes": progress.total_bytes,
        "flows": progress.flows,
        "clients": progress.clients,
        "clients_known": progress.clients_known,
        "received": rings.received,
        "dropped": rings.dropped,
        "interface_dropped": rings.interface_dropped,
        "down_seconds": rings.down_nanos / NANOS_PER_SECOND as u64,
        "tcp_flows": health.tcp_flows,
        "tcp_two_way": health.tcp_two_way,
        "sequence_bytes": health.sequence_bytes,
        "gap_bytes": health.gap_bytes,
        "dns_answers": health.dns_answers,
        "names": names,
        "buckets": progress.buckets,
        "losses": bounded,
    })
    .to_string()
}

/// The state as it is now, with the workers' part; `None` before merge has said anything.
pub fn status_now(board: &Board) -> Option<String> {
    let page = board.read(Page::Status)?;
    let mut status: serde_json::Value = serde_json::from_str(&page).ok()?;
    let workers = board.pulses.iter().map(|pulse| {
        json!({
            "polls": pulse.polls.load(Ordering::Relaxed),
            "packets": pulse.packets.load(Ordering::Relaxed),
            "flows": pulse.flows.load(Ordering::Relaxed),
        })
    });
    let workers: Vec<_> = workers.collect();
    status.as_object_mut()?.insert("workers".into(), workers.into());
    Some(status.to_string())
}

/// Merge's part of the metrics.
pub fn metrics(progress: &Progress, about: &Circumstances) -> String {
    let mut page = Metrics::default();
    page.one("build_info", "gauge", "Always 1.", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    page.one("start_time_seconds", "gauge", "When the sensor began.", &[], about.began_seconds);
    let packets = "Packets in commits.";
    page.one("packets_total", "counter", packets, &[], progress.packets);
    page.one("bytes_total", "counter", "Bytes in commits.", &[], progress.total_bytes);
    page.one("flows_total", "counter", "Flows in commits.", &[], progress.flows);
    page.head("bucket_bytes_total", "counter", "Bytes by the bucket of the ledger.");
    for (bucket, bytes) in &progress.buckets {
        page.sample("bucket_bytes_total", &[("bucket", bucket)], *bytes);
    }
    page.head("named_connections_total", "counter", "Connections by the source of their name.");
    for (source, connections) in &progress.names {
        page.sample("named_connections_total", &[("source", source.as_str())], *connections);
    }
    page.head("received_frames_total", "counter", "Frames that came to a ring.");
    page.head("dropped_frames_total", "counter", "Frames lost, by where.");
    page.head("interface_down_seconds_total", "counter", "How long interfaces were down.");
    for (ring, sums) in &progress.rings {
        let ring = ring.to_string();
        let labels = |place| [("ring", ring.as_str()), ("place", place)];
        page.sample("received_frames_total", &[("ring", &ring)], sums.received);
        page.sample("dropped_frames_total", &labels("ring"), sums.dropped);
        page.sample("dropped_frames_total", &labels("interface"), sums.interface_dropped);
        let down = sums.down_nanos / NANOS_PER_SECOND as u64;
        page.sample("interface_down_seconds_total", &[("ring", &ring)], down);
    }
    let health = progress.health;
    page.one("tcp_flows_total", "counter", "TCP flows that ended.", &[], health.tcp_flows);
    let two_way = "Those seen in both directions.";
    page.one("tcp_two_way_flows_total", "counter", two_way, &[], health.tcp_two_way);
    let sequence = "Payload of the sample of TCP flows that is followed.";
    page.one("tcp_sequence_bytes_total", "counter", sequence, &[], health.sequence_bytes);
    let gaps = "What was missing between it: lost before capture.";
    page.one("tcp_gap_bytes_total", "counter", gaps, &[], health.gap_bytes);
    page.one("dns_answers_total", "counter", "DNS answers.", &[], health.dns_answers);
    page.head("losses_total", "counter", "What was lost, refused or bounded.");
    for (counter, value) in progress.counters.iter() {
        page.sample("losses_total", &[("what", counter.name())], value);
    }
    page.one("clients", "gauge", "Clients seen today.", &[], progress.clients);
    let known = "Those of them that a user is known of.";
    page.one("clients_known", "gauge", known, &[], progress.clients_known);
    page.one("commits_total", "counter", "Commits.", &[], progress.commits);
    let committed = about.committed_seconds.unwrap_or(0);
    page.one("last_commit_time_seconds", "gauge", "When the last was; 0: none.", &[], committed);
    let refused = u8::from(about.uncommitted.is_some());
    page.one("commit_refused", "gauge", "1 while the disk refuses commits.", &[], refused);
    if let Some(lag) = about.lag_seconds(progress) {
        page.one("tick_lag_seconds", "gauge", "How far merge is behind the clock.", &[], lag);
    }
    let waiting = "Parts of workers that wait for merge.";
    page.one("parts_waiting", "gauge", waiting, &[], progress.parts_waiting);
    let version = [("version", about.catalogue.as_str())];
    page.one("catalogue_info", "gauge", "Always 1.", &version, 1);
    page.head("reloads_total", "counter", "Reloads of what is configured, by outcome.");
    page.sample("reloads_total", &[("outcome", "taken")], about.reloads.0);
    page.sample("reloads_total", &[("outcome", "refused")], about.reloads.1);
    page.one("merge_time_seconds", "gauge", "When merge said this.", &[], about.now_seconds);
    page.0
}

/// The metrics as they are now, with the workers' part; `None` before merge has said anything.
pub fn metrics_now(board: &Board) -> Option<String> {
    let mut page = Metrics(board.read(Page::Metrics)?.to_string());
    let number = |of: &std::sync::atomic::AtomicU64| of.load(Ordering::Relaxed);
    let workers = || board.pulses.iter().enumerate().map(|(n, pulse)| (n.to_string(), pulse));
    page.head("worker_polls_total", "counter", "How often a worker asked its ring.");
    for (worker, pulse) in workers() {
        page.sample("worker_polls_total", &[("worker", &worker)], number(&pulse.polls));
    }
    page.head("worker_packets_total", "counter", "Packets that a worker took.");
    for (worker, pulse) in workers() {
        page.sample("worker_packets_total", &[("worker", &worker)], number(&pulse.packets));
    }
    page.head("worker_flows", "gauge", "Flows that a worker holds.");
    page.head("worker_flows_max", "gauge", "How many it can hold.");
    for (worker, pulse) in workers() {
        page.sample("worker_flows", &[("worker", &worker)], number(&pulse.flows));
        page.sample("worker_flows_max", &[("worker", &worker)], FLOWS_MAX);
    }
    Some(page.0)
}

/// The text format of Prometheus, version 0.0.4.
#[derive(Default)]
struct Metrics(String);

impl Metrics {
    fn one<N: std::fmt::Display>(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        labels: &[(&str, &str)],
        value: N,
    ) {
        self.head(name, kind, help);
        self.sample(name, labels, value);
    }

    // Writing to a String does not fail.
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _infallible =
            writeln!(self.0, "# HELP shadowscope_{name} {help}\n# TYPE shadowscope_{name} {kind}");
    }

    fn sample<N: std::fmt::Display>(&mut self, name: &str, labels: &[(&str, &str)], value: N) {
        let escaped =
            |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let labels: Vec<_> =
            labels.iter().map(|(name, text)| format!("{name}=\"{}\"", escaped(text))).collect();
        let labels = match labels.is_empty() {
            true => String::new(),
            false => format!("{{{}}}", labels.join(",")),
        };
        let _infallible = writeln!(self.0, "shadowscope_{name}{labels} {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::part::RingSums;

    #[test]
    fn both_forms_say_the_same() {
        let mut progress = Progress { packets: 7, commits: 2, ..Progress::default() };
        progress.rings.insert(0, RingSums { received: 9, dropped: 2, ..RingSums::default() });
        progress.rings.insert(1, RingSums { received: 3, dropped: 1, ..RingSums::default() });
        progress.horizon = Some(crate::time::Timestamp::from_parts(100, 0));
        let about = Circumstances {
            now_seconds: 107,
            catalogue: "a\"b".into(),
            interfaces: vec!["tap0".into()],
            ..Circumstances::default()
        };
        let status: serde_json::Value = serde_json::from_str(&status(&progress, &about)).unwrap();
        assert_eq!((&status["packets"], &status["dropped"]), (&json!(7), &json!(3)));
        assert_eq!(status["lag_seconds"], 7);
        let metrics = metrics(&progress, &about);
        for line in [
            "shadowscope_packets_total 7",
            "shadowscope_dropped_frames_total{ring=\"1\",place=\"ring\"} 1",
            "shadowscope_catalogue_info{version=\"a\\\"b\"} 1",
            "shadowscope_tick_lag_seconds 7",
            "# TYPE shadowscope_losses_total counter",
        ] {
            assert!(metrics.lines().any(|found| found == line), "{line}\n{metrics}");
        }
        // What a sensor's keepers look for.
        for name in [
            "packets_total",
            "bytes_total",
            "received_frames_total",
            "dropped_frames_total",
            "interface_down_seconds_total",
            "tcp_gap_bytes_total",
            "named_connections_total",
            "bucket_bytes_total",
            "flows_total",
            "parts_waiting",
            "tick_lag_seconds",
            "catalogue_info",
            "last_commit_time_seconds",
            "clients",
            "clients_known",
        ] {
            assert!(metrics.contains(&format!("# TYPE shadowscope_{name} ")), "{name}\n{metrics}");
        }
        // Each line is a comment, or a name with a number.
        for line in metrics.lines().filter(|line| !line.starts_with('#')) {
            assert!(line.rsplit(' ').next().unwrap().parse::<f64>().is_ok(), "{line}");
        }
    }
}
