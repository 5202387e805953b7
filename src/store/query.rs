//! What reports ask: facts of a window of hours, in total order, from one consistent state.
//!
//! Rows are handed over one by one; SQLite sorts, on disk where it must. Only runs that are
//! visible count. What is use is not decided here: see [`crate::evidence`].

use rusqlite::{Row, ToSql, Transaction, params};

use super::Store;
use super::error::{StoreError, explain};
use super::rows::Sums;
use crate::ledger::Bucket;
use crate::time::Timestamp;
use crate::worker::detours::Detour;
use crate::worker::part::{Health, RingSums};

/// Hours by their beginnings, in UTC seconds: from `from` up to, but without, `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The first hour.
    pub from: i64,
    /// The first hour after it.
    pub to: i64,
}

impl Window {
    /// Everything.
    pub const ALL: Window = Window { from: i64::MIN, to: i64::MAX };
}

/// All traffic of one app in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppFact<'a> {
    /// The catalogue's id.
    pub app_id: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Who sells it.
    pub vendor: &'a str,
    /// The suite, or empty.
    pub suite: &'a str,
    /// The category.
    pub category: &'a str,
    /// Different users with traffic; the unattributed do not count. Where totals of days are all that
    /// is kept, at least so many: those of the day with most.
    pub users: u64,
    /// Different devices likewise.
    pub devices: u64,
    /// How much. The masks of minutes are empty: hours cannot share them.
    pub sums: Sums,
    /// Whether times are those of whole days: some of it is not kept by hour.
    pub is_by_day: bool,
}

/// All use of one domain that no signature knows, in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnmatchedFact<'a> {
    /// The registrable domain.
    pub domain: &'a str,
    /// Different users; the unattributed do not count. Where totals of days are all that is kept, at
    /// least so many: those of the day with most.
    pub users: u64,
    /// Different devices likewise.
    pub devices: u64,
    /// How much. The masks of minutes are empty.
    pub sums: Sums,
    /// Whether times are those of whole days: some of it is not kept by hour.
    pub is_by_day: bool,
}

/// What was had of a way around in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DetourFact {
    /// Which one.
    pub detour: Detour,
    /// Flows.
    pub flows: u64,
    /// Bytes.
    pub bytes: u64,
    /// Different devices; of days of which it is no longer kept who it was, as many as on each.
    pub devices: u64,
}

/// One bucket of the books in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VisibilityFact {
    /// Which one.
    pub bucket: Bucket,
    /// Flows.
    pub flows: u64,
    /// Bytes.
    pub bytes: u64,
}

/// What came in, in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TotalsFact {
    /// Packets.
    pub packets: u64,
    /// Bytes by the rule of the books.
    pub total_bytes: u64,
    /// Those of IP packets.
    pub ip_bytes: u64,
    /// Stamps of the first and the last packet; `None` without any.
    pub seen: Option<(Timestamp, Timestamp)>,
}

/// A capture that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureFact {
    /// Its fingerprint.
    pub fingerprint: [u8; 32],
    /// Its size in bytes.
    pub size_bytes: u64,
    /// The offset in bytes at which it could not be read on.
    pub damaged_at: Option<u64>,
    /// Whether its reading stopped though there is more of it.
    pub in_part: bool,
}

/// What is known of the runs that touch a window; every list in total order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFacts {
    /// Versions of the programs.
    pub programs: Vec<String>,
    /// SHA-256 of the configurations, in hex.
    pub config_sha256: Vec<String>,
    /// Versions and SHA-256 of the catalogues.
    pub catalogues: Vec<(String, String)>,
    /// Keys of the pseudonyms that subjects have; an empty one where they are in the clear.
    pub pseudonym_keys: Vec<String>,
    /// The captures.
    pub captures: Vec<CaptureFact>,
    /// Counters by name; those of whole runs, also where a window holds only a part of them.
    pub counters: Vec<(String, u64)>,
}

/// How good the capture is, and what was lost before it was seen: estimates, never a bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HealthFacts {
    /// What the packets tell.
    pub health: Health,
    /// What the kernel tells; none where nothing was captured live.
    pub rings: Option<RingSums>,
}

/// One consistent state of the database, whatever is written meanwhile.
pub struct Snapshot<'a> {
    pub(super) store: &'a Store,
    pub(super) transaction: Transaction<'a>,
}

impl Store {
    /// The state of now.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn snapshot(&self) -> Result<Snapshot<'_>, StoreError> {
        let transaction = self.connection.unchecked_transaction();
        let transaction = transaction.map_err(|error| explain(&self.path, error))?;
        Ok(Snapshot { store: self, transaction })
    }
}

/// [`Sums::has_traffic`] in SQL.
pub(super) const TRAFFIC: &str =
    "(u.connections > 0 OR u.attempts_failed > 0 OR u.bytes_up > 0 OR u.bytes_down > 0)";

/// Runs that count, in SQL: those of the site `?3`, or all where it is null.
const RUNS_OF_SITE: &str =
    "(SELECT id FROM runs WHERE id IN runs_visible AND (?3 IS NULL OR site = ?3))";

/// Tables whose rows make a day one that is reported on, each with the column that dates them.
const DATED: [(&str, &str); 5] = [
    ("totals", "hour"),
    ("visibility", "hour"),
    ("usage", "hour"),
    ("usage_daily", "day"),
    ("targets_daily", "day"),
];

/// Different known users of rows; who only asked for it is none.
pub(super) fn users() -> String {
    format!(
        "max(count(DISTINCT iif({TRAFFIC}, nullif(s.user, ''), NULL)),
            max(iif({TRAFFIC}, u.users_seen, 0)))"
    )
}

/// Sums over rows, in the order that [`summed`] reads. Who only asked for it had no traffic; but it was
/// seen then, whatever name its flows had that day.
fn sums() -> String {
    format!(
        "{users},
        max(count(DISTINCT iif({TRAFFIC}, s.device, NULL)),
            max(iif({TRAFFIC}, u.devices_seen, 0))),
        sum(u.connections), sum(u.attempts_failed), sum(u.dns_queries),
        sum(u.bytes_up), sum(u.bytes_down), min(u.first_seen), max(u.last_seen), max(u.is_day)",
        users = users()
    )
}

impl Snapshot<'_> {
    /// The first hour of `window` in which there is anything.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn first_hour(&self, window: Window) -> Result<Option<i64>, StoreError> {
        self.end_hour(window, "ASC", "min")
    }

    /// The last hour of `window` in which there is anything.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn last_hour(&self, window: Window) -> Result<Option<i64>, StoreError> {
        self.end_hour(window, "DESC", "max")
    }

    /// Traffic of each app on hosts of any role, ordered by its id. An app for which there are only DNS
    /// questions is none of them.
    ///
    /// # Errors
    /// The database cannot be read, or `each` fails.
    pub fn apps<E: From<StoreError>>(
        &self,
        window: Window,
        mut each: impl FnMut(&AppFact<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let sql = format!(
            "SELECT a.app, a.name, a.vendor, a.suite, a.category, {sums}
            FROM targets_kept AS u
            JOIN targets AS t ON t.id = u.target
            JOIN apps AS a ON a.id = t.app
            LEFT JOIN subjects AS s ON s.id = u.subject
            WHERE u.hour >= ? AND u.hour < ? AND u.run IN runs_visible
            GROUP BY a.app
            HAVING max({TRAFFIC})
            ORDER BY a.app",
            sums = sums()
        );
        self.rows(&sql, window, |row| {
            let fact = app_fact(row).map_err(|error| self.failed(error))?;
            each(&fact)
        })
    }

    /// Use of each domain that no signature knows, ordered by name. A domain for which there are only
    /// DNS questions is none of them.
    ///
    /// # Errors
    /// The database cannot be read, or `each` fails.
    pub fn unmatched<E: From<StoreError>>(
        &self,
        window: Window,
        mut each: impl FnMut(&UnmatchedFact<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let sql = format!(
            "SELECT t.domain, {sums}
            FROM targets_kept AS u
            JOIN targets AS t ON t.id = u.target
            LEFT JOIN subjects AS s ON s.id = u.subject
            WHERE u.hour >= ? AND u.hour < ? AND u.run IN runs_visible
                AND t.app IS NULL AND t.role = ''
            GROUP BY t.domain
            HAVING max({TRAFFIC})
            ORDER BY t.domain",
            sums = sums()
        );
        self.rows(&sql, window, |row| {
            let fact = unmatched_fact(row).map_err(|error| self.failed(error))?;
            each(&fact)
        })
    }

    /// The sites that have rows in `window`, in order.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn sites(&self, window: Window) -> Result<Vec<String>, StoreError> {
        let runs = DATED
            .map(|(table, hour)| {
                format!("SELECT run FROM {table} WHERE {hour} >= ?1 AND {hour} < ?2")
            })
            .join(" UNION ");
        let sql = format!(
            "SELECT DISTINCT site FROM runs WHERE id IN runs_visible AND id IN ({runs})
             ORDER BY site"
        );
        let mut sites = Vec::new();
        self.rows(&sql, window, |row| {
            sites.push(row.get(0).map_err(|error| self.failed(error))?);
            Ok::<(), StoreError>(())
        })?;
        Ok(sites)
    }

    /// The books of a site: every bucket, also the empty ones, in their order.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn visibility(
        &self,
        window: Window,
        site: &str,
    ) -> Result<Vec<VisibilityFact>, StoreError> {
        let empty = |bucket| VisibilityFact { bucket, flows: 0, bytes: 0 };
        let mut facts = Bucket::ALL.map(empty).to_vec();
        let sql = format!(
            "SELECT bucket, sum(flows), sum(bytes) FROM visibility
            WHERE hour >= ?1 AND hour < ?2 AND run IN {RUNS_OF_SITE}
            GROUP BY bucket"
        );
        self.rows_of(&sql, params![window.from, window.to, site], |row| {
            let read = || Ok((row.get::<_, u8>(0)?, unsigned(row, 1)?, unsigned(row, 2)?));
            let (bucket, flows, bytes) = read().map_err(|error| self.failed(error))?;
            let Some(fact) = facts.get_mut(usize::from(bucket)) else {
                let what = format!("there is no bucket {bucket}");
                return Err(StoreError::Damaged { path: self.store.path.clone(), what });
            };
            (fact.flows, fact.bytes) = (flows, bytes);
            Ok(())
        })?;
        Ok(facts)
    }

    /// What was had of ways around, and by how many devices.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn detours(&self, window: Window) -> Result<Vec<DetourFact>, StoreError> {
        let sql = "SELECT x.kind, sum(x.flows), sum(x.bytes),
                count(DISTINCT s.device) + sum(iif(x.subject = 0, x.devices, 0))
            FROM detours AS x LEFT JOIN subjects AS s ON s.id = x.subject
            WHERE x.hour >= ? AND x.hour < ? AND x.run IN runs_visible
            GROUP BY x.kind ORDER BY x.kind";
        let mut facts = Vec::new();
        self.rows(sql, window, |row| {
            let read = || Ok((row.get::<_, u8>(0)?, [1, 2, 3].map(|at| unsigned(row, at))));
            let (kind, [flows, bytes, devices]) = read().map_err(|error| self.failed(error))?;
            let failed = |error| self.failed(error);
            // A newer program may know more of them.
            if let Some(detour) = Detour::from_number(kind) {
                facts.push(DetourFact {
                    detour,
                    flows: flows.map_err(failed)?,
                    bytes: bytes.map_err(failed)?,
                    devices: devices.map_err(failed)?,
                });
            }
            Ok::<(), StoreError>(())
        })?;
        Ok(facts)
    }

    /// What came in.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn totals(&self, window: Window) -> Result<TotalsFact, StoreError> {
        let sql = "SELECT ifnull(sum(packets), 0), ifnull(sum(total_bytes), 0),
                ifnull(sum(ip_bytes), 0), min(first_seen), max(last_seen)
            FROM totals WHERE hour >= ? AND hour < ? AND run IN runs_visible";
        let totals = self.transaction.query_row(sql, params![window.from, window.to], |row| {
            let (first, last): (Option<i64>, Option<i64>) = (row.get(3)?, row.get(4)?);
            Ok(TotalsFact {
                packets: unsigned(row, 0)?,
                total_bytes: unsigned(row, 1)?,
                ip_bytes: unsigned(row, 2)?,
                seen: first.map(Timestamp).zip(last.map(Timestamp)),
            })
        });
        totals.map_err(|error| self.failed(error))
    }

    /// How good the capture is: at one site, or at all.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn health(&self, window: Window, site: Option<&str>) -> Result<HealthFacts, StoreError> {
        let params = params![window.from, window.to, site];
        let where_it_is = format!("hour >= ?1 AND hour < ?2 AND run IN {RUNS_OF_SITE}");
        let health = format!(
            "SELECT ifnull(sum(tcp_flows), 0), ifnull(sum(tcp_two_way), 0),
                ifnull(sum(tcp_begun_before), 0), ifnull(sum(sequence_bytes), 0),
                ifnull(sum(gap_bytes), 0), ifnull(sum(dns_questions), 0),
                ifnull(sum(dns_answers), 0)
            FROM health WHERE {where_it_is}"
        );
        let health = self.transaction.query_row(&health, params, |row| {
            Ok(Health {
                tcp_flows: unsigned(row, 0)?,
                tcp_two_way: unsigned(row, 1)?,
                tcp_begun_before: unsigned(row, 2)?,
                sequence_bytes: unsigned(row, 3)?,
                gap_bytes: unsigned(row, 4)?,
                dns_questions: unsigned(row, 5)?,
                dns_answers: unsigned(row, 6)?,
            })
        });
        let rings = format!(
            "SELECT ifnull(sum(received), 0), ifnull(sum(dropped), 0),
                ifnull(sum(interface_dropped), 0), ifnull(sum(down_nanos), 0), count(*)
            FROM rings WHERE {where_it_is}"
        );
        let rings = self.transaction.query_row(&rings, params, |row| {
            let sums = RingSums {
                received: unsigned(row, 0)?,
                dropped: unsigned(row, 1)?,
                interface_dropped: unsigned(row, 2)?,
                down_nanos: unsigned(row, 3)?,
            };
            Ok((unsigned(row, 4)? > 0).then_some(sums))
        });
        let failed = |error| self.failed(error);
        Ok(HealthFacts { health: health.map_err(failed)?, rings: rings.map_err(failed)? })
    }

    /// What is known of the runs that have rows in `window`, and of those that have none at all.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn runs(&self, window: Window) -> Result<RunFacts, StoreError> {
        self.run_facts(window).map_err(|error| self.failed(error))
    }

    fn run_facts(&self, window: Window) -> rusqlite::Result<RunFacts> {
        let first = |row: &Row<'_>| row.get(0);
        Ok(RunFacts {
            programs: self.list(
                "SELECT DISTINCT program FROM runs WHERE id IN touching ORDER BY 1",
                window,
                first,
            )?,
            config_sha256: self.list(
                "SELECT config_sha256 FROM runs WHERE id IN touching
                 UNION SELECT config_sha256 FROM reconfigured WHERE run IN touching ORDER BY 1",
                window,
                first,
            )?,
            catalogues: self.list(
                "SELECT version, hash FROM catalogues
                 WHERE id IN (SELECT catalogue FROM commits WHERE run IN touching)
                 ORDER BY 1, 2",
                window,
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?,
            pseudonym_keys: self.list(
                "SELECT DISTINCT pseudonym_key FROM runs WHERE id IN touching ORDER BY 1",
                window,
                first,
            )?,
            captures: self.list(
                "SELECT fingerprint, size_bytes, damaged_at, in_part FROM captures
                 WHERE run IN touching ORDER BY 1",
                window,
                |row| {
                    let damaged_at: Option<i64> = row.get(2)?;
                    Ok(CaptureFact {
                        fingerprint: row.get(0)?,
                        size_bytes: unsigned(row, 1)?,
                        damaged_at: damaged_at.map(i64::unsigned_abs),
                        in_part: row.get(3)?,
                    })
                },
            )?,
            counters: self.list(
                "SELECT name, sum(value) FROM counters WHERE run IN touching
                 GROUP BY name ORDER BY 1",
                window,
                |row| Ok((row.get(0)?, unsigned(row, 1)?)),
            )?,
        })
    }

    /// The rows of a question about `touching`, the runs that have rows in `window` or none at all.
    fn list<T>(
        &self,
        sql: &str,
        window: Window,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Vec<T>> {
        let sql = format!(
            "WITH touching AS (
                SELECT id FROM runs WHERE id IN runs_visible
                    AND (first_hour IS NULL OR (first_hour < ?2 AND last_hour >= ?1))
            ) {sql}"
        );
        let mut statement = self.transaction.prepare(&sql)?;
        statement.query_map(params![window.from, window.to], read)?.collect()
    }

    /// Walks the keys from one end and stops at the first hour, rather than asking for a minimum
    /// over all of them.
    fn end_hour(&self, window: Window, order: &str, best: &str) -> Result<Option<i64>, StoreError> {
        let end = |(table, hour): (&str, &str)| {
            format!(
                "SELECT * FROM (SELECT {hour} AS hour FROM {table} WHERE {hour} >= ?1
                    AND {hour} < ?2 AND run IN runs_visible ORDER BY {hour} {order} LIMIT 1)"
            )
        };
        let ends = DATED.map(end).join(" UNION ALL ");
        let sql = format!("SELECT {best}(hour) FROM ({ends})");
        let hour = self.transaction.query_row(&sql, params![window.from, window.to], |r| r.get(0));
        hour.map_err(|error| self.failed(error))
    }

    pub(super) fn rows<E: From<StoreError>>(
        &self,
        sql: &str,
        window: Window,
        each: impl FnMut(&Row<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.rows_of(sql, params![window.from, window.to], each)
    }

    fn rows_of<E: From<StoreError>>(
        &self,
        sql: &str,
        params: &[&dyn ToSql],
        mut each: impl FnMut(&Row<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let failed = |error| self.failed(error);
        let mut statement = self.transaction.prepare_cached(sql).map_err(failed)?;
        let mut rows = statement.query(params).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            each(row)?;
        }
        Ok(())
    }

    pub(super) fn failed(&self, error: rusqlite::Error) -> StoreError {
        explain(&self.store.path, error)
    }
}

fn app_fact<'a>(row: &'a Row<'_>) -> rusqlite::Result<AppFact<'a>> {
    let (users, devices, sums, is_by_day) = summed(row, 5)?;
    Ok(AppFact {
        app_id: text(row, 0)?,
        name: text(row, 1)?,
        vendor: text(row, 2)?,
        suite: text(row, 3)?,
        category: text(row, 4)?,
        users,
        devices,
        sums,
        is_by_day,
    })
}

fn unmatched_fact<'a>(row: &'a Row<'_>) -> rusqlite::Result<UnmatchedFact<'a>> {
    let (users, devices, sums, is_by_day) = summed(row, 1)?;
    Ok(UnmatchedFact { domain: text(row, 0)?, users, devices, sums, is_by_day })
}

/// Users, devices, sums and whether times are days, from the columns of [`sums`], which begin at
/// `column`.
fn summed(row: &Row<'_>, column: usize) -> rusqlite::Result<(u64, u64, Sums, bool)> {
    let sums = Sums {
        connections: unsigned(row, column + 2)?,
        attempts_failed: unsigned(row, column + 3)?,
        dns_queries: unsigned(row, column + 4)?,
        bytes_up: unsigned(row, column + 5)?,
        bytes_down: unsigned(row, column + 6)?,
        first_seen: Timestamp(row.get(column + 7)?),
        last_seen: Timestamp(row.get(column + 8)?),
        ..Sums::default()
    };
    Ok((unsigned(row, column)?, unsigned(row, column + 1)?, sums, row.get(column + 9)?))
}

pub(super) fn text<'a>(row: &'a Row<'_>, column: usize) -> rusqlite::Result<&'a str> {
    let value = row.get_ref(column)?;
    value.as_str().map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, value.data_type(), Box::new(error))
    })
}

/// A number that is never negative, as it was stored; see `number` in `commit`.
pub(super) fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let value: i64 = row.get(column)?;
    Ok(value.unsigned_abs())
}
