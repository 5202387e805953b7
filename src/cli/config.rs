//! `shadowscope config`: each setting, its value and where it comes from.

use std::error::Error;
use std::process::ExitCode;

use clap::Args;

use super::settings;
use crate::config::arguments::Given;

/// The command's arguments: all settings, as `run` takes them.
#[derive(Args)]
pub(super) struct ConfigArgs {
    #[command(flatten)]
    given: Given,
}

/// Prints a file that says what is in force, with the origin of each line.
pub(super) fn run(args: &ConfigArgs) -> Result<ExitCode, Box<dyn Error>> {
    let config = settings::load(&args.given)?;
    super::tell(config)?;
    Ok(ExitCode::SUCCESS)
}
