//! Plays simulated scenarios at length: `--seeds N`, or one of them again: `--seed S --trace`. What fails is shrunk to
//! the smallest case that still does.

use std::process::ExitCode;

use clap::Parser;
use ha_sim::bugs::{self, BUGS};
use ha_sim::script::{self, Script};
use ha_sim::{Hooks, campaign, groups, play, scenario};

/// Plays elections on a virtual clock and checks the invariants.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many seeds to play, on all processors.
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// The first of them; a failure prints the seed that replays it.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Hosts with sync groups on several segments.
    #[arg(long)]
    groups: bool,
    /// Inject this bug, which an invariant must find; a name that does not exist lists them.
    #[arg(long)]
    inject: Option<String>,
    /// Print every operation and transition of the first seed.
    #[arg(long)]
    trace: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let bug = match arguments.inject.as_deref().map(bugs::named) {
        None => Hooks::NONE,
        Some(Some(bug)) => bug.hooks,
        Some(None) => {
            eprintln!("no such bug; there are:");
            for bug in BUGS {
                let groups = if bug.groups { " --groups" } else { "" };
                let breaks = bug.breaks.sentence();
                eprintln!(
                    "  --inject {}{groups}, so that it does not hold that {breaks}",
                    bug.name
                );
            }
            return ExitCode::from(2);
        }
    };
    let play = if arguments.groups { groups::play } else { play };
    let first = arguments.seed;
    let result = if arguments.trace {
        play(first, bug, true).map(|summary| format!("seed {first}: {summary:?}"))
    } else {
        let seeds = first..first.saturating_add(arguments.seeds);
        campaign::run(seeds, play, bug).map(|total| total.to_string())
    };
    match result {
        Ok(summary) => {
            println!("{summary}");
            ExitCode::SUCCESS
        }
        Err(violation) => {
            eprintln!("{violation}");
            explain(violation.seed, &arguments, bug);
            ExitCode::FAILURE
        }
    }
}

/// Shows the least that still fails, and how to see it all.
fn explain(seed: u64, arguments: &Arguments, bug: Hooks) {
    let (script, again): (Script, fn(&Script, Hooks, bool) -> _) = if arguments.groups {
        (groups::script(seed), groups::play_script)
    } else {
        (scenario::script(seed), scenario::play_script)
    };
    let small = script::shrink(&script, |less| again(less, bug, false).is_err());
    eprintln!("the smallest case that still fails, {:?}:", small.setup);
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
    if let Err(violation) = again(&small, bug, arguments.trace) {
        eprintln!("  {violation}");
    }
    let groups = if arguments.groups { " --groups" } else { "" };
    let inject = arguments.inject.as_deref();
    let inject = inject.map_or_else(String::new, |name| format!(" --inject {name}"));
    eprintln!("the whole: cargo xtask sim{groups}{inject} --seed {seed} --trace");
}
