//! `shadowscope run`: network interfaces to a database, until somebody asks for the end.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Args;
use signal_hook::consts::{SIGINT, SIGTERM};

use super::signature_args::SignatureArgs;
use super::{Mistake, settings};
use crate::capture::live::{self, LiveRing, LiveSettings, RING_BYTES, SNAP_BYTES, VLAN_MAX};
use crate::capture::ring::Ending;
use crate::decode;
use crate::feeds;
use crate::feeds::autonomous_systems::AutonomousSystems;
use crate::feeds::pseudonym_key;
use crate::identity::{Identities, Pseudonyms};
use crate::net::NetworkSet;
use crate::pipeline::live::{LiveDone, Pulse};
use crate::pipeline::merge::{Keep, Merge, MergeSettings};
use crate::pipeline::{self, WORKERS_MAX};
use crate::rights::{self, Needs};
use crate::signatures;
use crate::store::{RunKind, RunStart, Store};
use crate::worker::Settings;

/// An interface came back as another one: whoever started the program should start it again
/// (sysexits.h, EX_TEMPFAIL).
const EXIT_REPLACED: u8 = 75;
const MIB: u32 = 1 << 20;

/// What follows the options in the command's help.
const MORE_HELP: &str = "\
Needs the capability CAP_NET_RAW to begin, and gives it up with all others as soon as it captures.
Writes pseudonyms instead of clients' addresses and users' names, made with a key outside the
database; --clear is for laboratories. Ends with SIGTERM or SIGINT, after what is open was kept: 0.
Ends with 75 when an interface went away and came back as another one (start it again), 1 when the
machine failed, 2 for a mistake in the command or in a file given.

Examples:
  shadowscope run --interface eth1 --db usage.db
  shadowscope run --interface tap0 --interface tap1 --exclude-vlan 30 --workers 2";

/// The command's arguments.
#[derive(Args)]
#[command(after_help = MORE_HELP)]
pub(super) struct RunArgs {
    /// A network interface that shows the traffic; may be given several times
    #[arg(long, required = true, value_name = "IF")]
    interface: Vec<String>,
    /// Keep what was found in this SQLite database
    #[arg(long, value_name = "FILE", default_value = "/var/lib/shadowscope/shadowscope.db")]
    db: PathBuf,
    /// Who has which address: CSV with the columns address_or_network,user,department
    #[arg(long, value_name = "FILE")]
    identities: Option<PathBuf>,
    /// Whose network an address is in: an MMDB file with autonomous systems
    #[arg(long, value_name = "FILE")]
    asn_db: Option<PathBuf>,
    /// A home network, in which users are looked for; may be given several times
    /// [default: RFC 1918, RFC 4193 and link-local addresses]
    #[arg(long, value_name = "NET")]
    home: Vec<String>,
    /// What is the organisation's own.
    #[command(flatten)]
    own: settings::OwnArgs,
    /// The time zone of days and hours, such as Europe/Berlin
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    zone: String,
    /// Only packets that pass this filter, as tcpdump has it (see pcap-filter(7))
    #[arg(long, value_name = "BPF")]
    filter: Option<String>,
    /// Leave out frames of this VLAN, such as a guest Wi-Fi's; may be given several times
    #[arg(long, value_name = "ID", value_parser = clap::value_parser!(u16).range(1..=i64::from(VLAN_MAX)))]
    exclude_vlan: Vec<u16>,
    /// Leave out frames from and to addresses of this network; may be given several times
    #[arg(long, value_name = "NET")]
    exclude_network: Vec<String>,
    /// Bytes of a frame that are captured at most
    #[arg(long, value_name = "BYTES", default_value_t = SNAP_BYTES, value_parser = clap::value_parser!(u32).range(256..=262_144))]
    snap: u32,
    /// Memory for frames that wait, for each worker and interface, in MiB
    #[arg(long, value_name = "MIB", default_value_t = RING_BYTES / MIB, value_parser = clap::value_parser!(u32).range(1..=2047))]
    ring: u32,
    /// Whether copies of packets are left out, as SPAN ports make them
    #[arg(long, value_enum, value_name = "HOW", default_value = "auto")]
    dedup: settings::Dedup,
    /// Threads that take packets [default: one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=WORKERS_MAX as i64))]
    workers: Option<u16>,
    /// Write addresses and names as they are instead of pseudonyms: for laboratories
    #[arg(long, conflicts_with = "pseudonym_key")]
    clear: bool,
    /// The key that pseudonyms are made with; made, where there is none [default: the service's
    /// credential pseudonym.key, else /etc/shadowscope/pseudonym.key]
    #[arg(long, value_name = "FILE")]
    pseudonym_key: Option<PathBuf>,
    /// Go on as this user once the interfaces are open; needs to be root
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Stay root
    #[arg(long, conflicts_with = "user")]
    allow_root: bool,
    /// Which catalogue to use.
    #[command(flatten)]
    signatures: SignatureArgs,
}

pub(super) fn run(args: &RunArgs) -> Result<ExitCode, Box<dyn Error>> {
    check_root(args)?;
    let zone = settings::zone(&args.zone)?;
    let home = settings::home(&args.home)?;
    let live_settings = live_settings(args)?;
    let merge_settings = merge_settings(args)?;
    let pseudonyms = match args.clear {
        true => None,
        false => Some(pseudonym_key::load(args.pseudonym_key.as_deref())?),
    };
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    let rings = live::open(&live_settings, stop)?;
    check_links(&rings)?;
    if let Some(user) = &args.user {
        rights::become_user(user)?;
    }
    let keep = begin(args, &home, pseudonyms.as_ref())?;
    restrict(args)?;
    eprintln!(
        "shadowscope: capturing on {} with {} workers, kept in {}, {}",
        args.interface.join(", "),
        rings.len(),
        args.db.display(),
        match &pseudonyms {
            Some(pseudonyms) => format!("under pseudonyms of key {}", pseudonyms.key_id()),
            None => "addresses in the clear".into(),
        }
    );

    let merge_settings = MergeSettings {
        identities: match pseudonyms {
            Some(pseudonyms) => merge_settings.identities.with_pseudonyms(pseudonyms),
            None => merge_settings.identities,
        },
        ..merge_settings
    };
    let mut merge = Merge::new(merge_settings, Some(keep));
    let pulses: Vec<Arc<Pulse>> = rings.iter().map(|_| Arc::default()).collect();
    let settings = Settings {
        home,
        grid: settings::hour_grid(&zone),
        copies: args.dedup.copies(),
        own_servers: args.own.servers()?,
        sinkholes: args.own.sinkholes()?,
        ..Settings::default()
    };
    let done = pipeline::live::run(rings, settings, &mut merge, &pulses, |_| ())?;
    let lost = merge.uncommitted();
    if let (.., Some(Keep { mut store, run })) = merge.finish() {
        store.finish_run(run, &[])?;
    }
    if let Some(message) = lost {
        return Err(message.into());
    }
    Ok(ExitCode::from(exit_code(&done)))
}

/// Tells why the run ended, where that was nobody's wish.
fn exit_code(done: &LiveDone) -> u8 {
    match &done.ending {
        Ending::Asked => 0,
        Ending::Replaced(interface) => {
            eprintln!(
                "shadowscope: {interface} went away and came back as another interface; start \
                 the program again"
            );
            EXIT_REPLACED
        }
        Ending::Failed(interface, message) => {
            eprintln!("shadowscope: capturing on {interface} failed: {message}");
            1
        }
    }
}

fn check_root(args: &RunArgs) -> Result<(), Mistake> {
    match (rights::is_root(), &args.user, args.allow_root) {
        (true, None, false) => Err(Mistake(
            "root is more than capturing needs: give --user NAME to go on as another user, run it \
             as a user with the capability CAP_NET_RAW (`setcap cap_net_raw+ep`, or a service's \
             AmbientCapabilities=), or insist with --allow-root"
                .into(),
        )),
        (false, Some(user), _) => {
            Err(Mistake(format!("--user {user}: only root can go on as another user")))
        }
        _ => Ok(()),
    }
}

fn live_settings(args: &RunArgs) -> Result<LiveSettings, Mistake> {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    Ok(LiveSettings {
        interfaces: args.interface.clone(),
        rings: args.workers.map_or_else(cores, usize::from).min(WORKERS_MAX),
        ring_bytes: args.ring * MIB,
        snap_bytes: args.snap,
        filter: args.filter.clone(),
        excluded_vlans: args.exclude_vlan.clone(),
        excluded_networks: settings::networks("--exclude-network", &args.exclude_network)?,
    })
}

fn merge_settings(args: &RunArgs) -> Result<MergeSettings, Box<dyn Error>> {
    Ok(MergeSettings {
        catalogue: Arc::new(signatures::load(&args.signatures.options())?),
        identities: match &args.identities {
            Some(path) => feeds::identities::read(path)?,
            None => Identities::default(),
        },
        autonomous_systems: args.asn_db.as_deref().map(AutonomousSystems::open).transpose()?,
        own_domains: args.own.domains()?,
        unmatched: false,
        observations: false,
        flows: false,
        live: true,
    })
}

fn check_links(rings: &[LiveRing]) -> Result<(), Mistake> {
    for (interface, link) in live::link_types(rings) {
        if !decode::is_supported(link) {
            return Err(Mistake(format!(
                "--interface {interface}: its link type {} ({}) is not one that is read",
                link.0,
                decode::link_name(link)
            )));
        }
    }
    Ok(())
}

/// Opens the database and begins a run in it.
fn begin(
    args: &RunArgs,
    home: &NetworkSet,
    pseudonyms: Option<&Pseudonyms>,
) -> Result<Keep, Box<dyn Error>> {
    let config = serde_json::json!({
        "dedup": format!("{:?}", args.dedup), "exclude_network": args.exclude_network, "exclude_vlan": args.exclude_vlan,
        "filter": args.filter, "home": format!("{home:?}"), "snap": args.snap, "zone": args.zone,
        "own_domain": args.own.own_domain, "own_server": args.own.own_server,
        "sinkhole": args.own.sinkhole,
    });
    let mut store = Store::open(&args.db, &args.zone)?;
    let begun = store.begin_run(&RunStart {
        kind: RunKind::Live,
        captures: Vec::new(),
        again: false,
        program: env!("CARGO_PKG_VERSION").into(),
        config_sha256: settings::sha256(&config.to_string()),
        pseudonym_key: pseudonyms.map(Pseudonyms::key_id).unwrap_or_default(),
    })?;
    Ok(Keep { store, run: begun.run })
}

fn restrict(args: &RunArgs) -> Result<(), Box<dyn Error>> {
    // Where a link leads is where the database is.
    let db = args.db.canonicalize().unwrap_or_else(|_| args.db.clone());
    let folder = match db.parent() {
        Some(folder) if folder != Path::new("") => folder.to_path_buf(),
        _ => PathBuf::from("."),
    };
    let needs = Needs { write: vec![folder], ..Needs::default() };
    if !rights::restrict(&needs)?.files {
        eprintln!("shadowscope: this kernel has no Landlock: files are not out of reach");
    }
    Ok(())
}
