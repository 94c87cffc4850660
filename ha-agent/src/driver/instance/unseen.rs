//! Addresses that were added and that the interfaces' table has not shown yet.

use std::collections::HashSet;
use std::net::IpAddr;

use ha_common::units::Instant;

use crate::net::observed::ObservedAddress;

/// Addresses that were added, and that the interfaces' table has not shown yet. It is told of them in their
/// order: before it shows the last one, nothing can be said of those that it lacks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unseen {
    pub(super) last: IpAddr,
    /// When it is believed all the same.
    pub(super) until: Instant,
}

pub(super) fn addresses_of(present: &[ObservedAddress]) -> HashSet<IpAddr> {
    present.iter().map(|found| found.net.addr()).collect()
}
