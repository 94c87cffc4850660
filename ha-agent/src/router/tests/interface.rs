//! A master whose own interface lacks something for a moment.

use super::*;

fn faults(bench: &Bench) -> bool {
    bench.router.role() == Role::Fault
}

/// A master that holds its addresses, and whose first announcements are over.
fn serving(extra: &str) -> Bench {
    let mut bench = Bench::master(&format!(
        "garp = {{ count = 1, repeat_count = 0 }}\n{extra}"
    ));
    bench.tell(4000, Event::AddressesHeld);
    bench.announced(4000);
    bench.take();
    bench
}

#[test]
fn an_own_address_that_is_back_in_time_is_no_fail_over_and_is_announced_again() {
    for state in [InterfaceState::NoAddress, InterfaceState::NoSource] {
        let mut bench = serving("");
        bench.tell(5000, Event::Interface(state, None));
        assert_eq!(bench.router.role(), Role::Master);
        assert!(bench.take().is_empty());
        bench.tell(7999, Event::Interface(InterfaceState::Up, None));
        assert_eq!(bench.take(), [Effect::Announce(0..1)]);
        bench.time_out(at(9000));
        assert_eq!(bench.router.role(), Role::Master);
    }
}

#[test]
fn an_own_address_that_stays_away_is_a_fault_once_it_has_lasted() {
    let mut bench = serving("");
    bench.tell(5000, Event::Interface(InterfaceState::NoAddress, None));
    assert_eq!(bench.router.next_deadline(), Some(at(8000)));
    bench.time_out(at(8000));
    assert!(faults(&bench));
    let wanted = bench.take();
    assert!(wanted.contains(&Effect::StopAdverts(LastAdvert::Release)));
}

#[test]
fn a_lost_link_is_acted_on_at_once_unless_the_operator_says_otherwise() {
    let mut bench = serving("");
    bench.tell(5000, Event::Interface(InterfaceState::Down, None));
    assert!(faults(&bench));
    let mut bench = serving("carrier_delay = \"500ms\"\n");
    bench.tell(5000, Event::Interface(InterfaceState::Down, None));
    bench.tell(5200, Event::Interface(InterfaceState::Up, None));
    assert_eq!(bench.take(), [Effect::Announce(0..1)]);
    bench.tell(6000, Event::Interface(InterfaceState::Down, None));
    bench.time_out(at(6500));
    assert!(faults(&bench));
}

#[test]
fn a_backup_does_not_wait_and_neither_does_a_master_that_yields_meanwhile() {
    let mut bench = Bench::backup("");
    bench.tell(1000, Event::Interface(InterfaceState::NoAddress, None));
    assert!(faults(&bench));
    let mut bench = serving("");
    bench.tell(5000, Event::Interface(InterfaceState::NoAddress, None));
    let advert = Advert {
        source: IpAddr::from([10, 99, 0, 9]),
        priority: Priority(200),
        interval: Centiseconds(100),
    };
    let (other_list, is_overheard) = (None, false);
    bench.tell(
        5100,
        Event::Advert {
            advert,
            other_list,
            is_overheard,
        },
    );
    assert_eq!(bench.router.role(), Role::Backup);
    assert!(
        bench
            .router
            .next_deadline()
            .is_some_and(|due| due <= at(5100))
    );
    bench.time_out(at(5100));
    assert!(faults(&bench));
}
