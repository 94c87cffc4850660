//! Virtual routes and rules.

use ha_common::units::Family;

use super::super::model::Instance;
use super::super::model::virtual_route::RouteKind;
use super::*;

fn the_instance(lines: &str) -> Instance {
    accepted(&instance(lines)).instances.remove(0)
}

#[test]
fn every_key_of_a_route_reaches_the_model() {
    let found = the_instance(
        "routes = [{ to = \"192.0.2.0/24\", via = \"10.99.0.1\", dev = \"eth1\", metric = 7, \
         table = 4294967295, source = \"10.99.0.100\", onlink = true }, \
         { to = \"198.51.100.1\", type = \"blackhole\" }]",
    );
    let [route, hole] = found.routes.as_slice() else {
        panic!("{:?}", found.routes);
    };
    assert_eq!(
        route.to_string(),
        "192.0.2.0/24 via 10.99.0.1 dev eth1 table 4294967295 metric 7 src 10.99.0.100 onlink"
    );
    assert_eq!(hole.to_string(), "blackhole 198.51.100.1/32");
    assert_eq!((hole.kind, hole.table), (RouteKind::Blackhole, None));
}

#[test]
fn a_default_route_is_of_the_family_of_what_stands_beside_it_or_of_the_instance() {
    for (entry, to, metric) in [
        ("{ to = \"default\", via = \"10.99.0.1\" }", "0.0.0.0/0", 0),
        ("{ to = \"default\", via = \"fe80::1\" }", "::/0", 1024),
        (
            "{ to = \"default\", source = \"2001:db8::7\" }",
            "::/0",
            1024,
        ),
        ("{ to = \"default\" }", "0.0.0.0/0", 0),
        (
            "{ to = \"default\", via = \"fe80::1\", metric = 5 }",
            "::/0",
            5,
        ),
    ] {
        let found = the_instance(&format!("routes = [{entry}]"))
            .routes
            .remove(0);
        assert_eq!((found.to.to_string().as_str(), found.metric), (to, metric));
    }
}

#[test]
fn every_key_of_a_rule_reaches_the_model() {
    let found = the_instance(
        "rules = [{ from = \"10.99.0.100\", to = \"192.0.2.0/24\", iif = \"eth1\", fwmark = 0x10, \
         table = 100, priority = 32765 }, { iif = \"lo\", table = 1, priority = 1 }, \
         { to = \"2001:db8::/32\", table = 2, priority = 2 }]",
    );
    let texts: Vec<_> = found.rules.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "from 10.99.0.100/32 to 192.0.2.0/24 iif eth1 fwmark 0x10 lookup 100 priority 32765",
            "from all iif lo lookup 1 priority 1",
            "from all to 2001:db8::/32 lookup 2 priority 2",
        ]
    );
    let families: Vec<_> = found.rules.iter().map(|rule| rule.family).collect();
    assert_eq!(families, [Family::V4, Family::V4, Family::V6]);
}

#[test]
fn every_wrong_value_of_a_route_is_blamed_at_its_place() {
    let to = "{ to = \"192.0.2.0/24\"";
    for (entry, fragments) in [
        (
            "|7".to_owned(),
            &["an entry of `routes` must be a table"][..],
        ),
        (
            "|{ }".to_owned(),
            &["a route has no `to`; add to = \"default\""],
        ),
        (
            format!("{to}, |gateway = \"10.0.0.1\" }}"),
            &["unknown key `gateway` in a route"],
        ),
        (
            "{ to = |\"192.0.2.1/24\" }".to_owned(),
            &["write \"192.0.2.0/24\""],
        ),
        (
            "{ to = |\"everywhere\" }".to_owned(),
            &["a network, such as", "not \"everywhere\""],
        ),
        (
            format!("{to}, via = |\"10.0.0.0/8\" }}"),
            &["the gateway's IP address"],
        ),
        (
            format!("{to}, via = |\"0.0.0.0\" }}"),
            &["the gateway's IP address"],
        ),
        (
            format!("{to}, via = |\"fe80::1\" }}"),
            &["`via` must be of the family of `to`"],
        ),
        (
            format!("{to}, source = |\"fe80::1\" }}"),
            &["`source` must be of the family of `to`"],
        ),
        (
            format!("{to}, dev = |\"a/b\" }}"),
            &["the name of an interface"],
        ),
        (
            format!("{to}, metric = |-1 }}"),
            &["from 0 to 4294967295, not -1"],
        ),
        (
            "{ to = \"default\", via = \"fe80::1\", metric = |0 }".to_owned(),
            &["from 1 to 4294967295, not 0"],
        ),
        (
            format!("{to}, table = |0 }}"),
            &["the number of a routing table, not 0"],
        ),
        (format!("{to}, table = |255 }}"), &["must not be 255"]),
        (format!("{to}, table = |\"main\" }}"), &["not \"main\""]),
        (
            format!("{to}, onlink = |true }}"),
            &["`onlink` goes with `via`"],
        ),
        (format!("{to}, onlink = |1 }}"), &["true or false"]),
        (
            format!("{to}, type = |\"nat\" }}"),
            &["\"unicast\" or \"blackhole\" or \"unreachable\" or \"prohibit\""],
        ),
        (
            format!("{to}, type = \"prohibit\", via = |\"10.0.0.1\" }}"),
            &["`via` goes with type = \"unicast\""],
        ),
        (
            format!("{to}, type = \"prohibit\", dev = |\"eth0\" }}"),
            &["`dev` goes with type = \"unicast\""],
        ),
    ] {
        one_error(&instance(&format!("routes = [{entry}]")), fragments);
    }
}

#[test]
fn every_wrong_value_of_a_rule_is_blamed_at_its_place() {
    let from = "{ from = \"10.99.0.100\"";
    let rest = "table = 100, priority = 100";
    for (entry, fragments) in [
        (
            "|7".to_owned(),
            &["an entry of `rules` must be a table"][..],
        ),
        (format!("|{{ {rest} }}"), &["must say which packets"]),
        (
            format!("|{from}, table = 100 }}"),
            &["a rule has no `priority`; add priority = 100"],
        ),
        (
            format!("|{from}, priority = 100 }}"),
            &["a rule has no `table`; add table = 100"],
        ),
        (
            format!("{from}, table = 100, priority = |0 }}"),
            &["from 1 to 32765", "not 0"],
        ),
        (
            format!("{from}, table = 100, priority = |32766 }}"),
            &["not 32766"],
        ),
        (
            format!("{from}, table = |255, priority = 100 }}"),
            &["must not be 255"],
        ),
        (
            format!("{{ from = |\"10.99.0.100/24\", {rest} }}"),
            &["write \"10.99.0.0/24\""],
        ),
        (
            format!("|{from}, to = \"2001:db8::/32\", {rest} }}"),
            &["`from` and `to` of one family"],
        ),
        (
            format!("{from}, fwmark = |0, {rest} }}"),
            &["a mark of the firewall, not 0"],
        ),
        (
            format!("{from}, iif = |\"\", {rest} }}"),
            &["the name of an interface"],
        ),
        (
            format!("{from}, |tabel = 1, {rest} }}"),
            &["did you mean `table`?"],
        ),
    ] {
        one_error(&instance(&format!("rules = [{entry}]")), fragments);
    }
}

#[test]
fn a_route_or_rule_goes_with_one_instance_once() {
    let route = "{ to = \"default\", via = \"10.99.0.1\" }";
    let other_gateway = "{ to = \"0.0.0.0/0\", via = \"10.99.0.2\" }";
    let rule = "{ from = \"10.99.0.100\", table = 100, priority = 100 }";
    let other_table = "{ from = \"10.99.0.100/32\", table = 200, priority = 100 }";
    one_error(
        &instance(&format!("routes = [{route}, |{other_gateway}]")),
        &["this route is there already (line 6)"],
    );
    one_error(
        &instance(&format!("rules = [{rule}, |{other_table}]")),
        &["this rule is there already (line 6)"],
    );
    let second = |lines: &str| {
        let own = "name = \"b\"\nvrid = 52\naddresses = [\"10.99.0.101/24\"]";
        instance(&format!("{own}\n{lines}"))
    };
    one_error(
        &(instance(&format!("routes = [{route}]"))
            + &second(&format!("routes = [|{other_gateway}]"))),
        &["this route is there already (line 6)"],
    );
    let other_metric = "{ to = \"default\", via = \"10.99.0.2\", metric = 5 }";
    accepted(
        &(instance(&format!("routes = [{route}]"))
            + &second(&format!("routes = [{other_metric}]"))),
    );
}
