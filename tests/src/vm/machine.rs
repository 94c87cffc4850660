//! The machine: which hardware qemu is to emulate, and the kernel it boots.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use super::folder::Folder;
use crate::lab::require::find;

/// What the guest's kernel and its agent write goes to this file.
pub(super) const CONSOLE: &str = "console.log";

const QEMU: &str = "qemu-system-x86_64";

/// The guest's network card.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Card {
    /// Filters multicast by exact address; its driver runs XDP. It never strips VLAN tags.
    VirtioNet,
    /// Strips VLAN tags unless told not to; its driver runs no XDP.
    E1000e,
}

impl Card {
    fn device(self) -> &'static str {
        match self {
            Self::VirtioNet => "virtio-net-pci",
            Self::E1000e => "e1000e",
        }
    }
}

/// The folder with the guest's kernel, which `cargo xtask setup` fills.
pub(super) fn kernel() -> Result<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/vm/guest");
    if !folder.join("complete").exists() {
        bail!(
            "the guest's kernel is not in {}: run `cargo xtask setup`",
            folder.display()
        );
    }
    Ok(folder)
}

/// The command that starts a machine whose files lie in the folder.
pub(super) fn command(card: Card, kernel: &Path, folder: &Folder) -> Result<Command> {
    if find(QEMU).is_none() {
        bail!("this test needs {QEMU}, which is not installed: run `cargo xtask setup`");
    }
    let at = |name: &str| folder.path(name).display().to_string();
    let mut qemu = Command::new(QEMU);
    // Emulation even where there is KVM: some of what calls itself so boots no stock kernel.
    qemu.args(["-accel", "tcg,tb-size=256"])
        .args(["-machine", "q35", "-cpu", "max", "-smp", "1", "-m", "512"])
        .args(["-nodefaults", "-display", "none", "-no-reboot"])
        .arg("-kernel")
        .arg(kernel)
        .args(["-initrd", &at("guest.cpio")])
        // A guest that panics ends, rather than leave the test waiting. That its timer works it must not
        // try out: an emulator that gets no processor for a while looks like broken hardware.
        .args(["-append", "console=ttyS0 quiet panic=-1 no_timer_check"])
        .args(["-chardev", &format!("file,id=console,path={}", at(CONSOLE))])
        .args([
            "-chardev",
            &format!("socket,id=orders,path={}", at("orders")),
        ])
        .args(["-serial", "chardev:console", "-serial", "chardev:orders"])
        .args([
            "-netdev",
            &format!(
                "dgram,id=lan,local.type=unix,local.path={},remote.type=unix,remote.path={}",
                at("guest"),
                at("segment")
            ),
        ])
        .args([
            "-device",
            // Without its boot ROM, which would be looked at first.
            &format!(
                "{},netdev=lan,mac=02:99:00:00:01:01,romfile=",
                card.device()
            ),
        ]);
    Ok(qemu)
}
