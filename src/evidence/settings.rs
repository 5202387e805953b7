//! Thresholds as a file: TOML with the tables `[evidence]` and `[shared_sources]`; what is not
//! there has its default.
//!
//! ```toml
//! [evidence]
//! interactive_bytes = 50000
//!
//! [shared_sources]
//! server_clients = 20
//! known = [{ network = "10.0.0.53", is = "resolver" }]
//! ```

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, de};

use super::source::SourceSettings;
use crate::usage::FOLLOWED_SECONDS;

/// Everything that decides what a report calls use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// When traffic is use.
    pub evidence: Thresholds,
    /// When an address is no person.
    pub shared_sources: SourceSettings,
}

/// When traffic is use. Bytes are those of IP packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Thresholds {
    /// Bytes from the client behind its hello in one connection, from which on it had something to
    /// say beyond its handshake.
    pub payload_bytes_up: u64,
    /// Bytes both ways behind the hello, from which on there was more than a handshake.
    pub payload_bytes: u64,
    /// Bytes both ways behind the hello in one connection to a host of role `use`, from which on
    /// it is interactive.
    pub interactive_bytes: u64,
    /// Bytes from the client behind its hello in such a connection, from which on it is.
    pub interactive_bytes_up: u64,
    /// Quarter-hours of one hour with payload both ways on such hosts, from which on it is.
    pub interactive_quarters: u64,
    /// A silence of so many seconds between two beginnings ends the load of a page; one of
    /// [`FOLLOWED_SECONDS`].
    pub shadow_seconds: u64,
    /// Bytes both ways, for each minute with loads, up to which an app that appeared only while
    /// other sites loaded was embedded by them.
    pub shadow_bytes: u64,
    /// Bytes from the client in one connection, from which on that is no embed.
    pub shadow_bytes_up: u64,
    /// Hours of a day with payload, from which on there may be synchronisation.
    pub sync_hours: u64,
    /// Minutes with payload in each of them, on the average, up to which it is.
    pub sync_minutes: u64,
    /// Per cent of the pauses that are as long as the middle one, within a fifth or a minute.
    pub sync_regular_percent: u64,
}

impl Default for Thresholds {
    fn default() -> Thresholds {
        Thresholds {
            payload_bytes_up: 700,
            payload_bytes: 7_000,
            interactive_bytes: 20_000,
            interactive_bytes_up: 4_000,
            interactive_quarters: 2,
            shadow_seconds: 2,
            shadow_bytes: 100_000,
            shadow_bytes_up: 4_000,
            sync_hours: 6,
            sync_minutes: 20,
            sync_regular_percent: 80,
        }
    }
}

impl Settings {
    /// From the text of a file.
    ///
    /// # Errors
    /// What is wrong, with the line.
    pub fn parse(text: &str) -> Result<Settings, String> {
        let settings: Settings = toml::from_str(text).map_err(|error| error.to_string())?;
        let seconds = settings.evidence.shadow_seconds;
        if !FOLLOWED_SECONDS.iter().any(|known| u64::from(*known) == seconds) {
            return Err(format!(
                "shadow_seconds = {seconds}: the database keeps {FOLLOWED_SECONDS:?}; give one of \
                 them"
            ));
        }
        if settings.evidence.sync_regular_percent > 100 {
            return Err("sync_regular_percent: more than 100 per cent is never reached".into());
        }
        Ok(settings)
    }
}

/// A network in prefix notation; an address alone is a network of its own.
pub(super) fn network<'de, D: Deserializer<'de>>(deserializer: D) -> Result<IpNet, D::Error> {
    let text = String::deserialize(deserializer)?;
    let address = || text.parse::<IpAddr>().map(IpNet::from);
    text.parse().or_else(|_| address()).map_err(|_| {
        de::Error::custom(format!("{text}: not a network; give 10.0.0.0/8 or an address"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_given_has_its_default() {
        assert_eq!(Settings::parse("").unwrap(), Settings::default());
        let settings = Settings::parse("[evidence]\ninteractive_bytes = 7").unwrap();
        let expected = Thresholds { interactive_bytes: 7, ..Thresholds::default() };
        assert_eq!(settings.evidence, expected);
    }

    #[test]
    fn mistakes_are_named() {
        let wrong = |text: &str| Settings::parse(text).unwrap_err();
        assert!(wrong("[evidence]\ninteractive_byte = 7").contains("interactive_byte"));
        assert!(wrong("[evidence]\nshadow_seconds = 3").contains("[1, 2, 5]"));
        let known = "[shared_sources]\nknown = [{ network = '10.0.0.0/40', is = 'server' }]";
        assert!(wrong(known).contains("10.0.0.0/40: not a network"));
        assert!(wrong("[evidence]\nsync_regular_percent = 101").contains("100"));
    }
}
