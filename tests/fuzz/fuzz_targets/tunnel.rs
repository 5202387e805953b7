//! Datagrams of a flow that may be a tunnel's.

#![no_main]

#[path = "../entry/choices.rs"]
mod choices;
#[path = "../entry/tunnel.rs"]
mod tunnel;

libfuzzer_sys::fuzz_target!(|data: &[u8]| tunnel::run(data));
