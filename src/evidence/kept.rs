//! What stays of an hour where only its day is kept.
//!
//! The class of a day is that of its best hour, so hours cannot simply be added up: minutes in
//! which hellos were exchanged and one larger connection of another hour would make work of two
//! things that are none. Hours that are alike in whatever a class looks at beyond sums and maxima
//! can: those of one [`Kind`] are added up, and what their masks of minutes told is [`Counted`].
//! Neither tells which hours they were.

use super::excess::Excess;
use super::pattern::Spacing;
use super::{HourFacts, Side};
use crate::usage::{self, QUARTER_BYTES_UP, Sums};

/// What hours have in common that are added up. Facts only, no thresholds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind(u16);

/// Numbers of quarter-hours of an hour: none up to all.
const QUARTERS: u16 = 5;
/// Numbers of silences after which all connections were followed: none up to all.
const FOLLOWED: u16 = 4;
/// With and without traffic that is not incidental.
const DIRECTED: u16 = 2;
/// Kinds that do not differ in how far they stand out.
const ALIKE: u16 = QUARTERS * FOLLOWED * DIRECTED;

impl Kind {
    /// The kind of an hour that stands out so far of its day.
    pub fn of(facts: &HourFacts, excess: Excess) -> Kind {
        let directed = facts.directed();
        // What a shorter silence follows, a longer one does too.
        let is_all = |followed: &&u64| **followed >= directed.connections;
        let followed = match directed.connections {
            0 => 0,
            _ => directed.followed.iter().filter(is_all).count() as u16,
        };
        let quarters = quarters_with_minutes(facts.side(Side::Use));
        let is_directed = u16::from(directed.has_traffic());
        let alike = quarters + QUARTERS * (followed + FOLLOWED * is_directed);
        Kind(alike + ALIKE * excess.number())
    }

    /// As it is stored.
    pub fn number(self) -> u16 {
        self.0
    }

    /// From its number; none where that is no kind.
    pub fn from_number(number: u16) -> Option<Kind> {
        Excess::from_number(number / ALIKE).map(|_| Kind(number))
    }

    /// How far such an hour stands out of its day.
    pub fn excess(self) -> Excess {
        Excess::from_number(self.0 / ALIKE).unwrap_or_default()
    }
}

/// Quarter-hours with minutes in which there was payload both ways, be it a handshake's.
fn quarters_with_minutes(sums: &Sums) -> u16 {
    const QUARTER: u64 = (1 << 15) - 1;
    let both = sums.minutes_up & sums.minutes_down;
    (0..4).filter(|quarter| both >> (15 * quarter) & QUARTER != 0).count() as u16
}

/// Bits of [`Sums::quarters`] without the places of the quarter-hours, only their numbers: then the
/// best of several hours is what any of them has.
fn numbers_of_quarters(quarters: u64) -> u64 {
    (0..QUARTER_BYTES_UP.len() as u32).fold(0, |numbers, level| {
        let number = (quarters >> (usage::QUARTERS * level) & 0xf).count_ones();
        numbers | ((1 << number) - 1) << (usage::QUARTERS * level)
    })
}

/// What masks of minutes told that are no longer there, of all hours of a kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Minutes with payload both ways.
    pub active_minutes: u64,
    /// Minutes in which flows to hosts began that are not incidental.
    pub loads: u64,
    /// As [`Sums::quarters`] of hosts of role `use`, of the best hour; of its quarter-hours only how
    /// many they are.
    pub quarters: u64,
    /// How minutes were spread over the day.
    pub spacing: Spacing,
}

impl Counted {
    /// What the masks of an hour tell, but for how its day is spread.
    pub fn of(facts: &HourFacts) -> Counted {
        Counted {
            active_minutes: facts.all().active_minutes(),
            loads: u64::from(facts.directed().minutes_begun.count_ones()),
            quarters: numbers_of_quarters(facts.side(Side::Use).quarters),
            spacing: Spacing::default(),
        }
    }

    /// Adds what other hours of the kind told.
    pub fn add(&mut self, other: &Counted) {
        self.active_minutes += other.active_minutes;
        self.loads += other.loads;
        self.quarters |= other.quarters;
        self.spacing.add(&other.spacing);
    }
}
