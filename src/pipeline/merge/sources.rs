//! What tells of subjects whether they are people.

use super::super::clocks::Full;
use super::super::sources::TraitValue;
use super::Merge;
use crate::evidence::source::{Trait, value_of};
use crate::stats::Counter;
use crate::time::Timestamp;
use crate::worker::part::Part;

impl Merge {
    /// Takes the traits of all parts of a tick together: which values find room must not depend on
    /// who saw them.
    pub(super) fn take_traits(&mut self, parts: &[(usize, Part)]) {
        let mut values = Vec::new();
        for seen in parts.iter().flat_map(|(_, part)| &part.traits) {
            let value = self.identities.trait_value(seen.value);
            let Some(subject) = self.hinted_subject(seen.address) else { continue };
            self.tell(subject, seen.hour);
            values.push(TraitValue::new(subject, seen.hour, seen.what, value));
        }
        let mut openings: Vec<_> = parts.iter().flat_map(|(_, part)| &part.openings).collect();
        openings.sort_unstable();
        for opening in openings {
            self.openings.see(opening);
            let Some(ticks) = opening.ticks else { continue };
            let Some(subject) = self.hinted_subject(opening.client.address) else { continue };
            let hour = opening.hour;
            match self.clocks.see(subject, opening, ticks) {
                Ok(Some(number)) => {
                    let value = self.identities.trait_value(number);
                    self.tell(subject, hour);
                    values.push(TraitValue::new(subject, hour, Trait::Clock, value));
                }
                Ok(None) => {}
                Err(Full) => self.summary.bound(Counter::HintDropped, 1),
            }
        }
        let mut owners: Vec<_> = parts.iter().flat_map(|(_, part)| &part.owners).collect();
        owners.sort_unstable();
        for &(address, link, hour) in owners {
            self.openings.owns(address, link, hour);
        }
        let mut served: Vec<_> = parts.iter().flat_map(|(_, part)| &part.served).collect();
        served.sort_unstable();
        for (served, &flows) in served {
            self.services.see(served, flows);
        }
        self.add_traits(values);
    }

    /// Takes what is told of hours that are over at `horizon`, or of all without one.
    pub(super) fn settle_sources(&mut self, horizon: Option<Timestamp>) {
        if let Some(horizon) = horizon {
            self.summary.sources.forget_old(horizon);
        }
        let mut values = Vec::new();
        for told in self.openings.settle(horizon) {
            let Some(subject) = self.hinted_subject(told.address) else { continue };
            self.tell(subject, told.hour);
            let numbers = 1..=told.number.min(Trait::VALUES_MAX as u64);
            let value = |number| {
                let value = self.identities.trait_value(number);
                TraitValue::new(subject, told.hour, told.what, value)
            };
            values.extend(numbers.map(value));
        }
        for told in self.services.settle(horizon) {
            let subject = self.subject(told.server);
            self.tell(subject, told.hour);
            if !self.summary.sources.accept(subject, told.hour, told.flows) {
                self.summary.bound(Counter::HintDropped, 1);
            }
            let value = |&client: &_| {
                let value = self.identities.trait_value(value_of(client));
                TraitValue::new(subject, told.hour, Trait::Serves, value)
            };
            values.extend(told.clients.iter().map(value));
        }
        self.add_traits(values);
    }

    fn add_traits(&mut self, mut values: Vec<TraitValue>) {
        values.sort_unstable();
        values.dedup();
        let (counter, dropped) = self.summary.sources.add(values);
        self.summary.bound(counter, dropped);
    }
}
