//! The keys that may stand in each section, in the order in which they stand.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::document::finding_at;
use super::finding::Finding;
use super::packed::SHARED_FILES;

/// Keys of an app's file, sections included, in canonical order.
pub(crate) const APP: &[&str] = &[
    "schema",
    "id",
    "name",
    "vendor",
    "kind",
    "suite",
    "category",
    "tags",
    "status",
    "since",
    "replaced_by",
    "maturity",
    "aliases",
    "homepage",
    "verified",
    "sources",
    "carve_out_of",
    "match",
    "tenant",
    "net",
    "fingerprint",
    "risk",
    "test",
];

/// Keys that a risk fact may have, in canonical order.
pub(crate) const RISK_KEYS: &[&str] = &[
    "hq",
    "founded",
    "data_regions",
    "parent",
    "sso",
    "mfa",
    "audit_log",
    "e2e",
    "encryption_at_rest",
    "file_upload",
    "public_links",
    "remote_control",
    "breach",
    "soc2",
    "iso27001",
    "iso27018",
    "hipaa",
    "pci_dss",
    "fedramp",
    "csa_star",
    "gdpr_dpa",
    "eu_us_dpf",
    "trains_on_data",
    "trains_on_data_business",
    "owns_user_content",
    "retention_days",
    "subprocessors_url",
];

/// Keys of a section of an app's file, in canonical order.
pub(crate) fn section(name: &str) -> Option<&'static [&'static str]> {
    Some(match name {
        "match" => &["role", "edition", "cname", "hosts", "domains", "patterns"],
        "tenant" => &["meaning", "audience", "reserved"],
        "net" => &["cidrs", "asns", "ports", "role", "scope", "source", "date"],
        "fingerprint" => &["ja4", "client", "source", "date"],
        "risk" => RISK_KEYS,
        "test" => &["host", "app", "role", "tenant", "edition"],
        _ => return None,
    })
}

/// Keys that no file of this path may have. Keys of `[risk]` are left to rule S004.
pub(crate) fn unknown_keys(path: &str, text: &str, table: &DeTable<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    if is_shared(path) {
        return findings;
    }
    check(path, text, table, APP, &mut findings);
    for (name, value) in table {
        let Some(known) = section(name.get_ref()).filter(|known| *known != RISK_KEYS) else {
            continue;
        };
        match value.get_ref() {
            DeValue::Table(inside) => check(path, text, inside, known, &mut findings),
            DeValue::Array(items) => {
                for inside in items.iter().filter_map(|item| item.get_ref().as_table()) {
                    check(path, text, inside, known, &mut findings);
                }
            }
            _ => {}
        }
    }
    findings
}

/// Whether the path is that of a file which all signatures share.
pub(crate) fn is_shared(path: &str) -> bool {
    SHARED_FILES.contains(&path)
}

/// The member of `known` that `word` was probably meant to be: a slip of the fingers away, or two in
/// a word of some length; or the one that it is the beginning of, where little is missing.
pub(crate) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let slips = |candidate: &'k str| {
        let missing = candidate.strip_prefix(word).map(str::len);
        let is_cut = word.len() >= CUT_LENGTH_MIN && missing.is_some_and(|len| len <= CUT_MAX);
        if is_cut { 1 } else { edit_distance(word, candidate) }
    };
    let near = |(slips, candidate): &(usize, &str)| {
        let length = word.chars().count().max(candidate.chars().count());
        // As many as leave the most of a word as it was.
        *slips
            <= match length {
                0..4 => 0,
                4..8 => 1,
                8..14 => 2,
                _ => 3,
            }
    };
    known
        .into_iter()
        .map(|candidate| (slips(candidate), candidate))
        .filter(near)
        .min()
        .map(|best| best.1)
}

/// The shortest word that may be the beginning of another, and how many bytes may be missing.
const CUT_LENGTH_MIN: usize = 4;
const CUT_MAX: usize = 3;

fn check(path: &str, text: &str, table: &DeTable<'_>, known: &[&str], findings: &mut Vec<Finding>) {
    let keys = table.iter().map(|(key, _): (&Spanned<_>, _)| key);
    for key in keys.filter(|key| !known.contains(&&**key.get_ref())) {
        let remedy = match nearest(key.get_ref(), known.iter().copied()) {
            Some(meant) => format!("write `{meant}`"),
            None => format!("known here are: {}", known.join(", ")),
        };
        let reason = format!("unknown key `{}`", key.get_ref());
        findings.push(finding_at(path, text, key.span().start, "S001", reason, remedy));
    }
}

/// Characters added, left out, replaced, or swapped with the next, without case (Damerau 1964).
fn edit_distance(left: &str, right: &str) -> usize {
    let [left, right] =
        [left, right].map(|text| text.to_lowercase().chars().collect::<Vec<char>>());
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, b) in right.iter().enumerate() {
            let mut least = (row[j] + usize::from(a != b)).min(row[j + 1] + 1).min(next[j] + 1);
            if i > 0 && j > 0 && *a == right[j - 1] && left[i - 1] == *b {
                least = least.min(before[j - 1] + 1);
            }
            next.push(least);
        }
        before = std::mem::replace(&mut row, next);
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_key_is_suggested_only_if_near() {
        assert_eq!(nearest("alias", APP.iter().copied()), Some("aliases"));
        assert_eq!(nearest("catagory", APP.iter().copied()), Some("category"));
        assert_eq!(nearest("price", APP.iter().copied()), None);
        let ids = ["slack", "zoom", "notion", "dropbox", "microsoft-teams", "box", "x"];
        let meant = |id| nearest(id, ids);
        assert_eq!(meant("slakc"), Some("slack"));
        assert_eq!(meant("Slack"), Some("slack"));
        assert_eq!(meant("dropbx"), Some("dropbox"));
        assert_eq!(meant("microsfot-tems"), Some("microsoft-teams"));
        assert_eq!(meant("microsoft-tea"), Some("microsoft-teams"));
        // What is as far from what was written as from anything else was not meant.
        for other in ["nosuch", "blank", "boom-er", "foo", "y", "motion-x", "teams", ""] {
            assert_eq!(meant(other), None, "{other}");
        }
    }
}
