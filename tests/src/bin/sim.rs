//! Plays simulated scenarios at length: `--seeds N`, or one of them again: `--seed S --trace`.

use std::process::ExitCode;

use clap::Parser;
use ha_tests::sim::{Plant, Summary, groups, play};

/// Plays elections on a virtual clock and checks the invariants.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many seeds to play, one after the other.
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// The first of them; a failure prints the seed that replays it.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Hosts with sync groups on several segments.
    #[arg(long)]
    groups: bool,
    /// Print every operation and transition.
    #[arg(long)]
    trace: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut total = Summary::default();
    for seed in arguments.seed..arguments.seed.saturating_add(arguments.seeds) {
        let play = if arguments.groups { groups::play } else { play };
        match play(seed, Plant::NONE, arguments.trace) {
            Ok(summary) => {
                total.events += summary.events;
                total.transitions += summary.transitions;
                total.slowest_per_mille = total.slowest_per_mille.max(summary.slowest_per_mille);
            }
            Err(violation) => {
                eprintln!("{violation}");
                let groups = if arguments.groups { " --groups" } else { "" };
                eprintln!("replay: cargo xtask sim{groups} --seed {seed} --trace");
                return ExitCode::FAILURE;
            }
        }
    }
    println!(
        "{} seeds, {} events, {} transitions: every invariant held; the slowest convergence took {} % of the bound",
        arguments.seeds,
        total.events,
        total.transitions,
        total.slowest_per_mille / 10
    );
    ExitCode::SUCCESS
}
