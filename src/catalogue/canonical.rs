//! The canonical layout of catalogue files: order of keys, spaces, line breaks; comments kept.
//!
//! Works on lines and tokens, not on values, since a TOML parser would lose the comments. Knows
//! the part of TOML that catalogue files use: no multi-line strings, no dotted keys. The result
//! is checked to say the same as the original; otherwise the text is left as it is.

use toml::de::DeTable;

use super::keys;
use super::packed::table_to_json;

const LINE_LENGTH_MAX: usize = 100;

/// The text in canonical layout; `None` where it is not TOML in
/// UTF-8 or uses what this does not know.
pub fn format(path: &str, text: &str) -> Option<String> {
    if text.contains(char::REPLACEMENT_CHARACTER) {
        return None;
    }
    let before = DeTable::parse(text).ok()?;
    let mut sections = split(text)?;
    sort(path, &mut sections);
    let formatted = print(&sections);
    let after = DeTable::parse(&formatted).ok()?;
    (table_to_json(before.get_ref()) == table_to_json(after.get_ref())).then_some(formatted)
}

/// A header with what follows it; the first section has none.
#[derive(Default)]
struct Section<'t> {
    /// Lines of comment above the header.
    comments: Vec<&'t str>,
    /// The header with its brackets.
    header: &'t str,
    header_comment: &'t str,
    items: Vec<Item<'t>>,
}

/// `key = value` with its comments.
struct Item<'t> {
    comments: Vec<&'t str>,
    key: &'t str,
    value: &'t str,
    comment: &'t str,
}

fn split(text: &str) -> Option<Vec<Section<'_>>> {
    let mut sections = vec![Section::default()];
    let mut comments = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let line_end = rest.find('\n').map_or(rest.len(), |newline| newline + 1);
        let line = rest[..line_end].trim();
        let section = sections.last_mut()?;
        if line.is_empty() {
            rest = &rest[line_end..];
        } else if line.starts_with('#') {
            comments.push(line);
            rest = &rest[line_end..];
        } else if line.starts_with('[') {
            let (header, comment) = split_comment(line);
            sections.push(Section {
                comments: std::mem::take(&mut comments),
                header,
                header_comment: comment,
                items: Vec::new(),
            });
            rest = &rest[line_end..];
        } else {
            let (key, after) = rest.split_once('=')?;
            let value_length = value_length(after)?;
            let (value, after) = after.split_at(value_length);
            let line_end = after.find('\n').map_or(after.len(), |newline| newline + 1);
            let comment = after[..line_end].trim();
            if !comment.is_empty() && !comment.starts_with('#') {
                return None;
            }
            section.items.push(Item {
                comments: std::mem::take(&mut comments),
                key: key.trim(),
                value: value.trim(),
                comment,
            });
            rest = &after[line_end..];
        }
    }
    if !comments.is_empty() {
        // Comments at the very end belong to nothing; keep them where they are.
        sections.push(Section { comments, ..Section::default() });
    }
    Some(sections)
}

/// How far a value reaches: to the line's end or comment, or to its last closing bracket.
fn value_length(text: &str) -> Option<usize> {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        match token_length(&text[at..])? {
            (Token::Open, length) => {
                depth += 1;
                at += length;
            }
            (Token::Close, length) => {
                depth -= 1;
                at += length;
                if depth == 0 {
                    return Some(at);
                }
            }
            (Token::Newline | Token::Comment, _) if depth == 0 => return Some(at),
            (_, length) => at += length,
        }
    }
    (depth == 0).then_some(at)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Token {
    Open,
    Close,
    Comma,
    Newline,
    Comment,
    Space,
    Text,
}

fn token_length(text: &str) -> Option<(Token, usize)> {
    let first = text.bytes().next()?;
    Some(match first {
        b'[' | b'{' => (Token::Open, 1),
        b']' | b'}' => (Token::Close, 1),
        b',' => (Token::Comma, 1),
        b'\n' => (Token::Newline, 1),
        b' ' | b'\t' | b'\r' => (Token::Space, 1),
        b'#' => (Token::Comment, text.find('\n').unwrap_or(text.len())),
        b'"' | b'\'' => (Token::Text, string_length(text, first)?),
        _ => {
            let ends = |c: char| "[]{},#\"'".contains(c) || c.is_whitespace();
            (Token::Text, text.find(ends).unwrap_or(text.len()))
        }
    })
}

fn string_length(text: &str, quote: u8) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if quote == b'"' => at += 1,
            b'\n' => return None,
            byte if byte == quote => return Some(at + 1),
            _ => {}
        }
        at += 1;
    }
    None
}

fn split_comment(line: &str) -> (&str, &str) {
    match line.find('#') {
        Some(start) => (line[..start].trim_end(), &line[start..]),
        None => (line, ""),
    }
}

fn sort(path: &str, sections: &mut [Section<'_>]) {
    if path == "vendors.toml" || path == "tags.toml" {
        for section in sections.iter_mut().filter(|section| !section.header.is_empty()) {
            section.items.sort_by_key(|item| item.key);
        }
    }
    if keys::is_shared(path) {
        return;
    }
    let rank = |known: &[&str], key: &str| {
        known.iter().position(|other| *other == key).unwrap_or(known.len())
    };
    for section in sections.iter_mut() {
        let name = section_name(section.header);
        let known = if name.is_empty() { Some(keys::APP) } else { keys::section(name) };
        if let Some(known) = known {
            section.items.sort_by_key(|item| rank(known, item.key));
        }
    }
    // Section 0 is the top of the file; a last one without header holds loose comments.
    if let Some((_, rest)) = sections.split_first_mut() {
        rest.sort_by_key(|section| rank(keys::APP, section_name(section.header)));
    }
}

fn section_name(header: &str) -> &str {
    header.trim_matches(['[', ']', ' '])
}

fn print(sections: &[Section<'_>]) -> String {
    let mut out = String::new();
    let mut previous = "";
    for section in sections {
        let name = section_name(section.header);
        let is_tight = name == "test" && previous == "test" && section.comments.is_empty();
        if !out.is_empty() && !is_tight {
            out.push('\n');
        }
        previous = name;
        print_comments(&mut out, &section.comments);
        if !section.header.is_empty() {
            out.push_str(section.header);
            print_comment(&mut out, section.header_comment);
            out.push('\n');
        }
        for item in &section.items {
            print_comments(&mut out, &item.comments);
            print_value(&mut out, item.key, item.value);
            print_comment(&mut out, item.comment);
            out.push('\n');
        }
    }
    out
}

fn print_comments(out: &mut String, comments: &[&str]) {
    for comment in comments {
        out.push_str(comment);
        out.push('\n');
    }
}

fn print_comment(out: &mut String, comment: &str) {
    if !comment.is_empty() {
        out.push_str("  ");
        out.push_str(comment);
    }
}

fn print_value(out: &mut String, key: &str, value: &str) {
    out.push_str(key);
    out.push_str(" = ");
    let elements = if value.starts_with('[') { elements(value) } else { None };
    let Some(elements) = elements else {
        out.push_str(value);
        return;
    };
    let has_comments = elements.iter().any(|element| matches!(element, Element::Comment { .. }));
    let texts: Vec<&str> = elements.iter().map(Element::text).collect();
    let one_line = format!("[{}]", texts.join(", "));
    if !has_comments && key.len() + 3 + one_line.len() <= LINE_LENGTH_MAX {
        out.push_str(&one_line);
        return;
    }
    out.push('[');
    let mut column = usize::MAX;
    for element in &elements {
        match element {
            Element::Value(text) => {
                if column.saturating_add(2 + text.len()) > LINE_LENGTH_MAX {
                    out.push_str("\n  ");
                    column = 2;
                } else {
                    out.push(' ');
                    column += 1;
                }
                out.push_str(text);
                out.push(',');
                column += text.len() + 1;
            }
            Element::Comment { text, is_behind } => {
                out.push_str(if *is_behind { "  " } else { "\n  " });
                out.push_str(text);
                column = usize::MAX;
            }
        }
    }
    out.push_str("\n]");
}

enum Element<'t> {
    Value(&'t str),
    /// A comment; whether it stands behind a value on the same line.
    Comment {
        text: &'t str,
        is_behind: bool,
    },
}

impl<'t> Element<'t> {
    fn text(&self) -> &'t str {
        match self {
            Element::Value(text) | Element::Comment { text, .. } => text,
        }
    }
}

/// The elements of an array's text.
fn elements(array: &str) -> Option<Vec<Element<'_>>> {
    let inside = array.strip_prefix('[')?.strip_suffix(']')?;
    let mut elements = Vec::new();
    let mut at = 0;
    let mut line_has_value = false;
    while at < inside.len() {
        let (token, length) = token_length(&inside[at..])?;
        match token {
            Token::Space | Token::Comma => {}
            Token::Newline => line_has_value = false,
            Token::Comment => {
                let text = inside[at..at + length].trim_end();
                elements.push(Element::Comment { text, is_behind: line_has_value });
            }
            Token::Text => {
                elements.push(Element::Value(&inside[at..at + length]));
                line_has_value = true;
            }
            Token::Open => {
                let length = value_length(&inside[at..])?;
                elements.push(Element::Value(&inside[at..at + length]));
                line_has_value = true;
                at += length;
                continue;
            }
            Token::Close => return None,
        }
        at += length;
    }
    Some(elements)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_sections_take_their_order_and_comments_stay() {
        let text = "# about the file\nname = \"A\"\nschema=1   # the format\n\n\n[[test]]\n\
                    host='a.b'\n# why\n[[match]] # the app\nhosts = [ \"a.b\" ,\n\"c.d\"]\nrole = \"use\"\n\
                    [[test]]\nhost = \"c.d\"\n# the end\n";
        let expected = "schema = 1  # the format\n# about the file\nname = \"A\"\n\n# why\n\
                        [[match]]  # the app\nrole = \"use\"\nhosts = [\"a.b\", \"c.d\"]\n\n[[test]]\n\
                        host = 'a.b'\n[[test]]\nhost = \"c.d\"\n\n# the end\n";
        let formatted = format("a/a.toml", text).unwrap();
        assert_eq!(formatted, expected);
        assert_eq!(format("a/a.toml", &formatted).unwrap(), expected, "it is stable");
    }

    #[test]
    fn long_arrays_are_filled_and_comments_end_a_line() {
        let hosts: Vec<String> = (0..12).map(|n| format!("\"host-{n}.example.com\"")).collect();
        let text = format!("hosts = [{}] # all\n", hosts.join(","));
        let formatted = format("a/a.toml", &text).unwrap();
        assert!(formatted.lines().all(|line| line.len() <= LINE_LENGTH_MAX), "{formatted}");
        assert!(formatted.ends_with(",\n]  # all\n"), "{formatted}");
        let text = "hosts = [\n # first\n \"a#.b\", # why a\n \"c.d\" ]\n";
        let expected = "hosts = [\n  # first\n  \"a#.b\",  # why a\n  \"c.d\",\n]\n";
        assert_eq!(format("a/a.toml", text).unwrap(), expected);
    }

    #[test]
    fn vendors_are_sorted() {
        let text = "schema = 1\n[vendors]\nb = { name = \"B\" }\na = { name = \"A, Inc.\" }\n";
        let expected =
            "schema = 1\n\n[vendors]\na = { name = \"A, Inc.\" }\nb = { name = \"B\" }\n";
        assert_eq!(format("vendors.toml", text).unwrap(), expected);
    }

    #[test]
    fn what_is_not_toml_is_left_alone() {
        assert_eq!(format("a/a.toml", "a = [1"), None);
        assert_eq!(format("a/a.toml", "a = \"\"\"\nx\n\"\"\"\n"), None);
    }
}
