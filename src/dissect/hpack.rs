//! Header compression of HTTP/2 (RFC 7541), as far as it concerns names.
//!
//! Every field is decoded, because each may change the dynamic table; values are kept only of the
//! few fields that are asked for. Assumes all header blocks of a connection, in order, from the
//! first on: after lost bytes the table cannot be known, and the connection must be given up.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing))]

use std::collections::VecDeque;

use super::huffman;
use super::reader::Reader;
use crate::footprint::heap;

/// The names that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    /// `:authority`
    Authority,
    /// `:method`
    Method,
    /// `host`
    Host,
    /// `:protocol` (RFC 8441, 4)
    Protocol,
    /// `x-forwarded-for`
    ForwardedFor,
    /// Any other.
    Other,
}

/// The largest dynamic table in bytes: the default of SETTINGS_HEADER_TABLE_SIZE (RFC 9113,
/// 6.5.2). A client that was allowed a larger one and uses it is given up.
const TABLE_SIZE_MAX: usize = 4096;
/// What an entry costs besides its name and value (RFC 7541, 4.1).
const ENTRY_OVERHEAD: usize = 32;
/// The longest string that is decoded.
const STRING_LENGTH_MAX: usize = 16 * 1024;

/// Lengths of the names in the static table (RFC 7541, Appendix A), from index 1.
#[rustfmt::skip]
const STATIC_NAME_LENGTHS: [u8; 61] = [
    10, 7, 7, 5, 5, 7, 7, 7, 7, 7, 7, 7, 7, 7, 14, 15, 15, 13, 6, 27, 3, 5, 13, 13,
    19, 16, 16, 14, 16, 13, 12, 6, 4, 4, 6, 7, 4, 4, 8, 17, 13, 8, 19, 13, 4, 8, 12, 18,
    19, 5, 7, 7, 11, 6, 10, 25, 17, 10, 4, 3, 16,
];

/// An entry of the dynamic table.
#[derive(Debug)]
struct Entry {
    name: Name,
    name_length: usize,
    value_length: usize,
    /// The value, of names that are told apart.
    value: Box<[u8]>,
}

impl Entry {
    fn size(&self) -> usize {
        self.name_length + self.value_length + ENTRY_OVERHEAD
    }
}

/// The state of one direction of a connection.
#[derive(Debug)]
pub(crate) struct Decoder {
    /// The newest entry first.
    entries: VecDeque<Entry>,
    size: usize,
    size_max: usize,
    name: Vec<u8>,
    value: Vec<u8>,
}

impl Decoder {
    /// An empty table of the default size.
    pub(crate) fn new() -> Decoder {
        Decoder {
            entries: VecDeque::new(),
            size: 0,
            size_max: TABLE_SIZE_MAX,
            name: Vec::new(),
            value: Vec::new(),
        }
    }

    /// Memory behind this, in bytes.
    pub(crate) fn memory_bytes(&self) -> usize {
        let values: usize = self.entries.iter().map(|entry| heap(entry.value.len())).sum();
        self.entries.capacity() * size_of::<Entry>()
            + values
            + self.name.capacity()
            + self.value.capacity()
    }

    /// Decodes the fields of a header block that are whole, and calls `field` for each that is told
    /// apart. Answers how many bytes they are; what follows them goes on, or is wrong.
    pub(crate) fn fields(&mut self, block: &[u8], field: &mut dyn FnMut(Name, &[u8])) -> usize {
        let mut rest = block;
        while let Some(behind) = self.field(rest, field) {
            rest = behind;
        }
        block.len() - rest.len()
    }

    /// Decodes one field and answers what follows it. `None` if it is wrong or not whole.
    fn field<'a>(
        &mut self,
        block: &'a [u8],
        field: &mut dyn FnMut(Name, &[u8]),
    ) -> Option<&'a [u8]> {
        let mut reader = Reader::new(block);
        match *block.first()? {
            // Indexed field (6.1).
            0x80.. => {
                let index = integer(&mut reader, 7)?;
                self.indexed(index, field)?;
            }
            // Literal with incremental indexing (6.2.1).
            0x40..=0x7f => self.literal(&mut reader, 6, true, field)?,
            // Dynamic table size update (6.3).
            0x20..=0x3f => {
                let size_max = integer(&mut reader, 5)?;
                if size_max > TABLE_SIZE_MAX {
                    return None;
                }
                self.size_max = size_max;
                self.evict(0);
            }
            // Literals without indexing and never indexed (6.2.2, 6.2.3).
            0x00..=0x1f => self.literal(&mut reader, 4, false, field)?,
        }
        Some(reader.rest())
    }

    fn indexed(&self, index: usize, field: &mut dyn FnMut(Name, &[u8])) -> Option<()> {
        if index > STATIC_NAME_LENGTHS.len() {
            let entry = self.entry(index)?;
            if entry.name != Name::Other {
                field(entry.name, &entry.value);
            }
            return Some(());
        }
        match index {
            0 => return None,
            2 => field(Name::Method, b"GET"),
            3 => field(Name::Method, b"POST"),
            _ => {} // other names, and those told apart with an empty value
        }
        Some(())
    }

    fn literal(
        &mut self,
        reader: &mut Reader<'_>,
        prefix: u32,
        keep: bool,
        field: &mut dyn FnMut(Name, &[u8]),
    ) -> Option<()> {
        let index = integer(reader, prefix)?;
        let (name, name_length) = if index == 0 {
            string(reader, &mut self.name)?;
            (name_of(&self.name), self.name.len())
        } else if let Some(&length) = STATIC_NAME_LENGTHS.get(index - 1) {
            (static_name(index), length.into())
        } else {
            let entry = self.entry(index)?;
            (entry.name, entry.name_length)
        };
        string(reader, &mut self.value)?;
        if name != Name::Other {
            field(name, &self.value);
        }
        if keep {
            let kept = if name == Name::Other { &[][..] } else { &self.value };
            let value_length = self.value.len();
            let entry = Entry { name, name_length, value_length, value: kept.into() };
            self.insert(entry);
        }
        Some(())
    }

    fn entry(&self, index: usize) -> Option<&Entry> {
        self.entries.get(index.checked_sub(STATIC_NAME_LENGTHS.len() + 1)?)
    }

    /// An entry larger than the table empties it (RFC 7541, 4.4).
    fn insert(&mut self, entry: Entry) {
        self.evict(entry.size());
        if entry.size() <= self.size_max {
            self.size += entry.size();
            self.entries.push_front(entry);
        }
    }

    /// Drops the oldest entries until there is room for `needed` bytes.
    fn evict(&mut self, needed: usize) {
        while self.size + needed > self.size_max
            && let Some(entry) = self.entries.pop_back()
        {
            self.size -= entry.size();
        }
    }
}

fn static_name(index: usize) -> Name {
    match index {
        1 => Name::Authority,
        2 | 3 => Name::Method,
        38 => Name::Host,
        _ => Name::Other,
    }
}

fn name_of(name: &[u8]) -> Name {
    match name {
        b":authority" => Name::Authority,
        b":method" => Name::Method,
        b":protocol" => Name::Protocol,
        b"host" => Name::Host,
        b"x-forwarded-for" => Name::ForwardedFor,
        _ => Name::Other,
    }
}

/// An integer behind a prefix of so many bits (RFC 7541, 5.1); at most four bytes behind it.
fn integer(reader: &mut Reader<'_>, prefix: u32) -> Option<usize> {
    let mask = (1usize << prefix) - 1;
    let mut value = usize::from(reader.u8()?) & mask;
    if value < mask {
        return Some(value);
    }
    for shift in [0, 7, 14, 21] {
        let byte = reader.u8()?;
        value += usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// A string (RFC 7541, 5.2) into `text`, whose old content goes.
fn string(reader: &mut Reader<'_>, text: &mut Vec<u8>) -> Option<()> {
    let is_coded = reader.rest().first()? & 0x80 != 0;
    let length = integer(reader, 7)?;
    let bytes = reader.take(length).filter(|bytes| bytes.len() <= STRING_LENGTH_MAX)?;
    text.clear();
    if is_coded {
        huffman::decode(bytes, text)
    } else {
        text.extend_from_slice(bytes);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(decoder: &mut Decoder, block: &[u8]) -> Option<Vec<(Name, String)>> {
        let mut found = Vec::new();
        let length = decoder.fields(block, &mut |name, value| {
            found.push((name, String::from_utf8_lossy(value).into_owned()));
        });
        (length == block.len()).then_some(found)
    }

    /// RFC 7541, C.3 (without Huffman code) and C.4 (with it): three requests on one connection.
    #[test]
    fn requests_of_the_rfc() {
        let plain: [&[u8]; 3] = [
            b"\x82\x86\x84\x41\x0fwww.example.com",
            b"\x82\x86\x84\xbe\x58\x08no-cache",
            b"\x82\x87\x85\xbf\x40\x0acustom-key\x0ccustom-value",
        ];
        let coded: [&[u8]; 3] = [
            b"\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff",
            b"\x82\x86\x84\xbe\x58\x86\xa8\xeb\x10\x64\x9c\xbf",
            b"\x82\x87\x85\xbf\x40\x88\x25\xa8\x49\xe9\x5b\xa9\x7d\x7f\x89\x25\xa8\x49\xe9\x5b\xb8\
              \xe8\xb4\xbf",
        ];
        for blocks in [plain, coded] {
            let mut decoder = Decoder::new();
            for (block, size) in blocks.into_iter().zip([57, 110, 164]) {
                let expected = vec![
                    (Name::Method, "GET".to_owned()),
                    (Name::Authority, "www.example.com".to_owned()),
                ];
                assert_eq!(fields(&mut decoder, block), Some(expected));
                assert_eq!(decoder.size, size);
            }
        }
    }

    #[test]
    fn the_table_keeps_its_bound() {
        let mut decoder = Decoder::new();
        let field = [&b"\x40\x01a\x7f\x81\x01"[..], &[b'v'; 256]].concat();
        for _ in 0..40 {
            assert_eq!(fields(&mut decoder, &field), Some(vec![]));
            assert!(decoder.size <= TABLE_SIZE_MAX);
        }
        assert_eq!(decoder.entries.len(), TABLE_SIZE_MAX / (1 + 256 + ENTRY_OVERHEAD));
        assert_eq!(fields(&mut decoder, b"\x20"), Some(vec![]));
        assert_eq!((decoder.size, decoder.entries.len()), (0, 0));
        assert_eq!(fields(&mut decoder, b"\xbe"), None, "no such entry");
        assert_eq!(fields(&mut decoder, b"\x3f\xe2\x1f"), None, "a table of 4,097 bytes");
    }

    #[test]
    fn wrong_blocks_are_refused() {
        for block in
            [&b"\x80"[..], b"\x41", b"\x41\x05abcd", b"\xff\xff\xff\xff\xff\xff", b"\x41\x81"]
        {
            assert_eq!(fields(&mut Decoder::new(), block), None, "{block:x?}");
        }
    }
}
