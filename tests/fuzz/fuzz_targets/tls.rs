//! Handshake messages of TLS, as they come and as the fuzzer's bytes decide on them.

#![no_main]

#[path = "../entry/choices.rs"]
mod choices;
#[path = "../entry/tls.rs"]
mod tls;
#[path = "../entry/tls_message.rs"]
mod tls_message;

libfuzzer_sys::fuzz_target!(|data: &[u8]| tls::run(data));
