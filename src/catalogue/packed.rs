//! The packed form of a catalogue: one text with one line a file, quick to load and to hash.
//!
//! The build script packs `signatures/` into the program with this very file, so of the crate it
//! depends on [`Fnv`] alone. The first line names the form; each further line is a file: its path
//! and, behind a tab, its content as JSON with sorted keys. Comments and layout are not in it: two
//! catalogues that say the same have the same packed form and thus the same hash.
//!
//! The last line is a checksum of all before it: a file that was cut or damaged on its way is
//! refused, not used in part.
//!
//! The line of `vendors.toml` has two fields for each vendor, sorted by the first: its id, and what
//! is said of it as JSON.
//!
//! A sensor needs the names of all apps when it starts, and the rest of a few of them later. So the
//! line of a signature file has other fields, each behind a tab: how many bytes of JSON there are,
//! the app's id, its `[[net]]` sections as JSON, the tenants' reserved labels, and for each
//! `[[match]]` section its role, its edition or `-`, `cname` or `-`, and its names with a mark in
//! front: `=` for a whole name, `.` for a domain, `*` for a pattern, all with blanks between. The
//! JSON holds neither these nor what only authors need, and stands behind an empty line, one line
//! for each signature file in their order: memory that nobody looks at until an app is asked for.

use toml::de::{DeArray, DeTable, DeValue};

use crate::fnv::Fnv;

/// The first line.
pub(crate) const HEADER: &str = "shadowscope-catalogue 4";

/// Begins the last line; the checksum of all before it follows, in 16 digits.
pub(crate) const END: &str = "end ";

/// Files that are no app's.
pub(crate) const SHARED_FILES: [&str; 6] =
    ["catalogue.toml", "categories.toml", "infra.toml", "labels.toml", "tags.toml", VENDORS_FILE];

/// The one of these whose line has fields.
pub(crate) const VENDORS_FILE: &str = "vendors.toml";

/// Marks in front of names.
pub(crate) mod mark {
    /// A whole name.
    pub(crate) const HOST: char = '=';
    /// A name and everything below it.
    pub(crate) const DOMAIN: char = '.';
    /// A pattern.
    pub(crate) const PATTERN: char = '*';
}

/// What stands for a word that is not there.
pub(crate) const NOTHING: &str = "-";

/// Lists at the top of a signature file that its JSON does not hold in the packed form: those that
/// stand in fields of their own, and those that only authors need.
const LEFT_OUT: [&str; 5] = ["fingerprint", "match", "net", "sources", "test"];

/// What is packed of a file.
pub(crate) struct Content {
    /// Its fields behind the path.
    fields: String,
    /// What is said of its app, as JSON; none where it is no app's.
    words: Option<String>,
}

/// Joins (path, content) pairs; their order does not matter.
pub(crate) fn pack(mut files: Vec<(String, Content)>) -> String {
    // In the order of ids, in which they are loaded: `a/ab.toml` before `a/ab-c.toml`.
    let id = |path: &str| path.strip_suffix(".toml").map(str::to_owned);
    files.sort_by_cached_key(|(path, _)| id(path));
    let mut packed = String::from(HEADER);
    packed.push('\n');
    for (path, content) in &files {
        packed.push_str(path);
        packed.push('\t');
        if let Some(words) = &content.words {
            packed.push_str(&words.len().to_string());
            packed.push('\t');
        }
        packed.push_str(&content.fields);
        packed.push('\n');
    }
    packed.push('\n');
    for words in files.iter().filter_map(|(_, content)| content.words.as_deref()) {
        packed.push_str(words);
        packed.push('\n');
    }
    let end = format!("{END}{:016x}\n", checksum(&packed));
    packed + &end
}

/// Against damage, not against forgery.
pub(crate) fn checksum(text: &str) -> u64 {
    Fnv::of(text.as_bytes())
}

/// What is packed of a file, with those names only that `keep` takes.
pub(crate) fn content(path: &str, table: &DeTable<'_>, keep: &dyn Fn(&str) -> bool) -> Content {
    if path == VENDORS_FILE {
        return Content { fields: vendors(table), words: None };
    }
    if SHARED_FILES.contains(&path) {
        return Content { fields: table_to_json(table), words: None };
    }
    let mut words = String::new();
    push_entries(&mut words, table, &LEFT_OUT);
    let mut line = String::new();
    line.push_str(table.get("id").and_then(|id| id.get_ref().as_str()).unwrap_or_default());
    line.push('\t');
    match table.get("net") {
        Some(net) => push_value(&mut line, net.get_ref()),
        None => line.push_str("[]"),
    }
    line.push('\t');
    let tenant = table.get("tenant").and_then(|tenant| tenant.get_ref().as_table());
    let mut reserved = texts(tenant, "reserved").collect::<Vec<_>>();
    reserved.sort_unstable();
    line.push_str(&reserved.join(" "));
    let sections = table.get("match").and_then(|sections| sections.get_ref().as_array());
    for section in sections.into_iter().flat_map(|list| list.iter()) {
        line.push('\t');
        push_match(&mut line, section.get_ref().as_table(), keep);
    }
    Content { fields: line, words: Some(words) }
}

/// The vendors, each with its id in front.
fn vendors(table: &DeTable<'_>) -> String {
    let vendors = table.get("vendors").and_then(|vendors| vendors.get_ref().as_table());
    let mut fields: Vec<String> = vendors
        .into_iter()
        .flat_map(|vendors| vendors.iter())
        .map(|(id, vendor)| {
            let mut field = format!("{}\t", id.get_ref());
            push_value(&mut field, vendor.get_ref());
            field
        })
        .collect();
    fields.sort_unstable();
    fields.join("\t")
}

/// The content of a TOML file as one line of JSON.
pub(crate) fn table_to_json(table: &DeTable<'_>) -> String {
    let mut json = String::new();
    push_entries(&mut json, table, &[]);
    json
}

/// A `[[match]]` section.
fn push_match(line: &mut String, section: Option<&DeTable<'_>>, keep: &dyn Fn(&str) -> bool) {
    let word = |key| {
        let word = section.and_then(|section| section.get(key)?.get_ref().as_str());
        word.filter(|word| is_one_word(word)).unwrap_or(NOTHING)
    };
    line.push_str(word("role"));
    line.push(' ');
    line.push_str(word("edition"));
    let cname = section.and_then(|section| section.get("cname")?.get_ref().as_bool());
    line.push_str(if cname == Some(true) { " cname" } else { " -" });
    for (key, mark) in
        [("hosts", mark::HOST), ("domains", mark::DOMAIN), ("patterns", mark::PATTERN)]
    {
        for name in texts(section, key).filter(|name| keep(name)) {
            line.push(' ');
            line.push(mark);
            line.push_str(name);
        }
    }
}

/// The texts of a list. What has a blank in it is no name and can match none.
pub(crate) fn texts<'t>(
    table: Option<&'t DeTable<'_>>,
    key: &str,
) -> impl Iterator<Item = &'t str> {
    let list = table.and_then(|table| table.get(key)?.get_ref().as_array());
    let texts = list.into_iter().flat_map(|list| list.iter());
    texts.filter_map(|text| text.get_ref().as_str()).filter(|text| is_one_word(text))
}

fn is_one_word(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}

/// A table; of the lists named in `left_out` nothing but that they are there.
fn push_entries(json: &mut String, table: &DeTable<'_>, left_out: &[&str]) {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_unstable_by(|(a, _), (b, _)| a.get_ref().cmp(b.get_ref()));
    json.push('{');
    for (number, (key, value)) in entries.into_iter().enumerate() {
        if number > 0 {
            json.push(',');
        }
        push_text(json, key.get_ref());
        json.push(':');
        match value.get_ref() {
            DeValue::Array(_) if left_out.contains(&key.get_ref().as_ref()) => json.push_str("[]"),
            value => push_value(json, value),
        }
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
        DeValue::Table(table) => push_entries(json, table, &[]),
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
