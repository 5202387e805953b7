//! CSV as RFC 4180 has it, safe to open in a spreadsheet.
//!
//! Names, users and tenants come from the wire or from directories, and a cell that begins like a
//! formula would be run by the spreadsheet of whoever opens the report. Such *text* gets a `'` in
//! front, by which spreadsheets know text; numbers and times are written by us and stay as they
//! are.

use std::borrow::Cow;
use std::io;
use std::path::PathBuf;

use csv::{QuoteStyle, Terminator, Writer, WriterBuilder};

use super::ReportError;
use super::output::{Finished, Output};

/// One cell.
pub(super) enum Cell<'a> {
    /// Text from anywhere.
    Text(&'a str),
    /// A number.
    Number(u64),
    /// Something this program has written: a date, a time, a percentage.
    Ours(&'a str),
}

/// A CSV file in the making.
pub(super) struct Table {
    writer: Writer<Output>,
    path: PathBuf,
}

impl Table {
    /// Begins a file with its header.
    pub(super) fn begin(output: Output, columns: &[&str]) -> Result<Table, ReportError> {
        let path = output.path().to_path_buf();
        let writer = WriterBuilder::new()
            .terminator(Terminator::CRLF)
            .quote_style(QuoteStyle::Necessary)
            .from_writer(output);
        let mut table = Table { writer, path };
        table.check(|writer| writer.write_record(columns))?;
        Ok(table)
    }

    /// Adds a row.
    pub(super) fn row(&mut self, cells: &[Cell<'_>]) -> Result<(), ReportError> {
        let mut digits = String::with_capacity(20);
        self.check(|writer| {
            for cell in cells {
                match cell {
                    Cell::Text(text) => writer.write_field(neutral(text).as_bytes())?,
                    Cell::Ours(text) => writer.write_field(text)?,
                    Cell::Number(number) => {
                        use std::fmt::Write;
                        digits.clear();
                        // Writing to a String does not fail.
                        let _ = write!(digits, "{number}");
                        writer.write_field(&digits)?;
                    }
                }
            }
            writer.write_record(None::<&[u8]>)
        })
    }

    /// Puts the file in place.
    pub(super) fn finish(self) -> Result<Finished, ReportError> {
        let path = self.path;
        let output = self.writer.into_inner().map_err(|error| ReportError::Write {
            path,
            source: io::Error::new(error.error().kind(), error.to_string()),
        })?;
        output.finish()
    }

    fn check(
        &mut self,
        write: impl FnOnce(&mut Writer<Output>) -> csv::Result<()>,
    ) -> Result<(), ReportError> {
        write(&mut self.writer)
            .map_err(|error| ReportError::Write { path: self.path.clone(), source: error.into() })
    }
}

/// `text` as it may stand in a spreadsheet's cell: with a `'` in front if a spreadsheet would take
/// it for a formula. `=`, `+`, `-`, `@` begin one, also in their full-width forms; a tab or line
/// break in front is skipped by some programs.
pub fn neutral(text: &str) -> Cow<'_, str> {
    match text.chars().next() {
        Some('=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '＝' | '＋' | '－' | '＠') => {
            Cow::Owned(format!("'{text}"))
        }
        _ => Cow::Borrowed(text),
    }
}

/// `scale` times `part` of `whole` with four decimals, rounded half up, in whole numbers throughout;
/// 0 of nothing. A scale of 100 gives per cent.
pub(super) fn ratio(part: u64, whole: u64, scale: u32) -> String {
    let (part, whole) = (u128::from(part) * u128::from(scale), u128::from(whole.max(1)));
    let ten_thousandths = (part * 20_000 + whole) / (whole * 2);
    format!("{}.{:04}", ten_thousandths / 10_000, ten_thousandths % 10_000)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    fn written(rows: &[Vec<String>]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let output = Output::create(folder.path(), "t.csv").unwrap();
        let mut table = Table::begin(output, &["a", "b"]).unwrap();
        for row in rows {
            let cells: Vec<_> = row.iter().map(|text| Cell::Text(text)).collect();
            table.row(&cells).unwrap();
        }
        fs::read_to_string(table.finish().unwrap().path).unwrap()
    }

    #[test]
    fn lines_end_with_cr_lf_and_quotes_are_doubled() {
        let text = written(&[vec!["x,\"y\"".into(), "z".into()]]);
        assert_eq!(text, "a,b\r\n\"x,\"\"y\"\"\",z\r\n");
    }

    #[test]
    fn ratios_are_rounded_half_up_and_never_through_floating_point() {
        assert_eq!(ratio(1, 3, 100), "33.3333");
        assert_eq!(ratio(2, 3, 100), "66.6667");
        assert_eq!(ratio(1, 2_000_000, 100), "0.0001");
        assert_eq!(ratio(1, 2_000_001, 100), "0.0000");
        assert_eq!(ratio(u64::MAX, u64::MAX, 100), "100.0000");
        assert_eq!(ratio(0, 0, 100), "0.0000");
        assert_eq!(ratio(2, 3, 1), "0.6667");
    }

    #[test]
    fn numbers_are_no_text() {
        let folder = tempfile::tempdir().unwrap();
        let output = Output::create(folder.path(), "t.csv").unwrap();
        let mut table = Table::begin(output, &["a", "b", "c"]).unwrap();
        table.row(&[Cell::Number(u64::MAX), Cell::Ours("-1"), Cell::Text("-1")]).unwrap();
        let text = fs::read_to_string(table.finish().unwrap().path).unwrap();
        assert_eq!(text, "a,b,c\r\n18446744073709551615,-1,'-1\r\n");
    }

    #[test]
    fn what_begins_like_a_formula_is_text() {
        for formula in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1"] {
            assert_eq!(neutral(formula), format!("'{formula}"));
        }
        assert_eq!(neutral("a=1"), "a=1");
        assert_eq!(neutral(""), "");
    }

    proptest! {
        #[test]
        fn any_text_comes_back_and_never_as_a_formula(
            rows in prop::collection::vec(
                prop::collection::vec("(?s)[=+@\\-\t\r\n,;\"' ]?.{0,12}", 2), 0..8)
        ) {
            let text = written(&rows);
            let mut reader = csv::ReaderBuilder::new().from_reader(text.as_bytes());
            let read: Vec<Vec<String>> = reader
                .records()
                .map(|record| record.unwrap().iter().map(str::to_owned).collect())
                .collect();
            let expected: Vec<Vec<String>> = rows
                .iter()
                .map(|row| row.iter().map(|text| neutral(text).into_owned()).collect())
                .collect();
            prop_assert_eq!(&read, &expected);
            for cell in read.iter().flatten() {
                prop_assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']));
            }
        }
    }
}
