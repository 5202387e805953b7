//! From hours to days: what is kept of usage once its hours are not.
//!
//! All rows of a subject and a day are folded at once, since minutes are counted over all of them,
//! and subject after subject, since a day of all of them is too much for one transaction. What
//! comes late, when others of the day have been folded, is added to them. Which hours are alike is
//! told by [`Kind`].

use std::collections::{BTreeMap, HashMap};

use rusqlite::{CachedStatement, Connection, OptionalExtension, Row, params};

use super::commit::number;
use super::query::{Window, unsigned};
use super::rows::Sums;
use super::sources::numbers_of_hours;
use crate::evidence::day::DayFacts;
use crate::evidence::kept::{Counted, Kind, Parts};
use crate::evidence::pattern::Spacing;
use crate::evidence::source::Trait;
use crate::evidence::{Side, Thresholds};
use crate::time::Timestamp;

/// In place of a trait's number in `sources_daily`: accepted connections.
pub(super) const ACCEPTED: u8 = 255;

/// An hour of a run, in which there are rows.
type Hour = (i64, i64);

/// One row of usage, without subject.
struct HourRow {
    hour: i64,
    run: i64,
    target: i64,
    name_source: i64,
    catalogue: i64,
    sums: Sums,
}

/// What is judged together: an app, or a target of none.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Group {
    App(i64),
    Domain(String),
}

/// Tenant and edition: what a report has rows of, and counts minutes of.
type Part = (String, String);

/// What a group has: facts by part, and rows with theirs.
type Members<'a> = (BTreeMap<Part, DayFacts>, Vec<(&'a HourRow, Part)>);

/// Sides of targets, asked once.
type Targets = HashMap<i64, (Group, Part, Side)>;

/// Folds rows of usage of the hours of `window`, which are of `day`: those of
/// one subject after the other, until there are no more or `rows_max` were folded. Answers how many
/// were.
pub(super) fn fold(
    connection: &Connection,
    window: Window,
    day: Window,
    rows_max: u64,
) -> rusqlite::Result<u64> {
    let mut targets = Targets::new();
    let mut folded = 0;
    let mut hours = hours(connection, window)?;
    while folded < rows_max {
        let Some(subject) = first_subject(connection, &mut hours)? else { break };
        let rows = take(connection, &hours, subject)?;
        folded += rows.len() as u64;
        fold_subject(connection, &mut targets, day, subject, &rows)?;
    }
    Ok(folded)
}

/// Folds what tells whether subjects are people, of a day that is over.
pub(super) fn fold_sources(connection: &Connection, day: Window) -> rusqlite::Result<()> {
    let hours = params![day.from, day.to];
    let of_hours = numbers_of_hours();
    let told = Trait::Told as u8;
    connection.execute(
        &format!(
            "INSERT INTO sources_daily (day, run, subject, fact, number)
             SELECT ?1, run, subject, trait, count(DISTINCT value) FROM traits
             WHERE hour >= ?1 AND hour < ?2 AND trait <> {told}
             GROUP BY run, subject, trait, iif(trait IN ({of_hours}), hour, 0)
             ON CONFLICT DO UPDATE SET number = max(number, excluded.number)"
        ),
        hours,
    )?;
    // Of words of the operator, the last.
    connection.execute(
        &format!(
            "INSERT INTO sources_daily (day, run, subject, fact, number)
             SELECT ?1, run, subject, trait, value FROM traits
             WHERE hour >= ?1 AND hour < ?2 AND trait = {told} ORDER BY hour, value
             ON CONFLICT DO UPDATE SET number = excluded.number"
        ),
        hours,
    )?;
    connection.execute(
        "INSERT INTO sources_daily (day, run, subject, fact, number)
         SELECT ?1, run, subject, ?3, sum(connections) FROM accepted
         WHERE hour >= ?1 AND hour < ?2 GROUP BY run, subject
         ON CONFLICT DO UPDATE SET number = number + excluded.number",
        params![day.from, day.to, ACCEPTED],
    )?;
    // Of ways around it is not kept at all who took them.
    connection.execute(
        "INSERT INTO detours (hour, run, kind, subject, flows, bytes, devices)
         SELECT ?1, run, kind, 0, sum(flows), sum(bytes), count(*) FROM (
             SELECT run, kind, subject, sum(flows) AS flows, sum(bytes) AS bytes FROM detours
             WHERE hour >= ?1 AND hour < ?2 AND subject > 0 GROUP BY run, kind, subject)
         GROUP BY run, kind
         ON CONFLICT DO UPDATE SET flows = flows + excluded.flows,
             bytes = bytes + excluded.bytes, devices = max(devices, excluded.devices)",
        hours,
    )?;
    connection
        .execute("DELETE FROM detours WHERE hour >= ? AND hour < ? AND subject > 0", hours)?;
    for table in ["traits", "accepted"] {
        connection.execute(&format!("DELETE FROM {table} WHERE hour >= ? AND hour < ?"), hours)?;
    }
    Ok(())
}

/// The hours of runs that have rows, without walking all of these.
fn hours(connection: &Connection, window: Window) -> rusqlite::Result<Vec<Hour>> {
    let mut next = connection.prepare_cached(
        "SELECT hour, run FROM usage WHERE (hour, run) > (?1, ?2) AND hour < ?3
         ORDER BY hour, run LIMIT 1",
    )?;
    let mut found = Vec::new();
    let mut last = (window.from, i64::MIN);
    let pair = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
    while let Some(hour) = next.query_row(params![last.0, last.1, window.to], pair).optional()? {
        found.push(hour);
        last = hour;
    }
    Ok(found)
}

/// The first subject that has rows in any of the hours; those without rows go.
fn first_subject(connection: &Connection, hours: &mut Vec<Hour>) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT min(subject) FROM usage WHERE hour = ? AND run = ?";
    let mut first = connection.prepare_cached(sql)?;
    let mut least: Option<i64> = None;
    let mut kept = Vec::with_capacity(hours.len());
    for (hour, run) in hours.drain(..) {
        let subject: Option<i64> = first.query_row([hour, run], |row| row.get(0))?;
        let Some(subject) = subject else { continue };
        kept.push((hour, run));
        least = Some(least.map_or(subject, |least| least.min(subject)));
    }
    *hours = kept;
    Ok(least)
}

/// Takes the rows of a subject out of the hours.
fn take(connection: &Connection, hours: &[Hour], subject: i64) -> rusqlite::Result<Vec<HourRow>> {
    let mut select = connection.prepare_cached(
        "SELECT hour, run, target, name_source, catalogue,
             connections, attempts_failed, handshakes, dns_queries, bytes_up, bytes_down,
             minutes_up, minutes_down, minutes_begun,
             followed, flow_up_max, flow_bytes_max,
             elsewhere_flows, elsewhere_bytes, quarters, unfollowed
         FROM usage WHERE hour = ? AND run = ? AND subject = ?",
    )?;
    let mut delete = connection
        .prepare_cached("DELETE FROM usage WHERE hour = ? AND run = ? AND subject = ?")?;
    let mut delete_followed = connection
        .prepare_cached("DELETE FROM followed WHERE hour = ? AND run = ? AND subject = ?")?;
    let mut rows = Vec::new();
    for &(hour, run) in hours {
        let before = rows.len();
        for row in select.query_map([hour, run, subject], hour_row)? {
            rows.push(row?);
        }
        if rows.len() > before {
            delete.execute([hour, run, subject])?;
            delete_followed.execute([hour, run, subject])?;
        }
    }
    Ok(rows)
}

fn hour_row(row: &Row<'_>) -> rusqlite::Result<HourRow> {
    Ok(HourRow {
        hour: row.get(0)?,
        run: row.get(1)?,
        target: row.get(2)?,
        name_source: row.get(3)?,
        catalogue: row.get(4)?,
        sums: Sums {
            connections: unsigned(row, 5)?,
            attempts_failed: unsigned(row, 6)?,
            handshakes: unsigned(row, 7)?,
            dns_queries: unsigned(row, 8)?,
            bytes_up: unsigned(row, 9)?,
            bytes_down: unsigned(row, 10)?,
            minutes_up: unsigned(row, 11)?,
            minutes_down: unsigned(row, 12)?,
            minutes_begun: unsigned(row, 13)?,
            followed: unsigned(row, 14)?,
            flow_up_max: unsigned(row, 15)?,
            flow_bytes_max: unsigned(row, 16)?,
            elsewhere_flows: unsigned(row, 17)?,
            elsewhere_bytes: unsigned(row, 18)?,
            quarters: unsigned(row, 19)?,
            unfollowed: unsigned(row, 20)?,
            first_seen: Timestamp::MAX,
            last_seen: Timestamp::MIN,
        },
    })
}

fn fold_subject(
    connection: &Connection,
    targets: &mut Targets,
    day: Window,
    subject: i64,
    rows: &[HourRow],
) -> rusqlite::Result<()> {
    let mut groups: HashMap<Group, Members<'_>> = HashMap::new();
    for row in rows {
        let (group, part, side) = of_target(connection, targets, row.target)?;
        let (parts, members) = groups.entry(group).or_default();
        parts.entry(part.clone()).or_default().add(row.hour, side, &row.sums);
        members.push((row, part));
    }
    let mut upsert = connection.prepare_cached(UPSERT)?;
    for (parts, members) in groups.into_values() {
        let mut whole = DayFacts::default();
        whole.set_day(day.from..day.to);
        parts.values().for_each(|part| whole.merge(part));
        // What is kept is as the defaults have it: settings are applied where a report is made.
        let thresholds = Thresholds::default();
        let usual = whole.usual(&thresholds);
        let mut spacing = Some(whole.spacing(&thresholds));
        let mut hours: BTreeMap<i64, (Kind, u64)> = BTreeMap::new();
        let mut counts: BTreeMap<(i64, &Part), Counted> = BTreeMap::new();
        for ((hour, _), facts) in whole.slots() {
            let of_hour: Vec<_> =
                parts.iter().filter_map(|(part, day)| Some((part, day.hour(*hour)?))).collect();
            let names =
                of_hour.iter().map(|((tenant, edition), facts)| ((&**tenant, &**edition), *facts));
            let kind = Kind::of(facts, usual.excess(facts), Parts::of(names));
            hours.insert(*hour, (kind, facts.loads()));
            counts.extend(
                of_hour.iter().map(|(part, mine)| ((*hour, *part), Counted::of(mine, facts))),
            );
        }
        for (row, part) in &members {
            let Some((kind, loads)) = hours.get_mut(&row.hour) else { continue };
            // What is counted over all rows of an hour, or of the day, stands in one of them.
            let counted = Counted {
                spacing: spacing.take().unwrap_or_default(),
                loads: std::mem::take(loads),
                ..counts.remove(&(row.hour, part)).unwrap_or_default()
            };
            add(&mut upsert, (day.from, subject), row, *kind, &counted)?;
        }
    }
    Ok(())
}

fn of_target(
    connection: &Connection,
    targets: &mut Targets,
    target: i64,
) -> rusqlite::Result<(Group, Part, Side)> {
    if let Some(known) = targets.get(&target) {
        return Ok(known.clone());
    }
    let sql = "SELECT app, role, tenant, edition, domain FROM targets WHERE id = ?";
    let found = connection.prepare_cached(sql)?.query_row([target], |row| {
        let role: String = row.get(1)?;
        Ok(match row.get::<_, Option<i64>>(0)? {
            Some(app) => (Group::App(app), (row.get(2)?, row.get(3)?), Side::of_role(&role)),
            // Undecided flows are nobody else's.
            None if row.get::<_, String>(4)?.is_empty() => {
                (Group::Domain(target.to_string()), Part::default(), Side::Use)
            }
            // It may get the name of an app later, and is judged as one in use then.
            None => (Group::Domain(row.get(4)?), Part::default(), Side::Use),
        })
    })?;
    targets.insert(target, found.clone());
    Ok(found)
}

const UPSERT: &str = "INSERT INTO usage_daily (
        day, run, subject, target, catalogue, kind, name_source,
        connections, attempts_failed, handshakes, dns_queries, bytes_up, bytes_down,
        followed, flow_up_max, flow_bytes_max,
        elsewhere_flows, elsewhere_bytes, active_minutes, loads,
        spaced_hours, spaced_minutes, gaps, gaps_regular, spaced_regularly, quarters, unfollowed,
        spaced_edges, even_hours, even_bytes, even_minutes, even_gaps, even_regular, even_variation
    ) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET
        name_source = min(name_source, excluded.name_source),
        connections = connections + excluded.connections,
        attempts_failed = attempts_failed + excluded.attempts_failed,
        handshakes = handshakes + excluded.handshakes,
        dns_queries = dns_queries + excluded.dns_queries,
        bytes_up = bytes_up + excluded.bytes_up,
        bytes_down = bytes_down + excluded.bytes_down,
        followed = followed | excluded.followed,
        flow_up_max = max(flow_up_max, excluded.flow_up_max),
        flow_bytes_max = max(flow_bytes_max, excluded.flow_bytes_max),
        elsewhere_flows = elsewhere_flows + excluded.elsewhere_flows,
        elsewhere_bytes = elsewhere_bytes + excluded.elsewhere_bytes,
        active_minutes = active_minutes + excluded.active_minutes,
        loads = loads + excluded.loads,
        spaced_hours = spaced_hours + excluded.spaced_hours,
        spaced_minutes = spaced_minutes + excluded.spaced_minutes,
        gaps = gaps + excluded.gaps,
        gaps_regular = gaps_regular + excluded.gaps_regular,
        spaced_regularly = spaced_regularly + excluded.spaced_regularly,
        quarters = quarters | excluded.quarters,
        unfollowed = unfollowed | excluded.unfollowed,
        spaced_edges = max(spaced_edges, excluded.spaced_edges),
        even_hours = even_hours + excluded.even_hours,
        even_bytes = even_bytes + excluded.even_bytes,
        even_minutes = even_minutes + excluded.even_minutes,
        even_gaps = even_gaps + excluded.even_gaps,
        even_regular = even_regular + excluded.even_regular,
        even_variation = max(even_variation, excluded.even_variation)";

fn add(
    upsert: &mut CachedStatement<'_>,
    (day, subject): (i64, i64),
    row: &HourRow,
    kind: Kind,
    counted: &Counted,
) -> rusqlite::Result<()> {
    let sums = &row.sums;
    let Spacing { hours, minutes, gaps, regular, regular_minutes, edges, evenness } =
        counted.spacing;
    upsert.execute(params![
        day,
        row.run,
        subject,
        row.target,
        row.catalogue,
        kind.number(),
        row.name_source,
        number(sums.connections),
        number(sums.attempts_failed),
        number(sums.handshakes),
        number(sums.dns_queries),
        number(sums.bytes_up),
        number(sums.bytes_down),
        number(sums.followed),
        number(sums.flow_up_max),
        number(sums.flow_bytes_max),
        number(sums.elsewhere_flows),
        number(sums.elsewhere_bytes),
        number(counted.active_minutes),
        number(counted.loads),
        number(hours),
        number(minutes),
        number(gaps),
        number(regular),
        number(regular_minutes),
        number(counted.quarters),
        number(sums.unfollowed),
        number(edges),
        number(evenness.hours),
        number(evenness.bytes),
        number(evenness.minutes),
        number(evenness.gaps),
        number(evenness.regular),
        number(evenness.variation),
    ])?;
    Ok(())
}
