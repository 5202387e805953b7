//! Flows whose name is hidden or ambiguous: which apps they may have been, and with what weight.
//!
//! The candidates are names that DNS had told the same client for the flow's server, or others where
//! it told the client none and the name is hidden. Their apps
//! share the flow: each may have had all of it, and is expected to have had as much as its share of
//! the names. Nobody is told that it was one of them. A domain without signature may turn out to be an
//! app's one day, so that the same is kept of it.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::RandomState;

use super::loads::Site;
use super::verdicts::{TargetNumber, Verdicts};
use crate::store::PossibleSums;
use crate::time::Hour;
use crate::usage::Sums;

/// What may have been, by hour and a target of the app, or a domain.
pub(super) type Possible = HashMap<(Hour, TargetNumber), PossibleSums, RandomState>;

/// Adds a flow's sums to all apps and domains among its candidates.
pub(super) fn add(
    possible: &mut Possible,
    candidates: &[Box<str>],
    hour: Hour,
    sums: &Sums,
    verdicts: &mut Verdicts,
) {
    for (target, share) in targets(candidates, verdicts) {
        let expected = u128::from(sums.bytes()) * share as u128 / candidates.len().max(1) as u128;
        let added = PossibleSums {
            flows: sums.connections,
            bytes: sums.bytes(),
            bytes_expected: u64::try_from(expected).unwrap_or(u64::MAX),
            first_seen: sums.first_seen,
            last_seen: sums.last_seen,
        };
        possible.entry((hour, target)).and_modify(|known| known.add(&added)).or_insert(added);
    }
}

/// Of each app and domain among the candidates, its first target, and how many of the names are its.
fn targets(candidates: &[Box<str>], verdicts: &mut Verdicts) -> Vec<(TargetNumber, usize)> {
    let mut found: BTreeMap<Site, (TargetNumber, usize)> = BTreeMap::new();
    for name in candidates {
        let verdict = verdicts.name(name);
        let Some(target) = verdict.target else { continue };
        let site = verdicts.site(target, verdict.app);
        let (known, names) = found.entry(site).or_insert((target, 0));
        *names += 1;
        if verdicts.target(target) < verdicts.target(*known) {
            *known = target;
        }
    }
    found.into_values().collect()
}
