//! What addresses at home did that no person's device does: distinct values of their traits, and
//! flows that they accepted. Facts only; [`crate::evidence::source`] judges.

use std::collections::{BTreeMap, BTreeSet};

use crate::evidence::source::{SourceFacts, Trait, Verdict};
use crate::stats::Counter;
use crate::store::TraitRow;
use crate::time::Hour;

/// Values kept of a run.
const VALUES_MAX: usize = 1 << 21;

/// What is known of addresses, by the number of their subject.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Whether nobody takes what has come since the last time.
    is_taken_once: bool,
    values: BTreeSet<(u32, Hour, Trait, u64)>,
    accepted: BTreeMap<(u32, Hour), u64>,
    /// What has come since the last time it was taken.
    fresh: BTreeSet<(u32, Hour, Trait, u64)>,
    fresh_accepted: BTreeMap<(u32, Hour), u64>,
}

/// What has come, for the store; `I` is a subject's number there.
pub struct Fresh<I> {
    /// Values of traits.
    pub traits: Vec<TraitRow<I>>,
    /// Flows that subjects accepted, by hour.
    pub accepted: Vec<(Hour, I, u64)>,
}

impl Sources {
    /// Of which what has come is asked for once, at the end: [`Sources::fresh`] has nothing.
    pub(super) fn taken_once() -> Sources {
        Sources { is_taken_once: true, ..Sources::default() }
    }

    /// Takes values in ascending order, so that those that find room are always the same. Answers
    /// the counter of those that found none in the run, and how many.
    pub fn add(&mut self, seen: Vec<(u32, Hour, Trait, u64)>) -> (Counter, u64) {
        let mut dropped = 0;
        let is_same = |one: &(u32, Hour, Trait, u64), other: &(u32, Hour, Trait, u64)| {
            (one.0, one.1, one.2) == (other.0, other.1, other.2)
        };
        for values in seen.chunk_by(is_same) {
            let Some(&(subject, hour, what, _)) = values.first() else { continue };
            let of_same = (subject, hour, what, 0)..=(subject, hour, what, u64::MAX);
            let mut known = self.values.range(of_same).take(Trait::VALUES_MAX).count();
            for &value in values {
                // Enough of an address is enough; too much of a run is a bound.
                if known >= Trait::VALUES_MAX {
                    break;
                }
                if self.values.len() >= VALUES_MAX {
                    dropped += u64::from(!self.values.contains(&value));
                    continue;
                }
                if !self.values.insert(value) {
                    continue;
                }
                known += 1;
                if !self.is_taken_once {
                    self.fresh.insert(value);
                }
            }
        }
        (Counter::HintDropped, dropped)
    }

    /// Notes what the operator says of a subject that has something in an hour.
    pub fn tell(&mut self, subject: u32, hour: Hour, verdict: Verdict) {
        let value = (subject, hour, Trait::Told, verdict.number());
        if self.values.insert(value) && !self.is_taken_once {
            self.fresh.insert(value);
        }
    }

    /// Adds flows that a subject accepted.
    pub fn accept(&mut self, subject: u32, hour: Hour, flows: u64) {
        *self.accepted.entry((subject, hour)).or_default() += flows;
        if !self.is_taken_once {
            *self.fresh_accepted.entry((subject, hour)).or_default() += flows;
        }
    }

    /// What has come since [`Sources::forget_fresh`], for the store; `id` gives a subject's number
    /// there.
    pub fn fresh<I: Copy, E>(
        &self,
        mut id: impl FnMut(u32) -> Result<I, E>,
    ) -> Result<Fresh<I>, E> {
        let mut traits = Vec::with_capacity(self.fresh.len());
        for &(subject, hour, what, value) in &self.fresh {
            traits.push(TraitRow { hour, subject: id(subject)?, what, value });
        }
        let mut accepted = Vec::with_capacity(self.fresh_accepted.len());
        for (&(subject, hour), &flows) in &self.fresh_accepted {
            accepted.push((hour, id(subject)?, flows));
        }
        Ok(Fresh { traits, accepted })
    }

    /// What had come is kept elsewhere now.
    pub fn forget_fresh(&mut self) {
        self.fresh.clear();
        self.fresh_accepted.clear();
    }

    /// Whether all that has come is kept elsewhere.
    pub fn has_nothing_fresh(&self) -> bool {
        self.fresh.is_empty() && self.fresh_accepted.is_empty()
    }

    /// What a subject did in the whole run; `opened`: connections that it opened.
    pub fn facts(&self, subject: u32, opened: u64) -> SourceFacts {
        let mut distinct: [BTreeSet<u64>; Trait::ALL.len()] = Default::default();
        let mut of_hour = [0; Trait::ALL.len()];
        let [first, .., last] = Trait::ALL;
        let all = (subject, Hour(i32::MIN), first, 0)..=(subject, Hour(i32::MAX), last, u64::MAX);
        let mut same = (Hour(i32::MIN), first, 0);
        for &(_, hour, what, value) in self.values.range(all) {
            if !what.is_of_hour() {
                distinct[what as usize].insert(value);
                continue;
            }
            let before = if (same.0, same.1) == (hour, what) { same.2 } else { 0 };
            same = (hour, what, before + 1);
            let most = &mut of_hour[what as usize];
            *most = same.2.max(*most);
        }
        let numbers =
            |what: Trait| distinct[what as usize].len().max(of_hour[what as usize]) as u64;
        let hours = (subject, Hour(i32::MIN))..=(subject, Hour(i32::MAX));
        SourceFacts {
            distinct: Trait::ALL.map(numbers),
            accepted: self.accepted.range(hours).map(|(_, flows)| flows).sum(),
            opened,
            // Whoever is summed up has an address, and the operator's word is looked up by that.
            told: None,
        }
    }
}
