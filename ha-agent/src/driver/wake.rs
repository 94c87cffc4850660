//! The bell of the driver: an eventfd that other threads ring.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::eventfd::{EfdFlags, EventFd};

/// Rings and is heard; never blocks.
#[derive(Debug)]
pub struct Wake(EventFd);

impl Wake {
    /// A new bell.
    pub fn new() -> io::Result<Self> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        Ok(Self(EventFd::from_value_and_flags(0, flags)?))
    }

    /// Rings. Full means that it rings already.
    pub fn wake(&self) {
        let _ = self.0.write(1);
    }

    /// Silences it, before what it announced is looked at.
    pub fn clear(&self) {
        let _ = self.0.read();
    }
}

impl AsFd for Wake {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
