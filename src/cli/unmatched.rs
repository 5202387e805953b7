//! `read --unmatched`: what no signature knows, so that blind spots become contributions.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::summary::bytes;
use crate::catalogue::{Catalogue, Date, template};
use crate::hostname::registrable_domain;
use crate::pipeline::summary::Summary;
use crate::usage::Sums;

/// Names listed of a domain.
const NAMES_MAX: usize = 20;

/// The names by registrable domain, those with most bytes first, as text.
pub(super) fn unmatched(found: &Summary, catalogue: &Catalogue) -> String {
    let mut domains: BTreeMap<&str, Vec<(&str, &Sums)>> = BTreeMap::new();
    for (name, sums) in &found.unmatched_names {
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
