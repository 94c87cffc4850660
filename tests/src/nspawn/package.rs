//! The Debian package that is to be tried.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use super::Machine;

/// Names the package, in place of the newest one under the target directory.
pub const VARIABLE: &str = "HA_AGENT_DEB";

/// Where it lies in a machine.
pub const INSIDE: &str = "/srv/new.deb";

/// The package: what [`VARIABLE`] names, else the newest that `cargo xtask package` made.
pub fn path() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os(VARIABLE) {
        let path = PathBuf::from(named);
        ensure!(
            path.is_file(),
            "{VARIABLE} names {}, which is no file",
            path.display()
        );
        return Ok(path);
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/package");
    fs::read_dir(&folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|it| it == "deb"))
        .filter_map(|path| Some((fs::metadata(&path).ok()?.modified().ok()?, path)))
        .max()
        .map(|(_, path)| path)
        .with_context(|| {
            format!(
                "no package lies in {}: run `cargo xtask test`, which makes it first",
                folder.display()
            )
        })
}

/// Lays it into a machine, where it is called [`INSIDE`].
pub fn bring(machine: &Machine) -> Result<()> {
    fs::copy(path()?, machine.path(INSIDE)).context("cannot bring the package")?;
    Ok(())
}
