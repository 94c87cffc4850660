//! Every citation in the repository, held against the rules: what is where, and what is wrong.

use std::collections::{BTreeMap, BTreeSet};

use crate::tidy::file::{File, Finding};

use super::citation::{self, Citation};
use super::items::{Items, Part};
use super::ledger::{Exception, Id, Ledger, Rule};

/// Where the ledger is written.
pub(super) const PAPER: &str = "docs/compliance.md";

/// Our own examples of citations, and the rules themselves.
const NOT_READ: &str = "xtask/";

/// Where a rule is implemented or shown.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Place {
    /// Relative to the root.
    pub(super) path: String,
    /// The item; empty for a file's own documentation.
    pub(super) item: String,
}

/// Where one rule is cited.
#[derive(Debug, Default)]
pub(super) struct Places {
    pub(super) code: BTreeSet<Place>,
    pub(super) tests: BTreeSet<Place>,
}

pub(super) struct Survey {
    pub(super) ledger: Ledger,
    places: BTreeMap<Id, Places>,
    findings: Vec<Finding>,
}

impl Survey {
    pub(super) fn of(ledger: Ledger, files: &[File]) -> Self {
        let mut survey = Self {
            ledger,
            places: BTreeMap::new(),
            findings: Vec::new(),
        };
        let for_tests = test_files(files);
        for file in files.iter().filter(|file| is_read(file)) {
            let citations = citation::find(&file.text);
            if citations.is_empty() {
                continue;
            }
            let items = if file.has_extension("rs") {
                Items::of(&file.text, for_tests.contains(&file.path))
            } else {
                Items::default()
            };
            for citation in &citations {
                survey.take(file, &items, citation);
            }
        }
        survey
    }

    /// Where a rule is cited.
    pub(super) fn places(&self, id: &Id) -> Option<&Places> {
        self.places.get(id)
    }

    /// Citations that point nowhere, then rules of which nothing is known.
    pub(super) fn findings(&self) -> Vec<Finding> {
        let gaps = self.ledger.rules().filter_map(|(standard, rule)| {
            let id = rule.id(standard.rfc);
            let message = self.gap(rule, &id)?;
            Some(Finding {
                path: format!("xtask/src/compliance/rfc{}.toml", standard.rfc),
                line: 0,
                message: format!("{id} {message}"),
            })
        });
        self.findings.iter().cloned().chain(gaps).collect()
    }

    fn gap(&self, rule: &Rule, id: &Id) -> Option<&'static str> {
        let places = self.places(id);
        let is_kept = places.is_some_and(|places| !places.code.is_empty());
        let is_shown = places.is_some_and(|places| !places.tests.is_empty());
        match (rule.exception(), is_kept, is_shown) {
            (None, false, false) => Some("is cited nowhere, and there is no reason for it"),
            (None, false, true) => Some("is shown by a test, but no code says that it keeps it"),
            (None, true, false) => Some("is implemented, but no test says that it shows it"),
            (Some(Exception::NotYet(_)), true, true) => {
                Some("is said not to be there yet, but code and a test cite it")
            }
            (None, true, true) | (Some(_), _, _) => None,
        }
    }

    fn take(&mut self, file: &File, items: &Items, citation: &Citation) {
        if let Some(message) = self.leads_nowhere(citation) {
            self.findings.push(file.finding(citation.line, message));
            return;
        }
        let Some(section) = &citation.section else {
            return;
        };
        for name in &citation.names {
            let id = Id {
                rfc: citation.rfc,
                section: section.clone(),
                name: name.clone(),
            };
            if let Err(message) = self.place(file, items, citation.line, &id) {
                self.findings.push(file.finding(citation.line, message));
            }
        }
    }

    fn leads_nowhere(&self, citation: &Citation) -> Option<String> {
        let rfc = citation.rfc;
        if !self.ledger.has_rfc(rfc) {
            let place = "xtask/src/compliance/cited.toml";
            return Some(format!("RFC {rfc} is not among those in {place}"));
        }
        let section = citation.section.as_ref()?;
        let exists = self.ledger.has_section(rfc, section) == Some(true);
        (!exists).then(|| format!("RFC {rfc} has no section {section}"))
    }

    fn place(&mut self, file: &File, items: &Items, line: usize, id: &Id) -> Result<(), String> {
        if !self.ledger.lists(id.rfc) {
            // A word in brackets behind somebody else's section.
            return Ok(());
        }
        if !self.ledger.knows(id) {
            return Err(format!("{id}: there is no such rule"));
        }
        if !file.has_extension("rs") {
            return Ok(());
        }
        let is_about_file = file
            .text
            .lines()
            .nth(line.saturating_sub(1))
            .is_some_and(|text| text.starts_with("//!"));
        let item = items.at(line).filter(|_| !is_about_file);
        let name = item.map_or_else(String::new, |item| item.name.clone());
        let place = |item: String| Place {
            path: file.path.clone(),
            item,
        };
        let places = self.places.entry(id.clone()).or_default();
        match item.map_or(Part::Code, |item| item.part) {
            Part::Code => {
                places.code.insert(place(name));
            }
            Part::Test => {
                places.tests.insert(place(name));
            }
            Part::TestHelper => {
                let users = users(items, &name);
                if users.is_empty() {
                    return Err(format!("{id} is cited in no test of this file"));
                }
                places.tests.extend(users.into_iter().map(place));
            }
        }
        Ok(())
    }
}

/// The tests of the same file that use a constant or function.
fn users(items: &Items, name: &str) -> Vec<String> {
    let tests = items.items.iter().filter(|item| item.part == Part::Test);
    tests
        .filter(|test| test.words.contains(name))
        .map(|test| test.name.clone())
        .collect()
}

fn is_read(file: &File) -> bool {
    let is_text = file.has_extension("rs") || file.has_extension("md");
    is_text && !file.path.starts_with(NOT_READ) && file.path != PAPER
}

/// Files that are compiled for tests only.
fn test_files(files: &[File]) -> BTreeSet<String> {
    let mut found: BTreeSet<String> = files
        .iter()
        .filter(|file| file.path.starts_with("tests/") || file.path.contains("/tests/"))
        .map(|file| file.path.clone())
        .collect();
    for file in files.iter().filter(|file| file.has_extension("rs")) {
        if !file.text.contains("cfg(test)") {
            continue;
        }
        let folder = module_folder(&file.path);
        for module in Items::of(&file.text, false).test_modules {
            found.insert(format!("{folder}/{module}.rs"));
            found.insert(format!("{folder}/{module}/mod.rs"));
        }
    }
    found
}

/// Where the modules of a file lie.
fn module_folder(path: &str) -> &str {
    let stem = path.trim_end_matches(".rs");
    ["/mod", "/lib", "/main"]
        .iter()
        .find_map(|name| stem.strip_suffix(name))
        .unwrap_or(stem)
}

#[cfg(test)]
mod tests {
    use super::super::ledger::sample;
    use super::*;
    use crate::tidy::file::file;

    const SKEW: &str =
        "[[rule]]\nsection = \"6.1\"\nname = \"skew\"\nlevel = \"MUST\"\ntext = \"t\"\n";

    fn messages(rules: &str, files: &[File]) -> Vec<String> {
        let survey = Survey::of(sample(rules), files);
        survey.findings().iter().map(ToString::to_string).collect()
    }

    const KEPT: &str = "/// RFC 9568 section 6.1 (skew)\nfn a() {}\n";
    const SHOWN: &str = "/// RFC 9568 section 6.1 (skew)\n#[test]\nfn b() {}\n";

    #[test]
    fn a_rule_needs_code_and_a_test() {
        let both = [file("a/src/a.rs", KEPT), file("tests/tests/b.rs", SHOWN)];
        assert_eq!(messages(SKEW, &both), [""; 0]);
        let [kept, shown] = both;
        assert!(messages(SKEW, &[kept])[0].contains("no test says"));
        assert!(messages(SKEW, &[shown])[0].contains("no code says"));
        assert!(messages(SKEW, &[])[0].contains("cited nowhere"));
    }

    #[test]
    fn a_reason_stands_in_for_them_until_they_are_there() {
        let both = [file("a/src/a.rs", KEPT), file("tests/tests/b.rs", SHOWN)];
        let not_yet = format!("{SKEW}not_yet = \"later\"\n");
        assert_eq!(messages(&not_yet, &[]), [""; 0]);
        assert!(messages(&not_yet, &both)[0].contains("not to be there yet"));
        let differs = format!("{SKEW}differs = \"so\"\n");
        assert_eq!(messages(&differs, &both), [""; 0]);
    }

    #[test]
    fn a_citation_that_points_nowhere_is_found_in_code_and_papers() {
        let wrong = "//! RFC 9568 section 6.9. RFC 1 is unknown, RFC 1071 is not.\n\
                     //! RFC 4861 section 4.3 and RFC 9568 section 6.1 (skow).\n";
        let outside = format!("{SKEW}outside = \"o\"\n");
        for path in ["a/src/a.rs", "docs/a.md"] {
            let found = messages(&outside, &[file(path, wrong)]);
            assert_eq!(found.len(), 3, "{found:?}");
            assert!(found[0].contains("no section 6.9"), "{found:?}");
            assert!(found[1].contains("RFC 1 is not among"), "{found:?}");
            assert!(
                found[2].contains("(skow): there is no such rule"),
                "{found:?}"
            );
        }
    }

    #[test]
    fn what_a_test_uses_speaks_for_the_test() {
        let text =
            "// RFC 9568 section 6.1 (skew)\nconst TABLE: u8 = 1;\n#[test]\nfn c() { TABLE; }\n";
        let declared = "#[cfg(test)]\nmod table;\n";
        let files = [
            file("a/src/e/mod.rs", declared),
            file("a/src/e/table.rs", text),
            file("a/src/a.rs", KEPT),
        ];
        let survey = Survey::of(sample(SKEW), &files);
        assert_eq!(survey.findings(), []);
        let (standard, rule) = survey.ledger.rules().next().unwrap();
        let places = survey.places(&rule.id(standard.rfc)).unwrap();
        let expected = Place {
            path: "a/src/e/table.rs".into(),
            item: "c".into(),
        };
        assert!(places.tests.contains(&expected), "{places:?}");
        let idle = text.replace("TABLE; ", "");
        let found = messages(SKEW, &[file("tests/src/x.rs", &idle)]);
        assert!(found[0].contains("in no test of this file"), "{found:?}");
    }
}
