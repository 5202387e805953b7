//! Verdicts on anonymous flows that are open, within bounds of number and memory.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::super::calls::OpenFlow;
use super::super::naming::Named;
use crate::footprint;

/// Verdicts remembered, and bytes of names in them, for each worker.
const VERDICTS_MAX: usize = 7 << 15;
const NAMES_BYTES_MAX: usize = 16 << 20;
/// Memory of a worker's.
pub(in crate::pipeline) const BYTES_MAX: usize =
    footprint::map(VERDICTS_MAX, size_of::<(OpenFlow, Arc<Named>)>()) + NAMES_BYTES_MAX;

/// By worker and flow.
#[derive(Default)]
pub(super) struct Open {
    flows: HashMap<OpenFlow, Arc<Named>, RandomState>,
    bytes: usize,
}

impl Open {
    pub(super) fn get(&self, flow: &OpenFlow) -> Option<&Arc<Named>> {
        self.flows.get(flow)
    }

    pub(super) fn contains(&self, flow: &OpenFlow) -> bool {
        self.flows.contains_key(flow)
    }

    /// Remembers a verdict, if there is room for it. `unknown` is that of which there are most, kept
    /// once for all.
    pub(super) fn remember(
        &mut self,
        flow: OpenFlow,
        named: &Arc<Named>,
        unknown: &Arc<Named>,
    ) -> bool {
        let workers = flow.0 + 1;
        let bytes = if Arc::ptr_eq(named, unknown) { 0 } else { memory_of(named) };
        let has_room = self.flows.len() < VERDICTS_MAX * workers
            && self.bytes + bytes <= NAMES_BYTES_MAX * workers;
        if has_room {
            self.bytes += bytes;
            let old = self.flows.insert(flow, Arc::clone(named));
            self.bytes -= old.map_or(0, |old| memory_kept(&old, unknown));
        }
        has_room
    }

    /// Forgets one. Says whether there was any.
    pub(super) fn forget(&mut self, flow: &OpenFlow, unknown: &Arc<Named>) -> bool {
        let old = self.flows.remove(flow);
        self.bytes -= old.as_ref().map_or(0, |old| memory_kept(old, unknown));
        old.is_some()
    }

    pub(super) fn verdicts(&mut self) -> impl Iterator<Item = &mut Arc<Named>> {
        self.flows.values_mut()
    }
}

fn memory_kept(named: &Arc<Named>, unknown: &Arc<Named>) -> usize {
    if Arc::ptr_eq(named, unknown) { 0 } else { memory_of(named) }
}

/// Memory of a verdict. Targets may get other numbers, which changes nothing in it.
fn memory_of(named: &Named) -> usize {
    let names = named.candidates.iter().chain(&named.name);
    footprint::heap(size_of::<Named>() + 2 * size_of::<usize>())
        + footprint::heap(size_of_val(&*named.candidates))
        + names.map(|name| footprint::heap(name.len())).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_with_many_names_find_less_room() {
        let unknown = Arc::new(Named::nobody_knows());
        let names: Box<[Box<str>]> = (0..16).map(|at| format!("{at:0>200}").into()).collect();
        let long = Arc::new(Named { candidates: names, ..Named::nobody_knows() });
        let mut open = Open::default();
        let flow = |at: usize| (0, at as u32, 0);
        let room = (0..).find(|&at| !open.remember(flow(at), &long, &unknown)).unwrap();
        assert_eq!(room, NAMES_BYTES_MAX / memory_of(&long));
        assert!(open.remember(flow(room), &unknown, &unknown));
        assert!(open.remember((1, 0, 0), &long, &unknown), "another worker's room");
        assert!(open.forget(&flow(0), &unknown) && !open.forget(&flow(0), &unknown));
        for at in 1..=room {
            assert!(open.forget(&flow(at), &unknown));
        }
        assert!(open.forget(&(1, 0, 0), &unknown));
        assert_eq!(open.bytes, 0);
    }
}
