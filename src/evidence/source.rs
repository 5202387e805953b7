//! Addresses that are no person: resolvers, forward proxies, mail relays, NAT gateways, servers.
//!
//! Recognised from what an address did, within a day, or named by the operator. Their traffic is
//! many people's or nobody's, and is never credited to one.

mod short;

use std::net::IpAddr;

use arrayvec::ArrayVec;
use ipnet::IpNet;
use serde::{Deserialize, Serialize, Serializer};

use super::settings::Fault;
use crate::fnv::Fnv;
use crate::net::Address;

/// Something that tells of an address what it is; each with distinct values, which are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Trait {
    /// It answered a DNS question; value: of whom.
    AnswersDns = 0,
    /// It was asked for something as a proxy; value: by whom.
    Proxies = 1,
    /// It says that it asks for another (`X-Forwarded-For`, PROXY protocol); value: for whom.
    AsksFor = 2,
    /// It opens connections with this time to live (or hop limit); value: what the sender began
    /// with, see [`initial_time_to_live`].
    TimeToLive = 3,
    /// It sends TLS hellos of this shape.
    HelloShape = 4,
    /// It answered on a connection that another opened; value: who.
    Serves = 5,
    /// It takes mail (ports 25, 465, 587); value: from whom.
    TakesMail = 6,
    /// It hands mail on (port 25); value: to whom.
    SendsMail = 7,
    /// The operator said what it is, when what it did was kept under a pseudonym; value: the
    /// [`Verdict`]'s number.
    Told = 8,
    /// Machines behind it, by their timestamp clocks (RFC 7323) towards one server; value: their
    /// number, from 1 on.
    Clock = 9,
    /// It opens connections with TCP options in this order: see [`crate::dissect::syn`].
    OptionOrder = 10,
    /// It keeps a connection to a push service, of which each machine has one; value: which.
    PushChannel = 11,
    /// Others have sessions on it, with a desktop of their own (RDP, ICA, PCoIP); value: who.
    HostsSessions = 12,
    /// It is at home on the link and opens connections with a time to live that others began with:
    /// see [`crate::pipeline::openings`]; values: 1 to how often their number has been doubled.
    PassesOn = 13,
    /// Of an address that does, those that are its own; likewise.
    OpensItself = 14,
    /// Runs of source ports towards one server within ten seconds, of which each machine has one or
    /// two; values: 1 to their number.
    PortRun = 15,
}

impl Trait {
    /// All of them, in their order.
    pub const ALL: [Trait; 16] = [
        Trait::AnswersDns,
        Trait::Proxies,
        Trait::AsksFor,
        Trait::TimeToLive,
        Trait::HelloShape,
        Trait::Serves,
        Trait::TakesMail,
        Trait::SendsMail,
        Trait::Told,
        Trait::Clock,
        Trait::OptionOrder,
        Trait::PushChannel,
        Trait::HostsSessions,
        Trait::PassesOn,
        Trait::OpensItself,
        Trait::PortRun,
    ];

    /// Distinct values kept of an address and an hour: more change no verdict.
    pub const VALUES_MAX: usize = 48;

    /// Whether its values count within an hour, and the day has the most of one: several machines
    /// behind an address are there at the same time, and the programs of one come and go.
    pub fn is_of_hour(self) -> bool {
        matches!(
            self,
            Trait::TimeToLive
                | Trait::HelloShape
                | Trait::Clock
                | Trait::OptionOrder
                | Trait::PushChannel
                | Trait::PassesOn
                | Trait::OpensItself
                | Trait::PortRun
        )
    }

    /// What its values are, in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Trait::AnswersDns => "clients whose DNS questions it answered",
            Trait::Proxies => "clients that it is a proxy of",
            Trait::AsksFor => "addresses that it says it asks for",
            Trait::TimeToLive => "initial times to live within an hour",
            Trait::HelloShape => "shapes of TLS hellos within an hour",
            Trait::Serves => "clients that it served",
            Trait::TakesMail => "clients that it took mail from",
            Trait::SendsMail => "servers that it handed mail on to",
            Trait::Told => "words of the operator on it",
            Trait::Clock => "TCP clocks towards one server within an hour",
            Trait::OptionOrder => "orders of TCP options within an hour",
            Trait::PushChannel => "lasting connections to push services within an hour",
            Trait::HostsSessions => "clients with a desktop session on it",
            Trait::PassesOn => "or more connections within an hour that it passed on",
            Trait::OpensItself => "or more connections of its own beside them",
            Trait::PortRun => "runs of source ports towards one server within ten seconds",
        }
    }
}

/// The value that stands for an address among those of a [`Trait`], the same in every version of
/// this program.
pub fn value_of(address: Address) -> u64 {
    Fnv::of(&address.0)
}

/// What a sender began with, of a time to live as it arrives: 64, 128 or 255, at most 16 routers
/// away. None for others: a program that traces routes begins with any.
pub fn initial_time_to_live(arrived: u8) -> Option<u8> {
    [64, 128, 255]
        .into_iter()
        .find(|initial| (0..=16).contains(&(initial - i16::from(arrived))))
        .map(|initial| initial as u8)
}

/// What an address did in a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceFacts {
    /// Distinct values, in the order of [`Trait::ALL`].
    pub distinct: [u64; Trait::ALL.len()],
    /// Connections that others opened to it and it answered.
    pub accepted: u64,
    /// Connections that it opened.
    pub opened: u64,
    /// What the operator said it is, when what it did was kept.
    pub told: Option<Verdict>,
}

impl SourceFacts {
    /// Distinct values of one trait.
    pub fn of(&self, what: Trait) -> u64 {
        self.distinct[what as usize]
    }

    /// What there is, in words; what connections there were, reports tell apart.
    pub fn in_words(&self) -> Vec<String> {
        let one = |what: Trait| match (what, self.told) {
            (Trait::Told, Some(_)) => "the operator's word".to_owned(),
            (Trait::PassesOn | Trait::OpensItself, _) => {
                format!("{} {}", doubled(self.of(what)), what.as_str())
            }
            _ => format!("{} {}", self.of(what), what.as_str()),
        };
        let told = Trait::ALL.into_iter().filter(|what| self.of(*what) > 0);
        told.map(one).collect()
    }
}

/// The least number that has been doubled so often: see [`Trait::PassesOn`].
fn doubled(times: u64) -> u64 {
    match times {
        0 => 0,
        times => 1 << (times - 1).min(62),
    }
}

/// Why an address is no person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Answers DNS for others.
    Resolver,
    /// Asks for others.
    ForwardProxy,
    /// Takes mail from others and hands it on.
    MailRelay,
    /// Several machines behind one address.
    NatGateway,
    /// Accepts more than it opens.
    Server,
}

impl Reason {
    /// All of them.
    pub const ALL: [Reason; 5] = [
        Reason::Resolver,
        Reason::ForwardProxy,
        Reason::MailRelay,
        Reason::NatGateway,
        Reason::Server,
    ];

    /// The word used in every output.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Resolver => "resolver",
            Reason::ForwardProxy => "forward_proxy",
            Reason::MailRelay => "mail_relay",
            Reason::NatGateway => "nat_gateway",
            Reason::Server => "server",
        }
    }
}

/// When an address is taken for no person, and what the operator says of some.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct SourceSettings {
    /// Clients whose questions an address answers, from which on it is a resolver.
    pub resolver_clients: u64,
    /// Clients that an address is a proxy of, from which on it is one.
    pub proxy_clients: u64,
    /// Clients that an address takes mail from, from which on it is a relay if it sends some too.
    pub mail_clients: u64,
    /// Addresses that an address says it asks for, from which on it is a proxy if nobody was seen to
    /// ask it.
    pub proxy_forwarded_for: u64,
    /// Initial times to live of an address within an hour, from which on there are several machines
    /// behind it.
    pub nat_times_to_live: u64,
    /// Shapes of TLS hellos of an address within an hour, from which on there are.
    pub nat_hello_shapes: u64,
    /// Initial times to live, or orders of TCP options, from which on they are half of what tells of
    /// several machines.
    pub nat_mixed_times_to_live: u64,
    /// Shapes of TLS hellos from which on they are the other half: more are more, less are less.
    pub nat_mixed_hello_shapes: u64,
    /// Orders of TCP options of an address within an hour, from which on there are several machines.
    pub nat_option_orders: u64,
    /// Timestamp clocks behind an address towards one server within an hour, from which on there
    /// are.
    pub nat_clocks: u64,
    /// Lasting connections of an address to push services within an hour, from which on there are.
    pub nat_push_channels: u64,
    /// Runs of source ports of an address towards one server within ten seconds, from which on there
    /// are.
    pub nat_port_runs: u64,
    /// Connections within an hour that an address passes on, from which on that tells anything.
    pub nat_passed_on_connections: u64,
    /// How many connections an address passes on for each of its own, from which on nobody works at
    /// it.
    pub nat_passed_on_times: u64,
    /// How much of what is enough that is, in per cent.
    pub nat_passed_on_percent: u64,
    /// Clients that an address serves, from which on it is a server if it accepts more than it
    /// opens.
    pub server_clients: u64,
    /// Shapes of TLS hellos within an hour, from which on somebody works at what also serves.
    pub server_hello_shapes: u64,
    /// Clients with a desktop session on an address, from which on it is a server whatever it opens.
    pub server_sessions: u64,
    /// Networks and addresses that the operator knows better; the narrowest counts.
    pub known: Vec<Known>,
}

impl Default for SourceSettings {
    fn default() -> SourceSettings {
        SourceSettings {
            resolver_clients: 2,
            proxy_clients: 2,
            proxy_forwarded_for: 4,
            mail_clients: 2,
            nat_times_to_live: 3,
            nat_hello_shapes: 30,
            nat_mixed_times_to_live: 2,
            nat_mixed_hello_shapes: 20,
            nat_option_orders: 4,
            nat_clocks: 8,
            nat_push_channels: 16,
            nat_port_runs: 16,
            nat_passed_on_connections: 16,
            nat_passed_on_times: 16,
            nat_passed_on_percent: 100,
            server_clients: 8,
            server_hello_shapes: 5,
            server_sessions: 4,
            known: Vec::new(),
        }
    }
}

/// What the operator says of an address or a network.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    /// The network; an address alone is one of its own.
    #[serde(deserialize_with = "super::settings::network", serialize_with = "as_text")]
    pub network: IpNet,
    /// What it is.
    #[serde(rename = "is")]
    pub verdict: Verdict,
}

/// What the operator says of an address; the narrowest network counts.
pub fn verdict_on(address: IpAddr, known: &[Known]) -> Option<Verdict> {
    let holds = known.iter().filter(|known| known.network.contains(&address));
    holds.max_by_key(|known| known.network.prefix_len()).map(|known| known.verdict)
}

fn as_text<S: Serializer>(network: &IpNet, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(network)
}

/// What the operator may say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// A person's device, whatever it does.
    Person,
    /// As [`Reason::Resolver`].
    Resolver,
    /// As [`Reason::ForwardProxy`].
    ForwardProxy,
    /// As [`Reason::MailRelay`].
    MailRelay,
    /// As [`Reason::NatGateway`].
    NatGateway,
    /// As [`Reason::Server`].
    Server,
}

impl Verdict {
    /// All of them; their places are their numbers in the database.
    const ALL: [Verdict; 6] = [
        Verdict::Person,
        Verdict::Resolver,
        Verdict::ForwardProxy,
        Verdict::MailRelay,
        Verdict::NatGateway,
        Verdict::Server,
    ];

    /// As it is stored.
    pub fn number(self) -> u64 {
        self as u64
    }

    /// From its number; none where that is no verdict.
    pub fn from_number(number: u64) -> Option<Verdict> {
        Verdict::ALL.get(usize::try_from(number).ok()?).copied()
    }

    /// The word of the settings.
    fn as_str(self) -> &'static str {
        self.reason().map_or("person", Reason::as_str)
    }

    fn reason(self) -> Option<Reason> {
        match self {
            Verdict::Person => None,
            Verdict::Resolver => Some(Reason::Resolver),
            Verdict::ForwardProxy => Some(Reason::ForwardProxy),
            Verdict::MailRelay => Some(Reason::MailRelay),
            Verdict::NatGateway => Some(Reason::NatGateway),
            Verdict::Server => Some(Reason::Server),
        }
    }
}

/// Settings of one sign: those of several signs that add up are the most.
const SIGN_SETTINGS_MAX: usize = 7;

/// One thing by which an address shows what it is.
struct Sign {
    reason: Reason,
    /// Whose values are counted; none where several are added up.
    what: Option<Trait>,
    /// How many there are; of several, per cent of what is enough.
    reached: u64,
    is_met: bool,
    /// What it is compared with: names and values.
    settings: ArrayVec<(&'static str, u64), SIGN_SETTINGS_MAX>,
}

/// Clocks that one machine has, runs of ports (one more where the secret changes, and where the range
/// ends), and lasting connections to push services (of the system, four profiles of three browsers, and
/// as many of a virtual machine as it is likely to have).
const ONE_MACHINE_CLOCKS: u64 = 1;
const ONE_MACHINE_RUNS: u64 = 3;
const ONE_MACHINE_CHANNELS: u64 = 8;
/// Per cent that are enough.
const ENOUGH: u64 = 100;

/// How much of what is enough a number tells, where `one` is what a machine alone has: per cent.
fn share(number: u64, one: u64, enough: u64) -> u64 {
    number.saturating_sub(one) * ENOUGH / enough.saturating_sub(one).max(1)
}

/// The same where it is known what is half of enough.
fn half_share(number: u64, half: u64, enough: u64) -> u64 {
    let rest = enough.saturating_sub(half).max(1);
    let more = ENOUGH / 2 + number * ENOUGH / 2 / rest;
    if number > 0 { more.saturating_sub(half * ENOUGH / 2 / rest) } else { 0 }
}

impl SourceSettings {
    /// Why the address is no person: what the operator says of it, or said when its doings were
    /// kept; else what it did. `device` is its text, or a pseudonym.
    pub fn reason(&self, device: &str, facts: &SourceFacts) -> Option<Reason> {
        let said = self.said(device, facts);
        said.map_or_else(|| self.by_behaviour(facts), Verdict::reason)
    }

    /// What the operator says of an address, or said when its doings were kept.
    fn said(&self, device: &str, facts: &SourceFacts) -> Option<Verdict> {
        let address: Option<IpAddr> = device.parse().ok();
        address.and_then(|address| verdict_on(address, &self.known)).or(facts.told)
    }

    /// The settings on which a verdict rests, with their values.
    pub fn settings_of(&self, device: &str, facts: &SourceFacts, reason: Reason) -> String {
        if self.said(device, facts).is_some() {
            return "known says so".into();
        }
        let met = self.signs(facts).into_iter().filter(|sign| sign.reason == reason && sign.is_met);
        let settings = met.flat_map(|sign| sign.settings);
        settings.map(|(name, value)| format!("{name} = {value}")).collect::<Vec<_>>().join("; ")
    }

    fn by_behaviour(&self, facts: &SourceFacts) -> Option<Reason> {
        self.signs(facts).into_iter().find(|sign| sign.is_met).map(|sign| sign.reason)
    }

    /// All signs, the surest first.
    fn signs(&self, facts: &SourceFacts) -> [Sign; 13] {
        let of = |what| facts.of(what);
        let one = |reason, what, name, setting| Sign {
            reason,
            what: Some(what),
            reached: of(what),
            is_met: of(what) >= setting,
            settings: ArrayVec::from_iter([(name, setting)]),
        };
        let nat = |what, name, setting| one(Reason::NatGateway, what, name, setting);
        [
            one(Reason::Resolver, Trait::AnswersDns, "resolver_clients", self.resolver_clients),
            one(Reason::ForwardProxy, Trait::Proxies, "proxy_clients", self.proxy_clients),
            one(
                Reason::ForwardProxy,
                Trait::AsksFor,
                "proxy_forwarded_for",
                self.proxy_forwarded_for,
            ),
            Sign {
                reason: Reason::MailRelay,
                what: Some(Trait::TakesMail),
                reached: of(Trait::TakesMail),
                is_met: of(Trait::TakesMail) >= self.mail_clients && of(Trait::SendsMail) > 0,
                settings: ArrayVec::from_iter([("mail_clients", self.mail_clients)]),
            },
            one(Reason::Server, Trait::HostsSessions, "server_sessions", self.server_sessions),
            nat(Trait::TimeToLive, "nat_times_to_live", self.nat_times_to_live),
            nat(Trait::OptionOrder, "nat_option_orders", self.nat_option_orders),
            nat(Trait::Clock, "nat_clocks", self.nat_clocks),
            nat(Trait::PortRun, "nat_port_runs", self.nat_port_runs),
            nat(Trait::PushChannel, "nat_push_channels", self.nat_push_channels),
            nat(Trait::HelloShape, "nat_hello_shapes", self.nat_hello_shapes),
            self.several_signs(facts),
            Sign {
                reason: Reason::Server,
                what: Some(Trait::Serves),
                reached: of(Trait::Serves),
                is_met: of(Trait::Serves) >= self.server_clients
                    && facts.accepted > facts.opened
                    && of(Trait::HelloShape) < self.server_hello_shapes,
                settings: ArrayVec::from_iter([
                    ("server_clients", self.server_clients),
                    ("server_hello_shapes", self.server_hello_shapes),
                ]),
            },
        ]
    }

    /// Several machines, by signs of which none is enough alone: what each tells is added up. Kinds of
    /// systems, clocks and runs of ports are one sign, the strongest of them, since machines in a
    /// machine bring along all three; for the same reason it is worth no more than half.
    fn several_signs(&self, facts: &SourceFacts) -> Sign {
        let of = |what| facts.of(what);
        let kinds = of(Trait::TimeToLive).max(of(Trait::OptionOrder));
        let kinds = if kinds >= self.nat_mixed_times_to_live { ENOUGH / 2 } else { 0 };
        let clocks = share(of(Trait::Clock), ONE_MACHINE_CLOCKS, self.nat_clocks);
        let runs = share(of(Trait::PortRun), ONE_MACHINE_RUNS, self.nat_port_runs);
        let machines = kinds.max(clocks).max(runs).min(ENOUGH / 2);
        let shapes = of(Trait::HelloShape);
        let shapes = half_share(shapes, self.nat_mixed_hello_shapes, self.nat_hello_shapes);
        let channels = share(of(Trait::PushChannel), ONE_MACHINE_CHANNELS, self.nat_push_channels);
        let passes_on = if self.passes_on(facts) { self.nat_passed_on_percent } else { 0 };
        let mut settings = ArrayVec::new();
        let mut tell = |share: u64, told: &[(&'static str, u64)]| {
            if share > 0 {
                settings.extend(told.iter().copied());
            }
        };
        let times = ("nat_passed_on_times", self.nat_passed_on_times);
        let connections = ("nat_passed_on_connections", self.nat_passed_on_connections);
        let percent = ("nat_passed_on_percent", self.nat_passed_on_percent);
        tell(passes_on, &[connections, times, percent]);
        let strongest = match machines {
            0 => None,
            _ if kinds == machines => {
                Some(("nat_mixed_times_to_live", self.nat_mixed_times_to_live))
            }
            _ if clocks >= machines => Some(("nat_clocks", self.nat_clocks)),
            _ => Some(("nat_port_runs", self.nat_port_runs)),
        };
        tell(machines, strongest.as_slice());
        let mixed = ("nat_mixed_hello_shapes", self.nat_mixed_hello_shapes);
        tell(shapes, &[mixed, ("nat_hello_shapes", self.nat_hello_shapes)]);
        tell(channels, &[("nat_push_channels", self.nat_push_channels)]);
        let reached = passes_on + machines + shapes + channels;
        let is_met = reached >= ENOUGH;
        Sign { reason: Reason::NatGateway, what: None, reached, is_met, settings }
    }

    /// Whether an address passes on what others send, and next to nothing of its own.
    fn passes_on(&self, facts: &SourceFacts) -> bool {
        let [passed_on, own] =
            [Trait::PassesOn, Trait::OpensItself].map(|what| doubled(facts.of(what)));
        passed_on >= self.nat_passed_on_connections
            && passed_on >= own.saturating_mul(self.nat_passed_on_times)
    }

    /// Whether the values can be used; `is_given` tells whether somebody gave a setting its value.
    ///
    /// # Errors
    /// The setting that cannot, or what contradicts it, and the remedy.
    pub(super) fn check(&self, is_given: &dyn Fn(&str) -> bool) -> Result<(), Fault> {
        const OF_HOUR: u64 = Trait::VALUES_MAX as u64;
        // Of a day, as many in each of its hours: this is more than anybody asks for.
        const OF_DAY: u64 = 1000;
        for (name, value, most) in [
            ("resolver_clients", self.resolver_clients, OF_DAY),
            ("proxy_clients", self.proxy_clients, OF_DAY),
            ("proxy_forwarded_for", self.proxy_forwarded_for, OF_DAY),
            ("mail_clients", self.mail_clients, OF_DAY),
            ("nat_times_to_live", self.nat_times_to_live, OF_HOUR),
            ("nat_hello_shapes", self.nat_hello_shapes, OF_HOUR),
            ("nat_mixed_times_to_live", self.nat_mixed_times_to_live, OF_HOUR),
            ("nat_mixed_hello_shapes", self.nat_mixed_hello_shapes, OF_HOUR),
            ("nat_option_orders", self.nat_option_orders, OF_HOUR),
            ("nat_clocks", self.nat_clocks, OF_HOUR),
            ("nat_push_channels", self.nat_push_channels, OF_HOUR),
            ("nat_port_runs", self.nat_port_runs, OF_HOUR),
            ("nat_passed_on_connections", self.nat_passed_on_connections, OF_DAY),
            ("nat_passed_on_times", self.nat_passed_on_times, OF_DAY),
            ("server_clients", self.server_clients, OF_DAY),
            ("server_hello_shapes", self.server_hello_shapes, OF_HOUR),
            ("server_sessions", self.server_sessions, OF_DAY),
        ] {
            Fault::unless_within(name, value, 1, most)?;
        }
        // None: that it passes on says nothing; all of it: that is enough.
        let percent = self.nat_passed_on_percent;
        Fault::unless_within("nat_passed_on_percent", percent, 0, ENOUGH)?;
        // With another sign as many are asked for as without: that rule would decide nothing.
        let alone = match self.nat_times_to_live >= self.nat_option_orders {
            true => ("nat_times_to_live", self.nat_times_to_live),
            false => ("nat_option_orders", self.nat_option_orders),
        };
        let mixed = ("nat_mixed_times_to_live", self.nat_mixed_times_to_live);
        Fault::unless_ordered(is_given, mixed, alone)?;
        Fault::unless_ordered(
            is_given,
            ("nat_mixed_hello_shapes", self.nat_mixed_hello_shapes),
            ("nat_hello_shapes", self.nat_hello_shapes),
        )?;
        for (at, one) in self.known.iter().enumerate() {
            let same = |other: &&Known| other.network.trunc() == one.network.trunc();
            let Some(other) = self.known[..at].iter().find(same) else { continue };
            if other.verdict != one.verdict {
                let (network, one, other) = (one.network, one.verdict, other.verdict);
                let (one, other) = (one.as_str(), other.as_str());
                let text = format!("known: {network} is {other} and {one}; leave one of them");
                return Err(Fault { names: vec!["known"], entry: Some(at), text });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn facts(traits: &[(Trait, u64)], accepted: u64, opened: u64) -> SourceFacts {
        let mut facts = SourceFacts { accepted, opened, ..SourceFacts::default() };
        for &(what, number) in traits {
            facts.distinct[what as usize] = number;
        }
        facts
    }

    #[test]
    fn behaviour_tells() {
        let settings = SourceSettings::default();
        let reason = |facts| settings.reason("10.0.0.1", &facts);
        assert_eq!(reason(facts(&[(Trait::AnswersDns, 5)], 0, 90)), Some(Reason::Resolver));
        assert_eq!(reason(facts(&[(Trait::Proxies, 2)], 0, 9)), Some(Reason::ForwardProxy));
        assert_eq!(reason(facts(&[(Trait::AsksFor, 4)], 0, 9)), Some(Reason::ForwardProxy));
        let mail = [(Trait::TakesMail, 3), (Trait::SendsMail, 1)];
        assert_eq!(reason(facts(&mail, 3, 9)), Some(Reason::MailRelay));
        assert_eq!(reason(facts(&[(Trait::TimeToLive, 3)], 0, 9)), Some(Reason::NatGateway));
        let both = [(Trait::TimeToLive, 2), (Trait::HelloShape, 20)];
        assert_eq!(reason(facts(&both, 0, 9)), Some(Reason::NatGateway));
        assert_eq!(reason(facts(&[(Trait::Serves, 9)], 30, 9)), Some(Reason::Server));
        assert_eq!(reason(facts(&[(Trait::HostsSessions, 4)], 4, 900)), Some(Reason::Server));
        for sign in [(Trait::Clock, 8), (Trait::OptionOrder, 4), (Trait::PushChannel, 16)] {
            assert_eq!(reason(facts(&[sign], 0, 9)), Some(Reason::NatGateway), "{sign:?}");
        }
        assert_eq!(reason(facts(&[(Trait::PortRun, 16)], 0, 9)), Some(Reason::NatGateway));
        // Two kinds of systems with one time to live: phones and desktops of one vendor.
        let both = [(Trait::OptionOrder, 2), (Trait::HelloShape, 20)];
        assert_eq!(reason(facts(&both, 0, 9)), Some(Reason::NatGateway));
    }

    #[test]
    fn people_stay_people() {
        let settings = SourceSettings::default();
        let reason = |facts| settings.reason("10.0.0.1", &facts);
        assert_eq!(reason(SourceFacts::default()), None);
        // A second browser and an updater; a machine behind it; a share for colleagues.
        assert_eq!(reason(facts(&[(Trait::HelloShape, 20), (Trait::TimeToLive, 1)], 0, 9)), None);
        assert_eq!(reason(facts(&[(Trait::HelloShape, 15), (Trait::TimeToLive, 2)], 0, 9)), None);
        assert_eq!(reason(facts(&[(Trait::Serves, 9)], 30, 300)), None);
        assert_eq!(reason(facts(&[(Trait::SendsMail, 4)], 0, 300)), None);
        // Somebody who works at a machine that peers, colleagues and a printer connect to.
        assert_eq!(reason(facts(&[(Trait::Serves, 40), (Trait::HelloShape, 6)], 90, 30)), None);
        // Containers, each a machine of its own; browsers with some profiles.
        assert_eq!(reason(facts(&[(Trait::Clock, 5), (Trait::PushChannel, 9)], 0, 30)), None);
        // A colleague helps from afar; a program at home says whom it asks for.
        assert_eq!(reason(facts(&[(Trait::HostsSessions, 2), (Trait::AsksFor, 2)], 0, 30)), None);
    }

    #[test]
    fn signs_of_several_machines_add_up() {
        let settings = SourceSettings { nat_passed_on_percent: 75, ..SourceSettings::default() };
        let reason = |traits: &[_]| settings.reason("10.0.0.1", &facts(traits, 0, 300));
        // Of who passes on 64 and more, and has 2 of its own: what else is enough, and what is not.
        let beside = |what, number| {
            let traits = [(Trait::PassesOn, 7), (Trait::OpensItself, 2), (what, number)];
            reason(&traits).is_some()
        };
        for (what, enough) in [
            (Trait::Clock, 3),
            (Trait::PortRun, 7),
            (Trait::TimeToLive, 2),
            (Trait::OptionOrder, 2),
            (Trait::PushChannel, 10),
            (Trait::HelloShape, 15),
        ] {
            assert!(beside(what, enough) && !beside(what, enough - 1), "{what:?}");
            assert!(reason(&[(what, enough)]).is_none(), "{what:?}");
        }
        // It has too many of its own: somebody works at it.
        let own = [(Trait::PassesOn, 7), (Trait::OpensItself, 4), (Trait::OptionOrder, 2)];
        assert_eq!(reason(&own), None);
        // More shapes than a desktop has, and what some machines in a machine do not explain.
        let machines = (Trait::Clock, 6);
        assert_eq!(reason(&[machines, (Trait::HelloShape, 19)]), None);
        assert_eq!(reason(&[machines, (Trait::HelloShape, 20)]), Some(Reason::NatGateway));
        let channels = (Trait::PushChannel, 10);
        let all = [machines, channels, (Trait::HelloShape, 15)];
        assert_eq!(reason(&all), Some(Reason::NatGateway));
        // A PC with all that there is, and a virtual machine in it.
        let kinds = (Trait::TimeToLive, 2);
        assert_eq!(reason(&[kinds, (Trait::HelloShape, 18), (Trait::PushChannel, 8)]), None);
        // Kinds, clocks and ports are of the same machines.
        let all = [(Trait::TimeToLive, 2), machines, (Trait::PortRun, 12), (Trait::HelloShape, 12)];
        assert_eq!(reason(&all), None);
    }

    #[test]
    fn who_passes_on_many_connections_and_opens_few_is_a_gateway() {
        let settings = SourceSettings::default();
        let reason = |passed_on, own| {
            let traits = [(Trait::PassesOn, passed_on), (Trait::OpensItself, own)];
            settings.reason("10.0.0.1", &facts(&traits, 0, 300))
        };
        // 16 and none, 64 and 4; 8 and none, 32 and 4.
        assert_eq!(
            [(5, 0), (7, 3)].map(|(on, own)| reason(on, own)),
            [Some(Reason::NatGateway); 2]
        );
        assert_eq!([(4, 0), (6, 3)].map(|(on, own)| reason(on, own)), [None; 2]);
    }

    #[test]
    fn what_decided_is_told() {
        let settings = SourceSettings::default();
        let facts = facts(&[(Trait::PassesOn, 6), (Trait::PortRun, 7)], 0, 9);
        let told = settings.settings_of("10.0.0.1", &facts, Reason::NatGateway);
        assert_eq!(
            told,
            "nat_passed_on_connections = 16; nat_passed_on_times = 16; nat_passed_on_percent = 100; \
             nat_port_runs = 16"
        );
        let words = facts.in_words();
        assert_eq!(words[0], "32 or more connections within an hour that it passed on");
        assert_eq!([doubled(0), doubled(1), doubled(7), doubled(200)], [0, 1, 64, 1 << 62]);
    }

    #[test]
    fn the_operator_knows_better() {
        let text = "known = [
            { network = '10.0.0.0/8', is = 'nat_gateway' },
            { network = '10.0.0.1', is = 'person' },
        ]";
        let settings: SourceSettings = toml::from_str(text).unwrap();
        let busy = facts(&[(Trait::AnswersDns, 5)], 0, 0);
        assert_eq!(settings.reason("10.0.0.1", &busy), None);
        assert_eq!(settings.reason("10.0.0.2", &busy), Some(Reason::NatGateway));
        assert_eq!(settings.reason("fd00::1", &busy), Some(Reason::Resolver));
        assert_eq!(settings.reason("other", &SourceFacts::default()), None);
        // What was said when it was kept counts where the address is not there to be looked up.
        let told = SourceFacts { told: Some(Verdict::Server), ..SourceFacts::default() };
        assert_eq!(settings.reason("d-0123", &told), Some(Reason::Server));
        assert_eq!(settings.reason("10.0.0.1", &told), None);
        let person = SourceFacts { told: Some(Verdict::Person), ..busy };
        assert_eq!(settings.reason("d-0123", &person), None);
    }

    #[test]
    fn verdicts_keep_their_numbers() {
        for (number, verdict) in Verdict::ALL.into_iter().enumerate() {
            assert_eq!(verdict.number(), number as u64);
            assert_eq!(Verdict::from_number(number as u64), Some(verdict));
        }
        assert_eq!(Verdict::from_number(6), None);
    }

    #[test]
    fn a_trace_of_a_route_is_no_crowd() {
        let kinds: Vec<u8> = (1..=30).filter_map(initial_time_to_live).collect();
        assert!(kinds.is_empty());
        let of = [63, 64, 62, 127, 128, 112, 254, 255, 239].map(initial_time_to_live);
        let (low, middle, high) = (Some(64), Some(128), Some(255));
        assert_eq!(of, [low, low, low, middle, middle, middle, high, high, high]);
        assert_eq!([47, 65, 111, 129, 238].map(initial_time_to_live), [None; 5]);
    }
}
