//! Rules on what a file says of itself: S002, S004, S019, S020, S021, S024.

use ipnet::IpNet;
use jiff::Span;

use super::super::addresses::{PortRange, parse_network};
use super::super::document::Step;
use super::super::finding::Finding;
use super::super::format::{Kind, Maturity, NetSection, RiskEntry, RiskValue, Scope, Status};
use super::super::keys::RISK_KEYS;
use super::{AppDocument, Context, suggestion};

const FILE_BYTES_MAX: usize = 32 * 1024;
const FILE_RULES_MAX: usize = 400;
/// What keeps a catalogue in memory well under 20 MB.
const CATALOGUE_RULES_MAX: usize = 60_000;

pub(super) fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    let mut rules = 0;
    for app in &context.apps {
        identity(context, app, findings);
        closed_lists(context, app, findings);
        life_cycle(context, app, findings);
        dates(context, app, findings);
        sources(app, findings);
        addresses(app, findings);
        size(app, findings);
        rules += app.names().count();
    }
    vendors(context, findings);
    if let Some(release) = context.shared.iter().find(|file| file.path == "catalogue.toml")
        && rules > CATALOGUE_RULES_MAX
    {
        let reason = format!("{rules} rules in all, more than {CATALOGUE_RULES_MAX}");
        findings.push(release.finding("S024", &[], reason, "write domains instead of hosts"));
    }
}

/// S002: the id is the file's name, in the folder of its first character.
fn identity(context: &Context<'_>, app: &AppDocument<'_>, findings: &mut Vec<Finding>) {
    let id = app.file.id.as_str();
    let is_kebab_case = !id.is_empty()
        && id.split('-').all(|word| {
            !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        });
    if !is_kebab_case {
        let remedy = "use lower-case letters, digits and single hyphens, as in `acme-drive`";
        findings.push(app.at_key("S002", "id", format!("`{id}` is not kebab-case"), remedy));
        return;
    }
    let folder = match id.as_bytes()[0] {
        digit if digit.is_ascii_digit() => '0',
        letter => char::from(letter),
    };
    let expected = format!("{folder}/{id}.toml");
    if app.document.path != expected {
        let reason = format!("the file of `{id}` must be {expected}");
        findings.push(app.at_key("S002", "id", reason, "move the file, or change the id"));
    }
    if context.app(id).is_some_and(|first| first.document.path != app.document.path) {
        let reason = format!("another file has the id `{id}` too");
        findings.push(app.at_key("S002", "id", reason, "choose another id"));
    }
    if context.deleted.contains(id) {
        let reason = format!("`{id}` was the id of a deleted file and may not be used again");
        findings.push(app.at_key("S002", "id", reason, "choose another id"));
    }
}

/// S004: words that must be on a closed list.
fn closed_lists(context: &Context<'_>, app: &AppDocument<'_>, findings: &mut Vec<Finding>) {
    let file = app.file;
    // A list that cannot be read is one finding, and not one for each file.
    if context.has("categories.toml") && !context.categories.contains_key(file.category.as_str()) {
        let remedy = suggestion(&file.category, context.categories.keys().copied());
        let reason = format!("unknown category `{}`", file.category);
        findings.push(app.at_key("S004", "category", reason, remedy));
    }
    for (number, tag) in file.tags.iter().enumerate() {
        if context.has("tags.toml") && !context.tags.contains(tag.as_str()) {
            let steps = [Step::Key("tags"), Step::Item(number)];
            let remedy = suggestion(tag, context.tags.iter().copied());
            let reason = format!("unknown tag `{tag}`");
            findings.push(app.document.finding("S004", &steps, reason, remedy));
        }
    }
    if context.has("vendors.toml") && !context.vendors.contains_key(file.vendor.as_str()) {
        let remedy = format!(
            "add a line `{} = {{ name = \"...\", country = \"..\" }}` to vendors.toml",
            file.vendor
        );
        let reason = format!("unknown vendor `{}`", file.vendor);
        findings.push(app.at_key("S004", "vendor", reason, remedy));
    }
    if let Some(suite) = &file.suite {
        let is_unreadable = context.unreadable.contains(suite.as_str());
        let is_suite =
            is_unreadable || context.app(suite).is_some_and(|other| other.file.kind == Kind::Suite);
        if !is_suite || file.kind == Kind::Suite {
            let reason = format!("`{suite}` is no suite that this file can belong to");
            let remedy = "name the id of a file with kind = \"suite\", or drop the key";
            findings.push(app.at_key("S004", "suite", reason, remedy));
        }
    }
    for id in &file.carve_out_of {
        if context.app(id).is_none() && !context.unreadable.contains(id.as_str()) {
            let reason = format!("there is no app `{id}`");
            let remedy = suggestion(id, near(context, id));
            findings.push(app.at_key("S004", "carve_out_of", reason, remedy));
        }
    }
    risk(app, findings);
}

/// The ids that begin like `id`.
fn near<'c>(context: &'c Context<'_>, id: &str) -> impl Iterator<Item = &'c str> + Clone {
    let first = id.chars().next();
    context.by_id.keys().copied().filter(move |other| other.chars().next() == first)
}

/// S004 and S020 for `[risk]`: known keys, known words, a source and a date.
fn risk(app: &AppDocument<'_>, findings: &mut Vec<Finding>) {
    for (key, entry) in &app.file.risk {
        let steps = [Step::Key("risk"), Step::Key(key)];
        let mut report = |rule, reason: String, remedy: String| {
            findings.push(app.document.finding(rule, &steps, reason, remedy));
        };
        if !RISK_KEYS.contains(&key.as_str()) {
            let remedy = suggestion(key, RISK_KEYS.iter().copied());
            report("S004", format!("unknown risk key `{key}`"), remedy);
            continue;
        }
        let sources: Vec<&str> = match entry {
            RiskEntry::Fact(fact) => {
                if let Some(expected) = wrong_value(key, &fact.value) {
                    report("S004", format!("`{key}` has another kind of value"), expected);
                }
                vec![&fact.source]
            }
            RiskEntry::Events(events) if key == "breach" => {
                events.iter().map(|event| event.source.as_str()).collect()
            }
            RiskEntry::Events(_) => {
                let remedy = "write { value = ..., source = \"https://...\", date = ... }";
                report("S004", format!("`{key}` is no list of events"), remedy.to_owned());
                continue;
            }
        };
        for source in sources.into_iter().filter(|source| !is_https(source)) {
            let remedy = "name the page that says so, with https://";
            report("S020", format!("`{source}` is no source"), remedy.to_owned());
        }
    }
}

/// What a risk key's value should be, if it is something else.
fn wrong_value(key: &str, value: &RiskValue) -> Option<String> {
    let words = |known: &[&str]| match value {
        RiskValue::Text(word) if known.contains(&word.as_str()) => None,
        _ => Some(format!("write one of: {}", known.join(", "))),
    };
    let is = |fits: bool, expected: &str| (!fits).then(|| expected.to_owned());
    match key {
        "sso" => words(&["none", "paid", "enterprise", "all"]),
        "trains_on_data" | "trains_on_data_business" => words(&["no", "opt-out", "opt-in", "yes"]),
        "hq" => is(
            matches!(value, RiskValue::Text(code) if is_country(code)),
            "write a country's two capital letters (ISO 3166-1)",
        ),
        "founded" | "retention_days" => {
            is(matches!(value, RiskValue::Number(_)), "write a number without quotes")
        }
        "data_regions" => is(matches!(value, RiskValue::List(_)), "write a list of regions"),
        "parent" | "subprocessors_url" => {
            is(matches!(value, RiskValue::Text(_)), "write a text in quotes")
        }
        "breach" => Some("write a list: [{ date = ..., source = \"https://...\" }]".to_owned()),
        _ => is(
            matches!(value, RiskValue::Flag(_) | RiskValue::Text(_)),
            "write true or false, or a word for the level reached",
        ),
    }
}

/// S021: retired files say since when; what replaced them exists.
fn life_cycle(context: &Context<'_>, app: &AppDocument<'_>, findings: &mut Vec<Finding>) {
    if app.file.status == Status::Retired && app.file.since.is_none() {
        let remedy = "add since = the day on which the service ended";
        findings.push(app.at_key("S021", "status", "a retired app needs `since`", remedy));
    }
    if let Some(id) = &app.file.replaced_by
        && context.app(id).is_none()
        && !context.unreadable.contains(id.as_str())
    {
        let reason = format!("there is no app `{id}`");
        let remedy = "name an app of the catalogue, or drop the key";
        findings.push(app.at_key("S021", "replaced_by", reason, remedy));
    }
}

/// S019: when the file was last checked.
fn dates(context: &Context<'_>, app: &AppDocument<'_>, findings: &mut Vec<Finding>) {
    let verified = app.file.verified;
    // A day's grace: it may be tomorrow already where the contributor lives.
    if verified.0 > context.today.0.saturating_add(Span::new().days(1)) {
        let reason = format!("{verified} is in the future");
        findings.push(app.at_key("S019", "verified", reason, "write the day of the check"));
    }
    let is_older_than =
        |months: i32| verified.0 < context.today.0.saturating_sub(Span::new().months(months));
    let (is_old, advice) = match app.file.maturity {
        Maturity::Candidate => (is_older_than(12), "a candidate of more than 12 months"),
        Maturity::Reviewed => (is_older_than(18), "last checked more than 18 months ago"),
    };
    if is_old {
        let remedy = "check each name again and write today's date";
        let finding = app.at_key("S019", "verified", advice, remedy);
        findings.push(Finding { is_warning: true, ..finding });
    }
}

/// S020: sources are pages that can be opened.
fn sources(app: &AppDocument<'_>, findings: &mut Vec<Finding>) {
    if app.file.sources.is_empty() {
        let remedy = "name the pages on which the names were read";
        findings.push(app.at_key("S020", "sources", "no source", remedy));
    }
    for (number, source) in app.file.sources.iter().enumerate() {
        if !is_https(source) {
            let steps = [Step::Key("sources"), Step::Item(number)];
            let reason = format!("`{source}` is no https address");
            findings.push(app.document.finding("S020", &steps, reason, "begin with https://"));
        }
    }
    let is_web = is_https(&app.file.homepage) || app.file.homepage.starts_with("http://");
    if !is_web {
        let reason = format!("`{}` is no web address", app.file.homepage);
        findings.push(app.at_key("S020", "homepage", reason, "begin with https://"));
    }
}

/// S020 for `[[net]]`: not too wide, dated, with a source.
fn addresses(app: &AppDocument<'_>, findings: &mut Vec<Finding>) {
    for (number, section) in app.file.net.iter().enumerate() {
        for (reason, remedy) in address_faults(section) {
            let steps = [Step::Key("net"), Step::Item(number)];
            findings.push(app.document.finding("S020", &steps, reason, remedy));
        }
    }
}

fn address_faults(section: &NetSection) -> Vec<(String, &'static str)> {
    let mut faults = Vec::new();
    for text in &section.cidrs {
        match parse_network(text) {
            None => faults.push((format!("`{text}` is no network"), "write it as 192.0.2.0/24")),
            Some(network) => {
                let least = if matches!(network, IpNet::V4(_)) { 12 } else { 20 };
                if network.prefix_len() < least {
                    let remedy = "name narrower networks: /12 at most for IPv4, /20 for IPv6";
                    faults.push((format!("`{text}` is too wide"), remedy));
                }
                if network.trunc() != network {
                    let remedy = "write the first address of the network";
                    faults.push((format!("`{text}` has bits behind its prefix"), remedy));
                }
            }
        }
    }
    for text in section.ports.iter().filter(|text| PortRange::parse(text).is_none()) {
        faults.push((format!("`{text}` is no port"), "write tcp/443 or udp/3478-3481"));
    }
    let is_lan = section.scope == Scope::Lan;
    if section.cidrs.is_empty() && section.asns.is_empty() && !is_lan {
        let remedy = "add cidrs or asns, or scope = \"lan\" with ports";
        faults.push(("no addresses".to_owned(), remedy));
    }
    if is_lan && section.ports.is_empty() {
        faults.push(("a rule for the local network needs ports".to_owned(), "add ports"));
    }
    if !is_https(&section.source) {
        faults.push((format!("`{}` is no source", section.source), "begin with https://"));
    }
    faults
}

/// S024: one file stays small enough to be read.
fn size(app: &AppDocument<'_>, findings: &mut Vec<Finding>) {
    let (bytes, rules) = (app.document.text.len(), app.names().count());
    if bytes > FILE_BYTES_MAX || rules > FILE_RULES_MAX {
        let reason = format!(
            "{bytes} bytes and {rules} rules; at most {FILE_BYTES_MAX} and {FILE_RULES_MAX} may be"
        );
        let remedy = "write domains or patterns instead of hosts, or split the app";
        findings.push(app.document.finding("S024", &[], reason, remedy));
    }
}

/// S004 for vendors.toml: countries and parents.
fn vendors(context: &Context<'_>, findings: &mut Vec<Finding>) {
    let Some(document) = context.shared.iter().find(|file| file.path == "vendors.toml") else {
        return;
    };
    for (id, vendor) in &context.vendors {
        let steps = [Step::Key("vendors"), Step::Key(id)];
        if let Some(code) = vendor.country.as_deref().filter(|code| !is_country(code)) {
            let reason = format!("`{code}` is no country");
            let remedy = "write two capital letters (ISO 3166-1), or drop the key";
            findings.push(document.finding("S004", &steps, reason, remedy));
        }
        let is_unknown = |parent: &&str| !context.vendors.contains_key(parent);
        if let Some(parent) = vendor.parent.as_deref().filter(is_unknown) {
            let reason = format!("unknown vendor `{parent}`");
            let remedy = "add the parent to vendors.toml, or drop the key";
            findings.push(document.finding("S004", &steps, reason, remedy));
        }
    }
}

fn is_https(text: &str) -> bool {
    text.strip_prefix("https://").is_some_and(|rest| rest.contains('.') && !rest.contains(' '))
}

fn is_country(code: &str) -> bool {
    code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase())
}
