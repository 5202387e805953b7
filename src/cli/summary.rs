//! What `read` tells at its end: which apps, which clients, what has a name, and how good the
//! capture is.

use std::collections::HashSet;
use std::fmt::Write;
use std::ops::Range;

use jiff::tz::TimeZone;

use crate::capture::{CaptureFile, Outcome};
use crate::evidence::Settings;
use crate::evidence::source::Reason;
use crate::ledger::Bucket;
use crate::pipeline::summary::{AppGrade, AppSummary, ClientSummary, Summary};
use crate::report::day_of;
use crate::stats::Counter;
use crate::store::Window;
use crate::usage::Sums;

/// Lines of each table.
const LINES_MAX: usize = 20;
/// Characters of a name in a table.
const NAME_WIDTH: usize = 28;

/// What grades what was found.
#[derive(Clone, Copy)]
pub(super) struct Grading<'a> {
    /// What counts as use.
    pub(super) settings: &'a Settings,
    /// The zone of days.
    pub(super) zone: &'a TimeZone,
}

impl Grading<'_> {
    /// Grades every app, by its id.
    fn apps<'a>(&self, found: &'a Summary) -> Vec<(&'a str, &'a AppSummary, AppGrade)> {
        let shared: HashSet<u32> = found
            .clients
            .keys()
            .copied()
            .filter(|client| self.shared_source(found, *client).is_some())
            .collect();
        let grade = |(id, app): (&'a String, &'a AppSummary)| {
            let grade = found.grade(
                app,
                &self.settings.evidence,
                |hour| self.day_of(hour),
                |client| shared.contains(&client),
            );
            (id.as_str(), app, grade)
        };
        found.apps.iter().map(grade).collect()
    }

    fn shared_source(&self, found: &Summary, client: u32) -> Option<Reason> {
        found.shared_source(client, &self.settings.shared_sources)
    }

    /// The day of an hour, from its beginning to that of the next.
    fn day_of(&self, hour: i64) -> Range<i64> {
        let Window { from, to } = day_of(self.zone, hour);
        from..to
    }
}

/// The summary as text, ending with a new line.
pub(super) fn summary(found: &Summary, files: &[CaptureFile], grading: Grading<'_>) -> String {
    let mut text = String::new();
    // Writing to a String does not fail.
    let _infallible = write_all(&mut text, found, files, grading);
    text
}

fn write_all(
    text: &mut String,
    found: &Summary,
    files: &[CaptureFile],
    grading: Grading<'_>,
) -> std::fmt::Result {
    write_input(text, found, files)?;
    if found.counters.value(Counter::Packets) == 0 {
        return Ok(());
    }
    let apps = grading.apps(found);
    write_apps(text, &apps)?;
    write_clients(text, found, &apps, grading)?;
    write_unmatched(text, found)?;
    write_books(text, found)?;
    write_detours(text, found)?;
    write_health(text, found)
}

fn write_input(text: &mut String, found: &Summary, files: &[CaptureFile]) -> std::fmt::Result {
    let read = files.iter().filter(|file| file.packets > 0).count();
    let skipped = files
        .iter()
        .filter(|file| matches!(file.outcome, Outcome::NotACapture(_)) && !file.named)
        .count();
    let packets = found.counters.value(Counter::Packets);
    write!(text, "{} packets, {} in {read} file", count(packets), bytes(found.total_bytes()))?;
    write!(text, "{}", if read == 1 { "" } else { "s" })?;
    if skipped > 0 {
        write!(text, " ({skipped} more that are no captures)")?;
    }
    match found.time_range() {
        Some((first, last)) => writeln!(text, ", {} to {}", moment(first), moment(last)),
        None => writeln!(text),
    }
}

fn write_apps(text: &mut String, apps: &[(&str, &AppSummary, AppGrade)]) -> std::fmt::Result {
    let mut used: Vec<_> = apps.iter().filter(|(.., grade)| grade.is_used).collect();
    let touched = apps.iter().filter(|(.., grade)| !grade.is_used && grade.is_touched).count();
    let resolved = apps.len() - used.len() - touched;
    used.sort_by(|(_, one, one_grade), (_, other, other_grade)| {
        let by_bytes = other_grade.used.bytes().cmp(&one_grade.used.bytes());
        by_bytes.then_with(|| one.name.cmp(&other.name))
    });
    writeln!(
        text,
        "\nApps: {} used, {touched} only touched (embeds, sites, telemetry, single connections), \
         {resolved} only resolved",
        used.len()
    )?;
    if used.is_empty() {
        return Ok(());
    }
    writeln!(
        text,
        "\n  {:NAME_WIDTH$} {:22} {:>7} {:>7} {:>7} {:>9} {:>9}  since",
        "app", "category", "clients", "flows", "minutes", "up", "down"
    )?;
    for (_, app, grade) in used.iter().take(LINES_MAX) {
        let sums = &grade.used;
        writeln!(
            text,
            "  {:NAME_WIDTH$} {:22} {:>7} {:>7} {:>7} {:>9} {:>9}  {}",
            cut(&app.name),
            app.category,
            grade.clients.len(),
            sums.connections,
            grade.active_minutes,
            bytes(sums.bytes_up),
            bytes(sums.bytes_down),
            moment(sums.first_seen),
        )?;
    }
    more(text, used.len())
}

fn write_clients(
    text: &mut String,
    found: &Summary,
    apps: &[(&str, &AppSummary, AppGrade)],
    grading: Grading<'_>,
) -> std::fmt::Result {
    let mut clients: Vec<(u32, &ClientSummary)> =
        found.clients.iter().map(|(number, client)| (*number, client)).collect();
    if clients.is_empty() {
        return Ok(());
    }
    // By address, not by volume: this is a list, not a ranking of people.
    let all = clients.len();
    let order = |(_, one): &(u32, &ClientSummary), (_, other): &(u32, &ClientSummary)| {
        one.subject.cmp(&other.subject)
    };
    if all > LINES_MAX {
        clients.select_nth_unstable_by(LINES_MAX, order);
        clients.truncate(LINES_MAX);
    }
    clients.sort_by(order);
    writeln!(
        text,
        "\n  {:NAME_WIDTH$} {:>7} {:>7} {:>9} {:>9}",
        "client", "apps", "flows", "up", "down"
    )?;
    for (number, client) in &clients {
        let apps_used = apps.iter().filter(|(.., grade)| grade.clients.contains(number)).count();
        let shared = grading.shared_source(found, *number);
        let shared = shared.map_or_else(String::new, |reason| format!("  {}", reason.as_str()));
        writeln!(
            text,
            "  {:NAME_WIDTH$} {apps_used:>7} {:>7} {:>9} {:>9}{shared}",
            cut(&client.subject.device),
            client.traffic.connections,
            bytes(client.traffic.bytes_up),
            bytes(client.traffic.bytes_down),
        )?;
    }
    more(text, all)
}

fn write_unmatched(text: &mut String, found: &Summary) -> std::fmt::Result {
    let mut unmatched: Vec<(&String, &Sums)> =
        found.unmatched.iter().filter(|(_, sums)| sums.has_traffic()).collect();
    if unmatched.is_empty() {
        return Ok(());
    }
    unmatched
        .sort_by(|one, other| other.1.bytes().cmp(&one.1.bytes()).then_with(|| one.0.cmp(other.0)));
    writeln!(
        text,
        "\n  {:NAME_WIDTH$} {:>7} {:>9} {:>9}",
        "no signature for", "flows", "up", "down"
    )?;
    for (domain, sums) in unmatched.iter().take(LINES_MAX / 2) {
        writeln!(
            text,
            "  {:NAME_WIDTH$} {:>7} {:>9} {:>9}",
            cut(domain),
            sums.connections,
            bytes(sums.bytes_up),
            bytes(sums.bytes_down),
        )?;
    }
    if unmatched.len() > LINES_MAX / 2 {
        writeln!(text, "  ... and {} more", unmatched.len() - LINES_MAX / 2)?;
    }
    Ok(())
}

fn write_books(text: &mut String, found: &Summary) -> std::fmt::Result {
    let total = found.total_bytes();
    if total == 0 {
        return Ok(());
    }
    writeln!(
        text,
        "\n  {:NAME_WIDTH$} {:>9} {:>9} {:>7}",
        "where the bytes are", "flows", "bytes", "share"
    )?;
    let mut sums = [(0u64, 0u64); Bucket::ALL.len()];
    for (_, bucket, flows, bytes) in found.books.iter() {
        let (all_flows, all_bytes) = &mut sums[bucket as usize];
        *all_flows += flows;
        *all_bytes += bytes;
    }
    for bucket in Bucket::ALL {
        let (flows, in_bucket) = sums[bucket as usize];
        if flows > 0 || in_bucket > 0 {
            writeln!(
                text,
                "  {:NAME_WIDTH$} {flows:>9} {:>9} {:>7}",
                bucket.name(),
                bytes(in_bucket),
                percent(in_bucket, total),
            )?;
        }
    }
    let named: u64 = [Bucket::App, Bucket::Infrastructure, Bucket::Unmatched]
        .iter()
        .map(|bucket| sums[*bucket as usize].1)
        .sum();
    let app = sums[Bucket::App as usize].1;
    writeln!(
        text,
        "  {} of the bytes have a name, {} an app",
        percent(named, total),
        percent(app, total)
    )
}

fn write_detours(text: &mut String, found: &Summary) -> std::fmt::Result {
    let detours = found.detours();
    if detours.len() == 0 {
        return Ok(());
    }
    writeln!(
        text,
        "\n  {:NAME_WIDTH$} {:>9} {:>9} {:>7}  known by",
        "tunnels and ways around", "flows", "bytes", "devices"
    )?;
    for (detour, flows, in_it, devices) in detours {
        writeln!(
            text,
            "  {:NAME_WIDTH$} {flows:>9} {:>9} {devices:>7}  {}",
            detour.as_str(),
            bytes(in_it),
            detour.known_by().replace('_', " "),
        )?;
    }
    Ok(())
}

fn write_health(text: &mut String, found: &Summary) -> std::fmt::Result {
    let health = &found.health;
    writeln!(text, "\nHealth of the capture")?;
    if health.tcp_flows > 0 {
        let one_way = health.tcp_flows - health.tcp_two_way;
        writeln!(
            text,
            "  both directions seen in {} of the TCP flows{}",
            percent(health.tcp_two_way, health.tcp_flows),
            if one_way * 2 > health.tcp_flows { ": half of the traffic is missing" } else { "" },
        )?;
        writeln!(
            text,
            "  begun before the capture: {} of the TCP flows",
            percent(health.tcp_begun_before, health.tcp_flows)
        )?;
    }
    match (health.dns_questions, health.dns_answers) {
        (0, 0) => writeln!(text, "  no DNS seen: flows without a name of their own stay nameless")?,
        (questions, answers) => {
            writeln!(text, "  DNS: {} questions, {} answers", count(questions), count(answers))?;
        }
    }
    let packets = found.counters.value(Counter::Packets);
    let cut = found.counters.value(Counter::SnapCut);
    if cut > 0 {
        writeln!(text, "  cut by the snap length: {} of the packets", percent(cut, packets))?;
    }
    if found.named_devices() > 0 {
        writeln!(text, "  devices that said their name: {}", count(found.named_devices() as u64))?;
    }
    for (version, flows) in &found.unopened_quic {
        writeln!(text, "  QUIC version {version:#010x} not opened: {} flows", count(*flows))?;
    }
    let told = [Counter::Packets, Counter::SnapCut];
    for (counter, value) in found.counters.iter() {
        if value > 0 && !told.contains(&counter) {
            writeln!(text, "  {}: {}", counter.name().replace('_', " "), count(value))?;
        }
    }
    Ok(())
}

fn more(text: &mut String, all: usize) -> std::fmt::Result {
    if all > LINES_MAX {
        writeln!(text, "  ... and {} more", all - LINES_MAX)?;
    }
    Ok(())
}

fn cut(name: &str) -> String {
    if name.chars().count() <= NAME_WIDTH {
        return name.into();
    }
    let mut short: String = name.chars().take(NAME_WIDTH - 1).collect();
    short.push('…');
    short
}

/// Bytes with a decimal unit, in at most nine characters.
pub(super) fn bytes(number: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if number < 1000 {
        return format!("{number} B");
    }
    let mut value = number as f64;
    let mut unit = "";
    for next in UNITS {
        value /= 1000.0;
        unit = next;
        if value < 999.95 {
            break;
        }
    }
    format!("{value:.1} {unit}")
}

/// A number with its thousands apart.
fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn percent(part: u64, whole: u64) -> String {
    format!("{:.1} %", 100.0 * part as f64 / whole.max(1) as f64)
}

fn moment(time: crate::time::Timestamp) -> String {
    match jiff::Timestamp::from_second(time.seconds()) {
        Ok(stamp) => stamp.to_string(),
        Err(_) => time.seconds().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_right() {
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1000), "1.0 kB");
        assert_eq!(bytes(999_960), "1.0 MB");
        assert_eq!(bytes(u64::MAX), "18.4 EB");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(count(12), "12");
        assert_eq!(percent(1, 3), "33.3 %");
        assert_eq!(cut("a name that is far too long for a column"), "a name that is far too long…");
    }
}
