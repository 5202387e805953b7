//! How fast merge can commit: 100,000 rows of usage in one transaction, new ones and ones that are
//! added to, into a database on disk; how fast such rows become rows by day, a piece at a time; and how
//! fast a report of ten days of them is written.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use shadowscope::evidence::Settings;
use shadowscope::observation::NameSource;
use shadowscope::report::{Keeper, ReportRange, write_reports};
use shadowscope::stats::Counters;
use shadowscope::store::{
    AppFacts, CatalogueFacts, Commit, Keeping, RunKind, RunStart, Store, Subject, Sums, Target,
    UsageRow,
};
use shadowscope::time::{Hour, Timestamp};

const SUBJECTS: usize = 1_000;
const TARGETS: usize = 100;

/// A commit with a row for each subject and target, in the order in which a hash table gives them.
fn commit(store: &mut Store, sequence: u64, hour: Hour) -> Commit {
    let facts = CatalogueFacts { version: "1".into(), hash: "00".into() };
    let catalogue = store.catalogue_id(&facts).expect("a database that can be read");
    let mut usage = Vec::with_capacity(SUBJECTS * TARGETS);
    for scattered in (0..SUBJECTS * TARGETS).map(|row| row * 7_919 % (SUBJECTS * TARGETS)) {
        let (subject, target) = (scattered / TARGETS, scattered % TARGETS);
        let subject = Subject {
            user: format!("user{subject}"),
            department: "Lab".into(),
            device: format!("10.0.{}.{}", subject / 256, subject % 256),
        };
        let app = AppFacts { id: format!("app{target}"), ..AppFacts::default() };
        let (tenant, edition) = (String::new(), String::new());
        let target = Target::App { app, role: "use".into(), tenant, edition };
        usage.push(UsageRow {
            hour,
            subject: store.subject_id(&subject).expect("a database that can be read"),
            target: store.target_id(&target).expect("a database that can be read"),
            name_source: NameSource::Sni,
            sums: Sums {
                connections: 1,
                bytes_up: 1_000,
                bytes_down: 100_000,
                minutes_up: 0xff,
                minutes_down: 0xff,
                first_seen: Timestamp(0),
                last_seen: Timestamp(1),
                ..Sums::default()
            },
        });
    }
    Commit {
        sequence,
        catalogue,
        reconfigured: Vec::new(),
        usage,
        followed: Vec::new(),
        matched: Vec::new(),
        possible: Vec::new(),
        visibility: Vec::new(),
        totals: Vec::new(),
        health: Vec::new(),
        rings: Vec::new(),
        traits: Vec::new(),
        accepted: Vec::new(),

        detours: Vec::new(),
        counters: Counters::default(),
    }
}

fn start() -> RunStart {
    RunStart {
        kind: RunKind::Live,
        captures: Vec::new(),
        again: false,
        program: "bench".into(),
        config_sha256: String::new(),
        pseudonym_key: String::new(),
        site: String::new(),
    }
}

fn commits(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder for the database");
    let mut store = Store::open(&folder.path().join("usage.db"), "UTC").expect("a new database");
    let run = store.begin_run(&start()).expect("a new run").run;
    let mut group = criterion.benchmark_group("commit");
    group.sample_size(10).throughput(Throughput::Elements((SUBJECTS * TARGETS) as u64));

    let template = commit(&mut store, 0, Hour(0));
    let mut sequence = 0;
    for (name, minutes_on) in [("new rows", 60), ("rows added to", 0)] {
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || {
                    sequence += 1;
                    let mut next = Commit { sequence, ..template.clone() };
                    let hour = Hour(sequence as i32 * minutes_on);
                    next.usage.iter_mut().for_each(|row| row.hour = hour);
                    next
                },
                |commit| store.commit(run, &commit).expect("a commit"),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

/// Merge waits for a piece, of which this is five.
#[allow(clippy::disallowed_methods, reason = "what is folded must be committed before, untimed")]
fn fold(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder for the database");
    let mut store = Store::open(&folder.path().join("usage.db"), "UTC").expect("a new database");
    let run = store.begin_run(&start()).expect("a new run").run;
    let keeper = Keeper { zone: jiff::tz::TimeZone::UTC, settings: Settings::default() };
    let keeping = Keeping {
        hours_from: Some(i64::MAX),
        days_from: None,
        totals_from: None,
        bytes_max: None,
        judge: &keeper,
    };
    let mut group = criterion.benchmark_group("fold");
    group.sample_size(10).throughput(Throughput::Elements((SUBJECTS * TARGETS) as u64));
    let mut sequence = 0;
    group.bench_function("an hour into its day", |bencher| {
        bencher.iter_custom(|times| {
            let mut took = std::time::Duration::ZERO;
            for _ in 0..times {
                sequence += 1;
                let hour = Hour(sequence as i32 * 24 * 60);
                let commit = commit(&mut store, sequence, hour);
                store.commit(run, &commit).expect("a commit");
                let begun = std::time::Instant::now();
                while store.prune(&keeping).expect("a database that can be written").is_more {}
                took += begun.elapsed();
            }
            took
        });
    });
    group.finish();
}

fn report(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder for the database");
    let mut store = Store::open(&folder.path().join("usage.db"), "UTC").expect("a new database");
    let run = store.begin_run(&start()).expect("a new run").run;
    const DAYS: i32 = 10;
    for day in 0..DAYS {
        let commit = commit(&mut store, day as u64, Hour(day * 24 * 60));
        store.commit(run, &commit).expect("a commit");
    }
    let mut group = criterion.benchmark_group("report");
    let rows = SUBJECTS * TARGETS * DAYS as usize;
    group.sample_size(10).throughput(Throughput::Elements(rows as u64));
    for (name, to) in [("ten days", None), ("the first of ten days", Some(Timestamp(0)))] {
        group.bench_function(name, |bencher| {
            let range = ReportRange { from: None, to };
            bencher.iter(|| {
                write_reports(&store, folder.path(), range, &Settings::default()).expect("a report")
            });
        });
    }
    group.finish();
}

criterion_group!(benches, commits, fold, report);
criterion_main!(benches);
