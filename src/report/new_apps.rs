//! `new_apps.csv`: apps that were in use before the catalogue knew them, one row each for the whole
//! range.
//!
//! Their rows were kept under a registrable domain, and `shadowscope reclassify` gave them the app.
//! `first_seen` is that of these rows, and `reason` says how many days it lies before the app had a
//! name. `users` counts distinct known users. Rows that hold only DNS questions do not count.
//! Where rows are kept by day only, `first_seen` is a day.

use super::ReportError;
use super::days::Days;
use super::output::{Finished, Output};
use super::table::{Cell, Table};
use crate::store::Snapshot;

const COLUMNS: [&str; 8] =
    ["date_from", "date_to", "app_id", "app_name", "first_seen", "users", "bytes_up", "reason"];
const SECONDS_PER_DAY: i64 = 86_400;

pub(super) fn write(
    output: Output,
    snapshot: &Snapshot<'_>,
    days: &Days<'_>,
) -> Result<Finished, ReportError> {
    let mut table = Table::begin(output, &COLUMNS)?;
    if let Some((date_from, date_to)) = days.ends()? {
        for app in snapshot.named_later(days.window)? {
            let before = (app.named_at - app.first_seen.seconds()).max(0) / SECONDS_PER_DAY;
            table.row(&[
                Cell::Ours(&date_from),
                Cell::Ours(&date_to),
                Cell::Text(&app.app_id),
                Cell::Text(&app.name),
                Cell::Ours(&days.seen(app.first_seen, app.is_by_day)?),
                Cell::Number(app.users),
                Cell::Number(app.bytes_up),
                Cell::Ours(&format!("first seen {before} days before it had a name")),
            ])?;
        }
    }
    table.finish()
}
