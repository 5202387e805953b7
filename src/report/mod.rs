//! Reports: what the store holds, as CSV files and a manifest in a folder.
//!
//! The same database and range give the same bytes, whenever and wherever they are asked for:
//! every file has a total order, every number an exact form. All files come from one state of the
//! database, also while somebody writes to it, and each is put in place as a whole.
//!
//! Days are those of the zone whose hours the database keeps. What the columns mean is told in the
//! module that writes the file.

mod apps;
mod days;
mod manifest;
mod output;
mod table;
mod unmatched;
mod usage;
mod visibility;

use std::io;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use thiserror::Error;

use crate::store::{Snapshot, Store, StoreError, Window};
use crate::time::Timestamp;
use days::Days;
use output::Output;

pub use table::neutral;

/// Which part of the store is told: hours that lie in `from ..= to`, at least in part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportRange {
    /// The first moment; open when `None`.
    pub from: Option<Timestamp>,
    /// The last moment; open when `None`.
    pub to: Option<Timestamp>,
}

/// Why no report was written. Files that were in the folder before are as they were, or already
/// replaced as a whole.
#[derive(Debug, Error)]
pub enum ReportError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file or the folder.
    #[error("cannot write {path}: {source}", path = .path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The machine does not know the database's time zone.
    #[error(
        "the database {path} keeps hours of the time zone {zone}, which this machine does not \
         know; install its time zone data (Debian: tzdata)", path = .path.display()
    )]
    Zone {
        /// The database.
        path: PathBuf,
        /// The zone's name.
        zone: String,
    },
    /// A stamp that no calendar has.
    #[error("the database {path} holds a time out of range: {source}", path = .path.display())]
    Time {
        /// The database.
        path: PathBuf,
        /// What the calendar says.
        source: jiff::Error,
    },
}

/// Writes `apps.csv`, `usage.csv`, `unmatched.csv`, `visibility.csv` and `manifest.json` into
/// `folder`, which is made if need be, and answers their paths.
///
/// # Errors
/// The database cannot be read, or a file not be written.
pub fn write_reports(
    store: &Store,
    folder: &Path,
    range: ReportRange,
) -> Result<Vec<PathBuf>, ReportError> {
    let zone_name = store.zone()?;
    let Ok(zone) = TimeZone::get(&zone_name) else {
        return Err(ReportError::Zone { path: store.path().to_path_buf(), zone: zone_name });
    };
    std::fs::create_dir_all(folder)
        .map_err(|source| ReportError::Write { path: folder.to_path_buf(), source })?;
    let snapshot = store.snapshot()?;
    let window = window(&snapshot, range)?;
    let days = Days::new(&snapshot, &zone, store.path(), window);

    let mut apps = apps::Apps::begin(Output::create(folder, "apps.csv")?)?;
    let mut usage = usage::Usage::begin(Output::create(folder, "usage.csv")?)?;
    let mut visibility = visibility::Visibility::begin(Output::create(folder, "visibility.csv")?)?;
    days.each(|day| {
        let by_app = usage.add_day(&snapshot, &days, day)?;
        apps.add_day(&snapshot, &days, day, &by_app)?;
        visibility.add_day(&snapshot, day)
    })?;
    let unmatched = Output::create(folder, "unmatched.csv")?;
    let files = [
        apps.finish()?,
        usage.finish()?,
        unmatched::write(unmatched, &snapshot, &days)?,
        visibility.finish()?,
    ];
    let mut paths: Vec<PathBuf> = files.iter().map(|file| file.path.clone()).collect();
    let manifest = Output::create(folder, "manifest.json")?;
    paths.push(manifest::write(manifest, &snapshot, &days, &zone_name, &files)?.path);
    Ok(paths)
}

/// Whole hours: the one that holds `from` up to the one that holds `to`.
fn window(snapshot: &Snapshot<'_>, range: ReportRange) -> Result<Window, StoreError> {
    let mut window = Window::ALL;
    if let Some(from) = range.from {
        // Hours begin at full, half or quarter ones of UTC: the last that begins by then, if it
        // still holds `from`.
        let before = Window { from: from.seconds() - 3599, to: from.seconds() + 1 };
        window.from = snapshot.last_hour(before)?.unwrap_or(from.seconds());
    }
    if let Some(to) = range.to {
        window.to = to.seconds().saturating_add(1);
    }
    Ok(window)
}
