//! The file of `--identities`: CSV with the columns `address_or_network,user,department`.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use ipnet::IpNet;

use crate::identity::{Binding, Identities};

/// The header the file must have.
const HEADER: [&str; 3] = ["address_or_network", "user", "department"];

/// Why the file cannot be used. All faults are told at once.
#[derive(Debug, thiserror::Error)]
pub enum IdentitiesError {
    /// It cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Lines that say something else than an address, a user and a department.
    #[error("{}:\n{}", path.display(), faults.iter().map(|fault| format!("  {fault}")).collect::<Vec<_>>().join("\n"))]
    Faults {
        /// The file.
        path: PathBuf,
        /// Line by line.
        faults: Vec<Fault>,
    },
}

/// A line that cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault {
    /// Its number, from 1.
    pub line: u64,
    /// What is wrong, and what would be right.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

/// Reads the file.
///
/// # Errors
/// It cannot be read, or lines of it cannot be used.
pub fn read(path: &Path) -> Result<Identities, IdentitiesError> {
    let text = std::fs::read(path)
        .map_err(|source| IdentitiesError::Read { path: path.to_path_buf(), source })?;
    parse(&text)
        .map(Identities::new)
        .map_err(|faults| IdentitiesError::Faults { path: path.to_path_buf(), faults })
}

fn parse(text: &[u8]) -> Result<Vec<Binding>, Vec<Fault>> {
    let header_fault =
        |line| Fault { line, what: format!("this line must be {}", HEADER.join(",")) };
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text);
    let mut bindings: Vec<Binding> = Vec::new();
    // Of each network, its line and its place in `bindings`.
    let mut known: HashMap<IpNet, (u64, usize)> = HashMap::new();
    let mut has_header = false;
    let mut lines = Lines { text, byte: 0, line: 1 };
    let mut faults = Vec::new();
    for (index, record) in reader.records().enumerate() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                let line = lines.of(error.position());
                faults.push(Fault { line, what: error.to_string() });
                continue;
            }
        };
        let line = lines.of(record.position());
        let fields: Vec<&str> =
            record.iter().map(|field| field.trim_start_matches('\u{feff}').trim()).collect();
        if index == 0 {
            has_header = true;
            if fields != HEADER {
                faults.push(header_fault(line));
            }
            continue;
        }
        let binding = match binding(&fields) {
            Ok(binding) => binding,
            Err(what) => {
                faults.push(Fault { line, what });
                continue;
            }
        };
        match known.get(&binding.network) {
            None => {
                known.insert(binding.network, (line, bindings.len()));
                bindings.push(binding);
            }
            Some(&(_, earlier)) if bindings.get(earlier) == Some(&binding) => {}
            Some((earlier, _)) => {
                let what = format!(
                    "{} is another user's or department's in line {earlier}; one of them can have it",
                    fields.first().copied().unwrap_or_default()
                );
                faults.push(Fault { line, what });
            }
        }
    }
    if !has_header && faults.is_empty() {
        faults.push(header_fault(1));
    }
    if faults.is_empty() { Ok(bindings) } else { Err(faults) }
}

/// Counts lines up to where records begin; records come in order.
struct Lines<'a> {
    text: &'a [u8],
    byte: usize,
    line: u64,
}

impl Lines<'_> {
    /// The number, from 1, of the line that holds the record at `position`, which may stand before
    /// empty lines that the reader has skipped.
    fn of(&mut self, position: Option<&csv::Position>) -> u64 {
        let begin = position.map_or(0, |position| position.byte() as usize);
        while let Some(&byte) = self.text.get(self.byte)
            && (self.byte < begin || matches!(byte, b'\r' | b'\n'))
        {
            self.line += u64::from(byte == b'\n');
            self.byte += 1;
        }
        self.line
    }
}

fn binding(fields: &[&str]) -> Result<Binding, String> {
    let &[network, user, department] = fields else {
        return Err(format!("{} columns; three are needed: {}", fields.len(), HEADER.join(",")));
    };
    let parsed = network.parse::<IpNet>().or_else(|_| network.parse::<IpAddr>().map(IpNet::from));
    let network = parsed.map_err(|_| {
        format!("\"{network}\" is no address and no network, such as 10.0.0.7 or 10.0.0.0/24")
    })?;
    // 10.0.0.7/24 is the network 10.0.0.0/24.
    let network = network.trunc();
    Ok(Binding { network, user: user.into(), department: department.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_faults_are_told_with_their_lines() {
        let text =
            b"address_or_network,user,department\n10.0.0.1,anna,sales\nnonsense,x,y\n10.0.0.2,b\n";
        let faults = parse(text).unwrap_err();
        assert_eq!(faults.iter().map(|fault| fault.line).collect::<Vec<_>>(), [3, 4]);
        assert!(faults[0].what.contains("10.0.0.0/24"));
    }

    #[test]
    fn a_missing_header_is_a_fault_and_not_a_person() {
        assert_eq!(parse(b"10.0.0.1,anna,sales\n").unwrap_err()[0].line, 1);
        assert_eq!(parse(b"\r\n10.0.0.1,anna,sales\n").unwrap_err()[0].line, 2);
        for empty in [&b""[..], b"\n", b"\n\n"] {
            assert_eq!(parse(empty).unwrap_err()[0].line, 1);
        }
    }

    #[test]
    fn empty_lines_are_counted_and_nothing_else() {
        let text = b"\naddress_or_network,user,department\n\n\n10.0.0.1,anna\n";
        let faults = parse(text).unwrap_err();
        assert_eq!(faults.iter().map(|fault| fault.line).collect::<Vec<_>>(), [5]);
    }

    #[test]
    fn two_users_of_one_address_are_a_fault_and_the_same_line_twice_is_none() {
        let text = b"address_or_network,user,department\n10.0.0.1,anna,sales\n\
            10.0.0.1/32,anna,sales\n10.0.0.1,bert,sales\n10.0.0.0/8,,it\n10.1.1.1/8,,hr\n";
        let faults = parse(text).unwrap_err();
        assert_eq!(faults.iter().map(|fault| fault.line).collect::<Vec<_>>(), [4, 6]);
        assert!(faults[0].what.contains("10.0.0.1") && faults[0].what.contains("line 2"));
        let text = b"address_or_network,user,department\n10.0.0.1,anna,sales\n10.0.0.1,anna,sales";
        assert_eq!(parse(text).unwrap().len(), 1);
    }

    #[test]
    fn addresses_and_networks_of_both_families() {
        let text = b"address_or_network,user,department\n10.0.0.0/24,,sales\nfd00::1,\"b, c\",it\n";
        let bindings = parse(text).unwrap();
        assert_eq!(bindings[0].network.to_string(), "10.0.0.0/24");
        assert_eq!((bindings[1].user.as_str(), bindings[1].network.prefix_len()), ("b, c", 128));
    }
}
