//! Where signature files come from: the program itself, or folders that the operator names.
//!
//! The catalogue of this version is embedded. A folder or packed file given with `--signatures`
//! replaces it; a folder given with `--signatures-extra` is the operator's own, whose rules win and
//! are shown as local.

use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::catalogue::{Catalogue, Finding, SourceFile};

/// The files of `signatures/` when the program was built, in their packed form.
pub const EMBEDDED: &str = include_str!(concat!(env!("OUT_DIR"), "/catalogue.packed"));

/// What the build script has made of them.
pub const TABLES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/catalogue.tables"));

/// Which catalogue to use.
#[derive(Clone, Debug, Default)]
pub struct SignatureOptions {
    /// A folder of signature files, or a packed catalogue, instead of the embedded one.
    pub signatures: Option<PathBuf>,
    /// The operator's own folder.
    pub signatures_extra: Option<PathBuf>,
}

/// Why there is no catalogue.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file or folder cannot be read.
    #[error(
        "cannot read the signature files in {}: {source}; name the folder that holds \
         catalogue.toml", path.display()
    )]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A folder without signature files is not the one that was meant.
    #[error("no signature files in {}: name the folder that holds catalogue.toml", path.display())]
    Empty {
        /// The folder.
        path: PathBuf,
    },
    /// The files say something that cannot be used.
    #[error("{} in the signature files:\n{}", count(.0.len()), list(.0))]
    Findings(Vec<Finding>),
}

/// Loads the catalogue that the options ask for.
///
/// # Errors
/// A file that cannot be read, or findings in files that were given.
pub fn load(options: &SignatureOptions) -> Result<Catalogue, LoadError> {
    let local = match &options.signatures_extra {
        Some(folder) => read_folder(folder)?,
        None => Vec::new(),
    };
    match &options.signatures {
        Some(packed) if packed.is_file() => Catalogue::from_packed(read_text(packed)?, &local),
        Some(folder) => Catalogue::from_sources(&read_catalogue(folder)?, &local),
        None => Catalogue::from_program(EMBEDDED, TABLES, &local),
    }
    .map_err(LoadError::Findings)
}

/// The catalogue built into the program.
///
/// # Errors
/// Findings, if the program was built from files that cannot be used.
pub fn embedded() -> Result<Catalogue, LoadError> {
    load(&SignatureOptions::default())
}

/// Reads the files of a whole catalogue, as [`read_folder`] does.
///
/// # Errors
/// A file or folder that cannot be read, or a folder without signature files.
pub fn read_catalogue(folder: &Path) -> Result<Vec<SourceFile>, LoadError> {
    let files = read_folder(folder)?;
    if files.is_empty() {
        return Err(LoadError::Empty { path: folder.to_owned() });
    }
    Ok(files)
}

/// Reads the `.toml` files in a folder and the folders directly below it, in the order of their
/// paths.
///
/// # Errors
/// The first file or folder that cannot be read.
pub fn read_folder(folder: &Path) -> Result<Vec<SourceFile>, LoadError> {
    let mut files = Vec::new();
    for path in entries(folder)? {
        if path.is_dir() {
            for inside in entries(&path)? {
                read_file(folder, &inside, &mut files)?;
            }
        } else {
            read_file(folder, &path, &mut files)?;
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn read_file(folder: &Path, path: &Path, files: &mut Vec<SourceFile>) -> Result<(), LoadError> {
    if path.extension().is_none_or(|extension| extension != "toml") {
        return Ok(());
    }
    let bytes = fs::read(path).map_err(|source| LoadError::Io { path: path.to_owned(), source })?;
    // What is not UTF-8 becomes a finding with a place.
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let relative = path.strip_prefix(folder).unwrap_or(path);
    let steps: Vec<_> = relative.iter().map(|step| step.to_string_lossy()).collect();
    files.push(SourceFile { path: steps.join("/"), text });
    Ok(())
}

fn read_text(path: &Path) -> Result<String, LoadError> {
    fs::read_to_string(path).map_err(|source| LoadError::Io { path: path.to_owned(), source })
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, LoadError> {
    let failed = |source| LoadError::Io { path: folder.to_owned(), source };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        paths.push(entry.map_err(failed)?.path());
    }
    Ok(paths)
}

fn count(findings: usize) -> String {
    if findings == 1 { "1 finding".to_owned() } else { format!("{findings} findings") }
}

fn list(findings: &[Finding]) -> String {
    findings.iter().map(|finding| finding.to_string()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use jiff::civil;

    use super::*;
    use crate::catalogue::{Date, lint};

    fn folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("signatures")
    }

    /// Every rule and every in-file test, against the whole catalogue. The day is the newest one
    /// in the files, so that the result does not change overnight.
    #[test]
    fn the_catalogue_is_free_of_findings() {
        let sources = read_folder(&folder()).unwrap();
        let newest = Catalogue::from_sources(&sources, &[]).unwrap();
        let newest = newest.apps().map(|app| app.verified).max();
        let findings = lint::lint(&sources, newest.unwrap_or(Date(civil::date(2026, 11, 22))));
        let errors: Vec<_> = findings.iter().filter(|finding| !finding.is_warning).collect();
        assert!(errors.is_empty(), "\n{}", list(&findings));
    }

    #[test]
    fn what_is_embedded_is_what_is_in_the_folder() {
        let sources = read_folder(&folder()).unwrap();
        let from_folder = Catalogue::from_sources(&sources, &[]).unwrap();
        assert_eq!(embedded().unwrap().version(), from_folder.version());
    }

    #[test]
    fn flows_without_a_name_are_known_by_address() {
        use crate::net::{Address, protocol};
        let catalogue = embedded().unwrap();
        let app = |address: &str, port, protocol| {
            let address = Address::from(address.parse::<std::net::IpAddr>().unwrap());
            let found = catalogue.match_address(address, port, protocol)?;
            Some(found.app_id()?.to_owned())
        };
        assert_eq!(app("149.154.167.51", 443, protocol::TCP).as_deref(), Some("telegram"));
        assert_eq!(app("2001:b28:f23d::a", 443, protocol::TCP).as_deref(), Some("telegram"));
        assert_eq!(app("52.113.1.2", 3479, protocol::UDP).as_deref(), Some("microsoft-teams"));
        assert_eq!(app("52.113.1.2", 443, protocol::TCP), None);
        assert_eq!(app("206.247.9.9", 8801, protocol::UDP).as_deref(), Some("zoom"));
        assert_eq!(app("206.247.9.9", 8801, protocol::TCP), None);
        let meta = |port| catalogue.match_autonomous_system(32_934, port, protocol::TCP);
        assert_eq!(meta(5222).as_ref().and_then(|found| found.app_id()), Some("whatsapp"));
        assert!(meta(443).is_none());
        assert_eq!(app("192.0.2.1", 443, protocol::TCP), None);
        let resolver = Address::from(std::net::IpAddr::from([1, 1, 1, 1]));
        assert_eq!(catalogue.public_resolver(resolver), Some("Cloudflare"));
        assert!(catalogue.is_ech_public_name("cloudflare-ech.com"));
        assert!(!catalogue.is_ech_public_name("www.cloudflare-ech.com"));
    }

    #[test]
    fn what_is_not_utf_8_is_a_finding_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("acme.toml"), b"schema = 1\nname = \"B\xfccher\"\n").unwrap();
        let options =
            SignatureOptions { signatures: Some(folder.path().to_owned()), signatures_extra: None };
        let message = load(&options).unwrap_err().to_string();
        assert!(message.contains("acme.toml:2:10: error S001: the file is not UTF-8"), "{message}");
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let options = SignatureOptions {
            signatures: Some(PathBuf::from("no-such-folder")),
            signatures_extra: None,
        };
        let message = load(&options).unwrap_err().to_string();
        assert!(message.contains("no-such-folder"), "{message}");
    }

    #[test]
    fn an_operators_own_folder_wins_and_its_faults_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("intranet.toml");
        let text = "schema = 1\nid = \"intranet\"\nname = \"Intranet\"\nvendor = \"us\"\n\
                    kind = \"app\"\ncategory = \"collaboration\"\nstatus = \"active\"\n\
                    maturity = \"candidate\"\nhomepage = \"https://acme.example/\"\n\
                    verified = 2026-11-22\nsources = [\"https://acme.example/\"]\n\
                    [[match]]\nrole = \"use\"\nhosts = [\"acme.slack.com\"]\n";
        fs::write(&file, text).unwrap();
        let options =
            SignatureOptions { signatures: None, signatures_extra: Some(folder.path().to_owned()) };
        let catalogue = load(&options).unwrap();
        let found = catalogue.match_host("acme.slack.com").unwrap();
        assert_eq!((found.app_id(), found.is_local), (Some("intranet"), true));
        assert_eq!(catalogue.match_host("contoso.slack.com").unwrap().app_id(), Some("slack"));
        fs::write(&file, text.replace("role", "roll")).unwrap();
        let message = load(&options).unwrap_err().to_string();
        assert!(message.contains("intranet.toml:13:1") && message.contains("`role`"), "{message}");
    }

    #[test]
    fn a_folder_without_signature_files_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let error = read_catalogue(folder.path()).unwrap_err();
        assert!(matches!(error, LoadError::Empty { .. }));
        assert!(error.to_string().contains(&folder.path().display().to_string()));
        assert!(matches!(read_catalogue(&folder.path().join("no")), Err(LoadError::Io { .. })));
    }
}
