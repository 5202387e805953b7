//! How merge finds out whose media those are that wait for their app; see [`super::super::calls`].

use super::super::naming::name_media;
use super::Merge;
use crate::time::Timestamp;

impl Merge {
    /// Tells whose media those are that have waited long enough.
    pub(super) fn settle_calls(&mut self, horizon: Option<Timestamp>) {
        for (key, pieces) in self.calls.due(horizon) {
            let (.., first_seen) = key;
            let Some(client) = pieces.first().map(|piece| piece.client.address) else { continue };
            let candidates = self.calls.candidates(client, first_seen);
            let named = name_media(&candidates, &mut self.verdicts);
            let named = self.remember(key, named);
            for piece in &pieces {
                self.named_flow(key, &named, piece);
            }
        }
        self.tell_deferred_flows(horizon.is_none());
        if let Some(horizon) = horizon {
            self.calls.forget(horizon);
        }
    }

    /// Tells of flows that ended before it was known what they are: those of which it is by now, or
    /// all that do not wait for their app.
    pub(super) fn tell_deferred_flows(&mut self, all: bool) {
        for (key, flow) in std::mem::take(&mut self.deferred_flows) {
            if self.open.contains_key(&key) || all && !self.calls.is_waiting(&key) {
                self.flow_line(&flow, None, Some(key));
            } else {
                self.deferred_flows.push((key, flow));
            }
        }
    }
}
