//! From frame to item: what happens to a packet before it has an owner.
//!
//! Decodes, counts every byte once, and hashes. What has no owner (no IP, not decodable, what
//! outer headers add) goes into the books here.

use std::sync::Arc;

use super::part::{IntakeSums, Part};
use super::{Item, Settings};
use crate::decode::{self, Outcome};
use crate::dissect::presence;
use crate::ledger::Bucket;
use crate::net::NetworkSet;
use crate::packet::{LinkType, Packet};
use crate::stats::Counter;
use crate::time::{Hour, Minute, NANOS_PER_MINUTE, Timestamp};

/// A frame as a capture gives it.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Its stamp.
    pub time: Timestamp,
    /// What its bytes begin with.
    pub link: LinkType,
    /// How long it was on the wire.
    pub wire_length: u32,
    /// The captured bytes.
    pub bytes: &'a [u8],
}

/// See the module. Each thread that reads frames has one.
pub struct Intake {
    settings: Arc<Settings>,
    /// Packets of other clients are left out, where this is set.
    only: Option<NetworkSet>,
    /// The minute that is being read, and the stamps between which it lies.
    minute: Minute,
    minute_start: i64,
    hour: Hour,
    sums: Running,
    part: Part,
}

impl Intake {
    /// An intake that has counted nothing. `only`: the networks of the clients that are wanted.
    pub fn new(settings: Arc<Settings>, only: Option<NetworkSet>) -> Intake {
        let minute = Minute(0);
        let hour = settings.grid.hour(minute);
        Intake {
            settings,
            only,
            minute,
            minute_start: 0,
            hour,
            sums: Running::default(),
            part: Part::default(),
        }
    }

    /// Decodes a frame into `item`. False where it has no owner.
    #[inline(always)]
    pub fn take<'a>(&mut self, frame: Frame<'a>, sensor: Timestamp, item: &mut Item<'a>) -> bool {
        if frame.time.0.wrapping_sub(self.minute_start) as u64 >= NANOS_PER_MINUTE as u64 {
            self.turn_minute(frame.time);
        }
        if frame.bytes.len() < frame.wire_length as usize {
            self.part.counters.count(Counter::SnapCut);
        }
        let Frame { time, link, wire_length, bytes } = frame;
        // Of a common packet it is known that there is none around it.
        if !decode::common(link, bytes, wire_length, &mut item.packet)
            && !self.uncommon(time, link, wire_length, bytes, &mut item.packet)
        {
            return false;
        }
        let packet = &item.packet;
        if !self.wants(packet) {
            return false;
        }
        let bytes = u64::from(packet.bytes);
        self.count(frame.time);
        self.sums.ip_bytes += bytes;
        item.time = frame.time;
        item.sensor = sensor;
        item.minute = self.minute;
        item.hash = self.settings.seed.flow(packet);
        item.frame = frame.bytes;
        true
    }

    /// Counts a time step.
    pub fn time_step(&mut self) {
        self.part.counters.count(Counter::TimeStep);
    }

    /// What was counted since the last time.
    pub fn take_part(&mut self) -> Part {
        self.store_sums();
        std::mem::take(&mut self.part)
    }

    /// Whether a packet is of a client that is wanted.
    #[inline(always)]
    fn wants(&self, packet: &Packet) -> bool {
        let Some(only) = &self.only else { return true };
        only.contains(packet.source) || only.contains(packet.destination)
    }

    /// Counts what stands around a packet.
    fn count_outer(&mut self, bytes: u64) {
        self.sums.ip_bytes += bytes;
        self.part.books.add(self.hour, Bucket::Encapsulation, 0, bytes);
    }

    #[inline(always)]
    fn count(&mut self, time: Timestamp) {
        self.sums.packets += 1;
        if time < self.sums.last_seen {
            self.count_early(time);
        } else {
            self.sums.last_seen = time;
        }
    }

    /// The first packet, or one whose stamp goes back, which stamps hardly ever do.
    #[cold]
    fn count_early(&mut self, time: Timestamp) {
        let sums = &mut self.sums;
        if sums.packets == 1 {
            sums.last_seen = time;
        }
        sums.first_seen = sums.first_seen.min(time);
    }

    /// Decodes what is not of the most common kind. Of what is no IP packet, the books are kept here.
    #[inline(never)]
    fn uncommon(
        &mut self,
        time: Timestamp,
        link: LinkType,
        wire_length: u32,
        frame: &[u8],
        packet: &mut Packet,
    ) -> bool {
        let (bucket, bytes) = match decode::uncommon(link, frame, wire_length, packet) {
            Outcome::Packet => {
                if packet.outer_bytes > 0 && self.wants(packet) {
                    self.count_outer(u64::from(packet.outer_bytes));
                }
                return true;
            }
            Outcome::NonIp { bytes } => {
                let sender = match link {
                    LinkType::ETHERNET => presence::arp_sender(frame),
                    _ => None,
                };
                if let Some((sender, link)) = sender
                    && self.settings.home.contains(sender)
                {
                    self.part.note_present(sender, self.hour);
                    self.part.note_owner(sender, link, self.hour);
                }
                (Bucket::NonIp, bytes)
            }
            Outcome::Undecodable { reason, bytes } => {
                self.part.counters.count(reason.counter());
                (Bucket::Undecodable, bytes)
            }
        };
        self.count(time);
        self.sums.other_bytes += u64::from(bytes);
        self.part.books.add(self.hour, bucket, 0, u64::from(bytes));
        false
    }

    #[cold]
    fn turn_minute(&mut self, time: Timestamp) {
        self.minute = time.minute();
        self.minute_start = self.minute.start().0;
        let hour = self.settings.grid.hour(self.minute);
        if hour != self.hour {
            self.store_sums();
            self.hour = hour;
        }
    }

    /// Adds the running sums to those of their hour.
    fn store_sums(&mut self) {
        let Running { packets, ip_bytes, other_bytes, first_seen, last_seen } =
            std::mem::take(&mut self.sums);
        if packets == 0 {
            return;
        }
        let (hour, total_bytes) = (self.hour, ip_bytes + other_bytes);
        let sums = IntakeSums { hour, packets, total_bytes, ip_bytes, first_seen, last_seen };
        self.part.counters.add(Counter::Packets, packets);
        let known = self.part.intake.entry(hour);
        known.and_modify(|known| known.merge(&sums)).or_insert(sums);
    }
}

/// What came in within an hour since it was stored last.
#[derive(Debug)]
struct Running {
    packets: u64,
    ip_bytes: u64,
    /// Bytes of what is no IP packet.
    other_bytes: u64,
    /// Both `MAX` while there are no packets.
    first_seen: Timestamp,
    last_seen: Timestamp,
}

impl Default for Running {
    fn default() -> Running {
        let (first_seen, last_seen) = (Timestamp::MAX, Timestamp::MAX);
        Running { packets: 0, ip_bytes: 0, other_bytes: 0, first_seen, last_seen }
    }
}
