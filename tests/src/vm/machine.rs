//! The machine: which hardware qemu is to emulate, and the kernel it boots.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use super::folder::{CONSOLE, Folder, MONITOR};
use crate::lab::netns::Namespace;
use crate::lab::require::find;

const QEMU: &str = "qemu-system-x86_64";

/// The guest's network card.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Card {
    /// Filters multicast by exact address; its driver runs XDP. It never strips VLAN tags.
    VirtioNet,
    /// Strips VLAN tags unless told not to; its driver runs no XDP.
    E1000e,
    /// The one of `VMware`.
    Vmxnet3,
    /// Intel's for servers; its driver resets it for an XDP program. QEMU has it from version 8.
    Igb,
}

impl Card {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::VirtioNet, Self::E1000e, Self::Vmxnet3, Self::Igb];

    /// As the command line and tables call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::VirtioNet => "virtio-net",
            Self::E1000e => "e1000e",
            Self::Vmxnet3 => "vmxnet3",
            Self::Igb => "igb",
        }
    }

    fn device(self) -> &'static str {
        match self {
            // A bond of 802.3ad takes no card of unknown speed.
            Self::VirtioNet => "virtio-net-pci,speed=1000,duplex=full",
            Self::E1000e | Self::Vmxnet3 | Self::Igb => self.name(),
        }
    }
}

/// The MAC of a card, but for its last digit.
const MAC: &str = "02:99:00:00:01:0";

/// What a card is joined to that carries more traffic than a test can read: a tap device.
#[derive(Clone, Debug)]
pub struct Wire {
    /// Where the tap device is; the machine runs there.
    pub namespace: Namespace,
    /// Its name.
    pub tap: &'static str,
}

/// What to boot.
#[derive(Clone, Debug)]
pub struct Machine {
    /// The kind of its cards.
    pub card: Card,
    /// How many of them are on the test's segment.
    pub cards: usize,
    /// What one more, which comes after these, is joined to.
    pub wire: Option<Wire>,
    /// The folder with the guest's kernel and modules.
    pub kernel: PathBuf,
    /// Whether it has the programs and modules for every kind of interface.
    pub further: bool,
    /// Programs of this machine that it has beside those, by name.
    pub programs: &'static [&'static str],
}

impl Machine {
    /// One card, the kernel that `cargo xtask setup` fetches, and only what most tests need.
    pub fn ordinary(card: Card) -> Result<Self> {
        Ok(Self {
            card,
            cards: 1,
            wire: None,
            kernel: kernel(&target().join("guest"))?,
            further: false,
            programs: &[],
        })
    }

    /// An ordinary machine with a second card, `eth1`, which is joined to a tap device, and with further programs.
    pub fn wired(card: Card, wire: Wire, programs: &'static [&'static str]) -> Result<Self> {
        Ok(Self {
            wire: Some(wire),
            programs,
            ..Self::ordinary(card)?
        })
    }

    /// Two cards and all kinds of interfaces; the kernel is one that `cargo xtask vm --matrix` fetches, or
    /// that of the ordinary tests.
    pub fn of_matrix(card: Card, name: Option<&str>) -> Result<Self> {
        let folder = match name {
            Some(name) => target().join("kernels").join(name),
            None => target().join("guest"),
        };
        Ok(Self {
            card,
            cards: 2,
            wire: None,
            kernel: kernel(&folder)?,
            further: true,
            programs: &[],
        })
    }
}

fn target() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/vm")
}

fn kernel(folder: &Path) -> Result<PathBuf> {
    if !folder.join("complete").exists() {
        bail!(
            "the guest's kernel is not in {}: run `cargo xtask setup`, or for the matrix's \
             `cargo xtask vm --matrix`",
            folder.display()
        );
    }
    Ok(folder.to_owned())
}

/// A qemu that has the card, ready for further arguments: this machine's, or the newer one that
/// `cargo xtask vm --matrix` fetches.
pub fn qemu(card: Card) -> Result<Command> {
    let fetched = target().join("qemu/usr");
    let newer = fetched.join("bin").join(QEMU);
    let own = find(QEMU);
    // An older one forgets to tell the driver of e1000e that its cable was pulled.
    let wanted = matches!(card, Card::E1000e | Card::Igb);
    if newer.exists() && (wanted || own.is_none()) {
        let mut command = Command::new(newer);
        for folder in ["share/qemu", "share/seabios"] {
            command.arg("-L").arg(fetched.join(folder));
        }
        return Ok(command);
    }
    let Some(own) = own else {
        bail!("this test needs {QEMU}, which is not installed: run `cargo xtask setup`");
    };
    if card == Card::Igb && !has_igb(&own) {
        bail!("this machine's {QEMU} has no igb, which it has from version 8");
    }
    Ok(Command::new(own))
}

/// One without the card says so and calls that a success.
fn has_igb(qemu: &Path) -> bool {
    let asked = Command::new(qemu).args(["-device", "igb,help"]).output();
    asked.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("igb options"))
}

/// What qemu calls a card's network: its cable is pulled by that name.
pub(super) fn network(number: usize) -> String {
    format!("lan{number}")
}

/// The sockets of a card's cable: this end's, and the guest's.
pub(super) fn cable(folder: &Folder, number: usize) -> (PathBuf, PathBuf) {
    (
        folder.path(&format!("segment{number}")),
        folder.path(&format!("guest{number}")),
    )
}

/// The command that starts a machine whose files lie in the folder.
pub(super) fn command(machine: &Machine, folder: &Folder) -> Result<Command> {
    let at = |name: &str| folder.path(name).display().to_string();
    let mut qemu = qemu(machine.card)?;
    // Emulation even where there is KVM: some of what calls itself so boots no stock kernel.
    qemu.args(["-accel", "tcg,tb-size=256"])
        .args(["-machine", "q35", "-cpu", "max", "-smp", "1", "-m", "512"])
        .args(["-nodefaults", "-display", "none", "-no-reboot"])
        .arg("-kernel")
        .arg(machine.kernel.join("vmlinuz"))
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
            "-chardev",
            &format!("socket,id=monitor,server=on,wait=off,path={}", at(MONITOR)),
        ])
        .args(["-mon", "chardev=monitor,mode=readline"]);
    for number in 0..machine.cards {
        let (own, guest) = cable(folder, number);
        let backend = format!(
            "dgram,local.type=unix,local.path={},remote.type=unix,remote.path={}",
            guest.display(),
            own.display()
        );
        add_card(&mut qemu, machine.card, number, &backend);
    }
    if let Some(Wire { tap, .. }) = machine.wire {
        let backend = format!("tap,ifname={tap},script=no,downscript=no,vhost=off");
        add_card(&mut qemu, machine.card, machine.cards, &backend);
    }
    Ok(qemu)
}

/// Each is in a slot of its own: what igb could be split up into takes the places beside it.
fn add_card(qemu: &mut Command, card: Card, number: usize, backend: &str) {
    let network = network(number);
    qemu.args([
        "-netdev",
        &format!("{backend},id={network}"),
        "-device",
        &format!("pcie-root-port,id=slot{number},chassis={number}"),
        "-device",
        // Without its boot ROM, which would be looked at first.
        &format!(
            "{},netdev={network},bus=slot{number},mac={MAC}{},romfile=",
            card.device(),
            number + 1
        ),
    ]);
}
