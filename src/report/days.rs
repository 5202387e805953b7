//! Days of the configured zone, as windows of the store's hours; and how times are written.

use std::path::Path;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::ReportError;
use crate::store::{Snapshot, Window};
use crate::time::Timestamp;

/// One day that has rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Day {
    /// As in reports: `2026-11-22`.
    pub(super) date: String,
    /// The same for a calendar.
    pub(super) civil: Date,
    /// Its hours, as far as they are reported on.
    pub(super) window: Window,
    /// All its hours: what a client does all day is told from these.
    pub(super) whole: Window,
}

/// The days of a report.
pub(super) struct Days<'a> {
    snapshot: &'a Snapshot<'a>,
    zone: &'a TimeZone,
    database: &'a Path,
    /// The hours that are reported on.
    pub(super) window: Window,
}

impl<'a> Days<'a> {
    pub(super) fn new(
        snapshot: &'a Snapshot<'a>,
        zone: &'a TimeZone,
        database: &'a Path,
        window: Window,
    ) -> Days<'a> {
        Days { snapshot, zone, database, window }
    }

    /// Calls `each` with every day that has rows, in order. Days without are stepped over, so that
    /// stamps of 1970 beside those of today cost nothing.
    pub(super) fn each(
        &self,
        mut each: impl FnMut(&Day) -> Result<(), ReportError>,
    ) -> Result<(), ReportError> {
        let mut rest = self.window;
        while let Some(hour) = self.snapshot.first_hour(rest)? {
            let (date, whole) = self.day_of(hour)?;
            let end = whole.to.clamp(hour + 1, self.window.to);
            let window = Window { from: rest.from, to: end };
            each(&Day { date: date.to_string(), civil: date, window, whole })?;
            rest.from = end;
        }
        Ok(())
    }

    /// All hours of a day, whether they are reported on or not; none of the calendar's last.
    pub(super) fn whole(&self, date: Date) -> Result<Option<Window>, ReportError> {
        let Ok(next) = date.tomorrow() else { return Ok(None) };
        let begin = |date: Date| {
            let start = date.to_zoned(self.zone.clone());
            start.map(|start| start.timestamp().as_second())
        };
        let window = || Ok(Window { from: begin(date)?, to: begin(next)? });
        window().map(Some).map_err(|source| self.out_of_range(source))
    }

    /// The first and the last day that have rows.
    pub(super) fn ends(&self) -> Result<Option<(String, String)>, ReportError> {
        let first = self.snapshot.first_hour(self.window)?;
        let last = self.snapshot.last_hour(self.window)?;
        let Some((first, last)) = first.zip(last) else { return Ok(None) };
        Ok(Some((self.day_of(first)?.0.to_string(), self.day_of(last)?.0.to_string())))
    }

    /// RFC 3339 with microseconds and the zone's offset.
    pub(super) fn time(&self, stamp: Timestamp) -> Result<String, ReportError> {
        let time = jiff::Timestamp::from_nanosecond(i128::from(stamp.0));
        let time = time.map_err(|source| self.out_of_range(source))?;
        Ok(time.to_zoned(self.zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%.6f%:z").to_string())
    }

    /// The same; where only days are kept, the day without a time.
    pub(super) fn seen(&self, stamp: Timestamp, is_by_day: bool) -> Result<String, ReportError> {
        match is_by_day {
            true => Ok(self.day_of(stamp.seconds())?.0.to_string()),
            false => self.time(stamp),
        }
    }

    fn day_of(&self, hour: i64) -> Result<(Date, Window), ReportError> {
        day_of(self.zone, hour).map_err(|source| self.out_of_range(source))
    }

    fn out_of_range(&self, source: jiff::Error) -> ReportError {
        ReportError::Time { path: self.database.to_path_buf(), source }
    }
}

/// The day of a zone that holds the beginning of `hour`, and its hours.
///
/// # Errors
/// No calendar has it.
pub(super) fn day_of(zone: &TimeZone, hour: i64) -> Result<(Date, Window), jiff::Error> {
    let start = jiff::Timestamp::from_second(hour)?.to_zoned(zone.clone());
    let next = start.tomorrow()?.start_of_day()?.timestamp().as_second();
    let first = start.start_of_day()?.timestamp().as_second();
    Ok((start.date(), Window { from: first, to: next }))
}
