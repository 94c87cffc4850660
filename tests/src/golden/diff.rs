//! Where a transcript leaves the expected path, as a unified diff.

use similar::TextDiff;

/// Lines that stay the same round each difference: enough to see the turn that it happened in.
const CONTEXT: usize = 5;

/// A unified diff from what was expected to what came; empty if they are the same. Comments and empty lines of
/// the expected text count for nothing.
pub fn unified(file: &str, expected: &str, found: &[String]) -> String {
    let expected: Vec<&str> = expected
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
        .collect();
    let found: Vec<&str> = found.iter().map(String::as_str).collect();
    if expected == found {
        return String::new();
    }
    let (before, after) = (text(&expected), text(&found));
    TextDiff::from_lines(&before, &after)
        .unified_diff()
        .context_radius(CONTEXT)
        .header(file, "what came of events.jsonl")
        .to_string()
}

fn text(lines: &[&str]) -> String {
    lines.iter().flat_map(|line| [*line, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_transcript_has_no_difference_whatever_its_comments() {
        let found = ["a".to_owned(), "b".to_owned()];
        assert_eq!(unified("x", "# why\na\n\nb\n", &found), "");
    }

    #[test]
    fn a_difference_shows_what_was_expected_what_came_and_where() {
        let found = ["a".to_owned(), "c".to_owned()];
        let diff = unified("master-dies/expected.txt", "a\nb\n", &found);
        assert_eq!(
            diff,
            "--- master-dies/expected.txt\n+++ what came of events.jsonl\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n"
        );
    }
}
