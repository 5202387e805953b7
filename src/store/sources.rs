//! What reports ask of devices as sources: whether one is a person's at all.

use std::collections::BTreeMap;

use super::error::StoreError;
use super::fold::ACCEPTED;
use super::query::{Snapshot, Window, text, unsigned};
use crate::evidence::source::{SourceFacts, Trait, Verdict};

/// Numbers of the traits whose values count within an hour, as SQL lists them.
pub(super) fn numbers_of_hours() -> String {
    let of_hours = Trait::ALL.into_iter().filter(|what| what.is_of_hour());
    of_hours.map(|what| (what as u8).to_string()).collect::<Vec<_>>().join(", ")
}

/// What a device did in a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceFact {
    /// What tells whether it is a person's.
    pub facts: SourceFacts,
    /// Bytes that it sent, of named traffic.
    pub bytes_up: u64,
    /// Bytes that it received.
    pub bytes_down: u64,
}

impl Snapshot<'_> {
    /// What each device did that tells whether it is a person's.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn sources(&self, window: Window) -> Result<BTreeMap<String, SourceFact>, StoreError> {
        let mut devices: BTreeMap<String, SourceFact> = BTreeMap::new();
        let of_hours = numbers_of_hours();
        let told = Trait::Told as u8;
        let distinct = format!(
            "SELECT device, trait, max(number) FROM (
                SELECT s.device, x.trait, count(DISTINCT x.value) AS number
                FROM traits AS x JOIN subjects AS s ON s.id = x.subject
                WHERE x.hour >= ? AND x.hour < ? AND x.run IN runs_visible
                GROUP BY s.device, x.trait, iif(x.trait IN ({of_hours}), x.hour, 0))
            GROUP BY device, trait"
        );
        for sql in [
            distinct.as_str(),
            // Which values they were is not kept: what one run saw is what is certain.
            "SELECT s.device, x.fact, max(x.number)
            FROM sources_daily AS x JOIN subjects AS s ON s.id = x.subject
            WHERE x.day >= ? AND x.day < ? AND x.run IN runs_visible
            GROUP BY s.device, x.fact",
        ] {
            self.rows(sql, window, |row| {
                let read = || Ok((text(row, 0)?, row.get::<_, u8>(1)?, unsigned(row, 2)?));
                let (device, what, values) = read().map_err(|error| self.failed(error))?;
                // A newer program may know more of them; accepted connections are asked for below.
                if usize::from(what) < Trait::ALL.len() {
                    let facts = &mut devices.entry(device.to_owned()).or_default().facts;
                    let known = &mut facts.distinct[usize::from(what)];
                    *known = values.max(*known);
                }
                Ok::<(), StoreError>(())
            })?;
        }
        // The last word counts.
        let sql = format!(
            "SELECT s.device, x.value, 0, 0
            FROM (SELECT hour, run, subject, value FROM traits WHERE trait = {told}
                UNION ALL SELECT day, run, subject, number FROM sources_daily
                WHERE fact = {told}) AS x
            JOIN subjects AS s ON s.id = x.subject
            WHERE x.hour >= ? AND x.hour < ? AND x.run IN runs_visible
            ORDER BY x.hour, x.value"
        );
        self.add_sums(&sql, window, |device, [verdict, ..]| {
            let facts = &mut devices.entry(device.to_owned()).or_default().facts;
            facts.told = Verdict::from_number(verdict);
            facts.distinct[Trait::Told as usize] = 1;
        })?;
        let sql = format!(
            "SELECT s.device, sum(x.connections), 0, 0
            FROM (SELECT hour, run, subject, connections FROM accepted
                UNION ALL SELECT day, run, subject, number FROM sources_daily
                WHERE fact = {ACCEPTED}) AS x
            JOIN subjects AS s ON s.id = x.subject
            WHERE x.hour >= ? AND x.hour < ? AND x.run IN runs_visible
            GROUP BY s.device"
        );
        self.add_sums(&sql, window, |device, [accepted, ..]| {
            devices.entry(device.to_owned()).or_default().facts.accepted = accepted;
        })?;
        let sql = "SELECT s.device, sum(x.connections), sum(x.bytes_up), sum(x.bytes_down)
            FROM usage_kept AS x JOIN subjects AS s ON s.id = x.subject
            JOIN targets AS t ON t.id = x.target AND NOT (t.app IS NULL AND t.role <> '')
            WHERE x.hour >= ? AND x.hour < ? AND x.run IN runs_visible
            GROUP BY s.device";
        self.add_sums(sql, window, |device, [opened, bytes_up, bytes_down]| {
            let known = devices.entry(device.to_owned()).or_default();
            known.facts.opened = opened;
            (known.bytes_up, known.bytes_down) = (bytes_up, bytes_down);
        })?;
        Ok(devices)
    }

    /// Users and devices of all time, as reports name them; some may be told several times.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn subjects(&self, mut each: impl FnMut(&str, &str)) -> Result<(), StoreError> {
        let sql = "SELECT user, device FROM subjects WHERE ? < ?";
        self.rows(sql, Window::ALL, |row| {
            let read = || Ok((text(row, 0)?, text(row, 1)?));
            let (user, device) = read().map_err(|error| self.failed(error))?;
            each(user, device);
            Ok(())
        })
    }

    fn add_sums(
        &self,
        sql: &str,
        window: Window,
        mut each: impl FnMut(&str, [u64; 3]),
    ) -> Result<(), StoreError> {
        self.rows(sql, window, |row| {
            let read =
                || Ok((text(row, 0)?, [unsigned(row, 1)?, unsigned(row, 2)?, unsigned(row, 3)?]));
            let (device, sums) = read().map_err(|error| self.failed(error))?;
            each(device, sums);
            Ok(())
        })
    }
}
