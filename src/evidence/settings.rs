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
use toml::de::DeTable;

use super::source::SourceSettings;
use crate::usage::{BESIDE, LOAD_RULES, LoadRule, QUARTER_BYTES_UP, QUARTERS};

/// The most bytes that a threshold may ask for: what nobody moves in an hour.
const BYTES_MAX: u64 = 1_000_000_000_000;

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
    /// Bytes from the client behind its hello, or a tenth of those both ways, from which on a
    /// connection speaks for somebody in a quarter-hour; one of [`QUARTER_BYTES_UP`].
    pub quarter_bytes_up: u64,
    /// A silence of so many seconds between two beginnings ends the load of a page. It and the next
    /// two are those of one of [`LOAD_RULES`].
    pub shadow_seconds: u64,
    /// Seconds after which the load of a page is over, also where something always begins.
    pub shadow_load_seconds: u64,
    /// Bytes that a server sends within a minute, from which on a request behind a silence on a
    /// connection is taken for a page, as a connection that begins is.
    pub shadow_page_bytes: u64,
    /// Bytes both ways, for each minute with loads, up to which an app that appeared only while
    /// other sites loaded was embedded by them.
    pub shadow_bytes: u64,
    /// Bytes from the client in one connection, from which on that is no embed.
    pub shadow_bytes_up: u64,
    /// Bytes from the client behind its hello, or a tenth of those both ways, from which on a
    /// connection that began otherwise shows that the app was no embed; one of the
    /// first [`BESIDE`] of [`QUARTER_BYTES_UP`].
    pub shadow_beside_bytes_up: u64,
    /// Hours of a day with payload, from which on there may be synchronisation.
    pub sync_hours: u64,
    /// The same where what may be synchronisation goes on over midnight.
    pub sync_edge_hours: u64,
    /// Minutes with payload in each of them, on the average, up to which it is.
    pub sync_minutes: u64,
    /// Pauses between occasions, from which on it can be seen whether they are alike.
    pub sync_pauses: u64,
    /// Per cent of the pauses that are as long as the middle one.
    pub sync_regular_percent: u64,
    /// Per cent of the middle pause, by which another may differ and be as long; a minute, the grain
    /// of what is kept, if that is more.
    pub sync_slack_percent: u64,
    /// Per cent of those hours that such pauses cover.
    pub sync_covered_percent: u64,
    /// How many times the bytes of the day's middle hour an hour of such a day has that is none of
    /// synchronisation alone.
    pub sync_excess_bytes: u64,
    /// And how many minutes with payload more than the middle hour, as far as an hour has room for
    /// them.
    pub sync_excess_minutes: u64,
    /// Hours of a day with payload, from which on it can be seen whether they are all alike.
    pub sync_even_hours: u64,
    /// Per cent of the mean, up to which the standard deviation of the bytes of hours, and that of
    /// their minutes with payload, is a machine's: their coefficients of variation.
    pub sync_even_percent: u64,
    /// Bytes both ways for each minute with payload, up to which such hours are a program's that
    /// asks; more is a stream.
    pub sync_even_bytes: u64,
}

impl Default for Thresholds {
    fn default() -> Thresholds {
        Thresholds {
            payload_bytes_up: 700,
            payload_bytes: 7_000,
            interactive_bytes: 20_000,
            interactive_bytes_up: 4_000,
            interactive_quarters: 2,
            quarter_bytes_up: 700,
            shadow_seconds: 2,
            shadow_load_seconds: 15,
            shadow_page_bytes: 10_000,
            shadow_bytes: 100_000,
            shadow_bytes_up: 4_000,
            shadow_beside_bytes_up: 700,
            sync_hours: 4,
            sync_edge_hours: 1,
            sync_minutes: 20,
            sync_pauses: 7,
            sync_regular_percent: 80,
            sync_slack_percent: 20,
            sync_covered_percent: 60,
            sync_excess_bytes: 3,
            sync_excess_minutes: 3,
            sync_even_hours: 6,
            sync_even_percent: 5,
            sync_even_bytes: 100_000,
        }
    }
}

impl Settings {
    /// From the text of a file.
    ///
    /// # Errors
    /// What is wrong, with the line, and what to give instead.
    pub fn parse(text: &str) -> Result<Settings, String> {
        let settings: Settings = toml::from_str(text).map_err(|error| error.to_string())?;
        let given = |table| move |name: &str| place(text, table, name, None).is_some();
        let placed = |table| move |fault: Fault| fault.placed(text, table);
        settings.evidence.check(&given("evidence")).map_err(placed("evidence"))?;
        let (table, sources) = ("shared_sources", &settings.shared_sources);
        sources.check(&given(table)).map_err(placed(table))?;
        Ok(settings)
    }
}

/// The byte at which the value of a setting begins, or that of one of its entries.
fn place(text: &str, table: &str, name: &str, entry: Option<usize>) -> Option<usize> {
    let file = DeTable::parse(text).ok()?;
    let value = file.get_ref().get(table)?.get_ref().get(name)?;
    let entry = entry.and_then(|at| value.get_ref().get(at));
    Some(entry.unwrap_or(value).span().start)
}

/// A value that cannot be used.
#[derive(Debug)]
pub(super) struct Fault {
    /// The settings that it is about: the first of them that the file has is where it is.
    pub(super) names: Vec<&'static str>,
    /// Which of the entries of a list.
    pub(super) entry: Option<usize>,
    /// What is wrong, and the remedy.
    pub(super) text: String,
}

impl Fault {
    /// Checks that a setting is within its bounds.
    pub(super) fn unless_within(
        name: &'static str,
        value: u64,
        least: u64,
        most: u64,
    ) -> Result<(), Fault> {
        if (least..=most).contains(&value) {
            return Ok(());
        }
        Err(Fault {
            names: vec![name],
            entry: None,
            text: format!("{name} = {value}: give {least} to {most}"),
        })
    }

    /// Checks that one setting is not over another, where somebody gave the former: what is more
    /// than a default is as wrong as what is more than a value that was given.
    fn unless_below(
        is_given: &dyn Fn(&str) -> bool,
        (less, low): (&'static str, u64),
        (more, high): (&'static str, u64),
    ) -> Result<(), Fault> {
        let is_default = is_given(less) && !is_given(more);
        Fault::unless_ordered(&|name| is_given(less) || is_given(name), (less, low), (more, high))
            .map_err(|mut fault| {
                if is_default {
                    fault.text.push_str(&format!(", or {more} too: that is its default"));
                }
                fault
            })
    }

    /// Checks that one setting is not over another, where somebody gave both: else it is no
    /// contradiction that one of them decides nothing.
    pub(super) fn unless_ordered(
        is_given: &dyn Fn(&str) -> bool,
        (less, low): (&'static str, u64),
        (more, high): (&'static str, u64),
    ) -> Result<(), Fault> {
        if low <= high || !is_given(less) || !is_given(more) {
            return Ok(());
        }
        let text = format!(
            "{less} = {low} is more than {more} = {high}, so that one of them decides nothing; \
             give {less} at most {more}"
        );
        Err(Fault { names: vec![less, more], entry: None, text })
    }

    /// With the line in the file's text, where its table has the setting.
    fn placed(self, text: &str, table: &str) -> String {
        match self.names.iter().find_map(|name| place(text, table, name, self.entry)) {
            Some(at) => {
                let line = text[..at].matches('\n').count() + 1;
                format!("line {line}: [{table}] {}", self.text)
            }
            None => format!("[{table}] {}", self.text),
        }
    }
}

impl Thresholds {
    /// Whether the values can be used: facts are kept for them, they can be reached, and none makes
    /// another meaningless.
    fn check(&self, is_given: &dyn Fn(&str) -> bool) -> Result<(), Fault> {
        self.check_loads()?;
        kept("quarter_bytes_up", self.quarter_bytes_up, &QUARTER_BYTES_UP)?;
        kept(
            "shadow_beside_bytes_up",
            self.shadow_beside_bytes_up,
            &QUARTER_BYTES_UP[..BESIDE as usize],
        )?;
        for (name, value, least, most) in [
            ("payload_bytes_up", self.payload_bytes_up, 1, BYTES_MAX),
            ("payload_bytes", self.payload_bytes, 1, BYTES_MAX),
            ("interactive_bytes", self.interactive_bytes, 1, BYTES_MAX),
            ("interactive_bytes_up", self.interactive_bytes_up, 1, BYTES_MAX),
            ("interactive_quarters", self.interactive_quarters, 1, QUARTERS.into()),
            // Without any, nothing is an embed.
            ("shadow_bytes", self.shadow_bytes, 0, BYTES_MAX),
            ("shadow_bytes_up", self.shadow_bytes_up, 1, BYTES_MAX),
            ("sync_hours", self.sync_hours, 1, 24),
            ("sync_edge_hours", self.sync_edge_hours, 1, 24),
            ("sync_minutes", self.sync_minutes, 1, 60),
            ("sync_pauses", self.sync_pauses, 1, 24 * 60 / 2),
            ("sync_regular_percent", self.sync_regular_percent, 1, 100),
            ("sync_slack_percent", self.sync_slack_percent, 1, 50),
            ("sync_excess_bytes", self.sync_excess_bytes, 1, 1_000),
            ("sync_excess_minutes", self.sync_excess_minutes, 1, 60),
            // Fewer are alike by chance.
            ("sync_even_hours", self.sync_even_hours, 4, 24),
            ("sync_even_percent", self.sync_even_percent, 1, 100),
            ("sync_even_bytes", self.sync_even_bytes, 1, BYTES_MAX),
            // Whatever they cover.
            ("sync_covered_percent", self.sync_covered_percent, 0, 100),
        ] {
            Fault::unless_within(name, value, least, most)?;
        }
        let interactive_up = ("interactive_bytes_up", self.interactive_bytes_up);
        let interactive = ("interactive_bytes", self.interactive_bytes);
        let payload_up = ("payload_bytes_up", self.payload_bytes_up);
        let payload = ("payload_bytes", self.payload_bytes);
        for (less, more) in [
            (payload_up, payload),
            (interactive_up, interactive),
            // What is no payload is not interactive either.
            (payload_up, interactive_up),
            (payload, interactive),
            // A connection that has as much is interactive in any quarter-hour.
            (("quarter_bytes_up", self.quarter_bytes_up), interactive_up),
            (("sync_edge_hours", self.sync_edge_hours), ("sync_hours", self.sync_hours)),
        ] {
            Fault::unless_below(is_given, less, more)?;
        }
        Ok(())
    }
}

impl Thresholds {
    /// Whether what is taken for a load is one of [`LOAD_RULES`].
    fn check_loads(&self) -> Result<(), Fault> {
        let known = |of: fn(&LoadRule) -> u32| {
            let mut values: Vec<u32> = LOAD_RULES.iter().map(of).collect();
            values.sort_unstable();
            values.dedup();
            values
        };
        let silence = known(|rule| rule.silence_seconds.into());
        kept("shadow_seconds", self.shadow_seconds, &silence)?;
        let load = known(|rule| rule.load_seconds.into());
        kept("shadow_load_seconds", self.shadow_load_seconds, &load)?;
        kept("shadow_page_bytes", self.shadow_page_bytes, &known(|rule| rule.page_bytes))?;
        let usual = Thresholds::default();
        let mut names = Vec::new();
        for (name, value, default) in [
            ("shadow_seconds", self.shadow_seconds, usual.shadow_seconds),
            ("shadow_load_seconds", self.shadow_load_seconds, usual.shadow_load_seconds),
            ("shadow_page_bytes", self.shadow_page_bytes, usual.shadow_page_bytes),
        ] {
            if value != default {
                names.push(name);
            }
        }
        if names.len() < 2 {
            return Ok(());
        }
        let text = format!(
            "{}: the database keeps facts for one of these at a time that is not its default; \
             leave out the others",
            names.join(", ")
        );
        Err(Fault { names, entry: None, text })
    }
}

/// Checks that a setting is one of the values that the database keeps facts for.
fn kept<T: Copy + Into<u64>>(name: &'static str, value: u64, known: &[T]) -> Result<(), Fault> {
    let known: Vec<u64> = known.iter().copied().map(Into::into).collect();
    if known.contains(&value) {
        return Ok(());
    }
    let text =
        format!("{name} = {value}: the database keeps facts for {known:?}; give one of them");
    Err(Fault { names: vec![name], entry: None, text })
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
        assert!(wrong("[evidence]\nquarter_bytes_up = 600").contains("[350, 700, 1400, 3750]"));
        let text = "[evidence]\nshadow_beside_bytes_up = 600";
        assert!(wrong(text).contains("[350, 700, 1400]"));
        let text = "[evidence]\nshadow_page_bytes = 1999";
        assert!(wrong(text).contains("[5000, 10000, 20000, 50000]"));
        assert!(wrong("[evidence]\nshadow_load_seconds = 0").contains("[5, 15, 30, 60]"));
        let told = wrong(
            "[evidence]\nshadow_seconds = 2\nshadow_load_seconds = 30\nshadow_page_bytes = 20000",
        );
        assert!(
            told.starts_with("line 3: [evidence] shadow_load_seconds, shadow_page_bytes: the"),
            "{told}"
        );
        let known = "[shared_sources]\nknown = [{ network = '10.0.0.0/40', is = 'server' }]";
        assert!(wrong(known).contains("10.0.0.0/40: not a network"));
        assert!(wrong("[evidence]\nsync_regular_percent = 101").contains("100"));
    }

    #[test]
    fn a_value_that_cannot_be_used_is_told_with_its_line_and_a_remedy() {
        let wrong = |text: &str| Settings::parse(text).unwrap_err();
        let text = "# ours\n[evidence]\nsync_hours = 4\ninteractive_quarters = 5\n";
        assert_eq!(wrong(text), "line 4: [evidence] interactive_quarters = 5: give 1 to 4");
        let text = "[shared_sources]\nnat_hello_shapes = 10\nnat_mixed_hello_shapes = 20";
        let told = wrong(text);
        assert!(told.starts_with("line 3: [shared_sources] nat_mixed_hello_shapes = 20 is more"));
        assert!(
            told.contains("nat_hello_shapes = 10, so that one of them decides nothing"),
            "{told}"
        );
        assert!(Settings::parse("[shared_sources]\nnat_hello_shapes = 10").is_ok());
        assert!(wrong("evidence.payload_bytes = 0").starts_with("line 1: [evidence] payload"));
        let text = "evidence = { interactive_bytes = 7, interactive_bytes_up = 8 }";
        assert!(
            wrong(text).starts_with("line 1: [evidence] interactive_bytes_up = 8 is more than")
        );
        let text = "[shared_sources]\nknown = [\n  { network = '10.0.0.0/8', is = 'server' },\n  \
                    { network = '10.1.2.3/8', is = 'person' },\n]";
        let told = wrong(text);
        assert!(
            told.starts_with("line 4: [shared_sources] known: 10.1.2.3/8 is server and person")
        );
        assert!(Settings::parse(&text.replace("person", "server")).is_ok());
    }

    #[test]
    fn what_contradicts_another_value_is_refused_with_place_and_remedy() {
        for (text, line, more) in [
            ("payload_bytes = 30000\ninteractive_bytes = 25000", 2, "interactive_bytes = 25000"),
            ("payload_bytes = 30000", 2, "interactive_bytes = 20000"),
            ("sync_hours = 5\npayload_bytes_up = 5000", 3, "interactive_bytes_up = 4000"),
            (
                "interactive_bytes_up = 2000\nquarter_bytes_up = 3750",
                3,
                "interactive_bytes_up = 2000",
            ),
            ("interactive_bytes_up = 30000", 2, "interactive_bytes = 20000"),
            ("sync_edge_hours = 5", 2, "sync_hours = 4"),
        ] {
            let text = format!("[evidence]\n{text}");
            let told = Settings::parse(&text).unwrap_err();
            assert!(told.starts_with(&format!("line {line}: [evidence] ")), "{text}: {told}");
            assert!(told.contains(&format!("is more than {more}")), "{text}: {told}");
            assert!(told.contains("at most"), "{text}: {told}");
        }
        // Who asks for less than a default, means it.
        assert!(Settings::parse("[evidence]\ninteractive_bytes = 5000").is_ok());
    }

    #[test]
    fn the_documentation_has_every_setting_with_its_default_and_its_values() {
        let readme = include_str!("README.md");
        let defaults = toml::Table::try_from(Settings::default()).unwrap();
        let number = |text: &str| -> u64 { text.trim().replace(',', "").parse().unwrap() };
        let told = |name: &str, value: u64| {
            Settings::parse(&format!("[evidence]\n{name} = {value}")).err().unwrap_or_default()
        };
        // What only contradicts another value is within the range.
        let is_taken = |name: &str, value: u64| {
            let told = told(name, value);
            told.is_empty() || told.contains("is more than")
        };
        for (name, default) in defaults["evidence"].as_table().unwrap() {
            let begin = format!("| `{name}` | ");
            let rows: Vec<_> = readme.lines().filter(|line| line.starts_with(&begin)).collect();
            let row = rows.iter().find(|row| row.matches('|').count() == 5);
            let row = row.unwrap_or_else(|| panic!("{name} has no row"));
            let cells: Vec<&str> =
                row.split(" | ").map(|cell| cell.trim_matches(['|', ' '])).collect();
            assert!(!cells[1].is_empty(), "{name} has no unit");
            assert_eq!(number(cells[2]).to_string(), default.to_string(), "{name}");
            if let Some(values) = cells[3].strip_prefix("one of ") {
                let values: Vec<u64> = values.split(", ").map(number).collect();
                for value in &values {
                    assert!(is_taken(name, *value), "{name} = {value}");
                    let next = value + 1;
                    assert_eq!(is_taken(name, next), values.contains(&next), "{name} = {next}");
                }
            } else {
                let (least, most) = cells[3].split_once(" to ").unwrap();
                let (least, most) = (number(least), number(most));
                assert!(is_taken(name, least) && is_taken(name, most), "{name}");
                assert!(!is_taken(name, most + 1), "{name}");
                assert!(least == 0 || !is_taken(name, least - 1), "{name}");
            }
        }
    }

    #[test]
    fn every_threshold_has_bounds() {
        let defaults = toml::Table::try_from(Settings::default()).unwrap();
        for table in ["evidence", "shared_sources"] {
            for name in defaults[table].as_table().unwrap().keys().filter(|name| *name != "known") {
                for value in [i64::MAX, -1] {
                    let text = format!("[{table}]\n{name} = {value}");
                    let told = Settings::parse(&text).unwrap_err();
                    assert!(told.contains(name.as_str()), "{text}: {told}");
                }
                let text = format!("[{table}]\n{name} = 0");
                let may_be_none = ["shadow_bytes", "sync_covered_percent", "nat_passed_on_percent"]
                    .contains(&name.as_str());
                assert_eq!(Settings::parse(&text).is_ok(), may_be_none, "{text}");
            }
        }
    }
}
