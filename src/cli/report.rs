//! `shadowscope report`: the CSV files of a database, for a range or night by night.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use jiff::civil::Date;

use super::evidence_args::{self, EvidenceArgs};
use super::settings;
use crate::config::arguments::Given;
use crate::report::{ReportRange, write_reports};
use crate::store::Store;

/// The command's arguments.
#[derive(Args)]
pub(super) struct ReportArgs {
    /// The database, as `read --db` made it
    #[arg(long, value_name = "FILE", required_unless_present = "nightly")]
    db: Option<PathBuf>,
    /// The folder for the files; it is made if need be
    #[arg(long, value_name = "DIR", required_unless_present = "nightly")]
    out: Option<PathBuf>,
    /// Only hours from the one that holds this time on: 2026-11-22, 2026-11-22T08:00 or 2026-11-22T08:00:00Z
    #[arg(long, value_name = "T")]
    from: Option<String>,
    /// Only hours that begin before this time
    #[arg(long, value_name = "T")]
    to: Option<String>,
    /// What counts as use.
    #[command(flatten)]
    evidence: EvidenceArgs,
    /// Write yesterday's files into a folder with its date, and remove old ones, as the sensor's
    /// configuration says (report.folder, report.keep_days, report.evidence, store.db)
    #[arg(long, conflicts_with_all = ["out", "from", "to"])]
    nightly: bool,
    /// The sensor's configuration [default: /etc/shadowscope/shadowscope.toml, if it is there]
    #[arg(long, value_name = "FILE", requires = "nightly")]
    config: Option<PathBuf>,
}

pub(super) fn run(args: &ReportArgs) -> Result<ExitCode, Box<dyn Error>> {
    let (Some(db), Some(out)) = (&args.db, &args.out) else { return nightly(args) };
    let evidence = args.evidence.settings()?;
    let store = Store::open_read_only(db)?;
    let zone = settings::zone_named("--zone", &store.zone()?)?;
    let moment = |option, text: &Option<String>| {
        text.as_deref().map(|text| settings::moment(option, text, &zone)).transpose()
    };
    let range = ReportRange { from: moment("--from", &args.from)?, to: moment("--to", &args.to)? };
    settings::make_folder("--out", out)?;
    for path in write_reports(&store, out, range, &evidence)? {
        super::tell(format_args!("{}\n", path.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Yesterday's files in a folder with its date, there as a whole or not at all.
fn nightly(args: &ReportArgs) -> Result<ExitCode, Box<dyn Error>> {
    let values = args.evidence.values.clone();
    let config = settings::load(&Given { config: args.config.clone(), values })?;
    let evidence = evidence_args::configured(&config)?;
    let folder = config.path("report.folder").unwrap_or_else(|| PathBuf::from("."));
    settings::make_folder(&config.place("report.folder"), &folder)?;
    let store = Store::open_read_only(&args.db.clone().unwrap_or_else(|| settings::db(&config)))?;
    let zone = settings::zone_named("--zone", &store.zone()?)?;
    let today = jiff::Timestamp::now().to_zoned(zone.clone()).date();
    let yesterday = today.yesterday()?;
    let begin = |day: Date| settings::moment("the day", &day.to_string(), &zone).map(Some);
    let range = ReportRange { from: begin(yesterday)?, to: begin(today)? };
    let partial = folder.join(format!(".{yesterday}.partial"));
    remove(&partial)?;
    write_reports(&store, &partial, range, &evidence)?;
    let place = folder.join(yesterday.to_string());
    // One that is there is of the same day, and made anew.
    remove(&place)?;
    fs::rename(&partial, &place)?;
    super::tell(format_args!("{}\n", place.display()))?;
    if let Some(days) = config.number("report.keep_days").filter(|&days| days > 0) {
        let first = today.checked_sub(jiff::Span::new().days(i64::try_from(days)?))?;
        for old in dated(&folder)?.into_iter().filter(|(date, _)| *date < first) {
            remove(&old.1)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Folders whose name is a date.
fn dated(folder: &Path) -> std::io::Result<Vec<(Date, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let date = name.to_str().filter(|name| name.len() == "2026-11-22".len());
        if let Some(date) = date.and_then(|name| name.parse().ok())
            && entry.file_type()?.is_dir()
        {
            found.push((date, entry.path()));
        }
    }
    Ok(found)
}

fn remove(folder: &Path) -> std::io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
