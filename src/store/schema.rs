//! Makes the schema, and brings the databases of older programs up to it.
//!
//! `schema.sql` is what a new database gets; [`MIGRATIONS`] lead an older one there, one
//! transaction each. The version is SQLite's `user_version`, and `application_id` tells our files
//! from those of other programs.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::error::{StoreError, explain};
use crate::ledger::Bucket;

/// The version that `schema.sql` describes.
pub const SCHEMA_VERSION: i64 = 16;

/// "shsc" in ASCII, in the place where SQLite files say whose they are.
const APPLICATION_ID: i64 = 0x7368_7363;

const SCHEMA: &str = include_str!("schema.sql");

/// A step from one version to the next.
struct Migration {
    /// The version it leads to.
    to: i64,
    /// What it does.
    sql: &'static str,
}

/// In ascending order without gaps; the last leads to [`SCHEMA_VERSION`].
const MIGRATIONS: &[Migration] = &[
    Migration { to: 2, sql: include_str!("migrations/2.sql") },
    Migration { to: 3, sql: include_str!("migrations/3.sql") },
    Migration { to: 4, sql: include_str!("migrations/4.sql") },
    Migration { to: 5, sql: include_str!("migrations/5.sql") },
    Migration { to: 6, sql: include_str!("migrations/6.sql") },
    Migration { to: 7, sql: include_str!("migrations/7.sql") },
    Migration { to: 8, sql: include_str!("migrations/8.sql") },
    Migration { to: 9, sql: include_str!("migrations/9.sql") },
    Migration { to: 10, sql: include_str!("migrations/10.sql") },
    Migration { to: 11, sql: include_str!("migrations/11.sql") },
    Migration { to: 12, sql: include_str!("migrations/12.sql") },
    Migration { to: 13, sql: include_str!("migrations/13.sql") },
    Migration { to: 14, sql: include_str!("migrations/14.sql") },
    Migration { to: 15, sql: include_str!("migrations/15.sql") },
    Migration { to: 16, sql: include_str!("migrations/16.sql") },
];

/// Makes the schema in a new database for hours of `zone`, migrates an older one, and checks that
/// an existing one keeps hours of the same zone.
///
/// # Errors
/// The file is another program's or a newer one's, keeps other hours, or cannot be written.
pub(super) fn prepare(
    connection: &mut Connection,
    path: &Path,
    zone: &str,
) -> Result<(), StoreError> {
    match version(connection, path)? {
        None => create(connection, zone).map_err(|error| explain(path, error))?,
        Some(found) => migrate(connection, MIGRATIONS, found).map_err(|e| explain(path, e))?,
    }
    let stored = self::zone(connection).map_err(|error| explain(path, error))?;
    if stored != zone {
        let (path, given) = (path.to_path_buf(), zone.to_owned());
        return Err(StoreError::ZoneDiffers { path, stored, given });
    }
    Ok(())
}

/// Checks that an existing database can be read as it is.
///
/// # Errors
/// The file is not ours, or of another version.
pub(super) fn check(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let path = path.to_path_buf();
    match version(connection, &path)? {
        Some(SCHEMA_VERSION) => Ok(()),
        Some(found) => Err(StoreError::OlderSchema { path, found, known: SCHEMA_VERSION }),
        None => Err(StoreError::NotOurs { path, what: "an empty file" }),
    }
}

/// The time zone whose full hours begin the buckets.
pub(super) fn zone(connection: &Connection) -> rusqlite::Result<String> {
    connection.query_row("SELECT value FROM settings WHERE name = 'zone'", [], |row| row.get(0))
}

/// The schema's version, at most [`SCHEMA_VERSION`]; `None` for a new, empty file.
fn version(connection: &Connection, path: &Path) -> Result<Option<i64>, StoreError> {
    let number = |sql: &str| -> Result<i64, StoreError> {
        connection.query_row(sql, [], |row| row.get(0)).map_err(|error| explain(path, error))
    };
    let found = number("PRAGMA user_version")?;
    if number("PRAGMA application_id")? != APPLICATION_ID {
        return match number("SELECT count(*) FROM sqlite_schema")? {
            0 if found == 0 => Ok(None),
            _ => Err(StoreError::NotOurs {
                path: path.to_path_buf(),
                what: "an SQLite database of another program",
            }),
        };
    }
    if found > SCHEMA_VERSION {
        let path = path.to_path_buf();
        return Err(StoreError::NewerSchema { path, found, known: SCHEMA_VERSION });
    }
    Ok(Some(found))
}

fn create(connection: &mut Connection, zone: &str) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(SCHEMA)?;
    for bucket in Bucket::ALL {
        let row = (bucket as u8, bucket.name());
        transaction.execute("INSERT INTO buckets (id, name) VALUES (?, ?)", row)?;
    }
    transaction.execute("INSERT INTO settings (name, value) VALUES ('zone', ?)", [zone])?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    transaction.commit()
}

fn migrate(
    connection: &mut Connection,
    migrations: &[Migration],
    found: i64,
) -> rusqlite::Result<()> {
    for migration in migrations.iter().filter(|migration| migration.to > found) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(migration.sql)?;
        transaction.pragma_update(None, "user_version", migration.to)?;
        transaction.commit()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::Thresholds;
    use crate::evidence::kept::Kind;
    use crate::usage::Sums;

    fn fresh() -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        prepare(&mut connection, Path::new("test.db"), "UTC").unwrap();
        connection
    }

    #[test]
    fn a_second_opening_changes_nothing_and_keeps_the_zone() {
        let mut connection = fresh();
        prepare(&mut connection, Path::new("test.db"), "UTC").unwrap();
        check(&connection, Path::new("test.db")).unwrap();
        let other = prepare(&mut connection, Path::new("test.db"), "Asia/Kathmandu");
        assert!(matches!(other, Err(StoreError::ZoneDiffers { stored, .. }) if stored == "UTC"));
    }

    #[test]
    fn a_newer_programs_database_is_refused_by_name() {
        let mut connection = fresh();
        connection.pragma_update(None, "user_version", SCHEMA_VERSION + 1).unwrap();
        let error = prepare(&mut connection, Path::new("test.db"), "UTC").unwrap_err();
        assert!(matches!(error, StoreError::NewerSchema { .. }));
        let text = error.to_string();
        let version = format!("schema version {}", SCHEMA_VERSION + 1);
        assert!(text.contains("test.db") && text.contains(&version), "{text}");
    }

    #[test]
    fn another_programs_database_is_left_alone() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE notes (text TEXT)").unwrap();
        let error = prepare(&mut connection, Path::new("notes.db"), "UTC").unwrap_err();
        assert!(matches!(error, StoreError::NotOurs { .. }));
        let tables: i64 =
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |r| r.get(0)).unwrap();
        assert_eq!(tables, 1);
    }

    #[test]
    fn an_empty_file_cannot_be_reported_on() {
        let connection = Connection::open_in_memory().unwrap();
        let error = check(&connection, Path::new("empty.db")).unwrap_err();
        assert!(matches!(error, StoreError::NotOurs { .. }));
    }

    #[test]
    fn migrations_run_once_each_in_order_and_a_failing_one_leaves_no_trace() {
        let mut connection = fresh();
        let steps = [
            Migration { to: 13, sql: "CREATE TABLE step (n INTEGER); INSERT INTO step VALUES (2)" },
            Migration { to: 14, sql: "INSERT INTO step VALUES (3)" },
            Migration {
                to: 15,
                sql: "INSERT INTO step VALUES (4); INSERT INTO nowhere VALUES (4)",
            },
        ];
        assert!(migrate(&mut connection, &steps, 12).is_err());
        let steps_done = |connection: &Connection| -> (i64, i64) {
            let sql = "SELECT count(*), (SELECT user_version FROM pragma_user_version) FROM step";
            connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
        };
        assert_eq!(steps_done(&connection), (2, 14));
        migrate(&mut connection, &steps[..2], 14).unwrap();
        assert_eq!(steps_done(&connection), (2, 14));
    }

    /// A database of the first version, as that made it.
    const SCHEMA_OF_VERSION_1: &str = include_str!("migrations/from_1.sql");

    fn columns(connection: &Connection) -> Vec<(String, String, String)> {
        let sql = "SELECT s.name, c.name, c.type || c.\"notnull\" || c.pk
            FROM sqlite_schema AS s, pragma_table_info(s.name) AS c
            WHERE s.type = 'table' ORDER BY 1, 2";
        let mut statement = connection.prepare(sql).unwrap();
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        statement.query_map([], row).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn a_database_of_the_first_version_becomes_one_of_this() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(SCHEMA_OF_VERSION_1).unwrap();
        connection
            .execute_batch(
                "PRAGMA foreign_keys = OFF;
                 INSERT INTO settings VALUES ('zone', 'UTC');
                 INSERT INTO usage VALUES (0, 1, 1, 1, 0, 1, 1, 0, 1, 2, 70, 700, 1, 1, 1, 0, 0);
                 INSERT INTO usage VALUES (0, 1, 2, 1, 0, 1, 1, 1, 0, 2, 70, 0, 1, 0, 1, 0, 0);
                 PRAGMA user_version = 1;",
            )
            .unwrap();
        connection.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
        assert!(matches!(
            check(&connection, Path::new("old.db")),
            Err(StoreError::OlderSchema { found: 1, .. })
        ));
        prepare(&mut connection, Path::new("old.db"), "UTC").unwrap();
        check(&connection, Path::new("old.db")).unwrap();
        assert_eq!(columns(&connection), columns(&fresh()));
        let sql = "SELECT flow_up_max, flow_bytes_max, followed FROM usage ORDER BY subject";
        let mut statement = connection.prepare(sql).unwrap();
        let facts: Vec<(i64, i64, i64)> = statement
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(facts, [(70, 770, 0), (0, 0, 0)], "what was not answered had no payload");
    }

    #[test]
    fn what_version_6_called_use_stays_use() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(SCHEMA_OF_VERSION_1).unwrap();
        let of_6 = MIGRATIONS.iter().position(|migration| migration.to == 7).unwrap();
        migrate(&mut connection, &MIGRATIONS[..of_6], 1).unwrap();
        let minutes = 1_u64 | 1 << 14 | 1 << 30 | 1 << 59;
        connection
            .execute_batch(&format!(
                "PRAGMA foreign_keys = OFF;
                 INSERT INTO targets VALUES
                     (1, 1, 'use', '', '', '', NULL, NULL), (2, 1, 'login', '', '', '', NULL, NULL);
                 INSERT INTO usage (hour, run, subject, target, name_source, catalogue, connections,
                     attempts_failed, handshakes, dns_queries, bytes_up, bytes_down, minutes_up,
                     minutes_down, minutes_begun, first_seen, last_seen, flow_up_max, flow_bytes_max)
                 VALUES (0, 1, 1, 1, 0, 1, 1, 0, 1, 0, 9, 9, {minutes}, {minutes}, 1, 0, 0, 700, 800),
                     (0, 1, 2, 1, 0, 1, 1, 0, 1, 0, 9, 9, {minutes}, {minutes}, 1, 0, 0, 90, 900);
                 INSERT INTO usage_daily SELECT 0, 1, 1, id, 1, 22, 0, 1, 0, 1, 0, 9, 9, 0, 0, 0, 10,
                     7000, 0, 0, 5, 1, 8, 40, 39, 39 FROM targets;
                 INSERT INTO traits VALUES (0, 1, 1, 3, 63), (0, 1, 1, 3, 62), (0, 1, 1, 3, 127),
                     (0, 1, 1, 3, 9), (0, 1, 1, 3, -5), (0, 1, 1, 4, 9);"
            ))
            .unwrap();
        migrate(&mut connection, MIGRATIONS, 6).unwrap();
        let numbers = |sql: &str| -> Vec<i64> {
            let mut statement = connection.prepare(sql).unwrap();
            statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
        };
        // Three quarter-hours, with 350 and 700 bytes up; two of a day, with 7,000 both ways.
        assert_eq!(numbers("SELECT quarters FROM usage ORDER BY subject"), [0b1101_1101, 0]);
        let daily = "SELECT quarters FROM usage_daily ORDER BY target";
        assert_eq!(numbers(daily), [0b0011_0011, 0]);
        assert_eq!(numbers("SELECT DISTINCT spaced_regularly FROM usage_daily"), [480]);
        let values = "SELECT value FROM traits WHERE trait = 3 ORDER BY value";
        assert_eq!(numbers(values), [-5, 64, 128]);
        assert_eq!(numbers("SELECT value FROM traits WHERE trait = 4"), [9]);
    }

    #[test]
    fn what_version_10_called_a_shadow_stays_one() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(SCHEMA_OF_VERSION_1).unwrap();
        let of_10 = MIGRATIONS.iter().position(|migration| migration.to == 11).unwrap();
        migrate(&mut connection, &MIGRATIONS[..of_10], 1).unwrap();
        // Two connections, of which none, one or both followed after 2 s, and both after 5 s; days of
        // the same, with two quarter-hours, traffic that is not incidental, and an excess of 6.
        for followed in 0..3 {
            let of_day = 2 + 5 * (if followed == 2 { 2 } else { 1 } + 4 * (1 + 2 * 6));
            connection
                .execute_batch(&format!(
                    "PRAGMA foreign_keys = OFF;
                     INSERT INTO usage (hour, run, subject, target, name_source, catalogue,
                         connections, attempts_failed, handshakes, dns_queries, bytes_up, bytes_down,
                         minutes_up, minutes_down, minutes_begun, first_seen, last_seen, followed_2s,
                         followed_5s)
                     VALUES (0, 1, {followed}, 1, 0, 1, 2, 0, 2, 0, 9, 9, 1, 1, 1, 0, 0, {followed}, 2);
                     INSERT INTO usage_daily VALUES (0, 1, {followed}, 1, 1, {of_day}, 0, 2, 0, 2, 0,
                         9, 9, 0, {followed}, 2, 10, 7000, 0, 0, 5, 1, 8, 40, 39, 39, 0, 0);"
                ))
                .unwrap();
        }
        migrate(&mut connection, MIGRATIONS, 10).unwrap();
        let thresholds = |seconds| Thresholds { shadow_seconds: seconds, ..Thresholds::default() };
        let mut statement =
            connection.prepare("SELECT followed, unfollowed FROM usage ORDER BY subject").unwrap();
        let is_shadow = |row: &rusqlite::Row<'_>| {
            let number = |at| row.get::<_, i64>(at).map(i64::unsigned_abs);
            let sums = Sums { followed: number(0)?, unfollowed: number(1)?, ..Sums::default() };
            Ok([1, 2, 5].map(|seconds| {
                let thresholds = thresholds(seconds);
                sums.followed >> thresholds.load_rule() & 1 != 0 && !thresholds.is_beside(&sums)
            }))
        };
        let shadows: Vec<[bool; 3]> =
            statement.query_map([], is_shadow).unwrap().map(Result::unwrap).collect();
        assert_eq!(shadows, [[false, false, true], [false, false, true], [false, true, true]]);
        let mut statement = connection
            .prepare("SELECT kind, unfollowed FROM usage_daily ORDER BY subject")
            .unwrap();
        let kinds: Vec<(i64, i64)> = statement
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        // As `Kind` has it: 1 where all followed, 4 where something of any size did not.
        let kind = |one: i64, two: i64, five: i64| {
            let of_two: i64 = [1, 3, 4, 5, 6, 7, 8].map(|rule| 5_i64.pow(rule) * two).iter().sum();
            2 + 5 * (one + of_two + 25 * five + 1_953_125 * (1 + 2 * 6))
        };
        let levels = |two: i64| {
            let of_two: i64 = [1, 3, 4, 5, 6, 7, 8].map(|rule| two << (3 * rule)).iter().sum();
            7 + of_two
        };
        let expected =
            [(kind(4, 4, 1), levels(7)), (kind(4, 4, 1), levels(7)), (kind(4, 1, 1), levels(0))];
        assert_eq!(kinds, expected);
        for (number, _) in kinds {
            assert_eq!(Kind::from_number(number).unwrap().excess().number(), 6);
        }
    }

    #[test]
    fn migrations_lead_to_the_current_version_without_gaps() {
        let mut version = 1;
        for migration in MIGRATIONS {
            version += 1;
            assert_eq!(migration.to, version);
        }
        assert_eq!(version, SCHEMA_VERSION);
    }
}
