//! The own interface as it counts: what is missing for a moment is not lost.
//!
//! A network manager that applies the same configuration again takes the own address away for some tenths of a second.
//! A master that gave up for it would move the addresses twice, and a backup would forget until when its master is to be
//! heard. They wait, by `address_delay`, and a master for its link as well, by `carrier_delay`. Whoever is neither is out
//! at once.

use ha_common::units::{Instant, Nanos};

use super::event::InterfaceState;
use crate::config::model::Instance as Config;

/// The interface's state, and what counts of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct OwnInterface {
    seen: InterfaceState,
    counts: InterfaceState,
    /// While it works no more and that does not count yet: since when.
    lost: Option<Instant>,
    /// Nobody waits for it any more.
    is_over: bool,
    carrier_delay: Nanos,
    address_delay: Nanos,
}

/// What a router is told of its interface.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum InterfaceNews {
    /// It does not work, which counts if it lasts this long.
    Waits(Nanos),
    /// It works again, and what was wrong has not counted.
    Returned,
}

impl OwnInterface {
    /// Not there yet.
    pub(super) fn new(config: &Config) -> Self {
        Self {
            seen: InterfaceState::Gone,
            counts: InterfaceState::Gone,
            lost: None,
            is_over: false,
            carrier_delay: Nanos::from(config.carrier_delay),
            address_delay: Nanos::from(config.address_delay),
        }
    }

    /// Other delays; they count from the same moment.
    pub(super) fn configure(&mut self, config: &Config) {
        self.carrier_delay = Nanos::from(config.carrier_delay);
        self.address_delay = Nanos::from(config.address_delay);
    }

    /// What counts.
    pub(super) const fn counts(&self) -> InterfaceState {
        self.counts
    }

    /// What was seen last, whether it counts or not.
    pub(super) const fn seen(&self) -> InterfaceState {
        self.seen
    }

    /// It is like this now. Who does not `wait` believes it at once.
    pub(super) fn see(
        &mut self,
        state: InterfaceState,
        waits: bool,
        now: Instant,
    ) -> Option<InterfaceNews> {
        let before = std::mem::replace(&mut self.seen, state);
        if state == self.counts {
            let waited = self.lost.take().is_some();
            self.is_over = false;
            return (waited && state == InterfaceState::Up).then_some(InterfaceNews::Returned);
        }
        if self.counts != InterfaceState::Up || !waits {
            self.believe();
            return None;
        }
        self.lost.get_or_insert(now);
        self.on_timeout(now);
        let left = self.due()?.since(now);
        (state != before).then_some(InterfaceNews::Waits(left))
    }

    /// It waits no more: what is missing counts at the next time-out.
    pub(super) fn stop_waiting(&mut self) {
        self.is_over = self.lost.is_some();
    }

    /// When what is seen will count.
    pub(super) fn due(&self) -> Option<Instant> {
        let delay = match self.seen {
            _ if self.is_over => Nanos(0),
            InterfaceState::Gone | InterfaceState::Up => Nanos(0),
            InterfaceState::Down | InterfaceState::NoCarrier => self.carrier_delay,
            InterfaceState::NoAddress | InterfaceState::NoSource => self.address_delay,
        };
        Some(self.lost? + delay)
    }

    /// Believes what has lasted.
    pub(super) fn on_timeout(&mut self, now: Instant) {
        if self.due().is_some_and(|at| at <= now) {
            self.believe();
        }
    }

    fn believe(&mut self) {
        self.counts = self.seen;
        (self.lost, self.is_over) = (None, false);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use InterfaceState::{Down, Gone, NoAddress, NoCarrier, NoSource, Up};

    use super::*;
    use crate::config::parse;

    fn at(millis: u64) -> Instant {
        Instant(0) + Nanos::from_millis(millis)
    }

    /// Of an instance that waits 200 ms for a link and 3 s for an address.
    fn interface() -> OwnInterface {
        let text = "[[instance]]\nname = \"web\"\ninterface = \"eth0\"\nvrid = 51\naddresses = [\"10.99.0.100/24\"]\n";
        let mut config = parse("test.toml", text).unwrap().instances.remove(0);
        assert_eq!(config.address_delay, Duration::from_secs(3));
        config.carrier_delay = Duration::from_millis(200);
        let mut own = OwnInterface::new(&config);
        own.see(Up, false, at(0));
        own
    }

    /// What is seen at so many milliseconds, by a master or not, and what counts then, and until when in milliseconds
    /// something else is waited for.
    type Step = ((u64, InterfaceState, bool), (InterfaceState, Option<u64>));

    #[test]
    fn a_master_has_lost_what_stays_away_and_whoever_is_none_at_once() {
        let rows: &[&[Step]] = &[
            &[
                ((10, NoAddress, true), (Up, Some(3010))),
                ((900, Up, true), (Up, None)),
            ],
            &[
                ((10, NoSource, true), (Up, Some(3010))),
                ((3010, NoSource, true), (NoSource, None)),
            ],
            &[
                ((10, Down, true), (Up, Some(210))),
                ((20, NoCarrier, true), (Up, Some(210))),
                ((209, Up, true), (Up, None)),
            ],
            // Each loss is waited for anew.
            &[
                ((10, NoAddress, true), (Up, Some(3010))),
                ((3000, Up, true), (Up, None)),
                ((3005, NoAddress, true), (Up, Some(6005))),
            ],
            // One that becomes another does not begin the wait anew.
            &[
                ((10, NoAddress, true), (Up, Some(3010))),
                ((100, Down, true), (Up, Some(210))),
                ((150, NoAddress, true), (Up, Some(3010))),
            ],
            &[
                ((10, NoAddress, true), (Up, Some(3010))),
                ((300, Down, true), (Down, None)),
            ],
            // There is nothing left to send by.
            &[((10, Gone, true), (Gone, None))],
            &[
                ((10, NoAddress, false), (NoAddress, None)),
                ((20, Up, false), (Up, None)),
            ],
            &[
                ((10, Down, false), (Down, None)),
                ((20, NoAddress, false), (NoAddress, None)),
            ],
        ];
        for steps in rows {
            let mut own = interface();
            for ((millis, state, is_master), (counts, due)) in *steps {
                own.on_timeout(at(*millis));
                own.see(*state, *is_master, at(*millis));
                assert_eq!(
                    (own.counts(), own.due()),
                    (*counts, due.map(at)),
                    "{steps:?}"
                );
            }
        }
    }

    #[test]
    fn what_a_master_waited_for_counts_once_it_is_none() {
        let mut own = interface();
        own.see(NoAddress, true, at(10));
        own.stop_waiting();
        assert!(own.due().is_some_and(|due| due <= at(10)));
        own.on_timeout(at(10));
        assert_eq!((own.counts(), own.due()), (NoAddress, None));
        own.see(Up, false, at(20));
        own.see(NoAddress, true, at(30));
        assert_eq!(own.due(), Some(at(3030)), "as before");
    }

    #[test]
    fn a_master_is_told_once_that_it_waits_and_that_it_waited() {
        let mut own = interface();
        let three = Nanos::from_millis(3000);
        assert_eq!(
            own.see(NoAddress, true, at(10)),
            Some(InterfaceNews::Waits(three))
        );
        assert_eq!(own.see(NoAddress, true, at(20)), None);
        assert_eq!(own.see(Up, true, at(30)), Some(InterfaceNews::Returned));
        assert_eq!(own.see(Up, true, at(40)), None);
    }
}
