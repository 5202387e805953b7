//! `shadowscope doctor`: what an interface shows, and in plain words what it will not.
//!
//! It looks at rights, interfaces, memory, disk and clock, captures for a few seconds with the same
//! engine as `run`, keeps nothing, and tells what that showed. It changes nothing.

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use clap::Args;

use super::{run, settings, summary};
use crate::capture::ring::{Polled, Ring};
use crate::capture::{Block, interface, live};
use crate::config::arguments::Given;
use crate::config::{Config, setting};
use crate::identity::Identities;
use crate::ledger::Bucket;
use crate::pipeline::merge::{Merge, MergeSettings};
use crate::pipeline::summary::Summary;
use crate::service::reload;
use crate::stats::Counter;
use crate::worker::part::RingSums;
use crate::worker::{Settings, duplicates::Copies};
use crate::{pipeline, rights, signatures, store};

/// Bytes of an Ethernet header with two tags.
const HEADERS_BYTES: u32 = 22;
/// Below that, the disk is nearly full, in bytes.
const FREE_BYTES_LEAST: u64 = 2_000_000_000;
/// Few packets say little.
const PACKETS_LEAST: u64 = 1000;

/// The command's arguments: all settings of `run`.
#[derive(Args)]
pub(super) struct DoctorArgs {
    #[command(flatten)]
    given: Given,
    /// For how long it captures; 0: not at all
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(0..=3600))]
    seconds: u64,
}

/// What was found; told line by line.
#[derive(Default)]
struct Findings {
    is_bad: bool,
}

impl Findings {
    fn well(&mut self, text: &str) {
        println!("ok    {text}");
    }

    fn note(&mut self, text: &str) {
        println!("note  {text}");
    }

    fn bad(&mut self, text: &str) {
        self.is_bad = true;
        println!("BAD   {text}");
    }
}

/// Ends with 1 where something stands in the way of a sensor.
pub(super) fn run(args: &DoctorArgs) -> Result<ExitCode, Box<dyn Error>> {
    let config = settings::load(&args.given)?;
    let mut findings = Findings::default();
    machine(&config, &mut findings);
    let is_there = interfaces(&config, &mut findings);
    if args.seconds > 0 && is_there && rights::may_capture() {
        let sample = sample(&config, Duration::from_secs(args.seconds))?;
        shown(&sample, args.seconds, &mut findings);
    } else if args.seconds > 0 {
        findings.note("nothing was captured, so what the port shows is not known");
    }
    always(&mut findings);
    Ok(ExitCode::from(u8::from(findings.is_bad)))
}

fn machine(config: &Config, findings: &mut Findings) {
    match rights::may_capture() {
        true => findings.well("rights: it may capture (CAP_NET_RAW)"),
        false => findings.bad(
            "rights: it may not capture: run the doctor as root, and the sensor as the service, \
             which has CAP_NET_RAW",
        ),
    }
    let db = settings::db(config);
    let folder = settings::folder_of(&db);
    // The service's folder is made when it starts for the first time.
    let is_made = folder.exists() || config.text("store.db") != Some(setting("store.db").default);
    let nearest = folder.ancestors().find(|folder| is_made || folder.exists());
    match nearest.and_then(store::free_bytes) {
        Some(free) if free < FREE_BYTES_LEAST => findings.bad(&format!(
            "disk: {} are left for {}: make room, or set store.bytes_max",
            summary::bytes(free),
            db.display()
        )),
        Some(free) => {
            findings.well(&format!("disk: {} are free for {}", summary::bytes(free), db.display()))
        }
        None => findings.bad(&format!(
            "disk: there is no folder {}: make it, or name another place with store.db",
            folder.display()
        )),
    }
    // systemd-timesyncd leaves a mark; other programs do not.
    match Path::new("/run/systemd/timesync/synchronized").exists() {
        true => findings.well("clock: it is kept right by systemd-timesyncd"),
        false => findings.note(
            "clock: whether it is right cannot be told here; see `timedatectl`. Rows have the \
             machine's time",
        ),
    }
    if let Ok(wanted) = run::live_settings(config) {
        let bytes =
            wanted.rings as u64 * wanted.interfaces.len() as u64 * u64::from(wanted.ring_bytes);
        let text = format!(
            "rings: {} workers on {} interfaces need {} of memory for frames that wait",
            wanted.rings,
            wanted.interfaces.len(),
            summary::bytes(bytes)
        );
        match available_bytes() {
            Some(available) if bytes > available / 2 => findings.bad(&format!(
                "{text}, of {} that are free: make capture.ring_mib smaller",
                summary::bytes(available)
            )),
            _ => findings.well(&text),
        }
    }
}

/// Whether all interfaces are there.
fn interfaces(config: &Config, findings: &mut Findings) -> bool {
    let names = config.list("capture.interface");
    if names.is_empty() {
        findings.bad(&format!(
            "interface: none is configured; give --interface, one of {}",
            interface::names().join(", ")
        ));
        return false;
    }
    let mut are_there = true;
    for name in names {
        let Some(facts) = interface::facts(name) else {
            findings.bad(&format!(
                "interface {name}: there is none; there are {}",
                interface::names().join(", ")
            ));
            are_there = false;
            continue;
        };
        let speed = facts.speed_mbits.map(|speed| format!(", {speed} Mbit/s")).unwrap_or_default();
        let mtu = facts.mtu.map(|mtu| format!(", MTU {mtu}")).unwrap_or_default();
        match facts.is_up {
            true => findings.well(&format!("interface {name}: it is up{speed}{mtu}")),
            false => findings.bad(&format!(
                "interface {name}: it is down or has no link; `ip link set {name} up`, and see \
                 whether the cable carries"
            )),
        }
        let lost = facts.dropped.unwrap_or(0) + facts.errors.unwrap_or(0);
        if lost > 0 {
            findings.note(&format!(
                "interface {name}: {lost} frames were dropped or damaged since the machine began"
            ));
        }
    }
    are_there
}

/// What a few seconds showed.
struct Sample {
    summary: Summary,
    rings: RingSums,
    longest: u32,
    mtu: Option<u32>,
    snap_bytes: u32,
}

fn sample(config: &Config, during: Duration) -> Result<Sample, Box<dyn Error>> {
    let live_settings = run::live_settings(config)?;
    let stop = Arc::new(AtomicBool::new(false));
    let rings = live::open(&live_settings, Arc::clone(&stop))?;
    let longest = Arc::new(AtomicU32::new(0));
    let rings: Vec<_> = rings
        .into_iter()
        .map(|ring| Measured { ring, longest: Arc::clone(&longest), sums: Arc::default() })
        .collect();
    let sums: Vec<_> = rings.iter().map(|ring| Arc::clone(&ring.sums)).collect();
    let mut merge = Merge::new(
        MergeSettings {
            own_domains: Vec::new(),
            catalogue: Arc::new(signatures::load(&reload::options(config))?),
            identities: Identities::default(),
            autonomous_systems: None,
            unmatched: false,
            observations: false,
            flows: false,
            live: false,
        },
        None,
    );
    println!("      capturing for {} s", during.as_secs());
    std::thread::spawn(move || {
        std::thread::sleep(during);
        stop.store(true, Ordering::Relaxed);
    });
    // Copies are looked for, whatever is configured.
    let worker_settings =
        Settings { home: settings::home(config)?, copies: Copies::LeftOut, ..Settings::default() };
    pipeline::live::run(rings, worker_settings, &mut merge, &[], |_| ())?;
    let mtus = live_settings.interfaces.iter().filter_map(|name| interface::facts(name)?.mtu);
    let (summary, ..) = merge.finish();
    let number = |of: fn(&Counted) -> &std::sync::atomic::AtomicU64| {
        sums.iter().map(|sums| of(sums).load(Ordering::Relaxed)).sum()
    };
    Ok(Sample {
        summary,
        rings: RingSums {
            received: number(|sums| &sums.received),
            dropped: number(|sums| &sums.dropped),
            interface_dropped: number(|sums| &sums.interface_dropped),
            down_nanos: 0,
        },
        longest: longest.load(Ordering::Relaxed),
        mtu: mtus.max(),
        snap_bytes: live_settings.snap_bytes,
    })
}

/// What a ring said, for the doctor.
#[derive(Default)]
struct Counted {
    received: std::sync::atomic::AtomicU64,
    dropped: std::sync::atomic::AtomicU64,
    interface_dropped: std::sync::atomic::AtomicU64,
}

/// A ring whose frames are looked at on their way.
struct Measured<R> {
    ring: R,
    longest: Arc<AtomicU32>,
    sums: Arc<Counted>,
}

impl<R: Ring> Ring for Measured<R> {
    fn poll(&mut self, block: &mut Block) -> Polled {
        let polled = self.ring.poll(block);
        if let Some(longest) = block.records.iter().map(|record| record.wire_length).max() {
            self.longest.fetch_max(longest, Ordering::Relaxed);
        }
        polled
    }

    fn statistics(&mut self) -> RingSums {
        let sums = self.ring.statistics();
        self.sums.received.fetch_add(sums.received, Ordering::Relaxed);
        self.sums.dropped.fetch_add(sums.dropped, Ordering::Relaxed);
        self.sums.interface_dropped.fetch_add(sums.interface_dropped, Ordering::Relaxed);
        sums
    }
}

fn shown(sample: &Sample, seconds: u64, findings: &mut Findings) {
    let found = &sample.summary;
    let packets = found.counters.value(Counter::Packets);
    if packets == 0 {
        findings.bad(&format!(
            "traffic: nothing came in {seconds} s: does the switch mirror to this port?"
        ));
        return;
    }
    let rate = packets / seconds.max(1);
    findings.well(&format!(
        "traffic: {packets} packets, {} ({rate} packets a second)",
        summary::bytes(found.total_bytes())
    ));
    if packets < PACKETS_LEAST {
        findings.note("traffic: so few packets say little; try again when people work");
    }
    let lost = sample.rings.dropped + sample.rings.interface_dropped;
    match lost {
        0 => findings.well("losses: the kernel and the interfaces dropped nothing"),
        _ => findings.bad(&format!(
            "losses: {lost} frames were dropped: give it more workers, or a larger capture.ring_mib"
        )),
    }
    let share = |part: u64, whole: u64| 100 * part / whole.max(1);
    let health = &found.health;
    match share(health.tcp_two_way, health.tcp_flows) {
        _ if health.tcp_flows == 0 => findings.note("directions: no TCP connection was seen"),
        share @ 80.. => {
            findings
                .well(&format!("directions: {share} % of the TCP connections are seen both ways"));
        }
        share => findings.bad(&format!(
            "directions: only {share} % of the TCP connections are seen both ways: mirror both \
             ingress and egress. Until then there are no bytes of downloads, few DNS answers, no \
             certificates, and failed attempts are not told from others"
        )),
    }
    let gaps = share(health.gap_bytes, health.gap_bytes + health.sequence_bytes);
    if gaps > 0 {
        findings.bad(&format!(
            "losses: {gaps} % of the TCP payload was lost before it came here: the mirror port is \
             slower than what it mirrors, or the switch is busy"
        ));
    }
    match (health.dns_questions, health.dns_answers) {
        (0, 0) => findings.bad(
            "DNS: none is seen: connections without a name of their own stay without one. Mirror \
             the way to the resolver too",
        ),
        (_, 0) => findings.bad("DNS: questions are seen, answers are not"),
        (_, answers) => findings.well(&format!("DNS: {answers} answers")),
    }
    let copies = found.counters.value(Counter::Duplicate);
    if copies * 20 > packets {
        findings.note(&format!(
            "copies: {} % of the packets come twice: leave capture.dedup at auto",
            share(copies, packets)
        ));
    }
    if let Some(mtu) = sample.mtu.filter(|mtu| sample.longest > mtu + HEADERS_BYTES) {
        findings.note(&format!(
            "offloads: frames of {} bytes come where {mtu} are the most: the interface puts \
             segments together (`ethtool -K IF gro off lro off` stops it). Bytes are right all the \
             same; packets and copies are fewer",
            sample.longest
        ));
    }
    if sample.snap_bytes < live::SNAP_BYTES {
        findings.note("snap: names in long hellos are cut off; leave capture.snap_bytes at 4096");
    }
    let of = |bucket: Bucket| {
        let inside = found.books.iter().filter(|(_, of, ..)| *of == bucket);
        share(inside.map(|(.., bytes)| bytes).sum(), found.total_bytes())
    };
    for (bucket, least, text) in [
        (Bucket::Tunnel, 1, "is in VPNs and relays, and what is inside is not shown"),
        (Bucket::EncryptedDns, 1, "is encrypted DNS, whose answers are not shown"),
        (Bucket::EchHidden, 1, "hides its name (Encrypted ClientHello)"),
        (Bucket::Inbound, 20, "is of clients outside the home networks: is networks.home right?"),
        (Bucket::Private, 50, "stays at home: this port shows little of the way outside"),
        (Bucket::Undecodable, 1, "cannot be decoded"),
        (Bucket::NoName, 30, "has no name; much of it may be older than the capture"),
    ] {
        if of(bucket) >= least {
            findings.note(&format!("ledger: {} % of the bytes {text}", of(bucket)));
        }
    }
}

/// What no port shows.
fn always(findings: &mut Findings) {
    findings.note(
        "no port shows: what does not pass it (mobile networks, other sites, split tunnels), what \
         is inside encrypted connections, and who is behind NAT or a proxy in front of it",
    );
}

/// Memory that is to be had, in bytes.
fn available_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}
