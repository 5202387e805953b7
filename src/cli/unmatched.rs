//! `read --unmatched`, and `unmatched` of a running sensor: what no signature knows, so that blind
//! spots become contributions.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write;
use std::process::ExitCode;

use clap::Args;

use super::signature_args::SignatureArgs;
use super::status::SocketArgs;
use super::summary::bytes;
use crate::catalogue::{Catalogue, Date, template};
use crate::hostname::registrable_domain;
use crate::signatures;
use crate::usage::Sums;

/// Names listed of a domain.
const NAMES_MAX: usize = 20;

/// The command's arguments.
#[derive(Args)]
pub(super) struct UnmatchedArgs {
    #[command(flatten)]
    socket: SocketArgs,
    /// What is suggested is checked against this catalogue.
    #[command(flatten)]
    signatures: SignatureArgs,
}

/// Asks a running sensor for its unmatched names of today.
pub(super) fn run(args: &UnmatchedArgs) -> Result<ExitCode, Box<dyn Error>> {
    let answer = args.socket.ask("unmatched")?;
    let names: Vec<(Box<str>, u64, u64, u64)> = serde_json::from_str(&answer)?;
    let names = names.into_iter().map(|(name, connections, bytes_up, bytes_down)| {
        (name, Sums { connections, bytes_up, bytes_down, ..Sums::default() })
    });
    let catalogue = signatures::load(&args.signatures.options())?;
    super::tell(unmatched(&names.collect(), &catalogue))?;
    Ok(ExitCode::SUCCESS)
}

/// The names by registrable domain, those with most bytes first, as text.
pub(super) fn unmatched(found: &BTreeMap<Box<str>, Sums>, catalogue: &Catalogue) -> String {
    let mut domains: BTreeMap<&str, Vec<(&str, &Sums)>> = BTreeMap::new();
    for (name, sums) in found {
        let domain = registrable_domain(name).unwrap_or(name);
        domains.entry(domain).or_default().push((name, sums));
    }
    let total = |names: &[(&str, &Sums)]| names.iter().map(|(_, sums)| sums.bytes()).sum::<u64>();
    let mut domains: Vec<_> = domains.into_iter().collect();
    domains.sort_by_key(|(domain, names)| (std::cmp::Reverse(total(names)), *domain));
    let mut text = String::new();
    if domains.is_empty() {
        text.push_str("No names without a signature.\n");
    }
    for (domain, mut names) in domains {
        names.sort_by_key(|(name, sums)| (std::cmp::Reverse(sums.bytes()), *name));
        // Writing to a String does not fail.
        let _infallible = write_domain(&mut text, domain, total(&names), &names, catalogue);
    }
    text
}

fn write_domain(
    text: &mut String,
    domain: &str,
    total: u64,
    names: &[(&str, &Sums)],
    catalogue: &Catalogue,
) -> std::fmt::Result {
    writeln!(text, "# {domain}: {}", bytes(total))?;
    for (name, sums) in names.iter().take(NAMES_MAX) {
        let volume = bytes(sums.bytes());
        writeln!(text, "#   {name}: {} flows, {volume}", sums.connections)?;
    }
    if names.len() > NAMES_MAX {
        writeln!(text, "#   ... and {} more", names.len() - NAMES_MAX)?;
    }
    let id = suggested_id(domain);
    let today = Date(jiff::Zoned::now().date());
    match template::new_file(catalogue, &id, domain, today) {
        Ok(file) => writeln!(text, "# {}\n{}", file.path, file.text),
        Err(why) => writeln!(text, "# no file suggested: {why}\n"),
    }
}

/// The registrable domain's own label, as far as an id may have its characters.
fn suggested_id(domain: &str) -> String {
    let label = domain.split('.').next().unwrap_or(domain);
    let kept = label.chars().filter(|letter| letter.is_ascii_alphanumeric() || *letter == '-');
    kept.collect::<String>().trim_matches('-').to_string()
}
