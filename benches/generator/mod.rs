//! Made traffic: captures with a list of what is in them.
//!
//! For benches and tests. Everything comes from a seed, so that the same seed always gives the
//! same bytes; nothing is read from outside. Packets are whole and right (lengths, checksums, real
//! QUIC encryption), so that other tools read them too. Payload of applications is filler.
//!
//! - `frame`: Ethernet, IP, TCP and UDP headers, fragments
//! - `tls`, `quic`, `dns`: messages that carry names
//! - `talk`: one flow, packet by packet, with its own books
//! - `office`: a mix as an office has it
//! - `load`: many small packets, handshakes, and floods
#![allow(dead_code, reason = "each bench and test uses its own part of it")]
#![allow(unreachable_pub, reason = "a module of several programs")]

pub mod dns;
pub mod frame;
pub mod load;
pub mod office;
pub mod quic;
pub mod talk;
pub mod tls;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::net::SocketAddr;
use std::path::Path;

/// The stamp at which made captures begin: 2026-03-02T09:00:00Z, a Monday.
pub const START_SECONDS: i64 = 1_772_442_000;
/// Nanoseconds of a second.
pub const SECOND: i64 = 1_000_000_000;
/// Nanoseconds of a millisecond.
pub const MILLISECOND: i64 = 1_000_000;

/// A captured packet.
#[derive(Clone, Debug)]
pub struct Record {
    /// Nanoseconds since 1970.
    pub time_nanos: i64,
    /// An Ethernet frame.
    pub frame: Vec<u8>,
}

/// What is true of a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrueFlow {
    /// The stamp of its first packet.
    pub time_nanos: i64,
    /// Who asks.
    pub client: SocketAddr,
    /// Who answers.
    pub server: SocketAddr,
    /// IP protocol number: 6 or 17.
    pub protocol: u8,
    /// The hostname that can be known of it at its end.
    pub name: Option<String>,
    /// Bytes from client to server, by the lengths of the IP headers.
    pub bytes_up: u64,
    /// Bytes from server to client.
    pub bytes_down: u64,
}

/// Packets, and what is true of them.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    /// In the order of the capture file.
    pub records: Vec<Record>,
    /// In the order in which they were made.
    pub flows: Vec<TrueFlow>,
    /// Bytes by IP lengths of fragments whose first never comes.
    pub orphaned_bytes: u64,
    /// The identification of the next IP packet.
    pub identification: u16,
}

impl Traffic {
    /// Puts the packets in the order of their stamps, as a capture point would see them.
    pub fn sort(&mut self) {
        self.records.sort_by_key(|record| record.time_nanos);
    }

    /// Adds `other`'s packets behind these.
    pub fn append(&mut self, other: Traffic) {
        self.records.extend(other.records);
        self.flows.extend(other.flows);
        self.orphaned_bytes += other.orphaned_bytes;
    }

    /// Lets every packet from `index` on be `nanos` later (earlier, if negative). The stamps in
    /// `flows` stay as they are.
    pub fn shift_from(&mut self, index: usize, nanos: i64) {
        for record in self.records.iter_mut().skip(index) {
            record.time_nanos += nanos;
        }
    }

    /// The bytes of all packets behind the Ethernet header and VLAN tags.
    pub fn total_bytes(&self) -> u64 {
        self.records.iter().map(|record| frame::network_length(&record.frame)).sum()
    }

    /// The capture as a pcap file with stamps in nanoseconds.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        write_pcap(path, self.records.iter().cloned())
    }
}

/// Writes a pcap file with stamps in nanoseconds.
///
/// # Errors
/// The file cannot be written.
pub fn write_pcap(path: &Path, records: impl IntoIterator<Item = Record>) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    out.write_all(&pcap_header())?;
    for record in records {
        out.write_all(&pcap_record(&record))?;
    }
    out.flush()
}

/// The header of a pcap file of Ethernet frames, with stamps in nanoseconds.
pub fn pcap_header() -> Vec<u8> {
    let mut header = 0xa1b2_3c4d_u32.to_le_bytes().to_vec();
    header.extend([2, 0, 4, 0]);
    header.extend([0; 8]);
    header.extend(262_144_u32.to_le_bytes());
    header.extend(1_u32.to_le_bytes());
    header
}

/// A record of a pcap file.
pub fn pcap_record(record: &Record) -> Vec<u8> {
    let seconds = record.time_nanos.div_euclid(SECOND) as u32;
    let nanos = record.time_nanos.rem_euclid(SECOND) as u32;
    let length = record.frame.len() as u32;
    let mut bytes = Vec::with_capacity(16 + record.frame.len());
    for word in [seconds, nanos, length, length] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend_from_slice(&record.frame);
    bytes
}

/// Numbers that look random: SplitMix64.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The numbers of a seed.
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }

    /// True once in `often` times.
    pub fn one_in(&mut self, often: u64) -> bool {
        self.below(often) == 0
    }

    /// One of `choices`.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len() as u64) as usize]
    }

    /// So many bytes.
    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length + 8);
        while bytes.len() < length {
            bytes.extend(self.next().to_le_bytes());
        }
        bytes.truncate(length);
        bytes
    }
}
