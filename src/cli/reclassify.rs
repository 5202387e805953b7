//! `shadowscope reclassify`: names the past with what the catalogue knows now.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use super::signature_args::SignatureArgs;
use crate::catalogue::Catalogue;
use crate::pipeline::anew::decide_anew;
use crate::pipeline::verdicts::{ANY_HOST, Verdicts};
use crate::signatures;
use crate::store::{CatalogueFacts, NewName, Renamed, Store};
use crate::time::Timestamp;
use crate::worker::detours::Detour;

/// What cannot be told from what is stored.
const AS_READ: &str = "as they were read stay: domains on servers at home, names of apps that are \
    another app's now, what older versions read of flows without a certain name, and on days whose \
    hours are not kept what followed pages; reading the captures again with --again tells them anew";
const SECONDS_PER_DAY: i64 = 86_400;

/// The command's arguments.
#[derive(Args)]
pub(super) struct ReclassifyArgs {
    /// The database, as `read --db` made it
    #[arg(long, value_name = "FILE")]
    db: PathBuf,
    /// Which catalogue to use.
    #[command(flatten)]
    signatures: SignatureArgs,
}

pub(super) fn run(args: &ReclassifyArgs) -> Result<ExitCode, Box<dyn Error>> {
    let zone = Store::open_read_only(&args.db)?.zone()?;
    let mut store = Store::open(&args.db, &zone)?;
    let catalogue = Arc::new(signatures::load(&args.signatures.options())?);
    let facts = CatalogueFacts::of(&catalogue);
    let mut verdicts = Verdicts::new(Arc::clone(&catalogue), None, Vec::new()).tell_patterns();
    let mut names = Vec::new();
    let below = catalogue.rules_below();
    let mut told = BTreeSet::new();
    for (domain, label) in store.unmatched_domains()? {
        let verdict = verdicts.whole_domain(&domain, &label);
        if told.insert(domain.clone()) {
            tell_narrower(&catalogue, &domain, &below, verdict.is_some())?;
            tell_overridden(&catalogue, &domain, &below)?;
        }
        if let Some(verdict) = verdict {
            let target = verdict.target.map(|number| verdicts.target(number).clone());
            let detour = verdicts.detour(verdict, Detour::DnsOverHttps);
            let pattern = verdict.pattern.map(|number| verdicts.pattern_text(number));
            let (pattern, bucket) = (pattern.unwrap_or_default().to_owned(), verdict.bucket);
            names.push(NewName { domain, label, target, pattern, bucket, detour });
        }
    }
    // Of other domains it is told once: when the catalogue is new.
    let is_new = !store.has_catalogue(&facts)?;
    for domain in below.keys().filter(|domain| is_new && !told.contains(**domain)) {
        tell_overridden(&catalogue, domain, &below)?;
    }
    let now_seconds = jiff::Timestamp::now().as_second();
    let changed = decide_anew(&store.targets()?, &mut verdicts);
    let renamed = store.rename(&facts, &names, &changed, now_seconds)?;
    for named in &renamed {
        super::tell(format_args!("{}\n", line(named, now_seconds)))?;
    }
    if !renamed.is_empty() {
        super::tell(format_args!("{AS_READ}\n"))?;
    }
    super::tell(format_args!(
        "{} domains named with catalogue {}\n",
        renamed.len(),
        facts.version
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// Rules for names below each domain, as [`Catalogue::rules_below`] has them.
type Below<'a> = BTreeMap<&'a str, Vec<(&'a str, bool)>>;

/// Tells of rules for names below a domain that the past cannot be asked about.
fn tell_narrower(
    catalogue: &Catalogue,
    domain: &str,
    below: &Below<'_>,
    is_named: bool,
) -> io::Result<()> {
    let rules = below.get(domain).map(Vec::as_slice).unwrap_or_default();
    // A rule of one's own for all of the domain goes before what the catalogue says of its parts.
    let is_local = is_local(catalogue, domain);
    let count = rules.iter().filter(|(_, local)| *local || !is_local).count();
    let from_now_on = match count {
        0 => String::new(),
        1 => "a rule for names below it applies from now on only".to_owned(),
        _ => format!("{count} rules for names below it apply from now on only"),
    };
    match (count, is_named) {
        (0, _) => Ok(()),
        (_, true) => super::tell(format_args!("{domain}: {from_now_on}\n")),
        (_, false) => super::tell(format_args!("{domain}: not named as a whole; {from_now_on}\n")),
    }
}

/// Tells which names below a domain of one's own keep what the catalogue's rules said of them.
fn tell_overridden(catalogue: &Catalogue, domain: &str, below: &Below<'_>) -> io::Result<()> {
    let rules = below.get(domain).map(Vec::as_slice).unwrap_or_default();
    let mut before = rules.iter().filter(|(_, is_local)| !is_local).map(|(rule, _)| *rule);
    let Some(first) = before.next().filter(|_| is_local(catalogue, domain)) else { return Ok(()) };
    let more = match before.count() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    super::tell(format_args!(
        "{domain}: what the catalogue says of {first}{more} stays as it was read; from now on it is {domain}'s\n"
    ))
}

/// Whether the rule for all of a domain is the operator's own.
fn is_local(catalogue: &Catalogue, domain: &str) -> bool {
    let found = catalogue.match_host(&format!("{ANY_HOST}.{domain}"));
    found.is_some_and(|found| found.is_local && found.rule == domain)
}

fn line(named: &Renamed, now_seconds: i64) -> String {
    let Renamed { domain, app_id, first_seen } = named;
    let Some(app_id) = app_id else { return format!("{domain}: shared infrastructure, no app") };
    match first_seen.map(|first| days_before(first, now_seconds)) {
        Some(days) => format!("{app_id} ({domain}): first seen {days} days before it had a name"),
        None => format!("{app_id} ({domain}): only asked for in DNS"),
    }
}

fn days_before(first_seen: Timestamp, now_seconds: i64) -> i64 {
    (now_seconds - first_seen.seconds()).max(0) / SECONDS_PER_DAY
}
