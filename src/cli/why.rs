//! `shadowscope why`: what stands behind a row of a report, or behind its absence.
//!
//! In a screenful: the class and what decided, the facts by hour, where the names came from, the
//! rules of the catalogue that they can have matched, and the thresholds. The database keeps roles
//! and tenants, not hostnames; `read --observations` tells those.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::evidence_args::EvidenceArgs;
use super::signature_args::SignatureArgs;
use super::summary::bytes;
use super::{Mistake, settings};
use crate::catalogue::Catalogue;
use crate::evidence::day::DayFacts;
use crate::evidence::source::{Reason, SourceFacts, Trait};
use crate::evidence::{HourFacts, Settings, Side, Thresholds};
use crate::observation::NameSource;
use crate::signatures;
use crate::store::{Snapshot, Store, StoreError, UsageFact, Window};

/// Lines of a list before it is cut.
const LINES_MAX: usize = 8;
/// Characters of a role's rules before the list is cut.
const RULES_LENGTH_MAX: usize = 90;

/// The command's arguments.
#[derive(Args)]
pub(super) struct WhyArgs {
    /// The database, as `read --db` made it
    #[arg(long, value_name = "FILE")]
    db: PathBuf,
    /// The app's id, as in app_id of the reports
    #[arg(long, value_name = "ID")]
    app: String,
    /// Only this user, or this device
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
    tenants: BTreeSet<String>,
    roles: BTreeSet<String>,
    name_sources: BTreeSet<NameSource>,
    catalogues: BTreeSet<String>,
    department: String,
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
    print!("{}", answer(&store.snapshot()?, &question)?);
    Ok(ExitCode::SUCCESS)
}

fn answer(snapshot: &Snapshot<'_>, question: &Question<'_>) -> Result<String, Box<dyn Error>> {
    let mut text = String::new();
    let window = question.window()?;
    let mut found: BTreeMap<Key, Found> = BTreeMap::new();
    let mut others = BTreeSet::new();
    snapshot.usage(window, |fact| {
        if fact.app_id == question.app {
            if question.user.is_none_or(|user| user == fact.user || user == fact.device) {
                let day = question.date(fact.hour);
                let key = (day, fact.user.to_owned(), fact.device.to_owned());
                found.entry(key).or_default().add(fact);
            } else {
                others.insert(fact.device.to_owned());
            }
        }
        Ok::<(), StoreError>(())
    })?;
    write_head(&mut text, question)?;
    let sources = Sources { snapshot, question };
    if found.is_empty() {
        write_absence(&mut text, snapshot, question, window, others.len())?;
        return Ok(text);
    }
    let thresholds = &question.settings.evidence;
    if found.len() > 1 {
        writeln!(
            text,
            "\n  {:10} {:16} {:16} {:16} incidental pattern",
            "day", "user", "device", "evidence"
        )?;
        for ((day, user, device), found) in found.iter().take(LINES_MAX) {
            let grade = found.facts.grade(thresholds);
            writeln!(
                text,
                "  {day} {user:16} {device:16} {:16} {:10} {}",
                grade.evidence.as_str(),
                grade.incidental,
                grade.pattern.as_str()
            )?;
        }
        if found.len() > LINES_MAX {
            writeln!(text, "  ... and {} more", found.len() - LINES_MAX)?;
        }
        writeln!(text, "\nThe first with the strongest evidence (others: --user, --day):")?;
    }
    let strongest = found.iter().rev().max_by_key(|(_, found)| {
        let grade = found.facts.grade(thresholds);
        (grade.evidence, !grade.incidental)
    });
    if let Some(((day, user, device), found)) = strongest {
        let shared = sources.reason(*day, device)?;
        write_found(&mut text, question, (*day, user, device), found, shared)?;
    }
    Ok(text)
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
}

impl Found {
    fn add(&mut self, fact: &UsageFact<'_>) {
        fact.add_to(&mut self.facts);
        self.roles.insert(fact.role.to_owned());
        self.name_sources.insert(fact.name_source);
        self.catalogues.insert(fact.catalogue_version.to_owned());
        self.department = fact.department.to_owned();
        if !fact.tenant.is_empty() {
            self.tenants.insert(fact.tenant.to_owned());
        }
    }
}

/// Who is no person.
struct Sources<'a> {
    snapshot: &'a Snapshot<'a>,
    question: &'a Question<'a>,
}

impl Sources<'_> {
    fn reason(
        &self,
        day: Date,
        device: &str,
    ) -> Result<Option<(Reason, SourceFacts)>, Box<dyn Error>> {
        let sources = self.snapshot.sources(self.question.hours_of(day)?)?;
        let facts = sources.get(device).map(|source| source.facts).unwrap_or_default();
        let reason = self.question.settings.shared_sources.reason(device, &facts);
        Ok(reason.map(|reason| (reason, facts)))
    }
}

fn write_head(text: &mut String, question: &Question<'_>) -> std::fmt::Result {
    match question.catalogue.app(question.app) {
        Some(app) => writeln!(
            text,
            "{} ({}), {}, {}; catalogue {}",
            app.name,
            app.id,
            app.category,
            app.vendor_name,
            question.catalogue.version()
        ),
        None => writeln!(
            text,
            "{}: the catalogue {} has no app of this id",
            question.app,
            question.catalogue.version()
        ),
    }
}

/// Why there is no row.
fn write_absence(
    text: &mut String,
    snapshot: &Snapshot<'_>,
    question: &Question<'_>,
    window: Window,
    others: usize,
) -> Result<(), Box<dyn Error>> {
    let day = question.day.map_or_else(|| "ever".to_owned(), |day| format!("on {day}"));
    let who = question.user.map_or_else(String::new, |user| format!(" by {user}"));
    writeln!(text, "\nNo row: none of its names was asked for or connected to{who} {day}.")?;
    if others > 0 {
        writeln!(text, "  {others} other devices have rows of it: leave out --user.")?;
    }
    let range = (snapshot.first_hour(window)?, snapshot.last_hour(window)?);
    match range {
        (Some(first), Some(last)) => writeln!(
            text,
            "  The database has traffic from the hour of {} {} to that of {} {}.",
            question.date(first),
            question.clock(first),
            question.date(last),
            question.clock(last)
        )?,
        _ => writeln!(text, "  The database has no traffic of that time at all.")?,
    }
    if let Some(app) = question.catalogue.app(question.app) {
        let roles: BTreeSet<String> =
            question.catalogue.rules_of(app).map(|(role, _)| role.as_str().to_owned()).collect();
        write_rules(text, question, &roles)?;
        writeln!(
            text,
            "  Where names are hidden (ech_hidden, encrypted_dns, ambiguous, no_name in \
             visibility.csv),\n  an app may be used unseen."
        )?;
    }
    Ok(())
}

fn write_found(
    text: &mut String,
    question: &Question<'_>,
    (day, user, device): (Date, &str, &str),
    found: &Found,
    shared: Option<(Reason, SourceFacts)>,
) -> std::fmt::Result {
    let thresholds = &question.settings.evidence;
    let grade = found.facts.grade(thresholds);
    let user = if user.is_empty() { "nobody attributed" } else { user };
    write!(text, "\n{day}  user: {user}  device: {device}")?;
    if !found.department.is_empty() {
        write!(text, "  department: {}", found.department)?;
    }
    let pattern = match grade.pattern.as_str() {
        "" => String::new(),
        pattern => format!(", pattern {pattern}"),
    };
    let incidental = if grade.incidental { ", incidental" } else { "" };
    let used = if grade.is_used() { "used" } else { "not used" };
    writeln!(text, "\n\n  {used}: {}{incidental}{pattern}", grade.evidence.as_str())?;
    if let Some((reason, facts)) = shared {
        let known = Trait::ALL.into_iter().filter(|what| facts.of(*what) > 0);
        let known: Vec<String> =
            known.map(|what| format!("{} {}", facts.of(what), what.as_str())).collect();
        writeln!(
            text,
            "  nobody's: {device} is no person but a {} ({}); reports say shared_source",
            reason.as_str(),
            known.join("; ")
        )?;
    }
    write_hours(text, question, found)?;
    writeln!(text, "\n  names: from {}", list(found.name_sources.iter().map(|s| s.as_str())))?;
    if !found.tenants.is_empty() {
        writeln!(text, "  tenants: {}", list(found.tenants.iter().map(String::as_str)))?;
    }
    write_rules(text, question, &found.roles)?;
    write_thresholds(text, thresholds)
}

fn write_hours(text: &mut String, question: &Question<'_>, found: &Found) -> std::fmt::Result {
    let thresholds = &question.settings.evidence;
    writeln!(
        text,
        "\n  {:5} {:15} {:>5} {:>6} {:>6} {:>4} {:>9} {:>9} {:>9} {:>9} {:>8} {:>8}",
        "hour",
        "evidence",
        "conns",
        "spoke",
        "failed",
        "dns",
        "up",
        "down",
        "one:up",
        "one:both",
        "quarters",
        "followed"
    )?;
    for ((from, kind), facts, grade) in found.facts.grades(thresholds).take(LINES_MAX) {
        let (all, directed, used) = (facts.all(), facts.directed(), facts.side(Side::Use));
        let measured = if used.has_traffic() { used } else { &all };
        writeln!(
            text,
            "  {:5} {:15} {:>5} {:>6} {:>6} {:>4} {:>9} {:>9} {:>9} {:>9} {:>8} {:>8}",
            kind.map_or_else(|| question.clock(*from), |_| "day".to_owned()),
            grade.evidence.as_str(),
            all.connections,
            all.handshakes,
            all.attempts_failed,
            all.dns_queries,
            bytes(all.bytes_up),
            bytes(all.bytes_down),
            bytes(measured.flow_up_max),
            bytes(measured.flow_bytes_max),
            facts.quarters(thresholds),
            format!("{}/{}", directed.followed[thresholds.followed_index()], directed.connections),
        )?;
        let incidental = if grade.incidental { "incidental, " } else { "" };
        writeln!(text, "        {incidental}because {}", grade.because.as_str())?;
        writeln!(text, "        {}", sides(facts))?;
    }
    let hours = found.facts.slots().len();
    if hours > LINES_MAX {
        writeln!(text, "  ... and {} hours more", hours - LINES_MAX)?;
    }
    writeln!(
        text,
        "  one: the connection to a host of role use with the most bytes behind its hello; followed: \
         of the\n  connections, those that began while another site's page loaded"
    )
}

/// Bytes by role.
fn sides(facts: &HourFacts) -> String {
    let names = ["use", "login", "visit", "embed, telemetry, site"];
    let told = Side::ALL.into_iter().zip(names).filter_map(|(side, name)| {
        let sums = facts.side(side);
        sums.has_traffic().then(|| format!("{name}: {}", bytes(sums.bytes())))
    });
    let told: Vec<String> = told.collect();
    if told.is_empty() { "no traffic".into() } else { told.join(", ") }
}

/// The rules that names of these roles can have matched.
fn write_rules(
    text: &mut String,
    question: &Question<'_>,
    roles: &BTreeSet<String>,
) -> std::fmt::Result {
    let Some(app) = question.catalogue.app(question.app) else { return Ok(()) };
    writeln!(text, "  rules in {}:", app.file)?;
    for role in roles {
        let of_role = |(of, _): &(crate::catalogue::Role, &str)| of.as_str() == role;
        let rules: Vec<&str> =
            question.catalogue.rules_of(app).filter(of_role).map(|(_, text)| text).collect();
        let mut length = 0;
        let fits = |rule: &&&str| {
            length += rule.len() + 2;
            length <= RULES_LENGTH_MAX
        };
        let shown: Vec<&str> = rules.iter().take_while(fits).copied().collect();
        let more = match rules.len() - shown.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        writeln!(text, "    {role}: {}{more}", list(shown.into_iter()))?;
    }
    Ok(())
}

fn write_thresholds(text: &mut String, thresholds: &Thresholds) -> std::fmt::Result {
    let Thresholds {
        payload_bytes_up,
        payload_bytes,
        interactive_bytes,
        interactive_bytes_up,
        interactive_quarters,
        shadow_seconds,
        shadow_bytes,
        shadow_bytes_up,
        sync_hours,
        ..
    } = thresholds;
    writeln!(
        text,
        "  interactive: on hosts of role use, one connection with {interactive_bytes} bytes or \
         {interactive_bytes_up} up, or payload both\n    ways in {interactive_quarters} \
         quarter-hours; payload: {payload_bytes_up} bytes up or {payload_bytes} both ways\n    \
         behind the hello"
    )?;
    writeln!(
        text,
        "  incidental: all connections followed ({shadow_seconds} s), under {shadow_bytes_up} bytes \
         up in one and at most {shadow_bytes}\n    a minute with loads; or no host of role use, login \
         or visit. sync: from {sync_hours} hours on"
    )
}

fn list<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    texts.collect::<Vec<_>>().join(", ")
}
