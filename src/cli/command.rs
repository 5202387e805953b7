//! The commands.

use std::error::Error;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use super::Mistake;
use super::config::{self, ConfigArgs};
use super::db::{self, DbArgs};
use super::doctor::{self, DoctorArgs};
use super::match_command::{self, MatchArgs, MatchError};
use super::read::{self, ReadArgs};
use super::reclassify::{self, ReclassifyArgs};
use super::report::{self, ReportArgs};
use super::run::{self, RunArgs};
use super::signatures_command::{self, SignaturesArgs, SignaturesError};
use super::status::{self, StatusArgs};
use super::unmatched::{self, UnmatchedArgs};
use super::why::{self, WhyArgs};
use crate::capture::live::LiveError;
use crate::catalogue::Date;
use crate::config::ConfigError;
use crate::feeds::autonomous_systems::AsnError;
use crate::feeds::identities::IdentitiesError;
use crate::feeds::pseudonym_key::KeyError;
use crate::report::ReportError;
use crate::rights::RightsError;
use crate::service::listen::ListenError;
use crate::signatures::LoadError;
use crate::store::StoreError;

/// Finds out from packets which cloud services are used, by whom, how much and since when.
#[derive(Parser)]
#[command(version, about, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Read capture files and tell which apps they show
    Read(Box<ReadArgs>),
    /// Capture on network interfaces and keep what is found
    Run(Box<RunArgs>),
    /// Show each setting of `run`, its value and where it comes from
    Config(Box<ConfigArgs>),
    /// Write the CSV reports of a database
    Report(ReportArgs),
    /// Name the past with what the catalogue knows now
    Reclassify(ReclassifyArgs),
    /// Tell why a report says what it says of an app, or why it says nothing
    Why(WhyArgs),
    /// Tell how a running sensor is
    Status(StatusArgs),
    /// Say what an interface shows, and what it will not
    Doctor(Box<DoctorArgs>),
    /// Check or copy a database, also while a sensor writes to it
    Db(DbArgs),
    /// List the names of today that no signature of a running sensor knows, with drafts of files
    Unmatched(UnmatchedArgs),
    /// Tell which app each hostname belongs to
    Match(MatchArgs),
    /// Check, explain and edit signature files
    Signatures(SignaturesArgs),
}

/// Runs the program.
pub fn main() -> ExitCode {
    let result: Result<ExitCode, Box<dyn Error>> = match Arguments::parse().command {
        Command::Read(args) => read::run(&args),
        Command::Run(args) => run::run(&args),
        Command::Config(args) => config::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Reclassify(args) => reclassify::run(&args),
        Command::Why(args) => why::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Db(args) => db::run(&args),
        Command::Unmatched(args) => unmatched::run(&args),
        Command::Match(args) => match_command::run(&args).map_err(Into::into),
        Command::Signatures(args) => {
            let today = Date(jiff::Zoned::now().date());
            signatures_command::run(&args, today).map_err(Into::into)
        }
    };
    result.unwrap_or_else(|error| {
        eprintln!("shadowscope: {error}");
        ExitCode::from(exit_code(error.as_ref()))
    })
}

/// Whose fault it is: 2 for the user's, 1 for the machine's.
fn exit_code(error: &(dyn Error + 'static)) -> u8 {
    let is_mistake = error.is::<Mistake>()
        || error.is::<crate::capture::PlanError>()
        || error.is::<crate::capture::FilterError>()
        || error.is::<IdentitiesError>()
        || error.is::<LiveError>()
        || error.is::<KeyError>()
        || error.is::<ConfigError>()
        || error.is::<ListenError>()
        || matches!(error.downcast_ref(), Some(RightsError::NoUser(_)))
        || error.is::<AsnError>()
        || error.downcast_ref::<LoadError>().is_some()
        || matches!(error.downcast_ref::<MatchError>(), Some(MatchError::Load(_)))
        || error.downcast_ref::<SignaturesError>().is_some_and(SignaturesError::is_mistake)
        || error.downcast_ref::<StoreError>().is_some_and(StoreError::is_operators)
        || matches!(error.downcast_ref::<ReportError>(), Some(ReportError::Store(store)) if store.is_operators());
    if is_mistake { 2 } else { 1 }
}
