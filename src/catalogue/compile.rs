//! From the packed form to what can be asked: apps, rules and their indexes.
//!
//! Files may come in any order: everything is sorted before it is numbered. Of an app only its id
//! and its names are read here; its other words are when somebody asks for them, so that a sensor
//! starts in milliseconds.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use foldhash::fast::RandomState;
use serde::de::DeserializeOwned;

use super::addresses::{PortRange, parse_network};
use super::document::{Document, SourceFile};
use super::finding::Finding;
use super::format::{AppFile, Edition, NetSection, Role, Scope};
use super::index::{Index, Reserved, RuleNumber};
use super::lines::{AppFields, Line, body, damaged, lines};
use super::packed::{self, END, NOTHING, VENDORS_FILE, mark};
use super::pattern::Pattern;
use super::vocabulary::{
    CategoriesFile, InfraFile, LabelsFile, Purpose, ReleaseFile, TagsFile, Vendor,
};
use super::{App, AppEntry, Catalogue, Owner, Place, Resolver, Rule, Source, VendorEntry};

/// Bytes of the packed form for each name in it, about: how much room is made at first.
const BYTES_PER_NAME: usize = 128;

/// What a template of rules has in place of words.
const NO_TEXT: Place = Place { source: Source::Own, start: 0, length: 0 };

/// Puts source files into the packed form.
///
/// # Errors
/// Every file's findings.
pub(super) fn pack(sources: &[SourceFile]) -> Result<String, Vec<Finding>> {
    let (mut documents, mut findings) = (Vec::new(), Vec::new());
    for source in sources {
        match Document::read(source) {
            Ok(document) => documents.push(document),
            Err(mut more) => findings.append(&mut more),
        }
    }
    if findings.is_empty() { Ok(pack_documents(&documents, |_, _| true)) } else { Err(findings) }
}

/// Puts files that were read into the packed form, with those names only of which `keep` says so,
/// asked with the file's path.
pub(super) fn pack_documents(
    documents: &[Document<'_>],
    keep: impl Fn(&str, &str) -> bool,
) -> String {
    let content = |file: &Document<'_>| {
        let names = |name: &str| keep(file.path, name);
        (file.path.to_owned(), file.packed(&names))
    };
    packed::pack(documents.iter().map(content).collect())
}

/// Reads every app of a packed form from elsewhere, so that none fails later.
///
/// # Errors
/// A finding at the first line that is not as it should be.
pub(super) fn check_packed(text: &str) -> Result<(), Vec<Finding>> {
    let lines = lines(text, false)?;
    let sum = body(text).map(|body| format!("{END}{:016x}", packed::checksum(body)));
    if sum.as_deref() != text.lines().last() {
        return Err(damaged(lines.len() + 2, "the checksum is another: it was changed".to_owned()));
    }
    for line in lines {
        match &line.app {
            Some(app) => drop(line.app_file(app)?),
            None if line.path == VENDORS_FILE => {
                for (_, words) in line.vendors()? {
                    line.json::<Vendor>(words)?;
                }
            }
            None => {}
        }
    }
    Ok(())
}

/// Builds the catalogue from its packed form and that of the operator's own files, which may be
/// empty. An app of the operator's own replaces one of the same id.
///
/// # Errors
/// What would make the answer depend on the order of files, or cannot be matched at all.
pub(super) fn compile(base: Cow<'static, str>, local: &str) -> Result<Catalogue, Vec<Finding>> {
    let mut compiler = Compiler::default();
    let names = base.len() / BYTES_PER_NAME;
    compiler.catalogue.base = Index::with_room(names);
    compiler.catalogue.rules.reserve(names);
    let mut infra = Vec::new();
    let mut labels = Vec::new();
    // Local files come last, so that their words replace the catalogue's.
    let mut all = lines(&base, false)?;
    if !local.is_empty() {
        all.extend(lines(local, true)?);
    }
    // Most of what is held here are the lines of apps, so those are not moved to another list.
    let shared = all.extract_if(.., |line| line.app.is_none()).collect::<Vec<_>>();
    for line in &shared {
        let catalogue = &mut compiler.catalogue;
        match line.path {
            "catalogue.toml" if line.is_local => {}
            "catalogue.toml" => {
                catalogue.release = line.json::<ReleaseFile>(line.content)?.version;
            }
            "categories.toml" => {
                let file: CategoriesFile = line.json(line.content)?;
                catalogue.categories.extend(file.categories);
            }
            "tags.toml" => catalogue.tags.extend(line.json::<TagsFile>(line.content)?.tags),
            VENDORS_FILE => {
                let entry =
                    |(id, words)| VendorEntry { id: line.place(id), words: line.place(words) };
                catalogue.vendors.push(line.vendors()?.into_iter().map(entry).collect());
            }
            "infra.toml" => infra.push(line),
            "labels.toml" => labels.push(line),
            _ => {}
        }
    }
    all.sort_by(|a, b| a.app_key().cmp(&b.app_key()));
    compiler.catalogue.apps.reserve(all.len());
    compiler.catalogue.files.reserve(all.len());
    let mut previous: Option<(&str, bool)> = None;
    // Many apps reserve the same labels, most of them none.
    let mut reserved: HashMap<&str, Arc<Reserved>, RandomState> = HashMap::default();
    for line in &all {
        let Some(app) = &line.app else { continue };
        match previous {
            Some((id, was_local)) if id == app.id => {
                if was_local == line.is_local {
                    compiler.findings.push(same_id(app.id, line.path));
                }
                continue;
            }
            _ => previous = Some((app.id, line.is_local)),
        }
        let labels = app.reserved;
        let reserved = reserved.entry(labels).or_insert_with(|| Arc::new(Reserved::new(labels)));
        compiler.add_app(line, app, reserved)?;
    }
    // Of two words for one label the first holds, which is the operator's own.
    for line in labels.into_iter().rev() {
        for section in &line.json::<LabelsFile>(line.content)?.label {
            compiler.catalogue.labels.add(section);
        }
    }
    infra.sort_by_key(|line| line.path);
    for line in infra {
        compiler.add_infra(line.json(line.content)?, line);
    }
    drop((all, shared, reserved));
    compiler.finish(base, local)
}

/// Reads the words of an app.
pub(super) fn app(catalogue: &Catalogue, number: usize) -> Box<App> {
    let AppEntry { file, words, .. } = &catalogue.apps[number];
    let path = catalogue.files[*file as usize];
    let file: AppFile = words_of(catalogue, *words);
    let vendor = vendor(catalogue, &file.vendor);
    let suite = file.suite.as_deref().and_then(|id| catalogue.number_of(id));
    let suite_name = suite.map(|suite| {
        let suite: AppFile = words_of(catalogue, catalogue.apps[suite].words);
        suite.name.into()
    });
    Box::new(App {
        number: number as u32,
        vendor_name: vendor.as_ref().map_or(&file.vendor, |vendor| &vendor.name).as_str().into(),
        vendor_country: vendor.and_then(|vendor| vendor.country).map(Into::into),
        suite_name,
        id: file.id.into(),
        name: file.name.into(),
        vendor: file.vendor.into(),
        suite: file.suite.map(Into::into),
        category: file.category.into(),
        kind: file.kind,
        tags: file.tags.into_iter().map(Into::into).collect(),
        status: file.status,
        since: file.since,
        replaced_by: file.replaced_by.map(Into::into),
        maturity: file.maturity,
        aliases: file.aliases.into_iter().map(Into::into).collect(),
        homepage: file.homepage.into(),
        verified: file.verified,
        tenant_audience: file.tenant.as_ref().map(|tenant| tenant.audience),
        risk: file.risk,
        file: catalogue.at(path).into(),
        is_local: words.source == Source::Local,
    })
}

/// Reads who a vendor is; the operator's own words come last and win.
pub(super) fn vendor(catalogue: &Catalogue, id: &str) -> Option<Vendor> {
    catalogue.vendors.iter().rev().find_map(|vendors| {
        let found = vendors.binary_search_by(|vendor| catalogue.at(vendor.id).cmp(id)).ok()?;
        Some(words_of(catalogue, vendors[found].words))
    })
}

/// Reads JSON that was whole when the catalogue was compiled: the build script or [`pack`] wrote
/// it from files whose types were right, or [`check_packed`] has read it.
fn words_of<T: DeserializeOwned>(catalogue: &Catalogue, place: Place) -> T {
    serde_json::from_str(catalogue.at(place)).expect("the packed form was read before")
}

#[derive(Default)]
struct Compiler {
    catalogue: Catalogue,
    findings: Vec<Finding>,
    /// Rules that another one hides.
    shadowed: Vec<RuleNumber>,
}

impl Compiler {
    fn add_app(
        &mut self,
        line: &Line<'_>,
        app: &AppFields<'_>,
        reserved: &Arc<Reserved>,
    ) -> Result<(), Vec<Finding>> {
        let number = self.catalogue.apps.len() as u32;
        let file = self.file(line);
        let template = Rule {
            owner: Owner::App(number),
            role: Role::Infra,
            edition: None,
            cname: false,
            is_local: line.is_local,
            file,
            text: NO_TEXT,
        };
        for section in app.sections() {
            self.add_section(line, section, &template, reserved)?;
        }
        if app.net != "[]" {
            for section in line.json::<Vec<NetSection>>(app.net)? {
                let template = Rule { role: section.role, ..template };
                self.add_addresses(line.path, &section, &template);
            }
        }
        self.catalogue.apps.push(AppEntry {
            id: line.place(app.id),
            file,
            words: line.place_of(&app.words),
            app: OnceLock::new(),
        });
        Ok(())
    }

    /// A `[[match]]` section; `template` says whose it is.
    fn add_section<'p>(
        &mut self,
        line: &Line<'p>,
        section: &'p str,
        template: &Rule,
        reserved: &Arc<Reserved>,
    ) -> Result<(), Vec<Finding>> {
        let mut words = section.split_ascii_whitespace();
        let mut next = || words.next().unwrap_or(NOTHING);
        let (role, edition, cname) = (next(), next(), next());
        let unknown = |what, word| line.damaged(&format!("`{word}` is no {what}"));
        let template = Rule {
            role: Role::from_word(role).ok_or_else(|| unknown("role", role))?,
            edition: match edition {
                NOTHING => None,
                word => Some(Edition::from_word(word).ok_or_else(|| unknown("edition", word))?),
            },
            cname: cname != NOTHING,
            ..*template
        };
        for word in words {
            let kind = word.bytes().next().map(char::from);
            // Marks are of one byte.
            let Some(name) = word.get(1..) else { return Err(unknown("name", word)) };
            let text = line.place(name);
            let number = self.push(Rule { text, ..template });
            let index = self.index(template.is_local);
            let kept = match kind {
                Some(mark::HOST) => index.add_host(name, number),
                Some(mark::DOMAIN) => index.add_domain(name, number),
                Some(mark::PATTERN) => match Pattern::parse(name) {
                    Ok(pattern) => {
                        index.add_pattern(pattern, reserved.clone(), number);
                        true
                    }
                    Err(error) => {
                        self.findings.push(unusable(line.path, name, &error.to_string()));
                        true
                    }
                },
                _ => return Err(unknown("name", word)),
            };
            if !kept {
                self.shadowed.push(number);
            }
        }
        Ok(())
    }

    /// A `[[net]]` section; `template` says whose it is.
    fn add_addresses(&mut self, path: &str, section: &NetSection, template: &Rule) {
        let mut ports = Vec::new();
        for text in &section.ports {
            match PortRange::parse(text) {
                Some(range) => ports.push(range),
                None => self.findings.push(unusable(path, text, "it is no port range")),
            }
        }
        let ports: Box<[PortRange]> = ports.into();
        for text in &section.cidrs {
            let Some(network) = parse_network(text) else {
                self.findings.push(unusable(path, text, "it is no network"));
                continue;
            };
            let number = self.push_own(text, template);
            self.catalogue.addresses.add_network(network, ports.clone(), number);
        }
        for system in &section.asns {
            let number = self.push_own(&format!("AS{system}"), template);
            self.catalogue.addresses.add_system(*system, ports.clone(), number);
        }
        if section.scope == Scope::Lan {
            let number = self.push_own(&section.ports.join(" "), template);
            self.catalogue.addresses.add_local(ports, number);
        }
    }

    fn add_infra(&mut self, infra: InfraFile, line: &Line<'_>) {
        let file = self.file(line);
        let template = |purpose, role| Rule {
            owner: Owner::Infra(purpose),
            role,
            edition: None,
            cname: false,
            is_local: line.is_local,
            file,
            text: NO_TEXT,
        };
        for section in &infra.shared {
            let template = template(section.purpose, Role::Infra);
            self.add_names(&template, &section.hosts, &section.domains);
        }
        for section in &infra.ech {
            self.add_names(&template(Purpose::Ech, Role::Infra), &section.hosts, &[]);
            self.catalogue.ech_hosts.extend(section.hosts.iter().map(|host| host.as_str().into()));
        }
        for section in &infra.embed {
            let template = template(Purpose::Page, Role::Embed);
            self.add_names(&template, &section.hosts, &section.domains);
        }
        for section in infra.resolver {
            let template = template(Purpose::Resolver, Role::Infra);
            self.add_names(&template, &section.hosts, &section.domains);
            let provider: Arc<str> = section.provider.into();
            for address in section.addresses {
                let provider = provider.clone();
                self.catalogue.resolvers.push(Resolver { address: address.into(), provider });
            }
        }
    }

    /// Names of infrastructure, which yields to an app that claims the same.
    fn add_names(&mut self, template: &Rule, hosts: &[String], domains: &[String]) {
        let mut add = |name: &str, add: fn(&mut Index, &str, RuleNumber) -> bool| {
            let number = self.push_own(name, template);
            add(self.index(template.is_local), name, number);
        };
        for host in hosts {
            add(host, Index::add_host);
        }
        for domain in domains {
            add(domain, Index::add_domain);
        }
    }

    fn index(&mut self, is_local: bool) -> &mut Index {
        let Catalogue { base, local, .. } = &mut self.catalogue;
        if is_local { local } else { base }
    }

    fn push(&mut self, rule: Rule) -> RuleNumber {
        self.catalogue.rules.push(rule);
        self.catalogue.rules.len() as RuleNumber - 1
    }

    /// A rule whose words do not stand in the packed form as they are.
    fn push_own(&mut self, text: &str, template: &Rule) -> RuleNumber {
        let own = &mut self.catalogue.own;
        let (start, length) = (own.len() as u32, text.len() as u32);
        own.push_str(text);
        self.push(Rule { text: Place { source: Source::Own, start, length }, ..*template })
    }

    fn file(&mut self, line: &Line<'_>) -> u32 {
        self.catalogue.files.push(line.place(line.path));
        self.catalogue.files.len() as u32 - 1
    }

    fn finish(mut self, base: Cow<'static, str>, local: &str) -> Result<Catalogue, Vec<Finding>> {
        let catalogue = &mut self.catalogue;
        catalogue.packed = [base, Cow::Owned(local.to_owned())];
        catalogue.ech_hosts.sort_unstable();
        catalogue.resolvers.sort_by_key(|resolver| resolver.address);
        for number in self.shadowed {
            let rule = &catalogue.rules[number as usize];
            self.findings.push(Finding {
                file: catalogue.at(catalogue.files[rule.file as usize]).to_owned(),
                line: 0,
                column: 0,
                rule: "S008",
                is_warning: false,
                reason: format!("another rule is the same: `{}`", catalogue.rule_text(rule)),
                remedy: "keep it in one place".to_owned(),
            });
        }
        if self.findings.is_empty() { Ok(self.catalogue) } else { Err(self.findings) }
    }
}

fn same_id(id: &str, path: &str) -> Finding {
    Finding {
        file: path.to_owned(),
        line: 0,
        column: 0,
        rule: "S002",
        is_warning: false,
        reason: format!("another file has the id `{id}` too"),
        remedy: "choose another id and rename the file to it".to_owned(),
    }
}

fn unusable(path: &str, text: &str, why: &str) -> Finding {
    Finding {
        file: path.to_owned(),
        line: 0,
        column: 0,
        rule: "S011",
        is_warning: false,
        reason: format!("`{text}` cannot be used: {why}"),
        remedy: "see the section on rules in signatures/README.md".to_owned(),
    }
}
