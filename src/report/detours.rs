//! `detours.csv`: tunnels, remote access and encrypted DNS, one row for each (date, what, known_by)
//! that was seen: how much it was, and by how many devices. Never by which.
//!
//! `what` is a protocol, or for services that the catalogue knows its category. `known_by` says what
//! told it: `protocol` (what was said in it), `resolver_list` (the catalogue's dated list of public
//! resolvers), `catalogue` (its names and addresses). Bytes of remote access may be an app's in the
//! other files, too, and stand in two rows here where both its protocol and its name told it.

use super::ReportError;
use super::days::Day;
use super::output::{Finished, Output};
use super::table::{Cell, Table};
use crate::store::Snapshot;

const COLUMNS: [&str; 6] = ["date", "what", "known_by", "flows", "bytes", "devices"];

/// `detours.csv` in the making.
pub(super) struct Detours {
    table: Table,
}

impl Detours {
    pub(super) fn begin(output: Output) -> Result<Detours, ReportError> {
        Ok(Detours { table: Table::begin(output, &COLUMNS)? })
    }

    /// Adds the rows of a day.
    pub(super) fn add_day(
        &mut self,
        snapshot: &Snapshot<'_>,
        day: &Day,
    ) -> Result<(), ReportError> {
        for fact in snapshot.detours(day.window)? {
            self.table.row(&[
                Cell::Ours(&day.date),
                Cell::Ours(fact.detour.as_str()),
                Cell::Ours(fact.detour.known_by()),
                Cell::Number(fact.flows),
                Cell::Number(fact.bytes),
                Cell::Number(fact.devices),
            ])?;
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Finished, ReportError> {
        self.table.finish()
    }
}
