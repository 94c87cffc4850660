//! Counters that several CPUs may move at once.

use core::arch::asm;

use ha_common::layout::Counter;

use crate::maps::HA_COUNTERS;

/// Adds one to a counter in a map value.
///
/// # Safety
/// `counter` points into a map value that was just looked up, and is aligned to 8 bytes.
#[inline(always)]
pub(crate) unsafe fn bump(counter: *mut u64) {
    // SAFETY: the same conditions.
    unsafe { add(counter, 1) }
}

/// Adds to a counter in a map value.
///
/// # Safety
/// As for [`bump`].
#[inline(always)]
pub(crate) unsafe fn add(counter: *mut u64, count: u64) {
    // The BPF targets of rustc have no atomic read-modify-write, the machine has (Linux 3.19).
    // SAFETY: the caller's pointer is valid and aligned; every kernel-side access is atomic or a
    // plain read that may be stale.
    unsafe {
        asm!("lock *(u64 *)({counter} + 0) += {count}", counter = in(reg) counter, count = in(reg) count);
    }
}

/// Adds one to a host-wide counter.
#[inline(always)]
pub(crate) fn host(counter: Counter) {
    if let Some(value) = HA_COUNTERS.get_ptr_mut(counter as u32) {
        // SAFETY: the element belongs to this CPU, and XDP does not preempt itself.
        unsafe { *value += 1 };
    }
}
