//! How many instructions the packet path takes: counted by callgrind, so that a regression shows
//! on a machine that is busy, too.
//!
//! ```text
//! cargo bench --bench instructions                   prints the counts and compares
//! UPDATE_EXPECT=1 cargo bench --bench instructions   writes them to instructions.txt
//! ```
//!
//! Each measurement runs twice, with one and with three rounds of the same work; half the
//! difference is what a round costs, without start and set-up. Ends with 1 where a count has grown
//! by more than 5 % over the one in `instructions.txt`: mend it, or change the figure in the same
//! commit and say why. Where valgrind is missing, or the compiler is not the one that
//! `rust-toolchain.toml` names, nothing is compared.

mod driver;
mod generator;

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use shadowscope::decode::decode;
use shadowscope::packet::{LinkType, Packet};
use shadowscope::signatures;

use driver::Driver;
use generator::Traffic;
use generator::load;
use generator::office::Office;

/// Growth that is let pass, in hundredths.
const GROWTH_MAX: f64 = 5.0;
/// Names of a round.
const NAMES: usize = 2_000;

/// Does so many rounds of some work; answers how many things a round does.
type Work = fn(u32) -> usize;

/// What is measured, and the work that shows it.
const MEASUREMENTS: [(&str, Work); 6] = [
    ("decode a frame of the office mix", decode_office),
    ("worker, a packet of the office mix", worker_office),
    ("worker, a small packet of a known flow", worker_small),
    ("worker, a TLS connection", worker_handshakes),
    ("worker, a QUIC connection", worker_quic),
    ("match a hostname", match_names),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    if let [number, rounds] = arguments.as_slice() {
        let (number, rounds): (usize, u32) = (parse(number), parse(rounds));
        println!("{}", MEASUREMENTS[number].1(rounds));
        return ExitCode::SUCCESS;
    }
    if let Some(why) = why_not() {
        println!("skipped: {why}");
        return ExitCode::SUCCESS;
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/instructions.txt");
    let known = std::fs::read_to_string(&file).unwrap_or_default();
    let (mut text, mut worse) = (String::new(), false);
    for (number, (name, _)) in MEASUREMENTS.iter().enumerate() {
        let (once, things) = count(number, 1);
        let (thrice, _) = count(number, 3);
        let each = (thrice - once) as f64 / 2.0 / things as f64;
        let before = known.lines().find_map(|line| {
            let (count, what) = line.trim().split_once(' ')?;
            if what == *name { count.parse::<f64>().ok() } else { None }
        });
        let change = before.map(|before| 100.0 * (each - before) / before);
        worse |= change.is_none_or(|change| change > GROWTH_MAX);
        let shown = change.map_or("not in instructions.txt".into(), |by| format!("{by:+.1} %"));
        println!("{each:8.0}  {name}  ({shown})");
        let _ = writeln!(text, "{each:.0} {name}");
    }
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&file, text).expect("instructions.txt can be written");
        return ExitCode::SUCCESS;
    }
    if worse {
        eprintln!(
            "more than {GROWTH_MAX} % over benches/instructions.txt: mend it, or write the new \
             figures with UPDATE_EXPECT=1 and say why in the commit"
        );
    }
    ExitCode::from(u8::from(worse))
}

fn parse<T: std::str::FromStr>(text: &str) -> T {
    text.parse().ok().expect("a number")
}

/// Why the counts would mean nothing here.
fn why_not() -> Option<String> {
    let output = |program: &str| {
        let output = Command::new(program).arg("--version").output().ok()?;
        String::from_utf8(output.stdout).ok()
    };
    if output("valgrind").is_none() {
        return Some("needs valgrind".into());
    }
    let pinned = include_str!("../rust-toolchain.toml");
    let pinned = pinned.lines().find_map(|line| line.strip_prefix("channel = "))?.trim_matches('"');
    let compiler = output("rustc").unwrap_or_default();
    let is_pinned = compiler.split(' ').nth(1) == Some(pinned);
    (!is_pinned).then(|| format!("needs rustc {pinned}, this is {}", compiler.trim()))
}

/// Instructions of a run of this program with so many rounds, and how many things a round does.
fn count(number: usize, rounds: u32) -> (u64, usize) {
    let program: PathBuf = std::env::current_exe().expect("this program");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args([number.to_string(), rounds.to_string()])
        .output()
        .expect("valgrind starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let collected = errors.lines().find_map(|line| line.split_once("Collected : "));
    let (_, collected) = collected.expect("callgrind says what it has collected");
    (parse(collected.trim()), parse(String::from_utf8_lossy(&output.stdout).trim()))
}

fn office() -> Traffic {
    Office { visits: 150, seconds: 60, seed: 7, ..Office::default() }.traffic()
}

fn decode_office(rounds: u32) -> usize {
    let traffic = office();
    let mut packet = Packet::default();
    for _ in 0..rounds {
        for record in &traffic.records {
            let length = record.frame.len() as u32;
            black_box(decode(LinkType::ETHERNET, &record.frame, length, &mut packet));
        }
    }
    traffic.records.len()
}

/// A fresh worker each round, so that each sees the same flows begin and end.
fn afresh(traffic: &Traffic, rounds: u32) {
    for _ in 0..rounds {
        let mut driver = Driver::new();
        driver.feed(traffic);
        black_box(driver.finish());
    }
}

fn worker_office(rounds: u32) -> usize {
    let traffic = office();
    afresh(&traffic, rounds);
    traffic.records.len()
}

fn worker_small(rounds: u32) -> usize {
    let traffic = load::at_one_moment(load::small_packets(1_000, 20_000));
    let mut driver = Driver::new();
    // The first rounds open the flows, and find that there is nothing to be found in them.
    for _ in 0..5 + rounds {
        driver.feed(&traffic);
    }
    black_box(driver.flows());
    traffic.records.len()
}

fn worker_handshakes(rounds: u32) -> usize {
    let traffic = load::handshakes(500, 1);
    afresh(&traffic, rounds);
    500
}

fn worker_quic(rounds: u32) -> usize {
    let traffic = load::quic_connections(100, 5, 1);
    afresh(&traffic, rounds);
    100
}

fn match_names(rounds: u32) -> usize {
    let catalogue = signatures::embedded().expect("the embedded catalogue is whole");
    let apps: Vec<&str> =
        catalogue.apps().filter_map(|app| app.homepage.split('/').nth(2)).collect();
    let names: Vec<String> = (0..NAMES)
        .map(|number| match number % 3 {
            0 => apps[number % apps.len()].to_owned(),
            1 => format!("h{number}.{}", apps[number % apps.len()]),
            _ => format!("host{number}.nobody-{}.example", number % 97),
        })
        .collect();
    for _ in 0..rounds {
        for name in &names {
            black_box(catalogue.match_host(name));
        }
    }
    NAMES
}
