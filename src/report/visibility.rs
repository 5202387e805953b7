//! `visibility.csv`: the books, one row for each (date, bucket); what could be told of the traffic
//! and what could not.
//!
//! Every day with rows has all buckets, also the empty ones, in the order in which they are asked.
//! `bytes` over all rows are the manifest's `total_bytes`. `pct` is the bucket's share of the
//! day's bytes in per cent.

use super::ReportError;
use super::days::Day;
use super::output::{Finished, Output};
use super::table::{Cell, Table};
use crate::store::Snapshot;

const COLUMNS: [&str; 5] = ["date", "bucket", "flows", "bytes", "pct"];

/// `visibility.csv` in the making.
pub(super) struct Visibility {
    table: Table,
}

impl Visibility {
    pub(super) fn begin(output: Output) -> Result<Visibility, ReportError> {
        Ok(Visibility { table: Table::begin(output, &COLUMNS)? })
    }

    /// Adds the rows of a day.
    pub(super) fn add_day(
        &mut self,
        snapshot: &Snapshot<'_>,
        day: &Day,
    ) -> Result<(), ReportError> {
        let facts = snapshot.visibility(day.window)?;
        let total = facts.iter().map(|fact| fact.bytes).sum();
        for fact in facts {
            self.table.row(&[
                Cell::Ours(&day.date),
                Cell::Ours(fact.bucket.name()),
                Cell::Number(fact.flows),
                Cell::Number(fact.bytes),
                Cell::Ours(&per_cent(fact.bytes, total)),
            ])?;
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Finished, ReportError> {
        self.table.finish()
    }
}

/// `part` of `whole` in per cent with four decimals, rounded half up, in whole numbers throughout;
/// 0 of nothing.
fn per_cent(part: u64, whole: u64) -> String {
    let (part, whole) = (u128::from(part), u128::from(whole.max(1)));
    let ten_thousandths = (part * 1_000_000 * 2 + whole) / (whole * 2);
    format!("{}.{:04}", ten_thousandths / 10_000, ten_thousandths % 10_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_rounded_half_up_and_never_through_floating_point() {
        assert_eq!(per_cent(1, 3), "33.3333");
        assert_eq!(per_cent(2, 3), "66.6667");
        assert_eq!(per_cent(1, 2_000_000), "0.0001");
        assert_eq!(per_cent(1, 2_000_001), "0.0000");
        assert_eq!(per_cent(u64::MAX, u64::MAX), "100.0000");
        assert_eq!(per_cent(0, 0), "0.0000");
    }
}
