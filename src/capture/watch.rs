//! Whether interfaces are there and up, as the kernel tells below `/sys/class/net`.
//!
//! Where that cannot be read, an interface counts as up: what cannot be seen is not claimed.

use std::fs;

use crate::time::{NANOS_PER_SECOND, Timestamp};

/// How often is looked, in nanoseconds.
const LOOK_NANOS: i64 = NANOS_PER_SECOND / 4;
/// `IFF_UP` (linux/if.h).
const FLAG_UP: u32 = 1;

/// Looks after interfaces.
pub(super) struct Watch {
    interfaces: Vec<Watched>,
    looked_at: Timestamp,
    /// Time that interfaces were down and that nobody has been told of, in nanoseconds.
    down_nanos: u64,
}

struct Watched {
    name: String,
    /// The kernel's number of it at the beginning; none where it does not tell.
    index: Option<u32>,
    /// Since when it is down, as far as that was told.
    down_since: Option<Timestamp>,
}

impl Watch {
    pub(super) fn new(names: &[String]) -> Watch {
        let watched = |name: &String| Watched {
            name: name.clone(),
            index: number(name, "ifindex", 10),
            down_since: None,
        };
        Watch {
            interfaces: names.iter().map(watched).collect(),
            looked_at: Timestamp::MIN,
            down_nanos: 0,
        }
    }

    /// Looks, unless it did a moment ago. The name of an interface that has come back as another.
    pub(super) fn look(&mut self, now: Timestamp) -> Option<String> {
        // The clock may go back: then it is time to look as well.
        if (0..LOOK_NANOS).contains(&now.nanos_since(self.looked_at)) {
            return None;
        }
        self.looked_at = now;
        for interface in &mut self.interfaces {
            if let (Some(index), Some(known)) =
                (number(&interface.name, "ifindex", 10), interface.index)
                && index != known
            {
                return Some(interface.name.clone());
            }
            let is_gone =
                interface.index.is_some() && number(&interface.name, "ifindex", 10).is_none();
            let is_down = is_gone || is_down(&interface.name);
            match (is_down, interface.down_since) {
                (true, None) => interface.down_since = Some(now),
                (false, Some(since)) => {
                    self.down_nanos += span(since, now);
                    interface.down_since = None;
                }
                _ => {}
            }
        }
        None
    }

    /// For how long interfaces were down since the last time this was asked, in nanoseconds.
    pub(super) fn take_down(&mut self, now: Timestamp) -> u64 {
        for interface in &mut self.interfaces {
            if let Some(since) = &mut interface.down_since {
                self.down_nanos += span(*since, now);
                *since = now;
            }
        }
        std::mem::take(&mut self.down_nanos)
    }
}

/// Whether an interface is known to be down, or to have no link.
pub(super) fn is_down(name: &str) -> bool {
    number(name, "flags", 16).is_some_and(|flags| flags & FLAG_UP == 0)
        || read(name, "operstate")
            .is_some_and(|state| matches!(&*state, "down" | "lowerlayerdown" | "notpresent"))
}

/// The machine's time.
#[allow(clippy::disallowed_methods, reason = "stamps of live frames are the machine's time")]
pub(super) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let since = since.unwrap_or_default();
    Timestamp::from_parts(i64::try_from(since.as_secs()).unwrap_or(i64::MAX), since.subsec_nanos())
}

fn span(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.nanos_since(from)).unwrap_or(0)
}

/// What the kernel says of an interface under a name.
fn read(interface: &str, what: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/sys/class/net/{interface}/{what}")).ok()?;
    Some(text.trim().to_owned())
}

fn number(interface: &str, what: &str, radix: u32) -> Option<u32> {
    let text = read(interface, what)?;
    u32::from_str_radix(text.trim_start_matches("0x"), radix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_not_down() {
        assert!(!is_down("no-such-interface"));
        let mut watch = Watch::new(&["no-such-interface".to_owned()]);
        let at = |seconds| Timestamp::from_parts(seconds, 0);
        assert_eq!(watch.look(at(10)), None);
        assert_eq!(watch.look(at(5)), None);
        assert_eq!(watch.take_down(at(60)), 0);
    }

    #[test]
    fn the_loopback_interface_is_up() {
        let mut watch = Watch::new(&["lo".to_owned()]);
        let at = Timestamp::from_parts(10, 0);
        if number("lo", "flags", 16).is_none_or(|flags| flags & FLAG_UP == 0) {
            println!("skipped: needs a loopback interface that is up");
            return;
        }
        assert_eq!(watch.look(at), None);
        assert_eq!(watch.take_down(at), 0);
    }
}
