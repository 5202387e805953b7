//! Which flows began while a page of another site was loading: the facts behind the shadow rule of
//! [`crate::evidence`].
//!
//! Beginnings of one client that follow each other without a silence are a *load*, for at most some
//! seconds, also where something always begins. It belongs to the first site in it that shows pages to everybody: a domain
//! without signature, or an app's host of role `visit` or `site`. Embeds, telemetry and sign-in
//! pages lead nowhere, and neither do hosts of role `use`: who works with an app and opens another
//! one uses both. Every flow to another site *followed*. How long a silence
//! ends a load is a threshold, so that this is kept for several
//! ([`FOLLOWED_SECONDS`]).
//!
//! A flow is heard of up to two minutes after it began, so beginnings wait for [`WAIT_NANOS`]
//! before they are looked at, in the order of their stamps.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::time::{NANOS_PER_SECOND, Timestamp};
use crate::usage::FOLLOWED_SECONDS;

/// How long a beginning waits for those before it, by sensor time.
pub const WAIT_NANOS: i64 = 180 * NANOS_PER_SECOND;
/// Beginnings that wait.
pub const WAITING_MAX: usize = 1 << 22;
/// Clients whose loads are known; when there are more, all are forgotten.
const CLIENTS_MAX: usize = 1 << 20;

/// What belongs together as one site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Site {
    /// An app, by its number in the catalogue.
    App(u32),
    /// A domain without signature, by its number as a target.
    Domain(u32),
}

/// A flow that began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begun<K> {
    /// When.
    pub time: Timestamp,
    /// Whose, by the number of the subject.
    pub client: u32,
    /// Where to.
    pub site: Site,
    /// Whether pages for everybody are there: others lead no load.
    pub leads: bool,
    /// Where that it followed is to be noted.
    pub row: K,
}

/// Per silence of [`FOLLOWED_SECONDS`]: whether a flow followed.
pub type Followed = [u64; FOLLOWED_SECONDS.len()];

/// See the module.
pub struct Loads<K> {
    /// After how long a load is over.
    nanos_max: i64,
    waiting: Vec<Begun<K>>,
    clients: HashMap<u32, [Load; FOLLOWED_SECONDS.len()], RandomState>,
    dropped: u64,
}

/// A client's load, as far as it has gone.
#[derive(Clone, Copy, Default)]
struct Load {
    last: Timestamp,
    /// Who leads it, and since when.
    leader: Option<(Site, Timestamp)>,
}

impl<K: Copy> Loads<K> {
    /// Where a load is over after so many seconds.
    pub fn new(seconds_max: u64) -> Loads<K> {
        let nanos_max = nanos(seconds_max);
        Loads { nanos_max, waiting: Vec::new(), clients: HashMap::default(), dropped: 0 }
    }

    /// Ends loads after so many seconds from now on.
    pub fn exchange_seconds(&mut self, seconds_max: u64) {
        self.nanos_max = nanos(seconds_max);
    }

    /// Takes a beginning.
    pub fn begin(&mut self, begun: Begun<K>) {
        if self.waiting.len() < WAITING_MAX {
            self.waiting.push(begun);
        } else {
            self.dropped += 1;
        }
    }

    /// Beginnings dropped since the last time this was asked.
    pub fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    /// Tells `each` of the flows that followed, among those that have waited long enough at
    /// `horizon`, or all without one. `order` decides between flows of one client and stamp.
    pub fn settle(
        &mut self,
        horizon: Option<Timestamp>,
        order: impl Fn(&K, &K) -> std::cmp::Ordering,
        mut each: impl FnMut(K, Followed),
    ) {
        let mut due = match horizon {
            None => std::mem::take(&mut self.waiting),
            Some(horizon) => {
                let until = horizon.offset(-WAIT_NANOS);
                self.waiting.extract_if(.., |begun| begun.time < until).collect()
            }
        };
        due.sort_by(|one, other| {
            let key = |begun: &Begun<K>| (begun.client, begun.time, !begun.leads);
            key(one).cmp(&key(other)).then_with(|| order(&one.row, &other.row))
        });
        if self.clients.len() > CLIENTS_MAX {
            self.clients.clear();
        }
        for begun in due {
            let followed = self.step(&begun);
            if followed != Followed::default() {
                each(begun.row, followed);
            }
        }
    }

    fn step(&mut self, begun: &Begun<K>) -> Followed {
        let nanos_max = self.nanos_max;
        let loads = self.clients.entry(begun.client).or_default();
        let mut followed = Followed::default();
        for ((load, seconds), followed) in loads.iter_mut().zip(FOLLOWED_SECONDS).zip(&mut followed)
        {
            let silence = begun.time.nanos_since(load.last);
            let since = load.leader.map_or(0, |(_, since)| begun.time.nanos_since(since));
            let goes_on = (0..=i64::from(seconds) * NANOS_PER_SECOND).contains(&silence)
                && since <= nanos_max;
            if !goes_on {
                load.leader = None;
            }
            if load.leader.is_none() && begun.leads {
                load.leader = Some((begun.site, begun.time));
            }
            *followed = load.leader.is_some_and(|(site, _)| site != begun.site).into();
            load.last = begun.time;
        }
        followed
    }
}

fn nanos(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(NANOS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: Site = Site::Domain(1);
    const APP: Site = Site::App(1);
    const OTHER: Site = Site::App(2);

    /// What followed of (milliseconds, site, leads), by place in the list.
    fn followed(flows: &[(i64, Site, bool)]) -> Vec<Followed> {
        let mut loads = Loads::new(15);
        // In no order: they come as workers hand them on.
        for (row, &(millis, site, leads)) in flows.iter().enumerate().rev() {
            let time = Timestamp(1_000_000_000_000 + millis * 1_000_000);
            loads.begin(Begun { time, client: 7, site, leads, row });
        }
        let mut found = vec![Followed::default(); flows.len()];
        loads.settle(None, usize::cmp, |row, followed| found[row] = followed);
        found
    }

    #[test]
    fn who_comes_first_leads() {
        let found = followed(&[(0, PAGE, true), (300, APP, true), (900, PAGE, true)]);
        assert_eq!(found, [[0; 3], [1; 3], [0; 3]]);
        // The same app alone leads itself.
        assert_eq!(followed(&[(0, APP, true), (300, APP, true)]), [[0; 3]; 2]);
    }

    #[test]
    fn a_silence_ends_a_load() {
        let found = followed(&[(0, PAGE, true), (1500, APP, true), (5000, OTHER, true)]);
        assert_eq!(found, [[0, 0, 0], [0, 1, 1], [0, 0, 1]]);
    }

    #[test]
    fn what_shows_no_pages_leads_nothing() {
        let found = followed(&[(0, OTHER, false), (100, APP, true), (200, OTHER, false)]);
        assert_eq!(found, [[0; 3], [0; 3], [1; 3]]);
    }

    #[test]
    fn a_load_does_not_last_for_ever() {
        let flows: Vec<_> =
            (0..40).map(|n| (n * 500, if n == 39 { APP } else { PAGE }, true)).collect();
        assert_eq!(followed(&flows)[39], [1; 3], "the page leads a second load");
        let flows: Vec<_> =
            (0..32).map(|n| (n * 500, if n == 31 { APP } else { PAGE }, n != 30)).collect();
        assert_eq!(followed(&flows)[31], [0; 3], "16 s after its beginning the load is over");
    }

    #[test]
    fn when_it_is_asked_changes_nothing() {
        let flows: Vec<(i64, Site)> = (0..400)
            .map(|n| (n * 700 + n * n * 13 % 997, [PAGE, APP, OTHER][(n * n % 3) as usize]))
            .collect();
        let run = |ticks: bool| {
            let mut loads = Loads::new(15);
            let mut sum = [0; 3];
            let mut add = |_: usize, followed: Followed| {
                sum.iter_mut().zip(followed).for_each(|(sum, one)| *sum += one);
            };
            for (row, &(millis, site)) in flows.iter().enumerate() {
                let time = Timestamp(millis * 1_000_000);
                loads.begin(Begun { time, client: 1, site, leads: true, row });
                if ticks && row % 50 == 0 {
                    loads.settle(Some(time), usize::cmp, &mut add);
                }
            }
            loads.settle(None, usize::cmp, &mut add);
            sum
        };
        assert_eq!(run(false), run(true));
        assert!(run(false).iter().all(|sum| *sum > 0));
    }
}
