//! Packets a second through one worker, from frame to sum: the mix of an office, small packets of
//! a thousand to a million open flows, handshakes, QUIC, and floods.

mod driver;
mod generator;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

use driver::Driver;
use generator::Traffic;
use generator::load::{self, Flood};
use generator::office::Office;

/// Packets of a flood.
const FLOOD: u64 = 200_000;

fn bench(criterion: &mut Criterion, name: &str, traffic: &Traffic) {
    let mut group = criterion.benchmark_group("worker");
    group.throughput(Throughput::Elements(traffic.records.len() as u64));
    group.sample_size(10);
    group.bench_function(name, |bencher| {
        bencher.iter_batched_ref(
            Driver::new,
            |driver| {
                driver.feed(traffic);
                driver.finish()
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

fn mixes(criterion: &mut Criterion) {
    let office = Office { visits: 3000, seconds: 600, ..Office::default() };
    bench(criterion, "office mix", &office.traffic());
    bench(criterion, "handshakes", &load::handshakes(20_000, 1));
    bench(criterion, "QUIC", &load::quic_connections(5_000, 20, 1));
}

/// What a packet of a known flow costs, by how many flows there are.
fn open_flows(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("small packets");
    group.sample_size(10);
    for flows in [1_000, 30_000, 1_000_000] {
        let packets = 2_000_000.max(2 * flows as usize);
        let traffic = load::at_one_moment(load::small_packets(flows, packets));
        group.throughput(Throughput::Elements(packets as u64));
        let mut driver = Driver::new();
        // The first rounds open the flows, and find that there is nothing to be found in them.
        for _ in 0..5 {
            driver.feed(&traffic);
        }
        assert_eq!(driver.flows(), flows as usize);
        group.bench_with_input(BenchmarkId::from_parameter(flows), &traffic, |bencher, traffic| {
            bencher.iter(|| driver.feed(traffic));
        });
    }
    group.finish();
}

fn floods(criterion: &mut Criterion) {
    for flood in Flood::ALL {
        let traffic = Traffic { records: flood.packets(FLOOD, 1).collect(), ..Traffic::default() };
        bench(criterion, &format!("{flood:?} flood"), &traffic);
    }
}

criterion_group!(benches, mixes, open_flows, floods);
criterion_main!(benches);
