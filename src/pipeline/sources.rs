//! What addresses at home did that no person's device does: distinct values of their traits, and
//! flows that they accepted. Facts only; [`crate::evidence::source`] judges.

use std::collections::{BTreeMap, BTreeSet};

use crate::evidence::source::{SourceFacts, Trait, Verdict};
use crate::footprint;
use crate::stats::Counter;
use crate::store::{SubjectId, TraitRow};
use crate::time::{Hour, NANOS_PER_SECOND, Timestamp};

/// Values kept of a run that ends.
const VALUES_MAX: usize = 1 << 21;
/// Values kept of one that does not: those of hours that are not long over.
const LIVE_VALUES_MAX: usize = 3 << 17;
/// Memory of these, of those of them that are not in the store yet, and of what addresses accepted.
pub(super) const BYTES_MAX: usize = footprint::tree(LIVE_VALUES_MAX, size_of::<TraitValue>())
    + LIVE_VALUES_MAX * (2 * size_of::<TraitValue>() + size_of::<TraitRow<SubjectId>>())
    + footprint::tree(ACCEPTED_MAX, size_of::<((u32, Hour), u64)>())
    + ACCEPTED_MAX * size_of::<(Hour, SubjectId, u64)>();
/// Addresses and hours with accepted flows that wait for the store in such a run.
const ACCEPTED_MAX: usize = 1 << 17;
/// How long after an hour values of it may come in a run that does not end.
const OVER_SECONDS: i64 = 2 * 3600;

/// A value of a trait of a subject within an hour, as one number, in their order: they are sorted
/// and looked up by the hundred thousand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TraitValue(u128);

impl TraitValue {
    const VALUE_BITS: u32 = u64::BITS;
    const TRAIT_BITS: u32 = 8;
    const HOUR_BITS: u32 = 32;

    /// Of which `subject`: there are fewer than 24 bits tell apart.
    pub fn new(subject: u32, hour: Hour, what: Trait, value: u64) -> TraitValue {
        let hour = u128::from(hour.0.abs_diff(i32::MIN));
        let key = u128::from(subject) << Self::HOUR_BITS | hour;
        let key = key << Self::TRAIT_BITS | what as u128;
        TraitValue(key << Self::VALUE_BITS | u128::from(value))
    }

    /// Subject, hour and trait, as one number.
    fn of_what(self) -> u64 {
        (self.0 >> Self::VALUE_BITS) as u64
    }

    fn parts(self) -> (u32, Hour, Trait, u64) {
        let key = self.of_what();
        let what = Trait::ALL[(key & ((1 << Self::TRAIT_BITS) - 1)) as usize];
        let hour = i32::MIN.wrapping_add_unsigned((key >> Self::TRAIT_BITS) as u32);
        let subject = (key >> (Self::TRAIT_BITS + Self::HOUR_BITS)) as u32;
        (subject, Hour(hour), what, self.0 as u64)
    }
}

const _: () = {
    let mut at = 0;
    while at < Trait::ALL.len() {
        assert!(Trait::ALL[at] as usize == at, "traits are found by their number");
        at += 1;
    }
};

/// What is known of addresses, by the number of their subject.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Whether nobody takes what has come since the last time.
    is_taken_once: bool,
    /// Whether the run has no end in sight: then nothing is told of it, and each hour is forgotten.
    is_live: bool,
    /// The hour until which all is forgotten.
    forgotten: Option<Hour>,
    values: BTreeSet<TraitValue>,
    accepted: BTreeMap<(u32, Hour), u64>,
    /// What has come since the last time it was taken.
    fresh: Vec<TraitValue>,
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

    /// Of a run that has no end in sight.
    pub(super) fn live() -> Sources {
        Sources { is_live: true, ..Sources::default() }
    }

    /// Forgets hours that are long over at `now`, of a run that has no end in sight.
    pub(super) fn forget_old(&mut self, now: Timestamp) {
        let oldest = now.offset(-OVER_SECONDS * NANOS_PER_SECOND).minute();
        let oldest = Hour(oldest.0 - oldest.0.rem_euclid(60));
        if !self.is_live || self.forgotten.is_some_and(|forgotten| oldest <= forgotten) {
            return;
        }
        self.forgotten = Some(oldest);
        self.values.retain(|value| value.parts().1 >= oldest);
    }

    /// Takes values in ascending order, so that those that find room are always the same. Answers
    /// the counter of those that found none in the run, and how many.
    pub fn add(&mut self, seen: Vec<TraitValue>) -> (Counter, u64) {
        let values_max = if self.is_live { LIVE_VALUES_MAX } else { VALUES_MAX };
        let mut dropped = 0;
        for values in seen.chunk_by(|one, other| one.of_what() == other.of_what()) {
            let Some(first) = values.first().map(|first| u128::from(first.of_what())) else {
                continue;
            };
            let least = TraitValue(first << TraitValue::VALUE_BITS);
            let is_same = |known: &&TraitValue| known.of_what() == least.of_what();
            let same = self.values.range(least..).take_while(is_same);
            let mut known = same.take(Trait::VALUES_MAX).count();
            for &value in values {
                // Enough of an address is enough; too much of a run is a bound.
                if known >= Trait::VALUES_MAX {
                    break;
                }
                if self.values.len() >= values_max {
                    dropped += u64::from(!self.values.contains(&value));
                    continue;
                }
                if !self.values.insert(value) {
                    continue;
                }
                known += 1;
                if !self.is_taken_once {
                    self.fresh.push(value);
                }
            }
        }
        (Counter::HintDropped, dropped)
    }

    /// Notes what the operator says of a subject that has something in an hour.
    pub fn tell(&mut self, subject: u32, hour: Hour, verdict: Verdict) {
        let value = TraitValue::new(subject, hour, Trait::Told, verdict.number());
        if self.values.insert(value) && !self.is_taken_once {
            self.fresh.push(value);
        }
    }

    /// Adds flows that a subject accepted. Says whether there was room.
    pub fn accept(&mut self, subject: u32, hour: Hour, flows: u64) -> bool {
        let key = (subject, hour);
        if self.is_live
            && self.fresh_accepted.len() >= ACCEPTED_MAX
            && !self.fresh_accepted.contains_key(&key)
        {
            return false;
        }
        if !self.is_live {
            *self.accepted.entry(key).or_default() += flows;
        }
        if !self.is_taken_once {
            *self.fresh_accepted.entry(key).or_default() += flows;
        }
        true
    }

    /// What has come since [`Sources::forget_fresh`], for the store; `id` gives a subject's number
    /// there.
    pub fn fresh<I: Copy, E>(
        &self,
        mut id: impl FnMut(u32) -> Result<I, E>,
    ) -> Result<Fresh<I>, E> {
        let mut values = self.fresh.clone();
        values.sort_unstable();
        let mut traits = Vec::with_capacity(values.len());
        for (subject, hour, what, value) in values.into_iter().map(TraitValue::parts) {
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
        let all = TraitValue::new(subject, Hour(i32::MIN), first, 0)
            ..=TraitValue::new(subject, Hour(i32::MAX), last, u64::MAX);
        let mut same = (Hour(i32::MIN), first, 0);
        for (_, hour, what, value) in self.values.range(all).map(|known| known.parts()) {
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
