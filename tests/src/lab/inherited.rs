//! What a command that the agent runs has of the agent: limits, scheduling, capabilities, as it sees them itself.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};

/// Prints them in one line of `name=value`, by words that busybox has as well. Whether it may be a real-time thread
/// is tried, where there is chrt.
pub const REPORT: &str = concat!(
    "chrt --fifo 50 true 2>/dev/null && rt=yes || rt=no; ",
    "echo rtprio=$(ulimit -r) memlock=$(ulimit -l) core=$(ulimit -c) files=$(ulimit -n) rt=$rt ",
    // proc(5): fields 19 and 41 of a process whose name has no spaces.
    "nice=$(cut -d ' ' -f 19 /proc/self/stat) policy=$(cut -d ' ' -f 41 /proc/self/stat) ",
    "oom=$(cat /proc/self/oom_score_adj) user=$(id -u) ",
    "$(sed -n 's/^\\(Cap[A-Z][a-z]*\\):[^0-9a-f]*/\\1=/p' /proc/self/status)"
);

/// What one command has reported.
#[derive(Clone, Debug)]
pub struct Inherited(BTreeMap<String, String>);

impl Inherited {
    /// Reads it out of a text that holds such a line.
    pub fn read(text: &str) -> Self {
        let words = text.split(|c: char| c.is_whitespace() || "();".contains(c));
        let pairs = words.filter_map(|word| word.split_once('='));
        Self(
            pairs
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        )
    }

    /// One value.
    pub fn get(&self, name: &str) -> Result<&str> {
        let found = self.0.get(name).map(String::as_str);
        found.with_context(|| format!("{name} is not in {self:?}"))
    }

    /// Fails unless it is an ordinary process with ordinary limits and no inherited capability.
    pub fn is_ordinary(&self) -> Result<()> {
        for (name, value) in [
            ("rtprio", "0"),
            ("core", "0"),
            ("nice", "0"),
            ("oom", "0"),
            // SCHED_OTHER.
            ("policy", "0"),
            ("CapInh", "0000000000000000"),
            ("CapAmb", "0000000000000000"),
        ] {
            ensure!(self.get(name)? == value, "{name} is not {value}: {self:?}");
        }
        let locked: u64 = self.get("memlock")?.parse().context("memlock in KiB")?;
        ensure!(locked <= 8192, "{self:?}");
        Ok(())
    }

    /// Fails unless it has no capability and may not be a real-time thread.
    pub fn is_powerless(&self) -> Result<()> {
        for name in ["CapPrm", "CapEff"] {
            ensure!(self.get(name)? == "0000000000000000", "{self:?}");
        }
        ensure!(self.get("rt")? == "no", "{self:?}");
        Ok(())
    }
}
