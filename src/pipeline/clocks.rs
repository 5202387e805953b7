//! How many machines open connections from one address, by their timestamp clocks (RFC 7323).
//!
//! The clock of a machine goes on steadily, from where nobody else's is: what it shows less the time
//! at which it is seen stays the same, and two machines behind an address are two lines (Kohno, Broido
//! and Claffy 2005). Where a line begins some systems decide anew for each server (Linux: a hash of
//! both addresses), so that only lines towards one server are counted, and others for each connection
//! (Apple, FreeBSD): these are on no line, since a line counts once a second connection is on it. So a
//! machine with one address is at most one line, whatever it runs.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::RandomState;

use crate::evidence::source::Trait;
use crate::footprint;
use crate::net::Address;
use crate::time::Hour;
use crate::worker::seen::Opening;

/// Ticks of a clock in a second: what Linux (4.13 and later) and all others in use have. A clock of
/// another rate has no line.
const TICKS_PER_SECOND: i64 = 1000;
/// How far a connection may be from its line: an hour's drift and the way here.
const TOLERANCE_TICKS: i32 = 500;
/// How far apart two connections have to be, in seconds: a clock with 250 or 300 ticks in a second is
/// off its line by then.
const APART_SECONDS: i64 = 2;
/// Lines that are remembered, of all addresses.
const LINES_MAX: usize = 7 << 14;
/// Memory of as many, and of as many numbers of them.
pub(super) const BYTES_MAX: usize =
    footprint::map(LINES_MAX, size_of::<((Hour, u32, Address), Vec<Line>)>())
        + LINES_MAX * footprint::heap(size_of::<Line>())
        + footprint::tree(LINES_MAX, size_of::<((Hour, u32), u64)>());

/// There is no room for another line.
#[derive(Debug, PartialEq, Eq)]
pub struct Full;

/// A clock, as one server sees it.
struct Line {
    /// What it showed when time began; of the latest connection.
    offset: u32,
    /// Seconds at which it was first seen.
    first: i64,
    /// Whether a second connection is on it.
    counts: bool,
}

/// Clocks of the hours that may still come.
#[derive(Default)]
pub struct Clocks {
    lines: HashMap<(Hour, u32, Address), Vec<Line>, RandomState>,
    kept: usize,
    /// The most lines towards one server that were told of an address in an hour.
    most: BTreeMap<(Hour, u32), u64>,
    latest: Option<Hour>,
}

impl Clocks {
    /// Takes a connection that a subject opens and what its clock shows. Answers the number of a line,
    /// from 1 on, where the subject has more of them than before in this hour.
    ///
    /// # Errors
    /// There is no room for another line.
    pub fn see(&mut self, subject: u32, seen: &Opening, clock: u32) -> Result<Option<u64>, Full> {
        let hour = seen.hour;
        self.go_on(hour);
        let key = (hour, subject, seen.server.address);
        let lines = self.lines.get_mut(&key).map(Vec::as_mut_slice).unwrap_or_default();
        let now = seen.time.seconds();
        let ticks = seen.time.0.div_euclid(1_000_000_000 / TICKS_PER_SECOND);
        let offset = clock.wrapping_sub(ticks as u32);
        let is_on = |line: &&mut Line| {
            (offset.wrapping_sub(line.offset) as i32).unsigned_abs() <= TOLERANCE_TICKS as u32
        };
        let Some(line) = lines.iter_mut().find(is_on) else {
            if self.kept >= LINES_MAX || lines.len() >= 2 * Trait::VALUES_MAX {
                return Err(Full);
            }
            self.kept += 1;
            let lines = self.lines.entry(key).or_default();
            lines.reserve_exact(1);
            lines.push(Line { offset, first: now, counts: false });
            return Ok(None);
        };
        line.offset = offset;
        if line.counts || now < line.first + APART_SECONDS {
            return Ok(None);
        }
        line.counts = true;
        let count = lines.iter().filter(|line| line.counts).count() as u64;
        let most = self.most.entry((hour, subject)).or_default();
        let is_more = count > *most;
        *most = count.max(*most);
        Ok(is_more.then_some(count))
    }

    /// Forgets hours of which nothing more comes.
    fn go_on(&mut self, hour: Hour) {
        if self.latest.is_some_and(|latest| hour <= latest) {
            return;
        }
        self.latest = Some(hour);
        let is_open = |of: Hour| of.start_seconds() >= hour.start_seconds() - 3600;
        self.lines.retain(|(of, ..), _| is_open(*of));
        self.kept = self.lines.values().map(Vec::len).sum();
        self.most.retain(|(of, _), _| is_open(*of));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Endpoint;
    use crate::time::Timestamp;

    const HOUR: Hour = Hour(500_000);

    fn opening(time: Timestamp, hour: Hour, server: Address) -> Opening {
        let client = Endpoint { address: Address::v4([10, 0, 0, 1]), port: 40_000 };
        let server = Endpoint { address: server, port: 443 };
        Opening { time, hour, client, server, order: 0, ticks: None, link: None }
    }

    /// Numbers that are told of connections: milliseconds, server and ticks.
    fn told(connections: &[(i64, u8, u32)]) -> Vec<u64> {
        let mut clocks = Clocks::default();
        let see = |&(milliseconds, server, ticks): &(i64, u8, u32)| {
            let time = Timestamp(milliseconds * 1_000_000);
            let server = Address::v4([198, 18, 0, server]);
            clocks.see(7, &opening(time, HOUR, server), ticks).unwrap()
        };
        connections.iter().filter_map(see).collect()
    }

    #[test]
    fn machines_have_a_line_each() {
        let machines = |n: u32, rounds: i64| -> Vec<_> {
            let round = |round: i64| (0..n).map(move |machine| (round, machine));
            let of = |(round, machine): (i64, u32)| {
                let at = round * 60_000 + i64::from(machine) * 7;
                (at, 1, (at as u32).wrapping_add(machine.wrapping_mul(0x9e37_79b9)))
            };
            (0..rounds).flat_map(round).map(of).collect()
        };
        assert_eq!(told(&machines(5, 2)), [1, 2, 3, 4, 5]);
        assert_eq!(told(&machines(1, 9)), [1]);
        // A second connection is needed.
        assert!(told(&machines(30, 1)).is_empty());
    }

    #[test]
    fn a_machine_alone_is_one_whatever_it_does() {
        // Linux: another offset for each server.
        let servers: Vec<_> = (0..40)
            .map(|n: u8| {
                (i64::from(n) * 3000, n % 20, u32::from(n) * 3000 + u32::from(n % 20) * 77_777)
            })
            .collect();
        assert_eq!(told(&servers), [1]);
        // Apple: another for each connection.
        let mixed = |n: u32| n.wrapping_mul(0x9e37_79b9) ^ n << 7;
        let random: Vec<_> = (0..40).map(|n: u32| (i64::from(n) * 3000, 1, mixed(n))).collect();
        assert!(told(&random).is_empty());
        // An old kernel: 250 ticks in a second.
        let slow: Vec<_> = (0..40).map(|n: u32| (i64::from(n) * 3000, 1, n * 750)).collect();
        assert!(told(&slow).is_empty());
        // It goes 100 ppm too fast, and its clock runs over.
        let fast: Vec<_> = (0..40)
            .map(|n: i64| n * 80_000)
            .map(|at| (at, 1, (u32::MAX - 9).wrapping_add((at + at / 10_000) as u32)))
            .collect();
        assert_eq!(told(&fast), [1]);
    }

    #[test]
    fn hours_that_are_over_are_forgotten() {
        let mut clocks = Clocks::default();
        let server = Address::v4([198, 18, 0, 1]);
        for hour in 0..50 {
            let time = Timestamp(i64::from(hour) * 3_600_000_000_000);
            assert_eq!(clocks.see(1, &opening(time, Hour(60 * hour), server), 0), Ok(None));
            assert!(clocks.lines.len() <= 2 && clocks.kept <= 2);
        }
    }
}
