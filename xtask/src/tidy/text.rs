//! Rules for every text file: no leftovers, no stray blanks, nothing that only means something on one machine.

use super::exceptions::{FOREIGN_TEXTS, MACHINE_WORDS, covers};
use crate::tidy::file::{File, Finding};

pub(super) fn check(file: &File) -> Vec<Finding> {
    if FOREIGN_TEXTS.iter().any(|entry| covers(entry, &file.path)) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (number, line) in file.lines() {
        findings.extend(problems(line).map(|message| file.finding(number, message)));
    }
    if !file.text.is_empty() && !file.text.ends_with('\n') {
        findings.push(file.finding(0, "no newline at the end of the file"));
    }
    if file.text.ends_with("\n\n") {
        findings.push(file.finding(0, "ends with empty lines"));
    }
    findings
}

fn problems(line: &str) -> impl Iterator<Item = String> {
    let blanks = line
        .ends_with([' ', '\t', '\r'])
        .then(|| "trailing blanks".to_owned());
    let conflict = ["<<<<<<< ", ">>>>>>> "]
        .iter()
        .any(|mark| line.starts_with(mark))
        .then(|| "an unresolved merge conflict".to_owned());
    let unowned = has_unowned_reminder(line)
        .then(|| format!("a {REMINDER} without an issue: write {REMINDER}(#number)"));
    let words = MACHINE_WORDS
        .iter()
        .filter(|word| line.contains(**word))
        .map(|word| format!("`{word}` exists on one machine only"));
    blanks
        .into_iter()
        .chain(conflict)
        .chain(unowned)
        .chain(words)
}

/// Spelt in two parts, so that this file does not find itself.
const REMINDER: &str = concat!("TO", "DO");

fn has_unowned_reminder(line: &str) -> bool {
    line.match_indices(REMINDER).any(|(at, _)| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        let after = line
            .get(at.saturating_add(REMINDER.len())..)
            .unwrap_or_default();
        let part_of_a_word = |c: char| c.is_alphanumeric() || c == '_';
        let is_word = !before.is_some_and(part_of_a_word) && !after.starts_with(part_of_a_word);
        is_word && !names_an_issue(after)
    })
}

/// `(#12)`
fn names_an_issue(after: &str) -> bool {
    let number = after
        .strip_prefix("(#")
        .and_then(|rest| rest.split_once(')'));
    number
        .is_some_and(|(digits, _)| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::file::file;

    fn messages(text: &str) -> Vec<String> {
        let findings = check(&file("docs/a.md", text));
        findings
            .into_iter()
            .map(|finding| finding.to_string())
            .collect()
    }

    #[test]
    fn clean_text_passes() {
        assert_eq!(messages("one\ntwo\n"), [""; 0]);
        assert_eq!(messages(""), [""; 0]);
    }

    #[test]
    fn leftovers_are_found_with_their_line() {
        assert_eq!(messages("one\ntwo \n"), ["docs/a.md:2: trailing blanks"]);
        assert_eq!(
            messages("one"),
            ["docs/a.md: no newline at the end of the file"]
        );
        assert_eq!(messages("one\n\n"), ["docs/a.md: ends with empty lines"]);
        assert_eq!(
            messages("<<<<<<< ours\n"),
            ["docs/a.md:1: an unresolved merge conflict"]
        );
    }

    #[test]
    fn a_reminder_needs_an_issue() {
        assert_eq!(messages(&format!("// {REMINDER}: later\n")).len(), 1);
        assert_eq!(messages(&format!("// {REMINDER}(#x): later\n")).len(), 1);
        assert_eq!(messages(&format!("// {REMINDER}(#12): later\n")), [""; 0]);
        assert_eq!(messages(&format!("MY_{REMINDER}_LIST\n")), [""; 0]);
    }

    #[test]
    fn a_path_of_one_machine_is_found() {
        let path = MACHINE_WORDS.first().unwrap();
        assert_eq!(messages(&format!("see {path}me/x\n")).len(), 1);
    }

    #[test]
    fn foreign_texts_are_left_alone() {
        assert!(check(&file("LICENSE-APACHE", "x ")).is_empty());
        assert!(check(&file("fuzz/corpus/frame/1", "x ")).is_empty());
    }
}
