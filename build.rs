//! Packs `signatures/` into one text, which `src/signatures.rs` embeds in the program, and makes the
//! tables of it, which lie beside it.
//!
//! A file that is no TOML is left out with a warning, so that the program can be built to show
//! what is wrong with it; `signatures lint` in the tests refuses such a tree. Where no tables can be
//! made, there are none, and the program tells why when it starts.

#![allow(dead_code, unreachable_pub, reason = "most of these modules is the crate's business")]

use std::path::Path;
use std::{env, fs, io};

use finding::Finding;
use lines::Line;
use tabulate::InfraNames;
use toml::de::DeTable;

#[path = "src/catalogue/finding.rs"]
mod finding;
#[path = "src/fnv.rs"]
mod fnv;
#[path = "src/catalogue/index.rs"]
mod index;
#[path = "src/catalogue/lines.rs"]
mod lines;
#[path = "src/catalogue/packed.rs"]
mod packed;
#[path = "src/catalogue/pattern.rs"]
mod pattern;
#[path = "src/catalogue/tables.rs"]
mod tables;
#[path = "src/catalogue/tabulate.rs"]
mod tabulate;

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    for part in ["finding", "index", "lines", "packed", "pattern", "tables", "tabulate"] {
        println!("cargo::rerun-if-changed=src/catalogue/{part}.rs");
    }
    println!("cargo::rerun-if-changed=src/fnv.rs");
    println!("cargo::rerun-if-changed=signatures");
    let (mut files, mut reader) = (Vec::new(), Reader::default());
    for entry in fs::read_dir("signatures")? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() {
            for inside in fs::read_dir(entry.path())? {
                let inside = inside?;
                let path = format!("{name}/{}", inside.file_name().to_string_lossy());
                read(&inside.path(), path, &mut files, &mut reader)?;
            }
        } else {
            read(&entry.path(), name, &mut files, &mut reader)?;
        }
    }
    let out = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("OUT_DIR is not set"))?;
    let packed = packed::pack(files);
    let tables = match tabulate::tabulate(&packed, "", &reader) {
        Ok((tables, findings)) if findings.is_empty() => tables.write(),
        _ => Vec::new(),
    };
    fs::write(Path::new(&out).join("catalogue.packed"), packed)?;
    fs::write(Path::new(&out).join("catalogue.tables"), tables)
}

/// Has what the tables need of TOML files; whether their words mean something is for the crate.
#[derive(Default)]
struct Reader {
    infra: Vec<InfraNames>,
}

impl tabulate::Reader for Reader {
    fn check_kind(&self, _: &str) -> Result<(), String> {
        Ok(())
    }

    fn infra(&self, _: &Line<'_>) -> Result<Vec<InfraNames>, Vec<Finding>> {
        Ok(self.infra.clone())
    }
}

/// The names in `infra.toml`.
fn infra_names(table: &DeTable<'_>) -> Vec<InfraNames> {
    let mut all = Vec::new();
    for (key, role, purpose) in [
        ("shared", "infra", None),
        ("ech", "infra", Some("ech")),
        ("embed", "embed", Some("page")),
        ("resolver", "infra", Some("resolver")),
    ] {
        let sections = table.get(key).and_then(|list| list.get_ref().as_array());
        for section in sections.into_iter().flat_map(|list| list.iter()) {
            let section = section.get_ref().as_table();
            let own = section.and_then(|section| section.get("purpose")?.get_ref().as_str());
            let texts = |key| packed::texts(section, key).map(str::to_owned).collect();
            all.push(InfraNames {
                role,
                purpose: purpose.or(own).unwrap_or_default().to_owned(),
                hosts: texts("hosts"),
                domains: texts("domains"),
            });
        }
    }
    all
}

fn read(
    file: &Path,
    path: String,
    files: &mut Vec<(String, packed::Content)>,
    reader: &mut Reader,
) -> io::Result<()> {
    if file.extension().is_none_or(|extension| extension != "toml") {
        return Ok(());
    }
    let bytes = fs::read(file)?;
    let Ok(text) = std::str::from_utf8(&bytes) else {
        println!("cargo::warning=signatures/{path} left out: it is not UTF-8");
        return Ok(());
    };
    match DeTable::parse(text) {
        Ok(table) => {
            let content = packed::content(&path, table.get_ref(), &|_| true);
            if path == tabulate::INFRA_FILE {
                reader.infra = infra_names(table.get_ref());
            }
            files.push((path, content));
        }
        Err(error) => println!("cargo::warning=signatures/{path} left out: {}", error.message()),
    }
    Ok(())
}
