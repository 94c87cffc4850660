//! `cargo xtask vm`: the tests that need a network card with a filter, in a virtual machine; and the matrix of
//! interfaces, cards and kernels, which is too slow for CI.

use std::process::ExitCode;

use anyhow::{Result, ensure};

use crate::build_ebpf;
use crate::lab_bin;
use crate::process;
use crate::setup::guest_kernel::{Kernel, MATRIX};
use crate::setup::{self, Need, guest_qemu};
use crate::test;
use crate::workspace::Workspace;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only tests whose name contains one of these
    #[arg(conflicts_with = "matrix")]
    filter: Vec<String>,
    /// Test every kind of interface with each card and kernel, and print a table
    #[arg(long)]
    matrix: bool,
    /// Matrix: only these kernels (6.1, 6.12, newest, rt)
    #[arg(long, value_delimiter = ',', requires = "matrix")]
    kernel: Vec<String>,
    /// Matrix: only these cards (virtio-net, e1000e, vmxnet3, igb)
    #[arg(long, value_delimiter = ',', requires = "matrix")]
    card: Vec<String>,
    /// Matrix: only these interfaces; an unknown name lists them
    #[arg(long, value_delimiter = ',', requires = "matrix")]
    shape: Vec<String>,
    /// Matrix: `datapath` of the agent
    #[arg(long, default_value = "auto", requires = "matrix")]
    datapath: String,
    /// Matrix: how many machines run at once; default: one for each processor
    #[arg(long, requires = "matrix")]
    jobs: Option<u32>,
}

pub(crate) fn run(workspace: &Workspace, args: Args) -> Result<ExitCode> {
    if !args.matrix {
        return test::run_vm(workspace, args.filter);
    }
    let kernels = chosen(&args.kernel)?;
    setup::ensure(workspace, &[Need::Ebpf, Need::Vm])?;
    for kernel in &kernels {
        said_if_missing(kernel.name, kernel.ensure(workspace));
    }
    let newer = |card: &String| card == "igb" || card == "e1000e";
    if args.card.is_empty() || args.card.iter().any(newer) {
        said_if_missing("a newer QEMU", guest_qemu::ensure(workspace));
    }
    build_ebpf::with_defaults(workspace)?;
    process::run(
        workspace
            .cargo()
            .args(["build", "--release", "--package", "ha-agent"]),
    )?;
    let agent = workspace.release_program("ha-agent")?;
    let passed_on = passed_on(&args, &kernels);
    process::run(lab_bin::command(workspace, "vm-matrix", &passed_on).env("HA_AGENT_BIN", agent))?;
    Ok(ExitCode::SUCCESS)
}

/// What cannot be had leaves the cells that need it empty, each with the reason; the others run.
fn said_if_missing(what: &str, found: Result<()>) {
    if let Err(error) = found {
        eprintln!("warning: {what} is not available: {error:#}");
    }
}

fn chosen(names: &[String]) -> Result<Vec<&'static Kernel>> {
    let known: Vec<&str> = MATRIX.iter().map(|kernel| kernel.name).collect();
    for name in names {
        ensure!(
            known.contains(&name.as_str()),
            "no such kernel: {name:?}; available: {}",
            known.join(", ")
        );
    }
    let wanted = |kernel: &&Kernel| names.is_empty() || names.iter().any(|it| it == kernel.name);
    Ok(MATRIX.iter().filter(wanted).collect())
}

/// The arguments of the program that runs the matrix.
fn passed_on(args: &Args, kernels: &[&Kernel]) -> Vec<std::ffi::OsString> {
    let mut words = vec!["--datapath".to_owned(), args.datapath.clone()];
    let kernels = kernels
        .iter()
        .map(|kernel| kernel.name.to_owned())
        .collect();
    for (option, values) in [
        ("--kernel", &kernels),
        ("--card", &args.card),
        ("--shape", &args.shape),
    ] {
        for value in values {
            words.extend([option.to_owned(), value.clone()]);
        }
    }
    if let Some(jobs) = args.jobs {
        words.extend(["--jobs".to_owned(), jobs.to_string()]);
    }
    words.into_iter().map(Into::into).collect()
}
