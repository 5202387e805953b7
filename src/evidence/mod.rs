//! What counts as use: from the facts of an hour to a class of evidence.
//!
//! Pure: facts and thresholds in, a class out. The store keeps facts, and classes are computed
//! when a report is made, so that a changed [threshold](Thresholds) needs no capture to be read
//! again. Every threshold is a setting; why each has its value, with the curve over other values,
//! is in `src/evidence/README.md`.
//!
//! - `mod`: the class of an hour, and whether it is incidental
//! - `day`: the hours of a day together
//! - `excess`: hours that stand out of their day
//! - `kept`: what stays of them where only the day is kept
//! - `pattern`: background synchronisation, from the minutes of a day
//! - `source`: addresses that are no person
//! - `settings`: thresholds as a file
//!
//! Assumes that bytes are those of IP packets and that a handshake ends with the client's hello
//! for the client's bytes: what a client sends behind it is at least a `Finished`, and at most 1.4
//! kB of padding in QUIC. It does not know who a client is.

pub mod day;
pub mod excess;
pub mod kept;
pub mod pattern;
pub mod settings;
pub mod source;

use crate::usage::{BESIDE, LOAD_RULES, LoadRule, QUARTER_BYTES_UP, QUARTERS, Sums};
use kept::Counted;
pub use settings::{Settings, Thresholds};

/// How strong the evidence is that an app was used. Ordered: the strongest is the largest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Evidence {
    /// A name was asked for in DNS, and no connection was seen.
    #[default]
    DnsOnly,
    /// A connection was tried; nothing shows that the server answered.
    AddressOnly,
    /// Both sides spoke, and the client had nothing to say beyond its handshake.
    Handshake,
    /// Payload both ways, less than a person at work leaves.
    TwoWayPayload,
    /// Hosts of role `use`, with payload as somebody at work leaves it.
    Interactive,
}

impl Evidence {
    /// All of them, the weakest first.
    pub const ALL: [Evidence; 5] = [
        Evidence::DnsOnly,
        Evidence::AddressOnly,
        Evidence::Handshake,
        Evidence::TwoWayPayload,
        Evidence::Interactive,
    ];

    /// From its place in [`Evidence::ALL`], as it is stored.
    pub fn from_number(number: u8) -> Option<Evidence> {
        Evidence::ALL.get(usize::from(number)).copied()
    }

    /// The word used in every output.
    pub fn as_str(self) -> &'static str {
        match self {
            Evidence::DnsOnly => "dns_only",
            Evidence::AddressOnly => "address_only",
            Evidence::Handshake => "handshake",
            Evidence::TwoWayPayload => "two_way_payload",
            Evidence::Interactive => "interactive",
        }
    }
}

/// What an app's host is for, as far as evidence is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// Role `use`.
    Use = 0,
    /// Role `login`: a person, but no work yet.
    Login = 1,
    /// Role `visit`: pages that outsiders see.
    Visit = 2,
    /// Roles `embed`, `telemetry`, `site`, `infra`: no use, whoever it was.
    Incidental = 3,
}

impl Side {
    /// All of them, in their order.
    pub const ALL: [Side; 4] = [Side::Use, Side::Login, Side::Visit, Side::Incidental];

    /// The side that a role of the catalogue, by its word, belongs to.
    pub fn of_role(role: &str) -> Side {
        match role {
            "use" => Side::Use,
            "login" => Side::Login,
            "visit" => Side::Visit,
            _ => Side::Incidental,
        }
    }
}

/// Facts of one client and one app in one hour, by [`Side`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HourFacts {
    /// In the order of [`Side::ALL`].
    pub sides: [Sums; Side::ALL.len()],
    /// What the masks of minutes told, where they are not kept: then these are hours of a day that
    /// are alike.
    pub counted: Option<Counted>,
}

impl HourFacts {
    /// Adds to a side.
    pub fn add(&mut self, side: Side, sums: &Sums) {
        self.sides[side as usize].add(sums);
    }

    /// Sums of one side.
    pub fn side(&self, side: Side) -> &Sums {
        &self.sides[side as usize]
    }

    /// Sums of all sides.
    pub fn all(&self) -> Sums {
        self.sides_summed(|_| true)
    }

    /// Sums of what is not incidental by its role.
    pub fn directed(&self) -> Sums {
        self.sides_summed(|side| side != Side::Incidental)
    }

    /// Minutes with payload from the client, and from the server, of what is not incidental by its role.
    pub fn directed_minutes(&self) -> (u64, u64) {
        let directed = self.directed_sides();
        directed.fold((0, 0), |(up, down), sums| (up | sums.minutes_up, down | sums.minutes_down))
    }

    /// Bytes both ways of all sides.
    pub fn bytes(&self) -> u64 {
        self.sides.iter().map(Sums::bytes).sum()
    }

    /// Whether there is more than questions on any side.
    pub fn has_traffic(&self) -> bool {
        self.sides.iter().any(Sums::has_traffic)
    }

    /// Minutes with payload both ways.
    pub fn active_minutes(&self) -> u64 {
        let active = || {
            let fold = |(up, down), sums: &Sums| (up | sums.minutes_up, down | sums.minutes_down);
            let (up, down): (u64, u64) = self.sides.iter().fold((0, 0), fold);
            u64::from((up & down).count_ones())
        };
        self.counted.map_or_else(active, |counted| counted.active_minutes)
    }

    /// Minutes in which connections to hosts began that are not incidental.
    pub fn loads(&self) -> u64 {
        let begun = || {
            let minutes = self.directed_sides().fold(0_u64, |all, sums| all | sums.minutes_begun);
            u64::from(minutes.count_ones())
        };
        self.counted.map_or_else(begun, |counted| counted.loads)
    }

    /// Quarter-hours of one hour in which there was payload both ways beyond handshakes on hosts of
    /// role `use`.
    pub fn quarters(&self, thresholds: &Thresholds) -> u64 {
        let bits = self.counted.map_or(self.side(Side::Use).quarters, |counted| counted.quarters);
        quarters(bits, thresholds)
    }

    fn directed_sides(&self) -> impl Iterator<Item = &Sums> {
        let sides = Side::ALL.into_iter().filter(|side| *side != Side::Incidental);
        sides.map(|side| self.side(side))
    }

    fn sides_summed(&self, wanted: impl Fn(Side) -> bool) -> Sums {
        let mut sums = Sums::default();
        for side in Side::ALL.into_iter().filter(|side| wanted(*side)) {
            sums.add(self.side(side));
        }
        sums
    }
}

/// What an hour amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grade {
    /// How strong the evidence is.
    pub evidence: Evidence,
    /// Whether it is no use whatever its class: never together with [`Evidence::Interactive`].
    pub incidental: bool,
    /// What decided.
    pub because: Because,
}

/// What decided on a [`Grade`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Because {
    /// No flow at all.
    OnlyAsked,
    /// No flow in which both sides spoke.
    Unanswered,
    /// No flow with payload beyond its handshake.
    OnlyHandshakes,
    /// Payload, but on no host of role `use`.
    NoHostOfUse,
    /// Payload on hosts of role `use`, below every threshold.
    BelowThresholds,
    /// Only hosts of roles that are no use.
    IncidentalRoles,
    /// Hosts of use that appeared only while pages of other sites loaded, with the bytes of an
    /// embed.
    Shadow,
    /// One flow with enough bytes both ways.
    Bytes,
    /// One flow with enough bytes from the client.
    BytesUp,
    /// Payload both ways in enough quarter-hours.
    Quarters,
    /// It would be interactive, but the day has a machine's spacing.
    Sync,
}

impl Because {
    /// The end of a sentence that begins with "because".
    pub fn as_str(self) -> &'static str {
        match self {
            Because::OnlyAsked => "its names were only asked for in DNS",
            Because::Unanswered => "no connection was answered",
            Because::OnlyHandshakes => "no connection went beyond its handshake",
            Because::NoHostOfUse => "no host of role use had payload (login and visit are no use)",
            Because::BelowThresholds => "hosts of role use stayed below every threshold",
            Because::IncidentalRoles => {
                "only hosts of role embed, telemetry, site or infra were seen"
            }
            Because::Shadow => {
                "its hosts appeared only while pages of other sites loaded, with the bytes of an \
                 embed"
            }
            Because::Bytes => "one connection to a host of role use had enough bytes",
            Because::BytesUp => "one connection to a host of role use had enough bytes up",
            Because::Quarters => "hosts of role use had payload both ways in enough quarter-hours",
            Because::Sync => "the day has the spacing of background synchronisation",
        }
    }
}

/// The class of an hour's facts.
pub fn grade(facts: &HourFacts, thresholds: &Thresholds) -> Grade {
    grade_part(facts, facts, thresholds)
}

/// The class of a part of an hour's facts: those of one tenant and edition of an app. What a part
/// has sent and received is its own. Whether pages of other sites explain the hour, and whether
/// somebody was at work in enough quarter-hours, is told by the `whole`: who works in two tenants
/// is one person. Where the whole is interactive, one of its parts is.
pub fn grade_part(part: &HourFacts, whole: &HourFacts, thresholds: &Thresholds) -> Grade {
    let directed = part.directed();
    let mut all = directed;
    all.add(part.side(Side::Incidental));
    // Where there is traffic, a mere question for another host of the app says nothing.
    let incidental_roles = match (all.has_traffic(), directed.has_traffic()) {
        (true, directed) => !directed,
        (false, _) => directed.dns_queries == 0,
    };
    let is_shadow = !incidental_roles && is_shadow(whole, thresholds);
    let incidental = incidental_roles || is_shadow;
    if !all.has_traffic() {
        return Grade { evidence: Evidence::DnsOnly, incidental, because: Because::OnlyAsked };
    }
    // Of quarter-hours, those of the whole count where the part has any of them.
    let by_quarters = part.quarters(thresholds) > 0
        && whole.quarters(thresholds) >= thresholds.interactive_quarters
        && has_payload(whole.side(Side::Use), thresholds);
    let because = match () {
        () if all.handshakes == 0 && all.flow_bytes_max == 0 => Because::Unanswered,
        () if !has_payload(&all, thresholds) && !by_quarters => Because::OnlyHandshakes,
        () if incidental_roles => Because::IncidentalRoles,
        () if is_shadow => Because::Shadow,
        () => interactive(part.side(Side::Use), by_quarters, thresholds),
    };
    let evidence = match because {
        Because::OnlyAsked => Evidence::DnsOnly,
        Because::Unanswered => Evidence::AddressOnly,
        Because::OnlyHandshakes => Evidence::Handshake,
        Because::Bytes | Because::BytesUp | Because::Quarters => Evidence::Interactive,
        _ => Evidence::TwoWayPayload,
    };
    Grade { evidence, incidental, because }
}

/// Whether an app's hosts appeared only while pages of other sites loaded, with the bytes of an
/// embed: by the hosts that are not incidental by role, and the minutes in which connections to them
/// began. What began otherwise and has nothing to say changes nothing.
fn is_shadow(facts: &HourFacts, thresholds: &Thresholds) -> bool {
    let rule = thresholds.load_rule();
    // Most have not.
    if facts.directed_sides().all(|sums| sums.followed >> rule & 1 == 0) {
        return false;
    }
    let sums = facts.directed();
    !thresholds.is_beside(&sums)
        && sums.flow_up_max < thresholds.shadow_bytes_up
        && sums.bytes() <= thresholds.shadow_bytes.saturating_mul(facts.loads())
}

/// Quarter-hours with payload both ways beyond handshakes, of [`Sums::quarters`].
fn quarters(bits: u64, thresholds: &Thresholds) -> u64 {
    let first = QUARTERS as usize * thresholds.quarter_index();
    u64::from((bits >> first & ((1 << QUARTERS) - 1)).count_ones())
}

/// Whether a flow went beyond its handshake.
fn has_payload(sums: &Sums, thresholds: &Thresholds) -> bool {
    sums.flow_up_max >= thresholds.payload_bytes_up
        || sums.flow_bytes_max >= thresholds.payload_bytes
}

fn interactive(sums: &Sums, by_quarters: bool, thresholds: &Thresholds) -> Because {
    match () {
        () if !has_payload(sums, thresholds) && !by_quarters => Because::NoHostOfUse,
        () if sums.flow_bytes_max >= thresholds.interactive_bytes => Because::Bytes,
        () if sums.flow_up_max >= thresholds.interactive_bytes_up => Because::BytesUp,
        () if by_quarters => Because::Quarters,
        () => Because::BelowThresholds,
    }
}

impl Thresholds {
    /// Which of [`LOAD_RULES`] is looked at, and so which bit of [`Sums::followed`].
    pub fn load_rule(&self) -> u32 {
        let fits = |rule: &LoadRule| {
            u64::from(rule.silence_seconds) == self.shadow_seconds
                && u64::from(rule.load_seconds) == self.shadow_load_seconds
                && u64::from(rule.page_bytes) == self.shadow_page_bytes
        };
        // Settings that are none of them have been refused.
        LOAD_RULES.iter().position(fits).unwrap_or_default() as u32
    }

    /// Whether a connection that did not follow another site's page had payload.
    pub fn is_beside(&self, sums: &Sums) -> bool {
        let level = level(self.shadow_beside_bytes_up) as u32;
        let bit = BESIDE * self.load_rule() + level;
        sums.unfollowed >> bit & 1 != 0
    }

    /// Which bits of [`Sums::quarters`] are looked at: those of the setting, or of the next less.
    pub fn quarter_index(&self) -> usize {
        level(self.quarter_bytes_up)
    }
}

/// Which of [`QUARTER_BYTES_UP`] a setting is, or the next less.
fn level(setting: u64) -> usize {
    let fits = |bytes: &u16| u64::from(*bytes) <= setting;
    QUARTER_BYTES_UP.iter().rposition(fits).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::usage::{levels, quarter_bits, unfollowed_bits};

    /// By all rules.
    const ALL: u64 = (1 << LOAD_RULES.len()) - 1;

    fn flow(up: u64, down: u64) -> Sums {
        Sums {
            connections: 1,
            handshakes: 1,
            bytes_up: up + 2000,
            bytes_down: down + 3000,
            minutes_up: 1,
            minutes_down: 1,
            minutes_begun: 1,
            flow_up_max: up,
            flow_bytes_max: up + down,
            ..Sums::default()
        }
    }

    fn graded(parts: &[(Side, Sums)]) -> (Evidence, bool) {
        let mut facts = HourFacts::default();
        for (side, sums) in parts {
            facts.add(*side, sums);
        }
        let grade = grade(&facts, &Thresholds::default());
        (grade.evidence, grade.incidental)
    }

    #[test]
    fn each_class_has_its_facts() {
        let asked = Sums { dns_queries: 1, ..Sums::default() };
        let silent = Sums { connections: 1, bytes_up: 9000, ..Sums::default() };
        assert_eq!(graded(&[(Side::Use, asked)]), (Evidence::DnsOnly, false));
        assert_eq!(graded(&[(Side::Use, silent)]), (Evidence::AddressOnly, false));
        assert_eq!(graded(&[(Side::Use, flow(400, 5000))]), (Evidence::Handshake, false));
        assert_eq!(graded(&[(Side::Use, flow(1500, 6000))]), (Evidence::TwoWayPayload, false));
        assert_eq!(graded(&[(Side::Use, flow(1500, 60_000))]), (Evidence::Interactive, false));
        assert_eq!(graded(&[(Side::Use, flow(4500, 1000))]), (Evidence::Interactive, false));
    }

    #[test]
    fn two_quarter_hours_need_payload_beyond_handshakes() {
        let at = |minute: u32, up| {
            let bit = 1 << minute;
            let quarters = quarter_bits(bit, up, up + 900);
            Sums { minutes_up: bit, minutes_down: bit, quarters, ..flow(up, 900) }
        };
        let both = |one, other| graded(&[(Side::Use, one), (Side::Use, other)]).0;
        assert_eq!(both(at(0, 800), at(20, 800)), Evidence::Interactive);
        // Somebody's request, and a connection that says nothing.
        assert_eq!(both(at(0, 800), at(20, 300)), Evidence::TwoWayPayload);
        assert_eq!(both(at(0, 300), at(20, 300)), Evidence::Handshake);
        assert_eq!(both(at(0, 800), at(1, 800)), Evidence::TwoWayPayload);
        // A sign-in that fails and is tried again may be told from use.
        let stricter = Thresholds { quarter_bytes_up: 3750, ..Thresholds::default() };
        let mut facts = HourFacts::default();
        facts.add(Side::Use, &at(0, 2600));
        facts.add(Side::Use, &at(20, 2600));
        assert_eq!(grade(&facts, &stricter).evidence, Evidence::TwoWayPayload);
        assert_eq!(grade(&facts, &Thresholds::default()).evidence, Evidence::Interactive);
    }

    #[test]
    fn tenants_of_an_app_are_judged_together() {
        let facts = |minute: u32, up| {
            let bit = 1 << minute;
            let quarters = quarter_bits(bit, up, up + 900);
            let sums = Sums { minutes_up: bit, minutes_down: bit, quarters, ..flow(up, 900) };
            let mut facts = HourFacts::default();
            facts.add(Side::Use, &sums);
            facts
        };
        let parts = [facts(0, 3800), facts(20, 3800), facts(25, 300)];
        let mut whole = HourFacts::default();
        parts.iter().for_each(|part| whole.add(Side::Use, part.side(Side::Use)));
        let t = Thresholds::default();
        let class = |part: &HourFacts| grade_part(part, &whole, &t).evidence;
        assert!(parts.iter().all(|part| grade(part, &t).evidence < Evidence::Interactive));
        assert_eq!(grade(&whole, &t).evidence, Evidence::Interactive);
        // A connection that says nothing makes no use of its tenant.
        let expected = [Evidence::Interactive, Evidence::Interactive, Evidence::Handshake];
        assert_eq!(parts.each_ref().map(class), expected);
    }

    #[test]
    fn other_roles_are_never_interactive() {
        let much = flow(50_000, 900_000);
        assert_eq!(graded(&[(Side::Incidental, much)]), (Evidence::TwoWayPayload, true));
        assert_eq!(graded(&[(Side::Login, much)]), (Evidence::TwoWayPayload, false));
        assert_eq!(graded(&[(Side::Visit, much)]), (Evidence::TwoWayPayload, false));
        // A look-up of a host of use beside embeds is no use either.
        let asked = Sums { dns_queries: 1, ..Sums::default() };
        assert!(graded(&[(Side::Incidental, much), (Side::Use, asked)]).1);
        assert!(!graded(&[(Side::Incidental, much), (Side::Use, flow(300, 300))]).1);
    }

    #[test]
    fn a_shadow_is_followed_wholly_and_small() {
        let shadow = |up, down| Sums { followed: ALL, ..flow(up, down) };
        assert_eq!(graded(&[(Side::Use, shadow(1500, 40_000))]), (Evidence::TwoWayPayload, true));
        assert_eq!(graded(&[(Side::Use, shadow(1500, 900_000))]), (Evidence::Interactive, false));
        assert_eq!(graded(&[(Side::Use, shadow(9000, 40_000))]), (Evidence::Interactive, false));
        let mut twice = shadow(1500, 40_000);
        twice.add(&Sums { unfollowed: unfollowed_bits(levels(1500, 2500), 0), ..flow(1500, 1000) });
        assert_eq!(graded(&[(Side::Use, twice)]), (Evidence::Interactive, false));
        // One that says nothing changes nothing; and alone in the shadow, it is a shadow too.
        let mut twice = shadow(1500, 40_000);
        twice.add(&Sums { unfollowed: unfollowed_bits(levels(300, 3000), 0), ..flow(300, 2700) });
        assert_eq!(graded(&[(Side::Use, twice)]), (Evidence::TwoWayPayload, true));
        assert_eq!(graded(&[(Side::Use, shadow(300, 2700))]), (Evidence::Handshake, true));
        // What went on in the next hour belongs to the load, until it grows.
        let went_on = |up, down| Sums { connections: 0, ..shadow(up, down) };
        assert_eq!(graded(&[(Side::Use, went_on(1500, 40_000))]), (Evidence::TwoWayPayload, true));
        assert_eq!(graded(&[(Side::Use, went_on(4500, 40_000))]), (Evidence::Interactive, false));
    }

    fn any_sums() -> impl Strategy<Value = Sums> {
        let numbers = (0..3u64, 0..3u64, 0..3u64, 0..30_000u64, 0..200_000u64);
        (numbers, any::<[u64; 2]>(), 0..3u64).prop_map(
            |((connections, handshakes, dns_queries, up, down), minutes, followed)| Sums {
                connections: connections.max(handshakes),
                handshakes,
                dns_queries,
                bytes_up: if connections > 0 { up + 500 } else { 0 },
                bytes_down: if connections > 0 { down } else { 0 },
                minutes_up: minutes[0] >> 4,
                minutes_down: minutes[1] >> 4,
                minutes_begun: u64::from(connections > 0),
                followed: if followed.min(connections) > 0 { ALL } else { 0 },
                unfollowed: match followed.min(connections) < connections {
                    true => unfollowed_bits(levels(up, up + down), 0),
                    false => 0,
                },
                flow_up_max: if handshakes > 0 { up } else { 0 },
                flow_bytes_max: if handshakes > 0 { up + down } else { 0 },
                quarters: if handshakes > 0 {
                    quarter_bits((minutes[0] & minutes[1]) >> 4, up, up + down)
                } else {
                    0
                },
                ..Sums::default()
            },
        )
    }

    proptest! {
        /// The promises that every reader of a report relies on.
        #[test]
        fn interactive_is_never_incidental_and_needs_a_host_of_use(
            sides in prop::array::uniform4(any_sums()),
        ) {
            let facts = HourFacts { sides, counted: None };
            let grade = grade(&facts, &Thresholds::default());
            if grade.evidence == Evidence::Interactive {
                prop_assert!(!grade.incidental);
                prop_assert!(facts.side(Side::Use).handshakes > 0);
            }
            prop_assert_eq!(grade.evidence == Evidence::DnsOnly, !facts.all().has_traffic());
        }

        /// Whoever used an app, used one of its tenants; and nobody else did.
        #[test]
        fn an_app_is_used_where_a_part_of_it_is(
            parts in prop::collection::vec(prop::array::uniform4(any_sums()), 1..4),
            level in 0..QUARTER_BYTES_UP.len(), quarters in 1..4u64,
        ) {
            let parts = parts.into_iter().map(|sides| HourFacts { sides, counted: None });
            let parts: Vec<HourFacts> = parts.collect();
            let mut whole = HourFacts::default();
            for (side, part) in Side::ALL.into_iter().flat_map(|side| parts.iter().map(move |p| (side, p))) {
                whole.add(side, part.side(side));
            }
            let thresholds = Thresholds {
                quarter_bytes_up: QUARTER_BYTES_UP[level].into(),
                interactive_quarters: quarters,
                ..Thresholds::default()
            };
            let is_used = |grade: Grade| grade.evidence == Evidence::Interactive;
            let any = parts.iter().any(|part| is_used(grade_part(part, &whole, &thresholds)));
            prop_assert_eq!(is_used(grade(&whole, &thresholds)), any);
        }

        /// A stricter threshold never makes evidence stronger.
        #[test]
        fn stricter_thresholds_never_strengthen(
            sides in prop::array::uniform4(any_sums()), bytes in 0..100_000u64, up in 0..20_000u64,
        ) {
            let facts = HourFacts { sides, counted: None };
            let lax = Thresholds::default();
            let strict = Thresholds {
                interactive_bytes: lax.interactive_bytes + bytes,
                interactive_bytes_up: lax.interactive_bytes_up + up,
                interactive_quarters: 4,
                ..lax
            };
            prop_assert!(grade(&facts, &strict).evidence <= grade(&facts, &lax).evidence);
        }

        /// More traffic on the app's hosts of use never weakens evidence, unless all of it came
        /// behind other sites' pages.
        #[test]
        fn more_use_never_weakens(sides in prop::array::uniform4(any_sums()), more in any_sums()) {
            let mut facts = HourFacts { sides, counted: None };
            let before = grade(&facts, &Thresholds::default()).evidence;
            let unfollowed = unfollowed_bits(levels(more.flow_up_max, more.flow_bytes_max), 0);
            facts.add(Side::Use, &Sums { followed: 0, unfollowed, ..more });
            let after = grade(&facts, &Thresholds::default());
            prop_assert!(after.evidence >= before || after.incidental);
        }
    }
}
