//! Initials of one sender, raw and authentic.

#![no_main]

#[path = "../entry/choices.rs"]
mod choices;
#[path = "../entry/quic.rs"]
mod quic;

libfuzzer_sys::fuzz_target!(|data: &[u8]| quic::run(data));
