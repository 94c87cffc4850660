//! Which compiler builds the BPF programs. The BPF target has no prebuilt `core`, so it takes a compiler that
//! allows unstable flags **and** the sources of exactly that compiler's standard library.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::linker_version;
use super::llvm;
use crate::process::{self, find_program};

/// Debian's packages of one and the same compiler; its name tells that it is the one for building browsers.
pub(crate) const DEBIAN_PACKAGES: &[&str] = &["rustc-web", "cargo-web", "rust-web-src"];

/// The command that gets a toolchain where Debian has none.
pub(crate) const RUSTUP_INSTALL: &[&str] = &[
    "toolchain",
    "install",
    "nightly",
    "--profile",
    "minimal",
    "--component",
    "rust-src",
];

/// A compiler that can build for BPF.
#[derive(Debug)]
pub(crate) struct Toolchain {
    origin: Origin,
    /// As in `rustc 1.96.0`.
    pub(crate) release: String,
    /// bpf-linker must link the same.
    pub(crate) llvm_major: u32,
}

#[derive(Debug)]
enum Origin {
    /// A nightly, by its name in rustup.
    Rustup(String),
    /// `/usr/bin/rustc` and `/usr/bin/cargo`.
    Debian,
}

/// Why there is no compiler: one sentence for each that was looked at.
#[derive(Debug)]
pub(crate) struct NoToolchain {
    pub(crate) passed_over: Vec<String>,
}

/// The first usable one: a rustup nightly with its sources, then Debian's.
pub(crate) fn find() -> Result<Toolchain, NoToolchain> {
    let mut passed_over = Vec::new();
    let candidates = rustup_nightlies()
        .into_iter()
        .map(|(name, sysroot)| (Origin::Rustup(name), sysroot))
        .chain([(Origin::Debian, PathBuf::from("/usr"))]);
    for (origin, sysroot) in candidates {
        match inspect(&origin, &sysroot) {
            Ok((release, llvm_major)) => {
                return Ok(Toolchain {
                    origin,
                    release,
                    llvm_major,
                });
            }
            Err(reason) => passed_over.push(format!("{origin}: {reason:#}")),
        }
    }
    Err(NoToolchain { passed_over })
}

impl Toolchain {
    /// This toolchain's cargo, free of what the toolchain that runs xtask left in the environment.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = match &self.origin {
            Origin::Rustup(name) => {
                let mut command = Command::new("cargo");
                command.env("RUSTUP_TOOLCHAIN", name).env_remove("RUSTC");
                command
            }
            Origin::Debian => {
                let mut command = Command::new("/usr/bin/cargo");
                command
                    .env("RUSTC", "/usr/bin/rustc")
                    .env("RUSTC_BOOTSTRAP", "1")
                    .env_remove("RUSTUP_TOOLCHAIN");
                command
            }
        };
        for inherited in ["CARGO", "RUSTC_WRAPPER", "RUSTFLAGS", "LD_LIBRARY_PATH"] {
            command.env_remove(inherited);
        }
        command
    }
}

#[cfg(test)]
impl Toolchain {
    /// Debian's compiler with other versions.
    pub(crate) fn for_tests(release: &str, llvm_major: u32) -> Self {
        Self {
            origin: Origin::Debian,
            release: release.to_owned(),
            llvm_major,
        }
    }
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}, LLVM {}",
            self.origin, self.release, self.llvm_major
        )
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rustup(name) => write!(f, "rustup's {name}"),
            Self::Debian => write!(f, "Debian's /usr/bin/rustc"),
        }
    }
}

/// Names and folders of the installed nightlies.
fn rustup_nightlies() -> Vec<(String, PathBuf)> {
    if find_program("rustup").is_none() {
        return Vec::new();
    }
    let listed = process::output(Command::new("rustup").args(["toolchain", "list", "--verbose"]));
    parse_toolchain_list(&listed.unwrap_or_default())
}

/// Lines like `nightly-x86_64-unknown-linux-gnu (default) /opt/rustup/toolchains/...`.
fn parse_toolchain_list(text: &str) -> Vec<(String, PathBuf)> {
    text.lines()
        .filter(|line| line.starts_with("nightly"))
        .filter_map(|line| {
            let name = line.split_whitespace().next()?;
            let folder = line.get(line.find('/')?..)?;
            Some((name.to_owned(), PathBuf::from(folder.trim())))
        })
        .collect()
}

/// The release and the LLVM major version, or why this compiler is of no use.
fn inspect(origin: &Origin, sysroot: &Path) -> Result<(String, u32)> {
    let rustc = sysroot.join("bin/rustc");
    if !rustc.exists() {
        bail!("not installed");
    }
    // Cargo's build-std reads this file, so it is the proof that the sources are usable.
    if !sysroot
        .join("lib/rustlib/src/rust/library/Cargo.lock")
        .exists()
    {
        bail!("its sources (rust-src) are not installed");
    }
    let mut command = Command::new(&rustc);
    command.arg("-vV").env_remove("LD_LIBRARY_PATH");
    let (release, llvm_major) = parse_version(&process::output(&mut command)?)?;
    let wanted = env!("CARGO_PKG_RUST_VERSION");
    if older(&release, wanted) {
        bail!("{release} is older than {wanted}");
    }
    if !linker_version::SUPPORTED_LLVM.contains(&llvm_major) {
        bail!(
            "bpf-linker {} does not support its LLVM {llvm_major}",
            linker_version::VERSION
        );
    }
    // A nightly may be ahead of every LLVM that the distribution packages.
    if matches!(origin, Origin::Rustup(_)) && !llvm::is_obtainable(llvm_major) {
        bail!(
            "LLVM {llvm_major}, which building bpf-linker requires, is missing (https://apt.llvm.org may have it)"
        );
    }
    Ok((release, llvm_major))
}

/// From `rustc -vV`.
fn parse_version(text: &str) -> Result<(String, u32)> {
    let fields: HashMap<&str, &str> = text
        .lines()
        .filter_map(|line| line.split_once(": "))
        .collect();
    let release = fields
        .get("release")
        .context("`rustc -vV` names no release")?;
    let llvm = fields
        .get("LLVM version")
        .context("`rustc -vV` names no LLVM version")?;
    let major = llvm.split('.').next().unwrap_or_default();
    let major = major
        .parse()
        .with_context(|| format!("`rustc -vV` names the LLVM version `{llvm}`"))?;
    Ok(((*release).to_owned(), major))
}

/// Compares the first two numbers of versions like `1.97.0-nightly` and `1.95`.
fn older(release: &str, than: &str) -> bool {
    let pair = |version: &str| {
        let mut numbers = version
            .split('.')
            .map(|part| part.parse::<u32>().unwrap_or(0));
        (numbers.next(), numbers.next())
    };
    pair(release) < pair(than)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_nightlies_are_taken_from_rustups_list_and_folders_keep_their_blanks() {
        let listed = "stable-x86_64-unknown-linux-gnu (active, default) /opt/rustup/toolchains/stable\n\
            nightly-2026-05-19-x86_64-unknown-linux-gnu /opt/a person/toolchains/nightly\n";
        assert_eq!(
            parse_toolchain_list(listed),
            [(
                "nightly-2026-05-19-x86_64-unknown-linux-gnu".to_owned(),
                PathBuf::from("/opt/a person/toolchains/nightly")
            )]
        );
    }

    #[test]
    fn release_and_llvm_major_are_read_from_rustc() {
        let text = "rustc 1.96.0 (ac68faa20 2026-05-25) (built from a source tarball)\nbinary: rustc\n\
            host: x86_64-unknown-linux-gnu\nrelease: 1.96.0\nLLVM version: 22.1.8\n";
        assert_eq!(parse_version(text).unwrap(), ("1.96.0".to_owned(), 22));
        assert!(parse_version("release: 1.96.0\n").is_err());
    }

    #[test]
    fn versions_compare_by_number_and_not_by_letter() {
        assert!(older("1.63.0", "1.95"));
        assert!(older("1.9.0", "1.95"));
        assert!(!older("1.95.0", "1.95"));
        assert!(!older("1.100.0-nightly", "1.95"));
    }

    #[test]
    fn a_toolchain_without_sources_is_passed_over_with_that_reason() {
        let sysroot =
            std::env::temp_dir().join(format!("ha-xtask-toolchain-{}", std::process::id()));
        std::fs::create_dir_all(sysroot.join("bin")).unwrap();
        std::fs::write(sysroot.join("bin/rustc"), "").unwrap();
        let reason = inspect(&Origin::Rustup("nightly".to_owned()), &sysroot).unwrap_err();
        std::fs::remove_dir_all(&sysroot).unwrap();
        assert!(reason.to_string().contains("rust-src"), "{reason}");
    }
}
