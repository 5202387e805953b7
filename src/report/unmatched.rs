//! `unmatched.csv`: domains that no signature knows, one row each for the whole range: where the
//! catalogue's blind spots are.
//!
//! `date_from` and `date_to` are the first and the last day with rows of any kind, the same in all
//! rows. Where some of a domain's rows are kept by day only, `first_seen` and `last_seen` are days;
//! where only totals of days are, `users` and `devices` are those of the day with most. Domains that were only asked for in DNS have no row.

use super::ReportError;
use super::days::Days;
use super::output::{Finished, Output};
use super::table::{Cell, Table};
use crate::store::Snapshot;

const COLUMNS: [&str; 10] = [
    "date_from",
    "date_to",
    "registered_domain",
    "users",
    "devices",
    "connections",
    "bytes_up",
    "bytes_down",
    "first_seen",
    "last_seen",
];

pub(super) fn write(
    output: Output,
    snapshot: &Snapshot<'_>,
    days: &Days<'_>,
) -> Result<Finished, ReportError> {
    let mut table = Table::begin(output, &COLUMNS)?;
    if let Some((date_from, date_to)) = days.ends()? {
        snapshot.unmatched(days.window, |unmatched| {
            table.row(&[
                Cell::Ours(&date_from),
                Cell::Ours(&date_to),
                Cell::Text(unmatched.domain),
                Cell::Number(unmatched.users),
                Cell::Number(unmatched.devices),
                Cell::Number(unmatched.sums.connections),
                Cell::Number(unmatched.sums.bytes_up),
                Cell::Number(unmatched.sums.bytes_down),
                Cell::Ours(&days.seen(unmatched.sums.first_seen, unmatched.is_by_day)?),
                Cell::Ours(&days.seen(unmatched.sums.last_seen, unmatched.is_by_day)?),
            ])
        })?;
    }
    table.finish()
}
