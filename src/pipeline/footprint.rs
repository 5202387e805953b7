//! What the sensor takes of memory at most: its tables, each with as many entries as may be in it.
//!
//! Every table that traffic fills is listed here with its maximum, which stands beside its bounds. The
//! sum is the bound that the README tells and that floods are held to. All of them are never full at
//! once, since what fills one is not in the other.
//!
//! Beside it are, by settings, the rings of frames that wait ([`crate::capture::live::RING_BYTES`]), the
//! lists of the operator, a catalogue that is read from a folder, and, where captures are read, what is
//! told at their end: that is as large as the results are.

use super::gathered::RowKey;
use super::loads::Loads;
use super::merge::{self, keeping, open, subjects};
use super::possible::Opaque;
use super::{
    PARTS_AT_ONCE, ROOMS_WAITING_MAX, calls, clocks, gathered, lookups, naming, openings, presence,
    services, sources, summary, verdicts,
};
use crate::usage::{NAMES_BYTES_MAX, NAMES_MAX, NameTable, Sums};
use crate::worker::allowance::{GATHERED_BYTES_MAX, QUESTIONS_MAX, ROW_BYTES};
use crate::worker::part::{BESIDE_BYTES_MAX, ROOM_BYTES_MAX};
use crate::{names, store, worker};

/// A table, or several of one kind, and its bytes.
pub type Table = (&'static str, usize);

/// The program itself, with its catalogue, threads, and blocks of frames.
const PROGRAM_BYTES: usize = 48 << 20;

/// Rows of usage that the parts of a worker bring in one tick.
const ROWS_OF_TICK: usize = GATHERED_BYTES_MAX / ROW_BYTES + QUESTIONS_MAX;

/// What each worker adds.
pub const OF_EACH_WORKER: [Table; worker::footprint::TABLES.len() + 5] = {
    let [one, two, three, four, five, six, seven, eight] = worker::footprint::TABLES;
    [
        one,
        two,
        three,
        four,
        five,
        six,
        seven,
        eight,
        ("gathered in ticks", PARTS_AT_ONCE * (GATHERED_BYTES_MAX + BESIDE_BYTES_MAX)),
        ("room of parts that are empty", (PARTS_AT_ONCE + ROOMS_WAITING_MAX) * ROOM_BYTES_MAX),
        (
            "rows and names of a tick",
            ROWS_OF_TICK * (size_of::<(RowKey, Sums)>() + 3 * size_of::<u32>())
                + NAMES_BYTES_MAX
                + 2 * NAMES_MAX * (NameTable::ENTRY_BYTES + 2 * size_of::<(u32, u64)>()),
        ),
        ("verdicts on flows", open::BYTES_MAX),
        ("rows of a commit", ROWS_OF_TICK * keeping::ROW_BYTES),
    ]
};

/// What there is once.
pub const ONCE: [Table; 19] = [
    ("the program", PROGRAM_BYTES),
    ("names that DNS told", names::BYTES_MAX),
    ("what names and addresses stand for", verdicts::BYTES_MAX),
    ("loads of pages", Loads::<Option<RowKey>>::BYTES_MAX),
    ("calls", calls::BYTES_MAX),
    ("what flows may have been", Opaque::BYTES_MAX),
    ("offers and names that are made up", naming::BYTES_MAX),
    ("look-ups of clients", lookups::BYTES_MAX),
    ("clocks", clocks::BYTES_MAX),
    ("connections that were opened", openings::BYTES_MAX),
    ("services", services::BYTES_MAX),
    ("devices", presence::BYTES_MAX),
    ("traits", sources::BYTES_MAX),
    ("clients", subjects::BYTES_MAX),
    ("what else waits in merge", merge::BYTES_MAX),
    ("gathered for the store", gathered::BYTES_MAX),
    ("unmatched names, where they are wanted", summary::BYTES_MAX),
    ("a commit", keeping::COMMIT_BYTES_MAX),
    ("the store", store::BYTES_MAX),
];

const fn sum(tables: &[Table]) -> usize {
    let (mut sum, mut at) = (0, 0);
    while at < tables.len() {
        sum += tables[at].1;
        at += 1;
    }
    sum
}

/// What the sensor takes at most with so many workers, in MiB; full 32, so that it is easy to remember.
pub const fn bound_mib(workers: usize) -> usize {
    (sum(&ONCE) + workers * sum(&OF_EACH_WORKER)).div_ceil(32 << 20) * 32
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;

    #[test]
    fn the_sum_of_all_tables_is_what_the_readme_tells() {
        let mut table = String::new();
        for (what, bytes) in OF_EACH_WORKER.iter().chain(&ONCE) {
            writeln!(table, "{:6.1} MiB {what}", *bytes as f64 / f64::from(1 << 20)).unwrap();
        }
        let readme = include_str!("../../README.md");
        let readme = readme.split_whitespace().collect::<Vec<_>>().join(" ");
        let said = format!("{} MiB with one worker and {} with two", bound_mib(1), bound_mib(2));
        assert!(readme.contains(&said), "{said}:\n{table}");
    }

    #[test]
    fn no_table_is_listed_without_room() {
        for (what, bytes) in OF_EACH_WORKER.iter().chain(&ONCE) {
            assert!((1 << 20..512 << 20).contains(bytes), "{what}: {bytes}");
        }
    }
}
