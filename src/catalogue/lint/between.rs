//! Rules between files: S003, S008, S009, S010, S014, S017.

use std::collections::{BTreeMap, BTreeSet};

use super::super::Catalogue;
use super::super::finding::Finding;
use super::super::format::Kind;
use super::super::pattern::Pattern;
use super::{AppDocument, Context, Name, Step, registrable_by_icann, with_parents};

/// Labels that are no tenants anywhere: each is reserved or has a rule of its own.
const NEVER_TENANTS: &[&str] =
    &["api", "app", "blog", "cdn", "docs", "help", "login", "static", "status", "support", "www"];

pub(super) fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    titles(context, findings);
    equal_rules(context, findings);
    carve_outs(context, findings);
    ties(context, findings);
    reserved(context, findings);
}

/// S003: one name, one app.
fn titles(context: &Context<'_>, findings: &mut Vec<Finding>) {
    let plain = |title: &str| -> String {
        title.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
    };
    // (position in apps, whether an alias) of the first that has the title.
    let mut seen: BTreeMap<String, (usize, bool)> = BTreeMap::new();
    let all = context.apps.iter().enumerate();
    let names = all.clone().map(|(number, app)| (number, app.file.name.as_str(), None));
    let aliases = all.flat_map(|(number, app)| {
        let aliases = app.file.aliases.iter().enumerate();
        aliases.map(move |(item, alias)| (number, alias.as_str(), Some(item)))
    });
    for (number, title, item) in names.chain(aliases) {
        let app = &context.apps[number];
        let Some((first, _)) = seen.get(&plain(title)) else {
            seen.insert(plain(title), (number, item.is_some()));
            continue;
        };
        let other = &context.apps[*first];
        let is_shared_alias = item.is_some() && number != *first && share_suite(app, other);
        if is_shared_alias {
            continue;
        }
        let steps = match item {
            None => vec![Step::Key("name")],
            Some(item) => vec![Step::Key("aliases"), Step::Item(item)],
        };
        let reason = match number == *first {
            true => format!("`{title}` is said twice"),
            false => format!("`{title}` is a name of {} too", other.document.path),
        };
        let remedy = "drop it, or make it more precise (with the vendor's name)";
        findings.push(app.document.finding("S003", &steps, reason, remedy));
    }
}

fn share_suite(app: &AppDocument<'_>, other: &AppDocument<'_>) -> bool {
    let suite = |app: &AppDocument<'_>| match app.file.kind {
        Kind::Suite => Some(app.file.id.clone()),
        _ => app.file.suite.clone(),
    };
    suite(app).is_some() && suite(app) == suite(other)
}

/// S008: a rule stands in one place.
fn equal_rules(context: &Context<'_>, findings: &mut Vec<Finding>) {
    let mut seen: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    for app in &context.apps {
        for name in app.names() {
            if let Some(first) = seen.insert((name.key, name.text), app.document.path) {
                let reason = format!("`{}` stands in {first} too", name.text);
                let remedy = "keep it where it belongs most; a test with `app` can name the owner";
                findings.push(app.at_name("S008", &name, reason, remedy));
            }
        }
    }
}

/// S009: below another app's domain only with kinship or a word.
fn carve_outs(context: &Context<'_>, findings: &mut Vec<Finding>) {
    let mut owners: BTreeMap<&str, &AppDocument<'_>> = BTreeMap::new();
    for app in &context.apps {
        for name in app.names().filter(|name| name.key == "domains") {
            owners.entry(name.text).or_insert(app);
        }
    }
    for app in &context.apps {
        for name in app.names() {
            for parent in with_parents(name.literal_suffix()) {
                let Some(owner) = owners.get(parent) else { continue };
                let is_allowed = owner.file.id == app.file.id
                    || app.is_kin_of(owner.file)
                    || app.file.carve_out_of.contains(&owner.file.id);
                if !is_allowed {
                    let id = &owner.file.id;
                    let reason = format!("`{}` is below `{parent}` of `{id}`", name.text);
                    let remedy = format!("if it is right, add carve_out_of = [\"{id}\"]");
                    findings.push(app.at_name("S009", &name, reason, remedy));
                }
            }
        }
    }
}

/// A pattern with where it stands.
type Placed<'c, 'a> = (&'c AppDocument<'a>, Name<'a>, Pattern);

/// S010: two patterns with equal weight that can match one name.
fn ties(context: &Context<'_>, findings: &mut Vec<Finding>) {
    // By what both must share: the registrable domain and the weight.
    let mut groups: BTreeMap<(&str, u16), Vec<Placed<'_, '_>>> = BTreeMap::new();
    for app in &context.apps {
        for name in app.names().filter(|name| name.key == "patterns") {
            let Ok(pattern) = Pattern::parse(name.text) else { continue };
            let start = name.text.rmatch_indices('.').nth(1).map_or(0, |(dot, _)| dot + 1);
            let group = groups.entry((&name.text[start..], pattern.literals())).or_default();
            for (other_app, other, _) in group.iter().filter(|(_, _, p)| p.overlaps(&pattern)) {
                if other.text == name.text {
                    continue;
                }
                let reason = format!(
                    "`{}` and `{}` ({}) can match the same name with equal weight",
                    name.text, other.text, other_app.document.path
                );
                let remedy = "make one of them longer, or drop one";
                findings.push(app.at_name("S010", &name, reason, remedy));
            }
            group.push((app, name, pattern));
        }
    }
}

/// S017: what stands where tenants stand is reserved or has its own rule.
fn reserved(context: &Context<'_>, findings: &mut Vec<Finding>) {
    let mut literal: BTreeSet<&str> = BTreeSet::new();
    let mut below: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for name in context.apps.iter().flat_map(AppDocument::names) {
        if name.key != "patterns" {
            literal.insert(name.text);
        }
        // Every name two labels or more above a rule's text makes the label between no tenant.
        let parents: Vec<&str> = with_parents(name.literal_suffix()).collect();
        let skip = usize::from(name.key != "patterns");
        for pair in parents.windows(2).skip(skip) {
            if let Some(label) = pair[0].strip_suffix(pair[1]) {
                let label = label.trim_end_matches('.').to_owned();
                below.entry(pair[1].to_owned()).or_default().insert(label);
            }
        }
    }
    for app in &context.apps {
        let Some(tenant) = &app.file.tenant else { continue };
        for name in app.names() {
            let Some(suffix) = name.text.strip_prefix("{tenant}.") else { continue };
            if suffix.contains(['*', '{']) {
                continue;
            }
            let mut labels = below.get(suffix).cloned().unwrap_or_default();
            let is_registrable = registrable_by_icann(suffix) == Some(suffix);
            if is_registrable && app.file.kind != Kind::Platform {
                labels.extend(NEVER_TENANTS.iter().map(|label| (*label).to_owned()));
            }
            let missing: Vec<String> = labels
                .into_iter()
                .filter(|label| !tenant.reserved.contains(label))
                .filter(|label| !literal.contains(format!("{label}.{suffix}").as_str()))
                .collect();
            if !missing.is_empty() {
                let reason = format!("no tenants of `{}`: {}", name.text, missing.join(", "));
                let remedy = "add them to tenant.reserved, or give each a host of its own";
                findings.push(app.at_name("S017", &name, reason, remedy));
            }
        }
    }
}

/// S014: what only looks like a rule's name matches nothing.
pub(super) fn check_look_alikes(
    context: &Context<'_>,
    catalogue: &Catalogue,
    findings: &mut Vec<Finding>,
) {
    let names = context.apps.iter().flat_map(AppDocument::names);
    let owned: BTreeSet<&str> =
        names.filter_map(|name| registrable_by_icann(name.literal_suffix())).collect();
    for app in &context.apps {
        for name in app.names() {
            for look_alike in look_alikes(name.literal_suffix()) {
                // xbox.com looks like box.com and is somebody's own; names for examples are nobody's.
                let is_owned = !is_for_examples(&look_alike)
                    && registrable_by_icann(&look_alike).is_some_and(|d| owned.contains(d));
                if is_owned {
                    continue;
                }
                if let Some(found) = catalogue.match_host(&look_alike) {
                    let reason = format!(
                        "`{look_alike}` only looks like it and matches `{}` ({})",
                        found.rule, found.file
                    );
                    let remedy = "narrow the rule that matches";
                    findings.push(app.at_name("S014", &name, reason, remedy));
                }
            }
        }
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
