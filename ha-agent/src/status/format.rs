//! Spans of time and counted things in words.

/// A span in the two units that matter: `340 us`, `12.5 ms`, `1.25 s`, `3m 12s`, `4h 3m`, `3d 4h`.
pub(crate) fn span(micros: u64) -> String {
    let seconds = micros / 1_000_000;
    match micros {
        0..1_000 => format!("{micros} us"),
        1_000..100_000 => decimal(micros, 1_000, "ms"),
        100_000..1_000_000 => format!("{} ms", micros / 1_000),
        1_000_000..60_000_000 => decimal(micros, 1_000_000, "s"),
        _ if seconds < 3_600 => two(seconds / 60, "m", seconds % 60, "s"),
        _ if seconds < 86_400 => two(seconds / 3_600, "h", seconds / 60 % 60, "m"),
        _ => two(seconds / 86_400, "d", seconds / 3_600 % 24, "h"),
    }
}

/// `value / unit` with at most two decimals, cut, without trailing zeros.
fn decimal(value: u64, unit: u64, name: &str) -> String {
    let number = format!("{}.{:02}", value / unit, value % unit * 100 / unit);
    let number = number.trim_end_matches('0').trim_end_matches('.');
    format!("{number} {name}")
}

fn two(big: u64, big_name: &str, small: u64, small_name: &str) -> String {
    if small == 0 {
        format!("{big}{big_name}")
    } else {
        format!("{big}{big_name} {small}{small_name}")
    }
}

/// `1 advert`, `2 adverts`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_shown_in_the_units_that_matter() {
        for (micros, text) in [
            (0, "0 us"),
            (999, "999 us"),
            (1_000, "1 ms"),
            (12_345, "12.34 ms"),
            (300_999, "300 ms"),
            (1_250_000, "1.25 s"),
            (59_999_999, "59.99 s"),
            (60_000_000, "1m"),
            (192_000_000, "3m 12s"),
            (14_580_000_000, "4h 3m"),
            (273_600_000_000, "3d 4h"),
            (u64::MAX, "213503982d 8h"),
        ] {
            assert_eq!(span(micros), text);
        }
    }
}
