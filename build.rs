//! Packs `signatures/` into one text, which `src/signatures.rs` embeds in the program.
//!
//! A file that is no TOML is left out with a warning, so that the program can be built to show
//! what is wrong with it; `signatures lint` in the tests refuses such a tree.

use std::path::Path;
use std::{env, fs, io};

#[path = "src/catalogue/packed.rs"]
#[allow(dead_code, reason = "loading is the crate's business")]
mod packed;

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/catalogue/packed.rs");
    println!("cargo::rerun-if-changed=signatures");
    let mut files = Vec::new();
    for entry in fs::read_dir("signatures")? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() {
            for inside in fs::read_dir(entry.path())? {
                let inside = inside?;
                let path = format!("{name}/{}", inside.file_name().to_string_lossy());
                read(&inside.path(), path, &mut files)?;
            }
        } else {
            read(&entry.path(), name, &mut files)?;
        }
    }
    let out = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("OUT_DIR is not set"))?;
    fs::write(Path::new(&out).join("catalogue.packed"), packed::pack(files))
}

fn read(file: &Path, path: String, files: &mut Vec<(String, packed::Content)>) -> io::Result<()> {
    if file.extension().is_none_or(|extension| extension != "toml") {
        return Ok(());
    }
    let bytes = fs::read(file)?;
    let Ok(text) = std::str::from_utf8(&bytes) else {
        println!("cargo::warning=signatures/{path} left out: it is not UTF-8");
        return Ok(());
    };
    match toml::de::DeTable::parse(text) {
        Ok(table) => {
            let content = packed::content(&path, table.get_ref(), &|_| true);
            files.push((path, content));
        }
        Err(error) => println!("cargo::warning=signatures/{path} left out: {}", error.message()),
    }
    Ok(())
}
