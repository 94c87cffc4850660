//! What a lab needs of the machine, checked before anything is built.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// What every lab uses.
const ALWAYS: [&str; 6] = ["ip", "bridge", "iptables", "sh", "awk", "umount"];

/// Fails with what is missing and how to get it, for whatever makes a lab.
pub(super) fn require_root_and_basics() -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        bail!("lab tests make network namespaces: run them as root, `sudo cargo xtask test`");
    }
    require_tools(&ALWAYS)
}

/// Fails with those of these programs that are not there, and how to get them.
pub fn require_tools(tools: &[&str]) -> Result<()> {
    let missing: Vec<&str> = tools
        .iter()
        .copied()
        .filter(|tool| find(tool).is_none())
        .collect();
    if !missing.is_empty() {
        bail!(
            "this lab test needs {}, which is not installed: run `cargo xtask setup`",
            missing.join(", ")
        );
    }
    Ok(())
}

/// A program by its path or by PATH and the system's directories, which a user's PATH often lacks.
pub(crate) fn find(tool: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from))
        .map(|dir| dir.join(Path::new(tool)))
        .find(|candidate| candidate.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_tool_is_named_together_with_the_command_that_installs_it() {
        let error = require_tools(&["no-such-tool"]).unwrap_err().to_string();
        assert!(
            error.contains("no-such-tool") && error.contains("cargo xtask setup"),
            "{error}"
        );
    }

    #[test]
    fn who_is_not_root_is_told_to_be() {
        if nix::unistd::geteuid().is_root() {
            return;
        }
        let error = require_root_and_basics().unwrap_err().to_string();
        assert!(error.contains("as root"), "{error}");
    }
}
