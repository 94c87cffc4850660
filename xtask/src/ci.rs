//! `cargo xtask ci`: every stage even if an earlier one failed, the times, and the tests' closing line last.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::process;
use crate::setup::{self, Need};
use crate::tally::Tally;
use crate::workspace::Workspace;
use crate::{build_ebpf, fuzz, test, tidy};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Seconds for each fuzz target
    #[arg(long, default_value_t = 10)]
    fuzz_seconds: u64,
}

pub(crate) fn run(workspace: &Workspace, args: &Args) -> ExitCode {
    let mut stages = Stages::default();
    stages.run("fmt", || fmt(workspace));
    // Before clippy, because ha-agent does not compile without the object it embeds.
    stages.run("setup", || {
        setup::ensure(workspace, Need::ALL)?;
        build_ebpf::with_defaults(workspace)
    });
    stages.run("clippy", || clippy(workspace));
    stages.run("tidy", || tidy::run(workspace));
    let mut tally = Tally::default();
    stages.run("test", || {
        // What keeps the tests from running at all must not read as none having failed.
        tally.failed = 1;
        tally = test::run_all(workspace)?;
        anyhow::ensure!(tally.failed == 0, "{} tests failed", tally.failed);
        Ok(())
    });
    stages.run("fuzz", || fuzz::run_all(workspace, args.fuzz_seconds));
    println!("\n{}\n\n{}", stages.summary(), tally.closing());
    if stages.all_succeeded() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn fmt(workspace: &Workspace) -> Result<()> {
    process::run(workspace.cargo().args(["fmt", "--all", "--check"]))?;
    // The fuzz targets are a workspace of their own.
    process::run(
        workspace
            .cargo()
            .args(["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"]),
    )
}

fn clippy(workspace: &Workspace) -> Result<()> {
    process::run(workspace.cargo().args([
        "clippy",
        "--workspace",
        "--exclude",
        "ha-ebpf",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))?;
    clippy_ebpf(workspace)
}

/// The BPF programs, for the host: clippy generates no code, and so needs no `core` for the BPF target.
fn clippy_ebpf(workspace: &Workspace) -> Result<()> {
    process::run(
        workspace
            .cargo()
            .args(["clippy", "--package", "ha-ebpf", "--profile", "bpf"])
            .arg("--target-dir")
            .arg(workspace.path("target/ebpf-clippy"))
            .args(["--", "-D", "warnings"])
            // They name an unstable feature, inline assembly for BPF.
            .env("RUSTC_BOOTSTRAP", "1"),
    )
}

/// What ran, for how long, and what went wrong.
#[derive(Default)]
struct Stages {
    ran: Vec<(&'static str, Duration, Option<String>)>,
}

impl Stages {
    fn run(&mut self, name: &'static str, stage: impl FnOnce() -> Result<()>) {
        println!("\n==== {name}");
        let started = Instant::now();
        let problem = stage().err().map(|error| format!("{error:#}"));
        if let Some(problem) = &problem {
            println!("{name} failed: {problem}");
        }
        self.ran.push((name, started.elapsed(), problem));
    }

    fn all_succeeded(&self) -> bool {
        self.ran.iter().all(|(_, _, problem)| problem.is_none())
    }

    fn summary(&self) -> String {
        let lines = self.ran.iter().map(|(name, took, problem)| {
            let verdict = problem.as_deref().unwrap_or("ok");
            // The first line is enough here; the whole text stands where the stage ran.
            let verdict = verdict.lines().next().unwrap_or_default();
            format!("{name:<8}{:>7.1} s  {verdict}", took.as_secs_f64())
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_stages_run_although_an_earlier_one_failed_and_the_whole_fails() {
        let mut stages = Stages::default();
        let mut ran = false;
        stages.run("first", || anyhow::bail!("one\ntwo"));
        stages.run("second", || {
            ran = true;
            Ok(())
        });
        assert!(ran);
        assert!(!stages.all_succeeded());
        let summary = stages.summary();
        assert!(
            summary.contains("first") && summary.ends_with("ok"),
            "{summary}"
        );
        assert_eq!(summary.lines().count(), 2, "{summary}");
    }
}
