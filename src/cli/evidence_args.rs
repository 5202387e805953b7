//! `--evidence`, which several commands share: a file that says what counts as use.

use std::path::{Path, PathBuf};

use super::Mistake;
use crate::config::Config;
use crate::evidence::Settings;

/// What counts as use.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct EvidenceArgs {
    /// What counts as use, and which addresses are no person: a TOML file with the tables
    /// "evidence" and "shared_sources"; what is not in it has its default
    #[arg(long, value_name = "FILE")]
    pub(super) evidence: Option<PathBuf>,
}

impl EvidenceArgs {
    /// The settings of the file, or the defaults.
    ///
    /// # Errors
    /// The file cannot be read, or says what there is not.
    pub(super) fn settings(&self) -> Result<Settings, Mistake> {
        read("--evidence", self.evidence.as_deref())
    }
}

/// What the configuration says that counts as use.
///
/// # Errors
/// Its file cannot be read, or says what there is not.
pub(super) fn configured(config: &Config) -> Result<Settings, Mistake> {
    read(&config.place("report.evidence"), config.path("report.evidence").as_deref())
}

fn read(place: &str, path: Option<&Path>) -> Result<Settings, Mistake> {
    let Some(path) = path else { return Ok(Settings::default()) };
    let wrong = |what: String| Mistake(format!("{place} {}: {what}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    Settings::parse(&text).map_err(wrong)
}
