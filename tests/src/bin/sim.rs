//! Plays simulated scenarios at length: `--seeds N`, or one of them again: `--seed S --trace`. What fails is shrunk to
//! the least that still does.

use std::process::ExitCode;

use clap::Parser;
use ha_tests::sim::plants::{self, BUGS};
use ha_tests::sim::script::{self, Script};
use ha_tests::sim::{Plant, Summary, groups, play, scenario};

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
    /// Plant this bug, which an invariant must find; a name that does not exist lists them.
    #[arg(long)]
    plant: Option<String>,
    /// Print every operation and transition.
    #[arg(long)]
    trace: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let plant = match arguments.plant.as_deref().map(plants::named) {
        None => Plant::NONE,
        Some(Some(bug)) => bug.plant,
        Some(None) => {
            let names: Vec<&str> = BUGS.iter().map(|bug| bug.name).collect();
            eprintln!("no such bug; available: {}", names.join(", "));
            return ExitCode::from(2);
        }
    };
    let play = if arguments.groups { groups::play } else { play };
    let mut total = Summary::default();
    for seed in arguments.seed..arguments.seed.saturating_add(arguments.seeds) {
        match play(seed, plant, arguments.trace) {
            Ok(summary) => {
                total.events += summary.events;
                total.transitions += summary.transitions;
                total.slowest_per_mille = total.slowest_per_mille.max(summary.slowest_per_mille);
            }
            Err(violation) => {
                eprintln!("{violation}");
                explain(seed, &arguments, plant);
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

/// Shows the least that still fails, and how to see it all.
fn explain(seed: u64, arguments: &Arguments, plant: Plant) {
    let (small, violation) = if arguments.groups {
        let (grid, whole) = groups::script(seed);
        let again = |script: &Script| groups::play_script(&(grid, script.clone()), plant, false);
        let small = script::shrink(&whole, |script| again(script).is_err());
        let violation = again(&small).err();
        (small, violation)
    } else {
        let again = |script: &Script| scenario::play_script(script, plant, false);
        let small = script::shrink(&scenario::script(seed), |script| again(script).is_err());
        let violation = again(&small).err();
        (small, violation)
    };
    eprintln!("the smallest case that still fails:");
    for (id, params) in small.params.iter().enumerate() {
        eprintln!("  node {id}: {params:?}");
    }
    for (number, round) in (1..).zip(&small.rounds) {
        let trouble = round.trouble.to_duration();
        eprintln!(
            "  round {number}, {trouble:?} of trouble, then quiet with parts {:?}",
            round.quiet
        );
        for (at, op) in &round.ops {
            eprintln!("    after {:?}: {op:?}", at.to_duration());
        }
    }
    if let Some(violation) = violation {
        eprintln!("  {violation}");
    }
    let groups = if arguments.groups { " --groups" } else { "" };
    let plant = arguments
        .plant
        .iter()
        .map(|name| format!(" --plant {name}"));
    let plant: String = plant.collect();
    eprintln!("the whole: cargo xtask sim{groups}{plant} --seed {seed} --trace");
}
