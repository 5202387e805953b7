//! Which flows began while a page of another site was loading: the facts behind the shadow rule of
//! [`crate::evidence`].
//!
//! A page leads what its client begins within some seconds after it, as long as beginnings follow each
//! other without a silence. Pages for everybody are there at domains without signature
//! and at an app's hosts of role `visit` or `site`. Embeds, telemetry and sign-in pages lead nowhere,
//! and neither do hosts of role `use`: who works with an app and opens another one uses both. Of
//! several, the first one leads. Every flow to another site *followed*. How long a silence ends a
//! load is a threshold, so that this is kept for several ([`FOLLOWED_SECONDS`]).
//!
//! A domain without signature may turn out to be an app one day, and lead no more: so it is told
//! which sites would lead in its place ([`Leaders`]). What the catalogue knows decides who leads and
//! never when a load ends, so that this can be judged again from what is stored.
//!
//! A flow is heard of up to two minutes after it began, so beginnings wait for [`WAIT_NANOS`]
//! before they are looked at, in the order of their stamps.

use std::collections::{HashMap, VecDeque};

use foldhash::fast::RandomState;

use crate::time::{NANOS_PER_SECOND, Timestamp};
use crate::usage::FOLLOWED_SECONDS;

/// How long a beginning waits for those before it, by sensor time.
pub const WAIT_NANOS: i64 = 180 * NANOS_PER_SECOND;
/// Beginnings that wait.
pub const WAITING_MAX: usize = 1 << 22;
/// Clients whose loads are known; when there are more, all are forgotten.
const CLIENTS_MAX: usize = 1 << 20;
/// Beginnings of pages of one client within these seconds; no more are looked at.
pub const PAGES_MAX: usize = 256;
/// Sites told of that would lead one after the other.
pub const LEADERS_MAX: usize = 3;

/// What belongs together as one site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Site {
    /// An app, by its number in the catalogue.
    App(u32),
    /// A domain without signature, by its number as a target.
    Domain(u32),
    /// What no report has a row of: it is part of a load, and nothing else.
    Shared,
}

/// Whether pages for everybody are at a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leads {
    /// It leads no load.
    No,
    /// As long as it has no signature; its number as a target.
    UntilNamed(u32),
    /// Whatever the catalogue learns; its number as a target.
    Always(u32),
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
    /// Whether it may lead a load.
    pub leads: Leads,
    /// Where that it followed is to be noted.
    pub row: K,
}

/// Per silence of [`FOLLOWED_SECONDS`]: whether a flow followed.
pub type Followed = [u64; FOLLOWED_SECONDS.len()];

/// Who leads, and who would if those before did not, by number as targets. Ends behind the first
/// that [always](Leads::Always) leads.
pub type Leaders = [Option<u32>; LEADERS_MAX];

/// What became of a flow that began within a load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Whether it followed.
    pub followed: Followed,
    /// Per silence: the leaders, where the catalogue may yet decide otherwise; else none.
    pub leaders: [Leaders; FOLLOWED_SECONDS.len()],
}

/// See the module.
pub struct Loads<K> {
    /// After how long a page leads nothing more.
    nanos_max: i64,
    waiting: Vec<Begun<K>>,
    clients: HashMap<u32, Load, RandomState>,
    dropped: u64,
}

/// A client's load, as far as it has gone.
#[derive(Clone, Default)]
struct Load {
    last: Timestamp,
    /// Per silence of [`FOLLOWED_SECONDS`]: the beginning after the last one.
    since: [Timestamp; FOLLOWED_SECONDS.len()],
    /// Pages that may lead, in the order of their beginnings.
    pages: VecDeque<(Timestamp, Site, Leads)>,
}

impl<K: Copy> Loads<K> {
    /// Where a page leads nothing more after so many seconds.
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

    /// Forgets what clients have loaded: numbers are given anew.
    pub fn forget(&mut self) {
        self.clients.clear();
    }

    /// Tells `each` of the flows that followed or may yet be told to have, among those that have
    /// waited long enough at `horizon`, or all without one. `order` decides between flows of one
    /// client and stamp.
    pub fn settle(
        &mut self,
        horizon: Option<Timestamp>,
        order: impl Fn(&K, &K) -> std::cmp::Ordering,
        mut each: impl FnMut(K, Told),
    ) {
        let mut due = match horizon {
            None => std::mem::take(&mut self.waiting),
            Some(horizon) => {
                let until = horizon.offset(-WAIT_NANOS);
                self.waiting.extract_if(.., |begun| begun.time < until).collect()
            }
        };
        due.sort_by(|one, other| {
            let key = |begun: &Begun<K>| (begun.client, begun.time, begun.leads == Leads::No);
            key(one).cmp(&key(other)).then_with(|| order(&one.row, &other.row))
        });
        if self.clients.len() > CLIENTS_MAX {
            self.clients.clear();
        }
        for begun in due {
            let told = self.step(&begun);
            if told != Told::default() {
                each(begun.row, told);
            }
        }
    }

    fn step(&mut self, begun: &Begun<K>) -> Told {
        let load = self.clients.entry(begun.client).or_default();
        let silence = begun.time.nanos_since(load.last);
        for (since, seconds) in load.since.iter_mut().zip(FOLLOWED_SECONDS) {
            if !(0..=i64::from(seconds) * NANOS_PER_SECOND).contains(&silence) {
                *since = begun.time;
            }
        }
        load.last = begun.time;
        let leads_from = begun.time.offset(-self.nanos_max);
        // Of the longest silence, the load is the longest.
        let longest = load.since.iter().copied().min().unwrap_or(begun.time).max(leads_from);
        if silence < 0 {
            load.pages.clear();
        }
        while load.pages.front().is_some_and(|&(time, ..)| time < longest) {
            load.pages.pop_front();
        }
        let mut told = Told::default();
        for (at, since) in load.since.iter().enumerate() {
            let from = leads_from.max(*since);
            let pages = load.pages.iter().filter(|(time, ..)| *time >= from);
            (told.followed[at], told.leaders[at]) = judge(begun.site, pages);
        }
        if begun.leads != Leads::No {
            match load.pages.len() < PAGES_MAX {
                true => load.pages.push_back((begun.time, begun.site, begun.leads)),
                false => self.dropped += 1,
            }
        }
        told
    }
}

fn nanos(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(NANOS_PER_SECOND)
}

/// Whether a flow to `site` behind these pages followed, and who leads, where that may change.
fn judge<'a>(
    site: Site,
    pages: impl Iterator<Item = &'a (Timestamp, Site, Leads)>,
) -> (u64, Leaders) {
    let mut found: arrayvec::ArrayVec<Site, LEADERS_MAX> = arrayvec::ArrayVec::new();
    let mut leaders = Leaders::default();
    for &(_, page, leads) in pages {
        if found.contains(&page) {
            continue;
        }
        let (Leads::UntilNamed(target) | Leads::Always(target)) = leads else { continue };
        leaders[found.len()] = Some(target);
        found.push(page);
        if found.is_full() || matches!(leads, Leads::Always(_)) {
            if found.len() == 1 && matches!(leads, Leads::Always(_)) {
                leaders = Leaders::default();
            }
            break;
        }
    }
    // Nobody but the site itself: then it did not follow, whatever it turns out to be.
    if *found == [site] {
        leaders = Leaders::default();
    }
    (found.first().is_some_and(|first| *first != site).into(), leaders)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: Site = Site::Domain(1);
    const APP: Site = Site::App(1);
    const OTHER: Site = Site::App(2);

    fn leads_as(site: Site, leads: bool) -> Leads {
        match site {
            Site::Domain(number) if leads => Leads::UntilNamed(number),
            Site::App(number) if leads => Leads::Always(100 + number),
            _ => Leads::No,
        }
    }

    /// What followed of (milliseconds, site, leads), by place in the list.
    fn followed(flows: &[(i64, Site, bool)]) -> Vec<Followed> {
        told(flows).into_iter().map(|told| told.followed).collect()
    }

    fn told(flows: &[(i64, Site, bool)]) -> Vec<Told> {
        let mut loads = Loads::new(15);
        // In no order: they come as workers hand them on.
        for (row, &(millis, site, leads)) in flows.iter().enumerate().rev() {
            let time = Timestamp(1_000_000_000_000 + millis * 1_000_000);
            loads.begin(Begun { time, client: 7, site, leads: leads_as(site, leads), row });
        }
        let mut found = vec![Told::default(); flows.len()];
        loads.settle(None, usize::cmp, |row, told| found[row] = told);
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
    fn a_page_does_not_lead_for_ever() {
        let flows: Vec<_> =
            (0..40).map(|n| (n * 500, if n == 0 { PAGE } else { APP }, n == 0)).collect();
        let found = followed(&flows);
        assert_eq!((found[30], found[31]), ([1; 3], [0; 3]), "after 15 s");
        let again: Vec<_> =
            (0..40).map(|n| (n * 500, if n % 9 == 0 { PAGE } else { APP }, n % 9 == 0)).collect();
        assert_eq!(followed(&again)[39], [1; 3], "it leads once more");
    }

    #[test]
    fn it_is_told_who_would_lead_if_a_domain_did_not() {
        const THIRD: Site = Site::Domain(2);
        const FOURTH: Site = Site::Domain(4);
        let flows = [(0, PAGE, true), (100, THIRD, true), (200, OTHER, true), (300, APP, false)];
        let leaders = |flows: &[(i64, Site, bool)], at: usize| told(flows)[at].leaders[0];
        assert_eq!(leaders(&flows, 0), [None; 3]);
        assert_eq!(leaders(&flows, 1), [Some(1), None, None]);
        assert_eq!(leaders(&flows, 3), [Some(1), Some(2), Some(102)]);
        // Behind what always leads, nobody would.
        let flows = [(0, OTHER, true), (100, PAGE, true), (200, APP, false)];
        assert_eq!((leaders(&flows, 2), followed(&flows)[2]), ([None; 3], [1; 3]));
        // The domain itself did not follow; whoever led before it might turn out to be an app.
        let flows = [(0, PAGE, true), (100, PAGE, true), (200, THIRD, true), (300, PAGE, true)];
        assert_eq!(leaders(&flows, 1), [None; 3]);
        assert_eq!((leaders(&flows, 3), followed(&flows)[3]), ([Some(1), Some(2), None], [0; 3]));
        let flows = [PAGE, THIRD, FOURTH, OTHER, APP];
        let flows: Vec<_> = flows.iter().zip(0..).map(|(site, n)| (n * 100, *site, true)).collect();
        assert_eq!(leaders(&flows, 4), [Some(1), Some(2), Some(4)]);
    }

    #[test]
    fn what_is_shared_keeps_a_load_going() {
        let found = followed(&[(0, PAGE, true), (900, Site::Shared, false), (1800, APP, true)]);
        assert_eq!(found, [[0; 3], [1; 3], [1; 3]]);
    }

    #[test]
    fn when_it_is_asked_changes_nothing() {
        let flows: Vec<(i64, Site)> = (0..400)
            .map(|n| (n * 700 + n * n * 13 % 997, [PAGE, APP, OTHER][(n * n % 3) as usize]))
            .collect();
        let run = |ticks: bool| {
            let mut loads = Loads::new(15);
            let mut sum = [0; 3];
            let mut add = |_: usize, told: Told| {
                sum.iter_mut().zip(told.followed).for_each(|(sum, one)| *sum += one);
            };
            for (row, &(millis, site)) in flows.iter().enumerate() {
                let time = Timestamp(millis * 1_000_000);
                loads.begin(Begun { time, client: 1, site, leads: leads_as(site, true), row });
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
