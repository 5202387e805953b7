//! S014: names that only look like those of a rule match nothing.
//!
//! Generated for every rule. The rule that matches such a name is blamed, and not the file whose
//! name it looks like.

use std::collections::{BTreeMap, BTreeSet};

use super::super::Catalogue;
use super::super::finding::Finding;
use super::{AppDocument, Context, at_rule, registrable_by_icann};

pub(super) fn check(context: &Context<'_>, catalogue: &Catalogue, findings: &mut Vec<Finding>) {
    let names = context.apps.iter().flat_map(AppDocument::names);
    let owned: BTreeSet<&str> =
        names.filter_map(|name| registrable_by_icann(name.literal_suffix())).collect();
    // By (file, rule) that matches: the first look-alike, whose it is, and how many there are.
    let mut caught: BTreeMap<(&str, &str), (String, &str, usize)> = BTreeMap::new();
    for app in &context.apps {
        for name in app.names().filter(|name| context.is_usable(app, name)) {
            for look_alike in look_alikes(name.literal_suffix()) {
                // xbox.com looks like box.com and is somebody's own; names for examples are nobody's.
                let is_owned = !is_for_examples(&look_alike)
                    && registrable_by_icann(&look_alike).is_some_and(|d| owned.contains(d));
                if is_owned {
                    continue;
                }
                if let Some(found) = catalogue.match_host(&look_alike) {
                    let caught = caught.entry((found.file, found.rule)).or_insert((
                        look_alike,
                        app.document.path,
                        0,
                    ));
                    caught.2 += 1;
                }
            }
        }
    }
    for ((file, rule), (look_alike, of, count)) in caught {
        let Some(document) = context.document(file) else { continue };
        let others =
            if count > 1 { format!(", and so do {} more", count - 1) } else { String::new() };
        let reason =
            format!("`{rule}` matches `{look_alike}`, a look-alike made from {of}{others}");
        findings.push(at_rule(document, "S014", rule, reason, "narrow the rule"));
    }
}

/// Top-level names that nobody can register (RFC 2606, 2).
fn is_for_examples(name: &str) -> bool {
    name.ends_with(".example") || name.ends_with(".invalid")
}

/// Names that a person might take for `name` and that belong to others.
fn look_alikes(name: &str) -> Vec<String> {
    let mut names = vec![format!("{name}.evil.example")];
    if let Some(registrable) = registrable_by_icann(name) {
        let head = &name[..name.len() - registrable.len()];
        names.push(format!("{head}x{registrable}"));
    }
    if let Some((head, last)) = name.rsplit_once('.') {
        names.push(format!("{head}.invalid"));
        names.push(format!("{}.{last}", head.replace('.', "-")));
        names.push(format!("{}.example", name.replace('.', "-")));
    }
    names.retain(|look_alike| look_alike != name);
    names
}
