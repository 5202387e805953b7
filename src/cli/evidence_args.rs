//! `--evidence`, which several commands share: a file that says what counts as use.

use std::error::Error;

use super::Mistake;
use crate::config::Config;
use crate::config::arguments::{Few, Keys};
use crate::evidence::Settings;

const KEY: &str = "report.evidence";

/// What counts as use, as an option.
pub(super) type EvidenceArgs = Few<EvidenceKey>;

/// See [`EvidenceArgs`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct EvidenceKey;

impl Keys for EvidenceKey {
    const KEYS: &'static [&'static str] = &[KEY];
}

impl EvidenceArgs {
    /// The settings of the file, or the defaults.
    ///
    /// # Errors
    /// The file cannot be read, or says what there is not.
    pub(super) fn settings(&self) -> Result<Settings, Box<dyn Error>> {
        Ok(configured(&self.config()?)?)
    }
}

/// What a configuration says that counts as use.
///
/// # Errors
/// Its file cannot be read, or says what there is not.
pub(super) fn configured(config: &Config) -> Result<Settings, Mistake> {
    let Some(path) = config.path(KEY) else { return Ok(Settings::default()) };
    let wrong = |what: String| Mistake(format!("{} {}: {what}", config.place(KEY), path.display()));
    let text = std::fs::read_to_string(&path).map_err(|error| wrong(error.to_string()))?;
    Settings::parse(&text).map_err(wrong)
}
