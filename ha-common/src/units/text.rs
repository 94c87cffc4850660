//! Spans of time as text, exact to the nanosecond: `3.609375s`, `10ms`.

use core::fmt;
use core::str::FromStr;

use super::{Centiseconds, Instant, NANOS_PER_CENTISECOND, NANOS_PER_SECOND, Nanos};

/// A text that is no span.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NotASpan;

impl fmt::Display for NotASpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a span of time is written in s or ms, such as 1.5s or 10ms")
    }
}

/// A span that no interval on the wire has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NotAnInterval;

impl fmt::Display for NotAnInterval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an interval is a multiple of 10ms, 655.35s at most")
    }
}

/// In seconds, with as many decimals as it takes.
impl fmt::Display for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.0 / NANOS_PER_SECOND;
        let (mut fraction, mut decimals) = (self.0 % NANOS_PER_SECOND, 9);
        if fraction == 0 {
            return write!(f, "{whole}s");
        }
        while fraction.is_multiple_of(10) {
            (fraction, decimals) = (fraction / 10, decimals - 1);
        }
        write!(f, "{whole}.{fraction:0decimals$}s")
    }
}

/// Seconds with up to nine decimals, or milliseconds with up to six.
impl FromStr for Nanos {
    type Err = NotASpan;

    fn from_str(text: &str) -> Result<Self, NotASpan> {
        let (number, decimals) = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
            (Some(number), _) => (number, 6),
            (None, Some(number)) => (number, 9),
            (None, None) => return Err(NotASpan),
        };
        decimal(number, decimals).map(Self).ok_or(NotASpan)
    }
}

/// A number with at most so many decimals, as a multiple of the last of them.
fn decimal(text: &str, decimals: usize) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let power = |exponent: usize| u32::try_from(exponent).map_or(0, |it| 10_u64.pow(it));
    let missing = decimals.checked_sub(fraction.len())?;
    let fraction = fraction.parse::<u64>().ok()? * power(missing);
    let whole = whole.parse::<u64>().ok()?.checked_mul(power(decimals))?;
    whole.checked_add(fraction)
}

/// The span since the clock's zero.
impl From<Instant> for Nanos {
    fn from(at: Instant) -> Self {
        at.since(Instant(0))
    }
}

impl From<Nanos> for Instant {
    fn from(since_zero: Nanos) -> Self {
        Self(0) + since_zero
    }
}

impl From<Centiseconds> for Nanos {
    fn from(interval: Centiseconds) -> Self {
        interval.nanos()
    }
}

impl TryFrom<Nanos> for Centiseconds {
    type Error = NotAnInterval;

    fn try_from(Nanos(nanos): Nanos) -> Result<Self, NotAnInterval> {
        let hundredths = u16::try_from(nanos / NANOS_PER_CENTISECOND);
        let whole = nanos.is_multiple_of(NANOS_PER_CENTISECOND);
        hundredths
            .ok()
            .filter(|_| whole)
            .map(Self)
            .ok_or(NotAnInterval)
    }
}

#[cfg(feature = "serde")]
mod values {
    use super::{Nanos, fmt};
    use serde::de::{Deserialize, Deserializer, Error, Visitor};
    use serde::ser::{Serialize, Serializer};

    impl Serialize for Nanos {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(self)
        }
    }

    impl<'de> Deserialize<'de> for Nanos {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_str(Text)
        }
    }

    struct Text;

    impl Visitor<'_> for Text {
        type Value = Nanos;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a span in s or ms, such as \"1.5s\" or \"10ms\"")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Nanos, E> {
            text.parse().map_err(E::custom)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn a_span_is_written_and_read_exactly() {
        for (text, nanos) in [
            ("0s", 0),
            ("1s", 1_000_000_000),
            ("0.01s", 10_000_000),
            ("3.609375s", 3_609_375_000),
            ("12.000000001s", 12_000_000_001),
            ("18446744073.709551615s", u64::MAX),
        ] {
            assert_eq!(Nanos(nanos).to_string(), text);
            assert_eq!(text.parse(), Ok(Nanos(nanos)), "{text}");
        }
        assert_eq!("10ms".parse(), Ok(Nanos::from_millis(10)));
        assert_eq!("0.001ms".parse(), Ok(Nanos(1_000)));
    }

    #[test]
    fn what_is_no_span_or_is_not_exact_is_refused() {
        for wrong in [
            "",
            "s",
            "1",
            ".5s",
            "1.s",
            "-1s",
            "1.0000000001s",
            "0.0000001ms",
            "1m",
            "99999999999999999s",
        ] {
            assert_eq!(wrong.parse::<Nanos>(), Err(NotASpan), "{wrong}");
        }
    }

    #[test]
    fn an_interval_is_whole_hundredths_of_a_second() {
        assert_eq!(
            Centiseconds::try_from(Nanos::from_millis(1500)),
            Ok(Centiseconds(150))
        );
        for wrong in [Nanos::from_millis(15), Nanos(u64::MAX)] {
            assert_eq!(Centiseconds::try_from(wrong), Err(NotAnInterval));
        }
    }
}
