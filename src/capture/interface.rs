//! What the kernel tells of an interface before anything is captured, below `/sys/class/net`.

use std::fs;

/// See the module. What is not told is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InterfaceFacts {
    /// Whether it is up and has a link.
    pub is_up: bool,
    /// Bytes of an IP packet at most.
    pub mtu: Option<u32>,
    /// Mbit/s.
    pub speed_mbits: Option<u32>,
    /// Frames that it dropped since the machine began.
    pub dropped: Option<u64>,
    /// Frames that came damaged.
    pub errors: Option<u64>,
}

/// The facts of an interface; `None` where there is none of this name.
pub fn facts(name: &str) -> Option<InterfaceFacts> {
    let read = |what: &str| fs::read_to_string(format!("/sys/class/net/{name}/{what}")).ok();
    fn number<T: std::str::FromStr>(text: Option<String>) -> Option<T> {
        text?.trim().parse().ok()
    }
    read("ifindex")?;
    Some(InterfaceFacts {
        is_up: !super::watch::is_down(name),
        mtu: number(read("mtu")),
        speed_mbits: number(read("speed")),
        dropped: number(read("statistics/rx_dropped")),
        errors: number(read("statistics/rx_errors")),
    })
}

/// The names of all interfaces.
pub fn names() -> Vec<String> {
    let entries = fs::read_dir("/sys/class/net").into_iter().flatten().flatten();
    let mut names: Vec<_> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_there_and_nonsense_is_not() {
        assert_eq!(facts("no-such-interface"), None);
        if !names().contains(&"lo".to_owned()) {
            println!("skipped: needs a loopback interface");
            return;
        }
        assert!(facts("lo").unwrap().mtu.is_some());
    }
}
