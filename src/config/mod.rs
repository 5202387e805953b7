//! Configuration: command line over environment over file over defaults.
//!
//! [`SETTINGS`] is the single truth of what there is to be set. A [`Config`] holds each setting's
//! value as text of the right kind, with the place it came from, so that whoever finds it wrong can
//! name that place. It does not know what values mean.

pub mod arguments;
mod file;
pub mod table;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

pub use table::{Kind, Reload, SETTINGS, Setting, setting};

/// The file that is read where none is named, if it is there.
pub const DEFAULT_PATH: &str = "/etc/shadowscope/shadowscope.toml";
/// The variable that names another one.
pub const PATH_VARIABLE: &str = "SHADOWSCOPE_CONFIG";

/// Where a value came from; later ones win.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// It was not set.
    Default,
    /// The file, in this line.
    File(PathBuf, usize),
    /// A variable of the environment.
    Environment(String),
    /// An option.
    CommandLine,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File(path, line) => write!(f, "{}:{line}", path.display()),
            Origin::Environment(name) => f.write_str(name),
            Origin::CommandLine => f.write_str("command line"),
        }
    }
}

/// What a setting holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// Several for lists only.
    pub texts: Vec<String>,
    /// From where.
    pub origin: Origin,
}

/// Why there is no configuration. All that is wrong is told at once.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error(
        "cannot read the configuration {path}: {source}; name another one with --config",
        path = .path.display()
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Something in it, in the environment or on the command line.
    #[error("{}", .0.join("\n"))]
    Faults(Vec<String>),
}

/// All settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    values: BTreeMap<&'static str, Value>,
    file: Option<PathBuf>,
}

impl Config {
    /// Layers what was given. `environment` tells a variable's value; `path` names the file, without
    /// which the usual one is read where it is there.
    ///
    /// # Errors
    /// The file cannot be read, or something given is not of the right kind.
    pub fn load(
        given: &arguments::Given,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Config, ConfigError> {
        let named = given.config.clone().or_else(|| environment(PATH_VARIABLE).map(PathBuf::from));
        let path = named.or_else(|| Some(PathBuf::from(DEFAULT_PATH)).filter(|path| path.exists()));
        let text = match &path {
            Some(path) => Some(
                std::fs::read_to_string(path)
                    .map_err(|source| ConfigError::Read { path: path.clone(), source })?,
            ),
            None => None,
        };
        let file = path.as_deref().zip(text.as_deref());
        Config::layered(&given.values, environment, file)
    }

    pub(crate) fn layered(
        command_line: &BTreeMap<&'static str, Vec<String>>,
        environment: impl Fn(&str) -> Option<String>,
        file: Option<(&Path, &str)>,
    ) -> Result<Config, ConfigError> {
        let mut faults = Vec::new();
        let mut values = BTreeMap::new();
        for setting in SETTINGS {
            let texts = split(setting, setting.default);
            values.insert(setting.key, Value { texts, origin: Origin::Default });
        }
        if let Some((path, text)) = file {
            for (setting, value) in file::parse(path, text, &mut faults) {
                check(setting, &value, &mut faults);
                values.insert(setting.key, value);
            }
        }
        for setting in SETTINGS {
            let variable = setting.variable();
            let from_environment = environment(&variable).map(|text| Value {
                texts: split(setting, &text),
                origin: Origin::Environment(variable),
            });
            let typed = command_line
                .get(setting.key)
                .map(|texts| Value { texts: texts.clone(), origin: Origin::CommandLine });
            for value in from_environment.into_iter().chain(typed) {
                check(setting, &value, &mut faults);
                values.insert(setting.key, value);
            }
        }
        match faults.is_empty() {
            true => Ok(Config { values, file: file.map(|(path, _)| path.to_path_buf()) }),
            false => Err(ConfigError::Faults(faults)),
        }
    }

    /// The file that was read.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Each setting with its value, in the order of the table.
    pub fn iter(&self) -> impl Iterator<Item = (&'static Setting, &Value)> {
        SETTINGS.iter().filter_map(|setting| Some((setting, self.values.get(setting.key)?)))
    }

    /// A text; `None` where it is not set, or set to nothing.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.list(key).first().map(String::as_str)
    }

    /// A path.
    pub fn path(&self, key: &str) -> Option<PathBuf> {
        self.text(key).map(PathBuf::from)
    }

    /// Texts.
    pub fn list(&self, key: &str) -> &[String] {
        let texts = self.values.get(setting(key).key).map(|value| value.texts.as_slice());
        texts.unwrap_or_default()
    }

    /// Whole numbers.
    pub fn numbers(&self, key: &str) -> Vec<u64> {
        self.list(key).iter().filter_map(|text| number(setting(key).kind, text)).collect()
    }

    /// A whole number, or bytes.
    pub fn number(&self, key: &str) -> Option<u64> {
        number(setting(key).kind, self.text(key)?)
    }

    /// Yes or no.
    pub fn flag(&self, key: &str) -> bool {
        self.text(key).and_then(flag).unwrap_or(false)
    }

    /// How a mistake in a setting is told: by its option, or by the place it was set in.
    pub fn place(&self, key: &str) -> String {
        let setting = setting(key);
        match self.values.get(setting.key).map(|value| &value.origin) {
            Some(origin @ Origin::File(..)) => format!("{origin}: {key}"),
            Some(Origin::Environment(name)) => name.clone(),
            _ => format!("--{}", setting.option),
        }
    }

    /// What is in force after a reload: the newer values of the settings that a running sensor takes,
    /// and these of all others.
    pub fn reloaded(&self, newer: &Config) -> Config {
        let mut reloaded = newer.clone();
        for (setting, value) in self.iter().filter(|(it, _)| it.reload == Reload::Restart) {
            reloaded.values.insert(setting.key, value.clone());
        }
        reloaded
    }

    /// Settings whose values differ.
    pub fn changed(&self, other: &Config) -> Vec<&'static Setting> {
        let differs = |setting: &&Setting| self.list(setting.key) != other.list(setting.key);
        SETTINGS.iter().filter(differs).collect()
    }
}

/// One line for each setting: its value, as the file has it, and where it came from.
impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut section = "";
        for (setting, value) in self.iter() {
            let (in_section, key) = setting.key.split_once('.').unwrap_or(("", setting.key));
            if in_section != section {
                let gap = if section.is_empty() { "" } else { "\n" };
                writeln!(f, "{gap}[{in_section}]")?;
                section = in_section;
            }
            writeln!(
                f,
                "{:<50} # {}",
                format!("{key} = {}", written(setting, value)),
                value.origin
            )?;
        }
        Ok(())
    }
}

/// A value as the file has it.
fn written(setting: &Setting, value: &Value) -> String {
    let quoted = |text: &String| toml::Value::String(text.clone()).to_string();
    let is_number = |text: &String| text.bytes().all(|byte| byte.is_ascii_digit());
    let one = |text: &String| match setting.kind {
        Kind::Number(..) | Kind::Numbers(..) | Kind::Flag => text.clone(),
        Kind::Bytes if is_number(text) => text.clone(),
        _ => quoted(text),
    };
    match setting.kind {
        Kind::List | Kind::Numbers(..) => {
            format!("[{}]", value.texts.iter().map(one).collect::<Vec<_>>().join(", "))
        }
        _ => value.texts.first().map_or_else(|| "\"\"".into(), one),
    }
}

/// The texts in one; nothing is none.
fn split(setting: &Setting, text: &str) -> Vec<String> {
    let texts: Vec<&str> = match setting.kind {
        Kind::List | Kind::Numbers(..) => text.split(',').map(str::trim).collect(),
        _ => vec![text.trim()],
    };
    texts.into_iter().filter(|text| !text.is_empty()).map(str::to_owned).collect()
}

fn check(setting: &Setting, value: &Value, faults: &mut Vec<String>) {
    for text in &value.texts {
        let wanted = match setting.kind {
            Kind::Text | Kind::List => continue,
            Kind::Flag if flag(text).is_some() => continue,
            Kind::Flag => "true or false".to_owned(),
            Kind::Word(words) if words.contains(&text.as_str()) => continue,
            Kind::Word(words) => format!("one of {}", words.join(", ")),
            Kind::Number(..) | Kind::Numbers(..) | Kind::Bytes
                if number(setting.kind, text).is_some() =>
            {
                continue;
            }
            Kind::Number(least, most) | Kind::Numbers(least, most) => {
                format!("a whole number from {least} to {most}")
            }
            Kind::Bytes => "a number of bytes, such as 20GB or 512MiB".to_owned(),
        };
        let place = match &value.origin {
            Origin::CommandLine => format!("--{}", setting.option),
            Origin::Environment(name) => name.clone(),
            origin => format!("{origin}: {}", setting.key),
        };
        faults.push(format!("{place}: {text:?} cannot be used; give {wanted}"));
    }
}

fn flag(text: &str) -> Option<bool> {
    match text {
        "true" | "1" | "yes" => Some(true),
        "false" | "0" | "no" => Some(false),
        _ => None,
    }
}

fn number(kind: Kind, text: &str) -> Option<u64> {
    match kind {
        Kind::Number(least, most) | Kind::Numbers(least, most) => {
            text.parse().ok().filter(|number| (least..=most).contains(number))
        }
        Kind::Bytes => bytes(text),
        _ => None,
    }
}

/// Bytes with or without a unit.
fn bytes(text: &str) -> Option<u64> {
    const UNITS: [(&str, u64); 8] = [
        ("kB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("TiB", 1 << 40),
    ];
    let unit = UNITS.iter().find_map(|(name, bytes)| Some((text.strip_suffix(name)?, *bytes)));
    let (digits, unit) = unit.unwrap_or((text, 1));
    digits.trim_end().parse::<u64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn layered(
        command_line: &[(&'static str, &str)],
        environment: &[(&str, &str)],
        file: &str,
    ) -> Result<Config, ConfigError> {
        let command_line =
            command_line.iter().map(|(key, text)| (*key, vec![(*text).to_owned()])).collect();
        let variable = |name: &str| {
            environment.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned())
        };
        Config::layered(&command_line, variable, Some((Path::new("scope.toml"), file)))
    }

    #[test]
    fn the_command_line_wins_over_the_environment_over_the_file_over_defaults() {
        let file = "[capture]\nring_mib = 8\nsnap_bytes = 512\nexclude_vlan = [3, 4]\n\
                    [store]\nzone = \"Europe/Berlin\"\nbytes_max = \"20GB\"\n";
        let environment = [("SHADOWSCOPE_RING", "16"), ("SHADOWSCOPE_SNAP", "1024")];
        let config = layered(&[("capture.ring_mib", "32")], &environment, file).unwrap();
        assert_eq!(config.number("capture.ring_mib"), Some(32));
        assert_eq!(config.number("capture.snap_bytes"), Some(1024));
        assert_eq!(config.numbers("capture.exclude_vlan"), [3, 4]);
        assert_eq!(config.text("store.zone"), Some("Europe/Berlin"));
        assert_eq!(config.number("store.bytes_max"), Some(20_000_000_000));
        assert_eq!(config.text("capture.dedup"), Some("auto"));
        assert_eq!(config.number("capture.workers"), None);
        assert_eq!(config.place("capture.ring_mib"), "--ring");
        assert_eq!(config.place("capture.snap_bytes"), "SHADOWSCOPE_SNAP");
        assert_eq!(config.place("store.zone"), "scope.toml:6: store.zone");
        let shown = config.to_string();
        for line in [
            "ring_mib = 32                                      # command line",
            "snap_bytes = 1024                                  # SHADOWSCOPE_SNAP",
            "exclude_vlan = [3, 4]                              # scope.toml:4",
            "dedup = \"auto\"                                     # default",
        ] {
            assert!(shown.contains(line), "{shown}");
        }
        // What is shown is a file that says the same.
        let again = layered(&[], &[], &shown).unwrap();
        assert_eq!(config.changed(&again), Vec::<&Setting>::new());
    }

    #[test]
    fn a_reload_takes_what_needs_no_restart() {
        let running =
            layered(&[], &[], "[store]\nsite = \"Berlin\"\nkeep_daily_days = 90\n").unwrap();
        let newer = layered(
            &[],
            &[],
            "[store]\nkeep_daily_days = 80\n[networks]\nhome = [\"10.0.0.0/8\"]\n",
        );
        let reloaded = running.reloaded(&newer.unwrap());
        assert_eq!(reloaded.text("store.site"), Some("Berlin"));
        assert_eq!(reloaded.number("store.keep_daily_days"), Some(80));
        let changed: Vec<_> =
            running.changed(&reloaded).iter().map(|setting| setting.key).collect();
        assert_eq!(changed, ["networks.home", "store.keep_daily_days"]);
    }

    #[test]
    fn lists_in_the_environment_have_commas() {
        let environment = [("SHADOWSCOPE_INTERFACE", "tap0, tap1")];
        let config = layered(&[], &environment, "").unwrap();
        assert_eq!(config.list("capture.interface"), ["tap0", "tap1"]);
        let empty = layered(&[], &[("SHADOWSCOPE_INTERFACE", "")], "").unwrap();
        assert!(empty.list("capture.interface").is_empty());
        assert_eq!(config.changed(&empty)[0].key, "capture.interface");
    }

    #[test]
    fn all_faults_are_told_with_their_places() {
        let file = "[capture]\nsnap_byte = 7\nring_mib = 0\ndedup = \"maybe\"\n\n[stor]\n\
                    [identity]\nclear = 3\n";
        let error = layered(&[("capture.workers", "no")], &[("SHADOWSCOPE_SNAP", "1")], file);
        let text = error.unwrap_err().to_string();
        for fault in [
            "scope.toml:2:1: unknown key `snap_byte`; write `snap_bytes`",
            "scope.toml:3: capture.ring_mib: \"0\" cannot be used; give a whole number from 1 to 2047",
            "scope.toml:4: capture.dedup: \"maybe\" cannot be used; give one of on, off, auto",
            "scope.toml:6:2: unknown section `stor`; write `store`",
            "scope.toml:8:9: identity.clear: give true or false",
            "--workers: \"no\" cannot be used; give a whole number from 1 to 64",
            "SHADOWSCOPE_SNAP: \"1\" cannot be used; give a whole number from 256 to 262144",
        ] {
            assert!(text.lines().any(|line| line == fault), "{fault}\n{text}");
        }
        assert_eq!(text.lines().count(), 7, "{text}");
        let text = layered(&[], &[], "[capture]\nring_mib = \n").unwrap_err().to_string();
        assert!(text.starts_with("scope.toml:2:"), "{text}");
    }

    #[test]
    fn bytes_have_units() {
        assert_eq!(bytes("512MiB"), Some(512 << 20));
        assert_eq!(bytes("3 kB"), Some(3000));
        assert_eq!(bytes("17"), Some(17));
        assert_eq!((bytes("1 cup"), bytes("GB"), bytes("99999999999TiB")), (None, None, None));
    }
}
