//! Numbers of targets, and of the texts of rules.
//!
//! Bounded where a process goes on for years: see [`Targets::is_full`].

use std::collections::HashMap;
use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::verdicts::{PatternNumber, TargetNumber};
use crate::footprint;
use crate::names::CANDIDATES_MAX;
use crate::store::{AppFacts, Grounds, PatternId, Target, TargetId};

/// Targets numbered where they may be numbered anew, and bytes of their text; four times as many where
/// they may not, since there their numbers last as long as what is told at the end.
const TARGETS_MAX: usize = 7 << 14;
const TARGETS_BYTES_MAX: usize = 12 << 20;
const TIMES_AT_ONCE: usize = 4;
/// Targets with grounds; what has no room is not told anew when the catalogue learns.
const HELD_MAX: usize = 7 << 13;
/// Texts of rules remembered, over all catalogues that are asked, and bytes of them: of more, none is
/// told.
const PATTERNS_MAX: usize = 7 << 14;
const PATTERNS_BYTES_MAX: usize = 6 << 20;
/// What a target takes besides its text: its place here, and its number in the store.
const TARGET_BYTES: usize = size_of::<Target>() + size_of::<bool>() + size_of::<Option<TargetId>>();
/// Memory of all.
pub(super) const BYTES_MAX: usize = (TARGETS_MAX + HELD_MAX) * TARGET_BYTES
    + TARGETS_BYTES_MAX
    + footprint::map(TARGETS_MAX, size_of::<TargetNumber>())
    + footprint::map(HELD_MAX, size_of::<(TargetNumber, Grounds<TargetNumber>)>())
    + footprint::map(HELD_MAX, size_of::<TargetNumber>())
    + 2 * HELD_MAX * footprint::heap(CANDIDATES_MAX * size_of::<TargetNumber>())
    + footprint::map(PATTERNS_MAX, size_of::<PatternNumber>())
    + PATTERNS_MAX * (size_of::<Box<str>>() + size_of::<Option<PatternId>>())
    + PATTERNS_BYTES_MAX;

/// Targets by number.
#[derive(Default)]
pub(super) struct Targets {
    list: Vec<Target>,
    /// Of each, whether it is a domain without signature: asked for each row.
    domains: Vec<bool>,
    text_bytes: usize,
    /// Those without grounds, and those with.
    numbers: HashTable<TargetNumber>,
    held: HashTable<TargetNumber>,
    grounds: HashMap<TargetNumber, Grounds<TargetNumber>, RandomState>,
    hasher: RandomState,
    /// How often there is room for [`TARGETS_MAX`]; none where there is no end to it.
    times: Option<usize>,
}

/// What targets were before they were forgotten, by number.
pub struct Forgotten {
    pub(super) targets: Vec<Target>,
    pub(super) grounds: HashMap<TargetNumber, Grounds<TargetNumber>, RandomState>,
}

impl Targets {
    /// From now on there is an end to the room. `anew`: whether they may be numbered anew.
    pub(super) fn bound(&mut self, anew: bool) {
        self.times = Some(if anew { 1 } else { TIMES_AT_ONCE });
    }

    /// Whether there is no room for another one. Those that have to be are numbered nevertheless: what
    /// a catalogue names, and what stands for all others.
    pub(super) fn is_full(&self) -> bool {
        self.times.is_some_and(|times| {
            self.list.len() >= times * TARGETS_MAX || self.text_bytes >= times * TARGETS_BYTES_MAX
        })
    }

    pub(super) fn get(&self, number: TargetNumber) -> &Target {
        &self.list[number as usize]
    }

    pub(super) fn is_domain(&self, number: TargetNumber) -> bool {
        self.domains[number as usize]
    }

    /// On what a target hangs, if on anything.
    pub(super) fn grounds(&self, number: TargetNumber) -> Option<&Grounds<TargetNumber>> {
        self.grounds.get(&number)
    }

    /// The number of a target, where it has one.
    pub(super) fn find(&self, target: &Target) -> Option<TargetNumber> {
        let is_it = |&at: &TargetNumber| self.list[at as usize] == *target;
        self.numbers.find(self.hasher.hash_one(target), is_it).copied()
    }

    /// The number of a target, a new one where it has none.
    pub(super) fn number(&mut self, target: Target) -> TargetNumber {
        if let Some(known) = self.find(&target) {
            return known;
        }
        let hash = self.hasher.hash_one(&target);
        let next = self.push(target);
        let (list, hasher) = (&self.list, &self.hasher);
        self.numbers.insert_unique(hash, next, |&at| hasher.hash_one(&list[at as usize]));
        next
    }

    /// The number of a target that hangs on others; none where there is no room.
    pub(super) fn number_held(
        &mut self,
        target: Target,
        grounds: Grounds<TargetNumber>,
    ) -> Option<TargetNumber> {
        let is_it = |&at: &TargetNumber| {
            self.list[at as usize] == target && self.grounds.get(&at) == Some(&grounds)
        };
        let hash = self.hasher.hash_one((&target, &grounds));
        if let Some(&known) = self.held.find(hash, is_it) {
            return Some(known);
        }
        if self.held.len() >= HELD_MAX || self.is_full() {
            return None;
        }
        let next = self.push(target);
        self.grounds.insert(next, grounds);
        let (list, all_grounds, hasher) = (&self.list, &self.grounds, &self.hasher);
        let hash_of = |&at: &TargetNumber| hasher.hash_one((&list[at as usize], &all_grounds[&at]));
        self.held.insert_unique(hash, next, hash_of);
        Some(next)
    }

    /// Forgets all, and answers what they were.
    pub(super) fn forget(&mut self) -> Forgotten {
        self.text_bytes = 0;
        self.numbers.clear();
        self.domains.clear();
        self.held.clear();
        Forgotten {
            targets: std::mem::take(&mut self.list),
            grounds: std::mem::take(&mut self.grounds),
        }
    }

    fn push(&mut self, target: Target) -> TargetNumber {
        let next = self.list.len() as TargetNumber;
        self.domains.push(!matches!(target, Target::App { .. }));
        self.text_bytes += text_bytes(&target);
        self.list.push(target);
        next
    }
}

/// Memory of a target's text.
fn text_bytes(target: &Target) -> usize {
    let of =
        |texts: &[&String]| -> usize { texts.iter().map(|text| footprint::heap(text.len())).sum() };
    match target {
        Target::App { app, role, tenant, edition } => {
            let AppFacts { id, name, vendor, suite, category } = app;
            of(&[id, name, vendor, suite, category, role, tenant, edition])
        }
        Target::Domain(domain) => of(&[domain]),
        Target::Labelled { domain, label } => of(&[domain, label]),
        Target::Undecided { .. } => 0,
    }
}

/// Texts of rules, numbered once for all catalogues: verdicts outlive these.
#[derive(Default)]
pub(super) struct Patterns {
    texts: Vec<Box<str>>,
    numbers: HashTable<PatternNumber>,
    bytes: usize,
    hasher: RandomState,
}

impl Patterns {
    /// The number of a text; none where there is no room.
    pub(super) fn number(&mut self, text: &str) -> Option<PatternNumber> {
        let hash = self.hasher.hash_one(text);
        let is_it = |&at: &PatternNumber| *self.texts[at as usize] == *text;
        if let Some(&known) = self.numbers.find(hash, is_it) {
            return Some(known);
        }
        let bytes = footprint::heap(text.len());
        if self.texts.len() >= PATTERNS_MAX || self.bytes + bytes > PATTERNS_BYTES_MAX {
            return None;
        }
        self.bytes += bytes;
        let next = self.texts.len() as PatternNumber;
        self.texts.push(text.into());
        let (texts, hasher) = (&self.texts, &self.hasher);
        let hash_of = |&at: &PatternNumber| hasher.hash_one(&*texts[at as usize]);
        self.numbers.insert_unique(hash, next, hash_of);
        Some(next)
    }

    pub(super) fn text(&self, number: PatternNumber) -> &str {
        &self.texts[number as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Rule;

    fn domain(number: usize) -> Target {
        Target::Domain(format!("d{number}.example"))
    }

    #[test]
    fn targets_have_an_end_where_they_are_bounded() {
        let mut targets = Targets::default();
        let numbers: Vec<_> = (0..TARGETS_MAX).map(|at| targets.number(domain(at))).collect();
        assert!(!targets.is_full());
        targets.bound(false);
        assert!(!targets.is_full());
        targets.bound(true);
        assert!(targets.is_full());
        assert_eq!(targets.find(&domain(5)), Some(numbers[5]));
        assert_eq!(targets.number(domain(5)), numbers[5]);
        assert_eq!(targets.find(&domain(TARGETS_MAX)), None);
        let grounds = Grounds { rule: Rule::Dns, own: [1].into(), others: Box::default() };
        assert_eq!(targets.number_held(domain(5), grounds.clone()), None);
        assert_eq!(targets.forget().targets.len(), TARGETS_MAX);
        assert!(!targets.is_full());
        let held = targets.number_held(domain(5), grounds.clone());
        assert!(held.is_some() && held == targets.number_held(domain(5), grounds));
        assert_ne!(held, Some(targets.number(domain(5))));
    }

    #[test]
    fn long_texts_fill_the_room_as_well() {
        let mut targets = Targets::default();
        targets.bound(true);
        let long = |number: usize| Target::Domain(format!("{number:0>250}"));
        let count = (0..).find(|&number| {
            targets.number(long(number));
            targets.is_full()
        });
        assert!(count.unwrap() < TARGETS_MAX / 2);
        let mut patterns = Patterns::default();
        let count = (0..).find(|number| patterns.number(&format!("{number:0>250}")).is_none());
        assert!(count.unwrap() < PATTERNS_MAX / 2);
        assert_eq!(patterns.text(3).len(), 250);
    }
}
