//! Where packages that are unpacked and not installed come from: this machine's own apt, or one of its own
//! with other releases of Debian, which leaves the machine's lists and choices alone.
//!
//! The mirror is the one that the machine already uses. What such an apt keeps lies in `target/vm/apt`.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::process;
use crate::workspace::Workspace;

/// Debian's own keys, where the package with them is installed.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// An apt.
#[derive(Debug, Default)]
pub(super) struct Source {
    options: Vec<String>,
}

impl Source {
    /// The machine's own, with its own lists.
    pub(super) fn of_this_machine() -> Self {
        Self::default()
    }

    /// One that knows these releases and no other; of what several have, it takes the newest.
    pub(super) fn of(workspace: &Workspace, suites: &[&str]) -> Result<Self> {
        let home = workspace.path("target/vm/apt").join(suites.join("+"));
        for folder in ["state/lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(home.join(folder))
                .with_context(|| format!("making {}", home.display()))?;
        }
        let keyring = Path::new(KEYRING).exists().then_some(KEYRING);
        let write = |name: &str, text: String| {
            let file = home.join(name);
            fs::write(&file, text).with_context(|| format!("writing {}", file.display()))
        };
        write("debian.sources", sources(&mirror()?, suites, keyring))?;
        // Backports and experimental would else be passed over.
        write(
            "preferences",
            "Package: *\nPin: release *\nPin-Priority: 500\n".to_owned(),
        )?;
        let at = |name: &str| home.join(name).display().to_string();
        let source = Self {
            options: [
                format!("Dir::Etc::SourceList={}", at("debian.sources")),
                "Dir::Etc::SourceParts=/dev/null".to_owned(),
                format!("Dir::Etc::Preferences={}", at("preferences")),
                "Dir::Etc::PreferencesParts=/dev/null".to_owned(),
                format!("Dir::State={}", at("state")),
                format!("Dir::Cache={}", at("cache")),
                // Nothing is installed here, so that no package is held back for another.
                "Dir::State::status=/dev/null".to_owned(),
                "APT::Sandbox::User=".to_owned(),
            ]
            .into(),
        };
        process::run(source.apt("apt-get").args(["update", "--quiet=2"]))
            .with_context(|| format!("cannot list {}", suites.join(", ")))?;
        Ok(source)
    }

    /// The packages that a package depends on by name.
    pub(super) fn depends(&self, package: &str) -> Result<Vec<String>> {
        let said = process::output(self.apt("apt-cache").args(["depends", package]))?;
        Ok(depended_on(&said))
    }

    /// Downloads packages and extracts their files.
    pub(super) fn extract(&self, packages: &[String], tree: &Path) -> Result<()> {
        let archives = tree.with_extension("archives");
        fs::create_dir_all(&archives).with_context(|| format!("making {}", archives.display()))?;
        process::run(
            self.apt("apt-get")
                // Its own user for downloads may not write here.
                .args(["download", "--quiet", "--option", "APT::Sandbox::User="])
                .args(packages)
                .current_dir(&archives),
        )?;
        for archive in fs::read_dir(&archives)? {
            let archive = archive?.path();
            process::run(
                Command::new("dpkg-deb")
                    .arg("--extract")
                    .args([archive.as_path(), tree]),
            )?;
        }
        fs::remove_dir_all(&archives).with_context(|| format!("removing {}", archives.display()))
    }

    fn apt(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        for option in &self.options {
            command.args(["--option", option]);
        }
        command
    }
}

/// From `apt-cache depends`.
fn depended_on(said: &str) -> Vec<String> {
    said.lines()
        .filter_map(|line| line.trim().strip_prefix("Depends: "))
        .map(str::to_owned)
        .collect()
}

/// The release that this machine runs, as its `os-release` calls it.
pub(super) fn release() -> Result<String> {
    let text = fs::read_to_string("/etc/os-release").context("reading /etc/os-release")?;
    let named = text
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    let named = named.map(|name| name.trim_matches('"').to_owned());
    named.context("/etc/os-release names no VERSION_CODENAME")
}

/// The mirror of Debian that this machine installs from.
fn mirror() -> Result<String> {
    let said = process::output(Command::new("apt-get").args([
        "indextargets",
        "--format",
        "$(REPO_URI) $(RELEASE) $(COMPONENT)",
        "Created-By: Packages",
    ]))?;
    mirror_of(&said, &release()?)
}

fn mirror_of(said: &str, release: &str) -> Result<String> {
    let wanted = format!(" {release} main");
    match said.lines().find_map(|line| line.strip_suffix(&wanted)) {
        Some(mirror) => Ok(mirror.to_owned()),
        None => bail!(
            "apt has no source for Debian's {release} on this machine: add one to /etc/apt/sources.list.d"
        ),
    }
}

fn sources(mirror: &str, suites: &[&str], keyring: Option<&str>) -> String {
    let signed_by = keyring.map_or(String::new(), |keyring| format!("Signed-By: {keyring}\n"));
    format!(
        "Types: deb\nURIs: {mirror}\nSuites: {}\nComponents: main\nTargets: Packages\n{signed_by}",
        suites.join(" ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_package_depends_on_is_read_from_what_apt_says() {
        let said =
            "linux-image-amd64\n  PreDepends: linux-base\n  Depends: linux-image-6.1.0-56-amd64\n";
        assert_eq!(depended_on(said), ["linux-image-6.1.0-56-amd64"]);
        assert_eq!(depended_on("linux-image-amd64\n"), [""; 0]);
    }

    #[test]
    fn the_mirror_is_that_of_the_release_itself() {
        let said = "http://other.invalid/x/ nodistro main\n\
                    http://mirror.invalid/debian-security/ bookworm-security main\n\
                    http://mirror.invalid/debian/ bookworm main\n";
        assert_eq!(
            mirror_of(said, "bookworm").unwrap(),
            "http://mirror.invalid/debian/"
        );
        let error = mirror_of(said, "trixie").unwrap_err().to_string();
        assert!(
            error.contains("trixie") && error.contains("sources.list"),
            "{error}"
        );
    }
}
