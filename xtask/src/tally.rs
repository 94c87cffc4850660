//! Adds up libtest's `test result:` lines out of the stream they come in.

use std::fmt;
use std::ops::AddAssign;

/// How many tests passed, failed and were ignored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
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
    }
}

/// Takes output in pieces of any size.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    line: Vec<u8>,
    tally: Tally,
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
        self.tally
    }

    fn finish_line(&mut self) {
        if let Some(result) = parse(&String::from_utf8_lossy(&self.line)) {
            self.tally += result;
        }
        self.line.clear();
    }
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
