//! What stays of an hour where only its day is kept.
//!
//! The class of a day is that of its best hour, so hours cannot simply be added up: minutes in
//! which hellos were exchanged and one larger connection of another hour would make work of two
//! things that are none. Hours that are alike in whatever a class looks at beyond sums and maxima
//! can: those of one [`Kind`] are added up, and what their masks of minutes told is [`Counted`].
//! Neither tells which hours they were.

use super::pattern::Spacing;
use super::{HourFacts, Side, quarters};

/// What hours have in common that are added up. Facts only, no thresholds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind(u8);

/// Numbers of quarter-hours of an hour: none up to all.
const QUARTERS: u8 = 5;
/// Numbers of silences after which all connections were followed: none up to all.
const FOLLOWED: u8 = 4;

impl Kind {
    /// The kind of an hour.
    pub fn of(facts: &HourFacts) -> Kind {
        let directed = facts.directed();
        // What a shorter silence follows, a longer one does too.
        let is_all = |followed: &&u64| **followed >= directed.connections;
        let followed = match directed.connections {
            0 => 0,
            _ => directed.followed.iter().filter(is_all).count() as u8,
        };
        let quarters = quarters(facts.side(Side::Use)) as u8;
        let is_directed = u8::from(directed.has_traffic());
        Kind(quarters + QUARTERS * (followed + FOLLOWED * is_directed))
    }

    /// As it is stored.
    pub fn number(self) -> u8 {
        self.0
    }

    /// From its number; none where that is no kind.
    pub fn from_number(number: u8) -> Option<Kind> {
        (number < QUARTERS * FOLLOWED * 2).then_some(Kind(number))
    }

    /// Quarter-hours of such an hour with payload both ways on hosts of role `use`.
    pub fn quarters(self) -> u64 {
        u64::from(self.0 % QUARTERS)
    }
}

/// What masks of minutes told that are no longer there, of all hours of a kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Minutes with payload both ways.
    pub active_minutes: u64,
    /// Minutes in which flows to hosts began that are not incidental.
    pub loads: u64,
    /// Quarter-hours of one hour with payload both ways on hosts of role `use`.
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
            quarters: quarters(facts.side(Side::Use)),
            spacing: Spacing::default(),
        }
    }

    /// Adds what other hours of the kind told.
    pub fn add(&mut self, other: &Counted) {
        self.active_minutes += other.active_minutes;
        self.loads += other.loads;
        self.quarters = self.quarters.max(other.quarters);
        self.spacing.add(&other.spacing);
    }
}
