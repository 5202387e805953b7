//! By which rules of the catalogue names were an app's: what `why` tells of a row first.
//!
//! By day, as long as it is kept who it was. A target that got its app later ([`super::rename`]) has its
//! rule itself, whatever rows it has.

use std::collections::HashSet;

use foldhash::fast::RandomState;
use rusqlite::{Connection, params};

use super::commit::number;
use super::error::StoreError;
use super::query::{Snapshot, Window, text, unsigned};
use super::rows::{MatchedRow, RunId};
use crate::observation::NameSource;

/// Rules, each with where names came from, that are kept of a subject, a side of an app and a day. What
/// has no room is left out, and counted.
const PATTERNS_MAX: usize = 32;

/// A rule by which names of a subject were a side of an app on a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MatchedFact<'a> {
    /// The beginning of the zone's day, in seconds since 1970.
    pub day: i64,
    /// Empty when nobody is attributed.
    pub user: &'a str,
    /// The client's address or pseudonym.
    pub device: &'a str,
    /// The role of the side.
    pub role: &'a str,
    /// The organisation's instance, or empty.
    pub tenant: &'a str,
    /// The rule as it stands in the catalogue's file.
    pub pattern: &'a str,
    /// Where the names came from.
    pub name_source: NameSource,
    /// Flows that began.
    pub connections: u64,
    /// DNS questions.
    pub dns_queries: u64,
}

/// Adds rows. Answers how many were left out.
pub(super) fn add(
    connection: &Connection,
    run: RunId,
    rows: &[MatchedRow],
) -> rusqlite::Result<u64> {
    let mut update = connection.prepare_cached(
        "UPDATE matched SET connections = connections + ?7, dns_queries = dns_queries + ?8
         WHERE day = ?1 AND run = ?2 AND subject = ?3 AND target = ?4 AND pattern = ?5
             AND name_source = ?6",
    )?;
    let mut insert = connection.prepare_cached(&format!(
        "INSERT INTO matched (
             day, run, subject, target, pattern, name_source, connections, dns_queries
         ) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8
         WHERE (SELECT count(*) FROM matched
             WHERE day = ?1 AND run = ?2 AND subject = ?3 AND target = ?4) < {PATTERNS_MAX}"
    ))?;
    let mut left_out = 0;
    for row in rows {
        let values = params![
            row.day,
            run.0,
            row.subject.0,
            row.target.0,
            row.pattern.0,
            row.name_source as u8,
            number(row.connections),
            number(row.dns_queries),
        ];
        if update.execute(values)? == 0 && insert.execute(values)? == 0 {
            left_out += 1;
        }
    }
    Ok(left_out)
}

impl Snapshot<'_> {
    /// The rules by which names were an app's on the days that begin in `window`, as far as they are
    /// kept, each run's by itself.
    ///
    /// # Errors
    /// The database cannot be read, or `each` fails.
    pub fn matched<E: From<StoreError>>(
        &self,
        app_id: &str,
        window: Window,
        mut each: impl FnMut(&MatchedFact<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let sql = "SELECT m.day, s.user, s.device, t.role, t.tenant, p.pattern, m.name_source,
                m.connections, m.dns_queries, a.app
            FROM matched AS m
            JOIN targets AS t ON t.id = m.target
            JOIN apps AS a ON a.id = t.app
            JOIN subjects AS s ON s.id = m.subject
            JOIN patterns AS p ON p.id = m.pattern
            WHERE m.day >= ? AND m.day < ? AND m.run IN runs_visible
            ORDER BY m.day, m.run, m.subject, m.target, m.pattern, m.name_source";
        self.rows(sql, window, |row| {
            let read = || -> rusqlite::Result<Option<MatchedFact<'_>>> {
                let source: u8 = row.get(6)?;
                let Some(name_source) = NameSource::from_number(source) else { return Ok(None) };
                Ok((text(row, 9)? == app_id).then_some(MatchedFact {
                    day: row.get(0)?,
                    user: text(row, 1)?,
                    device: text(row, 2)?,
                    role: text(row, 3)?,
                    tenant: text(row, 4)?,
                    pattern: text(row, 5)?,
                    name_source,
                    connections: unsigned(row, 7)?,
                    dns_queries: unsigned(row, 8)?,
                }))
            };
            match read().map_err(|error| self.failed(error))? {
                Some(fact) => each(&fact),
                None => Ok(()),
            }
        })
    }
}

/// Forgets by which rules names were what these targets were before.
pub(super) fn forget_matched(
    connection: &Connection,
    targets: &HashSet<i64, RandomState>,
) -> rusqlite::Result<()> {
    let ids: Vec<String> = targets.iter().map(ToString::to_string).collect();
    let sql = format!("DELETE FROM matched WHERE target IN ({})", ids.join(", "));
    connection.execute(&sql, []).map(drop)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{commit_of, start};
    use super::super::{Commit, Store};
    use super::*;
    use crate::stats::Counter;

    /// A commit with a row of usage, and for each of these rules one by which it is.
    fn commit(store: &mut Store, sequence: u64, patterns: &[&str]) -> Commit {
        let mut commit = commit_of(store, sequence, 1);
        for text in patterns {
            commit.matched.push(MatchedRow {
                day: 0,
                subject: commit.usage[0].subject,
                target: commit.usage[0].target,
                name_source: NameSource::Sni,
                pattern: store.pattern_id(text).unwrap(),
                connections: 2,
                dns_queries: 1,
            });
        }
        commit
    }

    fn all(store: &Store) -> Vec<(String, u64, u64)> {
        let mut found = Vec::new();
        let keep = |fact: &MatchedFact<'_>| {
            found.push((fact.pattern.to_owned(), fact.connections, fact.dns_queries));
            Ok::<(), StoreError>(())
        };
        store.snapshot().unwrap().matched("slack", Window::ALL, keep).unwrap();
        found
    }

    #[test]
    fn rules_are_added_up_over_commits_and_belong_to_their_app() {
        let mut store = Store::in_memory("UTC").unwrap();
        let run = store.begin_run(&start(&[], false)).unwrap().run;
        for (sequence, patterns) in [(1, &["slack.com"][..]), (2, &["slack.com", "*.slack.com"])] {
            let commit = commit(&mut store, sequence, patterns);
            assert_eq!(store.commit(run, &commit).unwrap(), 0);
        }
        assert_eq!(all(&store), [], "not before the run is done");
        store.finish_run(run, &[]).unwrap();
        let expected = [("slack.com".to_owned(), 4, 2), ("*.slack.com".to_owned(), 2, 1)];
        assert_eq!(all(&store), expected);
        let none = |_: &MatchedFact<'_>| -> Result<(), StoreError> { panic!("another app's") };
        store.snapshot().unwrap().matched("zoom", Window::ALL, none).unwrap();
        let of_next_day = Window { from: 1, to: i64::MAX };
        store.snapshot().unwrap().matched("slack", of_next_day, none).unwrap();
    }

    #[test]
    fn what_has_no_room_is_left_out_and_counted() {
        let mut store = Store::in_memory("UTC").unwrap();
        let run = store.begin_run(&start(&[], false)).unwrap().run;
        let patterns: Vec<String> =
            (0..PATTERNS_MAX + 3).map(|number| format!("{number}.example")).collect();
        let patterns: Vec<&str> = patterns.iter().map(String::as_str).collect();
        let first = commit(&mut store, 1, &patterns);
        assert_eq!(store.commit(run, &first).unwrap(), 3);
        // What is there goes on to be counted.
        let second = commit(&mut store, 2, &patterns[..2]);
        assert_eq!(store.commit(run, &second).unwrap(), 0);
        store.finish_run(run, &[]).unwrap();
        let found = all(&store);
        assert_eq!(found.len(), PATTERNS_MAX);
        assert_eq!(found[0], ("0.example".to_owned(), 4, 2));
        let counted = "SELECT value FROM counters WHERE name = ?";
        let name = Counter::PatternDropped.name();
        let value: i64 = store.connection.query_row(counted, [name], |row| row.get(0)).unwrap();
        assert_eq!(value, 3);
    }
}
