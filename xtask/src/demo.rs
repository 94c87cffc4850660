//! `cargo xtask demo`: the scenario on a screen, with real nginx.

use std::ffi::OsString;

use anyhow::Result;

use crate::lab_bin;
use crate::workspace::Workspace;

pub(crate) fn run(workspace: &Workspace, args: &[OsString]) -> Result<()> {
    lab_bin::run_with_agent(workspace, "demo", args)
}
