//! How fast and how frugal: ours beside keepalived's, in one run on one machine.
//!
//! `contestant` knows the daemons, `master` plays the one that they stand by for, `takeover`, `receive`,
//! `many` (addresses) and `scale` (virtual routers) measure, `usage` reads what the kernel has counted,
//! `report` shows it all. `foreign` measures what the agent costs other traffic.

mod contestant;
mod flood;
pub mod foreign;
mod load;
mod machine;
mod many;
mod master;
mod receive;
mod report;
mod report_scale;
mod sample;
mod scale;
mod takeover;
mod usage;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::lab::{keepalived, require_tools};
use machine::Machine;
use report::Report;

/// How long it measures.
#[derive(Clone, Debug)]
pub struct Options {
    /// Take-overs of each contestant, idle and busy each.
    pub rounds: usize,
    /// How long each reading of the cost of adverts takes.
    pub listen: Duration,
    /// Readings of each contestant.
    pub readings: usize,
    /// Where the results go as JSON.
    pub json: PathBuf,
    /// Measure the take-overs.
    pub takeovers: bool,
    /// Measure the cost of adverts and the memory.
    pub receive: bool,
    /// Measure pairs with many virtual routers, with so much steady state each.
    pub scale: Option<Duration>,
    /// Take-overs of each contestant with each number of addresses.
    pub many_rounds: usize,
    /// Measure the take-overs of many addresses.
    pub many: bool,
}

/// Measures, prints the table and writes the JSON.
pub fn run(options: &Options) -> Result<()> {
    require_tools(&[keepalived::PROGRAM])?;
    let mut report = Report::new(Machine::read(keepalived::PROGRAM)?, options);
    if options.takeovers {
        report.takeovers = takeover::measure(options.rounds)?;
    }
    if options.receive {
        report.receive = receive::measure(options.listen, options.readings)?;
    }
    if let Some(steady) = options.scale {
        report.scale = scale::measure(steady)?;
    }
    if options.many {
        report.many = many::measure(options.many_rounds)?;
    }
    report.machine.note_end()?;
    print!("{}", report.text());
    write_json(&options.json, &report)
}

fn write_json(path: &Path, report: &impl Serialize) -> Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
    }
    let json = serde_json::to_string_pretty(report).context("the results are no JSON")?;
    std::fs::write(path, json + "\n")
        .with_context(|| format!("cannot write {}", path.display()))?;
    println!("\nevery sample: {}", path.display());
    Ok(())
}
