//! Captures in `fixtures/` that this program makes: one for each behaviour that no capture from
//! elsewhere shows alone.
//!
//! They are made anew in every run and must be what is checked in; `UPDATE_EXPECT=1` writes them.
//! Whether the program reads them rightly is for `golden` and `conformance` to say, with figures
//! that another tool gave.

use std::fs;

use crate::support;

mod capture;
mod detours;
mod media;
mod names;
mod preambles;
mod tunnels;

/// A folder in `fixtures/` that is made.
pub(crate) struct Scene {
    /// The folder.
    folder: &'static str,
    /// What it shows.
    words: &'static str,
    /// `input.pcap` or `input.pcapng`, and what is in it.
    input: (&'static str, Vec<u8>),
}

fn scenes() -> Vec<Scene> {
    let mut scenes = names::scenes();
    scenes.extend(preambles::scenes());
    scenes.extend(tunnels::scenes());
    scenes.extend(detours::scenes());
    scenes.extend(media::scenes());
    scenes
}

fn readme(scene: &Scene) -> String {
    format!(
        "# {}\n\n{}\n\nMade by `tests/made`, from nothing but what is written there; names and addresses (RFC 2606, \
         RFC 2544, RFC 3849)\nare nobody's unless they show what a rule of the catalogue does. CC0-1.0.\n\n\
         `tshark.tsv` and `tshark.jsonl` are what tshark 4.0.17 says: the length of the outermost IP header of each\n\
         frame (40 more than the payload length for IPv6), added up, from\n\n    \
         tshark -r {} -T fields -e frame.protocols -e ip.len -e ipv6.plen -E occurrence=f\n\n\
         and the names, of which lines with the key `extra` are right but optional (found with other settings, or\n\
         outside of what is compared). `expect/` is what shadowscope says.\n",
        scene.folder, scene.words, scene.input.0
    )
}

#[test]
fn made_fixtures_are_what_is_checked_in() {
    let update = std::env::var_os("UPDATE_EXPECT").is_some_and(|value| value == "1");
    for scene in scenes() {
        let folder = support::fixtures().join(scene.folder);
        let (name, bytes) = &scene.input;
        for (name, bytes) in [(*name, bytes.clone()), ("README.md", readme(&scene).into_bytes())] {
            let path = folder.join(name);
            if update {
                fs::create_dir_all(&folder).unwrap();
                fs::write(&path, bytes).unwrap();
                continue;
            }
            let is_same = fs::read(&path).is_ok_and(|found| found == bytes);
            assert!(is_same, "{path:?} is not what is made; UPDATE_EXPECT=1 writes it");
        }
    }
}
