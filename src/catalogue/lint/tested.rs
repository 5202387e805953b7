//! Rules on `[[test]]`: S012, S013, S018.

use std::collections::{BTreeMap, BTreeSet};

use super::super::document::Step;
use super::super::finding::Finding;
use super::super::format::{Role, TestSection};
use super::super::{Catalogue, Match};
use super::{
    AppDocument, Context, FILES_TO_BLAME_MAX, Name, at_rule, is_at_or_below, registrable_by_icann,
};

/// Names that are nobody's; Microsoft's and RFC 2606's habits.
const INVENTED: &[&str] = &["acme", "contoso", "fabrikam", "globex"];

/// S012 and S018: that there are tests, and that they name nobody real.
pub(super) fn check_presence(context: &Context<'_>, findings: &mut Vec<Finding>) {
    for app in &context.apps {
        let tests = &app.file.test;
        let is_own = |test: &TestSection| test.app.as_ref().is_none_or(|id| *id == app.file.id);
        let has_use = app.file.matches.iter().any(|section| section.role == Role::Use);
        if has_use && !tests.iter().any(|test| is_own(test) && test.role == Some(Role::Use)) {
            let remedy = "add a [[test]] with a host that was seen, and role = \"use\"";
            findings.push(app.document.finding("S012", &[], "no test of role use", remedy));
        } else if !tests.iter().any(is_own) {
            let remedy = "add a [[test]] with a host that was seen, and its role";
            findings.push(app.document.finding("S012", &[], "no positive test", remedy));
        }
        if tests.iter().all(is_own) {
            let remedy = "add a [[test]] with a neighbour's host and app = \"\" or its owner's id";
            findings.push(app.document.finding("S012", &[], "no negative test", remedy));
        }
        bare_domains(app, findings);
        for (number, test) in tests.iter().enumerate() {
            if let Some(tenant) = test.tenant.as_deref().filter(|tenant| !is_nobodys(tenant)) {
                let reason = format!("`{tenant}` could be a real customer");
                let remedy = format!("use {} or a made-up id with digits", INVENTED.join(", "));
                let steps = [Step::Key("test"), Step::Item(number), Step::Key("tenant")];
                findings.push(app.document.finding("S018", &steps, reason, remedy));
            }
        }
    }
}

/// S012: that a domain matches its own text proves nothing; it is tested by a name below it.
fn bare_domains(app: &AppDocument<'_>, findings: &mut Vec<Finding>) {
    let has = |key: &str, host: &str| app.names().any(|name| name.key == key && name.text == host);
    let own = |test: &&TestSection| test.app.as_ref().is_none_or(|id| *id == app.file.id);
    let is_below = |name: &str, domain: &str| name != domain && is_at_or_below(name, domain);
    for (number, test) in app.file.test.iter().enumerate().filter(|(_, test)| own(test)) {
        let host = test.host.as_str();
        let is_bare = registrable_by_icann(host) == Some(host)
            && has("domains", host)
            && !has("hosts", host)
            && !app.file.test.iter().filter(own).any(|other| is_below(&other.host, host));
        if is_bare {
            let steps = [Step::Key("test"), Step::Item(number), Step::Key("host")];
            let reason = format!("`{host}` only repeats the rule");
            let remedy =
                "test a name below it that was seen: in a capture or on the vendor's pages";
            findings.push(app.document.finding("S012", &steps, reason, remedy));
        }
    }
}

fn is_nobodys(tenant: &str) -> bool {
    let is_invented = INVENTED.iter().any(|name| {
        tenant.split('-').any(|part| part.trim_end_matches(|c: char| c.is_ascii_digit()) == *name)
    });
    tenant.is_empty() || is_invented || tenant.bytes().filter(u8::is_ascii_digit).count() >= 3
}

/// S013: every test holds against the whole catalogue.
pub(super) fn check_results(
    context: &Context<'_>,
    catalogue: &Catalogue,
    findings: &mut Vec<Finding>,
) {
    // By (file, rule): failures of other files' tests that this rule caused.
    let mut caused: BTreeMap<(&str, &str), Vec<Finding>> = BTreeMap::new();
    for app in &context.apps {
        for (number, test) in app.file.test.iter().enumerate() {
            if waits(context, app, test) {
                continue;
            }
            let found = catalogue.match_host(&test.host);
            if let Err(failure) = run_test(context, app, test, found.as_ref()) {
                let steps = [Step::Key("test"), Step::Item(number), Step::Key("host")];
                let remedy =
                    "correct the rule or the test; `signatures explain` shows what matches";
                let finding = app.document.finding("S013", &steps, failure, remedy);
                match found.filter(|found| found.file != app.document.path) {
                    Some(found) => {
                        caused.entry((found.file, found.rule)).or_default().push(finding)
                    }
                    None => findings.push(finding),
                }
            }
        }
    }
    for ((file, rule), mut failures) in caused {
        let files: BTreeSet<&str> = failures.iter().map(|failure| failure.file.as_str()).collect();
        let Some(document) = context.document(file).filter(|_| files.len() > FILES_TO_BLAME_MAX)
        else {
            findings.append(&mut failures);
            continue;
        };
        let (count, first) = (files.len(), &failures[0]);
        let reason = format!(
            "`{rule}` breaks tests of {count} other files: {}:{}: {}, ...",
            first.file, first.line, first.reason
        );
        let remedy = "narrow the rule; `signatures explain` shows what matches a name";
        findings.push(at_rule(document, "S013", rule, reason, remedy));
    }
}

/// Whether a test cannot be judged before other findings are mended: it needs a name that can be no
/// rule, or a file that could not be read.
fn waits(context: &Context<'_>, app: &AppDocument<'_>, test: &TestSection) -> bool {
    let needs = |name: &Name<'_>| {
        !context.is_usable(app, name) && is_at_or_below(&test.host, name.literal_suffix())
    };
    let expected = test.app.as_deref().unwrap_or_default();
    let is_missing = !context.unreadable.is_empty()
        && (expected.starts_with('!') || context.unreadable.contains(expected));
    is_missing || (!context.unusable.is_empty() && app.names().any(|name| needs(&name)))
}

fn run_test(
    context: &Context<'_>,
    app: &AppDocument<'_>,
    test: &TestSection,
    found: Option<&Match<'_>>,
) -> Result<(), String> {
    let host = &test.host;
    let found_app = found.and_then(|found| found.app_id());
    let by = match found {
        Some(found) => {
            let by = format!("by `{}` in {}", found.rule, found.file);
            match found.label {
                Some(label) => format!("{by} and the label `{label}` in labels.toml"),
                None => by,
            }
        }
        None => "by no rule".to_owned(),
    };
    let shown = found_app.map_or("no app".to_owned(), |id| format!("`{id}`"));
    let expected = test.app.as_deref().unwrap_or(&app.file.id);
    if let Some(not) = expected.strip_prefix('!') {
        let (id, role) = not.split_once(':').map_or((not, None), |(id, role)| (id, Some(role)));
        if context.app(id).is_none() {
            return Err(format!("`{host}`: there is no app `{id}`"));
        }
        let role_fits =
            role.is_none_or(|role| found.is_some_and(|found| found.role.as_str() == role));
        if found_app == Some(id) && role_fits {
            return Err(format!("`{host}` must not be `{not}`, and is, {by}"));
        }
        return Ok(());
    }
    if expected.is_empty() {
        return match found_app {
            None => Ok(()),
            Some(_) => Err(format!("`{host}` must be no app, and is {shown}, {by}")),
        };
    }
    if found_app != Some(expected) {
        return Err(format!("`{host}` must be `{expected}`, and is {shown}, {by}"));
    }
    let Some(found) = found else { return Ok(()) };
    if let Some(role) = test.role
        && found.role != role
    {
        return Err(format!("`{host}` must have role {role}, and has {}, {by}", found.role));
    }
    if let Some(edition) = test.edition
        && found.edition != Some(edition)
    {
        let has = found.edition.map_or("none", |edition| edition.as_str());
        return Err(format!("`{host}` must have edition {edition}, and has {has}, {by}"));
    }
    if let Some(tenant) = &test.tenant
        && found.tenant().unwrap_or_default() != tenant
    {
        let has = found.tenant().unwrap_or("none");
        return Err(format!("`{host}` must have tenant `{tenant}`, and has {has}, {by}"));
    }
    Ok(())
}
