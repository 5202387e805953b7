//! Sensor time: the largest stamp so far, which drives expiry and nothing else.
//!
//! Kept where the order of the whole input is known, so that every worker sees the same time at
//! the same packet.

use crate::time::{NANOS_PER_SECOND, Timestamp};

/// A stamp further back than this is a time step.
pub const STEP_BACK_NANOS: i64 = 60 * NANOS_PER_SECOND;
/// A stamp further ahead than this is a time step.
pub const STEP_AHEAD_NANOS: i64 = 3600 * NANOS_PER_SECOND;
/// Time steps a run follows; after them sensor time only goes forward.
pub const STEPS_MAX: u32 = 1000;

/// A jump of the stamps: sensor time goes on from another place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeStep {
    /// Sensor time before it.
    pub before: Timestamp,
    /// Sensor time from here on.
    pub after: Timestamp,
}

/// Sensor time of a whole input.
#[derive(Clone, Debug)]
pub struct SensorClock {
    /// `NO_TIME` before the first packet.
    now: Timestamp,
    steps: u32,
}

/// A stamp that no packet has: formats cannot write it.
const NO_TIME: Timestamp = Timestamp::MIN;

impl Default for SensorClock {
    fn default() -> SensorClock {
        SensorClock { now: NO_TIME, steps: 0 }
    }
}

impl SensorClock {
    /// Takes the next packet's stamp and says whether it is a time step.
    #[inline]
    pub fn observe(&mut self, stamp: Timestamp) -> Option<TimeStep> {
        // One comparison for both ends, and for the first packet. (Stamps six centuries apart count as
        // close, which is as well.)
        let ahead = stamp.0.wrapping_sub(self.now.0);
        if ahead.wrapping_add(STEP_BACK_NANOS) as u64 <= (STEP_BACK_NANOS + STEP_AHEAD_NANOS) as u64
        {
            self.now = self.now.max(stamp);
            return None;
        }
        self.step(stamp)
    }

    #[cold]
    fn step(&mut self, after: Timestamp) -> Option<TimeStep> {
        let before = std::mem::replace(&mut self.now, after);
        if before == NO_TIME {
            return None;
        }
        if self.steps >= STEPS_MAX {
            self.now = before.max(after);
            return None;
        }
        self.steps += 1;
        Some(TimeStep { before, after })
    }

    /// Time steps so far.
    pub fn steps(&self) -> u32 {
        self.steps
    }

    /// Sensor time now; none before the first packet.
    pub fn now(&self) -> Option<Timestamp> {
        (self.now != NO_TIME).then_some(self.now)
    }

    /// As [`SensorClock::now`], behind a packet.
    #[inline]
    pub fn at_packet(&self) -> Timestamp {
        self.now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_parts(seconds, 0)
    }

    #[test]
    fn small_steps_back_are_no_steps_and_do_not_turn_time_back() {
        let mut clock = SensorClock::default();
        assert_eq!(clock.observe(at(100)), None);
        assert_eq!(clock.observe(at(41)), None);
        assert_eq!(clock.now(), Some(at(100)));
        assert_eq!(clock.observe(at(3700)), None);
        assert_eq!(clock.now(), Some(at(3700)));
    }

    #[test]
    fn jumps_are_followed_until_the_bound() {
        let mut clock = SensorClock::default();
        clock.observe(at(1000));
        assert_eq!(clock.observe(at(900)), Some(TimeStep { before: at(1000), after: at(900) }));
        assert_eq!(
            clock.observe(at(90_000)),
            Some(TimeStep { before: at(900), after: at(90_000) })
        );
        for n in 2..STEPS_MAX {
            assert!(clock.observe(at(if n % 2 == 0 { 0 } else { 90_000 })).is_some());
        }
        assert_eq!(clock.observe(at(0)), None);
        assert_eq!(clock.now(), Some(at(90_000)));
    }
}
