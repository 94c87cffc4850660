//! `cargo xtask build-ebpf`: compiles the BPF programs and puts the object where ha-agent's build script looks.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::process;
use crate::setup::{bpf_linker, linker_version, toolchain};
use crate::workspace::Workspace;

const TARGET: &str = "bpfel-unknown-none";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The cargo profile to build with
    #[arg(long, default_value = "bpf")]
    profile: String,
}

/// What `cargo xtask build-ebpf` does without arguments.
pub(crate) fn with_defaults(workspace: &Workspace) -> Result<()> {
    build(workspace, "bpf")
}

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    build(workspace, &args.profile)?;
    println!("{}", workspace.ebpf_object().display());
    Ok(())
}

fn build(workspace: &Workspace, profile: &str) -> Result<()> {
    let toolchain = match toolchain::find() {
        Ok(toolchain) => toolchain,
        Err(none) => bail!(
            "no compiler can build for BPF ({}): run `cargo xtask setup`",
            none.passed_over.join("; ")
        ),
    };
    if !bpf_linker::is_ready(workspace, &toolchain) {
        bail!(
            "bpf-linker {} for {toolchain} is missing: run `cargo xtask setup`",
            linker_version::VERSION
        );
    }
    // A folder of its own: other flags and another compiler would throw out the host's builds, and vice versa.
    let target_dir = workspace.path("target/ebpf-build");
    process::run(
        toolchain
            .cargo()
            .current_dir(workspace.path("."))
            .args(["build", "--package", "ha-ebpf", "--profile", profile])
            .args(["-Z", "build-std=core", "--target", TARGET])
            .arg("--target-dir")
            .arg(&target_dir)
            .env(
                "CARGO_ENCODED_RUSTFLAGS",
                rustflags(&bpf_linker::path(workspace)),
            ),
    )?;
    // Cargo calls the folder of the dev profile otherwise.
    let folder = if profile == "dev" { "debug" } else { profile };
    let built = target_dir.join(TARGET).join(folder).join("ha-ebpf");
    copy_if_changed(&built, &workspace.ebpf_object())
}

fn rustflags(linker: &Path) -> String {
    [
        "-C",
        &format!("linker={}", linker.display()),
        "-C",
        "link-arg=--btf",
        // BTF, by which the kernel finds the timers in the maps, is made from debug info.
        "-C",
        "debuginfo=2",
        "--cfg",
        &format!("bpf_target_arch=\"{}\"", std::env::consts::ARCH),
    ]
    .join("\u{1f}")
}

/// Leaves the modification time alone when nothing changed, so that ha-agent is not rebuilt.
fn copy_if_changed(from: &Path, to: &Path) -> Result<()> {
    let new = fs::read(from).with_context(|| format!("reading {}", from.display()))?;
    if fs::read(to).is_ok_and(|old| old == new) {
        return Ok(());
    }
    let folder = to.parent().context("the object's path has no directory")?;
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    // By a rename, so that a build running beside us never embeds half an object.
    let partial = to.with_extension("o.partial");
    fs::write(&partial, new)
        .and_then(|()| fs::rename(&partial, to))
        .with_context(|| format!("writing {}", to.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unchanged_object_keeps_its_modification_time() {
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().join("built");
        let to = folder.path().join("sub/ha-ebpf.o");
        let modified = |file: &Path| fs::metadata(file).unwrap().modified().unwrap();

        fs::write(&from, "one").unwrap();
        copy_if_changed(&from, &to).unwrap();
        let past = std::time::SystemTime::UNIX_EPOCH;
        fs::File::options()
            .write(true)
            .open(&to)
            .unwrap()
            .set_modified(past)
            .unwrap();

        copy_if_changed(&from, &to).unwrap();
        assert_eq!(modified(&to), past);

        fs::write(&from, "two").unwrap();
        copy_if_changed(&from, &to).unwrap();
        assert_eq!(fs::read_to_string(&to).unwrap(), "two");
        assert_ne!(modified(&to), past);
    }
}
