//! Names that a worker holds: each once, numbered, within a bound.

use super::Worker;
use super::part::Part;
use crate::hostname::{HOSTNAME_LENGTH_MAX, registrable_domain};
use crate::stats::Counter;
use crate::usage::{NAMES_BYTES_MAX, NAMES_MAX, NameId};

/// The name of everything that no longer fits.
const OTHER: &str = "other";

impl Worker {
    /// Holds a name; where too many are held, its registrable domain, or "other".
    pub(super) fn intern(&mut self, name: &str) -> NameId {
        self.intern_within(name, NAMES_MAX, 2 * NAMES_MAX)
    }

    /// The same for names that were only asked for: they leave half of the room to those of flows, and
    /// their domains a quarter.
    pub(super) fn intern_question(&mut self, name: &str) -> NameId {
        self.intern_within(name, NAMES_MAX / 2, NAMES_MAX / 4 * 3)
    }

    fn intern_within(&mut self, name: &str, names_max: usize, domains_max: usize) -> NameId {
        // One that is as long as can be finds room, and "other" always does.
        let is_full = self.names.text_bytes() + HOSTNAME_LENGTH_MAX > NAMES_BYTES_MAX;
        if is_full && let Some(known) = self.names.find(name) {
            return self.names.hold_again(known);
        }
        let held = if is_full { usize::MAX } else { self.names.len() };
        if held < names_max {
            return self.names.hold(name);
        }
        match registrable_domain(name) {
            Some(domain) if held < domains_max => {
                self.count_event(Counter::NameFolded);
                self.names.hold(domain)
            }
            _ => {
                self.count_event(Counter::NameOther);
                self.names.hold(OTHER)
            }
        }
    }

    /// Replaces the worker's numbers of names in `part` by the part's own.
    pub(super) fn number_names(&mut self, part: &mut Part) {
        // By the worker's number, the part's and one; 0 for names that the part has not met.
        let mut numbers = vec![0_u32; self.names.numbers()];
        let Part { usage, questions, answers, .. } = &*part;
        let mut held = Vec::with_capacity(usage.len() + questions.len() + answers.len());
        let names = &self.names;
        let all = &mut part.names;
        let mut number = |name: &mut NameId| {
            let known = &mut numbers[*name as usize];
            if *known == 0 {
                *known = all.push(names.text(*name)) + 1;
            }
            *name = *known - 1;
        };
        let usage = part.usage.iter_mut().map(|(key, _)| &mut key.name);
        let questions = part.questions.iter_mut().map(|(key, _)| &mut key.name);
        let answers = part.answers.iter_mut().map(|answer| &mut answer.name);
        for name in usage.chain(questions).chain(answers) {
            held.push(*name);
            number(name);
        }
        let outer = part.anonymous.iter_mut().filter_map(|flow| flow.outer.as_mut());
        for (name, _) in outer.filter_map(|outer| outer.name.as_mut()) {
            held.push(*name);
            number(name);
        }
        // Each is in the part's usage too, which holds its name.
        for step in &mut part.steps {
            number(&mut step.key.name);
        }
        for record in &mut part.flows {
            if let Some((name, _)) = &mut record.name {
                held.push(*name);
                number(name);
            }
        }
        for name in held {
            self.names.release(name);
        }
    }
}
