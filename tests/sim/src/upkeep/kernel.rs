//! A kernel's address list, some of whose requests fail.

use ha_agent::net::address::{AddressSpec, Outcome};
use ha_agent::net::observed::ObservedAddress;
use ha_common::units::{Instant, Nanos};
use ipnet::IpNet;
use netlink_packet_route::address::{AddressFlags, AddressScope};

/// What is asked of a kernel.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Request {
    /// One address is to be there.
    Add,
    /// One address is to be gone.
    Remove,
    /// What there is on an interface.
    List,
}

/// How a request fails.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum How {
    /// It alone, while the others of its datagram are carried out.
    Refused,
    /// The datagram is not taken: nothing of it is carried out.
    Unsent,
    /// All of the datagram is carried out, and the answer is lost.
    Unanswered,
}

/// A request that fails.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fault {
    /// Which.
    pub request: Request,
    /// So many are carried out before.
    pub after: u32,
    /// For how long it fails from then on; once if that is 0.
    pub lasting: Nanos,
    /// How.
    pub how: How,
}

/// The addresses of a host, in the kernel's order.
#[derive(Clone, Debug, Default)]
pub struct Kernel {
    /// By interface.
    pub present: Vec<(u32, ObservedAddress)>,
    fault: Option<Fault>,
    seen: u32,
    first: Option<Instant>,
    /// How many requests have failed.
    pub failed: u32,
}

/// An address as it is found.
pub fn found(net: IpNet, ours: bool) -> ObservedAddress {
    ObservedAddress {
        net,
        peer: None,
        ours,
        flags: AddressFlags::empty(),
        scope: AddressScope::Universe,
    }
}

/// What became of each address.
type Outcomes = Vec<Result<Outcome, String>>;

impl Kernel {
    /// From here on this fails.
    pub fn fail(&mut self, fault: Option<Fault>) {
        (self.fault, self.seen, self.first, self.failed) = (fault, 0, None, 0);
    }

    /// Whether nothing fails any more, by now.
    pub fn is_well(&self, now: Instant) -> bool {
        let lasts = |fault: Fault| {
            let first = self.first?;
            Some(now.since(first) < fault.lasting)
        };
        self.fault.and_then(lasts) != Some(true)
    }

    /// How the next request fails, if it does.
    fn failure(&mut self, request: Request, now: Instant) -> Option<How> {
        let fault = self.fault.filter(|fault| fault.request == request)?;
        self.seen += 1;
        let fails = match self.first {
            _ if self.seen <= fault.after => false,
            None => {
                self.first = Some(now);
                true
            }
            Some(first) => now.since(first) < fault.lasting,
        };
        self.failed += u32::from(fails);
        fails.then_some(fault.how)
    }

    /// Adds these; what became of each, or that nobody knows.
    pub fn add(&mut self, specs: &[AddressSpec], now: Instant) -> Result<Outcomes, String> {
        self.carry_out(Request::Add, specs, now, |present, spec| {
            let there = (spec.ifindex, spec.net);
            if present.iter().any(|(index, it)| (*index, it.net) == there) {
                return Outcome::Already;
            }
            present.push((spec.ifindex, found(spec.net, true)));
            Outcome::Done
        })
    }

    /// Removes these, in the same way.
    pub fn remove(&mut self, specs: &[AddressSpec], now: Instant) -> Result<Outcomes, String> {
        self.carry_out(Request::Remove, specs, now, |present, spec| {
            let before = present.len();
            present.retain(|(index, it)| (*index, it.net) != (spec.ifindex, spec.net));
            if present.len() == before {
                Outcome::Already
            } else {
                Outcome::Done
            }
        })
    }

    fn carry_out(
        &mut self,
        request: Request,
        specs: &[AddressSpec],
        now: Instant,
        act: impl Fn(&mut Vec<(u32, ObservedAddress)>, &AddressSpec) -> Outcome,
    ) -> Result<Outcomes, String> {
        let mut outcomes = Vec::new();
        let mut lost = false;
        let before = self.present.clone();
        for spec in specs {
            match self.failure(request, now) {
                Some(How::Refused) => {
                    outcomes.push(Err(format!("{request:?} {}: no memory", spec.net)));
                    continue;
                }
                Some(How::Unsent) => {
                    self.present = before;
                    return Err("cannot send to the kernel".to_owned());
                }
                Some(How::Unanswered) => lost = true,
                None => {}
            }
            outcomes.push(Ok(act(&mut self.present, spec)));
        }
        if lost {
            return Err("no answer from the kernel".to_owned());
        }
        Ok(outcomes)
    }

    /// What is on an interface.
    pub fn list(&mut self, ifindex: u32, now: Instant) -> Result<Vec<ObservedAddress>, String> {
        if self.failure(Request::List, now).is_some() {
            return Err("no answer from the kernel".to_owned());
        }
        let there = self.present.iter().filter(|(index, _)| *index == ifindex);
        Ok(there.map(|(_, found)| *found).collect())
    }
}
