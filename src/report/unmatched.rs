//! `unmatched.csv`: domains that no signature knows, one row each for the whole range: where the
//! catalogue's blind spots are.
//!
//! `date_from` and `date_to` are the first and the last day with rows of any kind, the same in all
//! rows. Domains that were only asked for in DNS have no row.

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
                Cell::Ours(&days.time(unmatched.sums.first_seen)?),
                Cell::Ours(&days.time(unmatched.sums.last_seen)?),
            ])
        })?;
    }
    table.finish()
}
