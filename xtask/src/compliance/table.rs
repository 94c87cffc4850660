//! The paper: a table of rules for each standard, and a count of them.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::ledger::{Exception, Level, Rule, Standard};
use super::survey::{Place, Survey};

const HEAD: &str = "\
# Compliance

Each MUST, SHOULD and MAY of the VRRP standards, in our own words: where it is implemented and which test
shows it, or why it is not kept. The steps of the state machine have no such word in the standards; they count
as MUST. `cargo xtask compliance` writes this file from citations in the code and the tests, such as \"RFC 9568 section 6.4.3 (yield)\"; the rules themselves stand in
[xtask/src/compliance](../xtask/src/compliance). `cargo xtask tidy` fails if a citation points nowhere, if a rule
has neither an implementation with a test nor a reason, or if this file is not up to date.

A rule without a reason is kept and shown. The reasons are of three kinds:

- **differs**: the agent does otherwise, on purpose;
- **not yet**: planned;
- **outside**: not the agent's to keep, or about something that it does not do.
";

pub(super) fn render(survey: &Survey) -> String {
    let mut out = HEAD.to_owned();
    out.push_str("\n| standard | level | rules | kept and shown | differs | not yet | outside |\n");
    out.push_str("| --- | --- | ---: | ---: | ---: | ---: | ---: |\n");
    for standard in &survey.ledger.standards {
        for level in Level::ALL {
            let count = Count::of(standard.rules.iter().filter(|rule| rule.level == level));
            count.write(standard.rfc, level, &mut out);
        }
    }
    for standard in &survey.ledger.standards {
        render_standard(survey, standard, &mut out);
    }
    out
}

/// One line for the screen.
pub(super) fn counts(survey: &Survey) -> String {
    let Count {
        all,
        kept,
        differs,
        not_yet,
        outside,
    } = Count::of(survey.ledger.rules().map(|(_, rule)| rule));
    format!(
        "{all} rules, {kept} kept and shown, {differs} differ, {not_yet} not yet, {outside} outside"
    )
}

fn render_standard(survey: &Survey, standard: &Standard, out: &mut String) {
    let (rfc, title) = (standard.rfc, &standard.title);
    let heading = format!("\n## RFC {rfc}: {title}\n\n");
    out.push_str(&heading);
    out.push_str(
        "| section | rule | level | what it asks for | implemented | shown by | reason |\n",
    );
    out.push_str("| --- | --- | --- | --- | --- | --- | --- |\n");
    for rule in &standard.rules {
        let places = survey.places(&rule.id(rfc));
        let cells = [
            rule.section.clone(),
            rule.name.clone(),
            rule.level.word().to_owned(),
            rule.text.clone(),
            places.map_or_else(String::new, |places| links(&places.code)),
            places.map_or_else(String::new, |places| links(&places.tests)),
            rule.exception().map_or_else(String::new, reason),
        ];
        out.push('|');
        for cell in cells {
            let cell = cell.replace('|', "\\|");
            let padded = if cell.is_empty() {
                " ".into()
            } else {
                format!(" {cell} ")
            };
            out.push_str(&padded);
            out.push('|');
        }
        out.push('\n');
    }
}

fn reason(exception: Exception<'_>) -> String {
    match exception {
        Exception::Differs(why) => format!("**differs**: {why}"),
        Exception::NotYet(why) => format!("**not yet**: {why}"),
        Exception::Outside(why) => format!("**outside**: {why}"),
    }
}

/// Items, each a link to its file.
fn links(places: &BTreeSet<Place>) -> String {
    let link = |place: &Place| {
        let file = place.path.rsplit('/').next().unwrap_or(&place.path);
        let name = if place.item.is_empty() {
            file
        } else {
            &place.item
        };
        format!("[`{name}`](../{})", place.path)
    };
    places.iter().map(link).collect::<Vec<_>>().join(", ")
}

#[derive(Default)]
struct Count {
    all: usize,
    kept: usize,
    differs: usize,
    not_yet: usize,
    outside: usize,
}

impl Count {
    fn of<'a>(rules: impl Iterator<Item = &'a Rule>) -> Self {
        let mut count = Self::default();
        for rule in rules {
            count.all = count.all.saturating_add(1);
            let kind = match rule.exception() {
                None => &mut count.kept,
                Some(Exception::Differs(_)) => &mut count.differs,
                Some(Exception::NotYet(_)) => &mut count.not_yet,
                Some(Exception::Outside(_)) => &mut count.outside,
            };
            *kind = kind.saturating_add(1);
        }
        count
    }

    fn write(&self, rfc: u16, level: Level, out: &mut String) {
        let Self {
            all,
            kept,
            differs,
            not_yet,
            outside,
        } = self;
        let level = level.word();
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "| RFC {rfc} | {level} | {all} | {kept} | {differs} | {not_yet} | {outside} |"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::ledger::sample;
    use super::*;
    use crate::tidy::file::file;

    #[test]
    fn a_row_names_the_item_the_test_and_the_reason() {
        let rules = "[[rule]]\nsection = \"6.1\"\nname = \"skew\"\nlevel = \"MUST\"\ntext = \"Skews.\"\n\
                     [[rule]]\nsection = \"6.4.3\"\nname = \"mac\"\nlevel = \"SHOULD\"\ntext = \"A|B\"\n\
                     not_yet = \"Later.\"\n";
        let code = "/// RFC 9568 section 6.1 (skew)\nfn a() {}\n";
        let test = "/// RFC 9568 section 6.1 (skew)\n#[test]\nfn b() {}\n";
        let files = [file("x/src/a.rs", code), file("tests/tests/b.rs", test)];
        let survey = Survey::of(sample(rules), &files);
        let paper = render(&survey);
        let row = "| 6.1 | skew | MUST | Skews. | [`a`](../x/src/a.rs) | [`b`](../tests/tests/b.rs) | |\n";
        assert!(paper.contains(row), "{paper}");
        let row = "| 6.4.3 | mac | SHOULD | A\\|B | | | **not yet**: Later. |\n";
        assert!(paper.contains(row), "{paper}");
        assert!(
            paper.contains("| RFC 9568 | MUST | 1 | 1 | 0 | 0 | 0 |\n"),
            "{paper}"
        );
        let line = "2 rules, 1 kept and shown, 0 differ, 1 not yet, 0 outside";
        assert_eq!(counts(&survey), line);
    }
}
