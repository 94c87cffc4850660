//! The words of a line, taken one after the other; what does not fit is a [`Problem`] with file and line.

use std::iter::Peekable;
use std::net::IpAddr;
use std::str::SplitWhitespace;

use ha_common::election::{Advert, MemberId, Params, Rules};
use ha_common::units::{Centiseconds, NANOS_PER_CENTISECOND, Nanos, Priority, Version};

use super::problem::Problem;

/// The longest interval on the wire: 255 s in v2.
const LONGEST_INTERVAL: u64 = 25_500;

/// What is left of a line.
#[derive(Clone, Debug)]
pub struct Words<'t> {
    file: &'t str,
    line: usize,
    rest: Peekable<SplitWhitespace<'t>>,
}

impl<'t> Words<'t> {
    /// All of a line, without its comment: from a word that is `#` or begins the line with it.
    pub fn new(file: &'t str, line: usize, text: &'t str) -> Self {
        let text = if text.trim_start().starts_with('#') {
            ""
        } else {
            text.split_once(" # ").map_or(text, |(words, _)| words)
        };
        Self {
            file,
            line,
            rest: text.split_whitespace().peekable(),
        }
    }

    /// The line's number, from 1.
    pub const fn line(&self) -> usize {
        self.line
    }

    /// True if nothing is left.
    pub fn is_empty(&mut self) -> bool {
        self.rest.peek().is_none()
    }

    /// A mistake in this line.
    pub fn problem(&self, message: impl Into<String>) -> Problem {
        Problem {
            file: self.file.to_owned(),
            line: self.line,
            message: message.into(),
        }
    }

    /// The next word; `expected` says what it should be.
    pub fn next(&mut self, expected: &str) -> Result<&'t str, Problem> {
        match self.rest.next() {
            Some(word) => Ok(word),
            None => Err(self.problem(format!("ends too early: here stands {expected}"))),
        }
    }

    /// The next word as a value.
    pub fn value<T>(
        &mut self,
        expected: &str,
        read: impl FnOnce(&'t str) -> Option<T>,
    ) -> Result<T, Problem> {
        let word = self.next(expected)?;
        read(word).ok_or_else(|| self.wrong(word, expected))
    }

    /// The problem of a word that should have been something else.
    pub fn wrong(&self, word: &str, expected: &str) -> Problem {
        self.problem(format!("`{word}` is wrong here: allowed is {expected}"))
    }

    /// The next word is this one.
    pub fn keyword(&mut self, keyword: &str) -> Result<(), Problem> {
        self.value(&format!("`{keyword}`"), |word| {
            (word == keyword).then_some(())
        })
    }

    /// Takes the next word if it is this one.
    pub fn take(&mut self, keyword: &str) -> bool {
        self.rest.next_if(|word| *word == keyword).is_some()
    }

    /// Nothing follows.
    pub fn end(&mut self) -> Result<(), Problem> {
        match self.rest.next() {
            None => Ok(()),
            Some(word) => Err(self.wrong(word, "the end of the line")),
        }
    }

    /// Seconds since the start.
    pub fn time(&mut self) -> Result<Nanos, Problem> {
        self.value(
            "a time in seconds since the start, such as 3.609375",
            decimal,
        )
    }

    /// A span with its unit.
    pub fn span(&mut self) -> Result<Nanos, Problem> {
        self.value("a span in s or ms, such as 1.5s or 10ms", span)
    }

    /// An address.
    pub fn address(&mut self) -> Result<IpAddr, Problem> {
        self.value("an IPv4 or IPv6 address", |word| word.parse().ok())
    }

    /// A priority.
    pub fn priority(&mut self) -> Result<Priority, Problem> {
        self.value("a priority from 0 to 255", |word| {
            word.parse().ok().map(Priority)
        })
    }

    /// An interval.
    pub fn interval(&mut self) -> Result<Centiseconds, Problem> {
        self.value("an interval from 10ms to 255s in steps of 10ms", |word| {
            let Nanos(nanos) = span(word)?;
            let whole = nanos.is_multiple_of(NANOS_PER_CENTISECOND);
            let hundredths = nanos / NANOS_PER_CENTISECOND;
            (whole && (1..=LONGEST_INTERVAL).contains(&hundredths))
                .then(|| u16::try_from(hundredths).ok().map(Centiseconds))?
        })
    }

    /// `SOURCE priority N interval SPAN`
    pub fn advert(&mut self) -> Result<Advert, Problem> {
        let source = self.address()?;
        self.keyword("priority")?;
        let priority = self.priority()?;
        self.keyword("interval")?;
        let interval = self.interval()?;
        Ok(Advert {
            source,
            priority,
            interval,
        })
    }

    /// `#N`: a member of the sync group.
    pub fn member(&mut self) -> Result<MemberId, Problem> {
        self.value("the number of a member as #N", |word| {
            word.strip_prefix('#')?.parse().ok().map(MemberId)
        })
    }

    /// `v3 from ADDRESS priority N interval SPAN times N preempt hold SPAN [delay SPAN] [grouped]`
    pub fn params(&mut self) -> Result<Params, Problem> {
        let version = self.value("`v2` or `v3`", |word| match word {
            "v2" => Some(Version::V2),
            "v3" => Some(Version::V3),
            _ => None,
        })?;
        self.keyword("from")?;
        let own_address = self.address()?;
        self.keyword("priority")?;
        let priority = self.priority()?;
        self.keyword("interval")?;
        let interval = self.interval()?;
        self.keyword("times")?;
        let down_multiplier = self.value("a number from 1 to 255", |word| {
            word.parse().ok().filter(|times| *times > 0)
        })?;
        let preempt = self.value("`preempt` or `nopreempt`", |word| match word {
            "preempt" => Some(true),
            "nopreempt" => Some(false),
            _ => None,
        })?;
        self.keyword("hold")?;
        let start_hold = self.span()?;
        let preempt_delay = if self.take("delay") {
            self.span()?
        } else {
            Nanos(0)
        };
        let grouped = self.take("grouped");
        Ok(Params {
            rules: Rules {
                version,
                own_address,
                priority,
                interval,
                preempt,
                down_multiplier,
            },
            start_hold,
            preempt_delay,
            grouped,
        })
    }
}

/// A span with its unit, exactly.
fn span(word: &str) -> Option<Nanos> {
    if let Some(millis) = word.strip_suffix("ms") {
        let Nanos(nanos) = decimal(millis)?;
        return nanos.is_multiple_of(1000).then_some(Nanos(nanos / 1000));
    }
    decimal(word.strip_suffix('s')?)
}

/// Seconds with up to nine decimals, exactly.
fn decimal(word: &str) -> Option<Nanos> {
    let (whole, fraction) = word.split_once('.').unwrap_or((word, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let whole: u64 = whole.parse().ok()?;
    let fraction: u64 = format!("{fraction:0<9}").parse().ok()?;
    whole
        .checked_mul(1_000_000_000)?
        .checked_add(fraction)
        .map(Nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Words<'_> {
        Words::new("events.txt", 4, text)
    }

    #[test]
    fn spans_and_times_are_exact_to_the_nanosecond() {
        assert_eq!(decimal("3.609375"), Some(Nanos(3_609_375_000)));
        assert_eq!(decimal("0"), Some(Nanos(0)));
        assert_eq!(decimal("0.000000001"), Some(Nanos(1)));
        assert_eq!(span("1.5s"), Some(Nanos(1_500_000_000)));
        assert_eq!(span("10ms"), Some(Nanos(10_000_000)));
        assert_eq!(span("0.001ms"), Some(Nanos(1_000)));
        for wrong in [
            "",
            "s",
            "1",
            ".5s",
            "1.s",
            "-1s",
            "1.0000000001s",
            "1m",
            "99999999999999999s",
        ] {
            assert_eq!(span(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_comment_ends_a_line_and_a_check_number_does_not() {
        for text in ["# all of it", "   # all of it", ""] {
            assert!(words(text).is_empty());
        }
        let mut line = words("0 web fault check #7 # the seventh");
        let mut found = Vec::new();
        while !line.is_empty() {
            found.push(line.next("a word").unwrap());
        }
        assert_eq!(found, ["0", "web", "fault", "check", "#7"]);
    }

    #[test]
    fn a_wrong_word_is_named_with_its_place_and_what_is_allowed() {
        let error = words("256").priority().unwrap_err();
        assert_eq!(
            error.to_string(),
            "events.txt:4: `256` is wrong here: allowed is a priority from 0 to 255"
        );
        let error = words("").priority().unwrap_err();
        assert_eq!(
            error.to_string(),
            "events.txt:4: ends too early: here stands a priority from 0 to 255"
        );
        let error = words("and more").end().unwrap_err();
        assert_eq!(
            error.to_string(),
            "events.txt:4: `and` is wrong here: allowed is the end of the line"
        );
        for wrong in ["0s", "15ms", "256s", "1"] {
            let error = words(wrong).interval().unwrap_err().to_string();
            assert!(
                error.contains("10ms to 255s in steps of 10ms"),
                "{wrong}: {error}"
            );
        }
    }
}
