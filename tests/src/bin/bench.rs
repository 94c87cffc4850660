//! `cargo xtask bench`: take-over times, CPU and memory beside keepalived's, and the cost to other traffic.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use ha_tests::bench::{Options, foreign, run};

/// Measures ha-agent beside keepalived on this machine, in one run.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
struct Args {
    /// Run a fifth of the rounds, with shorter readings
    #[arg(long)]
    quick: bool,
    /// Where to write every sample [default: target/bench/bench.json or bench-foreign.json]
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Another ha-agent to measure in the same run, such as one from before a change
    #[arg(long, value_name = "PROGRAM", conflicts_with = "foreign")]
    beside: Option<PathBuf>,
    /// Only the named parts: take-overs
    #[arg(long)]
    takeovers: bool,
    /// The cost of adverts and memory
    #[arg(long)]
    receive: bool,
    /// Take-overs of many addresses
    #[arg(long)]
    many: bool,
    /// Pairs with 255 and 1,000 virtual routers; takes a quarter of an hour, runs only when named
    #[arg(long)]
    scale: bool,
    /// What the agent costs other traffic; takes twenty minutes, cannot be combined
    #[arg(long, conflicts_with_all = ["takeovers", "receive", "many", "scale"])]
    foreign: bool,
}

const RESULTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/bench");

fn main() -> Result<()> {
    let args = Args::parse();
    let json = |name| args.json.clone().unwrap_or(Path::new(RESULTS).join(name));
    if args.foreign {
        return foreign::run(&foreign::Options {
            rounds: if args.quick { 3 } else { 5 },
            seconds: if args.quick { 1 } else { 2 },
            json: json("bench-foreign.json"),
        });
    }
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
        json: json("bench.json"),
        beside: args.beside.clone(),
        takeovers: all || args.takeovers,
        receive: all || args.receive,
        many_rounds: if args.quick { 5 } else { 25 },
        many: all || args.many,
        scale: args.scale.then_some(steady),
    })
}
