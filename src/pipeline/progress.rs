//! How far a live run is: what its commits held, added up since it began.
//!
//! Merge alone writes it, and whoever watches reads it between two ticks. It tells of nobody.

use std::collections::BTreeMap;

use crate::observation::NameSource;
use crate::stats::Counters;
use crate::store::Commit;
use crate::time::Timestamp;
use crate::worker::part::{Health, RingSums};

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// Commits.
    pub commits: u64,
    /// Sensor time at the last tick that was merged.
    pub horizon: Option<Timestamp>,
    /// Parts of workers that merge has not taken yet.
    pub parts_waiting: usize,
    /// Packets, bytes by the rule of the books, and those of IP packets.
    pub packets: u64,
    /// Bytes by the rule of the books.
    pub total_bytes: u64,
    /// Flows in the books.
    pub flows: u64,
    /// Bytes by bucket.
    pub buckets: BTreeMap<&'static str, u64>,
    /// Connections by where their name came from.
    pub names: BTreeMap<NameSource, u64>,
    /// What the kernel counted, by ring.
    pub rings: BTreeMap<u32, RingSums>,
    /// How good the capture is.
    pub health: Health,
    /// What was lost, refused or bounded.
    pub counters: Counters,
    /// Clients of today, and those of them that a user is known of.
    pub clients: usize,
    /// Those of them that a user is known of.
    pub clients_known: usize,
}

impl Progress {
    /// Notes a commit that was written.
    pub(super) fn committed(&mut self, commit: &Commit, clients: usize, clients_known: usize) {
        self.commits += 1;
        for row in &commit.totals {
            self.packets += row.packets;
            self.total_bytes += row.total_bytes;
        }
        for row in &commit.visibility {
            self.flows += row.flows;
            *self.buckets.entry(row.bucket.name()).or_default() += row.bytes;
        }
        for row in &commit.usage {
            *self.names.entry(row.name_source).or_default() += row.sums.connections;
        }
        for row in &commit.rings {
            self.rings.entry(row.ring).or_default().merge(&row.sums);
        }
        for row in &commit.health {
            self.health.merge(&row.health);
        }
        self.counters.merge(&commit.counters);
        (self.clients, self.clients_known) = (clients, clients_known);
    }

    /// The rings together.
    pub fn all_rings(&self) -> RingSums {
        let mut sums = RingSums::default();
        self.rings.values().for_each(|ring| sums.merge(ring));
        sums
    }
}
