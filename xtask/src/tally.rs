//! Adds up libtest's `test result:` lines out of the stream they come in, and keeps what failed tests said.

use std::collections::VecDeque;
use std::fmt;
use std::ops::AddAssign;

/// Lines of a failed test that are kept for the summary: its last ones, which hold the error.
const KEPT_LINES: usize = 60;

/// How many tests passed, failed and were ignored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
    /// What each failed test said, in order.
    pub(crate) failures: Vec<Failure>,
}

/// A failed test.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Failure {
    name: String,
    said: VecDeque<String>,
    left_out: usize,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "---- {} failed:", self.name)?;
        if self.left_out > 0 {
            writeln!(f, "({} lines before these)", self.left_out)?;
        }
        self.said.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

impl Failure {
    fn add(&mut self, line: &str) {
        if self.said.len() == KEPT_LINES {
            self.said.pop_front();
            self.left_out += 1;
        }
        self.said.push_back(line.to_owned());
    }
}

/// The closing line, which other programs read: `N passed, N failed` and perhaps `, N skipped`.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(f, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed = self.passed.saturating_add(other.passed);
        self.failed = self.failed.saturating_add(other.failed);
        self.skipped = self.skipped.saturating_add(other.skipped);
        self.failures.extend(other.failures);
    }
}

impl Tally {
    /// The closing line, after what the failed tests said: whoever reads only the end sees which and why.
    pub(crate) fn closing(&self) -> String {
        let failures = self.failures.iter().map(Failure::to_string);
        failures
            .chain([self.to_string()])
            .collect::<Vec<_>>()
            .join("\n")
    }
}

/// Takes output in pieces of any size.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    line: Vec<u8>,
    tally: Tally,
    /// The failed test whose output is being read.
    failure: Option<Failure>,
}

impl Counter {
    pub(crate) fn feed(&mut self, piece: &[u8]) {
        for &byte in piece {
            if byte == b'\n' {
                self.finish_line();
            } else {
                self.line.push(byte);
            }
        }
    }

    /// The sum, including a last line without an end.
    pub(crate) fn finish(mut self) -> Tally {
        self.finish_line();
        self.end_failure();
        self.tally
    }

    fn finish_line(&mut self) {
        let line = String::from_utf8_lossy(&self.line).into_owned();
        self.line.clear();
        if let Some(name) = failed_test(&line) {
            self.end_failure();
            self.failure = Some(Failure {
                name: name.to_owned(),
                ..Failure::default()
            });
        } else if line == "failures:" {
            // The list of their names, which follows.
            self.end_failure();
        } else if let Some(failure) = &mut self.failure {
            failure.add(&line);
        } else if let Some(result) = parse(&line) {
            self.tally += result;
        }
    }

    fn end_failure(&mut self) {
        self.tally.failures.extend(self.failure.take());
    }
}

/// `---- name stdout ----`, above what a failed test said.
fn failed_test(line: &str) -> Option<&str> {
    line.strip_prefix("---- ")?.strip_suffix(" stdout ----")
}

/// `test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s`
fn parse(line: &str) -> Option<Tally> {
    let (_verdict, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let mut tally = Tally::default();
    for count in counts.split("; ") {
        match count.split_once(' ') {
            Some((number, "passed")) => tally.passed = number.parse().ok()?,
            Some((number, "failed")) => tally.failed = number.parse().ok()?,
            Some((number, "ignored")) => tally.skipped = number.parse().ok()?,
            _ => {}
        }
    }
    Some(tally)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "running 2 tests\ntest a ... ok\ntest b ... FAILED\n\n\
        test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 3 filtered out; finished in 0.01s\n\n\
        running 5 tests\n\
        test result: ok. 4 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 1.20s\n";

    #[test]
    fn results_add_up_however_the_stream_is_cut() {
        for size in 1..OUTPUT.len() {
            let mut counter = Counter::default();
            OUTPUT
                .as_bytes()
                .chunks(size)
                .for_each(|piece| counter.feed(piece));
            assert_eq!(
                counter.finish().to_string(),
                "5 passed, 1 failed, 1 skipped",
                "pieces of {size}"
            );
        }
    }

    #[test]
    fn what_a_failed_test_said_stands_above_the_closing_line() {
        let mut output =
            "running 3 tests\ntest a ... FAILED\ntest b ... FAILED\ntest c ... ok\n\nfailures:\n\n\
            ---- a stdout ----\nError: no luck\n\n---- b stdout ----\n"
                .to_owned();
        for line in 0..KEPT_LINES + 2 {
            output.extend(["line ", &line.to_string(), "\n"]);
        }
        output += "\n\nfailures:\n    a\n    b\n\n\
            test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s\n";
        let mut counter = Counter::default();
        counter.feed(output.as_bytes());
        let closing = counter.finish().closing();
        assert!(
            closing.starts_with("---- a failed:\nError: no luck\n"),
            "{closing}"
        );
        assert!(
            closing.contains("---- b failed:\n(4 lines before these)\nline 4\n"),
            "{closing}"
        );
        assert!(closing.ends_with("\n1 passed, 2 failed"), "{closing}");
    }

    #[test]
    fn a_line_without_an_end_counts_too() {
        let mut counter = Counter::default();
        counter.feed(OUTPUT.trim_end().as_bytes());
        assert_eq!(counter.finish().passed, 5);
    }

    #[test]
    fn nothing_skipped_is_not_mentioned() {
        assert_eq!(Tally::default().to_string(), "0 passed, 0 failed");
    }

    #[test]
    fn a_test_that_is_named_like_a_result_is_no_result() {
        assert_eq!(
            parse("test test result: ok. 5 passed; 0 failed ... ok"),
            None
        );
    }
}
