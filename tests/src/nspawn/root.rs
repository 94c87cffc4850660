//! The tree of a small Debian with systemd and nginx, made once and kept under the target directory.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::lab::netns::output_of;

/// The release that the package is made for first; its systemd is the oldest that the unit meets.
const RELEASE: &str = "bookworm";
/// What it holds beside apt and the essential packages, which have dpkg.
const PACKAGES: &str = "systemd-sysv,nginx,iproute2,procps";
/// What it is given of the machine that makes it, and must not keep.
const SURROUNDINGS: [&str; 2] = ["etc/hostname", "etc/resolv.conf"];

/// The tree's path; makes it if it is not there, which takes about 40 s.
pub fn ensure() -> Result<PathBuf> {
    let folder = folder();
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    // Whoever comes while it is being made waits for it. A lock goes with its holder.
    let lock = File::create(folder.join("lock")).context("cannot create the tree's lock")?;
    lock.lock().context("cannot lock the tree's folder")?;
    let root = folder.join(name());
    if !root.exists() {
        remove_others(&folder)?;
        make(&folder, &root)?;
    }
    Ok(root)
}

/// Whatever changes the content changes the name.
fn name() -> String {
    let packages = PACKAGES.replace(',', "+");
    format!("{RELEASE}+{packages}")
}

fn folder() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"),
            PathBuf::from,
        )
        .join("nspawn")
}

fn make(folder: &Path, root: &Path) -> Result<()> {
    eprintln!("making a Debian with systemd in {}, once", root.display());
    let unfinished = folder.join("unfinished");
    let mut command = Command::new("mmdebstrap");
    command
        .args(["--mode=root", "--variant=minbase", "--format=directory"])
        .arg(format!("--include={PACKAGES}"))
        .arg(RELEASE)
        .arg(&unfinished);
    output_of(command).context("cannot make the tree")?;
    for file in SURROUNDINGS {
        fs::remove_file(unfinished.join(file)).with_context(|| format!("cannot remove {file}"))?;
    }
    // Only a whole tree ever has the name.
    fs::rename(&unfinished, root).context("cannot name the tree")
}

/// Trees of other packages, and one that somebody was killed over.
fn remove_others(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder).context("cannot list the trees")? {
        let path = entry?.path();
        if path.is_dir() {
            let mut rm = Command::new("rm");
            rm.args(["--recursive", "--force", "--one-file-system"])
                .arg(path);
            output_of(rm)?;
        }
    }
    Ok(())
}
