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

/// The targets that are something else now, and what.
pub fn decide_anew(stored: &Stored, verdicts: &mut Verdicts) -> Vec<NewTarget> {
    let mut changed = Vec::new();
    for (&id, target) in stored {
        let Some(grounds) = &target.grounds else { continue };
        let mut all = |ids: &[TargetId]| -> Vec<Member> {
            ids.iter().filter_map(|id| member(stored, *id, verdicts)).collect()
        };
        let own = match grounds.rule {
            Rule::Suffix => all(&[id]),
            _ => all(&grounds.own),
        };
        let others = all(&grounds.others);
        // Where a member is not known any more, nothing is.
        if own.is_empty() || own.len() < grounds.own.len() || others.len() < grounds.others.len() {
            continue;
        }
        let (now, bucket, verdict) = match decide(grounds.rule, &own, &others) {
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
        let is_new = is_of_domain(stored, grounds);
        changed.push(NewTarget { id, target: now, from, bucket, detour, is_new });
    }
    changed
}

/// What a target is now, as something that a flow may be of; none where it is not kept any more.
fn member(stored: &Stored, id: TargetId, verdicts: &mut Verdicts) -> Option<Member> {
    let target = stored.get(&id)?;
    if let Some(Grounds { rule: Rule::Suffix, own, .. }) = &target.grounds {
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
fn is_of_domain(stored: &Stored, grounds: &Grounds<TargetId>) -> bool {
    let first = grounds.own.first().and_then(|id| stored.get(id));
    first.is_some_and(|first| !first.domain.is_empty())
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
