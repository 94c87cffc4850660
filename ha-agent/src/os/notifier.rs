//! An eventfd by which one thread wakes another.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::eventfd::{EfdFlags, EventFd};

/// Wakes whoever polls its descriptor; never blocks.
#[derive(Debug)]
pub struct Notifier(EventFd);

impl Notifier {
    /// A new one, with nothing to tell yet.
    pub fn new() -> io::Result<Self> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        Ok(Self(EventFd::from_value_and_flags(0, flags)?))
    }

    /// Makes the descriptor readable. Its counter can only be full if it is readable already.
    pub fn notify(&self) {
        let _ = self.0.write(1);
    }

    /// Makes it unreadable again: before what it was notified of is looked at.
    pub fn clear(&self) {
        let _ = self.0.read();
    }
}

impl AsFd for Notifier {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
