//! `cargo xtask bench`: take-over times, CPU and memory beside keepalived's.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use ha_tests::bench::{Options, run};

/// Measures ha-agent beside keepalived on this machine, in one run.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
struct Args {
    /// A fifth of the rounds and shorter readings
    #[arg(long)]
    quick: bool,
    /// Where to write every sample
    #[arg(long, value_name = "FILE", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/bench/bench.json"))]
    json: PathBuf,
    /// This part and those that are named beside it: take-overs
    #[arg(long)]
    takeovers: bool,
    /// The cost of adverts and memory
    #[arg(long)]
    receive: bool,
    /// Take-overs of many addresses
    #[arg(long)]
    many: bool,
    /// Pairs with 255 and 1,000 virtual routers; takes a quarter of an hour, and only runs when it is named
    #[arg(long)]
    scale: bool,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let (rounds, listen, readings, steady) = if args.quick {
        (20, Duration::from_secs(3), 1, Duration::from_secs(10))
    } else {
        (100, Duration::from_secs(5), 5, Duration::from_mins(1))
    };
    let all = !(args.takeovers || args.receive || args.many || args.scale);
    run(&Options {
        rounds,
        listen,
        readings,
        json: args.json,
        takeovers: all || args.takeovers,
        receive: all || args.receive,
        many_rounds: if args.quick { 5 } else { 25 },
        many: all || args.many,
        scale: args.scale.then_some(steady),
    })
}
