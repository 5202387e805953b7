//! `usage.csv`: who used what, and how sure that is: one row for each (date, department, user,
//! device, app, tenant, edition).
//!
//! A row has all traffic of the app, on hosts of any role; `evidence` and `incidental` tell what it
//! amounts to (see [`crate::evidence`]). Whoever used the app has `evidence` interactive; a row that
//! holds nothing but DNS questions has `dns_only` and `connections` 0. `pattern` is `sync` where the
//! day has the spacing of background synchronisation, by all its hours, also where only some of them
//! are reported on. `active_minutes` are distinct minutes with
//! payload both ways, over all names of the row; `name_source` is the most trusted one seen.
//!
//! Addresses that are no person have no user, and `shared_source` with the reason as device: their
//! rows stand at the end of a day, all addresses of one reason together.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use foldhash::fast::RandomState;

use super::ReportError;
use super::days::{Day, Days};
use super::output::{Finished, Output};
use super::shared::SharedSources;
use super::table::{Cell, Table};
use crate::evidence::day::{DayFacts, DayGrade};
use crate::evidence::pattern::Pattern;
use crate::evidence::{Evidence, Side, Thresholds};
use crate::observation::NameSource;
use crate::store::{Snapshot, Sums, UsageFact, Window};

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
    pub(super) users: HashSet<u32, RandomState>,
    /// Devices with which it was used.
    pub(super) devices: HashSet<u32, RandomState>,
    /// The strongest evidence of a row that is not incidental; of all, where there is none.
    pub(super) evidence: Evidence,
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

    /// The pattern of the app, where all rows with payload that are not incidental have it.
    pub(super) fn pattern(&self) -> Pattern {
        if self.has_pattern && !self.is_without_pattern { Pattern::Sync } else { Pattern::None }
    }
}

/// `usage.csv` in the making.
pub(super) struct Usage {
    table: Table,
}

/// What the rows of a day have in common.
struct Context<'a> {
    days: &'a Days<'a>,
    day: &'a Day,
    sources: &'a SharedSources,
    thresholds: &'a Thresholds,
}

/// What the rows of a day come to.
#[derive(Default)]
struct Totals {
    by_app: BTreeMap<String, AppDay>,
    /// Numbers of users and devices.
    people: HashMap<String, u32, RandomState>,
    /// Rows of addresses that are no person, until all of the day have been seen.
    shared: BTreeMap<RowKey, Row>,
}

impl Totals {
    fn number(&mut self, text: &str) -> u32 {
        let next = self.people.len() as u32;
        match self.people.get(text) {
            Some(known) => *known,
            None => *self.people.entry(text.to_owned()).or_insert(next),
        }
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
        let context = Context { days, day, sources, thresholds };
        let mut totals = Totals::default();
        let mut open: Option<(RowKey, Row)> = None;
        snapshot.usage(day.whole, |fact| {
            if let Some((key, row)) = &mut open
                && key.is_of(fact)
            {
                row.add(fact, day.window);
                return Ok(());
            }
            let mut row = Row::of(fact);
            row.add(fact, day.window);
            match open.replace((RowKey::of(fact), row)) {
                Some((key, row)) => self.person(&context, &mut totals, key, row),
                None => Ok(()),
            }
        })?;
        if let Some((key, row)) = open {
            self.person(&context, &mut totals, key, row)?;
        }
        for (key, row) in std::mem::take(&mut totals.shared) {
            self.write(&context, &mut totals, &key, row)?;
        }
        Ok(totals.by_app)
    }

    pub(super) fn finish(self) -> Result<Finished, ReportError> {
        self.table.finish()
    }

    /// Writes a person's row; that of an address that is none waits for others of its kind.
    fn person(
        &mut self,
        context: &Context<'_>,
        totals: &mut Totals,
        key: RowKey,
        row: Row,
    ) -> Result<(), ReportError> {
        if !row.is_reported {
            return Ok(());
        }
        let Some(reason) = context.sources.get(&key.device) else {
            let grade = self.write(context, totals, &key, row)?;
            if grade.is_used() {
                let (user, device) = (totals.number(&key.user), totals.number(&key.device));
                let app = totals.by_app.entry(key.app_id).or_default();
                if !key.user.is_empty() {
                    app.users.insert(user);
                }
                app.devices.insert(device);
            }
            return Ok(());
        };
        let device = format!("shared_source {}", reason.as_str());
        let key = RowKey { department: String::new(), user: String::new(), device, ..key };
        match totals.shared.get_mut(&key) {
            Some(known) => known.merge(row),
            None => {
                totals.shared.insert(key, row);
            }
        }
        Ok(())
    }

    fn write(
        &mut self,
        context: &Context<'_>,
        totals: &mut Totals,
        key: &RowKey,
        mut row: Row,
    ) -> Result<DayGrade, ReportError> {
        let grade = row
            .facts
            .grade_within(context.day.window.from..context.day.window.to, context.thresholds);
        self.table.row(&[
            Cell::Ours(&context.day.date),
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
            Cell::Ours(&context.days.time(row.sums.first_seen)?),
            Cell::Ours(&context.days.time(row.sums.last_seen)?),
            Cell::Ours(grade.evidence.as_str()),
            Cell::Ours(if grade.incidental { "true" } else { "false" }),
            Cell::Ours(grade.pattern.as_str()),
            Cell::Ours(row.name_source.as_str()),
        ])?;
        let app = totals.by_app.entry(key.app_id.clone()).or_default();
        app.add(&row, &grade);
        app.catalogue_versions.append(&mut row.catalogue_versions);
        Ok(grade)
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
        self.department == fact.department
            && self.user == fact.user
            && self.device == fact.device
            && self.app_id == fact.app_id
            && self.tenant == fact.tenant
            && self.edition == fact.edition
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
        }
    }

    /// Adds a fact; those outside `window` only tell what the day is like.
    fn add(&mut self, fact: &UsageFact<'_>, window: Window) {
        self.facts.add(fact.hour, Side::of_role(fact.role), &fact.sums);
        if !(window.from..window.to).contains(&fact.hour) {
            return;
        }
        if !std::mem::replace(&mut self.is_reported, true) {
            self.name_source = fact.name_source;
        }
        self.sums.add(&fact.sums);
        self.name_source = self.name_source.min(fact.name_source);
        if fact.sums.has_traffic() && !self.catalogue_versions.contains(fact.catalogue_version) {
            self.catalogue_versions.insert(fact.catalogue_version.to_owned());
        }
    }

    fn merge(&mut self, mut other: Row) {
        for (hour, facts) in other.facts.hours() {
            for side in Side::ALL {
                self.facts.add(*hour, side, facts.side(side));
            }
        }
        self.sums.add(&other.sums);
        self.name_source = self.name_source.min(other.name_source);
        self.catalogue_versions.append(&mut other.catalogue_versions);
    }
}
