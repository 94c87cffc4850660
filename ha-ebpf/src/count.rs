//! Counters.

use ha_common::layout::Counter;

use crate::atomic;
use crate::maps::HA_COUNTERS;

/// Adds one to a counter in a map value.
///
/// # Safety
/// `counter` points into a map value that was just looked up, and is aligned to 8 bytes.
#[inline(always)]
pub(crate) unsafe fn bump(counter: *mut u64) {
    // SAFETY: the same conditions.
    unsafe { atomic::add(counter, 1) }
}

/// Adds one to a host-wide counter.
#[inline(always)]
pub(crate) fn host(counter: Counter) {
    if let Some(value) = HA_COUNTERS.get_ptr_mut(counter as u32) {
        // SAFETY: the element belongs to this CPU, and programs of these hooks do not interrupt each other.
        unsafe { *value += 1 };
    }
}
