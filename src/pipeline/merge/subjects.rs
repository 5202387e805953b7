//! Numbers of subjects, within a bound that leaves room for those who do more than ask.

use super::super::gathered::SubjectNumber;
use super::Merge;
use crate::evidence::source;
use crate::footprint;
use crate::identity::{Identities, Subject};
use crate::net::Address;
use crate::stats::Counter;
use crate::store::SubjectId;

/// Clients with rows; those beyond are one client "other".
const CLIENTS_MAX: usize = 7 << 16;
/// Memory of as many: their addresses, what is said and seen of each, and their numbers here and in the
/// store.
pub(in crate::pipeline) const BYTES_MAX: usize = {
    let listed = size_of::<Option<Address>>()
        + size_of::<Option<source::Verdict>>()
        + size_of::<bool>()
        + size_of::<Option<SubjectId>>();
    (CLIENTS_MAX + 1) * listed + footprint::map(CLIENTS_MAX, size_of::<(Address, SubjectNumber)>())
};
/// Of these, how many there may be for which nothing but a question or a trait makes a client: both
/// come from made-up addresses, too. What a table of 2^18 places takes.
const CLIENTS_HINTED_MAX: usize = 7 << 15;

impl Merge {
    /// The subject of a client with rows.
    pub(super) fn subject(&mut self, client: Address) -> SubjectNumber {
        if let Some(&known) = self.subject_numbers.get(&client) {
            return known;
        }
        if self.subjects.len() >= CLIENTS_MAX {
            return self.other_subject();
        }
        let number = self.subjects.len() as SubjectNumber;
        self.told.push(self.identities.told(client));
        self.known_subjects += usize::from(self.identities.is_known(client));
        self.subjects.push(Some(client));
        self.subject_numbers.insert(client, number);
        number
    }

    /// The subject of somebody of whom there is nothing but a hint; none where there is no room.
    pub(super) fn hinted_subject(&mut self, client: Address) -> Option<SubjectNumber> {
        if self.subjects.len() < CLIENTS_HINTED_MAX {
            return Some(self.subject(client));
        }
        let known = self.subject_numbers.get(&client).copied();
        if known.is_none() {
            self.summary.bound(Counter::HintDropped, 1);
        }
        known
    }

    /// The subject of somebody who has asked for a name, and perhaps no more.
    pub(super) fn asking_subject(&mut self, client: Address) -> SubjectNumber {
        if self.subjects.len() < CLIENTS_HINTED_MAX || self.subject_numbers.contains_key(&client) {
            return self.subject(client);
        }
        self.other_subject()
    }

    /// What the subject with a number is called.
    pub(super) fn named_subject(
        identities: &Identities,
        subjects: &[Option<Address>],
        number: SubjectNumber,
    ) -> Subject {
        subjects[number as usize].map_or_else(Subject::other, |address| identities.subject(address))
    }

    fn other_subject(&mut self) -> SubjectNumber {
        self.summary.bound(Counter::ClientFolded, 1);
        *self.other.get_or_insert_with(|| {
            self.told.push(None);
            self.subjects.push(None);
            (self.subjects.len() - 1) as SubjectNumber
        })
    }
}
