//! `cargo xtask setup`: says what is missing and why, then installs it. Quick when nothing is missing.

mod apt;
pub(crate) mod bpf_linker;
pub(crate) mod guest_kernel;
mod guest_modules;
pub(crate) mod guest_qemu;
pub(crate) mod linker_version;
mod llvm;
mod packages;
mod source;
pub(crate) mod toolchain;

use std::process::Command;

use anyhow::{Context as _, Result, bail};

pub(crate) use self::packages::Need;
use self::packages::Package;
use self::toolchain::Toolchain;
use crate::process::{self, find_program};
use crate::workspace::Workspace;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// List what is missing and fail if anything is; install nothing
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    if !args.check {
        ensure(workspace, Need::ALL)?;
        println!("Set up: nothing is missing.");
        return Ok(());
    }
    let missing = Missing::survey(workspace, Need::ALL);
    if missing.is_empty() {
        println!("Nothing is missing.");
        return Ok(());
    }
    missing.explain();
    bail!("not everything is installed: run `cargo xtask setup`");
}

/// Installs what these needs lack; prints nothing when they lack nothing.
pub(crate) fn ensure(workspace: &Workspace, needs: &[Need]) -> Result<()> {
    let missing = Missing::survey(workspace, needs);
    if missing.is_empty() {
        return Ok(());
    }
    println!("About to install what this machine lacks:");
    missing.explain();
    install(workspace, &missing)?;
    let still = Missing::survey(workspace, needs);
    if !still.is_empty() {
        still.explain();
        bail!("installed, but the above cannot be found: is it in PATH?");
    }
    Ok(())
}

/// What a machine lacks.
struct Missing {
    packages: Vec<&'static Package>,
    ebpf: Option<MissingEbpf>,
    guest_kernel: bool,
}

/// The parts of the eBPF toolchain build on one another, so there is one first thing that is missing.
enum MissingEbpf {
    Compiler(toolchain::NoToolchain),
    Llvm(Toolchain),
    Linker,
}

impl Missing {
    fn survey(workspace: &Workspace, needs: &[Need]) -> Self {
        let ebpf = needs.contains(&Need::Ebpf);
        Self {
            packages: packages::missing(needs),
            ebpf: if ebpf {
                MissingEbpf::survey(workspace)
            } else {
                None
            },
            guest_kernel: needs.contains(&Need::Vm) && !guest_kernel::is_ready(workspace),
        }
    }

    fn is_empty(&self) -> bool {
        self.packages.is_empty() && self.ebpf.is_none() && !self.guest_kernel
    }

    fn explain(&self) {
        for package in &self.packages {
            line(package.name, package.reason);
        }
        if let Some(ebpf) = &self.ebpf {
            ebpf.explain();
        }
        if self.guest_kernel {
            line(
                "Debian's stock kernel",
                "the virtual machine boots it; unpacked into target/vm, not installed",
            );
        }
    }
}

impl MissingEbpf {
    fn survey(workspace: &Workspace) -> Option<Self> {
        match toolchain::find() {
            Err(none) => Some(Self::Compiler(none)),
            Ok(toolchain) if bpf_linker::is_ready(workspace, &toolchain) => None,
            Ok(toolchain) if llvm::prefix(toolchain.llvm_major).is_none() => {
                Some(Self::Llvm(toolchain))
            }
            Ok(_) => Some(Self::Linker),
        }
    }

    fn explain(&self) {
        match self {
            Self::Compiler(none) => {
                line(
                    "a Rust compiler with its sources",
                    "the BPF programs require `core` built for the BPF target",
                );
                for reason in &none.passed_over {
                    println!("      passed over {reason}");
                }
                if apt::exists() {
                    println!("      from {}", toolchain::DEBIAN_PACKAGES.join(" "));
                } else {
                    println!(
                        "      from `rustup {}`",
                        toolchain::RUSTUP_INSTALL.join(" ")
                    );
                }
                line(
                    "the LLVM libraries of that compiler",
                    "bpf-linker is built on them",
                );
            }
            Self::Llvm(toolchain) => {
                line(
                    &llvm::package(toolchain.llvm_major),
                    "bpf-linker is built on it",
                );
            }
            Self::Linker => {}
        }
        line(
            &format!("bpf-linker {}", linker_version::VERSION),
            "links the BPF programs and makes their BTF; built from source into target/tools, about a minute",
        );
    }
}

fn line(what: &str, why: &str) {
    println!("  {what:<34} {why}");
}

fn install(workspace: &Workspace, missing: &Missing) -> Result<()> {
    let only_the_linker = missing.packages.is_empty()
        && !missing.guest_kernel
        && matches!(missing.ebpf, Some(MissingEbpf::Linker));
    if apt::exists() && !only_the_linker {
        apt::refresh()?;
    }
    install_packages(&missing.packages)?;
    if missing.guest_kernel {
        guest_kernel::install(workspace)?;
    }
    if missing.ebpf.is_some() {
        install_ebpf(workspace)?;
    }
    Ok(())
}

fn install_ebpf(workspace: &Workspace) -> Result<()> {
    let toolchain = match toolchain::find() {
        Ok(toolchain) => toolchain,
        Err(_) => install_toolchain()?,
    };
    if llvm::prefix(toolchain.llvm_major).is_none() && apt::exists() {
        apt::install(&[&llvm::package(toolchain.llvm_major)])?;
    }
    if bpf_linker::is_ready(workspace, &toolchain) {
        return Ok(());
    }
    println!("Building bpf-linker for {toolchain}.");
    bpf_linker::install(workspace, &toolchain)
}

fn install_packages(packages: &[&Package]) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = packages.iter().map(|package| package.name).collect();
    if !apt::exists() {
        bail!(
            "this machine has no apt-get: install what its distribution calls {}, then run this again",
            names.join(", ")
        );
    }
    apt::install(&names)?;
    for service in packages.iter().filter_map(|package| package.service) {
        apt::disable(service)?;
    }
    Ok(())
}

fn install_toolchain() -> Result<Toolchain> {
    let debian = toolchain::DEBIAN_PACKAGES;
    if apt::exists() && debian.iter().all(|package| apt::offers(package)) {
        apt::install(debian)?;
    } else if find_program("rustup").is_some() {
        process::run(Command::new("rustup").args(toolchain::RUSTUP_INSTALL))
            .context("neither apt nor rustup provides the eBPF toolchain")?;
    } else {
        bail!("install rustup (https://rustup.rs), then run `cargo xtask setup` again");
    }
    toolchain::find().map_err(|none| {
        anyhow::anyhow!(
            "no installed compiler can build for BPF: {}",
            none.passed_over.join("; ")
        )
    })
}
