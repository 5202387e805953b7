//! IP datagrams in pieces (RFC 791, 3.2; RFC 8200, 4.5): put together within bounds.
//!
//! A fragment counts for the flow of its datagram as soon as that is known, which is with the
//! first fragment; its bytes are looked at when all of them are there. Where a tunnel is in
//! pieces, the flow is inside and known only then; what is in pieces again inside it is put together
//! if all of it came through such pieces, since the rest is another worker's. Where copies of a byte
//! differ, the first one seen wins. All fragments of a datagram have the same address pair, so the
//! same worker.

use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher;

use foldhash::fast::RandomState;

use super::{Item, Worker};
use crate::decode::{self, Outcome};
use crate::flow::slot::mark;
use crate::footprint;
use crate::ledger::Bucket;
use crate::net::Address;
use crate::packet::{Fragment, Packet};
use crate::stats::Counter;
use crate::time::{Hour, NANOS_PER_SECOND, Timestamp};

/// Datagrams open at a time.
const OPEN_MAX: usize = 4096;
/// Bytes of open datagrams, all together.
const HELD_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Memory of all, with the longest datagram more.
pub(super) const BYTES_MAX: usize = HELD_BYTES_MAX
    + 2 * DATAGRAM_LENGTH_MAX
    + footprint::map(OPEN_MAX + 1, size_of::<(Key, Datagram)>())
    + 2 * 4 * OPEN_MAX * size_of::<(Key, u64)>()
    + OPEN_MAX * footprint::heap(2 * RUNS_MAX * size_of::<(usize, usize)>());
/// How long a datagram may stay open (RFC 8200, 4.5 says 60 s; a sensor has no need to wait).
const OPEN_NANOS: i64 = 5 * NANOS_PER_SECOND;
/// Separate runs of bytes in one datagram; fragments that come in order make one.
const RUNS_MAX: usize = 64;
/// The longest datagram, header included (RFC 791, 3.1).
const DATAGRAM_LENGTH_MAX: usize = 65_535;

/// What all fragments of a datagram share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    source: Address,
    destination: Address,
    identification: u32,
    /// IPv4 only: of IPv6 the first fragment's counts, and that of others may differ (RFC 8200, 4.5).
    protocol: Option<u8>,
    around: Around,
}

/// The tunnels in pieces in which a fragment was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Around {
    /// A hash of their ends, 0 without any.
    ends: u64,
    /// How many.
    layers: u8,
}

impl Key {
    fn of(packet: &Packet, around: Around) -> Key {
        Key {
            source: packet.source,
            destination: packet.destination,
            identification: packet.identification,
            protocol: packet.source.is_v4().then_some(packet.protocol),
            around,
        }
    }
}

/// The datagrams that are not complete.
#[derive(Default)]
pub(super) struct Fragments {
    open: HashMap<Key, Datagram, RandomState>,
    /// Keys in the order in which their datagrams began, with the number of the datagram.
    order: VecDeque<(Key, u64)>,
    bytes: usize,
    begun: u64,
}

struct Datagram {
    number: u64,
    /// Sensor time of its first piece.
    began: Timestamp,
    /// The first fragment.
    first: Option<Item<'static>>,
    /// Fragments whose flow is not known yet.
    held: Vec<Item<'static>>,
    data: Vec<u8>,
    /// Which parts of `data` are there: (start, end), ascending, not touching.
    runs: Vec<(usize, usize)>,
    /// Its length, once the last fragment is there.
    length: Option<usize>,
    /// Bytes by the rule of the books, of the fragments and of what is around them.
    bytes: u32,
    outer_bytes: u32,
    /// What tells the first fragment's data from others', once all of the datagram was there: copies
    /// of its fragments still count for its flow.
    done: Option<u64>,
}

impl Datagram {
    fn new(number: u64, began: Timestamp) -> Datagram {
        Datagram {
            number,
            began,
            first: None,
            held: Vec::new(),
            data: Vec::new(),
            runs: Vec::new(),
            length: None,
            bytes: 0,
            outer_bytes: 0,
            done: None,
        }
    }

    /// Adds a fragment's data; what is there already stays.
    ///
    /// False where a bound keeps it out.
    fn add(&mut self, packet: &Packet, data: &[u8]) -> bool {
        let start = usize::from(packet.fragment_offset);
        let end = start + data.len();
        if end > DATAGRAM_LENGTH_MAX || self.runs.len() >= RUNS_MAX {
            return false;
        }
        let stated = packet.payload_length as usize + usize::from(packet.transport_header);
        if !packet.more_fragments && self.length.is_none() {
            self.length = Some(start + stated);
        }
        if self.data.len() < end {
            self.data.resize(end, 0);
        }
        let mut at = start;
        for &(run_start, run_end) in &self.runs {
            if run_start > at {
                let until = run_start.min(end);
                copy(&mut self.data, data, start, at, until);
            }
            at = at.max(run_end);
            if at >= end {
                break;
            }
        }
        copy(&mut self.data, data, start, at, end);
        self.cover(start, end);
        true
    }

    /// Memory that it takes, in bytes.
    fn memory(&self) -> usize {
        self.data.capacity() + self.held.capacity() * size_of::<Item<'_>>()
    }

    fn cover(&mut self, start: usize, end: usize) {
        self.runs.push((start, end));
        self.runs.sort_unstable();
        let mut merged: Vec<(usize, usize)> = Vec::with_capacity(self.runs.len());
        for &(start, end) in &self.runs {
            match merged.last_mut() {
                Some(last) if start <= last.1 => last.1 = last.1.max(end),
                _ => merged.push((start, end)),
            }
        }
        self.runs = merged;
    }

    fn is_complete(&self) -> bool {
        self.first.is_some()
            && self.length.is_some_and(|length| {
                self.runs.first().is_some_and(|&(start, end)| start == 0 && end >= length)
            })
    }

    /// The data of the first fragment.
    fn data_of(&self, first: &Packet) -> &[u8] {
        let length = usize::from(first.transport_header) + first.payload_captured as usize;
        self.data.get(..length).unwrap_or_default()
    }

    /// The bytes from the beginning as far as there is no hole.
    fn contiguous(&self) -> &[u8] {
        let end = match self.runs.first() {
            Some(&(0, end)) => end.min(self.length.unwrap_or(end)),
            _ => 0,
        };
        self.data.get(..end).unwrap_or_default()
    }
}

/// Copies the part from `at` to `until` of a fragment that begins at `start`.
fn copy(into: &mut [u8], data: &[u8], start: usize, at: usize, until: usize) {
    if at >= until {
        return;
    }
    if let (Some(target), Some(part)) =
        (into.get_mut(at..until), data.get(at - start..until - start))
    {
        target.copy_from_slice(part);
    }
}

impl Worker {
    /// Takes a fragment.
    #[cold]
    pub(super) fn fragment(&mut self, item: &Item<'_>) {
        self.fragment_in(item, Around::default());
    }

    /// Takes a fragment out of tunnels that came in pieces themselves.
    fn fragment_in(&mut self, item: &Item<'_>, around: Around) {
        let packet = &item.packet;
        let key = Key::of(packet, around);
        self.expire_fragments(item.sensor);
        let fragments = &mut self.fragments;
        let begun = &mut fragments.begun;
        let order = &mut fragments.order;
        let hasher = fragments.open.hasher().clone();
        let mut fresh = || {
            *begun += 1;
            order.push_back((key, *begun));
            Datagram::new(*begun, item.sensor)
        };
        let data = fragment_data(packet, item.frame);
        let datagram = fragments.open.entry(key).or_insert_with(&mut fresh);
        if let Some(known) = datagram.done {
            let is_other = packet.fragment == Fragment::First && hasher.hash_one(data) != known;
            if !is_other {
                if let Some(first) = datagram.first {
                    self.count_piece(item, &first.packet, around, item.sensor);
                }
                return;
            }
            // Fast senders use their numbers again before long.
            *datagram = fresh();
        }
        let before = datagram.memory();
        let fits = datagram.add(packet, data);
        datagram.bytes = datagram.bytes.saturating_add(packet.bytes);
        datagram.outer_bytes = datagram.outer_bytes.saturating_add(packet.outer_bytes);
        if packet.fragment == Fragment::First && datagram.first.is_none() {
            datagram.first = Some(item.without_frame());
        }
        let first = datagram.first;
        match first {
            Some(first) if !decode::needs_whole_datagram(&first.packet) => {
                let mut held = std::mem::take(&mut datagram.held);
                held.push(item.without_frame());
                for piece in &held {
                    self.count_piece(piece, &first.packet, around, item.sensor);
                }
            }
            _ => datagram.held.push(item.without_frame()),
        }
        if !fits {
            self.count_event(Counter::FragmentEvicted);
        }
        if let Some(datagram) = self.fragments.open.get(&key) {
            self.fragments.bytes = self.fragments.bytes - before + datagram.memory();
        }
        if self.fragments.open.get(&key).is_some_and(Datagram::is_complete)
            && let Some(datagram) = self.take_datagram(&key)
        {
            let (number, began, first) = (datagram.number, datagram.began, datagram.first);
            let data = first.map(|first| datagram.data_of(&first.packet));
            let done = data.map(|data| hasher.hash_one(data));
            let done = Datagram { first, done, ..Datagram::new(number, began) };
            self.fragments.open.insert(key, done);
            self.complete(datagram, item, around);
        }
        if self.fragments.order.len() > 4 * OPEN_MAX {
            let open = &self.fragments.open;
            let is_open = |(key, number): &(Key, u64)| {
                open.get(key).is_some_and(|datagram| datagram.number == *number)
            };
            self.fragments.order.retain(is_open);
        }
        while self.fragments.open.len() > OPEN_MAX || self.fragments.bytes > HELD_BYTES_MAX {
            let Some((oldest, number)) = self.fragments.order.pop_front() else { break };
            if self.fragments.open.get(&oldest).is_some_and(|datagram| datagram.number == number) {
                self.evict_datagram(&oldest, item.sensor);
            }
        }
    }

    /// Gives up on datagrams whose time has come.
    pub(super) fn expire_fragments(&mut self, now: Timestamp) {
        while let Some(&(key, number)) = self.fragments.order.front() {
            let began = match self.fragments.open.get(&key) {
                Some(datagram) if datagram.number == number => datagram.began,
                _ => {
                    self.fragments.order.pop_front();
                    continue;
                }
            };
            if now.nanos_since(began) <= OPEN_NANOS {
                break;
            }
            self.fragments.order.pop_front();
            self.abandon(&key, began.offset(OPEN_NANOS));
        }
    }

    /// The capture has ended: nothing more will come.
    pub(super) fn finish_fragments(&mut self) {
        while let Some((key, _)) = self.fragments.order.pop_front() {
            self.abandon(&key, self.sensor);
        }
    }

    fn evict_datagram(&mut self, key: &Key, now: Timestamp) {
        if self.fragments.open.get(key).is_some_and(|datagram| datagram.done.is_none()) {
            self.count_event(Counter::FragmentEvicted);
        }
        self.abandon(key, now);
    }

    fn take_datagram(&mut self, key: &Key) -> Option<Datagram> {
        let datagram = self.fragments.open.remove(key)?;
        self.fragments.bytes -= datagram.memory();
        Some(datagram)
    }

    /// Counts a fragment for the flow of its datagram at sensor time `now`, however long it has waited:
    /// which flow that is must not depend on whether those that ended meanwhile were looked at.
    fn count_piece(&mut self, piece: &Item<'_>, first: &Packet, around: Around, now: Timestamp) {
        let mut item = piece.without_frame();
        item.sensor = now;
        item.packet.protocol = first.protocol;
        item.packet.source_port = first.source_port;
        item.packet.destination_port = first.destination_port;
        // Its bytes are looked at when the datagram is complete.
        item.packet.payload_captured = 0;
        item.packet.fragment = Fragment::Whole;
        if piece.packet.fragment == Fragment::Later {
            item.packet.flags = first.flags;
            item.packet.flags.0 &= !crate::packet::TcpFlags::SYN;
        }
        item.hash = self.settings.seed.flow(&item.packet);
        self.packet_around(&mut item, around);
    }

    /// Counts a packet. What is inside a tunnel that came in pieces is a flow of its own, apart from
    /// the same five-tuple seen otherwise: that one may belong to another worker. So the tunnel's
    /// ends are part of what the flow is known by, and it is the same one whichever workers own
    /// what is inside.
    fn packet_around(&mut self, item: &mut Item<'_>, around: Around) {
        item.hash ^= around.ends;
        let flow = self.packet_of(item);
        if around.layers > 0 {
            self.tunnelled.insert(flow, item.hash);
        }
    }

    /// All of a datagram is there, with `last`.
    fn complete(&mut self, datagram: Datagram, last: &Item<'_>, around: Around) {
        let Some(first) = datagram.first else { return };
        if decode::needs_whole_datagram(&first.packet) {
            self.complete_tunnel(datagram, first, last, around);
        } else {
            self.look_at_datagram_of(&first, datagram.contiguous(), around);
        }
    }

    /// Shows the payload of a datagram to the dissectors of its flow.
    fn look_at_datagram_of(&mut self, first: &Item<'_>, data: &[u8], around: Around) {
        let mut item = *first;
        item.packet.fragment = Fragment::Whole;
        let Some(payload) = data.get(usize::from(first.packet.transport_header)..) else { return };
        item.packet.payload_length = payload.len() as u32;
        item.hash = self.settings.seed.flow(&item.packet) ^ around.ends;
        let Some((flow, side)) = self.table.find(item.hash, &item.packet) else { return };
        if !payload.is_empty() && self.table.hot(flow).is_marked(mark::WANTED_0, side) {
            self.inspect(flow, side, &item, payload);
        }
    }

    /// A tunnel's packet is whole, with `last`: what is inside may be in pieces itself.
    fn complete_tunnel(
        &mut self,
        datagram: Datagram,
        first: Item<'_>,
        last: &Item<'_>,
        around: Around,
    ) {
        let mut item = Item { frame: datagram.contiguous(), ..first };
        let outer_bytes = datagram.outer_bytes;
        let whole = Packet { bytes: datagram.bytes, outer_bytes, ..first.packet };
        let hour = self.hour(first.minute);
        match decode::decode_reassembled(item.frame, &whole, &mut item.packet) {
            Outcome::Packet if around.layers == decode::ENCAPSULATION_LAYERS_MAX => {
                self.count_event(Counter::DecodeTooDeep);
                self.part.books.add(hour, Bucket::Undecodable, 0, u64::from(datagram.bytes));
            }
            Outcome::Packet => {
                let outer = u64::from(item.packet.outer_bytes.saturating_sub(outer_bytes));
                self.part.books.add(hour, Bucket::Encapsulation, 0, outer);
                let Packet { source, destination, .. } = first.packet;
                let pair = self.settings.seed.pair(source, destination);
                let ends = around.ends.rotate_left(1) ^ pair;
                let around = Around { ends, layers: around.layers + 1 };
                // What was put together begins behind the frame's link header.
                item.packet.ethernet = false;
                if item.packet.fragment == Fragment::Whole {
                    item.hash = self.settings.seed.flow(&item.packet);
                    self.packet_around(&mut item, around);
                } else {
                    // It waits from now on, not from when the tunnel's first piece came.
                    item.sensor = last.sensor;
                    self.fragment_in(&item, around);
                }
            }
            Outcome::NonIp { .. } => {
                self.part.books.add(hour, Bucket::NonIp, 0, u64::from(datagram.bytes));
            }
            Outcome::Undecodable { reason, .. } => {
                self.count_event(reason.counter());
                self.part.books.add(hour, Bucket::Undecodable, 0, u64::from(datagram.bytes));
            }
        }
    }

    /// A datagram stays incomplete, as is known at sensor time `now`.
    fn abandon(&mut self, key: &Key, now: Timestamp) {
        let Some(datagram) = self.take_datagram(key) else { return };
        match datagram.first {
            Some(first) => {
                // Only a tunnel's pieces are still held: they count for the outer flow.
                for piece in &datagram.held {
                    self.count_piece(piece, &first.packet, key.around, now);
                }
            }
            None => {
                self.part.counters.add(Counter::FragmentOrphan, datagram.held.len() as u64);
                for piece in &datagram.held {
                    let hour: Hour = self.hour(piece.minute);
                    let bytes = u64::from(piece.packet.bytes);
                    self.part.books.add(hour, Bucket::Undecodable, 0, bytes);
                }
            }
        }
    }
}

/// The data of a fragment: its transport header, where it has one, and its payload.
fn fragment_data<'a>(packet: &Packet, frame: &'a [u8]) -> &'a [u8] {
    let header = usize::from(packet.transport_header);
    let payload = packet.payload_offset as usize;
    let start = payload.saturating_sub(header);
    frame.get(start..payload + packet.payload_captured as usize).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::packet::LinkType;
    use crate::worker::Settings;
    use crate::worker::clock::TimeStep;
    use crate::worker::intake::{Frame, Intake};
    use crate::worker::part::Part;

    const UDP: u8 = 17;
    const GRE: u8 = 47;
    const NO_NEXT_HEADER: u8 = 59;

    /// What a worker says of these IP packets, one a millisecond.
    fn read(packets: &[Vec<u8>]) -> Part {
        let settings = Arc::new(Settings { observations: true, ..Settings::default() });
        let mut intake = Intake::new(settings.clone(), None);
        let mut worker = Worker::new(settings);
        let mut items = Vec::new();
        for (record, bytes) in (0..).zip(packets) {
            let time = Timestamp(1_000_000 * i64::from(record));
            let mut item = Item::default();
            let wire_length = bytes.len() as u32;
            let frame = Frame { time, link: LinkType::RAW, wire_length, bytes };
            assert!(intake.take(frame, time, &mut item));
            items.push(item);
        }
        worker.process(&items);
        worker.finish(Some(Timestamp(1_000_000_000)));
        worker.take_part(Part::default())
    }

    #[test]
    fn a_clock_that_goes_back_ends_what_waits() {
        let settings = Arc::new(Settings::default());
        let (mut intake, mut worker) = (Intake::new(settings.clone(), None), Worker::new(settings));
        let pieces = ipv4(1, UDP, 7, &question("late"), 64);
        let mut take = |worker: &mut Worker, record: usize, seconds: i64| {
            let time = Timestamp(seconds * 1_000_000_000);
            let bytes = &pieces[record];
            let frame = Frame { time, link: LinkType::RAW, wire_length: bytes.len() as u32, bytes };
            let mut item = Item::default();
            assert!(intake.take(frame, time, &mut item));
            worker.process(&[item]);
        };
        take(&mut worker, 1, 10_000);
        let (before, after) = (Timestamp(10_000_000_000_000), Timestamp(1_000_000_000));
        worker.time_step(TimeStep { before, after });
        // Long after: nothing of then is waited for, and the first piece begins another datagram.
        take(&mut worker, 0, 100);
        let part = worker.take_part(Part::default());
        assert_eq!(part.counters.value(Counter::FragmentOrphan), 1);
        worker.finish(Some(Timestamp(200_000_000_000)));
        assert_eq!(worker.take_part(Part::default()).counters.value(Counter::FragmentOrphan), 0);
    }

    fn names(part: &Part) -> Vec<&str> {
        part.observations.iter().map(|observation| &*observation.host).collect()
    }

    /// A DNS question in UDP, of more than 100 bytes.
    fn question(first_label: &str) -> Vec<u8> {
        let mut dns = b"\0\x01\x01\0\0\x01\0\0\0\0\0\0".to_vec();
        for label in [first_label, &"x".repeat(50), &"y".repeat(50), "example"] {
            dns.push(label.len() as u8);
            dns.extend(label.bytes());
        }
        dns.extend(b"\0\0\x01\0\x01");
        let length = (8 + dns.len()) as u16;
        [&[0xc0, 0, 0, 53][..], &length.to_be_bytes(), &[0, 0], &dns].concat()
    }

    fn name(first_label: &str) -> String {
        format!("{first_label}.{}.{}.example", "x".repeat(50), "y".repeat(50))
    }

    /// The fragments of an IPv4 datagram, each with up to `size` bytes of it.
    fn ipv4(last: u8, protocol: u8, number: u16, payload: &[u8], size: usize) -> Vec<Vec<u8>> {
        let pieces = payload.chunks(size).enumerate().map(|(piece_number, piece)| {
            let offset = piece_number * size / 8;
            let more = if (piece_number + 1) * size < payload.len() { 0x2000 } else { 0 };
            let mut packet = vec![0x45, 0];
            packet.extend((20 + piece.len() as u16).to_be_bytes());
            packet.extend(number.to_be_bytes());
            packet.extend((offset as u16 | more).to_be_bytes());
            packet.extend([64, protocol, 0, 0, 10, 0, 0, last, 198, 18, 0, last]);
            packet.extend(piece);
            packet
        });
        pieces.collect()
    }

    fn gre(packet: &[u8]) -> Vec<u8> {
        [&[0, 0, 8, 0][..], packet].concat()
    }

    /// Each packet in a tunnel, all of whose packets come in fragments: none has as few as 24 bytes.
    fn tunnel(last: u8, packets: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let numbered = (1..).zip(packets);
        numbered.flat_map(|(number, packet)| ipv4(last, GRE, number, &gre(packet), 24)).collect()
    }

    #[test]
    fn of_ipv6_fragments_the_first_says_what_follows() {
        let payload = question("v6");
        let mut fragments: Vec<Vec<u8>> = (0..)
            .zip(payload.chunks(48))
            .map(|(number, piece): (u16, &[u8])| {
                let more = usize::from(number + 1) * 48 < payload.len();
                let next = if number == 0 { UDP } else { NO_NEXT_HEADER };
                let mut packet = vec![0x60, 0, 0, 0];
                packet.extend((8 + piece.len() as u16).to_be_bytes());
                packet.extend([44, 64]);
                packet.extend([0xfd; 16]);
                packet.extend([0x20; 16]);
                packet.extend([next, 0]);
                packet.extend(((number * 48) | u16::from(more)).to_be_bytes());
                packet.extend([0, 0, 0, 9]);
                packet.extend(piece);
                packet
            })
            .collect();
        assert!(fragments.len() > 2);
        for _ in 0..2 {
            let part = read(&fragments);
            assert_eq!(names(&part), [name("v6")]);
            // All of them count for one flow.
            assert_eq!(part.counters.value(Counter::FragmentOrphan), 0);
            fragments.reverse();
        }
        // IPv4 tells datagrams apart by their protocol, too (RFC 791, 2.3).
        let mut fragments = ipv4(1, UDP, 7, &question("v4"), 48);
        assert_eq!(names(&read(&fragments)), [name("v4")]);
        fragments[1][9] = GRE;
        assert!(names(&read(&fragments)).is_empty());
    }

    #[test]
    fn a_number_may_be_used_again_before_long() {
        let [one, two] = ["one", "two"].map(|label| ipv4(1, UDP, 7, &question(label), 64));
        // Each fragment of the first one twice, as a mirror port may show them.
        let doubled = one.iter().flat_map(|fragment| [fragment.clone(), fragment.clone()]);
        let packets: Vec<Vec<u8>> = doubled.chain(one.clone()).chain(two).collect();
        let part = read(&packets);
        assert_eq!(names(&part), [name("one"), name("two")]);
        assert_eq!(part.counters.value(Counter::FragmentOrphan), 0);
    }

    #[test]
    fn fragments_within_fragments_are_put_together() {
        let inner = ipv4(1, UDP, 7, &question("in"), 64);
        let once = tunnel(2, &inner);
        assert!(once.len() > 2 * inner.len());
        let twice = tunnel(3, &once);
        for mut packets in [once, twice] {
            for _ in 0..2 {
                let part = read(&packets);
                assert_eq!(names(&part), [name("in")]);
                assert_eq!(part.counters.value(Counter::FragmentOrphan), 0);
                assert_eq!(part.counters.value(Counter::DecodeTooDeep), 0);
                packets.reverse();
            }
        }
    }

    #[test]
    fn fragments_of_two_tunnels_are_never_mixed() {
        // The same ends and number inside, and the second half comes through another tunnel.
        let [one, other] = ["one", "two"].map(|label| ipv4(1, UDP, 7, &question(label), 64));
        let (one, other) = (tunnel(2, &one[..1]), tunnel(3, &other[1..]));
        let part = read(&[one, other].concat());
        assert!(names(&part).is_empty());
        assert!(part.counters.value(Counter::FragmentOrphan) > 0);
    }

    #[test]
    fn fragments_within_fragments_have_a_bound() {
        let mut packets = ipv4(1, UDP, 7, &question("deep"), 64);
        for last in 2..=5 {
            packets = tunnel(last, &packets);
        }
        assert_eq!(names(&read(&packets)), [name("deep")]);
        let part = read(&tunnel(6, &packets));
        assert!(names(&part).is_empty());
        assert!(part.counters.value(Counter::DecodeTooDeep) > 0);
    }
}
