//! The file of `--asn-db`: which autonomous system an address belongs to, from any MMDB that says.
//!
//! GeoLite2-ASN, DB-IP Lite and IPinfo's files serve; the operator brings one. Without it, rules
//! for autonomous systems never match. The file is read into memory, so that replacing it while
//! the program runs does no harm.

use std::path::{Path, PathBuf};

use maxminddb::Reader;
use serde::Deserialize;

use crate::net::Address;

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("--asn-db {}: {source}; give an MMDB file with autonomous systems", path.display())]
pub struct AsnError {
    path: PathBuf,
    source: maxminddb::MaxMindDbError,
}

/// See the module.
pub struct AutonomousSystems(Reader<Vec<u8>>);

/// What the usual files say of a network: GeoLite2 and DB-IP, or IPinfo.
#[derive(Deserialize)]
struct Entry<'a> {
    autonomous_system_number: Option<u32>,
    asn: Option<&'a str>,
}

impl AutonomousSystems {
    /// Reads the file.
    ///
    /// # Errors
    /// It cannot be read, or is no MMDB.
    pub fn open(path: &Path) -> Result<AutonomousSystems, AsnError> {
        Reader::open_readfile(path)
            .map(AutonomousSystems)
            .map_err(|source| AsnError { path: path.to_path_buf(), source })
    }

    /// The number of the autonomous system of an address; none where the file does not say.
    pub fn number(&self, address: Address) -> Option<u32> {
        // An entry of another form, or a damaged one, is no answer.
        let entry: Entry<'_> = self.0.lookup(address.to_ip()).ok()?.decode().ok()??;
        let from_text = || entry.asn?.trim_start_matches("AS").parse().ok();
        entry.autonomous_system_number.or_else(from_text)
    }
}
