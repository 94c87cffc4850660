//! The XDP hook: native or generic, never over somebody else's program.
//!
//! Most cards reset when a native program comes or goes, so one that is there is kept for as long as it can be.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aya::programs::Xdp;
use aya::programs::links::{FdLink, PinnedLink};
use aya::programs::loaded_programs;
use aya::programs::xdp::{XdpLink, XdpMode};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::LinkMessage;

use super::target::{AttachError, refused};
use crate::config::model::Datapath;
use crate::datapath::error::root_cause;
use crate::datapath::object::Programs;
use crate::net::netlink::{NetlinkError, RouteSocket};
use crate::net::raw_link::{NEW_LINK, RawLink};

/// How often, and at what distance, it is looked whether the kernel has taken a program off: 100 ms.
const DETACH_LOOKS: u32 = 50;
const DETACH_PAUSE: Duration = Duration::from_millis(2);

/// What the names of pinned links begin with; the interface's index follows.
pub(super) const PIN_PREFIX: &str = "link-";

/// What libxdp calls the program that runs others one after the other.
const DISPATCHER: &str = "xdp_dispatcher";

/// Where in the stack the program runs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Mode {
    /// In the driver.
    Native,
    /// In the stack, before it does anything else.
    Generic,
}

impl Mode {
    pub(super) const fn datapath(self) -> Datapath {
        match self {
            Self::Native => Datapath::Native,
            Self::Generic => Datapath::Generic,
        }
    }

    const fn xdp(self) -> XdpMode {
        match self {
            Self::Native => XdpMode::Driver,
            Self::Generic => XdpMode::Skb,
        }
    }
}

/// A program on an interface; dropping it detaches, unless the link is pinned.
#[derive(Debug)]
pub(super) struct XdpHold {
    pub(super) mode: Mode,
    program: u32,
    link: Held,
}

#[derive(Debug)]
enum Held {
    Pinned(PinnedLink),
    Owned(#[expect(dead_code, reason = "dropping it detaches")] FdLink),
}

impl XdpHold {
    /// Whether it is there.
    pub(super) fn is_there(&self, ifindex: u32) -> Result<bool, AttachError> {
        let found = query(ifindex)?;
        Ok(found.is_some_and(|found| found.program == self.program))
    }

    /// Detaches, pinned or not.
    pub(super) fn detach(self) -> io::Result<()> {
        match self.link {
            Held::Pinned(link) => link.unpin().map(drop),
            Held::Owned(_) => Ok(()),
        }
    }
}

/// Attaches in one mode; over a link that an earlier agent pinned, by replacing its program at once.
pub(super) fn attach(
    programs: &mut Programs,
    ifindex: u32,
    mode: Mode,
    pin_dir: Option<&Path>,
    notes: &mut Vec<String>,
) -> Result<XdpHold, AttachError> {
    let program = programs.xdp()?;
    let id = program.info().map_err(refused)?.id();
    let pin = pin_dir.map(|dir| dir.join(format!("{PIN_PREFIX}{ifindex}")));
    if let Some(path) = pin.as_ref().filter(|path| path.exists()) {
        if query(ifindex)?.is_some_and(|found| found.mode == mode) {
            match take_over(program, path) {
                Ok(link) => return hold(link, mode, id, pin),
                Err(error) => notes.push(format!(
                    "the link that an earlier agent left accepts no other program ({}); detached it and \
                     attached a new one, which resets many cards",
                    root_cause(error.as_ref())
                )),
            }
        }
        // What was pinned there is in another mode, or belonged to an interface that is gone.
        fs::remove_file(path).map_err(|error| AttachError::Pin {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        wait_detached(ifindex)?;
    }
    if query(ifindex)?.is_some_and(|found| found.program == id) {
        // Ours, in its last moments: it has just been taken off in another mode.
        wait_detached(ifindex)?;
    }
    if let Some(found) = query(ifindex)? {
        return Err(foreign(found.program));
    }
    let link_id = program
        .attach_to_if_index(ifindex, mode.xdp())
        .map_err(refused)?;
    let link = program.take_link(link_id).map_err(refused)?;
    hold(link, mode, id, pin)
}

/// Names the program that holds the place.
fn foreign(id: u32) -> AttachError {
    let name = loaded_programs()
        .flatten()
        .find(|info| info.id() == id)
        .and_then(|info| info.name_as_str().map(str::to_owned));
    let what = match name.as_deref() {
        Some(DISPATCHER) => {
            "libxdp's dispatcher, which runs foreign programs (`xdp-loader status` lists them),"
                .to_owned()
        }
        Some(name) => format!("the foreign XDP program {name}"),
        None => "a foreign XDP program".to_owned(),
    };
    AttachError::Foreign { what, id }
}

/// The kernel takes the program of a link that nobody holds any more off in a worker, a moment later
/// (`bpf_link_put`), and tells nobody.
fn wait_detached(ifindex: u32) -> Result<(), NetlinkError> {
    for _ in 0..DETACH_LOOKS {
        if query(ifindex)?.is_none() {
            break;
        }
        std::thread::sleep(DETACH_PAUSE);
    }
    Ok(())
}

/// Takes the program off that an earlier agent left on an interface.
pub(super) fn remove_pin(dir: &Path, ifindex: u32) -> io::Result<()> {
    fs::remove_file(dir.join(format!("{PIN_PREFIX}{ifindex}")))
}

/// Whether a pin is that of an XDP link.
pub(super) fn is_pin(path: &Path) -> bool {
    path.file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|name| name.starts_with(PIN_PREFIX))
}

/// The earlier agent's link with our program in it.
fn take_over(
    program: &mut Xdp,
    path: &Path,
) -> Result<XdpLink, Box<dyn std::error::Error + Send + Sync>> {
    let old: FdLink = PinnedLink::from_pin(path)?.into();
    let id = program.attach_to_link(XdpLink::try_from(old)?)?;
    Ok(program.take_link(id)?)
}

fn hold(
    link: XdpLink,
    mode: Mode,
    program: u32,
    pin: Option<PathBuf>,
) -> Result<XdpHold, AttachError> {
    let link = FdLink::try_from(link).map_err(|error| AttachError::Pin {
        path: pin.clone().unwrap_or_default(),
        reason: format!("{error}: the kernel is older than 5.9"),
    })?;
    let link = match pin {
        None => Held::Owned(link),
        Some(path) => {
            let pinned = if path.exists() {
                PinnedLink::from_pin(&path).map_err(|error| error.to_string())
            } else {
                link.pin(&path).map_err(|error| error.to_string())
            };
            Held::Pinned(pinned.map_err(|reason| AttachError::Pin { path, reason })?)
        }
    };
    Ok(XdpHold {
        mode,
        program,
        link,
    })
}

/// A program that is attached to an interface.
#[derive(Clone, Copy, Debug)]
struct Attached {
    program: u32,
    mode: Mode,
}

fn query(ifindex: u32) -> Result<Option<Attached>, NetlinkError> {
    let mut socket = RouteSocket::open()?;
    let mut request = LinkMessage::default();
    request.header.index = ifindex;
    let answer = socket.get(
        &RouteNetlinkMessage::GetLink(request),
        |kind, payload| match kind {
            NEW_LINK => RawLink::read(payload).and_then(|link| link.xdp_program()),
            _ => None,
        },
    )?;
    Ok(answer.map(|(program, is_generic)| Attached {
        program,
        mode: if is_generic {
            Mode::Generic
        } else {
            Mode::Native
        },
    }))
}
