//! Which flows began while a page of another site was loading: the facts behind the shadow rule of
//! [`crate::evidence`].
//!
//! A page leads what its client begins within some seconds after it, as long as beginnings follow each
//! other without a silence. Pages for everybody are there at domains without signature
//! and at an app's hosts of role `visit` or `site`. Embeds, telemetry and sign-in pages lead nowhere,
//! and neither do hosts of role `use`: who works with an app and opens another one uses both. Of
//! several, the first one leads. On a connection that a browser keeps, a request behind a silence
//! whose answer is as large as a page leads as well. Every flow to another site *followed*. How long a silence ends a
//! load, how long one can be and what is a page are thresholds, so that this is kept for several
//! ([`LOAD_RULES`]).
//!
//! A domain without signature may turn out to be an app one day, and lead no more; what nobody could
//! name, or a tenant's, may turn out to be one that leads. So it is told which sites would lead in whose
//! place ([`Leaders`]). What the catalogue knows decides who leads and never when a load ends, so that
//! this can be judged again from what is stored.
//!
//! What a flow does later, also in the hours after, belongs to the load in which it began: of flows
//! that followed that is remembered, as long as they may go on.
//!
//! A flow is heard of up to two minutes after it began, so beginnings wait for [`WAIT_NANOS`]
//! before they are looked at, in the order of their stamps.

use std::collections::{HashMap, VecDeque};
use std::num::NonZeroU32;
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::footprint;
use crate::net::Address;
use crate::time::{Hour, NANOS_PER_MINUTE, NANOS_PER_SECOND, Timestamp};
use crate::usage::{AHEAD, LOAD_RULES, LoadRule};
pub use crate::worker::part::Step;

/// How long a beginning waits for those before it, by sensor time.
pub const WAIT_NANOS: i64 = 180 * NANOS_PER_SECOND;
/// Beginnings that wait: nearly 3,000 a second.
pub const WAITING_MAX: usize = 1 << 19;
/// Beginnings that are looked at in one go, so that what is told of them is bounded.
const SETTLED_MAX: usize = 1 << 15;
/// How long after an hour a flow that had packets in it may be heard of in the next: as long as one
/// may be silent, see [`crate::flow::slot::Patience`], and as long as it may be told of late.
const GOES_ON_NANOS: i64 = 20 * NANOS_PER_MINUTE;
/// Flows that are remembered.
pub const REMEMBERED_MAX: usize = 7 << 14;
/// Clients whose loads are known; when there are more, all are forgotten.
const CLIENTS_MAX: usize = 7 << 14;
/// Pages of all of them that there is room for.
const PAGES_ROOM_MAX: usize = 1 << 19;
/// Beginnings of pages of one client within these seconds; no more are looked at.
pub const PAGES_MAX: usize = 256;
/// Sites told of that would lead one after the other.
pub const LEADERS_MAX: usize = 8;

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
    /// Not before it is known what it is; its number as a target.
    OnceNamed(u32),
    /// Whatever the catalogue learns; its number as a target.
    Always(u32),
}

/// A flow that began, or a later step of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begun<K> {
    /// When it began; of a page on a connection that is kept, when that was asked for.
    pub time: Timestamp,
    /// What it did.
    pub step: Step,
    /// In which hour.
    pub hour: Hour,
    /// Whose.
    pub address: Address,
    /// The same by the number of the subject.
    pub client: u32,
    /// Where to.
    pub site: Site,
    /// Whether it may lead a load.
    pub leads: Leads,
    /// Where that it followed is to be noted.
    pub row: K,
}

/// A bit for each of [`LOAD_RULES`] by which a flow followed.
pub type Followed = u64;

/// A target that leads or may lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Leader(NonZeroU32);

impl Leader {
    /// The target with this number.
    pub fn new(target: u32) -> Leader {
        Leader(NonZeroU32::MIN.saturating_add(target))
    }

    /// Its number.
    pub fn target(self) -> u32 {
        self.0.get() - 1
    }
}

/// Who may lead, in the order of their beginnings: the first that does. Ends behind the first that
/// [always](Leads::Always) does.
pub type Leaders = [Option<Leader>; LEADERS_MAX];

/// [`Leaders`] by each of [`LOAD_RULES`].
type AllLeaders = [Leaders; LOAD_RULES.len()];

/// What became of a flow that began within a load.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Whether it followed.
    pub followed: Followed,
    /// None where there are none by any rule, as of most flows.
    leaders: Option<Arc<AllLeaders>>,
}

impl Told {
    /// By each of [`LOAD_RULES`]: the leaders, where the catalogue may yet decide otherwise; else none.
    pub fn leaders(&self) -> &AllLeaders {
        const NOBODY: AllLeaders = [[None; LEADERS_MAX]; LOAD_RULES.len()];
        self.leaders.as_deref().unwrap_or(&NOBODY)
    }
}

/// What [`Loads::settle`] tells of a step.
#[derive(Clone, Copy, Debug)]
pub enum News<'a> {
    /// It is told of soon.
    Soon,
    /// What became of it.
    Is(&'a Told, Step),
}

/// See the module.
pub struct Loads<K> {
    waiting: Vec<Begun<K>>,
    /// Flows that followed, or may yet be told to have, by client and first stamp; with the last
    /// hour in which they are known to have had packets.
    remembered: HashMap<(Address, Timestamp), (Told, Hour), RandomState>,
    /// Whose load is where in `loads`, where none is moved as the table grows.
    clients: HashMap<u32, u32, RandomState>,
    loads: Vec<Load>,
    /// Pages that these have room for.
    pages_room: usize,
    tells_leaders: bool,
    dropped: u64,
}

/// A client's load, as far as it has gone.
#[derive(Clone, Default)]
struct Load {
    /// By each of [`LOAD_RULES`]: the last beginning, and that behind the last silence.
    last: [Timestamp; LOAD_RULES.len()],
    since: [Timestamp; LOAD_RULES.len()],
    /// Pages that may lead, in the order of their beginnings.
    pages: VecDeque<Page>,
}

/// A page that may lead.
#[derive(Clone, Copy)]
struct Page {
    time: Timestamp,
    site: Site,
    leads: Leads,
    /// By a rule that asks for no more bytes.
    bytes: u32,
}

/// The bytes of what is a page by all rules.
const ANY_BYTES: u32 = u32::MAX;
/// The least answer that is a page by any rule.
pub const PAGE_BYTES_MIN: u32 = {
    let (mut least, mut at) = (ANY_BYTES, 0);
    while at < LOAD_RULES.len() {
        if LOAD_RULES[at].page_bytes < least {
            least = LOAD_RULES[at].page_bytes;
        }
        at += 1;
    }
    least
};

/// How long after a page anything may follow it, by any rule.
const LOAD_NANOS_MAX: i64 = {
    let (mut most, mut at) = (0, 0);
    while at < LOAD_RULES.len() {
        if LOAD_RULES[at].load_seconds > most {
            most = LOAD_RULES[at].load_seconds;
        }
        at += 1;
    }
    most as i64 * NANOS_PER_SECOND
};

/// Bits of a place among the beginnings that wait.
const PLACE_BITS: u32 = WAITING_MAX.next_power_of_two().ilog2();

impl<K: Copy> Loads<K> {
    /// Memory that it takes at most.
    pub const BYTES_MAX: usize = WAITING_MAX * (size_of::<Begun<K>>() + size_of::<u128>())
        + footprint::map(REMEMBERED_MAX, size_of::<((Address, Timestamp), (Told, Hour))>())
        + REMEMBERED_MAX * footprint::heap(size_of::<AllLeaders>() + 2 * size_of::<usize>())
        + footprint::map(CLIENTS_MAX, size_of::<(u32, u32)>())
        + CLIENTS_MAX * (size_of::<Load>() + footprint::heap(1))
        + PAGES_ROOM_MAX * size_of::<Page>();

    /// Of nothing. `tells_leaders`: whether it is asked who led, or only whether somebody did.
    pub fn new(tells_leaders: bool) -> Loads<K> {
        Loads {
            waiting: Vec::new(),
            remembered: HashMap::default(),
            clients: HashMap::default(),
            loads: Vec::new(),
            pages_room: 0,
            tells_leaders,
            dropped: 0,
        }
    }

    /// Takes a step of a flow. Says whether there was room: a flow that is dropped followed nobody.
    pub fn take(&mut self, begun: Begun<K>) -> bool {
        if let Step::Resumed(bytes) = begun.step
            && (begun.leads == Leads::No || bytes < PAGE_BYTES_MIN)
        {
            return true;
        }
        let has_room = self.waiting.len() < WAITING_MAX;
        if has_room {
            self.waiting.push(begun);
        } else {
            self.dropped += 1;
        }
        has_room
    }

    /// Beginnings dropped since the last time this was asked.
    pub fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    /// Forgets what clients have loaded: numbers are given anew. What open flows followed stays.
    pub fn forget(&mut self) {
        self.forget_clients();
        self.remembered.values_mut().for_each(|(told, _)| told.leaders = None);
    }

    fn forget_clients(&mut self) {
        self.clients.clear();
        self.loads.clear();
        self.pages_room = 0;
    }

    /// Forgets pages that can lead nothing that begins from `since` on.
    fn forget_pages(&mut self, since: Timestamp) {
        self.pages_room = 0;
        for Load { pages, .. } in &mut self.loads {
            while pages.front().is_some_and(|page| page.time < since.offset(-LOAD_NANOS_MAX)) {
                pages.pop_front();
            }
            pages.shrink_to_fit();
            self.pages_room += pages.capacity();
        }
    }

    /// When the next [`SETTLED_MAX`] of those that are due at `until` have begun, or all; and whether
    /// these are all.
    fn next_until(&self, until: Option<Timestamp>) -> (Option<Timestamp>, bool) {
        let is_due = |time: &Timestamp| until.is_none_or(|until| *time < until);
        let mut due: Vec<_> = self.waiting.iter().map(|begun| begun.time).filter(is_due).collect();
        if due.len() <= SETTLED_MAX {
            return (until, true);
        }
        // What began at one time stays together.
        let (_, &mut last, behind) = due.select_nth_unstable(SETTLED_MAX - 1);
        let next = behind.iter().copied().filter(|time| *time > last).min();
        (next.or(until), next.is_none())
    }

    /// Tells `each` of the steps that have waited long enough at `horizon`, or all without one; and of
    /// each some steps before, as far as something may be told of it. `order` decides between flows of
    /// one client and stamp. Says whether these were all: of many, the earliest are told first.
    pub fn settle(
        &mut self,
        horizon: Option<Timestamp>,
        order: impl Fn(&K, &K) -> std::cmp::Ordering,
        mut each: impl FnMut(K, News<'_>),
    ) -> bool {
        let until = horizon.map(|horizon| horizon.offset(-WAIT_NANOS));
        let (until, is_all) = match self.waiting.len() > SETTLED_MAX {
            true => self.next_until(until),
            false => (until, true),
        };
        if let Some(until) = until.filter(|_| self.pages_room > PAGES_ROOM_MAX / 2) {
            self.forget_pages(until);
        }
        let is_due = |begun: &Begun<K>| until.is_none_or(|until| begun.time < until);
        let mut waiting = std::mem::take(&mut self.waiting);
        // What decides mostly is sorted, and not what it stands for, which is much larger: the
        // client, the time, whether it follows at that time, and then the place.
        let key = |(at, begun): (usize, &Begun<K>)| {
            let is_later = !matches!(begun.step, Step::Began(_) | Step::Resumed(_));
            let follows = u128::from(is_later) << 1 | u128::from(begun.leads == Leads::No);
            let time = u128::from(begun.time.0.abs_diff(i64::MIN));
            let key = (u128::from(begun.client) << 64 | time) << 2 | follows;
            key << PLACE_BITS | at as u128
        };
        let all = waiting.iter().enumerate();
        let mut sorted: Vec<u128> = Vec::with_capacity(waiting.len());
        sorted.extend(all.filter(|(_, begun)| is_due(begun)).map(key));
        let place = |key: u128| (key & ((1 << PLACE_BITS) - 1)) as usize;
        sorted.sort_unstable();
        for same in sorted.chunk_by_mut(|one, next| one >> PLACE_BITS == next >> PLACE_BITS) {
            same.sort_by(|&one, &other| {
                order(&waiting[place(one)].row, &waiting[place(other)].row)
            });
        }
        for (at, &key) in sorted.iter().enumerate() {
            if let Some(&ahead) = sorted.get(at + AHEAD) {
                each(waiting[place(ahead)].row, News::Soon);
            }
            let begun = waiting[place(key)];
            let told = match begun.step {
                Step::Began(_) => {
                    let told = self.step(&begun);
                    self.remember(&begun, &told);
                    told
                }
                // It leads and follows nobody: its flow did what it did when it began.
                Step::Resumed(_) => {
                    self.step(&begun);
                    continue;
                }
                Step::WentOn(_) | Step::Said(_) => self.recall(&begun),
            };
            if told != Told::default() || begun.step.levels() > 0 {
                each(begun.row, News::Is(&told, begun.step));
            }
        }
        waiting.retain(|begun| !is_due(begun));
        self.waiting = waiting;
        if let Some(horizon) = horizon {
            self.remembered.retain(|_, (_, hour)| {
                let end = Timestamp(i64::from(hour.0 + 60) * NANOS_PER_MINUTE);
                end.offset(GOES_ON_NANOS) >= horizon
            });
        }
        is_all
    }

    fn remember(&mut self, begun: &Begun<K>, told: &Told) {
        let key = (begun.address, begun.time);
        if *told == Told::default() {
            return;
        }
        if self.remembered.len() < REMEMBERED_MAX || self.remembered.contains_key(&key) {
            self.remembered.insert(key, (told.clone(), begun.hour));
        } else {
            self.dropped += 1;
        }
    }

    fn recall(&mut self, begun: &Begun<K>) -> Told {
        let Some((told, hour)) = self.remembered.get_mut(&(begun.address, begun.time)) else {
            return Told::default();
        };
        *hour = begun.hour.max(*hour);
        told.clone()
    }

    fn step(&mut self, begun: &Begun<K>) -> Told {
        if self.loads.len() >= CLIENTS_MAX && !self.clients.contains_key(&begun.client) {
            self.forget_clients();
        }
        let load = *self.clients.entry(begun.client).or_insert(self.loads.len() as u32) as usize;
        if load == self.loads.len() {
            self.loads.push(Load::default());
        }
        let Some(load) = self.loads.get_mut(load) else { return Told::default() };
        let bytes = match begun.step {
            Step::Resumed(bytes) => bytes,
            _ => ANY_BYTES,
        };
        let mut from = [begun.time; LOAD_RULES.len()];
        for (at, rule) in LOAD_RULES.iter().enumerate() {
            // What is no page by a rule has not happened, as far as that is concerned.
            if bytes >= rule.page_bytes {
                let silence = begun.time.nanos_since(load.last[at]);
                if silence < 0 {
                    load.pages.clear();
                }
                if !(0..=nanos(rule.silence_seconds)).contains(&silence) {
                    load.since[at] = begun.time;
                }
                load.last[at] = begun.time;
            }
            from[at] = load.since[at].max(begun.time.offset(-nanos(rule.load_seconds)));
        }
        let longest = from.iter().copied().min().unwrap_or(begun.time);
        while load.pages.front().is_some_and(|page| page.time < longest) {
            load.pages.pop_front();
        }
        let told = load.told(begun, &from, self.tells_leaders);
        if begun.leads != Leads::No {
            let Begun { time, site, leads, .. } = *begun;
            let room = load.pages.capacity();
            let has_room = load.pages.len() < room || self.pages_room < PAGES_ROOM_MAX;
            if has_room && load.pages.len() < PAGES_MAX {
                load.pages.push_back(Page { time, site, leads, bytes });
                self.pages_room += load.pages.capacity() - room;
            } else {
                self.dropped += 1;
            }
        }
        told
    }
}

impl Load {
    /// What becomes of a flow by each of [`LOAD_RULES`], of which the load began then.
    fn told<K>(
        &self,
        begun: &Begun<K>,
        from: &[Timestamp; LOAD_RULES.len()],
        tells_leaders: bool,
    ) -> Told {
        let mut told = Told::default();
        if self.pages.is_empty() {
            return told;
        }
        let is_any_size = self.pages.iter().all(|page| page.bytes == ANY_BYTES);
        let mut before: Option<((usize, u32), (bool, Leaders))> = None;
        let mut all_leaders = AllLeaders::default();
        for (at, LoadRule { page_bytes, .. }) in LOAD_RULES.iter().enumerate() {
            let first = self.pages.partition_point(|page| page.time < from[at]);
            let key = (first, if is_any_size { 0 } else { *page_bytes });
            // Rules are mostly of one mind.
            let judged = match before {
                Some((known, judged)) if known == key => judged,
                _ => {
                    let pages = self.pages.range(first..);
                    judge(begun, pages.filter(|page| page.bytes >= *page_bytes))
                }
            };
            before = Some((key, judged));
            told.followed |= u64::from(judged.0) << at;
            all_leaders[at] = judged.1;
        }
        if tells_leaders && all_leaders != AllLeaders::default() {
            told.leaders = Some(Arc::new(all_leaders));
        }
        told
    }
}

fn nanos(seconds: u8) -> i64 {
    i64::from(seconds) * NANOS_PER_SECOND
}

/// Whether a flow behind these pages followed, and who may lead, where that may change.
fn judge<'a, K>(begun: &Begun<K>, pages: impl Iterator<Item = &'a Page>) -> (bool, Leaders) {
    let (mut leaders, mut count) = (Leaders::default(), 0);
    let mut leader: Option<Site> = None;
    // Of a domain alone: then it did not follow itself, whatever it turns out to be.
    let mut is_alone = matches!(begun.site, Site::Domain(_));
    let mut is_certain = false;
    for page in pages {
        let (target, leads, always) = match page.leads {
            Leads::No => continue,
            Leads::OnceNamed(target) => (target, false, false),
            Leads::UntilNamed(target) => (target, true, false),
            Leads::Always(target) => (target, true, true),
        };
        let one = Some(Leader::new(target));
        if leaders[..count].contains(&one) {
            continue;
        }
        // The last place is that of who leads as names are.
        if count < LEADERS_MAX || leads && leader.is_none() {
            count = (count + 1).min(LEADERS_MAX);
            leaders[count - 1] = one;
        }
        is_alone &= !always && page.site == begun.site;
        is_certain = always && count == 1;
        if leads {
            leader.get_or_insert(page.site);
        }
        if always || count == LEADERS_MAX && leader.is_some() {
            break;
        }
    }
    // Who always leads may turn out to be of the same app as a domain that followed.
    let may_change = matches!(begun.leads, Leads::UntilNamed(_) | Leads::OnceNamed(_));
    if is_alone || is_certain && !may_change {
        leaders = Leaders::default();
    }
    (leader.is_some_and(|leader| leader != begun.site), leaders)
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

    /// Tells what became of steps, and nothing before.
    fn is(mut each: impl FnMut(usize, &Told, Step)) -> impl FnMut(usize, News<'_>) {
        move |row, news| {
            if let News::Is(told, step) = news {
                each(row, told, step);
            }
        }
    }

    /// Whether it followed by silences of 1, 2 and 5 seconds: the first of the rules.
    fn by_silence(told: &Told) -> [u64; 3] {
        [0, 1, 2].map(|rule| told.followed >> rule & 1)
    }

    /// What followed of (milliseconds, site, leads), by place in the list.
    fn followed(flows: &[(i64, Site, bool)]) -> Vec<[u64; 3]> {
        told(flows).into_iter().map(|told| by_silence(&told)).collect()
    }

    fn begun(time: Timestamp, row: usize) -> Begun<usize> {
        let (address, hour) = (Address::v4([10, 0, 0, 7]), Hour(time.minute().0 / 60 * 60));
        let (step, site, leads) = (Step::Began(0), APP, Leads::No);
        Begun { time, step, hour, address, client: 7, site, leads, row }
    }

    fn told(flows: &[(i64, Site, bool)]) -> Vec<Told> {
        let mut loads = Loads::new(true);
        // In no order: they come as workers hand them on.
        for (row, &(millis, site, leads)) in flows.iter().enumerate().rev() {
            let time = Timestamp(1_000_000_000_000 + millis * 1_000_000);
            loads.take(Begun { site, leads: leads_as(site, leads), ..begun(time, row) });
        }
        let mut found = vec![Told::default(); flows.len()];
        loads.settle(None, usize::cmp, is(|row, told, _| found[row] = told.clone()));
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
        let leaders = |flows: &[(i64, Site, bool)], at: usize| {
            let leaders = told(flows)[at].leaders()[0];
            leaders.into_iter().flatten().map(Leader::target).collect::<Vec<_>>()
        };
        assert!(leaders(&flows, 0).is_empty());
        assert_eq!(leaders(&flows, 1), [1]);
        assert_eq!(leaders(&flows, 3), [1, 2, 102]);
        // Behind what always leads, nobody would.
        let flows = [(0, OTHER, true), (100, PAGE, true), (200, APP, false)];
        assert_eq!((leaders(&flows, 2), followed(&flows)[2]), (vec![], [1; 3]));
        // But what followed may be the same app one day.
        assert_eq!((leaders(&flows, 1), followed(&flows)[1]), (vec![102], [1; 3]));
        // The domain itself did not follow; whoever led before it might turn out to be an app.
        let flows = [(0, PAGE, true), (100, PAGE, true), (200, THIRD, true), (300, PAGE, true)];
        assert!(leaders(&flows, 1).is_empty());
        assert_eq!((leaders(&flows, 3), followed(&flows)[3]), (vec![1, 2], [0; 3]));
        let flows = [PAGE, THIRD, FOURTH, OTHER, APP];
        let flows: Vec<_> = flows.iter().zip(0..).map(|(site, n)| (n * 100, *site, true)).collect();
        assert_eq!(leaders(&flows, 4), [1, 2, 4, 102]);
        let many: Vec<_> = (1..20).map(|n| (i64::from(n) * 10, Site::Domain(n), true)).collect();
        assert_eq!(leaders(&many, 18), (1..=LEADERS_MAX as u32).collect::<Vec<_>>());
    }

    #[test]
    fn what_nobody_could_name_may_lead_one_day() {
        let mut loads = Loads::new(true);
        let at = |millis: i64| Timestamp(1_000_000_000_000 + millis * 1_000_000);
        for n in 0..12 {
            let (site, leads) = (Site::Domain(50 + n), Leads::OnceNamed(50 + n));
            loads.take(Begun { site, leads, ..begun(at(i64::from(n)), 0) });
        }
        loads.take(begun(at(500), 1));
        loads.take(Begun { site: PAGE, leads: leads_as(PAGE, true), ..begun(at(600), 2) });
        loads.take(begun(at(900), 3));
        let mut found = vec![Told::default(); 4];
        loads.settle(None, usize::cmp, is(|row, told, _| found[row] = told.clone()));
        let leaders = |row: usize| {
            let leaders = found[row].leaders()[0].into_iter().flatten();
            leaders.map(Leader::target).collect::<Vec<_>>()
        };
        let undecided: Vec<u32> = (50..).take(LEADERS_MAX).collect();
        assert_eq!((leaders(1), by_silence(&found[1])), (undecided.clone(), [0; 3]));
        // The first that leads as names are has a place in any case.
        let expected = [&undecided[..LEADERS_MAX - 1], &[1]].concat();
        assert_eq!((leaders(3), by_silence(&found[3])), (expected, [1; 3]));
    }

    #[test]
    fn what_is_shared_keeps_a_load_going() {
        let found = followed(&[(0, PAGE, true), (900, Site::Shared, false), (1800, APP, true)]);
        assert_eq!(found, [[0; 3], [1; 3], [1; 3]]);
    }

    #[test]
    fn what_a_flow_does_later_belongs_to_the_load_in_which_it_began() {
        let mut loads = Loads::new(true);
        let at = |seconds: i64| {
            Timestamp(1_000_000_800 * NANOS_PER_SECOND).offset(seconds * NANOS_PER_SECOND)
        };
        let page = Begun { site: PAGE, leads: leads_as(PAGE, true), ..begun(at(0), 0) };
        loads.take(page);
        let flow = begun(at(1), 1);
        let alone = begun(at(60), 2);
        for flow in [flow, alone] {
            loads.take(flow);
            loads.take(Begun { step: Step::Said(2), ..flow });
        }
        let told = |loads: &mut Loads<usize>, horizon: Timestamp| {
            let mut found = Vec::new();
            let each = |row, told: &Told, step| found.push((row, told.followed >> 1 & 1, step));
            loads.settle(Some(horizon), usize::cmp, is(each));
            found
        };
        let expected = [(1, 1, Step::Began(0)), (1, 1, Step::Said(2)), (2, 0, Step::Said(2))];
        assert_eq!(told(&mut loads, at(600)), expected);
        // Hours later, as long as it had packets in each; and whatever numbers are given anew.
        for hour in 1..4 {
            let later = Hour(flow.hour.0 + 60 * hour);
            loads.take(Begun { step: Step::WentOn(0), hour: later, ..flow });
            loads.forget();
            let found = told(&mut loads, at(i64::from(hour) * 3600 + 600));
            assert_eq!(found, [(1, 1, Step::WentOn(0))], "{hour}");
        }
        assert_eq!(told(&mut loads, at(6 * 3600)), []);
        assert!(loads.remembered.is_empty());
    }

    #[test]
    fn a_page_on_a_connection_that_is_kept_leads() {
        let followed = |step, leads| {
            let mut loads = Loads::new(true);
            let at = |seconds: i64| Timestamp(seconds * NANOS_PER_SECOND);
            let page = Begun { site: PAGE, leads: leads_as(PAGE, leads), ..begun(at(0), 0) };
            loads.take(page);
            loads.take(Begun { time: at(60), step, ..page });
            loads.take(begun(at(61), 1));
            let mut found = Vec::new();
            let each = |row, told: &Told, _| found.push((row, by_silence(told)));
            loads.settle(None, usize::cmp, is(each));
            found
        };
        assert_eq!(followed(Step::Resumed(10_000), true), [(1, [1; 3])]);
        assert_eq!(followed(Step::Resumed(9_999), true), [(1, [0; 3])]);
        assert_eq!(followed(Step::Resumed(4_999), true), []);
        assert_eq!(followed(Step::Resumed(90_000), false), []);
    }

    #[test]
    fn each_rule_is_judged_by_itself() {
        let by = |told: &Told, rule: LoadRule| {
            let at = LOAD_RULES.iter().position(|known| *known == rule).unwrap();
            told.followed >> at & 1 != 0
        };
        let usual = LOAD_RULES[1];
        // A chain of beginnings, of which the first is a page.
        let flows: Vec<_> =
            (0..70).map(|n| (n * 1000, if n == 0 { PAGE } else { APP }, n == 0)).collect();
        let found = told(&flows);
        for load_seconds in [5, 15, 30, 60] {
            let rule = LoadRule { load_seconds, ..usual };
            let last = (1..70).filter(|n| by(&found[*n], rule)).max();
            assert_eq!(last, Some(usize::from(load_seconds)));
        }
        // An answer of so many bytes on a connection that is kept.
        for answer in [4_999, 5_000, 10_000, 20_000, 50_000] {
            let mut loads = Loads::new(true);
            let at = |seconds: i64| Timestamp(seconds * NANOS_PER_SECOND);
            let page = Begun { site: PAGE, leads: leads_as(PAGE, true), ..begun(at(0), 0) };
            loads.take(page);
            loads.take(Begun { time: at(60), step: Step::Resumed(answer), ..page });
            loads.take(begun(at(61), 1));
            let mut found = Told::default();
            loads.settle(None, usize::cmp, is(|_, told, _| found = told.clone()));
            for page_bytes in [5_000, 10_000, 20_000, 50_000] {
                let rule = LoadRule { page_bytes, ..usual };
                assert_eq!(by(&found, rule), answer >= page_bytes, "{answer} {page_bytes}");
            }
        }
    }

    #[test]
    fn when_it_is_asked_changes_nothing() {
        let flows: Vec<(i64, Site)> = (0..400)
            .map(|n| (n * 700 + n * n * 13 % 997, [PAGE, APP, OTHER][(n * n % 3) as usize]))
            .collect();
        let run = |ticks: bool| {
            let mut loads = Loads::new(true);
            let mut sum = [0; 3];
            let mut add = |_: usize, told: &Told, _: Step| {
                sum.iter_mut().zip(by_silence(told)).for_each(|(sum, one)| *sum += one);
            };
            for (row, &(millis, site)) in flows.iter().enumerate() {
                let time = Timestamp(millis * 1_000_000);
                loads.take(Begun { site, leads: leads_as(site, true), ..begun(time, row) });
                if ticks && row % 50 == 0 {
                    loads.settle(Some(time), usize::cmp, is(&mut add));
                }
            }
            loads.settle(None, usize::cmp, is(&mut add));
            sum
        };
        assert_eq!(run(false), run(true));
        assert!(run(false).iter().all(|sum| *sum > 0));
    }
}
