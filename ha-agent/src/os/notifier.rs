//! An eventfd by which one thread wakes another.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::eventfd::{EfdFlags, EventFd};

/// Wakes whoever polls its descriptor; never blocks.
#[derive(Debug)]
pub struct Notifier {
    descriptor: EventFd,
    /// It was told, and nobody has cleared it since: another word would be a system call for nothing, and there may be
    /// a thousand in a row.
    is_told: AtomicBool,
}

impl Notifier {
    /// A new one, with nothing to tell yet.
    pub fn new() -> io::Result<Self> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        Ok(Self {
            descriptor: EventFd::from_value_and_flags(0, flags)?,
            is_told: AtomicBool::new(false),
        })
    }

    /// Makes the descriptor readable: after what it tells of is there to be looked at.
    pub fn notify(&self) {
        if !self.is_told.swap(true, Ordering::AcqRel) {
            // Its counter can only be full if it is readable already.
            let _ = self.descriptor.write(1);
        }
    }

    /// Makes it unreadable again: before what it was notified of is looked at.
    pub fn clear(&self) {
        let _ = self.descriptor.read();
        // Last: whoever has found it told, and written nothing, is seen by the look that follows.
        self.is_told.swap(false, Ordering::AcqRel);
    }
}

impl AsFd for Notifier {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64;

    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    use super::*;

    /// Waits for the descriptor; false if it does not become readable within so many milliseconds.
    fn is_readable(notifier: &Notifier, millis: u16) -> bool {
        let mut fds = [PollFd::new(notifier.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::from(millis)).unwrap() == 1
    }

    #[test]
    fn it_is_readable_from_a_word_until_it_is_cleared() {
        let notifier = Notifier::new().unwrap();
        for _ in 0..3 {
            assert!(!is_readable(&notifier, 0));
            notifier.notify();
            notifier.notify();
            assert!(is_readable(&notifier, 0));
            notifier.clear();
        }
        assert!(!is_readable(&notifier, 0));
    }

    #[test]
    fn whatever_is_told_while_another_thread_clears_it_is_seen() {
        const WORDS: u64 = 200_000;
        let notifier = Arc::new(Notifier::new().unwrap());
        let told = Arc::new(AtomicU64::new(0));
        let teller = {
            let (notifier, told) = (Arc::clone(&notifier), Arc::clone(&told));
            std::thread::spawn(move || {
                for word in 1..=WORDS {
                    told.store(word, Ordering::Relaxed);
                    notifier.notify();
                }
            })
        };
        let mut seen = 0;
        while seen < WORDS {
            assert!(
                is_readable(&notifier, 10_000),
                "a word was lost after {seen}"
            );
            notifier.clear();
            seen = told.load(Ordering::Relaxed);
        }
        teller.join().unwrap();
    }
}
