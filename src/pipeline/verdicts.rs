//! What a name or an address stands for: the catalogue's answer, remembered.
//!
//! Each distinct name is matched once. Targets are numbered, so that a row of usage is a few
//! numbers until it is committed.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::loads::Site;
pub use super::targets::Forgotten;
use super::targets::{self, Patterns, Targets};
use crate::catalogue::{App, Catalogue, Match, Purpose, Role};
use crate::evidence::Side;
use crate::feeds::autonomous_systems::AutonomousSystems;
use crate::footprint;
use crate::hostname::{is_private_suffix_below, registrable_domain};
use crate::ledger::Bucket;
use crate::net::{Address, Endpoint};
use crate::store::{AppFacts, Grounds, NO_HOST, Rule, Target};
use crate::worker::detours::Detour;

/// Names remembered, and bytes of them; when there are more, all are forgotten and matched anew.
const NAMES_MAX: usize = 7 << 14;
const NAMES_BYTES_MAX: usize = 8 << 20;
/// Memory of names, targets and texts of rules.
pub(super) const BYTES_MAX: usize = footprint::map(NAMES_MAX, size_of::<(Box<str>, Verdict)>())
    + NAMES_BYTES_MAX
    + targets::BYTES_MAX;
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
pub(crate) const ANY_HOST: &str = "shadowscope-any-host";
/// A number that no label of a signature has.
const ANY_NUMBER: u32 = 900_719_925;

/// The number of a [`Target`] in [`Verdicts`].
pub type TargetNumber = u32;

/// The number of a rule's text in [`Verdicts`]; good for as long as that is.
pub type PatternNumber = u32;

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
    /// The text of that rule; none where nobody knows which it was, or wants to.
    pub pattern: Option<PatternNumber>,
    /// Whether it is an app in use with which one can call.
    pub calls: bool,
}

impl Verdict {
    /// Of what nobody knows.
    pub(super) fn nobodys() -> Verdict {
        let bucket = Bucket::NoName;
        Verdict { target: None, bucket, app: None, role: None, pattern: None, calls: false }
    }

    /// What a row is of, and the rule that says so; none without target.
    pub(super) fn row(self) -> Option<RowOf> {
        self.target.map(|target| (target, self.pattern))
    }
}

/// A target, and the text of the rule by which a name is its, if that is known.
pub type RowOf = (TargetNumber, Option<PatternNumber>);

/// See the module.
pub struct Verdicts {
    catalogue: Arc<Catalogue>,
    systems: Option<AutonomousSystems>,
    own_domains: Vec<String>,
    by_name: HashMap<Box<str>, Verdict, RandomState>,
    names_bytes: usize,
    targets: Targets,
    /// Names that found no target of their own.
    folded: u64,
    /// Whether targets are wanted with their grounds: where rows are kept.
    holds: bool,
    held_dropped: u64,
    /// Whether verdicts are wanted with the text of their rule: where that is kept.
    tells_patterns: bool,
    patterns: Patterns,
}

/// Something that a flow may be of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// What it stands for.
    pub verdict: Verdict,
    /// Its registrable domain, where names of one belong together.
    pub domain: Option<Box<str>>,
}

/// What members say together, the first one for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// They agree.
    Agreed(Verdict),
    /// They do not, and bytes are there in the books.
    Open(Bucket),
}

/// What flows are of that may be of `own`, where anybody else had `others`: the rule for names of
/// flows that say none.
pub fn decide(rule: Rule, own: &[Member], others: &[Member]) -> Outcome {
    let callers = |member: &&Member| rule != Rule::Media || member.verdict.calls;
    let Some(best) = own.iter().find(callers) else { return Outcome::Open(Bucket::NoName) };
    let agrees = |member: &Member| {
        let same_app = member.verdict.app == best.verdict.app;
        same_app
            && (member.verdict.app.is_some()
                || member.domain.is_some() && member.domain == best.domain)
    };
    // Whose question was not seen may have had another app in mind.
    let is_other =
        |member: &Member| member.verdict.app.is_some() && member.verdict.app != best.verdict.app;
    if own.iter().filter(callers).all(agrees) && !others.iter().any(is_other) {
        return Outcome::Agreed(best.verdict);
    }
    // Whichever of them it is, it is nobody's app.
    let is_shared = |member: &Member| member.verdict.bucket == Bucket::Infrastructure;
    let all_shared = own.iter().filter(callers).all(is_shared);
    Outcome::Open(if all_shared { Bucket::Infrastructure } else { Bucket::Ambiguous })
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
            names_bytes: 0,
            targets: Targets::default(),
            folded: 0,
            holds: false,
            held_dropped: 0,
            tells_patterns: false,
            patterns: Patterns::default(),
        }
    }

    /// Keeps on what it hangs what flows are of, so that it can be told anew, and tells rules.
    pub fn hold(mut self) -> Verdicts {
        self.holds = true;
        self.tell_patterns()
    }

    /// Numbers no more targets than a process has room for that goes on: of names beyond, domains are
    /// "other" and tenants none.
    /// `live`: whether they may be numbered anew.
    pub(super) fn bounded(mut self, live: bool) -> Verdicts {
        self.targets.bound(live);
        self
    }

    /// Whether there is no room for another target.
    pub(super) fn is_full(&self) -> bool {
        self.targets.is_full()
    }

    /// Names that found no target of their own since the last time this was asked.
    pub(super) fn take_folded(&mut self) -> u64 {
        std::mem::take(&mut self.folded)
    }

    /// Tells with a verdict the text of the rule that matched.
    pub fn tell_patterns(mut self) -> Verdicts {
        self.tells_patterns = true;
        self
    }

    /// Whether that is kept.
    pub fn is_holding(&self) -> bool {
        self.holds
    }

    /// On what a target hangs, if on anything.
    pub fn grounds(&self, number: TargetNumber) -> Option<&Grounds<TargetNumber>> {
        self.targets.grounds(number)
    }

    /// Targets for whose grounds there was no room since the last time this was asked.
    pub fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.held_dropped)
    }

    /// The number of a target that hangs on others; none where that is not wanted, where nothing in it
    /// is unmatched, so that no domain that gets a name changes it, or where there is no room.
    pub fn held(&mut self, target: Target, grounds: Grounds<TargetNumber>) -> Option<TargetNumber> {
        let members = || grounds.own.iter().chain(&grounds.others);
        let may_change = grounds.rule == Rule::Suffix || members().any(|&at| self.may_be_named(at));
        if !self.holds || !may_change {
            return None;
        }
        let held = self.targets.number_held(target, grounds);
        self.held_dropped += u64::from(held.is_none());
        held
    }

    /// Whether what a target is may change when domains get names.
    pub fn may_be_named(&self, number: TargetNumber) -> bool {
        self.is_domain(number) || self.grounds(number).is_some()
    }

    /// What media may be of that hang on several: each by itself, as far as one can call with it or may
    /// one day. None of what does not hang on what its client called with.
    pub fn callers(&mut self, held: TargetNumber) -> Vec<TargetNumber> {
        let Some(grounds) = self.grounds(held) else { return Vec::new() };
        if grounds.rule != Rule::Media {
            return Vec::new();
        }
        let own = grounds.own.clone();
        let alone = own.iter().filter_map(|&target| {
            let now = self.target(target).clone();
            let calls = self.of_app(&now).is_some_and(|verdict| verdict.calls);
            if !self.may_be_named(target) {
                return calls.then_some(target);
            }
            let now = if calls { now } else { Target::Undecided { bucket: Bucket::NoName } };
            let (rule, own) = (Rule::Media, [target].into());
            self.held(now, Grounds { rule, own, others: Box::default() })
        });
        alone.collect()
    }

    /// The number of what had another before it was [forgotten](Verdicts::forget).
    pub fn renumber(&mut self, old: &Forgotten, number: TargetNumber) -> TargetNumber {
        let target = old.targets[number as usize].clone();
        let held = old.grounds.get(&number).and_then(|grounds| {
            let mut all = |numbers: &[TargetNumber]| -> Box<[TargetNumber]> {
                numbers.iter().map(|&number| self.renumber(old, number)).collect()
            };
            let (own, others) = (all(&grounds.own), all(&grounds.others));
            self.held(target.clone(), Grounds { rule: grounds.rule, own, others })
        });
        held.unwrap_or_else(|| self.number(target))
    }

    /// A name as something that a flow may be of.
    pub fn member(&mut self, name: &str) -> Member {
        let verdict = self.name(name);
        Member { verdict, domain: Some(registrable_domain(name).unwrap_or(name).into()) }
    }

    /// What a side of an app is that was told by another catalogue.
    pub fn of_app(&mut self, target: &Target) -> Option<Verdict> {
        let Target::App { app, role, .. } = target else { return None };
        let catalogue = Arc::clone(&self.catalogue);
        let known = catalogue.app(&app.id)?;
        let role = Role::ALL.iter().copied().find(|known| known.as_str() == role)?;
        Some(Verdict {
            target: Some(self.number(target.clone())),
            bucket: app_bucket(&known.category, role),
            app: Some(known.number),
            role: Some(role),
            pattern: None,
            calls: role == Role::Use && can_call(known),
        })
    }

    /// The catalogue that is asked.
    pub fn catalogue(&self) -> &Arc<Catalogue> {
        &self.catalogue
    }

    /// Forgets all names and targets, and asks another catalogue from now on, where one is given.
    /// Answers the targets as they were numbered.
    pub fn forget(&mut self, catalogue: Option<Arc<Catalogue>>) -> Forgotten {
        if let Some(catalogue) = catalogue {
            self.catalogue = catalogue;
        }
        self.by_name.clear();
        self.names_bytes = 0;
        self.targets.forget()
    }

    /// Takes other domains as the organisation's own; names that were asked before are to be
    /// [forgotten](Verdicts::forget).
    pub fn exchange_own_domains(&mut self, own_domains: &[String]) {
        self.own_domains = own_domains.to_vec();
    }

    /// What a target is.
    pub fn target(&self, number: TargetNumber) -> &Target {
        self.targets.get(number)
    }

    /// Whether a target is a domain without signature.
    pub fn is_domain(&self, number: TargetNumber) -> bool {
        self.targets.is_domain(number)
    }

    /// Whether a target stands for flows of which nobody can say yet what they are of.
    pub fn is_undecided(&self, number: TargetNumber) -> bool {
        matches!(self.target(number), Target::Undecided { .. })
    }

    /// Whether what flows to a target followed may change what they amount to: they are to hosts of an
    /// app that are not incidental, or to a domain that may turn out to be an app's.
    pub fn is_judged_by_loads(&self, number: TargetNumber) -> bool {
        match self.target(number) {
            Target::App { role, .. } => Side::of_role(role) != Side::Incidental,
            Target::Domain(_) | Target::Labelled { .. } | Target::Undecided { .. } => true,
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
            _ if self.is_own(name) => Verdict { bucket: Bucket::Private, ..Verdict::nobodys() },
            Some(found) => {
                let verdict = self.matched(&found);
                self.tenant(name, verdict)
            }
            None => {
                let domain = registrable_domain(name).unwrap_or(name);
                let target = self.domain(name, domain);
                Verdict { target: Some(target), bucket: Bucket::Unmatched, ..Verdict::nobodys() }
            }
        };
        let bytes = footprint::heap(name.len());
        if self.by_name.len() >= NAMES_MAX || self.names_bytes + bytes > NAMES_BYTES_MAX {
            self.by_name.clear();
            self.names_bytes = 0;
        }
        self.names_bytes += bytes;
        self.by_name.insert(name.into(), verdict);
        verdict
    }

    /// What a target belongs to: its app, or its domain.
    pub fn site(&mut self, target: TargetNumber, app: Option<u32>) -> Site {
        let domain = match (app, self.target(target)) {
            (Some(app), _) => return Site::App(app),
            (None, Target::Labelled { domain, .. }) => Target::Domain(domain.clone()),
            (None, Target::Domain(_)) if self.grounds(target).is_some() => {
                self.target(target).clone()
            }
            (None, _) => return Site::Domain(target),
        };
        Site::Domain(self.number(domain))
    }

    /// What all names below a registrable domain stand for, or those of a label that says less; none
    /// where nothing is known of them, or never will be, or where single names decide.
    pub fn whole_domain(&mut self, domain: &str, label: &str) -> Option<Verdict> {
        if label == NO_HOST {
            return None;
        }
        // No rule names this host, so that only one for all of the domain matches it.
        let below = self.name(&format!("{ANY_HOST}.{domain}"));
        let itself = self.name(domain);
        let is_same = below == Verdict { pattern: below.pattern, ..itself };
        if !is_same || below.bucket == Bucket::Unmatched {
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

    /// The target of a name of whose registrable domain nothing is known.
    fn domain(&mut self, name: &str, domain: &str) -> TargetNumber {
        let catalogue = Arc::clone(&self.catalogue);
        let label = match Catalogue::normalise(name) {
            Some(_) => catalogue.label_below(name, domain),
            None => Some(NO_HOST),
        };
        let target = match label {
            Some(label) => Target::Labelled { domain: domain.into(), label: label.into() },
            None => Target::Domain(domain.into()),
        };
        if self.is_full() && self.targets.find(&target).is_none() {
            self.folded += 1;
            return self.other_domain();
        }
        self.number(target)
    }

    /// A name below a public suffix that is a company's, such as that of pages: what is an app's by that
    /// may be that of a tenant one day, who has a domain of its own there.
    fn tenant(&mut self, name: &str, verdict: Verdict) -> Verdict {
        let Some(target) = verdict.target.filter(|_| self.holds) else { return verdict };
        let Some(domain) = registrable_domain(name).filter(|_| is_private_suffix_below(name))
        else {
            return verdict;
        };
        let own = [self.domain(name, domain)].into();
        let grounds = Grounds { rule: Rule::Suffix, own, others: Box::default() };
        let held = self.held(self.target(target).clone(), grounds);
        Verdict { target: held.or(verdict.target), ..verdict }
    }

    fn matched(&mut self, found: &Match<'_>) -> Verdict {
        let role = Some(found.role);
        let pattern = if self.tells_patterns { self.patterns.number(found.rule) } else { None };
        let Some(app) = found.app() else {
            let bucket = match found.purpose {
                Some(Purpose::Resolver) => Bucket::EncryptedDns,
                _ => Bucket::Infrastructure,
            };
            return Verdict { bucket, role, pattern, ..Verdict::nobodys() };
        };
        if found.role == Role::Infra {
            let bucket = Bucket::Infrastructure;
            let app = Some(app.number);
            return Verdict { bucket, app, role, pattern, ..Verdict::nobodys() };
        }
        let mut target = Target::App {
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
        if self.is_full()
            && self.targets.find(&target).is_none()
            && let Target::App { tenant, .. } = &mut target
            && !tenant.is_empty()
        {
            tenant.clear();
            self.folded += 1;
        }
        Verdict {
            target: Some(self.number(target)),
            bucket: app_bucket(&app.category, found.role),
            app: Some(app.number),
            role,
            pattern,
            calls: found.role == Role::Use && can_call(app),
        }
    }

    /// A rule as it stands in its file, by its number in a [`Verdict`].
    pub fn pattern_text(&self, number: PatternNumber) -> &str {
        self.patterns.text(number)
    }

    /// The number of a target, a new one where it has none.
    pub fn number(&mut self, target: Target) -> TargetNumber {
        self.targets.number(target)
    }
}

/// Where bytes of an app are in the books. The vendor's pages are a website like any other.
fn app_bucket(category: &str, role: Role) -> Bucket {
    let is_page = matches!(role, Role::Visit | Role::Embed | Role::Site);
    match TUNNEL_CATEGORIES.contains(&category) && !is_page {
        true => Bucket::Tunnel,
        false => Bucket::App,
    }
}

/// Where bytes of a side of an app are in the books that was told by another catalogue.
pub fn bucket_of(app: &AppFacts, role: &str) -> Bucket {
    let role = Role::ALL.iter().copied().find(|known| known.as_str() == role);
    role.map_or(Bucket::App, |role| app_bucket(&app.category, role))
}

fn can_call(app: &App) -> bool {
    CALL_CATEGORIES.contains(&&*app.category)
        || app.has_tag(MEETINGS_TAG)
        || *app.category == *TEAM_CHAT.0 && app.has_tag(TEAM_CHAT.1)
}
