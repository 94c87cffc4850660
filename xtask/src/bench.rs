//! `cargo xtask bench`: ours beside keepalived's in one run, and what it costs other traffic.

use std::ffi::OsString;

use anyhow::Result;

use crate::lab_bin;
use crate::setup::{self, Need};
use crate::workspace::Workspace;

pub(crate) fn run(workspace: &Workspace, args: &[OsString]) -> Result<()> {
    if args.iter().any(|arg| arg == "--foreign") {
        // A part of it runs in a virtual machine.
        setup::ensure(workspace, &[Need::Vm])?;
    }
    lab_bin::run_with_agent(workspace, "bench", args)
}
