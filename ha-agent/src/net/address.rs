//! Adding, removing and listing virtual addresses, synchronously, for the driver.
//!
//! What an address added here looks like, so that nobody is surprised:
//! - IPv4 as `ip address add` makes it: the given prefix with its route, permanent, and label, scope,
//!   broadcast address and peer as configured: no broadcast address unless one is. Beside the host's own address of the same prefix it becomes a secondary one, which
//!   the kernel does not choose as a source.
//! - IPv6 without duplicate address detection (a fail-over cannot wait a second, and the old
//!   holder may still answer), and with a preferred lifetime of zero: it answers, but the host's
//!   own connections do not start from an address that may leave at any moment.
//! - Both with [`IFA_PROTO_HA_AGENT`] as their protocol (`IFA_PROTO`, kernel 5.18), so that an address left
//!   behind by a crash is known to be ours and an administrator's is never touched. An older
//!   kernel ignores the mark without a word; [`AddressTable::supports_ifa_proto`] says which one this is.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeader, AddressMessage, AddressProtocol, AddressScope,
    CacheInfo,
};
use netlink_packet_route::link::LinkMessage;
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::errno::Errno;

use crate::config::model::virtual_address::{Form, Scope, VirtualAddress};

use super::ipv4_settings::{self, Setting};
use super::netlink::{NetlinkError, Refusal, RouteSocket};
use super::observed::{IFA_PROTO_HA_AGENT, NEW_ADDRESS, ObservedAddress, kernel_marks};
use super::raw_link::RawLink;
use super::secondaries;

/// A virtual address and the interface it belongs on.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct AddressSpec {
    pub ifindex: u32,
    /// The address with its prefix length.
    pub net: IpNet,
    /// What it has beside that. Of it, only the peer says which address is meant.
    pub form: Form,
    /// Whether the network of the prefix is reached by this interface.
    pub prefix_route: bool,
}

impl AddressSpec {
    /// Where a configured address is to be.
    pub fn of(ifindex: u32, address: &VirtualAddress) -> Self {
        Self {
            ifindex,
            net: address.net,
            form: address.form,
            prefix_route: true,
        }
    }

    /// Where an address was found, to remove it.
    pub fn found(ifindex: u32, present: &ObservedAddress) -> Self {
        Self {
            ifindex,
            net: present.net,
            form: Form {
                peer: present.peer,
                ..Form::default()
            },
            prefix_route: true,
        }
    }
}

impl fmt::Display for AddressSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on interface {}", self.net, self.ifindex)
    }
}

/// What adding or removing an address came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// The kernel did it.
    Done,
    /// It was so already: the address was there (not necessarily ours), or was not.
    Already,
}

/// An address that could not be added or removed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{verb} {placement}: {refusal}{}", advice(.refusal.errno))]
pub struct AddressError {
    /// Which one.
    pub placement: AddressSpec,
    /// What the kernel said.
    pub refusal: Refusal,
    verb: &'static str,
}

/// What a person can do about it.
fn advice(errno: Errno) -> &'static str {
    match errno {
        Errno::EPERM => "; the agent needs CAP_NET_ADMIN",
        Errno::ENODEV => "; the interface no longer exists",
        Errno::EACCES => {
            "; IPv6 is switched off on the interface (sysctl net.ipv6.conf.*.disable_ipv6)"
        }
        _ => "",
    }
}

/// What became of each address, in the order given.
pub type Outcomes = Vec<Result<Outcome, AddressError>>;

/// The driver's hand on the kernel's address lists.
pub struct AddressTable {
    socket: RouteSocket,
    marks: bool,
    /// No removal is asked for, and each is refused: for tests.
    refuses_removals: bool,
}

impl AddressTable {
    /// Opens the book in the calling thread's network namespace.
    pub fn open() -> Result<Self, NetlinkError> {
        Ok(Self {
            socket: RouteSocket::open()?,
            marks: kernel_marks(),
            refuses_removals: false,
        })
    }

    /// From here on no address can be removed, as if the kernel refused (`HA_AGENT_INJECT`).
    pub fn refuse_removals(&mut self, refuses: bool) {
        self.refuses_removals = refuses;
    }

    /// True if the kernel keeps the mark. Where it does not, [`ObservedAddress::ours`] is always false and
    /// the agent's own record decides what is ours.
    pub fn supports_ifa_proto(&self) -> bool {
        self.marks
    }

    /// From here on as if the kernel kept none, if that is wanted.
    pub fn forget_marks(&mut self, wanted: bool) {
        self.marks &= !wanted;
    }

    /// Adds addresses, all of them in one or few system calls, and reports on each. An address that
    /// is there already keeps its owner and flags.
    ///
    /// An error means that nothing is known about some of them: list, and repeat what is missing.
    pub fn add(&mut self, specs: &[AddressSpec]) -> Result<Outcomes, NetlinkError> {
        let requests = specs
            .iter()
            .map(|placement| RouteNetlinkMessage::NewAddress(to_add(placement)));
        let answers = self.socket.batch(NLM_F_CREATE | NLM_F_EXCL, requests)?;
        Ok(report("adding", specs, answers, &[Errno::EEXIST]))
    }

    /// Removes addresses, in the same way. Address and prefix length must match. `present` tells what is on an
    /// interface, so that the kernel takes none of it along ([`secondaries`]).
    pub fn remove_beside<'a>(
        &mut self,
        specs: &[AddressSpec],
        present: impl Fn(u32) -> &'a [ObservedAddress],
    ) -> Result<Outcomes, NetlinkError> {
        if self.refuses_removals {
            let busy = Err(Refusal {
                errno: Errno::EBUSY,
                detail: None,
            });
            return Ok(report("removing", specs, vec![busy; specs.len()], &[]));
        }
        let nets: Vec<_> = specs.iter().map(|spec| (spec.ifindex, spec.net)).collect();
        let promoting = secondaries::interfaces_to_promote_on(&nets, present);
        let promoting = self.without_promotion(promoting);
        let set = |value| {
            let on = promoting.iter();
            on.map(move |ifindex| {
                let setting = [(Setting::PromoteSecondaries, value)];
                RouteNetlinkMessage::SetLink(ipv4_settings::changing(*ifindex, &setting))
            })
        };
        let removals = specs
            .iter()
            .map(|spec| RouteNetlinkMessage::DelAddress(to_message(spec)));
        // In one datagram, so that nobody meets the setting in between unless it is many addresses.
        let requests = set(1).chain(removals).chain(set(0));
        let mut answers = self.socket.batch(0, requests)?;
        answers.drain(..promoting.len());
        answers.truncate(specs.len());
        // With the interface, or IPv6 on it, the addresses went as well.
        let already = [Errno::EADDRNOTAVAIL, Errno::ENODEV, Errno::ENXIO];
        Ok(report("removing", specs, answers, &already))
    }

    /// The same where nothing else can go along.
    #[cfg(test)]
    pub fn remove(&mut self, specs: &[AddressSpec]) -> Result<Outcomes, NetlinkError> {
        self.remove_beside(specs, |_| &[])
    }

    /// Those of these interfaces where `promote_secondaries` is off.
    fn without_promotion(&mut self, mut interfaces: BTreeSet<u32>) -> BTreeSet<u32> {
        interfaces.retain(|ifindex| {
            let mut request = LinkMessage::default();
            request.header.index = *ifindex;
            let request = RouteNetlinkMessage::GetLink(request);
            let read = self.socket.get(&request, |_, payload| {
                RawLink::read(payload)?.ipv4_setting(Setting::PromoteSecondaries as usize)
            });
            // Where it cannot be known, an address of the host is worth more than the setting.
            !matches!(read, Ok(Some(value)) if value != 0)
        });
        interfaces
    }

    /// The addresses on an interface, in the kernel's order; none if there is no such interface.
    pub fn list(&mut self, ifindex: u32) -> Result<Vec<ObservedAddress>, NetlinkError> {
        let mut request = AddressMessage::default();
        request.header.index = ifindex;
        let request = RouteNetlinkMessage::GetAddress(request);
        let listed = self.socket.dump_raw(&request, |kind, payload| match kind {
            NEW_ADDRESS => ObservedAddress::read(payload),
            _ => None,
        });
        match listed {
            // Kernels before 4.20 cannot filter and send all.
            Ok(listed) => Ok(listed
                .into_iter()
                .filter(|(index, _)| *index == ifindex)
                .map(|(_, present)| present)
                .collect()),
            Err(NetlinkError::Refused(refusal)) if refusal.errno == Errno::ENODEV => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

/// The message that names an address exactly.
fn to_message(placement: &AddressSpec) -> AddressMessage {
    let address = placement.net.addr();
    let mut message = AddressMessage::default();
    message.header = AddressHeader {
        family: match address {
            IpAddr::V4(_) => AddressFamily::Inet,
            IpAddr::V6(_) => AddressFamily::Inet6,
        },
        prefix_len: placement.net.prefix_len(),
        scope: AddressScope::Universe,
        index: placement.ifindex,
        ..AddressHeader::default()
    };
    // IFA_ADDRESS is the other end of a point-to-point link, and elsewhere the address again.
    message.attributes = vec![
        AddressAttribute::Local(address),
        AddressAttribute::Address(placement.form.peer.unwrap_or(address)),
    ];
    message
}

/// The same with everything that a new address needs. IPv6 addresses are not looked for on other hosts
/// (RFC 9568 section 8.2.2 (duplicates)): a master that dies does not give its own up.
fn to_add(placement: &AddressSpec) -> AddressMessage {
    let Form {
        label,
        scope,
        broadcast,
        peer: _,
    } = placement.form;
    let mut message = to_message(placement);
    message.header.scope =
        scope.map_or_else(|| usual_scope(placement.net.addr()), AddressScope::from);
    let label = label.map(|label| AddressAttribute::Label(label.as_str().to_owned()));
    message.attributes.extend(label);
    let broadcast = broadcast.map(AddressAttribute::Broadcast);
    message.attributes.extend(broadcast);
    message
        .attributes
        .push(AddressAttribute::Protocol(AddressProtocol::from(
            IFA_PROTO_HA_AGENT,
        )));
    let mut flags = AddressFlags::empty();
    flags.set(AddressFlags::Noprefixroute, !placement.prefix_route);
    flags.set(AddressFlags::Nodad, placement.net.addr().is_ipv6());
    if !flags.is_empty() {
        message.attributes.push(AddressAttribute::Flags(flags));
    }
    if placement.net.addr().is_ipv6() {
        let mut lifetime = CacheInfo::default();
        lifetime.ifa_preferred = 0;
        lifetime.ifa_valid = u32::MAX;
        message
            .attributes
            .push(AddressAttribute::CacheInfo(lifetime));
    }
    message
}

/// As `ip address add` chooses it; for IPv6 the kernel decides by itself.
fn usual_scope(address: IpAddr) -> AddressScope {
    match address {
        IpAddr::V4(v4) if v4.is_loopback() => AddressScope::Host,
        IpAddr::V4(Ipv4Addr { .. }) | IpAddr::V6(Ipv6Addr { .. }) => AddressScope::Universe,
    }
}

impl From<Scope> for AddressScope {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Global => Self::Universe,
            Scope::Site => Self::Site,
            Scope::Link => Self::Link,
            Scope::Host => Self::Host,
        }
    }
}

fn report(
    verb: &'static str,
    specs: &[AddressSpec],
    answers: Vec<Result<(), Refusal>>,
    already: &[Errno],
) -> Outcomes {
    let of_one = |(placement, answer): (&AddressSpec, Result<(), Refusal>)| match answer {
        Ok(()) => Ok(Outcome::Done),
        Err(refusal) if already.contains(&refusal.errno) => Ok(Outcome::Already),
        Err(refusal) => Err(AddressError {
            placement: *placement,
            refusal,
            verb,
        }),
    };
    specs.iter().zip(answers).map(of_one).collect()
}

#[cfg(test)]
mod tests;
