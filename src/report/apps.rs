//! `apps.csv`: what was used or touched, one row for each (date, app).
//!
//! Every app with traffic has a row, also where that was embeds or single connections only: what it
//! amounts to is told by `evidence_best`, the strongest evidence of the day's rows in `usage.csv`
//! that are not incidental (of all, where there is none), and `incidental_share`, the share of the
//! bytes that is incidental. An app was used where `evidence_best` is interactive. `users` counts
//! distinct known users who used it, `devices` distinct devices; addresses that are no person are
//! neither. `pattern` is `sync` where all rows with payload that are not incidental have it. An app
//! whose name was only asked for in DNS has no row here, but one in `usage.csv`. `active_minutes`
//! are person-minutes: the sum over the rows of `usage.csv`. `bytes_up` and `bytes_down` are certain;
//! `bytes_upper_bound` adds to them the bytes of flows whose name is hidden (Encrypted ClientHello),
//! ambiguous or not there, and which may have been the app's by what anybody was told by DNS for the
//! same server, or used there with a name, within a day. An app that is
//! only possible has a row without users and connections, and its evidence is that of names that were
//! asked for: `dns_only`. Of days whose hours are not kept
//! any more, `first_seen` and `last_seen` are the day, without a time; where only totals are, users,
//! minutes and evidence are as they were when the totals were made. `catalogue_version` names the versions
//! in force that day, joined by `+`.

use std::collections::BTreeMap;

use super::ReportError;
use super::days::{Day, Days};
use super::output::{Finished, Output};
use super::table::{Cell, Table, ratio};
use super::usage::AppDay;
use crate::evidence::Evidence;
use crate::store::{PossibleFact, Snapshot};

const COLUMNS: [&str; 20] = [
    "date",
    "app_id",
    "app_name",
    "app_vendor",
    "app_suite",
    "app_category",
    "users",
    "devices",
    "connections",
    "attempts_failed",
    "active_minutes",
    "bytes_up",
    "bytes_down",
    "bytes_upper_bound",
    "first_seen",
    "last_seen",
    "evidence_best",
    "incidental_share",
    "pattern",
    "catalogue_version",
];

/// `apps.csv` in the making.
pub(super) struct Apps {
    table: Table,
}

impl Apps {
    pub(super) fn begin(output: Output) -> Result<Apps, ReportError> {
        Ok(Apps { table: Table::begin(output, &COLUMNS)? })
    }

    /// Adds the rows of a day; `by_app` is what its rows of `usage.csv` come to.
    pub(super) fn add_day(
        &mut self,
        snapshot: &Snapshot<'_>,
        days: &Days<'_>,
        day: &Day,
        by_app: &BTreeMap<String, AppDay>,
    ) -> Result<(), ReportError> {
        let none = AppDay::default();
        let mut possible = snapshot.possible(day.window)?.into_iter().peekable();
        snapshot.apps::<ReportError>(day.window, |app| {
            while let Some(only) = possible.next_if(|fact| fact.app_id.as_str() < app.app_id) {
                self.only_possible(days, day, &only)?;
            }
            let more = possible.next_if(|fact| fact.app_id == app.app_id);
            let certain = app.sums.bytes_up + app.sums.bytes_down;
            let of_usage = by_app.get(app.app_id).unwrap_or(&none);
            let versions: Vec<&str> =
                of_usage.catalogue_versions.iter().map(String::as_str).collect();
            self.table.row(&[
                Cell::Ours(&day.date),
                Cell::Text(app.app_id),
                Cell::Text(app.name),
                Cell::Text(app.vendor),
                Cell::Text(app.suite),
                Cell::Text(app.category),
                Cell::Number(of_usage.users()),
                Cell::Number(of_usage.devices()),
                Cell::Number(app.sums.connections),
                Cell::Number(app.sums.attempts_failed),
                Cell::Number(of_usage.active_minutes),
                Cell::Number(app.sums.bytes_up),
                Cell::Number(app.sums.bytes_down),
                Cell::Number(certain + more.map_or(0, |fact| fact.bytes)),
                Cell::Ours(&days.seen(app.sums.first_seen, app.is_by_day)?),
                Cell::Ours(&days.seen(app.sums.last_seen, app.is_by_day)?),
                Cell::Ours(of_usage.evidence.as_str()),
                Cell::Ours(&ratio(of_usage.incidental_bytes, of_usage.bytes, 1)),
                Cell::Ours(of_usage.pattern().as_str()),
                Cell::Text(&versions.join("+")),
            ])
        })?;
        possible.try_for_each(|only| self.only_possible(days, day, &only))
    }

    /// Adds the row of an app that no flow is certain to have been.
    fn only_possible(
        &mut self,
        days: &Days<'_>,
        day: &Day,
        app: &PossibleFact,
    ) -> Result<(), ReportError> {
        self.table.row(&[
            Cell::Ours(&day.date),
            Cell::Text(&app.app_id),
            Cell::Text(&app.name),
            Cell::Text(&app.vendor),
            Cell::Text(&app.suite),
            Cell::Text(&app.category),
            Cell::Number(0),
            Cell::Number(0),
            Cell::Number(0),
            Cell::Number(0),
            Cell::Number(0),
            Cell::Number(0),
            Cell::Number(0),
            Cell::Number(app.bytes),
            Cell::Ours(&days.time(app.first_seen)?),
            Cell::Ours(&days.time(app.last_seen)?),
            // Which of the names that DNS told it was, nobody saw.
            Cell::Ours(Evidence::DnsOnly.as_str()),
            Cell::Ours(&ratio(0, 0, 1)),
            Cell::Ours(""),
            Cell::Ours(""),
        ])
    }

    pub(super) fn finish(self) -> Result<Finished, ReportError> {
        self.table.finish()
    }
}
