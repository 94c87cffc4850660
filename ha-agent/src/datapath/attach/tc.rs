//! The tc hooks: tcx links where the kernel has them (6.6), pinned; filters of a `clsact` qdisc before.
//!
//! Both hooks of an interface belong together: what comes in is received, and while a fence is up what leaves is
//! kept back. Both kinds run beside the programs of others, ours first.

use std::io;
use std::path::{Path, PathBuf};

use aya::programs::links::{FdLink, LinkOrder, PinnedLink};
use aya::programs::tc::{
    NlOptions, SchedClassifierLink, TcAttachOptions, TcAttachType, TcError, qdisc_add_clsact,
    qdisc_detach_program,
};
use aya::programs::{ProgramError, SchedClassifier, loaded_programs};
use ha_common::layout::names;

use super::target::{AttachError, Target, refused};
use crate::datapath::error::{errno, root_cause};
use crate::datapath::object::Programs;
use crate::datapath::sys;
use crate::net::netlink::NetlinkError;
use crate::net::tc_filter::{Hook, bpf_filters};

/// What the names of pinned links begin with; the interface's index follows.
pub(super) const INGRESS_PREFIX: &str = "tcx-ingress-";
pub(super) const EGRESS_PREFIX: &str = "tcx-egress-";

/// The preference of our filters in a `clsact` qdisc: the first there is.
const FIRST: u16 = 1;

/// The programs on both hooks of an interface.
#[derive(Debug)]
pub(super) struct TcPair {
    kind: Kind,
    /// Identifiers of the programs, ingress before egress.
    programs: [u32; 2],
    _links: [Held; 2],
    /// The programs of others that were first when it was last looked, and what was made of them.
    first: (Vec<u32>, Vec<String>),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Tcx,
    Clsact,
}

/// Dropping it detaches, unless it is pinned.
#[derive(Debug)]
enum Held {
    Pinned(#[expect(dead_code, reason = "holds the link")] PinnedLink),
    Owned(#[expect(dead_code, reason = "dropping it detaches")] SchedClassifierLink),
}

impl TcPair {
    pub(super) fn link(&self) -> &'static str {
        match self.kind {
            Kind::Tcx => "tcx",
            Kind::Clsact => "clsact",
        }
    }

    /// Whether both are there.
    pub(super) fn is_there(&self, target: &Target) -> Result<bool, AttachError> {
        for (side, program) in Side::BOTH.into_iter().zip(self.programs) {
            let there = match self.kind {
                Kind::Tcx => tcx_programs(target, side)?.contains(&program),
                Kind::Clsact => bpf_filters(target.ifindex, side.hook())?
                    .iter()
                    .any(|filter| filter.program == Some(program)),
            };
            if !there {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Programs of others that run before ours at ingress: what they drop is never received.
    pub(super) fn others_first(&mut self, target: &Target) -> Result<Option<String>, AttachError> {
        let [ours, _] = self.programs;
        let before: Vec<String> = match self.kind {
            Kind::Tcx => {
                let programs = tcx_programs(target, Side::Ingress)?;
                let first = programs.iter().position(|id| *id == ours).unwrap_or(0);
                let others = programs.get(..first).unwrap_or_default();
                // To find a name all programs of the host are asked for theirs.
                if self.first.0 != others {
                    self.first = (others.to_vec(), names_of(others));
                }
                self.first.1.clone()
            }
            Kind::Clsact => bpf_filters(target.ifindex, Hook::Ingress)?
                .into_iter()
                .take_while(|filter| filter.program != Some(ours))
                .map(|filter| filter.name)
                .collect(),
        };
        Ok((!before.is_empty()).then(|| {
            format!(
                "other tc programs run before ours, and what they drop is not received: {}",
                before.join(", ")
            )
        }))
    }
}

#[derive(Clone, Copy, Debug)]
enum Side {
    Ingress,
    Egress,
}

impl Side {
    const BOTH: [Self; 2] = [Self::Ingress, Self::Egress];

    const fn attach_type(self) -> TcAttachType {
        match self {
            Self::Ingress => TcAttachType::Ingress,
            Self::Egress => TcAttachType::Egress,
        }
    }

    const fn hook(self) -> Hook {
        match self {
            Self::Ingress => Hook::Ingress,
            Self::Egress => Hook::Egress,
        }
    }

    const fn program(self, is_layer3: bool) -> &'static str {
        match (self, is_layer3) {
            (Self::Ingress, false) => names::PROG_INGRESS,
            (Self::Ingress, true) => names::PROG_INGRESS_L3,
            (Self::Egress, _) => names::PROG_EGRESS,
        }
    }

    fn pin(self, dir: &Path, ifindex: u32) -> PathBuf {
        let prefix = match self {
            Self::Ingress => INGRESS_PREFIX,
            Self::Egress => EGRESS_PREFIX,
        };
        dir.join(format!("{prefix}{ifindex}"))
    }
}

/// Where the links of an interface are pinned.
pub(super) fn pin_paths(dir: &Path, ifindex: u32) -> [PathBuf; 2] {
    Side::BOTH.map(|side| side.pin(dir, ifindex))
}

/// Attaches to both hooks; by `clsact` where the kernel knows no tcx.
pub(super) fn attach(
    programs: &mut Programs,
    target: &Target,
    pin_dir: Option<&Path>,
    notes: &mut Vec<String>,
) -> Result<TcPair, AttachError> {
    match attach_both(programs, target, pin_dir, Kind::Tcx, notes) {
        // What the kernel says of an attach type that it does not know, or was built without.
        Err(AttachError::Refused(why))
            if matches!(
                errno(why.as_ref()),
                Some(libc::EINVAL | libc::EOPNOTSUPP | libc::ENOSYS)
            ) =>
        {
            add_clsact(target)?;
            attach_both(programs, target, None, Kind::Clsact, notes)
        }
        other => other,
    }
}

fn attach_both(
    programs: &mut Programs,
    target: &Target,
    pin_dir: Option<&Path>,
    kind: Kind,
    notes: &mut Vec<String>,
) -> Result<TcPair, AttachError> {
    let (ingress, in_id) = attach_one(programs, target, Side::Ingress, pin_dir, kind, notes)?;
    let (egress, out_id) = attach_one(programs, target, Side::Egress, pin_dir, kind, notes)?;
    Ok(TcPair {
        kind,
        programs: [in_id, out_id],
        _links: [ingress, egress],
        first: (Vec::new(), Vec::new()),
    })
}

fn attach_one(
    programs: &mut Programs,
    target: &Target,
    side: Side,
    pin_dir: Option<&Path>,
    kind: Kind,
    notes: &mut Vec<String>,
) -> Result<(Held, u32), AttachError> {
    let name = side.program(target.is_layer3);
    let program = programs.tc(name)?;
    let id = program.info().map_err(refused)?.id();
    let held = match kind {
        Kind::Tcx => attach_tcx(program, target, side, pin_dir, notes)?,
        Kind::Clsact => attach_clsact(program, target, side, name)?,
    };
    Ok((held, id))
}

fn attach_tcx(
    program: &mut SchedClassifier,
    target: &Target,
    side: Side,
    pin_dir: Option<&Path>,
    notes: &mut Vec<String>,
) -> Result<Held, AttachError> {
    let pin = pin_dir.map(|dir| side.pin(dir, target.ifindex));
    if let Some(path) = pin.as_ref().filter(|path| path.exists()) {
        match take_over(program, path) {
            Ok(link) => return Ok(Held::Pinned(link)),
            Err(error) => notes.push(format!(
                "the link that an earlier agent left at {} accepts no other program ({}); attached a new one",
                path.display(),
                root_cause(error.as_ref())
            )),
        }
        std::fs::remove_file(path).map_err(|error| pin_error(path, &error))?;
    }
    let options = TcAttachOptions::TcxOrder(LinkOrder::first());
    let id = program
        .attach_with_options(&target.name, side.attach_type(), options)
        .map_err(refused)?;
    let link = program.take_link(id).map_err(refused)?;
    let Some(path) = pin else {
        return Ok(Held::Owned(link));
    };
    let link = FdLink::try_from(link).map_err(refused)?;
    let pinned = link.pin(&path).map_err(|error| pin_error(&path, &error))?;
    Ok(Held::Pinned(pinned))
}

fn pin_error(path: &Path, error: &dyn std::error::Error) -> AttachError {
    AttachError::Pin {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}

/// An earlier agent's link with our program in it. The kernel refuses if its interface is gone (`ENOLINK`).
fn take_over(
    program: &mut SchedClassifier,
    path: &Path,
) -> Result<PinnedLink, Box<dyn std::error::Error + Send + Sync>> {
    let old: FdLink = PinnedLink::from_pin(path)?.into();
    let id = program.attach_to_link(SchedClassifierLink::try_from(old)?)?;
    // The file descriptor goes; the pin, which is the same link, stays.
    drop(program.take_link(id)?);
    Ok(PinnedLink::from_pin(path)?)
}

fn add_clsact(target: &Target) -> Result<(), AttachError> {
    match qdisc_add_clsact(&target.name) {
        // Somebody else's, or an earlier agent's, does as well. It stays when we go: others may use it by then.
        Ok(()) | Err(TcError::AlreadyAttached) => Ok(()),
        Err(error) if errno(&error) == Some(libc::EEXIST) => Ok(()),
        // What it says of a qdisc that it does not know.
        Err(error) if errno(&error) == Some(libc::ENOENT) => Err(AttachError::NoHook),
        Err(error) => Err(refused(error)),
    }
}

/// A filter cannot be pinned: it stays by itself when the agent is killed, and is replaced by the next one.
fn attach_clsact(
    program: &mut SchedClassifier,
    target: &Target,
    side: Side,
    name: &str,
) -> Result<Held, AttachError> {
    remove_filter(&target.name, side, name).map_err(refused)?;
    let attach = |program: &mut SchedClassifier, priority| {
        let options = NlOptions {
            priority,
            ..NlOptions::default()
        };
        program.attach_with_options(
            &target.name,
            side.attach_type(),
            TcAttachOptions::Netlink(options),
        )
    };
    let id = attach(program, FIRST)
        // A filter of another kind has that preference; then the kernel chooses ours.
        .or_else(|_: ProgramError| attach(program, 0))
        .map_err(refused)?;
    let link = program.take_link(id).map_err(refused)?;
    Ok(Held::Owned(link))
}

/// Whether there are BPF filters of anybody in a `clsact` qdisc; none on an interface that is gone, or in a kernel
/// without traffic control.
pub(super) fn has_filters(ifindex: u32) -> io::Result<bool> {
    for hook in [Hook::Ingress, Hook::Egress] {
        match bpf_filters(ifindex, hook) {
            Ok(filters) if filters.is_empty() => {}
            Ok(_) => return Ok(true),
            Err(NetlinkError::Refused(refusal)) if has_none(refusal.errno as i32) => {}
            Err(error) => return Err(io::Error::other(error)),
        }
    }
    Ok(false)
}

/// What the kernel answers where there can be no filter: no such qdisc, no such interface, no traffic control.
const fn has_none(errno: i32) -> bool {
    matches!(
        errno,
        libc::EINVAL | libc::ENOENT | libc::ENODEV | libc::EOPNOTSUPP
    )
}

/// Takes off what an earlier agent has left in a `clsact` qdisc; false if there was nothing.
pub(super) fn remove_clsact(interface: &str) -> io::Result<bool> {
    let mut removed = false;
    for (side, is_layer3) in [
        (Side::Ingress, false),
        (Side::Ingress, true),
        (Side::Egress, false),
    ] {
        removed |=
            remove_filter(interface, side, side.program(is_layer3)).map_err(io::Error::other)?;
    }
    Ok(removed)
}

/// False if there was none.
fn remove_filter(interface: &str, side: Side, name: &str) -> Result<bool, TcError> {
    match qdisc_detach_program(interface, side.attach_type(), name) {
        Ok(()) => Ok(true),
        Err(TcError::IoError(error)) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) if errno(&error).is_some_and(has_none) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Identifiers of the programs of a tcx hook, in the order in which they run.
fn tcx_programs(target: &Target, side: Side) -> Result<Vec<u32>, AttachError> {
    sys::tcx_programs(target.ifindex, side.hook()).map_err(refused)
}

/// What programs are called; their numbers, where this process may not ask.
fn names_of(programs: &[u32]) -> Vec<String> {
    let known: Vec<_> = loaded_programs().flatten().collect();
    let name = |id: &u32| {
        let info = known.iter().find(|info| info.id() == *id);
        let name = info.and_then(|info| info.name_as_str());
        name.map_or_else(|| format!("program {id}"), str::to_owned)
    };
    programs.iter().map(name).collect()
}
