//! `cargo xtask sim`: hosts on a virtual clock at length. It links the agent, and the agent
//! embeds the BPF programs, so they are built first; root is not needed.

use std::ffi::OsString;

use anyhow::Result;

use crate::build_ebpf;
use crate::lab_bin;
use crate::process;
use crate::setup::{self, Need};
use crate::workspace::Workspace;

pub(crate) fn run(workspace: &Workspace, args: &[OsString]) -> Result<()> {
    setup::ensure(workspace, &[Need::Ebpf])?;
    build_ebpf::with_defaults(workspace)?;
    process::run(&mut lab_bin::command_of(
        workspace, "ha-sim", "ha-sim", args,
    ))
}
