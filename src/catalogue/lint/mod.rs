//! The linter: everything that should be changed before a signature file is shared.
//!
//! Rules S001 to S024, told one by one in `signatures/README.md`. All findings are answered at
//! once. Rules on one file are in `file` and `names`, rules between files in `between`, rules on
//! tests in `tested`. S023 (domains that no longer resolve) needs the network and is left to a
//! scheduled job.

mod between;
mod file;
mod look_alikes;
mod names;
mod tested;

use std::collections::{BTreeMap, BTreeSet};

use super::compile;
use super::document::{Content, Document, SourceFile, Step, finding_at};
use super::finding::Finding;
use super::format::{AppFile, Date, Role};
use super::vocabulary::{Category, InfraFile, LabelsFile, Vendor};
use super::{canonical, keys, template};

/// Where a rule clashes with more files than this, it is blamed and not they.
const FILES_TO_BLAME_MAX: usize = 2;

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
    let mut context = Context::new(sources, &documents, today);
    context.check_layout(sources, &mut findings);
    context.check_lists(sources, &mut findings);
    context.check_placeholders(&mut findings);
    file::check(&context, &mut findings);
    context.unusable = names::check(&context, &mut findings);
    between::check(&context, &mut findings);
    tested::check_presence(&context, &mut findings);
    // Tests run against the whole catalogue, less what was found to be no rule: else every file
    // would answer for one that claims too much.
    match compile::compile(context.pack(&documents).into(), None, "") {
        Ok(catalogue) if !["infra", "labels"].iter().any(|id| context.unreadable.contains(id)) => {
            tested::check_results(&context, &catalogue, &mut findings);
            look_alikes::check(&context, &catalogue, &mut findings);
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
    /// Ids of files that could not be read.
    unreadable: BTreeSet<&'a str>,
    /// Names that can be no rules, with their files' paths. Other rules do not look at them, so
    /// that the file which has them is blamed, and no other.
    unusable: BTreeSet<(&'a str, &'a str)>,
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
    fn new(sources: &'a [SourceFile], documents: &'a [Document<'a>], today: Date) -> Context<'a> {
        let readable: BTreeSet<&str> = documents.iter().map(|document| document.path).collect();
        let paths = sources.iter().map(|source| source.path.as_str());
        let unreadable = paths.filter(|path| !readable.contains(path)).map(id_of_path).collect();
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
            unreadable,
            unusable: BTreeSet::new(),
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

    /// The file with this path.
    fn document(&self, path: &str) -> Option<&'a Document<'a>> {
        let app = self.app(id_of_path(path)).map(|app| app.document);
        let all = app.into_iter().chain(self.shared.iter().copied());
        all.chain(self.apps.iter().map(|app| app.document)).find(|document| document.path == path)
    }

    /// Whether a file that all share was read.
    fn has(&self, shared: &str) -> bool {
        self.shared.iter().any(|document| document.path == shared)
    }

    /// Whether a name is a rule that others can be held against.
    fn is_usable(&self, app: &AppDocument<'a>, name: &Name<'a>) -> bool {
        !self.unusable.contains(&(app.document.path, name.text))
    }

    /// The packed form of all that can be used.
    fn pack(&self, documents: &[Document<'_>]) -> String {
        compile::pack_documents(documents, |path, name| !self.unusable.contains(&(path, name)))
    }

    /// S004: that the closed lists are there to be held against. An operator's own folder has none.
    fn check_lists(&self, sources: &[SourceFile], findings: &mut Vec<Finding>) {
        for path in ["categories.toml", "tags.toml", "vendors.toml"] {
            if sources.iter().all(|source| source.path != path) {
                findings.push(Finding {
                    file: path.to_owned(),
                    line: 0,
                    column: 0,
                    rule: "S004",
                    is_warning: true,
                    reason: "it is not there, so nothing was held against it".to_owned(),
                    remedy: "copy it from the catalogue, or name the whole folder".to_owned(),
                });
            }
        }
    }

    /// S001: what the template left to be filled in.
    fn check_placeholders(&self, findings: &mut Vec<Finding>) {
        for AppDocument { document, .. } in &self.apps {
            let text = document.text;
            let is_inside_a_word = |start: usize| {
                let (before, after) =
                    (&text[..start], &text[start + template::PLACEHOLDER.len()..]);
                before.ends_with(char::is_alphanumeric) || after.starts_with(char::is_alphanumeric)
            };
            for (start, _) in text.match_indices(template::PLACEHOLDER) {
                // The closed list of categories answers better.
                if is_inside_a_word(start) || text[..start].ends_with("category = \"") {
                    continue;
                }
                let remedy = "fill it in; in a comment, do what it says and delete it";
                let reason = format!("`{}` of the template was left", template::PLACEHOLDER);
                findings.push(finding_at(document.path, text, start, "S001", reason, remedy));
            }
        }
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

/// The id that a file has by its name.
fn id_of_path(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.strip_suffix(".toml").unwrap_or(name)
}

/// Where a rule stands in a file's text: what is wrong with it is told there.
fn at_rule(
    document: &Document<'_>,
    rule: &'static str,
    text: &str,
    reason: String,
    remedy: &str,
) -> Finding {
    let offset = document.text.find(&format!("\"{text}\"")).unwrap_or_default();
    finding_at(document.path, document.text, offset, rule, reason, remedy)
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
