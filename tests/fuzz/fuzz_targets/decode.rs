//! Frames of every link type, as they come and as the fuzzer's bytes decide on them.

#![no_main]

#[path = "../entry/choices.rs"]
mod choices;
#[path = "../entry/decode.rs"]
mod decode;
#[path = "../entry/frame.rs"]
mod frame;

libfuzzer_sys::fuzz_target!(|data: &[u8]| decode::run(data));
