//! What flows had before it was known what they are.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::flow::table::FlowId;
use crate::footprint;
use crate::time::Hour;
use crate::usage::Sums;

/// Sums of undecided flows, of minutes that are over, by hour.
#[derive(Default)]
pub(super) struct Pending {
    flows: HashMap<FlowId, Vec<(Hour, Sums)>, RandomState>,
    kept: usize,
}

impl Pending {
    /// Sums kept: those of flows that say nothing for minutes, which few do that are of any use.
    const KEPT_MAX: usize = 7 << 12;
    /// Memory of as many.
    pub(super) const BYTES_MAX: usize =
        footprint::map(Pending::KEPT_MAX, size_of::<(FlowId, Vec<(Hour, Sums)>)>())
            + Pending::KEPT_MAX * footprint::heap(2 * size_of::<(Hour, Sums)>());

    /// Whether no more are kept.
    pub(super) fn is_full(&self) -> bool {
        self.kept >= Pending::KEPT_MAX
    }

    pub(super) fn add(&mut self, flow: FlowId, hour: Hour, sums: &Sums) {
        let kept = self.flows.entry(flow).or_insert_with(|| Vec::with_capacity(1));
        match kept.iter_mut().find(|(known, _)| *known == hour) {
            Some((_, known)) => known.add(sums),
            None => {
                kept.push((hour, *sums));
                self.kept += 1;
            }
        }
    }

    pub(super) fn get_mut(&mut self, flow: FlowId) -> &mut [(Hour, Sums)] {
        self.flows.get_mut(&flow).map(Vec::as_mut_slice).unwrap_or_default()
    }

    pub(super) fn take(&mut self, flow: FlowId) -> Vec<(Hour, Sums)> {
        if self.flows.is_empty() {
            return Vec::new();
        }
        let kept = self.flows.remove(&flow).unwrap_or_default();
        self.kept -= kept.len();
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_kept_by_hour_and_within_a_bound() {
        let mut pending = Pending::default();
        let sums = Sums { bytes_up: 1, ..Sums::default() };
        for (flow, hour) in [(1, 0), (1, 60), (1, 60), (2, 0)] {
            pending.add(flow, Hour(hour), &sums);
        }
        assert_eq!(pending.kept, 3);
        let bytes = |kept: Vec<(Hour, Sums)>| kept.into_iter().map(|(_, sums)| sums.bytes_up);
        assert_eq!(bytes(pending.take(1)).collect::<Vec<_>>(), [1, 2]);
        assert!(pending.take(1).is_empty() && pending.get_mut(1).is_empty());
        for flow in 2..=Pending::KEPT_MAX as FlowId {
            assert!(!pending.is_full());
            pending.add(flow + 1, Hour(0), &sums);
        }
        assert!(pending.is_full());
    }
}
