//! What tests of the store and of reports have in common: small runs with known content.

use super::*;
use crate::observation::NameSource;
use crate::stats::Counters;
use crate::time::{Hour, Minute};

/// A capture that is told from others by `number`.
pub(crate) fn capture(number: u8) -> CaptureFacts {
    let name = format!("{number}.pcap");
    CaptureFacts {
        name,
        size_bytes: 1000 + u64::from(number),
        fingerprint: [number; 32],
        content: Some([number ^ 0xff; 32]),
        beginning: Some([number ^ 0xf0; 32]),
    }
}

/// A run of captures.
pub(crate) fn start(captures: &[CaptureFacts], again: bool) -> RunStart {
    RunStart {
        kind: RunKind::Capture,
        captures: captures.to_vec(),
        again,
        program: "0.1.0".into(),
        config_sha256: "c0".into(),
        pseudonym_key: String::new(),
        site: String::new(),
    }
}

/// Begins, fills and finishes a run with one commit that holds one row of `connections`.
pub(crate) fn read(store: &mut Store, captures: &[CaptureFacts], again: bool, connections: u64) {
    let run = store.begin_run(&start(captures, again)).unwrap().run;
    let commit = commit_of(store, 1, connections);
    store.commit(run, &commit).unwrap();
    store.finish_run(run, &[]).unwrap();
}

/// A commit with one row of usage in the first hour of 1970.
pub(crate) fn commit_of(store: &mut Store, sequence: u64, connections: u64) -> Commit {
    let row = UsageRow {
        hour: Hour(0),
        subject: store.subject_id(&subject("ada", "10.0.0.1")).unwrap(),
        target: store.target_id(&app("slack", "use")).unwrap(),
        name_source: NameSource::Sni,
        sums: Sums {
            connections,
            first_seen: stamp(0, 1),
            last_seen: stamp(0, 2),
            ..Sums::default()
        },
    };
    Commit { usage: vec![row], ..empty_commit(store, sequence) }
}

/// A commit without rows.
pub(crate) fn empty_commit(store: &mut Store, sequence: u64) -> Commit {
    let facts = CatalogueFacts { version: "2026.11".into(), hash: "ca".into() };
    Commit {
        sequence,
        catalogue: store.catalogue_id(&facts).unwrap(),
        reconfigured: Vec::new(),
        usage: Vec::new(),
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

/// Somebody of the department "Lab".
pub(crate) fn subject(user: &str, device: &str) -> Subject {
    Subject { user: user.into(), department: "Lab".into(), device: device.into() }
}

/// A side of an app.
pub(crate) fn app(id: &str, role: &str) -> Target {
    let app = AppFacts {
        id: id.into(),
        name: id.to_uppercase(),
        vendor: "Vendor".into(),
        suite: String::new(),
        category: "collaboration".into(),
    };
    Target::App { app, role: role.into(), tenant: String::new(), edition: String::new() }
}

/// A stamp `seconds` into a minute.
pub(crate) fn stamp(minute: i32, seconds: i64) -> crate::time::Timestamp {
    Minute(minute).start().offset(seconds * crate::time::NANOS_PER_SECOND)
}

/// All connections that reports would show.
pub(crate) fn connections(store: &Store) -> u64 {
    let mut sum = 0;
    let snapshot = store.snapshot().unwrap();
    let add = |fact: &UsageFact<'_>| {
        sum += fact.sums.connections;
        Ok::<(), StoreError>(())
    };
    snapshot.usage(Window::ALL, add).unwrap();
    sum
}
