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

use std::borrow::Cow;
use std::ops::Range;

use super::pattern::{Pattern, match_head};
use super::tables::{Parts, Record, Table, numbers, push_part, push_table};

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

/// The table, made of tables that can lie in the program.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Index {
    /// As [`Slot`]s; their count is a power of two, at most half of them are taken.
    slots: Table<2>,
    /// As [`Entry`]s.
    entries: Table<5>,
    /// As [`PatternEntry`]s.
    patterns: Table<7>,
    /// The text of all entries and what else patterns need, one behind the other.
    texts: Cow<'static, [u8]>,
    /// The longest entry in characters.
    longest: u32,
}

/// What stands in the index's texts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Text {
    start: u32,
    length: u32,
}

#[derive(Clone, Copy)]
struct Slot {
    fingerprint: u32,
    entry: u32,
}

#[derive(Clone, Copy)]
struct Entry {
    text: Text,
    host: RuleNumber,
    domain: RuleNumber,
    /// First pattern of a chain, as a position in `patterns`.
    pattern: u32,
}

#[derive(Clone, Copy)]
struct PatternEntry {
    /// What stands left of the literal suffix and its dot.
    head: Text,
    literals: u32,
    /// Labels that are no tenants, in order and with a blank between.
    reserved: Text,
    rule: RuleNumber,
    next: u32,
}

impl Slot {
    #[inline]
    fn read([fingerprint, entry]: [u32; 2]) -> Slot {
        Slot { fingerprint, entry }
    }
}

impl Entry {
    #[inline]
    fn read([start, length, host, domain, pattern]: [u32; 5]) -> Entry {
        Entry { text: Text { start, length }, host, domain, pattern }
    }

    fn write(self) -> [u32; 5] {
        [self.text.start, self.text.length, self.host, self.domain, self.pattern]
    }
}

impl PatternEntry {
    #[inline]
    fn read(record: [u32; 7]) -> PatternEntry {
        let [head, head_length, literals, reserved, reserved_length, rule, next] = record;
        PatternEntry {
            head: Text { start: head, length: head_length },
            literals,
            reserved: Text { start: reserved, length: reserved_length },
            rule,
            next,
        }
    }

    fn write(self) -> [u32; 7] {
        let PatternEntry { head, literals, reserved, rule, next } = self;
        [head.start, head.length, literals, reserved.start, reserved.length, rule, next]
    }
}

/// The tables as they are looked into.
#[derive(Clone, Copy)]
struct View<'i> {
    slots: &'i [Record<2>],
    /// 64 minus the number of bits that choose a slot.
    shift: u32,
    entries: &'i [Record<5>],
    patterns: &'i [Record<7>],
    texts: &'i [u8],
    longest: usize,
}

impl View<'_> {
    #[inline]
    fn text(&self, text: Text) -> &[u8] {
        let start = text.start as usize;
        &self.texts[start..start + text.length as usize]
    }

    #[inline]
    fn lookup(&self, hash: u64, text: &[u8]) -> Option<Entry> {
        self.find(hash_finish(hash), text).ok().map(|(_, entry)| entry)
    }

    /// A text's entry and its position; else the position of the slot where it belongs.
    #[inline]
    fn find(&self, hash: u64, text: &[u8]) -> Result<(usize, Entry), usize> {
        let mut at = (hash >> self.shift) as usize;
        loop {
            let slot = Slot::read(numbers(&self.slots[at]));
            if slot.entry == EMPTY {
                return Err(at);
            }
            if slot.fingerprint == hash as u32 {
                let entry = Entry::read(numbers(&self.entries[slot.entry as usize]));
                if self.text(entry.text) == text {
                    return Ok((slot.entry as usize, entry));
                }
            }
            at = (at + 1) & (self.slots.len() - 1);
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
            let entry = PatternEntry::read(numbers(&self.patterns[next as usize]));
            next = entry.next;
            if let Some(tenant) = match_head(self.text(entry.head), head.as_bytes())
                && !is_reserved(self.text(entry.reserved), &head.as_bytes()[tenant.clone()])
            {
                visit(Weight::pattern(entry.literals as u16), entry.rule, tenant);
            }
        }
    }
}

/// Whether a label is in a list of them that is in order, with a blank between two.
#[inline]
fn is_reserved(list: &[u8], label: &[u8]) -> bool {
    if label.is_empty() {
        return false;
    }
    // Between them are whole labels.
    let (mut low, mut high) = (0, list.len());
    while low < high {
        let middle = low + (high - low) / 2;
        let blank_before = list[low..middle].iter().rposition(|&byte| byte == b' ');
        let start = blank_before.map_or(low, |blank| low + blank + 1);
        let blank = list[middle..high].iter().position(|&byte| byte == b' ');
        let end = blank.map_or(high, |blank| middle + blank);
        match list[start..end].cmp(label) {
            std::cmp::Ordering::Less => low = end + 1,
            std::cmp::Ordering::Greater => high = start.saturating_sub(1),
            std::cmp::Ordering::Equal => return true,
        }
    }
    false
}

impl Index {
    /// An empty table with room for about so many names.
    pub(crate) fn with_room(names: usize) -> Index {
        let mut index = Index {
            entries: Table::with_room(names),
            texts: Cow::Owned(Vec::with_capacity(names * BYTES_PER_NAME)),
            ..Index::default()
        };
        index.make_slots((names.max(4) * 2).next_power_of_two());
        index
    }

    /// An index that lies in the program.
    pub(crate) fn read(parts: &mut Parts) -> Option<Index> {
        Some(Index {
            slots: parts.table()?,
            entries: parts.table()?,
            patterns: parts.table()?,
            texts: Cow::Borrowed(parts.bytes()?),
            longest: u32::from_le_bytes(parts.bytes()?.try_into().ok()?),
        })
    }

    /// Writes what [`Index::read`] reads.
    pub(crate) fn write(&self, all: &mut Vec<u8>) {
        push_table(all, &self.slots);
        push_table(all, &self.entries);
        push_table(all, &self.patterns);
        push_part(all, &self.texts);
        push_part(all, &self.longest.to_le_bytes());
    }

    #[inline]
    fn is_empty(&self) -> bool {
        self.slots.records().is_empty()
    }

    #[inline]
    fn view(&self) -> View<'_> {
        let slots = self.slots.records();
        View {
            slots,
            shift: u64::BITS - slots.len().trailing_zeros(),
            entries: self.entries.records(),
            patterns: self.patterns.records(),
            texts: &self.texts,
            longest: self.longest as usize,
        }
    }

    /// Adds a rule for a whole name. Of two for the same the first is kept, and the answer says
    /// that this one was not.
    pub(crate) fn add_host(&mut self, host: &str, number: RuleNumber) -> bool {
        self.change(host, |entry| fill(&mut entry.host, number))
    }

    /// Adds a rule for a name and everything below it; the answer as for [`Index::add_host`].
    pub(crate) fn add_domain(&mut self, domain: &str, number: RuleNumber) -> bool {
        self.change(domain, |entry| fill(&mut entry.domain, number))
    }

    /// The rule that was added for exactly this text as a whole name.
    #[inline]
    pub(crate) fn host(&self, text: &str) -> Option<RuleNumber> {
        if self.is_empty() || text.len() > self.longest as usize {
            return None;
        }
        let view = self.view();
        let hash = text.bytes().rev().fold(HASH_START, hash_step);
        let host = view.lookup(hash, text.as_bytes())?.host;
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
        if self.is_empty() {
            return;
        }
        let view = self.view();
        let bytes = name.as_bytes();
        let mut hash = HASH_START;
        // No entry is longer, so that nothing can be found further left.
        let first = bytes.len().saturating_sub(view.longest + 1);
        let mut left = bytes[first..].iter();
        while let Some(&byte) = left.next_back() {
            if byte != b'.' {
                hash = hash_step(hash, byte);
                continue;
            }
            let position = first + left.len();
            if let Some(entry) = view.lookup(hash, &bytes[position + 1..]) {
                if entry.domain != NO_RULE {
                    visit(Weight::domain(name.len() - position), entry.domain, 0..0);
                }
                if entry.pattern != EMPTY {
                    view.visit_patterns(entry.pattern, &name[..position], &mut visit);
                }
            }
            hash = hash_step(hash, byte);
        }
        if bytes.len() > view.longest {
            return;
        }
        if let Some(entry) = view.lookup(hash, bytes) {
            if entry.host != NO_RULE {
                visit(Weight::HOST, entry.host, 0..0);
            }
            if entry.domain != NO_RULE {
                visit(Weight::domain(name.len()), entry.domain, 0..0);
            }
        }
    }

    fn make_slots(&mut self, length: usize) {
        self.slots = Table::of([0, EMPTY], length);
    }

    /// Twice as many slots.
    #[cold]
    fn grow(&mut self) {
        self.make_slots((self.slots.len() * 2).max(16));
        for number in 0..self.entries.len() {
            let view = self.view();
            let text = view.text(Entry::read(self.entries.get(number)).text);
            let hash = hash_of(text);
            if let Err(slot) = view.find(hash, text) {
                self.slots.set(slot, [hash as u32, number as u32]);
            }
        }
    }

    /// Changes the entry of a text, which is made if there is none.
    fn change<T>(&mut self, text: &str, change: impl FnOnce(&mut Entry) -> T) -> T {
        if (self.entries.len() + 1) * 2 > self.slots.len() {
            self.grow();
        }
        let hash = hash_of(text.as_bytes());
        match self.view().find(hash, text.as_bytes()) {
            Ok((number, mut entry)) => {
                let answer = change(&mut entry);
                self.entries.set(number, entry.write());
                answer
            }
            Err(slot) => {
                let text = self.put(text);
                self.longest = self.longest.max(text.length);
                let mut entry = Entry { text, host: NO_RULE, domain: NO_RULE, pattern: EMPTY };
                let answer = change(&mut entry);
                let number = self.entries.push(entry.write());
                self.slots.set(slot, [hash as u32, number]);
                answer
            }
        }
    }

    /// Adds a text that patterns refer to.
    pub(crate) fn put(&mut self, text: &str) -> Text {
        let texts = self.texts.to_mut();
        let start = texts.len() as u32;
        texts.extend(text.as_bytes());
        Text { start, length: text.len() as u32 }
    }

    /// Adds a pattern with the text of its head and the labels its tenant may not be, in order.
    /// Patterns of one slot stand in the order of their insertion, so that of two with equal weight
    /// the first inserted wins.
    pub(crate) fn add_pattern(
        &mut self,
        pattern: &Pattern<'_>,
        head: Text,
        reserved: Text,
        rule: RuleNumber,
    ) {
        let literals = u32::from(pattern.literals());
        let new = PatternEntry { head, literals, reserved, rule, next: EMPTY };
        let number = self.patterns.push(new.write());
        let first = self.change(pattern.suffix(), |entry| {
            if entry.pattern == EMPTY {
                entry.pattern = number;
            }
            entry.pattern
        });
        let mut last = first;
        while last != number {
            let mut entry = PatternEntry::read(self.patterns.get(last as usize));
            let at = last;
            last = entry.next;
            if last == EMPTY {
                (last, entry.next) = (number, number);
                self.patterns.set(at as usize, entry.write());
            }
        }
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

fn hash_of(text: &[u8]) -> u64 {
    hash_finish(text.iter().copied().rev().fold(HASH_START, hash_step))
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
        let is_reserved =
            |list: &str, label: &str| super::is_reserved(list.as_bytes(), label.as_bytes());
        let list = "a ab api app b www";
        for label in list.split(' ') {
            assert!(is_reserved(list, label), "{label}");
        }
        for label in ["", "ap", "apia", "ww", "wwww", "bwww", "z", "ba", "0", "a ab"] {
            assert!(!is_reserved(list, label), "{label}");
        }
        assert!(!is_reserved("", "a"));
        assert!(is_reserved("www", "www"));
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
        assert!(Catalogue::from_packed("nonsense".to_owned(), &[]).is_err());
    }
}
