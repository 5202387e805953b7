//! How long a name takes to match: hits, misses, and names that only look near, by size of the
//! catalogue; and how long the embedded catalogue takes to load.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use shadowscope::catalogue::{Catalogue, SourceFile};
use shadowscope::signatures;

/// As many names as a cache of the processor no longer holds by luck.
const NAMES: usize = 10_000;

/// A catalogue with `count` domains, 200 to a file, and one tenant pattern a file.
fn catalogue_of(count: usize) -> Catalogue {
    let file = |number: usize, first: usize, last: usize| {
        let domains: Vec<String> = (first..last).map(domain).collect();
        let text = format!(
            "schema = 1\nid = \"app-{number}\"\nname = \"App {number}\"\nvendor = \"v\"\n\
             kind = \"app\"\ncategory = \"c\"\nstatus = \"active\"\nmaturity = \"candidate\"\n\
             homepage = \"https://example.com/\"\nverified = 2026-01-01\nsources = []\n\
             [[match]]\nrole = \"use\"\ndomains = {domains:?}\n\
             patterns = [\"{{tenant}}.app-{number}.example.com\"]\n\
             [tenant]\nmeaning = \"m\"\naudience = \"member\"\nreserved = [\"www\"]\n"
        );
        SourceFile { path: format!("a/app-{number}.toml"), text }
    };
    let files: Vec<SourceFile> = (0..count)
        .step_by(200)
        .enumerate()
        .map(|(number, first)| file(number, first, count.min(first + 200)))
        .collect();
    Catalogue::from_sources(&files, &[]).expect("the made catalogue is well formed")
}

fn domain(number: usize) -> String {
    format!("service-{:x}.example{}.com", number.wrapping_mul(2_654_435_761), number % 97)
}

fn names(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("match_host");
    group.throughput(Throughput::Elements(NAMES as u64));
    for count in [100, 1_000, 10_000, 100_000] {
        let catalogue = catalogue_of(count);
        let hits: Vec<String> =
            (0..NAMES).map(|n| format!("cdn{}.eu.{}", n % 7, domain(n % count))).collect();
        let misses: Vec<String> =
            (0..NAMES).map(|n| format!("cdn{}.eu.other-{n}.example.net", n % 7)).collect();
        let tenants: Vec<String> = (0..NAMES)
            .map(|n| format!("t{n}.app-{}.example.com", n % count.div_ceil(200)))
            .collect();
        for (what, names) in [("hit", &hits), ("miss", &misses), ("tenant", &tenants)] {
            group.bench_with_input(BenchmarkId::new(what, count), names, |bencher, names| {
                bencher.iter(|| {
                    names
                        .iter()
                        .filter(|name| catalogue.match_host(black_box(name)).is_some())
                        .count()
                });
            });
        }
    }
    group.finish();
}

fn load(criterion: &mut Criterion) {
    criterion.bench_function("load embedded", |bencher| {
        bencher.iter(|| signatures::embedded().expect("the embedded catalogue is well formed"));
    });
}

criterion_group!(benches, names, load);
criterion_main!(benches);
