//! A timing wheel: which flows are to be looked at in which second.
//!
//! A flow is in the wheel exactly once and is moved only when its time comes, never by a packet.
//! So a second costs what falls due in it, and nothing is ever sorted.

use super::slot::NONE;
use super::table::FlowId;

/// Seconds a wheel spans; no time-out is longer.
const SPAN: i64 = 1024;

/// Heads of the lists of flows, one a second; the links are kept with the flows.
pub struct Wheel {
    heads: Vec<FlowId>,
    /// The second that is being emptied; all before it are empty.
    at_seconds: Option<i64>,
    entries: usize,
    /// No flow is to be looked at before this second, as far as they were entered since.
    earliest: i64,
}

impl Default for Wheel {
    /// An empty wheel.
    fn default() -> Wheel {
        Wheel { heads: vec![NONE; SPAN as usize], at_seconds: None, entries: 0, earliest: i64::MAX }
    }
}

impl Wheel {
    /// Enters a flow to be looked at in second `due` (the current one at the earliest, the last
    /// one of the span at the latest). Returns the flow that follows it in its list.
    pub fn push(&mut self, flow: FlowId, due_seconds: i64) -> FlowId {
        let at = *self.at_seconds.get_or_insert(due_seconds);
        let due = due_seconds.clamp(at, at.saturating_add(SPAN - 1));
        let head = &mut self.heads[due.rem_euclid(SPAN) as usize];
        self.entries += 1;
        self.earliest = self.earliest.min(due);
        std::mem::replace(head, flow)
    }

    /// Takes out a flow whose second has come by `now`. `next` tells the link that
    /// [`Wheel::push`] returned for a flow.
    pub fn pop(&mut self, now_seconds: i64, next: impl Fn(FlowId) -> FlowId) -> Option<FlowId> {
        let at = self.at_seconds.as_mut()?;
        if self.entries == 0 {
            *at = now_seconds.max(*at);
            return None;
        }
        if now_seconds.saturating_sub(*at) > SPAN {
            // Everything is due: one turn finds it all.
            *at = now_seconds - SPAN;
        }
        while *at <= now_seconds {
            let head = &mut self.heads[at.rem_euclid(SPAN) as usize];
            if *head != NONE {
                let flow = *head;
                *head = next(flow);
                self.entries -= 1;
                return Some(flow);
            }
            if *at == now_seconds {
                break;
            }
            *at += 1;
        }
        None
    }

    /// Takes out the flow that is due first, however far away.
    pub fn pop_first(&mut self, next: impl Fn(FlowId) -> FlowId) -> Option<FlowId> {
        let at = self.at_seconds?;
        if self.entries == 0 {
            return None;
        }
        // What was found empty is not searched again for each flow.
        let begin = self.earliest.saturating_sub(at).clamp(0, SPAN);
        (begin..SPAN).find_map(|ahead| {
            let second = at.saturating_add(ahead);
            let head = &mut self.heads[second.rem_euclid(SPAN) as usize];
            let flow = *head;
            (flow != NONE).then(|| {
                *head = next(flow);
                self.entries -= 1;
                self.earliest = second;
                flow
            })
        })
    }

    /// Sets an empty wheel to begin wherever the next flow is entered.
    pub fn restart(&mut self) {
        assert!(self.entries == 0, "a wheel with flows in it cannot be set anew");
        self.at_seconds = None;
        self.earliest = i64::MAX;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keeps the links that a table would keep with its flows.
    struct Harness(Wheel, Vec<FlowId>);

    impl Harness {
        fn new() -> Harness {
            Harness(Wheel::default(), vec![NONE; 100])
        }

        fn push(&mut self, flow: FlowId, due: i64) {
            self.1[flow as usize] = self.0.push(flow, due);
        }

        fn due(&mut self, now: i64) -> Vec<FlowId> {
            let mut flows: Vec<_> =
                std::iter::from_fn(|| self.0.pop(now, |flow| self.1[flow as usize])).collect();
            flows.sort_unstable();
            flows
        }
    }

    #[test]
    fn flows_come_out_in_their_second_and_once() {
        let mut wheel = Harness::new();
        wheel.push(1, 100);
        wheel.push(2, 105);
        wheel.push(3, 105);
        wheel.push(4, 900);
        assert_eq!(wheel.due(104), [1]);
        assert_eq!(wheel.due(105), [2, 3]);
        assert!(wheel.due(899).is_empty());
        assert_eq!(wheel.due(900), [4]);
        assert!(wheel.due(5000).is_empty());
    }

    #[test]
    fn a_jump_over_the_whole_span_finds_all() {
        let mut wheel = Harness::new();
        wheel.push(1, 10);
        wheel.push(2, 1000);
        assert_eq!(wheel.due(1_000_000), [1, 2]);
        wheel.push(3, 1_000_010);
        assert!(wheel.due(1_000_009).is_empty());
        assert_eq!(wheel.due(1_000_010), [3]);
    }

    #[test]
    fn what_is_due_in_the_past_comes_at_once() {
        let mut wheel = Harness::new();
        wheel.push(1, 100);
        assert_eq!(wheel.due(200), [1]);
        wheel.push(2, 150);
        assert_eq!(wheel.due(200), [2]);
    }

    #[test]
    fn the_first_due_is_evicted_first() {
        let mut wheel = Harness::new();
        for (flow, due) in [(1, 500), (2, 120), (3, 1100)] {
            wheel.push(flow, due);
        }
        let Harness(wheel, links) = &mut wheel;
        // The wheel began with second 500, so that 120 counts as due at once.
        let mut first = || wheel.pop_first(|flow| links[flow as usize]);
        assert_eq!([first(), first(), first(), first()], [Some(2), Some(1), Some(3), None]);
    }
}
