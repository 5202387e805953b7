//! The linter: everything that should be changed before a signature file is shared.
//!
//! Rules S001 to S024, told one by one in `signatures/README.md`. All findings are answered at
//! once. Rules on one file are in `file` and `names`, rules between files in `between`, rules on
//! tests in `tested`. S023 (domains that no longer resolve) needs the network and is left to a
//! scheduled job.

mod between;
mod file;
mod names;
mod tested;

use std::collections::{BTreeMap, BTreeSet};

use super::compile;
use super::document::{Content, Document, SourceFile, Step};
use super::finding::Finding;
use super::format::{AppFile, Date, Role};
use super::vocabulary::{Category, InfraFile, LabelsFile, Vendor};
use super::{canonical, keys};

/// Checks a whole catalogue. `today` is for rule S019. Findings are sorted by file and line.
pub fn lint(sources: &[SourceFile], today: Date) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut documents = Vec::new();
    for source in sources {
        match Document::read(source) {
            Ok(document) => documents.push(document),
            Err(mut more) => findings.append(&mut more),
        }
    }
    let has_unreadable_files = !findings.is_empty();
    let context = Context::new(&documents, today);
    context.check_layout(sources, &mut findings);
    file::check(&context, &mut findings);
    names::check(&context, &mut findings);
    between::check(&context, &mut findings);
    tested::check_presence(&context, &mut findings);
    // Tests run against the whole catalogue, so they wait until it can be compiled.
    match compile::compile(compile::pack_documents(&documents).into(), "") {
        Ok(catalogue) if !has_unreadable_files => {
            tested::check_results(&context, &catalogue, &mut findings);
            between::check_look_alikes(&context, &catalogue, &mut findings);
        }
        Ok(_) => {}
        Err(errors) => {
            // The other rules found most of these already, with line and column.
            let is_new = |error: &Finding, found: &[Finding]| {
                !found.iter().any(|other| other.rule == error.rule && other.file == error.file)
            };
            for error in errors {
                if is_new(&error, &findings) {
                    findings.push(error);
                }
            }
        }
    }
    findings.sort();
    findings.dedup();
    findings
}

/// Everything the rules look at.
struct Context<'a> {
    today: Date,
    apps: Vec<AppDocument<'a>>,
    /// Position in `apps` by id; the first of two with the same id.
    by_id: BTreeMap<&'a str, usize>,
    categories: BTreeMap<&'a str, &'a Category>,
    vendors: BTreeMap<&'a str, &'a Vendor>,
    tags: BTreeSet<&'a str>,
    deleted: BTreeSet<&'a str>,
    infra: Vec<(&'a Document<'a>, &'a InfraFile)>,
    labels: Vec<(&'a Document<'a>, &'a LabelsFile)>,
    shared: Vec<&'a Document<'a>>,
}

/// A signature file.
struct AppDocument<'a> {
    document: &'a Document<'a>,
    file: &'a AppFile,
}

/// A name of a `[[match]]` section, and where it stands.
#[derive(Clone, Copy)]
struct Name<'a> {
    section: usize,
    key: &'static str,
    item: usize,
    role: Role,
    text: &'a str,
}

impl<'a> Context<'a> {
    fn new(documents: &'a [Document<'a>], today: Date) -> Context<'a> {
        let mut context = Context {
            today,
            apps: Vec::new(),
            by_id: BTreeMap::new(),
            categories: BTreeMap::new(),
            vendors: BTreeMap::new(),
            tags: BTreeSet::new(),
            deleted: BTreeSet::new(),
            infra: Vec::new(),
            labels: Vec::new(),
            shared: Vec::new(),
        };
        for document in documents {
            match &document.content {
                Content::App(file) => {
                    context.by_id.entry(&file.id).or_insert(context.apps.len());
                    context.apps.push(AppDocument { document, file });
                    continue;
                }
                Content::Categories(file) => {
                    context.categories.extend(file.categories.iter().map(|(k, v)| (k.as_str(), v)));
                }
                Content::Vendors(file) => {
                    context.vendors.extend(file.vendors.iter().map(|(k, v)| (k.as_str(), v)));
                }
                Content::Tags(file) => context.tags.extend(file.tags.keys().map(String::as_str)),
                Content::Infra(file) => context.infra.push((document, file)),
                Content::Labels(file) => context.labels.push((document, file)),
                Content::Release(file) => {
                    context.deleted.extend(file.deleted.iter().map(String::as_str));
                }
            }
            context.shared.push(document);
        }
        context
    }

    /// The app with this id.
    fn app(&self, id: &str) -> Option<&AppDocument<'a>> {
        self.by_id.get(id).map(|number| &self.apps[*number])
    }

    /// S022 for every file that can be read.
    fn check_layout(&self, sources: &[SourceFile], findings: &mut Vec<Finding>) {
        for source in sources {
            let Some(formatted) = canonical::format(&source.path, &source.text) else { continue };
            if formatted == source.text {
                continue;
            }
            let same = source.text.lines().zip(formatted.lines()).take_while(|(a, b)| a == b);
            findings.push(Finding {
                file: source.path.clone(),
                line: same.count() + 1,
                column: 1,
                rule: "S022",
                is_warning: false,
                reason: "keys, spaces or line breaks are not in canonical order".to_owned(),
                remedy: "run `shadowscope signatures fmt`".to_owned(),
            });
        }
    }
}

impl<'a> AppDocument<'a> {
    /// Every name of every `[[match]]` section.
    fn names(&self) -> impl Iterator<Item = Name<'a>> + use<'a> {
        let sections = self.file.matches.iter().enumerate();
        sections.flat_map(|(section, content)| {
            let lists = [
                ("hosts", &content.hosts),
                ("domains", &content.domains),
                ("patterns", &content.patterns),
            ];
            lists.into_iter().flat_map(move |(key, list)| {
                list.iter().enumerate().map(move |(item, text)| Name {
                    section,
                    key,
                    item,
                    role: content.role,
                    text,
                })
            })
        })
    }

    /// A finding at a name.
    fn at_name(
        &self,
        rule: &'static str,
        name: &Name<'_>,
        reason: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Finding {
        self.document.finding(rule, &name.steps(), reason, remedy)
    }

    /// A finding at a key of the file's top.
    fn at_key(
        &self,
        rule: &'static str,
        key: &str,
        reason: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Finding {
        self.document.finding(rule, &[Step::Key(key)], reason, remedy)
    }

    /// Whether two files are of one vendor or one suite.
    fn is_kin_of(&self, other: &AppFile) -> bool {
        let suite = |file: &'a AppFile| file.suite.as_deref().unwrap_or(&file.id);
        let other_suite = other.suite.as_deref().unwrap_or(&other.id);
        self.file.vendor == other.vendor || suite(self.file) == other_suite
    }
}

impl<'a> Name<'a> {
    fn steps(&self) -> [Step<'static>; 4] {
        [Step::Key("match"), Step::Item(self.section), Step::Key(self.key), Step::Item(self.item)]
    }

    /// The literal end: the name itself, or what stands right of a pattern's wildcards.
    fn literal_suffix(&self) -> &'a str {
        match self.text.rfind(['*', '}']) {
            None => self.text,
            Some(wildcard) => match self.text[wildcard..].find('.') {
                Some(dot) => &self.text[wildcard + dot + 1..],
                None => "",
            },
        }
    }
}

/// A name and every name above it: `a.b.c`, `b.c`, `c`.
fn with_parents(name: &str) -> impl Iterator<Item = &str> {
    let dots = name.bytes().enumerate().filter(|(_, byte)| *byte == b'.');
    std::iter::once(name).chain(dots.map(|(dot, _)| &name[dot + 1..]))
}

/// Whether `name` is `domain` or below it.
fn is_at_or_below(name: &str, domain: &str) -> bool {
    name.strip_suffix(domain).is_some_and(|head| head.is_empty() || head.ends_with('.'))
}

/// The registrable domain by the ICANN section of the Public Suffix List: where a private suffix
/// such as `github.io` begins, this sees its owner.
fn registrable_by_icann(name: &str) -> Option<&str> {
    let mut suffix = psl::suffix_str(name)?;
    while psl::suffix(suffix.as_bytes())?.typ() == Some(psl::Type::Private) {
        let (_, parent) = suffix.split_once('.')?;
        suffix = psl::suffix_str(parent)?;
    }
    let head = name.strip_suffix(suffix)?.strip_suffix('.')?;
    let start = head.rfind('.').map_or(0, |dot| dot + 1);
    Some(&name[start..])
}

/// "did you mean", or the whole list.
fn suggestion<'k>(word: &str, known: impl Iterator<Item = &'k str> + Clone) -> String {
    match keys::nearest(word, known.clone()) {
        Some(meant) => format!("write `{meant}`"),
        None => format!("known are: {}", known.collect::<Vec<_>>().join(", ")),
    }
}

#[cfg(test)]
mod rules_fire;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_of_private_suffixes_are_seen() {
        assert_eq!(registrable_by_icann("acme.github.io"), Some("github.io"));
        assert_eq!(registrable_by_icann("a.b.example.co.uk"), Some("example.co.uk"));
        assert_eq!(registrable_by_icann("x.s3.amazonaws.com"), Some("amazonaws.com"));
        assert_eq!(registrable_by_icann("co.uk"), None);
    }

    #[test]
    fn parents_come_in_order() {
        assert_eq!(with_parents("a.b.c").collect::<Vec<_>>(), ["a.b.c", "b.c", "c"]);
        assert!(is_at_or_below("a.slack.com", "slack.com"));
        assert!(!is_at_or_below("notslack.com", "slack.com"));
    }
}
