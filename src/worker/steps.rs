//! When what a slot holds is handed on before its time: the minute turns, or a client asks for
//! something after a silence. What merge is told of that is a [`Step`].

use super::bucket::BY_NAME;
use super::ended::own_name;
use super::part::{FlowStep, Step};
use super::{Item, Worker};
use crate::flow::slot::{FREE, Hot, Side, mark};
use crate::flow::table::FlowId;
use crate::stats::Counter;
use crate::time::{Hour, NANOS_PER_SECOND, Timestamp};
use crate::usage::{PAGE_BYTES_MIN, Sums, UsageKey};

/// A silence on a connection after which a request may be for another page: as long as the longest of
/// [`crate::usage::LOAD_RULES`], which ends a load for certain.
const SILENCE_NANOS: i64 = 5 * NANOS_PER_SECOND;
/// The least answer to such a request that merge is told of.
pub(super) const ANSWER_BYTES_MIN: u32 = PAGE_BYTES_MIN;

/// How long after such a request its answer is told of: it is that of the minute.
const ANSWER_SECONDS: i64 = 61;
/// Requests whose answers are awaited.
const RESUMED_MAX: usize = 65_536;
/// Memory of as many.
pub(super) const BYTES_MAX: usize = RESUMED_MAX * size_of::<(i64, FlowId)>();

impl Worker {
    /// The packet's minute is another one than the slot's, or the flow was silent before it: what
    /// the slot holds is handed on.
    #[cold]
    pub(super) fn turn(&mut self, flow: FlowId, side: Side, item: &Item<'_>) {
        let hot = self.table.hot(flow);
        let is_resumed = is_silent(hot, item)
            && side == hot.client()
            && item.packet.payload_length > 0
            && hot.marks & mark::SPOKE_0 << side != 0;
        if hot.minute != item.minute {
            self.turn_minute(flow, item);
        } else if is_resumed {
            // What had payload in the minute still has.
            let payload = hot.marks & (mark::PAYLOAD_0 | mark::PAYLOAD_0 << 1);
            self.hand_on(flow);
            self.table.hot(flow).marks |= payload;
        }
        if is_resumed {
            self.table.cold(flow).exchange_resumed(true);
            self.await_answer(flow, item);
        }
    }

    /// Has the answer told of soon. Else nobody might look at the flow for as long as it may be silent,
    /// and merge does not wait so long for what leads a load.
    fn await_answer(&mut self, flow: FlowId, item: &Item<'_>) {
        if self.resumed.len() < RESUMED_MAX {
            self.resumed.push_back((item.sensor.seconds().saturating_add(ANSWER_SECONDS), flow));
        } else {
            self.count_event(Counter::BeginningDropped);
        }
    }

    /// Hands on what flows hold that resumed a while ago.
    pub(super) fn hand_on_resumed(&mut self, now: Timestamp) {
        while let Some(&(due, flow)) = self.resumed.front()
            && due <= now.seconds()
        {
            self.resumed.pop_front();
            // It may be another flow by now, which loses nothing by being told of.
            let hot = self.table.hot(flow);
            if hot.protocol != FREE && hot.packets > 0 && hot.minute < now.minute() {
                self.hand_on(flow);
            }
        }
    }

    fn turn_minute(&mut self, flow: FlowId, item: &Item<'_>) {
        self.hand_on(flow);
        let old_minute = self.table.hot(flow).minute;
        let (old_hour, hour) = (self.hour(old_minute), self.hour(item.minute));
        if old_hour != hour {
            self.table.cold(flow).behind_hello = [0; 2];
            // Of one that is undecided it is told when it is decided.
            if self.table.hot(flow).marks & mark::DECIDED != 0 {
                self.deliver(flow, hour, &Sums::default(), Some(Step::WentOn(0)));
            }
        }
        let hot = self.table.hot(flow);
        self.totals.note_last(flow, hot.last_seen);
        hot.minute = item.minute;
        hot.last_seen = item.time;
    }

    /// Tells that the client of a flow with a name of its own asked at `time`, after a silence, for
    /// what may be a page.
    pub(super) fn tell_resumed(&mut self, flow: FlowId, hour: Hour, time: Timestamp, answer: u32) {
        let (hot, cold) = self.table.both(flow);
        let client = hot.addresses[hot.client()];
        // What has no row of usage leads nowhere either.
        if hot.bucket != BY_NAME || self.inspector.outer(flow).is_some() {
            return;
        }
        if let Some((name, source)) = own_name(cold) {
            let key = UsageKey { client, name, hour, source, bucket: BY_NAME, at_home: false };
            let server = hot.addresses[1 - hot.client()];
            // Its name is held by its sums.
            if self.usage.get_mut(&key).is_some() && self.allowance.step() {
                self.part.steps.push(FlowStep { key, server, time, step: Step::Resumed(answer) });
            } else {
                self.count_event(Counter::BeginningDropped);
            }
        }
    }
}

/// Whether a flow was silent before this packet. A packet that is late is not, and neither is the
/// first.
#[inline]
pub(super) fn is_silent(hot: &Hot, item: &Item<'_>) -> bool {
    item.time.0.wrapping_sub(hot.last_seen.0) > SILENCE_NANOS
}
