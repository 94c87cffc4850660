//! When a deadline that could not be told is told again.

/// The first time: 5 ms.
const FIRST: u64 = 5_000_000;
/// At the longest: 1 s. Whoever reads the ring again waits for no longer.
const LONGEST: u64 = 1_000_000_000;
/// Doublings from the first to more than the longest.
const DOUBLINGS: u32 = 8;

/// How long after so many times that the ring was full, in nanoseconds: twice as long each time. A ring that nobody
/// reads is that of a dead agent, and each of its slots would fire for ever.
#[inline(always)]
pub const fn after(times: u32) -> u64 {
    let before = times.saturating_sub(1);
    let doublings = if before > DOUBLINGS {
        DOUBLINGS
    } else {
        before
    };
    let span = FIRST << doublings;
    if span > LONGEST { LONGEST } else { span }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_waits_twice_as_long_up_to_a_second() {
        for (times, millis) in [
            (0, 5),
            (1, 5),
            (2, 10),
            (3, 20),
            (8, 640),
            (9, 1000),
            (10, 1000),
            (u32::MAX, 1000),
        ] {
            assert_eq!(after(times), millis * 1_000_000, "{times}");
        }
    }
}
