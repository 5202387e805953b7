//! `shared_sources.csv`: addresses that are no person, one row each a day, and why.
//!
//! Their rows of `usage.csv` have no user, and `shared_source` with the reason in place of the
//! device, so that what many people or a machine did is never credited to one. `connections` are
//! those that the address opened, `accepted` those that it answered; both of named traffic.
//! `facts` tells what it was recognised by. All of a day counts, also where only some of its hours
//! are reported on.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::ReportError;
use super::days::Day;
use super::output::{Finished, Output};
use super::table::{Cell, Table};
use crate::evidence::source::{Reason, SourceSettings};
use crate::store::{Snapshot, StoreError, Window};

const COLUMNS: [&str; 8] =
    ["date", "device", "reason", "connections", "accepted", "bytes_up", "bytes_down", "facts"];

/// What stands before the reason in place of a device in rows of `usage.csv` that are nobody's.
pub const SHARED_SOURCE: &str = "shared_source ";

/// Devices that are no person, and why.
pub(super) type SharedSources = HashMap<String, Reason, RandomState>;

/// `shared_sources.csv` in the making.
pub(super) struct Shared {
    table: Table,
}

/// Which devices of a day are no person, and why.
pub(super) fn of_day(
    snapshot: &Snapshot<'_>,
    day: Window,
    settings: &SourceSettings,
) -> Result<SharedSources, StoreError> {
    let sources = snapshot.sources(day)?.into_iter();
    let shared = sources.filter_map(|(device, source)| {
        settings.reason(&device, &source.facts).map(|reason| (device, reason))
    });
    Ok(shared.collect())
}

impl Shared {
    pub(super) fn begin(output: Output) -> Result<Shared, ReportError> {
        Ok(Shared { table: Table::begin(output, &COLUMNS)? })
    }

    /// Adds the rows of a day, and answers which devices they are of.
    pub(super) fn add_day(
        &mut self,
        snapshot: &Snapshot<'_>,
        day: &Day,
        settings: &SourceSettings,
    ) -> Result<SharedSources, ReportError> {
        let mut shared = SharedSources::default();
        for (device, source) in snapshot.sources(day.whole)? {
            let Some(reason) = settings.reason(&device, &source.facts) else { continue };
            self.table.row(&[
                Cell::Ours(&day.date),
                Cell::Text(&device),
                Cell::Ours(reason.as_str()),
                Cell::Number(source.facts.opened),
                Cell::Number(source.facts.accepted),
                Cell::Number(source.bytes_up),
                Cell::Number(source.bytes_down),
                Cell::Ours(&source.facts.in_words().join("; ")),
            ])?;
            shared.insert(device, reason);
        }
        Ok(shared)
    }

    pub(super) fn finish(self) -> Result<Finished, ReportError> {
        self.table.finish()
    }
}
