//! `shadowscope report`: the CSV files of a database.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::settings;
use crate::report::{ReportRange, write_reports};
use crate::store::Store;

/// The command's arguments.
#[derive(Args)]
pub(super) struct ReportArgs {
    /// The database, as `read --db` made it
    #[arg(long, value_name = "FILE")]
    db: PathBuf,
    /// The folder for the files; it is made if need be
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Only hours from the one that holds this time on: 2026-11-22, 2026-11-22T08:00 or 2026-11-22T08:00:00Z
    #[arg(long, value_name = "T")]
    from: Option<String>,
    /// Only hours that begin before this time
    #[arg(long, value_name = "T")]
    to: Option<String>,
}

pub(super) fn run(args: &ReportArgs) -> Result<ExitCode, Box<dyn Error>> {
    let store = Store::open_read_only(&args.db)?;
    let zone = settings::zone_named("--zone", &store.zone()?)?;
    let moment = |option, text: &Option<String>| {
        text.as_deref().map(|text| settings::moment(option, text, &zone)).transpose()
    };
    let range = ReportRange { from: moment("--from", &args.from)?, to: moment("--to", &args.to)? };
    settings::make_folder("--out", &args.out)?;
    for path in write_reports(&store, &args.out, range)? {
        println!("{}", path.display());
    }
    Ok(ExitCode::SUCCESS)
}
