//! Any number of workers says the same, and all of them work.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use shadowscope::capture::{Filter, Plan};
use shadowscope::catalogue::Catalogue;
use shadowscope::identity::Identities;
use shadowscope::pipeline::merge::{Merge, MergeSettings};
use shadowscope::{pipeline, signatures, worker};

use crate::generator::frame::{self, Way, flag};
use crate::generator::office::{self, Office};
use crate::generator::{Random, Record, SECOND, START_SECONDS, Traffic};
use crate::support;

const WORKERS: [usize; 4] = [1, 2, 3, 8];

/// Three offices, one of them hours later and one years earlier, with late packets, and with
/// clocks that were set while flows were open.
fn traffic() -> Traffic {
    let office = Office { visits: 8000, seconds: 900, seed: 7, ..Office::default() };
    let mut traffic = office.traffic();
    let later = Office {
        visits: 3000,
        start_seconds: START_SECONDS + 5 * 3600,
        seed: 8,
        chapter: 1,
        ..office
    };
    traffic.append(later.traffic());
    let earlier = Office {
        visits: 3000,
        start_seconds: START_SECONDS - 2 * 365 * 86_400,
        seed: 9,
        chapter: 2,
        ..office
    };
    traffic.append(earlier.traffic());
    office::let_some_be_late(&mut traffic, 59, 10);
    let packets = traffic.records.len();
    traffic.shift_from(packets / 5, 2 * 3600 * SECOND);
    traffic.shift_from(packets / 4, -300 * SECOND);
    traffic.shift_from(packets * 9 / 10, 30 * 86_400 * SECOND);
    traffic
}

/// Connections of a few machines with few packets a second over hours: of nearly each, something ends,
/// begins anew or turns round between two looks at it, and when those are depends on who has which
/// packets. Ports are used again, handshakes come late or from either side, and some stamps are old.
fn sparse_traffic(seed: u64) -> Traffic {
    const PACKETS: u64 = 30_000;
    let mut random = Random::new(seed);
    let record = |number: u64| {
        // Few of sixty connections have most of the packets; they change every quarter of an hour.
        let skewed = (0..3).map(|_| random.below(60)).min().unwrap_or_default();
        let talk = number / 4_000 * 61 + skewed;
        let client = SocketAddr::from(([192, 168, 1, 1 + (talk % 39) as u8], 30_000 + talk as u16));
        let server = SocketAddr::from(([93, 1 + (talk % 181) as u8, 7, 9], 443));
        let [source, destination] = *random.pick(&[[client, server], [server, client]]);
        let flags = match random.below(10) {
            0 => flag::SYN,
            1 => *random.pick(&[flag::FIN | flag::ACK, flag::SYN | flag::ACK, flag::RST]),
            _ => flag::PSH | flag::ACK,
        };
        let length = random.below(50) as usize;
        let sequence = number as u32 * 10;
        let way = Way { source, destination, vlan: None };
        let segment = frame::tcp(way, flags, sequence, number as u32, &random.bytes(length));
        Record {
            time_nanos: START_SECONDS * SECOND + number as i64 * SECOND / 5,
            frame: frame::whole(way, frame::TCP, number as u16, &segment),
        }
    };
    let mut traffic = Traffic { records: (0..PACKETS).map(record).collect(), ..Traffic::default() };
    office::let_some_be_late(&mut traffic, 59, seed);
    traffic
}

/// What any number of workers says of the traffic is what one says. There are at least so many flows.
fn assert_the_same(traffic: &Traffic, flows_min: usize) {
    let folder = tempfile::tempdir().unwrap();
    let capture = folder.path().join("made.pcap");
    traffic.write(&capture).unwrap();

    let mut first = None;
    for workers in WORKERS {
        let out = folder.path().join(format!("{workers}"));
        std::fs::create_dir(&out).unwrap();
        let path = |name: &str| out.join(name).into_os_string();
        let arguments = [
            "--workers".into(),
            workers.to_string().into(),
            "--report".into(),
            out.clone().into_os_string(),
            "--observations".into(),
            path("observations.jsonl"),
            "--flows".into(),
            path("flows.jsonl"),
            capture.clone().into_os_string(),
        ];
        support::read(arguments).expect(0);
        let said = support::contents(&out);
        assert!(said.len() >= 7, "{:?}", said.keys());
        let flows = said["flows.jsonl"].iter().filter(|&&byte| byte == b'\n').count();
        assert!(flows >= flows_min, "{flows} flows");
        let expected = first.get_or_insert_with(|| said.clone());
        for (name, bytes) in &said {
            assert!(
                expected.get(name) == Some(bytes),
                "{name} of {workers} workers differs from that of one: {}",
                support::first_difference(&expected[name], bytes),
            );
        }
    }
}

#[test]
fn any_number_of_workers_says_the_same() {
    let traffic = traffic();
    assert!(traffic.flows.len() >= 20_000, "{} flows", traffic.flows.len());
    assert_the_same(&traffic, 20_000);
}

/// Two offices that use the same ports, so slow that a handshake takes minutes.
fn slow_traffic(seed: u64) -> Traffic {
    const FACTOR: i64 = 200;
    let office = Office { visits: 1500, seconds: 120, seed, ..Office::default() };
    let mut traffic = office.traffic();
    traffic.append(Office { seed: seed + 100, ..office }.traffic());
    traffic.sort();
    let start = START_SECONDS * SECOND;
    for record in &mut traffic.records {
        record.time_nanos = start + (record.time_nanos - start) * FACTOR;
    }
    office::let_some_be_late(&mut traffic, 59, seed);
    traffic
}

#[test]
fn any_number_of_workers_says_the_same_of_sparse_traffic() {
    for seed in 0..4 {
        assert_the_same(&sparse_traffic(seed), 1_000);
        assert_the_same(&slow_traffic(seed), 1_000);
    }
}

#[test]
fn every_worker_handles_packets() {
    let traffic = Office { visits: 500, ..Office::default() }.traffic();
    let folder = tempfile::tempdir().unwrap();
    let capture = folder.path().join("office.pcap");
    traffic.write(&capture).unwrap();
    for workers in WORKERS {
        let packets = packets_by_worker(&capture, workers);
        assert_eq!(packets.len(), workers);
        assert_eq!(packets.iter().sum::<u64>(), traffic.records.len() as u64);
        assert!(packets.iter().all(|&packets| packets > 0), "{packets:?}");
    }
}

fn packets_by_worker(capture: &Path, workers: usize) -> Vec<u64> {
    let plan = Plan::survey(&[capture.into()]).unwrap();
    let run = plan.open(Filter::new(None, None, None).unwrap()).unwrap();
    let files = signatures::read_folder(&support::signatures()).unwrap();
    let settings = MergeSettings {
        own_domains: Vec::new(),
        autonomous_systems: None,
        live: false,
        unmatched: false,
        catalogue: Arc::new(Catalogue::from_sources(&files, &[]).unwrap()),
        identities: Identities::default(),
        observations: false,
        flows: false,
    };
    let mut merge = Merge::new(settings, None);
    let done = pipeline::read(run, worker::Settings::default(), None, workers, &mut merge).unwrap();
    done.packets_by_worker
}
