//! From the packed form to the tables: apps and rules for names are numbered and put into indexes.
//!
//! Files may come in any order: everything is sorted before it is numbered. Of an app only its id and
//! its names are read here. What needs more than the build script has (JSON, and what words mean) is
//! left to a [`Reader`].

use std::collections::BTreeMap;

use super::finding::Finding;
use super::index::{Index, RuleNumber, Text};
use super::lines::{AppFields, Line, lines};
use super::packed::{NOTHING, VENDORS_FILE, mark};
use super::pattern::Pattern;
use super::tables::{AppRecord, Place, RuleRecord, Source, Table, Tables, VendorRecord};

/// The file of names that are known and no app's.
pub(crate) const INFRA_FILE: &str = "infra.toml";

/// The words of a kind of rules for CNAME targets, and of those from the operator's own files.
pub(crate) const CNAME: &str = "cname";
pub(crate) const LOCAL: &str = "local";

/// Bytes of the packed form for each name in it, about: how much room is made at first.
const BYTES_PER_NAME: usize = 128;

/// What the packed form says in other words than lines and fields.
pub(crate) trait Reader {
    /// Whether a line of the kinds can be understood; else why not.
    fn check_kind(&self, kind: &str) -> Result<(), String>;
    /// The names in the file of those that are no app's, in the order in which they count.
    fn infra(&self, line: &Line<'_>) -> Result<Vec<InfraNames>, Vec<Finding>>;
}

/// Names that are known and no app's.
#[derive(Clone, Debug)]
pub(crate) struct InfraNames {
    pub(crate) role: &'static str,
    /// What they are for.
    pub(crate) purpose: String,
    pub(crate) hosts: Vec<String>,
    pub(crate) domains: Vec<String>,
}

/// A finding and where it stands among those of a catalogue: twice the number of the app, and one
/// more where it is behind all that is said of that.
pub(crate) type Placed = (u32, Finding);

/// The place of what is said when all apps are read.
const LAST: u32 = u32::MAX;

/// Makes the tables of a catalogue's packed form and that of the operator's own files, which may be
/// empty. An app of the operator's own replaces one of the same id. Also answers what would make
/// results depend on the order of files, or cannot be matched at all.
///
/// # Errors
/// A packed form that cannot be read.
pub(crate) fn tabulate(
    base: &str,
    local: &str,
    reader: &dyn Reader,
) -> Result<(Tables, Vec<Placed>), Vec<Finding>> {
    let names = base.len() / BYTES_PER_NAME;
    let tables = Tables {
        base: Index::with_room(names),
        rules: Table::with_room(names),
        ..Tables::default()
    };
    let mut maker = Maker {
        tables,
        reader,
        kinds: Vec::new(),
        reserved: BTreeMap::new(),
        findings: Vec::new(),
        shadowed: Vec::new(),
    };
    // Local files come last, so that their words replace the catalogue's.
    let mut all = lines(base, false)?;
    if !local.is_empty() {
        all.extend(lines(local, true)?);
    }
    // Most of what is held here are the lines of apps, so those are not moved to another list.
    let shared = all.extract_if(.., |line| line.app.is_none()).collect::<Vec<_>>();
    all.sort_by(|a, b| a.app_key().cmp(&b.app_key()));
    let mut previous: Option<(&str, bool)> = None;
    for line in &all {
        let Some(app) = &line.app else { continue };
        match previous {
            Some((id, was_local)) if id == app.id => {
                if was_local == line.is_local {
                    let place = (maker.tables.apps.len() as u32 * 2).saturating_sub(1);
                    maker.findings.push((place, same_id(app.id, line.path)));
                }
                continue;
            }
            _ => previous = Some((app.id, line.is_local)),
        }
        maker.add_app(line, app)?;
    }
    for line in &shared {
        maker.add_shared(line)?;
    }
    Ok(maker.finish(&[base, local]))
}

struct Maker<'p, 'r> {
    tables: Tables,
    reader: &'r dyn Reader,
    kinds: Vec<[String; 5]>,
    /// Labels that are no tenants, as the indexes hold them, by where the list is from: many apps have
    /// the same.
    reserved: BTreeMap<(bool, &'p str), Text>,
    findings: Vec<Placed>,
    /// Rules that another one hides, with their files.
    shadowed: Vec<(RuleNumber, &'p str)>,
}

impl<'p> Maker<'p, '_> {
    fn add_app(&mut self, line: &Line<'p>, app: &AppFields<'p>) -> Result<(), Vec<Finding>> {
        let (id, path) = (line.place(app.id), line.place(line.path));
        let record = AppRecord { id, path, words: line.place_of(&app.words) };
        let number = self.tables.apps.push(record.write());
        for section in app.sections() {
            self.add_section(line, section, number, app.reserved)?;
        }
        if app.net != "[]" {
            let record = line.json_record(app.net, number);
            self.tables.nets.push(record.write());
        }
        Ok(())
    }

    /// A `[[match]]` section of an app.
    fn add_section(
        &mut self,
        line: &Line<'p>,
        section: &'p str,
        owner: u32,
        reserved: &'p str,
    ) -> Result<(), Vec<Finding>> {
        let mut words = section.split_ascii_whitespace();
        let mut next = || words.next().unwrap_or(NOTHING);
        let (role, edition, cname) = (next(), next(), next());
        let cname = if cname == NOTHING { NOTHING } else { CNAME };
        let kind = self.kind([role, edition, cname, NOTHING], line)?;
        for word in words {
            let sign = word.bytes().next().map(char::from);
            let unknown = || line.damaged(&format!("`{word}` is no name"));
            // Marks are of one byte.
            let name = word.get(1..).ok_or_else(unknown)?;
            let rule = RuleRecord { text: line.place(name), owner, kind };
            let number = self.tables.rules.push(rule.write());
            let is_kept = match sign {
                Some(mark::HOST) => self.index(line.is_local).add_host(name, number),
                Some(mark::DOMAIN) => self.index(line.is_local).add_domain(name, number),
                Some(mark::PATTERN) => {
                    match Pattern::parse(name) {
                        Ok(pattern) => self.add_pattern(&pattern, reserved, line.is_local, number),
                        Err(error) => {
                            let finding = unusable(line.path, name, &error.to_string());
                            self.findings.push((owner * 2, finding));
                        }
                    }
                    true
                }
                _ => return Err(unknown()),
            };
            if !is_kept {
                self.shadowed.push((number, line.path));
            }
        }
        Ok(())
    }

    fn add_pattern(
        &mut self,
        pattern: &Pattern<'p>,
        reserved: &'p str,
        is_local: bool,
        number: RuleNumber,
    ) {
        let known = self.reserved.get(&(is_local, reserved)).copied();
        let index = self.index(is_local);
        let list = known.unwrap_or_else(|| put_in_order(index, reserved));
        let head = index.put(pattern.head());
        index.add_pattern(pattern, head, list, number);
        if known.is_none() {
            self.reserved.insert((is_local, reserved), list);
        }
    }

    /// The number of a kind of rules: role, edition, `cname` and purpose.
    fn kind(&mut self, words: [&str; 4], line: &Line<'_>) -> Result<u32, Vec<Finding>> {
        let [role, edition, cname, purpose] = words;
        let words = [role, edition, cname, purpose, if line.is_local { LOCAL } else { NOTHING }];
        if let Some(known) = self.kinds.iter().position(|kind| kind == &words) {
            return Ok(known as u32);
        }
        self.reader.check_kind(&words.join(" ")).map_err(|reason| line.damaged(&reason))?;
        self.kinds.push(words.map(str::to_owned));
        Ok(self.kinds.len() as u32 - 1)
    }

    fn add_shared(&mut self, line: &Line<'p>) -> Result<(), Vec<Finding>> {
        let number = self.tables.shared.len() as u32;
        self.tables.shared.push(line.json_record(line.content, number).write());
        match line.path {
            VENDORS_FILE => {
                for (id, words) in line.vendors()? {
                    let record = VendorRecord { id: line.place(id), words: line.place(words) };
                    self.tables.vendors[usize::from(line.is_local)].push(record.write());
                }
            }
            INFRA_FILE => {
                for names in self.reader.infra(line)? {
                    self.add_infra(&names, number, line)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Names of infrastructure, which yields to an app that claims the same.
    fn add_infra(
        &mut self,
        names: &InfraNames,
        owner: u32,
        line: &Line<'p>,
    ) -> Result<(), Vec<Finding>> {
        let kind = self.kind([names.role, NOTHING, NOTHING, &names.purpose], line)?;
        for (list, add) in [
            (&names.hosts, Index::add_host as fn(&mut Index, &str, RuleNumber) -> bool),
            (&names.domains, Index::add_domain),
        ] {
            for name in list {
                let text = push_own(&mut self.tables, name);
                let number = self.tables.rules.push(RuleRecord { text, owner, kind }.write());
                add(self.index(line.is_local), name, number);
            }
        }
        Ok(())
    }

    fn index(&mut self, is_local: bool) -> &mut Index {
        let Tables { base, local, .. } = &mut self.tables;
        if is_local { local } else { base }
    }

    /// `texts` are the packed forms.
    fn finish(mut self, texts: &[&str; 2]) -> (Tables, Vec<Placed>) {
        for (number, path) in self.shadowed {
            let rule = RuleRecord::read(self.tables.rules.get(number as usize));
            let text = texts[usize::from(rule.text.source == Source::Local)];
            let text = &text[rule.text.range()];
            self.findings.push((LAST, shadowed(path, text)));
        }
        let kinds: Vec<String> = self.kinds.iter().map(|words| words.join(" ")).collect();
        self.tables.kinds = kinds.join("\n").into();
        (self.tables, self.findings)
    }
}

/// Puts a list of labels with blanks between into an index, in the order in which they are looked up.
fn put_in_order(index: &mut Index, list: &str) -> Text {
    if list.as_bytes().split(|&byte| byte == b' ').is_sorted() {
        return index.put(list);
    }
    let mut labels: Vec<&str> = list.split_ascii_whitespace().collect();
    labels.sort_unstable();
    index.put(&labels.join(" "))
}

/// The place of words that do not stand in a packed form as they are.
pub(crate) fn push_own(tables: &mut Tables, text: &str) -> Place {
    let own = tables.own.to_mut();
    let start = own.len();
    own.push_str(text);
    Place::new(Source::Own, start..own.len())
}

fn shadowed(path: &str, text: &str) -> Finding {
    Finding {
        file: path.to_owned(),
        line: 0,
        column: 0,
        rule: "S008",
        is_warning: false,
        reason: format!("another rule is the same: `{text}`"),
        remedy: "keep it in one place".to_owned(),
    }
}

fn same_id(id: &str, path: &str) -> Finding {
    Finding {
        file: path.to_owned(),
        line: 0,
        column: 0,
        rule: "S002",
        is_warning: false,
        reason: format!("another file has the id `{id}` too"),
        remedy: "choose another id and rename the file to it".to_owned(),
    }
}

/// What cannot be matched.
pub(crate) fn unusable(path: &str, text: &str, why: &str) -> Finding {
    Finding {
        file: path.to_owned(),
        line: 0,
        column: 0,
        rule: "S011",
        is_warning: false,
        reason: format!("`{text}` cannot be used: {why}"),
        remedy: "see the section on rules in signatures/README.md".to_owned(),
    }
}
