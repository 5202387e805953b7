//! Flows without a name of their own: what merge takes them for, when it is known, and what follows.
//!
//! The rule for names is [`super::super::naming`]'s; media of calls wait for their app, see
//! [`super::super::calls`].

use std::borrow::Cow;
use std::sync::Arc;

use super::super::naming::{Named, name_flow, name_media};
use super::super::possible::own_candidates;
use super::super::verdicts::Verdict;
use super::{DEFERRED_MAX, Merge, Standing};
use crate::dissect::tunnel::TunnelProtocol;
use crate::ledger::Bucket;
use crate::names::LATE_NANOS;
use crate::net::Address;
use crate::observation::NameSource;
use crate::store::Target;
use crate::time::Timestamp;
use crate::usage::Sums;
use crate::worker::detours::Detour;
use crate::worker::part::{AnonymousSums, FlowStep, Part, Step};

impl Merge {
    /// Notes names that may be made up, and which flows say their name, before any flow of a tick is
    /// named.
    pub(super) fn suspect(&mut self, parts: &[(usize, Part)]) {
        for (_, part) in parts {
            for &FlowStep { key, server, time, step } in &part.steps {
                let is_private = key.at_home || Bucket::from_number(key.bucket).is_some();
                if matches!(step, Step::Began(_)) && !is_private {
                    self.lookups.note(key.client, server, time);
                }
            }
            for flow in &part.anonymous {
                if let Some((name, _)) = flow.outer.and_then(|outer| outer.name) {
                    let name = part.names.get(name);
                    let (names, verdicts) = (&mut self.names, &mut self.verdicts);
                    self.suspects.note(flow, name, names, verdicts);
                }
            }
        }
    }

    /// Notes whose connections a server takes. What nobody keeps needs no bounds.
    pub(super) fn serves(&mut self, server: Address, name: &str, time: Timestamp) {
        if self.keep.is_some() {
            let possible = &mut self.gathered.possible;
            self.opaque.serves(possible, (server, name, time), &mut self.verdicts);
        }
    }

    /// The name by which what follows may be a call of: an app's with which one can call, or, where
    /// that is kept, a domain that may turn out to be one.
    pub(super) fn calling<'n>(&self, verdict: Verdict, name: &'n str) -> Option<Cow<'n, str>> {
        if verdict.calls {
            return Some(Cow::Borrowed(name));
        }
        let target = verdict.target.filter(|_| self.verdicts.is_holding())?;
        match self.verdicts.target(target) {
            // Hosts of the other labels are not called with, whatever the domain is.
            Target::Domain(domain) if verdict.bucket == Bucket::Unmatched => {
                Some(Cow::Owned(domain.clone()))
            }
            _ => None,
        }
    }

    /// The same of a flow that does not say its name, and whether one can call with it by what is known:
    /// no name where that is yet to be decided.
    fn calling_unsaid<'n>(&self, named: &'n Named) -> Option<(Cow<'n, str>, bool)> {
        match (named.verdict, &named.name, named.held) {
            (Some(verdict), Some(name), None) => {
                Some((self.calling(verdict, name)?, verdict.calls))
            }
            (Some(verdict), Some(name), Some(_)) => Some((Cow::Borrowed(name), verdict.calls)),
            (None, _, Some(_)) => Some((Cow::Borrowed(""), false)),
            _ => None,
        }
    }

    /// Takes an anonymous flow's sums; `outer` is the name that goes with Encrypted
    /// ClientHello.
    pub(super) fn anonymous(
        &mut self,
        worker: usize,
        flow: &AnonymousSums,
        outer: Option<&str>,
        horizon: Option<Timestamp>,
    ) {
        let key = (worker, flow.flow, flow.life);
        if flow.begins && self.open.forget(&key, &self.unknown) {
            self.ended.retain(|ended| *ended != key);
        }
        // Most flows are told of once: then nobody asks for the verdict again, unless for a record.
        let is_whole = flow.begins && flow.ended && !self.records.wants_flows();
        let known = if flow.begins { None } else { self.open.get(&key) };
        let named = match known {
            Some(known) => Arc::clone(known),
            None if self.calls.is_waiting(&key) => {
                if !self.calls.wait(key, flow) {
                    let named = Arc::clone(&self.unknown);
                    self.named_flow(&named, flow);
                }
                return;
            }
            // Its answer may be on the way.
            None if horizon.is_some_and(|horizon| flow.first_seen.offset(LATE_NANOS) > horizon)
                && self.deferred.len() < DEFERRED_MAX =>
            {
                self.deferred.push((worker, *flow, outer.map(Box::from)));
                return;
            }
            None => {
                let named = name_flow(
                    flow,
                    outer,
                    &mut self.names,
                    &self.offers,
                    (&self.suspects, &self.lookups),
                    &mut self.verdicts,
                );
                let is_call = flow.is_media && flow.bucket.is_none() && named.is_nobodys();
                if is_call && self.calls.wait(key, flow) {
                    return;
                }
                if is_whole {
                    return self.named_flow(&named, flow);
                }
                self.remember(key, named)
            }
        };
        if flow.ended {
            self.ended.push(key);
        }
        self.named_flow(&named, flow);
    }

    /// Takes sums of an anonymous flow of which it is known what it is.
    fn named_flow(&mut self, named: &Named, flow: &AnonymousSums) {
        // Where only its end is told, there is no hour to tell of.
        if flow.sums == Sums::default() && flow.step.is_none() {
            return;
        }
        let bucket = flow.bucket.unwrap_or(named.bucket);
        self.book(flow.hour, bucket, &flow.sums);
        let target = named.target();
        let is_decided = named.verdict.is_some_and(|verdict| verdict.target.is_some());
        let client = flow.client.address;
        // What may be something is part of loads, whatever that is.
        let undecided = || {
            let bucket = named.bucket;
            let is_something = named.held.is_some() || !named.candidates.is_empty();
            is_something.then(|| Verdict { bucket, ..Verdict::nobodys() })
        };
        let judged = named.verdict.or_else(undecided).map(|verdict| Verdict { target, ..verdict });
        if let (Some(verdict), Some(step)) = (judged, flow.step) {
            let row = (flow.hour, named.source);
            self.step(client, verdict, flow.at_home, row, flow.first_seen, step);
        }
        // What media say of an app says nothing of the next media.
        if named.source == NameSource::Dns
            && flow.bucket.is_none()
            && let Some((name, calls)) = self.calling_unsaid(named)
        {
            let used = (&*name, named.held);
            if flow.sums.connections > 0 {
                self.calls.began(client, used, flow.first_seen, calls);
            }
            let minutes = flow.sums.minutes_up | flow.sums.minutes_down;
            self.calls.went_on(client, used, flow.hour, minutes, calls);
        }
        // What it says that it is was told already.
        if flow.bucket.is_none() && flow.spoken.is_none() {
            let of_resolver = Detour::of_resolver(flow.server.port, flow.protocol);
            match named.verdict {
                Some(verdict) => {
                    self.detour_by_name(client, flow.hour, verdict, of_resolver, &flow.sums);
                }
                None if named.bucket == Bucket::EncryptedDns => {
                    let (flows, bytes) = (flow.sums.connections, flow.sums.bytes());
                    self.detour(Some(client), flow.hour, of_resolver, flows, bytes);
                }
                None => {}
            }
        }
        if flow.bucket.is_none() && named.is_tor {
            let (flows, bytes) = (flow.sums.connections, flow.sums.bytes());
            let tor = Detour::Protocol(TunnelProtocol::Tor);
            self.detour(Some(client), flow.hour, tor, flows, bytes);
        }
        let is_elsewhere = named.is_tor || named.bucket == Bucket::EchHidden;
        let bucket = flow.bucket.or(is_elsewhere.then_some(named.bucket));
        let standing = Standing::of(bucket, flow.at_home);
        let pattern = named.verdict.and_then(|verdict| verdict.pattern);
        let of = target.map(|target| (target, pattern));
        self.row(client, of, standing, flow.hour, named.source, &flow.sums);
        // A hello's own name tells what the server serves.
        if let (true, Some(name), true) = (is_decided, &named.name, flow.sums.connections > 0)
            && matches!(named.source, NameSource::Sni | NameSource::Quic | NameSource::Cert)
            && !flow.at_home
        {
            self.serves(flow.server.address, name, flow.first_seen);
        }
        let is_open =
            matches!(named.bucket, Bucket::Ambiguous | Bucket::NoName | Bucket::EchHidden);
        // What is decided may be open again one day.
        let is_open = !is_decided && is_open || is_decided && named.held.is_some();
        if flow.bucket.is_none() && is_open && self.keep.is_some() {
            let (possible, verdicts) = (&mut self.gathered.possible, &mut self.verdicts);
            let callers = named.held.map(|held| verdicts.callers(held)).unwrap_or_default();
            let own = match named.is_asked && callers.is_empty() {
                true => own_candidates(&named.candidates, verdicts),
                false => callers.into_iter().map(|caller| (caller, 1)).collect(),
            };
            let piece = (flow.server.address, flow.hour, &flow.sums, named.held);
            self.opaque.take(possible, piece, own, &mut self.names, verdicts);
        }
    }

    /// Tells whose media those are that have waited long enough.
    pub(super) fn settle_calls(&mut self, horizon: Option<Timestamp>) {
        for (key, pieces) in self.calls.due(horizon) {
            let Some(first) = pieces.first() else { continue };
            let preceding = self.calls.candidates(first.client.address, first.first_seen);
            let named = name_media(preceding, &mut self.verdicts);
            let named = self.remember(key, named);
            for piece in &pieces {
                if piece.ended {
                    self.ended.push(key);
                }
                self.named_flow(&named, piece);
            }
        }
        self.tell_deferred_flows(horizon.is_none());
        if let Some(horizon) = horizon {
            self.calls.forget(horizon);
        }
    }

    /// Tells of flows that ended before it was known what they are: those of which it is by now, or
    /// all that do not wait for their app.
    pub(super) fn tell_deferred_flows(&mut self, all: bool) {
        for (key, flow) in std::mem::take(&mut self.deferred_flows) {
            if self.open.contains(&key) || all && !self.calls.is_waiting(&key) {
                self.flow_line(&flow, None, Some(key));
            } else {
                self.deferred_flows.push((key, flow));
            }
        }
    }
}
