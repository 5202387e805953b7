//! DNS messages, as they come and as the fuzzer's bytes decide on them.

#![no_main]

#[path = "../entry/choices.rs"]
mod choices;
#[path = "../entry/dns.rs"]
mod dns;
#[path = "../entry/dns_message.rs"]
mod dns_message;
#[path = "../entry/dns_reference.rs"]
mod dns_reference;

libfuzzer_sys::fuzz_target!(|data: &[u8]| dns::run(data));
