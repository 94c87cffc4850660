//! A router whose own interface lacks something for a moment.

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
fn a_backup_that_a_program_receives_for_misses_its_address_for_a_while_and_hears_its_master_on() {
    for state in [InterfaceState::NoAddress, InterfaceState::NoSource] {
        let mut bench = Bench::backup("");
        bench.take();
        bench.tell(1000, Event::Interface(state, None));
        assert_eq!(bench.router.role(), Role::Backup);
        bench.tell(1300, Event::Interface(InterfaceState::Up, None));
        bench.time_out(at(4000));
        assert_eq!(bench.router.role(), Role::Backup);
        // Its slot listens on, with the deadline that it had, and nothing is announced.
        assert!(
            bench
                .take()
                .iter()
                .all(|it| !matches!(it, Effect::Detect { .. } | Effect::Announce(_)))
        );

        bench.tell(5000, Event::Interface(state, None));
        bench.time_out(at(7999));
        assert_eq!(bench.router.role(), Role::Backup);
        bench.time_out(at(8000));
        assert!(faults(&bench), "what stays away is a fault");
    }
}

#[test]
fn a_backup_that_takes_over_meanwhile_waits_as_long_as_if_it_had_been_master() {
    let mut bench = Bench::backup("");
    bench.tell(2000, Event::Interface(InterfaceState::NoAddress, None));
    bench.expire(4000);
    bench.tell(4000, Event::Promoted(true));
    assert_eq!(bench.router.role(), Role::Master);
    bench.time_out(at(5000));
    assert!(faults(&bench));
}

#[test]
fn a_backup_waits_for_no_link_and_on_a_plain_socket_for_nothing() {
    let mut bench = Bench::backup("carrier_delay = \"500ms\"\n");
    bench.tell(1000, Event::Interface(InterfaceState::Down, None));
    assert!(faults(&bench));
    let mut bench = Bench::backup("");
    let binding = Binding {
        kernel_timer: false,
        ..binding()
    };
    bench.tell(500, Event::Bound(binding, Some(&Slot::default())));
    bench.tell(1000, Event::Interface(InterfaceState::NoAddress, None));
    assert!(faults(&bench));
}

#[test]
fn a_master_that_yields_meanwhile_waits_no_more_for_its_link() {
    let mut bench = serving("carrier_delay = \"3s\"\n");
    bench.tell(5000, Event::Interface(InterfaceState::Down, None));
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
