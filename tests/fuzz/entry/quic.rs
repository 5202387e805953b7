//! Initials of one sender: raw datagrams, and authentic ones with whatever frames the fuzzer
//! thinks of. Without the second kind nothing behind the AEAD tag would ever be reached.

use shadowscope::dissect::Progress;
use shadowscope::dissect::quic::{
    Initials, Scratch, connection_ids, may_be_any_long, may_be_initial,
};

#[path = "../../../src/dissect/quic/sealing.rs"]
#[allow(dead_code, reason = "the dissector's own tests use all of it")]
mod sealing;

use super::choices::Choices;
use sealing::{
    DRAFT_29, GOOGLE_Q050, Plain, V1, V2, Version, client_hello, crypto_frame, google_hello,
};

/// What [`Initials`] may hold: 16 KiB of hellos, a bit for each of their bytes, the keys of four
/// connections, and itself.
const MEMORY_BYTES_MAX: usize = 24 * 1024;
/// Datagrams of a flow.
const DATAGRAMS_MAX: usize = 32;
/// The longest payload of a packet, in bytes.
const PAYLOAD_LENGTH_MAX: usize = 8 * 1024;

/// The bytes decide on datagrams until they end.
pub(crate) fn run(data: &[u8]) {
    let mut choices = Choices(data);
    let hello = client_hello("fuzz.example.com", usize::from(choices.byte()) * 8);
    let (mut initials, mut scratch) = (Initials::new(), Scratch::default());
    for _ in 0..DATAGRAMS_MAX {
        if choices.is_empty() {
            break;
        }
        let bytes = datagram(&mut choices, &hello);
        may_be_initial(&bytes);
        if connection_ids(&bytes).is_some() {
            assert!(may_be_any_long(&bytes));
        }
        let progress = initials.datagram(&bytes, &mut scratch);
        assert!(initials.memory_bytes() <= MEMORY_BYTES_MAX);
        if let Progress::Complete(hello) = &progress {
            assert!(matches!(hello.ja4.len(), 0 | 36));
        }
        if matches!(progress, Progress::Reject(_)) {
            break;
        }
    }
    initials.best_effort().for_each(drop);
    initials.fault();
}

fn datagram(choices: &mut Choices<'_>, hello: &[u8]) -> Vec<u8> {
    match choices.below(8) {
        0 => {
            let length = usize::from(choices.number());
            choices.take(length).to_vec()
        }
        1 => google(choices),
        coalesced => {
            let mut bytes = sealed(choices, hello);
            if coalesced == 2 {
                bytes.extend(sealed(choices, hello));
            }
            let behind = choices.below(64);
            bytes.extend(choices.take(behind));
            choices.damage(&mut bytes);
            bytes
        }
    }
}

/// A hello of Google QUIC in the clear.
fn google(choices: &mut Choices<'_>) -> Vec<u8> {
    let version = choices.one_of(&[b"Q043", b"Q046", b"Q039", b"Q050"]);
    let mut bytes = vec![choices.one_of(&[0x09, 0x0d, 0xc3, 0x19])];
    bytes.extend([0x11; 8]);
    bytes.extend(version);
    let filling = choices.below(32);
    bytes.extend(choices.take(filling));
    bytes.extend(google_hello("google.example.com"));
    choices.damage(&mut bytes);
    bytes
}

/// An authentic Initial.
fn sealed(choices: &mut Choices<'_>, hello: &[u8]) -> Vec<u8> {
    let inside = choices.one_of(&[V1, V1, V2, DRAFT_29, GOOGLE_Q050]);
    let number = if choices.rarely() { 0x3a3a_3a3a } else { inside };
    // Mostly the same id, so that keys are kept.
    let id = match choices.byte() {
        0..200 => &b"8 bytes!"[..],
        other => {
            let length = usize::from(other % 21);
            choices.take(length)
        }
    };
    let destination = match choices.byte() {
        0..200 => id,
        other => {
            let length = usize::from(other % 21);
            choices.take(length)
        }
    };
    let token = if choices.rarely() { &b"token"[..] } else { b"" };
    let fixed_bit = !choices.rarely();
    let number_length = 1 + choices.below(4);
    Plain {
        version: Version { number, inside },
        destination,
        // Another connection of the client is one with another id.
        source: id.get(..1).unwrap_or_default(),
        token,
        number: u32::from(choices.number()),
        number_length,
        fixed_bit,
        ..Plain::new(id, payload(choices, hello))
    }
    .seal(0)
}

fn payload(choices: &mut Choices<'_>, hello: &[u8]) -> Vec<u8> {
    let mut payload = Vec::new();
    for _ in 0..=choices.below(8) {
        match choices.below(4) {
            // A piece of an honest hello.
            0 | 1 => {
                let begin = usize::from(choices.number()) % hello.len();
                let end = hello.len().min(begin + usize::from(choices.number() % 1500));
                payload.extend(crypto_frame(begin, &hello[begin..end]));
            }
            // Any CRYPTO frame.
            2 => {
                let offset = match choices.byte() {
                    0..250 => usize::from(choices.number()),
                    _ => usize::from(choices.number()) << 16,
                };
                let length = choices.below(256);
                payload.extend(crypto_frame(offset, choices.take(length)));
            }
            // Any bytes.
            _ => {
                let length = choices.below(64);
                payload.extend(choices.take(length));
            }
        }
    }
    payload.truncate(PAYLOAD_LENGTH_MAX);
    payload
}
