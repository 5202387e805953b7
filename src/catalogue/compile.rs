//! From what the files say to what can be asked: apps, rules and their indexes.
//!
//! Files may come in any order: everything is sorted before it is numbered.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::addresses::{PortRange, parse_network};
use super::document::{Content, Document, SourceFile, content_from_json};
use super::finding::Finding;
use super::format::{AppFile, NetSection, Role, Scope};
use super::index::{Index, Key, RuleNumber};
use super::packed;
use super::pattern::Pattern;
use super::vocabulary::{InfraFile, Purpose, VendorsFile};
use super::{App, Catalogue, Owner, Resolver, Rule};

/// A file that was read, from wherever.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) path: String,
    pub(crate) content: Content,
    /// Whether it comes from the operator's own folder.
    pub(crate) is_local: bool,
}

impl Part {
    /// Lets go at once of what only authors need, so that a sensor never holds all of it.
    fn new(path: String, mut content: Content, is_local: bool) -> Part {
        if let Content::App(file) = &mut content {
            file.test = Vec::new();
            file.sources = Vec::new();
            file.fingerprint = Vec::new();
        }
        Part { path, content, is_local }
    }
}

/// Reads source files; answers the parts and their packed form.
///
/// # Errors
/// Every file's findings.
pub(crate) fn read_sources(
    sources: &[SourceFile],
    is_local: bool,
) -> Result<(Vec<Part>, String), Vec<Finding>> {
    let (mut parts, mut packed, mut findings) = (Vec::new(), Vec::new(), Vec::new());
    for source in sources {
        match Document::read(source) {
            Ok(document) => {
                packed.push((source.path.clone(), document.to_json()));
                parts.push(Part::new(source.path.clone(), document.content, is_local));
            }
            Err(mut more) => findings.append(&mut more),
        }
    }
    if findings.is_empty() { Ok((parts, packed::pack(packed))) } else { Err(findings) }
}

/// Reads the packed form.
///
/// # Errors
/// A finding at the first line that is not as the packed form should be.
pub(crate) fn read_packed(text: &str) -> Result<Vec<Part>, Vec<Finding>> {
    let damaged = |line: usize, reason: String| {
        vec![Finding {
            file: "packed catalogue".to_owned(),
            line,
            column: 1,
            rule: "S001",
            is_warning: false,
            reason,
            remedy: "pack the catalogue again, with this version of the program".to_owned(),
        }]
    };
    let mut lines = text.lines();
    if lines.next() != Some(packed::HEADER) {
        return Err(damaged(1, format!("the first line is not `{}`", packed::HEADER)));
    }
    let mut parts = Vec::new();
    for (number, line) in lines.enumerate() {
        let Some((path, json)) = line.split_once('\t') else {
            return Err(damaged(number + 2, "no tab between path and content".to_owned()));
        };
        let content = content_from_json(path, json)
            .map_err(|error| damaged(number + 2, format!("{path}: {error}")))?;
        parts.push(Part::new(path.to_owned(), content, false));
    }
    Ok(parts)
}

/// Builds the catalogue. An app of the operator's own folder replaces one of the same id.
///
/// # Errors
/// What would make the answer depend on the order of files, or cannot be matched at all.
pub(crate) fn compile(parts: Vec<Part>, hash: [u8; 32]) -> Result<Catalogue, Vec<Finding>> {
    let mut compiler = Compiler { catalogue: Catalogue::empty(hash), ..Compiler::default() };
    let mut vendors = BTreeMap::new();
    let (mut app_files, mut infra) = (Vec::new(), Vec::new());
    // Local files come last, so that their words replace the catalogue's.
    let (local, base): (Vec<Part>, Vec<Part>) = parts.into_iter().partition(|part| part.is_local);
    for part in base.into_iter().chain(local) {
        match part.content {
            Content::App(file) => app_files.push((file, part.path, part.is_local)),
            Content::Infra(file) => infra.push((file, part.path, part.is_local)),
            Content::Vendors(VendorsFile { vendors: more, .. }) => vendors.extend(more),
            Content::Categories(file) => compiler.catalogue.categories.extend(file.categories),
            Content::Tags(file) => compiler.catalogue.tags.extend(file.tags),
            Content::Release(file) if !part.is_local => compiler.catalogue.release = file.version,
            Content::Release(_) => {}
        }
    }
    compiler.catalogue.vendors = vendors;
    app_files.sort_by(|a, b| (&a.0.id, !a.2, &a.1).cmp(&(&b.0.id, !b.2, &b.1)));
    let mut previous: Option<(String, bool)> = None;
    let names: BTreeMap<String, String> =
        app_files.iter().map(|(file, ..)| (file.id.clone(), file.name.clone())).collect();
    for (file, path, is_local) in app_files {
        match &previous {
            Some((id, was_local)) if *id == file.id => {
                if *was_local == is_local {
                    compiler.findings.push(same_id(&file.id, &path));
                }
                continue;
            }
            _ => previous = Some((file.id.clone(), is_local)),
        }
        compiler.add_app(*file, path, is_local, &names);
    }
    infra.sort_by(|a, b| a.1.cmp(&b.1));
    for (file, path, is_local) in infra {
        compiler.add_infra(file, &path, is_local);
    }
    compiler.finish()
}

#[derive(Default)]
struct Compiler {
    catalogue: Catalogue,
    base: Vec<(RuleNumber, Key)>,
    local: Vec<(RuleNumber, Key)>,
    findings: Vec<Finding>,
}

impl Compiler {
    fn add_app(
        &mut self,
        file: AppFile,
        path: String,
        is_local: bool,
        names: &BTreeMap<String, String>,
    ) {
        let number = self.catalogue.apps.len() as u32;
        let path: Arc<str> = path.into();
        let template = Rule {
            owner: Owner::App(number),
            role: Role::Infra,
            edition: None,
            cname: false,
            text: "".into(),
            file: path.clone(),
            is_local,
        };
        self.add_matches(&file, &template);
        for section in &file.net {
            self.add_addresses(section, &Rule { role: section.role, ..template.clone() });
        }
        let vendor = self.catalogue.vendors.get(&file.vendor);
        let app = App {
            number,
            vendor_name: vendor.map_or(&file.vendor, |vendor| &vendor.name).as_str().into(),
            vendor_country: vendor.and_then(|vendor| vendor.country.as_deref()).map(Into::into),
            suite_name: file.suite.as_ref().and_then(|id| names.get(id)).map(|n| n.as_str().into()),
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
            file: path,
            is_local,
        };
        self.catalogue.apps.push(app);
    }

    /// The names of an app; `template` says whose they are.
    fn add_matches(&mut self, file: &AppFile, template: &Rule) {
        let reserved = file.tenant.iter().flat_map(|tenant| &tenant.reserved);
        let mut reserved: Vec<Box<str>> = reserved.map(|label| label.as_str().into()).collect();
        reserved.sort_unstable();
        let reserved: Arc<[Box<str>]> = reserved.into();
        for section in &file.matches {
            let template = Rule {
                role: section.role,
                edition: section.edition,
                cname: section.cname,
                ..template.clone()
            };
            self.add_names(&template, &section.hosts, &section.domains);
            for text in &section.patterns {
                match Pattern::parse(text) {
                    Ok(pattern) => {
                        self.add_rule(&template, text, Key::Pattern(pattern, reserved.clone()));
                    }
                    Err(error) => {
                        self.findings.push(unusable(&template.file, text, &error.to_string()));
                    }
                }
            }
        }
    }

    /// A `[[net]]` section; `template` says whose it is.
    fn add_addresses(&mut self, section: &NetSection, template: &Rule) {
        let mut ports = Vec::new();
        for text in &section.ports {
            match PortRange::parse(text) {
                Some(range) => ports.push(range),
                None => self.findings.push(unusable(&template.file, text, "it is no port range")),
            }
        }
        let ports: Box<[PortRange]> = ports.into();
        let rule = |text: &str| Rule { text: text.into(), ..template.clone() };
        for text in &section.cidrs {
            let Some(network) = parse_network(text) else {
                self.findings.push(unusable(&template.file, text, "it is no network"));
                continue;
            };
            let number = self.push(rule(text));
            self.catalogue.addresses.add_network(network, ports.clone(), number);
        }
        for system in &section.asns {
            let number = self.push(rule(&format!("AS{system}")));
            self.catalogue.addresses.add_system(*system, ports.clone(), number);
        }
        if section.scope == Scope::Lan {
            let number = self.push(rule(&section.ports.join(" ")));
            self.catalogue.addresses.add_local(ports, number);
        }
    }

    fn add_infra(&mut self, file: InfraFile, path: &str, is_local: bool) {
        let path: Arc<str> = path.into();
        let template = |purpose, role| Rule {
            owner: Owner::Infra(purpose),
            role,
            edition: None,
            cname: false,
            text: "".into(),
            file: path.clone(),
            is_local,
        };
        for section in &file.shared {
            let template = template(section.purpose, Role::Infra);
            self.add_names(&template, &section.hosts, &section.domains);
        }
        for section in &file.ech {
            self.add_names(&template(Purpose::Ech, Role::Infra), &section.hosts, &[]);
            self.catalogue.ech_hosts.extend(section.hosts.iter().map(|host| host.as_str().into()));
        }
        for section in &file.embed {
            let template = template(Purpose::Page, Role::Embed);
            self.add_names(&template, &section.hosts, &section.domains);
        }
        for section in file.resolver {
            let template = template(Purpose::Resolver, Role::Infra);
            self.add_names(&template, &section.hosts, &section.domains);
            let provider: Arc<str> = section.provider.into();
            for address in section.addresses {
                let provider = provider.clone();
                self.catalogue.resolvers.push(Resolver { address: address.into(), provider });
            }
        }
    }

    fn add_names(&mut self, template: &Rule, hosts: &[String], domains: &[String]) {
        for host in hosts {
            self.add_rule(template, host, Key::Host(host.as_str().into()));
        }
        for domain in domains {
            self.add_rule(template, domain, Key::Domain(domain.as_str().into()));
        }
    }

    fn add_rule(&mut self, template: &Rule, text: &str, key: Key) {
        let number = self.push(Rule { text: text.into(), ..template.clone() });
        let keys = if template.is_local { &mut self.local } else { &mut self.base };
        keys.push((number, key));
    }

    fn push(&mut self, rule: Rule) -> RuleNumber {
        self.catalogue.rules.push(rule);
        self.catalogue.rules.len() as RuleNumber - 1
    }

    fn finish(mut self) -> Result<Catalogue, Vec<Finding>> {
        let catalogue = &mut self.catalogue;
        let (base, base_shadowed) = Index::new(std::mem::take(&mut self.base));
        let (local, local_shadowed) = Index::new(std::mem::take(&mut self.local));
        (catalogue.base, catalogue.local) = (base, local);
        catalogue.ech_hosts.sort_unstable();
        catalogue.resolvers.sort_by_key(|resolver| resolver.address);
        for number in base_shadowed.into_iter().chain(local_shadowed) {
            let rule = &catalogue.rules[number as usize];
            // Infrastructure yields to an app that claims the same name.
            if let Owner::App(_) = rule.owner {
                self.findings.push(Finding {
                    file: rule.file.to_string(),
                    line: 0,
                    column: 0,
                    rule: "S008",
                    is_warning: false,
                    reason: format!("another rule is the same: `{}`", rule.text),
                    remedy: "keep it in one place".to_owned(),
                });
            }
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
