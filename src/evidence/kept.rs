//! What stays of an hour where only its day is kept.
//!
//! The class of a day is that of its best hour, so hours cannot simply be added up: minutes in
//! which hellos were exchanged and one larger connection of another hour would make work of two
//! things that are none. Hours that are alike in whatever a class looks at beyond sums and maxima
//! can: those of one [`Kind`] are added up, and what their masks of minutes told is [`Counted`].
//! Neither tells which hours they were.

use super::excess::{EXCESSES, Excess};
use super::pattern::Spacing;
use super::{HourFacts, Side};
use crate::usage::{self, BESIDE, QUARTER_BYTES_UP, RULES, Sums};

/// What hours have in common that are added up. Facts only, no thresholds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind {
    alike: u32,
    parts: Parts,
}

/// Numbers of quarter-hours of an hour: none up to all.
const QUARTERS: u32 = 5;
/// What is known by a rule of loads: that nothing followed; or how many levels of payload something
/// had that did not.
const STATES: u32 = 2 + BESIDE;
/// The same of all rules.
const FOLLOWED: u32 = STATES.pow(RULES);
/// With and without traffic that is not incidental.
const DIRECTED: u32 = 2;
/// Kinds that do not differ in how far they stand out.
const ALIKE: u32 = QUARTERS * FOLLOWED * DIRECTED;
/// Kinds that do not differ in who took part.
const KINDS: i64 = (ALIKE * EXCESSES as u32) as i64;

impl Kind {
    /// The kind of an hour that stands out so far of its day, and in which these took part.
    pub fn of(facts: &HourFacts, excess: Excess, parts: Parts) -> Kind {
        let directed = facts.directed();
        let state = |rule: u32| match directed.followed >> rule & 1 {
            0 => 0,
            _ => {
                let bits = directed.unfollowed >> (BESIDE * rule) & ((1 << BESIDE) - 1);
                1 + bits.count_ones()
            }
        };
        let followed = (0..RULES).rev().fold(0, |all, rule| STATES * all + state(rule));
        let quarters = quarters_with_minutes(facts.side(Side::Use));
        let is_directed = u32::from(directed.has_traffic());
        let alike = quarters + QUARTERS * (followed + FOLLOWED * is_directed);
        Kind { alike: alike + ALIKE * u32::from(excess.number()), parts }
    }

    /// As it is stored.
    pub fn number(self) -> i64 {
        i64::from(self.alike) + KINDS * i64::from(self.parts.0)
    }

    /// From its number; none where that is no kind.
    pub fn from_number(number: i64) -> Option<Kind> {
        let alike = u32::try_from(number.rem_euclid(KINDS)).ok()?;
        let parts = Parts(u32::try_from(number.div_euclid(KINDS)).ok()?);
        Excess::from_number((alike / ALIKE) as u16).map(|_| Kind { alike, parts })
    }

    /// How far such an hour stands out of its day.
    pub fn excess(self) -> Excess {
        Excess::from_number((self.alike / ALIKE) as u16).unwrap_or_default()
    }
}

/// Which parts of an app, each a tenant and an edition, took part in an hour, and as what: a
/// number that tells such hours apart. In hours that are alike the same parts share the same class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Parts(u32);

impl Parts {
    /// Of an hour, each part with its facts, ascending.
    pub fn of<'a>(
        parts: impl ExactSizeIterator<Item = ((&'a str, &'a str), &'a HourFacts)>,
    ) -> Parts {
        let is_alone = parts.len() == 1;
        let mut hasher = blake3::Hasher::new();
        let mut has_parts = false;
        for ((tenant, edition), facts) in parts {
            has_parts |= !tenant.is_empty() || !edition.is_empty();
            // What is alone is the whole, whatever it did.
            let share = if is_alone { 0 } else { share(facts) };
            for text in [tenant, edition] {
                hasher.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
            }
            hasher.update(&[share]);
        }
        let [a, b, c, d, ..] = *hasher.finalize().as_bytes();
        if has_parts { Parts(u32::from_le_bytes([a, b, c, d])) } else { Parts::default() }
    }
}

/// What a part's class within an hour depends on, beyond sums and maxima.
fn share(facts: &HourFacts) -> u8 {
    let directed = facts.directed();
    match (facts.all().has_traffic(), directed.has_traffic()) {
        (false, _) => u8::from(directed.dns_queries > 0),
        (true, false) => 2,
        (true, true) => {
            let bits = facts.side(Side::Use).quarters;
            let levels = (0..QUARTER_BYTES_UP.len() as u32)
                .take_while(|level| bits >> (usage::QUARTERS * level) & 0xf != 0);
            3 + levels.count() as u8
        }
    }
}

/// Quarter-hours with minutes in which there was payload both ways, be it a handshake's.
fn quarters_with_minutes(sums: &Sums) -> u32 {
    const QUARTER: u64 = (1 << 15) - 1;
    let both = sums.minutes_up & sums.minutes_down;
    (0..4).filter(|quarter| both >> (15 * quarter) & QUARTER != 0).count() as u32
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
    /// many they are. Of a part, those of all parts, if it has any.
    pub quarters: u64,
    /// How minutes were spread over the day.
    pub spacing: Spacing,
}

impl Counted {
    /// What the masks of an hour tell of a part of it, but for minutes of loads and how its day is
    /// spread, which stand in one part. Where a part has quarter-hours, they are as many as the whole
    /// has: that is what counts.
    pub fn of(part: &HourFacts, whole: &HourFacts) -> Counted {
        let (mine, all) = (part.side(Side::Use).quarters, whole.side(Side::Use).quarters);
        let shared = (0..QUARTER_BYTES_UP.len() as u32)
            .map(|level| 0xf << (usage::QUARTERS * level))
            .filter(|bits| mine & bits != 0)
            .fold(0, |shared, bits| shared | all & bits);
        Counted {
            active_minutes: part.all().active_minutes(),
            quarters: numbers_of_quarters(shared),
            ..Counted::default()
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
