//! The Huffman code of HPACK (RFC 7541, 5.2 and Appendix B).
//!
//! The code is canonical: symbols of one length have consecutive codes in the order of their
//! values, and each length goes on where the one before ended. So the lengths alone define it.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing))]

/// Bits of the code of each byte, and of the end of string.
#[rustfmt::skip]
const CODE_LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
    28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7,
    7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21,
    23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24,
    21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];

/// The longest code, in bits.
const CODE_LENGTH_MAX: usize = 30;
/// The symbol that ends a string; it must not be sent, only its first bits as padding.
const END_OF_STRING: u16 = 256;

/// For each length: the first code, the number of codes, and where their symbols begin.
struct Table {
    first_code: [u32; CODE_LENGTH_MAX + 1],
    count: [u32; CODE_LENGTH_MAX + 1],
    offset: [u32; CODE_LENGTH_MAX + 1],
    symbols: [u16; 257],
}

const TABLE: Table = table();

#[allow(clippy::indexing_slicing, reason = "runs in the compiler")]
const fn table() -> Table {
    let mut table = Table {
        first_code: [0; CODE_LENGTH_MAX + 1],
        count: [0; CODE_LENGTH_MAX + 1],
        offset: [0; CODE_LENGTH_MAX + 1],
        symbols: [0; 257],
    };
    let (mut code, mut placed) = (0u32, 0u32);
    let mut length = 1;
    while length <= CODE_LENGTH_MAX {
        code <<= 1;
        table.first_code[length] = code;
        table.offset[length] = placed;
        let mut symbol = 0;
        while symbol < CODE_LENGTHS.len() {
            if CODE_LENGTHS[symbol] as usize == length {
                table.symbols[placed as usize] = symbol as u16;
                placed += 1;
                code += 1;
            }
            symbol += 1;
        }
        table.count[length] = placed - table.offset[length];
        length += 1;
    }
    table
}

/// Decodes a string to the end of `text`.
///
/// `None` if it holds the end of string or if its padding is none (RFC 7541, 5.2).
pub(crate) fn decode(coded: &[u8], text: &mut Vec<u8>) -> Option<()> {
    let (mut code, mut length) = (0u32, 0usize);
    for byte in coded {
        for bit in (0..8).rev() {
            code = code << 1 | u32::from(byte >> bit & 1);
            length += 1;
            let first_code = *TABLE.first_code.get(length)?;
            let place = code.wrapping_sub(first_code);
            if place < *TABLE.count.get(length)? {
                let index = TABLE.offset.get(length)? + place;
                let symbol = *TABLE.symbols.get(index as usize)?;
                text.push(u8::try_from(symbol).ok().filter(|_| symbol != END_OF_STRING)?);
                (code, length) = (0, 0);
            }
        }
    }
    // Padding: fewer than eight bits, all ones.
    (length < 8 && code == (1 << length) - 1).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(coded: &[u8]) -> Option<String> {
        let mut text = Vec::new();
        decode(coded, &mut text)?;
        String::from_utf8(text).ok()
    }

    /// RFC 7541, C.4 and C.6.
    #[test]
    fn examples_of_the_rfc() {
        for (coded, text) in [
            (&b"\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff"[..], "www.example.com"),
            (b"\xa8\xeb\x10\x64\x9c\xbf", "no-cache"),
            (b"\x25\xa8\x49\xe9\x5b\xb8\xe8\xb4\xbf", "custom-value"),
            (
                b"\xd0\x7a\xbe\x94\x10\x54\xd4\x44\xa8\x20\x05\x95\x04\x0b\x81\x66\xe0\x82\xa6\
                  \x2d\x1b\xff",
                "Mon, 21 Oct 2013 20:13:21 GMT",
            ),
            (b"", ""),
        ] {
            assert_eq!(decoded(coded).as_deref(), Some(text));
        }
    }

    /// The longest codes as Appendix B lists them.
    #[test]
    fn the_end_of_the_code_is_that_of_the_rfc() {
        let last = [10u16, 13, 22, 256];
        let codes = [0x3fff_fffcu32, 0x3fff_fffd, 0x3fff_fffe, 0x3fff_ffff];
        for (symbol, code) in last.into_iter().zip(codes) {
            let index = TABLE.offset[30] + (code - TABLE.first_code[30]);
            assert_eq!(TABLE.symbols[index as usize], symbol);
        }
        assert_eq!(TABLE.count.iter().sum::<u32>(), 257);
    }

    #[test]
    fn wrong_padding_and_the_end_of_string_are_refused() {
        assert_eq!(decoded(b"\x1f"), Some("a".to_owned()));
        assert_eq!(decoded(b"\x18"), None);
        assert_eq!(decoded(b"\x1f\xff"), None);
        assert_eq!(decoded(b"\xff\xff\xff\xff"), None);
    }
}
