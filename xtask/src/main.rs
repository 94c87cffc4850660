//! `cargo xtask`: the one entry point for contributors and CI. Each subcommand is one file.

mod bench;
mod build_ebpf;
mod ci;
mod compliance;
mod demo;
mod fuzz;
mod golden;
mod lab_bin;
mod package;
mod process;
mod setup;
mod sim;
mod tally;
mod test;
mod tidy;
mod vm;
mod workspace;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

/// Build, test and package ha-agent
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install everything that builds and tests require: system packages, eBPF toolchain, bpf-linker
    Setup(setup::Args),
    /// Build the BPF programs into target/ebpf/ha-ebpf.o
    BuildEbpf(build_ebpf::Args),
    /// Build everything and run every test
    Test(test::Args),
    /// Run the tests in a virtual machine, whose network card filters multicast
    Vm(vm::Args),
    /// Check what rustfmt and clippy do not: docs, links, citations, licences, stray unsafe, leftovers
    Tidy,
    /// Write docs/compliance.md from the citations of the VRRP standards in code and tests
    Compliance(compliance::Args),
    /// Run what CI runs: fmt, clippy, tidy, test and a short fuzz
    Ci(ci::Args),
    /// Play the failover demo in network namespaces, with real nginx
    #[command(disable_help_flag = true)]
    Demo(Forwarded),
    /// Run the simulation of elections
    #[command(disable_help_flag = true)]
    Sim(Forwarded),
    /// Import a recording as a golden scenario, or play one
    #[command(disable_help_flag = true)]
    Golden(Forwarded),
    /// Measure take-over times, CPU and memory beside keepalived
    #[command(disable_help_flag = true)]
    Bench(Forwarded),
    /// Fuzz each target for some seconds
    Fuzz(fuzz::Args),
    /// Make the Debian package
    Package,
}

/// Arguments that go to the program behind the subcommand as they are.
#[derive(clap::Args)]
pub(crate) struct Forwarded {
    /// Passed on; `--help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

fn main() -> ExitCode {
    match run(Cli::parse().task) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<ExitCode> {
    let workspace = Workspace::discover()?;
    let done = |result: Result<()>| result.map(|()| ExitCode::SUCCESS);
    match task {
        Task::Setup(args) => done(setup::run(&workspace, &args)),
        Task::BuildEbpf(args) => done(build_ebpf::run(&workspace, &args)),
        Task::Test(args) => test::run(&workspace, &args),
        Task::Vm(args) => vm::run(&workspace, args),
        Task::Compliance(args) => done(compliance::run(&workspace, &args)),
        Task::Tidy => done(tidy::run(&workspace)),
        Task::Ci(args) => Ok(ci::run(&workspace, &args)),
        Task::Demo(forwarded) => done(demo::run(&workspace, &forwarded.args)),
        Task::Sim(forwarded) => done(sim::run(&workspace, &forwarded.args)),
        Task::Golden(forwarded) => done(golden::run(&workspace, &forwarded.args)),
        Task::Bench(forwarded) => done(bench::run(&workspace, &forwarded.args)),
        Task::Fuzz(args) => done(fuzz::run(&workspace, &args)),
        Task::Package => done(package::run(&workspace)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn hyphenated_arguments_are_forwarded_untouched() {
        let cli = Cli::try_parse_from(["cargo xtask", "demo", "--keep", "--help"]).unwrap();
        let Task::Demo(forwarded) = cli.task else {
            panic!("demo was asked for");
        };
        assert_eq!(forwarded.args, ["--keep", "--help"]);
    }
}
