//! Which labs may be there at once: those whose tests load the machine have no other subject's tests beside them.
//!
//! The tests hold agents to deadlines of milliseconds, and a flood or the start of a whole system on the same
//! processors would break them. A lab that the test harness makes is its subject's, told by the first module in the
//! test's name, which is its thread's.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Subjects that load the machine.
const HEAVY: [&str; 8] = [
    "faults",
    "kernel_watchdog",
    "many",
    "package",
    "scale",
    "selftest",
    "systemd",
    "vectors",
];

static PRESENT: Mutex<Present> = Mutex::new(Present { labs: 0, of: None });
static LEFT: Condvar = Condvar::new();

/// The labs that are there.
struct Present {
    labs: usize,
    /// The heavy subject whose they all are.
    of: Option<&'static str>,
}

/// A lab's place among the others, given up when dropped.
#[derive(Debug)]
pub(super) struct Place(());

impl Place {
    /// Waits until this thread's test may have a lab.
    pub(super) fn take() -> Self {
        let subject = std::thread::current().name().and_then(heavy_subject);
        let mut present = LEFT
            .wait_while(lock(), |present| present.labs > 0 && present.of != subject)
            .unwrap_or_else(PoisonError::into_inner);
        present.labs += 1;
        present.of = subject;
        Self(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock().labs -= 1;
        LEFT.notify_all();
    }
}

fn lock() -> MutexGuard<'static, Present> {
    PRESENT.lock().unwrap_or_else(PoisonError::into_inner)
}

fn heavy_subject(test: &str) -> Option<&'static str> {
    let (module, _) = test.split_once("::")?;
    HEAVY.into_iter().find(|subject| *subject == module)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Sender, channel};
    use std::thread::{Builder, JoinHandle};

    /// A test of that name that has a lab until it is told to end.
    fn test(name: &str, report: &Sender<String>) -> (Sender<()>, JoinHandle<()>) {
        let (end, told) = channel();
        let (report, own) = (report.clone(), name.to_owned());
        let body = move || {
            let place = Place::take();
            let _ = report.send(own);
            let _ = told.recv();
            drop(place);
        };
        (
            end,
            Builder::new().name(name.to_owned()).spawn(body).unwrap(),
        )
    }

    #[test]
    fn tests_of_a_heavy_subject_have_none_of_another_beside_them() {
        let (report, began) = channel();
        let (end_first, first) = test("scale::one", &report);
        assert_eq!(began.recv().unwrap(), "scale::one");
        let (end_other, other) = test("reload::one", &report);
        let (end_second, second) = test("scale::two", &report);
        // Were the other let in, it would be before the second, which began after it, or between the two.
        assert_eq!(began.recv().unwrap(), "scale::two");
        drop(end_first);
        first.join().unwrap();
        assert!(began.try_recv().is_err(), "one is left");
        drop(end_second);
        second.join().unwrap();
        assert_eq!(began.recv().unwrap(), "reload::one");
        let (end_light, light) = test("addresses::one", &report);
        assert_eq!(began.recv().unwrap(), "addresses::one");
        for (end, thread) in [(end_other, other), (end_light, light)] {
            drop(end);
            thread.join().unwrap();
        }
    }
}
