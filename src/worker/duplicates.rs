//! Packets that a SPAN port shows twice: once where they enter and once where they leave, or once
//! before and once behind a router, with another TTL, MAC address or VLAN.
//!
//! A packet is a copy of one of the last four of its flow and direction that is the same in IP
//! identification, sequence and acknowledgement numbers, flags, lengths and transport checksum,
//! and at most 10 ms older, where the identification is not 0 or the TTL another one: hosts that
//! do not number their packets may well send the same twice. What is left out is counted, packets
//! and bytes. The window is the flow's, so that the number of workers makes no difference.
//!
//! There is no window, and nothing is asked, where copies are not looked for.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use foldhash::fast::RandomState;

use super::clock::STEP_BACK_NANOS;
use super::{BATCH, Item, Worker};
use crate::footprint;
use crate::ledger::Bucket;
use crate::net::protocol;
use crate::packet::{Packet, TcpFlags};
use crate::stats::Counter;
use crate::time::Timestamp;

/// A copy is at most so much younger, in nanoseconds.
const COPY_NANOS_MAX: i64 = 10_000_000;
/// Packets of a flow and direction that a packet is compared with.
const WINDOW: usize = 4;
/// Windows after which those are forgotten that nothing can be compared with any more.
const WINDOWS_PRUNED_FROM: usize = 4096;
/// Windows of a worker at most.
pub const WINDOWS_MAX: usize = 7 << 15;
/// Memory of as many.
pub(super) const BYTES_MAX: usize = footprint::map(WINDOWS_MAX, size_of::<((u64, bool), Window)>());
/// TCP packets with payload that [`Sample`] looks at.
const SAMPLE_PACKETS: u64 = 20_000;
/// Copies among so many of them that there are too many: one in five.
const SAMPLE_SHARE: u64 = 5;

/// What is done about copies.
#[derive(Clone, Debug, Default)]
pub enum Copies {
    /// They are packets like others, and nobody looks for them.
    #[default]
    Kept,
    /// They are left out and counted.
    LeftOut,
    /// They are left out once a sample shows that there are many.
    Sampled(Arc<Sample>),
}

/// The first TCP packets with payload of a run, and how many of them were copies.
#[derive(Debug, Default)]
pub struct Sample {
    packets: AtomicU64,
    copies: AtomicU64,
}

impl Sample {
    /// Whether copies are to be left out; `None` as long as too few packets were looked at.
    pub fn verdict(&self) -> Option<bool> {
        let is_full = self.packets.load(Ordering::Acquire) >= SAMPLE_PACKETS;
        is_full.then(|| self.verdict_now())
    }

    /// The same by what was looked at so far.
    pub fn verdict_now(&self) -> bool {
        let (packets, copies) =
            (self.packets.load(Ordering::Acquire), self.copies.load(Ordering::Acquire));
        packets > 0 && copies * SAMPLE_SHARE >= packets.min(SAMPLE_PACKETS)
    }

    fn add(&self, packets: u64, copies: u64) {
        if self.verdict().is_none() {
            self.copies.fetch_add(copies, Ordering::AcqRel);
            self.packets.fetch_add(packets, Ordering::AcqRel);
        }
    }
}

/// What is the same in a packet and its copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Same {
    identification: u32,
    sequence: u32,
    acknowledgement: u32,
    flags: TcpFlags,
    bytes: u32,
    payload_length: u32,
    checksum: u16,
    /// Fragments of a datagram have one identification.
    fragment_offset: u16,
}

impl Same {
    fn of(packet: &Packet) -> Same {
        Same {
            identification: packet.identification,
            sequence: packet.sequence,
            acknowledgement: packet.acknowledgement,
            flags: packet.flags,
            bytes: packet.bytes,
            payload_length: packet.payload_length,
            checksum: packet.checksum,
            fragment_offset: packet.fragment_offset,
        }
    }
}

/// A packet in a window.
#[derive(Clone, Copy, Debug)]
struct Seen {
    same: Same,
    time: Timestamp,
    time_to_live: u8,
}

/// The last packets of a flow and direction.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    seen: [Option<Seen>; WINDOW],
    next: u8,
}

/// The windows of all flows.
#[derive(Debug, Default)]
pub struct Windows {
    /// By the flow's hash and whether the packet comes from the smaller end of it.
    by_direction: HashMap<(u64, bool), Window, RandomState>,
    prune_from: usize,
    /// Windows that were forgotten although something might have been compared with them.
    forgotten: u64,
}

const _: () = assert!(size_of::<((u64, bool), Window)>() < 256);

impl Windows {
    /// Whether a packet is a copy of one that was seen; if not, it is seen now. `hash` is its
    /// flow's, `sensor` sensor time.
    pub fn is_copy(
        &mut self,
        packet: &Packet,
        hash: u64,
        time: Timestamp,
        sensor: Timestamp,
    ) -> bool {
        if self.by_direction.len() >= self.prune_from.max(WINDOWS_PRUNED_FROM) {
            self.prune(sensor);
        }
        let from = (packet.source, packet.source_port);
        let direction = from < (packet.destination, packet.destination_port);
        let window = self.by_direction.entry((hash, direction)).or_default();
        let same = Same::of(packet);
        let time_to_live = packet.time_to_live;
        let is_copy = window.seen.iter().flatten().any(|seen| {
            seen.same == same
                && (0..=COPY_NANOS_MAX).contains(&time.nanos_since(seen.time))
                && (same.identification != 0 || seen.time_to_live != time_to_live)
        });
        if !is_copy {
            window.seen[usize::from(window.next) % WINDOW] =
                Some(Seen { same, time, time_to_live });
            window.next = window.next.wrapping_add(1);
        }
        is_copy
    }

    /// Forgets windows with which nothing can be compared any more: stamps are not further behind
    /// sensor time than a time step. Where so many flows begin that a quarter of the room is left for
    /// them, those go that only a stamp out of order could be compared with, or else all.
    fn prune(&mut self, sensor: Timestamp) {
        self.forget_before(sensor.offset(-STEP_BACK_NANOS - COPY_NANOS_MAX));
        let left = self.by_direction.len();
        if left > WINDOWS_MAX / 4 * 3 {
            self.forget_before(sensor.offset(-COPY_NANOS_MAX));
            if self.by_direction.len() > WINDOWS_MAX / 4 * 3 {
                self.by_direction.clear();
            }
            self.forgotten += (left - self.by_direction.len()) as u64;
        }
        self.prune_from = (self.by_direction.len() * 2).min(WINDOWS_MAX);
    }

    fn forget_before(&mut self, since: Timestamp) {
        let is_of_use = |window: &Window| window.seen.iter().flatten().any(|s| s.time >= since);
        self.by_direction.retain(|_, window| is_of_use(window));
    }
}

/// Whether a packet is one that [`Sample`] looks at.
pub fn is_sampled(packet: &Packet) -> bool {
    packet.protocol == protocol::TCP && packet.payload_length > 0
}

/// Looks at a decoded packet for `sample`.
pub fn sample(windows: &mut Windows, sample: &Sample, item: &Item<'_>) {
    if is_sampled(&item.packet) {
        let is_copy = windows.is_copy(&item.packet, item.hash, item.time, item.sensor);
        sample.add(1, u64::from(is_copy));
    }
}

impl Worker {
    /// Takes packets where copies are looked for.
    #[cold]
    pub(super) fn process_originals(&mut self, items: &[Item<'_>]) {
        let Some(mut windows) = self.windows.take() else { return };
        if let Copies::Sampled(of_run) = &self.settings.copies {
            match of_run.verdict() {
                None => {
                    for item in items {
                        sample(&mut windows, of_run, item);
                    }
                    self.process_all(items);
                    self.windows = Some(windows);
                    return;
                }
                // From now on nobody looks for them.
                Some(false) => return self.process_all(items),
                Some(true) => {}
            }
        }
        let mut originals = [Item::default(); BATCH];
        for batch in items.chunks(BATCH) {
            let mut count = 0;
            for item in batch {
                if windows.is_copy(&item.packet, item.hash, item.time, item.sensor) {
                    let hour = self.hour(item.minute);
                    let bytes = u64::from(item.packet.bytes);
                    self.part.books.add(hour, Bucket::Duplicate, 0, bytes);
                    self.count_event(Counter::Duplicate);
                } else {
                    originals[count] = *item;
                    count += 1;
                }
            }
            self.process_all(&originals[..count]);
        }
        let forgotten = std::mem::take(&mut windows.forgotten);
        self.part.counters.add(Counter::DuplicateForgotten, forgotten);
        self.windows = Some(windows);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(identification: u32, sequence: u32, time_to_live: u8) -> Packet {
        Packet {
            protocol: protocol::TCP,
            source_port: 1,
            destination_port: 2,
            identification,
            sequence,
            time_to_live,
            payload_length: 100,
            ..Packet::default()
        }
    }

    /// Whether the last of these packets, each with its stamp in milliseconds, is a copy.
    fn is_copy(packets: &[(Packet, i64)]) -> bool {
        let mut windows = Windows::default();
        let mut last = false;
        for (packet, millis) in packets {
            let time = Timestamp(1_000_000 * millis);
            last = windows.is_copy(packet, 7, time, time);
        }
        last
    }

    #[test]
    fn a_copy_is_the_same_and_no_more_than_ten_milliseconds_younger() {
        let one = packet(5, 1000, 64);
        assert!(is_copy(&[(one, 0), (one, 0)]));
        assert!(is_copy(&[(one, 0), (Packet { time_to_live: 63, ..one }, 10)]));
        assert!(!is_copy(&[(one, 0), (one, 11)]));
        assert!(!is_copy(&[(one, 5), (one, 4)]));
        for other in [
            packet(6, 1000, 64),
            packet(5, 1001, 64),
            Packet { acknowledgement: 1, ..one },
            Packet { flags: TcpFlags(TcpFlags::PSH), ..one },
            Packet { payload_length: 101, ..one },
            Packet { bytes: 1, ..one },
            Packet { checksum: 1, ..one },
            Packet { source_port: 2, destination_port: 1, ..one },
        ] {
            assert!(!is_copy(&[(one, 0), (other, 1)]), "{other:?}");
        }
    }

    #[test]
    fn without_an_identification_only_another_ttl_tells() {
        let one = packet(0, 1000, 64);
        assert!(!is_copy(&[(one, 0), (one, 1)]));
        assert!(is_copy(&[(one, 0), (packet(0, 1000, 63), 1)]));
    }

    #[test]
    fn the_window_holds_four() {
        let with = |between: u32| {
            let mut packets = vec![(packet(1, 0, 64), 0)];
            packets.extend((0..between).map(|n| (packet(2 + n, 100 * (n + 1), 64), 1)));
            packets.push((packet(1, 0, 64), 2));
            is_copy(&packets)
        };
        assert!(with(3));
        assert!(!with(4));
    }

    #[test]
    fn a_sample_decides_once_at_one_in_five() {
        for (copies, expected) in [(3999, false), (4000, true)] {
            let sample = Sample::default();
            sample.add(SAMPLE_PACKETS - 1, copies - 1);
            assert_eq!(sample.verdict(), None);
            sample.add(1, 1);
            assert_eq!(sample.verdict(), Some(expected));
            sample.add(SAMPLE_PACKETS, SAMPLE_PACKETS);
            assert_eq!(sample.verdict(), Some(expected));
        }
        assert!(!Sample::default().verdict_now());
    }

    #[test]
    fn windows_of_long_ago_are_forgotten() {
        let mut windows = Windows::default();
        for number in 0..10 * WINDOWS_PRUNED_FROM as u64 {
            let time = Timestamp(number as i64 * 100_000_000);
            windows.is_copy(&packet(1, 1, 1), number, time, time);
        }
        assert!(windows.by_direction.len() < 2 * WINDOWS_PRUNED_FROM);
        assert_eq!(windows.forgotten, 0);
    }

    #[test]
    fn a_flood_of_flows_finds_bounded_room() {
        const FLOWS: u64 = 2 * WINDOWS_MAX as u64 + 100;
        // More at once than there is room for; then more in the minute that is remembered.
        for nanos_between in [0, 20_000] {
            let mut windows = Windows::default();
            for number in 0..FLOWS {
                let time = Timestamp(number as i64 * nanos_between);
                windows.is_copy(&packet(1, 1, 1), number, time, time);
                assert!(windows.by_direction.len() <= WINDOWS_MAX);
            }
            assert!(windows.forgotten > WINDOWS_MAX as u64 / 2, "{}", windows.forgotten);
            // What came last is known again, however many there were.
            let last = FLOWS - 1;
            let time = Timestamp(last as i64 * nanos_between);
            assert!(windows.is_copy(&packet(1, 1, 1), last, time, time));
        }
    }
}
