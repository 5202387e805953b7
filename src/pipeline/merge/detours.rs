//! Ways around, as merge adds them up: those that workers knew by what was said, and those that names
//! and addresses tell.

use super::super::gathered::DETOURS_MAX;
use super::super::verdicts::Verdict;
use super::Merge;
use crate::net::Address;
use crate::stats::Counter;
use crate::time::Hour;
use crate::usage::Sums;
use crate::worker::detours::Detour;

impl Merge {
    /// Adds what was had of a way around: of a device, where one at home had a part in it.
    pub(super) fn detour(
        &mut self,
        device: Option<Address>,
        hour: Hour,
        detour: Detour,
        flows: u64,
        bytes: u64,
    ) {
        let subject = device.map(|device| self.subject(device));
        let key = (hour, subject, detour);
        if self.gathered.detours.len() < DETOURS_MAX || self.gathered.detours.contains_key(&key) {
            let sums = self.gathered.detours.entry(key).or_default();
            sums.0 += flows;
            sums.1 += bytes;
        } else {
            self.summary.bound(Counter::HintDropped, 1);
        }
        self.summary.detour(detour, subject, flows, bytes);
    }

    /// Adds sums of a flow whose name or address stands for a way around; `of_resolver` is what it is
    /// where that is a resolver's.
    pub(super) fn detour_by_name(
        &mut self,
        client: Address,
        hour: Hour,
        verdict: Verdict,
        of_resolver: Detour,
        sums: &Sums,
    ) {
        if let Some(detour) = self.verdicts.detour(verdict, of_resolver)
            && sums.has_traffic()
        {
            self.detour(Some(client), hour, detour, sums.connections, sums.bytes());
        }
    }
}
