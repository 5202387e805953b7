#![no_main]
//! Initials of one sender, raw and authentic.

#[path = "../entry/choices.rs"]
mod choices;
#[path = "../entry/quic.rs"]
mod quic;

libfuzzer_sys::fuzz_target!(|data: &[u8]| quic::run(data));
