//! Routers on their own: what the lab cannot time.

mod differences;
mod first_wait;
mod grouped;
mod interface;
mod last_resort;
mod reloaded;
mod said;
mod slot;
mod slot_first;
mod unsent;

use std::net::IpAddr;
use std::sync::Arc;

use ha_common::address::raw;
use ha_common::election::{Advert, LastAdvert, Role};
use ha_common::layout::{Slot, state};
use ha_common::units::{Centiseconds, Nanos, Priority};

use super::*;
use crate::config::parse;
use health::Health;
use tracked::ObservedLinks;

const START: Instant = Instant(1_000_000_000_000);

fn at(millis: u64) -> Instant {
    START + Nanos::from_millis(millis)
}

fn config(extra: &str) -> Arc<Config> {
    let text = format!(
        "[[instance]]\nname = \"web\"\ninterface = \"eth0\"\nvrid = 51\npriority = 100\n\
         addresses = [\"10.99.0.100/24\"]\n{extra}"
    );
    let config = parse("test.toml", &text).unwrap();
    Arc::new(config.instances.into_iter().next().unwrap())
}

/// A router, and what it wanted since this was asked last.
struct Bench {
    router: Router,
    effects: Vec<Effect>,
}

impl Bench {
    fn new(extra: &str) -> Self {
        let names = Arc::from(vec!["nginx".to_owned()]);
        Self {
            router: Router::new(0, config(extra), names, START),
            effects: Vec::new(),
        }
    }

    /// Bound, and backup since [`START`].
    fn backup(extra: &str) -> Self {
        let mut bench = Self::new(extra);
        bench.tell(0, Event::Bound(binding(), Some(&Slot::default())));
        bench.tell(0, Event::Interface(InterfaceState::Up, None));
        assert_eq!(bench.router.role(), Role::Backup);
        bench
    }

    /// Master by a deadline that passed at 4 s; nothing that it wanted has been answered.
    fn master(extra: &str) -> Self {
        let mut bench = Self::backup(extra);
        bench.expire(4000);
        bench.take();
        bench.tell(4000, Event::Promoted(true));
        assert_eq!(bench.router.role(), Role::Master);
        bench
    }

    fn expire(&mut self, millis: u64) {
        let slot = Slot {
            state: state::BACKUP,
            deadline: at(millis).0,
            ..Slot::default()
        };
        let deadline = at(millis);
        self.tell(
            millis,
            Event::Expired {
                deadline,
                slot: &slot,
            },
        );
    }

    fn tell(&mut self, millis: u64, event: Event<'_>) {
        let mut fx = Effects::default();
        self.router.on_event(at(millis), event, &mut fx);
        self.collect(fx);
    }

    fn time_out(&mut self, now: Instant) {
        let mut fx = Effects::default();
        self.router.on_timeout(now, &mut fx);
        self.collect(fx);
    }

    fn collect(&mut self, fx: Effects) {
        self.effects.extend(fx);
    }

    /// Its one address was announced.
    fn announced(&mut self, millis: u64) {
        let event = Event::Announced {
            portion: 0..1,
            sent: 1,
            full: false,
        };
        self.tell(millis, event);
    }

    /// What it wanted, without what it tells people.
    fn take(&mut self) -> Vec<Effect> {
        let mut wanted = std::mem::take(&mut self.effects);
        wanted.retain(|effect| !matches!(effect, Effect::Report(_) | Effect::Say(_)));
        wanted
    }
}

/// An advert of 10.99.0.`host`, each second.
fn heard(host: u8, priority: u8, is_overheard: bool) -> Event<'static> {
    let advert = Advert {
        source: IpAddr::from([10, 99, 0, host]),
        priority: Priority(priority),
        interval: Centiseconds(100),
    };
    Event::Advert {
        advert,
        other_list: None,
        is_overheard,
    }
}

fn binding() -> Binding {
    Binding {
        source: IpAddr::from([10, 99, 0, 2]),
        kernel_timer: true,
        earlier_priority: 0,
        in_place: false,
        turned_at: Instant(0),
    }
}

#[test]
fn a_take_over_sends_its_advert_first_then_opens_its_slot_and_announces_once_the_addresses_are_there()
 {
    let mut bench = Bench::master("");
    let wanted = bench.take();
    assert!(
        matches!(
            wanted[..],
            [
                Effect::StartAdverts { .. },
                Effect::Detect {
                    part: Detector::Master,
                    ..
                },
                Effect::Want(Wanted::Everything),
            ]
        ),
        "{wanted:?}"
    );
    bench.tell(4000, Event::AddressesHeld);
    assert_eq!(bench.take(), [Effect::Announce(0..1)]);
    bench.announced(4000);
    assert!(bench.take().is_empty());
    // The rest of the first burst, one after the other.
    bench.time_out(at(4010));
    for _ in 0..4 {
        assert_eq!(bench.take(), [Effect::Announce(0..1)]);
        bench.announced(4010);
    }
    assert!(bench.take().is_empty());
}

#[test]
fn refused_addresses_are_never_announced_and_keep_it_out_for_longer_each_time() {
    let mut bench = Bench::master("");
    let mut now = 4000;
    for wait in [5000, 10_000, 20_000] {
        bench.take();
        bench.tell(now, Event::AddressesRefused("no room".to_owned()));
        assert!(bench.take().is_empty());
        let due = bench.router.next_deadline().unwrap();
        assert_eq!(due, Instant(0), "the fault follows at once");
        bench.time_out(at(now));
        assert_eq!(bench.router.role(), Role::Fault);
        let wanted = bench.take();
        assert!(
            wanted.contains(&Effect::StopAdverts(LastAdvert::Release)),
            "{wanted:?}"
        );
        assert!(
            wanted.contains(&Effect::Want(Wanted::Nothing)),
            "{wanted:?}"
        );
        assert_eq!(bench.router.next_deadline(), Some(at(now + wait)));
        bench.time_out(at(now + wait));
        assert_eq!(bench.router.role(), Role::Backup);
        now += wait + 4000;
        bench.expire(now);
        bench.tell(now, Event::Promoted(true));
        assert_eq!(bench.router.role(), Role::Master);
    }
    // What was accepted is forgotten.
    bench.tell(now, Event::AddressesHeld);
    bench.tell(now, Event::AddressesRefused("no room".to_owned()));
    bench.time_out(at(now));
    assert_eq!(bench.router.next_deadline(), Some(at(now + 5000)));
}

#[test]
fn an_advert_between_looking_and_acting_is_a_veto() {
    let mut bench = Bench::backup("");
    bench.take();
    bench.expire(4000);
    let wanted = bench.take();
    assert!(
        matches!(wanted[..], [Effect::Promote { last_heard: 0, .. }]),
        "{wanted:?}"
    );
    bench.tell(4000, Event::Promoted(false));
    assert_eq!(bench.router.role(), Role::Backup);
    assert!(bench.take().is_empty());
    // An answer that nobody asked for changes nothing.
    bench.tell(4001, Event::Promoted(true));
    assert_eq!(bench.router.role(), Role::Backup);
}

#[test]
fn a_slot_that_has_heard_a_master_since_is_believed() {
    let mut bench = Bench::backup("");
    bench.take();
    for slot in [
        Slot {
            state: state::BACKUP,
            deadline: at(5000).0,
            ..Slot::default()
        },
        Slot {
            state: state::MASTER,
            deadline: at(4000).0,
            ..Slot::default()
        },
        Slot {
            state: state::BACKUP,
            ..Slot::default()
        },
    ] {
        let deadline = at(4000);
        let event = Event::Expired {
            deadline,
            slot: &slot,
        };
        bench.tell(4000, event);
        assert!(bench.take().is_empty());
    }
}

/// As a crash leaves it, and with a better router heard since.
fn slots_of_a_dead_master() -> (Slot, Slot) {
    let slot = Slot {
        state: state::MASTER,
        family: 4,
        version: 3,
        down_multiplier: 3,
        own_interval: 100,
        ..Slot::default()
    };
    let claimed = Slot {
        last_heard: at(0).0,
        contested_since: at(0).0,
        master_priority: 110,
        master_interval: 100,
        master_address: raw(IpAddr::from([10, 99, 0, 1])),
        ..slot
    };
    (slot, claimed)
}

#[test]
fn a_killed_master_is_resumed_if_everything_is_in_place_and_nobody_else_was_heard() {
    let (slot, claimed) = slots_of_a_dead_master();
    for (in_place, slot, resumes) in [
        (true, &slot, true),
        (false, &slot, false),
        (true, &claimed, false),
        (true, &Slot::default(), false),
    ] {
        let mut bench = Bench::new("");
        let binding = Binding {
            in_place,
            ..binding()
        };
        bench.tell(10, Event::Bound(binding, Some(slot)));
        let wanted = bench.take();
        let decided = if resumes {
            Wanted::Everything
        } else {
            Wanted::Nothing
        };
        assert!(
            wanted.contains(&Effect::Want(decided)),
            "{in_place} {slot:?}: {wanted:?}"
        );
        assert_eq!(bench.router.wanted(), decided);
        assert_eq!(bench.router.role() == Role::Master, resumes);
        // What an earlier life was is over, and whom its slot has heard is news to this one.
        let idle = |effect: &Effect| {
            matches!(
                effect,
                Effect::Detect {
                    part: Detector::Idle,
                    ..
                }
            )
        };
        let was_master = slot.state == state::MASTER;
        assert_eq!(wanted.iter().any(idle), was_master && !resumes);
    }
}

#[test]
fn a_check_that_has_no_result_yet_is_waited_for_and_then_counts_as_failed() {
    let mut bench = Bench::new(
        "track = [{ check = \"nginx\" }]\n[[check]]\nname = \"nginx\"\ntcp = \"127.0.0.1:80\"\ninterval = \"1s\"\n",
    );
    bench.tell(0, Event::Bound(binding(), Some(&Slot::default())));
    bench.tell(0, Event::Interface(InterfaceState::Up, None));
    assert_eq!(bench.router.role(), Role::Initialize);
    let due = bench.router.next_deadline().unwrap();
    assert_eq!(due, START + readiness::FIRST_RESULT_WAIT);
    bench.time_out(due);
    assert_eq!(bench.router.role(), Role::Fault);
    bench.tell(
        31_000,
        Event::Check {
            name: "nginx",
            health: Health::Up,
        },
    );
    assert_eq!(bench.router.role(), Role::Backup);
}

#[test]
fn addresses_that_a_reload_brings_are_held_before_they_are_announced() {
    let mut bench = Bench::master("");
    bench.tell(4000, Event::AddressesHeld);
    bench.take();
    let more = config("excluded = [\"10.99.0.101/24\"]\n");
    let event = Event::Configure {
        config: more,
        checks: &[],
        links: &ObservedLinks::new(),
        names: Arc::from(Vec::new()),
    };
    bench.tell(5000, event);
    let wanted = bench.take();
    assert_eq!(
        wanted.first(),
        Some(&Effect::Want(Wanted::Everything)),
        "{wanted:?}"
    );
    let announces = |wanted: &[Effect]| wanted.contains(&Effect::Announce(0..2));
    assert!(!announces(&wanted), "{wanted:?}");
    bench.tell(5000, Event::AddressesHeld);
    assert!(announces(&bench.take()));
}

/// A deadline that its time-out leaves where it is would wake the driver for ever.
#[test]
fn every_deadline_is_done_with_by_its_time_out() {
    let mut bench = Bench::master("preempt_delay = \"2s\"\n");
    bench.tell(4000, Event::AddressesHeld);
    let mut last = at(4000);
    for _ in 0..1000 {
        let due = bench.router.next_deadline().unwrap();
        let now = due.max(last);
        bench.time_out(now);
        for effect in bench.take() {
            if let Effect::Announce(portion) = effect {
                let event = Event::Announced {
                    sent: portion.len(),
                    portion,
                    full: false,
                };
                let mut fx = Effects::default();
                bench.router.on_event(now, event, &mut fx);
                bench.collect(fx);
            }
        }
        let next = bench.router.next_deadline().unwrap();
        assert!(next > now || next == Instant(0), "{next:?} at {now:?}");
        last = now;
    }
}

/// A backup that is not to preempt hears these, one after the other: whether it is to preempt the last one.
fn preempts_after(heard_of: &[(u64, u8, u8, bool)]) -> Vec<bool> {
    let mut bench = Bench::backup("preempt = false");
    let mut hear = |&(millis, host, priority, is_overheard): &(u64, u8, u8, bool)| {
        bench.tell(millis, heard(host, priority, is_overheard));
        bench.router.election().detector_rules().preempt
    };
    heard_of.iter().map(&mut hear).collect()
}

/// The last word of a master that has yielded comes after the first of the one that it yielded to. The slot follows that
/// one, and the election must not follow the other: of whom it would then know a better priority than it has now.
#[test]
fn a_late_last_word_does_not_make_a_later_master_of_lower_priority_unhealthy() {
    let preempts = preempts_after(&[
        (1000, 1, 90, false),
        (2000, 3, 200, false),
        // Late: the slot stays with the third host.
        (2001, 1, 90, true),
        // That dies, and the first host, which was lowered meanwhile, takes over: it never was better.
        (9000, 1, 80, false),
        // It was lowered as master.
        (10_000, 1, 70, false),
    ]);
    assert_eq!(preempts, [false, false, false, false, true]);
}

/// All of it within one stall of the driver: when it reads of the one that has taken over, the slot follows the first one
/// again, which has come back weaker and is a new master.
#[test]
fn who_was_followed_for_a_moment_of_a_stall_counts_as_a_master_between_two_others() {
    let preempts = preempts_after(&[
        (1000, 1, 200, false),
        (9000, 3, 80, false),
        (9000, 1, 90, false),
        (9100, 1, 70, false),
    ]);
    assert_eq!(
        preempts,
        [false, false, false, true],
        "it never was better as this master, until it was lowered"
    );
}

/// A virtual machine that was paused: its own clock shows nothing, and who took over speaks each second.
#[test]
fn a_master_whose_machine_stood_still_yields_to_whom_it_hears_next() {
    for (extra, stood_still, heard_at, yields) in [
        ("preempt = false", 60_000, 6_200, true),
        // It has the right to take it back.
        ("", 60_000, 6_200, false),
        // Nobody can have taken over in so short a time.
        ("preempt = false", 2_000, 5_900, false),
        // One that speaks later has not: it is new.
        ("preempt = false", 60_000, 6_250, false),
    ] {
        let mut bench = Bench::master(extra);
        bench.take();
        bench.tell(5_000, Event::StoodStill(Nanos::from_millis(stood_still)));
        assert_eq!(bench.take(), [], "it waits and listens");
        let advert = Advert {
            source: IpAddr::from([10, 99, 0, 1]),
            priority: Priority(90),
            interval: Centiseconds(100),
        };
        let event = Event::Advert {
            advert,
            other_list: None,
            is_overheard: false,
        };
        bench.tell(heard_at, event);
        let is_silent = |it: &Effect| *it == Effect::StopAdverts(LastAdvert::None);
        let wanted = bench.take();
        let case = format!("{extra:?} {stood_still} {heard_at}: {wanted:?}");
        assert_eq!(bench.router.role() == Role::Backup, yields, "{case}");
        assert_eq!(wanted.iter().any(is_silent), yields, "{case}");
    }
}
