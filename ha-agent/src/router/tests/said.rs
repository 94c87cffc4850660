//! What a router says of itself, so that a move of the addresses can be traced from this host's log alone.

use super::*;
use tracked::ObservedLink;

fn said(bench: &mut Bench) -> Vec<Notice> {
    let said = std::mem::take(&mut bench.effects).into_iter();
    said.filter_map(|effect| match effect {
        Effect::Say(notice) => Some(notice),
        _ => None,
    })
    .collect()
}

#[test]
fn a_tracked_interface_and_what_it_does_to_the_priority_are_told() {
    let links = |oper_up| {
        let link = ObservedLink {
            admin_up: true,
            oper_up,
            carrier_changes: 0,
        };
        ObservedLinks::from([("eth1".to_owned(), link)])
    };
    let mut bench = Bench::new("track = [{ interface = \"eth1\", weight = -30 }]\n");
    bench.tell(0, Event::Links(&links(true)));
    bench.tell(0, Event::Bound(binding(), Some(&Slot::default())));
    bench.tell(0, Event::Interface(InterfaceState::Up, None));
    assert_eq!(said(&mut bench), [], "it works from the start");
    for (millis, works, expected) in [
        (
            1000,
            false,
            [
                Notice::Warning("tracked interface eth1: no carrier".to_owned()),
                Notice::Info("priority 100 -> 70: 100 -30 (interface eth1) = 70".to_owned()),
            ],
        ),
        (
            2000,
            true,
            [
                Notice::Info("tracked interface eth1: up".to_owned()),
                Notice::Info("priority 70 -> 100: 100".to_owned()),
            ],
        ),
    ] {
        bench.tell(millis, Event::Links(&links(works)));
        bench.tell(millis, Event::Interface(InterfaceState::Up, None));
        assert_eq!(said(&mut bench), expected);
    }
}

#[test]
fn a_stall_is_told_with_its_length_and_kept() {
    let mut bench = Bench::master("");
    said(&mut bench);
    let (since, slot) = (at(5000), None);
    bench.tell(67_000, Event::SenderStopped { since, slot });
    let [Notice::Warning(text)] = &said(&mut bench)[..] else {
        panic!("not one warning");
    };
    assert!(text.contains("no advert was sent for 62.0 s"), "{text}");
    assert_eq!(bench.router.notices().told()[0].text, *text);
}

#[test]
fn a_master_that_does_not_carry_on_after_a_crash_says_why() {
    let (slot, claimed) = slots_of_a_dead_master();
    for (in_place, slot, why) in [
        (false, &slot, Some("are not all there")),
        (true, &claimed, Some("10.99.0.1 with priority 110")),
        (true, &slot, None),
    ] {
        let mut bench = Bench::new("");
        let binding = Binding {
            in_place,
            ..binding()
        };
        bench.tell(10, Event::Bound(binding, Some(slot)));
        let warned = said(&mut bench)
            .into_iter()
            .find_map(|notice| match notice {
                Notice::Warning(text) => Some(text),
                _ => None,
            });
        assert_eq!(warned.is_some(), why.is_some(), "{warned:?}");
        if let (Some(text), Some(why)) = (warned, why) {
            assert!(text.contains(why), "{text}");
        }
    }
}

#[test]
fn a_pulled_cable_is_told_from_an_interface_that_is_switched_off() {
    for (state, words) in [
        (InterfaceState::NoCarrier, "interface has no carrier"),
        (InterfaceState::Down, "interface is down"),
    ] {
        let mut bench = Bench::backup("");
        bench.effects.clear();
        bench.tell(1000, Event::Interface(state, None));
        assert_eq!(bench.router.obstacle(at(1000)).as_deref(), Some(words));
        let transition = bench.effects.iter().find_map(|effect| match effect {
            Effect::Report(transition) => Some(*transition),
            _ => None,
        });
        let Notice::Transition { cause, .. } = bench.router.describe(transition.unwrap()) else {
            panic!("not a transition");
        };
        assert_eq!(cause, words);
    }
}
