//! What QUIC costs: the gate that every UDP datagram passes, and Initials with ids never seen
//! before, for which keys have to be derived. The goal is under 3 µs for each of these.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use shadowscope::dissect::Progress;
use shadowscope::dissect::quic::{Initials, Scratch, may_be_initial};

#[path = "../src/dissect/quic/sealing.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod sealing;

use sealing::{DRAFT_29, Plain, V1, V2, Version, client_hello, crypto_frame};

/// Flows in each round; enough that no cache helps from one round to the next.
const FLOWS: u64 = 512;

fn connection_id(flow: u64) -> [u8; 8] {
    // An odd constant spreads the bits (Fibonacci hashing).
    (flow + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()
}

/// Each flow's datagrams with its hello; `pieces` CRYPTO frames in reverse order, `packets`
/// datagrams.
fn flows(version: Version, filling: usize, pieces: usize, packets: usize) -> Vec<Vec<Vec<u8>>> {
    let hello = client_hello("www.example.com", filling);
    let size = hello.len().div_ceil(pieces);
    let frames: Vec<Vec<u8>> = hello
        .chunks(size)
        .enumerate()
        .rev()
        .map(|(index, piece)| crypto_frame(index * size, piece))
        .collect();
    let per_packet = frames.len().div_ceil(packets);
    (0..FLOWS)
        .map(|flow| {
            frames
                .chunks(per_packet)
                .zip(0..)
                .map(|(frames, number)| {
                    let id = connection_id(flow);
                    Plain { version, number, ..Plain::new(&id, frames.concat()) }.seal(1200)
                })
                .collect()
        })
        .collect()
}

fn read(flows: &[Vec<Vec<u8>>], scratch: &mut Scratch) -> usize {
    let mut names = 0;
    for datagrams in flows {
        let mut initials = Box::new(Initials::new());
        for datagram in datagrams {
            if may_be_initial(datagram)
                && let Progress::Complete(hello) = initials.datagram(black_box(datagram), scratch)
            {
                names += usize::from(hello.server_name.is_some());
            }
        }
    }
    names
}

fn initials(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("quic/initials");
    group.throughput(Throughput::Elements(FLOWS));
    let greased = Version { number: 0x1a2a_3a4a, inside: DRAFT_29 };
    for (name, flows) in [
        ("version 1", flows(Version::plain(V1), 200, 1, 1)),
        ("version 2", flows(Version::plain(V2), 200, 1, 1)),
        ("version 1, 24 pieces, 2 datagrams", flows(Version::plain(V1), 1500, 24, 2)),
        ("greased version, draft 29 inside", flows(greased, 200, 1, 1)),
    ] {
        let mut scratch = Scratch::default();
        assert_eq!(read(&flows, &mut scratch), FLOWS as usize);
        group.bench_with_input(BenchmarkId::from_parameter(name), &flows, |bencher, flows| {
            bencher.iter(|| read(flows, &mut scratch));
        });
    }
    group.finish();
}

fn gate(criterion: &mut Criterion) {
    let mut payloads: Vec<Vec<u8>> = (0..FLOWS)
        .map(|index| connection_id(index).iter().copied().cycle().take(1200).collect())
        .collect();
    for payload in payloads.iter_mut().step_by(2) {
        payload[0] = 0x80; // as RTP begins
    }
    let mut group = criterion.benchmark_group("quic/gate");
    group.throughput(Throughput::Elements(FLOWS));
    group.bench_function("no QUIC", |bencher| {
        bencher
            .iter(|| payloads.iter().filter(|payload| may_be_initial(black_box(payload))).count());
    });
    group.finish();
}

criterion_group!(benches, initials, gate);
criterion_main!(benches);
