//! The command line: arguments in, exit code out.
//!
//! Exit codes: 0 all went well; 1 the machine or a damaged capture; 2 the user's mistake. What is
//! wrong goes to standard error, with the place and what to do.

mod command;
mod config;
mod db;
mod doctor;
mod evidence_args;
pub mod match_command;
mod progress;
mod read;
mod reclassify;
mod report;
mod run;
mod settings;
pub mod signature_args;
pub mod signatures_command;
mod status;
mod summary;
mod unmatched;
mod why;

use std::fmt::Display;
use std::io::{self, Write};

pub use command::main;

/// Prints to standard output. Whoever reads no more of it wants no more, which is no fault.
fn tell(text: impl Display) -> io::Result<()> {
    write!(io::stdout().lock(), "{text}").or_else(forgive_closed_pipe)
}

/// A reader that wants no more is no fault.
fn forgive_closed_pipe(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) }
}

/// A mistake of the user's: told, and exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Mistake(String);
