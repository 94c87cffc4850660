//! The slot is the switch: it is told its part before addresses come, and before they go.

use ha_common::election::{Advert, Detector};

use super::*;

/// By what the effects are, and in which order.
fn order(wanted: &[Effect]) -> Vec<&'static str> {
    let name = |effect: &Effect| match effect {
        Effect::StartAdverts { .. } | Effect::StopAdverts(_) => Some("advert"),
        Effect::Detect { .. } => Some("slot"),
        Effect::Want(_) => Some("addresses"),
        Effect::ReadSlot => Some("look"),
        _ => None,
    };
    wanted.iter().filter_map(name).collect()
}

#[test]
fn a_master_opens_its_slot_before_its_addresses_come_and_closes_it_before_they_go() {
    let mut bench = Bench::master("");
    assert_eq!(order(&bench.take()), ["advert", "slot", "addresses"]);
    let better = Advert {
        source: IpAddr::from([10, 99, 0, 9]),
        priority: Priority(200),
        interval: Centiseconds(100),
    };
    let event = Event::Advert {
        advert: better,
        other_list: None,
        is_overheard: false,
    };
    bench.tell(5000, event);
    assert_eq!(bench.router.role(), Role::Backup);
    let wanted = bench.take();
    assert_eq!(order(&wanted), ["advert", "slot", "addresses", "look"]);
    let mut bench = Bench::master("");
    bench.take();
    bench.tell(5000, Event::Shutdown);
    assert_eq!(order(&bench.take()), ["advert", "slot", "addresses"]);
}

/// An earlier life's slot that still says master lets its addresses pass for as long as they are there.
#[test]
fn what_an_earlier_master_has_left_is_closed_before_it_is_removed() {
    let (slot, _) = slots_of_a_dead_master();
    let mut bench = Bench::new("");
    bench.tell(10, Event::Bound(binding(), Some(&slot)));
    let wanted = bench.take();
    assert_eq!(order(&wanted), ["slot", "addresses"]);
    let is_idle =
        |effect: &Effect| matches!(effect, Effect::Detect { part, .. } if *part == Detector::Idle);
    assert!(wanted.iter().any(is_idle), "{wanted:?}");
}

/// A slot that a master comes to anew, as from a plain socket, knows nothing yet: what it announces would not leave.
#[test]
fn a_master_on_a_new_slot_opens_it_before_it_announces() {
    let mut bench = Bench::master("");
    bench.tell(4000, Event::AddressesHeld);
    bench.take();
    bench.tell(5000, Event::Unbound);
    let idle = Slot {
        state: state::IDLE,
        ..Slot::default()
    };
    bench.tell(5000, Event::Bound(binding(), Some(&idle)));
    bench.tell(5000, Event::AddressesHeld);
    let wanted = bench.take();
    let place = |is_it: fn(&Effect) -> bool| wanted.iter().position(is_it);
    let slot = place(|effect| matches!(effect, Effect::Detect { .. }));
    let announced = place(|effect| matches!(effect, Effect::Announce(_)));
    assert!(slot.is_some() && slot < announced, "{wanted:?}");
}
