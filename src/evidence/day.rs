//! A day of one client and one app: the hours' classes together, and their pattern.

use std::ops::Range;

use super::excess::Usual;
use super::kept::{Counted, Kind};
use super::pattern::{Evenness, Pattern, Spacing};
use super::{Because, Evidence, Grade, HourFacts, Side, Thresholds, grade_part};
use crate::usage::Sums;

/// What facts are of: an hour, by its beginning in seconds; or those hours of a day that are of one
/// kind, by the beginning of the day.
pub type Slot = (i64, Option<Kind>);

/// Facts of a day by hour, or by kind of hour where only the day is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DayFacts {
    /// Ascending.
    slots: Vec<(Slot, HourFacts)>,
    /// From the beginning of the day to that of the next, in seconds, where it is known.
    day: Option<Range<i64>>,
}

/// What a day amounts to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DayGrade {
    /// The strongest of the hours that are not incidental; of all, where there is none.
    pub evidence: Evidence,
    /// Whether all hours with traffic are incidental; of a day without traffic, all hours.
    pub incidental: bool,
    /// Whether the day looks like synchronisation: then only hours that stand out of it can be
    /// interactive.
    pub pattern: Pattern,
    /// Minutes with payload both ways.
    pub active_minutes: u64,
    /// Bytes of incidental hours, and of incidental hosts in the others.
    pub incidental_bytes: u64,
}

impl DayGrade {
    /// Whether this counts as use.
    pub fn is_used(&self) -> bool {
        self.evidence == Evidence::Interactive
    }
}

impl DayFacts {
    /// Forgets all, and keeps the room for as much.
    pub fn clear(&mut self) {
        self.slots.clear();
        self.day = None;
    }

    /// Says which day it is: what goes on over its ends is told apart then.
    pub fn set_day(&mut self, day: Range<i64>) {
        self.day = Some(day);
    }

    /// Adds to an hour; it costs least where hours come in ascending order.
    pub fn add(&mut self, hour: i64, side: Side, sums: &Sums) {
        self.at((hour, None)).add(side, sums);
    }

    /// Adds to the hours of one kind.
    pub fn add_kept(&mut self, day: i64, kind: Kind, side: Side, sums: &Sums, counted: &Counted) {
        let facts = self.at((day, Some(kind)));
        facts.add(side, sums);
        facts.counted.get_or_insert_default().add(counted);
    }

    /// Adds all that `other` has.
    pub fn merge(&mut self, other: &DayFacts) {
        self.day = self.day.take().or_else(|| other.day.clone());
        for (slot, facts) in &other.slots {
            let mine = self.at(*slot);
            for side in Side::ALL {
                mine.add(side, facts.side(side));
            }
            if let Some(counted) = &facts.counted {
                mine.counted.get_or_insert_default().add(counted);
            }
        }
    }

    fn at(&mut self, slot: Slot) -> &mut HourFacts {
        let at = match self.slots.last() {
            Some((last, _)) if *last == slot => self.slots.len() - 1,
            Some((last, _)) if *last > slot => {
                match self.slots.binary_search_by_key(&slot, |known| known.0) {
                    Ok(at) => at,
                    Err(at) => {
                        self.slots.insert(at, (slot, HourFacts::default()));
                        at
                    }
                }
            }
            _ => {
                self.slots.push((slot, HourFacts::default()));
                self.slots.len() - 1
            }
        };
        &mut self.slots[at].1
    }

    /// What there is, ascending.
    pub fn slots(&self) -> &[(Slot, HourFacts)] {
        &self.slots
    }

    /// The facts of an hour, where there are any.
    pub fn hour(&self, hour: i64) -> Option<&HourFacts> {
        let at = self.slots.binary_search_by_key(&(hour, None), |known| known.0).ok()?;
        Some(&self.slots[at].1)
    }

    /// Whether there is more than questions.
    pub fn has_traffic(&self) -> bool {
        self.slots.iter().any(|(_, facts)| facts.has_traffic())
    }

    /// Sums of the day; masks of minutes mean nothing in them.
    pub fn all(&self) -> Sums {
        let mut sums = Sums::default();
        self.slots.iter().flat_map(|(_, facts)| &facts.sides).for_each(|side| sums.add(side));
        sums
    }

    /// What is usual in the hours of the day, as far as they are there: the middle one; or, where only
    /// that leaves hours with pauses that are alike, the one that a quarter does not exceed. So there
    /// may be more hours of work than others.
    pub fn usual(&self, thresholds: &Thresholds) -> Usual {
        let hours =
            || self.slots.iter().filter(|((_, kind), _)| kind.is_none()).map(|slot| &slot.1);
        let (middle, quarter) = (Usual::of(hours()), Usual::of_least(hours(), 4));
        let is_telling = |usual| self.steady(usual, thresholds).is_telling(thresholds);
        match middle != quarter && !is_telling(&middle) {
            true if is_telling(&quarter) => quarter,
            _ => middle,
        }
    }

    /// How the minutes of hours are spread that do not stand out.
    fn steady(&self, usual: &Usual, thresholds: &Thresholds) -> Spacing {
        Spacing::of(&self.steady_minutes(usual, thresholds), self.day.as_ref(), thresholds)
    }

    /// How the minutes of the day are spread, by those of hosts that are not incidental, without
    /// hours that stand out; and how even such hours are.
    pub fn spacing(&self, thresholds: &Thresholds) -> Spacing {
        let usual = self.usual(thresholds);
        let mut spacing = self.steady(&usual, thresholds);
        let even = |(slot, facts): &(Slot, HourFacts)| {
            let sums = facts.all();
            let is_steady = slot.1.is_none() && !usual.is_work(facts, thresholds);
            is_steady.then_some((slot.0, sums.minutes_up & sums.minutes_down, sums.bytes()))
        };
        let hours: Vec<_> = self.slots.iter().filter_map(even).collect();
        spacing.evenness = Evenness::of(&hours, thresholds);
        let counted = self.slots.iter().filter_map(|(_, facts)| facts.counted.as_ref());
        counted.for_each(|counted| spacing.add(&counted.spacing));
        spacing
    }

    /// The pattern of the day.
    pub fn pattern(&self, thresholds: &Thresholds) -> Pattern {
        // Most have too few hours and minutes to look further.
        if !self.may_be_spaced(thresholds)
            && (self.slots.len() as u64) < thresholds.sync_even_hours
            && self.slots.iter().all(|((_, kind), _)| kind.is_none())
        {
            return Pattern::None;
        }
        self.spacing(thresholds).pattern(thresholds)
    }

    /// Whether there are as many minutes as pauses between them are asked for, and one more.
    fn may_be_spaced(&self, thresholds: &Thresholds) -> bool {
        let minutes = |(_, facts): &(Slot, HourFacts)| {
            let (up, down) = facts.directed_minutes();
            u64::from((up & down).count_ones())
        };
        self.slots.iter().map(minutes).sum::<u64>() > thresholds.sync_pauses
    }

    /// Hours, as far as they are there and do not stand out, with the minutes in which hosts that
    /// are not incidental had payload both ways.
    fn steady_minutes(&self, usual: &Usual, thresholds: &Thresholds) -> Vec<(i64, u64)> {
        let mask = |((hour, kind), facts): &(Slot, HourFacts)| {
            let sums = facts.directed();
            let is_steady = kind.is_none() && !usual.is_work(facts, thresholds);
            is_steady.then_some((*hour, sums.minutes_up & sums.minutes_down))
        };
        self.slots.iter().filter_map(mask).collect()
    }

    /// The slots with their classes within the day: synchronisation explains all hours that do not
    /// stand out of it.
    pub fn grades(
        &self,
        thresholds: &Thresholds,
    ) -> impl Iterator<Item = (&Slot, &HourFacts, Grade)> {
        self.grades_of(self, self.pattern(thresholds), thresholds)
    }

    /// The slots of a part of the day, that is of one tenant and edition, with their classes within
    /// the whole of it, which has this pattern.
    fn grades_of<'a>(
        &'a self,
        part: &'a DayFacts,
        pattern: Pattern,
        thresholds: &Thresholds,
    ) -> impl Iterator<Item = (&'a Slot, &'a HourFacts, Grade)> + use<'a> {
        let thresholds = *thresholds;
        let is_sync = pattern == Pattern::Sync;
        let usual = if is_sync { self.usual(&thresholds) } else { Usual::default() };
        let mut whole = self.slots.iter();
        part.slots.iter().map(move |(slot, facts)| {
            // What a part has, the whole has.
            let of_all = whole.find(|known| known.0 == *slot).map_or(facts, |known| &known.1);
            let grade = grade_part(facts, of_all, &thresholds);
            if !is_sync || grade.evidence != Evidence::Interactive {
                return (slot, facts, grade);
            }
            let is_work = match slot.1 {
                None => usual.is_work(of_all, &thresholds),
                Some(kind) => kind.excess().is_work(&thresholds),
            };
            if is_work {
                return (slot, facts, grade);
            }
            let because = Because::Sync;
            (slot, facts, Grade { evidence: Evidence::TwoWayPayload, because, ..grade })
        })
    }

    /// The class of the day.
    pub fn grade(&self, thresholds: &Thresholds) -> DayGrade {
        self.grade_part(self, i64::MIN..i64::MAX, thresholds)
    }

    /// The class that a part of the day has within it, in those hours that begin within `range`; of
    /// hours by kind, where the day does. The pattern is that of the whole day. A day is used where a
    /// part of it is.
    pub fn grade_part(
        &self,
        part: &DayFacts,
        range: Range<i64>,
        thresholds: &Thresholds,
    ) -> DayGrade {
        let pattern = self.pattern(thresholds);
        let mut day = DayGrade { pattern, incidental: true, ..DayGrade::default() };
        let mut best: Option<(bool, bool, Evidence)> = None;
        let within = |((from, _), ..): &(&Slot, &HourFacts, Grade)| range.contains(from);
        for (_, facts, grade) in self.grades_of(part, pattern, thresholds).filter(within) {
            day.active_minutes += facts.active_minutes();
            day.incidental_bytes += match grade.incidental {
                true => facts.bytes(),
                false => facts.side(Side::Incidental).bytes(),
            };
            let rank = (facts.has_traffic(), !grade.incidental, grade.evidence);
            best = best.max(Some(rank));
        }
        if let Some((_, directed, evidence)) = best {
            (day.incidental, day.evidence) = (!directed, evidence);
        }
        day
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traffic(up: u64, down: u64, minutes: u64) -> Sums {
        Sums {
            connections: 1,
            handshakes: 1,
            bytes_up: up,
            bytes_down: down,
            minutes_up: minutes,
            minutes_down: minutes,
            minutes_begun: 1,
            flow_up_max: up,
            flow_bytes_max: up + down,
            ..Sums::default()
        }
    }

    fn graded(hours: &[(i64, Side, Sums)]) -> DayGrade {
        let mut day = DayFacts::default();
        for (hour, side, sums) in hours {
            day.add(hour * 3600, *side, sums);
        }
        day.grade(&Thresholds::default())
    }

    #[test]
    fn the_best_hour_speaks_for_the_day() {
        let use_ = traffic(5000, 60_000, 0b11);
        let embed = traffic(900, 500, 0b1);
        let day = graded(&[(9, Side::Use, use_), (8, Side::Incidental, embed)]);
        assert!(day.is_used() && !day.incidental);
        assert_eq!((day.active_minutes, day.incidental_bytes), (3, 1400));
    }

    #[test]
    fn a_question_makes_an_embed_no_use() {
        let embed = traffic(900, 500, 0b1);
        let asked = Sums { dns_queries: 1, ..Sums::default() };
        let day = graded(&[(8, Side::Incidental, embed), (9, Side::Use, asked)]);
        assert_eq!((day.evidence, day.incidental), (Evidence::TwoWayPayload, true));
        let day = graded(&[(9, Side::Use, asked)]);
        assert_eq!((day.evidence, day.incidental), (Evidence::DnsOnly, false));
    }

    #[test]
    fn synchronisation_is_not_interactive() {
        let every_ten = (0..6).fold(0, |mask, n| mask | 1 << (10 * n));
        let hour = traffic(9000, 90_000, every_ten);
        let hours: Vec<_> = (0..8).map(|n| (n, Side::Use, hour)).collect();
        let day = graded(&hours);
        assert_eq!((day.pattern, day.evidence), (Pattern::Sync, Evidence::TwoWayPayload));
        // Half a day of it, too; in less there is too little to see.
        let day = graded(&hours[..5]);
        assert_eq!((day.pattern, day.evidence), (Pattern::Sync, Evidence::TwoWayPayload));
        assert!(graded(&hours[..3]).is_used());
    }

    #[test]
    fn work_on_a_day_of_synchronisation_is_work() {
        let every_ten = (0..6).fold(0, |mask, n| mask | 1 << (10 * n));
        let hour = traffic(9000, 90_000, every_ten);
        let mut hours: Vec<_> = (0..9).map(|n| (n, Side::Use, hour)).collect();
        // Minutes of work in two of the hours.
        hours[4].2 = traffic(60_000, 900_000, every_ten | 0b1111_0011_1000_1111 << 20);
        hours[5].2 = traffic(40_000, 300_000, every_ten | 0b1101_0000_0000_1111 << 21);
        let mut day = DayFacts::default();
        hours.iter().for_each(|(hour, side, sums)| day.add(hour * 3600, *side, sums));
        let grades: Vec<_> =
            day.grades(&Thresholds::default()).map(|(.., grade)| grade.evidence).collect();
        let of = |n| if n == 4 || n == 5 { Evidence::Interactive } else { Evidence::TwoWayPayload };
        assert_eq!(grades, (0..9).map(of).collect::<Vec<_>>());
        let day = day.grade(&Thresholds::default());
        assert!(day.pattern == Pattern::Sync && day.is_used());
    }

    #[test]
    fn a_file_that_comes_in_one_go_is_no_work() {
        let every_ten = (0..6).fold(0, |mask, n| mask | 1 << (10 * n));
        let hour = traffic(9000, 90_000, every_ten);
        let mut hours: Vec<_> = (0..9).map(|n| (n, Side::Use, hour)).collect();
        hours[4].2 = traffic(60_000, 90_000_000, every_ten | 0b10);
        assert!(!graded(&hours).is_used());
    }
}
