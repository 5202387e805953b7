//! The packed form taken apart: its lines, and the fields of those. (The build script has a part in
//! this, so it depends on no more than that has.)

use std::ops::Range;

use super::finding::Finding;
use super::packed::{END, HEADER, SHARED_FILES};
use super::tables::{JsonRecord, Place, Source};

/// A line of the packed form.
pub(super) struct Line<'p> {
    pub(super) text: &'p str,
    pub(super) is_local: bool,
    /// From 1.
    number: usize,
    pub(super) path: &'p str,
    /// All that stands behind the path.
    pub(super) content: &'p str,
    /// The fields of a signature file.
    pub(super) app: Option<AppFields<'p>>,
}

pub(super) struct AppFields<'p> {
    pub(super) id: &'p str,
    /// Where the words stand in the whole text.
    pub(super) words: Range<usize>,
    pub(super) net: &'p str,
    pub(super) reserved: &'p str,
    /// `[[match]]` sections, with tabs between.
    sections: &'p str,
}

impl<'p> AppFields<'p> {
    /// The `[[match]]` sections.
    pub(super) fn sections(&self) -> impl Iterator<Item = &'p str> + use<'p> {
        split(self.sections, b'\t').filter(|section| !section.is_empty())
    }
}

/// What stands before the checksum of a packed form, which only text from elsewhere is held against.
pub(super) fn body(text: &str) -> Option<&str> {
    let end = text.strip_suffix('\n')?.rfind('\n')? + 1;
    let (body, last) = text.split_at(end);
    last.starts_with(END).then_some(body)
}

/// The lines of a packed form between the first and the checksum.
pub(super) fn lines(text: &str, is_local: bool) -> Result<Vec<Line<'_>>, Vec<Finding>> {
    let mut all = text.lines();
    if all.next() != Some(HEADER) || text.len() > Place::TEXT_LENGTH_MAX {
        return Err(damaged(1, format!("the first line is not `{HEADER}`")));
    }
    let Some(body) = body(text) else {
        return Err(damaged(
            all.count() + 1,
            "the last line is no checksum: the file was cut".to_owned(),
        ));
    };
    let lacks_words = |number| damaged(number, "the words of apps are not whole".to_owned());
    let end = memchr::memmem::find(body.as_bytes(), b"\n\n").ok_or_else(|| lacks_words(1))?;
    let files = &body[..end];
    let mut words = Words { next: end + "\n\n".len(), end: body.len() };
    let mut lines = Vec::with_capacity(memchr::memchr_iter(b'\n', files.as_bytes()).count());
    for (index, line) in split(files, b'\n').enumerate().skip(1) {
        lines.push(Line::split(text, is_local, index + 1, line, &mut words)?);
    }
    if words.next != words.end {
        return Err(lacks_words(lines.len() + 2));
    }
    Ok(lines)
}

/// Where the words of apps stand, one behind the other: counted by their lengths, so that nobody
/// looks at them.
struct Words {
    /// Where those that were not taken begin.
    next: usize,
    end: usize,
}

impl Words {
    /// The place of the next ones, of so many bytes and the end of their line.
    fn take(&mut self, length: usize) -> Option<Range<usize>> {
        let start = self.next;
        let end = start.checked_add(length).filter(|end| *end < self.end)?;
        self.next = end + 1;
        Some(start..end)
    }
}

/// What stands between bytes `end`. (As `str::split` does, whose search is slower for long parts.)
fn split(text: &str, end: u8) -> impl Iterator<Item = &str> {
    debug_assert!(end.is_ascii());
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let (part, behind) = cut(rest?, end);
        rest = behind;
        Some(part)
    })
}

/// What stands before the first byte `end`, and what stands behind it if there is one.
#[inline]
fn cut(text: &str, end: u8) -> (&str, Option<&str>) {
    match memchr::memchr(end, text.as_bytes()) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    }
}

impl<'p> Line<'p> {
    /// Takes a line of `text` apart.
    fn split(
        text: &'p str,
        is_local: bool,
        number: usize,
        line: &'p str,
        all_words: &mut Words,
    ) -> Result<Line<'p>, Vec<Finding>> {
        let lacks = |what: &str| damaged(number, format!("there is no {what}"));
        let (path, content) = cut(line, b'\t');
        let content = content.ok_or_else(|| lacks("tab behind a path"))?;
        let mut app = None;
        if !SHARED_FILES.contains(&path) {
            let mut rest = Some(content);
            let mut next = |what| -> Result<&str, Vec<Finding>> {
                let (field, behind) = cut(rest.ok_or_else(|| lacks(what))?, b'\t');
                rest = behind;
                Ok(field)
            };
            let length = next("length of JSON")?.parse().map_err(|_| lacks("length of JSON"))?;
            let (id, net) = (next("id")?, next("list of addresses")?);
            let words = all_words.take(length).ok_or_else(|| lacks("JSON of that length"))?;
            let reserved = next("list of reserved labels")?;
            let sections = rest.unwrap_or_default();
            app = Some(AppFields { id, words, net, reserved, sections });
        }
        Ok(Line { text, is_local, number, path, content, app })
    }

    /// A finding at this line.
    pub(super) fn damaged(&self, reason: &str) -> Vec<Finding> {
        damaged(self.number, format!("{}: {reason}", self.path))
    }

    /// The vendors of `vendors.toml`, sorted: of each its id, and what is said of it as JSON.
    pub(super) fn vendors(&self) -> Result<Vec<(&'p str, &'p str)>, Vec<Finding>> {
        let mut vendors = Vec::new();
        let mut fields = split(self.content, b'\t');
        while let Some(id) = fields.next().filter(|id| !id.is_empty()) {
            let lacks = || self.damaged(&format!("nothing is said of vendor `{id}`"));
            vendors.push((id, fields.next().ok_or_else(lacks)?));
        }
        vendors.sort_unstable();
        Ok(vendors)
    }

    /// Where a part of this line stands.
    pub(super) fn place(&self, part: &'p str) -> Place {
        let start = part.as_ptr().addr() - self.text.as_ptr().addr();
        self.place_of(&(start..start + part.len()))
    }

    /// The same of a part that nobody has looked at.
    pub(super) fn place_of(&self, part: &Range<usize>) -> Place {
        Place::new(if self.is_local { Source::Local } else { Source::Base }, part.clone())
    }

    /// Where JSON in this line stands.
    pub(super) fn json_record(&self, json: &'p str, owner: u32) -> JsonRecord {
        let line = self.number as u32;
        JsonRecord { path: self.place(self.path), json: self.place(json), line, owner }
    }

    /// Apps are numbered in this order; of two with the same id the first stays.
    pub(super) fn app_key(&self) -> (&'p str, bool, &'p str) {
        (self.app.as_ref().map_or("", |app| app.id), !self.is_local, self.path)
    }
}

pub(super) fn damaged(line: usize, reason: String) -> Vec<Finding> {
    vec![Finding {
        file: "packed catalogue".to_owned(),
        line,
        column: 1,
        rule: "S001",
        is_warning: false,
        reason,
        remedy: "pack the catalogue again, with this version of the program".to_owned(),
    }]
}
