//! Options of the command line, made from the table of settings.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use super::{Kind, SETTINGS, Setting};

const CONFIG: &str = "config";

/// What was given on the command line, and the file that it names.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// The file, where one is named.
    pub config: Option<PathBuf>,
    /// By key.
    pub values: BTreeMap<&'static str, Vec<String>>,
}

impl FromArgMatches for Given {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Given, clap::Error> {
        let mut values = BTreeMap::new();
        for setting in SETTINGS {
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
