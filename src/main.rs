//! The `shadowscope` program.

use std::process::ExitCode;

use clap::Parser;
use shadowscope::catalogue::Date;
use shadowscope::cli::match_command::{self, MatchArgs};
use shadowscope::cli::signatures_command::{self, SignaturesArgs};

#[derive(Parser)]
#[command(version, about)]
enum Command {
    /// Tell which app each hostname belongs to
    Match(MatchArgs),
    /// Check, format, explain and make signature files
    Signatures(SignaturesArgs),
}

fn main() -> ExitCode {
    let fail = |error: &dyn std::error::Error, code| {
        eprintln!("shadowscope: {error}");
        code
    };
    match Command::parse() {
        Command::Match(args) => {
            match_command::run(&args).unwrap_or_else(|error| fail(&error, ExitCode::FAILURE))
        }
        Command::Signatures(args) => {
            let today = Date(jiff::Zoned::now().date());
            signatures_command::run(&args, today)
                .unwrap_or_else(|error| fail(&error, error.exit_code()))
        }
    }
}
