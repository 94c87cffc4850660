//! `cargo xtask fuzz`: every target in `fuzz/` (cargo-fuzz's layout) for some seconds.
//!
//! The flags are those of cargo-fuzz, given by ourselves: so neither it nor a nightly has to be installed.
//! Stable rustc ships the address sanitizer's run-time library and knows the flags; `RUSTC_BOOTSTRAP` lets it
//! take them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::process;
use crate::setup::{self, Need};
use crate::workspace::Workspace;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Seconds for each target
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Only these targets; default: all
    target: Vec<String>,
}

/// Coverage feedback, sanitizer, and the checks that a release build leaves out.
const RUSTFLAGS: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-simplifycfg-branch-fold-threshold=0",
    "-Zsanitizer=address",
    "-Ccodegen-units=1",
    "-Cdebug-assertions",
    "-Coverflow-checks",
    "--cfg",
    "fuzzing",
];

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    setup::ensure(workspace, &[Need::Fuzz])?;
    let targets = select(targets(&workspace.path("fuzz/fuzz_targets"))?, &args.target)?;
    let programs = build(workspace)?;
    for target in &targets {
        println!("\n== fuzzing {target} for {} s", args.seconds);
        fuzz(workspace, &programs.join(target), target, args.seconds)?;
    }
    println!("\n{} targets fuzzed, nothing found", targets.len());
    Ok(())
}

/// Every target, each for this long.
pub(crate) fn run_all(workspace: &Workspace, seconds: u64) -> Result<()> {
    let target = Vec::new();
    run(workspace, &Args { seconds, target })
}

/// A target is a file in `fuzz_targets`; its program has the file's name.
fn targets(folder: &Path) -> Result<BTreeSet<String>> {
    let entries = fs::read_dir(folder).with_context(|| format!("listing {}", folder.display()))?;
    let mut targets = BTreeSet::new();
    for entry in entries {
        let file = entry?.path();
        if file.extension().is_some_and(|extension| extension == "rs") {
            let name = file.file_stem().and_then(|stem| stem.to_str());
            targets.insert(
                name.context("a fuzz target's name is not UTF-8")?
                    .to_owned(),
            );
        }
    }
    if targets.is_empty() {
        bail!("no fuzz target in {}", folder.display());
    }
    Ok(targets)
}

fn select(all: BTreeSet<String>, wanted: &[String]) -> Result<BTreeSet<String>> {
    if wanted.is_empty() {
        return Ok(all);
    }
    for name in wanted {
        if !all.contains(name) {
            let known: Vec<_> = all.iter().map(String::as_str).collect();
            bail!(
                "no such fuzz target: `{name}`; available: {}",
                known.join(", ")
            );
        }
    }
    Ok(wanted.iter().cloned().collect())
}

/// Builds all targets and says where the programs are.
fn build(workspace: &Workspace) -> Result<PathBuf> {
    let target_dir = workspace.path("target/fuzz");
    let host = host_triple()?;
    process::run(
        workspace
            .cargo()
            .args([
                "build",
                "--manifest-path",
                "fuzz/Cargo.toml",
                "--release",
                "--bins",
            ])
            // With a named target the flags stay away from build scripts and macros, which run unsanitized.
            .args(["--target", &host])
            .arg("--target-dir")
            .arg(&target_dir)
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CARGO_ENCODED_RUSTFLAGS", RUSTFLAGS.join("\u{1f}")),
    )?;
    Ok(target_dir.join(host).join("release"))
}

fn fuzz(workspace: &Workspace, program: &Path, target: &str, seconds: u64) -> Result<()> {
    // libFuzzer writes what it learns into the first corpus and only reads the seeds.
    let learned = workspace.path("fuzz/corpus-work").join(target);
    let seeds = workspace.path("fuzz/corpus").join(target);
    let artifacts = workspace.path("fuzz/artifacts").join(target);
    if !seeds.is_dir() {
        bail!(
            "the fuzz target `{target}` has no seed corpus in {}",
            seeds.display()
        );
    }
    for folder in [&learned, &artifacts] {
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    }
    // Thousands of lines that matter only when something is found: they would bury everything before them.
    let log = programs_log(program, target);
    let file = fs::File::create(&log).with_context(|| format!("making {}", log.display()))?;
    let mut command = Command::new(program);
    command
        .stderr(file)
        .current_dir(workspace.path("fuzz"))
        .arg(format!("-max_total_time={seconds}"))
        .arg("-timeout=10")
        .arg("-print_final_stats=1")
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .args([learned, seeds]);
    let outcome = process::run(&mut command).with_context(|| {
        format!(
            "fuzzing {target} found something. To replay it: {} {}/FILE",
            program.display(),
            artifacts.display()
        )
    });
    let said = fs::read(&log).with_context(|| format!("reading {}", log.display()))?;
    let said = String::from_utf8_lossy(&said);
    println!(
        "{}",
        if outcome.is_ok() {
            summary(&said)
        } else {
            tail(&said)
        }
    );
    outcome
}

fn programs_log(program: &Path, target: &str) -> PathBuf {
    program.with_file_name(format!("{target}.log"))
}

/// libFuzzer's own last line: how much was tried.
fn summary(said: &str) -> &str {
    let done = |line: &&str| line.starts_with("Done ");
    said.lines().rfind(done).unwrap_or("no summary")
}

/// The end of what a fuzzer that found something has said: the report and the way to it.
fn tail(said: &str) -> &str {
    const BYTES: usize = 8000;
    let start = said.ceil_char_boundary(said.len().saturating_sub(BYTES));
    said.get(start..).unwrap_or(said)
}

fn host_triple() -> Result<String> {
    let version = process::output(Command::new("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("`rustc -vV` names no host")?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_quiet_run_the_last_line_is_shown_and_of_a_find_the_end() {
        assert_eq!(
            summary("#1 NEW\nDone 7 runs in 1 second(s)\nstat::x: 1\n"),
            "Done 7 runs in 1 second(s)"
        );
        assert_eq!(tail("short"), "short");
        let long = "ä".repeat(9000);
        assert_eq!(tail(&long).len(), 8000);
    }

    #[test]
    fn targets_are_the_rust_files_of_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        assert!(targets(folder.path()).is_err());
        for file in ["frame.rs", "config.rs", "notes.md"] {
            fs::write(folder.path().join(file), "").unwrap();
        }
        let found = targets(folder.path()).unwrap();
        assert_eq!(found.iter().collect::<Vec<_>>(), ["config", "frame"]);

        let chosen = select(found.clone(), &["frame".to_owned()]).unwrap();
        assert_eq!(chosen.iter().collect::<Vec<_>>(), ["frame"]);
        let error = select(found, &["fram".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("config, frame"), "{error}");
    }
}
