//! Why a state changed, in words that an operator reads in one line.

use core::fmt;
use core::net::IpAddr;

use crate::units::{Instant, NANOS_PER_SECOND, Nanos, Priority};

use super::input::{CheckId, FaultCause, MemberId};

/// The state without its data: for logs, metrics and the slot's mirror.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Role {
    /// Not yet ready.
    Initialize,
    /// Ready, but staying out for the start hold.
    Hold,
    /// Listening to the master, or for the want of one.
    Backup,
    /// Holding the addresses.
    Master,
    /// Not fit to take part.
    Fault,
    /// Left for good.
    Stopped,
}

impl Role {
    /// Upper case, as operators know it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Initialize => "INIT",
            Self::Hold => "HOLD",
            Self::Backup => "BACKUP",
            Self::Master => "MASTER",
            Self::Fault => "FAULT",
            Self::Stopped => "STOPPED",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A change of state.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct Transition {
    /// When it was decided.
    pub at: Instant,
    /// Before.
    pub from: Role,
    /// After.
    pub to: Role,
    /// Why.
    pub cause: Cause,
    /// Own effective priority at the time.
    pub priority: Priority,
}

/// Why a state changed. `Display` gives the words; [`Cause::with_names`] also names check and member.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(rename_all = "snake_case", deny_unknown_fields)
)]
pub enum Cause {
    /// The instance became ready.
    Ready,
    /// The instance became ready; it stays out for a while, as configured.
    HoldBegins {
        /// For how long.
        span: Nanos,
    },
    /// The start hold is over.
    HoldOver,
    /// Ready, and the owner of the addresses: an owner does not wait (RFC 9568 section 6.4.1).
    Owner,
    /// No master was heard for this long.
    NoAdvert {
        /// Since the last advert that counted, or since we listen.
        silence: Nanos,
    },
    /// The master left.
    Released {
        /// It.
        by: IpAddr,
    },
    /// The master has a lower priority than we have.
    Outranks {
        /// It.
        other: IpAddr,
        /// Its priority.
        priority: Priority,
    },
    /// While master we heard one that ranks above us.
    BetterMaster {
        /// It.
        other: IpAddr,
        /// Its priority.
        priority: Priority,
    },
    /// While we were stalled as master, another one took over.
    TakenOver {
        /// It.
        by: IpAddr,
        /// Its priority.
        priority: Priority,
    },
    /// Its sync group takes over because of this member.
    MemberLeads(MemberId),
    /// Its sync group gives up because this member cannot be master.
    MemberCannot(MemberId),
    /// The instance is not fit to take part.
    Fault(FaultCause),
    /// The agent stops, or the instance is removed.
    Shutdown,
}

impl Cause {
    /// Displays the cause with the checks' names, which the driver keeps in the order of their
    /// numbers.
    pub const fn with_names<'a, N: AsRef<str>>(&'a self, checks: &'a [N]) -> Named<'a, N> {
        Named {
            cause: self,
            checks,
            group: None,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with_names::<&str>(&[]).fmt(f)
    }
}

/// A cause with names in place of numbers.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a, N> {
    cause: &'a Cause,
    checks: &'a [N],
    group: Option<(&'a str, &'a [N])>,
}

impl<'a, N: AsRef<str>> Named<'a, N> {
    /// The same with the name of the sync group and those of its members, in the group's order.
    #[must_use]
    pub const fn in_group(self, group: Option<(&'a str, &'a [N])>) -> Self {
        Self { group, ..self }
    }

    fn member(&self, MemberId(id): MemberId, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((group, members)) = self.group else {
            return write!(f, "member number {id} of its group");
        };
        match members.get(usize::from(id)) {
            Some(name) => write!(f, "member {} of group {group}", name.as_ref()),
            None => write!(f, "member number {id} of group {group}"),
        }
    }
}

impl<N: AsRef<str>> fmt::Display for Named<'_, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self.cause {
            Cause::Ready => f.write_str("ready"),
            Cause::HoldBegins { span } => write!(f, "ready, start hold of {}", Span(span)),
            Cause::HoldOver => f.write_str("start hold over"),
            Cause::Owner => f.write_str("owner of the addresses (priority 255)"),
            Cause::NoAdvert { silence } => write!(f, "no advert for {}", Span(silence)),
            Cause::Released { by } => write!(f, "priority 0 from {by}"),
            Cause::Outranks { other, priority } => {
                write!(f, "master {other} has lower priority {priority}")
            }
            Cause::BetterMaster { other, priority } => {
                write!(f, "better master {other} with priority {priority}")
            }
            Cause::TakenOver { by, priority } => {
                write!(f, "{by} with priority {priority} took over during a stall")
            }
            Cause::Fault(FaultCause::Check(CheckId(id))) => {
                match self.checks.get(usize::from(id)) {
                    Some(name) => write!(f, "check {} failed", name.as_ref()),
                    None => write!(f, "check number {id} failed"),
                }
            }
            Cause::Fault(FaultCause::Tracked(CheckId(id))) => {
                match self.checks.get(usize::from(id)) {
                    Some(what) => f.write_str(what.as_ref()),
                    None => write!(f, "tracked condition number {id} failed"),
                }
            }
            Cause::Fault(FaultCause::InterfaceDown) => f.write_str("interface is down"),
            Cause::Fault(FaultCause::InterfaceGone) => f.write_str("no such interface"),
            Cause::Fault(FaultCause::NoOwnAddress) => {
                f.write_str("interface has no address to send from")
            }
            Cause::Fault(FaultCause::SourceMissing) => {
                f.write_str("the configured source address is not on the interface")
            }
            Cause::Fault(FaultCause::AddressesRefused) => {
                f.write_str("virtual addresses could not be added")
            }
            Cause::Fault(FaultCause::CannotSend) => f.write_str("adverts cannot be sent"),
            Cause::Fault(FaultCause::Member(member)) => {
                self.member(member, f)?;
                f.write_str(" has failed")
            }
            Cause::MemberLeads(member) => {
                self.member(member, f)?;
                f.write_str(" takes over")
            }
            Cause::MemberCannot(member) => {
                self.member(member, f)?;
                f.write_str(" cannot be master")
            }
            Cause::Fault(FaultCause::Maintenance) => f.write_str("maintenance"),
            Cause::Shutdown => f.write_str("shutdown"),
        }
    }
}

/// Shows a span in the unit that suits it, cut to three decimals.
struct Span(Nanos);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Nanos(nanos) = self.0;
        if nanos >= NANOS_PER_SECOND {
            let millis = nanos / 1_000_000;
            write!(f, "{}.{:03} s", millis / 1000, millis % 1000)
        } else {
            let micros = nanos / 1000;
            write!(f, "{}.{:03} ms", micros / 1000, micros % 1000)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn a_cause_reads_as_an_operator_would_say_it() {
        let silence = Nanos(3_609_375_000);
        assert_eq!(
            Cause::NoAdvert { silence }.to_string(),
            "no advert for 3.609 s"
        );
        let silence = Nanos(36_484_375);
        assert_eq!(
            Cause::NoAdvert { silence }.to_string(),
            "no advert for 36.484 ms"
        );
        let by = IpAddr::from([10, 0, 0, 1]);
        assert_eq!(
            Cause::Released { by }.to_string(),
            "priority 0 from 10.0.0.1"
        );
    }

    #[test]
    fn a_failed_check_is_named_where_the_name_is_known() {
        let cause = Cause::Fault(FaultCause::Check(CheckId(1)));
        assert_eq!(
            cause.with_names(&["disk", "nginx"]).to_string(),
            "check nginx failed"
        );
        assert_eq!(cause.to_string(), "check number 1 failed");
        let cause = Cause::Fault(FaultCause::Tracked(CheckId(2)));
        assert_eq!(
            cause
                .with_names(&["disk", "nginx", "tracked interface eth1 is down"])
                .to_string(),
            "tracked interface eth1 is down"
        );
        assert_eq!(cause.to_string(), "tracked condition number 2 failed");
    }

    #[test]
    fn a_member_and_its_group_are_named_where_the_names_are_known() {
        let group = ("pair", ["web", "dns"].as_slice());
        let said = |cause: Cause| {
            cause
                .with_names(&["disk"])
                .in_group(Some(group))
                .to_string()
        };
        let dns = MemberId(1);
        assert_eq!(
            said(Cause::MemberLeads(dns)),
            "member dns of group pair takes over"
        );
        assert_eq!(
            said(Cause::MemberCannot(dns)),
            "member dns of group pair cannot be master"
        );
        let fault = Cause::Fault(FaultCause::Member(dns));
        assert_eq!(said(fault), "member dns of group pair has failed");
        assert_eq!(fault.to_string(), "member number 1 of its group has failed");
    }
}
