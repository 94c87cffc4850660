//! `cargo xtask bench`: take-over times, CPU and memory beside keepalived's.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use ha_tests::bench::{Options, run};

/// Measures ha-agent beside keepalived on this machine, in one run.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench")]
#[expect(clippy::struct_excessive_bools, reason = "options of a command line")]
struct Args {
    /// A fifth of the rounds and shorter readings
    #[arg(long)]
    quick: bool,
    /// Where to write every sample
    #[arg(long, value_name = "FILE", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/bench/bench.json"))]
    json: PathBuf,
    /// Take-overs only
    #[arg(long, group = "part")]
    takeovers: bool,
    /// The cost of adverts and memory only
    #[arg(long, group = "part")]
    receive: bool,
    /// Pairs with 255 and 1,000 virtual routers only; not part of a run without options
    #[arg(long, group = "part")]
    scale: bool,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let (rounds, listen, readings, steady) = if args.quick {
        (20, Duration::from_secs(3), 1, Duration::from_secs(10))
    } else {
        (100, Duration::from_secs(5), 5, Duration::from_mins(1))
    };
    run(&Options {
        rounds,
        listen,
        readings,
        json: args.json,
        takeovers: !args.receive && !args.scale,
        receive: !args.takeovers && !args.scale,
        scale: args.scale.then_some(steady),
    })
}
