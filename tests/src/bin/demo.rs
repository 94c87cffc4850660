//! `cargo xtask demo`: the nine steps, to watch.

use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use ha_tests::demo::{Options, run};
use ha_tests::scenario::Settings;

/// Plays a failover with two agents, real nginx and a client, step by step
#[derive(Debug, Parser)]
#[command(name = "cargo xtask demo")]
struct Args {
    /// Keep the lab up at the end, and show how to enter it
    #[arg(long)]
    keep: bool,
    /// Only with adverts every 10 ms, by native XDP; default: also every second, by the default datapath
    #[arg(long)]
    fast: bool,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let mut runs = vec![Settings::every(Duration::from_millis(10)).by("native")];
    if !args.fast {
        runs.insert(0, Settings::every(Duration::from_secs(1)));
    }
    run(&Options {
        runs,
        keep: args.keep,
    })
}
