//! The journal of one unit on a machine, followed as it is written.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::Machine;
use crate::lab::Process;

/// The journal of a unit: what it logs, and what systemd says about it.
#[derive(Debug)]
pub struct Journal {
    process: Process,
}

/// One record: its fields by name. A field that occurs several times, or that is no text, reads as empty.
#[derive(Clone, Debug)]
pub struct Record(Value);

impl Journal {
    /// Follows the records of a unit, from the machine's start on.
    pub fn follow(machine: &Machine, unit: &str) -> Result<Self> {
        let unit = format!("--unit={unit}");
        let argv = [
            "journalctl",
            "--follow",
            "--lines=all",
            "--output=json",
            &unit,
        ];
        Ok(Self {
            process: machine.spawn("journal", &argv)?,
        })
    }

    /// Where it stands now: the mark for [`Self::wait_after`].
    pub fn mark(&self) -> usize {
        self.process.mark()
    }

    /// The records from a mark on, as far as they have come.
    pub fn after(&self, mark: usize) -> Vec<Record> {
        let lines = self.process.lines_after(mark);
        lines
            .iter()
            .filter_map(|it| Record::read(&it.text))
            .collect()
    }

    /// Waits for a record after `mark` whose message contains `part`.
    pub fn wait_after(&self, mark: usize, part: &str, timeout: Duration) -> Result<Record> {
        let line =
            self.process
                .wait_for_line_where(mark, &format!("{part:?}"), timeout, |line| {
                    Record::read(line).is_some_and(|record| record.message().contains(part))
                })?;
        Record::read(&line.text).context("a record that is no JSON")
    }
}

impl Record {
    fn read(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok().map(Self)
    }

    /// A field.
    pub fn field(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap_or_default()
    }

    /// What `journalctl` shows by itself.
    pub fn message(&self) -> &str {
        self.field("MESSAGE")
    }
}
