//! Time as packets carry it: nanoseconds since the Unix epoch, never the machine's clock.
//!
//! Assumes that stamps may lie anywhere (captures of 1970 and of 2106 exist) and may go back.
//! Does not know time zones: [`HourGrid`] carries what the configured zone means for hours.

use serde::{Deserialize, Serialize};

/// Nanoseconds in a second.
pub const NANOS_PER_SECOND: i64 = 1_000_000_000;
/// Nanoseconds in a minute.
pub const NANOS_PER_MINUTE: i64 = 60 * NANOS_PER_SECOND;

/// A packet's stamp: nanoseconds since 1970-01-01T00:00:00Z, negative before it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The earliest stamp that can be held.
    pub const MIN: Timestamp = Timestamp(i64::MIN);
    /// The latest stamp that can be held.
    pub const MAX: Timestamp = Timestamp(i64::MAX);

    /// From whole seconds and nanoseconds within the second; saturates at the ends of the range.
    pub fn from_parts(seconds: i64, nanos: u32) -> Timestamp {
        Timestamp(seconds.saturating_mul(NANOS_PER_SECOND).saturating_add(i64::from(nanos)))
    }

    /// Whole seconds since the epoch, rounded down.
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(NANOS_PER_SECOND)
    }

    /// Whole minutes since the epoch, rounded down.
    pub fn minute(self) -> Minute {
        // The quotient of an i64 by 6e10 always fits an i32.
        Minute(self.0.div_euclid(NANOS_PER_MINUTE) as i32)
    }

    /// Nanoseconds from `earlier` to `self`, negative when `earlier` is the later one; saturating.
    pub fn nanos_since(self, earlier: Timestamp) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// This stamp moved by `nanos`, saturating.
    pub fn offset(self, nanos: i64) -> Timestamp {
        Timestamp(self.0.saturating_add(nanos))
    }
}

/// A minute: whole minutes since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Minute(pub i32);

impl Minute {
    /// The stamp at which this minute begins.
    pub fn start(self) -> Timestamp {
        Timestamp(i64::from(self.0).saturating_mul(NANOS_PER_MINUTE))
    }
}

/// A full hour of the configured zone, named by the minute in which it begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hour(pub i32);

impl Hour {
    /// Seconds since the epoch (UTC) at which this hour begins.
    pub fn start_seconds(self) -> i64 {
        i64::from(self.0) * 60
    }

    /// The bit of `minute` in a 60-bit mask of this hour; 0 when it lies outside.
    pub fn bit(self, minute: Minute) -> u64 {
        match minute.0.wrapping_sub(self.0) {
            offset @ 0..60 => 1 << offset,
            _ => 0,
        }
    }
}

/// Where full hours begin. Zones differ from UTC by whole hours and, in some places, by 30 or 45
/// minutes more, so that their hours begin in the middle of one of UTC.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HourGrid {
    /// (first minute, minutes past UTC's full hour at which the zone's hours begin), ascending.
    shifts: Vec<(Minute, i32)>,
}

impl HourGrid {
    /// Hours that begin with UTC's.
    pub fn utc() -> HourGrid {
        HourGrid::default()
    }

    /// From the zone's offsets to UTC: (first minute, offset in minutes), ascending. What lies
    /// before the first entry takes the first offset.
    pub fn from_offsets(offsets: impl IntoIterator<Item = (Minute, i32)>) -> HourGrid {
        let mut shifts: Vec<(Minute, i32)> = Vec::new();
        for (from, offset) in offsets {
            let shift = (-offset).rem_euclid(60);
            if shifts.last().is_none_or(|&(_, last)| last != shift) {
                shifts.push((from, shift));
            }
        }
        if shifts.len() == 1 && shifts.first().is_some_and(|&(_, shift)| shift == 0) {
            shifts.clear();
        }
        HourGrid { shifts }
    }

    /// The hour that holds `minute`.
    pub fn hour(&self, minute: Minute) -> Hour {
        let shift = match self.shifts.iter().rev().find(|&&(from, _)| from <= minute) {
            Some(&(_, shift)) => shift,
            None => self.shifts.first().map_or(0, |&(_, shift)| shift),
        };
        Hour((minute.0 - shift).div_euclid(60) * 60 + shift)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_round_down_before_the_epoch_too() {
        assert_eq!(Timestamp::from_parts(59, 999_999_999).minute(), Minute(0));
        assert_eq!(Timestamp::from_parts(-1, 0).minute(), Minute(-1));
        assert_eq!(Timestamp::MIN.minute().0, -153_722_868);
    }

    #[test]
    fn hours_begin_at_the_zones_full_hours() {
        assert_eq!(HourGrid::utc().hour(Minute(119)), Hour(60));
        let kathmandu = HourGrid::from_offsets([(Minute(0), 345)]);
        // 05:45 ahead: its full hours begin at 15 past.
        assert_eq!(kathmandu.hour(Minute(74)), Hour(15));
        assert_eq!(kathmandu.hour(Minute(75)), Hour(75));
        assert_eq!(kathmandu.hour(Minute(14)), Hour(-45));
    }

    #[test]
    fn a_zone_may_change_its_shift() {
        let grid = HourGrid::from_offsets([(Minute(0), 630), (Minute(6000), 660)]);
        assert_eq!(grid.hour(Minute(35)), Hour(30));
        assert_eq!(grid.hour(Minute(6035)), Hour(6000));
    }

    #[test]
    fn bits_cover_the_hour_and_nothing_else() {
        let hour = Hour(60);
        assert_eq!(hour.bit(Minute(60)), 1);
        assert_eq!(hour.bit(Minute(119)), 1 << 59);
        assert_eq!(hour.bit(Minute(120)), 0);
        assert_eq!(hour.bit(Minute(59)), 0);
    }
}
