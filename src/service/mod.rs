//! What makes a run a service: signs of life, answers to questions, reloading, keeping house.
//!
//! The [`Tender`] is called between two ticks, on merge's thread. It does what is due and never
//! waits for anybody outside.

pub mod keeping;
pub mod listen;
pub mod memory;
pub mod notify;
pub mod reload;
pub mod render;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use jiff::Timestamp;
use serde_json::json;

use crate::catalogue::Catalogue;
use crate::config::Config;
use crate::identity::{Identities, Pseudonyms};
use crate::pipeline::board::{Board, Page};
use crate::pipeline::merge::Merge;
use crate::report::Keeper;
use keeping::Ages;
use notify::Notifier;
use reload::{Inputs, Reloaded};
use render::Circumstances;

/// How often what merge says of itself is written anew.
const PAGES_EVERY: Duration = Duration::from_secs(1);
/// How often is looked for what is too old.
const PRUNE_EVERY: Duration = Duration::from_secs(600);
/// While there is more of it.
const PRUNE_AGAIN: Duration = Duration::from_secs(2);

/// See the module.
pub struct Tender {
    board: Arc<Board>,
    notifier: Option<Notifier>,
    stop: Arc<AtomicBool>,
    reloads: Receiver<Reloaded>,
    pending: Pending,
    pseudonyms: Option<Pseudonyms>,
    config: Config,
    ages: Ages,
    keeper: Keeper,
    about: Circumstances,
    commits: u64,
    /// What each worker's polls were when the manager was told last.
    polls: Vec<u64>,
    fed: Instant,
    written: Option<Instant>,
    pruned: Instant,
    prune_after: Duration,
    is_stopping: bool,
}

/// What merge is to take as soon as it can.
#[derive(Default)]
struct Pending {
    catalogue: Option<Arc<Catalogue>>,
    identities: Option<Identities>,
    own_domains: Option<Vec<String>>,
}

/// What a tender is told once.
pub struct TenderSettings {
    /// Where pages are pinned, and where the workers' pulses are.
    pub board: Arc<Board>,
    /// Who wants signs of life.
    pub notifier: Option<Notifier>,
    /// Set when the end is asked for.
    pub stop: Arc<AtomicBool>,
    /// What is to be taken while it runs.
    pub reloads: Receiver<Reloaded>,
    /// How people are told, where they are not in the clear.
    pub pseudonyms: Option<Pseudonyms>,
    /// The configuration.
    pub config: Config,
    /// Until when rows are kept.
    pub ages: Ages,
    /// Whose days, and what counts as use.
    pub keeper: Keeper,
}

impl Tender {
    /// Tells the manager that all is ready.
    pub fn new(settings: TenderSettings) -> Tender {
        let TenderSettings { board, mut notifier, stop, reloads, pseudonyms, config, ages, keeper } =
            settings;
        if let Some(notifier) = &mut notifier {
            notifier.ready();
        }
        let about = Circumstances {
            began_seconds: Timestamp::now().as_second(),
            interfaces: config.list("capture.interface").to_vec(),
            db: config.text("store.db").unwrap_or_default().to_owned(),
            ..Circumstances::default()
        };
        Tender {
            polls: vec![0; board.pulses.len()],
            board,
            notifier,
            stop,
            reloads,
            pending: Pending::default(),
            pseudonyms,
            config,
            ages,
            keeper,
            about,
            commits: 0,
            fed: now(),
            written: None,
            pruned: now(),
            prune_after: PRUNE_AGAIN,
            is_stopping: false,
        }
    }

    /// Does what is due.
    pub fn tend(&mut self, merge: &mut Merge) {
        self.reload(merge);
        self.prune(merge);
        self.tell(merge);
        self.feed();
    }

    /// Takes what was reloaded; what merge cannot take yet is tried again.
    fn reload(&mut self, merge: &mut Merge) {
        if let Ok(reloaded) = self.reloads.try_recv() {
            let Reloaded { config, catalogue, inputs, is_refused } = reloaded;
            self.about.reloads.1 += u64::from(is_refused);
            self.about.reloads.0 += u64::from(!is_refused);
            self.config = config.unwrap_or_else(|| self.config.clone());
            self.pending.catalogue = catalogue.or(self.pending.catalogue.take());
            if let Some(inputs) = inputs {
                merge.reconfigured(inputs.config_sha256.clone());
                self.take(inputs);
            }
        }
        if let Some(catalogue) = &self.pending.catalogue
            // What the store refuses for good ends the run at its next commit.
            && matches!(merge.exchange_catalogue(Arc::clone(catalogue)), Ok(true))
        {
            self.pending.catalogue = None;
        }
        if let Some(identities) = &self.pending.identities
            && matches!(merge.exchange_identities(identities), Ok(true))
        {
            self.pending.identities = None;
        }
        if let Some(own_domains) = &self.pending.own_domains
            && matches!(merge.exchange_own_domains(own_domains), Ok(true))
        {
            self.pending.own_domains = None;
        }
    }

    /// Takes what others than merge need, and notes what merge is to take.
    fn take(&mut self, inputs: Inputs) {
        let Inputs { identities, networks, own_domains, evidence, ages, .. } = inputs;
        self.board.pulses.iter().for_each(|pulse| pulse.exchange_networks(networks.clone()));
        self.keeper.settings = evidence;
        self.ages = ages;
        self.pending.identities = Some(match &self.pseudonyms {
            Some(pseudonyms) => identities.with_pseudonyms(pseudonyms.clone()),
            None => identities,
        });
        self.pending.own_domains = Some(own_domains);
    }

    /// Deletes what is too old, a piece at a time.
    fn prune(&mut self, merge: &mut Merge) {
        if self.pruned.elapsed() < self.prune_after || merge.uncommitted().is_some() {
            return;
        }
        let keeping = self.ages.keeping(&self.config, &self.keeper, Timestamp::now());
        self.prune_after = match merge.prune(&keeping) {
            Ok(pruned) if pruned.is_more => PRUNE_AGAIN,
            Ok(_) => PRUNE_EVERY,
            Err(error) => {
                eprintln!("shadowscope: nothing old was deleted: {error}");
                PRUNE_EVERY
            }
        };
        self.pruned = now();
    }

    fn tell(&mut self, merge: &Merge) {
        if self.board.is_unmatched_wanted() {
            let names = merge.summary.unmatched_names.iter().map(|(name, sums)| {
                json!([name, sums.connections, sums.bytes_up, sums.bytes_down])
            });
            let page = serde_json::Value::Array(names.collect()).to_string();
            self.board.pin(Page::Unmatched, page);
        }
        if self.written.is_some_and(|written| written.elapsed() < PAGES_EVERY) {
            return;
        }
        self.written = Some(now());
        let progress = &merge.progress;
        self.about.now_seconds = Timestamp::now().as_second();
        self.about.catalogue = merge.catalogue().version();
        self.about.uncommitted = merge.uncommitted();
        let is_committed = progress.commits > self.commits;
        if is_committed {
            self.commits = progress.commits;
            self.about.committed_seconds = Some(self.about.now_seconds);
        }
        self.board.pin(Page::Status, render::status(progress, &self.about));
        self.board.pin(Page::Metrics, render::metrics(progress, &self.about));
        if let Some(notifier) = self.notifier.as_mut().filter(|_| is_committed) {
            let rings = progress.all_rings();
            let lost = rings.dropped + rings.interface_dropped;
            let packets = progress.packets;
            notifier.status(&format!("{packets} packets kept, {lost} lost before they were seen"));
        }
    }

    /// Tells the manager that there was progress: each worker has asked its ring, and merge is here.
    fn feed(&mut self) {
        let Some(notifier) = &mut self.notifier else { return };
        if !self.is_stopping && self.stop.load(Ordering::Relaxed) {
            self.is_stopping = true;
            notifier.stopping();
        }
        let Some(watchdog) = notifier.watchdog else { return };
        if self.fed.elapsed() < watchdog / 4 {
            return;
        }
        let polls = self.board.pulses.iter().map(|pulse| pulse.polls.load(Ordering::Relaxed));
        let polls: Vec<u64> = polls.collect();
        if polls.iter().zip(&self.polls).all(|(now, before)| now != before) {
            notifier.alive();
            self.polls = polls;
            self.fed = now();
        }
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "what is due is due by the clock, whatever is captured"
)]
fn now() -> Instant {
    Instant::now()
}
