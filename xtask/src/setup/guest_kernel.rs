//! The kernel that the virtual machine boots: Debian's stock one, fetched and unpacked, never installed.
//!
//! What is kept in `target/vm/guest` is the kernel and the few modules that the guest loads, numbered in
//! the order in which they are to be loaded. `rm -r target/vm` makes the next set-up fetch the newest one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::apt;
use crate::process;
use crate::workspace::Workspace;

/// Depends on the newest kernel of the release. The flavour for clouds is a third of its size, and lacks
/// the network cards that strip VLAN tags.
const META_PACKAGE: &str = "linux-image-amd64";

/// What the guest needs beside the kernel; e1000e is the card that strips VLAN tags. A virtual MAC is a macvlan.
const MODULES: &[&str] = &[
    "virtio_pci",
    "virtio_net",
    "e1000e",
    "8021q",
    "macvlan",
    "vrf",
];

/// Written last: what is there is complete, and of this set of modules.
const STAMP: &str = "complete";

/// Whether the kernel is there.
pub(super) fn is_ready(workspace: &Workspace) -> bool {
    fs::read_to_string(folder(workspace).join(STAMP)).is_ok_and(|text| text == stamp())
}

/// Fetches and unpacks it.
pub(super) fn install(workspace: &Workspace) -> Result<()> {
    if !apt::exists() {
        bail!(
            "this machine has no apt-get to fetch the virtual machine's kernel with; the other tests run by \
             `cargo xtask test --only unit,property,simulation,kernel,lab`"
        );
    }
    let temporary = workspace.path("target/vm/unpacking");
    let target = folder(workspace);
    for stale in [&temporary, &target] {
        if stale.exists() {
            fs::remove_dir_all(stale).with_context(|| format!("removing {}", stale.display()))?;
        }
    }
    fs::create_dir_all(&temporary).with_context(|| format!("making {}", temporary.display()))?;
    let tree = unpack(&temporary)?;
    let kept = temporary.join("kept");
    keep(&tree, &kept).with_context(|| format!("in what {META_PACKAGE} depends on"))?;
    fs::rename(&kept, &target).with_context(|| format!("making {}", target.display()))?;
    fs::remove_dir_all(&temporary).with_context(|| format!("removing {}", temporary.display()))
}

fn folder(workspace: &Workspace) -> PathBuf {
    workspace.path("target/vm/guest")
}

fn stamp() -> String {
    format!("{META_PACKAGE} {}\n", MODULES.join(" "))
}

/// Downloads the package and extracts its files; where they are.
fn unpack(temporary: &Path) -> Result<PathBuf> {
    let package = depended_on(&process::output(
        Command::new("apt-cache").args(["depends", META_PACKAGE]),
    )?)?;
    process::run(
        Command::new("apt-get")
            // Its own user for downloads may not write here.
            .args(["download", "--quiet", "--option", "APT::Sandbox::User="])
            .arg(&package)
            .current_dir(temporary),
    )
    .context("cannot fetch the virtual machine's kernel: run `cargo xtask setup` again")?;
    let archive = find(temporary, &|name| name.starts_with("linux-image-"))
        .with_context(|| format!("apt-get left no {package}.deb"))?;
    let tree = temporary.join("tree");
    process::run(
        Command::new("dpkg-deb")
            .arg("--extract")
            .args([&archive, &tree]),
    )?;
    Ok(tree)
}

/// From `apt-cache depends`: the one package that the meta-package stands for.
fn depended_on(text: &str) -> Result<String> {
    text.lines()
        .find_map(|line| line.trim().strip_prefix("Depends: "))
        .map(str::to_owned)
        .with_context(|| format!("apt knows no {META_PACKAGE}: run `apt-get update`"))
}

/// Copies the kernel and the modules.
fn keep(tree: &Path, kept: &Path) -> Result<()> {
    let modules = kept.join("modules");
    fs::create_dir_all(&modules)?;
    let kernel =
        find(&tree.join("boot"), &|name| name.starts_with("vmlinuz-")).context("no vmlinuz")?;
    fs::copy(&kernel, kept.join("vmlinuz"))?;
    let mut order = Vec::new();
    for module in MODULES {
        add_with_dependencies(tree, module, &mut order)?;
    }
    for (number, module) in order.iter().enumerate() {
        let name = module.file_name().context("a module without a name")?;
        let name = format!("{number:02}-{}", name.display());
        fs::copy(module, modules.join(name))?;
    }
    fs::write(kept.join(STAMP), stamp())?;
    Ok(())
}

/// Appends a module after those that it depends on.
fn add_with_dependencies(tree: &Path, module: &str, order: &mut Vec<PathBuf>) -> Result<()> {
    let file = format!("{module}.ko");
    let Some(path) = find(tree, &|name| name.replace('-', "_") == file) else {
        bail!("there is no module {module}");
    };
    if order.contains(&path) {
        return Ok(());
    }
    let image = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
    for dependency in dependencies(&image) {
        add_with_dependencies(tree, &dependency, order)?;
    }
    order.push(path);
    Ok(())
}

/// The modules that a module names in its `.modinfo`, which is a row of `key=value` strings.
fn dependencies(image: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let Some(at) = image.windows(KEY.len()).position(|window| window == KEY) else {
        return Vec::new();
    };
    let value = image.iter().skip(at + KEY.len()).take_while(|&&b| b != 0);
    let text = String::from_utf8_lossy(&value.copied().collect::<Vec<u8>>()).replace('-', "_");
    let names = text.split(',').filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}

/// The first file of that name at any depth.
fn find(folder: &Path, matches: &dyn Fn(&str) -> bool) -> Option<PathBuf> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(folder).ok()?.flatten() {
        let kind = entry.file_type().ok()?;
        if kind.is_dir() {
            folders.push(entry.path());
        } else if kind.is_file() && matches(&entry.file_name().to_string_lossy()) {
            return Some(entry.path());
        }
    }
    folders.iter().find_map(|inner| find(inner, matches))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_real_package_is_read_from_what_apt_says_of_the_meta_package() {
        let said = "linux-image-amd64\n  Depends: linux-image-6.1.0-56-amd64\n";
        assert_eq!(depended_on(said).unwrap(), "linux-image-6.1.0-56-amd64");
        let error = depended_on("").unwrap_err().to_string();
        assert!(error.contains("apt-get update"), "{error}");
    }

    #[test]
    fn a_module_says_what_it_depends_on() {
        let image = b"\x7fELF..\0license=GPL\0depends=garp,mrp-x\0retpoline=Y\0";
        assert_eq!(dependencies(image), ["garp", "mrp_x"]);
        assert_eq!(dependencies(b"\0depends=\0name=a\0"), [""; 0]);
    }

    #[test]
    fn a_module_comes_after_those_that_it_depends_on_and_only_once() {
        let tree = std::env::temp_dir().join(format!("ha-xtask-modules-{}", std::process::id()));
        let net = tree.join("lib/net");
        fs::create_dir_all(&net).unwrap();
        fs::write(net.join("8021q.ko"), b"\0depends=garp\0").unwrap();
        fs::write(net.join("garp.ko"), b"\0depends=\0").unwrap();
        let mut order = Vec::new();
        for module in ["8021q", "garp"] {
            add_with_dependencies(&tree, module, &mut order).unwrap();
        }
        let missing = add_with_dependencies(&tree, "none", &mut Vec::new());
        fs::remove_dir_all(&tree).unwrap();
        assert_eq!(order, [net.join("garp.ko"), net.join("8021q.ko")]);
        assert!(missing.unwrap_err().to_string().contains("none"));
    }
}
