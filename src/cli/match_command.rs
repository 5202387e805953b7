//! `shadowscope match`: which app each of many hostnames belongs to.
//!
//! One line a name, in the order of the input, as tab-separated values or JSON lines. Reads
//! standard input as a stream, so that a day's names can be piped through.

use std::io::{self, BufRead, Write};
use std::process::ExitCode;

use crate::catalogue::{Catalogue, Match};
use crate::cli::signature_args::SignatureArgs;
use crate::signatures::{self, LoadError};

const BUFFER_BYTES: usize = 1 << 18;

/// The command's arguments.
#[derive(Clone, Debug, clap::Args)]
pub struct MatchArgs {
    /// Hostnames; `-` reads them from standard input, one a line
    #[arg(required = true, value_name = "HOST")]
    pub hosts: Vec<String>,
    /// Print JSON lines instead of tab-separated values
    #[arg(long)]
    pub json: bool,
    /// Which catalogue to use.
    #[command(flatten)]
    pub signatures: SignatureArgs,
}

/// Why the command failed.
#[derive(Debug, thiserror::Error)]
pub enum MatchError {
    /// No catalogue.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Standard input or output.
    #[error("cannot {action}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// What the system says.
        source: io::Error,
    },
}

/// Runs the command.
///
/// # Errors
/// No catalogue, or standard input or output fail. A reader that closed the pipe is no error.
pub fn run(args: &MatchArgs) -> Result<ExitCode, MatchError> {
    let catalogue = signatures::load(&args.signatures.options())?;
    let mut out = io::BufWriter::with_capacity(BUFFER_BYTES, io::stdout().lock());
    let done = match_all(&catalogue, &args.hosts, args.json, io::stdin().lock(), &mut out)
        .and_then(|()| out.flush().map_err(writing));
    match done {
        Err(MatchError::Io { source, .. }) if source.kind() == io::ErrorKind::BrokenPipe => {
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => Err(error),
        Ok(()) => Ok(ExitCode::SUCCESS),
    }
}

/// Matches each host, or each line of `input` where a host is `-`.
///
/// # Errors
/// `input` or `out` fail.
pub fn match_all(
    catalogue: &Catalogue,
    hosts: &[String],
    json: bool,
    input: impl io::Read,
    out: &mut impl Write,
) -> Result<(), MatchError> {
    let mut input = Some(input);
    let mut line = Vec::with_capacity(1 << 10);
    for host in hosts {
        if host != "-" {
            write_result(catalogue, host, json, &mut line);
            out.write_all(&line).map_err(writing)?;
            continue;
        }
        let Some(input) = input.take() else { continue };
        let mut input = io::BufReader::with_capacity(BUFFER_BYTES, input);
        let mut name = Vec::with_capacity(1 << 10);
        loop {
            name.clear();
            if !read_line(&mut input, &mut name).map_err(reading)? {
                break;
            }
            match std::str::from_utf8(name.trim_ascii()) {
                Ok(host) => write_result(catalogue, host, json, &mut line),
                Err(_) => {
                    let host = String::from_utf8_lossy(name.trim_ascii());
                    write_result(catalogue, &host, json, &mut line);
                }
            }
            out.write_all(&line).map_err(writing)?;
        }
    }
    Ok(())
}

/// Reads up to the end of a line into `line`; false at the end of the input. (As `read_until` does,
/// whose search takes a tenth of the time that millions of names need.)
fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    loop {
        let bytes = match input.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            bytes => bytes?,
        };
        if bytes.is_empty() {
            return Ok(!line.is_empty());
        }
        let end = memchr::memchr(b'\n', bytes);
        let taken = end.map_or(bytes.len(), |at| at + 1);
        line.extend_from_slice(&bytes[..taken]);
        input.consume(taken);
        if end.is_some() {
            return Ok(true);
        }
    }
}

fn write_result(catalogue: &Catalogue, host: &str, json: bool, line: &mut Vec<u8>) {
    line.clear();
    let found = catalogue.match_host(host);
    if json {
        write_json(host, found.as_ref(), line);
    } else {
        write_tsv(host, found.as_ref(), line);
    }
    line.push(b'\n');
}

/// `host app_id role tenant edition rule file`, empty where nothing matches.
fn write_tsv(host: &str, found: Option<&Match<'_>>, line: &mut Vec<u8>) {
    // What is no name must not look like two columns.
    line.extend_from_slice(host.as_bytes());
    if host.bytes().fold(false, |any, byte| any | byte.is_ascii_control()) {
        line.iter_mut().filter(|byte| byte.is_ascii_control()).for_each(|byte| *byte = b'?');
    }
    let columns = match found {
        None => [""; 6],
        Some(found) => [
            found.app_id().unwrap_or_default(),
            found.role.as_str(),
            found.tenant().unwrap_or_default(),
            found.edition.map_or("", |edition| edition.as_str()),
            found.rule,
            found.file,
        ],
    };
    for column in columns {
        line.push(b'\t');
        line.extend_from_slice(column.as_bytes());
    }
}

fn write_json(host: &str, found: Option<&Match<'_>>, line: &mut Vec<u8>) {
    let app = found.and_then(|found| found.app());
    let columns = [
        ("host", Some(host)),
        ("app", app.map(|app| &*app.id)),
        ("name", app.map(|app| &*app.name)),
        ("role", found.map(|found| found.role.as_str())),
        ("tenant", found.and_then(|found| found.tenant())),
        ("edition", found.and_then(|found| found.edition).map(|edition| edition.as_str())),
        ("rule", found.map(|found| found.rule)),
        ("file", found.map(|found| found.file)),
    ];
    for (number, (key, value)) in columns.into_iter().enumerate() {
        line.push(if number == 0 { b'{' } else { b',' });
        line.push(b'"');
        line.extend_from_slice(key.as_bytes());
        line.extend_from_slice(b"\":");
        match value {
            None => line.extend_from_slice(b"null"),
            // Writing into memory cannot fail, and text can always be written as JSON.
            Some(text) => _ = serde_json::to_writer(&mut *line, text),
        }
    }
    line.push(b'}');
}

fn reading(source: io::Error) -> MatchError {
    MatchError::Io { action: "read standard input", source }
}

fn writing(source: io::Error) -> MatchError {
    MatchError::Io { action: "write the results", source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_on(hosts: &[&str], json: bool, input: &str) -> String {
        let catalogue = crate::signatures::embedded().unwrap();
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut out = Vec::new();
        match_all(&catalogue, &hosts, json, input.as_bytes(), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn one_line_a_name_in_the_order_of_the_input() {
        let input = "acme.slack.com\r\nnotslack.com\n\nslack";
        let out = run_on(&["wss-primary.slack.com", "-", "WWW.Slack.com."], false, input);
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(
            lines,
            [
                "wss-primary.slack.com\tslack\tuse\t\t\twss-primary.slack.com\ts/slack.toml",
                "acme.slack.com\tslack\tuse\tacme\t\t{tenant}.slack.com\ts/slack.toml",
                "notslack.com\t\t\t\t\t\t",
                "\t\t\t\t\t\t",
                "slack\t\t\t\t\t\t",
                "WWW.Slack.com.\tslack\tsite\t\t\tslack.com\ts/slack.toml",
            ]
        );
    }

    #[test]
    fn json_has_null_where_nothing_matches() {
        let out = run_on(&["acme.slack.com", "a\"b"], true, "");
        let lines: Vec<serde_json::Value> =
            out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines[0]["app"], "slack");
        assert_eq!(lines[0]["tenant"], "acme");
        assert_eq!(lines[0]["name"], "Slack");
        assert_eq!(lines[1]["host"], "a\"b");
        for key in ["app", "name", "role", "tenant", "edition", "rule", "file"] {
            assert!(lines[1][key].is_null(), "{key}");
        }
    }

    #[test]
    fn control_characters_never_make_columns() {
        assert_eq!(run_on(&["a\tb"], false, ""), "a?b\t\t\t\t\t\t\n");
    }
}
