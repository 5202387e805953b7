//! The signature catalogue: from a hostname or address to the app it belongs to.
//!
//! Pure: text in, values out. Where files come from is for `signatures`; who asks is for merge
//! and the command line. The parts, in the order in which a file passes through them:
//!
//! - [`mod@format`] and [`vocabulary`]: what files may say, as types;
//! - `document`, `keys`, `faults`: reading one, with a place for each finding;
//! - `packed`: the form in which a catalogue is embedded, moved and hashed;
//! - `lines`: the packed form taken apart;
//! - `tabulate`, `tables`: its names and apps as tables, which the program has of its own catalogue;
//! - [`pattern`], `index`, `labels`, `addresses`: matching;
//! - `compile`: from files to a [`Catalogue`];
//! - [`unpacked`]: from the packed form back to files;
//! - [`lint`]: everything that should be changed before a file is shared.
//!
//! The result for a name is that of one rule: rules are never merged, and the order of files
//! never matters. Rules from an operator's own folder win over the catalogue's, whatever their
//! weight.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use arrayvec::ArrayString;

use crate::net::Address;

mod addresses;
pub mod canonical;
mod compile;
mod document;
mod faults;
pub mod finding;
pub mod format;
mod index;
mod keys;
mod labels;
mod lines;
pub mod lint;
mod name;
mod packed;
pub mod pattern;
#[cfg(test)]
mod schema;
mod statistics;
mod tables;
mod tabulate;
pub mod template;
pub mod unpacked;
pub mod vocabulary;

pub use document::SourceFile;
pub(crate) use document::line_and_column;
pub use finding::Finding;
pub use format::{Audience, Date, Edition, Kind, Maturity, RiskEntry, Role, Status};
pub use index::Weight;
pub(crate) use keys::nearest;
pub use statistics::Statistics;
pub use vocabulary::{Category, Purpose, Vendor};

use addresses::AddressIndex;
use index::{Found, RuleNumber};
use labels::Labels;
use name::NameBuffer;
use tables::{AppRecord, JsonRecord, Place, RuleRecord, Source, Tables, numbers};

/// All that is known of apps and names. Read-only: share it behind an [`Arc`].
#[derive(Debug, Default)]
pub struct Catalogue {
    /// The packed form of the catalogue's files and of the operator's own, out of which the words
    /// of an app are read when somebody asks for it.
    packed: [Cow<'static, str>; 2],
    tables: Tables,
    /// What rules for names say, as the tables number it.
    kinds: Box<[RuleKind]>,
    /// The apps that somebody has asked for.
    apps: Box<[OnceLock<Box<App>>]>,
    labels: Labels,
    addresses: AddressIndex,
    /// The rules for addresses, numbered behind those for names.
    address_rules: Vec<Rule>,
    ech_hosts: Vec<Box<str>>,
    resolvers: Vec<Resolver>,
    categories: BTreeMap<String, Category>,
    tags: BTreeMap<String, String>,
    release: String,
    hash: OnceLock<blake3::Hash>,
}

/// An app, suite or platform.
#[derive(Clone, Debug)]
pub struct App {
    /// Position in [`Catalogue::apps`]; good for one catalogue version only.
    pub number: u32,
    /// Never changes.
    pub id: Box<str>,
    /// The product's name today.
    pub name: Box<str>,
    /// Id of the vendor.
    pub vendor: Box<str>,
    /// The vendor's name.
    pub vendor_name: Box<str>,
    /// The vendor's country (ISO 3166-1 alpha-2), where known.
    pub vendor_country: Option<Box<str>>,
    /// Id of the suite it belongs to.
    pub suite: Option<Box<str>>,
    /// The suite's name.
    pub suite_name: Option<Box<str>>,
    /// Slug of the category.
    pub category: Box<str>,
    /// App, suite or platform.
    pub kind: Kind,
    /// Finer facets.
    pub tags: Box<[Box<str>]>,
    /// Active, renamed or retired.
    pub status: Status,
    /// Since when the status holds.
    pub since: Option<Date>,
    /// Id of the app that took a retired one's place.
    pub replaced_by: Option<Box<str>>,
    /// Candidate or reviewed.
    pub maturity: Maturity,
    /// Former names and other spellings.
    pub aliases: Box<[Box<str>]>,
    /// The product's page.
    pub homepage: Box<str>,
    /// The day somebody last checked the file.
    pub verified: Date,
    /// Who is seen at a tenant's names.
    pub tenant_audience: Option<Audience>,
    /// Dated facts.
    pub risk: BTreeMap<String, RiskEntry>,
    /// The file, relative to the catalogue's folder.
    pub file: Box<str>,
    /// Whether the file is the operator's own.
    pub is_local: bool,
}

/// A rule of a file.
#[derive(Clone, Copy, Debug)]
struct Rule {
    /// The app's number; that of the shared file for infrastructure.
    owner: u32,
    kind: RuleKind,
    text: Place,
}

/// What a rule says beyond its text.
#[derive(Clone, Copy, Debug)]
struct RuleKind {
    role: Role,
    edition: Option<Edition>,
    cname: bool,
    /// What infrastructure is for; `None` for an app.
    purpose: Option<Purpose>,
    is_local: bool,
}

#[derive(Clone, Debug)]
struct Resolver {
    address: Address,
    provider: Arc<str>,
}

/// What the catalogue says of a name or an address: one rule, and whom it names.
#[derive(Clone, Debug)]
pub struct Match<'a> {
    /// The app; `None` for known infrastructure.
    app: Option<AppPlace<'a>>,
    /// What the infrastructure is for; `None` for an app.
    pub purpose: Option<Purpose>,
    /// What such traffic says about use.
    pub role: Role,
    /// The edition that the name proves.
    pub edition: Option<Edition>,
    /// The tenant that the name carries.
    pub tenant: Option<Tenant>,
    /// The label of `labels.toml` by which the name says less about use than the rule does.
    pub label: Option<&'a str>,
    /// The rule as it stands in the file.
    pub rule: &'a str,
    /// The file, relative to the catalogue's folder.
    pub file: &'a str,
    /// Whether the rule is the operator's own.
    pub is_local: bool,
}

/// An app whose words need not have been read yet.
#[derive(Clone, Copy)]
struct AppPlace<'a> {
    catalogue: &'a Catalogue,
    number: u32,
}

/// A rule that matches a name, whether or not it wins.
#[derive(Clone, Debug)]
pub struct Candidate<'a> {
    /// What the rule says.
    pub found: Match<'a>,
    /// How specific it is for this name.
    pub weight: Weight,
}

/// A tenant's label, or the part of one that names it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tenant(ArrayString<{ name::LABEL_LENGTH_MAX }>);

impl Catalogue {
    /// Compiles a catalogue from its files and the operator's own.
    ///
    /// # Errors
    /// What keeps files from being read, or would make results depend on their order. For
    /// everything else there is [`lint`].
    pub fn from_sources(
        base: &[SourceFile],
        local: &[SourceFile],
    ) -> Result<Catalogue, Vec<Finding>> {
        compile::compile(compile::pack(base)?.into(), None, &pack_local(local)?)
    }

    /// Compiles a catalogue from its packed form and the operator's own files.
    ///
    /// # Errors
    /// As [`Catalogue::from_sources`].
    pub fn from_packed(packed: String, local: &[SourceFile]) -> Result<Catalogue, Vec<Finding>> {
        compile::check_packed(&packed)?;
        compile::compile(packed.into(), None, &pack_local(local)?)
    }

    /// The catalogue in the program, from its packed form and its tables, which are known to be whole,
    /// and the operator's own files. With these, or without tables, the tables are made here: an app
    /// of the operator's own takes another's place, so that all are numbered anew.
    ///
    /// # Errors
    /// As [`Catalogue::from_sources`].
    pub fn from_program(
        packed: &'static str,
        tables: &'static [u8],
        local: &[SourceFile],
    ) -> Result<Catalogue, Vec<Finding>> {
        let tables = if local.is_empty() { Tables::read(tables) } else { None };
        compile::compile(packed.into(), tables, &pack_local(local)?)
    }

    /// The packed form of a catalogue's files: one text, to be embedded or moved to a sensor.
    ///
    /// # Errors
    /// As [`Catalogue::from_sources`].
    pub fn pack(sources: &[SourceFile]) -> Result<String, Vec<Finding>> {
        let packed = compile::pack(sources)?;
        compile::compile(packed.clone().into(), None, "")?;
        Ok(packed)
    }

    /// The rule that wins for a hostname in any spelling; `None` where nothing is known.
    ///
    /// Does not allocate for ASCII names.
    #[inline]
    pub fn match_host(&self, host: &str) -> Option<Match<'_>> {
        self.match_among(host, |_| true)
    }

    /// The label of `labels.toml` by which a name would say less about use than a rule of role `use`
    /// for all of a domain above it.
    pub fn label_below(&self, name: &str, domain: &str) -> Option<&str> {
        self.labels.weaker(name, domain, Role::Use).map(|label| &*label.text)
    }

    /// As [`Catalogue::match_host`], among the rules that may be applied to CNAME targets.
    pub fn match_cname(&self, target: &str) -> Option<Match<'_>> {
        self.match_among(target, |rule| self.rule(rule).kind.cname)
    }

    /// The rule that wins for the server of a flow that has no name: its address, port and IP
    /// protocol number.
    pub fn match_address(&self, address: Address, port: u16, protocol: u8) -> Option<Match<'_>> {
        let rule = self.addresses.find(address, port, protocol)?;
        Some(self.make_match(rule, "", None))
    }

    /// The rule that wins for a server's autonomous system; asked when its address gave nothing.
    pub fn match_autonomous_system(
        &self,
        number: u32,
        port: u16,
        protocol: u8,
    ) -> Option<Match<'_>> {
        let rule = self.addresses.find_system(number, port, protocol)?;
        Some(self.make_match(rule, "", None))
    }

    /// Every rule that matches a hostname, the winner first.
    pub fn explain(&self, host: &str) -> Vec<Candidate<'_>> {
        let mut buffer = NameBuffer::new();
        let Some(name) = name::normalise(host, &mut buffer) else { return Vec::new() };
        let mut candidates = Vec::new();
        for index in [&self.tables.local, &self.tables.base] {
            index.for_each_match(name, |weight, rule, tenant| {
                let found = self.make_match(rule, name, name.get(tenant));
                candidates.push(Candidate { found, weight });
            });
        }
        // Stable: of equal ones the first found stays first, as in `find`.
        candidates.sort_by_key(|candidate| {
            (!candidate.found.is_local, std::cmp::Reverse(candidate.weight))
        });
        candidates
    }

    /// The form of a hostname that rules are compared with; `None` where no rule can apply.
    pub fn normalise(host: &str) -> Option<String> {
        name::normalise(host, &mut NameBuffer::new()).map(str::to_owned)
    }

    /// The rules for names below each domain, and not for all of it: as they stand in their files, and
    /// whether they are the operator's own.
    pub fn rules_below(&self) -> BTreeMap<&str, Vec<(&str, bool)>> {
        let mut below: BTreeMap<&str, Vec<(&str, bool)>> = BTreeMap::new();
        for rule in self.rules() {
            let text = self.at(rule.text);
            for (dot, _) in text.match_indices('.') {
                let rules = below.entry(&text[dot + 1..]).or_default();
                rules.push((text, rule.kind.is_local));
            }
        }
        below
    }

    /// Whether a name is the outer one of Encrypted ClientHello: then it does not tell the server.
    pub fn is_ech_public_name(&self, host: &str) -> bool {
        self.ech_hosts.binary_search_by(|known| (**known).cmp(host)).is_ok()
    }

    /// Who runs the public DNS resolver at an address.
    pub fn public_resolver(&self, address: Address) -> Option<&str> {
        let found = self.resolvers.binary_search_by(|known| known.address.cmp(&address)).ok()?;
        Some(&self.resolvers[found].provider)
    }

    /// All apps, by id.
    pub fn apps(&self) -> impl ExactSizeIterator<Item = &App> {
        (0..self.apps.len()).map(|number| self.app_at(number))
    }

    /// How many apps there are.
    pub fn app_count(&self) -> usize {
        self.apps.len()
    }

    /// The app with this id.
    pub fn app(&self, id: &str) -> Option<&App> {
        Some(self.app_at(self.number_of(id)?))
    }

    /// The rules of an app as they stand in its file, each with its role.
    pub fn rules_of(&self, app: &App) -> impl Iterator<Item = (Role, &str)> {
        let owner = app.number;
        self.rules()
            .filter(move |rule| rule.kind.purpose.is_none() && rule.owner == owner)
            .map(|rule| (rule.kind.role, self.at(rule.text)))
    }

    /// The category with this slug.
    pub fn category(&self, slug: &str) -> Option<&Category> {
        self.categories.get(slug)
    }

    /// The vendor with this id.
    pub fn vendor(&self, id: &str) -> Option<Vendor> {
        compile::vendor(self, id)
    }

    /// What a tag means.
    pub fn tag(&self, tag: &str) -> Option<&str> {
        self.tags.get(tag).map(String::as_str)
    }

    /// How many rules there are, for names and addresses, infrastructure included.
    pub fn rule_count(&self) -> usize {
        self.tables.rules.len() + self.address_rules.len()
    }

    /// The release's calendar version and the first eight digits of the hash, for instance
    /// `2026.11.1-0f3a5c71`: equal exactly if the rules are, the operator's own included.
    pub fn version(&self) -> String {
        let [a, b, c, d, ..] = self.hash().as_bytes();
        format!("{}-{a:02x}{b:02x}{c:02x}{d:02x}", self.release)
    }

    /// BLAKE3 over the packed form of all files, the operator's own behind the catalogue's, in hex.
    pub fn hash_hex(&self) -> String {
        self.hash().to_hex().to_string()
    }

    /// Made when it is first asked for.
    fn hash(&self) -> &blake3::Hash {
        self.hash.get_or_init(|| {
            let [base, local] = &self.packed;
            let mut hasher = blake3::Hasher::new();
            hasher.update(base.as_bytes());
            hasher.update(local.as_bytes());
            hasher.finalize()
        })
    }

    #[inline]
    fn app_at(&self, number: usize) -> &App {
        self.apps[number].get_or_init(|| compile::app(self, number))
    }

    #[inline]
    fn app_record(&self, number: usize) -> AppRecord {
        AppRecord::read(self.tables.apps.get(number))
    }

    fn number_of(&self, id: &str) -> Option<usize> {
        let apps = self.tables.apps.records();
        apps.binary_search_by(|app| self.at(AppRecord::read(numbers(app)).id).cmp(id)).ok()
    }

    #[inline]
    fn at(&self, place: Place) -> &str {
        let [base, local] = &self.packed;
        let text: &str = match place.source {
            Source::Base => base,
            Source::Local => local,
            Source::Own => &self.tables.own,
        };
        &text[place.range()]
    }

    #[inline]
    fn rule(&self, number: RuleNumber) -> Rule {
        let names = self.tables.rules.records();
        match names.get(number as usize) {
            Some(record) => {
                let RuleRecord { text, owner, kind } = RuleRecord::read(numbers(record));
                Rule { owner, kind: self.kinds[kind as usize], text }
            }
            None => self.address_rules[number as usize - names.len()],
        }
    }

    fn rules(&self) -> impl Iterator<Item = Rule> {
        (0..self.rule_count()).map(|number| self.rule(number as RuleNumber))
    }

    #[inline]
    fn match_among(&self, host: &str, accept: impl Fn(RuleNumber) -> bool) -> Option<Match<'_>> {
        let mut buffer = NameBuffer::new();
        let name = name::normalise(host, &mut buffer)?;
        let Found { rule, tenant } = self
            .tables
            .local
            .find(name, &accept)
            .or_else(|| self.tables.base.find(name, &accept))?;
        Some(self.make_match(rule, name, name.get(tenant)))
    }

    /// What a rule says of a name, which is empty where an address was looked up.
    #[inline]
    fn make_match(&self, rule: RuleNumber, name: &str, tenant: Option<&str>) -> Match<'_> {
        let Rule { owner, kind, text } = self.rule(rule);
        let text = self.at(text);
        let app = kind.purpose.is_none().then_some(AppPlace { catalogue: self, number: owner });
        let file = match app {
            Some(_) => self.app_record(owner as usize).path,
            None => JsonRecord::read(self.tables.shared.get(owner as usize)).path,
        };
        let label = app.and_then(|_| self.labels.weaker(name, text, kind.role));
        let is_tenant = |text: &&str| !text.is_empty() && label.is_none();
        Match {
            app,
            purpose: kind.purpose,
            role: label.map_or(kind.role, |label| label.role),
            edition: kind.edition.filter(|_| label.is_none()),
            tenant: tenant.filter(is_tenant).and_then(Tenant::new),
            label: label.map(|label| &*label.text),
            rule: text,
            file: self.at(file),
            is_local: kind.is_local,
        }
    }
}

/// The packed form of the operator's own files; empty where there are none.
fn pack_local(local: &[SourceFile]) -> Result<String, Vec<Finding>> {
    if local.is_empty() { Ok(String::new()) } else { compile::pack(local) }
}

impl<'a> Match<'a> {
    /// The app; `None` for known infrastructure. Its words are read when it is first asked for.
    #[inline]
    pub fn app(&self) -> Option<&'a App> {
        self.app.map(|app| app.catalogue.app_at(app.number as usize))
    }

    /// The app's id; `None` for known infrastructure. Reads no more of it.
    #[inline]
    pub fn app_id(&self) -> Option<&'a str> {
        self.app.map(AppPlace::id)
    }

    /// The tenant as text.
    pub fn tenant(&self) -> Option<&str> {
        self.tenant.as_deref()
    }
}

impl<'a> AppPlace<'a> {
    #[inline]
    fn id(self) -> &'a str {
        self.catalogue.at(self.catalogue.app_record(self.number as usize).id)
    }
}

impl fmt::Debug for AppPlace<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

impl App {
    /// Whether the app has the tag.
    pub fn has_tag(&self, tag: &str) -> bool {
        self.tags.iter().any(|own| **own == *tag)
    }
}

impl Tenant {
    fn new(text: &str) -> Option<Tenant> {
        ArrayString::from(text).ok().map(Tenant)
    }
}

impl Deref for Tenant {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
