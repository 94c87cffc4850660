//! bpf-linker, built into `target/tools` against the LLVM of the compiler whose bitcode it links.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::linker_version::VERSION;
use super::llvm;
use super::toolchain::Toolchain;
use crate::process;
use crate::workspace::Workspace;

/// Where it is or would be.
pub(crate) fn path(workspace: &Workspace) -> PathBuf {
    workspace.tools().join("bin/bpf-linker")
}

/// Whether the installed one fits the compiler and starts.
pub(crate) fn is_ready(workspace: &Workspace, toolchain: &Toolchain) -> bool {
    let stamped =
        fs::read_to_string(stamp_file(workspace)).is_ok_and(|text| fits(&text, toolchain));
    // Starting it shows that the LLVM library it was linked with is still there.
    stamped && process::output(Command::new(path(workspace)).arg("--version")).is_ok()
}

/// Builds and installs it; about a minute on two cores.
pub(crate) fn install(workspace: &Workspace, toolchain: &Toolchain) -> Result<()> {
    let major = toolchain.llvm_major;
    let prefix = llvm::prefix(major).with_context(|| {
        format!(
            "LLVM {major} is not installed: `apt-get install {}` or set PATH to its llvm-config",
            llvm::package(major)
        )
    })?;
    // Without the stamp an interrupted build is not taken for a finished one.
    remove_if_there(&stamp_file(workspace))?;
    process::run(
        workspace
            .cargo()
            .args([
                "install",
                "bpf-linker",
                "--version",
                VERSION,
                "--locked",
                "--force",
            ])
            .args(["--no-default-features", "--features"])
            .arg(format!("llvm-{major}"))
            .arg("--root")
            .arg(workspace.tools())
            .env("LLVM_PREFIX", prefix)
            .env_remove("CARGO_TARGET_DIR"),
    )?;
    fs::write(stamp_file(workspace), stamp(toolchain)).context("writing bpf-linker's stamp")
}

fn stamp_file(workspace: &Workspace) -> PathBuf {
    workspace.tools().join("bpf-linker.stamp")
}

/// The first line decides, the second is for people.
fn stamp(toolchain: &Toolchain) -> String {
    format!("{}\nbuilt for {toolchain}\n", key(toolchain))
}

fn fits(stamp: &str, toolchain: &Toolchain) -> bool {
    stamp.lines().next() == Some(key(toolchain).as_str())
}

fn key(toolchain: &Toolchain) -> String {
    format!("bpf-linker {VERSION} llvm {}", toolchain.llvm_major)
}

fn remove_if_there(file: &Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", file.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linker_built_for_another_llvm_is_not_taken() {
        let with_llvm = |llvm_major| Toolchain::for_tests("1.96.0", llvm_major);
        let written = stamp(&with_llvm(22));
        assert!(fits(&written, &with_llvm(22)));
        assert!(!fits(&written, &with_llvm(23)));
        assert!(!fits("", &with_llvm(22)));
    }
}
