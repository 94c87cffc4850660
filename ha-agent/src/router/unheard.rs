//! A master that nobody heard: this host took over because its link was up and silent, and soon after hears
//! somebody who had been master all the time. That is what a port looks like that does not pass frames yet.

use std::net::IpAddr;

use ha_common::election::{Cause, Role, Transition};
use ha_common::units::{Instant, Nanos, Priority};

/// So soon after its link came up: a spanning tree takes 30 s by default, LACP up to 90 s where it is slow.
const SOON: Nanos = Nanos::from_millis(90_000);

/// What is known of the silence before this host took over.
#[derive(Clone, Debug, Default)]
pub(super) struct Unheard {
    /// When it began to listen, as long as it has heard nobody since.
    listening: Option<Listening>,
    /// The valid adverts counted so far.
    adverts: u64,
}

#[derive(Clone, Copy, Debug)]
struct Listening {
    since: Instant,
    /// The valid adverts counted before, once the slot was read.
    adverts: Option<u64>,
}

impl Unheard {
    /// The slot has counted so many valid adverts: the silence alone does not tell, for a master that is to be
    /// preempted is heard and does not count as a master.
    pub(super) fn count(&mut self, adverts: u64) {
        self.adverts = adverts;
        if let Some(listening) = &mut self.listening {
            listening.adverts.get_or_insert(adverts);
        }
    }

    /// Follows the router's state.
    pub(super) fn follow(&mut self, transition: &Transition) {
        let began = self.listening.take();
        let since = transition.at;
        self.listening = match (transition.from, transition.to, transition.cause) {
            (Role::Initialize | Role::Fault, Role::Backup, _) => Some(Listening {
                since,
                adverts: None,
            }),
            (Role::Backup, Role::Master, Cause::NoAdvert { .. }) => {
                began.filter(|began| began.adverts == Some(self.adverts))
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
        let span = now.since(self.listening.take()?.since);
        (span <= SOON && priority < own && priority.0 > 0).then(|| {
            format!(
                "{other} (priority {}) was master all along, but its first advert arrived {} s after this host \
                 began to listen: if the switch port passes no frames at first (spanning tree, LACP), set start_delay to longer than that takes",
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

    /// Listens at 100 s, hears so many adverts, and is master at 104 s.
    fn master(heard: u64) -> Unheard {
        let mut unheard = Unheard::default();
        let silence = at(104).since(at(100));
        let down = Cause::NoAdvert { silence };
        for (at, from, to, cause, adverts) in [
            (at(100), Role::Initialize, Role::Backup, Cause::Ready, 7),
            (at(104), Role::Backup, Role::Master, down, 7 + heard),
        ] {
            let transition = Transition {
                at,
                from,
                to,
                cause,
                priority: Priority(100),
            };
            unheard.count(adverts);
            unheard.follow(&transition);
            unheard.count(adverts);
        }
        unheard
    }

    fn hint(unheard: &mut Unheard, priority: u8, now: Instant) -> Option<String> {
        unheard.hint(OTHER, Priority(priority), Priority(100), now)
    }

    #[test]
    fn a_lower_master_that_is_first_heard_soon_after_is_a_hint_once() {
        let mut unheard = master(0);
        let said = hint(&mut unheard, 90, at(130)).unwrap();
        assert!(
            said.contains("10.99.0.1") && said.contains("start_delay"),
            "{said}"
        );
        assert!(said.contains("arrived 30 s"), "{said}");
        assert_eq!(hint(&mut unheard, 90, at(131)), None);
    }

    #[test]
    fn others_have_other_reasons() {
        assert_eq!(
            hint(&mut master(3), 90, at(130)),
            None,
            "it was heard before, and preempted"
        );
        assert_eq!(hint(&mut master(0), 110, at(130)), None, "it preempts");
        assert_eq!(hint(&mut master(0), 0, at(130)), None, "it leaves");
        assert_eq!(hint(&mut master(0), 90, at(191)), None, "long after");
        assert_eq!(hint(&mut Unheard::default(), 90, at(130)), None);
    }
}
