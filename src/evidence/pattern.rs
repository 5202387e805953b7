//! Background synchronisation: many hours, a machine's spacing, few minutes with growth; or many
//! hours that are all alike.
//!
//! The first looks at minutes only, over a day. The second sees what has no pauses, or few of them:
//! a program that asks every minute, or once an hour. Its hours have nearly the same bytes in nearly
//! the same number of minutes, which those of people have not.

use std::ops::Range;

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
    /// Those of them that are as long as the middle one.
    pub regular: u64,
    /// Minutes of the latter together.
    pub regular_minutes: u64,
    /// Ends of the day, none to two, over which such pauses go on; only where there are enough of
    /// them to tell.
    pub edges: u64,
    /// Whether hours are alike.
    pub evenness: Evenness,
}

/// How much the hours of a day differ, of all hosts of an app: what asks many of them in turn is even
/// over all. The first and the last one are there in part, and left out where they are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evenness {
    /// Hours with payload both ways.
    pub hours: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Their minutes with payload both ways.
    pub minutes: u64,
    /// Pauses between these, as in [`Spacing`].
    pub gaps: u64,
    /// Those of them that are as long as the middle one.
    pub regular: u64,
    /// The larger coefficient of variation of bytes and of minutes, in thousandths, rounded up.
    pub variation: u64,
}

impl Evenness {
    /// Of a day's hours, ascending: the beginning of each in seconds, the mask of its minutes with
    /// payload both ways, and its bytes.
    pub fn of(hours: &[(i64, u64, u64)], thresholds: &Thresholds) -> Evenness {
        let hours: Vec<_> = hours.iter().copied().filter(|(_, mask, _)| *mask != 0).collect();
        let minutes = |hour: &(i64, u64, u64)| u64::from(hour.1.count_ones());
        let inner = hours.get(1..hours.len().saturating_sub(1)).unwrap_or_default();
        let masks: Vec<_> = hours.iter().map(|&(start, mask, _)| (start, mask)).collect();
        let pauses = Pauses::of(&masks, thresholds);
        Evenness {
            hours: hours.len() as u64,
            bytes: hours.iter().map(|hour| hour.2).sum(),
            minutes: hours.iter().map(minutes).sum(),
            gaps: pauses.number,
            regular: pauses.regular,
            variation: variation(inner.iter().map(|hour| hour.2))
                .max(variation(inner.iter().map(minutes))),
        }
    }

    fn add(&mut self, other: &Evenness) {
        self.hours += other.hours;
        self.bytes += other.bytes;
        self.minutes += other.minutes;
        self.gaps += other.gaps;
        self.regular += other.regular;
        self.variation = self.variation.max(other.variation);
    }

    /// Whether only a machine leaves such hours.
    pub fn is_sync(&self, thresholds: &Thresholds) -> bool {
        self.hours >= thresholds.sync_even_hours
            && self.variation <= 10 * thresholds.sync_even_percent
            // More is a stream that somebody listens to.
            && self.bytes <= self.minutes.saturating_mul(thresholds.sync_even_bytes)
            && (self.is_dense(thresholds)
                || self.regular * 100 >= self.gaps * thresholds.sync_regular_percent)
    }

    /// Whether there are so many minutes that pauses tell nothing.
    pub fn is_dense(&self, thresholds: &Thresholds) -> bool {
        self.minutes > self.hours * thresholds.sync_minutes
    }
}

/// The coefficient of variation, in thousandths, rounded up.
fn variation(values: impl Iterator<Item = u64> + Clone) -> u64 {
    let number = values.clone().count() as f64;
    let mean = values.clone().map(|value| value as f64).sum::<f64>() / number;
    let squares = values.map(|value| (value as f64 - mean).powi(2)).sum::<f64>() / number;
    if mean > 0.0 { (1000.0 * squares.sqrt() / mean).ceil() as u64 } else { 0 }
}

/// Pauses between minutes.
struct Pauses {
    number: u64,
    /// The middle one, in minutes.
    median: i64,
    /// By how much another may differ that is as long.
    slack: i64,
    /// How many are as long.
    regular: u64,
    /// And together.
    regular_minutes: u64,
}

impl Pauses {
    fn of(hours: &[(i64, u64)], thresholds: &Thresholds) -> Pauses {
        let mut gaps = gaps(hours);
        gaps.sort_unstable();
        let median = gaps.get(gaps.len() / 2).copied().unwrap_or_default();
        // A minute is the grain of the masks: what comes every 5 min is 4 to 6 of them apart.
        let slack = (median * thresholds.sync_slack_percent as i64 / 100).max(1);
        let regular = || gaps.iter().filter(|gap| (*gap - median).abs() <= slack);
        Pauses {
            number: gaps.len() as u64,
            median,
            slack,
            regular: regular().count() as u64,
            regular_minutes: regular().map(|gap| gap.unsigned_abs()).sum(),
        }
    }
}

impl Spacing {
    /// Of a day's hours, ascending: the beginning of each in seconds, and the mask of its minutes
    /// with payload both ways. `day` is from its beginning to that of the next, in seconds; without
    /// it nothing goes on over its ends.
    pub fn of(hours: &[(i64, u64)], day: Option<&Range<i64>>, thresholds: &Thresholds) -> Spacing {
        let Pauses { number, median, slack, regular, regular_minutes } =
            Pauses::of(hours, thresholds);
        let mut spacing = Spacing {
            hours: hours.iter().filter(|(_, mask)| *mask != 0).count() as u64,
            minutes: hours.iter().map(|(_, mask)| u64::from(mask.count_ones())).sum(),
            gaps: number,
            regular,
            regular_minutes,
            ..Spacing::default()
        };
        if let Some(day) = day.filter(|_| spacing.is_telling(thresholds)) {
            let ends = |mask: u64| (mask.trailing_zeros(), 63 - mask.leading_zeros());
            let mut minutes = hours.iter().filter(|(_, mask)| *mask != 0).map(|&(start, mask)| {
                let (first, last) = ends(mask);
                (start / 60 + i64::from(first), start / 60 + i64::from(last))
            });
            let first = minutes.next();
            let last = minutes.next_back().or(first);
            let before = first.is_some_and(|(first, _)| first - day.start / 60 <= median + slack);
            let behind = last.is_some_and(|(_, last)| day.end / 60 - last <= median + slack);
            spacing.edges = u64::from(before) + u64::from(behind);
        }
        spacing
    }

    /// Whether there are many pauses, and most are alike.
    pub fn is_telling(&self, thresholds: &Thresholds) -> bool {
        self.gaps >= thresholds.sync_pauses.max(1)
            && self.regular * 100 >= self.gaps * thresholds.sync_regular_percent
    }

    /// Adds what another part of the day told.
    pub fn add(&mut self, other: &Spacing) {
        self.hours += other.hours;
        self.minutes += other.minutes;
        self.gaps += other.gaps;
        self.regular += other.regular;
        self.regular_minutes += other.regular_minutes;
        self.edges = self.edges.max(other.edges);
        self.evenness.add(&other.evenness);
    }

    /// The pattern that it is.
    pub fn pattern(&self, thresholds: &Thresholds) -> Pattern {
        match self.is_spaced(thresholds) || self.evenness.is_sync(thresholds) {
            true => Pattern::Sync,
            false => Pattern::None,
        }
    }

    /// Whether minutes are spaced as only a machine's are.
    fn is_spaced(&self, thresholds: &Thresholds) -> bool {
        // Of what goes on over midnight the day has a part only.
        let least = match self.edges {
            0 => thresholds.sync_hours,
            _ => thresholds.sync_hours.min(thresholds.sync_edge_hours),
        };
        let has_hours = self.hours >= least && self.minutes <= self.hours * thresholds.sync_minutes;
        // Bursts of short pauses are regular too, and leave most of the time uncovered.
        let is_steady = self.gaps >= thresholds.sync_pauses
            && self.regular_minutes * 100 >= self.hours * 60 * thresholds.sync_covered_percent;
        let is_regular = self.regular * 100 >= self.gaps * thresholds.sync_regular_percent;
        has_hours && is_steady && is_regular
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
        Spacing::of(&day(minutes), None, &Thresholds::default()).pattern(&Thresholds::default())
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
    fn what_goes_on_over_midnight_needs_fewer_hours() {
        let of = |minutes: &mut dyn Iterator<Item = i64>| {
            Spacing::of(&day(minutes), Some(&(0..86_400)), &Thresholds::default())
                .pattern(&Thresholds::default())
        };
        // From nine in the evening; until three; until one.
        assert_eq!(of(&mut (21 * 60..1440).step_by(5)), Pattern::Sync);
        assert_eq!(of(&mut (3..180).step_by(10)), Pattern::Sync);
        assert_eq!(of(&mut (0..60).step_by(5)), Pattern::Sync);
        // It ends before midnight, or is nothing even.
        assert_eq!(of(&mut (20 * 60..23 * 60).step_by(5)), Pattern::None);
        assert_eq!(of(&mut [0, 1, 7, 20, 22, 40, 41, 59, 80, 99].into_iter()), Pattern::None);
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

    /// Numbers that look random (Steele, Lea and Flood 2014, SplitMix64).
    struct Draw(u64);

    impl Draw {
        fn next(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ mixed >> 31
        }

        /// At least `low`, less than `high`.
        fn between(&mut self, low: i64, high: i64) -> i64 {
            low + (self.next() % (high - low).unsigned_abs()) as i64
        }

        fn percent(&mut self, percent: i64) -> bool {
            self.between(0, 100) < percent
        }

        /// Somebody who works now and then: bursts, at pauses that are anything, or by habit about as
        /// long as each other.
        fn person(&mut self) -> Vec<(i64, u64)> {
            let (begin, end) = (self.between(0, 300), self.between(500, 1100));
            let pause = self.between(4, 60);
            let (burst, busy) = (self.between(1, 15), self.between(30, 100));
            let by_habit = self.percent(50);
            let (mut at, mut minutes) = (begin, Vec::new());
            while at < end {
                let length = self.between(1, burst + 1);
                minutes.extend((at..at + length).filter(|_| self.percent(busy)));
                let uniform = self.between(1, 10_000) as f64 / 10_000.0;
                // Exponential pauses are short for the most part.
                let times = if by_habit { 0.4 + 1.2 * uniform } else { -uniform.ln() };
                at += length + (times * pause as f64) as i64;
            }
            day(minutes)
        }

        /// A program that asks at even pauses, now and then late or not at all.
        fn program(&mut self) -> Vec<(i64, u64)> {
            let (begin, hours, pause) =
                (self.between(0, 300), self.between(5, 14), self.between(3, 31));
            let occasions: Vec<i64> = (begin..begin + 60 * hours).step_by(pause as usize).collect();
            let mut minutes = Vec::new();
            for at in occasions {
                if !self.percent(3) {
                    minutes.push(at + self.between(0, 1 + pause / 10));
                }
            }
            day(minutes)
        }
    }

    impl Draw {
        /// Somebody who has an app open that keeps its connection alive in every minute, and does
        /// something in most hours: from one page to a hundred messages.
        fn hours_of_person(&mut self) -> Vec<(i64, u64, u64)> {
            let hours = self.between(5, 12);
            let alive = self.between(0, 2) * 60 * self.between(200, 2000);
            (0..hours)
                .map(|hour| {
                    let (actions, size) = (self.between(1, 100), self.between(1_000, 20_000));
                    let mask = match alive {
                        0 => {
                            (0..actions.min(60)).fold(0, |mask, _| mask | 1 << self.between(0, 60))
                        }
                        _ => (1 << 60) - 1,
                    };
                    (3600 * hour, mask, (alive + actions * size).unsigned_abs())
                })
                .collect()
        }

        /// Somebody with a chat that keeps its connection alive every ten seconds, who writes or gets
        /// one to eight messages in an hour, and nothing else of it.
        fn hours_of_chat(&mut self) -> Vec<(i64, u64, u64)> {
            let (hours, alive) = (self.between(5, 12), 360 * self.between(60, 300));
            let messages = |draw: &mut Draw| {
                (0..draw.between(1, 9)).map(|_| draw.between(300, 3_000)).sum::<i64>()
            };
            (0..hours)
                .map(|hour| (3600 * hour, (1 << 60) - 1, (alive + messages(self)).unsigned_abs()))
                .collect()
        }

        /// A program that asks once an hour or every one to five minutes, now and then not at all, and
        /// mostly for as much.
        fn hours_of_program(&mut self) -> Vec<(i64, u64, u64)> {
            let (hours, size) = (self.between(6, 14), self.between(3_000, 60_000));
            let pause = [60, 1, 2, 3, 5][self.between(0, 5) as usize];
            let first = self.between(0, pause);
            let mut day: Vec<(i64, u64, u64)> =
                (0..hours).map(|hour| (3600 * hour, 0, 0)).collect();
            for at in (first..60 * hours).step_by(pause as usize) {
                if pause < 60 && self.percent(2) {
                    continue;
                }
                let hour = &mut day[(at / 60) as usize];
                hour.1 |= 1 << (at % 60);
                hour.2 += (size * self.between(95, 106) / 100).unsigned_abs();
            }
            day
        }
    }

    /// The table of `README.md`: each threshold over its values, the others as they are.
    #[test]
    fn of_drawn_days_those_of_programs_are_synchronisation() {
        const DAYS: usize = 10_000;
        type Set = fn(&mut Thresholds, u64);
        let curves: [(&str, Set, &[u64]); 5] = [
            ("sync_hours", |t, value| t.sync_hours = value, &[2, 3, 4, 6, 8]),
            ("sync_minutes", |t, value| t.sync_minutes = value, &[5, 10, 20, 30]),
            ("sync_pauses", |t, value| t.sync_pauses = value, &[1, 3, 7, 14, 28]),
            (
                "sync_regular_percent",
                |t, value| t.sync_regular_percent = value,
                &[50, 60, 70, 80, 90],
            ),
            (
                "sync_covered_percent",
                |t, value| t.sync_covered_percent = value,
                &[0, 30, 60, 80, 95],
            ),
        ];
        let mut draw = Draw(7);
        let spaced =
            |day: &Vec<(i64, u64)>, thresholds: &Thresholds| Spacing::of(day, None, thresholds);
        let defaults = Thresholds::default();
        let of_all = |days: &[Vec<(i64, u64)>], thresholds: &Thresholds| -> Vec<Spacing> {
            days.iter().map(|day| spaced(day, thresholds)).collect()
        };
        let people_days: Vec<_> = (0..DAYS).map(|_| draw.person()).collect();
        let program_days: Vec<_> = (0..DAYS).map(|_| draw.program()).collect();
        let (people, programs) =
            (of_all(&people_days, &defaults), of_all(&program_days, &defaults));
        let mut table = String::new();
        for (name, set, values) in curves {
            let measure = |value: &u64| {
                let mut thresholds = Thresholds::default();
                set(&mut thresholds, *value);
                let mark = if thresholds == Thresholds::default() { "**" } else { "" };
                let of = |days: &[Spacing]| {
                    let is_sync = |day: &&Spacing| day.pattern(&thresholds) == Pattern::Sync;
                    days.iter().filter(is_sync).count()
                };
                format!("{mark}{value}{mark}: {} {}", of(&people), of(&programs))
            };
            let cells: Vec<String> = values.iter().map(measure).collect();
            table.push_str(&format!("| `{name}` | {} |\n", cells.join("; ")));
        }
        let measure = |value: &u64| {
            let thresholds = Thresholds { sync_slack_percent: *value, ..defaults };
            let mark = if thresholds == defaults { "**" } else { "" };
            let of = |days: &[Vec<(i64, u64)>]| {
                let of_days = of_all(days, &thresholds);
                let is_sync = |day: &&Spacing| day.pattern(&thresholds) == Pattern::Sync;
                of_days.iter().filter(is_sync).count()
            };
            format!("{mark}{value}{mark}: {} {}", of(&people_days), of(&program_days))
        };
        let cells: Vec<String> = [5, 10, 20, 30, 40].iter().map(measure).collect();
        table.push_str(&format!("| `sync_slack_percent` | {} |\n", cells.join("; ")));
        // Other days, cut by midnight: those of which less than four hours are left.
        let mut hour = (0..3).cycle();
        let mut cut = |mut hours: Vec<(i64, u64)>| {
            let last = hours.last().map_or(0, |(start, _)| *start);
            let midnight = last - hour.next().unwrap_or_default() * 3600;
            hours.retain(|(start, _)| *start >= midnight);
            Spacing::of(&hours, Some(&(midnight..midnight + 86_400)), &defaults)
        };
        let people: Vec<_> = (0..DAYS).map(|_| cut(draw.person())).collect();
        let programs: Vec<_> = (0..DAYS).map(|_| cut(draw.program())).collect();
        let measure = |value: &u64| {
            let thresholds = Thresholds { sync_edge_hours: *value, ..Thresholds::default() };
            let mark = if thresholds == Thresholds::default() { "**" } else { "" };
            let of = |days: &[Spacing]| {
                let is_cut = |day: &&Spacing| day.hours < 4 && day.edges > 0;
                let sync = |day: &&Spacing| day.pattern(&thresholds) == Pattern::Sync;
                days.iter().filter(is_cut).filter(sync).count()
            };
            format!("{mark}{value}{mark}: {} {}", of(&people), of(&programs))
        };
        let cells: Vec<String> = [1, 2, 4].iter().map(measure).collect();
        table.push_str(&format!("| `sync_edge_hours` | {} |\n", cells.join("; ")));
        assert!(include_str!("README.md").contains(&table), "README.md has not the table\n{table}");
    }

    /// The second table of `README.md`, of hours that are all alike.
    #[test]
    fn of_drawn_hours_those_of_programs_are_even() {
        const DAYS: usize = 10_000;
        type Set = fn(&mut Thresholds, u64);
        let curves: [(&str, Set, &[u64]); 3] = [
            ("sync_even_hours", |t, value| t.sync_even_hours = value, &[4, 5, 6, 8, 10]),
            ("sync_even_percent", |t, value| t.sync_even_percent = value, &[2, 3, 5, 10, 20, 30]),
            (
                "sync_even_bytes",
                |t, value| t.sync_even_bytes = value,
                &[3_000, 10_000, 30_000, 100_000, 300_000],
            ),
        ];
        let mut draw = Draw(11);
        let defaults = Thresholds::default();
        let people: Vec<_> =
            (0..DAYS).map(|_| Evenness::of(&draw.hours_of_person(), &defaults)).collect();
        let programs: Vec<_> =
            (0..DAYS).map(|_| Evenness::of(&draw.hours_of_program(), &defaults)).collect();
        let mut table = String::new();
        for (name, set, values) in curves {
            let measure = |value: &u64| {
                let mut thresholds = defaults;
                set(&mut thresholds, *value);
                let mark = if thresholds == defaults { "**" } else { "" };
                let of =
                    |days: &[Evenness]| days.iter().filter(|day| day.is_sync(&thresholds)).count();
                format!("{mark}{value}{mark}: {} {}", of(&people), of(&programs))
            };
            let cells: Vec<String> = values.iter().map(measure).collect();
            table.push_str(&format!("| `{name}` | {} |\n", cells.join("; ")));
        }
        let chats: Vec<_> =
            (0..DAYS).map(|_| Evenness::of(&draw.hours_of_chat(), &defaults)).collect();
        let (_, set, values) = curves[1];
        let cells = values.iter().map(|value| {
            let mut thresholds = defaults;
            set(&mut thresholds, *value);
            let mark = if thresholds == defaults { "**" } else { "" };
            let taken = chats.iter().filter(|day| day.is_sync(&thresholds)).count();
            format!("{mark}{value}{mark}: {taken}")
        });
        let cells: Vec<String> = cells.collect();
        table.push_str(&format!("| `sync_even_percent`, chats | {} |\n", cells.join("; ")));
        assert!(include_str!("README.md").contains(&table), "README.md has not the table\n{table}");
    }

    #[test]
    fn hours_that_are_all_alike_are_synchronisation() {
        let thresholds = Thresholds::default();
        let is_sync =
            |hours: &[(i64, u64, u64)]| Evenness::of(hours, &thresholds).is_sync(&thresholds);
        let every = |pause: usize| (0..60).step_by(pause).fold(0_u64, |mask, at| mask | 1 << at);
        let of = |mask: u64, bytes: &[u64]| -> Vec<(i64, u64, u64)> {
            (8..).zip(bytes).map(|(hour, bytes)| (3600 * hour, mask, *bytes)).collect()
        };
        // Every minute, every other, once an hour; the ends of the day are there in part.
        let alike = [100_000, 300_000, 305_000, 298_000, 301_000, 40_000];
        for pause in [1, 2, 60] {
            assert!(is_sync(&of(every(pause), &alike)) == (pause < 60), "{pause}");
        }
        assert!(is_sync(&of(1, &[30_000; 6])) && !is_sync(&of(1, &[30_000; 5])));
        // Somebody who has a chat open all day, in every minute.
        assert!(!is_sync(&of(every(1), &[300_000, 320_000, 450_000, 310_000, 290_000, 500_000])));
        // A page opened once an hour or so, which is always the same.
        let now_and_then = [3, 50, 10, 44, 0, 58];
        let hours: Vec<_> =
            (8..).zip(now_and_then).map(|(hour, at)| (3600 * hour, 1 << at, 30_000)).collect();
        assert!(!is_sync(&hours));
        // A stream that somebody listens to.
        assert!(!is_sync(&of(every(1), &[57_600_000; 8])));
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
