//! What is kept of a flow: one cache line that every packet touches, and what is needed now and
//! then beside it.

use crate::net::{Address, protocol};
use crate::packet::{Packet, TcpFlags};
use crate::time::{Minute, NANOS_PER_SECOND, Timestamp};

/// Which side of a flow a packet comes from: 0 = the sender of the flow's first packet.
pub type Side = usize;

/// How long a flow may be silent, by what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Patience {
    /// TCP before an answer: 30 s.
    HalfOpen = 0,
    /// TCP with an answer: 15 min.
    Established = 1,
    /// TCP after FIN both ways or RST: 5 s, for late segments.
    Closed = 2,
    /// UDP: 60 s.
    Udp = 3,
    /// DNS: 10 s.
    Dns = 4,
    /// Other IP protocols: 60 s.
    Other = 5,
}

/// Time-outs in seconds, in the order of [`Patience`].
const PATIENCE_SECONDS: [i64; 8] = [30, 900, 5, 60, 10, 60, 60, 60];

/// The shortest of them, in nanoseconds.
const PATIENCE_NANOS_MIN: i64 = PATIENCE_SECONDS[Patience::Closed as usize] * NANOS_PER_SECOND;

impl Patience {
    /// The time-out in seconds.
    #[inline]
    pub fn seconds(self) -> i64 {
        PATIENCE_SECONDS[(self as usize) & 7]
    }

    /// The time-out in nanoseconds.
    #[inline]
    pub fn nanos(self) -> i64 {
        self.seconds() * NANOS_PER_SECOND
    }
}

/// Bits of [`Hot::marks`]; where a side has a bit, side 1's is the next higher one.
pub mod mark {
    /// Side 1 is the client.
    pub const CLIENT_IS_1: u16 = 1 << 0;
    /// Payload from side 0 in the minute of the slot.
    pub const PAYLOAD_0: u16 = 1 << 1;
    /// A dissector wants payload of side 0.
    pub const WANTED_0: u16 = 1 << 3;
    /// Side 0 ever sent payload.
    pub const SPOKE_0: u16 = 1 << 5;
    /// Side 0 ever sent a packet: tells one-way captures.
    pub const SENT_0: u16 = 1 << 7;
    /// Side 0 sent FIN.
    pub const FIN_0: u16 = 1 << 9;
    /// Of UDP, where there is no FIN: nothing is wanted any more but long headers of QUIC.
    pub const LONG_ONLY: u16 = FIN_0;
    /// A RST was seen.
    pub const RESET: u16 = 1 << 11;
    /// The flow has its name, or is known to have none of its own.
    pub const DECIDED: u16 = 1 << 12;
    /// Its beginning was seen: a SYN, or there is none to see.
    pub const BEGAN: u16 = 1 << 13;
    /// RST came before the server's first payload.
    pub const REFUSED: u16 = 1 << 14;
    /// Something other than the opening SYN came from the client.
    pub const WENT_ON: u16 = 1 << 15;
}

/// What every packet of a flow touches: one cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Hot {
    /// The addresses of side 0 and side 1.
    pub addresses: [Address; 2],
    /// The largest stamp of the packets since the last turn of the minute.
    pub last_seen: Timestamp,
    /// Bytes by side since the last hand-over.
    pub bytes: [u32; 2],
    /// The minute of those bytes.
    pub minute: Minute,
    /// The ports of side 0 and side 1.
    pub ports: [u16; 2],
    /// Packets of both sides since the last hand-over, at most `u16::MAX`.
    pub packets: u16,
    /// See [`mark`].
    pub marks: u16,
    /// IP protocol; [`FREE`] marks a free slot.
    pub protocol: u8,
    /// The time-out that applies.
    pub patience: Patience,
    /// How much later than `last_seen` the last packet came, by sensor time, in [`LATE_NANOS`].
    pub late: u8,
    /// Which bucket its bytes are for, whatever its name: see `worker::account`.
    pub bucket: u8,
}

const _: () = assert!(size_of::<Hot>() == 64);

/// The protocol number of a free slot: "reserved" by IANA, never on the wire as a flow.
pub const FREE: u8 = 255;

/// The unit of [`Hot::late`]: a stamp may be 60 s late before it is a time step.
pub const LATE_NANOS: i64 = NANOS_PER_SECOND / 4;

/// No index: for names, inspections and links.
pub const NONE: u32 = u32::MAX;

/// The rest of a flow's state: touched when something happens.
#[derive(Clone, Copy, Debug)]
pub struct Cold {
    /// Stamp of the first packet.
    pub first_seen: Timestamp,
    /// Stamp of the first packet since the last hand-over.
    pub fresh_since: Timestamp,
    /// The name in force, in the worker's name table; [`NONE`] without.
    pub name: u32,
    /// The inspection, in the worker's slab; [`NONE`] without.
    pub inspection: u32,
    /// Sequence number behind the SYN, by side; 0 = unknown. Of UDP, the marks of
    /// [`Cold::quic_marks`].
    pub initial_sequence: [u32; 2],
    /// The next flow in the same slot of the wheel.
    pub next_in_wheel: u32,
    /// `NameSource` of the name in force as a number, and a bit for [`Cold::exchange_resumed`].
    pub source_and_resumed: u8,
    /// Payload datagrams or segments looked at without result.
    pub looked: u8,
    /// What has been handed on of the flow, and what it told of itself: see [`told`].
    pub told: u8,
    /// `TunnelProtocol` as a number; 0 where it is none.
    pub tunnel: u8,
    /// Bytes of each side behind the hello, of this hour, as far as they have been handed on; less
    /// than 0 by what the slot still holds of the hello. See `worker::account`.
    pub behind_hello: [i32; 2],
}

const _: () = assert!(size_of::<Cold>() <= 48);

/// The bit beside the source of the name: what the slot holds began with the client's payload after
/// a silence.
const RESUMED: u8 = 1 << 7;

/// Bits of [`Cold::told`]: what has been handed on, and what is known that is no name.
pub mod told {
    /// Its beginning: a connection was counted.
    pub const BEGINNING: u8 = 1 << 0;
    /// That both sides spoke.
    pub const HANDSHAKE: u8 = 1 << 1;
    /// Sums without a name: merge remembers a verdict until it is told of the flow's end.
    pub const ANONYMOUS: u8 = 1 << 2;
    /// The server's address is a sinkhole: nothing that it says is an answer.
    pub const SINKHOLED: u8 = 1 << 3;
    /// Where the number of its `MediaKind` stands, in two bits; 0 where it carries none.
    pub const MEDIA_SHIFT: u32 = 4;
    /// Those two bits.
    pub const MEDIA: u8 = 3 << MEDIA_SHIFT;
    /// Side 0 sent a request of SOCKS 4; side 1's bit is the next higher one.
    pub const SOCKS_0: u8 = 1 << 6;
}

impl Cold {
    /// Of a flow whose first packet has this stamp.
    pub fn new(first_seen: Timestamp) -> Cold {
        Cold {
            first_seen,
            fresh_since: first_seen,
            name: NONE,
            inspection: NONE,
            initial_sequence: [0; 2],
            next_in_wheel: NONE,
            source_and_resumed: 0,
            looked: 0,
            told: 0,
            tunnel: 0,
            behind_hello: [0; 2],
        }
    }
}

impl Cold {
    /// `NameSource` of the name in force as a number.
    pub fn name_source(&self) -> u8 {
        self.source_and_resumed & !RESUMED
    }

    /// Exchanges it.
    pub fn set_name_source(&mut self, number: u8) {
        self.source_and_resumed = self.source_and_resumed & RESUMED | number;
    }

    /// Notes whether what the slot holds began with the client's payload after a silence. Answers
    /// whether what it held did.
    pub fn exchange_resumed(&mut self, is_resumed: bool) -> bool {
        let was = self.source_and_resumed & RESUMED != 0;
        self.source_and_resumed &= !RESUMED;
        self.source_and_resumed |= if is_resumed { RESUMED } else { 0 };
        was
    }

    /// What is known of the latest connections of QUIC, the latest first: see `worker::datagrams`.
    /// 0 = nothing.
    pub fn quic_marks(&self) -> [u16; 4] {
        let [one, two] = self.initial_sequence;
        [one as u16, (one >> 16) as u16, two as u16, (two >> 16) as u16]
    }

    /// Adds a mark, and takes the oldest of four out.
    pub fn push_quic_mark(&mut self, mark: u16) -> u16 {
        let [one, two] = self.initial_sequence;
        self.initial_sequence = [one << 16 | u32::from(mark), two << 16 | one >> 16];
        (two >> 16) as u16
    }
}

impl Hot {
    /// A free slot.
    pub const EMPTY: Hot = Hot {
        addresses: [Address([0; 16]); 2],
        last_seen: Timestamp(0),
        bytes: [0; 2],
        minute: Minute(0),
        ports: [0; 2],
        packets: 0,
        marks: 0,
        protocol: FREE,
        patience: Patience::Other,
        late: 0,
        bucket: 0,
    };

    /// The side from which `packet` comes, where it is of this flow.
    #[inline]
    pub fn side_of(&self, packet: &Packet) -> Option<Side> {
        // What differs, if anything, of all fields at once: nobody knows which way the next packet
        // goes, and a branch that is guessed wrong costs more than both comparisons.
        let ports = |one: u16, other: u16| u32::from(one) | u32::from(other) << 16;
        let [side_0, side_1] = &self.addresses;
        let (source, destination) = (&packet.source, &packet.destination);
        let mine = ports(self.ports[0], self.ports[1]);
        let sent = ports(packet.source_port, packet.destination_port);
        let is_same_protocol = self.protocol == packet.protocol;
        let forth = (side_0 == source) & (side_1 == destination) & (mine == sent);
        let back = (side_1 == source) & (side_0 == destination) & (mine == sent.rotate_left(16));
        let (forth, back) = (forth & is_same_protocol, back & is_same_protocol);
        if forth | back { Some(usize::from(!forth)) } else { None }
    }

    /// Notes a packet's stamp and when it came.
    #[inline]
    pub fn touch(&mut self, stamp: Timestamp, sensor: Timestamp) {
        self.last_seen = self.last_seen.max(stamp);
        self.late = if sensor > self.last_seen { self.lateness(sensor) } else { 0 };
    }

    #[cold]
    fn lateness(&self, sensor: Timestamp) -> u8 {
        let steps = sensor.nanos_since(self.last_seen) / LATE_NANOS + 1;
        u8::try_from(steps).unwrap_or(u8::MAX)
    }

    /// How long the flow had been silent at sensor time `now`, in nanoseconds.
    #[inline]
    pub fn silence_nanos(&self, now: Timestamp) -> i64 {
        now.nanos_since(self.last_seen) - i64::from(self.late) * LATE_NANOS
    }

    /// Whether its time-out had passed at sensor time `now`.
    #[inline]
    pub fn is_over(&self, now: Timestamp) -> bool {
        // Most packets come within the shortest time-out. (Times three centuries apart, for which this
        // is no difference, are a time step.)
        now.0.wrapping_sub(self.last_seen.0) > PATIENCE_NANOS_MIN
            && self.silence_nanos(now) > self.patience.nanos()
    }

    /// Whether the bit of `side` is set, given side 0's.
    #[inline]
    pub fn is_marked(&self, mark: u16, side: Side) -> bool {
        self.marks & (mark << side) != 0
    }

    /// The client's side.
    #[inline]
    pub fn client(&self) -> Side {
        usize::from(self.marks & mark::CLIENT_IS_1)
    }

    /// Makes `side` the client.
    pub fn set_client(&mut self, side: Side) {
        self.marks = (self.marks & !mark::CLIENT_IS_1) | side as u16;
    }
}

/// The time-out with which a new flow begins.
pub fn first_patience(packet: &Packet) -> Patience {
    match packet.protocol {
        protocol::TCP if packet.flags.is_opening() => Patience::HalfOpen,
        protocol::TCP if packet.flags.has(TcpFlags::RST) => Patience::Closed,
        protocol::TCP => Patience::Established,
        protocol::UDP if packet.source_port == 53 || packet.destination_port == 53 => Patience::Dns,
        protocol::UDP => Patience::Udp,
        _ => Patience::Other,
    }
}
