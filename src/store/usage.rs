//! What reports ask row by row: who used what, in which hour, or on which day where only that is kept.

use rusqlite::Row;
use rusqlite::types::{FromSqlError, Type};

use super::error::StoreError;
use super::query::{Snapshot, Window, text, unsigned};
use super::rows::Sums;
use crate::evidence::Side;
use crate::evidence::day::DayFacts;
use crate::evidence::kept::{Counted, Kind};
use crate::evidence::pattern::{Evenness, Spacing};
use crate::observation::NameSource;
use crate::time::Timestamp;

/// One stored row of an app, in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsageFact<'a> {
    /// Empty when unknown.
    pub department: &'a str,
    /// Empty when nobody is attributed.
    pub user: &'a str,
    /// The client's address until devices are known.
    pub device: &'a str,
    /// The catalogue's id of the app.
    pub app_id: &'a str,
    /// The app's name.
    pub app_name: &'a str,
    /// The organisation's instance, or empty.
    pub tenant: &'a str,
    /// The edition, or empty.
    pub edition: &'a str,
    /// The app's category.
    pub category: &'a str,
    /// Beginning of the hour, in UTC seconds; of the day, where only that is kept.
    pub hour: i64,
    /// For hours of a day that are alike, where only the day is kept: how they are, and what their
    /// masks of minutes told.
    pub kept: Option<(Kind, Counted)>,
    /// Where the name came from.
    pub name_source: NameSource,
    /// The version of the catalogue.
    pub catalogue_version: &'a str,
    /// The role of the app's hosts, in the catalogue's word.
    pub role: &'a str,
    /// The rule by which all of it got its app after the row was written; empty for all others, of which
    /// [`super::Snapshot::matched`] tells.
    pub pattern: &'a str,
    /// How much. The masks of minutes are empty where only the day is kept.
    pub sums: Sums,
}

impl UsageFact<'_> {
    /// Adds it to the facts of its day.
    pub fn add_to(&self, facts: &mut DayFacts) {
        let side = Side::of_role(self.role);
        match &self.kept {
            Some((kind, counted)) => {
                facts.add_kept(self.hour, *kind, side, &self.sums, counted);
            }
            None => facts.add(self.hour, side, &self.sums),
        }
    }
}

/// What the rows of [`usage_fact`] are of: sides of apps.
const OF_APPS: &str = "SELECT s.department, s.user, s.device, a.app, a.name, t.tenant, t.edition,
        a.category, t.role, u.*, c.version, t.pattern
    FROM usage_kept AS u
    JOIN targets AS t ON t.id = u.target
    JOIN apps AS a ON a.id = t.app
    JOIN subjects AS s ON s.id = u.subject
    JOIN catalogues AS c ON c.id = ifnull(t.catalogue, u.catalogue)";

/// Or domains, each as if it were an app in use.
const OF_DOMAINS: &str = "SELECT s.department, s.user, s.device, t.domain, '', '', '', '', 'use',
        u.*, c.version, ''
    FROM usage_kept AS u
    JOIN targets AS t ON t.id = u.target AND t.app IS NULL AND t.role = ''
    JOIN subjects AS s ON s.id = u.subject
    JOIN catalogues AS c ON c.id = u.catalogue";

impl Snapshot<'_> {
    /// Each row of an app, whatever the role of its hosts, ordered by department, user, device, app,
    /// tenant, edition and hour. Rows that hold only DNS questions are among them.
    ///
    /// # Errors
    /// The database cannot be read, or `each` fails.
    pub fn usage<E: From<StoreError>>(
        &self,
        window: Window,
        each: impl FnMut(&UsageFact<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.usage_of(OF_APPS, window, each)
    }

    /// Likewise each row of a domain that no signature knows, as if the domain were an app in use.
    ///
    /// # Errors
    /// The database cannot be read, or `each` fails.
    pub fn usage_of_domains<E: From<StoreError>>(
        &self,
        window: Window,
        each: impl FnMut(&UsageFact<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.usage_of(OF_DOMAINS, window, each)
    }

    fn usage_of<E: From<StoreError>>(
        &self,
        what: &str,
        window: Window,
        mut each: impl FnMut(&UsageFact<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let sql = format!(
            "{what} WHERE u.hour >= ? AND u.hour < ? AND u.run IN runs_visible
            ORDER BY 1, 2, 3, 4, 6, 7, u.hour"
        );
        self.rows(&sql, window, |row| {
            let fact = usage_fact(row).map_err(|error| self.failed(error))?;
            each(&fact)
        })
    }
}

/// From the columns of [`OF_APPS`]: nine in front of those of the view `usage_kept`, two behind.
fn usage_fact<'a>(row: &'a Row<'_>) -> rusqlite::Result<UsageFact<'a>> {
    let refused = |column: usize, value: i64| {
        let error = FromSqlError::OutOfRange(value);
        rusqlite::Error::FromSqlConversionFailure(column, Type::Integer, Box::new(error))
    };
    let source: u8 = row.get(13)?;
    let name_source = NameSource::from_number(source).ok_or_else(|| refused(13, source.into()))?;
    let kept = match row.get::<_, Option<i64>>(15)? {
        None => None,
        Some(number) => {
            let kind = Kind::from_number(number).ok_or_else(|| refused(15, number))?;
            let spacing = Spacing {
                hours: unsigned(row, 34)?,
                minutes: unsigned(row, 35)?,
                gaps: unsigned(row, 36)?,
                regular: unsigned(row, 37)?,
                regular_minutes: unsigned(row, 38)?,
                edges: unsigned(row, 41)?,
                evenness: Evenness {
                    hours: unsigned(row, 42)?,
                    bytes: unsigned(row, 43)?,
                    minutes: unsigned(row, 44)?,
                    gaps: unsigned(row, 45)?,
                    regular: unsigned(row, 46)?,
                    variation: unsigned(row, 47)?,
                },
            };
            let (active_minutes, loads) = (unsigned(row, 32)?, unsigned(row, 33)?);
            let quarters = unsigned(row, 39)?;
            Some((kind, Counted { active_minutes, loads, quarters, spacing }))
        }
    };
    Ok(UsageFact {
        department: text(row, 0)?,
        user: text(row, 1)?,
        device: text(row, 2)?,
        app_id: text(row, 3)?,
        app_name: text(row, 4)?,
        tenant: text(row, 5)?,
        edition: text(row, 6)?,
        category: text(row, 7)?,
        role: text(row, 8)?,
        hour: row.get(9)?,
        kept,
        name_source,
        catalogue_version: text(row, 48)?,
        pattern: text(row, 49)?,
        sums: Sums {
            connections: unsigned(row, 16)?,
            attempts_failed: unsigned(row, 17)?,
            handshakes: unsigned(row, 18)?,
            dns_queries: unsigned(row, 19)?,
            bytes_up: unsigned(row, 20)?,
            bytes_down: unsigned(row, 21)?,
            minutes_up: unsigned(row, 22)?,
            minutes_down: unsigned(row, 23)?,
            minutes_begun: unsigned(row, 24)?,
            first_seen: Timestamp(row.get(25)?),
            last_seen: Timestamp(row.get(26)?),
            followed: unsigned(row, 27)?,
            flow_up_max: unsigned(row, 28)?,
            flow_bytes_max: unsigned(row, 29)?,
            elsewhere_flows: unsigned(row, 30)?,
            elsewhere_bytes: unsigned(row, 31)?,
            quarters: if kept.is_none() { unsigned(row, 39)? } else { 0 },
            unfollowed: unsigned(row, 40)?,
        },
    })
}
