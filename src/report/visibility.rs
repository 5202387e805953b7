//! `visibility.csv`: the books, one row for each (date, bucket); what could be told of the traffic
//! and what could not.
//!
//! Every day with rows has all buckets, also the empty ones, in the order in which they are asked.
//! `bytes` over all rows are the manifest's `total_bytes`. `pct` is the bucket's share of the
//! day's bytes in per cent.

use super::ReportError;
use super::days::Day;
use super::output::{Finished, Output};
use super::table::{Cell, Table, ratio};
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
                Cell::Ours(&ratio(fact.bytes, total, 100)),
            ])?;
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Finished, ReportError> {
        self.table.finish()
    }
}
