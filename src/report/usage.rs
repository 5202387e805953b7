//! `usage.csv`: who used what, and how sure that is: one row for each (date, department, user,
//! device, app, tenant, edition).
//!
//! A row has all traffic of the app, on hosts of any role; `evidence` and `incidental` tell what it
//! amounts to (see [`crate::evidence`]). What somebody does with an app is judged over all its tenants
//! and editions; a row has its part of that: it is interactive where one of its own connections has
//! the bytes, or where it has payload in one of the quarter-hours that make the app's hour
//! interactive. Whoever used the app has `evidence` interactive; a row that
//! holds nothing but DNS questions has `dns_only` and `connections` 0. `pattern` is `sync` where the
//! day has the spacing of background synchronisation, by all its hours, also where only some of them
//! are reported on; it is interactive all the same where hours stand out of it. `active_minutes` are distinct minutes with
//! payload both ways, over all names of the row; `name_source` is the most trusted one seen.
//!
//! A day whose hours are not kept any more is told from what stays of it: `first_seen` and `last_seen`
//! are then the day, without a time. What stays is not cut at an hour: where a range begins within
//! such a day, the day is not told, where it ends within, all of it is.
//!
//! Addresses that are no person have no user, and `shared_source` with the reason as device: their
//! rows stand at the end of a day, all addresses of one reason together.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use foldhash::fast::RandomState;

use super::ReportError;
use super::days::{Day, Days};
use super::output::{Finished, Output};
use super::shared::{SHARED_SOURCE, SharedSources};
use super::table::{Cell, Table};
use crate::evidence::day::{DayFacts, DayGrade};
use crate::evidence::pattern::Pattern;
use crate::evidence::{Evidence, Thresholds};
use crate::observation::NameSource;
use crate::store::{Snapshot, StoreError, Sums, TotalFact, UsageFact, Window};

const COLUMNS: [&str; 21] = [
    "date",
    "department",
    "user",
    "device",
    "app_id",
    "app_name",
    "app_tenant",
    "app_edition",
    "app_category",
    "connections",
    "attempts_failed",
    "active_minutes",
    "bytes_up",
    "bytes_down",
    "dns_queries",
    "first_seen",
    "last_seen",
    "evidence",
    "incidental",
    "pattern",
    "name_source",
];

/// What `apps.csv` takes from the rows of `usage.csv`, so that its totals agree with them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct AppDay {
    /// Person-minutes.
    pub(super) active_minutes: u64,
    /// Versions of the catalogue in the day's rows.
    pub(super) catalogue_versions: BTreeSet<String>,
    /// Users who used it, by their number in the day.
    users: HashSet<u32, RandomState>,
    /// Devices with which it was used.
    devices: HashSet<u32, RandomState>,
    /// The strongest evidence of a row that is not incidental; of all, where there is none.
    pub(super) evidence: Evidence,
    /// Users and devices beyond these, of a day of which it is not kept who they were.
    pub(super) users_kept: u64,
    /// Devices likewise.
    pub(super) devices_kept: u64,
    /// Bytes of the rows.
    pub(super) bytes: u64,
    /// Those of them that are incidental.
    pub(super) incidental_bytes: u64,
    /// Whether a row is not incidental, and whether one with payload has no pattern.
    is_directed: bool,
    has_pattern: bool,
    is_without_pattern: bool,
}

impl AppDay {
    fn add(&mut self, row: &Row, grade: &DayGrade) {
        self.active_minutes += grade.active_minutes;
        self.bytes += row.sums.bytes();
        self.incidental_bytes += grade.incidental_bytes;
        let is_directed = !grade.incidental;
        if is_directed && !self.is_directed {
            (self.is_directed, self.evidence) = (true, grade.evidence);
        } else if is_directed == self.is_directed {
            self.evidence = self.evidence.max(grade.evidence);
        }
        if is_directed && grade.evidence >= Evidence::TwoWayPayload {
            let is_pattern = grade.pattern != Pattern::None;
            self.has_pattern |= is_pattern;
            self.is_without_pattern |= !is_pattern;
        }
    }

    /// Adds what is kept of a day without users.
    pub(super) fn add_total(&mut self, total: TotalFact) {
        self.active_minutes += total.active_minutes;
        self.catalogue_versions.extend(total.catalogue_versions);
        self.users_kept += total.users;
        self.devices_kept += total.devices;
        self.evidence = self.evidence.max(total.evidence);
        self.bytes += total.bytes;
        self.incidental_bytes += total.incidental_bytes;
        self.has_pattern |= total.is_sync;
        self.is_without_pattern |= !total.is_sync && total.evidence >= Evidence::TwoWayPayload;
    }

    /// Different users who used it.
    pub(super) fn users(&self) -> u64 {
        self.users.len() as u64 + self.users_kept
    }

    /// Different devices with which it was used.
    pub(super) fn devices(&self) -> u64 {
        self.devices.len() as u64 + self.devices_kept
    }

    /// The pattern of the app, where all rows with payload that are not incidental have it.
    pub(super) fn pattern(&self) -> Pattern {
        if self.has_pattern && !self.is_without_pattern { Pattern::Sync } else { Pattern::None }
    }
}

/// `usage.csv` in the making.
pub(super) struct Usage {
    table: Table,
}

/// What the rows of a day come to.
#[derive(Default)]
struct Totals {
    by_app: BTreeMap<String, AppDay>,
    /// Numbers of users and devices.
    people: HashMap<String, u32, RandomState>,
}

impl Totals {
    fn number(&mut self, text: &str) -> u32 {
        let next = self.people.len() as u32;
        match self.people.get(text) {
            Some(known) => *known,
            None => *self.people.entry(text.to_owned()).or_insert(next),
        }
    }

    fn add(&mut self, key: &RowKey, row: &mut Row, grade: &DayGrade, is_shared: bool) {
        let app = self.by_app.entry(key.app_id.clone()).or_default();
        app.add(row, grade);
        app.catalogue_versions.append(&mut row.catalogue_versions);
        if is_shared || !grade.is_used() {
            return;
        }
        let (user, device) = (self.number(&key.user), self.number(&key.device));
        let app = self.by_app.entry(key.app_id.clone()).or_default();
        if !key.user.is_empty() {
            app.users.insert(user);
        }
        app.devices.insert(device);
    }
}

impl Usage {
    pub(super) fn begin(output: Output) -> Result<Usage, ReportError> {
        Ok(Usage { table: Table::begin(output, &COLUMNS)? })
    }

    /// Adds the rows of a day. Answers what they come to by app id.
    pub(super) fn add_day(
        &mut self,
        snapshot: &Snapshot<'_>,
        days: &Days<'_>,
        day: &Day,
        sources: &SharedSources,
        thresholds: &Thresholds,
    ) -> Result<BTreeMap<String, AppDay>, ReportError> {
        let mut totals = Totals::default();
        let each = |key: &RowKey, row: &mut Row, grade: &DayGrade, is_shared| {
            self.write(days, day, key, row, grade)?;
            totals.add(key, row, grade, is_shared);
            Ok::<(), ReportError>(())
        };
        let mut rows = Rows::new((day.window, day.whole), sources, thresholds, each);
        snapshot.usage(day.whole, |fact| rows.add(fact))?;
        rows.finish()?;
        Ok(totals.by_app)
    }

    pub(super) fn finish(self) -> Result<Finished, ReportError> {
        self.table.finish()
    }

    fn write(
        &mut self,
        days: &Days<'_>,
        day: &Day,
        key: &RowKey,
        row: &Row,
        grade: &DayGrade,
    ) -> Result<(), ReportError> {
        self.table.row(&[
            Cell::Ours(&day.date),
            Cell::Text(&key.department),
            Cell::Text(&key.user),
            Cell::Text(&key.device),
            Cell::Text(&key.app_id),
            Cell::Text(&row.app_name),
            Cell::Text(&key.tenant),
            Cell::Text(&key.edition),
            Cell::Text(&row.category),
            Cell::Number(row.sums.connections),
            Cell::Number(row.sums.attempts_failed),
            Cell::Number(grade.active_minutes),
            Cell::Number(row.sums.bytes_up),
            Cell::Number(row.sums.bytes_down),
            Cell::Number(row.sums.dns_queries),
            Cell::Ours(&days.seen(row.sums.first_seen, row.is_by_day)?),
            Cell::Ours(&days.seen(row.sums.last_seen, row.is_by_day)?),
            Cell::Ours(grade.evidence.as_str()),
            Cell::Ours(if grade.incidental { "true" } else { "false" }),
            Cell::Ours(grade.pattern.as_str()),
            Cell::Ours(row.name_source.as_str()),
        ])
    }
}

/// What a day comes to by app id; of domains that no signature knows, as if they were apps in use,
/// where `domains` are asked for.
pub(super) fn totals_of(
    snapshot: &Snapshot<'_>,
    day: Window,
    sources: &SharedSources,
    thresholds: &Thresholds,
    domains: bool,
) -> Result<BTreeMap<String, AppDay>, StoreError> {
    let mut totals = Totals::default();
    let each = |key: &RowKey, row: &mut Row, grade: &DayGrade, is_shared| {
        totals.add(key, row, grade, is_shared);
        Ok::<(), StoreError>(())
    };
    let mut rows = Rows::new((day, day), sources, thresholds, each);
    match domains {
        true => snapshot.usage_of_domains(day, |fact| rows.add(fact))?,
        false => snapshot.usage(day, |fact| rows.add(fact))?,
    }
    rows.finish()?;
    Ok(totals.by_app)
}

/// Puts facts together to rows: those of people as they come, those of addresses that are no person
/// at the end, all of one reason together. Rows of one app, that is of its tenants and editions, are
/// judged together.
struct Rows<'a, F> {
    window: Window,
    /// All hours of the day.
    day: Window,
    sources: &'a SharedSources,
    thresholds: &'a Thresholds,
    /// Those of one app that came so far.
    open: Vec<(RowKey, Row)>,
    shared: BTreeMap<RowKey, Row>,
    /// Takes a row, what it amounts to, and whether it is of an address that is no person.
    each: F,
}

impl<'a, F> Rows<'a, F> {
    fn new(
        (window, day): (Window, Window),
        sources: &'a SharedSources,
        thresholds: &'a Thresholds,
        each: F,
    ) -> Rows<'a, F> {
        let (open, shared) = (Vec::new(), BTreeMap::new());
        Rows { window, day, sources, thresholds, open, shared, each }
    }

    /// Adds a fact; those of a row come one after the other, and so do rows of an app.
    fn add<E>(&mut self, fact: &UsageFact<'_>) -> Result<(), E>
    where
        F: FnMut(&RowKey, &mut Row, &DayGrade, bool) -> Result<(), E>,
    {
        if let Some((key, row)) = self.open.last_mut()
            && key.is_of(fact)
        {
            row.add(fact, self.window);
            return Ok(());
        }
        if self.open.last().is_some_and(|(key, _)| !key.is_of_app(fact)) {
            self.close()?;
        }
        let mut row = Row::of(fact);
        row.facts.set_day(self.day.from..self.day.to);
        row.add(fact, self.window);
        self.open.push((RowKey::of(fact), row));
        Ok(())
    }

    fn close<E>(&mut self) -> Result<(), E>
    where
        F: FnMut(&RowKey, &mut Row, &DayGrade, bool) -> Result<(), E>,
    {
        let Some((first, _)) = self.open.first() else { return Ok(()) };
        let Some(reason) = self.sources.get(&first.device) else {
            return self.tell(false);
        };
        let device = format!("{SHARED_SOURCE}{}", reason.as_str());
        for (key, row) in self.open.drain(..) {
            let (department, user, device) = (String::new(), String::new(), device.clone());
            let key = RowKey { department, user, device, ..key };
            match self.shared.get_mut(&key) {
                Some(known) => known.merge(row),
                None => {
                    self.shared.insert(key, row);
                }
            }
        }
        Ok(())
    }

    /// Tells the rows of an app, each with its part of what the app amounts to.
    fn tell<E>(&mut self, is_shared: bool) -> Result<(), E>
    where
        F: FnMut(&RowKey, &mut Row, &DayGrade, bool) -> Result<(), E>,
    {
        let range = self.window.from..self.window.to;
        let whole = match &self.open[..] {
            [_] => None,
            parts => {
                let mut whole = DayFacts::default();
                parts.iter().for_each(|(_, part)| whole.merge(&part.facts));
                Some(whole)
            }
        };
        for (key, mut row) in self.open.drain(..).filter(|(_, row)| row.is_reported) {
            let whole = whole.as_ref().unwrap_or(&row.facts);
            let grade = whole.grade_part(&row.facts, range.clone(), self.thresholds);
            (self.each)(&key, &mut row, &grade, is_shared)?;
        }
        Ok(())
    }

    fn finish<E>(mut self) -> Result<(), E>
    where
        F: FnMut(&RowKey, &mut Row, &DayGrade, bool) -> Result<(), E>,
    {
        self.close()?;
        for (key, row) in std::mem::take(&mut self.shared) {
            if self.open.last().is_some_and(|(last, _)| !last.is_same_app(&key)) {
                self.tell(true)?;
            }
            self.open.push((key, row));
        }
        self.tell(true)
    }
}

/// What a row is of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct RowKey {
    department: String,
    user: String,
    device: String,
    app_id: String,
    tenant: String,
    edition: String,
}

impl RowKey {
    fn of(fact: &UsageFact<'_>) -> RowKey {
        RowKey {
            department: fact.department.to_owned(),
            user: fact.user.to_owned(),
            device: fact.device.to_owned(),
            app_id: fact.app_id.to_owned(),
            tenant: fact.tenant.to_owned(),
            edition: fact.edition.to_owned(),
        }
    }

    fn is_of(&self, fact: &UsageFact<'_>) -> bool {
        self.is_of_app(fact) && self.tenant == fact.tenant && self.edition == fact.edition
    }

    /// Whether it is of the same client and app, whatever its tenant and edition.
    fn is_of_app(&self, fact: &UsageFact<'_>) -> bool {
        self.department == fact.department
            && self.user == fact.user
            && self.device == fact.device
            && self.app_id == fact.app_id
    }

    fn is_same_app(&self, other: &RowKey) -> bool {
        self.department == other.department
            && self.user == other.user
            && self.device == other.device
            && self.app_id == other.app_id
    }
}

/// The row in the making.
struct Row {
    app_name: String,
    category: String,
    name_source: NameSource,
    catalogue_versions: BTreeSet<String>,
    facts: DayFacts,
    /// Sums of the whole row; masks of minutes mean nothing in them.
    sums: Sums,
    /// Whether any fact is of an hour that is reported on.
    is_reported: bool,
    /// Whether any of these is of the day as a whole.
    is_by_day: bool,
}

impl Row {
    fn of(fact: &UsageFact<'_>) -> Row {
        Row {
            app_name: fact.app_name.to_owned(),
            category: fact.category.to_owned(),
            name_source: fact.name_source,
            catalogue_versions: BTreeSet::new(),
            facts: DayFacts::default(),
            sums: Sums::default(),
            is_reported: false,
            is_by_day: false,
        }
    }

    /// Adds a fact; those outside `window` only tell what the day is like.
    fn add(&mut self, fact: &UsageFact<'_>, window: Window) {
        fact.add_to(&mut self.facts);
        if !(window.from..window.to).contains(&fact.hour) {
            return;
        }
        if !std::mem::replace(&mut self.is_reported, true) {
            self.name_source = fact.name_source;
        }
        self.is_by_day |= fact.kept.is_some();
        self.sums.add(&fact.sums);
        self.name_source = self.name_source.min(fact.name_source);
        if fact.sums.has_traffic() && !self.catalogue_versions.contains(fact.catalogue_version) {
            self.catalogue_versions.insert(fact.catalogue_version.to_owned());
        }
    }

    fn merge(&mut self, mut other: Row) {
        self.facts.merge(&other.facts);
        if !other.is_reported {
            return;
        }
        if !std::mem::replace(&mut self.is_reported, true) {
            self.name_source = other.name_source;
        }
        self.is_by_day |= other.is_by_day;
        self.sums.add(&other.sums);
        self.name_source = self.name_source.min(other.name_source);
        self.catalogue_versions.append(&mut other.catalogue_versions);
    }
}
