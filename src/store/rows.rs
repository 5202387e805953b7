//! What goes into the store and how it is told: plain values, no SQL.
//!
//! Merge makes them. Subjects and targets are handed over once and then named by small numbers,
//! so that a row of usage is integers only.

use crate::ledger::Bucket;
use crate::observation::NameSource;
use crate::stats::Counters;
use crate::time::{Hour, Timestamp};

/// Who: the only form in which users, devices and addresses enter the store. Made in one place in
/// merge, so that pseudonyms can be put there.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject {
    /// Empty when nobody is attributed.
    pub user: String,
    /// Empty when unknown.
    pub department: String,
    /// The client's address until devices are known.
    pub device: String,
}

/// What the catalogue says of an app, as far as reports show it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppFacts {
    /// The catalogue's id; survives renames.
    pub id: String,
    /// The product's current name.
    pub name: String,
    /// Who sells it.
    pub vendor: String,
    /// The suite it belongs to; may be empty.
    pub suite: String,
    /// The category's slug.
    pub category: String,
}

/// What was used.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// One side of an app.
    App {
        /// Which app.
        app: AppFacts,
        /// The role of the name that matched, in the catalogue's word. Only `use` and `login` are
        /// reported as use; the others are facts, kept but not use.
        role: String,
        /// The organisation's instance; empty when the name does not show it.
        tenant: String,
        /// `personal`, `business`, `mixed`, or empty.
        edition: String,
    },
    /// A registrable domain that no signature knows.
    Domain(String),
}

/// A catalogue that names were matched with.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CatalogueFacts {
    /// Its version.
    pub version: String,
    /// SHA-256 of its content in hex.
    pub sha256: String,
}

/// Names a [`Subject`] within one database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubjectId(pub(super) i64);

/// Names a [`Target`] within one database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetId(pub(super) i64);

/// Names a [`CatalogueFacts`] within one database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CatalogueId(pub(super) i64);

/// Names a run within one database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(pub(super) i64);

/// A sum of traffic within one hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sums {
    /// Flows that began in the hour.
    pub connections: u64,
    /// Flows without an answer, or reset before one.
    pub attempts_failed: u64,
    /// Flows in which both sides spoke.
    pub handshakes: u64,
    /// DNS questions for the target.
    pub dns_queries: u64,
    /// Bytes from client to server.
    pub bytes_up: u64,
    /// Bytes from server to client.
    pub bytes_down: u64,
    /// Bit i: payload from the client in minute i of the hour, see [`Hour::bit`].
    pub minutes_up: u64,
    /// Bit i: payload from the server in that minute.
    pub minutes_down: u64,
    /// Bit i: a flow began in that minute.
    pub minutes_begun: u64,
    /// Stamp of the first packet.
    pub first_seen: Timestamp,
    /// Stamp of the last packet.
    pub last_seen: Timestamp,
}

impl Default for Sums {
    /// Nothing, which changes no sum that it is added to.
    fn default() -> Sums {
        Sums {
            connections: 0,
            attempts_failed: 0,
            handshakes: 0,
            dns_queries: 0,
            bytes_up: 0,
            bytes_down: 0,
            minutes_up: 0,
            minutes_down: 0,
            minutes_begun: 0,
            first_seen: Timestamp::MAX,
            last_seen: Timestamp::MIN,
        }
    }
}

impl Sums {
    /// Adds what another sum of the same hour holds.
    pub fn add(&mut self, other: &Sums) {
        self.connections += other.connections;
        self.attempts_failed += other.attempts_failed;
        self.handshakes += other.handshakes;
        self.dns_queries += other.dns_queries;
        self.bytes_up += other.bytes_up;
        self.bytes_down += other.bytes_down;
        self.minutes_up |= other.minutes_up;
        self.minutes_down |= other.minutes_down;
        self.minutes_begun |= other.minutes_begun;
        self.first_seen = self.first_seen.min(other.first_seen);
        self.last_seen = self.last_seen.max(other.last_seen);
    }

    /// Whether there is more than a question for the name.
    pub fn has_traffic(&self) -> bool {
        self.connections > 0 || self.attempts_failed > 0 || self.bytes_up > 0 || self.bytes_down > 0
    }

    /// Minutes with payload both ways.
    pub fn active_minutes(&self) -> u64 {
        u64::from((self.minutes_up & self.minutes_down).count_ones())
    }
}

/// One row of usage. Rows with the same key are added up, in one commit and across commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsageRow {
    /// The hour of the packets' own stamps.
    pub hour: Hour,
    /// Who.
    pub subject: SubjectId,
    /// What.
    pub target: TargetId,
    /// Where the name came from.
    pub name_source: NameSource,
    /// How much.
    pub sums: Sums,
}

/// One row of the books.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VisibilityRow {
    /// The hour of the packets' own stamps.
    pub hour: Hour,
    /// Where the bytes ended up.
    pub bucket: Bucket,
    /// Flows, each counted where and when it began.
    pub flows: u64,
    /// Bytes.
    pub bytes: u64,
}

/// What came in, counted once at the decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TotalsRow {
    /// The hour of the packets' own stamps.
    pub hour: Hour,
    /// Packets.
    pub packets: u64,
    /// Bytes by the rule of the books.
    pub total_bytes: u64,
    /// Those of them that belong to IP packets.
    pub ip_bytes: u64,
    /// Stamp of the first packet.
    pub first_seen: Timestamp,
    /// Stamp of the last packet.
    pub last_seen: Timestamp,
}

/// What one transaction adds. All numbers are what has come since the commit before.
#[derive(Clone, Debug)]
pub struct Commit {
    /// Its number within the run. Each is taken once.
    pub sequence: u64,
    /// The catalogue all names of this commit were matched with.
    pub catalogue: CatalogueId,
    /// In any order; keys may occur more than once.
    pub usage: Vec<UsageRow>,
    /// In any order.
    pub visibility: Vec<VisibilityRow>,
    /// In any order.
    pub totals: Vec<TotalsRow>,
    /// What was lost, refused or bounded.
    pub counters: Counters,
}

/// What a run reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunKind {
    /// Capture files: their rows are visible once all of them is read.
    Capture,
    /// A SPAN port: its rows are visible as they come.
    Live,
}

/// A capture file, as it is known again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureFacts {
    /// The path as it was given; for messages only.
    pub name: String,
    /// Size in bytes.
    pub size_bytes: u64,
    /// BLAKE3 over size and samples. What comes from a pipe has none and is not listed.
    pub fingerprint: [u8; 32],
}

/// How a run begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunStart {
    /// Files or a SPAN port.
    pub kind: RunKind,
    /// The files that will be read; see [`super::Store::plan`].
    pub captures: Vec<CaptureFacts>,
    /// Whether earlier runs of these captures are replaced when this one is finished.
    pub again: bool,
    /// Version of the program.
    pub program: String,
    /// SHA-256 in hex of the configuration, as far as it changes results.
    pub config_sha256: String,
}

/// What to do about the captures that were given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Indices of those to be read.
    pub read: Vec<usize>,
    /// Indices of those to be left out, and why.
    pub skip: Vec<(usize, Skip)>,
}

/// Why a capture is not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Skip {
    /// An earlier run has counted it, under this name.
    AlreadyDone(String),
    /// It is the same as the one with this index.
    SameAs(usize),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_count_a_minute_once() {
        let mut sums = Sums::default();
        let one = Sums {
            minutes_up: 0b0111,
            minutes_down: 0b1010,
            first_seen: Timestamp(5),
            last_seen: Timestamp(9),
            ..Sums::default()
        };
        sums.add(&one);
        sums.add(&one);
        assert_eq!(sums.active_minutes(), 1);
        assert_eq!((sums.first_seen, sums.last_seen), (Timestamp(5), Timestamp(9)));
        // Payload one way and payload the other way may come from different rows.
        sums.add(&Sums { minutes_down: 0b0001, ..Sums::default() });
        assert_eq!(sums.active_minutes(), 2);
    }
}
