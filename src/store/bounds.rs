//! What reports ask about what is not certain: apps that flows may have been, and how much of the
//! traffic has a user.

use std::collections::BTreeMap;

use super::error::StoreError;
use super::query::{Snapshot, Window, unsigned};
use super::rows::PossibleSums;
use crate::time::Timestamp;

/// What may have been use of an app, in a window, by flows whose name is hidden or ambiguous.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PossibleFact {
    /// The catalogue's id.
    pub app_id: String,
    /// Its name.
    pub name: String,
    /// Who sells it.
    pub vendor: String,
    /// The suite, or empty.
    pub suite: String,
    /// The category.
    pub category: String,
    /// How much.
    pub sums: PossibleSums,
}

impl Snapshot<'_> {
    /// What may have been use of each app, ordered by its id.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn possible(&self, window: Window) -> Result<Vec<PossibleFact>, StoreError> {
        let sql = "SELECT a.app, a.name, a.vendor, a.suite, a.category, sum(p.flows),
                sum(p.bytes), sum(p.bytes_expected), min(p.first_seen), max(p.last_seen)
            FROM possible AS p
            JOIN targets AS t ON t.id = p.target
            JOIN apps AS a ON a.id = t.app
            WHERE p.hour >= ? AND p.hour < ? AND p.run IN runs_visible
            GROUP BY a.app
            ORDER BY a.app";
        let mut facts = Vec::new();
        self.rows(sql, window, |row| {
            let read = || {
                Ok(PossibleFact {
                    app_id: row.get(0)?,
                    name: row.get(1)?,
                    vendor: row.get(2)?,
                    suite: row.get(3)?,
                    category: row.get(4)?,
                    sums: PossibleSums {
                        flows: unsigned(row, 5)?,
                        bytes: unsigned(row, 6)?,
                        bytes_expected: unsigned(row, 7)?,
                        first_seen: Timestamp(row.get(8)?),
                        last_seen: Timestamp(row.get(9)?),
                    },
                })
            };
            facts.push(read().map_err(|error| self.failed(error))?);
            Ok::<(), StoreError>(())
        })?;
        Ok(facts)
    }

    /// By site, bytes in rows of usage that have a user, and all bytes in rows of usage. Sites
    /// without such rows are not in it.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn attributed_bytes(
        &self,
        window: Window,
    ) -> Result<BTreeMap<String, (u64, u64)>, StoreError> {
        // One walk for all sites: these are the rows of which there are many.
        let sql = "SELECT r.site,
                sum(u.attributed_bytes + iif(s.user <> '', u.bytes_up + u.bytes_down, 0)),
                sum(u.bytes_up + u.bytes_down)
            FROM targets_kept AS u
            JOIN targets AS t ON t.id = u.target
            JOIN runs AS r ON r.id = u.run
            LEFT JOIN subjects AS s ON s.id = u.subject
            WHERE NOT (t.app IS NULL AND t.role <> '') AND u.hour >= ? AND u.hour < ?
                AND u.run IN runs_visible
            GROUP BY r.site";
        let mut sites = BTreeMap::new();
        self.rows(sql, window, |row| {
            let read = || Ok((row.get(0)?, (unsigned(row, 1)?, unsigned(row, 2)?)));
            let (site, bytes) = read().map_err(|error| self.failed(error))?;
            sites.insert(site, bytes);
            Ok::<(), StoreError>(())
        })?;
        Ok(sites)
    }
}
