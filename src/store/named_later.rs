//! What reports ask about apps that got their name after they were used.

use super::error::StoreError;
use super::query::{Snapshot, TRAFFIC, Window, unsigned, users};
use crate::time::Timestamp;

/// An app that was in use before it had a name, in a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedLater {
    /// The catalogue's id.
    pub app_id: String,
    /// Its name.
    pub name: String,
    /// When it was first seen.
    pub first_seen: Timestamp,
    /// When it first got its name, in seconds since 1970.
    pub named_at: i64,
    /// Different users; the unattributed do not count. Where totals of days are all that is kept, at
    /// least so many.
    pub users: u64,
    /// Bytes from clients.
    pub bytes_up: u64,
    /// Whether `first_seen` is a day: some of it is not kept by hour.
    pub is_by_day: bool,
}

impl Snapshot<'_> {
    /// Apps that got their name after rows of them were written, ordered by id.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn named_later(&self, window: Window) -> Result<Vec<NamedLater>, StoreError> {
        let any = "SELECT EXISTS (SELECT 1 FROM targets WHERE named_at IS NOT NULL)";
        let any = self.transaction.query_row(any, [], |row| row.get(0));
        if !any.map_err(|error| self.failed(error))? {
            return Ok(Vec::new());
        }
        let sql = format!(
            "SELECT a.app, a.name, min(u.first_seen), min(t.named_at),
                {users}, sum(u.bytes_up), max(u.is_day)
            FROM targets_kept AS u
            JOIN targets AS t ON t.id = u.target
            JOIN apps AS a ON a.id = t.app
            LEFT JOIN subjects AS s ON s.id = u.subject
            WHERE u.hour >= ? AND u.hour < ? AND u.run IN runs_visible
                AND t.named_at IS NOT NULL
            GROUP BY a.app
            HAVING max({TRAFFIC})
            ORDER BY a.app",
            users = users()
        );
        let mut found = Vec::new();
        self.rows(&sql, window, |row| {
            let read = || {
                Ok(NamedLater {
                    app_id: row.get(0)?,
                    name: row.get(1)?,
                    first_seen: Timestamp(row.get(2)?),
                    named_at: row.get(3)?,
                    users: unsigned(row, 4)?,
                    bytes_up: unsigned(row, 5)?,
                    is_by_day: row.get(6)?,
                })
            };
            found.push(read().map_err(|error| self.failed(error))?);
            Ok::<(), StoreError>(())
        })?;
        Ok(found)
    }
}
