//! Holding the virtual addresses: adding, removing, verifying and announcing them.

use std::net::IpAddr;
use std::sync::Arc;

use ha_common::election::Role;
use ha_common::layout::state;
use ha_common::units::{Instant, Nanos};
use ipnet::IpNet;

use super::fitness::LinkState;
use super::{Edges, Instance};
use crate::config::model::Instance as Config;
use crate::driver::report::Report;
use crate::driver::{clock, raw_address};
use crate::net::address::{Outcome, Placement};
use crate::net::plan::{AnnouncePlan, Cadence};
use crate::net::present::Present;

/// How long an instance whose addresses were refused stays out before it tries again.
const REFUSED_WAIT: Nanos = Nanos::from_millis(5_000);

impl Instance {
    /// While master: puts back what somebody else has removed.
    pub(crate) fn verify_addresses(
        &mut self,
        present: impl Fn(IpAddr) -> bool,
        edges: &mut Edges<'_>,
        now: Instant,
    ) {
        if self.role() != Role::Master {
            return;
        }
        let Some(port) = &self.port else { return };
        let missing: Vec<_> = port
            .placements
            .iter()
            .filter(|place| !present(place.net.addr()))
            .copied()
            .collect();
        if missing.is_empty() {
            return;
        }
        let Ok(outcomes) = edges.book.add(&missing) else {
            return;
        };
        // What is there already was added after the table that we were shown was read.
        let restored = missing
            .iter()
            .zip(outcomes)
            .filter(|(_, outcome)| matches!(outcome, Ok(Outcome::Done)));
        let before = self.restored;
        for (place, _) in restored {
            self.restored += 1;
            edges.reporter.say(Report::Restored {
                instance: Arc::clone(&self.name),
                address: place.net,
            });
        }
        if self.restored > before {
            self.dirty = true;
            self.announce(edges, now);
        }
    }

    /// The Ethernet address changed: neighbours must learn the new one.
    pub(crate) fn mac_changed(&mut self, mac: [u8; 6], edges: &mut Edges<'_>, now: Instant) {
        if let Some(port) = &mut self.port {
            port.mac = mac;
        }
        if self.role() == Role::Master {
            self.announce(edges, now);
        }
    }

    /// After a crash of the agent: the slot says master, the addresses are there, and nobody else
    /// claims to be master now.
    pub(super) fn may_resume(&self, edges: &mut Edges<'_>, now: Instant) -> bool {
        let Some(slot) = self.slot(edges) else {
            return false;
        };
        let Some(port) = &self.port else { return false };
        let silent_for = now.since(Instant(slot.last_heard));
        let contested =
            slot.master_address != [0; 16] && silent_for <= ha_common::follow::down_interval(&slot);
        if slot.state != state::MASTER || contested {
            return false;
        }
        let Ok(present) = edges.book.list(port.ifindex) else {
            return false;
        };
        port.placements.iter().all(|place| {
            present
                .iter()
                .any(|found| found.net.addr() == place.net.addr())
        })
    }

    /// Removes our addresses if an earlier life left them behind; never an administrator's.
    pub(super) fn clear_leftovers(&mut self, edges: &mut Edges<'_>) {
        let Some(port) = &self.port else { return };
        let Ok(present) = edges.book.list(port.ifindex) else {
            return;
        };
        let held = port.detector.held(edges.kernel.as_deref());
        let configured = |found: &Present| {
            let same = |place: &Placement| place.net.addr() == found.net.addr();
            port.placements.iter().any(same)
        };
        // Marked as ours, or known to the kernel half as held: kernels before 5.18 keep no marks, and
        // the list may have been another one then.
        let left: Vec<_> = present
            .iter()
            .filter(|found| {
                found.ours && configured(found) || held.contains(&raw_address(found.net.addr()))
            })
            .map(|found| Placement {
                ifindex: port.ifindex,
                net: found.net,
            })
            .collect();
        if left.is_empty() {
            return;
        }
        if let Ok(outcomes) = edges.book.remove(&left) {
            for (place, _) in left
                .iter()
                .zip(outcomes)
                .filter(|(_, outcome)| outcome.is_ok())
            {
                edges.reporter.say(Report::Leftover {
                    instance: Arc::clone(&self.name),
                    address: place.net,
                });
            }
        }
    }

    pub(super) fn add_addresses(&mut self, edges: &mut Edges<'_>, now: Instant) {
        let Some(port) = &self.port else { return };
        let failure = match edges.book.add(&port.placements) {
            Ok(outcomes) => outcomes
                .into_iter()
                .find_map(Result::err)
                .map(|error| error.to_string()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(what) = failure {
            edges.reporter.say(Report::Failed {
                instance: Arc::clone(&self.name),
                what,
            });
            self.refused_until = Some(now + REFUSED_WAIT);
        }
    }

    pub(super) fn remove_addresses(&mut self, edges: &mut Edges<'_>) {
        self.plan = None;
        let Some(port) = &self.port else { return };
        let failure = match edges.book.remove(&port.placements) {
            Ok(outcomes) => outcomes
                .into_iter()
                .find_map(Result::err)
                .map(|error| error.to_string()),
            Err(error) => Some(error.to_string()),
        };
        // An interface that is gone has taken its addresses along.
        if let Some(what) = failure.filter(|_| self.link != LinkState::Gone) {
            edges.reporter.say(Report::Failed {
                instance: Arc::clone(&self.name),
                what,
            });
        }
    }

    pub(super) fn announce(&mut self, edges: &mut Edges<'_>, now: Instant) {
        if let Some(plan) = &mut self.plan {
            plan.announce_again();
        } else {
            let addresses = self.config.addresses.len();
            self.plan = Some(AnnouncePlan::new(cadence(&self.config), addresses, now));
        }
        self.announce_due(edges, now);
    }

    pub(super) fn announce_due(&mut self, edges: &mut Edges<'_>, now: Instant) {
        let (Some(plan), Some(port)) = (&mut self.plan, &self.port) else {
            return;
        };
        while let Some(range) = plan.due(now) {
            let count = range.len() as u64;
            let batch = port.placements.get(range).unwrap_or_default();
            let addresses = batch.iter().map(|place| place.net.addr());
            if edges
                .announcer
                .announce(port.ifindex, port.mac, port.router, addresses)
                .is_ok()
            {
                self.announced += count;
            }
        }
    }

    pub(super) fn move_addresses(&mut self, old: &[IpNet], edges: &mut Edges<'_>, now: Instant) {
        let Some(port) = &mut self.port else { return };
        let ifindex = port.ifindex;
        let place = |net: &IpNet| Placement { ifindex, net: *net };
        port.placements = self.config.addresses.iter().map(place).collect();
        if self.election.state().role() != Role::Master || old == self.config.addresses {
            return;
        }
        let dropped: Vec<_> = old
            .iter()
            .filter(|net| !self.config.addresses.contains(net))
            .map(place)
            .collect();
        if !dropped.is_empty()
            && let Err(error) = edges.book.remove(&dropped)
        {
            let what = error.to_string();
            edges.reporter.say(Report::Failed {
                instance: Arc::clone(&self.name),
                what,
            });
        }
        self.plan = None;
        self.add_addresses(edges, now);
        self.announce(edges, now);
    }
}

fn cadence(config: &Config) -> Cadence {
    Cadence {
        count: config.garp.count,
        repeat_after: clock::nanos(config.garp.repeat_after),
        repeat_count: config.garp.repeat_count,
        refresh: clock::nanos(config.garp.refresh),
    }
}
