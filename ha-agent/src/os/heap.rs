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
