//! Read-modify-write operations of words that several CPUs may write at once.
//!
//! rustc's BPF targets have none, the machine has: addition since Linux 3.19, the others since 5.12.

use core::arch::asm;

/// Adds to a word.
///
/// # Safety
/// `word` points into a live map value or the object's own data, and is aligned to 8 bytes.
#[inline(always)]
pub(crate) unsafe fn add(word: *mut u64, count: u64) {
    // SAFETY: the caller's pointer is valid and aligned; every kernel-side access is atomic or a plain read that
    // may be stale.
    unsafe {
        asm!("lock *(u64 *)({word} + 0) += {count}", word = in(reg) word, count = in(reg) count);
    }
}

/// Sets bits of a word.
///
/// # Safety
/// As for [`add`].
#[inline(always)]
pub(crate) unsafe fn or(word: *mut u64, bits: u64) {
    // SAFETY: as for `add`.
    unsafe {
        asm!("lock *(u64 *)({word} + 0) |= {bits}", word = in(reg) word, bits = in(reg) bits);
    }
}

/// Clears those bits of a word that are not in `bits`.
///
/// # Safety
/// As for [`add`].
#[inline(always)]
pub(crate) unsafe fn and(word: *mut u64, bits: u64) {
    // SAFETY: as for `add`.
    unsafe {
        asm!("lock *(u64 *)({word} + 0) &= {bits}", word = in(reg) word, bits = in(reg) bits);
    }
}

/// Writes a word and gives what stood there. Whatever other accesses stand before it in the program come before
/// it on every CPU, and those behind it after it.
///
/// # Safety
/// As for [`add`].
#[inline(always)]
pub(crate) unsafe fn exchange(word: *mut u64, mut value: u64) -> u64 {
    // SAFETY: as for `add`.
    unsafe {
        asm!("{value} = xchg_64({word} + 0, {value})", word = in(reg) word, value = inout(reg) value);
    }
    value
}

/// Writes `new` if `old` stands there; gives what stood there.
///
/// # Safety
/// As for [`add`].
#[cfg(target_arch = "bpf")]
#[inline(always)]
pub(crate) unsafe fn compare_exchange(word: *mut u64, old: u64, new: u64) -> u64 {
    let mut found = old;
    // The instruction compares with register 0, and leaves there what it found.
    // SAFETY: as for `add`.
    unsafe {
        asm!("r0 = cmpxchg_64({word} + 0, r0, {new})", word = in(reg) word, new = in(reg) new, inout("r0") found);
    }
    found
}

/// For clippy, which looks at this crate as the host's, where there is no register 0.
///
/// # Safety
/// As for [`add`].
#[cfg(not(target_arch = "bpf"))]
pub(crate) unsafe fn compare_exchange(word: *mut u64, old: u64, new: u64) -> u64 {
    // SAFETY: the caller's pointer is valid and aligned.
    unsafe { exchange(word, if word.read() == old { new } else { old }) }
}
