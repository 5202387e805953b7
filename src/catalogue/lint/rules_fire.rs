//! Each lint rule fires on a file that breaks it, and on that file only.

use std::collections::{BTreeMap, BTreeSet};

use super::super::format::Date;
use super::super::{Finding, SourceFile};
use super::lint;

/// A file without findings; tests break it in one place.
const GOOD: &str = r#"schema = 1
id = "acme-drive"
name = "Acme Drive"
vendor = "acme"
kind = "app"
category = "cloud-storage"
tags = ["file-upload"]
status = "active"
maturity = "candidate"
aliases = ["Acme Disk"]
homepage = "https://acme-drive.example/"
verified = 2026-11-01
sources = ["https://acme-drive.example/help"]

[[match]]
role = "use"
hosts = ["sync.acme-drive.com"]
patterns = ["{tenant}.acme-drive.com"]

[[match]]
role = "site"
domains = ["acme-drive.com"]

[tenant]
meaning = "organisation"
audience = "member"
reserved = [
  "www", "api", "app", "help", "support", "status", "docs", "blog", "login", "static", "cdn",
]

[[test]]
host = "sync.acme-drive.com"
role = "use"
[[test]]
host = "contoso.acme-drive.com"
role = "use"
tenant = "contoso"
[[test]]
host = "notacme-drive.com"
app = ""
"#;

/// Another vendor's file.
const OTHER: &str = r#"schema = 1
id = "globex"
name = "Globex"
vendor = "globex"
kind = "app"
category = "cloud-storage"
status = "active"
maturity = "candidate"
homepage = "https://globex.example/"
verified = 2026-11-01
sources = ["https://globex.example/help"]

[[match]]
role = "site"
domains = ["globex.com"]

[[test]]
host = "www.globex.com"
role = "site"
[[test]]
host = "notglobex.com"
app = ""
"#;

const SHARED: [(&str, &str); 5] = [
    ("catalogue.toml", "schema = 1\nversion = \"2026.11.1\"\ndeleted = [\"old-id\"]\n"),
    (
        "categories.toml",
        "schema = 1\n\n[categories.cloud-storage]\nname = \"Cloud storage\"\n\
         cloud_discovery = \"Cloud storage\"\ndescription = \"Files\"\n",
    ),
    (
        "vendors.toml",
        "schema = 1\n\n[vendors]\nacme = { name = \"Acme\", country = \"US\" }\n\
         globex = { name = \"Globex\" }\n",
    ),
    ("tags.toml", "schema = 1\n\n[tags]\nfile-upload = \"Files can be uploaded\"\n"),
    (
        "infra.toml",
        "schema = 1\n\n[[shared]]\npurpose = \"cdn\"\ndomains = [\"cdn.example.net\"]\n\n\
         [[embed]]\nvendor = \"globex\"\nhosts = [\"widget.globex.net\"]\n",
    ),
];

fn findings_of(path: &str, text: &str) -> Vec<Finding> {
    findings_among(vec![(path.to_owned(), text.to_owned())])
}

/// Findings in files that stand beside the shared ones and another vendor's, or replace one.
fn findings_among(files: Vec<(String, String)>) -> Vec<Finding> {
    let shared = SHARED.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
    let mut sources: BTreeMap<String, String> = shared.collect();
    sources.insert("g/globex.toml".to_owned(), OTHER.to_owned());
    sources.extend(files);
    let sources: Vec<SourceFile> =
        sources.into_iter().map(|(path, text)| SourceFile { path, text }).collect();
    let today: Date = serde_json::from_str("\"2026-11-22\"").unwrap();
    lint(&sources, today)
}

/// `count` files of other vendors without findings.
fn others(count: usize) -> Vec<(String, String)> {
    let other = |number: usize| {
        let id = format!("globex{number}");
        let names = OTHER.replace("globex.com", &format!("{id}.com"));
        let names = names.replace("\"Globex\"", &format!("\"Globex {number}\""));
        (format!("g/{id}.toml"), names.replace("id = \"globex\"", &format!("id = \"{id}\"")))
    };
    (0..count).map(other).collect()
}

/// The good file with one replacement among `count` others: where findings are, and their rules.
fn blamed(old: &str, new: &str, count: usize) -> BTreeSet<(String, &'static str)> {
    assert!(GOOD.contains(old), "the good file has no `{old}`");
    let mut files = others(count);
    files.push(("a/acme-drive.toml".to_owned(), GOOD.replacen(old, new, 1)));
    let findings = findings_among(files);
    findings.into_iter().map(|finding| (finding.file, finding.rule)).collect()
}

/// Breaks the good file by one replacement and expects one rule, at a line that has `place`.
#[track_caller]
fn fires(rule: &str, old: &str, new: &str, place: &str) {
    assert!(GOOD.contains(old), "the good file has no `{old}`");
    let text = GOOD.replacen(old, new, 1);
    let findings = findings_of("a/acme-drive.toml", &text);
    let found = findings.iter().find(|finding| finding.rule == rule);
    let Some(found) = found else { panic!("{rule} did not fire:\n{findings:#?}") };
    assert!(!found.reason.is_empty() && !found.remedy.is_empty());
    let line = text.lines().nth(found.line.saturating_sub(1)).unwrap_or_default();
    assert!(line.contains(place), "{rule} at line {}: `{line}`", found.line);
}

#[test]
fn the_good_file_has_no_findings() {
    assert_eq!(findings_of("a/acme-drive.toml", GOOD), []);
}

#[test]
fn s001_syntax_keys_words_and_empty_sections() {
    fires("S001", "kind = \"app\"", "kind = app", "kind");
    fires("S001", "category =", "catagory =", "catagory");
    fires("S001", "role = \"use\"", "role = \"used\"", "used");
    fires("S001", "schema = 1", "schema = 2", "schema");
    fires("S001", "verified = 2026-11-01", "verified = \"soon\"", "soon");
    fires("S001", "domains = [\"acme-drive.com\"]", "domains = []", "[[match]]");
}

#[test]
fn s001_shows_all_unknown_keys_at_once_with_the_nearest_known() {
    let text = GOOD.replace("kind =", "kynd =").replace("audience =", "audiense =");
    let findings = findings_of("a/acme-drive.toml", &text);
    let unknown = findings.iter().filter(|finding| finding.rule == "S001");
    let remedies: Vec<&str> = unknown.map(|finding| finding.remedy.as_str()).collect();
    assert_eq!(remedies, ["write `kind`", "write `audience`"]);
}

#[test]
fn s001_what_the_template_left() {
    fires("S001", "drive.example/help", "drive.example/CHANGE", "sources");
    let comment = "# CHANGE: what the clients talk to\n[[match]]";
    fires("S001", "[[match]]", comment, "# CHANGE");
    let word = GOOD.replace("drive.example/help", "drive.example/CHANGELOG");
    assert_eq!(findings_of("a/acme-drive.toml", &word), []);
    let category = GOOD.replace("\"cloud-storage\"", "\"CHANGE\"");
    let findings = findings_of("a/acme-drive.toml", &category);
    assert_eq!(findings.iter().map(|finding| finding.rule).collect::<Vec<_>>(), ["S004"]);
}

#[test]
fn a_shared_file_that_cannot_be_read_is_one_finding() {
    for path in ["vendors.toml", "tags.toml", "categories.toml"] {
        let mut files = others(5);
        files.push(("a/acme-drive.toml".to_owned(), GOOD.to_owned()));
        files.push((path.to_owned(), "schema = 1\n[vendors\n".to_owned()));
        let findings = findings_among(files);
        assert!(
            findings.iter().all(|finding| finding.file == path && finding.rule == "S001"),
            "{findings:#?}"
        );
        assert!(!findings.is_empty());
    }
}

#[test]
fn a_shared_file_that_is_not_there_is_one_warning() {
    let today: Date = serde_json::from_str("\"2026-11-22\"").unwrap();
    let source = SourceFile { path: "g/globex.toml".to_owned(), text: OTHER.to_owned() };
    let findings = lint(&[source], today);
    let files: Vec<&str> = findings.iter().map(|finding| finding.file.as_str()).collect();
    assert_eq!(files, ["categories.toml", "tags.toml", "vendors.toml"]);
    assert!(findings.iter().all(|finding| finding.is_warning && finding.rule == "S004"));
}

#[test]
fn s001_says_what_to_write() {
    let remedy = |old: &str, new: &str| {
        let findings = findings_of("a/acme-drive.toml", &GOOD.replacen(old, new, 1));
        findings[0].remedy.clone()
    };
    assert_eq!(remedy("\"site\"", "\"sites\""), "write `site`");
    assert_eq!(remedy("\"site\"", "\"everything\""), "use one of the words listed");
    assert!(
        remedy("[\"sync.acme-drive.com\"]", "\"sync.acme-drive.com\"").starts_with("write a list")
    );
    assert!(remedy("\"acme-drive\"", "\"acme-drive").contains("quotation mark"));
}

#[test]
fn a_file_that_cannot_be_read_leaves_others_alone() {
    let mut files = others(3);
    let neighbour = "host = \"www.acme-drive.com\"\napp = \"acme-drive\"";
    for (_, text) in &mut files {
        *text = text
            .replace("host = \"notglobex", &format!("{neighbour}\n[[test]]\nhost = \"notglobex"));
        *text = text.replace("\n[[match]]", "replaced_by = \"acme-drive\"\n\n[[match]]");
    }
    let broken = GOOD.replace("kind = \"app\"", "kind = 1");
    files.push(("a/acme-drive.toml".to_owned(), broken));
    let findings = findings_among(files);
    let layout = |finding: &&Finding| finding.rule != "S022";
    let rest: Vec<_> = findings.iter().filter(layout).collect();
    assert!(rest.iter().all(|finding| finding.file == "a/acme-drive.toml"), "{rest:#?}");
    assert_eq!(rest.len(), 1);
}

/// What can be no rule, or claims too much, is told where it stands and nowhere else.
#[test]
fn others_do_not_answer_for_what_a_file_claims() {
    let domain = "domains = [\"acme-drive.com\"]";
    let acme = |rules: &[&'static str]| -> BTreeSet<(String, &'static str)> {
        rules.iter().map(|rule| ("a/acme-drive.toml".to_owned(), *rule)).collect()
    };
    let with = |name: &str| format!("domains = [\"acme-drive.com\", \"{name}\"]");
    assert_eq!(blamed(domain, &with("com"), 5), acme(&["S005"]));
    assert_eq!(blamed(domain, &with("co.uk"), 5), acme(&["S006"]));
    assert_eq!(blamed(domain, &with("cdn.example.net"), 5), acme(&["S007"]));
    assert_eq!(blamed(domain, &with("evil.example"), 5), acme(&["S014"]));
    let pattern = "\"{tenant}.acme-drive.com\"]";
    let wide = "\"{tenant}.acme-drive.com\", \"*.com\"]";
    assert_eq!(blamed(pattern, wide, 5), acme(&["S011"]));
}

#[test]
fn the_wider_claim_is_blamed_where_it_meets_many() {
    let below = |count: usize| {
        let mut files = others(count);
        for (_, text) in &mut files {
            let old = "domains = [";
            *text = text.replacen(old, &format!("{old}\"{}.acme-drive.com\", ", &text[17..24]), 1);
        }
        files.push(("a/acme-drive.toml".to_owned(), GOOD.to_owned()));
        let findings = findings_among(files);
        let clash = findings.into_iter().filter(|finding| finding.rule == "S009");
        clash.map(|finding| finding.file).collect::<Vec<_>>()
    };
    assert_eq!(below(2), ["g/globex0.toml", "g/globex1.toml"]);
    assert_eq!(below(3), ["a/acme-drive.toml"]);
}

#[test]
fn the_rule_is_blamed_that_breaks_many_tests() {
    let failing = |count: usize| {
        let mut files = others(count);
        for (_, text) in &mut files {
            *text = text.replace(
                "host = \"notglobex",
                "host = \"acme-drive.com\"\napp = \"\"\n[[test]]\nhost = \"notglobex",
            );
        }
        files.push(("a/acme-drive.toml".to_owned(), GOOD.to_owned()));
        let findings = findings_among(files);
        findings.into_iter().map(|finding| (finding.file, finding.rule)).collect::<Vec<_>>()
    };
    let in_file = |path: &str| (path.to_owned(), "S013");
    assert_eq!(failing(2), [in_file("g/globex0.toml"), in_file("g/globex1.toml")]);
    assert_eq!(failing(3), [in_file("a/acme-drive.toml")]);
}

#[test]
fn s002_the_id_is_the_files_name() {
    fires("S002", "id = \"acme-drive\"", "id = \"acme-disk\"", "id");
    fires("S002", "id = \"acme-drive\"", "id = \"Acme_Drive\"", "id");
    fires("S002", "id = \"acme-drive\"", "id = \"globex\"", "id");
    fires("S002", "id = \"acme-drive\"", "id = \"old-id\"", "id");
    assert_eq!(findings_of("d/acme-drive.toml", GOOD)[0].rule, "S002");
}

#[test]
fn s003_names_are_unique() {
    fires("S003", "\"Acme Disk\"", "\"GLOBEX!\"", "aliases");
    fires("S003", "\"Acme Disk\"", "\"acme-drive\"", "aliases");
    fires("S003", "name = \"Acme Drive\"", "name = \"Globex\"", "name");
}

#[test]
fn s004_closed_lists() {
    fires("S004", "\"cloud-storage\"", "\"cloud-storrage\"", "category");
    fires("S004", "[\"file-upload\"]", "[\"upload\"]", "tags");
    fires("S004", "vendor = \"acme\"", "vendor = \"acmee\"", "vendor");
    fires("S004", "kind = \"app\"", "kind = \"app\"\nsuite = \"globex\"", "suite");
    let carve_out = "carve_out_of = [\"nobody\"]\n\n[[match]]";
    fires("S004", "\n[[match]]", carve_out, "carve_out_of");
    let fact = |key: &str, value: &str| {
        let source = "https://acme-drive.example/trust";
        format!(
            "[risk]\n{key} = {{ value = {value}, source = \"{source}\", date = 2026-11-01 }}\n\n[[test]]"
        )
    };
    fires("S004", "[[test]]", &fact("sok2", "true"), "sok2");
    fires("S004", "[[test]]", &fact("sso", "\"maybe\""), "sso");
    fires("S004", "[[test]]", &fact("hq", "\"Utopia\""), "hq");
}

#[test]
fn s005_names_are_plain() {
    for name in [
        "https://sync.acme-drive.com",
        "sync.acme-drive.com/path",
        "sync.acme-drive.com:443",
        "sync.acme-drive.com.",
        "Sync.acme-drive.com",
        "bücher.acme-drive.com",
        "*.sync.acme-drive.com",
        "sync_.acme-drive.com",
        "-sync.acme-drive.com",
        "sync",
    ] {
        fires("S005", "\"sync.acme-drive.com\"]", &format!("\"{name}\"]"), "hosts");
    }
}

/// Findings in a list of labels, as (rule, line).
fn findings_of_labels(section: &str) -> Vec<(&'static str, usize)> {
    let findings = findings_of("labels.toml", &format!("schema = 1\n\n[[label]]\n{section}\n"));
    findings.iter().map(|finding| (finding.rule, finding.line)).collect()
}

#[test]
fn labels_that_are_no_use_are_plain_and_stand_once() {
    assert_eq!(findings_of_labels("role = \"infra\"\nlabels = [\"smtp\", \"ns#\"]"), []);
    for bad in ["Smtp", "smtp.", "smtp2", "a.b", "ns##", "#", "", "-a"] {
        let section = format!("role = \"infra\"\nlabels = [\"{bad}\"]");
        assert_eq!(findings_of_labels(&section), [("S005", 5)], "{bad}");
    }
    let twice = "role = \"infra\"\nlabels = [\"ns\", \"ns#\"]";
    assert_eq!(findings_of_labels(twice), [("S008", 5)]);
    assert_eq!(findings_of_labels("role = \"use\"\nlabels = [\"app\"]"), [("S004", 3)]);
}

#[test]
fn s006_public_suffixes_are_nobodys() {
    fires("S006", "domains = [\"acme-drive.com\"]", "domains = [\"co.uk\"]", "domains");
    let used = "role = \"use\"\ndomains = [\"github.io\"]";
    fires("S006", "role = \"site\"\ndomains = [\"acme-drive.com\"]", used, "domains");
    let visited = GOOD.replace(
        "role = \"site\"\ndomains = [\"acme-drive.com\"]",
        "role = \"visit\"\ndomains = [\"github.io\"]",
    );
    assert!(
        findings_of("a/acme-drive.toml", &visited).iter().all(|finding| finding.rule != "S006")
    );
}

#[test]
fn s007_shared_infrastructure_is_nobodys() {
    fires("S007", "[\"acme-drive.com\"]", "[\"cdn.example.net\"]", "domains");
    fires("S007", "{tenant}.acme-drive.com", "{tenant}.cdn.example.net", "patterns");
    let own = GOOD.replace("\"sync.acme-drive.com\"]", "\"acme.cdn.example.net\"]");
    assert!(findings_of("a/acme-drive.toml", &own).iter().all(|finding| finding.rule != "S007"));
}

#[test]
fn s008_no_rule_twice() {
    fires("S008", "[\"acme-drive.com\"]", "[\"globex.com\"]", "");
    let twice = GOOD.replace("[\"acme-drive.com\"]", "[\"acme-drive.com\", \"globex.com\"]");
    let rules: Vec<&str> =
        findings_of("a/acme-drive.toml", &twice).iter().map(|finding| finding.rule).collect();
    assert!(rules.contains(&"S008") && !rules.contains(&"S009"), "{rules:?}");
    fires("S008", "[\"acme-drive.com\"]", "[\"acme-drive.com\", \"acme-drive.com\"]", "domains");
}

#[test]
fn s009_below_others_domains_only_with_a_word() {
    let stolen = "hosts = [\"drive.globex.com\"";
    fires("S009", "hosts = [\"sync.acme-drive.com\"", stolen, "hosts");
    let told = GOOD
        .replace("hosts = [\"sync.acme-drive.com\"", stolen)
        .replace("help\"]\n", "help\"]\ncarve_out_of = [\"globex\"]\n");
    assert!(findings_of("a/acme-drive.toml", &told).iter().all(|finding| finding.rule != "S009"));
}

#[test]
fn s010_no_ties() {
    let two = "\"eu-{tenant}.acme-drive.com\", \"{tenant}-eu.acme-drive.com\"]";
    fires("S010", "\"{tenant}.acme-drive.com\"]", two, "patterns");
}

#[test]
fn s011_patterns_are_anchored() {
    let pattern = "\"{tenant}.acme-drive.com\"]";
    for bad in ["{tenant}.com", "*.*.acme-drive.com", "{tenant}.co.uk", "{tenant}{tenant}.acme.com"]
    {
        fires("S011", pattern, &format!("\"{bad}\"]"), "patterns");
    }
    let section = &GOOD[GOOD.find("[tenant]").unwrap()..GOOD.find("[[test]]").unwrap()];
    fires("S011", section, "", "patterns");
}

#[test]
fn s012_tests_of_both_kinds() {
    fires("S012", "[[test]]\nhost = \"notacme-drive.com\"\napp = \"\"\n", "", "");
    let positive = "[[test]]\nhost = \"sync.acme-drive.com\"\nrole = \"use\"\n";
    let both = &GOOD[GOOD.find("[[test]]").unwrap()..GOOD.find("[[test]]\nhost = \"not").unwrap()];
    assert!(both.starts_with(positive));
    fires("S012", both, "", "");
    // A domain is tested by a name below it.
    let bare = "[[test]]\nhost = \"acme.org\"\nrole = \"site\"\n[[test]]\nhost = \"not";
    let with = GOOD.replace("\"acme-drive.com\"]", "\"acme-drive.com\", \"acme.org\"]");
    let text = with.replacen("[[test]]\nhost = \"not", bare, 1);
    let findings = findings_of("a/acme-drive.toml", &text);
    assert!(matches!(&findings[..], [one] if one.rule == "S012"), "{findings:#?}");
    let below = text.replace("host = \"acme.org\"", "host = \"www.acme.org\"");
    assert_eq!(findings_of("a/acme-drive.toml", &below), []);
}

#[test]
fn s013_tests_hold_against_the_whole_catalogue() {
    fires("S013", "host = \"notacme-drive.com\"", "host = \"www.globex.com\"", "www.globex.com");
    fires("S013", "app = \"\"", "app = \"globex\"", "notacme-drive.com");
    fires("S013", "host = \"sync.acme-drive.com\"", "host = \"www.acme-drive.com\"", "www");
    fires("S013", "tenant = \"contoso\"", "tenant = \"acme\"", "contoso");
    fires("S013", "tenant = \"contoso\"", "edition = \"business\"", "contoso");
    fires("S013", "app = \"\"", "app = \"!nobody\"", "notacme-drive.com");
}

#[test]
fn s014_look_alikes_match_nothing() {
    // A rule so wide that it catches others' names: only a platform may write one.
    let wide = GOOD.replace("kind = \"app\"", "kind = \"platform\"").replace(
        "role = \"site\"\ndomains = [\"acme-drive.com\"]",
        "role = \"site\"\ndomains = [\"evil.example\"]",
    );
    let findings = findings_of("a/acme-drive.toml", &wide);
    assert!(findings.iter().any(|finding| finding.rule == "S014"), "{findings:#?}");
}

#[test]
fn s015_marketing_as_use_needs_a_reason() {
    let www = "hosts = [\"www.acme-drive.com\"]";
    fires("S015", "hosts = [\"sync.acme-drive.com\"]", www, "hosts");
    // What the template says is no reason.
    let template = "hosts = [\"www.acme-drive.com\"]  # Marketing, documentation, help. The domain \
                    catches what no other rule names.";
    fires("S015", "hosts = [\"sync.acme-drive.com\"]", template, "hosts");
    let told =
        GOOD.replace("hosts = [\"sync.acme-drive.com\"]", &format!("{www}  # the app runs here"));
    assert!(findings_of("a/acme-drive.toml", &told).iter().all(|finding| finding.rule != "S015"));
}

#[test]
fn s016_widgets_belong_to_their_vendor() {
    fires("S016", "[\"sync.acme-drive.com\"]", "[\"widget.globex.net\"]", "hosts");
}

#[test]
fn s017_what_is_no_tenant_is_reserved() {
    fires("S017", "\"www\", ", "", "patterns");
    let deeper = "hosts = [\"sync.acme-drive.com\", \"a.eu.acme-drive.com\"]";
    fires("S017", "hosts = [\"sync.acme-drive.com\"]", deeper, "patterns");
}

#[test]
fn s018_tests_name_nobody() {
    fires("S018", "tenant = \"contoso\"", "tenant = \"wile-e\"", "tenant");
}

#[test]
fn s019_dates() {
    fires("S019", "verified = 2026-11-01", "verified = 2027-01-01", "verified");
    fires("S019", "verified = 2026-11-01", "verified = 2025-01-01", "verified");
    let old = GOOD.replace("verified = 2026-11-01", "verified = 2025-01-01");
    assert!(findings_of("a/acme-drive.toml", &old).iter().all(|finding| finding.is_warning));
}

#[test]
fn s020_sources_and_networks() {
    let sources = "sources = [\"https://acme-drive.example/help\"]";
    fires("S020", sources, "sources = [\"a book\"]", "sources");
    fires("S020", sources, "sources = []", "sources");
    fires("S020", "homepage = \"https://", "homepage = \"", "homepage");
    let net = |keys: &str| {
        format!(
            "[[net]]\n{keys}\nrole = \"use\"\nsource = \"https://a.example/\"\ndate = 2026-11-01\n\n[[test]]"
        )
    };
    fires("S020", "[[test]]", &net("cidrs = [\"10.0.0.0/8\"]"), "[[net]]");
    fires("S020", "[[test]]", &net("cidrs = [\"192.0.2.1/24\"]"), "[[net]]");
    fires("S020", "[[test]]", &net("cidrs = [\"192.0.2.0\", \"x\"]"), "[[net]]");
    fires("S020", "[[test]]", &net("ports = [\"udp/1\"]"), "[[net]]");
    fires("S020", "[[test]]", &net("asns = [64500]\nports = [\"1\"]"), "[[net]]");
}

#[test]
fn s021_retired_since_when() {
    fires("S021", "status = \"active\"", "status = \"retired\"", "status");
    let replaced = "status = \"active\"\nreplaced_by = \"nobody\"";
    fires("S021", "status = \"active\"", replaced, "replaced_by");
}

#[test]
fn s022_layout() {
    fires("S022", "kind = \"app\"\n", "kind   = \"app\"\n", "kind");
    fires("S022", "schema = 1\nid = \"acme-drive\"", "id = \"acme-drive\"\nschema = 1", "id");
}

#[test]
fn s024_size() {
    let hosts: Vec<String> = (0..401).map(|n| format!("h{n}.acme-drive.com")).collect();
    fires("S024", "hosts = [\"sync.acme-drive.com\"]", &format!("hosts = {hosts:?}"), "");
}
