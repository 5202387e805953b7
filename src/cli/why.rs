//! `shadowscope why`: what stands behind a row of a report, or behind its absence.
use std::error::Error;
use std::process::ExitCode;
#[derive(clap::Args)]
pub(super) struct WhyArgs {}
pub(super) fn run(_args: &WhyArgs) -> Result<ExitCode, Box<dyn Error>> {
    Ok(ExitCode::SUCCESS)
}
