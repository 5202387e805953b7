//! The answer as text, for somebody who knows networks and not this program: at most [`LINES_MAX`]
//! lines of [`COLUMNS_MAX`] characters.

use std::collections::BTreeMap;
use std::error::Error;

use super::super::summary::bytes;
use super::checks::{checks, decisive};
use super::{Found, Key, Question};
use crate::catalogue::Role;
use crate::catalogue::pattern::TENANT;
use crate::evidence::day::{DayFacts, Slot};
use crate::evidence::{Side, Thresholds};
use crate::store::{Snapshot, Window};

/// Lines of an answer.
const LINES_MAX: usize = 40;
/// Characters of a line.
const COLUMNS_MAX: usize = 100;
/// Rows that are listed where more than one was asked for.
const ROWS_MAX: usize = 3;
/// Roles whose rules are listed of a row, those that count most first.
const ROLES_MAX: usize = 3;
/// Hours that are listed in any case, with the line that says how many more there are.
const HOURS_MIN: usize = 2;
/// Things of a list before it is cut.
const LIST_MAX: usize = 4;

/// Lines.
#[derive(Default)]
pub(super) struct Text {
    lines: Vec<String>,
    /// Whether other rows are listed, and less is told of the one.
    has_rows: bool,
}

impl From<Text> for String {
    fn from(text: Text) -> String {
        text.lines.into_iter().flat_map(|line| [line, "\n".into()]).collect()
    }
}

impl Text {
    fn line(&mut self, text: impl AsRef<str>) {
        self.lines.push(fit(text.as_ref(), COLUMNS_MAX));
    }

    /// Which app.
    pub(super) fn head(&mut self, question: &Question<'_>) {
        let version = question.catalogue.version();
        match question.catalogue.app(question.app) {
            Some(app) => {
                let (name, id) = (&app.name, &app.id);
                let (category, vendor) = (&app.category, &app.vendor_name);
                self.line(format!("{name} ({id}): {category}, {vendor}; catalogue {version}"));
            }
            None => self.line(format!(
                "{}: not in the catalogue {version}, but in an earlier one",
                question.app
            )),
        }
    }

    /// All rows that were asked for, in short.
    pub(super) fn rows(&mut self, found: &BTreeMap<Key, Found>, thresholds: &Thresholds) {
        self.has_rows = true;
        self.line("");
        self.line(format!(
            "{:10}  {:18} {:28} {:16} {:10} {}",
            "day", "user", "device", "evidence", "incidental", "pattern"
        ));
        for ((day, user, device), found) in found.iter().take(ROWS_MAX) {
            let grade = found.facts.grade(thresholds);
            self.line(format!(
                "{day}  {:18} {:28} {:16} {:10} {}",
                fit(user, 18),
                fit(device, 28),
                grade.evidence.as_str(),
                grade.incidental,
                grade.pattern.as_str()
            ));
        }
        let more = match found.len().saturating_sub(ROWS_MAX) {
            0 => String::new(),
            more => format!("and {more} more; "),
        };
        self.line(format!(
            "{more}here is the first with the strongest evidence (--user and --day choose)"
        ));
    }

    /// Why there is no row.
    pub(super) fn absence(
        &mut self,
        snapshot: &Snapshot<'_>,
        question: &Question<'_>,
        window: Window,
        others: usize,
    ) -> Result<(), Box<dyn Error>> {
        let day = question.day.map_or_else(|| "ever".to_owned(), |day| format!("on {day}"));
        let who = question.user.map_or_else(String::new, |user| format!(" by {user}"));
        self.line("");
        self.line(format!("No row: none of its names was asked for or connected to{who} {day}."));
        if others > 0 {
            self.line(format!("  {others} other devices have rows of it: leave out --user."));
        }
        let moment = |hour| format!("{} {}", question.date(hour), question.clock(hour));
        let (first, last) = (snapshot.first_hour(window)?, snapshot.last_hour(window)?);
        self.line(match (first, last) {
            (Some(first), Some(last)) => format!(
                "  The database has traffic of that time: hours from {} to {}.",
                moment(first),
                moment(last)
            ),
            _ => "  The database has no traffic of that time at all.".into(),
        });
        let stages = snapshot.stages(window)?;
        if stages.totals {
            self.line("  Of some of that time only totals are kept (apps.csv), and nobody's rows.");
        }
        self.possible(snapshot, question, window, "  ")?;
        if let Some(app) = question.catalogue.app(question.app) {
            let roles: Vec<Rules<'_>> =
                Role::ALL.iter().map(|role| Rules::of(role.as_str())).collect();
            self.line("");
            self.line(format!(
                "Names that would have been taken for it, by role (rules in {}):",
                app.file
            ));
            self.rules(question, &roles, Role::ALL.len());
            self.line(
                "Where names are hidden (ech_hidden, encrypted_dns, ambiguous and no_name in",
            );
            self.line("visibility.csv), an app may be used unseen.");
        }
        Ok(())
    }

    /// What stands behind a row.
    ///
    /// # Errors
    /// The database cannot be read.
    pub(super) fn row(
        &mut self,
        snapshot: &Snapshot<'_>,
        question: &Question<'_>,
        key: &Key,
        found: &Found,
    ) -> Result<(), Box<dyn Error>> {
        let (day, user, device) = key;
        let thresholds = &question.settings.evidence;
        let grade = found.facts.grade(thresholds);
        let user = if user.is_empty() { "nobody known" } else { user };
        let department = match &*found.department {
            "" => String::new(),
            department => format!(", department {department}"),
        };
        self.line("");
        self.line(format!("{day}, user {user}, device {device}{department}"));
        let Some((slot, facts, decided)) = decisive(&found.facts, thresholds) else {
            return Ok(());
        };
        self.shared(question, found, device);
        let used = match (&found.shared, grade.is_used()) {
            (Some(_), _) => "Nobody's use; as traffic it is",
            (None, true) => "USED:",
            (None, false) => "NOT USED:",
        };
        let incidental = if grade.incidental { ", incidental" } else { "" };
        let pattern = match grade.pattern.as_str() {
            "" => String::new(),
            pattern => format!(", pattern {pattern}"),
        };
        self.line(format!("{used} {}{incidental}{pattern}", grade.evidence.as_str()));
        self.line(format!("because {}.", decided.because.as_str()));
        let is_alone = !self.has_rows;
        let checks = checks(&found.facts, (slot, facts, decided), thresholds, is_alone);
        let mut names = self.names(question, found);
        names.possible(snapshot, question, question.hours_of(*day)?, "Besides, of that day, ")?;
        let room =
            LINES_MAX.saturating_sub(self.lines.len() + checks.len() + names.lines.len() + 4);
        self.hours(question, &found.facts, slot, room.max(HOURS_MIN));
        if !checks.is_empty() {
            let moment = moment(question, slot);
            self.line("");
            self.line(format!(
                "What was compared {moment}, with the settings in [evidence] of the file for --evidence:"
            ));
            checks.iter().for_each(|check| self.line(check));
        }
        self.lines.extend(names.lines);
        Ok(())
    }

    /// What may have been the app and has a name that is hidden or ambiguous.
    fn possible(
        &mut self,
        snapshot: &Snapshot<'_>,
        question: &Question<'_>,
        window: Window,
        begin: &str,
    ) -> Result<(), Box<dyn Error>> {
        let possible = snapshot.possible(window)?;
        let Some(fact) = possible.iter().find(|fact| fact.app_id == question.app) else {
            return Ok(());
        };
        let flows = fact.flows;
        let connections = if flows == 1 { "connection" } else { "connections" };
        self.line(format!(
            "{begin}{flows} {connections} with a hidden or ambiguous name may have been it, at most {}",
            bytes(fact.bytes)
        ));
        self.line(
            "(bytes_upper_bound in apps.csv). Nobody is credited with what is only possible.",
        );
        self.line(format!(
            "Weighted with what DNS had told the same clients, {} of it are to be expected.",
            bytes(fact.bytes_expected)
        ));
        Ok(())
    }

    /// Why it is credited to nobody.
    fn shared(&mut self, question: &Question<'_>, found: &Found, device: &str) {
        let Some((reason, facts)) = &found.shared else { return };
        let word = reason.as_str();
        self.line(match found.devices.len() {
            0 => format!(
                "Credited to nobody: {device} is a {word}; in usage.csv it is in the row of"
            ),
            _ => format!("Credited to nobody: {}; each is a {word}.", list(&found.devices)),
        });
        if found.devices.is_empty() {
            self.line(format!("\"shared_source {word}\", with others of that kind."));
        }
        // Of several devices, the first speaks for all.
        let device = found.devices.first().map_or(device, String::as_str);
        for (at, line) in wrapped(&facts.in_words()).iter().enumerate() {
            let begin = if at == 0 { format!("what {device} did: ") } else { "  ".into() };
            self.line(format!("  {begin}{line}"));
        }
        self.line(format!(
            "  [shared_sources]: {}",
            question.settings.shared_sources.settings_of(device, facts, *reason)
        ));
    }

    /// Hours, with that which decided among them.
    fn hours(&mut self, question: &Question<'_>, day: &DayFacts, decisive: &Slot, room: usize) {
        self.line("");
        self.line(format!(
            "{:7}{:17} {:>5} {:>8} {:>6} {:>8} {:>7} {:>9} {:>9} {:>11}",
            "hour",
            "evidence",
            "conns",
            "answered",
            "failed",
            "look-ups",
            "minutes",
            "up",
            "down",
            "of role use"
        ));
        let grades: Vec<_> = day.grades(&question.settings.evidence).collect();
        let more = grades.len().saturating_sub(room);
        // Whatever is left out, that which decided is there.
        let at = grades.iter().position(|(slot, ..)| *slot == decisive).unwrap_or_default();
        let first = (at + 1).saturating_sub(room.saturating_sub(usize::from(more > 0)));
        let shown = grades.iter().skip(first).take(if more > 0 { room - 1 } else { room });
        for (slot, facts, grade) in shown {
            let all = facts.all();
            let mark = if grade.incidental { " *" } else { "" };
            self.line(format!(
                "{:7}{:17} {:>5} {:>8} {:>6} {:>8} {:>7} {:>9} {:>9} {:>11}",
                slot.1.map_or_else(|| question.clock(slot.0), |_| "day".to_owned()),
                format!("{}{mark}", grade.evidence.as_str()),
                all.connections,
                all.handshakes,
                all.attempts_failed,
                all.dns_queries,
                facts.active_minutes(),
                bytes(all.bytes_up),
                bytes(all.bytes_down),
                bytes(facts.side(Side::Use).bytes()),
            ));
        }
        if more > 0 {
            self.line(format!("and {} hours more (* incidental)", more + 1));
        } else if grades.iter().any(|(.., grade)| grade.incidental) {
            self.line("* incidental");
        }
    }

    /// Where names came from, and which they can have been.
    fn names(&self, question: &Question<'_>, found: &Found) -> Text {
        let mut text = Text::default();
        let sources = list(found.name_sources.iter().map(|source| source.as_str()));
        text.line("");
        text.line(format!(
            "Names came from {sources}. The database keeps their roles, `read --observations` the names."
        ));
        let Some(app) = question.catalogue.app(question.app) else { return text };
        let version = question.catalogue.version();
        if let Some(other) = found.catalogues.iter().find(|of| **of != version) {
            text.line(format!(
                "They were matched with catalogue {other}; what follows is of {version}."
            ));
        }
        let mut roles: Vec<Rules<'_>> = Vec::new();
        for (role, tenant) in &found.roles {
            match roles.iter_mut().find(|rules| rules.role == role) {
                Some(rules) => rules.tenants.push(tenant),
                None => roles.push(Rules { role, tenants: vec![tenant] }),
            }
        }
        text.line(format!("Rules of {} that match what was seen, by role and tenant:", app.file));
        text.rules(question, &roles, ROLES_MAX);
        text
    }

    /// The rules that names of these roles can have matched, of so many roles; with tenants where they
    /// were seen.
    fn rules(&mut self, question: &Question<'_>, roles: &[Rules<'_>], roles_max: usize) {
        let Some(app) = question.catalogue.app(question.app) else { return };
        let mut roles: Vec<(&Rules<'_>, Vec<&str>)> = roles
            .iter()
            .map(|wanted| {
                let rules = |wants: &dyn Fn(&(Role, &str)) -> bool| -> Vec<&str> {
                    let rules = question.catalogue.rules_of(app);
                    rules.filter(|rule| wants(rule)).map(|(_, text)| text).collect()
                };
                let of_tenants = rules(&|rule| wanted.has(*rule));
                // A rule may have been another one when the rows were made.
                let of_role = |rule: &(Role, &str)| rule.0.as_str() == wanted.role;
                (wanted, if of_tenants.is_empty() { rules(&of_role) } else { of_tenants })
            })
            .filter(|(wanted, rules): &(_, Vec<&str>)| {
                !rules.is_empty() || !wanted.tenants.is_empty()
            })
            .collect();
        roles.sort_by_key(|(wanted, _)| (Side::of_role(wanted.role), wanted.role));
        for (wanted, rules) in roles.iter().take(roles_max) {
            let tenants = wanted.tenants.iter().filter(|tenant| !tenant.is_empty());
            let tenants = match list(tenants) {
                none if none.is_empty() => none,
                some => format!("  (tenant {some})"),
            };
            let room = (COLUMNS_MAX - 30).saturating_sub(tenants.chars().count());
            let mut length = 0;
            let fits = |rule: &&&str| {
                length += rule.chars().count() + 2;
                length <= room
            };
            let mut shown: Vec<&str> = rules.iter().take_while(fits).copied().collect();
            if shown.is_empty() {
                shown.extend(rules.first());
            }
            let more = match rules.len() - shown.len() {
                0 if rules.is_empty() => "none now".to_owned(),
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            self.line(format!("  {:9} {}{more}{tenants}", wanted.role, shown.join(", ")));
        }
        if let Some(others) = roles.get(roles_max..).filter(|others| !others.is_empty()) {
            self.line(format!("  and {}", list(others.iter().map(|(wanted, _)| wanted.role))));
        }
    }
}

/// Which rules of a role are wanted.
struct Rules<'a> {
    role: &'a str,
    /// The tenants that names showed, "" for names without; all rules where nothing was seen.
    tenants: Vec<&'a str>,
}

impl<'a> Rules<'a> {
    fn of(role: &'a str) -> Rules<'a> {
        Rules { role, tenants: Vec::new() }
    }

    /// Whether a name that matched this rule can have been seen: a rule with a place for a tenant
    /// tells it, and no other does.
    fn has(&self, (role, text): (Role, &str)) -> bool {
        let tells = text.contains(TENANT);
        role.as_str() == self.role
            && (self.tenants.is_empty()
                || self.tenants.iter().any(|tenant| tenant.is_empty() != tells))
    }
}

fn moment(question: &Question<'_>, slot: &Slot) -> String {
    match slot.1 {
        None => format!("at {}", question.clock(slot.0)),
        Some(_) => "of the day (its hours are no longer kept)".into(),
    }
}

/// A list that is cut where it gets long.
fn list<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> String {
    let texts: Vec<String> = texts.into_iter().map(|text| text.as_ref().to_owned()).collect();
    let shown = texts.iter().take(LIST_MAX).cloned().collect::<Vec<_>>().join(", ");
    match texts.len().saturating_sub(LIST_MAX) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Parts of a sentence in lines, with room for what is before the first.
fn wrapped(parts: &[String]) -> Vec<String> {
    const LENGTH_MAX: usize = COLUMNS_MAX - 34;
    let mut lines: Vec<String> = Vec::new();
    for (at, part) in parts.iter().enumerate() {
        let end = if at + 1 < parts.len() { ";" } else { "" };
        match lines.last_mut() {
            Some(line) if line.len() + part.len() + 2 <= LENGTH_MAX => {
                line.push_str(&format!(" {part}{end}"));
            }
            _ => lines.push(format!("{part}{end}")),
        }
    }
    lines
}

/// A text of so many characters at most.
fn fit(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        None => text.to_owned(),
        Some(_) => text.chars().take(characters - 1).chain(['\u{2026}']).collect(),
    }
}
