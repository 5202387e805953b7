//! What is in a catalogue, in numbers: how wide it is, and how carefully made.

use std::collections::BTreeMap;
use std::fmt;

use super::document::{Content, Document, SourceFile};
use super::finding::Finding;
use super::format::{AppFile, Maturity, Role, Status};

/// Counts over the files of a catalogue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Signature files.
    pub apps: usize,
    /// Those that are reviewed.
    pub reviewed: usize,
    /// Those of retired services.
    pub retired: usize,
    /// Those whose names carry a tenant.
    pub with_tenant: usize,
    /// Those with at least one dated risk fact.
    pub with_risk: usize,
    /// Those with only one domain and no role but `use`.
    pub thin: usize,
    /// Rules by kind: hosts, domains, patterns, addresses.
    pub rules: [usize; 4],
    /// Rules by role.
    pub roles: BTreeMap<Role, usize>,
    /// Apps by category.
    pub categories: BTreeMap<String, usize>,
    /// Tests in files.
    pub tests: usize,
}

impl Statistics {
    /// Counts.
    ///
    /// # Errors
    /// Findings in files that cannot be read.
    pub fn of(sources: &[SourceFile]) -> Result<Statistics, Vec<Finding>> {
        let mut statistics = Statistics::default();
        let mut findings = Vec::new();
        for source in sources {
            match Document::read(source) {
                Ok(Document { content: Content::App(file), .. }) => statistics.add(&file),
                Ok(Document { content: Content::Categories(file), .. }) => {
                    for slug in file.categories.into_keys() {
                        statistics.categories.entry(slug).or_default();
                    }
                }
                Ok(_) => {}
                Err(mut more) => findings.append(&mut more),
            }
        }
        if findings.is_empty() { Ok(statistics) } else { Err(findings) }
    }

    fn add(&mut self, file: &AppFile) {
        self.apps += 1;
        self.reviewed += usize::from(file.maturity == Maturity::Reviewed);
        self.retired += usize::from(file.status == Status::Retired);
        self.with_tenant += usize::from(file.tenant.is_some());
        self.with_risk += usize::from(!file.risk.is_empty());
        self.tests += file.test.len();
        *self.categories.entry(file.category.clone()).or_default() += 1;
        let mut kinds = [0; 3];
        for section in &file.matches {
            let counts = [section.hosts.len(), section.domains.len(), section.patterns.len()];
            for (sum, count) in kinds.iter_mut().zip(counts) {
                *sum += count;
            }
            *self.roles.entry(section.role).or_default() += counts.iter().sum::<usize>();
        }
        for (sum, count) in self.rules.iter_mut().zip(kinds) {
            *sum += count;
        }
        self.rules[3] += file.net.iter().map(|net| net.cidrs.len() + net.asns.len()).sum::<usize>();
        let only_use = file.matches.iter().all(|section| section.role == Role::Use);
        self.thin += usize::from(only_use && kinds == [0, 1, 0]);
    }
}

impl fmt::Display for Statistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = |part: usize| 100.0 * part as f64 / self.apps.max(1) as f64;
        let mut line = |what: &str, count: usize| writeln!(f, "{what:<28} {count:>7}");
        line("apps", self.apps)?;
        line("  reviewed", self.reviewed)?;
        line("  retired", self.retired)?;
        line("  with tenant", self.with_tenant)?;
        line("  with risk facts", self.with_risk)?;
        for (kind, count) in ["hosts", "domains", "patterns", "addresses"].iter().zip(self.rules) {
            line(&format!("rules: {kind}"), count)?;
        }
        for role in Role::ALL {
            line(&format!("role: {role}"), self.roles.get(role).copied().unwrap_or(0))?;
        }
        line("tests", self.tests)?;
        for (slug, count) in &self.categories {
            line(&format!("category: {slug}"), *count)?;
        }
        writeln!(f, "only one domain, no role but use: {} ({:.1} %)", self.thin, share(self.thin))
    }
}
