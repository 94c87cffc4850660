//! Programs on interfaces: attached by a way that fits, pinned to outlive the agent, and found again.

mod target;
mod tc;
mod xdp;

pub use target::{AttachError, Target};

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::object::Programs;
use crate::config::model::Datapath;
use crate::net::links::Link;
use crate::net::mac_filter;

/// What is on an interface; dropping it detaches, unless it is pinned.
#[derive(Debug)]
pub struct Attachment {
    hold: Hold,
    /// What a person should know of how it came to be there.
    pub notes: Vec<String>,
}

#[derive(Debug)]
enum Hold {
    Tc(tc::TcPair),
    Xdp(xdp::XdpHold),
}

impl Attachment {
    /// The datapath that it is.
    pub fn datapath(&self) -> Datapath {
        match &self.hold {
            Hold::Tc(_) => Datapath::Tc,
            Hold::Xdp(hold) => hold.mode.datapath(),
        }
    }

    /// How it is attached: `tcx`, `clsact` or `xdp`.
    pub fn link(&self) -> &'static str {
        match &self.hold {
            Hold::Tc(pair) => pair.link(),
            Hold::Xdp(_) => "xdp",
        }
    }

    /// What a person should know of it where it is, by the kernel's word; `None`: somebody else has taken it off.
    ///
    /// # Errors
    /// If the kernel cannot be asked.
    pub fn look(&mut self, target: &Target) -> Result<Option<Vec<String>>, AttachError> {
        Ok(match &mut self.hold {
            Hold::Tc(pair) if pair.is_there(target)? => {
                Some(pair.others_first(target)?.into_iter().collect())
            }
            Hold::Xdp(hold) if hold.is_there(target.ifindex)? => Some(Vec::new()),
            Hold::Tc(_) | Hold::Xdp(_) => None,
        })
    }

    /// Detaches, pinned or not.
    pub fn detach(self, target: &Target, pin_dir: Option<&Path>) -> io::Result<()> {
        close_filter(target.ifindex);
        match self.hold {
            Hold::Tc(pair) => {
                if let Some(dir) = pin_dir {
                    remove_pins(tc::pin_paths(dir, target.ifindex))?;
                }
                drop(pair);
                Ok(())
            }
            Hold::Xdp(hold) => hold.detach(),
        }
    }

    /// Leaves it where it is, if it is pinned: it has nothing to do without slots. A card that would reset when
    /// it goes is spared that.
    pub fn leave(self, target: &Target) {
        close_filter(target.ifindex);
        drop(self);
    }
}

/// When what is there by another datapath, pinned or not, goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Others {
    /// Before the new one is tried: it has no right to be there.
    ClearFirst,
    /// Once the new one is there: it is to stay if that is refused.
    ClearAfter,
}

/// Attaches as this datapath; over what an earlier agent has left there, by replacing the program at once.
/// A plain socket needs nothing, and is an error here.
pub fn attach(
    programs: &mut Programs,
    target: &Target,
    datapath: Datapath,
    others: Others,
    pin_dir: Option<&Path>,
) -> Result<Attachment, AttachError> {
    let mut notes = Vec::new();
    if others == Others::ClearFirst {
        clear_others(target, datapath, pin_dir);
    }
    let hold = match datapath {
        Datapath::Tc => Hold::Tc(tc::attach(programs, target, pin_dir, &mut notes)?),
        Datapath::Native => Hold::Xdp(xdp::attach(
            programs,
            target.ifindex,
            xdp::Mode::Native,
            pin_dir,
            &mut notes,
        )?),
        Datapath::Generic => Hold::Xdp(xdp::attach(
            programs,
            target.ifindex,
            xdp::Mode::Generic,
            pin_dir,
            &mut notes,
        )?),
        Datapath::Socket => {
            return Err(AttachError::Refused(
                "a plain socket has no program".to_owned().into(),
            ));
        }
    };
    if others == Others::ClearAfter {
        clear_others(target, datapath, pin_dir);
    }
    if pin_dir.is_some() {
        open_filter(target.ifindex);
    }
    Ok(Attachment { hold, notes })
}

/// Takes off whatever an earlier agent has left there.
pub fn clear(target: &Target, pin_dir: Option<&Path>) {
    clear_others(target, Datapath::Socket, pin_dir);
    if let Some(dir) = pin_dir {
        // That there is none is as good as removed.
        let _ = xdp::remove_pin(dir, target.ifindex);
    }
}

/// Takes off what an earlier agent has left there by another datapath: each advert is received once.
fn clear_others(target: &Target, datapath: Datapath, pin_dir: Option<&Path>) {
    // What cannot be removed is found again when this is tried again.
    if datapath != Datapath::Tc {
        let _ = tc::remove_clsact(&target.name);
    }
    let Some(dir) = pin_dir else { return };
    let _ = match datapath {
        Datapath::Tc => xdp::remove_pin(dir, target.ifindex),
        Datapath::Native | Datapath::Generic | Datapath::Socket => {
            remove_pins(tc::pin_paths(dir, target.ifindex))
        }
    };
}

/// What becomes of the pinned links of programs in XDP.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum XdpLinks {
    /// They stay, and the next agent puts its own program in their place.
    Keep,
    /// They go, and many cards reset.
    Remove,
}

/// The interface that the pin of a link is of, by the pin's name.
pub fn pinned_interface(pin: &Path) -> Option<u32> {
    let name = pin.file_name()?.to_str()?;
    [xdp::PIN_PREFIX, tc::INGRESS_PREFIX, tc::EGRESS_PREFIX]
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix))?
        .parse()
        .ok()
}

/// Whether it is the pin of a link in XDP, by its name.
pub fn is_xdp_pin(pin: &Path) -> bool {
    xdp::is_pin(pin)
}

/// Takes the programs at tc hooks off interfaces that are not in use, which an earlier agent left, and those in XDP if
/// they are to go. False if some cannot be taken off.
pub fn remove_strangers(dir: &Path, xdp: XdpLinks, in_use: impl Fn(u32) -> bool) -> bool {
    // A directory that cannot be read has nothing of ours.
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut are_gone = true;
    for path in entries.map(|entry| entry.path()) {
        let Some(ifindex) = pinned_interface(&path).filter(|it| !in_use(*it)) else {
            continue;
        };
        close_filter(ifindex);
        if xdp == XdpLinks::Keep && xdp::is_pin(&path) {
            continue;
        }
        are_gone &= fs::remove_file(&path).is_ok();
    }
    are_gone
}

/// Takes off what an agent on a kernel without tcx has left on an interface; false if there was nothing.
///
/// # Errors
/// If the kernel refuses to remove it.
pub fn remove_clsact_filters(link: &Link) -> io::Result<bool> {
    // One question, before anything is removed: most interfaces have no filters, and may be many.
    tc::has_filters(link.index).and_then(|any| {
        if any {
            tc::remove_clsact(&link.name)
        } else {
            Ok(false)
        }
    })
}

/// Makes the card let adverts in also when no socket listens to their groups.
pub(super) fn open_filter(ifindex: u32) {
    // What refuses has no filter; permission is there, or there would be no link.
    let _ = mac_filter::open(ifindex);
}

/// Lets the card filter adverts again that nobody is to receive.
pub(super) fn close_filter(ifindex: u32) {
    // An interface that is gone, or has no filter, has nothing to close.
    let _ = mac_filter::close(ifindex);
}

fn remove_pins(paths: [PathBuf; 2]) -> io::Result<()> {
    for path in paths {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_taken_off_is_told_until_it_is_gone() {
        // No interface has such an index.
        let [stranger, used] = [2_000_000_007, 2_000_000_008];
        let dir = tempfile::tempdir().unwrap();
        let pin = |side: &str, ifindex: u32| dir.path().join(format!("tcx-{side}-{ifindex}"));
        let stuck = pin("ingress", stranger);
        fs::create_dir(&stuck).unwrap();
        for path in [pin("egress", stranger), pin("ingress", used)] {
            fs::write(path, "").unwrap();
        }
        let remove = || remove_strangers(dir.path(), XdpLinks::Keep, |it| it == used);
        assert!(!remove());
        fs::remove_dir(&stuck).unwrap();
        fs::write(&stuck, "").unwrap();
        assert!(remove());
        assert!(!stuck.exists() && !pin("egress", stranger).exists());
        assert!(pin("ingress", used).exists());
    }
}
