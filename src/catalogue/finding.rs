//! What is wrong with a catalogue, where, why, and what to do about it.

use std::fmt;

/// Something a contributor or operator should change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The file, relative to the catalogue's folder.
    pub file: String,
    /// Line, from 1; 0 where the whole file is meant.
    pub line: usize,
    /// Column in characters, from 1; 0 where the whole file is meant.
    pub column: usize,
    /// Number of the lint rule, for instance `S001`.
    pub rule: &'static str,
    /// Whether the catalogue can be used all the same.
    pub is_warning: bool,
    /// What is wrong.
    pub reason: String,
    /// What to do.
    pub remedy: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        let severity = if self.is_warning { "warning" } else { "error" };
        write!(f, ": {severity} {}: {}\n    fix: {}", self.rule, self.reason, self.remedy)
    }
}
