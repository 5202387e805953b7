//! One numbered commit: all its rows in one transaction, or none.

use rusqlite::{Connection, TransactionBehavior, params};

use super::error::{StoreError, explain};
use super::rows::{CatalogueId, Commit, RunId, TotalsRow, UsageRow, VisibilityRow};
use super::{Store, intern::Interned};
use crate::stats::Counters;

impl Store {
    /// Adds what a commit holds to its run, in one transaction. After an error that
    /// [is passing](StoreError::is_passing) the same commit may be tried again.
    ///
    /// # Errors
    /// The commit's number has been taken before, the run is not open, or the database cannot be
    /// written; nothing of the commit is kept then.
    pub fn commit(&mut self, run: RunId, commit: &Commit) -> Result<(), StoreError> {
        let path = || self.path.clone();
        match write(&mut self.connection, &self.interned, run, commit) {
            Ok(Outcome::Written) => {
                self.interned.written();
                Ok(())
            }
            Ok(Outcome::Repeated) => {
                let sequence = commit.sequence;
                Err(StoreError::Repeated { path: path(), run: run.0, sequence })
            }
            Ok(Outcome::NotOpen) => {
                let what = format!("run {} is not open any more", run.0);
                Err(StoreError::Damaged { path: path(), what })
            }
            Err(error) => Err(explain(&self.path, error)),
        }
    }
}

/// What became of a commit; unless it was written, the transaction is rolled back.
enum Outcome {
    Written,
    Repeated,
    NotOpen,
}

fn write(
    connection: &mut Connection,
    interned: &Interned,
    run: RunId,
    commit: &Commit,
) -> rusqlite::Result<Outcome> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if !widen(&transaction, run, commit)? {
        return Ok(Outcome::NotOpen);
    }
    let numbered = transaction
        .prepare_cached(
            "INSERT OR IGNORE INTO commits (run, sequence, catalogue) VALUES (?, ?, ?)",
        )?
        .execute(params![run.0, number(commit.sequence), commit.catalogue.0])?;
    if numbered == 0 {
        return Ok(Outcome::Repeated);
    }
    interned.write(&transaction)?;
    add_usage(&transaction, run, commit.catalogue, &commit.usage)?;
    add_visibility(&transaction, run, &commit.visibility)?;
    add_totals(&transaction, run, &commit.totals)?;
    add_counters(&transaction, run, &commit.counters)?;
    transaction.commit()?;
    Ok(Outcome::Written)
}

/// Widens the run's range of hours to those of the commit. Answers whether the run is open.
fn widen(connection: &Connection, run: RunId, commit: &Commit) -> rusqlite::Result<bool> {
    let hours = || {
        let usage = commit.usage.iter().map(|row| row.hour);
        let visibility = commit.visibility.iter().map(|row| row.hour);
        usage.chain(visibility).chain(commit.totals.iter().map(|row| row.hour))
    };
    let first = hours().min().map(|hour| hour.start_seconds());
    let last = hours().max().map(|hour| hour.start_seconds());
    let changed = connection
        .prepare_cached(
            "UPDATE runs SET
                 first_hour = coalesce(min(first_hour, ?2), first_hour, ?2),
                 last_hour = coalesce(max(last_hour, ?3), last_hour, ?3)
             WHERE id = ?1 AND state = 'open'",
        )?
        .execute(params![run.0, first, last])?;
    Ok(changed == 1)
}

fn add_usage(
    connection: &Connection,
    run: RunId,
    catalogue: CatalogueId,
    rows: &[UsageRow],
) -> rusqlite::Result<()> {
    let mut upsert = connection.prepare_cached(
        "INSERT INTO usage (
             hour, run, subject, target, name_source, catalogue,
             connections, attempts_failed, handshakes, dns_queries, bytes_up, bytes_down,
             minutes_up, minutes_down, minutes_begun, first_seen, last_seen
         ) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET
             connections = connections + excluded.connections,
             attempts_failed = attempts_failed + excluded.attempts_failed,
             handshakes = handshakes + excluded.handshakes,
             dns_queries = dns_queries + excluded.dns_queries,
             bytes_up = bytes_up + excluded.bytes_up,
             bytes_down = bytes_down + excluded.bytes_down,
             minutes_up = minutes_up | excluded.minutes_up,
             minutes_down = minutes_down | excluded.minutes_down,
             minutes_begun = minutes_begun | excluded.minutes_begun,
             first_seen = min(first_seen, excluded.first_seen),
             last_seen = max(last_seen, excluded.last_seen)",
    )?;
    for row in in_key_order(rows) {
        let sums = &row.sums;
        upsert.execute(params![
            row.hour.start_seconds(),
            run.0,
            row.subject.0,
            row.target.0,
            row.name_source as u8,
            catalogue.0,
            number(sums.connections),
            number(sums.attempts_failed),
            number(sums.handshakes),
            number(sums.dns_queries),
            number(sums.bytes_up),
            number(sums.bytes_down),
            number(sums.minutes_up),
            number(sums.minutes_down),
            number(sums.minutes_begun),
            sums.first_seen.0,
            sums.last_seen.0,
        ])?;
    }
    Ok(())
}

/// The rows in the order of the table's key: neighbours share pages, which halves the time.
fn in_key_order(rows: &[UsageRow]) -> Vec<&UsageRow> {
    let mut sorted: Vec<&UsageRow> = rows.iter().collect();
    sorted.sort_unstable_by_key(|row| (row.hour, row.subject, row.target, row.name_source));
    sorted
}

fn add_visibility(
    connection: &Connection,
    run: RunId,
    rows: &[VisibilityRow],
) -> rusqlite::Result<()> {
    let mut upsert = connection.prepare_cached(
        "INSERT INTO visibility (hour, run, bucket, flows, bytes) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET
             flows = flows + excluded.flows,
             bytes = bytes + excluded.bytes",
    )?;
    for row in rows {
        let hour = row.hour.start_seconds();
        let (flows, bytes) = (number(row.flows), number(row.bytes));
        upsert.execute(params![hour, run.0, row.bucket as u8, flows, bytes])?;
    }
    Ok(())
}

fn add_totals(connection: &Connection, run: RunId, rows: &[TotalsRow]) -> rusqlite::Result<()> {
    let mut upsert = connection.prepare_cached(
        "INSERT INTO totals (hour, run, packets, total_bytes, ip_bytes, first_seen, last_seen)
         VALUES (?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET
             packets = packets + excluded.packets,
             total_bytes = total_bytes + excluded.total_bytes,
             ip_bytes = ip_bytes + excluded.ip_bytes,
             first_seen = min(first_seen, excluded.first_seen),
             last_seen = max(last_seen, excluded.last_seen)",
    )?;
    for row in rows {
        upsert.execute(params![
            row.hour.start_seconds(),
            run.0,
            number(row.packets),
            number(row.total_bytes),
            number(row.ip_bytes),
            row.first_seen.0,
            row.last_seen.0,
        ])?;
    }
    Ok(())
}

fn add_counters(connection: &Connection, run: RunId, counters: &Counters) -> rusqlite::Result<()> {
    let mut upsert = connection.prepare_cached(
        "INSERT INTO counters (run, name, value) VALUES (?, ?, ?)
         ON CONFLICT DO UPDATE SET value = value + excluded.value",
    )?;
    for (counter, value) in counters.iter().filter(|&(_, value)| value > 0) {
        upsert.execute(params![run.0, counter.name(), number(value)])?;
    }
    Ok(())
}

/// SQLite's integers have a sign; what does not fit (9 exabytes) is cut off there.
fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
