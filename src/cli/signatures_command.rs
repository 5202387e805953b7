//! `shadowscope signatures`: the tools of those who write signature files.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fmt, fs};

use crate::catalogue::format::Date;
use crate::catalogue::{
    Catalogue, Finding, Match, SourceFile, Statistics, canonical, lint, template, unpacked,
};
use crate::cli::signature_args::SignatureArgs;
use crate::signatures::{self, LoadError, SignatureOptions};

const CLEAN: u8 = 0;
/// The exit code for findings: the files' fault, not the machine's.
const FINDINGS: u8 = 2;

/// The command's arguments.
#[derive(Clone, Debug, clap::Args)]
pub struct SignaturesArgs {
    #[command(subcommand)]
    command: SignaturesCommand,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum SignaturesCommand {
    /// Check every rule of signatures/README.md and show all findings
    Lint(FolderArgs),
    /// Bring files into canonical layout
    Fmt {
        #[command(flatten)]
        folder: FolderArgs,
        /// Change nothing; exit with 2 if something would be changed
        #[arg(long)]
        check: bool,
    },
    /// Run the tests in the files against the whole catalogue
    Test(FolderArgs),
    /// Show which rules match a hostname, and which one wins
    Explain {
        /// The hostname
        host: String,
        #[command(flatten)]
        signatures: SignatureArgs,
    },
    /// Write the file of a new app
    New {
        /// The app's id, for instance acme-drive
        id: String,
        /// A domain of the app, for instance acme.com
        #[arg(long, value_name = "DOMAIN")]
        domain: String,
        #[command(flatten)]
        folder: FolderArgs,
    },
    /// List the apps
    List {
        /// Only those of this category
        #[arg(long, value_name = "SLUG")]
        category: Option<String>,
        #[command(flatten)]
        signatures: SignatureArgs,
    },
    /// Count apps, rules and roles
    Stats(FolderArgs),
    /// Pack a catalogue into one file, for `--signatures FILE` on a sensor
    Pack {
        /// The file to write
        file: PathBuf,
        #[command(flatten)]
        folder: FolderArgs,
    },
    /// Check a packed catalogue and put it where a sensor reads it
    Install {
        /// The packed catalogue
        file: PathBuf,
        /// Where to put it; give the same path as `--signatures`, or in SHADOWSCOPE_SIGNATURES
        #[arg(long, value_name = "FILE", default_value = "/var/lib/shadowscope/catalogue.packed")]
        to: PathBuf,
    },
    /// Show which names change app or role between two catalogues
    Diff {
        /// Folder of the old catalogue
        old: PathBuf,
        /// Folder of the new catalogue
        new: PathBuf,
        /// File with hostnames, one a line
        #[arg(long, value_name = "FILE")]
        names: PathBuf,
    },
}

#[derive(Clone, Debug, clap::Args)]
struct FolderArgs {
    /// The catalogue's folder
    #[arg(long = "dir", value_name = "DIR", default_value = "signatures")]
    folder: PathBuf,
}

/// Why the command failed.
#[derive(Debug, thiserror::Error)]
pub enum SignaturesError {
    /// No catalogue.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A file or a stream.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file, or `standard output`.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl SignaturesError {
    /// Whether the files or what was typed are at fault, and not the machine.
    pub fn is_mistake(&self) -> bool {
        match self {
            SignaturesError::Load(_) => true,
            SignaturesError::Io { source, .. } => source.kind() == io::ErrorKind::NotFound,
        }
    }
}

/// Runs the command. `today` is the day by which rule S019 judges.
///
/// # Errors
/// Files that cannot be read or written, or a catalogue that cannot be used.
pub fn run(args: &SignaturesArgs, today: Date) -> Result<ExitCode, SignaturesError> {
    let mut out = String::new();
    let code = execute(&args.command, today, &mut out)?;
    match io::stdout().lock().write_all(out.as_bytes()) {
        Err(source) if source.kind() != io::ErrorKind::BrokenPipe => {
            Err(SignaturesError::Io { action: "write", path: "standard output".into(), source })
        }
        _ => Ok(ExitCode::from(code)),
    }
}

/// Runs the command and answers its exit code; what it prints is added to `out`.
fn execute(
    command: &SignaturesCommand,
    today: Date,
    out: &mut String,
) -> Result<u8, SignaturesError> {
    match command {
        SignaturesCommand::Lint(folder) => lint_folder(folder, today, out),
        SignaturesCommand::Fmt { folder, check } => format_folder(folder, *check, out),
        SignaturesCommand::Test(folder) => test_folder(folder, today, out),
        SignaturesCommand::Explain { host, signatures } => {
            // Somebody who has changed a file should see when it is not the one that was asked.
            let origin = match &signatures.signatures {
                Some(path) => format!("in {}", path.display()),
                None => "built in; --signatures DIR asks your own files".to_owned(),
            };
            Ok(explain(&signatures::load(&signatures.options())?, &origin, host, out))
        }
        SignaturesCommand::New { id, domain, folder } => new_file(folder, id, domain, today, out),
        SignaturesCommand::List { category, signatures } => {
            Ok(list(&signatures::load(&signatures.options())?, category.as_deref(), out))
        }
        SignaturesCommand::Stats(folder) => {
            let sources = signatures::read_catalogue(&folder.folder)?;
            let statistics = Statistics::of(&sources).map_err(LoadError::Findings)?;
            out.push_str(&statistics.to_string());
            Ok(CLEAN)
        }
        SignaturesCommand::Pack { file, folder } => pack(folder, file, today, out),
        SignaturesCommand::Install { file, to } => install(file, to, today, out),
        SignaturesCommand::Diff { old, new, names } => diff(old, new, names, out),
    }
}

fn lint_folder(args: &FolderArgs, today: Date, out: &mut String) -> Result<u8, SignaturesError> {
    let sources = signatures::read_catalogue(&args.folder)?;
    let findings = lint::lint(&sources, today);
    Ok(show(&findings, sources.len(), "files", out))
}

fn test_folder(args: &FolderArgs, today: Date, out: &mut String) -> Result<u8, SignaturesError> {
    let sources = signatures::read_catalogue(&args.folder)?;
    let mut findings = lint::lint(&sources, today);
    findings.retain(|finding| matches!(finding.rule, "S001" | "S008" | "S011" | "S013" | "S014"));
    let tests = sources.iter().map(|source| source.text.matches("[[test]]").count()).sum();
    Ok(show(&findings, tests, "tests", out))
}

fn show(findings: &[Finding], checked: usize, what: &str, out: &mut String) -> u8 {
    for finding in findings {
        push_line(out, finding);
    }
    let warnings = findings.iter().filter(|finding| finding.is_warning).count();
    let errors = findings.len() - warnings;
    push_line(out, format_args!("{checked} {what}: {errors} errors, {warnings} warnings"));
    if errors > 0 { FINDINGS } else { CLEAN }
}

fn format_folder(args: &FolderArgs, check: bool, out: &mut String) -> Result<u8, SignaturesError> {
    let mut code = CLEAN;
    for SourceFile { path, text } in signatures::read_catalogue(&args.folder)? {
        match canonical::format(&path, &text) {
            None => {
                push_line(out, format_args!("{path}: not formatted; see `signatures lint`"));
                code = FINDINGS;
            }
            Some(formatted) if formatted != text => {
                push_line(out, &path);
                if check {
                    code = FINDINGS;
                } else {
                    write_file(&args.folder.join(&path), &formatted)?;
                }
            }
            Some(_) => {}
        }
    }
    Ok(code)
}

fn explain(catalogue: &Catalogue, origin: &str, host: &str, out: &mut String) -> u8 {
    let Some(name) = Catalogue::normalise(host) else {
        push_line(out, format_args!("{host}: no rule can match this: it is no full hostname"));
        return CLEAN;
    };
    let candidates = catalogue.explain(host);
    push_line(out, format_args!("{name}  (catalogue {}, {origin})", catalogue.version()));
    if candidates.is_empty() {
        push_line(out, "  no rule matches");
    }
    for (number, candidate) in candidates.iter().enumerate() {
        let found = &candidate.found;
        let mark = if number == 0 { "wins" } else { "loses" };
        let weight = match candidate.weight.literals() {
            None => "the whole name".to_owned(),
            Some(literals) => format!("{literals} literal characters"),
        };
        let origin = if found.is_local { ", local" } else { "" };
        push_line(
            out,
            format_args!("  {mark:<5} {:<40} {} [{weight}{origin}]", found.rule, found.file),
        );
        push_line(out, format_args!("        {}", describe(found)));
    }
    CLEAN
}

fn describe(found: &Match<'_>) -> String {
    let mut text = match (found.app(), found.purpose) {
        (Some(app), _) => format!(
            "{} ({}), {}, {}, {}; role {}",
            app.name, app.id, app.vendor_name, app.category, app.status, found.role
        ),
        (None, Some(purpose)) => format!("known infrastructure ({purpose}); role {}", found.role),
        (None, None) => format!("role {}", found.role),
    };
    if let Some(label) = found.label {
        text.push_str(&format!(" by the label `{label}` in labels.toml"));
    }
    if let Some(edition) = found.edition {
        text.push_str(&format!(", edition {edition}"));
    }
    if let Some(tenant) = found.tenant() {
        text.push_str(&format!(", tenant {tenant}"));
    }
    text
}

fn new_file(
    args: &FolderArgs,
    id: &str,
    domain: &str,
    today: Date,
    out: &mut String,
) -> Result<u8, SignaturesError> {
    let sources = signatures::read_catalogue(&args.folder)?;
    let catalogue = Catalogue::from_sources(&sources, &[]).map_err(LoadError::Findings)?;
    let file = match template::new_file(&catalogue, id, domain, today) {
        Ok(file) => file,
        Err(refusal) => {
            push_line(out, refusal);
            return Ok(FINDINGS);
        }
    };
    let path = args.folder.join(&file.path);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|source| SignaturesError::Io {
            action: "make",
            path: folder.to_owned(),
            source,
        })?;
    }
    write_file(&path, &file.text)?;
    push_line(
        out,
        format_args!(
            "{}: written. Fill in what says CHANGE, sort the names into roles, then run\n  \
         shadowscope signatures fmt && shadowscope signatures lint",
            path.display()
        ),
    );
    Ok(CLEAN)
}

fn list(catalogue: &Catalogue, category: Option<&str>, out: &mut String) -> u8 {
    if let Some(slug) = category
        && catalogue.category(slug).is_none()
    {
        push_line(out, format_args!("there is no category `{slug}`; see categories.toml"));
        return FINDINGS;
    }
    let is_wanted = |other: &str| category.is_none_or(|slug| slug == other);
    for app in catalogue.apps().filter(|app| is_wanted(&app.category)) {
        push_line(
            out,
            format_args!(
                "{}\t{}\t{}\t{}\t{}\t{}\t{}",
                app.id, app.name, app.vendor_name, app.category, app.kind, app.status, app.maturity
            ),
        );
    }
    CLEAN
}

/// Packs a catalogue that has no errors.
fn pack(
    args: &FolderArgs,
    file: &Path,
    today: Date,
    out: &mut String,
) -> Result<u8, SignaturesError> {
    let sources = signatures::read_catalogue(&args.folder)?;
    if refuses(&lint::lint(&sources, today), file, "not written", out) {
        return Ok(FINDINGS);
    }
    let packed = Catalogue::pack(&sources).map_err(LoadError::Findings)?;
    write_file(file, &packed)?;
    let catalogue = Catalogue::from_packed(packed, &[]).map_err(LoadError::Findings)?;
    let (version, apps) = (catalogue.version(), catalogue.app_count());
    push_line(out, format_args!("{}: catalogue {version}, {apps} apps", file.display()));
    Ok(CLEAN)
}

/// Puts a packed catalogue in its place: as a whole, and only if it can be used.
fn install(file: &Path, to: &Path, today: Date, out: &mut String) -> Result<u8, SignaturesError> {
    let options = SignatureOptions { signatures: Some(file.to_owned()), signatures_extra: None };
    let catalogue = signatures::load(&options)?;
    let packed = fs::read_to_string(file).map_err(|source| SignaturesError::Io {
        action: "read",
        path: file.to_owned(),
        source,
    })?;
    let findings = unpacked::lint(&packed, today).map_err(LoadError::Findings)?;
    if refuses(&findings, to, "not installed", out) {
        return Ok(FINDINGS);
    }
    let before = to.is_file().then(|| {
        let installed =
            SignatureOptions { signatures: Some(to.to_owned()), signatures_extra: None };
        signatures::load(&installed).map_or("none that can be read".into(), |old| old.version())
    });
    let failed = |action, path: &Path| {
        let path = path.to_owned();
        move |source| SignaturesError::Io { action, path, source }
    };
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).map_err(failed("make", folder))?;
    }
    let mut aside = to.as_os_str().to_owned();
    aside.push(".new");
    let aside = PathBuf::from(aside);
    let moved = fs::copy(file, &aside)
        .map_err(failed("write", &aside))
        .and_then(|_| fs::rename(&aside, to).map_err(failed("write", to)));
    if moved.is_err() {
        // What is left aside is of no use; why it could not be moved is what matters.
        let _ = fs::remove_file(&aside);
    }
    moved?;
    let (version, apps) = (catalogue.version(), catalogue.app_count());
    let before = before.map(|version| format!("; before it was {version}")).unwrap_or_default();
    push_line(out, format_args!("{}: catalogue {version}, {apps} apps{before}", to.display()));
    Ok(CLEAN)
}

/// Shows errors, and answers whether there are any.
fn refuses(findings: &[Finding], file: &Path, what: &str, out: &mut String) -> bool {
    let errors: Vec<_> = findings.iter().filter(|finding| !finding.is_warning).collect();
    for error in &errors {
        push_line(out, error);
    }
    if !errors.is_empty() {
        push_line(out, format_args!("{}: {what}; {} errors", file.display(), errors.len()));
    }
    !errors.is_empty()
}

fn diff(old: &Path, new: &Path, names: &Path, out: &mut String) -> Result<u8, SignaturesError> {
    let load = |folder: &Path| -> Result<Catalogue, LoadError> {
        let sources = signatures::read_catalogue(folder)?;
        Catalogue::from_sources(&sources, &[]).map_err(LoadError::Findings)
    };
    let (old, new) = (load(old)?, load(new)?);
    let names_text = fs::read_to_string(names).map_err(|source| SignaturesError::Io {
        action: "read",
        path: names.to_owned(),
        source,
    })?;
    let owner = |catalogue: &Catalogue, host: &str| match catalogue.match_host(host) {
        None => ("-".to_owned(), "-"),
        Some(found) => (found.app_id().unwrap_or("-").to_owned(), found.role.as_str()),
    };
    let mut moves: BTreeMap<(String, String), usize> = BTreeMap::new();
    for host in names_text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (before, after) = (owner(&old, host), owner(&new, host));
        if before != after {
            push_line(
                out,
                format_args!("{host}\t{} {}\t{} {}", before.0, before.1, after.0, after.1),
            );
            if before.0 != after.0 {
                *moves.entry((before.0, after.0)).or_default() += 1;
            }
        }
    }
    for ((before, after), count) in moves {
        push_line(out, format_args!("# {before} -> {after}: {count}"));
    }
    Ok(CLEAN)
}

fn write_file(path: &Path, text: &str) -> Result<(), SignaturesError> {
    fs::write(path, text).map_err(|source| SignaturesError::Io {
        action: "write",
        path: path.to_owned(),
        source,
    })
}

fn push_line(out: &mut String, line: impl fmt::Display) {
    // Writing into a string cannot fail.
    _ = fmt::Write::write_fmt(out, format_args!("{line}\n"));
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::signatures::SignatureOptions;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: SignaturesArgs,
    }

    /// A copy of the shared files, so that a contributor's steps can be played.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("signatures");
        for file in signatures::read_catalogue(&own).unwrap() {
            if !file.path.contains('/') {
                fs::write(folder.path().join(&file.path), &file.text).unwrap();
            }
        }
        folder
    }

    fn run_line(words: &[&str]) -> (u8, String) {
        let line = Line::try_parse_from([&["signatures"], words].concat()).unwrap();
        let today: Date = serde_json::from_str("\"2026-11-22\"").unwrap();
        let mut out = String::new();
        let code = execute(&line.args.command, today, &mut out).unwrap();
        (code, out)
    }

    /// Does what the template asks for.
    fn fill_in(path: &Path) {
        let text = fs::read_to_string(path).unwrap();
        let text = text
            .replace("\"CHANGE\"", "\"cloud-storage\"")
            .replace("/CHANGE", "/help")
            .replace("# CHANGE: ", "# ")
            .replace("\"acme\"", "\"dropbox\"")
            .replace("hosts = []", "hosts=[\"sync.acme-drive.com\"]");
        let test = "[[test]]\nhost = \"sync.acme-drive.com\"\nrole = \"use\"\n";
        fs::write(path, text + test).unwrap();
    }

    #[test]
    fn a_new_app_goes_from_template_to_clean() {
        let folder = folder();
        let dir = folder.path().to_str().unwrap();
        let (code, out) =
            run_line(&["new", "acme-drive", "--domain", "acme-drive.com", "--dir", dir]);
        assert_eq!(code, CLEAN, "{out}");
        let (code, out) = run_line(&["lint", "--dir", dir]);
        assert_eq!(code, FINDINGS);
        assert!(
            out.contains("unknown category `CHANGE`") && out.contains("unknown vendor"),
            "{out}"
        );
        fill_in(&folder.path().join("a/acme-drive.toml"));
        assert_eq!(run_line(&["fmt", "--check", "--dir", dir]).0, FINDINGS);
        assert_eq!(run_line(&["fmt", "--dir", dir]), (CLEAN, "a/acme-drive.toml\n".to_owned()));
        let (code, out) = run_line(&["lint", "--dir", dir]);
        assert_eq!((code, out.as_str()), (CLEAN, "7 files: 0 errors, 0 warnings\n"));
        let (code, out) = run_line(&["test", "--dir", dir]);
        assert_eq!((code, out.as_str()), (CLEAN, "4 tests: 0 errors, 0 warnings\n"));
        let (code, out) = run_line(&["stats", "--dir", dir]);
        assert!(code == CLEAN && out.contains("no role but use: 0 (0.0 %)"), "{out}");
        let (code, out) = run_line(&["new", "acme-drive", "--domain", "acme.org", "--dir", dir]);
        assert!(code == FINDINGS && out.contains("exists"), "{out}");
    }

    #[test]
    fn explain_shows_the_winner_first() {
        let (code, out) = run_line(&["explain", "Contoso-my.sharepoint.com"]);
        assert_eq!(code, CLEAN);
        let rules: Vec<&str> = out.lines().filter(|line| line.contains(".toml [")).collect();
        assert!(
            rules[0].contains("wins") && rules[0].contains("{tenant}-my.sharepoint.com"),
            "{out}"
        );
        assert!(
            rules[1].contains("loses") && rules[1].contains("{tenant}.sharepoint.com"),
            "{out}"
        );
        assert!(out.contains("tenant contoso") && out.contains("built in"), "{out}");
        let (_, out) = run_line(&["explain", "mta-sts.kagi.com"]);
        assert!(out.contains("role infra by the label `mta-sts` in labels.toml"), "{out}");
        assert!(run_line(&["explain", "notslack.com"]).1.contains("no rule matches"));
        assert!(run_line(&["explain", "localhost"]).1.contains("no full hostname"));
    }

    #[test]
    fn list_knows_its_categories() {
        let (code, out) = run_line(&["list", "--category", "password-manager"]);
        assert!(code == CLEAN && out.contains("bitwarden\tBitwarden\t"), "{out}");
        assert!(out.lines().all(|line| line.contains("\tpassword-manager\t")), "{out}");
        assert_eq!(run_line(&["list", "--category", "nonsense"]).0, FINDINGS);
    }

    #[test]
    fn a_packed_catalogue_is_the_same_catalogue() {
        let folder = folder();
        let dir = folder.path().to_str().unwrap();
        run_line(&["new", "acme-drive", "--domain", "acme-drive.com", "--dir", dir]);
        let file = folder.path().join("catalogue.packed");
        // What lint refuses is not packed.
        let (code, out) = run_line(&["pack", file.to_str().unwrap(), "--dir", dir]);
        assert!(code == FINDINGS && out.contains("S004") && out.contains("not written"), "{out}");
        assert!(!file.exists());
        fill_in(&folder.path().join("a/acme-drive.toml"));
        run_line(&["fmt", "--dir", dir]);
        let (code, out) = run_line(&["pack", file.to_str().unwrap(), "--dir", dir]);
        assert!(code == CLEAN && out.contains("1 apps"), "{out}");
        let load = |path: &Path| {
            let options =
                SignatureOptions { signatures: Some(path.to_owned()), signatures_extra: None };
            signatures::load(&options).unwrap()
        };
        assert_eq!(load(&file).version(), load(folder.path()).version());
        assert!(load(&file).match_host("www.acme-drive.com").is_some());
    }

    #[test]
    fn diff_names_what_moves() {
        let (old, new) = (folder(), folder());
        let path = |folder: &tempfile::TempDir| folder.path().to_str().unwrap().to_owned();
        run_line(&["new", "acme", "--domain", "acme.com", "--dir", &path(&new)]);
        let names = new.path().join("names.txt");
        fs::write(&names, "www.acme.com\nwww.example.org\n").unwrap();
        let names = names.to_str().unwrap();
        let (_, out) = run_line(&["diff", &path(&old), &path(&new), "--names", names]);
        assert_eq!(out, "www.acme.com\t- -\tacme site\n# - -> acme: 1\n");
    }
}
