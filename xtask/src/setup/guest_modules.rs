//! The kernel modules that a guest loads: those that every guest has, and those of the interfaces of the
//! matrix.
//!
//! Each set is a folder whose files are numbered in the order in which they are to be loaded.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::process;

/// What every guest loads: e1000e is the card that strips VLAN tags, and tc has what a kernel without tcx needs.
const ALWAYS: &[&str] = &[
    "virtio_pci",
    "virtio_net",
    "e1000e",
    "8021q",
    "macvlan",
    "vrf",
    "sch_ingress",
    "cls_bpf",
];

/// What a guest of the matrix loads after these.
const MATRIX: &[&str] = &[
    "igb",
    "vmxnet3",
    "bonding",
    "bridge",
    "veth",
    "ip_gre",
    "tun",
    "wireguard",
];

/// The names of all, for telling one set from another.
pub(super) fn list() -> String {
    [ALWAYS, MATRIX].concat().join(" ")
}

/// Copies the modules of an extracted package: those that every guest has into `modules`, the others into
/// `matrix`.
pub(super) fn keep(tree: &Path, kept: &Path) -> Result<()> {
    let mut order = Vec::new();
    add_all(tree, ALWAYS, &mut order)?;
    let always = order.len();
    add_all(tree, MATRIX, &mut order)?;
    let (base, further) = order.split_at(always);
    copy(base, &kept.join("modules"))?;
    copy(further, &kept.join("matrix"))
}

/// What is no module may be part of the kernel itself, as virtio is in some; a guest without it shows it.
fn add_all(tree: &Path, modules: &[&str], order: &mut Vec<Module>) -> Result<()> {
    for module in modules {
        if path_of(tree, module).is_some() {
            add_with_dependencies(tree, module, order)?;
        } else {
            println!("This kernel has no module {module}: it is built in or missing.");
        }
    }
    Ok(())
}

/// Copies modules, uncompressed and numbered.
fn copy(modules: &[Module], folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    for (number, module) in modules.iter().enumerate() {
        let name = format!("{number:02}-{}.ko", module.name);
        fs::write(folder.join(name), &module.image)?;
    }
    Ok(())
}

/// A module, uncompressed.
#[derive(Debug)]
struct Module {
    name: String,
    image: Vec<u8>,
}

/// Appends a module after those that it depends on.
fn add_with_dependencies(tree: &Path, module: &str, order: &mut Vec<Module>) -> Result<()> {
    if order.iter().any(|known| known.name == module) {
        return Ok(());
    }
    let Some(path) = path_of(tree, module) else {
        bail!("no such module: {module}");
    };
    let image = read(&path).with_context(|| format!("reading {}", path.display()))?;
    for dependency in dependencies(&image) {
        add_with_dependencies(tree, &dependency, order)?;
    }
    order.push(Module {
        name: module.to_owned(),
        image,
    });
    Ok(())
}

fn path_of(tree: &Path, module: &str) -> Option<PathBuf> {
    let file = format!("{module}.ko");
    find(tree, &|name| {
        name.trim_end_matches(".xz").replace('-', "_") == file
    })
}

/// A module's content; newer releases compress it.
fn read(path: &Path) -> Result<Vec<u8>> {
    if path.extension().is_none_or(|extension| extension != "xz") {
        return Ok(fs::read(path)?);
    }
    process::bytes(
        Command::new("xz")
            .args(["--decompress", "--stdout"])
            .arg(path),
    )
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
pub(super) fn find(folder: &Path, matches: &dyn Fn(&str) -> bool) -> Option<PathBuf> {
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
        // As the releases after Debian 12 have them.
        process::output(Command::new("xz").arg(net.join("garp.ko"))).unwrap();
        let mut order = Vec::new();
        for module in ["8021q", "garp"] {
            add_with_dependencies(&tree, module, &mut order).unwrap();
        }
        let missing = add_with_dependencies(&tree, "none", &mut Vec::new());
        fs::remove_dir_all(&tree).unwrap();
        let names: Vec<&str> = order.iter().map(|module| module.name.as_str()).collect();
        assert_eq!(names, ["garp", "8021q"]);
        assert_eq!(order[0].image, b"\0depends=\0");
        assert!(missing.unwrap_err().to_string().contains("none"));
    }
}
