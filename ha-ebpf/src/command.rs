//! Commands of the agent: userspace cannot call the timer helpers, and writing a slot from there
//! would free its timer, so every change of a slot is made here.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use aya_ebpf::programs::XdpContext;
use ha_common::layout::{Command, Slot, flags, op, state, status};

use crate::maps::HA_SLOTS;
use crate::timer;

/// Flags that belong to the kernel half.
const KEPT: u32 = flags::TIMER | flags::EXPIRED_UNSENT;

/// Runs the command in the "packet": one of `ha_common::layout::status`.
#[inline(always)]
pub(crate) fn run(context: &XdpContext) -> u32 {
    let at = context.data();
    if at + size_of::<Command>() > context.data_end() {
        return status::BAD_COMMAND;
    }
    let command = at as *const Command;
    // SAFETY: the whole command lies in the packet, as just checked; every bit pattern is a value.
    unsafe {
        let Some(slot) = HA_SLOTS.get_ptr_mut((*command).slot) else {
            return status::BAD_SLOT;
        };
        match (*command).op {
            op::CONFIGURE => configure(slot, command),
            op::SET_STATE => set_state(slot, command),
            op::RELEASE => release(slot, command),
            op::TUNE => tune(slot, command),
            _ => status::BAD_COMMAND,
        }
    }
}

#[inline(always)]
unsafe fn configure(slot: *mut Slot, command: *const Command) -> u32 {
    // SAFETY: both are checked by the caller.
    unsafe {
        (*slot).ifindex = (*command).ifindex;
        (*slot).vrid = (*command).vrid;
        (*slot).family = (*command).family;
        (*slot).version = (*command).version;
        (*slot).own_interval = (*command).own_interval;
        (*slot).own_hash = (*command).own_hash;
        (*slot).own_address = (*command).own_address;
        (*slot).own_count = (*command).own_count;
        (*slot).auth_type = (*command).auth_type;
        (*slot).auth_data = (*command).auth_data;
        (*slot).down_multiplier = (*command).down_multiplier;
        tune(slot, command);
        let timer = timer::initialise(slot);
        if (*slot).state == state::FREE {
            (*slot).state = state::IDLE;
        }
        timer
    }
}

#[inline(always)]
unsafe fn tune(slot: *mut Slot, command: *const Command) -> u32 {
    // SAFETY: as for `configure`.
    unsafe {
        (*slot).generation = (*command).generation;
        (*slot).own_priority = (*command).own_priority;
        (*slot).flags = (*slot).flags & KEPT | (*command).flags & !KEPT;
    }
    status::OK
}

#[inline(always)]
unsafe fn set_state(slot: *mut Slot, command: *const Command) -> u32 {
    // SAFETY: as for `configure`.
    unsafe {
        let new = (*command).state;
        if new != state::BACKUP && new != state::MASTER && new != state::IDLE {
            return status::BAD_COMMAND;
        }
        (*slot).generation = (*command).generation;
        (*slot).own_priority = (*command).own_priority;
        (*slot).contested_since = 0;
        if new == state::MASTER {
            (*slot).master_address = [0; 16];
            (*slot).master_priority = 0;
        }
        // The state comes first: an advert that arrives now arms a later deadline, and the earlier
        // one that is set next is corrected by the advert after it.
        (*slot).state = new;
        if new == state::BACKUP {
            timer::arm(slot, bpf_ktime_get_ns(), (*command).arm_for);
        } else {
            timer::disarm(slot);
        }
    }
    status::OK
}

#[inline(always)]
unsafe fn release(slot: *mut Slot, command: *const Command) -> u32 {
    // SAFETY: as for `configure`.
    unsafe {
        timer::cancel(slot);
        (*slot).state = state::FREE;
        (*slot).generation = (*command).generation;
        forget_master(slot);
        (*slot).last_heard = 0;
        (*slot).contested_since = 0;
        (*slot).window_start = 0;
        (*slot).window_events = 0;
        (*slot).last_new_peer = 0;
        (*slot).adverts = 0;
        (*slot).rearms = 0;
        (*slot).events = 0;
        (*slot).suppressed = 0;
        (*slot).dropped = 0;
        (*slot).fired = 0;
        (*slot).vetoed = 0;
        (*slot).rejects = 0;
        (*slot).fenced = 0;
        (*slot).timer_errors = 0;
        (*slot).last_reject.at = 0;
    }
    status::OK
}

/// The next life of the slot may be another virtual router's: it must not judge its first master by
/// the rank and the interval of this one's.
#[inline(always)]
unsafe fn forget_master(slot: *mut Slot) {
    // SAFETY: as for `configure`.
    unsafe {
        (*slot).master_address = [0; 16];
        (*slot).master_priority = 0;
        (*slot).master_interval = 0;
        (*slot).master_hash = 0;
        (*slot).master_count = 0;
        (*slot).master_checksum = 0;
    }
}
