//! `shadowscope why`: what stands behind a row of a report, or behind its absence.
//!
//! In a screenful: the class and what decided, the rules of the catalogue that names matched, the facts
//! by hour, and each fact beside the setting that it is compared with. The database keeps rules, roles
//! and tenants, not hostnames; `read --observations` tells those. What is written and how is in `text`,
//! `rules` and `checks`.

mod checks;
mod rules;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use self::text::Text;
use super::evidence_args::EvidenceArgs;
use super::signature_args::SignatureArgs;
use super::{Mistake, settings};
use crate::catalogue::{Catalogue, nearest};
use crate::evidence::Settings;
use crate::evidence::day::DayFacts;
use crate::evidence::source::{Reason, SourceFacts};
use crate::observation::NameSource;
use crate::report::SHARED_SOURCE;
use crate::signatures;
use crate::store::{MatchedFact, Snapshot, SourceFact, Store, StoreError, UsageFact, Window};

/// The command's arguments.
#[derive(Args)]
pub(super) struct WhyArgs {
    /// The database, as `read --db` made it
    #[arg(long, value_name = "FILE")]
    db: PathBuf,
    /// The app's id, as in app_id of the reports
    #[arg(long, value_name = "ID")]
    app: String,
    /// Only this user, or this device; "shared_source REASON" as reports say it
    #[arg(long, value_name = "USER|DEVICE")]
    user: Option<String>,
    /// Only this day: 2026-11-22
    #[arg(long, value_name = "DAY")]
    day: Option<String>,
    /// What counts as use.
    #[command(flatten)]
    evidence: EvidenceArgs,
    /// Which catalogue to use.
    #[command(flatten)]
    signatures: SignatureArgs,
}

/// What is asked about, made usable.
struct Question<'a> {
    app: &'a str,
    user: Option<&'a str>,
    day: Option<Date>,
    zone: TimeZone,
    settings: Settings,
    catalogue: Catalogue,
}

/// Facts of one client and the app on one day.
#[derive(Default)]
struct Found {
    facts: DayFacts,
    /// Roles of hosts that were seen, each with the tenant that the name showed, or none.
    roles: BTreeSet<(String, String)>,
    /// Versions of the catalogues with which names were matched.
    catalogues: BTreeSet<String>,
    /// By which rules names were its, as far as that is kept.
    matched: BTreeMap<Matched, Counts>,
    /// Of all rows.
    connections: u64,
    name_sources: BTreeSet<NameSource>,
    department: String,
    /// Why it is nobody's, and what the device did, where it is a shared source.
    shared: Option<(Reason, SourceFacts)>,
    /// What tells of shared sources, of a device that is none.
    short_of: Option<SourceFacts>,
    /// The devices of a row of shared sources.
    devices: BTreeSet<String>,
}

/// A rule, with the role and tenant of what it gave.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Matched {
    role: String,
    tenant: String,
    /// As it stands in the catalogue's file.
    pattern: String,
    name_source: NameSource,
}

/// What came of names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    connections: u64,
    dns_queries: u64,
}

/// Day, user and device.
type Key = (Date, String, String);

pub(super) fn run(args: &WhyArgs) -> Result<ExitCode, Box<dyn Error>> {
    let settings = args.evidence.settings()?;
    let store = Store::open_read_only(&args.db)?;
    let zone = settings::zone_named("--db", &store.zone()?)?;
    let day = args.day.as_deref().map(|text| {
        text.parse::<Date>()
            .map_err(|_| Mistake(format!("--day {text}: not a day; give 2026-11-22")))
    });
    let question = Question {
        app: &args.app,
        user: args.user.as_deref(),
        day: day.transpose()?,
        zone,
        settings,
        catalogue: signatures::load(&args.signatures.options())?,
    };
    super::tell(answer(&store.snapshot()?, &question)?)?;
    Ok(ExitCode::SUCCESS)
}

fn answer(snapshot: &Snapshot<'_>, question: &Question<'_>) -> Result<String, Box<dyn Error>> {
    let window = question.window()?;
    let mut all: BTreeMap<Key, Found> = BTreeMap::new();
    snapshot.usage(window, |fact| {
        if fact.app_id == question.app {
            let key = (question.date(fact.hour), fact.user.to_owned(), fact.device.to_owned());
            all.entry(key).or_default().add(fact);
        }
        Ok::<(), StoreError>(())
    })?;
    snapshot.matched(question.app, window, |fact| {
        let key = (question.date(fact.day), fact.user.to_owned(), fact.device.to_owned());
        if let Some(found) = all.get_mut(&key) {
            found.add_matched(fact);
        }
        Ok::<(), StoreError>(())
    })?;
    for ((date, ..), found) in &mut all {
        let hours = question.hours_of(*date)?;
        found.facts.set_day(hours.from..hours.to);
    }
    if all.is_empty() {
        check_app(snapshot, question)?;
    }
    if let Some(user) = question.user
        && !all.keys().any(|(_, of, device)| user == of || user == device)
    {
        check_user(snapshot, user)?;
    }
    let mut sources = Sources { snapshot, question, days: BTreeMap::new() };
    let (mut found, others) = question.chosen(all, &mut sources)?;
    let mut text = Text::default();
    text.head(question);
    let thresholds = &question.settings.evidence;
    let strongest = found.iter().rev().max_by_key(|(_, found)| {
        let grade = found.facts.grade(thresholds);
        (grade.evidence, !grade.incidental)
    });
    let Some(key) = strongest.map(|(key, _)| key.clone()) else {
        text.absence(snapshot, question, window, others)?;
        return Ok(text.into());
    };
    if let Some(found) = found.get_mut(&key)
        && found.shared.is_none()
    {
        found.shared = sources.reason(key.0, &key.2)?;
        if found.shared.is_none() && question.user.is_some() {
            found.short_of = Some(sources.facts(key.0, &key.2)?);
        }
    }
    if found.len() > 1 {
        text.rows(&found, thresholds);
    }
    text.row(snapshot, question, &key, &found[&key])?;
    Ok(text.into())
}

/// Checks that there is such an app at all.
fn check_app(snapshot: &Snapshot<'_>, question: &Question<'_>) -> Result<(), Box<dyn Error>> {
    let (catalogue, id) = (&question.catalogue, question.app);
    let mut is_known = catalogue.app(id).is_some();
    if !is_known {
        // A catalogue that was used before may have had it.
        snapshot.usage(Window::ALL, |fact| {
            is_known |= fact.app_id == id;
            Ok::<(), StoreError>(())
        })?;
    }
    if is_known {
        return Ok(());
    }
    let is_named = |app: &&crate::catalogue::App| {
        let mut names = app.aliases.iter().chain([&app.name]);
        names.any(|name| name.eq_ignore_ascii_case(id))
    };
    let named = catalogue.apps().find(is_named).map(|app| &*app.id);
    let meant = named.or_else(|| nearest(id, catalogue.apps().map(|app| &*app.id)));
    let meant = meant.map_or_else(String::new, |meant| format!("; did you mean {meant}?"));
    Err(Mistake(format!(
        "--app {id}: neither the catalogue {} nor the database has an app of this id{meant} (ids are \
         in app_id of the reports, and `shadowscope match HOST` tells that of a name)",
        catalogue.version()
    ))
    .into())
}

/// Checks that a user or a device, or a kind of shared source, is one that there is at all.
fn check_user(snapshot: &Snapshot<'_>, user: &str) -> Result<(), Box<dyn Error>> {
    let wrong = |what: &str, meant: Option<&str>, where_to_look: &str| {
        let meant = meant.map_or_else(String::new, |meant| format!("; did you mean {meant}?"));
        Mistake(format!("--user {user}: {what}{meant} ({where_to_look})")).into()
    };
    if let Some(reason) = user.strip_prefix(SHARED_SOURCE) {
        let known = Reason::ALL.map(Reason::as_str);
        if known.contains(&reason.trim()) {
            return Ok(());
        }
        let meant = nearest(reason.trim(), known).map(|meant| format!("{SHARED_SOURCE}{meant}"));
        let known = format!("there are: {}", known.join(", "));
        return Err(wrong("no kind of shared source", meant.as_deref(), &known));
    }
    let mut known = BTreeSet::new();
    snapshot.subjects(|user, device| known.extend([user.to_owned(), device.to_owned()]))?;
    known.remove("");
    if known.contains(user) {
        return Ok(());
    }
    // Every address is a slip away from others.
    let others = known.iter().map(String::as_str).filter(|_| user.parse::<IpAddr>().is_err());
    let what = "the database has no user and no device of this name";
    Err(wrong(what, nearest(user, others), "as in user or device of usage.csv"))
}

impl Question<'_> {
    /// The hours that are asked about.
    fn window(&self) -> Result<Window, Mistake> {
        self.day.map_or(Ok(Window::ALL), |day| self.hours_of(day))
    }

    fn hours_of(&self, day: Date) -> Result<Window, Mistake> {
        let start = |day: Date| -> Result<i64, jiff::Error> {
            Ok(day.to_zoned(self.zone.clone())?.timestamp().as_second())
        };
        let hours = || Ok(Window { from: start(day)?, to: start(day.tomorrow()?)? });
        hours().map_err(|error: jiff::Error| Mistake(format!("--day {day}: {error}")))
    }

    fn date(&self, hour: i64) -> Date {
        let stamp = jiff::Timestamp::from_second(hour).unwrap_or_default();
        stamp.to_zoned(self.zone.clone()).date()
    }

    fn clock(&self, hour: i64) -> String {
        let stamp = jiff::Timestamp::from_second(hour).unwrap_or_default();
        stamp.to_zoned(self.zone.clone()).strftime("%H:%M").to_string()
    }

    /// Those of all that are asked for, and how many others there are. Of shared sources of one
    /// reason and day there is one row, as in reports.
    fn chosen(
        &self,
        all: BTreeMap<Key, Found>,
        sources: &mut Sources<'_>,
    ) -> Result<(BTreeMap<Key, Found>, usize), Box<dyn Error>> {
        let asked = self.user.and_then(|user| user.strip_prefix(SHARED_SOURCE));
        let mut chosen: BTreeMap<Key, Found> = BTreeMap::new();
        let mut others = BTreeSet::new();
        for ((day, user, device), found) in all {
            let Some(reason) = asked else {
                if self.user.is_none_or(|asked| asked == user || asked == device) {
                    chosen.insert((day, user, device), found);
                } else {
                    others.insert(device);
                }
                continue;
            };
            match sources.reason(day, &device)? {
                Some((known, facts)) if known.as_str() == reason.trim() => {
                    let row = (day, String::new(), format!("{SHARED_SOURCE}{}", known.as_str()));
                    let row = chosen.entry(row).or_default();
                    row.shared.get_or_insert((known, facts));
                    row.devices.insert(device);
                    row.merge(found);
                }
                _ => {
                    others.insert(device);
                }
            }
        }
        Ok((chosen, others.len()))
    }
}

impl Found {
    fn add(&mut self, fact: &UsageFact<'_>) {
        fact.add_to(&mut self.facts);
        self.connections += fact.sums.connections;
        self.roles.insert((fact.role.to_owned(), fact.tenant.to_owned()));
        if !self.catalogues.contains(fact.catalogue_version) {
            self.catalogues.insert(fact.catalogue_version.to_owned());
        }
        self.name_sources.insert(fact.name_source);
        if !fact.pattern.is_empty() {
            // It got its name later, all of it by one rule.
            self.add_matched(&MatchedFact {
                day: fact.hour,
                user: fact.user,
                device: fact.device,
                role: fact.role,
                tenant: fact.tenant,
                pattern: fact.pattern,
                name_source: fact.name_source,
                connections: fact.sums.connections,
                dns_queries: fact.sums.dns_queries,
            });
        }
        self.department = fact.department.to_owned();
    }

    fn add_matched(&mut self, fact: &MatchedFact<'_>) {
        let matched = Matched {
            role: fact.role.to_owned(),
            tenant: fact.tenant.to_owned(),
            pattern: fact.pattern.to_owned(),
            name_source: fact.name_source,
        };
        self.matched
            .entry(matched)
            .or_default()
            .add(&Counts { connections: fact.connections, dns_queries: fact.dns_queries });
    }

    /// Connections of which it is not kept which rule their name matched.
    fn unexplained(&self) -> u64 {
        let matched: u64 = self.matched.values().map(|counts| counts.connections).sum();
        self.connections.saturating_sub(matched)
    }

    fn merge(&mut self, other: Found) {
        self.facts.merge(&other.facts);
        self.connections += other.connections;
        self.roles.extend(other.roles);
        for (matched, counts) in other.matched {
            self.matched.entry(matched).or_default().add(&counts);
        }
        self.name_sources.extend(other.name_sources);
        self.catalogues.extend(other.catalogues);
    }
}

impl Counts {
    fn add(&mut self, other: &Counts) {
        self.connections += other.connections;
        self.dns_queries += other.dns_queries;
    }
}

/// Who is no person, day by day.
struct Sources<'a> {
    snapshot: &'a Snapshot<'a>,
    question: &'a Question<'a>,
    days: BTreeMap<Date, BTreeMap<String, SourceFact>>,
}

impl Sources<'_> {
    fn reason(
        &mut self,
        day: Date,
        device: &str,
    ) -> Result<Option<(Reason, SourceFacts)>, Box<dyn Error>> {
        let facts = self.facts(day, device)?;
        let reason = self.question.settings.shared_sources.reason(device, &facts);
        Ok(reason.map(|reason| (reason, facts)))
    }

    fn facts(&mut self, day: Date, device: &str) -> Result<SourceFacts, Box<dyn Error>> {
        if !self.days.contains_key(&day) {
            let known = self.snapshot.sources(self.question.hours_of(day)?)?;
            self.days.insert(day, known);
        }
        Ok(self.days[&day].get(device).map(|source| source.facts).unwrap_or_default())
    }
}
