//! What the detector's slot shows that no event told, and when to look at it.

use ha_common::address::known_ip;
use ha_common::election::{Advert, Claim, Detector, Role};
use ha_common::lateness;
use ha_common::layout::{Slot, state};
use ha_common::units::{Centiseconds, Family, Instant, Nanos, Priority};

/// For how long after an event more of them may have been left out: the slot's limit of events has a window
/// of a tenth of this, and rounds of the watchdog that pass slots over are less than half of it apart.
const RESTLESS: Nanos = Nanos::from_millis(1000);

/// In so many looks in a row a slot must differ from what the election says: one may come between a change and its
/// command.
const LOOKS: u8 = 2;

/// How a slot differs from what the election says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Disagreement {
    /// It plays another part.
    Part,
    /// It has another priority.
    Priority,
}

/// How long a neighbour that failed to find this host's MAC waits until it asks again: `retrans_time` of Linux, and
/// `RETRANS_TIMER` of RFC 4861.
const NEIGHBOUR_RETRY: Nanos = Nanos::from_millis(1_000);

/// How long a backup listens at first, where the election says `arm_for`. By unicast it hears nobody while its peers
/// look for its MAC, for which they do not send: while its link was away their entries for it have failed.
fn first_wait(arm_for: Nanos, interval: Centiseconds, is_unicast: bool) -> Nanos {
    if is_unicast {
        arm_for.max(Nanos(NEIGHBOUR_RETRY.0 + 2 * interval.nanos().0))
    } else {
        arm_for
    }
}

/// What is known of a slot from one look to the next.
#[derive(Clone, Debug, Default)]
pub(super) struct Detection {
    /// The kernel's timer keeps the deadline.
    kernel_timer: bool,
    /// The slot plays a part in which it hears others: until then nobody may have known where this host is.
    listens: bool,
    /// When to look at the slot.
    look_at: Option<Instant>,
    /// Until when it is looked at in each of the watchdog's rounds.
    restless_until: Instant,
    /// Events that are known not to have come.
    lost: u64,
    /// Claims that it had counted, and those that events have told of since.
    claims_counted: Option<u64>,
    claims_told: u64,
    /// The last claim that was told.
    last_claim: Option<Claim>,
    /// Frames that the fence had dropped, in and out.
    fenced: Option<(u64, u64)>,
    /// In how many looks in a row the slot was not what the election says.
    disagreed: u8,
}

impl Detection {
    pub(super) fn bind(&mut self, kernel_timer: bool) {
        self.kernel_timer = kernel_timer;
    }

    /// Whether a BPF program receives, and the kernel's timer keeps the deadline.
    pub(super) const fn has_kernel_timer(&self) -> bool {
        self.kernel_timer
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.look_at
    }

    /// True if it is time to look.
    pub(super) fn on_timeout(&mut self, now: Instant) -> bool {
        let due = self.look_at.is_some_and(|at| at <= now);
        if due {
            self.look_at = None;
        }
        due
    }

    /// An event came: more of them may have been left out.
    pub(super) fn stir(&mut self, now: Instant) {
        self.restless_until = now + RESTLESS;
    }

    /// Whether the slot may show what no event told: not if this is a backup whose deadline the kernel keeps and of
    /// which nothing was heard for a while.
    pub(super) fn is_restless(&self, role: Role, now: Instant) -> bool {
        role != Role::Backup || !self.kernel_timer || now < self.restless_until
    }

    /// The slot plays another part from now on; a backup's is read next, and then it is known when to look again. The
    /// part may wait longer: one that begins to listen is heard by its peers before it decides anything.
    pub(super) fn assign(
        &mut self,
        part: Detector,
        interval: Centiseconds,
        is_unicast: bool,
    ) -> Detector {
        self.look_at = None;
        let began = !std::mem::replace(&mut self.listens, part != Detector::Idle);
        match part {
            Detector::Backup { arm_for } if began => {
                let arm_for = first_wait(arm_for, interval, is_unicast);
                Detector::Backup { arm_for }
            }
            part => part,
        }
    }

    /// Looks once the kernel's timer cannot be trusted with a deadline.
    pub(super) fn watch(&mut self, slot: &Slot, now: Instant) {
        self.look_at = self.next_look(slot, now);
    }

    /// Whether a deadline is seen from here alone, or was trusted to the kernel too long.
    pub(super) fn needs_watching(&self) -> bool {
        !self.kernel_timer || self.look_at.is_some()
    }

    /// When the deadline of a slot is to be acted on from here: when it is there, if nobody else looks.
    pub(super) fn acts_at(&self, slot: &Slot, now: Instant) -> Instant {
        let deadline = Instant(slot.deadline);
        if self.kernel_timer {
            deadline + lateness::grace(slot, now)
        } else {
            deadline
        }
    }

    /// When it is to be looked at from here: then, unless that is left to the kernel. One that has passed is not left
    /// to it any more.
    fn next_look(&self, slot: &Slot, now: Instant) -> Option<Instant> {
        if self.kernel_timer && slot.deadline > now.0 {
            lateness::look_at(slot, now)
        } else {
            Some(self.acts_at(slot, now))
        }
    }

    /// A command to the slot may have failed, or something else has written it: how it differs from what it was told,
    /// in several looks in a row.
    pub(super) fn disagrees(
        &mut self,
        slot: &Slot,
        role: Role,
        priority: Priority,
    ) -> Option<Disagreement> {
        let found = disagreement(slot, role, priority);
        self.disagreed = if found.is_some() {
            self.disagreed + 1
        } else {
            0
        };
        if self.disagreed < LOOKS {
            return None;
        }
        self.disagreed = 0;
        found
    }

    /// True if events did not come since the last look.
    pub(super) fn missed(&mut self, slot: &Slot) -> bool {
        let lost = slot.dropped.saturating_add(slot.suppressed);
        lost > std::mem::replace(&mut self.lost, lost)
    }

    /// An event told of this claim.
    pub(super) fn told_claim(&mut self, claim: Claim) {
        self.last_claim = Some(claim);
        self.claims_told = self.claims_told.saturating_add(1);
    }

    /// The kernel half counts every claim and tells of few: of what it held back the last may have misled the
    /// neighbours, and is answered like the last that was told.
    pub(super) fn untold_claim(&mut self, slot: &Slot) -> Option<Claim> {
        let before = self
            .claims_counted
            .replace(slot.claims)
            .unwrap_or(slot.claims);
        let told = std::mem::take(&mut self.claims_told);
        let untold = slot.claims.saturating_sub(before) > told;
        self.last_claim.filter(|_| untold)
    }

    /// Frames that the fence has dropped since the last look, in and out, and for how many milliseconds it was up at
    /// the least.
    pub(super) fn newly_fenced(&mut self, slot: &Slot) -> Option<(u64, u64, u64)> {
        let dropped = (slot.fenced, slot.fenced_out);
        let before = self.fenced.replace(dropped).unwrap_or(dropped);
        let incoming = dropped.0.saturating_sub(before.0);
        let outgoing = dropped.1.saturating_sub(before.1);
        let lasted = slot.fenced_at.saturating_sub(slot.fenced_since) / 1_000_000;
        (incoming > 0 || outgoing > 0).then_some((incoming, outgoing, lasted))
    }
}

fn disagreement(slot: &Slot, role: Role, priority: Priority) -> Option<Disagreement> {
    let part = match role {
        // What an earlier life has left in it is looked at when the router is bound.
        Role::Initialize => return None,
        Role::Backup => state::BACKUP,
        Role::Master => state::MASTER,
        Role::Hold | Role::Fault | Role::Stopped => state::IDLE,
    };
    if slot.state != part {
        Some(Disagreement::Part)
    } else if part != state::IDLE && slot.own_priority != priority.0 {
        Some(Disagreement::Priority)
    } else {
        None
    }
}

/// The router in the slot that is, or claims to be, master beside us.
pub(super) fn contender(family: Family, slot: &Slot) -> Option<Advert> {
    Some(Advert {
        source: known_ip(family, slot.master_address)?,
        priority: Priority(slot.master_priority),
        interval: Centiseconds(slot.master_interval),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unicast_backup_first_listens_for_as_long_as_its_peers_may_look_for_it() {
        let wait = |millis, centiseconds, is_unicast| {
            let wait = first_wait(
                Nanos::from_millis(millis),
                Centiseconds(centiseconds),
                is_unicast,
            );
            wait.0 / 1_000_000
        };
        assert_eq!(wait(360, 10, true), 1200);
        assert_eq!(wait(36, 1, true), 1020);
        assert_eq!(wait(3609, 100, true), 3609);
        assert_eq!(wait(360, 10, false), 360);
    }
}
