//! Names the past: gives domains that no signature knew the app that they are known by now.
//!
//! Rows of usage, by hour, by day and of totals, point at targets, so a domain's target becomes the
//! app's and no row is written anew, however many there are. The domain stays beside it. A domain that
//! turns out to be shared infrastructure keeps its rows, and no report has them. What moves is in the
//! books: the bytes of the domain's rows, as far as they were in `unmatched`, go to the bucket of the
//! app. Ways around are told of domains that are one, and who led a load is [judged anew](super::lead),
//! as long as hours are kept.
//!
//! What has no certain name has a target of its own, with what that hangs on ([`Grounds`]), and is
//! [decided anew](crate::pipeline::anew): flows that were ambiguous, or are now, media of calls, and
//! tenants below an app's suffix. What they may have been counts ([`super::bounds`]) while it is open.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, Row, TransactionBehavior, params};

use super::error::{StoreError, explain};
use super::intern::Interned;
use super::matched::forget_matched;
use super::rows::{AppFacts, CatalogueFacts, Grounds, Rule, Target, TargetId};
use super::{Store, lead};
use crate::evidence::{Evidence, Side};
use crate::ledger::Bucket;
use crate::time::Timestamp;
use crate::worker::detours::Detour;

/// What a domain is from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewName {
    /// The registrable domain.
    pub domain: String,
    /// The label below it, see [`Target::Labelled`]; or empty.
    pub label: String,
    /// An app's side; none where it is shared infrastructure.
    pub target: Option<Target>,
    /// The rule of the catalogue that says so, as it stands in its file.
    pub pattern: String,
    /// Where bytes of that belong.
    pub bucket: Bucket,
    /// The way around that it is, if any.
    pub detour: Option<Detour>,
}

/// A domain whose past has a name now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renamed {
    /// The registrable domain.
    pub domain: String,
    /// The app's id; none of shared infrastructure.
    pub app_id: Option<String>,
    /// When it was first seen, by a question for it or in use; none where it was only asked for.
    pub first_seen: Option<Timestamp>,
}

/// The role of a domain that is nobody's app but shared infrastructure.
const SHARED_ROLE: &str = "infra";
/// Where clocks are put back, a day has 25 hours.
const DAY_SECONDS_MAX: i64 = 25 * 3600;

/// Flows and bytes by hour, or day, and run, from a bucket to another one.
type Moves = BTreeMap<(i64, i64, u8, u8), (i64, i64)>;

/// A target, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredTarget {
    /// The side of an app, if it is one.
    pub app: Option<Target>,
    /// The role without an app: empty of domains that no signature knows.
    role: String,
    /// The registrable domain, also one that has its name by now; or empty.
    pub domain: String,
    /// The label below it, see [`Target::Labelled`]; or empty.
    pub label: String,
    /// On what it hangs.
    pub grounds: Option<Grounds<TargetId>>,
}

impl StoredTarget {
    /// What it is; none of what is shared.
    pub fn target(&self) -> Option<Target> {
        let (domain, label) = (self.domain.clone(), self.label.clone());
        match (&self.app, &*self.role) {
            (Some(app), _) => Some(app.clone()),
            (None, "") if label.is_empty() => Some(Target::Domain(domain)),
            (None, "") => Some(Target::Labelled { domain, label }),
            (None, role) => {
                let bucket = Bucket::ALL.into_iter().find(|bucket| bucket.name() == role)?;
                Some(Target::Undecided { bucket })
            }
        }
    }
}

/// What a target with grounds is from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTarget {
    /// Which.
    pub id: TargetId,
    /// What it is; none of what is shared.
    pub target: Option<Target>,
    /// The rule of the catalogue that says so, as it stands in its file; empty where that is not known,
    /// or it is no app's.
    pub pattern: String,
    /// Where bytes of it were.
    pub from: Bucket,
    /// Where they belong.
    pub bucket: Bucket,
    /// The way around that it is, if any.
    pub detour: Option<Detour>,
    /// Whether it had no name before, because a domain had none.
    pub is_new: bool,
}

/// What becomes of a target.
struct Change<'a> {
    target: Option<&'a Target>,
    pattern: &'a str,
    from: Bucket,
    bucket: Bucket,
    detour: Option<Detour>,
    is_new: bool,
    /// The domain, where it is one's.
    domain: Option<&'a str>,
}

impl Store {
    /// The domains that no signature knows, each with its labels; see [`Target::Labelled`].
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn unmatched_domains(&self) -> Result<Vec<(String, String)>, StoreError> {
        let list = || -> rusqlite::Result<Vec<(String, String)>> {
            let sql = "SELECT domain, label FROM targets WHERE app IS NULL AND role = ''
                 AND grounds = '' ORDER BY domain, label";
            self.connection
                .prepare(sql)?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        };
        list().map_err(|error| explain(&self.path, error))
    }

    /// Whether rows were judged by this catalogue before.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn has_catalogue(&self, catalogue: &CatalogueFacts) -> Result<bool, StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM catalogues WHERE version = ? AND hash = ?)";
        let found =
            self.connection.query_row(sql, [&catalogue.version, &catalogue.hash], |row| row.get(0));
        found.map_err(|error| explain(&self.path, error))
    }

    /// All targets.
    ///
    /// # Errors
    /// The database cannot be read, or is damaged.
    pub fn targets(&self) -> Result<BTreeMap<TargetId, StoredTarget>, StoreError> {
        let list = || -> rusqlite::Result<BTreeMap<TargetId, StoredTarget>> {
            let sql =
                "SELECT t.id, a.app, t.role, t.tenant, t.edition, t.domain, t.label, t.grounds,
                    a.name, a.vendor, a.suite, a.category
                FROM targets AS t LEFT JOIN apps AS a ON a.id = t.app";
            let mut statement = self.connection.prepare(sql)?;
            let targets = statement.query_map([], stored_target)?;
            targets.collect()
        };
        list().map_err(|error| explain(&self.path, error))
    }

    /// Gives domains their names, and what hangs on them what it is now, in one transaction.
    /// `now_seconds` is when that is. Domains that are not there are left as they are.
    ///
    /// # Errors
    /// The database cannot be written; nothing is changed then.
    pub fn rename(
        &mut self,
        catalogue: &CatalogueFacts,
        names: &[NewName],
        changed: &[NewTarget],
        now_seconds: i64,
    ) -> Result<Vec<Renamed>, StoreError> {
        self.check_in_place()?;
        let renamed = rename(&mut self.connection, catalogue, (names, changed), now_seconds);
        let renamed = renamed.map_err(|error| explain(&self.path, error))?;
        let interned = Interned::continuing(&self.connection);
        self.interned = interned.map_err(|error| explain(&self.path, error))?;
        Ok(renamed)
    }
}

fn rename(
    connection: &mut Connection,
    catalogue: &CatalogueFacts,
    (names, changed): (&[NewName], &[NewTarget]),
    now_seconds: i64,
) -> rusqlite::Result<Vec<Renamed>> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute(
        "INSERT OR IGNORE INTO catalogues (version, hash) VALUES (?, ?)",
        [&catalogue.version, &catalogue.hash],
    )?;
    let mut known = BTreeMap::new();
    for name in names {
        let sql = "SELECT id FROM targets WHERE app IS NULL AND role = '' AND domain = ?
             AND label = ? AND grounds = ''";
        let mut found = transaction.prepare_cached(sql)?;
        let ids = found.query_map([&name.domain, &name.label], |row| row.get(0))?;
        for id in ids.collect::<rusqlite::Result<Vec<i64>>>()? {
            let change = Change {
                target: name.target.as_ref(),
                pattern: &name.pattern,
                from: Bucket::Unmatched,
                bucket: name.bucket,
                detour: name.detour,
                is_new: true,
                domain: Some(&*name.domain),
            };
            known.insert(id, change);
        }
    }
    let tenants = tenants(&transaction)?;
    for new in changed {
        let change = Change {
            target: new.target.as_ref(),
            pattern: &new.pattern,
            from: new.from,
            bucket: new.bucket,
            detour: new.detour,
            is_new: new.is_new,
            domain: tenants.get(&new.id.0).map(|(_, domain)| &**domain),
        };
        known.insert(new.id.0, change);
    }
    let beside: BTreeSet<i64> = tenants.values().map(|(member, _)| *member).collect();
    let hanging = hanging(&transaction)?;
    let (moves, seen) = moves(&transaction, &known)?;
    move_books(&transaction, &moves)?;
    tell_detours(&transaction, &known)?;
    // Names of one domain are told together: by those that are an app's, if any are.
    let mut renamed: BTreeMap<&str, Renamed> = BTreeMap::new();
    let mut firsts: BTreeMap<&str, Seen> = BTreeMap::new();
    for (&id, change) in &known {
        let app = match change.target {
            Some(Target::App { app, .. }) => Some(app),
            _ => None,
        };
        if let Some(app) = app {
            describe(&transaction, app)?;
        }
        judge_again(&transaction, id, change.target)?;
        let is_pointed = point(&transaction, id, change, catalogue, now_seconds)?;
        // The domain of a tenant is there for what hangs on it.
        let is_told = seen.get(&id).is_some_and(|seen| seen.in_use) || !beside.contains(&id);
        if let Some(domain) = change.domain.filter(|_| is_pointed && is_told) {
            let told = renamed.entry(domain).or_insert_with(|| Renamed {
                domain: domain.to_owned(),
                app_id: None,
                first_seen: None,
            });
            told.app_id = told.app_id.take().or_else(|| app.map(|app| app.id.clone()));
            // Flows of which it was not certain whether they were the domain's are the app's, too.
            let is_same = |other: &&i64| {
                let target = known.get(other).and_then(|change| change.target);
                matches!((target, app), (Some(Target::App { app: one, .. }), Some(app)) if one.id == app.id)
            };
            let hanging = hanging.get(&id).map(Vec::as_slice).unwrap_or_default();
            let all = hanging.iter().filter(is_same).chain([&id]);
            for seen in all.filter_map(|id| seen.get(id)) {
                let known = firsts.entry(domain).or_insert(*seen);
                known.first = known.first.min(seen.first);
                known.in_use |= seen.in_use;
            }
        }
    }
    for told in renamed.values_mut() {
        let seen = firsts.get(&*told.domain).filter(|seen| seen.in_use);
        told.first_seen = seen.map(|seen| seen.first);
    }
    let changed = known.keys().copied().collect();
    forget_matched(&transaction, &changed)?;
    lead::judge_again(&transaction, &changed, &lead::Sites::read(&transaction)?)?;
    transaction.commit()?;
    let mut renamed: Vec<Renamed> = renamed.into_values().collect();
    renamed.sort_by(|one, other| (&one.app_id, &one.domain).cmp(&(&other.app_id, &other.domain)));
    Ok(renamed)
}

/// Of targets, those that may be the same because flows may have been of them.
fn hanging(connection: &Connection) -> rusqlite::Result<BTreeMap<i64, Vec<i64>>> {
    // The first number is that of the rule; others' targets are negative.
    let sql = "SELECT j.value, t.id FROM targets AS t, json_each(t.grounds) AS j
        WHERE t.grounds <> '' AND j.key > 0 AND j.value > 0";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut hanging: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        hanging.entry(row.get(0)?).or_default().push(row.get(1)?);
    }
    Ok(hanging)
}

/// Of targets of tenants, the target of their domain and that domain's name.
fn tenants(connection: &Connection) -> rusqlite::Result<BTreeMap<i64, (i64, String)>> {
    let sql = "SELECT t.id, m.id, trim(m.domain) FROM targets AS t
        JOIN targets AS m ON m.id = json_extract(t.grounds, '$[1]')
        WHERE t.grounds <> '' AND json_extract(t.grounds, '$[0]') = ?";
    let mut statement = connection.prepare(sql)?;
    let row = |row: &Row<'_>| Ok((row.get(0)?, (row.get(1)?, row.get(2)?)));
    statement.query_map([Rule::Suffix as i64], row)?.collect()
}

fn stored_target(row: &Row<'_>) -> rusqlite::Result<(TargetId, StoredTarget)> {
    let app = match row.get::<_, Option<String>>(1)? {
        None => None,
        Some(id) => Some(Target::App {
            app: AppFacts {
                id,
                name: row.get(8)?,
                vendor: row.get(9)?,
                suite: row.get(10)?,
                category: row.get(11)?,
            },
            role: row.get(2)?,
            tenant: row.get(3)?,
            edition: row.get(4)?,
        }),
    };
    // A space behind it keeps two of a kind apart.
    let domain = row.get::<_, String>(5)?.trim_end().to_owned();
    let target = StoredTarget {
        app,
        role: row.get(2)?,
        domain,
        label: row.get(6)?,
        grounds: Grounds::from_text(&row.get::<_, String>(7)?),
    };
    Ok((TargetId(row.get(0)?), target))
}

/// When a target was first seen.
#[derive(Clone, Copy)]
struct Seen {
    /// Asked for or used.
    first: Timestamp,
    /// Whether there were flows, too.
    in_use: bool,
}

/// What the books have to move, and when each target was first seen.
fn moves(
    connection: &Connection,
    known: &BTreeMap<i64, Change<'_>>,
) -> rusqlite::Result<(Moves, BTreeMap<i64, Seen>)> {
    let (mut moves, mut seen) = (Moves::new(), BTreeMap::new());
    if known.is_empty() {
        return Ok((moves, seen));
    }
    let mut by_day = Moves::new();
    // One walk over all rows, in the order of their keys, is all the time this takes.
    let ids: Vec<String> = known.keys().map(ToString::to_string).collect();
    let sql = format!(
        "SELECT hour, run, target, connections - elsewhere_flows,
             bytes_up + bytes_down - elsewhere_bytes, first_seen,
             connections + attempts_failed + bytes_up + bytes_down > 0, is_day
         FROM targets_kept WHERE target IN ({})",
        ids.join(", ")
    );
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let target: i64 = row.get(2)?;
        let Some(change) = known.get(&target) else { continue };
        let into = if row.get(7)? { &mut by_day } else { &mut moves };
        let buckets = (change.from as u8, change.bucket as u8);
        let key = (row.get(0)?, row.get(1)?, buckets.0, buckets.1);
        let (flows, bytes) = into.entry(key).or_default();
        *flows += row.get::<_, i64>(3)?;
        *bytes += row.get::<_, i64>(4)?;
        let fresh = Seen { first: Timestamp(row.get(5)?), in_use: row.get(6)? };
        let known = seen.entry(target).or_insert(fresh);
        known.first = known.first.min(fresh.first);
        known.in_use |= fresh.in_use;
    }
    spread(connection, &by_day, &mut moves)?;
    Ok((moves, seen))
}

/// Spreads what days have to move over their hours, as far as these have it: the books are kept by
/// hour, and in which hours it was is not kept. Their day says what it would have said.
fn spread(connection: &Connection, by_day: &Moves, moves: &mut Moves) -> rusqlite::Result<()> {
    let mut taken: BTreeMap<(i64, i64, u8), (i64, i64)> = BTreeMap::new();
    for (&(hour, run, from, _), &(flows, bytes)) in moves.iter() {
        let hour = taken.entry((hour, run, from)).or_default();
        *hour = (hour.0 + flows, hour.1 + bytes);
    }
    let mut hours = connection.prepare(
        "SELECT hour, flows, bytes FROM visibility
         WHERE hour >= ?1 AND hour < ?1 + ?2 AND run = ?3 AND bucket = ?4 ORDER BY hour",
    )?;
    for (&(day, run, from, bucket), &(mut flows, mut bytes)) in by_day {
        let mut rows = hours.query(params![day, DAY_SECONDS_MAX, run, from])?;
        while let Some(row) = rows.next()?
            && (flows > 0 || bytes > 0)
        {
            let hour: i64 = row.get(0)?;
            let taken = taken.entry((hour, run, from)).or_default();
            let there = (row.get::<_, i64>(1)? - taken.0, row.get::<_, i64>(2)? - taken.1);
            let moved = (flows.min(there.0.max(0)), bytes.min(there.1.max(0)));
            *taken = (taken.0 + moved.0, taken.1 + moved.1);
            (flows, bytes) = (flows - moved.0, bytes - moved.1);
            let mine = moves.entry((hour, run, from, bucket)).or_default();
            *mine = (mine.0 + moved.0, mine.1 + moved.1);
        }
    }
    Ok(())
}

/// A domain's totals were judged as those of an app in use: what a host of another role says is no
/// use, and in most roles incidental.
fn judge_again(connection: &Connection, id: i64, target: Option<&Target>) -> rusqlite::Result<()> {
    let Some(Target::App { role, .. }) = target else { return Ok(()) };
    let side = Side::of_role(role);
    if side == Side::Use {
        return Ok(());
    }
    connection.execute(
        "UPDATE targets_daily SET users = 0, devices = 0, evidence = min(evidence, ?2),
             incidental_bytes = iif(?3, bytes_up + bytes_down, incidental_bytes)
         WHERE target = ?1",
        params![id, Evidence::TwoWayPayload as u8, side == Side::Incidental],
    )?;
    Ok(())
}

fn move_books(connection: &Connection, moves: &Moves) -> rusqlite::Result<()> {
    let mut take = connection.prepare_cached(
        "UPDATE visibility SET flows = flows - ?4, bytes = bytes - ?5
         WHERE hour = ?1 AND run = ?2 AND bucket = ?3",
    )?;
    let mut give = connection.prepare_cached(
        "INSERT INTO visibility (hour, run, bucket, flows, bytes) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET
             flows = flows + excluded.flows,
             bytes = bytes + excluded.bytes",
    )?;
    for (&(hour, run, from, bucket), &(flows, bytes)) in moves {
        take.execute(params![hour, run, from, flows, bytes])?;
        if flows != 0 || bytes != 0 {
            give.execute(params![hour, run, bucket, flows, bytes])?;
        }
    }
    let empty = "DELETE FROM visibility WHERE bucket = ? AND flows = 0 AND bytes = 0";
    let from: BTreeSet<u8> = moves.keys().map(|(_, _, from, _)| *from).collect();
    for bucket in from {
        connection.execute(empty, [bucket])?;
    }
    Ok(())
}

fn describe(connection: &Connection, app: &AppFacts) -> rusqlite::Result<()> {
    connection.execute(
        "INSERT INTO apps (app, name, vendor, suite, category) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT (app) DO UPDATE SET name = excluded.name, vendor = excluded.vendor,
             suite = excluded.suite, category = excluded.category",
        [&app.id, &app.name, &app.vendor, &app.suite, &app.category],
    )?;
    Ok(())
}

/// Notes ways around that domains turned out to be: their bytes, as far as they were in `unmatched`.
/// Where it is not kept who it was, by at least so many devices as one of the domains had.
fn tell_detours(
    connection: &Connection,
    known: &BTreeMap<i64, Change<'_>>,
) -> rusqlite::Result<()> {
    let mut by_kind: BTreeMap<u8, Vec<String>> = BTreeMap::new();
    for (id, name) in known {
        if let Some(detour) = name.detour {
            by_kind.entry(detour.number()).or_default().push(id.to_string());
        }
    }
    for (kind, ids) in by_kind {
        let ids = ids.join(", ");
        let mine = format!(
            "target IN ({ids}) AND connections + bytes_up + bytes_down > elsewhere_flows + elsewhere_bytes"
        );
        let sums = "sum(connections - elsewhere_flows),
                 sum(bytes_up + bytes_down - elsewhere_bytes)";
        let upsert = "ON CONFLICT DO UPDATE SET flows = flows + excluded.flows,
                 bytes = bytes + excluded.bytes, devices = max(devices, excluded.devices)";
        let sql = format!(
            "INSERT INTO detours (hour, run, kind, subject, flows, bytes, devices)
             SELECT hour, run, {kind}, subject, {sums}, 1 FROM usage
             WHERE {mine} GROUP BY hour, run, subject {upsert};
             INSERT INTO detours (hour, run, kind, subject, flows, bytes, devices)
             SELECT day, run, {kind}, 0, {sums}, count(DISTINCT subject) FROM usage_daily
             WHERE {mine} GROUP BY day, run {upsert};
             INSERT INTO detours (hour, run, kind, subject, flows, bytes, devices)
             SELECT day, run, {kind}, 0, {sums}, max(devices_seen) FROM targets_daily
             WHERE {mine} GROUP BY day, run {upsert};"
        );
        connection.execute_batch(&sql)?;
    }
    Ok(())
}

/// Makes the target the app's, or that of what is shared. Where this domain got this app once before, its new rows join those.
fn point(
    connection: &Connection,
    id: i64,
    change: &Change<'_>,
    catalogue: &CatalogueFacts,
    now_seconds: i64,
) -> rusqlite::Result<bool> {
    let none = &String::new();
    let pattern =
        if matches!(change.target, Some(Target::App { .. })) { change.pattern } else { "" };
    let (app, role, tenant, edition) = match change.target {
        Some(Target::App { app, role, tenant, edition }) => (&*app.id, &**role, tenant, edition),
        Some(Target::Undecided { bucket }) => ("", bucket.name(), none, none),
        Some(Target::Domain(_) | Target::Labelled { .. }) => return Ok(false),
        None => ("", SHARED_ROLE, none, none),
    };
    let named_at = change.is_new.then_some(now_seconds);
    let changed = connection.execute(
        "UPDATE OR IGNORE targets SET app = (SELECT id FROM apps WHERE app = ?2), role = ?3,
             tenant = ?4, edition = ?5, named_at = ?6, pattern = ?9,
             catalogue = (SELECT id FROM catalogues WHERE version = ?7 AND hash = ?8)
         WHERE id = ?1",
        params![
            id,
            app,
            role,
            tenant,
            edition,
            named_at,
            catalogue.version,
            catalogue.hash,
            pattern
        ],
    )?;
    if changed == 0 {
        // The same domain and app: a space makes it another text, and no report shows it.
        return connection
            .execute("UPDATE targets SET domain = domain || ' ' WHERE id = ?", [id])
            .and_then(|_| point(connection, id, change, catalogue, now_seconds));
    }
    Ok(changed == 1)
}
