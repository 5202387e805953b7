//! The packed form of a catalogue: one text with one line a file, quick to read and to hash.
//!
//! The build script packs `signatures/` into the program with this very file, so it depends on
//! nothing else of the crate. The first line names the form; each further line is the file's path,
//! a tab, and its content as JSON with sorted keys. Comments and layout are not in it: two
//! catalogues that say the same have the same packed form and thus the same hash.

use toml::de::{DeArray, DeTable, DeValue};

/// The first line.
pub(crate) const HEADER: &str = "shadowscope-catalogue 1";

/// Joins (path, content as JSON) pairs; their order does not matter.
pub(crate) fn pack(mut files: Vec<(String, String)>) -> String {
    files.sort_unstable();
    let mut packed = String::from(HEADER);
    packed.push('\n');
    for (path, content) in files {
        packed.push_str(&path);
        packed.push('\t');
        packed.push_str(&content);
        packed.push('\n');
    }
    packed
}

/// Lists at the top of a file that only its authors need: a sensor would read them at each start,
/// to throw them away.
const AUTHORS_ONLY: [&str; 3] = ["fingerprint", "sources", "test"];

/// The content of a TOML file as one line of JSON, without what only its authors need.
pub(crate) fn table_to_json(table: &DeTable<'_>) -> String {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_unstable_by(|(a, _), (b, _)| a.get_ref().cmp(b.get_ref()));
    let mut json = String::from("{");
    for (number, (key, value)) in entries.into_iter().enumerate() {
        if number > 0 {
            json.push(',');
        }
        push_text(&mut json, key.get_ref());
        json.push(':');
        match value.get_ref() {
            DeValue::Array(_) if AUTHORS_ONLY.contains(&key.get_ref().as_ref()) => {
                json.push_str("[]");
            }
            value => push_value(&mut json, value),
        }
    }
    json.push('}');
    json
}

fn push_table(json: &mut String, table: &DeTable<'_>) {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_unstable_by(|(a, _), (b, _)| a.get_ref().cmp(b.get_ref()));
    json.push('{');
    for (number, (key, value)) in entries.into_iter().enumerate() {
        if number > 0 {
            json.push(',');
        }
        push_text(json, key.get_ref());
        json.push(':');
        push_value(json, value.get_ref());
    }
    json.push('}');
}

fn push_array(json: &mut String, array: &DeArray<'_>) {
    json.push('[');
    for (number, value) in array.iter().enumerate() {
        if number > 0 {
            json.push(',');
        }
        push_value(json, value.get_ref());
    }
    json.push(']');
}

fn push_value(json: &mut String, value: &DeValue<'_>) {
    match value {
        DeValue::String(text) => push_text(json, text),
        // Schema 1 has whole numbers in decimal only; what else TOML allows stays text, and the
        // types refuse it.
        DeValue::Integer(number) if number.radix() == 10 => {
            json.push_str(number.as_str().trim_start_matches('+'));
        }
        DeValue::Integer(number) => push_text(json, number.as_str()),
        DeValue::Float(number) => push_text(json, number.as_str()),
        DeValue::Boolean(flag) => json.push_str(if *flag { "true" } else { "false" }),
        DeValue::Datetime(date) => push_text(json, &date.to_string()),
        DeValue::Array(array) => push_array(json, array),
        DeValue::Table(table) => push_table(json, table),
    }
}

/// A JSON string (RFC 8259, 7).
fn push_text(json: &mut String, text: &str) {
    json.push('"');
    for character in text.chars() {
        match character {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            control if (control as u32) < 0x20 => {
                json.push_str(&format!("\\u{:04x}", control as u32));
            }
            other => json.push(other),
        }
    }
    json.push('"');
}
