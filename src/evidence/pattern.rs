//! Background synchronisation: many hours, a machine's spacing, few minutes with growth.
//!
//! Looks at minutes only, over a day; a client that keeps a connection alive in every minute is no
//! pattern here, since an open program of a person does that too.

use super::Thresholds;

/// How the minutes of a day are spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pattern {
    /// As people are: no pattern.
    #[default]
    None,
    /// Steady background synchronisation.
    Sync,
}

impl Pattern {
    /// The word used in every output; empty without a pattern.
    pub fn as_str(self) -> &'static str {
        match self {
            Pattern::None => "",
            Pattern::Sync => "sync",
        }
    }
}

/// How the minutes of a day are spread, as far as a pattern looks at it: facts, no thresholds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spacing {
    /// Hours with payload both ways.
    pub hours: u64,
    /// Minutes with payload both ways.
    pub minutes: u64,
    /// Pauses between the beginnings of one run of minutes and the next.
    pub gaps: u64,
    /// Those of them that are as long as the middle one, within a fifth or a minute.
    pub regular: u64,
    /// Minutes of the latter together.
    pub regular_minutes: u64,
}

impl Spacing {
    /// Of a day's hours, ascending: the beginning of each in seconds, and the mask of its minutes
    /// with payload both ways.
    pub fn of(hours: &[(i64, u64)]) -> Spacing {
        let mut spacing = Spacing {
            hours: hours.iter().filter(|(_, mask)| *mask != 0).count() as u64,
            minutes: hours.iter().map(|(_, mask)| u64::from(mask.count_ones())).sum(),
            ..Spacing::default()
        };
        let mut gaps = gaps(hours);
        gaps.sort_unstable();
        let Some(&median) = gaps.get(gaps.len() / 2) else { return spacing };
        // A minute is the grain of the masks: what comes every 5 min is 4 to 6 of them apart.
        let slack = (median / 5).max(1);
        spacing.gaps = gaps.len() as u64;
        for gap in gaps.iter().filter(|gap| (*gap - median).abs() <= slack) {
            spacing.regular += 1;
            spacing.regular_minutes += gap.unsigned_abs();
        }
        spacing
    }

    /// Adds what another part of the day told.
    pub fn add(&mut self, other: &Spacing) {
        self.hours += other.hours;
        self.minutes += other.minutes;
        self.gaps += other.gaps;
        self.regular += other.regular;
        self.regular_minutes += other.regular_minutes;
    }

    /// The pattern that it is.
    pub fn pattern(&self, thresholds: &Thresholds) -> Pattern {
        let has_hours = self.hours >= thresholds.sync_hours
            && self.minutes <= self.hours * thresholds.sync_minutes;
        // Bursts of short pauses are regular too, and leave most of the time uncovered.
        let is_steady = self.gaps >= thresholds.sync_pauses
            && self.regular_minutes * 100 >= self.hours * 60 * thresholds.sync_covered_percent;
        let is_regular = self.regular * 100 >= self.gaps * thresholds.sync_regular_percent;
        match has_hours && is_steady && is_regular {
            true => Pattern::Sync,
            false => Pattern::None,
        }
    }
}

/// Minutes between the beginnings of one run of minutes and the next.
fn gaps(hours: &[(i64, u64)]) -> Vec<i64> {
    let minutes = hours.iter().flat_map(|&(start, mask)| {
        (0..60).filter(move |bit| mask >> bit & 1 == 1).map(move |bit| start / 60 + bit)
    });
    let (mut last, mut begun): (Option<i64>, Option<i64>) = (None, None);
    let mut gaps = Vec::new();
    for minute in minutes {
        if last != Some(minute - 1) {
            gaps.extend(begun.map(|begun| minute - begun));
            begun = Some(minute);
        }
        last = Some(minute);
    }
    gaps
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Masks of a day from its minutes.
    fn day(minutes: impl IntoIterator<Item = i64>) -> Vec<(i64, u64)> {
        let mut hours: Vec<(i64, u64)> = (0..24).map(|hour| (hour * 3600, 0)).collect();
        for minute in minutes {
            hours[(minute / 60) as usize].1 |= 1 << (minute % 60);
        }
        hours.retain(|(_, mask)| *mask != 0);
        hours
    }

    fn of(minutes: impl IntoIterator<Item = i64>) -> Pattern {
        Spacing::of(&day(minutes)).pattern(&Thresholds::default())
    }

    #[test]
    fn a_poll_all_night_is_synchronisation() {
        assert_eq!(of((0..1440).step_by(10)), Pattern::Sync);
        assert_eq!(of((0..480).step_by(5)), Pattern::Sync);
        // Each time for two minutes.
        assert_eq!(of((0..480).filter(|minute| minute % 15 < 2)), Pattern::Sync);
        // Once an hour for a working day; half a day, from within an hour.
        assert_eq!(of((0..480).step_by(60)), Pattern::Sync);
        assert_eq!(of((20..320).step_by(5)), Pattern::Sync);
        assert_eq!(of((20..260).step_by(15)), Pattern::Sync);
    }

    #[test]
    fn bursts_of_work_are_regular_and_leave_the_day_uncovered() {
        // Every second minute, a third of each hour.
        let bursts = (0..480).filter(|minute| minute % 60 < 20 && minute % 2 == 0);
        assert_eq!(of(bursts), Pattern::None);
        // Mail once an hour in a morning: too few pauses to tell.
        assert_eq!(of((0..300).step_by(60)), Pattern::None);
    }

    #[test]
    fn people_are_not() {
        let work = [1, 2, 3, 9, 30, 31, 80, 81, 99, 140, 190, 191, 260, 300, 333, 390, 395, 430];
        assert_eq!(of(work), Pattern::None);
        // Too short, or all the time.
        assert_eq!(of((0..120).step_by(5)), Pattern::None);
        assert_eq!(of(0..600), Pattern::None);
        assert_eq!(of([]), Pattern::None);
    }

    proptest! {
        #[test]
        fn any_minutes_have_a_pattern_and_a_shift_by_hours_changes_none(
            minutes in prop::collection::btree_set(0..720i64, 0..200), hours in 0..12i64,
        ) {
            let shifted = of(minutes.iter().map(|minute| minute + 60 * hours));
            prop_assert_eq!(of(minutes), shifted);
        }
    }
}
