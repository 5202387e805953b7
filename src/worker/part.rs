//! What a worker hands to merge at a tick.

use std::collections::{BTreeMap, HashMap, HashSet};

use foldhash::fast::RandomState;

use super::allowance::Allowance;
use super::detours::Detour;
pub use super::part_names::PartNames;
use super::seen::{Opening, Served, TraitSeen};
use crate::dissect::device_name::DeviceName;
use crate::dissect::media::MediaKind;
use crate::dissect::tunnel::TunnelProtocol;
use crate::flow::table::FlowId;
use crate::footprint;
use crate::hostname::Hostname;
use crate::ledger::Bucket;
use crate::net::{Address, Endpoint, Mac};
use crate::observation::{Ech, NameSource, Seen};
use crate::stats::{Counter, Counters};
use crate::time::{Hour, Timestamp};
use crate::usage::{NAMES_BYTES_MAX, NAMES_MAX, QuestionKey, Questions, Sums, UsageKey};

/// Anonymous flows in a part; the bytes of more go to `no_name`.
pub const ANONYMOUS_MAX: usize = 262_144;
/// DNS answers in a part.
pub const ANSWERS_MAX: usize = 131_072;
/// Hours in a part; one with more is sent early.
pub const HOURS_MAX: usize = 1024;
/// Versions of QUIC that are told apart; those beyond count as version 0.
pub const QUIC_VERSIONS_MAX: usize = 32;
/// Clients and link addresses in a part: as many as a table of 2^16 places has room for.
pub const HINTS_MAX: usize = 7 << 13;

/// Bytes of room that a part keeps.
pub const ROOM_BYTES_MAX: usize = 8 << 20;
/// Rows and steps that a part has room for from the beginning.
const ROOM: usize = 8_192;
/// Steps of flows in a part; one with more is sent early.
pub const STEPS_MAX: usize = 262_144;
/// Memory of what all parts of a tick hold beside what the allowance counts: names, who was shown on
/// the link, and books by hour, in two parts.
pub const BESIDE_BYTES_MAX: usize = NAMES_BYTES_MAX
    + 2 * NAMES_MAX * size_of::<u32>()
    + 2 * footprint::map(HINTS_MAX, size_of::<(Address, Mac, Hour)>())
    + 2 * footprint::map(HINTS_MAX, size_of::<(Address, Hour)>())
    + 2 * HOURS_MAX * 2 * size_of::<(Hour, [(u64, u64); Bucket::ALL.len()])>();

/// What a worker gathered since the part before. Numbers are of that time alone.
#[derive(Default)]
pub struct Part {
    /// The hostnames that this part's keys number.
    pub names: PartNames,
    /// Sums of named flows.
    pub usage: Vec<(UsageKey, Sums)>,
    /// DNS questions.
    pub questions: Vec<(QuestionKey, Questions)>,
    /// Sums of flows without a name of their own, in the order of hand-over.
    pub anonymous: Vec<AnonymousSums>,
    /// Bytes whose bucket no name can change: (hour, bucket, flows, bytes).
    pub books: Books,
    /// Addresses that DNS gave.
    pub answers: Vec<Answer>,
    /// Offers of Encrypted ClientHello that DNS gave.
    pub ech_offers: Vec<EchOffer>,
    /// Home clients that packets were seen to: not one-way.
    pub two_way: Vec<Address>,
    /// Link addresses of home clients.
    pub links: Vec<(Address, Mac)>,
    /// What flows with a name of their own did that tells whether they followed a page.
    pub steps: Vec<FlowStep>,
    /// What tells of an address that it is no person; something may be told several times.
    pub traits: Vec<TraitSeen>,
    /// TCP connections that addresses at home opened, by no other order than that in which they were
    /// seen.
    pub openings: Vec<Opening>,
    /// Flows that addresses at home accepted and answered.
    pub served: HashMap<Served, u64, RandomState>,
    /// Addresses at home that ARP or Neighbor Discovery showed, and by which link address.
    pub owners: HashSet<(Address, Mac, Hour), RandomState>,
    /// Addresses at home that ARP or DHCP showed, by hour.
    pub present: HashSet<(Address, Hour), RandomState>,
    /// Flows and bytes of ways around, by client, hour and way.
    pub detours: HashMap<DetourKey, (u64, u64), RandomState>,
    /// What devices call themselves: never use of an app.
    pub device_names: Vec<(Address, DeviceName)>,
    /// Versions of QUIC Initials that no known key opens, by version, in flows.
    pub unopened_quic: Vec<(u32, u64)>,
    /// Every name seen, if asked for.
    pub observations: Vec<ObservationRecord>,
    /// Every flow that ended, if asked for.
    pub flows: Vec<FlowRecord>,
    /// What was lost, refused or bounded.
    pub counters: Counters,
    /// What came in.
    pub intake: BTreeMap<Hour, IntakeSums>,
    /// How good the capture is; an hour may occur more than once.
    pub health: Vec<(Hour, Health)>,
    /// What the kernel says of the worker's ring.
    pub rings: BTreeMap<Hour, RingSums>,
}

impl Part {
    /// A part without content, with room for about as much: who fills it again need not let it
    /// grow again.
    pub fn emptied(self) -> Part {
        let mut left = ROOM_BYTES_MAX;
        let left = &mut left;
        Part {
            names: self.names.emptied(left),
            usage: emptied(self.usage, left),
            questions: emptied(self.questions, left),
            anonymous: emptied(self.anonymous, left),
            answers: emptied(self.answers, left),
            steps: emptied(self.steps, left),
            traits: emptied(self.traits, left),
            openings: emptied(self.openings, left),
            ..Part::default()
        }
    }

    /// Makes room for what a busy minute brings: memory that is not touched costs nothing, and a list
    /// that grows is copied again and again.
    pub fn with_room(mut self) -> Part {
        self.usage.reserve_exact(ROOM);
        self.questions.reserve_exact(ROOM);
        self.answers.reserve_exact(2 * ROOM);
        self.steps.reserve_exact(ROOM);
        self.openings.reserve_exact(ROOM);
        self
    }

    /// Adds flows and bytes to what a device at home, if one had a part in it, had of a way around.
    pub(super) fn note_detour(
        &mut self,
        device: Option<Address>,
        hour: Hour,
        detour: Detour,
        (flows, bytes): (u64, u64),
        allowance: &mut Allowance,
    ) {
        let key = (device, hour, detour);
        let has_room = self.detours.contains_key(&key)
            || self.detours.len() < HINTS_MAX
                && allowance.hint(2 * size_of::<(DetourKey, (u64, u64))>());
        if !has_room {
            self.counters.count(Counter::HintDropped);
            return;
        }
        let (all_flows, all_bytes) = self.detours.entry(key).or_default();
        *all_flows += flows;
        *all_bytes += bytes;
    }

    /// Adds a flow that an address at home accepted and answered.
    pub(super) fn note_served(&mut self, served: Served, allowance: &mut Allowance) {
        let has_room = self.served.contains_key(&served)
            || self.served.len() < HINTS_MAX && allowance.hint(2 * size_of::<(Served, u64)>());
        if !has_room {
            self.counters.count(Counter::HintDropped);
            return;
        }
        *self.served.entry(served).or_default() += 1;
    }

    /// Notes whose an address at home is on the link.
    pub fn note_owner(&mut self, address: Address, link: Mac, hour: Hour) {
        if self.owners.len() < HINTS_MAX {
            self.owners.insert((address, link, hour));
        } else if !self.owners.contains(&(address, link, hour)) {
            self.counters.count(Counter::HintDropped);
        }
    }

    /// Notes that a device at home showed itself.
    pub fn note_present(&mut self, device: Address, hour: Hour) {
        if self.present.len() < HINTS_MAX {
            self.present.insert((device, hour));
        } else if !self.present.contains(&(device, hour)) {
            self.counters.count(Counter::HintDropped);
        }
    }
}

/// `entries` without its entries, with room for at most four times as many, and no more than is
/// `left`.
pub(super) fn emptied<T>(mut entries: Vec<T>, left: &mut usize) -> Vec<T> {
    let bytes = entries.capacity() * size_of::<T>();
    if entries.capacity() > 4 * entries.len().max(ROOM) || bytes > *left {
        return Vec::new();
    }
    *left -= bytes;
    entries.clear();
    entries
}

/// A way around in an hour: of the device at home that had a part in it, if one had.
pub type DetourKey = (Option<Address>, Hour, Detour);

/// A flow without a name of its own, as far as it went since it was last handed on.
#[derive(Clone, Copy, Debug)]
pub struct AnonymousSums {
    /// Its number in the worker, unique while it is open.
    pub flow: FlowId,
    /// Which of the flows with this number it is.
    pub life: u32,
    /// The client.
    pub client: Endpoint,
    /// The server.
    pub server: Endpoint,
    /// IP protocol number.
    pub protocol: u8,
    /// Stamp of its first packet.
    pub first_seen: Timestamp,
    /// The hour of the sums.
    pub hour: Hour,
    /// The sums.
    pub sums: Sums,
    /// A bucket that its bytes belong to whatever its name.
    pub bucket: Option<Bucket>,
    /// Whether both its ends are at home, where it has such a bucket.
    pub at_home: bool,
    /// What it says that it is, where it says so.
    pub spoken: Option<TunnelProtocol>,
    /// Whether it carries media of a call.
    pub is_media: bool,
    /// What it did.
    pub step: Option<Step>,
    /// What a ClientHello shows whose name may not be what it seems.
    pub outer: Option<Outer>,
    /// Whether nothing was told of the flow before, or what was told ended: it has a new hello.
    pub begins: bool,
    /// Whether this is the last that is heard of the flow.
    pub ended: bool,
}

/// A step of a flow with a name of its own. Its sums are in the same part, under the same key.
#[derive(Clone, Copy, Debug)]
pub struct FlowStep {
    /// Whose, and under which name.
    pub key: UsageKey,
    /// The server.
    pub server: Address,
    /// Stamp of its first packet; of [`Step::Resumed`], of the request.
    pub time: Timestamp,
    /// What it did.
    pub step: Step,
}

/// What a flow did that tells whether it followed another site's page, and whether that matters.
/// With each, how many of [`crate::usage::QUARTER_BYTES_UP`] it has reached in the hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It began.
    Began(u8),
    /// It had begun in an earlier hour, and has packets in this.
    WentOn(u8),
    /// It had more to say.
    Said(u8),
    /// After a silence the client asked, and had so many bytes of an answer within the minute; it
    /// then stands for the moment of that.
    Resumed(u32),
}

impl Step {
    /// Of sums that began a flow or went on with one, or neither; none where that is no step.
    pub fn of(began: bool, went_on: bool, levels: u8) -> Option<Step> {
        match (began, went_on, levels) {
            (true, ..) => Some(Step::Began(levels)),
            (_, true, _) => Some(Step::WentOn(levels)),
            (.., 1..) => Some(Step::Said(levels)),
            _ => None,
        }
    }

    /// Levels reached.
    pub fn levels(self) -> u8 {
        match self {
            Step::Began(levels) | Step::WentOn(levels) | Step::Said(levels) => levels,
            Step::Resumed(_) => 0,
        }
    }

    /// Whether it is one flow more in its hour.
    pub fn is_flow(self) -> bool {
        matches!(self, Step::Began(_) | Step::WentOn(_))
    }

    /// Whether it is one of an earlier hour.
    pub fn goes_on(self) -> bool {
        matches!(self, Step::WentOn(_))
    }
}

/// What a ClientHello shows whose name may not be what it seems.
#[derive(Clone, Copy, Debug)]
pub struct Outer {
    /// The flow's name, in the part's names, and where it is from: from the hello it is the outer
    /// name. A hello need not have one.
    pub name: Option<(u32, NameSource)>,
    /// Why it may not.
    pub doubt: Doubt,
}

/// Why the name of a ClientHello may not be what it seems.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// It is the outer one of Encrypted ClientHello (RFC 9849), which may hide another.
    Ech(Ech),
    /// It may be made up, as Tor's are.
    MadeUp,
}

/// An HTTPS record that offers Encrypted ClientHello.
#[derive(Clone, Debug)]
pub struct EchOffer {
    /// Who asked.
    pub client: Address,
    /// When.
    pub time: Timestamp,
    /// How long it holds, in seconds.
    pub ttl_seconds: u32,
    /// The config id.
    pub config_id: u8,
    /// The outer name to be used.
    pub public_name: Hostname,
}

/// An address that DNS gave for a question.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// Who asked.
    pub client: Address,
    /// Who answered.
    pub resolver: Address,
    /// The question's name, in the part's names.
    pub name: u32,
    /// The address.
    pub address: Address,
    /// When.
    pub time: Timestamp,
    /// How long it holds, in seconds.
    pub ttl_seconds: u32,
}

/// One name that was seen.
#[derive(Clone, Debug)]
pub struct ObservationRecord {
    /// When.
    pub time: Timestamp,
    /// In which protocol.
    pub seen: Seen,
    /// Who asked.
    pub client: Endpoint,
    /// Who was asked.
    pub server: Endpoint,
    /// The name.
    pub host: Box<str>,
    /// JA4 of the ClientHello it was in; empty elsewhere.
    pub ja4: Box<str>,
    /// For whom a proxy says that it asks (`X-Forwarded-For`): a hint, anyone may send it.
    pub forwarded_for: Option<Address>,
}

/// How a flow ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// FIN both ways.
    Fin,
    /// RST.
    Rst,
    /// Silence.
    Idle,
    /// No room for it any more.
    Evicted,
    /// The capture ended.
    Eof,
}

impl End {
    /// The word used in every output.
    pub fn as_str(self) -> &'static str {
        match self {
            End::Fin => "fin",
            End::Rst => "rst",
            End::Idle => "idle",
            End::Evicted => "evicted",
            End::Eof => "eof",
        }
    }
}

/// A flow that ended.
#[derive(Clone, Debug)]
pub struct FlowRecord {
    /// Stamp of the first packet.
    pub first_seen: Timestamp,
    /// Stamp of the last packet.
    pub last_seen: Timestamp,
    /// The client.
    pub client: Endpoint,
    /// The server.
    pub server: Endpoint,
    /// IP protocol number.
    pub protocol: u8,
    /// The name in force at the end, in the part's names, and where it came from.
    pub name: Option<(u32, NameSource)>,
    /// Its number among the anonymous flows, where it was one, and which of those with it.
    pub anonymous: Option<(FlowId, u32)>,
    /// Packets both ways.
    pub packets: u64,
    /// Bytes from client to server.
    pub bytes_up: u64,
    /// Bytes from server to client.
    pub bytes_down: u64,
    /// How it ended.
    pub end: End,
    /// The tunnel or remote access that it is.
    pub tunnel: Option<TunnelProtocol>,
    /// What showed that it carries media of a call.
    pub media: Option<MediaKind>,
}

/// Bytes and flows by hour and bucket.
#[derive(Clone, Debug, Default)]
pub struct Books {
    rows: Vec<(Hour, [(u64, u64); Bucket::ALL.len()])>,
    /// Where the row of an hour is.
    index: HashMap<Hour, usize, RandomState>,
    /// The row that was added to last: nearly always the one that is meant.
    last: usize,
}

impl Books {
    /// Adds to a bucket of an hour.
    pub fn add(&mut self, hour: Hour, bucket: Bucket, flows: u64, bytes: u64) {
        if self.rows.get(self.last).is_none_or(|(known, _)| *known != hour) {
            let rows = &mut self.rows;
            self.last = *self.index.entry(hour).or_insert_with(|| {
                rows.push((hour, Default::default()));
                rows.len() - 1
            });
        }
        if let Some((_, buckets)) = self.rows.get_mut(self.last) {
            let (all_flows, all_bytes) = &mut buckets[bucket as usize];
            *all_flows += flows;
            *all_bytes += bytes;
        }
    }

    /// Hours that there are rows of.
    pub fn hours(&self) -> usize {
        self.rows.len()
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Books) {
        for (hour, bucket, flows, bytes) in other.iter() {
            self.add(hour, bucket, flows, bytes);
        }
    }

    /// (hour, bucket, flows, bytes) of everything that is not zero, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (Hour, Bucket, u64, u64)> + '_ {
        self.rows.iter().flat_map(|&(hour, ref buckets)| {
            Bucket::ALL.into_iter().filter_map(move |bucket| {
                let (flows, bytes) = buckets[bucket as usize];
                (flows > 0 || bytes > 0).then_some((hour, bucket, flows, bytes))
            })
        })
    }

    /// The sum of all bytes.
    pub fn bytes(&self) -> u64 {
        self.iter().map(|(.., bytes)| bytes).sum()
    }
}

/// What came in within an hour, counted once at the decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntakeSums {
    /// The hour.
    pub hour: Hour,
    /// Packets.
    pub packets: u64,
    /// Bytes by the rule of the books.
    pub total_bytes: u64,
    /// Those of them that belong to IP packets.
    pub ip_bytes: u64,
    /// The smallest stamp.
    pub first_seen: Timestamp,
    /// The largest stamp.
    pub last_seen: Timestamp,
}

impl IntakeSums {
    /// Adds what another one of the same hour holds.
    pub fn merge(&mut self, other: &IntakeSums) {
        self.packets += other.packets;
        self.total_bytes += other.total_bytes;
        self.ip_bytes += other.ip_bytes;
        self.first_seen = self.first_seen.min(other.first_seen);
        self.last_seen = self.last_seen.max(other.last_seen);
    }
}

/// What the kernel says of a worker's ring within an hour of sensor time. An estimate of what was
/// lost, and never a bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RingSums {
    /// Frames that came by, those that were dropped among them.
    pub received: u64,
    /// Frames for which the ring had no room.
    pub dropped: u64,
    /// Frames that the interface or its driver had no room for, by its own account.
    pub interface_dropped: u64,
    /// How long an interface was down, in nanoseconds; of several, added up.
    pub down_nanos: u64,
}

impl RingSums {
    /// Adds all of `other`.
    pub fn merge(&mut self, other: &RingSums) {
        self.received += other.received;
        self.dropped += other.dropped;
        self.interface_dropped += other.interface_dropped;
        self.down_nanos += other.down_nanos;
    }

    /// Whether there is nothing to be told.
    pub fn is_empty(&self) -> bool {
        *self == RingSums::default()
    }
}

/// What tells how good a capture is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// TCP flows that ended.
    pub tcp_flows: u64,
    /// Those of them seen in both directions.
    pub tcp_two_way: u64,
    /// Those of them that began before the capture.
    pub tcp_begun_before: u64,
    /// Payload of those of them that are followed by their sequence numbers, in bytes.
    pub sequence_bytes: u64,
    /// What was missing between it, in bytes: lost before it was seen.
    pub gap_bytes: u64,
    /// DNS questions.
    pub dns_questions: u64,
    /// DNS answers.
    pub dns_answers: u64,
}

impl Health {
    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Health) {
        self.tcp_flows += other.tcp_flows;
        self.tcp_two_way += other.tcp_two_way;
        self.tcp_begun_before += other.tcp_begun_before;
        self.sequence_bytes += other.sequence_bytes;
        self.gap_bytes += other.gap_bytes;
        self.dns_questions += other.dns_questions;
        self.dns_answers += other.dns_answers;
    }
}
