//! `shadowscope read`: capture files to a summary, a database, reports and JSON lines.

use std::error::Error;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use jiff::tz::TimeZone;

use super::evidence_args::EvidenceArgs;
use super::progress::Shown;
use super::signature_args::SignatureArgs;
use super::{Mistake, forgive_closed_pipe, settings, summary, unmatched};
use crate::capture::{CaptureFile, Filter, Outcome, Plan, Run};
use crate::catalogue::Catalogue;
use crate::decode;
use crate::evidence;
use crate::feeds;
use crate::feeds::autonomous_systems::AutonomousSystems;
use crate::flow::hash::Seed;
use crate::identity::Identities;
use crate::net::NetworkSet;
use crate::packet::LinkType;
use crate::pipeline::merge::{Keep, Merge, MergeSettings};
use crate::pipeline::records::Records;
use crate::pipeline::{self, WORKERS_MAX};
use crate::report::{ReportRange, write_reports};
use crate::signatures;
use crate::store::{CaptureEnd, CaptureFacts, RunKind, RunStart, Skip, Store, StoreError};
use crate::time::HourGrid;
use crate::worker::Settings;

/// What stands for standard output instead of a file.
const STANDARD_OUTPUT: &str = "-";

/// What follows the options in the command's help.
const MORE_HELP: &str = "\
Files given together are one run: overlapping ones are merged, connections run on from one to the
next. Ends with 0 when all went well, 1 when a capture is damaged (what stands before the damage is
kept) or the machine failed, 2 for a mistake in the command or in a file given.

Examples:
  shadowscope read day.pcap
  shadowscope read --db usage.db --report out --identities people.csv captures/
  zcat day.pcap.gz | shadowscope read --observations names.jsonl -";

/// The command's arguments.
#[derive(Args)]
#[command(after_help = MORE_HELP)]
pub(super) struct ReadArgs {
    /// Capture files (pcap, pcapng, also .gz and .zst), folders, patterns in quotes, or - for
    /// standard input
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<OsString>,
    /// Keep what was found in this SQLite database
    #[arg(long, value_name = "FILE")]
    db: Option<PathBuf>,
    /// Write the CSV reports into this folder
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// Read captures that the database knows already, and replace what was found in them
    #[arg(long, requires = "db")]
    again: bool,
    /// Write each name that was seen as a JSON line to this file (- for standard output)
    #[arg(long, value_name = "FILE")]
    observations: Option<PathBuf>,
    /// Write each flow as a JSON line to this file (- for standard output)
    #[arg(long, value_name = "FILE")]
    flows: Option<PathBuf>,
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
    /// The name of the place whose traffic this is: the ledger is kept for each
    #[arg(long, value_name = "NAME")]
    site: Option<String>,
    /// Only packets from this time on: 2026-11-22, 2026-11-22T08:00 or 2026-11-22T08:00:00Z
    #[arg(long, value_name = "T")]
    from: Option<String>,
    /// Only packets before this time
    #[arg(long, value_name = "T")]
    to: Option<String>,
    /// Only packets from or to addresses of this network; may be given several times
    #[arg(long, value_name = "NET")]
    client: Vec<String>,
    /// Only packets that pass this filter, as tcpdump has it (see pcap-filter(7))
    #[arg(long, value_name = "BPF")]
    filter: Option<String>,
    /// Whether copies of packets are left out, as SPAN ports make them
    #[arg(long, value_enum, value_name = "HOW", default_value = "off")]
    dedup: settings::Dedup,
    /// Threads that take packets [default: one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=WORKERS_MAX as i64))]
    workers: Option<u16>,
    /// Instead of the summary, list the names that no signature knows, by registrable domain, each
    /// with the beginning of a signature file
    #[arg(long, conflicts_with = "quiet")]
    unmatched: bool,
    /// Show no progress and no summary
    #[arg(long, short)]
    quiet: bool,
    /// Which catalogue to use.
    #[command(flatten)]
    signatures: SignatureArgs,
    /// What counts as use.
    #[command(flatten)]
    evidence: EvidenceArgs,
}

impl ReadArgs {
    fn writes_to_standard_output(&self) -> bool {
        let is_it = |path: &PathBuf| path == Path::new(STANDARD_OUTPUT);
        self.observations.iter().chain(&self.flows).any(is_it)
    }
}

/// The arguments, made usable.
struct Usable {
    filter: Filter,
    only: Option<NetworkSet>,
    home: NetworkSet,
    own_domains: Vec<String>,
    own_servers: NetworkSet,
    sinkholes: NetworkSet,
    evidence: evidence::Settings,
    zone: TimeZone,
    grid: HourGrid,
    site: String,
    identities: Identities,
    catalogue: Arc<Catalogue>,
    autonomous_systems: Option<AutonomousSystems>,
    config_sha256: String,
}

pub(super) fn run(args: &ReadArgs) -> Result<ExitCode, Box<dyn Error>> {
    let usable = usable(args)?;
    let mut plan = Plan::survey(&args.paths)?;
    let refused = refuse_link_types(&mut plan);
    let outputs = Outputs::create(args)?;
    let (keep, idle) = begin(args, &usable, &mut plan)?;
    let run = plan.open(usable.filter)?;
    let settings = Settings {
        home: usable.home,
        own_servers: usable.own_servers,
        sinkholes: usable.sinkholes,
        grid: usable.grid,
        observations: args.observations.is_some(),
        flows: args.flows.is_some(),
        copies: args.dedup.copies(),
        seed: Seed::random(),
        ..Settings::default()
    };
    // Never given back: the program ends with the run, and a catalogue has many small pieces.
    std::mem::forget(Arc::clone(&usable.catalogue));
    let merge_settings = MergeSettings {
        live: false,
        catalogue: Arc::clone(&usable.catalogue),
        autonomous_systems: usable.autonomous_systems,
        own_domains: usable.own_domains,
        unmatched: args.unmatched,
        identities: usable.identities,
        observations: args.observations.is_some(),
        flows: args.flows.is_some(),
    };
    let mut merge = Merge::new(merge_settings, keep);
    let shown = Shown::new(run.progress(), args.quiet);
    let run = pipeline::read(run, settings, usable.only, workers(args), &mut merge)?.run;
    drop(shown);
    let (found, records, keep) = merge.finish();
    complain(run.files());
    let refused = refused.max(complain_of_links(run.files()));
    let store = match keep {
        Some(keep) => Some(end(keep, &run, args.again)?),
        None => idle,
    };
    if store.is_none() {
        check_read_once(run.files())?;
    }
    if let (Some(store), Some(folder)) = (&store, &args.report) {
        write_reports(store, folder, ReportRange::default(), &usable.evidence)?;
    }
    outputs.write(records)?;
    if !args.quiet {
        let text = match args.unmatched {
            true => unmatched::unmatched(&found.unmatched_names, &usable.catalogue),
            false => {
                let grading = summary::Grading { settings: &usable.evidence, zone: &usable.zone };
                summary::summary(&found, run.files(), grading)
            }
        };
        // Records on standard output are for a program, which wants nothing else there.
        if args.writes_to_standard_output() {
            eprint!("{text}");
        } else {
            super::tell(text)?;
        }
    }
    Ok(ExitCode::from(refused.max(run.exit_code())))
}

fn usable(args: &ReadArgs) -> Result<Usable, Box<dyn Error>> {
    let zone = settings::zone_named("--zone", &args.zone)?;
    let moment = |option, text: &Option<String>| {
        text.as_deref().map(|text| settings::moment(option, text, &zone)).transpose()
    };
    let (from, to) = (moment("--from", &args.from)?, moment("--to", &args.to)?);
    let only = settings::networks("--client", &args.client)?;
    let identities = match &args.identities {
        Some(path) => feeds::identities::read(path)?,
        None => Identities::default(),
    };
    let home = settings::home_of("--home", &args.home)?;
    let own = args.own.config()?;
    let evidence = args.evidence.settings()?;
    let site = settings::site_named("--site", args.site.as_deref().unwrap_or_default())?;
    let config = serde_json::json!({
        "client": args.client, "dedup": format!("{:?}", args.dedup), "filter": args.filter,
        "from": args.from, "home": args.home,
        "own_domain": own.list("networks.own_domain"),
        "own_server": own.list("networks.own_server"),
        "sinkhole": own.list("networks.sinkhole"),
        "site": site,
        "to": args.to, "zone": args.zone, "identities": format!("{identities:?}"),
    });
    Ok(Usable {
        filter: Filter::new(from, to, args.filter.as_deref())?,
        only: (!only.is_empty()).then(|| NetworkSet::new(only)),
        home,
        own_domains: settings::own_domains(&own)?,
        own_servers: settings::own_servers(&own)?,
        sinkholes: settings::sinkholes(&own)?,
        evidence,
        grid: settings::hour_grid(&zone),
        site,
        identities,
        autonomous_systems: args.asn_db.as_deref().map(AutonomousSystems::open).transpose()?,
        catalogue: Arc::new(signatures::load(&args.signatures.options())?),
        zone,
        config_sha256: settings::sha256(&config.to_string()),
    })
}

/// Leaves out files of a link type that is not read, and says so. Returns the exit code.
fn refuse_link_types(plan: &mut Plan) -> u8 {
    let mut exit_code = 0;
    plan.leave_out(|file| match file.only_link {
        Some(link) if !decode::is_supported(link) => {
            eprintln!("{}: {}", file.path.display(), not_read(&[link]));
            exit_code = exit_code.max(2 * u8::from(file.named));
            true
        }
        _ => false,
    });
    exit_code
}

/// Tells of packets of link types that are not read, where a format has one for each interface.
/// Returns the exit code.
fn complain_of_links(files: &[CaptureFile]) -> u8 {
    let mut exit_code = 0;
    for file in files {
        let unread: Vec<(LinkType, u64)> = {
            let links = file.packets_by_link.iter().copied();
            links.filter(|(link, _)| !decode::is_supported(*link)).collect()
        };
        let path = file.path.display();
        if unread.is_empty() {
            continue;
        }
        if unread.len() == file.packets_by_link.len() {
            let links: Vec<LinkType> = unread.iter().map(|(link, _)| *link).collect();
            eprintln!("{path}: {}", not_read(&links));
            exit_code = exit_code.max(2 * u8::from(file.named));
            continue;
        }
        for (link, packets) in unread {
            let name = decode::link_name(link);
            eprintln!(
                "{path}: {packets} packets are of link type {} ({name}), which is not one that is \
                 read; they are counted as undecodable",
                link.0
            );
        }
    }
    exit_code
}

/// What is told of captures with no link type that is read.
fn not_read(links: &[LinkType]) -> String {
    let name = |link: &LinkType| format!("{} ({})", link.0, decode::link_name(*link));
    let (are, ones) =
        if links.len() == 1 { ("type", "is not one") } else { ("types", "are not ones") };
    format!(
        "link {are} {} {ones} that {} read; Ethernet, raw IP, Linux cooked, loopback, 802.11, PPP \
         and a few more are",
        links.iter().map(name).collect::<Vec<_>>().join(", "),
        if links.len() == 1 { "is" } else { "are" },
    )
}

/// Opens the database, leaves out captures it knows, and begins a run. Without a database and
/// reports there is nothing to keep; and nothing is begun when nothing is left to be read: then
/// the database is answered as it is.
fn begin(
    args: &ReadArgs,
    usable: &Usable,
    plan: &mut Plan,
) -> Result<(Option<Keep>, Option<Store>), Box<dyn Error>> {
    let store = match (&args.db, &args.report) {
        (Some(path), _) => Some(Store::open(path, &args.zone)?),
        (None, Some(_)) => Some(Store::in_memory(&args.zone)?),
        (None, None) => None,
    };
    // A database that cannot be read tells so below.
    let is_known = |beginning: &[u8; 32]| {
        store.as_ref().is_some_and(|store| store.knows_beginning(beginning).unwrap_or(true))
    };
    plan.identify(is_known);
    leave_out_repeated(plan);
    let Some(mut store) = store else { return Ok((None, None)) };
    let mut captures = captures(plan);
    let planned = store.plan(&captures, args.again)?;
    for (index, why) in &planned.skip {
        let capture = &captures[*index];
        let why = match why {
            Skip::AlreadyDone(earlier) => {
                format!("was read before (as {earlier}); --again reads it anew")
            }
            Skip::SameAs(other) => format!("is the same capture as {}", captures[*other].name),
        };
        eprintln!("{}: {why}", capture.name);
        let path = Path::new(&capture.name);
        plan.leave_out(|file| file.path == path);
    }
    if args.db.is_some() && plan.files().iter().all(|file| file.outcome != Outcome::Pending) {
        return Ok((None, Some(store)));
    }
    let mut at = 0..;
    captures.retain(|_| at.next().is_some_and(|index| planned.read.contains(&index)));
    let start = RunStart {
        kind: RunKind::Capture,
        captures,
        again: args.again,
        program: env!("CARGO_PKG_VERSION").into(),
        config_sha256: usable.config_sha256.clone(),
        pseudonym_key: String::new(),
        site: usable.site.clone(),
    };
    let begun = store.begin_run(&start)?;
    for name in &begun.interrupted {
        eprintln!(
            "{name}: an earlier run of it was interrupted; what it had counted was taken out"
        );
    }
    let zone = settings::zone_named("--db", &store.zone()?)?;
    Ok((Some(Keep { store, run: begun.run, zone }), None))
}

/// Leaves out files that are the same capture as another one of the run.
fn leave_out_repeated(plan: &mut Plan) {
    let mut repeated = Vec::new();
    let pending = |file: &&CaptureFile| file.outcome == Outcome::Pending;
    for (index, file) in plan.files().iter().enumerate().filter(|(_, file)| pending(file)) {
        let mut earlier = plan.files().iter().take(index).filter(pending);
        if let Some(first) = earlier.find(|earlier| earlier.is_same_as(file)) {
            let (path, first) = (file.path.display(), first.path.display());
            eprintln!("{path}: is the same capture as {first}");
            repeated.push(file.path.clone());
        }
    }
    plan.leave_out(|file| repeated.contains(&file.path));
}

/// Checks that nothing came by file and by pipe: what a pipe holds is known at its end only.
fn check_read_once(files: &[CaptureFile]) -> Result<(), StoreError> {
    let read: Vec<&CaptureFile> =
        files.iter().filter(|file| file.packets + file.packets_filtered > 0).collect();
    for (index, file) in read.iter().enumerate() {
        if let Some(first) = read.iter().take(index).find(|first| first.is_same_as(file)) {
            let name = |file: &CaptureFile| file.path.display().to_string();
            return Err(StoreError::GivenTwice { first: name(first), second: name(file) });
        }
    }
    Ok(())
}

/// Finishes a run, or takes it out where what came from a pipe is known already.
fn end(keep: Keep, run: &Run, again: bool) -> Result<Store, Box<dyn Error>> {
    let Keep { mut store, run: number, .. } = keep;
    let ends: Vec<CaptureEnd> = run.files().iter().filter_map(capture_end).collect();
    let captures: Vec<_> = ends.iter().map(|end| end.capture.clone()).collect();
    let Err(error) = store.check(&captures, again) else {
        store.finish_run(number, &ends)?;
        return Ok(store);
    };
    store.discard_run(number)?;
    match error {
        StoreError::AlreadyDone { name, earlier, .. } if captures.len() == 1 => {
            eprintln!(
                "{name}: was read before (as {earlier}), nothing was added; --again reads it anew"
            );
            Ok(store)
        }
        other => {
            eprintln!("what was read now is not kept");
            Err(other.into())
        }
    }
}

/// The captures that will be read and can be known again.
fn captures(plan: &Plan) -> Vec<CaptureFacts> {
    let pending = plan.files().iter().filter(|file| file.outcome == Outcome::Pending);
    pending.filter_map(capture_facts).collect()
}

/// `None` for what cannot be known again: a pipe that was not read to its end.
fn capture_facts(file: &CaptureFile) -> Option<CaptureFacts> {
    let content = file.content;
    Some(CaptureFacts {
        name: file.path.display().to_string(),
        size_bytes: file.size_bytes.or(content.map(|content| content.size_bytes))?,
        fingerprint: match file.fingerprint {
            Some(fingerprint) => fingerprint.0,
            None => content?.hash,
        },
        content: content.map(|content| content.hash),
        beginning: file.beginning(),
    })
}

/// What became of a file; `None` for those that were not read.
fn capture_end(file: &CaptureFile) -> Option<CaptureEnd> {
    let damaged_at = match file.outcome {
        Outcome::LeftOut | Outcome::NotACapture(_) => return None,
        Outcome::Damaged { offset, .. } => Some(offset),
        _ => None,
    };
    let capture = capture_facts(file)?;
    Some(CaptureEnd { capture, damaged_at, in_part: file.is_read_in_part() })
}

/// Tells what is wrong with files.
fn complain(files: &[CaptureFile]) {
    for file in files {
        let is_wrong = match file.outcome {
            Outcome::Pending | Outcome::Whole | Outcome::LeftOut => false,
            // In folders, files of other kinds are no mistake.
            Outcome::NotACapture(_) => file.named,
            _ => true,
        };
        if is_wrong {
            eprintln!("{}: {}", file.path.display(), file.outcome);
        }
    }
}

fn workers(args: &ReadArgs) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    args.workers.map_or_else(cores, usize::from)
}

/// Where records go. Opened before a packet is read, so that a mistake is told at once and not
/// after an hour.
struct Outputs {
    observations: Option<Box<dyn Write>>,
    flows: Option<Box<dyn Write>>,
}

impl Outputs {
    fn create(args: &ReadArgs) -> Result<Outputs, Mistake> {
        if let Some(folder) = &args.report {
            settings::make_folder("--report", folder)?;
        }
        let create = |option, path: &Option<PathBuf>| {
            path.as_deref().map(|path| create(option, path)).transpose()
        };
        Ok(Outputs {
            observations: create("--observations", &args.observations)?,
            flows: create("--flows", &args.flows)?,
        })
    }

    fn write(self, mut records: Records) -> io::Result<()> {
        if let Some(out) = self.observations {
            records.write_observations(out).or_else(forgive_closed_pipe)?;
        }
        if let Some(out) = self.flows {
            records.write_flows(out).or_else(forgive_closed_pipe)?;
        }
        Ok(())
    }
}

fn create(option: &str, path: &Path) -> Result<Box<dyn Write>, Mistake> {
    if path == Path::new(STANDARD_OUTPUT) {
        return Ok(Box::new(BufWriter::new(io::stdout())));
    }
    match File::create(path) {
        Ok(file) => Ok(Box::new(BufWriter::with_capacity(1 << 18, file))),
        Err(error) => {
            let path = path.display();
            Err(Mistake(format!("{option} {path}: {error}; name a file that you may write")))
        }
    }
}
