//! When what an earlier agent has left is looked for, and what could not be removed of it.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use ha_common::units::Instant;

use crate::net::links::LinkTable;
use crate::reconcile::missing::Missing;
use crate::reconcile::placed::Placed;
use crate::reconcile::retry::Retry;

/// What could not be removed, and why.
pub(super) type Failure = (&'static str, String);

/// What is to be looked at again, and what keeps it there.
#[derive(Debug, Default)]
pub(super) struct Leftovers {
    look_at: Option<Instant>,
    retry: Retry,
    failed: Vec<Failure>,
    /// Addresses that virtual routers could not take with them when they left, by interface.
    owed: HashMap<u32, HashSet<IpAddr>>,
}

impl Leftovers {
    /// Something was left just now: it is looked for in this turn.
    pub(super) fn look(&mut self, now: Instant) {
        self.look_at.get_or_insert(now);
    }

    /// These addresses are still there, or may be: of a virtual router that has left, or of an earlier agent where this one
    /// has none.
    pub(super) fn owe(&mut self, ifindex: u32, addresses: impl IntoIterator<Item = IpAddr>) {
        self.owed.entry(ifindex).or_default().extend(addresses);
    }

    /// What is owed on each interface, to be owed again if it cannot be removed.
    pub(super) fn take_owed(&mut self) -> HashMap<u32, HashSet<IpAddr>> {
        std::mem::take(&mut self.owed)
    }

    /// What is owed on the interfaces that are there, for the next agent.
    pub(super) fn owed(&self, links: &LinkTable) -> Vec<Placed> {
        let on_link = |(ifindex, addresses): (&u32, &HashSet<IpAddr>)| {
            let link = links.get(*ifindex)?;
            Some(Placed {
                interface: link.name.clone(),
                ifindex: link.index,
                addresses: addresses.iter().copied().collect(),
            })
        };
        let mut owed: Vec<Placed> = self.owed.iter().filter_map(on_link).collect();
        owed.sort_unstable_by_key(|it| it.ifindex);
        owed
    }

    /// Whether all is gone that could be found.
    pub(super) fn are_gone(&self) -> bool {
        self.failed.is_empty()
    }

    /// It was looked for, and this failed. What is news of that.
    pub(super) fn looked(&mut self, failed: Vec<Failure>, now: Instant) -> Vec<Failure> {
        self.look_at = None;
        if failed.is_empty() {
            self.retry.clear();
        } else {
            self.retry.failed(now);
        }
        let before = std::mem::replace(&mut self.failed, failed);
        let mut news = self.failed.clone();
        news.retain(|it| !before.contains(it));
        news
    }

    /// When to look again.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.look_at.or(self.retry.next_deadline())
    }

    /// What is still there, for `status`.
    pub(super) fn missing(&self) -> Vec<Missing> {
        let Some(since) = self.retry.since() else {
            return Vec::new();
        };
        let of_one = |(what, why): &Failure| Missing {
            what: format!("removal of {what}"),
            why: why.clone(),
            since,
            next_try: self.retry.next_deadline(),
        };
        self.failed.iter().map(of_one).collect()
    }
}
