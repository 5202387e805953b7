//! The facts that decided, each beside the setting that it is compared with.

use crate::evidence::day::{DayFacts, Slot};
use crate::evidence::pattern::{Evenness, Pattern};
use crate::evidence::{Because, Grade, HourFacts, Side, Thresholds};

/// The hour, or hours of a day that are alike, that speaks for the day: of several that are as
/// strong, the first.
pub(super) fn decisive<'a>(
    day: &'a DayFacts,
    thresholds: &Thresholds,
) -> Option<(&'a Slot, &'a HourFacts, Grade)> {
    let grades: Vec<_> = day.grades(thresholds).collect();
    grades.into_iter().rev().max_by_key(|(_, facts, grade)| {
        (facts.all().has_traffic(), !grade.incidental, grade.evidence)
    })
}

/// Comparisons with thresholds that belong together, a line each.
pub(super) struct Group {
    pub(super) lines: Vec<String>,
    /// Whether it is what decided.
    pub(super) is_decisive: bool,
}

/// What was compared with thresholds: what decided, and what else can have.
pub(super) fn checks(
    day: &DayFacts,
    (slot, facts, decided): (&Slot, &HourFacts, Grade),
    thresholds: &Thresholds,
) -> Vec<Group> {
    let because = decided.because;
    if matches!(because, Because::OnlyAsked | Because::Unanswered) {
        return Vec::new();
    }
    let is_weak = matches!(because, Because::OnlyHandshakes | Because::IncidentalRoles);
    let is_apart = matches!(because, Because::Shadow | Because::Sync);
    let group = |is_decisive, lines| Group { lines, is_decisive };
    let mut groups = vec![group(is_weak, payload(facts, thresholds))];
    if is_weak {
        return groups;
    }
    groups.push(group(because == Because::Shadow, shadow(facts, thresholds)));
    if because != Because::Shadow {
        groups.push(group(!is_apart, interactive(facts, thresholds)));
    }
    groups.push(group(because == Because::Sync, sync(day, thresholds)));
    if day.pattern(thresholds) == Pattern::Sync && slot.1.is_none() {
        groups.push(group(false, work_beside(day, facts, thresholds)));
    }
    groups
}

/// One comparison.
fn check(is_met: bool, what: &str, measured: impl ToString, setting: &str, value: u64) -> String {
    let (is_met, measured) = (if is_met { "yes" } else { "no" }, measured.to_string());
    format!("  {is_met:4}{what:50} {measured:>12}  {setting} = {value}")
}

fn payload(facts: &HourFacts, t: &Thresholds) -> Vec<String> {
    let all = facts.all();
    let (up, both) = (all.flow_up_max, all.flow_bytes_max);
    vec![
        "Payload, if either is reached in one connection (bytes behind its hello):".into(),
        check(up >= t.payload_bytes_up, "bytes up", up, "payload_bytes_up", t.payload_bytes_up),
        check(both >= t.payload_bytes, "bytes both ways", both, "payload_bytes", t.payload_bytes),
    ]
}

fn interactive(facts: &HourFacts, t: &Thresholds) -> Vec<String> {
    let used = facts.side(Side::Use);
    let (up, both) = (used.flow_up_max, used.flow_bytes_max);
    let quarters = facts.quarters(t);
    vec![
        "Interactive, if any is reached on hosts of role use:".into(),
        check(
            both >= t.interactive_bytes,
            "bytes both ways in one connection",
            both,
            "interactive_bytes",
            t.interactive_bytes,
        ),
        check(
            up >= t.interactive_bytes_up,
            "bytes up in one connection",
            up,
            "interactive_bytes_up",
            t.interactive_bytes_up,
        ),
        check(
            quarters >= t.interactive_quarters,
            &format!("quarter-hours with payload (quarter_bytes_up {})", t.quarter_bytes_up),
            quarters,
            "interactive_quarters",
            t.interactive_quarters,
        ),
    ]
}

fn shadow(facts: &HourFacts, t: &Thresholds) -> Vec<String> {
    let directed = facts.directed();
    if directed.followed >> t.load_rule() & 1 == 0 {
        return vec![format!(
            "No embed: none of {} connections began while another site's page loaded (shadow_seconds = {}).",
            directed.connections, t.shadow_seconds
        )];
    }
    let loads = facts.loads().max(1);
    let (up, bytes) = (directed.flow_up_max, directed.bytes());
    vec![
        "Incidental, as an embed of another site's page, if all hold:".into(),
        check(
            !t.is_beside(&directed),
            &format!(
                "nothing began otherwise (shadow_beside_bytes_up {})",
                t.shadow_beside_bytes_up
            ),
            "some began so",
            "shadow_seconds",
            t.shadow_seconds,
        ),
        check(
            up < t.shadow_bytes_up,
            "bytes up in one connection, less than",
            up,
            "shadow_bytes_up",
            t.shadow_bytes_up,
        ),
        check(
            bytes <= t.shadow_bytes.saturating_mul(loads),
            "bytes a minute with loads, at most",
            bytes / loads,
            "shadow_bytes",
            t.shadow_bytes,
        ),
    ]
}

/// What tells that hours are all alike.
fn even(evenness: &Evenness, t: &Thresholds) -> Vec<String> {
    let a_minute = evenness.bytes / evenness.minutes.max(1);
    let variation = evenness.variation.div_ceil(10);
    let mut lines = vec![
        "Background synchronisation, if all hold for hours that do not stand out:".into(),
        check(true, "hours with payload", evenness.hours, "sync_even_hours", t.sync_even_hours),
        check(
            true,
            "per cent by which they differ, at most",
            variation,
            "sync_even_percent",
            t.sync_even_percent,
        ),
        check(
            true,
            "bytes a minute with payload, at most",
            a_minute,
            "sync_even_bytes",
            t.sync_even_bytes,
        ),
    ];
    if !evenness.is_dense(t) {
        lines.push(check(
            true,
            "per cent of the pauses as long as the middle one",
            (100 * evenness.regular).checked_div(evenness.gaps).unwrap_or(100),
            "sync_regular_percent",
            t.sync_regular_percent,
        ));
    }
    lines
}

fn sync(day: &DayFacts, t: &Thresholds) -> Vec<String> {
    let spacing = day.spacing(t);
    let hours = spacing.hours;
    // Over midnight, part of it is on another day.
    let (name, least) = match spacing.edges {
        0 => ("sync_hours", t.sync_hours),
        _ => ("sync_edge_hours", t.sync_hours.min(t.sync_edge_hours)),
    };
    if hours < least && !spacing.evenness.is_sync(t) {
        return vec![format!(
            "No background synchronisation: {hours} of the day's hours have steady payload ({name} = {least})."
        )];
    }
    let percent = |part: u64, whole: u64| (100 * part).checked_div(whole).unwrap_or_default();
    let minutes = spacing.minutes.div_ceil(hours.max(1));
    let regular = percent(spacing.regular, spacing.gaps);
    let covered = percent(spacing.regular_minutes, 60 * hours);
    if spacing.evenness.is_sync(t) {
        even(&spacing.evenness, t)
    } else {
        vec![
            "Background synchronisation, if all hold for the day without hours that stand out:"
                .into(),
            check(true, "hours with payload", hours, name, least),
            check(
                spacing.minutes <= hours * t.sync_minutes,
                "minutes with payload in an hour, at most",
                minutes,
                "sync_minutes",
                t.sync_minutes,
            ),
            check(
                spacing.gaps >= t.sync_pauses,
                "pauses between them",
                spacing.gaps,
                "sync_pauses",
                t.sync_pauses,
            ),
            check(
                regular >= t.sync_regular_percent,
                "per cent of the pauses as long as the middle one",
                regular,
                "sync_regular_percent",
                t.sync_regular_percent,
            ),
            check(
                covered >= t.sync_covered_percent,
                "per cent of the hours covered by these",
                covered,
                "sync_covered_percent",
                t.sync_covered_percent,
            ),
        ]
    }
}

/// What tells that somebody worked beside synchronisation.
fn work_beside(day: &DayFacts, facts: &HourFacts, t: &Thresholds) -> Vec<String> {
    let usual = day.usual(t);
    let (bytes, minutes) = (facts.directed().bytes(), facts.directed().active_minutes());
    vec![
        "Work beside it, if both hold for the hour:".into(),
        check(
            bytes >= usual.bytes().saturating_mul(t.sync_excess_bytes),
            &format!("times the {} bytes of the middle hour", usual.bytes()),
            bytes.checked_div(usual.bytes()).unwrap_or_default(),
            "sync_excess_bytes",
            t.sync_excess_bytes,
        ),
        check(
            minutes >= usual.minutes_with(t.sync_excess_minutes),
            &format!("minutes more than the {} of the middle hour", usual.minutes()),
            minutes.saturating_sub(usual.minutes()),
            "sync_excess_minutes",
            t.sync_excess_minutes,
        ),
    ]
}
