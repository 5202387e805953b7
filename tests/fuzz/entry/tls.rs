//! Handshake messages of TLS and records with them, raw or built.

use shadowscope::dissect::Progress;
use shadowscope::dissect::tls::{
    Transport, certificate_in_records, client_hello, client_hello_in_records, client_hello_prefix,
    client_hello_prefix_in_records, may_be_hello,
};
use shadowscope::observation::{CertificateNames, ClientHello};

use super::choices::Choices;
use super::tls_message;

/// The first byte says what the others are.
pub(crate) fn run(data: &[u8]) {
    let mut choices = Choices(data);
    let (mode, cut) = (choices.byte(), choices.number());
    match mode % 6 {
        0 => check_records(choices.0, cut),
        1 => check_hello(choices.0, cut),
        2 => {
            let hello = tls_message::client_hello(&mut choices);
            check_hello(&hello, cut);
            check_records(&tls_message::uneven_records(&mut choices, &hello), cut);
        }
        3 => {
            let flight = tls_message::server_flight(&mut choices);
            check_flight(&flight, usize::from(cut));
            check_records(&tls_message::uneven_records(&mut choices, &flight), cut);
        }
        4 => check_flight(choices.0, usize::from(cut)),
        _ => {
            let length = choices.below(256);
            let handshake = choices.take(length);
            check_records(&tls_message::uneven_records(&mut choices, handshake), cut);
        }
    }
}

/// Records of either side; `cut` says where a prefix of them ends.
fn check_records(bytes: &[u8], cut: u16) {
    may_be_hello(bytes);
    let prefix = &bytes[..usize::from(cut) % (bytes.len() + 1)];
    let whole = client_hello_in_records(bytes, true);
    is_sane(&whole);
    goes_on(client_hello_in_records(prefix, true), &whole);
    let certificate = certificate_in_records(bytes);
    goes_on(certificate_in_records(prefix), &certificate);
    if let Progress::Complete(names) = &certificate {
        are_names(names);
    }
    let known_early = client_hello_prefix_in_records(prefix).and_then(|hello| hello.server_name);
    if let (Some(early), Progress::Complete(hello)) = (known_early, whole)
        && client_hello_in_records(prefix, false) == Progress::Incomplete
    {
        assert_eq!(hello.server_name, Some(early));
    }
}

/// A handshake message, by itself and in records.
fn check_hello(handshake: &[u8], cut: u16) {
    let cut = usize::from(cut) % (handshake.len() + 1);
    let whole = client_hello(handshake, Some(Transport::Tcp));
    is_sane(&whole);
    let prefix = &handshake[..cut];
    goes_on(client_hello(prefix, Some(Transport::Tcp)), &whole);
    client_hello_prefix(prefix);
    // The fingerprint changes nothing else.
    match (&whole, client_hello(handshake, None)) {
        (Progress::Complete(with), Progress::Complete(without)) => {
            assert!(without.ja4.is_empty());
            assert_eq!(ClientHello { ja4: with.ja4, ..without }, *with);
        }
        (with, without) => assert_eq!(*with, without),
    }
    let in_records = client_hello_in_records(&tls_message::records(handshake, cut), true);
    assert_eq!(in_records, whole);
}

/// What a server says first gives the same names however it is cut into records.
fn check_flight(handshake: &[u8], cut: usize) {
    let whole = certificate_in_records(&tls_message::records(handshake, 1 << 14));
    if let Progress::Complete(names) = &whole {
        are_names(names);
    }
    let length = 1 + cut % handshake.len().max(1);
    assert_eq!(certificate_in_records(&tls_message::records(handshake, length)), whole);
}

/// What was said of the beginning holds for the whole.
fn goes_on<T: PartialEq + std::fmt::Debug>(of_prefix: Progress<T>, whole: &Progress<T>) {
    if of_prefix != Progress::Incomplete {
        assert_eq!(of_prefix, *whole);
    }
}

fn is_sane(hello: &Progress<ClientHello>) {
    let Progress::Complete(hello) = hello else { return };
    assert!(matches!(hello.ja4.len(), 0 | 36) && hello.ja4.is_ascii());
    assert!(hello.alpn.iter().all(|text| text.bytes().all(|byte| byte.is_ascii_graphic())));
    if let Some(name) = &hello.server_name {
        is_name(&name.to_string());
    }
}

fn are_names(names: &CertificateNames) {
    assert!(!names.is_empty());
    for name in names {
        is_name(&name.hostname.to_string());
    }
}

fn is_name(name: &str) {
    assert!(!name.is_empty() && name.len() <= 253);
    assert!(!name.bytes().any(|byte| byte <= b' ' || byte.is_ascii_uppercase()));
}
