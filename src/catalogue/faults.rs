//! Everything that is wrong with the types of a signature file, at once.
//!
//! Reading a file into its types stops at the first fault. Where that failed, this looks at each
//! key alone. What a key may hold is told here once more; a test holds it against the types.

use std::collections::BTreeMap;

use serde::de::{DeserializeOwned, IgnoredAny};
use toml::Spanned;
use toml::de::{DeTable, DeValue, Error, ValueDeserializer};

use super::document::{finding_at, syntax_finding};
use super::finding::Finding;
use super::format::{
    Audience, Date, Edition, Kind, Maturity, RiskEvent, RiskValue, Role, Scope, Status,
};
use super::keys::nearest;

/// A key: its name, whether it must be there, and what is wrong with a value of it.
type Key = (&'static str, bool, fn(&Spanned<DeValue<'_>>) -> Vec<Error>);

const APP: &[Key] = &[
    ("schema", true, one::<u32>),
    ("id", true, one::<String>),
    ("name", true, one::<String>),
    ("vendor", true, one::<String>),
    ("kind", true, one::<Kind>),
    ("suite", false, one::<String>),
    ("category", true, one::<String>),
    ("tags", false, list::<String>),
    ("status", true, one::<Status>),
    ("since", false, one::<Date>),
    ("replaced_by", false, one::<String>),
    ("maturity", true, one::<Maturity>),
    ("aliases", false, list::<String>),
    ("homepage", true, one::<String>),
    ("verified", true, one::<Date>),
    ("sources", true, list::<String>),
    ("carve_out_of", false, list::<String>),
    ("match", true, section),
    ("tenant", false, section),
    ("net", false, section),
    ("fingerprint", false, section),
    ("risk", false, section),
    ("test", false, section),
];

const MATCH: &[Key] = &[
    ("role", true, one::<Role>),
    ("edition", false, one::<Edition>),
    ("cname", false, one::<bool>),
    ("hosts", false, list::<String>),
    ("domains", false, list::<String>),
    ("patterns", false, list::<String>),
];

const TENANT: &[Key] = &[
    ("meaning", true, one::<String>),
    ("audience", true, one::<Audience>),
    ("reserved", false, list::<String>),
];

const NET: &[Key] = &[
    ("cidrs", false, list::<String>),
    ("asns", false, list::<u32>),
    ("ports", false, list::<String>),
    ("role", true, one::<Role>),
    ("scope", false, one::<Scope>),
    ("source", true, one::<String>),
    ("date", true, one::<Date>),
];

const FINGERPRINT: &[Key] = &[
    ("ja4", true, one::<String>),
    ("client", true, one::<String>),
    ("source", true, one::<String>),
    ("date", true, one::<Date>),
];

const TEST: &[Key] = &[
    ("host", true, one::<String>),
    ("app", false, one::<String>),
    ("role", false, one::<Role>),
    ("tenant", false, one::<String>),
    ("edition", false, one::<Edition>),
];

/// Keys of a fact of `[risk]`.
const FACT: &[Key] = &[
    ("value", true, one::<RiskValue>),
    ("scope", false, one::<String>),
    ("source", true, one::<String>),
    ("date", true, one::<Date>),
];

/// What is wrong with the types of a signature file.
pub(super) fn of_signature(path: &str, text: &str, table: &DeTable<'_>) -> Vec<Finding> {
    let mut look = Look { path, text, findings: Vec::new() };
    look.at_keys(table, 0, APP, "add it at the top of the file, before the first [section]");
    for (name, value) in table {
        let known = match name.get_ref().as_ref() {
            "match" => MATCH,
            "tenant" => TENANT,
            "net" => NET,
            "fingerprint" => FINGERPRINT,
            "test" => TEST,
            "risk" => {
                if let Some(facts) = value.get_ref().as_table() {
                    look.at_risk(facts);
                }
                continue;
            }
            _ => continue,
        };
        for section in tables(value) {
            if let DeValue::Table(inside) = section.get_ref() {
                look.at_keys(inside, section.span().start, known, "add it to this section");
            }
        }
    }
    look.findings
}

struct Look<'a> {
    path: &'a str,
    text: &'a str,
    findings: Vec<Finding>,
}

impl Look<'_> {
    /// Keys that lack or hold the wrong thing, in a table that begins at `start`.
    fn at_keys(&mut self, table: &DeTable<'_>, start: usize, known: &[Key], remedy: &str) {
        for (name, is_required, faults) in known {
            match table.get(*name) {
                Some(value) => {
                    let faults = faults(value);
                    self.findings.extend(
                        faults.iter().map(|fault| syntax_finding(self.path, self.text, fault)),
                    );
                }
                None if *is_required && !is_misspelt(table, known, name) => {
                    // A finding must be defensible: that it has no source is a rule of its own.
                    let rule = if *name == "source" { "S020" } else { "S001" };
                    let reason = format!("there is no `{name}`");
                    self.findings
                        .push(finding_at(self.path, self.text, start, rule, reason, remedy));
                }
                _ => {}
            }
        }
    }

    /// Facts of `[risk]`, and lists of events.
    fn at_risk(&mut self, facts: &DeTable<'_>) {
        for (key, value) in facts {
            let start = key.span().start;
            let remedy = "write { value = ..., source = \"https://...\", date = 2026-11-22 }";
            match value.get_ref() {
                DeValue::Table(fact) => {
                    for (name, _) in fact {
                        if !FACT.iter().any(|(known, ..)| known == name.get_ref()) {
                            let reason = format!("unknown key `{}`", name.get_ref());
                            let at = name.span().start;
                            self.findings
                                .push(finding_at(self.path, self.text, at, "S001", reason, remedy));
                        }
                    }
                    self.at_keys(fact, start, FACT, remedy);
                }
                DeValue::Array(_) if list::<RiskEvent>(value).is_empty() => {}
                DeValue::Array(_) => {
                    let remedy = "write [{ date = 2020-01-02, source = \"https://...\" }]";
                    let reason = format!("`{}` is no list of events", key.get_ref());
                    self.findings
                        .push(finding_at(self.path, self.text, start, "S001", reason, remedy));
                }
                _ => {
                    let reason = format!("`{}` is only a value, without source", key.get_ref());
                    self.findings
                        .push(finding_at(self.path, self.text, start, "S020", reason, remedy));
                }
            }
        }
    }
}

/// Whether an unknown key of the table was probably meant to be `name`: that is told already.
fn is_misspelt(table: &DeTable<'_>, known: &[Key], name: &str) -> bool {
    let names = || known.iter().map(|(name, ..)| *name);
    table.iter().any(|(key, _)| {
        let key = key.get_ref();
        names().all(|name| name != key) && nearest(key, names()) == Some(name)
    })
}

/// A table, or those of a list.
fn tables<'t, 'i>(value: &'t Spanned<DeValue<'i>>) -> Vec<&'t Spanned<DeValue<'i>>> {
    match value.get_ref() {
        DeValue::Table(_) => vec![value],
        DeValue::Array(items) => items.iter().collect(),
        _ => Vec::new(),
    }
}

/// What is wrong with one value.
fn one<T: DeserializeOwned>(value: &Spanned<DeValue<'_>>) -> Vec<Error> {
    T::deserialize(ValueDeserializer::from(value.clone())).err().into_iter().collect()
}

/// What is wrong with each value of a list.
fn list<T: DeserializeOwned>(value: &Spanned<DeValue<'_>>) -> Vec<Error> {
    match value.get_ref() {
        DeValue::Array(items) => items.iter().flat_map(one::<T>).collect(),
        _ => one::<Vec<T>>(value),
    }
}

/// Sections are looked into on their own; here only whether they are some.
fn section(value: &Spanned<DeValue<'_>>) -> Vec<Error> {
    type Section = BTreeMap<String, IgnoredAny>;
    match value.get_ref() {
        DeValue::Array(_) => list::<Section>(value),
        _ => one::<Section>(value),
    }
}

#[cfg(test)]
mod tests {
    use super::super::document::{Document, SourceFile};
    use super::super::keys;
    use super::*;

    /// Every key once.
    const WHOLE: &str = r#"
schema = 1
id = "a"
name = "a"
vendor = "a"
kind = "app"
suite = "a"
category = "a"
tags = ["a"]
status = "active"
since = 2026-01-01
replaced_by = "a"
maturity = "candidate"
aliases = ["a"]
homepage = "a"
verified = 2026-01-01
sources = ["a"]
carve_out_of = ["a"]
[[match]]
role = "use"
edition = "mixed"
cname = true
hosts = ["a"]
domains = ["a"]
patterns = ["a"]
[tenant]
meaning = "a"
audience = "member"
reserved = ["a"]
[[net]]
cidrs = ["a"]
asns = [1]
ports = ["a"]
role = "use"
scope = "lan"
source = "a"
date = 2026-01-01
[[fingerprint]]
ja4 = "a"
client = "a"
source = "a"
date = 2026-01-01
[risk.hq]
value = "a"
scope = "a"
source = "a"
date = 2026-01-01
[[test]]
host = "a"
app = "a"
role = "use"
tenant = "a"
edition = "mixed"
"#;

    fn findings(text: &str) -> Vec<Finding> {
        let source = SourceFile { path: "a/a.toml".to_owned(), text: text.to_owned() };
        Document::read(&source).err().unwrap_or_default()
    }

    /// What is told here of keys is what the types say: a file without one key is refused exactly
    /// if it is required, one with a wrong value always, and each time one finding says it.
    #[test]
    fn the_keys_are_those_of_the_types() {
        assert_eq!(findings(WHOLE), []);
        let mut tried = 0;
        let sections = [("", APP), ("match", MATCH), ("tenant", TENANT), ("net", NET)];
        let more = [("fingerprint", FINGERPRINT), ("risk.hq", FACT), ("test", TEST)];
        for (name, known) in sections.into_iter().chain(more) {
            let names: Vec<&str> = known.iter().map(|(name, ..)| *name).collect();
            match name {
                "" => assert_eq!(names, keys::APP),
                "risk.hq" => {}
                section => assert_eq!(Some(&*names), keys::section(section)),
            }
            for (key, is_required, _) in known {
                let mut section = "";
                let line = WHOLE.lines().find(|line| {
                    if line.starts_with('[') {
                        section = line.trim_matches(['[', ']']);
                    }
                    section == name && line.starts_with(&format!("{key} ="))
                });
                let Some(line) = line else { continue };
                let start = line.as_ptr().addr() - WHOLE.as_ptr().addr();
                let with = |new: &str| {
                    findings(&[&WHOLE[..start], new, &WHOLE[start + line.len()..]].concat())
                };
                assert_eq!(with("").len(), usize::from(*is_required), "{name} without {key}");
                let wrong = with(&format!("{key} = {{ x = 1 }}"));
                assert_eq!(wrong.len(), 1, "{name} {key}: {wrong:?}");
                tried += 1;
            }
        }
        assert_eq!(tried, 46, "every key but those of sections themselves");
    }

    #[test]
    fn all_are_told_at_once_where_they_stand() {
        let text = WHOLE
            .replace("kind = \"app\"", "kind = \"apps\"\nkynd = 1")
            .replace("verified = 2026-01-01", "verified = \"soon\"")
            .replace("hosts = [\"a\"]", "hosts = [\"a\", 1, true]")
            .replace("audience = \"member\"\n", "")
            .replace(
                "[risk.hq]\nvalue = \"a\"\nscope = \"a\"\nsource = \"a\"",
                "[risk.hq]\nvalue = 1",
            );
        let mut told: Vec<(usize, &str)> =
            findings(&text).iter().map(|finding| (finding.line, finding.rule)).collect();
        told.sort_unstable();
        let line = |what: &str| 1 + text.lines().position(|line| line.starts_with(what)).unwrap();
        let expected = [
            (line("kind"), "S001"),
            (line("kynd"), "S001"),
            (line("verified"), "S001"),
            (line("hosts"), "S001"),
            (line("hosts"), "S001"),
            (line("[tenant]"), "S001"),
            (line("[risk.hq]"), "S020"),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn what_is_no_section_or_fact_is_told() {
        let text = WHOLE.replace("[[match]]", "[match]");
        assert_eq!(findings(&text).len(), 1, "{:?}", findings(&text));
        let start = WHOLE.find("[risk.hq]").unwrap();
        let end = WHOLE.find("[[test]]").unwrap();
        let with = |risk: &str| findings(&[&WHOLE[..start], risk, &WHOLE[end..]].concat());
        assert_eq!(with("[risk]\nbreach = [{ date = 2026-01-01, source = \"a\" }]\n"), []);
        assert_eq!(with("[risk]\nhq = \"US\"\n")[0].rule, "S020");
        assert_eq!(with("[risk]\nbreach = [{ date = 2026-01-01 }]\n")[0].rule, "S001");
        assert_eq!(with("[risk]\nhq = { valu = 1 }\n").len(), 3);
    }
}
