//! The tables of a catalogue: all that is made of its packed form before anything can be asked.
//!
//! They are numbers of four bytes, little-endian, so that they can be used where they lie: the build
//! script makes those of the catalogue in the program, which are read in place and cost a start
//! nothing. Those of other catalogues are made when they are loaded, by the same code (`tabulate`)
//! and in the same form, so that there is but one way to look something up.
//!
//! The build script compiles this very file, so it depends on nothing else but the index.

use std::borrow::Cow;
use std::ops::Range;

use super::index::Index;

/// So many numbers.
pub(crate) type Record<const N: usize> = [[u8; 4]; N];

/// The numbers of a record.
#[inline]
pub(crate) fn numbers<const N: usize>(record: &Record<N>) -> [u32; N] {
    record.map(u32::from_le_bytes)
}

/// Records of a kind, one behind the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Table<const N: usize>(Cow<'static, [Record<N>]>);

impl<const N: usize> Table<N> {
    /// An empty one with room for so many.
    pub(crate) fn with_room(records: usize) -> Table<N> {
        Table(Cow::Owned(Vec::with_capacity(records)))
    }

    /// So many of the same.
    pub(crate) fn of(record: [u32; N], count: usize) -> Table<N> {
        Table(Cow::Owned(vec![record.map(u32::to_le_bytes); count]))
    }

    #[inline]
    pub(crate) fn records(&self) -> &[Record<N>] {
        &self.0
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    #[inline]
    pub(crate) fn get(&self, number: usize) -> [u32; N] {
        numbers(&self.0[number])
    }

    /// Adds a record; answers its number.
    pub(crate) fn push(&mut self, record: [u32; N]) -> u32 {
        let records = self.0.to_mut();
        records.push(record.map(u32::to_le_bytes));
        records.len() as u32 - 1
    }

    pub(crate) fn set(&mut self, number: usize, record: [u32; N]) {
        self.0.to_mut()[number] = record.map(u32::to_le_bytes);
    }
}

/// Parts of bytes, each with its length in front.
pub(crate) struct Parts(&'static [u8]);

impl Parts {
    pub(crate) fn bytes(&mut self) -> Option<&'static [u8]> {
        let (length, rest) = self.0.split_first_chunk()?;
        let (part, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        self.0 = rest;
        Some(part)
    }

    pub(crate) fn table<const N: usize>(&mut self) -> Option<Table<N>> {
        let (all_numbers, []) = self.bytes()?.as_chunks() else { return None };
        let (records, []) = all_numbers.as_chunks() else { return None };
        Some(Table(Cow::Borrowed(records)))
    }

    fn text(&mut self) -> Option<Cow<'static, str>> {
        Some(Cow::Borrowed(std::str::from_utf8(self.bytes()?).ok()?))
    }
}

/// Writes what [`Parts`] reads.
pub(crate) fn push_part(all: &mut Vec<u8>, part: &[u8]) {
    all.extend((part.len() as u32).to_le_bytes());
    all.extend(part);
}

pub(crate) fn push_table<const N: usize>(all: &mut Vec<u8>, table: &Table<N>) {
    push_part(all, table.records().as_flattened().as_flattened());
}

/// A place in a text of the catalogue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) source: Source,
    start: u32,
    length: u32,
}

/// Where a text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Source {
    /// In the packed form of the catalogue's files.
    Base,
    /// In that of the operator's own.
    Local,
    /// Among the words of rules that do not stand there as they are.
    Own,
}

impl Place {
    /// The bits of the second number that tell the source.
    const SOURCE_BITS: u32 = 2;

    /// Texts are shorter, so that a place is two numbers.
    pub(crate) const TEXT_LENGTH_MAX: usize = u32::MAX as usize >> Place::SOURCE_BITS;

    pub(crate) fn new(source: Source, place: Range<usize>) -> Place {
        Place { source, start: place.start as u32, length: place.len() as u32 }
    }

    #[inline]
    pub(crate) fn range(self) -> Range<usize> {
        self.start as usize..self.start as usize + self.length as usize
    }

    fn write(self) -> [u32; 2] {
        [self.start, self.length << Place::SOURCE_BITS | self.source as u32]
    }

    #[inline]
    fn read(start: u32, length: u32) -> Place {
        let source = match length & ((1 << Place::SOURCE_BITS) - 1) {
            0 => Source::Base,
            1 => Source::Local,
            _ => Source::Own,
        };
        Place { source, start, length: length >> Place::SOURCE_BITS }
    }
}

/// A rule of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RuleRecord {
    pub(crate) text: Place,
    /// An app's number; that of the shared file where its kind has a purpose.
    pub(crate) owner: u32,
    /// What it says beyond its text, as a position among the kinds.
    pub(crate) kind: u32,
}

impl RuleRecord {
    pub(crate) fn write(self) -> [u32; 4] {
        let [start, length] = self.text.write();
        [start, length, self.owner, self.kind]
    }

    #[inline]
    pub(crate) fn read([start, length, owner, kind]: [u32; 4]) -> RuleRecord {
        RuleRecord { text: Place::read(start, length), owner, kind }
    }
}

/// An app as long as nobody has asked for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AppRecord {
    pub(crate) id: Place,
    /// Its file.
    pub(crate) path: Place,
    /// What the file says of the app, as JSON.
    pub(crate) words: Place,
}

impl AppRecord {
    pub(crate) fn write(self) -> [u32; 6] {
        let ([a, b], [c, d], [e, f]) = (self.id.write(), self.path.write(), self.words.write());
        [a, b, c, d, e, f]
    }

    #[inline]
    pub(crate) fn read([a, b, c, d, e, f]: [u32; 6]) -> AppRecord {
        AppRecord { id: Place::read(a, b), path: Place::read(c, d), words: Place::read(e, f) }
    }
}

/// A vendor as long as nobody has asked for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct VendorRecord {
    pub(crate) id: Place,
    /// What `vendors.toml` says of it, as JSON.
    pub(crate) words: Place,
}

impl VendorRecord {
    pub(crate) fn write(self) -> [u32; 4] {
        let ([a, b], [c, d]) = (self.id.write(), self.words.write());
        [a, b, c, d]
    }

    pub(crate) fn read([a, b, c, d]: [u32; 4]) -> VendorRecord {
        VendorRecord { id: Place::read(a, b), words: Place::read(c, d) }
    }
}

/// JSON that is read at each start: a shared file's, or the `[[net]]` sections of an app.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JsonRecord {
    /// The file.
    pub(crate) path: Place,
    pub(crate) json: Place,
    /// The line of the packed form.
    pub(crate) line: u32,
    /// The app's number; that of the record for a shared file.
    pub(crate) owner: u32,
}

impl JsonRecord {
    pub(crate) fn write(self) -> [u32; 6] {
        let ([a, b], [c, d]) = (self.path.write(), self.json.write());
        [a, b, c, d, self.line, self.owner]
    }

    pub(crate) fn read([a, b, c, d, line, owner]: [u32; 6]) -> JsonRecord {
        JsonRecord { path: Place::read(a, b), json: Place::read(c, d), line, owner }
    }
}

/// All tables of a catalogue.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tables {
    /// What rules say, a line each: role, edition, `cname`, purpose of infrastructure, `local`, with
    /// blanks between and `-` for what is not there.
    pub(crate) kinds: Cow<'static, str>,
    /// The words of rules that do not stand in a packed form as they are, one behind the other.
    pub(crate) own: Cow<'static, str>,
    /// The rules for names, as [`RuleRecord`]s.
    pub(crate) rules: Table<4>,
    /// By id, as [`AppRecord`]s.
    pub(crate) apps: Table<6>,
    /// The files that are no app's, as [`JsonRecord`]s.
    pub(crate) shared: Table<6>,
    /// The apps with rules for addresses, as [`JsonRecord`]s.
    pub(crate) nets: Table<6>,
    /// Vendors of the catalogue by id, and of the operator's own files, as [`VendorRecord`]s.
    pub(crate) vendors: [Table<4>; 2],
    pub(crate) base: Index,
    pub(crate) local: Index,
}

impl Tables {
    /// Tables without the operator's own, as bytes.
    #[allow(dead_code, reason = "the build script writes, the program reads")]
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut all = Vec::new();
        push_part(&mut all, self.kinds.as_bytes());
        push_part(&mut all, self.own.as_bytes());
        push_table(&mut all, &self.rules);
        push_table(&mut all, &self.apps);
        push_table(&mut all, &self.shared);
        push_table(&mut all, &self.nets);
        push_table(&mut all, &self.vendors[0]);
        self.base.write(&mut all);
        all
    }

    /// Tables that lie in the program; `None` where there are none.
    pub(crate) fn read(bytes: &'static [u8]) -> Option<Tables> {
        let mut parts = Parts(bytes);
        Some(Tables {
            kinds: parts.text()?,
            own: parts.text()?,
            rules: parts.table()?,
            apps: parts.table()?,
            shared: parts.table()?,
            nets: parts.table()?,
            vendors: [parts.table()?, Table::default()],
            base: Index::read(&mut parts)?,
            local: Index::default(),
        })
    }
}
