//! Options of the command line, made from the table of settings.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use super::{Config, ConfigError, Kind, SETTINGS, Setting, setting};

const CONFIG: &str = "config";

/// What was given on the command line, and the file that it names.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// The file, where one is named.
    pub config: Option<PathBuf>,
    /// By key.
    pub values: BTreeMap<&'static str, Vec<String>>,
}

/// Those few settings that another command takes too, as options only.
#[derive(Clone, Debug, Default)]
pub struct Few<K> {
    /// By key.
    pub values: BTreeMap<&'static str, Vec<String>>,
    keys: PhantomData<K>,
}

/// Which settings a [`Few`] has.
pub trait Keys {
    /// Their keys.
    const KEYS: &'static [&'static str];
}

impl<K: Keys> Few<K> {
    /// What is configured by these options alone.
    ///
    /// # Errors
    /// One of them cannot be used.
    pub fn config(&self) -> Result<Config, ConfigError> {
        Config::layered(&self.values, |_| None, None)
    }
}

impl<K: Keys> FromArgMatches for Few<K> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Few<K>, clap::Error> {
        let values = values(matches, K::KEYS.iter().map(|key| setting(key)));
        Ok(Few { values, keys: PhantomData })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Few::from_arg_matches(matches)?;
        Ok(())
    }
}

impl<K: Keys> Args for Few<K> {
    fn augment_args(command: Command) -> Command {
        command.args(K::KEYS.iter().map(|key| argument(setting(key))))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Few::<K>::augment_args(command)
    }
}

impl FromArgMatches for Given {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Given, clap::Error> {
        let values = values(matches, SETTINGS.iter());
        Ok(Given { config: matches.get_one::<PathBuf>(CONFIG).cloned(), values })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Given::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Given {
    fn augment_args(command: Command) -> Command {
        let config = Arg::new(CONFIG)
            .long(CONFIG)
            .value_name("FILE")
            .value_parser(clap::value_parser!(PathBuf))
            .help(
                "Read settings from this file [default: /etc/shadowscope/shadowscope.toml, if it is \
                 there]",
            );
        command.arg(config).args(SETTINGS.iter().map(argument))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Given::augment_args(command)
    }
}

/// What was given of some settings.
fn values(
    matches: &ArgMatches,
    settings: impl Iterator<Item = &'static Setting>,
) -> BTreeMap<&'static str, Vec<String>> {
    let mut values = BTreeMap::new();
    for setting in settings {
        let texts: Vec<String> = match setting.kind {
            Kind::Flag if matches.get_flag(setting.key) => vec!["true".into()],
            Kind::Flag => continue,
            _ => match matches.get_many::<String>(setting.key) {
                Some(texts) => texts.filter(|text| !text.is_empty()).cloned().collect(),
                None => continue,
            },
        };
        values.insert(setting.key, texts);
    }
    values
}

fn argument(setting: &'static Setting) -> Arg {
    let argument = Arg::new(setting.key).long(setting.option);
    let help = match (setting.kind, setting.default) {
        (Kind::Flag, _) | (_, "") => setting.help.to_owned(),
        (_, default) => format!("{} [default: {default}]", setting.help),
    };
    let argument = argument.help(help);
    match setting.kind {
        Kind::Flag => argument.action(ArgAction::SetTrue),
        Kind::List | Kind::Numbers(..) => {
            argument.value_name(setting.value_name).action(ArgAction::Append)
        }
        _ => argument.value_name(setting.value_name).action(ArgAction::Set),
    }
}
