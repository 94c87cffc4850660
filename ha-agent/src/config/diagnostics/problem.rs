//! What is wrong with a file, where, and how that is printed.

use std::fmt;
use std::sync::Arc;

/// How bad it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Severity {
    /// The file is refused.
    Error,
    /// The file is accepted, though this is most likely not what was meant.
    Warning,
}

/// One problem at one place.
///
/// `Display` prints three lines, the way compilers do, without a newline at the end.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// Error or warning.
    pub severity: Severity,
    /// The file as it was named by the caller.
    pub file: Arc<str>,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// What is wrong and what is allowed, in one line.
    pub message: String,
    /// The line of the file, with passwords masked, and cut around the place when very long.
    pub excerpt: String,
    /// Where the marks under the excerpt start, in characters, from 0.
    pub mark_at: usize,
    /// How many marks, at least 1.
    pub mark_len: usize,
}

impl Problem {
    /// The place and the message without the excerpt: for logs, and wherever a line is one thing.
    pub fn one_line(&self) -> String {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let Self {
            file,
            line,
            column,
            message,
            ..
        } = self;
        format!("{file}:{line}:{column}: {severity}: {message}")
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.line;
        writeln!(f, "{}", self.one_line())?;
        writeln!(f, "{line:>5} | {}", self.excerpt)?;
        let (pad, mark) = (self.mark_at, "^".repeat(self.mark_len));
        write!(f, "      | {:pad$}{mark}", "")
    }
}

/// Why a file was refused: at least one error, and the warnings, in file order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problems {
    /// The problems themselves.
    pub list: Vec<Problem>,
    /// How many more there were than are kept.
    pub unlisted: usize,
}

impl Problems {
    /// Each problem in one line, and how many more there were.
    pub fn lines(&self) -> Vec<String> {
        let more = (self.unlisted > 0).then(|| self.more());
        self.list
            .iter()
            .map(Problem::one_line)
            .chain(more)
            .collect()
    }

    fn more(&self) -> String {
        format!("and {} more problems", self.unlisted)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.list.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            problem.fmt(f)?;
        }
        if self.unlisted > 0 {
            write!(f, "\n{}", self.more())?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem() -> Problem {
        Problem {
            severity: Severity::Error,
            file: "ha-agent.toml".into(),
            line: 12,
            column: 12,
            message: "`priority` is too high".into(),
            excerpt: "priority = 300".into(),
            mark_at: 11,
            mark_len: 3,
        }
    }

    #[test]
    fn a_problem_is_printed_as_place_reason_line_and_marks() {
        assert_eq!(
            problem().to_string(),
            "ha-agent.toml:12:12: error: `priority` is too high\n   \
             12 | priority = 300\n      |            ^^^"
        );
    }

    #[test]
    fn for_a_log_each_problem_is_one_line() {
        let problems = Problems {
            list: vec![problem(), problem()],
            unlisted: 3,
        };
        let line = "ha-agent.toml:12:12: error: `priority` is too high";
        assert_eq!(problems.lines(), [line, line, "and 3 more problems"]);
    }
}
