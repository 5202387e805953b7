//! What merge has gathered and not committed yet: sums that go into the next commit.
//!
//! A commit takes all of it or nothing. As long as a disk refuses, a live run keeps what it has
//! here and adds to it, within a bound: then rows of the oldest hour go first, and are counted.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::RandomState;

use super::loads::{Followed, LEADERS_MAX as LEADERS_PLACES, Leaders, Step, Told};
use super::possible::Possible;
use super::verdicts::{PatternNumber, TargetNumber};
use crate::footprint;
use crate::observation::NameSource;
use crate::stats::{Counter, Counters};
use crate::store::{
    DetourRow, FollowedRow, HealthRow, MatchedRow, RingRow, TargetId, TotalsRow, VisibilityRow,
};
use crate::time::Hour;
use crate::usage::{ANYHOW, FOLLOWED_ANYHOW, Sums, SumsTable, unfollowed_bits};
use crate::worker::detours::Detour;
use crate::worker::part::{Books, Health, IntakeSums, RingSums};

/// Memory for rows of usage while the disk refuses, in bytes.
pub(super) const HELD_BYTES_MAX: usize = 64 << 20;
/// What a row costs in memory, with what a table keeps free.
const ROW_BYTES: usize = 2 * size_of::<(RowKey, Sums)>();
const LEADERS_BYTES: usize = 2 * size_of::<((RowKey, Leaders), (Followed, u64))>();
const MATCHED_BYTES: usize = 2 * size_of::<(MatchedKey, MatchedSums)>();
/// Of rules that matched, as many are held until captures end.
pub(super) const MATCHED_MAX: usize = 65_536;
/// Of these, as many find room at all.
pub(super) const MATCHED_ROOM: usize = 1 << 17;
/// Rows and those who may have led their flows, ways around of devices, that find room in a commit.
const LEADERS_MAX: usize = 7 << 14;
pub(super) const DETOURS_MAX: usize = 7 << 13;
/// Memory of what is gathered, but for the rows of usage that a tick brings: these are bounded by what
/// workers gather in it.
pub(super) const BYTES_MAX: usize = HELD_BYTES_MAX
    + footprint::map(LEADERS_MAX, size_of::<((RowKey, Leaders), (Followed, u64))>())
    + MATCHED_ROOM * size_of::<(MatchedKey, MatchedSums)>()
    + footprint::map(MATCHED_ROOM, size_of::<u32>())
    + Possible::BYTES_MAX
    + footprint::tree(
        DETOURS_MAX,
        size_of::<((Hour, Option<SubjectNumber>, Detour), (u64, u64))>(),
    );
/// Memory of what is made of it to be committed.
pub(super) const COMMIT_BYTES_MAX: usize = LEADERS_MAX
    * (size_of::<FollowedRow>() + footprint::heap(LEADERS_PLACES * size_of::<TargetId>()))
    + MATCHED_ROOM * size_of::<MatchedRow>()
    + footprint::tree(MATCHED_ROOM, size_of::<(MatchedKey, MatchedSums)>())
    + DETOURS_MAX * size_of::<DetourRow>();

/// The number of a subject in merge.
pub(super) type SubjectNumber = u32;

/// What a row of usage is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct RowKey {
    pub(super) hour: Hour,
    pub(super) subject: SubjectNumber,
    pub(super) target: TargetNumber,
    pub(super) source: NameSource,
}

/// Of what rows of usage the names matched a rule.
pub(super) type MatchedKey = (RowKey, PatternNumber);

/// How often names of a row matched a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct MatchedSums {
    /// Flows that began.
    pub(super) connections: u64,
    /// DNS questions.
    pub(super) dns_queries: u64,
}

/// Of rows, whether there are flows that these may have led, by [`crate::usage::LOAD_RULES`], as far
/// as the catalogue may yet decide otherwise; and what these add to [`Sums::unfollowed`], if it does.
pub(super) type AllLeaders = HashMap<(RowKey, Leaders), (Followed, u64), RandomState>;

/// See the module.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) rows: SumsTable<RowKey>,
    pub(super) leaders: AllLeaders,
    /// Where captures are read, of several commits: it goes into the last, or into one between where
    /// there are many.
    pub(super) matched: SumsTable<MatchedKey, MatchedSums>,
    pub(super) possible: Possible,
    pub(super) books: Books,
    pub(super) intake: BTreeMap<Hour, IntakeSums>,
    pub(super) health: BTreeMap<Hour, Health>,
    /// By hour and worker.
    pub(super) rings: BTreeMap<(Hour, usize), RingSums>,
    /// Flows and bytes of ways around.
    pub(super) detours: BTreeMap<(Hour, Option<SubjectNumber>, Detour), (u64, u64)>,
    pub(super) counters: Counters,
}

impl Gathered {
    /// Whether there is nothing to commit.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
            && self.leaders.is_empty()
            && self.matched.is_empty()
            && self.possible.is_empty()
            && self.books.hours() == 0
            && self.intake.is_empty()
            && self.health.is_empty()
            && self.rings.is_empty()
            && self.detours.is_empty()
            && self.counters == Counters::default()
    }

    /// Drops rows of the oldest hours until the rest needs no more than `bytes_max`.
    pub(super) fn shrink(&mut self, bytes_max: usize) {
        while self.bytes() > bytes_max {
            let Some(oldest) = self.rows.rows().iter().map(|(key, _)| key.hour).min() else {
                return;
            };
            let dropped = self.rows.take_if(|key| key.hour == oldest).len();
            self.counters.add(Counter::RowDropped, dropped as u64);
            self.leaders.retain(|(key, _), _| key.hour != oldest);
            self.matched.take_if(|(key, _)| key.hour == oldest);
        }
    }

    /// About the memory of what belongs to rows of usage.
    fn bytes(&self) -> usize {
        self.rows.len() * ROW_BYTES
            + self.leaders.len() * LEADERS_BYTES
            + self.matched.len() * MATCHED_BYTES
    }

    /// Where the rows of usage in total order are.
    pub(super) fn sorted(&self) -> Vec<u32> {
        let rows = self.rows.rows();
        let mut order: Vec<u32> = (0..rows.len() as u32).collect();
        order.sort_unstable_by_key(|&at| rows[at as usize].0);
        order
    }

    /// Forgets all but which rules matched, and keeps the room for rows.
    pub(super) fn clear(&mut self) {
        let mut rows = std::mem::take(&mut self.rows);
        rows.clear();
        let matched = std::mem::take(&mut self.matched);
        *self = Gathered { rows, matched, ..Gathered::default() };
    }

    /// The books as rows.
    pub(super) fn visibility(&self) -> Vec<VisibilityRow> {
        let row = |(hour, bucket, flows, bytes)| VisibilityRow { hour, bucket, flows, bytes };
        self.books.iter().map(row).collect()
    }

    /// What came in as rows.
    pub(super) fn totals(&self) -> Vec<TotalsRow> {
        let row = |sums: &IntakeSums| TotalsRow {
            hour: sums.hour,
            packets: sums.packets,
            total_bytes: sums.total_bytes,
            ip_bytes: sums.ip_bytes,
            first_seen: sums.first_seen,
            last_seen: sums.last_seen,
        };
        self.intake.values().map(row).collect()
    }

    /// The health of the capture as rows.
    pub(super) fn health(&self) -> Vec<HealthRow> {
        let row = |(&hour, &health)| HealthRow { hour, health };
        self.health.iter().map(row).collect()
    }

    /// What the kernel says of rings as rows.
    pub(super) fn rings(&self) -> Vec<RingRow> {
        let row = |(&(hour, worker), &sums): (&(Hour, usize), &RingSums)| RingRow {
            hour,
            ring: worker as u32,
            sums,
        };
        self.rings.iter().map(row).collect()
    }
}

/// What became of a flow, as a part of its row. `may_change` where who led it may be judged again:
/// that goes to `leaders`.
pub(super) fn told(
    all_leaders: &mut AllLeaders,
    key: RowKey,
    told: &Told,
    step: Step,
    may_change: bool,
) -> Sums {
    let mut sums =
        Sums { unfollowed: unfollowed_bits(step.levels(), told.followed), ..Sums::default() };
    let mut anyhow = sums.unfollowed;
    let flow = if step.is_flow() { u64::MAX } else { 0 };
    sums.followed = told.followed & flow;
    let mut followed_anyhow = sums.followed;
    if step.goes_on() && told.followed != 0 {
        // What it goes on from is the load of the hour's beginning.
        sums.minutes_begun = 1;
    }
    for (at, leaders) in told.leaders().iter().enumerate().filter(|_| may_change) {
        let may_be_new = all_leaders.len() < LEADERS_MAX;
        // Where there is no room, it stays as it is now.
        if *leaders == Leaders::default()
            || !may_be_new && !all_leaders.contains_key(&(key, *leaders))
        {
            continue;
        }
        let rule = 1 << at;
        let bits = unfollowed_bits(step.levels(), !rule);
        anyhow &= !bits;
        followed_anyhow &= !rule;
        let (flows, said) = all_leaders.entry((key, *leaders)).or_default();
        *flows |= rule & flow;
        *said |= bits;
    }
    sums.unfollowed |= anyhow << ANYHOW;
    sums.followed |= followed_anyhow << FOLLOWED_ANYHOW;
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_hours_go_first_and_are_counted() {
        let mut gathered = Gathered::default();
        for hour in 0..4 {
            for subject in 0..10 {
                let hour = Hour(60 * hour);
                let key = RowKey { hour, subject, target: 0, source: NameSource::Sni };
                gathered.rows.entry(key);
            }
        }
        gathered.shrink(40 * ROW_BYTES);
        assert_eq!(gathered.rows.len(), 40);
        gathered.shrink(25 * ROW_BYTES);
        assert_eq!(gathered.rows.len(), 20);
        assert_eq!(gathered.counters.value(Counter::RowDropped), 20);
        assert!(gathered.rows.rows().iter().all(|(key, _)| key.hour >= Hour(120)));
        gathered.shrink(0);
        assert_eq!(gathered.counters.value(Counter::RowDropped), 40);
        assert!(!gathered.is_empty() && Gathered::default().is_empty());
    }
}
