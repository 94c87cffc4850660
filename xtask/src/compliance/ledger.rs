//! The rules of the standards, and the sections of every RFC that is cited, as they stand in the data files.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

/// One file for each standard whose rules are listed.
const STANDARDS: [(&str, &str); 2] = [
    ("rfc9568.toml", include_str!("rfc9568.toml")),
    ("rfc3768.toml", include_str!("rfc3768.toml")),
];

/// RFCs that are cited, but whose rules are not listed.
const CITED: &str = include_str!("cited.toml");

/// Everything in the data files.
pub(super) struct Ledger {
    pub(super) standards: Vec<Standard>,
    /// The sections that each RFC has.
    sections: BTreeMap<u16, BTreeSet<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Standard {
    pub(super) rfc: u16,
    pub(super) title: String,
    sections: Vec<String>,
    #[serde(rename = "rule")]
    pub(super) rules: Vec<Rule>,
}

/// One thing that a standard asks for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    pub(super) section: String,
    /// Unique within its section.
    pub(super) name: String,
    pub(super) level: Level,
    /// In our own words.
    pub(super) text: String,
    /// The code does otherwise, and why.
    differs: Option<String>,
    /// Planned, and what stands in its place until then.
    not_yet: Option<String>,
    /// Not the agent's to keep, and whose.
    outside: Option<String>,
}

/// How strongly it is asked for; the negative forms are in the rule's own sentence.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Level {
    Must,
    Should,
    May,
}

/// Why a rule need not be kept and shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Exception<'a> {
    Differs(&'a str),
    NotYet(&'a str),
    Outside(&'a str),
}

/// A rule as a citation names it.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Id {
    pub(super) rfc: u16,
    pub(super) section: String,
    pub(super) name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cited {
    sections: BTreeMap<String, Vec<String>>,
}

impl Ledger {
    /// Reads the data files that xtask was built with.
    pub(super) fn read() -> Result<Self> {
        let mut standards = Vec::new();
        for (name, text) in STANDARDS {
            let standard = toml::from_str(text).with_context(|| format!("reading {name}"))?;
            standards.push(standard);
        }
        Self::new(standards, CITED)
    }

    fn new(standards: Vec<Standard>, cited: &str) -> Result<Self> {
        let cited: Cited = toml::from_str(cited).context("reading cited.toml")?;
        let mut sections = BTreeMap::new();
        for (rfc, list) in cited.sections {
            let rfc = rfc.parse().with_context(|| format!("RFC `{rfc}`"))?;
            sections.insert(rfc, list.into_iter().collect());
        }
        for standard in &standards {
            sections.insert(standard.rfc, standard.sections.iter().cloned().collect());
        }
        let ledger = Self {
            standards,
            sections,
        };
        ledger.validate()?;
        Ok(ledger)
    }

    fn validate(&self) -> Result<()> {
        let mut seen = BTreeSet::new();
        for (standard, rule) in self.rules() {
            let id = rule.id(standard.rfc);
            if self.has_section(id.rfc, &id.section) != Some(true) {
                bail!("{id}: there is no such section");
            }
            if !super::citation::is_name(&id.name) {
                bail!("{id}: a name has small letters, digits and hyphens");
            }
            let reasons = [&rule.differs, &rule.not_yet, &rule.outside];
            if reasons.into_iter().flatten().count() > 1 {
                bail!("{id}: more than one reason");
            }
            if !seen.insert(id.clone()) {
                bail!("{id} stands there twice");
            }
        }
        Ok(())
    }

    pub(super) fn rules(&self) -> impl Iterator<Item = (&Standard, &Rule)> {
        self.standards
            .iter()
            .flat_map(|standard| standard.rules.iter().map(move |rule| (standard, rule)))
    }

    pub(super) fn knows(&self, id: &Id) -> bool {
        self.rules()
            .any(|(standard, rule)| rule.id(standard.rfc) == *id)
    }

    /// Whether an RFC has a section; `None` if nobody wrote down which it has.
    pub(super) fn has_section(&self, rfc: u16, section: &str) -> Option<bool> {
        let sections = self.sections.get(&rfc)?;
        Some(sections.contains(section))
    }

    pub(super) fn has_rfc(&self, rfc: u16) -> bool {
        self.sections.contains_key(&rfc)
    }

    /// Whether the rules of this RFC are listed.
    pub(super) fn lists(&self, rfc: u16) -> bool {
        self.standards.iter().any(|standard| standard.rfc == rfc)
    }
}

impl Rule {
    pub(super) fn id(&self, rfc: u16) -> Id {
        Id {
            rfc,
            section: self.section.clone(),
            name: self.name.clone(),
        }
    }

    pub(super) fn exception(&self) -> Option<Exception<'_>> {
        let differs = self.differs.as_deref().map(Exception::Differs);
        let not_yet = self.not_yet.as_deref().map(Exception::NotYet);
        let outside = self.outside.as_deref().map(Exception::Outside);
        differs.or(not_yet).or(outside)
    }
}

impl Level {
    pub(super) const ALL: [Self; 3] = [Self::Must, Self::Should, Self::May];

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Must => "MUST",
            Self::Should => "SHOULD",
            Self::May => "MAY",
        }
    }
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "RFC {} section {} ({})",
            self.rfc, self.section, self.name
        )
    }
}

#[cfg(test)]
pub(super) fn sample(rules: &str) -> Ledger {
    let text = format!("rfc = 9568\ntitle = \"T\"\nsections = [\"6.1\", \"6.4.3\"]\n{rules}");
    let cited = "[sections]\n1071 = []\n4861 = [\"4.3\"]\n";
    Ledger::new(vec![toml::from_str(&text).unwrap()], cited).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(rules: &str) -> String {
        let text = format!("rfc = 9568\ntitle = \"T\"\nsections = [\"6.1\"]\n{rules}");
        let standard = toml::from_str(&text).unwrap();
        let ledger = Ledger::new(vec![standard], "[sections]\n");
        ledger.map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn the_data_files_are_sound() {
        let ledger = Ledger::read().unwrap();
        assert!(ledger.lists(9568) && ledger.lists(3768));
        assert_eq!(ledger.has_section(9568, "6.4.3"), Some(true));
        assert_eq!(ledger.has_section(9568, "6.4.9"), Some(false));
        assert_eq!(ledger.has_section(1, "1"), None);
    }

    #[test]
    fn a_rule_without_its_section_or_with_two_reasons_is_refused() {
        let rule = "[[rule]]\nlevel = \"MUST\"\ntext = \"t\"\n";
        let elsewhere = format!("{rule}section = \"9.9\"\nname = \"a\"\n");
        assert!(problem(&elsewhere).contains("no such section"));
        let two =
            format!("{rule}section = \"6.1\"\nname = \"a\"\ndiffers = \"a\"\nnot_yet = \"b\"\n");
        assert!(problem(&two).contains("more than one reason"));
        let once = format!("{rule}section = \"6.1\"\nname = \"a\"\n");
        assert!(problem(&once.repeat(2)).contains("twice"));
    }
}
