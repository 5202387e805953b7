//! What decoding a frame costs, for the kinds of frames that a network is made of.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use shadowscope::decode::{Outcome, decode};
use shadowscope::packet::{LinkType, Packet};

/// Frames a round: enough that the branch predictor cannot learn them by heart.
const FRAMES: usize = 4096;

fn concat(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

fn be(value: usize) -> [u8; 2] {
    (value as u16).to_be_bytes()
}

fn tcp(payload: &[u8]) -> Vec<u8> {
    let ports_and_numbers = [0x9c, 0x40, 0x01, 0xbb, 0, 0, 0, 1, 0, 0, 0, 2];
    concat(&[&ports_and_numbers, &[0x50, 0x18, 0x20, 0, 0, 0, 0, 0], payload])
}

fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
    concat(&[&[0x9c, 0x40], &port.to_be_bytes(), &be(8 + payload.len()), &[0, 0], payload])
}

fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let length = be(20 + payload.len());
    let addresses = [192, 0, 2, 1, 198, 51, 100, 2];
    concat(&[&[0x45, 0], &length, &[0, 1, 0x40, 0, 64, protocol, 0, 0], &addresses, payload])
}

fn ipv6(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let address = [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let length = be(payload.len());
    concat(&[&[0x60, 0, 0, 0], &length, &[protocol, 64], &address, &address, payload])
}

fn ethernet(kind: u16, payload: &[u8]) -> Vec<u8> {
    concat(&[&[2; 12], &kind.to_be_bytes(), payload])
}

fn vlan(packet: &[u8]) -> Vec<u8> {
    ethernet(0x8100, &concat(&[&[0, 7, 8, 0], packet]))
}

/// `FRAMES` frames, the kinds in `mix` in an order that does not repeat.
fn mixed(mix: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut state = 1u64;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    (0..FRAMES).map(|_| mix[next() % mix.len()].clone()).collect()
}

fn bench_mix(criterion: &mut Criterion, name: &str, mix: &[Vec<u8>]) {
    let frames = mixed(mix);
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Elements(FRAMES as u64));
    group.bench_function(name, |bencher| {
        bencher.iter_batched_ref(
            Packet::default,
            |packet| {
                let mut decoded = 0;
                for frame in &frames {
                    let wire_length = frame.len() as u32;
                    let outcome = decode(LinkType::ETHERNET, black_box(frame), wire_length, packet);
                    decoded += u32::from(outcome == Outcome::Packet);
                    black_box(&packet);
                }
                decoded
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

fn benches(criterion: &mut Criterion) {
    let data = [0x17; 1000];
    let segment = ipv4(6, &tcp(&data));
    bench_mix(criterion, "IPv4 TCP", &[ethernet(0x0800, &segment)]);
    bench_mix(criterion, "IPv6 UDP", &[ethernet(0x86dd, &ipv6(17, &udp(443, &data)))]);
    bench_mix(
        criterion,
        "mixed",
        &[
            ethernet(0x0800, &segment),
            ethernet(0x0800, &ipv4(6, &tcp(&[]))),
            vlan(&segment),
            vlan(&ipv4(17, &udp(443, &data))),
            ethernet(0x0800, &ipv4(17, &udp(53, &data[..40]))),
            ethernet(0x86dd, &ipv6(6, &tcp(&data))),
            ethernet(0x86dd, &ipv6(17, &udp(443, &data))),
        ],
    );
    let inner = ethernet(0x0800, &segment);
    let vxlan = udp(4789, &concat(&[&[8, 0, 0, 0, 0, 0, 1, 0], &inner]));
    bench_mix(criterion, "VXLAN", &[ethernet(0x0800, &ipv4(17, &vxlan))]);
    bench_mix(
        criterion,
        "GRE",
        &[ethernet(0x0800, &ipv4(47, &concat(&[&[0, 0, 8, 0], &segment])))],
    );
}

criterion_group!(decode_benches, benches);
criterion_main!(decode_benches);
