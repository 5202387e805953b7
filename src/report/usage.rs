//! `usage.csv`: who used what, one row for each (date, department, user, device, app, tenant,
//! edition).
//!
//! Only names of role `use` and `login` are use. A row may hold nothing but DNS questions: it has
//! `connections` 0 and `name_source` dns, and shows that a name was asked for, not that the app was
//! used, so that `apps.csv` leaves it out. `active_minutes` are distinct minutes with payload both
//! ways, over all names of the row; `name_source` is the most trusted one seen.

use std::collections::{BTreeMap, BTreeSet};

use super::ReportError;
use super::days::{Day, Days};
use super::output::{Finished, Output};
use super::table::{Cell, Table};
use crate::observation::NameSource;
use crate::store::{Snapshot, Sums, UsageFact};

const COLUMNS: [&str; 18] = [
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
    "name_source",
];

/// What `apps.csv` takes from the rows of `usage.csv`, so that its totals agree with them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct AppDay {
    /// Person-minutes.
    pub(super) active_minutes: u64,
    /// Versions of the catalogue in the day's rows.
    pub(super) catalogue_versions: BTreeSet<String>,
}

/// `usage.csv` in the making.
pub(super) struct Usage {
    table: Table,
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
    ) -> Result<BTreeMap<String, AppDay>, ReportError> {
        let mut by_app = BTreeMap::new();
        let mut open: Option<Group> = None;
        snapshot.usage(day.window, |fact| {
            if let Some(group) = &mut open
                && group.holds(fact)
            {
                group.add(fact);
                return Ok(());
            }
            match open.replace(Group::of(fact)) {
                Some(group) => group.close(&mut self.table, &mut by_app, days, day),
                None => Ok(()),
            }
        })?;
        if let Some(group) = open {
            group.close(&mut self.table, &mut by_app, days, day)?;
        }
        Ok(by_app)
    }

    pub(super) fn finish(self) -> Result<Finished, ReportError> {
        self.table.finish()
    }
}

/// The row in the making.
struct Group {
    department: String,
    user: String,
    device: String,
    app_id: String,
    app_name: String,
    tenant: String,
    edition: String,
    category: String,
    name_source: NameSource,
    catalogue_versions: BTreeSet<String>,
    /// Minutes of the hours that are done.
    active_minutes: u64,
    hour: i64,
    /// Sums of the whole row, but masks of minutes of `hour` only.
    sums: Sums,
}

impl Group {
    fn of(fact: &UsageFact<'_>) -> Group {
        let mut group = Group {
            department: fact.department.to_owned(),
            user: fact.user.to_owned(),
            device: fact.device.to_owned(),
            app_id: fact.app_id.to_owned(),
            app_name: fact.app_name.to_owned(),
            tenant: fact.tenant.to_owned(),
            edition: fact.edition.to_owned(),
            category: fact.category.to_owned(),
            name_source: fact.name_source,
            catalogue_versions: BTreeSet::new(),
            active_minutes: 0,
            hour: fact.hour,
            sums: Sums::default(),
        };
        group.add(fact);
        group
    }

    fn holds(&self, fact: &UsageFact<'_>) -> bool {
        self.department == fact.department
            && self.user == fact.user
            && self.device == fact.device
            && self.app_id == fact.app_id
            && self.tenant == fact.tenant
            && self.edition == fact.edition
    }

    fn add(&mut self, fact: &UsageFact<'_>) {
        if fact.hour != self.hour {
            self.close_hour();
            self.hour = fact.hour;
        }
        self.sums.add(&fact.sums);
        self.name_source = self.name_source.min(fact.name_source);
        if fact.sums.has_traffic() && !self.catalogue_versions.contains(fact.catalogue_version) {
            self.catalogue_versions.insert(fact.catalogue_version.to_owned());
        }
    }

    fn close_hour(&mut self) {
        self.active_minutes += self.sums.active_minutes();
        (self.sums.minutes_up, self.sums.minutes_down) = (0, 0);
    }

    fn close(
        mut self,
        table: &mut Table,
        by_app: &mut BTreeMap<String, AppDay>,
        days: &Days<'_>,
        day: &Day,
    ) -> Result<(), ReportError> {
        self.close_hour();
        table.row(&[
            Cell::Ours(&day.date),
            Cell::Text(&self.department),
            Cell::Text(&self.user),
            Cell::Text(&self.device),
            Cell::Text(&self.app_id),
            Cell::Text(&self.app_name),
            Cell::Text(&self.tenant),
            Cell::Text(&self.edition),
            Cell::Text(&self.category),
            Cell::Number(self.sums.connections),
            Cell::Number(self.sums.attempts_failed),
            Cell::Number(self.active_minutes),
            Cell::Number(self.sums.bytes_up),
            Cell::Number(self.sums.bytes_down),
            Cell::Number(self.sums.dns_queries),
            Cell::Ours(&days.time(self.sums.first_seen)?),
            Cell::Ours(&days.time(self.sums.last_seen)?),
            Cell::Ours(self.name_source.as_str()),
        ])?;
        let app = by_app.entry(self.app_id).or_default();
        app.active_minutes += self.active_minutes;
        app.catalogue_versions.append(&mut self.catalogue_versions);
        Ok(())
    }
}
