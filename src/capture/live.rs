//! Network interfaces as rings: one libpcap handle for each worker and interface.
//!
//! The handles of an interface are a PACKET_FANOUT group, over which the kernel spreads frames by
//! their pair of addresses (see `spread`); the program is the same for all interfaces, so that what
//! two halves of a tap show of a connection comes to one worker. Excluded VLANs and networks are
//! left out by the kernel. No address is needed on an interface, and nothing is sent.
//!
//! A ring is read without waiting; where all of a worker are empty, it waits for the kernel for as
//! long as a ring holds back frames, so that an idle port has a time and an end is seen at once.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ::pcap::{Active, Capture, Precision, Stat};
use ipnet::IpNet;
use rustix::event::{PollFd, PollFlags, Timespec};
use thiserror::Error;

use super::filter::{Instruction, compile_for, text};
use super::ring::{Ending, Polled, Ring};
use super::watch::{self, Watch};
use super::{BLOCK_BYTES, Block, socket, spread};
use crate::packet::LinkType;
use crate::time::Timestamp;
use crate::worker::part::RingSums;

/// How long the kernel keeps frames back to hand them over together, in milliseconds.
const HOLD_BACK_MILLIS: i32 = 100;
/// A frame is given at the latest so long after its stamp, where its ring is asked: the time for
/// which it is held back, twice.
const IDLE_LAG_NANOS: i64 = 2 * HOLD_BACK_MILLIS as i64 * 1_000_000;
/// Frames that are taken from a handle before the next one is asked.
const FRAMES_AT_ONCE: usize = 256;
/// So often nothing must have been there for the kernel to have kept nothing back, whatever the
/// clock says.
const EMPTY_READS: u32 = 4;
/// Bytes of memory for the frames of a handle that wait, where nothing else is said.
pub const RING_BYTES: u32 = 64 << 20;
/// Bytes of a frame that are captured, where nothing else is said. Enough for the ClientHellos
/// with post-quantum key shares, also where the interface has put their segments together.
pub const SNAP_BYTES: u32 = 4096;
/// Errors of a handle in a row after which it has failed, where its interface is there and up.
const ERRORS_MAX: u32 = 20;
/// VLAN identifiers (IEEE 802.1Q, 9.6).
pub const VLAN_MAX: u16 = 4094;

// Classic BPF, as in `spread`.
const LOAD_WORD: u16 = 0x20;
const AND: u16 = 0x54;
const JUMP_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;
/// `SKF_AD_OFF + SKF_AD_VLAN_TAG`: the tag that the kernel has taken away; 0 without.
const KERNEL_TAG: u32 = (-0x1000_i32 as u32).wrapping_add(44);
/// The bits of a tag that hold the identifier.
const TAG_IDENTIFIER: u32 = 0x0fff;

/// What is captured, and how.
#[derive(Clone, Debug)]
pub struct LiveSettings {
    /// Names of the interfaces.
    pub interfaces: Vec<String>,
    /// Rings, one for each worker.
    pub rings: usize,
    /// Bytes of memory for each worker's frames that wait, of each interface.
    pub ring_bytes: u32,
    /// Bytes of a frame that are captured at most.
    pub snap_bytes: u32,
    /// Only frames that pass this filter (pcap-filter(7)).
    pub filter: Option<String>,
    /// Frames of these VLANs are left out; by the outermost tag.
    pub excluded_vlans: Vec<u16>,
    /// Frames from and to addresses of these networks are left out.
    pub excluded_networks: Vec<IpNet>,
}

/// Why capturing did not begin.
#[derive(Debug, Error)]
pub enum LiveError {
    /// There is no such interface, or nothing can be captured on it.
    #[error(
        "--interface {interface}: {message}; `ip link` lists interfaces, and capturing needs the \
         capability CAP_NET_RAW (run as a service, or with `sudo setcap cap_net_raw+ep` on the \
         program)"
    )]
    Interface {
        /// Its name.
        interface: String,
        /// libpcap's message.
        message: String,
    },
    /// libpcap does not understand the filter.
    #[error("--filter {expression:?}: {message}; pcap-filter(7) tells how filters are written")]
    Filter {
        /// What was given, with what stands for excluded networks.
        expression: String,
        /// libpcap's message.
        message: String,
    },
    /// The kernel refuses.
    #[error("--interface {interface}: {what} failed: {source}")]
    Kernel {
        /// The interface's name.
        interface: String,
        /// What was asked for.
        what: &'static str,
        /// What the kernel says.
        source: io::Error,
    },
}

/// A worker's ring: its handles on all interfaces.
pub struct LiveRing {
    handles: Vec<Handle>,
    /// Where this is the ring that looks after the interfaces.
    watch: Option<Watch>,
    shared: Arc<Shared>,
    /// Nothing was there when it was asked last.
    was_empty: bool,
    /// When the end was asked for.
    ends_at: Option<Timestamp>,
    /// How often nothing was there since then.
    empty_reads: u32,
    /// The interface that came back as another one: what is in the rings is still given.
    replaced: Option<String>,
}

/// What the rings of a run have in common.
struct Shared {
    /// Somebody asks for the end.
    stop: Arc<AtomicBool>,
    /// Nothing more will come on one of the interfaces.
    is_last: AtomicBool,
    /// One of the rings cannot go on.
    halted: AtomicBool,
}

struct Handle {
    capture: Capture<Active>,
    interface: Arc<str>,
    link: LinkType,
    /// Frames with earlier stamps came before all handles shared their frames.
    since: Timestamp,
    /// Until the first frame that is not that old, or the kernel can have kept none back.
    is_starting: bool,
    /// How often nothing was there, meanwhile.
    empty_reads: u32,
    statistics: Stat,
    /// Errors since the last success.
    errors: u32,
}

/// Opens all interfaces. `stop` ends the rings: what is in them is still given.
///
/// # Errors
/// An interface cannot be opened, or the filter cannot be compiled.
pub fn open(settings: &LiveSettings, stop: Arc<AtomicBool>) -> Result<Vec<LiveRing>, LiveError> {
    let shared =
        Arc::new(Shared { stop, is_last: AtomicBool::new(false), halted: AtomicBool::new(false) });
    let spread = spread::program(seed(), spread::Place::Kernel);
    let mut rings: Vec<LiveRing> = Vec::new();
    for number in 0..settings.rings {
        let watch = (number == 0).then(|| Watch::new(&settings.interfaces));
        let shared = Arc::clone(&shared);
        rings.push(LiveRing {
            handles: Vec::new(),
            watch,
            shared,
            was_empty: false,
            ends_at: None,
            empty_reads: 0,
            replaced: None,
        });
    }
    for interface in &settings.interfaces {
        let mut group = None;
        for ring in &mut rings {
            let handle = Handle::open(interface, settings)?;
            if settings.rings > 1 {
                let joined = socket::join_group(handle.capture.as_fd(), group, &spread);
                group = Some(joined.map_err(|source| LiveError::Kernel {
                    interface: interface.clone(),
                    what: "sharing frames with other workers (PACKET_FANOUT)",
                    source,
                })?);
            }
            ring.handles.push(handle);
        }
    }
    // From now on each frame comes to one ring only.
    let since = watch::now();
    for handle in rings.iter_mut().flat_map(|ring| &mut ring.handles) {
        handle.since = since;
        handle.statistics = handle.capture.stats().unwrap_or(handle.statistics);
    }
    Ok(rings)
}

fn seed() -> u32 {
    use std::hash::BuildHasher;
    foldhash::fast::RandomState::default().hash_one(0_u32) as u32
}

impl Handle {
    fn open(interface: &str, settings: &LiveSettings) -> Result<Handle, LiveError> {
        let failed = |error: ::pcap::Error| LiveError::Interface {
            interface: interface.into(),
            message: text(error),
        };
        let bytes = |bytes: u32| i32::try_from(bytes).unwrap_or(i32::MAX);
        let capture = Capture::from_device(interface)
            .map_err(failed)?
            .promisc(true)
            .snaplen(bytes(settings.snap_bytes))
            .buffer_size(bytes(settings.ring_bytes))
            .timeout(HOLD_BACK_MILLIS)
            .precision(Precision::Nano)
            .open()
            .and_then(Capture::setnonblock)
            .map_err(failed)?;
        let program = program(&capture, settings)?;
        if !program.is_empty() {
            let attached = socket::attach_filter(capture.as_fd(), &program);
            attached.map_err(|source| LiveError::Kernel {
                interface: interface.into(),
                what: "filtering",
                source,
            })?;
        }
        let link = LinkType(u16::try_from(capture.get_datalink().0).unwrap_or(u16::MAX));
        Ok(Handle {
            capture,
            interface: interface.into(),
            link,
            since: Timestamp::MIN,
            is_starting: true,
            empty_reads: 0,
            statistics: Stat { received: 0, dropped: 0, if_dropped: 0 },
            errors: 0,
        })
    }

    /// Moves what has come into `block`, up to its size.
    fn read(&mut self, block: &mut Block) -> Result<(), ::pcap::Error> {
        let link = self.link;
        while block.bytes() < BLOCK_BYTES {
            let count = if self.is_starting {
                let (since, mut is_starting) = (self.since, true);
                let count = self.capture.dispatch(Some(FRAMES_AT_ONCE), |packet| {
                    let time = stamp(packet.header);
                    if time >= since {
                        is_starting = false;
                        block.push(time, link, packet.header.len, packet.data);
                    }
                })?;
                self.empty_reads += u32::from(count == 0);
                self.is_starting = is_starting && self.empty_reads < EMPTY_READS;
                count
            } else {
                self.capture.dispatch(Some(FRAMES_AT_ONCE), |packet| {
                    block.push(stamp(packet.header), link, packet.header.len, packet.data);
                })?
            };
            if count < FRAMES_AT_ONCE {
                break;
            }
        }
        self.errors = 0;
        Ok(())
    }

    /// What the kernel counted since the last time, in its 32 bits that wrap.
    fn statistics(&mut self, is_first: bool) -> RingSums {
        let Ok(now) = self.capture.stats() else { return RingSums::default() };
        let before = std::mem::replace(&mut self.statistics, now);
        let since = |now: u32, before: u32| u64::from(now.wrapping_sub(before));
        RingSums {
            received: since(now.received, before.received),
            dropped: since(now.dropped, before.dropped),
            // What an interface drops is told to each of its handles.
            interface_dropped: if is_first { since(now.if_dropped, before.if_dropped) } else { 0 },
            down_nanos: 0,
        }
    }
}

/// With [`Precision::Nano`], the field for microseconds holds nanoseconds.
#[inline]
fn stamp(header: &::pcap::PacketHeader) -> Timestamp {
    Timestamp::from_parts(header.ts.tv_sec, header.ts.tv_usec as u32)
}

/// What the kernel is to run for each frame; nothing where all frames are wanted.
fn program(
    capture: &Capture<Active>,
    settings: &LiveSettings,
) -> Result<Vec<Instruction>, LiveError> {
    let op = |code, k| Instruction { code, jump_true: 0, jump_false: 0, k };
    let mut program = Vec::new();
    if !settings.excluded_vlans.is_empty() {
        program.extend([op(LOAD_WORD, KERNEL_TAG), op(AND, TAG_IDENTIFIER)]);
        for &vlan in &settings.excluded_vlans {
            program.push(Instruction { jump_false: 1, ..op(JUMP_EQUAL, vlan.into()) });
            program.push(op(RETURN, 0));
        }
    }
    match expression(settings) {
        Some(expression) => {
            let compiled = compile_for(capture, &expression);
            program
                .extend(compiled.map_err(|message| LiveError::Filter { expression, message })?.0);
        }
        None if program.is_empty() => {}
        None => program.push(op(RETURN, settings.snap_bytes)),
    }
    Ok(program)
}

/// The filter and the excluded networks as one expression.
fn expression(settings: &LiveSettings) -> Option<String> {
    let mut terms = Vec::new();
    terms.extend(settings.filter.as_ref().map(|filter| format!("({filter})")));
    if !settings.excluded_networks.is_empty() {
        let networks: Vec<String> =
            settings.excluded_networks.iter().map(|net| format!("net {}", net.trunc())).collect();
        let networks = networks.join(" or ");
        terms.push(format!("not ({networks})"));
        // Last, since `vlan` moves all that stands behind it.
        terms.push(format!("not (vlan and ({networks}))"));
    }
    (!terms.is_empty()).then(|| terms.join(" and "))
}

impl Ring for LiveRing {
    fn poll(&mut self, block: &mut Block) -> Polled {
        block.clear();
        if self.shared.halted.load(Ordering::Relaxed) {
            return Polled::Ended(Ending::Asked);
        }
        if self.was_empty {
            self.wait();
        }
        let asked = watch::now();
        if self.replaced.is_none() {
            self.replaced = self.watch.as_mut().and_then(|watch| watch.look(asked));
            self.shared.is_last.fetch_or(self.replaced.is_some(), Ordering::Relaxed);
        }
        for number in 0..self.handles.len() {
            if let Err(error) = self.handles[number].read(block)
                && let Some(ending) = self.complaint(number, error)
            {
                return self.halt(ending);
            }
        }
        let is_last =
            [&self.shared.stop, &self.shared.is_last].iter().any(|end| end.load(Ordering::Relaxed));
        if self.ends_at.is_none() && is_last {
            self.ends_at = Some(asked);
        }
        self.was_empty = block.records.is_empty();
        self.empty_reads += u32::from(self.was_empty && self.ends_at.is_some());
        let idle = asked.offset(-IDLE_LAG_NANOS);
        let first = block.records.first().map_or(idle, |record| record.time);
        if self.ends_at.is_some_and(|end| first > end) || self.empty_reads >= EMPTY_READS {
            return Polled::Ended(self.replaced.take().map_or(Ending::Asked, Ending::Replaced));
        }
        if self.was_empty { Polled::Idle(idle) } else { Polled::Frames }
    }

    fn statistics(&mut self) -> RingSums {
        let mut sums = RingSums::default();
        let is_first = self.watch.is_some();
        for handle in &mut self.handles {
            sums.merge(&handle.statistics(is_first));
        }
        if let Some(watch) = &mut self.watch {
            sums.down_nanos = watch.take_down(watch::now());
        }
        sums
    }
}

impl LiveRing {
    /// Waits until there is something, but no longer than a frame is held back.
    fn wait(&self) {
        let is_well = |handle: &&Handle| handle.errors == 0;
        // What has failed would be ready at once, again and again.
        let well = self.handles.iter().filter(is_well);
        let mut sockets: Vec<PollFd<'_>> =
            well.map(|handle| PollFd::new(&handle.capture, PollFlags::IN)).collect();
        let wait = Timespec { tv_sec: 0, tv_nsec: i64::from(HOLD_BACK_MILLIS) * 1_000_000 };
        // A signal ends the wait early, which is what it is for.
        let _interrupted = rustix::event::poll(&mut sockets, Some(&wait));
    }

    /// What an error of a handle amounts to: while its interface is down it will pass.
    fn complaint(&mut self, number: usize, error: ::pcap::Error) -> Option<Ending> {
        let handle = self.handles.get_mut(number)?;
        handle.errors += 1;
        let is_gone = self.shared.is_last.load(Ordering::Relaxed);
        if handle.errors <= ERRORS_MAX || is_gone || watch::is_down(&handle.interface) {
            return None;
        }
        Some(Ending::Failed(handle.interface.to_string(), text(error)))
    }

    fn halt(&self, ending: Ending) -> Polled {
        self.shared.halted.store(true, Ordering::Relaxed);
        Polled::Ended(ending)
    }
}

/// Link types of the interfaces, by their names: for what wants to tell which cannot be read.
pub fn link_types(rings: &[LiveRing]) -> BTreeMap<String, LinkType> {
    let handles = rings.iter().flat_map(|ring| &ring.handles);
    handles.map(|handle| (handle.interface.to_string(), handle.link)).collect()
}
