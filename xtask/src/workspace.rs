//! Where things are in this repository, and what cargo knows about its packages.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::process;

/// The repository xtask was built from.
pub(crate) struct Workspace {
    root: PathBuf,
}

impl Workspace {
    pub(crate) fn discover() -> Result<Self> {
        let own = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = own.parent().context("xtask is not in a workspace")?;
        Ok(Self {
            root: root.to_path_buf(),
        })
    }

    pub(crate) fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.join(relative)
    }

    /// Programs that xtask builds for itself. Independent of `CARGO_TARGET_DIR`, so that several checkouts
    /// with one shared target folder do not overwrite each other's.
    pub(crate) fn tools(&self) -> PathBuf {
        self.path("target/tools")
    }

    /// The object that ha-agent embeds; its build script looks exactly here.
    pub(crate) fn ebpf_object(&self) -> PathBuf {
        self.path("target/ebpf/ha-ebpf.o")
    }

    /// A cargo call in the root with the toolchain that runs xtask.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = Command::new("cargo");
        command.current_dir(&self.root);
        command
    }

    /// A git call in the root. A checkout that belongs to somebody else (root builds a user's clone) is fine.
    pub(crate) fn git(&self) -> Command {
        let mut command = Command::new("git");
        command
            .current_dir(&self.root)
            .args(["-c", "safe.directory=*"]);
        command
    }

    /// `cargo metadata` of the workspace's members alone; quick, and needs no network.
    pub(crate) fn members(&self) -> Result<Value> {
        let text =
            process::output(
                self.cargo()
                    .args(["metadata", "--format-version=1", "--no-deps"]),
            )?;
        serde_json::from_str(&text).context("cargo metadata wrote something that is not JSON")
    }

    /// Where `cargo build --release` puts a program.
    pub(crate) fn release_program(&self, name: &str) -> Result<PathBuf> {
        let metadata = self.members()?;
        let folder = metadata["target_directory"]
            .as_str()
            .context("cargo metadata names no target_directory")?;
        Ok(Path::new(folder).join("release").join(name))
    }
}
