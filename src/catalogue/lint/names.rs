//! Rules on single names: S005, S006, S007, S011, S015, S016.

use std::collections::BTreeSet;

use super::super::finding::Finding;
use super::super::format::{Kind, Role};
use super::super::labels::NUMBERED;
use super::super::pattern::{Pattern, TENANT};
use super::super::template;
use super::{AppDocument, Context, Name, Step, is_at_or_below, registrable_by_icann};

/// First labels that usually mean marketing or help, not the app.
const SITE_LABELS: &[&str] = &["www", "blog", "help", "docs", "status", "careers"];

/// Answers the names that can be no rules, with their files' paths.
pub(super) fn check<'a>(
    context: &Context<'a>,
    findings: &mut Vec<Finding>,
) -> BTreeSet<(&'a str, &'a str)> {
    let mut unusable = BTreeSet::new();
    labels(context, findings);
    for app in &context.apps {
        for name in app.names() {
            let before = findings.len();
            spelling(app, &name, findings);
            if findings.len() > before {
                unusable.insert((app.document.path, name.text));
                continue;
            }
            public_suffix(app, &name, findings);
            infrastructure(context, app, &name, findings);
            pattern(app, &name, findings);
            if findings.len() > before {
                unusable.insert((app.document.path, name.text));
            }
            site_as_use(app, &name, findings);
            embeds(context, app, &name, findings);
        }
        for (number, section) in app.file.matches.iter().enumerate() {
            let is_empty = section.hosts.is_empty()
                && section.domains.is_empty()
                && section.patterns.is_empty();
            if is_empty {
                let steps = [Step::Key("match"), Step::Item(number)];
                let remedy = "add hosts, domains or patterns, or delete the section";
                findings.push(app.document.finding(
                    "S001",
                    &steps,
                    "a section without names",
                    remedy,
                ));
            }
        }
    }
    unusable
}

/// S004, S005, S008 for labels.toml: each label once, without what is implied, in a weak role.
fn labels(context: &Context<'_>, findings: &mut Vec<Finding>) {
    for (document, file) in &context.labels {
        let mut seen = BTreeSet::new();
        for (number, section) in file.label.iter().enumerate() {
            let at = [Step::Key("label"), Step::Item(number)];
            if matches!(section.role, Role::Use | Role::Login) {
                let remedy = "name such hosts in their apps' files";
                let reason = format!("no label alone proves role {}", section.role);
                findings.push(document.finding("S004", &at, reason, remedy));
            }
            for (item, text) in section.labels.iter().enumerate() {
                let steps = [at[0], at[1], Step::Key("labels"), Step::Item(item)];
                let word = text.strip_suffix(NUMBERED).unwrap_or(text);
                if !is_label(word) || word.ends_with(|c: char| c.is_ascii_digit()) {
                    let reason = format!("`{text}` is no label without a number");
                    let remedy = "write one label; numbers behind it are implied, # demands one";
                    findings.push(document.finding("S005", &steps, reason, remedy));
                } else if !seen.insert(word) {
                    let reason = format!("`{word}` stands here twice");
                    findings.push(document.finding("S008", &steps, reason, "keep one of them"));
                }
            }
        }
    }
}

/// Whether a text is one label of a hostname in its plain form.
fn is_label(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
        && (1..=63).contains(&text.len())
}

/// S005: lower-case A-labels of letters, digits and hyphens.
fn spelling(app: &AppDocument<'_>, name: &Name<'_>, findings: &mut Vec<Finding>) {
    let text = name.text;
    let mut report = |reason: &str, remedy: String| {
        findings.push(app.at_name("S005", name, format!("`{text}` {reason}"), remedy));
    };
    if text.contains("://") || text.contains('/') {
        let host = text.split("://").last().and_then(|rest| rest.split('/').next());
        report("is an address of a page", format!("write `{}`", host.unwrap_or_default()));
        return;
    }
    if text.contains(':') {
        report("has a port", "write the name alone".to_owned());
        return;
    }
    if text.starts_with('.') || text.ends_with('.') || text.contains("..") {
        report("has an empty label", format!("write `{}`", text.trim_matches('.')));
        return;
    }
    if !text.is_ascii() || text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        let remedy = match idna::domain_to_ascii(text) {
            Ok(ascii) => format!("write `{ascii}`"),
            Err(_) => "write lower-case ASCII letters".to_owned(),
        };
        report("is not in lower-case ASCII", remedy);
        return;
    }
    if name.key == "patterns" {
        return;
    }
    if text.contains(['*', '{']) {
        let remedy = match text.strip_prefix("*.") {
            Some(domain) => format!("write `{domain}` under domains, or move it to patterns"),
            None => "move it to patterns".to_owned(),
        };
        report("has a wildcard", remedy);
        return;
    }
    if !text.split('.').all(is_label) || text.len() > 253 {
        report("is no hostname", "use letters, digits and inner hyphens only".to_owned());
    } else if !text.contains('.') {
        report("is a single label", "write the full name".to_owned());
    }
}

/// S006: others register names below a public suffix. Where the suffix is private (`github.io`)
/// its owner may still have it as `visit` or `infra`: what others put there is no use of theirs.
fn public_suffix(app: &AppDocument<'_>, name: &Name<'_>, findings: &mut Vec<Finding>) {
    let suffix = psl::suffix(name.text.as_bytes()).filter(|suffix| *suffix == name.text.as_bytes());
    let Some(suffix) = suffix.filter(|_| name.key == "domains") else { return };
    let is_private = suffix.typ() == Some(psl::Type::Private);
    let claims_use = matches!(name.role, Role::Use | Role::Login);
    if is_private && (!claims_use || app.file.kind == Kind::Platform) {
        return;
    }
    let reason = format!("`{}` is a public suffix: others register names below it", name.text);
    let remedy = "write a pattern with {tenant}, take a weaker role, or kind = \"platform\"";
    findings.push(app.at_name("S006", name, reason, remedy));
}

/// S007: shared infrastructure is nobody's.
fn infrastructure(
    context: &Context<'_>,
    app: &AppDocument<'_>,
    name: &Name<'_>,
    findings: &mut Vec<Finding>,
) {
    let suffix = name.literal_suffix();
    for section in context.infra.iter().flat_map(|(_, file)| &file.shared) {
        if name.key == "hosts" && section.hosts.iter().any(|host| host == name.text) {
            let reason = format!("`{}` is on the infrastructure list", name.text);
            let remedy = "drop it here, or take it off infra.toml with a reason";
            findings.push(app.at_name("S007", name, reason, remedy));
        }
        for domain in section.domains.iter().filter(|domain| is_at_or_below(suffix, domain)) {
            if suffix == domain && name.key != "patterns" {
                let reason = format!("`{domain}` is shared infrastructure");
                let remedy = "claim exact hosts or patterns below it that are the app's own";
                findings.push(app.at_name("S007", name, reason, remedy));
            } else if suffix == domain && !has_own_label(name.text, domain) {
                let reason = format!("`{}` claims everything in `{domain}`", name.text);
                let remedy = "give the pattern a literal label of the app's own";
                findings.push(app.at_name("S007", name, reason, remedy));
            }
        }
    }
}

/// Whether a label of the pattern left of `domain` has literals.
fn has_own_label(pattern: &str, domain: &str) -> bool {
    let head = pattern.strip_suffix(domain).unwrap_or(pattern);
    head.replace(TENANT, "").bytes().any(|byte| byte.is_ascii_alphanumeric())
}

/// S011: patterns that can be matched and are anchored in a domain of somebody's own.
fn pattern(app: &AppDocument<'_>, name: &Name<'_>, findings: &mut Vec<Finding>) {
    if name.key != "patterns" {
        return;
    }
    let mut report = |reason: String, remedy: &str| {
        findings.push(app.at_name("S011", name, reason, remedy));
    };
    match Pattern::parse(name.text) {
        Err(error) => {
            let remedy =
                "for example {tenant}.example.com, {tenant}-my.example.com, *.eu.example.com";
            report(format!("`{}`: {error}", name.text), remedy);
            return;
        }
        Ok(pattern) if registrable_by_icann(pattern.suffix()).is_none() => {
            let reason = format!("`{}` ends in a public suffix", name.text);
            report(reason, "the literal end must be a registrable domain or longer");
        }
        Ok(_) => {}
    }
    let labels: Vec<&str> = name.text.split('.').collect();
    if labels.windows(2).any(|pair| pair == ["*", "*"]) {
        let reason = format!("`{}` has two labels that are only * side by side", name.text);
        report(reason, "write the domain under `domains` instead");
    }
    if name.text.contains(TENANT) && app.file.tenant.is_none() {
        let remedy = "add [tenant] with meaning, audience and reserved labels";
        report(format!("`{}` needs a [tenant] section", name.text), remedy);
    }
}

/// S015: marketing pages counted as use need a reason.
fn site_as_use(app: &AppDocument<'_>, name: &Name<'_>, findings: &mut Vec<Finding>) {
    let first = name.text.split('.').next().unwrap_or_default();
    if name.role != Role::Use || !SITE_LABELS.contains(&first) {
        return;
    }
    let text = app.document.text;
    let steps = name.steps();
    let is_explained = has_comment(text, app.document.offset(&steps))
        || has_comment(text, app.document.offset(&steps[..3]))
        || has_comment(text, app.document.offset(&steps[..2]));
    if !is_explained {
        let reason = format!("`{}` is usually no use of the app", name.text);
        let remedy = "move it to role site, or say in a comment on its line why it is use";
        findings.push(app.at_name("S015", name, reason, remedy));
    }
}

/// Whether the line at `offset`, or the one above it, has a comment that somebody wrote.
fn has_comment(text: &str, offset: usize) -> bool {
    let start = text[..offset].rfind('\n').map_or(0, |newline| newline + 1);
    let end = text[offset..].find('\n').map_or(text.len(), |newline| offset + newline);
    let above = text[..start].trim_end().rsplit('\n').next().unwrap_or_default();
    let own = text[start..end].split_once('#').map(|(_, comment)| comment);
    let above = above.trim_start().strip_prefix('#');
    let is_reason = |comment: &str| !template::COMMENTS.iter().any(|own| comment.contains(own));
    own.into_iter().chain(above).any(is_reason)
}

/// S016: what every vendor's allow-list names belongs to one vendor.
fn embeds(
    context: &Context<'_>,
    app: &AppDocument<'_>,
    name: &Name<'_>,
    findings: &mut Vec<Finding>,
) {
    let suffix = name.literal_suffix();
    for section in context.infra.iter().flat_map(|(_, file)| &file.embed) {
        let is_host = name.key == "hosts" && section.hosts.iter().any(|host| host == name.text);
        let is_below = section.domains.iter().any(|domain| is_at_or_below(suffix, domain));
        if (is_host || is_below) && section.vendor != app.file.vendor {
            let reason = format!("`{}` belongs to `{}`", name.text, section.vendor);
            let remedy = "drop it: a vendor's allow-list names other vendors' services too";
            findings.push(app.at_name("S016", name, reason, remedy));
        }
    }
}
