//! What the agent's commands do to a slot: the same in the BPF program, in the plain-socket datapath and
//! in the simulation.
//!
//! The timer is its owner's: each of these says what becomes of the deadline, and the owner does it.

use bytemuck::bytes_of;

use crate::hmac::Untimely;
use crate::hmac::budget::Budget;
use crate::layout::{Command, Slot, flags, state};
use crate::master_tracking::awaits_preemption;

/// Flags that belong to the owner of the timer, and that no command changes.
const KEPT: u32 = flags::TIMER;

/// [`crate::layout::op::CONFIGURE`]: the state stays, and a free slot becomes idle.
#[inline(always)]
pub fn configure(slot: &mut Slot, command: &Command) {
    slot.ifindex = command.ifindex;
    slot.vrid = command.vrid;
    slot.family = command.family;
    slot.version = command.version;
    slot.own_interval = command.own_interval;
    slot.own_hash = command.own_hash;
    slot.own_address = command.own_address;
    slot.own_mac = command.own_mac;
    slot.own_count = command.own_count;
    slot.channel = command.channel;
    slot.gate = command.gate;
    slot.auth_type = command.auth_type;
    slot.auth_data = command.auth_data;
    slot.down_multiplier = command.down_multiplier;
    tune(slot, command);
    if slot.state == state::FREE {
        slot.state = state::IDLE;
    }
}

/// Whether the slot's configuration is what this command made of it: something else may have written it since. Neither its
/// state nor what was heard is compared, which are not the command's, nor are the flags that the kernel half sets.
pub fn is_configured(slot: &Slot, command: &Command) -> bool {
    const OURS: u32 = flags::CONSUME | flags::PREEMPT | flags::FENCE;
    let mut wanted = *slot;
    configure(&mut wanted, command);
    wanted.state = slot.state;
    wanted.generation = slot.generation;
    wanted.flags = slot.flags;
    let has_flags = slot.flags & OURS == command.flags & OURS;
    has_flags && slot.state != state::FREE && bytes_of(&wanted) == bytes_of(slot)
}

/// [`crate::layout::op::TUNE`]: priority and flags.
#[inline(always)]
pub fn tune(slot: &mut Slot, command: &Command) {
    slot.generation = command.generation;
    slot.own_priority = command.own_priority;
    slot.flags = slot.flags & KEPT | command.flags & !KEPT;
}

/// [`crate::layout::op::SET_STATE`]; false if there is no such state. A backup's deadline is `arm_for`
/// from now, the others have none.
#[inline(always)]
pub fn set_state(slot: &mut Slot, command: &Command) -> bool {
    let new = command.state;
    if new != state::BACKUP && new != state::MASTER && new != state::IDLE {
        return false;
    }
    tune(slot, command);
    slot.contested_since = 0;
    slot.claimed_since = 0;
    slot.unanswered_since = 0;
    if new == state::MASTER || new == state::BACKUP && slot.state != state::MASTER {
        // From here on, whoever is noted claims what is ours; or he is the first that a new backup hears,
        // which is news to its agent although the slot has noted him before. Only a master that yields
        // has told it already.
        slot.master_address = [0; 16];
        slot.master_priority = 0;
    }
    slot.state = new;
    true
}

/// [`crate::layout::op::TAKE_OVER`]: false, and nothing is changed, if the slot is no backup any more or has heard
/// a master since the agent judged it dead. One that is to be preempted speaks on and does not count.
#[inline(always)]
pub fn take_over(slot: &mut Slot, command: &Command) -> bool {
    let heard_since = slot.last_heard != command.judged_at && !awaits_preemption(slot);
    if slot.state != state::BACKUP || heard_since {
        return false;
    }
    set_state(
        slot,
        &Command {
            state: state::MASTER,
            ..*command
        },
    )
}

/// [`crate::layout::op::RELEASE`]: no deadline. The next life of the slot may be another virtual router's:
/// it must not judge its first master by the rank and the interval of this one's, nor go on counting.
#[inline(always)]
pub fn release(slot: &mut Slot, command: &Command) {
    slot.state = state::FREE;
    slot.generation = command.generation;
    slot.master_address = [0; 16];
    slot.master_priority = 0;
    slot.master_interval = 0;
    slot.master_hash = 0;
    slot.master_count = 0;
    slot.master_checksum = 0;
    slot.last_heard = 0;
    slot.contested_since = 0;
    slot.claimed_since = 0;
    slot.unanswered_since = 0;
    slot.expiry_unsent = 0;
    slot.armed_until = 0;
    slot.window_start = 0;
    slot.window_events = 0;
    slot.last_new_peer = 0;
    slot.budget = Budget::default();
    slot.untimely = Untimely::default();
    slot.adverts = 0;
    slot.rearms = 0;
    slot.events = 0;
    slot.suppressed = 0;
    slot.dropped = 0;
    slot.fired = 0;
    slot.vetoed = 0;
    slot.fenced = 0;
    slot.fenced_out = 0;
    slot.fenced_since = 0;
    slot.fenced_at = 0;
    slot.closed = 0;
    slot.closed_out = 0;
    slot.closed_at = 0;
    slot.claims = 0;
    slot.claim_window_start = 0;
    slot.claim_window_events = 0;
    slot.timer_errors = 0;
    slot.late = 0;
    slot.late_at = 0;
    slot.latest = 0;
    slot.rejects = [0; crate::reject::Reject::COUNT];
    slot.last_reject.at = 0;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::op;

    fn used() -> Slot {
        Slot {
            state: state::BACKUP,
            flags: flags::TIMER | flags::PREEMPT,
            master_address: [7; 16],
            master_priority: 200,
            master_interval: 100,
            contested_since: 5,
            claimed_since: 5,
            adverts: 9,
            rejects: [3; crate::reject::Reject::COUNT],
            ..Slot::default()
        }
    }

    #[test]
    fn every_new_state_takes_its_flags_along_and_leaves_the_timers_alone() {
        let mut slot = used();
        let command = Command {
            op: op::SET_STATE,
            state: state::BACKUP,
            flags: flags::CONSUME,
            own_priority: 90,
            ..Command::default()
        };
        assert!(set_state(&mut slot, &command));
        assert_eq!(slot.flags, flags::TIMER | flags::CONSUME);
        assert_eq!(slot.own_priority, 90);
        assert_eq!((slot.contested_since, slot.claimed_since), (0, 0));
    }

    #[test]
    fn a_new_backups_first_master_is_news_unless_it_has_just_yielded_to_him() {
        let command = Command {
            state: state::BACKUP,
            ..Command::default()
        };
        for (before, known) in [
            (state::IDLE, false),
            (state::BACKUP, false),
            (state::MASTER, true),
        ] {
            let mut slot = used();
            slot.state = before;
            assert!(set_state(&mut slot, &command));
            assert_eq!(slot.master_address == [7; 16], known, "{before}");
            assert_eq!(slot.master_interval, 100, "what was learned stays");
        }
    }

    #[test]
    fn who_becomes_master_knows_of_no_other() {
        let mut slot = used();
        let command = Command {
            state: state::MASTER,
            ..Command::default()
        };
        assert!(set_state(&mut slot, &command));
        assert_eq!(slot.master_address, [0; 16]);
    }

    #[test]
    fn a_backup_takes_over_unless_a_master_was_heard_since_it_was_judged_dead() {
        let judged = Command {
            judged_at: 70,
            own_priority: 90,
            ..Command::default()
        };
        for (state, last_heard, taken) in [
            (state::BACKUP, 70, true),
            (state::BACKUP, 71, false),
            (state::MASTER, 70, false),
            (state::IDLE, 70, false),
            (state::FREE, 70, false),
        ] {
            let mut slot = Slot {
                state,
                last_heard,
                ..used()
            };
            assert_eq!(take_over(&mut slot, &judged), taken);
            let expected = if taken { state::MASTER } else { state };
            assert_eq!(slot.state, expected);
            assert_eq!(slot.own_priority == 90, taken, "refused: nothing changes");
        }
    }

    #[test]
    fn a_master_that_is_to_be_preempted_does_not_hold_up_a_take_over_by_speaking_on() {
        for (priority, taken) in [(80, true), (90, false), (0, false)] {
            let mut slot = Slot {
                own_priority: 90,
                master_priority: priority,
                last_heard: 71,
                ..used()
            };
            let command = Command {
                judged_at: 70,
                ..Command::default()
            };
            assert_eq!(take_over(&mut slot, &command), taken, "{priority}");
        }
    }

    #[test]
    fn a_state_that_does_not_exist_changes_nothing() {
        for unknown in [state::FREE, 4, u8::MAX] {
            let mut slot = used();
            let command = Command {
                state: unknown,
                own_priority: 1,
                ..Command::default()
            };
            assert!(!set_state(&mut slot, &command));
            assert_eq!((slot.state, slot.own_priority), (state::BACKUP, 0));
        }
    }

    #[test]
    fn a_released_slot_is_as_new_but_for_its_configuration() {
        let mut slot = used();
        release(&mut slot, &Command::default());
        assert_eq!(slot.state, state::FREE);
        let blank = Slot {
            flags: slot.flags,
            ..Slot::default()
        };
        assert_eq!(bytes_of(&slot), bytes_of(&blank));
    }

    #[test]
    fn what_something_else_has_written_into_a_slots_configuration_is_seen() {
        let command = Command {
            own_interval: 100,
            own_priority: 90,
            flags: flags::FENCE | flags::PREEMPT,
            down_multiplier: 3,
            version: 3,
            ..Command::default()
        };
        let mut slot = used();
        configure(&mut slot, &command);
        slot.flags |= flags::NO_TIMER;
        slot.generation += 1;
        assert!(is_configured(&slot, &command));
        let changes: [fn(&mut Slot); 14] = [
            |slot| slot.state = state::FREE,
            |slot| slot.own_interval = 1,
            |slot| slot.own_priority = 91,
            |slot| slot.flags &= !flags::FENCE,
            |slot| slot.flags |= flags::CONSUME,
            |slot| slot.down_multiplier = 4,
            |slot| slot.version = 2,
            |slot| slot.own_hash = 1,
            |slot| slot.own_address = [1; 16],
            |slot| slot.own_mac = [1; 6],
            |slot| slot.auth_type = 1,
            |slot| slot.channel.group = [1; 16],
            |slot| slot.gate.mode = 3,
            |slot| slot.ifindex = 8,
        ];
        for (number, change) in (0..).zip(changes) {
            let mut found = slot;
            change(&mut found);
            assert!(!is_configured(&found, &command), "change {number}");
            configure(&mut found, &command);
            assert!(is_configured(&found, &command), "change {number}");
        }
        let heard: [fn(&mut Slot); 3] = [
            |slot| slot.state = state::MASTER,
            |slot| slot.master_priority = 1,
            |slot| slot.deadline = 1,
        ];
        for change in heard {
            let mut found = slot;
            change(&mut found);
            assert!(is_configured(&found, &command));
        }
    }

    #[test]
    fn configuring_keeps_the_state_and_takes_a_free_slot_into_use() {
        let mut slot = used();
        configure(&mut slot, &Command::default());
        assert_eq!(slot.state, state::BACKUP);
        let mut slot = Slot::default();
        configure(&mut slot, &Command::default());
        assert_eq!(slot.state, state::IDLE);
    }
}
