//! Commands of the agent: userspace cannot call the timer helpers, and writing a slot from there
//! would free its timer, so every change of a slot is made here.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use aya_ebpf::programs::TcContext;
use ha_common::layout::{Command, Slot, op, state, status};
use ha_common::master_tracking;
use ha_common::slot as rules;

use crate::maps::HA_SLOTS;
use crate::{contest, timer};

/// Runs the command in the "packet": one of `ha_common::layout::status`.
#[inline(always)]
pub(crate) fn run(context: &TcContext) -> u32 {
    let at = context.data();
    if at + size_of::<Command>() > context.data_end() {
        return status::BAD_COMMAND;
    }
    // SAFETY: the whole command lies in the packet, as just checked, and nobody else has a test run's
    // packet; every bit pattern is a value.
    let command = unsafe { &*(at as *const Command) };
    let Some(slot) = HA_SLOTS.get_ptr_mut(command.slot) else {
        return status::BAD_SLOT;
    };
    match command.op {
        op::CONFIGURE => configure(slot, command),
        op::SET_STATE => set_state(slot, command),
        op::TAKE_OVER => take_over(slot, command),
        op::RELEASE => release(slot, command),
        op::TUNE => tune(slot, command),
        op::CLOSE => close(command),
        _ => status::BAD_COMMAND,
    }
}

// SAFETY, for all of these: `slot` is a live map value. Another CPU may change it at the same time; each
// field is a word or less, and whatever mixture results is corrected by the next advert or command.

#[inline(always)]
fn configure(slot: *mut Slot, command: &Command) -> u32 {
    // SAFETY: as above.
    rules::configure(unsafe { &mut *slot }, command);
    timer::initialise(slot)
}

#[inline(always)]
fn tune(slot: *mut Slot, command: &Command) -> u32 {
    // SAFETY: as above.
    rules::tune(unsafe { &mut *slot }, command);
    status::OK
}

#[inline(always)]
fn close(command: &Command) -> u32 {
    contest::set_closed(command.is_any_closed != 0);
    status::OK
}

/// A slot that is master no more closes its addresses, which are still there: from this very moment traffic is looked at.
///
/// The state comes before the deadline: an advert that arrives in between arms a later one, and the
/// earlier one that is set next is corrected by the advert after it.
#[inline(always)]
fn set_state(slot: *mut Slot, command: &Command) -> u32 {
    // SAFETY: as above.
    if unsafe { (*slot).state } == state::MASTER && command.state != state::MASTER {
        contest::set_closed(true);
    }
    // SAFETY: as above.
    if !rules::set_state(unsafe { &mut *slot }, command) {
        return status::BAD_COMMAND;
    }
    if command.state == state::BACKUP {
        // SAFETY: a helper without conditions.
        timer::arm(slot, unsafe { bpf_ktime_get_ns() }, command.arm_for);
    } else {
        timer::disarm(slot);
    }
    status::OK
}

/// An advert that arrives on another CPU while the state changes may still have been taken in by the old one: then
/// the slot is a backup again, to which the master is new.
#[inline(always)]
fn take_over(slot: *mut Slot, command: &Command) -> u32 {
    // SAFETY: as above.
    unsafe {
        if !rules::take_over(&mut *slot, command) {
            return status::HEARD_SINCE;
        }
        if (&raw const (*slot).last_heard).read_volatile() != command.judged_at {
            (*slot).state = state::BACKUP;
            let span = master_tracking::down_interval(&*slot);
            timer::arm(slot, bpf_ktime_get_ns(), span.0);
            return status::HEARD_SINCE;
        }
    }
    timer::disarm(slot);
    status::OK
}

#[inline(always)]
fn release(slot: *mut Slot, command: &Command) -> u32 {
    timer::cancel(slot);
    // SAFETY: as above.
    rules::release(unsafe { &mut *slot }, command);
    status::OK
}
