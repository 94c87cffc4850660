//! Attaching the receive program to interfaces: native before generic, never over somebody else's.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aya::programs::links::{FdLink, PinnedLink};
use aya::programs::xdp::{XdpLink, XdpMode};
use aya::programs::{ProgramError, Xdp};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkMessage, LinkXdp, XdpAttached};
use thiserror::Error;

use crate::net::filter;
use crate::net::netlink::{NetlinkError, RouteSocket};

/// How often, and at what distance, it is looked whether the kernel has taken a program off: 100 ms.
const DETACH_LOOKS: u32 = 50;
const DETACH_PAUSE: Duration = Duration::from_millis(2);

/// Where in the stack the program runs.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Mode {
    /// In the driver.
    Native,
    /// In the stack, before it does anything else.
    Generic,
}

impl Mode {
    /// As `status` and the configuration call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Generic => "generic",
        }
    }

    const fn xdp(self) -> XdpMode {
        match self {
            Self::Native => XdpMode::Driver,
            Self::Generic => XdpMode::Skb,
        }
    }
}

/// Why the program could not be attached.
#[derive(Debug, Error)]
pub enum AttachError {
    /// Another program holds the place.
    #[error("an XDP program of somebody else (id {0}) is attached, and is not replaced")]
    Foreign(u32),
    /// The kernel or the driver refused.
    #[error("{}", root_cause(.0))]
    Refused(ProgramError),
    /// What is attached could not be read.
    #[error("reading what is attached: {0}")]
    Query(#[from] NetlinkError),
    /// The link could not be pinned.
    #[error("pinning the link at {path}: {reason}")]
    Pin {
        /// Where.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
}

/// A program on an interface; dropping it detaches, unless the link is pinned.
#[derive(Debug)]
pub struct Attachment {
    /// The mode that it became.
    pub mode: Mode,
    hold: Hold,
}

#[derive(Debug)]
enum Hold {
    /// What outlives us: the link, and what lets adverts in to it on this interface.
    Pinned(PinnedLink, u32),
    Owned(#[expect(dead_code, reason = "dropping it detaches")] FdLink),
}

impl Attachment {
    /// Detaches, pinned or not.
    pub fn detach(self) -> io::Result<()> {
        match self.hold {
            Hold::Pinned(link, ifindex) => {
                close_filter(ifindex);
                link.unpin().map(drop)
            }
            Hold::Owned(_) => Ok(()),
        }
    }
}

/// Attaches in one mode; over a link that an earlier agent pinned, by replacing its program at once if
/// `may_keep` its mode.
pub fn attach(
    program: &mut Xdp,
    ifindex: u32,
    mode: Mode,
    may_keep: impl Fn(Mode) -> bool,
    pin_dir: Option<&Path>,
) -> Result<Attachment, AttachError> {
    let pin = pin_dir.map(|dir| pin_path(dir, ifindex));
    let attached = query(ifindex)?;
    if let (Some(path), Some(found)) = (&pin, attached)
        && may_keep(found.mode)
        && let Some(link) = take_over(program, path)
    {
        return hold(link, found.mode, ifindex, pin);
    }
    if let Some(path) = &pin
        && fs::remove_file(path).is_ok()
    {
        // What was pinned there is in another mode, or belonged to an interface that is gone.
        wait_detached(ifindex)?;
    }
    if let Some(found) = query(ifindex)? {
        return Err(AttachError::Foreign(found.program));
    }
    let id = program
        .attach_to_if_index(ifindex, mode.xdp())
        .map_err(AttachError::Refused)?;
    let link = program.take_link(id).map_err(AttachError::Refused)?;
    hold(link, mode, ifindex, pin)
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

/// What the names of pinned links begin with; the interface's index follows.
const PIN_PREFIX: &str = "link-";

/// Where the link of an interface is pinned.
pub fn pin_path(dir: &Path, ifindex: u32) -> PathBuf {
    dir.join(format!("{PIN_PREFIX}{ifindex}"))
}

/// The interface whose link a pin of that name is.
pub fn pinned_interface(pin: &Path) -> Option<u32> {
    pin.file_name()?
        .to_str()?
        .strip_prefix(PIN_PREFIX)?
        .parse()
        .ok()
}

/// Unpins the links of interfaces that are not in use, and so takes their programs off.
pub fn remove_links(dir: &Path, in_use: impl Fn(u32) -> bool) {
    // A directory that cannot be read has nothing of ours.
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()) {
        if let Some(ifindex) = pinned_interface(&path)
            && !in_use(ifindex)
        {
            close_filter(ifindex);
            // What cannot be removed now is found again at the next start.
            let _ = fs::remove_file(&path);
        }
    }
}

/// Lets the card filter adverts again that nobody is to hear.
pub(super) fn close_filter(ifindex: u32) {
    // An interface that is gone, or has no filter, has nothing to close.
    let _ = filter::close(ifindex);
}

/// The earlier agent's link with our program in it, or `None` if the link is dead.
fn take_over(program: &mut Xdp, path: &Path) -> Option<XdpLink> {
    let old: FdLink = PinnedLink::from_pin(path).ok()?.into();
    let old = XdpLink::try_from(old).ok()?;
    let id = program.attach_to_link(old).ok()?;
    program.take_link(id).ok()
}

fn hold(
    link: XdpLink,
    mode: Mode,
    ifindex: u32,
    pin: Option<PathBuf>,
) -> Result<Attachment, AttachError> {
    let link = FdLink::try_from(link).map_err(|error| AttachError::Pin {
        path: pin.clone().unwrap_or_default(),
        reason: format!("{error}: the kernel is older than 5.9"),
    })?;
    let Some(path) = pin else {
        let hold = Hold::Owned(link);
        return Ok(Attachment { mode, hold });
    };
    let pinned = if path.exists() {
        PinnedLink::from_pin(&path).map_err(|error| error.to_string())
    } else {
        link.pin(&path).map_err(|error| error.to_string())
    };
    let link = pinned.map_err(|reason| AttachError::Pin { path, reason })?;
    // What refuses has no filter; permission is there, or there would be no link.
    let _ = filter::open(ifindex);
    let hold = Hold::Pinned(link, ifindex);
    Ok(Attachment { mode, hold })
}

/// A program that is attached to an interface.
#[derive(Clone, Copy, Debug)]
struct Attached {
    program: u32,
    mode: Mode,
}

fn query(ifindex: u32) -> Result<Option<Attached>, NetlinkError> {
    let mut socket = RouteSocket::open()?;
    let links = socket.dump(
        &RouteNetlinkMessage::GetLink(LinkMessage::default()),
        |message| match message {
            RouteNetlinkMessage::NewLink(link) if link.header.index == ifindex => Some(link),
            _ => None,
        },
    )?;
    Ok(links
        .iter()
        .flat_map(|link| &link.attributes)
        .find_map(|attribute| match attribute {
            LinkAttribute::Xdp(xdp) => read_xdp(xdp),
            _ => None,
        }))
}

fn read_xdp(xdp: &[LinkXdp]) -> Option<Attached> {
    let program = xdp.iter().find_map(|attribute| match attribute {
        LinkXdp::ProgId(id) | LinkXdp::DrvProgId(id) | LinkXdp::SkbProgId(id) => Some(*id),
        _ => None,
    })?;
    let generic = xdp
        .iter()
        .any(|attribute| matches!(attribute, LinkXdp::Attached(XdpAttached::SocketBuffer)));
    let mode = if generic { Mode::Generic } else { Mode::Native };
    Some(Attached { program, mode })
}

/// aya's texts name the system call; what a person needs is the kernel's answer.
fn root_cause(error: &ProgramError) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
