//! The configuration's file: TOML, in which every key has to be known.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Kind, Origin, SETTINGS, Setting, Value};
use crate::catalogue::{line_and_column, nearest};

/// The settings in a file's text. What is wrong with it is added to `faults`.
pub(super) fn parse(
    path: &Path,
    text: &str,
    faults: &mut Vec<String>,
) -> Vec<(&'static Setting, Value)> {
    let place = |offset: usize| {
        let (line, column) = line_and_column(text, offset);
        format!("{}:{line}:{column}", path.display())
    };
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let offset = error.span().map_or(0, |span| span.start);
        faults.push(format!(
            "{}: {}; see toml.io for how to write it",
            place(offset),
            error.message()
        ));
    }
    let mut found = Vec::new();
    for (section, inside) in table.get_ref() {
        let name: &str = section.get_ref();
        let Some(inside) = inside.get_ref().as_table().filter(|_| keys(name).next().is_some())
        else {
            let remedy = remedy(name, sections());
            faults.push(format!(
                "{}: unknown section `{name}`; {remedy}",
                place(section.span().start)
            ));
            continue;
        };
        for (key, value) in inside {
            let word: &str = key.get_ref();
            let Some(setting) = SETTINGS.iter().find(|known| known.key == format!("{name}.{word}"))
            else {
                let remedy = remedy(word, keys(name).collect());
                faults.push(format!("{}: unknown key `{word}`; {remedy}", place(key.span().start)));
                continue;
            };
            match texts(setting.kind, value) {
                Ok(texts) => {
                    let line = line_and_column(text, key.span().start).0;
                    let origin = Origin::File(path.to_path_buf(), line);
                    found.push((setting, Value { texts, origin }));
                }
                Err(wanted) => {
                    let place = place(value.span().start);
                    faults.push(format!("{place}: {}: give {wanted}", setting.key));
                }
            }
        }
    }
    found
}

fn remedy(word: &str, known: Vec<&'static str>) -> String {
    match nearest(word, known.iter().copied()) {
        Some(meant) => format!("write `{meant}`"),
        None => format!("known here are: {}", known.join(", ")),
    }
}

fn sections() -> Vec<&'static str> {
    let mut sections: Vec<_> =
        SETTINGS.iter().filter_map(|setting| Some(setting.key.split_once('.')?.0)).collect();
    sections.dedup();
    sections
}

fn keys(section: &str) -> impl Iterator<Item = &'static str> + '_ {
    let inside = move |setting: &'static Setting| {
        let (known, key) = setting.key.split_once('.')?;
        (known == section).then_some(key)
    };
    SETTINGS.iter().filter_map(inside)
}

/// A value as texts; `Err` with what it should be. What they say is checked for all places alike.
fn texts(kind: Kind, value: &Spanned<DeValue<'_>>) -> Result<Vec<String>, &'static str> {
    let text = |value: &DeValue<'_>| match value {
        DeValue::String(text) => Some(text.to_string()),
        _ => None,
    };
    let number = |value: &DeValue<'_>| match value {
        DeValue::Integer(number) => Some(number.as_str().replace('_', "")),
        _ => None,
    };
    let items = |value: &DeValue<'_>, item: &dyn Fn(&DeValue<'_>) -> Option<String>| match value {
        DeValue::Array(items) => items.iter().map(|one| item(one.get_ref())).collect(),
        _ => None,
    };
    let value = value.get_ref();
    let is_not_empty = |text: &String| !text.is_empty();
    match kind {
        Kind::Text | Kind::Word(_) => {
            let text = text(value).ok_or("a text in quotes")?;
            Ok(Some(text).filter(is_not_empty).into_iter().collect())
        }
        // Nothing stands for what was not set.
        Kind::Number(..) if text(value).is_some_and(|text| text.is_empty()) => Ok(Vec::new()),
        Kind::Number(..) => Ok(vec![number(value).ok_or("a whole number")?]),
        Kind::Bytes => {
            let text = number(value).or_else(|| text(value));
            Ok(vec![text.ok_or("a number of bytes, or a text such as \"20GB\"")?])
        }
        Kind::Flag => match value {
            DeValue::Boolean(flag) => Ok(vec![flag.to_string()]),
            _ => Err("true or false"),
        },
        Kind::List => items(value, &text).ok_or("texts in brackets, such as [\"one\", \"two\"]"),
        Kind::Numbers(..) => {
            items(value, &number).ok_or("whole numbers in brackets, such as [1, 2]")
        }
    }
}
