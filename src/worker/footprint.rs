//! What a worker takes of memory at most, table by table.

use super::pending::Pending;
use super::{duplicates, fragments, gaps, inspect, steps};
use crate::flow::table::{self, FLOWS_MAX, FlowId};
use crate::footprint;
use crate::usage::{NAMES_BYTES_MAX, NAMES_MAX, NameTable};

/// The tables of a worker, each with its bytes.
pub const TABLES: [(&str, usize); 8] = [
    ("flows and their index", table::BYTES_MAX),
    ("hashes of flows in tunnels in pieces", footprint::map(FLOWS_MAX, TUNNELLED_BYTES)),
    ("sums of flows that are undecided", Pending::BYTES_MAX),
    ("inspections, tunnels and media", inspect::BYTES_MAX),
    ("datagrams in pieces", fragments::BYTES_MAX),
    ("last packets, for copies", duplicates::BYTES_MAX),
    ("names", NAMES_BYTES_MAX + (2 * NAMES_MAX + 1) * NameTable::ENTRY_BYTES),
    (
        "sequence numbers, and requests whose answers are awaited",
        gaps::BYTES_MAX + steps::BYTES_MAX,
    ),
];

const TUNNELLED_BYTES: usize = size_of::<(FlowId, u64)>();
