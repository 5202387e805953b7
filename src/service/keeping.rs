//! What a configuration keeps, and until when: ages in days of the zone.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use crate::config::Config;
use crate::report::Keeper;
use crate::store::Keeping;

const HOURLY: &str = "store.keep_hourly_days";
const DAILY: &str = "store.keep_daily_days";
const TOTALS: &str = "store.keep_totals_days";

/// Ages at which rows go; none where they never do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ages {
    hourly_days: Option<u32>,
    daily_days: Option<u32>,
    totals_days: Option<u32>,
}

impl Ages {
    /// Those of a configuration.
    ///
    /// # Errors
    /// Rows would go before they can become what is kept longer.
    pub fn of(config: &Config) -> Result<Ages, String> {
        let days = |key: &str| {
            let days = config.number(key).and_then(|days| u32::try_from(days).ok());
            days.filter(|&days| days > 0)
        };
        for (shorter, longer) in [(HOURLY, DAILY), (DAILY, TOTALS)] {
            let (less, more) = (days(shorter), days(longer));
            let is_ordered = more.is_none_or(|more| less.is_some_and(|less| less <= more));
            if !is_ordered {
                let less = less.map_or_else(|| "0 (for ever)".to_owned(), |days| days.to_string());
                return Err(format!(
                    "{} = {}: less than {shorter} = {less}; rows by hour become rows by day, and \
                     those totals: give each as many days as the one before it, or more",
                    config.place(longer),
                    more.unwrap_or_default()
                ));
            }
        }
        Ok(Ages { hourly_days: days(HOURLY), daily_days: days(DAILY), totals_days: days(TOTALS) })
    }

    /// What is kept at `now`, in as many bytes as the configuration allows.
    pub fn keeping<'a>(&self, config: &Config, keeper: &'a Keeper, now: Timestamp) -> Keeping<'a> {
        let today = now.to_zoned(keeper.zone.clone()).date();
        let from = |days: Option<u32>| days.and_then(|days| begin(today, days, &keeper.zone));
        Keeping {
            hours_from: from(self.hourly_days),
            days_from: from(self.daily_days),
            totals_from: from(self.totals_days),
            bytes_max: config.number("store.bytes_max").filter(|&bytes| bytes > 0),
            judge: keeper,
        }
    }
}

/// The beginning of the day so many days before another.
fn begin(today: Date, days: u32, zone: &TimeZone) -> Option<i64> {
    let first = today.checked_sub(Span::new().try_days(days).ok()?).ok()?;
    Some(first.to_zoned(zone.clone()).ok()?.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::evidence::Settings;

    fn config(store: &str) -> Config {
        let text = format!("[store]\n{store}");
        let file = Some((Path::new("scope.toml"), text.as_str()));
        Config::layered(&Default::default(), |_| None, file).unwrap()
    }

    #[test]
    fn ages_are_days_of_the_zone() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let keeper = Keeper { zone, settings: Settings::default() };
        // Winter time began on 25 October 2026.
        let now: Timestamp = "2026-10-26T05:00:00+01:00".parse().unwrap();
        let config = config("keep_hourly_days = 1\nkeep_daily_days = 2\nkeep_totals_days = 0");
        let keeping = Ages::of(&config).unwrap().keeping(&config, &keeper, now);
        let second = |text: &str| Some(text.parse::<Timestamp>().unwrap().as_second());
        assert_eq!(keeping.hours_from, second("2026-10-25T00:00:00+02:00"));
        assert_eq!(keeping.days_from, second("2026-10-24T00:00:00+02:00"));
        assert_eq!((keeping.totals_from, keeping.bytes_max), (None, None));
    }

    #[test]
    fn what_comes_later_is_not_kept_shorter() {
        assert!(Ages::of(&config("")).is_ok());
        assert!(Ages::of(&config("keep_hourly_days = 90")).is_ok());
        assert!(Ages::of(&config("keep_daily_days = 0\nkeep_totals_days = 0")).is_ok());
        let error = Ages::of(&config("keep_hourly_days = 91")).unwrap_err();
        assert!(
            error.contains("--keep-daily-days = 90: less than store.keep_hourly_days = 91"),
            "{error}"
        );
        let error = Ages::of(&config("keep_daily_days = 0")).unwrap_err();
        assert!(error.contains("less than store.keep_daily_days = 0 (for ever)"), "{error}");
    }
}
