//! Devices that showed themselves by ARP or DHCP, and those of them that had no traffic of any app:
//! a number, and never who.
//!
//! Days are UTC's, by the packets' own stamps. A day is judged once nothing of it can come any more.

use std::collections::{BTreeMap, HashSet};

use foldhash::fast::RandomState;

use crate::net::Address;
use crate::time::{Hour, Timestamp};

/// Addresses remembered, over all days that are not judged yet.
pub const PRESENT_MAX: usize = 7 << 16;
/// Memory of as many, in however many tables: each is half full at least, but for an eighth.
pub(super) const BYTES_MAX: usize = PRESENT_MAX * (size_of::<Address>() + 1) * 16 / 7;
const SECONDS_PER_DAY: i64 = 86_400;
/// How long after its end a day is judged.
const WAIT_SECONDS: i64 = 3600;

/// See the module.
#[derive(Default)]
pub(super) struct Presence {
    days: BTreeMap<i64, Day>,
    remembered: usize,
    dropped: u64,
}

#[derive(Default)]
struct Day {
    shown: HashSet<Address, RandomState>,
    active: HashSet<Address, RandomState>,
}

/// What became of a device on a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// ARP or DHCP showed it.
    Shown,
    /// It had traffic of an app.
    Active,
}

impl Presence {
    /// Notes a sign of a device.
    pub(super) fn note(&mut self, device: Address, hour: Hour, sign: Sign) {
        let day = self.days.entry(hour.start_seconds().div_euclid(SECONDS_PER_DAY)).or_default();
        let known = match sign {
            Sign::Shown => &mut day.shown,
            Sign::Active => &mut day.active,
        };
        if known.contains(&device) {
            return;
        }
        if self.remembered < PRESENT_MAX {
            known.insert(device);
            self.remembered += 1;
        } else {
            self.dropped += 1;
        }
    }

    /// Devices that were shown and had no traffic of any app, each once a day: of the days that are
    /// long over at `horizon`, or of all without one.
    pub(super) fn take_silent(&mut self, horizon: Option<Timestamp>) -> u64 {
        let Some(horizon) = horizon else {
            self.remembered = 0;
            return std::mem::take(&mut self.days).values().map(Day::silent).sum();
        };
        let mut silent = 0;
        while let Some(first) = self.days.first_entry() {
            let end = (first.key() + 1) * SECONDS_PER_DAY;
            if end + WAIT_SECONDS > horizon.seconds() {
                break;
            }
            let day = first.remove();
            self.remembered -= day.shown.len() + day.active.len();
            silent += day.silent();
        }
        silent
    }

    /// Signs for which there was no room since the last time this was asked.
    pub(super) fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }
}

impl Day {
    fn silent(&self) -> u64 {
        self.shown.difference(&self.active).count() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_shown_and_has_no_traffic_is_silent_once_a_day() {
        let device = |n| Address::v4([10, 0, 0, n]);
        let hour = |hours: i32| Hour(60 * hours);
        let mut presence = Presence::default();
        for n in [1, 2, 2, 3] {
            presence.note(device(n), hour(1), Sign::Shown);
        }
        presence.note(device(1), hour(20), Sign::Active);
        presence.note(device(9), hour(20), Sign::Active);
        presence.note(device(2), hour(30), Sign::Shown);
        let at = |hours: i64| Some(Timestamp::from_parts(hours * 3600, 0));
        assert_eq!(presence.take_silent(at(24)), 0, "something may come late");
        assert_eq!(presence.take_silent(at(25)), 2);
        assert_eq!(presence.take_silent(at(25)), 0);
        assert_eq!(presence.take_silent(None), 1);
        assert_eq!((presence.remembered, presence.take_dropped()), (0, 0));
    }
}
