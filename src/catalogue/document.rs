//! A catalogue file as text: read into its types, with places for findings.

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::faults;
use super::finding::Finding;
use super::format::{AppFile, SCHEMA};
use super::keys;
use super::packed;
use super::vocabulary::{
    CategoriesFile, InfraFile, LabelsFile, ReleaseFile, TagsFile, VendorsFile,
};

/// A file of a catalogue, as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// Path relative to the catalogue's folder, with `/`.
    pub path: String,
    /// The content; what is not UTF-8 in it is a replacement character (U+FFFD).
    pub text: String,
}

/// What a file says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Content {
    App(Box<AppFile>),
    Categories(CategoriesFile),
    Vendors(VendorsFile),
    Tags(TagsFile),
    Infra(InfraFile),
    Labels(LabelsFile),
    Release(ReleaseFile),
}

/// A file whose syntax and keys are right.
#[derive(Debug)]
pub(crate) struct Document<'a> {
    pub(crate) path: &'a str,
    pub(crate) text: &'a str,
    pub(crate) content: Content,
    table: Spanned<DeTable<'a>>,
}

/// A step from a table or array to something inside.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step<'k> {
    Key(&'k str),
    Item(usize),
}

impl<'a> Document<'a> {
    /// Reads a file.
    ///
    /// # Errors
    /// Everything that keeps it from being read: rule S001.
    pub(crate) fn read(source: &'a SourceFile) -> Result<Document<'a>, Vec<Finding>> {
        let SourceFile { path, text } = source;
        if let Some(offset) = text.find(char::REPLACEMENT_CHARACTER) {
            let reason = "the file is not UTF-8 here";
            let remedy = "save it as UTF-8; hostnames are written as A-labels anyway";
            return Err(vec![finding_at(path, text, offset, "S001", reason, remedy)]);
        }
        let (table, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            let findings = errors.iter().map(|error| syntax_finding(path, text, error));
            return Err(findings.collect());
        }
        let mut findings = keys::unknown_keys(path, text, table.get_ref());
        let content = match read_content(path, table.clone()) {
            Ok(content) if findings.is_empty() => content,
            read => {
                if !keys::is_shared(path) {
                    findings.extend(faults::of_signature(path, text, table.get_ref()));
                }
                if let (Err(error), true) = (read, findings.is_empty()) {
                    findings.push(syntax_finding(path, text, &error));
                }
                return Err(findings);
            }
        };
        let document = Document { path, text, content, table };
        match document.schema() {
            SCHEMA => Ok(document),
            other => Err(vec![document.finding(
                "S001",
                &[Step::Key("schema")],
                format!("schema {other} is not known"),
                format!("write schema = {SCHEMA}"),
            )]),
        }
    }

    /// The content in the packed form, with those names only that `keep` takes.
    pub(crate) fn packed(&self, keep: &dyn Fn(&str) -> bool) -> packed::Content {
        packed::content(self.path, self.table.get_ref(), keep)
    }

    /// A finding at the place that `steps` lead to, or as near to it as there is something.
    pub(crate) fn finding(
        &self,
        rule: &'static str,
        steps: &[Step<'_>],
        reason: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Finding {
        finding_at(self.path, self.text, self.offset(steps), rule, reason, remedy)
    }

    /// Where in the text `steps` lead to.
    pub(crate) fn offset(&self, steps: &[Step<'_>]) -> usize {
        let mut offset = 0;
        let mut value: Option<&Spanned<DeValue<'a>>> = None;
        for step in steps {
            let found = match (step, value.map(Spanned::get_ref)) {
                (Step::Key(key), None) => self.table.get_ref().get_key_value(*key),
                (Step::Key(key), Some(DeValue::Table(table))) => table.get_key_value(*key),
                (Step::Item(item), Some(DeValue::Array(array))) => {
                    let Some(inside) = array.get(*item) else { return offset };
                    offset = inside.span().start;
                    value = Some(inside);
                    continue;
                }
                _ => return offset,
            };
            let Some((key, inside)) = found else { return offset };
            offset = key.span().start;
            value = Some(inside);
        }
        offset
    }

    fn schema(&self) -> u32 {
        match &self.content {
            Content::App(file) => file.schema,
            Content::Categories(file) => file.schema,
            Content::Vendors(file) => file.schema,
            Content::Tags(file) => file.schema,
            Content::Infra(file) => file.schema,
            Content::Labels(file) => file.schema,
            Content::Release(file) => file.schema,
        }
    }
}

/// Line and column, both from 1, of a byte offset.
pub(crate) fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before.matches('\n').count() + 1;
    (line, before[line_start..].chars().count() + 1)
}

fn read_content(path: &str, table: Spanned<DeTable<'_>>) -> Result<Content, toml::de::Error> {
    fn read<T: DeserializeOwned>(table: Spanned<DeTable<'_>>) -> Result<T, toml::de::Error> {
        T::deserialize(toml::Deserializer::from(table))
    }
    Ok(match path {
        "categories.toml" => Content::Categories(read(table)?),
        "vendors.toml" => Content::Vendors(read(table)?),
        "tags.toml" => Content::Tags(read(table)?),
        "infra.toml" => Content::Infra(read(table)?),
        "labels.toml" => Content::Labels(read(table)?),
        "catalogue.toml" => Content::Release(read(table)?),
        _ => Content::App(read(table)?),
    })
}

/// An error at a byte offset of a file.
pub(super) fn finding_at(
    path: &str,
    text: &str,
    offset: usize,
    rule: &'static str,
    reason: impl Into<String>,
    remedy: impl Into<String>,
) -> Finding {
    let (line, column) = line_and_column(text, offset);
    Finding {
        file: path.to_owned(),
        line,
        column,
        rule,
        is_warning: false,
        reason: reason.into(),
        remedy: remedy.into(),
    }
}

/// What the parser does not like.
pub(super) fn syntax_finding(path: &str, text: &str, error: &toml::de::Error) -> Finding {
    let offset = error.span().map_or(0, |span| span.start);
    let message = error.message().replace('\n', ", ").replace("a sequence", "a list");
    let remedy = remedy_for(&message);
    finding_at(path, text, offset, "S001", message, remedy)
}

/// The parser knows what is wrong; this says what usually helps.
fn remedy_for(message: &str) -> String {
    let remedy = if message.contains("missing field") {
        "add the key at the top of the file, before the first [[section]]"
    } else if message.contains("unknown variant") {
        // unknown variant `sites`, expected one of `use`, `site`
        let mut words = message.split('`').skip(1).step_by(2);
        let written = words.next().unwrap_or_default();
        return match keys::nearest(written, words) {
            Some(meant) => format!("write `{meant}`"),
            None => "use one of the words listed".to_owned(),
        };
    } else if message.ends_with("expected a list") {
        "write a list: [\"...\", \"...\"]"
    } else if message.contains("string, expected") {
        "end the text with the quotation mark with which it begins"
    } else if message.contains("date") {
        "write the date without quotes: verified = 2026-11-22"
    } else if message.contains("duplicate key") {
        "delete one of the two"
    } else {
        "compare with a neighbouring file, or make a new one with `signatures new`"
    };
    remedy.to_owned()
}
