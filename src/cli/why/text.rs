//! The answer as text, for somebody who knows networks and not this program: at most [`LINES_MAX`]
//! lines of [`COLUMNS_MAX`] characters.

use std::collections::BTreeMap;
use std::error::Error;

use super::super::summary::bytes;
use super::checks::{Group, checks, decisive};
use super::{Found, Key, Question};
use crate::evidence::day::{DayFacts, Slot};
use crate::evidence::{Side, Thresholds};
use crate::report::SHARED_SOURCE;
use crate::store::{Snapshot, Window};

/// Lines of an answer.
const LINES_MAX: usize = 30;
/// Characters of a line.
pub(super) const COLUMNS_MAX: usize = 100;
/// Rows that are listed where more than one was asked for.
const ROWS_MAX: usize = 3;
/// Hours that are listed in any case, with the line that says how many more there are.
const HOURS_MIN: usize = 2;
/// Lines of what a device did.
const PARAGRAPH_MAX: usize = 4;
/// Things of a list before it is cut.
const LIST_MAX: usize = 4;

/// Lines.
#[derive(Default)]
pub(super) struct Text {
    lines: Vec<String>,
}

impl From<Text> for String {
    fn from(text: Text) -> String {
        text.lines.into_iter().flat_map(|line| [line, "\n".into()]).collect()
    }
}

impl Text {
    pub(super) fn line(&mut self, text: impl AsRef<str>) {
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
            self.line("");
            self.line(format!(
                "Names that would have been taken for it, by role (rules in {}):",
                app.file
            ));
            self.rules_of_all_roles(question);
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
        self.short_of(question, found, device);
        let mut end = Text::default();
        end.possible(snapshot, question, question.hours_of(*day)?, "Besides, of that day, ")?;
        let checks = checks(&found.facts, (slot, facts, decided), thresholds);
        let decisive = checks.iter().filter(|group| group.is_decisive);
        let least: usize = decisive.map(|group| group.lines.len()).sum();
        let left = LINES_MAX.saturating_sub(self.lines.len() + least + HOURS_MIN + 5);
        self.names(question, found, left);
        // Two lines are before hours, and two before comparisons; one may be below hours.
        if self.lines.len() + least + HOURS_MIN + 5 + end.lines.len() > LINES_MAX {
            end.lines.clear();
        }
        let rest = LINES_MAX.saturating_sub(self.lines.len() + end.lines.len() + 5);
        let checks = chosen(checks, rest.saturating_sub(HOURS_MIN));
        let room = rest.saturating_sub(checks.len());
        self.hours(question, &found.facts, slot, room.max(HOURS_MIN));
        if !checks.is_empty() {
            let moment = moment(question, slot);
            self.line("");
            self.line(format!(
                "What was compared {moment}, with the settings in [evidence] of the file for --evidence:"
            ));
            checks.iter().for_each(|check| self.line(check));
        }
        self.lines.extend(end.lines);
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
                "Credited to nobody: a {word}, in usage.csv with others of it \"{SHARED_SOURCE}{word}\"."
            ),
            _ => format!("Credited to nobody: {}; each is a {word}.", list(&found.devices)),
        });
        // Of several devices, the first speaks for all.
        let device = found.devices.first().map_or(device, String::as_str);
        let mut did = facts.in_words();
        if let Some(first) = did.first_mut() {
            first.insert_str(0, &format!("what {device} did: "));
        }
        self.some(&wrapped(&did, COLUMNS_MAX - 4));
        let settings = question.settings.shared_sources.settings_of(device, facts, *reason);
        let mut settings: Vec<String> = settings.split("; ").map(str::to_owned).collect();
        if let Some(first) = settings.first_mut() {
            first.insert_str(0, "[shared_sources]: ");
        }
        self.some(&wrapped(&settings, COLUMNS_MAX - 4));
    }

    /// The first lines of a paragraph, further in from the second on.
    fn some(&mut self, lines: &[String]) {
        for (at, line) in lines.iter().take(PARAGRAPH_MAX).enumerate() {
            let begin = if at == 0 { "  " } else { "    " };
            let is_cut = at + 1 == PARAGRAPH_MAX && lines.len() > PARAGRAPH_MAX;
            self.line(format!("{begin}{line}{}", if is_cut { " \u{2026}" } else { "" }));
        }
    }

    /// What somebody's device has of what tells of shared sources, and how much is enough.
    fn short_of(&mut self, question: &Question<'_>, found: &Found, device: &str) {
        let Some(facts) = &found.short_of else { return };
        let short = question.settings.shared_sources.short_of(device, facts);
        if short.is_empty() {
            return;
        }
        self.line(
            "A person by [shared_sources]; what it has of signs of others, and what is enough:",
        );
        self.some(&wrapped(&short, COLUMNS_MAX - 6));
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
}

/// What decided, and of the other comparisons as many as there is room for, in their order.
fn chosen(groups: Vec<Group>, room: usize) -> Vec<String> {
    let decisive = groups.iter().filter(|group| group.is_decisive);
    let mut left = room.saturating_sub(decisive.map(|group| group.lines.len()).sum());
    let mut lines = Vec::new();
    for group in groups {
        let fits = group.lines.len() <= left;
        if group.is_decisive || fits {
            left -= if group.is_decisive { 0 } else { group.lines.len() };
            lines.extend(group.lines);
        }
    }
    lines
}

fn moment(question: &Question<'_>, slot: &Slot) -> String {
    match slot.1 {
        None => format!("at {}", question.clock(slot.0)),
        Some(_) => "of the day (its hours are no longer kept)".into(),
    }
}

/// A list that is cut where it gets long.
pub(super) fn list<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> String {
    let texts: Vec<String> = texts.into_iter().map(|text| text.as_ref().to_owned()).collect();
    let shown = texts.iter().take(LIST_MAX).cloned().collect::<Vec<_>>().join(", ");
    match texts.len().saturating_sub(LIST_MAX) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Parts of a sentence in lines of so many characters.
fn wrapped(parts: &[String], length_max: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for (at, part) in parts.iter().enumerate() {
        let end = if at + 1 < parts.len() { ";" } else { "" };
        match lines.last_mut() {
            Some(line) if line.len() + part.len() + 2 <= length_max => {
                line.push_str(&format!(" {part}{end}"));
            }
            _ => lines.push(format!("{part}{end}")),
        }
    }
    lines
}

/// A text of so many characters at most.
pub(super) fn fit(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        None => text.to_owned(),
        Some(_) => text.chars().take(characters - 1).chain(['\u{2026}']).collect(),
    }
}
