//! Reloading: on SIGHUP all that can be, and the catalogue when its files change.
//!
//! A thread of its own reads and checks, since a catalogue takes longer than a tick may; merge and
//! the workers exchange what is ready between two commits. What cannot be used is refused with its
//! findings, and the old one stays.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::catalogue::{Catalogue, Date, lint};
use crate::config::{Config, Reload};
use crate::evidence::Settings;
use crate::identity::Identities;
use crate::signatures::{self, LoadError, SignatureOptions};
use crate::worker::Networks;

use super::keeping::Ages;

/// How often is looked whether there is something to be done.
const LOOK: Duration = Duration::from_millis(200);
/// Every so many looks, the catalogue's files are looked at.
const LOOKS_BETWEEN_FILES: u32 = 10;
/// Files of a catalogue that are looked at.
const FILES_MAX: usize = 65_536;

/// What is to be taken from now on; what is `None` stays as it is.
#[derive(Debug, Default)]
pub struct Reloaded {
    /// The configuration.
    pub config: Option<Config>,
    /// The catalogue.
    pub catalogue: Option<Arc<Catalogue>>,
    /// What the configuration names beside it.
    pub inputs: Option<Inputs>,
    /// Something was wrong, and was told.
    pub is_refused: bool,
}

/// What a configuration names that is read when a sensor begins, and again when it is asked to.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// Who has which address.
    pub identities: Identities,
    /// Whose addresses are whose.
    pub networks: Networks,
    /// The organisation's own domains.
    pub own_domains: Vec<String>,
    /// What counts as use, and which addresses are no person, in totals.
    pub evidence: Settings,
    /// Until when rows are kept.
    pub ages: Ages,
    /// SHA-256 in hex of the configuration, as far as it changes results.
    pub config_sha256: String,
}

/// What the thread needs to know.
pub struct Reloader {
    /// The configuration in force.
    pub config: Config,
    /// Somebody wants a reload; SIGHUP sets it.
    pub asked: Arc<AtomicBool>,
    /// Reads the configuration anew.
    pub read_config: Box<dyn Fn() -> Result<Config, String> + Send>,
    /// Reads what a configuration names; else tells what is wrong with it.
    pub read_inputs: ReadsInputs,
}

/// See [`Reloader::read_inputs`].
pub type ReadsInputs = Box<dyn Fn(&Config) -> Result<Inputs, String> + Send>;

/// Names, sizes and times of a catalogue's files.
type Look = BTreeMap<PathBuf, (u64, Option<SystemTime>)>;

impl Reloader {
    /// Begins the thread. What is ready comes through the channel.
    pub fn start(mut self) -> Receiver<Reloaded> {
        let (sender, receiver) = bounded(1);
        std::thread::spawn(move || self.run(&sender));
        receiver
    }

    fn run(&mut self, sender: &Sender<Reloaded>) {
        let mut known = look(&options(&self.config));
        let mut changed: Option<Look> = None;
        for count in 1_u32.. {
            std::thread::sleep(LOOK);
            let mut reloaded = Reloaded::default();
            if self.asked.swap(false, Ordering::Relaxed) {
                reloaded = self.everything();
                known = look(&options(&self.config));
            } else if count.is_multiple_of(LOOKS_BETWEEN_FILES) {
                let now = look(&options(&self.config));
                // Files that are still being written are left alone until they stay as they are.
                if now != known && changed.as_ref() == Some(&now) {
                    reloaded = catalogue(&self.config, "its files changed");
                    known = now;
                    changed = None;
                } else {
                    changed = (now != known).then_some(now);
                }
            }
            let is_news =
                reloaded.is_refused || reloaded.config.is_some() || reloaded.catalogue.is_some();
            if is_news && sender.send(reloaded).is_err() {
                return;
            }
        }
    }

    fn everything(&mut self) -> Reloaded {
        let config = match (self.read_config)() {
            Ok(config) => config,
            Err(message) => return refused(&message),
        };
        for setting in self.config.changed(&config) {
            if setting.reload == Reload::Restart {
                eprintln!("shadowscope: reload: {} has changed and needs a restart", setting.key);
            }
        }
        let config = self.config.reloaded(&config);
        let inputs = match (self.read_inputs)(&config) {
            Ok(inputs) => inputs,
            Err(message) => return refused(&message),
        };
        // All of it is right, or nothing is taken.
        let reloaded = catalogue(&config, "somebody asked");
        if reloaded.is_refused {
            return reloaded;
        }
        self.config = config.clone();
        eprintln!("shadowscope: reload: identities, networks and what is kept are taken");
        Reloaded { config: Some(config), inputs: Some(inputs), ..reloaded }
    }
}

/// The catalogue of a configuration.
fn catalogue(config: &Config, why: &str) -> Reloaded {
    match load_checked(&options(config)) {
        Ok(catalogue) => {
            let version = catalogue.version();
            eprintln!("shadowscope: reload: catalogue {version} is taken, since {why}");
            Reloaded { catalogue: Some(Arc::new(catalogue)), ..Reloaded::default() }
        }
        Err(error) => refused(&error.to_string()),
    }
}

/// The catalogue, if nothing is wrong with it.
///
/// # Errors
/// It cannot be read; or findings, those of the linter among them where it is a folder.
pub fn load_checked(options: &SignatureOptions) -> Result<Catalogue, LoadError> {
    let catalogue = signatures::load(options)?;
    if let Some(folder) = options.signatures.as_deref().filter(|path| path.is_dir()) {
        let today = Date(jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date());
        let mut findings = lint::lint(&signatures::read_catalogue(folder)?, today);
        findings.retain(|finding| !finding.is_warning);
        if !findings.is_empty() {
            return Err(LoadError::Findings(findings));
        }
    }
    Ok(catalogue)
}

/// The catalogue's place as it is configured.
pub fn options(config: &Config) -> SignatureOptions {
    SignatureOptions {
        signatures: config.path("catalogue.signatures"),
        signatures_extra: config.path("catalogue.signatures_extra"),
    }
}

fn refused(message: &str) -> Reloaded {
    eprintln!("shadowscope: reload: refused, all stays as it was: {message}");
    Reloaded { is_refused: true, ..Reloaded::default() }
}

fn look(options: &SignatureOptions) -> Look {
    let mut found = Look::new();
    for path in [&options.signatures, &options.signatures_extra].into_iter().flatten() {
        add(path, 0, &mut found);
    }
    found
}

/// Adds a file, or the files in a folder and the folders below it.
fn add(path: &Path, depth: u32, found: &mut Look) {
    let Ok(facts) = path.metadata() else { return };
    if facts.is_file() {
        found.insert(path.to_path_buf(), (facts.len(), facts.modified().ok()));
    }
    let Ok(entries) = std::fs::read_dir(path) else { return };
    for entry in entries.flatten() {
        if depth < 2 && found.len() < FILES_MAX {
            add(&entry.path(), depth + 1, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reload of a sensor without a file, to one that says this.
    fn reload(file: &'static str) -> (Reloader, Reloaded) {
        let config = |text: &str| {
            let file = Some((Path::new("scope.toml"), text));
            Config::layered(&BTreeMap::new(), |_| None, file).unwrap()
        };
        let mut reloader = Reloader {
            config: config(""),
            asked: Arc::default(),
            read_config: Box::new(move || Ok(config(file))),
            read_inputs: Box::new(|config| {
                Ok(Inputs {
                    identities: Identities::default(),
                    networks: Networks {
                        home: crate::net::NetworkSet::default_home(),
                        own_servers: Default::default(),
                        sinkholes: Default::default(),
                    },
                    own_domains: config.list("networks.own_domain").to_vec(),
                    evidence: Settings::default(),
                    ages: Ages::of(config)?,
                    config_sha256: config.text("store.site").unwrap_or_default().to_owned(),
                })
            }),
        };
        let reloaded = reloader.everything();
        (reloader, reloaded)
    }

    #[test]
    fn what_needs_a_restart_stays_as_it_was() {
        let file = "[networks]\nown_domain = [\"acme.example\"]\n[store]\nsite = \"Oslo\"\n";
        let (reloader, reloaded) = reload(file);
        let inputs = reloaded.inputs.unwrap();
        assert_eq!(inputs.own_domains, ["acme.example"]);
        assert_eq!(inputs.config_sha256, "");
        assert!(reloaded.catalogue.is_some() && !reloaded.is_refused);
        for config in [&reloader.config, &reloaded.config.unwrap()] {
            assert_eq!(config.text("store.site"), None);
            assert_eq!(config.list("networks.own_domain"), ["acme.example"]);
        }
    }

    #[test]
    fn all_of_a_reload_is_taken_or_nothing() {
        for wrong in ["[store]\nkeep_daily_days = 1", "[catalogue]\nsignatures = \"/no/such\""] {
            let file = format!("{wrong}\n[networks]\nown_domain = [\"acme.example\"]\n");
            let (reloader, reloaded) = reload(file.leak());
            assert!(reloaded.is_refused, "{wrong}");
            assert!(reloaded.config.is_none() && reloaded.catalogue.is_none(), "{wrong}");
            assert!(reloaded.inputs.is_none(), "{wrong}");
            assert!(reloader.config.list("networks.own_domain").is_empty(), "{wrong}");
        }
    }
}
