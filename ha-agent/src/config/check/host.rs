//! What a file says of the host that it is for. It is asked through [`Host`], so that a text can also be
//! judged by itself.
//!
//! A missing user is an error, since a command cannot be run without; all else may come later, and is a warning.

use std::net::IpAddr;

use crate::config::diagnostics::{Report, Span};
use crate::config::model::Subject;
use crate::config::model::virtual_address::VirtualAddress;
use crate::config::read::{At, RawCheck, RawConfig, RawInstance};
use crate::suggest::nearest;

/// How many interfaces a warning lists.
const LISTED: usize = 20;

/// What has to be known of a host.
pub(crate) trait Host {
    /// False only if it is certain that there is no such user.
    fn may_have_user(&self, name: &str) -> bool;

    /// Every interface that is there now; `None` if nobody has looked.
    fn interfaces(&self) -> Option<&[HostInterface]>;

    /// What is in a program's place, given by its absolute path or by a name that is looked for in
    /// [`COMMAND_PATH`](crate::config::model::COMMAND_PATH).
    fn program(&self, name: &str) -> Program;
}

/// An interface of the host.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HostInterface {
    /// Its name.
    pub name: String,
    /// Its addresses.
    pub addresses: Vec<HostAddress>,
}

/// An address of the host.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HostAddress {
    /// Without its prefix length.
    pub address: IpAddr,
    /// Whether an agent has put it there; `None` where the kernel keeps no marks.
    pub ours: Option<bool>,
}

/// What is in the place of a program.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Program {
    /// Something that can be run, as far as can be seen.
    Runnable,
    /// Nothing.
    Missing,
    /// A directory, or a file that nobody may execute.
    NotExecutable,
}

/// A host that has everything.
pub(crate) struct AnyHost;

impl Host for AnyHost {
    fn may_have_user(&self, _: &str) -> bool {
        true
    }

    fn interfaces(&self) -> Option<&[HostInterface]> {
        None
    }

    fn program(&self, _: &str) -> Program {
        Program::Runnable
    }
}

/// Reports what the host lacks, and what it has already.
pub(crate) fn check(report: &Report<'_>, host: &dyn Host, raw: &RawConfig) {
    for check in &raw.checks {
        user(report, host, check);
        for at in &check.programs {
            program(report, host, at);
        }
    }
    let Some(interfaces) = host.interfaces() else {
        return;
    };
    for instance in &raw.instances {
        own_interface(report, interfaces, instance);
        tracked_interfaces(report, interfaces, instance);
        source(report, interfaces, instance);
        peers(report, interfaces, instance);
        held_already(report, interfaces, instance);
    }
}

fn user(report: &Report<'_>, host: &dyn Host, check: &RawCheck) {
    let Some(user) = check.user.as_ref() else {
        return;
    };
    let name = user.get_ref();
    if !host.may_have_user(name) {
        let message = format!(
            "there is no user `{name}` on this host; create it, or set `user` to one that exists"
        );
        report.error(&user.span(), message);
    }
}

fn program(report: &Report<'_>, host: &dyn Host, at: &At<String>) {
    let name = at.get_ref();
    match host.program(name) {
        Program::Runnable => {}
        Program::Missing => {
            let message = format!("there is no program {name} on this host now");
            report.warn(&at.span(), message);
        }
        Program::NotExecutable => {
            let message = format!("{name} is not executable: `chmod +x {name}`");
            report.warn(&at.span(), message);
        }
    }
}

fn own_interface(report: &Report<'_>, interfaces: &[HostInterface], instance: &RawInstance) {
    if let Some(at) = &instance.interface {
        let outcome = "until it appears, the instance is in FAULT";
        missing(report, interfaces, at.get_ref(), &at.span(), outcome);
    }
}

fn tracked_interfaces(report: &Report<'_>, interfaces: &[HostInterface], instance: &RawInstance) {
    for at in &instance.track {
        let track = at.get_ref();
        // Reversed, it is something that should not be there.
        if let Subject::Interface { name, .. } = &track.subject
            && !track.reverse
        {
            let outcome = match track.weight {
                None => "until it appears, the instance is in FAULT",
                Some(_) => "until it appears, it counts as failed",
            };
            missing(report, interfaces, name, &at.span(), outcome);
        }
    }
}

fn missing(
    report: &Report<'_>,
    interfaces: &[HostInterface],
    name: &str,
    span: &Span,
    outcome: &str,
) {
    let known = || interfaces.iter().map(|it| it.name.as_str());
    if known().any(|it| it == name) {
        return;
    }
    let meant = nearest(name, known())
        .map(|meant| format!("did you mean `{meant}`? "))
        .unwrap_or_default();
    let mut listed: Vec<&str> = known().take(LISTED).collect();
    if interfaces.len() > LISTED {
        listed.push("...");
    }
    let message = format!(
        "there is no interface `{name}` on this host now ({meant}it has {}); {outcome}",
        listed.join(", ")
    );
    report.warn(span, message);
}

fn source(report: &Report<'_>, interfaces: &[HostInterface], instance: &RawInstance) {
    let (Some(source), Some(interface)) = (instance.transport.source(), &instance.interface) else {
        return;
    };
    let (address, name) = (*source.get_ref(), interface.get_ref());
    let Some(found) = interfaces.iter().find(|it| it.name == *name) else {
        return;
    };
    if !found.addresses.iter().any(|it| it.address == address) {
        let message = format!(
            "{address} is not an address of {name} now; until it is, the instance is in FAULT"
        );
        report.warn(&source.span(), message);
    }
}

fn peers(report: &Report<'_>, interfaces: &[HostInterface], instance: &RawInstance) {
    for at in &instance.transport.peers {
        let address = at.get_ref().address;
        if let Some((name, _)) = find(interfaces, address) {
            let message = format!(
                "{address} is an address of this host ({name}), not of a peer: leave it out"
            );
            report.warn(&at.span(), message);
        }
    }
}

/// An address that somebody else has put there stays when this host is no master.
fn held_already(report: &Report<'_>, interfaces: &[HostInterface], instance: &RawInstance) {
    let is_owner = instance
        .priority
        .as_ref()
        .is_some_and(|it| it.get_ref().is_owner());
    // An owner has its `addresses` always.
    let listed: &[At<VirtualAddress>] = if is_owner {
        &[]
    } else {
        &instance.owned.addresses
    };
    for at in listed.iter().chain(&instance.owned.excluded) {
        let address = at.get_ref().addr();
        if let Some((name, found)) = find(interfaces, address)
            && found.ours == Some(false)
        {
            let message = format!(
                "{address} is on {name} already, and something other than the agent has put it there: it would \
                 stay when this host is not master; take it out of the host's own network configuration"
            );
            report.warn(&at.span(), message);
        }
    }
}

fn find(interfaces: &[HostInterface], address: IpAddr) -> Option<(&str, &HostAddress)> {
    interfaces.iter().find_map(|interface| {
        let mut addresses = interface.addresses.iter();
        let found = addresses.find(|it| it.address == address)?;
        Some((interface.name.as_str(), found))
    })
}
