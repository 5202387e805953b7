//! What reports ask of days of which it is not kept who it was, and what they rest on.

use std::collections::BTreeMap;

use super::error::StoreError;
use super::query::{Snapshot, Window, text, unsigned};
use crate::evidence::Evidence;

/// What is kept of an app on a day without users.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TotalFact {
    /// Different users who used it.
    pub users: u64,
    /// Different devices with which it was used.
    pub devices: u64,
    /// Person-minutes.
    pub active_minutes: u64,
    /// Bytes.
    pub bytes: u64,
    /// Those of them that are incidental.
    pub incidental_bytes: u64,
    /// The best evidence.
    pub evidence: Evidence,
    /// Whether all of it had the spacing of synchronisation.
    pub is_sync: bool,
    /// Versions of the catalogue, ascending.
    pub catalogue_versions: Vec<String>,
}

/// How usage is kept in a window: by hour, by day, or as totals of days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stages<T> {
    /// Rows by hour.
    pub hours: T,
    /// Rows by day.
    pub days: T,
    /// Totals.
    pub totals: T,
}

impl Snapshot<'_> {
    /// Totals of a window by app id, where they are all that is kept.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn totals_of_apps(
        &self,
        window: Window,
    ) -> Result<BTreeMap<String, TotalFact>, StoreError> {
        let sql = "SELECT a.app, c.version, sum(d.users), sum(d.devices), sum(d.active_minutes),
                sum(d.bytes_up + d.bytes_down), sum(d.incidental_bytes), max(d.evidence),
                max(d.pattern)
            FROM targets_daily AS d
            JOIN targets AS t ON t.id = d.target
            JOIN apps AS a ON a.id = t.app
            JOIN catalogues AS c ON c.id = ifnull(t.catalogue, d.catalogue)
            WHERE d.day >= ? AND d.day < ? AND d.run IN runs_visible
            GROUP BY a.app, c.version
            ORDER BY a.app, c.version";
        let mut totals: BTreeMap<String, TotalFact> = BTreeMap::new();
        self.rows(sql, window, |row| {
            let mut read = || {
                let total = totals.entry(text(row, 0)?.to_owned()).or_default();
                total.catalogue_versions.push(row.get(1)?);
                total.users += unsigned(row, 2)?;
                total.devices += unsigned(row, 3)?;
                total.active_minutes += unsigned(row, 4)?;
                total.bytes += unsigned(row, 5)?;
                total.incidental_bytes += unsigned(row, 6)?;
                let evidence = Evidence::from_number(row.get(7)?).unwrap_or_default();
                total.evidence = total.evidence.max(evidence);
                total.is_sync |= row.get::<_, i64>(8)? != 0;
                Ok(())
            };
            read().map_err(|error| self.failed(error))
        })?;
        Ok(totals)
    }

    /// How usage of a window is kept.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn stages(&self, window: Window) -> Result<Stages<bool>, StoreError> {
        let sql = "SELECT
            EXISTS (SELECT 1 FROM usage WHERE hour >= ?1 AND hour < ?2),
            EXISTS (SELECT 1 FROM usage_daily WHERE day >= ?1 AND day < ?2),
            EXISTS (SELECT 1 FROM targets_daily WHERE day >= ?1 AND day < ?2)";
        let stages = self.transaction.query_row(sql, [window.from, window.to], |row| {
            Ok(Stages { hours: row.get(0)?, days: row.get(1)?, totals: row.get(2)? })
        });
        stages.map_err(|error| self.failed(error))
    }

    /// How many rows of days of a window were deleted.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn deleted(&self, window: Window) -> Result<Stages<u64>, StoreError> {
        let sql = "SELECT ifnull(sum(iif(stage = 0, rows, 0)), 0),
                ifnull(sum(iif(stage = 1, rows, 0)), 0), ifnull(sum(iif(stage = 2, rows, 0)), 0)
            FROM deleted WHERE day >= ? AND day < ?";
        let deleted = self.transaction.query_row(sql, [window.from, window.to], |row| {
            Ok(Stages {
                hours: unsigned(row, 0)?,
                days: unsigned(row, 1)?,
                totals: unsigned(row, 2)?,
            })
        });
        deleted.map_err(|error| self.failed(error))
    }
}
