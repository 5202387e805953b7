//! The rules of the catalogue that names matched, or would have.

use std::collections::BTreeMap;

use super::text::{COLUMNS_MAX, Text, fit, list};
use super::{Counts, Found, Question};
use crate::catalogue::Role;
use crate::catalogue::pattern::TENANT;
use crate::evidence::Side;
use crate::observation::NameSource;

/// Rules that are listed of a row, those that count most first: as many in any case,
const RULES_MIN: usize = 2;
/// and no more than so many.
const RULES_MAX: usize = 4;
/// Roles whose rules are listed of a row of which it is not kept which matched.
const ROLES_MAX: usize = 3;

/// What came by one rule in one role.
#[derive(Default)]
struct Line<'a> {
    sources: Vec<&'static str>,
    tenants: Vec<&'a str>,
    counts: Counts,
}

impl Text {
    /// By which rules names were the app's, in about so many lines.
    pub(super) fn names(&mut self, question: &Question<'_>, found: &Found, room: usize) {
        let file = question.catalogue.app(question.app).map_or("the catalogue", |app| &app.file);
        self.line("");
        if found.matched.is_empty() {
            self.not_kept(question, found);
            return;
        }
        self.line(format!(
            "Its names matched these rules of {file} (`read --observations` tells the names):"
        ));
        self.line(format!(
            "  {:38} {:9} {:12} {:>7} {:>8}  {}",
            "rule", "role", "name_source", "conns", "look-ups", "tenant"
        ));
        let lines = lines(found);
        // The line that says how many more there are takes the place of a rule.
        let room = room.saturating_sub(3).clamp(RULES_MIN, RULES_MAX);
        let shown = if lines.len() > room { room - 1 } else { room };
        for ((role, pattern), line) in lines.iter().take(shown) {
            let tenants = list(line.tenants.iter().copied());
            self.line(format!(
                "  {:38} {role:9} {:12} {:>7} {:>8}  {tenants}",
                fit(pattern, 38),
                line.sources.join(", "),
                line.counts.connections,
                line.counts.dns_queries,
            ));
        }
        if let Some(others) = lines.get(shown..).filter(|others| !others.is_empty()) {
            let mut sum = Counts::default();
            others.iter().for_each(|(_, line)| sum.add(&line.counts));
            self.line(format!(
                "  and {} more rules, {} connections, {} look-ups",
                others.len(),
                sum.connections,
                sum.dns_queries
            ));
        }
        match found.unexplained() {
            0 => {}
            others => self.line(format!(
                "  Of {others} other connections it is not kept which rule their names matched."
            )),
        }
        self.other_catalogue(question, found, "");
    }

    /// The rules that can have matched, where it is not kept which did.
    fn not_kept(&mut self, question: &Question<'_>, found: &Found) {
        let sources = list(found.name_sources.iter().map(|source| source.as_str()));
        self.line(format!(
            "Names came from {sources}; which rules they matched was not kept when the row was made."
        ));
        let Some(app) = question.catalogue.app(question.app) else { return };
        self.other_catalogue(question, found, "; what follows is of the one above");
        let mut roles: Vec<Rules<'_>> = Vec::new();
        for (role, tenant) in &found.roles {
            match roles.iter_mut().find(|rules| rules.role == role) {
                Some(rules) => rules.tenants.push(tenant),
                None => roles.push(Rules { role, tenants: vec![tenant] }),
            }
        }
        self.line(format!("Rules of {} that they can have matched, by role and tenant:", app.file));
        self.rules(question, &roles, ROLES_MAX);
    }

    fn other_catalogue(&mut self, question: &Question<'_>, found: &Found, end: &str) {
        let version = question.catalogue.version();
        if let Some(other) = found.catalogues.iter().find(|of| **of != version) {
            self.line(format!("They were matched with catalogue {other}{end}."));
        }
    }

    /// The rules of all roles, of an app that has no row.
    pub(super) fn rules_of_all_roles(&mut self, question: &Question<'_>) {
        let roles: Vec<Rules<'_>> = Role::ALL
            .iter()
            .map(|role| Rules { role: role.as_str(), tenants: Vec::new() })
            .collect();
        self.rules(question, &roles, Role::ALL.len());
    }

    /// The rules that names of these roles can have matched, of so many roles; with tenants where they
    /// were seen.
    fn rules(&mut self, question: &Question<'_>, roles: &[Rules<'_>], roles_max: usize) {
        let Some(app) = question.catalogue.app(question.app) else { return };
        let mut roles: Vec<(&Rules<'_>, Vec<&str>)> = roles
            .iter()
            .map(|wanted| {
                let rules = |wants: &dyn Fn(&(Role, &str)) -> bool| -> Vec<&str> {
                    let rules = question.catalogue.rules_of(app);
                    rules.filter(|rule| wants(rule)).map(|(_, text)| text).collect()
                };
                let of_tenants = rules(&|rule| wanted.has(*rule));
                // A rule may have been another one when the rows were made.
                let of_role = |rule: &(Role, &str)| rule.0.as_str() == wanted.role;
                (wanted, if of_tenants.is_empty() { rules(&of_role) } else { of_tenants })
            })
            .filter(|(wanted, rules): &(_, Vec<&str>)| {
                !rules.is_empty() || !wanted.tenants.is_empty()
            })
            .collect();
        roles.sort_by_key(|(wanted, _)| (Side::of_role(wanted.role), wanted.role));
        for (wanted, rules) in roles.iter().take(roles_max) {
            let tenants = wanted.tenants.iter().filter(|tenant| !tenant.is_empty());
            let tenants = match list(tenants) {
                none if none.is_empty() => none,
                some => format!("  (tenant {some})"),
            };
            let room = (COLUMNS_MAX - 30).saturating_sub(tenants.chars().count());
            let mut length = 0;
            let fits = |rule: &&&str| {
                length += rule.chars().count() + 2;
                length <= room
            };
            let mut shown: Vec<&str> = rules.iter().take_while(fits).copied().collect();
            if shown.is_empty() {
                shown.extend(rules.first());
            }
            let more = match rules.len() - shown.len() {
                0 if rules.is_empty() => "none now".to_owned(),
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            self.line(format!("  {:9} {}{more}{tenants}", wanted.role, shown.join(", ")));
        }
        if let Some(others) = roles.get(roles_max..).filter(|others| !others.is_empty()) {
            self.line(format!("  and {}", list(others.iter().map(|(wanted, _)| wanted.role))));
        }
    }
}

/// A line for each rule and role, those of use first, and of these those with most.
fn lines(found: &Found) -> Vec<((&str, &str), Line<'_>)> {
    let mut lines: BTreeMap<(&str, &str), Line<'_>> = BTreeMap::new();
    // Connections tell where names came from; look-ups alone, that they did.
    let has_connections = |role: &str, pattern: &str| {
        let mine = found.matched.iter().filter(|(of, _)| of.role == role && of.pattern == pattern);
        mine.into_iter().any(|(_, counts)| counts.connections > 0)
    };
    for (of, counts) in &found.matched {
        let line = lines.entry((&of.role, &of.pattern)).or_default();
        let is_told = counts.connections > 0
            || of.name_source != NameSource::Dns
            || !has_connections(&of.role, &of.pattern);
        if is_told && !line.sources.contains(&of.name_source.as_str()) {
            line.sources.push(of.name_source.as_str());
        }
        if !of.tenant.is_empty() && !line.tenants.contains(&&*of.tenant) {
            line.tenants.push(&of.tenant);
        }
        line.counts.add(counts);
    }
    let mut lines: Vec<_> = lines.into_iter().collect();
    lines.sort_by_key(|((role, pattern), line)| {
        let Counts { connections, dns_queries } = line.counts;
        (Side::of_role(role), std::cmp::Reverse((connections, dns_queries)), *role, *pattern)
    });
    lines
}

/// Which rules of a role are wanted.
struct Rules<'a> {
    role: &'a str,
    /// The tenants that names showed, "" for names without; all rules where nothing was seen.
    tenants: Vec<&'a str>,
}

impl Rules<'_> {
    /// Whether a name that matched this rule can have been seen: a rule with a place for a tenant
    /// tells it, and no other does.
    fn has(&self, (role, text): (Role, &str)) -> bool {
        let tells = text.contains(TENANT);
        role.as_str() == self.role
            && (self.tenants.is_empty()
                || self.tenants.iter().any(|tenant| tenant.is_empty() != tells))
    }
}
