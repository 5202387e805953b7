//! What reports ask about what is not certain: apps that flows may have been, and how much of the
//! traffic has a user.

use std::collections::BTreeMap;

use super::error::StoreError;
use super::query::{Snapshot, Window, unsigned};
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
    /// Flows that began.
    pub flows: u64,
    /// All their bytes: what the app had at most, besides what is certain.
    pub bytes: u64,
    /// Their bytes, each flow's by the share that the app has in the weight of its candidates.
    pub bytes_expected: u64,
    /// Stamp of the first packet.
    pub first_seen: Timestamp,
    /// Stamp of the last packet.
    pub last_seen: Timestamp,
}

/// Whether flows of a row are still open, in SQL: what they hang on may have decided them.
const OPEN: &str = "(p.held = 0 OR EXISTS (
    SELECT 1 FROM targets AS h
    WHERE h.id = p.held AND h.app IS NULL
        AND (h.role IN ('ambiguous', 'no_name')
            OR h.role = 'infra' AND json_extract(h.grounds, '$[0]') = 4)))";

/// Whether a candidate is an app, or a domain that may turn out to be one, in SQL.
const SOMETHING: &str = "(k.app IS NOT NULL OR k.role = '')";

impl Snapshot<'_> {
    /// What may have been use of each app, ordered by its id.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn possible(&self, window: Window) -> Result<Vec<PossibleFact>, StoreError> {
        // A set counts once for each app, however many of its targets are the app's.
        let sql = format!(
            "SELECT a.app, a.name, a.vendor, a.suite, a.category, sum(p.flows), sum(p.bytes),
                cast(sum(p.bytes * iif(s.weight = 0, 1.0 * s.mine / s.members,
                    1.0 * s.mine_weight / s.weight)) AS INTEGER),
                min(p.first_seen), max(p.last_seen)
            FROM possible AS p
            JOIN (
                SELECT c.id, t.app, count(*) AS mine, sum(c.weight) AS mine_weight,
                    w.members, w.weight
                FROM candidates AS c
                JOIN targets AS t ON t.id = c.target
                JOIN (
                    SELECT m.id, count(*) AS members, sum(m.weight) AS weight
                    FROM candidates AS m JOIN targets AS k ON k.id = m.target
                    WHERE {SOMETHING}
                    GROUP BY m.id
                ) AS w ON w.id = c.id
                WHERE t.app IS NOT NULL
                GROUP BY c.id, t.app
            ) AS s ON s.id = p.candidates
            JOIN apps AS a ON a.id = s.app
            WHERE p.hour >= ? AND p.hour < ? AND p.run IN runs_visible
                AND (p.flows <> 0 OR p.bytes <> 0)
                AND {OPEN}
            GROUP BY a.app
            ORDER BY a.app"
        );
        let mut facts = Vec::new();
        self.rows(&sql, window, |row| {
            let read = || {
                Ok(PossibleFact {
                    app_id: row.get(0)?,
                    name: row.get(1)?,
                    vendor: row.get(2)?,
                    suite: row.get(3)?,
                    category: row.get(4)?,
                    flows: unsigned(row, 5)?,
                    bytes: unsigned(row, 6)?,
                    bytes_expected: unsigned(row, 7)?,
                    first_seen: Timestamp(row.get(8)?),
                    last_seen: Timestamp(row.get(9)?),
                })
            };
            facts.push(read().map_err(|error| self.failed(error))?);
            Ok::<(), StoreError>(())
        })?;
        Ok(facts)
    }

    /// Flows and bytes that are in nobody's bounds: they have no name, and nobody was seen to be told,
    /// or to use, a name at their server.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn unbounded(&self, window: Window) -> Result<(u64, u64), StoreError> {
        let sql = format!(
            "SELECT ifnull(sum(p.flows), 0), ifnull(sum(p.bytes), 0)
            FROM possible AS p
            WHERE NOT EXISTS (
                    SELECT 1 FROM candidates AS m JOIN targets AS k ON k.id = m.target
                    WHERE m.id = p.candidates AND {SOMETHING})
                AND p.hour >= ? AND p.hour < ? AND p.run IN runs_visible
                AND {OPEN}"
        );
        let mut found = (0, 0);
        self.rows(&sql, window, |row| {
            let read = || Ok((unsigned(row, 0)?, unsigned(row, 1)?));
            found = read().map_err(|error| self.failed(error))?;
            Ok::<(), StoreError>(())
        })?;
        Ok(found)
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
