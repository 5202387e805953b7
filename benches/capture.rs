//! Writes a made capture, for measurements of the whole program and for comparisons with others:
//!
//! ```text
//! cargo bench --bench capture -- office 70000 office.pcap       visits: about 50 packets each
//! cargo bench --bench capture -- small 5000000 small.pcap       packets
//! cargo bench --bench capture -- handshakes 300000 hello.pcap   connections
//! cargo bench --bench capture -- quic 50000 quic.pcap           connections
//! cargo bench --bench capture -- syn 10000000 syn.pcap          packets; likewise five-tuples,
//!                                                               half-hellos, questions, initials
//! cargo bench --bench capture -- flows-1000000 20000000 many.pcap   packets, after as many flows
//! ```

mod generator;

use std::path::Path;
use std::process::ExitCode;

use generator::load::{self, Flood};
use generator::office::Office;

/// Visits made at a time, so that a capture may be larger than memory.
const CHAPTER: usize = 20_000;

fn main() -> ExitCode {
    // `cargo bench` adds an argument of its own.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let [kind, count, path] = arguments.as_slice() else {
        eprintln!("what, how many and where to: see benches/capture.rs");
        return if arguments.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(2) };
    };
    let Ok(count) = count.parse::<usize>() else {
        eprintln!("`{count}` is no number");
        return ExitCode::from(2);
    };
    match write(kind, count, Path::new(path)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{path}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write(kind: &str, count: usize, path: &Path) -> std::io::Result<()> {
    if let Some(flows) = kind.strip_prefix("flows-").and_then(|flows| flows.parse().ok()) {
        return generator::write_pcap(path, load::open_flows(flows, count as u64, 1));
    }
    let flood = match kind {
        "office" => {
            let chapters = (0..count.div_ceil(CHAPTER)).flat_map(|chapter| {
                let office = Office {
                    visits: CHAPTER.min(count - chapter * CHAPTER),
                    seconds: 3600,
                    start_seconds: generator::START_SECONDS + 3600 * chapter as i64,
                    seed: chapter as u64 + 1,
                    chapter: (chapter % 3) as u16,
                };
                office.traffic().records
            });
            return generator::write_pcap(path, chapters);
        }
        "small" => return load::small_packets(20_000, count).write(path),
        "handshakes" => return load::handshakes(count as u32, 1).write(path),
        "quic" => return load::quic_connections(count as u32, 20, 1).write(path),
        "syn" => Flood::Syn,
        "five-tuples" => Flood::FiveTuples,
        "half-hellos" => Flood::HalfHellos,
        "questions" => Flood::Questions,
        "initials" => Flood::Initials,
        other => return Err(std::io::Error::other(format!("`{other}` is no kind of traffic"))),
    };
    generator::write_pcap(path, flood.packets(count as u64, 1))
}
