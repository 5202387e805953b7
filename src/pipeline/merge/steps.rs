//! What flows did that tells whether they followed another site's page: merge has
//! [`super::super::loads`] judge it, and adds to rows what is known by then.

use super::super::gathered::{Gathered, RowKey, told};
use super::super::loads::{Begun, Leads, News, Site, Step, Told};
use super::super::verdicts::Verdict;
use super::Merge;
use super::keeping::summed;
use crate::catalogue::Role;
use crate::ledger::Bucket;
use crate::net::Address;
use crate::observation::NameSource;
use crate::time::{Hour, Timestamp};

impl Merge {
    /// Notes what a flow did that began at `time`, until it is known whether it followed another.
    pub(super) fn step(
        &mut self,
        client: Address,
        verdict: Verdict,
        at_home: bool,
        (hour, source): (Hour, NameSource),
        time: Timestamp,
        step: Step,
    ) {
        let (site, leads) = match (verdict.target, verdict.app) {
            (Some(target), Some(app)) => {
                let leads = matches!(verdict.role, Some(Role::Visit | Role::Site));
                let leads = match (leads, self.verdicts.grounds(target)) {
                    (true, None) => Leads::Always(target),
                    (true, Some(_)) => Leads::UntilNamed(target),
                    (false, None) => Leads::No,
                    (false, Some(_)) => Leads::OnceNamed(target),
                };
                (Site::App(app), leads)
            }
            // It leads nowhere before it is known what it is.
            (Some(target), None) if self.verdicts.is_undecided(target) => {
                let leads = if at_home { Leads::No } else { Leads::OnceNamed(target) };
                (Site::Domain(target), leads)
            }
            // A domain may turn out to be an app one day; one at home has no row to tell it.
            (Some(target), None) if at_home => {
                (self.verdicts.site(target, None), Leads::Always(target))
            }
            (Some(target), None) => (self.verdicts.site(target, None), Leads::UntilNamed(target)),
            // A domain may turn out to be shared one day: it is part of loads now and then.
            (None, _) if verdict.bucket != Bucket::Private => (Site::Shared, Leads::No),
            (None, _) => return,
        };
        let subject = self.subject(client);
        // What is at home has no row, unless it is an app.
        let target = verdict.target.filter(|_| !at_home || verdict.app.is_some());
        let row = target.map(|target| RowKey { hour, subject, target, source });
        // Media are told of too late to be seen among what began with them.
        let is_told_late = source == NameSource::Media;
        let begun = Begun { time, step, hour, address: client, client: subject, site, leads, row };
        if (is_told_late || !self.loads.take(begun))
            && let Some(key) = row
        {
            let sums = told(&mut self.gathered.leaders, key, &Told::default(), step, false);
            self.sums_of(key).add(&sums);
        }
    }

    /// Adds to rows what is known by now of the loads in which their flows began.
    /// Says whether that was all: of much, some is told, and committed, before the rest.
    pub(super) fn settle_loads(&mut self, horizon: Option<Timestamp>) -> bool {
        let (keeps, is_summary_only) = (self.keep.is_some(), self.is_summary_only());
        let (verdicts, totals) = (&self.verdicts, &mut self.totals);
        let Gathered { rows, leaders, .. } = &mut self.gathered;
        let order = |one: &Option<RowKey>, other: &Option<RowKey>| {
            let key = |row: &Option<RowKey>| {
                row.map(|key| (verdicts.target(key.target), key.hour, key.source))
            };
            key(one).cmp(&key(other))
        };
        let sums = match is_summary_only {
            true => totals,
            false => rows,
        };
        let place = |key| if is_summary_only { summed(verdicts, key) } else { key };
        self.loads.settle(horizon, order, |row, news| {
            let Some(key) = row else { return };
            match news {
                News::Soon => sums.expect(&place(key)),
                News::Is(what, step) => {
                    // Only what is kept is judged again.
                    let may_change = keeps && verdicts.is_judged_by_loads(key.target);
                    let what = told(leaders, key, what, step, may_change);
                    sums.entry(place(key)).0.add(&what);
                }
            }
        })
    }
}
