//! What is typed for times, zones and networks, made usable.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::ValueEnum;
use ipnet::IpNet;
use jiff::civil;
use jiff::tz::TimeZone;

use super::{Mistake, evidence_args};
use crate::config::arguments::{Few, Given, Keys};
use crate::config::{Config, ConfigError, setting};
use crate::feeds::{self, identities::IdentitiesError};
use crate::hostname::{Hostname, is_public_suffix};
use crate::identity::Identities;
use crate::net::NetworkSet;
use crate::report::hex;
use crate::service::keeping::Ages;
use crate::service::reload::Inputs;
use crate::time::{HourGrid, Minute, Timestamp};
use crate::worker::Networks;
use crate::worker::duplicates::Copies;

/// Characters of a site's name: more would be a text in every row of the ledger.
const SITE_CHARS_MAX: usize = 64;

/// The configuration: what was given, the environment, the file, the defaults.
///
/// # Errors
/// See [`Config::load`].
pub(super) fn load(given: &Given) -> Result<Config, ConfigError> {
    Config::load(given, |name| std::env::var(name).ok())
}

/// The time zone that is configured.
///
/// # Errors
/// There is none of this name.
pub(super) fn zone(config: &Config) -> Result<TimeZone, Mistake> {
    zone_named(&config.place("store.zone"), config.text("store.zone").unwrap_or("UTC"))
}

/// The time zone with this name.
///
/// # Errors
/// There is none.
pub(super) fn zone_named(place: &str, name: &str) -> Result<TimeZone, Mistake> {
    // Which needs none of the machine's zones, whose folder takes a while to read.
    if name == "UTC" {
        return Ok(TimeZone::UTC);
    }
    TimeZone::get(name).map_err(|_| {
        Mistake(format!(
            "{place} {name}: no such time zone; give an IANA name such as Europe/Berlin"
        ))
    })
}

/// The site that is configured: the name of the place whose traffic is shown.
///
/// # Errors
/// It is too long, or no name.
pub(super) fn site(config: &Config) -> Result<String, Mistake> {
    site_named(&config.place("store.site"), config.text("store.site").unwrap_or_default())
}

/// The site with this name; empty where it has none. White space around it is no part of it.
///
/// # Errors
/// It has more than [`SITE_CHARS_MAX`] characters, or control characters.
pub(super) fn site_named(place: &str, name: &str) -> Result<String, Mistake> {
    let name = name.trim();
    let wrong = if name.chars().count() > SITE_CHARS_MAX {
        "too long"
    } else if name.chars().any(char::is_control) {
        "control characters are no part of a name"
    } else {
        return Ok(name.to_owned());
    };
    Err(Mistake(format!(
        "{place} {shown:?}: {wrong}; give a name of at most {SITE_CHARS_MAX} characters such as Berlin",
        shown = name.chars().take(SITE_CHARS_MAX).collect::<String>(),
    )))
}

/// Where the database is.
pub(super) fn db(config: &Config) -> PathBuf {
    config.path("store.db").unwrap_or_else(|| setting("store.db").default.into())
}

/// The folder that a file is in: where a link leads is where the file is.
pub(super) fn folder_of(path: &Path) -> PathBuf {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

/// Who has which address.
///
/// # Errors
/// The file cannot be used.
pub(super) fn identities(config: &Config) -> Result<Identities, IdentitiesError> {
    config
        .path("identity.file")
        .as_deref()
        .map_or_else(|| Ok(Identities::default()), feeds::identities::read)
}

/// The networks of a setting.
///
/// # Errors
/// One is none.
pub(super) fn networks_of(config: &Config, key: &str) -> Result<Vec<IpNet>, Mistake> {
    networks(&config.place(key), config.list(key))
}

/// The home networks: those configured, or the usual ones.
///
/// # Errors
/// One of them is no network.
pub(super) fn home(config: &Config) -> Result<NetworkSet, Mistake> {
    home_of(&config.place("networks.home"), config.list("networks.home"))
}

/// The organisation's own domains.
///
/// # Errors
/// One is no hostname.
pub(super) fn own_domains(config: &Config) -> Result<Vec<String>, Mistake> {
    domains(&config.place("networks.own_domain"), config.list("networks.own_domain"))
}

/// The organisation's own servers outside the home networks.
///
/// # Errors
/// One is no network.
pub(super) fn own_servers(config: &Config) -> Result<NetworkSet, Mistake> {
    Ok(NetworkSet::new(networks_of(config, "networks.own_server")?))
}

/// What answers for names that are blocked.
///
/// # Errors
/// One is no network.
pub(super) fn sinkholes(config: &Config) -> Result<NetworkSet, Mistake> {
    Ok(NetworkSet::new(networks_of(config, "networks.sinkhole")?))
}

/// What is done about copies.
pub(super) fn dedup(config: &Config) -> Dedup {
    let word = config.text("capture.dedup").unwrap_or_default();
    Dedup::from_str(word, false).unwrap_or(Dedup::Auto)
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

/// What belongs to the organisation, and what answers for names that it blocks, as options.
pub(super) type OwnArgs = Few<OwnKeys>;

/// See [`OwnArgs`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct OwnKeys;

impl Keys for OwnKeys {
    const KEYS: &'static [&'static str] =
        &["networks.own_domain", "networks.own_server", "networks.sinkhole"];
}

/// What is read when a sensor begins, and again when it is asked to.
///
/// # Errors
/// Something in it cannot be used.
pub(super) fn inputs(config: &Config) -> Result<Inputs, Box<dyn Error>> {
    let evidence = evidence_args::configured(config)?;
    let home = home(config)?;
    // Not who has which address: without a key, whoever reads a manifest could try guesses on it.
    let of_results = serde_json::json!({
        "dedup": config.text("capture.dedup"),
        "exclude_network": config.list("capture.exclude_network"),
        "exclude_vlan": config.numbers("capture.exclude_vlan"),
        "filter": config.text("capture.filter"),
        "home": format!("{home:?}"),
        "known": evidence.shared_sources.known,
        "own_domain": config.list("networks.own_domain"),
        "own_server": config.list("networks.own_server"),
        "sinkhole": config.list("networks.sinkhole"),
        "site": site(config)?,
        "snap": config.number("capture.snap_bytes"),
        "zone": config.text("store.zone"),
    });
    Ok(Inputs {
        identities: identities(config)?.with_known(evidence.shared_sources.known.clone()),
        networks: Networks {
            home,
            own_servers: own_servers(config)?,
            sinkholes: sinkholes(config)?,
        },
        own_domains: own_domains(config)?,
        evidence,
        ages: Ages::of(config).map_err(Mistake)?,
        config_sha256: sha256(&of_results.to_string()),
    })
}

/// Names of domains, as they are compared: lower case, without a dot at either end.
///
/// # Errors
/// One is no hostname, or others register names below it.
fn domains(option: &str, texts: &[String]) -> Result<Vec<String>, Mistake> {
    let parse = |text: &String| {
        let bare = text.trim_matches('.').to_ascii_lowercase();
        let is_wrong = |byte: u8| !byte.is_ascii_alphanumeric() && !b"-_.".contains(&byte);
        // RFC 1123, 2.1.
        let is_no_label =
            |label: &str| label.is_empty() || label.starts_with('-') || label.ends_with('-');
        if bare.bytes().any(is_wrong)
            || bare.split('.').any(is_no_label)
            || Hostname::from_wire(bare.as_bytes()).is_err()
        {
            let remedy = "give acme.example, which means all names below it, too";
            return Err(Mistake(format!("{option} {text}: not a domain; {remedy}")));
        }
        if is_public_suffix(&bare) {
            let remedy = "others register names below it; give your own domain";
            return Err(Mistake(format!("{option} {text}: {remedy}")));
        }
        Ok(bare)
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
    hex(digest.as_ref())
}

/// The home networks: those given, or the usual ones.
///
/// # Errors
/// One of those given is no network.
pub(super) fn home_of(place: &str, texts: &[String]) -> Result<NetworkSet, Mistake> {
    if texts.is_empty() {
        return Ok(NetworkSet::default_home());
    }
    Ok(NetworkSet::new(networks(place, texts)?))
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
    fn a_site_is_a_short_name() {
        let longest = "ü".repeat(SITE_CHARS_MAX);
        for name in ["", "Berlin", "Zürich, Werk 2", &longest] {
            assert_eq!(site_named("--site", &format!(" {name} ")).unwrap(), name);
        }
        for (name, why) in [
            (longest.clone() + "x", "too long"),
            ("Ber\nlin".into(), "control"),
            ("\u{1b}[2J".into(), "control"),
            ("\0".into(), "control"),
        ] {
            let mistake = site_named("s.toml:3: store.site", &name).unwrap_err().0;
            assert!(
                mistake.starts_with("s.toml:3: store.site \"") && mistake.contains(why),
                "{mistake}"
            );
            assert!(!mistake.contains(char::is_control), "{mistake:?}");
        }
    }

    #[test]
    fn a_domain_is_a_hostname_of_ones_own() {
        let domain = |text: &str| domains("--own-domain", &[text.to_owned()]);
        for (text, bare) in
            [("Acme.example.", "acme.example"), (".acme.co.uk", "acme.co.uk"), ("corp", "corp")]
        {
            assert_eq!(domain(text).unwrap(), [bare]);
        }
        for text in
            ["*.acme.example", "http://acme.example", "acme.example/", "", "a..b", "10.0.0.1"]
        {
            assert!(domain(text).unwrap_err().0.contains("give acme.example"), "{text}");
        }
        for text in ["com", "co.uk", "github.io"] {
            assert!(domain(text).unwrap_err().0.contains("others register"), "{text}");
        }
    }

    #[test]
    fn moments_may_be_days_times_or_exact() {
        let zone = zone_named("--zone", "Europe/Berlin").unwrap();
        let seconds = |text| moment("--from", text, &zone).unwrap().seconds();
        assert_eq!(seconds("2026-11-22"), 1_795_302_000);
        assert_eq!(seconds("2026-11-22T08:00"), 1_795_302_000 + 8 * 3600);
        assert_eq!(seconds("2026-11-22T08:00:00Z"), 1_795_302_000 + 9 * 3600);
        assert!(moment("--from", "yesterday", &zone).unwrap_err().0.contains("--from yesterday"));
    }

    #[test]
    fn half_hour_zones_have_their_own_hours() {
        let grid = hour_grid(&zone_named("--zone", "Asia/Kolkata").unwrap());
        assert_eq!(grid.hour(Minute(29_000_031)).0.rem_euclid(60), 30);
        assert_eq!(hour_grid(&zone_named("--zone", "Europe/Berlin").unwrap()), HourGrid::utc());
        // Half an hour of daylight saving: hours begin at 30 past in winter only.
        let grid = hour_grid(&zone_named("--zone", "Australia/Lord_Howe").unwrap());
        let july = Timestamp::from_parts(1_783_000_000, 0).minute();
        let january = Timestamp::from_parts(1_768_000_000, 0).minute();
        assert_eq!(
            (grid.hour(july).0.rem_euclid(60), grid.hour(january).0.rem_euclid(60)),
            (30, 0)
        );
    }
}
