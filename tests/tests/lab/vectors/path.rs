//! The ways by which a frame comes to an agent, and what becomes of it before.

use ha_common::reject::Reject;
use ha_common::units::Family;
use ha_tests::vectors::{Expected, Vector, understood};

/// `datapath` in the configuration.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Path {
    Native,
    Generic,
    Socket,
}

impl Path {
    /// Its name in the configuration and in `status`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Generic => "generic",
            Self::Socket => "socket",
        }
    }

    /// Whether the kernel half counts.
    pub(crate) fn is_xdp(self) -> bool {
        match self {
            Self::Native | Self::Generic => true,
            Self::Socket => false,
        }
    }

    /// Whether it is certain what the frame comes to on its way: which other destinations a socket hears is the
    /// business of the host's routes and memberships.
    pub(crate) fn carries(self, vector: &Vector) -> bool {
        let astray = vector.expected == Expected::Rejected(Reject::Destination)
            || vector.name.ends_with(" astray");
        self.is_xdp() || !astray
    }

    /// What must come of a frame. A BPF program sees it as it is; a socket hears only what the host's IP stack lets
    /// through, and how.
    pub(crate) fn verdict(self, vector: &Vector) -> Expected {
        match self {
            Self::Native | Self::Generic => vector.expected,
            Self::Socket => behind_the_stack(vector),
        }
    }
}

fn behind_the_stack(vector: &Vector) -> Expected {
    let name = &vector.name;
    let is = |part: &str| name.contains(part);
    let is_ipv4 = vector.receiver.family() == Family::V4;
    // The stack wants as many bytes as the header says, and cuts off those beyond.
    if is("cut to") || is("IP says") {
        return Expected::Other;
    }
    // It waits for the other fragments.
    if is("a first fragment") {
        return Expected::Other;
    }
    // A source that is the host's own is a martian in IPv4. In IPv6 it is nothing special.
    if is("our own source") && is_ipv4 {
        return Expected::Other;
    }
    // In IPv4 a socket hears the groups that it has joined itself, in IPv6 those of the interface, which is
    // always one of all nodes.
    if name.ends_with("to [224, 0, 0, 1]") || name.ends_with("to ff05::12") {
        return Expected::Other;
    }
    // It takes off any number of tags that say a priority only, and all extension headers but a source
    // route, which it refuses: no BPF program looks that far.
    let taken_off = [
        "three tags",
        "extension header 0",
        "extension header 44",
        "extension header 60",
    ];
    if taken_off.iter().any(|part| name.ends_with(part)) {
        let valid = vector.receiver.valid();
        return Expected::Accepted(understood(vector.receiver, &valid));
    }
    // A frame for another station is not the host's.
    if is("to another station") {
        return Expected::Other;
    }
    // The password lies behind the message, where the stack has cut it off.
    if is("the count puts the password behind the message") {
        return Expected::Rejected(Reject::Truncated);
    }
    match vector.expected {
        // Counted by the BPF program alone: a socket hears what it asked for.
        Expected::Other | Expected::Tagged | Expected::Unreadable | Expected::NotOurs => {
            Expected::Other
        }
        Expected::Rejected(reason) => Expected::Rejected(reason),
        Expected::Accepted(advert) => Expected::Accepted(advert),
    }
}
