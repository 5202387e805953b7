//! Capture files, as they come and as the fuzzer's bytes decide on them.

#![no_main]

#[path = "../entry/capture.rs"]
mod capture;
#[path = "../entry/capture_file.rs"]
mod capture_file;
#[path = "../entry/choices.rs"]
mod choices;

libfuzzer_sys::fuzz_target!(|data: &[u8]| capture::run(data));
