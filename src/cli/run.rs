//! `shadowscope run`: network interfaces to a database, until somebody asks for the end.

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Args;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::{Mistake, settings};
use crate::capture::live::{self, LiveRing, LiveSettings, RING_BYTES, SNAP_BYTES};
use crate::capture::ring::Ending;
use crate::config::arguments::Given;
use crate::config::{Config, DEFAULT_PATH};
use crate::decode;
use crate::feeds::autonomous_systems::AutonomousSystems;
use crate::feeds::pseudonym_key;
use crate::identity::Pseudonyms;
use crate::pipeline::board::Board;
use crate::pipeline::live::LiveDone;
use crate::pipeline::merge::{Keep, Merge, MergeSettings};
use crate::pipeline::{self, WORKERS_MAX};
use crate::report::Keeper;
use crate::rights::{self, Needs};
use crate::service::listen::Listeners;
use crate::service::memory;
use crate::service::notify::Notifier;
use crate::service::reload::{self, Inputs, Reloader};
use crate::service::{Tender, TenderSettings};
use crate::signatures;
use crate::store::{RunKind, RunStart, Store, StoreError};
use crate::worker::{Networks, Settings};

/// An interface came back as another one, or the database is not where it was: whoever started the
/// program should start it again (sysexits.h, EX_TEMPFAIL).
const EXIT_START_AGAIN: u8 = 75;
const MIB: u32 = 1 << 20;

/// What follows the options in the command's help.
const MORE_HELP: &str = "\
Needs the capability CAP_NET_RAW to begin, and gives it up with all others as soon as it captures.
Writes pseudonyms instead of clients' addresses and users' names, made with a key outside the
database; --clear is for laboratories. Ends with SIGTERM or SIGINT, after what is open was kept: 0.
Settings come from the command line, else the environment (SHADOWSCOPE_ and the option), else the
file, else they are defaults; `shadowscope config` shows which.
Ends with 75 when an interface went away and came back as another one, or the database was moved or
deleted (start it again), 1 when the machine failed, 2 for a mistake in the command or in a file
given.

Examples:
  shadowscope run --interface eth1 --db usage.db
  shadowscope run --interface tap0 --interface tap1 --exclude-vlan 30 --workers 2";

/// The command's arguments: all settings.
#[derive(Args)]
#[command(after_help = MORE_HELP)]
pub(super) struct RunArgs {
    #[command(flatten)]
    given: Given,
}

pub(super) fn run(args: &RunArgs) -> Result<ExitCode, Box<dyn Error>> {
    memory::give_back_large_buffers();
    let config = settings::load(&args.given)?;
    check_root(&config)?;
    let zone = settings::zone(&config)?;
    let site = settings::site(&config)?;
    let inputs = settings::inputs(&config)?;
    let live_settings = live_settings(&config)?;
    let copies = settings::dedup(&config);
    let merge_settings = merge_settings(&config, &inputs)?;
    let pseudonyms = match (config.flag("identity.clear"), config.path("identity.pseudonym_key")) {
        (true, None) => None,
        (true, Some(_)) => {
            let places = [config.place("identity.clear"), config.place("identity.pseudonym_key")];
            return Err(Mistake(format!(
                "{} makes no pseudonyms: leave one out",
                places.join(" and ")
            ))
            .into());
        }
        (false, path) => Some(pseudonym_key::load(path.as_deref())?),
    };
    let (stop, hangup) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    for (signal, flag) in [(SIGTERM, &stop), (SIGINT, &stop), (SIGHUP, &hangup)] {
        signal_hook::flag::register(signal, Arc::clone(flag))?;
    }
    let Inputs { networks, evidence, ages, config_sha256, .. } = inputs;
    let Networks { home, own_servers, sinkholes } = networks;
    let keeper = Keeper { zone: zone.clone(), settings: evidence };
    let notifier = Notifier::from_environment()?;
    let rings = live::open(&live_settings, Arc::clone(&stop))?;
    check_links(&rings)?;
    if let Some(user) = config.text("service.user") {
        rights::become_user(user)?;
    }
    let keep = begin(&config, config_sha256, site, pseudonyms.as_ref())?;
    let socket = config.path("service.socket");
    let listeners = Listeners::open(socket.as_deref(), config.text("service.metrics"))?;
    restrict(&config, &keep, !listeners.is_empty())?;
    eprintln!(
        "shadowscope: capturing on {} with {} workers, kept in {}, {}",
        live_settings.interfaces.join(", "),
        rings.len(),
        keep.store.path().display(),
        match &pseudonyms {
            Some(pseudonyms) => format!("under pseudonyms of key {}", pseudonyms.key_id()),
            None => "addresses in the clear".into(),
        }
    );

    let merge_settings = MergeSettings {
        identities: match &pseudonyms {
            Some(pseudonyms) => merge_settings.identities.with_pseudonyms(pseudonyms.clone()),
            None => merge_settings.identities,
        },
        ..merge_settings
    };
    let mut merge = Merge::new(merge_settings, Some(keep));
    let board = Arc::new(Board::new(rings.len()));
    let _listening = listeners.serve(&board);
    let mut tender = Tender::new(TenderSettings {
        board: Arc::clone(&board),
        notifier,
        stop,
        reloads: reloader(&args.given, &config, hangup).start(),
        pseudonyms,
        config,
        ages,
        keeper,
    });
    let settings = Settings {
        home,
        grid: settings::hour_grid(&zone),
        copies: copies.copies(),
        own_servers,
        sinkholes,
        ..Settings::default()
    };
    let done =
        pipeline::live::run(rings, settings, &mut merge, &board.pulses, |merge| tender.tend(merge));
    let lost = merge.uncommitted();
    if let Some(lost) = &lost {
        eprintln!("shadowscope: {lost}");
    }
    let ended = done.and_then(|done| {
        if let (.., Some(Keep { mut store, run, .. })) = merge.finish() {
            store.finish_run(run, &[])?;
        }
        Ok(if lost.is_none() { exit_code(&done) } else { 1 })
    });
    match ended {
        Ok(code) => Ok(ExitCode::from(code)),
        // Where it was, another one can be made.
        Err(error @ StoreError::Moved { .. }) => {
            if lost.is_none() {
                eprintln!("shadowscope: {error}");
            }
            Ok(ExitCode::from(EXIT_START_AGAIN))
        }
        Err(error) => Err(error.into()),
    }
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
            EXIT_START_AGAIN
        }
        Ending::Failed(interface, message) => {
            eprintln!("shadowscope: capturing on {interface} failed: {message}");
            1
        }
    }
}

fn check_root(config: &Config) -> Result<(), Mistake> {
    match (rights::is_root(), config.text("service.user"), config.flag("service.allow_root")) {
        (true, None, false) => Err(Mistake(
            "root is more than capturing needs: give --user NAME to go on as another user, run it \
             as a user with the capability CAP_NET_RAW (`setcap cap_net_raw+ep`, or a service's \
             AmbientCapabilities=), or insist with --allow-root"
                .into(),
        )),
        (_, Some(_), true) => Err(Mistake(format!(
            "{} and {} exclude each other",
            config.place("service.user"),
            config.place("service.allow_root")
        ))),
        (false, Some(user), _) => {
            let place = config.place("service.user");
            Err(Mistake(format!("{place} {user}: only root can go on as another user")))
        }
        _ => Ok(()),
    }
}

pub(super) fn live_settings(config: &Config) -> Result<LiveSettings, Mistake> {
    let interfaces = config.list("capture.interface").to_vec();
    if interfaces.is_empty() {
        let file = config.file().unwrap_or(Path::new(DEFAULT_PATH)).display();
        return Err(Mistake(format!(
            "no interface to capture on: give --interface IF, or capture.interface in {file}; `ip \
             link` lists interfaces"
        )));
    }
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let number = |key: &str| config.number(key).and_then(|number| u32::try_from(number).ok());
    let vlans = config.numbers("capture.exclude_vlan").into_iter();
    Ok(LiveSettings {
        interfaces,
        rings: number("capture.workers").map_or_else(cores, |n| n as usize).min(WORKERS_MAX),
        ring_bytes: number("capture.ring_mib").map_or(RING_BYTES, |mib| mib * MIB),
        snap_bytes: number("capture.snap_bytes").unwrap_or(SNAP_BYTES),
        filter: config.text("capture.filter").map(str::to_owned),
        excluded_vlans: vlans.filter_map(|vlan| u16::try_from(vlan).ok()).collect(),
        excluded_networks: settings::networks_of(config, "capture.exclude_network")?,
    })
}

fn merge_settings(config: &Config, inputs: &Inputs) -> Result<MergeSettings, Box<dyn Error>> {
    let asn_db = config.path("catalogue.asn_db");
    Ok(MergeSettings {
        catalogue: Arc::new(signatures::load(&reload::options(config))?),
        identities: inputs.identities.clone(),
        autonomous_systems: asn_db.as_deref().map(AutonomousSystems::open).transpose()?,
        own_domains: inputs.own_domains.clone(),
        unmatched: true,
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
    config: &Config,
    config_sha256: String,
    site: String,
    pseudonyms: Option<&Pseudonyms>,
) -> Result<Keep, Box<dyn Error>> {
    let mut store = Store::open(&settings::db(config), config.text("store.zone").unwrap_or("UTC"))?;
    let begun = store.begin_run(&RunStart {
        kind: RunKind::Live,
        captures: Vec::new(),
        again: false,
        program: env!("CARGO_PKG_VERSION").into(),
        config_sha256,
        pseudonym_key: pseudonyms.map(Pseudonyms::key_id).unwrap_or_default(),
        site,
    })?;
    let zone = settings::zone_named("store.zone", &store.zone()?)?;
    Ok(Keep { store, run: begun.run, zone })
}

/// What reads anew what a reload may change.
fn reloader(given: &Given, config: &Config, asked: Arc<AtomicBool>) -> Reloader {
    let given = given.clone();
    Reloader {
        config: config.clone(),
        asked,
        read_config: Box::new(move || settings::load(&given).map_err(|error| error.to_string())),
        read_inputs: Box::new(|config| settings::inputs(config).map_err(|error| error.to_string())),
    }
}

/// Gives up all rights but those that a run needs: to write its database, to remove its socket, and
/// to read what can be reloaded. Whoever replaces a file makes another one beside it, so the right
/// is to the folder.
fn restrict(config: &Config, keep: &Keep, accept: bool) -> Result<(), Box<dyn Error>> {
    let mut write = vec![settings::folder_of(keep.store.path())];
    write.extend(config.path("service.socket").as_deref().map(settings::folder_of));
    let files = [
        config.file().map(Path::to_path_buf),
        config.path("identity.file"),
        config.path("report.evidence"),
    ];
    let mut read: Vec<_> = files.iter().flatten().map(|file| settings::folder_of(file)).collect();
    for path in ["catalogue.signatures", "catalogue.signatures_extra"] {
        let Some(path) = config.path(path) else { continue };
        read.push(if path.is_dir() { path } else { settings::folder_of(&path) });
    }
    if !rights::restrict(&Needs { read, write, accept })?.files {
        eprintln!("shadowscope: this kernel has no Landlock: files are not out of reach");
    }
    Ok(())
}
