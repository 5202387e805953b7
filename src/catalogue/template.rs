//! The file that a contributor begins with.

use super::format::Date;
use super::{Catalogue, SourceFile};

/// What must be filled in, or done and deleted.
pub const PLACEHOLDER: &str = "CHANGE";

/// What the template's comments say. They are no reason for anything (rule S015).
pub const COMMENTS: [&str; 2] = [
    "what the clients talk to, and only names that were seen. Move each name to its role.",
    "Marketing, documentation, help. The domain catches what no other rule names.",
];

/// A new signature file for `id` with everything that is known: tests of look-alikes, of the
/// names to be sorted, and the day.
///
/// # Errors
/// Why there can be no such file: the id is taken, or the domain is no hostname or another app's.
pub fn new_file(
    catalogue: &Catalogue,
    id: &str,
    domain: &str,
    today: Date,
) -> Result<SourceFile, String> {
    if let Some(app) = catalogue.app(id) {
        return Err(format!("`{id}` exists: {}", app.file));
    }
    let is_kebab_case = id.split('-').all(|word| {
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    });
    if !is_kebab_case {
        return Err(format!("`{id}` is no id: use lower-case letters, digits and single hyphens"));
    }
    let Some(domain) = Catalogue::normalise(domain) else {
        return Err(format!("`{domain}` is no hostname: write it as example.com"));
    };
    if let Some(found) = catalogue.match_host(&domain)
        && let Some(app) = found.app()
    {
        return Err(format!(
            "`{domain}` is known as {} ({}): extend that file",
            app.name, app.file
        ));
    }
    let title = title(id);
    let [clients, site] = COMMENTS;
    let first = id.chars().next().unwrap_or('0');
    let folder = if first.is_ascii_digit() { '0' } else { first };
    let text = format!(
        r#"schema = 1
id = "{id}"
name = "{title}"
vendor = "{vendor}"
kind = "app"
category = "{PLACEHOLDER}"
tags = []
status = "active"
maturity = "candidate"
homepage = "https://{domain}/"
verified = {today}
sources = ["https://{domain}/{PLACEHOLDER}"]

# {PLACEHOLDER}: {clients}
[[match]]
role = "use"
hosts = []

# {site}
[[match]]
role = "site"
domains = ["{domain}"]

# A positive test for each role, with a host that was seen.
[[test]]
host = "www.{domain}"
role = "site"
[[test]]
host = "not{domain}"
app = ""
[[test]]
host = "{domain}.evil.example"
app = ""
"#,
        vendor = id.split('-').next().unwrap_or(id),
    );
    Ok(SourceFile { path: format!("{folder}/{id}.toml"), text })
}

fn title(id: &str) -> String {
    let words = id.split('-').map(|word| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_ascii_uppercase() + rest
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::super::document::Document;
    use super::*;

    #[test]
    fn the_template_is_a_file_of_the_format() {
        let catalogue = Catalogue::from_sources(&[], &[]).unwrap();
        let today: Date = serde_json::from_str("\"2026-11-22\"").unwrap();
        let file = new_file(&catalogue, "acme-drive", "acme.com", today).unwrap();
        assert_eq!(file.path, "a/acme-drive.toml");
        Document::read(&file).unwrap();
        assert_eq!(super::super::canonical::format(&file.path, &file.text).unwrap(), file.text);
        let with_it = Catalogue::from_sources(&[file], &[]).unwrap();
        assert!(
            new_file(&with_it, "acme-drive", "acme.net", today).unwrap_err().contains("exists")
        );
        assert!(new_file(&with_it, "other", "x.acme.com", today).unwrap_err().contains("known"));
        assert!(new_file(&with_it, "Other", "acme.org", today).is_err());
        assert!(new_file(&with_it, "other", "acme", today).is_err());
    }
}
