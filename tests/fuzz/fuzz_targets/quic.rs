//! Initials of one sender: raw datagrams, and authentic ones with whatever frames the fuzzer
//! thinks of. Without the second kind nothing behind the AEAD tag would ever be reached.

#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use shadowscope::dissect::Progress;
use shadowscope::dissect::quic::{Initials, Scratch, may_be_initial};

#[path = "../../../src/dissect/quic/sealing.rs"]
#[allow(dead_code)]
mod sealing;

use sealing::{DRAFT_29, GOOGLE_Q050, Plain, V1, V2, Version, client_hello, crypto_frame};

/// What [`Initials`] may hold: 16 KiB of hello, its pieces, and itself, with room to grow.
const MEMORY_BYTES_MAX: usize = 40 * 1024;

#[derive(Arbitrary, Debug)]
enum Frame {
    /// A piece of an honest hello.
    Piece { offset: u16, length: u8 },
    /// Any CRYPTO frame.
    Crypto { offset: u32, data: Vec<u8> },
    /// Any bytes.
    Raw(Vec<u8>),
}

#[derive(Arbitrary, Debug)]
enum Datagram {
    Raw(Vec<u8>),
    /// An authentic packet, and bytes behind it.
    Sealed {
        version: u8,
        greased: bool,
        fixed_bit: bool,
        key_id: Vec<u8>,
        destination: Option<Vec<u8>>,
        token: bool,
        number: u32,
        number_length: u8,
        frames: Vec<Frame>,
        behind: Vec<u8>,
    },
}

#[derive(Arbitrary, Debug)]
struct Flow {
    filling: u8,
    datagrams: Vec<Datagram>,
}

fn payload(frames: &[Frame], hello: &[u8]) -> Vec<u8> {
    let mut payload = Vec::new();
    for frame in frames {
        match frame {
            Frame::Piece { offset, length } => {
                let begin = usize::from(*offset) % hello.len();
                let end = hello.len().min(begin + usize::from(*length));
                payload.extend(crypto_frame(begin, &hello[begin..end]));
            }
            Frame::Crypto { offset, data } => payload.extend(crypto_frame(*offset as usize, data)),
            Frame::Raw(bytes) => payload.extend(bytes),
        }
    }
    payload.truncate(8 * 1024);
    payload
}

fuzz_target!(|flow: Flow| {
    let hello = client_hello("fuzz.example.com", usize::from(flow.filling) * 8);
    let (mut initials, mut scratch) = (Initials::new(), Scratch::default());
    for datagram in flow.datagrams.iter().take(32) {
        let bytes = match datagram {
            Datagram::Raw(bytes) => bytes.clone(),
            Datagram::Sealed {
                version,
                greased,
                fixed_bit,
                key_id,
                destination,
                token,
                number,
                number_length,
                frames,
                behind,
            } => {
                let inside = [V1, V2, DRAFT_29, GOOGLE_Q050][usize::from(*version % 4)];
                let key_id = &key_id[..key_id.len().min(20)];
                let destination = destination.as_deref().unwrap_or(key_id);
                let number_shown = if *greased { 0x3a3a_3a3a } else { inside };
                let mut bytes = Plain {
                    version: Version { number: number_shown, inside },
                    destination: &destination[..destination.len().min(20)],
                    token: if *token { b"token" } else { b"" },
                    number: *number,
                    number_length: usize::from(*number_length % 4) + 1,
                    fixed_bit: *fixed_bit,
                    ..Plain::new(key_id, payload(frames, &hello))
                }
                .seal(0);
                bytes.extend(behind);
                bytes
            }
        };
        may_be_initial(&bytes);
        let progress = initials.datagram(&bytes, &mut scratch);
        assert!(initials.memory_bytes() <= MEMORY_BYTES_MAX);
        if progress != Progress::Incomplete {
            break;
        }
    }
    initials.best_effort(&mut scratch);
    initials.fault();
});
