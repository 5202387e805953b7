//! `shadowscope signatures`: the tools of those who write signature files.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fmt, fs};

use crate::catalogue::format::Date;
use crate::catalogue::{Catalogue, Finding, Match, SourceFile, canonical, lint, template};
use crate::signatures::{self, LoadError, SignatureOptions};

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
        signatures: SignatureOptions,
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
        signatures: SignatureOptions,
    },
    /// Count apps, rules and roles
    Stats(FolderArgs),
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
    let code = match &args.command {
        SignaturesCommand::Lint(folder) => lint_folder(folder, today, &mut out)?,
        SignaturesCommand::Fmt { folder, check } => format_folder(folder, *check, &mut out)?,
        SignaturesCommand::Test(folder) => test_folder(folder, today, &mut out)?,
        SignaturesCommand::Explain { host, signatures } => {
            explain(&signatures::load(signatures)?, host, &mut out)
        }
        SignaturesCommand::New { id, domain, folder } => {
            new_file(folder, id, domain, today, &mut out)?
        }
        SignaturesCommand::List { category, signatures } => {
            list(&signatures::load(signatures)?, category.as_deref(), &mut out)
        }
        SignaturesCommand::Stats(folder) => {
            let sources = signatures::read_catalogue(&folder.folder)?;
            out = crate::catalogue::Statistics::of(&sources)
                .map_err(LoadError::Findings)?
                .to_string();
            ExitCode::SUCCESS
        }
        SignaturesCommand::Diff { old, new, names } => diff(old, new, names, &mut out)?,
    };
    match io::stdout().lock().write_all(out.as_bytes()) {
        Err(source) if source.kind() != io::ErrorKind::BrokenPipe => {
            Err(SignaturesError::Io { action: "write", path: "standard output".into(), source })
        }
        _ => Ok(code),
    }
}

fn lint_folder(
    args: &FolderArgs,
    today: Date,
    out: &mut String,
) -> Result<ExitCode, SignaturesError> {
    let sources = signatures::read_catalogue(&args.folder)?;
    let findings = lint::lint(&sources, today);
    Ok(show(&findings, sources.len(), "files", out))
}

fn test_folder(
    args: &FolderArgs,
    today: Date,
    out: &mut String,
) -> Result<ExitCode, SignaturesError> {
    let sources = signatures::read_catalogue(&args.folder)?;
    let mut findings = lint::lint(&sources, today);
    findings.retain(|finding| matches!(finding.rule, "S001" | "S008" | "S011" | "S013" | "S014"));
    let tests = sources.iter().map(|source| source.text.matches("[[test]]").count()).sum();
    Ok(show(&findings, tests, "tests", out))
}

fn show(findings: &[Finding], checked: usize, what: &str, out: &mut String) -> ExitCode {
    for finding in findings {
        push_line(out, finding);
    }
    let warnings = findings.iter().filter(|finding| finding.is_warning).count();
    let errors = findings.len() - warnings;
    push_line(out, format_args!("{checked} {what}: {errors} errors, {warnings} warnings"));
    if errors > 0 { ExitCode::from(FINDINGS) } else { ExitCode::SUCCESS }
}

fn format_folder(
    args: &FolderArgs,
    check: bool,
    out: &mut String,
) -> Result<ExitCode, SignaturesError> {
    let mut code = ExitCode::SUCCESS;
    for SourceFile { path, text } in signatures::read_catalogue(&args.folder)? {
        match canonical::format(&path, &text) {
            None => {
                push_line(out, format_args!("{path}: not formatted; see `signatures lint`"));
                code = ExitCode::from(FINDINGS);
            }
            Some(formatted) if formatted != text => {
                push_line(out, &path);
                if check {
                    code = ExitCode::from(FINDINGS);
                } else {
                    write_file(&args.folder.join(&path), &formatted)?;
                }
            }
            Some(_) => {}
        }
    }
    Ok(code)
}

fn explain(catalogue: &Catalogue, host: &str, out: &mut String) -> ExitCode {
    let Some(name) = Catalogue::normalise(host) else {
        push_line(out, format_args!("{host}: no rule can match this: it is no full hostname"));
        return ExitCode::SUCCESS;
    };
    let candidates = catalogue.explain(host);
    push_line(out, format_args!("{name}  (catalogue {})", catalogue.version()));
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
    ExitCode::SUCCESS
}

fn describe(found: &Match<'_>) -> String {
    let mut text = match (found.app, found.purpose) {
        (Some(app), _) => format!(
            "{} ({}), {}, {}, {}; role {}",
            app.name, app.id, app.vendor_name, app.category, app.status, found.role
        ),
        (None, Some(purpose)) => format!("known infrastructure ({purpose}); role {}", found.role),
        (None, None) => format!("role {}", found.role),
    };
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
) -> Result<ExitCode, SignaturesError> {
    let sources = signatures::read_catalogue(&args.folder)?;
    let catalogue = Catalogue::from_sources(&sources, &[]).map_err(LoadError::Findings)?;
    let file = match template::new_file(&catalogue, id, domain, today) {
        Ok(file) => file,
        Err(refusal) => {
            push_line(out, refusal);
            return Ok(ExitCode::from(FINDINGS));
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
    Ok(ExitCode::SUCCESS)
}

fn list(catalogue: &Catalogue, category: Option<&str>, out: &mut String) -> ExitCode {
    if let Some(slug) = category
        && catalogue.category(slug).is_none()
    {
        push_line(out, format_args!("there is no category `{slug}`; see categories.toml"));
        return ExitCode::from(FINDINGS);
    }
    let is_wanted = |other: &str| category.is_none_or(|slug| slug == other);
    for app in catalogue.apps().iter().filter(|app| is_wanted(&app.category)) {
        push_line(
            out,
            format_args!(
                "{}\t{}\t{}\t{}\t{}\t{}\t{}",
                app.id, app.name, app.vendor_name, app.category, app.kind, app.status, app.maturity
            ),
        );
    }
    ExitCode::SUCCESS
}

fn diff(
    old: &Path,
    new: &Path,
    names: &Path,
    out: &mut String,
) -> Result<ExitCode, SignaturesError> {
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
    Ok(ExitCode::SUCCESS)
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
