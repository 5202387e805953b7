//! The compiled index: from a name to the one rule that wins, without allocation.
//!
//! One open-addressing table holds every literal suffix of every rule: whole names (`hosts`),
//! domains, and the literal ends of patterns. Its key is a hash computed from the right, so that
//! one walk over a name meets all its suffixes: at each dot, and at the name's beginning, the
//! table is asked and the bytes are compared. Patterns hang on the slot of their literal end.
//!
//! The weights are those of `signatures/README.md`: a whole name beats everything; else the most
//! literal characters win, a domain counting one for its leading dot where the name is longer;
//! with equal weight a pattern beats a domain, since it also fixes the number of labels.
//!
//! Assumes normalised names. The hash is not seeded: only the catalogue's
//! authors choose what is in the table, and names from the wire never enter it.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use super::pattern::Pattern;

/// The number of a rule in the catalogue's list.
pub(crate) type RuleNumber = u32;

/// Bytes of a name, about.
const BYTES_PER_NAME: usize = 16;

const NO_RULE: RuleNumber = RuleNumber::MAX;
const EMPTY: u32 = u32::MAX;

/// A name's winning rule, and where in the name the tenant stands (empty without one).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) rule: RuleNumber,
    pub(crate) tenant: Range<usize>,
}

/// The table.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// Power of two, at most half full.
    slots: Box<[Slot]>,
    /// 64 minus the number of bits that choose a slot.
    shift: u32,
    entries: Vec<Entry>,
    /// The text of all entries, one behind the other.
    texts: String,
    patterns: Vec<PatternEntry>,
    /// The longest entry in characters.
    longest: usize,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    fingerprint: u32,
    entry: u32,
}

#[derive(Debug)]
struct Entry {
    text_start: u32,
    text_length: u32,
    host: RuleNumber,
    domain: RuleNumber,
    /// First pattern of a chain, as a position in `patterns`.
    pattern: u32,
}

#[derive(Debug)]
struct PatternEntry {
    pattern: Pattern,
    reserved: Arc<Reserved>,
    rule: RuleNumber,
    next: u32,
}

/// Labels that are no tenants. Of the many lists few are ever asked, so one is put in order when it
/// first is.
#[derive(Debug, Default)]
pub(crate) struct Reserved {
    /// The labels with blanks between.
    list: Box<str>,
    sorted: OnceLock<Sorted>,
}

/// Labels in order and one behind the other: a text of its own for each would take more room than all
/// rules.
#[derive(Debug)]
struct Sorted {
    text: Box<str>,
    /// Where each label ends.
    ends: Box<[u32]>,
}

impl Reserved {
    /// The labels of a list with blanks between.
    pub(crate) fn new(list: &str) -> Reserved {
        Reserved { list: list.into(), sorted: OnceLock::new() }
    }

    #[inline]
    fn contains(&self, tenant: &str) -> bool {
        !self.list.is_empty()
            && !tenant.is_empty()
            && self.sorted.get_or_init(|| Sorted::new(&self.list)).contains(tenant)
    }
}

impl Sorted {
    #[cold]
    fn new(list: &str) -> Sorted {
        let mut labels: Vec<&str> = list.split_ascii_whitespace().collect();
        if !labels.is_sorted() {
            labels.sort_unstable();
        }
        let mut end = 0;
        let ends = labels.iter().map(|label| {
            end += label.len() as u32;
            end
        });
        Sorted { ends: ends.collect(), text: labels.concat().into() }
    }

    #[inline]
    fn contains(&self, tenant: &str) -> bool {
        let (mut low, mut high) = (0, self.ends.len());
        while low < high {
            let middle = (low + high) / 2;
            let start = if middle == 0 { 0 } else { self.ends[middle - 1] as usize };
            match self.text[start..self.ends[middle] as usize].cmp(tenant) {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return true,
            }
        }
        false
    }
}

impl Index {
    /// An empty table with room for about so many names.
    pub(crate) fn with_room(names: usize) -> Index {
        let mut index = Index {
            entries: Vec::with_capacity(names),
            texts: String::with_capacity(names * BYTES_PER_NAME),
            ..Index::default()
        };
        index.make_slots((names.max(4) * 2).next_power_of_two());
        index
    }

    /// Adds a rule for a whole name. Of two for the same the first is kept, and the answer says
    /// that this one was not.
    pub(crate) fn add_host(&mut self, host: &str, number: RuleNumber) -> bool {
        let entry = self.entry(host);
        fill(&mut self.entries[entry].host, number)
    }

    /// Adds a rule for a name and everything below it; the answer as for [`Index::add_host`].
    pub(crate) fn add_domain(&mut self, domain: &str, number: RuleNumber) -> bool {
        let entry = self.entry(domain);
        fill(&mut self.entries[entry].domain, number)
    }

    /// The rule that was added for exactly this text as a whole name.
    #[inline]
    pub(crate) fn host(&self, text: &str) -> Option<RuleNumber> {
        if self.entries.is_empty() || text.len() > self.longest {
            return None;
        }
        let hash = text.bytes().rev().fold(HASH_START, hash_step);
        let host = self.lookup(hash, text)?.host;
        (host != NO_RULE).then_some(host)
    }

    /// The rule that wins for a normalised name, among those that `accept` takes.
    #[inline]
    pub(crate) fn find(&self, name: &str, accept: impl Fn(RuleNumber) -> bool) -> Option<Found> {
        let mut best: Option<(Weight, Found)> = None;
        self.for_each_match(name, |weight, rule, tenant| {
            if best.as_ref().is_none_or(|(best_weight, _)| weight > *best_weight) && accept(rule) {
                best = Some((weight, Found { rule, tenant }));
            }
        });
        best.map(|(_, found)| found)
    }

    /// Calls `visit` with every rule that matches a normalised name.
    #[inline]
    pub(crate) fn for_each_match(
        &self,
        name: &str,
        mut visit: impl FnMut(Weight, RuleNumber, Range<usize>),
    ) {
        if self.entries.is_empty() {
            return;
        }
        let bytes = name.as_bytes();
        let mut hash = HASH_START;
        for position in (0..bytes.len()).rev() {
            if bytes[position] == b'.'
                && let Some(entry) = self.lookup(hash, &name[position + 1..])
            {
                if entry.domain != NO_RULE {
                    visit(Weight::domain(name.len() - position), entry.domain, 0..0);
                }
                self.visit_patterns(entry.pattern, &name[..position], &mut visit);
            }
            if name.len() - position > self.longest {
                return;
            }
            hash = hash_step(hash, bytes[position]);
        }
        if let Some(entry) = self.lookup(hash, name) {
            if entry.host != NO_RULE {
                visit(Weight::HOST, entry.host, 0..0);
            }
            if entry.domain != NO_RULE {
                visit(Weight::domain(name.len()), entry.domain, 0..0);
            }
        }
    }

    #[inline]
    fn visit_patterns(
        &self,
        first: u32,
        head: &str,
        visit: &mut impl FnMut(Weight, RuleNumber, Range<usize>),
    ) {
        let mut next = first;
        while next != EMPTY {
            let entry = &self.patterns[next as usize];
            next = entry.next;
            if let Some(tenant) = entry.pattern.match_head(head)
                && !entry.reserved.contains(&head[tenant.clone()])
            {
                visit(Weight::pattern(entry.pattern.literals()), entry.rule, tenant);
            }
        }
    }

    #[inline]
    fn lookup(&self, hash: u64, text: &str) -> Option<&Entry> {
        let hash = hash_finish(hash);
        let mut at = (hash >> self.shift) as usize;
        loop {
            let slot = self.slots[at];
            if slot.entry == EMPTY {
                return None;
            }
            if slot.fingerprint == hash as u32 {
                let entry = &self.entries[slot.entry as usize];
                if self.text(entry) == text {
                    return Some(entry);
                }
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }

    fn text(&self, entry: &Entry) -> &str {
        let start = entry.text_start as usize;
        &self.texts[start..start + entry.text_length as usize]
    }

    fn make_slots(&mut self, length: usize) {
        self.slots = vec![Slot { fingerprint: 0, entry: EMPTY }; length].into();
        self.shift = 64 - length.trailing_zeros();
    }

    /// Twice as many slots.
    #[cold]
    fn grow(&mut self) {
        self.make_slots((self.slots.len() * 2).max(16));
        for number in 0..self.entries.len() {
            let hash = hash_of(self.text(&self.entries[number]));
            let mut at = (hash >> self.shift) as usize;
            while self.slots[at].entry != EMPTY {
                at = (at + 1) & (self.slots.len() - 1);
            }
            self.slots[at] = Slot { fingerprint: hash as u32, entry: number as u32 };
        }
    }

    /// The position of `text` among the entries; makes one if there is none.
    fn entry(&mut self, text: &str) -> usize {
        if (self.entries.len() + 1) * 2 > self.slots.len() {
            self.grow();
        }
        let hash = hash_of(text);
        let mut at = (hash >> self.shift) as usize;
        loop {
            let slot = self.slots[at];
            if slot.entry == EMPTY {
                break;
            }
            let is_same = slot.fingerprint == hash as u32
                && self.text(&self.entries[slot.entry as usize]) == text;
            if is_same {
                return slot.entry as usize;
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
        self.slots[at] = Slot { fingerprint: hash as u32, entry: self.entries.len() as u32 };
        self.entries.push(Entry {
            text_start: self.texts.len() as u32,
            text_length: text.len() as u32,
            host: NO_RULE,
            domain: NO_RULE,
            pattern: EMPTY,
        });
        self.texts.push_str(text);
        self.longest = self.longest.max(text.len());
        self.entries.len() - 1
    }

    /// Adds a pattern and the labels its tenant may not be. Patterns of one slot stand in
    /// the order of their insertion, so that of two with equal weight the first inserted wins.
    pub(crate) fn add_pattern(
        &mut self,
        pattern: Pattern,
        reserved: Arc<Reserved>,
        rule: RuleNumber,
    ) {
        let entry = self.entry(pattern.suffix());
        let number = self.patterns.len() as u32;
        let mut last = self.entries[entry].pattern;
        if last == EMPTY {
            self.entries[entry].pattern = number;
        } else {
            while self.patterns[last as usize].next != EMPTY {
                last = self.patterns[last as usize].next;
            }
            self.patterns[last as usize].next = number;
        }
        self.patterns.push(PatternEntry { pattern, reserved, rule, next: EMPTY });
    }
}

/// How specific a rule is for a name; the greatest wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Weight {
    literals: u16,
    is_pattern: bool,
}

impl Weight {
    const HOST: Weight = Weight { literals: u16::MAX, is_pattern: false };

    fn domain(literals: usize) -> Weight {
        Weight { literals: literals as u16, is_pattern: false }
    }

    fn pattern(literals: u16) -> Weight {
        Weight { literals, is_pattern: true }
    }

    /// Literal characters, or `None` for a whole name, which beats every count.
    pub fn literals(self) -> Option<u16> {
        (self != Weight::HOST).then_some(self.literals)
    }
}

/// Writes `number` into an empty place; answers whether it was empty.
fn fill(place: &mut RuleNumber, number: RuleNumber) -> bool {
    let is_empty = *place == NO_RULE;
    if is_empty {
        *place = number;
    }
    is_empty
}

// A multiplicative hash, one byte a step: quick to extend at every character, and good enough for
// a table whose content is known beforehand. The constants are digits of pi and of the golden
// ratio, as usual for such hashes.
const HASH_START: u64 = 0x243f_6a88_85a3_08d3;
const HASH_FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

fn hash_of(text: &str) -> u64 {
    hash_finish(text.bytes().rev().fold(HASH_START, hash_step))
}

#[inline]
fn hash_step(hash: u64, byte: u8) -> u64 {
    (hash.rotate_left(5) ^ u64::from(byte)).wrapping_mul(HASH_FACTOR)
}

/// Mixes the high bits, which choose the slot, into the low ones, which are the fingerprint.
#[inline]
fn hash_finish(hash: u64) -> u64 {
    (hash ^ (hash >> 32)).wrapping_mul(HASH_FACTOR)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Catalogue, SourceFile};

    /// A signature file with the given sections.
    fn app(id: &str, sections: &str) -> SourceFile {
        let text = format!(
            "schema = 1\nid = \"{id}\"\nname = \"{id}\"\nvendor = \"v\"\nkind = \"app\"\n\
             category = \"c\"\nstatus = \"active\"\nmaturity = \"candidate\"\n\
             homepage = \"https://example.com/\"\nverified = 2026-01-01\n\
             sources = [\"https://example.com/\"]\n{sections}"
        );
        SourceFile { path: format!("{}/{id}.toml", &id[..1]), text }
    }

    fn section(key: &str, rules: &[String]) -> String {
        format!("[[match]]\nrole = \"use\"\n{key} = {rules:?}\n")
    }

    /// The rules of the format page, as plainly as they can be written.
    mod naive {
        #[derive(Clone, Debug)]
        pub(super) enum Rule {
            Host(String),
            Domain(String),
            Pattern(String),
        }

        /// (literal characters, is a pattern, tenant)
        pub(super) type Hit = (usize, bool, Option<String>);

        pub(super) fn hit(rule: &Rule, reserved: &[String], name: &str) -> Option<Hit> {
            match rule {
                Rule::Host(host) => (name == host).then_some((usize::MAX, false, None)),
                Rule::Domain(domain) if name == domain => Some((domain.len(), false, None)),
                Rule::Domain(domain) => {
                    name.ends_with(&format!(".{domain}")).then_some((domain.len() + 1, false, None))
                }
                Rule::Pattern(pattern) => {
                    let tenant = labels(pattern, name)?;
                    if tenant.as_ref().is_some_and(|tenant| reserved.contains(tenant)) {
                        return None;
                    }
                    let literals = pattern.replace("{tenant}", "").replace('*', "").len();
                    Some((literals, true, tenant))
                }
            }
        }

        fn labels(pattern: &str, name: &str) -> Option<Option<String>> {
            let (patterns, labels): (Vec<&str>, Vec<&str>) =
                (pattern.split('.').collect(), name.split('.').collect());
            if patterns.len() != labels.len() {
                return None;
            }
            let mut tenant = None;
            for (pattern, label) in patterns.into_iter().zip(labels) {
                tenant = one_label(pattern, label)?.or(tenant);
            }
            Some(tenant)
        }

        /// Tries every split at the label's one wildcard.
        fn one_label(pattern: &str, label: &str) -> Option<Option<String>> {
            let wildcard = if pattern.contains("{tenant}") { "{tenant}" } else { "*" };
            let Some((before, after)) = pattern.split_once(wildcard) else {
                return (pattern == label).then_some(None);
            };
            let middle = label.strip_prefix(before)?.strip_suffix(after)?;
            let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            let is_match = !middle.is_empty() && middle.chars().all(legal);
            is_match.then(|| (wildcard == "{tenant}").then(|| middle.to_owned()))
        }
    }

    #[test]
    fn reserved_labels_are_found_and_parts_of_them_are_not() {
        let reserved = super::Reserved::new("www api b  app ab a");
        for label in ["www", "api", "app", "a", "ab", "b"] {
            assert!(reserved.contains(label), "{label}");
        }
        for label in ["", "ap", "apia", "ww", "wwww", "bwww", "z", "ba"] {
            assert!(!reserved.contains(label), "{label}");
        }
        assert!(!super::Reserved::new("").contains("a"));
    }

    fn label() -> impl Strategy<Value = String> {
        proptest::sample::select(vec!["a", "b", "ab", "a-b", "my", "www", "x1"])
            .prop_map(str::to_owned)
    }

    fn name() -> impl Strategy<Value = String> {
        (
            proptest::collection::vec(label(), 0..4),
            proptest::sample::select(vec!["com", "net"]),
            label(),
        )
            .prop_map(|(mut labels, top, second)| {
                labels.extend([second, top.to_owned()]);
                labels.join(".")
            })
    }

    fn pattern() -> impl Strategy<Value = String> {
        let open = proptest::sample::select(vec!["*", "a-*", "*-b", "ab", "x*"]);
        let tenant = proptest::sample::select(vec!["{tenant}", "{tenant}-my", "a{tenant}", "*"]);
        (tenant, proptest::option::of(open), label()).prop_map(
            |(tenant, open, second)| match open {
                Some(open) => format!("{tenant}.{open}.{second}.com"),
                None => format!("{tenant}.{second}.com"),
            },
        )
    }

    fn rule() -> impl Strategy<Value = naive::Rule> {
        prop_oneof![
            name().prop_map(naive::Rule::Host),
            name().prop_map(naive::Rule::Domain),
            pattern().prop_map(naive::Rule::Pattern),
        ]
    }

    /// One file a rule, equal rules left out.
    fn files(rules: &[naive::Rule]) -> Vec<(SourceFile, naive::Rule)> {
        let mut seen = std::collections::BTreeSet::new();
        let mut files = Vec::new();
        for (number, rule) in rules.iter().enumerate() {
            let (key, text) = match rule {
                naive::Rule::Host(text) => ("hosts", text),
                naive::Rule::Domain(text) => ("domains", text),
                naive::Rule::Pattern(text) => ("patterns", text),
            };
            if seen.insert((key, text)) {
                let tenant =
                    "[tenant]\nmeaning = \"m\"\naudience = \"both\"\nreserved = [\"www\"]\n";
                let sections = section(key, std::slice::from_ref(text)) + tenant;
                files.push((app(&format!("app-{number}"), &sections), rule.clone()));
            }
        }
        files
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn the_index_agrees_with_the_naive_matcher(
            rules in proptest::collection::vec(rule(), 1..25),
            names in proptest::collection::vec(name(), 40),
        ) {
            let files = files(&rules);
            let sources: Vec<SourceFile> = files.iter().map(|(source, _)| source.clone()).collect();
            let catalogue = Catalogue::from_sources(&sources, &[]).unwrap();
            let reversed: Vec<SourceFile> = sources.iter().rev().cloned().collect();
            let backwards = Catalogue::from_sources(&reversed, &[]).unwrap();
            prop_assert_eq!(catalogue.version(), backwards.version());
            let reserved = ["www".to_owned()];
            for name in &names {
                let hits: Vec<(naive::Hit, &SourceFile)> = files
                    .iter()
                    .filter_map(|(source, rule)| Some((naive::hit(rule, &reserved, name)?, source)))
                    .collect();
                let found = catalogue.match_host(name);
                let also = backwards.match_host(name);
                prop_assert_eq!(found.as_ref().map(|f| f.file), also.as_ref().map(|f| f.file));
                prop_assert_eq!(found.is_some(), !hits.is_empty(), "{}", name);
                let Some(found) = found else { continue };
                let best = hits.iter().map(|((l, p, _), _)| (*l, *p)).max().unwrap();
                let (winner, _) = hits
                    .iter()
                    .find(|(_, source)| source.path == found.file)
                    .expect("the winner is a rule that matches");
                prop_assert_eq!((winner.0, winner.1), best, "{} {}", name, found.rule);
                prop_assert_eq!(&winner.2.as_deref(), &found.tenant());
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,300}") {
            let rule = naive::Rule::Pattern("{tenant}.a.com".to_owned());
            let sources: Vec<SourceFile> = files(&[rule]).into_iter().map(|(s, _)| s).collect();
            let catalogue = Catalogue::from_sources(&sources, &[]).unwrap();
            _ = catalogue.match_host(&text);
            _ = catalogue.match_host(&format!("{text}.a.com"));
        }
    }

    #[test]
    fn the_most_literal_rule_wins() {
        let sources = [
            app("sharepoint", &section("patterns", &["{tenant}.sharepoint.com".into()])),
            app("onedrive", &section("patterns", &["{tenant}-my.sharepoint.com".into()])),
            app("parent", &section("domains", &["sharepoint.com".into()])),
            app("exact", &section("hosts", &["acme-my.sharepoint.com".into()])),
        ];
        let catalogue = Catalogue::from_sources(&sources, &[]).unwrap();
        let found = |host: &str| {
            let found = catalogue.match_host(host)?;
            Some((found.app_id()?.to_owned(), found.tenant().map(str::to_owned)))
        };
        let expect =
            |id: &str, tenant: Option<&str>| Some((id.to_owned(), tenant.map(str::to_owned)));
        assert_eq!(found("contoso.sharepoint.com"), expect("sharepoint", Some("contoso")));
        assert_eq!(found("contoso-my.sharepoint.com"), expect("onedrive", Some("contoso")));
        assert_eq!(found("acme-my.sharepoint.com"), expect("exact", None));
        assert_eq!(found("a.b.sharepoint.com"), expect("parent", None));
        assert_eq!(found("sharepoint.com"), expect("parent", None));
        assert_eq!(found("notsharepoint.com"), None);
        assert_eq!(found("sharepoint.com.evil.example"), None);
    }

    #[test]
    fn the_operators_own_rules_win_whatever_their_weight() {
        let base = [app("base", &section("hosts", &["files.acme.com".into()]))];
        let local = [app("ours", &section("domains", &["acme.com".into()]))];
        let catalogue = Catalogue::from_sources(&base, &local).unwrap();
        let found = catalogue.match_host("files.acme.com").unwrap();
        assert_eq!((found.app_id(), found.is_local), (Some("ours"), true));
        let alone = Catalogue::from_sources(&base, &[]).unwrap();
        assert_ne!(alone.version(), catalogue.version());
    }

    #[test]
    fn an_app_of_the_operators_own_replaces_its_namesake() {
        let base = [app("base", &section("domains", &["acme.com".into(), "acme.net".into()]))];
        let local = [app("base", &section("domains", &["acme.com".into()]))];
        let catalogue = Catalogue::from_sources(&base, &local).unwrap();
        assert!(catalogue.match_host("acme.com").unwrap().is_local);
        assert!(catalogue.match_host("acme.net").is_none());
        assert_eq!(catalogue.app_count(), 1);
    }

    #[test]
    fn cname_targets_meet_only_rules_that_allow_it() {
        let cname = "[[match]]\nrole = \"visit\"\ncname = true\ndomains = [\"pages.acme.com\"]\n";
        let sources = [app("both", &(section("domains", &["acme.com".into()]) + cname))];
        let catalogue = Catalogue::from_sources(&sources, &[]).unwrap();
        assert!(catalogue.match_cname("cdn.acme.com").is_none());
        assert!(catalogue.match_cname("contoso.pages.acme.com").is_some());
        assert!(catalogue.match_host("cdn.acme.com").is_some());
    }

    #[test]
    fn the_same_rule_twice_is_refused() {
        let rule = section("domains", &["acme.com".into()]);
        let findings =
            Catalogue::from_sources(&[app("one", &rule), app("two", &rule)], &[]).unwrap_err();
        assert_eq!(findings[0].rule, "S008");
    }

    #[test]
    fn the_packed_form_is_the_same_catalogue() {
        let rule = section("domains", &["acme.com".into()]);
        let sources = [app("one", &rule)];
        let packed = Catalogue::pack(&sources).unwrap();
        let from_packed = Catalogue::from_packed(packed, &[]).unwrap();
        let from_sources = Catalogue::from_sources(&sources, &[]).unwrap();
        assert_eq!(from_packed.version(), from_sources.version());
        assert_eq!(from_packed.match_host("x.acme.com").unwrap().app_id(), Some("one"));
        assert!(Catalogue::from_packed("nonsense", &[]).is_err());
    }
}
