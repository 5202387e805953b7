//! `visibility.csv`: the books, one row for each (date, site, bucket); what could be told of the
//! traffic and what could not.
//!
//! A `site` is the place whose traffic a run shows, as it was named, else empty. Its rows are those
//! that it would have alone in a database. Every day on which a site has rows has all buckets, also
//! the empty ones, in the order in which they are asked. `bytes` over all rows are the manifest's
//! `total_bytes`. `pct` is the bucket's share of the bytes of the day and site in per cent.
//!
//! Of the day and site, and the same in each of their rows: `kernel_drops` are frames that live rings and
//! interfaces dropped, 0 where only files were read; `capture_loss_pct` is the share of TCP
//! payload that was missing between what was seen, in a sample; `identity_pct` is the share of the
//! bytes in rows of usage that have a user. All three are estimates of what lies outside the books.
//!
//! `visibility_break` is true where the bucket's share has moved by more than five points against
//! the mean of its shares on those of the seven days before that have rows, which are two at least (one
//! day is no mean): whoever compares use
//! across such a day compares what was seen, not what was done. Those days count also where the
//! report does not show them.

use std::collections::BTreeMap;

use jiff::ToSpan;
use jiff::civil::Date;

use super::ReportError;
use super::days::{Day, Days};
use super::output::{Finished, Output};
use super::table::{Cell, Table, ratio};
use crate::ledger::Bucket;
use crate::store::{Snapshot, VisibilityFact};

const COLUMNS: [&str; 10] = [
    "date",
    "site",
    "bucket",
    "flows",
    "bytes",
    "pct",
    "kernel_drops",
    "capture_loss_pct",
    "identity_pct",
    "visibility_break",
];

/// The days before that a day is compared with.
const DAYS_BEFORE: i64 = 7;
/// How many of them must have bytes: one day may be a Sunday.
const DAYS_BEFORE_MIN: usize = 2;
/// The unit of shares: a millionth.
const WHOLE: u64 = 1_000_000;
/// Five points.
const BREAK: u64 = WHOLE / 20;

/// Each bucket's share of a site's bytes of a day, in millionths.
type Shares = [u64; Bucket::ALL.len()];

/// `visibility.csv` in the making.
pub(super) struct Visibility {
    table: Table,
    /// Shares of the days before by day and site; none of days without bytes.
    before: BTreeMap<(Date, String), Option<Shares>>,
}

impl Visibility {
    pub(super) fn begin(output: Output) -> Result<Visibility, ReportError> {
        Ok(Visibility { table: Table::begin(output, &COLUMNS)?, before: BTreeMap::new() })
    }

    /// Adds the rows of a day.
    pub(super) fn add_day(
        &mut self,
        snapshot: &Snapshot<'_>,
        days: &Days<'_>,
        day: &Day,
    ) -> Result<(), ReportError> {
        let mut attributed = snapshot.attributed_bytes(day.window)?;
        for site in snapshot.sites(day.window)? {
            let attributed = attributed.remove(&site).unwrap_or_default();
            self.add_site(snapshot, days, day, site, attributed)?;
        }
        let oldest = day.civil.checked_sub(DAYS_BEFORE.days()).unwrap_or(Date::MIN);
        self.before.retain(|(date, _), _| *date > oldest);
        Ok(())
    }

    /// Adds the rows of a day at a site, of whose bytes in rows of usage so many have a user.
    fn add_site(
        &mut self,
        snapshot: &Snapshot<'_>,
        days: &Days<'_>,
        day: &Day,
        site: String,
        (attributed, of_clients): (u64, u64),
    ) -> Result<(), ReportError> {
        let facts = snapshot.visibility(day.window, &site)?;
        let total = facts.iter().map(|fact| fact.bytes).sum();
        let health = snapshot.health(day.window, Some(&site))?;
        let dropped = health.rings.map(|rings| rings.dropped + rings.interface_dropped);
        let (missing, followed) = (health.health.gap_bytes, health.health.sequence_bytes);
        let today = shares(&facts);
        let before = self.days_before(snapshot, days, day.civil, &site)?;
        for (fact, share) in facts.iter().zip(today.unwrap_or_default()) {
            let earlier: Vec<u64> = before.iter().map(|day| day[fact.bucket as usize]).collect();
            self.table.row(&[
                Cell::Ours(&day.date),
                Cell::Text(&site),
                Cell::Ours(fact.bucket.name()),
                Cell::Number(fact.flows),
                Cell::Number(fact.bytes),
                Cell::Ours(&ratio(fact.bytes, total, 100)),
                Cell::Number(dropped.unwrap_or_default()),
                Cell::Ours(&ratio(missing, missing + followed, 100)),
                Cell::Ours(&ratio(attributed, of_clients, 100)),
                Cell::Ours(if is_break(share, &earlier) { "true" } else { "false" }),
            ])?;
        }
        self.before.insert((day.civil, site), today);
        Ok(())
    }

    /// Shares of those of the days before on which the site has bytes.
    fn days_before(
        &mut self,
        snapshot: &Snapshot<'_>,
        days: &Days<'_>,
        today: Date,
        site: &str,
    ) -> Result<Vec<Shares>, ReportError> {
        let mut found = Vec::new();
        for back in 1..=DAYS_BEFORE {
            let Ok(date) = today.checked_sub(back.days()) else { continue };
            let key = (date, site.to_owned());
            let known = match self.before.get(&key) {
                Some(known) => *known,
                None => {
                    let shares = match days.whole(date)? {
                        Some(window) => shares(&snapshot.visibility(window, site)?),
                        None => None,
                    };
                    self.before.insert(key, shares);
                    shares
                }
            };
            found.extend(known);
        }
        Ok(found)
    }

    pub(super) fn finish(self) -> Result<Finished, ReportError> {
        self.table.finish()
    }
}

/// None of a day without bytes.
fn shares(facts: &[VisibilityFact]) -> Option<Shares> {
    let total: u64 = facts.iter().map(|fact| fact.bytes).sum();
    let mut shares = Shares::default();
    for fact in facts {
        let share = u128::from(fact.bytes) * u128::from(WHOLE) / u128::from(total.max(1));
        shares[fact.bucket as usize] = u64::try_from(share).unwrap_or(WHOLE);
    }
    (total > 0).then_some(shares)
}

/// Whether a share is more than five points from the mean of those before.
fn is_break(share: u64, before: &[u64]) -> bool {
    let days = before.len() as u64;
    let sum: u64 = before.iter().sum();
    before.len() >= DAYS_BEFORE_MIN && (share * days).abs_diff(sum) > BREAK * days
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_break_is_more_than_five_points_from_the_mean() {
        let percent = |points: u64| points * WHOLE / 100;
        assert!(!is_break(percent(90), &[]), "a first day breaks with nothing");
        assert!(!is_break(percent(90), &[percent(10)]), "one day is no mean");
        let before = [percent(10); 2];
        assert!(!is_break(percent(15), &before));
        assert!(is_break(percent(15) + 1, &before));
        assert!(is_break(percent(5) - 1, &before));
        assert!(!is_break(percent(5), &before));
        // The mean of the days before is what counts, not the last of them.
        let before = [percent(10), percent(20), percent(30)];
        assert!(!is_break(percent(25), &before));
        assert!(is_break(percent(30), &before));
        assert!(!is_break(0, &[0; 7]));
    }
}
