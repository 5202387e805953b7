//! What flows are of that have no certain name, decided anew with what the catalogue knows now.
//!
//! Targets with [`Grounds`] hang on others: on the names that DNS told a client for a server, on what
//! it called with just before, or on the tenant's domain below an app's suffix. Once domains among
//! these have names, the rule that was applied while captures were read is applied to them again.

use std::collections::BTreeMap;

use super::verdicts::{Member, Outcome, Verdict, Verdicts, bucket_of, decide};
use crate::ledger::Bucket;
use crate::store::{Grounds, NewTarget, Rule, StoredTarget, Target, TargetId};
use crate::worker::detours::Detour;

/// All targets of a database.
pub type Stored = BTreeMap<TargetId, StoredTarget>;

/// How deep targets hang on others: media on what their client called with, that on what DNS told it,
/// and that on the tenant of a suffix.
const DEPTH_MAX: usize = 4;

/// The targets that are something else now, and what.
pub fn decide_anew(stored: &Stored, verdicts: &mut Verdicts) -> Vec<NewTarget> {
    let mut changed = Vec::new();
    for (&id, target) in stored {
        let Some(grounds) = &target.grounds else { continue };
        let Some(outcome) = outcome(stored, id, grounds, DEPTH_MAX, verdicts) else { continue };
        let (now, bucket, verdict) = match outcome {
            Outcome::Agreed(verdict) => {
                let now = verdict.target.map(|number| verdicts.target(number).clone());
                (now, verdict.bucket, Some(verdict))
            }
            Outcome::Open(bucket @ Bucket::Infrastructure) => (None, bucket, None),
            Outcome::Open(bucket) => (Some(Target::Undecided { bucket }), bucket, None),
        };
        let before = target.target();
        if is_same(before.as_ref(), now.as_ref()) {
            continue;
        }
        let from = match &before {
            Some(Target::App { app, role, .. }) => bucket_of(app, role),
            Some(Target::Undecided { bucket }) => *bucket,
            Some(_) => Bucket::Unmatched,
            None => Bucket::Infrastructure,
        };
        let detour = verdict.and_then(|verdict| verdicts.detour(verdict, Detour::DnsOverHttps));
        let is_new = is_of_domain(stored, grounds, DEPTH_MAX);
        let pattern = verdict.and_then(|verdict| verdict.pattern);
        let pattern = pattern.map(|number| verdicts.pattern_text(number).to_owned());
        let pattern = pattern.unwrap_or_default();
        changed.push(NewTarget { id, target: now, pattern, from, bucket, detour, is_new });
    }
    changed
}

/// What flows of a target are now; none where something on which it hangs is not kept any more.
fn outcome(
    stored: &Stored,
    id: TargetId,
    grounds: &Grounds<TargetId>,
    depth: usize,
    verdicts: &mut Verdicts,
) -> Option<Outcome> {
    let depth = depth.checked_sub(1)?;
    let mut all = |ids: &[TargetId]| -> Option<Vec<Member>> {
        ids.iter().map(|id| member(stored, *id, depth, verdicts)).collect()
    };
    let own = match grounds.rule {
        Rule::Suffix => all(&[id]),
        _ => all(&grounds.own),
    };
    let (own, others) = (own.filter(|own| !own.is_empty())?, all(&grounds.others)?);
    Some(decide(grounds.rule, &own, &others))
}

/// What a target is now, as something that a flow may be of; none where it is not kept any more.
fn member(stored: &Stored, id: TargetId, depth: usize, verdicts: &mut Verdicts) -> Option<Member> {
    let target = stored.get(&id)?;
    match &target.grounds {
        Some(Grounds { rule: Rule::Suffix, own, .. }) => {
            let tenant = stored.get(own.first()?)?;
            if let Some(verdict) = verdicts.whole_domain(&tenant.domain, &tenant.label) {
                let is_same = target.target().is_some_and(|before| {
                    let now = verdict.target.map(|number| verdicts.target(number));
                    is_same(Some(&before), now)
                });
                if !is_same {
                    return Some(Member { verdict, domain: Some(tenant.domain.as_str().into()) });
                }
            }
        }
        Some(grounds) => {
            let verdict = match outcome(stored, id, grounds, depth, verdicts)? {
                Outcome::Agreed(verdict) => verdict,
                Outcome::Open(bucket) => Verdict { bucket, ..Verdict::nobodys() },
            };
            return Some(Member { verdict, domain: None });
        }
        None => {}
    }
    let domain: Option<Box<str>> =
        (!target.domain.is_empty()).then(|| target.domain.as_str().into());
    if let Some(domain) = &domain
        && let Some(verdict) = verdicts.whole_domain(domain, &target.label)
    {
        return Some(Member { verdict, domain: Some(domain.clone()) });
    }
    let before = target.target();
    let verdict = match &before {
        Some(target @ Target::App { .. }) => verdicts.of_app(target)?,
        Some(target) => Verdict {
            target: Some(verdicts.number(target.clone())),
            bucket: Bucket::Unmatched,
            ..Verdict::nobodys()
        },
        None => Verdict { bucket: Bucket::Infrastructure, ..Verdict::nobodys() },
    };
    Some(Member { verdict, domain })
}

/// Whether the first of those on which something hangs had no name once.
fn is_of_domain(stored: &Stored, grounds: &Grounds<TargetId>, depth: usize) -> bool {
    let Some(first) = grounds.own.first().and_then(|id| stored.get(id)) else { return false };
    match (&first.grounds, depth.checked_sub(1)) {
        (Some(deeper), Some(depth)) => is_of_domain(stored, deeper, depth),
        _ => !first.domain.is_empty(),
    }
}

/// Whether nothing has changed: an app keeps what is told of its tenants.
fn is_same(one: Option<&Target>, other: Option<&Target>) -> bool {
    match (one, other) {
        (
            Some(Target::App { app: one, role: one_role, .. }),
            Some(Target::App { app: other, role: other_role, .. }),
        ) => one.id == other.id && one_role == other_role,
        _ => one == other,
    }
}
