//! `shadowscope reclassify`: names the past with what the catalogue knows now.

use std::collections::BTreeSet;
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use super::signature_args::SignatureArgs;
use crate::pipeline::anew::decide_anew;
use crate::pipeline::verdicts::Verdicts;
use crate::signatures;
use crate::store::{CatalogueFacts, NewName, Renamed, Store};
use crate::time::Timestamp;
use crate::worker::detours::Detour;

/// What cannot be told from what is stored.
const AS_READ: &str = "as they were read stay: domains on servers at home, what flows without a \
    certain name may have led, the bytes_upper_bound of media that may be several apps', names of \
    apps that are another app's now, what older \
    versions read of flows without a certain name, and on days whose hours are not kept what \
    followed pages; reading the captures again with --again tells them anew";
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
    let mut verdicts = Verdicts::new(Arc::clone(&catalogue), None, Vec::new());
    let (mut names, mut told) = (Vec::new(), BTreeSet::new());
    for (domain, label) in store.unmatched_domains()? {
        let below = if told.insert(domain.clone()) { catalogue.rules_below(&domain) } else { 0 };
        match verdicts.whole_domain(&domain, &label) {
            Some(verdict) => {
                if below > 0 {
                    super::tell(format_args!("{domain}: {}\n", from_now_on(below)))?;
                }
                let target = verdict.target.map(|number| verdicts.target(number).clone());
                let detour = verdicts.detour(verdict, Detour::DnsOverHttps);
                names.push(NewName { domain, label, target, bucket: verdict.bucket, detour });
            }
            None if below > 0 => super::tell(format_args!(
                "{domain}: not named as a whole; {}\n",
                from_now_on(below)
            ))?,
            None => {}
        }
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

fn from_now_on(rules: usize) -> String {
    match rules {
        1 => "a rule for names below it applies from now on only".to_owned(),
        _ => format!("{rules} rules for names below it apply from now on only"),
    }
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
