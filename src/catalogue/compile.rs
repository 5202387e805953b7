//! From the packed form to what can be asked: the tables, and what is read at each start.
//!
//! Of an app only its id and its names are in the tables; its other words are read when somebody
//! asks for them, so that a sensor starts in milliseconds.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::addresses::{PortRange, parse_network};
use super::document::{Document, SourceFile};
use super::finding::Finding;
use super::format::{AppFile, Edition, NetSection, Role, Scope};
use super::index::RuleNumber;
use super::lines::{AppFields, Line, body, damaged, lines};
use super::packed::{self, END, NOTHING, VENDORS_FILE};
use super::tables::{AppRecord, JsonRecord, Place, Source, Tables, VendorRecord, numbers};
use super::tabulate::{INFRA_FILE, InfraNames, Placed, Reader, push_own, tabulate, unusable};
use super::vocabulary::{
    CategoriesFile, EchSection, InfraFile, LabelsFile, Purpose, ReleaseFile, ResolverSection,
    TagsFile, Vendor,
};
use super::{App, Catalogue, Resolver, Rule, RuleKind};

/// Puts source files into the packed form, one after the other: what is read of one takes ten times its
/// text.
///
/// # Errors
/// Every file's findings.
pub(super) fn pack(sources: &[SourceFile]) -> Result<String, Vec<Finding>> {
    let (mut contents, mut findings) = (Vec::new(), Vec::new());
    for source in sources {
        match Document::read(source) {
            Ok(document) => contents.push((source.path.clone(), document.packed(&|_| true))),
            Err(mut more) => findings.append(&mut more),
        }
    }
    if findings.is_empty() { Ok(packed::pack(contents)) } else { Err(findings) }
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
/// empty. The tables are made of these unless they are there already.
///
/// # Errors
/// What would make the answer depend on the order of files, or cannot be matched at all.
pub(super) fn compile(
    base: Cow<'static, str>,
    tables: Option<Tables>,
    local: &str,
) -> Result<Catalogue, Vec<Finding>> {
    let (tables, findings) = match tables {
        Some(tables) => (tables, Vec::new()),
        None => tabulate(&base, local, &TypedReader)?,
    };
    let kinds = tables.kinds.lines().map(RuleKind::read).collect::<Result<_, _>>();
    let kinds = kinds.map_err(|reason| damaged(0, reason))?;
    let apps = (0..tables.apps.len()).map(|_| OnceLock::new()).collect();
    let packed = [base, Cow::Owned(local.to_owned())];
    let catalogue = Catalogue { packed, tables, kinds, apps, ..Catalogue::default() };
    let mut compiler = Compiler { catalogue, findings };
    compiler.read_shared()?;
    compiler.read_addresses()?;
    // Those of names and of addresses, by app.
    compiler.findings.sort_by_key(|(place, _)| *place);
    match compiler.findings.is_empty() {
        true => Ok(compiler.catalogue),
        false => Err(compiler.findings.into_iter().map(|(_, finding)| finding).collect()),
    }
}

/// Reads the words of an app.
pub(super) fn app(catalogue: &Catalogue, number: usize) -> Box<App> {
    let AppRecord { path, words, .. } = catalogue.app_record(number);
    let file: AppFile = words_of(catalogue, words);
    let vendor = vendor(catalogue, &file.vendor);
    let suite = file.suite.as_deref().and_then(|id| catalogue.number_of(id));
    let suite_name = suite.map(|suite| {
        let suite: AppFile = words_of(catalogue, catalogue.app_record(suite).words);
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
    catalogue.tables.vendors.iter().rev().find_map(|vendors| {
        let vendors = vendors.records();
        let read = |vendor| VendorRecord::read(numbers(vendor));
        let found =
            vendors.binary_search_by(|vendor| catalogue.at(read(vendor).id).cmp(id)).ok()?;
        Some(words_of(catalogue, read(&vendors[found]).words))
    })
}

/// Reads JSON that was whole when the catalogue was compiled: the build script or [`pack`] wrote
/// it from files whose types were right, or [`check_packed`] has read it.
fn words_of<T: DeserializeOwned>(catalogue: &Catalogue, place: Place) -> T {
    serde_json::from_str(catalogue.at(place)).expect("the packed form was read before")
}

/// What is read of `infra.toml` at each start: its names are in the tables.
#[derive(Deserialize)]
struct InfraBeyondNames {
    #[serde(default)]
    ech: Vec<EchSection>,
    #[serde(default)]
    resolver: Vec<ResolverSection>,
}

struct Compiler {
    catalogue: Catalogue,
    findings: Vec<Placed>,
}

impl Compiler {
    /// Reads the files that are no app's.
    fn read_shared(&mut self) -> Result<(), Vec<Finding>> {
        let mut labels = Vec::new();
        for record in self.catalogue.tables.shared.records().to_vec() {
            let record = JsonRecord::read(numbers(&record));
            let catalogue = &mut self.catalogue;
            match catalogue.at(record.path) {
                "catalogue.toml" if record.json.source == Source::Local => {}
                "catalogue.toml" => {
                    catalogue.release = json::<ReleaseFile>(catalogue, &record)?.version;
                }
                "categories.toml" => {
                    let file: CategoriesFile = json(catalogue, &record)?;
                    catalogue.categories.extend(file.categories);
                }
                "tags.toml" => {
                    let file: TagsFile = json(catalogue, &record)?;
                    catalogue.tags.extend(file.tags);
                }
                "labels.toml" => labels.push(record),
                INFRA_FILE => {
                    let infra = json(catalogue, &record)?;
                    self.add_infra(infra);
                }
                _ => {}
            }
        }
        // Of two words for one label the first holds, which is the operator's own.
        for record in labels.into_iter().rev() {
            let file: LabelsFile = json(&self.catalogue, &record)?;
            for section in &file.label {
                self.catalogue.labels.add(section);
            }
        }
        self.catalogue.ech_hosts.sort_unstable();
        self.catalogue.resolvers.sort_by_key(|resolver| resolver.address);
        Ok(())
    }

    /// What infrastructure is beyond its names.
    fn add_infra(&mut self, infra: InfraBeyondNames) {
        for section in infra.ech {
            self.catalogue.ech_hosts.extend(section.hosts.into_iter().map(Into::into));
        }
        for section in infra.resolver {
            let provider: Arc<str> = section.provider.into();
            for address in section.addresses {
                let provider = provider.clone();
                self.catalogue.resolvers.push(Resolver { address: address.into(), provider });
            }
        }
    }

    /// Reads the `[[net]]` sections of apps.
    fn read_addresses(&mut self) -> Result<(), Vec<Finding>> {
        for record in self.catalogue.tables.nets.records().to_vec() {
            let record = JsonRecord::read(numbers(&record));
            for section in json::<Vec<NetSection>>(&self.catalogue, &record)? {
                self.add_addresses(&record, &section);
            }
        }
        Ok(())
    }

    /// A `[[net]]` section.
    fn add_addresses(&mut self, record: &JsonRecord, section: &NetSection) {
        let mut ports = Vec::new();
        for text in &section.ports {
            match PortRange::parse(text) {
                Some(range) => ports.push(range),
                None => self.unusable(record, text, "it is no port range"),
            }
        }
        let ports: Box<[PortRange]> = ports.into();
        for text in &section.cidrs {
            let Some(network) = parse_network(text) else {
                self.unusable(record, text, "it is no network");
                continue;
            };
            let number = self.push_rule(record, section.role, text);
            self.catalogue.addresses.add_network(network, ports.clone(), number);
        }
        for system in &section.asns {
            let number = self.push_rule(record, section.role, &format!("AS{system}"));
            self.catalogue.addresses.add_system(*system, ports.clone(), number);
        }
        if section.scope == Scope::Lan {
            let number = self.push_rule(record, section.role, &section.ports.join(" "));
            self.catalogue.addresses.add_local(ports, number);
        }
    }

    fn unusable(&mut self, record: &JsonRecord, text: &str, why: &str) {
        let finding = unusable(self.catalogue.at(record.path), text, why);
        self.findings.push((record.owner * 2, finding));
    }

    /// A rule for addresses; these are numbered behind those for names.
    fn push_rule(&mut self, record: &JsonRecord, role: Role, text: &str) -> RuleNumber {
        let text = push_own(&mut self.catalogue.tables, text);
        let is_local = record.json.source == Source::Local;
        let kind = RuleKind { role, edition: None, cname: false, purpose: None, is_local };
        self.catalogue.address_rules.push(Rule { owner: record.owner, kind, text });
        self.catalogue.rule_count() as RuleNumber - 1
    }
}

/// Reads JSON of a record.
fn json<T: DeserializeOwned>(
    catalogue: &Catalogue,
    record: &JsonRecord,
) -> Result<T, Vec<Finding>> {
    let path = catalogue.at(record.path);
    serde_json::from_str(catalogue.at(record.json))
        .map_err(|error| damaged(record.line as usize, format!("{path}: {error}")))
}

impl RuleKind {
    /// Reads a line of the tables' kinds.
    fn read(line: &str) -> Result<RuleKind, String> {
        let mut words = line.split(' ');
        let mut next = || words.next().filter(|word| *word != NOTHING);
        let (role, edition, cname, purpose) = (next(), next(), next(), next());
        let unknown = |what, word| format!("`{word}` is no {what}");
        let role = role.unwrap_or(NOTHING);
        let edition_of = |word| Edition::from_word(word).ok_or_else(|| unknown("edition", word));
        let purpose_of = |word| Purpose::from_word(word).ok_or_else(|| unknown("purpose", word));
        Ok(RuleKind {
            role: Role::from_word(role).ok_or_else(|| unknown("role", role))?,
            edition: edition.map(edition_of).transpose()?,
            cname: cname.is_some(),
            purpose: purpose.map(purpose_of).transpose()?,
            is_local: next().is_some(),
        })
    }
}

/// Reads with the types of the format.
struct TypedReader;

impl Reader for TypedReader {
    fn check_kind(&self, kind: &str) -> Result<(), String> {
        RuleKind::read(kind).map(drop)
    }

    fn infra(&self, line: &Line<'_>) -> Result<Vec<InfraNames>, Vec<Finding>> {
        let infra: InfraFile = line.json(line.content)?;
        let names = |role: Role, purpose: Purpose, hosts, domains| {
            let (role, purpose) = (role.as_str(), purpose.as_str().to_owned());
            InfraNames { role, purpose, hosts, domains }
        };
        let shared = infra.shared.into_iter();
        let shared = shared.map(|s| names(Role::Infra, s.purpose, s.hosts, s.domains));
        let ech = infra.ech.into_iter();
        let ech = ech.map(|s| names(Role::Infra, Purpose::Ech, s.hosts, Vec::new()));
        let embed = infra.embed.into_iter();
        let embed = embed.map(|s| names(Role::Embed, Purpose::Page, s.hosts, s.domains));
        let resolver = infra.resolver.into_iter();
        let resolver = resolver.map(|s| names(Role::Infra, Purpose::Resolver, s.hosts, s.domains));
        Ok(shared.chain(ech).chain(embed).chain(resolver).collect())
    }
}

impl Line<'_> {
    pub(super) fn json<T: DeserializeOwned>(&self, json: &str) -> Result<T, Vec<Finding>> {
        serde_json::from_str(json).map_err(|error| self.damaged(&error.to_string()))
    }

    /// The words of an app, read.
    pub(super) fn app_file(&self, app: &AppFields<'_>) -> Result<AppFile, Vec<Finding>> {
        let words = self.text.get(app.words.clone());
        self.json(words.ok_or_else(|| self.damaged("its JSON is not where it should be"))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signatures::{EMBEDDED, TABLES};

    /// The build script has read the files in its own way and must have come to the same.
    #[test]
    fn the_tables_in_the_program_are_those_of_its_catalogue() {
        let (tables, findings) = tabulate(EMBEDDED, "", &TypedReader).unwrap();
        assert_eq!(findings, []);
        assert!(tables.write() == TABLES);
        assert!(Tables::read(TABLES) == Some(tables));
    }

    #[test]
    fn tables_that_are_not_whole_are_made_anew() {
        for length in (0..TABLES.len()).step_by(100_003).chain([TABLES.len() - 1]) {
            assert!(Tables::read(&TABLES[..length]).is_none(), "{length}");
        }
        let catalogue = Catalogue::from_program(EMBEDDED, &[], &[]).unwrap();
        assert_eq!(catalogue.match_host("contoso.slack.com").unwrap().app_id(), Some("slack"));
    }

    /// Where names go, and what is said of addresses, does not depend on where the tables are from.
    #[test]
    fn made_tables_and_those_in_the_program_answer_the_same() {
        let made = Catalogue::from_packed(EMBEDDED.to_owned(), &[]).unwrap();
        let read = Catalogue::from_program(EMBEDDED, TABLES, &[]).unwrap();
        assert_eq!(made.version(), read.version());
        let rules = |catalogue: &Catalogue| {
            let text = |rule: Rule| format!("{} {:?}", catalogue.at(rule.text), rule.kind);
            catalogue.rules().map(text).collect::<Vec<_>>()
        };
        assert!(rules(&made) == rules(&read));
        for rule in made.rules() {
            let text = made.at(rule.text);
            for name in [text.replace(['*', '{', '}'], "x"), format!("ns1.contoso.{text}")] {
                let found = [made.match_host(&name), read.match_host(&name)];
                let [found, other] = found.map(|found| format!("{found:?}"));
                assert_eq!(found, other, "{name}");
            }
        }
    }
}
