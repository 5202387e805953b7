//! Labels that say what a name is for, whoever's name it is: `autodiscover`, `ns1`, `blog`.
//!
//! A domain of role `use` covers names that its author never thought of: name servers, mail
//! security, the blog. `labels.toml` lists the labels of such names, so that not every file has to.
//! What a file names itself (a host, a longer domain, the literal part of a pattern) is never
//! looked at here.

use super::format::Role;
use super::index::{Index, RuleNumber};
use super::vocabulary::LabelSection;

/// Written behind a label that means something only with a number: `ns#` is `ns1`, not `ns`.
pub(crate) const NUMBERED: char = '#';

/// The list, ready to be asked.
#[derive(Debug, Default)]
pub(super) struct Labels {
    /// Labels without their numbers; the numbers of the index are positions in `entries`.
    index: Index,
    entries: Vec<Label>,
}

/// A label of the list.
#[derive(Debug)]
pub(super) struct Label {
    /// As it stands in the file.
    pub(super) text: Box<str>,
    /// What a name with it says about use.
    pub(super) role: Role,
    is_plumbing: bool,
    needs_number: bool,
}

impl Labels {
    /// Adds a section; labels that are there already stay as they are.
    pub(super) fn add(&mut self, section: &LabelSection) {
        for text in &section.labels {
            let word = text.trim_end_matches(NUMBERED);
            let number = self.entries.len() as RuleNumber;
            if self.index.add_host(word, number) {
                self.entries.push(Label {
                    text: text.as_str().into(),
                    role: section.role,
                    is_plumbing: section.plumbing,
                    needs_number: word.len() < text.len(),
                });
            }
        }
    }

    /// The label that makes a name say less about use than the rule which won for it does.
    #[inline]
    pub(super) fn weaker(&self, name: &str, rule: &str, role: Role) -> Option<&Label> {
        let is_strong = matches!(role, Role::Use | Role::Login);
        if !is_strong && role != Role::Visit {
            return None;
        }
        let Open { head, is_only_wildcard } = open_labels(name, rule)?;
        let (first, last) = match (head.find('.'), head.rfind('.')) {
            (Some(first), Some(last)) => (&head[..first], &head[last + 1..]),
            _ => (head, head),
        };
        let is_written = |label: &Label| rule.starts_with(label.text.trim_end_matches(NUMBERED));
        let applies = |label: &&Label| match label.is_plumbing {
            true => is_only_wildcard || !is_written(label),
            false => is_only_wildcard && is_strong && !rule.starts_with('{'),
        };
        self.lookup(last).filter(applies).or_else(|| {
            let is_deep = first.len() < head.len();
            is_deep.then(|| self.lookup(first)).flatten().filter(|label| label.is_plumbing)
        })
    }

    #[inline]
    fn lookup(&self, label: &str) -> Option<&Label> {
        let word = label.trim_end_matches(|c: char| c.is_ascii_digit());
        let has_number = word.len() < label.len();
        let word = if has_number { word.strip_suffix('-').unwrap_or(word) } else { word };
        let found = &self.entries[self.index.host(word)? as usize];
        (has_number || !found.needs_number).then_some(found)
    }
}

/// What a rule leaves open at a name's beginning.
struct Open<'n> {
    head: &'n str,
    /// Whether the rule says nothing at all of it.
    is_only_wildcard: bool,
}

/// What stands before a domain, or for a pattern's first label where that has a wildcard.
#[inline]
fn open_labels<'n>(name: &'n str, rule: &str) -> Option<Open<'n>> {
    if name.len() > rule.len()
        && let Some(head) = name.strip_suffix(rule)
    {
        return Some(Open { head: head.strip_suffix('.')?, is_only_wildcard: true });
    }
    let dot = rule.find('.')?;
    let first = &rule[..dot];
    if !first.contains(['*', '}']) {
        return None;
    }
    let head = name.find('.').map(|dot| &name[..dot])?;
    Some(Open { head, is_only_wildcard: matches!(first, "*" | "{tenant}") })
}

#[cfg(test)]
mod tests {
    use super::super::{Catalogue, Role, SourceFile};

    const LABELS: &str = "schema = 1\n\
        [[label]]\nrole = \"infra\"\nplumbing = true\nlabels = [\"ns#\", \"mta-sts\", \"smtp\"]\n\
        [[label]]\nrole = \"site\"\nlabels = [\"blog\"]\n";

    const APP: &str = "schema = 1\nid = \"acme\"\nname = \"Acme\"\nvendor = \"v\"\n\
        kind = \"app\"\ncategory = \"c\"\nstatus = \"active\"\nmaturity = \"candidate\"\n\
        homepage = \"https://example.com/\"\nverified = 2026-01-01\n\
        sources = [\"https://example.com/\"]\n\
        [[match]]\nrole = \"use\"\nhosts = [\"smtp.mail.acme.com\"]\n\
        domains = [\"acme.com\", \"ns7.net\"]\n\
        [[match]]\nrole = \"visit\"\npatterns = [\"{tenant}.acme.site\", \"*.pages.acme.com\"]\n\
        [[match]]\nrole = \"use\"\npatterns = [\"{tenant}.acme.app\", \"*.eu.acme.net\", \
        \"n*.acme.net\", \"smtp-*.acme.net\", \"b*.acme.net\"]\n\
        [[match]]\nrole = \"embed\"\ndomains = [\"acme-cdn.com\"]\n\
        [tenant]\nmeaning = \"m\"\naudience = \"both\"\n";

    fn file(path: &str, text: &str) -> SourceFile {
        SourceFile { path: path.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn labels_of_the_list_are_no_use_of_a_domain() {
        let base = [file("labels.toml", LABELS), file("a/acme.toml", APP)];
        let catalogue = Catalogue::from_sources(&base, &[]).unwrap();
        let of = |host: &str| {
            let found = catalogue.match_host(host).unwrap();
            assert_eq!(found.app_id(), Some("acme"));
            (found.role, found.label)
        };
        // Below a domain: with and without numbers, plumbing at any depth.
        assert_eq!(of("ns1.acme.com"), (Role::Infra, Some("ns#")));
        assert_eq!(of("NS-02.acme.com."), (Role::Infra, Some("ns#")));
        assert_eq!(of("ns1.eu.acme.com"), (Role::Infra, Some("ns#")));
        assert_eq!(of("a.ns1.acme.com"), (Role::Infra, Some("ns#")));
        assert_eq!(of("mta-sts.acme.com"), (Role::Infra, Some("mta-sts")));
        assert_eq!(of("smtp2.acme.com"), (Role::Infra, Some("smtp")));
        assert_eq!(of("blog.acme.com"), (Role::Site, Some("blog")));
        assert_eq!(of("assets.blog.acme.com"), (Role::Site, Some("blog")));
        // What only looks like one, or needs its number, or stands further left.
        for host in
            ["acme.com", "ns.acme.com", "ns1a.acme.com", "n1.acme.com", "1.acme.com", "-1.acme.com"]
        {
            assert_eq!(of(host), (Role::Use, None), "{host}");
        }
        assert_eq!(of("blog.eu.acme.com"), (Role::Use, None));
        assert_eq!(of("app.ns1.eu.acme.com"), (Role::Use, None));
        // A file's own word wins, also where a domain is called like a label.
        assert_eq!(of("smtp.mail.acme.com"), (Role::Use, None));
        assert_eq!(of("ns7.net"), (Role::Use, None));
        // Other roles stay.
        assert_eq!(of("ns1.acme-cdn.com"), (Role::Embed, None));
    }

    #[test]
    fn plumbing_is_no_tenant_and_nobodys_visit() {
        let base = [file("labels.toml", LABELS), file("a/acme.toml", APP)];
        let catalogue = Catalogue::from_sources(&base, &[]).unwrap();
        let of = |host: &str| {
            let found = catalogue.match_host(host).unwrap();
            (found.role, found.tenant().map(str::to_owned))
        };
        assert_eq!(of("mta-sts.acme.app"), (Role::Infra, None));
        assert_eq!(of("ns1.acme.site"), (Role::Infra, None));
        assert_eq!(of("ns1.pages.acme.com"), (Role::Infra, None));
        assert_eq!(of("ns1.eu.acme.net"), (Role::Infra, None));
        assert_eq!(of("blog.eu.acme.net"), (Role::Site, None));
        // Part of a label may be open; what a rule writes out it means.
        assert_eq!(of("n7.acme.net"), (Role::Use, None));
        assert_eq!(of("ns7.acme.net"), (Role::Infra, None));
        assert_eq!(of("smtp-1.acme.net"), (Role::Use, None));
        assert_eq!(of("blog.acme.net"), (Role::Use, None));
        // Somebody may be called so.
        assert_eq!(of("blog.acme.app"), (Role::Use, Some("blog".to_owned())));
        assert_eq!(of("blog.acme.site"), (Role::Visit, Some("blog".to_owned())));
        assert_eq!(of("contoso.acme.app"), (Role::Use, Some("contoso".to_owned())));
    }

    #[test]
    fn an_operators_own_list_wins() {
        let base = [file("labels.toml", LABELS), file("a/acme.toml", APP)];
        let own = LABELS.replace("\"site\"", "\"telemetry\"");
        let catalogue = Catalogue::from_sources(&base, &[file("labels.toml", &own)]).unwrap();
        assert_eq!(catalogue.match_host("blog.acme.com").unwrap().role, Role::Telemetry);
        let explained = catalogue.explain("blog.acme.com");
        assert_eq!(explained[0].found.label, Some("blog"));
    }
}
