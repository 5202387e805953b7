//! The `shadowscope` program.

use std::process::ExitCode;

use clap::Parser;
use shadowscope::cli::match_command::{self, MatchArgs};

#[derive(Parser)]
#[command(version, about)]
enum Command {
    /// Tell which app each hostname belongs to
    Match(MatchArgs),
}

fn main() -> ExitCode {
    let result: Result<ExitCode, Box<dyn std::error::Error>> = match Command::parse() {
        Command::Match(args) => match_command::run(&args).map_err(Into::into),
    };
    result.unwrap_or_else(|error| {
        eprintln!("shadowscope: {error}");
        ExitCode::FAILURE
    })
}
