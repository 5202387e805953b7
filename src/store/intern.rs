//! Numbers for subjects, targets and catalogues: given at once, written with the next commit.
//!
//! As only one process writes ([`super::lock`]), new numbers are made in memory. What is known is
//! remembered within a bound; what is forgotten is found in the database again.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

use crate::footprint;
use crate::hostname::HOSTNAME_LENGTH_MAX;

use super::rows::{AppFacts, CatalogueFacts, Grounds, Subject, Target, TargetId};

/// Subjects, and likewise targets and others, remembered between commits, and bytes of each kind.
const REMEMBERED_MAX: usize = 7 << 15;
const REMEMBERED_BYTES_MAX: usize = 8 << 20;
/// Memory of all kinds, but for what a commit brings.
pub(super) const BYTES_MAX: usize = 4 * REMEMBERED_BYTES_MAX;
/// Memory of a target that is new with a commit, known and about to be written: one text is as long as
/// a hostname, the others are words.
pub const NEW_TARGET_BYTES: usize = new_bytes(size_of::<TargetKey>())
    + footprint::heap(HOSTNAME_LENGTH_MAX / 2)
    + 4 * footprint::heap(8);
/// The same of a subject.
pub const NEW_SUBJECT_BYTES: usize =
    new_bytes(size_of::<Subject>()) + footprint::heap(HOSTNAME_LENGTH_MAX / 2) + footprint::heap(8);

/// Bytes of one that is known, in a table of which half is empty, and pending, in a list that grew.
const fn new_bytes(thing: usize) -> usize {
    2 * (size_of::<(usize, i64)>() + 1)
        + footprint::heap(2 * size_of::<usize>() + thing)
        + 2 * size_of::<(i64, usize)>()
}

/// What has a number.
#[derive(Default)]
pub(super) struct Interned {
    subjects: Numbers<Subject>,
    targets: Numbers<TargetKey>,
    catalogues: Numbers<CatalogueFacts>,
    candidates: Numbers<Members>,
    patterns: Numbers<String>,
    apps: HashMap<String, AppFacts>,
    /// Apps that are new or described anew.
    apps_pending: Vec<AppFacts>,
}

/// A target without what may change about its app.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct TargetKey {
    /// Empty for an unmatched domain.
    app: String,
    role: String,
    tenant: String,
    edition: String,
    /// Empty for an app.
    domain: String,
    /// Empty for an app, and for most names of a domain.
    label: String,
    /// See [`Grounds`]; empty for most.
    grounds: String,
}

/// Targets with their weights, by number.
type Members = Vec<(i64, u32)>;

/// How [`Members`] are written, so that they can be found.
fn text_of(members: &Members) -> String {
    let words = members.iter().map(|(target, weight)| format!("{target}:{weight}"));
    words.collect::<Vec<_>>().join(" ")
}

/// What is remembered with text of its own.
trait Texts {
    /// Memory behind it.
    fn heap_bytes(&self) -> usize;
}

fn heap_of(texts: &[&String]) -> usize {
    texts.iter().map(|text| footprint::heap(text.len())).sum()
}

impl Texts for Subject {
    fn heap_bytes(&self) -> usize {
        heap_of(&[&self.user, &self.department, &self.device])
    }
}

impl Texts for TargetKey {
    fn heap_bytes(&self) -> usize {
        let TargetKey { app, role, tenant, edition, domain, label, grounds } = self;
        heap_of(&[app, role, tenant, edition, domain, label, grounds])
    }
}

impl Texts for CatalogueFacts {
    fn heap_bytes(&self) -> usize {
        heap_of(&[&self.version, &self.hash])
    }
}

impl Texts for Members {
    fn heap_bytes(&self) -> usize {
        footprint::heap(size_of_val(&**self))
    }
}

impl Texts for String {
    fn heap_bytes(&self) -> usize {
        heap_of(&[self])
    }
}

/// Numbers of one kind of thing.
struct Numbers<T> {
    known: HashMap<Arc<T>, i64>,
    /// Memory of what is known.
    bytes: usize,
    /// Not in the database yet.
    pending: Vec<(i64, Arc<T>)>,
    last: i64,
}

impl<T> Default for Numbers<T> {
    fn default() -> Numbers<T> {
        Numbers { known: HashMap::new(), bytes: 0, pending: Vec::new(), last: 0 }
    }
}

impl<T: Clone + Eq + Hash + Texts> Numbers<T> {
    /// Numbers that go on where the database is.
    fn continuing(connection: &Connection, table: &str) -> rusqlite::Result<Numbers<T>> {
        let sql = format!("SELECT ifnull(max(id), 0) FROM {table}");
        let last = connection.query_row(&sql, [], |row| row.get(0))?;
        Ok(Numbers { last, ..Numbers::default() })
    }

    /// The number of `thing`: remembered, found by `find` in the database, or new.
    fn number(
        &mut self,
        thing: &T,
        find: impl FnOnce(&T) -> rusqlite::Result<Option<i64>>,
    ) -> rusqlite::Result<i64> {
        if let Some(&id) = self.known.get(thing) {
            return Ok(id);
        }
        let id = match find(thing)? {
            Some(id) => id,
            None => {
                self.last += 1;
                self.pending.push((self.last, Arc::new(thing.clone())));
                self.last
            }
        };
        let known = match self.pending.last() {
            Some((last, pending)) if *last == id => Arc::clone(pending),
            _ => Arc::new(thing.clone()),
        };
        self.bytes += Numbers::memory_of(thing);
        self.known.insert(known, id);
        Ok(id)
    }

    /// Memory of one that is known: half of a table's places may be empty.
    fn memory_of(thing: &T) -> usize {
        new_bytes(size_of::<T>()) + thing.heap_bytes()
    }

    /// What was pending is in the database now.
    fn written(&mut self) {
        self.pending.clear();
        if self.known.len() > REMEMBERED_MAX || self.bytes > REMEMBERED_BYTES_MAX {
            self.forget();
        }
    }

    /// Forgets what is to be found in the database, if it is still there.
    fn forget(&mut self) {
        self.known = self.pending.iter().map(|(id, thing)| (Arc::clone(thing), *id)).collect();
        self.bytes = self.known.keys().map(|thing| Numbers::<T>::memory_of(thing)).sum();
    }
}

impl Interned {
    /// Numbers that go on where the database is.
    pub(super) fn continuing(connection: &Connection) -> rusqlite::Result<Interned> {
        Ok(Interned {
            subjects: Numbers::continuing(connection, "subjects")?,
            targets: Numbers::continuing(connection, "targets")?,
            catalogues: Numbers::continuing(connection, "catalogues")?,
            candidates: Numbers::continuing(connection, "candidate_sets")?,
            patterns: Numbers::continuing(connection, "patterns")?,
            ..Interned::default()
        })
    }

    pub(super) fn subject(
        &mut self,
        connection: &Connection,
        subject: &Subject,
    ) -> rusqlite::Result<i64> {
        self.subjects.number(subject, |subject| {
            connection
                .prepare_cached(
                    "SELECT id FROM subjects WHERE user = ? AND department = ? AND device = ?",
                )?
                .query_row([&subject.user, &subject.department, &subject.device], |r| r.get(0))
                .optional()
        })
    }

    pub(super) fn target(
        &mut self,
        connection: &Connection,
        target: &Target,
        grounds: Option<&Grounds<TargetId>>,
    ) -> rusqlite::Result<i64> {
        let mut key = match target {
            Target::App { app, role, tenant, edition } => {
                self.describe(app);
                TargetKey {
                    app: app.id.clone(),
                    role: role.clone(),
                    tenant: tenant.clone(),
                    edition: edition.clone(),
                    ..TargetKey::default()
                }
            }
            Target::Domain(domain) => TargetKey { domain: domain.clone(), ..TargetKey::default() },
            Target::Labelled { domain, label } => {
                TargetKey { domain: domain.clone(), label: label.clone(), ..TargetKey::default() }
            }
            Target::Undecided { bucket } => {
                TargetKey { role: bucket.name().into(), ..TargetKey::default() }
            }
        };
        key.grounds = grounds.map(Grounds::text).unwrap_or_default();
        self.targets.number(&key, |key| {
            connection
                .prepare_cached(
                    "SELECT id FROM targets
                     WHERE ifnull(app, 0) = ifnull((SELECT id FROM apps WHERE app = ?), 0)
                         AND role = ? AND tenant = ? AND edition = ? AND domain = ? AND label = ?
                         AND grounds = ?",
                )?
                .query_row(
                    [
                        &key.app,
                        &key.role,
                        &key.tenant,
                        &key.edition,
                        &key.domain,
                        &key.label,
                        &key.grounds,
                    ],
                    |row| row.get(0),
                )
                .optional()
        })
    }

    pub(super) fn catalogue(
        &mut self,
        connection: &Connection,
        facts: &CatalogueFacts,
    ) -> rusqlite::Result<i64> {
        self.catalogues.number(facts, |facts| {
            connection
                .prepare_cached("SELECT id FROM catalogues WHERE version = ? AND hash = ?")?
                .query_row([&facts.version, &facts.hash], |row| row.get(0))
                .optional()
        })
    }

    pub(super) fn candidates(
        &mut self,
        connection: &Connection,
        candidates: &[(TargetId, u32)],
    ) -> rusqlite::Result<i64> {
        let mut members: Members =
            candidates.iter().map(|(target, weight)| (target.0, *weight)).collect();
        members.sort_unstable();
        self.candidates.number(&members, |members| {
            connection
                .prepare_cached("SELECT id FROM candidate_sets WHERE members = ?")?
                .query_row([text_of(members)], |row| row.get(0))
                .optional()
        })
    }

    pub(super) fn pattern(&mut self, connection: &Connection, text: &str) -> rusqlite::Result<i64> {
        self.patterns.number(&text.to_owned(), |text| {
            connection
                .prepare_cached("SELECT id FROM patterns WHERE pattern = ?")?
                .query_row([text], |row| row.get(0))
                .optional()
        })
    }

    /// Writes what is pending. It stays pending until [`Interned::written`], since the transaction
    /// may still fail.
    pub(super) fn write(&self, connection: &Connection) -> rusqlite::Result<()> {
        let mut insert = connection.prepare_cached(
            "INSERT INTO subjects (id, user, department, device) VALUES (?, ?, ?, ?)",
        )?;
        for (id, subject) in &self.subjects.pending {
            insert.execute(params![id, subject.user, subject.department, subject.device])?;
        }
        let mut insert = connection
            .prepare_cached("INSERT INTO catalogues (id, version, hash) VALUES (?, ?, ?)")?;
        for (id, facts) in &self.catalogues.pending {
            insert.execute(params![id, facts.version, facts.hash])?;
        }
        let mut upsert = connection.prepare_cached(
            "INSERT INTO apps (app, name, vendor, suite, category) VALUES (?, ?, ?, ?, ?)
             ON CONFLICT (app) DO UPDATE SET name = excluded.name, vendor = excluded.vendor,
                 suite = excluded.suite, category = excluded.category",
        )?;
        for app in &self.apps_pending {
            upsert.execute([&app.id, &app.name, &app.vendor, &app.suite, &app.category])?;
        }
        let mut insert = connection.prepare_cached(
            "INSERT INTO targets (id, app, role, tenant, edition, domain, label, grounds)
             VALUES (?, (SELECT id FROM apps WHERE app = ?), ?, ?, ?, ?, ?, ?)",
        )?;
        for (id, key) in &self.targets.pending {
            insert.execute(params![
                id,
                key.app,
                key.role,
                key.tenant,
                key.edition,
                key.domain,
                key.label,
                key.grounds
            ])?;
        }
        let mut insert =
            connection.prepare_cached("INSERT INTO candidate_sets (id, members) VALUES (?, ?)")?;
        let mut insert_member = connection
            .prepare_cached("INSERT INTO candidates (id, target, weight) VALUES (?, ?, ?)")?;
        let mut insert_pattern =
            connection.prepare_cached("INSERT INTO patterns (id, pattern) VALUES (?, ?)")?;
        for (id, text) in &self.patterns.pending {
            insert_pattern.execute(params![id, text])?;
        }
        for (id, members) in &self.candidates.pending {
            insert.execute(params![id, text_of(members)])?;
            for (target, weight) in &**members {
                insert_member.execute(params![id, target, weight])?;
            }
        }
        Ok(())
    }

    /// What was pending is in the database now.
    pub(super) fn written(&mut self) {
        self.subjects.written();
        self.targets.written();
        self.catalogues.written();
        self.candidates.written();
        self.patterns.written();
        self.apps_pending.clear();
    }

    /// Forgets what is to be found in the database: runs were taken out of it.
    pub(super) fn forget(&mut self) {
        self.subjects.forget();
        self.targets.forget();
        self.candidates.forget();
        self.patterns.forget();
    }

    /// Notes what the catalogue says of `app` now. There are as many apps as in the catalogue, so
    /// that they need no bound.
    fn describe(&mut self, app: &AppFacts) {
        if self.apps.get(&app.id) != Some(app) {
            self.apps.insert(app.id.clone(), app.clone());
            self.apps_pending.push(app.clone());
        }
    }
}
