//! What goes into the store and how it is told: plain values, no SQL.
//!
//! Merge makes them. Subjects and targets are handed over once and then named by small numbers,
//! so that a row of usage is integers only.

use crate::catalogue::Catalogue;
use crate::evidence::source::Trait;
pub use crate::identity::Subject;
use crate::ledger::Bucket;
use crate::observation::NameSource;
use crate::stats::Counters;
use crate::time::{Hour, Timestamp};
pub use crate::usage::Sums;
use crate::worker::detours::Detour;
use crate::worker::part::{Health, RingSums};

/// What the catalogue says of an app, as far as reports show it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppFacts {
    /// The catalogue's id; survives renames.
    pub id: String,
    /// The product's current name.
    pub name: String,
    /// Who sells it.
    pub vendor: String,
    /// The suite it belongs to; may be empty.
    pub suite: String,
    /// The category's slug.
    pub category: String,
}

/// The label of names that no signature applies to, whatever is learnt of their domain: those of
/// services (`_xmpp._tcp`, RFC 8552), and what is no hostname.
pub const NO_HOST: &str = "_";

/// What was used.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// One side of an app.
    App {
        /// Which app.
        app: AppFacts,
        /// The role of the name that matched, in the catalogue's word; which of them may be use is
        /// decided in reports.
        role: String,
        /// The organisation's instance; empty when the name does not show it.
        tenant: String,
        /// `personal`, `business`, `mixed`, or empty.
        edition: String,
    },
    /// A registrable domain that no signature knows.
    Domain(String),
    /// Names below such a domain that would say less about use than others, if it were an app's; or
    /// nothing at all ([`NO_HOST`]).
    Labelled {
        /// The registrable domain.
        domain: String,
        /// The label of the catalogue's list that says so.
        label: String,
    },
    /// Flows that nobody can say yet of what they are; see [`Grounds`].
    Undecided {
        /// Where their bytes are in the books.
        bucket: Bucket,
    },
}

impl Target {
    /// The registrable domain, where it is one that no signature knows.
    pub fn domain(&self) -> Option<&str> {
        match self {
            Target::Domain(domain) | Target::Labelled { domain, .. } => Some(domain),
            Target::App { .. } | Target::Undecided { .. } => None,
        }
    }

    /// Whether it stands for names that no signature applies to.
    pub fn is_no_host(&self) -> bool {
        matches!(self, Target::Labelled { label, .. } if label == NO_HOST)
    }
}

/// By what rule it is decided what flows are of, that have no name of their own, or that of a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// By the names that DNS told their client for the server.
    Dns = 1,
    /// By what their client called with just before.
    Media = 2,
    /// By the tenant's domain below a public suffix that is an app's.
    Suffix = 3,
    /// As [`Rule::Dns`], where the flow has a name and hides it: what is shared stays open.
    Hidden = 4,
}

impl Rule {
    /// The one of a number, as stored.
    pub(super) fn from_number(number: i64) -> Option<Rule> {
        [Rule::Dns, Rule::Media, Rule::Suffix, Rule::Hidden]
            .into_iter()
            .find(|rule| *rule as i64 == number)
    }
}

/// On what it hangs what flows are of, where a catalogue may decide it otherwise one day. `T` names a
/// target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Grounds<T> {
    /// How it is decided.
    pub rule: Rule,
    /// What it may be; the first one speaks for all that agree.
    pub own: Box<[T]>,
    /// What anybody else had at the server: where that is another app, nothing is certain.
    pub others: Box<[T]>,
}

impl Grounds<TargetId> {
    /// As SQLite's functions for JSON read them: the rule's number, then targets, those that others had
    /// as negative numbers.
    pub(super) fn text(&self) -> String {
        let own = self.own.iter().map(|target| target.0);
        let others = self.others.iter().map(|target| -target.0);
        list([self.rule as i64].into_iter().chain(own).chain(others))
    }

    /// What such a text says; none where there is none.
    pub(super) fn from_text(text: &str) -> Option<Grounds<TargetId>> {
        let numbers = from_list(text)?;
        let (rule, targets) = numbers.split_first()?;
        let (own, others): (Vec<i64>, Vec<i64>) = targets.iter().partition(|target| **target > 0);
        Some(Grounds {
            rule: Rule::from_number(*rule)?,
            own: own.into_iter().map(TargetId).collect(),
            others: others.into_iter().map(|target| TargetId(-target)).collect(),
        })
    }
}

/// Numbers as SQLite's functions for JSON read them.
pub(super) fn list(numbers: impl Iterator<Item = i64>) -> String {
    let numbers: Vec<String> = numbers.map(|number| number.to_string()).collect();
    format!("[{}]", numbers.join(","))
}

/// The numbers of such a text; none where it is another one.
pub(super) fn from_list(text: &str) -> Option<Vec<i64>> {
    let text = text.strip_prefix('[')?.strip_suffix(']')?;
    text.split(',').map(str::parse).collect::<Result<_, _>>().ok()
}

/// A catalogue that names were matched with.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CatalogueFacts {
    /// Its version.
    pub version: String,
    /// BLAKE3 of its content in hex.
    pub hash: String,
}

impl CatalogueFacts {
    /// Those of a catalogue.
    pub fn of(catalogue: &Catalogue) -> CatalogueFacts {
        CatalogueFacts { version: catalogue.version(), hash: catalogue.hash_hex() }
    }
}

/// Names a [`Subject`] within one database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubjectId(pub(super) i64);

/// Names a [`Target`] within one database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetId(pub(super) i64);

/// Names a set of targets that flows may have been of, each with its weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CandidatesId(pub(super) i64);

/// Names the text of a catalogue's rule within one database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PatternId(pub(super) i64);

/// Names a [`CatalogueFacts`] within one database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CatalogueId(pub(super) i64);

/// Names a run within one database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(pub(super) i64);

/// One row of usage. Rows with the same key are added up, in one commit and across commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsageRow {
    /// The hour of the packets' own stamps.
    pub hour: Hour,
    /// Who.
    pub subject: SubjectId,
    /// What.
    pub target: TargetId,
    /// Where the name came from.
    pub name_source: NameSource,
    /// How much.
    pub sums: Sums,
}

/// Flows of a row of usage that began while a page of another site was loading, or not, as the
/// catalogue decides who leads. Rows with the same key are added up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FollowedRow {
    /// The hour of the row.
    pub hour: Hour,
    /// Who.
    pub subject: SubjectId,
    /// What.
    pub target: TargetId,
    /// Where the name came from.
    pub name_source: NameSource,
    /// Who leads: the first of these that shows pages to everybody.
    pub leaders: Vec<TargetId>,
    /// A bit for each of [`crate::usage::LOAD_RULES`] by which there are such flows.
    pub flows: u64,
    /// What they would add to [`Sums::unfollowed`], if they did not follow.
    pub levels: u64,
}

/// By which rule of the catalogue names of rows of usage were an app's. Rows with the same key are
/// added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MatchedRow {
    /// The beginning of the zone's day, in seconds since 1970.
    pub day: i64,
    /// Who.
    pub subject: SubjectId,
    /// What.
    pub target: TargetId,
    /// Where the names came from.
    pub name_source: NameSource,
    /// The rule, as it stands in its file.
    pub pattern: PatternId,
    /// Flows that began.
    pub connections: u64,
    /// DNS questions.
    pub dns_queries: u64,
}

/// What flows may have been whose name is hidden or ambiguous. Rows with the same key are added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PossibleRow {
    /// The hour of the packets' own stamps.
    pub hour: Hour,
    /// What they may have been of.
    pub candidates: CandidatesId,
    /// Flows of a target with [`Grounds`]: they count while that is undecided. None of all others.
    pub held: Option<TargetId>,
    /// How much came, or went where other candidates turned up.
    pub sums: PossibleSums,
}

/// How much of something that is only possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PossibleSums {
    /// Flows that began.
    pub flows: i64,
    /// All their bytes.
    pub bytes: i64,
    /// Stamp of the first packet.
    pub first_seen: Timestamp,
    /// Stamp of the last packet.
    pub last_seen: Timestamp,
}

impl PossibleSums {
    /// Those of flows.
    pub fn of(sums: &Sums) -> PossibleSums {
        let signed = |number| i64::try_from(number).unwrap_or(i64::MAX);
        PossibleSums {
            flows: signed(sums.connections),
            bytes: signed(sums.bytes()),
            first_seen: sums.first_seen,
            last_seen: sums.last_seen,
        }
    }

    /// What takes these away.
    #[must_use]
    pub fn negative(self) -> PossibleSums {
        PossibleSums { flows: -self.flows, bytes: -self.bytes, ..self }
    }

    /// Adds all of `other`.
    pub fn add(&mut self, other: &PossibleSums) {
        self.flows += other.flows;
        self.bytes += other.bytes;
        self.first_seen = self.first_seen.min(other.first_seen);
        self.last_seen = self.last_seen.max(other.last_seen);
    }
}

/// One row of the books.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VisibilityRow {
    /// The hour of the packets' own stamps.
    pub hour: Hour,
    /// Where the bytes ended up.
    pub bucket: Bucket,
    /// Flows, each counted where and when it began.
    pub flows: u64,
    /// Bytes.
    pub bytes: u64,
}

/// What came in, counted once at the decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TotalsRow {
    /// The hour of the packets' own stamps.
    pub hour: Hour,
    /// Packets.
    pub packets: u64,
    /// Bytes by the rule of the books.
    pub total_bytes: u64,
    /// Those of them that belong to IP packets.
    pub ip_bytes: u64,
    /// Stamp of the first packet.
    pub first_seen: Timestamp,
    /// Stamp of the last packet.
    pub last_seen: Timestamp,
}

/// How good the capture is within an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthRow {
    /// The hour in which flows were seen last, and questions asked.
    pub hour: Hour,
    /// What there is to tell.
    pub health: Health,
}

/// What the kernel says of a live run's ring within an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingRow {
    /// The hour of sensor time.
    pub hour: Hour,
    /// Its worker's number.
    pub ring: u32,
    /// What the kernel says.
    pub sums: RingSums,
}

/// One value of a trait of a subject: see [`crate::evidence::source`]. What is there already stays
/// as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraitRow<I = SubjectId> {
    /// The hour of the packets' own stamps.
    pub hour: Hour,
    /// Whose.
    pub subject: I,
    /// Which trait.
    pub what: Trait,
    /// Which value.
    pub value: u64,
}

/// What a subject had of a way around within an hour; rows of one key are added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DetourRow {
    /// The hour of the packets' own stamps.
    pub hour: Hour,
    /// Which way.
    pub detour: Detour,
    /// Whose; of nobody at home, none.
    pub subject: Option<SubjectId>,
    /// Flows that began in the hour.
    pub flows: u64,
    /// Bytes.
    pub bytes: u64,
}

/// What one transaction adds. All numbers are what has come since the commit before.
#[derive(Clone, Debug)]
pub struct Commit {
    /// Its number within the run. Each is taken once.
    pub sequence: u64,
    /// The catalogue all names of this commit were matched with.
    pub catalogue: CatalogueId,
    /// Configurations that were taken since the commit before, as in [`RunStart::config_sha256`].
    pub reconfigured: Vec<String>,
    /// In any order; keys may occur more than once.
    pub usage: Vec<UsageRow>,
    /// In any order.
    pub followed: Vec<FollowedRow>,
    /// In any order; where there is no room, the last are left out.
    pub matched: Vec<MatchedRow>,
    /// In any order.
    pub possible: Vec<PossibleRow>,
    /// In any order.
    pub visibility: Vec<VisibilityRow>,
    /// In any order.
    pub totals: Vec<TotalsRow>,
    /// In any order.
    pub health: Vec<HealthRow>,
    /// In any order.
    pub rings: Vec<RingRow>,
    /// In any order.
    pub traits: Vec<TraitRow>,
    /// Flows that subjects accepted and answered, in any order.
    pub accepted: Vec<(Hour, SubjectId, u64)>,
    /// In any order; keys may occur more than once.
    pub detours: Vec<DetourRow>,
    /// What was lost, refused or bounded.
    pub counters: Counters,
}

/// What a run reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunKind {
    /// Capture files: their rows are visible once all of them is read.
    Capture,
    /// A SPAN port: its rows are visible as they come.
    Live,
}

/// A capture file, as it is known again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureFacts {
    /// The path as it was given; for messages only.
    pub name: String,
    /// Size in bytes.
    pub size_bytes: u64,
    /// BLAKE3 over size and samples of the file as it lies on the disk; of a pipe, its content's.
    pub fingerprint: [u8; 32],
    /// BLAKE3 over the unpacked beginning, length and end: the same for a file and its compressed
    /// copy. `None` as long as it is unknown.
    pub content: Option<[u8; 32]>,
    /// BLAKE3 over the unpacked beginning alone; `None` as long as it is unknown.
    pub beginning: Option<[u8; 32]>,
}

impl CaptureFacts {
    /// Whether both are known to be the same capture.
    pub fn is_same_as(&self, other: &CaptureFacts) -> bool {
        self.fingerprint == other.fingerprint
            || (self.content.is_some() && self.content == other.content)
    }
}

/// What became of a capture of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureEnd {
    /// The capture, with what is known of it now.
    pub capture: CaptureFacts,
    /// The offset in bytes at which it could not be read on.
    pub damaged_at: Option<u64>,
    /// Whether its reading stopped though there is more of it.
    pub in_part: bool,
}

/// How a run begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunStart {
    /// Files or a SPAN port.
    pub kind: RunKind,
    /// The files that will be read; see [`super::Store::plan`].
    pub captures: Vec<CaptureFacts>,
    /// Whether earlier runs of these captures are replaced when this one is finished.
    pub again: bool,
    /// Version of the program.
    pub program: String,
    /// SHA-256 in hex of the configuration it begins with, as far as it changes results.
    pub config_sha256: String,
    /// Which key makes the pseudonyms of subjects; empty where they are in the clear.
    pub pseudonym_key: String,
    /// The place whose traffic is shown; empty where it has no name.
    pub site: String,
}

/// What to do about the captures that were given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Indices of those to be read.
    pub read: Vec<usize>,
    /// Indices of those to be left out, and why.
    pub skip: Vec<(usize, Skip)>,
}

/// Why a capture is not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Skip {
    /// An earlier run has counted it, under this name.
    AlreadyDone(String),
    /// It is the same as the one with this index.
    SameAs(usize),
}
