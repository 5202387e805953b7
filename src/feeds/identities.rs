//! The file of `--identities`: CSV with the columns `address_or_network,user,department`.

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
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text);
    let mut bindings = Vec::new();
    let mut faults = Vec::new();
    for (index, record) in reader.records().enumerate() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                let line = error.position().map_or(0, |position| position.line());
                faults.push(Fault { line, what: error.to_string() });
                continue;
            }
        };
        let line = record.position().map_or(0, |position| position.line());
        let fields: Vec<&str> =
            record.iter().map(|field| field.trim_start_matches('\u{feff}').trim()).collect();
        if index == 0 {
            if fields != HEADER {
                let what = format!("the first line must be {}", HEADER.join(","));
                faults.push(Fault { line, what });
            }
            continue;
        }
        match binding(&fields) {
            Ok(binding) => bindings.push(binding),
            Err(what) => faults.push(Fault { line, what }),
        }
    }
    if faults.is_empty() { Ok(bindings) } else { Err(faults) }
}

fn binding(fields: &[&str]) -> Result<Binding, String> {
    let &[network, user, department] = fields else {
        return Err(format!("{} columns; three are needed: {}", fields.len(), HEADER.join(",")));
    };
    let parsed = network.parse::<IpNet>().or_else(|_| network.parse::<IpAddr>().map(IpNet::from));
    let network = parsed.map_err(|_| {
        format!("\"{network}\" is no address and no network, such as 10.0.0.7 or 10.0.0.0/24")
    })?;
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
    }

    #[test]
    fn addresses_and_networks_of_both_families() {
        let text = b"address_or_network,user,department\n10.0.0.0/24,,sales\nfd00::1,\"b, c\",it\n";
        let bindings = parse(text).unwrap();
        assert_eq!(bindings[0].network.to_string(), "10.0.0.0/24");
        assert_eq!((bindings[1].user.as_str(), bindings[1].network.prefix_len()), ("b, c", 128));
    }
}
