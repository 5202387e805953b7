//! Who led the loads in which flows began, judged anew when domains get their names.
//!
//! `followed` has the flows of which that depends on names: each with those who began before it
//! within a load, the first first. The first that shows pages to everybody leads, and what is
//! another site's followed it; see [`crate::pipeline::loads`], where that is judged while captures are
//! read.

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;
use rusqlite::{Connection, Statement, params};

use super::rows::from_list;
use crate::usage::{ANYHOW, FOLLOWED_ANYHOW};

/// What a target is, as far as loads are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Side {
    /// The app, or none of a domain; and the first target of that.
    site: (Option<i64>, i64),
    leads: bool,
}

/// What targets are, as far as loads are concerned.
pub(super) struct Sites(HashMap<i64, Side, RandomState>);

impl Sites {
    pub(super) fn read(connection: &Connection) -> rusqlite::Result<Sites> {
        let mut statement = connection.prepare("SELECT id, app, role, domain FROM targets")?;
        let mut rows = statement.query([])?;
        let mut sites = HashMap::default();
        let mut domains: HashMap<String, i64, RandomState> = HashMap::default();
        while let Some(row) = rows.next()? {
            let (app, role): (Option<i64>, String) = (row.get(1)?, row.get(2)?);
            let leads = match app {
                Some(_) => matches!(&*role, "visit" | "site"),
                None => role.is_empty(),
            };
            let id = row.get(0)?;
            let site = match app {
                Some(_) => (app, 0),
                // Undecided, so that it is nobody else's.
                None if !role.is_empty() => (None, id),
                None => (None, *domains.entry(row.get(3)?).or_insert(id)),
            };
            sites.insert(id, Side { site, leads });
        }
        Ok(Sites(sites))
    }

    /// Whether a flow to `target` followed, with these who may have led it.
    fn followed(&self, target: i64, leaders: &[i64]) -> bool {
        let site = |target: i64| self.0.get(&target).map_or((None, target), |side| side.site);
        let leads = |leader: &&i64| self.0.get(leader).is_some_and(|side| side.leads);
        leaders.iter().find(leads).is_some_and(|leader| site(*leader) != site(target))
    }
}

/// Says anew what followed, in rows of usage, now that the targets `changed` have names.
pub(super) fn judge_again(
    connection: &Connection,
    changed: &HashSet<i64, RandomState>,
    now: &Sites,
) -> rusqlite::Result<()> {
    if changed.is_empty() {
        return Ok(());
    }
    let (both, both_followed) = (1_i64 << ANYHOW | 1, 1_i64 << FOLLOWED_ANYHOW | 1);
    let mut update = connection.prepare(&format!(
        "UPDATE usage SET followed = (followed >> {FOLLOWED_ANYHOW}) * {both_followed} | ?7,
             unfollowed = (unfollowed >> {ANYHOW}) * {both} | ?8
         WHERE hour = ?1 AND run = ?2 AND subject = ?3 AND target = ?4 AND name_source = ?5
             AND catalogue = ?6"
    ))?;
    let mut statement = connection.prepare(
        "SELECT hour, run, subject, target, name_source, catalogue, leaders, flows, levels
         FROM followed ORDER BY hour, run, subject, target, name_source, catalogue",
    )?;
    let mut rows = statement.query([])?;
    let mut judged = Judged::default();
    while let Some(row) = rows.next()? {
        let mut key = [0; 6];
        for (at, cell) in key.iter_mut().enumerate() {
            *cell = row.get(at)?;
        }
        if key != judged.key {
            std::mem::replace(&mut judged, Judged { key, ..Judged::default() })
                .store(&mut update)?;
        }
        let leaders = from_list(row.get_ref(6)?.as_str()?).unwrap_or_default();
        judged.is_due |= changed.contains(&key[3]) || leaders.iter().any(|l| changed.contains(l));
        match now.followed(key[3], &leaders) {
            true => judged.followed |= row.get::<_, i64>(7)?,
            false => judged.said |= row.get::<_, i64>(8)?,
        }
    }
    judged.store(&mut update)
}

/// As names are now: which flows of a row followed, and what those said that did not; bits of
/// [`Sums::followed`] and of [`Sums::unfollowed`].
///
/// [`Sums::followed`]: crate::usage::Sums::followed
/// [`Sums::unfollowed`]: crate::usage::Sums::unfollowed
#[derive(Default)]
struct Judged {
    /// Hour, run, subject, target, source of the name, and catalogue.
    key: [i64; 6],
    followed: i64,
    said: i64,
    /// Whether anything that decides it has a name now.
    is_due: bool,
}

impl Judged {
    fn store(self, update: &mut Statement<'_>) -> rusqlite::Result<()> {
        if self.is_due {
            let [hour, run, subject, target, source, catalogue] = self.key;
            let Judged { followed, said, .. } = self;
            update
                .execute(params![hour, run, subject, target, source, catalogue, followed, said])?;
        }
        Ok(())
    }
}
