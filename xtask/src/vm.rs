//! `cargo xtask vm`: the tests that need a network card with a filter, in a virtual machine.

use std::process::ExitCode;

use anyhow::Result;

use crate::test;
use crate::workspace::Workspace;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only tests whose name contains one of these
    filter: Vec<String>,
}

pub(crate) fn run(workspace: &Workspace, args: Args) -> Result<ExitCode> {
    test::run_vm(workspace, args.filter)
}
