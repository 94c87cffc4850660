//! What the host's kernel has counted: idle time of its cores, and what its IP layer got.

use anyhow::{Context as _, Result};

use super::subject::Subject;

/// A moment's counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Counters {
    /// Since the host's start, in seconds.
    uptime: f64,
    cores: f64,
    /// For how long the cores have been idle in sum, or somebody else's, in seconds. Busy time itself is only
    /// sampled by the tick.
    idle: f64,
    /// Buffers that the IP layer got, and their bytes.
    buffers: f64,
    bytes: f64,
}

/// What happened between two moments.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    /// Seconds that the cores were busy, in sum.
    pub(super) busy: f64,
    /// Bytes in one buffer on average.
    pub(super) buffer: f64,
}

impl Counters {
    pub(super) fn read(subject: &dyn Subject) -> Result<Self> {
        let text = subject.run("cat /proc/uptime /proc/stat /proc/net/snmp /proc/net/netstat")?;
        Self::parse(&text).with_context(|| format!("/proc is not as expected:\n{text}"))
    }

    fn parse(text: &str) -> Option<Self> {
        let number = |word: Option<&str>| word?.parse::<f64>().ok();
        // Programs see the same ticks on every machine of an architecture.
        let ticks = f64::from(u32::try_from(procfs::ticks_per_second()).ok()?);
        let all = text.lines().find(|line| line.starts_with("cpu "))?;
        // user nice system idle iowait irq softirq steal, in ticks (proc(5)).
        let field = |index: usize| number(all.split_whitespace().nth(index));
        let cores = text.lines().filter(|line| is_core(line)).count();
        Some(Self {
            uptime: number(text.split_whitespace().next())?,
            cores: f64::from(u32::try_from(cores).ok()?),
            idle: (field(4)? + field(5)? + field(8)?) / ticks,
            buffers: named(text, "Ip:", "InReceives")?,
            bytes: named(text, "IpExt:", "InOctets")?,
        })
    }

    pub(super) fn since(&self, before: &Self) -> Span {
        let whole = (self.uptime - before.uptime) * self.cores;
        Span {
            busy: whole - (self.idle - before.idle),
            buffer: (self.bytes - before.bytes) / (self.buffers - before.buffers).max(1.0),
        }
    }
}

/// Lines like `cpu0 1 2 3`.
fn is_core(line: &str) -> bool {
    let digit = line
        .strip_prefix("cpu")
        .and_then(|rest| rest.chars().next());
    digit.is_some_and(|first| first.is_ascii_digit())
}

/// A value of two lines that begin alike, the first with the names, the second with the numbers.
fn named(text: &str, table: &str, name: &str) -> Option<f64> {
    let mut lines = text
        .lines()
        .filter(|line| line.split_whitespace().next() == Some(table));
    let (names, values) = (lines.next()?, lines.next()?);
    let place = names.split_whitespace().position(|it| it == name)?;
    values.split_whitespace().nth(place)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "100.50 150.00\n\
        cpu  10 0 20 3000 100 0 5 50 0 0\n\
        cpu0 5 0 10 1500 50 0 5 25 0 0\n\
        cpu1 5 0 10 1500 50 0 0 25 0 0\n\
        intr 1\n\
        Ip: Forwarding InReceives InHdrErrors\n\
        Ip: 1 1000 0\n\
        IpExt: InNoRoutes InOctets\n\
        IpExt: 0 64000\n";

    #[test]
    fn busy_is_what_is_left_of_the_time_of_all_cores() {
        let before = Counters::parse(TEXT).unwrap();
        let later = TEXT
            .replace("100.50", "102.50")
            .replace("cpu  10 0 20 3000", "cpu  10 0 20 3100")
            .replace("Ip: 1 1000", "Ip: 1 1010")
            .replace("0 64000", "0 74000");
        let span = Counters::parse(&later).unwrap().since(&before);
        // Two seconds of two cores, of which one core was idle for one.
        assert!((span.busy - 3.0).abs() < 1e-9, "{span:?}");
        assert!((span.buffer - 1000.0).abs() < 1e-9, "{span:?}");
    }

    #[test]
    fn what_lacks_a_number_is_refused() {
        assert_eq!(Counters::parse(&TEXT.replace("InOctets", "Other")), None);
        assert_eq!(Counters::parse(""), None);
    }
}
