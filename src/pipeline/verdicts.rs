//! What a name or an address stands for: the catalogue's answer, remembered.
//!
//! Each distinct name is matched once. Targets are numbered, so that a row of usage is a few
//! numbers until it is committed.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::loads::Site;
use crate::catalogue::{App, Catalogue, Match, Purpose, Role};
use crate::evidence::Side;
use crate::feeds::autonomous_systems::AutonomousSystems;
use crate::hostname::registrable_domain;
use crate::ledger::Bucket;
use crate::net::{Address, Endpoint};
use crate::store::{AppFacts, Target};
use crate::worker::detours::Detour;

/// Names remembered; when there are more, all are forgotten and matched anew.
const NAMES_MAX: usize = 1 << 18;
/// Categories whose apps carry other traffic inside (see `signatures/categories.toml`).
const TUNNEL_CATEGORIES: [&str; 2] = ["vpn-anonymizer", TUNNELLING_CATEGORY];
/// The one of them whose apps make services reachable from outside.
const TUNNELLING_CATEGORY: &str = "tunnelling";
/// The category of apps by which computers are controlled from afar.
const REMOTE_CATEGORY: &str = "remote-access";

/// Categories of apps with which one can call (see `signatures/categories.toml`). Any other app is
/// one where it has this tag (`signatures/tags.toml`), or, where teams work together, that of chat.
const CALL_CATEGORIES: [&str; 3] = ["online-meetings", "personal-messaging", "communications"];
const MEETINGS_TAG: &str = "meetings";
const TEAM_CHAT: (&str, &str) = ("collaboration", "chat");

/// The ports on which DNS is encrypted: over HTTPS (RFC 8484), over TLS (RFC 7858) and QUIC (RFC
/// 9250).
const ENCRYPTED_DNS_PORTS: [u16; 2] = [443, 853];

/// A label that no signature has.
const ANY_HOST: &str = "shadowscope-any-host";
/// A number that no label of a signature has.
const ANY_NUMBER: u32 = 900_719_925;

/// The number of a [`Target`] in [`Verdicts`].
pub type TargetNumber = u32;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What is used; none for infrastructure, and where nothing is known.
    pub target: Option<TargetNumber>,
    /// Where the bytes belong.
    pub bucket: Bucket,
    /// The app's number in the catalogue.
    pub app: Option<u32>,
    /// The role of the rule that matched.
    pub role: Option<Role>,
    /// Whether it is an app in use with which one can call.
    pub calls: bool,
}

/// See the module.
pub struct Verdicts {
    catalogue: Arc<Catalogue>,
    systems: Option<AutonomousSystems>,
    own_domains: Vec<String>,
    by_name: HashMap<Box<str>, Verdict, RandomState>,
    targets: Vec<Target>,
    /// Of each target, whether it is a domain without signature: asked for each row.
    domains: Vec<bool>,
    numbers: HashMap<Target, TargetNumber, RandomState>,
}

impl Verdicts {
    /// With nothing asked yet; `systems` tells whose network an address is in, and `own_domains`
    /// are the organisation's.
    pub fn new(
        catalogue: Arc<Catalogue>,
        systems: Option<AutonomousSystems>,
        own_domains: Vec<String>,
    ) -> Verdicts {
        Verdicts {
            catalogue,
            systems,
            own_domains,
            by_name: HashMap::default(),
            targets: Vec::new(),
            domains: Vec::new(),
            numbers: HashMap::default(),
        }
    }

    /// The catalogue that is asked.
    pub fn catalogue(&self) -> &Arc<Catalogue> {
        &self.catalogue
    }

    /// Forgets all names and targets, and asks another catalogue from now on, where one is given.
    /// Answers the targets as they were numbered.
    pub fn forget(&mut self, catalogue: Option<Arc<Catalogue>>) -> Vec<Target> {
        if let Some(catalogue) = catalogue {
            self.catalogue = catalogue;
        }
        self.by_name.clear();
        self.numbers.clear();
        self.domains.clear();
        std::mem::take(&mut self.targets)
    }

    /// Takes other domains as the organisation's own; names that were asked before are to be
    /// [forgotten](Verdicts::forget).
    pub fn exchange_own_domains(&mut self, own_domains: &[String]) {
        self.own_domains = own_domains.to_vec();
    }

    /// What a target is.
    pub fn target(&self, number: TargetNumber) -> &Target {
        &self.targets[number as usize]
    }

    /// Whether a target is a domain without signature.
    pub fn is_domain(&self, number: TargetNumber) -> bool {
        self.domains[number as usize]
    }

    /// Whether what flows to a target followed may change what they amount to: they are to hosts of an
    /// app that are not incidental, or to a domain that may turn out to be an app's.
    pub fn is_judged_by_loads(&self, number: TargetNumber) -> bool {
        match self.target(number) {
            Target::App { role, .. } => Side::of_role(role) != Side::Incidental,
            Target::Domain(_) | Target::Labelled { .. } => true,
        }
    }

    /// The target that stands for unmatched domains for which there is no room.
    pub fn other_domain(&mut self) -> TargetNumber {
        self.number(Target::Domain("other".into()))
    }

    /// What a hostname stands for.
    pub fn name(&mut self, name: &str) -> Verdict {
        if let Some(&known) = self.by_name.get(name) {
            return known;
        }
        let catalogue = Arc::clone(&self.catalogue);
        let verdict = match catalogue.match_host(name) {
            _ if self.is_own(name) => Verdict {
                target: None,
                bucket: Bucket::Private,
                app: None,
                role: None,
                calls: false,
            },
            Some(found) => self.matched(&found),
            None => {
                let domain = registrable_domain(name).unwrap_or(name);
                let target = self.number(match catalogue.label_below(name, domain) {
                    Some(label) => Target::Labelled { domain: domain.into(), label: label.into() },
                    None => Target::Domain(domain.into()),
                });
                Verdict {
                    target: Some(target),
                    bucket: Bucket::Unmatched,
                    app: None,
                    role: None,
                    calls: false,
                }
            }
        };
        if self.by_name.len() >= NAMES_MAX {
            self.by_name.clear();
        }
        self.by_name.insert(name.into(), verdict);
        verdict
    }

    /// What a target belongs to: its app, or its domain.
    pub fn site(&mut self, target: TargetNumber, app: Option<u32>) -> Site {
        let domain = match (app, self.target(target)) {
            (Some(app), _) => return Site::App(app),
            (None, Target::Labelled { domain, .. }) => Target::Domain(domain.clone()),
            (None, _) => return Site::Domain(target),
        };
        Site::Domain(self.number(domain))
    }

    /// What all names below a registrable domain stand for, or those of a label that says less; none
    /// where nothing is known of them, or where single names decide.
    pub fn whole_domain(&mut self, domain: &str, label: &str) -> Option<Verdict> {
        // No rule names this host, so that only one for all of the domain matches it.
        let below = self.name(&format!("{ANY_HOST}.{domain}"));
        let itself = self.name(domain);
        if below != itself || below.bucket == Bucket::Unmatched {
            return None;
        }
        // A label stands for itself with any number behind it, and no rule names this one.
        let word = label.trim_end_matches('#');
        Some(if label.is_empty() {
            below
        } else {
            self.name(&format!("{word}{ANY_NUMBER}.{domain}"))
        })
    }

    /// The way around that a name is which stands for this; `of_resolver` is what it is where that is
    /// a resolver's.
    pub fn detour(&self, verdict: Verdict, of_resolver: Detour) -> Option<Detour> {
        match verdict.bucket {
            Bucket::EncryptedDns => Some(of_resolver),
            Bucket::App => {
                // The vendor's pages are a website like any other.
                let is_page = matches!(verdict.role, Some(Role::Visit | Role::Embed | Role::Site));
                let target = verdict.target.filter(|_| !is_page).map(|target| self.target(target));
                match target {
                    Some(Target::App { app, .. }) if app.category == REMOTE_CATEGORY => {
                        Some(Detour::RemoteAccess)
                    }
                    _ => None,
                }
            }
            Bucket::Tunnel => match verdict.target.map(|target| self.target(target)) {
                Some(Target::App { app, .. }) if app.category == TUNNELLING_CATEGORY => {
                    Some(Detour::Tunnelling)
                }
                _ => Some(Detour::Vpn),
            },
            _ => None,
        }
    }

    /// What the server of a flow without any name stands for.
    pub fn address(&mut self, address: Address, port: u16, protocol: u8) -> Option<Verdict> {
        let catalogue = Arc::clone(&self.catalogue);
        let by_system = || {
            let number = self.systems.as_ref()?.number(address)?;
            catalogue.match_autonomous_system(number, port, protocol)
        };
        let found = catalogue.match_address(address, port, protocol).or_else(by_system)?;
        Some(self.matched(&found))
    }

    /// Whether an endpoint is a public resolver's for DNS that is encrypted.
    pub fn is_resolver(&self, server: Endpoint) -> bool {
        ENCRYPTED_DNS_PORTS.contains(&server.port)
            && self.catalogue.public_resolver(server.address).is_some()
    }

    /// Whether a name is the organisation's own or below one.
    fn is_own(&self, name: &str) -> bool {
        self.own_domains.iter().any(|own| {
            let rest = name.strip_suffix(own.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        })
    }

    fn matched(&mut self, found: &Match<'_>) -> Verdict {
        let role = Some(found.role);
        let Some(app) = found.app() else {
            let bucket = match found.purpose {
                Some(Purpose::Resolver) => Bucket::EncryptedDns,
                _ => Bucket::Infrastructure,
            };
            return Verdict { target: None, bucket, app: None, role, calls: false };
        };
        if found.role == Role::Infra {
            let bucket = Bucket::Infrastructure;
            return Verdict { target: None, bucket, app: Some(app.number), role, calls: false };
        }
        // The vendor's pages are a website like any other.
        let is_tunnel = TUNNEL_CATEGORIES.contains(&&*app.category)
            && !matches!(found.role, Role::Visit | Role::Embed | Role::Site);
        let target = Target::App {
            app: AppFacts {
                id: app.id.to_string(),
                name: app.name.to_string(),
                vendor: app.vendor_name.to_string(),
                suite: app.suite_name.as_deref().unwrap_or_default().to_string(),
                category: app.category.to_string(),
            },
            role: found.role.as_str().into(),
            tenant: found.tenant().unwrap_or_default().into(),
            edition: found.edition.map(|edition| edition.as_str()).unwrap_or_default().into(),
        };
        Verdict {
            target: Some(self.number(target)),
            bucket: if is_tunnel { Bucket::Tunnel } else { Bucket::App },
            app: Some(app.number),
            role,
            calls: found.role == Role::Use && can_call(app),
        }
    }

    /// The number of a target, a new one where it has none.
    pub fn number(&mut self, target: Target) -> TargetNumber {
        let next = self.targets.len() as TargetNumber;
        match self.numbers.get(&target) {
            Some(&known) => known,
            None => {
                self.domains.push(!matches!(target, Target::App { .. }));
                self.targets.push(target.clone());
                self.numbers.insert(target, next);
                next
            }
        }
    }
}

fn can_call(app: &App) -> bool {
    CALL_CATEGORIES.contains(&&*app.category)
        || app.has_tag(MEETINGS_TAG)
        || *app.category == *TEAM_CHAT.0 && app.has_tag(TEAM_CHAT.1)
}
