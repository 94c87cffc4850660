//! What is counted of the whole host.

/// Host-wide counters: indices into `HA_COUNTERS`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u32)]
pub enum Counter {
    /// VRRP frames without a VLAN tag that could be read.
    Vrrp = 0,
    /// VRRP frames for virtual routers that are not ours.
    NotOurs,
    /// VRRP frames with a VLAN tag: the VLAN device's business.
    Tagged,
    /// VRRP frames too short to tell whose they are, or with an IP header that every host discards.
    Unreadable,
    /// Adverts that ended in the BPF program.
    Consumed,
    /// Events lost, the ring being full.
    EventsDropped,
    /// Peer entries not made, for the limit on forged sources.
    PeersRefused,
    /// Packets in an authentication header of `IPsec` (IP protocol 51), into which nothing here looks: adverts among them,
    /// perhaps.
    Authenticated,
}

impl Counter {
    /// How many there are.
    pub const COUNT: u32 = 8;
    /// Names, in order.
    pub const NAMES: [&'static str; 8] = [
        "vrrp",
        "not_ours",
        "tagged",
        "unreadable",
        "consumed",
        "events_dropped",
        "peers_refused",
        "authenticated",
    ];
}
