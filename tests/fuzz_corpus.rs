//! What the fuzzers have found worth keeping, shown to the same entry points on stable Rust.
//!
//! One test a target: its entry point lies in `tests/fuzz/entry`, its corpus in
//! `tests/fuzz/corpus`, and the folder's name is the target's.

#[path = "fuzz/entry/capture.rs"]
mod capture;
#[path = "fuzz/entry/capture_file.rs"]
mod capture_file;
#[path = "fuzz/entry/choices.rs"]
mod choices;
#[path = "fuzz/entry/conversation.rs"]
mod conversation;
#[path = "fuzz/entry/decode.rs"]
mod decode;
#[path = "fuzz/entry/dns.rs"]
mod dns;
#[path = "fuzz/entry/dns_message.rs"]
pub(crate) mod dns_message;
#[path = "fuzz/entry/dns_reference.rs"]
pub(crate) mod dns_reference;
#[path = "fuzz/entry/frame.rs"]
mod frame;
#[path = "fuzz/entry/quic.rs"]
mod quic;
#[path = "fuzz/entry/stream.rs"]
mod stream;
#[path = "fuzz/entry/tls.rs"]
mod tls;
#[path = "fuzz/entry/tls_message.rs"]
mod tls_message;
#[path = "fuzz/entry/tunnel.rs"]
mod tunnel;

use std::path::Path;

/// Shows `entry` every file of the corpus of `target`.
fn replay(target: &str, entry: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
    let mut inputs: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|input| input.expect("an entry of the folder").path())
        .collect();
    inputs.sort();
    assert!(!inputs.is_empty(), "{} holds no inputs", folder.display());
    for input in inputs {
        // Shown when the entry point panics: the test's output is captured otherwise.
        println!("{}", input.display());
        entry(&std::fs::read(&input).expect("an input"));
    }
}

#[test]
fn capture_corpus() {
    replay("capture", capture::run);
}

#[test]
fn decode_corpus() {
    replay("decode", decode::run);
}

#[test]
fn dns_corpus() {
    replay("dns", dns::run);
}

#[test]
fn tunnel_corpus() {
    replay("tunnel", tunnel::run);
}

#[test]
fn quic_corpus() {
    replay("quic", quic::run);
}

#[test]
fn stream_corpus() {
    replay("stream", stream::run);
}

#[test]
fn tls_corpus() {
    replay("tls", tls::run);
}
