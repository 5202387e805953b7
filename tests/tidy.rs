//! Rules of the sources that neither the compiler nor clippy knows: layers, the homes of crates,
//! files that say what they are for, files that stay short, and words that are not used.
//!
//! Reads the text of the sources, without comments; it does not parse Rust.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// Lines of a file before its tests.
const LINES_MAX: usize = 600;

/// The layers, lowest first; a module may use those of its own layer and below.
const LAYERS: [&[&str]; 5] = [
    &["time", "net", "hostname", "fnv", "packet", "observation", "stats", "ledger", "footprint"],
    &["decode", "dissect", "catalogue"],
    &["flow", "usage", "evidence", "worker", "names", "identity"],
    &["capture", "store", "report", "rights", "feeds", "signatures"],
    &["config", "pipeline", "service", "cli"],
];

/// Crates with one home each: path prefixes below `src/`.
const HOMES: [(&str, &[&str]); 25] = [
    (
        "libc",
        &[
            "capture/map.rs",
            "capture/socket.rs",
            "flow/memory.rs",
            "rights.rs",
            "service/memory.rs",
        ],
    ),
    ("memmap2", &["capture/map.rs"]),
    ("rustix", &["capture/", "rights.rs", "store/"]),
    ("caps", &["rights.rs"]),
    ("landlock", &["rights.rs"]),
    ("seccompiler", &["rights.rs"]),
    ("signal_hook", &["cli/"]),
    ("pcap", &["capture/"]),
    ("glob", &["capture/"]),
    ("flate2", &["capture/", "decode/"]),
    ("ruzstd", &["capture/"]),
    ("etherparse", &["decode/"]),
    ("tls_parser", &["dissect/"]),
    ("sha2", &["dissect/quic/"]),
    ("dns_parser", &["dissect/"]),
    ("httparse", &["dissect/"]),
    ("rusqlite", &["store/"]),
    ("clap", &["cli/", "config", "signatures.rs"]),
    ("indicatif", &["cli/"]),
    ("crossbeam_channel", &["pipeline/", "service/", "cli/progress.rs"]),
    ("dashmap", &["pipeline/"]),
    ("maxminddb", &["feeds/"]),
    ("psl", &["hostname.rs", "catalogue/lint/"]),
    ("idna", &["catalogue/"]),
    ("schemars", &["catalogue/"]),
];

/// Words that must not appear in what people read, and what to write instead.
const WORDS: [(&str, &str); 6] = [
    ("anonymis", "we pseudonymise"),
    ("anonymiz", "we pseudonymise"),
    ("top users", "people are not ranked"),
    ("worst users", "people are not ranked"),
    ("most active user", "people are not ranked"),
    ("user ranking", "people are not ranked"),
];

/// Identifiers of categories in the catalogue's own vocabulary.
const WORD_EXCEPTIONS: [&str; 1] = ["vpn-anonymizer"];

struct Source {
    /// Below the root, with `/`.
    path: String,
    text: String,
}

impl Source {
    /// The path below `src/`, where it is there.
    fn below_src(&self) -> Option<&str> {
        self.path.strip_prefix("src/")
    }

    /// The module at the crate's top that this file belongs to.
    fn module(&self) -> Option<&str> {
        self.below_src()?.split(['/', '.']).next()
    }

    /// Whether the whole file is a test's.
    fn is_test(&self) -> bool {
        self.path.contains("/tests/") || self.path.ends_with("tests.rs")
    }

    /// The lines before the file's own tests.
    fn lines(&self) -> impl Iterator<Item = &str> {
        let ends = |line: &&str| {
            let line = line.trim();
            line.ends_with("mod tests {") || line.ends_with("mod tests;")
        };
        self.text.lines().take_while(move |line| !ends(line))
    }

    /// These lines without comments.
    fn code(&self) -> impl Iterator<Item = &str> {
        self.lines().filter(|line| !line.trim_start().starts_with("//"))
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(below: &str, extension: &str) -> Vec<Source> {
    let mut folders = vec![root().join(below)];
    let mut found: Vec<PathBuf> = Vec::new();
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && name != "target" {
                folders.push(path);
            } else if name.ends_with(extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    let source = |path: PathBuf| Source {
        path: path.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/"),
        text: fs::read_to_string(&path).unwrap(),
    };
    found.into_iter().map(source).collect()
}

fn sources() -> Vec<Source> {
    ["src", "tests", "benches"].into_iter().flat_map(|below| files(below, ".rs")).collect()
}

/// The names that follow `prefix` in the code, such as `time` in `crate::time::Hour`, also those
/// of a list in braces right behind it.
fn names_after<'a>(line: &'a str, prefix: &str) -> Vec<&'a str> {
    let mut found = Vec::new();
    for (at, _) in line.match_indices(prefix) {
        let before = line[..at].chars().next_back();
        if before.is_some_and(|before| before.is_alphanumeric() || before == '_' || before == ':') {
            continue;
        }
        let rest = &line[at + prefix.len()..];
        if let Some(list) = rest.strip_prefix('{') {
            let end = list.find('}').unwrap_or(list.len());
            found.extend(list[..end].split(',').map(|item| first_name(item.trim())));
        } else {
            found.push(first_name(rest));
        }
    }
    found
}

fn first_name(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// Fails with all complaints at once.
fn assert_none(complaints: &str) {
    assert!(complaints.is_empty(), "\n{complaints}");
}

#[test]
fn nothing_imports_from_a_layer_above() {
    let mut complaints = String::new();
    for source in sources() {
        let (Some(module), false) = (source.module(), source.is_test()) else { continue };
        if matches!(module, "lib" | "main") {
            continue;
        }
        let Some(own) = layer(module) else {
            writeln!(complaints, "{}: module {module} has no layer", source.path).unwrap();
            continue;
        };
        for line in source.code() {
            for used in names_after(line, "crate::") {
                // Macros and items of the crate's root have no layer.
                if layer(used).is_some_and(|used| used > own) {
                    writeln!(complaints, "{}: uses crate::{used} of a layer above", source.path)
                        .unwrap();
                }
            }
        }
    }
    assert_none(&complaints);
}

#[test]
fn every_crate_stays_in_its_home() {
    let mut complaints = String::new();
    for source in sources() {
        let Some(path) = source.below_src() else { continue };
        if source.is_test() {
            continue;
        }
        for (name, homes) in HOMES {
            let at_home = homes.iter().any(|home| path.starts_with(home));
            let uses = |line: &str| {
                !names_after(line, &format!("{name}::")).is_empty()
                    || line.contains(&format!(" ::{name}::"))
            };
            if !at_home && source.code().any(uses) {
                writeln!(complaints, "{}: {name} belongs into {homes:?}", source.path).unwrap();
            }
        }
    }
    assert_none(&complaints);
}

#[test]
fn every_file_says_what_it_is_for() {
    let mut complaints = String::new();
    for source in sources() {
        // Attributes of the whole file may stand before it.
        let mut lines = source.text.lines().skip_while(|line| line.starts_with("#!["));
        let first = lines.next().unwrap_or_default();
        if first.strip_prefix("//! ").is_none_or(|rest| rest.trim().len() < 10) {
            writeln!(complaints, "{}: does not begin with a //! header", source.path).unwrap();
        }
    }
    assert_none(&complaints);
}

#[test]
fn no_file_is_longer_than_can_be_read() {
    let mut complaints = String::new();
    for source in sources() {
        let lines = source.lines().count();
        // Tables are exempt whose generator is in the tree.
        let is_generated = source.text.lines().take(20).any(|line| line.contains("@generated"));
        if lines > LINES_MAX && !is_generated {
            writeln!(complaints, "{}: {lines} lines before its tests", source.path).unwrap();
        }
    }
    assert_none(&complaints);
}

#[test]
fn code_that_reads_the_network_denies_panics() {
    for module in ["decode", "dissect"] {
        let text = fs::read_to_string(root().join(format!("src/{module}/mod.rs"))).unwrap();
        for lint in ["clippy::unwrap_used", "clippy::expect_used", "clippy::indexing_slicing"] {
            let denied = text
                .split("#![deny(")
                .skip(1)
                .any(|rest| rest.split(')').next().is_some_and(|lints| lints.contains(lint)));
            assert!(denied, "src/{module}/mod.rs does not deny {lint}");
        }
    }
}

#[test]
fn words_are_used_as_agreed() {
    let mut complaints = String::new();
    let texts = files("src", ".rs")
        .into_iter()
        .chain(files("src", ".sql"))
        .chain(files("src", ".html"))
        .chain(files("docs", ".md"))
        .chain(files("fixtures", ".md"));
    let top = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"].map(|name| Source {
        path: name.into(),
        text: fs::read_to_string(root().join(name)).unwrap_or_default(),
    });
    for source in texts.chain(top) {
        for (number, line) in source.text.lines().enumerate() {
            let mut line = line.to_lowercase();
            for exception in WORD_EXCEPTIONS {
                line = line.replace(exception, "");
            }
            for (word, instead) in WORDS {
                if line.contains(word) {
                    let place = format!("{}:{}", source.path, number + 1);
                    writeln!(complaints, "{place}: \"{word}\": {instead}").unwrap();
                }
            }
        }
    }
    assert_none(&complaints);
}

/// The rules above find what they look for.
#[test]
fn the_rules_bite() {
    assert_eq!(names_after("use crate::time::Hour;", "crate::"), ["time"]);
    assert_eq!(names_after("use crate::{net, store::Store};", "crate::"), ["net", "store"]);
    assert_eq!(names_after("fn a() -> crate::cli::A { pcap::x() }", "pcap::"), ["x"]);
    assert!(names_after("use my_pcap::x;", "pcap::").is_empty());
    assert!(layer("time") < layer("decode") && layer("worker") < layer("pipeline"));
    assert_eq!(layer("nonsense"), None);
    let source = Source {
        path: "src/flow/table.rs".into(),
        text: "//! A.\nuse b;\n// crate::cli\n#[cfg(test)]\nmod tests {\n}\n".into(),
    };
    assert_eq!(source.module(), Some("flow"));
    assert_eq!(source.lines().count(), 4);
    assert!(source.code().all(|line| !line.contains("cli")));
}
