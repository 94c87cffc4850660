//! The text of a file: from byte offsets to lines, columns and problems.

use std::ops::Range;
use std::sync::Arc;

use super::excerpt::{self, Excerpt};
use super::problem::{Problem, Severity};

/// A place in the text, in bytes.
pub(crate) type Span = Range<usize>;

/// A file's name and text.
pub(crate) struct Source<'t> {
    file: Arc<str>,
    text: &'t str,
    line_starts: Vec<usize>,
}

impl<'t> Source<'t> {
    /// Takes a byte order mark off, so that columns are what an editor shows.
    pub(crate) fn new(file: &str, text: &'t str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let starts = text.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            file: file.into(),
            text,
            line_starts: std::iter::once(0).chain(starts).collect(),
        }
    }

    /// What spans refer to.
    pub(crate) fn text(&self) -> &'t str {
        self.text
    }

    /// The line of a byte offset, from 1.
    pub(crate) fn line(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= offset)
    }

    /// A problem at a place; a place past the end is taken as the end.
    pub(crate) fn problem(&self, severity: Severity, span: &Span, message: String) -> Problem {
        // At the end of a file that ends as it should, the eye belongs on the last line's end.
        let end_of_text = self.text.trim_end_matches(['\r', '\n']).len();
        let start = if span.start >= self.text.len() {
            end_of_text
        } else {
            self.text.floor_char_boundary(span.start)
        };
        let end = self.text.ceil_char_boundary(span.end.max(start));
        let line = self.line(start);
        let line_start = line
            .checked_sub(1)
            .and_then(|index| self.line_starts.get(index))
            .copied()
            .unwrap_or(0);
        let content = self.text.get(line_start..).unwrap_or_default();
        let content = content.split('\n').next().unwrap_or_default();
        let before = self.text.get(line_start..start).unwrap_or_default();
        let column = before.chars().count();
        let width = self.text.get(start..end).unwrap_or_default();
        let width = width.split(['\r', '\n']).next().unwrap_or_default();
        let Excerpt {
            text,
            mark_at,
            mark_len,
        } = excerpt::cut(
            content.trim_end_matches('\r'),
            column,
            width.chars().count(),
        );
        Problem {
            severity,
            file: Arc::clone(&self.file),
            line,
            column: column + 1,
            message,
            excerpt: text,
            mark_at,
            mark_len,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str, span: Span) -> (usize, usize, usize) {
        let problem = Source::new("f", text).problem(Severity::Error, &span, String::new());
        (problem.line, problem.column, problem.mark_len)
    }

    #[test]
    fn lines_and_columns_count_from_one_and_in_characters() {
        assert_eq!(place("a = 1\nb = 2\n", 0..1), (1, 1, 1));
        assert_eq!(place("a = 1\nb = 22\n", 10..12), (2, 5, 2));
        assert_eq!(place("ä = 1\r\nö = 2\r\n", 13..14), (2, 5, 1));
    }

    #[test]
    fn a_place_at_or_past_the_end_is_the_end_of_the_last_line() {
        assert_eq!(place("a = \n", 5..5), (1, 5, 1));
        assert_eq!(place("a = ", 4..4), (1, 5, 1));
        assert_eq!(place("", 7..9), (1, 1, 1));
    }

    #[test]
    fn marks_stop_at_the_end_of_the_line_and_never_split_a_character() {
        assert_eq!(place("a = [\n1]\n", 4..8), (1, 5, 1));
        assert_eq!(place("ää", 1..3), (1, 1, 2));
    }

    #[test]
    fn a_byte_order_mark_does_not_shift_the_first_line() {
        assert_eq!(place("\u{feff}a = 1", 4..5), (1, 5, 1));
    }
}
