//! Captures from file to sums, with one worker and with two: what reading, handing over and merging
//! add to the worker's own cost.

mod generator;

use std::path::Path;
use std::sync::Arc;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use shadowscope::capture::{Filter, Plan, Run};
use shadowscope::identity::Identities;
use shadowscope::pipeline;
use shadowscope::pipeline::merge::{Merge, MergeSettings};
use shadowscope::signatures;
use shadowscope::worker::Settings;

use generator::load;
use generator::office::Office;

fn open(path: &Path) -> Run {
    let plan = Plan::survey(&[path.into()]).expect("the capture was just written");
    plan.open(Filter::default()).expect("no filter fits every link type")
}

fn bench(criterion: &mut Criterion) {
    let catalogue = Arc::new(signatures::embedded().expect("the embedded catalogue is whole"));
    let folder = tempfile::tempdir().expect("a folder for captures");
    let office = Office { visits: 10_000, seconds: 1_800, ..Office::default() };
    let made = [
        ("office mix", office.traffic()),
        ("small packets", load::small_packets(20_000, 2_000_000)),
        ("handshakes", load::handshakes(30_000, 1)),
    ];
    let mut group = criterion.benchmark_group("pipeline");
    group.sample_size(10);
    for (name, traffic) in made {
        let path = folder.path().join("made.pcap");
        traffic.write(&path).expect("the folder takes the capture");
        group.throughput(Throughput::Elements(traffic.records.len() as u64));
        for workers in [1, 2] {
            group.bench_with_input(
                BenchmarkId::new(name, workers),
                &workers,
                |bencher, &workers| {
                    bencher.iter_batched(
                        || {
                            let settings = MergeSettings {
                                own_domains: Vec::new(),
                                catalogue: Arc::clone(&catalogue),
                                autonomous_systems: None,
                                unmatched: false,
                                identities: Identities::default(),
                                observations: false,
                                flows: false,
                                live: false,
                            };
                            (open(&path), Merge::new(settings, None))
                        },
                        |(run, mut merge)| {
                            let settings = Settings::default();
                            pipeline::read(run, settings, None, workers, &mut merge)
                                .expect("no store");
                            merge.finish().0.total_bytes()
                        },
                        BatchSize::PerIteration,
                    );
                },
            );
        }
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
