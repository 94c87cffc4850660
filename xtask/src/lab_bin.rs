//! Running one of the programs in the tests crate, with the release agent at hand.

use std::ffi::OsString;

use anyhow::{Result, bail};

use crate::build_ebpf;
use crate::process;
use crate::setup::{self, Need};
use crate::workspace::Workspace;

/// Sets up, builds the agent and runs the program, which needs root for its namespaces.
pub(crate) fn run_with_agent(
    workspace: &Workspace,
    program: &str,
    args: &[OsString],
) -> Result<()> {
    if !process::is_root() {
        bail!(
            "network namespaces need root: run `sudo --preserve-env env PATH=\"$PATH\" cargo xtask {program}`"
        );
    }
    setup::ensure(workspace, &[Need::Ebpf, Need::Lab])?;
    build_ebpf::with_defaults(workspace)?;
    process::run(
        workspace
            .cargo()
            .args(["build", "--release", "--package", "ha-agent"]),
    )?;
    let agent = workspace.release_program("ha-agent")?;
    process::run(command(workspace, program, args).env("HA_AGENT_BIN", agent))
}

/// `cargo run` of a program in the tests crate.
pub(crate) fn command(
    workspace: &Workspace,
    program: &str,
    args: &[OsString],
) -> std::process::Command {
    command_of(workspace, "ha-tests", program, args)
}

/// `cargo run` of a package's program.
pub(crate) fn command_of(
    workspace: &Workspace,
    package: &str,
    program: &str,
    args: &[OsString],
) -> std::process::Command {
    let mut command = workspace.cargo();
    command
        .args([
            "run",
            "--quiet",
            "--release",
            "--package",
            package,
            "--bin",
            program,
            "--",
        ])
        .args(args);
    command
}
