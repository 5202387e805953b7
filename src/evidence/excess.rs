//! Hours that stand out of their day: somebody works with what also synchronises in the background.
//!
//! A day of synchronisation explains hours like its others. An hour with several times the bytes of
//! the middle hour, in more minutes than it has, is more than that. Both are asked for: a large file
//! that comes in one go has the bytes and not the minutes, a connection that is kept alive the
//! minutes and not the bytes.

use super::{HourFacts, Thresholds};

/// How many times the bytes of the middle hour are told apart.
pub const EXCESS_BYTES: [u8; 3] = [3, 5, 10];
/// How many minutes more than those of the middle hour are told apart.
pub const EXCESS_MINUTES: [u8; 3] = [2, 3, 5];

/// How far an hour stands out. Facts only: how many of [`EXCESS_BYTES`] and [`EXCESS_MINUTES`] it
/// reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Excess {
    bytes: u8,
    minutes: u8,
}

/// Numbers of values that are reached, of each sort: none up to all.
const REACHED: u16 = 4;
/// Numbers of an [`Excess`].
pub(super) const EXCESSES: u16 = REACHED * REACHED;

impl Excess {
    /// As it is stored: less than 16.
    pub fn number(self) -> u16 {
        u16::from(self.bytes) + REACHED * u16::from(self.minutes)
    }

    /// From its number; none where that is no excess.
    pub fn from_number(number: u16) -> Option<Excess> {
        let (bytes, minutes) = ((number % REACHED) as u8, number / REACHED);
        (minutes < REACHED).then_some(Excess { bytes, minutes: minutes as u8 })
    }

    /// Whether synchronisation does not explain the hour: as far as is kept, with the next less of
    /// the values that are told apart, and at least the least.
    pub fn is_work(self, thresholds: &Thresholds) -> bool {
        let needed = |values: &[u8], setting: u64| {
            values.iter().filter(|value| u64::from(**value) <= setting).count().max(1)
        };
        self.bytes as usize >= needed(&EXCESS_BYTES, thresholds.sync_excess_bytes)
            && self.minutes as usize >= needed(&EXCESS_MINUTES, thresholds.sync_excess_minutes)
    }
}

/// What is usual in the hours of a day: those of hosts that are not incidental, with payload both
/// ways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usual {
    bytes: u64,
    minutes: u64,
}

impl Usual {
    /// The middle of a day's hours. Of two middle ones the smaller, so that as many hours of work as
    /// of synchronisation are no reason to take work for usual.
    pub fn of<'a>(hours: impl Iterator<Item = &'a HourFacts>) -> Usual {
        Usual::of_least(hours, 2)
    }

    /// The hour that a `part`th of a day's hours does not exceed.
    pub fn of_least<'a>(hours: impl Iterator<Item = &'a HourFacts>, part: usize) -> Usual {
        let hours: Vec<_> = hours.map(measure).filter(|(_, minutes)| *minutes > 0).collect();
        let middle = |of: fn(&(u64, u64)) -> u64| {
            let mut values: Vec<u64> = hours.iter().map(of).collect();
            values.sort_unstable();
            values.get(values.len().saturating_sub(1) / part).copied().unwrap_or_default()
        };
        Usual { bytes: middle(|hour| hour.0), minutes: middle(|hour| hour.1) }
    }

    /// Bytes of the middle hour.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Minutes with payload both ways of the middle hour.
    pub fn minutes(&self) -> u64 {
        self.minutes
    }

    /// So many minutes more than the middle hour has, or all that an hour has room for: beside what
    /// goes on in every minute, no work has more.
    pub fn minutes_with(&self, more: u64) -> u64 {
        (self.minutes + more).min(60)
    }

    /// Whether an hour stands out so far that synchronisation does not explain it.
    pub fn is_work(&self, hour: &HourFacts, thresholds: &Thresholds) -> bool {
        let (bytes, minutes) = measure(hour);
        minutes > 0
            && bytes >= self.bytes.saturating_mul(thresholds.sync_excess_bytes)
            && minutes >= self.minutes_with(thresholds.sync_excess_minutes)
    }

    /// How far an hour of the day stands out, as it is kept.
    pub fn excess(&self, hour: &HourFacts) -> Excess {
        let (bytes, minutes) = measure(hour);
        let times = |times: &&u8| bytes >= self.bytes.saturating_mul(u64::from(**times));
        let more = |more: &&u8| minutes >= self.minutes_with(u64::from(**more));
        if minutes == 0 {
            return Excess::default();
        }
        Excess {
            bytes: EXCESS_BYTES.iter().filter(times).count() as u8,
            minutes: EXCESS_MINUTES.iter().filter(more).count() as u8,
        }
    }
}

/// Bytes and minutes with payload both ways of hosts that are not incidental.
fn measure(hour: &HourFacts) -> (u64, u64) {
    let sums = hour.directed();
    (sums.bytes(), sums.active_minutes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::Side;
    use crate::usage::Sums;

    fn hour(bytes: u64, minutes: u32) -> HourFacts {
        let mask = (1 << minutes) - 1;
        let mut facts = HourFacts::default();
        let sums =
            Sums { bytes_down: bytes, minutes_up: mask, minutes_down: mask, ..Sums::default() };
        facts.add(Side::Use, &sums);
        facts
    }

    #[test]
    fn an_hour_stands_out_by_bytes_and_minutes_together() {
        let day = [hour(1000, 6), hour(1200, 6), hour(0, 0), hour(900, 5), hour(90_000, 20)];
        let usual = Usual::of(day.iter());
        assert_eq!(usual, Usual { bytes: 1000, minutes: 6 });
        let is_work = |facts: &HourFacts| {
            let thresholds = Thresholds::default();
            let is_work = usual.is_work(facts, &thresholds);
            assert_eq!(usual.excess(facts).is_work(&thresholds), is_work);
            is_work
        };
        assert!(is_work(&day[4]) && is_work(&hour(3000, 9)));
        assert!(!is_work(&hour(90_000, 7)), "a file came");
        assert!(!is_work(&hour(2900, 30)), "kept alive");
        assert!(!day[..4].iter().any(is_work));
        let lax = Thresholds { sync_excess_minutes: 2, ..Thresholds::default() };
        assert!(usual.excess(&hour(3000, 8)).is_work(&lax));
        let strict = Thresholds { sync_excess_bytes: 10, ..Thresholds::default() };
        assert!(!usual.excess(&hour(9000, 9)).is_work(&strict));
    }

    #[test]
    fn numbers_are_those_that_are_stored() {
        for number in 0..16 {
            assert_eq!(Excess::from_number(number).unwrap().number(), number);
        }
        assert_eq!(Excess::from_number(16), None);
    }
}
