//! Installing Debian packages without starting the services in them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::process::{self, find_program};

/// Debian's hook that packages ask before they start a service.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Tells our hook from an administrator's.
const MARK: &str = "# Written by ha-agent's `cargo xtask setup`";

/// Whether this machine installs its packages with apt.
pub(crate) fn exists() -> bool {
    find_program("apt-get").is_some()
}

/// Fetches the package lists; a fresh machine has none.
pub(crate) fn refresh() -> Result<()> {
    require_root()?;
    process::run(Command::new("apt-get").args(["update", "--quiet=2"]))
}

/// Whether the package lists have an installable version of this package.
pub(crate) fn offers(package: &str) -> bool {
    // Unlike `apt-cache show`, this finds nothing for a name that only other packages mention.
    process::output(Command::new("apt-cache").args(["madison", package]))
        .is_ok_and(|versions| !versions.trim().is_empty())
}

/// Installs the packages and nothing that they merely recommend; their services stay off.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    require_root()?;
    let _hook = StartNothing::put_in_place()?;
    process::run(
        Command::new("apt-get")
            .args(["install", "--yes", "--quiet", "--no-install-recommends"])
            .args(packages)
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )
}

/// Keeps a freshly installed service from starting at the next boot.
pub(crate) fn disable(service: &str) -> Result<()> {
    if find_program("systemctl").is_none() {
        return Ok(());
    }
    process::run(Command::new("systemctl").args(["disable", "--quiet", service]))
}

fn require_root() -> Result<()> {
    if !process::is_root() {
        bail!(
            "installing packages needs root: run `sudo --preserve-env env PATH=\"$PATH\" cargo xtask setup`"
        );
    }
    Ok(())
}

/// While this lives, packages that are installed start no service.
struct StartNothing {
    ours: bool,
}

impl StartNothing {
    fn put_in_place() -> Result<Self> {
        let policy = Path::new(POLICY);
        let stale = fs::read_to_string(policy).is_ok_and(|text| text.contains(MARK));
        // An administrator's own hook decides; it is usually there because nothing may start at all.
        if policy.exists() && !stale {
            return Ok(Self { ours: false });
        }
        fs::write(policy, hook(std::process::id()))
            .and_then(|()| fs::set_permissions(policy, fs::Permissions::from_mode(0o755)))
            .with_context(|| format!("writing {POLICY}"))?;
        Ok(Self { ours: true })
    }
}

impl Drop for StartNothing {
    fn drop(&mut self) {
        if self.ours
            && let Err(error) = fs::remove_file(POLICY)
        {
            eprintln!(
                "warning: cannot remove {POLICY}, which keeps packages from starting services: {error}"
            );
        }
    }
}

/// The hook forbids only while the process that wrote it lives: one that is left behind by a kill does no harm.
fn hook(writer: u32) -> String {
    format!(
        "#!/bin/sh\n{MARK}; harmless once that is over.\nif [ -d /proc/{writer} ]; then exit 101; fi\nexit 0\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit_code(script: &str) -> Option<i32> {
        Command::new("sh")
            .args(["-c", script])
            .status()
            .unwrap()
            .code()
    }

    #[test]
    fn the_hook_forbids_starting_while_its_writer_lives_and_not_after() {
        assert_eq!(exit_code(&hook(std::process::id())), Some(101));
        let mut gone = Command::new("true").spawn().unwrap();
        let writer = gone.id();
        gone.wait().unwrap();
        assert_eq!(exit_code(&hook(writer)), Some(0));
    }
}
