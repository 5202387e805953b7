//! `--evidence`, which several commands share: a file that says what counts as use.

use std::path::{Path, PathBuf};

use super::Mistake;
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
        self.evidence.as_deref().map_or_else(|| Ok(Settings::default()), read)
    }
}

fn read(path: &Path) -> Result<Settings, Mistake> {
    let wrong = |what: String| Mistake(format!("--evidence {}: {what}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    Settings::parse(&text).map_err(wrong)
}
