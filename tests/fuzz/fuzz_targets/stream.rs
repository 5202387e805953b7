//! One side of a TCP connection, put in order and looked at.

#![no_main]

#[path = "../entry/choices.rs"]
mod choices;
#[path = "../entry/conversation.rs"]
mod conversation;
#[path = "../entry/stream.rs"]
mod stream;
#[path = "../entry/tls_message.rs"]
mod tls_message;

libfuzzer_sys::fuzz_target!(|data: &[u8]| stream::run(data));
