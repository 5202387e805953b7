//! What is typed for times, zones and networks, made usable.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use clap::Args;
use ipnet::IpNet;
use jiff::civil;
use jiff::tz::TimeZone;

use super::Mistake;
use crate::hostname::Hostname;
use crate::net::NetworkSet;
use crate::time::{HourGrid, Minute, Timestamp};
use crate::worker::duplicates::Copies;

/// The time zone with this name.
///
/// # Errors
/// There is none.
pub(super) fn zone(name: &str) -> Result<TimeZone, Mistake> {
    TimeZone::get(name).map_err(|_| {
        Mistake(format!(
            "--zone {name}: no such time zone; give an IANA name such as Europe/Berlin"
        ))
    })
}

/// Where the full hours of a zone begin, from 1970 on.
pub(super) fn hour_grid(zone: &TimeZone) -> HourGrid {
    let epoch = jiff::Timestamp::UNIX_EPOCH;
    let first = (Minute(i32::MIN), zone.to_offset(epoch).seconds() / 60);
    // Rules repeat for ever; stamps of captures end in 2106.
    let last = jiff::Timestamp::from_second(i64::from(u32::MAX)).unwrap_or(jiff::Timestamp::MAX);
    let later = zone.following(epoch).take_while(|transition| transition.timestamp() <= last).map(
        |transition| {
            let minute = Timestamp::from_parts(transition.timestamp().as_second(), 0).minute();
            (minute, transition.offset().seconds() / 60)
        },
    );
    HourGrid::from_offsets(std::iter::once(first).chain(later))
}

/// A moment: RFC 3339, or a date with or without a time, in the zone.
///
/// # Errors
/// It is none of these.
pub(super) fn moment(option: &str, text: &str, zone: &TimeZone) -> Result<Timestamp, Mistake> {
    let exact = text.parse::<jiff::Timestamp>().ok();
    let local = || text.parse::<civil::DateTime>().ok()?.to_zoned(zone.clone()).ok();
    let day = || text.parse::<civil::Date>().ok()?.to_zoned(zone.clone()).ok();
    let stamp = exact.or_else(|| local().or_else(day).map(|zoned| zoned.timestamp()));
    let nanos = stamp.and_then(|stamp| i64::try_from(stamp.as_nanosecond()).ok());
    nanos.map(Timestamp).ok_or_else(|| {
        Mistake(format!(
            "{option} {text}: not a time; give 2026-11-22, 2026-11-22T08:00 or 2026-11-22T08:00:00Z"
        ))
    })
}

/// Networks in prefix notation; an address alone is a network of its own.
///
/// # Errors
/// One is neither.
pub(super) fn networks(option: &str, texts: &[String]) -> Result<Vec<IpNet>, Mistake> {
    let parse = |text: &String| {
        let address = || text.parse::<std::net::IpAddr>().map(IpNet::from).ok();
        text.parse::<IpNet>().ok().or_else(address).ok_or_else(|| {
            Mistake(format!("{option} {text}: not a network; give 10.0.0.0/8 or fd00::/8"))
        })
    };
    texts.iter().map(parse).collect()
}

/// What belongs to the organisation, and what answers for names that it blocks.
#[derive(Args, Debug)]
pub(super) struct OwnArgs {
    /// A domain of the organisation's own: traffic to it and below is private, and no app; may be
    /// given several times
    #[arg(long, value_name = "DOMAIN")]
    pub(super) own_domain: Vec<String>,
    /// A network of the organisation's own servers outside the home networks; may be given several
    /// times
    #[arg(long, value_name = "NET")]
    pub(super) own_server: Vec<String>,
    /// An address that blocked names are answered with: connections to it are failed attempts; may
    /// be given several times
    #[arg(long, value_name = "NET")]
    pub(super) sinkhole: Vec<String>,
}

impl OwnArgs {
    /// The domains.
    ///
    /// # Errors
    /// One is no hostname.
    pub(super) fn domains(&self) -> Result<Vec<String>, Mistake> {
        domains("--own-domain", &self.own_domain)
    }

    /// The servers' networks.
    ///
    /// # Errors
    /// One is no network.
    pub(super) fn servers(&self) -> Result<NetworkSet, Mistake> {
        Ok(NetworkSet::new(networks("--own-server", &self.own_server)?))
    }

    /// The sinkholes' networks.
    ///
    /// # Errors
    /// One is no network.
    pub(super) fn sinkholes(&self) -> Result<NetworkSet, Mistake> {
        Ok(NetworkSet::new(networks("--sinkhole", &self.sinkhole)?))
    }
}

/// Names of domains, as they are compared: lower case, without a dot at either end.
///
/// # Errors
/// One is no hostname.
fn domains(option: &str, texts: &[String]) -> Result<Vec<String>, Mistake> {
    let parse = |text: &String| {
        let bare = text.trim_matches('.').to_ascii_lowercase();
        match Hostname::from_wire(bare.as_bytes()) {
            Ok(_) => Ok(bare),
            Err(_) => Err(Mistake(format!("{option} {text}: not a domain; give acme.example"))),
        }
    };
    texts.iter().map(parse).collect()
}

/// Makes a folder for results, where it is not there, and sees whether files can be made in it.
///
/// # Errors
/// It cannot be made or written, or is something else.
pub(super) fn make_folder(option: &str, folder: &Path) -> Result<(), Mistake> {
    let attempt = folder.join(format!(".writable-{}", std::process::id()));
    fs::create_dir_all(folder)
        .and_then(|()| fs::File::create(&attempt))
        .and_then(|_file| fs::remove_file(&attempt))
        .map_err(|error| {
            let folder = folder.display();
            Mistake(format!("{option} {folder}: {error}; name a folder in which you may write"))
        })
}

/// What is done about packets that a SPAN port shows twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Dedup {
    /// Copies are left out
    On,
    /// Copies are packets like others
    Off,
    /// Copies are left out if one in five of the first 20,000 TCP packets with payload is one
    Auto,
}

impl Dedup {
    pub(super) fn copies(self) -> Copies {
        match self {
            Dedup::On => Copies::LeftOut,
            Dedup::Off => Copies::Kept,
            Dedup::Auto => Copies::Sampled(Arc::default()),
        }
    }
}

/// SHA-256 in hex.
pub(super) fn sha256(text: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The home networks: those given, or the usual ones.
///
/// # Errors
/// One of those given is no network.
pub(super) fn home(texts: &[String]) -> Result<NetworkSet, Mistake> {
    if texts.is_empty() {
        return Ok(NetworkSet::default_home());
    }
    Ok(NetworkSet::new(networks("--home", texts)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_for_results_is_made_and_nothing_left_in_it() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("a/b");
        make_folder("--out", &folder).unwrap();
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
        let file = place.path().join("file");
        fs::write(&file, "").unwrap();
        let mistake = make_folder("--out", &file).unwrap_err();
        assert!(mistake.0.starts_with("--out ") && mistake.0.contains("file"), "{mistake}");
    }

    #[test]
    fn moments_may_be_days_times_or_exact() {
        let zone = zone("Europe/Berlin").unwrap();
        let seconds = |text| moment("--from", text, &zone).unwrap().seconds();
        assert_eq!(seconds("2026-11-22"), 1_795_302_000);
        assert_eq!(seconds("2026-11-22T08:00"), 1_795_302_000 + 8 * 3600);
        assert_eq!(seconds("2026-11-22T08:00:00Z"), 1_795_302_000 + 9 * 3600);
        assert!(moment("--from", "yesterday", &zone).unwrap_err().0.contains("--from yesterday"));
    }

    #[test]
    fn half_hour_zones_have_their_own_hours() {
        let grid = hour_grid(&zone("Asia/Kolkata").unwrap());
        assert_eq!(grid.hour(Minute(29_000_031)).0.rem_euclid(60), 30);
        assert_eq!(hour_grid(&zone("Europe/Berlin").unwrap()), HourGrid::utc());
        // Half an hour of daylight saving: hours begin at 30 past in winter only.
        let grid = hour_grid(&zone("Australia/Lord_Howe").unwrap());
        let july = Timestamp::from_parts(1_783_000_000, 0).minute();
        let january = Timestamp::from_parts(1_768_000_000, 0).minute();
        assert_eq!(
            (grid.hour(july).0.rem_euclid(60), grid.hour(january).0.rem_euclid(60)),
            (30, 0)
        );
    }
}
