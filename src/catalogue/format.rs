//! The catalogue's file format, schema 1, as types: what a signature file may say.
//!
//! One TOML file an app. Unknown keys are refused, so that a typing error is an error. The types
//! hold what was written; whether it makes sense is for the linter, and how it is matched for
//! the index. `signatures/README.md` tells the format in prose, `signatures/schema.json` tells it to
//! editors; that one is written from these types (see `schema`).

use std::collections::BTreeMap;
use std::fmt;

use jiff::civil;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The only version of the format so far.
pub const SCHEMA: u32 = 1;

/// A signature file: one app, suite or platform.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AppFile {
    /// Version of the format; [`SCHEMA`].
    pub schema: u32,
    /// Kebab-case, equal to the file's name; never changes, survives renames.
    pub id: String,
    /// The product's name as the vendor writes it today.
    pub name: String,
    /// Id of the vendor in `vendors.toml`.
    pub vendor: String,
    /// What kind of thing this is.
    pub kind: Kind,
    /// Id of the suite the app belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suite: Option<String>,
    /// Slug of `categories.toml`.
    pub category: String,
    /// Words of `tags.toml`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Where the product is in its life.
    pub status: Status,
    /// Since when the status holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Date>,
    /// Id of the app that took a retired one's place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<String>,
    /// How well the file was checked.
    pub maturity: Maturity,
    /// Former names and other spellings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// The product's page.
    pub homepage: String,
    /// The day somebody last checked the file.
    pub verified: Date,
    /// Where the facts were read.
    pub sources: Vec<String>,
    /// Apps below whose domains this file claims names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub carve_out_of: Vec<String>,
    /// The names that mean this app.
    #[serde(rename = "match")]
    pub matches: Vec<MatchSection>,
    /// What `{tenant}` captures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantSection>,
    /// The addresses that mean this app where a flow has no name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub net: Vec<NetSection>,
    /// Fingerprints of clients; hints only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fingerprint: Vec<FingerprintSection>,
    /// Dated facts by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub risk: BTreeMap<String, RiskEntry>,
    /// Names with what they must give.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub test: Vec<TestSection>,
}

/// `[[match]]`: names that share a role.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct MatchSection {
    /// What traffic to these names says about use.
    pub role: Role,
    /// The edition, where the name proves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edition: Option<Edition>,
    /// Whether CNAME targets may be matched as well.
    #[serde(default, skip_serializing_if = "is_false")]
    pub cname: bool,
    /// Names that match as a whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// Names that match with everything below them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub domains: Vec<String>,
    /// Names with `{tenant}` or `*` in labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patterns: Vec<String>,
}

/// `[tenant]`: what `{tenant}` captures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TenantSection {
    /// What the vendor calls it: workspace, organisation, site.
    pub meaning: String,
    /// Who is seen there.
    pub audience: Audience,
    /// Labels that are no tenants.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reserved: Vec<String>,
}

/// `[[net]]`: addresses, asked only where a flow has no name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NetSection {
    /// Networks in prefix notation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cidrs: Vec<String>,
    /// Numbers of autonomous systems.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asns: Vec<u32>,
    /// `tcp/443`, `udp/3478-3481`; any port of both where empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<String>,
    /// What such traffic says about use.
    pub role: Role,
    /// Where the server is looked for.
    #[serde(default = "Scope::usual", skip_serializing_if = "Scope::is_usual")]
    pub scope: Scope,
    /// Where the addresses were read.
    pub source: String,
    /// When they were read.
    pub date: Date,
}

/// `[[fingerprint]]`: a client program's TLS fingerprint. Never attributes alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct FingerprintSection {
    /// JA4 of the client's hello.
    pub ja4: String,
    /// The program.
    pub client: String,
    /// Where it was read.
    pub source: String,
    /// When it was read.
    pub date: Date,
}

/// `[[test]]`: a name and what the whole catalogue must say of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TestSection {
    /// The name.
    pub host: String,
    /// The app: this file's where absent, none where empty, `!id` anything but `id`, `!id:role`
    /// anything but `id` in that role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// The role that must be found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// The tenant that must be found; no tenant where empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The edition that must be found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edition: Option<Edition>,
}

/// A value of `[risk]`: a fact, or a list of events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum RiskEntry {
    /// A fact with its source.
    Fact(RiskFact),
    /// Events (`breach`).
    Events(Vec<RiskEvent>),
}

/// A dated fact that a risk score may be computed from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RiskFact {
    /// The value.
    pub value: RiskValue,
    /// For which plans or regions it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The text that says so.
    pub source: String,
    /// When it was read.
    pub date: Date,
}

/// A dated event, for instance a breach.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RiskEvent {
    /// When it happened.
    pub date: Date,
    /// The text that says so.
    pub source: String,
}

/// The value of a risk fact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum RiskValue {
    /// Yes or no.
    Flag(bool),
    /// A number: a year, days.
    Number(i64),
    /// A word or an address.
    Text(String),
    /// Several words, for instance regions.
    List(Vec<String>),
}

/// A closed list of words: what they are called in files and output.
macro_rules! words {
    ($(#[$documentation:meta])* $name:ident { $($(#[$word_documentation:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$documentation])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
            serde::Serialize, serde::Deserialize,
        )]
        #[cfg_attr(test, derive(schemars::JsonSchema))]
        #[serde(rename_all = "kebab-case")]
        #[repr(u8)]
        pub enum $name { $($(#[$word_documentation])* $variant,)+ }

        impl $name {
            /// Every word of the list, in order.
            pub const ALL: &[$name] = &[$($name::$variant,)+];

            /// The word used in files and in every output.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word,)+ }
            }

            /// The member that is called `word`.
            pub fn from_word(word: &str) -> Option<$name> {
                Self::ALL.iter().copied().find(|member| member.as_str() == word)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

pub(crate) use words;

words! {
    /// What traffic to a name says about a person's use of the app.
    Role {
        /// Interactive app, API, sync, upload, message channel: counts as use.
        Use = "use",
        /// The app's own sign-in: weak evidence of use.
        Login = "login",
        /// Pages of the service shown to outsiders.
        Visit = "visit",
        /// Widget, script or image that other sites pull.
        Embed = "embed",
        /// Background traffic of an installed client.
        Telemetry = "telemetry",
        /// Marketing, documentation, help, status.
        Site = "site",
        /// Shared or back-end names that prove nothing about a person.
        Infra = "infra",
    }
}

words! {
    /// Which edition of a product a name proves.
    Edition {
        /// For private persons.
        Personal = "personal",
        /// For organisations.
        Business = "business",
        /// Both share the name; only the account tells.
        Mixed = "mixed",
    }
}

words! {
    /// What a signature file describes.
    Kind {
        /// What a security team would sanction or block on its own.
        App = "app",
        /// Groups apps and owns the names that no member owns.
        Suite = "suite",
        /// Hosts other people's apps.
        Platform = "platform",
    }
}

words! {
    /// Where a product is in its life.
    Status {
        /// Sold or offered today.
        Active = "active",
        /// Offered under another name since.
        Renamed = "renamed",
        /// Closed; traffic to it is a finding.
        Retired = "retired",
    }
}

words! {
    /// How well a file was checked.
    Maturity {
        /// Imported or not yet checked by a second person.
        Candidate = "candidate",
        /// Each name checked against an independent source.
        Reviewed = "reviewed",
    }
}

words! {
    /// Who is seen at a tenant's names.
    Audience {
        /// Members of the tenant.
        Member = "member",
        /// Outsiders: customers, applicants, respondents.
        Visitor = "visitor",
        /// Either.
        Both = "both",
    }
}

words! {
    /// Where a `[[net]]` rule looks for the server.
    Scope {
        /// On the internet.
        Internet = "internet",
        /// On the local network (private, link-local or multicast addresses).
        Lan = "lan",
    }
}

impl Scope {
    fn usual() -> Scope {
        Scope::Internet
    }

    fn is_usual(&self) -> bool {
        *self == Scope::usual()
    }
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// A day of the Gregorian calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(pub civil::Date);

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Reads TOML's own dates and, in the packed form, dates as text.
impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Date, D::Error> {
        struct DateVisitor;

        impl<'de> Visitor<'de> for DateVisitor {
            type Value = Date;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a date without quotes, for instance 2026-11-22")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Date, E> {
                text.parse()
                    .map(Date)
                    .map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
            }

            /// TOML hands a date over as a map with one private key.
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Date, A::Error> {
                match map.next_entry::<de::IgnoredAny, String>()? {
                    Some((_, text)) => self.visit_str(&text),
                    None => Err(de::Error::invalid_type(de::Unexpected::Map, &self)),
                }
            }
        }

        deserializer.deserialize_any(DateVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
schema = 1
id = "example"
name = "Example"
vendor = "example"
kind = "app"
category = "collaboration"
status = "active"
maturity = "candidate"
homepage = "https://example.com/"
verified = 2026-11-22
sources = ["https://example.com/help"]
[[match]]
role = "use"
domains = ["example.com"]
[risk]
hq = { value = "US", source = "https://example.com/about", date = 2026-11-22 }
breach = [{ date = 2020-01-02, source = "https://example.com/breach" }]
[[test]]
host = "app.example.com"
"#;

    #[test]
    fn a_file_reads_and_survives_the_packed_form() {
        let file: AppFile = toml::from_str(FILE).unwrap();
        assert_eq!(file.verified.to_string(), "2026-11-22");
        assert_eq!(file.matches[0].role, Role::Use);
        assert!(matches!(&file.risk["breach"], RiskEntry::Events(events) if events.len() == 1));
        let packed = serde_json::to_string(&file).unwrap();
        assert_eq!(serde_json::from_str::<AppFile>(&packed).unwrap(), file);
    }

    #[test]
    fn an_unknown_key_and_an_unknown_word_are_errors() {
        let unknown_key = FILE.replace("kind =", "kynd =");
        let message = toml::from_str::<AppFile>(&unknown_key).unwrap_err().to_string();
        assert!(message.contains("kynd"), "{message}");
        let unknown_word = FILE.replace("\"use\"", "\"used\"");
        let message = toml::from_str::<AppFile>(&unknown_word).unwrap_err().to_string();
        assert!(message.contains("used"), "{message}");
    }

    #[test]
    fn a_quoted_nonsense_date_is_an_error() {
        let file = FILE.replace("verified = 2026-11-22", "verified = \"soon\"");
        assert!(toml::from_str::<AppFile>(&file).is_err());
    }

    #[test]
    fn words_and_serde_agree() {
        for role in Role::ALL {
            let json = serde_json::to_string(role).unwrap();
            assert_eq!(json, format!("\"{role}\""));
            assert_eq!(Role::from_word(role.as_str()), Some(*role));
        }
        assert_eq!(Role::from_word("Use"), None);
    }
}
