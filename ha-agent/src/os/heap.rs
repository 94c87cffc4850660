//! The C library's heap.

/// Gives what was freed back to the kernel: the C library keeps it, and reading the kernel's types and a configuration
/// of a thousand virtual routers takes tens of megabytes for a moment. Before memory is locked, for what is locked
/// stays; and before there are threads that may not wait for the heap.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it changes nothing that is allocated, and may be called at any time. It says whether there was anything.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// From 128 KiB on an allocation is a mapping of its own, and goes back to the kernel when it is freed. By itself the C library
/// keeps ever larger ones once the first was freed: one answer to `status` for a thousand virtual routers would leave 4.7 MB
/// behind, locked for as long as the agent runs.
pub fn keep_no_large() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it changes nothing that is allocated. It fails for values that are out of range alone.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 128 << 10);
    }
}
