//! What a live run exchanges or forgets between two commits, so that it may go on for years.
//!
//! Numbers of subjects and targets are given anew. What is held for the disk has the old ones, and
//! so has to be committed first; until then, nothing is exchanged.

use std::sync::Arc;

use super::Merge;
use crate::catalogue::Catalogue;
use crate::identity::Identities;
use crate::store::{Keeping, Pruned, StoreError};
use crate::time::Timestamp;

const SECONDS_PER_DAY: i64 = 86_400;

impl Merge {
    /// Forgets what was remembered of another day.
    pub(super) fn turn_day(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let day = now.seconds().div_euclid(SECONDS_PER_DAY);
        let known = *self.day.get_or_insert(day);
        if day == known || !self.settle()? {
            return Ok(());
        }
        self.day = Some(day);
        self.forget_numbers(None);
        self.forget_subjects();
        self.summary = self.summary.anew();
        Ok(())
    }

    /// Numbers targets anew where there is no room for another one. What no row is of any more is none.
    pub(super) fn make_room(&mut self) -> Result<(), StoreError> {
        if self.verdicts.is_full() && self.settle()? {
            self.forget_numbers(None);
            // Their keys hold numbers of targets.
            self.held_failures.clear();
        }
        Ok(())
    }

    /// Asks another catalogue from now on: between two commits, so that each has one.
    ///
    /// Answers whether it was exchanged.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn exchange_catalogue(&mut self, catalogue: Arc<Catalogue>) -> Result<bool, StoreError> {
        let may = self.settle()?;
        if may {
            self.forget_numbers(Some(catalogue));
            // Their keys hold numbers of targets.
            self.held_failures.clear();
        }
        Ok(may)
    }

    /// Asks others who has which address from now on. Answers whether they were exchanged.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn exchange_identities(&mut self, identities: &Identities) -> Result<bool, StoreError> {
        let may = self.settle()?;
        if may {
            self.identities = identities.clone();
            self.forget_subjects();
            // Keyed by numbers of subjects.
            self.summary = self.summary.anew();
        }
        Ok(may)
    }

    /// Takes other domains as the organisation's own from now on. Answers whether they were exchanged.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn exchange_own_domains(&mut self, own_domains: &[String]) -> Result<bool, StoreError> {
        let may = self.settle()?;
        if may {
            self.verdicts.exchange_own_domains(own_domains);
            self.forget_numbers(None);
            self.held_failures.clear();
        }
        Ok(may)
    }

    /// Notes that what comes from now on is made under another configuration, which is told with the
    /// next rows; see [`crate::store::RunStart::config_sha256`].
    pub fn reconfigured(&mut self, config_sha256: String) {
        if !self.reconfigured.contains(&config_sha256) {
            self.reconfigured.push(config_sha256);
        }
    }

    /// The version of the catalogue that is asked.
    pub fn catalogue(&self) -> &Arc<Catalogue> {
        self.verdicts.catalogue()
    }

    /// Deletes what is too old, or more than there is room for, a piece at a time; see
    /// [`crate::store::Store::prune`]. Nothing where nothing is kept.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn prune(&mut self, keeping: &Keeping<'_>) -> Result<Pruned, StoreError> {
        let Some(keep) = &mut self.keep else { return Ok(Pruned::default()) };
        let pruned = keep.store.prune(keeping)?;
        if pruned.has_deleted() {
            // The store may have forgotten whom and what these numbers stood for.
            self.stored_subjects.clear();
            self.stored_targets.clear();
            self.stored_patterns.clear();
        }
        Ok(pruned)
    }

    fn forget_subjects(&mut self) {
        self.loads.forget();
        self.subjects.clear();
        self.known_subjects = 0;
        self.told.clear();
        self.subject_numbers.clear();
        self.other = None;
        self.stored_subjects.clear();
        self.two_way.clear();
        self.held_failures.clear();
    }

    /// Numbers targets anew, those of open flows first.
    fn forget_numbers(&mut self, catalogue: Option<Arc<Catalogue>>) {
        self.opaque.forget_numbers();
        let old = self.verdicts.forget(catalogue);
        for named in self.open.verdicts() {
            if named.target().is_none() {
                continue;
            }
            let named = Arc::make_mut(named);
            let target = named.verdict.as_mut().and_then(|verdict| verdict.target.as_mut());
            for target in target.into_iter().chain(&mut named.held) {
                *target = self.verdicts.renumber(&old, *target);
            }
        }
        self.calls.renumber(|target| self.verdicts.renumber(&old, target));
        self.loads.forget();
        self.unmatched.clear();
        self.stored_targets.clear();
    }
}
