//! The latest value of something that one thread makes and others read: readers get a copy, never a lock.
//!
//! tokio's `watch` hands out guards of a lock that prefers writers: who reads a second time while they still hold
//! the first guard waits for a writer that waits for them. A guard in the middle of an expression lives until its
//! end, so nobody sees that they hold one. `clippy.toml` allows these guards here only.
#![expect(
    clippy::disallowed_methods,
    reason = "each guard is gone before the function returns"
)]

use tokio::sync::watch;

/// What the maker has.
#[derive(Debug)]
pub struct Publisher<T>(watch::Sender<T>);

/// What a reader has. Each copy notices changes for itself.
#[derive(Clone, Debug)]
pub struct Latest<T>(watch::Receiver<T>);

/// Both ends of a value that begins so. Keep `T` cheap to copy: an `Arc`, a number.
pub fn channel<T>(first: T) -> (Publisher<T>, Latest<T>) {
    let (publisher, latest) = watch::channel(first);
    (Publisher(publisher), Latest(latest))
}

impl<T: Clone> Publisher<T> {
    /// The value as it is shown now.
    pub fn get(&self) -> T {
        self.0.borrow().clone()
    }

    /// Shows another value, whether anybody reads it or not.
    pub fn set(&self, value: T) {
        self.0.send_replace(value);
    }
}

impl<T: Clone> Latest<T> {
    /// The value as it is now; one that was not seen before still counts as a change.
    pub fn get(&self) -> T {
        self.0.borrow().clone()
    }

    /// The value as it is now, which then is no change any more.
    pub fn see(&mut self) -> T {
        self.0.borrow_and_update().clone()
    }

    /// Waits until there is a value that was not seen; None once the maker is gone.
    pub async fn next(&mut self) -> Option<T> {
        self.0.changed().await.ok()?;
        Some(self.see())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::*;

    /// A guard of the first value would have the publisher wait for ever, and with it the second reader.
    #[test]
    fn a_value_that_is_read_is_no_lock() {
        let (publisher, latest) = channel(1);
        let (done, is_done) = mpsc::sync_channel(0);
        thread::spawn(move || {
            let read = (latest.get(), publisher.set(2), latest.get());
            done.send((read.0, read.2)).unwrap();
        });
        assert_eq!(is_done.recv_timeout(Duration::from_secs(10)), Ok((1, 2)));
    }

    #[tokio::test]
    async fn a_change_is_seen_once_and_the_end_is_seen() {
        let (publisher, mut latest) = channel(1);
        publisher.set(2);
        assert_eq!(latest.get(), 2);
        assert_eq!(latest.next().await, Some(2));
        publisher.set(3);
        assert_eq!((latest.see(), publisher.get()), (3, 3));
        drop(publisher);
        assert_eq!(latest.next().await, None);
    }
}
