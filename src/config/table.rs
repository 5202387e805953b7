//! The table of settings: each one's key, option, variable, kind, default and help, told once.
//!
//! The file, the environment, the command line, their help and `shadowscope config` are made from
//! it. What a value means is checked where it is used; here, only its kind is.

/// One setting.
#[derive(Debug, PartialEq, Eq)]
pub struct Setting {
    /// Section and key in the file, such as `capture.snap_bytes`.
    pub key: &'static str,
    /// Its option without the dashes; its variable is made from it.
    pub option: &'static str,
    /// What stands for its value in the help.
    pub value_name: &'static str,
    /// What it may hold.
    pub kind: Kind,
    /// As it would be written in the environment; empty where nothing is set.
    pub default: &'static str,
    /// Whether a running sensor can take another value.
    pub reload: Reload,
    /// For the command's help and the default file.
    pub help: &'static str,
}

/// What a setting may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A text.
    Text,
    /// Texts, in the environment with commas between them.
    List,
    /// A whole number within bounds.
    Number(u64, u64),
    /// Whole numbers within bounds.
    Numbers(u64, u64),
    /// Yes or no.
    Flag,
    /// One of these words.
    Word(&'static [&'static str]),
    /// Bytes: a number, or one with kB, MB, GB, TB, KiB, MiB, GiB or TiB behind it.
    Bytes,
}

/// What becomes of another value while the sensor runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// It is taken on SIGHUP.
    Taken,
    /// It needs a restart.
    Restart,
    /// It is another command's.
    Unused,
}

impl Setting {
    /// Its variable in the environment.
    pub fn variable(&self) -> String {
        format!("SHADOWSCOPE_{}", self.option.replace('-', "_").to_uppercase())
    }
}

const YEARS_100_DAYS: u64 = 36_500;

/// All settings, in the order of the default file.
pub static SETTINGS: &[Setting] = &[
    Setting {
        key: "capture.interface",
        option: "interface",
        value_name: "IF",
        kind: Kind::List,
        default: "",
        reload: Reload::Restart,
        help: "A network interface that shows the traffic; may be given several times",
    },
    Setting {
        key: "capture.filter",
        option: "filter",
        value_name: "BPF",
        kind: Kind::Text,
        default: "",
        reload: Reload::Restart,
        help: "Only packets that pass this filter, as tcpdump has it (see pcap-filter(7))",
    },
    Setting {
        key: "capture.exclude_vlan",
        option: "exclude-vlan",
        value_name: "ID",
        kind: Kind::Numbers(1, 4094),
        default: "",
        reload: Reload::Restart,
        help: "Leave out frames of this VLAN, such as a guest Wi-Fi's; may be given several times",
    },
    Setting {
        key: "capture.exclude_network",
        option: "exclude-network",
        value_name: "NET",
        kind: Kind::List,
        default: "",
        reload: Reload::Restart,
        help: "Leave out frames from and to addresses of this network; may be given several times",
    },
    Setting {
        key: "capture.snap_bytes",
        option: "snap",
        value_name: "BYTES",
        kind: Kind::Number(256, 262_144),
        default: "4096",
        reload: Reload::Restart,
        help: "Bytes of a frame that are captured at most",
    },
    Setting {
        key: "capture.ring_mib",
        option: "ring",
        value_name: "MIB",
        kind: Kind::Number(1, 2047),
        default: "64",
        reload: Reload::Restart,
        help: "Memory for frames that wait, for each worker and interface, in MiB",
    },
    Setting {
        key: "capture.dedup",
        option: "dedup",
        value_name: "HOW",
        kind: Kind::Word(&["on", "off", "auto"]),
        default: "auto",
        reload: Reload::Restart,
        help: "Whether copies of packets are left out, as SPAN ports make them; auto: if one in five \
               of the first 20,000 TCP packets with payload is one",
    },
    Setting {
        key: "capture.workers",
        option: "workers",
        value_name: "N",
        kind: Kind::Number(1, 64),
        default: "",
        reload: Reload::Restart,
        help: "Threads that take packets; without it, one a core",
    },
    Setting {
        key: "networks.home",
        option: "home",
        value_name: "NET",
        kind: Kind::List,
        default: "",
        reload: Reload::Taken,
        help: "A home network, in which users are looked for; may be given several times; without \
               one, RFC 1918, RFC 4193 and link-local addresses",
    },
    Setting {
        key: "networks.own_domain",
        option: "own-domain",
        value_name: "DOMAIN",
        kind: Kind::List,
        default: "",
        reload: Reload::Taken,
        help: "A domain of the organisation's own: traffic to it and below is private, and no app; \
               may be given several times",
    },
    Setting {
        key: "networks.own_server",
        option: "own-server",
        value_name: "NET",
        kind: Kind::List,
        default: "",
        reload: Reload::Taken,
        help: "A network of the organisation's own servers outside the home networks; may be given \
               several times",
    },
    Setting {
        key: "networks.sinkhole",
        option: "sinkhole",
        value_name: "NET",
        kind: Kind::List,
        default: "",
        reload: Reload::Taken,
        help: "An address that blocked names are answered with: connections to it are failed \
               attempts; may be given several times",
    },
    Setting {
        key: "identity.file",
        option: "identities",
        value_name: "FILE",
        kind: Kind::Text,
        default: "",
        reload: Reload::Taken,
        help: "Who has which address: CSV with the columns address_or_network,user,department",
    },
    Setting {
        key: "identity.pseudonym_key",
        option: "pseudonym-key",
        value_name: "FILE",
        kind: Kind::Text,
        default: "",
        reload: Reload::Restart,
        help: "The key that pseudonyms are made with; made, where there is none; without it, the \
               service's credential pseudonym.key, else /etc/shadowscope/pseudonym.key",
    },
    Setting {
        key: "identity.clear",
        option: "clear",
        value_name: "",
        kind: Kind::Flag,
        default: "false",
        reload: Reload::Restart,
        help: "Write addresses and names as they are instead of pseudonyms: for laboratories",
    },
    Setting {
        key: "catalogue.signatures",
        option: "signatures",
        value_name: "DIR|FILE",
        kind: Kind::Text,
        default: "",
        reload: Reload::Taken,
        help: "Use the signature files in this folder, or this packed catalogue, instead of those \
               built into the program",
    },
    Setting {
        key: "catalogue.signatures_extra",
        option: "signatures-extra",
        value_name: "DIR",
        kind: Kind::Text,
        default: "",
        reload: Reload::Taken,
        help: "Add the signature files in DIR; they win over the others and are shown as local",
    },
    Setting {
        key: "catalogue.asn_db",
        option: "asn-db",
        value_name: "FILE",
        kind: Kind::Text,
        default: "",
        reload: Reload::Restart,
        help: "Whose network an address is in: an MMDB file with autonomous systems",
    },
    Setting {
        key: "store.db",
        option: "db",
        value_name: "FILE",
        kind: Kind::Text,
        default: "/var/lib/shadowscope/shadowscope.db",
        reload: Reload::Restart,
        help: "Keep what was found in this SQLite database",
    },
    Setting {
        key: "store.zone",
        option: "zone",
        value_name: "ZONE",
        kind: Kind::Text,
        default: "UTC",
        reload: Reload::Restart,
        help: "The time zone of days and hours, such as Europe/Berlin",
    },
    Setting {
        key: "store.site",
        option: "site",
        value_name: "NAME",
        kind: Kind::Text,
        default: "",
        reload: Reload::Restart,
        help: "The name of the place whose traffic this is: the ledger is kept for each",
    },
    Setting {
        key: "store.keep_hourly_days",
        option: "keep-hourly-days",
        value_name: "DAYS",
        kind: Kind::Number(0, YEARS_100_DAYS),
        default: "30",
        reload: Reload::Taken,
        help: "Days for which rows tell who used what in which hour; then they tell the day; 0: for \
               ever",
    },
    Setting {
        key: "store.keep_daily_days",
        option: "keep-daily-days",
        value_name: "DAYS",
        kind: Kind::Number(0, YEARS_100_DAYS),
        default: "90",
        reload: Reload::Taken,
        help: "Days for which rows tell who used what on which day; then totals tell how many did; 0: \
               for ever",
    },
    Setting {
        key: "store.keep_totals_days",
        option: "keep-totals-days",
        value_name: "DAYS",
        kind: Kind::Number(0, YEARS_100_DAYS),
        default: "760",
        reload: Reload::Taken,
        help: "Days for which totals of apps are kept; 0: for ever",
    },
    Setting {
        key: "store.bytes_max",
        option: "db-bytes-max",
        value_name: "BYTES",
        kind: Kind::Bytes,
        default: "0",
        reload: Reload::Taken,
        help: "Size of the database from which the oldest rows go earlier, such as 20GB; 0: none",
    },
    Setting {
        key: "report.folder",
        option: "report-folder",
        value_name: "DIR",
        kind: Kind::Text,
        default: "/var/lib/shadowscope/reports",
        reload: Reload::Unused,
        help: "Where `shadowscope report --nightly` makes a folder for each day",
    },
    Setting {
        key: "report.keep_days",
        option: "report-keep-days",
        value_name: "DAYS",
        kind: Kind::Number(0, YEARS_100_DAYS),
        default: "90",
        reload: Reload::Unused,
        help: "Days after which these folders go; 0: never",
    },
    Setting {
        key: "report.evidence",
        option: "evidence",
        value_name: "FILE",
        kind: Kind::Text,
        default: "",
        reload: Reload::Taken,
        help: "What counts as use, and which addresses are no person: a TOML file with the tables \
               \"evidence\" and \"shared_sources\"; what is not in it has its default",
    },
    Setting {
        key: "service.user",
        option: "user",
        value_name: "NAME",
        kind: Kind::Text,
        default: "",
        reload: Reload::Restart,
        help: "Go on as this user once the interfaces are open; needs to be root",
    },
    Setting {
        key: "service.allow_root",
        option: "allow-root",
        value_name: "",
        kind: Kind::Flag,
        default: "false",
        reload: Reload::Restart,
        help: "Stay root",
    },
    Setting {
        key: "service.socket",
        option: "socket",
        value_name: "FILE",
        kind: Kind::Text,
        default: "",
        reload: Reload::Restart,
        help: "Tell `shadowscope status` and `shadowscope unmatched` how it is on this Unix socket",
    },
    Setting {
        key: "service.metrics",
        option: "metrics",
        value_name: "ADDRESS",
        kind: Kind::Text,
        default: "",
        reload: Reload::Restart,
        help: "Give metrics to Prometheus at this loopback address, such as 127.0.0.1:9469",
    },
];

/// The setting with this key.
///
/// # Panics
/// There is none: keys are written in the program only.
pub fn setting(key: &str) -> &'static Setting {
    let found = SETTINGS.iter().find(|setting| setting.key == key);
    found.unwrap_or_else(|| panic!("no setting {key}"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn keys_options_and_variables_are_told_apart() {
        let keys: BTreeSet<_> = SETTINGS.iter().map(|setting| setting.key).collect();
        let variables: BTreeSet<_> = SETTINGS.iter().map(Setting::variable).collect();
        assert_eq!((keys.len(), variables.len()), (SETTINGS.len(), SETTINGS.len()));
        assert!(keys.iter().all(|key| key.matches('.').count() == 1));
        assert_eq!(setting("store.bytes_max").variable(), "SHADOWSCOPE_DB_BYTES_MAX");
    }
}
