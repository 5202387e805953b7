//! Flows whose name is hidden or ambiguous: which apps they may have been, and with what weight.
//!
//! The candidates are names that DNS had told the same client for the flow's server. Their apps
//! share the flow: each may have had all of it, and is expected to have had as much as its share of
//! the names. Nobody is told that it was one of them.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::RandomState;

use super::verdicts::{TargetNumber, Verdicts};
use crate::store::{PossibleSums, Target};
use crate::time::Hour;
use crate::usage::Sums;

/// What may have been, by hour and a target of the app.
pub(super) type Possible = HashMap<(Hour, TargetNumber), PossibleSums, RandomState>;

/// Adds a flow's sums to all apps among its candidates.
pub(super) fn add(
    possible: &mut Possible,
    candidates: &[Box<str>],
    hour: Hour,
    sums: &Sums,
    verdicts: &mut Verdicts,
) {
    for (target, share) in apps(candidates, verdicts) {
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

/// Of each app among the candidates, its first target, and how many of the names are the app's.
fn apps(candidates: &[Box<str>], verdicts: &mut Verdicts) -> Vec<(TargetNumber, usize)> {
    let mut found: BTreeMap<u32, (TargetNumber, usize)> = BTreeMap::new();
    for name in candidates {
        let verdict = verdicts.name(name);
        let (Some(app), Some(target)) = (verdict.app, verdict.target) else { continue };
        let (known, names) = found.entry(app).or_insert((target, 0));
        *names += 1;
        if verdicts.target(target) < verdicts.target(*known) {
            *known = target;
        }
    }
    let is_app = |(target, _): &(TargetNumber, usize)| {
        matches!(verdicts.target(*target), Target::App { .. })
    };
    found.into_values().filter(is_app).collect()
}
