//! A moment at which one thread wakes, which any other may set.

use std::io;

use ha_common::units::{Instant, NANOS_PER_SECOND};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

/// A timerfd on the protocol's clock.
///
/// Setting it wakes nobody before the moment has come. A condition variable would have to be notified so that its
/// waiter can begin to wait anew, which costs a switch of threads in the middle of a take-over.
#[derive(Debug)]
pub struct Alarm(TimerFd);

impl Alarm {
    /// A new one, which is not set. `EMFILE`, `ENFILE` or `ENOMEM`.
    pub fn new() -> io::Result<Self> {
        let flags = TimerFlags::TFD_CLOEXEC;
        Ok(Self(TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?))
    }

    /// Wakes whoever waits at this moment, at once if it is past; `None`: not at all. What was set before is forgotten,
    /// also if its moment has come and nobody has waited yet.
    pub fn set(&self, at: Option<Instant>) -> io::Result<()> {
        let Some(at) = at else {
            return Ok(self.0.unset()?);
        };
        // A time of zero would mean no time.
        let nanos = at.0.max(1);
        let part = |nanos: u64| i64::try_from(nanos).unwrap_or(i64::MAX);
        let moment = TimeSpec::new(
            part(nanos / NANOS_PER_SECOND),
            part(nanos % NANOS_PER_SECOND),
        );
        let absolute = TimerSetTimeFlags::TFD_TIMER_ABSTIME;
        Ok(self.0.set(Expiration::OneShot(moment), absolute)?)
    }

    /// Waits for the moment, once it is set.
    pub fn wait(&self) -> io::Result<()> {
        Ok(self.0.wait()?)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::{RecvTimeoutError, channel};
    use std::time::Duration;

    use ha_common::units::Nanos;

    use super::*;
    use crate::os::clock;

    #[test]
    fn it_wakes_at_the_moment_and_not_before() {
        let alarm = Alarm::new().unwrap();
        for span in [0, 1, 20] {
            let at = clock::now() + Nanos::from_millis(span);
            alarm.set(Some(at)).unwrap();
            alarm.wait().unwrap();
            assert!(clock::now() >= at, "{span} ms");
        }
        alarm.set(Some(Instant(0))).unwrap();
        alarm.wait().unwrap();
    }

    #[test]
    fn a_thread_that_waits_already_wakes_at_the_moment_that_another_sets() {
        let alarm = Arc::new(Alarm::new().unwrap());
        let (tell, told) = channel();
        let waiter = Arc::clone(&alarm);
        let thread = std::thread::spawn(move || {
            waiter.wait().unwrap();
            tell.send(()).unwrap();
        });
        let hour = Nanos::from_millis(3_600_000);
        alarm.set(Some(clock::now() + hour)).unwrap();
        let not_yet = told.recv_timeout(Duration::from_millis(50));
        assert_eq!(not_yet, Err(RecvTimeoutError::Timeout));
        alarm.set(None).unwrap();
        let not_at_all = told.recv_timeout(Duration::from_millis(50));
        assert_eq!(not_at_all, Err(RecvTimeoutError::Timeout));
        alarm.set(Some(clock::now())).unwrap();
        told.recv().unwrap();
        thread.join().unwrap();
    }
}
