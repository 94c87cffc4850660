//! Addresses in a real kernel.

use std::time::Instant;

use super::*;
use crate::config::model::virtual_address::Label;
use crate::net::lab;

fn place(ifindex: u32, net: &str) -> AddressSpec {
    AddressSpec::of(ifindex, &net.parse::<IpNet>().unwrap().into())
}

fn thousand(ifindex: u32) -> Vec<AddressSpec> {
    (0..1000)
        .map(|n| place(ifindex, &format!("10.99.{}.{}/32", n / 250, n % 250 + 1)))
        .collect()
}

#[test]
fn root_an_added_address_is_marked_and_can_be_removed() {
    lab::run(|lab| {
        let mut book = AddressTable::open().unwrap();
        let ours = [
            place(lab.near, "10.99.0.100/24"),
            place(lab.near, "fd00::64/64"),
        ];
        lab.ip("address add 10.99.0.1/24 dev near");
        assert!(
            book.add(&ours)
                .unwrap()
                .iter()
                .all(|r| *r == Ok(Outcome::Done))
        );
        assert!(
            book.add(&ours)
                .unwrap()
                .iter()
                .all(|r| *r == Ok(Outcome::Already))
        );

        let listed = book.list(lab.near).unwrap();
        let find = |net: &str| {
            *listed
                .iter()
                .find(|p| p.net == net.parse().unwrap())
                .unwrap()
        };
        assert_eq!(find("10.99.0.100/24").ours, book.supports_ifa_proto());
        assert!(
            find("10.99.0.100/24")
                .flags
                .contains(AddressFlags::Secondary)
        );
        assert!(
            !find("10.99.0.1/24").ours,
            "an administrator's address is not ours"
        );
        let v6 = find("fd00::64/64");
        assert_eq!(v6.ours, book.supports_ifa_proto());
        assert!(v6.usable(), "no duplicate address detection");
        assert!(
            v6.flags
                .contains(AddressFlags::Deprecated | AddressFlags::Nodad)
        );

        assert!(
            book.remove(&ours)
                .unwrap()
                .iter()
                .all(|r| *r == Ok(Outcome::Done))
        );
        assert!(
            book.remove(&ours)
                .unwrap()
                .iter()
                .all(|r| *r == Ok(Outcome::Already))
        );
        let left = book.list(lab.near).unwrap();
        assert!(
            left.iter()
                .any(|p| p.net == "10.99.0.1/24".parse().unwrap())
        );
        assert!(!left.iter().any(|p| p.ours));
    });
}

#[test]
fn root_an_address_that_cannot_be_added_is_named_and_does_not_stop_the_others() {
    lab::run(|lab| {
        let mut book = AddressTable::open().unwrap();
        let gone = 9999;
        let mixed = [
            place(lab.near, "10.99.0.100/24"),
            place(gone, "10.99.0.101/24"),
            place(lab.near, "10.99.0.102/24"),
        ];
        let outcomes = book.add(&mixed).unwrap();
        assert_eq!(outcomes[0], Ok(Outcome::Done));
        assert_eq!(outcomes[2], Ok(Outcome::Done));
        let error = outcomes[1].clone().unwrap_err();
        assert_eq!(
            (error.placement, error.refusal.errno),
            (mixed[1], Errno::ENODEV)
        );
        let text = error.to_string();
        assert!(
            text.starts_with("adding 10.99.0.101/24 on interface 9999: "),
            "{text}"
        );
        assert!(text.ends_with("; the interface no longer exists"), "{text}");

        assert_eq!(book.remove(&mixed[1..2]).unwrap(), [Ok(Outcome::Already)]);
        assert_eq!(book.list(gone).unwrap(), []);
    });
}

#[test]
fn root_an_address_gets_its_form_and_is_removed_by_its_peer() {
    lab::run(|lab| {
        let mut book = AddressTable::open().unwrap();
        let placed = |net: &str, form| AddressSpec {
            ifindex: lab.near,
            net: net.parse().unwrap(),
            form,
            prefix_route: true,
        };
        let peer = |text: &str| Form {
            peer: Some(text.parse().unwrap()),
            ..Form::default()
        };
        let all = [
            placed(
                "10.99.0.100/24",
                Form {
                    label: Label::new("near:vip"),
                    scope: Some(Scope::Link),
                    broadcast: Some(Ipv4Addr::new(10, 99, 0, 255)),
                    peer: None,
                },
            ),
            placed("10.0.0.5/32", peer("10.0.0.6")),
            placed("fd00::5/128", peer("fd00::6")),
        ];
        assert!(
            book.add(&all)
                .unwrap()
                .iter()
                .all(|r| *r == Ok(Outcome::Done))
        );
        let shown = lab::ip_here("address show dev near");
        for part in [
            "inet 10.99.0.100/24 brd 10.99.0.255 scope link",
            "near:vip",
            "inet 10.0.0.5 peer 10.0.0.6/32 scope global",
            "inet6 fd00::5 peer fd00::6/128",
        ] {
            assert!(shown.contains(part), "no {part:?} in {shown}");
        }
        // What is found can be removed, and by what was configured there is nothing left.
        let listed = book.list(lab.near).unwrap();
        let found: Vec<AddressSpec> = all
            .iter()
            .map(|it| {
                let present = listed.iter().find(|found| found.net == it.net).unwrap();
                assert_eq!(present.peer, it.form.peer);
                AddressSpec::found(lab.near, present)
            })
            .collect();
        let removed = book.remove(&found).unwrap();
        assert!(
            removed.iter().all(|r| *r == Ok(Outcome::Done)),
            "{removed:?}"
        );
        let again = book.remove(&all).unwrap();
        assert!(
            again.iter().all(|r| *r == Ok(Outcome::Already)),
            "{again:?}"
        );
        assert!(!book.list(lab.near).unwrap().iter().any(|it| it.ours));
    });
}

#[test]
fn root_a_thousand_addresses_are_one_quick_batch() {
    lab::run(|lab| {
        let mut book = AddressTable::open().unwrap();
        let all = thousand(lab.near);
        let started = Instant::now();
        lab.ip_batch(
            all.iter()
                .map(|p| format!("address add {} dev near", p.net)),
        );
        let by_ip = started.elapsed();
        lab.ip("address flush dev near scope global");

        let started = Instant::now();
        let added = book.add(&all).unwrap();
        let adding = started.elapsed();
        assert!(added.len() == 1000 && added.iter().all(|r| *r == Ok(Outcome::Done)));
        let again = book.add(&all).unwrap();
        assert!(again.len() == 1000 && again.iter().all(|r| *r == Ok(Outcome::Already)));
        let listed = book.list(lab.near).unwrap();
        assert_eq!(
            listed.iter().filter(|p| p.net.addr().is_ipv4()).count(),
            1000
        );

        let started = Instant::now();
        let removed = book.remove(&all).unwrap();
        let removing = started.elapsed();
        assert!(removed.iter().all(|r| *r == Ok(Outcome::Done)));
        println!(
            "1000 addresses: added in {adding:?}, removed in {removing:?}; ip -batch adds in {by_ip:?}"
        );
    });
}

#[test]
fn root_one_address_takes_about_as_long_as_the_kernel_needs() {
    lab::run(|lab| {
        let mut book = AddressTable::open().unwrap();
        let one = [place(lab.near, "10.99.0.100/24")];
        let mut spans: Vec<_> = (0..200)
            .map(|_| {
                let started = Instant::now();
                assert_eq!(book.add(&one).unwrap(), [Ok(Outcome::Done)]);
                let span = started.elapsed();
                assert_eq!(book.remove(&one).unwrap(), [Ok(Outcome::Done)]);
                span
            })
            .collect();
        spans.sort_unstable();
        println!(
            "adding one address: median {:?}, worst {:?}",
            spans[100], spans[199]
        );
    });
}
