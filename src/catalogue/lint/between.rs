//! Rules between files: S003, S008, S009, S010, S017.

use std::collections::{BTreeMap, BTreeSet};

use super::super::finding::Finding;
use super::super::format::Kind;
use super::super::pattern::Pattern;
use super::{
    AppDocument, Context, FILES_TO_BLAME_MAX, Name, Step, registrable_by_icann, with_parents,
};

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
    let usable = |app: &&AppDocument<'_>, name: &Name<'_>| context.is_usable(app, name);
    let mut owners = BTreeMap::new();
    for app in &context.apps {
        let domains = app.names().filter(|name| name.key == "domains" && usable(&app, name));
        for name in domains {
            owners.entry(name.text).or_insert((app, name, Vec::new()));
        }
    }
    for app in &context.apps {
        for name in app.names().filter(|name| usable(&app, name)) {
            for parent in with_parents(name.literal_suffix()) {
                let Some((owner, _, below)) = owners.get_mut(parent) else { continue };
                // The same domain twice is S008.
                let is_same = name.key == "domains" && name.text == parent;
                let is_allowed = is_same
                    || owner.file.id == app.file.id
                    || app.is_kin_of(owner.file)
                    || app.file.carve_out_of.contains(&owner.file.id);
                if !is_allowed {
                    below.push((app, name));
                }
            }
        }
    }
    for (domain, (owner, place, below)) in owners {
        let id = &owner.file.id;
        let files: BTreeSet<&str> = below.iter().map(|(app, _)| app.document.path).collect();
        if files.len() > FILES_TO_BLAME_MAX
            && let Some((first, name)) = below.first()
        {
            let reason = format!(
                "`{domain}` has names of {} other files below it: `{}` of {}, ...",
                files.len(),
                name.text,
                first.document.path
            );
            let remedy = "claim only what is this app's own; else those files need carve_out_of";
            findings.push(owner.at_name("S009", &place, reason, remedy));
            continue;
        }
        for (app, name) in below {
            let reason =
                format!("`{}` is below `{domain}` of `{id}` ({})", name.text, owner.document.path);
            let remedy = format!("if it is right, add carve_out_of = [\"{id}\"]");
            findings.push(app.at_name("S009", &name, reason, remedy));
        }
    }
}

/// A pattern with where it stands.
type Placed<'c, 'a> = (&'c AppDocument<'a>, Name<'a>, Pattern<'a>);

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
