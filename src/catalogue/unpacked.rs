//! From the packed form back to files, so that a catalogue that comes from elsewhere can be held
//! against the rules before a sensor uses it.
//!
//! What only authors need is not in the packed form: tests, sources, comments, layout. The rules on
//! these were checked when it was packed.

use super::document::SourceFile;
use super::finding::Finding;
use super::format::{AppFile, Date, MatchSection};
use super::lines::{Line, lines};
use super::lint;
use super::packed::{NOTHING, mark};
use super::vocabulary::{
    CategoriesFile, InfraFile, LabelsFile, ReleaseFile, TagsFile, VendorsFile,
};
use super::{Edition, Role};

/// Rules on what the packed form has not.
const NOT_JUDGED: [&str; 4] = ["S012", "S013", "S015", "S022"];

/// What stands for the sources, which the packed form has not.
const SOURCE: &str = "https://packed.invalid/";

/// Holds a packed catalogue against all rules that its content can break; answers the errors.
///
/// # Errors
/// A packed form that cannot be read.
pub fn lint(packed: &str, today: Date) -> Result<Vec<Finding>, Vec<Finding>> {
    let lines = lines(packed, false)?;
    let files = lines.iter().map(source_file).collect::<Result<Vec<_>, _>>()?;
    let mut findings = lint::lint(&files, today);
    findings.retain(|finding| !finding.is_warning && !NOT_JUDGED.contains(&finding.rule));
    for finding in &mut findings {
        // The lines are not those of the file that the name tells.
        (finding.line, finding.column) = (0, 0);
    }
    findings.dedup();
    Ok(findings)
}

fn source_file(line: &Line<'_>) -> Result<SourceFile, Vec<Finding>> {
    let text = match (&line.app, line.path) {
        (Some(_), _) => toml::to_string(&app_file(line)?),
        (None, "catalogue.toml") => toml::to_string(&line.json::<ReleaseFile>(line.content)?),
        (None, "categories.toml") => toml::to_string(&line.json::<CategoriesFile>(line.content)?),
        (None, "infra.toml") => toml::to_string(&line.json::<InfraFile>(line.content)?),
        (None, "labels.toml") => toml::to_string(&line.json::<LabelsFile>(line.content)?),
        (None, "tags.toml") => toml::to_string(&line.json::<TagsFile>(line.content)?),
        (None, _) => toml::to_string(&vendors_file(line)?),
    };
    let text = text.map_err(|error| line.damaged(&error.to_string()))?;
    Ok(SourceFile { path: line.path.to_owned(), text })
}

fn vendors_file(line: &Line<'_>) -> Result<VendorsFile, Vec<Finding>> {
    let vendors = line.vendors()?.into_iter();
    let vendors = vendors.map(|(id, words)| Ok((id.to_owned(), line.json(words)?)));
    Ok(VendorsFile { schema: 1, vendors: vendors.collect::<Result<_, Vec<Finding>>>()? })
}

fn app_file(line: &Line<'_>) -> Result<AppFile, Vec<Finding>> {
    let Some(app) = &line.app else { return Err(line.damaged("there is no JSON")) };
    let mut file: AppFile = line.app_file(app)?;
    file.sources = vec![SOURCE.to_owned()];
    file.net = line.json(app.net)?;
    for section in app.sections() {
        let mut words = section.split(' ');
        let mut next = || words.next().unwrap_or(NOTHING);
        let (role, edition, cname) = (next(), next(), next());
        let unknown = |what: &str, word: &str| line.damaged(&format!("`{word}` is no {what}"));
        let mut content = MatchSection {
            role: Role::from_word(role).ok_or_else(|| unknown("role", role))?,
            edition: match edition {
                NOTHING => None,
                word => Some(Edition::from_word(word).ok_or_else(|| unknown("edition", word))?),
            },
            cname: cname != NOTHING,
            hosts: Vec::new(),
            domains: Vec::new(),
            patterns: Vec::new(),
        };
        for word in words {
            let mut characters = word.chars();
            let list = match characters.next() {
                Some(mark::HOST) => &mut content.hosts,
                Some(mark::DOMAIN) => &mut content.domains,
                Some(mark::PATTERN) => &mut content.patterns,
                _ => return Err(unknown("name", word)),
            };
            list.push(characters.as_str().to_owned());
        }
        file.matches.push(content);
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::super::Catalogue;
    use super::*;
    use crate::signatures::EMBEDDED;

    fn rules_of(packed: &str) -> Vec<(String, &'static str)> {
        let today: Date = serde_json::from_str("\"2026-11-22\"").unwrap();
        let findings = lint(packed, today).unwrap();
        findings.into_iter().map(|finding| (finding.file, finding.rule)).collect()
    }

    /// The catalogue of this version has no findings, so none may arise from the detour.
    #[test]
    fn nothing_is_found_that_was_not_there() {
        assert_eq!(rules_of(EMBEDDED), []);
    }

    #[test]
    fn what_lint_refuses_is_found_in_the_packed_form() {
        let file = SourceFile {
            path: "a/acme.toml".to_owned(),
            text: "schema = 1\nid = \"acme\"\nname = \"Acme\"\nvendor = \"acme\"\nkind = \"app\"\n\
                   category = \"crm\"\nstatus = \"active\"\nmaturity = \"candidate\"\n\
                   homepage = \"https://acme.com/\"\nverified = 2026-11-01\nsources = []\n\
                   [[match]]\nrole = \"use\"\ndomains = [\"co.uk\"]\n\
                   [[net]]\ncidrs = [\"10.0.0.0/8\"]\nrole = \"use\"\n\
                   source = \"https://acme.com/\"\ndate = 2026-11-01\n"
                .to_owned(),
        };
        let packed = Catalogue::pack(&[file]).unwrap();
        let acme = |rule| ("a/acme.toml".to_owned(), rule);
        assert_eq!(rules_of(&packed), [acme("S006"), acme("S020")]);
        assert!(lint("nonsense", serde_json::from_str("\"2026-11-22\"").unwrap()).is_err());
    }
}
