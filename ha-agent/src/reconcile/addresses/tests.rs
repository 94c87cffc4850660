//! Tables of what is compared, and what follows.

use super::*;
use crate::config::model::virtual_address::VirtualAddress;
use crate::net::links::tests::present as found;

const NOW: Instant = Instant(5_000_000_000);
const INTERFACE: u32 = 2;

fn after(millis: u64) -> Instant {
    NOW + Nanos::from_millis(millis)
}

fn place(net: &str) -> AddressSpec {
    let net: IpNet = net.parse().unwrap();
    AddressSpec::of(INTERFACE, &VirtualAddress::from(net))
}

fn ours(net: &str) -> ObservedAddress {
    ObservedAddress {
        ours: true,
        ..found(net)
    }
}

fn on_interface(found: &[ObservedAddress]) -> Present<'static> {
    let mut present = Present::default();
    present.put(INTERFACE, found.to_vec());
    present
}

/// What differs, as lists of addresses to remove and to add.
fn differs(
    addresses: &Addresses,
    wanted: Wanted,
    places: &[&str],
    present: &[ObservedAddress],
    marks: bool,
) -> (Vec<String>, Vec<String>) {
    let places: Vec<AddressSpec> = places.iter().map(|net| place(net)).collect();
    let look = Look {
        wanted,
        places: &places,
        present: &on_interface(present),
        marks,
    };
    let difference = addresses.difference(&look, NOW);
    let nets = |specs: Vec<AddressSpec>| specs.iter().map(|it| it.net.to_string()).collect();
    (nets(difference.remove), nets(difference.add))
}

fn done(count: usize) -> Vec<Result<Outcome, String>> {
    vec![Ok(Outcome::Done); count]
}

const VIP: &str = "10.99.0.100/24";
const OTHER: &str = "10.99.0.101/24";

#[test]
fn what_is_there_is_compared_with_what_is_wanted() {
    use Wanted::{Everything, Nothing, Undecided};
    let own = found("10.99.0.1/24");
    let (mine, theirs) = (ours(VIP), found(VIP));
    let stale = ours("10.99.0.100/32");
    let known_by_mark = ours("10.99.0.7/24");
    let (keep, drop, add): (&[&str], &[&str], &[&str]) = (&[], &[VIP], &[VIP]);
    for (wanted, present, removed, added) in [
        (Undecided, vec![own, mine], keep, keep),
        (Undecided, vec![own], keep, keep),
        (Nothing, vec![own], keep, keep),
        (Nothing, vec![own, mine], drop, keep),
        // An administrator's, and an address of ours that is another router's.
        (Nothing, vec![own, theirs], keep, keep),
        (Nothing, vec![own, known_by_mark], keep, keep),
        (Everything, vec![own], keep, add),
        (Everything, vec![own, mine], keep, keep),
        (Everything, vec![own, theirs], keep, keep),
        // An earlier configuration's prefix.
        (Everything, vec![own, stale], &["10.99.0.100/32"], keep),
    ] {
        let differs = differs(&Addresses::default(), wanted, &[VIP], &present, true);
        let expected = |nets: &[&str]| nets.iter().map(|net| (*net).to_owned()).collect();
        assert_eq!(
            differs,
            (expected(removed), expected(added)),
            "{wanted:?} {present:?}"
        );
    }
}

/// Kernels before 5.18 keep no marks: what this life has placed is known all the same, and so is what the maps say of
/// an earlier one.
#[test]
fn without_marks_what_was_placed_and_what_was_recorded_is_ours() {
    let mut addresses = Addresses::default();
    let present = [found("10.99.0.1/24"), found(VIP), found(OTHER)];
    let remove = |addresses: &Addresses| {
        let configured = [VIP, OTHER];
        differs(addresses, Wanted::Nothing, &configured, &present, false).0
    };
    assert!(remove(&addresses).is_empty());
    addresses.added(&[place(VIP)], done(1), NOW);
    assert_eq!(remove(&addresses), [VIP]);
    addresses.add_recorded(["10.99.0.101".parse().unwrap()]);
    assert_eq!(remove(&addresses), [VIP, OTHER]);
}

/// An operator who follows the advice takes it away, and the agent puts it back.
#[test]
fn an_address_that_was_put_back_is_ours_whoever_it_was_of_before() {
    let mut addresses = Addresses::default();
    let already = vec![Ok::<_, String>(Outcome::Already)];
    let added = addresses.added(&[place(VIP)], already, NOW);
    assert_eq!(added.was_there, [place(VIP)]);
    addresses.sort_out(&added.was_there, &[place(VIP).net.addr()]);
    assert!(addresses.placed().is_empty(), "it stays when we leave");
    addresses.added(&[place(VIP)], done(1), NOW);
    assert_eq!(addresses.placed(), [place(VIP)]);
    assert!(addresses.foreign().is_empty());
}

#[test]
fn an_address_that_somebody_put_in_the_place_of_ours_is_theirs() {
    let mut addresses = Addresses::default();
    addresses.added(&[place(VIP)], done(1), NOW);
    let mut take_stock = |present: &[ObservedAddress]| {
        let look = Look {
            wanted: Wanted::Everything,
            places: &[place(VIP)],
            present: &on_interface(present),
            marks: true,
        };
        (addresses.take_stock(&look), addresses.placed().len())
    };
    assert_eq!(take_stock(&[ours(VIP)]), (false, 1));
    assert_eq!(take_stock(&[found(VIP)]), (true, 0));
    assert_eq!(take_stock(&[ours(VIP)]), (true, 1));
}

#[test]
fn the_table_is_believed_once_it_shows_the_last_change_or_after_a_second() {
    let mut addresses = Addresses::default();
    let (without, with) = (on_interface(&[]), on_interface(&[ours(VIP)]));
    addresses.added(&[place(VIP)], done(1), NOW);
    assert!(!addresses.is_shown(&without, after(1)));
    assert!(addresses.is_shown(&with, after(2)));
    assert!(addresses.is_shown(&without, after(3)), "it was removed");
    addresses.removed(&[place(VIP)], done(1), after(10));
    assert!(!addresses.is_shown(&with, after(11)));
    assert_eq!(addresses.next_deadline(), Some(after(1010)));
    assert!(addresses.is_due(after(1010)));
    assert!(addresses.is_shown(&with, after(1010)));
}

#[test]
fn one_that_is_gone_without_is_tried_again_in_its_time_and_shown_until_then() {
    let mut addresses = Addresses::default();
    let why = "no room".to_owned();
    let outcomes = vec![Ok(Outcome::Done), Err(why.clone())];
    let added = addresses.added(&[place(VIP), place(OTHER)], outcomes, NOW);
    assert_eq!(added.refused, [(place(OTHER), why.clone())]);
    assert!(addresses.go_without(place(OTHER), &why, NOW));
    assert!(!addresses.go_without(place(OTHER), &why, after(5)), "once");
    addresses.settle(None, None, NOW);
    let lacks = |addresses: &Addresses, now| {
        let places = [place(VIP), place(OTHER)];
        let look = Look {
            wanted: Wanted::Everything,
            places: &places,
            present: &on_interface(&[ours(VIP)]),
            marks: true,
        };
        addresses.difference(&look, now).add.len()
    };
    assert_eq!(lacks(&addresses, after(500)), 0);
    assert_eq!(lacks(&addresses, after(1000)), 1);
    let missing: Vec<Missing> = addresses.missing().collect();
    assert_eq!(missing[0].what, "address 10.99.0.101/24");
    assert_eq!(
        (missing[0].since, missing[0].next_try),
        (NOW, Some(after(1000)))
    );
    addresses.added(&[place(OTHER)], done(1), after(1000));
    addresses.settle(None, None, after(1000));
    assert_eq!(addresses.missing().count(), 0);
    assert!(addresses.retry.next_deadline().is_none());
}

#[test]
fn what_could_not_be_removed_is_still_ours_and_tried_again() {
    let mut addresses = Addresses::default();
    addresses.added(&[place(VIP)], done(1), NOW);
    let failed = vec![Err::<Outcome, _>("busy".to_owned())];
    let failure = addresses.removed(&[place(VIP)], failed, NOW);
    assert_eq!(failure.as_deref(), Some("busy"));
    addresses.settle(None, Some("no room".to_owned()), NOW);
    assert_eq!(addresses.placed(), [place(VIP)]);
    assert!(addresses.is_due(after(1000)));
}

/// What is closed by the fence is what of ours may be there: never longer, since what comes next may be an administrator's.
#[test]
fn what_of_ours_is_left_is_known_until_it_is_seen_to_be_gone() {
    let left = |addresses: &Addresses| {
        let mut left: Vec<String> = addresses.left().iter().map(IpAddr::to_string).collect();
        left.sort_unstable();
        left
    };
    let seen = |addresses: &mut Addresses, present: &[ObservedAddress], marks: bool| {
        let look = Look {
            wanted: Wanted::Nothing,
            places: &[place(VIP)],
            present: &on_interface(present),
            marks,
        };
        addresses.forget_gone(&look)
    };
    for marks in [true, false] {
        let mut addresses = Addresses::default();
        addresses.add_recorded(["10.99.0.101".parse().unwrap()]);
        addresses.added(&[place(VIP)], done(1), NOW);
        assert_eq!(left(&addresses), ["10.99.0.100", "10.99.0.101"]);
        let refused = vec![Err::<Outcome, _>("busy")];
        addresses.removed(&[place(VIP)], refused, NOW);
        let mark = |net| if marks { ours(net) } else { found(net) };
        assert!(!seen(&mut addresses, &[mark(VIP), mark(OTHER)], marks));
        assert_eq!(left(&addresses), ["10.99.0.100", "10.99.0.101"]);
        assert!(seen(&mut addresses, &[mark(VIP)], marks));
        assert_eq!(left(&addresses), ["10.99.0.100"]);
        assert!(seen(&mut addresses, &[], marks));
        assert!(left(&addresses).is_empty());
        // An administrator adds it.
        assert!(!seen(&mut addresses, &[found(VIP)], marks));
        assert!(left(&addresses).is_empty());
    }
    let mut addresses = Addresses::default();
    addresses.keep_track(&[place(VIP)]);
    assert_eq!(left(&addresses), ["10.99.0.100"], "by its mark alone");
    assert!(
        seen(&mut addresses, &[found(VIP)], true),
        "another's by now"
    );
    assert!(left(&addresses).is_empty());
}

/// An earlier configuration's address is written down for the next agent until it is gone; then it is nobody's.
#[test]
fn what_is_not_configured_is_ours_until_a_masters_look_shows_that_it_is_gone() {
    let ip = |net: &str| place(net).net.addr();
    let look = |addresses: &mut Addresses, present: &[ObservedAddress], marks: bool| {
        let look = Look {
            wanted: Wanted::Everything,
            places: &[place(VIP)],
            present: &on_interface(present),
            marks,
        };
        addresses.forget_gone_beside(&look)
    };
    for marks in [true, false] {
        let mut addresses = Addresses::default();
        addresses.add_recorded([ip(VIP), ip(OTHER)]);
        addresses.added(&[place(VIP)], done(1), NOW);
        assert_eq!(addresses.left_beside(&[]), [ip(VIP), ip(OTHER)]);
        assert_eq!(addresses.left_beside(&[ip(VIP)]), [ip(OTHER)]);
        let mark = |net| if marks { ours(net) } else { found(net) };
        assert!(!look(&mut addresses, &[mark(VIP), mark(OTHER)], marks));
        assert_eq!(addresses.left_beside(&[ip(VIP)]), [ip(OTHER)]);
        // One that is configured may be about to be shown.
        assert!(look(&mut addresses, &[], marks));
        assert_eq!(addresses.left_beside(&[]), [ip(VIP)]);
        // An administrator adds it.
        let present = [mark(VIP), found(OTHER)];
        let (removed, _) = differs(&addresses, Wanted::Everything, &[VIP], &present, marks);
        assert!(removed.is_empty(), "{removed:?}");
    }
}
