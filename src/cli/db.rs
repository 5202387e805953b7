//! `shadowscope db`: care of a database, also while a sensor writes to it.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{Mistake, settings};
use crate::config::arguments::Given;
use crate::store::{Store, StoreError};

/// The command's arguments.
#[derive(Args)]
pub(super) struct DbArgs {
    #[command(subcommand)]
    command: DbCommand,
}

#[derive(Subcommand)]
enum DbCommand {
    /// Check all pages, references and books; ends with 1 where something is wrong
    Check {
        #[command(flatten)]
        place: DbPlace,
    },
    /// Copy it, as it is at one moment, to a new file
    Backup {
        /// The copy; there must be no file yet
        file: PathBuf,
        #[command(flatten)]
        place: DbPlace,
    },
}

/// Which database.
#[derive(Args)]
pub(super) struct DbPlace {
    /// The database [default: store.db of the configuration]
    #[arg(long, value_name = "FILE")]
    db: Option<PathBuf>,
    /// The sensor's configuration [default: /etc/shadowscope/shadowscope.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl DbPlace {
    fn open(&self) -> Result<Store, Box<dyn Error>> {
        let path = match &self.db {
            Some(path) => path.clone(),
            None => {
                let given = Given { config: self.config.clone(), ..Given::default() };
                settings::db(&settings::load(&given)?)
            }
        };
        Ok(Store::open_read_only(&path)?)
    }
}

pub(super) fn run(args: &DbArgs) -> Result<ExitCode, Box<dyn Error>> {
    match &args.command {
        DbCommand::Check { place } => check(&place.open()?),
        DbCommand::Backup { file, place } => backup(&place.open()?, file),
    }
}

fn check(store: &Store) -> Result<ExitCode, Box<dyn Error>> {
    let findings = store.findings()?;
    for finding in &findings {
        eprintln!("{}: {finding}", store.path().display());
    }
    if !findings.is_empty() {
        eprintln!("take it from a backup, or start a new one");
        return Ok(ExitCode::FAILURE);
    }
    super::tell(format_args!("{}: all is well\n", store.path().display()))?;
    Ok(ExitCode::SUCCESS)
}

fn backup(store: &Store, file: &Path) -> Result<ExitCode, Box<dyn Error>> {
    match store.backup(file) {
        Err(StoreError::Open { path, source }) => Err(Mistake(format!(
            "cannot make the copy {}: {source}; name a file that is not there, in a folder in which \
             you may write",
            path.display()
        ))
        .into()),
        done => {
            done?;
            super::tell(format_args!("{}\n", file.display()))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}
