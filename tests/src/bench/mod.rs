//! How fast and how frugal: ours beside keepalived's, in one run on one machine.
//!
//! `contestant` knows the daemons, `master` plays the one that they stand by for, `takeover`, `receive`,
//! `many` (addresses) and `scale` (virtual routers) measure, `usage` reads what the kernel has counted,
//! `report` shows it all. `foreign` measures what the agent costs other traffic.

mod contestant;
mod figure;
mod flood;
pub mod foreign;
mod json;
mod load;
mod machine;
mod many;
mod master;
mod options;
mod receive;
mod report;
mod report_scale;
mod sample;
mod scale;
mod takeover;
mod usage;

use anyhow::Result;

pub use options::Options;

use crate::lab::{keepalived, require_tools};
use machine::Machine;
use report::Report;

/// Measures, prints the table and writes the JSON.
pub fn run(options: &Options) -> Result<()> {
    require_tools(&[keepalived::PROGRAM])?;
    if let Some(program) = &options.beside {
        contestant::set_beside(program)?;
    }
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
    json::write(&options.json, &report)
}
