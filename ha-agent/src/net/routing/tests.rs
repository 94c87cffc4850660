//! Routes and rules in a real kernel.

use super::message::address_family;
use ipnet::IpNet;

use super::*;
use crate::config::model::virtual_route::RouteKind;
use crate::net::lab::{self, Lab};

fn route(lab: &Lab, to: &str, via: Option<&str>) -> Route {
    Route {
        to: to.parse().unwrap(),
        kind: RouteKind::Unicast,
        via: via.map(|via| via.parse().unwrap()),
        ifindex: Some(lab.near),
        metric: if to.contains(':') { 1024 } else { 0 },
        table: 254,
        source: None,
        onlink: false,
    }
}

fn rule(from: &str, table: u32, priority: u32) -> VirtualRule {
    let from: IpNet = from.parse().unwrap();
    VirtualRule {
        family: address_family(&from),
        priority,
        from: Some(from),
        to: None,
        iif: None,
        fwmark: None,
        table,
    }
}

/// One of every kind, in both families.
fn all_kinds(lab: &Lab) -> Vec<RoutingEntry> {
    lab.ip("address add 10.99.0.1/24 dev near");
    lab.ip("address add fd00::1/64 dev near nodad");
    let four = |to, via| route(lab, to, via);
    let mut routing = vec![
        RoutingEntry::Route(Route {
            metric: 7,
            table: 1000,
            source: Some("10.99.0.1".parse().unwrap()),
            ..four("0.0.0.0/0", Some("10.99.0.254"))
        }),
        RoutingEntry::Route(four("192.0.2.0/24", None)),
        RoutingEntry::Route(Route {
            onlink: true,
            ..four("198.51.100.0/24", Some("203.0.113.1"))
        }),
        RoutingEntry::Route(four("::/0", Some("fe80::1"))),
        RoutingEntry::Route(Route {
            table: 100,
            ..four("2001:db8::/32", Some("fd00::2"))
        }),
    ];
    for (net, kind) in [
        ("203.0.113.0/24", RouteKind::Blackhole),
        ("203.0.114.0/24", RouteKind::Unreachable),
        ("203.0.115.0/24", RouteKind::Prohibit),
        ("2001:db9::/32", RouteKind::Blackhole),
    ] {
        let route = four(net, None);
        routing.push(RoutingEntry::Route(Route {
            kind,
            ifindex: None,
            ..route
        }));
    }
    routing.push(RoutingEntry::Rule(rule("10.99.0.100/32", 1000, 100)));
    routing.push(RoutingEntry::Rule(VirtualRule {
        to: Some("2001:db8::/32".parse().unwrap()),
        iif: Some("near".to_owned()),
        fwmark: Some(0x10),
        ..rule("fd00::/64", 100, 101)
    }));
    routing
}

#[test]
fn root_what_was_added_is_listed_as_it_was_meant_and_can_be_removed() {
    lab::run(|lab| {
        let mut book = RoutingTable::open().unwrap();
        let mut routing = all_kinds(lab);
        for outcome in [Outcome::Done, Outcome::Already] {
            let outcomes = book.add(&routing).unwrap();
            assert!(outcomes.iter().all(|it| *it == Ok(outcome)), "{outcomes:?}");
        }
        let listed = book.list().unwrap();
        assert_eq!(listed.len(), routing.len(), "{listed:?}");
        for way in &routing {
            assert!(listed.contains(way), "{way} is not in {listed:?}");
        }
        let shown = lab::ip_here("route show table 1000");
        assert!(
            shown.starts_with("default via 10.99.0.254 dev near proto 86 src 10.99.0.1 metric 7"),
            "{shown}"
        );
        routing.reverse();
        for outcome in [Outcome::Done, Outcome::Already] {
            let outcomes = book.remove(&routing).unwrap();
            assert!(outcomes.iter().all(|it| *it == Ok(outcome)), "{outcomes:?}");
        }
        assert_eq!(book.list().unwrap(), []);
    });
}

#[test]
fn root_an_administrators_route_or_rule_in_the_same_place_is_neither_replaced_nor_removed() {
    lab::run(|lab| {
        let mut book = RoutingTable::open().unwrap();
        lab.ip("address add 10.99.0.1/24 dev near");
        lab.ip("route add 192.0.2.0/24 via 10.99.0.9");
        lab.ip("route add 2001:db8::/32 via fe80::9 dev near");
        lab.ip("rule add from 10.99.0.100 table 100 priority 100");
        let routes = [
            RoutingEntry::Route(route(lab, "192.0.2.0/24", Some("10.99.0.254"))),
            RoutingEntry::Route(route(lab, "2001:db8::/32", Some("fe80::9"))),
        ];
        for outcomes in [book.add(&routes).unwrap(), book.remove(&routes).unwrap()] {
            assert!(
                outcomes.iter().all(|it| *it == Ok(Outcome::Already)),
                "{outcomes:?}"
            );
        }
        // The kernel may have a rule twice, of two protocols.
        let rule = [RoutingEntry::Rule(rule("10.99.0.100/32", 100, 100))];
        let added = book.add(&rule).unwrap();
        assert_eq!(book.remove(&rule).unwrap(), added);
        // The very same route, but not ours.
        let same = [RoutingEntry::Route(route(
            lab,
            "192.0.2.0/24",
            Some("10.99.0.9"),
        ))];
        assert_eq!(book.remove(&same).unwrap(), [Ok(Outcome::Already)]);
        assert_eq!(book.list().unwrap(), []);
        for (command, expected) in [
            ("route show 192.0.2.0/24", "via 10.99.0.9"),
            ("-6 route show 2001:db8::/32", "via fe80::9"),
            ("rule show priority 100", "lookup 100"),
        ] {
            let shown = lab::ip_here(command);
            assert!(shown.contains(expected), "{shown}");
        }
    });
}

#[test]
fn root_a_route_that_cannot_be_added_is_named_and_does_not_stop_the_others() {
    lab::run(|lab| {
        let mut book = RoutingTable::open().unwrap();
        lab.ip("address add 10.99.0.1/24 dev near");
        let routing = [
            RoutingEntry::Route(route(lab, "192.0.2.0/24", Some("10.99.0.254"))),
            RoutingEntry::Route(route(lab, "198.51.100.0/24", Some("203.0.113.1"))),
            RoutingEntry::Rule(rule("10.99.0.100/32", 100, 100)),
        ];
        let outcomes = book.add(&routing).unwrap();
        assert_eq!(outcomes[0], Ok(Outcome::Done));
        assert_eq!(outcomes[2], Ok(Outcome::Done));
        let error = outcomes[1].clone().unwrap_err();
        assert_eq!(error.refusal.errno, Errno::ENETUNREACH);
        let text = error.called(&"the second").to_string();
        assert!(
            text.starts_with("adding the second: Network is unreachable"),
            "{text}"
        );
        assert!(text.ends_with("or the route `onlink`"), "{text}");
    });
}

#[test]
fn root_a_thousand_routes_are_one_quick_batch() {
    lab::run(|lab| {
        let mut book = RoutingTable::open().unwrap();
        lab.ip("address add 10.99.0.1/24 dev near");
        let routing: Vec<RoutingEntry> = (0..1000)
            .map(|n| format!("10.{}.{}.0/24", 100 + n / 250, n % 250))
            .map(|to| RoutingEntry::Route(route(lab, &to, Some("10.99.0.254"))))
            .collect();
        let started = std::time::Instant::now();
        let added = book.add(&routing).unwrap();
        println!("1000 routes added in {:?}", started.elapsed());
        assert!(added.len() == 1000 && added.iter().all(|it| *it == Ok(Outcome::Done)));
        assert_eq!(book.list().unwrap().len(), 1000);
        let removed = book.remove(&routing).unwrap();
        assert!(removed.iter().all(|it| *it == Ok(Outcome::Done)));
    });
}

#[test]
fn root_the_kernel_says_from_where_it_would_send_and_that_it_has_no_route() {
    lab::run(|lab| {
        lab.ip("address add 192.168.1.1/24 dev near");
        lab.ip("address add 10.99.0.1/24 dev near");
        lab.ip("address add fd00::1/64 dev near nodad");
        lab.ip("route add 172.16.0.0/12 via 10.99.0.254");
        lab.ip("route add fd00:1::/64 via fd00::fe");
        let mut table = RoutingTable::open().unwrap();
        let mut source = |to: &str| table.source_towards(to.parse().unwrap(), lab.near).unwrap();
        assert_eq!(source("172.16.0.9"), Some("10.99.0.1".parse().unwrap()));
        assert_eq!(source("fd00:1::9"), Some("fd00::1".parse().unwrap()));
        assert_eq!(source("fd00:2::9"), None);
    });
}

#[test]
fn root_removals_of_ours_and_of_rules_are_heard_and_nothing_else() {
    lab::run(|lab| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            lab.ip("address add 10.99.0.1/24 dev near");
            let (mut removals, trouble) = crate::net::route_monitor::RouteMonitor::new();
            // What was removed before it listened is not known, and so counts as news.
            removals.next().await;
            assert!(trouble.get().is_none());
            let mut book = RoutingTable::open().unwrap();
            let routing = [
                RoutingEntry::Route(route(lab, "192.0.2.0/24", Some("10.99.0.254"))),
                RoutingEntry::Rule(rule("10.99.0.100/32", 100, 100)),
            ];
            book.add(&routing).unwrap();
            // None of these is a removal of ours.
            lab.ip("route add 198.51.100.0/24 via 10.99.0.254");
            lab.ip("route del 198.51.100.0/24");
            lab.ip("route add 2001:db8::/32 dev near");
            lab.ip("route del 2001:db8::/32 dev near");
            let heard =
                tokio::time::timeout(std::time::Duration::from_millis(300), removals.next());
            assert!(heard.await.is_err(), "heard what is none of our business");
            for command in ["route del 192.0.2.0/24", "rule del priority 100"] {
                lab.ip(command);
                let heard = tokio::time::timeout(lab::PATIENCE, removals.next());
                assert!(heard.await.is_ok(), "{command}");
            }
        });
    });
}
