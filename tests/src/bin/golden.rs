//! Golden scenarios by hand: `import FILE NAME` makes one of a recording, `play NAME` shows what comes of one.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::{Parser, Subcommand};
use ha_tests::golden::import::import;
use ha_tests::golden::{Scenario, Verdict, folder};

/// Makes and shows golden scenarios.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask golden", bin_name = "cargo xtask golden")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Import a recording of `ha-agent run --record` as a scenario
    Import {
        /// The recording
        file: PathBuf,
        /// The scenario's name: a directory under tests/scenarios
        name: String,
    },
    /// Play a scenario and show the result
    Play {
        /// The scenario's name, or a path to its directory
        name: String,
    },
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Import { file, name } => import_one(&file, &name),
        Command::Play { name } => play(&name),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn import_one(file: &Path, name: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    ensure!(
        !name.is_empty() && name.chars().all(plain),
        "a scenario's name is made of lower-case letters, digits and '-', such as master-dies"
    );
    let folder = folder().join(name);
    let (scenario, parts) = import(file, &folder)?;
    println!("made {}", folder.display());
    if let Some(line) = parts.cut_at {
        println!("the recording lacks entries from its line {line} on: the scenario ends there");
    }
    match scenario.judge()? {
        Verdict::Same => println!("it replays to the recorded actions"),
        Verdict::Blessed => println!("its expected.txt is what a replay gives"),
        Verdict::Differs(difference) => {
            println!("it does not replay to the recorded actions:\n{difference}");
        }
    }
    println!("config.toml and events.jsonl may be shortened and given comments by hand");
    Ok(())
}

fn play(name: &str) -> Result<()> {
    let known = folder().join(name);
    let folder = if known.is_dir() {
        known
    } else {
        PathBuf::from(name)
    };
    for line in Scenario::read(&folder)?.play()?.lines {
        println!("{line}");
    }
    Ok(())
}
