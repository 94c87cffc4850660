//! The kernels that virtual machines boot: Debian's stock ones, fetched and unpacked, never installed.
//!
//! The tests' own, of the release that this machine runs, is in `target/vm/guest`, and those of the matrix
//! are in `target/vm/kernels`. `rm -r target/vm` makes the next set-up fetch the newest ones.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::apt;
use super::guest_modules::{self, find};
use super::source::Source;
use crate::workspace::Workspace;

/// A kernel by the package that depends on the newest of its kind. The flavour for clouds is a third of the
/// size, and lacks most network cards.
#[derive(Debug)]
pub(crate) struct Kernel {
    /// What it is called on the command line.
    pub(crate) name: &'static str,
    meta_package: &'static str,
    /// Debian's releases that have it; none: what this machine's apt knows.
    suites: &'static [&'static str],
}

/// What the ordinary tests boot.
const OWN: Kernel = Kernel {
    name: "own",
    meta_package: "linux-image-amd64",
    suites: &[],
};

/// What the matrix boots beside.
pub(crate) const MATRIX: [Kernel; 4] = [
    Kernel {
        name: "6.1",
        meta_package: "linux-image-amd64",
        suites: &["bookworm"],
    },
    Kernel {
        name: "6.12",
        meta_package: "linux-image-amd64",
        suites: &["trixie"],
    },
    Kernel {
        name: "newest",
        meta_package: "linux-image-amd64",
        suites: &["trixie-backports", "sid", "experimental"],
    },
    Kernel {
        name: "rt",
        meta_package: "linux-image-rt-amd64",
        suites: &["trixie"],
    },
];

/// Written last: what is there is complete, and of this set of modules.
const STAMP: &str = "complete";

/// Whether the kernel of the ordinary tests is there.
pub(super) fn is_ready(workspace: &Workspace) -> bool {
    OWN.is_ready(workspace)
}

/// Fetches and unpacks the kernel of the ordinary tests.
pub(super) fn install(workspace: &Workspace) -> Result<()> {
    if !apt::exists() {
        bail!(
            "cannot fetch the virtual machine's kernel: this machine has no apt-get; run the other tests with \
             `cargo xtask test --only unit,property,simulation,kernel,lab`"
        );
    }
    OWN.install(workspace)
}

impl Kernel {
    /// Fetches and unpacks it, unless it is there.
    pub(crate) fn ensure(&self, workspace: &Workspace) -> Result<()> {
        if self.is_ready(workspace) {
            return Ok(());
        }
        println!(
            "Fetching the kernel {} into {}.",
            self.name,
            self.folder(workspace).display()
        );
        self.install(workspace)
    }

    fn is_ready(&self, workspace: &Workspace) -> bool {
        let stamp = self.folder(workspace).join(STAMP);
        fs::read_to_string(stamp).is_ok_and(|text| text == self.stamp())
    }

    fn folder(&self, workspace: &Workspace) -> PathBuf {
        if self.suites.is_empty() {
            workspace.path("target/vm/guest")
        } else {
            workspace.path("target/vm/kernels").join(self.name)
        }
    }

    fn stamp(&self) -> String {
        format!("{} {}\n", self.meta_package, guest_modules::list())
    }

    fn install(&self, workspace: &Workspace) -> Result<()> {
        let temporary = workspace.path("target/vm/unpacking").join(self.name);
        let target = self.folder(workspace);
        for stale in [&temporary, &target] {
            if stale.exists() {
                fs::remove_dir_all(stale)
                    .with_context(|| format!("removing {}", stale.display()))?;
            }
        }
        let parents = [Some(temporary.as_path()), target.parent()];
        for folder in parents.into_iter().flatten() {
            fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        }
        let tree = self.unpack(workspace, &temporary)?;
        let kept = temporary.join("kept");
        self.keep(&tree, &kept)
            .with_context(|| format!("in what {} depends on", self.meta_package))?;
        fs::rename(&kept, &target).with_context(|| format!("making {}", target.display()))?;
        fs::remove_dir_all(&temporary).with_context(|| format!("removing {}", temporary.display()))
    }

    /// Downloads the packages and extracts their files; where they are.
    fn unpack(&self, workspace: &Workspace, temporary: &Path) -> Result<PathBuf> {
        let source = if self.suites.is_empty() {
            Source::of_this_machine()
        } else {
            Source::of(workspace, self.suites)?
        };
        let packages = packages(self.meta_package, &|name| source.depends(name))?;
        let tree = temporary.join("tree");
        source
            .extract(&packages, &tree)
            .context("cannot fetch the virtual machine's kernel: run `cargo xtask setup` again")?;
        Ok(tree)
    }

    /// Copies the kernel and the modules.
    fn keep(&self, tree: &Path, kept: &Path) -> Result<()> {
        guest_modules::keep(tree, kept)?;
        let kernel = find(tree, &|name| name.starts_with("vmlinuz")).context("no vmlinuz")?;
        fs::copy(&kernel, kept.join("vmlinuz"))?;
        fs::write(kept.join(STAMP), self.stamp())?;
        Ok(())
    }
}

/// The packages with the kernel and its modules that the meta-package stands for: one, or in newer releases
/// one of its own for each.
fn packages(
    meta_package: &str,
    depends: &dyn Fn(&str) -> Result<Vec<String>>,
) -> Result<Vec<String>> {
    let mut found: Vec<String> = Vec::new();
    let mut asked = vec![meta_package.to_owned()];
    while let Some(package) = asked.pop() {
        for name in depends(&package)? {
            if is_of_a_version(&name) && !found.contains(&name) {
                found.push(name.clone());
                asked.push(name);
            }
        }
    }
    if found.is_empty() {
        bail!("apt knows no {meta_package}: run `apt-get update`");
    }
    Ok(found)
}

/// Whether a package has a part of one kernel, and is no meta-package itself.
fn is_of_a_version(package: &str) -> bool {
    ["linux-image-", "linux-binary-", "linux-modules-"]
        .iter()
        .filter_map(|kind| package.strip_prefix(kind))
        .any(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(meta_package: &str) -> Result<Vec<String>> {
        packages(meta_package, &|name| {
            let names: &[&str] = match name {
                "linux-image-amd64" => &["linux-image-6.1.0-56-amd64"],
                "linux-image-rt" => &["linux-base-rt", "linux-image-7.3-rt", "linux-modules-rt"],
                "linux-image-7.3-rt" => &["dracut", "linux-binary-7.3-rt", "linux-modules-7.3-rt"],
                _ => &[],
            };
            Ok(names.iter().map(|&name| name.to_owned()).collect())
        })
    }

    #[test]
    fn a_meta_package_stands_for_one_kernel_in_one_package_or_in_several() {
        assert_eq!(
            found("linux-image-amd64").unwrap(),
            ["linux-image-6.1.0-56-amd64"]
        );
        assert_eq!(
            found("linux-image-rt").unwrap(),
            [
                "linux-image-7.3-rt",
                "linux-binary-7.3-rt",
                "linux-modules-7.3-rt"
            ]
        );
        let error = found("none").unwrap_err().to_string();
        assert!(error.contains("apt-get update"), "{error}");
    }
}
