//! A master that nobody heard: this host took over because its link was up and silent, and soon after hears
//! somebody who had been master all the time. That is what a port looks like that does not pass frames yet.

use std::net::IpAddr;

use ha_common::election::{Cause, Role, Transition};
use ha_common::units::{Instant, Nanos, Priority};

/// So soon after its link came up: a spanning tree takes 30 s by default, LACP up to 90 s where it is slow.
const SOON: Nanos = Nanos::from_millis(90_000);

/// What is known of the silence before this host took over.
#[derive(Debug, Default)]
pub(super) struct Unheard {
    /// When it began to listen, as long as it has heard nobody since.
    listening: Option<Instant>,
}

impl Unheard {
    /// Follows the instance's state.
    pub(super) fn follow(&mut self, transition: &Transition) {
        let began = self.listening.take();
        self.listening = match (transition.from, transition.to, transition.cause) {
            (Role::Initialize | Role::Fault, Role::Backup, _) => Some(transition.at),
            (Role::Backup, Role::Master, Cause::NoAdvert { silence }) => {
                began.filter(|began| transition.at.since(*began) <= silence)
            }
            _ => None,
        };
    }

    /// A master of that priority is heard while this host, of `own` priority, is master. What is to be said, once: one
    /// that gives way would not have become master beside an advert of ours, so it was there before.
    pub(super) fn hint(
        &mut self,
        other: IpAddr,
        priority: Priority,
        own: Priority,
        now: Instant,
    ) -> Option<String> {
        let began = self.listening.take()?;
        let span = now.since(began);
        (span <= SOON && priority < own && priority.0 > 0).then(|| {
            format!(
                "{other}, of priority {}, was master all the time, and was not heard until {} s after this host \
                 had begun to listen: if the port does not pass frames at once (spanning tree, LACP), set \
                 start_delay to longer than that takes",
                priority.0,
                span.0 / 1_000_000_000
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 99, 0, 1));

    fn at(seconds: u64) -> Instant {
        Instant(seconds * 1_000_000_000)
    }

    /// Listens at 100 s, hears somebody for the last time at `heard`, and is master at 104 s.
    fn master(heard: Option<u64>) -> Unheard {
        let mut unheard = Unheard::default();
        let silence = at(104).since(at(heard.unwrap_or(100)));
        for (at, from, to, cause) in [
            (at(100), Role::Initialize, Role::Backup, Cause::Ready),
            (
                at(104),
                Role::Backup,
                Role::Master,
                Cause::NoAdvert { silence },
            ),
        ] {
            unheard.follow(&Transition {
                at,
                from,
                to,
                cause,
                priority: Priority(100),
            });
        }
        unheard
    }

    fn hint(unheard: &mut Unheard, priority: u8, now: Instant) -> Option<String> {
        unheard.hint(OTHER, Priority(priority), Priority(100), now)
    }

    #[test]
    fn a_lower_master_that_is_first_heard_soon_after_is_a_hint_once() {
        let mut unheard = master(None);
        let said = hint(&mut unheard, 90, at(130)).unwrap();
        assert!(
            said.contains("10.99.0.1") && said.contains("start_delay"),
            "{said}"
        );
        assert!(said.contains("until 30 s"), "{said}");
        assert_eq!(hint(&mut unheard, 90, at(131)), None);
    }

    #[test]
    fn others_have_other_reasons() {
        assert_eq!(
            hint(&mut master(Some(101)), 90, at(130)),
            None,
            "it was heard before"
        );
        assert_eq!(hint(&mut master(None), 110, at(130)), None, "it preempts");
        assert_eq!(hint(&mut master(None), 0, at(130)), None, "it leaves");
        assert_eq!(hint(&mut master(None), 90, at(191)), None, "long after");
        assert_eq!(hint(&mut Unheard::default(), 90, at(130)), None);
    }
}
