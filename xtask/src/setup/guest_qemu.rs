//! A newer QEMU for a machine whose own is too old for the matrix: of its release's backports, unpacked into
//! `target/vm/qemu` and never installed.
//!
//! QEMU 7.2 has no card igb, and its e1000e does not tell the driver of a pulled cable; QEMU 10 does.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::source::{Source, release};
use crate::process;
use crate::workspace::Workspace;

const FOLDER: &str = "target/vm/qemu";
/// The program, and the firmware that it boots a kernel with.
const PACKAGES: [&str; 3] = ["qemu-system-x86", "qemu-system-data", "seabios"];

/// Fetches one, unless the machine's own or one fetched earlier is new enough.
pub(crate) fn ensure(workspace: &Workspace) -> Result<()> {
    let fetched = workspace.path(FOLDER);
    let program = "usr/bin/qemu-system-x86_64";
    if has_igb(Path::new("qemu-system-x86_64")) || has_igb(&fetched.join(program)) {
        return Ok(());
    }
    println!("Fetching a newer QEMU into {}.", fetched.display());
    let temporary = workspace.path("target/vm/unpacking/qemu");
    for stale in [&temporary, &fetched] {
        if stale.exists() {
            fs::remove_dir_all(stale).with_context(|| format!("removing {}", stale.display()))?;
        }
    }
    fs::create_dir_all(&temporary).with_context(|| format!("making {}", temporary.display()))?;
    let own = release()?;
    let source = Source::of(workspace, &[&own, &format!("{own}-backports")])?;
    source.extract(&PACKAGES.map(str::to_owned), &temporary)?;
    anyhow::ensure!(
        has_igb(&temporary.join(program)),
        "the QEMU of {own}-backports does not run here, or lacks igb too"
    );
    fs::rename(&temporary, &fetched).with_context(|| format!("making {}", fetched.display()))
}

/// The card tells the versions apart. A QEMU without it says so and calls that a success.
fn has_igb(qemu: &Path) -> bool {
    process::output(Command::new(qemu).args(["-device", "igb,help"]))
        .is_ok_and(|said| said.contains("igb options"))
}
