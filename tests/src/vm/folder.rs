//! A machine's files: its sockets, its file system, and what it wrote.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result};

/// What the guest's kernel and its agent write goes to this file.
pub(super) const CONSOLE: &str = "console.log";
/// Where qemu itself takes orders.
pub(super) const MONITOR: &str = "monitor";

static MADE: AtomicU32 = AtomicU32::new(0);

/// A folder of its own, `ha-vm-<pid>-<n>`, removed when dropped; its path is short, as those of sockets
/// must be. One that a killed test left behind is removed by the next test.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn create() -> Result<Self> {
        let temporary = std::env::temp_dir();
        sweep(&temporary)?;
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let path = temporary.join(format!("ha-vm-{}-{number}", std::process::id()));
        fs::create_dir(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self(path))
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = keep_log(self) {
            eprintln!("the guest's log is not kept: {error}");
        }
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("cannot remove {}: {error}", self.0.display());
        }
    }
}

/// The logs go with the machine; whoever looks for a failure can have them kept, as those of a lab.
fn keep_log(folder: &Folder) -> std::io::Result<()> {
    let (Some(target), Some(name)) = (std::env::var_os("HA_LAB_LOGS"), folder.0.file_name()) else {
        return Ok(());
    };
    let target = Path::new(&target).join(name);
    fs::create_dir_all(&target)?;
    let log = folder.path(CONSOLE);
    fs::copy(log, target.join(CONSOLE)).map(drop)
}

/// Removes the folders of processes that are dead.
fn sweep(temporary: &Path) -> Result<()> {
    for entry in fs::read_dir(temporary)? {
        let entry = entry?;
        let owner = entry.file_name().to_str().and_then(owner_of);
        if owner.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            let path = entry.path();
            // Another test may be sweeping as well: what is gone is gone.
            match fs::remove_dir_all(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("cannot remove {}", path.display()));
                }
                Ok(()) | Err(_) => {}
            }
        }
    }
    Ok(())
}

/// The pid in a folder's name; `None` for any other name.
fn owner_of(name: &str) -> Option<u32> {
    let (pid, number) = name.strip_prefix("ha-vm-")?.split_once('-')?;
    number.parse::<u32>().ok()?;
    pid.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_machines_have_are_ever_swept() {
        assert_eq!(owner_of("ha-vm-123-0"), Some(123));
        for other in ["ha-vm-", "ha-vm-1", "ha-vm-x-1", "ha-1-2", "ha-vm-1-x"] {
            assert_eq!(owner_of(other), None, "{other}");
        }
    }
}
