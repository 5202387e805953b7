//! The files that all signature files share: categories, vendors, tags, infrastructure, labels,
//! release.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::format::{Date, Role, words};

/// `catalogue.toml`: which release this is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseFile {
    /// Version of the format.
    pub schema: u32,
    /// Calendar version of the release, for instance `2026.11.1`.
    pub version: String,
    /// Ids of deleted files, which nobody may use again.
    #[serde(default)]
    pub deleted: Vec<String>,
}

/// `categories.toml`: the closed list of categories.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CategoriesFile {
    /// Version of the format.
    pub schema: u32,
    /// By slug.
    pub categories: BTreeMap<String, Category>,
}

/// A category.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Category {
    /// Our name for it.
    pub name: String,
    /// What Microsoft's Cloud Discovery files such apps under.
    pub cloud_discovery: String,
    /// What belongs here.
    pub description: String,
}

/// `vendors.toml`: who the contract would be with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VendorsFile {
    /// Version of the format.
    pub schema: u32,
    /// By id.
    pub vendors: BTreeMap<String, Vendor>,
}

/// A vendor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vendor {
    /// The company's name.
    pub name: String,
    /// Where it has its seat (ISO 3166-1 alpha-2); absent where unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// Id of the company that owns it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
}

/// `tags.toml`: the closed list of tags.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TagsFile {
    /// Version of the format.
    pub schema: u32,
    /// Tag and meaning.
    pub tags: BTreeMap<String, String>,
}

/// `infra.toml`: names that are known and prove nothing about use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InfraFile {
    /// Version of the format.
    pub schema: u32,
    /// Shared names that no app may claim as a domain.
    #[serde(default)]
    pub shared: Vec<SharedSection>,
    /// Public names of Encrypted ClientHello.
    #[serde(default)]
    pub ech: Vec<EchSection>,
    /// Public DNS resolvers.
    #[serde(default)]
    pub resolver: Vec<ResolverSection>,
    /// Widgets and scripts that many vendors' allow-lists name.
    #[serde(default)]
    pub embed: Vec<EmbedSection>,
}

/// `labels.toml`: labels that say what a name is for, whoever's name it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelsFile {
    /// Version of the format.
    pub schema: u32,
    /// Labels by role.
    #[serde(default)]
    pub label: Vec<LabelSection>,
}

/// `[[label]]` of `labels.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelSection {
    /// What a name with such a label says about use.
    pub role: Role,
    /// Whether only machines ask for such names: then the label holds as the first one of a name
    /// of any depth too, and is no tenant.
    #[serde(default)]
    pub plumbing: bool,
    /// The labels; each stands for itself and for itself with a number behind it, one with `#` at
    /// its end for the latter only.
    pub labels: Vec<String>,
}

words! {
    /// What known infrastructure is for.
    Purpose {
        /// Content delivery networks.
        Cdn = "cdn",
        /// Names that clouds give to whatever runs there.
        Cloud = "cloud",
        /// OCSP, CRL and issuer certificates.
        Certificates = "certificates",
        /// Updates of operating systems, browsers and virus scanners.
        Update = "update",
        /// "Is there internet?" questions and captive portals.
        Connectivity = "connectivity",
        /// Advertising.
        Advertising = "advertising",
        /// Analytics, tags, crash reports.
        Analytics = "analytics",
        /// Consent banners, captchas, fonts and other page parts.
        Page = "page",
        /// Clock.
        Time = "time",
        /// Package mirrors of operating systems and languages.
        Packages = "packages",
        /// Background services of operating systems and browsers.
        System = "system",
        /// The outer name under Encrypted ClientHello (RFC 9849).
        Ech = "ech",
        /// Public DNS resolvers.
        Resolver = "resolver",
    }
}

/// `[[shared]]` of `infra.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SharedSection {
    /// What the names are for.
    pub purpose: Purpose,
    /// Names that match as a whole.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// Names that match with everything below them.
    #[serde(default)]
    pub domains: Vec<String>,
}

/// `[[ech]]` of `infra.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EchSection {
    /// Names in the outer hello.
    pub hosts: Vec<String>,
    /// Who uses them.
    pub provider: String,
    /// Where this was read.
    pub source: String,
    /// When it was read.
    pub date: Date,
}

/// `[[resolver]]` of `infra.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResolverSection {
    /// Who runs it.
    pub provider: String,
    /// Names of its DNS over TLS and HTTPS.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// The same, with everything below them.
    #[serde(default)]
    pub domains: Vec<String>,
    /// Its addresses.
    #[serde(default)]
    pub addresses: Vec<IpAddr>,
    /// Where this was read.
    pub source: String,
    /// When it was read.
    pub date: Date,
}

/// `[[embed]]` of `infra.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmbedSection {
    /// Id of the only vendor whose files may claim these names.
    pub vendor: String,
    /// Names that match as a whole.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// Names that match with everything below them.
    #[serde(default)]
    pub domains: Vec<String>,
}
