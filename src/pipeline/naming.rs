//! Flows without a name of their own: whose answer from DNS gave their server's address.
//!
//! The rule is section 4 of the design: candidates are question names; one app, or one registrable
//! domain, is a name; anything else is ambiguous and stays so. A verdict is given once, on the
//! first that is heard of a flow, and remembered until its end.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::calls::Preceding;
use super::lookups::Lookups;
use super::verdicts::{Outcome, TargetNumber, Verdict, Verdicts, decide};
use crate::dissect::tunnel::{self, Oddness, TunnelProtocol};
use crate::footprint;
use crate::hostname::{HOSTNAME_LENGTH_MAX, Hostname};
use crate::ledger::Bucket;
use crate::names::{CANDIDATES_MAX, Candidate, LATE_NANOS, NameCache, Step};
use crate::net::Address;
use crate::observation::{Ech, NameSource};
use crate::store::{Grounds, Rule, Target};
use crate::time::{NANOS_PER_SECOND, Timestamp};
use crate::worker::part::{AnonymousSums, Doubt, EchOffer};

/// Offers of Encrypted ClientHello remembered.
const OFFERS_MAX: usize = 7 << 12;
/// Memory of as many, and of names that may be made up.
pub(super) const BYTES_MAX: usize =
    footprint::map(OFFERS_MAX, size_of::<(OfferKey, (Timestamp, Timestamp))>())
        + footprint::map(SUSPECTS_MAX + 1, size_of::<(Address, Vec<(Timestamp, Box<str>)>)>())
        + (SUSPECTS_MAX + 1)
            * (footprint::heap(2 * SUSPECT_NAMES_MAX * size_of::<(Timestamp, Box<str>)>())
                + SUSPECT_NAMES_MAX * footprint::heap(HOSTNAME_LENGTH_MAX));

/// What a flow turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// What that stands for; none where nothing is known.
    pub verdict: Option<Verdict>,
    /// The target with the grounds on which that may be told anew one day, if any.
    pub held: Option<TargetNumber>,
    /// Where its bytes belong.
    pub bucket: Bucket,
    /// Its name, if it has one.
    pub name: Option<Box<str>>,
    /// Where the name came from.
    pub source: NameSource,
    /// The names it may have, where that is not decided.
    pub candidates: Box<[Box<str>]>,
    /// Whether these are what its client was told, or used, and not what others were.
    pub is_asked: bool,
    /// Whether its name is made up, as those of Tor are.
    pub is_tor: bool,
    /// What the extension of Encrypted ClientHello amounts to, where it was there.
    pub ech: Option<EchState>,
}

impl Named {
    /// Whether neither names nor addresses say anything.
    pub(super) fn is_nobodys(&self) -> bool {
        self.bucket == Bucket::NoName
    }

    /// Its target, with grounds where it has any.
    pub(super) fn target(&self) -> Option<TargetNumber> {
        self.held.or_else(|| self.verdict?.target)
    }

    /// Keeps on what it hangs what a flow is, where that is not certain for good: on the targets of its
    /// candidates, the one that speaks for all first, and on what others had.
    fn hold(
        &mut self,
        rule: Rule,
        candidates: &[Option<TargetNumber>],
        others: &[Box<str>],
        verdicts: &mut Verdicts,
    ) {
        if !verdicts.is_holding() {
            return;
        }
        let mut own: Vec<TargetNumber> = Vec::new();
        for &target in candidates {
            // What is shared has no target: it agrees with nobody, whatever the others are.
            let Some(target) = target else { return };
            if !own.contains(&target) && own.len() < CANDIDATES_MAX {
                own.push(target);
            }
        }
        let mut beside: Vec<TargetNumber> = Vec::new();
        for name in others {
            let verdict = verdicts.name(name);
            match verdict.target {
                Some(target) if !own.contains(&target) && !beside.contains(&target) => {
                    beside.push(target);
                }
                None if verdict.app.is_some() => return,
                _ => {}
            }
        }
        beside.sort_by(|&one, &other| verdicts.target(one).cmp(verdicts.target(other)));
        // What is one domain's stays together, but for names that are never an app's.
        let mut sites = own.iter().chain(&beside).map(|&target| {
            let target = verdicts.target(target);
            (target.domain(), target.is_no_host())
        });
        let Some(first) = sites.next().filter(|_| !own.is_empty()) else { return };
        if first.0.is_some() && rule != Rule::Media && sites.all(|site| site == first) {
            return;
        }
        let now = match self.verdict {
            Some(Verdict { target: Some(target), .. }) => verdicts.target(target).clone(),
            Some(_) => return,
            None => Target::Undecided { bucket: self.bucket },
        };
        let grounds = Grounds { rule, own: own.into(), others: beside.into() };
        self.held = verdicts.held(now, grounds);
    }

    /// Of any of the candidates, or of something else.
    fn undecided(candidates: &[Candidate], bucket: Bucket) -> Named {
        let candidates = candidates.iter().map(|candidate| candidate.name.clone()).collect();
        Named { bucket, candidates, ..Named::nobody_knows() }
    }

    /// Of which nothing at all is known, as of most flows without a name.
    pub(super) fn nobody_knows() -> Named {
        Named {
            verdict: None,
            held: None,
            bucket: Bucket::NoName,
            name: None,
            source: NameSource::Dns,
            candidates: Box::default(),
            is_asked: true,
            is_tor: false,
            ech: None,
        }
    }
}

/// What a ClientHello with the extension of Encrypted ClientHello amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EchState {
    /// The extension is there, and nothing says that it hides a name.
    GreaseOrUnknown,
    /// The outer name is one that fronts for others.
    Likely,
    /// The client was offered this configuration with this outer name.
    Confirmed,
}

impl EchState {
    /// The word used in every output.
    pub fn as_str(self) -> &'static str {
        match self {
            EchState::GreaseOrUnknown => "grease_or_unknown",
            EchState::Likely => "likely",
            EchState::Confirmed => "confirmed",
        }
    }
}

/// Which offers of Encrypted ClientHello clients have.
#[derive(Default)]
pub struct Offers {
    /// When each may be used: from its first answer to the end of its last one.
    known: HashMap<OfferKey, (Timestamp, Timestamp), RandomState>,
    evicted: u64,
}

/// A client, a config id, and the outer name that goes with it.
type OfferKey = (Address, u8, Hostname);

impl Offers {
    /// Remembers an offer.
    pub fn add(&mut self, offer: &EchOffer) {
        let key = (offer.client, offer.config_id, offer.public_name);
        if self.known.len() >= OFFERS_MAX && !self.known.contains_key(&key) {
            self.evicted += self.known.len() as u64;
            self.known.clear();
        }
        let until = offer.time.offset(i64::from(offer.ttl_seconds) * NANOS_PER_SECOND);
        let (from, to) = self.known.entry(key).or_insert((offer.time, until));
        *from = offer.time.min(*from);
        *to = until.max(*to);
    }

    /// Offers forgotten since the last time this was asked.
    pub fn take_evicted(&mut self) -> u64 {
        std::mem::take(&mut self.evicted)
    }

    fn confirm(&self, client: Address, config_id: u8, outer: &str, first: Timestamp) -> bool {
        let Ok(outer) = Hostname::from_wire(outer.as_bytes()) else { return false };
        let known = self.known.get(&(client, config_id, outer));
        known.is_some_and(|&(from, to)| from <= first.offset(LATE_NANOS) && first <= to)
    }
}

/// Names a flow that has no name of its own, or whose hello has Encrypted ClientHello (`outer`: the
/// name that it shows).
pub fn name_flow(
    flow: &AnonymousSums,
    outer: Option<&str>,
    names: &mut NameCache,
    offers: &Offers,
    (suspects, lookups): (&Suspects, &Lookups),
    verdicts: &mut Verdicts,
) -> Named {
    let shown = outer.zip(flow.outer.and_then(|outer| outer.name).map(|(_, source)| source));
    let state = match (flow.outer.map(|outer| outer.doubt), shown) {
        (Some(Doubt::MadeUp), Some((name, source))) => {
            let named = named(name, source, verdicts);
            let is_unknown = named.bucket == Bucket::Unmatched;
            return match is_unknown && is_made_up(flow, name, names, suspects) {
                true => Named { bucket: Bucket::Tunnel, is_tor: true, ..named },
                false => named,
            };
        }
        (Some(Doubt::MadeUp), None) | (None, _) => None,
        (Some(Doubt::Ech(ech)), Some((outer, NameSource::Sni | NameSource::Quic))) => {
            Some(ech_state(flow, ech, outer, offers, verdicts))
        }
        // The hello had no name.
        (Some(Doubt::Ech(_)), _) => Some(EchState::GreaseOrUnknown),
    };
    let hidden = matches!(state, Some(EchState::Likely | EchState::Confirmed));
    if let (Some((outer, source)), false) = (shown, hidden) {
        return Named { ech: state, ..named(outer, source, verdicts) };
    }
    let (client, first) = (flow.client.address, flow.first_seen);
    let (candidates, step) = names.candidates(client, flow.server.address, first);
    // Whoever is offered Encrypted ClientHello was told so by DNS, and whose own questions are seen
    // has no need of a forwarder's: where they were not, other names may be missing, too, so that
    // those that are known are possible and not certain, whatever they are.
    let is_doubtful = !candidates.is_empty()
        && (state == Some(EchState::Likely)
            || step == Step::Forwarder && names.is_answered(client, first)
            || lookups.are_missing(client, first, names));
    let others = match candidates.is_empty() && !hidden {
        true => Vec::new(),
        false => names.of_anybody(flow.server.address, flow.first_seen),
    };
    let mut result = match by_candidates(&candidates, &others, NameSource::Dns, verdicts) {
        Some(_) if is_doubtful => Named::undecided(&candidates, Bucket::Ambiguous),
        Some(result) => result,
        None => {
            let server = flow.server;
            match verdicts.address(server.address, server.port, flow.protocol) {
                Some(verdict) => Named {
                    verdict: Some(verdict),
                    bucket: verdict.bucket,
                    source: NameSource::Net,
                    ..Named::nobody_knows()
                },
                None => Named::nobody_knows(),
            }
        }
    };
    if !candidates.is_empty() && !is_doubtful && !verdicts.is_resolver(flow.server) {
        let rule = if hidden { Rule::Hidden } else { Rule::Dns };
        let own: Vec<_> =
            in_order(&candidates).iter().map(|own| verdicts.name(&own.name).target).collect();
        result.hold(rule, &own, &others, verdicts);
    }
    // What one product alone speaks is its app's, also on a server of one's own.
    if result.verdict.is_none_or(|verdict| verdict.app.is_none())
        && let Some(host) = flow.spoken.and_then(TunnelProtocol::host)
    {
        let verdict = verdicts.name(host);
        if verdict.app.is_some() {
            let (name, source) = (result.name.take(), NameSource::Protocol);
            let (verdict, bucket) = (Some(verdict), verdict.bucket);
            result = Named { verdict, bucket, name, source, ..Named::nobody_knows() };
        }
    }
    // DNS over HTTPS to a resolver that is known by its address needs no name.
    if result.verdict.is_none() && verdicts.is_resolver(flow.server) {
        result.bucket = Bucket::EncryptedDns;
    }
    if hidden && result.verdict.is_none() && candidates.is_empty() {
        result.candidates = others.into_iter().take(CANDIDATES_MAX).collect();
        result.is_asked = false;
    }
    // Tunnels and encrypted DNS are asked first.
    if hidden && result.bucket > Bucket::EchHidden {
        result.bucket = Bucket::EchHidden;
    }
    result.ech = state;
    result
}

/// Whether a name that may be made up is: nobody asks DNS for one, nor for its server's address. A
/// client whose questions are not seen tells nothing by not asking, and a name may be another
/// language's word: then it takes a name that nobody would give, or others of the same client before
/// it. What the catalogue knows was given.
fn is_made_up(
    flow: &AnonymousSums,
    name: &str,
    names: &mut NameCache,
    suspects: &Suspects,
) -> bool {
    let (client, first) = (flow.client.address, flow.first_seen);
    if is_told(flow, names) {
        return false;
    }
    match tunnel::tor_oddness(name) {
        Some(Oddness::Extreme) => true,
        Some(Oddness::Doubtful) if names.is_answered(client, first) => true,
        Some(_) => suspects.has_others(client, name, first),
        None => false,
    }
}

/// Whether anybody was told a name for a flow's server.
fn is_told(flow: &AnonymousSums, names: &mut NameCache) -> bool {
    let (client, server, first) = (flow.client.address, flow.server.address, flow.first_seen);
    let (candidates, _) = names.candidates(client, server, first);
    !candidates.is_empty() || !names.of_anybody(server, first).is_empty()
}

/// Names that may be made up and that nobody was told, by client.
#[derive(Default)]
pub struct Suspects {
    known: HashMap<Address, Vec<(Timestamp, Box<str>)>, RandomState>,
}

/// Clients with such names, and names of one.
const SUSPECTS_MAX: usize = 4096;
const SUSPECT_NAMES_MAX: usize = 8;
/// How long before a flow a name counts.
const SUSPECT_NANOS: i64 = 24 * 3600 * NANOS_PER_SECOND;

impl Suspects {
    /// Notes the name of a flow, if it may be made up: of all flows of a tick before any is named, so
    /// that it makes no difference who saw them.
    pub fn note(
        &mut self,
        flow: &AnonymousSums,
        name: &str,
        names: &mut NameCache,
        verdicts: &mut Verdicts,
    ) {
        let is_doubtful = flow.outer.is_some_and(|outer| outer.doubt == Doubt::MadeUp);
        if !is_doubtful || verdicts.name(name).bucket != Bucket::Unmatched || is_told(flow, names) {
            return;
        }
        if self.known.len() >= SUSPECTS_MAX && !self.known.contains_key(&flow.client.address) {
            self.known.clear();
        }
        let known = self.known.entry(flow.client.address).or_default();
        let fresh = (flow.first_seen, Box::from(name));
        if let Err(at) = known.binary_search(&fresh) {
            known.insert(at, fresh);
            // The oldest goes.
            known.drain(..known.len().saturating_sub(SUSPECT_NAMES_MAX));
        }
    }

    /// Whether a client had another such name before, or two that might be words.
    fn has_others(&self, client: Address, name: &str, first: Timestamp) -> bool {
        let known = self.known.get(&client).map(Vec::as_slice).unwrap_or_default();
        let others = known.iter().filter(|(time, other)| {
            **other != *name && *time <= first && first <= time.offset(SUSPECT_NANOS)
        });
        let weight = |(_, other): &(Timestamp, Box<str>)| match tunnel::tor_oddness(other) {
            Some(Oddness::Faint) | None => 1,
            Some(_) => 2,
        };
        others.map(weight).sum::<u32>() >= 2
    }
}

/// What the extension in a flow's hello amounts to.
pub fn ech_state(
    flow: &AnonymousSums,
    ech: Ech,
    outer: &str,
    offers: &Offers,
    verdicts: &Verdicts,
) -> EchState {
    let client = flow.client.address;
    let is_offered = |id| offers.confirm(client, id, outer, flow.first_seen);
    if ech.config_id.is_some_and(is_offered) {
        EchState::Confirmed
    } else if verdicts.catalogue().is_ech_public_name(outer) {
        EchState::Likely
    } else {
        EchState::GreaseOrUnknown
    }
}

fn named(name: &str, source: NameSource, verdicts: &mut Verdicts) -> Named {
    let verdict = verdicts.name(name);
    Named {
        verdict: Some(verdict),
        held: None,
        bucket: verdict.bucket,
        name: Some(name.into()),
        source,
        candidates: Box::default(),
        is_asked: true,
        is_tor: false,
        ech: None,
    }
}

/// Names a flow of media by what its client used before it; see [`super::calls`]. Domains among that
/// say nothing, until they turn out to be an app's with which one can call.
pub(super) fn name_media(mut preceding: Vec<Preceding>, verdicts: &mut Verdicts) -> Named {
    let calling: Vec<_> = preceding
        .iter()
        .filter(|used| !used.candidate.name.is_empty())
        .filter(|used| verdicts.name(&used.candidate.name).calls)
        .map(|used| used.candidate.clone())
        .collect();
    let named = by_candidates(&calling, &[], NameSource::Media, verdicts);
    let mut named = named.unwrap_or_else(Named::nobody_knows);
    named.source = NameSource::Media;
    let target =
        |used: &Preceding| used.held.or_else(|| verdicts.name(&used.candidate.name).target);
    preceding.sort_by_key(|used| std::cmp::Reverse(used.candidate.time));
    let own: Vec<_> = preceding.iter().map(target).collect();
    named.hold(Rule::Media, &own, &[], verdicts);
    named
}

/// None without candidates. `others` are names that anybody was given for the same server: where they
/// are of another app, too, a name is possible and not certain.
fn by_candidates(
    candidates: &[Candidate],
    others: &[Box<str>],
    source: NameSource,
    verdicts: &mut Verdicts,
) -> Option<Named> {
    let best = in_order(candidates).first().copied()?;
    let own: Vec<_> = in_order(candidates).iter().map(|own| verdicts.member(&own.name)).collect();
    let others: Vec<_> = others.iter().map(|name| verdicts.member(name)).collect();
    Some(match decide(Rule::Dns, &own, &others) {
        Outcome::Agreed(_) => named(&best.name, source, verdicts),
        Outcome::Open(bucket) => Named::undecided(candidates, bucket),
    })
}

/// The latest answer speaks for all that agree; of answers at one time the first by name.
fn in_order(candidates: &[Candidate]) -> Vec<&Candidate> {
    let mut ordered: Vec<_> = candidates.iter().collect();
    ordered.sort_by_key(|candidate| std::cmp::Reverse(candidate.time));
    ordered
}
